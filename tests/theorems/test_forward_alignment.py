"""Forward Alignment of two linear layers: the theorem of Woo 2023, section 3.2, as it holds, and where the printed one
does not.  docs/theory/forward-alignment.md has the proofs.

Most identities hold at every point of the weights, so they are tested at points; all quantities are polynomials in
the weights, which central differences derive without error.
"""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from networks import Case
from scipy.integrate import quad, solve_ivp
from tolerance import assert_close, assert_zero

from nobackprop import InputError
from nobackprop.feedback import weights
from nobackprop.optim import SGD, bind
from nobackprop.rules import RULES
from nobackprop.studies import forward_alignment_flow as flow
from nobackprop.studies.forward_alignment_flow import Task, error, integrate, velocity
from nobackprop.tree import leaves

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 5)
rates = st.floats(1e-3, 0.5)

norm = np.linalg.norm


def spectrum(rng, rows: int, columns: int, low: float, high: float, rank: int | None = None) -> np.ndarray:
    """A matrix with singular values in [low, high], of full rank or of that rank."""
    k = min(rows, columns)
    u, v = (np.linalg.qr(rng.standard_normal((n, k)))[0] for n in (rows, columns))
    return u * rng.uniform(low, high, k) * (np.arange(k) < (k if rank is None else rank)) @ v.T


def point(seed: int, n_x: int, n_h: int, n_o: int, white: bool = False, start: float = 1.0, rank: int | None = None):
    """A task of bounded spectra, C of full rank unless the options say otherwise, and weights in [-start, start]."""
    rng = np.random.default_rng(seed)
    T, C = spectrum(rng, n_o, n_x, 0.3, 2), spectrum(rng, n_h, n_x, 0.5, 2, rank)
    task = Task(T, C, None if white else covariance(rng, n_x, 0.3, 2))
    return task, *(start * rng.uniform(-1, 1, shape) for shape in ((n_h, n_x), (n_o, n_h)))


def covariance(rng, n: int, low: float, high: float) -> np.ndarray:
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return q * rng.uniform(low, high, n) @ q.T


def balanced(seed: int, n_x: int, n_h: int, n_o: int, twist: float = 0.0, positive: float = 0.0):
    """A white task with K = 2 positive C Q Q^T C^T: W_2 = U C^T, W_1 = C (U^T U / 2 + A + positive Q Q^T)."""
    task, *_ = point(seed, n_x, n_h, n_o, white=True)
    rng = np.random.default_rng([seed, 1])
    U, A, Q = (rng.uniform(-1, 1, (rows, n_x)) for rows in (n_o, n_x, n_x))
    return task, task.C @ (U.T @ U / 2 + twist * (A - A.T) + positive * Q @ Q.T), U @ task.C.T


def derivative(f, task, W1, W2):
    """f' along the flow; it is exact if f is a polynomial of degree at most 6 in the weights."""
    V1, V2 = velocity(task, W1, W2)
    rise = [f(task, W1 + h * V1, W2 + h * V2) - f(task, W1 - h * V1, W2 - h * V2) for h in (1, 2, 3)]
    return (45 * rise[0] - 9 * rise[1] + rise[2]) / 60


def scale(*arrays) -> float:
    """No term of a polynomial of degree about 4 in these is larger."""
    return (1 + max(np.abs(array).max() for array in arrays))**4


# What is conserved: for all inputs, C and ranks

@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes, rank=st.integers(0, 5))
def test_the_flow_conserves_k(seed, n_x, n_h, n_o, rank):
    task, W1, W2 = point(seed, n_x, n_h, n_o, rank=rank)
    V1, V2 = velocity(task, W1, W2)
    E = (task.T - W2 @ W1) @ task.Sigma
    assert_close([V1, V2], [W2.T @ E, E @ task.C.T], of=scale(W1, W2))                             # ASAP (3.16)-(3.17)
    np.testing.assert_allclose(V1 @ task.C.T, W2.T @ V2, rtol=0, atol=1e-12 * scale(W1, W2))       # ASAP (3.18)
    symmetric = derivative(lambda *at: flow.r(*at) + flow.r(*at).T, task, W1, W2)
    np.testing.assert_allclose(symmetric, 0, atol=1e-10 * scale(W1, W2, V1, V2))                   # ASAP (3.19)
    np.testing.assert_allclose(derivative(flow.K, task, W1, W2), symmetric, rtol=0, atol=1e-10 * scale(W1, W2, V1, V2))


@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes, white=st.booleans())
def test_along_the_flow_k_stays(seed, n_x, n_h, n_o, white):
    task, W1, W2 = point(seed, n_x, n_h, n_o, white)
    path = integrate(task, W1, W2, np.linspace(0, 5, 6))
    for at in zip(path.W1, path.W2, strict=True):
        np.testing.assert_allclose(flow.K(task, *at), flow.K(task, W1, W2), rtol=0, atol=1e-7)


@pytest.mark.parametrize("order, sign", [("simultaneous", -1), ("midpoint", 0), ("sequential", 1)])
@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes, rank=st.integers(0, 5), eta=rates)
def test_a_step_changes_k_by_its_square(order, sign, seed, n_x, n_h, n_o, rank, eta):
    task, W1, W2 = point(seed, n_x, n_h, n_o, rank=rank)
    for _ in range(3):
        before = flow.K(task, W1, W2)
        dW1, dW2 = flow.step(task, W1, W2, eta, order)                             # ASAP (3.14)-(3.15)
        W1, W2 = W1 + dW1, W2 + dW2
        np.testing.assert_allclose(flow.K(task, W1, W2), before + sign * dW2.T @ dW2, rtol=0,
                                   atol=1e-12 * scale(W1, W2))


# The function that falls: only C must have full column rank

@given(seed=seeds, n_x=sizes, more=st.integers(0, 3), n_o=sizes)
def test_h_falls_by_the_loss(seed, n_x, more, n_o):
    task, W1, W2 = point(seed, n_x, n_x + more, n_o)
    assert_close(derivative(flow.H, task, W1, W2), -flow.loss(task, W1, W2), of=scale(W1, W2, *velocity(task, W1, W2)))


@given(seed=seeds, n_x=sizes, more=st.integers(0, 3), n_o=sizes, eta=rates)
def test_a_step_lowers_h_by_the_loss_up_to_its_square(seed, n_x, more, n_o, eta):
    """So it falls as long as eta lambda_max(Sigma) |W_2|^2 < 2."""
    task, W1, W2 = point(seed, n_x, n_x + more, n_o)
    for _ in range(3):
        before, miss = flow.H(task, W1, W2), flow.loss(task, W1, W2)
        small = eta * flow.largest(task) * norm(W2, 2)**2 < 2
        dW1, dW2 = flow.step(task, W1, W2, eta)
        W1, W2 = W1 + dW1, W2 + dW2
        after = flow.H(task, W1, W2)
        assert after == pytest.approx(before - eta * miss + 0.5 * (dW1**2).sum(), rel=1e-12,
                                      abs=1e-12 * scale(W1, W2))
        assert not small or after <= before + 1e-12 * scale(W1, W2)


# The theorem: E goes to 0 from all weights

