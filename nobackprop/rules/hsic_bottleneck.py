"""The kernelised information bottleneck: what a block keeps of its input and says of the target, as dependence."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..backend import Array, array_module
from ..kernels.similarity import d_gaussian, d_similarity, gaussian, similarity
from ..network import Network, Tape
from ..options import number, one_of
from ..tree import Tree
from .local_loss import LocalLoss, d_features, features

KERNELS = ("cosine", "gaussian")


@dataclass(frozen=True)
class PHSIC(LocalLoss):
    """Plausible HSIC: every hidden block minimises pHSIC(h_i, h_i) - gamma pHSIC(y*, h_i).  Pogodin and Latham 2020.

    The estimate over a batch is mean_ij((K_ij - mean K) K'_ij).  `kernel`, of h_i, is "gaussian" of
    width `sigma`, or "cosine" between samples less their mean over the units; that of y* is linear.  No state.
    Deviations from print: of the grouping of neurons only one group a plane of an image, no divisive normalisation.
    """

    gamma: float = number(2.0, "a number from 0 on", lambda gamma: gamma >= 0)
    kernel: str = one_of(KERNELS, "gaussian", "kernel")
    sigma: float = 5.0
    defaults: ClassVar[Mapping[str, object]] = {"lr": 3e-3}

    def module(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> Tree:
        return None

    def value(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        K, K_y = self.matrix(features(h)), self.targets(y)
        return phsic(K, K) - self.gamma * phsic(K_y, K)

    def sent(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        x = features(h)
        K, K_y = self.matrix(x), self.targets(y)
        delta = (2 * centred(K) - self.gamma * centred(K_y)) / K.size
        d = d_similarity(delta, x) if self.kernel == "cosine" else d_gaussian(delta, x, self.sigma)
        return d_features(d, h)

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        return None

    def matrix(self, x: Array) -> Array:
        """The kernel between samples x (N, F), (N, N)."""
        return similarity(x) if self.kernel == "cosine" else gaussian(x, self.sigma)

    def targets(self, y: Array) -> Array:
        """The kernel between targets y* (N, C), (N, N)."""
        return array_module(y).matmul(y, y.T)


def phsic(K: Array, other: Array) -> Array:
    """The dependence of two variables by their kernel matrices (N, N) over one batch, a scalar.

    It is HSIC plus twice the covariance of the row means, which is 0 where the rows of one matrix have equal means.
    """
    return (centred(K) * other).mean()


def centred(K: Array) -> Array:
    """K less the mean of all its elements."""
    return K - K.mean()
