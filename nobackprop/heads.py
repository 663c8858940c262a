"""Heads: linear maps from a block's output to the network's output space.

One kind of object serves as the local module of LAS and LTAS, as the random projection of DFA, and as a local
classifier.  A module's forward weights and its direct feedback path are one array B.  B has the shape of the forward
map: (C, F) next to a dense layer, C being the number of classes and F that of the block's outputs.

    init(rng, shape, classes, draw)   -> B
    features(shape)                   -> F, the number of columns of B
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
from .errors import integer, yes_or_no
from .feedback import Draw, drawn
from .kernels import convolution, linear, pool
from .kernels.unfold import groups, out_size, unfold


class Head(Protocol):
    """The five methods that every head has.

    Examples
    --------
    The feedback path is the adjoint of the module: both give the same inner product.

    >>> import numpy as np
    >>> head, rng = DenseHead(), np.random.default_rng(0)
    >>> B = head.init(rng, (4,), 3, lambda rng, shape: rng.integers(-3, 4, shape).astype(float))
    >>> h, e = np.arange(8.0).reshape(2, 4), np.ones((2, 3))
    >>> bool((head.forward(B, h) * e).sum() == (h * head.send(B, e, h.shape)).sum())
    True
    """

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int, draw: Draw) -> Array:
        """Draw B.

        Parameters
        ----------
        rng : numpy.random.Generator
        shape : tuple of int
            The shape of one sample at the block's output.
        classes : int
            The number C of classes.
        draw : callable
            draw(rng, shape) returns an array, see feedback.py.

        Returns
        -------
        array
            B, with C rows, in float64.
        """
        ...

    def features(self, shape: tuple[int, ...]) -> int:
        """Return the number of columns that B has next to a block whose output has `shape`, for one sample."""
        ...

    def forward(self, B: Array, h: Array) -> Array:
        """Return what the module says, (N, C), of the block's output h (N, ...)."""
        ...

    def send(self, B: Array, e: Array, shape: tuple[int, ...]) -> Array:
        """Return the error e (N, C), carried directly to a block whose output has `shape` (N, ...)."""
        ...

    def grad(self, B: Array, h: Array, error: Array) -> Array:
        """Return the gradient of B, of the block's output h (N, ...) and the module's own error (N, C)."""
        ...


def rows(h: Array) -> Array:
    """Return h (N, ...) as vectors (N, F), also if there are no samples.

    Examples
    --------
    >>> import numpy as np
    >>> rows(np.zeros((0, 2, 3))).shape
    (0, 6)
    """
    return h.reshape(len(h), math.prod(h.shape[1:]))


@dataclass(frozen=True)
class DenseHead:
    """A full matrix B (C, F) on all F units of the block's output, flattened.

    Examples
    --------
    >>> import numpy as np
    >>> DenseHead().send(np.array([[1.0, 2.0]]), np.array([[10.0]]), (1, 2)).tolist()
    [[10.0, 20.0]]
    """

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int, draw: Draw) -> Array:
        return drawn(rng, (classes, self.features(shape)), draw)

    def features(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape)

    def forward(self, B: Array, h: Array) -> Array:
        return linear.forward(B, rows(h))

    def send(self, B: Array, e: Array, shape: tuple[int, ...]) -> Array:
        return linear.feedback(B, e).reshape(shape)

    def grad(self, B: Array, h: Array, error: Array) -> Array:
        return linear.outer(error, rows(h))


