"""Dropout: some units are silenced, and the others are made larger, so that the mean over all masks stays."""
from __future__ import annotations

from ..backend import Array, floats


def dropout(h: Array, mask: Array, p: float) -> Array:
    """Return h * mask / (1 - p); the function is linear in h and its own adjoint.

    Parameters
    ----------
    h : array (...)
        The input of the layer; or, on the way down, the error signal at its output.
    mask : array (...), bool
        True for the units that speak; each is True with the probability 1 - p.
    p : float
        The probability that a unit is silent, at least 0 and below 1.

    Returns
    -------
    array (...)
        0 where the mask is False.

    Notes
    -----
    Srivastava et al. 2014.  Deviation from print: the paper multiplies the weights by 1 - p in prediction.  Here, as is
    usual today, the activities are divided by 1 - p in training, and prediction needs no change.

    Examples
    --------
    >>> import numpy as np
    >>> dropout(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]), 0.5).tolist()
    [2.0, 0.0, 6.0]
    """
    out = floats(h) * mask
    out /= 1 - p
    return out
