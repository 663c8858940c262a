"""Difference target propagation: not an error comes down, but a target: what each layer's output should be."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..backend import Array, array_module
from ..errors import InputError
from ..kernels.activation import ACTIVATIONS
from ..kernels.loss import d_squared
from ..layers import Activation, Dense, Layer, Sequential
from ..network import Network, Tape, backward, forward, local
from ..options import number, one_of
from ..tree import Tree, leaves
from .base import Credit, Rule


@dataclass(frozen=True)
class DifferenceTargetPropagation(Rule):
    """Difference target propagation sends targets down through approximate inverses that learn (Lee et al. 2015).

    Parameters
    ----------
    step : float
        The length of the gradient step that makes the target of the last hidden block.
    sigma : float
        The standard deviation of the noise on which the inverses learn, from 0 on.
    inverse : str
        The name of the inverses' activation.

    Raises
    ------
    InputError
        If the network is not fully connected, with one dense layer in each block.  `init` raises it.

    Notes
    -----
    What is substituted: the signals.  Hidden block i, counted from 1, computes h_i = f_i(h_{i-1}) and descends
    |h_i - t_i|^2 / 2, where t_i is its target.  The output block descends the network's loss.

    - The target of the last hidden block is h - step dL/dh.  This derivative comes through the output block's own
      weights.
    - Below it t_{i-1} = h_{i-1} + g_i(t_i) - g_i(h_i), where g_i is the approximate inverse of f_i.  The difference of
      the last two terms corrects for g_i, which is not an exact inverse.

    State: a list with one entry for each hidden block.  The first entry is None.  The entry of block i is g_i, which
    is a dense layer, W (F_{i-1}, F_i) and b (F_{i-1},), and the activation `inverse`.  g_i descends
    |g_i(f_i(u)) - u|^2 / 2, where u is h_{i-1} plus noise.

    Source: Lee et al. 2015.  Only fully connected networks, as in the paper.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> first, second = rules.DifferenceTargetPropagation().init(rng, net, params, shapes)
    >>> first is None, second[0]["W"].shape                          # back from 4 units to 5
    (True, (5, 4))
    """

    step: float = 1.0
    sigma: float = number(0.1, "a number from 0 on", lambda sigma: sigma >= 0)
    inverse: str = one_of(ACTIVATIONS, "tanh", "activation")
    defaults: ClassVar[Mapping[str, object]] = {"activation": "tanh"}

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the inverses; raise InputError if a hidden block is not one dense layer and its activation."""
        for i, (block, shape) in enumerate(zip(params, shapes[1:]), start=1):
            if len(shape) != 1 or [path.rpartition("/")[2] for path, _ in leaves(block)] != ["W", "b"]:
                raise InputError("difference target propagation needs a fully connected network, such as mlp:128,128, "
                                 f"with one dense layer in each block, but block {i} has other layers")
        return [None, *(self.g(below[0]).init(rng, above)[0] for below, above in zip(shapes[1:-1], shapes[2:-1]))]

    def g(self, units: int) -> Layer:
        """Return an inverse as a layer that maps (N, F_i) to (N, units)."""
        return Sequential((Dense(units, gain=1.0), Activation(self.inverse)))

    def align(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Compute the gradients of the inverses, each from one layer alone; see `Rule.align`."""
        return [None, *(self.inversion(Network((net[i], self.g(len(own[0]["b"])))), [params[i], own], tape.h[i], rng,
                                       tape.seeds[i:i + 1])
                        for i, own in enumerate(state[1:], start=1))]

    def inversion(self, there_and_back: Network, params: Tree, h: Array, rng: np.random.Generator,
                  seeds: Sequence[int | None] = ()) -> Tree:
        """Compute the gradients of an inverse g, which learns to return h plus noise from f(h plus noise).

        Parameters
        ----------
        there_and_back : Network
            Two blocks, f and g.
        params : tree
            Their parameters.
        h : array (N, F)
            The input of f.
        rng : numpy.random.Generator
            The generator from which the noise is drawn.
        seeds : sequence
            The seeds from which the layers of f that draw have drawn in the step's forward pass, see `Tape.seeds`.

        Returns
        -------
        tree
            The gradients of the parameters of g.
        """
        noise = array_module(h).asarray((self.sigma * rng.standard_normal(tuple(h.shape))).astype(h.dtype))
        u = h + noise
        f, g = there_and_back[:1], there_and_back[1:]
        tape = forward(g, params[1:], forward(f, params[:1], u, seeds=seeds).output)
        return backward(g, params[1:], tape, {0: d_squared(tape.output, u)})[0]

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Send the targets down, and let every hidden block descend its distance to its target; see `Rule.credit`."""
        last = len(net) - 1
        e = net.error(tape.output, y)
        if not last:
            return Credit(backward(net, params, tape, {0: e}))
        sent, _ = local(net, params, tape, {last: e})
        # the factor len(y) removes the mean over the batch from e: the target of one sample depends on no other sample
        target = tape.h[last] - self.step * len(y) * sent[last]
        signals = {last: e, last - 1: d_squared(tape.h[last], target)}
        for i in range(last - 1, 0, -1):
            g = Network((self.g(len(state[i][0]["b"])),))
            back = [forward(g, state[i:i + 1], h).output for h in (target, tape.h[i + 1])]
            target = tape.h[i] + (back[0] - back[1])
            signals[i - 1] = d_squared(tape.h[i], target)
        return Credit(backward(net, params, tape, signals))
