"""The theorems of Yang, Lee, Park 2024, with the conditions under which they hold and the counter-examples
outside of them.

B is stored as the forward map of the local module, (C, F): the paper's B_{i+1} transposed.  `D` is the distance
B - W_L ... W_{i+1} to the product of the weights above, and S = E[h h^T] over the batch.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Case, chain, inner, like, move, slope, terms
from scipy.integrate import solve_ivp
from tolerance import assert_close, assert_zero

from nobackprop import InputError, learn, network
from nobackprop.feedback import weights
from nobackprop.metrics import signals
from nobackprop.network import backward
from nobackprop.optim import SGD
from nobackprop.rules import BP, LAS, LTAS, Credit
from nobackprop.studies.las_theory import two_rates
from nobackprop.tree import leaves

seeds = st.integers(0, 2**32 - 1)
widths = st.integers(1, 6)
norm = np.linalg.norm


def linear_case(rule, seed, sizes=(4, 5, 3), **options) -> Case:
    """A network with linear hidden layers, no biases and squared loss: the setting of section III-D."""
    return Case(rule, seed, sizes=sizes, activation="identity", loss="squared", biases=False, **options)


def products(case: Case) -> list[np.ndarray]:
    """W_L ... W_{i+1} for every hidden block, in the shape of its B."""
    W = [block[0]["W"] for block in case.params[:-1]] + [case.params[-1]["W"]]
    return [np.linalg.multi_dot([*W[:i:-1]]) if len(W) - i > 2 else W[-1] for i in range(len(W) - 1)]


def spectrum(rng, rows: int, columns: int, low: float, high: float) -> np.ndarray:
    """A matrix with singular values in [low, high]."""
    k = min(rows, columns)
    u, v = (np.linalg.qr(rng.standard_normal((n, k)))[0] for n in (rows, columns))
    return u * rng.uniform(low, high, k) @ v.T


def moment(h: np.ndarray) -> np.ndarray:
    return h.T @ h / len(h)


def descend(case: Case, eta: float, steps: int) -> None:
    """Let only the modules learn, on a fixed batch and with fixed weights."""
    opt, tape = SGD(case.state, lr=eta), case.tape()
    for _ in range(steps):
        opt(case.rule.align(case.net, case.params, case.state, tape, case.y, case.rng))


def spectral_input(case: Case, rng: np.random.Generator, low: float = 0.2, high: float = 2.0) -> None:
    """Replace the batch and W_1 so that h_1 has a second moment with eigenvalues in [low, high]."""
    n = case.shapes[1][0]
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    whitened, _ = np.linalg.qr(rng.standard_normal((2 * n, n)))
    h = np.sqrt(2 * n) * whitened @ np.diag(np.sqrt(rng.uniform(low, high, n))) @ q.T
    case.x, case.y = h, rng.standard_normal((2 * n, case.shapes[-1][0]))
    case.params[0][0]["W"] = np.eye(n)


# The loss and the local losses

@given(seed=seeds, activation=st.sampled_from(["tanh", "sigmoid", "relu", "identity"]),
       loss=st.sampled_from(["cross_entropy", "squared"]))
def test_bp_is_the_derivative_of_the_loss(seed, activation, loss):
    case = Case(BP(), seed, activation=activation, loss=loss)

    def value(params):
        h = case.x
        for i, p in enumerate(params):
            p = p if i == len(params) - 1 else p[0]
            h = h @ p["W"].T + p["b"]                                              # LAS (2)
            if i < len(params) - 1:
                h = {"tanh": np.tanh, "sigmoid": lambda a: 1 / (1 + np.exp(-a)), "identity": lambda a: a,
                     "relu": lambda a: np.where(a.real > 0, a, 0)}[activation](h)  # LAS (1)
        return case.net.value(h, case.y)

    direction = like(case.params, case.rng)
    expected = slope(value, case.params, direction)                                # LAS (6)-(9)
    assert_close(inner(case.grads(), direction), expected, of=terms(case.grads(), direction))


@given(seed=seeds, loss=st.sampled_from(["cross_entropy", "squared"]))
def test_e_is_the_derivative_of_the_loss_with_respect_to_a_L(seed, loss):
    """(5) is right, y - y*; (22) is printed with the opposite sign."""
    case = Case(LAS(), seed, loss=loss)
    a = case.tape().output
    e = case.net.error(a, case.y)                                                  # LAS (5), (22)
    direction = case.rng.standard_normal(a.shape)
    expected = slope(lambda t: case.net.value(t, case.y), a, direction)
    assert_close((e * direction).sum(), expected, of=terms(e, direction))
    y = a if loss == "squared" else np.exp(a) / np.exp(a).sum(-1, keepdims=True)
    assert_close(e * len(a), y - case.y, of=[y, case.y])


@given(seed=seeds)
def test_las_modules_descend_half_the_squared_distance_to_a_L(seed):
    case = Case(LAS(), seed)
    tape = case.tape()

    def value(B):
        return sum(0.5 * ((h @ b.T - tape.output)**2).sum() / len(h)               # LAS (19), (20)
                   for b, h in zip(B, tape.h[1:], strict=False))

    direction = like(case.state, case.rng)
    expected = slope(value, case.state, direction)                                 # LAS (21)
    assert_close(inner(case.align(), direction), expected, of=terms(case.align(), direction))


@given(seed=seeds, loss=st.sampled_from(["cross_entropy", "squared"]))
def test_ltas_modules_descend_their_loss_against_the_target(seed, loss):
    case = Case(LTAS(), seed, loss=loss)
    tape = case.tape()

    def value(B):
        total = 0.0
        for b, h in zip(B, tape.h[1:], strict=False):
            a = h @ b.T
            total += (0.5 * ((a - case.y)**2).sum(-1) if loss == "squared"         # LAS (25)
                      else np.log(np.exp(a).sum(-1)) - (case.y * a).sum(-1)        # LAS (26)
                      ).mean()
        return total

    direction = like(case.state, case.rng)
    expected = slope(value, case.state, direction)                                 # LAS (27)
    assert_close(inner(case.align(), direction), expected, of=terms(case.align(), direction))


@given(seed=seeds)
def test_ltas_softmax_needs_targets_that_sum_to_one_and_then_conserves_the_sum_over_classes(seed):
    case = Case(LTAS(), seed)
    for g in case.align():
        assert_zero(g.sum(0), of=g)
    case.y = 0.5 * case.y
    assert all(np.abs(g.sum(0)).max() > 1e-3 for g in case.align())


@given(seed=seeds)
def test_feedback_does_not_see_what_all_classes_share(seed):
    """sum(e) = 0 under softmax, so B and B + 1 v^T send the same: LTAS has no unique minimiser and needs none."""
    case = Case(LTAS(), seed)
    before = signals(case.net, case.rule, case.params, case.state, case.x, case.y)
    shifted = [b + case.rng.standard_normal(b.shape[1]) for b in case.state]
    after = signals(case.net, case.rule, case.params, shifted, case.x, case.y)
    for u, v in zip(before, after, strict=True):
        assert_close(u, v, of=shifted)


# The error signals

@given(seed=seeds)
def test_what_each_block_hears_under_las(seed):
    case = Case(LAS(), seed)
    e = case.net.error(case.tape().output, case.y)
    heard = signals(case.net, case.rule, case.params, case.state, case.x, case.y)
    for b, signal in zip(case.state, heard, strict=False):
        assert_close(signal, e @ b)                                                # LAS (24)
    np.testing.assert_array_equal(heard[-2], e @ case.params[-1]["W"])             # LAS (23)
    np.testing.assert_array_equal(heard[-1], e)                                    # LAS (22)


@pytest.mark.parametrize("rule", [LAS(), LTAS()])
@given(seed=seeds)
def test_the_last_two_layers_learn_as_in_bp(rule, seed):
    case = Case(rule, seed)
    ours, true = case.grads()[-2:], BP().credit(case.net, case.params, None, case.tape(), case.y).grads[-2:]
    for u, v in ((ours[0][0], true[0][0]), (ours[1], true[1])):
        np.testing.assert_array_equal(u["W"], v["W"])                              # LAS (23)
        np.testing.assert_array_equal(u["b"], v["b"])


@pytest.mark.parametrize("rule", [LAS(), LTAS()])
@given(seed=seeds)
def test_with_one_hidden_layer_it_is_bp(rule, seed):
    case = Case(rule, seed, sizes=(6,))
    assert case.state == [] and case.align() == []
    true = BP().credit(case.net, case.params, None, case.tape(), case.y).grads
    np.testing.assert_array_equal(case.grads()[0][0]["W"], true[0][0]["W"])


# Linear networks: exact alignment, and its conditions

@given(seed=seeds)
def test_a_linear_network_is_the_product_of_its_weights(seed):
    case = linear_case(LAS(), seed)
    tape = case.tape()
    for i, P in enumerate(products(case)):
        assert_close(tape.h[i + 1] @ P.T, tape.output)                             # LAS (28)


@given(seed=seeds)
def test_with_biases_the_product_misses_a_constant(seed):
    """(28) does not hold: a_L = W_L ... W_{i+1} h_i + c_i."""
    case = Case(LAS(), seed, activation="identity", loss="squared", biases=True)
    tape = case.tape()
    for i, P in enumerate(products(case)):
        missing = tape.output - tape.h[i + 1] @ P.T                                # LAS (28)
        assert_close(missing, np.broadcast_to(missing[0], missing.shape), of=[tape.output, missing])
        assert np.abs(missing).max() > 1e-6


@given(seed=seeds)
def test_with_the_product_for_B_the_signals_are_those_of_bp_for_every_error(seed):
    case = linear_case(LAS(), seed)
    P = products(case)
    e = case.net.error(case.tape().output, case.y)
    ours = signals(case.net, case.rule, case.params, P[:-1], case.x, case.y)
    true = signals(case.net, BP(), case.params, None, case.x, case.y)
    for p, u, v in zip(P, ours, true, strict=False):
        assert_close(v, e @ p)                                                     # LAS (29)
        assert_close(u, v)


@given(seed=seeds, eta=st.floats(0.01, 2.0), steps=st.integers(1, 50))
def test_las_in_a_linear_network_is_this_recursion(seed, eta, steps):
    """D_k = D_0 (I - eta S)^k, for any eta; the printed sign would make it (I + eta S)^k."""
    case = linear_case(LAS(), seed)
    P, h, before = products(case), case.tape().h, [b.copy() for b in case.state]
    descend(case, eta, steps)
    for p, u, b0, b in zip(P, h[1:], before, case.state, strict=False):
        power = np.linalg.matrix_power(np.eye(len(p.T)) - eta * moment(u), steps)
        scale = max(1.0, np.abs(power).max()) * (1 + np.abs(b0 - p).max())
        np.testing.assert_allclose(b - p, (b0 - p) @ power, atol=1e-10 * scale)    # LAS (21), (30)


@given(seed=seeds, width=widths)
def test_alignment_becomes_exact_within_the_step_bound(seed, width):
    case = linear_case(LAS(), seed, sizes=(width, 3), inputs=width)
    spectral_input(case, case.rng)
    top = np.linalg.eigvalsh(moment(case.tape().h[1]))[-1]
    descend(case, 1 / top, 250)
    np.testing.assert_allclose(case.state[0], products(case)[0], atol=1e-9)        # LAS (28)-(30)


@pytest.mark.parametrize("factor, grows", [(0.98, False), (1.02, True)])
@given(seed=seeds)
def test_the_step_bound_is_two_over_the_largest_eigenvalue(factor, grows, seed):
    case = linear_case(LAS(), seed, sizes=(4, 3), inputs=4)
    spectral_input(case, case.rng)
    P = products(case)[0]
    top = np.linalg.eigvalsh(moment(case.tape().h[1]))[-1]
    before = np.linalg.norm(case.state[0] - P)
    descend(case, factor * 2 / top, 250)
    after = np.linalg.norm(case.state[0] - P)
    assert after > 1e2 * before if grows else after < 1e-2 * before                # LAS (30)


@given(seed=seeds)
def test_without_full_rank_the_null_space_of_S_keeps_what_it_had(seed):
    """A hidden layer is wider than the input, as the paper's own 784-1024: no exact alignment."""
    case = linear_case(LAS(), seed, sizes=(6, 3), inputs=2)
    h, P, before = case.tape().h[1], products(case)[0], case.state[0].copy()
    S = moment(h)
    null = np.eye(6) - np.linalg.pinv(h) @ h
    descend(case, 1 / np.linalg.eigvalsh(S)[-1], 200)
    assert_zero((case.state[0] - before) @ null, of=[case.state[0], before])       # LAS (30)
    assert np.linalg.norm(case.state[0] - P) >= np.linalg.norm((before - P) @ null) - 1e-9


