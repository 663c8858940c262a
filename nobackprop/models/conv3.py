"""Conv3 and Conv3+BN, the convolutional networks of the LAS paper."""
from __future__ import annotations

from functools import partial

from ..layers import Dense, MaxPool
from .parts import Blocks, ImageModel, conv_block, dense_block, scaled


def conv3(classes: int, activation: str = "relu", factor: float = 1.0, norm: bool = False,
          strided: bool = False) -> Blocks:
    """Return three 5x5 convolutions and three dense layers.

    Parameters
    ----------
    classes : int
        The number of classes.
    activation : str
        The name of the hidden blocks' activation.
    factor : float
        A factor on the widths of the hidden layers.
    norm : bool
        Whether batch-norm follows each convolution.
    strided : bool
        Whether convolutions have stride 2, as in the text of the paper; if not, pooling halves the images.

    Returns
    -------
    tuple of Layer
        The blocks: (N, H, W, C) -> (N, classes).

    Notes
    -----
    Source: Yang, Lee, Park 2024, section IV-B, which gives kernel, stride and padding.  Planes 96, 128, 256 and
    units 2048, 2048 are those of Crafton et al. 2019.  Deviation from print: the text has stride 2 and no pooling,
    which is `strided`.  The published code has stride 1 and 3x3 max-pooling with stride 2 and padding 1, as here.
    Both make 4 x 4 x 256 = 4096 units out of 32 x 32 pixels.

    Examples
    --------
    >>> [type(layer).__name__ for layer in conv3(10)[0].layers]
    ['Conv', 'MaxPool', 'Activation']
    """
    stride, pool = (2, None) if strided else (1, MaxPool(3, 2, 1))
    planes, units = (96, 128, 256), (2048, 2048)
    return (*(conv_block(scaled(n, factor), 5, activation, stride, norm, pool) for n in planes),
            *(dense_block(scaled(n, factor), activation, flatten=not i) for i, n in enumerate(units)),
            Dense(classes, gain=1.0))


MODELS = {
    "conv3": ImageModel("LAS: 3 convolutions 5x5, 3 dense layers; conv3:0.25 has a quarter of the widths, as for all "
                        "below", conv3),
    "conv3-bn": ImageModel("LAS: conv3 with batch-norm after each convolution", partial(conv3, norm=True)),
    "conv3-stride": ImageModel("LAS: conv3 as in the text of the paper, with stride 2 and no max-pooling",
                               partial(conv3, strided=True)),
}
