"""The weight mirror: feedback weights learn the forward weights from noise that neurons send through them."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend import Array, array_module
from ..feedback import weights
from ..kernels import linear
from ..network import Network, Tape
from ..tree import Tree, tree_map
from .feedback_alignment import FA


@dataclass(frozen=True)
class WeightMirror(FA):
    """Weight mirror.  Akrout et al. 2019; Woo 2023, sections 2.2 and 4.2.3.

    State: B, one array of W's shape for every W.  Engage mode is feedback alignment with whatever B has become
    (`credit`, inherited); mirror mode (`align`) sends zero-mean noise of deviation `sigma` through each layer
    alone, `samples` of it, before about one step in `period`, drawn at random.
    Deviations from print: (2.6) has the sign that leads to -W and no decay; here the mirror learns with + and
    decays at the rate that makes W its resting point.  Noise is measured behind W and before bias and f.
    """

    sigma: float = 1.0
    samples: int = 64
    period: int = 1

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Mirror mode: each layer by itself, none of them seeing the task."""
        if rng.integers(self.period):
            return None
        return tree_map(lambda b, W: self.mirror(b, W, rng), B, weights(params))

    def mirror(self, b: Array, W: Array, rng: np.random.Generator) -> Array:
        """The gradient of one B: on average b - W, reached through activities alone."""
        xp = array_module(W)
        h_in = xp.asarray((self.sigma * rng.standard_normal((self.samples, W.shape[1]))).astype(W.dtype))
        h_out = linear.forward(W, h_in)                                                  # ASAP (2.1)
        return b - linear.outer(h_out, h_in) / (self.samples * self.sigma**2)            # ASAP (2.6)
