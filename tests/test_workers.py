"""The workers: which does what, that what they compute does not depend on it, and that none waits for ever."""
from __future__ import annotations

import contextvars
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Barrier, Event, current_thread

import fakecupy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits
from tolerance import assert_close

from nobackprop import learn, models, network, optim, rules, workers
from nobackprop.errors import InputError
from nobackprop.kernels import convolution, linear, normalize, pool
from nobackprop.kernels import unfold as unfold_kernels
from nobackprop.optim import bind
from nobackprop.studies import pipeline
from nobackprop.studies.speed import bench
from nobackprop.studies.speed.bench import counting
from nobackprop.tree import leaves, tree_map

HOST = np.ones(1)


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


# Who does what


@given(length=st.integers(0, 20), threads=st.integers(1, 6))
def test_the_parts_are_all_of_it_in_order_and_as_equal_as_can_be(length, threads):
    with workers.limit(threads):
        parts = workers.split_among_workers(lambda part: (part.start, part.stop), length, HOST)
    assert len(parts) == max(1, min(threads, length))
    assert [i for start, stop in parts for i in range(start, stop)] == list(range(length))
    sizes = [stop - start for start, stop in parts]
    assert max(sizes) - min(sizes) <= 1


def test_they_work_at_the_same_time_each_in_a_thread_and_the_caller_in_its_own():
    meet = Barrier(3, timeout=60)

    def work(part):
        meet.wait()
        return current_thread()

    with workers.limit(3):
        for _ in range(5):
            who = workers.split_among_workers(work, 3, HOST)
            assert who[0] is current_thread() and len(set(who)) == 3


def test_without_a_limit_the_caller_does_it_all():
    before = threading.enumerate()
    for one in (lambda work: workers.split_among_workers(work, 9, HOST), limited_to_one):
        assert one(lambda part: (part, current_thread())) == [(slice(0, 9), current_thread())]
        assert workers.count(HOST) == 1 and threading.enumerate() == before


def limited_to_one(work):
    with workers.limit(1):
        return workers.split_among_workers(work, 9, HOST)


def test_a_limit_holds_in_its_block_and_leaves_no_thread():
    before, blas = threading.enumerate(), blas_threads()
    with workers.limit(3):
        assert workers.count(HOST) == 3 and blas_threads() == {1}
        with workers.limit(2):
            assert workers.count(HOST) == 2
            workers.split_among_workers(lambda part: None, 2, HOST)
        assert workers.count(HOST) == 3
        with pytest.raises(KeyError), workers.limit(4):
            raise KeyError
        assert workers.count(HOST) == 3
    assert workers.count(HOST) == 1 and threading.enumerate() == before and blas_threads() == blas


def test_a_worker_has_no_workers_so_that_none_waits_for_itself():
    def inner(part):
        return part, current_thread()

    with workers.limit(2):
        came = workers.split_among_workers(
            lambda part: [workers.count(HOST), current_thread(), *workers.split_among_workers(inner, 8, HOST)], 2, HOST)
        assert workers.count(HOST) == 2
    for workers_there, who, *parts in came:
        assert workers_there == 1 and parts == [(slice(0, 8), who)]


def test_a_thread_that_the_user_starts_has_one_worker():
    seen = []
    with workers.limit(2):
        thread = threading.Thread(target=lambda: seen.append(workers.count(HOST)))
        thread.start()
        thread.join()
    assert seen == [1]


@pytest.mark.parametrize("threads, sentence", [
    (0, "at least 1, got 0"), (-1, "at least 1, got -1"), (2.0, "an integer, got 2.0"), ("2", "an integer, got '2'"),
    (None, "an integer, got None"), (True, "an integer, got True")])
def test_there_is_at_least_one(threads, sentence):
    blas = blas_threads()
    with pytest.raises(InputError, match=f"^threads must be {sentence}"), workers.limit(threads):
        pass
    if threads is not None:
        with pytest.raises(InputError, match=f"^blas must be {sentence}"), workers.limit(1, blas=threads):
            pass
    assert blas_threads() == blas


# The number of BLAS threads, of which a process has one


@pytest.fixture
def three():
    """BLAS has three threads, which is no number that the tests ask for."""
    with threadpool_limits(3, user_api="blas"):
        assert blas_threads() == {3}
        yield


