"""Networks by the names that a user types: 'mlp:128,128'."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .errors import InputError, unknown
from .kernels.activation import ACTIVATIONS
from .layers import Activation, Dense, Flatten, Layer, Sequential, Shape
from .network import Network


def mlp(shape: Shape, classes: int, sizes: tuple[int, ...], activation: str = "relu",
        loss: str = "cross_entropy") -> Network:
    """Hidden layers of the given sizes, one (dense, activation) pair a block, and a linear output block.

    W starts with gain 2 under relu (He et al. 2015), else 1.
    """
    hidden = [Sequential((Dense(size, gain=2.0 if activation == "relu" else 1.0), Activation(activation)))
              for size in sizes]
    blocks: list[Layer] = [*hidden, Dense(classes, gain=1.0)]
    if len(shape) > 1:
        first = blocks[0]
        inner = first.layers if isinstance(first, Sequential) else (first,)
        blocks[0] = Sequential((Flatten(), *inner))
    return Network(tuple(blocks), loss)


def _sizes(argument: str) -> tuple[int, ...]:
    parts = argument.split(",")
    if not all(part.isascii() and part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"model 'mlp:{argument}': expected hidden layer sizes such as mlp:128,128, "
                         f"got '{argument}'")
    return tuple(int(part) for part in parts)


@dataclass(frozen=True)
class Model:
    """A line of the list of models: what it is, and build(argument, shape, classes, activation, loss)."""

    summary: str
    build: Callable[[str, Shape, int, str, str], Network]


MODELS: dict[str, Model] = {
    "mlp": Model("fully connected: mlp:SIZE,SIZE,... gives the hidden layers from the input up",
                 lambda argument, shape, classes, activation, loss:
                 mlp(shape, classes, _sizes(argument), activation, loss)),
}


def build(spec: str, shape: Shape, classes: int, activation: str = "relu",
          loss: str = "cross_entropy") -> Network:
    """The network that `spec`, 'NAME:ARGUMENT', names, for samples of `shape` and so many classes.

    Raises InputError where the name, its argument or the activation is unknown.
    """
    name, _, argument = spec.partition(":")
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    return MODELS[name].build(argument, tuple(shape), classes, activation, loss)
