"""Forward-Forward: every block descends a loss of its own, and reads the length of what comes from below or not."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, inner, like, slope, terms
from tolerance import assert_close

from nobackprop import network
from nobackprop.errors import InputError
from nobackprop.layers import Activation, Conv, Dense, Flatten, Residual, Sequential, UnitLength
from nobackprop.network import Network
from nobackprop.rules import ForwardForward
from nobackprop.rules.forward_forward import Labelled, at_first, wrong_labels
from nobackprop.tree import tree_map

seeds = st.integers(0, 2**32 - 1)


def labelled(net, params, V, x, label):
    """x and every h_i of a pass in which V^T label is added to the input of the first activation, written out."""
    h = x
    for layer, p in zip(net[0].layers, params[0], strict=True):
        h, _ = layer.forward(p, h + (label @ V).reshape(h.shape) if isinstance(layer, Activation) else h)
    return [x, *network.forward(net[1:], params[1:], h).h]


def own_loss(rule, h, s):
    """The mean of log(1 + exp(-s (goodness - theta))) of the outputs h of a block."""
    g = (h**2).sum(tuple(range(1, h.ndim))) / h[0].size
    return np.log(1 + np.exp(-s * (g - rule.theta))).mean()


def against_complex_step(rule, net, params, V, x, y, seed):
    """Hold each gradient against the slope of the block's own loss, the inputs of all blocks being held."""
    tape = rule.forward(net, params, [V], x)
    credit = rule.credit(net, params, [V], tape, y, np.random.default_rng(seed))
    labels = ((y, 1), (wrong_labels(tape.output, y, np.random.default_rng(seed)), -1))
    assert not (labels[0][0] * labels[1][0]).any()

    passes = [(labelled(net, params, V, x, label), label, s) for label, s in labels]

    def first(p, V):
        return sum(own_loss(rule, labelled(net, [p, *params[1:]], V, x, label)[1], s) for _, label, s in passes)

    rng = np.random.default_rng([seed, 1])
    for i, block in enumerate(net[:-1]):
        v = like(params[i], rng)
        expected = slope(lambda p, i=i, block=block: sum(
            own_loss(rule, block.forward(p, h[i])[0], s) for h, _, s in passes) if i else first(p, V), params[i], v)
        assert_close(inner(credit.grads[i], v), expected, of=terms(credit.grads[i], v))
    v = like(V, rng)
    expected = slope(lambda V: first(params[0], V), V, v)
    assert_close(inner(credit.state, [v]), expected, of=terms(credit.state, [v]))


@given(seed=seeds, activation=st.sampled_from(["tanh", "sigmoid", "identity"]), theta=st.sampled_from([0.1, 1.0, 4.0]))
def test_each_block_descends_its_own_loss(seed, activation, theta):
    case = Case(ForwardForward(theta, scale=1.0), seed, activation=activation)
    against_complex_step(case.rule, case.net, case.params, *case.state, case.x, case.y, seed)


@given(seed=seeds)
def test_each_block_descends_its_own_loss_through_convolutions_and_unit_length(seed):
    net = Network((Sequential((Conv(2, 3, 1, 1), Activation("tanh"))),
                   Sequential((UnitLength(), Flatten(), Dense(5), Activation("tanh"))), Dense(3)))
    rng, rule = np.random.default_rng(seed), ForwardForward(0.5, scale=1.0)
    params, shapes = network.init(net, rng, (4, 4, 1), "float64")
    V, = rule.init(rng, net, params, shapes)
    x, y = rng.standard_normal((3, 4, 4, 1)), np.eye(3)[rng.integers(3, size=3)]
    against_complex_step(rule, net, params, V, x, y, seed)


@given(seed=seeds)
def test_a_block_does_not_read_what_stands_above_it(seed):
    case, rng = Case(ForwardForward(), seed), np.random.default_rng(seed)
    tape = case.tape()
    before = case.rule.credit(case.net, case.params, case.state, tape, case.y, case.draws()).grads
    case.params[1] = like(case.params[1], rng)
    after = case.rule.credit(case.net, case.params, case.state, tape, case.y, case.draws()).grads
    np.testing.assert_array_equal(before[0][0]["W"], after[0][0]["W"])
    assert np.abs(before[1][0]["W"] - after[1][0]["W"]).max() > 0


