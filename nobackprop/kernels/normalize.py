"""Batch and layer normalisation and unit length, and their exact adjoints, statistics included.

How to read this file: `plain_batchnorm` and `plain_layernorm`, with their adjoints, say what is computed, as a
textbook does.  They are the oracles of the tests.  `statistics`, `batchnorm`, `d_batchnorm`, `layernorm` and
`d_layernorm` compute the same numbers fast: they go through the array in pieces that stay in the processor's cache, and
keep nothing of the array's size.  The input, which a tape has anyway, and statistics of size (C,) are enough for the
adjoint.

Arrays are (..., C).  Batch normalisation takes its statistics over all axes but the last one, layer normalisation over
the last one alone.  `unit_length` takes the root of a sample's mean square over all axes but the first one.
"""
from __future__ import annotations

import math
from collections.abc import Callable

from ..backend import Array, alike, array_module, floats
from ..errors import InputError
from .unfold import for_each_group, sum_over_groups

WIDE = 512


# ---------------------------------------------------------------- as a textbook has it


def plain_batchnorm(h: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """Return batch normalisation in plain lines: gamma (h - mean) / sqrt(var + eps) + beta.

    Parameters
    ----------
    h : array (..., C)
    gamma, beta : array (C,)
        Scale and shift of each channel.
    eps : float
        A small number that keeps the root away from 0.

    Returns
    -------
    array (..., C)
        `batchnorm` with the batch's own `statistics` computes the same.

    Examples
    --------
    >>> import numpy as np
    >>> plain_batchnorm(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1), 0.0).tolist()
    [[-1.0], [1.0]]
    """
    axes = tuple(range(h.ndim - 1))
    t = h - h.mean(axes)
    return gamma * t / (((t * t).mean(axes) + eps) ** 0.5) + beta


def plain_d_batchnorm(delta: Array, h: Array, gamma: Array, eps: float) -> tuple[Array, Array, Array]:
    """Return the adjoints of `plain_batchnorm` in h, gamma and beta: what `d_batchnorm` computes.

    Parameters
    ----------
    delta, h : array (..., C)
        The error signal at the output, and the input.
    gamma : array (C,)
    eps : float

    Returns
    -------
    tuple of array
        dL/dh (..., C), dL/dgamma (C,), dL/dbeta (C,).

    Examples
    --------
    >>> import numpy as np
    >>> _, d_gamma, d_beta = plain_d_batchnorm(np.ones((2, 1)), np.array([[1.0], [3.0]]), np.ones(1), 0.0)
    >>> d_gamma.tolist(), d_beta.tolist()
    ([0.0], [2.0])
    """
    axes = tuple(range(h.ndim - 1))
    t = h - h.mean(axes)
    inverse = 1 / ((t * t).mean(axes) + eps) ** 0.5
    normal = t * inverse
    # the shares of the error that go through the mean, and through the variance
    through = delta.mean(axes) + normal * (delta * normal).mean(axes)
    return gamma * inverse * (delta - through), (delta * normal).sum(axes), delta.sum(axes)


def plain_layernorm(h: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """Return layer normalisation in plain lines: gamma (row - mean) / sqrt(var + eps) + beta for each row of h.

    Parameters
    ----------
    h : array (..., C)
    gamma, beta : array (C,)
        Scale and shift of each unit, or channel.
    eps : float
        A small number that keeps the root away from 0.

    Returns
    -------
    array (..., C)
        `layernorm` computes the same.

    Examples
    --------
    >>> import numpy as np
    >>> plain_layernorm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), 0.0).tolist()
    [[-1.0, 1.0]]
    """
    t = h - h.mean(-1, keepdims=True)
    return gamma * t / ((t * t).mean(-1, keepdims=True) + eps) ** 0.5 + beta


def plain_d_layernorm(delta: Array, h: Array, gamma: Array, eps: float) -> tuple[Array, Array, Array]:
    """Return the adjoints of `plain_layernorm` in h, gamma and beta: what `d_layernorm` computes.

    Parameters
    ----------
    delta, h : array (..., C)
        The error signal at the output, and the input.
    gamma : array (C,)
    eps : float

    Returns
    -------
    tuple of array
        dL/dh (..., C), dL/dgamma (C,), dL/dbeta (C,).

    Examples
    --------
    >>> import numpy as np
    >>> down, _, _ = plain_d_layernorm(np.array([[5.0, 5.0]]), np.array([[1.0, 3.0]]), np.ones(2), 0.0)
    >>> down.tolist()  # a shift of the whole row changes nothing
    [[0.0, 0.0]]
    """
    t = h - h.mean(-1, keepdims=True)
    inverse = 1 / ((t * t).mean(-1, keepdims=True) + eps) ** 0.5
    normal, d, axes = t * inverse, delta * gamma, tuple(range(h.ndim - 1))
    through = d.mean(-1, keepdims=True) + normal * (d * normal).mean(-1, keepdims=True)
    return inverse * (d - through), (delta * normal).sum(axes), delta.sum(axes)


# ---------------------------------------------------------------- the same, fast


def statistics(h: Array) -> tuple[Array, Array]:
    """Return mean and variance of h over all its axes but the last one.

    Parameters
    ----------
    h : array (..., C)

    Returns
    -------
    tuple of array
        The mean (C,) and the variance (C,), the latter divided by the number of values.

    Raises
    ------
    InputError
        If there are no samples: they have neither.

    Examples
    --------
    >>> import numpy as np
    >>> [array.tolist() for array in statistics(np.array([[1.0, 5.0], [3.0, 5.0]]))]
    [[2.0, 5.0], [1.0, 0.0]]
    """
    if not h.size:
        raise InputError(f"batch statistics need one sample or more, got an array of shape {h.shape}")
    rows, tile, gather = _wide(floats(h))
    count, width = h.size // h.shape[-1], rows.shape[1]
    mean = gather(sum_over_groups(lambda part: rows[part].sum(0), rows, width)) / count
    wide_mean = tile(mean)

    def squares(part: slice) -> Array:
        t = rows[part] - wide_mean
        t *= t
        return t.sum(0)
    return mean, gather(sum_over_groups(squares, rows, width)) / count


def batchnorm(h: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float) -> Array:
    """Return gamma (h - mean) / sqrt(variance + eps) + beta: `plain_batchnorm`, with the statistics handed in.

    Parameters
    ----------
    h : array (..., C)
    gamma, beta, mean, variance : array (C,)
        In training `mean` and `variance` are the batch's own `statistics`, in prediction the running ones.
    eps : float

    Returns
    -------
    array (..., C)

    Notes
    -----
    Ioffe and Szegedy 2015.

    Examples
    --------
    >>> import numpy as np
    >>> h = np.array([[1.0], [3.0]])
    >>> batchnorm(h, np.ones(1), np.zeros(1), *statistics(h), 0.0).tolist()
    [[-1.0], [1.0]]
    """
    h, gamma, beta, mean, variance = alike(h, gamma, beta, mean, variance)
    xp, (rows, tile, _) = array_module(h), _wide(h)
    out = xp.empty_like(rows)
    mean, scale, shift = tile(mean), tile(gamma / xp.sqrt(variance + eps)), tile(beta)

    def scaled(part: slice) -> None:
        y = out[part]
        xp.subtract(rows[part], mean, out=y)
        y *= scale
        y += shift
    for_each_group(scaled, rows, rows.shape[1])
    return out.reshape(h.shape)


def d_batchnorm(delta: Array, h: Array, gamma: Array, mean: Array, variance: Array,
                eps: float, own: bool = True) -> tuple[Array, Array, Array]:
    """Return the adjoints of `batchnorm` in h, gamma and beta: `plain_d_batchnorm`, fast.

    Parameters
    ----------
    delta, h : array (..., C)
        The error signal at the output, and the input.
    gamma, mean, variance : array (C,)
    eps : float
    own : bool
        Whether `mean` and `variance` are the statistics of h, through which errors flow too.  If not, they are
        constants.

    Returns
    -------
    tuple of array
        dL/dh (..., C), dL/dgamma (C,), dL/dbeta (C,).

    Examples
    --------
    >>> import numpy as np
    >>> h, one = np.array([[1.0], [3.0]]), np.ones(1)
    >>> d_batchnorm(np.ones((2, 1)), h, one, *statistics(h), 0.0)[0].tolist()  # a shift of all samples changes nothing
    [[0.0], [0.0]]
    """
    delta, h, gamma, mean, variance = alike(delta, h, gamma, mean, variance)
    xp, (rows, tile, gather) = array_module(delta, h), _wide(h)
    d, width, count = delta.reshape(rows.shape), rows.shape[1], max(h.size // h.shape[-1], 1)
    inverse, wide_mean = 1 / xp.sqrt(variance + eps), tile(mean)

    def sums(part: slice) -> Array:
        t = rows[part] - wide_mean
        t *= d[part]
        return xp.stack((t.sum(0), d[part].sum(0)))
    d_gamma, d_beta = gather(sum_over_groups(sums, rows, width))
    d_gamma = d_gamma * inverse
    down, scale = xp.empty_like(d), tile(gamma * inverse)
    if not own:
        for_each_group(lambda part: xp.multiply(d[part], scale, out=down[part]), rows, width)
        return down.reshape(h.shape), d_gamma, d_beta
    through_mean, through_variance = tile(d_beta / count), tile(d_gamma * inverse / count)

    def both_ways(part: slice) -> None:
        t, q = rows[part] - wide_mean, down[part]
        t *= through_variance
        xp.subtract(d[part], t, out=q)
        q -= through_mean
        q *= scale
    for_each_group(both_ways, rows, width)
    return down.reshape(h.shape), d_gamma, d_beta


def layernorm(h: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """Return layer normalisation over the last axis: `plain_layernorm`, in pieces that stay in the processor's cache.

    Parameters
    ----------
    h : array (..., C)
    gamma, beta : array (C,)
        Scale and shift of each unit, or channel.
    eps : float

    Returns
    -------
    array (..., C)

    Notes
    -----
    Ba, Kiros, Hinton 2016.  Of an image (N, H, W, C) every position is normalised by itself, over its channels.

    Examples
    --------
    >>> import numpy as np
    >>> layernorm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), 0.0).tolist()
    [[-1.0, 1.0]]
    """
    h, gamma, beta = alike(h, gamma, beta)
    out = array_module(h).empty(h.shape, h.dtype)

    def some(part: slice) -> None:
        normal, _ = _normal(h[part], eps)
        normal *= gamma
        normal += beta
        out[part] = normal
    for_each_group(some, h, math.prod(h.shape[1:]))
    return out


def d_layernorm(delta: Array, h: Array, gamma: Array, eps: float) -> tuple[Array, Array, Array]:
    """Return the adjoints of `layernorm` in h, gamma and beta: `plain_d_layernorm`, in pieces.

    Parameters
    ----------
    delta, h : array (..., C)
        The error signal at the output, and the input.
    gamma : array (C,)
    eps : float

    Returns
    -------
    tuple of array
        dL/dh (..., C), dL/dgamma (C,), dL/dbeta (C,).

    Examples
    --------
    >>> import numpy as np
    >>> down, _, d_beta = d_layernorm(np.array([[5.0, 5.0]]), np.array([[1.0, 3.0]]), np.ones(2), 0.0)
    >>> down.tolist(), d_beta.tolist()
    ([[0.0, 0.0]], [5.0, 5.0])
    """
    delta, h, gamma = alike(delta, h, gamma)
    xp = array_module(delta, h)
    down, axes = xp.empty(h.shape, h.dtype), tuple(range(h.ndim - 1))

    def some(part: slice) -> Array:
        normal, inverse = _normal(h[part], eps)
        along = delta[part] * normal
        sums = xp.stack((along.sum(axes), delta[part].sum(axes)))
        d = delta[part] * gamma
        along *= gamma
        normal *= along.mean(-1, keepdims=True)
        normal += d.mean(-1, keepdims=True)
        d -= normal
        d *= inverse
        down[part] = d
        return sums
    d_gamma, d_beta = sum_over_groups(some, h, math.prod(h.shape[1:]))
    return down, d_gamma, d_beta


def unit_length(h: Array, eps: float) -> Array:
    """Return every sample divided by the root of the mean of its squares.

    Parameters
    ----------
    h : array (N, ...)
    eps : float
        Added to the mean of the squares before the root is taken.

    Returns
    -------
    array (N, ...)

    Examples
    --------
    >>> import numpy as np
    >>> unit_length(np.array([[3.0, -3.0], [0.0, 0.0]]), 1e-8).round(3).tolist()
    [[1.0, -1.0], [0.0, 0.0]]
    """
    h = floats(h)
    return h * _inverse_length(h, eps)


def d_unit_length(delta: Array, h: Array, eps: float) -> Array:
    """Return the adjoint of `unit_length` in h.

    Parameters
    ----------
    delta, h : array (N, ...)
        The error signal at the output, and the input.
    eps : float

    Returns
    -------
    array (N, ...)

    Examples
    --------
    >>> import numpy as np
    >>> d_unit_length(np.array([[3.0, 3.0]]), np.array([[2.0, 2.0]]), 0.0).tolist()        # what is along h goes
    [[0.0, 0.0]]
    """
    delta, h = alike(delta, h)
    inverse = _inverse_length(h, eps)
    normal = h * inverse
    return inverse * (delta - normal * (delta * normal).mean(tuple(range(1, h.ndim)), keepdims=True))


def _inverse_length(h: Array, eps: float) -> Array:
    """Return 1 / the root of the mean of the squares of every sample, (N, 1, ...)."""
    return 1 / array_module(h).sqrt((h * h).mean(tuple(range(1, h.ndim)), keepdims=True) + eps)


def _normal(h: Array, eps: float) -> tuple[Array, Array]:
    """Return (row - mean) / deviation of every row of h, (..., C), and 1 / deviation, (..., 1)."""
    t = h - h.mean(-1, keepdims=True)
    inverse = 1 / array_module(h).sqrt((t * t).mean(-1, keepdims=True) + eps)
    t *= inverse
    return t, inverse


def _wide(h: Array) -> tuple[Array, Callable[[Array], Array], Callable[[Array], Array]]:
    """Return h (..., C) as rows of several pixels each, and two functions between (C,) and such a row.

    The first one, tile, repeats (C,) along a row.  The second one, gather, is its adjoint and adds up a row's (..., C).
    NumPy's inner loops run along a row: with the few channels of a small network they would be all overhead.
    """
    xp, channels = array_module(h), h.shape[-1]
    pixels = 1
    while pixels * channels < WIDE and h.size % (2 * pixels * channels) == 0:
        pixels *= 2

    def tile(a: Array) -> Array:
        return xp.concatenate([a] * pixels) if pixels > 1 else a

    def gather(a: Array) -> Array:
        return a.reshape(*a.shape[:-1], pixels, channels).sum(-2) if pixels > 1 else a
    return h.reshape(-1, pixels * channels), tile, gather