@pytest.mark.slow
@given(seed=seeds, n_x=sizes, more=st.integers(0, 2), n_o=sizes, white=st.booleans(), start=st.floats(0.1, 3))
@example(seed=0, n_x=1, more=0, n_o=1, white=False, start=2.0)  # one weight a layer: the bound is tight at u(0)
def test_the_flow_is_bounded_and_the_loss_has_a_finite_integral(seed, n_x, more, n_o, white, start):
    """Here r is far from 0; the printed theorem starts from r = 0."""
    task, W1, W2 = point(seed, n_x, n_x + more, n_o, white, start)
    ceiling, C = flow.bound(task, W1, W2), norm(task.C)
    a = max(0, -np.trace(flow.K(task, W1, W2))) + 2 * C * np.sqrt(2 * max(0, flow.H(task, W1, W2)))
    b = 2 * C * np.sqrt(2 * norm(task.T @ np.linalg.pinv(task.C)))
    assert ceiling <= max(2 * a, (2 * b)**(4 / 3)) * (1 + 1e-9)
    path = integrate(task, W1, W2, np.linspace(0, 10, 41))
    H = [flow.H(task, *at) for at in zip(path.W1, path.W2, strict=True)]
    assert np.all(np.diff(H) <= 1e-7 * (1 + np.abs(H[0])))
    for at in zip(path.W1, path.W2, strict=True):
        assert flow.u(task, *at) <= ceiling * (1 + 1e-7)
        assert 0.5 * (at[0]**2).sum() <= (H[0] + norm(task.T @ np.linalg.pinv(task.C)) * np.sqrt(ceiling)) * (1 + 1e-7)


@pytest.mark.parametrize("white, near", [(True, 1e-6), (False, 1e-3)])
@given(seed=seeds, n_x=sizes, more=st.integers(0, 2), n_o=sizes)
def test_forward_alignment_learns_every_linear_map_from_wherever_it_starts(white, near, seed, n_x, more, n_o):
    task, W1, W2 = point(seed, n_x, min(5, n_x + more), n_o, white)
    eta = 0.2 / (norm(task.T @ task.C.T, 2)**(2 / 3) + norm(W1, 2) * norm(task.C, 2) + norm(W2, 2)**2)
    eta /= flow.largest(task)
    H, carried = flow.H(task, W1, W2), task.T @ np.linalg.pinv(task.C)
    for _ in range(20000):
        dW1, dW2 = flow.step(task, W1, W2, eta)
        W1, W2 = W1 + dW1, W2 + dW2
        before, H = H, 0.5 * (W1 * W1).sum() - (carried * W2).sum()
        assert H <= before + 1e-12 * (1 + abs(before))
        if norm(error(task, W1, W2)) < near:
            return
    pytest.fail(f"|E| is still {norm(error(task, W1, W2))}")


@given(seed=seeds, n_x=sizes, more=st.integers(0, 2), n_o=sizes, white=st.booleans(), start=st.floats(0, 3))
def test_steps_of_a_proven_size_keep_every_promise(seed, n_x, more, n_o, white, start):
    """For every Sigma and every start u stays below its bound, and H falls by at least half of what the loss says."""
    task, W1, W2 = point(seed, n_x, n_x + more, n_o, white, start)
    eta = flow.safe_rate(task, W1, W2)
    ceiling = flow.bound(task, W1, W2, eta)
    assert eta * flow.largest(task) * ceiling <= 1
    H = flow.H(task, W1, W2)
    for _ in range(60):
        before, miss = H, flow.loss(task, W1, W2)
        dW1, dW2 = flow.step(task, W1, W2, eta)
        W1, W2 = W1 + dW1, W2 + dW2
        H = flow.H(task, W1, W2)
        assert flow.u(task, W1, W2) <= ceiling * (1 + 1e-12)
        assert H <= before - eta / 2 * miss + 1e-12 * scale(W1, W2)


@given(seed=seeds, n_x=sizes, more=st.integers(0, 2), n_o=sizes, samples=st.integers(1, 3), start=st.floats(0, 3))
def test_on_mini_batches_steps_of_a_proven_size_keep_every_promise(seed, n_x, more, n_o, samples, start):
    """Batches of any inputs in any order: u stays below its bound, H falls by half of what the loss of the batch says,
    and the sum of these losses is bounded."""
    task, W1, W2 = point(seed, n_x, n_x + more, n_o, start=start)
    rng = np.random.default_rng([seed, 2])
    x = rng.uniform(-2, 2, (50, samples, n_x)) + rng.uniform(-2, 2, n_x)
    batches = [Task(task.T, task.C, one.T @ one / samples) for one in x]
    s = max(map(flow.largest, batches))
    eta = flow.safe_rate(task, W1, W2, s)
    ceiling, tau, first = flow.bound(task, W1, W2, eta, s), norm(task.T @ np.linalg.pinv(task.C)), flow.H(task, W1, W2)
    assert eta * s * ceiling <= 1
    losses, H = 0.0, first
    for batch in batches:
        before, miss = H, flow.loss(batch, W1, W2)
        dW1, dW2 = flow.step(batch, W1, W2, eta)
        W1, W2, losses = W1 + dW1, W2 + dW2, losses + miss
        H = flow.H(task, W1, W2)
        assert flow.u(task, W1, W2) <= ceiling * (1 + 1e-12)
        assert H <= before - eta / 2 * miss + 1e-12 * scale(W1, W2)
        assert losses <= 2 / eta * (first + tau * np.sqrt(ceiling)) * (1 + 1e-12) + 1e-12


def test_the_bound_on_mini_batches_counts_with_the_largest_and_not_with_the_mean():
    """Of two orthogonal batches the mean second moment is half as large; its rate is too large for the batches."""
    task, W1, W2 = Task(np.eye(2), np.eye(2), np.diag([0.5, 0.5])), np.eye(2), np.zeros((2, 2))
    assert flow.bound(task, W1, W2, 0.01, 0.5) == flow.bound(task, W1, W2, 0.01)
    assert flow.bound(task, W1, W2, 0.01, 1.0) > flow.bound(task, W1, W2, 0.01)
    for seed in range(20):
        white, W1, W2 = point(seed, 2, 2, 2, white=True)
        slow = Task(white.T, white.C, 1e-3 * np.eye(2))
        assert_close(flow.bound(slow, W1, W2, 0.1, 1.0), flow.bound(white, W1, W2, 0.1))
        assert_close(flow.safe_rate(slow, W1, W2, 1.0), flow.safe_rate(white, W1, W2))
    # by hand, one weight a layer: F_eta(v) = 2 sqrt(2 / 2) - 2 + 2 eta s / 2 = eta s, so eta s U <= 1 for eta <= 1 / s
    one, zero = np.ones((1, 1)), np.zeros((1, 1))
    assert_close(flow.bound(Task(zero, one), one, zero, 0.1, 4.0), 0.4)
    assert 1 / 8 < flow.safe_rate(Task(zero, one), one, zero, 4.0) <= 1 / 4


