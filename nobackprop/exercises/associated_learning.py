"""The exercises of the notebook on associated learning."""
from __future__ import annotations

import numpy as np

from .. import models, network
from ..backend import Array
from ..kernels import linear
from ..kernels.activation import d_sigmoid, elu, sigmoid
from ..metrics import size
from ..rules import AssociatedLearning
from ..studies.pipeline import makespan
from .base import Exercise, Given, Mistake

N, F = 6, 4


def _bridge(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"W": rng.standard_normal((F, F)), "s": rng.standard_normal((N, F)),
            "t": sigmoid(rng.standard_normal((N, F)))}


def _units(seed: int) -> Given:
    return {"x": 8, "hidden": [6 + seed, 4, 9, 4, 6 + seed], "classes": 3}


def _costs(seed: int) -> Given:
    return {"n": 20 + seed, "costs": [2, 5, 3]}


def _network(seed: int) -> Given:
    rng = np.random.default_rng(seed)

    def weights() -> list[Array]:
        return [rng.standard_normal((F, F)) for _ in range(2)]

    return {"f": weights(), "b": rng.standard_normal((F, F)), "h": weights(), "x": rng.standard_normal((N, F))}


def _gradient(W: Array, s: Array, t: Array) -> Array:
    out = sigmoid(linear.forward(W, s))
    return linear.outer(AssociatedLearning().d_distance(out, t) * d_sigmoid(out), s)


def _through_the_code(W: Array, s: Array, t: Array) -> Array:
    return -AssociatedLearning().d_distance(sigmoid(linear.forward(W, s)), t)


def _effective(x: int, hidden: list[int], classes: int) -> int:
    net = models.mlp((x,), classes, tuple(hidden))
    return size(network.init(net, np.random.default_rng(0), (x,))[0])


def _predicted(f: list[Array], b: Array, h: list[Array], x: Array) -> Array:
    for W in f:
        x = elu(linear.forward(W, x))
    for W in (b, *h[::-1]):
        x = sigmoid(linear.forward(W, x))
    return x


