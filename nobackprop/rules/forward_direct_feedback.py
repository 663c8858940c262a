"""Forward direct feedback: each direct feedback matrix follows the Jacobian of the network above its block."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend import Array, array_module
from ..heads import DenseHead
from ..network import Network, Tape
from ..tape import generator
from ..tree import Tree
from .direct_feedback import DFA


@dataclass(frozen=True)
class FDFA(DFA):
    """Forward direct feedback alignment.  Bacho and Chu 2024.

    State: B[i] (C, F) on hidden block i.  Small noise u_i is added to every hidden output at once; the change d of
    a_L it makes gives d u_i^T, on average the Jacobian of a_L with respect to h_i, which B[i] follows.
    Deviations from print: d is a finite difference of step `epsilon` rather than a forward-mode derivative; B moves
    before it carries the error, as in every rule here, and in the paper's published code after.  In float32 a smaller
    step loses more digits, by rounding as 1 / epsilon, and a larger one more of the derivative, by curvature and the
    kinks of relu as epsilon: at 1e-4 either costs less than a hundredth.
    """

    epsilon: float = 1e-4

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        h, noise = tape.h[1], []
        for block, p, seed in zip(net[1:], params[1:], tape.seeds[1:], strict=True):
            noise.append(array_module(h).asarray(rng.standard_normal(h.shape).astype(h.dtype)))
            h, _ = block.forward(p, h + self.epsilon * noise[-1], True, generator(seed))
        d = (h - tape.output) / (self.epsilon * len(y))
        return [b - DenseHead().grad(b, u, d) for b, u in zip(B, noise, strict=True)]
