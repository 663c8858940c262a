"""The exercises of the notebook on one neuron and two: derivatives of one variable are enough for them."""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import models, network
from ..rules import BP, FA
from ..studies import linear_feedback
from ..studies.turning import angle
from .base import Exercise, Given, Mistake


def _numbers(*names: str) -> Any:
    """A function that draws a number for each name, away from 0 and from each other."""
    def draw(seed: int) -> Given:
        rng = np.random.default_rng(seed)
        return {name: round(float(sign * size), 2) for name, sign, size in
                zip(names, rng.choice([-1, 1], len(names)), rng.permutation(np.linspace(0.6, 2.3, len(names))))}
    return draw


def _hidden_gradient(w: float, v: float, x: float, target: float) -> float:
    """That of the network of the library with one linear hidden neuron."""
    net = models.build("mlp:1", (1,), 1, "identity", "squared")
    params = [[{"W": np.array([[w]]), "b": np.zeros(1)}, None], {"W": np.array([[v]]), "b": np.zeros(1)}]
    tape = network.forward(net, params, np.array([[x]]))
    return float(BP().credit(net, params, None, tape, np.array([[target]])).grads[0][0]["W"][0, 0])


def _at_the_end(v_start: float, w_end: float, b: float) -> float:
    """The v with which K of Lemma L1 is what it was at the start; K is a straight line as a function of v."""
    task = linear_feedback.fa(np.ones((1, 1)), [np.array([[b]])])

    def conserved(w: float, v: float) -> float:
        return float(linear_feedback.K(task, [np.array([[w]]), np.array([[v]])])[0][0, 0])

    return (conserved(0, v_start) - conserved(w_end, 0)) / (conserved(w_end, 1) - conserved(w_end, 0))


def _arrows(seed: int) -> Given:
    """Two arrows that are longer than 1, or else a forgotten root might give a cosine above 1."""
    arrows = np.random.default_rng(seed).standard_normal((2, 2))
    return dict(zip("vb", arrows * [[1.5], [2.0]] / np.hypot(*arrows.T)[:, None]))


def _bent(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"e": float(rng.standard_normal()), "a": rng.standard_normal(2), "v": rng.standard_normal(2),
            "b": rng.standard_normal(2)}


