"""The models by name: parameter counts by hand, shapes as published, block boundaries, and that all of them learn."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop import data, learn, metrics, models, network, room, rules
from nobackprop.errors import InputError
from nobackprop.kernels.activation import ACTIVATIONS
from nobackprop.layers import Activation, AvgPool, BatchNorm, Conv, Dense, Layer, MaxPool, Residual, Sequential
from nobackprop.models import IMAGE_MODELS, MODELS, folded
from nobackprop.models.parts import conv_block, gain
from nobackprop.optim import bind
from nobackprop.tree import leaves, tree_map

CIFAR = (32, 32, 3)
EVERY = pytest.mark.parametrize("name", IMAGE_MODELS)


def small(name: str) -> str:
    """A few planes in every layer: if a 1x1 kernel has only one plane, batch-norm leaves it nothing to learn."""
    return f"{name}:{0.25 if name in ('conv-small', 'resnet20', 'resnet32') else 0.06}"


class Blank(np.random.Generator):
    """A generator whose draws cost nothing, so that large networks can be counted."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))

    def standard_normal(self, shape):
        return np.broadcast_to(0.0, shape)


def sizes(name: str, classes: int = 10, shape=CIFAR) -> tuple[int, list[tuple[int, ...]]]:
    """The number of parameters at the published widths, and the output shape of each block; one block at a time."""
    count, shapes = 0, [shape]
    for block in models.build(name, shape, classes):
        params, out = block.init(Blank(), shapes[-1])
        count += metrics.size(params)
        shapes.append(out)
    return count, shapes[1:]


def flat(layer: Layer) -> list[Layer]:
    """The layers inside a layer, from the input up; the shortcut comes after its body."""
    if isinstance(layer, Sequential):
        return [one for part in layer.layers for one in flat(part)]
    if isinstance(layer, Residual):
        return flat(layer.body) + (flat(layer.shortcut) if layer.shortcut else [])
    return [layer]


def of_kind(name: str, kind: Any, **how) -> list:
    return [one for block in models.build(name, CIFAR, 10, **how) for one in flat(block) if isinstance(one, kind)]


# ---------------------------------------------------------------- counted by hand, layer by layer

CONV3 = (5 * 5 * 3 * 96 + 96) + (5 * 5 * 96 * 128 + 128) + (5 * 5 * 128 * 256 + 256) + (
    4096 * 2048 + 2048) + (2048 * 2048 + 2048)

# each convolution has 2 x planes numbers of batch-norm; a block is two convolutions, a "down" block also a projection
STAGE_1 = 2 * (3 * 3 * 64 * 64 + 2 * 64)
STAGE_2 = 2 * (3 * 3 * 128 * 128 + 2 * 128)
STAGE_3 = 2 * (3 * 3 * 256 * 256 + 2 * 256)
STAGE_4 = 2 * (3 * 3 * 512 * 512 + 2 * 512)
HALVE_2 = (3 * 3 * 64 * 128 + 2 * 128) + (3 * 3 * 128 * 128 + 2 * 128)
HALVE_3 = (3 * 3 * 128 * 256 + 2 * 256) + (3 * 3 * 256 * 256 + 2 * 256)
HALVE_4 = (3 * 3 * 256 * 512 + 2 * 512) + (3 * 3 * 512 * 512 + 2 * 512)
PROJECTIONS = (1 * 1 * 64 * 128 + 2 * 128) + (1 * 1 * 128 * 256 + 2 * 256) + (1 * 1 * 256 * 512 + 2 * 512)
STEM = 3 * 3 * 3 * 64 + 2 * 64
RESNET18 = STEM + 2 * STAGE_1 + (HALVE_2 + 1 * STAGE_2) + (HALVE_3 + 1 * STAGE_3) + (HALVE_4 + 1 * STAGE_4)
RESNET34 = STEM + 3 * STAGE_1 + (HALVE_2 + 3 * STAGE_2) + (HALVE_3 + 5 * STAGE_3) + (HALVE_4 + 2 * STAGE_4)

