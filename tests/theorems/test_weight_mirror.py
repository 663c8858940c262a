"""The weight mirror: which noise makes B rest at W, and which noise does not.

Noise of an exact second moment takes the place of drawn noise, so that nothing here is true on average only.
"""
from __future__ import annotations

import itertools

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
norm = np.linalg.norm


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


# Theorems WM1 and WM2: how far from W the mirror rests

# one entry of the noise, as points and their weights: mean 0, variance 1, and this kurtosis.  Three-point
# Gauss-Hermite has the moments of a Gaussian up to the fifth, which is all that a covariance asks for
LAWS = {"gaussian": (np.sqrt(3) * np.array([-1.0, 0, 1]), np.array([1, 4, 1]) / 6, 3),
        "signs": (np.array([-1.0, 1]), np.array([1, 1]) / 2, 1),
        "sparse": (np.array([-3.0, 0, 3]), np.array([1, 16, 1]) / 18, 9),
        "skewed": (np.array([-0.5, 2]), np.array([4, 1]) / 5, 3.25)}
laws = st.sampled_from(sorted(LAWS))
steps_to_rest = st.floats(0.05, 1.95)


def every_noise(law: str, samples: int, n: int):
    """All noise matrices of a law, and their probabilities."""
    points, weights, _ = LAWS[law]
    for picked in itertools.product(range(len(points)), repeat=samples * n):
        yield points[list(picked)].reshape(samples, n), weights[list(picked)].prod()


def moments(rows, p) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the covariance of arrays that have these probabilities."""
    rows, p = np.array([row.ravel() for row in rows]), np.array(p)
    assert_close(p.sum(), 1)
    apart = rows - p @ rows
    return p @ rows, (apart * p[:, None]).T @ apart


def stepped(rule: WeightMirror, b, W, noise, eta: float) -> np.ndarray:
    """B after a step of plain descent along what the library's mirror says."""
    tree = {"W": b.copy()}
    SGD(tree, lr=eta)({"W": rule.mirror(b, W, Given(noise))})
    return tree["W"]


def spread(W, c: float, kurtosis: float) -> np.ndarray:
    """Cov(B_aj, B_bk) = c [(W W^T)_ab 1_jk + W_ak W_bj + (kurtosis - 3) W_aj W_bj 1_jk], as a matrix over (aj, bk)."""
    n = W.shape[1]
    eye = np.eye(n)
    found = (np.einsum("ab,jk->ajbk", W @ W.T, eye) + np.einsum("ak,bj->ajbk", W, W)
             + (kurtosis - 3) * np.einsum("aj,bj,jk->ajbk", W, W, eye))
    return c * found.reshape(W.size, W.size)


few = st.sampled_from([(1, 1, 1), (2, 1, 2), (1, 3, 1), (2, 2, 1), (3, 2, 2), (2, 3, 1)])  # rows, n, samples


@given(seed=seeds, law=laws, size=few, eta=steps_to_rest, sigma=sigmas)
def test_one_step_of_the_mirror_has_the_mean_and_the_covariance_of_the_theorem(seed, law, size, eta, sigma):
    """From any B: the mean is (1 - eta) B + eta W, the covariance that of the noise through W, free of B and sigma."""
    rows, n, N = size
    _, W, b = pair(seed, rows, n)
    rule = WeightMirror(sigma=sigma, samples=N)
    found, p = zip(*[(stepped(rule, b, W, noise, eta), p) for noise, p in every_noise(law, N, n)], strict=True)
    mean, covariance = moments(found, p)
    assert_close(mean, ((1 - eta) * b + eta * W).ravel(), of=[9 * W, b])
    assert_close(covariance, spread(W, eta**2 / N, LAWS[law][2]), of=(9 * norm(W) + norm(b))**2)


