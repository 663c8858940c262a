"""How good the codes of a network are: associated losses, distances within and between classes, pictures of both.

Kao and Chen 2020, sections 5.3 and 5.4.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from . import network
from .backend import Array, to_numpy
from .network import Network
from .rules import AssociatedLearning
from .tree import Tree


def associated_losses(net: Network, rule: AssociatedLearning, params: Tree, state: Tree, x: Array,
                      y: Array) -> list[tuple[float, float]]:
    """The associated loss and the autoencoder loss of every component, from 1, on x (N, ...) and one-hot y (N, C).

    Table 5, which is headed by a squared norm and whose size suggests the rule's mean over units.
    """
    s, t, losses = x, y, []
    for i in range(1, rule.components(net) + 1):
        learnt = rule.component(net, params, state, i, s, t)
        associated, autoencoder = learnt.losses
        losses.append((float(associated), float(autoencoder)))
        s, t = learnt.tape.h[1], learnt.t
    return losses


def activities(net: Network, params: Tree, x: Array, blocks: Sequence[int]) -> list[np.ndarray]:
    """The outputs (N, F) of these blocks, from 1 as the papers count layers, 0 being x; as prediction has them."""
    h = network.forward(net, params, x, train=False).h
    return [to_numpy(h[i]).reshape(len(x), -1) for i in blocks]


@dataclass(frozen=True)
class Distances:
    """Table 7.  inter: between the centroids of two classes; intra: between two samples of one class."""

    inter: float
    intra: float

    @property
    def ratio(self) -> float:
        """The larger the better are the classes apart."""
        return self.inter / self.intra


def distances(h: np.ndarray, labels: np.ndarray) -> Distances:
    """Mean distances in h (N, F): over all pairs of classes, and over all pairs of a class and then over the classes.

    A class of one sample has no pair, and is left out of the second mean.
    """
    h = h.astype("float64", copy=False)
    classes = np.unique(labels)
    inside = [_pairs(h[labels == k]) for k in classes if (labels == k).sum() > 1]
    centres = np.stack([h[labels == k].mean(0) for k in classes])
    return Distances(_pairs(centres), float(np.mean(inside)))


def _pairs(h: np.ndarray) -> float:
    """The mean distance of two different rows."""
    from scipy.spatial.distance import pdist

    return float(pdist(h).mean())


def embed(h: np.ndarray) -> np.ndarray:
    """Two coordinates for every row of h (N, F), (N, 2): t-SNE, as in Figs. 5 and 6, on one thread."""
    from sklearn.manifold import TSNE

    # its threads spin while they wait, which costs minutes where another process holds a core
    with threadpool_limits(1):
        return TSNE(random_state=0, init="pca", perplexity=min(30, (len(h) - 1) / 3)).fit_transform(h)
