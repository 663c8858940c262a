"""Kolen-Pollack: forward and feedback weights learn alike and forget alike, so that they become alike."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..backend import Array
from ..feedback import weights
from ..network import Network, Tape
from ..tree import Tree
from .base import Credit
from .feedback_alignment import FA


@dataclass(frozen=True)
class KolenPollack(FA):
    """Kolen-Pollack.  Kolen and Pollack 1994; Akrout et al. 2019; Woo 2023, sections 2.2 and 4.2.1.

    State: B, one array of W's shape for every W.  W - B shrinks by the optimiser's weight decay and by nothing
    else: exactly by 1 - lr lam a step where the decay is decoupled, and not at all without one.
    Deviation from print: (2.7) lacks the decay that the theorem of 4.2.1 rests on.
    """

    defaults: ClassVar[Mapping[str, object]] = {"optimizer": "adamw", "weight_decay": 0.3}

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array) -> Credit:
        grads = super().credit(net, params, B, tape, y).grads
        return Credit(grads, weights(grads))                                             # ASAP (2.7)
