"""Layers: what a network computes, and its exact adjoint with any weights in the place of its own.

A layer is a frozen dataclass with four methods:

    init(rng, shape)                                     -> params, out_shape
    out_shape(shape, params=None)                        -> out_shape
    forward(params, h, train)                            -> h_out, cache
    backward(feedback, cache, delta, want_down=True)     -> delta_down or None, grads

`params` is a tree whose leaf `W` can be transported; every other leaf is local to a neuron; None where a
layer has no parameters; such a layer needs no `init` of its own.  `backward` receives a *feedback* tree of the same
structure: handing it the parameters is the special case called backpropagation.  `delta` is dL/dh at the layer's
output, and `want_down=False` spares the product that would carry it below.  The cache of a layer with weights is its
input activation and nothing more: a convolution's patches are made again where they are needed.  Images are
(N, H, W, C).
"""
from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from .backend import Array, alike
from .errors import InputError, unknown
from .heads import ConvHead, DenseHead, Head, MaxConvHead
from .kernels import convolution, linear, normalize, pool
from .kernels.activation import ACTIVATIONS
from .kernels.unfold import out_size
from .tape import Keep, materialise
from .tree import Tree, leaves

Shape = tuple[int, ...]


class Layer:
    """The four methods above, and five that most layers leave as they are."""

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        return None, self.out_shape(shape)

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        raise NotImplementedError

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        raise NotImplementedError

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        """The shape of one sample after the layer, of samples of `shape` before it.

        Raises InputError if these do not fit the layer, or its parameters if there are any here, and if the layer's own
        numbers make no sense.
        """
        return shape

    def least_batch(self, shape: Shape) -> int:
        """The smallest batch that the layer can learn from, of samples of `shape`."""
        return 1

    def head(self) -> Head | None:
        """The linear map that a local module beside the layer is made of; None where it has no weights."""
        return None

    def remember(self, params: Tree, cache: Any) -> None:
        """Fold what a training pass has seen into running statistics, in place."""

    def weighted(self) -> tuple[Layer, ...]:
        """The layers with weights along the main path, which goes through the bodies of residual blocks."""
        return ()

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        """The cache with `what` is to be kept of it, and the index of the next layer with weights."""
        return cache, index


@dataclass(frozen=True)
class Dense(Layer):
    """a = W h + b with W (units, F), b (units,): (N, F) -> (N, units).

    W starts as N(0, gain / F): He et al. 2015 for gain 2; b starts at 0.
    """

    units: int
    gain: float = 2.0

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        out, (fan_in,) = self.out_shape(shape), shape
        W = rng.standard_normal((self.units, fan_in)) * math.sqrt(self.gain / fan_in)
        return {"W": W, "b": np.zeros(self.units)}, out

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        _whole(self, units=1)
        _positive(self, "gain")
        if len(shape) != 1 or not shape[0]:
            raise InputError(f"{self} got samples of shape {shape}, expected vectors (F,): Flatten() makes them")
        _fit(self, shape, params, W=(self.units, *shape))
        return (self.units,)

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        a = linear.forward(params["W"], h)                                         # LAS (2)
        a += params["b"]                                                           # LAS (2)
        return a, h

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        grads = {"W": linear.outer(delta, materialise(cache)),                          # LAS (8)
                 "b": delta.sum(0)}                                                # LAS (9)
        return linear.feedback(feedback["W"], delta) if want_down else None, grads  # LAS (7)

    def head(self) -> Head | None:
        return DenseHead()

    def weighted(self) -> tuple[Layer, ...]:
        return (self,)

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        return what.before(index, cache), index + 1


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution with W (planes, k k C) and b (planes,): (N, H, W, C) -> (N, H', W', planes).

    The kernel is not flipped.  W starts as N(0, gain / (k k C)).
    """

    planes: int
    kernel: int
    stride: int = 1
    pad: int = 0
    gain: float = 2.0
    bias: bool = True

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        out, fan_in = self.out_shape(shape), self.kernel**2 * shape[-1]
        W = rng.standard_normal((self.planes, fan_in)) * math.sqrt(self.gain / fan_in)
        return {"W": W} | ({"b": np.zeros(self.planes)} if self.bias else {}), out

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        _whole(self, planes=1, kernel=1, stride=1)  # a stride of None is for pooling alone
        _positive(self, "gain")
        out = *_pooled(self, shape, self.kernel, self.stride), self.planes
        _fit(self, shape, params, W=(self.planes, self.kernel**2 * shape[-1]))
        return out

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        a = convolution.forward(params["W"], h, self.kernel, self.stride, self.pad)  # LAS (2)
        if self.bias:
            a += params["b"]                                                       # LAS (2)
        return a, h

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        h, how = materialise(cache), (self.kernel, self.stride, self.pad)
        grads = {"W": convolution.outer(delta, h, *how)}                           # LAS (8)
        if self.bias:
            grads["b"] = delta.sum((0, 1, 2))                                      # LAS (9)
        down = convolution.feedback(feedback["W"], delta, h.shape, *how) if want_down else None  # LAS (7)
        return down, grads

    def head(self) -> Head | None:
        return ConvHead(self.kernel, self.stride, self.pad)

    def weighted(self) -> tuple[Layer, ...]:
        return (self,)

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        return what.before(index, cache), index + 1


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalisation over batch and positions, with gamma and beta (C,).  Ioffe and Szegedy 2015.

    Prediction uses the running `mean` and `var`, leaves without gradients, which follow a batch's by `momentum`.
    Under every rule gamma and beta learn by the exact gradient inside their block.
    """

    eps: float = 1e-5
    momentum: float = 0.1

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        channels = shape[-1]
        return {"gamma": np.ones(channels), "beta": np.zeros(channels),
                "mean": np.zeros(channels), "var": np.ones(channels)}, self.out_shape(shape)

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        _positive(self, "eps")
        _positive(self, "momentum", 1)
        _fit(self, shape, params, gamma=shape[-1:])
        return shape

    def least_batch(self, shape: Shape) -> int:
        return 2 if math.prod(shape[:-1]) == 1 else 1  # one value a channel has no variance

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        # how many values of a channel the two are made of: none of this batch's when predicting
        count = h.size // h.shape[-1] if train else 0
        h, gamma = alike(h, params["gamma"])
        mean, var = normalize.statistics(h) if train else (params["mean"], params["var"])
        out = normalize.batchnorm(h, gamma, params["beta"], mean, var, self.eps)
        return out, (h, mean, var, count)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        h, mean, var, count = cache
        down, gamma, beta = normalize.d_batchnorm(delta, materialise(h), feedback["gamma"], mean, var, self.eps, count > 0)
        return down, {"gamma": gamma, "beta": beta}

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        h, *statistics = cache
        return (what.within(h), *statistics), index

    def remember(self, params: Tree, cache: Any) -> None:
        _, mean, var, count = cache
        if count < 2:  # one value says nothing of a variance
            return
        # the sample variance, which prediction on other data needs
        for running, seen in ((params["mean"], mean), (params["var"], var * (count / (count - 1)))):
            running *= 1 - self.momentum
            running += self.momentum * seen


