"""Feedback alignment: its error signals, and Lillicrap's theorem for two linear layers.

The theorem is Woo's on Forward Alignment, read backwards: what learns T there through fixed forward weights C learns
T^T here through fixed feedback B = C^T, with W_1 and W_2^T exchanged.  So whatever holds of one holds of the other,
step by step.  E = W_2 W_1 - T, and neither layer has a bias.
"""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case
from tolerance import assert_close

from nobackprop.feedback import weights
from nobackprop.kernels.activation import ACTIVATIONS
from nobackprop.optim import SGD
from nobackprop.rules import BP, FA

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 5)


# The signals

def phi_prime(name: str, a: np.ndarray) -> np.ndarray:
    """phi'(a) by complex step; of ReLU directly, which is not analytic."""
    f = ACTIVATIONS[name].function
    return (a > 0) * 1.0 if name == "relu" else f(a + 1e-20j).imag / 1e-20


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("rule", [BP(), FA()])
@given(seed=seeds)
def test_signals_take_the_derivative_at_the_pre_activation(rule, activation, seed):
    """At h, as printed, the derivative is another number, unless f is a ReLU."""
    case = Case(rule, seed, samples=1, activation=activation)
    tape, grads = case.tape(), case.grads()
    carry = case.params if type(rule) is BP else case.state
    for i in range(2):
        delta, above = (g["b"] for g in (grads[i][0], grads[i + 1][0]))  # of one sample, that of b is delta
        a = tape.h[i][0] @ case.params[i][0]["W"].T + case.params[i][0]["b"]       # ASAP (2.1)
        down = above @ carry[i + 1][0]["W"]
        assert_close(delta, phi_prime(activation, a) * down, of=down)              # ASAP (2.2), (2.4)
        printed = phi_prime(activation, tape.h[i + 1][0]) * down
        off = np.abs(printed - delta).max()
        assert off == 0 if activation == "relu" else off > 1e-9 * np.abs(delta).max()
        assert_close(grads[i][0]["W"], np.outer(delta, tape.h[i][0]))              # ASAP (2.3)


# Two linear layers

class TwoLayers:
    """The network x -> W_2 W_1 x under FA, with y = T x; `step` is the step of the rule and its optimiser."""

    def __init__(self, seed: int, n_x: int, n_h: int, n_o: int, white: bool = True, start: float = 1.0,
                 target=None, feedback=None):
        self.case = Case(FA(), seed, sizes=(n_h,), inputs=n_x, classes=n_o, samples=2 * n_x + 1,
                         activation="identity", loss="squared", biases=False)
        self.rng, self.params = self.case.rng, weights(self.case.params)
        for W in (self.W1, self.W2):
            W[...] = start * self.rng.uniform(-1, 1, W.shape)
        if white:
            q, _ = np.linalg.qr(self.rng.standard_normal(self.case.x.shape))
            self.case.x = np.sqrt(len(q)) * q
        self.T = spectrum(self.rng, n_o, n_x, 0.3, 2) if target is None else np.array(target, float)
        self.case.state[-1]["W"] = (spectrum(self.rng, n_o, n_h, 0.5, 2) if feedback is None
                                    else np.array(feedback, float))
        self.case.y = self.case.x @ self.T.T
        self.carried = np.linalg.pinv(self.B) @ self.T

    @property
    def W1(self) -> np.ndarray:
        return self.params[0][0]["W"]

    @property
    def W2(self) -> np.ndarray:
        return self.params[1]["W"]

    @property
    def B(self) -> np.ndarray:
        return self.case.state[-1]["W"]

    @property
    def E(self) -> np.ndarray:
        return self.W2 @ self.W1 - self.T

    @property
    def K(self) -> np.ndarray:
        return self.W2.T @ self.B + self.B.T @ self.W2 - self.W1 @ self.W1.T

    @property
    def H(self) -> float:
        """A function that falls by the loss as long as the steps are small; B must have full rank n_o."""
        return 0.5 * (self.W2**2).sum() - (self.carried * self.W1).sum()

    def step(self, eta: float) -> tuple[np.ndarray, np.ndarray]:
        """(dW_1, dW_2)."""
        before = self.W1.copy(), self.W2.copy()
        SGD(self.params, lr=eta)(weights(self.case.grads()))
        return self.W1 - before[0], self.W2 - before[1]


def spectrum(rng, rows: int, columns: int, low: float, high: float) -> np.ndarray:
    """A matrix of full rank with singular values in [low, high]."""
    k = min(rows, columns)
    u, v = (np.linalg.qr(rng.standard_normal((n, k)))[0] for n in (rows, columns))
    return u * rng.uniform(low, high, k) @ v.T


