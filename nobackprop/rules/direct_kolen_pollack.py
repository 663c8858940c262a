"""Direct Kolen-Pollack: each direct feedback matrix learns as an output layer on its block would."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..backend import Array
from ..network import Network, Tape
from ..tree import Tree
from .base import Credit
from .direct_feedback import DFA


@dataclass(frozen=True)
class DKP(DFA):
    """Direct Kolen-Pollack learns direct feedback matrices from the output error (Webster, Choi, Ahn 2020).

    Parameters
    ----------
    draw, kernel
        As in `DFA`; `draw` draws the first B.

    Notes
    -----
    What is substituted: the signals, as in `DFA`.  B learns.

    State: B[i] (C, F) for hidden block i.  Its gradient is e h_i^T, and the optimiser's weight decay acts on it.  On
    the last hidden block this is the gradient of W_L.  So on this block, and on no other, the Kolen-Pollack theorem
    holds: B approaches W_L.

    Source: Webster, Choi, Ahn 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> x, y = rng.standard_normal((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    >>> B = rules.DKP().init(rng, net, params, shapes)
    >>> credit = rules.DKP().credit(net, params, B, network.forward(net, params, x), y)
    >>> np.allclose(credit.state[-1], credit.grads[-1]["W"])
    True
    """

    defaults: ClassVar[Mapping[str, object]] = {"optimizer": "adamw", "weight_decay": 0.3}

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Compute the gradients of DFA, and the gradient e h_i^T of each B[i]; see `Rule.credit`."""
        e = net.error(tape.output, y)
        return Credit(super().credit(net, params, B, tape, y, rng).grads,
                      [head.grad(b, h, e) for head, b, h in zip(self.heads(net), B, tape.h[1:-1], strict=True)])
