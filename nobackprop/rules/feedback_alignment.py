"""Feedback alignment: fixed random weights carry the error down, layer by layer."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend import Array
from ..feedback import Draw, draw_like, gaussian, with_feedback
from ..network import Network, Tape, backward
from ..tree import Tree
from .base import Credit, Rule


@dataclass(frozen=True)
class FA(Rule):
    """Feedback alignment.  Lillicrap et al. 2016; Yang, Lee, Park 2024, section II-B.

    State: B, one array of W's shape for every W; the paper's B_{i+1}, transposed.
    """

    draw: Draw = gaussian

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        return draw_like(rng, params, self.draw)

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array) -> Credit:
        e = net.error(tape.output, y)                                              # LAS (10)
        return Credit(backward(net, with_feedback(params, B), tape, {len(net) - 1: e}))  # LAS (11)-(13)
