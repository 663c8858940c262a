"""Kolen-Pollack: what weight decay alone does to D = W - B if both get the same gradients.

`lam` is the optimiser's weight decay, so that plain descent forgets eta lam a step.
"""
from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from networks import Case
from tolerance import assert_close

from nobackprop import learn
from nobackprop.feedback import weights
from nobackprop.optim import SGD, Adam, Momentum, Optimizer, bind, cosine
from nobackprop.rules import RULES
from nobackprop.tree import leaves, tree_map

seeds = st.integers(0, 2**32 - 1)
forgetting = st.floats(1e-3, 1.0)       # eta lam, the fraction that one step forgets
rates = st.floats(1e-3, 1.0)

DECOUPLED = {
    "sgd": SGD,                         # the optimisers for which coupled and decoupled decay are the same
    "sgd, decoupled": partial(SGD, decoupled=True),
    "momentum": partial(Momentum, decoupled=True),
    "nesterov": partial(Momentum, decoupled=True, nesterov=True),
    "adamw": partial(Adam, decoupled=True),
}


class Pair:
    """W and B from two different starts, and their difference at every step; `largest` is the largest number so far."""

    def __init__(self, optimizer, seed: int, lr: float, weight_decay: float, shape=(3, 4), start: float = 1.0):
        self.rng = np.random.default_rng(seed)
        self.W, self.B = start * self.rng.standard_normal((2, *shape))
        self.opts = [optimizer({"W": w}, lr=lr, weight_decay=weight_decay) for w in (self.W, self.B)]
        self.D, self.largest = [self.W - self.B], 1.0

    def learn(self, gradients) -> Pair:
        for R in gradients:
            for opt in self.opts:
                opt({"W": R})
            self.D.append(self.W - self.B)
            self.largest = max(self.largest, *(np.abs(a).max() for a in (self.W, self.B, R)))
        return self

    def random(self, steps: int):
        """Gradients that depend on neither W nor B, of sizes over six orders of magnitude."""
        for _ in range(steps):
            yield self.rng.standard_normal(self.W.shape) * 10 ** self.rng.uniform(-4, 2)

    def ratio(self) -> float:
        return float(np.linalg.norm(self.D[-1]) / np.linalg.norm(self.D[0]))


def cos(u, v) -> float:
    return (u * v).sum() / np.sqrt((u * u).sum() * (v * v).sum())


# Arbitrary gradients

@pytest.mark.parametrize("name", DECOUPLED)
@given(seed=seeds, lr=rates, forgets=forgetting)
def test_the_difference_shrinks_by_one_factor_whatever_the_gradients(name, seed, lr, forgets):
    pair = Pair(DECOUPLED[name], seed, lr, forgets / lr)
    pair.learn(pair.random(20))
    for t, D in enumerate(pair.D):
        np.testing.assert_allclose(D, (1 - forgets)**t * pair.D[0], rtol=0,        # ASAP (2.7)
                                   atol=1e-14 * pair.largest / forgets)


@pytest.mark.parametrize("nesterov", [False, True])
@given(seed=seeds, lr=rates, forgets=forgetting, mu=st.floats(0, 0.95))
def test_under_momentum_with_coupled_decay_it_follows_a_linear_recurrence(nesterov, seed, lr, forgets, mu):
    """(D, eta v) moves by one matrix, where v is the difference of the two momenta."""
    pair = Pair(partial(Momentum, mu=mu, nesterov=nesterov), seed, lr, forgets / lr)
    pair.learn(pair.random(20))
    v = np.array([forgets, mu])
    step = np.array([[1, 0] - (forgets * np.array([1, 0]) + mu * v if nesterov else v), v])
    for t, D in enumerate(pair.D):
        np.testing.assert_allclose(D, np.linalg.matrix_power(step, t)[0, 0] * pair.D[0], rtol=0,
                                   atol=1e-12 * pair.largest / forgets)


@pytest.mark.parametrize("optimizer, bound, left, grown", [
    (SGD, 2.0, 0.96**300, 1.1**300), (partial(Momentum, mu=0.9), 3.8, 7.97e-7, 6.24e51),
    (partial(Momentum, mu=0.9, nesterov=True), 3.8 / 2.8, 2.575e-8, 3.014e17)], ids=["sgd", "heavy ball", "nesterov"])
