"""Equilibrium propagation: where the network settles, what the centred difference is worth, and what it answers."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, inner, like, slope
from tolerance import assert_close, size

from nobackprop import network
from nobackprop.errors import InputError
from nobackprop.layers import Activation, BatchNorm, Conv, Dense, Flatten, MaxPool, Residual, Sequential
from nobackprop.network import Network
from nobackprop.rules import EquilibriumPropagation
from nobackprop.tree import tree_map

seeds = st.integers(0, 2**32 - 1)


def case(seed, beta=0.1, activation="tanh", loss="cross_entropy", norm=0.5, sweeps=80):
    """Two hidden blocks, the weights between them of a norm below 1, so that they settle to the last digit."""
    found = Case(EquilibriumPropagation(sweeps, sweeps, beta), seed, sizes=(5, 4), activation=activation, loss=loss)
    W = found.params[1][0]["W"]
    W *= norm / np.linalg.norm(W, 2)
    return found


# Where it settles

@given(seed=seeds, norm=st.floats(0.1, 0.9))
def test_every_sweep_brings_two_starts_together_by_the_norm_of_the_weights(seed, norm):
    trial, rng = case(seed, norm=norm), np.random.default_rng([seed, 3])
    one, other = ([trial.x, *(rng.standard_normal((len(trial.x), n)) for n in (5, 4))] for _ in range(2))

    def apart(u, v):
        return np.sqrt(sum(((a - b)**2).sum() for a, b in zip(u[1:], v[1:], strict=True)))
    for _ in range(4):
        before = apart(one, other)
        one, other = (trial.rule.settle(trial.net, trial.params, s, 1) for s in (one, other))
        assert apart(one, other) <= norm * before * (1 + 1e-12)


@pytest.mark.slow
@given(seed=seeds)
def test_settled_states_hear_what_is_below_and_above(seed):
    trial = case(seed)
    _, s1, s2 = trial.tape().h[:3]
    first, second, last = (p[0] if isinstance(p, list) else p for p in trial.params)
    assert_close(s1, np.tanh(trial.x @ first["W"].T + first["b"] + s2 @ second["W"]))
    assert_close(s2, np.tanh(s1 @ second["W"].T + second["b"]))
    assert_close(trial.tape().output, s2 @ last["W"].T + last["b"])


# What the centred difference is worth

@pytest.mark.slow
@given(seed=seeds, beta=st.floats(0.05, 0.5))
def test_the_centred_estimate_of_a_quadratic_energy_at_a_finite_nudge(seed, beta):
    """-s_0^T dA p - beta^2 p^T dA q: exact, whatever beta is, as long as it is small enough for an equilibrium."""
    trial = case(seed, beta, "identity", "squared", 0.3, 80)
    R = trial.params[2]["W"]
    R *= 0.7 / np.linalg.norm(R, 2)
    W, n = trial.params[1][0]["W"], len(trial.x)
    A = np.block([[np.eye(5), -W.T], [-W, np.eye(4)]])
    R = np.hstack([np.zeros((3, 5)), R])
    K = R.T @ R @ np.linalg.inv(A)
    assert beta * np.linalg.norm(R @ np.linalg.solve(A, R.T), 2) < 1
    s = np.hstack(trial.tape().h[1:3]).T
    r = R.T @ (R @ s + trial.params[2]["b"][:, None] - trial.y.T)
    p = np.linalg.solve(A, np.linalg.solve(np.eye(9) - beta**2 * K @ K, r))
    q = np.linalg.solve(A, K @ A @ p)
    dW = np.random.default_rng([seed, 3]).standard_normal(W.shape)
    dA = np.block([[np.zeros((5, 5)), -dW.T], [-dW, np.zeros((4, 4))]])
    expected = (-(s * (dA @ p)).sum() - beta**2 * (p * (dA @ q)).sum()) / n
    found = float((trial.grads()[1][0]["W"] * dW).sum())
    assert_close(found, float(expected), of=size(s)**2 * size(dW) * 40 / beta)


def settled_loss(trial):
    """The loss at the free equilibrium, as a function of the parameters."""
    def loss(params):
        first, second, last = (p[0] if isinstance(p, list) else p for p in params)
        s1, s2 = np.zeros((len(trial.x), 5), complex), np.zeros((len(trial.x), 4), complex)
        for _ in range(200):
            s1, s2 = (np.tanh(trial.x @ first["W"].T + first["b"] + s2 @ second["W"]),
                      np.tanh(s1 @ second["W"].T + second["b"]))
        return trial.net.value(s2 @ last["W"].T + last["b"], trial.y)
    return loss


@pytest.mark.slow
def test_the_error_of_the_centred_estimate_falls_as_the_square_of_the_nudge():
    trial = case(0, sweeps=200)
    direction = like(trial.params, np.random.default_rng(3))
    exact, off = slope(settled_loss(trial), trial.params, direction), []
    for beta in (0.2, 0.1, 0.05, 0.025):
        trial.rule = EquilibriumPropagation(200, 200, beta)
        off.append(abs(inner(trial.grads(), direction) - exact))
    assert (abs(-np.diff(np.log2(off)) - 2) < 0.1).all() and off[-1] < 1e-2 * abs(exact), off


@pytest.mark.slow
def test_one_nudge_alone_is_off_by_the_order_of_beta():
    trial = case(0, sweeps=200)
    direction = like(trial.params[:2], np.random.default_rng(3))
    whole = [*direction, tree_map(np.zeros_like, trial.params[2])]
    exact, off = slope(settled_loss(trial), trial.params, whole), []
    for beta in (0.02, 0.01, 0.005):
        phi = []
        for nudge in (0.0, beta):
            s = trial.rule.settle(trial.net, trial.params, trial.tape().h[:-1], 200, nudge, trial.y)
            linear = network.straight(trial.net)
            own = network.apart(linear, trial.params, s)
            phi.append(network.local(linear, trial.params, own, dict(enumerate(s[1:])))[1][:2])
        off.append(abs((inner(phi[0], direction) - inner(phi[1], direction)) / (beta * len(trial.x)) - exact))
    assert (abs(-np.diff(np.log2(off)) - 1) < 0.15).all(), off


# What it answers, and which networks it takes

def test_the_answer_is_the_equilibrium_and_not_the_forward_pass():
    trial = case(0)
    answer = trial.rule.predict(trial.net, trial.params, trial.x)
    np.testing.assert_array_equal(answer, trial.tape().output)
    assert np.abs(answer - network.predict(trial.net, trial.params, trial.x)).max() > 0.01
    assert_close(trial.rule.predict(trial.net, trial.params, trial.x[2:3]), answer[2:3], of=answer)


def test_convolutions_and_pooling_settle_too():
    net = Network((Sequential((Conv(3, 3, pad=1), MaxPool(2), Activation("tanh"))),
                   Sequential((Flatten(), Dense(6), Activation("tanh"))), Dense(3)))
    rng, rule = np.random.default_rng(0), EquilibriumPropagation(100, 100, 0.01)
    params, shapes = network.init(net, rng, (6, 6, 2), "float64")
    params = tree_map(lambda w: w * (0.5 if w.shape[0] == 6 else 1), params)
    x, y = rng.standard_normal((5, 6, 6, 2)), np.eye(3)[rng.integers(3, size=5)]
    assert rule.init(rng, net, params, shapes) is None
    tape = rule.forward(net, params, None, x)
    again = rule.settle(net, params, tape.h[:-1], 1)
    assert_close(again, tape.h[:-1])
    grads, step = rule.credit(net, params, None, tape, y).grads, 1e-5
    direction = like(params, rng)
    moved = [tree_map(lambda w, v, at=at: w + at * v, params, direction) for at in (step, -step)]
    values = [net.value(rule.forward(net, there, None, x).output, y) for there in moved]
    assert abs(inner(grads, direction) - (values[0] - values[1]) / (2 * step)) < 1e-3 * abs(inner(grads, direction))


@pytest.mark.parametrize("block", [
    Dense(4), Sequential((Dense(4), Activation("tanh"), Dense(4), Activation("tanh"))),
    Sequential((Dense(4), BatchNorm(), Activation("tanh"))), Residual(Sequential((Dense(5), Activation("tanh")))),
    Sequential(())])
def test_a_block_that_cannot_settle_is_refused_in_one_sentence(block):
    net = Network((block, Dense(3)))
    params, shapes = network.init(net, np.random.default_rng(0), (5,), "float64")
    with pytest.raises(InputError, match="^equilibrium propagation needs hidden blocks of dense, .* but block 1 is "):
        EquilibriumPropagation().init(np.random.default_rng(0), net, params, shapes)
