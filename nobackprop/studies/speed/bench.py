"""How long a training step takes, how much arithmetic it does, and how much memory it needs.

The inputs are random arrays with the shape and the classes of a data set.  The time of a step depends on shapes alone,
so the data set need not be there.
"""
from __future__ import annotations

import itertools
import math
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from ... import models, rules, workers
from ...backend import synchronize
from ...data import Dataset, source
from ...data.own import called
from ...data.tasks import TASKS
from ...errors import InputError, check_name, integer, unknown
from ...kernels import winograd
from ...learn import Run, step
from ...room import check_room
from ...settings import CONVOLUTIONS, Settings
from ...tree import nodes, tree_map
from ...workers import cores
from . import torch_twin

POOL = 4096  # samples that batches are gathered from
WARM_UP = 5
SECONDS, FEWEST, MOST = 3.0, 20, 500  # of timed steps, if nobody says how many
# seconds until the threads of a library sleep: after a step they go on asking for work, and keep a core from the others
REST = 0.1
BURST = 0.1  # seconds of steps in a row that are not counted, and then of steps that are: a core wakes up slowly
AGAINST = ("torch",)
# by task: random targets, of a generator, a number of samples and a number of outputs
NOISE: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "classes": lambda rng, n, k: rng.integers(k, size=n), "numbers": lambda rng, n, k: rng.standard_normal((n, k)),
    "labels": lambda rng, n, k: rng.integers(2, size=(n, k))}


def measure(model: str = "mlp:1024,1024", data: str = "mnist", rule: str = "bp", batch_size: int = 64,
            optimizer: str = "adam", device: str = "cpu", threads: int | None = None,
            steps: int | None = None, against: str | None = None, convolution: str = "fast") -> dict[str, Any]:
    """Measure what one training step costs: `learn.step` on a mini-batch gathered from random inputs.

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
    threads : int, optional
        The number of worker threads; None stands for all cores that the process may use.
    steps : int, optional
        How many steps to time, one by one; None stands for as many as fit in about 3 s, from 20 to 500.
    against : str, optional
        'torch' takes turns with PyTorch, which does backpropagation, whatever the rule, on the same network and inputs,
        with the same optimiser and number of threads.
    convolution : str
        'fast' or 'patches', as of `Settings`.

    Returns
    -------
    dict
        What was asked for, and:

        - "ms_per_step": the milliseconds of a step, "median", "min", "max" and "spread" (the interquartile range).
        - "steps": how many were timed.
        - "gflop_per_step": the arithmetic of a step, counted while it runs.
        - "matmul_gflops": the GFLOP/s of large float32 products on this machine with the same number of threads.
        - "share_of_matmul_rate": what part of that rate a median step reaches.
        - "peak_bytes": what a step allocates on top of parameters, state, optimiser and inputs.
        - "against", if it was asked for: "name", "version" and "ms_per_step" of the other library, and "ratio", the
          time of a step here divided by the time of a step there in the same turn ("median", and the quartiles "low"
          and "high").

    Raises
    ------
    InputError
        If a name is unknown, if a number is below 1, or if PyTorch is asked for and is not installed or is to run on a
        device.

    Examples
    --------
    A measurement takes seconds, mostly for the large products:

    >>> print(describe(measure("mlp:4", "digits", batch_size=2)))  # doctest: +SKIP
    >>> measure(batch_size=0)
    Traceback (most recent call last):
    nobackprop.errors.InputError: batch_size must be at least 1, got 0
    """
    threads = cores() if threads is None else threads
    check_name("convolution", convolution, CONVOLUTIONS)
    for name, value in (("batch_size", batch_size), ("threads", threads), ("steps", steps)):
        if value is not None:
            integer(name, value, 1)

    if against is not None:
        _can_race(against, device)

    def prepare(device: str) -> Run:
        return random_run(model, data, rule, batch_size, optimizer, device)

    run = prepare(device)
    with (workers.limit(threads), np.errstate(over="ignore", invalid="ignore"),
          winograd.allowed(convolution == "fast")):
        one_step = stepper(run)
        extra: dict[str, Any] = {}
        if against is None:
            ms = 1e3 * time_steps(one_step, run.xp, steps)
        else:
            ms, extra["against"] = race_torch(run, one_step, threads, steps)
        peak = peak_bytes(one_step, run.xp)
        gflop = count_flops(prepare("cpu")).total() / 1e9
    with threadpool_limits(threads, user_api="blas"):
        rate = matmul_gflops(run.xp)
    spent = _summary(ms)
    return {"rule": rule, "model": model, "data": data, "optimizer": optimizer, "batch_size": batch_size,
            "threads": threads, "device": device, "convolution": convolution, "blas": blas(),
            "ms_per_step": spent, "steps": len(ms), "gflop_per_step": gflop, "matmul_gflops": rate,
            "share_of_matmul_rate": gflop / (spent["median"] / 1e3) / rate, "peak_bytes": peak, **extra}


