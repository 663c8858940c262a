"""The layers: shapes as promised, exact adjoints, nothing computed that nobody wants."""
from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given
from networks import inner, like, slope
from strategies import seeds
from tolerance import assert_close, size

from nobackprop import layers, network
from nobackprop.backend import to_module, to_numpy
from nobackprop.errors import InputError
from nobackprop.heads import ConvHead, DenseHead, MaxConvHead, PoolHead
from nobackprop.kernels import linear
from nobackprop.kernels.activation import ACTIVATIONS
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
    Shape,
    UnitLength,
    head_beside,
)
from nobackprop.leaf_names import LOCAL, RUNNING, TRANSPORTED, leaf_name
from nobackprop.metrics import Listener
from nobackprop.rules.alignment_support import Sends
from nobackprop.rules.dual_propagation import Dyad
from nobackprop.rules.forward_forward import Labelled, Noted
from nobackprop.studies.locality import Unanswered, Upward
from nobackprop.studies.memory import buffers
from nobackprop.studies.pipeline import SilentTop
from nobackprop.tape import NOTHING, materialise
from nobackprop.tree import leaves, same_structure, tree_map

pair = Sequential((Dense(4), Activation("tanh")))
LAYERS: dict[str, tuple[Layer, Shape]] = {
    "dense": (Dense(4), (5,)),
    **{name: (Activation(name), (2, 3)) for name in ACTIVATIONS},
    "flatten": (Flatten(), (2, 3, 2)),
    "flatten of vectors": (Flatten(), (5,)),
    "pair": (pair, (5,)),
    "deep": (Sequential((Flatten(), Dense(6), Activation("sigmoid"), Dense(3), Activation("relu"))), (2, 3)),
    "nested": (Sequential((Sequential((Flatten(),)), pair, Sequential((pair, Dense(2))))), (2, 2)),
    "empty": (Sequential(()), (3,)),
    "conv": (Conv(4, 3, 2, 1), (5, 6, 2)),
    "conv without bias": (Conv(3, 2, bias=False), (3, 3, 2)),
    "batchnorm": (BatchNorm(), (3, 2, 4)),
    "batchnorm of vectors": (BatchNorm(), (4,)),
    "layernorm": (LayerNorm(), (3, 2, 4)),
    "layernorm of vectors": (LayerNorm(eps=0.1), (4,)),
    "unit length": (UnitLength(), (3, 2, 4)),
    "unit length of vectors": (UnitLength(eps=0.1), (4,)),
    "dropout": (Dropout(0.3), (3, 2, 4)),
    "dropout of nothing": (Dropout(0.0), (4,)),
    "dropout inside": (Residual(Sequential((Dense(4), Dropout(0.25), Activation("gelu"), Dense(5))), Dropout(0.5)),
                       (5,)),
    "maxpool": (MaxPool(3, 2, 1), (5, 6, 2)),
    "avgpool": (AvgPool(3, 2, 1), (5, 6, 2)),
    "globalpool": (GlobalPool(), (3, 4, 2)),
    "residual": (Residual(Sequential((Conv(2, 3, 1, 1), Activation("tanh"), Conv(2, 3, 1, 1)))), (4, 4, 2)),
    "projected": (Residual(
        Sequential((Conv(3, 3, 2, 1, bias=False), BatchNorm(), Activation("tanh"), Conv(3, 3, 1, 1))),
        Sequential((Conv(3, 1, 2, bias=False), BatchNorm()))), (4, 5, 2)),
}
WITH_WEIGHTS = ("dense", "pair", "deep", "nested", "conv", "conv without bias", "residual", "projected",
                "dropout inside")
RESIDUAL = ("residual", "projected", "dropout inside")
EVERY = pytest.mark.parametrize("name", LAYERS)


def case(name: str, seed: int = 0, samples: int = 7):
    """A layer, parameters away from where they start, an input and a signal at the output."""
    (layer, shape), rng = LAYERS[name], np.random.default_rng(seed)
    params, out = layer.init(rng, shape)
    # variances must be positive
    params = _positive(like(params, rng))
    return layer, params, rng.standard_normal((samples, *shape)), rng.standard_normal((samples, *out))