@given(seed=seeds)
def test_the_printed_sign_of_the_module_update_diverges(seed):
    """(21), (27) and (30) ascend in the printed form: every step multiplies D by (I + eta S)."""
    case = linear_case(LAS(), seed, sizes=(4, 3), inputs=4)
    spectral_input(case, case.rng)
    P, S, before = products(case)[0], moment(case.tape().h[1]), case.state[0].copy()
    eta = 0.5
    for _ in range(60):
        case.state[0] += eta * case.align()[0]                                     # LAS (21), (30)
    power = np.linalg.matrix_power(np.eye(4) + eta * S, 60)
    assert_close(case.state[0] - P, (before - P) @ power)
    assert np.linalg.norm(case.state[0] - P) > 1e2 * np.linalg.norm(before - P)


@dataclass(frozen=True)
class PrintedError(LAS):
    """(22) in the printed form: e = y* - y, which is then descended."""

    def credit(self, net, params, B, tape, y, rng=None):
        e = -net.error(tape.output, y)
        hears = {i: head.send(b, e, h.shape)
                 for i, (head, b, h) in enumerate(zip(self.heads(net), B, tape.h[1:], strict=False))}
        return Credit(backward(net, params, tape, hears | {len(net) - 1: e}))


@pytest.mark.parametrize("rule, learns", [(LAS(), True), (PrintedError(), False)])
@pytest.mark.parametrize("seed", range(5))
def test_the_printed_sign_of_the_error_diverges(rule, learns, seed):
    case = Case(rule, seed, sizes=(16, 16), samples=32, activation="relu", loss="squared")
    opts = SGD(case.params, lr=0.02), SGD(case.state, lr=0.02)
    losses = []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(100):
            tape = learn.step(case.net, rule, case.params, case.state, *opts, case.x, case.y, case.rng)
            losses.append(case.net.value(tape.output, case.y))
    if learns:
        assert losses[-1] < 0.7 * losses[0]
    else:
        assert not losses[-1] < 1e3 * losses[0]                                    # LAS (22)


