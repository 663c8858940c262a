"""Pooling of images (N, H, W, C) over windows that may overlap, and the adjoints.

How to read this file: `plain_max_pool` and `plain_avg_pool`, with their adjoints, say what is computed, one window
after the other, as a textbook does.  They are the oracles of the tests.  `max_pool`, `d_max_pool`, `avg_pool` and
`d_avg_pool` compute the same numbers fast: they go over the few places inside a window, and treat all windows at once.
"""
from __future__ import annotations

import math
from itertools import product

from ..backend import Array, array_module, floats
from .unfold import for_each_group, out_size, padded, places, unpadded, windows

# ---------------------------------------------------------------- as a textbook has it


def plain_max_pool(h: Array, size: int, stride: int, pad: int = 0) -> tuple[Array, Array]:
    """Return the largest number of every window, and where it stood, in plain lines.

    Parameters
    ----------
    h : array (N, H, W, C)
        The images, of floats.
    size, stride, pad : int
        The side of a window, the step from window to window, and the width of the frame of -inf, in pixels.

    Returns
    -------
    tuple of array
        The largest, and its place in the window, counted by rows; both (N, H', W', C).  `max_pool` computes the same.

    Examples
    --------
    >>> import numpy as np
    >>> best, place = plain_max_pool(np.arange(16.0).reshape(1, 4, 4, 1), 2, 2)
    >>> best.ravel().tolist(), place.ravel().tolist()
    ([5.0, 7.0, 13.0, 15.0], [3, 3, 3, 3])
    """
    xp, (rows, columns) = array_module(h), (out_size(n, size, stride, pad) for n in h.shape[1:3])
    best = xp.empty((len(h), rows, columns, h.shape[3]), h.dtype)
    place, h = xp.empty(best.shape, int), padded(h, pad, -xp.inf)
    for y, x, patch in places(rows, columns, size, stride):
        window = h[patch].reshape(len(h), size * size, -1)
        best[:, y, x], place[:, y, x] = window.max(1), window.argmax(1)
    return best, place


def plain_d_max_pool(delta: Array, place: Array, shape: tuple[int, ...], size: int, stride: int, pad: int = 0) -> Array:
    """Return the adjoint of `plain_max_pool`: every window sends its delta back to the place of its largest number.

    Parameters
    ----------
    delta : array (N, H', W', C)
        The error signal at the output.
    place : array of int (N, H', W', C)
        The second result of `plain_max_pool`.
    shape : tuple of int
        The shape (N, H, W, C) of the input h.
    size, stride, pad : int
        As in `plain_max_pool`.

    Returns
    -------
    array (N, H, W, C)
        `d_max_pool` computes the same.

    Examples
    --------
    >>> import numpy as np
    >>> plain_d_max_pool(np.array([[[[5.0]]]]), np.array([[[[2]]]]), (1, 2, 2, 1), 2, 2)[0, :, :, 0].tolist()
    [[0.0, 0.0], [5.0, 0.0]]
    """
    xp, (rows, columns) = array_module(delta, place), delta.shape[1:3]
    down = padded(xp.zeros(shape, delta.dtype), pad)
    every = xp.arange(size * size).reshape(size, size, 1)
    for y, x, patch in places(rows, columns, size, stride):
        down[patch] += delta[:, None, None, y, x] * (place[:, None, None, y, x] == every)
    return unpadded(down, pad)


def plain_avg_pool(h: Array, size: int, stride: int, pad: int = 0) -> Array:
    """Return the mean of every window, in plain lines.

    Parameters
    ----------
    h : array (N, H, W, C)
        The images, of floats.
    size, stride, pad : int
        The side of a window, the step from window to window, and the width of the frame of zeros, in pixels.

    Returns
    -------
    array (N, H', W', C)
        `avg_pool` computes the same.

    Examples
    --------
    >>> import numpy as np
    >>> plain_avg_pool(np.arange(16.0).reshape(1, 4, 4, 1), 2, 2).ravel().tolist()
    [2.5, 4.5, 10.5, 12.5]
    """
    rows, columns = (out_size(n, size, stride, pad) for n in h.shape[1:3])
    mean, h = array_module(h).empty((len(h), rows, columns, h.shape[3]), h.dtype), padded(h, pad)
    for y, x, patch in places(rows, columns, size, stride):
        mean[:, y, x] = h[patch].mean((1, 2))
    return mean


