"""Convolution at stride 1 in another basis: the same trilinear form, with fewer multiplications (Cook, Toom, Winograd).

Shapes are those of `convolution`: W and B are (F, k k C), h is (N, H, W, C), delta is (N, H', W', F).

How to read this file: `plain_tile` says in one line what is computed, for one tile of outputs and one channel, and
`cook_toom` makes its three matrices A, G and B from points.  In rational numbers this is the convolution exactly, and
so `plain_tile` and the plain kernels of `convolution` are the oracles of the tests.  docs/convolution.md derives it.

An image is cut into tiles of TILE x TILE outputs.  A tile reads n x n inputs, n = TILE + k - 1, which overlap with
those of the tiles next to it.  A two-sided product such as G g G^T is one product with the Kronecker square of G, in
front of arrays whose first axis is the n^2 *frequencies*:

    U = (G x G) W    (n^2, F, C)        V = (B x B) h    (n^2, tiles, C)        D = (A x A)^T delta    (n^2, tiles, F)

At each frequency stand the three kernels of `linear`: forward V U^T, feedback V U with the flipped kernel, and outer
D^T V.  So a multiplication of a pair (F, C) serves TILE^2 / n^2 outputs times k^2 weights: 4 for 3 x 3, 6.25 for 5 x 5.

Work space: a *group* of about HOST_TILES tiles at a time.  The workers (workers.py) share the groups, or, if there are
few tiles and many planes, the frequencies of one group.  Groups depend on shapes alone, so one worker and two compute
the same bits.  Results are rounded more than by patches: docs/convolution.md says how much, and `allowed` switches this
basis off.
"""
from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from ..backend import Array, alike, array_module
from ..workers import count, split_among_workers
from .unfold import DEVICE_BYTES, added, out_size

T = TypeVar("T")

