"""Convolution, pooling and batch normalisation against their plain kernels, and as exact adjoints."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import like
from scipy.signal import correlate2d
from strategies import integers
from tolerance import assert_close

from nobackprop import learn, metrics, models, network, workers
from nobackprop.backend import to_numpy
from nobackprop.errors import InputError
from nobackprop.feedback import gaussian
from nobackprop.heads import ConvHead, DenseHead, MaxConvHead
from nobackprop.kernels import convolution, normalize, pool
from nobackprop.kernels import unfold as unfold_kernels
from nobackprop.kernels.unfold import fold, out_size, unfold
from nobackprop.layers import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    GlobalPool,
    MaxPool,
    Residual,
    Sequential,
    published_beside,
)
from nobackprop.optim import SGD
from nobackprop.rules import LAS
from nobackprop.tree import leaves, tree_map


@st.composite
def images(draw, low=1):
    """An image batch (N, H, W, C) of integers, and a kernel, stride and padding of which a window fits."""
    kernel, stride, pad = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    side = st.integers(max(low, kernel - 2 * pad), 6)
    shape = draw(st.integers(1, 3)), draw(side), draw(side), draw(st.integers(1, 3))
    return draw(integers(shape)), kernel, stride, pad


# The plain kernels, which are the oracles below: first as what they are called, by other means


@given(case=images(), planes=st.integers(1, 3), data=st.data())
def test_plain_convolution_is_a_correlation_of_planes(case, planes, data):
    h, kernel, stride, pad = case
    W = data.draw(integers((planes, kernel**2 * h.shape[-1])))
    framed = np.pad(h, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    came = convolution.plain_forward(W, h, kernel, stride, pad)
    for sample, plane in itertools.product(range(len(h)), range(planes)):
        weights = W[plane].reshape(kernel, kernel, -1)
        expected = sum(correlate2d(framed[sample, ..., c], weights[..., c], "valid") for c in range(h.shape[-1]))
        np.testing.assert_array_equal(came[sample, ..., plane], expected[::stride, ::stride])


@given(case=images(), planes=st.integers(1, 3), data=st.data())
def test_the_plain_kernels_are_derivatives_of_one_form(case, planes, data):
    h, *how = case
    W = data.draw(integers((planes, how[0]**2 * h.shape[-1])))
    a = convolution.plain_forward(W, h, *how)
    delta = data.draw(integers(a.shape))
    down, G = convolution.plain_feedback(W, delta, h.shape, *how), convolution.plain_outer(delta, h, *how)
    assert (delta * a).sum() == (down * h).sum() == (W * G).sum()


@given(case=images(), data=st.data())
def test_the_plain_pools_are_linear_in_what_they_took_and_have_their_adjoints(case, data):
    h, size, stride, pad = case
    how = size, stride, min(pad, size - 1)
    h = enlarged(h, *how)
    best, place = pool.plain_max_pool(h, *how)
    delta = data.draw(integers(best.shape))
    assert (delta * best).sum() == (pool.plain_d_max_pool(delta, place, h.shape, *how) * h).sum()
    assert_close((delta * pool.plain_avg_pool(h, *how)).sum(), (pool.plain_d_avg_pool(delta, h.shape, *how) * h).sum(),
                 of=4 * np.abs(delta).sum())


def enlarged(h, size, stride, pad):
    """The images, four times as large if no window fits."""
    if min(out_size(n, size, stride, pad) for n in h.shape[1:3]) < 1:
        return np.repeat(np.repeat(h, 4, 1), 4, 2)
    return h


# Convolution


@given(case=images(), planes=st.integers(1, 20), data=st.data())
def test_convolution_and_its_adjoints_are_the_plain_ones(xp, case, planes, data):
    """Exactly, as sums of integers are; the plain ones use no name that CuPy lacks."""
    h, *how = case
    W = data.draw(integers((planes, how[0]**2 * h.shape[-1])))
    a = convolution.plain_forward(W, h, *how)
    delta = data.draw(integers(a.shape))
    W_, h_, delta_ = map(xp.asarray, (W, h, delta))
    for fast, plain, arguments in ((convolution.forward, convolution.plain_forward, (W_, h_)),
                                   (convolution.feedback, convolution.plain_feedback, (W_, delta_, h.shape)),
                                   (convolution.outer, convolution.plain_outer, (delta_, h_))):
        found, expected = (to_numpy(kernel(*arguments, *how)) for kernel in (fast, plain))
        np.testing.assert_array_equal(found, expected)


# of several groups, by two megabytes of work space each: by rows, with whole patches, and at a stride
@pytest.mark.parametrize("how, planes", [((3, 1, 1), 8), ((3, 1, 1), 40), ((5, 2, 2), 8)])
def test_convolution_of_large_batches_is_the_plain_one(how, planes):
    rng = np.random.default_rng(0)
    h, W = rng.standard_normal((60, 24, 24, 8)), rng.standard_normal((planes, how[0]**2 * 8))
    a = convolution.plain_forward(W, h, *how)
    delta = rng.standard_normal(a.shape)
    assert_close(convolution.forward(W, h, *how), a)
    assert_close(convolution.feedback(W, delta, h.shape, *how), convolution.plain_feedback(W, delta, h.shape, *how))
    assert_close(convolution.outer(delta, h, *how), convolution.plain_outer(delta, h, *how))


def test_bytes_are_convolved_as_numbers(xp):
    """Windows of 4, 6, 6 and 4 pixels inside the image, each worth a quarter."""
    h = xp.asarray(np.ones((1, 2, 4, 1), "uint8"))
    came = convolution.forward(xp.asarray(np.full((1, 9), 0.25, "float32")), h, 3, 1, 1)
    assert came.dtype == "float32"
    np.testing.assert_array_equal(to_numpy(came)[0, :, :, 0], [[1, 1.5, 1.5, 1]] * 2)


def test_weights_that_float32_cannot_hold_keep_their_digits_on_float32_images(xp):
    W, h = xp.asarray(np.array([[1 + 2.0**-40]])), xp.asarray(np.full((1, 2, 2, 1), 3, "float32"))
    for came in (convolution.forward(W, h, 1), convolution.feedback(W, h, h.shape, 1),
                 convolution.feedback(W, h, (1, 3, 3, 1), 1, 2)[:, ::2, ::2], convolution.forward(W, h, 1, 2)):
        np.testing.assert_array_equal(to_numpy(came), np.full(came.shape, 3 + 3 * 2.0**-40))


@given(case=images(), planes=st.integers(1, 3), data=st.data())
def test_its_three_kernels_are_derivatives_of_one_form(xp, case, planes, data):
    h, *how = case
    W = data.draw(integers((planes, how[0]**2 * h.shape[-1])))
    delta = data.draw(integers(convolution.plain_forward(W, h, *how).shape))
    W, h, delta = map(xp.asarray, (W, h, delta))
    a, down, G = (convolution.forward(W, h, *how), convolution.feedback(W, delta, h.shape, *how),
                  convolution.outer(delta, h, *how))
    assert (a.shape, down.shape, G.shape) == (delta.shape, h.shape, W.shape)
    assert float((delta * a).sum()) == float((down * h).sum()) == float((W * G).sum())


@pytest.mark.parametrize("threads", [1, 2, 9])
@pytest.mark.parametrize("size", [1, 3000, 10**6])
def test_groups_of_samples_change_nothing(monkeypatch, size, threads):
    rng = np.random.default_rng(0)
    h, W, delta = (rng.integers(-4, 5, shape).astype(float) for shape in ((5, 6, 6, 2), (3, 18), (5, 6, 6, 3)))
    kernels = [lambda: convolution.forward(W, h, 3, 1, 1), lambda: convolution.feedback(W, delta, h.shape, 3, 1, 1),
               lambda: convolution.outer(delta, h, 3, 1, 1)]
    expected = [kernel() for kernel in kernels]
    monkeypatch.setattr(unfold_kernels, "HOST_BYTES", size)
    with workers.limit(threads):
        for kernel, before in zip(kernels, expected, strict=True):
            np.testing.assert_array_equal(kernel(), before)


@given(case=images(), data=st.data())
def test_fold_is_the_adjoint_of_unfold(xp, case, data):
    h, *how = case
    u = data.draw(integers(unfold(h, *how).shape))
    h, u = xp.asarray(h), xp.asarray(u)
    assert float((u * unfold(h, *how)).sum()) == float((fold(u, h.shape, *how) * h).sum())


def in_memory(h):
    """One batch of images in every way in which an array can lie in memory; an axis of length 1 may have any stride."""
    odd = np.lib.stride_tricks.as_strided
    if h.shape[3] == 1:
        yield "channels as a new axis", h[..., 0][..., None]
    if len(h) == 1:
        yield "samples as a new axis", h[0][None]
    for axis, side in enumerate(h.shape):
        if side == 1:
            yield f"axis {axis} with another stride", odd(h, h.shape, [*h.strides[:axis], 7, *h.strides[axis + 1:]])
    yield "in Fortran's order", np.asfortranarray(h)
    yield "backwards", h[:, ::-1, ::-1].copy()[:, ::-1, ::-1]
    yield "every other row", np.repeat(h, 2, axis=1)[:, ::2]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("shape", "pad"), [((1, 6, 6, 1), 0), ((1, 4, 9, 1), 0), ((3, 6, 6, 1), 0), ((1, 6, 6, 2), 0),
                                            ((1, 6, 6, 1), 1), ((1, 4, 1, 1), 1), ((1, 1, 4, 1), 1)], ids=str)
@pytest.mark.parametrize("planes", [1, 2, 20])
def test_how_an_image_lies_in_memory_changes_nothing(shape, pad, planes, stride):
    rng = np.random.default_rng(0)
    h = rng.integers(-4, 5, shape).astype(float)
    how = 3, stride, pad
    W = rng.integers(-4, 5, (planes, 9 * shape[3])).astype(float)
    delta = rng.integers(-4, 5, convolution.plain_forward(W, h, *how).shape).astype(float)
    for name, image in in_memory(h):
        assert np.array_equal(image, h), name
        for came, expected in ((unfold(image, *how), unfold(h, *how)),
                               (convolution.forward(W, image, *how), convolution.plain_forward(W, h, *how)),
                               (convolution.outer(delta, image, *how), convolution.plain_outer(delta, h, *how)),
                               (unfold(image, 1, stride), unfold(h, 1, stride)),
                               (pool.max_pool(image, *how)[0], pool.plain_max_pool(h, *how)[0]),
                               (pool.avg_pool(image, *how), pool.plain_avg_pool(h, *how))):
            np.testing.assert_array_equal(came, expected, err_msg=name)
    for name, signal in in_memory(delta):
        np.testing.assert_array_equal(convolution.feedback(W, signal, shape, *how),
                                      convolution.plain_feedback(W, delta, shape, *how), err_msg=name)


# Pooling


@given(case=images(), data=st.data())
def test_pooling_and_its_adjoints_are_the_plain_ones(xp, case, data):
    """Of equal numbers the first is the largest; all is exact but the means, of which a window has at most 16 terms."""
    h, size, stride, pad = case
    how = size, stride, min(pad, size - 1)  # a window of nothing but frame has no largest
    h = xp.asarray(enlarged(h, *how))
    best, place = pool.plain_max_pool(h, *how)
    for found, expected in zip(pool.max_pool(h, *how), (best, place), strict=True):
        np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))
    delta = xp.asarray(data.draw(integers(best.shape)))
    found = pool.d_max_pool(delta, place.astype("uint8"), h.shape, *how)
    np.testing.assert_array_equal(to_numpy(found), to_numpy(pool.plain_d_max_pool(delta, place, h.shape, *how)))
    assert float(found.sum()) == float(delta.sum())
    assert_close(to_numpy(pool.avg_pool(h, *how)), to_numpy(pool.plain_avg_pool(h, *how)), of=to_numpy(h))
    assert_close(to_numpy(pool.d_avg_pool(delta, h.shape, *how)),
                 to_numpy(pool.plain_d_avg_pool(delta, h.shape, *how)), of=16 * np.abs(to_numpy(delta)).max(initial=0))


@pytest.mark.slow
@pytest.mark.parametrize("size", [15, 16, 17, 257])
def test_windows_of_any_size_know_the_place_of_the_largest(xp, size):
    """The last place and one in the middle: more than a byte can tell from 17 x 17 on, two bytes from 257 x 257 on."""
    for row, column in ((size - 1, size - 1), (size // 2, 1))[:1 if size > 17 else 2]:
        h = np.zeros((1, size, size + 1, 1))
        h[0, row, column] = 2
        best, place = pool.max_pool(xp.asarray(h), size, 1)
        assert to_numpy(best).ravel().tolist() == [2, 2 if column else 0]
        assert int(place[0, 0, 0, 0]) == row * size + column
        down = to_numpy(pool.d_max_pool(xp.asarray(np.array([3.0, 0.0]).reshape(1, 1, 2, 1)), place, h.shape, size, 1))
        np.testing.assert_array_equal(down, 1.5 * h)


def test_a_tie_passes_the_signal_once():
    h = np.zeros((1, 2, 2, 1))
    _, place = pool.max_pool(h, 2, 2)
    np.testing.assert_array_equal(pool.d_max_pool(np.ones((1, 1, 1, 1)), place, h.shape, 2, 2)[0, ..., 0],
                                  [[1, 0], [0, 0]])


# Batch normalisation


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 2, 5)])
def test_batchnorm_is_what_its_definition_says(xp, shape):
    rng = np.random.default_rng(0)
    h = 3 + 2 * rng.standard_normal(shape)
    gamma, beta = rng.standard_normal((2, shape[-1]))
    mean, variance = map(to_numpy, normalize.statistics(xp.asarray(h)))
    out = to_numpy(normalize.batchnorm(*map(xp.asarray, (h, gamma, beta, mean, variance)), 1e-5))
    flat = h.reshape(-1, shape[-1])
    for c in range(shape[-1]):
        m, v = sum(flat[:, c]) / len(flat), sum((flat[:, c] - flat[:, c].mean())**2) / len(flat)
        assert_close(mean[c], m)
        assert_close(variance[c], v)
        expected = gamma[c] * (h[..., c] - m) / np.sqrt(v + 1e-5) + beta[c]
        assert_close(out[..., c], expected)


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3)])
def test_one_value_a_channel_is_not_remembered(shape):
    """It has no variance: as a batch it says beta, and teaches the layers below nothing."""
    layer, rng = BatchNorm(), np.random.default_rng(0)
    params, _ = layer.init(rng, shape[1:])
    params = {**params, "mean": np.full(3, 2.0), "var": np.full(3, 5.0), "beta": np.arange(3.0)}
    h, cache = layer.forward(params, rng.standard_normal(shape))
    np.testing.assert_array_equal(h.reshape(3), params["beta"])
    down, grads = layer.backward(params, cache, np.ones(shape))
    assert not down.any() and not grads["gamma"].any() and (grads["beta"] == 1).all()
    layer.remember(params, cache)
    assert (params["mean"] == 2).all() and (params["var"] == 5).all()


def test_two_values_a_channel_are_remembered():
    layer = BatchNorm(momentum=0.5)
    params, _ = layer.init(np.random.default_rng(0), (1,))
    layer.remember(params, layer.forward(params, np.array([[1.0], [5.0]]))[1])
    # mean 3 and sample variance 8, halfway from 0 and 1
    assert params["mean"] == 1.5 and params["var"] == 4.5


def test_a_prediction_is_not_remembered():
    layer = BatchNorm()
    params, _ = layer.init(np.random.default_rng(0), (2,))
    layer.remember(params, layer.forward(params, np.array([[1.0, 2], [5, 9]]), False)[1])
    assert not params["mean"].any() and (params["var"] == 1).all()


def test_with_running_statistics_the_error_is_scaled_and_no_more():
    """By hand: (h - 1) / sqrt(3 + 1) * 6 has the derivative 3, whatever else is in the batch."""
    layer = BatchNorm(eps=1.0)
    params = {"gamma": np.array([6.0]), "beta": np.array([2.0]), "mean": np.array([1.0]), "var": np.array([3.0])}
    h, cache = layer.forward(params, np.array([[5.0], [-3.0]]), False)
    np.testing.assert_array_equal(h, [[14], [-10]])
    down, grads = layer.backward(params, cache, np.array([[1.0], [10.0]]))
    np.testing.assert_array_equal(down, [[3], [30]])
    np.testing.assert_array_equal(grads["gamma"], [2 * 1 - 2 * 10])
    np.testing.assert_array_equal(grads["beta"], [11])


def test_running_statistics_follow_the_batches_and_serve_prediction():
    layer, rng = BatchNorm(momentum=0.25), np.random.default_rng(0)
    params, _ = layer.init(rng, (3,))
    mean, var = np.zeros(3), np.ones(3)
    for _ in range(4):
        h = 5 + rng.standard_normal((9, 3))
        layer.remember(params, layer.forward(params, h, True)[1])
        mean, var = 0.75 * mean + 0.25 * h.mean(0), 0.75 * var + 0.25 * h.var(0, ddof=1)
    assert_close(params["mean"], mean)
    assert_close(params["var"], var)
    one, _ = layer.forward(params, h[:1], False)
    assert_close(one, (h[:1] - mean) / np.sqrt(var + 1e-5), of=h)


def test_a_step_remembers_once_through_blocks_and_shortcuts():
    body = Sequential((Conv(2, 3, 1, 1), BatchNorm()))
    block = Residual(body, Sequential((Conv(2, 1), BatchNorm())))
    net = network.Network((Sequential((block, GlobalPool(), Dense(3))),))
    params, _ = network.init(net, np.random.default_rng(0), (4, 4, 2), "float64")
    x = np.random.default_rng(1).standard_normal((6, 4, 4, 2))
    network.remember(net, params, network.forward(net, params, x))
    for path in ("body", "shortcut"):
        seen = convolution.forward(params[0][0][path][0]["W"], x, *((3, 1, 1) if path == "body" else (1,)))
        assert_close(params[0][0][path][1]["mean"], 0.1 * seen.mean((0, 1, 2)), of=seen)


# The convolutional head


@given(case=images(), classes=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_the_head_is_a_convolution_and_a_global_average(xp, case, classes, seed):
    h, *how = case
    head, rng = ConvHead(*how), np.random.default_rng(seed)
    B = head.init(rng, h.shape[1:], classes, gaussian)
    expected = convolution.plain_forward(B, h, *how).mean((1, 2))                          # LAS (19)
    assert_close(to_numpy(head.forward(xp.asarray(B), xp.asarray(h))), expected,
                 of=convolution.plain_forward(np.abs(B), np.abs(h), *how))


@given(case=images(), classes=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_what_it_sends_and_learns_are_the_adjoints(xp, case, classes, seed):
    h, *how = case
    head, rng = ConvHead(*how), np.random.default_rng(seed)
    B, e = head.init(rng, h.shape[1:], classes, gaussian), rng.standard_normal((len(h), classes))
    B, e, h = map(xp.asarray, (B, e, h))
    said, sent, grad = head.forward(B, h), head.send(B, e, h.shape), head.grad(B, h, e)
    scale = 1e-12 * (1 + float(abs(h).sum()) * float(abs(B).sum()))
    assert abs(float((e * said).sum()) - float((sent * h).sum())) <= scale         # LAS (24)
    assert abs(float((e * said).sum()) - float((grad * B).sum())) <= scale         # LAS (21)


def test_without_the_factor_of_the_average_it_is_no_adjoint():
    """What the published code sends: larger by the number of positions."""
    rng = np.random.default_rng(0)
    B, e = rng.standard_normal((3, 18)), rng.standard_normal((2, 3))
    exact, published = (ConvHead(3, 1, 1, average).send(B, e, (2, 6, 6, 2)) for average in (True, False))
    assert_close(published, 36 * exact)


def test_flip_channel_exchange_and_scale_are_all_needed():
    """The feedback as the paper describes it: the error spread over the map and correlated with the flipped kernel."""
    rng = np.random.default_rng(0)
    k, n, planes, side = 3, 2, 4, 6
    B, e = rng.standard_normal((5, k * k * planes)), rng.standard_normal((n, 5))
    exact = ConvHead(k, 1, 1).send(B, e, (n, side, side, planes))
    spread = np.broadcast_to(e[:, None, None], (n, side, side, 5)) / side**2
    kernel = B.reshape(5, k, k, planes)
    flipped = kernel[:, ::-1, ::-1].transpose(3, 1, 2, 0).reshape(planes, -1)
    assert_close(convolution.plain_forward(flipped, spread, k, 1, k - 1 - 1), exact)
    straight = kernel.transpose(3, 1, 2, 0).reshape(planes, -1)
    assert np.abs(convolution.plain_forward(straight, spread, k, 1, 1) - exact).max() > 1e-3


@given(case=images(), classes=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_the_published_head_takes_the_maximum_and_learns_its_exact_gradient(xp, case, classes, seed):
    h, *how = case
    head, rng = MaxConvHead(*how), np.random.default_rng(seed)
    h = h + rng.standard_normal(h.shape)  # no ties
    B, e = head.init(rng, h.shape[1:], classes, gaussian), rng.standard_normal((len(h), classes))
    said, total = (convolution.plain_forward(*pair, *how).max((1, 2)) for pair in ((B, h), (np.abs(B), np.abs(h))))
    assert_close(to_numpy(head.forward(xp.asarray(B), xp.asarray(h))), said, of=total)
    grad = to_numpy(head.grad(*map(xp.asarray, (B, h, e))))
    assert_close((grad * B).sum(), (e * said).sum(), of=(np.abs(e) * total).sum())
    step = 1e-7 * rng.standard_normal(B.shape)
    moved = ((convolution.plain_forward(B + step, h, *how).max((1, 2)) - said) * e).sum()
    assert (grad * step).sum() == pytest.approx(moved, rel=1e-4, abs=1e-12 * (1 + (np.abs(e) * total).sum()))


# Whole networks


@pytest.mark.parametrize("spec", ["conv-small:0.2", "conv3-bn:0.03", "resnet18:0.03", "resnet20:0.2", "vgg:0.01"])
def test_a_convolutional_networks_gradient_is_its_derivative(spec):
    """By complex step, through convolutions, pooling, batch statistics and shortcuts at once."""
    rng, net = np.random.default_rng(0), models.build(spec, (16, 16, 2), 3, "tanh")
    params, _ = network.init(net, rng, (16, 16, 2), "float64")
    x, y = rng.standard_normal((4, 16, 16, 2)), np.eye(3)[[0, 1, 2, 0]]
    tape = network.forward(net, params, x)
    grads = network.backward(net, params, tape, {len(net) - 1: net.error(tape.output, y)})  # LAS (6)-(9)
    direction = dict(leaves(like(params, rng)))
    learned = dict(leaves(grads))
    moved = {path: 1e-20j * direction[path] if path in learned else 0 for path, _ in leaves(params)}
    paths = iter([path for path, _ in leaves(params)])
    shifted = tree_map(lambda w: w + moved[next(paths)], params)
    expected = net.value(network.forward(net, shifted, x.astype(complex)).output, y).imag / 1e-20
    products = [learned[path] * direction[path] for path in learned]
    assert_close(sum(array.sum() for array in products), expected, of=sum(np.abs(array).sum() for array in products))


# Mistakes


@pytest.mark.parametrize("layer, shape, sentence", [
    (Conv(2, 5), (3, 3, 1), "smaller than its window"), (MaxPool(4), (3, 3, 1), "smaller than its window"),
    (AvgPool(2), (8,), "expected images"), (Conv(2, 3), (8,), "expected images"),
    (Residual(Conv(3, 3, 1, 1)), (4, 4, 2), "as its shortcut"),
])
def test_what_does_not_fit_is_said(layer, shape, sentence):
    with pytest.raises(InputError, match=sentence):
        layer.init(np.random.default_rng(0), shape)


def test_the_tape_keeps_no_patches():
    """One array a layer: a convolution's input, never the k k times larger patches."""
    net = network.Network((Conv(4, 5, 1, 2), Sequential((GlobalPool(), Dense(3)))))
    params, _ = network.init(net, np.random.default_rng(0), (16, 16, 3))
    x = np.ones((8, 16, 16, 3), "float32")
    tape = network.forward(net, params, x)
    assert tape.caches[0] is x and tape.h[1].shape == (8, 16, 16, 4)


def test_size_counts_no_running_statistics():
    params, _ = BatchNorm().init(np.random.default_rng(0), (3,))
    assert metrics.size([params]) == 6


def test_published_modules_stand_next_to_convolutions_only():
    assert published_beside(Conv(4, 5, 1, 2)) == MaxConvHead(5, 1, 2)
    assert published_beside(Dense(3)) == DenseHead()
    rule = LAS(beside="published")
    net = models.build("conv-small", (8, 8, 1), 10)
    params, shapes = network.init(net, np.random.default_rng(0), (8, 8, 1), "float64")
    state = rule.init(np.random.default_rng(1), net, params, shapes)
    x, y = np.random.default_rng(2).standard_normal((5, 8, 8, 1)), np.eye(10)[:5]
    opts = SGD(params, lr=0.01), SGD(state, lr=0.01)
    learn.step(net, rule, params, state, *opts, x, y, np.random.default_rng(3))
    assert all(np.isfinite(array).all() for _, array in leaves([params, state]))
