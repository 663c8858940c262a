"""Layers: what a network computes, and the exact adjoint of it, with any weights in the place of the layer's own.

A layer is a frozen dataclass with these methods:

    init(rng, shape)                                     -> params, out_shape
    out_shape(shape, params=None)                        -> out_shape
    forward(params, h, train, rng=None)                  -> h_out, cache
    backward(feedback, cache, delta, want_down=True)     -> delta_down or None, grads

A layer's own numbers are checked when it is made: the constructor refuses what makes no sense.

`params` is a tree of arrays.  The name of a leaf says what the leaf is (leaf_names.py): `W` can be transported, the
others are local to a neuron.  A layer without parameters has None there, and needs no `init` of its own.

`backward` receives a *feedback* tree of the same structure as the parameters.  If it is handed the parameters
themselves, the result is backpropagation; with other arrays in the places of `W` it is feedback alignment.  `delta` is
dL/dh at the layer's output.  `want_down=False` says that nobody below listens, and spares the product that would carry
the error down.

The *cache* is what the forward pass leaves for the backward pass.  For a layer with weights it is the input activation
and nothing more: the patches of a convolution are made again when they are needed.  `keep` says of every array in a
cache what kind of array it is, so that a tape can keep less of it (tape.py).

A layer may *draw* random numbers in training, as Dropout does.  It says so by `draws`, and then gets a generator.  If a
learning rule runs the network twice in one step, the layer draws the same numbers both times.  In prediction the
generator is None.

Images are (N, H, W, C); vectors are (N, F).
"""
from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np

from .backend import Array, alike, array_module
from .errors import InputError, brief, check_name, integer, number, yes_or_no
from .heads import ConvHead, DenseHead, Head, MaxConvHead
from .kernels import convolution, dropout, linear, normalize, pool
from .kernels.activation import ACTIVATIONS
from .kernels.unfold import elementwise, out_size
from .tape import Keep, Mask, materialise
from .tree import Tree, leaves

Shape = tuple[int, ...]
MOST = 2**63 - 1
DEEPEST = 50  # layers inside of one another: a Sequential in a Sequential in ...


class Layer:
    """The base class of all layers: the methods that a layer has, and what they do if a layer does not say otherwise.

    Examples
    --------
    A layer of one's own that doubles its input:

    >>> import numpy as np
    >>> class Double(Layer):
    ...     def forward(self, params, h, train=True, rng=None):
    ...         return 2 * h, None
    ...     def backward(self, feedback, cache, delta, want_down=True):
    ...         return 2 * delta, None
    >>> Double().forward(None, np.ones((1, 3)))[0].tolist(), Double().out_shape((3,))
    ([[2.0, 2.0, 2.0]], (3,))
    """

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        """Draw the parameters that training starts from.

        Parameters
        ----------
        rng : numpy.random.Generator
            The generator of all initial parameters; a layer draws from it in float64, on the host.
        shape : tuple of int
            The shape of one sample at the input, without the batch axis.

        Returns
        -------
        params : tree
            The parameters; None if the layer has none.
        out_shape : tuple of int
            The shape of one sample at the output.

        Raises
        ------
        InputError
            As `out_shape` does.
        """
        return None, self.out_shape(shape)

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        """Compute the output of a batch, and what the backward pass needs.

        Parameters
        ----------
        params : tree
            The parameters, as `init` makes them.
        h : array (N, ...)
            The input.
        train : bool
            True in training, False in prediction: batch-norm then uses running statistics, and Dropout does nothing.
        rng : numpy.random.Generator or None
            What a layer that `draws` draws from in training, on the host.  All other layers leave it alone.

        Returns
        -------
        h_out : array (N, ...)
            The output.
        cache : object
            What `backward` needs: arrays, lists, tuples, small objects, or None.
        """
        raise NotImplementedError

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        """Carry an error signal down, and compute the gradients of the parameters.

        Parameters
        ----------
        feedback : tree
            The parameters, or a tree like them with feedback weights in the places of `W`.
        cache : object
            What `forward` left.
        delta : array (N, ...)
            dL/dh at the output.
        want_down : bool
            Whether anybody below listens; if not, the layer need not compute the first result.

        Returns
        -------
        delta_down : array (N, ...) or None
            dL/dh at the input; it may be None if `want_down` is False.
        grads : tree
            The gradients, of the structure of the parameters without running statistics; None if there are none.
        """
        raise NotImplementedError

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        """Return the shape of one sample at the output, for samples of `shape` at the input.

        Parameters
        ----------
        shape : tuple of int
            The shape of one sample at the input, without the batch axis.
        params : tree, optional
            Parameters, which are then checked too.

        Returns
        -------
        tuple of int

        Raises
        ------
        InputError
            If such samples do not fit the layer or its parameters.
        """
        return shape

    def draws(self) -> bool:
        """Say whether the layer draws random numbers in a training pass; only then it gets a generator."""
        return False

    def least_batch(self, shape: Shape) -> int:
        """Return the number of samples of `shape` that the layer needs at least in order to learn."""
        return 1

    def head(self) -> Head | None:
        """Return the kind of linear map that a local module next to this layer has; None without weights."""
        return None

    def remember(self, params: Tree, cache: Any) -> None:
        """Fold what a training pass has seen into running statistics, in place."""

    def remembers(self) -> bool:
        """Say whether the layer has running statistics; only then it is asked to remember."""
        return type(self).remember is not Layer.remember

    def weighted(self) -> tuple[Layer, ...]:
        """Return the layers with weights along the main path, which goes through the bodies of residual blocks."""
        return ()

    def with_activations(self, other: Callable[[Activation], Layer]) -> Layer:
        """Return the layer with other(f) in the place of every activation f in it; see `network.with_activations`.

        Notes
        -----
        A layer that holds other layers has a method of its own, which asks them.
        """
        return self

    def with_first(self, other: Callable[[Layer], Layer]) -> Layer:
        """Return the layer in which other(first) stands in the place of the first layer, see `Residual`.

        Most layers are the first one themselves.  One that holds others finds it in the body, beside which a shortcut
        stays as it is.
        """
        return other(self)

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        """Return what is to be kept of the cache, each array in it handed to the function of `what` for its kind.

        Parameters
        ----------
        cache : object
            What `forward` left.
        what : Keep
            One function for each kind of array, see `tape.Keep`.
        index : int
            How many layers with weights come before this one on the main path.

        Returns
        -------
        cache : object
            The smaller cache.
        index : int
            The index of the next layer with weights.

        Notes
        -----
        Every layer with an array of the batch's size in its cache has a `keep` of its own.  Without one, activation
        sharing would go on holding that array, and save no memory.
        """
        return cache, index


