"""Augmentation: every batch of training images is changed at random, in ways that keep the class of an image.

A batch of images is an array (N, H, W, C).  All functions work on the host; the batch goes to the device afterwards.
Every function is pure, draws random numbers from the generator that it is given, draws anew for each image, and
returns an array of the dtype of its input.  Pixels that move into an image are 0.  After standardising, 0 is the mean
of the training part.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, brief, check_name, integer, number
from .randaugment import randaugment

NUMBER = re.compile("[0-9]{1,4000}")
LARGEST = 256  # pixels by which an image may move, or the side of a hidden square
Augment = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def flip(rng: np.random.Generator, x: np.ndarray, p: float = 0.5) -> np.ndarray:
    """Mirror each image left to right with probability p.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of the random numbers.
    x : array (N, H, W, C)
        The images.
    p : float, optional
        The probability, from 0 to 1.

    Returns
    -------
    array (N, H, W, C)
        The images, some of them mirrored.

    Raises
    ------
    InputError
        If x does not have four axes, or if p is not a probability.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.augment import flip
    >>> x = np.array([1, 2, 3]).reshape(1, 1, 3, 1)
    >>> flip(np.random.default_rng(0), x, p=1).ravel().tolist()
    [3, 2, 1]
    """
    _check(x)
    p = number("the probability of flip", p, "non-negative")
    if p > 1:
        raise InputError(f"the probability of flip must be at most 1, got {p}")
    mirrored = rng.random(len(x)) < p
    return np.where(mirrored[:, None, None, None], x[:, :, ::-1], x)


def crop(rng: np.random.Generator, x: np.ndarray, pad: int = 4) -> np.ndarray:
    """Put a frame of zeros around each image, and cut a window of the old size out of it at a random place.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of the random numbers.
    x : array (N, H, W, C)
        The images.
    pad : int, optional
        The width of the frame in pixels, from 0 to 256.

    Returns
    -------
    array (N, H, W, C)
        One window of each framed image.

    Raises
    ------
    InputError
        If x does not have four axes, or if pad is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.augment import crop
    >>> windows = crop(np.random.default_rng(0), np.ones((100, 4, 4, 1)), pad=1)
    >>> windows.shape, sorted({int(window.sum()) for window in windows})  # a row, a column, or both may be zeros
    ((100, 4, 4, 1), [9, 12, 16])
    """
    _check(x)
    pad = integer("the number of crop", pad, 0, LARGEST)
    n, height, width, _ = x.shape
    framed = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    top, left = rng.integers(0, 2 * pad + 1, (2, n, 1, 1))
    rows, columns = top + np.arange(height)[:, None], left + np.arange(width)
    windows: np.ndarray = framed[np.arange(n)[:, None, None], rows, columns]
    return windows


def jitter(rng: np.random.Generator, x: np.ndarray, reach: int = 2) -> np.ndarray:
    """Shift each image by a random number of pixels along both axes, and fill the gap with its edge pixels.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of the random numbers.
    x : array (N, H, W, C)
        The images.
    reach : int, optional
        The largest shift in pixels, from 0 to 256.  A shift may go in either direction.

    Returns
    -------
    array (N, H, W, C)
        The shifted images.

    Raises
    ------
    InputError
        If x does not have four axes, or if reach is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.augment import jitter
    >>> x = np.arange(5).reshape(1, 1, 5, 1)
    >>> moved = jitter(np.random.default_rng(0), x, reach=1).ravel().tolist()
    >>> moved in ([0, 0, 1, 2, 3], [0, 1, 2, 3, 4], [1, 2, 3, 4, 4])
    True
    """
    _check(x)
    reach = integer("the number of jitter", reach, 0, LARGEST)
    n, height, width, _ = x.shape
    down, right = rng.integers(-reach, reach + 1, (2, n, 1, 1))
    rows = np.clip(np.arange(height)[:, None] - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    shifted: np.ndarray = x[np.arange(n)[:, None, None], rows, columns]
    return shifted


def cutout(rng: np.random.Generator, x: np.ndarray, size: int = 8) -> np.ndarray:
    """Put a square of zeros around a random pixel of each image.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of the random numbers.
    x : array (N, H, W, C)
        The images.
    size : int, optional
        The side of the square in pixels, from 1 to 256.  The part of a square outside the image is cut off.

    Returns
    -------
    array (N, H, W, C)
        The images with their squares.

    Raises
    ------
    InputError
        If x does not have four axes, or if size is out of range.

    Notes
    -----
    Source: DeVries, Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout".

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.augment import cutout
    >>> x = np.ones((2, 4, 4, 1))
    >>> cutout(np.random.default_rng(0), x, size=1).sum(axis=(1, 2, 3)).tolist()
    [15.0, 15.0]
    """
    _check(x)
    size = integer("the number of cutout", size, 1, LARGEST)
    n, height, width, _ = x.shape
    top = rng.integers(0, height, (n, 1, 1)) - size // 2
    left = rng.integers(0, width, (n, 1, 1)) - size // 2
    row, column = np.arange(height)[:, None], np.arange(width)
    hidden = (top <= row) & (row < top + size) & (left <= column) & (column < left + size)
    return np.where(hidden[..., None], x.dtype.type(0), x)


@dataclass(frozen=True)
class Augmentation:
    """One augmentation that can be chosen by its name.

    Parameters
    ----------
    summary : str
        One line for the help text.
    function : callable
        `function(rng, x, *numbers)` returns the augmented images.
    numbers : tuple of str, optional
        The names of its whole numbers, as the help text writes them.
    below : callable, optional
        `below(height, width)` is what its number must be below, or nothing may be left of an image of that size.

    Examples
    --------
    >>> from nobackprop.data.augment import AUGMENTATIONS
    >>> AUGMENTATIONS["randaugment"].numbers
    ('N', 'M')
    """

    summary: str
    function: Callable[..., np.ndarray]
    numbers: tuple[str, ...] = ()
    below: Callable[[int, int], int] | None = None


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": Augmentation("mirrors each image left to right with probability 0.5", flip),
    "crop": Augmentation("crop:PAD cuts a window out of each image in a frame of zeros, PAD pixels wide, default 4",
                         crop, ("PAD",), min),
    "jitter": Augmentation("jitter:REACH shifts each image by up to REACH pixels, default 2", jitter, ("REACH",), min),
    "cutout": Augmentation("cutout:SIZE puts zeros into a square of SIZE pixels a side, default 8", cutout, ("SIZE",),
                           lambda height, width: 2 * max(height, width)),
    "randaugment": Augmentation("randaugment:N:M does N random operations of magnitude M from 0 to 30, default 2:9",
                                randaugment, ("N", "M")),
}


def parse(text: str) -> Augment:
    """Return the function that a text such as 'flip,crop:4,cutout:8' describes.

    Parameters
    ----------
    text : str
        The names of augmentations with commas between them.  Whole numbers may follow a name, with colons before
        them.  The augmentations run from left to right.  For an empty text the function changes nothing.

    Returns
    -------
    callable
        `augment(rng, x)` takes a generator and images (N, H, W, C), and returns the augmented images.

    Raises
    ------
    InputError
        If it is no text, if a name is unknown, or if the numbers after a name are wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.augment import parse
    >>> x = np.ones((2, 4, 4, 1), np.float32)
    >>> parse("flip,cutout:1")(np.random.default_rng(0), x).sum(axis=(1, 2, 3))
    array([15., 15.], dtype=float32)
    """
    if not isinstance(text, str):
        raise InputError(f"augment is {brief(text)}, expected a text such as 'flip,crop:4'")
    steps = [_step(part.strip()) for part in text.split(",")] if text else []

    def augment(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
        for function, numbers in steps:
            x = function(rng, x, *numbers)
        return x

    return augment


def check_size(text: str, shape: tuple[int, ...]) -> None:
    """Raise InputError if a text that `parse` takes has numbers that are too large for images of a shape (H, W, C).

    Examples
    --------
    >>> from nobackprop.data.augment import check_size
    >>> check_size("flip,crop:4", (8, 8, 1))
    >>> check_size("flip,crop:8", (8, 8, 1))
    Traceback (most recent call last):
    nobackprop.errors.InputError: augmentation 'crop:8': expected a number below 8 for images of shape (8, 8, 1)
    """
    for part in text.split(","):
        name, *numbers = part.strip().split(":")
        below = AUGMENTATIONS[name].below
        if numbers and below and int(numbers[0]) >= below(*shape[:2]):
            raise InputError(f"augmentation '{part.strip()}': expected a number below {below(*shape[:2])} for images "
                             f"of shape {shape}")


def _step(part: str) -> tuple[Callable[..., np.ndarray], tuple[int, ...]]:
    """The function that one part of the text names, and its numbers."""
    name, *texts = part.split(":")
    check_name("augmentation", name, AUGMENTATIONS)
    chosen = AUGMENTATIONS[name]
    if len(texts) > len(chosen.numbers) or not all(map(NUMBER.fullmatch, texts)):
        wanted = ":".join((name, *chosen.numbers)) + (" with whole numbers" if chosen.numbers else " alone")
        raise InputError(f"augmentation '{part[:100]}': expected {wanted}")
    numbers = tuple(map(int, texts))
    # called once on an empty batch, so that a wrong number is refused before training starts
    chosen.function(np.random.default_rng(0), np.zeros((0, 1, 1, 1), np.float32), *numbers)
    return chosen.function, numbers


def _check(x: np.ndarray) -> None:
    """Raise InputError if x is not a batch of images."""
    if np.ndim(x) != 4:
        raise InputError(f"only images (N, H, W, C) can be augmented, got an array of shape {np.shape(x)}")
