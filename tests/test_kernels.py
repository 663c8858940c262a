"""The kernels: exact identities on integers, derivatives by complex step, and no input that is written to."""
from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable

import numpy as np
import pytest
import strategies
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from networks import slope
from strategies import FK_LK_LF, NC_NC, NF, seeds
from tolerance import assert_close, assert_zero

from nobackprop import kernels
from nobackprop.backend import Array, to_numpy
from nobackprop.kernels import linear
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


SCAFFOLDING = ("out_size", "groups", "each", "total")


def _kernels() -> dict[str, Callable[..., Array]]:
    """All public functions of the package by 'module.function'."""
    modules = [importlib.import_module(f"{kernels.__name__}.{info.name}")
               for info in pkgutil.iter_modules(kernels.__path__)]
    return {f"{module.__name__.rpartition('.')[2]}.{name}": f for module in modules
            for name, f in inspect.getmembers(module, inspect.isfunction)
            if f.__module__ == module.__name__ and not name.startswith("_") and name not in SCAFFOLDING}


KERNELS = _kernels()
N, F, K = 4, 3, 5
# what arguments of these names are; a kernel that calls something else so says it under its own name
SHAPES = {"a": (N, F), "h": (N, F), "y": (N, F), "u": (2, N, K), "delta": (2, N, F), "W": (F, K), "B": (F, K)}
IMAGES, PLACES = (2, 5, 6, 3), (2, 2, 3, 3)


def _images(*more: object) -> Callable[[np.random.Generator], tuple[object, ...]]:
    return lambda rng: (rng.standard_normal(IMAGES), *more)


EXAMPLES: dict[str, Callable[[np.random.Generator], tuple[object, ...]]] = {
    "activation.unpack": lambda rng: (rng.integers(256, size=2, dtype="uint8"), (3, 5)),
    "unfold.padded": _images(2), "unfold.unpadded": _images(1), "unfold.windows": _images(0, 1, 2, 3, 2),
    "unfold.unfold": _images(3, 2, 1),
    "unfold.fold": lambda rng: (rng.standard_normal((2, 3, 3, 27)), IMAGES, 3, 2, 1),
    "convolution.forward": lambda rng: (rng.standard_normal((4, 27)), rng.standard_normal(IMAGES), 3, 2, 1),
    "convolution.feedback": lambda rng: (rng.standard_normal((4, 27)), rng.standard_normal((2, 3, 3, 4)), IMAGES,
                                         3, 2, 1),
    "convolution.outer": lambda rng: (rng.standard_normal((2, 3, 3, 4)), rng.standard_normal(IMAGES), 3, 2, 1),
    "pool.max_pool": _images(2, 2), "pool.avg_pool": _images(3, 2, 1), "pool.global_pool": _images(),
    "pool.d_max_pool": lambda rng: (rng.standard_normal(PLACES), rng.integers(4, size=PLACES, dtype="uint8"),
                                    IMAGES, 2, 2),
    "pool.d_avg_pool": lambda rng: (rng.standard_normal((2, 3, 3, 3)), IMAGES, 3, 2, 1),
    "pool.d_global_pool": lambda rng: (rng.standard_normal((2, 3)), IMAGES),
    "similarity.deviation": _images(),
    "similarity.d_deviation": lambda rng: (rng.standard_normal((2, 3)), rng.standard_normal(IMAGES)),
    "similarity.d_similarity": lambda rng: (rng.standard_normal((N, N)), rng.standard_normal((N, F))),
    "similarity.gaussian": lambda rng: (rng.standard_normal((N, F)), 1.5),
    "similarity.d_gaussian": lambda rng: (rng.standard_normal((N, N)), rng.standard_normal((N, F)), 1.5),
    "normalize.statistics": _images(),
    "normalize.batchnorm": lambda rng: (rng.standard_normal(IMAGES), *rng.standard_normal((3, 3)), np.ones(3), 1e-5),
    "normalize.d_batchnorm": lambda rng: (*rng.standard_normal((2, *IMAGES)), *rng.standard_normal((2, 3)), np.ones(3),
                                          1e-5),
}
MASKS = {"activation.d_relu", "activation.unpack"}


def example(name: str, dtype: str) -> list[object]:
    """Arguments for a kernel, on the host."""
    rng = np.random.default_rng(0)
    if name in EXAMPLES:
        given = list(EXAMPLES[name](rng))
    else:
        wanted = list(inspect.signature(KERNELS[name]).parameters)
        strange = [argument for argument in wanted if argument not in SHAPES]
        assert not strange, f"kernels.{name} takes {strange}: add its arguments to EXAMPLES"
        given = [rng.standard_normal(SHAPES[argument]) for argument in wanted]
    return [value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
            for value in given]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_keeps_the_dtype_and_writes_to_no_input(xp, name, dtype):
    if dtype == "complex128" and xp.__name__ == "cupy":
        pytest.skip("complex steps are taken on the host")
    host = example(name, dtype)
    kept = [value.tobytes() if isinstance(value, np.ndarray) else value for value in host]
    arguments = [xp.asarray(value) if isinstance(value, np.ndarray) else value for value in host]
    if xp is np:
        for value in arguments:
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
    result = KERNELS[name](*arguments)
    for part in result if isinstance(result, tuple) else (result,):
        if part.dtype != "uint8":  # places in a window
            assert part.dtype == (bool if name in MASKS else dtype)
    for before, value in zip(kept, arguments, strict=True):
        assert not isinstance(before, bytes) or to_numpy(value).tobytes() == before


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
def test_the_derivative_is_a_function_of_the_output(name, a):
    f, d_f = ACTIVATIONS[name]
    by_complex_step = f(a + 1e-20j).imag / 1e-20
    assert_close(d_f(f(a)), by_complex_step, of=1)


def test_activations_are_what_their_names_say(xp):
    host = np.linspace(-3, 3, 13)
    a = xp.asarray(host)
    expected = {"identity": host, "relu": np.where(host > 0, host, 0), "tanh": np.tanh(host),
                "sigmoid": 1 / (1 + np.exp(-host)), "elu": np.where(host > 0, host, np.exp(host) - 1)}
    assert set(expected) == set(ACTIVATIONS)
    for name, (f, _) in ACTIVATIONS.items():
        assert_close(to_numpy(f(a)), expected[name])


def test_relu_is_off_at_0(xp):
    f, d_f = ACTIVATIONS["relu"]
    assert not to_numpy(d_f(f(xp.asarray(np.array([0.0, -0.0, -1.0]))))).any()


@pytest.mark.parametrize("name", [*ACTIVATIONS, "softmax"])
def test_no_activation_overflows(xp, name):
    f = softmax if name == "softmax" else ACTIVATIONS[name][0]
    for dtype in ("float32", "float64"):
        assert np.isfinite(to_numpy(f(xp.asarray(np.array([[-1e4, 0.0, 1e4]], dtype))))).all()


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


# Losses


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