@dataclass(frozen=True)
class Dense(Layer):
    """A dense layer a = W h + b: (N, F) -> (N, units).

    Parameters
    ----------
    units : int
        The number of outputs, at least 1.
    gain : float
        W starts as N(0, gain / F).

    Notes
    -----
    The parameters are W (units, F) and b (units,).  With gain 2 the initial W is that of He et al. 2015; b starts at 0.

    Examples
    --------
    >>> import numpy as np
    >>> params, shape = Dense(2).init(np.random.default_rng(0), (3,))
    >>> params["W"].shape, params["b"].tolist(), shape
    ((2, 3), [0.0, 0.0], (2,))
    """

    units: int
    gain: float = 2.0

    def __post_init__(self) -> None:
        _whole(self, units=1)
        _positive(self, "gain")

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        out, (fan_in,) = self.out_shape(shape), shape
        W = _weights(self, rng, self.units, fan_in)
        return {"W": W, "b": np.zeros(self.units)}, out

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        _samples(self, shape, "vectors (F,): Flatten() makes them", 1)
        _fit(self, shape, params, W=(self.units, *shape), b=(self.units,))
        return (self.units,)

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        a = linear.forward(params["W"], h)                                         # LAS (2)
        a += params["b"]                                                           # LAS (2)
        return a, h

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        grads = {"W": linear.outer(delta, materialise(cache)),                     # LAS (8), ASAP (2.3)
                 "b": delta.sum(0)}                                                # LAS (9)
        return linear.feedback(feedback["W"], delta) if want_down else None, grads  # LAS (7), ASAP (2.2)

    def head(self) -> Head | None:
        return DenseHead()

    def weighted(self) -> tuple[Layer, ...]:
        return (self,)

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        return what.before(index, cache), index + 1


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution: (N, H, W, C) -> (N, H', W', planes).

    Parameters
    ----------
    planes : int
        The number of output channels, at least 1.
    kernel : int
        The side k of the square kernel, in pixels.
    stride : int
        The step of the kernel, in pixels.
    pad : int
        The width of a frame of zeros around the image, in pixels.
    gain : float
        W starts as N(0, gain / (k k C)).
    bias : bool
        Whether there is a b.

    Notes
    -----
    The parameters are W (planes, k k C) and b (planes,), which starts at 0.  The kernel is not flipped.

    Examples
    --------
    >>> import numpy as np
    >>> params, shape = Conv(4, 3, stride=2, pad=1).init(np.random.default_rng(0), (8, 8, 3))
    >>> params["W"].shape, shape
    ((4, 27), (4, 4, 4))
    """

    planes: int
    kernel: int
    stride: int = 1
    pad: int = 0
    gain: float = 2.0
    bias: bool = True

    def __post_init__(self) -> None:
        _whole(self, planes=1, kernel=1, stride=1, pad=0)
        _positive(self, "gain")
        _set(self, bias=yes_or_no(_name(self, "bias"), self.bias))

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        out, fan_in = self.out_shape(shape), self.kernel**2 * shape[-1]
        W = _weights(self, rng, self.planes, fan_in)
        return {"W": W} | ({"b": np.zeros(self.planes)} if self.bias else {}), out

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        out = *_pooled(self, shape, self.kernel, self.stride), self.planes
        bias = {"b": (self.planes,)} if self.bias else {}
        _fit(self, shape, params, W=(self.planes, self.kernel**2 * shape[-1]), **bias)
        return out

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
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
    """Batch normalisation: each channel minus its mean over batch and positions, divided by its standard deviation.

    Parameters
    ----------
    eps : float
        Added to the variance before the root is taken.
    momentum : float
        How far the running statistics move towards those of a batch, above 0 and at most 1.

    Notes
    -----
    Ioffe and Szegedy 2015.  The parameters are gamma and beta (C,), which under every rule learn by the exact gradient
    inside their block, and the running `mean` and `var` (C,), which prediction uses and which have no gradients.

    Examples
    --------
    >>> import numpy as np
    >>> layer, h = BatchNorm(), np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> params, _ = layer.init(np.random.default_rng(0), (2,))
    >>> layer.forward(params, h, True)[0].round(2).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    eps: float = 1e-5
    momentum: float = 0.1

    def __post_init__(self) -> None:
        _positive(self, "eps")
        _positive(self, "momentum", 1)

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        channels = self.out_shape(shape)[-1]
        return {"gamma": np.ones(channels), "beta": np.zeros(channels),
                "mean": np.zeros(channels), "var": np.ones(channels)}, shape

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        _samples(self, shape)
        _fit(self, shape, params, **dict.fromkeys(("gamma", "beta", "mean", "var"), shape[-1:]))
        return shape

    def least_batch(self, shape: Shape) -> int:
        return 2 if math.prod(shape[:-1]) == 1 else 1  # one value a channel has no variance

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        # the number of this batch's values, for each channel, that the statistics are made of: none in prediction
        count = h.size // h.shape[-1] if train else 0
        h, gamma = alike(h, params["gamma"])
        mean, var = normalize.statistics(h) if train else (params["mean"], params["var"])
        out = normalize.batchnorm(h, gamma, params["beta"], mean, var, self.eps)
        return out, (h, mean, var, count)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        h, mean, var, count = cache
        down, gamma, beta = normalize.d_batchnorm(delta, materialise(h), feedback["gamma"], mean, var, self.eps,
                                                  count > 0)
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
class LayerNorm(Layer):
    """Layer normalisation: each sample minus its mean over the last axis, divided by its standard deviation there.

    Parameters
    ----------
    eps : float
        Added to the variance before the root is taken.

    Notes
    -----
    Ba, Kiros, Hinton 2016.  The parameters are gamma and beta (C,), which under every rule learn by the exact gradient
    inside their block.  Nothing depends on other samples, so training and prediction compute the same.  In an image,
    every position is normalised over its channels alone.

    Examples
    --------
    >>> import numpy as np
    >>> layer, h = LayerNorm(), np.array([[1.0, 3.0], [10.0, 30.0]])
    >>> params, _ = layer.init(np.random.default_rng(0), (2,))
    >>> layer.forward(params, h)[0].round(2).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    eps: float = 1e-5

    def __post_init__(self) -> None:
        _positive(self, "eps")

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        channels = self.out_shape(shape)[-1]
        return {"gamma": np.ones(channels), "beta": np.zeros(channels)}, shape

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        _samples(self, shape)
        _fit(self, shape, params, gamma=shape[-1:], beta=shape[-1:])
        return shape

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        return normalize.layernorm(h, params["gamma"], params["beta"], self.eps), h

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        down, gamma, beta = normalize.d_layernorm(delta, materialise(cache), feedback["gamma"], self.eps)
        return down, {"gamma": gamma, "beta": beta}

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        return what.within(cache), index


@dataclass(frozen=True)
class UnitLength(Layer):
    """Each sample divided by the root of the mean of its squares, so that the next layer cannot see its length.

    Parameters
    ----------
    eps : float
        Added to the mean of the squares before the root is taken; at least 0.

    Notes
    -----
    Hinton 2022.  All numbers of a sample count together, in an image those of all positions and channels.  There are no
    parameters, and nothing depends on other samples.

    Examples
    --------
    >>> import numpy as np
    >>> UnitLength().forward(None, np.array([[1.0, 7.0], [10.0, 70.0]]))[0].round(2).tolist()
    [[0.2, 1.4], [0.2, 1.4]]
    """

    eps: float = 1e-8

    def __post_init__(self) -> None:
        _set(self, eps=number(_name(self, "eps"), self.eps, "non-negative"))

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        _samples(self, shape)
        return shape

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        return normalize.unit_length(h, self.eps), h

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        return normalize.d_unit_length(delta, materialise(cache), self.eps), None

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        return what.within(cache), index


@dataclass(frozen=True)
class Dropout(Layer):
    """Dropout: in training every unit is silent with the probability p, and the others are divided by 1 - p.

    Parameters
    ----------
    p : float
        The probability, at least 0 and below 1.  With 0 the layer does nothing and draws nothing.

    Notes
    -----
    Srivastava et al. 2014; for the deviation from print see kernels/dropout.py.  In prediction the layer hands on its
    input.  A training pass needs a generator.  If a learning rule runs the network twice in one step, both passes have
    the same silent units.  The cache is one bit for each unit.

    Examples
    --------
    >>> import numpy as np
    >>> h, _ = Dropout(0.5).forward(None, np.ones((1, 1000)), rng=np.random.default_rng(0))
    >>> np.unique(h).tolist(), bool(abs(h.mean() - 1) < 0.1)
    ([0.0, 2.0], True)
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        _set(self, p=number(_name(self, "p"), self.p, "non-negative", below=1))

    def draws(self) -> bool:
        return self.p > 0

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        if not train or not self.draws():
            return h, None
        if rng is None:
            raise InputError(f"{self} needs a generator in a training pass: forward(..., rng=np.random.default_rng(0))")
        # of one type whatever that of h is, so that networks of two types have the same silent units
        mask = array_module(h).asarray(rng.random(h.shape, dtype="float32") >= self.p)
        return dropout.dropout(h, mask, self.p), Mask.of(mask)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        return delta if cache is None else dropout.dropout(delta, materialise(cache), self.p), None

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        return None if cache is None else what.within(cache), index


