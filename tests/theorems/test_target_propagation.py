"""Difference target propagation, Lee et al. 2015: when targets are errors in another form, and in which form."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, inner, like, slope, terms
from tolerance import assert_close, assert_zero

from nobackprop import models, network
from nobackprop.errors import InputError
from nobackprop.metrics import signals
from nobackprop.rules import BP, DifferenceTargetPropagation
from nobackprop.tree import leaves

seeds = st.integers(0, 2**32 - 1)
steps = st.floats(0.05, 2)
DTP = DifferenceTargetPropagation()
LINEAR = {"activation": "identity", "loss": "squared"}


def heard(case: Case) -> list[Any]:
    return signals(case.net, case.rule, case.params, case.state, case.x, case.y)


def under_bp(case: Case) -> list[Any]:
    return signals(case.net, BP(), case.params, None, case.x, case.y)


def inverses(case: Case, make) -> None:
    """Make every g_i the linear map make(W_i)."""
    for i, own in enumerate(case.state):
        if own is not None:
            own[0]["W"], own[0]["b"] = make(case.params[i][0]["W"]), np.zeros(len(own[0]["b"]))


@given(seed=seeds)
def test_where_the_output_is_right_all_targets_are_the_activities(seed):
    case = Case(DTP, seed, loss="squared")
    case.y = case.tape().output
    for signal in heard(case):
        np.testing.assert_array_equal(signal, 0)


@given(seed=seeds)
def test_the_targets_are_those_of_the_paper(seed):
    case = Case(DTP, seed)
    tape, n = case.tape(), len(case.y)
    _, g_2, g_3 = [own and (lambda h, p=own[0]: np.tanh(h @ p["W"].T + p["b"])) for own in case.state]
    e = case.net.error(tape.output, case.y)
    t_3 = tape.h[3] - n * e @ case.params[-1]["W"]
    t_2 = tape.h[2] + g_3(t_3) - g_3(tape.h[3])
    t_1 = tape.h[1] + g_2(t_2) - g_2(tape.h[2])
    for signal, h, target in zip(heard(case), tape.h[1:], (t_1, t_2, t_3), strict=False):
        assert_close(signal, (h - target) / n, of=[h, target])


@given(seed=seeds)
def test_the_last_two_blocks_learn_as_in_bp(seed):
    """This holds for step 1; the last hidden block reads the weights of the output block."""
    case = Case(DTP, seed)
    true = BP().credit(case.net, case.params, None, case.tape(), case.y).grads
    np.testing.assert_array_equal(case.grads()[-1]["W"], true[-1]["W"])
    assert_close(case.grads()[-2][0]["W"], true[-2][0]["W"])


@given(seed=seeds, step=steps)
def test_with_the_transpose_for_the_inverse_it_is_bp_in_a_linear_network(seed, step):
    case = Case(DifferenceTargetPropagation(step=step, inverse="identity"), seed, **LINEAR)
    inverses(case, lambda W: W.T.copy())
    for ours, true in zip(heard(case)[:-1], under_bp(case), strict=False):
        assert_close(ours, step * true, of=case.tape().h)


@given(seed=seeds)
def test_with_exact_inverses_it_is_the_gauss_newton_direction(seed):
    """h_i - t_i is the least change of h_i that brings the last hidden layer to its target: J^-1 and not J^T."""
    case = Case(DifferenceTargetPropagation(inverse="identity"), seed, sizes=(4, 4, 4), **LINEAR)
    for p in case.params[1:3]:
        q, _ = np.linalg.qr(case.rng.standard_normal((4, 4)))
        p[0]["W"] = q @ np.diag(case.rng.uniform(0.5, 2, 4)) @ np.linalg.qr(case.rng.standard_normal((4, 4)))[0]
    inverses(case, np.linalg.inv)
    top, ours = under_bp(case)[2], heard(case)
    J = np.eye(4)
    for i in (2, 1, 0):
        assert_close(ours[i], np.linalg.lstsq(J, top.T, rcond=None)[0].T, of=case.tape().h, slack=2.0**14)
        J = J @ case.params[i][0]["W"] if i else J


@given(seed=seeds, n=st.integers(1, 3))
def test_the_difference_takes_out_what_an_inverse_has_wrong_everywhere_alike(seed, n):
    """A constant that is added to g_i changes no target; without the difference it would change all targets below."""
    case = Case(DifferenceTargetPropagation(inverse="identity"), seed)
    before = heard(case)
    for own in case.state[1:]:
        own[0]["b"] += n
    for u, v in zip(before, heard(case), strict=True):
        assert_close(u, v, of=10)


@given(seed=seeds, activation=st.sampled_from(["tanh", "sigmoid"]))
def test_inverses_descend_how_far_they_are_from_what_went_in(seed, activation):
    case = Case(DTP, seed, activation=activation)
    tape, f = case.tape(), {"tanh": np.tanh, "sigmoid": lambda a: (np.tanh(a / 2) + 1) / 2}[activation]
    noise = np.random.default_rng(seed)
    u = [None, *(h + DTP.sigma * noise.standard_normal(h.shape) for h in tape.h[1:-2])]
    v = [None, *(f(u[i] @ case.params[i][0]["W"].T + case.params[i][0]["b"]) for i in (1, 2))]

    def value(state):
        return sum(((np.tanh(v[i] @ state[i][0]["W"].T + state[i][0]["b"]) - u[i])**2).sum() / (2 * len(v[i]))
                   for i in (1, 2))

    direction = like(case.state, case.rng)
    came = DTP.align(case.net, case.params, case.state, tape, case.y, np.random.default_rng(seed))
    assert_close(inner(came, direction), slope(value, case.state, direction), of=terms(came, direction))


@given(seed=seeds)
def test_an_exact_inverse_is_at_rest_and_the_transpose_is_not(seed):
    case = Case(DifferenceTargetPropagation(inverse="identity"), seed, sizes=(4, 4, 4), biases=False, **LINEAR)
    for p in case.params[1:3]:
        p[0]["W"] = case.rng.standard_normal((4, 4)) + 4 * np.eye(4)
    inverses(case, np.linalg.inv)
    for _, g in leaves(case.align()):
        assert_zero(g, of=case.tape().h)
    inverses(case, lambda W: W.T.copy())
    assert all(np.abs(g).max() > 1e-2 for path, g in leaves(case.align()) if path.endswith("W"))


def test_state_is_one_inverse_for_every_hidden_block_but_the_first():
    case = Case(DTP, 0, sizes=(6, 5, 4))
    assert case.state[0] is None
    assert [own[0]["W"].shape for own in case.state[1:]] == [(6, 5), (5, 4)]
    assert not list(leaves(Case(DTP, 0, sizes=(6,)).state))


def test_with_one_hidden_layer_it_is_bp():
    case = Case(DTP, 0, sizes=(6,))
    true = BP().credit(case.net, case.params, None, case.tape(), case.y).grads
    assert_close(case.grads(), true, of=1)


@pytest.mark.parametrize("model", ["conv-small", "resnet20:0.25", "folded-cnn:0.1"])
def test_what_is_not_fully_connected_is_refused_with_the_reason(model):
    shape, rng = (8, 8, 1), np.random.default_rng(0)
    net = models.build(model, shape, 3)
    params, shapes = network.init(net, rng, shape)
    with pytest.raises(InputError, match="network, such as mlp:128,128, .*, but block 1 has other layers"):
        DTP.init(rng, net, params, shapes)


def test_an_inverse_of_no_known_activation():
    with pytest.raises(InputError, match="unknown activation 'tan': did you mean 'tanh'"):
        DifferenceTargetPropagation(inverse="tan")
