"""Linear networks of any depth under feedback alignment and direct feedback alignment: they learn from any start, what
they are from zero weights, and how fast they are near their end.  docs/theory/linear-feedback.md has the proofs.

What holds in steps is tested on the library's own rules, which know neither T nor Sigma: they see samples.
"""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from networks import Case
from tolerance import assert_close, assert_zero

from nobackprop import InputError
from nobackprop.optim import bind
from nobackprop.rules import RULES
from nobackprop.studies import forward_alignment_flow as forward
from nobackprop.studies import linear_feedback as flow
from nobackprop.studies.linear_feedback import carried, dfa, error, fa, integrate, passed, rates, velocity

seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(["fa", "dfa"])
depths = st.integers(2, 4)

norm = np.linalg.norm
one = np.ones((1, 1))


def spectrum(rng, rows: int, columns: int, low: float = 0.5, high: float = 2.0, rank: int = 9) -> np.ndarray:
    """A matrix with singular values in [low, high], of full rank or of that rank."""
    k = min(rows, columns)
    u, v = (np.linalg.qr(rng.standard_normal((n, k)))[0] for n in (rows, columns))
    return u * rng.uniform(low, high, k) * (np.arange(k) < rank) @ v.T


def sizes(rng, depth: int) -> list[int]:
    """n_0, ..., n_L, where no hidden layer is narrower than the output."""
    n = int(rng.integers(1, 4))
    return [int(rng.integers(1, 5)), *(n + int(rng.integers(0, 3)) for _ in range(depth - 1)), n]


def feedback(rng, name: str, n: list[int], rank: int = 9) -> list[np.ndarray]:
    """The matrices B of that rule; of full rank unless the options say otherwise, and D_1 far from losing its own."""
    while True:
        B = [spectrum(rng, n[-1] if name == "dfa" else above, below, rank=rank)
             for below, above in zip(n[1:-1], n[2:], strict=True)]
        if rank < 9 or np.linalg.svd(making(name, np.eye(n[-1]), B).D[0])[1][-1] > 0.2:
            return B


def making(name: str, T, B, Sigma=None) -> flow.Task:
    return {"fa": fa, "dfa": dfa}[name](T, B, Sigma)


def point(seed: int, name: str, depth: int, white: bool = False, start: float = 1.0, rank: int = 9):
    """A task and weights with entries in [-start, start]."""
    rng = np.random.default_rng(seed)
    n = sizes(rng, depth)
    B, q = feedback(rng, name, n, rank), np.linalg.qr(rng.standard_normal((n[0], n[0])))[0]
    Sigma = None if white else q * rng.uniform(0.3, 2, n[0]) @ q.T
    task = making(name, spectrum(rng, n[-1], n[0], 0.3, 2), B, Sigma)
    return task, [start * rng.uniform(-1, 1, shape) for shape in zip(n[1:], n, strict=False)]