def forward(layer: Layer, params, x, train: bool = True):
    """What the layer makes of x, its draws being the same each time."""
    return layer.forward(params, x, train, np.random.default_rng(8))


def _positive(params):
    if isinstance(params, dict):
        return {key: abs(p) + 0.1 if key == "var" else _positive(p) for key, p in params.items()}
    return [_positive(p) for p in params] if isinstance(params, list) else params


def learns(tree):
    """The tree without running statistics, which have no gradients."""
    if isinstance(tree, dict):
        return {key: learns(below) for key, below in tree.items() if key not in RUNNING}
    return [learns(below) for below in tree] if isinstance(tree, list) else tree


def test_every_layer_is_tested():
    of_module = {f for _, f in inspect.getmembers(layers, inspect.isclass)
                 if f.__module__ == layers.__name__ and f is not layers.Layer}
    assert of_module == {type(layer) for layer, _ in LAYERS.values()}


def subclasses(kind: type) -> set[type]:
    """All classes of the package that descend from one."""
    children: list[type] = kind.__subclasses__()
    below = {one for child in children for one in {child, *subclasses(child)}}
    return {one for one in below if one.__module__.startswith("nobackprop.")}


OTHERS: dict[str, tuple[Layer, Shape]] = {
    "listener": (Listener(Sequential((Dense(4), LayerNorm(), Activation("gelu")))), (5,)),
    "silent top": (SilentTop(3), (5,)),
    "dyad": (Dyad(Activation("tanh"), 1.0), (5,)),
    "noted": (Noted("tanh"), (5,)),
}
BOUND = {Labelled, Upward, Unanswered, Sends}  # made for one batch or one tree of parameters


def grown(layer: Layer, shape: Shape, forget: bool) -> int:
    """By how many bytes what is kept of the cache grows if the batch doubles."""
    params, _ = layer.init(np.random.default_rng(0), shape)
    held = []
    for samples in (16, 32):
        x = np.random.default_rng(1).standard_normal((samples, *shape))
        _, cache = forward(layer, params, x)
        if forget:
            cache, _ = layer.keep(cache, NOTHING)
        held.append(sum({id(buffer): buffer.nbytes for buffer in buffers(cache)}.values()))
    return held[1] - held[0]


@pytest.mark.parametrize("name", [*LAYERS, *OTHERS])
def test_a_layer_says_of_every_array_in_its_cache_what_it_is(name):
    """Told to keep nothing, it keeps nothing that grows with the batch.  Else activation sharing would save nothing."""
    layer, shape = (LAYERS | OTHERS)[name]
    assert grown(layer, shape, forget=True) == 0
    if isinstance(layer, Dense | Conv | Activation | BatchNorm | LayerNorm | UnitLength | MaxPool) or name == "dropout":
        assert grown(layer, shape, forget=False) > 0


def test_every_layer_of_the_package_is_asked():
    assert subclasses(Layer) - BOUND == {type(layer) for layer, _ in (LAYERS | OTHERS).values()}


def test_an_activation_with_a_label_keeps_what_the_activation_does():
    layer = Labelled(Activation("tanh"), np.ones((3, 5)), np.eye(3)[[0, 2]])
    _, cache = layer.forward(None, np.ones((2, 5)))
    assert list(buffers(cache)) and not list(buffers(layer.keep(cache, NOTHING)[0]))


def test_a_layer_that_does_not_say_it_is_found():
    class Forgetful(Activation):
        def keep(self, cache, what, index=0):
            return cache, index

    assert grown(Forgetful("tanh"), (5,), forget=True) > 0


@EVERY
def test_the_name_of_every_parameter_has_a_meaning(name):
    layer, shape = LAYERS[name]
    params, _ = layer.init(np.random.default_rng(0), shape)
    assert {leaf_name(path) for path, _ in leaves(params)} <= TRANSPORTED | LOCAL | RUNNING


