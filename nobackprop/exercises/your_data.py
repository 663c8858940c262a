"""The exercises of the notebook on data of one's own."""
from __future__ import annotations

import numpy as np

from ..data import from_arrays, one_hot
from ..data.tasks import r2_and_error
from ..layers import Dense
from ..network import Weighted
from .base import Exercise, Given, Mistake


def _labels(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"labels": np.array([2, *rng.integers(3, size=5)]), "classes": 3}


def _raw(seed: int) -> Given:
    """Raw samples, and what the library makes of those of the test part."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((12, 3)) * [1, 10, 0.2] + [0, 50, 3]
    y = np.arange(12) % 2
    data = from_arrays("mine", x[:9], y[:9], 2 * x[9:] - 1, y[9:], validation=2)
    return {"x_train": data.raw("train")[0], "x_test": data.raw("test")[0], "standardised": data.x_test}


def _numbers(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    y = 50 + 20 * rng.standard_normal(20)
    return {"y": y, "found": 0.7 * y + 10 + 5 * rng.standard_normal(20)}


def _weighted(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"a": rng.standard_normal((4, 2)), "y": rng.standard_normal((4, 2)), "w": np.array([3.0, 1.0, 1.0, 3.0])}


def _weighted_error(a: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.asarray(Weighted((Dense(2),), "squared", w / w.mean()).error(a, y))


EXERCISES = (
    Exercise(
        "data:one-hot",
        "Write the targets (N, classes) of class labels (N,): a 1 in the place of the class, and 0 elsewhere.",
        """
        def answer(labels, classes):
            return np.eye(classes)[labels]
        """,
        _labels, one_hot,
        wrong=(
            Mistake("transposed", "def answer(labels, classes): return np.eye(classes)[labels].T",
                    "You have the transpose: a row belongs to a sample."),
            Mistake("counted from 1", "def answer(labels, classes): return np.eye(classes + 1)[labels][:, 1:]",
                    "You have counted classes from 1; the first class is 0."),
            Mistake("minus 1 elsewhere", "def answer(labels, classes): return 2 * np.eye(classes)[labels] - 1",
                    "The other places hold 0: the rows of targets add up to 1, as probabilities do."),
        ),
        hints=("np.eye(3) is a table whose row c is the target of class c.",
               "An array of labels as an index takes a row for each of them."),
        what="table of targets",
    ),
    Exercise(
        "data:standardise",
        "Write the test samples as the library standardises them: x_train and x_test are raw.",
        """
        def answer(x_train, x_test):
            return (x_test - x_train.mean(0)) / x_train.std(0)
        """,
        _raw, right=lambda standardised: standardised,
        wrong=(
            Mistake("by itself", "def answer(x_train, x_test): return (x_test - x_test.mean(0)) / x_test.std(0)",
                    "You have used the mean and the deviation of the test part. A network in use sees one sample, and "
                    "must not know what others there are."),
            Mistake("by all", """
                    def answer(x_train, x_test):
                        x = np.concatenate([x_train, x_test])
                        return (x_test - x.mean(0)) / x.std(0)
                    """, "The test part has a share in your mean: what is tested may not influence what is learnt."),
            Mistake("variance", "def answer(x_train, x_test): return (x_test - x_train.mean(0)) / x_train.var(0)",
                    "You have divided by the variance, and not by the standard deviation."),
            Mistake("one for all features",
                    "def answer(x_train, x_test): return (x_test - x_train.mean()) / x_train.std()",
                    "Each feature has a mean and a deviation of its own: axis 0 counts the samples."),
        ),
        hints=("x_train.mean(0) has an entry for each feature.",
               "Subtract the mean of the training part, and divide by its standard deviation."),
        what="table",
    ),
    Exercise(
        "data:r2",
        "Write R² of the answers `found` for the targets y: 1 less the sum of squared errors over the sum of squared "
        "distances from the mean of y.",
        """
        def answer(y, found):
            return 1 - ((found - y)**2).sum() / ((y - y.mean())**2).sum()
        """,
        _numbers, right=lambda y, found: r2_and_error(found[:, None], y[:, None])[0],
        wrong=(
            Mistake("exchanged",
                    "def answer(y, found): return 1 - ((found - y)**2).sum() / ((found - found.mean())**2).sum()",
                    "The distances from the mean are those of the targets, not those of the answers."),
            Mistake("correlation", "def answer(y, found): return np.corrcoef(y, found)[0, 1]**2",
                    "That is the squared correlation: it forgives answers that are off by a factor or a shift."),
            Mistake("mean squared error", "def answer(y, found): return ((found - y)**2).mean()",
                    "That is the mean squared error, in squared units of y. R² compares it with the spread of y."),
            Mistake("no 1 -", "def answer(y, found): return ((found - y)**2).sum() / ((y - y.mean())**2).sum()",
                    "That is the share that is not explained; R² is 1 minus it."),
        ),
        hints=("Two sums of squares: (found - y)², and (y - y.mean())².",
               "1 - first / second. It is 1 for perfect answers, and 0 for answers that are always the mean."),
        what="R²",
    ),
    Exercise(
        "data:weights",
        "Write the error e of the loss 1/2 |a - y|² if samples have weights w (N,), which the library divides by their "
        "mean.",
        """
        def answer(a, y, w):
            return (w / w.mean())[:, None] * (a - y) / len(y)
        """,
        _weighted, _weighted_error,
        wrong=(
            Mistake("no mean 1", "def answer(a, y, w): return w[:, None] * (a - y) / len(y)",
                    "Your weights have another mean than 1, so every step is longer: divide them by their mean."),
            Mistake("no 1/N", "def answer(a, y, w): return (w / w.mean())[:, None] * (a - y)",
                    "The loss is a mean over the batch: the factor 1/N is missing."),
            Mistake("root", "def answer(a, y, w): return np.sqrt(w / w.mean())[:, None] * (a - y) / len(y)",
                    "The weight multiplies the loss, and so its derivative: no root is taken."),
            Mistake("not weighted", "def answer(a, y, w): return (a - y) / len(y)",
                    "The weights are not in it."),
        ),
        hints=("Begin with the error without weights: (a - y) / N.",
               "w[:, None] is a column: it multiplies each row by the weight of its sample."),
        what="error",
    ),
)