NARROW_STEM = 3 * 3 * 3 * 16 + 2 * 16
NARROW_1 = 2 * (3 * 3 * 16 * 16 + 2 * 16)
NARROW_2 = 2 * (3 * 3 * 32 * 32 + 2 * 32)
NARROW_3 = 2 * (3 * 3 * 64 * 64 + 2 * 64)
NARROW_HALVE_2 = (3 * 3 * 16 * 32 + 2 * 32) + (3 * 3 * 32 * 32 + 2 * 32) + (1 * 1 * 16 * 32 + 2 * 32)
NARROW_HALVE_3 = (3 * 3 * 32 * 64 + 2 * 64) + (3 * 3 * 64 * 64 + 2 * 64) + (1 * 1 * 32 * 64 + 2 * 64)
RESNET20 = NARROW_STEM + 3 * NARROW_1 + (NARROW_HALVE_2 + 2 * NARROW_2) + (NARROW_HALVE_3 + 2 * NARROW_3)
RESNET32 = NARROW_STEM + 5 * NARROW_1 + (NARROW_HALVE_2 + 4 * NARROW_2) + (NARROW_HALVE_3 + 4 * NARROW_3)

# the parameters below the output layer, and the number of units that the output layer reads
BY_HAND: dict[str, tuple[int, int]] = {
    "conv-small": ((3 * 3 * 3 * 16 + 16) + (3 * 3 * 16 * 32 + 32) + (8 * 8 * 32 * 64 + 64), 64),
    "conv3": (CONV3, 2048),
    "conv3-bn": (CONV3 - 96 - 128 - 256 + 2 * 96 + 2 * 128 + 2 * 256, 2048),
    "conv3-stride": (CONV3, 2048),
    "alexnet-small": ((5 * 5 * 3 * 64 + 2 * 64) + (5 * 5 * 64 * 128 + 2 * 128) + (5 * 5 * 128 * 256 + 2 * 256)
                      + (4096 * 1024 + 1024 + 2 * 1024) + (1024 * 1024 + 1024 + 2 * 1024), 1024),
    "resnet18": (RESNET18 + PROJECTIONS, 512),
    "resnet18-published": (RESNET18 + PROJECTIONS - STEM + 7 * 7 * 3 * 64 + 2 * 64, 512),
    "resnet18-noshortcut": (RESNET18, 512),
    "resnet18-layers": (RESNET18, 512),
    "resnet34": (RESNET34 + PROJECTIONS, 512),
    "resnet34-noshortcut": (RESNET34, 512),
    "resnet20": (RESNET20, 64),
    "resnet32": (RESNET32, 64),
    "vgg": ((3 * 3 * 3 * 128 + 2 * 128) + (3 * 3 * 128 * 256 + 2 * 256) + (3 * 3 * 256 * 256 + 2 * 256)
            + (3 * 3 * 256 * 512 + 2 * 512) + (3 * 3 * 512 * 512 + 2 * 512) + (3 * 3 * 512 * 512 + 2 * 512)
            + (2048 * 1024 + 1024) + (1024 * 1024 + 1024), 1024),
    "cnn": ((3 * 3 * 3 * 32 + 32) + 3 * (3 * 3 * 32 * 32 + 32) + (3 * 3 * 32 * 64 + 64) + 3 * (3 * 3 * 64 * 64 + 64)
            + (4096 * 1280 + 1280) + (1280 * 256 + 256) + 3 * (256 * 256 + 256), 256),
}


@pytest.mark.slow
@pytest.mark.parametrize("classes", [10, 100])
@EVERY
def test_parameters_are_as_many_as_counted_by_hand(name, classes):
    below, units = BY_HAND[name]
    assert sizes(name, classes)[0] == below + units * classes + classes


def test_residual_networks_have_the_sizes_that_everybody_knows():
    assert [sizes(name)[0] for name in ("resnet18", "resnet34")] == [11_173_962, 21_282_122]


# ---------------------------------------------------------------- shapes