@dataclass(frozen=True)
class MaxPool(Layer):
    """Max-pooling: the largest number of every window, for each channel; of equal ones the first.

    Parameters
    ----------
    size : int
        The side of the square window, in pixels.
    stride : int or None
        The step of the window, in pixels; None stands for `size`.
    pad : int
        The width of a frame around the image that never wins, in pixels; less than `size`.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPool(2).forward(None, np.arange(16.0).reshape(1, 4, 4, 1))[0].ravel().tolist()
    [5.0, 7.0, 13.0, 15.0]
    """

    size: int
    stride: int | None = None
    pad: int = 0

    def __post_init__(self) -> None:
        _window(self)

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        return (*_pooled(self, shape, self.size, self.stride), shape[-1])

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        out, place = pool.max_pool(h, self.size, self.stride or self.size, self.pad)
        return out, (place, h.shape)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        place, shape = cache
        return pool.d_max_pool(delta, materialise(place), shape, self.size, self.stride or self.size, self.pad), None

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        place, shape = cache
        return (what.within(place), shape), index


@dataclass(frozen=True)
class AvgPool(Layer):
    """Average pooling: the mean of every window, for each channel; padding counts as zeros.

    Parameters
    ----------
    size : int
        The side of the square window, in pixels.
    stride : int or None
        The step of the window, in pixels; None stands for `size`.
    pad : int
        The width of a frame of zeros around the image, in pixels; less than `size`.

    Examples
    --------
    >>> import numpy as np
    >>> AvgPool(2).forward(None, np.arange(16.0).reshape(1, 4, 4, 1))[0].ravel().tolist()
    [2.5, 4.5, 10.5, 12.5]
    """

    size: int
    stride: int | None = None
    pad: int = 0

    def __post_init__(self) -> None:
        _window(self)

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        return (*_pooled(self, shape, self.size, self.stride), shape[-1])

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        return pool.avg_pool(h, self.size, self.stride or self.size, self.pad), h.shape

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        return pool.d_avg_pool(delta, cache, self.size, self.stride or self.size, self.pad), None


