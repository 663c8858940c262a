"""Backpropagation, the ceiling, and shallow learning, the floor, of every experiment."""
from __future__ import annotations

from dataclasses import dataclass

from ..backend import Array
from ..network import Network, Tape, backward
from ..tree import Tree
from .base import Credit, Rule


@dataclass(frozen=True)
class BP(Rule):
    """Backpropagation: the walk with the network's own weights.  Yang, Lee, Park 2024, section II-B."""

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array) -> Credit:
        e = net.error(tape.output, y)                                              # LAS (6)
        return Credit(backward(net, params, tape, {len(net) - 1: e}))              # LAS (7)-(9)


@dataclass(frozen=True)
class Shallow(Rule):
    """Only the last two layers learn, by backpropagation.  Yang, Lee, Park 2024, section IV-A."""

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array) -> Credit:
        e = net.error(tape.output, y)
        frozen = max(len(net) - 2, 0)
        top = net[frozen:]
        return Credit([None] * frozen
                      + backward(top, params[frozen:], tape.above(frozen), {len(top) - 1: e}))
