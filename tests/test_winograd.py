"""Convolution in the basis of Cook, Toom and Winograd: exact in fractions, and near enough to patches in float32."""
from __future__ import annotations

import json
import tracemalloc
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import assert_close

from nobackprop import learn, models, workers
from nobackprop.backend import to_numpy
from nobackprop.cli import main
from nobackprop.data import Dataset
from nobackprop.kernels import convolution, winograd
from nobackprop.layers import Conv, Dense, GlobalPool, Sequential
from nobackprop.network import Network
from nobackprop.settings import Settings
from nobackprop.studies.speed.bench import count_flops, random_run

# the bound that docs/convolution.md states: roundings of the largest sum of absolute values that a patch adds up, if no
# number of an array is more than twice as large as another
ROUNDINGS = {3: 128, 5: 512}
rationals = st.fractions(-4, 4, max_denominator=9)


# What is computed: exactly


def correlation(g, d):
    """The sums over i and j of g[i, j] d[y + i, x + j], term by term."""
    k, m = len(g), len(d) - len(g) + 1
    return [[sum(g[i][j] * d[y + i][x + j] for i in range(k) for j in range(k)) for x in range(m)] for y in range(m)]


def fractions(data, side):
    return [data.draw(st.lists(rationals, min_size=side, max_size=side)) for _ in range(side)]


@pytest.mark.slow
@given(tile=st.integers(1, 4), kernel=st.integers(1, 5), data=st.data())
def test_the_basis_is_exact_in_fractions_whatever_the_points(tile, kernel, data):
    n = tile + kernel - 1
    points = data.draw(st.lists(rationals, min_size=n - 1, max_size=n - 1, unique=True))
    g, d = fractions(data, kernel), fractions(data, n)
    assert winograd.plain_tile(np.array(g), np.array(d), points).tolist() == correlation(g, d)


@pytest.mark.parametrize("kernel", winograd.POINTS)
def test_the_basis_in_use_is_exact_in_fractions(kernel):
    """Every pair of a weight and an input by itself: both sides are linear in each, so all sums follow."""
    n = winograd.TILE + kernel - 1
    A, G, B = winograd.cook_toom(winograd.POINTS[kernel], winograd.TILE, kernel)
    for y in range(winograd.TILE):
        for i in range(kernel):
            row = [sum(A[y][f] * G[f][i] * B[f][x] for f in range(n)) for x in range(n)]
            assert row == [Fraction(x == y + i) for x in range(n)]


@pytest.mark.parametrize("kernel", winograd.POINTS)
def test_the_squares_are_those_of_these_matrices_rounded_once(kernel):
    for (found, shape), M in zip(winograd._squares(kernel),
                                 winograd.cook_toom(winograd.POINTS[kernel], winograd.TILE, kernel), strict=True):
        one = np.array(M)
        np.testing.assert_array_equal(np.array(found).reshape(shape), np.kron(one, one).astype(float))


# The three kernels, in float32


@st.composite
def cases(draw):
    """(h, W, delta, kernel, pad) of float32: scales that differ, signs, images of any shape, of one tile or many."""
    kernel, rng = draw(st.sampled_from(sorted(winograd.POINTS))), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pad = draw(st.integers(0, kernel - 1))
    side = st.integers(max(1, kernel - 2 * pad), 14)
    shape = draw(st.integers(1, 5)), draw(side), draw(side), draw(st.integers(1, 40))
    planes = draw(st.integers(1, 40))
    a = len(range(shape[1] + 2 * pad - kernel + 1)), len(range(shape[2] + 2 * pad - kernel + 1))
    scales = [10.0**draw(st.integers(-6, 6)) for _ in range(3)]
    h, W, delta = (np.float32(scale * rng.uniform(0.5, 1, shape) * rng.choice([-1, 1], shape)) for scale, shape in zip(
        scales, (shape, (planes, kernel**2 * shape[3]), (shape[0], *a, planes)), strict=True))
    return h, W, delta, kernel, pad


def exactly(kernel, *given):
    """A kernel in float64, and the same of absolute values: what was added up."""
    wide = [g.astype(float) if isinstance(g, np.ndarray) else g for g in given]
    return kernel(*wide), kernel(*(abs(g) if isinstance(g, np.ndarray) else g for g in wide))