# The module, sample by sample and at rest

@given(seed=seeds, eta=st.floats(1e-3, 3.0))
def test_online_step_is_a_relaxed_projection(seed, eta):
    """|D+|^2 = |D|^2 - eta (2 - eta |h|^2) |D h|^2: it shrinks if and only if eta |h|^2 <= 2."""
    case = linear_case(LAS(), seed, samples=1)
    P, h, before = products(case)[0], case.tape().h[1][0], case.state[0].copy()
    descend(case, eta, 1)
    D, after = before - P, case.state[0] - P
    expected = (D**2).sum() - eta * (2 - eta * h @ h) * ((D @ h)**2).sum()         # LAS (30)
    assert_close((after**2).sum(), expected, of=(D**2).sum() * (1 + eta * h @ h)**2)


@pytest.mark.parametrize("rule", [LAS(), LTAS()])
@given(seed=seeds)
def test_in_any_network_the_module_rests_at_least_squares(rule, seed):
    """S^-1 E[h t^T] with t = a_L (LAS) or y* (LTAS, regression), for all nonlinear layers above."""
    case = Case(rule, seed, loss="squared", samples=40, activation="tanh")
    tape = case.tape()
    target = tape.output if type(rule) is LAS else case.y
    case.state = [np.linalg.lstsq(h, target, rcond=None)[0].T for h in tape.h[1:-2]]
    for g in case.align():
        assert_zero(g, of=[target, case.state])                                    # LAS (21), (27)


@given(seed=seeds, decay=st.floats(0.01, 1.0))
def test_with_weight_decay_the_module_rests_at_ridge_regression(seed, decay):
    case = Case(LAS(), seed, samples=40)
    tape = case.tape()
    case.state = [np.linalg.solve(moment(h) + decay * np.eye(h.shape[1]), h.T @ tape.output / len(h)).T.copy()
                  for h in tape.h[1:-2]]
    before = [b.copy() for b in case.state]
    SGD(case.state, lr=0.3, weight_decay=decay)(case.align())
    for b, b0 in zip(case.state, before, strict=True):
        assert_close(b, b0)


