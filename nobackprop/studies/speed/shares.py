"""Where the time of a training step goes: the share of each part, for every network and several rules, on one thread.

    python -m nobackprop.studies.speed.shares           # measure what is missing, then write the page
    python -m nobackprop.studies.speed.shares --page    # write the page docs/performance.md from what is stored

Python's profiler (cProfile) says how long each function ran itself, without the functions that it called.  A function
of the package belongs to a part.  A function of NumPy or of Python belongs to the part of the function of the package
that called it.  The profiler makes each call longer, and this counts as time of the function that calls.  What it adds
to a call that does nothing is measured, and subtracted from the caller for each of its calls.
"""
from __future__ import annotations

import cProfile
import pstats
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ... import workers
from ...errors import InputError
from ..measured import Row, Store, machine, said, table
from .bench import random_run, stepper
from .overview import NETWORKS, PAGE

MODULE = "nobackprop.studies.speed.shares"
STORE = Store("shares", Path("docs") / "results" / "studies" / "shares.json", "nobackprop shares 1")
PACKAGE = Path(__file__).resolve().parents[2]
RULES = ("bp", "las", "asap", "al")
SECONDS, FEWEST = 1.0, 2  # of steps in a profile
CALLS = 100_000  # that do nothing, to see what the profiler adds to a call
# by file, or by file and function: the part; what is not named here of the package is the engine
PARTS: dict[tuple[str, ...], str] = {
    ("kernels/linear.py",): "products", ("heads.py",): "products",
    ("kernels/winograd.py", "_products"): "products", ("kernels/winograd.py", "<lambda>"): "products",  # its matmul
    ("kernels/winograd.py",): "patches and tiles", ("kernels/convolution.py",): "patches and tiles",
    ("kernels/unfold.py",): "patches and tiles", ("kernels/unfold.py", "elementwise"): "activations and sums",
    ("kernels/activation.py",): "activations and sums", ("kernels/dropout.py",): "activations and sums",
    ("layers.py", "<lambda>"): "activations and sums",  # delta times the derivative
    ("kernels/pool.py",): "pooling", ("kernels/normalize.py",): "normalisation", ("kernels/loss.py",): "loss",
    ("optim.py",): "optimiser", ("studies/speed/bench.py",): "the batch",
}
ENGINE, OTHER = "engine and rule", "other"
COLUMNS = ("products", "patches and tiles", "activations and sums", "pooling", "normalisation", "optimiser", ENGINE,
           "loss", "the batch", OTHER)

Function = tuple[str, int, str]  # as pstats names it: file, line, name
# for each function: calls that began another one of themselves or not, all calls, seconds itself, seconds with what it
# called; and the same from each caller
Stats = dict[Function, tuple[int, int, float, float, dict[Function, tuple[int, int, float, float]]]]


def part(function: Function) -> str | None:
    """Return the part that a function belongs to, or None for a function outside of the package.

    Parameters
    ----------
    function : tuple
        File, line and name.

    Returns
    -------
    str or None

    Examples
    --------
    >>> [part((str(PACKAGE / file), 1, name)) for file, name in (("kernels/linear.py", "outer"), ("layers.py", "init"))]
    ['products', 'engine and rule']
    >>> part(("~", 0, "<built-in method builtins.len>")) is None
    True
    """
    path = Path(function[0])
    if not path.is_relative_to(PACKAGE):
        return None
    file = path.relative_to(PACKAGE).as_posix()
    return PARTS.get((file, function[2])) or PARTS.get((file,)) or ENGINE


def shares(stats: Stats, added: float = 0.0) -> dict[str, float]:
    """Divide the time that was profiled among the parts.

    Parameters
    ----------
    stats : dict
        What `pstats.Stats` has under "stats".
    added : float
        The seconds that the profiler adds to a call.

    Returns
    -------
    dict
        For each part of COLUMNS its share; together they are 1.

    Examples
    --------
    >>> file = str(PACKAGE / "optim.py")
    >>> found = shares({(file, 1, "update"): (1, 1, 3.0, 4.0, {}),
    ...                 ("~", 0, "sqrt"): (1, 1, 1.0, 1.0, {(file, 1, "update"): (1, 1, 1.0, 1.0)})})
    >>> found["optimiser"]
    1.0
    """
    def causes(function: Function, seen: frozenset[Function]) -> dict[str, float]:
        """The parts that called a function, each with the share of its time; nothing if none of the package did."""
        own, found = part(function), defaultdict[str, float](float)
        if own is not None:
            return {own: 1.0}
        callers = {caller: edge for caller, edge in stats[function][4].items() if caller not in seen}
        timed = any(edge[2] for edge in callers.values())
        for caller, edge in callers.items():
            for name, share in causes(caller, seen | {caller}).items():
                found[name] += share * (edge[2] if timed else edge[1])
        total = sum(found.values())
        return {name: amount / total for name, amount in found.items()} if total else {}

    seconds, made = defaultdict[str, float](float), defaultdict[Function, int](int)
    for *_, callers in stats.values():
        for caller, edge in callers.items():
            made[caller] += edge[1]
    for function, (_, _, itself, _, _) in stats.items():
        for name, share in (causes(function, frozenset({function})) or {OTHER: 1.0}).items():
            seconds[name] += share * max(0.0, itself - added * made[function])
    total = sum(seconds.values())
    return {name: seconds[name] / total for name in COLUMNS}