class Elsewhere:
    """Blocks that are opened and closed in a context of their own, as those of another thread are."""

    def __init__(self):
        self.context, self.stack = contextvars.Context(), []

    def open(self, *args, **kwargs):
        block = ExitStack()
        self.context.run(block.enter_context, workers.limit(*args, **kwargs))
        self.stack.append(block)

    def close(self):
        self.context.run(self.stack.pop().close)

    def count(self):
        return self.context.run(workers.count, HOST)


@pytest.mark.parametrize("order", ["ABab", "ABba", "ABaAab", "AABaba", "ABCabc", "ABCcba", "ABCbac"])
@pytest.mark.parametrize("inside", [1, 2])
def test_blocks_that_overlap_leave_blas_as_it_was(three, order, inside):
    """Whatever order they are opened (A, B, C) and closed (a, b, c) in; and each has its number to its end."""
    threads = {name: Elsewhere() for name in "ABC"}
    for move in order:
        where = threads[move.upper()]
        where.open(2, inside) if move.isupper() else where.close()
        still = any(thread.stack for thread in threads.values())
        assert blas_threads() == {inside if still else 3}
        for thread in threads.values():
            assert thread.count() == (2 if thread.stack else 1)


@pytest.mark.slow
@given(moves=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, 1, 2])), max_size=12))
def test_no_order_of_blocks_changes_what_another_thread_has(moves):
    """A number that would is refused; after the last block BLAS has what it had."""
    with threadpool_limits(3, user_api="blas"):
        threads = [Elsewhere() for _ in range(3)]
        numbers: list[list[int]] = [[], [], []]
        for i, blas in moves:
            if blas is None:
                if numbers[i]:
                    threads[i].close()
                    numbers[i].pop()
            else:
                others = [n for j, mine in enumerate(numbers) if j != i for n in mine]
                if others and set(others + numbers[i]) != {blas}:
                    with pytest.raises(InputError, match=r"BLAS thread\(s\) as in another thread's workers.limit"):
                        threads[i].open(1, blas=blas)
                else:
                    threads[i].open(1, blas=blas)
                    numbers[i].append(blas)
            for mine in numbers:
                assert not mine or blas_threads() == {mine[-1]}
            assert any(numbers) or blas_threads() == {3}
        for thread, mine in zip(threads, numbers, strict=True):
            for _ in mine:
                thread.close()
        assert blas_threads() == {3}


@pytest.mark.parametrize("blas", [1, 2])
def test_two_threads_compute_what_each_computes_alone(three, blas):
    """One of them ends in the middle of the other's block."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((301, 257)), rng.standard_normal((257, 203))
    opened, ended, found = Barrier(2, timeout=60), threading.Event(), []

    def first():
        with workers.limit(2, blas):
            opened.wait()
        ended.set()

    def second():
        with workers.limit(2, blas):
            opened.wait()
            assert ended.wait(60)
            found.extend([blas_threads(), (A @ B).tobytes()])

    with workers.limit(2, blas):
        alone = [blas_threads(), (A @ B).tobytes()]
    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone and blas_threads() == {3}


def in_a_thread(work):
    """What it returns, or raises."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_a_thread_that_set_the_number_before_hinders_no_other():
    """Nor does one that sets it in a block: threadpoolctl may keep the number to the thread that was first."""
    outside = threadpool_limits(3, user_api="blas")
    try:
        def block():
            with workers.limit(1, blas=2):
                return blas_threads()
        assert in_a_thread(block) == {2} and blas_threads() == {3}
        with workers.limit(1):
            assert in_a_thread(lambda: threadpool_limits(4, user_api="blas") and blas_threads()) == {4}
        assert blas_threads() == {3}
    finally:
        outside.restore_original_limits()


def test_a_limit_of_threadpoolctls_inside_a_block_is_that_until_its_end(three):
    with workers.limit(1), threadpool_limits(2, user_api="blas"):
        with workers.limit(1, blas=4):
            assert blas_threads() == {4}
        assert blas_threads() == {2}
    assert blas_threads() == {3}


