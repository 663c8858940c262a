"""Activation sharing, ASAP and ASFP: the theorems of Woo 2023, chapters 4 and 5, and the limits within which they hold.

h~ is the activity that an update uses in the place of h.  docs/theory/activation-sharing.md has the proofs.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from tolerance import assert_close, assert_zero

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

@pytest.mark.slow
@pytest.mark.parametrize("match", sorted(MATCHES))
@pytest.mark.parametrize("name", sorted(PLANS))
@given(seed=seeds, k=st.integers(1, 5), optimizer=st.sampled_from(["sgd", "adamw"]), forgets=st.floats(1e-3, 0.5),
       train_first=st.sampled_from(["yes", "no"]))
def test_asap_keeps_kolen_pollack_for_every_plan(match, name, seed, k, optimizer, forgets, train_first):
    trial, lr = Trial(f"asap:k={k}:plan={name}:match={match}:train_first={train_first}", seed,
                      dense_net("relu")), 1e-2
    apart = trial.difference()
    assert len(apart) == len(trial.net) - (train_first == "no")
    trial.train(6, optimizer, lr, forgets / lr)
    for path, D in trial.difference().items():
        assert_close(D, (1 - forgets)**6 * apart[path], of=1 / forgets, message=path)  # ASAP (4.5)-(4.6)


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
    trial.train(6)
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


@pytest.mark.slow
@given(seed=seeds, k=st.integers(2, 4), forgets=st.floats(0.01, 1.0))
def test_under_asfp_the_difference_follows_that_of_the_updates_and_so_is_bounded(seed, k, forgets):
    """D = (1 - lam)^t D_0 + sum of (1 - lam)^(t - 1 - s) (R_W - R_B)(s)."""
    trial, lr, apart = Trial(f"asfp:k={k}", seed, dense_net()), 0.1, []

    def record(trial: Trial) -> None:
        credit = trial.credit()
        grads = dict(leaves(weights(credit.grads)))
        apart.append({path: -lr * (grads[path] - B) for path, B in leaves(credit.state)})

    first, steps = trial.difference(), 8
    trial.train(steps, "sgd", lr, forgets / lr, record)
    for path, D in trial.difference().items():
        expected = (1 - forgets)**steps * first[path] + sum(
            (1 - forgets)**(steps - 1 - s) * R[path] for s, R in enumerate(apart))
        assert_close(D, expected, of=1 / forgets)
        largest = max(norm(R[path]) for R in apart)
        left = (1 - forgets)**steps
        assert norm(D) <= left * norm(first[path]) + largest * (1 - left) / forgets + 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_under_asfp_w_and_b_need_not_meet(seed):
    """Under ASAP almost nothing is left of W - B after these steps; under ASFP it stays."""
    left = {}
    for rule in ("asap", "asfp"):
        trial = Trial(rule, seed, dense_net())
        first = max(norm(D) for D in trial.difference().values())
        trial.train(300, "sgd", 1.0, 0.03)
        left[rule] = max(norm(D) for D in trial.difference().values()) / first
    assert left["asap"] == pytest.approx(0.97**300) and left["asfp"] > 0.1


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


@pytest.mark.slow
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


# Theorems H1 to H7: when learning from a shared activity lowers the loss

def linear_net(layers: int, n: int, outputs: int, shortcuts: bool = False) -> Network:
    """Linear layers of n units and a linear output, with the squared loss; the first layer is the one that is shared.

    shortcuts: every layer between the first and the last one is I + R, and its weights are R.
    """
    between = [Residual(Dense(n)) if shortcuts else Dense(n) for _ in range(layers - 2)]
    return Network((Dense(n), *between, Dense(outputs)), loss="squared")


def fill(trial: Trial, W, B=()) -> None:
    """Give the network these weights, from the first layer up, and the feedback path these, from the second one up."""
    for tree, arrays in ((weights(trial.params), W), (trial.state[:len(trial.net)], B)):
        for (_, array), value in zip(leaves(tree), arrays):
            array[...] = value


def set_error(trial: Trial, e) -> None:
    """Choose the targets so that the error of every sample at the output is this, and its mean over the batch e / N."""
    trial.y = trial.tape().output - e


def descents(shared: Trial) -> list[float]:
    """<G, G~> of every layer that learns, from the second one up: how fast the loss falls because this layer moves."""
    exact = Trial("bp", 0, shared.net, shared.x.shape[1:])
    exact.params, exact.x, exact.y = shared.params, shared.x, shared.y
    pairs = zip(leaves(weights(exact.credit().grads[1:])), leaves(weights(shared.credit().grads[1:])), strict=True)
    return [float((G * g).sum()) for (_, G), (_, g) in pairs]


def orthogonal(rng, n: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def with_values(rng, rows: int, columns: int, low: float = 0.5, high: float = 2.0) -> np.ndarray:
    """A random matrix whose singular values lie between these two."""
    k = min(rows, columns)
    return orthogonal(rng, rows)[:, :k] * rng.uniform(low, high, k) @ orthogonal(rng, columns)[:k]


def skew(rng, n: int, size: float) -> np.ndarray:
    """A random antisymmetric matrix of this spectral norm; n > 1."""
    K = rng.standard_normal((n, n))
    K -= K.T
    return size * K / norm(K, 2)


def turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def lowest(form) -> tuple[float, np.ndarray]:
    """The lowest eigenvalue of the symmetric part of a matrix, and its eigenvector."""
    values, vectors = np.linalg.eigh((form + form.T) / 2)
    return float(values[0]), vectors[:, 0]


widths = st.integers(2, 5)


@given(seed=seeds, n=st.integers(1, 5), N=st.integers(1, 8))
def test_the_descent_of_a_layer_is_a_sum_over_pairs_of_samples(seed, n, N):
    """<G, G~> = N^-2 sum_nm (delta_n . delta_m)(h_n . h~_m), here of the output layer, after layers of relu."""
    shared = Trial("as:k=4", seed, replace(mlp((n,), 3, (n, n, n), "relu"), loss="squared"), (n,), N)
    delta = shared.rng.standard_normal((N, 3))
    set_error(shared, delta)
    h = Trial("bp", seed, shared.net, (n,), N).tape().h
    assert plan(shared.net, 4) == (0, 1, 1, 1)
    terms = (delta @ delta.T) * (h[3] @ h[1].T) / N**2
    assert_close(descents(shared)[-1], terms.sum(), of=np.abs(terms).sum())


@given(seed=seeds, n=widths, more=st.integers(0, 4), size=st.floats(0, 3), positive=st.booleans())
def test_no_error_ascends_if_and_only_if_z_has_a_symmetric_part_that_is_not_negative(seed, n, more, size, positive):
    """h = Z h~ on the batch.  If Sym(Z) has an eigenvalue below 0, its eigenvector says which error ascends."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.1, 2, n) * (1 if positive else rng.permutation(np.r_[-1, np.ones(n - 1)]))
    Q = orthogonal(rng, n)
    Z = (Q * s) @ Q.T + skew(rng, n, size)
    N = n + more
    shared = Trial("as", seed, linear_net(3, n, 2), (n,), N)
    shared.x = with_values(rng, N, n)
    fill(shared, [np.eye(n), Z])
    tape = shared.tape()
    low, v = lowest(tape.h[0] @ Z.T @ tape.h[0].T)
    set_error(shared, np.outer(v, [0.6, 0.8]))
    assert_close(descents(shared)[-1], low / N**2, of=[size, 16])
    if positive:
        assert low >= -1e-10
    # the error that the proof names: E[delta h~^T] = a u^T
    low, u = lowest(Z)
    assert_close(low, s.min(), of=[size, 2])
    set_error(shared, N * np.outer(np.linalg.pinv(shared.x).T @ u, [0.6, 0.8]))
    assert_close(descents(shared)[-1], low, of=[size, 64])


