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
from .data.dataset import prepared
from .errors import InputError, integer
from .kernels.activation import softmax
from .layers import Shape
from .network import Network
from .rules import BP, Rule, describe, get
from .tree import Tree, leaves

KIND = "model"  # of a file that holds one
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
        The classes, in the order of the network's outputs: all texts or all integers.
    mean, scale : array (F,) or (C,), optional
        What is subtracted from every feature or channel of raw samples, and what they are then divided by.
    rule : Rule
        The rule whose `predict` says what the network answers; by default the answer is the network's own pass.

    Raises
    ------
    InputError
        If these do not fit each other.

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

    def __post_init__(self) -> None:
        checks.network_and_rule(self.net, self.rule)
        fresh, shapes = checks.init(self.net, np.random.default_rng(0), self.shape)
        checks.tree("params", self.params, fresh, f"this network with samples of shape {self.shape}")
        if shapes[-1] != (len(self.classes),):
            raise InputError(f"the network's output has shape {shapes[-1]}, expected ({len(self.classes)},): "
                             f"there are {len(self.classes)} classes")

    def output(self, x: ArrayLike) -> np.ndarray:
        """Return the outputs a_L of the network for raw samples.

        Parameters
        ----------
        x : array-like (N, F) or (N, H, W, C)
            Raw samples: finite real numbers, in the units of what `data.from_arrays` was given.

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
        ready = prepared(x, self.shape, self.mean, self.scale)
        parts = [self.rule.predict(self.net, self.params, ready[i:i + BATCH].astype(dtype, copy=False))
                 for i in range(0, max(len(ready), 1), BATCH)]
        return np.concatenate(parts)

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Return for each raw sample the class with the largest output.

        Parameters
        ----------
        x : array-like (N, F) or (N, H, W, C)
            As of `output`.

        Returns
        -------
        array (N,)
            Members of `classes`.

        Raises
        ------
        InputError
            If the samples do not fit, or if an output is not finite.
        """
        out = self.output(x)
        if not np.isfinite(out).all():
            raise InputError(f"the outputs for {int((~np.isfinite(out).all(1)).sum())} of {len(out)} samples are not "
                             "finite: the samples are too large, or the network diverged")
        return np.asarray(self.classes)[out.argmax(1)]

    def predict_proba(self, x: ArrayLike) -> np.ndarray:
        """Return the probabilities of all classes for each raw sample.

        Parameters
        ----------
        x : array-like (N, F) or (N, H, W, C)
            As of `output`.

        Returns
        -------
        array (N, C)
            Each row sums to 1.

        Raises
        ------
        InputError
            If the samples do not fit, or if the network was trained with a loss whose outputs are no probabilities.
        """
        if self.net.loss != "cross_entropy":
            raise InputError(f"the network was trained with the loss {self.net.loss}, expected cross_entropy: outputs "
                             "of others are no probabilities")
        return np.asarray(softmax(self.output(x)))

    def score(self, x: ArrayLike, y: ArrayLike) -> float:
        """Return the accuracy on raw samples, from 0 to 1.

        Parameters
        ----------
        x : array-like (N, F) or (N, H, W, C)
            As of `output`.
        y : array-like (N,)
            The right classes, members of `classes`.

        Returns
        -------
        float

        Raises
        ------
        InputError
            If the samples do not fit, or if `y` has another length, is empty or holds something that is no class.
        """
        found, right = self.predict(x), np.asarray(y)
        if not len(found):
            raise InputError("x holds no sample, expected at least one")
        if right.shape != found.shape:
            raise InputError(f"y has shape {right.shape}, expected {found.shape}: a class for each sample")
        strange = [value for value in np.unique(right).tolist() if value not in self.classes]
        if strange:
            raise InputError(f"y holds {strange[0]!r}, expected classes: {', '.join(map(str, self.classes))}")
        return float((found == right).mean())

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
            the way of a rule that is not in `rules.RULES`.
        """
        header = {"network": blueprint.draw(self.net), "shape": list(self.shape), "classes": list(self.classes)}
        if type(self.rule).predict is not Rule.predict:
            header["rule"] = name = describe(self.rule)
            try:
                get(name)
            except InputError:
                raise InputError(f"the network answers as {name} says, expected a rule of rules.RULES: a file can name "
                                 "no other") from None
        saving.write(path, KIND, header, {"params": self.params, "mean": self.mean, "scale": self.scale})


def load(path: str | os.PathLike[str]) -> Predictor:
    """Read a trained network from a file that `Run.save_model` or `Predictor.save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Predictor
        With `predict`, `predict_proba` and `score`, all of which take raw samples.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, or holds something else.

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
    header, trees = saving.read(path, KIND)
    try:
        return Predictor(blueprint.build(header["network"]), trees["params"],
                         tuple(integer("shape", size, 1) for size in header["shape"]), tuple(header["classes"]),
                         trees["mean"], trees["scale"], get(header["rule"]) if "rule" in header else PLAIN)
    except (KeyError, TypeError, InputError) as error:
        raise InputError(f"cannot use {path}: {error}") from None