class Rule:
    """The library's rule on a linear network, and on one batch unless `step` is given another one."""

    def __init__(self, seed: int, name: str, depth: int, loss: str = "squared", biases: bool = False,
                 start: float = 1.0, samples: int = 9, rank: int = 9, optimizer: str = "sgd", eta: float = 0.1):
        self.rng = rng = np.random.default_rng([seed, 7])
        n = sizes(rng, depth)
        self.name, self.B = name, feedback(rng, name, n, rank)
        self.case = case = Case(RULES[name], seed, tuple(n[1:-1]), n[0], n[-1], samples, "identity", loss)
        self.layers = [*(block[0] for block in case.params[:-1]), case.params[-1]]
        for layer in self.layers:
            layer["W"][...] = start * rng.uniform(-1, 1, layer["W"].shape)
            layer["b"][...] = start * biases * rng.uniform(-1, 1, layer["b"].shape)
        for i, B in enumerate(self.B):
            held = (case.state[i] if name == "dfa"
                    else case.state[i + 1]["W"] if i == depth - 2 else case.state[i + 1][0]["W"])
            held[...] = B
        self.T, self.t = spectrum(rng, n[-1], n[0], 0.3, 2), biases * rng.uniform(-1, 1, n[-1])
        if loss == "squared":
            case.x = rng.standard_normal((samples, n[0]))
            case.y = case.x @ self.T.T + self.t
        self.biases, self.opt = biases, bind(optimizer, case.params, eta, 0.0)

    @property
    def W(self) -> list[np.ndarray]:
        return [layer["W"].copy() for layer in self.layers]

    @property
    def b(self) -> list[np.ndarray]:
        return [layer["b"].copy() for layer in self.layers]

    @property
    def task(self) -> flow.Task:
        return making(self.name, self.T, self.B, self.case.x.T @ self.case.x / len(self.case.x))

    @property
    def K(self) -> list[np.ndarray]:
        """K_l, which biases extend by -b_l b_l^T."""
        return [k - np.outer(b, b) for k, b in zip(flow.K(self.task, self.W), self.b, strict=False)]

    @property
    def H(self) -> float:
        """H, which biases extend by |b_L - t|^2 / 2."""
        return flow.H(self.task, self.W) + 0.5 * ((self.b[-1] - self.t)**2).sum()

    @property
    def e(self) -> np.ndarray:
        """The error of every sample, output minus target."""
        return self.case.net.error(self.case.tape().output, self.case.y) * len(self.case.x)

    def step(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """(dW, db) of one step on the batch."""
        W, b, grads = self.W, self.b, self.case.grads()
        if not self.biases:
            for layer in [*(block[0] for block in grads[:-1]), grads[-1]]:
                layer["b"][...] = 0
        self.opt(grads)
        return ([u - v for u, v in zip(self.W, W, strict=True)], [u - v for u, v in zip(self.b, b, strict=True)])


def scale(*arrays) -> float:
    """No term of a polynomial of degree about 4 in these is larger."""
    return (1 + max(np.abs(array).max() for array in arrays))**4


# What is conserved

@given(seed=seeds, name=names, depth=depths, rank=st.sampled_from([1, 2, 9]))
def test_the_flow_conserves_k(seed, name, depth, rank):
    """N_l W_{l+1}' = W_l' W_l^T: for FA with any rank, for DFA if all D_l above the first have full row rank."""
    task, W = point(seed, name, depth, rank=rank if name == "fa" else 9)
    V = velocity(task, W)
    for n, w, v, above in zip(task.N, W, V, V[1:], strict=False):
        assert_close(n @ above, v @ w.T, of=scale(*task.N, *W, *V))


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@given(seed=seeds, name=names, depth=depths, biases=st.booleans(), rank=st.sampled_from([1, 2, 9]),
       eta=st.floats(1e-3, 0.5))
def test_a_step_of_the_rules_changes_k_by_its_square(loss, seed, name, depth, biases, rank, eta):
    """K_l+ = K_l - dW_l dW_l^T - db_l db_l^T, on batches of any samples and targets."""
    net = Rule(seed, name, depth, loss, biases, rank=rank if name == "fa" else 9, eta=eta)
    for _ in range(2):
        net.case.x = net.rng.standard_normal(net.case.x.shape)
        before, W = net.K, net.W
        dW, db = net.step()
        for k, old, u, v in zip(net.K, before, dW, db, strict=False):
            assert_close(k, old - u @ u.T - np.outer(v, v), of=scale(*W, *net.W, *net.b, *net.task.N))
        if norm(net.W[0]) > 1e3:
            break


def test_k_moves_if_a_feedback_matrix_of_dfa_has_lost_its_rank():
    """D_2 = 0 hears nothing, so K_1 would need an N_1 with N_1 D_2^T = D_1^T."""
    task = dfa(one, [one, 0 * one])
    (v, *_), w = velocity(task, [one / 2, one / 2, one / 2]), 1 / 2
    assert v.item() * w > 0.1 and velocity(task, [one / 2] * 3)[1].item() == 0


def test_an_optimiser_that_scales_gradients_one_by_one_does_not_keep_k():
    for optimizer, kept in (("sgd", True), ("adam", False)):
        net = Rule(0, "dfa", 3, optimizer=optimizer, eta=1e-3)
        before, (dW, _) = net.K, net.step()
        off = max(np.abs(k - old + u @ u.T).max() for k, old, u in zip(net.K, before, dW, strict=False))
        assert off < 1e-12 if kept else off > 1e-4


# What falls

@given(seed=seeds, name=names, depth=depths, biases=st.booleans(), eta=st.floats(1e-3, 0.2))
def test_a_step_of_the_rules_lowers_h_by_the_loss_up_to_its_square(seed, name, depth, biases, eta):
    """H+ = H - eta F + |dW_L|^2 / 2 + |db_L|^2 / 2, where F is the mean of |e|^2 over the batch."""
    net = Rule(seed, name, depth, biases=biases, eta=eta)
    for _ in range(2):
        before, F, W = net.H, (net.e**2).sum() / len(net.e), net.W
        dW, db = net.step()
        expected = before - eta * F + 0.5 * (dW[-1]**2).sum() + 0.5 * (db[-1]**2).sum()
        # W_L is a product of all layers' sizes away from the last one
        assert_close(net.H, expected, of=scale(*W, *net.W, net.b[-1], np.linalg.pinv(net.task.D[0])), slack=2.0**14)
        if norm(net.W[0]) > 30:
            break


@given(seed=seeds, name=names, depth=depths)
def test_h_falls_by_the_loss(seed, name, depth):
    """H is quadratic in W_L and linear in W_1, so a central difference derives it without error."""
    task, W = point(seed, name, depth)
    V = velocity(task, W)
    up, down = ([w + sign * v for w, v in zip(W, V, strict=True)] for sign in (1, -1))
    assert_close((flow.H(task, up) - flow.H(task, down)) / 2, -flow.loss(task, W),
                 of=scale(*W, *V, np.linalg.pinv(task.D[0])))


# The theorem: E goes to 0 from all weights

def follow(task, W, until: float):
    path = integrate(task, W, np.concatenate([[0], np.geomspace(1e-2, until, 20)]), rtol=1e-8)
    assert_promises(task, path)
    return path


def assert_promises(task, path) -> None:
    """K stays, H falls, and every layer stays below its bound."""
    K, H, w = flow.K(task, path[0]), [flow.H(task, W) for W in path], flow.bound(task, path[0])
    top = scale(*w)
    assert np.all(np.diff(H) <= 1e-6 * top**0.5)
    for W in path:
        assert all(norm(layer) <= most * (1 + 1e-7) for layer, most in zip(W, w, strict=True))
        for k, first in zip(flow.K(task, W), K, strict=True):
            np.testing.assert_allclose(k, first, rtol=0, atol=1e-6 * top**0.5)


@pytest.mark.slow
@given(seed=seeds, name=names, depth=st.integers(2, 5), start=st.floats(0, 1.5))
def test_a_linear_network_of_any_depth_learns_from_wherever_it_starts(seed, name, depth, start):
    task, W = point(seed, name, depth, start=start)
    *_, last = follow(task, W, 1e5)
    assert norm(error(task, last)) < 1e-6


@pytest.mark.parametrize("name", ["fa", "dfa"])
@pytest.mark.parametrize("seed", range(4))
def test_three_and_four_layers_learn_from_these_starts(seed, name):
    task, W = point(seed, name, 3 + seed % 2)
    assert norm(error(task, follow(task, W, 1e4)[-1])) < 1e-6


@pytest.mark.slow
def test_the_loss_rises_and_h_only_falls():
    """One weight a layer, T = B = 1, from (.5, -1, 1): the loss climbs from 1.125 to 1.196 before it goes to 0."""
    task = dfa(one, [one, one])
    path = integrate(task, [one / 2, -one, one], np.linspace(0, 20, 4001))
    loss, H = (np.array([of(task, W) for W in path]) for of in (flow.loss, flow.H))
    assert loss[0] / 2 == 1.125 and max(loss) / 2 == pytest.approx(1.1962, abs=1e-4) and loss[-1] / 2 < 1e-20
    assert np.all(np.diff(H[loss > 1e-9]) < 0)


def test_with_one_hidden_layer_both_rules_are_the_one_of_the_other_page():
    """Read backwards it is Forward Alignment, and K and H are its K and H."""
    rng = np.random.default_rng(0)
    T, B, V1, V2 = (rng.standard_normal(shape) for shape in ((2, 3), (2, 4), (4, 3), (2, 4)))
    other = forward.Task(T.T, B.T)
    for task in (fa(T, [B]), dfa(T, [B])):
        assert_close(flow.K(task, [V1, V2])[0], forward.K(other, V2.T, V1.T), of=scale(V1, V2))
        assert_close(flow.H(task, [V1, V2]), forward.H(other, V2.T, V1.T), of=scale(V1, V2, np.linalg.pinv(B)))


def test_what_the_feedback_cannot_carry_is_never_learnt():
    """B_3 B_2 = 0 and W_1 = 0: the first layer never moves, so |E| stays 1, in the flow and under the rule."""
    task, W = fa(one, [0 * one, one]), [0 * one, one, one]
    assert norm(error(task, integrate(task, W, np.array([0.0, 50.0]))[-1])) == 1
    for ask in (flow.bound, flow.safe_rate):
        with pytest.raises(InputError, match="D_1 .* has rank 0, expected 1"):
            ask(task, W)


def test_a_hidden_layer_that_is_narrower_than_the_output_has_no_such_theorem():
    """Then no D_l has full row rank; here the rank of the network is less than that of T."""
    task = dfa(np.eye(2), [np.ones((2, 1))])
    last = integrate(task, [np.ones((1, 2)), np.ones((2, 1))], np.array([0.0, 100.0]))[-1]
    assert norm(error(task, last)) >= 1
    with pytest.raises(InputError, match="rank 1, expected 2"):
        flow.bound(task, last)


def test_if_sigma_is_singular_what_occurs_is_learnt():
    """The loss goes to 0, and E does not: inputs along the second axis do not occur."""
    task = dfa(np.eye(2), [np.eye(2), np.eye(2)], np.diag([1.0, 0.0]))
    last = integrate(task, [0.5 * np.eye(2)] * 3, np.array([0.0, 200.0]))[-1]
    assert flow.loss(task, last) < 1e-12 and norm(error(task, last)) > 0.5


# In steps

def chain(task, K, H: float, v: float) -> list[float]:
    """w_1, ..., w_L of docs/theory/linear-feedback.md if |W_1| = v, written once more."""
    tau = norm(task.D[0].T @ np.linalg.inv(task.D[0] @ task.D[0].T) @ task.T)
    w = [np.sqrt(2 * max(0, H) + 2 * tau * v)]
    for n, k in zip(reversed(task.N), reversed(K), strict=True):
        w.insert(0, np.sqrt(2 * norm(n) * w[0] + max(0, -np.trace(k)) + 1))
    return w


def needs(task, H: float, w, below) -> list[float]:
    """What 1 / eta must not be less than, for Lambda = 1, if below[l - 1] bounds |Q_{l-1}|^2."""
    tau = norm(np.linalg.pinv(task.D[0]) @ task.T)
    return [below[-1]] + [2 * (max(0, H) + tau * w[0]) * norm(d, 2)**2 * q for d, q in zip(task.D, below, strict=False)]


@given(seed=seeds, name=names, depth=depths, start=st.floats(0, 3))
def test_the_bound_is_the_largest_fixed_point_of_the_chain(seed, name, depth, start):
    task, W = point(seed, name, depth, start=start)
    w, known = flow.bound(task, W), (task, flow.K(task, W), flow.H(task, W))
    assert_close(chain(*known, w[0]), w, slack=2.0**16)
    assert all(chain(*known, more * w[0])[0] < more * w[0] for more in (1.001, 2, 10, 1000))


@given(seed=seeds, name=names, depth=depths, start=st.floats(0, 3))
def test_the_proven_rate_is_the_largest_one_of_the_two_conditions(seed, name, depth, start):
    task, W = point(seed, name, depth, start=start)
    w, top = flow.bound(task, W), max(np.linalg.eigvalsh(task.Sigma))
    below = [np.prod(np.square(w[:i])) for i in range(depth)]
    assert_close(flow.safe_rate(task, W) * top * max(needs(task, flow.H(task, W), w, below)), 1.0)


@given(seed=seeds, name=names, depth=depths, start=st.floats(0, 1.5))
@example(seed=0, name="dfa", depth=2, start=0.0)
def test_steps_of_a_proven_size_keep_every_promise(seed, name, depth, start):
    net = Rule(seed, name, depth, start=start)
    task = net.task
    net.opt = bind("sgd", net.case.params, eta := flow.safe_rate(task, net.W), 0.0)
    w, W = flow.bound(task, net.W), net.W
    H = flow.H(task, W)
    for _ in range(20):
        before, F = H, flow.loss(task, W)
        net.step()
        W = net.W
        H = flow.H(task, W)
        assert all(norm(layer) <= most for layer, most in zip(W, w, strict=True))
        assert H <= before - eta / 2 * F + 1e-12 * scale(*w)


@pytest.mark.parametrize("eta, ends", [(0.033, True), (0.2, True), (0.3, False)])
def test_steps_may_not_be_too_large(eta, ends):
    """One weight a layer, T = B = 1, from (2, 2, 2): the proven rate is 0.033, and 0.3 is too large."""
    task, W = dfa(one, [one, one]), [2 * one, 2 * one, 2 * one]
    assert round(flow.safe_rate(task, W), 3) == 0.033
    for _ in range(2000):
        W = [w + eta * v for w, v in zip(W, velocity(task, W), strict=True)]
        if norm(W[0]) > 1e6:
            break
    assert (norm(error(task, W)) < 1e-12) == ends


@given(seed=seeds, name=names, depth=depths)
def test_mini_batches_of_linear_targets_keep_every_promise(seed, name, depth):
    """Sigma differs from batch to batch; the rate is the proven one for the largest of all."""
    net = Rule(seed, name, depth, samples=2)
    batches = [net.rng.standard_normal(net.case.x.shape) for _ in range(5)]
    top = max(norm(x, 2)**2 / len(x) for x in batches)
    task = making(name, net.T, net.B, top * np.eye(net.T.shape[1]))
    w, eta = flow.bound(task, net.W), flow.safe_rate(task, net.W)
    net.opt, H = bind("sgd", net.case.params, eta, 0.0), flow.H(task, net.W)
    for k in range(15):
        net.case.x = batches[k % 5]
        net.case.y = net.case.x @ net.T.T
        F = ((net.case.x @ flow.error(task, net.W).T)**2).sum() / len(net.case.x)
        net.step()
        W, before = net.W, H
        H = flow.H(task, W)
        assert all(norm(layer) <= most for layer, most in zip(W, w, strict=True))
        assert H <= before - eta / 2 * F + 1e-12 * scale(*w)


@pytest.mark.slow
@given(seed=seeds, name=names, depth=depths, start=st.floats(0, 1.5))
def test_steps_with_biases_keep_every_promise(seed, name, depth, start):
    """As without; w_j^2 + 1 stands for w_j^2 in the rate, and (x, 1) for x."""
    net = Rule(seed, name, depth, biases=True, start=start)
    task, K, H = net.task, net.K, net.H
    w = [1e9]
    for _ in range(40):
        w = chain(task, K, H, w[0])
    x = np.column_stack([net.case.x, np.ones(len(net.case.x))])
    below = [np.prod(np.square(w[:i]) + 1) for i in range(depth)]
    eta = 1 / (max(needs(task, H, w, below)) * norm(x, 2)**2 / len(x))
    net.opt = bind("sgd", net.case.params, eta, 0.0)
    for _ in range(15):
        H, F = net.H, (net.e**2).sum() / len(x)
        net.step()
        b = [*net.b[:-1], net.b[-1] - net.t]
        assert all(norm(layer)**2 + norm(v)**2 <= most**2 for layer, v, most in zip(net.W, b, w, strict=True))
        assert net.H <= H - eta / 2 * F + 1e-12 * scale(*w)


@pytest.mark.slow
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("name", ["fa", "dfa"])
def test_the_rules_learn_from_mini_batches_of_one_sample(name, biases):
    """Three layers, with and without biases; every batch has one sample, so no Sigma has full rank."""
    net = Rule(2, name, 3, biases=biases, start=0.5, samples=6, eta=0.05)
    x, y = net.case.x, net.case.y
    for k in range(3000):
        net.case.x, net.case.y = x[k % 6:k % 6 + 1], y[k % 6:k % 6 + 1]
        net.step()
    net.case.x, net.case.y = x, y
    assert np.abs(net.e).max() < 1e-6


@pytest.mark.slow
def test_noisy_mini_batches_do_not_come_to_rest():
    """Two samples of one input with the targets 1 and 2, in turn: E of their mean jumps to and fro for ever."""
    net = Rule(0, "dfa", 3, eta=0.03, samples=1)
    net.case.x = np.ones_like(net.case.x)
    found = []
    for k in range(2000):
        net.case.y = np.full_like(net.case.y, 1.0 + k % 2)
        net.step()
        found.append((net.case.tape().output - 1.5).item(0))
    assert min(map(abs, found[-2:])) > 1e-3 and found[-1] * found[-2] < 0


# From zero weights

class Small:
    """A_l of docs/theory/linear-feedback.md: what a rule learns from zero weights, told by n_L numbers a layer."""

    def __init__(self, net: Rule):
        n, inputs = len(net.T), net.case.x.shape[1]
        self.D = [*net.task.D, np.eye(n)]
        self.A = [np.zeros((n, inputs)), *(np.zeros((n, n)) for _ in self.D[1:])]
        self.beta = [np.zeros(n) for _ in self.D]
        self.speed = [0 * a for a in (*self.A, *self.beta)]

    def step(self, x, e, eta: float, mu: float, biases: bool) -> None:
        """One step of heavy ball on A and beta, for errors e of the network, one row a sample."""
        heard = [x]
        for a, b, below in zip(self.A, self.beta, [None, *self.D], strict=False):
            inner = heard[-1] if below is None else heard[-1] @ (below @ below.T).T
            heard.append(inner @ a.T + b)
        grads = [e.T @ r / len(x) for r in heard[:-1]] + [biases * e.mean(0) for _ in self.beta]
        for array, v, g in zip((*self.A, *self.beta), self.speed, grads, strict=True):
            v[...] = mu * v + g
            array -= eta * v

    def weights(self):
        W = [self.D[0].T @ self.A[0]]
        W += [d.T @ a @ below for d, a, below in zip(self.D[1:], self.A[1:], self.D, strict=False)]
        return W, [d.T @ b for d, b in zip(self.D, self.beta, strict=True)]


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@given(seed=seeds, name=names, depth=depths, biases=st.booleans(), heavy=st.booleans(),
       rank=st.sampled_from([1, 2, 9]))
def test_from_zero_the_weights_have_this_form(loss, seed, name, depth, biases, heavy, rank):
    """W_l = D_l^T A_l D_{l-1} and b_l = D_l^T beta_l: for every rank, loss, batch, and with heavy ball."""
    net = Rule(seed, name, depth, loss, biases, 0.0, rank=rank, optimizer="momentum" if heavy else "sgd", eta=0.05)
    small = Small(net)
    for _ in range(6):
        net.case.x = net.rng.standard_normal(net.case.x.shape)
        small.step(net.case.x, net.e, 0.05, 0.9 * heavy, biases)
        net.step()
        W, b = small.weights()
        assert_close(net.W, W, of=scale(*W, *net.B))
        assert_close(net.b, b, of=scale(*W, *net.B))
    ranks = [np.linalg.matrix_rank(d) for d in net.task.D]
    assert np.linalg.matrix_rank(passed(net.W)[-1], 1e-9) <= min(ranks)


def test_adam_leaves_the_form():
    """The columns of W_1 = D_1^T A_1 lie in the span of the rows of D_1: heavy ball keeps them there, Adam does not."""
    for optimizer, kept in (("momentum", True), ("adam", False)):
        net = Rule(0, "dfa", 3, rank=1, start=0.0, optimizer=optimizer, eta=1e-3)
        for _ in range(20):
            net.case.x = net.rng.standard_normal(net.case.x.shape)
            net.step()
        D, W = net.task.D[0], net.W[0]
        outside = norm(W - np.linalg.pinv(D) @ D @ W) / norm(W)
        assert outside < 1e-12 if kept else outside > 0.05


def orthogonal(seed: int, depth: int):
    """A white task with D_l D_l^T = c_l I, and T's singular values."""
    rng = np.random.default_rng(seed)
    n = sizes(rng, depth)
    T = spectrum(rng, n[-1], n[0], 0.5, 2)
    B = [np.sqrt(rng.uniform(0.5, 2)) * np.linalg.qr(rng.standard_normal((width, n[-1])))[0].T for width in n[1:-1]]
    return dfa(T, B), np.linalg.svd(T)[1]


@pytest.mark.slow
@given(seed=seeds, depth=st.integers(2, 5), t=st.floats(0.05, 5))
def test_from_zero_the_closed_form_is_the_flow(seed, depth, t):
    task, s = orthogonal(seed, depth)
    W = flow.from_zero(task, t)
    zero = [0 * w for w in W]
    for found, w in zip(integrate(task, zero, np.array([0, t]), 1e-10)[-1], W, strict=True):
        np.testing.assert_allclose(found, w, rtol=0, atol=1e-7)
    if depth == 2:                                                         # the other page's mode: p = tau / s
        c = (task.D[0]**2).sum() / len(task.T)
        tau = np.linalg.svd(task.D[0] @ W[0] / c)[1]
        np.testing.assert_allclose(np.sort(tau), np.sort(s * forward.mode(c * s**2, t)), rtol=0, atol=1e-8)


@pytest.mark.parametrize("depth, k", [(2, 1 / 2), (3, 1 / 16), (4, 1 / 2048)])
def test_from_zero_the_clock_of_one_weight_a_layer(depth, k):
    """With T = B = 1: tau' = 1 - k tau^(2^L - 1), W_1 = tau, and tau ends at k^(-1 / (2^L - 1))."""
    task, h = dfa(one, [one] * (depth - 1)), 1e-4
    tau, more, less = (flow.from_zero(task, t)[0].item() for t in (0.8, 0.8 + h, 0.8 - h))
    assert (more - less) / (2 * h) == pytest.approx(1 - k * tau**(2**depth - 1), abs=1e-6)
    W, m = flow.from_zero(task, 100.0), 2**depth - 1
    assert W[0].item() == pytest.approx(k**(-1 / m), abs=1e-6)
    assert rates([one] * depth, W).item() == pytest.approx(m * k**(1 / m), abs=1e-6)


@pytest.mark.parametrize("task, sentence", [
    (dfa(np.eye(2), [np.eye(2)], np.diag([1.0, 2.0])), "white inputs"),
    (dfa(np.eye(2), [np.diag([1.0, 2.0])]), "orthogonal"), (dfa(np.eye(2), [np.zeros((2, 2))]), "orthogonal"),
])
def test_the_closed_form_says_what_it_needs(task, sentence):
    with pytest.raises(InputError, match=sentence):
        flow.from_zero(task, 1.0)


@given(seed=seeds, depth=depths, t=st.floats(0.01, 30))
def test_from_zero_the_angle_to_backpropagation_is_bounded(seed, depth, t):
    """P_l = Z_l D_l, Z_l > 0; its condition is at most (s_max / s_min)^(2^L - 2^l); Kantorovich does the rest."""
    task, s = orthogonal(seed, depth)
    W = flow.from_zero(task, t)
    ratio, U = s[0] / s[-1], np.linalg.svd(task.T, full_matrices=False)[0]
    for i, (p, d) in enumerate(zip(carried(W), task.D, strict=False), 1):
        Z = U.T @ p @ np.linalg.pinv(d) @ U
        assert_close(p @ np.linalg.pinv(d) @ d, p, of=1)                   # P_l = Z_l D_l
        assert_close(Z, np.diag(np.diag(Z)), of=1)
        kappa = np.diag(Z)
        cond = kappa.max() / kappa.min()
        assert kappa.min() > 0 and cond <= ratio**(2**depth - 2**i) * (1 + 1e-6)
        worst = 2 * np.sqrt(cond) / (1 + cond)
        rng = np.random.default_rng(seed)
        tries = [U @ rng.standard_normal(len(s)) for _ in range(5)]
        ends = np.zeros(len(s))
        ends[[kappa.argmin(), kappa.argmax()]] = kappa[[kappa.argmin(), kappa.argmax()]]**-0.5
        cosines = [(p.T @ e) @ (d.T @ e) / (norm(p.T @ e) * norm(d.T @ e)) for e in (*tries, U @ ends)]
        assert min(cosines) >= worst - 1e-9
        assert cosines[-1] == pytest.approx(worst, abs=1e-6)               # the bound is attained


def test_at_first_and_at_the_end_the_condition_is_known():
    """L = 3, s = (3, 1): at layer l the exponent is 2^L - 2^l at first, and that divided by 2^L - 1 at the end."""
    task = dfa(np.diag([3.0, 1.0]), [np.eye(2), np.eye(2)])
    for t, part in ((1e-2, 1), (200.0, 7)):
        for p, exponent in zip(carried(flow.from_zero(task, t)), (6, 4), strict=False):
            kappa = np.diag(p)
            assert kappa[0] / kappa[1] == pytest.approx(3**(exponent / part), rel=1e-3)


def cosines(task, W) -> list[float]:
    """The cosine of each hidden layer's step with that of backpropagation."""
    found, Q = [], passed(W)
    G = (task.T - Q[-1]) @ task.Sigma
    for p, d, q in zip(carried(W), task.D, Q, strict=False):
        u, v = p.T @ G @ q.T, d.T @ G @ q.T
        found.append((u * v).sum() / (norm(u) * norm(v)))
    return found


@pytest.mark.slow
@given(seed=seeds, depth=depths)
def test_the_last_hidden_layer_is_never_obtuse(seed, depth):
    """Any Sigma, from K_{L-1} = 0, if D_{L-1} D_{L-1}^T is a multiple of I; so with two layers the loss never rises."""
    task, W = point(seed, "dfa", depth)
    D = [*task.D[:-1], np.linalg.qr(task.D[-1].T)[0].T * 1.3]
    task = dfa(task.T, D, task.Sigma)
    W[-2:] = 0 * W[-2], 0 * W[-1]
    path = integrate(task, W, np.linspace(0, 8, 17))
    for W in path:
        S, half = W[-1] @ D[-1].T, D[-1] @ W[-2]
        np.testing.assert_allclose(S + S.T, half @ half.T / 1.3**2, rtol=0, atol=1e-6)
        assert np.linalg.eigvalsh(S + S.T)[0] >= -1e-6
    if depth == 2:
        assert np.all(np.diff([flow.loss(task, W) for W in path]) <= 1e-7)


@given(seed=seeds, depth=depths, eta=st.floats(1e-3, 0.05))
def test_under_fa_from_zero_each_layer_turns_to_its_feedback(seed, depth, eta):
    """<B_{l+1}, W_{l+1}> = |W_l|^2 / 2 - the sum of |dW_l|^2 / 2, which vanishes in the flow; without biases."""
    net = Rule(seed, "fa", depth, start=0.0, eta=eta)
    steps = np.zeros(depth - 1)
    for _ in range(5):
        dW, _ = net.step()
        steps += [(u**2).sum() for u in dW[:-1]]
        for b, w, above, lost in zip(net.B, net.W, net.W[1:], steps, strict=False):
            assert_close(2 * (b * above).sum(), (w**2).sum() - lost, of=scale(*net.W, *net.B))


@pytest.mark.parametrize("T, B, Sigma, layer, lowest", [
    # any B, L = 2, inputs not white
    ([[1.7, 1.7], [0.9, -1.7]], [[[-0.1, 0.5], [-0.8, 2.1]]], [1, 20], 1, -0.98),
    # any B, L = 3, white inputs
    ([[-1.1, 1.0], [0.8, 2.3]], [[[-0.3, 0.9], [-1.2, 0.2]], [[-0.1, 0.7], [-0.1, 0.8]]], [1, 1], 2, -0.99),
    # orthogonal B, L = 3, inputs not white
    ([[0.55, -0.38], [0.30, -0.17]], [np.eye(2), np.eye(2)], [1, 110], 1, -0.04),
])
def test_outside_of_its_conditions_a_layer_turns_away_from_backpropagation(T, B, Sigma, layer, lowest):
    """From zero weights; the cosine of the layer's step with that of backpropagation, where it is lowest."""
    task = dfa(np.array(T), [np.array(b) for b in B], np.diag(Sigma).astype(float))
    times = np.concatenate([[0], np.geomspace(1e-3, 300, 200)])
    path = integrate(task, [np.zeros((2, 2))] * (len(B) + 1), times)[1:]
    full = norm(task.T)**2
    found = [cosines(task, W)[layer - 1] for W in path if flow.loss(task, W) > 1e-4 * full]
    assert min(found) == pytest.approx(lowest, abs=0.01)


# Near the end

def jacobian(moves, W, h: float = 1e-5) -> np.ndarray:
    """The derivative of a velocity by central differences."""
    flat, columns = np.concatenate([w.ravel() for w in W]), []
    cuts = np.cumsum([w.size for w in W])[:-1]
    for i in range(len(flat)):
        sides = []
        for sign in (1, -1):
            z = flat.copy()
            z[i] += sign * h
            V = moves([part.reshape(w.shape) for part, w in zip(np.split(z, cuts), W, strict=True)])
            sides.append(np.concatenate([v.ravel() for v in V]))
        columns.append((sides[0] - sides[1]) / (2 * h))
    return np.array(columns).T


@pytest.mark.parametrize("name", ["bp", "fa", "dfa", "foa"])
@given(seed=seeds, depth=depths)
def test_the_error_moves_by_r_and_r_has_the_eigenvalues_of_the_linearised_flow(name, seed, depth):
    """E' = -R(E) everywhere; where E = 0 the characteristic polynomials are equal up to a power of the variable."""
    task, W = point(seed, "dfa" if name in ("bp", "foa") else name, depth)
    rng = np.random.default_rng([seed, 3])
    fixed = passed(W)[:1] + [rng.uniform(-1, 1, q.shape) for q in passed(W)[1:-1]]

    def moves(W, T):
        Q, D = passed(W), [*task.D, np.eye(len(T))] if name in ("fa", "dfa") else carried(W)
        G = (T - Q[-1]) @ task.Sigma
        return [d.T @ G @ q.T for d, q in zip(D, fixed if name == "foa" else Q, strict=False)]

    D = [*task.D, np.eye(len(task.T))] if name in ("fa", "dfa") else carried(W)
    R = rates(D, W, task.Sigma, fixed if name == "foa" else None)
    V = moves(W, task.T)
    dE = -sum(p @ v @ q for p, v, q in zip(carried(W), V, passed(W), strict=False))
    assert_close(dE.ravel(), -R @ error(task, W).ravel(), of=scale(*W, *task.D, *V))
    J = jacobian(lambda at: moves(at, passed(W)[-1]), W)
    # sums of powers of eigenvalues, which do not split where eigenvalues meet
    for k in (1, 2, 3):
        left, right = (np.trace(np.linalg.matrix_power(A, k)) for A in (J, -R))
        assert left == pytest.approx(right, abs=1e-6 * (1 + norm(R))**3)


@given(seed=seeds)
def test_two_layers_on_white_inputs_add_eigenvalues(seed):
    rng = np.random.default_rng(seed)
    W1, W2, C, B = (rng.uniform(-1, 1, shape) for shape in ((3, 2), (2, 3), (3, 2), (2, 3)))
    eye = np.eye(2)
    for R, first, second in ((rates([W2, eye], [W1, W2], Q=[eye, C]), C.T @ W1, W2 @ W2.T),
                             (rates([B, eye], [W1, W2]), W1.T @ W1, W2 @ B.T)):
        sums = np.add.outer(np.linalg.eigvals(first), np.linalg.eigvals(second)).ravel()
        assert_close(np.poly(R), np.poly(sums), of=scale(W1, W2, C, B)**2)


@given(seed=seeds)
def test_from_zero_two_layers_end_with_these_rates(seed):
    """FA: 2 (mu_i / 2)^(1/3) + (mu_j / 2)^(1/3); FoA: the same with the factor at the other one; square T here."""
    rng = np.random.default_rng(seed)
    T, C = spectrum(rng, 2, 2, 0.5, 2), spectrum(rng, 3, 2)
    other, eye = forward.Task(T, C), np.eye(2)
    W1, W2 = forward.from_zero(other, 1e3)
    mu = np.linalg.svd(T @ C.T)[1][:2]**2
    root = np.cbrt(mu / 2)
    expected = np.sort(np.add.outer(2 * root, root).ravel())
    for R in (rates([W2, eye], [W1, W2], Q=[eye, C]), rates([C.T, eye], [W2.T, W1.T])):
        np.testing.assert_allclose(np.sort(np.linalg.eigvals(R).real), expected, rtol=0, atol=1e-5)
    # the path itself: its slowest part is 3 (mu_min / 2)^(1/3)
    t = 6 / (3 * root.min())
    early, late = (norm(forward.error(other, *forward.from_zero(other, at))) for at in (t, 2 * t))
    assert -np.log(late / early) / t == pytest.approx(3 * root.min(), rel=0.05)


def test_off_the_path_the_slowest_rate_is_smaller_if_t_is_not_square():
    """T = (1, 0) from zero: on the path 3 / 2^(1/3), and an error in the second column dies at a third of that."""
    T, eye = np.array([[1.0, 0.0]]), np.eye(1)
    W = flow.from_zero(dfa(T, [one]), 200.0)
    found = np.sort(np.linalg.eigvals(rates([one, eye], W)).real)
    np.testing.assert_allclose(found, [0.5**(1 / 3), 3 * 0.5**(1 / 3)], rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name, seed", [("fa", 0), ("fa", 4), ("dfa", 5), ("dfa", 9)])
def test_the_error_dies_at_the_rate_of_the_slowest_eigenvalue(name, seed):
    """Measured between two late times, along a flow of three layers whose slowest eigenvalue is real."""
    task, W = point(seed, name, 3)
    last = integrate(task, W, np.array([0, 1e3]), 1e-11)[-1]
    R = rates([*task.D, np.eye(len(task.T))], last, task.Sigma)
    slow = np.linalg.eigvals(R).real.min()
    assert slow > 0
    near = [w + 1e-4 * np.cos(np.arange(w.size)).reshape(w.shape) for w in last]
    a, b = (norm(error(task, at)) for at in integrate(task, near, np.array([0, 8 / slow, 10 / slow]), 1e-11)[1:])
    assert np.log(a / b) * slow / 2 == pytest.approx(slow, rel=0.01)


@pytest.mark.parametrize("share, dies", [(0.97, True), (1.03, False)])
@pytest.mark.parametrize("seed", range(3))
def test_a_small_error_dies_in_steps_up_to_this_rate(seed, share, dies):
    """eta < 2 Re r / |r|^2 for every eigenvalue r of R; just beyond it the error grows."""
    task, W = point(seed, "dfa", 3)
    W = integrate(task, W, np.array([0, 1e3]), 1e-11)[-1]
    r = np.linalg.eigvals(rates([*task.D, np.eye(len(task.T))], W, task.Sigma))
    assert r.real.min() > 0
    eta = share * (2 * r.real / np.abs(r)**2).min()
    W = [w + 1e-9 * np.cos(np.arange(w.size)).reshape(w.shape) for w in W]
    first = norm(error(task, W))
    for _ in range(200):
        W = [w + eta * v for w, v in zip(W, velocity(task, W), strict=True)]
    assert (norm(error(task, W)) < first) == dies


@pytest.mark.slow
def test_a_point_without_loss_may_be_unstable():
    """FA, one weight a layer, T = B = 1, at (-.5, -2): E grows at the rate 1.75, and the flow ends elsewhere."""
    W = [-one / 2, -2 * one]
    assert rates([one, one], W).item() == -1.75
    task = fa(one, [one])
    for sign, end in ((1, (2.27, 0.44)), (-1, None)):
        path = integrate(task, [W[0], (1 + sign * 4e-7) * W[1]], np.linspace(0, 40, 8001))
        losses = np.array([flow.loss(task, at) / 2 for at in path])
        assert losses[0] < 1e-12 and losses[-1] < 1e-20
        if end or max(losses) > 3:
            top, last = max(losses), [w.item() for w in path[-1]]
    # K = 2 W_2 - W_1^2 = -4.25 stays, so E = 1 - W_1 (W_1^2 - 4.25) / 2 on the way, and it peaks at W_1^2 = 4.25 / 3
    peak = np.sqrt(4.25 / 3)
    assert top == pytest.approx((1 + peak * 4.25 / 3)**2 / 2, abs=1e-3) and round(top, 2) == 3.61
    assert [round(v, 2) for v in last] == [2.27, 0.44]


# What does not fit

@pytest.mark.parametrize("ask, sentence", [
    (lambda: dfa(np.eye(2), []), "at least one matrix of feedback"),
    (lambda: dfa(np.eye(2), [np.ones((3, 2))]), "2 rows"),
    (lambda: fa(np.eye(2), [np.ones((3, 2))]), "last of 2 rows"),
    (lambda: fa(np.eye(2), [np.ones((3, 2)), np.ones((2, 4))]), "can be multiplied"),
    (lambda: fa(np.eye(2), [np.eye(2)], np.eye(3)), r"Sigma must be of shape \(2, 2\)"),
    (lambda: dfa(np.eye(2), [np.eye(2)], np.array([[1.0, 1.0], [0.0, 1.0]])), "symmetric"),
    (lambda: dfa(np.eye(2), [np.eye(2)], -np.eye(2)), "without negative eigenvalues"),
    (lambda: integrate(dfa(one, [one]), [one, one], np.array([1.0, 2.0])), "begin at 0"),
    (lambda: integrate(dfa(one, [one]), [one, one], np.array([0, np.inf])), "rise, be finite"),
    (lambda: integrate(dfa(one, [one]), [one, one], np.array([0, np.nan])), "rise, be finite"),
    *((lambda v=v: dfa(v * one, [one]), "^T must be finite$") for v in (np.nan, np.inf)),
    *((lambda v=v: dfa(one, [v * one]), "^B must be finite$") for v in (np.nan, np.inf)),
    *((lambda v=v: fa(one, [one, v * one]), "^B must be finite$") for v in (np.nan, np.inf)),
    *((lambda v=v: fa(one, [one], v * one), "^Sigma must be finite$") for v in (np.nan, np.inf)),
    *((lambda v=v: flow.bound(dfa(one, [one]), [one, v * one]), "^the weights must be finite$")
      for v in (np.nan, -np.inf)),
    (lambda: flow.safe_rate(dfa(one, [one]), [np.nan * one, one]), "^the weights must be finite$"),
    (lambda: flow.bound(dfa(one, [one]), [one, 1e200 * one]), "larger than every number"),
    *((lambda t=t: flow.from_zero(dfa(one, [one]), t), "^t must be a non-negative number")
      for t in (np.nan, np.inf, -1.0)),
])
def test_what_does_not_fit_is_said(ask, sentence):
    with pytest.raises(InputError, match=sentence):
        ask()


def test_inputs_that_are_all_zero_move_nothing_at_any_rate():
    task = dfa(one, [one], 0 * one)
    assert flow.safe_rate(task, [one, one]) == 1.0
    assert_zero(velocity(task, [one, one]), of=1)
