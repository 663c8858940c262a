"""Residual networks for small images, a residual block being one block of the network."""
from __future__ import annotations

from functools import partial

from ..layers import Activation, BatchNorm, Conv, Dense, GlobalPool, Residual, Sequential
from .parts import Blocks, ImageModel, conv_block, gain, scaled


def residual_block(planes: int, activation: str, stride: int = 1, shortcut: bool = True) -> Sequential:
    """Two 3x3 convolutions with batch-norm beside a shortcut: (N, H, W, C) -> (N, H', W', planes).

    He et al. 2016: activation behind the sum; where the shape changes, here at a stride, the shortcut is a 1x1
    convolution with batch-norm.  Without shortcut, the two convolutions alone.  Deviation from the ASAP thesis: (5.1)
    adds the shortcut behind the activation.
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
    """Stages of residual blocks, each stage but the first halving the image: (N, H, W, C) -> (N, classes).

    He et al. 2016.  The stem, a 3x3 convolution, is a block; so is each residual block, inside which gradients are
    exact: the block-wise feedback of Launay et al. in Yang, Lee, Park 2024, section IV-B.  The last block is the
    global average and the output.
    ResNet-18 and -34 stand in that paper and in Woo 2023, section 5.1.3, without saying how the stem of their
    original, made for 224 x 224, meets small images: it is 3x3 with stride 1 and no pooling, as in the thesis's
    published code.  That code also normalises the output; here it is linear.
    ResNet-20 and -32 stand in Kao and Chen 2020, section 5.1.  Deviations from He et al.: the shortcut is a
    projection where the shape changes, where they pad with zeros; from Kao and Chen: the layers that they add
    under backpropagation, to match the parameters of their bridges, are left out, as they name none.
    """
    widths = [scaled(n, factor) for n in planes]
    blocks = [residual_block(width, activation, 2 if stage and not i else 1, shortcut)
              for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)) for i in range(depth)]
    return (conv_block(widths[0], 3, activation, norm=True), *blocks,
            Sequential((GlobalPool(), Dense(classes, gain=1.0))))


resnet34 = partial(resnet, depths=(3, 4, 6, 3))
narrow = partial(resnet, planes=(16, 32, 64))

MODELS = {
    "resnet18": ImageModel("LAS, ASAP: residual network of 8 blocks, 64 to 512 planes; 3x3 stem for small images",
                           resnet),
    "resnet18-noshortcut": ImageModel("ASAP: resnet18 without shortcuts", partial(resnet, shortcut=False)),
    "resnet34": ImageModel("ASAP: the same of 16 blocks", resnet34),
    "resnet34-noshortcut": ImageModel("ASAP: resnet34 without shortcuts", partial(resnet34, shortcut=False)),
    "resnet20": ImageModel("AL: residual network of 9 blocks, 16 to 64 planes", partial(narrow, depths=(3, 3, 3))),
    "resnet32": ImageModel("AL: the same of 15 blocks", partial(narrow, depths=(5, 5, 5))),
}
