"""The kernels: exact identities on integers, derivatives by complex step, and no input that is written to."""
from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from networks import slope
from scipy.special import ndtr
from strategies import FK_LK_LF, NC_NC, NF, seeds
from tolerance import assert_close, assert_zero

from nobackprop import kernels
from nobackprop.backend import Array, to_numpy
from nobackprop.errors import InputError
from nobackprop.kernels import linear, normalize, similarity
from nobackprop.kernels.activation import ACTIVATIONS, softmax
from nobackprop.kernels.loss import LOSSES, cross_entropy, d_cross_entropy, d_squared, squared

# What the strategies draw

FIRST = settings(max_examples=2000, phases=[Phase.generate], database=None)  # one example will do, however large


@given(FK_LK_LF())
def test_FK_LK_LF_fit_each_other(case):
    W, u, delta = case
    assert W.shape == (delta.shape[-1], u.shape[-1]) and u.shape[:-1] == delta.shape[:-1]
    for array in case:
        assert array.dtype == W.dtype and array.dtype in ("float32", "float64")
        np.testing.assert_array_equal(array, np.rint(array))
        # the largest sum that the identities make is exact in either precision
        assert array.size == 0 or abs(array).max() ** 3 * 6 * 6 * 27 < 2**24


@pytest.mark.parametrize("of_interest", [
    lambda case: case[1].ndim == 1,
    lambda case: case[1].ndim == 4 and case[1].size > 0,
    lambda case: case[1].size == 0,
    lambda case: case[0].shape[0] > case[0].shape[1] > 1,
    lambda case: case[0].dtype == "float32",
    lambda case: len(np.unique(case[0])) > 2,
])
def test_FK_LK_LF_reach_the_corners(of_interest):
    find(FK_LK_LF(), of_interest, settings=FIRST)


@given(NC_NC())
def test_NC_NC_are_activations_and_probabilities(case):
    a, y = case
    assert a.shape == y.shape and a.all() and np.isfinite(a).all() and (y >= 0).all()
    assert_close(y.sum(1), np.ones(len(y)))


@pytest.mark.parametrize("of_interest", [
    lambda case: set(case[1].flat) == {0, 1},
    lambda case: 0 < case[1][0, 0] < 1,
])
def test_NC_NC_reach_hard_and_soft_targets(of_interest):
    find(NC_NC(), of_interest, settings=FIRST)


@given(NF(-2, 3))
def test_NF_keep_to_their_range(a):
    assert a.ndim == 2 and a.all() and -2 <= a.min() <= a.max() <= 3


@given(strategies.trees)
def test_trees_are_made_of_what_trees_are_made_of(tree):
    assert tree is None or isinstance(tree, dict | list | tuple | np.ndarray)


# Every kernel


SCAFFOLDING = ("out_size", "places", "groups", "for_each_group", "sum_over_groups", "elementwise", "added", "cook_toom",
               "allowed", "suits")


def _kernels() -> dict[str, Callable[..., Array]]:
    """All public functions of the package by 'module.function'."""
    modules = [importlib.import_module(f"{kernels.__name__}.{info.name}")
               for info in pkgutil.iter_modules(kernels.__path__)]
    return {f"{module.__name__.rpartition('.')[2]}.{name}": f for module in modules
            for name, f in inspect.getmembers(module, inspect.isfunction)
            if f.__module__ == module.__name__ and not name.startswith(("_", "plain_")) and name not in SCAFFOLDING}


KERNELS = _kernels()
N, F, K = 4, 3, 5
Example = Callable[[np.random.Generator, int], tuple[object, ...]]


def _shapes(n: int) -> dict[str, tuple[int, ...]]:
    """What arguments of these names are for n samples; a kernel that calls something else so stands in EXAMPLES."""
    return {"a": (n, F), "h": (n, F), "y": (n, F), "w": (n, 1), "u": (2, n, K), "delta": (2, n, F), "W": (F, K),
            "B": (F, K)}


def _images(*more: object) -> Example:
    return lambda rng, n: (rng.standard_normal((n, 5, 6, 3)), *more)


