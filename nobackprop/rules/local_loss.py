"""Local losses: every hidden block descends a loss of its own, and no error comes down from above."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, cast

import numpy as np

from ..backend import Array
from ..errors import InputError
from ..feedback import Draw, drawn, gaussian
from ..heads import PoolHead
from ..kernels import convolution, linear
from ..kernels.similarity import d_deviation, d_similarity, deviation, similarity
from ..network import Network, Tape, backward
from ..options import number
from ..tree import Tree
from .base import Credit, Rule, missing

# side, stride and padding of the convolutions of LocalSimilarity
KERNEL = 3, 1, 1


@dataclass(frozen=True)
class LocalLoss(Rule):
    """LocalLoss is the base class of rules under which every hidden block descends a loss of its own.

    A subclass writes `module`, `value` and `sent`, and `learnt` if its B learns.

    Raises
    ------
    InputError
        If a method is called that the subclass does not have.

    Notes
    -----
    What is substituted: the signals.  Hidden block i hears dL_i/dh_i, where the loss L_i depends on the block's own
    output h_i and on y* only.  The output block hears e.  Inside a block gradients are exact.

    State: B[i], the weights that belong to L_i, for hidden block i.  Like the modules of LAS, B moves first and then
    carries dL_i/dh_i; the papers move both at once.

    Examples
    --------
    >>> from nobackprop.rules import RULES, LocalLoss
    >>> [name for name, rule in RULES.items() if isinstance(rule, LocalLoss)]
    ['mostafa', 'pred', 'sim', 'predsim', 'phsic']
    """

    def module(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> Tree:
        """Draw B[i] for one hidden block.

        Parameters
        ----------
        rng : numpy.random.Generator
            The generator from which it is drawn.
        shape : tuple of int
            The shape of one sample of the block's output.
        classes : int
            C, the number of outputs of the network.

        Returns
        -------
        tree
            The weights that belong to the block's loss; None if it has none.
        """
        raise missing(self, "module")

    def value(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Return the loss L_i, a scalar, of the block's output h (N, ...) and the targets y (N, C)."""
        raise missing(self, "value")

    def sent(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Return dL_i/dh, an array of the shape of h (N, ...): what the block hears."""
        raise missing(self, "sent")

    def learnt(self, net: Network, b: Tree, h: Array, y: Array) -> Tree:
        """Return dL_i/db, a tree like b: what the block's own B[i] learns by."""
        raise missing(self, "learnt")

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw B[i] for every hidden block; see `Rule.init`."""
        return [self.module(rng, shape, shapes[-1][0]) for shape in shapes[1:-1]]

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Compute the gradients of every B[i]; see `Rule.align`."""
        return [self.learnt(net, b, h, y) for b, h in zip(B, tape.h[1:-1], strict=True)]

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Let every hidden block hear dL_i/dh_i, and the output block e; see `Rule.credit`."""
        signals = {i: self.sent(net, b, h, y) for i, (b, h) in enumerate(zip(B, tape.h[1:-1], strict=True))}
        return Credit(backward(net, params, tape, signals | {len(net) - 1: net.error(tape.output, y)}))


@dataclass(frozen=True)
class Classified(LocalLoss):
    """Classified is the base class of local losses that are those of a linear classifier on the block.

    Parameters
    ----------
    draw : callable
        Draws one classifier: ``draw(rng, shape)``, see `nobackprop.feedback`.

    Notes
    -----
    L_i is the network's own loss of the classifier's output and y*; e_i is its error.

    State: B[i] (C, F'), on the F' features that average pooling leaves of h_i.

    Examples
    --------
    >>> from nobackprop.rules import RULES
    >>> from nobackprop.rules.local_loss import Classified
    >>> [name for name, rule in RULES.items() if isinstance(rule, Classified)]
    ['mostafa', 'pred']
    """

    draw: Draw = gaussian

    def head(self) -> PoolHead:
        """Return the classifier that stands on every block; a subclass must have this method."""
        raise missing(self, "head")

    def module(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> Tree:
        """Draw the classifier's weights (C, F'); see `LocalLoss.module`."""
        return self.head().init(rng, shape, classes, self.draw)

    def value(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Return the loss of what the classifier says of h; see `LocalLoss.value`."""
        return net.value(self.head().forward(b, h), y)

    def sent(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Send e_i back through the classifier's own weights; see `LocalLoss.sent`."""
        return self.head().send(b, self.error(net, b, h, y), h.shape)

    def error(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Return e_i (N, C), the error of the local classifier with weights b (C, F') on h (N, ...)."""
        return net.error(self.head().forward(b, h), y)


@dataclass(frozen=True)
class LocalPrediction(Classified):
    """Local prediction trains every hidden block together with a classifier on its output (Nokland and Eidnes 2019).

    Parameters
    ----------
    draw : callable
        Draws the first weights of one classifier: ``draw(rng, shape)``.
    most : int
        The largest number of features that average pooling leaves to a classifier, if the image has no more planes.

    Notes
    -----
    What is substituted: the signals.  Hidden block i hears the error of its own classifier, which comes back through
    the classifier's own weights.

    State: B[i] (C, F'), the classifier on hidden block i, which learns.  F' is the number of features that average
    pooling leaves of h_i.  It is at most `most`, or the number of planes if that is larger.

    Source: Nokland and Eidnes 2019.

    Deviations from print: the classifier has no bias, and it starts as `draw` says and not at 0; windows are square.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> [B.shape for B in rules.LocalPrediction().init(rng, net, params, shapes)]
    [(3, 5), (3, 4)]
    """

    most: int = 2048

    def head(self) -> PoolHead:
        """Return a classifier on at most `most` features; see `Classified.head`."""
        return PoolHead(1, self.most)

    def learnt(self, net: Network, b: Tree, h: Array, y: Array) -> Tree:
        """Return the classifier's own gradient, like b (C, F'); see `LocalLoss.learnt`."""
        return self.head().grad(b, h, self.error(net, b, h, y))


@dataclass(frozen=True)
class LocalSimilarity(LocalLoss):
    """Similarity matching makes samples of one class alike in every hidden block (Nokland and Eidnes 2019).

    Parameters
    ----------
    draw : callable
        Draws the first B[i]: ``draw(rng, shape)``.

    Notes
    -----
    What is substituted: the signals.  Hidden block i hears dL_i/dh_i.  L_i compares two tables of cosines between all
    pairs of samples of the batch: those between the samples' B[i] h_i, and those between their targets y*.

    State: B[i], which learns.  It is a dense map (F, F), or on images a 3x3 convolution (planes, 9 planes).  On images
    the cosines are those between the `features` of its output.

    Source: Nokland and Eidnes 2019.

    Deviations from print, both as in the paper's published code: L_i is the mean over all pairs of samples, not the
    sum; and the standard deviations of an image's planes are compared, which the paper says only of its other version.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import LocalSimilarity
    >>> y = np.eye(3)[[0, 1, 2, 0]]
    >>> bool(LocalSimilarity().value(None, np.eye(3), y, y) < 1e-12)    # h as alike as y*
    True
    """

    draw: Draw = gaussian
    defaults: ClassVar[Mapping[str, object]] = {"lr": 3e-3}

    def module(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> Tree:
        """Draw a dense map (F, F), or on images a convolution (planes, 9 planes); see `LocalLoss.module`."""
        if classes < 2:  # a cosine is taken after the mean over the outputs is subtracted
            raise InputError("similarity matching compares directions of targets, expected at least 2 outputs, got "
                             f"{classes}")
        return drawn(rng, (shape[-1], shape[-1] if len(shape) == 1 else KERNEL[0]**2 * shape[-1]), self.draw)

    def value(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Return the mean squared difference of the two tables of cosines; see `LocalLoss.value`."""
        d = similarity(features(self.mapped(b, h))) - similarity(y)
        loss: Array = (d * d).mean()
        return loss

    def sent(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Carry dL_i/da_i back through b to h; see `LocalLoss.sent`."""
        delta = self.delta(b, h, y)
        return linear.feedback(b, delta) if h.ndim == 2 else convolution.feedback(b, delta, h.shape, *KERNEL)

    def learnt(self, net: Network, b: Tree, h: Array, y: Array) -> Tree:
        """Return dL_i/db, like b; see `LocalLoss.learnt`."""
        delta = self.delta(b, h, y)
        return linear.outer(delta, h) if h.ndim == 2 else convolution.outer(delta, h, *KERNEL)

    def mapped(self, b: Array, h: Array) -> Array:
        """Return a_i = B h, an array of the shape of h: (N, F), or on images (N, H, W, planes)."""
        return linear.forward(b, h) if h.ndim == 2 else convolution.forward(b, h, *KERNEL)

    def delta(self, b: Array, h: Array, y: Array) -> Array:
        """Return dL_i/da_i, an array of the shape of h, where a_i = B h."""
        a = self.mapped(b, h)
        x = features(a)
        return d_features(d_similarity((similarity(x) - similarity(y)) * (2 / len(y)**2), x), a)


@dataclass(frozen=True)
class PredSim(LocalLoss):
    """PredSim adds the losses of local prediction and similarity matching (Nokland and Eidnes 2019).

    Parameters
    ----------
    beta : float
        The weight of the similarity, from 0 to 1: L_i = (1 - beta) pred + beta sim.
    most : int
        As in `LocalPrediction`.
    draw : callable
        Draws the first weights of both parts: ``draw(rng, shape)``.

    Notes
    -----
    What is substituted: the signals.  Hidden block i hears the derivative of both losses together.

    State: B[i] = {"pred", "sim"}, with the state of `LocalPrediction` and that of `LocalSimilarity`.

    Source: Nokland and Eidnes 2019.  Deviations from print: those of `LocalPrediction` and of `LocalSimilarity`.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import PredSim
    >>> module = PredSim().module(np.random.default_rng(0), (5,), 3)
    >>> {name: b.shape for name, b in module.items()}
    {'pred': (3, 5), 'sim': (5, 5)}
    """

    beta: float = number(0.99, "a number from 0 to 1", lambda beta: 0 <= beta <= 1)
    most: int = 2048
    draw: Draw = gaussian
    defaults: ClassVar[Mapping[str, object]] = {"lr": 3e-3}

    @cached_property
    def parts(self) -> dict[str, tuple[float, LocalLoss]]:
        """The two parts of the loss by their names, each as its weight and its rule."""
        return {"pred": (1 - self.beta, LocalPrediction(self.draw, self.most)),
                "sim": (self.beta, LocalSimilarity(self.draw))}

    def module(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> Tree:
        """Draw the weights of both parts; see `LocalLoss.module`."""
        return {name: part.module(rng, shape, classes) for name, (_, part) in self.parts.items()}

    def value(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Return the weighted sum of both losses; see `LocalLoss.value`."""
        parts = self.parts.items()
        return cast("Array", sum(weight * part.value(net, b[name], h, y) for name, (weight, part) in parts))

    def sent(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """Return the weighted sum of both derivatives; see `LocalLoss.sent`."""
        parts = self.parts.items()
        return cast("Array", sum(weight * part.sent(net, b[name], h, y) for name, (weight, part) in parts))

    def learnt(self, net: Network, b: Tree, h: Array, y: Array) -> Tree:
        """Return the weighted gradients of both parts; see `LocalLoss.learnt`."""
        return {name: weight * part.learnt(net, b[name], h, y) for name, (weight, part) in self.parts.items()}


def features(h: Array) -> Array:
    """Return the features of a block's output between which a similarity is taken.

    Parameters
    ----------
    h : array (N, ...)
        The output of a block.

    Returns
    -------
    array (N, F)
        If h is an image with more than 3 planes and more than one position: the standard deviation of every plane over
        the positions.  Otherwise all units.

    Notes
    -----
    This follows the published code of Nokland and Eidnes 2019.  These features are also the groups of neurons of
    Pogodin and Latham 2020, if every plane is one group.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules.local_loss import features
    >>> [features(np.zeros(shape)).shape for shape in [(2, 5), (2, 8, 8, 3), (2, 8, 8, 16)]]
    [(2, 5), (2, 192), (2, 16)]
    """
    return deviation(h) if _deviates(h) else h.reshape(len(h), -1)


def d_features(delta: Array, h: Array) -> Array:
    """Carry a derivative with respect to the features of h back to h: the adjoint of `features`.

    Parameters
    ----------
    delta : array (N, F)
        The derivative of a loss with respect to ``features(h)``.
    h : array (N, ...)
        The output of a block.

    Returns
    -------
    array (N, ...)
        The derivative with respect to h.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules.local_loss import d_features
    >>> d_features(np.ones((2, 16)), np.random.default_rng(0).random((2, 8, 8, 16))).shape
    (2, 8, 8, 16)
    """
    return d_deviation(delta, h) if _deviates(h) else delta.reshape(h.shape)


def _deviates(h: Array) -> bool:
    """Whether the features of h are deviations of planes."""
    return bool(h.ndim > 2 and h.shape[-1] > 3 and h.shape[1] * h.shape[2] > 1)
