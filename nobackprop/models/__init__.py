"""Networks by their names, such as 'mlp:128,128' and 'conv3:0.25'.

Each family of models has a file.  The builder of a model says what its paper leaves open, and how it differs from
print.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

from .. import blueprint, outside, saving
from ..errors import InputError, brief, integer, unknown
from ..kernels.activation import ACTIVATIONS
from ..kernels.loss import DEFAULT_LOSS
from ..layers import Shape
from ..network import Network, a_shape
from ..room import check_room
from . import alexnet, cnn, conv3, conv_small, folded, resnet, vgg
from .dense import mlp, mlp_bn, sizes
from .parts import ImageModel, check_images, halves, width_factor

__all__ = ["MODELS", "Model", "build", "mlp"]

# bytes of one parameter in training: its first draw in float64, then itself, its gradient, and two numbers of Adam
BYTES = 24
ENDING = ".safetensors"  # of a file that holds a trained network


@dataclass(frozen=True)
class Model:
    """An entry of `MODELS`, the list of models by name.

    Parameters
    ----------
    summary : str
        What the model is, in one line.
    build : callable
        build(argument, shape, classes, activation, loss) returns the network.
    folds : bool
        Whether the model has an upper half, which may have an activation of its own.

    Examples
    --------
    >>> MODELS["mlp"].folds, MODELS["resnet18"].folds
    (True, False)
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
                 mlp(shape, classes, sizes("mlp", argument), activation, loss), folds=True),
    "mlp-bn": Model("mlp with batch-norm after each hidden layer, as mlp-bn:10,10",
                    lambda argument, shape, classes, activation, loss:
                    mlp_bn(shape, classes, sizes("mlp-bn", argument), activation, loss)),
    **{name: Model(model.summary, partial(_of_images, name, model)) for name, model in IMAGE_MODELS.items()},
    **{name: Model(model.summary, partial(_of_images, name, model), folds=True)
       for name, model in folded.MODELS.items()},
}


def build(spec: str, shape: Sequence[int], classes: int, activation: str | None = "relu",
          loss: str = DEFAULT_LOSS) -> Network:
    """Return the network of a name, for samples of a shape and a number of classes.

    Parameters
    ----------
    spec : str
        "NAME:ARGUMENT", where NAME is a key of `MODELS`.  The argument of a fully connected network gives the hidden
        sizes, as in "mlp:128,128".  The argument of a model of images is a factor on the widths of its hidden layers,
        as in "conv3:0.25"; without an argument the factor is 1.  Or "FILE.safetensors", a file of `Run.save_model`: its
        network, with new weights.  Or "FILE.py:FUNCTION" or "MODULE:FUNCTION": what function(shape, classes) gives; if
        it has arguments `activation` and `loss`, it gets these, too.  The last two run code.
    shape : sequence of int
        The shape of one sample, such as (784,) or (28, 28, 1).  It decides whether the model takes such samples, and
        whether its first block flattens them; a network has no input shape of its own.
    classes : int
        The number of classes.
    activation : str
        The name of the activation.  A model that folds may have two, "elu,sigmoid": below its middle, and from there
        on.  A model that takes none, see `takes`, has its own; None is for such a model.
    loss : str
        The name of the loss.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If the name, its argument, the activation or the loss is unknown; if the model cannot take samples of that
        shape, or another activation than its own; if its parameters would not fit into memory; or if a file or a
        function gives no network, or one with another loss.

    Examples
    --------
    >>> len(build("mlp:128,128", (784,), 10)), len(build("conv3:0.25", (32, 32, 3), 10, "gelu"))
    (3, 6)
    """
    if not isinstance(spec, str):
        raise InputError(f"model is {brief(spec)}, expected a name")
    name, _, argument = spec.partition(":")
    if not is_own(spec):
        _known("model", name, MODELS)
    if is_own(spec) and not takes(spec, "activation"):
        if activation not in (None, "relu"):
            raise InputError(f"model '{spec}' has activations of its own and takes no other one, got '{activation}'"
                             + ("" if spec.endswith(ENDING) else ": a function takes one by an argument activation"))
        activation = "relu"
    if not isinstance(activation, str):
        raise InputError(f"activation is {brief(activation)}, expected a name")
    for one in halves(activation):
        _known("activation", one, ACTIVATIONS)
    if "," in activation and name in MODELS and not MODELS[name].folds:
        raise InputError(f"model '{name}' has no two halves: expected one activation, got '{activation}'")
    shape, classes = a_shape(shape), integer("classes", classes, 1)
    if is_own(spec):
        net = _own(spec, shape, classes, activation, loss)
    else:
        net = MODELS[name].build(argument, shape, classes, activation, loss)
    counter: Any = _Counter(f"model '{spec}'")
    for block in net:
        _, shape = block.init(counter, shape)
    return net


