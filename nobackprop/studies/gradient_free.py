"""Learning without gradients, small enough to be watched: COBYLA and simultaneous perturbation beside backpropagation.

Woo 2023, section 8.1, names two limits of it, size and slow convergence.  `python -m nobackprop.studies.gradient_free [FIGURE]`
measures both; docs/gradient-free.md has the result.
"""
from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .. import learn, network
from ..data import load, one_hot
from ..errors import InputError
from ..figures import BLACK, BLUE, VERMILION, check_ending
from ..files import atomic
from ..models import mlp
from ..network import Network
from ..optim import SGD
from ..rules import RULES
from ..rules.spsa import learning
from ..tape import NOTHING
from ..tree import Tree, leaves, tree_map

MOST = 300
# of a step, in passes through the network: the two products of the backward walk count as two
COSTS = {"bp": 3, "spsa": 2}
RATES = {"bp": (10.0, 3.0, 1.0), "spsa": (1.0, 0.3, 0.1)}
WIDTHS, SEEDS = (4, 8, 16, 32), (0, 1, 2)
FEATURES, CLASSES, SAMPLES = 4, 4, 200
TARGET, PASSES = 0.2, 3000


class Reached(Exception):
    """The target is."""


@dataclass
class Trace:
    """The least loss found so far, and the passes through the network it took; with the seconds of them all."""

    passes: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    params: Tree = None

    def add(self, passes: int, loss: float) -> None:
        """A loss that was seen after so many passes."""
        self.passes.append(passes)
        self.losses.append(min([loss, *self.losses[-1:]]))

    def reached(self, loss: float) -> int | None:
        """After how many passes there was a loss no larger; None where there was none."""
        return next((passes for passes, found in zip(self.passes, self.losses, strict=True) if found <= loss), None)


def flat(params: Tree) -> np.ndarray:
    """The numbers of a tree that learn, in one row."""
    return np.concatenate([array.ravel() for _, array in leaves(learning(params))])


def unflat(params: Tree, row: np.ndarray) -> Tree:
    """A tree like the parameters with those numbers in it; running statistics stay."""
    parts, start = {}, 0
    for path, array in leaves(learning(params)):
        parts[path] = row[start:start + array.size].reshape(array.shape).astype(array.dtype)
        start += array.size
    in_turn = iter([parts.get(path, array) for path, array in leaves(params)])
    return tree_map(lambda array: next(in_turn), params)


def cobyla(net: Network, params: Tree, x: np.ndarray, y: np.ndarray, evaluations: int = 1000, radius: float = 0.5,
           target: float = -np.inf) -> Trace:
    """Train by COBYLA, Powell 1994: the loss on x (N, ...), y (N, C) alone is asked for, once an evaluation.

    `radius` is how far the first points of its simplex lie from the start.  Ends at a loss of `target`, too.  Raises
    InputError for more than MOST parameters, and for fewer evaluations than the first simplex takes.
    """
    trace, start = Trace(params=params), flat(params)
    n = start.size
    if n > MOST:
        raise InputError(f"COBYLA cannot train {n:,} parameters, {MOST} is the most: it keeps a simplex of n + 1 points"
                         f" of n numbers, {8 * n * (n + 1) / 2**20:,.0f} MiB, and works through it at every step")
    if evaluations < n + 2:
        raise InputError(f"COBYLA needs at least {n + 2} evaluations for {n} parameters, got {evaluations}")

    def loss(row: np.ndarray) -> float:
        tried = unflat(params, row)
        value = float(net.value(network.forward(net, tried, x, keep=lambda i: NOTHING).output, y))
        if not trace.losses or value < trace.losses[-1]:
            trace.params = tried
        trace.add(len(trace.passes) + 1, value)
        if value <= target:
            raise Reached
        return value

    begun = time.perf_counter()
    try:
        minimize(loss, start.astype("float64"), method="COBYLA",
                 options={"maxiter": evaluations, "rhobeg": radius, "tol": 1e-8})
    except Reached:
        pass
    trace.seconds = time.perf_counter() - begun
    return trace


def descend(net: Network, name: str, params: Tree, x: np.ndarray, y: np.ndarray, passes: int = 1000, lr: float = 0.1,
            seed: int = 0, target: float = -np.inf) -> Trace:
    """Train by gradient descent under bp or spsa, the whole batch a step, until `passes` or `target` is reached."""
    rule, rng = RULES[name], np.random.default_rng(seed)
    params = tree_map(np.copy, params)
    shapes = [array.shape[1:] for array in network.forward(net, params, x[:1]).h]
    state = rule.init(rng, net, params, shapes)
    trace, opts = Trace(params=params), (SGD(params, lr), SGD(state, lr))
    begun = time.perf_counter()
    with np.errstate(over="ignore", invalid="ignore"):
        for taken in range(0, passes, COSTS[name]):
            value = float(net.value(learn.step(net, rule, params, state, *opts, x, y, rng).output, y))
            # a step's loss is known after its first pass
            trace.add(taken + 1, value if np.isfinite(value) else np.inf)
            if value <= target or not np.isfinite(value):
                break
    trace.seconds = time.perf_counter() - begun
    return trace


