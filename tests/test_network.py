"""A network as a whole: what it predicts, what it takes, and what it says of what does not fit."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop import learn, models, network
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
    UnitLength,
)
from nobackprop.metrics import Listener
from nobackprop.network import Network
from nobackprop.tape import Mask
from nobackprop.tree import leaves

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
    ("resnet20:0.2", (8, 8, 3), "for which W"), ("mlp:5", (0, 8, 2), "at least one number in each"),
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


def of_no_use() -> list[tuple[Any, dict[str, Any], str]]:
    """Kinds of layers, numbers for them that make no sense, and the name of the number."""
    return [
        *((Dense, {"units": units}, "units") for units in NO_WHOLE),
        *((Conv, {"planes": 2, "kernel": 3} | {name: value}, name) for name in ("planes", "kernel", "stride")
          for value in NO_WHOLE),
        *((Conv, {"planes": 2, "kernel": 3, "pad": pad}, "pad") for pad in NO_WHOLE[1:]),
        *((Conv, {"planes": 2, "kernel": 3, "bias": bias}, "bias") for bias in (1, 0, None, "yes", np.ones(2))),
        *((pool, {"size": size}, "size") for size in NO_WHOLE for pool in (MaxPool, AvgPool)),
        *((pool, {"size": 2, "stride": stride}, "stride") for stride in NO_WHOLE if stride is not None
          for pool in (MaxPool, AvgPool)),
        *((pool, {"size": 2, "pad": pad}, "pad") for pad in (*NO_WHOLE[1:], 2, 3) for pool in (MaxPool, AvgPool)),
        *((layer, {**given, "gain": gain}, "gain") for gain in NO_GAIN
          for layer, given in ((Dense, {"units": 3}), (Conv, {"planes": 3, "kernel": 3}))),
        *((norm, {"eps": eps}, "eps") for eps in NO_EPS for norm in (BatchNorm, LayerNorm)),
        *((UnitLength, {"eps": eps}, "eps") for eps in NO_SHARE if eps != 1),
        *((Dropout, {"p": p}, "p") for p in (*NO_SHARE, 1.5, -1)),
        *((BatchNorm, {"momentum": momentum}, "momentum") for momentum in NO_MOMENTUM),
    ]


@pytest.mark.parametrize("layer, given, name", of_no_use(), ids=repr)
def test_a_layer_of_no_use_cannot_be_made(layer, given, name):
    """So that no layer computes with such a number, whether its `init` was called or not."""
    assert refused(lambda: layer(**given)).startswith(f"{name} of {layer.__name__} must be ")


@pytest.mark.parametrize("make, sentence", [
    (lambda: Dense(0), "units of Dense must be at least 1, got 0"),
    (lambda: Dropout(1.5), "p of Dropout must be a non-negative number below 1, got 1.5"),
    (lambda: BatchNorm(momentum=1.5), "momentum of BatchNorm must be a positive number up to 1, got 1.5"),
    (lambda: MaxPool(2, 2, 2), "pad of MaxPool must be at most 1, got 2"),
    (lambda: Dense(3, 10**400), "gain of Dense must be a positive number, got an integer of 1329 bits"),
    (lambda: Activation("relo"), "unknown activation 'relo': did you mean 'relu'? (known: "),
    (lambda: Activation(NO_NAME), "unknown activation None, which is no name (known: "),
    (lambda: Activation(["relu"]), "unknown activation ['relu'], which is no name (known: "),  # type: ignore[arg-type]
])
def test_what_is_said_of_a_layer_of_no_use(make, sentence):
    assert refused(make).startswith(sentence)


NO_LAYERS: tuple[Any, ...] = (Dense(3), 3, None, "mlp:4", (3, 4), (Dense(3), None), (Dense,), {0: Dense(3)})


@pytest.mark.parametrize("came", NO_LAYERS, ids=repr)
def test_what_is_no_layers_makes_no_network_and_no_block(came):
    for make, what in ((Network, "blocks of a Network"), (Sequential, "layers of Sequential")):
        assert refused(lambda make=make: make(came)).startswith(f"{what} are ")
    if not isinstance(came, Layer):
        assert refused(lambda: Residual(came)).startswith("body of Residual is ")
    if came is not None and not isinstance(came, Layer):
        assert refused(lambda: Residual(Dense(3), came)).startswith("shortcut of Residual is ")


@pytest.mark.parametrize("layer, shape", [(Dense(3), VECTORS), (Conv(2, 3), IMAGES)], ids=repr)
def test_weights_are_drawn_from_something_and_fit_into_memory(layer, shape):
    for rng in (0, None, "x", 1.5):
        assert refused(lambda rng=rng: layer.init(rng, shape)).startswith("rng is ")
    huge = Dense(2**62) if isinstance(layer, Dense) else Conv(2**62, 3)
    assert "weights, which do not fit into memory" in refused(lambda: huge.init(np.random.default_rng(0), shape))
    assert "units of Dense must be at most" in refused(lambda: Dense(10**5000))


def test_layers_may_come_in_a_list():
    layers: Any = [Dense(3), Activation("relu")]
    assert Network(layers) == Network(tuple(layers)) and Sequential(layers) == Sequential(tuple(layers))
    hash(Network(layers))


@pytest.mark.parametrize("layer, field", [
    (Dense(3, NP.float64(2)), "gain"), (BatchNorm(NP.float64(1e-3)), "eps"),
    (BatchNorm(1e-3, NP.float64(0.5)), "momentum"),
    (LayerNorm(NP.float64(1e-3)), "eps"), (UnitLength(NP.float64(1e-3)), "eps"),
    (Dropout(NP.float64(0.5)), "p"), (Dense(NP.int64(3)), "units"),
    (Conv(2, NP.int8(3), NP.int8(2), NP.int8(1)), "stride"), (MaxPool(NP.int8(2)), "size")])
def test_numbers_of_numpys_become_pythons_own(layer, field):
    """Or float32 would become float64 in the layer."""
    assert type(getattr(layer, field)) in (int, float)
    shape = IMAGES if isinstance(layer, Conv | MaxPool) else VECTORS
    net = Network((layer,))
    params, _ = network.init(net, np.random.default_rng(0), shape)
    tape = network.forward(net, params, np.ones((2, *shape), "float32"), rng=np.random.default_rng(0))
    assert tape.output.dtype == "float32"


@pytest.mark.parametrize("layer", [
    Dense(NP.int64(3), NP.float32(1)), Conv(NP.int32(2), 3, 2, 4), MaxPool(2, 1, 1), MaxPool(3, 2, 2), AvgPool(3, 5, 2),
    MaxPool(8), BatchNorm(1e-30, 1), Conv(1, 1, 9), LayerNorm(1e-30), Dropout(0), UnitLength(0),
    Dropout(NP.float32(0)),
])
def test_a_layer_of_odd_numbers_works(layer):
    shape = VECTORS if isinstance(layer, Dense) else IMAGES
    params, out = layer.init(np.random.default_rng(0), shape)
    h, cache = layer.forward(params, np.random.default_rng(1).standard_normal((2, *shape)))
    assert h.shape == (2, *out) and np.isfinite(h).all()
    assert np.isfinite(layer.backward(params, cache, h)[0]).all()


@pytest.mark.parametrize("layer, shape, sentence", [
    *((norm, shape, "expected at least one number in each") for norm in (BatchNorm(), LayerNorm(), UnitLength())
      for shape in ((), (0,), (3, 0), None, 5, "5", (2.0,), (True,), np.ones(2), {5})),
    *((layer, shape, "expected ") for layer in (Dense(3), Conv(2, 3), MaxPool(2), GlobalPool(), Flatten())
      for shape in ((), (0,), (8, 8, 0), None, 5, "5", (2.0,), (8, 8, 1.0), (8, 8, True), np.ones(3), {5})),
    (Dense(3), IMAGES, "Flatten() makes them"), (Dense(3), (), "expected vectors"),
    (Dense(3), (0,), "expected vectors"),
    (GlobalPool(), VECTORS, "expected images"), (Conv(2, 3), (8, 8, 0), "expected images"),
    (MaxPool(2), (8, 8), "expected images"), (Residual(Dense(3)), VECTORS, "as its shortcut"),
    (Sequential((Flatten(), Conv(2, 3))), IMAGES, "Conv(planes=2, kernel=3, stride=1, pad=0, gain=2.0, bias=True) got "
                                                  "samples of shape (192,), expected images"),
])
def test_layers_that_do_not_fit_are_refused_at_init(layer, shape, sentence):
    assert sentence in refused(lambda: layer.init(np.random.default_rng(0), shape))
    assert sentence in refused(lambda: layer.out_shape(shape))


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


# What `init`, `forward` and `backward` take


@pytest.mark.parametrize("rng", [0, None, np.random.RandomState(0), np.random, "x", np.random.PCG64(0)],
                         ids=lambda rng: type(rng).__name__)
def test_init_draws_from_a_generator_alone(rng):
    assert refused(lambda: network.init(models.build("mlp:5", (6,), 3), rng, (6,))).startswith("rng is ")


@pytest.mark.parametrize("shape", [(), 5, None, "5", (0,), (-5,), (5.0,), (True,), (None,), {5}], ids=repr)
def test_init_takes_the_shape_of_a_sample(shape):
    net = models.build("mlp:5", (6,), 3)
    assert refused(lambda: network.init(net, np.random.default_rng(0), shape)).startswith("shape is ")


@pytest.mark.parametrize("net", [None, "mlp:5", (Dense(3),), Dense(3), Network], ids=repr)
def test_init_takes_a_network(net):
    assert refused(lambda: network.init(net, np.random.default_rng(0), (6,))).startswith("net is ")
    assert refused(lambda: network.predict(net, [], np.ones((2, 6)))).startswith("net is ")


@pytest.mark.parametrize("dtype", ["int32", "bool", int, None, "floaty", 3, "U8", object], ids=repr)
def test_weights_are_floats(dtype):
    """As whole numbers almost all of them would be 0."""
    net = models.build("mlp:5", (6,), 3)
    assert refused(lambda: network.init(net, np.random.default_rng(0), (6,), dtype)).startswith("dtype is ")


def test_shapes_may_be_lists_and_of_numpys_numbers():
    net = models.build("mlp:5", (6,), 3)
    for shape in ([6], (NP.int64(6),), NP.zeros((2, 6)).shape[1:]):
        assert network.init(net, np.random.default_rng(0), shape)[1] == [(6,), (5,), (3,)]


NO_BATCH: tuple[Any, ...] = (np.ones((2, 7)), np.ones((2, 6, 1)), np.ones(6), np.ones(()), [[1.0] * 6], None, 3.0, "x",
                             np.array([["a"] * 6]), np.ones((2, 6), object))


@pytest.mark.parametrize("x", NO_BATCH, ids=lambda x: f"{type(x).__name__}-{np.shape(x)}")
@pytest.mark.parametrize("act", [network.forward, network.predict])
def test_what_is_no_batch_goes_through_no_network(act, x):
    net = models.build("mlp:5", (6,), 3)
    params, _ = network.init(net, np.random.default_rng(0), (6,))
    refused(lambda: act(net, params, x))


def test_images_with_another_number_of_channels_go_through_no_network():
    net = models.build("conv3-bn:0.03", (16, 16, 3), 7)
    params, _ = network.init(net, np.random.default_rng(0), (16, 16, 3))
    for act in (network.forward, network.predict):
        assert "for which W would have the shape" in refused(lambda act=act: act(net, params, np.ones((2, 16, 16, 2))))


DAMAGES: dict[str, Any] = {
    "none": lambda params: None,
    "no list": lambda params: {"W": 1},
    "an array": lambda params: np.ones((2, 5)),
    "a text": lambda params: "params",
    "a block too few": lambda params: params[:-1],
    "a block too many": lambda params: [*params, None],
    "no parameters in a block": lambda params: [None, *params[1:]],
    "no parameters in a layer": lambda params: [[None, *params[0][1:]], *params[1:]],
    "a dict for a list": lambda params: [dict(enumerate(params[0])), *params[1:]],
    "no W": lambda params: [*params[:-1], {"b": params[-1]["b"]}],
    "no b": lambda params: [*params[:-1], {"W": params[-1]["W"]}],
    "W of nothing": lambda params: [*params[:-1], params[-1] | {"W": None}],
    "W a list": lambda params: [*params[:-1], params[-1] | {"W": params[-1]["W"].tolist()}],
    "W a number": lambda params: [*params[:-1], params[-1] | {"W": 1.0}],
    "b of one number": lambda params: [*params[:-1], params[-1] | {"b": np.ones(1)}],
    "b a row": lambda params: [*params[:-1], params[-1] | {"b": np.ones((1, 3))}],
    "a mean of one number": lambda params: [[params[0][0], params[0][1] | {"mean": np.ones(1)}, None], *params[1:]],
    "var of one number": lambda params: [[params[0][0], params[0][1] | {"var": np.ones(1)}, None], *params[1:]],
    "beta of one number": lambda params: [[params[0][0], params[0][1] | {"beta": np.ones(1)}, None], *params[1:]],
    "b of texts": lambda params: [*params[:-1], params[-1] | {"b": np.array(["a"] * 3)}],
    "W of objects": lambda params: [*params[:-1], params[-1] | {"W": params[-1]["W"].astype(object)}],
    "W masked": lambda params: [*params[:-1], params[-1] | {"W": np.ma.masked_array(params[-1]["W"])}],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_parameters_that_do_not_fit_predict_nothing(damage):
    """Also those that NumPy would stretch to fit."""
    net = models.build("mlp-bn:5", (6,), 3)
    params, _ = network.init(net, np.random.default_rng(0), (6,))
    x, y = np.ones((2, 6)), np.eye(3)[:2]
    wrong = DAMAGES[damage](params)
    refused(lambda: network.predict(net, wrong, x))
    refused(lambda: learn.evaluate(net, wrong, x, y))


@pytest.mark.parametrize("wrong", [None, [], {"body": None}, [None, None], 3], ids=repr)
def test_parameters_of_a_residual_block_that_do_not_fit(wrong):
    net = Network((Residual(Dense(4)),))
    refused(lambda: network.predict(net, [wrong], np.ones((2, 4))))


@pytest.mark.parametrize("rng", [0, "x", np.random.RandomState(0)], ids=lambda rng: type(rng).__name__)
def test_a_pass_draws_from_a_generator_alone(rng):
    net = Network((Dropout(0.5),))
    assert refused(lambda: network.forward(net, [None], np.ones((2, 6)), rng=rng)).startswith("rng is ")


def test_a_fault_inside_a_layer_of_ones_own_stays_what_it_is():
    class Faulty(Activation):
        def forward(self, params, h, train=True, rng=None):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        network.forward(Network((Faulty("relu"),)), [None], np.ones((2, 6)))


def test_a_block_that_hears_nothing_is_named():
    net, params, x = normed()
    tape = network.forward(net, params, x)
    assert refused(lambda: network.backward(net, params, tape, {})).startswith(f"block {len(net) - 1} hears nothing")


@pytest.mark.parametrize("walk", [network.backward, network.local], ids=lambda walk: walk.__name__)
@pytest.mark.parametrize("shape", [(4, 1), (4,), (1, 8), (3, 8), (4, 7), (8, 4), (), (4, 8, 1)], ids=str)
def test_a_signal_of_another_shape_than_the_output_is_refused(walk, shape):
    """NumPy would spread most of them over the units or the samples, and the gradients would have their shapes."""
    net = models.build("mlp:8", (5,), 3)
    params, _ = network.init(net, np.random.default_rng(0), (5,), "float64")
    tape = network.forward(net, params, np.ones((4, 5)))
    assert refused(lambda: walk(net, params, tape, {1: np.ones((4, 3)), 0: np.ones(shape)})) == (
        f"the signal of block 0, counted from 0, has shape {shape}, expected (4, 8) as its output")


def test_where_a_tape_keeps_less_than_an_output_its_shape_is_compared_if_it_is_there():
    net, x = Network((Activation("relu"),)), np.ones((4, 8))
    whole = network.forward(net, [None], x)
    signs, nothing = (replace(whole, h=[x, kept]) for kept in (Mask.of(whole.output), None))
    assert refused(lambda: network.backward(net, [None], signs, {0: x[:, :1]})).endswith("(4, 8) as its output")
    assert network.backward(net, [None], signs, {0: x}) == network.backward(net, [None], nothing, {0: x}) == [None]


# Every block by itself, and a network with other activations

MIXED = Network((Sequential((Conv(2, 3, pad=1), BatchNorm(), Activation("relu"), Dropout(0.5))),
                 Residual(Sequential((Conv(2, 3, pad=1), Activation("gelu"))), Sequential((Activation("tanh"),))),
                 Sequential((Flatten(), Dense(4), Activation("sigmoid"))), Dense(3)))


def mixed():
    """The network, its parameters, a tape and a signal for every block."""
    rng = np.random.default_rng(0)
    params, _ = network.init(MIXED, rng, (3, 3, 1), "float64")
    tape = network.forward(MIXED, params, rng.standard_normal((5, 3, 3, 1)), rng=rng)
    return params, tape, {i: rng.standard_normal(h.shape) for i, h in enumerate(tape.h[1:])}


def equal(ours, theirs):
    for (_, u), (_, v) in zip(leaves(ours), leaves(theirs), strict=True):
        np.testing.assert_array_equal(u, v)


def test_blocks_apart_on_the_inputs_of_a_pass_are_that_pass():
    params, tape, _ = mixed()
    again = network.apart(MIXED, params, tape.h[:-1], tape.seeds)
    equal(again.h, tape.h)
    equal(network.backward(MIXED, params, again, {3: tape.output}),
          network.backward(MIXED, params, tape, {3: tape.output}))
    assert list(again.seeds) == list(tape.seeds)


def test_no_block_apart_sees_another():
    params, tape, _ = mixed()
    for i in range(len(MIXED)):
        inputs = [h if j == i else np.full_like(h, np.nan) for j, h in enumerate(tape.h[:-1])]
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(network.apart(MIXED, params, inputs, tape.seeds).h[i + 1], tape.h[i + 1])


def test_local_is_the_backward_walk_of_each_block():
    params, tape, signals = mixed()
    down, grads = network.local(MIXED, params, tape, signals)
    equal(grads, network.backward(MIXED, params, tape, signals))
    assert down[0] is None and [sent.shape for sent in down[1:]] == [h.shape for h in tape.h[1:-1]]
    # hand over by hand, and the walk is backpropagation
    delta = {3: signals[3]}
    for i in (3, 2, 1):
        delta[i - 1] = network.local(MIXED, params, tape, {i: delta[i]})[0][i]
    equal(network.local(MIXED, params, tape, delta)[1], network.backward(MIXED, params, tape, {3: signals[3]}))


def test_a_block_without_a_signal_says_nothing():
    params, tape, signals = mixed()
    down, grads = network.local(MIXED, params, tape, {2: signals[2]})
    assert [i for i in range(4) if down[i] is not None] == [i for i in range(4) if grads[i] is not None] == [2]


def test_a_straight_network_has_no_activation_left_and_is_otherwise_the_same():
    found = []
    network.with_activations(network.straight(MIXED), lambda f: found.append(f) or f)
    assert found == [Activation("identity")] * 4
    before = []
    assert network.with_activations(MIXED, lambda f: before.append(f) or f) == MIXED
    assert [f.name for f in before] == ["relu", "gelu", "tanh", "sigmoid"]


def test_a_straight_walk_multiplies_no_derivative():
    """With a chain of dense layers it is the product of the weights, whatever the activations are."""
    net, rng = models.build("mlp:4,5", (3,), 2, "tanh"), np.random.default_rng(0)
    params, _ = network.init(net, rng, (3,), "float64")
    tape = network.forward(net, params, rng.standard_normal((7, 3)))
    e = rng.standard_normal((7, 2))
    grads = network.backward(network.straight(net), params, tape, {2: e})
    at_a = e @ params[2]["W"] @ params[1][0]["W"]
    assert_close(grads[0][0]["W"], at_a.T @ tape.h[0])
    assert_close(grads[0][0]["b"], at_a.sum(0), of=at_a)


def test_a_listener_hears_a_straight_walk_too():
    params, tape, signals = mixed()
    listeners = [Listener(block) for block in MIXED]
    network.backward(network.straight(Network(tuple(listeners))), params, tape, signals)
    equal([listener.heard[0].delta for listener in listeners], list(signals.values()))
    assert [listener.heard[0].at_a for listener in listeners] == [True, True, True, False]
