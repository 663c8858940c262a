"""PEPITA: the error is added to the input, and every hidden layer compares its activity with and without it."""
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import network
from ..backend import Array
from ..feedback import Draw, uniform
from ..heads import DenseHead
from ..network import Network, Tape, backward, straight
from ..tree import Tree
from .base import Credit, OutputLearns, Rule


@dataclass(frozen=True)
class Pepita(Rule):
    """PEPITA compares two passes, the second with the error in its input (Dellaferrera and Kreiman 2022).

    Parameters
    ----------
    scale : float
        What F is multiplied by.
    draw : callable
        Draws F: ``draw(rng, (C, F))``, see `nobackprop.feedback`.

    Notes
    -----
    What is substituted: the signals, the tape and the network that is walked.  A second forward pass has the input
    x' = x + F^T (N e), in which N e is the error of each sample.  The hidden block i hears (h_i - h'_i) / N in the
    place of dL/da_i, so no f' is multiplied.  All blocks, the output block too, are updated with the activities of the
    second pass.

    State: F (C, n_0), where n_0 is the number of inputs.  It never learns.

    Source: Dellaferrera and Kreiman 2022.

    Deviations from print: none is known for fully connected networks.  In a block of several layers the gradients are
    exact from the block's output down, but without f'.  Networks of several convolutional blocks do not learn here.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> rules.Pepita().init(rng, net, params, shapes).shape
    (3, 6)
    """

    scale: float = 0.07
    draw: Draw = uniform
    output_learns: ClassVar[OutputLearns] = "from another activity"

    def passes(self, net: Network) -> int:
        """Count the pass without and the one with the error in the input; see `Rule.passes`."""
        return 2

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw F; see `Rule.init`."""
        return self.scale * DenseHead().init(rng, shapes[0], shapes[-1][0], self.draw)

    def credit(self, net: Network, params: Tree, F: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Run the second pass, and let every hidden block hear the difference of both; see `Rule.credit`."""
        x, e, N = tape.h[0], net.error(tape.output, y), len(y)
        second = network.forward(net, params, x + DenseHead().send(F, N * e, x.shape), seeds=tape.seeds)
        signals = {i: (h - moved) / N for i, (h, moved) in enumerate(zip(tape.h[1:-1], second.h[1:-1], strict=True))}
        return Credit(backward(straight(net), params, second, signals | {len(net) - 1: e}))
