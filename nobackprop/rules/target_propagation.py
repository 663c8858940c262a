"""Difference target propagation: what comes down is not an error but what each layer should have been."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..backend import Array, array_module
from ..errors import InputError
from ..kernels import linear
from ..kernels.activation import ACTIVATIONS
from ..kernels.loss import d_squared
from ..layers import Activation, Dense, Layer, Sequential
from ..network import Network, Tape, backward, forward
from ..options import number, one_of
from ..tree import Tree, leaves
from .base import Credit, Rule


@dataclass(frozen=True)
class DifferenceTargetPropagation(Rule):
    """Difference target propagation: targets come down through inverses that learn.  Lee et al. 2015.

    The last hidden block's target is h - step dL/dh, through the output's own weights.  Below it
    t_{i-1} = h_{i-1} + g_i(t_i) - g_i(h_i): the difference makes up for an inverse that is none.  Each hidden block
    descends |h_i - t_i|^2 / 2, the output block the network's loss.
    State: at the place of hidden block i, from 1, for all but the first: g_i, dense (F_{i-1}, F_i) and an activation,
    `inverse`.  It learns |g_i(f_i(u)) - u|^2 / 2 with u = h_{i-1} plus noise of the deviation `sigma`.
    Fully connected networks only, as in the paper.
    """

    step: float = 1.0
    sigma: float = number(0.1, "a number from 0 on", lambda sigma: sigma >= 0)
    inverse: str = one_of(ACTIVATIONS, "tanh", "activation")
    defaults: ClassVar[Mapping[str, object]] = {"activation": "tanh"}

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Raises InputError where a hidden block is anything but one dense layer and its activation."""
        for i, (block, shape) in enumerate(zip(params, shapes[1:]), start=1):
            if len(shape) != 1 or [path.rpartition("/")[2] for path, _ in leaves(block)] != ["W", "b"]:
                raise InputError("difference target propagation needs a fully connected network, such as mlp:128,128: "
                                 f"one dense layer a block, which block {i} is not")
        return [None, *(self.g(below[0]).init(rng, above)[0] for below, above in zip(shapes[1:-1], shapes[2:-1]))]

    def g(self, units: int) -> Layer:
        """An inverse, (N, F_i) -> (N, units)."""
        return Sequential((Dense(units, gain=1.0), Activation(self.inverse)))

    def align(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """The inverses', each of one layer alone."""
        return [None, *(self.inversion(Network((net[i], self.g(len(own[0]["b"])))), [params[i], own], tape.h[i], rng,
                                       tape.seeds[i:i + 1])
                        for i, own in enumerate(state[1:], start=1))]

    def inversion(self, there_and_back: Network, params: Tree, h: Array, rng: np.random.Generator,
                  seeds: Sequence[int | None] = ()) -> Tree:
        """The gradient of g on what f makes of h (N, F) and noise."""
        noise = array_module(h).asarray((self.sigma * rng.standard_normal(h.shape)).astype(h.dtype))
        u = h + noise
        f, g = there_and_back[:1], there_and_back[1:]
        tape = forward(g, params[1:], forward(f, params[:1], u, seeds=seeds).output)
        return backward(g, params[1:], tape, {0: d_squared(tape.output, u)})[0]

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array) -> Credit:
        last = len(net) - 1
        e = net.error(tape.output, y)
        # len(y) takes the mean over the batch out of e: a sample's target is its own affair
        target = tape.h[last] - self.step * len(y) * linear.feedback(params[last]["W"], e)
        signals = {last: e, last - 1: d_squared(tape.h[last], target)}
        for i in range(last - 1, 0, -1):
            g = Network((self.g(len(state[i][0]["b"])),))
            back = [forward(g, state[i:i + 1], h).output for h in (target, tape.h[i + 1])]
            target = tape.h[i] + (back[0] - back[1])
            signals[i - 1] = d_squared(tape.h[i], target)
        return Credit(backward(net, params, tape, signals))