@pytest.mark.parametrize("blas", [1, 2])
def test_the_stations_of_a_pipeline_have_one_worker_and_so_many_threads_of_blas(three, blas):
    """In whichever thread the pipeline is run."""
    class Watching(pipeline.Station):
        weight = 1

        def step(self, s, t):
            return (s, t), (workers.count(s), blas_threads())

    def line():
        return pipeline.run([Watching(), Watching()], [(HOST, HOST)] * 2, workers=2, blas=blas)

    for found in (line(), in_a_thread(line)):
        assert found == [[(1, {blas})] * 2] * 2
    assert blas_threads() == {3}


# Children


FORK = """
import os, sys, threading
import numpy as np
from threadpoolctl import threadpool_info
from nobackprop import workers
from nobackprop.errors import InputError

HOST = np.ones(1)

def parts():
    return workers.split_among_workers(lambda part: part.stop - part.start, 9, HOST)

def child(wrong):
    # only what is wrong is printed: everything that a child does without workers goes on as if there were none
    pid = os.fork()
    if pid:
        status = os.waitpid(pid, 0)[1]
        assert status == 0, status
        return False
    assert workers.count(HOST) == 1 and parts() == [9], wrong
    with workers.limit(3):
        assert workers.count(HOST) == 3 and parts() == [3, 3, 3], wrong
    with workers.limit(2, blas=5):
        assert workers.count(HOST) == 2, wrong
    assert workers.count(HOST) == 1, wrong
    return True
"""
FORKS = {
    "in a block": """
with workers.limit(2):
    assert parts() == [4, 5]
    mine = child("in a block")
    assert parts() == ([9] if mine else [4, 5])
    assert workers.count(HOST) == (1 if mine else 2)
assert workers.count(HOST) == 1
""",
    "in blocks": """
with workers.limit(3), workers.limit(2):
    parts()
    mine = child("in two blocks")
    assert workers.count(HOST) == (1 if mine else 2)
""",
    "at work": """
def work(part):
    return child("at work") if part.start == 0 else False
with workers.limit(2):
    mine = workers.split_among_workers(work, 9, HOST)[0] if workers.count(HOST) == 2 else True
    assert workers.count(HOST) == (1 if mine else 2)
""",
    "beside a block": """
opened, leave = threading.Event(), threading.Event()
def block():
    with workers.limit(2):
        parts()
        opened.set()
        leave.wait()
other = threading.Thread(target=block, daemon=True)
other.start()
opened.wait()
mine = child("beside another thread's block")
leave.set()
if not mine:
    other.join()
""",
    "of the lock's owner": """
locked, leave = threading.Event(), threading.Event()
def hold():
    with workers._lock:
        locked.set()
        leave.wait()
other = threading.Thread(target=hold, daemon=True)
other.start()
locked.wait()
mine = child("while another thread opens a block")
leave.set()
if not mine:
    other.join()
""",
    "before a worker has done its part, so it does that itself": """
gate, caller = threading.Event(), threading.current_thread()
mine = False
def work(part):
    global mine
    if part.start == 0:
        mine = child("before a worker has done its part")
        gate.set()
    elif threading.current_thread() is not caller:
        gate.wait(200)
    return part.start
with workers.limit(2):
    assert workers.split_among_workers(work, 2, HOST) == [0, 1]
""",
}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("where", FORKS)
def test_a_forked_child_has_one_worker_and_waits_for_no_other(where):
    """Threads do not survive a fork: who hands them work waits for ever."""
    script = FORK + FORKS[where] + "\nif mine:\n    sys.stdout.flush()\n    os._exit(0)\nprint('done')\n"
    root = Path(__file__).parents[1]
    # Python 3.12 and later warn of forks next to threads
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=root, capture_output=True, text=True,
                          timeout=300)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


# Mistakes, and what floating point should do about its own