PUBLISHED: dict[str, Sequence[tuple[int, ...]]] = {
    "conv-small": [(16, 16, 16), (8, 8, 32), (64,), (10,)],
    **dict.fromkeys(("conv3", "conv3-bn", "conv3-stride"),
                    [(16, 16, 96), (8, 8, 128), (4, 4, 256), (2048,), (2048,), (10,)]),
    "alexnet-small": [(16, 16, 64), (8, 8, 128), (4, 4, 256), (1024,), (1024,), (10,)],
    **dict.fromkeys(("resnet18", "resnet18-noshortcut"),
                    [(32, 32, 64)] * 3 + [(16, 16, 128)] * 2 + [(8, 8, 256)] * 2 + [(4, 4, 512)] * 2 + [(10,)]),
    **dict.fromkeys(("resnet34", "resnet34-noshortcut"),
                    [(32, 32, 64)] * 4 + [(16, 16, 128)] * 4 + [(8, 8, 256)] * 6 + [(4, 4, 512)] * 3 + [(10,)]),
    "resnet18-published": [(16, 16, 64)] * 2 + [(8, 8, 128), (4, 4, 256), (2, 2, 512), (10,)],
    "resnet18-layers": [(32, 32, 64)] * 5 + [(16, 16, 128)] * 4 + [(8, 8, 256)] * 4 + [(4, 4, 512)] * 4 + [(10,)],
    "resnet20": [(32, 32, 16)] * 4 + [(16, 16, 32)] * 3 + [(8, 8, 64)] * 3 + [(10,)],
    "resnet32": [(32, 32, 16)] * 6 + [(16, 16, 32)] * 5 + [(8, 8, 64)] * 5 + [(10,)],
    "vgg": [(32, 32, 128), (16, 16, 256), (16, 16, 256), (8, 8, 512), (4, 4, 512), (2, 2, 512),
            (1024,), (1024,), (10,)],
    "cnn": [(32, 32, 32)] * 3 + [(16, 16, 32)] + [(16, 16, 64)] * 3 + [(8, 8, 64)] + [(1280,)] + [(256,)] * 4 + [(10,)],
}


@EVERY
def test_behind_each_block_stands_what_is_published(name):
    assert sizes(name)[1] == PUBLISHED[name]


@pytest.mark.parametrize("name", ["conv3", "conv3-bn", "conv3-stride", "alexnet-small", "cnn"])
def test_4096_units_reach_the_first_dense_layer(name):
    shape = CIFAR
    for block in models.build(name, CIFAR, 10):
        params, shape = block.init(Blank(), shape)
        matrices = [W for path, W in leaves(params) if path.endswith("W")]
        if len(shape) == 1:
            assert matrices[0].shape[1] == 4096
            return


@pytest.mark.parametrize("shape", [(16, 16, 3), (17, 21, 1)])
@EVERY
def test_shapes_promised_are_shapes_made(name, shape):
    net, rng = models.build(small(name), shape, 7, "elu"), np.random.default_rng(0)
    params, shapes = network.init(net, rng, shape)
    x = rng.standard_normal((3, *shape), dtype=np.float32)
    tape = network.forward(net, params, x)
    assert [h.shape for h in tape.h] == [(3, *promised) for promised in shapes]
    assert shapes[-1] == (7,) and {h.dtype for h in tape.h} == {np.dtype("float32")}
    assert network.predict(net, params, x).shape == (3, 7)


# ---------------------------------------------------------------- what a block is


@EVERY
def test_the_last_block_is_linear_and_all_others_end_in_activation_or_pooling(name):
    *hidden, last = map(flat, models.build(name, CIFAR, 10, "tanh"))
    assert isinstance(last[-1], Dense) and not any(isinstance(one, Activation) for one in last)
    for block in hidden:
        assert isinstance(block[-1], Activation | MaxPool)
        own = {"resnet18-published": 4, "resnet18-layers": 1}.get(name, 2 if "res" in name else 1)
        own = 1 if block is hidden[0] else own
        assert [one.name for one in block if isinstance(one, Activation)] == ["tanh"] * own


@pytest.mark.parametrize("name", [name for name in IMAGE_MODELS
                                  if not name.startswith("resnet") or name == "resnet18-layers"])
def test_without_residual_blocks_a_block_has_one_layer_with_weights(name):
    for block in models.build(name, CIFAR, 10):
        assert sum(isinstance(one, Conv | Dense) for one in flat(block)) == 1


