"""What stands on the two sides of a synapse: whose weights carry the error down, and which activity meets it.

Every B has the shape of the forward map that it stands for, and is used through the same kernels as W.
"""
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .backend import Array
from .errors import InputError
from .leaf_names import TRANSPORTED
from .tree import Tree, leaves, tree_map

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


def weights(params: Tree) -> Tree:
    """The tree of the `W` leaves alone: what can be transported."""
    if isinstance(params, dict):
        below = {key: child if key in TRANSPORTED else weights(child) for key, child in params.items()
                 if key in TRANSPORTED or isinstance(child, dict | list | tuple)}
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
        return params | {key: b if key in TRANSPORTED else with_feedback(params[key], b) for key, b in B.items()}
    return type(params)(with_feedback(p, b) for p, b in zip(params, B, strict=True))


def draw_like(rng: np.random.Generator, params: Tree, draw: Draw) -> Tree:
    """A tree of feedback weights for the whole network: one drawn array for every `W`."""
    return tree_map(lambda W: draw(rng, W.shape), weights(params))


def gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """N(0, 1 / fan-in), the fan-in being that of the forward map: what a W of this shape might start as."""
    return rng.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))


def uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Uniform around 0, of the variance 1 / fan-in."""
    bound = math.sqrt(3 / math.prod(shape[1:]))
    return rng.uniform(-bound, bound, shape)


def binary(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Signs, of one magnitude 1 / sqrt(fan-in): a bit a synapse.  BDFA, Han and Yoo 2019."""
    return rng.choice((-1.0, 1.0), shape) / math.sqrt(math.prod(shape[1:]))


def sparse(rng: np.random.Generator, shape: tuple[int, ...], fan_out: int = 1) -> Array:
    """Each unit hears `fan_out` of the outputs, drawn at random, through weights N(0, C / (fan_out fan-in)).

    SDFA, Crafton et al. 2019.
    """
    heard = np.argsort(rng.random(shape), axis=0) < fan_out
    return gaussian(rng, shape) * heard * math.sqrt(shape[0] / fan_out)


def low_rank(rng: np.random.Generator, shape: tuple[int, ...], rank: int = 2) -> Array:
    """A product of two gaussian factors, of the variance 1 / fan-in.  Of rank `rank`, or the least side."""
    rank = min(rank, *shape)
    left, right = rng.standard_normal((shape[0], rank)), rng.standard_normal((rank, math.prod(shape[1:])))
    return (left @ right).reshape(shape) / math.sqrt(rank * math.prod(shape[1:]))


def products(params: Tree) -> list[Array]:
    """W_L ... W_{i+1} for every hidden block i, (C, F): the direct path of a linear network.

    LAS paper, section III-D: as the start value of B, identity-like.  Raises InputError where a block is
    anything but one dense layer.
    """
    W = [[w for _, w in leaves(block)] for block in weights(params)]
    if any(len(w) != 1 for w in W) or any(low[0].shape[0] != up[0].shape[1] for low, up in zip(W, W[1:])):
        raise InputError("the product of the weights above needs one dense layer a block, got weights of shapes "
                         f"{[[w.shape for w in block] for block in W]}")
    P = [W[-1][0]]
    for w, in reversed(W[1:-1]):
        P.insert(0, P[0] @ w)
    return P[:len(W) - 1]