@pytest.mark.parametrize("wrong", [{0}, {1}, {2}, {1, 2}, {0, 1, 2}])
def test_the_first_mistake_reaches_the_caller_when_all_have_ended(wrong):
    meet, ended = Barrier(3, timeout=60), []

    def work(part):
        meet.wait()
        if part.start in wrong:
            raise KeyError(part.start)
        ended.append(sum(range(100_000)))

    with workers.limit(3):
        with pytest.raises(KeyError) as caught:
            workers.split_among_workers(work, 3, HOST)
        assert caught.value.args == (min(wrong),) and len(ended) == 3 - len(wrong)
        assert workers.split_among_workers(lambda part: part.start, 3, HOST) == [0, 1, 2]
        assert workers.count(HOST) == 3


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_worker_had_is_forgotten_at_once(fails):
    """Neither a thread that waits for work nor a mistake keeps arrays; without a search for circles of objects."""
    kept = []

    def work(part):
        mine = np.ones(9)
        kept.append(weakref.ref(mine))
        if fails and part.start:
            raise KeyError(mine.size)
        return mine.sum()
    gc.disable()
    try:
        with workers.limit(2):
            if fails:
                with suppress(KeyError):
                    workers.split_among_workers(work, 2, HOST)
            else:
                workers.split_among_workers(work, 2, HOST)
            workers.split_among_workers(lambda part: None, 2, HOST)  # no thread is at the end of the work any more
            assert [there() for there in kept] == [None, None]
    finally:
        gc.enable()


def test_a_thread_that_waits_keeps_nothing():
    """The last reference to what it was given goes when the call has ended, and not when the next call comes."""
    mine, gone = np.ones(9), Event()
    weakref.finalize(mine, gone.set)
    with workers.Worker() as worker:
        worker.submit(len, mine).wait()
        del mine
        assert gone.wait(60)


