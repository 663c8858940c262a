"""Convolution of images, and its two adjoints: the three linear kernels of `linear`, on patches of an image.

Shapes: W and B are (F, k k C), h is (N, H, W, C), delta is (N, H', W', F); k is the side of the square kernel.

How to read this file: `plain_forward`, `plain_feedback` and `plain_outer` say what is computed, one output position
after the other, as a textbook does.  They are the oracles of the tests.  `forward`, `feedback` and `outer` compute the
same numbers fast, in three ways:

- Patches are unfolded whole (unfold.py), and one matrix product multiplies all of them by the weights.
- If the stride is 1 and a row of a patch holds F numbers or more, patches are unfolded along the width alone.  Each
  of the k rows of the kernel is then a product by itself, on rows that lie next to each other in memory: k times
  fewer numbers are copied, and rows of padding are never multiplied.
- If the stride is 1 and many channels of float32 are convolved, tiles of the image take the place of patches, in
  another basis with a quarter of the multiplications or fewer (winograd.py).

All ways take groups of samples that stay in the processor's cache: they make the patches of a group, use them and
forget them, so that no array ever has the size of all patches.  If there are several workers (workers.py), each of them
has samples of its own.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator

from ..backend import Array, alike, array_module
from . import linear, winograd
from .unfold import fold, for_each_group, out_size, padded, places, sum_over_groups, unfold, unpadded

# ---------------------------------------------------------------- as a textbook has it


def plain_forward(W: Array, h: Array, kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """Return the convolution of h with W in plain lines: at every position the product of the weights and a patch.

    Parameters
    ----------
    W : array (F, k k C)
        The weights of F kernels, ordered (row, column, channel).
    h : array (N, H, W, C)
        The images.
    kernel, stride, pad : int
        The kernel's side k, the step from patch to patch, and the width of the frame of zeros, in pixels.

    Returns
    -------
    array (N, H', W', F)
        `forward` computes the same.

    Examples
    --------
    >>> import numpy as np
    >>> plain_forward(np.ones((1, 4)), np.arange(9.0).reshape(1, 3, 3, 1), 2).ravel().tolist()
    [8.0, 12.0, 20.0, 24.0]
    """
    xp, K = array_module(W, h), W.reshape(len(W), kernel, kernel, -1)
    rows, columns = (out_size(size, kernel, stride, pad) for size in h.shape[1:3])
    a, h = xp.empty((len(h), rows, columns, len(W)), xp.result_type(W, h)), padded(h, pad)
    for y, x, patch in places(rows, columns, kernel, stride):
        a[:, y, x] = xp.einsum("fijc,nijc->nf", K, h[patch])
    return a


def plain_feedback(B: Array, delta: Array, shape: tuple[int, ...], kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """Return the adjoint of `plain_forward` in h: every position sends B^T delta back to its patch, where all add up.

    Parameters
    ----------
    B : array (F, k k C)
        Weights, or feedback weights in their place.
    delta : array (N, H', W', F)
        The error signal at the output.
    shape : tuple of int
        The shape (N, H, W, C) of the input h.
    kernel, stride, pad : int
        As in `plain_forward`.

    Returns
    -------
    array (N, H, W, C)
        `feedback` computes the same.

    Examples
    --------
    >>> import numpy as np
    >>> plain_feedback(np.ones((1, 4)), np.ones((1, 2, 2, 1)), (1, 3, 3, 1), 2)[0, :, :, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    xp, K = array_module(B, delta), B.reshape(len(B), kernel, kernel, -1)
    down, (rows, columns) = padded(xp.zeros(shape, xp.result_type(B, delta)), pad), delta.shape[1:3]
    for y, x, patch in places(rows, columns, kernel, stride):
        down[patch] += xp.einsum("fijc,nf->nijc", K, delta[:, y, x])
    return unpadded(down, pad)


def plain_outer(delta: Array, h: Array, kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """Return the adjoint of `plain_forward` in W: the products of delta and patch, summed over samples and positions.

    Parameters
    ----------
    delta : array (N, H', W', F)
        The error signal at the output.
    h : array (N, H, W, C)
        The images.
    kernel, stride, pad : int
        As in `plain_forward`.

    Returns
    -------
    array (F, k k C)
        `outer` computes the same.

    Examples
    --------
    >>> import numpy as np
    >>> plain_outer(np.ones((1, 2, 2, 1)), np.arange(9.0).reshape(1, 3, 3, 1), 2).tolist()
    [[8.0, 12.0, 20.0, 24.0]]
    """
    xp, (_, rows, columns, planes) = array_module(delta, h), delta.shape
    G, h = xp.zeros((planes, kernel, kernel, h.shape[3]), xp.result_type(delta, h)), padded(h, pad)
    for y, x, patch in places(rows, columns, kernel, stride):
        G += xp.einsum("nf,nijc->fijc", delta[:, y, x], h[patch])
    return G.reshape(planes, -1)


# ---------------------------------------------------------------- the same, fast


def forward(W: Array, h: Array, kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """Return the convolution of h with W: `plain_forward`, fast.

    Parameters
    ----------
    W : array (F, k k C)
        The weights of F kernels, ordered (row, column, channel).
    h : array (N, H, W, C)
        The images.
    kernel, stride, pad : int
        The kernel's side k, the step from patch to patch, and the width of the frame of zeros, in pixels.

    Returns
    -------
    array (N, H', W', F)
        H' and W' are what `unfold.out_size` gives.

    Examples
    --------
    >>> import numpy as np
    >>> W, h = np.ones((1, 4)), np.arange(9.0).reshape(1, 3, 3, 1)
    >>> forward(W, h, 2).tolist() == plain_forward(W, h, 2).tolist()
    True
    """
    W, h = alike(W, h)
    if stride == 1 and winograd.suits(h, len(W), kernel, pad):
        return winograd.forward(W, h, kernel, pad)
    W_rows = W.reshape(len(W), kernel, -1).swapaxes(0, 1)
    return _convolved(linear.forward, W, W_rows, h, len(W), kernel, stride, pad)


def feedback(B: Array, delta: Array, shape: tuple[int, ...], kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """Return the adjoint of `forward` in h, which carries delta down through B: `plain_feedback`, fast.

    Parameters
    ----------
    B : array (F, k k C)
        Weights, or feedback weights in their place.
    delta : array (N, H', W', F)
        The error signal at the output.
    shape : tuple of int
        The shape (N, H, W, C) of the input h.
    kernel, stride, pad : int
        As in `forward`.

    Returns
    -------
    array (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> feedback(np.ones((1, 4)), np.ones((1, 2, 2, 1)), (1, 3, 3, 1), 2)[0, :, :, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    B, delta = alike(B, delta)
    if stride == 1 and pad < kernel:
        # the adjoint is a convolution itself: the kernel flipped, channels exchanged
        channels = shape[-1]
        if winograd.suits(delta, channels, kernel, kernel - 1 - pad):
            return winograd.feedback(B, delta, kernel, pad)
        # its weights lie as (k k F, C), as then C numbers are copied at a time; as (C, k k F) each is fetched alone
        flipped = B.reshape(len(B), kernel, kernel, channels)[:, ::-1, ::-1].transpose(1, 2, 0, 3)
        flipped = array_module(B).ascontiguousarray(flipped).reshape(-1, channels)
        by_rows = flipped.reshape(kernel, -1, channels)
        return _convolved(linear.feedback, flipped, by_rows, delta, channels, kernel, 1, kernel - 1 - pad)
    down = array_module(B, delta).empty(shape, delta.dtype)

    def by_patches(part: slice) -> None:
        u = linear.feedback(B, delta[part])
        down[part] = fold(u, (len(u), *shape[1:]), kernel, stride, pad)
    for_each_group(by_patches, delta, delta.shape[1] * delta.shape[2] * B.shape[1])
    return down


def outer(delta: Array, h: Array, kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """Return the adjoint of `forward` in W, the gradient of the weights: `plain_outer`, fast.

    Parameters
    ----------
    delta : array (N, H', W', F)
        The error signal at the output.
    h : array (N, H, W, C)
        The images.
    kernel, stride, pad : int
        As in `forward`.

    Returns
    -------
    array (F, k k C)
        delta times the patches of h, summed over samples and positions.

    Examples
    --------
    >>> import numpy as np
    >>> outer(np.ones((1, 2, 2, 1)), np.arange(9.0).reshape(1, 3, 3, 1), 2).tolist()
    [[8.0, 12.0, 20.0, 24.0]]
    """
    delta, h = alike(delta, h)
    if stride == 1 and winograd.suits(h, delta.shape[3], kernel, pad):
        return winograd.outer(delta, h, kernel, pad)
    _, rows, columns, planes = delta.shape
    height, channels = h.shape[1], h.shape[3]
    xp, row = array_module(delta, h), kernel * channels
    if stride > 1 or row < planes:
        return sum_over_groups(lambda part: linear.outer(delta[part], unfold(h[part], kernel, stride, pad)), h,
                               rows * columns * kernel * row)

    def by_rows(part: slice) -> Array:
        u = _unfold_width(h[part], kernel, pad)
        d = xp.ascontiguousarray(delta[part].swapaxes(0, 1)).reshape(rows, -1, planes)
        G = xp.zeros((planes, kernel, row), delta.dtype)
        for i, to, of in _reach(height, rows, kernel, pad):
            G[:, i] = linear.outer(d[to], u[of])
        return G
    return sum_over_groups(by_rows, h, height * columns * row).reshape(planes, -1)


def _convolved(multiply: Callable[[Array, Array], Array], W: Array, W_rows: Array, h: Array, planes: int, kernel: int,
               stride: int, pad: int) -> Array:
    """Return the convolution of h (N, H, W, C), as (N, H', W', planes): multiply(W, u) is the product with patches u.

    W_rows[i] are the weights of row i of the kernel, and multiply(W_rows[i], u) is their product with row i of patches.
    """
    n, height, width, channels = h.shape
    rows, columns = (out_size(size, kernel, stride, pad) for size in (height, width))
    xp = array_module(W, h)
    a = xp.empty((n, rows, columns, planes), h.dtype)
    if stride > 1 or kernel * channels < planes:
        def whole(part: slice) -> None:
            a[part] = multiply(W, unfold(h[part], kernel, stride, pad))
        for_each_group(whole, h, rows * columns * kernel**2 * channels)
        return a

    def by_rows(part: slice) -> None:
        u = _unfold_width(h[part], kernel, pad)
        # the kernel's middle row reaches the most output rows, and mostly all: the other rows add to its product
        (i, to, of), *others = sorted(_reach(height, rows, kernel, pad), key=lambda row: row[1].start - row[1].stop)
        out = multiply(W_rows[i], u[of])
        if len(out) < rows:
            out, part_of = xp.zeros((rows, *out.shape[1:]), h.dtype), out
            out[to] = part_of
        for i, to, of in others:
            out[to] += multiply(W_rows[i], u[of])
        a[part] = out.reshape(rows, -1, columns, planes).swapaxes(0, 1)
    for_each_group(by_rows, h, height * columns * kernel * channels)
    return a


def _unfold_width(h: Array, kernel: int, pad: int) -> Array:
    """Return every row of every patch of h (n, H, W, C), along the width alone: (H, n W', k C), the height first."""
    n, height, width, channels = h.shape
    xp, columns = array_module(h), out_size(width, kernel, 1, pad)
    wide = xp.zeros((height, n, width + 2 * pad, channels), h.dtype)
    wide[:, :, pad:pad + width] = h.swapaxes(0, 1)
    view = xp.lib.stride_tricks.as_strided(wide, (height, n, columns, kernel * channels), wide.strides)
    return view.reshape(height, n * columns, kernel * channels)


def _reach(height: int, rows: int, kernel: int, pad: int) -> Iterator[tuple[int, slice, slice]]:
    """Yield, for each row i of the kernel: i, the output rows that it reaches, and the input rows that it reads."""
    for i in range(kernel):
        first, last = max(0, pad - i), min(rows, height + pad - i)
        if first < last:
            yield i, slice(first, last), slice(first + i - pad, last + i - pad)