@given(seed=seeds)
def test_after_unit_length_the_next_block_does_not_see_the_goodness(seed):
    rng = np.random.default_rng(seed)
    above = Network((Sequential((UnitLength(eps=0.0), Dense(5), Activation("tanh"))), Dense(3)))
    params, _ = network.init(above, rng, (4,), "float64")
    h, c = rng.standard_normal((6, 4)), np.exp(rng.standard_normal((6, 1)))
    assert_close(network.predict(above, params, c * h), network.predict(above, params, h))


def test_without_unit_length_the_next_block_can_copy_the_goodness():
    """A block of relu without biases multiplies the goodness of what it sees by one and the same factor."""
    net = Network((Sequential((Dense(8), Activation("relu"))),))
    params, _ = network.init(net, np.random.default_rng(0), (4,), "float64")
    h = np.random.default_rng(1).standard_normal((1, 4))
    g = [(network.predict(net, params, c * h)**2).mean() for c in (1.0, 3.0)]
    assert_close(g[1] / g[0], 9.0)


def test_wrong_labels_come_by_the_probabilities_of_the_network():
    rng, samples = np.random.default_rng(0), 20000
    a = np.tile([0.3, -1.0, 1.2, 0.0], (samples, 1))
    wrong = wrong_labels(a, np.tile(np.eye(4)[2], (samples, 1)), rng)
    p = np.exp([0.3, -1.0, 0.0]) / np.exp([0.3, -1.0, 0.0]).sum()
    assert wrong[:, 2].max() == 0 and (wrong.sum(1) == 1).all()
    spread = np.sqrt(p * (1 - p) / samples)
    assert (np.abs(wrong[:, [0, 1, 3]].mean(0) - p) < 5 * spread).all()


@pytest.mark.parametrize("block", [Dense(5), Sequential((Flatten(), Dense(5)))])
def test_a_first_block_without_an_activation_hears_no_label(block):
    net = Network((block, Dense(3)))
    params, shapes = network.init(net, np.random.default_rng(0), (4,), "float64")
    with pytest.raises(InputError, match="ff needs an activation in the first hidden block.*, got "):
        ForwardForward().init(np.random.default_rng(0), net, params, shapes)


def test_of_several_activations_in_the_first_block_the_first_one_hears_the_label():
    net = Network((Sequential((Residual(Sequential((Dense(4), Activation("tanh")))), Activation("tanh"))), Dense(3)))
    rng, rule = np.random.default_rng(0), ForwardForward()
    params, shapes = network.init(net, rng, (4,), "float64")
    x, y = rng.standard_normal((5, 4)), np.eye(3)[rng.integers(3, size=5)]
    V, = rule.init(rng, net, params, shapes)
    inside = params[0][0]["body"][0] if isinstance(params[0][0], dict) else params[0][0][0][0]
    found = at_first(net[0], lambda f: Labelled(f, V, y)).forward(params[0], x)[0]
    assert_close(found, np.tanh(x + np.tanh(x @ inside["W"].T + inside["b"] + y @ V)))


def test_a_single_output_has_no_wrong_label():
    with pytest.raises(InputError, match="expected at least 2 outputs, got 1"):
        Case(ForwardForward(), 0, classes=1)


def test_a_step_that_lowers_the_loss_of_one_block_can_raise_that_of_the_next():
    case = Case(ForwardForward(0.5, scale=1.0), 3)
    case.params[1][0]["b"][...] = 1.0
    labels = ((case.y, 1), (wrong_labels(case.tape().output, case.y, case.draws()), -1))

    def loss(i, p):
        """The own loss of block i, if the first block has the parameters p."""
        params = [p, *case.params[1:]]
        return sum(own_loss(case.rule, labelled(case.net, params, case.state[0], case.x, label)[i + 1], s)
                   for label, s in labels)
    downhill = tree_map(lambda g: -g, case.grads()[0])
    assert slope(lambda p: loss(0, p), case.params[0], downhill) < 0 < slope(
        lambda p: loss(1, p), case.params[0], downhill)
