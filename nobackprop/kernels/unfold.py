"""Unfolding an image into its patches (im2col), and the adjoint (col2im): what makes a convolution a dense layer.

Images are (N, H, W, C); patches are (N, H', W', k k C), ordered (row, column, channel) within a patch.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..backend import Array, array_module, floats
from ..workers import split_among_workers

HOST_BYTES, DEVICE_BYTES = 2 << 20, 1 << 29


def out_size(size: int, kernel: int, stride: int, pad: int) -> int:
    """How many windows fit along an axis of that size."""
    return (size + 2 * pad - kernel) // stride + 1


def padded(h: Array, pad: int, value: float = 0.0) -> Array:
    """h (N, H, W, C) in a frame of `value`, `pad` wide; h itself where that is 0."""
    if not pad:
        return h
    n, height, width, channels = h.shape
    out = array_module(h).full((n, height + 2 * pad, width + 2 * pad, channels), value, h.dtype)
    out[:, pad:-pad, pad:-pad] = h
    return out


def unpadded(h: Array, pad: int) -> Array:
    """h (N, H, W, C) without its frame: the adjoint of `padded`."""
    return h[:, pad:-pad, pad:-pad] if pad else h


def windows(h: Array, i: int, j: int, height: int, width: int, stride: int) -> Array:
    """The view (N, height, width, C) of what stands at place (i, j) of every window of h, which is padded."""
    return h[:, i:i + stride * (height - 1) + 1:stride, j:j + stride * (width - 1) + 1:stride]


def unfold(h: Array, kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """Every patch of h (N, H, W, C) that a kernel sees, (N, H', W', k k C)."""
    n, height, width, channels = h.shape
    rows, columns = (out_size(size, kernel, stride, pad) for size in (height, width))
    h = array_module(h).ascontiguousarray(padded(h, pad))
    s_n, s_row, s_column, s_channel = h.strides
    # one row of a patch is k C numbers side by side in memory: copied once, out of one strided view
    view = array_module(h).lib.stride_tricks.as_strided(
        h, (n, rows, columns, kernel, kernel * channels), (s_n, stride * s_row, stride * s_column, s_row, s_channel))
    return view.reshape(n, rows, columns, kernel * kernel * channels)


def fold(u: Array, shape: tuple[int, ...], kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """The adjoint of `unfold`: patches u (N, H', W', k k C) added up into an image of `shape` (N, H, W, C)."""
    n, height, width, channels = shape
    rows, columns = u.shape[1:3]
    u = floats(u).reshape(n, rows, columns, kernel, kernel, channels)
    out = array_module(u).zeros((n, height + 2 * pad, width + 2 * pad, channels), u.dtype)
    for i in range(kernel):
        for j in range(kernel):
            part = windows(out, i, j, rows, columns, stride)
            part += u[:, :, :, i, j]
    return unpadded(out, pad)


def groups(h: Array, numbers: int, samples: slice = slice(None)) -> Iterator[slice]:
    """Slices of `samples` of a batch h (N, ...) of which each needs so many `numbers` of work space.

    Small enough for the processor's cache on the host; large ones on a device.  Without samples, one empty slice.
    """
    room = HOST_BYTES if array_module(h).__name__ == "numpy" else DEVICE_BYTES
    size = max(1, room // max(numbers * h.dtype.itemsize, 1))
    first, end, _ = samples.indices(len(h))
    return (slice(start, min(start + size, end)) for start in range(first, max(end, first + 1), size))


def for_each_group(work: Callable[[slice], None], h: Array, numbers: int) -> None:
    """work(part) for every group of a batch h (N, ...), the workers having samples of their own."""
    def some(samples: slice) -> None:
        for part in groups(h, numbers, samples):
            work(part)
    split_among_workers(some, len(h), h)


def sum_over_groups(work: Callable[[slice], Array], h: Array, numbers: int) -> Array:
    """The sum of work(part) over the groups of a batch h (N, ...), each worker's by itself and then theirs, in order.

    The results of `work` are added up in place.
    """
    def some(samples: slice) -> Array:
        return _added(work(part) for part in groups(h, numbers, samples))
    return _added(split_among_workers(some, len(h), h))


def _added(parts: Iterable[Array]) -> Array:
    parts = iter(parts)
    first = next(parts)
    for part in parts:
        first += part
    return first