@EVERY
def test_init_promises_the_shape_that_forward_gives(xp, name):
    layer, params, x, delta = case(name)
    params, x, delta = (to_module(tree, xp) for tree in (params, x, delta))
    for train in (False, True):
        h, cache = forward(layer, params, x, train)
        assert h.shape == delta.shape
    down, grads = layer.backward(params, cache, delta)
    assert down.shape == x.shape
    same_structure(learns(params), grads)
    tree_map(lambda p, g: np.testing.assert_equal(g.shape, p.shape), learns(params), grads)


@EVERY
def test_the_shape_is_known_without_parameters(name):
    layer, _, _, delta = case(name)
    assert layer.out_shape(LAYERS[name][1]) == delta.shape[1:]


norm = BatchNorm()


@pytest.mark.parametrize("least, blocks, shape", [
    (1, (Dense(4), Activation("tanh")), (5,)), (1, (), (5,)),
    (1, (norm,), (2, 1, 4)), (1, (norm,), (1, 2, 4)), (2, (norm,), (1, 1, 4)), (2, (norm,), (4,)),
    (2, (Flatten(), norm), (2, 3, 2)), (2, (GlobalPool(), norm), (2, 3, 2)),
    (2, (MaxPool(2), norm), (2, 3, 2)), (1, (MaxPool(2), norm), (4, 3, 2)),
    (1, (norm, Flatten(), Dense(3)), (2, 3, 2)),
    (2, (norm, Sequential((Flatten(), Dense(3), norm, Dense(2)))), (2, 3, 2)),
    (2, (Conv(3, 3), Sequential((norm,)), Conv(3, 1)), (3, 3, 1)), (1, (Conv(3, 3, pad=1), norm), (3, 3, 1)),
    (2, (Residual(Sequential((Conv(2, 3), norm)), Conv(2, 3)), Flatten()), (3, 3, 1)),
    (2, (Residual(Conv(2, 3), Sequential((Conv(2, 3), norm))), Flatten()), (3, 3, 1)),
    (1, (Residual(Sequential((norm, Conv(2, 3, pad=1)))),), (3, 3, 2)),
])
def test_the_least_batch_is_two_if_a_batchnorm_sees_one_value_a_channel(least, blocks, shape):
    net = network.Network(blocks)
    assert network.least_batch(net, shape) == least
    # as its forward pass finds
    params, _ = network.init(net, np.random.default_rng(0), shape)
    counts: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchNorm, "remember", lambda self, params, cache: counts.append(cache[3]))
        network.remember(net, params, network.forward(net, params, np.zeros((least, *shape), "float32")))
    assert min(counts, default=2) > 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@EVERY
def test_dtypes_are_kept_and_inputs_untouched(name, dtype):
    layer, params, x, delta = case(name)
    params, x, delta = (tree_map(lambda array: array.astype(dtype), tree) for tree in (params, x, delta))
    for _, array in leaves([params, x, delta]):
        array.setflags(write=False)
    h, cache = forward(layer, params, x)
    down, grads = layer.backward(params, cache, delta)
    assert {array.dtype for _, array in leaves([h, down, grads])} == {np.dtype(dtype)}


def _still(tree):
    """A direction that leaves running statistics where they are."""
    if isinstance(tree, dict):
        return {key: 0 * below if key in RUNNING else _still(below) for key, below in tree.items()}
    return [_still(below) for below in tree] if isinstance(tree, list) else tree


@pytest.mark.parametrize("train", [True, False])
@EVERY
@given(seed=seeds)
def test_backward_is_the_exact_adjoint(name, train, seed):
    """Of what was computed: where running statistics were used, these are constants."""
    layer, params, x, delta = case(name, seed)
    direction = _still(like([params, x], np.random.default_rng([seed, 1])))
    expected = slope(lambda at: (delta * forward(layer, at[0], at[1], train)[0]).sum(), [params, x], direction)
    down, grads = layer.backward(params, forward(layer, params, x, train)[1], delta)
    along = [learns(direction[0]), direction[1]]
    terms = inner([tree_map(np.abs, grads), np.abs(down)], tree_map(np.abs, along))
    assert abs(inner([grads, down], along) - expected) <= 1e-12 * (1 + terms)


