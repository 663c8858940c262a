"""Unfolding an image into its patches (im2col), and the adjoint (col2im): what makes a convolution a dense layer.

Images are (N, H, W, C); patches are (N, H', W', k k C), ordered (row, column, channel) within a patch.

Here too are the helpers of all kernels that go over windows of an image (`places`, `windows`), and of those that work
on a batch in *groups*: slices of samples whose work space stays in the processor's cache.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from ..backend import Array, array_module, floats
from ..workers import count, split_among_workers

HOST_BYTES, DEVICE_BYTES = 2 << 20, 1 << 29
ALONE = 1 << 17  # an array of fewer numbers is not worth sharing if one pass over it is all that is done


def out_size(size: int, kernel: int, stride: int, pad: int) -> int:
    """Return the number of windows that fit along an axis of an image.

    Parameters
    ----------
    size, kernel, stride, pad : int
        The length of the axis, the side of a window, the step from window to window, and the width of the frame on
        either side, in pixels.

    Returns
    -------
    int

    Examples
    --------
    >>> out_size(28, 5, 1, 2), out_size(28, 2, 2, 0)
    (28, 14)
    """
    return (size + 2 * pad - kernel) // stride + 1


def padded(h: Array, pad: int, value: float = 0.0) -> Array:
    """Return an image in a frame.

    Parameters
    ----------
    h : array (N, H, W, C)
    pad : int
        The width of the frame, in pixels.
    value : float
        What the frame is filled with.

    Returns
    -------
    array (N, H + 2 pad, W + 2 pad, C)
        h itself if `pad` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> padded(np.ones((1, 1, 2, 1)), 1)[0, :, :, 0].tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    if not pad:
        return h
    n, height, width, channels = h.shape
    out = array_module(h).full((n, height + 2 * pad, width + 2 * pad, channels), value, h.dtype)
    out[:, pad:-pad, pad:-pad] = h
    return out


def unpadded(h: Array, pad: int) -> Array:
    """Return an image without its frame, as a view: the adjoint of `padded`.

    Parameters
    ----------
    h : array (N, H + 2 pad, W + 2 pad, C)
    pad : int
        The width of the frame, in pixels.

    Returns
    -------
    array (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> unpadded(np.ones((1, 3, 4, 1)), 1).shape
    (1, 1, 2, 1)
    """
    return h[:, pad:-pad, pad:-pad] if pad else h


def windows(h: Array, i: int, j: int, height: int, width: int, stride: int) -> Array:
    """Return the pixels that stand at one place of every window of a padded image, as a view.

    Parameters
    ----------
    h : array (N, H, W, C)
        The image in its frame.
    i, j : int
        The place: row and column inside a window.
    height, width : int
        The numbers of windows along both axes, H' and W'.
    stride : int
        The step from window to window, in pixels.

    Returns
    -------
    array (N, H', W', C)

    Examples
    --------
    >>> import numpy as np
    >>> windows(np.arange(16).reshape(1, 4, 4, 1), 0, 1, 2, 2, 2)[0, :, :, 0].tolist()
    [[1, 3], [9, 11]]
    """
    return h[:, i:i + stride * (height - 1) + 1:stride, j:j + stride * (width - 1) + 1:stride]


def places(rows: int, columns: int, kernel: int, stride: int) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
    """Yield every window of a padded image: where its output stands, and what to index the image with.

    Parameters
    ----------
    rows, columns : int
        The numbers of windows along both axes, H' and W'.
    kernel, stride : int
        The side of a window, and the step from window to window, in pixels.

    Yields
    ------
    y, x : int
        Row and column of the window's output.
    patch : tuple of slice
        h[patch] is the window (N, k, k, C) of every sample.

    Examples
    --------
    >>> import numpy as np
    >>> h = np.arange(16).reshape(1, 4, 4, 1)
    >>> [(y, x, h[patch].ravel().tolist()) for y, x, patch in places(1, 2, 2, 2)]
    [(0, 0, [0, 1, 4, 5]), (0, 1, [2, 3, 6, 7])]
    """
    for y in range(rows):
        for x in range(columns):
            yield y, x, (slice(None), slice(y * stride, y * stride + kernel), slice(x * stride, x * stride + kernel))