def test_a_block_for_each_convolution_changes_no_number_of_the_network():
    """Borders between blocks are where signals enter; the function and BP's gradients do not depend on them."""
    rng, x = np.random.default_rng(0), np.random.default_rng(1).standard_normal((4, 8, 8, 3))
    whole, parts = (models.build(f"{name}:0.05", (8, 8, 3), 10) for name in ("resnet18-noshortcut", "resnet18-layers"))
    params, _ = network.init(whole, rng, (8, 8, 3), "float64")
    stem, *blocks, output = params
    split = [stem, *(half for block in blocks for half in (block[:3], block[3:])), output]
    y = np.eye(10)[:4]
    found = []
    for net, own in ((whole, params), (parts, split)):
        tape = network.forward(net, own, x, True)
        grads = rules.get("bp").credit(net, own, None, tape, y).grads
        found.append((tape.h[-1], [g for _, g in leaves(grads)]))
    assert np.array_equal(found[0][0], found[1][0])
    assert len(found[0][1]) == len(found[1][1]) and all(map(np.array_equal, found[0][1], found[1][1]))


def test_shortcuts_are_projections_where_the_shape_changes_and_there_alone():
    for name in ("resnet18", "resnet34", "resnet20", "resnet32"):
        net = models.build(name, CIFAR, 10)
        shapes = [None, *sizes(name)[1]]
        for i, block in enumerate(net.blocks[1:-1], start=1):
            residual, last = block.layers
            assert isinstance(residual, Residual) and last == Activation("relu")
            assert (residual.shortcut is not None) == (shapes[i] != shapes[i + 1])
            if residual.shortcut is not None:
                projection, norm = residual.shortcut.layers
                assert (projection.kernel, projection.stride, norm) == (1, 2, BatchNorm())


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_without_shortcut_is_the_same_network_less_its_shortcuts(name):
    assert of_kind(f"{name}-noshortcut", Residual) == []
    for full, bare in zip(models.build(name, CIFAR, 10), models.build(f"{name}-noshortcut", CIFAR, 10), strict=True):
        residual = full.layers[0]
        body = residual.body.layers + full.layers[1:] if isinstance(residual, Residual) else full.layers
        assert body == bare.layers


@EVERY
def test_batch_norm_takes_the_place_of_a_convolutions_bias(name):
    for block in models.build(name, CIFAR, 10):
        layers = flat(block)
        for one, after in zip(layers, layers[1:], strict=False):
            assert not isinstance(one, Conv) or one.bias != isinstance(after, BatchNorm)


def test_conv3_halves_images_by_pooling_and_its_other_reading_by_stride():
    pools = {"conv3": [MaxPool(3, 2, 1)] * 3, "conv3-bn": [MaxPool(3, 2, 1)] * 3, "conv3-stride": []}
    for name, expected in pools.items():
        assert of_kind(name, MaxPool) == expected
        assert {(one.kernel, one.stride, one.pad) for one in of_kind(name, Conv)} == {(5, 1 if expected else 2, 2)}


def test_conv3_with_batch_norm_has_one_after_each_convolution():
    kinds = [[type(one).__name__ for one in flat(block)] for block in models.build("conv3-bn", CIFAR, 10)]
    assert kinds[:3] == [["Conv", "BatchNorm", "MaxPool", "Activation"]] * 3
    assert kinds[3:] == [["Flatten", "Dense", "Activation"], ["Dense", "Activation"], ["Dense"]]


@pytest.mark.parametrize("activation, gain", [("relu", 2), ("elu", 2), ("tanh", 1), ("sigmoid", 1), ("identity", 1),
                                              ("gelu", 2), ("silu", 2), ("leaky_relu", 2 / 1.0001)])
@pytest.mark.parametrize("name", ["mlp:8,8", *IMAGE_MODELS])
def test_weights_start_by_the_activation_above_them(name, activation, gain):
    *hidden, last = of_kind(name, Conv | Dense, activation=activation)
    assert {one.gain for one in hidden} == {gain} and last.gain == 1


def test_an_activation_that_is_none_has_no_gain():
    with pytest.raises(InputError, match="unknown activation 'rellu': did you mean 'relu'"):
        gain("rellu")


