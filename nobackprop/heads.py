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
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .backend import Array
from .feedback import Draw
from .kernels import linear

if TYPE_CHECKING:
    from .layers import Layer


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


def head_beside(block: Layer) -> Head:
    """The head shaped like the block's first layer with weights.

    Raises ValueError where the block has none.
    """
    head = block.head()
    if head is None:
        raise ValueError(f"no head stands beside {block}: it has no layer with weights")
    return head