@dataclass(frozen=True)
class GlobalPool(Layer):
    """The mean over all positions of an image, for each channel: (N, H, W, C) -> (N, C).

    Examples
    --------
    >>> import numpy as np
    >>> GlobalPool().forward(None, np.arange(4.0).reshape(1, 2, 2, 1))[0].tolist()
    [[1.5]]
    """

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        _image(self, shape)
        return shape[-1:]

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        return pool.global_pool(h), h.shape

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        return pool.d_global_pool(delta, cache), None


@dataclass(frozen=True)
class Activation(Layer):
    """An activation h = f(a), element by element.

    Parameters
    ----------
    name : str
        The name of f in `kernels.activation.ACTIVATIONS`.

    Notes
    -----
    The cache is what the derivative of f needs: h, or a for functions such as gelu.

    Examples
    --------
    >>> import numpy as np
    >>> Activation("relu").forward(None, np.array([[-1.0, 2.0]]))[0].tolist()
    [[0.0, 2.0]]
    """

    name: str

    def __post_init__(self) -> None:
        check_name("activation", self.name, ACTIVATIONS)

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        f, a = ACTIVATIONS[self.name], h
        h = elementwise(f.function, a)                                             # LAS (1)
        return h, f.kept(a, h)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        d_f = ACTIVATIONS[self.name].derivative
        down = elementwise(lambda d, h: d * d_f(h), delta, materialise(cache))     # LAS (7), ASAP (2.2)
        return down, None

    def with_activations(self, other: Callable[[Activation], Layer]) -> Layer:
        return other(self)

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        return what.after(ACTIVATIONS[self.name].takes, cache), index


