"""The bench: what it counts and reports, and that the straight-line step of tests/reference takes the same step."""
from __future__ import annotations

import json
import sys
import tracemalloc
from collections import Counter
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from reference import fused
from reference.fused import Fused
from threadpoolctl import threadpool_info
from tolerance import assert_close

from nobackprop import learn, models, network, rules, workers
from nobackprop.errors import InputError
from nobackprop.layers import Activation, Conv, Dense, Flatten, Sequential
from nobackprop.network import Network
from nobackprop.optim import OPTIMIZERS, bind
from nobackprop.studies.speed import bench, torch_twin
from nobackprop.studies.speed.bench import count_flops, counting, describe, measure, peak_bytes, random_run, stepper
from nobackprop.tree import leaves

KEYS = {"rule", "model", "data", "optimizer", "batch_size", "threads", "device", "convolution", "blas", "ms_per_step",
        "steps", "gflop_per_step", "matmul_gflops", "share_of_matmul_rate", "peak_bytes"}
SMALL: dict[str, Any] = {"model": "mlp:7,7", "data": "xor", "batch_size": 5, "threads": 1, "steps": 2}


@pytest.fixture
def small_products(monkeypatch):
    """Matrix products so small that a second holds many of them."""
    monkeypatch.setattr(bench, "matmul_gflops", lambda xp, rate=bench.matmul_gflops: rate(xp, 64, 2))


def noted(log, word, value):
    """Add a word to the log, and return the value."""
    log.append(word)
    return value


# The report


@pytest.mark.slow
@pytest.mark.parametrize("rule", rules.RULES)
def test_the_report_of_every_rule(small_products, rule):
    result = measure(rule=rule, **SMALL)
    assert set(result) == KEYS
    asked = SMALL | {"rule": rule, "optimizer": "adam", "device": "cpu", "convolution": "fast"}
    assert {key: result[key] for key in asked} == asked
    ms = result["ms_per_step"]
    assert set(ms) == {"median", "min", "max", "spread"}
    assert 0 < ms["min"] <= ms["median"] <= ms["max"] and 0 <= ms["spread"] <= ms["max"] - ms["min"]
    assert_close(result["share_of_matmul_rate"],
                 result["gflop_per_step"] / (ms["median"] / 1000) / result["matmul_gflops"])
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    lines = describe(result).splitlines()
    assert len(lines) == 6 and {line[7] for line in lines} == {" "} and " " not in {line[8] for line in lines}


def test_the_description_says_the_numbers():
    result = {"rule": "las", "model": "mlp:3", "data": "digits", "optimizer": "sgd", "batch_size": 17,
              "threads": 3, "device": "cpu", "blas": "a library", "steps": 123, "peak_bytes": 2_500_000,
              "ms_per_step": {"median": 4.0, "min": 3.5, "max": 9.25, "spread": 0.5},
              "gflop_per_step": 0.6, "matmul_gflops": 300.0, "share_of_matmul_rate": 0.5}
    text = describe(result)
    for part in ("rule las", "mlp:3", "digits", "batch size 17", "sgd", "threads: 3", "by a library", "4 ms",
                 "123",
                 "3.5 to 9.25", "0.5 ms", "0.6 GFLOP a step", "150 GFLOP/s", "50%", "300 GFLOP/s", "2.5 MB"):
        assert part in text
    text = describe(result | {"gflop_per_step": 1234.4, "matmul_gflops": 999.4, "peak_bytes": 3_999_600_000})
    for part in ("1,234 GFLOP a step", "308,600 GFLOP/s", "the 999 GFLOP/s", "4,000 MB"):
        assert part in text


@pytest.mark.parametrize(("libraries", "text"), [
    ([], "BLAS"),
    ([{"user_api": "openmp"}, {"user_api": "blas", "internal_api": "mkl", "version": "2026"}], "mkl 2026"),
    ([{"user_api": "blas", "internal_api": "openblas", "version": "0.3", "architecture": "Zen"}],
     "openblas 0.3 (Zen kernels)")])
