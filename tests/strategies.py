"""Hypothesis strategies named by the index letters of what they draw, valid by construction.

N batch, L any leading axes, F features out, K features in, C classes.  Integers in floats: sums and products
of small integers are exact in every precision, so that identities hold with == and need no tolerance.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nobackprop.kernels.activation import ACTIVATIONS
from nobackprop.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    LayerNorm,
    MaxPool,
    Residual,
    Sequential,
    UnitLength,
)
from nobackprop.network import Network, init
from nobackprop.tree import Tree, tree_map

Draw = Callable[[st.SearchStrategy[Any]], Any]

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 6)
precisions = st.sampled_from(["float32", "float64"])
# a side of 0 and no leading axis at all are shapes, too
L = st.lists(st.integers(0, 3), max_size=3).map(tuple)


def integers(shape: tuple[int, ...], dtype: str = "float64") -> st.SearchStrategy[np.ndarray]:
    """Integers from -4 to 4 in floats of any such shape."""
    return arrays(dtype, shape, elements=st.integers(-4, 4))


@st.composite
def FK_LK_LF(draw: Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W (F, K), u (..., K) and delta (..., F), integers in one precision."""
    F, K, lead, dtype = draw(sides), draw(sides), draw(L), draw(precisions)
    return draw(st.tuples(integers((F, K), dtype), integers((*lead, K), dtype), integers((*lead, F), dtype)))


@st.composite
def NF(draw: Draw, low: float = -5, high: float = 5) -> np.ndarray:
    """Reals of which none is 0, where relu has a kink."""
    # multiples of a power of two, so that no example is lost in rounding
    steps = st.integers(round(low * 64), round(high * 64)).filter(bool)
    return draw(arrays("float64", (draw(sides), draw(sides)), elements=steps)) / 64


@st.composite
def NC_NC(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Activations a of the last layer, and targets y* whose rows are probabilities, zeros included."""
    a = draw(NF())
    counts = draw(arrays("int64", a.shape, elements=st.integers(0, 3)))
    counts[np.arange(len(a)), draw(arrays("int64", len(a), elements=st.integers(0, a.shape[1] - 1)))] += 1
    return a, counts / counts.sum(1, keepdims=True)


leaves = st.one_of(
    arrays(st.sampled_from(["float32", "float64", "complex128", "int64", "bool", "U3"]),
           array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    st.none(),
)
names = st.text("Wbagmt_0", min_size=1, max_size=5)
trees = st.recursive(leaves, lambda below: st.lists(below, max_size=3)
                     | st.lists(below, max_size=3).map(tuple)
                     | st.dictionaries(names, below, max_size=3), max_leaves=8)

norms = st.sampled_from([0.1, 0.5])  # eps: large enough that no normalisation makes rounding a hundred times larger
functions = st.sampled_from(sorted(ACTIVATIONS))


@st.composite
def rows(draw: Draw, shape: tuple[int, ...], least: int = 1, most: int = 3, silent: bool = True) -> list[Layer]:
    """Layers of all kinds that fit one after another for samples of a shape, (F,), (T, C) or (H, W, C)."""
    found: list[Layer] = []
    for _ in range(draw(st.integers(least, most))):
        kinds: list[st.SearchStrategy[Layer]] = [
            st.builds(BatchNorm, norms, st.sampled_from([0.1, 1.0])), st.builds(LayerNorm, norms),
            st.builds(UnitLength, norms), st.builds(Activation, functions),
            st.builds(Dropout, st.sampled_from([0.0, 0.5] if silent else [0.0]))]
        if len(shape) == 1:
            kinds += [st.builds(Dense, st.integers(1, 5))]
        if len(shape) == 3:
            side = min(shape[:2])
            kinds += [convolutions(side), *(windows(kind, side) for kind in (MaxPool, AvgPool))]
        if least:  # not below a residual block, so that the drawing comes to an end
            kinds += [residuals(shape, silent)]
        found.append(draw(st.one_of(kinds)))
        shape = found[-1].out_shape(shape)
    return found


@st.composite
def convolutions(draw: Draw, side: int) -> Conv:
    """A convolution that fits images of a side."""
    pad = draw(st.integers(0, 2))
    return Conv(draw(st.integers(1, 4)), draw(st.integers(1, min(3, side + 2 * pad))), draw(st.integers(1, 2)), pad,
                bias=draw(st.booleans()))


@st.composite
def windows(draw: Draw, kind: type[MaxPool] | type[AvgPool], side: int) -> Layer:
    """A pooling layer that fits images of a side, with every frame that it may have."""
    size = draw(st.integers(1, min(4, side)))
    return kind(size, draw(st.none() | st.integers(1, 2)), draw(st.integers(0, size - 1)))


@st.composite
def residuals(draw: Draw, shape: tuple[int, ...], silent: bool) -> Residual:
    """A residual block with or without a shortcut, around dense layers, convolutions, or neither."""
    inner = draw(rows(shape, 0, 1, silent).filter(lambda row: not row or row[0].out_shape(shape) == shape))
    if len(shape) == 1:
        body, beside = Dense(draw(sides)), Dense(1)
        body, beside = (body, replace(beside, units=body.units)) if draw(st.booleans()) else (Dense(*shape), None)
    elif len(shape) == 3:
        planes, stride = draw(st.integers(1, 4)), draw(st.integers(1, 2))
        body, beside = Conv(planes, 3, stride, 1), Conv(planes, 1, stride, bias=draw(st.booleans()))
        if draw(st.booleans()):
            body, beside = Conv(shape[-1], 3, 1, 1), None
    else:
        body, beside = Activation("tanh"), None
    return Residual(Sequential((*inner, body)), beside)


@st.composite
def shaped_networks(draw: Draw, silent: bool = True) -> tuple[Network, tuple[int, ...]]:
    """A network of layers of all kinds that gives vectors, and the shape of its samples."""
    shape = draw(st.sampled_from([(3,), (1,), (3, 2), (5, 4, 2), (6, 6, 1), (1, 1, 3)]))
    layers, at = draw(rows(shape, silent=silent)), shape
    for layer in layers:
        at = layer.out_shape(at)
    if len(at) > 1:
        layers += [GlobalPool() if len(at) == 3 and draw(st.booleans()) else Flatten()]
        layers += draw(rows(layers[-1].out_shape(at), 1, 2, silent))
    blocks: list[Layer] = []
    while layers:
        size = draw(st.integers(1, len(layers)))
        blocks.append(layers[0] if size == 1 and draw(st.booleans()) else Sequential(tuple(layers[:size])))
        layers = layers[size:]
    return Network((*blocks, Dense(draw(sides)))), shape


def random_params(net: Network, shape: tuple[int, ...], seed: int, dtype: str) -> Tree:
    """Parameters of which none has the value that it starts with, running statistics included."""
    rng = np.random.default_rng(seed)
    params, _ = init(net, rng, shape, dtype)
    return tree_map(lambda w: w if w.ndim > 1 else rng.uniform(0.5, 1.5, w.shape).astype(dtype), params)
