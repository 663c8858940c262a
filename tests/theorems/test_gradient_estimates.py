"""Gradients from losses alone: the mean, the variance and the bias of (g . d) d, and the step that they allow.

d is the direction in which the rule `spsa` perturbs all n parameters, and g the gradient.  docs/theory/gradient-free.md
has the proofs.  Directions come from laws of a few points, so that every mean is a finite sum and exact.
"""
from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case
from tolerance import assert_close, assert_zero

from nobackprop import network
from nobackprop.network import Tape
from nobackprop.rules import BP, SPSA
from nobackprop.studies import gradient_free as free

seeds = st.integers(0, 2**32 - 1)
# one entry of d, as points and their weights: mean 0, variance 1, and this kurtosis.  Three-point
# Gauss-Hermite has the moments of a Gaussian up to the fifth, which is all that is asked for here
LAWS = {"gaussian": (np.sqrt(3) * np.array([-1.0, 0, 1]), np.array([1, 4, 1]) / 6, 3),
        "signs": (np.array([-1.0, 1]), np.array([1, 1]) / 2, 1),
        "sparse": (np.array([-3.0, 0, 3]), np.array([1, 16, 1]) / 18, 9),
        "skewed": (np.array([-0.5, 2]), np.array([4, 1]) / 5, 3.25)}
laws = st.sampled_from(sorted(LAWS))
lengths = st.floats(0.1, 2)


