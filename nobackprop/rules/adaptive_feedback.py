"""Adaptive random backpropagation: each direct feedback matrix follows the product of the weights above."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend import Array
from ..feedback import products
from ..network import Network, Tape
from ..tree import Tree
from .direct_feedback import DFA


@dataclass(frozen=True)
class AdaptiveDFA(DFA):
    """Adaptive direct feedback.  Baldi, Sadowski, Lu 2018, as told in the LAS paper, sections II-C and III-D.

    State: B[i] (C, F) on hidden block i, drawn at random; it moves towards W_L ... W_{i+1}, the condition of
    exact alignment in linear networks.  That reads every weight above: weight transport, only delayed.
    Raises InputError for any network but a chain of dense layers.
    """

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        products(params)  # says at once where there are none to follow
        return super().init(rng, net, params, shapes)

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        return [b - P for b, P in zip(B, products(params), strict=True)]                              # LAS (28)
