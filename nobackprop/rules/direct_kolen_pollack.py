"""Direct Kolen-Pollack: a direct feedback matrix learns as an output layer on its block would."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..backend import Array
from ..heads import DenseHead
from ..network import Network, Tape
from ..tree import Tree
from .base import Credit
from .direct_feedback import DFA


@dataclass(frozen=True)
class DKP(DFA):
    """Direct Kolen-Pollack.  Webster, Choi, Ahn 2020.

    State: B[i] (C, F) on hidden block i, with the gradient e h_i^T, which on the last hidden block is that of W_L,
    and with the optimiser's weight decay.  So there, and there alone, the Kolen-Pollack theorem holds.
    """

    defaults: ClassVar[Mapping[str, object]] = {"optimizer": "adamw", "weight_decay": 0.3}

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array) -> Credit:
        e = net.error(tape.output, y)
        return Credit(super().credit(net, params, B, tape, y).grads,
                      [DenseHead().grad(b, h, e) for b, h in zip(B, tape.h[1:-1], strict=True)])
