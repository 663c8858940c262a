"""How similar the samples of a batch are to each other, as a matrix (N, N), and the adjoints.

Losses that need no classifier compare such matrices (rules/local_loss.py, rules/hsic_bottleneck.py).  Every root is
taken of a sum of squares plus EPS, so that a sample without a direction, such as one of zeros, has a derivative too.
"""
from __future__ import annotations

from ..backend import Array, alike, array_module, floats

EPS = 1e-16


def deviation(h: Array) -> Array:
    """Return the standard deviation of every channel over its positions.

    Parameters
    ----------
    h : array (N, H, W, C)

    Returns
    -------
    array (N, C)

    Examples
    --------
    >>> import numpy as np
    >>> deviation(np.array([1.0, 3.0, 1.0, 3.0]).reshape(1, 2, 2, 1)).round(6).tolist()
    [[1.0]]
    """
    return _root((_from_mean(floats(h))**2).mean((1, 2)))


def d_deviation(delta: Array, h: Array) -> Array:
    """Return the adjoint of `deviation`.

    Parameters
    ----------
    delta : array (N, C)
        The derivative of a loss by the deviations.
    h : array (N, H, W, C)
        The input of `deviation`.

    Returns
    -------
    array (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> h = np.array([1.0, 3.0, 1.0, 3.0]).reshape(1, 2, 2, 1)
    >>> d_deviation(np.array([[4.0]]), h).ravel().round(6).tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    delta, h = alike(delta, h)
    d = _from_mean(h)
    d *= (delta / (_root((d * d).mean((1, 2))) * (h.shape[1] * h.shape[2])))[:, None, None]
    return d


def similarity(h: Array) -> Array:
    """Return the cosine of every pair of samples, after each sample's mean over its features is subtracted from it.

    Parameters
    ----------
    h : array (N, F)

    Returns
    -------
    array (N, N)
        From -1 to 1: the correlation coefficients of the samples.

    Examples
    --------
    >>> import numpy as np
    >>> (similarity(np.array([[1.0, 2.0], [3.0, 5.0], [2.0, 1.0]])).round(6) + 0).tolist()
    [[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]
    """
    u, _ = _directions(floats(h))
    return array_module(u).matmul(u, u.T)


def d_similarity(delta: Array, h: Array) -> Array:
    """Return the adjoint of `similarity`.

    Parameters
    ----------
    delta : array (N, N)
        The derivative of a loss by the similarities.
    h : array (N, F)
        The input of `similarity`.

    Returns
    -------
    array (N, F)

    Examples
    --------
    A sample is always as similar to itself as can be, so nothing changes that:

    >>> import numpy as np
    >>> bool(np.abs(d_similarity(np.eye(2), np.array([[1.0, 2.0, 4.0], [3.0, 5.0, 1.0]]))).max() < 1e-12)
    True
    """
    delta, h = alike(delta, h)
    u, length = _directions(h)
    d = array_module(delta, h).matmul(delta + delta.T, u)
    d -= u * (d * u).sum(-1)[:, None]
    # nothing comes back through the subtracted mean: rows of u have mean 0, and rows of d are sums of rows of u
    d /= length
    return d


def gaussian(h: Array, sigma: float) -> Array:
    """Return the Gaussian kernel of every pair of samples: exp(-|h_i - h_j|^2 / (2 sigma^2)).

    Parameters
    ----------
    h : array (N, F)
    sigma : float
        The width of the kernel, above 0, in the units of h.

    Returns
    -------
    array (N, N)
        From 0 to 1; 1 for samples that are equal.

    Examples
    --------
    >>> import numpy as np
    >>> gaussian(np.array([[0.0], [1.0]]), 1.0).round(4).tolist()
    [[1.0, 0.6065], [0.6065, 1.0]]
    """
    h = floats(h)
    xp, squares = array_module(h), (h * h).sum(-1)
    d = xp.matmul(h, h.T)
    d *= -2
    d += squares[:, None]
    d += squares
    d *= -1 / (2 * sigma**2)
    return xp.exp(d)


def d_gaussian(delta: Array, h: Array, sigma: float) -> Array:
    """Return the adjoint of `gaussian`.

    Parameters
    ----------
    delta : array (N, N)
        The derivative of a loss by the entries of the kernel.
    h : array (N, F)
        The input of `gaussian`.
    sigma : float
        As in `gaussian`.

    Returns
    -------
    array (N, F)

    Examples
    --------
    >>> import numpy as np
    >>> d_gaussian(np.ones((2, 2)), np.array([[0.0], [1.0]]), 1.0).round(4).tolist()
    [[1.2131], [-1.2131]]
    """
    delta, h = alike(delta, h)
    pull = gaussian(h, sigma)
    pull *= delta + delta.T
    d = array_module(h).matmul(pull, h)
    d -= pull.sum(-1)[:, None] * h
    d /= sigma**2
    return d


def _from_mean(h: Array) -> Array:
    """Return an image (N, H, W, C) minus the mean of every channel over its positions."""
    return h - h.mean((1, 2))[:, None, None]


def _root(square: Array) -> Array:
    """Return a square root that has a derivative at 0 too."""
    return array_module(square).sqrt(square + EPS)


def _directions(h: Array) -> tuple[Array, Array]:
    """Return the rows of h (N, F) minus their mean and scaled to length 1, and the lengths (N, 1) that they had."""
    d = h - h.mean(-1)[:, None]
    length = _root((d * d).sum(-1))[:, None]
    d /= length
    return d, length
