"""The exercises of the notebook on the engine: one walk down a network, and what rules substitute in it."""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import models, network
from ..kernels.loss import d_cross_entropy
from ..layers import Activation, Dense
from ..rules import DFA, FA, FoA
from .base import Exercise, Given, Mistake

SIZES, OUTPUTS = (4, 4), 4  # all alike, so that a transposed matrix fits as well


def _net() -> network.Network:
    return models.build(f"mlp:{SIZES[0]},{SIZES[1]}", (4,), OUTPUTS, "tanh")


def _batch(seed: int) -> Given:
    """A batch, with all that the walk down needs, by the names of the notebook."""
    rng = np.random.default_rng(seed)
    params, _ = network.init(_net(), rng, (4,), "float64")
    x, labels = rng.standard_normal((6, 4)), rng.integers(OUTPUTS, size=6)
    tape = network.forward(_net(), params, x)
    W1, W2, W3 = params[0][0]["W"], params[1][0]["W"], params[2]["W"]
    B1, B2 = rng.standard_normal((2, OUTPUTS, 4))
    y = np.eye(OUTPUTS)[labels]
    return {"params": params, "tape": tape, "a": tape.output, "y": y, "e": d_cross_entropy(tape.output, y),
            "W1": W1, "W2": W2, "W3": W3, "B1": B1, "B2": B2, "h1": tape.h[1], "h2": tape.h[2], "x": x,
            "delta": rng.standard_normal((6, 4)), "C1": rng.standard_normal(W1.shape)}


def _hidden(delta: np.ndarray, W2: np.ndarray, h1: np.ndarray) -> np.ndarray:
    """delta of the first layer, as the two layers of the library make it."""
    down, _ = Dense(len(W2)).backward({"W": W2}, h1, delta)
    assert down is not None  # somebody below listens
    return np.asarray(Activation("tanh").backward(None, h1, down)[0])


def _fa(params: Any, x: np.ndarray, y: np.ndarray, B1: np.ndarray, B2: np.ndarray) -> list[np.ndarray]:
    """The gradient of a bias is delta, summed over the samples; so each sample is asked alone, as one of N."""
    B = [[{"W": B1}, None], [{"W": B1}, None], {"W": B2}]
    grads = [FA().credit(_net(), params, B, network.forward(_net(), params, x[n:n + 1]), y[n:n + 1]).grads
             for n in range(len(x))]
    return [np.array([of_one[i][0]["b"] for of_one in grads]) / len(x) for i in range(2)]


def _dfa(params: Any, tape: network.Tape, y: np.ndarray, B1: np.ndarray, B2: np.ndarray) -> list[np.ndarray]:
    """The gradients of the weights of the first two layers under DFA."""
    grads = DFA().credit(_net(), params, [B1, B2], tape, y).grads
    return [np.asarray(grads[i][0]["W"]) for i in range(2)]


def _foa(params: Any, tape: network.Tape, y: np.ndarray, C1: np.ndarray) -> np.ndarray:
    """The gradient of the second layer's weights under forward alignment; the biases are 0."""
    C = [[{"W": C1}, None], [{"W": C1}, None], {"W": C1}]
    return np.asarray(FoA().credit(_net(), params, C, tape, y).grads[1][0]["W"])


