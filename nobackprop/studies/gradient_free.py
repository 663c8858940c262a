"""Learning without gradients on small networks: COBYLA and simultaneous perturbation, next to backpropagation.

Woo 2023, section 8.1, names two limits of learning without gradients: the size of the network and slow convergence.
The command `python -m nobackprop.studies.gradient_free [FIGURE]` measures both; docs/gradient-free.md has the result.
The unit of cost is a pass: one walk of the batch through the network, forward or with an equal amount of work.
"""
from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .. import figures, learn, network
from ..data import load, one_hot
from ..errors import InputError
from ..models import mlp
from ..network import Network
from ..optim import SGD
from ..rules import RULES
from ..rules.spsa import learning
from ..tape import NOTHING
from ..tree import Tree, leaves, tree_map

MOST = 300
# what a step costs, in passes through the network: the two products of the backward walk count as two
COSTS = {"bp": 3, "spsa": 2}
RATES = {"bp": (10.0, 3.0, 1.0), "spsa": (1.0, 0.3, 0.1)}
WIDTHS, SEEDS = (4, 8, 16, 32), (0, 1, 2)
FEATURES, CLASSES, SAMPLES = 4, 4, 200
TARGET, PASSES = 0.2, 3000


class _TargetReached(Exception):  # noqa: N818, as it is a signal and not an error
    """The signal that ends COBYLA, which has no other way to stop: the loss is no larger than the target."""


@dataclass
class Trace:
    """What one training run went through: the least loss so far after each number of passes.

    Attributes
    ----------
    passes : list of int
        The numbers of passes through the network after which a loss was seen.
    losses : list of float
        The least loss found so far, for each entry of `passes`.
    seconds : float
        The time that the whole run took.
    params : Tree
        The parameters that were found.

    Examples
    --------
    >>> trace = Trace()
    >>> for passes, loss in [(1, 0.9), (3, 1.2), (5, 0.4)]:
    ...     trace.add(passes, loss)
    >>> trace.losses, trace.reached(0.5), trace.reached(0.1)
    ([0.9, 0.9, 0.4], 5, None)
    """

    passes: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    params: Tree = None

    def add(self, passes: int, loss: float) -> None:
        """Record a loss.

        Parameters
        ----------
        passes : int
            The number of passes after which it was seen.
        loss : float
            The loss.
        """
        self.passes.append(passes)
        self.losses.append(min([loss, *self.losses[-1:]]))

    def reached(self, loss: float) -> int | None:
        """Return after how many passes the loss was at most `loss`.

        Parameters
        ----------
        loss : float
            The loss that is asked for.

        Returns
        -------
        int or None
            The number of passes; None if the loss was never so small.
        """
        return next((passes for passes, found in zip(self.passes, self.losses, strict=True) if found <= loss), None)


def flat(params: Tree) -> np.ndarray:
    """Return all numbers that learn, in one row.

    Parameters
    ----------
    params : Tree
        The parameters of a network.

    Returns
    -------
    numpy.ndarray, shape (n,)
        The numbers, without running statistics.

    Examples
    --------
    >>> import numpy as np
    >>> flat([{"W": np.ones((2, 2)), "b": np.zeros(2)}]).tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    """
    return np.concatenate([array.ravel() for _, array in leaves(learning(params))])


def unflat(params: Tree, row: np.ndarray) -> Tree:
    """Return parameters whose numbers that learn are those of a row.

    Parameters
    ----------
    params : Tree
        The parameters that give the structure, the shapes, the dtypes and the running statistics.
    row : numpy.ndarray, shape (n,)
        The numbers, in the order of `flat`.

    Returns
    -------
    Tree
        A tree like `params`.

    Examples
    --------
    >>> import numpy as np
    >>> unflat([{"W": np.zeros((1, 2)), "b": np.zeros(1)}], np.array([1.0, 2.0, 3.0]))
    [{'W': array([[1., 2.]]), 'b': array([3.])}]
    """
    parts, start = {}, 0
    for path, array in leaves(learning(params)):
        parts[path] = row[start:start + array.size].reshape(array.shape).astype(array.dtype)
        start += array.size
    in_turn = iter([parts.get(path, array) for path, array in leaves(params)])
    return tree_map(lambda array: next(in_turn), params)