def profiled(one_step: Callable[[], None], steps: int) -> Stats:
    """Return what the profiler says of some steps.

    Examples
    --------
    >>> isinstance(profiled(lambda: None, 2), dict)
    True
    """
    profile = cProfile.Profile(time.thread_time)  # whatever else the machine does
    profile.enable()
    for _ in range(steps):
        one_step()
    profile.disable()
    found: Stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    return found


def added_to_a_call() -> float:
    """Return the seconds that the profiler adds to a call.

    Examples
    --------
    >>> 0 <= added_to_a_call() < 1e-4
    True
    """
    def nothing() -> None:
        pass

    def calls() -> None:
        for _ in range(CALLS):
            nothing()

    def timed(act: Callable[[], object]) -> float:
        start = time.thread_time()
        act()
        return time.thread_time() - start
    return max(0.0, timed(lambda: profiled(calls, 1)) - timed(calls)) / CALLS


def measure(cell: Row, seconds: float = SECONDS) -> list[Row]:
    """Profile the steps of one rule on one network.

    Parameters
    ----------
    cell : dict
        "model", "data", "batch_size" and "rule".
    seconds : float
        How long the profiled steps take, about; there are FEWEST steps or more.

    Returns
    -------
    list of dict
        One row: "steps" and "shares"; or "refused", a sentence, if the network cannot learn under the rule.

    Examples
    --------
    >>> [row] = measure({"model": "mlp:8", "data": "digits", "batch_size": 4, "rule": "bp"}, seconds=0.01)
    >>> round(sum(row["shares"].values()), 9)
    1.0
    """
    try:
        run = random_run(cell["model"], cell["data"], cell["rule"], cell["batch_size"], "adam")
    except InputError as error:
        return [{"refused": str(error)}]
    with workers.limit(1), np.errstate(over="ignore", invalid="ignore"):
        one_step = stepper(run)
        one_step()
        start = time.perf_counter()
        one_step()
        steps = max(FEWEST, int(seconds / (time.perf_counter() - start)))
        return [{"steps": steps, "shares": shares(profiled(one_step, steps), added_to_a_call())}]


def cells() -> list[Row]:
    """Return all that is measured, in order.

    Examples
    --------
    >>> cells()[0]
    {'model': 'mlp:128,128', 'data': 'digits', 'batch_size': 64, 'rule': 'bp'}
    """
    return [{"model": model, "data": data, "batch_size": batch, "rule": rule}
            for model, data, batch in NETWORKS for rule in RULES]


def text(stored: dict[str, Any]) -> str:
    """Return the table of docs/performance.md.

    Parameters
    ----------
    stored : dict
        What `STORE` reads.

    Returns
    -------
    str
        Markdown, with shares in percent.

    Examples
    --------
    >>> row = cells()[0] | {"steps": 3, "shares": dict.fromkeys(COLUMNS, 0.1)}
    >>> print(text({"machine": {}, "rows": [row]}).splitlines()[4])
    | mlp:128,128, batch 64 | bp | 10 | 10 | 10 | 10 | 10 | 10 | 10 | 10 | 10 | 10 |
    """
    rows = [[f"{row['model']}, batch {row['batch_size']}", row["rule"],
             *(f"{100 * row['shares'][name]:.0f}" for name in COLUMNS)] for row in stored["rows"] if "shares" in row]
    if not rows:
        return STORE.nothing
    return said(stored["machine"]) + "\n\n" + table(["percent of a step", "rule", *COLUMNS], rows) + "\n"


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
    SystemExit: usage: python -m nobackprop.studies.speed.shares [--page]
    """
    STORE.command(argv, MODULE, lambda: STORE.fill(machine("numpy"), cells(), measure), PAGE, text)


if __name__ == "__main__":
    main(sys.argv[1:])