@pytest.mark.slow
@pytest.mark.parametrize("n, N, least", [(4, 12, 480), (4, 4, 450), (8, 4, 480)])
def test_nearly_every_batch_below_relu_has_an_error_that_ascends(n, N, least):
    """Measured, of 500 batches with two layers of relu between what is shared and the layer: 497, 478, 497."""
    found = 0
    for seed in range(500):
        net = replace(mlp((n,), 1, (n, n, n), "relu"), loss="squared")
        shared = Trial("as:k=4", seed, net, (n,), N)
        h = Trial("bp", seed, net, (n,), N).tape().h
        low, v = lowest(h[3] @ h[1].T)
        if low < -1e-9 * norm(h[3]) * norm(h[1]):
            found += 1
            if found % 50 == 0:
                set_error(shared, v[:, None])
                assert descents(shared)[-1] < 0
    assert found > least


@given(seed=seeds, n=widths, layers=st.integers(3, 6))
def test_in_a_linear_network_the_descent_is_a_quadratic_form_of_the_shared_update(seed, n, layers):
    """<G_l, G~_l> = tr(G~_l Sym(Z) G~_l^T) with Z = W_{l-1} ... W_{s+1}."""
    shared = Trial(f"as:k={layers}", seed, linear_net(layers, n, 3), (n,))
    W = [W for _, W in leaves(weights(shared.params))]
    shared.y = shared.rng.standard_normal((len(shared.x), 3))
    Z = np.eye(n)
    for found, (_, g), above in zip(descents(shared), leaves(weights(shared.credit().grads[1:])), W[1:], strict=True):
        assert_close(found, np.trace(g @ (Z + Z.T) / 2 @ g.T), of=norm(Z, 2) * norm(g)**2)
        Z = above @ Z if above is not W[-1] else Z


shares_of_the_angle = st.lists(st.floats(0.01, 1), min_size=1, max_size=4)


@given(seed=seeds, n=widths, shares=shares_of_the_angle, total=st.floats(0.05, np.pi / 2), rotate=st.booleans())
def test_shortcuts_whose_angles_add_up_to_a_right_angle_never_let_the_loss_rise(seed, n, shares, total, rotate):
    """|R_j|_2 = sin(angle_j), and Z = prod (I + R_j): Sym(Z) >= cos(sum angle_j) prod (1 - |R_j|_2)."""
    rng = np.random.default_rng(seed)
    angles = total * np.array(shares) / sum(shares)
    n = 2 if rotate else n
    shared = Trial("as:k=9", seed, linear_net(len(angles) + 2, n, n, shortcuts=True), (n,), n)
    R = [np.cos(a) * turn(a) - np.eye(2) if rotate else np.sin(a) * with_values(rng, n, n, 0.2, 1) for a in angles]
    shared.x = np.sqrt(n) * np.eye(n)
    fill(shared, [np.eye(n), *R, rng.standard_normal((n, n))])
    least = np.cos(angles.sum()) * np.prod(1 - np.sin(angles))
    Z = np.eye(n)
    for r in R:
        Z = Z + r @ Z
    low, u = lowest(Z)
    assert low >= (least if len(angles) > 1 else 1 - np.sin(total)) - 1e-12
    set_error(shared, np.sqrt(n) * np.outer(u, np.eye(n)[0]))                      # E[delta h~^T] = e_1 u^T
    found = descents(shared)
    assert_close(found[-1], low, of=4)
    assert min(found) >= -1e-12
    if rotate:
        assert_close(low, np.cos(angles.sum()) * np.prod(np.cos(angles)), of=1)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_beyond_a_right_angle_shortcuts_let_the_loss_rise(k):
    """|R_j|_2 = sin(pi / 2k) is the most: turns by little more than that are the counter-example."""
    for excess, sign in ((0.99, 1), (1.01, -1)):
        angle = excess * np.pi / (2 * k)
        shared = Trial("as:k=9", 0, linear_net(k + 2, 2, 2, shortcuts=True), (2,), 2)
        shared.x = np.sqrt(2) * np.eye(2)
        R = np.cos(angle) * turn(angle) - np.eye(2) if k > 1 else -excess * np.eye(2)
        assert_close(norm(R, 2), np.sin(angle) if k > 1 else excess)
        fill(shared, [np.eye(2), *[R] * k, np.eye(2)])
        set_error(shared, np.sqrt(2) * np.eye(2))
        assert sign * descents(shared)[-1] > 0
    assert np.sin(np.pi / (2 * k)) >= 2**(1 / k) - 1                               # the condition by norms alone


