"""The three derivatives of the one trilinear form <delta, W u> that every rule of the field is made of.

Shapes: u (..., K), delta (..., F), W and B (F, K); the leading axes are batch and position.
"""
from __future__ import annotations

from ..backend import Array, array_module


def forward(W: Array, u: Array) -> Array:
    """W u, shape (..., F)."""
    xp, rows = array_module(W, u), _rows(u)
    if 4 * len(rows) <= len(W):
        # OpenBLAS multiplies a tall matrix by a narrow one a third faster than their transposes
        a = xp.ascontiguousarray(xp.matmul(W, rows.T).T)
    else:
        a = xp.matmul(rows, W.T)
    return a.reshape(*u.shape[:-1], len(W))


def feedback(B: Array, delta: Array) -> Array:
    """B^T delta, shape (..., K); B has the shape of the forward map that it stands for."""
    return array_module(B, delta).matmul(_rows(delta), B).reshape(*delta.shape[:-1], B.shape[1])


def outer(delta: Array, u: Array) -> Array:
    """delta u^T summed over every leading axis, shape (F, K)."""
    return array_module(delta, u).matmul(_rows(delta).T, _rows(u))


def _rows(u: Array) -> Array:
    """(..., K) as (N, K): one matrix product instead of a batch of small ones."""
    return u.reshape(-1, u.shape[-1])
