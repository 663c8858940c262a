"""Activation sharing, ASAP and ASFP: the theorems of Woo 2023, chapters 4 and 5, and the limits within which they hold.

h~ is the activity that an update uses in the place of h.  docs/theory/activation-sharing.md has the proofs.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tolerance import assert_close

from nobackprop import learn, network
from nobackprop.feedback import weights
from nobackprop.kernels import linear
from nobackprop.kernels.activation import softmax
from nobackprop.layers import Activation, Conv, Dense, GlobalPool, Layer, MaxPool, Residual, Sequential
from nobackprop.models import mlp
from nobackprop.network import Network, with_presynaptic
from nobackprop.optim import SGD, bind
from nobackprop.rules import Rule, get
from nobackprop.sharing import MATCHES, PLANS, plan
from nobackprop.tree import leaves

seeds = st.integers(0, 2**32 - 1)
norm = np.linalg.norm


class Trial:
    """A network under a rule, all drawn from one seed; two rules with one seed share everything but their state."""

    def __init__(self, rule: str | Rule, seed: int, net: Network, shape: tuple[int, ...] = (5,), samples: int = 6):
        self.rule, self.net, self.rng = get(rule) if isinstance(rule, str) else rule, net, np.random.default_rng(seed)
        self.params, shapes = network.init(net, self.rng, shape, "float64")
        self.state = self.rule.init(np.random.default_rng([seed, 1]), net, self.params, shapes)
        self.x = self.rng.standard_normal((samples, *shape))
        self.y = np.eye(shapes[-1][0])[self.rng.integers(shapes[-1][0], size=samples)]

    def tape(self):
        return self.rule.forward(self.net, self.params, self.state, self.x)

    def credit(self, tape=None):
        return self.rule.credit(self.net, self.params, self.state, tape or self.tape(), self.y)

    def train(self, steps: int, optimizer: str = "sgd", lr: float = 0.02, weight_decay: float = 0.0, record=None):
        ours, its = (bind(optimizer, tree, lr, weight_decay) for tree in (self.params, self.state))
        for _ in range(steps):
            if record:
                record(self)
            learn.step(self.net, self.rule, self.params, self.state, ours, its, self.x, self.y, self.rng)

    def difference(self) -> dict[str, np.ndarray]:
        """W - B at every place that has a B."""
        W = dict(leaves(weights(self.params)))
        return {path: W[path] - B for path, B in leaves(self.state[:len(self.net)])}


def dense_net(activation: str = "tanh", sizes=(6, 5, 6, 4, 6), classes: int = 3) -> Network:
    return mlp((5,), classes, sizes, activation)


def image_net(activation: str = "tanh") -> Network:
    """Convolutions whose maps become smaller and planes become more, and a dense output layer on the last map."""
    def conv(planes: int, *more: Layer) -> Sequential:
        return Sequential((Conv(planes, 3, 1, 1), *more, Activation(activation)))
    return Network((conv(3), conv(4), conv(6, MaxPool(2)), conv(5), Sequential((GlobalPool(), Dense(3, gain=1.0)))))


def same(ours, theirs) -> None:
    """Check that `ours` has the same arrays, bit by bit, wherever it has an array."""
    theirs = dict(leaves(theirs))
    for path, array in leaves(ours):
        np.testing.assert_array_equal(array, theirs[path], err_msg=path)


def cos(u, v) -> float:
    """The cosine between two arrays of one shape, whatever their scales."""
    u, v = u / np.abs(u).max(), v / np.abs(v).max()
    return float((u * v).sum() / np.sqrt((u * u).sum() * (v * v).sum()))


# What activation sharing is

@given(seed=seeds, depth=st.integers(3, 6))
def test_activation_sharing_is_forward_alignment_through_identities(seed, depth):
    """In a linear network of one width, C is W below the group of layers and I within the group."""
    net = mlp((4,), 4, (4,) * depth, "identity", "squared")
    shared, aligned = (Trial(rule, seed, net, (4,)) for rule in (f"as:k={depth + 1}", "foa"))
    for i, (path, C) in enumerate(leaves(aligned.state)):
        C[...] = dict(leaves(aligned.params))[path] if i == 0 else np.eye(4)       # ASAP (4.1)-(4.2)
    for (path, ours), (_, theirs) in zip(leaves(weights(shared.credit().grads)),
                                         leaves(weights(aligned.credit().grads[1:])), strict=True):
        assert_close(ours, theirs, message=path)                                   # ASAP (4.3)-(4.4)


@given(seed=seeds, k=st.integers(1, 4), name=st.sampled_from(sorted(PLANS)))
def test_every_update_is_its_delta_times_what_the_plan_shares(seed, k, name):
    """All widths are equal, so that every activity fits without change; deltas come down through W."""
    net = mlp((5,), 5, (5,) * 5, "tanh")
    trial, exact = Trial(f"as:k={k}:plan={name}", seed, net, samples=1), Trial("bp", seed, net, samples=1)
    grads, h = trial.credit().grads, exact.tape().h
    true = [g if isinstance(g, dict) else g[0] for g in exact.credit().grads]
    for j, source in enumerate(plan(net, k, name)):
        if j:
            found = grads[j] if isinstance(grads[j], dict) else grads[j][0]
            delta = true[j]["b"]                                                   # of one sample
            expected = np.outer(delta, h[source][0])                               # ASAP (4.3)-(4.4)
            assert_close(found["W"], expected)
            np.testing.assert_array_equal(found["b"], delta)


# Kolen-Pollack, for every plan of sharing

@pytest.mark.parametrize("match", sorted(MATCHES))
@pytest.mark.parametrize("name", sorted(PLANS))
@given(seed=seeds, k=st.integers(1, 5), optimizer=st.sampled_from(["sgd", "adamw"]), forgets=st.floats(1e-3, 0.5),
       train_first=st.sampled_from(["yes", "no"]))
def test_asap_keeps_kolen_pollack_for_every_plan(match, name, seed, k, optimizer, forgets, train_first):
    trial, lr = Trial(f"asap:k={k}:plan={name}:match={match}:train_first={train_first}", seed,
                      dense_net("relu")), 1e-2
    apart = trial.difference()
    assert len(apart) == len(trial.net) - (train_first == "no")
    trial.train(20, optimizer, lr, forgets / lr)
    for path, D in trial.difference().items():
        assert_close(D, (1 - forgets)**20 * apart[path], of=1 / forgets, message=path)  # ASAP (4.5)-(4.6)


@pytest.mark.parametrize("match", sorted(MATCHES))
@pytest.mark.parametrize("name", sorted(PLANS))
def test_asap_keeps_kolen_pollack_in_a_convolutional_network(match, name):
    for k in (1, 2, 4):
        trial = Trial(f"asap:k={k}:plan={name}:match={match}", 7, image_net(), (6, 6, 2), samples=3)
        apart = trial.difference()
        trial.train(5, "sgd", 0.1, 1.0)
        for path, D in trial.difference().items():
            assert_close(D, 0.9**5 * apart[path], of=trial.params, message=path)   # ASAP (4.5)-(4.6)


@given(seed=seeds, rule=st.sampled_from(["asap", "asap:k=4", "asap:plan=text"]))
def test_without_decay_w_and_b_of_asap_never_meet(seed, rule):
    """(4.5) and (4.6) in the printed form: one update for both, so the difference stays."""
    trial = Trial(rule, seed, dense_net())
    credit = trial.credit()
    same(credit.state, weights(credit.grads))                                      # ASAP (4.5)-(4.6)
    apart = trial.difference()
    trial.train(20)
    for path, D in trial.difference().items():
        assert_close(D, apart[path], of=trial.params)


# ASFP, under which W and B do not learn in the same way

@given(seed=seeds, k=st.integers(1, 4), name=st.sampled_from(sorted(PLANS)))
def test_under_asfp_w_learns_as_under_kolen_pollack_and_b_as_under_asap(seed, k, name):
    """The text below (4.10) says the opposite."""
    asfp, asap, kp = (Trial(rule, seed, dense_net("relu")) for rule in (
        f"asfp:k={k}:plan={name}:train_first=yes", f"asap:k={k}:plan={name}:train_first=yes", "kp"))
    same(asfp.credit().grads, kp.credit().grads)                                   # ASAP (4.7)-(4.8)
    same(asfp.credit().state, asap.credit().state)                                 # ASAP (4.9)-(4.10)


@given(seed=seeds, k=st.integers(2, 4), forgets=st.floats(0.01, 1.0))
def test_under_asfp_the_difference_follows_that_of_the_updates_and_so_is_bounded(seed, k, forgets):
    """D = (1 - lam)^t D_0 + sum of (1 - lam)^(t - 1 - s) (R_W - R_B)(s)."""
    trial, lr, apart = Trial(f"asfp:k={k}", seed, dense_net()), 0.1, []

    def record(trial: Trial) -> None:
        credit = trial.credit()
        grads = dict(leaves(weights(credit.grads)))
        apart.append({path: -lr * (grads[path] - B) for path, B in leaves(credit.state)})

    first, steps = trial.difference(), 25
    trial.train(steps, "sgd", lr, forgets / lr, record)
    for path, D in trial.difference().items():
        expected = (1 - forgets)**steps * first[path] + sum(
            (1 - forgets)**(steps - 1 - s) * R[path] for s, R in enumerate(apart))
        assert_close(D, expected, of=1 / forgets)
        largest = max(norm(R[path]) for R in apart)
        left = (1 - forgets)**steps
        assert norm(D) <= left * norm(first[path]) + largest * (1 - left) / forgets + 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_under_asfp_w_and_b_need_not_meet(seed):
    """Under ASAP almost nothing is left of W - B after these steps; under ASFP it stays."""
    left = {}
    for rule in ("asap", "asfp"):
        trial = Trial(rule, seed, dense_net())
        first = max(norm(D) for D in trial.difference().values())
        trial.train(900, "sgd", 0.5, 0.02)
        left[rule] = max(norm(D) for D in trial.difference().values()) / first
    assert left["asap"] == pytest.approx(0.99**900) and left["asfp"] > 0.1


# What the updates read: section 4.2.3

@given(seed=seeds, k=st.integers(1, 4), name=st.sampled_from(sorted(PLANS)))
def test_asap_is_kolen_pollack_after_its_neurons_mimic_the_shared_activity(seed, k, name):
    """If every h is overwritten by what is shared in its place, each synapse reads only its own two neurons."""
    net = mlp((5,), 3, (5,) * 5, "relu")
    asap, kp = (Trial(rule, seed, net) for rule in (f"asap:k={k}:plan={name}:train_first=yes", "kp"))
    tape, shares = kp.tape(), plan(net, k, name)
    heard = list(tape.h)
    mimicry = with_presynaptic(net, tape, lambda j, h: heard[shares[j]])
    same(asap.credit().grads, kp.credit(mimicry).grads)
    same(asap.credit().state, kp.credit(mimicry).state)


@given(seed=seeds, k=st.integers(2, 4))
def test_asap_never_reads_the_activities_that_are_not_shared(seed, k):
    """After the forward pass the tape does not hold them at all, so W and B may learn while neurons mimic others."""
    trial = Trial(f"asap:k={k}", seed, dense_net("relu"))
    exact = Trial("bp", seed, dense_net("relu")).tape()
    shares = plan(trial.net, k)
    assume(all(h.any() for h in exact.h[1:-1]))
    held = [array for _, array in leaves(_arrays([trial.tape().caches, trial.tape().h[1:-1]])) if array.dtype == float]
    for j in range(1, len(trial.net)):
        there = any(array.shape == exact.h[j].shape and np.array_equal(array, exact.h[j]) for array in held)
        assert there is (j in shares[1:]), j


def _arrays(kept):
    """Return the arrays that a tape keeps, as a tree."""
    if isinstance(kept, list | tuple):
        return [_arrays(child) for child in kept]
    if isinstance(kept, dict):
        return {key: _arrays(child) for key, child in kept.items()}
    if isinstance(kept, np.ndarray) or kept is None:
        return kept
    return _arrays(vars(kept)) if hasattr(kept, "__dict__") else None


@given(seed=seeds, k=st.integers(2, 4))
def test_asfp_reads_each_paths_own_neurons(seed, k):
    """W's updates take no shared activity, and B's take only shared ones: poison in the others changes nothing."""
    trial = Trial(f"asfp:k={k}", seed, dense_net())
    shares, clean = plan(trial.net, k), trial.credit()
    poisoned = with_presynaptic(trial.net, trial.tape(), lambda j, h: h if j in shares else np.full_like(h, np.nan))
    credit = trial.credit(poisoned)
    same(credit.state, clean.state)
    for (path, G), j in zip(leaves(weights(credit.grads)), range(1, len(trial.net)), strict=True):
        assert np.isnan(G).all() == (j not in shares), path


# How near shared updates are to exact updates

@given(seed=seeds, k=st.integers(1, 4), name=st.sampled_from(sorted(PLANS)))
def test_for_one_sample_the_angle_of_the_updates_is_that_of_the_activities(seed, k, name):
    """The angle is never obtuse, because the activities of relu are not negative."""
    net = mlp((5,), 5, (5,) * 5, "relu")
    shared, exact = (Trial(rule, seed, net, samples=1) for rule in (f"as:k={k}:plan={name}", "bp"))
    h, true = exact.tape().h, dict(leaves(weights(exact.credit().grads)))
    for j, (path, G) in enumerate(leaves(weights(shared.credit().grads)), 1):
        if np.any(G) and np.any(true[path]):
            angle = cos(h[j], h[plan(net, k, name)[j]])
            assert_close(cos(G, true[path]), angle, of=1)
            assert angle >= 0


def test_for_a_batch_it_may_be_opposite():
    """Two samples whose deltas cancel, with activities that are not negative."""
    delta, h, other = np.array([[1.0], [-1.0]]), np.eye(2), np.eye(2)[::-1]
    assert cos(linear.outer(delta, h), linear.outer(delta, other)) == pytest.approx(-1)


matrices = st.integers(1, 5)


@given(seed=seeds, rows=matrices, columns=matrices, size=st.floats(1e-3, 1e3))
def test_adding_what_is_shared_never_widens_the_angle(seed, rows, columns, size):
    """For all matrices cos(g1 + g2, g2) >= cos(g1, g2)."""
    rng = np.random.default_rng(seed)
    g1, g2 = size * rng.standard_normal((rows, columns)), rng.standard_normal((rows, columns))
    if norm(g1 + g2) > 1e-9 * (norm(g1) + norm(g2)):
        assert cos(g1 + g2, g2) >= cos(g1, g2) - 1e-12                             # ASAP (5.2)-(5.3)


@given(seed=seeds, n=st.integers(1, 6), shift=st.floats(-2, 2))
def test_nor_does_it_below_a_relu(seed, n, shift):
    """cos(relu(a + h), h) >= cos(relu(a), h) for all a and h, also negative ones: the order of He et al., not (5.1)."""
    rng = np.random.default_rng(seed)
    a, h = rng.standard_normal(n) + shift, rng.standard_normal(n)
    before, after = np.maximum(a, 0), np.maximum(a + h, 0)
    if before.any() and after.any():
        assert cos(after, h) >= cos(before, h) - 1e-12


def residual_net(kind: str, activation: str, shortcut: bool, behind: bool = False) -> Network:
    """A first layer, a block of two layers as in (5.1), a layer that borrows from below the block, and an output.

    behind: the activation stands behind the sum.
    """
    def layer(n: int = 4) -> Layer:
        return Dense(n, 2.0) if kind == "dense" else Conv(n, 3, 1, 1, 2.0)

    act = Activation(activation)
    body = Sequential((layer(), act, layer(), *([] if behind else [act])))
    block: Layer = Residual(body) if shortcut else body
    out = [Dense(3)] if kind == "dense" else [GlobalPool(), Dense(3)]
    return Network((Sequential((layer(), act)), Sequential((block, act)) if behind else block,
                    Sequential((layer(), act)), Sequential(tuple(out))))


@pytest.mark.parametrize("kind, shape", [("dense", (5,)), ("convolutional", (4, 4, 2))])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@given(seed=seeds)
def test_a_shortcut_puts_the_shared_update_into_the_exact_one(kind, shape, activation, seed):
    """After a residual block the exact update is g1 + g2, the shared one g2; without a shortcut the exact one is g1."""
    for shortcut in (True, False):
        net = residual_net(kind, activation, shortcut)
        exact, shared = Trial("bp", seed, net, shape), Trial("as", seed, net, shape)
        assert plan(net, 2) == (0, 1, 1, 1, 3)
        tape = exact.tape()
        inner = tape.caches[1][0][3] if shortcut else tape.caches[1][3]            # what phi has made within the block
        below, between = tape.h[1:3]
        expected = inner + below if shortcut else inner                            # ASAP (5.1), (5.4)
        np.testing.assert_array_equal(between, expected)

        def update(trial: Trial, h, tape=tape):
            """The update of the third block, with that h before its weights."""
            return trial.credit(with_presynaptic(trial.net, tape, lambda j, old: h if j == 3 else old)).grads[2][0]["W"]

        g1, g2, all_of_it = update(exact, inner), update(exact, below), exact.credit().grads[2][0]["W"]
        assert_close(shared.credit().grads[2][0]["W"], g2)                         # ASAP (5.3), (5.6)
        assert_close(all_of_it, g1 + g2 if shortcut else g1)                       # ASAP (5.2), (5.5)
        if shortcut and np.any(g1) and np.any(g2) and np.any(g1 + g2):
            assert cos(all_of_it, g2) >= cos(g1, g2) - 1e-10


@given(seed=seeds)
def test_with_the_activation_behind_the_sum_the_angle_narrows_too(seed):
    """He et al.'s block, one sample: the exact update is not g1 + g2 any more, but the lemma on relu helps."""
    net = residual_net("dense", "relu", True, behind=True)
    exact, shared = Trial("bp", seed, net, samples=1), Trial("as", seed, net, samples=1)
    tape, params = exact.tape(), exact.params[1][0]["body"]
    below, between = tape.h[1:3]
    hidden = np.maximum(below @ params[0]["W"].T + params[0]["b"], 0)
    a = hidden @ params[2]["W"].T + params[2]["b"]
    assert_close(between, np.maximum(a + below, 0), of=[a, below])
    true, near = exact.credit().grads[2][0]["W"], shared.credit().grads[2][0]["W"]
    if np.any(true) and np.any(near) and np.any(a > 0):
        assert_close(cos(true, near), cos(between, below), of=1)
        assert cos(true, near) >= cos(np.maximum(a, 0), below) - 1e-9


