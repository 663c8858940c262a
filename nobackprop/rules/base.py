"""What a learning rule is: five pure functions, of which most rules need two."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from .. import network
from ..backend import Array
from ..errors import InputError
from ..network import Network, Tape
from ..options import checked
from ..tree import Tree


@dataclass(frozen=True)
class Credit:
    """What the output error drives: gradients of the parameters, and of the state where it learns so."""

    grads: Tree
    state: Tree = None


class Rule:
    """A learning rule.  Rules return gradients, e = y - y*, and never see a learning rate.

    `params` is what prediction needs; `state` is what only learning needs (feedback weights, local modules).
    `defaults` are training settings that the rule needs other than the data set's own.
    """

    defaults: ClassVar[Mapping[str, object]] = {}

    def __post_init__(self) -> None:
        """Check the options and turn NumPy's scalars into Python's; raises InputError, see options.py."""
        for option in fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, option.name, checked(option, getattr(self, option.name)))

    def trial_sizes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Hidden sizes near `sizes`, as many of them, with which the rule can be tried on a fully connected network."""
        return sizes

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """The state, drawn on the host; shapes[i] is that of one sample of h[i]."""
        return None

    def refresh(self, rng: np.random.Generator, state: Tree) -> Tree:
        """The state as this step uses it, where part of it is drawn anew every time; nothing is kept of it."""
        return state

    def forward(self, net: Network, params: Tree, state: Tree, x: Array) -> Tape:
        """The one forward pass of a step."""
        return network.forward(net, params, x)

    def align(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """The state's gradients that need no output error, or None."""
        return None

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array) -> Credit:
        """The gradients that the output error drives, `state` being already aligned."""
        raise missing(self, "credit")


def missing(rule: Rule, method: str) -> InputError:
    """The error for a rule that lacks a method which every rule of its kind has."""
    return InputError(f"rule {type(rule).__name__} has no method '{method}', without which it cannot learn")