def test_it_vanishes_up_to_a_largest_decay_and_beyond_it_diverges(optimizer, bound, left, grown):
    """At .98 and at 1.05 of the bound, after 300 steps; mu = .9."""
    for share, expected in ((0.98, left), (1.05, grown)):
        pair = Pair(optimizer, 0, 0.1, share * bound / 0.1)
        assert pair.learn([np.zeros((3, 4))] * 300).ratio() == pytest.approx(expected, rel=1e-2, abs=0)


# The characteristic polynomial z^2 - trace z + determinant of (D, eta v), and for which a = eta lam D goes to 0

COUPLED = {
    "heavy ball": (False, lambda mu, a: (1 + mu - a, mu), lambda mu: 2 * (1 + mu)),
    "nesterov": (True, lambda mu, a: ((1 + mu) * (1 - a), mu * (1 - a)), lambda mu: 2 * (1 + mu) / (1 + 2 * mu)),
}


@pytest.mark.parametrize("name", COUPLED)
@given(seed=seeds, lr=rates, a=st.floats(1e-3, 4), mu=st.floats(0, 0.95))
def test_the_difference_obeys_the_recurrence_of_its_polynomial(name, seed, lr, a, mu):
    """D_{t+2} = trace D_{t+1} - determinant D_t, whatever the gradients are."""
    nesterov, polynomial, _ = COUPLED[name]
    pair = Pair(partial(Momentum, mu=mu, nesterov=nesterov), seed, lr, a / lr)
    D, (trace, determinant) = pair.learn(pair.random(12)).D, polynomial(mu, a)
    for D0, D1, D2 in zip(D, D[1:], D[2:], strict=False):
        assert_close(D2, trace * D1 - determinant * D0, of=16 * pair.largest)


@pytest.mark.parametrize("name", COUPLED)
@given(seed=seeds, share=st.floats(0.05, 0.95), mu=st.floats(0, 0.9))
def test_it_vanishes_for_every_decay_below_the_bound(name, seed, share, mu):
    nesterov, _, bound = COUPLED[name]
    pair = Pair(partial(Momentum, mu=mu, nesterov=nesterov), seed, 1.0, share * bound(mu))
    assert pair.learn([np.zeros((3, 4))] * 160).ratio() < 1e-2


@pytest.mark.parametrize("name", COUPLED)
@given(seed=seeds, a=st.floats(1.05, 3).map(lambda share: lambda bound: share * bound)
       | st.floats(-1, -0.05).map(lambda a: lambda bound: a), mu=st.floats(0, 0.9))
def test_it_grows_for_every_decay_beyond_the_bound_or_below_zero(name, seed, a, mu):
    nesterov, _, bound = COUPLED[name]
    pair = Pair(partial(Momentum, mu=mu, nesterov=nesterov), seed, 1.0, a(bound(mu)))
    for _ in range(300):
        if pair.learn([np.zeros((3, 4))]).ratio() > 1e2:
            return
    pytest.fail(f"after 300 steps D is {pair.ratio()} times as large")


@pytest.mark.parametrize("name", COUPLED)
@given(seed=seeds, mu=st.floats(0, 0.9))
def test_at_the_bound_it_stays(name, seed, mu):
    """-1 is a root: D changes its sign for ever.  At a = 0 the root is 1: D stays as it is."""
    nesterov, polynomial, bound = COUPLED[name]
    for a, root in ((0.0, 1), (bound(mu), -1)):
        pair = Pair(partial(Momentum, mu=mu, nesterov=nesterov), seed, 1.0, a)
        pair.learn([np.zeros((3, 4))] * 30)
        assert pair.ratio() > 0.2
        D0, D1, D2 = pair.D[:3]  # the other root is root * determinant
        assert_close(D2 - root * D1, root * polynomial(mu, a)[1] * (D1 - root * D0), of=8 * D0)


@pytest.mark.parametrize("name, low, high, radius", [
    ("heavy ball", lambda mu: (1 - mu**0.5)**2, lambda mu: (1 + mu**0.5)**2, lambda mu, a: mu**0.5),
    ("nesterov", lambda mu: ((1 - mu) / (1 + mu))**2, lambda mu: 1.0, lambda mu, a: (mu * (1 - a))**0.5)])
