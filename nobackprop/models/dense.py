"""Fully connected networks: mlp:128,128."""
from __future__ import annotations

import re

from ..errors import InputError
from ..kernels.loss import DEFAULT_LOSS
from ..layers import Activation, Dense, Flatten, Layer, Sequential, Shape
from ..network import Network
from .parts import dense_block, gain, halves

DIGITS = 18  # of a hidden layer's size: a count of parameters, which comes after it, says the rest


def mlp(shape: Shape, classes: int, sizes: tuple[int, ...], activation: str = "relu",
        loss: str = DEFAULT_LOSS) -> Network:
    """Hidden layers of the given sizes, one (dense, activation) pair a block, and a linear output block.

    Of two activations, 'elu,sigmoid', the second one is that of the upper half and of the middle layer, as a folded
    network has them (Kao and Chen 2020).  W starts with gain 2 under relu (He et al. 2015) and elu, else 1.
    """
    below, above = halves(activation)
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
    """As `mlp`, with batch-norm behind each hidden layer's W h + b."""
    hidden = [dense_block(size, activation, flatten=not i and len(shape) > 1, norm=True)
              for i, size in enumerate(sizes)]
    return Network((*hidden, Dense(classes, gain=1.0)), loss)


def sizes(name: str, argument: str) -> tuple[int, ...]:
    """The hidden sizes that stand behind a dense model's name.

    Raises InputError where they are no positive whole numbers.
    """
    typed = f"{name}:{argument}" if argument else name
    if not re.fullmatch(r"0*[1-9][0-9]*(,0*[1-9][0-9]*)*", argument):
        raise InputError(f"model '{typed}': expected hidden layer sizes such as {name}:128,128, got '{argument}'")
    widest = max(map(len, argument.split(",")))
    if widest > DIGITS:
        raise InputError(f"model '{typed}': got a hidden layer size of {widest} digits, expected at most {DIGITS}")
    return tuple(map(int, argument.split(",")))