@given(seed=seeds, eps=st.floats(0, 0.1), share=st.floats(0.05, 0.99))
def test_the_module_tracks_weights_that_move_slowly(seed, eps, share):
    """|D_k| <= q^k |D_0| + eps / (1 - q): eps is the product's step, q the largest |1 - eta m|, m eigenvalues."""
    case = linear_case(LAS(), seed, sizes=(4, 3), inputs=4)
    spectral_input(case, case.rng)
    values = np.linalg.eigvalsh(moment(case.tape().h[1]))
    eta = 2 * share / values[-1]
    q = np.abs(1 - eta * values).max()
    first = np.linalg.norm(case.state[0] - products(case)[0])
    for k in range(1, 41):
        descend(case, eta, 1)
        before = products(case)[0]
        move = case.rng.standard_normal(case.params[-1]["W"].shape)
        case.params[-1]["W"] = case.params[-1]["W"] + move
        change = products(case)[0] - before
        case.params[-1]["W"] -= (1 - eps / np.linalg.norm(change)) * move
        distance = np.linalg.norm(case.state[0] - products(case)[0])
        assert distance <= q**k * first + eps / (1 - q) + 1e-9                     # LAS (30)


def test_beyond_the_mean_curvature_it_tracks_worse_than_the_least_eigenvalue_says():
    """S = diag(1, 2), eta = 0.98 > 2 / (1 + 2): |D| approaches eps / (1 - q) = 0.25, and not eps / (eta m) = 0.0102."""
    case = linear_case(LAS(), 0, sizes=(2, 2), inputs=2, classes=1)
    case.params[0][0]["W"], case.params[1][0]["W"] = np.eye(2), np.eye(2)
    case.params[2]["W"] = np.zeros((1, 2))
    case.x, case.y = np.array([[np.sqrt(2), 0], [0, 2]]), np.zeros((2, 1))
    assert_close(moment(case.tape().h[1]), np.diag([1.0, 2.0]))
    for k in range(400):
        descend(case, 0.98, 1)
        case.params[2]["W"] = case.params[2]["W"] + 0.01 * (-1)**k * np.array([[0.0, 1.0]])
    distance = np.linalg.norm(case.state[0] - products(case)[0])
    assert distance == pytest.approx(0.01 / (1 - 0.96), rel=1e-6, abs=0)           # LAS (30)


@given(seed=seeds)
def test_on_classes_that_a_module_can_tell_apart_ltas_has_no_resting_point(seed):
    """For every B the gradient points against the separating direction, so B grows for ever."""
    case = Case(LTAS(), seed, sizes=(6, 4), samples=6)
    h = case.tape().h[1]
    # the number of units equals that of samples: B h can be anything, such as the targets themselves
    apart = np.linalg.lstsq(h, case.y - 1 / 3, rcond=None)[0].T
    assert (np.argmax(h @ apart.T, 1) == np.argmax(case.y, 1)).all()
    for scale in (0.0, 1.0, 10.0):
        case.state = [scale * case.rng.standard_normal((3, 6))]
        assert (case.align()[0] * apart).sum() < 0                                 # LAS (27)


def test_there_b_grows_without_end_as_the_logarithm_of_the_steps():
    """|B| after 20, 200 and 2000 steps, and the loss of the module, which goes to 0."""
    case, lengths, losses = Case(LTAS(), 0, sizes=(6, 4), samples=6), [], []
    for steps in (20, 180, 1800):
        descend(case, 1.0, steps)
        lengths.append(np.linalg.norm(case.state[0]))
        losses.append(float(case.net.value(case.tape().h[1] @ case.state[0].T, case.y)))
    assert lengths == pytest.approx([2.0637, 9.2799, 29.9902], rel=1e-3, abs=0)
    assert losses[0] > 1.5 * losses[1] > 4 * losses[2]


# Descent: what of B - P an error meets, against what of P it meets

def gradients(case: Case) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The gradients of the weights, layer by layer: those of the rule and those of BP."""
    true = BP().credit(case.net, case.params, None, case.tape(), case.y).grads
    ours, exact = ([w for _, w in leaves(weights(grads))] for grads in (case.grads(), true))
    return ours, exact


def ratios(case: Case) -> list[float]:
    """rho of every layer with a module: |D^T M| / |P^T M|, by the rule's own gradients."""
    pairs = list(zip(*gradients(case), strict=True))[:len(case.state)]
    return [float(norm(g - true) / norm(true)) for g, true in pairs]


def dot(u, v) -> float:
    return float(sum((a * b).sum() for a, b in zip(u, v, strict=True)))


def near_products(seed: int, sizes: tuple[int, ...], share: float) -> Case:
    """A linear network of these hidden sizes, three inputs and two outputs; B misses P by that share of smin(P)."""
    case = linear_case(LAS(), seed, sizes=sizes, inputs=3, classes=2)
    for i, P in enumerate(products(case)[:-1]):
        D = case.rng.standard_normal(P.shape)
        case.state[i] = P + share * least(P) * D / norm(D, 2)
    return case


def least(P: np.ndarray) -> float:
    return float(np.linalg.svd(P, compute_uv=False)[-1])


@given(seed=seeds, width=widths, share=st.floats(0, 3))
def test_the_angle_to_bp_and_the_descent_are_bounded_by_the_ratios(seed, width, share):
    case = near_products(seed, (width + 1, 4, 3), share)
    ours, true = gradients(case)
    rho = ratios(case) + [0.0, 0.0]
    for g, t, r in zip(ours, true, rho, strict=True):
        assert r > 1 or dot([g], [t]) / (norm(g) * norm(t)) >= np.sqrt(1 - r**2) - 1e-9
    promised = sum((1 - r) * norm(t)**2 for r, t in zip(rho, true, strict=True))
    assert dot(ours, true) >= promised - 1e-12 * (1 + max(rho)) * dot(true, true)


