"""Direct feedback: the path of the error, how its matrices are drawn, and what they learn if they learn."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case
from tolerance import assert_close

from nobackprop import learn, models, network
from nobackprop.experiments.compare import Comparison, resolve
from nobackprop.feedback import binary, low_rank, products, sparse
from nobackprop.kernels.activation import ACTIVATIONS
from nobackprop.layers import Activation, BatchNorm, Dense, Flatten, Sequential
from nobackprop.metrics import signals
from nobackprop.network import Tape
from nobackprop.optim import SGD, bind
from nobackprop.rules import BP, FDFA, RULES
from nobackprop.tree import leaves, tree_map

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 8)


def linear_case(rule, seed, **options) -> Case:
    return Case(rule, seed, activation="identity", loss="squared", **options)


def jacobians(case: Case) -> list[np.ndarray]:
    """da_L/dh of a linear network, (C, F), at every hidden block's output: the network's output for unit vectors."""
    found = []
    for i in range(1, len(case.net)):
        def above(h, i=i):
            return network.predict(case.net[i:], case.params[i:], h)

        units = np.eye(case.shapes[i][0])
        found.append((above(units) - above(0 * units)).T)
    return found


# The signals

@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@given(seed=seeds)
def test_dfa_takes_the_derivative_at_the_pre_activation_and_the_last_layers_error(activation, seed):
    case = Case(RULES["dfa"], seed, samples=1, activation=activation)
    tape, grads = case.tape(), case.grads()
    f = ACTIVATIONS[activation].function
    delta_L = grads[-1]["b"]
    assert_close(delta_L, case.net.error(tape.output, case.y)[0])
    for i, b in enumerate(case.state):
        a = tape.h[i][0] @ case.params[i][0]["W"].T + case.params[i][0]["b"]
        slope, printed = (((t > 0) * 1.0 if activation == "relu" else f(t + 1e-20j).imag / 1e-20)
                          for t in (a, tape.h[i + 1][0]))
        delta = slope * (b.T @ delta_L)                                            # ASAP (2.5)
        assert_close(grads[i][0]["b"], delta, of=b.T @ delta_L)                    # ASAP (2.5)
        assert b.shape == (len(delta_L), len(delta))
        off = np.abs(printed * (b.T @ delta_L) - delta).max()
        assert off == 0 if activation == "relu" else off > 1e-9 * np.abs(delta).max()


@given(seed=seeds)
def test_under_drtp_no_hidden_block_knows_what_the_network_said(seed):
    """With another a_L the hidden gradients are the same, bit for bit; under DFA they differ."""
    for name, deaf in (("drtp", True), ("dfa", False)):
        case = Case(RULES[name], seed)
        tape = case.tape()
        other = Tape([*tape.h[:-1], 10 * case.rng.standard_normal(tape.output.shape)], tape.caches)
        ours, theirs = (case.rule.credit(case.net, case.params, case.state, t, case.y).grads for t in (tape, other))
        for u, v in zip(ours[:-1], theirs[:-1], strict=True):
            assert np.array_equal(u[0]["W"], v[0]["W"]) == np.array_equal(u[0]["b"], v[0]["b"]) == deaf
        assert not np.array_equal(ours[-1]["W"], theirs[-1]["W"])


@given(seed=seeds)
def test_a_step_of_drtp_moves_hidden_weights_alike_whatever_the_output_layer(seed):
    case, after = Case(RULES["drtp"], seed), []
    for scale in (1.0, -7.0):
        params = tree_map(np.copy, case.params)
        params[-1]["W"] *= scale
        opts = SGD(params, lr=0.1), SGD(case.state, lr=0.1)
        learn.step(case.net, case.rule, params, case.state, *opts, case.x, case.y, case.rng)
        after.append(params)
    for u, v in zip(after[0][:-1], after[1][:-1], strict=True):
        np.testing.assert_array_equal(u[0]["W"], v[0]["W"])


@given(seed=seeds)
def test_what_hidden_blocks_hear_under_drtp_is_minus_the_projected_target(seed):
    case = Case(RULES["drtp"], seed)
    heard = signals(case.net, case.rule, case.params, case.state, case.x, case.y)
    for b, signal in zip(case.state, heard, strict=False):
        assert_close(signal, -case.y @ b / len(case.y), of=b)


@pytest.mark.slow
def test_drtp_learns_digits_at_its_defaults():
    """With relu units, at the data set's own learning rate, the accuracy is only 0.85."""
    assert {"activation", "lr"} <= set(RULES["drtp"].defaults)
    comparison = Comparison(resolve("digits", ["drtp"], (0, 1, 2), threads=1))
    comparison.run()
    assert np.mean([run["test_accuracy"] for run in comparison.results["runs"]]) > 0.93


# How feedback is drawn

@given(seed=seeds, rows=sizes, columns=sizes, rank=st.integers(1, 4))
def test_a_low_rank_draw_has_that_rank(seed, rows, columns, rank):
    B = low_rank(np.random.default_rng(seed), (rows, columns), rank)
    s = np.linalg.svd(B, compute_uv=False)
    k = min(rank, rows, columns)
    assert B.shape == (rows, columns) and (s[k:] < 1e-12 * s[0]).all() and s[k - 1] > 1e-9 * s[0]