def test_the_library_of_products_is_named(monkeypatch, libraries, text):
    monkeypatch.setattr(bench, "threadpool_info", lambda: libraries)
    assert bench.blas() == text


def test_the_numbers_of_a_report(monkeypatch):
    seconds = np.array([9.0, 2.0, 3.0, 4.0, 1.0]) / 1e3
    monkeypatch.setattr(bench, "time_steps", lambda one_step, xp, steps: seconds)
    monkeypatch.setattr(bench, "matmul_gflops", lambda xp: 8.0)
    monkeypatch.setattr(bench, "peak_bytes", lambda one_step, xp: 77)
    monkeypatch.setattr(bench, "count_flops", lambda run: Counter(matmul=4_000_000, add=2_000_000))
    result = measure(**SMALL)
    assert result["ms_per_step"] == pytest.approx({"median": 3.0, "min": 1.0, "max": 9.0, "spread": 2.0})
    assert (result["steps"], result["gflop_per_step"], result["peak_bytes"]) == (5, 0.006, 77)
    assert result["matmul_gflops"] == 8.0 and result["share_of_matmul_rate"] == pytest.approx(0.25)


def test_the_rate_of_products_is_the_best(monkeypatch):
    monkeypatch.setattr(bench, "time_steps", lambda one_step, xp, steps: np.array([4.0, 2.0, 8.0])[:steps])
    assert bench.matmul_gflops(np, 1000, 3) == 1.0
    assert bench.matmul_gflops(np, 1000, 1) == 0.5


def test_all_cores_unless_told(small_products, monkeypatch):
    """The number is that of workers for the steps, in which BLAS has one thread, and of BLAS threads for its rate."""
    seen = []

    def time_steps(*asked, time_steps=bench.time_steps):
        blas = {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
        seen.append((workers.count(np.ones(1)), blas))
        return time_steps(*asked)

    monkeypatch.setattr(bench, "time_steps", time_steps)
    monkeypatch.setattr(bench, "cores", lambda: 2)
    assert measure(**SMALL | {"threads": None})["threads"] == 2
    assert seen == [(2, {1}), (1, {2})]


@pytest.mark.slow
def test_the_counted_operations_are_those_of_one_worker():
    counts = []
    for threads in (1, 2):
        with workers.limit(threads):
            counts.append(count_flops(random_run("mlp:1200,1000", "mnist", "las", 10, "adam")))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("usual, steps", [(1.0, 20), (0.1, 30), (1e-6, 500)])
def test_as_many_steps_as_fit_in_the_time(monkeypatch, usual, steps):
    clock = iter(np.arange(2000) * usual)
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock))
    calls = []
    seconds = bench.time_steps(lambda: calls.append(1), np)
    assert len(seconds) == steps and len(calls) == steps + bench.WARM_UP
    assert_close(seconds, np.full(steps, usual), of=2000 * usual)


def test_a_device_has_done_its_work_before_the_clock_is_read(monkeypatch):
    log = []
    monkeypatch.setattr(bench, "synchronize", lambda xp: log.append("wait"))
    monkeypatch.setattr(bench.time, "perf_counter", lambda: noted(log, "clock", len(log)))
    bench.time_steps(lambda: log.append("step"), np, steps=3)
    assert log == ["wait"] + ["clock", "step", "wait", "clock"] * (bench.WARM_UP + 3)


@pytest.mark.parametrize("wrong, words", [
    ({"rule": "bpp"}, "unknown rule 'bpp': did you mean 'bp'?"),
    ({"model": "mpl:3"}, "unknown model 'mpl'"),
    ({"model": "mlp:0"}, "expected hidden layer sizes"),
    ({"data": "minst"}, "unknown data set 'minst': did you mean 'mnist'?"),
    ({"optimizer": "adams"}, "unknown optimizer 'adams'"),
    ({"device": "tpu"}, "unknown device 'tpu'"),
    ({"convolution": "exact"}, "unknown convolution 'exact'"),
    ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ({"steps": 0}, "steps must be at least 1, got 0"),
    ({"threads": 0}, "threads must be at least 1, got 0"),
    ({"against": "trch"}, "unknown library to measure against 'trch': did you mean 'torch'?"),
    ({"against": "torch", "device": "cuda:1"}, "a comparison with PyTorch runs on the cpu, not on 'cuda:1'"),
])
def test_a_mistake_is_one_sentence(wrong, words):
    with pytest.raises(InputError) as caught:
        measure(**SMALL | wrong)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_batches_are_whole_and_of_every_sample():
    run = random_run("mlp:3", "xor", "bp", 1000, "sgd")
    assert run.x.shape == (4000, 30) and run.y.shape == (4000, 4)
    big = random_run("mlp:3", "xor", "bp", 5000, "sgd")
    assert len(big.x) == 5000