def test_mini_batches_that_never_show_an_input_or_contradict_each_other_end_elsewhere():
    task, one = Task(np.eye(2), np.eye(2), np.diag([1.0, 0.0])), np.ones((1, 1))
    W1, W2 = np.full((2, 2), 0.1), np.full((2, 2), 0.1)
    eta = flow.safe_rate(task, W1, W2)
    for _ in range(2000):
        dW1, dW2 = flow.step(task, W1, W2, eta)
        W1, W2 = W1 + dW1, W2 + dW2
    left = error(task, W1, W2)
    assert norm(left[:, 0]) < 1e-9 and norm(left[:, 1]) > 0.5 and flow.loss(task, W1, W2) < 1e-9
    # two batches with x = 1 and the targets 1 and -1: whatever the weights, one of them moves the second layer
    for W1, W2 in np.random.default_rng(0).uniform(-2, 2, (20, 2)):
        moved = [flow.step(Task(sign * one, one), W1 * one, W2 * one, 1.0)[1].item() for sign in (1, -1)]
        assert max(map(abs, moved)) >= 1


def ceiling_of_theorem_2(task, W1, W2, eta, v):
    """F_eta(v) of docs/theory/forward-alignment.md, written once more."""
    inverse = np.linalg.inv(task.C.T @ task.C) @ task.C.T
    S = np.eye(task.C.shape[1]) if task.Sigma is None else task.Sigma
    R = (W1**2).sum() / 2 - np.trace(task.T @ inverse @ W2.T) + np.sqrt(((task.T @ inverse)**2).sum() * v)
    trace_K = 2 * np.trace(W1 @ task.C.T) - (W2**2).sum()
    return (2 * np.sqrt((task.C**2).sum() * 2 * R) - trace_K
            + 2 * eta * max(np.linalg.eigvalsh(S)) * max(np.linalg.eigvalsh(task.C.T @ task.C)) * R)


@given(seed=seeds, n_x=sizes, more=st.integers(0, 2), n_o=sizes, white=st.booleans(), start=st.floats(0, 3),
       eta=st.floats(0, 0.3))
def test_the_bound_is_the_largest_v_that_does_not_exceed_f_eta(seed, n_x, more, n_o, white, start, eta):
    task, W1, W2 = point(seed, n_x, n_x + more, n_o, white, start)
    v = flow.bound(task, W1, W2, eta)
    assert v == pytest.approx(ceiling_of_theorem_2(task, W1, W2, eta, v), rel=1e-9, abs=1e-9)
    assert all(ceiling_of_theorem_2(task, W1, W2, eta, more * v) < more * v for more in (1.001, 2, 10, 1000))


@pytest.mark.parametrize("t, c, s", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (1.5, 1.5, 1.0), (1.0, 0.5, 4.0)])
def test_the_bound_by_hand(t, c, s):
    """From zero weights, if all matrices are 1 x 1: v = 2 c sqrt(2 R) + 2 eta s c^2 R with R = t / c sqrt(v) is 16."""
    R = 4 * t / c
    eta = (16 - 2 * c * np.sqrt(2 * R)) / (2 * s * c**2 * R)
    task, zero = Task(np.array([[t]]), np.array([[c]]), np.array([[s]])), np.zeros((1, 1))
    assert eta > 0
    assert_close(flow.bound(task, zero, zero, eta), 16.0)


@pytest.mark.parametrize("seed", range(5))
def test_at_rest_the_end_of_the_printed_proof_is_true(seed):
    """These are limits, not identities: they must not be differentiated, and lim E = 0 holds for t -> oo."""
    task, W1, W2 = point(seed, 3, 4, 2, white=True)
    path = integrate(task, W1, W2, np.array([0.0, 400.0]), rtol=1e-11)
    W1, W2 = path.W1[-1], path.W2[-1]
    E, (_, V2) = error(task, W1, W2), velocity(task, W1, W2)
    assert norm(E) < 1e-7
    assert norm(W2.T @ E @ task.C.T) < 1e-6                                        # ASAP (3.23)
    assert norm(V2.T @ task.T @ task.C.T) < 1e-6                                   # ASAP (3.24)
    assert norm(E.T @ task.T) < 1e-6                                               # ASAP (3.25)


def test_at_time_zero_the_error_is_no_smaller_than_the_target():
    """The printed limit is for t -> 0."""
    task, W1, W2 = point(0, 3, 4, 2, white=True, start=0.0)
    np.testing.assert_array_equal(error(task, W1, W2), task.T)                     # ASAP (3.11)
    path = integrate(task, W1, W2, np.array([0.0, 1e-6]))
    assert norm(error(task, path.W1[1], path.W2[1]) - task.T) < 1e-6


@pytest.mark.slow
def test_there_is_no_rate_for_all_starts():
    """With a large antisymmetric part in W_1 C^T the layers circle each other and learn slowly: K = 0 all the while."""
    left = {}
    for twist in (0.0, 3.0, 30.0):
        task, W1, W2 = balanced(1, 4, 4, 4, twist=twist)
        assert norm(flow.K(task, W1, W2)) < 1e-12 * (1 + twist)
        path = integrate(task, W1, W2, np.array([0.0, 30.0]), rtol=1e-7)
        left[twist] = norm(error(task, path.W1[-1], path.W2[-1])) / norm(error(task, W1, W2))
    assert left[0.0] < 1e-9 < 100 * left[0.0] < left[3.0] < left[30.0] / 3


# The cases in which the condition on C does not hold

@pytest.mark.parametrize("T, C, left", [
    ([[0.0, 1.0]], [[1.0, 0.0]], 1.0),                                      # T C^T = 0
    ([[0.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]], 1.0),                          # n_h = n_x, rank C = 1
    ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0]], 1.0),                          # n_h < rank T
    ([[2.0, 0.0], [0.0, 1.0]], [[0.5, 1.0]], np.sqrt(2.5)),                 # and 1 is the best that n_h = 1 could do
    ([[1.0, 2.0]], [[1.0, 0.0]], 0.0),                                      # rank C = 1 < n_x, but T C^T != 0
    ([[1.0, 2.0]], [[1.0, 0.0], [0.0, 3.0]], 0.0),
])
def test_from_zero_it_learns_what_the_range_of_t_c_holds(T, C, left):
    """E -> T minus its projection on the range of T C^T; so E -> 0 if and only if T C^T has the rank of T."""
    task = Task(np.array(T), np.array(C))
    W1, W2 = flow.from_zero(task, 1e4)
    U, s, _ = np.linalg.svd(task.T @ task.C.T, full_matrices=False)
    U = U[:, s > 1e-9]
    np.testing.assert_allclose(error(task, W1, W2), task.T - U @ U.T @ task.T, rtol=0, atol=1e-9)
    assert norm(error(task, W1, W2)) == pytest.approx(left, abs=1e-9)
    path = integrate(task, np.zeros(task.C.shape), np.zeros(task.C.T.shape if len(T) == 2 else (1, len(C))),
                     np.array([0.0, 60.0]))
    assert norm(error(task, path.W1[-1], path.W2[-1])) == pytest.approx(left, abs=1e-6)


def test_no_bound_is_given_where_none_is_known():
    task, W1, W2 = point(0, 3, 2, 2)
    for ask in (flow.bound, flow.safe_rate):
        with pytest.raises(InputError, match="rank 2, expected 3"):
            ask(task, W1, W2)


# The printed (3.19): true from zero weights on white inputs

