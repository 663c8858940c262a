"""Conv3 and Conv3+BN, the convolutional networks of the LAS paper."""
from __future__ import annotations

from functools import partial

from ..layers import Dense, MaxPool
from .parts import Blocks, ImageModel, conv_block, dense_block, scaled


def conv3(classes: int, activation: str = "relu", factor: float = 1.0, norm: bool = False,
          strided: bool = False) -> Blocks:
    """Three 5x5 convolutions and three dense layers: (N, H, W, C) -> (N, classes).

    Yang, Lee, Park 2024, section IV-B, who give kernel, stride and padding; planes 96, 128, 256 and units 2048, 2048
    are those of Crafton et al. 2019.  `norm` puts batch-norm behind each convolution.
    Deviation from print: the text has stride 2 and no pooling, which is `strided`; the published code has stride 1
    and 3x3 max-pooling with stride 2 and padding 1, as here.  Both make 4 x 4 x 256 = 4096 of 32 x 32.
    """
    stride, pool = (2, None) if strided else (1, MaxPool(3, 2, 1))
    planes, units = (96, 128, 256), (2048, 2048)
    return (*(conv_block(scaled(n, factor), 5, activation, stride, norm, pool) for n in planes),
            *(dense_block(scaled(n, factor), activation, flatten=not i) for i, n in enumerate(units)),
            Dense(classes, gain=1.0))


MODELS = {
    "conv3": ImageModel("LAS: 3 convolutions 5x5, 3 dense layers; conv3:0.25 has a quarter of the widths, as for all "
                        "below", conv3),
    "conv3-bn": ImageModel("LAS: conv3 with batch-norm behind each convolution", partial(conv3, norm=True)),
    "conv3-stride": ImageModel("LAS: conv3 as its text has it, stride 2 in the place of max-pooling",
                               partial(conv3, strided=True)),
}