# Against PyTorch


def test_the_report_against_pytorch(small_products):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    result = measure(**SMALL | {"rule": "las", "against": "torch"})
    assert set(result) == KEYS | {"against"} and result["steps"] == 2
    other = result["against"]
    assert (other["name"], other["version"]) == ("torch", torch.__version__)
    assert set(other["ms_per_step"]) == {"median", "min", "max", "spread"} and other["ms_per_step"]["min"] > 0
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert describe(result).splitlines()[-1].startswith("torch   ")


def test_the_ratio_is_of_the_times_of_a_turn(monkeypatch):
    threads = []
    torch = SimpleNamespace(__version__="9.8", get_num_threads=lambda: 3, set_num_threads=threads.append)
    monkeypatch.setattr(torch_twin, "load", lambda: torch)
    monkeypatch.setattr(torch_twin, "stepper", lambda run: f"their {run}")

    def turns(functions, rounds, number):
        assert (functions, rounds, number, threads) == (["our step", "their run"], 5, 2, [2])
        return np.array([[1.0, 2, 3, 4, 50], [4.0, 4, 4, 4, 4]]) / 1e3

    monkeypatch.setattr(bench, "time_in_turns", turns)
    run: Any = "run"
    one_step: Any = "our step"
    ours, other = bench.race_torch(run, one_step, 2, 5)
    assert threads == [2, 3]
    assert_close(ours, np.array([1.0, 2, 3, 4, 50]))
    assert other == {"name": "torch", "version": "9.8", "ratio": {"median": 0.75, "low": 0.5, "high": 1.0},
                     "ms_per_step": {"median": 4.0, "min": 4.0, "max": 4.0, "spread": 0.0}}
    result = {"rule": "las", "model": "mlp:3", "data": "digits", "optimizer": "sgd", "batch_size": 17,
              "threads": 3, "device": "cpu", "blas": "a library", "steps": 5, "peak_bytes": 1, "gflop_per_step": 1.0,
              "ms_per_step": other["ms_per_step"], "matmul_gflops": 300.0, "share_of_matmul_rate": 0.5}
    told = describe(result | {"against": other}).splitlines()
    assert told[:-1] == describe(result).splitlines()
    for part in ("4 ms a step", "version 9.8", "0.75 times", "quartiles 0.50 and 1.00"):
        assert part in told[-1]


def test_steps_take_turns(monkeypatch):
    log: list[str] = []
    monkeypatch.setattr(bench.time, "perf_counter", lambda: noted(log, "|", float(len(log))))
    seconds = bench.time_in_turns([partial(log.append, "a"), partial(log.append, "b")], 3)
    assert "".join(log) == "a|a|b|b|" * (bench.WARM_UP + 3)
    assert seconds.shape == (2, 3) and (seconds == 2).all()


def test_steps_of_several_threads_rest_and_come_in_a_row(monkeypatch):
    """By hand: three steps of 0.03 s make a burst of 0.1 s; the clock counts what the log holds."""
    log: list[str] = []
    monkeypatch.setattr(bench.time, "perf_counter", lambda: noted(log, "|", float(len(log))))
    monkeypatch.setattr(bench.time, "sleep", lambda seconds: log.append(f"sleep {seconds} "))
    assert_close(bench.burst(partial(log.append, "a"), 0.03, threads=2), 4 / 3)
    assert "".join(log) == f"sleep {bench.REST} aaa|aaa|"
    log.clear()
    assert bench.burst(partial(log.append, "a"), 9.0, threads=2) == 2 and "".join(log).endswith(" a|a|")