@pytest.mark.slow
@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes, t=st.floats(0.1, 20))
def test_from_zero_the_closed_form_is_the_flow(seed, n_x, n_h, n_o, t):
    """(3.19) holds as printed, with symmetry, alignment of W_1 with C, and a loss and an M that fall, for any C."""
    task, *zero = point(seed, n_x, n_h, n_o, white=True, start=0.0)
    W1, W2 = flow.from_zero(task, t)
    path = integrate(task, *zero, np.array([0.0, t]), rtol=1e-11)
    np.testing.assert_allclose(path.W1[-1], W1, rtol=0, atol=1e-7)
    np.testing.assert_allclose(path.W2[-1], W2, rtol=0, atol=1e-7)
    assert_zero(flow.r(task, W1, W2), of=scale(W1, W2))                                        # ASAP (3.19)
    np.testing.assert_allclose(flow.r(task, path.W1[-1], path.W2[-1]), 0, atol=1e-7)
    assert (W1 * task.C).sum() >= -1e-14
    assert derivative(flow.loss, task, W1, W2) <= 1e-10 and flow.dM(task, W1, W2) <= 1e-10


@given(mu=st.floats(1e-6, 50), t=st.floats(1e-3, 50))
def test_the_mode_solves_its_equation(mu, t):
    h = 1e-4 * t
    p, slope = flow.mode(mu, t), (flow.mode(mu, t + h) - flow.mode(mu, t - h)) / (2 * h)
    assert slope == pytest.approx(1 - mu * p**3 / 2, abs=1e-6)
    assert p == pytest.approx(min(t, (2 / mu)**(1 / 3)), rel=0.25) and flow.mode(0.0, t) == t


@given(q=st.floats(0.01, 0.999), mu=st.floats(1e-3, 1e3))
def test_the_mode_is_where_the_integral_has_come_to(q, mu):
    """t is the integral of dq / (1 - q^3), both in units of (mu / 2)^(1/3)."""
    unit = (mu / 2)**(1 / 3)
    t, _ = quad(lambda z: 1 / (1 - z**3), 0, q, epsabs=0, epsrel=1e-12)
    assert_close(1 - unit * flow.mode(mu, t / unit), 1 - q, of=1, slack=2.0**16)


@example(s=9.9e-4, t=1.0)
@example(s=1.01e-3, t=1.0)
@given(s=st.floats(1e-5, 1e-2), t=st.floats(1e-3, 1e3))
def test_the_mode_keeps_its_digits_near_its_start(s, t):
    """Here p is t (1 - s^3 / 4 + 3 s^6 / 28), and it is less than the last digit; s = t (mu / 2)^(1/3)."""
    assert_close(flow.mode(2 * (s / t)**3, t), t * (1 - s**3 / 4 + 3 * s**6 / 28), slack=2.0**14)


@pytest.mark.parametrize("t", [1e3, 1e300, np.inf])
def test_in_the_end_the_mode_is_at_rest(t):
    """p goes to (2 / mu)^(1/3), and to infinity for mu = 0; no step of the way overflows."""
    mu = np.array([0.0, 1e-3, 5.0, 1e300])
    assert_close(flow.mode(mu[1:], t), np.cbrt(2 / mu[1:]))
    assert flow.mode(mu, t)[0] == flow.mode(0, t) == t
    assert_close(float(flow.mode(5, t)), 0.4**(1 / 3))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_a_second_moment_of_zero_moves_nothing_and_every_rate_is_safe(dtype):
    """A second moment may be singular, and rounding may leave it a little asymmetric, in either precision."""
    task, W1, W2 = point(0, 2, 3, 2)
    still = Task(task.T, task.C, np.zeros((2, 2), dtype))
    assert flow.largest(still) == flow.loss(still, W1, W2) == 0 < flow.safe_rate(still, W1, W2) < np.inf
    assert flow.u(still, W1, W2) <= flow.bound(still, W1, W2)
    assert all(not change.any() for change in flow.step(still, W1, W2, flow.safe_rate(still, W1, W2)))
    x = np.array([[3, 1], [6, 2]], dtype)
    Sigma = x.T @ x
    if dtype != "int64":
        Sigma = Sigma * (1 + np.finfo(dtype).eps * np.array([[0, 1], [-1, 0]], dtype))
    assert flow.largest(Task(task.T, task.C, Sigma)) == pytest.approx(50)


@pytest.mark.slow
@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes, eps=st.floats(0.05, 0.6))
def test_in_steps_from_zero_the_modes_decouple(seed, n_x, n_h, n_o, eps):
    """p+ = p + eta (1 - mu p q), q+ = q + eta p (1 - mu p q): monotone up to eps = 0.3, convergent up to 0.6."""
    task, W1, W2 = point(seed, n_x, n_h, n_o, white=True, start=0.0)
    U, s, Vt = np.linalg.svd(task.T @ task.C.T, full_matrices=False)
    eta, p, q, loss = eps / s[0]**(2 / 3), np.zeros(len(s)), np.zeros(len(s)), flow.loss(task, W1, W2)
    for _ in range(60):
        dW1, dW2 = flow.step(task, W1, W2, eta)
        W1, W2 = W1 + dW1, W2 + dW2
        p, q = p + eta * (1 - s**2 * p * q), q + eta * p * (1 - s**2 * p * q)
        np.testing.assert_allclose(W2, U * (s * p) @ Vt, rtol=0, atol=1e-9)
        np.testing.assert_allclose(W1, Vt.T * (s * q) @ U.T @ task.T, rtol=0, atol=1e-9)
        S = W1 @ task.C.T
        np.testing.assert_allclose(S, S.T, rtol=0, atol=1e-9)
        assert (W1 * task.C).sum() >= -1e-12
        assert eps > 0.3 or flow.loss(task, W1, W2) <= loss + 1e-10
        loss = flow.loss(task, W1, W2)
    assert 1 - s[0]**2 * p[0] * q[0] < 1e-2


@pytest.mark.parametrize("eps, ends", [(0.3, True), (0.6, True), (0.65, False)])
def test_from_zero_steps_may_not_be_too_large(eps, ends):
    """The units are chosen so that mu = 1."""
    p = q = 0.0
    for _ in range(3000):
        p, q = p + eps * (1 - p * q), q + eps * p * (1 - p * q)
        if abs(p) > 1e3:
            break
    assert (abs(1 - p * q) < 1e-9) is ends


@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes)
def test_from_zero_only_the_midpoint_step_keeps_3_19(seed, n_x, n_h, n_o):
    task, *zero = point(seed, n_x, n_h, n_o, white=True, start=0.0)
    for order in flow.ORDERS:
        W1, W2 = zero
        for _ in range(30):
            dW1, dW2 = flow.step(task, W1, W2, 0.2 / norm(task.T @ task.C.T, 2)**(2 / 3), order)
            W1, W2 = W1 + dW1, W2 + dW2
        off = np.abs(flow.r(task, W1, W2)).max()
        assert off < 1e-12 if order == "midpoint" else off > 1e-3                                  # ASAP (3.19)


# The printed (3.19): false from other weights

def farthest(path, task) -> float:
    """The largest distance of r from its first value."""
    first = flow.r(task, path.W1[0], path.W2[0])
    return max(np.abs(flow.r(task, *at) - first).max() for at in zip(path.W1, path.W2, strict=True))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", ["r = 0 at first", "inputs not white, from zero", "any start"])