@given(seed=seeds, r=st.lists(st.floats(-1, 1), min_size=1, max_size=5))
def test_in_layers_of_one_unit_shortcuts_up_to_1_suffice(seed, r):
    """Z is a product of numbers 1 + R_j >= 0, also if the arcsines add up to more than a right angle."""
    shared = Trial("as:k=9", seed, linear_net(len(r) + 2, 1, 1, shortcuts=True), (1,), 3)
    fill(shared, [[[1.0]], *([[R]] for R in r)])
    shared.y = shared.rng.standard_normal((3, 1))
    assert min(descents(shared)) >= 0


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@given(seed=seeds, blocks=st.integers(1, 4), size=st.floats(0.05, 0.6))
def test_one_samples_angle_is_at_most_the_sum_of_those_of_its_residual_blocks(activation, seed, blocks, size):
    """r_j = |phi_j(h)| / |h| of the sample itself, as long as it is below 1."""
    block = Residual(Sequential((Dense(4), Activation(activation), Dense(4))))
    net = Network((Dense(4), *[block] * blocks, Dense(3)))
    exact, shared = Trial("bp", seed, net, samples=1), Trial("as:k=9", seed, net, samples=1)
    for _, array in leaves(weights(exact.params[1:-1])):
        array *= size
    shared.params = exact.params
    h = [row[0] for row in exact.tape().h[1:-1]]
    ratios = np.array([norm(above - below) / norm(below) for below, above in zip(h, h[1:])])
    if (ratios < 1).all() and np.arcsin(ratios).sum() < np.pi:
        found = cos(exact.credit().grads[-1]["W"], shared.credit().grads[-1]["W"])
        assert found >= np.cos(np.arcsin(ratios).sum()) - 1e-12


@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
@given(seed=seeds, size=st.floats(0.05, 2))
def test_after_a_residual_block_only_what_the_block_adds_can_make_the_loss_rise(activation, seed, size):
    """<G, G~> >= |G~| (|G~| - |G_r|) for any activation and batch, with G_r = E[delta r^T], r = h - h~."""
    shared = Trial("as", seed, residual_net("dense", activation, True))
    for _, array in leaves(weights(shared.params[1])):
        array *= size
    r, g = added(shared), shared.credit().grads[2][0]["W"]
    assert descents(shared)[2] >= norm(g) * (norm(g) - norm(r)) - 1e-12 * norm(g)**2


def added(shared: Trial) -> np.ndarray:
    """E[delta r^T] of the third block, with r = the block's output less its input."""
    exact = Trial("bp", 0, shared.net)
    exact.params, exact.x, exact.y = shared.params, shared.x, shared.y
    tape = exact.tape()
    inner = with_presynaptic(exact.net, tape, lambda j, h: tape.h[2] - tape.h[1] if j == 3 else h)
    return exact.credit(inner).grads[2][0]["W"]


def instrument(Z, shape: tuple[int, ...], samples, outputs: int = 1) -> Trial:
    """A linear network I, Z and an output that learns from h~ = x in the place of h = Z x."""
    shared = Trial("as", 0, linear_net(3, len(Z), outputs), shape, len(samples))
    shared.x = np.asarray(samples, float)
    fill(shared, [np.eye(len(Z)), Z])
    return shared


def output_steps(shared: Trial, eta: float, steps: int) -> np.ndarray:
    """Let the output layer alone learn, without its bias."""
    W = shared.params[-1]["W"]
    for _ in range(steps):
        W -= eta * shared.credit().grads[-1]["W"]
    return W


@given(seed=seeds, n=widths, angle=st.floats(0, 3.1), eta=st.floats(1e-3, 0.5), steps=st.integers(1, 12))
def test_a_linear_output_follows_the_powers_of_its_cross_moment(seed, n, angle, eta, steps):
    """W - W* is multiplied by I - eta X at every step, X = E[h h~^T], whatever the noise of the targets."""
    rng = np.random.default_rng(seed)
    Z = with_values(rng, n, n) @ np.block([[turn(angle), np.zeros((2, n - 2))],
                                           [np.zeros((n - 2, 2)), np.eye(n - 2)]])
    shared = instrument(Z, (n,), with_values(rng, n + 3, n), 2)
    shared.y = rng.standard_normal((n + 3, 2))
    N, W0 = n + 3, shared.params[-1]["W"].copy()
    X = Z @ shared.x.T @ shared.x / N
    rest = shared.y.T @ shared.x / N @ np.linalg.inv(X)
    W = output_steps(shared, eta, steps)
    growth = max(1.0, norm(np.eye(n) - eta * X, 2))**steps
    assert_close(W - rest, (W0 - rest) @ np.linalg.matrix_power(np.eye(n) - eta * X, steps), slack=2.0**18,
                 of=[growth * norm(rest), growth * norm(W0)])