@pytest.mark.parametrize("usual, rounds", [(1.0, 20), (0.05, 30), (1e-6, 500)])
def test_as_many_turns_as_fit_in_the_time(monkeypatch, usual, rounds):
    clock = iter(np.arange(5000) * usual)
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock))
    assert bench.time_in_turns([lambda: None] * 2).shape == (2, rounds)


def test_without_pytorch_nothing_is_measured(monkeypatch):
    def missing():
        raise InputError("not installed")

    monkeypatch.setattr(torch_twin, "load", missing)
    monkeypatch.setattr(bench, "random_run", lambda *asked: pytest.fail("a run was made"))
    with pytest.raises(InputError, match="^not installed$"):
        measure(**SMALL | {"against": "torch"})


# Floating-point operations


def products(sizes, n, down, heads=0):
    """2 n F K for each product: forward and outer of all layers, feedback of those in `down`, the heads'."""
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    total = 2 * sum(F * K for F, K in shapes) + sum(shapes[i][0] * shapes[i][1] for i in down)
    return 2 * n * (total + heads)


@pytest.mark.parametrize("rule, down, heads", [
    ("bp", (1, 2, 3), 0),
    ("fa", (1, 2, 3), 0),
    ("dfa", (), 4 * (9 + 8 + 7)),  # send alone
    ("las", (3,), 3 * 4 * (9 + 8)),  # forward, grad and send
    ("ltas", (3,), 3 * 4 * (9 + 8)),
])
def test_products_are_those_of_the_formula(rule, down, heads):
    flops = count_flops(random_run("mlp:9,8,7", "xor", rule, 5, "adam"))
    assert flops["matmul"] == products((30, 9, 8, 7, 4), 5, down, heads)


def test_shallow_learning_spares_the_outer_products_below():
    sizes = (30, 9, 8, 7, 4)
    forward = sum(a * b for a, b in zip(sizes, sizes[1:], strict=False))
    flops = count_flops(random_run("mlp:9,8,7", "xor", "shallow", 5, "adam"))
    assert flops["matmul"] == 2 * 5 * (forward + 2 * 7 * 4 + 8 * 7)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_products_of_convolutions_count_too(monkeypatch, stride):
    planes, n = (4, 5), 3
    sizes = [6, 4] if stride == 1 else [3, 1]  # of 8 x 8, after each convolution
    net = Network((Sequential((Conv(planes[0], 3, stride), Activation("relu"))),
                   Sequential((Conv(planes[1], 3, stride), Flatten())), Dense(10)))
    monkeypatch.setattr(models, "build", lambda *asked: net)
    flops = count_flops(random_run("", "digits", "bp", n, "adam"))
    first, second = (2 * n * size**2 * 9 * c * f for size, c, f in zip(sizes, (1, *planes), planes))
    down = flops["matmul"] - products((sizes[1]**2 * planes[1], 10), n, (0,)) - 2 * (first + second)
    # at stride 1 the adjoint may multiply some of the zeros around delta
    assert second <= down <= 2 * second if stride == 1 else down == second
    assert not [name for name in sys.modules if name.startswith("numpy_")]


@pytest.mark.parametrize("optimizer, multiply, add, subtract", [
    ("sgd", 1, 0, 1), ("momentum", 2, 1, 1), ("nesterov", 3, 2, 1), ("adam", 4, 3, 1),
])
def test_every_other_operation_too(optimizer, multiply, add, subtract):
    n, F, K, C = 5, 8, 64, 10
    flops = count_flops(random_run(f"mlp:{F}", "digits", "bp", n, optimizer))
    weights = F * K + F + C * F + C
    adam = weights if optimizer == "adam" else 0
    assert flops == Counter({
        "matmul": products((K, F, C), n, (1,)),
        "multiply": multiply * weights + n * F,  # the mask of the ReLU
        "add": add * weights + 2 * n * (F + C) + n * C,  # biases there and back, the sum of softmax
        "subtract": subtract * weights + 2 * n * C,
        "maximum": n * F + n * C,
        "divide": adam + 2 * n * C, "exp": n * C, **({"sqrt": adam} if adam else {})})


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rule", rules.RULES)
def test_counting_changes_nothing(rule, optimizer):
    plain, counted = (random_run("mlp:8,7,8", "digits", rule, 5, optimizer) for _ in range(2))
    stepper(plain)()
    count_flops(counted)
    for tree in "params", "state":
        for (_, u), (_, v) in zip(leaves(getattr(plain, tree)), leaves(getattr(counted, tree)), strict=True):
            np.testing.assert_array_equal(u, v.view(np.ndarray))


