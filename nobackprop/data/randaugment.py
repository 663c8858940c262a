"""RandAugment: a few random operations of one common strength; Cubuk, Zoph, Shlens, Le 2020.

The operations are made for pixels from 0 to 255, and these images are standardised: an image's own least
and greatest number stand for black and white, 0 (the mean of the training part) fills what moves in, and
interpolation is bilinear.  Equalise is left out: it needs histograms of whole numbers.
"""
from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import numpy as np

from ..errors import InputError

STRONGEST = 30  # the magnitude at which the operations reach what is said beside them


def identity(x: np.ndarray, strength: float) -> np.ndarray:
    """As it came."""
    return x


def autocontrast(x: np.ndarray, strength: float) -> np.ndarray:
    """Every channel stretched from black to white; a constant one stays; the strength does nothing."""
    low, high = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
    black, white = _range(x)
    span = np.where(high > low, high - low, 1)
    return np.where(high > low, black + (x - low) / span * (white - black), x)


def brightness(x: np.ndarray, strength: float) -> np.ndarray:
    """Away from black or towards it: by factors from 0.1 to 1.9."""
    return _blend(x, _range(x)[0], strength)


def contrast(x: np.ndarray, strength: float) -> np.ndarray:
    """Away from the image's mean or towards it: by factors from 0.1 to 1.9."""
    return _blend(x, x.mean((1, 2, 3), keepdims=True, dtype=np.float64), strength)


def colour(x: np.ndarray, strength: float) -> np.ndarray:
    """Away from grey, the mean over channels, or towards it: by factors from 0.1 to 1.9."""
    return _blend(x, x.mean(3, keepdims=True, dtype=np.float64), strength)


def sharpness(x: np.ndarray, strength: float) -> np.ndarray:
    """Away from the mean of 3 x 3 pixels or towards it: by factors from 0.1 to 1.9."""
    framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge").astype(np.float64)
    rows = framed[:, :-2] + framed[:, 1:-1] + framed[:, 2:]
    return _blend(x, (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9, strength)


def posterize(x: np.ndarray, strength: float) -> np.ndarray:
    """Fewer levels between black and white: from 256 down to 16, each number put at its level's lower end."""
    black, white = _range(x)
    levels = 2.0 ** (8 - round(4 * abs(strength)))
    span = np.where(white > black, white - black, 1)
    # white itself would be a level of its own
    level = np.minimum(np.floor((x - black) / span * levels), levels - 1)
    return black + level / levels * span


def solarize(x: np.ndarray, strength: float) -> np.ndarray:
    """Inverted where it is bright: above white, down to everything."""
    black, white = _range(x)
    threshold = white - abs(strength) * (white - black)
    return np.where(x > threshold, black + white - x, x)


def rotate(x: np.ndarray, strength: float) -> np.ndarray:
    """Turned around the middle by up to 30 degrees."""
    cos, sin = np.cos(strength * np.pi / 6), np.sin(strength * np.pi / 6)
    return _affine(x, ((cos, sin), (-sin, cos)))


def shear_x(x: np.ndarray, strength: float) -> np.ndarray:
    """Rows shifted by up to 0.3 times their distance from the middle."""
    return _affine(x, ((1, 0), (0.3 * strength, 1)))


def shear_y(x: np.ndarray, strength: float) -> np.ndarray:
    """Columns shifted by up to 0.3 times their distance from the middle."""
    return _affine(x, ((1, 0.3 * strength), (0, 1)))


def translate_x(x: np.ndarray, strength: float) -> np.ndarray:
    """Shifted sideways by up to 0.3 of the width."""
    return _affine(x, ((1, 0), (0, 1)), (0, 0.3 * strength * x.shape[2]))


def translate_y(x: np.ndarray, strength: float) -> np.ndarray:
    """Shifted up or down by up to 0.3 of the height."""
    return _affine(x, ((1, 0), (0, 1)), (0.3 * strength * x.shape[1], 0))


Operation = Callable[[np.ndarray, float], np.ndarray]
OPERATIONS: tuple[Operation, ...] = (
    identity, autocontrast, brightness, contrast, colour, sharpness, posterize, solarize,
    rotate, shear_x, shear_y, translate_x, translate_y,
)


def randaugment(rng: np.random.Generator, x: np.ndarray, n: int = 2, m: int = 9) -> np.ndarray:
    """Images `(N, H, W, C)`, each after n operations drawn for it, of magnitude m and of either direction.

    Raises InputError for other shapes, other types than floating ones, n outside 0 to 13 and m outside 0 to 30.
    """
    if np.ndim(x) != 4 or x.dtype.kind != "f":
        raise InputError("randaugment works on standardised images (N, H, W, C), got an array of shape "
                         f"{np.shape(x)} and type {np.asarray(x).dtype}")
    if not (isinstance(n, Integral) and 0 <= n <= len(OPERATIONS) and 0 <= m <= STRONGEST):
        raise InputError(f"randaugment has the numbers {n} and {m}, expected from 0 to {len(OPERATIONS)} operations "
                         f"and a magnitude from 0 to {STRONGEST}")
    out = x.copy()
    for _ in range(n):
        which = rng.integers(0, len(OPERATIONS), len(x))
        directions = rng.choice((-1, 1), len(x))
        # all images that have an operation and a direction in common at once
        for i, operation in enumerate(OPERATIONS):
            for direction in (-1, 1):
                rows = np.flatnonzero((which == i) & (directions == direction))
                if len(rows):
                    out[rows] = operation(out[rows], direction * m / STRONGEST)
    return out


def _range(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Black and white of each image, `(N, 1, 1, 1)`."""
    return x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)


def _blend(x: np.ndarray, other: np.ndarray, strength: float) -> np.ndarray:
    """From `other` through x to beyond it, at strengths -1, 0 and 1, within black and white."""
    return np.clip(other + (x - other) * (1 + 0.9 * strength), *_range(x))


def _affine(x: np.ndarray, matrix: tuple[tuple[float, float], tuple[float, float]],
            shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Each pixel (row, column), counted from the middle, from where matrix @ (row, column) - shift is in x."""
    _, height, width, _ = x.shape
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    row, column = np.arange(height)[:, None] - middle_row, np.arange(width) - middle_column
    from_row = matrix[0][0] * row + matrix[0][1] * column + (middle_row - shift[0])
    from_column = matrix[1][0] * row + matrix[1][1] * column + (middle_column - shift[1])
    top, left = np.floor(from_row).astype(int), np.floor(from_column).astype(int)
    down, right = (from_row - top)[..., None], (from_column - left)[..., None]
    framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def at(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        # all that is outside reads the frame's zeros
        return framed[:, np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)]

    upper = (1 - right) * at(top, left) + right * at(top, left + 1)
    lower = (1 - right) * at(top + 1, left) + right * at(top + 1, left + 1)
    return (1 - down) * upper + down * lower
