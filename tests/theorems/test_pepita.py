"""PEPITA: in a linear network it is DFA, and for a small F it is feedback that follows the weights."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, chain, inner
from tolerance import assert_close

from nobackprop import network
from nobackprop.feedback import weights
from nobackprop.kernels.activation import ACTIVATIONS
from nobackprop.metrics import heard, signals
from nobackprop.network import backward
from nobackprop.rules import BP, DFA, Pepita

seeds = st.integers(0, 2**32 - 1)


def weights_below(case: Case) -> list[np.ndarray]:
    """W_i ... W_1 for every hidden block."""
    found = [case.params[0][0]["W"]]
    for p in case.params[1:-1]:
        found.append(p[0]["W"] @ found[-1])
    return found


@given(seed=seeds, scale=st.sampled_from([0.07, 1.0, 5.0]))
def test_in_a_linear_network_it_is_dfa(seed, scale):
    case = Case(Pepita(scale), seed, activation="identity")
    tape = case.tape()
    B = [-case.state @ P.T for P in weights_below(case)]
    ours, dfa = (signals(case.net, rule, case.params, state, case.x, case.y)
                 for rule, state in ((Pepita(scale), case.state), (DFA(), B)))
    size = [np.abs(h).max() for h in tape.h[1:]]
    for u, v, h in zip(ours, dfa, size, strict=True):
        assert_close(u, v, of=h)
    # the gradients: those of DFA, with the activity of the second pass; those of the biases read none
    e = case.net.error(tape.output, case.y)
    second = network.forward(case.net, case.params, case.x + len(case.x) * e @ case.state)
    heard = {i: e @ b for i, b in enumerate(B)} | {len(B): e}
    for g, d, h in zip(case.grads(), backward(case.net, case.params, second, heard), second.h[:-1], strict=True):
        assert_close(g, d, of=np.abs(h).max())
    found = DFA().credit(case.net, case.params, B, tape, case.y).grads
    for g, d in zip(case.grads()[:-1], found, strict=False):
        assert_close(g[0]["b"], d[0]["b"], of=max(size))


def test_in_another_network_it_is_not():
    case = Case(Pepita(1.0), 0, activation="tanh")
    B = [-case.state @ P.T for P in weights_below(case)]
    ours, dfa = (heard(case.net, rule, case.params, state, case.x, case.y)[0].delta
                 for rule, state in ((case.rule, case.state), (DFA(), B)))
    assert np.abs(ours - dfa).max() > 0.1 * np.abs(dfa).max()


@given(seed=seeds, activation=st.sampled_from(["tanh", "sigmoid", "gelu"]))
def test_for_a_small_f_it_is_adaptive_feedback(seed, activation):
    """The slope of the gradients in the size of F, by complex step, against the chain rule written out."""
    case = Case(Pepita(1.0), seed, activation=activation)
    tape, F = case.tape(), case.state
    e = case.net.error(tape.output, case.y)
    found = case.rule.credit(case.net, case.params, 1e-20j * F, tape, case.y).grads
    moved = e @ F                                                      # how the input moves, over N
    f = ACTIVATIONS[activation].function
    for p, h, g in zip(case.params[:-1], tape.h, found, strict=False):
        W, b = p[0]["W"], p[0]["b"]
        df = f(h @ W.T + b + 1e-20j).imag / 1e-20
        moved = df * (moved @ W.T)
        assert_close(g[0]["W"].imag / 1e-20, -moved.T @ h, of=np.abs(h).max() * np.abs(moved).max())
        assert_close(g[0]["b"].imag / 1e-20, -moved.sum(0), of=moved)


@given(seed=seeds)
def test_under_relu_the_hebbian_form_is_a_difference_of_goodnesses(seed):
    """Its inputs being held, |h|^2 / 2 of a relu layer has the gradient h x^T."""
    case = Case(Pepita(1.0), seed, activation="relu")
    for name, w in case.params[0][0].items():
        w[0] = 0                                                       # one unit stands exactly at the kink
        assert name in ("W", "b")
    tape = case.tape()
    e = case.net.error(tape.output, case.y)
    second = network.forward(case.net, case.params, case.x + len(case.x) * e @ case.state)
    rng = np.random.default_rng(seed)
    for i, p in enumerate(case.params[:-1]):
        V = rng.standard_normal(p[0]["W"].shape)

        def goodness(h, p=p, V=V):
            a = h @ (p[0]["W"] + 1e-20j * V).T + p[0]["b"]
            return (np.where(a.real > 0, a, 0)**2).sum() / 2

        one, other = tape.h[i + 1].T @ tape.h[i], second.h[i + 1].T @ second.h[i]
        expected = (goodness(tape.h[i]) - goodness(second.h[i])).imag / 1e-20
        assert_close(((one - other) * V).sum(), expected, of=((np.abs(one) + np.abs(other)) * np.abs(V)).sum())


def test_the_hebbian_form_is_another_rule():
    """It differs from PEPITA by h (x - x')^T, which is as large as what both share."""
    case = Case(Pepita(1.0), 0, activation="relu")
    tape, N = case.tape(), len(case.x)
    second = network.forward(case.net, case.params, case.x + N * case.net.error(tape.output, case.y) @ case.state)
    hebbian = (tape.h[1].T @ tape.h[0] - second.h[1].T @ second.h[0]) / N
    ours = case.grads()[0][0]["W"]
    assert_close(hebbian - ours, tape.h[1].T @ (tape.h[0] - second.h[0]) / N, of=hebbian)
    assert np.abs(hebbian - ours).max() > 0.1 * np.abs(ours).max()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_gradient_vanishes_if_the_error_does(activation):
    case = Case(Pepita(), 0, activation=activation, loss="squared")
    case.y = case.tape().output
    for p in case.grads()[:-1]:
        assert not p[0]["W"].any() and not p[0]["b"].any()


def test_a_step_can_raise_the_loss_and_its_feedback_moves():
    """w1 = 1, w2 = 3, x = 1, y* = 0, F = 1: e = 3, so x' = 4, and the output block learns too little to help."""
    case = chain(Pepita(), [1.0, 3.0], [], 1.0, 0.0)
    case.state = np.ones((1, 1))
    ours, true = (weights(rule.credit(case.net, case.params, case.state, case.tape(), case.y).grads)
                  for rule in (case.rule, BP()))
    assert inner(ours, true) == (1 - 4) * 4 * 3 * 3 + 3 * 4 * 3 == -72    # downhill along ours, the loss rises
    assert ours[0][0]["W"] == -12                                        # so w1, and with it B = -F w1, moves
