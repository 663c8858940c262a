"""The exercises of the notebook on the field around."""
from __future__ import annotations

import numpy as np

from .. import models, network
from ..backend import Array
from ..kernels import linear
from ..kernels.activation import tanh
from ..network import Network
from ..rules import BP, SoftHebb, get
from ..rules.predictive_coding import errors
from ..tree import Tree, leaves
from .base import Exercise, Given, Mistake

N, F = 6, 4


def _chain(W: list[Array], loss: str = "squared") -> tuple[Network, Tree]:
    """A linear network with these weights, and without biases."""
    net = models.mlp((W[0].shape[1],), len(W[-1]), tuple(len(w) for w in W[:-1]), "identity", loss)
    params, _ = network.init(net, np.random.default_rng(0), (W[0].shape[1],), "float64")
    for new, (_, old) in zip(W, (leaf for leaf in leaves(params) if leaf[0].endswith("W")), strict=True):
        old[...] = new
    return net, params


def _unit(seed: int) -> Given:
    return {"h": 0.9 + 0.1 * seed, "w_1": 0.5, "w_2": 1.5, "target": 2.0, "beta": 0.7}


def _slope(h: float, w_1: float, w_2: float, target: float, beta: float) -> float:
    net, params = _chain([np.array([[w_1]]), np.array([[w_2]])])
    x = [np.ones((1, 1)), np.array([[h]])]
    own = network.apart(net, params, x)
    s = errors(net, own, x, np.array([[target]]), beta)
    down, _ = network.local(net, params, own, s)
    return float((down[1] - s[0])[0, 0])


def _throws(seed: int) -> Given:
    return {"gamma": 0.3 + 0.1 * seed, "T": 6, "k": 2}


def _share(gamma: float, T: int, k: int) -> float:
    rng = np.random.default_rng(0)
    net = models.mlp((F,), 3, (F,) * k, "tanh")
    params, _ = network.init(net, rng, (F,), "float64")
    tape, y = network.forward(net, params, rng.standard_normal((N, F))), np.eye(3)[rng.integers(3, size=N)]
    found, exact = (np.concatenate([g.ravel() for _, g in leaves(rule.credit(net, params, None, tape, y).grads[0])])
                    for rule in (get(f"pc-fixed:steps={T}:gamma={gamma}"), BP()))
    return float(found @ exact / (exact @ exact))


def _dyad(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"a": rng.standard_normal(5), "d": 2 + rng.standard_normal(5) / 4}


def _chord(a: Array, d: Array) -> Array:
    found: Array = tanh(a + d / 2) - tanh(a - d / 2)
    return found


def _phases(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"plus": [rng.standard_normal((N, F)) for _ in range(2)],
            "minus": [rng.standard_normal((N, F)) for _ in range(2)], "beta": 0.2}


def _contrast(plus: list[Array], minus: list[Array], beta: float) -> Array:
    found: Array = (linear.outer(minus[1], minus[0]) - linear.outer(plus[1], plus[0])) / (2 * beta * N)
    return found


def _input_error(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"W": [rng.standard_normal((F, F)) for _ in range(3)], "F": rng.standard_normal((F, F))}


def _as_feedback(W: list[Array], F: Array) -> list[Array]:
    net, params = _chain(W)
    x, e = np.zeros(F.shape), np.eye(len(F))  # an error of 1 in each output in turn
    first, second = (network.forward(net, params, inputs).h[1:-1] for inputs in (x, x + e @ F))
    return [u - v for u, v in zip(first, second, strict=True)]


def _competition(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"W": rng.standard_normal((3, F)), "x": rng.standard_normal((N, F)), "tau": 0.5}


def _won(W: Array, x: Array, tau: float) -> Array:
    net, params = _chain([W, np.ones((2, 3))])
    tape, y = network.forward(net, params, x), np.eye(2)[np.arange(N) % 2]
    grads = SoftHebb(tau).credit(net, params, None, tape, y).grads
    found: Array = next(g for path, g in leaves(grads[0]) if path.endswith("W"))
    return -found


