"""A convolutional network for images of 8 x 8, where every rule can be watched in seconds."""
from __future__ import annotations

from ..layers import Dense, MaxPool
from .parts import Blocks, ImageModel, conv_block, dense_block, scaled


def conv_small(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Two 3x3 convolutions of 16 and 32 planes, a dense layer of 64: (N, H, W, C) -> (N, classes).

    No paper's; each convolution is followed by 2x2 max-pooling in its block.
    """
    return (conv_block(scaled(16, factor), 3, activation, pool=MaxPool(2)),
            conv_block(scaled(32, factor), 3, activation, pool=MaxPool(2)),
            dense_block(scaled(64, factor), activation, flatten=True),
            Dense(classes, gain=1.0))


MODELS = {"conv-small": ImageModel("2 convolutions 3x3 and a dense layer, for images of 8 x 8; conv-small:2 doubles "
                                   "the widths", conv_small, least=4)}
