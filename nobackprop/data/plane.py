"""Classes of points in the plane, small enough to be learnt while one looks on: circles, spirals, and the XOR of signs.

All numbers come from a seed.  A network of two inputs learns them, so its answers can be drawn as a map of the plane.
"""
from __future__ import annotations

import numpy as np

from ..errors import integer
from .dataset import SEEDS, Dataset, from_arrays

POINTS, HELD_OUT = 1200, 200  # of all points: validation and test part have 200 each


def circles(seed: int = 0) -> Dataset:
    """Make two classes of points, one on a circle inside the circle of the other.

    Parameters
    ----------
    seed : int
        All that is drawn at random comes from it, from 0 to 2**32 - 1.

    Returns
    -------
    Dataset
        1,200 points (N, 2) with two classes.

    Raises
    ------
    InputError
        If the seed is no such integer.

    Examples
    --------
    >>> circles()
    Dataset('circles', 800 + 200 + 200 inputs of shape (2,), 2 classes)
    """
    draw, y = _begin(seed, 2)
    radius = np.where(y == 0, 0.9, 1.9) + 0.18 * draw.standard_normal(POINTS)
    angle = draw.uniform(0, 2 * np.pi, POINTS)
    return _made("circles", radius[:, None] * _direction(angle), y, seed)


def spirals(seed: int = 0) -> Dataset:
    """Make three classes of points, each on an arm of a spiral that winds around the other two.

    Parameters
    ----------
    seed : int
        As of `circles`.

    Returns
    -------
    Dataset
        1,200 points (N, 2) with three classes.

    Raises
    ------
    InputError
        If the seed is no such integer.

    Examples
    --------
    >>> spirals()
    Dataset('spirals', 800 + 200 + 200 inputs of shape (2,), 3 classes)
    """
    draw, y = _begin(seed, 3)
    along = draw.uniform(0.15, 1, POINTS)
    points = 2.2 * along[:, None] * _direction(5 * along + 2 * np.pi * y / 3)
    return _made("spirals", points + 0.06 * draw.standard_normal((POINTS, 2)), y, seed)


def quadrants(seed: int = 0) -> Dataset:
    """Make two classes of points: those whose two coordinates have the same sign, and the others.  It is an XOR.

    Parameters
    ----------
    seed : int
        As of `circles`.

    Returns
    -------
    Dataset
        1,200 points (N, 2) with two classes.

    Raises
    ------
    InputError
        If the seed is no such integer.

    Examples
    --------
    >>> quadrants()
    Dataset('quadrants', 800 + 200 + 200 inputs of shape (2,), 2 classes)
    """
    draw, y = _begin(seed, 2)
    size = draw.uniform(0.15, 2, (POINTS, 2))
    right = np.where(draw.random(POINTS) < 0.5, -1.0, 1.0)
    return _made("quadrants", size * np.stack([right, np.where(y == 0, right, -right)], 1), y, seed)


def _begin(seed: int, classes: int) -> tuple[np.random.Generator, np.ndarray]:
    """A generator, and the classes of all points, by turns."""
    return np.random.default_rng(integer("seed", seed, 0, SEEDS - 1)), np.arange(POINTS) % classes


def _direction(angle: np.ndarray) -> np.ndarray:
    """Points (N, 2) of the unit circle."""
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def _made(name: str, x: np.ndarray, y: np.ndarray, seed: int) -> Dataset:
    """The data set of points that were drawn independently, so that any of them may be the test part."""
    return from_arrays(name, x[HELD_OUT:], y[HELD_OUT:], x[:HELD_OUT], y[:HELD_OUT], validation=HELD_OUT, seed=seed)
