"""The three derivatives of the one trilinear form <delta, W u> that every rule of the field is made of.

Shapes: u (..., K), delta (..., F), W and B (F, K); the leading axes are batch and position.
"""
from __future__ import annotations

from ..backend import Array, alike, array_module
from ..workers import multiply, split_among_workers

ALONE = 1 << 23  # a product of fewer multiplications is not worth sharing


def forward(W: Array, u: Array) -> Array:
    """W u, shape (..., F)."""
    W, u = alike(W, u)
    rows = _rows(u)
    if 4 * len(rows) <= len(W):
        # OpenBLAS multiplies a tall matrix by a narrow one a third faster than their transposes
        a = array_module(W, u).ascontiguousarray(_product(W, rows.T).T)
    else:
        a = _product(rows, W.T)
    return a.reshape(*u.shape[:-1], len(W))


def feedback(B: Array, delta: Array) -> Array:
    """B^T delta, shape (..., K); B has the shape of the forward map that it stands for."""
    B, delta = alike(B, delta)
    return _product(_rows(delta), B).reshape(*delta.shape[:-1], B.shape[1])


def outer(delta: Array, u: Array) -> Array:
    """delta u^T summed over every leading axis, shape (F, K)."""
    delta, u = alike(delta, u)
    return _product(_rows(delta).T, _rows(u))


def _rows(u: Array) -> Array:
    """(..., K) as (N, K): one matrix product instead of a batch of small ones."""
    return u.reshape(-1, u.shape[-1])


def _product(A: Array, B: Array) -> Array:
    """A B, (M, K) times (K, N); the workers share the rows of a large one, or its columns where those are more."""
    xp, (rows, inner), columns = array_module(A, B), A.shape, B.shape[1]
    if rows * inner * columns < ALONE or not multiply(A, B):
        return xp.matmul(A, B)
    out = xp.empty((rows, columns), A.dtype)
    if rows >= columns:
        split_among_workers(lambda part: xp.matmul(A[part], B, out=out[part]), rows, A, B)
    else:
        split_among_workers(lambda part: xp.matmul(A, B[:, part], out=out[:, part]), columns, A, B)
    return out
