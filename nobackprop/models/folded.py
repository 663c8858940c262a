"""Networks of images that fold, for associated learning: convolutions up to the bridge, and dense decoders after it.

Kao and Chen 2020 fold their convolutional networks and do not say how.  Of the networks here, only the layers of the
vanilla network (`cnn`) are theirs.  A block is an f_i, a layer of the last bridge, or an h_i (docs/glossary.md).
"""
from __future__ import annotations

from functools import partial

from ..layers import Activation, Dense, GlobalPool, MaxPool, Sequential
from .parts import Blocks, ImageModel, conv_block, dense_block, gain, halves, scaled
from .resnet import residual_block

CODE, BRIDGE = 256, 1280


def decoders(count: int, classes: int, activation: str, units: int) -> Blocks:
    """Return the decoders h_c, ..., h_1: all except the last one have an activation, and the width of the codes.

    Parameters
    ----------
    count : int
        The number c of decoders.
    classes : int
        The number of classes, which the last decoder makes.
    activation : str
        The name of the activation.
    units : int
        The width of the codes.

    Returns
    -------
    tuple of Layer

    Examples
    --------
    >>> len(decoders(3, 10, "sigmoid", 256))
    3
    """
    return (*(dense_block(units, activation) for _ in range(count - 1)), Dense(classes, gain=1.0))


def folded_cnn(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Return the layers of `cnn`, with two of its 8 convolutions in each of f_1 to f_4.

    Parameters
    ----------
    classes : int
        The number of classes.
    activation : str
        The name of the hidden blocks' activation; or two, "elu,sigmoid": below the bridge, and from there on.
    factor : float
        A factor on the widths of the hidden layers.

    Returns
    -------
    tuple of Layer
        The blocks: (N, H, W, C) -> (N, classes).

    Notes
    -----
    The bridge has 1280 and 256 units, and all t_i have 256, as in the authors' published code.  Deviation: the paper
    pairs single layers; then t_6 would be the output of a convolution.

    Examples
    --------
    >>> len(folded_cnn(10))
    10
    """
    below, above = halves(activation)
    planes = [scaled(n, factor) for n in (32, 32, 64, 64)]
    units, middle = scaled(CODE, factor), scaled(BRIDGE, factor)
    return (*(Sequential((conv_block(n, 3, below), conv_block(n, 3, below, stride=1 + i % 2)))
              for i, n in enumerate(planes)),
            dense_block(middle, above, flatten=True), dense_block(units, above), *decoders(4, classes, above, units))


def folded_vgg(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Return the convolutions of `vgg` in f_1 to f_4, and dense layers as in `folded_cnn`.

    Parameters
    ----------
    classes : int
        The number of classes.
    activation : str
        The name of the hidden blocks' activation; or two, "elu,sigmoid": below the bridge, and from there on.
    factor : float
        A factor on the widths of the hidden layers.

    Returns
    -------
    tuple of Layer
        The blocks: (N, H, W, C) -> (N, classes).

    Notes
    -----
    Chosen: the components have two, two, one and one convolutions, and each ends in 2x2 max-pooling.

    Examples
    --------
    >>> len(folded_vgg(10))
    10
    """
    below, above = halves(activation)
    units, middle = scaled(CODE, factor), scaled(BRIDGE, factor)

    def convolutions(*planes: int) -> Sequential:
        *inner, last = (scaled(n, factor) for n in planes)
        return Sequential((*(conv_block(n, 3, below, norm=True) for n in inner),
                           conv_block(last, 3, below, norm=True, pool=MaxPool(2))))

    return (convolutions(128, 256), convolutions(256, 512), convolutions(512), convolutions(512),
            dense_block(middle, above, flatten=True), dense_block(units, above), *decoders(4, classes, above, units))


def folded_resnet(classes: int, activation: str = "relu", factor: float = 1.0, depth: int = 3) -> Blocks:
    """Return the stages of `resnet20` in f_1 to f_3, and dense layers as in `folded_cnn`.

    Parameters
    ----------
    classes : int
        The number of classes.
    activation : str
        The name of the hidden blocks' activation; or two, "elu,sigmoid": below the bridge, and from there on.
    factor : float
        A factor on the widths of the hidden layers.
    depth : int
        The number of residual blocks in a stage: 3 for resnet20, 5 for resnet32.

    Returns
    -------
    tuple of Layer
        The blocks: (N, H, W, C) -> (N, classes).

    Notes
    -----
    Chosen: one stage for each component, because gradients inside a component are exact.  The stem is in f_1, and the
    bridge reads the global average.

    Examples
    --------
    >>> len(folded_resnet(10))
    8
    """
    below, above = halves(activation)
    planes, units, middle = [scaled(n, factor) for n in (16, 32, 64)], scaled(CODE, factor), scaled(BRIDGE, factor)
    stages = [[residual_block(n, below, 2 if stage and not i else 1) for i in range(depth)]
              for stage, n in enumerate(planes)]
    stages[0].insert(0, conv_block(planes[0], 3, below, norm=True))
    return (*(Sequential(tuple(stage)) for stage in stages),
            Sequential((GlobalPool(), Dense(middle, gain(above)), Activation(above))), dense_block(units, above),
            *decoders(3, classes, above, units))


MODELS = {
    "folded-cnn": ImageModel("AL: the layers of cnn as 4 components", folded_cnn),
    "folded-vgg": ImageModel("AL: the convolutions of vgg as 4 components, dense decoders", folded_vgg, least=16),
    "folded-resnet20": ImageModel("AL: the stages of resnet20 as 3 components, dense decoders", folded_resnet),
    "folded-resnet32": ImageModel("AL: the same of resnet32", partial(folded_resnet, depth=5)),
}
