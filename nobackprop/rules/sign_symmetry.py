"""Sign symmetry: the error comes down through weights of the forward weights' signs and of other magnitudes."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend import Array, array_module
from ..feedback import Draw, draw_like, gaussian, weights, with_feedback
from ..network import Network, Tape, backward
from ..tree import Tree, tree_map
from .base import Credit, Rule


@dataclass(frozen=True)
class FrSF(Rule):
    """Fixed random magnitudes, sign-concordant feedback.  Liao, Leibo, Poggio 2016; LAS paper, section II-B.

    State: M, positive, one array of W's shape for every W, drawn once, before training.  sign(W) is read at
    every step: this transports the signs of the weights.
    """

    draw: Draw = gaussian

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        return tree_map(abs, draw_like(rng, params, self.draw))

    def credit(self, net: Network, params: Tree, M: Tree, tape: Tape, y: Array) -> Credit:
        e = net.error(tape.output, y)
        B = tree_map(lambda m, W: m * array_module(W).sign(W), M, weights(params))       # LAS (14)
        return Credit(backward(net, with_feedback(params, B), tape, {len(net) - 1: e}))  # LAS (14)


@dataclass(frozen=True)
class BrSF(FrSF):
    """Batch-wise random magnitudes: as FrSF, with M drawn anew before every step.  Liao, Leibo, Poggio 2016."""

    def refresh(self, rng: np.random.Generator, M: Tree) -> Tree:
        return tree_map(lambda m: array_module(m).asarray(abs(self.draw(rng, m.shape)).astype(m.dtype)), M)


@dataclass(frozen=True)
class USF(FrSF):
    """Uniform magnitudes: sign(W) times one constant a layer.  Liao, Leibo, Poggio 2016.

    State: M = 1 / sqrt(fan-in), never redrawn.  Deviation from print: the paper has the constant 1, and
    batch-norm to tame what that does to deep networks; ours keeps the size of a signal about the same.
    """

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        return tree_map(lambda W: np.full(W.shape, W[0].size ** -0.5), weights(params))
