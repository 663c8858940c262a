"""The kernelised information bottleneck: blocks keep what depends on the target, and lose the rest.

How much two variables depend on one another is measured by HSIC, the Hilbert-Schmidt independence criterion.  It is
estimated from kernel matrices: tables of the similarities between all pairs of samples of a batch.
"""
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
    """PHSIC makes hidden blocks keep what depends on the target, and drop the rest (Pogodin and Latham 2020).

    Parameters
    ----------
    gamma : float
        The weight of the dependence on the target, from 0 on.
    kernel : {"gaussian", "cosine"}
        The kernel of h_i: Gaussian, or the cosine between samples after each sample's mean over its units is
        subtracted.
    sigma : float
        The width of the Gaussian kernel.

    Notes
    -----
    What is substituted: the signals.  Hidden block i hears the derivative of its own loss.  With the kernel matrices K
    and K' (N, N) of two variables, the estimate of pHSIC over a batch is mean_ij((K_ij - mean K) K'_ij).  The kernel
    of y* is linear.

    State: None for every hidden block; nothing but the network learns.

    Source: Pogodin and Latham 2020.

    Deviations from print: neurons are grouped in one way only, one group for each plane of an image; there is no
    divisive normalisation.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import PHSIC
    >>> rng = np.random.default_rng(0)
    >>> h, y = rng.standard_normal((8, 5)), np.eye(3)[rng.integers(3, size=8)]
    >>> PHSIC().sent(None, None, h, y).shape                         # what a block with output h hears
    (8, 5)
    """

    gamma: float = number(2.0, "a number from 0 on", lambda gamma: gamma >= 0)
    kernel: str = one_of(KERNELS, "gaussian", "kernel")
    sigma: float = 5.0
    defaults: ClassVar[Mapping[str, object]] = {"lr": 3e-3}

    def module(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> Tree:
        """Return None: the loss has no weights; see `LocalLoss.module`."""
        return None

    def value(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Return pHSIC(h, h) - gamma pHSIC(y*, h); see `LocalLoss.value`."""
        K, K_y = self.matrix(features(h)), self.targets(y)
        return phsic(K, K) - self.gamma * phsic(K_y, K)

    def sent(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Return the derivative of that loss with respect to h; see `LocalLoss.sent`."""
        x = features(h)
        K, K_y = self.matrix(x), self.targets(y)
        delta = (2 * centred(K) - self.gamma * centred(K_y)) / K.size
        d = d_similarity(delta, x) if self.kernel == "cosine" else d_gaussian(delta, x, self.sigma)
        return d_features(d, h)

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Return None: there is no state; see `Rule.align`."""
        return None

    def matrix(self, x: Array) -> Array:
        """Return the kernel matrix (N, N) of the features x (N, F) of a block's output."""
        return similarity(x) if self.kernel == "cosine" else gaussian(x, self.sigma)

    def targets(self, y: Array) -> Array:
        """Return the linear kernel matrix (N, N) of the targets y* (N, C)."""
        K: Array = array_module(y).matmul(y, y.T)
        return K


def phsic(K: Array, other: Array) -> Array:
    """Estimate the dependence of two variables from their kernel matrices over one batch.

    Parameters
    ----------
    K, other : array (N, N)
        The kernel matrices of the two variables.

    Returns
    -------
    scalar
        HSIC plus twice the covariance of the row means.  This covariance is 0 if the rows of one of the two matrices
        have equal means.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules.hsic_bottleneck import phsic
    >>> float(phsic(np.eye(2), np.eye(2))), float(phsic(np.ones((2, 2)), np.eye(2)))
    (0.25, 0.0)
    """
    dependence: Array = (centred(K) * other).mean()
    return dependence


def centred(K: Array) -> Array:
    """Return K (N, N) after the mean of all its elements is subtracted.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules.hsic_bottleneck import centred
    >>> centred(np.eye(2)).tolist()
    [[0.5, -0.5], [-0.5, 0.5]]
    """
    deviations: Array = K - K.mean()
    return deviations
