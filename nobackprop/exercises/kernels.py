"""The exercises of the notebook on the three products that every rule is made of."""
from __future__ import annotations

import numpy as np

from ..kernels import linear
from .base import Exercise, Given, Mistake


def _batch(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"delta": rng.standard_normal((4, 3)), "u": rng.standard_normal((4, 5))}


EXERCISES = (
    Exercise(
        "kernels:outer",
        'Write the product "outer": from delta (N, F) and u (N, K) the matrix (F, K) of the sums over the N samples.',
        """
        def answer(delta, u):
            return delta.T @ u
        """,
        _batch, linear.outer,
        wrong=(
            Mistake("transposed", "def answer(delta, u): return u.T @ delta",
                    "You have its transpose: the outputs F count the rows, and the inputs K the columns."),
            Mistake("mean", "def answer(delta, u): return delta.T @ u / len(u)",
                    "You have divided by N. The mean is taken once, in the error e; all products after it are sums."),
        ),
        hints=("Which axis of delta and u counts the samples? That axis must disappear.",
               "A product of matrices makes the inner axis disappear: (F, N) times (N, K) is (F, K)."),
        what="matrix",
    ),
)
