"""Networks by the names that a user types: 'mlp:128,128', 'conv3:0.25'.

A file for each family; what a paper leaves open, and where a model differs from print, stands at its builder.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..errors import unknown
from ..kernels.activation import ACTIVATIONS
from ..layers import Shape
from ..network import Network
from . import alexnet, cnn, conv3, conv_small, resnet, vgg
from .dense import mlp, sizes
from .parts import ImageModel, check_images, width_factor

__all__ = ["MODELS", "Model", "build", "mlp"]


@dataclass(frozen=True)
class Model:
    """A line of the list of models: what it is, and build(argument, shape, classes, activation, loss)."""

    summary: str
    build: Callable[[str, Shape, int, str, str], Network]


def _of_images(name: str, model: ImageModel, argument: str, shape: Shape, classes: int, activation: str,
               loss: str) -> Network:
    factor = width_factor(name, argument)
    check_images(name, shape, model.least)
    return Network(model.blocks(classes, activation, factor), loss)


IMAGE_MODELS: dict[str, ImageModel] = (conv_small.MODELS | conv3.MODELS | alexnet.MODELS | resnet.MODELS
                                       | vgg.MODELS | cnn.MODELS)

MODELS: dict[str, Model] = {
    "mlp": Model("fully connected: mlp:SIZE,SIZE,... gives the hidden layers from the input up",
                 lambda argument, shape, classes, activation, loss:
                 mlp(shape, classes, sizes(argument), activation, loss)),
    **{name: Model(model.summary, partial(_of_images, name, model)) for name, model in IMAGE_MODELS.items()},
}


def build(spec: str, shape: Shape, classes: int, activation: str = "relu",
          loss: str = "cross_entropy") -> Network:
    """The network that `spec`, 'NAME:ARGUMENT', names, for samples of `shape` and so many classes.

    The argument of a model of images is a factor on the widths of its hidden layers, 1 where there is none.
    Raises InputError where the name, its argument or the activation is unknown, or the model cannot take samples
    of that shape.
    """
    name, _, argument = spec.partition(":")
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    return MODELS[name].build(argument, tuple(shape), classes, activation, loss)