# Algorithm 1 as printed

@pytest.mark.parametrize("seed", range(3))
def test_with_the_printed_sign_asap_climbs(seed):
    """Lines 25 and 26 add delta h~^T, with delta = y - y*.  Descent may rise at times, but here it ends lower."""
    net = replace(mlp((5,), 3, (16, 16, 16), "relu"), loss="squared")
    ends = {}
    for sign in (1, -1):
        trial = Trial("asap", seed, net, samples=20)
        opts = [SGD(tree, lr=sign * 0.02, weight_decay=sign * 0.1) for tree in (trial.params, trial.state)]
        for _ in range(200):
            tape = learn.step(net, trial.rule, trial.params, trial.state, *opts, trial.x, trial.y, trial.rng)
            ends[sign] = net.value(tape.output, trial.y)
            if ends[sign] > 50:
                break
    assert ends[-1] > 50 and ends[1] < 0.5


def test_a_nonlinear_last_layer_needs_its_derivative():
    """Line 14: the softmax of h = phi(a), with delta = y - y* as if phi were the identity."""
    a, target = np.array([0.3, -1.0, -0.5, -2.0]), np.array([1.0, 0, 0, 0])
    printed = softmax(np.maximum(a, 0)) - target

    def loss(a):
        h = np.where(a.real > 0, a, 0)
        return np.log(np.exp(h).sum()) - (target * h).sum()

    true = np.array([loss(a + 1e-20j * v).imag / 1e-20 for v in np.eye(4)])
    assert_close(true, printed * (a > 0))
    assert np.all(true[1:] == 0) and np.all(printed[1:] > 0.1)
