"""RandAugment: a few random operations of one common magnitude; Cubuk, Zoph, Shlens, Le 2020.

The paper's operations are made for pixels from 0 to 255, but the images here are standardised.  The operations
therefore differ from the paper's in these points:

- Black is the least number of an image, and white is its greatest number.
- Pixels that move into an image are 0, the mean of the training part.
- Interpolation is bilinear.
- Equalise is left out, because it needs histograms of whole numbers.

Every operation takes images `x` (N, H, W, C) and a `strength` from -1 to 1, and returns images of the same shape.
The sign of the strength is a direction, such as brighter or darker.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import InputError, integer

STRONGEST = 30  # the magnitude at which the strength of an operation is 1 or -1


def identity(x: np.ndarray, strength: float) -> np.ndarray:
    """Return the images unchanged.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        It changes nothing here.

    Returns
    -------
    array (N, H, W, C)
        The same images.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import identity
    >>> x = np.ones((1, 2, 2, 3))
    >>> identity(x, 0.5) is x
    True
    """
    return x


def autocontrast(x: np.ndarray, strength: float) -> np.ndarray:
    """Stretch every channel of an image, so that it reaches from black to white.

    A constant channel stays as it is.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        It changes nothing here.

    Returns
    -------
    array (N, H, W, C)
        The stretched images.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import autocontrast
    >>> x = np.array([[0.0, 4.0], [1.0, 2.0]]).reshape(1, 1, 2, 2)  # two pixels of two channels
    >>> autocontrast(x, 0.5).reshape(2, 2).tolist()
    [[0.0, 4.0], [4.0, 0.0]]
    """
    low, high = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
    black, white = _range(x)
    span = np.where(high > low, high - low, 1)
    return np.where(high > low, black + (x - low) / span * (white - black), x)


def brightness(x: np.ndarray, strength: float) -> np.ndarray:
    """Multiply the distance of every number from black by a factor from 0.1 to 1.9.

    The result stays between black and white.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1: the factor is 1 + 0.9 strength.

    Returns
    -------
    array (N, H, W, C)
        The darker or brighter images.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import brightness
    >>> x = np.array([0.0, 1.0, 4.0]).reshape(1, 1, 3, 1)
    >>> brightness(x, 1).ravel().round(3).tolist()
    [0.0, 1.9, 4.0]
    """
    return _blend(x, _range(x)[0], strength)


def contrast(x: np.ndarray, strength: float) -> np.ndarray:
    """Multiply the distance of every number from the mean of its image by a factor from 0.1 to 1.9.

    The result stays between black and white.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1: the factor is 1 + 0.9 strength.

    Returns
    -------
    array (N, H, W, C)
        The images with less or more contrast.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import contrast
    >>> x = np.array([0.0, 1.0, 5.0]).reshape(1, 1, 3, 1)  # the mean is 2
    >>> contrast(x, -1).ravel().round(3).tolist()
    [1.8, 1.9, 2.3]
    """
    return _blend(x, x.mean((1, 2, 3), keepdims=True, dtype=np.float64), strength)


def colour(x: np.ndarray, strength: float) -> np.ndarray:
    """Multiply the distance of every number from grey by a factor from 0.1 to 1.9.

    Grey is the mean of a pixel over its channels.  The result stays between black and white.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1: the factor is 1 + 0.9 strength.

    Returns
    -------
    array (N, H, W, C)
        The images with weaker or stronger colours.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import colour
    >>> x = np.array([0.0, 1.0, 5.0]).reshape(1, 1, 1, 3)  # one pixel, whose grey is 2
    >>> colour(x, -1).ravel().round(3).tolist()
    [1.8, 1.9, 2.3]
    """
    return _blend(x, x.mean(3, keepdims=True, dtype=np.float64), strength)


def sharpness(x: np.ndarray, strength: float) -> np.ndarray:
    """Multiply the distance of every number from a local mean by a factor from 0.1 to 1.9.

    The local mean is that of the 3 x 3 pixels around it.  The result stays between black and white.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1: the factor is 1 + 0.9 strength.

    Returns
    -------
    array (N, H, W, C)
        The images, blurred or sharpened.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import sharpness
    >>> x = np.zeros((1, 3, 3, 1))
    >>> x[0, 1, 1, 0] = 9
    >>> round(float(sharpness(x, -1)[0, 1, 1, 0]), 3)  # 1 + 0.1 (9 - 1)
    1.8
    """
    framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge").astype(np.float64)
    rows = framed[:, :-2] + framed[:, 1:-1] + framed[:, 2:]
    return _blend(x, (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9, strength)


def posterize(x: np.ndarray, strength: float) -> np.ndarray:
    """Round every number down to one of a few levels between black and white.

    There are 256 levels at strength 0, and 16 at strength 1.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1; its sign changes nothing.

    Returns
    -------
    array (N, H, W, C)
        The images with fewer levels.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import posterize
    >>> x = np.linspace(0, 1, 400).reshape(1, 20, 20, 1)
    >>> len(np.unique(posterize(x, 1)))
    16
    """
    black, white = _range(x)
    levels = 2.0 ** (8 - round(4 * abs(strength)))
    span = np.where(white > black, white - black, 1)
    # without the minimum, white alone would be one more level
    level = np.minimum(np.floor((x - black) / span * levels), levels - 1)
    lower_end: np.ndarray = black + level / levels * span
    return lower_end


def solarize(x: np.ndarray, strength: float) -> np.ndarray:
    """Invert the numbers that are brighter than a threshold.

    At strength 0 the threshold is white, so that nothing changes.  At strength 1 it is black.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1; its sign changes nothing.

    Returns
    -------
    array (N, H, W, C)
        The images with inverted bright parts.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import solarize
    >>> x = np.array([0.0, 1.0, 3.0, 4.0]).reshape(1, 1, 4, 1)
    >>> solarize(x, 0.5).ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    black, white = _range(x)
    threshold = white - abs(strength) * (white - black)
    return np.where(x > threshold, black + white - x, x)