@dataclass(frozen=True)
class ConvHead:
    """A convolution with C planes and the global average of each plane: B (C, k k planes).

    Parameters
    ----------
    kernel, stride, pad : int
        The side k of the kernel, its step and the width of the frame of zeros, in pixels.
    average : bool
        Whether the feedback has the factor 1 / (H' W') of the average.  With False it has not, as in the published code
        of the paper; then `send` is not the adjoint of `forward`.

    Notes
    -----
    Yang, Lee, Park 2024, section III-C.  The average of a convolution is linear in the mean patch.  So the head is a
    dense one on the mean patch, and no convolution is ever computed.  Its adjoint, the feedback path, is one matrix
    (C, H W planes): the kernel flipped, channels exchanged, and the factor 1 / (H' W'), which the paper does not print.

    Examples
    --------
    >>> import numpy as np
    >>> head = ConvHead(3, pad=1)
    >>> B = head.init(np.random.default_rng(0), (8, 8, 4), 10, lambda rng, shape: rng.standard_normal(shape))
    >>> B.shape, head.forward(B, np.ones((2, 8, 8, 4))).shape
    ((10, 36), (2, 10))
    """

    kernel: int
    stride: int = 1
    pad: int = 0
    average: bool = True

    def __post_init__(self) -> None:
        for name, low in (("kernel", 1), ("stride", 1), ("pad", 0)):
            object.__setattr__(self, name, integer(f"{name} of {type(self).__name__}", getattr(self, name), low))
        yes_or_no(f"average of {type(self).__name__}", self.average)

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int, draw: Draw) -> Array:
        return drawn(rng, (classes, self.features(shape)), draw)

    def features(self, shape: tuple[int, ...]) -> int:
        return self.kernel**2 * shape[-1]

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
        """Return the mean over all patches of h (N, H, W, planes), (N, k k planes)."""
        n, height, width, planes = h.shape
        mean = self.spread(h, height, width) @ h.reshape(n, height * width, planes)
        return mean.reshape(n, self.kernel**2 * planes)

    def spread(self, like: Array, height: int, width: int) -> Array:
        """Return what each position of an image weighs in each place of the mean patch, (k k, H W).

        `like` is an array of the wanted type and module.
        """
        rows, columns = (out_size(size, self.kernel, self.stride, self.pad) for size in (height, width))
        xp, k, pad = array_module(like), self.kernel, self.pad
        R = xp.zeros((k, k, height + 2 * pad, width + 2 * pad), like.dtype)
        for i in range(k):
            for j in range(k):
                part = R[i, j, i:i + self.stride * rows:self.stride, j:j + self.stride * columns:self.stride]
                part += 1 / (rows * columns)
        return R[:, :, pad:pad + height, pad:pad + width].reshape(k * k, height * width)

    def positions(self, height: int, width: int) -> int:
        """Return the number H' W' of positions that the convolution's output has."""
        return math.prod(out_size(size, self.kernel, self.stride, self.pad) for size in (height, width))


@dataclass(frozen=True)
class MaxConvHead(ConvHead):
    """The head of the LAS paper's published code: as ConvHead, with the global maximum in the place of the average.

    Notes
    -----
    It learns by the exact gradient, through the positions that win.  A maximum is not linear and has no adjoint; what
    the head sends is the adjoint of the average, without the factor 1 / (H' W').

    Examples
    --------
    >>> import numpy as np
    >>> MaxConvHead(1).forward(np.array([[1.0]]), np.array([3.0, 7.0]).reshape(1, 1, 2, 1)).tolist()
    [[7.0]]
    """

    average: bool = False

    def forward(self, B: Array, h: Array) -> Array:
        a = convolution.forward(B, h, self.kernel, self.stride, self.pad)
        return a.max((1, 2))

    def grad(self, B: Array, h: Array, error: Array) -> Array:
        xp = array_module(B, h, error)
        G = xp.zeros((len(B), 1, B.shape[1]), B.dtype)
        positions = self.positions(*h.shape[1:3])
        for part in groups(h, positions * B.shape[1]):
            patches = unfold(h[part], self.kernel, self.stride, self.pad).reshape(-1, positions, B.shape[1])
            won = linear.forward(B, patches).argmax(1)
            # (C, 1, n) times (C, n, k k planes): each class has winners of its own
            G += xp.matmul(error[part].T[:, None], xp.take_along_axis(patches, won[:, :, None], 1).swapaxes(0, 1))
        return G[:, 0]


@dataclass(frozen=True)
class PoolHead:
    """Average pooling over windows, and a full matrix B (C, F) on what is left; on vectors (N, F) without pooling.

    Parameters
    ----------
    window : int
        The side of a window, in pixels, at least 1.
    most : int or None
        If it is given, the window doubles until the number F of features is at most this.

    Raises
    ------
    InputError
        If one of the two is below 1.

    Notes
    -----
    The local classifier of Woo 2023, section 5.2.4, has windows of 2x2; that of Nokland and Eidnes 2019 has windows
    that leave at most a certain number of features.  A window is never larger than the image.  Rows and columns that
    fill no window are not seen, as is usual in average pooling.

    Examples
    --------
    >>> PoolHead(1, most=16).size((8, 8, 4)), PoolHead().size((64,))
    (4, 1)
    """

    window: int = 2
    most: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("window", self.window), ("most", self.most)):
            if value is not None or name == "window":
                integer(name, value, 1)

    def init(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int, draw: Draw) -> Array:
        return drawn(rng, (classes, self.features(shape)), draw)

    def features(self, shape: tuple[int, ...]) -> int:
        size = self.size(shape)
        return math.prod(n // size for n in shape[:-1]) * shape[-1]

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
        """Return the features that the matrix reads, (N, F), of the block's output h (N, ...)."""
        size = self.size(h.shape[1:])
        return rows(h if size == 1 else pool.avg_pool(h, size, size))

    def size(self, shape: tuple[int, ...]) -> int:
        """Return the side of the window on samples of `shape`; 1 means no pooling."""
        if len(shape) == 1:
            return 1
        size, least = self.window, min(shape[:2])
        while self.most is not None and size < least and math.prod(n // size for n in shape[:2]) * shape[2] > self.most:
            size *= 2
        return min(size, least)
