"""Hypothesis strategies of whole networks: layers of all kinds, in any order that fits, valid by construction."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

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

sides = st.integers(1, 5)
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
    body: Layer = Activation("tanh")
    beside: Layer | None = None
    if draw(st.booleans()):
        if len(shape) == 1:
            body, beside = Dense(units := draw(sides)), Dense(units)
        elif len(shape) == 3:
            planes, stride = draw(st.integers(1, 4)), draw(st.integers(1, 2))
            body, beside = Conv(planes, 3, stride, 1), Conv(planes, 1, stride, bias=draw(st.booleans()))
    elif len(shape) != 2:
        body = Dense(*shape) if len(shape) == 1 else Conv(shape[-1], 3, 1, 1)
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


def passed(net: Network, params: Tree, x: np.ndarray) -> list[np.ndarray]:
    """All that is added up on the way to the output in prediction: the scale on which it is rounded."""
    found = [x]
    for block, p in zip(net, params, strict=True):
        found.append(block.forward(p, found[-1], False)[0])
    return found