def pairs(h, W, delta, kernel, pad):
    """Each kernel with its plain one, and their arguments."""
    return ((winograd.forward, convolution.plain_forward, (W, h), (kernel, pad), (kernel, 1, pad)),
            (winograd.feedback, convolution.plain_feedback, (W, delta), (kernel, pad), (h.shape, kernel, 1, pad)),
            (winograd.outer, convolution.plain_outer, (delta, h), (kernel, pad), (kernel, 1, pad)))


@pytest.mark.slow
@given(case=cases())
def test_the_kernels_are_the_plain_ones_within_the_stated_bound(xp, case):
    for fast, plain, arrays, how, plain_how in pairs(*case):
        expected, added_up = exactly(plain, *arrays, *plain_how)
        found = fast(*map(xp.asarray, arrays), *how)
        assert found.dtype == "float32"
        assert_close(to_numpy(found), np.float32(expected), of=added_up, slack=ROUNDINGS[case[3]])


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("kernel", winograd.POINTS)
def test_weights_that_are_changed_in_parts_stand_where_they_belong(monkeypatch, kernel, threads):
    """Uneven parts of channels on the way there, and of planes on the way back; networks have such from 128 on."""
    monkeypatch.setattr(winograd, "PLANES", 3)
    h, W, delta = arrays(shape=(3, 9, 6, 11), planes=13, kernel=kernel)
    for fast, plain, both, how, plain_how in pairs(h, W, delta, kernel, kernel // 2):
        expected, added_up = exactly(plain, *both, *plain_how)
        with workers.limit(threads):
            found = fast(*both, *how)
        assert_close(found, np.float32(expected), of=added_up, slack=ROUNDINGS[kernel])


@given(case=cases())
def test_they_are_adjoint_to_rounding(case):
    h, W, delta, kernel, pad = case
    a, down, G = (np.float64(fast(*arrays, *how)) for fast, _, arrays, how, _ in pairs(*case))
    form = float((delta * a).sum()), float((down * h).sum()), float((W * G).sum())
    wide = [abs(array.astype(float)) for array in (W, h, delta)]
    added_up = float((wide[2] * convolution.plain_forward(*wide[:2], kernel, 1, pad)).sum())
    for found in form:
        assert_close(np.float32(found), np.float32(form[0]), of=added_up, slack=2 * ROUNDINGS[kernel])


@pytest.mark.parametrize("kernel", winograd.POINTS)
def test_float64_is_nearly_exact_too(kernel):
    """The matrices are right to the digits of the type, not only to those of float32."""
    rng = np.random.default_rng(0)
    h, W = rng.standard_normal((3, 9, 6, 2)), rng.standard_normal((4, 2 * kernel**2))
    assert_close(winograd.forward(W, h, kernel, 2), convolution.plain_forward(W, h, kernel, 1, 2))


# When


SHAPE = 4, 16, 16, 32


@pytest.mark.parametrize("shape, planes, kernel, pad, expected", [
    (SHAPE, 32, 3, 1, True), ((3, 16, 16, 32), 32, 3, 1, False),  # 64 tiles, and 48
    ((4, 16, 16, 31), 32, 3, 1, False), (SHAPE, 31, 3, 1, False),
    ((4, 16, 16, 24), 24, 5, 2, True), ((4, 16, 16, 23), 24, 5, 2, False),
    (SHAPE, 32, 3, 2, True), (SHAPE, 32, 3, 3, False), (SHAPE, 32, 3, 40, False),  # frames wider than a tile is high
    (SHAPE, 32, 1, 0, False), (SHAPE, 32, 4, 1, False), (SHAPE, 32, 7, 3, False),
    ((64, 2, 2, 64), 64, 3, 1, False), ((64, 4, 4, 64), 64, 3, 1, True),  # tiles that are a quarter full, and full
    ((64, 4, 3, 64), 64, 3, 1, True), ((64, 6, 5, 64), 64, 3, 1, False),  # 12 of 16 pixels, and 30 of 64
])
def test_when_it_is_chosen(xp, shape, planes, kernel, pad, expected):
    assert winograd.suits(xp.zeros(shape, "float32"), planes, kernel, pad) is expected
    assert not winograd.suits(xp.zeros(shape, "float64"), planes, kernel, pad)
    with winograd.allowed(False):
        assert not winograd.suits(xp.zeros(shape, "float32"), planes, kernel, pad)
        with winograd.allowed():
            assert winograd.suits(xp.zeros(shape, "float32"), planes, kernel, pad) is expected


def arrays(dtype="float32", shape=SHAPE, planes=40, kernel=3):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in (
        shape, (planes, kernel**2 * shape[3]), (*shape[:3], planes))]