@given(seed=seeds, n=st.integers(1, 4))
def test_below_relu_the_output_rests_where_instrumental_variables_put_it_and_not_at_least_squares(seed, n):
    """E[(y* - W h) h~^T] = 0 at rest.  In a linear network with an invertible Z this is least squares."""
    rng = np.random.default_rng(seed)
    N = 4 * n + 8
    for activation in ("relu", "identity"):
        shared = Trial("as", seed, replace(mlp((n,), 2, (n, n), activation), loss="squared"), (n,), N)
        shared.y = rng.standard_normal((N, 2))
        h = Trial("bp", seed, shared.net, (n,), N).tape().h
        if np.linalg.svd(h[2].T @ h[1], compute_uv=False)[-1] < 1e-3:              # units that are off, or near to it
            continue
        W = shared.params[-1]["W"]
        W[...] = np.linalg.solve((h[2].T @ h[1]).T, (shared.y.T @ h[1]).T).T
        assert_zero(shared.credit().grads[-1]["W"], of=[W, shared.y, h[1]], slack=2.0**20)
        if activation == "identity":
            assert_close(W, np.linalg.lstsq(h[2], shared.y, rcond=None)[0].T, of=[W, norm(W) * norm(h[1])],
                         slack=2.0**24)


def test_that_is_another_place_by_numbers():
    """h~ = (1, 2), h = relu(3 h~ - 2) = (1, 4), y* = (1, 0): the output rests at 1/9; least squares is 1/17."""
    shared = Trial("as", 0, replace(mlp((1,), 1, (1, 1), "relu"), loss="squared"), (1,), 2)
    fill(shared, [[[1.0]], [[3.0]], [[1 / 9]]])
    shared.params[1][0]["b"][...] = -2
    shared.x, shared.y = np.array([[1.0], [2]]), np.array([[1.0], [0]])
    assert_zero(shared.credit().grads[-1]["W"], of=1)
    shared.params[-1]["W"][...] = 1 / 17
    assert_close(shared.credit().grads[-1]["W"], -4 / 17 * np.ones((1, 1)))


@pytest.mark.parametrize("angle, eta, ends", [(1.4, 0.3, True), (1.4, 0.4, False), (1.7, 1e-2, False)])
def test_the_output_converges_if_and_only_if_all_eigenvalues_of_the_cross_moment_have_positive_real_parts(
        angle, eta, ends):
    """X = a turn by `angle`: eigenvalues exp(+-i angle), so eta < 2 cos(angle) = 0.34, and no eta from pi/2 on."""
    shared = instrument(turn(angle), (2,), np.sqrt(2) * np.eye(2))
    start = norm(shared.params[-1]["W"])
    shared.y = np.zeros((2, 1))
    factor = abs(1 - eta * np.exp(1j * angle))
    assert_close(norm(output_steps(shared, eta, 400)) / start, factor**400, slack=2.0**16)
    assert (factor < 1) == ends


def test_the_distance_may_fall_while_the_loss_rises():
    """S = diag(1, 100), Sym(X) = I: |W - W*| falls at every small step, and f = 13 rises to 13.024."""
    S, X = np.diag([1.0, 100]), np.array([[1.0, 1], [-1, 1]])
    Z = S @ np.linalg.inv(X).T                                                     # h = Z x, E[x x^T] = X^T S^-1 X
    root = np.linalg.cholesky(X.T @ np.linalg.inv(S) @ X)
    shared = instrument(Z, (2,), np.sqrt(2) * root.T)
    h = shared.x @ Z.T
    assert_close(h.T @ h / 2, S)
    assert_close(h.T @ shared.x / 2, X, of=100)
    shared.y = np.zeros((2, 1))
    W = shared.params[-1]["W"]
    W[...] = [[1, -0.5]]
    found = [(shared.net.value(shared.tape().output, shared.y), norm(output_steps(shared, 0.001, i))) for i in (0, 1)]
    assert found[0][0] == pytest.approx(13) and norm(W) < norm([1, -0.5])
    assert shared.net.value(shared.tape().output, shared.y) == pytest.approx(13.024, abs=5e-4)
    assert lowest(X)[0] > 0 > lowest(S @ X.T)[0]


@given(seed=seeds, n=widths, size=st.floats(0, 0.9))
def test_the_loss_of_a_linear_output_never_rises_if_s_x_t_has_a_positive_symmetric_part(seed, n, size):
    """S X^T = P + K, P > 0 and K antisymmetric: every W descends for targets that a W fits."""
    rng = np.random.default_rng(seed)
    S = (lambda A: A @ A.T)(with_values(rng, n, n))
    P = (lambda A: A @ A.T)(with_values(rng, n, n))
    X = (np.linalg.inv(S) @ (P + skew(rng, n, 3 * size))).T
    root = np.linalg.cholesky(X.T @ np.linalg.inv(S) @ X)
    shared = instrument(S @ np.linalg.inv(X).T, (n,), np.sqrt(n) * root.T, 2)
    target = rng.standard_normal((2, n))
    shared.y = shared.x @ shared.params[1]["W"].T @ target.T
    V = shared.params[-1]["W"] - target
    assert_close(descents(shared)[-1], np.trace(V @ P @ V.T), of=norm(V)**2, slack=2.0**22)


