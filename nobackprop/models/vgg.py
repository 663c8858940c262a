"""The VGG of associated learning."""
from __future__ import annotations

from ..layers import Dense, MaxPool
from .parts import Blocks, ImageModel, conv_block, dense_block, scaled


def vgg(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Return six 3x3 convolutions with batch-norm and dense layers of 1024 and 1024 units.

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
    Kao and Chen 2020, section 5.1.  They name it after Simonyan and Zisserman 2015 and give no sizes.  Chosen: the
    associated functions of their published code, that is 128, 256, 256, 512, 512, 512 planes with 2x2 max-pooling after
    the second, fourth, fifth and sixth; 2048 units reach the dense layers.  Deviation: the layers that they add under
    backpropagation, to match the parameters of their bridges, are left out.

    Examples
    --------
    >>> len(vgg(10))
    9
    """
    planes = ((128, False), (256, True), (256, False), (512, True), (512, True), (512, True))
    return (*(conv_block(scaled(n, factor), 3, activation, norm=True, pool=MaxPool(2) if pooled else None)
              for n, pooled in planes),
            *(dense_block(scaled(n, factor), activation, flatten=not i) for i, n in enumerate((1024, 1024))),
            Dense(classes, gain=1.0))


MODELS = {"vgg": ImageModel("AL: 6 convolutions 3x3 with batch-norm, 3 dense layers", vgg, least=16)}