def plain_d_avg_pool(delta: Array, shape: tuple[int, ...], size: int, stride: int, pad: int = 0) -> Array:
    """Return the adjoint of `plain_avg_pool`: every window spreads its delta evenly over its pixels.

    Parameters
    ----------
    delta : array (N, H', W', C)
        The error signal at the output.
    shape : tuple of int
        The shape (N, H, W, C) of the input h.
    size, stride, pad : int
        As in `plain_avg_pool`.

    Returns
    -------
    array (N, H, W, C)
        `d_avg_pool` computes the same.

    Examples
    --------
    >>> import numpy as np
    >>> plain_d_avg_pool(np.full((1, 1, 1, 1), 8.0), (1, 2, 2, 1), 2, 2)[0, :, :, 0].tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    rows, columns = delta.shape[1:3]
    down = padded(array_module(delta).zeros(shape, delta.dtype), pad)
    for y, x, patch in places(rows, columns, size, stride):
        down[patch] += delta[:, None, None, y, x] / size**2
    return unpadded(down, pad)


# ---------------------------------------------------------------- the same, fast


def max_pool(h: Array, size: int, stride: int, pad: int = 0) -> tuple[Array, Array]:
    """Return the largest number of every window, and where it stood: `plain_max_pool`, fast.

    Parameters
    ----------
    h : array (N, H, W, C)
    size, stride, pad : int
        The side of a window, the step from window to window, and the width of the frame of -inf, in pixels.

    Returns
    -------
    best : array (N, H', W', C)
        The largest.  A pixel of the frame never is.
    place : array (N, H', W', C), uint8 or uint32
        Its place in the window, counted by rows; the first place if several numbers are equal.  A place takes one byte
        if the window has at most 256 places.

    Examples
    --------
    >>> import numpy as np
    >>> best, place = max_pool(np.arange(16.0).reshape(1, 4, 4, 1), 2, 2)
    >>> best.ravel().tolist(), place.ravel().tolist()
    ([5.0, 7.0, 13.0, 15.0], [3, 3, 3, 3])
    """
    h = floats(h)
    xp, (rows, columns) = array_module(h), (out_size(n, size, stride, pad) for n in h.shape[1:3])
    best = xp.empty((len(h), rows, columns, h.shape[3]), h.dtype)
    small = size * size <= 256
    place = xp.zeros(best.shape, "uint8" if small else "uint32")

    def by_places(part: slice) -> None:
        image, m, p = padded(h[part], pad, -xp.inf), best[part], place[part]
        m[...] = windows(image, 0, 0, rows, columns, stride)
        for t, (i, j) in enumerate(product(range(size), repeat=2)):
            if t:
                other = windows(image, i, j, rows, columns, stride)
                # strictly larger, and t grows: the largest t that ever won is the place of the first of the largest
                won = (other > m).view("uint8") if small else (other > m).astype("uint32")
                won *= t
                xp.maximum(p, won, out=p)
                xp.maximum(m, other, out=m)
    for_each_group(by_places, h, math.prod(h.shape[1:]))
    return best, place


def d_max_pool(delta: Array, place: Array, shape: tuple[int, ...], size: int, stride: int, pad: int = 0) -> Array:
    """Return the adjoint of `max_pool`, which puts every delta back where the largest stood: `plain_d_max_pool`, fast.

    Parameters
    ----------
    delta : array (N, H', W', C)
        The error signal at the output.
    place : array (N, H', W', C), uint8 or uint32
        The second result of `max_pool`.
    shape : tuple of int
        The shape (N, H, W, C) of the input h.
    size, stride, pad : int
        As in `max_pool`.

    Returns
    -------
    array (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> d_max_pool(np.array([[[[5.0]]]]), np.array([[[[2]]]], "uint8"), (1, 2, 2, 1), 2, 2)[0, :, :, 0].tolist()
    [[0.0, 0.0], [5.0, 0.0]]
    """
    delta = floats(delta)
    xp, (rows, columns) = array_module(delta, place), delta.shape[1:3]
    down = xp.empty(shape, delta.dtype)

    def by_places(part: slice) -> None:
        d, p = delta[part], place[part]
        out = xp.zeros((len(d), shape[1] + 2 * pad, shape[2] + 2 * pad, shape[3]), delta.dtype)
        for t, (i, j) in enumerate(product(range(size), repeat=2)):
            spot = windows(out, i, j, rows, columns, stride)
            spot += d * (p == t)
        down[part] = unpadded(out, pad)
    for_each_group(by_places, down, math.prod(shape[1:]))
    return down


def avg_pool(h: Array, size: int, stride: int, pad: int = 0) -> Array:
    """Return the mean of every window, in which the frame counts as zeros: `plain_avg_pool`, fast.

    Parameters
    ----------
    h : array (N, H, W, C)
    size, stride, pad : int
        The side of a window, the step from window to window, and the width of the frame of zeros, in pixels.

    Returns
    -------
    array (N, H', W', C)

    Examples
    --------
    >>> import numpy as np
    >>> avg_pool(np.arange(16.0).reshape(1, 4, 4, 1), 2, 2).ravel().tolist()
    [2.5, 4.5, 10.5, 12.5]
    """
    rows, columns = (out_size(n, size, stride, pad) for n in h.shape[1:3])
    h = padded(floats(h), pad)
    total = windows(h, 0, 0, rows, columns, stride).copy()
    for i, j in list(product(range(size), repeat=2))[1:]:
        total += windows(h, i, j, rows, columns, stride)
    total /= size * size
    return total


def d_avg_pool(delta: Array, shape: tuple[int, ...], size: int, stride: int, pad: int = 0) -> Array:
    """Return the adjoint of `avg_pool`, which spreads every delta over its window: `plain_d_avg_pool`, fast.

    Parameters
    ----------
    delta : array (N, H', W', C)
        The error signal at the output.
    shape : tuple of int
        The shape (N, H, W, C) of the input h.
    size, stride, pad : int
        As in `avg_pool`.

    Returns
    -------
    array (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> d_avg_pool(np.full((1, 1, 1, 1), 8.0), (1, 2, 2, 1), 2, 2)[0, :, :, 0].tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    rows, columns = delta.shape[1:3]
    share = floats(delta) / (size * size)
    out = array_module(delta).zeros((shape[0], shape[1] + 2 * pad, shape[2] + 2 * pad, shape[3]), share.dtype)
    for i, j in product(range(size), repeat=2):
        part = windows(out, i, j, rows, columns, stride)
        part += share
    return unpadded(out, pad)


def global_pool(h: Array) -> Array:
    """Return the mean over all positions of an image.

    Parameters
    ----------
    h : array (N, H, W, C)

    Returns
    -------
    array (N, C)

    Examples
    --------
    >>> import numpy as np
    >>> global_pool(np.arange(4.0).reshape(1, 2, 2, 1)).tolist()
    [[1.5]]
    """
    return floats(h).mean((1, 2))


def d_global_pool(delta: Array, shape: tuple[int, ...]) -> Array:
    """Return the adjoint of `global_pool`: delta / (H W) at every position.

    Parameters
    ----------
    delta : array (N, C)
        The error signal at the output.
    shape : tuple of int
        The shape (N, H, W, C) of the input h.

    Returns
    -------
    array (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> d_global_pool(np.array([[8.0]]), (1, 2, 2, 1))[0, :, :, 0].tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    share = floats(delta) / (shape[1] * shape[2])
    return array_module(delta).ascontiguousarray(
        array_module(delta).broadcast_to(share[:, None, None, :], shape))
