"""Losses of the network's last activation a_L (N, C) against y* (N, C), and their error e = dL/da_L.

Both take the mean over the batch, so that e carries the 1/N once and every product below is a plain sum.
"""
from __future__ import annotations

from collections.abc import Callable

from ..backend import Array, alike, array_module
from ..errors import InputError
from .activation import softmax


def squared(a: Array, y: Array) -> Array:
    """Half the squared distance, the output layer being linear; a scalar."""
    a, y = _pair(a, y)
    d = a - y
    return (d * d).sum() / (2 * len(y))


def d_squared(a: Array, y: Array) -> Array:
    """e = (y - y*) / N with y = a_L."""
    a, y = _pair(a, y)
    return (a - y) / len(y)


def cross_entropy(a: Array, y: Array) -> Array:
    """-sum y* log softmax(a); a scalar.  The rows of y* sum to 1."""
    a, y = _pair(a, y)
    a = a - a.max(-1, keepdims=True)
    xp = array_module(a, y)
    return (xp.log(xp.exp(a).sum(-1)) - (y * a).sum(-1)).sum() / len(y)


def d_cross_entropy(a: Array, y: Array) -> Array:
    """e = (y - y*) / N with y = softmax(a_L)."""
    a, y = _pair(a, y)
    e = softmax(a)
    e -= y
    e /= len(y)
    return e


def _pair(a: Array, y: Array) -> tuple[Array, Array]:
    """Both in one dtype.

    Raises InputError unless they have one shape, as NumPy would stretch one to the other, and for no samples at all.
    """
    if a.shape != y.shape:
        raise InputError(f"the loss got targets of shape {y.shape} for outputs of shape {a.shape}, expected the same "
                         "shape: labels as one-hot rows, for example numpy.eye(classes)[labels]")
    if not len(a):
        raise InputError("the loss is a mean over the samples of a batch, got a batch of none")
    return alike(a, y)


LOSSES: dict[str, tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array]]] = {
    "squared": (squared, d_squared),
    "cross_entropy": (cross_entropy, d_cross_entropy),
}
DEFAULT_LOSS = "cross_entropy"
