"""The three derivatives of the one trilinear form <delta, W u> that every rule of the field is made of.

Shapes: u is (..., K), delta is (..., F), W and B are (F, K); the leading axes are batch and position.

How to read this file: each of the three functions is one einsum, which stands in its docstring and is the oracle of the
tests.  The rest is speed: the leading axes are made one, so that one matrix product serves, and several workers
(workers.py) share the rows or the columns of a large product.
"""
from __future__ import annotations

from ..backend import HAS_BLAS, Array, alike, array_module
from ..workers import count, split_among_workers

ALONE = 1 << 23  # a product of fewer multiplications is not worth sharing
SUMS = 1 << 17  # without BLAS, einsum computes a product of so many multiplications in half the time of matmul


def forward(W: Array, u: Array) -> Array:
    """Return W u, the derivative of the form in delta.

    Parameters
    ----------
    W : array (F, K)
        Weights.
    u : array (..., K)
        Inputs.

    Returns
    -------
    array (..., F)
        einsum("fk,...k->...f", W, u).

    Examples
    --------
    >>> import numpy as np
    >>> forward(np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]), np.array([[1.0, 10.0]])).tolist()
    [[21.0, 10.0, 3.0]]
    """
    W, u = alike(W, u)
    rows = _rows(u)
    if 4 * len(rows) <= len(W):
        # OpenBLAS multiplies a tall matrix by a narrow one a third faster than their transposes
        a = array_module(W, u).ascontiguousarray(_product(W, rows.T).T)
    else:
        a = _product(rows, W.T)
    return _shaped(a, u)


def feedback(B: Array, delta: Array) -> Array:
    """Return B^T delta, the derivative of the form in u, if B is W; or with feedback weights in the place of W.

    Parameters
    ----------
    B : array (F, K)
        Weights or feedback weights; they have the shape of the forward weights that they stand for.
    delta : array (..., F)
        Error signals at the output.

    Returns
    -------
    array (..., K)
        einsum("fk,...f->...k", B, delta).

    Examples
    --------
    >>> import numpy as np
    >>> feedback(np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]), np.array([[1.0, 10.0, 100.0]])).tolist()
    [[301.0, 12.0]]
    """
    B, delta = alike(B, delta)
    return _shaped(_product(_rows(delta), B), delta)


def outer(delta: Array, u: Array) -> Array:
    """Return delta u^T, summed over all leading axes: the derivative of the form in W.

    Parameters
    ----------
    delta : array (..., F)
        Error signals at the output.
    u : array (..., K)
        Inputs; the leading axes are those of delta.

    Returns
    -------
    array (F, K)
        einsum("nf,nk->fk", delta, u), if there is one leading axis.

    Examples
    --------
    >>> import numpy as np
    >>> outer(np.array([[1.0], [10.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[31.0, 42.0]]
    """
    delta, u = alike(delta, u)
    return _product(_rows(delta).T, _rows(u))


def _rows(u: Array) -> Array:
    """Return (..., K) as (N, K), so that one matrix product serves instead of a batch of small ones."""
    return u if u.ndim == 2 else u.reshape(-1, u.shape[-1])


def _shaped(rows: Array, u: Array) -> Array:
    """Return (N, F), one row for each row of `_rows(u)`, with the leading axes of u."""
    return rows if u.ndim == 2 else rows.reshape(*u.shape[:-1], rows.shape[1])


def _product(A: Array, B: Array) -> Array:
    """Return the matrix product A B; the workers share the rows of a large one, or its columns if they are more."""
    xp, (rows, columns) = array_module(A, B), (len(A), B.shape[1])
    work = A.size * columns
    if work >= SUMS and not HAS_BLAS:
        return xp.einsum("ij,jk->ik", A, B)
    if work < ALONE or count(A, B) == 1:
        return xp.matmul(A, B)
    out = xp.empty((rows, columns), A.dtype)
    if rows >= columns:
        split_among_workers(lambda part: xp.matmul(A[part], B, out=out[part]), rows, A, B)
    else:
        split_among_workers(lambda part: xp.matmul(A, B[:, part], out=out[:, part]), columns, A, B)
    return out
