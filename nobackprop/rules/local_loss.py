"""Local losses: every hidden block descends a loss of its own, and nothing comes down from above."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..backend import Array
from ..feedback import Draw, gaussian
from ..heads import PoolHead
from ..kernels import convolution, linear
from ..kernels.similarity import d_deviation, d_similarity, deviation, similarity
from ..network import Network, Tape, backward
from ..options import number
from ..tree import Tree
from .base import Credit, Rule, missing

KERNEL = 3, 1, 1  # side, stride, padding


@dataclass(frozen=True)
class LocalLoss(Rule):
    """Every hidden block descends a loss L_i of its own output h_i and of y*; the output block hears e.

    State: B[i], what L_i has of its own on hidden block i.  Inside a block gradients are exact.  Like the modules of
    LAS, B moves first and carries dL_i/dh_i then; the papers move both at once.
    Subclasses fill in module, value, sent, and learnt where B learns.
    """

    def module(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> Tree:
        """B[i] on a block whose samples come out in that shape."""
        raise missing(self, "module")

    def value(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """L_i, a scalar, of h (N, ...) and y* (N, C)."""
        raise missing(self, "value")

    def sent(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """dL_i/dh, (N, ...)."""
        raise missing(self, "sent")

    def learnt(self, net: Network, b: Tree, h: Array, y: Array) -> Tree:
        """dL_i/db."""
        raise missing(self, "learnt")

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        return [self.module(rng, shape, shapes[-1][0]) for shape in shapes[1:-1]]

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        return [self.learnt(net, b, h, y) for b, h in zip(B, tape.h[1:-1], strict=True)]

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array) -> Credit:
        signals = {i: self.sent(net, b, h, y) for i, (b, h) in enumerate(zip(B, tape.h[1:-1], strict=True))}
        return Credit(backward(net, params, tape, signals | {len(net) - 1: net.error(tape.output, y)}))


@dataclass(frozen=True)
class Classified(LocalLoss):
    """The loss is that of a linear classifier on the block: the network's own, by e_i.

    State: B[i] (C, F'), on the F' features that average pooling leaves of h_i.
    """

    draw: Draw = gaussian

    def head(self) -> PoolHead:
        """Of every block."""
        raise missing(self, "head")

    def module(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> Tree:
        return self.head().init(rng, shape, classes, self.draw)

    def value(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        return net.value(self.head().forward(b, h), y)

    def sent(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        return self.head().send(b, self.error(net, b, h, y), h.shape)

    def error(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        """e_i of the local classifier, (N, C)."""
        return net.error(self.head().forward(b, h), y)


@dataclass(frozen=True)
class LocalPrediction(Classified):
    """Local prediction: a classifier on every hidden block learns, and the block with it.  Nokland and Eidnes 2019.

    State: B[i] (C, F'), on the F' <= `most` features that average pooling leaves of h_i, where planes are no more.
    Deviations from print: the classifier has no bias, and starts as `draw`, not at 0; windows are square.
    """

    most: int = 2048

    def head(self) -> PoolHead:
        return PoolHead(1, self.most)

    def learnt(self, net: Network, b: Tree, h: Array, y: Array) -> Tree:
        return self.head().grad(b, h, self.error(net, b, h, y))


@dataclass(frozen=True)
class LocalSimilarity(LocalLoss):
    """Similarity matching: samples of one class are to be alike in every hidden block.  Nokland and Eidnes 2019.

    L_i compares the cosines between the samples' B[i] h_i with those between their y*.  State: B[i], a dense map
    (F, F), or on images a 3x3 convolution (planes, 9 planes), of whose output `features` are taken.
    Deviations from print, both as in the paper's published code: L_i is the mean over all pairs of samples, not the
    sum; of images the deviations are compared, which the paper says of its other version alone.
    """

    draw: Draw = gaussian
    defaults: ClassVar[Mapping[str, object]] = {"lr": 3e-3}

    def module(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> Tree:
        return self.draw(rng, (shape[-1], shape[-1] if len(shape) == 1 else KERNEL[0]**2 * shape[-1]))

    def value(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        d = similarity(features(self.mapped(b, h))) - similarity(y)
        return (d * d).mean()

    def sent(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        delta = self.delta(b, h, y)
        return linear.feedback(b, delta) if h.ndim == 2 else convolution.feedback(b, delta, h.shape, *KERNEL)

    def learnt(self, net: Network, b: Tree, h: Array, y: Array) -> Tree:
        delta = self.delta(b, h, y)
        return linear.outer(delta, h) if h.ndim == 2 else convolution.outer(delta, h, *KERNEL)

    def mapped(self, b: Array, h: Array) -> Array:
        """a_i = B h, of the shape of h."""
        return linear.forward(b, h) if h.ndim == 2 else convolution.forward(b, h, *KERNEL)

    def delta(self, b: Array, h: Array, y: Array) -> Array:
        """dL_i/da_i, of the shape of h."""
        a = self.mapped(b, h)
        x = features(a)
        return d_features(d_similarity((similarity(x) - similarity(y)) * (2 / len(y)**2), x), a)


@dataclass(frozen=True)
class PredSim(LocalLoss):
    """Prediction and similarity together, (1 - beta) pred + beta sim.  Nokland and Eidnes 2019.

    State: B[i] = {"pred", "sim"}, as those two have them.
    """

    beta: float = number(0.99, "a number from 0 to 1", lambda beta: 0 <= beta <= 1)
    most: int = 2048
    draw: Draw = gaussian
    defaults: ClassVar[Mapping[str, object]] = {"lr": 3e-3}

    @cached_property
    def parts(self) -> dict[str, tuple[float, LocalLoss]]:
        """What each part of the loss counts, and the part."""
        return {"pred": (1 - self.beta, LocalPrediction(self.draw, self.most)),
                "sim": (self.beta, LocalSimilarity(self.draw))}

    def module(self, rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> Tree:
        return {name: part.module(rng, shape, classes) for name, (_, part) in self.parts.items()}

    def value(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        return sum(weight * part.value(net, b[name], h, y) for name, (weight, part) in self.parts.items())

    def sent(self, net: Network, b: Tree, h: Array, y: Array) -> Array:
        return sum(weight * part.sent(net, b[name], h, y) for name, (weight, part) in self.parts.items())

    def learnt(self, net: Network, b: Tree, h: Array, y: Array) -> Tree:
        return {name: weight * part.learnt(net, b[name], h, y) for name, (weight, part) in self.parts.items()}


def features(h: Array) -> Array:
    """What a similarity is taken of, (N, F): of more than 3 planes their deviations over the positions, else all units.

    So the published code of Nokland and Eidnes 2019; also the groups of Pogodin and Latham 2020, one a plane.
    """
    return deviation(h) if _deviates(h) else h.reshape(len(h), -1)


def d_features(delta: Array, h: Array) -> Array:
    """The adjoint: delta (N, F) back to h (N, ...)."""
    return d_deviation(delta, h) if _deviates(h) else delta.reshape(h.shape)


def _deviates(h: Array) -> bool:
    return h.ndim > 2 and h.shape[-1] > 3 and h.shape[1] * h.shape[2] > 1
