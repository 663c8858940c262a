"""Feedback alignment: fixed random feedback weights carry the error down, layer by layer."""
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
    """Feedback alignment carries the error down through fixed random weights (Lillicrap et al. 2016).

    Parameters
    ----------
    draw : callable
        Draws one array of feedback weights: ``draw(rng, shape)``, see `nobackprop.feedback`.

    Notes
    -----
    What is substituted: the feedback weights.  The error goes down layer by layer as in backpropagation, but through
    B in the place of W.

    State: B, one array of the shape of W for every W.  It never learns.  The paper writes its transpose, B_{i+1}.

    Source: Lillicrap et al. 2016; Yang, Lee, Park 2024, section II-B, equations (10)-(13).

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> B = rules.FA().init(rng, net, params, shapes)
    >>> [B[0][0]["W"].shape, B[1][0]["W"].shape, B[2]["W"].shape]
    [(5, 6), (4, 5), (3, 4)]
    """

    draw: Draw = gaussian

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw B; see `Rule.init`."""
        return draw_like(rng, params, self.draw)

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Walk down the network with B in the place of W; see `Rule.credit`."""
        e = net.error(tape.output, y)                                              # LAS (10)
        return Credit(backward(net, with_feedback(params, B), tape, {len(net) - 1: e}))  # LAS (11)-(13), ASAP (2.4)