def test_two_layers_that_share_may_let_the_loss_rise():
    """Scalars: W = (-1, 0.5) over an h~ = 1 with the target 1, eta = 0.1: the loss 1.125 becomes 1.282."""
    shared = Trial("as", 0, linear_net(3, 1, 1), (1,), 1)
    shared.x = shared.y = np.ones((1, 1))
    fill(shared, [[[1.0]], [[-1.0]], [[0.5]]])
    grads = shared.credit().grads
    before = shared.net.value(shared.tape().output, shared.y)
    assert descents(shared) == pytest.approx([0.5625, -2.25])
    for i in (1, 2):
        shared.params[i]["W"] -= 0.1 * grads[i]["W"]
    assert before == pytest.approx(1.125)
    assert shared.net.value(shared.tape().output, shared.y) == pytest.approx(1.282, abs=5e-4)


def sectors(seed: int, n: int, a: float, b: float) -> tuple[Trial, np.ndarray, np.ndarray]:
    """ASAP with P P_B^T = A and Z in exact sectors of these half angles, for the layer below the output, x white."""
    rng = np.random.default_rng(seed)
    A, Z = (X.T @ (np.eye(n) + skew(rng, n, np.tan(angle))) @ X for X, angle in (
        (with_values(rng, n, n), a), (with_values(rng, n, n), b)))
    shared = Trial("asap:k=9", seed, linear_net(4, n, n), (n,), n)
    shared.x = np.sqrt(n) * np.eye(n)
    above = with_values(rng, n, n)
    fill(shared, [np.eye(n), Z, with_values(rng, n, n), above],
         [np.eye(n), np.eye(n), A.T @ np.linalg.inv(above).T])
    return shared, A, Z


@given(seed=seeds, n=widths, a=st.floats(0, 1.5), part=st.floats(0, 1))
def test_asap_descends_if_the_sectors_of_both_paths_add_up_to_a_right_angle(seed, n, a, part):
    """The error is the worst one: the eigenvector of the lowest eigenvalue of tr(Z M^T A M) as a form in M."""
    shared, A, Z = sectors(seed, n, a, part * (np.pi / 2 - a))
    scale = norm(A, 2) * norm(Z, 2)
    low, m = lowest(np.kron(A, Z.T))
    M = m.reshape(n, n)                                                            # E[e h~^T] (outputs, inputs)
    set_error(shared, np.sqrt(n) * M.T)
    assert_close(descents(shared)[1], low, of=scale, slack=2.0**18)
    assert low >= -1e-11 * scale


@given(seed=seeds, n=widths, a=st.floats(0.2, 1.3), excess=st.floats(0.05, 0.9))
def test_beyond_a_right_angle_some_error_ascends(seed, n, a, excess):
    shared, A, Z = sectors(seed, n, a, np.pi / 2 - a + excess * a)
    low, m = lowest(np.kron(A, Z.T))
    set_error(shared, np.sqrt(n) * m.reshape(n, n).T)
    assert descents(shared)[1] < 0 and low < 0


@given(seed=seeds, n=st.integers(1, 4))
def test_a_symmetric_path_that_is_negative_lies_in_no_sector(seed, n):
    """P P_B^T = -I has u^T A v = v^T A u for all u and v, as a sector of 0 needs, and every error ascends."""
    shared = Trial("asap:k=9", seed, linear_net(4, n, n), (n,), n)
    above = with_values(shared.rng, n, n)
    fill(shared, [np.eye(n), np.eye(n), np.eye(n), above], [np.eye(n), np.eye(n), -np.linalg.inv(above).T])
    e = shared.rng.uniform(0.5, 1, (n, n))
    set_error(shared, e)
    M = e.T @ shared.x / n
    assert_close(descents(shared)[1], -norm(M)**2, of=norm(e)**2 * norm(shared.x)**2, slack=2.0**18)


def follows(rule: str, seed: int, eta: float, steps: int = 200) -> tuple[float, float]:
    """The first and the last loss of a linear network with three layers over the shared activity, under decay 0.002."""
    trial = Trial(rule, seed, linear_net(4, 3, 2), (3,), 9)
    trial.y = trial.x @ (trial.rng.standard_normal((2, 3)) @ trial.params[0]["W"]).T
    first = float(trial.net.value(trial.tape().output, trial.y))
    W = [W for _, W in leaves(weights(trial.params))]

    def stop(trial: Trial) -> None:
        if max(np.abs(w).max() for w in W) > 1e6:
            raise OverflowError

    try:
        trial.train(steps, "sgd", eta, 0.002, stop)
    except OverflowError:
        return first, np.inf
    return first, float(trial.net.value(trial.tape().output, trial.y))


@pytest.mark.slow
def test_in_steps_asap_diverges_from_more_starts_than_kolen_pollack():
    """Measured: at 0.05 16 of 20 diverge; of 10, 4 at 0.01 and 1 at 0.002, and under Kolen-Pollack 1 and 0."""
    ends = {(rule, eta): sum(np.isinf(follows(rule, seed, eta)[1]) for seed in range(starts))
            for rule in ("asap:k=9", "kp") for eta, starts in ((0.05, 20), (0.01, 10), (0.002, 10))}
    # a start next to the border may change its side with the rounding of another processor
    for (rule, eta), found in {("asap:k=9", 0.05): 16, ("asap:k=9", 0.01): 4, ("asap:k=9", 0.002): 1,
                               ("kp", 0.01): 1, ("kp", 0.002): 0}.items():
        assert abs(ends[rule, eta] - found) <= 1, (rule, eta, ends)
    assert ends["asap:k=9", 0.05] > ends["kp", 0.05] and ends["asap:k=9", 0.01] > ends["kp", 0.01]
    first, last = follows("asap:k=9", 2, 0.001, 4000)
    assert last < 0.01 * first


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_the_flow_of_asap_lowers_the_loss_of_small_linear_networks(seed):
    """Measured, as no proof is known: three layers over the shared activity, random W and B, no decay, time 20."""
    shared = Trial("asap:k=9", seed, linear_net(4, 3, 2), (3,), 9)
    shared.y = shared.x @ (shared.rng.standard_normal((2, 3)) @ shared.params[0]["W"]).T
    first = shared.net.value(shared.tape().output, shared.y)
    arrays = [array for tree in (weights(shared.params[1:]), shared.state) for _, array in leaves(tree)]

    def flow(t, row):
        put(arrays, row)
        credit = shared.credit()
        return -flat([weights(credit.grads[1:]), credit.state])

    path = solve_ivp(flow, (0, 20), flat(arrays), method="LSODA", rtol=1e-6, atol=1e-8)
    put(arrays, path.y[:, -1])
    assert shared.net.value(shared.tape().output, shared.y) < 0.02 * first