@pytest.mark.parametrize("arrays", [
    (np.ones((4, 6), "float32"), np.ones((4, 6))), (np.ones((4, 6)), np.ones((4, 1))), (np.ones((4, 6), int),) * 2,
    (np.ones((4, 6)), np.ones((4, 6), bool)), (np.ones((4, 6), complex),) * 2,
], ids=["types", "shapes", "integers", "a mask", "complex"])
def test_element_by_element_is_what_it_is_alone(shared, arrays):
    """Whatever the types and shapes are that come together."""
    expected = np.multiply(*arrays)
    with workers.limit(2):
        found = unfold_kernels.elementwise(np.multiply, *arrays)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_kernels_mistake_reaches_the_caller():
    with workers.limit(2), pytest.raises(ValueError):
        convolution.forward(np.ones((3, 19)), np.ones((4, 6, 6, 2)), 3, 1, 1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("part_at_fault", [0, 1])
def test_what_floating_point_errors_do_is_as_the_caller_said(part_at_fault):
    def divide(part):
        return np.ones(2) / np.full(2, float(part.start != part_at_fault))

    with workers.limit(2):
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
            workers.split_among_workers(divide, 2, HOST)
        with np.errstate(divide="ignore"):
            assert np.isinf(workers.split_among_workers(divide, 2, HOST)[part_at_fault]).all()


# Devices and counted arrays


def test_only_numpys_own_arrays_are_shared():
    with workers.limit(4):
        assert workers.count(fakecupy.ones(3)) == 1
        assert workers.split_among_workers(lambda part: (part, current_thread()), 8, fakecupy.ones(3)) == [
            (slice(0, 8), current_thread())]


@pytest.mark.slow
def test_what_a_step_costs_does_not_depend_on_the_workers(shared):
    came = []
    for threads in (1, 3):
        with workers.limit(threads):
            came.append(bench.count_flops(bench.random_run("conv3-bn:0.03", "cifar-10", "las", 6, "adam")))
    assert came[0] == came[1] and came[0]["matmul"] > 0


def test_counted_arrays_are_not_shared(monkeypatch):
    """What is counted is a number that all threads would add to."""
    flops: Counter[str] = Counter()
    kind = counting(flops)
    monkeypatch.setitem(sys.modules, kind.__module__, bench._Numpy(np, kind))
    with workers.limit(2):
        assert workers.count(np.ones(2).view(kind)) == 1


# What they compute


@pytest.fixture
def shared(monkeypatch):
    """Everything is large enough to be shared, in groups of few samples."""
    monkeypatch.setattr(linear, "ALONE", 1)
    monkeypatch.setattr(unfold_kernels, "HOST_BYTES", 4000)
    monkeypatch.setattr(unfold_kernels, "ALONE", 1)
    monkeypatch.setattr(optim, "ALONE", 2)
    monkeypatch.setattr(optim, "HOST_BLOCK", 16)


def images(draw):
    """What each kernel makes of numbers that `draw(*shape)` gives, by its name."""
    h, x, rows = draw(5, 8, 8, 4), draw(5, 9, 8, 1), draw(40, 4)
    W, thin, D, u, e = draw(6, 36), draw(12, 9), draw(13, 7), draw(5, 7), draw(5, 13)
    d, d_thin, d_by_2 = draw(5, 8, 8, 6), draw(5, 9, 8, 12), draw(5, 4, 4, 6)
    mean, variance = rows.mean(0), rows.var(0) + 1
    best, place = pool.max_pool(d, 3, 2, 1)
    return {
        "convolution by rows": lambda: convolution.forward(W, h, 3, 1, 1),
        "convolution of thin images": lambda: convolution.forward(thin, x, 3, 1, 1),
        "convolution by 2": lambda: convolution.forward(W, h, 3, 2, 1),
        "feedback": lambda: convolution.feedback(W, d, h.shape, 3, 1, 1),
        "feedback by 2": lambda: convolution.feedback(W, d_by_2, h.shape, 3, 2, 1),
        "outer by rows": lambda: convolution.outer(d, h, 3, 1, 1),
        "outer of thin images": lambda: convolution.outer(d_thin, x, 3, 1, 1),
        "outer by 2": lambda: convolution.outer(d_by_2, h, 3, 2, 1),
        "dense": lambda: linear.forward(D, u), "dense, few samples": lambda: linear.forward(D, u[:2]),
        "dense feedback": lambda: linear.feedback(D, e), "dense outer": lambda: linear.outer(e, u),
        "an activation": lambda: unfold_kernels.elementwise(np.abs, h),
        "a sum": lambda: unfold_kernels.elementwise(np.add, h, h[::-1]),
        "pool": lambda: np.concatenate([array.ravel() for array in pool.max_pool(d, 3, 2, 1)]),
        "pool's adjoint": lambda: pool.d_max_pool(best, place, d.shape, 3, 2, 1),
        "statistics": lambda: np.stack(normalize.statistics(rows)),
        "batchnorm": lambda: normalize.batchnorm(rows, mean, mean, mean, variance, 1e-5),
        "batchnorm's adjoint": lambda: np.concatenate([
            array.ravel() for array in normalize.d_batchnorm(rows[::-1], rows, mean, mean, variance, 1e-5)]),
    }


KERNELS = tuple(images(lambda *shape: np.ones(shape)))
SUMS_OF_REALS = ("statistics", "batchnorm", "batchnorm's adjoint")


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_integers_come_out_the_same_with_any_workers(shared, name, threads):
    rng = np.random.default_rng(0)
    kernel = images(lambda *shape: rng.integers(-4, 5, shape).astype(float))[name]
    expected = kernel()
    with workers.limit(threads):
        came = kernel()
    if name in SUMS_OF_REALS:
        assert_close(came, expected)
    else:
        np.testing.assert_array_equal(came, expected)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_reals_come_out_the_same_every_time(shared, name):
    rng = np.random.default_rng(0)
    kernel = images(lambda *shape: rng.standard_normal(shape, dtype="float32"))[name]
    with workers.limit(3):
        expected = kernel()
        for _ in range(5):
            assert kernel().tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_is_shared(shared, monkeypatch, name):
    rng, sizes = np.random.default_rng(0), []

    def share(work, length, *arrays, share=workers.split_among_workers):
        results = share(work, length, *arrays)
        sizes.append(len(results))
        return results

    for module in (unfold_kernels, linear):
        monkeypatch.setattr(module, "split_among_workers", share)
    kernel = images(lambda *shape: rng.standard_normal(shape))[name]
    with workers.limit(2):
        kernel()
    assert 2 in sizes


@given(samples=st.integers(1, 30), threads=st.integers(1, 5), numbers=st.integers(1, 9))
def test_every_sample_is_in_one_group(samples, threads, numbers):
    h, seen = np.ones((samples, 2)), []
    with pytest.MonkeyPatch.context() as patch, workers.limit(threads):
        patch.setattr(unfold_kernels, "HOST_BYTES", 8 * 10)
        unfold_kernels.for_each_group(lambda part: seen.append(part), h, numbers)
        count = unfold_kernels.sum_over_groups(lambda part: np.array([1, part.stop - part.start]), h, numbers)
    assert sorted(i for part in seen for i in range(part.start, part.stop)) == list(range(samples))
    assert max(part.stop - part.start for part in seen) <= 10 // numbers
    assert list(count) == [len(seen), samples]


def test_small_products_are_left_to_the_caller(monkeypatch):
    monkeypatch.setattr(linear, "split_among_workers", lambda *asked: pytest.fail("shared"))
    with workers.limit(2):
        linear.forward(np.ones((10, 1024)), np.ones((64, 1024)))


def after_three_steps(rule: str, threads: int, dtype: str, optimizer: str = "adam"):
    rng = np.random.default_rng(0)
    net = models.build("conv3-bn:0.04", (8, 8, 2), 3, "relu")
    params, shapes = network.init(net, rng, (8, 8, 2), dtype)
    state = tree_map(lambda array: array.astype(dtype), rules.get(rule).init(rng, net, params, shapes))
    opt, opt_state = (bind(optimizer, tree, 0.01, weight_decay=0.1) for tree in (params, state))
    with workers.limit(threads):
        for _ in range(3):
            x, y = rng.standard_normal((7, 8, 8, 2)).astype(dtype), np.eye(3, dtype=dtype)[rng.integers(3, size=7)]
            learn.step(net, rules.get(rule), params, state, opt, opt_state, x, y, rng)
    return [array for _, array in leaves([params, state])]


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["bp", "las"])
def test_training_comes_out_the_same_every_time(shared, rule):
    first, again = (after_three_steps(rule, 3, "float32") for _ in range(2))
    assert [array.tobytes() for array in first] == [array.tobytes() for array in again]


