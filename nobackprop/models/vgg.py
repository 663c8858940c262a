"""The VGG of associated learning."""
from __future__ import annotations

from ..layers import Dense, MaxPool
from .parts import Blocks, ImageModel, conv_block, dense_block, scaled


def vgg(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Six 3x3 convolutions with batch-norm, dense layers of 1024, 1024: (N, H, W, C) -> (N, classes).

    Kao and Chen 2020, section 5.1, who name it after Simonyan and Zisserman 2015 and give no sizes.  Chosen: the
    associated functions of their published code, that is 128, 256, 256, 512, 512, 512 planes with 2x2
    max-pooling behind the second, fourth, fifth and sixth, 2048 units into the dense layers.  Deviation: the layers
    that they add under backpropagation, to match the parameters of their bridges, are left out.
    """
    planes = ((128, False), (256, True), (256, False), (512, True), (512, True), (512, True))
    return (*(conv_block(scaled(n, factor), 3, activation, norm=True, pool=MaxPool(2) if pooled else None)
              for n, pooled in planes),
            *(dense_block(scaled(n, factor), activation, flatten=not i) for i, n in enumerate((1024, 1024))),
            Dense(classes, gain=1.0))


MODELS = {"vgg": ImageModel("AL: 6 convolutions 3x3 with batch-norm, 3 dense layers", vgg, least=16)}
