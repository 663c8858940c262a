"""Local errors: every hidden block learns only from the error of a fixed random classifier on its output."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..backend import Array
from ..heads import PoolHead
from ..network import Network, Tape
from ..tree import Tree
from .local_loss import Classified


@dataclass(frozen=True)
class LocalClassifier(Classified):
    """Local errors train each hidden block by a fixed random classifier on it (Mostafa, Ramesh, Cauwenberghs 2018).

    Parameters
    ----------
    draw : callable
        Draws one classifier: ``draw(rng, shape)``, see `nobackprop.feedback`.
    window : int
        The side of the windows of average pooling, in pixels.

    Notes
    -----
    What is substituted: the signals.  Each hidden block hears the error of its own classifier, which comes back through
    the classifier's own weights.  Nothing comes down from above.

    State: B[i] (C, F'), the classifier on hidden block i, which never learns.  On images F' counts what average pooling
    leaves, as in Woo 2023, section 5.2.4.

    Source: Mostafa, Ramesh, Cauwenberghs 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> B = rules.LocalClassifier().init(rng, net, params, shapes)
    >>> [b.shape for b in B], rules.LocalClassifier().align(net, params, B, None, None, rng) is None
    ([(3, 5), (3, 4)], True)
    """

    window: int = 2
    defaults: ClassVar[Mapping[str, object]] = {"lr": 3e-3}

    def head(self) -> PoolHead:
        """Return a classifier with windows of side `window`; see `Classified.head`."""
        return PoolHead(self.window)

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Return None: the classifiers never learn; see `Rule.align`."""
        return None
