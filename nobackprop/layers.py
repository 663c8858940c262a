"""Layers: what a network computes, and its exact adjoint with any weights in the place of its own.

A layer is a frozen dataclass with three methods:

    init(rng, shape)                                     -> params, out_shape
    forward(params, h, train)                            -> h_out, cache
    backward(feedback, cache, delta, want_down=True)     -> delta_down or None, grads

`params` is a tree whose leaf `W` can be transported; every other leaf is local to a neuron; None where a
layer has no parameters.  `backward` receives a *feedback* tree of the same structure: handing it the
parameters is the special case called backpropagation.  `delta` is dL/dh at the layer's output, and
`want_down=False` spares the product that would carry it below.  The cache of a layer with weights is its
input activation and nothing more.  A fourth method, `head`, names the linear map that a local module beside
the layer is made of (None where it has no weights).
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .backend import Array
from .heads import DenseHead, Head
from .kernels import linear
from .kernels.activation import ACTIVATIONS
from .tree import Tree, leaves

Shape = tuple[int, ...]


class Layer(Protocol):
    """The four methods above."""

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]: ...

    def forward(self, params: Tree, h: Array, train: bool) -> tuple[Array, Any]: ...

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]: ...

    def head(self) -> Head | None: ...


@dataclass(frozen=True)
class Dense:
    """a = W h + b with W (units, F), b (units,): (N, F) -> (N, units).

    W starts as N(0, gain / F): He et al. 2015 for gain 2; b starts at 0.
    """

    units: int
    gain: float = 2.0

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        fan_in, = shape
        W = rng.standard_normal((self.units, fan_in)) * math.sqrt(self.gain / fan_in)
        return {"W": W, "b": np.zeros(self.units)}, (self.units,)

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        a = linear.forward(params["W"], h)                                         # LAS (2)
        a += params["b"]                                                           # LAS (2)
        return a, h

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        grads = {"W": linear.outer(delta, cache),                                  # LAS (8)
                 "b": delta.sum(0)}                                                # LAS (9)
        return linear.feedback(feedback["W"], delta) if want_down else None, grads  # LAS (7)

    def head(self) -> Head | None:
        return DenseHead()


@dataclass(frozen=True)
class Activation:
    """h = f(a), element by element; f is a name in kernels.activation.ACTIVATIONS."""

    name: str

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        return None, shape

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        f, _ = ACTIVATIONS[self.name]
        h = f(h)                                                                   # LAS (1)
        return h, h

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        _, d_f = ACTIVATIONS[self.name]
        return delta * d_f(cache), None                                            # LAS (7)

    def head(self) -> Head | None:
        return None


@dataclass(frozen=True)
class Flatten:
    """(N, ...) -> (N, F)."""

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        return None, (math.prod(shape),)

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        return h.reshape(len(h), -1), h.shape

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        return delta.reshape(cache), None

    def head(self) -> Head | None:
        return None


@dataclass(frozen=True)
class Sequential:
    """Layers one after another, a layer itself; so a gradient *inside* a block is exact under every rule."""

    layers: tuple[Layer, ...]

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        params = []
        for layer in self.layers:
            p, shape = layer.init(rng, shape)
            params.append(p)
        return params, shape

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        caches = []
        for layer, p in zip(self.layers, params, strict=True):
            h, cache = layer.forward(p, h, train)
            caches.append(cache)
        return h, caches

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        grads: list[Tree] = [None] * len(self.layers)
        down: Array | None = delta
        for i in reversed(range(len(self.layers))):
            more = want_down or any(True for _ in leaves(feedback[:i]))
            down, grads[i] = self.layers[i].backward(feedback[i], cache[i], down, more)
            if not more:
                return None, grads
        return down, grads

    def head(self) -> Head | None:
        return next((head for head in (layer.head() for layer in self.layers) if head is not None), None)