@given(seed=seeds, rows=sizes, columns=sizes, fan_out=st.integers(1, 8))
def test_a_sparse_draw_lets_each_unit_hear_so_many_outputs(seed, rows, columns, fan_out):
    B = sparse(np.random.default_rng(seed), (rows, columns), fan_out)
    assert ((B != 0).sum(0) == min(fan_out, rows)).all()


@given(seed=seeds, rows=sizes, columns=sizes)
def test_a_binary_draw_has_one_magnitude(seed, rows, columns):
    B = binary(np.random.default_rng(seed), (rows, columns))
    assert set(np.abs(B).ravel()) == {1 / np.sqrt(columns)}


@pytest.mark.parametrize("draw", [low_rank, sparse, binary])
def test_every_draw_has_the_variance_of_the_gaussian_one(draw):
    B = draw(np.random.default_rng(0), (40, 5000))
    assert B.var() * 5000 == pytest.approx(1, rel=0.1) and abs(B.mean()) * np.sqrt(5000) < 0.1


@given(seed=seeds)
def test_under_shared_feedback_all_blocks_read_one_memory(seed):
    case = Case(RULES["dfa-shared"], seed)
    matrices = case.rule.matrices(case.net, case.state, case.tape())
    assert case.state.shape == (3, 6) and [B.shape for B in matrices] == [(3, 6), (3, 5), (3, 4)]
    assert all(np.shares_memory(B, case.state) and B.base is case.state for B in matrices)
    case.state[:, 0] = 0
    heard = signals(case.net, case.rule, case.params, case.state, case.x, case.y)
    assert all((signal[:, 0] == 0).all() and (signal[:, 1:] != 0).all() for signal in heard[:-1])


# Where the direct path should lead to

@given(seed=seeds)
def test_products_are_the_jacobians_of_a_linear_network(seed):
    """They have the shape (C, F); the paper's product, in the opposite order, does not have this shape."""
    case = linear_case(RULES["dfa"], seed)
    for P, J in zip(products(case.params), jacobians(case), strict=True):
        assert P.shape == J.shape
        assert_close(P, J, of=case.params)                                         # LAS (28)


@given(seed=seeds, eta=st.floats(0.05, 1.0))
def test_adaptive_feedback_goes_straight_to_the_products_and_rests_there(seed, eta):
    case = Case(RULES["adaptive-dfa"], seed)
    P, before = products(case.params), [b.copy() for b in case.state]
    opt = SGD(case.state, lr=eta)
    for _ in range(5):
        opt(case.align())
    for b, p, b0 in zip(case.state, P, before, strict=True):
        assert_close(b - p, (1 - eta)**5 * (b0 - p), of=[b0, p])
    case.state = P
    assert all((g == 0).all() for g in case.align())


@pytest.mark.parametrize("activation, exact", [("identity", True), ("tanh", False)])
@given(seed=seeds)
def test_there_its_signals_are_those_of_bp_in_linear_networks_alone(activation, exact, seed):
    case = Case(RULES["adaptive-dfa"], seed, activation=activation)
    case.state = products(case.params)
    ours, true = (signals(case.net, rule, case.params, case.state, case.x, case.y) for rule in (case.rule, BP()))
    off = [np.abs(u - v).max() / np.abs(v).max() for u, v in zip(ours[:-2], true[:-2], strict=True)]
    assert max(off) < 1e-12 if exact else min(off) > 1e-6                          # LAS (29)


# Direct Kolen-Pollack

@given(seed=seeds)
def test_dkp_teaches_the_last_feedback_matrix_as_the_output_layer(seed):
    case = Case(RULES["dkp"], seed)
    credit = case.rule.credit(case.net, case.params, case.state, case.tape(), case.y)
    np.testing.assert_array_equal(credit.state[-1], credit.grads[-1]["W"])


@given(seed=seeds, forgets=st.floats(1e-3, 0.5))
def test_dkp_obeys_kolen_pollack_on_the_last_hidden_block_and_only_there(seed, forgets):
    case = Case(RULES["dkp"], seed, sizes=(4, 4))

    def apart() -> list[np.ndarray]:
        return [b - P for b, P in zip(case.state, products(case.params), strict=True)]

    before = apart()
    opts = [bind("adamw", tree, 1e-2, forgets / 1e-2) for tree in (case.params, case.state)]
    for _ in range(20):
        learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    below, last = apart()
    assert_close(last, (1 - forgets)**20 * before[1], of=1 / forgets)
    assert np.abs(below - (1 - forgets)**20 * before[0]).max() > 1e-6


# Forward direct feedback