@given(seed=seeds, share=st.floats(0.05, 0.95), mu=st.floats(0.05, 0.9))
def test_between_these_decays_it_turns_and_shrinks_by_the_root_of_the_determinant(name, low, high, radius, seed, share,
                                                                                  mu):
    """The roots, found from D_0 to D_3: complex between the two decays, real below the one and above the other."""
    inside = low(mu) + share**2 * (high(mu) - low(mu))
    for a, turns in ((inside, True), (1.05 * low(mu), True), (0.95 * high(mu), True), (share * low(mu), False),
                     (0.95 * low(mu), False), (1.05 * high(mu), False)):
        pair = Pair(partial(Momentum, mu=mu, nesterov=COUPLED[name][0]), seed, 1.0, a)
        D = [d[0, 0] / pair.D[0][0, 0] for d in pair.learn([np.zeros((3, 4))] * 3).D]
        trace, determinant = np.linalg.solve([[D[1], -D[0]], [D[2], -D[1]]], D[2:])
        assert (trace**2 < 4 * determinant) == turns
        assert not turns or determinant == pytest.approx(radius(mu, a)**2, rel=0, abs=1e-8)


@given(seed=seeds, mu=st.floats(0, 0.95))
def test_nesterov_forgets_all_in_two_steps_at_the_decay_one(seed, mu):
    pair = Pair(partial(Momentum, mu=mu, nesterov=True), seed, 1.0, 1.0)
    pair.learn(pair.random(6))
    assert_close(pair.D[1], -mu * pair.D[0], of=pair.largest)
    for D in pair.D[2:]:
        assert_close(D, np.zeros((3, 4)), of=16 * pair.largest)


@given(seed=seeds, lam=st.floats(1e-2, 1.0))
def test_a_learning_rate_that_falls_too_fast_leaves_a_difference(seed, lam):
    """D_t is the product of the 1 - eta_t lam; it goes to 0 only if the sum of the eta_t is infinite."""
    pair = Pair(SGD, seed, 0.5, lam)
    for t in range(60):
        for opt in pair.opts:
            opt.lr = 0.5 * 0.5**t
        pair.learn(pair.random(1))
    expected = np.prod(1 - lam * 0.5 * 0.5**np.arange(60))
    assert_close(pair.ratio(), expected, of=pair.largest)
    assert expected > 0.28


@given(seed=seeds, near=st.floats(1e-12, 1e-2))
def test_one_step_that_takes_nearly_all_does_not_spoil_the_series(seed, near):
    """-ln(1 - x) >= x, and it is at most 2 x up to x = 1/2 only: near 1 no multiple of x bounds it.  A finite sum of
    the eta_t leaves a difference all the same, if one of them is near 1 / lam."""
    assert near < -np.log1p(-near) <= 2 * near and -np.log(near) > 2 * (1 - near)
    pair = Pair(SGD, seed, 1.0, 1.0)
    for rate in (1 - near, *0.5**np.arange(1, 60)):
        for opt in pair.opts:
            opt.lr = rate
        pair.learn([np.zeros((3, 4))])
    assert_close(pair.ratio(), near * np.prod(1 - 0.5**np.arange(1, 60)), of=1)
    assert pair.ratio() > 0.28 * near


@pytest.mark.parametrize("lr, left", [(1e-4, 0.98), (3e-3, 0.56), (3e-2, 0.0028)])
def test_over_a_usual_training_it_may_hardly_shrink(lr, left):
    """The thesis's own settings, momentum 0.9, decay 5e-4, cosine, 200 epochs of 391 steps: D never reaches 1e-17."""
    D, u = 1.0, 0.0
    for epoch in range(200):
        for _ in range(391):
            u = 0.9 * u + lr * cosine(epoch / 200) * 5e-4 * D
            D -= u
    assert D == pytest.approx(left, rel=0.05) and (1 - 5e-4)**(200 * 391) < 1e-16


# A network that learns by the rule

