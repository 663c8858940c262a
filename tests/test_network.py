"""A network as a whole: what it predicts, what it takes, and what it says of what does not fit."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop import models, network
from nobackprop.backend import to_module, to_numpy
from nobackprop.errors import InputError
from nobackprop.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    LayerNorm,
    MaxPool,
    Residual,
    Sequential,
)
from nobackprop.network import Network

# Prediction


def normed():
    """A network whose batch-norm has running statistics of its own, and numbers that are exact."""
    net = Network((BatchNorm(eps=1.0), Dense(2)))
    params = [{"gamma": np.array([2.0, 3.0]), "beta": np.array([1.0, -1.0]),
               "mean": np.array([1.0, -2.0]), "var": np.array([3.0, 0.0])},
              {"W": np.array([[1.0, 1.0], [0.0, 2.0]]), "b": np.array([0.5, 0.0])}]
    return net, params, np.array([[3.0, 0.0], [1.0, -2.0], [-5.0, 4.0]])


def test_prediction_uses_the_running_statistics(xp):
    net, params, x = normed()
    # (x - mean) / sqrt(var + 1) = [[1, 2], [0, 0], [-3, 6]], times gamma and plus beta [[3, 5], [1, -1], [-5, 17]]
    expected = [[8.5, 10], [0.5, -2], [12.5, 34]]
    np.testing.assert_array_equal(to_numpy(network.predict(net, to_module(params, xp), xp.asarray(x))), expected)


def test_prediction_of_a_sample_depends_on_no_other():
    net, params, x = normed()
    for i in range(3):
        np.testing.assert_array_equal(network.predict(net, params, x[i:i + 1])[0], network.predict(net, params, x)[i])


def test_prediction_writes_nothing():
    net, params, x = normed()
    for array in (*params[0].values(), *params[1].values(), x):
        array.setflags(write=False)
    network.predict(net, params, x)


@pytest.mark.parametrize("spec", ["mlp:5,4", "mlp-bn:5,4", "conv-small:0.2", "conv3-bn:0.03", "alexnet-small:0.02",
                                  "resnet20:0.2", "resnet18:0.03", "vgg:0.01", "cnn:0.05"])
def test_of_no_samples_it_predicts_no_classes(xp, spec):
    net = models.build(spec, (16, 16, 2), 7)
    params = to_module(network.init(net, np.random.default_rng(0), (16, 16, 2))[0], xp)
    came = network.predict(net, params, xp.zeros((0, 16, 16, 2), "float32"))
    assert came.shape == (0, 7) and came.dtype == "float32"


def test_bytes_and_wider_floats_are_predicted_as_the_same_numbers(xp):
    net = models.build("conv3-bn:0.03", (16, 16, 2), 7)
    params, _ = network.init(net, np.random.default_rng(0), (16, 16, 2), "float64")
    x = np.random.default_rng(1).integers(256, size=(3, 16, 16, 2), dtype="uint8")
    wide = network.predict(net, params, x.astype("float64"))
    for kind in ("uint8", "float32", "int64"):
        came = to_numpy(network.predict(net, to_module(params, xp), xp.asarray(x.astype(kind))))
        assert came.dtype == "float64"
        np.testing.assert_array_equal(came, wide)


# What does not fit


def refused(act) -> str:
    with pytest.raises(InputError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("x, sentence", [
    ([[1.0, 2.0]], "array (N, ...), got: list"), (3.0, "got: float"), (None, "got: NoneType"),
    (np.float64(3), "got: float64 of shape ()"), (np.ones(2), "got: ndarray of shape (2,)"),
    (np.array([["a", "b"]]), "<U1"), (np.array([[None, 1]]), "object"),
    (np.ma.masked_array(np.ones((3, 2)), mask=np.eye(3, 2, dtype=bool)), "got: MaskedArray"),
    (np.ones((3, 5)), "samples of shape (5,), for which gamma would have the shape (5,), but it has (2,)"),
    (np.ones((3, 2, 2)), "samples of shape (2, 2), expected vectors"),
])
def test_what_is_no_batch_of_samples_is_not_predicted(x, sentence):
    net, params, _ = normed()
    assert sentence in refused(lambda: network.predict(net, params, x))


@pytest.mark.parametrize("spec, shape, sentence", [
    ("mlp:5", (9, 9, 2), "Dense(units=5, gain=2.0) got samples of shape (162,), for which W would have the shape "
                         "(5, 162), but it has (5, 128)"),
    ("conv-small:0.2", (8, 8, 3), "for which W would have the shape (3, 27), but it has (3, 18)"),
    ("conv-small:0.2", (12, 12, 2), "Dense(units=13, gain=2.0) got samples of shape (54,)"),
    ("conv-small:0.2", (2, 2, 2), "smaller than its window"), ("conv-small:0.2", (128,), "expected images (H, W, C)"),
    ("resnet20:0.2", (8, 8, 3), "for which W"), ("mlp:5", (0, 8, 2), "expected vectors"),
])
def test_samples_of_another_shape_are_not_predicted(xp, spec, shape, sentence):
    net = models.build(spec, (8, 8, 2), 3)
    params = to_module(network.init(net, np.random.default_rng(0), (8, 8, 2))[0], xp)
    assert sentence in refused(lambda: network.predict(net, params, xp.ones((4, *shape))))


def test_parameters_of_another_network_are_seen():
    nets = [models.build(spec, (6,), 3) for spec in ("mlp:5", "mlp:4", "mlp:5,5")]
    params, x = network.init(nets[0], np.random.default_rng(0), (6,))[0], np.ones((2, 6))
    assert "(4, 6), but it has (5, 6)" in refused(lambda: network.predict(nets[1], params, x))
    assert "those of 2 layers, expected 3" in refused(lambda: network.predict(nets[2], params, x))


VECTORS, IMAGES = (4,), (8, 8, 3)
NP: Any = np  # for mypy NumPy's numbers are neither int nor float; what follows is of every kind, on purpose
NO_NAME: Any = None
NO_WHOLE: tuple[Any, ...] = (0, -1, 1.0, 2.5, "2", None, True, np.float64(2), float("nan"))

NO_GAIN: tuple[Any, ...] = (0, -1.0, float("inf"), float("nan"), "2", None, 1j, True)
NO_SHARE: tuple[Any, ...] = (1, 1.0, -0.1, float("inf"), float("nan"), "0.5", None, True, 1j)
NO_EPS: tuple[Any, ...] = (0, -1e-5, float("inf"), float("nan"), "1", None)
NO_MOMENTUM: tuple[Any, ...] = (0, -0.1, 1.5, float("nan"), "1", None)


def of_no_use() -> list[tuple[Layer, tuple[int, ...], str]]:
    """Layers whose numbers make no sense, the shape of samples, and the name of the number."""
    return [
        *((Dense(units), VECTORS, "units") for units in NO_WHOLE),
        *((Conv(planes, 3), IMAGES, "planes") for planes in NO_WHOLE),
        *((Conv(2, kernel), IMAGES, "kernel") for kernel in NO_WHOLE),
        *((Conv(2, 3, stride), IMAGES, "stride") for stride in NO_WHOLE),
        *((Conv(2, 3, 1, pad), IMAGES, "pad") for pad in NO_WHOLE[1:]),
        *((pool(size), IMAGES, "size") for size in NO_WHOLE for pool in (MaxPool, AvgPool)),
        *((pool(2, stride), IMAGES, "stride") for stride in NO_WHOLE if stride is not None
          for pool in (MaxPool, AvgPool)),
        *((pool(2, 2, pad), IMAGES, "pad") for pad in (*NO_WHOLE[1:], 2, 3) for pool in (MaxPool, AvgPool)),
        *((layer, shape, "gain") for gain in NO_GAIN
          for layer, shape in ((Dense(3, gain), VECTORS), (Conv(3, 3, gain=gain), IMAGES))),
        *((norm(eps=eps), VECTORS, "eps") for eps in NO_EPS for norm in (BatchNorm, LayerNorm)),
        *((Dropout(p), VECTORS, "p") for p in NO_SHARE),
        *((BatchNorm(momentum=momentum), VECTORS, "momentum") for momentum in NO_MOMENTUM),
    ]


@pytest.mark.parametrize("layer, shape, name", of_no_use(), ids=repr)
def test_a_layer_of_no_use_is_refused_at_init(layer, shape, name):
    sentence = refused(lambda: layer.init(np.random.default_rng(0), shape))
    assert sentence.startswith(f"{layer} got {name} ") and "expected" in sentence
    # in a network, too, and before it draws a number
    for block in (layer, Sequential((layer,)), Residual(layer), Residual(Activation("relu"), layer)):
        assert sentence == refused(lambda block=block: network.init(Network((block,)), None, shape))


@pytest.mark.parametrize("layer", [
    Dense(NP.int64(3), NP.float32(1)), Conv(NP.int32(2), 3, 2, 4), MaxPool(2, 1, 1), MaxPool(3, 2, 2), AvgPool(3, 5, 2),
    MaxPool(8), BatchNorm(1e-30, 1), Conv(1, 1, 9), LayerNorm(1e-30), Dropout(0),
    Dropout(NP.float32(0)),
])
def test_a_layer_of_odd_numbers_works(layer):
    shape = VECTORS if isinstance(layer, Dense) else IMAGES
    params, out = layer.init(np.random.default_rng(0), shape)
    h, cache = layer.forward(params, np.random.default_rng(1).standard_normal((2, *shape)))
    assert h.shape == (2, *out) and np.isfinite(h).all()
    assert np.isfinite(layer.backward(params, cache, h)[0]).all()


@pytest.mark.parametrize("layer, shape, sentence", [
    (Activation("relo"), VECTORS, "unknown activation 'relo': did you mean 'relu'"),
    (Activation(NO_NAME), VECTORS, "unknown activation 'None'"),
    (Dense(3), IMAGES, "Flatten() makes them"), (Dense(3), (), "expected vectors"),
    (Dense(3), (0,), "expected vectors"),
    (GlobalPool(), VECTORS, "expected images"), (Conv(2, 3), (8, 8, 0), "expected images"),
    (MaxPool(2), (8, 8), "expected images"), (Residual(Dense(3)), VECTORS, "as its shortcut"),
    (Sequential((Flatten(), Conv(2, 3))), IMAGES, "Conv(planes=2, kernel=3, stride=1, pad=0, gain=2.0, bias=True) got "
                                                  "samples of shape (192,), expected images"),
])
def test_layers_that_do_not_fit_are_refused_at_init(layer, shape, sentence):
    assert sentence in refused(lambda: layer.init(np.random.default_rng(0), shape))


# Where weights start


class Ones:
    """A generator of which every draw is 1, so that a weight is its standard deviation."""

    def standard_normal(self, shape):
        return np.ones(shape)


@pytest.mark.parametrize("layer, shape, variance", [
    (Dense(3), (8,), 2 / 8), (Dense(3, 1.0), (4,), 1 / 4), (Dense(5, 0.5), (8,), 1 / 16), (Dense(1), (1,), 2),
    (Conv(3, 2), (5, 5, 8), 2 / 32), (Conv(3, 4, gain=1.0), (5, 5, 1), 1 / 16),
    (Conv(2, 1, gain=4.0), (5, 5, 16), 1 / 4), (Conv(9, 2, 2, 1), (5, 7, 2), 2 / 8),
])
def test_weights_start_with_the_variance_that_the_gain_says(layer, shape, variance):
    """gain over the numbers that a unit reads, k k C of a convolution; biases start at 0."""
    params, _ = layer.init(Ones(), shape)
    assert_close(params["W"], np.full(params["W"].shape, np.sqrt(variance)), slack=4)
    assert not params["b"].any()


def test_weights_are_independent_draws():
    """Entry by entry those of the generator, in order."""
    for layer, shape, scale in ((Dense(3, 1.0), (4,), 1 / 2), (Conv(3, 2, gain=1.0), (5, 5, 4), 1 / 4)):
        W = layer.init(np.random.default_rng(5), shape)[0]["W"]
        np.testing.assert_array_equal(W, np.random.default_rng(5).standard_normal(W.shape) * scale)


# The backward walk


def test_a_block_with_a_signal_listens_to_nobody_above():
    """Also where the block above has no weights, and sends an error down unasked."""
    net = Network((Dense(3), Activation("tanh"), Dense(2)))
    rng = np.random.default_rng(0)
    params, _ = network.init(net, rng, (4,), "float64")
    x, e, signal = (rng.standard_normal((5, n)) for n in (4, 2, 3))
    tape, h = network.forward(net, params, x), np.tanh(x @ params[0]["W"].T)
    lowest, _, last = network.backward(net, params, tape, {2: e, 0: signal})
    assert_close(lowest["W"], signal.T @ x)
    assert_close(last["W"], e.T @ h)
    lowest, _, _ = network.backward(net, params, tape, {2: e})
    assert_close(lowest["W"], ((e @ params[2]["W"]) * (1 - h**2)).T @ x)