# ---------------------------------------------------------------- the width factor


def widths(spec: str) -> list[int]:
    return [one.planes if isinstance(one, Conv) else one.units for one in of_kind(spec, Conv | Dense)]


@pytest.mark.parametrize("spec, expected", [
    ("conv3", [96, 128, 256, 2048, 2048, 10]),
    ("conv3:", [96, 128, 256, 2048, 2048, 10]),
    ("conv3:1", [96, 128, 256, 2048, 2048, 10]),
    ("conv3:0.25", [24, 32, 64, 512, 512, 10]),
    ("conv3:.25", [24, 32, 64, 512, 512, 10]),
    ("conv3:4", [384, 512, 1024, 8192, 8192, 10]),
    ("conv3:0.01", [1, 1, 3, 20, 20, 10]),
    ("conv3:0.000001", [1, 1, 1, 1, 1, 10]),
    ("conv-small:2", [32, 64, 128, 10]),
    ("alexnet-small:0.5", [32, 64, 128, 512, 512, 10]),
    ("vgg:0.5", [64, 128, 128, 256, 256, 256, 512, 512, 10]),
    ("cnn:0.5", [16] * 4 + [32] * 4 + [640] + [128] * 4 + [10]),
])
def test_the_factor_scales_hidden_widths_and_leaves_the_output(spec, expected):
    assert widths(spec) == expected


@EVERY
def test_the_narrowest_network_is_one_plane_wide_everywhere(name):
    *hidden, last = widths(f"{name}:0.0001")
    assert set(hidden) == {1} and last == 10
    x = np.random.default_rng(1).standard_normal((2, 16, 16, 1))
    net = models.build(f"{name}:0.0001", x.shape[1:], 3)
    params, _ = network.init(net, np.random.default_rng(0), x.shape[1:], "float64")
    assert np.isfinite(network.forward(net, params, x).output).all()


# ---------------------------------------------------------------- wrong use


@pytest.mark.parametrize("argument", ["0", "0.0", "-1", "16.1", "1e3", "nan", "inf", "half", "0,5", "1_0", " 1", "1.",
                                      ".", "\u0661", "9" * 400])
@EVERY
def test_a_wrong_width_factor_gets_a_sentence(name, argument):
    with pytest.raises(InputError) as told:
        models.build(f"{name}:{argument}", CIFAR, 10)
    assert str(told.value) == (f"model '{name}:{argument}': expected a width factor above 0 and up to 16 such as "
                               f"{name}:0.25, got '{argument}'")


@pytest.mark.parametrize("shape", [(784,), (28, 28), (2, 8, 8, 1)])
@EVERY
def test_what_is_no_image_gets_a_sentence(name, shape):
    with pytest.raises(InputError) as told:
        models.build(name, shape, 10)
    assert str(told.value) == (f"model '{name}': expected images (height, width, channels), got samples of shape "
                               f"{shape}")


LEAST = {"conv-small": 4, "alexnet-small": 8, "vgg": 16}


@EVERY
def test_the_smallest_image_passes_and_a_smaller_one_gets_a_sentence(name):
    least = LEAST.get(name, 1)
    for shape in ((least, least, 2), (least, least + 3, 2), (least + 3, least, 2)):
        net = models.build(small(name), shape, 3)
        _, shapes = network.init(net, np.random.default_rng(0), shape)
        assert all(side >= 1 for out in shapes for side in out)
    for shape in ((least - 1, least, 2), (least, least - 1, 2)) if least > 1 else ():
        with pytest.raises(InputError) as told:
            models.build(name, shape, 3)
        assert str(told.value) == (f"model '{name}': expected images of at least {least} x {least}, "
                                   f"got {shape[0]} x {shape[1]}")


def test_a_name_that_is_none_gets_the_nearest():
    with pytest.raises(InputError, match="unknown model 'conv-3': did you mean 'conv3'"):
        models.build("conv-3:0.25", CIFAR, 10)
    with pytest.raises(InputError, match="unknown activation 'rlu': did you mean 'relu'"):
        models.build("conv3:0.25", CIFAR, 10, "rlu")


