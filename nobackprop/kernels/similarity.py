"""How alike the samples of a batch are, as a matrix (N, N), and the adjoints: what losses without a classifier compare.

Every root is taken of a square plus EPS, so that a sample without any direction has a derivative.
"""
from __future__ import annotations

from ..backend import Array, alike, array_module, floats

EPS = 1e-16


def deviation(h: Array) -> Array:
    """The standard deviation of every plane over its positions, (N, H, W, C) -> (N, C)."""
    return _root((_from_mean(floats(h))**2).mean((1, 2)))


def d_deviation(delta: Array, h: Array) -> Array:
    """The adjoint: delta (N, C) back to the positions of h (N, H, W, C)."""
    delta, h = alike(delta, h)
    d = _from_mean(h)
    d *= (delta / (_root((d * d).mean((1, 2))) * (h.shape[1] * h.shape[2])))[:, None, None]
    return d


def similarity(h: Array) -> Array:
    """The cosines between the samples h (N, F), each with its mean over the features taken off, (N, N)."""
    u, _ = _directions(floats(h))
    return array_module(u).matmul(u, u.T)


def d_similarity(delta: Array, h: Array) -> Array:
    """The adjoint: delta (N, N) back to h (N, F)."""
    delta, h = alike(delta, h)
    u, length = _directions(h)
    d = array_module(delta, h).matmul(delta + delta.T, u)
    d -= u * (d * u).sum(-1)[:, None]
    # what comes back through the mean is nothing: rows of u have mean 0, and those of d are sums of them
    d /= length
    return d


def gaussian(h: Array, sigma: float) -> Array:
    """exp(-|h_i - h_j|^2 / (2 sigma^2)) between the samples h (N, F), (N, N)."""
    h = floats(h)
    xp, squares = array_module(h), (h * h).sum(-1)
    d = xp.matmul(h, h.T)
    d *= -2
    d += squares[:, None]
    d += squares
    d *= -1 / (2 * sigma**2)
    return xp.exp(d)


def d_gaussian(delta: Array, h: Array, sigma: float) -> Array:
    """The adjoint: delta (N, N) back to h (N, F)."""
    delta, h = alike(delta, h)
    pull = gaussian(h, sigma)
    pull *= delta + delta.T
    d = array_module(h).matmul(pull, h)
    d -= pull.sum(-1)[:, None] * h
    d /= sigma**2
    return d


def _from_mean(h: Array) -> Array:
    return h - h.mean((1, 2))[:, None, None]


def _root(square: Array) -> Array:
    return array_module(square).sqrt(square + EPS)


def _directions(h: Array) -> tuple[Array, Array]:
    """Rows of h (N, F) around their mean and of length 1, and the lengths (N, 1) that they had."""
    d = h - h.mean(-1)[:, None]
    length = _root((d * d).sum(-1))[:, None]
    d /= length
    return d, length