TILE = 4
# by the side of the kernel: the points (and infinity, the last one) that round least in float32
POINTS = {3: tuple(map(Fraction, ("0", "5/8", "-5/8", "3/2", "-3/2"))),
          5: tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2")))}
LEAST = {3: 32, 5: 24}  # channels and planes: with fewer, the changes of basis cost more than the products save
FEWEST_TILES = 64  # U is made once for all tiles
HOST_TILES = 256  # in a group: fewer make slow products, more leave the cache
PLANES = 64  # of the weights, whose basis one worker changes at a time
PARTS = 4  # of the samples of a group that has all of them; more make slow products

_allowed: ContextVar[bool] = ContextVar("allowed", default=True)

# ---------------------------------------------------------------- what is computed


def cook_toom(points: Sequence[Fraction | int], tile: int, kernel: int) -> tuple[list[list[Fraction]], ...]:
    """Return the matrices A (tile, n), G (n, kernel) and B (n, n) of a correlation in one dimension.

    Parameters
    ----------
    points : sequence of Fraction or int
        n - 1 different numbers, n = tile + kernel - 1; the n-th point is infinity.
    tile, kernel : int
        The numbers of outputs and of weights.

    Returns
    -------
    tuple of list of list of Fraction
        A ((G g) * (B d)) is the correlation of d with g, exactly.

    Examples
    --------
    >>> A, G, B = cook_toom((0, 1, -1), 2, 3)
    >>> [[str(number) for number in row] for row in G]
    [['-1', '0', '0'], ['1/2', '1/2', '1/2'], ['1/2', '-1/2', '1/2'], ['0', '0', '1']]
    """
    p, zero, one = [Fraction(x) for x in points], Fraction(0), Fraction(1)
    A = [[x**i for x in p] + [one if i == tile - 1 else zero] for i in range(tile)]
    G = [[x**j / math.prod(x - y for y in p if y != x) for j in range(kernel)] for x in p]
    B = [[*_product_of_roots([y for y in p if y != x]), zero] for x in p]
    return A, [*G, [zero] * (kernel - 1) + [one]], [*B, _product_of_roots(p)]


def _product_of_roots(roots: Sequence[Fraction]) -> list[Fraction]:
    """Return the coefficients of the product of (t - root), that of the lowest power of t first."""
    coefficients = [Fraction(1)]
    for root in roots:
        coefficients = [low - root * high for low, high in zip([Fraction(0), *coefficients],
                                                               [*coefficients, Fraction(0)], strict=True)]
    return coefficients


def plain_tile(g: Array, d: Array, points: Sequence[Fraction | int]) -> Array:
    """Return the correlation of one tile in plain lines: change the basis of both, multiply, and change it back.

    Parameters
    ----------
    g : array (k, k)
        The kernel.
    d : array (n, n)
        The inputs of a tile.
    points : sequence of Fraction or int
        As of `cook_toom`.

    Returns
    -------
    array (n - k + 1, n - k + 1)
        The sums over i and j of g[i, j] d[y + i, x + j].  Exact, if the numbers are integers or fractions.

    Examples
    --------
    >>> import numpy as np
    >>> d = np.arange(16).reshape(4, 4)
    >>> [[int(number) for number in row] for row in plain_tile(np.eye(3, dtype=int), d, (0, 1, -1))]
    [[15, 18], [27, 30]]
    """
    xp = array_module(g, d)
    A, G, B = (xp.array(matrix) for matrix in cook_toom(points, len(d) - len(g) + 1, len(g)))
    return A @ ((G @ g @ G.T) * (B @ d @ B.T)) @ A.T


# ---------------------------------------------------------------- when


@contextmanager
def allowed(yes: bool = True) -> Iterator[None]:
    """Say, inside of a `with` block, whether a convolution of float32 may take this basis; outside of all it may.

    Parameters
    ----------
    yes : bool
        False: patches alone, which round less.

    Examples
    --------
    >>> import numpy as np
    >>> h = np.ones((64, 16, 16, 32), "float32")
    >>> with allowed(False):
    ...     suits(h, 32, 3, 1)
    False
    >>> suits(h, 32, 3, 1)
    True
    """
    outside = _allowed.set(yes)
    try:
        yield
    finally:
        _allowed.reset(outside)


def suits(h: Array, planes: int, kernel: int, pad: int) -> bool:
    """Return whether this basis is faster than patches, from the type and the shapes alone.

    Parameters
    ----------
    h : array (N, H, W, C)
        What is convolved at stride 1.
    planes : int
        The number F of planes of the result.
    kernel, pad : int
        As in `convolution.forward`.

    Returns
    -------
    bool
        float64 never suits, as what is computed in it is meant to be exact.  On a device the rule is the host's: there,
        too, the products are fewer, and less memory is written than for patches.

    Examples
    --------
    >>> import numpy as np
    >>> [suits(np.ones((64, 16, 16, 32), dtype), 32, 3, 1) for dtype in ("float32", "float64")]
    [True, False]
    """
    samples, height, width, channels = h.shape
    if h.dtype != "float32" or kernel not in POINTS or pad >= kernel or not _allowed.get():
        return False
    rows, columns = out_size(height, kernel, 1, pad), out_size(width, kernel, 1, pad)
    tiles = samples * -(-rows // TILE) * -(-columns // TILE)
    filled = 3 * samples * rows * columns >= 2 * TILE**2 * tiles
    return min(channels, planes) >= LEAST[kernel] and tiles >= FEWEST_TILES and filled


# ---------------------------------------------------------------- the three kernels


def forward(W: Array, h: Array, kernel: int, pad: int) -> Array:
    """Return the convolution of h with W at stride 1: `convolution.forward`, in this basis.

    Parameters
    ----------
    W : array (F, k k C)
        The weights of F kernels, ordered (row, column, channel).
    h : array (N, H, W, C)
        The images, of the type of W: float32.
    kernel, pad : int
        The kernel's side k, and the width of the frame of zeros, which is below k, in pixels.

    Returns
    -------
    array (N, H', W', F)

    Examples
    --------
    >>> import numpy as np
    >>> forward(np.ones((1, 9), "float32"), np.ones((1, 2, 4, 1), "float32"), 3, 1)[0, :, :, 0].round(3).tolist()
    [[4.0, 6.0, 6.0, 4.0], [4.0, 6.0, 6.0, 4.0]]
    """
    W, h = alike(W, h)
    return _convolved(_weights(W.reshape(len(W), kernel**2, -1).transpose(1, 2, 0), kernel), h, kernel, pad)


def feedback(B: Array, delta: Array, kernel: int, pad: int) -> Array:
    """Return the adjoint of `forward` in h, which is a convolution of delta with the flipped kernel.

    Parameters
    ----------
    B : array (F, k k C)
        Weights, or feedback weights in their place.
    delta : array (N, H', W', F)
        The error signal at the output.
    kernel, pad : int
        As in `forward`.

    Returns
    -------
    array (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> feedback(np.ones((1, 9), "float32"), np.ones((1, 1, 2, 1), "float32"), 3, 0)[0, :, :, 0].round(3).tolist()
    [[1.0, 2.0, 2.0, 1.0], [1.0, 2.0, 2.0, 1.0], [1.0, 2.0, 2.0, 1.0]]
    """
    B, delta = alike(B, delta)
    flipped = B.reshape(len(B), kernel**2, -1)[:, ::-1].swapaxes(0, 1)
    return _convolved(_weights(flipped, kernel), delta, kernel, kernel - 1 - pad)


def outer(delta: Array, h: Array, kernel: int, pad: int) -> Array:
    """Return the adjoint of `forward` in W; it is added up over all tiles in this basis, and brought back once.

    Parameters
    ----------
    delta : array (N, H', W', F)
        The error signal at the output.
    h : array (N, H, W, C)
        The images.
    kernel, pad : int
        As in `forward`.

    Returns
    -------
    array (F, k k C)

    Examples
    --------
    >>> import numpy as np
    >>> outer(np.ones((1, 2, 4, 1), "float32"), np.ones((1, 2, 4, 1), "float32"), 3, 1).round(3).tolist()
    [[3.0, 4.0, 3.0, 6.0, 8.0, 6.0, 3.0, 4.0, 3.0]]
    """
    delta, h = alike(delta, h)
    (_, rows, columns, planes), channels = delta.shape, h.shape[3]
    xp, (A, G, B) = array_module(delta, h), _basis(kernel, h)
    groups = _groups(h, rows, columns, kernel, planes)

    def by_tiles(group: Group) -> Array:
        V, D = _tiles(B, h, group, TILE + kernel - 1, pad), _tiles(A.T, delta, group, TILE, 0)
        return _products(D.swapaxes(1, 2), V)
    # two halves even for one worker, so that two workers have the same sums
    halves = _parts(len(groups), max(2, count(h)))
    first, *others = _shared(lambda half: added(map(by_tiles, groups[half])), halves, h)
    out = xp.empty((planes, kernel**2, channels), h.dtype)

    def back(part: slice) -> None:
        S = sum((other[:, part] for other in others), first[:, part])
        S = xp.ascontiguousarray(S).reshape(len(S), -1)
        out[part] = xp.matmul(G.T, S).reshape(kernel**2, -1, channels).swapaxes(0, 1)
    _shared(back, _parts(planes, planes // PLANES), h)
    return out.reshape(planes, -1)


# ---------------------------------------------------------------- how


class Group(NamedTuple):
    """Some samples, and some bands of each: rows of tiles, with `wide` tiles in a band.

    Examples
    --------
    >>> Group(slice(0, 2), slice(0, 4), 4).wide
    4
    """

    samples: slice
    bands: slice
    wide: int


@lru_cache
def _squares(kernel: int) -> tuple[tuple[array[float], tuple[int, int]], ...]:
    """Return the numbers of the Kronecker squares of A, G and B, and the shape of each."""
    return tuple((array("d", [float(a * b) for row in M for other in M for a in row for b in other]),
                  (len(M)**2, len(M[0])**2)) for M in cook_toom(POINTS[kernel], TILE, kernel))


def _basis(kernel: int, h: Array) -> list[Array]:
    """Return the Kronecker squares of A (TILE^2, n^2), G (n^2, k^2) and B (n^2, n^2), with the module and type of h."""
    xp = array_module(h)
    return [xp.asarray(numbers).astype(h.dtype).reshape(shape) for numbers, shape in _squares(kernel)]


def _weights(W: Array, kernel: int) -> Array:
    """Return weights (k^2, C, F), of C channels that come and F planes that go, in the basis: U (n^2, C, F).

    In this order the product at a frequency reads both factors along their rows: with AVX-512 it takes up to a tenth
    less time than V U^T.
    """
    xp, G, (_, channels, planes) = array_module(W), _basis(kernel, W)[1], W.shape
    U = xp.empty((len(G), channels * planes), W.dtype)

    def change(part: slice) -> None:
        w = xp.ascontiguousarray(W[:, part]).reshape(kernel**2, -1)
        xp.matmul(G, w, out=U[:, planes * part.start:planes * part.stop])
    _shared(change, _parts(channels, channels // PLANES), W)
    return U.reshape(len(G), channels, planes)


def _convolved(U: Array, h: Array, kernel: int, pad: int) -> Array:
    """Return the convolution of h (N, H, W, C) with U (n^2, C, F)."""
    (rows, columns), planes = (out_size(size, kernel, 1, pad) for size in h.shape[1:3]), U.shape[2]
    xp, (A, _, B) = array_module(h), _basis(kernel, h)
    out = xp.empty((len(h), rows, columns, planes), h.dtype)

    def work(group: Group) -> None:
        to = out[group.samples, TILE * group.bands.start:TILE * group.bands.stop]
        high = group.bands.stop - group.bands.start
        Y = _products(_tiles(B, h, group, TILE + kernel - 1, pad), U)
        a = xp.matmul(A, Y.reshape(len(Y), -1)).reshape(TILE, TILE, len(to), high, group.wide, planes)
        a = a.transpose(2, 3, 0, 4, 1, 5).reshape(len(to), TILE * high, TILE * group.wide, planes)
        to[...] = a[:, :to.shape[1], :columns]
    _shared(work, _groups(h, rows, columns, kernel, planes), h)
    return out


def _tiles(M: Array, h: Array, group: Group, size: int, pad: int) -> Array:
    """Return M times the tiles of a group, size x size each, one every TILE pixels: (len(M), tiles, C).

    If the group has all samples, the workers share them, in parts that follow from shapes alone.
    """
    xp, (samples, height, width, channels) = array_module(h), h.shape
    high, alone = group.bands.stop - group.bands.start, group.samples.stop - group.samples.start == samples
    h, top, each = h[group.samples], TILE * group.bands.start - pad, high * group.wide * channels
    out = xp.empty((len(M), len(h) * each), h.dtype)

    def some(part: slice) -> None:
        x = xp.zeros((part.stop - part.start, TILE * (high - 1) + size, TILE * (group.wide - 1) + size, channels),
                     h.dtype)
        first, end = max(top, 0), min(top + x.shape[1], height)
        x[:, first - top:end - top, pad:pad + width] = h[part, first:end, :x.shape[2] - pad]
        s_n, s_row, s_column, s_channel = x.strides
        d = xp.lib.stride_tricks.as_strided(x, (size, size, len(x), high, group.wide, channels),
                                            (s_row, s_column, s_n, TILE * s_row, TILE * s_column, s_channel))
        xp.matmul(M, d.reshape(size**2, -1), out=out[:, each * part.start:each * part.stop])
    _shared(some, _parts(len(h), PARTS if alone else 1), h)
    return out.reshape(len(M), -1, channels)


def _products(X: Array, Y: Array) -> Array:
    """Return the product at each frequency; the workers share the frequencies, unless this is one worker's part."""
    xp = array_module(X, Y)
    out = xp.empty((len(X), X.shape[1], Y.shape[2]), X.dtype)
    split_among_workers(lambda some: xp.matmul(X[some], Y[some], out=out[some]), len(X), X)
    return out


def _groups(h: Array, rows: int, columns: int, kernel: int, planes: int) -> list[Group]:
    """Return the groups, which follow from shapes alone."""
    high, wide, channels = -(-rows // TILE), -(-columns // TILE), h.shape[3]
    each, room = high * wide, HOST_TILES
    if array_module(h).__name__ != "numpy":
        room = DEVICE_BYTES // (h.dtype.itemsize * (TILE + kernel - 1)**2 * (channels + planes))
    bands = _parts(high, -(-each // room))
    if len(bands) > 1:
        samples = _parts(len(h), len(h))
    elif len(h) * each < max(channels, planes):
        # two groups would read all of U twice for few tiles: the workers share the frequencies of one group
        samples = [slice(0, len(h))]
    else:
        samples = _parts(len(h), 2 * -(-len(h) * each // (2 * room)))  # two workers have equally many
    return [Group(some, band, wide) for some in samples for band in bands]


def _parts(length: int, count: int) -> list[slice]:
    """Return slices of a range, about equally long: that many, but at least one, and none that is empty."""
    count = max(1, min(length, count))
    return [slice(i * length // count, (i + 1) * length // count) for i in range(count)]


def _shared(work: Callable[[Any], T], parts: Sequence[Any], h: Array) -> list[T]:
    """Return what the work on every part returned; the workers share the parts."""
    shares = split_among_workers(lambda mine: [work(part) for part in parts[mine]], len(parts), h)
    return [result for share in shares for result in share]