def flat(tree) -> np.ndarray:
    return np.concatenate([array.ravel() for _, array in leaves(tree)])


def put(arrays: list[np.ndarray], row: np.ndarray) -> None:
    """Write a row of numbers into these arrays, in their order."""
    for array, part in zip(arrays, np.split(row, np.cumsum([array.size for array in arrays])[:-1]), strict=True):
        array[...] = part.reshape(array.shape)


class Linear:
    """A linear network of any depth, without biases, in which layer l learns from c_{l-1} x in the place of its input.

    rule: `as`, with x itself after a first layer that is I and stays so, C = I; or `foa` with the rule's own C.
    """

    def __init__(self, rule: str, seed: int, layers: int, n: int, outputs: int, low: float = 0.5):
        self.rng = np.random.default_rng(seed)
        self.shares = rule == "as"
        depth = layers + self.shares
        self.trial = Trial("as:k=9" if self.shares else "foa", seed, linear_net(depth, n, outputs), (n,), n)
        self.x = self.trial.x = np.sqrt(n) * with_values(self.rng, n, n, 0.7, 1.4)
        self.T = self.rng.uniform(-1, 1, (outputs, n))
        self.trial.y = self.x @ self.T.T
        if self.shares:
            fill(self.trial, [np.eye(n)])
            self.C = [np.eye(n)] * (layers - 1)
        else:
            self.C = [with_values(self.rng, n, n, low, 1.5) for _ in range(layers - 1)]
            for (_, array), C in zip(leaves(self.trial.state), self.C):
                array[...] = C
        self.W = [W for _, W in leaves(weights(self.trial.params[self.shares:]))]
        for W in self.W:
            W[...] = self.rng.uniform(-1, 1, W.shape)
        self.S = self.x.T @ self.x / n
        self.c = [np.eye(n)]                                                       # c_l = C_l ... C_1
        for C in self.C:
            self.c.append(C @ self.c[-1])
        self.plus = np.linalg.pinv(self.c[-1])
        self.tau = norm(self.T @ self.plus)

    def step(self) -> list[np.ndarray]:
        """Minus the gradients of the rule, from the first layer that learns up."""
        grads = self.trial.credit().grads[self.shares:]
        return [-g for _, g in leaves(weights(grads))]

    def K(self) -> list[np.ndarray]:
        return [W @ C.T + C @ W.T - above.T @ above for W, C, above in zip(self.W, self.C, self.W[1:])]

    def H(self) -> float:
        return float((self.W[0]**2).sum() / 2 - (self.T * (self.W[-1] @ self.plus.T)).sum())

    def F(self) -> float:
        """tr(E Sigma E^T), twice the loss."""
        return float(2 * self.trial.net.value(self.trial.tape().output, self.trial.y))

    def flow(self, t: float, row: np.ndarray) -> np.ndarray:
        put(self.W, row)
        return flat(self.step())

    def chain(self, v: float, steps: bool = True) -> list[float]:
        """a_1(v), ..., a_L(v), in steps or in the flow: what bounds the norms of all layers if v bounds the last."""
        R = max(0.0, float(self.H0 + self.tau * v))
        a = [np.sqrt(2 * R)]
        for C, K in zip(self.C, self.K0):
            a.append(np.sqrt(2 * norm(C) * a[-1] + max(0.0, -float(np.trace(K))) + steps * R))
        return a

    def safe_rate(self) -> tuple[float, list[float]]:
        """The step size of the theorem, and the bounds w_l: the largest v with v <= a_L(v), by iteration from above."""
        self.H0, self.K0 = self.H(), self.K()
        v = max(1.0, float(norm(self.W[-1])))  # v <= a_L(v) holds at the start, and below it may fail
        while self.chain(v)[-1] > v:
            v *= 2
        for _ in range(60):
            v = self.chain(v)[-1]
        w = self.chain(v)
        Lam = np.linalg.eigvalsh(self.S)[-1]
        most = [Lam * np.prod(np.square(w[1:]))]
        most += [2 * Lam * norm(self.c[l], 2)**2 * np.prod(np.square(w[l + 1:])) for l in range(1, len(w))]  # noqa: E741
        return 1 / max(most), w