EXERCISES = (
    Exercise(
        "al:4.3",
        "Write the gradient of the associated loss (4.3), the mean over units and samples of (b(s) - t)^2, with "
        "respect to the weights W (F, F) of a bridge b of one layer: b(s) = sigmoid(s @ W.T).",
        """
        def answer(W, s, t):
            out = 1 / (1 + np.exp(-s @ W.T))
            return (2 * (out - t) / t.size * out * (1 - out)).T @ s
        """,
        _bridge, _gradient,
        wrong=(
            Mistake("missing 2",
                    "def answer(W, s, t):\n"
                    "    out = 1 / (1 + np.exp(-s @ W.T))\n"
                    "    return ((out - t) / t.size * out * (1 - out)).T @ s",
                    "The 2 of the square is missing: (4.3) has no factor 1/2."),
            Mistake("sum over units",
                    "def answer(W, s, t):\n"
                    "    out = 1 / (1 + np.exp(-s @ W.T))\n"
                    "    return (2 * (out - t) / len(t) * out * (1 - out)).T @ s",
                    "You have taken the mean over samples alone, as al:error=sum does. Here it is over units as well."),
            Mistake("forgotten sigmoid",
                    "def answer(W, s, t):\n"
                    "    out = 1 / (1 + np.exp(-s @ W.T))\n"
                    "    return (2 * (out - t) / t.size).T @ s",
                    "The derivative of the sigmoid, b (1 - b), is missing."),
            Mistake("transposed W",
                    "def answer(W, s, t):\n"
                    "    out = 1 / (1 + np.exp(-s @ W))\n"
                    "    return (2 * (out - t) / t.size * out * (1 - out)).T @ s",
                    "The bridge is sigmoid(s @ W.T): W has a row for each unit of the code."),
        ),
        hints=("The error at the bridge's output is 2 (b - t) over the number of all entries of t.",
               "Then multiply by the derivative of the sigmoid, b (1 - b), and take (...).T @ s."),
        what="gradient",
    ),
    Exercise(
        "al:4.7",
        "As (4.7) is printed, the associated loss also reaches the encoder g, through the code t. Write what it would"
        " send there: the derivative of (4.3) with respect to t, which the stop-gradient takes away.",
        """
        def answer(W, s, t):
            out = 1 / (1 + np.exp(-s @ W.T))
            return -2 * (out - t) / t.size
        """,
        _bridge, _through_the_code,
        wrong=(
            Mistake("sign",
                    "def answer(W, s, t):\n"
                    "    out = 1 / (1 + np.exp(-s @ W.T))\n"
                    "    return 2 * (out - t) / t.size",
                    "This is the derivative with respect to b(s). In (b - t)^2 the code t has the other sign."),
            Mistake("missing 2",
                    "def answer(W, s, t):\n"
                    "    out = 1 / (1 + np.exp(-s @ W.T))\n"
                    "    return -(out - t) / t.size",
                    "The 2 of the square is missing."),
            Mistake("sum over units",
                    "def answer(W, s, t):\n"
                    "    out = 1 / (1 + np.exp(-s @ W.T))\n"
                    "    return -2 * (out - t) / len(t)",
                    "You have taken the mean over samples alone. It is over units as well."),
            Mistake("sigmoid of the bridge",
                    "def answer(W, s, t):\n"
                    "    out = 1 / (1 + np.exp(-s @ W.T))\n"
                    "    return -2 * (out - t) / t.size * out * (1 - out)",
                    "The bridge's sigmoid does not lie between the loss and t: no derivative of it belongs here."),
        ),
        hints=("Hold b(s) constant, and derive the mean of (b - t)^2 with respect to each entry of t.",),
        what="derivative",
    ),
    Exercise(
        "al:effective",
        "Count the effective parameters (section 4.5) of a folded network, with biases: those that prediction needs. "
        "x is the number of inputs, hidden a list of the units of all hidden layers.",
        """
        def answer(x, hidden, classes):
            units = [x, *hidden, classes]
            return sum(above * below + above for below, above in zip(units, units[1:]))
        """,
        _units, _effective,
        wrong=(
            Mistake("without biases",
                    "def answer(x, hidden, classes):\n"
                    "    units = [x, *hidden, classes]\n"
                    "    return sum(above * below for below, above in zip(units, units[1:]))",
                    "The biases are missing: one for each unit but the inputs."),
            Mistake("way up alone",
                    "def answer(x, hidden, classes):\n"
                    "    units = [x, *hidden[:len(hidden) // 2 + 1]]\n"
                    "    return sum(above * below + above for below, above in zip(units, units[1:]))",
                    "You have counted the way up alone. Prediction also needs the last bridge and all decoders."),
            Mistake("encoders as well",
                    "def answer(x, hidden, classes):\n"
                    "    units, codes = [x, *hidden, classes], [classes, *hidden[::-1][:len(hidden) // 2]]\n"
                    "    return (sum(above * below + above for below, above in zip(units, units[1:]))\n"
                    "            + sum(above * below + above for below, above in zip(codes, codes[1:])))",
                    "You have counted the encoders g as well. They are affiliated: prediction does without them."),
        ),
        hints=("Unfold the network: prediction (4.8) is its own forward pass, from x to the output.",
               "A dense layer from a to b units has a b weights and b biases."),
        what="number",
    ),
    Exercise(
        "al:pipeline",
        "Each component has a worker, and takes costs[i] units of time for a mini-batch. Write how long n mini-"
        "batches take. (With equal costs of 1 it is the n + c - 1 of Table 1.)",
        """
        def answer(n, costs):
            return sum(costs) + (n - 1) * max(costs)
        """,
        _costs, makespan,
        wrong=(
            Mistake("in turn", "def answer(n, costs): return n * sum(costs)",
                    "This is one mini-batch after the other, which is what one worker alone takes."),
            Mistake("equal costs", "def answer(n, costs): return n + len(costs) - 1",
                    "This is n + c - 1, which holds if each component takes one unit of time."),
            Mistake("no filling", "def answer(n, costs): return n * max(costs)",
                    "The slowest component sets the pace. But the line has to fill first."),
            Mistake("one too many", "def answer(n, costs): return sum(costs) + n * max(costs)",
                    "You count the slowest component's first step twice."),
        ),
        hints=("The first mini-batch goes through all components, one after the other.",
               "From then on one mini-batch leaves the line each time the slowest component has done a step."),
        what="time",
    ),
    Exercise(
        "al:4.8",
        "Write the prediction (4.8) of a network of two components without biases, from lists of the weights of f_1, "
        "f_2 and of h_1, h_2, from those of the bridge b_2, and from x. f has ELU, the others have sigmoids.",
        """
        def answer(f, b, h, x):
            for W in f:
                a = x @ W.T
                x = np.where(a > 0, a, np.exp(a) - 1)
            for W in (b, h[1], h[0]):
                x = 1 / (1 + np.exp(-x @ W.T))
            return x
        """,
        _network, _predicted,
        wrong=(
            Mistake("decoders in the wrong order",
                    "def answer(f, b, h, x):\n"
                    "    for W in f:\n"
                    "        a = x @ W.T\n"
                    "        x = np.where(a > 0, a, np.exp(a) - 1)\n"
                    "    for W in (b, h[0], h[1]):\n"
                    "        x = 1 / (1 + np.exp(-x @ W.T))\n"
                    "    return x",
                    "The decoders are in the wrong order: h_2 comes first on the way down, h_1 is the output layer."),
            Mistake("no bridge",
                    "def answer(f, b, h, x):\n"
                    "    for W in f:\n"
                    "        a = x @ W.T\n"
                    "        x = np.where(a > 0, a, np.exp(a) - 1)\n"
                    "    for W in (h[1], h[0]):\n"
                    "        x = 1 / (1 + np.exp(-x @ W.T))\n"
                    "    return x",
                    "The last bridge b_c is missing. It leads from s_c to the code's side."),
            Mistake("sigmoid for ELU",
                    "def answer(f, b, h, x):\n"
                    "    for W in (*f, b, h[1], h[0]):\n"
                    "        x = 1 / (1 + np.exp(-x @ W.T))\n"
                    "    return x",
                    "The associated functions f have ELU, not a sigmoid."),
        ),
        hints=("(4.8) reads from right to left: first f_1, then f_2, the bridge b_2, h_2, and h_1.",
               "ELU is a for a > 0 and exp(a) - 1 below."),
        what="prediction",
    ),
)