def _arrays(*shapes: tuple[str | int, ...], more: tuple[object, ...] = ()) -> Example:
    """Arrays of these shapes, the letter n standing for the number of samples there and in `more`."""
    def draw(rng: np.random.Generator, n: int) -> tuple[object, ...]:
        def sized(value: Any) -> Any:
            return tuple(n if side == "n" else side for side in value) if isinstance(value, tuple) else value
        return (*(rng.standard_normal(sized(shape)) for shape in shapes), *map(sized, more))
    return draw


IMAGE, PLACES, SAME = ("n", 5, 6, 3), ("n", 3, 3, 4), ("n", 5, 6, 4)
EXAMPLES: dict[str, Example] = {
    "dropout.dropout": lambda rng, n: (rng.standard_normal((n, F)), rng.integers(2, size=(n, F)) > 0, 0.25),
    "activation.unpack": lambda rng, n: (rng.integers(256, size=-(-n * 5 // 8), dtype="uint8"), (n, 5)),
    "unfold.padded": _images(2), "unfold.unpadded": _images(1), "unfold.windows": _images(0, 1, 2, 3, 2),
    "unfold.unfold": _images(3, 2, 1), "unfold.fold": _arrays(("n", 3, 3, 27), more=(IMAGE, 3, 2, 1)),
    "convolution.forward": _arrays((4, 27), IMAGE, more=(3, 2, 1)),
    "convolution.feedback": _arrays((4, 27), PLACES, more=(IMAGE, 3, 2, 1)),
    "convolution.outer": _arrays(PLACES, IMAGE, more=(3, 2, 1)),
    "winograd.forward": _arrays((4, 27), IMAGE, more=(3, 1)), "winograd.outer": _arrays(SAME, IMAGE, more=(3, 1)),
    "winograd.feedback": _arrays((4, 27), SAME, more=(3, 1)),
    "pool.max_pool": _images(2, 2), "pool.avg_pool": _images(3, 2, 1), "pool.global_pool": _images(),
    "pool.d_max_pool": lambda rng, n: (rng.standard_normal((n, 2, 3, 3)),
                                       rng.integers(4, size=(n, 2, 3, 3), dtype="uint8"), (n, 5, 6, 3), 2, 2),
    "pool.d_avg_pool": _arrays(("n", 3, 3, 3), more=(IMAGE, 3, 2, 1)),
    "pool.d_global_pool": _arrays(("n", 3), more=(IMAGE,)),
    "similarity.deviation": _images(),
    "similarity.d_deviation": _arrays(("n", 3), IMAGE), "similarity.d_similarity": _arrays(("n", "n"), ("n", F)),
    "similarity.gaussian": _arrays(("n", F), more=(1.5,)),
    "similarity.d_gaussian": _arrays(("n", "n"), ("n", F), more=(1.5,)),
    "normalize.statistics": _images(),
    "normalize.batchnorm": lambda rng, n: (rng.standard_normal((n, 5, 6, 3)), *rng.standard_normal((3, 3)), np.ones(3),
                                           1e-5),
    "normalize.layernorm": lambda rng, n: (rng.standard_normal((n, 5, 6, 3)), *rng.standard_normal((2, 3)), 1e-5),
    "normalize.d_layernorm": lambda rng, n: (*rng.standard_normal((2, n, 5, 6, 3)), rng.standard_normal(3), 1e-5),
    "normalize.unit_length": lambda rng, n: (rng.standard_normal((n, 5, 6, 3)), 1e-5),
    "normalize.d_unit_length": lambda rng, n: (*rng.standard_normal((2, n, 5, 6, 3)), 1e-5),
    "normalize.d_batchnorm": lambda rng, n: (*rng.standard_normal((2, n, 5, 6, 3)), *rng.standard_normal((2, 3)),
                                             np.ones(3), 1e-5),
}
# the same kernels in their other ways: unfolded along the width alone, another adjoint, statistics that are constants
OTHER_WAYS: dict[str, tuple[str, Example]] = {
    "convolution.forward by rows": ("convolution.forward", _arrays((4, 27), IMAGE, more=(3, 1, 1))),
    "convolution.forward of high pads": ("convolution.forward", _arrays((4, 27), IMAGE, more=(3, 1, 4))),
    "convolution.feedback by rows": ("convolution.feedback", _arrays((4, 27), ("n", 5, 6, 4), more=(IMAGE, 3, 1, 1))),
    "convolution.outer by rows": ("convolution.outer", _arrays(("n", 5, 6, 4), IMAGE, more=(3, 1, 1))),
    "linear.forward of few": ("linear.forward", _arrays((40, K), ("n", K))),
    "normalize.d_batchnorm of constants": ("normalize.d_batchnorm", lambda rng, n: (
        *EXAMPLES["normalize.d_batchnorm"](rng, n), False)),
    "pool.max_pool of padded images": ("pool.max_pool", _images(3, 2, 1)),
    "pool.max_pool of large windows": ("pool.max_pool", _images(17, 1, 8)),
}
WAYS = [*KERNELS, *OTHER_WAYS]
MASKS = {"activation.d_relu", "activation.unpack"}
MOVING = {"activation.identity", "unfold.padded", "unfold.unpadded", "unfold.windows",
          "unfold.unfold"}
MEANS_OVER_SAMPLES = {*(f"loss.{d}{name}" for d in ("", "d_") for name in LOSSES), "normalize.statistics"}


def example(way: str, n: int = 2) -> tuple[Callable[..., object], list[object]]:
    """A kernel and arguments for it, arrays in float64 on the host, n samples."""
    name, draw = OTHER_WAYS.get(way, (way, EXAMPLES.get(way)))
    rng = np.random.default_rng(0)
    if draw is None:
        wanted, shapes = list(inspect.signature(KERNELS[name]).parameters), _shapes(n)
        strange = [argument for argument in wanted if argument not in shapes]
        assert not strange, f"kernels.{name} takes {strange}: add its arguments to EXAMPLES"
        return KERNELS[name], [rng.standard_normal(shapes[argument]) for argument in wanted]
    return KERNELS[name], list(draw(rng, n))


def numbers(value: object) -> bool:
    """Whether an argument is an array of what is computed with, not of places or bits."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def parts(result: object) -> tuple[Array, ...]:
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("way", WAYS)
def test_a_kernel_keeps_the_dtype_and_writes_to_no_input(xp, way, dtype):
    if dtype == "complex128" and xp.__name__ == "cupy":
        pytest.skip("complex steps are taken on the host")
    kernel, given = example(way)
    host = [value.astype(dtype) if numbers(value) else value for value in given]
    kept = [value.tobytes() if isinstance(value, np.ndarray) else value for value in host]
    arguments = [xp.asarray(value) if isinstance(value, np.ndarray) else value for value in host]
    if xp is np:
        for value in arguments:
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
    for part in parts(kernel(*arguments)):
        if part.dtype.kind != "u":  # places in a window, bits
            assert part.dtype == (bool if way in MASKS else dtype)
    for before, value in zip(kept, arguments, strict=True):
        assert not isinstance(before, bytes) or to_numpy(value).tobytes() == before


DTYPES = ("float32", "float64", "complex128", "uint8", "int64", "bool")


@pytest.mark.parametrize("way", WAYS)
def test_a_kernel_computes_in_the_dtype_that_holds_all_its_inputs(way):
    """Bytes and integers among them, of which no byte holds the sums; complex numbers for complex steps."""
    kernel, arguments = example(way)
    places = [i for i, value in enumerate(arguments) if numbers(value)]
    pairs = [(a, b) for a in DTYPES for b in DTYPES if len(places) > 1 or a == b]
    for pair in pairs if places else ():
        rng, mixed, exact = np.random.default_rng(1), list(arguments), list(arguments)
        for i in places:
            dtype = pair[i != places[0]]
            drawn = rng.integers(0, 2 if dtype == "bool" else 200, arguments[i].shape)
            mixed[i], exact[i] = drawn.astype(dtype), drawn.astype("float64")
        expected_dtype = bool if way in MASKS else np.result_type(*pair)
        if way not in MOVING | MASKS and expected_dtype.kind not in "fc":
            expected_dtype = np.result_type(expected_dtype, "float32")
        scale = max(float(abs(exact[i]).max()) for i in places)
        for found, expected in zip(parts(kernel(*mixed)), parts(kernel(*exact)), strict=True):
            assert found.dtype == (expected.dtype if expected.dtype.kind == "u" else expected_dtype), pair
            assert_close(found + np.float32(0), expected + np.float32(0), of=scale, message=f"{pair}")


@pytest.mark.parametrize("way", WAYS)
def test_a_kernel_takes_a_batch_without_samples(xp, way):
    kernel = example(way)[0]
    two, three, none = (example(way, n)[1] for n in (2, 3, 0))
    none = [xp.asarray(value) if isinstance(value, np.ndarray) else value for value in none]
    if way in MEANS_OVER_SAMPLES:
        with pytest.raises(InputError, match=r"samples?\b"):
            kernel(*none)
        return
    for found, of_2, of_3 in zip(*(parts(kernel(*arguments)) for arguments in (none, two, three)), strict=True):
        # the axes of the batch are those that grow with it
        assert found.shape == tuple(a if a == b else 0 for a, b in zip(of_2.shape, of_3.shape, strict=True))
        assert not to_numpy(found).any()


# Normalisation, as a textbook has it


@given(seeds, st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple), st.integers(1, 9))
def test_fast_normalisation_is_the_plain_one(xp, seed, lead, channels):
    rng = np.random.default_rng(seed)
    (h, delta), (gamma, beta) = (map(xp.asarray, rng.standard_normal((2, *shape, channels))) for shape in (lead, ()))
    mean, variance = normalize.statistics(h)
    assert_close(normalize.batchnorm(h, gamma, beta, mean, variance, 0.1),
                 normalize.plain_batchnorm(h, gamma, beta, 0.1), of=1)
    assert_close(list(normalize.d_batchnorm(delta, h, gamma, mean, variance, 0.1)),
                 list(normalize.plain_d_batchnorm(delta, h, gamma, 0.1)), of=20)
    assert_close(normalize.layernorm(h, gamma, beta, 0.1), normalize.plain_layernorm(h, gamma, beta, 0.1), of=1)
    assert_close(list(normalize.d_layernorm(delta, h, gamma, 0.1)),
                 list(normalize.plain_d_layernorm(delta, h, gamma, 0.1)), of=20)


# of more than one group, by two megabytes of work space each
@pytest.mark.parametrize("shape", [(3000, 300), (40, 30, 30, 20)])
def test_layer_normalisation_in_groups_is_the_plain_one(shape):
    rng = np.random.default_rng(0)
    (h, delta), (gamma, beta) = rng.standard_normal((2, *shape)), rng.standard_normal((2, shape[-1]))
    assert_close(normalize.layernorm(h, gamma, beta, 1e-5), normalize.plain_layernorm(h, gamma, beta, 1e-5))
    found = normalize.d_layernorm(delta, h, gamma, 1e-5)
    assert_close(list(found), list(normalize.plain_d_layernorm(delta, h, gamma, 1e-5)), of=len(h))


# The trilinear form


@given(case=FK_LK_LF())
def test_the_three_kernels_are_derivatives_of_one_form(xp, case):
    W, u, delta = map(xp.asarray, case)
    forward, feedback, outer = linear.forward(W, u), linear.feedback(W, delta), linear.outer(delta, u)
    assert (forward.shape, feedback.shape, outer.shape) == (delta.shape, u.shape, W.shape)
    assert float((delta * forward).sum()) == float((feedback * u).sum()) == float((W * outer).sum())


@given(case=FK_LK_LF())
def test_the_three_kernels_are_those_sums(xp, case):
    W, u, delta = case
    for kernel, arguments, sums in ((linear.forward, (W, u), "fk,...k->...f"),
                                    (linear.feedback, (W, delta), "fk,...f->...k")):
        came = to_numpy(kernel(*map(xp.asarray, arguments)))
        np.testing.assert_array_equal(came, np.einsum(sums, *arguments, dtype="float64"))
    rows = delta.reshape(-1, delta.shape[-1]), u.reshape(-1, u.shape[-1])
    np.testing.assert_array_equal(to_numpy(linear.outer(*map(xp.asarray, (delta, u)))),
                                  np.einsum("nf,nk->fk", *rows, dtype="float64"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_three_kernels_are_those_sums_of_reals(xp, dtype):
    rng = np.random.default_rng(0)
    W, u, delta = (rng.standard_normal(shape).astype(dtype) for shape in ((7, 11), (3, 4, 11), (3, 4, 7)))
    for kernel, arguments, sums in ((linear.forward, (W, u), "fk,abk->abf"),
                                    (linear.feedback, (W, delta), "fk,abf->abk"),
                                    (linear.outer, (delta, u), "abf,abk->fk")):
        expected = np.einsum(sums, *(array.astype("float64") for array in arguments))
        came = to_numpy(kernel(*map(xp.asarray, arguments)))
        assert_close(came, expected, slack=64)


@given(FK_LK_LF())
def test_slices_and_transposes_serve_as_well(case):
    W, u, delta = case
    W_t, u_s, delta_s = np.asfortranarray(W), np.repeat(u, 2, -1)[..., ::2], np.repeat(delta, 2, -1)[..., ::2]
    np.testing.assert_array_equal(linear.forward(W_t, u_s), linear.forward(W, u))
    np.testing.assert_array_equal(linear.feedback(W_t, delta_s), linear.feedback(W, delta))
    np.testing.assert_array_equal(linear.outer(delta_s, u_s), linear.outer(delta, u))


def test_operands_of_two_modules_are_refused():
    import fakecupy
    W = np.ones((3, 5))
    with pytest.raises(TypeError, match="arrays of one module"):
        linear.forward(W, fakecupy.ones((2, 5)))
    with pytest.raises(TypeError, match="arrays of one module"):
        linear.outer(fakecupy.ones((2, 3)), W[:2])


# Activations


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(a=NF())
def test_the_derivative_is_a_function_of_what_it_says_that_it_takes(name, a):
    f = ACTIVATIONS[name]
    by_complex_step = f.function(a + 1e-20j).imag / 1e-20
    assert_close(f.derivative(f.kept(a, f.function(a))), by_complex_step, of=1)


@pytest.mark.parametrize("name", [name for name, f in ACTIVATIONS.items() if f.takes == "sign"])
@given(a=NF())
def test_a_derivative_that_takes_the_sign_reads_no_more(name, a):
    f = ACTIVATIONS[name]
    h = f.function(a)
    np.testing.assert_array_equal(f.derivative((h > 0).astype(h.dtype)), f.derivative(h))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_that_is_called_monotone_never_falls_and_only_such_a_one(name):
    rising = np.diff(ACTIVATIONS[name].function(np.linspace(-5, 5, 1001))) >= 0
    assert rising.all() == ACTIVATIONS[name].monotone


def test_activations_are_what_their_names_say(xp):
    host = np.linspace(-3, 3, 13)
    a = xp.asarray(host)
    expected = {"identity": host, "relu": np.where(host > 0, host, 0), "tanh": np.tanh(host),
                "sigmoid": 1 / (1 + np.exp(-host)), "elu": np.where(host > 0, host, np.exp(host) - 1),
                "leaky_relu": np.where(host > 0, host, host / 100), "silu": host / (1 + np.exp(-host)),
                "gelu": host / (1 + np.exp(-2 * np.sqrt(2 / np.pi) * (host + 0.044715 * host**3)))}
    assert set(expected) == set(ACTIVATIONS)
    for name, f in ACTIVATIONS.items():
        assert_close(to_numpy(f.function(a)), expected[name])


def test_gelu_is_near_the_one_by_the_normal_distribution():
    a = np.linspace(-8, 8, 4001)
    off = np.abs(ACTIVATIONS["gelu"].function(a) - a * ndtr(a)).max()
    assert 1e-4 < off < 5e-4


@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_a_relu_is_off_at_0(xp, name):
    f = ACTIVATIONS[name]
    slopes = to_numpy(f.derivative(f.function(xp.asarray(np.array([0.0, -0.0, -1.0, 1.0])))))
    assert slopes.tolist() == [f.derivative(np.array([-1.0]))[0]] * 3 + [1.0]


@pytest.mark.parametrize("name", [*ACTIVATIONS, "softmax"])
def test_no_activation_overflows(xp, name):
    f = softmax if name == "softmax" else ACTIVATIONS[name].function
    for dtype in ("float32", "float64"):
        a = xp.asarray(np.array([[-1e4, 0.0, 1e4]], dtype))
        assert np.isfinite(to_numpy(f(a))).all()
        if name != "softmax":
            assert np.isfinite(to_numpy(ACTIVATIONS[name].derivative(ACTIVATIONS[name].kept(a, f(a))))).all()


@given(a=NF())
def test_softmax_gives_probabilities(xp, a):
    p = to_numpy(softmax(xp.asarray(a)))
    assert (p > 0).all()
    assert_close(p.sum(-1), np.ones(len(a)))
    assert_close(p, np.exp(a) / np.exp(a).sum(-1, keepdims=True))


@given(NF(), st.integers(-100, 100))
def test_softmax_does_not_see_a_shift(a, shift):
    # exact, since the shift is an integer and a holds few digits
    np.testing.assert_array_equal(softmax(a + shift), softmax(a))


ROWS = np.array([[0.0, 1.0, 2.0], [1e4, 1e4 + 1, 1e4 + 2], [-1e4, 1 - 1e4, 2 - 1e4]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_takes_every_row_by_itself(xp, dtype):
    """By values: shifted by the largest of all rows, the others would be 0 / 0, whatever is done with warnings."""
    with np.errstate(all="ignore"):
        p = to_numpy(softmax(xp.asarray(ROWS.astype(dtype))))
    weights = np.exp([0.0, 1.0, 2.0])
    assert_close(p, np.tile(weights / weights.sum(), (3, 1)).astype(dtype), slack=8)


# Losses


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_takes_every_row_by_itself(xp, dtype):
    weights, y = np.exp([0.0, 1.0, 2.0]), np.eye(3)
    a_, y_ = xp.asarray(ROWS.astype(dtype)), xp.asarray(y.astype(dtype))
    with np.errstate(all="ignore"):
        value, e = float(cross_entropy(a_, y_)), to_numpy(d_cross_entropy(a_, y_))
    # row i is of class i, and has the logit i
    assert abs(value - (np.log(weights.sum()) - 1)) < 8 * np.finfo(dtype).eps
    assert_close(e, ((weights / weights.sum() - y) / 3).astype(dtype), slack=8)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("a, y", [((5, 3), (5, 1)), ((4, 1), (4,)), ((4,), (4, 1)), ((5, 3), (5,)), ((3, 3), (3,)),
                                  ((5, 3), (1, 3)), ((5, 3), (3,)), ((5, 3), ()), ((5, 3), (5, 1, 3)), ((1, 3), (5, 3)),
                                  ((5, 3), (4, 3))])
def test_targets_of_another_shape_are_refused(xp, name, a, y):
    """NumPy would stretch most of them."""
    for f, dtype in itertools.product(LOSSES[name], ("float64", "int64")):
        with pytest.raises(InputError) as caught:
            f(xp.zeros(a), xp.ones(y, dtype))
        assert f"targets of shape {y} for outputs of shape {a}" in str(caught.value)
        assert "one-hot" in str(caught.value) and "\n" not in str(caught.value)


def test_one_hot_rows_of_integers_and_booleans_are_targets_as_any(xp):
    a, y = ROWS[:1].repeat(3, 0), np.eye(3)
    for (value, error), dtype in itertools.product(LOSSES.values(), ("int64", "uint8", "bool")):
        y_ = xp.asarray(y.astype(dtype))
        assert float(value(xp.asarray(a), y_)) == float(value(xp.asarray(a), xp.asarray(y)))
        np.testing.assert_array_equal(to_numpy(error(xp.asarray(a), y_)), to_numpy(error(xp.asarray(a), xp.asarray(y))))


@pytest.mark.parametrize("name", LOSSES)
@given(case=NC_NC(), seed=seeds)
def test_the_error_is_the_derivative_of_the_loss(name, case, seed):
    (a, y), (value, error) = case, LOSSES[name]
    v = np.random.default_rng(seed).standard_normal(a.shape)
    e = error(a, y)
    assert_close(slope(lambda a: value(a, y), a, v), (e * v).sum(), of=np.abs(e * v).sum())


@given(NC_NC())
def test_the_losses_are_means_of_what_the_papers_print(case):
    a, y = case
    p = np.exp(a) / np.exp(a).sum(-1, keepdims=True)
    assert_close(squared(a, y), np.mean([0.5 * d @ d for d in a - y]))
    assert_close(cross_entropy(a, y), np.mean(-(y * np.log(p)).sum(-1)), of=a)
    assert_close(d_squared(a, y), (a - y) / len(a))
    assert_close(d_cross_entropy(a, y), (p - y) / len(a), of=1 / len(a))


@given(NC_NC())
def test_squared_is_least_at_the_target(case):
    a, y = case
    assert squared(y, y) == 0 <= squared(a, y)
    assert not d_squared(y, y).any()


@given(a=NF(), b=NF())
def test_cross_entropy_is_least_where_softmax_is_the_target(a, b):
    y = softmax(a)
    other = np.resize(b, a.shape)
    assert cross_entropy(a, y) <= cross_entropy(other, y) + 1e-12
    assert_close(cross_entropy(a, y), -(y * np.log(y)).sum() / len(y), of=a)
    assert_zero(d_cross_entropy(a, y), of=1 / len(a), slack=16)


@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_overflows(xp, name):
    value, error = LOSSES[name]
    for dtype in ("float32", "float64"):
        a, y = (xp.asarray(np.array(rows, dtype)) for rows in ([[-1e4, 0.0, 1e4]], [[1.0, 0.0, 0.0]]))
        assert np.isfinite(float(value(a, y))) and np.isfinite(to_numpy(error(a, y))).all()
    assert float(cross_entropy(a, y)) == 2e4


# Similarities


def _samples(dtype: str) -> np.ndarray:
    """(6, 4, 4, 5), the last two samples without direction: nothing, and the same everywhere."""
    h = np.random.default_rng(0).standard_normal((6, 4, 4, 5))
    h[4], h[5] = 0, 0.25
    return h.astype(dtype)


# what the two kernels that divide by a length make of samples as long as those of a batch, and their adjoints
LENGTHS = {
    "similarity": (lambda h: similarity.similarity(h.reshape(len(h), -1)), 0,
                   lambda d, h: similarity.d_similarity(d, h.reshape(len(h), -1))),
    "deviation": (similarity.deviation, 1, similarity.d_deviation),
}


@pytest.mark.parametrize("factor", [0.1, 1 / 16])
@pytest.mark.parametrize("name", LENGTHS)
def test_similarities_do_not_see_the_scale_of_what_they_compare(xp, name, factor):
    """Homogeneous of degree 0 and 1, so that the adjoint is of degree -1 and 0, to rounding."""
    f, degree, adjoint = LENGTHS[name]
    h = xp.asarray(_samples("float64")[:4])
    small = h * factor
    assert_close(f(small), f(h) * factor**degree)
    delta = xp.asarray(np.random.default_rng(1).standard_normal(f(h).shape))
    assert_close(adjoint(delta, small), adjoint(delta, h) * factor**(degree - 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LENGTHS)
def test_a_sample_without_direction_is_like_no_other_and_learns_something_finite(xp, name, dtype):
    f, _, adjoint = LENGTHS[name]
    h = xp.asarray(_samples(dtype))
    value = to_numpy(f(h))
    assert np.isfinite(value).all() and np.abs(value[4:]).max() < 1e-7
    down = to_numpy(adjoint(xp.ones(value.shape, dtype), h))
    assert np.isfinite(down).all() and down.dtype == dtype


@pytest.mark.parametrize("name", LENGTHS)
def test_the_adjoint_holds_next_to_a_sample_without_direction(name):
    f, _, adjoint = LENGTHS[name]
    h, rng = _samples("float64"), np.random.default_rng(1)
    delta, v = rng.standard_normal(f(h).shape), rng.standard_normal(h.shape)
    v[4:] = 0
    down = adjoint(delta, h).reshape(h.shape)
    expected = slope(lambda h: (delta * f(h)).sum(), h, v)
    assert_close((down * v).sum(), expected, of=np.abs(down * v).sum())


def test_without_blas_the_three_products_are_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    W, u, delta = (rng.integers(-9, 9, shape).astype("float32") for shape in ((4, 3), (2, 5, 3), (2, 5, 4)))
    wanted = linear.forward(W, u), linear.feedback(W, delta), linear.outer(delta, u)
    monkeypatch.setattr(linear, "HAS_BLAS", False)
    monkeypatch.setattr(linear, "SUMS", 4 * 10 * 3)
    monkeypatch.setattr(np, "matmul", None)  # nothing may call it
    for came, exact in zip((linear.forward(W, u), linear.feedback(W, delta), linear.outer(delta, u)), wanted):
        np.testing.assert_array_equal(came, exact)
        assert came.dtype == exact.dtype