@pytest.mark.parametrize("rule", ["as", "foa"])
@given(seed=seeds, layers=st.integers(2, 4), n=st.integers(1, 4), outputs=st.integers(1, 3), eta=st.floats(1e-3, 1))
def test_in_steps_k_changes_by_the_square_of_the_layer_above_and_h_falls_by_the_loss(
        rule, seed, layers, n, outputs, eta):
    net = Linear(rule, seed, layers, n, outputs)
    K, H, F, steps = net.K(), net.H(), net.F(), net.step()
    before = [W.copy() for W in net.W]
    for W, step in zip(net.W, steps, strict=True):
        W += eta * step
    for old, new, above in zip(K, net.K(), steps[1:], strict=True):
        assert_close(new, old - eta**2 * above.T @ above, of=[old, new, norm(above)**2, before[0]], slack=2.0**16)
    assert_close(net.H(), H - eta * F + eta**2 / 2 * norm(steps[0])**2,
                 of=[H, eta * F, norm(net.W[0])**2, eta * norm(steps[-1]) * net.tau, norm(before[-1]) * net.tau],
                 slack=2.0**18)


@given(seed=seeds, layers=st.integers(2, 4), loss=st.sampled_from(["squared", "cross_entropy"]), eta=st.floats(1e-3, 1))
def test_under_activation_sharing_k_does_so_with_biases_and_any_loss_and_batch(seed, layers, loss, eta):
    """K_l = W_l + W_l^T - W_{l+1}^T W_{l+1} of the rule as it runs, with plain descent, on linear layers."""
    shared = Trial("as:k=9", seed, replace(linear_net(layers + 1, 3, 3), loss=loss), (4,), 2)

    def K() -> list[np.ndarray]:
        W = [W for _, W in leaves(weights(shared.params[1:]))]
        return [W + W.T - above.T @ above for W, above in zip(W, W[1:])]

    opts = SGD(shared.params, eta), SGD(shared.state, eta)
    for _ in range(3):
        shared.x = shared.rng.standard_normal(shared.x.shape)
        old, g = K(), [g for _, g in leaves(weights(shared.credit().grads[1:]))]
        learn.step(shared.net, shared.rule, shared.params, shared.state, *opts, shared.x, shared.y, shared.rng)
        for before, after, above in zip(old, K(), g[1:], strict=True):
            assert_close(after, before - eta**2 * above.T @ above, of=[before, after, eta**2 * norm(above)**2],
                         slack=2.0**18)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("layers", [2, 3, 4])
@pytest.mark.parametrize("rule", ["as", "foa"])
def test_sharing_learns_every_linear_map_at_any_depth_from_wherever_it_starts(rule, layers, seed):
    """The flow, with inputs that are not white: the loss goes to 0 and may rise; H only falls; the chain bounds all."""
    net = Linear(rule, seed, layers, 2, 2)
    net.H0, net.K0 = net.H(), net.K()
    times = np.r_[0, np.geomspace(0.1, 1e3, 30)]
    path = solve_ivp(net.flow, (0, times[-1]), flat(net.W), method="LSODA",
                     t_eval=times, rtol=1e-8, atol=1e-10)
    found = []
    for row in path.y.T:
        put(net.W, row)
        bounds = net.chain(norm(net.W[-1]), steps=False)
        assert all(norm(W) <= most * (1 + 1e-6) + 1e-6 for W, most in zip(net.W, bounds, strict=True))
        found.append((net.F(), net.H()))
    F, H = np.array(found).T
    assert (np.diff(H) <= 1e-7 * (1 + np.abs(H).max())).all()
    assert F[-1] < 1e-6 * max(1.0, F[0])
    for old, new in zip(net.K0, net.K(), strict=True):
        assert np.abs(old - new).max() < 1e-5 * (1 + np.abs(old).max())


@pytest.mark.parametrize("rule", ["as", "foa"])
@given(seed=seeds, layers=st.integers(2, 4))
def test_at_the_step_size_of_the_theorem_h_falls_by_half_the_loss_and_no_layer_outgrows_its_bound(rule, seed, layers):
    net = Linear(rule, seed, layers, 2, 2)
    eta, w = net.safe_rate()
    for _ in range(10):
        H, F = net.H(), net.F()
        for W, step in zip(net.W, net.step(), strict=True):
            W += eta * step
        assert net.H() <= H - eta * F / 2 + 1e-11 * (abs(H) + norm(net.W[0])**2 + net.tau * norm(net.W[-1]))
        assert all(norm(W) <= most for W, most in zip(net.W, w, strict=True))