def three(h, W, delta, kernel=3, pad=1):
    return [convolution.forward(W, h, kernel, 1, pad), convolution.feedback(W, delta, h.shape, kernel, 1, pad),
            convolution.outer(delta, h, kernel, 1, pad)]


def test_the_convolution_asks_for_it(xp, monkeypatch):
    """All three kernels take it where it suits, none in float64 nor at a stride, and none where it is not allowed."""
    took = []

    def spy(name, kernel, *given):
        took.append(name)
        return kernel(*given)
    for name in ("forward", "feedback", "outer"):
        monkeypatch.setattr(winograd, name, partial(spy, name, getattr(winograd, name)))
    three(*map(xp.asarray, arrays()))
    assert took == ["forward", "feedback", "outer"]
    took.clear()
    three(*map(xp.asarray, arrays("float64")))
    with winograd.allowed(False):
        expected = three(*map(xp.asarray, arrays()))
    h, W, _ = map(xp.asarray, arrays(shape=(8, 32, 32, 32)))
    convolution.outer(convolution.forward(W, h, 3, 2, 1), h, 3, 2, 1)
    assert not took
    for found, patches in zip(three(*map(xp.asarray, arrays())), expected, strict=True):
        assert_close(to_numpy(found), to_numpy(patches))
        assert (to_numpy(found) != to_numpy(patches)).any()  # two ways to round


def test_workers_obey_the_switch():
    """What is not allowed is not allowed in the threads of the workers either."""
    with workers.limit(2), winograd.allowed(False):
        seen = workers.split_among_workers(lambda part: winograd.suits(np.zeros(SHAPE, "float32"), 32, 3, 1), 2,
                                           np.zeros(1))
    assert seen == [False, False]


@pytest.mark.parametrize("convolution", ["fast", "patches"])
def test_a_run_convolves_as_its_settings_say(monkeypatch, convolution):
    """In steps, in what is measured after them, and on the test set; and the switch is closed again after that."""
    took = []
    monkeypatch.setattr(winograd, "forward", lambda W, h, *how, kernel=winograd.forward: (
        took.append(len(h)), kernel(W, h, *how))[1])
    rng = np.random.default_rng(0)
    parts = [part for n in (32, 40, 48) for part in (
        rng.standard_normal((n, 8, 8, 32), dtype=np.float32), rng.integers(3, size=n))]
    net = Network((Sequential((Conv(32, 3, 1, 1), GlobalPool())), Dense(3)))
    how = Settings(epochs=1, batch_size=32, convolution=convolution)
    run = learn.Run(net, "bp", Dataset("noise", 3, *parts), how)
    run.epoch()
    run.test()
    assert set(took) == ({32, 40, 48} if convolution == "fast" else set())
    assert winograd.suits(parts[0], 32, 3, 1)