@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@given(seed=seeds, forgets=st.floats(1e-3, 0.5))
def test_in_a_network_under_kp_every_difference_shrinks_by_that_factor(optimizer, activation, seed, forgets):
    case, lr = Case(RULES["kp"], seed, activation=activation), 1e-2
    apart = difference(case)
    opts = [bind(optimizer, tree, lr, forgets / lr) for tree in (case.params, case.state)]
    for _ in range(8):
        learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    for D, D0 in zip(difference(case), apart, strict=True):
        assert_close(D, (1 - forgets)**8 * D0, of=1 / forgets)                    # ASAP (2.7)


@given(seed=seeds)
def test_feedback_and_forward_weights_have_one_gradient(seed):
    case = Case(RULES["kp"], seed)
    credit = case.rule.credit(case.net, case.params, case.state, case.tape(), case.y)
    for (path, b), (_, w) in zip(leaves(credit.state), leaves(weights(credit.grads)), strict=True):
        np.testing.assert_array_equal(b, w, err_msg=path)                          # ASAP (2.7)


def difference(case: Case) -> list[np.ndarray]:
    return [D for _, D in leaves(tree_map(np.subtract, weights(case.params), case.state))]


# The cases in which it fails

@given(seed=seeds, lr=rates)
def test_without_decay_the_difference_stays_for_ever(seed, lr):
    """(2.7) in the printed form."""
    pair = Pair(SGD, seed, lr, 0.0)
    pair.learn(pair.random(60))
    np.testing.assert_allclose(pair.D[-1], pair.D[0], rtol=0, atol=1e-14 * 60 * pair.largest)  # ASAP (2.7)


@given(seed=seeds)
def test_without_decay_the_angle_shrinks_all_the_same(seed):
    """The common part of W and B grows, so a test of their cosine would not notice that the decay is missing."""
    pair = Pair(SGD, seed, 1.0, 0.0)
    R = pair.rng.standard_normal(pair.W.shape)
    R *= 10 / np.linalg.norm(R)
    pair.learn([R] * 40)
    assert_close(pair.ratio(), 1, of=pair.largest)
    assert cos(pair.W, pair.B) > 0.99


@pytest.mark.parametrize("seed", range(5))
def test_adam_with_coupled_decay_does_not_keep_it(seed):
    """The decay is scaled like a gradient, so the gradients decide how fast W and B meet."""
    lr, lam, steps = 1e-2, 1.0, 500
    left = {}
    for size in (1e-3, 1e3):
        pair = Pair(Adam, seed, lr, lam)
        left[size] = pair.learn(size * pair.rng.standard_normal(pair.W.shape) for _ in range(steps)).ratio()
    assert left[1e3] > 0.3 > 0.2 > left[1e-3] and left[1e3] > 40 * (1 - lr * lam)**steps


@pytest.mark.slow
@pytest.mark.parametrize("optimizer, g, low, high", [
    (Adam, 0.0, 0.0, 0.1), (Adam, 1.0, 0.93, 0.97), (Adam, 100.0, 0.99999, 1.0),
    (partial(Adam, decoupled=True), 0.0, 0.6065, 0.6066), (partial(Adam, decoupled=True), 1.0, 0.6065, 0.6066),
    (partial(Adam, decoupled=True), 100.0, 0.6065, 0.6066)])
def test_under_adam_the_gradients_decide_what_is_left_and_under_adamw_they_do_not(optimizer, g, low, high):
    """lr 1e-3, lam .1, 5000 steps under a constant gradient; (1 - 1e-4)^5000 = .6065."""
    pair = Pair(optimizer, 0, 1e-3, 0.1, shape=(2, 2))
    assert low <= pair.learn([np.full((2, 2), g)] * 5000).ratio() <= high


def test_under_adam_one_difference_may_move_in_different_ways():
    """W = 2, B = 1 and W = 1, B = 0 with no gradients at all: w moves by lr w / (w + eps), for small eps and large."""
    for eps in (1e-8, 0.5, 10.0):
        for W, B in ((2.0, 1.0), (1.0, 0.0)):
            pair = Pair(partial(Adam, eps=eps), 0, 0.1, 1.0, shape=(1, 1))
            pair.W[:], pair.B[:] = W, B
            pair.learn([np.zeros((1, 1))])
            assert_close((pair.W - pair.B).item(), 1 - 0.1 * (W / (W + eps) - B / (B + eps)))
        assert abs(2 / (2 + eps) - 2 / (1 + eps)) > 0.01