@pytest.mark.slow
@given(seed=seeds, law=laws, size=few, eta=steps_to_rest)
def test_a_b_that_has_the_mean_and_the_covariance_of_the_theorem_keeps_both(seed, law, size, eta):
    """At rest: mean W, c = eta / ((2 - eta) N).  B before the step takes values that have just these moments."""
    rows, n, N = size
    _, W, _ = pair(seed, rows, n)
    c, kurtosis = eta / ((2 - eta) * N), LAWS[law][2]
    rest = spread(W, c, kurtosis)
    values, vectors = np.linalg.eigh(rest)
    assert values[0] >= -1e-10 * values[-1]
    roots = np.sqrt(W.size * np.maximum(values, 0)) * vectors
    starts = [W + sign * root.reshape(W.shape) for root in roots.T for sign in (-1, 1)]
    rule, found, p = WeightMirror(samples=N), [], []
    for b in starts:
        for noise, q in every_noise(law, N, n):
            found.append(stepped(rule, b, W, noise, eta))
            p.append(q / len(starts))
    mean, covariance = moments(found, p)
    assert_close(mean, W.ravel(), of=found)
    assert_close(covariance, rest, of=size_of(found)**2)
    assert_close(np.trace(covariance), c * (n + kurtosis - 2) * norm(W)**2, of=size_of(found)**2 * W.size)


def size_of(arrays) -> float:
    return float(np.abs(np.array(arrays)).max())


@given(seed=seeds, law=laws, eta=steps_to_rest)
def test_after_two_steps_the_covariance_is_the_fraction_of_the_theorem(seed, law, eta):
    """Cov(B_t) = (1 - (1 - eta)^2t) times that at rest, if B_0 is given."""
    _, W, b = pair(seed, 2, 2)
    rule = WeightMirror(samples=1)
    found, p = [], []
    for first, q in every_noise(law, 1, 2):
        for second, r in every_noise(law, 1, 2):
            found.append(stepped(rule, stepped(rule, b, W, first, eta), W, second, eta))
            p.append(q * r)
    mean, covariance = moments(found, p)
    assert_close(mean - W.ravel(), (1 - eta)**2 * (b - W).ravel(), of=found)
    rest = spread(W, eta / (2 - eta), LAWS[law][2])
    assert_close(covariance, (1 - (1 - eta)**4) * rest, of=size_of(found)**2)


@pytest.mark.parametrize("eta", [0.0, 2.0, 2.1])
def test_outside_of_its_steps_the_mirror_has_no_rest(eta):
    """eta = 0 stays, 2 turns round for ever, and beyond it grows: even if the noise is white to the last digit."""
    _, W, b = pair(3, 2, 3)
    rule, at = WeightMirror(samples=6), b
    for _ in range(20):
        at = stepped(rule, at, W, axes(3), eta)
    assert_close(at - W, (1 - eta)**20 * (b - W), of=[30 * b, 30 * W])
    assert norm(at - W) > 0.99 * norm(b - W)


def test_the_figures_of_a_layer_of_10_by_40():
    """16 samples, eta = 0.2: E|B - W|^2 = 0.2847 |W|^2, and a cosine of 0.882; the library's mirror comes near both."""
    n, N, eta = 40, 16, 0.2
    c = eta / ((2 - eta) * N)
    assert c * (n + 1) == pytest.approx(0.2847, abs=5e-5)
    assert (1 + c * (n + 1))**-0.5 == pytest.approx(0.882, abs=5e-4)
    rng, W, b = pair(0, 10, n)
    rule, tree, apart, cosines = WeightMirror(samples=N), {"W": b}, [], []
    opt = SGD(tree, lr=eta)
    for t in range(2100):
        opt({"W": rule.mirror(tree["W"], W, rng)})
        if t >= 100:
            apart.append(norm(tree["W"] - W)**2 / norm(W)**2)
            cosines.append(cos(tree["W"], W))
    # 200 independent stretches of 10 steps would spread these means by about 0.002 and 0.0005
    assert np.mean(apart) == pytest.approx(0.2847, abs=0.01)
    assert np.mean(cosines) == pytest.approx(0.882, abs=0.005)


