"""The theorems of Yang, Lee, Park 2024, with the conditions under which they hold and the counter-examples
outside of them.

B is stored as the forward map of the local module, (C, F): the paper's B_{i+1} transposed.  `D` is the distance
B - W_L ... W_{i+1} to the product of the weights above, and S = E[h h^T] over the batch.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, inner, like, slope, terms
from tolerance import assert_close, assert_zero

from nobackprop import learn, network
from nobackprop.metrics import signals
from nobackprop.network import backward
from nobackprop.optim import SGD
from nobackprop.rules import BP, LAS, LTAS, Credit

seeds = st.integers(0, 2**32 - 1)
widths = st.integers(1, 6)


def linear_case(rule, seed, sizes=(4, 5, 3), **options) -> Case:
    """A network with linear hidden layers, no biases and squared loss: the setting of section III-D."""
    return Case(rule, seed, sizes=sizes, activation="identity", loss="squared", biases=False, **options)


def products(case: Case) -> list[np.ndarray]:
    """W_L ... W_{i+1} for every hidden block, in the shape of its B."""
    W = [block[0]["W"] for block in case.params[:-1]] + [case.params[-1]["W"]]
    return [np.linalg.multi_dot([*W[:i:-1]]) if len(W) - i > 2 else W[-1] for i in range(len(W) - 1)]


def moment(h: np.ndarray) -> np.ndarray:
    return h.T @ h / len(h)


def descend(case: Case, eta: float, steps: int) -> None:
    """Let only the modules learn, on a fixed batch and with fixed weights."""
    opt = SGD(case.state, lr=eta)
    for _ in range(steps):
        opt(case.align())


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
    descend(case, 1 / top, 400)
    np.testing.assert_allclose(case.state[0], products(case)[0], atol=1e-9)        # LAS (28)-(30)


@pytest.mark.parametrize("factor, grows", [(0.98, False), (1.02, True)])
@given(seed=seeds)
def test_the_step_bound_is_two_over_the_largest_eigenvalue(factor, grows, seed):
    case = linear_case(LAS(), seed, sizes=(4, 3), inputs=4)
    spectral_input(case, case.rng)
    P = products(case)[0]
    top = np.linalg.eigvalsh(moment(case.tape().h[1]))[-1]
    before = np.linalg.norm(case.state[0] - P)
    descend(case, factor * 2 / top, 600)
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
    case, lengths = Case(LTAS(), 0, sizes=(6, 4), samples=6), []
    for steps in (20, 180, 1800):
        descend(case, 1.0, steps)
        lengths.append(np.linalg.norm(case.state[0]))
    assert lengths[0] + 1 < lengths[1] and lengths[1] + 1 < lengths[2]


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