@given(seed=seeds, rho=st.floats(0, 3))
def test_the_descent_can_be_that_small(seed, rho):
    """B = (1 - rho) P: all bounds are attained at once, and beyond rho = 1 each layer with a module ascends."""
    case = linear_case(LAS(), seed, sizes=(5, 4, 3))
    case.state = [(1 - rho) * P for P in products(case)[:-1]]
    ours, true = gradients(case)
    assert_close(ratios(case), [rho] * 2, of=1 + rho)
    promised = sum((1 - r) * norm(t)**2 for r, t in zip([rho, rho, 0, 0], true, strict=True))
    assert_close(dot(ours, true), promised, of=(1 + rho) * dot(true, true))


@given(seed=seeds, rho=st.floats(0.01, 0.99), width=st.integers(2, 6))
def test_with_one_output_the_angle_can_be_that_large(seed, rho, width):
    """D = -rho^2 P + rho sqrt(1 - rho^2) |P| u with a unit vector u at a right angle to P."""
    case = linear_case(LAS(), seed, sizes=(width, 3), inputs=4, classes=1)
    P = products(case)[0]
    u = case.rng.standard_normal(P.shape)
    u -= (u * P).sum() / (P * P).sum() * P
    case.state = [P - rho**2 * P + rho * np.sqrt(1 - rho**2) * norm(P) * u / norm(u)]
    (g, *_), (true, *_) = gradients(case)
    assert_close(ratios(case)[0], rho, of=1)
    assert_close(dot([g], [true]) / (norm(g) * norm(true)), np.sqrt(1 - rho**2), of=1)


@pytest.mark.parametrize("factor, descends", [(0.999, True), (1.001, False)])
@given(seed=seeds, width=st.integers(2, 6))
def test_a_miss_as_large_as_the_least_singular_value_of_the_product_is_the_limit(factor, descends, seed, width):
    """W_1 = 0 and D = -factor smin u v^T: in the error u only the first layer learns, and beyond smin it ascends."""
    case = linear_case(LAS(), seed, sizes=(width, 3), inputs=4, classes=2)
    case.params[0][0]["W"][:] = 0
    u, s, vt = np.linalg.svd(products(case)[0])
    case.state = [products(case)[0] - factor * s[1] * np.outer(u[:, 1], vt[1])]
    w = case.rng.standard_normal(4)
    case.y = -np.outer(case.x @ w, u[:, 1])                                        # e = y - y* = u w^T x
    ours, true = gradients(case)
    M = np.outer(u[:, 1], moment(case.x) @ w)
    assert_close(dot(ours, true), (1 - factor) * s[1]**2 * (M**2).sum(), of=s[0]**2 * (M**2).sum())
    assert (dot(ours, true) > 0) == descends


@given(seed=seeds, width=st.integers(2, 6), apart=st.floats(0.1, 3))
def test_one_layer_descends_for_every_error_iff_the_symmetric_part_of_p_b_is_not_negative(seed, width, apart):
    """For the error u its gradients have the product u^T P B^T u |M|^2; u is the least eigenvector of Sym(P B^T)."""
    case = linear_case(LAS(), seed, sizes=(width, 3), inputs=4, classes=2)
    P = products(case)[0]
    case.state = [P + apart * case.rng.standard_normal(P.shape)]
    S = P @ case.state[0].T
    values, vectors = np.linalg.eigh((S + S.T) / 2)
    w = case.rng.standard_normal(4)
    case.y = case.tape().output - np.outer(case.x @ w, vectors[:, 0])
    (g, *_), (true, *_) = gradients(case)
    scale = norm(moment(case.x) @ w)**2
    assert_close(dot([g], [true]), values[0] * scale, of=norm(P) * norm(case.state[0]) * scale)
    case.y = case.tape().output - case.x @ case.rng.standard_normal((4, 2))        # no error does worse
    (g, *_), (true, *_) = gradients(case)
    M = case.net.error(case.tape().output, case.y).T @ case.x
    assert dot([g], [true]) >= values[0] * (M**2).sum() - 1e-9 * norm(P) * norm(case.state[0]) * (M**2).sum()


def test_las_may_ascend():
    """x = T = 1, W = (.1, 1, 1), B = -1 misses P = 1 by 2 > smin(P) = 1."""
    case = chain(LAS(), W=[0.1, 1, 1], B=[-1], x=1, y=1)
    assert_close(ratios(case), [2.0])
    assert move(case, 0.01, 0.0) == pytest.approx((0.405, 0.41299155), rel=0, abs=1e-8)
    for miss in (1e-2, -1e-2, 1e-5):                                               # however small the loss is
        before, after = move(chain(LAS(), W=[0.1, 1, 1], B=[-1], x=1, y=0.1 + miss), 0.01, 0.0)
        assert after > 1.01 * before


def test_las_may_ascend_while_its_module_is_at_rest():
    """S_1 = diag(.25, 0) is singular, so the module cannot see that it misses P = (.1, 1) by (0, -2)."""
    case = chain(LAS(), W=[[[0.5], [0]], [[0.1, 1]], 1], B=[[[0.1, -1]]], x=1, y=1)
    assert_zero(case.align()[0], of=1)
    assert move(case, 0.01, 0.01) == pytest.approx((0.45125, 0.45792936), rel=0, abs=1e-8)