@dataclass(frozen=True)
class Flatten(Layer):
    """Images as vectors: (N, ...) -> (N, F), in the order in which the numbers lie in memory.

    Examples
    --------
    >>> Flatten().out_shape((8, 8, 3))
    (192,)
    """

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        _samples(self, shape)
        return (math.prod(shape),)

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        return h.reshape(len(h), math.prod(h.shape[1:])), h.shape

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        return delta.reshape(cache), None


@dataclass(frozen=True)
class Sequential(Layer):
    """Layers one after another, which are a layer themselves.

    Parameters
    ----------
    layers : tuple of Layer
        The layers, from the input up.

    Notes
    -----
    A learning rule acts between the blocks of a network.  If a block is a Sequential, the gradients inside it are exact
    under every rule.  The parameters are a list, one entry for each layer.

    Examples
    --------
    >>> import numpy as np
    >>> block = Sequential((Flatten(), Dense(4), Activation("relu")))
    >>> block.init(np.random.default_rng(0), (8, 8, 1))[1]
    (4,)
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        _set(self, layers=tuple_of_layers("layers of Sequential", self.layers))

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        params = []
        for layer in self.layers:
            p, shape = layer.init(rng, shape)
            params.append(p)
        return params, shape

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        if params is not None and not isinstance(params, list | tuple):
            raise InputError(f"the parameters of {len(self.layers)} layers are {brief(params)}, expected a list")
        if params is not None and len(params) != len(self.layers):
            raise InputError(f"the parameters are those of {len(params)} layers, expected {len(self.layers)}")
        for i, layer in enumerate(self.layers):
            shape = layer.out_shape(shape, None if params is None else _below(params[i]))
        return shape

    def least_batch(self, shape: Shape) -> int:
        least = 1
        for layer in self.layers:
            least, shape = max(least, layer.least_batch(shape)), layer.out_shape(shape)
        return least

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        caches = []
        for layer, p in zip(self.layers, params, strict=True):
            h, cache = layer.forward(p, h, train, rng)
            caches.append(cache)
        return h, caches

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        grads: list[Tree] = [None] * len(self.layers)
        # the lowest layer that an error has to reach: it hands nothing down if nobody below listens
        lowest = 0 if want_down else next((i for i, p in enumerate(feedback) if any(leaves(p))), len(feedback) - 1)
        for i in reversed(range(len(self.layers))):
            more = want_down or i > lowest
            down, grads[i] = self.layers[i].backward(feedback[i], cache[i], delta, more)
            if not more or down is None:
                return None, grads
            delta = down
        return delta, grads

    def draws(self) -> bool:
        return any(layer.draws() for layer in self.layers)

    def head(self) -> Head | None:
        return next((head for head in (layer.head() for layer in self.layers) if head is not None), None)

    def remember(self, params: Tree, cache: Any) -> None:
        for layer, p, c in zip(self.layers, params, cache, strict=True):
            layer.remember(p, c)

    def remembers(self) -> bool:
        return any(layer.remembers() for layer in self.layers)

    def weighted(self) -> tuple[Layer, ...]:
        return tuple(leaf for layer in self.layers for leaf in layer.weighted())

    def with_activations(self, other: Callable[[Activation], Layer]) -> Layer:
        return replace(self, layers=tuple(layer.with_activations(other) for layer in self.layers))

    def with_first(self, other: Callable[[Layer], Layer]) -> Layer:
        return replace(self, layers=(*(layer.with_first(other) for layer in self.layers[:1]), *self.layers[1:]))

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        kept = []
        for layer, c in zip(self.layers, cache, strict=True):
            c, index = layer.keep(c, what, index)
            kept.append(c)
        return kept, index


@dataclass(frozen=True)
class Residual(Layer):
    """A residual block: body(h) + shortcut(h), or body(h) + h without a shortcut.

    Parameters
    ----------
    body : Layer
        The main path.
    shortcut : Layer or None
        The path next to it; None stands for the identity.

    Notes
    -----
    He et al. 2016.  The activation after the sum is a layer of its own.  The parameters are {"body", "shortcut"}.

    Examples
    --------
    >>> import numpy as np
    >>> block = Residual(Activation("relu"))
    >>> block.forward({"body": None, "shortcut": None}, np.array([[-1.0, 2.0]]))[0].tolist()
    [[-1.0, 4.0]]
    """

    body: Layer
    shortcut: Layer | None = None

    def __post_init__(self) -> None:
        _layers(self, body=self.body, **{} if self.shortcut is None else {"shortcut": self.shortcut})

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        out, body = self.out_shape(shape), self.body.init(rng, shape)[0]
        return {"body": body, "shortcut": None if self.shortcut is None else self.shortcut.init(rng, shape)[0]}, out

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        if params is not None and not (isinstance(params, dict) and {"body", "shortcut"} <= params.keys()):
            raise InputError(f"the parameters of a residual block are {brief(params)}, expected those of its body and "
                             "of its shortcut in a dict")
        body, short = (None, None) if params is None else (_below(params["body"]), _below(params["shortcut"]))
        out = self.body.out_shape(shape, body)
        beside = shape if self.shortcut is None else self.shortcut.out_shape(shape, short)
        if out != beside:
            raise InputError(f"a residual block's body makes {out} of {shape}, expected {beside} as its shortcut")
        return out

    def least_batch(self, shape: Shape) -> int:
        return max(part.least_batch(shape) for part in (self.body, self.shortcut) if part is not None)

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        out, body = self.body.forward(params["body"], h, train, rng)
        if self.shortcut is None:
            return elementwise(operator.add, out, h), (body, None)
        beside, short = self.shortcut.forward(params["shortcut"], h, train, rng)
        return elementwise(operator.add, out, beside), (body, short)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        down, body = self.body.backward(feedback["body"], cache[0], delta, want_down)
        beside: Array | None = delta
        short: Tree = None
        if self.shortcut is not None:
            beside, short = self.shortcut.backward(feedback["shortcut"], cache[1], delta, want_down)
        grads = {"body": body, "shortcut": short}
        return None if down is None or beside is None else elementwise(operator.add, down, beside), grads

    def draws(self) -> bool:
        return self.body.draws() or (self.shortcut is not None and self.shortcut.draws())

    def head(self) -> Head | None:
        return self.body.head()

    def remember(self, params: Tree, cache: Any) -> None:
        self.body.remember(params["body"], cache[0])
        if self.shortcut is not None:
            self.shortcut.remember(params["shortcut"], cache[1])

    def remembers(self) -> bool:
        return self.body.remembers() or (self.shortcut is not None and self.shortcut.remembers())

    def weighted(self) -> tuple[Layer, ...]:
        return self.body.weighted()

    def with_activations(self, other: Callable[[Activation], Layer]) -> Layer:
        return replace(self, body=self.body.with_activations(other),
                       shortcut=None if self.shortcut is None else self.shortcut.with_activations(other))

    def with_first(self, other: Callable[[Layer], Layer]) -> Layer:
        return replace(self, body=self.body.with_first(other))

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        body, after = self.body.keep(cache[0], what, index)
        short = None if self.shortcut is None else self.shortcut.keep(cache[1], what, index)[0]
        return (body, short), after


# ---------------------------------------------------------------- heads beside a block


def head_beside(block: Layer) -> Head:
    """Return the head that is shaped like the first layer with weights of a block.

    Parameters
    ----------
    block : Layer
        A block of a network.

    Returns
    -------
    Head
        The kind of linear map that a local module next to the block has, see heads.py.

    Raises
    ------
    InputError
        If the block has no layer with weights.

    Examples
    --------
    >>> head_beside(Sequential((Conv(4, 3, pad=1), Activation("relu"))))
    ConvHead(kernel=3, stride=1, pad=1, average=True)
    """
    head = block.head()
    if head is None:
        raise InputError(f"{block} has no layer with weights, expected one: the local module beside a block has the "
                         "shape of its first one")
    return head


def published_beside(block: Layer) -> Head:
    """Return the head that the published code of the LAS paper has next to a block: MaxConvHead next to a convolution.

    Parameters
    ----------
    block : Layer
        A block of a network.

    Returns
    -------
    Head
        As `head_beside`, but with the maximum over positions in the place of the average.

    Raises
    ------
    InputError
        If the block has no layer with weights.

    Examples
    --------
    >>> published_beside(Conv(4, 3, pad=1))
    MaxConvHead(kernel=3, stride=1, pad=1, average=False)
    """
    head = head_beside(block)
    return MaxConvHead(head.kernel, head.stride, head.pad) if isinstance(head, ConvHead) else head


def kernel_beside(block: Layer) -> Head:
    """Return the map through which DFA with `kernel` sends the error to the block below: a kernel, or a full matrix.

    Parameters
    ----------
    block : Layer
        A block of a network.

    Returns
    -------
    Head
        As `head_beside`, but what a ConvHead sends lacks the factor 1 / (H' W').

    Raises
    ------
    InputError
        If the block has no layer with weights.

    Examples
    --------
    >>> kernel_beside(Conv(4, 3, pad=1))
    ConvHead(kernel=3, stride=1, pad=1, average=False)
    """
    head = head_beside(block)
    return replace(head, average=False) if isinstance(head, ConvHead) else head


BESIDE: dict[str, Callable[[Layer], Head]] = {"exact": head_beside, "published": published_beside}


# ---------------------------------------------------------------- what a layer checks


def _pooled(layer: Conv | MaxPool | AvgPool, shape: Shape, size: int, stride: int | None) -> tuple[int, int]:
    """Return height and width after a layer with windows of that size.

    Raises InputError if no window fits, or if samples are no images.
    """
    _image(layer, shape)
    rows, columns = (out_size(side, size, stride or size, layer.pad) for side in shape[:2])
    if min(rows, columns) < 1:
        least = size - 2 * layer.pad
        raise InputError(f"{layer} got images of {shape[0]} x {shape[1]}, smaller than its window: expected at least "
                         f"{least} x {least}")
    return rows, columns


def _weights(layer: Dense | Conv, rng: np.random.Generator, units: int, fan_in: int) -> Array:
    """Return the first W (units, fan-in) of a layer: N(0, gain / fan-in).

    Raises InputError if there is nothing to draw from, or if W would not fit into memory.
    """
    if not hasattr(rng, "standard_normal"):
        raise InputError(f"rng is {brief(rng)}, expected a generator, such as numpy.random.default_rng(0)")
    try:
        drawn = rng.standard_normal((units, fan_in))
    except InputError:
        raise
    except (MemoryError, ValueError):  # NumPy's words for a large array and for a very large one
        raise InputError(f"{layer} has {units * fan_in:,} weights, which do not fit into memory") from None
    return drawn * math.sqrt(layer.gain / fan_in)


def _samples(layer: Layer, shape: Shape, expected: str = "at least one number in each", axes: int = 0) -> None:
    """Raise InputError unless this is the shape of samples, with so many axes if a number of them is given."""
    if not is_shape(shape) or len(shape) != (axes or len(shape)):
        raise InputError(f"{layer} got samples of shape {brief(shape)}, expected {expected}")


def is_shape(shape: object) -> bool:
    """Return whether this can be the shape of one sample: a tuple of one whole number or more, all above 0.

    Examples
    --------
    >>> is_shape((28, 28, 1)), is_shape(()), is_shape((8, 0)), is_shape(8)
    (True, False, False, False)
    """
    return isinstance(shape, tuple | list) and bool(shape) and all(
        isinstance(side, Integral) and not isinstance(side, bool) and int(side) > 0 for side in shape)


def _image(layer: Layer, shape: Shape) -> None:
    """Raise InputError unless samples of that shape are images."""
    _samples(layer, shape, "images (H, W, C)", 3)


def _fit(layer: Layer, shape: Shape, params: Tree, **expected: Shape) -> None:
    """Raise InputError unless the parameters, if there are any, have the shapes that samples of `shape` need."""
    for name, needed in expected.items() if params is not None else ():
        came = getattr(params.get(name) if isinstance(params, dict) else None, "shape", None)
        if came != tuple(needed):
            raise InputError(f"{layer} got samples of shape {shape}, for which {name} would have the shape {needed}, "
                             f"but {'there is no array of that name' if came is None else f'it has {came}'}")


def _below(params: Tree) -> Tree:
    """Return the parameters of an inner layer, {} if there are none: None would tell `out_shape` not to check."""
    return {} if params is None else params


def _name(layer: Layer, field: str) -> str:
    """Return what a message calls a field of a layer."""
    return f"{field} of {type(layer).__name__}"


def _set(layer: Layer, **values: object) -> None:
    """Set fields of a layer that is being made: numbers of NumPy's would change the type of what they multiply."""
    for name, value in values.items():
        object.__setattr__(layer, name, value)


