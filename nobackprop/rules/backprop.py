"""Backpropagation and shallow learning, the two baselines of every experiment.

Backpropagation is the ceiling: other rules are compared with what it reaches.  Shallow learning is the floor: a rule
that is no better than it does not train the lower layers.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..backend import Array
from ..network import Network, Tape, backward
from ..tree import Tree
from .base import Credit, Rule


@dataclass(frozen=True)
class BP(Rule):
    """Backpropagation carries the output error down through the network's own weights (Rumelhart et al. 1986).

    Notes
    -----
    What is substituted: nothing.  The feedback weights are W itself, every layer learns from its own input, and the
    error enters the network at the output only.

    State: none.

    Source: Yang, Lee, Park 2024 (the LAS paper), section II-B, equations (6)-(9).

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> x, y = rng.standard_normal((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    >>> tape = network.forward(net, params, x)
    >>> grads = rules.BP().credit(net, params, None, tape, y).grads
    >>> np.allclose(grads[-1]["b"], net.error(tape.output, y).sum(0))
    True
    """

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Walk down the network with its own weights; see `Rule.credit`."""
        e = net.error(tape.output, y)                                              # LAS (6)
        return Credit(backward(net, params, tape, {len(net) - 1: e}))              # LAS (7)-(9)


@dataclass(frozen=True)
class Shallow(Rule):
    """Shallow learning trains only the last two layers, by backpropagation (Yang, Lee, Park 2024).

    Notes
    -----
    What is substituted: nothing.  The lower blocks keep their first weights.

    State: none.

    Source: Yang, Lee, Park 2024, section IV-A.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> x, y = rng.standard_normal((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    >>> credit = rules.Shallow().credit(net, params, None, network.forward(net, params, x), y)
    >>> [grads is None for grads in credit.grads]
    [True, False, False]
    """

    def untrained(self, net: Network) -> Mapping[int, str]:
        """Return all blocks but the last two; see `Rule.untrained`."""
        return dict.fromkeys(range(len(net) - 2), "only the last two blocks learn")

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Walk down the last two blocks, and give no gradients to the blocks below; see `Rule.credit`."""
        e = net.error(tape.output, y)
        frozen = max(len(net) - 2, 0)
        top = net[frozen:]
        return Credit([None] * frozen
                      + backward(top, params[frozen:], tape.above(frozen), {len(top) - 1: e}))