# ---------------------------------------------------------------- the measurement


def task() -> tuple[np.ndarray, np.ndarray]:
    """Digits 0 to 3 by their first principal components, whitened: x (SAMPLES, FEATURES), y (SAMPLES, CLASSES)."""
    data = load("digits")
    rows = np.flatnonzero(data.y_train < CLASSES)[:SAMPLES]
    x = data.x_train[rows].reshape(len(rows), -1).astype("float64")
    u, _, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    return u[:, :FEATURES] * np.sqrt(len(x)), one_hot(data.y_train[rows], CLASSES, "float64")


def compare(widths: Sequence[int] = WIDTHS, seeds: Sequence[int] = SEEDS, passes: int = PASSES, target: float = TARGET,
            note: Callable[[str], None] = lambda line: None) -> list[dict[str, Any]]:
    """One record for every width of the hidden layer and method: passes until the target, seconds a pass, and traces.

    bp and spsa have the learning rate of RATES that reaches the target for most seeds, and then first.
    """
    x, y = task()
    records = []
    for width in widths:
        net = mlp(x.shape[1:], y.shape[1], (width,), "tanh")
        starts = {seed: network.init(net, np.random.default_rng(seed), x.shape[1:], "float64")[0] for seed in seeds}
        runs: dict[str, dict[float | None, list[Trace]]] = {name: {
            lr: [descend(net, name, starts[seed], x, y, passes, lr, seed, target) for seed in seeds] for lr in rates}
            for name, rates in RATES.items()}
        runs["cobyla"] = {None: [cobyla(net, starts[seed], x, y, passes, target=target) for seed in seeds]}
        for name, choices in runs.items():
            lr, traces = min(choices.items(),
                             key=lambda item: sum(trace.reached(target) or 10 * passes for trace in item[1]))
            records.append({
                "parameters": flat(starts[seeds[0]]).size, "method": name, "lr": lr, "traces": traces,
                "reached": [trace.reached(target) for trace in traces], "loss": [trace.losses[-1] for trace in traces],
                "ms": 1000 * sum(trace.seconds for trace in traces) / sum(trace.passes[-1] for trace in traces)})
            note(line(records[-1], passes))
    return records


def line(record: dict[str, Any], passes: int = PASSES) -> str:
    """A row of the table."""
    reached = [found if found is not None else passes + 1 for found in record["reached"]]
    middle = statistics.median(reached)
    cell = f"{middle:,.0f}" if middle <= passes else f"more than {passes:,}"
    lr = "" if record["lr"] is None else f"{record['lr']:g}"
    return (f"| {record['parameters']} | {record['method']} | {lr} | {cell} | "
            f"{sum(found is not None for found in record['reached'])} of {len(reached)} | "
            f"{statistics.median(record['loss']):.3f} | {record['ms']:.2f} |")


HEAD = ("| parameters | method | lr | passes until the target, median | reached by | last loss, median | ms a pass |\n"
        "|---|---|---|---|---|---|---|")


def draw(records: list[dict[str, Any]], path: str | os.PathLike[str]) -> None:
    """A figure of all traces, a panel for every network, to a .png, .svg or .pdf file."""
    from matplotlib.figure import Figure

    check_ending(path)
    sizes = sorted({record["parameters"] for record in records})
    figure = Figure(figsize=(3.6 * len(sizes), 3.6), layout="constrained")
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    colours = {"bp": BLACK, "spsa": BLUE, "cobyla": VERMILION}
    for panel, size in zip(panels, sizes, strict=True):
        for record in records:
            if record["parameters"] == size:
                for i, trace in enumerate(record["traces"]):
                    panel.plot(trace.passes, trace.losses, color=colours[record["method"]], linewidth=1.2,
                               label=record["method"] if not i else None)
        panel.axhline(TARGET, color="#808080", linewidth=0.8, linestyle=":")
        panel.set(title=f"{size} parameters", xlabel="passes through the network", xscale="log")
    panels[0].set(ylabel="least training loss so far")
    panels[0].legend(frameon=False)
    with atomic(path) as partial:
        figure.savefig(partial, format=Path(path).suffix[1:].lower(), dpi=150)


def main(argv: list[str]) -> None:
    """Print the table, and draw the figure where one is named."""
    if len(argv) > 1 or any(argument.startswith("-") for argument in argv):
        sys.exit("usage: python -m nobackprop.studies.gradient_free [FIGURE]")
    try:
        for path in argv:
            check_ending(path)
        print(HEAD, flush=True)
        records = compare(note=lambda row: print(row, flush=True))
        for path in argv:
            draw(records, path)
    except (InputError, OSError) as error:
        sys.exit(f"nobackprop.studies.gradient_free: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
