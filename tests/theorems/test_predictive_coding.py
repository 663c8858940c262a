"""Predictive coding: when it is backpropagation, what it settles to, and how fast a nudge's error shrinks."""
from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, inner, like, slope
from tolerance import assert_close, assert_zero, size

from nobackprop import network
from nobackprop.feedback import draw_like, gaussian, with_feedback
from nobackprop.layers import Activation, BatchNorm, Conv, Dense, Dropout, Flatten, MaxPool, Residual, Sequential
from nobackprop.network import Network
from nobackprop.rules import (
    BP,
    FA,
    RULES,
    ZIL,
    CentredPredictiveCoding,
    FixedPrediction,
    PredictiveCoding,
)
from nobackprop.tree import leaves, tree_map

seeds = st.integers(0, 2**32 - 1)
SIZES = (6, 5, 5, 4)
BLOCKS = len(SIZES) + 1


def true(case):
    """The gradients of backpropagation in a case of another rule."""
    return BP().credit(case.net, case.params, None, case.tape(), case.y).grads


def scaled(grads, factor):
    """The gradients of each block times factor(k), k being the number of blocks above it."""
    return [tree_map(lambda g, i=i: factor(len(grads) - 1 - i) * g, tree) for i, tree in enumerate(grads)]


# Z-IL

@given(seed=seeds, activation=st.sampled_from(["tanh", "relu", "gelu"]),
       loss=st.sampled_from(["cross_entropy", "squared"]))
def test_zil_is_backpropagation(seed, activation, loss):
    case = Case(ZIL(), seed, sizes=SIZES, activation=activation, loss=loss)
    assert_close(case.grads(), true(case), of=size(true(case), case.x))


IMAGES = Network((Sequential((Conv(4, 3, pad=1), BatchNorm(), Activation("relu"), MaxPool(2))),
                  Sequential((Residual(Sequential((Conv(4, 3, pad=1), Activation("tanh")))), Activation("relu"))),
                  Sequential((Flatten(), Dense(7), Activation("tanh"), Dropout(0.3))), Dense(3)))


@given(seed=seeds)
def test_zil_is_backpropagation_through_convolutions_and_residual_blocks(seed):
    rng = np.random.default_rng(seed)
    params, _ = network.init(IMAGES, rng, (6, 6, 2), "float64")
    x, y = rng.standard_normal((5, 6, 6, 2)), np.eye(3)[rng.integers(3, size=5)]
    tape = network.forward(IMAGES, params, x, rng=rng)
    ours, theirs = (rule.credit(IMAGES, params, None, tape, y).grads for rule in (ZIL(), BP()))
    assert_close(ours, theirs, of=size(theirs, tape.h))


@given(seed=seeds, gamma=st.floats(0.05, 2), activation=st.sampled_from(["tanh", "relu"]))
def test_zil_with_any_gamma_is_backpropagation_times_a_power_of_it(seed, gamma, activation):
    case = Case(ZIL(gamma), seed, sizes=SIZES, activation=activation)
    # the error of a block is the difference of two activities, and is rounded as these are
    assert_close(case.grads(), scaled(true(case), lambda k: gamma**k), of=size(case.tape().h, true(case)))


def test_zil_does_not_equal_backpropagation_once_the_activities_have_moved_on():
    """The block above has learnt when the error was there; a step later its prediction is another one."""
    case = Case(ZIL(), 0, sizes=SIZES)
    late = PredictiveCoding(steps=BLOCKS - 1, gamma=1.0).credit(case.net, case.params, None, case.tape(), case.y).grads
    exact = true(case)
    assert np.abs(late[-1]["W"] - exact[-1]["W"]).max() > 0.01 * np.abs(exact[-1]["W"]).max()


# Fixed prediction

def heads(steps: int, gamma: float, k: int) -> float:
    """P(Bin(steps, gamma) >= k)."""
    return sum(comb(steps, n) * gamma**n * (1 - gamma)**(steps - n) for n in range(k, steps + 1))


@given(seed=seeds, steps=st.integers(1, 12), gamma=st.floats(0.01, 1), activation=st.sampled_from(["tanh", "relu"]))
def test_fixed_prediction_follows_the_law_of_coins(seed, steps, gamma, activation):
    case = Case(FixedPrediction(steps, gamma), seed, sizes=SIZES, activation=activation)
    assert_close(case.grads(), scaled(true(case), lambda k: heads(steps, gamma, k)), of=size(true(case)))


@pytest.mark.parametrize("steps", [BLOCKS - 1, 20])
@given(seed=seeds)
def test_fixed_prediction_with_whole_steps_is_backpropagation_bit_for_bit(steps, seed):
    case = Case(FixedPrediction(steps, 1.0), seed, sizes=SIZES)
    for (_, u), (_, v) in zip(leaves(case.grads()), leaves(true(case)), strict=True):
        np.testing.assert_array_equal(u, v)


