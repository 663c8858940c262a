"""Sign-concordant feedback: the signs of W with other magnitudes."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case
from tolerance import assert_close, bound

from nobackprop import learn
from nobackprop.feedback import weights
from nobackprop.kernels import linear
from nobackprop.optim import SGD
from nobackprop.rules import RULES
from nobackprop.tree import leaves, tree_map

seeds = st.integers(0, 2**32 - 1)
every_kind = pytest.mark.parametrize("name", ["usf", "frsf", "brsf"])


def arrays(tree):
    return [array for _, array in leaves(tree)]


def carried(case: Case) -> list[np.ndarray]:
    """The matrices that carry the error down, from the first block that does."""
    used = []
    product = linear.feedback

    def noted(B: np.ndarray, delta: np.ndarray) -> np.ndarray:
        used.append(B)
        return product(B, delta)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "feedback", noted)
        case.grads()
    return used[::-1]


@every_kind
@given(seed=seeds)
def test_feedback_has_the_signs_of_w_and_magnitudes_of_its_own(name, seed):
    case = Case(RULES[name], seed)
    W, M = arrays(weights(case.params))[1:], arrays(case.state)[1:]
    W[0][0, 0] = 0.0
    for B, w, m in zip(carried(case), W, M, strict=True):
        np.testing.assert_array_equal(np.sign(B), np.sign(w))
        np.testing.assert_array_equal(np.abs(B), np.where(w == 0, 0, m))
        assert (m > 0).all()


@every_kind
@given(seed=seeds)
def test_what_each_block_hears(name, seed):
    case = Case(RULES[name], seed)
    tape, grads = case.tape(), case.grads()
    W, M = arrays(weights(case.params)), arrays(case.state)
    delta = case.net.error(tape.output, case.y)
    for i in reversed(range(3)):
        delta = (delta @ (M[i + 1] * np.sign(W[i + 1]))) * (1 - tape.h[i + 1]**2)  # LAS (14)
        assert_close(grads[i][0]["b"], delta.sum(0), of=delta)                     # LAS (14)


@every_kind
@given(seed=seeds)
def test_the_size_of_a_weight_is_not_transported(name, seed):
    """If the forward weights are scaled by positive numbers, neuron by neuron, the signals stay, bit for bit."""
    case = Case(RULES[name], seed)
    tape, before = case.tape(), case.grads()
    scaled = tree_map(lambda w: w * case.rng.uniform(0.1, 10, w.shape[0]).reshape(-1, *[1] * (w.ndim - 1)), case.params)
    after = case.rule.credit(case.net, scaled, case.state, tape, case.y).grads
    for u, v in zip(arrays(before), arrays(after), strict=True):
        np.testing.assert_array_equal(u, v)                                        # LAS (14)
    flipped = tree_map(lambda w: -w, case.params)
    other = case.rule.credit(case.net, flipped, case.state, tape, case.y).grads
    assert not np.array_equal(before[0][0]["W"], other[0][0]["W"])


@given(seed=seeds)
def test_with_the_magnitudes_of_w_it_is_backpropagation(seed):
    case = Case(RULES["frsf"], seed)
    case.state = tree_map(abs, weights(case.params))
    true = RULES["bp"].credit(case.net, case.params, None, case.tape(), case.y).grads
    for u, v in zip(arrays(case.grads()), arrays(true), strict=True):
        np.testing.assert_array_equal(u, v)                                        # LAS (14)


def test_the_uniform_kind_has_one_magnitude_a_layer():
    case = Case(RULES["usf"], 0)
    for w, m in zip(arrays(weights(case.params)), arrays(case.state), strict=True):
        assert set(m.ravel()) == {w.shape[1] ** -0.5}


@given(seed=seeds)
def test_the_batch_wise_kind_draws_anew_before_every_step_and_keeps_nothing(seed):
    case = Case(RULES["brsf"], seed)
    kept = [m.copy() for m in arrays(case.state)]
    first, second = (arrays(case.rule.refresh(case.rng, case.state)) for _ in range(2))
    for m, u, v in zip(kept, first, second, strict=True):
        assert u.shape == m.shape and u.dtype == m.dtype and (u > 0).all() and (v > 0).all()
        assert not (u == m).any() and not (u == v).any()
    for name, redrawn in (("brsf", True), ("frsf", False)):
        case.rule = RULES[name]
        expected = case.grads()[0][0]["W"]
        W = case.params[0][0]["W"].copy()
        opts = SGD(case.params, lr=1.0), SGD(case.state, lr=1.0)
        learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
        assert (np.abs(W - case.params[0][0]["W"] - expected).max() <= bound(W, W)) != redrawn
    for m, now in zip(kept, arrays(case.state), strict=True):
        np.testing.assert_array_equal(m, now)
