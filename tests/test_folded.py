"""Models that fold: their halves, their counts, what cannot be folded, and that all of it learns under one name."""
from __future__ import annotations

import numpy as np
import pytest

from nobackprop import learn, metrics, models, network, rules
from nobackprop.errors import InputError
from nobackprop.layers import Activation, Conv, Dense, Dropout, Flatten, Layer, MaxPool, Residual, Sequential
from nobackprop.models import MODELS, folded
from nobackprop.network import Network
from nobackprop.optim import bind
from nobackprop.rules import AssociatedLearning
from nobackprop.tree import leaves, tree_map

CIFAR, PAIR = (32, 32, 3), "elu,sigmoid"
AL = AssociatedLearning()
EVERY = pytest.mark.parametrize("name", folded.MODELS)
# components, blocks of the network
FOLDS = {"folded-cnn": (4, 10), "folded-vgg": (4, 10), "folded-resnet20": (3, 8), "folded-resnet32": (3, 8)}


class Blank(np.random.Generator):
    """A generator whose draws cost nothing: for counting what is drawn."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))

    def standard_normal(self, shape):
        return np.broadcast_to(0.0, shape)


def flat(layer: Layer) -> list[Layer]:
    """The layers that one is made of, the shortcut behind its body."""
    if isinstance(layer, Sequential):
        return [one for part in layer.layers for one in flat(part)]
    if isinstance(layer, Residual):
        return flat(layer.body) + (flat(layer.shortcut) if layer.shortcut else [])
    return [layer]


def initial(net, shape, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    params, shapes = network.init(net, rng, shape, dtype)
    return params, tree_map(lambda array: array.astype(dtype), AL.init(rng, net, params, shapes)), shapes


def narrow(name: str) -> str:
    return f"{name}:{0.25 if 'resnet' in name else 0.06}"


def parameters(name: str, classes: int = 10) -> int:
    return metrics.size(network.init(models.build(name, CIFAR, classes), Blank(), CIFAR, "float16")[0])


# Halves

@pytest.mark.parametrize("sizes, expected", [
    ((4, 4), ["elu", "sigmoid"]), ((4, 6, 4), ["elu", "sigmoid", "sigmoid"]),
    ((4, 3, 3, 4), ["elu", "elu", "sigmoid", "sigmoid"]), ((4, 3, 6, 3, 4), ["elu", "elu"] + 3 * ["sigmoid"])])
def test_the_second_activation_begins_with_the_bridge(sizes, expected):
    net = models.build(f"mlp:{','.join(map(str, sizes))}", (5,), 3, PAIR)
    assert [block.layers[-1].name for block in net.blocks[:-1]] == expected
    c = AL.components(net)
    assert expected.index("sigmoid") == AL.effective(net, c).start + 1
    assert [block.layers[0].gain for block in net.blocks[:-1]] == [2 if name == "elu" else 1 for name in expected]


def test_one_activation_is_that_of_both_halves():
    for spec, shape in (("mlp:4,3,4", (5,)), ("folded-cnn:0.1", (8, 8, 1))):
        assert models.build(spec, shape, 3, "tanh") == models.build(spec, shape, 3, "tanh,tanh")


@pytest.mark.parametrize("spec, activation, sentence", [
    ("conv3:0.25", PAIR, "model 'conv3' has no two halves: expected one activation, got 'elu,sigmoid'"),
    ("mlp:4,4", "elu,sigmod", "unknown activation 'sigmod': did you mean 'sigmoid'"),
    ("mlp:4,4", "el,sigmoid", "unknown activation 'el': did you mean 'elu'"),
    ("mlp:4,4", "elu,", "unknown activation ''"),
    ("mlp:4,4", "elu,sigmoid,tanh", "unknown activation 'sigmoid,tanh'"),
    ("mlp:4", PAIR, r"a fully connected network of 1 hidden layer.s. has no two halves: .*, got 'elu,sigmoid'"),
])
def test_activations_that_cannot_be(spec, activation, sentence):
    with pytest.raises(InputError, match=sentence):
        models.build(spec, CIFAR, 10, activation)


# Image models

@pytest.mark.slow
@EVERY
def test_each_folds_into_its_components(name):
    net = models.build(name, CIFAR, 10, PAIR)
    assert (AL.components(net), len(net)) == FOLDS[name]
    shapes = [CIFAR]
    for block in net:
        shapes.append(block.init(Blank(), shapes[-1])[1])
    c, last = FOLDS[name]
    assert shapes[c + 1:] == [(1280,), (256,)] + [(256,)] * (c - 1) + [(10,)]
    assert all(len(shape) == 3 for shape in shapes[:c + 1])
    for i, block in enumerate(net):
        kinds = list(flat(block))
        assert any(isinstance(one, Conv) for one in kinds) == (i < c)
        assert {one.name for one in kinds if isinstance(one, Activation)} == (
            {"elu"} if i < c else {"sigmoid"} if i < last - 1 else set())


def test_the_folded_cnn_has_the_layers_and_parameters_of_the_cnn():
    def layers(name):
        return [one for block in models.build(name, CIFAR, 10) for one in flat(block)]

    assert layers("folded-cnn") == layers("cnn")
    assert parameters("folded-cnn") == parameters("cnn")


@pytest.mark.parametrize("name, plain", [
    ("folded-vgg", "vgg"), ("folded-resnet20", "resnet20"), ("folded-resnet32", "resnet32")])
def test_the_others_have_the_convolutions_of_the_models_that_they_fold(name, plain):
    ours, theirs = ([one for block in models.build(spec, CIFAR, 10) for one in flat(block)
                     if isinstance(one, Conv | MaxPool)] for spec in (name, plain))
    assert ours == theirs


DECODERS = 1280 * 256 + 256, 256 * 256 + 256, 256 * 10 + 10


@pytest.mark.parametrize("name, below, inputs", [
    ("folded-vgg", "vgg", 2048), ("folded-resnet20", "resnet20", 64), ("folded-resnet32", "resnet32", 64)])
def test_parameters_are_as_many_as_counted_by_hand(name, below, inputs):
    top = {"vgg": (2048 * 1024 + 1024) + (1024 * 1024 + 1024) + 1024 * 10 + 10}.get(below, 64 * 10 + 10)
    c, bridge = FOLDS[name][0], inputs * 1280 + 1280
    assert parameters(name) == parameters(below) - top + bridge + DECODERS[0] + (c - 1) * DECODERS[1] + DECODERS[2]


@EVERY
@pytest.mark.parametrize("shape", [(16, 16, 3), (17, 21, 1)])
def test_lower_bridges_take_an_image_as_the_last_one_does(name, shape):
    net = models.build(narrow(name), shape, 7, PAIR)
    params, state, shapes = initial(net, shape)
    c = AL.components(net)
    assert state[c - 1]["b"] is None
    for i in range(1, c):
        (rows, columns, planes), W = shapes[i], [p[0]["W"] for p in state[i - 1]["b"]]
        assert W[0].shape[1] == (planes if "resnet" in name else rows * columns * planes)
        assert [len(w) for w in W] == [shapes[c + 1][0], shapes[len(net) - i][0]]


@EVERY
def test_every_parameter_moves_in_a_step_and_prediction_is_the_forward_pass(name):
    shape, rng = (16, 16, 3), np.random.default_rng(2)
    net = models.build(narrow(name), shape, 5, PAIR)
    params, state, _ = initial(net, shape, dtype="float32")
    before = tree_map(np.copy, [params, state])
    x, y = rng.standard_normal((6, *shape), dtype=np.float32), np.eye(5, dtype=np.float32)[rng.integers(5, size=6)]
    learn.step(net, AL, params, state, bind("adam", params, 1e-3), bind("adam", state, 1e-3), x, y, rng)
    for (path, w), (_, old) in zip(leaves([params, state]), leaves(before), strict=True):
        assert np.isfinite(w).all() and (w != old).any(), path
    assert network.predict(net, params, x).shape == (6, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["folded-cnn:0.25", "folded-resnet20:0.25"])
def test_it_learns_images(name):
    """Four patterns in noise."""
    rng, shape = np.random.default_rng(0), (8, 8, 1)
    patterns, labels = rng.standard_normal((4, *shape)), np.arange(32) % 4
    x = (patterns[labels] + 0.3 * rng.standard_normal((32, *shape))).astype("float32")
    y = np.eye(4, dtype="float32")[labels]
    net = models.build(name, shape, 4, PAIR)
    params, state, _ = initial(net, shape, dtype="float32")
    opts = bind("adam", params, 1e-2), bind("adam", state, 1e-2)
    for _ in range(120):
        tape = learn.step(net, AL, params, state, *opts, x, y, rng)
    assert (tape.output.argmax(-1) == labels).mean() > 0.9


@pytest.mark.parametrize("spec, sentence", [
    ("cnn:0.1", r"hidden block 8 must make vectors, as t_6, got \(4, 4, 6\); of image models those named folded-..."),
    ("resnet20:0.25", "hidden block 10 must make vectors, as t_1"),
])
def test_image_models_that_do_not_fold_say_what_is_missing(spec, sentence):
    with pytest.raises(InputError, match=sentence):
        initial(models.build(spec, (16, 16, 3), 5), (16, 16, 3))


def test_an_image_model_folds_whose_codes_are_vectors_whatever_its_name():
    """The middle block of conv3 is a convolution: the lower bridges have a dense layer of as many units as planes."""
    net = models.build("conv3:0.25", CIFAR, 10, "tanh")
    assert AL.components(net) == 2
    _, state, _ = initial(net, CIFAR)
    assert [p[0]["W"].shape for p in state[0]["b"]] == [(64, 16 * 16 * 24), (512, 64)]


# One model string under all three

def test_one_model_string_has_equal_effective_parameters_under_all_rules():
    sizes = {}
    for name in ("bp", "al", "dtp"):
        activation = str(rules.get(name).defaults.get("activation", "relu"))
        net = models.build("mlp:128,128", (8, 8, 1), 10, activation)
        params, shapes = network.init(net, np.random.default_rng(0), (8, 8, 1))
        rules.get(name).init(np.random.default_rng(0), net, params, shapes)
        sizes[name] = metrics.size(params)
    assert len(set(sizes.values())) == 1


def test_every_model_that_folds_is_listed():
    assert [name for name, model in MODELS.items() if model.folds] == ["mlp", *folded.MODELS]
    assert list(folded.MODELS) == list(FOLDS)
    assert all(isinstance(models.build(name, CIFAR, 10).blocks[-1], Dense) for name in folded.MODELS)


@pytest.mark.parametrize("middle", [
    Flatten(), Sequential(()), Activation("tanh"), Sequential((Flatten(), Dropout(0.5)))], ids=repr)
def test_a_block_without_weights_at_the_bridge_is_refused(middle):
    net = Network((Dense(5), middle, Dense(5), Dense(3)))
    with pytest.raises(InputError, match="that folds: the block above the lower half must have weights"):
        initial(net, (6,))
