"""What models of images are made of: blocks, the factor on their widths, and which images they can take."""
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError, check_name
from ..kernels.activation import ACTIVATIONS
from ..layers import Activation, BatchNorm, Conv, Dense, Flatten, Layer, MaxPool, Sequential, Shape

Blocks = tuple[Layer, ...]
WIDEST = 16


@dataclass(frozen=True)
class ImageModel:
    """What it is, blocks(classes, activation, factor), and the smallest side of an image that it can take."""

    summary: str
    blocks: Callable[[int, str, float], Blocks]
    least: int = 1


def gain(activation: str) -> float:
    """Times 1 / fan-in, the variance that weights below the activation start with: 2 under relu and elu, else 1.

    He et al. 2015 for relu.
    """
    check_name("activation", activation, ACTIVATIONS)
    return ACTIVATIONS[activation].gain


def halves(activation: str) -> tuple[str, str]:
    """The activations of a folded network, 'elu,sigmoid': below its bridge, and from there on; 'elu' is both."""
    below, comma, above = activation.partition(",")
    return below, above if comma else below


def scaled(width: int, factor: float) -> int:
    """So many planes or units, scaled: at least 1."""
    return max(1, round(factor * width))


def conv_block(planes: int, kernel: int, activation: str, stride: int = 1, norm: bool = False,
               pool: Layer | None = None) -> Sequential:
    """Convolution, batch-norm where wanted, pooling, activation: (N, H, W, C) -> (N, H', W', planes).

    The padding keeps height and width, up to the stride.  Below batch-norm, whose beta does its work, there is no
    bias.  The papers pool behind the activation: for max-pooling and an increasing f that is the same, in
    values and in gradients, and here f has fewer numbers to work on.
    """
    conv = Conv(planes, kernel, stride, kernel // 2, gain(activation), bias=not norm)
    ending = [*([pool] if pool else []), Activation(activation)]
    if not (isinstance(pool, MaxPool) and ACTIVATIONS[activation].monotone):
        ending.reverse()
    return Sequential((conv, *([BatchNorm()] if norm else []), *ending))


def dense_block(units: int, activation: str, flatten: bool = False, norm: bool = False) -> Sequential:
    """Dense layer, batch-norm where wanted, activation: (N, F) -> (N, units); `flatten` takes images, too."""
    return Sequential((*([Flatten()] if flatten else []), Dense(units, gain(activation)),
                       *([BatchNorm()] if norm else []), Activation(activation)))


def width_factor(name: str, argument: str) -> float:
    """The factor that stands behind the model's name; 1 where nothing does.

    Raises InputError where it is no number above 0, or too large to mean anything.
    """
    if not argument:
        return 1.0
    factor = float(argument) if re.fullmatch(r"[0-9]+(\.[0-9]+)?|\.[0-9]+", argument) else 0.0
    if not 0 < factor <= WIDEST:
        raise InputError(f"model '{name}:{argument}': expected a width factor above 0 and up to {WIDEST} such as "
                         f"{name}:0.25, got '{argument}'")
    return factor


def check_images(name: str, shape: Shape, least: int) -> None:
    """Raises InputError where samples of `shape` are no images (H, W, C), or smaller than least x least."""
    if len(shape) != 3:
        raise InputError(f"model '{name}': expected images (height, width, channels), got samples of shape {shape}")
    if min(shape[:2]) < least:
        raise InputError(f"model '{name}': expected images of at least {least} x {least}, "
                         f"got {shape[0]} x {shape[1]}")
