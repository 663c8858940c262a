"""Dual propagation: a chord of f is its tangent where f is a line between its ends, and nearly so elsewhere."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from networks import Case
from tolerance import assert_close, size

from nobackprop import metrics, network
from nobackprop.layers import Activation, BatchNorm, Conv, Dense, Dropout, Flatten, MaxPool, Residual, Sequential
from nobackprop.network import Network
from nobackprop.rules import BP, DualPropagation
from nobackprop.tree import leaves

seeds = st.integers(0, 2**32 - 1)
SIZES = (6, 5, 4)


def true(case):
    return BP().credit(case.net, case.params, None, BP().forward(case.net, case.params, None, case.x), case.y).grads


def inputs(case):
    """a of every hidden block."""
    return [cache[-1] for cache in case.rule.forward(case.net, case.params, None, case.x).caches[:-1]]


def bound(case) -> float:
    """The beta at which the first chord reaches the kink of relu at 0."""
    heard: list[Any] = metrics.signals(case.net, BP(), case.params, None, case.x, case.y)
    return min((float(2 * abs(u) / (len(d) * abs(v))) for a, d in zip(inputs(case), heard[:-1], strict=True)
                for u, v in zip(a[d != 0], d[d != 0], strict=True)), default=np.inf)


@given(seed=seeds, activation=st.sampled_from(["relu", "leaky_relu"]), share=st.floats(0.3, 0.99))
def test_it_is_backpropagation_up_to_a_finite_nudge(seed, activation, share):
    case = Case(DualPropagation(), seed, sizes=SIZES, activation=activation)
    beta = share * bound(case)
    assume(1e-6 < beta < np.inf)
    case.rule = DualPropagation(beta)
    # the two states are rounded as a is, and their difference is divided by beta N
    assert_close(case.grads(), true(case), of=size(inputs(case)) * size(case.tape().h) / (beta * len(case.y)))


@given(seed=seeds, activation=st.sampled_from(["relu", "leaky_relu"]))
def test_beyond_that_nudge_it_is_not(seed, activation):
    case = Case(DualPropagation(), seed, sizes=SIZES, activation=activation)
    assume(bound(case) < np.inf)
    case.rule = DualPropagation(2 * bound(case))
    exact = true(case)
    # a block that learns nothing by backpropagation may learn something here, so the scale is that of all gradients
    off = max(np.abs(u - v).max() for (_, u), (_, v) in zip(leaves(case.grads()), leaves(exact), strict=True))
    assert off > 1e-8 * size(exact)


@given(seed=seeds, beta=st.floats(0.1, 1e3))
def test_a_linear_network_bears_any_nudge(seed, beta):
    case = Case(DualPropagation(beta), seed, sizes=SIZES, activation="identity")
    assert_close(case.grads(), true(case), of=size(inputs(case)) * size(case.tape().h) / (beta * len(case.y)))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu"])
def test_under_a_smooth_activation_the_error_falls_as_the_square_of_the_nudge(activation):
    off = []
    for beta in (0.4, 0.2, 0.1, 0.05):
        case = Case(DualPropagation(beta), 0, sizes=SIZES, activation=activation)
        off.append(np.abs(case.grads()[0][0]["W"] - true(case)[0][0]["W"]).max())
    assert (abs(-np.diff(np.log2(off)) - 2) < 0.1).all(), off


def test_it_goes_through_convolutions_pooling_and_residual_blocks():
    net = Network((Sequential((Conv(4, 3, pad=1), BatchNorm(), Activation("relu"), MaxPool(2))),
                   Sequential((Residual(Sequential((Conv(4, 3, pad=1), Activation("relu")))), Activation("relu"))),
                   Sequential((Flatten(), Dense(7), Activation("leaky_relu"), Dropout(0.3))), Dense(3)))
    rng = np.random.default_rng(0)
    params, _ = network.init(net, rng, (6, 6, 2), "float64")
    x, y = rng.standard_normal((5, 6, 6, 2)), np.eye(3)[rng.integers(3, size=5)]
    rule, draws = DualPropagation(1e-4), [np.random.default_rng(1) for _ in range(2)]
    ours, theirs = (r.credit(net, params, None, r.forward(net, params, None, x, draw), y).grads
                    for r, draw in zip((rule, BP()), draws, strict=True))
    assert_close(ours, theirs, of=100 / 1e-4)


def test_the_mean_of_the_two_states_is_the_activity_on_a_line():
    """Which is why weights may learn from the activities of the forward pass."""
    a, half = np.array([2.0, -3.0]), np.array([0.5, 1.0])
    f = Activation("relu")
    states = [f.forward(None, a + sign * half)[0] for sign in (1, -1)]
    np.testing.assert_array_equal(sum(states) / 2, f.forward(None, a)[0])