def test_what_a_rule_does_apart_from_the_samples_counts_too():
    class Own(rules.BP):
        def init(self, rng, net, params, shapes):
            return [np.ones((3, 7))]

        def align(self, net, params, state, tape, y, rng):
            np.sqrt(params[0][1]["W"] ** 2), np.exp(state[0]), np.tanh(y), np.cos(tape.h[0])

    run = random_run("mlp:8", "digits", "las", 5, "sgd")
    run.rule, run.optimizers[1] = Own(), bind("sgd", [np.ones((3, 7))], 1.0)
    flops = count_flops(run)
    assert [flops[name] for name in ("sqrt", "tanh", "cos")] == [8 * 64, 5 * 10, 5 * 64]
    assert flops["exp"] == 3 * 7 + 5 * 10  # the state, and softmax


def test_what_counts():
    flops: Counter[str] = Counter()
    kind = counting(flops)
    a, b = np.ones((2, 3)).view(kind), np.ones((3, 4))

    def counted(call):
        flops.clear()
        result = call()
        return dict(flops), result

    assert counted(lambda: a @ b)[0] == {"matmul": 2 * 2 * 3 * 4}
    assert counted(lambda: b.T @ a.T)[0] == {"matmul": 2 * 2 * 3 * 4}
    assert counted(lambda: np.ones((5, 2, 3)) @ (a.T @ a))[0] == {"matmul": 2 * 3 * 3 * (2 + 10)}
    assert counted(lambda: np.ones((4, 1)) + a[:1, :1])[0] == {"add": 4}
    assert counted(lambda: a.sum())[0] == {"add": 6}
    assert counted(lambda: a.max(0))[0] == {"maximum": 6}
    assert counted(lambda: (a > 0, a == b[0, 0], a.copy(), a.T, a[[0, 1]], a.reshape(3, 2)))[0] == {}
    assert counted(lambda: np.arange(3).view(kind) + 1)[0] == {}
    given = np.empty((3, 4)).view(kind)
    in_place, result = counted(lambda: np.multiply(b, 2, out=given))
    assert in_place == {"multiply": 12} and result is given
    with pytest.raises(TypeError, match="np.dot cannot be counted"):
        np.dot(a, b)


# Memory


def test_the_peak_is_that_of_one_step_and_of_what_it_adds():
    held = np.ones(10**6, np.uint8)

    def one_step():
        a = np.empty(3 * 10**6, np.uint8)
        del a
        return np.empty(2 * 10**6, np.uint8)

    assert 3e6 <= peak_bytes(one_step, np) < 3.01e6
    tracemalloc.start()
    try:
        more = np.ones(5 * 10**6, np.uint8)
        np.ones(9 * 10**6, np.uint8)
        assert 3e6 <= peak_bytes(one_step, np) < 3.01e6
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
    peak_bytes(one_step, np)
    assert not tracemalloc.is_tracing() and len(held) + len(more)


@pytest.mark.parametrize("rule", ["bp", "dfa", "las"])
def test_a_step_holds_its_gradients_and_little_more(rule):
    peaks = {}
    for sizes in ("64,64", "256,256"):
        run = random_run(f"mlp:{sizes}", "digits", rule, 16, "adam")
        one_step = stepper(run)
        one_step()
        peaks[sizes] = peak_bytes(one_step, np)
        grads = sum(w.nbytes for _, w in leaves(run.params))
        # the tape, the deltas and the batch, each with room for a copy
        batch = 4 * 16 * (64 + 10 + 2 * sum(map(int, sizes.split(","))))
        assert grads < peaks[sizes] < grads + 4 * batch + 50_000
    assert peaks["256,256"] > 4 * peaks["64,64"]