@given(seed=seeds)
def test_fixed_prediction_with_too_few_steps_leaves_the_lowest_blocks_as_they_are(seed):
    case = Case(FixedPrediction(2, 1.0), seed, sizes=SIZES)
    still = [i for i, tree in enumerate(case.grads()) if not any(g.any() for _, g in leaves(tree))]
    assert still == list(range(BLOCKS - 3))


@given(seed=seeds)
def test_fixed_prediction_through_other_weights_is_feedback_alignment(seed):
    case = Case(FixedPrediction(20, 1.0), seed, sizes=SIZES)
    B = draw_like(np.random.default_rng([seed, 3]), case.params, gaussian)
    ours = case.rule.credit(case.net, with_feedback(case.params, B), None, case.tape(), case.y).grads
    theirs = FA().credit(case.net, case.params, B, case.tape(), case.y).grads
    for (_, u), (_, v) in zip(leaves(ours), leaves(theirs), strict=True):
        np.testing.assert_array_equal(u, v)


# The equilibrium of linear predictive coding

def linear(seed, beta=1.0):
    """A linear case with squared loss, its W's, the products P_i = W_L .. W_{i+1}, and the Hessian of F."""
    case = Case(RULES["pc"], seed, sizes=(5, 4, 4), activation="identity", loss="squared")
    W = [w for _, w in leaves(case.params) if w.ndim == 2]
    P = [np.eye(len(W[-1]))]
    for w in reversed(W[1:]):
        P.insert(0, P[0] @ w)
    # F = |A x - c|^2 / 2 in the hidden activities: row i of A is the identity at i and -W_i at i - 1
    cut = np.cumsum([0, *(len(w) for w in W[:-1])])
    A = np.eye(cut[-1])
    for i, w in enumerate(W[1:-1], start=1):
        A[cut[i]:cut[i + 1], cut[i - 1]:cut[i]] = -w
    top = np.zeros((len(W[-1]), cut[-1]))
    top[:, cut[-2]:] = np.sqrt(beta) * W[-1]
    return case, P, A.T @ A + top.T @ top


def settled(case, start, gamma, beta, steps):
    """The hidden activities, side by side, after so many steps from these."""
    rule, cut = PredictiveCoding(steps, float(gamma), beta), np.cumsum([len(W) for W in start])[:-1]
    tape = replace(case.tape(), h=[case.x, *np.split(np.vstack(start).T, cut, axis=1), case.y])
    return np.hstack(rule.settle(case.net, case.params, tape, case.y, beta)[1:]).T


def equilibrium(case, P, beta):
    """The eps_i of the theorem, i = 1, ..., L, and the activities that have them; one column a sample."""
    S, r = sum(p @ p.T for p in P), (case.y - case.tape().output).T
    nudged = np.linalg.solve(np.eye(len(S)) + beta * (S - np.eye(len(S))), r)
    eps, x = [beta * p.T @ nudged for p in P], [case.x.T]
    for block, e in zip(case.params[:-1], eps, strict=False):
        x.append(block[0]["W"] @ x[-1] + block[0]["b"][:, None] + e)
    return eps, x[1:]


@pytest.mark.slow
@given(seed=seeds, beta=st.floats(0.05, 2))
def test_the_equilibrium_of_linear_predictive_coding(seed, beta):
    """There a step moves nothing, the output misses the target by r', and the gradients are the derivatives of F*."""
    case, P, H = linear(seed, beta)
    eps, x = equilibrium(case, P, beta)
    scale = size(x, eps, case.tape().h, case.y) * max(1.0, np.linalg.norm(H, 2))
    assert_close(settled(case, x, 1.0, beta, 1), np.vstack(x), of=scale)
    case.rule, tape = PredictiveCoding(1, 1.0, beta), case.tape()
    own = network.apart(case.net, case.params, [case.x, *(h.T for h in x)])
    found = [h.T - mu for h, mu in zip(x, own.h[1:], strict=False)] + [beta * (case.y - own.output)]
    assert_close(found, [e.T for e in eps], of=scale)
    # the energy there, F*, and the gradients, which are its derivatives
    energy = sum((eps**2).sum() for eps in found[:-1]) / 2 + (found[-1]**2).sum() / beta / 2

    def least(params):
        W = [w for _, w in leaves(params) if w.ndim == 2]
        products, p = [np.eye(len(W[-1]))], np.eye(len(W[-1]))
        for w in reversed(W[1:]):
            p = p @ w
            products.append(p)
        total = np.eye(len(p)) + beta * (sum(q @ q.T for q in products) - np.eye(len(p)))
        r = case.y - network.forward(case.net, params, case.x).output
        return beta * (r * np.linalg.solve(total, r.T).T).sum() / 2 / len(r)
    assert_close(energy / len(case.y), float(least(case.params)))
    direction = like(case.params, np.random.default_rng([seed, 5]))
    expected = slope(least, case.params, direction) / beta
    grads = case.rule.credit(case.net, case.params, None, replace(tape, h=[case.x, *(h.T for h in x), own.output]),
                             case.y).grads
    assert_close(inner(grads, direction), expected, of=size(grads) * size(direction) * scale * 100 / beta)


