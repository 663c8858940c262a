"""Heads: linear maps from a block's output to the network's output space.

The one object is the local module of LAS and LTAS, the random projection of DFA, and a local classifier: the
correspondence between a module's forward weights and a direct feedback path is that they are one array B,
shaped like the forward map that it stands for, (C, F) beside a dense layer.

    init(rng, shape, classes, draw)   -> B
    forward(B, h)                     -> (N, classes)         what the module says
    send(B, e, shape)                 -> array of `shape`     the adjoint: the direct feedback path
    grad(B, h, error)                 -> like B               the module's own gradient, error (N, classes)
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .backend import Array, array_module
from .errors import InputError
from .feedback import Draw
from .kernels import convolution, linear, pool
from .kernels.unfold import groups, out_size, unfold


class Head(Protocol):
    """The four methods above."""

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int, draw: Draw) -> Array: ...

    def forward(self, B: Array, h: Array) -> Array: ...

    def send(self, B: Array, e: Array, shape: tuple[int, ...]) -> Array: ...

    def grad(self, B: Array, h: Array, error: Array) -> Array: ...


@dataclass(frozen=True)
class DenseHead:
    """A full matrix B (C, F) on all F units of the block's output, flattened."""

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int, draw: Draw) -> Array:
        return draw(rng, (classes, math.prod(shape)))

    def forward(self, B: Array, h: Array) -> Array:
        return linear.forward(B, h.reshape(len(h), -1))

    def send(self, B: Array, e: Array, shape: tuple[int, ...]) -> Array:
        return linear.feedback(B, e).reshape(shape)

    def grad(self, B: Array, h: Array, error: Array) -> Array:
        return linear.outer(error, h.reshape(len(h), -1))


@dataclass(frozen=True)
class ConvHead:
    """A convolution with C planes and the global average of each, B (C, k k planes).  LAS paper, section III-C.

    The average of a convolution is linear in the mean patch, so the head is a dense one on that: no convolution is
    ever computed.  Its adjoint, the feedback path, is one matrix (C, H W planes): the kernel flipped, channels
    exchanged and 1 / (H' W'), which the paper does not print.  With `average` False that factor is left out of the
    feedback, as the paper's published code does; then `send` is not the adjoint of `forward`.
    """

    kernel: int
    stride: int = 1
    pad: int = 0
    average: bool = True

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int, draw: Draw) -> Array:
        return draw(rng, (classes, self.kernel**2 * shape[-1]))

    def forward(self, B: Array, h: Array) -> Array:
        return linear.forward(B, self.patch(h))

    def send(self, B: Array, e: Array, shape: tuple[int, ...]) -> Array:
        _, height, width, planes = shape
        spread = self.spread(B, height, width)
        scale = 1 if self.average else self.positions(height, width)
        kernel = (scale * spread.T) @ B.reshape(len(B), self.kernel**2, planes)    # (C, H W, planes)
        return linear.feedback(kernel.reshape(len(B), -1), e).reshape(shape)

    def grad(self, B: Array, h: Array, error: Array) -> Array:
        return linear.outer(error, self.patch(h))

    def patch(self, h: Array) -> Array:
        """The mean over all patches of h (N, H, W, planes), (N, k k planes)."""
        n, height, width, planes = h.shape
        mean = self.spread(h, height, width) @ h.reshape(n, height * width, planes)
        return mean.reshape(n, self.kernel**2 * planes)

    def spread(self, like: Array, height: int, width: int) -> Array:
        """What each position of an image weighs in each place of the mean patch, (k k, H W)."""
        rows, columns = (out_size(size, self.kernel, self.stride, self.pad) for size in (height, width))
        xp, k, pad = array_module(like), self.kernel, self.pad
        R = xp.zeros((k, k, height + 2 * pad, width + 2 * pad), like.dtype)
        for i in range(k):
            for j in range(k):
                part = R[i, j, i:i + self.stride * rows:self.stride, j:j + self.stride * columns:self.stride]
                part += 1 / (rows * columns)
        return R[:, :, pad:pad + height, pad:pad + width].reshape(k * k, height * width)

    def positions(self, height: int, width: int) -> int:
        """How many the convolution's output has, H' W'."""
        return math.prod(out_size(size, self.kernel, self.stride, self.pad) for size in (height, width))


@dataclass(frozen=True)
class MaxConvHead(ConvHead):
    """As ConvHead with the global maximum in the place of the average: what the LAS paper's published code does.

    It learns by the exact gradient, through the positions that win.  What it sends is not its adjoint, which a maximum
    has none of: the adjoint of the average, without the 1 / (H' W').
    """

    average: bool = False

    def forward(self, B: Array, h: Array) -> Array:
        a = convolution.forward(B, h, self.kernel, self.stride, self.pad)
        return a.max((1, 2))

    def grad(self, B: Array, h: Array, error: Array) -> Array:
        xp = array_module(B, h, error)
        G = xp.zeros((len(B), 1, B.shape[1]), B.dtype)
        for part in groups(h, self.positions(*h.shape[1:3]) * B.shape[1]):
            patches = unfold(h[part], self.kernel, self.stride, self.pad).reshape(len(h[part]), -1, B.shape[1])
            won = linear.forward(B, patches).argmax(1)
            # (C, 1, n) times (C, n, k k planes): each class has winners of its own
            G += xp.matmul(error[part].T[:, None], xp.take_along_axis(patches, won[:, :, None], 1).swapaxes(0, 1))
        return G[:, 0]


@dataclass(frozen=True)
class PoolHead:
    """Average pooling over windows, and a full matrix B (C, F) on what is left; without pooling on vectors (N, F).

    The local classifier of Woo 2023, section 5.2.4, has 2x2 windows; that of Nokland and Eidnes 2019 as large ones as
    leave at most so many features: with `most` the window doubles until F does not exceed it.  A window is never larger
    than the image; rows and columns that fill no window are not seen, as usual in average pooling.  Raises InputError
    for a size below 1.
    """

    window: int = 2
    most: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("window", self.window), ("most", self.most)):
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int, draw: Draw) -> Array:
        size = self.size(shape)
        side = [n // size for n in shape[:-1]]
        return draw(rng, (classes, math.prod(side) * shape[-1]))

    def forward(self, B: Array, h: Array) -> Array:
        return linear.forward(B, self.pooled(h))

    def send(self, B: Array, e: Array, shape: tuple[int, ...]) -> Array:
        sent, size = linear.feedback(B, e), self.size(shape[1:])
        if size == 1:
            return sent.reshape(shape)
        n, height, width, planes = shape
        return pool.d_avg_pool(sent.reshape(n, height // size, width // size, planes), shape, size, size)

    def grad(self, B: Array, h: Array, error: Array) -> Array:
        return linear.outer(error, self.pooled(h))

    def pooled(self, h: Array) -> Array:
        """The features that the matrix reads, (N, F)."""
        size = self.size(h.shape[1:])
        return (h if size == 1 else pool.avg_pool(h, size, size)).reshape(len(h), -1)

    def size(self, shape: tuple[int, ...]) -> int:
        """The window's side on samples of that shape; 1 is no pooling."""
        if len(shape) == 1:
            return 1
        size, least = self.window, min(shape[:2])
        while self.most is not None and size < least and math.prod(n // size for n in shape[:2]) * shape[2] > self.most:
            size *= 2
        return min(size, least)