@pytest.mark.parametrize("rule", ["as", "foa"])
@given(seed=seeds, layers=st.integers(2, 4))
@example(124, 2)  # at v = 1 the chain is 0: the start is larger
def test_on_mini_batches_of_linear_targets_sharing_keeps_every_promise(rule, seed, layers):
    """Batches of one sample, of different sizes, at the step size for the largest of them."""
    net = Linear(rule, seed, layers, 2, 2)
    x = net.rng.uniform(-2, 2, (4, 2))
    net.S = (x**2).sum(1).max() * np.eye(2)
    eta, w = net.safe_rate()
    for k in range(10):
        net.trial.x = x[k % 4:k % 4 + 1]
        net.trial.y = net.trial.x @ net.T.T
        H, F = net.H(), net.F()
        for W, step in zip(net.W, net.step(), strict=True):
            W += eta * step
        assert net.H() <= H - eta * F / 2 + 1e-11 * (abs(H) + norm(net.W[0])**2 + net.tau * norm(net.W[-1]))
        assert all(norm(W) <= most for W, most in zip(net.W, w, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["as", "foa"])
def test_sharing_learns_from_mini_batches_of_one_sample(rule):
    """Three layers; no second moment of a batch has full rank, and two batches in a row see all inputs."""
    net = Linear(rule, 3, 3, 2, 2)
    x, y = net.x, net.trial.y
    first = net.F()
    for k in range(4000):
        net.trial.x, net.trial.y = x[k % 2:k % 2 + 1], y[k % 2:k % 2 + 1]
        for W, step in zip(net.W, net.step(), strict=True):
            W += 0.02 * step
    net.trial.x, net.trial.y = x, y
    assert net.F() < 1e-10 * first


def test_steps_of_ten_times_that_size_may_diverge():
    """Scalars 2, 2, 2 with the target 1: the theorem allows eta = 0.01525; 0.15 diverges."""
    for eta, ends in ((0.01525, True), (0.15, False)):
        net = Linear("as", 0, 3, 1, 1)
        net.x[...] = net.S[...] = net.T[...] = net.trial.y[...] = net.tau = 1
        for W in net.W:
            W[...] = 2
        assert net.safe_rate()[0] == pytest.approx(0.01525, abs=5e-6)
        assert_close(net.chain(2.0, steps=False), [2.0, 2.0, 2.0])                 # the flow's bound is attained here
        for _ in range(400):
            for W, step in zip(net.W, net.step(), strict=True):
                W += eta * step
            if net.F() > 1e6:
                break
        assert (net.F() < 1e-6) if ends else (net.F() > 1e6)


@pytest.mark.parametrize("layers, C, eta", [(2, 1, 1 / 2), (2, 2, 1 / 8), (3, 2, 1 / 32)])
def test_the_step_size_by_hand_if_the_fixed_path_limits_it(layers, C, eta):
    """From zero weights with a target near 0 all bounds are small: what is left is 2 eta |c_{L-1}|^2 <= 1."""
    net = Linear("foa", 0, layers, 1, 1)
    net.S[...], net.tau = 1, 1e-12
    net.T[...] = 0
    net.C, net.c = [C * np.ones((1, 1))] * (layers - 1), [np.full((1, 1), float(C)**i) for i in range(layers)]
    for W in net.W:
        W[...] = 0
    assert_close(net.safe_rate()[0], eta)


@pytest.mark.slow
def test_at_many_starts_the_loss_rises_all_the_same():
    """Measured: at 65 of 200 starts with three random layers the loss rises at once, while H falls."""
    rises = sum(sum(descents(Linear("as", seed, 3, 2, 2).trial)) < 0 for seed in range(200))
    assert 50 < rises < 80, rises


def test_without_a_path_of_full_rank_forward_alignment_may_stand_still():
    """C_2 C_1 = 0 and W_3 = 0: the output layer never hears the input, and the loss stays."""
    net = Linear("foa", 0, 3, 2, 1)
    for (_, array), C in zip(leaves(net.trial.state), (np.diag([1.0, 0]), np.diag([0, 1.0]))):
        array[...] = C
    net.W[-1][...] = 0
    F = net.F()
    assert F > 0
    for _ in range(20):
        for W, step in zip(net.W, net.step(), strict=True):
            W += 0.1 * step
    assert_close(net.F(), F)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 2, 3])
def test_with_shortcuts_the_loss_falls_at_the_rate_of_the_theorem(seed, k):
    """The flow of `as`: f falls at least like exp(-2 lam c t), and every |R_j|_2 stays below rho."""
    n, rng, rho = 3, np.random.default_rng(seed), (0.05, 0.5)[seed % 2] / k
    shared = Trial("as:k=9", seed, linear_net(k + 2, n, 2, shortcuts=True), (n,), n)
    shared.x = np.sqrt(n) * with_values(rng, n, n, 0.9, 1.1)
    S = shared.x.T @ shared.x / n
    lam, Lam = np.linalg.eigvalsh(S)[[0, -1]]
    c = np.cos(k * np.arcsin(rho)) * (1 - rho)**k
    T = rng.standard_normal((2, n))
    # as large as the theorem allows: |W - W_0| <= d, and d^2 (1 + rho)^(k - 1) = rho / 2 if W_0 = 0
    d = np.sqrt(rho / 2 / (1 + rho)**(k - 1))
    T *= d * lam * c / np.sqrt(Lam * np.trace(T @ S @ T.T))
    R = [-rho / 2 * np.eye(n) if seed == 0 else rho / 2 * with_values(rng, n, n, 0, 1) for _ in range(k)]
    fill(shared, [np.eye(n), *R, np.zeros((2, n))])
    shared.y = shared.x @ T.T
    W = [array for _, array in leaves(weights(shared.params[1:]))]

    def flow(t, row):
        put(W, row)
        return -flat(weights(shared.credit().grads[1:]))

    times = np.linspace(0, 3 / (lam * c), 6)
    path = solve_ivp(flow, (0, times[-1]), flat(W), t_eval=times, rtol=1e-8, atol=1e-12)
    losses = []
    for row in path.y.T:
        put(W, row)
        losses.append(shared.net.value(shared.tape().output, shared.y))
        assert max(norm(R, 2) for R in W[:-1]) < rho and norm(W[-1]) <= d
    assert (np.array(losses) <= losses[0] * np.exp(-2 * lam * c * times) * (1 + 1e-6)).all()


@pytest.mark.parametrize("k", [1, 2])
def test_that_rate_is_the_exact_one_at_the_start_if_nothing_turns(k):
    """At W = 0 and R = 0 with white inputs the loss falls at the rate 2 lam, and c is 1 for rho = 0."""
    shared = Trial("as:k=9", 0, linear_net(k + 2, 2, 1, shortcuts=True), (2,), 2)
    shared.x = np.sqrt(2) * np.eye(2)
    fill(shared, [np.eye(2), *[np.zeros((2, 2))] * k, np.zeros((1, 2))])
    set_error(shared, -np.ones((2, 1)))
    f = shared.net.value(shared.tape().output, shared.y)
    assert_close(sum(descents(shared)) / f, 2.0)


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
