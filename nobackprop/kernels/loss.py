"""Losses of the network's last activation a_L (N, C) against the targets y* (N, C), and their error e = dL/da_L.

Every loss takes the mean over the batch.  So e contains the factor 1/N, and every later product is a plain sum.
A new loss is two functions and one line in LOSSES: see docs/extending.md.
"""
from __future__ import annotations

from collections.abc import Callable

from ..backend import Array, alike, array_module
from ..errors import InputError
from .activation import sigmoid, softmax


def squared(a: Array, y: Array, w: Array | float = 1.0) -> Array:
    """Return half the squared distance between output and target, for a linear output layer.

    Parameters
    ----------
    a, y : Array
        Outputs a_L and targets y*, both (N, C).
    w : Array (N, 1) or float, optional
        What each sample counts.

    Returns
    -------
    Array
        A scalar: the mean over the batch of the sum over the outputs.

    Raises
    ------
    InputError
        If the shapes differ, or if there are no samples.

    Examples
    --------
    >>> import numpy as np
    >>> float(squared(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]])))
    2.0
    """
    a, y = _pair(a, y)
    d = a - y
    return (w * d * d).sum() / (2 * len(y))


def d_squared(a: Array, y: Array) -> Array:
    """Return the error of `squared`, e = (y - y*) / N with y = a_L.

    Parameters
    ----------
    a, y : Array
        Outputs a_L and targets y*, both (N, C).

    Returns
    -------
    Array
        e, (N, C).

    Raises
    ------
    InputError
        If the shapes differ, or if there are no samples.

    Examples
    --------
    >>> import numpy as np
    >>> d_squared(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]))
    array([[0., 2.]])
    """
    a, y = _pair(a, y)
    return (a - y) / len(y)


def cross_entropy(a: Array, y: Array, w: Array | float = 1.0) -> Array:
    """Return the cross-entropy -sum y* log softmax(a_L) between the network's probabilities and the targets.

    Parameters
    ----------
    a, y : Array
        Outputs a_L before softmax, and targets y* whose rows sum to 1; both (N, C).
    w : Array (N, 1) or float, optional
        What each sample counts.

    Returns
    -------
    Array
        A scalar, in nats: the mean over the batch.

    Raises
    ------
    InputError
        If the shapes differ, or if there are no samples.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(cross_entropy(np.zeros((1, 2)), np.array([[1.0, 0.0]]))), 4)
    0.6931
    """
    a, y = _pair(a, y)
    a = a - a.max(-1, keepdims=True)
    xp = array_module(a, y)
    return (w * (xp.log(xp.exp(a).sum(-1, keepdims=True)) - (y * a).sum(-1, keepdims=True))).sum() / len(y)


def d_cross_entropy(a: Array, y: Array) -> Array:
    """Return the error of `cross_entropy`, e = (y - y*) / N with y = softmax(a_L).

    Parameters
    ----------
    a, y : Array
        Outputs a_L before softmax, and targets y* whose rows sum to 1; both (N, C).

    Returns
    -------
    Array
        e, (N, C).

    Raises
    ------
    InputError
        If the shapes differ, or if there are no samples.

    Examples
    --------
    >>> import numpy as np
    >>> d_cross_entropy(np.zeros((1, 2)), np.array([[1.0, 0.0]]))
    array([[-0.5,  0.5]])
    """
    a, y = _pair(a, y)
    e = softmax(a)
    e -= y
    e /= len(y)
    return e


def binary_cross_entropy(a: Array, y: Array, w: Array | float = 1.0) -> Array:
    """Return the sum of -y* log p - (1 - y*) log(1 - p) over the outputs, p = sigmoid(a_L): each says yes or no.

    Parameters
    ----------
    a, y : Array
        Outputs a_L before the sigmoid, and targets y* from 0 to 1; both (N, C).
    w : Array (N, 1) or float, optional
        What each sample counts.

    Returns
    -------
    Array
        A scalar, in nats: the mean over the batch.

    Raises
    ------
    InputError
        If the shapes differ, or if there are no samples.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(binary_cross_entropy(np.zeros((1, 2)), np.array([[1.0, 1.0]]))), 4)
    1.3863
    """
    a, y = _pair(a, y)
    xp = array_module(a, y)
    most = xp.maximum(a, 0 * a)  # log(1 + exp(a)) without an exponential that overflows
    return (w * (most + xp.log1p(xp.exp(a - 2 * most)) - y * a)).sum() / len(y)


def d_binary_cross_entropy(a: Array, y: Array) -> Array:
    """Return the error of `binary_cross_entropy`, e = (y - y*) / N with y = sigmoid(a_L).

    Parameters
    ----------
    a, y : Array
        Outputs a_L before the sigmoid, and targets y* from 0 to 1; both (N, C).

    Returns
    -------
    Array
        e, (N, C).

    Raises
    ------
    InputError
        If the shapes differ, or if there are no samples.

    Examples
    --------
    >>> import numpy as np
    >>> d_binary_cross_entropy(np.zeros((1, 2)), np.array([[1.0, 0.0]]))
    array([[-0.5,  0.5]])
    """
    a, y = _pair(a, y)
    return (sigmoid(a) - y) / len(y)


def _pair(a: Array, y: Array) -> tuple[Array, Array]:
    """Return both in one dtype.

    Raises InputError if their shapes differ, as NumPy would stretch one to the other, or if there are no samples.
    """
    if a.shape != y.shape:
        raise InputError(f"the loss got targets of shape {y.shape} for outputs of shape {a.shape}, expected the same "
                         "shape: labels as one-hot rows, for example numpy.eye(classes)[labels]")
    if not len(a):
        raise InputError("got a batch without samples, expected at least one: the loss is their mean")
    a, y = alike(a, y)
    return a, y


# by name: the loss, and its error
LOSSES: dict[str, tuple[Callable[..., Array], Callable[[Array, Array], Array]]] = {
    "squared": (squared, d_squared),
    "cross_entropy": (cross_entropy, d_cross_entropy),
    "binary_cross_entropy": (binary_cross_entropy, d_binary_cross_entropy),
}
# of networks for which no loss is named
DEFAULT_LOSS = "cross_entropy"