EXERCISES = (
    Exercise(
        "field:F",
        "Write dF/dh of the energy F = (h - w_1)^2 / 2 + beta (target - w_2 h)^2 / 2 of one hidden unit with the "
        "activity h, under predictive coding; the input is 1.",
        """
        def answer(h, w_1, w_2, target, beta):
            return (h - w_1) - beta * w_2 * (target - w_2 * h)
        """,
        _unit, _slope,
        wrong=(
            Mistake("sign", "def answer(h, w_1, w_2, target, beta): return (h - w_1) + beta * w_2 * (target - w_2 * h)",
                    "The sign of the second term is wrong: h stands there with -w_2."),
            Mistake("forgotten w_2",
                    "def answer(h, w_1, w_2, target, beta): return (h - w_1) - beta * (target - w_2 * h)",
                    "The inner derivative w_2 is missing: the error comes down through the weight."),
            Mistake("forgotten beta",
                    "def answer(h, w_1, w_2, target, beta): return (h - w_1) - w_2 * (target - w_2 * h)",
                    "The nudge beta is missing."),
        ),
        hints=("F is a sum of two squares. The first one gives h - w_1, the unit's own error.",
               "The second one gives the output's error, times beta, times the inner derivative -w_2."),
        what="derivative",
    ),
    Exercise(
        "field:PC2",
        "By Theorem PC2, what share of the gradient of backpropagation has a block with k blocks above it after T "
        "steps of the size gamma, if predictions stay fixed? It is a probability of coins.",
        """
        def answer(gamma, T, k):
            from math import comb
            return sum(comb(T, n) * gamma**n * (1 - gamma)**(T - n) for n in range(k, T + 1))
        """,
        _throws, _share,
        wrong=(
            Mistake("just k",
                    "def answer(gamma, T, k):\n"
                    "    from math import comb\n"
                    "    return comb(T, k) * gamma**k * (1 - gamma)**(T - k)",
                    "This is the probability of just k heads. It takes k at least."),
            Mistake("more than k",
                    "def answer(gamma, T, k):\n"
                    "    from math import comb\n"
                    "    return sum(comb(T, n) * gamma**n * (1 - gamma)**(T - n) for n in range(k + 1, T + 1))",
                    "You count more than k heads. With k heads the error has arrived."),
            Mistake("at most k",
                    "def answer(gamma, T, k):\n"
                    "    from math import comb\n"
                    "    return sum(comb(T, n) * gamma**n * (1 - gamma)**(T - n) for n in range(k + 1))",
                    "This is the probability of at most k heads. Each head moves the error one block down."),
            Mistake("no orders",
                    "def answer(gamma, T, k):\n"
                    "    return sum(gamma**n * (1 - gamma)**(T - n) for n in range(k, T + 1))",
                    "The number of orders in which n heads can fall, comb(T, n), is missing."),
        ),
        hints=("At each step the error moves down one block with the weight gamma, and stays with 1 - gamma.",
               "Add up the binomial probabilities of k, k + 1, ..., T heads in T throws."),
        what="share",
    ),
    Exercise(
        "field:DP",
        "Write what a unit with f = tanh and the input a passes on under dual propagation: the difference of its two "
        "states, f at a + d/2 and at a - d/2.",
        """
        def answer(a, d):
            return np.tanh(a + d / 2) - np.tanh(a - d / 2)
        """,
        _dyad, _chord,
        wrong=(
            Mistake("tangent", "def answer(a, d): return d * (1 - np.tanh(a)**2)",
                    "This is the tangent, f'(a) d, which backpropagation uses. Dual propagation has the chord."),
            Mistake("whole d", "def answer(a, d): return np.tanh(a + d) - np.tanh(a - d)",
                    "The states are d apart, so each is half of d away from a."),
            Mistake("one side", "def answer(a, d): return np.tanh(a + d) - np.tanh(a)",
                    "Your chord starts at a itself. Its middle is at a, which makes the error quadratic."),
        ),
        hints=("No derivative is needed: evaluate f twice.",),
        what="difference",
    ),
    Exercise(
        "field:EP2",
        "Write the gradient that equilibrium propagation gives to a weight matrix: from the lists of the states below"
        " and above it, (N, F) each, settled with the nudge +beta (plus) and -beta (minus).",
        """
        def answer(plus, minus, beta):
            return (minus[1].T @ minus[0] - plus[1].T @ plus[0]) / (2 * beta * len(plus[0]))
        """,
        _phases, _contrast,
        wrong=(
            Mistake("sign",
                    "def answer(plus, minus, beta):\n"
                    "    return (plus[1].T @ plus[0] - minus[1].T @ minus[0]) / (2 * beta * len(plus[0]))",
                    "This is the direction in which the weights move. The gradient points the other way."),
            Mistake("missing 2",
                    "def answer(plus, minus, beta):\n"
                    "    return (minus[1].T @ minus[0] - plus[1].T @ plus[0]) / (beta * len(plus[0]))",
                    "The two nudges are 2 beta apart."),
            Mistake("missing 1/N",
                    "def answer(plus, minus, beta):\n"
                    "    return (minus[1].T @ minus[0] - plus[1].T @ plus[0]) / (2 * beta)",
                    "The mean over the batch is missing: divide by N."),
            Mistake("difference first",
                    "def answer(plus, minus, beta):\n"
                    "    return (minus[1] - plus[1]).T @ minus[0] / (2 * beta * len(plus[0]))",
                    "You took the difference of the states above alone. It is the difference of two products."),
        ),
        hints=("Each phase gives a product of the states on both sides of the weights, above.T @ below.",
               "Towards the target the product shall grow, so the gradient is minus this difference over 2 beta."),
        what="gradient",
    ),
    Exercise(
        "field:PE1",
        "By Theorem PE1 PEPITA is direct feedback alignment in a linear network. Write its matrices B_i, (C, F) for "
        "each hidden block, from the list W of all weights and from F (C, n_0), which carries the error to the input.",
        """
        def answer(W, F):
            found, below = [], np.eye(W[0].shape[1])
            for w in W[:-1]:
                below = w @ below
                found.append(-F @ below.T)
            return found
        """,
        _input_error, _as_feedback,
        wrong=(
            Mistake("sign",
                    "def answer(W, F):\n"
                    "    found, below = [], np.eye(W[0].shape[1])\n"
                    "    for w in W[:-1]:\n"
                    "        below = w @ below\n"
                    "        found.append(F @ below.T)\n"
                    "    return found",
                    "The sign is wrong: a block hears the first pass minus the second one."),
            Mistake("transposed product",
                    "def answer(W, F):\n"
                    "    found, below = [], np.eye(W[0].shape[1])\n"
                    "    for w in W[:-1]:\n"
                    "        below = w @ below\n"
                    "        found.append(-F @ below)\n"
                    "    return found",
                    "The product of the weights below is transposed once too often: B_i = -F (W_i ... W_1)^T."),
            Mistake("weights above",
                    "def answer(W, F):\n"
                    "    found = []\n"
                    "    for i in range(1, len(W)):\n"
                    "        above = W[i]\n"
                    "        for w in W[i + 1:]:\n"
                    "            above = w @ above\n"
                    "        found.append(above)\n"
                    "    return found",
                    "These are the weights above, as backpropagation has them. PEPITA's error comes from below."),
        ),
        hints=("An error e moves the input by e @ F, and block i by e @ F @ (W_i ... W_1).T.",
               "The block hears the first pass minus the second one, which gives the sign."),
        what="matrix", part="block",
    ),
    Exercise(
        "field:SH1",
        "Write SoftHebb's update of W (units, F): the mean over the samples of r_k (x - u_k w_k), with u = x @ W.T "
        "and with r = softmax(u / tau) over the units.",
        """
        def answer(W, x, tau):
            u = x @ W.T
            r = np.exp(u / tau)
            r /= r.sum(1, keepdims=True)
            return (r.T @ x - (r * u).sum(0)[:, None] * W) / len(x)
        """,
        _competition, _won,
        wrong=(
            Mistake("nothing forgotten",
                    "def answer(W, x, tau):\n"
                    "    r = np.exp(x @ W.T / tau)\n"
                    "    r /= r.sum(1, keepdims=True)\n"
                    "    return r.T @ x / len(x)",
                    "The term - r_k u_k w_k is missing. Without it the weights grow for ever."),
            Mistake("no temperature",
                    "def answer(W, x, tau):\n"
                    "    u = x @ W.T\n"
                    "    r = np.exp(u)\n"
                    "    r /= r.sum(1, keepdims=True)\n"
                    "    return (r.T @ x - (r * u).sum(0)[:, None] * W) / len(x)",
                    "The temperature tau is missing in the softmax."),
            Mistake("no competition",
                    "def answer(W, x, tau):\n"
                    "    u = x @ W.T\n"
                    "    return (u.T @ x - (u * u).sum(0)[:, None] * W) / len(x)",
                    "This is Oja's rule for each unit alone: u stands in the place of r, and no unit competes."),
            Mistake("softmax over samples",
                    "def answer(W, x, tau):\n"
                    "    u = x @ W.T\n"
                    "    r = np.exp(u / tau)\n"
                    "    r /= r.sum(0)\n"
                    "    return (r.T @ x - (r * u).sum(0)[:, None] * W) / len(x)",
                    "Your softmax adds up over the samples. The units compete for each sample: it is over the units."),
        ),
        hints=("r has the shape (N, units). The first term is r.T @ x over N.",
               "The second term takes from each row of W the mean of r_k u_k times this row."),
        what="update",
    ),
)
