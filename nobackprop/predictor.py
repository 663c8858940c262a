"""A trained network as it is used: it takes raw samples, prepares them as the training samples were, and names classes.

    run.save_model("wine.safetensors")
    nb.load("wine.safetensors").predict(x_raw)
"""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import blueprint, checks, saving
from .data.dataset import checked_columns, prepared
from .data.tasks import PROBABILITIES, TASKS, column_names, matched
from .errors import InputError, check_name, integer
from .layers import Shape
from .network import Network
from .rules import BP, Rule, describe, recall
from .tree import Tree, leaves

BATCH = 256  # samples that go through the network at once
PLAIN: Rule = BP()  # a rule whose prediction is the network's own pass, as that of most rules is


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained network with all that prediction needs.

    `Run.save_model` writes one to a file, and `nobackprop.load` reads it.

    Parameters
    ----------
    net : Network
        The network.
    params : list
        Its parameters, NumPy arrays; running statistics are among them.
    shape : tuple of int
        The shape of one sample, (F,) or (H, W, C).
    classes : sequence
        The classes, in the order of the network's outputs: all texts, all booleans or all numbers.  If the task is
        another one, the names of the numbers or labels.
    mean, scale : array (F,) or (C,), optional
        What is subtracted from every feature or channel of raw samples, and what they are then divided by.
    rule : Rule
        The rule whose `predict` says what the network answers; by default the answer is the network's own pass.
    task : {"classes", "numbers", "labels"}
        What the network was trained to say, see `data.Dataset`.
    y_mean, y_scale : array (k,), optional
        Of numbers: what outputs are multiplied by, `y_scale`, and what is then added, `y_mean`.
    columns : sequence of str, optional
        What the features are called, in their order.  Frames are matched with them by the names of their columns.

    Raises
    ------
    InputError
        If these do not fit each other.

    Notes
    -----
    All methods take raw samples.  `x_test` of a data set is standardised, so it is wrong here: `data.raw("test")` gives
    raw samples and raw targets, and ``run.predictor().score(*data.raw("test"))`` is the accuracy on the test set.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("digits")
    >>> run = nb.fit(nb.models.build("mlp:32", data.shape, data.classes), "las", data, nb.Settings(epochs=3))
    >>> from sklearn.datasets import load_digits
    >>> raw = load_digits().data.reshape(-1, 8, 8, 1)
    >>> model = run.predictor()
    >>> model.predict(raw[:5]).shape, model.score(raw, load_digits().target) > 0.7
    ((5,), True)
    """

    net: Network
    params: Tree
    shape: Shape
    classes: Sequence[Any]
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    rule: Rule = PLAIN
    task: str = "classes"
    y_mean: np.ndarray | None = None
    y_scale: np.ndarray | None = None
    columns: Sequence[str] | None = None

    def __post_init__(self) -> None:
        checks.network_and_rule(self.net, self.rule)
        fresh, shapes = checks.init(self.net, np.random.default_rng(0), self.shape)
        checks.tree("params", self.params, fresh, f"this network with samples of shape {self.shape}")
        if shapes[-1] != (len(self.classes),):
            raise InputError(f"the network's output has shape {shapes[-1]}, expected ({len(self.classes)},): "
                             f"there are {len(self.classes)} {self.task}")
        check_name("task", self.task, TASKS)
        for at, values in (("y_mean", self.y_mean), ("y_scale", self.y_scale)):
            if values is not None and np.shape(values) != (len(self.classes),):
                raise InputError(f"{at} has shape {np.shape(values)}, expected ({len(self.classes)},)")
        if self.columns is not None:
            checked_columns(self.columns, self.shape)

    def output(self, x: ArrayLike) -> np.ndarray:
        """Return the outputs a_L of the network for raw samples.

        Parameters
        ----------
        x : array-like (N, F) or (N, H, W, C), or frame
            Raw samples: finite real numbers, in the units of what `data.from_arrays` was given.  They are standardised
            here, so `data.x_test`, which is standardised already, is wrong: see `data.Dataset.raw`.  A frame is matched
            by the names of its columns, if the network learnt from frames.

        Returns
        -------
        array (N, C)
            Of the dtype of the parameters.

        Raises
        ------
        InputError
            If the samples do not fit.
        """
        dtype = next((leaf.dtype for _, leaf in leaves(self.params)), np.dtype("float32"))
        ready = prepared(x, self.shape, self.mean, self.scale, self.columns)
        parts = [self.rule.predict(self.net, self.params, ready[i:i + BATCH].astype(dtype, copy=False))
                 for i in range(0, max(len(ready), 1), BATCH)]
        return np.concatenate(parts)

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Return the answer for each raw sample: the class with the largest output, numbers, or 0 and 1 for labels.

        Parameters
        ----------
        x : array-like (N, F) or (N, H, W, C)
            As of `output`.

        Returns
        -------
        array (N,) or (N, k)
            Members of `classes`; numbers in the units of the raw targets, (N,) if there is one for each sample; or 0
            and 1 for each label.

        Raises
        ------
        InputError
            If the samples do not fit, or if an output is not finite.
        """
        return TASKS[self.task].answer(self._finite(x), self.classes, self.y_mean, self.y_scale)

    def _finite(self, x: ArrayLike) -> np.ndarray:
        """What `output` returns; InputError if a number of it is not finite."""
        out = self.output(x)
        if not np.isfinite(out).all():
            raise InputError(f"the outputs for {int((~np.isfinite(out).all(1)).sum())} of {len(out)} samples are not "
                             "finite: the samples are too large, or the network diverged")
        return out

    def predict_proba(self, x: ArrayLike) -> np.ndarray:
        """Return the probabilities of all classes, or of all labels, for each raw sample.

        Parameters
        ----------
        x : array-like (N, F) or (N, H, W, C)
            As of `output`.

        Returns
        -------
        array (N, C)
            Each row sums to 1, unless each label has a probability of its own.

        Raises
        ------
        InputError
            If the samples do not fit, or if the network was trained with a loss whose outputs are no probabilities.
        """
        if self.net.loss not in PROBABILITIES:
            raise InputError(f"the network was trained with the loss {self.net.loss}, expected "
                             f"{' or '.join(PROBABILITIES)}: outputs of others are no probabilities")
        return np.asarray(PROBABILITIES[self.net.loss](self.output(x)))

    def score(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return how good the answers for raw samples, such as those of `data.raw("test")`, are; 1 is the best.

        It is the accuracy for classes, R^2 for numbers, and for labels the share of samples of which all are right.

        Parameters
        ----------
        x : array-like (N, F) or (N, H, W, C)
            As of `output`.
        y : array-like (N,) or (N, k)
            The right answers, as `predict` gives them: not `data.y_test`, but what `data.raw("test")` gives next to the
            samples.  A frame whose columns have the names of the numbers or labels is matched by them.

        Returns
        -------
        float

        Raises
        ------
        InputError
            If the samples do not fit, or if `y` has another length, is empty or holds something that is no class.
        """
        out, task = self._finite(x), TASKS[self.task]
        names = tuple(map(str, self.classes))
        came = column_names(y)
        y = matched("y", y, names if came is not None and sorted(came) == sorted(names) else None)
        if self.task == "classes" and came is not None and len(came) == 1:
            y = y[:, 0]
        if not len(out):
            raise InputError("x holds no sample, expected at least one")
        if len(y.shape) < 1 or len(y) != len(out):
            raise InputError(f"y has shape {y.shape}, expected {out.shape[:1 if self.task == 'classes' else 2]}: an "
                             "answer for each sample")
        return task.measure(out, task.truth(y, self.classes, self.y_mean, self.y_scale))[0]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of this to a file of the format safetensors, which `nobackprop.load` reads.

        Parameters
        ----------
        path : path
            The file; what was there is replaced.

        Raises
        ------
        InputError
            If the file cannot be written, or if the network has layers that a file cannot hold, or if it answers in
            the way of a rule that `rules.get` knows by no text.
        """
        header = {"network": blueprint.draw(self.net), "shape": list(self.shape), "classes": list(self.classes),
                  "task": self.task, **({} if self.columns is None else {"columns": list(self.columns)})}
        if type(self.rule).predict is not Rule.predict:
            header["rule"] = name = describe(self.rule)
            try:
                recall(name)
            except InputError:
                raise InputError(f"rule {name} predicts in a way of its own, and rules.get does not know it by a text: "
                                 "expected a rule that a file can name") from None
        saving.write(path, blueprint.MODEL, header, {"params": self.params, "mean": self.mean, "scale": self.scale,
                                                     "y_mean": self.y_mean, "y_scale": self.y_scale})


def load(path: str | os.PathLike[str]) -> Predictor:
    """Read a trained network from a file that `Run.save_model` or `Predictor.save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Predictor
        With `predict`, `predict_proba` and `score`, all of which take raw samples, as `data.raw("test")` gives them.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, or holds something else; or if the network answers in the way of a rule
        of your own whose code this process has not loaded, as a file never runs code: call `rules.get` first.

    Examples
    --------
    >>> import tempfile
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.fit(nb.models.build("mlp:8", data.shape, data.classes), "dfa", data, nb.Settings(epochs=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run.save_model(f"{folder}/xor.safetensors")
    ...     model = nb.load(f"{folder}/xor.safetensors")
    >>> model.classes
    (0, 1, 2, 3)
    """
    header, trees = saving.read(path, blueprint.MODEL)
    try:
        return Predictor(blueprint.build(header["network"]), trees["params"],
                         tuple(integer("shape", size, 1) for size in header["shape"]), tuple(header["classes"]),
                         trees["mean"], trees["scale"], recall(header["rule"]) if "rule" in header else PLAIN,
                         header.get("task", "classes"), trees.get("y_mean"), trees.get("y_scale"),
                         header.get("columns"))
    except (KeyError, TypeError, InputError) as error:
        raise InputError(f"cannot use {path}: {error}") from None