EXERCISES = (
    Exercise(
        "engine:error",
        "Write the error e (N, C) of cross-entropy with softmax, LAS (5), as the library has it: of the mean over the "
        "batch.",
        """
        def answer(a, y):
            p = np.exp(a - a.max(1, keepdims=True))
            p = p / p.sum(1, keepdims=True)
            return (p - y) / len(y)
        """,
        _batch, d_cross_entropy,
        wrong=(
            Mistake("no softmax", "def answer(a, y): return (a - y) / len(y)",
                    "The outputs a must become probabilities first: where is the softmax?"),
            Mistake("no 1/N", """
                    def answer(a, y):
                        p = np.exp(a)
                        return p / p.sum(1, keepdims=True) - y
                    """, "The loss is the mean over the N samples of the batch, so e has a factor 1/N."),
            Mistake("printed sign", """
                    def answer(a, y):
                        p = np.exp(a)
                        return (y - p / p.sum(1, keepdims=True)) / len(y)
                    """, "You have y* - y, the sign of (22) as printed. The derivative is y - y*, as in (5)."),
            Mistake("softmax over samples", """
                    def answer(a, y):
                        p = np.exp(a)
                        return (p / p.sum(0) - y) / len(y)
                    """, "Your softmax adds up over the samples. The probabilities of one sample, a row, add up to 1."),
            Mistake("factor 2", """
                    def answer(a, y):
                        p = np.exp(a)
                        return 2 * (p / p.sum(1, keepdims=True) - y) / len(y)
                    """, "Cross-entropy gives no factor 2; that would be the squared error without its 1/2."),
        ),
        hints=("e is what the network says minus what it should say, divided by N.",
               "softmax(a) is np.exp(a) / np.exp(a).sum(1, keepdims=True): each row adds up to 1."),
        what="error",
    ),
    Exercise(
        "engine:hidden",
        "Write LAS (7) for one hidden layer with tanh: from delta (N, F) of the layer above, its W2 and the activity "
        "h1 the delta of the hidden layer.",
        """
        def answer(delta, W2, h1):
            return (delta @ W2) * (1 - h1**2)
        """,
        _batch, _hidden,
        wrong=(
            Mistake("no f'", "def answer(delta, W2, h1): return delta @ W2",
                    "f' is missing: delta is the derivative at a, before the activation."),
            Mistake("transposed W", "def answer(delta, W2, h1): return (delta @ W2.T) * (1 - h1**2)",
                    "W is transposed once too often: for rows of samples, W^T delta of (7) is delta @ W."),
            Mistake("h for f'", "def answer(delta, W2, h1): return (delta @ W2) * h1",
                    "You have h in the place of f'. The derivative of tanh is 1 - h²."),
            Mistake("f' of h", "def answer(delta, W2, h1): return (delta @ W2) * (1 - np.tanh(h1)**2)",
                    "You have taken the tanh twice: h1 is tanh(a) already, and the derivative is 1 - h1²."),
        ),
        hints=("Two steps: down through the weights, then times the derivative of the activation.",
               "The derivative of tanh at a is 1 - h² with h = tanh(a)."),
        what="delta",
    ),
    Exercise(
        "engine:fa",
        "Write LAS (11)-(12), feedback alignment, for two hidden layers with tanh: the list of delta_1 and delta_2, "
        "from e, through B2 and then B1.",
        """
        def answer(e, B1, B2, h1, h2):
            delta_2 = (e @ B2) * (1 - h2**2)
            delta_1 = (delta_2 @ B1) * (1 - h1**2)
            return [delta_1, delta_2]
        """,
        _batch, _fa,
        wrong=(
            Mistake("B exchanged", """
                    def answer(e, B1, B2, h1, h2):
                        delta_2 = (e @ B1) * (1 - h2**2)
                        return [(delta_2 @ B2) * (1 - h1**2), delta_2]
                    """, "You have exchanged the matrices: B2 stands for the last weights, so it comes first."),
            Mistake("direct", """
                    def answer(e, B1, B2, h1, h2):
                        return [(e @ B1) * (1 - h1**2), (e @ B2) * (1 - h2**2)]
                    """, "Your first layer hears e itself: that is (16). Here delta_1 is made of delta_2."),
            Mistake("no f' on the way", """
                    def answer(e, B1, B2, h1, h2):
                        return [(e @ B2 @ B1) * (1 - h1**2), (e @ B2) * (1 - h2**2)]
                    """, "What goes down to the first layer is delta_2, in which f' of the second layer is a factor."),
            Mistake("transposed B", """
                    def answer(e, B1, B2, h1, h2):
                        delta_2 = (e @ B2.T) * (1 - h2**2)
                        return [(delta_2 @ B1.T) * (1 - h1**2), delta_2]
                    """, "B is transposed: in this library every B has the shape of the W that it stands for."),
        ),
        hints=("It is (7) with B in the place of W, once for each hidden layer, from the top.",
               "delta_2 = (e @ B2) * (1 - h2**2); and delta_1 is made of delta_2 in the same way."),
        what="delta", part="hidden layer",
    ),
    Exercise(
        "engine:dfa",
        "Write LAS (16)-(17), direct feedback alignment, for two hidden layers with tanh: the list of the gradients of "
        "W1 and W2, from e and the feedback matrices B1 and B2.",
        """
        def answer(e, B1, B2, x, h1, h2):
            delta_1 = (e @ B1) * (1 - h1**2)
            delta_2 = (e @ B2) * (1 - h2**2)
            return [delta_1.T @ x, delta_2.T @ h1]
        """,
        _batch, _dfa,
        wrong=(
            Mistake("no f'", "def answer(e, B1, B2, x, h1, h2): return [(e @ B1).T @ x, (e @ B2).T @ h1]",
                    "f' is missing: the signal that comes directly is multiplied by it, too."),
            Mistake("transposed B", """
                    def answer(e, B1, B2, x, h1, h2):
                        return [((e @ B1.T) * (1 - h1**2)).T @ x, ((e @ B2.T) * (1 - h2**2)).T @ h1]
                    """, "B is transposed: here it is (C, F), the transpose of the paper's."),
            Mistake("printed sign", """
                    def answer(e, B1, B2, x, h1, h2):
                        return [-((e @ B1) * (1 - h1**2)).T @ x, -((e @ B2) * (1 - h2**2)).T @ h1]
                    """, "You have the minus of (17). A rule returns gradients; the optimiser takes the step -eta."),
            Mistake("own activity", """
                    def answer(e, B1, B2, x, h1, h2):
                        return [((e @ B1) * (1 - h1**2)).T @ h1, ((e @ B2) * (1 - h2**2)).T @ h2]
                    """, "You have paired each delta with the layer's own output; a weight gets its input."),
        ),
        hints=("First each layer's delta, from e through its own B; then outer with the layer's input.",
               "The input of the first layer is x, and that of the second is h1."),
        what="gradient", part="layer",
    ),
    Exercise(
        "engine:foa",
        "Write ASAP (3.8)-(3.10), forward alignment: the gradient of W2 with the activity that C1 in the place of W1 "
        "makes of x (no biases), and the errors of backpropagation.",
        """
        def answer(e, W3, C1, x, h2):
            tilde = np.tanh(x @ C1.T)
            delta_2 = (e @ W3) * (1 - h2**2)
            return delta_2.T @ tilde
        """,
        _batch, _foa,
        wrong=(
            Mistake("no activation", """
                    def answer(e, W3, C1, x, h2):
                        return ((e @ W3) * (1 - h2**2)).T @ (x @ C1.T)
                    """, "The activity of C1 goes through tanh, too. (The printed (3.8) is of a linear network.)"),
            Mistake("transposed C", """
                    def answer(e, W3, C1, x, h2):
                        return ((e @ W3) * (1 - h2**2)).T @ np.tanh(x @ C1)
                    """, "C1 is transposed: it has the shape of W1, so a batch of rows is multiplied by C1.T."),
            Mistake("transposed result", """
                    def answer(e, W3, C1, x, h2):
                        return np.tanh(x @ C1.T).T @ ((e @ W3) * (1 - h2**2))
                    """, "You have the transpose: the neurons of W2 count the rows, and its inputs the columns."),
            Mistake("no f'", "def answer(e, W3, C1, x, h2): return (e @ W3).T @ np.tanh(x @ C1.T)",
                    "f' of the second layer is missing in its delta."),
        ),
        hints=("Only the second factor of the product changes: the activity. delta is that of backpropagation.",
               "The activity is np.tanh(x @ C1.T), and delta_2 is (e @ W3) * (1 - h2**2)."),
        what="gradient",
    ),
)
