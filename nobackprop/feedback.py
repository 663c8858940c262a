"""Whose weights carry the error down: trees of feedback weights, and how they are drawn.

Every B has the shape of the forward map that it stands for, and is used through the same kernels as W.
"""
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .backend import Array
from .tree import Tree, tree_map

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


def weights(params: Tree) -> Tree:
    """The tree of the `W` leaves alone: what can be transported."""
    if isinstance(params, dict):
        below = {key: child if key == "W" else weights(child) for key, child in params.items()
                 if key == "W" or isinstance(child, dict | list | tuple)}
        return below or None
    if isinstance(params, list | tuple):
        return type(params)(weights(child) for child in params)
    return None


def with_feedback(params: Tree, B: Tree) -> Tree:
    """`params` with its `W` leaves replaced by those of B; all other leaves are shared, not copied.

    A None in B leaves what stands there.
    """
    if B is None:
        return params
    if isinstance(params, dict):
        return params | {key: b if key == "W" else with_feedback(params[key], b) for key, b in B.items()}
    return type(params)(with_feedback(p, b) for p, b in zip(params, B, strict=True))


def draw_like(rng: np.random.Generator, params: Tree, draw: Draw) -> Tree:
    """A tree of feedback weights for the whole network: one drawn array for every `W`."""
    return tree_map(lambda W: draw(rng, W.shape), weights(params))


def gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """N(0, 1 / fan-in), the fan-in being that of the forward map: what a W of this shape might start as."""
    return rng.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
