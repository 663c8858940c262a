"""`make bench-all`: every network under every rule against PyTorch, by turns, with one thread and with two.

    python -m nobackprop.studies.speed.overview            # measure what is missing, then write page and figure
    python -m nobackprop.studies.speed.overview --page     # write page and figure from what is stored

A cell, as measured.py says, is a network with a number of threads and a processor's kernels.  All rules of a cell and
PyTorch's backpropagation take turns in one process of its own, so that all see the machine in the same state.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ... import figures, workers
from ...backend import synchronize
from ...errors import InputError
from ..measured import Store, machine, said
from . import torch_twin
from .bench import burst, random_run, stepper

STORE = Store("bench-all", Path("docs") / "results" / "studies" / "performance.json", "nobackprop performance 1")
PAGE, FIGURE = (Path("docs") / name for name in ("performance.md", "performance.png"))
NETWORKS = (("mlp:128,128", "digits", 64), ("mlp:1024,1024", "mnist", 64), ("conv3", "cifar-10", 64),
            ("vgg:0.25", "cifar-10", 64), ("resnet18:0.25", "cifar-10", 64), ("resnet18:0.5", "cifar-10", 64),
            ("resnet18", "cifar-10", 16))
RULES = ("bp", "las", "dfa", "asap", "al")
# the step divided by PyTorch's that a network should not exceed under a rule, on both kinds of kernels and any threads
AIMS = {"mlp:1024,1024": {"bp": 0.8, "las": 0.7, "dfa": 0.7}, "conv3": {"bp": 0.55, "las": 0.42},
        "vgg:0.25": {"bp": 0.85}, "resnet18:0.25": {"bp": 1.1}, "resnet18:0.5": {"bp": 0.9}, "resnet18": {"bp": 0.8}}
THREADS = (1, 2)
# by name: what the environment says so that NumPy and PyTorch use kernels for such a processor
KERNELS: dict[str, dict[str, str]] = {
    "this processor": {},
    "AVX2 in NumPy": {"OPENBLAS_CORETYPE": "Haswell"},  # on AMD's Zen 4 these are faster than those for AVX-512
    "AVX2": {"OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
             "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
}
SECONDS = 15.0  # of turns in a cell: 42 cells in twenty minutes
FEWEST, MOST = 5, 400
TICKS = (0.25, 0.5, 1, 2)


def measure(model: str, data: str, batch_size: int, threads: int, seconds: float = SECONDS,
            device: str = "cpu") -> list[dict[str, Any]]:
    """Measure one network with all rules against PyTorch, in this process.

    Parameters
    ----------
    model, data : str
        The network, and the data set whose shape the inputs have.
    batch_size, threads : int
    seconds : float
        How long the turns take, about; there are FEWEST turns or more.
    device : str
        'cpu', or 'cuda' for CuPy and PyTorch on a GPU.  There a step has ended when the device has done all of it.

    Returns
    -------
    list of dict
        A row for each rule: "rule", "ms" (the median of its step), "low", "median" and "high" (the quartiles of its
        step divided by PyTorch's step of the same turn), and "turns".  If the network cannot learn under a rule:
        "rule" and "refused", a sentence.

    Raises
    ------
    InputError
        If PyTorch is not installed.

    Examples
    --------
    >>> rows = measure("mlp:8", "digits", 4, 1, seconds=0.1)  # doctest: +SKIP
    """
    torch, refused, runs = torch_twin.load(), {}, {}
    for rule in RULES:
        try:
            runs[rule] = random_run(model, data, rule, batch_size, "adam", device)
        except InputError as error:
            refused[rule] = str(error)
    names = list(runs)
    with (workers.limit(threads), torch_twin.threads_of(torch, threads),
          np.errstate(over="ignore", invalid="ignore")):
        steps = [*map(stepper, runs.values()), torch_twin.stepper(runs["bp"], device)]
        if device != "cpu":
            ours = partial(synchronize, runs["bp"].xp)
            steps = [partial(_in_order, one_step, wait) for one_step, wait in zip(
                steps, [*[ours] * len(runs), torch.cuda.synchronize], strict=True)]
        spent = turns(steps, seconds, threads)
    ratios = spent[:-1] / spent[-1]
    rows = [{"rule": rule, "ms": 1e3 * float(np.median(spent[i])), "turns": spent.shape[1],
             **dict(zip(("low", "median", "high"), np.quantile(ratios[i], (0.25, 0.5, 0.75)).tolist(), strict=True))}
            for i, rule in enumerate(names)]
    torch_ms = 1e3 * float(np.median(spent[-1]))
    return [row | {"torch_ms": torch_ms} for row in rows] + [
        {"rule": rule, "refused": why} for rule, why in refused.items()]


def _in_order(one_step: Callable[[], None], wait: Callable[[], None]) -> None:
    """Take a step, and wait until the device has done it."""
    one_step()
    wait()


def turns(steps: Sequence[Callable[[], None]], seconds: float, threads: int = 1) -> np.ndarray:
    """Time steps of several functions by turns, for about so long.

    Parameters
    ----------
    steps : sequence of callable
    seconds : float
    threads : int
        The number of threads that a step has: see `bench.burst`.

    Returns
    -------
    numpy.ndarray, shape (steps, turns)
        Seconds; the first turn, in which all is made that a step needs, does not count.

    Examples
    --------
    >>> turns([lambda: None, lambda: None], 0.0).shape
    (2, 5)
    """
    usual = [burst(step) for step in steps]
    rows: list[list[float]] = []
    start = time.perf_counter()
    while len(rows) < FEWEST or (len(rows) < MOST and time.perf_counter() - start < seconds):
        rows.append([burst(step, once, threads) for step, once in zip(steps, usual, strict=True)])
    return np.array(rows).T


def cells() -> list[dict[str, Any]]:
    """Return all that is measured, in order.

    Examples
    --------
    >>> cells()[0]
    {'model': 'mlp:128,128', 'data': 'digits', 'batch_size': 64, 'threads': 1, 'kernels': 'this processor'}
    """
    return [{"model": model, "data": data, "batch_size": batch, "threads": threads, "kernels": kernels}
            for kernels in KERNELS for model, data, batch in NETWORKS for threads in THREADS]


def in_process(cell: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure a cell in a process of its own, as kernels are chosen when a process starts.

    Parameters
    ----------
    cell : dict

    Returns
    -------
    list of dict
        Its rows.

    Raises
    ------
    InputError
        If the process fails.

    Examples
    --------
    >>> rows = in_process(cells()[0])  # doctest: +SKIP
    """
    asked = json.dumps([cell[key] for key in ("model", "data", "batch_size", "threads")])
    print(*cell.values(), file=sys.stderr, flush=True)
    came = subprocess.run([sys.executable, "-m", __name__ if __name__ != "__main__" else MODULE, "--cell", asked],
                          env=os.environ | KERNELS[cell["kernels"]], stdout=subprocess.PIPE, text=True)
    if came.returncode:
        raise InputError(f"the measurement of {cell['model']} ended with code {came.returncode}")
    return list(json.loads(came.stdout))


MODULE = "nobackprop.studies.speed.overview"


def tables(stored: dict[str, Any]) -> str:
    """Return the tables of docs/performance.md: a step here divided by PyTorch's, with the quartiles.

    Parameters
    ----------
    stored : dict
        What `STORE` reads.

    Returns
    -------
    str
        Markdown: a table for each kind of kernels, one of the aims, and one of what the second thread brings.

    Examples
    --------
    >>> cell = {**cells()[0], "rule": "bp", "ms": 3.0, "torch_ms": 4.0, "low": 0.7, "median": 0.75, "high": 0.8}
    >>> print(tables({"machine": {"cores": "2"}, "rows": [cell]}).splitlines()[4])
    | mlp:128,128, batch 64 | 1 | **0.75** (0.70, 0.80) | | | | |
    """
    if not stored["rows"]:
        return STORE.nothing
    parts, by_cell = [said(stored["machine"])], _by_cell(stored)
    for kernels in KERNELS:
        lines = [f"| kernels for {kernels} | threads | {' | '.join(RULES)} |", "|---" * (2 + len(RULES)) + "|"]
        for model, data, batch in NETWORKS:
            for threads in THREADS:
                found = [by_cell.get((model, data, batch, threads, kernels, rule)) for rule in RULES]
                if any(found):
                    texts = " | ".join(map(_text, found))
                    lines.append(f"| {model}, batch {batch} | {threads} | {texts} |".replace("|  |", "| |").replace(
                        "|  |", "| |"))
        if len(lines) > 2:
            parts.append("\n".join(lines))
    return "\n\n".join([*parts, f"![The same, as points with quartiles]({FIGURE.name})", _aims(by_cell),
                          _second(by_cell)]) + "\n"


Rows = dict[tuple[Any, ...], dict[str, Any]]


def _by_cell(stored: dict[str, Any]) -> Rows:
    """The rows by model, data, batch size, threads, kernels and rule."""
    return {tuple(row[key] for key in ("model", "data", "batch_size", "threads", "kernels", "rule")): row
            for row in stored["rows"]}


def _aims(by_cell: Rows) -> str:
    """The table of the aims, and by how much each is missed."""
    columns = [(kernels, threads) for kernels in KERNELS for threads in THREADS]
    lines = [f"| network | rule | aim | {' | '.join(f'{k}, {t} thread' + 's' * (t > 1) for k, t in columns)} |",
             "|---" * (3 + len(columns)) + "|"]
    for model, data, batch in NETWORKS:
        for rule, aim in AIMS.get(model, {}).items():
            found = [by_cell.get((model, data, batch, threads, kernels, rule)) for kernels, threads in columns]
            texts = ["" if row is None else f"**{row['median']:.2f}**" if row["median"] <= aim else
                     f"{row['median']:.2f}, {100 * (row['median'] / aim - 1):.0f} % above" for row in found]
            lines.append(f"| {model}, batch {batch} | {rule} | {aim:.2f} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _second(by_cell: Rows) -> str:
    """The table of the second thread: the time of a step of bp with one thread, divided by that with two."""
    lines = [f"| with two threads, a step of bp is so many times as fast | {' | '.join(KERNELS)} | PyTorch, "
             f"{' | PyTorch, '.join(KERNELS)} |", "|---" * (1 + 2 * len(KERNELS)) + "|"]
    for model, data, batch in NETWORKS:
        texts = []
        for clock in ("ms", "torch_ms"):
            for kernels in KERNELS:
                one, two = (by_cell.get((model, data, batch, threads, kernels, "bp")) for threads in THREADS)
                texts.append(f"{one[clock] / two[clock]:.2f}" if one and two else "")
        lines.append(f"| {model}, batch {batch} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _text(row: dict[str, Any] | None) -> str:
    """A field of a table."""
    if row is None:
        return ""
    return "-" if "refused" in row else f"**{row['median']:.2f}** ({row['low']:.2f}, {row['high']:.2f})"


def draw(stored: dict[str, Any]) -> Figure:
    """Draw the ratios: a panel for each kind of kernels and number of threads, a line of points for each network.

    Parameters
    ----------
    stored : dict
        What `STORE` reads.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(draw({"machine": {}, "rows": []}).axes)
    6
    """
    figure = Figure(figsize=(10, 10), layout="constrained")
    by_cell = _by_cell(stored)
    panels = figure.subplots(len(KERNELS), len(THREADS), sharex=True, sharey=True, squeeze=False)
    for (i, kernels), (j, threads) in ((a, b) for a in enumerate(KERNELS) for b in enumerate(THREADS)):
        axes = panels[i, j]
        for below, (rule, look, sign) in enumerate(zip(RULES, figures.looks(RULES), "os^Dv", strict=True),
                                                   -(len(RULES) // 2)):
            rows = [(k, row) for k, (model, data, batch) in enumerate(NETWORKS)
                    if "median" in (row := by_cell.get((model, data, batch, threads, kernels, rule), {}))]
            places = [k + 0.14 * below for k, _ in rows]  # no point hides another one
            axes.errorbar([row["median"] for _, row in rows], places, fmt=sign, markersize=4, label=rule,
                          color=look["color"], xerr=[[row["median"] - row["low"] for _, row in rows],
                                [row["high"] - row["median"] for _, row in rows]])
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_title(f"{kernels}, {threads} thread{'s' * (threads > 1)}")
        axes.set_xscale("log")  # half the time and twice the time lie equally far from 1
        axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes.minorticks_off()
        axes.set_ylim(len(NETWORKS) - 0.5, -0.5)
        figures.names(axes, [f"{model}, {batch}" for model, _, batch in NETWORKS])
        figures.open_frame(axes)
    panels[-1, 0].set_xlabel("step / PyTorch's step")
    panels[-1, -1].set_xlabel("step / PyTorch's step")
    figures.legend(figure, *panels[0, 0].get_legend_handles_labels())
    return figure


def main(argv: list[str]) -> None:
    """Do what the command line asks for.

    Parameters
    ----------
    argv : list of str
        Nothing, or "--page".

    Raises
    ------
    SystemExit
        After other arguments, or if something cannot be measured or written; it holds one sentence.

    Examples
    --------
    >>> main(["--help"])
    Traceback (most recent call last):
    SystemExit: usage: python -m nobackprop.studies.speed.overview [--page]
    """
    if argv[:1] == ["--cell"] and len(argv) == 2:
        print(json.dumps(measure(*json.loads(argv[1]))))
        return
    stored = STORE.command(argv, MODULE, lambda: STORE.fill(machine("numpy", "torch"), cells(), in_process), PAGE,
                           tables)
    try:
        figures.write(draw(stored), FIGURE)
    except InputError as error:
        sys.exit(f"{MODULE}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
