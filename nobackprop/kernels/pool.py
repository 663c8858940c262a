"""Pooling of images (N, H, W, C) over windows that may overlap, and the adjoints."""
from __future__ import annotations

import math
from itertools import product

from ..backend import Array, array_module, floats
from .unfold import for_each_group, out_size, padded, unpadded, windows


def max_pool(h: Array, size: int, stride: int, pad: int = 0) -> tuple[Array, Array]:
    """The largest of every window, (N, H', W', C), and which place of the window it had, a byte each if that holds it.

    Of equal ones the first, by rows, wins.  What is padded never does.
    """
    h = floats(h)
    xp, (rows, columns) = array_module(h), (out_size(n, size, stride, pad) for n in h.shape[1:3])
    best = xp.empty((len(h), rows, columns, h.shape[3]), h.dtype)
    small = size * size <= 256
    place = xp.zeros(best.shape, "uint8" if small else "uint32")

    def some(part: slice) -> None:
        image, m, p = padded(h[part], pad, -xp.inf), best[part], place[part]
        m[...] = windows(image, 0, 0, rows, columns, stride)
        for t, (i, j) in enumerate(product(range(size), repeat=2)):
            if t:
                other = windows(image, i, j, rows, columns, stride)
                # strictly larger, and t grows: the largest t that ever won is the place
                won = (other > m).view("uint8") if small else (other > m).astype("uint32")
                won *= t
                xp.maximum(p, won, out=p)
                xp.maximum(m, other, out=m)
    for_each_group(some, h, math.prod(h.shape[1:]))
    return best, place


def d_max_pool(delta: Array, place: Array, shape: tuple[int, ...], size: int, stride: int, pad: int = 0) -> Array:
    """The adjoint at the windows' winners: delta (N, H', W', C) put back to where each came from, in `shape`."""
    delta = floats(delta)
    xp, (rows, columns) = array_module(delta, place), delta.shape[1:3]
    down = xp.empty(shape, delta.dtype)

    def some(part: slice) -> None:
        d, p = delta[part], place[part]
        out = xp.zeros((len(d), shape[1] + 2 * pad, shape[2] + 2 * pad, shape[3]), delta.dtype)
        for t, (i, j) in enumerate(product(range(size), repeat=2)):
            spot = windows(out, i, j, rows, columns, stride)
            spot += d * (p == t)
        down[part] = unpadded(out, pad)
    for_each_group(some, down, math.prod(shape[1:]))
    return down


def avg_pool(h: Array, size: int, stride: int, pad: int = 0) -> Array:
    """The mean of every window, (N, H', W', C), padding counting as zeros."""
    rows, columns = (out_size(n, size, stride, pad) for n in h.shape[1:3])
    h = padded(floats(h), pad)
    total = windows(h, 0, 0, rows, columns, stride).copy()
    for i, j in list(product(range(size), repeat=2))[1:]:
        total += windows(h, i, j, rows, columns, stride)
    total /= size * size
    return total


def d_avg_pool(delta: Array, shape: tuple[int, ...], size: int, stride: int, pad: int = 0) -> Array:
    """The adjoint: delta (N, H', W', C) spread over every window, in `shape`."""
    rows, columns = delta.shape[1:3]
    share = floats(delta) / (size * size)
    out = array_module(delta).zeros((shape[0], shape[1] + 2 * pad, shape[2] + 2 * pad, shape[3]), share.dtype)
    for i, j in product(range(size), repeat=2):
        part = windows(out, i, j, rows, columns, stride)
        part += share
    return unpadded(out, pad)


def global_pool(h: Array) -> Array:
    """The mean over all positions, (N, H, W, C) -> (N, C)."""
    return floats(h).mean((1, 2))


def d_global_pool(delta: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint: delta (N, C) over H W at every position, in `shape`."""
    share = floats(delta) / (shape[1] * shape[2])
    return array_module(delta).ascontiguousarray(
        array_module(delta).broadcast_to(share[:, None, None, :], shape))
