"""Augmentation: other images of the same classes, drawn anew for every batch `(N, H, W, C)`.

All of it works on the host: a batch goes to the device after it.  Every function is pure, draws from the
generator that it is given, for each image on its own, and gives an array of the type that came in.  What
moves into an image is 0, which after standardising is the mean of the training part.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from ..errors import InputError, unknown
from .randaugment import randaugment

NUMBER = re.compile("[0-9]{1,4000}")
LARGEST = 256  # number of pixels to move or hide: nothing is left of an image beyond its side
Augment = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def flip(rng: np.random.Generator, x: np.ndarray, p: float = 0.5) -> np.ndarray:
    """Images `(N, H, W, C)`, each with probability p mirrored left to right.

    Raises InputError for other shapes and where p is no probability.
    """
    _check(x)
    if not 0 <= p <= 1:
        raise InputError(f"flip has the probability {p}, expected a number from 0 to 1")
    mirrored = rng.random(len(x)) < p
    return np.where(mirrored[:, None, None, None], x[:, :, ::-1], x)


def crop(rng: np.random.Generator, x: np.ndarray, pad: int = 4) -> np.ndarray:
    """Images `(N, H, W, C)`, each a window of that size, at a place of its own, of the image framed by zeros.

    The frame is `pad` pixels wide.  Raises InputError for other shapes and a width outside 0 to 256.
    """
    _check(x)
    _within("crop", pad, 0)
    n, height, width, _ = x.shape
    framed = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    top, left = rng.integers(0, 2 * pad + 1, (2, n, 1, 1))
    rows, columns = top + np.arange(height)[:, None], left + np.arange(width)
    return framed[np.arange(n)[:, None, None], rows, columns]


def jitter(rng: np.random.Generator, x: np.ndarray, reach: int = 2) -> np.ndarray:
    """Images `(N, H, W, C)`, each shifted by up to `reach` pixels along both axes; its edge pixels fill the gap.

    Raises InputError for other shapes and a reach outside 0 to 256.
    """
    _check(x)
    _within("jitter", reach, 0)
    n, height, width, _ = x.shape
    down, right = rng.integers(-reach, reach + 1, (2, n, 1, 1))
    rows = np.clip(np.arange(height)[:, None] - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return x[np.arange(n)[:, None, None], rows, columns]


def cutout(rng: np.random.Generator, x: np.ndarray, size: int = 8) -> np.ndarray:
    """Images `(N, H, W, C)`, each with a square of zeros around a pixel of its own; DeVries, Taylor 2017.

    The square has `size` pixels a side, fewer where it hangs over the border.  Raises InputError for other
    shapes and sizes outside 1 to 256.
    """
    _check(x)
    _within("cutout", size, 1)
    n, height, width, _ = x.shape
    top = rng.integers(0, height, (n, 1, 1)) - size // 2
    left = rng.integers(0, width, (n, 1, 1)) - size // 2
    row, column = np.arange(height)[:, None], np.arange(width)
    hidden = (top <= row) & (row < top + size) & (left <= column) & (column < left + size)
    return np.where(hidden[..., None], x.dtype.type(0), x)


@dataclass(frozen=True)
class Augmentation:
    """A line of the list of augmentations: what it is, the function, and what its numbers are called."""

    summary: str
    function: Callable[..., np.ndarray]
    numbers: tuple[str, ...] = ()


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": Augmentation("mirror every second image left to right", flip),
    "crop": Augmentation("crop:PAD cuts a window out of the image in a frame of zeros, default 4", crop, ("PAD",)),
    "jitter": Augmentation("jitter:REACH shifts by up to so many pixels, default 2", jitter, ("REACH",)),
    "cutout": Augmentation("cutout:SIZE puts zeros into a square, default 8", cutout, ("SIZE",)),
    "randaugment": Augmentation("randaugment:N:M does N random operations of magnitude M from 0 to 30, default 2:9",
                                randaugment, ("N", "M")),
}


def parse(text: str) -> Augment:
    """What 'flip,crop:4,cutout:8' names, as a function of a generator and a batch; nothing is done for ''.

    Raises InputError where a name or the numbers behind it are wrong.

    >>> x = np.ones((2, 4, 4, 1), np.float32)
    >>> parse("flip,cutout:1")(np.random.default_rng(0), x).sum(axis=(1, 2, 3))
    array([15., 15.], dtype=float32)
    """
    steps = [_step(part.strip()) for part in text.split(",")] if text else []

    def augment(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
        for function, numbers in steps:
            x = function(rng, x, *numbers)
        return x

    return augment


def _step(part: str) -> tuple[Callable[..., np.ndarray], tuple[int, ...]]:
    name, *typed = part.split(":")
    if name not in AUGMENTATIONS:
        raise unknown("augmentation", name, AUGMENTATIONS)
    chosen = AUGMENTATIONS[name]
    if len(typed) > len(chosen.numbers) or not all(map(NUMBER.fullmatch, typed)):
        wanted = ":".join((name, *chosen.numbers)) + (" with whole numbers" if chosen.numbers else " alone")
        raise InputError(f"augmentation '{part[:100]}': expected {wanted}")
    numbers = tuple(map(int, typed))
    # tried at once, so that a wrong number is told before anything is trained
    chosen.function(np.random.default_rng(0), np.zeros((0, 1, 1, 1), np.float32), *numbers)
    return chosen.function, numbers


def _check(x: np.ndarray) -> None:
    if np.ndim(x) != 4:
        raise InputError(f"only images (N, H, W, C) can be augmented, got an array of shape {np.shape(x)}")


def _within(name: str, value: int, low: int) -> None:
    if not isinstance(value, Integral) or not low <= value <= LARGEST:
        raise InputError(f"{name} has the number {value}, expected one from {low} to {LARGEST}")
