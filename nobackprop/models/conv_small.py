"""A convolutional network for images of 8 x 8, on which every rule learns in seconds."""
from __future__ import annotations

from ..layers import Dense, MaxPool
from .parts import Blocks, ImageModel, conv_block, dense_block, scaled


def conv_small(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Return two 3x3 convolutions of 16 and 32 planes and a dense layer of 64 units.

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
    It comes from no paper.  Each convolution is followed by 2x2 max-pooling in its block.

    Examples
    --------
    >>> len(conv_small(10))
    4
    """
    return (conv_block(scaled(16, factor), 3, activation, pool=MaxPool(2)),
            conv_block(scaled(32, factor), 3, activation, pool=MaxPool(2)),
            dense_block(scaled(64, factor), activation, flatten=True),
            Dense(classes, gain=1.0))


MODELS = {"conv-small": ImageModel("2 convolutions 3x3 and a dense layer, for images of 8 x 8; conv-small:2 doubles "
                                   "the widths", conv_small, least=4)}
