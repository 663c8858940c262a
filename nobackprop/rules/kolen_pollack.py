"""Kolen-Pollack learning: W and B get the same gradients and the same weight decay, so B approaches W."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..backend import Array
from ..feedback import weights
from ..network import Network, Tape
from ..tree import Tree
from .base import Credit
from .feedback_alignment import FA


@dataclass(frozen=True)
class KolenPollack(FA):
    """Kolen-Pollack learning gives feedback weights the forward weights' gradients (Kolen and Pollack 1994).

    Parameters
    ----------
    draw : callable
        Draws the first B, as in `FA`.

    Notes
    -----
    What is substituted: the feedback weights, as in feedback alignment.  B learns.

    State: B, one array of the shape of W for every W.  W - B shrinks by the optimiser's weight decay and by nothing
    else.  If the decay is decoupled, every step multiplies W - B by exactly 1 - lr lam, where lr is the learning rate
    and lam is the weight decay.  Without weight decay W - B stays as it is.

    Source: Kolen and Pollack 1994; Akrout et al. 2019; Woo 2023 (the thesis on ASAP), section 2.2, equation (2.7),
    and section 4.2.1.

    Deviations from print: (2.7) lacks the weight decay on which the theorem of section 4.2.1 rests.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> x, y = rng.standard_normal((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    >>> B = rules.KolenPollack().init(rng, net, params, shapes)
    >>> credit = rules.KolenPollack().credit(net, params, B, network.forward(net, params, x), y)
    >>> credit.state[2]["W"] is credit.grads[2]["W"]                 # B and W learn alike
    True
    """

    defaults: ClassVar[Mapping[str, object]] = {"optimizer": "adamw", "weight_decay": 0.3}

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Compute the gradients of feedback alignment, and give those of W to B as well; see `Rule.credit`."""
        grads = super().credit(net, params, B, tape, y, rng).grads
        return Credit(grads, weights(grads))                                             # ASAP (2.7)
