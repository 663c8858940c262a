"""Direct feedback alignment: fixed random weights carry the output error directly to every hidden block."""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..backend import Array
from ..feedback import Draw, drawn, gaussian
from ..heads import DenseHead
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

    Notes
    -----
    What is substituted: the signals.  Hidden block i hears B[i]^T e in the place of what the block above would send
    down.  Inside a block gradients are exact.

    State: B[i] (C, F) for hidden block i, the last one included; F is the number of units of the block's output.  It
    never learns.  The paper writes its transpose, B_{i+1}.

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

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw one matrix for every hidden block; see `Rule.init`."""
        return [DenseHead().init(rng, shape, shapes[-1][0], self.draw) for shape in shapes[1:-1]]

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Send the error to every hidden block, and compute each block's gradients there; see `Rule.credit`."""
        e = net.error(tape.output, y)                                              # LAS (15)
        sent = self.sent(e, y)
        signals = {i: DenseHead().send(b, sent, h.shape)                           # LAS (16), ASAP (2.5)
                   for i, (b, h) in enumerate(zip(self.matrices(B, tape), tape.h[1:-1], strict=True))}
        return Credit(backward(net, params, tape, signals | {len(net) - 1: e}))    # LAS (16)-(18)

    def matrices(self, B: Tree, tape: Tape) -> list[Array]:
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
    draw : callable
        Draws the matrix, as in `DFA`.

    Notes
    -----
    What is substituted, Source: as `DFA`.  A block of F units uses the first F columns of the matrix.

    State: B (C, F), where F is the number of units of the widest hidden block.

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
        return drawn(rng, (shapes[-1][0], max((math.prod(shape) for shape in shapes[1:-1]), default=1)), self.draw)

    def matrices(self, B: Tree, tape: Tape) -> list[Array]:
        """Return the first columns of B for every hidden block, one column for each unit; see `DFA.matrices`."""
        return [B[:, :h[0].size] for h in tape.h[1:-1]]


@dataclass(frozen=True)
class DRTP(DFA):
    """Direct random target projection sends each hidden block the target instead of the error (Frenkel et al. 2021).

    Parameters
    ----------
    draw : callable
        Draws the matrices, as in `DFA`.

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