def _whole(layer: Layer, **least: int) -> None:
    """Raise InputError unless the fields of these names are whole numbers and not below the given ones."""
    for name, low in least.items():
        _set(layer, **{name: integer(_name(layer, name), getattr(layer, name), low, MOST)})


def _positive(layer: Layer, name: str, most: float = math.inf) -> None:
    """Raise InputError unless the field of that name is a number above 0 and at most `most`."""
    _set(layer, **{name: number(_name(layer, name), getattr(layer, name), most=most)})


def _window(layer: MaxPool | AvgPool) -> None:
    """Raise InputError unless the numbers of a pooling layer make windows, each of which sees a part of the image."""
    _whole(layer, size=1)
    if layer.stride is not None:
        _whole(layer, stride=1)
    _set(layer, pad=integer(_name(layer, "pad"), layer.pad, 0, layer.size - 1))


def tuple_of_layers(what: str, came: object) -> tuple[Layer, ...]:
    """Return layers in a tuple; raise InputError unless they are layers in a tuple or a list.

    Parameters
    ----------
    what : str
        What the message calls them.
    came : object
        What the user gave.

    Returns
    -------
    tuple of Layer

    Raises
    ------
    InputError
        If it is no tuple and no list, or if something in it is no layer.

    Examples
    --------
    >>> tuple_of_layers("blocks of a Network", [Dense(3), Dense(4)])
    (Dense(units=3, gain=2.0), Dense(units=4, gain=2.0))
    >>> tuple_of_layers("blocks of a Network", (3, 4))
    Traceback (most recent call last):
    nobackprop.errors.InputError: blocks of a Network are (3, 4), expected a tuple of layers, as (Dense(8), Dense(3))
    """
    if not isinstance(came, tuple | list) or not all(isinstance(layer, Layer) for layer in came):
        raise InputError(f"{what} are {brief(came)}, expected a tuple of layers, as (Dense(8), Dense(3))")
    _not_too_deep(*came)
    return tuple(came)


def _layers(layer: Layer, **came: object) -> None:
    """Raise InputError unless the parts of a layer are layers."""
    for name, part in came.items():
        if not isinstance(part, Layer):
            raise InputError(f"{_name(layer, name)} is {brief(part)}, expected a layer such as Dense(8)")
        _not_too_deep(part)


def _not_too_deep(*parts: Layer) -> None:
    """Raise InputError if some layers stand inside others, and these inside others, more than DEEPEST deep.

    Every walk through a network calls itself for what is inside a layer, and Python ends it at some depth.
    """
    inside, depth = list(parts), 1
    while inside := [part for layer in inside for value in vars(layer).values()
                     for part in (value if isinstance(value, tuple) else (value,)) if isinstance(part, Layer)]:
        depth += 1
        if depth > DEEPEST:
            raise InputError(f"layers stand more than {DEEPEST} deep inside of one another, expected at most {DEEPEST}")
