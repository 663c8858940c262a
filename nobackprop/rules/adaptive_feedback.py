"""Adaptive direct feedback: each direct feedback matrix follows the product of the weights above its block."""
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
    """Adaptive direct feedback moves matrices B towards the product of the weights above (Baldi, Sadowski, Lu 2018).

    Parameters
    ----------
    draw, kernel
        As in `DFA`; `draw` draws the first B.

    Raises
    ------
    InputError
        If the network is not a chain of dense layers.  `init` raises it.

    Notes
    -----
    What is substituted: the signals, as in `DFA`.  B learns.

    State: B[i] (C, F) for hidden block i.  It starts at random and moves towards W_L ... W_{i+1}.  In a linear network
    the signals are exactly those of backpropagation if B equals this product.  The rule reads every weight above: it
    transports weights, only with a delay.

    Source: Baldi, Sadowski, Lu 2018, as described in Yang, Lee, Park 2024 (the LAS paper), section II-C.  The product
    is that of its equations (28) and (29), see `feedback.products`.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import feedback, models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> B = feedback.products(params)
    >>> [float(abs(g).max()) for g in rules.AdaptiveDFA().align(net, params, B, None, None, rng)]
    [0.0, 0.0]
    """

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw B as in `DFA.init`; raise InputError if the network is not a chain of dense layers."""
        # the result is not used: if there is no product to follow, this call says so at once
        products(params)
        return super().init(rng, net, params, shapes)

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Compute the gradients B[i] - W_L ... W_{i+1}, which move B towards the products; see `Rule.align`."""
        return [b - P for b, P in zip(B, products(params), strict=True)]
