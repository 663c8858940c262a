"""Batch normalisation over every axis but the last, and its exact adjoint, statistics included.

All of it goes through the rows of (..., C) in pieces that stay in the processor's cache, and keeps nothing of their
size: the input, which a tape has anyway, and (C,) statistics are enough for the adjoint.
"""
from __future__ import annotations

from ..backend import Array, array_module
from .unfold import groups


def statistics(h: Array) -> tuple[Array, Array]:
    """Mean and variance (C,) of h (..., C) over all its leading axes."""
    rows = h.reshape(-1, h.shape[-1])
    mean = sum(rows[part].sum(0) for part in groups(rows, h.shape[-1])) / len(rows)
    variance = 0
    for part in groups(rows, h.shape[-1]):
        t = rows[part] - mean
        t *= t
        variance = variance + t.sum(0)
    return mean, variance / len(rows)


def batchnorm(h: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float) -> Array:
    """gamma (h - mean) / sqrt(variance + eps) + beta, (..., C)."""
    xp, rows = array_module(h), h.reshape(-1, h.shape[-1])
    out, scale = xp.empty_like(rows), gamma / xp.sqrt(variance + eps)
    for part in groups(rows, h.shape[-1]):
        y = out[part]
        xp.subtract(rows[part], mean, out=y)
        y *= scale
        y += beta
    return out.reshape(h.shape)


def d_batchnorm(delta: Array, h: Array, gamma: Array, mean: Array, variance: Array,
                eps: float) -> tuple[Array, Array, Array]:
    """The adjoints in h (..., C), gamma and beta (C,), `mean` and `variance` being those of h."""
    xp, channels = array_module(delta, h), h.shape[-1]
    rows, d = h.reshape(-1, channels), delta.reshape(-1, channels)
    inverse = 1 / xp.sqrt(variance + eps)
    d_gamma = d_beta = 0
    for part in groups(rows, channels):
        t = rows[part] - mean
        t *= d[part]
        d_gamma, d_beta = d_gamma + t.sum(0), d_beta + d[part].sum(0)
    d_gamma = d_gamma * inverse
    down, through_mean, through_variance = xp.empty_like(d), d_beta / len(d), d_gamma * inverse / len(d)
    for part in groups(rows, channels):
        t, q = rows[part] - mean, down[part]
        t *= through_variance
        xp.subtract(d[part], t, out=q)
        q -= through_mean
        q *= gamma * inverse
    return down.reshape(h.shape), d_gamma, d_beta