@dataclass(frozen=True)
class MaxPool(Layer):
    """The largest of every window of size x size; of equal ones the first.  The stride is the size where not given."""

    size: int
    stride: int | None = None
    pad: int = 0

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        return (*_pooled(self, shape, self.size, self.stride), shape[-1])

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        out, place = pool.max_pool(h, self.size, self.stride or self.size, self.pad)
        return out, (place, h.shape)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        place, shape = cache
        return pool.d_max_pool(delta, place, shape, self.size, self.stride or self.size, self.pad), None


@dataclass(frozen=True)
class AvgPool(Layer):
    """The mean of every window of size x size, padding counting as zeros; the stride is the size where not given."""

    size: int
    stride: int | None = None
    pad: int = 0

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        return (*_pooled(self, shape, self.size, self.stride), shape[-1])

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        return pool.avg_pool(h, self.size, self.stride or self.size, self.pad), h.shape

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        return pool.d_avg_pool(delta, cache, self.size, self.stride or self.size, self.pad), None


@dataclass(frozen=True)
class GlobalPool(Layer):
    """The mean over all positions, (N, H, W, C) -> (N, C)."""

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        _image(self, shape)
        return shape[-1:]

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        return pool.global_pool(h), h.shape

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        return pool.d_global_pool(delta, cache), None


def _pooled(layer: Conv | MaxPool | AvgPool, shape: Shape, size: int, stride: int | None) -> tuple[int, int]:
    """Height and width after a layer with windows of that size.

    Raises InputError if no window fits, if the layer's numbers make none, or if there is no image.
    """
    _whole(layer, pad=0)
    if stride is not None:
        _whole(layer, stride=1)
    if not isinstance(layer, Conv):
        _whole(layer, size=1)
        if layer.pad >= size:
            raise InputError(f"{layer} got pad {layer.pad}, expected less than its size: a window must see an image")
    _image(layer, shape)
    rows, columns = (out_size(side, size, stride or size, layer.pad) for side in shape[:2])
    if min(rows, columns) < 1:
        raise InputError(f"{layer} got images of {shape[0]} x {shape[1]}, smaller than its window")
    return rows, columns


def _image(layer: Layer, shape: Shape) -> None:
    """Raises InputError unless samples of that shape are images."""
    if len(shape) != 3 or not all(shape):
        raise InputError(f"{layer} got samples of shape {shape}, expected images (H, W, C)")


def _fit(layer: Layer, shape: Shape, params: Tree, **expected: Shape) -> None:
    """Raises InputError unless the parameters, if there are any, have the shapes that samples of `shape` need."""
    for name, needed in expected.items():
        if params is not None and params[name].shape != needed:
            raise InputError(f"{layer} got samples of shape {shape}, for which {name} would have the shape {needed}, "
                             f"but it has {params[name].shape}")


