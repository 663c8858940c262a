"""Layers that draw: rules that run the network twice in a step see the same draws, and no other run moves a bit."""
from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close

import nobackprop as nb
from nobackprop import learn, metrics, network
from nobackprop.errors import InputError
from nobackprop.layers import Activation, BatchNorm, Dense, Dropout, Layer, LayerNorm, Residual, Sequential
from nobackprop.network import Network
from nobackprop.optim import SGD
from nobackprop.rules import RULES
from nobackprop.tree import leaves, tree_map

SIZES = (12, 8, 8, 12)


def hidden(units: int) -> Sequential:
    return Sequential((Dense(units), Activation("tanh"), Dropout(0.5)))


NET = Network((*(hidden(units) for units in SIZES), Dense(3)))


# the units of ep settle, for which all of them have to be there
TAKES = [name for name in RULES if name != "ep"]


class Case:
    """A network with Dropout in every hidden block, a rule and a batch."""

    def __init__(self, name: str, net: Network = NET):
        rng = np.random.default_rng(0)
        self.net, self.rule = net, RULES[name]
        self.params, shapes = network.init(net, rng, (6,), "float64")
        self.state = self.rule.init(rng, net, self.params, shapes)
        self.x, self.y = rng.standard_normal((9, 6)), np.eye(3)[rng.integers(3, size=9)]

    def tape(self, seed: int = 1) -> network.Tape:
        return self.rule.forward(self.net, self.params, self.state, self.x, np.random.default_rng(seed))


class Noted(Dropout):
    """Dropout that notes the masks it draws, by the number of units."""

    masks: list

    def forward(self, params, h, train=True, rng=None):
        h, cache = super().forward(params, h, train, rng)
        if cache is not None:
            self.masks.append((self.p, cache().tobytes()))
        return h, cache


def noted(masks: list) -> Network:
    """The network with a probability of its own in every block, so that the masks can be told apart."""
    def block(i: int, units: int) -> Layer:
        noting = Noted(0.5 + i / 100)
        object.__setattr__(noting, "masks", masks)
        return Sequential((Dense(units), Activation("tanh"), noting))
    return Network((*(block(i, units) for i, units in enumerate(SIZES)), Dense(3)))


@pytest.mark.parametrize("name", TAKES)
def test_every_pass_of_a_step_has_the_same_silent_units(name):
    """However often the rule runs a block: each block draws one mask a step, and another one in the next step."""
    masks: list = []
    case = Case(name, noted(masks))
    opts, rng = (SGD(case.params, 0.1), SGD(case.state, 0.1)), np.random.default_rng(3)
    seen = []
    for _ in range(2):
        learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, rng)
        assert len(masks) >= len(set(masks)) == len(SIZES)
        seen.append(set(masks))
        masks.clear()
    assert not seen[0] & seen[1]


@pytest.mark.slow
def test_the_rules_that_run_a_block_twice_do_so_here():
    twice = set()
    for name in TAKES:
        masks: list = []
        case = Case(name, noted(masks))
        opts = SGD(case.params, 0.1), SGD(case.state, 0.1)
        learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, np.random.default_rng(3))
        twice |= {name} if len(masks) > len(SIZES) else set()
    assert twice == {"spsa", "foa", "fdfa", "dtp", "al", "zil", "pc", "pc-centred", "ff", "pepita", "activity",
                     "softhebb"}


def test_a_rule_that_takes_no_units_that_fall_silent_says_so():
    with pytest.raises(InputError, match="^equilibrium propagation needs hidden blocks of dense, .* but block 1 is "):
        Case("ep")


def test_a_second_pass_with_the_seeds_of_the_first_is_the_first():
    case = Case("bp")
    first = case.tape()
    second = network.forward(case.net, case.params, case.x, seeds=first.seeds)
    for u, v in zip(first.h, second.h, strict=True):
        np.testing.assert_array_equal(u, v)
    above = network.forward(case.net[1:], case.params[1:], first.h[1], seeds=first.above(1).seeds)
    np.testing.assert_array_equal(above.output, first.output)
    assert not np.array_equal(case.tape(2).output, first.output)


@pytest.mark.slow
@pytest.mark.parametrize("name", TAKES)
def test_gradients_are_finite_and_a_run_learns_again_alike(name):
    data = nb.data.load("digits")
    net = Network((Sequential((nb.layers.Flatten(), *hidden(16).layers)), hidden(16), hidden(16), Dense(10)))
    runs = [nb.fit(net, name, data, nb.Settings(epochs=1, batch_size=256)) for _ in range(2)]
    for (_, u), (_, v) in zip(leaves(runs[0].params), leaves(runs[1].params), strict=True):
        np.testing.assert_array_equal(u, v)
        assert np.isfinite(u).all()
    assert runs[0].history == runs[1].history


def test_a_network_that_draws_nothing_moves_no_generator():
    net = Network((Sequential((Dense(4), LayerNorm(), Dropout(0.0), Activation("gelu"))), Residual(Dense(4)),
                   Sequential((BatchNorm(), Dense(3)))))
    params, _ = network.init(net, np.random.default_rng(0), (5,))
    rng = np.random.default_rng(4)
    before = rng.bit_generator.state
    tape = network.forward(net, params, np.ones((2, 5), "float32"), rng=rng)
    assert rng.bit_generator.state == before and list(tape.seeds) == [None] * 3 and net.draws == (False,) * 3


def test_prediction_draws_nothing():
    case = Case("bp")
    rng = np.random.default_rng(4)
    before = rng.bit_generator.state
    network.forward(case.net, case.params, case.x, False, rng=rng)
    assert rng.bit_generator.state == before
    np.testing.assert_array_equal(network.predict(case.net, case.params, case.x),
                                  network.forward(case.net, case.params, case.x, False).output)


def test_a_training_pass_without_a_generator_is_one_sentence():
    case = Case("bp")
    with pytest.raises(InputError, match="needs a generator in a training pass"):
        case.rule.forward(case.net, case.params, case.state, case.x)


@pytest.mark.parametrize("name", ["bp", "dfa", "foa", "dtp", "al"])
def test_alignment_is_measured_with_the_same_silent_units_each_time(name):
    case = Case(name)
    found = [metrics.alignment(case.net, case.rule, case.params, case.state, case.x, case.y) for _ in range(2)]
    assert found[0] == found[1]
    if name == "bp":
        assert_close(np.array(found[0]["alignment"]), np.ones(len(found[0]["alignment"])))


def test_bp_is_the_derivative_of_the_pass_with_those_silent_units():
    case = Case("bp")
    tape = case.tape()
    grads = case.rule.credit(case.net, case.params, None, tape, case.y).grads
    direction = tree_map(lambda w: np.random.default_rng(5).standard_normal(w.shape), case.params)

    def loss(params):
        return case.net.value(network.forward(case.net, params, case.x, seeds=tape.seeds).output, case.y)
    slope = loss(tree_map(lambda w, v: w + 1e-20j * v, case.params, direction)).imag / 1e-20
    along = sum(float((g * v).sum()) for (_, g), (_, v) in zip(leaves(grads), leaves(direction), strict=True))
    assert abs(along - slope) < 1e-12