def test_the_pool_of_a_device_tells_its_peak():
    log = []
    sizes = iter([100, 350])
    pool = SimpleNamespace(free_all_blocks=lambda: log.append("free"),
                           total_bytes=lambda: noted(log, "size", next(sizes)))
    stream = SimpleNamespace(synchronize=lambda: log.append("wait"))
    xp: Any = SimpleNamespace(get_default_memory_pool=lambda: pool,
                         cuda=SimpleNamespace(get_current_stream=lambda: stream))
    assert peak_bytes(lambda: log.append("step"), xp) == 250
    assert log == ["free", "size", "step", "wait", "size"]


@pytest.mark.gpu
def test_on_a_device(cupy):
    result = measure(**SMALL | {"device": "cuda", "data": "digits", "model": "mlp:1024,1024"})
    assert result["device"] == "cuda" and result["matmul_gflops"] > 0
    assert result["peak_bytes"] >= 4 * (64 + 1024 + 10) * 1024


# The straight-line step


@pytest.mark.parametrize("sizes", ["5", "9,8", "40,30,20,10"])
def test_the_fused_step_is_the_step_of_the_library(sizes):
    rng = np.random.default_rng(3)
    net = models.build(f"mlp:{sizes}", (12,), 4, "relu")
    params, _ = network.init(net, rng, (12,), "float64")
    arrays = [w.copy() for _, w in leaves(params)]
    by_hand = Fused(list(zip(arrays[::2], arrays[1::2], strict=True)), lr=1e-2)
    opt, opt_state = (bind("adam", tree, 1e-2) for tree in (params, None))
    for samples, scale in ((20, 1), (20, 1), (20, 1), (7, 1), (20, 1e4), (20, 1)):
        x, y = scale * rng.standard_normal((samples, 12)), np.eye(4)[rng.integers(4, size=samples)]
        learn.step(net, rules.get("bp"), params, None, opt, opt_state, x, y, rng)
        by_hand.step(x, y)
    for (path, w), ours in zip(leaves(params), arrays, strict=True):
        assert_close(ours, w, message=path)


def test_leaves_larger_than_a_block(monkeypatch):
    results = []
    for block in (7, 1 << 15):
        monkeypatch.setattr(fused, "BLOCK", block)
        rng = np.random.default_rng(0)
        W, b = rng.standard_normal((4, 6)), np.zeros(4)
        step = Fused([(W, b)], lr=0.1).step
        for _ in range(3):
            step(rng.standard_normal((5, 6)), np.eye(4)[:, :4][rng.integers(4, size=5)])
        results.append(W)
    np.testing.assert_array_equal(results[0], results[1])


def test_the_race_takes_turns():
    log: list[str] = []
    ms = fused.race({name: partial(log.append, name) for name in "ab"}, rounds=3, block=2, threads=1)
    assert "".join(log) == "aaabbb" * 4
    assert {name: times.shape for name, times in ms.items()} == {"a": (3,), "b": (3,)}
    assert all((times >= 0).all() for times in ms.values())


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_command(monkeypatch, capsys, form):
    monkeypatch.setattr(sys, "argv", ["fused", "--model", "mlp:4,4", "--data", "digits", "--batch-size", "3",
                                      "--threads", "1", "--rounds", "2", "--block", "1", *form])
    fused.main()
    text = capsys.readouterr().out
    if not form:
        assert [line.split()[0] for line in text.splitlines()] == ["mlp:4,4", "fused", *fused.RULES]
        return
    result = json.loads(text)
    assert set(result["ms_per_step"]) == {"fused", *fused.RULES}
    assert set(result["ratio_to_fused"]) == set(fused.RULES)
    assert all(r["low"] <= r["median"] <= r["high"] for r in result["ratio_to_fused"].values())
    assert (result["model"], result["batch_size"], result["threads"]) == ("mlp:4,4", 3, 1)
