"""Local classifiers: fixed and random, one on every hidden block, whose errors are all that the block hears."""
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
    """Local errors: every hidden block serves a fixed random classifier.  Mostafa, Ramesh, Cauwenberghs 2018.

    State: B[i] (C, F'), which never learns; on images behind average pooling, as in Woo 2023, section 5.2.4.  The error
    comes back through the classifier's own weights.
    """

    window: int = 2
    defaults: ClassVar[Mapping[str, object]] = {"lr": 3e-3}

    def head(self) -> PoolHead:
        return PoolHead(self.window)

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        return None