def is_own(spec: str) -> bool:
    """Say whether a text names a model of the user's own: a file of a trained network, or a function.

    Examples
    --------
    >>> [is_own(spec) for spec in ("mlp:8", "./nets.py:wide", "wine.safetensors")]
    [False, True, True]
    """
    return spec.partition(":")[0] not in MODELS and (spec.endswith(ENDING) or outside.split(spec) is not None)


def takes(spec: str, what: str) -> bool:
    """Say whether a model follows an "activation" or a "loss" that is asked for; one of your own may not.

    Raises InputError if it is one of your own and cannot be read.

    Examples
    --------
    >>> takes("mlp:8", "activation")
    True
    """
    if not is_own(spec):
        return True
    if spec.endswith(ENDING):
        return False
    where, name, _ = outside.split(spec) or ("", "", "")
    return what in _arguments(outside.find(where, name, _makes))


def _arguments(function: Any) -> Collection[str]:
    """The names of the arguments of a function, with activation and loss if it takes any argument."""
    try:
        found = signature(function).parameters
    except (TypeError, ValueError):
        return ()
    return {*found, *(("activation", "loss") if any(one.kind is one.VAR_KEYWORD for one in found.values()) else ())}


def _makes(value: object) -> bool:
    """Say whether a value may be a function that gives a network."""
    return callable(value) and not isinstance(value, type)


def _own(spec: str, shape: Shape, classes: int, activation: str, loss: str) -> Network:
    """The network of a file or of a function of the user's own."""
    if spec.endswith(ENDING):
        header, _ = saving.read(spec, blueprint.MODEL)
        try:
            net = blueprint.build(header["network"])
        except (KeyError, TypeError, InputError) as error:
            raise InputError(f"cannot use {spec}: {error}") from None
    else:
        where, name, rest = outside.split(spec) or ("", "", "")
        if rest:
            raise InputError(f"model '{spec}': expected nothing behind the function {name}, got '{rest}'")
        net = _called(spec, name, outside.find(where, name, _makes), shape, classes, activation, loss)
    if net.loss != loss:
        remedy = "" if takes(spec, "loss") or spec.endswith(ENDING) else \
            "; a function with an argument loss gets the one that came"
        raise InputError(f"model '{spec}' is a network with the loss {net.loss}, and the loss that came is {loss}: "
                         f"expected the same{remedy}")
    return net


def _called(spec: str, name: str, function: Any, shape: Shape, classes: int, activation: str, loss: str) -> Network:
    """The network that a function of the user's own gives."""
    if not callable(function):
        raise InputError(f"model '{spec}': {name} is {brief(function)}, expected a function of a shape and a number of "
                         "classes")
    try:
        known = _arguments(function)
        more = {key: value for key, value in (("activation", activation), ("loss", loss)) if key in known}
        net = function(shape, classes, **more)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"model '{spec}': {name}({shape}, {classes}) does not give a network: "
                         f"{type(error).__name__}: {error}") from error
    if not isinstance(net, Network):
        raise InputError(f"model '{spec}': {name}({shape}, {classes}) gave {brief(net)}, expected a Network, such as "
                         "network.sequential makes one")
    return net


def _known(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise unknown(what, name, known)


class _Counter:
    """Takes the place of a generator and of what it draws: it counts the numbers, and makes none.

    Raises InputError at the first layer whose weights do not fit into memory any more.
    """

    __array_ufunc__ = None

    def __init__(self, what: str) -> None:
        self.what, self.drawn = what, 0

    def standard_normal(self, shape: Shape) -> _Counter:
        self.drawn += math.prod(shape)
        check_room(self.what, "parameters", self.drawn, BYTES)
        return self

    def __mul__(self, scale: float) -> _Counter:
        return self