def cobyla(net: Network, params: Tree, x: np.ndarray, y: np.ndarray, evaluations: int = 1000, radius: float = 0.5,
           target: float = -np.inf) -> Trace:
    """Train a network by COBYLA, which asks for the loss alone, once in each evaluation.

    Parameters
    ----------
    net : Network
        The network.
    params : Tree
        Its parameters at the start; they are not written into.
    x : numpy.ndarray, shape (N, ...)
        The inputs.
    y : numpy.ndarray, shape (N, C)
        The targets, one-hot.
    evaluations : int
        The largest number of evaluations of the loss; each is one pass.
    radius : float
        How far the first points of the simplex of COBYLA lie from the start.
    target : float
        The run also ends at a loss of at most this.

    Returns
    -------
    Trace
        What the run went through; `params` are those of the least loss.

    Raises
    ------
    InputError
        If there are more than MOST parameters, or fewer evaluations than the first simplex takes.

    Notes
    -----
    Powell 1994, as in SciPy.  For n parameters the method keeps a simplex of n + 1 points of n numbers each and works
    through it at every step, so the memory and the time of a step grow at least with n^2.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> net = models.build("mlp:2", (2,), 2)
    >>> params, _ = network.init(net, np.random.default_rng(0), (2,), "float64")
    >>> x, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.eye(2)
    >>> trace = cobyla(net, params, x, y, evaluations=30)
    >>> len(trace.losses) <= 30 and trace.losses[-1] < trace.losses[0]
    True
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
            raise _TargetReached
        return value

    begun = time.perf_counter()
    with suppress(_TargetReached):
        minimize(loss, start.astype("float64"), method="COBYLA",
                 options={"maxiter": evaluations, "rhobeg": radius, "tol": 1e-8})
    trace.seconds = time.perf_counter() - begun
    return trace


def descend(net: Network, name: str, params: Tree, x: np.ndarray, y: np.ndarray, passes: int = 1000, lr: float = 0.1,
            seed: int = 0, target: float = -np.inf) -> Trace:
    """Train a network by gradient descent under backpropagation or spsa, with the whole batch in each step.

    Parameters
    ----------
    net : Network
        The network.
    name : str
        The rule: 'bp' or 'spsa'.
    params : Tree
        The parameters at the start; they are not written into.
    x : numpy.ndarray, shape (N, ...)
        The inputs.
    y : numpy.ndarray, shape (N, C)
        The targets, one-hot.
    passes : int
        The run ends after this number of passes; a step costs COSTS[name] of them.
    lr : float
        The learning rate.
    seed : int
        The seed of what the rule draws.
    target : float
        The run also ends at a loss of at most this, and at one that is not finite.

    Returns
    -------
    Trace
        What the run went through.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> net = models.build("mlp:2", (2,), 2)
    >>> params, _ = network.init(net, np.random.default_rng(0), (2,), "float64")
    >>> x, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.eye(2)
    >>> trace = descend(net, "bp", params, x, y, passes=30)
    >>> trace.passes[:3], trace.losses[-1] < trace.losses[0]
    ([1, 4, 7], True)
    """
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
    """Return the task of the comparison: the digits 0 to 3 by their first principal components, whitened.

    Returns
    -------
    tuple of numpy.ndarray, shapes (SAMPLES, FEATURES) and (SAMPLES, CLASSES)
        The inputs x and the targets y, one-hot, both float64.

    Examples
    --------
    >>> x, y = task()
    >>> x.shape, y.shape
    ((200, 4), (200, 4))
    """
    data = load("digits")
    rows = np.flatnonzero(data.y_train < CLASSES)[:SAMPLES]
    x = data.x_train[rows].reshape(len(rows), -1).astype("float64")
    u, _, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    return u[:, :FEATURES] * np.sqrt(len(x)), one_hot(data.y_train[rows], CLASSES, "float64")


def compare(widths: Sequence[int] = WIDTHS, seeds: Sequence[int] = SEEDS, passes: int = PASSES, target: float = TARGET,
            note: Callable[[str], None] = lambda line: None) -> list[dict[str, Any]]:
    """Train networks of several widths by each method, and report how many passes each takes.

    Parameters
    ----------
    widths : sequence of int
        The widths of the hidden layer.
    seeds : sequence of int
        The seeds; each draws one start that all methods share.
    passes : int
        The largest number of passes of a run.
    target : float
        The training loss that a run is to reach.
    note : callable
        A function that is called with each row of the table as soon as it is known.

    Returns
    -------
    list of dict
        One record for each width and method: "parameters" (their number), "method", "lr", "traces", "reached" (the
        passes until the target for each seed, or None), "loss" (the last one for each seed) and "ms" (milliseconds a
        pass).

    Notes
    -----
    bp and spsa use the learning rate of RATES that reaches the target for the most seeds, and of these the one that
    reaches it first.

    Examples
    --------
    >>> records = compare(widths=(1,), seeds=(0,), passes=20)
    >>> [(record["parameters"], record["method"]) for record in records]
    [(13, 'bp'), (13, 'spsa'), (13, 'cobyla')]
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
    """Return one record as a row of a Markdown table, under HEAD.

    Parameters
    ----------
    record : dict
        A record of `compare`.
    passes : int
        The largest number of passes of a run.

    Returns
    -------
    str
        The row.

    Examples
    --------
    >>> print(line({"parameters": 13, "method": "bp", "lr": 3.0, "reached": [40, 50], "loss": [0.2, 0.1], "ms": 0.5}))
    | 13 | bp | 3 | 45 | 2 of 2 | 0.150 | 0.50 |
    """
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
    """Draw all traces, one panel for each network, and write the figure to a file.

    Parameters
    ----------
    records : list of dict
        The records of `compare`.
    path : str or path-like
        The name of a .png, .svg or .pdf file.

    Raises
    ------
    InputError
        If the name has another ending, or if the file cannot be written.

    Examples
    --------
    >>> draw([], "traces.txt")
    Traceback (most recent call last):
    nobackprop.errors.InputError: cannot draw to 'traces.txt': expected a name that ends in .png, .svg, .pdf
    """
    from matplotlib.figure import Figure

    figures.check_ending(path)
    sizes = sorted({record["parameters"] for record in records})
    figure = Figure(figsize=(3.6 * len(sizes), 3.6), layout="constrained")
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    methods = list(dict.fromkeys(record["method"] for record in records))
    looks = dict(zip(methods, figures.looks(methods), strict=True))
    for panel, size in zip(panels, sizes, strict=True):
        for record in records:
            if record["parameters"] == size:
                for i, trace in enumerate(record["traces"]):
                    panel.plot(trace.passes, trace.losses, linewidth=1.2,
                               **looks[record["method"]] | ({"label": "_"} if i else {}))
        panel.axhline(TARGET, color="#BBBBBB", linewidth=0.8)
        panel.set(title=f"{size} parameters", xlabel="passes through the network", xscale="log")
        figures.open_frame(panel)
    panels[0].set(ylabel="least training loss so far")
    figures.legend(figure, *panels[0].get_legend_handles_labels())
    figures.title(figure, f"How many passes a training loss of {TARGET:g} needs")
    figures.write(figure, path)


def main(argv: list[str]) -> None:
    """Print the table, and draw the figure if one is named.

    Parameters
    ----------
    argv : list of str
        The arguments of the command: nothing, or the name of a figure.

    Raises
    ------
    SystemExit
        If there are other arguments, or if the figure cannot be written.

    Examples
    --------
    >>> main(["--help"])
    Traceback (most recent call last):
    SystemExit: usage: python -m nobackprop.studies.gradient_free [FIGURE]
    """
    if len(argv) > 1 or any(argument.startswith("-") for argument in argv):
        sys.exit("usage: python -m nobackprop.studies.gradient_free [FIGURE]")
    try:
        for path in argv:
            figures.check_ending(path)
        print(HEAD, flush=True)
        records = compare(note=lambda row: print(row, flush=True))
        for path in argv:
            draw(records, path)
    except (InputError, OSError) as error:
        sys.exit(f"nobackprop.studies.gradient_free: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