@pytest.mark.slow
def test_the_command_line_has_the_switch(tmp_path):
    assert main(["train", "--data", "xor", "--epochs", "1", "--convolution", "patches", "--seeds", "0",
                 "--out", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["config"]["convolution"] == "patches"


# Bits, work and memory


# two groups; an uneven number of samples; one group, whose frequencies are shared; an image of several groups; four
# groups, whose sum depends on the order
BITS = [((12, 16, 16, 32), 40, 3), ((65, 8, 8, 24), 25, 5), ((4, 16, 16, 96), 100, 3), ((1, 80, 68, 32), 32, 3),
        ((40, 16, 16, 32), 33, 3)]


@pytest.mark.parametrize("shape, planes, kernel", BITS)
def test_the_same_bits_every_time_and_with_one_worker_or_two(shape, planes, kernel):
    given = arrays(shape=shape, planes=planes, kernel=kernel)
    assert winograd.suits(given[0], planes, kernel, kernel // 2)
    came = []
    for threads in (1, 2, 1, 2):
        with workers.limit(threads):
            came.append([array.tobytes() for array in three(*given, kernel, kernel // 2)])
    assert came[0] == came[1] == came[2] == came[3]


@pytest.mark.parametrize("shape, planes, kernel", BITS)
def test_both_workers_have_something_to_do(monkeypatch, shape, planes, kernel):
    seen = []

    def spy(work, length, *arrays, split=workers.split_among_workers):
        seen.append(length)
        return split(work, length, *arrays)
    monkeypatch.setattr(winograd, "split_among_workers", spy)
    h, W, delta = arrays(shape=shape, planes=planes, kernel=kernel)
    groups = len(winograd._groups(h, *shape[1:3], kernel, planes))
    with workers.limit(2):
        winograd.forward(W, h, kernel, kernel // 2)
        assert (groups if groups > 1 else (kernel + 3)**2) in seen
        assert groups > 1 or seen.count(winograd.PARTS) == 1  # the change of basis of its tiles
        seen.clear()
        winograd.outer(delta, h, kernel, kernel // 2)
        assert (2 if groups > 1 else (kernel + 3)**2) in seen
        assert groups > 1 or seen.count(winograd.PARTS) == 2


@pytest.mark.parametrize("shape, planes, kernel", BITS)
def test_groups_cover_every_tile_once(xp, shape, planes, kernel):
    rows, columns = shape[1:3]
    seen = np.zeros((shape[0], -(-rows // 4)), int)
    for group in winograd._groups(xp.zeros(shape, "float32"), rows, columns, kernel, planes):
        seen[group.samples, group.bands] += 1
    assert (seen == 1).all()


def test_the_counted_operations_are_those_that_run(monkeypatch):
    """By hand: 36 products at 2 x 2 tiles an image, and the changes of basis of all that comes and of what goes."""
    n, C, F = 64, 32, 40
    net = Network((Sequential((Conv(C, 1), Conv(F, 3, 1, 1), GlobalPool())), Dense(10)))
    monkeypatch.setattr(models, "build", lambda *asked: net)
    tiles, pixels = 4 * n, 64 * n
    first = 2 * pixels * C  # one channel to 32 planes
    last = 2 * n * F * 10
    forward = 36 * 36 * tiles * C + 36 * 9 * C * F + 36 * tiles * C * F + 16 * 36 * tiles * F
    down = 36 * 36 * tiles * F + 36 * 9 * C * F + 36 * tiles * C * F + 16 * 36 * tiles * C
    outer = 36 * 36 * tiles * C + 36 * 16 * tiles * F + 36 * tiles * C * F + 9 * 36 * C * F
    expected = 2 * first + 3 * last + 2 * (forward + down + outer)
    assert count_flops(random_run("", "digits", "bp", n, "sgd"))["matmul"] == expected
    with winograd.allowed(False):
        patches = count_flops(random_run("", "digits", "bp", n, "sgd"))["matmul"]
    assert patches > 2 * first + 3 * last + 2 * 2 * 9 * pixels * C * F


def peak(work):
    tracemalloc.start()
    try:
        out = work()
        return tracemalloc.get_traced_memory()[1] - out.nbytes
    finally:
        tracemalloc.stop()


def test_work_space_is_that_of_a_group_whatever_the_batch():
    """The weights in the basis, and of one group: the frame of zeros, the cut tiles, V, products, results."""
    C = F = 32
    U, tiles = 4 * 36 * C * F, 256  # as docs/convolution.md says
    for n in (32, 96):
        h, W, delta = arrays(shape=(n, 16, 16, C), planes=F)
        group = 4 * tiles * (36 * (2 * C + F) + 16 * 2 * F + 36 * C)
        for work in (lambda: convolution.forward(W, h, 3, 1, 1),  # noqa: B023
                     lambda: convolution.feedback(W, delta, h.shape, 3, 1, 1)):  # noqa: B023
            assert peak(work) < 2 * U + group
        # the sums of two halves, that of a group, and its product
        assert peak(lambda: convolution.outer(delta, h, 3, 1, 1)) < 4 * U + group  # noqa: B023