@EVERY
def test_a_batch_without_samples_goes_up_and_down(xp, name):
    layer, params, x, delta = case(name)
    params, x, delta = (to_module(tree, xp) for tree in (params, x, delta))
    h, cache = forward(layer, params, x[:0], False)
    assert h.shape == (0, *delta.shape[1:])
    down, grads = layer.backward(params, cache, delta[:0])
    assert down.shape == (0, *x.shape[1:])
    same_structure(learns(params), grads)
    assert not any(to_numpy(g).any() for _, g in leaves(grads))


@pytest.mark.parametrize("of_params, of_x", [
    ("float64", "float32"), ("float32", "float64"), ("float64", "uint8"), ("float32", "uint8"),
    ("complex128", "float64"), ("float64", "complex128"),
])
@pytest.mark.parametrize("name", [*WITH_WEIGHTS, "batchnorm", "batchnorm of vectors"])
def test_parameters_and_samples_meet_in_the_dtype_that_holds_both(name, of_params, of_x):
    """And compute in it: none of the digits that it holds are lost on the way."""
    layer, params, x, delta = case(name)
    # numbers that every dtype here holds
    params, x, delta = tree_map(lambda p: np.rint(4 * p) + 5, params), np.rint(9 * abs(x)), np.rint(9 * delta)
    at, x_at, dtype = tree_map(lambda p: p.astype(of_params), params), x.astype(of_x), np.result_type(of_params, of_x)
    for train in (True, False):
        wide, cache = forward(layer, params, x, train)
        h, narrow = forward(layer, at, x_at, train)
        came = [h, *layer.backward(at, narrow, delta.astype(dtype))]
        assert {array.dtype for _, array in leaves(came)} == {dtype}
        expected = [wide, *layer.backward(params, cache, delta)]
        assert_close(came, expected, of=size(expected))


def test_dense_is_an_affine_map(xp):
    layer, params, x, delta = case("dense")
    h, cache = forward(layer, to_module(params, xp), xp.asarray(x))
    assert_close(to_numpy(h), x @ params["W"].T + params["b"])
    assert to_numpy(cache).tobytes() == x.tobytes()
    _, grads = layer.backward(to_module(params, xp), cache, xp.asarray(delta))
    assert_close(to_numpy(grads["b"]), delta.sum(0), of=delta)
    assert_close(to_numpy(grads["W"]), np.einsum("nf,nk->fk", delta, x))


# Unit length

@pytest.mark.parametrize("shape", [(5,), (3, 2, 4)])
def test_every_sample_gets_the_mean_square_1_whatever_its_length(xp, shape):
    x = np.random.default_rng(0).standard_normal((7, *shape))
    longer = x * np.logspace(-3, 3, 7).reshape(7, *[1] * len(shape))
    found, again = (to_numpy(UnitLength(eps=0).forward(None, xp.asarray(h))[0]) for h in (x, longer))
    assert_close((found**2).reshape(7, -1).mean(1), np.ones(7))
    assert_close(again, found)


def test_a_silent_sample_stays_silent():
    h, cache = UnitLength().forward(None, np.zeros((2, 3)))
    assert not h.any() and np.isfinite(UnitLength().backward(None, cache, np.ones((2, 3)))[0]).all()


# Dropout


@EVERY
def test_only_a_layer_that_says_so_draws(name):
    layer, params, x, _ = case(name)
    before, rng = np.random.default_rng(0).bit_generator.state, np.random.default_rng(0)
    layer.forward(params, x, False, rng)
    assert rng.bit_generator.state == before
    layer.forward(params, x, True, rng)
    assert (rng.bit_generator.state != before) == layer.draws() == (name in ("dropout", "dropout inside"))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_silences_as_many_as_it_says_and_keeps_the_mean(xp, p):
    x = np.random.default_rng(1).standard_normal((200, 50)) + 3
    h, cache = Dropout(p).forward(None, xp.asarray(x), True, np.random.default_rng(0))
    h, mask = to_numpy(h), to_numpy(materialise(cache))
    np.testing.assert_array_equal(h, x * mask / (1 - p))
    assert abs(mask.mean() - (1 - p)) < 5 * np.sqrt(p * (1 - p) / x.size)
    assert mask.dtype == bool and cache.bits.nbytes == x.size // 8


