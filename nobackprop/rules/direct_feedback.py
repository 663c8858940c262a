"""Direct feedback alignment: fixed random weights carry the output error straight to every hidden block."""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

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
        sent = self.sent(e, y)
        signals = {i: DenseHead().send(b, sent, h.shape)                           # LAS (16)
                   for i, (b, h) in enumerate(zip(self.matrices(B, tape), tape.h[1:-1], strict=True))}
        return Credit(backward(net, params, tape, signals | {len(net) - 1: e}))    # LAS (16)-(18)

    def matrices(self, B: Tree, tape: Tape) -> list[Array]:
        """The feedback matrix of every hidden block, out of the state."""
        return B

    def sent(self, e: Array, y: Array) -> Array:
        """What goes out to the hidden blocks, (N, C): the output error."""
        return e


@dataclass(frozen=True)
class SharedDFA(DFA):
    """DFA with one feedback matrix for all blocks, each using its leading columns.  Launay, Poli, Krzakala 2019.

    State: B (C, the widest hidden block).
    """

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        return self.draw(rng, (shapes[-1][0], max((math.prod(shape) for shape in shapes[1:-1]), default=1)))

    def matrices(self, B: Tree, tape: Tape) -> list[Array]:
        return [B[:, :h[0].size] for h in tape.h[1:-1]]


@dataclass(frozen=True)
class DRTP(DFA):
    """Direct random target projection: a projection of the target stands for the error.  Frenkel et al. 2021.

    State: as DFA.  No hidden block waits for the output: what it hears is -B^T y*.  That never falls to 0, so nothing
    but f' can stop a hidden unit: under tanh, which the paper has, it stops; under relu it grows without end or dies.
    """

    defaults: ClassVar[Mapping[str, object]] = {"activation": "tanh", "lr": 3e-3}

    def sent(self, e: Array, y: Array) -> Array:
        return -y / len(y)
