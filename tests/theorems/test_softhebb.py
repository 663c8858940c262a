"""SoftHebb: its step holds the lengths of weights, and reads nothing but a block's own input and output."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, like
from tolerance import assert_close

from nobackprop import network
from nobackprop.errors import InputError
from nobackprop.kernels.unfold import unfold
from nobackprop.layers import Activation, Conv, Dense, Flatten, GlobalPool, Sequential
from nobackprop.network import Network
from nobackprop.rules import SoftHebb
from nobackprop.tree import tree_map

seeds = st.integers(0, 2**32 - 1)
taus = st.sampled_from([0.1, 1.0, 10.0])


def competition(x, W, tau):
    """u and r (N, n) for inputs x (N, K) and weights W (n, K), written out."""
    u = x @ W.T
    r = np.exp((u - u.max(-1, keepdims=True)) / tau)
    return u, r / r.sum(-1, keepdims=True)


@given(seed=seeds, tau=taus, activation=st.sampled_from(["relu", "tanh"]))
def test_the_step_along_a_weight_vanishes_at_length_1(seed, tau, activation):
    case = Case(SoftHebb(tau), seed, activation=activation, biases=False)
    tape, grads = case.tape(), case.grads()
    for p, h, g in zip(case.params[:-1], tape.h, grads, strict=False):
        W, step = p[0]["W"], -g[0]["W"]
        u, r = competition(h, W, tau)
        expected = (r * u).mean(0) * (1 - (W**2).sum(1))
        assert_close((W * step).sum(1), expected, of=np.abs(u).max() * (1 + (W**2).sum(1).max()))


@given(seed=seeds, tau=taus)
def test_each_step_is_what_the_paper_adds_up(seed, tau):
    """Sample by sample and unit by unit."""
    case = Case(SoftHebb(tau), seed, biases=False)
    x, W = case.x, case.params[0][0]["W"]
    u, r = competition(x, W, tau)
    step = sum(r[n, :, None] * (x[n] - u[n, :, None] * W) for n in range(len(x))) / len(x)
    assert_close(-case.grads()[0][0]["W"], step, of=np.abs(x).max() + np.abs(u).max() * np.abs(W).max())


@given(seed=seeds, tau=taus)
def test_in_a_convolution_every_position_is_a_sample(seed, tau):
    rng = np.random.default_rng(seed)
    net = Network((Sequential((Conv(4, 3, 1, 1), Activation("relu"))), Sequential((Flatten(), Dense(3)))))
    params, shapes = network.init(net, rng, (4, 4, 2), "float64")
    x, y, rule = rng.standard_normal((3, 4, 4, 2)), np.eye(3), SoftHebb(tau)
    rule.init(rng, net, params, shapes)
    W, patches = params[0][0]["W"], unfold(x, 3, 1, 1)
    patches = patches.reshape(-1, patches.shape[-1])
    u, r = competition(patches, W, tau)
    step = (r.T @ patches - (r * u).sum(0)[:, None] * W) / len(patches)
    found = rule.credit(net, params, None, network.forward(net, params, x), y).grads[0][0]["W"]
    assert_close(-found, step, of=np.abs(patches).max() * (1 + np.abs(W).max()))


@given(seed=seeds, tau=taus)
def test_the_biases_hold_the_sum_of_their_exponentials(seed, tau):
    case = Case(SoftHebb(tau), seed)
    for p, g in zip(case.params[:-1], case.grads(), strict=False):
        b = p[0]["b"]
        assert_close(g[0]["b"].sum(), np.exp(b).mean() - 1, of=1 + np.exp(b).max())


def test_with_equal_shares_biases_of_0_stay():
    """All units have the same weights, so all win alike."""
    case = Case(SoftHebb(), 0, biases=False)
    case.params[0] = tree_map(lambda w: w * 0 + w[:1], case.params[0])
    assert_close(case.grads()[0][0]["b"], np.zeros(6), of=1 / 6)


@given(seed=seeds)
def test_hidden_blocks_read_no_target_and_no_other_block(seed):
    case, rng = Case(SoftHebb(), seed), np.random.default_rng(seed)
    before = case.grads()
    case.y, case.params[2:] = case.y[:, ::-1].copy(), [like(p, rng) for p in case.params[2:]]
    after = case.grads()
    for i in range(2):
        np.testing.assert_array_equal(before[i][0]["W"], after[i][0]["W"])
    assert np.abs(before[2][0]["W"] - after[2][0]["W"]).max() > 0


@pytest.mark.parametrize("sign, nearer", [(1, True), (-1, False)])
def test_lengths_go_to_1_only_if_the_wins_are_positive(sign, nearer):
    """A weight of length 2, and one input along it or against it."""
    rng = np.random.default_rng(0)
    net = Network((Sequential((Dense(2), Activation("relu"))), Dense(3)))
    params, _ = network.init(net, rng, (4,), "float64")
    w = np.array([2.0, 0.0, 0.0, 0.0])
    params[0][0]["W"] = np.stack([w, w])
    x = np.array([[sign * 1.0, 0.0, 0.0, 0.0]])
    step = -SoftHebb().credit(net, params, None, network.forward(net, params, x), np.eye(3)[:1]).grads[0][0]["W"]
    assert ((w @ step[0]) < 0) == nearer


@pytest.mark.parametrize("block", [
    Sequential((GlobalPool(), Activation("relu"))),
    Sequential((GlobalPool(), Dense(4), Activation("relu"), Dense(4))),
])
def test_a_block_without_one_row_for_each_unit_is_refused(block):
    net = Network((block, Sequential((Flatten(), Dense(3)))))
    rng = np.random.default_rng(0)
    params, shapes = network.init(net, rng, (4, 4, 2), "float64")
    with pytest.raises(InputError, match="softhebb needs one layer with weights in each hidden block"):
        SoftHebb().init(rng, net, params, shapes)


def test_what_a_block_wins_moves_with_the_block_below():
    case = Case(SoftHebb(), 0)
    before = case.grads()
    case.params[0] = tree_map(lambda w, g: w - 0.1 * g, case.params[0], before[0])
    assert np.abs(case.grads()[1][0]["W"] - before[1][0]["W"]).max() > 1e-3
