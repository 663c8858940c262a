"""LTAS in a linear network: where its modules rest or go to, and how their feedback lies to that of BP there.

The weights stand still in most of these tests, and with them h_1; P = W_L ... W_2 and B have the shape (C, n_1).
docs/theory/las.md has the proofs.
"""
from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, chain, move
from tolerance import assert_close, assert_zero

from nobackprop.metrics import signals
from nobackprop.optim import SGD, Adam, Momentum
from nobackprop.rules import BP, LTAS

seeds = st.integers(0, 2**32 - 1)
norm = np.linalg.norm


def cos(u, v) -> float:
    return float((u * v).sum() / (norm(u) * norm(v)))


# The squared loss, at rest

def at_rest(seed: int, sizes: tuple[int, ...], share: float) -> tuple[Case, list[np.ndarray], float]:
    """A linear network whose modules rest, its products, and 2f as that share of the least limit over all modules."""
    rng = np.random.default_rng(seed)
    W = [rng.standard_normal((rows, columns)) for columns, rows in zip(sizes, sizes[1:], strict=False)]
    x, e = rng.standard_normal((12, sizes[0])), rng.standard_normal((12, sizes[-1]))
    case = chain(LTAS(), W, [np.zeros((sizes[-1], n)) for n in sizes[1:-2]], x, e)
    P = [np.linalg.multi_dot([*W[:i:-1]]) for i in range(len(W) - 2)]
    limit = min(np.linalg.eigvalsh(h.T @ h / 12)[0] * np.linalg.svd(p, compute_uv=False)[-1]**2
                for h, p in zip(case.tape().h[1:], P, strict=False))
    case.y = case.tape().output - e * np.sqrt(share * limit / (e**2).sum() * 12)
    case.state = [np.linalg.lstsq(h, case.y, rcond=None)[0].T for h in case.tape().h[1:-2]]
    return case, P, share * limit


# E[h h^T] has full rank only if no layer is wider than the ones below it
narrowing = st.lists(st.integers(1, 5), min_size=4, max_size=5).map(lambda n: tuple(sorted(n, reverse=True)))


@given(seed=seeds, sizes=narrowing, share=st.floats(0.01, 10))
def test_at_rest_the_module_misses_the_product_by_the_error_that_a_linear_map_can_tell(seed, sizes, share):
    """B - P = -M S^-1, M = E[e h^T], and so |B - P|_2^2 lambda_min(S) <= 2f."""
    case, P, twice_f = at_rest(seed, sizes, share)
    tape = case.tape()
    e = tape.output - case.y
    assert_close(2 * case.net.value(tape.output, case.y), twice_f, of=tape.output**2, slack=2.0**20)
    for b, p, h in zip(case.state, P, tape.h[1:], strict=False):
        S = h.T @ h / len(h)
        assert_zero((b - p) @ S + e.T @ h / len(h), of=[(np.abs(b) + np.abs(p)) @ np.abs(S)], slack=2.0**20)
        assert norm(b - p, 2)**2 * np.linalg.eigvalsh(S)[0] <= twice_f * (1 + 1e-6)


@given(seed=seeds, sizes=narrowing, share=st.floats(0.01, 1))
def test_at_rest_ltas_descends_while_the_loss_is_below_what_a_module_can_tell(seed, sizes, share):
    """2f <= lambda_min(S_i) smin(P_i)^2 for every module: then no layer ascends."""
    case, _, _ = at_rest(seed, sizes, share)
    for g, true in zip(first_gradients(case), first_gradients(case, BP()), strict=True):
        assert (g * true).sum() >= -1e-9 * norm(g) * norm(true)


def first_gradients(case: Case, rule=None) -> list[np.ndarray]:
    """The gradients of the layers that learn through a module, under the case's rule or another one."""
    grads = (rule or case.rule).credit(case.net, case.params, case.state, case.tape(), case.y).grads
    return [block[0]["W"] for block in grads[:len(case.state)]]