@pytest.mark.parametrize("rule", ["bp", "las"])
def test_training_does_not_depend_on_the_workers_but_for_rounding(shared, rule):
    one, three = (after_three_steps(rule, threads, "float64", "sgd") for threads in (1, 3))
    assert_close(three, one)  # not by adam, which divides by gradients that may be nothing but rounding


def test_blas_keeps_its_number_of_threads_for_the_whole_block():
    """No thread changes the number in the middle of a block, as another thread may be multiplying at that moment."""
    a = np.ones((512, 512))
    with workers.limit(2):
        assert blas_threads() == {1}
        assert workers.split_among_workers(lambda part: blas_threads(), 2, a) == [{1}, {1}]
        assert blas_threads() == {1}


def test_a_small_network_does_not_wait_for_a_second_core(monkeypatch):
    """Its step makes no thread: neither BLAS nor the workers have one to wait for."""
    monkeypatch.setattr(workers.Worker, "submit", lambda *_: pytest.fail("a worker got something to do"))
    for rule in ("bp", "las", "dfa", "asap", "al"):
        run = bench.random_run("mlp:128,128", "digits", rule, 64, "adam")
        with workers.limit(2):
            assert blas_threads() == {1}
            bench.stepper(run)()


# ---------------------------------------------------------------- where no thread can start


@pytest.fixture
def threadless(monkeypatch):
    """A Python in which no thread can start, as in a web page, and which has no threadpoolctl."""
    def start(thread):
        raise RuntimeError("can't start new thread")

    workers.threads_start.cache_clear()
    monkeypatch.setattr("threading.Thread.start", start)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    yield
    workers.threads_start.cache_clear()


def test_without_threads_there_is_one_worker(threadless):
    x = np.ones((4, 3))
    with workers.limit(8), workers.limit(2, blas=3):
        assert workers.count(x) == 1
        assert workers.split_among_workers(lambda part: (part.start, part.stop), 5, x) == [(0, 5)]
    with pytest.raises(InputError, match="threads must be at least 1"), workers.limit(0):
        pass


def test_without_threads_the_pipeline_is_refused_in_one_sentence(threadless):
    with pytest.raises(InputError, match="^the pipeline needs 3 thread.*no thread can start here: expected [^\n]*$"):
        pipeline.run([], [], workers=3)
