"""Local alignment support: the direct feedback weights are the forward weights of local modules that learn.

A local module is a small linear map from the output of one hidden block to the network's output space.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..backend import Array
from ..feedback import Draw, gaussian
from ..heads import Head
from ..kernels.loss import d_squared
from ..layers import BESIDE, Layer
from ..network import Network, Tape, backward
from ..options import one_of
from ..tree import Tree
from .base import Credit, Rule


@dataclass(frozen=True)
class LAS(Rule):
    """Local alignment support: next to each block a module learns to predict the output (Yang, Lee, Park 2024).

    Parameters
    ----------
    draw : callable
        Draws the first weights of a module: ``draw(rng, shape)``, see `nobackprop.feedback`.
    beside : {"exact", "published"}
        The modules next to convolutions: "exact" ones have the average over positions, and their feedback is its exact
        adjoint; "published" ones are those of the paper's published code, with the maximum.  See ``layers.BESIDE``.
    shortcuts : bool
        Whether the exact error comes down through shortcuts, too, as in the published code.  If not, a block hears its
        own module alone, as in the paper's text.

    Notes
    -----
    What is substituted: the signals.  Hidden block i hears B[i]^T e, the error sent back through its own module, in
    the place of what the block above would send down.  The last hidden block has no module: W_L itself carries the
    error to it.  With `shortcuts` the network is substituted instead: in the one that is walked, the first layer of
    every block sends B[i]^T e down, and a shortcut next to this layer adds what it would send down anyway.

    State: B[i] (C, F), the module on hidden block i, for every hidden block but the last.  Next to a convolution it
    has the shape (C, k k planes).  The paper writes its transpose, B_{i+1}.

    Source: Yang, Lee, Park 2024, section III-A, equations (19)-(24); section III-C, equation (27), for convolutions;
    Algorithms 1 and 2.

    Deviations from print: the loss (20) has the factor 1/2 here, so that (21) is its gradient.  (21) descends this
    loss; with the printed sign it would ascend.  (22) is y - y*, as in (5).  A module has no bias (19).

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> [B.shape for B in rules.LAS().init(rng, net, params, shapes)]   # W_L serves the last hidden block
    [(3, 5)]
    """

    draw: Draw = gaussian
    beside: str = one_of(BESIDE, "exact", "kind of module")
    shortcuts: bool = False

    def heads(self, net: Network) -> list[Head]:
        """Return a module for each hidden block but the last, shaped like the layer next to which it stands.

        That layer is the first one of the block above.
        """
        return [BESIDE[self.beside](block) for block in net[1:-1]]

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the modules' weights; see `Rule.init`."""
        return [head.init(rng, shape, shapes[-1][0], self.draw)
                for head, shape in zip(self.heads(net), shapes[1:-2], strict=True)]

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Compute the modules' gradients; Algorithm 1 line 13, Algorithm 2 line 5."""
        grads = []
        for head, b, h in zip(self.heads(net), B, tape.h[1:-2], strict=True):
            y_i = head.forward(b, h)                                               # LAS (19)
            grads.append(head.grad(b, h, self.local_error(net, y_i, tape, y)))     # LAS (21), (27)
        return grads

    def local_error(self, net: Network, y_i: Array, tape: Tape, y: Array) -> Array:
        """Return the error (N, C) of a module's output y_i (N, C), which should equal a_L."""
        return net.weigh(d_squared(y_i, tape.output))                              # LAS (20)

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Send the output error through the modules to the hidden blocks, and compute their gradients."""
        e = net.error(tape.output, y)                                              # LAS (22)
        signals = {i: head.send(b, e, h.shape)                                     # LAS (24)
                   for i, (head, b, h) in enumerate(zip(self.heads(net), B, tape.h[1:-2], strict=True))}
        if self.shortcuts:
            net, signals = beside_shortcuts(net, signals)
        return Credit(backward(net, params, tape, signals | {len(net) - 1: e}))    # LAS (23)-(24)


@dataclass(frozen=True)
class LTAS(LAS):
    """Local target alignment support: next to each block a module learns to predict the target (Yang, Lee, Park 2024).

    Parameters
    ----------
    draw, beside, shortcuts
        As in `LAS`.

    Notes
    -----
    What is substituted, State: as `LAS`.

    Source: Yang, Lee, Park 2024, section III-B, equations (25)-(26).

    Deviations from print: Algorithm 2 line 4 lacks the softmax that section III-B asks for; here it is part of the
    network's cross-entropy loss.  A module has no bias, as under `LAS`.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> y_i, y = rng.standard_normal((8, 3)), np.eye(3)[rng.integers(3, size=8)]
    >>> error = rules.LTAS().local_error(net, y_i, None, y)
    >>> np.allclose(error, net.error(y_i, y))                        # the module hears what an output layer would
    True
    """

    def local_error(self, net: Network, y_i: Array, tape: Tape, y: Array) -> Array:
        """Return the error (N, C) of a module's output y_i (N, C), which should equal y*, by the network's loss."""
        return net.error(y_i, y)                                                   # LAS (25)-(26)


@dataclass(frozen=True, eq=False)
class Sends(Layer):
    """A layer that sends a given array down, in the place of what its own adjoint would make of delta.

    It has the backward pass of the layer whose place it takes, which still gets its own gradients.

    Parameters
    ----------
    layer : Layer
        The layer whose place it takes.
    sent : array (N, ...)
        What goes down, of the shape of the layer's input.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.layers import Activation
    >>> delta = np.full((1, 2), 7.0)
    >>> Sends(Activation("identity"), np.ones((1, 2))).backward(None, 0 * delta, delta)[0].tolist()
    [[1.0, 1.0]]
    """

    layer: Layer
    sent: Array

    def backward(self, feedback: Tree, cache: Any, delta: Array, want_down: bool = True) -> tuple[Array | None, Tree]:
        return self.sent, self.layer.backward(feedback, cache, delta, False)[1]


def beside_shortcuts(net: Network, signals: Mapping[int, Array]) -> tuple[Network, dict[int, Array]]:
    """Return a network that sends the signals down by itself, and adds what comes down through its shortcuts.

    Parameters
    ----------
    net : Network
    signals : mapping of int to array
        For some blocks, what they hear in the place of what the block above would send down.

    Returns
    -------
    net : Network
        The first layer of the block above each of them sends its signal; see `Layer.with_first`.
    signals : dict
        Empty: no block hears a signal in the place of the block above.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.layers import Activation, Residual
    >>> net = Network((Activation("relu"), Residual(Activation("relu"))))
    >>> walked, signals = beside_shortcuts(net, {0: np.ones((1, 2))})
    >>> type(walked[1].body).__name__, signals
    ('Sends', {})
    """
    blocks = [block.with_first(partial(Sends, sent=signals[i - 1])) if i - 1 in signals else block
              for i, block in enumerate(net)]
    return replace(net, blocks=tuple(blocks)), {}