def directions(law: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """All directions d (many, n) whose entries follow this law, and their probabilities."""
    points, weights, _ = LAWS[law]
    picked = np.array(list(itertools.product(range(len(points)), repeat=n)))
    return points[picked], weights[picked].prod(1)


def quadratic(seed: int, c: float = 0.5) -> Case:
    """One linear layer and the squared loss: the loss is a quadratic function of n = 4 parameters."""
    case = Case(SPSA(c), seed, sizes=(), inputs=1, classes=2, loss="squared", samples=5)
    case.x = case.rng.uniform(0.5, 2) * np.array([[-2.0], [-1], [0], [1], [2]]) + case.rng.uniform(-1, 1)
    return case


def round_bowl(seed: int) -> Case:
    """The same with inputs 1 and -1, and targets that can be met: f = |theta - theta*|^2 / 2, all curvatures are 1."""
    case = quadratic(seed)
    case.x = np.array([[1.0], [-1.0]])
    case.y = case.rng.standard_normal((2, 2))
    return case


def estimates(case: Case, rows: Iterable[np.ndarray]) -> np.ndarray:
    """What the library's rule estimates with each of these directions in the place of its signs."""
    found = []
    for d in rows:
        case.state = free.unflat(case.params, d)
        found.append(free.flat(case.grads()))
    return np.array(found)


def loss(case: Case, row: np.ndarray) -> float:
    return float(case.net.value(network.predict(case.net, free.unflat(case.params, row), case.x), case.y))


def slope(case: Case, row: np.ndarray) -> np.ndarray:
    """The gradient at these parameters, by backpropagation."""
    params = free.unflat(case.params, row)
    tape: Tape = network.forward(case.net, params, case.x)
    return free.flat(BP().credit(case.net, params, None, tape, case.y).grads)


def hessian(case: Case) -> np.ndarray:
    """Exact if the loss is quadratic."""
    start = free.flat(case.params)
    return np.array([slope(case, start + row) - slope(case, start) for row in np.eye(start.size)])


def moments(rows: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = p @ rows
    return mean, ((rows - mean) * p[:, None]).T @ (rows - mean)


def orthogonal(rng, n: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


# Theorem G1: one direction

@given(seed=seeds, law=laws, c=lengths)
def test_the_estimate_has_the_mean_and_the_covariance_of_the_theorem(seed, law, c):
    """Mean g, Cov = |g|^2 I + g g^T + (kurtosis - 3) diag(g^2): signs 1, Gaussians 3.  On a quadratic c may be any."""
    case, kurtosis = quadratic(seed, c), LAWS[law][2]
    g = slope(case, free.flat(case.params))
    d, p = directions(law, g.size)
    found = estimates(case, d)
    mean, covariance = moments(found, p)
    assert_close(mean, g, of=found, slack=2.0**14)
    assert_close(covariance, g @ g * np.eye(g.size) + np.outer(g, g) + (kurtosis - 3) * np.diag(g**2),
                 of=np.abs(found).max()**2, slack=2.0**14)
    assert_close(np.trace(covariance), (g.size + kurtosis - 2) * g @ g, of=np.abs(found).max()**2, slack=2.0**14)


@given(seed=seeds, points=st.integers(4, 10))
def test_no_law_of_directions_has_less_variance_for_the_worst_gradient_than_signs(seed, points):
    """Over a basis of gradients the mean variance is E|d|^4 / n - 1 >= n - 1, with equality if |d| never changes."""
    rng, case = np.random.default_rng(seed), quadratic(seed)
    g = slope(case, free.flat(case.params))
    n = g.size
    white = np.sqrt(points) * np.linalg.qr(rng.standard_normal((points, n)))[0]     # E[d d^T] = I
    basis = np.linalg.qr(np.column_stack([g, np.eye(n)]))[0]                       # the first column is +-g / |g|
    for d, equal in ((white, False), (np.sqrt(n) * orthogonal(rng, n), True)):
        variances = []
        for i in range(n):
            turned = d @ np.roll(basis, i, axis=1).T                               # axis i goes to the direction of g
            variances.append(((estimates(case, turned) - g)**2).sum(1).mean() / (g @ g))
        assert_close(np.mean(variances), ((d**2).sum(1)**2).mean() / n - 1, of=n * np.abs(d).max()**2, slack=2.0**16)
        assert max(variances) >= n - 1 - 1e-9
        if equal:
            assert_close(variances, [n - 1.0] * n, of=100)


# Theorem G2: several directions

@given(seed=seeds, law=st.sampled_from(["signs", "gaussian"]), k=st.integers(1, 2))
def test_the_variance_over_independent_directions_is_divided_by_their_number(seed, law, k):
    case = quadratic(seed)
    g = slope(case, free.flat(case.params))
    d, p = directions(law, g.size)
    once = estimates(case, d)
    rows, weights = once, p
    if k == 2:
        rows = ((once[:, None] + once[None]) / 2).reshape(-1, g.size)
        weights = np.outer(p, p).ravel()
    mean, covariance = moments(rows, weights)
    assert_close(mean, g, of=once, slack=2.0**14)
    assert_close(np.trace(covariance), (g.size + LAWS[law][2] - 2) / k * g @ g, of=np.abs(once).max()**2, slack=2.0**14)


@given(seed=seeds, k=st.integers(1, 4))
def test_orthogonal_directions_have_the_variance_n_over_k_minus_1_and_the_mean_squared_cosine_k_over_n(seed, k):
    """Every choice of k out of n orthonormal directions is one outcome.  With all n of them it is the gradient."""
    case = quadratic(seed)
    g = slope(case, free.flat(case.params))
    n = g.size
    once = estimates(case, np.sqrt(n) * orthogonal(np.random.default_rng(seed), n))
    rows = np.array([once[list(some)].mean(0) for some in itertools.combinations(range(n), k)])
    p = np.full(len(rows), 1 / len(rows))
    mean, covariance = moments(rows, p)
    assert_close(mean, g, of=once, slack=2.0**14)
    assert_close(np.trace(covariance), (n / k - 1) * g @ g, of=np.abs(once).max()**2, slack=2.0**14)
    # a choice that is orthogonal to g has the estimate 0 and the cosine 0, which a random choice of axes does not meet
    cosines = (rows @ g)**2 / ((rows**2).sum(1) * (g @ g))
    assert_close(cosines.mean(), k / n, slack=2.0**20)
    if k == n:
        assert_close(rows[0], g, of=once, slack=2.0**14)


# Theorem G3: a finite c

@pytest.mark.slow
@given(seed=seeds, law=laws, c=lengths)
def test_for_a_loss_of_degree_4_the_bias_is_c_squared_times_third_derivatives(seed, law, c):
    """bias_i = c^2 / 6 (3 sum_j f_ijj + (kurtosis - 3) f_iii), exactly: two linear layers and the squared loss.

    The coordinates are turned, because f_iii = 0 for each weight of such a network alone.
    """
    case = Case(SPSA(c), seed, sizes=(1,), inputs=1, classes=1, loss="squared", activation="identity", samples=3)
    start = free.flat(case.params)
    n, kurtosis = start.size, LAWS[law][2]
    assert n == 4
    g = slope(case, start)
    # along a line the gradient is a cubic, so its second difference is the second derivative
    Q = orthogonal(case.rng, n)
    third = np.array([slope(case, start + axis) - 2 * g + slope(case, start - axis) for axis in Q.T]) @ Q  # f_ijj
    d, p = directions(law, n)
    found = estimates(case, d @ Q.T) @ Q
    bias = c**2 / 6 * (3 * third.sum(0) + (kurtosis - 3) * np.diag(third))
    assert_close(p @ found - g @ Q, bias, of=[found, third], slack=2.0**14)


@given(seed=seeds, c=lengths)
def test_on_a_quadratic_there_is_no_bias(seed, c):
    case = quadratic(seed, c)
    g = slope(case, free.flat(case.params))
    d, p = directions("signs", g.size)
    found = estimates(case, d)
    assert_zero(p @ found - g, of=found, slack=2.0**14)


def test_a_bias_by_numbers():
    """f = (w v - 1)^2 / 2 at w = v = 1, c = 1: the gradient is 0, f_www = 0, f_wvv = 2; the bias is 3 * 2 / 6 = 1."""
    case = Case(SPSA(1.0), 0, sizes=(1,), inputs=1, classes=1, loss="squared", activation="identity", samples=1)
    case.x = case.y = np.ones((1, 1))
    for array in (case.params[0][0]["W"], case.params[1]["W"]):
        array[...] = 1
    for array in (case.params[0][0]["b"], case.params[1]["b"]):
        array[...] = 0
    signs = [{"W": np.array([[float(w)]]), "b": np.zeros(1)} for w in (-1, 1)]
    found = []
    for w, v in itertools.product(signs, signs):
        case.state = [[w, None], v]
        grads = case.grads()
        found.append([grads[0][0]["W"].item(), grads[1]["W"].item()])
    assert_zero(slope(case, free.flat(case.params)), of=1)
    assert_close(np.mean(found, 0), np.array([1.0, 1.0]))


# Theorem G4: the step size

@given(seed=seeds, part=st.floats(0.02, 1))
def test_up_to_2_over_beta_n_no_step_along_signs_raises_the_loss(seed, part):
    """Every single one: f falls by at least eta (g . d)^2 (1 - beta eta n / 2), beta the largest curvature."""
    case = quadratic(seed)
    start, H = free.flat(case.params), hessian(case)
    n, beta = start.size, np.linalg.eigvalsh(H)[-1]
    eta, f, g = part * 2 / (beta * n), loss(case, start), slope(case, start)
    d, _ = directions("signs", n)
    for sign, estimate in zip(d, estimates(case, d), strict=True):
        assert loss(case, start - eta * estimate) <= f - eta * (g @ sign)**2 * (1 - part) + 1e-9 * f


@given(seed=seeds, factor=st.floats(0.05, 2))
def test_in_a_round_bowl_that_bound_is_the_exact_one(seed, factor):
    """f^+ - f = - eta (g . d)^2 (1 - eta n / 2) for every d: it stays at 2 / (beta n), and beyond it rises."""
    case = round_bowl(seed)
    start = free.flat(case.params)
    n, f, g = start.size, loss(case, start), slope(case, start)
    assert_close(hessian(case), np.eye(n), of=100)
    eta = factor * 2 / n
    d, _ = directions("signs", n)
    for sign, estimate in zip(d, estimates(case, d), strict=True):
        change = loss(case, start - eta * estimate) - f
        assert_close(change, -eta * (g @ sign)**2 * (1 - factor), of=100 * f, slack=2.0**14)
    # the mean over the signs goes to 0 at the best step by 1 - 1/n at a time
    after = np.mean([loss(case, start - e / n) for e in estimates(case, d)])
    assert_close(after, (1 - 1 / n) * f, of=100 * f)
    by_gradient = loss(case, start - g)
    assert_zero(by_gradient, of=100 * f)                                           # the step 1 / beta of the gradient


@pytest.mark.slow
@given(seed=seeds, k=st.integers(1, 4), law=st.sampled_from(["orthogonal", "gaussian"]))
def test_the_best_step_gains_k_over_2_beta_n_times_the_squared_gradient(seed, k, law):
    """On average, with k orthonormal directions and eta = k / (beta n); with one Gaussian direction n + 2 for n."""
    for bowl in (True, False):
        case = round_bowl(seed) if bowl else quadratic(seed)
        start, H = free.flat(case.params), hessian(case)
        n, beta = start.size, np.linalg.eigvalsh(H)[-1]
        f, g = loss(case, start), slope(case, start)
        if law == "orthogonal":
            once, gain = estimates(case, np.sqrt(n) * orthogonal(np.random.default_rng(seed), n)), k / (beta * n)
            rows = [once[list(some)].mean(0) for some in itertools.combinations(range(n), k)]
            p = np.full(len(rows), 1 / len(rows))
        else:
            d, p = directions("gaussian", n)
            rows, gain = estimates(case, d), 1 / (beta * (n + 2))
        after = p @ [loss(case, start - gain * row) for row in rows]
        assert after <= f - gain / 2 * g @ g + 1e-9 * f
        if bowl:
            assert_close(after, f - gain / 2 * g @ g, of=100 * f)
        least = np.linalg.eigvalsh(H)[0]
        lowest = f - g @ np.linalg.lstsq(H, g, rcond=1e-8)[0] / 2
        assert after - lowest <= (1 - gain * least) * (f - lowest) + 1e-9 * f


@given(seed=seeds)
def test_the_mean_falls_for_every_gradient_up_to_a_step_that_the_trace_gives(seed):
    """eta lambda_max(tr(H) I + 2 H - 2 diag(H)) < 2, exactly, for signs on a quadratic; its eigenvector is worst."""
    case = quadratic(seed)
    start, H = free.flat(case.params), hessian(case)
    n = start.size
    values, vectors = np.linalg.eigh(np.trace(H) * np.eye(n) + 2 * H - 2 * np.diag(np.diag(H)))
    assert np.trace(H) * (1 - 1e-9) <= values[-1] <= np.trace(H) + 2 * np.linalg.eigvalsh(H)[-1] * (1 + 1e-9)
    for excess, sign in ((0.98, -1), (1.02, 1)):
        eta = excess * 2 / values[-1]
        # where the gradient is the worst one
        at = start + np.linalg.solve(H, vectors[:, -1] - slope(case, start))
        case.params = free.unflat(case.params, at)
        d, p = directions("signs", n)
        change = p @ [loss(case, at - eta * row) for row in estimates(case, d)] - loss(case, at)
        assert_close(change, -eta * (1 - excess), of=100 * loss(case, at) + 100, slack=2.0**20)
        assert np.sign(change) == sign


def test_a_smooth_loss_that_is_not_quadratic_falls_too():
    """Cross-entropy of two classes from theta = 0: beta = lambda_max(E x~x~^T) / 2 with x~ = (x, 1); small c."""
    for seed in range(5):
        case = Case(SPSA(1e-4), seed, sizes=(), inputs=2, classes=2, samples=8)
        start = np.zeros(free.flat(case.params).size)
        case.params = free.unflat(case.params, start)
        inputs = np.c_[case.x, np.ones(8)]
        n, beta = start.size, np.linalg.eigvalsh(inputs.T @ inputs / 8)[-1] / 2
        d, _ = directions("signs", n)
        f, g = loss(case, start), slope(case, start)
        for sign, row in zip(d, estimates(case, d), strict=True):
            assert loss(case, start - row / (beta * n)) <= f - (g @ sign)**2 / (2 * beta * n) + 1e-7