@given(seed=seeds, lr=rates)
def test_adam_without_decay_keeps_the_difference(seed, lr):
    pair = Pair(Adam, seed, lr, 0.0)
    pair.learn(pair.random(40))
    assert_close(pair.D[-1], pair.D[0], of=pair.largest)


@given(seed=seeds)
def test_under_adam_large_gradients_hide_the_decay(seed):
    """The larger the gradients, the less D moves in a given number of steps."""
    gradients = np.random.default_rng(seed).uniform(1, 2, (20, 3, 4))
    moved = []
    for size in (1e2, 1e4, 1e6):
        pair = Pair(Adam, seed, 0.1, 1.0)
        moved.append(np.abs(pair.learn(size * gradients).D[-1] - pair.D[0]).max())
    assert moved[2] < 1e-4 and moved[0] > 10 * moved[1] > 100 * moved[2]


class Sign(Optimizer):
    """Descent by the sign of the gradient."""

    def block_update(self, step):
        def update(w, g, scratch):
            w -= self.lr * np.sign(g)
        return update


@given(seed=seeds, lam=st.floats(0.1, 1))
def test_under_signs_the_difference_stays_while_the_gradient_is_larger_than_the_decay(seed, lam):
    pair = Pair(Sign, seed, 1e-3, lam)
    g = 1.01 * lam * (max(np.abs(pair.W).max(), np.abs(pair.B).max()) + 0.1) * pair.rng.choice([-1, 1], (3, 4))
    pair.learn([g] * 50)
    assert_close(pair.D[-1], pair.D[0], of=pair.largest)
    W, B = pair.W.copy(), pair.B.copy()
    pair.learn([0 * g] * 50)
    # without a gradient each weight walks towards 0; where W and B come from two sides, both walk, and D with them
    apart = (W * B < 0) & (np.minimum(np.abs(W), np.abs(B)) > 0.05)
    assume(apart.any())
    assert_close((pair.D[-1] - pair.D[0])[apart], -0.1 * np.sign(W)[apart], of=pair.largest)


@given(seed=seeds)
def test_clipping_must_come_before_the_decay(seed):
    """If the decay is clipped together with the gradients, W and B do not forget in the same way any more."""
    def train(decay_first: bool) -> float:
        pair, lr, lam = Pair(SGD, seed, 0.1, 0.0, start=10.0), 0.1, 1.0
        pair.W *= 3
        D0 = np.linalg.norm(pair.W - pair.B)
        for R in pair.random(60):
            for w, opt in zip((pair.W, pair.B), pair.opts, strict=True):
                opt({"W": clipped(R + lam * w) if decay_first else clipped(R) + lam * w})
        return float(np.linalg.norm(pair.W - pair.B) / D0 / (1 - lr * lam)**60)

    assert_close(train(decay_first=False), 1, of=0.9**-60)
    assert train(decay_first=True) > 10


@given(seed=seeds)
def test_clipping_by_the_norm_of_a_tree_parts_w_from_b(seed):
    """The tree of the parameters has biases, too, so its norm is larger than that of the tree of feedback weights."""
    def train(norms) -> float:
        case, lr, lam = Case(RULES["kp"], seed), 0.1, 1.0
        apart = difference(case)
        for _ in range(8):
            credit = case.rule.credit(case.net, case.params, case.state, case.tape(), case.y)
            trees = [(case.params, credit.grads), (case.state, credit.state)]
            for (tree, grads), norm in zip(trees, norms([grads for _, grads in trees]), strict=True):
                for (_, w), (_, g) in zip(leaves(tree), leaves(grads), strict=True):
                    w -= lr * (1e-2 * g / (norm or np.linalg.norm(g)) + lam * w)
        return max(float(np.abs(D - (1 - lr * lam)**8 * D0).max())
                   for D, D0 in zip(difference(case), apart, strict=True))

    def size(*trees) -> float:
        return float(np.sqrt(sum((g**2).sum() for tree in trees for _, g in leaves(tree))))

    assert train(lambda trees: [None, None]) < 1e-12            # a norm for each matrix
    assert train(lambda trees: [size(*trees)] * 2) < 1e-12      # one norm for all
    assert train(lambda trees: [size(tree) for tree in trees]) > 1e-5


def clipped(g):
    return g / max(1.0, np.linalg.norm(g))
