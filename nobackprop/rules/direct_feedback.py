"""Direct feedback alignment: fixed random weights carry the output error directly to every hidden block."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..backend import Array
from ..feedback import Draw, drawn, gaussian
from ..heads import DenseHead, Head
from ..layers import kernel_beside
from ..network import Network, Tape, backward
from ..tree import Tree
from .base import Credit, Rule


@dataclass(frozen=True)
class DFA(Rule):
    """Direct feedback alignment carries the error directly from the output to each hidden block (Nokland 2016).

    Parameters
    ----------
    draw : callable
        Draws one feedback matrix: ``draw(rng, (C, F))``, see `nobackprop.feedback`.
    kernel : bool
        Whether a block below a convolution has a matrix of the shape of its kernels, one for all positions, as in the
        published code of the LAS paper.  If not, every unit has a column of its own, as in Nokland 2016.

    Notes
    -----
    What is substituted: the signals.  Hidden block i hears B[i]^T e in the place of what the block above would send
    down.  Inside a block gradients are exact.

    State: B[i] (C, F) for hidden block i, the last one included; F is the number of units of the block's output.  It
    never learns.  The paper writes its transpose, B_{i+1}.  With `kernel`, a block below a convolution with k x k
    kernels has B[i] (C, k k planes).  The error goes back through it as through that convolution: at every position the
    same.

    Source: Nokland 2016; Yang, Lee, Park 2024 (the LAS paper), section II-C, equations (15)-(18).

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> [B.shape for B in rules.DFA().init(rng, net, params, shapes)]
    [(3, 5), (3, 4)]
    """

    draw: Draw = gaussian
    kernel: bool = False

    def heads(self, net: Network) -> list[Head]:
        """Return the map through which the error comes back to each hidden block: all units, or a kernel."""
        return [kernel_beside(block) if self.kernel else DenseHead() for block in net[1:]]

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw one matrix for every hidden block; see `Rule.init`."""
        return [head.init(rng, shape, shapes[-1][0], self.draw)
                for head, shape in zip(self.heads(net), shapes[1:-1], strict=True)]

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Send the error to every hidden block, and compute each block's gradients there; see `Rule.credit`."""
        e = net.error(tape.output, y)                                              # LAS (15)
        sent = self.sent(e, y)
        signals = {i: head.send(b, sent, h.shape)                                  # LAS (16), ASAP (2.5)
                   for i, (head, b, h) in enumerate(zip(self.heads(net), self.matrices(net, B, tape), tape.h[1:-1],
                                                        strict=True))}
        return Credit(backward(net, params, tape, signals | {len(net) - 1: e}))    # LAS (16)-(18)

    def matrices(self, net: Network, B: Tree, tape: Tape) -> list[Array]:
        """Return the feedback matrix (C, F) of every hidden block from the state B."""
        return list(B)

    def sent(self, e: Array, y: Array) -> Array:
        """Return the array (N, C) that goes out to the hidden blocks: the output error e."""
        return e


@dataclass(frozen=True)
class SharedDFA(DFA):
    """SharedDFA is DFA with one feedback matrix for all blocks (Launay, Poli, Krzakala 2019).

    Parameters
    ----------
    draw, kernel
        As in `DFA`; `draw` draws the matrix.

    Notes
    -----
    What is substituted, Source: as `DFA`.  A block whose matrix has F columns under `DFA` uses the first F columns of
    the one matrix.

    State: B (C, F), where F is the largest of these numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> rules.SharedDFA().init(rng, net, params, shapes).shape
    (3, 5)
    """

    by_place: ClassVar[bool] = True

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the one matrix; see `Rule.init`."""
        widths = [head.features(shape) for head, shape in zip(self.heads(net), shapes[1:-1], strict=True)]
        return drawn(rng, (shapes[-1][0], max(widths, default=1)), self.draw)

    def matrices(self, net: Network, B: Tree, tape: Tape) -> list[Array]:
        """Return as many of the first columns of B as each hidden block uses; see `DFA.matrices`."""
        return [B[:, :head.features(h.shape[1:])] for head, h in zip(self.heads(net), tape.h[1:-1], strict=True)]


@dataclass(frozen=True)
class DRTP(DFA):
    """Direct random target projection sends each hidden block the target instead of the error (Frenkel et al. 2021).

    Parameters
    ----------
    draw, kernel
        As in `DFA`.

    Notes
    -----
    What is substituted: the signals.  Hidden block i hears -B[i]^T y* / N, where N is the size of the batch.  So no
    hidden block waits for the output.

    The signal never falls to 0, so only the derivative f' of the activation can stop a hidden unit.  Under tanh, which
    the paper uses, it does.  Under relu a unit grows without end or dies.

    State: as `DFA`.

    Source: Frenkel et al. 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import DRTP
    >>> e, y = np.ones((2, 3)), np.eye(3)[:2]
    >>> bool((DRTP().sent(e, y) == DRTP().sent(0 * e, y)).all())      # the error is not read
    True
    """

    defaults: ClassVar[Mapping[str, object]] = {"activation": "tanh", "lr": 3e-3}

    def sent(self, e: Array, y: Array) -> Array:
        """Return the array (N, C) that goes out to the hidden blocks: -y* / N."""
        return -y / len(y)