@pytest.mark.parametrize("how, sentence", [
    ({"spec": "mlp-bn:8,0"}, "model 'mlp-bn:8,0': expected hidden layer sizes such as mlp-bn:128,128, got '8,0'"),
    ({"spec": "mlp"}, "model 'mlp': expected hidden layer sizes such as mlp:128,128, got ''"),
    ({"spec": "mlp:8,,8"}, "model 'mlp:8,,8': expected hidden layer sizes such as mlp:128,128, got '8,,8'"),
    ({"spec": "mlp:\u0663"}, "model 'mlp:\u0663': expected hidden layer sizes such as mlp:128,128, got '\u0663'"),
    ({"spec": 8}, "model is 8, expected a name"),
    ({"activation": None}, "activation is None, expected a name"),
    ({"loss": "mse"}, "unknown loss 'mse' (known: squared, cross_entropy, binary_cross_entropy)"),
    ({"loss": "square"},
     "unknown loss 'square': did you mean 'squared'? (known: squared, cross_entropy, binary_cross_entropy)"),
    ({"loss": ["squared"]},
     "unknown loss ['squared'], which is no name (known: squared, cross_entropy, binary_cross_entropy)"),
    *(({"classes": classes}, f"classes must be an integer, got {classes!r}") for classes in ("10", 10.0, True, None)),
    *(({"classes": classes}, f"classes must be at least 1, got {classes}") for classes in (0, -1)),
    *(({"activation": pair}, "a fully connected network of 1 hidden layer(s) has no two halves: expected one "
                             f"activation, got '{pair}'") for pair in ("relu,gelu", "relu,relu")),
    *(({"shape": shape}, f"shape is {shape!r}, expected that of one sample, such as (784,) or (28, 28, 1)")
      for shape in ((), (0,), (8, 8, 0), (64.0,), ("64",), (True,), 64, None, "64", {64})),
])
def test_what_cannot_be_built_gets_a_sentence(how, sentence):
    with pytest.raises(InputError) as told:
        models.build(**{"spec": "mlp:8", "shape": (64,), "classes": 10} | how)
    assert str(told.value) == sentence


@pytest.mark.parametrize("how, sentence", [
    ({"shape": 5}, "shape is 5, expected"), ({"shape": ()}, "shape is (), expected"), ({"shape": "5"}, "shape is '5'"),
    ({"sizes": 4}, "sizes is 4, expected"), ({"sizes": "44"}, "sizes is '44', expected"),
    ({"sizes": (0,)}, "units of Dense must be at least 1, got 0"),
    ({"sizes": (2.5,)}, "units of Dense must be an integer, got 2.5"),
    ({"classes": 0}, "units of Dense must be at least 1, got 0"),
    ({"activation": None}, "activation is None, expected a name"),
    ({"activation": "rlu"}, "unknown activation 'rlu'"), ({"loss": 3}, "unknown loss 3, which is no name"),
])
def test_what_makes_no_fully_connected_network(how, sentence):
    with pytest.raises(InputError) as told:
        models.mlp(**{"shape": (5,), "classes": 3, "sizes": (4, 4)} | how)
    assert str(told.value).startswith(sentence)


@pytest.mark.parametrize("name", ["mlp", "mlp-bn", *IMAGE_MODELS])
def test_no_network_leaves_out_one_of_two_activations(name):
    """Either it is refused, or both names stand in the network."""
    for argument in ("8", "8,8") if name.startswith("mlp") else ("0.05",):
        try:
            net = models.build(f"{name}:{argument}", (32, 32, 3), 4, "tanh,gelu")
        except InputError as error:
            assert "expected one activation, got 'tanh,gelu'" in str(error)
        else:
            assert {"tanh", "gelu"} <= {leaf.name for block in net for leaf in getattr(block, "layers", ())
                                        if isinstance(leaf, Activation)}


@pytest.mark.parametrize("spec, built, came", [
    ("mlp:6", (4,), (5,)), ("mlp-bn:6,5", (4,), (5,)), ("mlp:6", (8, 8, 1), (5, 7, 2)), ("mlp:6", (8, 8, 1), (5,)),
    ("conv-small:0.2", (8, 8, 1), (12, 10, 3)), ("resnet20:0.1", (32, 32, 3), (16, 16, 1))])
