"""Activity perturbation: its mean is backpropagation, its variance is known, and enough directions leave none."""
from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case
from tolerance import assert_close, assert_zero

from nobackprop import network
from nobackprop.layers import Activation, BatchNorm, Dense, Sequential
from nobackprop.metrics import signals
from nobackprop.network import Network
from nobackprop.rules import BP, ActivityPerturbation, activity_perturbation

seeds = st.integers(0, 2**32 - 1)
HADAMARD = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], float)


@dataclass(frozen=True)
class Exact(ActivityPerturbation):
    """The rule with the exact d, by complex step."""

    def change(self, net, params, tape, u):
        h = tape.h[1]
        for block, p, u_i in zip(net[1:], params[1:], u, strict=True):
            h, _ = block.forward(p, h + 1e-20j * u_i)
        return h.imag / 1e-20


@pytest.fixture
def shaken(monkeypatch):
    """A function by which the rule tries these directions, one after another, instead of drawing them."""
    def use(directions, widths):
        cuts = np.cumsum(widths)[:-1]
        parts = itertools.cycle([part for u in directions for part in np.split(u, cuts, axis=-1)])
        monkeypatch.setattr(activity_perturbation, "signs", lambda rng, h: np.broadcast_to(next(parts), h.shape))
    return use


def heard(case, rule):
    """The signals at all hidden units, side by side, (N, m)."""
    return np.hstack([*signals(case.net, rule, case.params, None, case.x, case.y)[:-1]])


def patterns(m):
    return np.array(list(itertools.product((-1.0, 1.0), repeat=m)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "identity"])
def test_the_mean_over_all_patterns_is_backpropagation(seed, activation, shaken):
    case = Case(BP(), seed, sizes=(3, 2), activation=activation)
    shaken(patterns(5), (3, 2))
    true = heard(case, BP())
    assert_close(heard(case, Exact(32)), true, of=32 * np.abs(true).max())


@pytest.mark.parametrize("seed", range(5))
def test_the_variance_is_that_of_one_unit_less_than_there_are(seed, shaken):
    case = Case(BP(), seed, sizes=(3, 2))
    true, found = heard(case, BP()), []
    for u in patterns(5):
        shaken([u], (3, 2))
        found.append(heard(case, Exact(1)))
    square = (true**2).sum(-1)
    assert_close(np.mean([((f - true)**2).sum(-1) for f in found], axis=0), (5 - 1) * square)
    assert_close(np.mean([(f**2).sum(-1) for f in found], axis=0), 5 * square)


@pytest.mark.parametrize("seed", range(5))
def test_as_many_orthogonal_directions_as_units_are_backpropagation(seed, shaken):
    case = Case(BP(), seed, sizes=(2, 2))
    true = heard(case, BP())
    shaken(HADAMARD, (2, 2))
    assert_close(heard(case, Exact(4)), true, of=4 * np.abs(true).max())
    orthonormal = np.linalg.qr(np.random.default_rng(seed).standard_normal((4, 4)))[0]
    shaken(2 * orthonormal, (2, 2))                                    # of length sqrt(m), as signs are
    assert_close(heard(case, Exact(4)), true, of=4 * np.abs(true).max())


def test_fewer_directions_see_a_part_of_the_gradient_only(shaken):
    case = Case(BP(), 0, sizes=(2, 2))
    shaken(HADAMARD[:3], (2, 2))
    true, found = heard(case, BP()), heard(case, Exact(3))
    along = [np.outer(true @ u, u) / 4 for u in HADAMARD[:3]]
    assert_close(found, sum(along) * 4 / 3, of=4 * np.abs(true).max())
    assert_zero(found @ HADAMARD[3], of=4 * np.abs(true).max())
    assert np.abs(true @ HADAMARD[3]).max() > 0.1 * np.abs(true).max()


@given(seed=seeds, epsilon=st.sampled_from([1e-3, 1.0, 100.0]))
def test_in_a_linear_network_the_size_of_the_perturbation_does_not_matter(seed, epsilon):
    case = Case(BP(), seed, activation="identity")
    rule, tape = ActivityPerturbation(epsilon=epsilon), case.tape()
    u = [np.sign(h) for h in tape.h[1:-1]]
    scale = np.abs(tape.output).max() / epsilon + max(np.abs(h).max() for h in tape.h)
    assert_close(rule.change(case.net, case.params, tape, u), Exact().change(case.net, case.params, tape, u),
                 of=10 * scale)


@pytest.mark.parametrize("seed", range(5))
def test_elsewhere_the_error_falls_with_the_size_of_the_perturbation(seed):
    case = Case(BP(), seed)
    tape = case.tape()
    u = [np.sign(h) for h in tape.h[1:-1]]
    true = Exact().change(case.net, case.params, tape, u)
    off = [np.abs(ActivityPerturbation(epsilon=eps).change(case.net, case.params, tape, u) - true).max()
           for eps in (2e-4, 1e-4)]
    assert 1.9 < off[0] / off[1] < 2.1


@pytest.mark.parametrize("seed", range(3))
def test_under_batchnorm_the_mean_is_another(seed, shaken):
    """A sample's own error does not say what the sample does to the others."""
    rng = np.random.default_rng(seed)
    net = Network((Sequential((Dense(2), Activation("tanh"))), Sequential((BatchNorm(), Dense(3)))))
    params, _ = network.init(net, rng, (4,), "float64")
    x, y = rng.standard_normal((3, 4)), np.eye(3)
    shaken(patterns(6).reshape(-1, 3, 2), (2,))
    found, true = (signals(net, rule, params, None, x, y)[0] for rule in (Exact(64), BP()))
    tape = network.forward(net, params, x)
    e, own = net.error(tape.output, y), np.zeros((3, 2))
    for n, k in itertools.product(range(3), range(2)):
        step = np.zeros((3, 2), complex)
        step[n, k] = 1e-20j
        own[n, k] = e[n] @ (net[1].forward(params[1], tape.h[1] + step)[0][n].imag / 1e-20)
    assert_close(found, own, of=64 * np.abs(true).max())
    assert np.abs(found - true).max() > 0.1 * np.abs(true).max()


def test_a_network_without_hidden_blocks_draws_nothing():
    case = Case(ActivityPerturbation(), 0, sizes=())
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    case.rule.credit(case.net, case.params, None, case.tape(), case.y, rng)
    assert rng.bit_generator.state == before