def rotate(x: np.ndarray, strength: float) -> np.ndarray:
    """Turn the images around their middle by up to 30 degrees.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1: the angle is 30 degrees times the strength.

    Returns
    -------
    array (N, H, W, C)
        The turned images.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import rotate
    >>> x = np.zeros((1, 3, 3, 1))
    >>> x[0, 1, 1, 0] = 1
    >>> float(rotate(x, 1)[0, 1, 1, 0])  # the pixel in the middle stays
    1.0
    """
    cos, sin = np.cos(strength * np.pi / 6), np.sin(strength * np.pi / 6)
    return _affine(x, ((cos, sin), (-sin, cos)))


def shear_x(x: np.ndarray, strength: float) -> np.ndarray:
    """Shift every row by up to 0.3 times its distance from the middle row.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1: the factor is 0.3 times the strength.

    Returns
    -------
    array (N, H, W, C)
        The sheared images.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import shear_x
    >>> x = np.random.default_rng(0).random((1, 3, 5, 1))
    >>> sheared = shear_x(x, 1)
    >>> [bool(np.allclose(sheared[0, row], x[0, row])) for row in range(3)]
    [False, True, False]
    """
    return _affine(x, ((1, 0), (0.3 * strength, 1)))


def shear_y(x: np.ndarray, strength: float) -> np.ndarray:
    """Shift every column by up to 0.3 times its distance from the middle column.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1: the factor is 0.3 times the strength.

    Returns
    -------
    array (N, H, W, C)
        The sheared images.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import shear_y
    >>> x = np.random.default_rng(0).random((1, 5, 3, 1))
    >>> sheared = shear_y(x, 1)
    >>> [bool(np.allclose(sheared[0, :, column], x[0, :, column])) for column in range(3)]
    [False, True, False]
    """
    return _affine(x, ((1, 0.3 * strength), (0, 1)))


def translate_x(x: np.ndarray, strength: float) -> np.ndarray:
    """Shift the images sideways by up to 0.3 of their width.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1: the shift is 0.3 W times the strength, in pixels.  A positive shift goes to the right.

    Returns
    -------
    array (N, H, W, C)
        The shifted images.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import translate_x
    >>> x = np.arange(1.0, 11).reshape(1, 1, 10, 1)
    >>> translate_x(x, 1).ravel().round(3).tolist()
    [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    """
    return _affine(x, ((1, 0), (0, 1)), (0, 0.3 * strength * x.shape[2]))


