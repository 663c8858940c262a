"""How many steps a second the pipeline makes, next to the same stations one after another, and next to a model.

The inputs are random, as in bench.  The measurements take turns, so that all of them see the machine in the same state.
A mini-batch is one batch of the stream, and a turn is a number of mini-batches that one way of working does at once.
"""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from ... import figures, metrics
from ...backend import synchronize
from ...errors import integer
from ...learn import Run
from ...optim import bind
from ...workers import cores, limit
from .. import pipeline
from ..pipeline import Batch, Station, assemble, makespan, one_by_one, one_worker, shares
from .bench import random_run, stepper

PAPER = "mlp:1024,1024,5120,1024,1024"
SECONDS, FEWEST, MOST, ROUNDS = 1.5, 8, 200, 5  # of a turn; its fewest and most mini-batches; turns
COMPONENTS = (1, 2, 4, 8, 16, 32, 64)
EPOCH = 1000  # mini-batches of the extrapolation


def measure(model: str = PAPER, data: str = "mnist", rule: str = "al", batch_size: int = 128, optimizer: str = "adam",
            device: str = "cpu", workers: int = 2, threads: int | None = None, steps: int | None = None,
            rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure what the pipeline gains.

    Parameters
    ----------
    model, data, rule : str
        The names of the model, of the data set whose shape and classes the inputs have, and of the rule.
    batch_size : int
        The number of samples in a mini-batch.
    optimizer : str
        The name of the optimiser.
    device : str
        'cpu', 'cuda' or 'cuda:N'.
    workers : int
        The number of workers of the pipeline.
    threads : int, optional
        The number of threads of the two runs with threads; None stands for all cores that the process may use.
    steps : int, optional
        The number of mini-batches in a turn; None stands for as many as take about 1.5 s.
    rounds : int
        The number of turns.

    Returns
    -------
    dict
        What was asked for, and:

        - "steps_per_second": medians over the turns for "pipeline"; for "sequential", the same stations one after
          another (both have one BLAS thread for each worker); for "sequential_blas", which has all BLAS threads; for
          "sequential_threads", which has threads of the library that split rows and samples; and for "bp", a step of
          backpropagation on the same network on one thread.
        - "speedup": of the pipeline over "sequential" in the same turn, "median" and the quartiles "low" and "high".
        - "parameters": how many are "effective" (prediction needs them) and how many "affiliated".
        - "stations": for each station the "ms" of a mini-batch on one thread, and the "worker" that has it.
        - "model_speedup": the speedup over "sequential" that these times give if communication costs nothing: "here"
          for the same number of mini-batches, and "limit" for very many.
        - "points": "mini_batches", and the seconds that these numbers of them took, "pipeline" and "sequential".
        - "extrapolation": for several numbers of equal "components", each with a worker of its own, the "speedup" for
          1000 mini-batches.

    Raises
    ------
    InputError
        If a name is unknown, if blocks of the rule wait for each other, or if a number is below 1.

    Examples
    --------
    >>> found = measure("mlp:4,4", "digits", batch_size=2, optimizer="sgd", threads=1, steps=2, rounds=1)
    >>> list(found["steps_per_second"])
    ['pipeline', 'sequential', 'sequential_blas', 'sequential_threads', 'bp']
    """
    for name, value in (("workers", workers), ("steps", steps), ("rounds", rounds), ("batch_size", batch_size)):
        if value is not None:
            integer(name, value, 1)
    threads = cores() if threads is None else threads
    run = random_run(model, data, rule, batch_size, optimizer, device)
    line = assemble(run.net, run.rule, run.params, run.state, lambda tree: bind(optimizer, tree, run.settings.lr))
    stream = batches(run)
    one_bp = stepper(random_run(model, data, "bp", batch_size, optimizer, device))
    with one_worker(), np.errstate(over="ignore", invalid="ignore"):
        costs = station_seconds(line, stream, run.xp)
        steps = steps or min(max(int(SECONDS / sum(costs)), FEWEST), MOST)
        parts = shares([station.weight for station in line], workers)

    def pipelined(n: int) -> None:
        pipeline.run(line, itertools.islice(stream, n), workers)

    def sequential(n: int, how: Callable[[], AbstractContextManager[Any]] = one_worker) -> None:
        with how():
            one_by_one(line, itertools.islice(stream, n))

    def backpropagation(n: int) -> None:
        with one_worker():
            for _ in range(n):
                one_bp()

    modes: dict[str, Callable[[int], None]] = {
        "pipeline": pipelined, "sequential": sequential,
        "sequential_blas": partial(sequential, how=lambda: threadpool_limits(threads, user_api="blas")),
        "sequential_threads": partial(sequential, how=lambda: limit(threads)),
        "bp": backpropagation}

    def seconds(mode: Callable[[int], None], n: int) -> float:
        start = time.perf_counter()
        mode(n)
        synchronize(run.xp)
        return time.perf_counter() - start

    with np.errstate(over="ignore", invalid="ignore"):
        taken = np.array([[seconds(mode, steps) for mode in modes.values()] for _ in range(rounds)])
        counts = sorted({2**k for k in range(12) if 2**k < steps} | {steps})
        points = {"mini_batches": counts, **{name: [seconds(modes[name], n) for n in counts]
                                             for name in ("pipeline", "sequential")}}
    low, median, high = map(float, np.quantile(taken[:, 1] / taken[:, 0], (0.25, 0.5, 0.75)))
    shared = [sum(costs[part]) for part in parts]
    return {"rule": rule, "model": model, "data": data, "optimizer": optimizer, "batch_size": batch_size,
            "parameters": {"effective": metrics.size(run.params), "affiliated": metrics.size(run.state)},
            "device": device, "workers": len(parts), "threads": threads, "steps": steps, "rounds": rounds,
            "steps_per_second": {name: float(np.median(steps / taken[:, k])) for k, name in enumerate(modes)},
            "speedup": {"median": median, "low": low, "high": high},
            "stations": [{"ms": 1e3 * cost, "worker": next(w for w, part in enumerate(parts) if k < part.stop)}
                         for k, cost in enumerate(costs)],
            "model_speedup": {"here": makespan(steps, [sum(costs)]) / makespan(steps, shared),
                              "limit": sum(costs) / max(shared)},
            "points": points,
            "extrapolation": [{"components": c, "speedup": makespan(EPOCH, [c]) / makespan(EPOCH, [1] * c)}
                              for c in COMPONENTS]}


def batches(run: Run) -> Iterator[Batch]:
    """Yield the mini-batches of a run, in one order again and again.

    Parameters
    ----------
    run : Run
        The run.

    Yields
    ------
    tuple of Array
        The inputs (N, ...) and the one-hot targets (N, C).

    Examples
    --------
    >>> from nobackprop.studies.speed.bench import random_run
    >>> run = random_run("mlp:4", "digits", "bp", 2, "sgd")
    >>> [array.shape for array in next(batches(run))]
    [(2, 8, 8, 1), (2, 10)]
    """
    order = run.xp.asarray(run.rng.permutation(len(run.x)))
    for i in itertools.cycle(order.reshape(-1, run.settings.batch_size)):
        yield run.x[i], run.y[i]


def station_seconds(line: Sequence[Station], stream: Iterator[Batch], xp: Any, repeats: int = 5) -> list[float]:
    """Return how long a mini-batch takes at each station, the least of several times.

    Parameters
    ----------
    line : sequence of Station
        The stations, which learn while they are timed.
    stream : iterator of (Array, Array)
        The mini-batches; `repeats` of them are taken.
    xp : module
        The array module of the device, numpy or cupy.
    repeats : int
        How often each station is timed.

    Returns
    -------
    list of float
        The seconds of each station.

    Examples
    --------
    >>> import itertools
    >>> import numpy as np
    >>> from nobackprop.studies.pipeline import Station
    >>> class Idle(Station):
    ...     def step(self, s, t):
    ...         return (s, t), ()
    >>> len(station_seconds([Idle(), Idle()], itertools.repeat((1, 0)), np))
    2
    """
    taken = np.empty((repeats, len(line)))
    for j in range(repeats):
        s, t = next(stream)
        for k, station in enumerate(line):
            start = time.perf_counter()
            (s, t), _ = station.step(s, t)
            synchronize(xp)
            taken[j, k] = time.perf_counter() - start
    return [float(least) for least in taken.min(0)]


def describe(result: dict[str, Any]) -> str:
    """Return the lines that tell a person what `measure` found.

    Parameters
    ----------
    result : dict
        What `measure` returned.

    Returns
    -------
    str
        Several lines for a terminal.

    Examples
    --------
    >>> result = {"rule": "al", "model": "mlp:8,8,8,8", "data": "digits", "optimizer": "sgd",
    ...           "batch_size": 4, "device": "cpu", "parameters": {"effective": 700, "affiliated": 400},
    ...           "workers": 2, "threads": 2, "steps": 4,
    ...           "steps_per_second": {"pipeline": 900.0, "sequential": 600.0, "sequential_blas": 650.0,
    ...                                "sequential_threads": 550.0, "bp": 1000.0},
    ...           "speedup": {"median": 1.5, "low": 1.4, "high": 1.6}, "model_speedup": {"here": 1.6, "limit": 2.0},
    ...           "stations": [{"ms": 1.0, "worker": 0}, {"ms": 1.0, "worker": 1}],
    ...           "points": {"mini_batches": [1, 4], "pipeline": [0.002, 0.005], "sequential": [0.002, 0.008]},
    ...           "extrapolation": [{"components": 2, "speedup": 2.0}]}
    >>> print(describe(result).splitlines()[3])
    pipeline  900 steps/s with 2 workers on cpu, one BLAS thread each
    """
    rate, gain, model = result["steps_per_second"], result["speedup"], result["model_speedup"]
    lines = {
        "step": f"rule {result['rule']}, {result['model']} on inputs as of {result['data']}, batch size "
                f"{result['batch_size']}, {result['optimizer']}",
        "weights": f"{result['parameters']['effective']:,} effective parameters, "
                   f"{result['parameters']['affiliated']:,} affiliated ones, which prediction does not need",
        "stations": ", ".join(f"{station['ms']:.3g} ms (worker {station['worker'] + 1})"
                              for station in result["stations"]),
        "pipeline": f"{rate['pipeline']:.3g} steps/s with {result['workers']} worker{'s' * (result['workers'] > 1)} on "
                    f"{result['device']}, one BLAS thread each" + "; the network has one component, so "
                    "nothing can run at the same time" * (len(result["stations"]) == 1),
        "in turn": f"{rate['sequential']:.3g} steps/s by the same stations one after another, one BLAS thread: the "
                   f"pipeline is {gain['median']:.2f} times as fast (quartiles {gain['low']:.2f} and "
                   f"{gain['high']:.2f})",
        "": f"{rate['sequential_blas']:.3g} steps/s with {result['threads']} BLAS threads, "
            f"{rate['sequential_threads']:.3g} with {result['threads']} threads of the library's own",
        "bp": f"{rate['bp']:.3g} steps/s of backpropagation, one thread",
        "model": f"sum + (n - 1) max of the workers' times says {model['here']:.2f} for {result['steps']} "
                 f"mini-batches, {model['limit']:.2f} for many",
        "more": f"n + c - 1 against n c for {EPOCH} mini-batches and c equal components, each with a worker, "
                "extrapolated: " + ", ".join(f"{row['speedup']:.3g} for c = {row['components']}"
                                             for row in result["extrapolation"]),
    }
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


def draw(result: dict[str, Any]) -> Figure:
    """Draw what `measure` found.

    Parameters
    ----------
    result : dict
        What `measure` returned.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels: the seconds of numbers of mini-batches, measured, on the lines of the model; and the seconds of 1000
        mini-batches over the number of hidden layers, extrapolated.

    Examples
    --------
    >>> result = {"rule": "al", "model": "mlp:8,8,8,8", "data": "digits", "optimizer": "sgd",
    ...           "batch_size": 4, "device": "cpu", "parameters": {"effective": 700, "affiliated": 400},
    ...           "workers": 2, "threads": 2, "steps": 4,
    ...           "steps_per_second": {"pipeline": 900.0, "sequential": 600.0, "sequential_blas": 650.0,
    ...                                "sequential_threads": 550.0, "bp": 1000.0},
    ...           "speedup": {"median": 1.5, "low": 1.4, "high": 1.6}, "model_speedup": {"here": 1.6, "limit": 2.0},
    ...           "stations": [{"ms": 1.0, "worker": 0}, {"ms": 1.0, "worker": 1}],
    ...           "points": {"mini_batches": [1, 4], "pipeline": [0.002, 0.005], "sequential": [0.002, 0.008]},
    ...           "extrapolation": [{"components": 2, "speedup": 2.0}]}
    >>> [axes.get_xlabel() for axes in draw(result).axes]
    ['mini-batches n', 'hidden layers l']
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    measured, more = figure.subplots(1, 2)
    stations, points = result["stations"], result["points"]
    costs = [station["ms"] / 1e3 for station in stations]
    shared = [sum(cost for cost, station in zip(costs, stations) if station["worker"] == w)
              for w in range(result["workers"])]
    n = np.array(points["mini_batches"])
    colour = figures.colour_of(figures.split(result["rule"])[0])
    for name, of, line, mark in (("pipeline", shared, "-", "o"), ("sequential", [sum(costs)], "--", "s")):
        measured.plot(n, [makespan(k, of) for k in n], line, color=colour, lw=1, label=f"{name}, model")
        measured.plot(n, points[name], mark, color=colour, ms=4, label=f"{name}, measured")
    measured.set(xlabel="mini-batches n", ylabel="seconds", xlim=(0, None), ylim=(0, None))
    figures.title(figure, f"{result['rule']}, {result['model']}")
    measured.set_title("Measured, on the lines of the model")
    layers, unit = 2 * np.array(COMPONENTS), sum(costs) / len(costs)
    more.loglog(layers, [unit * makespan(EPOCH, [c]) for c in COMPONENTS], "--", color=colour, lw=1,
                label="O(n l)")
    more.loglog(layers, [unit * makespan(EPOCH, [1] * c) for c in COMPONENTS], "-", color=colour, lw=1,
                label="O(n + l), a worker each")
    steps = result["steps_per_second"]
    for name, mark, workers in (("pipeline", "o", result["workers"]), ("sequential", "s", 1)):
        more.plot(2 * len(costs), EPOCH / steps[name], mark, color=colour, ms=4,
                  label=f"{name} here, {workers} worker{'s' * (workers != 1)}")
    more.set(xlabel="hidden layers l", ylabel=f"seconds of {EPOCH} mini-batches", title="Extrapolated to more layers")
    figures.open_frame(measured, more)
    handles, labels = zip(*(pair for axes in (measured, more) for pair in zip(*axes.get_legend_handles_labels())))
    figures.legend(figure, handles, labels)
    return figure
