"""Convolution: the three linear kernels on patches, a few samples at a time.

W and B are (F, k k C), h is (N, H, W, C), delta (N, H', W', F).  Patches are made, used and forgotten in groups of
samples that stay in the processor's cache: nothing of the size of all patches ever exists.  Workers, where there are
several, have samples of their own.

Where the stride is 1 and a row of a patch is not narrower than F, patches are unfolded along the width alone, and
each of the k rows of the kernel is a product by itself, on rows that lie side by side in memory: k times fewer
numbers are copied, and rows of padding are never multiplied.  Else patches are unfolded whole.
"""
from __future__ import annotations

from collections.abc import Iterator

from ..backend import Array, alike, array_module
from . import linear
from .unfold import fold, for_each_group, out_size, sum_over_groups, unfold


def forward(W: Array, h: Array, kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """The convolution of h with W, (N, H', W', F)."""
    W, h = alike(W, h)
    n, height, width, channels = h.shape
    rows, columns = (out_size(size, kernel, stride, pad) for size in (height, width))
    xp = array_module(W, h)
    a = xp.empty((n, rows, columns, len(W)), h.dtype)
    if stride > 1 or kernel * channels < len(W):
        def whole(part: slice) -> None:
            a[part] = linear.forward(W, unfold(h[part], kernel, stride, pad))
        for_each_group(whole, h, rows * columns * W.shape[1])
        return a
    W_rows = _by_rows(W, kernel)

    def by_rows(part: slice) -> None:
        u = _unfold_width(h[part], kernel, pad)
        # the kernel's middle row reaches furthest, most often everywhere: its product is what the others add to
        (i, to, of), *others = sorted(_reach(height, rows, kernel, pad), key=lambda row: row[1].start - row[1].stop)
        out = linear.forward(W_rows[i], u[of])
        if len(out) < rows:
            out, part_of = xp.zeros((rows, *out.shape[1:]), h.dtype), out
            out[to] = part_of
        for i, to, of in others:
            out[to] += linear.forward(W_rows[i], u[of])
        a[part] = out.reshape(rows, -1, columns, len(W)).swapaxes(0, 1)
    for_each_group(by_rows, h, height * columns * kernel * channels)
    return a


def feedback(B: Array, delta: Array, shape: tuple[int, ...], kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """The adjoint of `forward` in h: delta carried down through B to an image of `shape`."""
    if stride == 1 and pad < kernel:
        # the adjoint is a convolution itself: the kernel flipped, channels exchanged
        channels = shape[-1]
        flipped = B.reshape(len(B), kernel, kernel, channels)[:, ::-1, ::-1].transpose(3, 1, 2, 0)
        flipped = array_module(B).ascontiguousarray(flipped).reshape(channels, -1)
        return forward(flipped, delta, kernel, 1, kernel - 1 - pad)
    B, delta = alike(B, delta)
    down = array_module(B, delta).empty(shape, delta.dtype)

    def some(part: slice) -> None:
        u = linear.feedback(B, delta[part])
        down[part] = fold(u, (len(u), *shape[1:]), kernel, stride, pad)
    for_each_group(some, delta, delta.shape[1] * delta.shape[2] * B.shape[1])
    return down


def outer(delta: Array, h: Array, kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """The adjoint of `forward` in W: delta times the patches of h, summed over samples and positions, (F, k k C)."""
    delta, h = alike(delta, h)
    _, rows, columns, planes = delta.shape
    height, channels = h.shape[1], h.shape[3]
    xp, row = array_module(delta, h), kernel * channels
    if stride > 1 or row < planes:
        return sum_over_groups(lambda part: linear.outer(delta[part], unfold(h[part], kernel, stride, pad)), h,
                     rows * columns * kernel * row)

    def by_rows(part: slice) -> Array:
        u = _unfold_width(h[part], kernel, pad)
        d = xp.ascontiguousarray(delta[part].swapaxes(0, 1)).reshape(rows, -1, planes)
        G = xp.zeros((kernel, planes, row), delta.dtype)
        for i, to, of in _reach(height, rows, kernel, pad):
            G[i] = linear.outer(d[to], u[of])
        return G
    G_rows = sum_over_groups(by_rows, h, height * columns * row)
    return xp.ascontiguousarray(G_rows.swapaxes(0, 1)).reshape(planes, -1)


def _unfold_width(h: Array, kernel: int, pad: int) -> Array:
    """Every row of every patch, of h (n, H, W, C): (H, n W', k C), the height first."""
    n, height, width, channels = h.shape
    xp, columns = array_module(h), out_size(width, kernel, 1, pad)
    wide = xp.zeros((height, n, width + 2 * pad, channels), h.dtype)
    wide[:, :, pad:pad + width] = h.swapaxes(0, 1)
    view = xp.lib.stride_tricks.as_strided(wide, (height, n, columns, kernel * channels), wide.strides)
    return view.reshape(height, n * columns, kernel * channels)


def _by_rows(W: Array, kernel: int) -> Array:
    """(F, k k C) as one contiguous (F, k C) for each row of the kernel."""
    return array_module(W).ascontiguousarray(W.reshape(len(W), kernel, -1).swapaxes(0, 1))


def _reach(height: int, rows: int, kernel: int, pad: int) -> Iterator[tuple[int, slice, slice]]:
    """For each row i of the kernel, the output rows that it reaches, and the input rows that it reads for them."""
    for i in range(kernel):
        first, last = max(0, pad - i), min(rows, height + pad - i)
        if first < last:
            yield i, slice(first, last), slice(first + i - pad, last + i - pad)
