"""Dual propagation: every neuron has two states, and the error is the difference between them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import network
from ..backend import Array
from ..kernels.activation import ACTIVATIONS
from ..layers import Activation, Layer
from ..network import Network, Tape, backward, with_activations
from ..tape import Keep, materialise
from ..tree import Tree
from .base import Credit, Rule


@dataclass(frozen=True)
class Dyad(Layer):
    """An activation with two states, f(a - d/2) and f(a + d/2), of which the difference goes down in the place of f' d.

    Parameters
    ----------
    activation : Activation
        f.
    beta : float
        The size of the nudge: d is beta N times the error signal, so the batch mean is taken out of it.

    Examples
    --------
    >>> import numpy as np
    >>> dyad = Dyad(Activation("relu"), beta=2.0)
    >>> h, a = dyad.forward(None, np.array([[3.0, -0.5]]))
    >>> h.tolist(), dyad.backward(None, a, np.array([[1.0, 1.0]]))[0].tolist()     # f' would be 1 and 0
    ([[3.0, 0.0]], [[1.0, 0.25]])
    """

    activation: Activation
    beta: float

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        """Do what the activation does, and keep its input."""
        return self.activation.forward(params, h, train, rng)[0], h

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        """Return the difference of the two states, over beta N."""
        a, f = materialise(cache), ACTIVATIONS[self.activation.name].function
        nudge = self.beta * len(delta)
        half = delta * (nudge / 2)
        return (f(a + half) - f(a - half)) / nudge, None

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        """Say that the input of an activation is what is kept."""
        return what.after("input", cache), index


@dataclass(frozen=True)
class DualPropagation(Rule):
    """Dual propagation gives neurons two states, whose difference is the error (Hoier, Staudt, Zach 2023).

    Parameters
    ----------
    beta : float
        The size of the nudge at the output.

    Notes
    -----
    What is substituted: the network that is walked.  With z+ and z- for the two states of a unit with the input a,

        z± = f(a ± W^T (z+ - z-) / 2),

    where W^T (z+ - z-) is the difference of the states above.  It starts at the output as -beta N e.  A unit's mean
    is its activity, and the difference over -beta N is its error.  So in the place of f' stands the slope of a chord of
    f, whose ends are as far apart as the error is large.

    State: none.

    Source: Hoier, Staudt, Zach 2023, with alpha = 1/2 and one sweep.

    Deviations from print: the sweep goes once from the output down, with the inputs a of the forward pass.  Weights
    learn from the activities of that pass.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3, "identity")
    >>> params, shapes = network.init(net, rng, (6,), "float64")
    >>> x, y = rng.standard_normal((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    >>> ours, true = (rule.credit(net, params, None, rule.forward(net, params, None, x), y).grads for rule in (
    ...     rules.DualPropagation(), rules.BP()))
    >>> np.allclose(ours[0][0]["W"], true[0][0]["W"])                 # a line is its own chord
    True
    """

    beta: float = 1.0

    def dyads(self, net: Network) -> Network:
        """Return the network with two states in every unit that has an activation.

        Parameters
        ----------
        net : Network

        Returns
        -------
        Network
        """
        return with_activations(net, lambda f: Dyad(f, self.beta))

    def forward(self, net: Network, params: Tree, state: Tree, x: Array,
                rng: np.random.Generator | None = None) -> Tape:
        """Run the one forward pass, and keep the inputs of activations; see `Rule.forward`."""
        return network.forward(self.dyads(net), params, x, rng=rng)

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Walk down the network of units with two states; see `Rule.credit`."""
        return Credit(backward(self.dyads(net), params, tape, {len(net) - 1: net.error(tape.output, y)}))