def test_dropout_in_prediction_hands_on_its_input():
    x = np.ones((2, 3))
    h, cache = Dropout(0.5).forward(None, x, False)
    assert h is x and Dropout(0.5).backward(None, cache, x)[0] is x


def test_two_types_have_the_same_silent_units():
    x = np.random.default_rng(1).standard_normal((20, 30))
    wide, narrow = (forward(Dropout(0.5), None, x.astype(dtype))[0] for dtype in ("float64", "float32"))
    np.testing.assert_array_equal(wide == 0, narrow == 0)


def test_dropout_without_a_generator_is_one_sentence():
    for layer in (Dropout(0.5), Sequential((Dropout(0.5),)), Residual(Dropout(0.5))):
        params, _ = layer.init(np.random.default_rng(0), (3,))
        with pytest.raises(InputError) as told:
            layer.forward(params, np.ones((2, 3)))
        assert str(told.value) == ("Dropout(p=0.5) needs a generator in a training pass: forward(..., "
                                   "rng=np.random.default_rng(0))")


class Watching(Layer):
    """A layer of one's own with something to remember."""

    def forward(self, params, h, train=True, rng=None):
        return h, h

    def remember(self, params, cache):
        params["mean"] += cache.sum()


@pytest.mark.parametrize("block, params", [
    (Watching(), lambda seen: seen),
    (Sequential((Activation("relu"), Watching())), lambda seen: [None, seen]),
    (Residual(Watching()), lambda seen: {"body": seen, "shortcut": None}),
    (Residual(Activation("relu"), Sequential((Watching(),))), lambda seen: {"body": None, "shortcut": [seen]})])
def test_only_blocks_that_remember_are_asked_to(block, params):
    net, seen = network.Network((Activation("relu"), block, Activation("tanh"))), {"mean": np.zeros(())}
    tree = [None, params(seen), None]
    assert net.remembers == (1,)
    network.remember(net, tree, network.forward(net, tree, np.ones((3, 2))))
    assert seen["mean"] == 6


# What is fed back


def test_the_error_goes_down_through_the_feedback_and_nothing_else_of_it_is_read():
    layer, params, x, delta = case("dense")
    B = np.random.default_rng(9).standard_normal(params["W"].shape)
    cache = forward(layer, params, x)[1]
    down, grads = layer.backward({"W": B, "b": np.full(4, np.nan)}, cache, delta)
    np.testing.assert_array_equal(down, linear.feedback(B, delta))
    _, exact = layer.backward(params, cache, delta)
    tree_map(np.testing.assert_array_equal, grads, exact)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_backward_reads_the_feedback_in_the_place_of_the_parameters(name):
    layer, params, x, delta = case(name)
    cache, feedback = forward(layer, params, x)[1], tree_map(np.copy, params)
    expected = layer.backward(feedback, cache, delta)
    tree_map(lambda w: w.fill(np.nan), params)
    came = layer.backward(feedback, cache, delta)
    tree_map(np.testing.assert_array_equal, list(came), list(expected))
    assert np.isfinite(came[0]).all()


@pytest.mark.parametrize("name", [name for name in WITH_WEIGHTS if name not in RESIDUAL])
def test_the_lowest_feedback_weights_serve_only_what_goes_below(name):
    layer, params, x, delta = case(name)
    cache = forward(layer, params, x)[1]
    _, exact = layer.backward(params, cache, delta)
    poisoned = tree_map(np.copy, params)
    lowest = poisoned
    while isinstance(lowest, list):
        lowest = next(below for below in lowest if below is not None and below != [None])
    lowest["W"].fill(np.nan)
    down, grads = layer.backward(poisoned, cache, delta)
    tree_map(np.testing.assert_array_equal, grads, exact)
    assert np.isnan(down).all()


