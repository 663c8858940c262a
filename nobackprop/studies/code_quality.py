"""How good the codes of a network are: associated losses, and distances within and between classes.

A code is the output of a hidden block.  `distances` and `embed` measure how well the codes of different classes are
separated, in numbers and as a picture.  The measurements are those of Kao and Chen 2020, sections 5.3 and 5.4.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from .. import network
from ..backend import Array, to_numpy
from ..network import Network
from ..rules import AssociatedLearning
from ..tree import Tree


def associated_losses(net: Network, rule: AssociatedLearning, params: Tree, state: Tree, x: Array,
                      y: Array) -> list[tuple[float, float]]:
    """Return the associated loss and the autoencoder loss of every component of associated learning.

    Parameters
    ----------
    net : Network
        The network that has been trained.
    rule : AssociatedLearning
        The rule that it was trained under.
    params, state : Tree
        The parameters of the network and the state of the rule.
    x : Array, shape (N, ...)
        The inputs.
    y : Array, shape (N, C)
        The targets, one-hot.

    Returns
    -------
    list of (float, float)
        One pair of losses for each component, from component 1 upwards.

    Notes
    -----
    Kao and Chen 2020, Table 5.  The head of that table is a squared norm, but the size of its numbers suggests a mean
    over units.  Here the losses are those that the rule itself computes, so the option `error` of the rule decides.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.rules import AssociatedLearning
    >>> net, rule, rng = models.build("mlp:6,6", (5,), 3), AssociatedLearning(), np.random.default_rng(0)
    >>> params, shapes = network.init(net, rng, (5,))
    >>> state = rule.init(rng, net, params, shapes)
    >>> x, y = rng.standard_normal((8, 5)), np.eye(3)[rng.integers(3, size=8)]
    >>> len(associated_losses(net, rule, params, state, x, y)) == rule.components(net)
    True
    """
    s, t, losses = x, y, []
    for i in range(1, rule.components(net) + 1):
        learnt = rule.component(net, params, state, i, s, t)
        associated, autoencoder = learnt.losses
        losses.append((float(associated), float(autoencoder)))
        s, t = learnt.tape.h[1], learnt.t
    return losses


def activities(net: Network, params: Tree, x: Array, blocks: Sequence[int]) -> list[np.ndarray]:
    """Return the outputs of some blocks of a network, computed as in prediction.

    Parameters
    ----------
    net : Network
        The network.
    params : Tree
        Its parameters.
    x : Array, shape (N, ...)
        The inputs.
    blocks : sequence of int
        The blocks, counted from 1 as the papers count layers; 0 stands for the input x itself.

    Returns
    -------
    list of numpy.ndarray, shape (N, F)
        One array in host memory for each of `blocks`, in their order; the values of one sample form one row.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> net = models.build("mlp:6,4", (5,), 3)
    >>> params, _ = network.init(net, np.random.default_rng(0), (5,))
    >>> [h.shape for h in activities(net, params, np.zeros((8, 5), "float32"), [2, 0])]
    [(8, 4), (8, 5)]
    """
    h = network.forward(net, params, x, train=False).h
    return [to_numpy(h[i]).reshape(len(x), -1) for i in blocks]


@dataclass(frozen=True)
class Distances:
    """The two mean distances of Table 7, between classes and within them.

    Attributes
    ----------
    inter : float
        The mean distance between the centroids of two classes.
    intra : float
        The mean distance between two samples of one class.

    Examples
    --------
    >>> Distances(inter=6.0, intra=2.0).ratio
    3.0
    """

    inter: float
    intra: float

    @property
    def ratio(self) -> float:
        """The quotient inter / intra: the larger it is, the better the classes are separated."""
        return self.inter / self.intra


def distances(h: np.ndarray, labels: np.ndarray) -> Distances:
    """Return the mean distances between classes and within classes.

    Parameters
    ----------
    h : numpy.ndarray, shape (N, F)
        The codes, one row for each sample.
    labels : numpy.ndarray, shape (N,)
        The class of each sample.

    Returns
    -------
    Distances
        `inter` is the mean over all pairs of classes.  `intra` is first a mean over all pairs of samples of one class,
        and then over the classes, so that every class has the same weight.  A class of one sample has no pair and is
        left out of `intra`.

    Notes
    -----
    Kao and Chen 2020, Table 7.  Everything is computed in float64.

    Examples
    --------
    >>> import numpy as np
    >>> distances(np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1]))
    Distances(inter=10.0, intra=2.0)
    """
    h = h.astype("float64", copy=False)
    classes = np.unique(labels)
    inside = [_pairs(h[labels == k]) for k in classes if (labels == k).sum() > 1]
    centres = np.stack([h[labels == k].mean(0) for k in classes])
    return Distances(_pairs(centres), float(np.mean(inside)))


def _pairs(h: np.ndarray) -> float:
    """Return the mean distance between two different rows."""
    from scipy.spatial.distance import pdist

    return float(pdist(h).mean())


def embed(h: np.ndarray) -> np.ndarray:
    """Return two coordinates for every row, for a picture in the plane, by t-SNE.

    Parameters
    ----------
    h : numpy.ndarray, shape (N, F)
        The codes, one row for each sample.

    Returns
    -------
    numpy.ndarray, shape (N, 2)
        The coordinates.  The same `h` gives the same coordinates.

    Notes
    -----
    Kao and Chen 2020, Figs. 5 and 6.  The perplexity is 30, or less if there are fewer than 92 rows.  t-SNE runs on one
    thread.

    Examples
    --------
    >>> import numpy as np
    >>> embed(np.random.default_rng(0).standard_normal((12, 3))).shape
    (12, 2)
    """
    from sklearn.manifold import TSNE

    # the threads of t-SNE spin while they wait, which costs minutes if another process holds a core
    with threadpool_limits(1):
        tsne = TSNE(random_state=0, init="pca", perplexity=min(30, (len(h) - 1) / 3))
        return np.asarray(tsne.fit_transform(h))