@given(seed=seeds, beta=st.floats(0.05, 2), factor=st.floats(0.05, 2.2), steps=st.integers(1, 20))
def test_from_every_start_the_distance_to_it_is_multiplied_by_one_matrix(seed, beta, factor, steps):
    """x - x* is multiplied by I - gamma H in each step, whose eigenvalues lie within 1 if gamma lambda < 2."""
    case, P, H = linear(seed, beta)
    x = np.vstack(equilibrium(case, P, beta)[1])
    start = [5 * case.rng.standard_normal((len(p.T), len(case.x))) for p in P[:-1]]
    gamma = factor / np.linalg.eigvalsh(H)[-1]
    step = np.linalg.matrix_power(np.eye(len(H)) - gamma * H, steps)
    assert_close(settled(case, start, gamma, beta, steps), x + step @ (np.vstack(start) - x),
                 of=size(x, start) * 1.2**steps * 10)


@pytest.mark.slow
def test_too_long_a_step_of_the_activities_diverges():
    case, P, H = linear(3)
    x, top = np.vstack(equilibrium(case, P, 1.0)[1]), np.linalg.eigvalsh(H)[-1]
    start = [0 * h.T for h in case.tape().h[1:-1]]
    assert size(settled(case, start, 1.9 / top, 1.0, 600) - x) < 1e-6 * size(x)
    assert size(settled(case, start, 2.1 / top, 1.0, 600)) > 1e20


# The error of a nudge

@pytest.mark.slow
def test_the_error_of_one_nudge_falls_as_beta_and_that_of_two_as_its_square():
    case = Case(RULES["pc"], 0, sizes=(5, 4))
    exact, off = true(case), {PredictiveCoding: [], CentredPredictiveCoding: []}
    for kind, found in off.items():
        for beta in (0.2, 0.1, 0.05):
            grads = kind(400, 0.4, beta).credit(case.net, case.params, None, case.tape(), case.y).grads
            found.append(max(np.abs(u - v).max() for (_, u), (_, v) in zip(leaves(grads), leaves(exact), strict=True)))
    for kind, order in ((PredictiveCoding, 1), (CentredPredictiveCoding, 2)):
        rates = -np.diff(np.log2(off[kind]))
        assert (abs(rates - order) < 0.25).all(), (kind, rates)
    assert (np.array(off[CentredPredictiveCoding]) < np.array(off[PredictiveCoding])).all()


# A saddle that is not strict

def test_a_saddle_of_the_settled_energy_that_is_not_strict():
    """F* = (1 + w1^2 w2^2) / (2 (1 + w2^2)): at (1, 0) all second derivatives are 0, and F* - 1/2 changes its sign."""
    def energy(w1, w2):
        return (1 + w1**2 * w2**2) / (2 * (1 + w2**2))
    # the scalar network y = w2 w1 x with mean x = 0: x = 1, y* = 1 and x = 1, y* = -1, one half each
    for w1, w2 in ((0.3, -0.7), (1.2, 0.4)):
        net = Network((Dense(1), Dense(1)), "squared")
        params = [{"W": np.array([[w1]]), "b": np.zeros(1)}, {"W": np.array([[w2]]), "b": np.zeros(1)}]
        x, y = np.ones((2, 1)), np.array([[1.0], [-1.0]])
        rule = PredictiveCoding(steps=500, gamma=1 / (1 + w2**2))
        h = rule.settle(net, params, network.forward(net, params, x), y, 1.0)
        own = network.apart(net, params, h)
        settled = (((h[1] - own.h[1])**2).sum() + ((own.output - y)**2).sum()) / 4
        assert_close(settled, energy(w1, w2))
    t = np.array([1e-3, -1e-3])
    assert_zero(energy(1 + t, 0.0) - 0.5, of=1.0)
    assert energy(1 + 0.01, 0.01) > 0.5 > energy(1 - 0.01, 0.01)
    # no second derivative: what is left is of the third order
    for u, v in ((1.0, 1.0), (1.0, -1.0), (0.0, 1.0)):
        deviations = [abs(energy(1 + s * u, s * v) - 0.5) for s in (1e-2, 1e-3)]
        assert deviations[1] < 2e-3 * deviations[0] + 1e-15
    # the origin: a slope of the second order along w2, and no point near it is higher
    assert_close((energy(0.0, 1e-4) - 0.5) / 1e-8, -0.5, of=1e8)
    w1, w2 = np.meshgrid(np.linspace(-0.9, 0.9, 19), np.linspace(-2, 2, 21))
    assert (energy(w1, w2) <= 0.5 + 1e-15).all()