def _delta(e: float, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The gradient of the biases of two hidden neurons under feedback alignment, for one sample."""
    net = models.build("mlp:2", (1,), 1, "tanh", "squared")
    params = [[{"W": np.zeros((2, 1)), "b": a}, None], {"W": np.zeros((1, 2)), "b": np.zeros(1)}]
    B = [[{"W": np.zeros((2, 1))}, None], {"W": b[None]}]
    tape = network.forward(net, params, np.zeros((1, 1)))
    grads = FA().credit(net, params, B, tape, np.array([[-e]])).grads  # the output is 0, so its error is e
    return np.asarray(grads[0][0]["b"])


EXERCISES = (
    Exercise(
        "neurons:one",
        "Write the derivative of the loss L = (w x - target)² / 2 with respect to w.",
        """
        def answer(w, x, target):
            return (w * x - target) * x
        """,
        _numbers("w", "x", "target"),
        right=lambda w, x, target: _hidden_gradient(w, 1.0, x, target),
        wrong=(
            Mistake("sign", "def answer(w, x, target): return (target - w * x) * x",
                    "Is the error y - target, and not target - y? With your sign the step would climb the loss."),
            Mistake("no inner derivative", "def answer(w, x, target): return w * x - target",
                    "The chain rule has a second factor: how much y moves if w moves."),
            Mistake("factor 2", "def answer(w, x, target): return 2 * (w * x - target) * x",
                    "The derivative of e² is 2 e, and the loss has a factor 1/2 that takes the 2 away."),
            Mistake("with respect to x", "def answer(w, x, target): return (w * x - target) * w",
                    "That is the derivative with respect to x. It is w that learns."),
        ),
        hints=("Write y = w x and e = y - target. How does e²/2 change if e changes?",
               "The chain rule: dL/dw = dL/dy · dy/dw. The first factor is e, and the second one is x."),
        what="derivative",
    ),
    Exercise(
        "neurons:hidden",
        "Write the derivative of the loss with respect to the hidden weight w, for y = v h and h = w x.",
        """
        def answer(w, v, x, target):
            e = v * w * x - target
            return e * v * x
        """,
        _numbers("w", "v", "x", "target"),
        right=_hidden_gradient,
        wrong=(
            Mistake("sign", "def answer(w, v, x, target): return (target - v * w * x) * v * x",
                    "Is the error y - target, and not target - y?"),
            Mistake("of v", "def answer(w, v, x, target): return (v * w * x - target) * w * x",
                    "That is e h, the derivative with respect to v. For w the error must come back through v first."),
            Mistake("no v", "def answer(w, v, x, target): return (v * w * x - target) * x",
                    "The error has not come back through v: how much does y move if h moves?"),
            Mistake("h for x", "def answer(w, v, x, target): return (v * w * x - target) * v * w * x",
                    "The last factor is h. The weight w stands between x and h, so it is multiplied by its input x."),
        ),
        hints=("There are three links in the chain now: dL/dw = dL/dy · dy/dh · dh/dw.",
               "dL/dy = e, dy/dh = v, dh/dw = x."),
        what="derivative",
    ),
    Exercise(
        "neurons:conserved",
        "Training starts with w = 0 and v = v_start: write what v is when w has become w_end, if the steps are small "
        "(Lemma L1).",
        """
        def answer(v_start, w_end, b):
            return v_start + w_end**2 / (2 * b)
        """,
        _numbers("v_start", "w_end", "b"),
        right=_at_the_end,
        wrong=(
            Mistake("no half", "def answer(v_start, w_end, b): return v_start + w_end**2 / b",
                    "You have lost the half: the sum of all w Δw, from 0 to w_end, is w_end²/2."),
            Mistake("no b", "def answer(v_start, w_end, b): return v_start + w_end**2 / 2",
                    "It is b v that grows by w²/2, and not v."),
            Mistake("sign", "def answer(v_start, w_end, b): return v_start - w_end**2 / (2 * b)",
                    "Your v moves away from b: b v - w²/2 stays the same, so b v grows if w² does."),
            Mistake("no square", "def answer(v_start, w_end, b): return v_start + w_end / (2 * b)",
                    "The step of w is multiplied by w itself, and the sum of all w Δw is w_end²/2."),
        ),
        hints=("b v - w²/2 is the same number at the start and at the end.",
               "At the start it is b v_start, because w is 0 there. At the end it is b v - w_end²/2. Solve for v."),
        what="v",
    ),
    Exercise(
        "neurons:angle",
        "Write the angle between two arrows v and b in degrees, from cos = (v_1 b_1 + v_2 b_2) / (|v| |b|).",
        """
        def answer(v, b):
            cosine = (v * b).sum() / np.sqrt((v**2).sum() * (b**2).sum())
            return np.degrees(np.arccos(cosine))
        """,
        _arrows, right=lambda v, b: angle(v, b),
        wrong=(
            Mistake("cosine", "def answer(v, b): return (v * b).sum() / np.sqrt((v**2).sum() * (b**2).sum())",
                    "You have the cosine; np.arccos gives the angle that has it."),
            Mistake("radians",
                    "def answer(v, b): return np.arccos((v * b).sum() / np.sqrt((v**2).sum() * (b**2).sum()))",
                    "NumPy measures angles in radians, of which a half turn has π; np.degrees makes degrees of them."),
            Mistake("squared lengths",
                    "def answer(v, b): return np.degrees(np.arccos((v * b).sum() / ((v**2).sum() * (b**2).sum())))",
                    "The length of v is the square root of v_1² + v_2², and you have left the root out."),
            Mistake("sine",
                    "def answer(v, b): return np.degrees(np.arcsin((v * b).sum() / "
                    "np.sqrt((v**2).sum() * (b**2).sum())))",
                    "You have asked for the angle with that sine; it is the cosine that is given."),
        ),
        hints=("(v * b).sum() is v_1 b_1 + v_2 b_2, and np.sqrt((v**2).sum()) is the length of v.",
               "np.arccos gives the angle of a cosine in radians, and np.degrees makes degrees of radians."),
        what="angle",
    ),
    Exercise(
        "neurons:delta",
        "Write what the two hidden neurons h = tanh(a) get from one error e through the feedback weights b: the factor "
        "of x in the steps of w.",
        """
        def answer(e, a, b):
            h = np.tanh(a)
            return e * b * (1 - h**2)
        """,
        _bent, right=_delta,
        wrong=(
            Mistake("no f'", "def answer(e, a, b): return e * b",
                    "The derivative of tanh is missing: how much does h move if a moves?"),
            Mistake("a for h", "def answer(e, a, b): return e * b * (1 - a**2)",
                    "The derivative of tanh at a is 1 - h², with h = tanh(a), and not 1 - a²."),
            Mistake("sign", "def answer(e, a, b): return -e * b * (1 - np.tanh(a)**2)",
                    "The minus comes later, in the step w - η · delta · x. The error e is y - target here."),
            Mistake("no square", "def answer(e, a, b): return e * b * (1 - np.tanh(a))",
                    "The derivative of tanh is 1 - h², and you have 1 - h."),
        ),
        hints=("Each neuron by itself: the error e, times its feedback weight, times the derivative of tanh.",
               "The derivative of tanh(a) is 1 - tanh(a)², which is 1 - h²."),
    ),
)
