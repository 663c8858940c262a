"""Residual networks for small images; a residual block is one block of the network."""
from __future__ import annotations

from functools import partial

from ..layers import Activation, BatchNorm, Conv, Dense, GlobalPool, Residual, Sequential
from .parts import Blocks, ImageModel, conv_block, gain, scaled


def residual_block(planes: int, activation: str, stride: int = 1, shortcut: bool = True) -> Sequential:
    """Return two 3x3 convolutions with batch-norm, and a shortcut next to them: (N, H, W, C) -> (N, H', W', planes).

    Parameters
    ----------
    planes : int
        The number of output channels.
    activation : str
        The name of the activation.
    stride : int
        The stride of the first convolution.
    shortcut : bool
        Whether there is a shortcut; if not, the block is the two convolutions alone.

    Returns
    -------
    Sequential

    Notes
    -----
    He et al. 2016: the activation comes after the sum.  If there is a stride, the shape changes, and then the shortcut
    is a 1x1 convolution with batch-norm.  Deviation from the ASAP thesis: (5.1) adds the shortcut after the
    activation.

    Examples
    --------
    >>> residual_block(8, "relu", stride=2).out_shape((8, 8, 4))
    (4, 4, 8)
    """
    def conv(kernel: int, stride: int) -> tuple[Conv, BatchNorm]:
        return Conv(planes, kernel, stride, kernel // 2, gain(activation), bias=False), BatchNorm()

    body = (*conv(3, stride), Activation(activation), *conv(3, 1))
    if not shortcut:
        return Sequential((*body, Activation(activation)))
    beside = Sequential(conv(1, stride)) if stride > 1 else None
    return Sequential((Residual(Sequential(body), beside), Activation(activation)))


def resnet(classes: int, activation: str = "relu", factor: float = 1.0, planes: tuple[int, ...] = (64, 128, 256, 512),
           depths: tuple[int, ...] = (2, 2, 2, 2), shortcut: bool = True) -> Blocks:
    """Return stages of residual blocks; each stage except the first one halves the image.

    Parameters
    ----------
    classes : int
        The number of classes.
    activation : str
        The name of the hidden blocks' activation.
    factor : float
        A factor on the widths of the hidden layers.
    planes : tuple of int
        The number of channels in each stage.
    depths : tuple of int
        The number of residual blocks in each stage.
    shortcut : bool
        Whether the blocks have shortcuts.

    Returns
    -------
    tuple of Layer
        The blocks: (N, H, W, C) -> (N, classes).

    Notes
    -----
    He et al. 2016.  The stem, a 3x3 convolution, is a block; so is each residual block, inside which gradients are
    exact: the block-wise feedback of Launay et al. in Yang, Lee, Park 2024, section IV-B.  The last block is the global
    average and the output.  ResNet-18 and -34 are in that paper and in Woo 2023, section 5.1.3.  Neither says how the
    stem of the original, made for 224 x 224, is changed for small images: here it is 3x3 with stride 1 and no pooling,
    as in the thesis's published code.  That code also normalises the output; here it is linear.  ResNet-20 and -32 are
    in Kao and Chen 2020, section 5.1.  Deviation from He et al.: if the shape changes, the shortcut is a projection;
    they pad with zeros.  Deviation from Kao and Chen: the layers that they add under backpropagation, to match the
    parameters of their bridges, are left out, because they name none.

    Examples
    --------
    >>> len(resnet(10)), len(resnet34(10))
    (10, 18)
    """
    widths = [scaled(n, factor) for n in planes]
    blocks = [residual_block(width, activation, 2 if stage and not i else 1, shortcut)
              for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)) for i in range(depth)]
    return (conv_block(widths[0], 3, activation, norm=True), *blocks,
            Sequential((GlobalPool(), Dense(classes, gain=1.0))))


def published(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Return ResNet-18 as the published code of the LAS paper has it: a block for each stage, and a 7x7 stem.

    Parameters
    ----------
    classes : int
        The number of classes.
    activation : str
        The name of the hidden blocks' activation.
    factor : float
        A factor on the widths of the hidden layers.

    Returns
    -------
    tuple of Layer
        The blocks: (N, H, W, C) -> (N, classes).

    Notes
    -----
    The stem has stride 2 and no pooling.  Each stage of two residual blocks is one block of the network, so that LAS
    has four modules: one in front of each stage.  Everything else is as in `resnet`.

    Examples
    --------
    >>> len(published(10)), published(10)[0].layers[0].kernel
    (6, 7)
    """
    _, *blocks, output = resnet(classes, activation, factor)
    return (conv_block(scaled(64, factor), 7, activation, stride=2, norm=True),
            *(Sequential(tuple(blocks[i:i + 2])) for i in range(0, len(blocks), 2)), output)


def layered(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Return ResNet-18 without shortcuts, each convolution of which is a block of the network.

    Parameters
    ----------
    classes : int
        The number of classes.
    activation : str
        The name of the hidden blocks' activation.
    factor : float
        A factor on the widths of the hidden layers.

    Returns
    -------
    tuple of Layer
        The blocks: (N, H, W, C) -> (N, classes).

    Notes
    -----
    The function is that of `resnet` without shortcuts; only the borders between blocks differ.  A rule with direct
    feedback sends a signal to each block, so here each convolution gets a signal of its own, as in Woo 2023.  If a
    residual block is one block, its upper convolution sends the exact gradient to its lower one.

    Examples
    --------
    >>> len(layered(10)), len(resnet(10, shortcut=False))
    (18, 10)
    """
    stem, *blocks, output = resnet(classes, activation, factor, shortcut=False)
    return (stem, *(Sequential(part) for block in blocks if isinstance(block, Sequential)
                    for part in (block.layers[:3], block.layers[3:])), output)


resnet34 = partial(resnet, depths=(3, 4, 6, 3))
narrow = partial(resnet, planes=(16, 32, 64))

MODELS = {
    "resnet18": ImageModel("LAS, ASAP: residual network of 8 blocks, 64 to 512 planes; 3x3 stem for small images",
                           resnet),
    "resnet18-published": ImageModel("LAS, its published code: resnet18 in 4 blocks, one for each width; 7x7 stem with "
                                     "stride 2", published),
    "resnet18-noshortcut": ImageModel("ASAP: resnet18 without shortcuts", partial(resnet, shortcut=False)),
    "resnet18-layers": ImageModel("ASAP: resnet18 without shortcuts in 17 blocks, one for each convolution", layered),
    "resnet34": ImageModel("ASAP: the same of 16 blocks", resnet34),
    "resnet34-noshortcut": ImageModel("ASAP: resnet34 without shortcuts", partial(resnet34, shortcut=False)),
    "resnet20": ImageModel("AL: residual network of 9 blocks, 16 to 64 planes", partial(narrow, depths=(3, 3, 3))),
    "resnet32": ImageModel("AL: the same of 15 blocks", partial(narrow, depths=(5, 5, 5))),
}
