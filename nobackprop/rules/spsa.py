"""Simultaneous perturbation: no error goes anywhere, two losses are compared."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import network
from ..backend import Array, array_module
from ..leaf_names import RUNNING
from ..network import Network, Tape
from ..tape import NOTHING
from ..tree import Tree, tree_map
from .base import Credit, Rule


@dataclass(frozen=True)
class SPSA(Rule):
    """Simultaneous perturbation: the loss at theta + c delta less that at theta - c delta, times delta.  Spall 1992.

    delta has a random sign for every weight, biases and the output block included; the estimate of the gradient is
    right on average, up to c^2, and its variance is about n - 1 times the gradient's square for n weights.
    State: delta, drawn anew at every step, of the structure of what learns.  The step's forward pass is that at
    theta + c delta, so a step costs two passes.  Deviations from print: c stays as it is, and the gains a_k are the
    optimiser's learning rate and schedule.
    """

    c: float = 1e-3
    defaults: ClassVar[Mapping[str, object]] = {"lr": 3e-3}

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        return self.refresh(rng, learning(params))

    def refresh(self, rng: np.random.Generator, state: Tree) -> Tree:
        return tree_map(lambda d: array_module(d).asarray((2 * rng.integers(2, size=d.shape) - 1).astype(d.dtype)),
                        state)

    def forward(self, net: Network, params: Tree, delta: Tree, x: Array,
                rng: np.random.Generator | None = None) -> Tape:
        return network.forward(net, shifted(params, delta, self.c), x, rng=rng)

    def credit(self, net: Network, params: Tree, delta: Tree, tape: Tape, y: Array) -> Credit:
        below = network.forward(net, shifted(params, delta, -self.c), tape.h[0], keep=lambda i: NOTHING,
                                seeds=tape.seeds)
        slope = (net.value(tape.output, y) - net.value(below.output, y)) / (2 * self.c)
        return Credit(tree_map(lambda d: slope * d, delta))


def learning(params: Tree) -> Tree:
    """The parameters but for running statistics, which no gradient moves."""
    if isinstance(params, dict):
        return {key: learning(child) for key, child in params.items() if key not in RUNNING}
    if isinstance(params, list | tuple):
        return type(params)(learning(child) for child in params)
    return params


def shifted(params: Tree, delta: Tree, c: float) -> Tree:
    """params + c delta; where delta has nothing, the parameters as they are."""
    if isinstance(params, dict):
        return {key: shifted(child, delta[key], c) if key in delta else child for key, child in params.items()}
    if isinstance(params, list | tuple):
        return type(params)(shifted(*pair, c) for pair in zip(params, delta, strict=True))
    return None if params is None else params + c * delta