# Descent while the weights and the modules learn

def two_rate_case(seed: int, sizes: tuple[int, ...], misses: float, loss: float):
    """A network in the theorem's conditions: modules that miss by that share of p / 2, a loss that share of the limit.

    All conditions hold by construction: singular values are drawn in [.6, 1.4], and the target lies near the map.
    """
    rng = np.random.default_rng(seed)
    W = [spectrum(rng, rows, columns, 0.6, 1.4) for columns, rows in zip(sizes, sizes[1:], strict=False)]
    Sigma = spectrum(rng, sizes[0], sizes[0], 0.8, 1.2)
    Sigma = Sigma @ Sigma.T
    x = np.sqrt(2 * sizes[0]) * np.linalg.qr(rng.standard_normal((2 * sizes[0], sizes[0])))[0] @ np.linalg.cholesky(
        Sigma).T
    Q = np.linalg.multi_dot(W[::-1])
    E = rng.standard_normal(Q.shape)
    limit = two_rates(W, Sigma, 0.0)
    E *= np.sqrt(2 * loss * limit.loss / np.trace(E @ Sigma @ E.T))
    case = chain(LAS(), W, [np.zeros((sizes[-1], n)) for n in sizes[1:-2]], x, x @ (Q + E).T)
    for i, P in enumerate(products(case)[:-1]):
        D = rng.standard_normal(P.shape)
        case.state[i] = P + misses * limit.p[i] / 2 * D / norm(D, 2)
    f = float(case.net.value(case.tape().output, case.y))
    return case, W, Sigma, two_rates(W, Sigma, f * (1 - 1e-9))


def forward_weights(case: Case) -> list[np.ndarray]:
    return [w for _, w in leaves(weights(case.params))]


narrowing = st.lists(st.integers(1, 4), min_size=4, max_size=5).map(lambda n: tuple(sorted(n, reverse=True)))


@pytest.mark.slow
@given(seed=seeds, sizes=narrowing, misses=st.floats(0, 1), loss=st.floats(0.01, 1),
       more=st.floats(1, 100))
def test_with_two_rates_the_loss_falls_and_the_modules_keep_up(seed, sizes, misses, loss, more):
    case, W0, _, known = two_rate_case(seed, sizes, misses, loss)
    eta_B = min(known.eta_modules, more * known.ratio * known.eta)
    apart = [norm(b - P, 2) for b, P in zip(case.state, products(case), strict=False)]
    for _ in range(20):
        before, after = move(case, known.eta, eta_B)
        assert after <= (1 - known.eta * known.mu / 2) * before
        for w, w0, radius in zip(forward_weights(case), W0, known.lo, strict=True):
            assert norm(w - w0) <= radius
        for i, (b, P) in enumerate(zip(case.state, products(case), strict=False)):
            was, apart[i] = apart[i], norm(b - P, 2)
            assert apart[i] <= known.p[i] / 2 * (1 + 1e-12)
            assert apart[i] <= (1 - eta_B * known.m[i]) * was + known.eta * known.c[i] * np.sqrt(before) + 1e-15


@given(seed=seeds, sizes=narrowing, misses=st.floats(0, 1), far=st.floats(0, 1), scale=st.floats(0.01, 10))
def test_every_step_of_its_proof_holds_anywhere_in_the_ball(seed, sizes, misses, far, scale):
    """The bounds from which the theorem follows, at weights anywhere in the ball and for any target."""
    case, W0, Sigma, known = two_rate_case(seed, sizes, misses, 1.0)
    for w, radius in zip(forward_weights(case), known.lo, strict=True):
        direction = case.rng.standard_normal(w.shape)
        w += far * radius * direction / norm(direction)
    for i, P in enumerate(products(case)[:-1]):
        D = case.rng.standard_normal(P.shape)
        case.state[i] = P + misses * known.p[i] / 2 * D / norm(D, 2)
        S = np.linalg.eigvalsh(moment(case.tape().h[i + 1]))
        assert least(P) >= known.p[i] * (1 - 1e-12) and S[0] >= known.m[i] * (1 - 1e-12)
        assert S[-1] * known.eta_modules <= 1 + 1e-12
    case.y = case.tape().output + scale * case.x @ case.rng.standard_normal((sizes[0], sizes[-1]))
    f = float(case.net.value(case.tape().output, case.y))
    ours, true = gradients(case)
    assert dot(ours, true) >= known.mu * f * (1 - 1e-12)
    for step, g in zip(ours, known.g, strict=True):
        assert norm(step) <= g * np.sqrt(f) * (1 + 1e-12)
    assert second_derivative(case, ours) <= two_rates(W0, Sigma, f).kappa * f * (1 + 1e-9)


def second_derivative(case: Case, along: list[np.ndarray]) -> float:
    """f'' along a direction; f is a polynomial in the length of the way, of degree 2 L."""
    W = forward_weights(case)
    size = max(norm(step) for step in along) or 1.0
    ts = np.cos(np.pi * (np.arange(2 * len(W) + 1) + 0.5) / (2 * len(W) + 1))
    values = []
    for t in ts:
        Q = np.linalg.multi_dot([w + t * step / size for w, step in zip(W, along, strict=True)][::-1])
        values.append(((case.x @ Q.T - case.y)**2).sum() / (2 * len(case.x)))
    return float(2 * np.polynomial.Polynomial.fit(ts, values, 2 * len(W), domain=[-1, 1]).coef[2] * size**2)


