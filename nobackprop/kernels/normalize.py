"""Batch normalisation over every axis but the last, and its exact adjoint, statistics included.

All of it goes through the rows of (..., C) in pieces that stay in the processor's cache, and keeps nothing of their
size: the input, which a tape has anyway, and (C,) statistics are enough for the adjoint.
"""
from __future__ import annotations

from collections.abc import Callable

from ..backend import Array, alike, array_module, floats
from ..errors import InputError
from .unfold import for_each_group, sum_over_groups

WIDE = 512


def statistics(h: Array) -> tuple[Array, Array]:
    """Mean and variance (C,) of h (..., C) over all its leading axes.

    Raises InputError for no samples, which have neither.
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
    """gamma (h - mean) / sqrt(variance + eps) + beta, (..., C)."""
    h, gamma, beta, mean, variance = alike(h, gamma, beta, mean, variance)
    xp, (rows, tile, _) = array_module(h), _wide(h)
    out = xp.empty_like(rows)
    mean, scale, shift = tile(mean), tile(gamma / xp.sqrt(variance + eps)), tile(beta)

    def some(part: slice) -> None:
        y = out[part]
        xp.subtract(rows[part], mean, out=y)
        y *= scale
        y += shift
    for_each_group(some, rows, rows.shape[1])
    return out.reshape(h.shape)


def d_batchnorm(delta: Array, h: Array, gamma: Array, mean: Array, variance: Array,
                eps: float, own: bool = True) -> tuple[Array, Array, Array]:
    """The adjoints in h (..., C), gamma and beta (C,); own: `mean` and `variance` are those of h, else constants."""
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

    def some(part: slice) -> None:
        t, q = rows[part] - wide_mean, down[part]
        t *= through_variance
        xp.subtract(d[part], t, out=q)
        q -= through_mean
        q *= scale
    for_each_group(some, rows, width)
    return down.reshape(h.shape), d_gamma, d_beta


def _wide(h: Array) -> tuple[Array, Callable[[Array], Array], Callable[[Array], Array]]:
    """h (..., C) as rows of several pixels each, and the two ways between (C,) and such a row.

    tile repeats (C,) along a row; gather, its adjoint, adds up a row's (..., C).  NumPy's inner loops run along a
    row: with the few channels of a small network they would be all overhead.
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