def translate_y(x: np.ndarray, strength: float) -> np.ndarray:
    """Shift the images up or down by up to 0.3 of their height.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    strength : float
        From -1 to 1: the shift is 0.3 H times the strength, in pixels.  A positive shift goes down.

    Returns
    -------
    array (N, H, W, C)
        The shifted images.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import translate_y
    >>> x = np.arange(1.0, 11).reshape(1, 10, 1, 1)
    >>> translate_y(x, -1).ravel().round(3).tolist()
    [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 0.0, 0.0, 0.0]
    """
    return _affine(x, ((1, 0), (0, 1)), (0.3 * strength * x.shape[1], 0))


Operation = Callable[[np.ndarray, float], np.ndarray]
OPERATIONS: tuple[Operation, ...] = (
    identity, autocontrast, brightness, contrast, colour, sharpness, posterize, solarize,
    rotate, shear_x, shear_y, translate_x, translate_y,
)


def randaugment(rng: np.random.Generator, x: np.ndarray, n: int = 2, m: int = 9) -> np.ndarray:
    """Change each image by n random operations of magnitude m.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of the random numbers: operations and directions are drawn for each image.
    x : array (N, H, W, C), floating-point
        Standardised images.
    n : int, optional
        The number of operations, from 0 to the length of OPERATIONS, 13.
    m : int, optional
        The magnitude, from 0 to 30.  The strength of an operation is m / 30 or -m / 30.

    Returns
    -------
    array (N, H, W, C)
        The changed images, of the dtype of x.

    Raises
    ------
    InputError
        If x is not a batch of images in floating point, or if n or m is out of range.

    Notes
    -----
    Source: Cubuk, Zoph, Shlens, Le 2020, "RandAugment".  The head of this module lists the deviations.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data.randaugment import randaugment
    >>> x = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype(np.float32)
    >>> changed = randaugment(np.random.default_rng(1), x, n=2, m=9)
    >>> changed.shape, str(changed.dtype), bool(np.array_equal(randaugment(np.random.default_rng(1), x, n=0), x))
    ((4, 8, 8, 3), 'float32', True)
    """
    if np.ndim(x) != 4 or x.dtype.kind != "f":
        raise InputError("randaugment works on standardised images (N, H, W, C), got an array of shape "
                         f"{np.shape(x)} and type {np.asarray(x).dtype}")
    n = integer("the number of operations of randaugment", n, 0, len(OPERATIONS))
    m = integer("the magnitude of randaugment", m, 0, STRONGEST)
    out = x.copy()
    for _ in range(n):
        which = rng.integers(0, len(OPERATIONS), len(x))
        directions = rng.choice((-1, 1), len(x))
        # images that share an operation and a direction are changed together
        for i, operation in enumerate(OPERATIONS):
            for direction in (-1, 1):
                rows = np.flatnonzero((which == i) & (directions == direction))
                if len(rows):
                    out[rows] = operation(out[rows], direction * m / STRONGEST)
    return out


def _range(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest number of each image, black and white, as arrays (N, 1, 1, 1)."""
    return x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)


def _blend(x: np.ndarray, other: np.ndarray, strength: float) -> np.ndarray:
    """Multiply the distance of x from `other` by 1 + 0.9 strength, and clip the result to black and white."""
    blended: np.ndarray = np.clip(other + (x - other) * (1 + 0.9 * strength), *_range(x))
    return blended


def _affine(x: np.ndarray, matrix: tuple[tuple[float, float], tuple[float, float]],
            shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Images whose pixel p is the pixel matrix @ p - shift of x; p is (row, column), counted from the middle."""
    _, height, width, _ = x.shape
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    row, column = np.arange(height)[:, None] - middle_row, np.arange(width) - middle_column
    from_row = matrix[0][0] * row + matrix[0][1] * column + (middle_row - shift[0])
    from_column = matrix[1][0] * row + matrix[1][1] * column + (middle_column - shift[1])
    top, left = np.floor(from_row).astype(int), np.floor(from_column).astype(int)
    down, right = (from_row - top)[..., None], (from_column - left)[..., None]
    framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def at(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        # a place outside the image reads the zeros of the frame
        pixels: np.ndarray = framed[:, np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)]
        return pixels

    upper = (1 - right) * at(top, left) + right * at(top, left + 1)
    lower = (1 - right) * at(top + 1, left) + right * at(top + 1, left + 1)
    interpolated: np.ndarray = (1 - down) * upper + down * lower
    return interpolated
