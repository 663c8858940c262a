"""The weight mirror: which noise makes B rest at W, and which noise does not.

Noise of an exact second moment takes the place of drawn noise, so that nothing here is true on average only.
"""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case
from tolerance import assert_close, assert_zero

from nobackprop.feedback import weights
from nobackprop.kernels import linear
from nobackprop.kernels.activation import relu
from nobackprop.optim import SGD
from nobackprop.rules import RULES, WeightMirror
from nobackprop.tree import leaves

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 6)
sigmas = st.floats(0.1, 3.0)


class Whitened(np.random.Generator):
    """Normal noise that is made white: u^T u / N = I exactly, up to rounding, for N >= F."""

    def __init__(self, seed: int):
        super().__init__(np.random.PCG64(seed))

    def standard_normal(self, shape):
        q, _ = np.linalg.qr(super().standard_normal(shape))
        return np.sqrt(shape[0]) * q


class Given(Whitened):
    """A generator that returns the noise which the test gives it, for one layer."""

    def __init__(self, noise: np.ndarray):
        super().__init__(0)
        self.noise = noise

    def standard_normal(self, shape):
        assert self.noise.shape == shape
        return self.noise


def axes(n: int) -> np.ndarray:
    """{+-sqrt(n) e_j}: zero mean, white, and symmetric."""
    return np.sqrt(n) * np.concatenate([np.eye(n), -np.eye(n)])


def cos(u, v) -> float:
    return (u * v).sum() / np.sqrt((u * u).sum() * (v * v).sum())


def pair(seed: int, rows: int, n: int):
    rng = np.random.default_rng(seed)
    return rng, rng.standard_normal((rows, n)), rng.standard_normal((rows, n))


# The theorem

@given(seed=seeds, rows=sizes, n=sizes, sigma=sigmas)
def test_white_noise_carries_the_weights(seed, rows, n, sigma):
    """E[(W x) x^T] = sigma^2 W; after a ReLU without bias half of that, because x and -x are equally likely."""
    _, W, _ = pair(seed, rows, n)
    x = sigma * axes(n)
    out = linear.forward(W, x)                                                     # ASAP (2.1)
    assert_close(linear.outer(out, x) / len(x), sigma**2 * W, slack=64)            # ASAP (2.6)
    assert_close(linear.outer(relu(out), x) / len(x), sigma**2 * W / 2, slack=64)


@given(seed=seeds, rows=sizes, n=sizes, sigma=sigmas)
def test_the_mirrors_gradient_is_b_minus_w(seed, rows, n, sigma):
    _, W, B = pair(seed, rows, n)
    rule = WeightMirror(sigma=sigma, samples=2 * n)
    assert_close(rule.mirror(B, W, Given(axes(n))), B - W, of=[B, W])              # ASAP (2.6)
    assert_zero(rule.mirror(W, W, Given(axes(n))), of=W)                           # ASAP (2.6)


@given(seed=seeds, eta=st.floats(0.05, 1.0), steps=st.integers(1, 20))
def test_in_a_network_every_b_goes_straight_to_its_w(seed, eta, steps):
    case, rng = Case(RULES["wm"], seed), Whitened(seed)
    before = [b.copy() for _, b in leaves(case.state)]
    opt = SGD(case.state, lr=eta)
    for _ in range(steps):
        opt(case.rule.align(case.net, case.params, case.state, case.tape(), case.y, rng))
    for b0, (_, b), (_, W) in zip(before, leaves(case.state), leaves(weights(case.params)), strict=True):
        assert_close(b - W, (1 - eta)**steps * (b0 - W), of=[b0, W])               # ASAP (2.6)


@given(seed=seeds)
def test_the_mirror_sees_neither_the_batch_nor_the_target_nor_a_bias(seed):
    case = Case(RULES["wm"], seed)
    bare = Case(RULES["wm"], seed, biases=False)
    with_task = case.rule.align(case.net, case.params, case.state, case.tape(), case.y, np.random.default_rng(seed))
    bare.params = weights(case.params)
    without = case.rule.align(case.net, bare.params, case.state, None, None, np.random.default_rng(seed))
    for (_, u), (_, v) in zip(leaves(with_task), leaves(without), strict=True):
        np.testing.assert_array_equal(u, v)


@given(seed=seeds)
def test_its_engage_mode_is_feedback_alignment(seed):
    case = Case(RULES["wm"], seed)
    fa = RULES["fa"].credit(case.net, case.params, case.state, case.tape(), case.y)
    for (_, u), (_, v) in zip(leaves(case.grads()), leaves(fa.grads), strict=True):
        np.testing.assert_array_equal(u, v)


# The cases in which it fails

@given(seed=seeds, n=st.integers(2, 6))
def test_noise_with_a_mean_rests_elsewhere(seed, n):
    """B rests at W (I + m m^T)."""
    rng, W, B = pair(seed, 4, n)
    m = 1 + rng.random(n)
    found = B - WeightMirror(samples=2 * n).mirror(B, W, Given(axes(n) + m))
    assert_close(found, W @ (np.eye(n) + np.outer(m, m)))                          # ASAP (2.6)
    assert np.abs(found - W).max() > 1e-3


@given(seed=seeds, n=st.integers(2, 6))
def test_noise_of_unequal_variances_rests_elsewhere(seed, n):
    """B rests at W Sigma, which differs from W in direction, not only in length."""
    rng, W, B = pair(seed, 4, n)
    s = np.linspace(0.2, 3, n)
    found = B - WeightMirror(samples=2 * n).mirror(B, W, Given(axes(n) * s))
    assert_close(found, W * s**2)                                                  # ASAP (2.6)
    assert cos(found, W) < 1 - 1e-6


@given(seed=seeds, n=st.integers(2, 6))
def test_a_bias_before_a_relu_bends_what_arrives(seed, n):
    """So noise is measured before the bias and f."""
    rng, W, _ = pair(seed, 4, n)
    x, bias = axes(n), np.linspace(-2, 2, 4) * np.sqrt(n) * np.abs(W).max()
    behind = linear.outer(relu(linear.forward(W, x) + bias), x) / len(x)           # ASAP (2.1)
    # a unit that its bias keeps off says nothing; a unit that is always on says W; the others say W / 2
    assert_zero(behind[0], of=W)
    assert_close(behind[-1], W[-1], of=W)


@given(seed=seeds, n=st.integers(2, 6), steps=st.integers(1, 60), eta=st.floats(1e-3, 0.5))
def test_the_printed_sign_leads_to_minus_w_and_without_decay_there_is_no_end(seed, n, steps, eta):
    _, W, _ = pair(seed, 4, n)
    B = {"as printed": np.zeros_like(W), "with decay": np.zeros_like(W)}
    opts = {name: SGD({"W": b}, lr=eta, weight_decay=float(name == "with decay")) for name, b in B.items()}
    for _ in range(steps):
        h_in = axes(n)
        g = linear.outer(linear.forward(W, h_in), h_in) / len(h_in)                # ASAP (2.6)
        for opt in opts.values():
            opt({"W": g})
    assert_close(B["as printed"], -steps * eta * W)
    assert_close(B["with decay"], -(1 - (1 - eta)**steps) * W)
    assert cos(B["as printed"], W) == pytest.approx(-1)
