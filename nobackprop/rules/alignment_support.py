"""Local alignment support: the direct feedback weights are those of local modules that learn."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..backend import Array
from ..feedback import Draw, gaussian
from ..heads import Head
from ..kernels.loss import d_squared
from ..layers import Layer, head_beside
from ..network import Network, Tape, backward
from ..tree import Tree
from .base import Credit, Rule


@dataclass(frozen=True)
class LAS(Rule):
    """Local alignment support: each module learns to say what the network says.  Yang, Lee, Park 2024, III-A.

    State: B[i] (C, F), the module on hidden block i for all but the last; the paper's B_{i+1}, transposed.
    Deviations from print: the loss (20) has the factor 1/2 that makes (21) its gradient; (21) descends
    it, where the printed sign ascends; (22) is y - y*, as (5) has it.  A module has no bias (19).
    `beside` picks the modules; layers.published_beside has those of the paper's published code on convolutions.
    """

    draw: Draw = gaussian
    beside: Callable[[Layer], Head] = head_beside

    def heads(self, net: Network) -> list[Head]:
        """One for each hidden block but the last, shaped like the layer that it stands beside."""
        return [self.beside(block) for block in net[1:-1]]

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        return [head.init(rng, shape, shapes[-1][0], self.draw)
                for head, shape in zip(self.heads(net), shapes[1:-2], strict=True)]

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """The modules' gradients; Algorithm 1 line 13, Algorithm 2 line 5."""
        grads = []
        for head, b, h in zip(self.heads(net), B, tape.h[1:-2], strict=True):
            y_i = head.forward(b, h)                                               # LAS (19)
            grads.append(head.grad(b, h, self.local_error(net, y_i, tape, y)))     # LAS (21), (27)
        return grads

    def local_error(self, net: Network, y_i: Array, tape: Tape, y: Array) -> Array:
        """Of the module's output y_i (N, C): it should have been a_L."""
        return d_squared(y_i, tape.output)                                         # LAS (20)

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array) -> Credit:
        e = net.error(tape.output, y)                                              # LAS (22)
        signals = {i: head.send(b, e, h.shape)                                     # LAS (24)
                   for i, (head, b, h) in enumerate(zip(self.heads(net), B, tape.h[1:-2], strict=True))}
        return Credit(backward(net, params, tape, signals | {len(net) - 1: e}))    # LAS (23)-(24)


@dataclass(frozen=True)
class LTAS(LAS):
    """Local target alignment support: each module learns to predict the target.  Section III-B.

    Deviation from print: Algorithm 2 line 4 lacks the softmax that section III-B asks for.
    """

    def local_error(self, net: Network, y_i: Array, tape: Tape, y: Array) -> Array:
        """Of the module's output y_i (N, C): it should have been y*, by the network's own loss."""
        return net.error(y_i, y)                                                   # LAS (25)-(26)