def corner(W: list[float], away: list[int], miss: float, T: float) -> tuple[Case, float]:
    """Three layers of one unit at a corner of the ball around W, B away from P by that much; and their loss."""
    at = [w * (1 + sign / 2) for w, sign in zip(W, away, strict=True)]
    case = chain(LAS(), at, [at[2] * at[1] + miss], 1, T)
    return case, float(case.net.value(case.tape().output, case.y))


def test_the_constants_by_hand_and_where_they_are_attained():
    """W = (2, 2, 2), Sigma = 1: lo = 1, hi = 3; at (3, 3, 3) with B = P + p / 2 the steps are the largest possible."""
    known = two_rates([np.array([[2.0]])] * 3, np.eye(1), 0.0)
    root = np.sqrt(2)
    assert (known.lo, known.hi, known.p, known.m, known.mu) == ([1] * 3, [3] * 3, [1], [1], 1)
    assert_close(known.g, [9.5 * root, 9 * root, 9 * root])
    assert_close(known.c, [54 * root])
    assert_close([known.loss, known.eta_modules], [1 / (16 * 2 * 9.5**2), 1 / 9])
    assert_close(known.kappa, (171 + 162 + 162)**2 / 2)                            # g^2 / r: 2 * 9 * 9.5, 2 * 81 twice
    assert_close(known.eta, 1 / known.kappa)
    f = 1e-4
    late = two_rates([np.array([[2.0]])] * 3, np.eye(1), f)
    assert_close(late.kappa, known.kappa + 3 * np.sqrt(2 * f) * 3 * 2 * (171 + 81))
    assert_close([late.ratio, late.eta], [2 * 54 * root * np.sqrt(f), 1 / late.kappa])
    case, f = corner([2, 2, 2], [1, 1, 1], 0.5, 28)                                # y = 27, e = -1
    ours, _ = gradients(case)
    assert_close([norm(g) for g in ours], [g * np.sqrt(f) for g in known.g])
    bent = two_rates([np.array([[2.0]])] * 3, np.eye(1), f).kappa
    assert_close(second_derivative(case, ours), f * (known.kappa + (bent - known.kappa) / 3 * -2), of=f * bent)
    case, f = corner([2, 2, 2], [1, 1, 1], 0.5, 26)                                # e = 1 bends the other way
    ours, _ = gradients(case)
    assert_close(second_derivative(case, ours), f * (known.kappa + (bent - known.kappa) / 3 * 2), of=f * bent)
    eta = 1e-9
    P = products(case)[0]
    move(case, eta, 0.0)
    assert float(abs(products(case)[0] - P)[0, 0]) == pytest.approx(eta * known.c[0] * np.sqrt(f), rel=1e-5, abs=0)


def test_the_largest_rates_of_orthonormal_rows():
    """In widths 3-3-2-2; the figures that the page gives."""
    W = [np.eye(3), np.eye(3)[:2], np.eye(2)]
    loss = two_rates(W, np.eye(3), 0.0).loss
    assert loss == pytest.approx(5.41e-6, rel=1e-3, abs=0)
    assert two_rates(W, np.eye(3), loss).eta == pytest.approx(1.305e-4, rel=1e-3, abs=0)


@pytest.mark.slow
@given(seed=seeds, sizes=narrowing, misses=st.floats(0, 1))
@settings(max_examples=10)
def test_in_the_flow_of_two_rates_the_loss_falls_exponentially(seed, sizes, misses):
    """From four times the loss that steps may start from: f <= f_0 exp(-mu t), and the modules keep up."""
    case, W0, Sigma, known = two_rate_case(seed, sizes, misses, 1.0)
    case.y = case.tape().output + 2 * (case.y - case.tape().output)
    f0 = float(case.net.value(case.tape().output, case.y))
    theta = two_rates(W0, Sigma, f0).ratio
    arrays = [*forward_weights(case), *case.state]

    def put(z):
        for array, part in zip(arrays, np.split(z, np.cumsum([a.size for a in arrays])[:-1]), strict=True):
            array[:] = part.reshape(array.shape)

    def slope_at(t, z):
        put(z)
        return -np.concatenate([*(g.ravel() for g in gradients(case)[0]), *(theta * g.ravel() for g in case.align())])

    times = np.linspace(0, 3 / known.mu, 7)
    path = solve_ivp(slope_at, (0, times[-1]), np.concatenate([a.ravel() for a in arrays]), "LSODA", times,
                     rtol=1e-7, atol=1e-11).y.T
    for t, z in zip(times, path, strict=True):
        put(z)
        assert case.net.value(case.tape().output, case.y) <= f0 * np.exp(-known.mu * t) * (1 + 1e-6) + 1e-15
        for b, P, p in zip(case.state, products(case), known.p, strict=False):
            assert norm(b - P, 2) <= p / 2 * (1 + 1e-6)
        for w, w0, radius in zip(forward_weights(case), W0, known.lo, strict=True):
            assert norm(w - w0) <= radius


def test_the_slope_is_no_larger_than_mu_f_where_the_first_layer_is_small():
    """W = (.002, 2, 2) at (.001, 1, 1) with B = P - p / 2: the layers above learn next to nothing."""
    known = two_rates([np.array([[w]]) for w in (0.002, 2.0, 2.0)], np.eye(1), 0.0)
    case, f = corner([0.002, 2, 2], [-1, -1, -1], -0.5, 1)
    ours, true = gradients(case)
    assert known.mu * f <= dot(ours, true) <= known.mu * f * (1 + 1e-5)
    assert_close(known.m[0], 0.001**2)


