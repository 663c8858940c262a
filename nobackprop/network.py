"""A network, its tape, and the one backward walk of this package."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np

from .backend import Array, array_module
from .errors import InputError, unknown
from .kernels.loss import DEFAULT_LOSS, LOSSES
from .layers import Conv, Layer, Sequential, Shape
from .tape import ALL, Keep, Kept
from .tree import Tree, tree_map


@dataclass(frozen=True)
class Network:
    """Blocks from the input up, and the loss on the last one's output.

    Block boundaries are where a rule may act: one (dense, activation) pair a block gives the papers' fully
    connected equations.  The last block is linear: softmax belongs to the loss.
    """

    blocks: tuple[Layer, ...]
    loss: str = DEFAULT_LOSS

    def __post_init__(self) -> None:
        if self.loss not in tuple(LOSSES):
            raise unknown("loss", str(self.loss), LOSSES)

    def __len__(self) -> int:
        return len(self.blocks)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.blocks)

    @overload
    def __getitem__(self, i: int) -> Layer: ...

    @overload
    def __getitem__(self, i: slice) -> Network: ...

    def __getitem__(self, i: int | slice) -> Layer | Network:
        return replace(self, blocks=self.blocks[i]) if isinstance(i, slice) else self.blocks[i]

    @property
    def convolutional(self) -> bool:
        """Whether any of its layers is a convolution."""
        return any(isinstance(leaf, Conv) for block in self for leaf in block.weighted())

    def value(self, a: Array, y: Array) -> Array:
        """The loss of a_L (N, C) against y* (N, C), a scalar: the mean over the batch."""
        return LOSSES[self.loss][0](a, y)

    def error(self, a: Array, y: Array) -> Array:
        """e = dL/da_L, (N, C)."""
        return LOSSES[self.loss][1](a, y)                                          # LAS (5)


@dataclass(frozen=True)
class Tape:
    """What one forward pass leaves: h[0] = x, h[i] the output of block i - 1 (the papers' h_i), and the caches.

    Where an array is not needed the tape may keep less, or something that makes it when it is called: `kept.Keep`.
    """

    h: list[Kept]
    caches: list[Any]

    @property
    def output(self) -> Array:
        """a_L, (N, C)."""
        return self.h[-1]

    def above(self, i: int) -> Tape:
        """The tape of the network net[i:]."""
        return Tape(self.h[i:], self.caches[i:])


def init(net: Network, rng: np.random.Generator, shape: Shape,
         dtype: str = "float32") -> tuple[Tree, list[Shape]]:
    """Parameters on the host, and the shape of one sample at the input and behind every block.

    Drawn in float64 and rounded, so that networks of two dtypes start from the same numbers.
    """
    params, shapes = [], [tuple(shape)]
    for block in net:
        p, out = block.init(rng, shapes[-1])
        params.append(tree_map(lambda array: array.astype(dtype), p))
        shapes.append(out)
    return params, shapes


def least_batch(net: Network, shape: Shape) -> int:
    """The smallest batch of samples of `shape` to learn from: 2 if a batch-norm would see one value a channel, else 1.

    >>> from nobackprop.layers import BatchNorm, Conv, GlobalPool
    >>> [least_batch(Network(blocks), (8, 8, 3)) for blocks in [(Conv(4, 3), BatchNorm()), (GlobalPool(), BatchNorm())]]
    [1, 2]
    """
    return Sequential(net.blocks).least_batch(shape)


def check(net: Network, params: Tree, x: Array) -> None:
    """Raises InputError unless x is a batch of samples (N, ...) that fit the network and its parameters."""
    try:
        array_module(x)
    except TypeError:
        raise InputError(f"expected samples as a NumPy or CuPy array (N, ...), got: {type(x).__name__}") from None
    if x.ndim < 2 or x.dtype.kind not in "biufc" or hasattr(x, "mask"):
        raise InputError("expected samples as an array of numbers (N, ...), none of them masked, got: "
                         f"{type(x).__name__} of shape {x.shape}, {x.dtype}")
    Sequential(net.blocks).out_shape(x.shape[1:], params)


def forward(net: Network, params: Tree, x: Array, train: bool = True,
            keep: Callable[[int], Keep] = lambda i: ALL) -> Tape:
    """The forward pass of x (N, ...) that learning needs: of block i what keep(i) says, x and a_L in any case."""
    tape, h, index = Tape([x], []), x, 0
    for i, (block, p) in enumerate(zip(net, params, strict=True)):
        h, cache = block.forward(p, h, train)
        what = keep(i)
        cache, index = block.keep(cache, what, index)
        tape.h.append(what.between(h))
        tape.caches.append(cache)
    tape.h[-1] = h
    return tape


def with_presynaptic(net: Network, tape: Tape, before: Callable[[int, Kept], Kept]) -> Tape:
    """The tape with before(index, h) in the place of the input h of every layer with weights.

    `index` counts those layers along the main path from 0; a shortcut's are counted beside the body's.
    """
    caches, index, what = [], 0, Keep(before=before)
    for block, cache in zip(net, tape.caches, strict=True):
        cache, index = block.keep(cache, what, index)
        caches.append(cache)
    return replace(tape, caches=caches)


def predict(net: Network, params: Tree, x: Array) -> Array:
    """a_L (N, C), nothing recorded.

    Raises InputError unless x is a batch of samples that fit the network and its parameters.
    """
    check(net, params, x)
    for block, p in zip(net, params, strict=True):
        x, _ = block.forward(p, x, False)
    return x


def remember(net: Network, params: Tree, tape: Tape) -> None:
    """Fold what a training pass has seen into the running statistics that prediction uses, in place."""
    for block, p, cache in zip(net, params, tape.caches):
        block.remember(p, cache)


def backward(net: Network, feedback: Tree, tape: Tape, signals: Mapping[int, Array]) -> list[Tree]:
    """Walk the blocks down and return their gradients.

    feedback: the tree that carries errors down; the parameters themselves make it backpropagation.
    signals: {block: dL/dh at its output}; a block without one listens to the block above.
    """
    grads: list[Tree] = [None] * len(net)
    down: Array | None = None
    for i in reversed(range(len(net))):
        delta = signals.get(i, down)
        down, grads[i] = net[i].backward(feedback[i], tape.caches[i], delta,
                                         want_down=i > 0 and i - 1 not in signals)
    return grads