class Whitened(np.random.Generator):
    """Noise for several blocks at once: exactly white within a block, and exactly uncorrelated between blocks."""

    def __init__(self, seed: int, samples: int, widths: int):
        super().__init__(np.random.PCG64(seed))
        q, _ = np.linalg.qr(super().standard_normal((samples, widths)))
        self.left = np.sqrt(samples) * q

    def standard_normal(self, shape):
        noise, self.left = self.left[:, :shape[1]], self.left[:, shape[1]:]
        assert noise.shape == shape
        return noise


@given(seed=seeds)
def test_with_white_noise_forward_direct_feedback_learns_the_jacobian(seed):
    case = linear_case(FDFA(), seed, samples=20)
    grads = case.rule.align(case.net, case.params, case.state, case.tape(), case.y, Whitened(seed, 20, 15))
    for g, b, J in zip(grads, case.state, jacobians(case), strict=True):
        assert_close(g, b - J, of=1, slack=2.0**18)


@given(seed=seeds)
def test_noise_that_is_correlated_between_blocks_confounds_them(seed):
    """The same noise goes to every block, so each B[i] receives the paths of all other blocks, too."""
    class Same(np.random.Generator):
        def standard_normal(self, shape):
            return Whitened(seed, 20, 4).standard_normal(shape)

    case = linear_case(FDFA(), seed, sizes=(4, 4), samples=20)
    grads = case.rule.align(case.net, case.params, case.state, case.tape(), case.y, Same(np.random.PCG64(0)))
    J = jacobians(case)
    for g, b in zip(grads, case.state, strict=True):
        assert_close(g, b - sum(J), of=(b, *J), slack=2.0**20)


def with_noise(net, params, x, noise) -> np.ndarray:
    """da_L/dt at t = 0, if noise[i] t is added to the output of hidden block i: by complex step, layer by layer."""
    h = x.astype(complex)
    for i, (block, p) in enumerate(zip(net, params, strict=True)):
        layers, p = (block.layers, p) if isinstance(block, Sequential) else ((block,), (p,))
        for layer, q in zip(layers, p, strict=True):
            match layer:
                case Flatten():
                    h = h.reshape(len(h), -1)
                case Dense():
                    h = h @ q["W"].T + q["b"]
                case BatchNorm():
                    centred = h - h.mean(0)
                    h = centred / np.sqrt((centred**2).mean(0) + layer.eps) * q["gamma"] + q["beta"]
                case Activation("tanh"):
                    h = np.tanh(h)
                case Activation("relu"):
                    h = h * (h.real > 0)
        if i < len(net) - 1:
            h = h + 1e-20j * noise[i]
    return h.imag / 1e-20


def follows(rule: FDFA, model: str, activation: str, dtype: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What one batch draws B to from 0, and what it would draw B to with the derivative itself, in float64."""
    net, rng = models.build(model, (16,), 10, activation), np.random.default_rng(seed)
    params, _ = network.init(net, rng, (16,), dtype)
    for path, array in leaves(params):
        if path.rpartition("/")[2] in ("beta", "b", "mean", "var"):
            array += rng.uniform(0.1, 0.9, array.shape)
    x, y = rng.standard_normal((24, 16)).astype(dtype), np.eye(10, dtype=dtype)[rng.integers(10, size=24)]
    tape = network.forward(net, params, x)
    B = [np.zeros((10, h.shape[1]), dtype) for h in tape.h[1:-1]]
    found = rule.align(net, params, B, tape, y, np.random.default_rng(seed))
    again = np.random.default_rng(seed)
    noise = [again.standard_normal(h.shape).astype(dtype) for h in tape.h[1:-1]]
    d = with_noise(net, tree_map(lambda w: w.astype("float64"), params), x.astype("float64"), noise)
    drawn, exact = (np.concatenate([g.astype("float64").ravel() for g in tree]) for tree in (
        found, [-d.T @ u / len(x) for u in noise]))
    return drawn, exact


@pytest.mark.parametrize("model", ["mlp:9,8,7", "mlp-bn:9,8,7"])
@given(seed=seeds)
def test_forward_direct_feedback_follows_the_derivative_of_the_training_pass(model, seed):
    """Batch-norm uses the statistics of the batch, as a_L does; the running statistics are far from them."""
    found, exact = follows(FDFA(epsilon=1e-6), model, "tanh", "float64", seed)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-3 * np.linalg.norm(exact))


def error(epsilon: float, activation: str) -> float:
    """The relative error, in float32, of what B is drawn to: the root mean square over seeds."""
    pairs = [follows(FDFA(epsilon=epsilon), "mlp:64,64,64", activation, "float32", seed) for seed in range(12)]
    return float(np.sqrt(np.mean([np.sum((u - v)**2) / np.sum(v**2) for u, v in pairs])))


@pytest.mark.parametrize("activation, most", [("tanh", 2e-3), ("relu", 1.5e-2)])
def test_the_step_of_forward_direct_feedback_is_small_and_not_too_small_for_float32(activation, most):
    """Rounding costs about eps / epsilon, curvature and kinks about epsilon; a factor of 100 either way is worse."""
    default = FDFA().epsilon
    found = error(default, activation)
    assert found < most
    assert error(100 * default, activation) > 4 * found and error(default / 100, activation) > 4 * found
