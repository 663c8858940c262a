"""The exercises of the notebook on a rule of one's own, the one that sends only the largest error of each sample."""
from __future__ import annotations

import numpy as np

from ..kernels.loss import d_cross_entropy
from ..rules import DFA
from ..studies.turning import angle
from .base import Exercise, Given, Mistake


class _Winner(DFA):
    """The rule of the notebook."""

    def sent(self, e: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(abs(e) == abs(e).max(1, keepdims=True), e, 0)


def _errors(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    a, y = rng.standard_normal((6, 4)), np.eye(4)[rng.integers(4, size=6)]
    e = rng.standard_normal((6, 4))
    e[0] = -abs(e[0])  # a sample without any positive error
    e[1, 2] = -5
    return {"e": e, "a": a, "y": y, "p": d_cross_entropy(a, y) * len(y) + y}


def _longest(e: np.ndarray) -> np.ndarray:
    """What the rule sends, as long as the error of its sample."""
    sent = _Winner().sent(e, e)
    return np.asarray(sent * np.linalg.norm(e, axis=1, keepdims=True) / np.linalg.norm(sent, axis=1, keepdims=True))


EXERCISES = (
    Exercise(
        "invent:winner",
        "Write what the rule sends: from the errors e (N, C) an array that keeps the largest entry of each sample, in "
        "absolute value, and has 0 in all other places.",
        """
        def answer(e):
            return np.where(abs(e) == abs(e).max(1, keepdims=True), e, 0)
        """,
        _errors, right=lambda e: _Winner().sent(e, e),
        wrong=(
            Mistake("without abs", "def answer(e): return np.where(e == e.max(1, keepdims=True), e, 0)",
                    "You have the largest entry; the one that is farthest from 0 may be negative."),
            Mistake("sign alone",
                    "def answer(e): return np.where(abs(e) == abs(e).max(1, keepdims=True), np.sign(e), 0)",
                    "You send its sign alone. Then the signal does not become smaller as the error does."),
            Mistake("of the batch", "def answer(e): return np.where(abs(e) == abs(e).max(), e, 0)",
                    "You keep one entry of the whole batch; each sample, a row, has a largest entry of its own."),
            Mistake("of each column", "def answer(e): return np.where(abs(e) == abs(e).max(0), e, 0)",
                    "You keep the largest entry of each output. The entries of one sample stand in a row: axis 1."),
        ),
        hints=("abs(e).max(1, keepdims=True) is the largest absolute value of each row, as a column.",
               "np.where(condition, e, 0) keeps e wherever the condition holds."),
        what="signal",
    ),
    Exercise(
        "invent:bound",
        "Write the smallest cosine that there can be between e and what is sent, if e may be any 10 numbers.",
        """
        answer = 1 / np.sqrt(10)
        """,
        lambda seed: {"e": np.array([1.0, *[1 - 1e-9] * 9])},
        right=lambda e: float(np.cos(np.radians(angle(e, _Winner().sent(e[None], e[None])[0])))),
        wrong=(
            Mistake("no root", "answer = 1 / 10",
                    "The cosine is the largest entry over the length of e, and the length has a root in it."),
            Mistake("of softmax", "answer = 1 / np.sqrt(2)",
                    "That is the bound for errors of softmax. Here the ten numbers may be anything."),
            Mistake("degrees", "answer = np.degrees(np.arccos(1 / np.sqrt(10)))",
                    "That is the angle in degrees; its cosine is asked for."),
        ),
        hints=("The cosine is (largest entry)² / (length of e · largest entry): the largest entry over the length.",
               "It is smallest if all ten entries have the same size. How long is e then?"),
        what="cosine",
    ),
    Exercise(
        "invent:softmax",
        "Write what the rule sends under cross-entropy, from the probabilities p (N, C) and the one-hot targets y, "
        "without looking for a largest entry.",
        """
        def answer(p, y):
            return (p - y) * y / len(y)
        """,
        _errors, right=lambda a, y: _Winner().sent(d_cross_entropy(a, y), y),
        wrong=(
            Mistake("all of e", "def answer(p, y): return (p - y) / len(y)",
                    "That is the whole error e, as DFA sends it."),
            Mistake("no 1/N", "def answer(p, y): return (p - y) * y",
                    "The mean over the batch is missing: e has a factor 1/N."),
            Mistake("sign", "def answer(p, y): return (1 - p) * y / len(y)",
                    "The entry of the right class is p - 1, which is negative: this output should grow."),
            Mistake("target", "def answer(p, y): return -y / len(y)",
                    "That is what DRTP sends: it does not become smaller if the network becomes surer."),
        ),
        hints=("The errors of a sample add up to 0: that of the right class is as large as all others together.",
               "So the entry that is kept is that of the right class. Multiplying by y keeps it."),
        what="signal",
    ),
    Exercise(
        "invent:length",
        "Change the rule: what is sent should be as long as e, for each sample; write that for errors e (N, C).",
        """
        def answer(e):
            sent = np.where(abs(e) == abs(e).max(1, keepdims=True), e, 0)
            return sent * np.linalg.norm(e, axis=1, keepdims=True) / np.linalg.norm(sent, axis=1, keepdims=True)
        """,
        _errors, _longest,
        wrong=(
            Mistake("not longer", "def answer(e): return np.where(abs(e) == abs(e).max(1, keepdims=True), e, 0)",
                    "That is the rule as it was; its signal is shorter than e."),
            Mistake("of the batch", """
                    def answer(e):
                        sent = np.where(abs(e) == abs(e).max(1, keepdims=True), e, 0)
                        return sent * np.linalg.norm(e) / np.linalg.norm(sent)
                    """, "You have taken the length of the whole batch; each sample has a length of its own: axis=1."),
            Mistake("the other way round", """
                    def answer(e):
                        sent = np.where(abs(e) == abs(e).max(1, keepdims=True), e, 0)
                        length = np.linalg.norm(sent, axis=1, keepdims=True)
                        return sent * length / np.linalg.norm(e, axis=1, keepdims=True)
                    """, "You have divided by the wrong one of the two lengths: the signal became shorter still."),
            Mistake("length squared", """
                    def answer(e):
                        sent = np.where(abs(e) == abs(e).max(1, keepdims=True), e, 0)
                        return sent * (e**2).sum(1, keepdims=True) / (sent**2).sum(1, keepdims=True)
                    """, "A length is the root of the sum of squares."),
        ),
        hints=("np.linalg.norm(e, axis=1, keepdims=True) is the length of each row, as a column.",
               "Multiply by the length of e, and divide by the length of what is sent."),
        what="signal",
    ),
)
