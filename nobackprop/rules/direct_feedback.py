"""Direct feedback alignment: fixed random weights carry the output error straight to every hidden block."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend import Array
from ..feedback import Draw, gaussian
from ..heads import DenseHead
from ..network import Network, Tape, backward
from ..tree import Tree
from .base import Credit, Rule


@dataclass(frozen=True)
class DFA(Rule):
    """Direct feedback alignment.  Nokland 2016; Yang, Lee, Park 2024, section II-C.

    State: B[i] (C, F) on hidden block i, the last one included; the paper's B_{i+1}, transposed.
    """

    draw: Draw = gaussian

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        return [DenseHead().init(rng, shape, shapes[-1][0], self.draw) for shape in shapes[1:-1]]

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array) -> Credit:
        e = net.error(tape.output, y)                                              # LAS (15)
        signals = {i: DenseHead().send(b, e, h.shape)                              # LAS (16)
                   for i, (b, h) in enumerate(zip(B, tape.h[1:]))}
        return Credit(backward(net, params, tape, signals | {len(net) - 1: e}))    # LAS (16)-(18)