def unfold(h: Array, kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """Return every patch of an image that a kernel sees (im2col).

    Parameters
    ----------
    h : array (N, H, W, C)
    kernel, stride, pad : int
        The kernel's side k, the step from patch to patch, and the width of the frame of zeros, in pixels.

    Returns
    -------
    array (N, H', W', k k C)

    Examples
    --------
    >>> import numpy as np
    >>> unfold(np.arange(9).reshape(1, 3, 3, 1), 2)[0, 0].tolist()
    [[0, 1, 3, 4], [1, 2, 4, 5]]
    """
    n, height, width, channels = h.shape
    rows, columns = (out_size(size, kernel, stride, pad) for size in (height, width))
    h = array_module(h).ascontiguousarray(padded(h, pad))
    # of its shape, as an axis of length 1 may have any stride in h.strides, such as channels that are h[..., None]
    s_channel, s_column = h.itemsize, h.itemsize * channels
    s_row = s_column * h.shape[2]
    s_n = s_row * h.shape[1]
    # the k C numbers of one row of a patch are neighbours in memory: one strided view shows them all, one copy follows
    view = array_module(h).lib.stride_tricks.as_strided(
        h, (n, rows, columns, kernel, kernel * channels), (s_n, stride * s_row, stride * s_column, s_row, s_channel))
    return view.reshape(n, rows, columns, kernel * kernel * channels)


def fold(u: Array, shape: tuple[int, ...], kernel: int, stride: int = 1, pad: int = 0) -> Array:
    """Return the adjoint of `unfold` (col2im): patches, added up into an image.

    Parameters
    ----------
    u : array (N, H', W', k k C)
        The patches.
    shape : tuple of int
        The shape (N, H, W, C) of the image.
    kernel, stride, pad : int
        As in `unfold`.

    Returns
    -------
    array (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> fold(np.ones((1, 2, 2, 4)), (1, 3, 3, 1), 2)[0, :, :, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
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
    """Yield slices of a batch's samples, each so small that the work on it stays in the processor's cache.

    Parameters
    ----------
    h : array (N, ...)
        The batch.  Its array module says where the work is done: groups are small on the host and large on a device.
    numbers : int
        How many numbers of work space one sample needs.
    samples : slice
        The part of the batch that is divided; all of it if none is given.

    Returns
    -------
    iterator of slice
        If there are no samples, one empty slice.

    Examples
    --------
    >>> import numpy as np
    >>> list(groups(np.ones((5, 3)), HOST_BYTES // 16))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    room = HOST_BYTES if array_module(h).__name__ == "numpy" else DEVICE_BYTES
    size = max(1, room // max(numbers * h.dtype.itemsize, 1))
    first, end, _ = samples.indices(len(h))
    return (slice(start, min(start + size, end)) for start in range(first, max(end, first + 1), size))


def for_each_group(work: Callable[[slice], None], h: Array, numbers: int) -> None:
    """Call `work` with every group of a batch; if there are several workers, each has samples of its own.

    Parameters
    ----------
    work : callable
        It takes a slice of samples and writes its result where it belongs.
    h : array (N, ...)
        The batch.
    numbers : int
        How many numbers of work space one sample needs.

    Examples
    --------
    >>> import numpy as np
    >>> seen = []
    >>> for_each_group(seen.append, np.ones((3, 2)), HOST_BYTES // 16)
    >>> seen
    [slice(0, 2, None), slice(2, 3, None)]
    """
    def by_one_worker(samples: slice) -> None:
        for part in groups(h, numbers, samples):
            work(part)
    split_among_workers(by_one_worker, len(h), h)


def sum_over_groups(work: Callable[[slice], Array], h: Array, numbers: int) -> Array:
    """Return the sum of what `work` returns for every group of a batch.

    Each worker adds up the results of its own groups, in order; then the workers' sums are added up, in order.  So the
    same bits come out every time.

    Parameters
    ----------
    work : callable
        It takes a slice of samples and returns a new array: the results are added up in place.
    h : array (N, ...)
        The batch.
    numbers : int
        How many numbers of work space one sample needs.

    Returns
    -------
    array
        Of the shape that `work` returns.

    Examples
    --------
    >>> import numpy as np
    >>> h = np.arange(6.0).reshape(3, 2)
    >>> sum_over_groups(lambda part: h[part].sum(0), h, HOST_BYTES // 16).tolist()
    [6.0, 9.0]
    """
    def by_one_worker(samples: slice) -> Array:
        return added(work(part) for part in groups(h, numbers, samples))
    return added(split_among_workers(by_one_worker, len(h), h))


def elementwise(f: Callable[..., Array], *arrays: Array) -> Array:
    """Return f(*arrays); if there are several workers and the arrays are large, each has samples of its own.

    Parameters
    ----------
    f : callable
        It takes arrays of one shape and one type, or bools, and computes element by element: what it makes of floats
        has that shape and type.
    *arrays : array (N, ...)

    Returns
    -------
    array (N, ...)

    Examples
    --------
    >>> import numpy as np
    >>> elementwise(np.add, np.ones(3), np.ones(3)).tolist()
    [2.0, 2.0, 2.0]
    """
    first = arrays[0]
    if (first.size < ALONE or count(*arrays) == 1 or first.dtype.kind != "f"
            or any(array.shape != first.shape or array.dtype not in (first.dtype, bool) for array in arrays)):
        return f(*arrays)
    out = array_module(first).empty_like(first)

    def work(part: slice) -> None:
        out[part] = f(*(array[part] for array in arrays))
    for_each_group(work, first, 2 * math.prod(first.shape[1:]))
    return out


def added(parts: Iterable[Array]) -> Array:
    """Return the sum of one array or more, added up in place into the first one.

    Examples
    --------
    >>> import numpy as np
    >>> added(iter([np.ones(2), np.ones(2)])).tolist()
    [2.0, 2.0]
    """
    parts = iter(parts)
    first = next(parts)
    for part in parts:
        first += part
    return first