def test_elsewhere_r_does_not_stay(case, seed):
    """If W_2^T W_2' is not symmetric along the path, its integral is not W_2^T W_2 / 2; K stays all the same."""
    if case == "r = 0 at first":
        task, W1, W2 = balanced(seed, 3, 3, 2)
        assert np.abs(flow.r(task, W1, W2)).max() < 1e-12
    else:
        task, W1, W2 = point(seed, 3, 4, 2, white=case == "any start", start=1.0 * (case == "any start"))
        if task.Sigma is not None:
            task = Task(task.T, task.C, np.diag([0.2, 1.0, 3.0]))
    path = integrate(task, W1, W2, np.linspace(0, 10, 41))
    drift = max(np.abs(flow.K(task, *at) - flow.K(task, W1, W2)).max() for at in zip(path.W1, path.W2, strict=True))
    assert farthest(path, task) > 0.02 and drift < 1e-7                                            # ASAP (3.19)


def test_r_is_not_zero_at_a_usual_start():
    """He's initial weights: r is as large as the quantity to which it should be small."""
    rng = np.random.default_rng(0)
    W1, W2, C = (rng.standard_normal(shape) * np.sqrt(2 / shape[1]) for shape in ((10, 10), (10, 10), (10, 10)))
    task = Task(np.zeros((10, 10)), C)
    assert norm(flow.r(task, W1, W2)) > 0.8 * norm(W1 @ C.T)


@given(seed=seeds, n_x=sizes, more=st.integers(0, 3), n_o=sizes, twist=st.floats(-2, 2))
def test_k_vanishes_for_these_weights_alone(seed, n_x, more, n_o, twist):
    """W_2 = U C^T and W_1 = C (U^T U / 2 + A) with A antisymmetric."""
    task, W1, W2 = balanced(seed, n_x, n_x + more, n_o, twist)
    np.testing.assert_allclose(flow.K(task, W1, W2), 0, atol=1e-12 * scale(W1, W2))
    plus = np.linalg.pinv(task.C)
    U, Y = W2 @ plus.T, plus @ W1
    np.testing.assert_allclose(U @ task.C.T, W2, rtol=0, atol=1e-12 * scale(W1, W2))
    np.testing.assert_allclose(task.C @ Y, W1, rtol=0, atol=1e-12 * scale(W1, W2))
    np.testing.assert_allclose(Y + Y.T, U.T @ U, rtol=0, atol=1e-11 * scale(W1, W2))


# M

def test_m_as_printed_is_no_lower_bounded_function():
    """tr(E C^T C E) and tr(E C C^T E): even if the products exist, they may be negative."""
    E, C = np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(2)
    assert np.trace(E @ C.T @ C @ E) == np.trace(E @ C @ C.T @ E) == -2
    assert flow.M(Task(E, C), np.zeros((2, 2)), np.zeros((2, 2))) == 2                             # ASAP (3.20)


@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes)
def test_m_is_a_squared_norm_and_its_derivative_has_a_term_with_k(seed, n_x, n_h, n_o):
    task, W1, W2 = point(seed, n_x, n_h, n_o, white=True)
    E, size = error(task, W1, W2), scale(W1, W2, *velocity(task, W1, W2))
    assert flow.M(task, W1, W2) == pytest.approx(np.trace(E @ task.C.T @ task.C @ E.T))            # ASAP (3.20)
    exact = derivative(flow.M, task, W1, W2)
    assert flow.dM(task, W1, W2) == pytest.approx(exact, rel=1e-9, abs=1e-9 * size)                # ASAP (3.21)


@given(seed=seeds, n_x=sizes, more=st.integers(0, 3), n_o=sizes, twist=st.floats(-2, 2))
def test_3_21_is_right_where_k_is_zero_and_m_falls_where_it_is_not_negative(seed, n_x, more, n_o, twist):
    for positive in (0.0, 1.0):
        task, W1, W2 = balanced(seed, n_x, n_x + more, n_o, twist, positive)
        Z = error(task, W1, W2) @ task.C.T
        printed = -norm(Z @ W2.T)**2 - 2 * norm(W2.T @ Z)**2
        found = flow.dM(task, W1, W2)
        assert found <= 1e-12 * scale(W1, W2)
        if not positive:
            assert found == pytest.approx(printed, rel=1e-9, abs=1e-10 * scale(W1, W2))            # ASAP (3.21)


def test_m_may_rise():
    """An example with one weight in each layer and K < 0: W_1 = -2, W_2 = 0.1, C = T = 1."""
    task, W1, W2 = Task(np.ones((1, 1)), np.ones((1, 1))), np.array([[-2.0]]), np.array([[0.1]])
    assert flow.M(task, W1, W2) == pytest.approx(1.44) and flow.dM(task, W1, W2) == pytest.approx(5.7312)
    assert -norm(1.2 * W2)**2 - 2 * norm(1.2 * W2)**2 < 0                                          # ASAP (3.21)
    assert derivative(flow.M, task, W1, W2) == pytest.approx(5.7312)


def test_the_loss_may_rise_though_k_is_zero():
    rising = 0
    for seed in range(20):
        task, W1, W2 = balanced(seed, 3, 3, 2, twist=2.0)
        rising += derivative(flow.loss, task, W1, W2) > 1e-3
        assert flow.dM(task, W1, W2) <= 0
    assert rising >= 1


@given(seed=seeds, n_x=sizes, more=st.integers(0, 2), n_o=sizes)
def test_the_second_derivative_of_m_has_another_last_term(seed, n_x, more, n_o):
    """Here K = 0; the printed last term lacks W_1 C^T, and two other terms do not fit or lack an index."""
    task, W1, W2 = balanced(seed, n_x, n_x + more, n_o, twist=0.5)
    Z, S = error(task, W1, W2) @ task.C.T, W1 @ task.C.T

    def printed_dm(task, W1, W2):
        Z = error(task, W1, W2) @ task.C.T
        return -norm(Z @ W2.T)**2 - 2 * norm(W2.T @ Z)**2

    def tr(*factors):
        return np.trace(np.linalg.multi_dot(factors))

    first = (2 * tr(W2, W2.T, Z, W2.T, W2, Z.T) + 2 * tr(Z, S, W2.T, W2, Z.T) - 2 * tr(Z, Z.T, W2, Z.T)
             - 4 * tr(Z.T, Z, Z.T, W2) + 4 * tr(W2.T, W2, W2.T, Z, Z.T, W2))
    exact = derivative(printed_dm, task, W1, W2)
    size = scale(W1, W2, *velocity(task, W1, W2))**1.5
    assert first + 4 * tr(W2.T, Z, S, Z.T, W2) == pytest.approx(exact, rel=1e-9, abs=1e-9 * size)
    if n_x > 2 and n_o > 2:
        assert abs(first + 4 * tr(W2.T, Z, Z.T, W2) - exact) > 1e-6


# u

@given(seed=seeds, n_x=sizes, more=st.integers(0, 2), n_o=sizes, twist=st.floats(-1, 1))
@example(seed=18159, n_x=1, more=0, n_o=1, twist=0.0)  # u comes to rest at the bound, and the integrator around it
def test_with_k_zero_u_has_a_bound_without_units(seed, n_x, more, n_o, twist):
    task, W1, W2 = balanced(seed, n_x, n_x + more, n_o, twist)
    path, reach = integrate(task, W1, W2, np.linspace(0, 8, 33), rtol=1e-10), norm(task.T @ task.C.T)
    found = max(flow.u(task, *at) for at in zip(path.W1, path.W2, strict=True))
    assert found <= max(flow.u(task, W1, W2), (2 * n_o * reach)**(2 / 3)) * (1 + 1e-6)
    assert found <= max(flow.u(task, W1, W2), reach**2, 2 * n_o) * (1 + 1e-6)


