"""The AlexNet of the thesis on ASAP, which is a small one."""
from __future__ import annotations

from ..layers import Dense, MaxPool
from .parts import Blocks, ImageModel, conv_block, dense_block, scaled


def alexnet_small(classes: int, activation: str = "relu", factor: float = 1.0) -> Blocks:
    """Return convolutions of 64, 128 and 256 planes and dense layers of 1024 and 1024 units.

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
    Woo 2023, section 5.1.3.  Deviations from print: as in the published code the kernel is 5x5; the text has 3x3 with
    padding 2.  Each convolution is followed by 2x2 max-pooling; without it, the first dense layer would have 369,664
    inputs and not 4096.  Every hidden layer has batch-norm.  The published code also normalises the output, and rounds
    up when pooling halves an odd side; here the output is linear, and an odd side is rounded down.

    Examples
    --------
    >>> len(alexnet_small(10))
    6
    """
    planes, units = (64, 128, 256), (1024, 1024)
    return (*(conv_block(scaled(n, factor), 5, activation, norm=True, pool=MaxPool(2)) for n in planes),
            *(dense_block(scaled(n, factor), activation, flatten=not i, norm=True) for i, n in enumerate(units)),
            Dense(classes, gain=1.0))


MODELS = {"alexnet-small": ImageModel("ASAP: 3 convolutions 5x5, 3 dense layers, batch-norm", alexnet_small, least=8)}
