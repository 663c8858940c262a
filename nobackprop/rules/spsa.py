"""Simultaneous perturbation: no error is sent anywhere; two values of the loss are compared."""
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
    """Simultaneous perturbation estimates the gradient from the losses at two shifted weights (Spall 1992).

    Parameters
    ----------
    c : float
        The size of the perturbation.

    Notes
    -----
    What is substituted: everything.  There is no backward pass.  With theta for all parameters and delta for a random
    sign at every one of them, the estimate is delta (L(theta + c delta) - L(theta - c delta)) / 2c.  Biases and the
    output block are perturbed too.  On average the estimate is the gradient, up to an error of the order c^2.  For n
    weights its variance is about n - 1 times the square of the gradient.

    State: delta, in the structure of the parameters that learn.  It is drawn anew at every step.  The forward pass of
    a step is the one at theta + c delta, so a step costs two forward passes.

    Source: Spall 1992.

    Deviations from print: c stays the same in all steps; the gains a_k are the optimiser's learning rate and schedule.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> delta = rules.SPSA().init(rng, net, params, shapes)
    >>> np.unique(delta[0][0]["W"]).tolist(), delta[0][0]["W"].shape
    ([-1.0, 1.0], (5, 6))
    """

    c: float = 1e-3
    defaults: ClassVar[Mapping[str, object]] = {"lr": 3e-3}
    output_learns = "otherwise"

    def passes(self, net: Network) -> int:
        """Count the passes at theta + c delta and at theta - c delta; see `Rule.passes`."""
        return 2

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the first delta; see `Rule.init`."""
        return self.refresh(rng, learning(params))

    def refresh(self, rng: np.random.Generator, state: Tree) -> Tree:
        """Draw the delta of this step, a random sign at every place; see `Rule.refresh`."""
        return tree_map(lambda d: array_module(d).asarray((2 * rng.integers(2, size=d.shape) - 1).astype(d.dtype)),
                        state)

    def forward(self, net: Network, params: Tree, delta: Tree, x: Array,
                rng: np.random.Generator | None = None) -> Tape:
        """Run the forward pass at theta + c delta; see `Rule.forward`."""
        return network.forward(net, shifted(params, delta, self.c), x, rng=rng)

    def credit(self, net: Network, params: Tree, delta: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Run the forward pass at theta - c delta, and compare the two losses; see `Rule.credit`."""
        below = network.forward(net, shifted(params, delta, -self.c), tape.h[0], keep=lambda i: NOTHING,
                                seeds=tape.seeds)
        slope = (net.value(tape.output, y) - net.value(below.output, y)) / (2 * self.c)
        return Credit(tree_map(lambda d: slope * d, delta))


def learning(params: Tree) -> Tree:
    """Return the tree of the parameters that learn: all but running statistics, which no gradient moves.

    Parameters
    ----------
    params : tree
        The parameters of a network.

    Returns
    -------
    tree
        The same arrays in the same structure, without the running statistics.

    Examples
    --------
    >>> from nobackprop.rules.spsa import learning
    >>> learning([{"gamma": 1.0, "beta": 0.0, "mean": 0.0, "var": 1.0}])
    [{'gamma': 1.0, 'beta': 0.0}]
    """
    if isinstance(params, dict):
        return {key: learning(child) for key, child in params.items() if key not in RUNNING}
    if isinstance(params, list | tuple):
        return type(params)(learning(child) for child in params)
    return params


def shifted(params: Tree, delta: Tree, c: float) -> Tree:
    """Return params + c delta; a parameter that has no place in delta stays as it is.

    Parameters
    ----------
    params, delta : tree
        The parameters of a network, and a direction in the structure that `learning` gives.
    c : float
        The length of the step in that direction.

    Returns
    -------
    tree
        New arrays in the structure of `params`.

    Examples
    --------
    >>> from nobackprop.rules.spsa import shifted
    >>> shifted([{"gamma": 1.0, "mean": 0.0}], [{"gamma": -1.0}], 0.5)
    [{'gamma': 0.5, 'mean': 0.0}]
    """
    if isinstance(params, dict):
        return {key: shifted(child, delta[key], c) if key in delta else child for key, child in params.items()}
    if isinstance(params, list | tuple):
        return type(params)(shifted(*pair, c) for pair in zip(params, delta, strict=True))
    return None if params is None else params + c * delta
