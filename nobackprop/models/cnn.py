"""The vanilla convolutional network of associated learning."""
from __future__ import annotations

from ..layers import Dense
from .parts import Blocks, ImageModel, conv_block, dense_block, scaled


def cnn(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Return thirteen hidden layers: 8 convolutions 3x3 and 5 dense ones.

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
    Kao and Chen 2020, section 5.2: 4 x 32 planes, 4 x 64 planes, 1280 units, 4 x 256 units.  The paper gives no
    stride, padding or pooling.  Chosen as in their published code: padding 1, no pooling, and stride 2 in every fourth
    convolution, so that 8 x 8 x 64 = 4096 units reach the dense layers from 32 x 32.

    Examples
    --------
    >>> len(cnn(10))
    14
    """
    planes, units = (32, 32, 32, 32, 64, 64, 64, 64), (1280, 256, 256, 256, 256)
    return (*(conv_block(scaled(n, factor), 3, activation, stride=2 if i % 4 == 3 else 1)
              for i, n in enumerate(planes)),
            *(dense_block(scaled(n, factor), activation, flatten=not i) for i, n in enumerate(units)),
            Dense(classes, gain=1.0))


MODELS = {"cnn": ImageModel("AL: 13 hidden layers, 8 convolutions 3x3 and 5 dense", cnn)}
