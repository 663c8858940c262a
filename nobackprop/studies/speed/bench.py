"""How long a training step takes, how much arithmetic it does and how much memory it needs.

The inputs are random arrays of a data set's shape and classes: the time of a step depends on shapes alone, so
no data set need be present.
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
from threadpoolctl import threadpool_limits

from ... import models, rules, workers
from ...backend import synchronize
from ...data import DATASETS, Dataset
from ...errors import InputError, unknown
from ...learn import Run, step
from ...room import check_room
from ...settings import Settings
from ...tree import nodes, tree_map
from ...workers import cores
from . import torch_twin

POOL = 4096  # samples that batches are gathered from
WARM_UP = 5
SECONDS, FEWEST, MOST = 3.0, 20, 500  # of timed steps, where nobody says how many
AGAINST = ("torch",)


def measure(model: str = "mlp:1024,1024", data: str = "mnist", rule: str = "bp", batch_size: int = 64,
            optimizer: str = "adam", device: str = "cpu", threads: int | None = None,
            steps: int | None = None, against: str | None = None) -> dict[str, Any]:
    """What one training step costs: `learn.step` on a batch gathered from random inputs.

    threads: how many workers; None stands for all cores that the process may use.  steps: how many to
    time, one by one; None stands for as many as fit in about 3 s, from 20 to 500.  against: "torch" takes turns
    with PyTorch doing backpropagation, whatever the rule, on the same network, inputs, optimiser and threads.

    Returns, beside what was asked for, "ms_per_step" ("median", "min", "max", and "spread", the interquartile
    range), "steps", "gflop_per_step" (counted on a step), "matmul_gflops" (GFLOP/s of large float32 products
    on this machine, with as many threads), "share_of_matmul_rate" (what a median step reaches of that), and
    "peak_bytes" (allocated during a step, on top of parameters, state, optimiser and inputs).  With `against`
    also "against": its "name", "version" and "ms_per_step", and "ratio", the time of a step to that of its step
    in the same turn ("median", and the quartiles "low" and "high").

    Raises InputError for an unknown name, where a number is below 1, and where PyTorch is asked for and not
    installed, or on a device.
    """
    threads = cores() if threads is None else threads
    for name, value in (("batch_size", batch_size), ("threads", threads), ("steps", steps)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")

    if against is not None:
        _can_race(against, device)

    def prepare(device: str) -> Run:
        return random_run(model, data, rule, batch_size, optimizer, device)

    run = prepare(device)
    with workers.limit(threads, run.net.convolutional), np.errstate(over="ignore", invalid="ignore"):
        one_step = stepper(run)
        beside: dict[str, Any] = {}
        if against is None:
            ms = 1e3 * time_steps(one_step, run.xp, steps)
        else:
            ms, beside["against"] = race_torch(run, one_step, threads, steps)
        peak = peak_bytes(one_step, run.xp)
        gflop = count_flops(prepare("cpu")).total() / 1e9
    with threadpool_limits(threads, user_api="blas"):
        rate = matmul_gflops(run.xp)
    spent = _summary(ms)
    return {"rule": rule, "model": model, "data": data, "optimizer": optimizer, "batch_size": batch_size,
            "threads": threads, "device": device,
            "ms_per_step": spent, "steps": len(ms), "gflop_per_step": gflop, "matmul_gflops": rate,
            "share_of_matmul_rate": gflop / (spent["median"] / 1e3) / rate, "peak_bytes": peak, **beside}


def _summary(ms: np.ndarray) -> dict[str, float]:
    low, quarter, median, three_quarters, high = map(float, np.quantile(ms, (0, 0.25, 0.5, 0.75, 1)))
    return {"median": median, "min": low, "max": high, "spread": three_quarters - quarter}


def _can_race(against: str, device: str) -> None:
    """Raises InputError where there is nothing of that name to measure, or not on that device."""
    if against not in AGAINST:
        raise unknown("library to measure against", against, AGAINST)
    if device != "cpu":
        raise InputError(f"a comparison with PyTorch runs on the cpu, not on '{device}'")
    torch_twin.load()


def race_torch(run: Run, one_step: Callable[[], None], threads: int,
               steps: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
    """Milliseconds of each of the run's steps, (steps,), and what `measure` reports of PyTorch's between them."""
    torch = torch_twin.load()
    with torch_twin.threads_of(torch, threads):
        ours, theirs = 1e3 * time_in_turns([one_step, torch_twin.stepper(run)], steps)
    low, median, high = map(float, np.quantile(ours / theirs, (0.25, 0.5, 0.75)))
    return ours, {"name": "torch", "version": str(torch.__version__), "ms_per_step": _summary(theirs),
                  "ratio": {"median": median, "low": low, "high": high}}


def describe(result: dict[str, Any]) -> str:
    """The lines that tell a person what `measure` found."""
    ms, gflop = result["ms_per_step"], result["gflop_per_step"]
    lines = {
        "step": f"rule {result['rule']}, {result['model']} on inputs as of {result['data']}, "
                f"batch size {result['batch_size']}, {result['optimizer']}",
        "machine": f"{result['device']}, threads: {result['threads']}",
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
    """Three digits, or all before the point."""
    return f"{number:,.0f}" if number >= 999.5 else f"{number:.3g}"


def random_run(model: str, data: str, rule: str, batch_size: int, optimizer: str, device: str = "cpu") -> Run:
    """A run on inputs drawn at random, a whole number of batches of them.

    Raises InputError for an unknown name.
    """
    if data not in DATASETS:
        raise unknown("data set", data, DATASETS)
    source, the_rule = DATASETS[data], rules.get(rule)
    settings = {**source.defaults, **the_rule.defaults}
    shape, classes = source.sizes()
    net = models.build(model, shape, classes, str(settings.get("activation", "relu")))
    rng = np.random.default_rng(0)
    samples = batch_size * max(1, POOL // batch_size)
    check_room(f"batch size {batch_size}", "inputs", samples * math.prod(shape), 4)
    x = rng.standard_normal((samples, *shape), dtype=np.float32)
    y = rng.integers(classes, size=samples)
    noise = Dataset(data, classes, x, y, x[:1], y[:1], x[:1], y[:1])
    how = Settings(batch_size=batch_size, optimizer=optimizer)
    return Run(net, the_rule, noise, how, device=device, name=rule)


def stepper(run: Run) -> Callable[[], None]:
    """A function that takes the next step of a run, over its batches again and again."""
    order = run.xp.asarray(run.rng.permutation(len(run.x)))
    batches = itertools.cycle(order.reshape(-1, run.settings.batch_size))
    opt, opt_state = run.optimizers

    def one_step() -> None:
        i = next(batches)
        step(run.net, run.rule, run.params, run.state, opt, opt_state, run.x[i], run.y[i], run.rng)
    return one_step


def time_steps(one_step: Callable[[], None], xp: ModuleType, steps: int | None = None) -> np.ndarray:
    """Seconds of each step, (steps,), after some that do not count."""
    def timed() -> float:
        start = time.perf_counter()
        one_step()
        synchronize(xp)
        return time.perf_counter() - start

    synchronize(xp)
    usual = min(timed() for _ in range(WARM_UP))
    steps = steps or _fitting(usual)
    return np.array([timed() for _ in range(steps)])


def time_in_turns(functions: Sequence[Callable[[], None]], rounds: int | None = None) -> np.ndarray:
    """Seconds of a step of each on the host, (functions, rounds), so that all see the machine in the same state."""
    def timed(one_step: Callable[[], None]) -> float:
        one_step()  # finds the arrays of another in the cache, and so is not counted
        start = time.perf_counter()
        one_step()
        return time.perf_counter() - start

    def turn() -> list[float]:
        return [timed(one_step) for one_step in functions]

    usual = min(sum(turn()) for _ in range(WARM_UP))
    rounds = rounds or _fitting(usual)
    return np.array([turn() for _ in range(rounds)]).T


def _fitting(seconds: float) -> int:
    """How many steps, where nobody says."""
    return min(max(int(SECONDS / seconds), FEWEST), MOST)


def peak_bytes(one_step: Callable[[], None], xp: ModuleType) -> int:
    """The most memory that a step holds on top of what is held before it.

    On the host from tracemalloc, which NumPy tells of its arrays; on a device by how much the pool grows.
    """
    if xp is not np:
        pool = xp.get_default_memory_pool()
        pool.free_all_blocks()
        before = pool.total_bytes()
        one_step()
        synchronize(xp)
        return pool.total_bytes() - before
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        one_step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


def matmul_gflops(xp: ModuleType, size: int | None = None, repeats: int = 8) -> float:
    """GFLOP/s of the fastest of several float32 products of two square matrices."""
    size = size or (1024 if xp is np else 4096)
    a = xp.asarray(np.random.default_rng(0).standard_normal((size, size), dtype=np.float32))
    out = xp.empty_like(a)
    seconds = time_steps(lambda: xp.matmul(a, a, out=out), xp, repeats)
    return 2 * size**3 / float(seconds.min()) / 1e9


def counting(flops: Counter[str]) -> type[np.ndarray]:
    """A kind of array whose ufuncs add the floating-point operations they do to `flops`, each by its name.

    A product of matrices counts two for each pair of numbers it multiplies, a reduction its input's size, any
    other ufunc its output's; comparisons count nothing.  What it computes is of its own kind again, or a
    scalar; so are the arrays that a kernel makes with the module of such an array, `_Numpy`.  Raises TypeError
    for a product that is no ufunc, np.dot for one, as that would go uncounted.
    """
    class Counting(np.ndarray):
        __module__ = f"numpy_{id(flops)}"  # kernels ask for it

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
    """NumPy as the arrays of a kind know it: what its functions make, np.empty for one, is of that kind too."""

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
    """The same memory as an array of another kind; a scalar as it is."""
    return array.view(kind) if isinstance(array, np.ndarray) else array


def count_flops(run: Run) -> Counter[str]:
    """The floating-point operations of the next step of a run on the host, by ufunc."""
    flops: Counter[str] = Counter()
    kind = counting(flops)
    see = partial(_seen_as, kind)
    run.x, run.y = see(run.x), see(run.y)
    for opt in run.optimizers:
        opt.tree, opt.slots, opt.scratch = (tree_map(see, tree) for tree in (opt.tree, opt.slots, opt.scratch))
        opt.nodes = list(nodes(opt.tree))
    sys.modules[kind.__module__] = _Numpy(np, kind)
    try:
        stepper(run)()
    finally:
        del sys.modules[kind.__module__]
    return flops