@pytest.mark.parametrize("name, products", [
    ("dense", 1), ("pair", 1), ("deep", 2), ("nested", 3), ("flatten", 0), ("empty", 0),
])
def test_a_product_that_nobody_wants_is_spared(monkeypatch, name, products):
    layer, params, x, delta = case(name)
    cache = forward(layer, params, x)[1]
    calls, feedback = [], linear.feedback

    def counted(B, delta):
        calls.append(B.shape)
        return feedback(B, delta)
    monkeypatch.setattr(linear, "feedback", counted)
    _, expected = layer.backward(params, cache, delta)
    assert len(calls) == products
    calls.clear()
    _, grads = layer.backward(params, cache, delta, want_down=False)
    assert len(calls) == max(products - 1, 0)
    assert [path for path, _ in leaves(grads)] == [path for path, _ in leaves(expected)]
    for (_, came), (_, wanted) in zip(leaves(grads), leaves(expected), strict=True):
        np.testing.assert_array_equal(came, wanted)
    if products:
        assert layer.backward(params, cache, delta, want_down=False)[0] is None


# Heads


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_head_stands_beside_whatever_has_weights(xp, name):
    layer, _, _, delta = case(name)
    head, rng = head_beside(layer), np.random.default_rng(1)
    B = head.init(rng, delta.shape[1:], 3, lambda rng, shape: rng.integers(-4, 5, shape).astype(float))
    h, e = (rng.integers(-4, 5, shape).astype(float) for shape in (delta.shape, (len(delta), 3)))
    B, h, e = map(xp.asarray, (B, h, e))
    said, sent, grad = head.forward(B, h), head.send(B, e, h.shape), head.grad(B, h, e)
    assert (said.shape, sent.shape, grad.shape) == (e.shape, h.shape, B.shape)
    assert float((e * said).sum()) == float((sent * h).sum()) == float((grad * B).sum())


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in WITH_WEIGHTS])
def test_no_head_stands_beside_what_has_none(name):
    with pytest.raises(ValueError, match="has no layer with weights, expected one"):
        head_beside(LAYERS[name][0])


@pytest.mark.parametrize("head", [DenseHead(), ConvHead(2), MaxConvHead(2, 1, 1), PoolHead(), PoolHead(1, 8)], ids=repr)
def test_a_head_serves_a_batch_of_no_samples(xp, head):
    shape = (4, 4, 3)
    B = xp.asarray(head.init(np.random.default_rng(0), shape, 5, lambda rng, shape: rng.standard_normal(shape)))
    h, e = xp.zeros((0, *shape)), xp.zeros((0, 5))
    assert head.forward(B, h).shape == (0, 5) and head.send(B, e, h.shape).shape == h.shape
    assert head.grad(B, h, e).shape == B.shape and not to_numpy(head.grad(B, h, e)).any()


@pytest.mark.parametrize("kind, given, name", [
    *((kind, (value,), "kernel") for kind in (ConvHead, MaxConvHead) for value in (0, -1, 2.0, "2", None, True)),
    *((ConvHead, (2, value), "stride") for value in (0, -1, 2.0, "2", None, True)),
    *((ConvHead, (2, 1, value), "pad") for value in (-1, 2.0, "2", None, True)),
    *((ConvHead, (2, 1, 0, value), "average") for value in (1, None, "no")),
    *((PoolHead, (value,), "window") for value in (0, -1, 2.0, "2", None, True)),
    *((PoolHead, (2, value), "most") for value in (0, -1, 2.0, "2", True)),
], ids=repr)
def test_a_head_of_no_use_cannot_be_made(kind, given, name):
    with pytest.raises(InputError, match=f"^{name}( of {kind.__name__})? must be "):
        kind(*given)


@pytest.mark.parametrize("put_inside", [
    lambda layer: Sequential((layer,)), Residual, lambda layer: Residual(Dense(3), layer),
    lambda layer: Residual(Sequential((layer, Activation("relu"))))])
def test_layers_stand_at_most_fifty_deep(put_inside):
    """Every walk calls itself for what is inside; Python would end it, with words of its own, at some depth."""
    layer = Dense(3)
    with pytest.raises(InputError, match="^layers stand more than 50 deep inside of one another, expected at most 50$"):
        for _ in range(51):
            deepest, layer = layer, put_inside(layer)
    params, shape = deepest.init(np.random.default_rng(0), (3,))
    h, cache = deepest.forward(params, np.ones((2, 3)))
    assert shape == (3,) and deepest.backward(params, cache, h, True)[0].shape == (2, 3) and repr(deepest)