def test_a_network_has_no_input_shape(spec, built, came):
    """The model of another shape is trained as one that was built for these samples would be: it is as wide as they."""
    net, twin = (models.build(spec, shape, 3) for shape in (built, came))
    ours, theirs = (network.init(each, np.random.default_rng(0), came) for each in (net, twin))
    assert ours[1] == theirs[1] and len(ours[1]) == len(net) + 1
    for (_, u), (_, v) in zip(leaves(ours[0]), leaves(theirs[0]), strict=True):
        np.testing.assert_array_equal(u, v)


@pytest.mark.parametrize("spec, built, came", [
    ("mlp:6", (4,), (4, 4, 1)), ("conv-small:0.2", (8, 8, 1), (64,)), ("vgg:0.01", (32, 32, 3), (8, 8, 3)),
    ("resnet20:0.1", (8, 8, 1), (64,)), ("alexnet-small:0.02", (32, 32, 3), (3072,))])
def test_samples_that_a_model_cannot_take_are_refused_whatever_it_was_built_for(spec, built, came):
    with pytest.raises(InputError, match="got (samples of shape|images of)"):
        network.init(models.build(spec, built, 3), np.random.default_rng(0), came)


def test_a_network_has_no_unknown_loss():
    with pytest.raises(InputError, match="unknown loss 'mse'"):
        network.Network((Dense(3),), "mse")


def test_integers_of_numpy_are_integers():
    net = models.build("mlp:4", tuple(np.array([3, 2])), np.int64(5))
    assert net == models.build("mlp:4", [3, 2], 5) == models.build("mlp:4", (3, 2), 5)
    assert [type(one.units) for block in net for one in flat(block) if isinstance(one, Dense)] == [int, int]


# only weights, counted by hand: biases and the numbers of batch-norm, which start at 0 and 1, are left out
@pytest.mark.parametrize("spec, shape, numbers", [
    ("mlp:7,5", (4, 1), 4 * 7 + 7 * 5 + 5 * 3),
    ("mlp-bn:7,5", (4,), 4 * 7 + 7 * 5 + 5 * 3),
    ("conv-small", (8, 8, 1), 9 * 16 + 9 * 16 * 32 + 2 * 2 * 32 * 64 + 64 * 3),
    ("resnet20:0.0625", (4, 4, 1), 9 + 6 * 9 + (9 * 2 + 5 * 9 * 4 + 2) + (9 * 8 + 5 * 9 * 16 + 8) + 4 * 3),
])
def test_as_many_weights_as_fit_into_memory_and_no_more(spec, shape, numbers, monkeypatch):
    monkeypatch.setattr(room, "memory", lambda: models.BYTES * numbers)
    params, _ = network.init(models.build(spec, shape, 3), np.random.default_rng(0), shape)
    assert sum(array.size for path, array in leaves(params) if path.endswith("W")) == numbers
    monkeypatch.setattr(room, "memory", lambda: models.BYTES * numbers - 1)
    with pytest.raises(InputError) as told:
        models.build(spec, shape, 3)
    assert str(told.value) == (f"model '{spec}' has {numbers:,} parameters or more, expected at most {numbers - 1:,}, "
                               "as many as fit into memory")


@pytest.mark.parametrize("spec, numbers", [
    ("mlp:999999999999", "63,999,999,999,936"),
    ("mlp:8,8,999999999999999999", "8,000,000,000,000,000,568"),
    ("mlp-bn:999999999999", "63,999,999,999,936"),
    ("mlp:" + "9" * 18 + ",1" * 1000, "63,999,999,999,999,999,936"),
])
def test_nothing_is_allocated_for_a_network_that_does_not_fit(spec, numbers):
    with pytest.raises(InputError) as told:
        models.build(spec, (64,), 10)
    assert f"has {numbers} parameters or more, expected at most " in str(told.value)


@pytest.mark.parametrize("spec", ["mlp:8\n", "mlp:\n\n8", "mlp-bn:8,x\n", "mlp:" + "8," * 5000])
def test_a_wrong_size_is_told_in_one_short_line(spec):
    with pytest.raises(InputError, match="expected hidden layer sizes such as ") as told:
        models.build(spec, (64,), 10)
    assert "\n" not in str(told.value) and len(str(told.value)) < 200