@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes)
def test_whatever_k_is_u_grows_no_faster_than_this(seed, n_x, n_h, n_o):
    """u' <= 2 |T C^T| sqrt(u) + |K| u - u^2 / n_o on white inputs; (u / n_o)^2 is printed, which is weaker."""
    task, W1, W2 = point(seed, n_x, n_h, n_o, white=True)
    u, k = flow.u(task, W1, W2), norm(flow.K(task, W1, W2), 2)
    ceiling = 2 * norm(task.T @ task.C.T) * np.sqrt(u) + k * u - u**2 / n_o
    assert derivative(flow.u, task, W1, W2) <= ceiling + 1e-10 * scale(W1, W2)
    assert norm(W2 @ W2.T)**2 >= u**2 / n_o * (1 - 1e-12) >= (u / n_o)**2 * (1 - 1e-12)


def test_the_printed_bound_on_u_fails_and_does_not_follow():
    """u <= |T C^T| + 2 n_o lacks u(0); and 2 u - u^2 / n_o^2 < 0 needs u > 2 n_o^2."""
    task, W1, W2 = balanced(0, 3, 3, 2)
    U = 3 * np.linalg.pinv(task.C) @ W2.T
    W1, W2 = task.C @ (U @ U.T / 2), U.T @ task.C.T
    assert np.abs(flow.K(task, W1, W2)).max() < 1e-10
    assert flow.u(task, W1, W2) > norm(task.T @ task.C.T) + 2 * 2
    n_o, u = 4, 12
    assert u > 2 * n_o and 2 * u - u**2 / n_o**2 == 15


@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes)
def test_e_is_bounded_by_m_where_c_has_a_left_inverse(seed, n_x, n_h, n_o):
    task, W1, W2 = point(seed, n_x, n_x + n_h - 1, n_o)
    assert norm(error(task, W1, W2)) <= norm(np.linalg.pinv(task.C), 2) * np.sqrt(flow.M(task, W1, W2)) * (1 + 1e-12)


# The rule itself

class Learner:
    """A linear network without biases under a rule, for squared loss unless the options say otherwise.

    `step` is the rule's and the optimiser's own; the rule's forward path C, if it has one, is the task's.
    """

    def __init__(self, name: str, seed: int, sizes: tuple[int, ...], samples: int = 7, loss: str = "squared"):
        self.case = Case(RULES[name], seed, sizes=sizes[1:-1], inputs=sizes[0], classes=sizes[-1], samples=samples,
                         activation="identity", loss=loss, biases=False)
        if loss == "squared":
            self.case.x = self.case.x * np.linspace(0.5, 2, sizes[0]) + 0.5        # neither white nor centred

    @property
    def W(self) -> list[np.ndarray]:
        return [block["W"] for block in [*(hidden for hidden, _ in self.case.params[:-1]), self.case.params[-1]]]

    @property
    def state(self) -> list[np.ndarray]:
        return [block["W"] for block in [*(hidden for hidden, _ in self.case.state[:-1]), self.case.state[-1]]]

    def task(self, T: np.ndarray) -> Task:
        x = self.case.x
        return Task(T, self.state[0], x.T @ x / len(x))

    def grads(self) -> list[np.ndarray]:
        grads = self.case.grads()
        return [block["W"] for block in [*(hidden for hidden, _ in grads[:-1]), grads[-1]]]

    def step(self, eta: float) -> list[np.ndarray]:
        before = [W.copy() for W in self.W]
        SGD(weights(self.case.params), lr=eta)(weights(self.case.grads()))
        return [W - old for W, old in zip(self.W, before, strict=True)]


@given(seed=seeds, name=st.sampled_from(["bp", "fa", "foa"]))
def test_what_approximates_which_path_in_a_linear_network(seed, name):
    """FA puts B into the path of the error, FoA puts C into the path of the activities; the rest is as under BP."""
    net = Learner(name, seed, (5, 4, 6, 3))
    x, W, S = net.case.x, net.W, net.state if name != "bp" else None
    h = [x, x @ W[0].T, x @ W[0].T @ W[1].T]                                       # ASAP (3.1), (3.4), (3.7)
    e = (h[2] @ W[2].T - net.case.y) / len(x)
    if name == "fa":
        delta = [e @ S[2] @ S[1], e @ S[2], e]                                     # ASAP (3.5)
    else:
        delta = [e @ W[2] @ W[1], e @ W[2], e]                                     # ASAP (3.2), (3.9)
    if name == "foa":
        h = [x, x @ S[0].T, x @ S[0].T @ S[1].T]                                   # ASAP (3.8)
    for G, d, before in zip(net.grads(), delta, h, strict=True):
        assert_close(G, d.T @ before)                                              # ASAP (3.3), (3.6), (3.10)


@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes, eta=st.floats(1e-3, 0.05))
def test_a_step_of_the_rule_is_a_step_towards_the_flow(seed, n_x, n_h, n_o, eta):
    """On any batch: Sigma and T are those of the batch; T is its least squares map if the targets are no map of x."""
    net = Learner("foa", seed, (n_x, n_h, n_o), samples=n_x + 3)
    task = net.task(np.linalg.lstsq(net.case.x, net.case.y)[0].T)
    for _ in range(3):
        expected = flow.step(task, *net.W, eta)
        size = scale(*net.W)
        for dW, found in zip(expected, net.step(eta), strict=True):
            np.testing.assert_allclose(found, dW, rtol=0, atol=1e-12 * size)       # ASAP (3.12)-(3.13)


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes, samples=st.integers(1, 7), eta=st.floats(1e-3, 0.2))
def test_under_the_rule_k_changes_by_the_square_of_a_step(loss, seed, n_x, n_h, n_o, samples, eta):
    """This holds for all inputs, targets, losses, batches and ranks."""
    net = Learner("foa", seed, (n_x, n_h, n_o), samples, loss)
    task = net.task(np.zeros((n_o, n_x)))
    for _ in range(3):
        W2, K = net.W[1].copy(), flow.K(task, *net.W)
        dW1, dW2 = net.step(eta)
        size = scale(W2, *net.W)
        np.testing.assert_allclose(dW1 @ task.C.T, W2.T @ dW2, rtol=0, atol=1e-12 * size)          # ASAP (3.18)
        np.testing.assert_allclose(flow.K(task, *net.W), K - dW2.T @ dW2, rtol=0, atol=1e-12 * size)


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@given(seed=seeds, name=st.sampled_from(["foa", "fa"]), n_x=sizes, n_h=sizes, n_o=sizes, eta=rates)
def test_with_biases_k_has_one_more_term(loss, seed, name, n_x, n_h, n_o, eta):
    """K + b b^T under Forward Alignment and K - b b^T under feedback alignment change by the squares of the steps."""
    case = Case(RULES[name], seed, sizes=(n_h,), inputs=n_x, classes=n_o, activation="identity", loss=loss)
    low, up = case.params[0][0], case.params[1]
    B = case.state[0][0]["W"].T if name == "foa" else case.state[1]["W"]

    def conserved():
        """W_1 C^T or V_2^T B, its transpose, less the square of the layer that learns from a fixed matrix."""
        S, squares = (low["W"] @ B, up["W"].T @ up["W"]) if name == "foa" else (up["W"].T @ B, low["W"] @ low["W"].T)
        return S + S.T - squares + (1 if name == "foa" else -1) * np.outer(low["b"], low["b"])

    for _ in range(3):
        before, old = conserved(), {name: array.copy() for name, array in [*low.items(), ("up", up["W"])]}
        SGD(case.params, lr=eta)(case.grads())
        dW1, db, dW2 = low["W"] - old["W"], low["b"] - old["b"], up["W"] - old["up"]
        change = np.outer(db, db) - dW2.T @ dW2 if name == "foa" else -np.outer(db, db) - dW1 @ dW1.T
        size = scale(*low.values(), up["W"], *old.values())
        assert_close(conserved(), before + change, of=size)


