"""Equilibrium propagation: the network settles freely and with its output pushed, and learns from the difference."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from .. import network
from ..backend import Array
from ..errors import InputError
from ..layers import Activation, AvgPool, Conv, Dense, Flatten, GlobalPool, MaxPool, Sequential
from ..network import Network, Tape, apart, local, straight
from ..tree import Tree, tree_map
from .base import Credit, OutputLearns, Rule

BELOW = Dense, Conv, Flatten, MaxPool, AvgPool, GlobalPool  # what may stand below the activation of a block


@dataclass(frozen=True)
class EquilibriumPropagation(Rule):
    """Equilibrium propagation compares a free equilibrium with two nudged ones (Scellier and Bengio 2017).

    Parameters
    ----------
    free : int
        The number of sweeps in which the network settles freely.
    nudged : int
        The number of further sweeps in which it settles with its output pushed.
    beta : float
        How strongly the output is pushed.

    Raises
    ------
    InputError
        If a hidden block is anything but dense, convolutional or pooling layers and one activation at the end.  `init`
        raises it.

    Notes
    -----
    What is substituted: the network, the activity in the weight update and the signals.  The network is a Hopfield
    network: block i settles to s_i = f(W_i s_{i-1} + b_i + W_{i+1}^T s_{i+1}), so its weights work in both directions.
    The output block only reads the last hidden block.  In a nudged phase -beta N W_L^T e is added to what the last
    hidden block hears.  Weights learn from the products of the states on both sides, with +beta less with -beta.

    f should be bounded: with relu and weights of usual size the states grow without end.

    Prediction is what the output block reads of the free equilibrium, and not the network's own pass.

    State: none.

    Source: Scellier and Bengio 2017; the two nudges and the output block outside of the equilibrium are those of
    Laborieux et al. 2021.

    Deviations from print: all states move at once; they start at the forward pass and not at 0; f stands in the place
    of a clipped gradient step of the energy, and has the same equilibria.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3, "tanh")
    >>> params, shapes = network.init(net, rng, (6,), "float64")
    >>> x = rng.standard_normal((8, 6))
    >>> tape = rules.EquilibriumPropagation(free=200).forward(net, params, None, x)
    >>> W, b = params[0][0]["W"], params[1][0]["W"]                   # of the first and the second block
    >>> np.allclose(tape.h[1], np.tanh(x @ W.T + tape.h[2] @ b))
    True
    """

    free: int = 10
    nudged: int = 5
    beta: float = 0.2
    defaults: ClassVar[Mapping[str, object]] = {"activation": "tanh"}
    output_learns: ClassVar[OutputLearns] = "otherwise"
    sends_errors: ClassVar[bool] = False

    def passes(self, net: Network) -> int:
        """Count the forward pass, every sweep, and one reading at the end of each of the three phases."""
        return 1 + (self.free + 1) + 2 * (self.nudged + 1)

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Check the network; raise InputError if its blocks cannot settle."""
        for i, block in enumerate(net[:-1], start=1):
            layers = block.layers if isinstance(block, Sequential) else (block,)
            ends = [isinstance(layer, Activation) for layer in layers[-1:]] == [True]
            if not ends or not all(isinstance(layer, BELOW) for layer in layers[:-1]):
                raise InputError("equilibrium propagation needs hidden blocks of dense, convolutional or pooling "
                                 f"layers with one activation at the end, but block {i} is {block}")
        return None

    def settle(self, net: Network, params: Tree, s: list[Array], sweeps: int, beta: float = 0.0,
               y: Array | None = None) -> list[Array]:
        """Let all hidden blocks settle together.

        Parameters
        ----------
        net : Network
        params : list
            The parameters of each block.
        s : list of array (N, ...)
            The input, and the state of every hidden block.
        sweeps : int
            How often every state moves.
        beta : float
            How strongly the output is pushed towards the targets; below 0 it is pushed away.
        y : array (N, C) or None
            The targets, if beta is not 0.

        Returns
        -------
        list of array (N, ...)
            The input, and the states as they are then.
        """
        linear, last = straight(net), len(net) - 1
        for _ in range(sweeps):
            own = apart(linear, params, s)
            signals = {i: h for i, h in enumerate(s[1:]) if i > 0}
            if y is not None:
                signals[last] = -beta * len(y) * net.error(own.output, y)
            down, _ = local(linear, params, own, signals)
            heard = [a if sent is None else a + sent for a, sent in zip(own.h[1:-1], [*down[1:], None])]
            s = [s[0], *(top(net, i).forward(None, a)[0] for i, a in enumerate(heard))]
        return s

    def forward(self, net: Network, params: Tree, state: Tree, x: Array,
                rng: np.random.Generator | None = None) -> Tape:
        """Let the network settle freely; the tape has the states, and a_L as it is then; see `Rule.forward`."""
        s = self.settle(net, params, network.forward(net, params, x, rng=rng).h[:-1], self.free)
        own = apart(straight(net), params, s)
        return replace(own, h=[*s, own.output])

    def predict(self, net: Network, params: Tree, x: Array) -> Array:
        """Return what the output block reads of the free equilibrium; see `Rule.predict`."""
        network.check(net, params, x)
        return self.forward(net, params, None, x).output

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Let the network settle on either side of the free equilibrium, and compare; see `Rule.credit`."""
        linear, sides = straight(net), []
        for beta in (-self.beta, self.beta):
            s = self.settle(net, params, tape.h[:-1], self.nudged, beta, y)
            own = apart(linear, params, s)
            signals = {i: h / (-2 * beta * len(y)) for i, h in enumerate(s[1:])}
            sides.append(local(linear, params, own, signals | {len(net) - 1: net.error(own.output, y) / 2})[1])
        return Credit(tree_map(lambda u, v: u + v, *sides))


def top(net: Network, i: int) -> Activation:
    """Return the activation at the end of a block.

    Parameters
    ----------
    net : Network
    i : int
        The block, counted from 0.

    Returns
    -------
    Activation

    Examples
    --------
    >>> from nobackprop.models import build
    >>> top(build("mlp:4", (3,), 2, "tanh"), 0)
    Activation(name='tanh')
    """
    found: list[Activation] = []

    def note(f: Activation) -> Activation:
        found.append(f)
        return f
    net[i].with_activations(note)
    return found[-1]
