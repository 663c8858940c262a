"""The AlexNet of the thesis on ASAP, which is a small one."""
from __future__ import annotations

from ..layers import Dense, MaxPool
from .parts import Blocks, ImageModel, conv_block, dense_block, scaled


def alexnet_small(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Convolutions of 64, 128, 256 planes, dense layers of 1024, 1024: (N, H, W, C) -> (N, classes).

    Woo 2023, section 5.1.3.  Deviations from print: as in the published code the kernel is 5x5, where the text has
    3x3 with padding 2; each convolution is followed by 2x2 max-pooling, without which 369,664 units would reach the
    first dense layer in the place of 4096; every hidden layer has batch-norm.  That code also normalises the
    output, and rounds up where pooling halves an odd side; here the output is linear, and an odd side is rounded down.
    """
    planes, units = (64, 128, 256), (1024, 1024)
    return (*(conv_block(scaled(n, factor), 5, activation, norm=True, pool=MaxPool(2)) for n in planes),
            *(dense_block(scaled(n, factor), activation, flatten=not i, norm=True) for i, n in enumerate(units)),
            Dense(classes, gain=1.0))


MODELS = {"alexnet-small": ImageModel("ASAP: 3 convolutions 5x5, 3 dense layers, batch-norm", alexnet_small, least=8)}