@given(seed=seeds, n_x=sizes, more=st.integers(0, 2), n_o=sizes)
def test_with_biases_h_moves_by_the_loss_and_one_more_term(seed, n_x, more, n_o):
    """H + |b_1|^2/2 + |b_2 - t|^2/2 is quadratic or linear in each array, so a central difference is exact."""
    case = Case(RULES["foa"], seed, sizes=(n_x + more,), inputs=n_x, classes=n_o, activation="identity", loss="squared")
    C = case.state[0][0]["W"]
    C[...] = spectrum(case.rng, n_x + more, n_x, 0.5, 2)
    T, t = case.rng.uniform(-1, 1, (n_o, n_x)), case.rng.uniform(-1, 1, n_o)
    case.y = case.x @ T.T + t
    low, up, task = case.params[0][0], case.params[1], Task(T, C)
    moves = [-g for _, g in leaves(case.grads())]
    e, b = case.tape().output - case.y, low["b"].copy()
    found = []
    for step in (1, -2):
        for (_, array), move in zip(leaves(case.params), moves, strict=True):
            array += step * move
        found.append(flow.H(task, low["W"], up["W"]) + (low["b"]**2).sum() / 2 + ((up["b"] - t)**2).sum() / 2)
    assert_close((found[0] - found[1]) / 2, -(e**2).sum() / len(e) + T @ np.linalg.pinv(C) @ b @ e.mean(0),
                 of=scale(*low.values(), *up.values(), *moves, e, np.linalg.pinv(C)), slack=2.0**12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_with_biases_forward_alignment_has_learnt_from_these_starts(seed):
    """Measured, as no proof is known: the flow of the rule with all biases, from weights of three sizes."""
    case = Case(RULES["foa"], seed, sizes=(3,), inputs=2, classes=2, activation="identity", loss="squared")
    arrays = [array for _, array in leaves(case.params)]
    for array in arrays:
        array[...] = (0.3, 1, 3)[seed % 3] * case.rng.standard_normal(array.shape)
    case.state[0][0]["W"][...] = spectrum(case.rng, 3, 2, 0.5, 2)
    case.x = case.x + 1                                                            # inputs with a mean
    case.y = case.x @ case.rng.standard_normal((2, 2)) + case.rng.standard_normal(2)

    def put(row):
        for array, part in zip(arrays, np.split(row, np.cumsum([array.size for array in arrays])[:-1]), strict=True):
            array[...] = part.reshape(array.shape)

    def slope(t, row):
        put(row)
        return -np.concatenate([g.ravel() for _, g in leaves(case.grads())])

    start = np.concatenate([array.ravel() for array in arrays])
    path = solve_ivp(slope, (0, 500), start, "LSODA", rtol=1e-7, atol=1e-9)
    put(path.y[:, -1])
    assert np.abs(case.tape().output - case.y).max() < 1e-4


@pytest.mark.parametrize("biases, optimizer", [(True, "sgd"), (False, "adam"), (False, "momentum")])
def test_with_biases_or_another_optimizer_k_changes_by_more(biases, optimizer):
    """K itself: the path through C has the network's own biases, and no other optimiser's steps are one multiple of
    the two gradients."""
    case = Case(RULES["foa"], 0, sizes=(4,), activation="identity", loss="squared", biases=biases)
    W, C = [case.params[0][0]["W"], case.params[1]["W"]], case.state[0][0]["W"]
    task = Task(np.zeros((3, 5)), C)
    opt = bind(optimizer, case.params if biases else weights(case.params), 0.05)
    misses = []
    for _ in range(3):
        W2, K = W[1].copy(), flow.K(task, *W)
        grads = case.grads()
        opt(grads if biases else weights(grads))
        misses.append(norm(flow.K(task, *W) - K + (W[1] - W2).T @ (W[1] - W2)))
    # the first step of momentum is that of descent
    assert max(misses) > 1e-3 and (optimizer != "momentum" or misses[0] < 1e-12)
    assert not biases or misses == pytest.approx([0.0386, 0.0391, 0.0393], abs=2e-4)


@given(seed=seeds, n_x=sizes, more=st.integers(0, 2), n_o=sizes, samples=st.integers(1, 7), eta=st.floats(1e-3, 0.1))
def test_under_the_rule_h_falls_by_the_loss_of_the_batch(seed, n_x, more, n_o, samples, eta):
    """H+ = H - (eta / N) |E X|^2 + |dW_1|^2 / 2, for all inputs."""
    net = Learner("foa", seed, (n_x, n_x + more, n_o), samples)
    rng = net.case.rng
    net.state[0][...] = spectrum(rng, n_x + more, n_x, 0.5, 2)
    task = net.task(rng.uniform(-1, 1, (n_o, n_x)))
    for _ in range(3):
        net.case.y = net.case.x @ task.T.T
        H, miss = flow.H(task, *net.W), net.case.x @ error(task, *net.W).T
        dW1, _ = net.step(eta)
        expected = H - eta * (miss**2).sum() / samples + 0.5 * (dW1**2).sum()
        assert flow.H(task, *net.W) == pytest.approx(expected, rel=1e-11, abs=1e-11 * scale(*net.W))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_rule_learns_from_mini_batches_of_any_inputs(seed):
    """The batches have fewer samples than inputs, and are neither white nor centred; together they determine T."""
    net = Learner("foa", seed, (3, 4, 2), samples=8)
    x, T = net.case.x, net.case.rng.uniform(-1, 1, (2, 3))
    net.state[0][...] = spectrum(net.case.rng, 4, 3, 0.5, 2)
    for step in range(20000):
        net.case.x = x[2 * (step % 4):][:2]
        net.case.y = net.case.x @ T.T
        net.step(0.03)
        if norm(T - net.W[1] @ net.W[0]) < 1e-8:
            return
    pytest.fail(f"|E| is still {norm(T - net.W[1] @ net.W[0])}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_rule_learns_from_mini_batches_at_the_proven_rate(seed):
    """Batches of one sample, as they come: no two of them are orthogonal."""
    net = Learner("foa", seed, (2, 3, 2), samples=4)
    x, T = net.case.x, spectrum(net.case.rng, 2, 2, 0.5, 1)
    net.state[0][...] = spectrum(net.case.rng, 3, 2, 0.5, 1)
    eta = flow.safe_rate(net.task(T), *net.W, s=float((x**2).sum(1).max()))
    for step in range(40000):
        net.case.x = x[step % 4:][:1]
        net.case.y = net.case.x @ T.T
        net.step(eta)
        if norm(T - net.W[1] @ net.W[0]) < 1e-2:
            return
    pytest.fail(f"|E| is still {norm(T - net.W[1] @ net.W[0])}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_with_noisy_targets_the_rule_ends_at_least_squares(seed):
    net = Learner("foa", seed, (3, 4, 2), samples=8)
    net.state[0][...] = spectrum(net.case.rng, 4, 3, 0.5, 2)
    net.case.y = 3 * net.case.y
    T = np.linalg.lstsq(net.case.x, net.case.y)[0].T
    assert norm(net.case.x @ T.T - net.case.y) > 1
    for _ in range(20000):
        net.step(0.02)
        if norm(T - net.W[1] @ net.W[0]) < 1e-7:
            return
    pytest.fail(f"|E| is still {norm(T - net.W[1] @ net.W[0])}")


@given(seed=seeds, n_x=st.integers(2, 5), n_h=sizes, n_o=sizes, samples=st.integers(1, 2), rank=st.integers(1, 2))
def test_a_batch_of_fewer_samples_than_inputs_is_a_task_of_its_own(seed, n_x, n_h, n_o, samples, rank):
    """Sigma is singular, and targets are any: T = E[y* x^T] Sigma^+, and the loss less its least value is f."""
    net = Learner("foa", seed, (n_x, n_h, n_o), samples=samples)
    x = net.case.x = spectrum(net.case.rng, samples, n_x, 0.5, 2, min(rank, samples))
    y = net.case.y = net.case.rng.uniform(-1, 1, (samples, n_o))
    task = net.task(y.T @ x / samples @ np.linalg.pinv(x.T @ x / samples, 1e-9))
    least = ((y - x @ np.linalg.lstsq(x, y, 1e-9)[0])**2).sum() / samples
    expected = flow.step(task, *net.W, 0.1)
    assert_close(flow.loss(task, *net.W) + least, ((y - x @ net.W[0].T @ net.W[1].T)**2).sum() / samples,
                 of=scale(*net.W, x, y, task.T), slack=2.0**12)
    for found, change in zip(net.step(0.1), expected, strict=True):
        assert_close(found, change, of=scale(*net.W, *net.state, x, y, task.T), slack=2.0**12)


@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes, eta=st.floats(1e-3, 0.05))
def test_it_is_feedback_alignment_read_backwards(seed, n_x, n_h, n_o, eta):
    """Both rules as they are, with T and T^T, C and B = C^T, W_1 and W_2^T, on white inputs, step by step."""
    foa, fa = Learner("foa", seed, (n_x, n_h, n_o)), Learner("fa", seed, (n_o, n_h, n_x))
    T = foa.case.rng.uniform(-1, 1, (n_o, n_x))
    for net, target in ((foa, T), (fa, T.T)):
        columns = target.shape[1]
        q, _ = np.linalg.qr(net.case.rng.standard_normal((columns + 2, columns)))
        net.case.x = np.sqrt(len(q)) * q
        net.case.y = net.case.x @ target.T
    fa.state[1][...], fa.W[0][...], fa.W[1][...] = foa.state[0].T, foa.W[1].T, foa.W[0].T
    for _ in range(8):
        foa.step(eta)
        fa.step(eta)
    for ours, theirs in zip(foa.W, reversed(fa.W), strict=True):
        np.testing.assert_allclose(ours, theirs.T, rtol=0, atol=1e-12 * scale(ours))


# What a user may do wrong

@pytest.mark.parametrize("wrong, said", [
    (lambda: Task(np.ones((2, 3)), np.ones((4, 2))), "one column per input"),
    (lambda: Task(np.ones((2, 3)), np.ones((4, 3)), np.eye(2)), r"of shape \(3, 3\)"),
    (lambda: flow.step(Task(np.ones((1, 1)), np.ones((1, 1))), np.ones((1, 1)), np.ones((1, 1)), 0.1, "first"),
     "unknown order 'first'"),
    (lambda: integrate(Task(np.ones((1, 1)), np.ones((1, 1))), np.ones((1, 1)), np.ones((1, 1)), np.array([1.0, 2.0])),
     "must begin at 0"),
    (lambda: integrate(Task(np.ones((1, 1)), np.ones((1, 1))), np.ones((1, 1)), np.ones((1, 1)), np.array([0, np.nan])),
     "must begin at 0, rise, be finite"),
    (lambda: integrate(Task(np.ones((1, 1)), np.ones((1, 1))), np.ones((1, 1)), np.ones((1, 1)), np.array([0, np.inf])),
     "must begin at 0, rise, be finite"),
    *((lambda eta=eta: flow.bound(Task(np.eye(2), np.eye(2)), np.eye(2), np.eye(2), eta), "eta must be a non-negative")
      for eta in (np.nan, np.inf, -1.0)),
    (lambda: flow.safe_rate(Task(np.eye(2), np.eye(2)), np.eye(2), np.eye(2), s=-1.0), "s must be a non-negative"),
    (lambda: flow.bound(Task(np.eye(2), np.eye(2)), np.eye(2), np.eye(2), 1e300, 1e10), "larger than every number"),
    (lambda: flow.bound(Task(np.eye(2), np.eye(2)), np.eye(2), np.eye(2), 1e160, 1e140), "larger than every number"),
    *((lambda v=v: flow.safe_rate(Task(np.eye(2), np.eye(2)), v * np.ones((2, 2)), np.eye(2)), said)
      for v, said in ((1e200, "larger than every number"), (np.nan, "weights must be finite"),
                      (-np.inf, "weights must be finite"))),
    *((lambda v=v: flow.bound(Task(np.eye(2), np.eye(2)), np.eye(2), v * np.ones((2, 2))), said)
      for v, said in ((1e200, "larger than every number"), (np.nan, "weights must be finite"))),
    (lambda: flow.from_zero(Task(np.ones((1, 1)), np.ones((1, 1)), np.eye(1)), 1.0), "white inputs"),
    (lambda: Task(np.ones((2, 0)), np.ones((3, 0))), "one column per input"),
    (lambda: Task(np.ones((2, 2)), np.array(1.0)), "one column per input"),
    (lambda: Task(np.eye(2), np.eye(2), np.array([[2.0, 1.0], [0.0, 2.0]])), "Sigma must be symmetric"),
    (lambda: Task(np.eye(2), np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]])), "no negative eigenvalue.*got -1"),
    (lambda: Task(np.eye(2), np.eye(2), np.diag([1.0, np.nan])), "Sigma must be finite"),
    (lambda: Task(np.eye(2), np.diag([1.0, np.inf])), "C must be finite"),
    (lambda: flow.mode(-1.0, 1.0), "at least 0"),
    (lambda: flow.mode(np.array([1.0, np.nan]), 1.0), "at least 0"),
    (lambda: flow.mode(np.inf, 1.0), "mu finite"),
    (lambda: flow.mode(1.0, np.nan), "at least 0"),
    (lambda: flow.from_zero(Task(np.ones((1, 1)), np.ones((1, 1))), np.inf), "t must be a non-negative number"),
])
def test_mistakes_are_said_in_one_sentence(wrong, said):
    with pytest.raises(InputError, match=said):
        wrong()