@pytest.mark.parametrize("factor, descends", [(0.998, True), (1.002, False)])
@given(seed=seeds, n=st.integers(1, 5))
def test_that_bound_on_the_loss_is_sharp(factor, descends, seed, n):
    """One output, P and the error along the least eigenvector v of S: B = (1 - factor) P.  W_1 alone counts here."""
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    values = np.sort(rng.uniform(0.2, 2, n))
    x = np.sqrt(2 * n) * np.linalg.qr(rng.standard_normal((2 * n, n)))[0] * np.sqrt(values) @ q.T
    v, size = q[:, :1].T, 100.0
    B = (1 - factor) * size**2 * v
    case = chain(LTAS(), [np.eye(n), size * v, size], [B], x, x @ B.T)
    assert_zero(case.align()[0], of=size**2)
    twice_f = 2 * case.net.value(case.tape().output, case.y)
    assert_close(twice_f, factor**2 * values[0] * size**4, of=size**4)
    assert ((first_gradients(case)[0] * first_gradients(case, BP())[0]).sum() > 0) == descends
    before, after = move(case, 1e-15, 0.0)
    assert (after < before) == descends                                            # the whole network, too


def test_beyond_it_ltas_may_ascend():
    """x = T = 1, W = (.1, -.5, .5), B = 10 at rest: the output has the wrong sign, and B has the sign of the target."""
    case = chain(LTAS(), W=[0.1, -0.5, 0.5], B=[10], x=1, y=1)
    assert_zero(case.align()[0], of=1)
    assert move(case, 0.01, 0.01) == pytest.approx((0.5253125, 0.5517974714), rel=0, abs=1e-9)


# Cross-entropy: the module stays in a cone, whatever batches it sees

def classified(seed: int, sizes: tuple[int, ...], classes: int, samples: int = 8) -> tuple[Case, np.ndarray, float]:
    """A linear network that classifies all its samples, with B = 0; its product P and its margin gamma."""
    rng = np.random.default_rng(seed)
    W = [rng.standard_normal((rows, columns))
         for columns, rows in zip((4, *sizes), (*sizes, classes), strict=True)]
    x = rng.standard_normal((samples, 4))
    P = np.linalg.multi_dot(W[:0:-1])
    case = chain(LTAS(), W, [np.zeros(P.shape)], x, np.zeros((samples, classes)), "cross_entropy")
    a = case.tape().output
    case.y = np.eye(classes)[a.argmax(1)]
    second, first = np.sort(a, 1)[:, -2:].T
    return case, P, float((first - second).min() / norm(P))


