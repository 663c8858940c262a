"""Networks by the names that a user types: 'mlp:128,128', 'conv3:0.25'.

A file for each family; what a paper leaves open, and where a model differs from print, stands at its builder.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..errors import InputError, unknown
from ..kernels.activation import ACTIVATIONS
from ..layers import Shape
from ..network import Network
from . import alexnet, cnn, conv3, conv_small, folded, resnet, vgg
from .dense import mlp, mlp_bn, sizes
from .parts import ImageModel, check_images, halves, width_factor

__all__ = ["MODELS", "Model", "build", "mlp"]


@dataclass(frozen=True)
class Model:
    """A line of the list of models: what it is, and build(argument, shape, classes, activation, loss).

    folds: whether it has an upper half, which may have an activation of its own.
    """

    summary: str
    build: Callable[[str, Shape, int, str, str], Network]
    folds: bool = False


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
                 mlp(shape, classes, sizes(argument), activation, loss), folds=True),
    "mlp-bn": Model("mlp with batch-norm behind each hidden layer, as mlp-bn:10,10",
                    lambda argument, shape, classes, activation, loss:
                    mlp_bn(shape, classes, sizes(argument), activation, loss)),
    **{name: Model(model.summary, partial(_of_images, name, model)) for name, model in IMAGE_MODELS.items()},
    **{name: Model(model.summary, partial(_of_images, name, model), folds=True)
       for name, model in folded.MODELS.items()},
}


def build(spec: str, shape: Shape, classes: int, activation: str = "relu",
          loss: str = "cross_entropy") -> Network:
    """The network that `spec`, 'NAME:ARGUMENT', names, for samples of `shape` and so many classes.

    The argument of a model of images is a factor on the widths of its hidden layers, 1 where there is none.
    A model that folds may have two activations, 'elu,sigmoid': below its middle, and from there on.
    Raises InputError where the name, its argument or the activation is unknown, or the model cannot take samples
    of that shape, or not two activations.
    """
    name, _, argument = spec.partition(":")
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    for one in halves(activation):
        if one not in ACTIVATIONS:
            raise unknown("activation", one, ACTIVATIONS)
    if "," in activation and not MODELS[name].folds:
        raise InputError(f"model '{name}' has no two halves: expected one activation, got '{activation}'")
    return MODELS[name].build(argument, tuple(shape), classes, activation, loss)
