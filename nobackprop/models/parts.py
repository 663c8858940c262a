"""The parts of models of images: their blocks, the factor on their widths, and a check of the image size."""
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError, brief, check_name
from ..kernels.activation import ACTIVATIONS
from ..layers import Activation, BatchNorm, Conv, Dense, Flatten, Layer, MaxPool, Sequential, Shape

Blocks = tuple[Layer, ...]
WIDEST = 16


@dataclass(frozen=True)
class ImageModel:
    """A model of images, as an entry of the list of models.

    Parameters
    ----------
    summary : str
        What the model is, in one line.
    blocks : callable
        blocks(classes, activation, factor) returns the blocks of the network.
    least : int
        The smallest side of an image that the model can take, in pixels.

    Examples
    --------
    >>> from nobackprop.models import IMAGE_MODELS
    >>> IMAGE_MODELS["vgg"].least
    16
    """

    summary: str
    blocks: Callable[[int, str, float], Blocks]
    least: int = 1


def gain(activation: str) -> float:
    """Return the variance of the initial weights below an activation, times their fan-in.

    Parameters
    ----------
    activation : str
        The name of the activation.

    Returns
    -------
    float
        2 for relu (He et al. 2015) and functions like it, 1 for others: see `kernels.activation.ACTIVATIONS`.

    Raises
    ------
    InputError
        If there is no activation of that name.

    Examples
    --------
    >>> gain("relu"), gain("tanh")
    (2.0, 1.0)
    """
    check_name("activation", activation, ACTIVATIONS)
    return ACTIVATIONS[activation].gain


def halves(activation: str) -> tuple[str, str]:
    """Return the two activations of a folded network: the one below its bridge, and the one from there on.

    Parameters
    ----------
    activation : str
        Two names, "elu,sigmoid"; one name alone stands for both.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        If it is no text.

    Examples
    --------
    >>> halves("elu,sigmoid"), halves("elu")
    (('elu', 'sigmoid'), ('elu', 'elu'))
    """
    if not isinstance(activation, str):
        raise InputError(f"activation is {brief(activation)}, expected a name")
    below, comma, above = activation.partition(",")
    return below, above if comma else below


def scaled(width: int, factor: float) -> int:
    """Return a number of planes or units times a factor, rounded, and at least 1.

    Examples
    --------
    >>> scaled(96, 0.25), scaled(96, 0.001)
    (24, 1)
    """
    return max(1, round(factor * width))


def conv_block(planes: int, kernel: int, activation: str, stride: int = 1, norm: bool = False,
               pool: Layer | None = None) -> Sequential:
    """Return a block with a convolution: (N, H, W, C) -> (N, H', W', planes).

    Parameters
    ----------
    planes, kernel, stride : int
        As for `layers.Conv`.  The padding keeps height and width, up to the stride.
    activation : str
        The name of the activation.
    norm : bool
        Whether batch-norm follows the convolution.  Then there is no bias, because batch-norm's beta does its work.
    pool : Layer or None
        A pooling layer.

    Returns
    -------
    Sequential

    Notes
    -----
    The papers pool after the activation f.  If f never falls, max-pooling before f gives the same values and gradients,
    and f has fewer numbers to work on.  So max-pooling comes before such an f; all other pooling comes after f.

    Examples
    --------
    >>> [type(layer).__name__ for layer in conv_block(4, 3, "relu", pool=MaxPool(2)).layers]
    ['Conv', 'MaxPool', 'Activation']
    >>> [type(layer).__name__ for layer in conv_block(4, 3, "gelu", pool=MaxPool(2)).layers]
    ['Conv', 'Activation', 'MaxPool']
    """
    conv = Conv(planes, kernel, stride, kernel // 2, gain(activation), bias=not norm)
    ending = [*([pool] if pool else []), Activation(activation)]
    if not (isinstance(pool, MaxPool) and ACTIVATIONS[activation].monotone):
        ending.reverse()
    return Sequential((conv, *([BatchNorm()] if norm else []), *ending))


def dense_block(units: int, activation: str, flatten: bool = False, norm: bool = False) -> Sequential:
    """Return a block with a dense layer: (N, F) -> (N, units).

    Parameters
    ----------
    units : int
        The number of outputs.
    activation : str
        The name of the activation.
    flatten : bool
        Whether the block begins with Flatten, and so takes images too.
    norm : bool
        Whether batch-norm follows the dense layer.

    Returns
    -------
    Sequential

    Examples
    --------
    >>> [type(layer).__name__ for layer in dense_block(8, "tanh", flatten=True).layers]
    ['Flatten', 'Dense', 'Activation']
    """
    return Sequential((*([Flatten()] if flatten else []), Dense(units, gain(activation)),
                       *([BatchNorm()] if norm else []), Activation(activation)))


def width_factor(name: str, argument: str) -> float:
    """Return the factor on widths that follows the name of a model, as in conv3:0.25.

    Parameters
    ----------
    name : str
        The name of the model.
    argument : str
        What follows the colon; an empty text stands for 1.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If it is not a number above 0, or if it is above 16.

    Examples
    --------
    >>> width_factor("conv3", "0.25"), width_factor("conv3", "")
    (0.25, 1.0)
    """
    if not argument:
        return 1.0
    factor = float(argument) if re.fullmatch(r"[0-9]+(\.[0-9]+)?|\.[0-9]+", argument) else 0.0
    if not 0 < factor <= WIDEST:
        raise InputError(f"model '{name}:{argument}': expected a width factor above 0 and up to {WIDEST} such as "
                         f"{name}:0.25, got '{argument}'")
    return factor


def check_images(name: str, shape: Shape, least: int) -> None:
    """Check that samples are images, and large enough for a model.

    Parameters
    ----------
    name : str
        The name of the model.
    shape : tuple of int
        The shape of one sample.
    least : int
        The smallest side, in pixels.

    Raises
    ------
    InputError
        If they are not images (H, W, C), or if they are smaller than least x least.

    Examples
    --------
    >>> check_images("vgg", (32, 32, 3), 16)
    """
    if len(shape) != 3:
        raise InputError(f"model '{name}': expected images (height, width, channels), got samples of shape {shape}")
    if min(shape[:2]) < least:
        raise InputError(f"model '{name}': expected images of at least {least} x {least}, "
                         f"got {shape[0]} x {shape[1]}")
