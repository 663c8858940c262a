"""Forward direct feedback: each direct feedback matrix follows the Jacobian of the network above its block."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend import Array, array_module
from ..network import Network, Tape
from ..tape import generator
from ..tree import Tree
from .direct_feedback import DFA


@dataclass(frozen=True)
class FDFA(DFA):
    """Forward direct feedback moves a block's B towards the Jacobian of what is above it (Bacho and Chu 2024).

    Parameters
    ----------
    draw, kernel
        As in `DFA`; `draw` draws the first B.
    epsilon : float
        The step of the finite difference.

    Notes
    -----
    What is substituted: the signals, as in `DFA`.  B learns.

    State: B[i] (C, F) for hidden block i.  At every step small noise u_i is added to the output of every hidden block,
    to all of them at once.  This changes a_L by d.  The product d u_i^T is on average the Jacobian of a_L with respect
    to h_i, and B[i] follows it.

    Source: Bacho and Chu 2024.

    Deviations from print: d is a finite difference of step `epsilon`, and not a forward-mode derivative.  B moves
    before it carries the error, as in every rule here; in the paper's published code it moves after.

    In float32 the step has two errors.  Rounding grows as 1 / epsilon, so a smaller step loses more digits.  The
    curvature, and the kinks of relu, grow as epsilon, so a larger step loses more of the derivative.  At 1e-4 each of
    the two costs less than a hundredth.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,), "float64")
    >>> x, y = rng.standard_normal((40_000, 6)), np.eye(3)[rng.integers(3, size=40_000)]
    >>> zero = [np.zeros((3, 5)), np.zeros((3, 4))]
    >>> grads = rules.FDFA().align(net, params, zero, network.forward(net, params, x), y, rng)
    >>> bool(abs(-grads[1] - params[2]["W"]).max() < 0.1)             # the Jacobian above block 2 is W_L
    True
    """

    epsilon: float = 1e-4

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Compute the gradients B[i] - d u_i^T, averaged over the batch; see `Rule.align`."""
        h, noise = tape.h[1], []
        for block, p, seed in zip(net[1:], params[1:], tape.seeds[1:], strict=True):
            noise.append(array_module(h).asarray(rng.standard_normal(h.shape).astype(h.dtype)))
            h, _ = block.forward(p, h + self.epsilon * noise[-1], True, generator(seed))
        d = (h - tape.output) / (self.epsilon * len(y))
        return [b - head.grad(b, u, d) for head, b, u in zip(self.heads(net), B, noise, strict=True)]