def test_a_size_may_be_long_beyond_any_conversion():
    with pytest.raises(InputError) as told:
        models.build(f"mlp:8,{'9' * 5000}", (64,), 10)
    assert str(told.value).endswith("...: got a hidden layer size of 5000 digits, expected at most 18")


def test_memory_is_guessed_if_the_system_does_not_say(monkeypatch):
    assert room.memory() > 2**27
    monkeypatch.delattr(room.os, "sysconf")
    assert room.memory() == 2**33


def test_the_list_has_one_line_for_each():
    assert list(MODELS) == ["mlp", "mlp-bn", *IMAGE_MODELS, *folded.MODELS]
    assert set(BY_HAND) == set(IMAGE_MODELS) == set(PUBLISHED)
    for model in MODELS.values():
        assert "\n" not in model.summary and len(model.summary) < 100 and model.summary[-1] != "."


def test_the_loss_goes_into_the_network():
    assert models.build("conv-small", (8, 8, 1), 3, loss="squared").loss == "squared"


# ---------------------------------------------------------------- they learn


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["bp", "dfa", "las"])
@EVERY
def test_every_weight_moves_in_a_step_and_stays_finite(name, rule):
    shape, rng = (16, 16, 3), np.random.default_rng(2)
    net, the_rule = models.build(small(name), shape, 5, "elu"), rules.get(rule)
    params, shapes = network.init(net, rng, shape)
    state = tree_map(lambda array: array.astype("float32"), the_rule.init(rng, net, params, shapes))
    before = tree_map(np.copy, params)
    x = rng.standard_normal((6, *shape), dtype=np.float32)
    y = np.eye(5, dtype=np.float32)[rng.integers(5, size=6)]
    tape = learn.step(net, the_rule, params, state, bind("sgd", params, 0.01), bind("sgd", state, 0.01), x, y, rng)
    assert np.isfinite(net.value(tape.output, y)) and np.isfinite(network.predict(net, params, x)).all()
    for path, array in leaves([params, state]):
        assert np.isfinite(array).all() and array.dtype == np.float32, path
    for (path, now), (_, then) in zip(leaves(params), leaves(before), strict=True):
        assert not path.endswith("W") or (now != then).any(), path


def test_conv_small_learns_digits_in_seconds():
    digits = data.load("digits")
    net = models.build("conv-small", digits.shape, digits.classes)
    run = learn.fit(net, rules.get("bp"), digits, learn.Settings(epochs=6), seed=0)
    assert run.history[-1]["validation_accuracy"] > 0.85


def test_pooling_comes_after_an_activation_that_is_not_monotone():
    for name, f in ACTIVATIONS.items():
        kinds = [type(one) for one in conv_block(4, 3, name, pool=MaxPool(2)).layers]
        assert kinds == ([Conv, MaxPool, Activation] if f.monotone else [Conv, Activation, MaxPool])
        # with average pooling the order matters
        assert [type(one) for one in conv_block(4, 3, name, pool=AvgPool(2)).layers] == [Conv, Activation, AvgPool]


@pytest.mark.parametrize("activation", [name for name, f in ACTIVATIONS.items() if f.monotone])
def test_pooling_before_the_activation_is_pooling_after_it(activation):
    rng, pool = np.random.default_rng(0), MaxPool(3, 2, 1)
    orders = [Sequential((Conv(3, 3, 1, 1), *pair)) for pair in
              ((pool, Activation(activation)), (Activation(activation), pool))]
    params = [orders[0].init(rng, (7, 7, 2))[0][0], None, None]
    x = rng.standard_normal((5, 7, 7, 2))
    (h, cache), (h_after, cache_after) = (order.forward(params, x) for order in orders)
    delta = rng.standard_normal(h.shape)
    (down, grads), (down_after, grads_after) = (
        order.backward(params, kept, delta) for order, kept in zip(orders, (cache, cache_after)))
    for ours, theirs in ((h, h_after), (down, down_after), (grads[0]["W"], grads_after[0]["W"])):
        assert_close(ours, theirs)