@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes, eta=st.floats(1e-3, 0.05))
def test_it_is_forward_alignment_read_backwards(seed, n_x, n_h, n_o, eta):
    """This holds for all shapes and ranks, on white inputs."""
    net = TwoLayers(seed, n_x, n_h, n_o)
    T, C, V1, V2 = net.T.T, net.B.T, net.W2.T.copy(), net.W1.T.copy()
    for _ in range(8):
        # Forward Alignment: the second layer learns from C x, the first one from its true signal
        E = T - V2 @ V1
        V1, V2 = V1 + eta * V2.T @ E, V2 + eta * E @ C.T
        net.step(eta)
    scale = 1 + max(np.abs(V1).max(), np.abs(V2).max())
    np.testing.assert_allclose(net.W1, V2.T, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(net.W2, V1.T, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@given(seed=seeds, n_x=sizes, n_h=sizes, n_o=sizes, eta=st.floats(1e-3, 0.5))
def test_what_the_flow_conserves_changes_by_the_square_of_a_step(loss, seed, n_x, n_h, n_o, eta):
    """dW_2^T B = W_1 dW_1^T, and so K+ = K - dW_1 dW_1^T, for all inputs, targets, ranks and losses."""
    net = TwoLayers(seed, n_x, n_h, n_o, white=False)
    net.case.y = np.abs(net.rng.standard_normal(net.case.y.shape))
    if loss == "cross_entropy":
        net.case.net = type(net.case.net)(net.case.net.blocks, loss)
    for _ in range(3):
        W1, K = net.W1.copy(), net.K
        dW1, dW2 = net.step(eta)
        scale = 1e-12 * (1 + np.abs(W1).max() + np.abs(net.W1).max())**2 * (1 + np.abs(net.W2).max())
        np.testing.assert_allclose(dW2.T @ net.B, W1 @ dW1.T, rtol=0, atol=scale)
        np.testing.assert_allclose(net.K, K - dW1 @ dW1.T, rtol=0, atol=scale)
        if np.abs(net.W1).max() > 1e3:
            break


@given(seed=seeds, n_x=sizes, n_o=sizes, more=st.integers(0, 3), eta=st.floats(1e-3, 0.2), white=st.booleans())
def test_the_lyapunov_function_falls_by_the_loss(seed, n_x, n_o, more, eta, white):
    """H+ = H - (eta / N) |E X|^2 + |dW_2|^2 / 2, for all inputs, if B has full rank."""
    net = TwoLayers(seed, n_x, n_o + more, n_o, white)
    for _ in range(3):
        H, miss = net.H, net.case.x @ net.E.T
        _, dW2 = net.step(eta)
        expected = H - eta * (miss**2).sum() / len(miss) + 0.5 * (dW2**2).sum()
        assert net.H == pytest.approx(expected, rel=1e-11, abs=1e-11 * (1 + abs(H) + (net.W2**2).sum()))


@pytest.mark.slow
@given(seed=seeds, n_x=sizes, n_o=sizes, more=st.integers(0, 2))
def test_it_learns_every_linear_map_from_wherever_it_starts(seed, n_x, n_o, more):
    """If the weights are bounded and B has full rank n_o <= n_h, then E -> 0, and H falls all the way."""
    net = TwoLayers(seed, n_x, min(5, n_o + more), n_o)
    path, W1, W2, B = (np.linalg.norm(A, 2) for A in (net.B.T @ net.T, net.W1, net.W2, net.B))
    eta = 0.2 / (path**(2 / 3) + W2 * B + W1**2)
    H = net.H
    for _ in range(20000):
        net.step(eta)
        assert net.H <= H + 1e-12 * (1 + abs(H))
        H = net.H
        if np.linalg.norm(net.E) < 1e-3:
            return
    pytest.fail(f"|E| is still {np.linalg.norm(net.E)}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_it_needs_no_white_inputs(seed):
    """As for Forward Alignment, with the roles exchanged: for every second moment of full rank."""
    net = TwoLayers(seed, 3, 4, 3, white=False)
    q, _ = np.linalg.qr(net.rng.standard_normal(net.case.x.shape))
    net.case.x = np.sqrt(len(q)) * q * [0.7, 1.0, 1.6]
    net.case.y = net.case.x @ net.T.T
    H = net.H
    for _ in range(20000):
        net.step(0.03)
        assert net.H <= H + 1e-12 * (1 + abs(H))
        H = net.H
        if np.linalg.norm(net.E) < 1e-5:
            return
    pytest.fail(f"|E| is still {np.linalg.norm(net.E)}")


@pytest.mark.slow
@given(seed=seeds, n_x=sizes, n_o=sizes, more=st.integers(0, 2), eps=st.floats(0.05, 0.3))
def test_from_zero_the_forward_weights_align_with_the_feedback(seed, n_x, n_o, more, eps):
    """<W_2, B> >= 0 and W_2^T B is symmetric, at every step; the loss never rises."""
    net = TwoLayers(seed, n_x, min(5, n_o + more), n_o, start=0.0)
    eta = eps / np.linalg.norm(net.B.T @ net.T, 2)**(2 / 3)
    loss = np.linalg.norm(net.E)
    for _ in range(80):
        net.step(eta)
        G = net.W2.T @ net.B
        assert_close(G, G.T, of=1)
        assert (net.W2 * net.B).sum() >= -1e-14 and np.linalg.norm(net.E) <= loss + 1e-12
        loss = np.linalg.norm(net.E)
    assert (net.W2 * net.B).sum() > 1e-3


@pytest.mark.parametrize("target, feedback", [
    ([[0.0], [1.0]], [[1.0], [0.0]]),                                        # n_h < n_o
    ([[0.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]]),                    # n_h = n_o, rank of B 1
])
def test_what_b_cannot_carry_is_never_learnt(target, feedback):
    net = TwoLayers(0, len(target[0]), len(feedback[0]), 2, start=0.0, target=target, feedback=feedback)
    for _ in range(200):
        net.step(0.1)
    assert_close(np.linalg.norm(net.E), 1)