@pytest.mark.parametrize("eta", [None, 1e-9], ids=["steps", "flow"])
def test_without_the_ratio_a_module_falls_behind(eta):
    """W = (2, 2, 2), T = 8.02, B = P - p / 2: P grows, so B misses it by more than p / 2 unless the module learns."""
    known = two_rates([np.array([[2.0]])] * 3, np.eye(1), 2e-4)
    eta, missed = eta or known.eta, []
    for eta_B in (0.0, known.ratio * eta):
        case = chain(LAS(), [2, 2, 2], [3.5], 1, 8.02)
        move(case, eta, eta_B)
        missed.append(abs(case.state[0] - products(case)[0]).item())
    assert missed[0] > known.p[0] / 2 > missed[1]


def test_at_a_saddle_point_nothing_moves():
    """W = (1, 0, 0), B = P = 0, T = 1: all gradients are 0 and the loss is 1/2, so no theorem can do without f_0."""
    case = chain(LAS(), [1, 0, 0], [0], 1, 1)
    assert move(case, 0.1, 0.1) == (0.5, 0.5)
    assert np.ravel(forward_weights(case)).tolist() == [1, 0, 0] and case.state[0] == 0


@pytest.mark.slow
def test_las_may_leave_a_saddle_point_at_which_bp_ends():
    """W = (1, 1, 1), T = -1: under BP all weights fall to 0.  Under LAS B falls later than P, and W_1 passes 0."""
    for rule, B, learns in ((BP(), [], False), (LAS(), [1], True)):
        case = chain(rule, [1, 1, 1], B, 1, -1)
        for _ in range(600):
            if learns:
                f = move(case, 0.1, 0.2)[1]
            else:
                SGD(case.params, lr=0.1)(weights(case.grads()))
                f = case.net.value(case.tape().output, case.y)
                assert f > 0.5
        assert f < 1e-12 if learns else f < 0.501


@pytest.mark.parametrize("W, Sigma, what", [
    ([np.eye(2)] * 2, np.eye(2), "three layers"), ([np.ones((2, 2)), np.eye(2), np.eye(2)], np.eye(2), "W_1 must have"),
    ([np.eye(2), np.eye(3)[:, :2], np.ones((1, 3))], np.eye(2), "W_2 must have"),
    ([np.eye(2)] * 3, np.diag([1.0, 0.0]), "positive definite")])
def test_no_rates_are_given_where_none_are_known(W, Sigma, what):
    with pytest.raises(InputError, match=what):
        two_rates(W, Sigma, 0.1)


def test_no_rate_is_given_for_a_start_that_is_too_far():
    known = two_rates([np.array([[2.0]])] * 3, np.eye(1), 0.0)
    assert np.isnan(two_rates([np.array([[2.0]])] * 3, np.eye(1), 1.001 * known.loss).eta)
    assert two_rates([np.array([[2.0]])] * 3, np.eye(1), 0.999 * known.loss).eta > 0


@pytest.mark.slow
def test_far_from_there_no_loss_rose_while_all_ratios_were_below_one():
    """What bounds the open question: usual starts, widths 4-4-4-3-2, both rates .01; the loss rises in many steps."""
    rose = 0
    for seed in range(40):
        case = linear_case(LAS(), seed, sizes=(4, 4, 3), inputs=4, classes=2, samples=20)
        case.y = case.x @ case.rng.standard_normal((4, 2))
        for _ in range(50):
            rho = max(ratios(case))
            before, after = move(case, 0.01, 0.01)
            rose += after > before
            assert after <= before or rho >= 1
    assert rose > 20


# FA and DFA

@given(seed=seeds)
def test_what_each_block_hears_under_dfa(seed):
    from nobackprop.rules import DFA
    case = Case(DFA(), seed)
    tape = case.tape()
    e = case.net.error(tape.output, case.y)
    heard = signals(case.net, case.rule, case.params, case.state, case.x, case.y)
    np.testing.assert_array_equal(heard[-1], e)                                    # LAS (15)
    for i, (b, h) in enumerate(zip(case.state, tape.h[1:-1], strict=True)):
        assert_close(heard[i], e @ b)                                              # LAS (16)
        delta = (e @ b) * (1 - h**2)                                               # LAS (16)
        assert_close(case.grads()[i][0]["W"], delta.T @ tape.h[i])                 # LAS (17)
        assert_close(case.grads()[i][0]["b"], delta.sum(0), of=delta)              # LAS (18)


@given(seed=seeds)
def test_what_each_block_hears_under_fa(seed):
    from nobackprop.rules import FA
    case = Case(FA(), seed)
    tape = case.tape()
    delta = case.net.error(tape.output, case.y)                                    # LAS (10)
    B = [b[0]["W"] for b in case.state[:-1]] + [case.state[-1]["W"]]
    for i in reversed(range(3)):
        delta = (delta @ B[i + 1]) * (1 - tape.h[i + 1]**2)                        # LAS (11)
        assert_close(case.grads()[i][0]["W"], delta.T @ tape.h[i])                 # LAS (12)
        assert_close(case.grads()[i][0]["b"], delta.sum(0), of=delta)              # LAS (13)


@given(seed=seeds, eta=st.floats(1e-3, 1.0))
def test_the_update_is_added_to_the_weights(seed, eta):
    case = Case(replace(BP()), seed)
    grads, W, b = case.grads(), case.params[0][0]["W"].copy(), case.params[0][0]["b"].copy()
    SGD(case.params, lr=eta)(grads)
    assert_close(case.params[0][0]["W"], W - eta * grads[0][0]["W"], of=W, slack=16)  # LAS (3)
    assert_close(case.params[0][0]["b"], b - eta * grads[0][0]["b"], of=b, slack=16)  # LAS (4)


def test_the_engine_predicts_what_it_records():
    case = Case(LAS(), 0)
    np.testing.assert_array_equal(network.predict(case.net, case.params, case.x), case.tape().output)
