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
from nobackprop.layers import Activation, Conv, Dense, Flatten, Sequential, UnitLength
from nobackprop.network import Network
from nobackprop.rules import ForwardForward
from nobackprop.rules.forward_forward import wrong_labels
from nobackprop.tree import tree_map

seeds = st.integers(0, 2**32 - 1)


def own_loss(rule, block, p, seen, s):
    """The mean of log(1 + exp(-s (goodness - theta))) of what the block makes of its input."""
    h = block.forward(p, seen)[0]
    g = (h**2).sum(tuple(range(1, h.ndim))) / h[0].size
    return np.log(1 + np.exp(-s * (g - rule.theta))).mean()


def against_complex_step(rule, net, params, V, x, y, seed):
    """Hold each gradient against the slope of the block's own loss, the inputs of all blocks being held."""
    tape = rule.forward(net, params, [V], x)
    credit = rule.credit(net, params, [V], tape, y, np.random.default_rng(seed))
    labels = ((y, 1), (wrong_labels(tape.output, y, np.random.default_rng(seed)), -1))
    assert not (labels[0][0] * labels[1][0]).any()

    def shown(V, label):
        return x + (label @ V).reshape(x.shape)

    rng = np.random.default_rng([seed, 1])
    for i, block in enumerate(net[:-1]):
        inputs = [network.forward(net, params, shown(V, label)).h[i] for label, _ in labels]
        v = like(params[i], rng)
        expected = slope(lambda p, block=block, inputs=inputs: sum(
            own_loss(rule, block, p, h, s) for h, (_, s) in zip(inputs, labels)), params[i], v)
        assert_close(inner(credit.grads[i], v), expected, of=terms(credit.grads[i], v))
    v = like(V, rng)
    expected = slope(lambda V: sum(own_loss(rule, net[0], params[0], shown(V, label), s) for label, s in labels), V, v)
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


def test_a_single_output_has_no_wrong_label():
    with pytest.raises(InputError, match="expected at least 2 outputs, got 1"):
        Case(ForwardForward(), 0, classes=1)


def test_a_step_that_lowers_the_loss_of_one_block_can_raise_that_of_the_next():
    case = Case(ForwardForward(0.5, scale=1.0), 7)
    labels = ((case.y, 1), (wrong_labels(case.tape().output, case.y, case.draws()), -1))

    def loss(i, p):
        """The own loss of block i, if the first block has the parameters p."""
        params, seen = [p, *case.params[1:]], [case.x + label @ case.state[0] for label, _ in labels]
        return sum(own_loss(case.rule, case.net[i], params[i], network.forward(case.net, params, x).h[i], s)
                   for x, (_, s) in zip(seen, labels))
    downhill = tree_map(lambda g: -g, case.grads()[0])
    assert slope(lambda p: loss(0, p), case.params[0], downhill) < 0 < slope(
        lambda p: loss(1, p), case.params[0], downhill)