def _whole(layer: Layer, **least: int) -> None:
    """Raises InputError unless the layer's fields of these names are whole numbers and not below the given ones."""
    for name, low in least.items():
        value = getattr(layer, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
            raise InputError(f"{layer} got {name} {value!r}, expected a whole number of at least {low}")


def _positive(layer: Layer, name: str, most: float = sys.float_info.max) -> None:
    """Raises InputError unless the layer's field of that name is a number above 0 and at most `most`."""
    value = getattr(layer, name)
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) <= most:
        raise InputError(f"{layer} got {name} {value!r}, expected a number above 0 and at most {most:.3g}")


@dataclass(frozen=True)
class Activation(Layer):
    """h = f(a), element by element; f is a name in kernels.activation.ACTIVATIONS."""

    name: str

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        if self.name not in ACTIVATIONS:
            raise unknown("activation", str(self.name), ACTIVATIONS)
        return shape

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        f, _ = ACTIVATIONS[self.name]
        h = f(h)                                                                   # LAS (1)
        return h, h

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        _, d_f = ACTIVATIONS[self.name]
        return delta * d_f(materialise(cache)), None                                    # LAS (7)

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        return what.behind(self.name, cache), index


@dataclass(frozen=True)
class Flatten(Layer):
    """(N, ...) -> (N, F)."""

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        return (math.prod(shape),)

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        return h.reshape(len(h), math.prod(h.shape[1:])), h.shape

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        return delta.reshape(cache), None


@dataclass(frozen=True)
class Sequential(Layer):
    """Layers one after another, a layer itself; so a gradient *inside* a block is exact under every rule."""

    layers: tuple[Layer, ...]

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        params = []
        for layer in self.layers:
            p, shape = layer.init(rng, shape)
            params.append(p)
        return params, shape

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        if params is not None and len(params) != len(self.layers):
            raise InputError(f"the parameters are those of {len(params)} layers, expected {len(self.layers)}")
        for i, layer in enumerate(self.layers):
            shape = layer.out_shape(shape, None if params is None else params[i])
        return shape

    def least_batch(self, shape: Shape) -> int:
        least = 1
        for layer in self.layers:
            least, shape = max(least, layer.least_batch(shape)), layer.out_shape(shape)
        return least

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

    def remember(self, params: Tree, cache: Any) -> None:
        for layer, p, c in zip(self.layers, params, cache, strict=True):
            layer.remember(p, c)

    def weighted(self) -> tuple[Layer, ...]:
        return tuple(leaf for layer in self.layers for leaf in layer.weighted())

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        kept = []
        for layer, c in zip(self.layers, cache, strict=True):
            c, index = layer.keep(c, what, index)
            kept.append(c)
        return kept, index


@dataclass(frozen=True)
class Residual(Layer):
    """body(h) + shortcut(h); without a shortcut layer, body(h) + h.  He et al. 2016.

    The activation behind the sum is a layer of its own.
    """

    body: Layer
    shortcut: Layer | None = None

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        out, body = self.out_shape(shape), self.body.init(rng, shape)[0]
        return {"body": body, "shortcut": None if self.shortcut is None else self.shortcut.init(rng, shape)[0]}, out

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        below = params or {"body": None, "shortcut": None}
        out = self.body.out_shape(shape, below["body"])
        beside = shape if self.shortcut is None else self.shortcut.out_shape(shape, below["shortcut"])
        if out != beside:
            raise InputError(f"a residual block's body makes {out} of {shape}, expected {beside} as its shortcut")
        return out

    def least_batch(self, shape: Shape) -> int:
        return max(part.least_batch(shape) for part in (self.body, self.shortcut) if part is not None)

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        out, body = self.body.forward(params["body"], h, train)
        if self.shortcut is None:
            return out + h, (body, None)
        beside, short = self.shortcut.forward(params["shortcut"], h, train)
        return out + beside, (body, short)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        down, body = self.body.backward(feedback["body"], cache[0], delta, want_down)
        if self.shortcut is None:
            beside, short = delta, None
        else:
            beside, short = self.shortcut.backward(feedback["shortcut"], cache[1], delta, want_down)
        return None if down is None else down + beside, {"body": body, "shortcut": short}

    def head(self) -> Head | None:
        return self.body.head()

    def remember(self, params: Tree, cache: Any) -> None:
        self.body.remember(params["body"], cache[0])
        if self.shortcut is not None:
            self.shortcut.remember(params["shortcut"], cache[1])

    def weighted(self) -> tuple[Layer, ...]:
        return self.body.weighted()

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        body, after = self.body.keep(cache[0], what, index)
        short = None if self.shortcut is None else self.shortcut.keep(cache[1], what, index)[0]
        return (body, short), after


def head_beside(block: Layer) -> Head:
    """The head shaped like the block's first layer with weights.

    Raises InputError where the block has none.
    """
    head = block.head()
    if head is None:
        raise InputError(f"no head stands beside {block}: it has no layer with weights")
    return head


def published_beside(block: Layer) -> Head:
    """The head that the LAS paper's published code has there: MaxConvHead beside a convolution."""
    head = head_beside(block)
    return MaxConvHead(head.kernel, head.stride, head.pad) if isinstance(head, ConvHead) else head
