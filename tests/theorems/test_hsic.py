"""pHSIC, by which Pogodin and Latham 2020 train blocks, next to HSIC, which it estimates."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, slope, terms
from tolerance import assert_close

from nobackprop.errors import InputError
from nobackprop.kernels.similarity import d_gaussian, gaussian, similarity
from nobackprop.network import Network
from nobackprop.rules import PHSIC, get
from nobackprop.rules.hsic_bottleneck import KERNELS, phsic

seeds = st.integers(0, 2**32 - 1)
samples = st.integers(2, 8)
NET = Network(())


def hsic(K, other):
    """tr(K H L H) / N^2, where H subtracts the mean: the biased estimate of Gretton et al. 2005."""
    H = np.eye(len(K)) - 1 / len(K)
    return np.trace(K @ H @ other @ H) / len(K)**2


def symmetric(rng, n):
    K = rng.standard_normal((n, n))
    return K + K.T


@given(seed=seeds, n=samples)
def test_phsic_is_hsic_and_twice_the_covariance_of_the_row_means(seed, n):
    rng = np.random.default_rng(seed)
    K, other = symmetric(rng, n), symmetric(rng, n)
    rows = np.cov(K.mean(1), other.mean(1), bias=True)[0, 1]
    assert_close(phsic(K, other), hsic(K, other) + 2 * rows, of=np.outer(K, other))


@given(seed=seeds, classes=st.integers(2, 4), each=st.integers(1, 3))
def test_with_as_many_samples_of_every_class_the_target_term_is_hsic(seed, classes, each):
    rng = np.random.default_rng(seed)
    y = np.eye(classes)[rng.permutation(np.repeat(np.arange(classes), each))]
    K = symmetric(rng, len(y))
    assert_close(phsic(y @ y.T, K), hsic(y @ y.T, K), of=K)


@given(seed=seeds, classes=st.integers(2, 5), n=samples)
def test_cosines_of_centred_targets_are_another_gamma(seed, classes, n):
    """The authors' scripts compare these: C / (C - 1) times the linear kernel, minus a constant that pHSIC removes."""
    rng = np.random.default_rng(seed)
    y, K = np.eye(classes)[rng.integers(classes, size=n)], symmetric(rng, n)
    d = y - 1 / classes
    cosines = d @ d.T / np.linalg.norm(d, axis=1) / np.linalg.norm(d, axis=1)[:, None]
    assert_close(phsic(cosines, K), classes / (classes - 1) * phsic(y @ y.T, K), of=K)


def test_with_unequal_classes_it_is_not():
    y = np.eye(2)[[0, 0, 0, 1]]
    assert abs(phsic(y @ y.T, y @ y.T) - hsic(y @ y.T, y @ y.T)) > 0.01


@pytest.mark.parametrize("kernel", KERNELS)
@given(seed=seeds, n=samples)
def test_with_gamma_2_it_matches_kernels_less_their_means(kernel, seed, n):
    """pHSIC(h, h) - 2 pHSIC(y, h) + pHSIC(y, y): the squared distance of `sim`, for kernels with another centre."""
    rng = np.random.default_rng(seed)
    rule = PHSIC(kernel=kernel, sigma=1.5)
    h, y = rng.standard_normal((n, 5)), np.eye(3)[rng.integers(3, size=n)]
    K, K_y = rule.matrix(h), y @ y.T
    distance = ((K - K.mean() - K_y + K_y.mean())**2).mean()
    assert_close(rule.value(NET, None, h, y), distance - K_y.var(), of=[K**2, 1])


@given(seed=seeds, n=samples)
def test_it_is_no_less_than_what_perfect_matching_gives(seed, n):
    rng = np.random.default_rng(seed)
    h, y = rng.standard_normal((n, 5)), np.eye(3)[rng.integers(3, size=n)]
    assert PHSIC().value(NET, None, h, y) >= -(y @ y.T).var() - 1e-12


@given(seed=seeds, n=samples, sigma=st.floats(0.5, 4))
def test_the_gaussian_kernel(seed, n, sigma):
    rng = np.random.default_rng(seed)
    h, delta, v = rng.standard_normal((n, 3)), rng.standard_normal((n, n)), rng.standard_normal((n, 3))
    distances = ((h[:, None] - h[None])**2).sum(-1)
    assert_close(gaussian(h, sigma), np.exp(-distances / (2 * sigma**2)))
    assert_close((d_gaussian(delta, h, sigma) * v).sum(), slope(lambda h: (delta * gaussian(h, sigma)).sum(), h, v),
                 of=[delta, terms(d_gaussian(delta, h, sigma), v)])


@given(seed=seeds, gamma=st.just(0.0) | st.floats(1e-8, 4))
def test_each_pair_of_samples_pulls_or_pushes_by_one_number(seed, gamma):
    """The third factor of their rule, 2 K_ij - gamma K'_ij minus the means, is one for both samples and all units."""
    rng = np.random.default_rng(seed)
    h, y = rng.standard_normal((6, 4)), np.eye(3)[rng.integers(3, size=6)]
    rule = PHSIC(gamma, "gaussian", 1.5)
    K, K_y = gaussian(h, 1.5), y @ y.T
    third = 2 * (K - K.mean()) - gamma * (K_y - K_y.mean())
    expected = [sum(2 * third[i, j] * K[i, j] * (h[j] - h[i]) for j in range(6)) / (36 * 1.5**2) for i in range(6)]
    assert_close(rule.sent(NET, None, h, y), np.array(expected), of=1)


@given(seed=seeds)
def test_gamma_0_forgets_the_target(seed):
    case = Case(PHSIC(gamma=0.0), seed)
    before = case.grads()[:-1]
    case.y = np.roll(case.y, 1, axis=1)
    for u, v in zip(before, case.grads()[:-1], strict=True):
        np.testing.assert_array_equal(u[0]["W"], v[0]["W"])


@given(seed=seeds)
def test_the_output_has_no_say(seed):
    case = Case(get("phsic"), seed)
    before = case.grads()[:-1]
    case.params[-1]["W"] = -case.params[-1]["W"]
    for u, v in zip(before, case.grads()[:-1], strict=True):
        np.testing.assert_array_equal(u[0]["W"], v[0]["W"])


def test_the_cosine_does_not_see_how_large_a_sample_is():
    rng = np.random.default_rng(0)
    h, y = 100 * rng.standard_normal((6, 4)), np.eye(3)[rng.integers(3, size=6)]
    rule = PHSIC(kernel="cosine")
    np.testing.assert_allclose(rule.value(NET, None, 5 * h, y), rule.value(NET, None, h, y), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(rule.matrix(h), similarity(h))


def test_what_is_no_kernel_and_no_width_is_refused():
    with pytest.raises(InputError, match="unknown kernel 'gausian': did you mean 'gaussian'"):
        PHSIC(kernel="gausian")
    for sigma in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="sigma must be a positive number"):
            replace(PHSIC(), sigma=sigma)
