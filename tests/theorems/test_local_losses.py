"""Local learning as in the comparison of Woo 2023, section 5.2.2: what each block descends, and hears nothing else.

Mostafa, Ramesh, Cauwenberghs 2018 (mostafa); Nokland and Eidnes 2019 (pred, sim, predsim); phsic is here where all are
alike and has its own page, test_hsic.py.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, inner, like, slope, terms
from strategies import integers
from tolerance import assert_close

from nobackprop import learn, network, rules
from nobackprop.backend import to_numpy
from nobackprop.errors import InputError
from nobackprop.feedback import gaussian
from nobackprop.heads import PoolHead
from nobackprop.kernels.activation import softmax
from nobackprop.kernels.similarity import d_deviation, d_similarity, deviation, similarity
from nobackprop.layers import Activation, AvgPool, Dense, Flatten, Sequential
from nobackprop.models.conv_small import conv_small
from nobackprop.models.resnet import resnet
from nobackprop.network import Network
from nobackprop.optim import SGD
from nobackprop.rules import LTAS, RULES, LocalPrediction, LocalSimilarity, PredSim
from nobackprop.rules.local_loss import features
from nobackprop.tree import leaves, tree_map

seeds = st.integers(0, 2**32 - 1)
NAMES = ("mostafa", "pred", "sim", "predsim", "phsic", "phsic:kernel=cosine:gamma=1.5")
every_rule = pytest.mark.parametrize("name", NAMES)
SHAPES = ((6,), (1,), (4, 4, 5), (5, 3, 2), (1, 1, 4), (3, 6, 4))
NET = Network((), "cross_entropy")


def drawn(name: str, shape: tuple[int, ...], seed: int, samples: int = 7, classes: int = 3):
    """(rule, its module b on a block, the block's output h, y*, the generator)."""
    rule: Any = rules.get(name)
    rng = np.random.default_rng(seed)
    h, y = rng.standard_normal((samples, *shape)), np.eye(classes)[rng.integers(classes, size=samples)]
    return rule, rule.module(rng, shape, classes), h, y, rng


# Each block descends what `value` says

@every_rule
@given(seed=seeds, shape=st.sampled_from(SHAPES), loss=st.sampled_from(["cross_entropy", "squared"]))
def test_what_a_block_hears_is_the_derivative_of_its_own_loss(name, seed, shape, loss):
    (rule, b, h, y, rng), net = drawn(name, shape, seed), Network((), loss)
    v, sent = rng.standard_normal(h.shape), rule.sent(net, b, h, y)
    assert sent.shape == h.shape
    assert_close((sent * v).sum(), slope(lambda h: rule.value(net, b, h, y), h, v), of=terms(sent, v), slack=2.0**16)


@pytest.mark.parametrize("name", ["pred", "sim", "predsim"])
@given(seed=seeds, shape=st.sampled_from(SHAPES))
def test_what_moves_a_module_is_the_derivative_of_the_same_loss(name, seed, shape):
    rule, b, h, y, rng = drawn(name, shape, seed)
    v = like(b, rng)
    expected = slope(lambda b: rule.value(NET, b, h + 0j, y), b, v)
    assert_close(inner(rule.learnt(NET, b, h, y), v), expected, of=terms(rule.learnt(NET, b, h, y), v), slack=2.0**16)


def image_net(which: str) -> Network:
    if which == "conv-small":
        return Network(conv_small(3, "tanh", 0.3))
    return Network(resnet(3, "tanh", planes=(4, 6), depths=(1, 1)))


class Images:
    """As networks.Case, but for images of 6 x 6."""

    def __init__(self, name: str, which: str, seed: int, samples: int = 6):
        self.rng, self.rule, self.net = np.random.default_rng(seed), rules.get(name), image_net(which)
        self.params, shapes = network.init(self.net, self.rng, (6, 6, 2), "float64")
        self.state = self.rule.init(self.rng, self.net, self.params, shapes)
        self.x = self.rng.standard_normal((samples, 6, 6, 2))
        self.y = np.eye(3)[np.arange(samples) % 3]
        self.tape = self.rule.forward(self.net, self.params, self.state, self.x)

    def values(self):
        return [self.rule.value(self.net, b, h, self.y) for b, h in zip(self.state, self.tape.h[1:-1], strict=True)]


@every_rule
@pytest.mark.parametrize("which", ["conv-small", "resnet"])
@given(seed=seeds)
def test_inside_a_block_the_gradient_is_exact(name, which, seed):
    """Convolutions, max-pooling, batch-norm and shortcuts are included; the input of the block is constant."""
    case = Images(name, which, seed)
    grads = case.rule.credit(case.net, case.params, case.state, case.tape, case.y).grads
    for i, block in enumerate(case.net[:-1]):
        v = like(grads[i], case.rng)
        # running statistics have no gradient, and training does not read them
        direction = rules.spsa.shifted(tree_map(np.zeros_like, case.params[i]), v, 1.0)

        def value(p, i=i, block=block):
            h, _ = block.forward(p, case.tape.h[i] + 0j)
            return case.rule.value(case.net, case.state[i], h, case.y)

        found = slope(value, case.params[i], direction)
        assert_close(inner(grads[i], v), found, of=terms(grads[i], v), slack=2.0**20, message=f"block {i}")


@pytest.mark.slow
@every_rule
@pytest.mark.parametrize("which", ["conv-small", "resnet"])
def test_every_block_of_a_convolutional_network_descends_its_loss(name, which):
    case = Images(name, which, 0, samples=12)
    before = case.values()
    opts = SGD(case.params, lr=0.02), SGD(case.state, lr=0.02)
    old = tree_map(np.copy, case.params)
    for _ in range(40):
        case.tape = learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    assert all(u < v for u, v in zip(case.values(), before, strict=True))
    assert not [path for (path, u), (_, v) in zip(leaves(case.params), leaves(old), strict=True) if (u == v).all()]


@every_rule
def test_a_block_learns_alike_under_any_network(name):
    """The network above the block has another width, another depth and other weights."""
    case, other = Case(rules.get(name), 0), Case(rules.get(name), 1, sizes=(6, 8, 4, 3))
    other.params[0], other.state[0], other.x, other.y = case.params[0], case.state[0], case.x, case.y
    for u, v in zip(leaves(case.grads()[0]), leaves(other.grads()[0]), strict=True):
        np.testing.assert_array_equal(u[1], v[1])


# Mostafa, Ramesh, Cauwenberghs 2018

@given(seed=seeds)
def test_the_error_of_a_fixed_classifier_comes_back_through_its_own_weights(seed):
    case = Case(RULES["mostafa"], seed)
    tape, kept = case.tape(), [b.copy() for b in case.state]
    delta = [(softmax(h @ b.T) - case.y) / len(case.y) @ b * (1 - h**2)
             for b, h in zip(case.state, tape.h[1:-1], strict=True)]
    for i, d in enumerate(delta):
        assert_close(case.grads()[i][0]["W"], d.T @ tape.h[i])
    opts = SGD(case.params, 0.1), SGD(case.state, 0.1)
    learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    assert all((b == old).all() for b, old in zip(case.state, kept, strict=True))


# Nokland and Eidnes 2019

@given(seed=seeds)
def test_a_local_classifier_learns_as_a_module_of_ltas_does(seed):
    """The modules are the same; the block hears another error, and here the last block has a module, too."""
    case = Case(LTAS(), seed)
    state = [*case.state, np.ones((3, 4))]
    *ours, _ = LocalPrediction().align(case.net, case.params, state, case.tape(), case.y, case.rng)
    for u, v in zip(ours, case.align(), strict=True):
        np.testing.assert_array_equal(u, v)


@pytest.mark.slow
@given(seed=seeds, shape=st.sampled_from(SHAPES), beta=st.just(0.0) | st.floats(1e-8, 1))
def test_predsim_is_the_weighted_sum(seed, shape, beta):
    _, b, h, y, _ = drawn("predsim", shape, seed)
    rule, pred, sim = PredSim(beta), LocalPrediction(), LocalSimilarity()
    for method in ("value", "sent"):
        expected = ((1 - beta) * getattr(pred, method)(NET, b["pred"], h, y)
                    + beta * getattr(sim, method)(NET, b["sim"], h, y))
        assert_close(getattr(rule, method)(NET, b, h, y), expected)
    assert RULES["predsim"].beta == 0.99


@pytest.mark.parametrize("beta", [-0.1, 1.1, float("nan")])
def test_a_weight_that_is_none_is_refused(beta):
    with pytest.raises(InputError, match="beta must be a number from 0 to 1"):
        PredSim(beta)


@given(seed=seeds, classes=st.integers(2, 5))
def test_a_block_whose_samples_are_as_alike_as_their_targets_hears_nothing(seed, classes):
    """The error at the network's output, whatever it is, changes nothing."""
    rng = np.random.default_rng(seed)
    y = np.eye(classes)[rng.integers(classes, size=8)]
    scale, shift = rng.uniform(1, 2, (8, 1)), rng.standard_normal((8, 1))
    h, b = scale * y + shift, np.eye(classes)
    assert LocalSimilarity().value(NET, b, h, y) < 1e-10
    np.testing.assert_allclose(LocalSimilarity().sent(NET, b, h, y), 0, atol=1e-6)


@pytest.mark.parametrize("spec", ["mostafa:window=0", "pred:most=0", "predsim:most=-1"])
def test_sizes_that_are_none_are_refused(spec):
    with pytest.raises(InputError, match=r"(window|most) must be an integer, at least 1, got (0|-1)$"):
        rules.get(spec)


# Similarity

@given(seed=seeds, samples=st.integers(2, 6), width=st.integers(2, 9))
def test_similarity_is_the_correlation_of_the_samples(seed, samples, width):
    h = np.random.default_rng(seed).standard_normal((samples, width)) * 100
    np.testing.assert_allclose(similarity(h), np.corrcoef(h), atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_targets_of_two_classes_are_equally_unlike(classes):
    S = similarity(np.eye(classes))
    np.testing.assert_allclose(S, np.where(np.eye(classes), 1, -1 / (classes - 1)), atol=1e-5)


@given(seed=seeds, samples=st.integers(1, 5), width=st.integers(1, 5))
def test_the_derivative_of_similarity(seed, samples, width):
    rng = np.random.default_rng(seed)
    h, delta = rng.standard_normal((samples, width)), rng.standard_normal((samples, samples))
    v = rng.standard_normal(h.shape)
    np.testing.assert_allclose((d_similarity(delta, h) * v).sum(),
                               slope(lambda h: (delta * similarity(h)).sum(), h, v), rtol=1e-9, atol=1e-9)


@given(seed=seeds, side=st.integers(1, 4))
def test_the_derivative_of_the_deviation(seed, side):
    rng = np.random.default_rng(seed)
    h, delta = rng.standard_normal((3, side, 2, 4)), rng.standard_normal((3, 4))
    v = rng.standard_normal(h.shape)
    np.testing.assert_allclose(deviation(h), h.std((1, 2)), atol=1e-3)
    assert_close((d_deviation(delta, h) * v).sum(), slope(lambda h: (delta * deviation(h)).sum(), h, v),
                 of=terms(d_deviation(delta, h), v), slack=2.0**16)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_without_any_activity_have_derivatives(xp, dtype):
    """One sample and one plane without activity: the square roots have no slope at 0."""
    h = np.zeros((3, 2, 2, 4), dtype)
    h[1] = np.arange(16).reshape(2, 2, 4)
    rows, square = xp.asarray(features(h)), xp.asarray(np.ones((3, 3), dtype))
    assert np.isfinite(to_numpy(similarity(rows))).all()
    assert np.isfinite(to_numpy(d_similarity(square, rows))).all()
    assert np.isfinite(to_numpy(d_deviation(rows, xp.asarray(h)))).all()


def test_what_a_similarity_is_taken_of():
    rng = np.random.default_rng(0)
    for shape, width in (((7,), 7), ((3, 3, 5), 5), ((3, 3, 3), 27), ((1, 1, 5), 5), ((2, 1, 4), 4)):
        assert features(rng.standard_normal((2, *shape))).shape == (2, width)


# The head

HEADS = [((6,), PoolHead(), 6), ((4, 6, 3), PoolHead(), 18), ((5, 3, 2), PoolHead(), 4), ((1, 1, 4), PoolHead(), 4),
         ((1, 5, 2), PoolHead(), 10), ((8, 8, 4), PoolHead(1, 64), 64), ((8, 8, 4), PoolHead(1, 63), 16),
         ((8, 8, 4), PoolHead(1, 256), 256), ((8, 8, 4), PoolHead(1, 1), 4), ((5, 5, 1), PoolHead(4), 1)]


@pytest.mark.parametrize("shape, head, width", HEADS)
@given(data=st.data())
def test_a_pooling_head_is_one_trilinear_form(shape, head, width, data):
    """Sums of small integers over windows of 1, 2 or 4 are exact."""
    h, e = data.draw(integers((2, *shape))), data.draw(integers((2, 3)))
    B = head.init(np.random.default_rng(0), shape, 3, lambda rng, shape: rng.integers(-4, 5, shape).astype(float))
    assert B.shape == (3, width)
    value = (head.forward(B, h) * e).sum()
    if head.size(shape) in (1, 2, 4, 8):
        assert value == (head.send(B, e, h.shape) * h).sum() == (head.grad(B, h, e) * B).sum()


@given(seed=seeds)
def test_a_pooling_head_is_average_pooling_and_a_dense_layer(seed):
    rng = np.random.default_rng(seed)
    layer = Sequential((AvgPool(2), Flatten(), Dense(3)))
    params, _ = layer.init(rng, (4, 6, 5))
    h, e, B = rng.standard_normal((2, 4, 6, 5)), rng.standard_normal((2, 3)), params[2]["W"]
    out, cache = layer.forward(params, h)
    down, grads = layer.backward(params, cache, e)
    np.testing.assert_array_equal(PoolHead().forward(B, h), out)
    np.testing.assert_array_equal(PoolHead().send(B, e, h.shape), down)
    np.testing.assert_array_equal(PoolHead().grad(B, h, e), grads[2]["W"])


def test_rows_that_fill_no_window_are_not_seen():
    B = PoolHead().init(np.random.default_rng(0), (5, 4, 1), 2, gaussian)
    sent = PoolHead().send(B, np.ones((1, 2)), (1, 5, 4, 1))
    assert sent[:, :4].all() and not sent[:, 4:].any()


# What a local loss cannot know

def test_a_local_loss_can_call_perfect_what_the_output_cannot_use():
    """XOR in two units: no linear classifier of the block tells the classes apart, and the best one moves nothing.

    A block of relu units above can, and through it backpropagation moves this block.
    """
    h = np.array([[1.0, 1], [-1, -1], [1, -1], [-1, 1]])
    y = np.eye(2)[[0, 0, 1, 1]]
    rule = RULES["pred"]
    b = np.zeros((2, 2))
    # the best linear classifier says nothing: its gradient is 0, and so is everything that the block hears
    assert not rule.learnt(NET, b, h, y).any() and not rule.sent(NET, b, h, y).any()
    net = Network((*(Sequential((Dense(n), Activation(f))) for n, f in ((2, "identity"), (8, "relu"))), Dense(2)))
    params, _ = network.init(net, np.random.default_rng(0), (2,), "float64")
    params[0][0]["W"] = np.eye(2)
    heard = {name: RULES[name].credit(net, params, [b, np.zeros((2, 8))], network.forward(net, params, h), y).grads[0]
             for name in ("bp", "pred")}
    assert not heard["pred"][0]["W"].any() and np.abs(heard["bp"][0]["W"]).max() > 1e-3