def blas() -> str:
    """Name the library that multiplies NumPy's matrices, its version, and the processor that its kernels are for.

    Returns
    -------
    str
        "BLAS" alone if the library does not say what it is.

    Examples
    --------
    >>> isinstance(blas(), str)
    True
    """
    for library in threadpool_info():
        if library["user_api"] == "blas":
            name, kernels = f"{library['internal_api']} {library['version']}", library.get("architecture")
            return f"{name} ({kernels} kernels)" if kernels else name
    return "BLAS"


def _summary(ms: np.ndarray) -> dict[str, float]:
    """Return median, least, largest and interquartile range of some times."""
    low, quarter, median, three_quarters, high = map(float, np.quantile(ms, (0, 0.25, 0.5, 0.75, 1)))
    return {"median": median, "min": low, "max": high, "spread": three_quarters - quarter}


def _can_race(against: str, device: str) -> None:
    """Raise InputError if there is no library of that name to measure, or if it cannot run on that device."""
    if against not in AGAINST:
        raise unknown("library to measure against", against, AGAINST)
    if device != "cpu":
        raise InputError(f"a comparison with PyTorch runs on the cpu, not on '{device}'")
    torch_twin.load()


def race_torch(run: Run, one_step: Callable[[], None], threads: int,
               steps: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
    """Take turns with PyTorch, and time the steps of both.

    Parameters
    ----------
    run : Run
        The run whose network, inputs and optimiser PyTorch is to use.
    one_step : callable
        A function that takes the next step of the run.
    threads : int
        The number of threads of PyTorch.
    steps : int, optional
        How many steps to time; None as in `measure`.

    Returns
    -------
    tuple of numpy.ndarray, shape (steps,), and dict
        The milliseconds of each step of the run, and what `measure` reports as "against".

    Raises
    ------
    InputError
        If PyTorch is not installed.

    Examples
    --------
    >>> run = random_run("mlp:4", "digits", "bp", 2, "sgd")
    >>> ms, torch = race_torch(run, stepper(run), threads=1, steps=20)  # doctest: +SKIP
    """
    torch = torch_twin.load()
    with torch_twin.threads_of(torch, threads):
        ours, theirs = 1e3 * time_in_turns([one_step, torch_twin.stepper(run)], steps, threads)
    low, median, high = map(float, np.quantile(ours / theirs, (0.25, 0.5, 0.75)))
    return ours, {"name": "torch", "version": str(torch.__version__), "ms_per_step": _summary(theirs),
                  "ratio": {"median": median, "low": low, "high": high}}


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
    >>> result = {"rule": "bp", "model": "mlp:4", "data": "digits", "optimizer": "sgd",
    ...           "batch_size": 2, "device": "cpu", "threads": 1, "blas": "openblas", "steps": 20,
    ...           "ms_per_step": {"median": 0.25, "min": 0.2, "max": 0.5, "spread": 0.1},
    ...           "gflop_per_step": 0.001, "matmul_gflops": 40.0, "share_of_matmul_rate": 0.1, "peak_bytes": 3000000}
    >>> print(describe(result).splitlines()[2])
    time    0.25 ms a step, the median of 20 (0.2 to 0.5 ms, interquartile range 0.1 ms)
    """
    ms, gflop = result["ms_per_step"], result["gflop_per_step"]
    lines = {
        "step": f"rule {result['rule']}, {result['model']} on inputs as of {result['data']}, "
                f"batch size {result['batch_size']}, {result['optimizer']}",
        "machine": f"{result['device']}, threads: {result['threads']}, matrix products by {result['blas']}",
        "time": f"{_short(ms['median'])} ms a step, the median of {result['steps']} "
                f"({_short(ms['min'])} to {_short(ms['max'])} ms, "
                f"interquartile range {_short(ms['spread'])} ms)",
        "work": f"{_short(gflop)} GFLOP a step",
        "rate": f"{_short(gflop / ms['median'] * 1e3)} GFLOP/s, {result['share_of_matmul_rate']:.0%} of the "
                f"{_short(result['matmul_gflops'])} GFLOP/s of a large matrix product",
        "memory": f"{_short(result['peak_bytes'] / 1e6)} MB at the peak of a step, on top of what stays",
    }
    if "against" in result:
        other, ratio = result["against"], result["against"]["ratio"]
        lines[other["name"]] = (
            f"{_short(other['ms_per_step']['median'])} ms a step of backpropagation in version {other['version']}; "
            f"by turns, a step here takes {ratio['median']:.2f} times as long "
            f"(quartiles {ratio['low']:.2f} and {ratio['high']:.2f})")
    return "\n".join(f"{name:<7} {text}" for name, text in lines.items())


def _short(number: float) -> str:
    """Return a number with three digits, or with all its digits before the point if these are more."""
    return f"{number:,.0f}" if number >= 999.5 else f"{number:.3g}"


def random_run(model: str, data: str, rule: str, batch_size: int, optimizer: str, device: str = "cpu") -> Run:
    """Return a run on inputs that are drawn at random, a whole number of mini-batches of them.

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

    Returns
    -------
    Run
        The run, before its first step.

    Raises
    ------
    InputError
        If a name is unknown, or if the inputs do not fit into memory.

    Examples
    --------
    >>> run = random_run("mlp:4", "digits", "bp", 2, "sgd")
    >>> run.x.shape
    (4096, 8, 8, 1)
    """
    known, the_rule = source(data), rules.get(rule)
    settings = {**known.defaults, **the_rule.defaults}
    shape, classes = known.sizes()
    net = models.build(model, shape, classes, str(settings.get("activation", "relu"))
                       if models.takes(model, "activation") else None,
                       str(settings.get("loss", TASKS[known.task].loss)))
    rng = np.random.default_rng(0)
    samples = batch_size * max(1, POOL // batch_size)
    check_room(f"batch size {batch_size}", "inputs", samples * math.prod(shape), 4)
    x = rng.standard_normal((samples, *shape), dtype=np.float32)
    y = NOISE[known.task](rng, samples, classes)
    noise = Dataset(called(data), classes, x, y, x[:1], y[:1], x[:1], y[:1], task=known.task)
    how = Settings(batch_size=batch_size, optimizer=optimizer)
    return Run(net, the_rule, noise, how, device=device, name=rule)


def stepper(run: Run) -> Callable[[], None]:
    """Return a function that takes the next step of a run, over its mini-batches again and again.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    callable
        A function without arguments; it writes into the parameters and the state of the run.

    Examples
    --------
    >>> run = random_run("mlp:4", "digits", "bp", 2, "sgd")
    >>> before = run.params[-1]["W"].copy()
    >>> stepper(run)()
    >>> bool((run.params[-1]["W"] == before).all())
    False
    """
    order = run.xp.asarray(run.rng.permutation(len(run.x)))
    batches = itertools.cycle(order.reshape(-1, run.settings.batch_size))
    opt, opt_state = run.optimizers

    def one_step() -> None:
        i = next(batches)
        step(run.net, run.rule, run.params, run.state, opt, opt_state, run.x[i], run.y[i], run.rng)
    return one_step


def time_steps(one_step: Callable[[], None], xp: ModuleType, steps: int | None = None) -> np.ndarray:
    """Time steps one by one, after some that do not count.

    Parameters
    ----------
    one_step : callable
        A function that takes one step.
    xp : module
        The array module of the device, numpy or cupy.
    steps : int, optional
        How many to time; None stands for as many as fit in about 3 s.

    Returns
    -------
    numpy.ndarray, shape (steps,)
        The seconds of each step.

    Examples
    --------
    >>> import numpy as np
    >>> time_steps(lambda: None, np, steps=4).shape
    (4,)
    """
    def timed() -> float:
        start = time.perf_counter()
        one_step()
        synchronize(xp)
        return time.perf_counter() - start

    synchronize(xp)
    usual = min(timed() for _ in range(WARM_UP))
    steps = steps or _fitting(usual)
    return np.array([timed() for _ in range(steps)])


def time_in_turns(functions: Sequence[Callable[[], None]], rounds: int | None = None, threads: int = 1) -> np.ndarray:
    """Time steps of several functions in turns, so that all of them see the machine in the same state.

    Parameters
    ----------
    functions : sequence of callable
        Functions that each take one step, on the host.
    rounds : int, optional
        The number of turns; None stands for as many as fit in about 3 s.
    threads : int
        The number of threads that a step has: see `burst`.

    Returns
    -------
    numpy.ndarray, shape (functions, rounds)
        The seconds of a step of each function in each turn.

    Examples
    --------
    >>> time_in_turns([lambda: None, lambda: None], rounds=3).shape
    (2, 3)
    """
    usual = np.array([[burst(one_step) for one_step in functions] for _ in range(WARM_UP)]).min(0)
    rounds = rounds or _fitting(usual.sum())
    return np.array([[burst(*pair, threads) for pair in zip(functions, usual, strict=True)] for _ in range(rounds)]).T


def burst(one_step: Callable[[], None], usual: float = BURST, threads: int = 1) -> float:
    """Time a step among steps of other functions.

    Parameters
    ----------
    one_step : callable
    usual : float
        The seconds that a step takes, about.
    threads : int
        If a step has one thread, one step is not counted, because the cache holds the arrays of another function, and
        the next one is.  If it has more, all threads rest for REST seconds first, and steps of BURST seconds stand in
        the place of each of the two.

    Returns
    -------
    float
        The seconds of a step.

    Examples
    --------
    >>> burst(lambda: None) < 1
    True
    """
    steps = 1
    if threads > 1:
        time.sleep(REST)
        steps = max(1, round(BURST / max(usual, 1e-7)))
    for _ in range(steps):
        one_step()
    start = time.perf_counter()
    for _ in range(steps):
        one_step()
    return (time.perf_counter() - start) / steps


def _fitting(seconds: float) -> int:
    """Return how many steps to time if nobody says how many."""
    return min(max(int(SECONDS / seconds), FEWEST), MOST)


def peak_bytes(one_step: Callable[[], None], xp: ModuleType) -> int:
    """Return the most memory that a step holds on top of what is held before it.

    Parameters
    ----------
    one_step : callable
        A function that takes one step.
    xp : module
        The array module of the device, numpy or cupy.

    Returns
    -------
    int
        The bytes: on the host from tracemalloc, which NumPy tells of its arrays; on a device by how much the pool
        grows.

    Examples
    --------
    >>> import numpy as np
    >>> peak_bytes(lambda: np.ones(1000).sum(), np) >= 8000
    True
    """
    if xp is not np:
        pool = xp.get_default_memory_pool()
        pool.free_all_blocks()
        before = pool.total_bytes()
        one_step()
        synchronize(xp)
        return int(pool.total_bytes() - before)
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        one_step()
        _, peak = tracemalloc.get_traced_memory()
        return peak - before
    finally:
        if not tracing:
            tracemalloc.stop()


def matmul_gflops(xp: ModuleType, size: int | None = None, repeats: int = 8) -> float:
    """Measure how fast this machine multiplies two square matrices of float32.

    Parameters
    ----------
    xp : module
        The array module of the device, numpy or cupy.
    size : int, optional
        The number of rows; None stands for 1024 on the host and 4096 on a device.
    repeats : int
        How many products to time; the fastest counts.

    Returns
    -------
    float
        The rate, in GFLOP/s.

    Examples
    --------
    >>> import numpy as np
    >>> matmul_gflops(np, size=8, repeats=2) > 0
    True
    """
    size = size or (1024 if xp is np else 4096)
    a = xp.asarray(np.random.default_rng(0).standard_normal((size, size), dtype=np.float32))
    out = xp.empty_like(a)
    seconds = time_steps(lambda: xp.matmul(a, a, out=out), xp, repeats)
    return 2 * size**3 / float(seconds.min()) / 1e9


def counting(flops: Counter[str]) -> type[np.ndarray]:
    """Return a kind of array whose operations add the floating-point operations that they do to a counter.

    Parameters
    ----------
    flops : collections.Counter
        The counter; each ufunc adds under its own name.

    Returns
    -------
    type
        A subclass of numpy.ndarray; `array.view(kind)` makes an array of that kind.

    Raises
    ------
    TypeError
        Later, for a product that is no ufunc, such as np.dot, because it would not be counted.

    Notes
    -----
    A product of matrices counts two operations for each pair of numbers that it multiplies, a reduction counts the size
    of its input, any other ufunc the size of its output, and comparisons count nothing.  The results are of the same
    kind again, or scalars.  So are the arrays that a kernel makes with the module of such an array, see `_Numpy`.

    Examples
    --------
    >>> from collections import Counter
    >>> import numpy as np
    >>> flops = Counter()
    >>> a = np.ones((2, 3)).view(counting(flops))
    >>> b = (a @ a.T).sum()
    >>> dict(flops)
    {'matmul': 24, 'add': 4}
    """
    class Counting(np.ndarray):
        __module__ = f"numpy_{id(flops)}"  # kernels ask for the module of an array

        def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple[Any, ...] = (),
                            **kwargs: Any) -> Any:
            bare = [_seen_as(np.ndarray, a) for a in inputs]
            if out:
                kwargs["out"] = tuple(_seen_as(np.ndarray, a) for a in out)
            result = getattr(ufunc, method)(*bare, **kwargs)
            if result.dtype.kind == "f":
                if ufunc.signature:
                    flops[ufunc.__name__] += 2 * result.size * bare[0].shape[-1]
                else:
                    flops[ufunc.__name__] += (bare[0] if method == "reduce" else result).size
            return out[0] if out else _seen_as(Counting, result)

        def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
            if function in (np.dot, np.inner, np.vdot, np.tensordot, np.einsum):
                raise TypeError(f"np.{function.__name__} cannot be counted, use np.matmul")
            return super().__array_function__(function, types, args, kwargs)

    return Counting


class _Numpy(ModuleType):
    """NumPy as the arrays of a kind know it: what its functions make, for example np.empty, is of that kind too."""

    def __init__(self, module: ModuleType, kind: type[np.ndarray]):
        super().__init__(module.__name__)
        self._module, self._kind = module, kind

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._module, name)
        if isinstance(attribute, ModuleType):
            return _Numpy(attribute, self._kind)
        if not callable(attribute) or isinstance(attribute, type | np.ufunc):
            return attribute
        return lambda *args, **how: _seen_as(self._kind, attribute(*args, **how))


def _seen_as(kind: type[np.ndarray], array: Any) -> Any:
    """Return the same memory as an array of another kind; return a scalar as it is."""
    return array.view(kind) if isinstance(array, np.ndarray) else array


def count_flops(run: Run) -> Counter[str]:
    """Count the floating-point operations of the next step of a run.

    Parameters
    ----------
    run : Run
        A run on the host; its arrays are of a counting kind afterwards.

    Returns
    -------
    collections.Counter
        The operations by ufunc.

    Examples
    --------
    >>> run = random_run("mlp:4", "digits", "bp", 2, "sgd")
    >>> count_flops(run)["matmul"] > 2 * 2 * 64 * 4
    True
    """
    flops: Counter[str] = Counter()
    kind = counting(flops)
    see = partial(_seen_as, kind)
    run.x, run.y = see(run.x), see(run.y)
    sys.modules[kind.__module__] = _Numpy(np, kind)
    try:
        for opt in run.optimizers:
            opt.tree, opt.slots = tree_map(see, opt.tree), tree_map(see, opt.slots)
            opt.nodes = list(nodes(opt.tree))
            opt.prepare()
        stepper(run)()
    finally:
        del sys.modules[kind.__module__]
    return flops