@given(seed=seeds, law=laws, size=few, eta=steps_to_rest)
def test_the_ratio_of_means_of_the_cosine_is_free_of_w(seed, law, size, eta):
    """<E B, W> / (|W| sqrt(E|B|^2)) = 1 / sqrt(1 + c (n + kurtosis - 2)), also from B = 0 after one step of eta = 1."""
    rows, n, N = size
    _, W, _ = pair(seed, rows, n)
    rule = WeightMirror(samples=N)
    found, p = zip(*[(stepped(rule, np.zeros_like(W), W, noise, 1.0), p) for noise, p in every_noise(law, N, n)],
                   strict=True)
    length = sum(q * norm(b)**2 for b, q in zip(found, p, strict=True))
    mean = sum(q * (b * W).sum() for b, q in zip(found, p, strict=True))
    assert_close(mean / (norm(W) * np.sqrt(length)), (1 + (n + LAWS[law][2] - 2) / N)**-0.5)


@given(seed=seeds, eta=st.floats(0.05, 1.9), steps=st.integers(1, 30), size=st.floats(0, 2), straight=st.booleans())
def test_behind_weights_that_learn_the_mirror_is_never_further_than_their_step_allows(seed, eta, steps, size, straight):
    """|E B - W| <= q^t |D_0| + size (1 - q^t) / (1 - q), q = |1 - eta|; equal if the steps of W keep to one line."""
    rng, W, b = pair(seed, 3, 4)
    q, rule, noise = abs(1 - eta), WeightMirror(samples=8), axes(4)
    line = rng.standard_normal(W.shape)
    line /= norm(line)
    b = W + 3 * line if straight else b
    most = norm(b - W)
    for _ in range(steps):
        b = stepped(rule, b, W, noise, eta)
        move = line if straight else rng.standard_normal(W.shape)
        # against the mirror, so that what is left and what is added are of one sign
        away = np.sign((1 - eta) * ((b - W) * line).sum()) if straight and eta < 1 else 1
        W = W - size * away * move / norm(move)
        most = q * most + size
        assert norm(b - W) <= most * (1 + 1e-12) + 1e-12
    if straight and eta < 1:
        assert_close(norm(b - W), most, of=[W, b, 30])


@given(seed=seeds, law=st.sampled_from(["signs", "skewed"]), eta=st.floats(0.05, 1.9), size=st.floats(0, 1))
def test_the_mean_squared_distance_stays_in_its_bound_even_if_w_moves_against_the_mirror(seed, law, eta, size):
    """x^+ = sqrt(q^2 x^2 + s^2) + size, where every W steps away from its own B; equal if W stands still."""
    _, W, b = pair(seed, 2, 2)
    rule, q, kurtosis = WeightMirror(samples=1), abs(1 - eta), LAWS[law][2]
    paths, most, longest = [(1.0, W, b)], norm(b - W), norm(W)
    for _ in range(3):
        after = []
        for p, W, b in paths:
            for noise, r in every_noise(law, 1, 2):
                moved = stepped(rule, b, W, noise, eta)
                away = moved - W
                after.append((p * r, W - size * away / max(norm(away), 1e-300), moved))
        paths = after
        most = np.sqrt(q**2 * most**2 + eta**2 * (2 + kurtosis - 2) * longest**2) + size
        longest = max(norm(W) for _, W, _ in paths)
        found = np.sqrt(sum(p * norm(b - W)**2 for p, W, b in paths))
        assert found <= most * (1 + 1e-9)
        if size == 0:
            assert_close(found, most, of=[b for _, _, b in paths])
        assert norm(sum(p * (b - W) for p, W, b in paths)) <= found * (1 + 1e-9)


@given(eta=st.floats(0.05, 1.9), s=st.floats(0, 3), size=st.floats(0, 3), start=st.floats(0, 30))
def test_that_recursion_ends_where_the_theorem_says(eta, s, size, start):
    """The map is a contraction by q, with the fixed point (size + sqrt(q^2 size^2 + (1 - q^2) s^2)) / (1 - q^2)."""
    q = abs(1 - eta)
    end = (size + np.sqrt(q**2 * size**2 + (1 - q**2) * s**2)) / (1 - q**2)
    assert_close(np.hypot(q * end, s) + size, end, of=1 / (1 - q))
    x = start
    for t in range(20):
        assert x <= end + q**t * max(0, start - end) + 1e-9
        x = np.hypot(q * x, s) + size


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