OPTIMIZERS = {
    "sgd": SGD,
    "momentum": partial(Momentum, decoupled=True),
    "nesterov": partial(Momentum, decoupled=True, nesterov=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@given(seed=seeds, sizes=st.tuples(st.integers(1, 5), st.integers(1, 4)), classes=st.integers(2, 4),
       lr=st.floats(0.01, 10), forgets=st.floats(0, 1))
def test_under_softmax_a_module_from_zero_stays_at_an_angle_that_the_margin_bounds(name, seed, sizes, classes, lr,
                                                                                   forgets):
    """cos(B, P) >= gamma / (sqrt(2) max |h|), for any batches, in every step."""
    case, P, gamma = classified(seed, sizes, classes)
    opt = OPTIMIZERS[name](case.state, lr=lr, weight_decay=forgets / lr)
    x, y, longest, largest = case.x, case.y, norm(case.tape().h[1], axis=1).max(), lr
    for _ in range(20):
        batch = case.rng.integers(len(x), size=case.rng.integers(1, 4))
        case.x, case.y = x[batch], y[batch]
        opt(case.align())
        B, largest = case.state[0], max(largest, norm(case.state[0]))
        bound = gamma / (np.sqrt(2) * longest)
        assert (B * P).sum() >= bound * norm(B) * norm(P) - 1e-12 * (largest + lr * longest) * norm(P)


def test_with_one_sample_of_two_classes_the_bound_is_attained_and_adam_breaks_it():
    """P = (e_1 - e_2) h^T has the margin sqrt(2) |P| |h|: the bound is 1.  Adam first steps by the gradient's signs."""
    h = np.array([[1.0, 0.1]])
    P = np.array([[1.0], [-1.0]]) * h
    for optimizer, expected in ((SGD, 1.0), (Adam, 1.1 / np.sqrt(2 * 1.01))):
        case = chain(LTAS(), [np.eye(2), P, np.eye(2)], [np.zeros((2, 2))], h, [1, 0], "cross_entropy")
        a = case.tape().output[0]
        assert_close((a[0] - a[1]) / norm(P) / (np.sqrt(2) * norm(h)), 1)
        optimizer(case.state, lr=0.1)(case.align())
        assert cos(case.state[0], P) == pytest.approx(expected, rel=1e-6, abs=0)


def test_a_decay_that_forgets_more_than_all_breaks_it():
    """eta lam = 2.5: in the second step B turns round."""
    case = chain(LTAS(), [1, [[1], [-1]], np.eye(2)], [np.zeros((2, 1))], 1, [1, 0], "cross_entropy")
    opt = SGD(case.state, lr=1.0, weight_decay=2.5)
    found = []
    for _ in range(2):
        opt(case.align())
        found.append(cos(case.state[0], np.array([[1.0], [-1.0]])))
    assert_close(found, [1.0, -1.0])


@given(seed=seeds, sizes=st.tuples(st.integers(1, 5), st.integers(1, 4)), opposite=st.booleans())
def test_with_two_classes_the_signals_lie_at_least_as_close_as_the_matrices(seed, sizes, opposite):
    """cos(B^T e, P^T e) >= cos(B, P) for every error, and equal if the rows of P are opposite, as those of B are."""
    case, P, _ = classified(seed, sizes, 2)
    if opposite:
        case.params[-1]["W"][1] = -case.params[-1]["W"][0]
        P = case.params[-1]["W"] @ case.params[1][0]["W"]
        case.y = np.eye(2)[case.tape().output.argmax(1)]
    SGD(case.state, lr=1.0)(case.align())
    ours, true = (signals(case.net, rule, case.params, case.state, case.x, case.y)[0] for rule in (case.rule, BP()))
    whole = cos(case.state[0], P)
    errors = np.abs(len(case.x) * case.net.error(case.tape().output, case.y)).max(1)
    for u, v, error in zip(ours, true, errors, strict=True):
        if error < 1e-6:  # one minus a probability that is nearly one: what is left of it are rounding errors
            continue
        assert cos(u, v) >= whole - 1e-9
        assert not opposite or cos(u, v) == pytest.approx(whole, rel=0, abs=1e-9)


# Where it goes to

def max_margin(lengths: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The least B with (B_y - B_k) h >= 1 for all samples h_n = lengths[n] e_n: each has a column of its own."""
    return (y - 1 / y.shape[1]).T / lengths


def separable(seed: int, classes: int) -> tuple[Case, np.ndarray]:
    """Samples along the axes, of lengths in [1, 3], and B = 0; and the max-margin matrix."""
    rng = np.random.default_rng(seed)
    n = classes + 1
    lengths, y = rng.uniform(1, 3, n), np.eye(classes)[rng.permutation(n) % classes]
    case = chain(LTAS(), [np.eye(n), rng.standard_normal((classes, n)), np.eye(classes)], [np.zeros((classes, n))],
                 np.diag(lengths), y, "cross_entropy")
    return case, max_margin(lengths, y)


@pytest.mark.parametrize("classes", [2, 3])
@given(seed=seeds)
def test_the_max_margin_matrix_lies_to_p_at_least_as_the_ratio_of_their_margins(classes, seed):
    """cos(B_svm, P) >= margin of P / margin of B_svm, margins being those of matrices of length 1."""
    case, best = separable(seed, classes)

    def margin(B):
        a = case.x @ B.T
        own = (a * case.y).sum(1, keepdims=True)
        return ((own - a + 1e9 * case.y).min(1)).min() / norm(B)

    assert_close(margin(best), 1 / norm(best), of=1e9 / norm(best))
    for noise in (0.0, case.rng.uniform(0, 1)):                                    # at P = best itself both sides are 1
        P = best + noise * norm(best) * case.rng.standard_normal(best.shape)
        assert cos(best, P) >= margin(P) / margin(best) - 1e-6


@pytest.mark.slow
def test_towards_the_max_margin_it_goes_as_slowly_as_the_logarithm():
    """Lengths 1 and 3, lambda_max(S) = 4.5, eta = .8 < 4 / 4.5: 1 - cos after 100, 1000 and 10,000 steps."""
    case = chain(LTAS(), [np.eye(2)] * 3, [np.zeros((2, 2))], np.diag([1.0, 3.0]), np.eye(2), "cross_entropy")
    best = max_margin(np.array([1.0, 3.0]), np.eye(2))
    opt, missed = SGD(case.state, lr=0.8), []
    for steps in (100, 900, 9000):
        for _ in range(steps):
            opt(case.align())
        missed.append(1 - cos(case.state[0], best))
    assert missed == pytest.approx([0.0108600, 0.0045718, 0.0025563], rel=1e-4, abs=0)


@given(seed=seeds, n=st.integers(1, 5), samples=st.integers(1, 8), classes=st.integers(2, 4), size=st.floats(0, 5),
       part=st.floats(0.01, 1))
def test_below_that_rate_every_step_lowers_the_loss_of_every_module(seed, n, samples, classes, size, part):
    """eta = 4 part / lambda_max(S): by at least eta (1 - part) |g|^2, on any samples, from any B."""
    rng = np.random.default_rng(seed)
    h, y = rng.standard_normal((samples, n)), np.eye(classes)[rng.integers(classes, size=samples)]
    case = chain(LTAS(), [np.eye(n), rng.standard_normal((classes, n)), np.eye(classes)],
                 [size * rng.standard_normal((classes, n))], h, y, "cross_entropy")
    before, g = float(case.net.value(h @ case.state[0].T, y)), case.align()[0]
    eta = 4 * part / np.linalg.eigvalsh(h.T @ h / samples)[-1]
    SGD(case.state, lr=eta)(case.align())
    after = float(case.net.value(h @ case.state[0].T, y))
    assert after <= before - eta * (1 - part) * (g**2).sum() + 1e-12 * (1 + before)


@pytest.mark.parametrize("factor, falls", [(0.99, True), (1.01, False)])
def test_under_softmax_a_module_descends_its_loss_below_four_over_the_largest_eigenvalue(factor, falls):
    """One sample of each of two classes, h = 1 for both: B = 0 is best, and eta = 4 throws B across it."""
    case = chain(LTAS(), [1, [[1], [-1]], np.eye(2)], [np.array([[1e-3], [-1e-3]])], [[1], [1]], np.eye(2),
                 "cross_entropy")

    def loss() -> float:
        return float(case.net.value(case.x @ case.state[0].T, case.y))

    before = loss()
    SGD(case.state, lr=factor * 4)(case.align())
    assert (loss() < before) == falls


def test_the_limit_depends_on_the_data_and_not_on_the_weights():
    """Samples (1, 0), (0, 1) of two classes: B goes to (1, -1; -1, 1) / 2.  P = (1, -.1; -1, .1) does as well."""
    P = np.array([[1.0, -0.1], [-1.0, 0.1]])
    case = chain(LTAS(), [np.eye(2), P, np.eye(2)], [np.zeros((2, 2))], np.eye(2), np.eye(2), "cross_entropy")
    assert (case.tape().output.argmax(1) == [0, 1]).all()
    opt = SGD(case.state, lr=1.0)
    for _ in range(50):
        opt(case.align())
    assert_close(cos(case.state[0], max_margin(np.ones(2), np.eye(2))), 1)
    assert_close(cos(case.state[0], P), 1.1 / np.sqrt(2 * 1.01))
