"""Fully connected networks: mlp:128,128."""
from __future__ import annotations

import re

from ..errors import InputError, brief
from ..kernels.loss import DEFAULT_LOSS
from ..layers import Activation, Dense, Flatten, Layer, Sequential, Shape
from ..network import Network, a_shape
from .parts import dense_block, gain, halves

# a size with more digits is refused at once; the count of parameters refuses other sizes that are too large
DIGITS = 18


def mlp(shape: Shape, classes: int, sizes: tuple[int, ...], activation: str = "relu",
        loss: str = DEFAULT_LOSS) -> Network:
    """Return a fully connected network: one (dense, activation) pair in each block, and a linear output block.

    Parameters
    ----------
    shape : tuple of int
        The shape of one sample.  If it is not a vector, the first block flattens it.
    classes : int
        The number of classes.
    sizes : tuple of int
        The sizes of the hidden layers, from the input up.
    activation : str
        The name of the activation, or two names, "elu,sigmoid".  Of two, the second one is for the upper half and the
        middle layer, as in a folded network (Kao and Chen 2020).
    loss : str
        The name of the loss.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If there is no activation or loss of that name, if two activations came for fewer than two hidden layers, or if
        a shape or a size is none.

    Notes
    -----
    W starts with the activation's gain, see `parts.gain`.

    Examples
    --------
    >>> len(mlp((784,), 10, (128, 128)))
    3
    """
    shape = a_shape(shape)
    if not isinstance(sizes, tuple | list):
        raise InputError(f"sizes is {brief(sizes)}, expected those of the hidden layers, such as (128, 128)")
    below, above = halves(activation)
    if "," in activation and len(sizes) < 2:
        raise InputError(f"a fully connected network of {len(sizes)} hidden layer(s) has no two halves: expected one "
                         f"activation, got '{activation}'")
    names = [below if i < len(sizes) // 2 else above for i in range(len(sizes))]
    hidden = [Sequential((Dense(size, gain(name)), Activation(name))) for size, name in zip(sizes, names)]
    blocks: list[Layer] = [*hidden, Dense(classes, gain=1.0)]
    if len(shape) > 1:
        first = blocks[0]
        inner = first.layers if isinstance(first, Sequential) else (first,)
        blocks[0] = Sequential((Flatten(), *inner))
    return Network(tuple(blocks), loss)


def mlp_bn(shape: Shape, classes: int, sizes: tuple[int, ...], activation: str = "relu",
           loss: str = DEFAULT_LOSS) -> Network:
    """Return a fully connected network as `mlp` does, with batch-norm after W h + b in each hidden block.

    Parameters
    ----------
    shape, classes, sizes, activation, loss
        As for `mlp`, except that there can be only one activation.

    Returns
    -------
    Network

    Examples
    --------
    >>> [type(layer).__name__ for layer in mlp_bn((4,), 3, (8,))[0].layers]
    ['Dense', 'BatchNorm', 'Activation']
    """
    hidden = [dense_block(size, activation, flatten=not i and len(shape) > 1, norm=True)
              for i, size in enumerate(sizes)]
    return Network((*hidden, Dense(classes, gain=1.0)), loss)


def sizes(name: str, argument: str) -> tuple[int, ...]:
    """Return the hidden sizes that follow the name of a dense model, as in mlp:128,128.

    Parameters
    ----------
    name : str
        The name of the model.
    argument : str
        What follows the colon.

    Returns
    -------
    tuple of int

    Raises
    ------
    InputError
        If they are not positive whole numbers.

    Examples
    --------
    >>> sizes("mlp", "128,64")
    (128, 64)
    """
    shown = brief(f"{name}:{argument}" if argument else name)
    if not re.fullmatch(r"0*[1-9][0-9]*(,0*[1-9][0-9]*)*", argument):
        raise InputError(f"model {shown}: expected hidden layer sizes such as {name}:128,128, got {brief(argument)}")
    widest = max(map(len, argument.split(",")))
    if widest > DIGITS:
        raise InputError(f"model {shown}: got a hidden layer size of {widest} digits, expected at most {DIGITS}")
    return tuple(map(int, argument.split(",")))
