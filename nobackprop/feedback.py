"""Feedback weights: trees of them, how they are drawn, and how they take the place of the forward weights.

Feedback weights B carry an error signal down in the place of the forward weights W.  Every B has the shape of the
forward map that it stands for, (outputs, inputs), and is used through the same kernels as W.

A *draw* is a function draw(rng, shape) that returns an array of feedback weights.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral

import numpy as np

from .backend import Array, a_generator
from .errors import InputError, brief, integer
from .leaf_names import TRANSPORTED
from .tree import Tree, leaves, tree_map

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


def fan_in(rng: np.random.Generator, shape: tuple[int, ...]) -> int:
    """Return the number of inputs of a map; raise InputError if it has none, or if there is nothing to draw from.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        (outputs, inputs) of the forward map.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If `rng` is no generator, or if `shape` is not that of a map.

    Examples
    --------
    >>> import numpy as np
    >>> fan_in(np.random.default_rng(0), (10, 4))
    4
    """
    a_generator(rng)
    if not isinstance(shape, tuple) or len(shape) < 2 or not all(
            isinstance(side, Integral) and not isinstance(side, bool) and side > 0 for side in shape):
        raise InputError(f"shape is {brief(shape)}, expected that of feedback weights, (outputs, inputs)")
    return math.prod(shape[1:])


def weights(params: Tree) -> Tree:
    """Return the tree of the `W` leaves alone: what can be transported.

    Parameters
    ----------
    params : tree
        Parameters.

    Returns
    -------
    tree
        The same lists and dicts with the leaves `W` only; None for a part without any.

    Examples
    --------
    >>> weights([{"W": 1, "b": 2}, None, {"gamma": 3}])
    [{'W': 1}, None, None]
    """
    if isinstance(params, dict):
        below = {key: child if key in TRANSPORTED else weights(child) for key, child in params.items()
                 if key in TRANSPORTED or isinstance(child, dict | list | tuple)}
        return below or None
    if isinstance(params, list | tuple):
        return type(params)(weights(child) for child in params)
    return None


def with_feedback(params: Tree, B: Tree) -> Tree:
    """Return the parameters with their `W` leaves replaced by those of B.

    Parameters
    ----------
    params : tree
        Parameters; they stay as they are.
    B : tree
        Feedback weights, in a tree as `weights` makes it.  A None leaves what is in that place.

    Returns
    -------
    tree
        A new tree.  All leaves but `W` are those of `params`, not copies.

    Examples
    --------
    >>> with_feedback([{"W": 1, "b": 2}, {"W": 3}], [{"W": 10}, None])
    [{'W': 10, 'b': 2}, {'W': 3}]
    """
    if B is None:
        return params
    if isinstance(params, dict):
        return params | {key: b if key in TRANSPORTED else with_feedback(params[key], b) for key, b in B.items()}
    return type(params)(with_feedback(p, b) for p, b in zip(params, B, strict=True))


def draw_like(rng: np.random.Generator, params: Tree, draw: Draw) -> Tree:
    """Draw feedback weights for a whole network: one array for every `W`.

    Parameters
    ----------
    rng : numpy.random.Generator
    params : tree
        Parameters, of which only the shapes are read.
    draw : callable
        draw(rng, shape) returns one array.

    Returns
    -------
    tree
        Feedback weights, of the structure of `weights(params)`, in float64.

    Examples
    --------
    >>> import numpy as np
    >>> B = draw_like(np.random.default_rng(0), [{"W": np.ones((3, 4)), "b": np.ones(3)}], gaussian)
    >>> list(B[0]), B[0]["W"].shape
    (['W'], (3, 4))
    """
    return tree_map(lambda W: drawn(rng, W.shape, draw), weights(params))


def drawn(rng: np.random.Generator, shape: tuple[int, ...], draw: Draw) -> Array:
    """Return draw(rng, shape); raise InputError if it is no array of that shape.

    Examples
    --------
    >>> import numpy as np
    >>> drawn(np.random.default_rng(0), (3, 4), lambda rng, shape: rng.random(5))
    Traceback (most recent call last):
    nobackprop.errors.InputError: draw returned an array of shape (5,), expected floats of shape (3, 4)
    """
    B = draw(rng, shape)
    if not isinstance(B, np.ndarray) or B.shape != shape or B.dtype.kind != "f":
        came = f"an array of shape {B.shape}" if isinstance(B, np.ndarray) and B.dtype.kind == "f" else brief(B)
        raise InputError(f"draw returned {came}, expected floats of shape {shape}")
    if not np.isfinite(B).all():
        raise InputError(f"draw returned an array with NaN or infinity, expected finite floats of shape {shape}")
    return B


def gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from N(0, 1 / fan-in); the fan-in is that of the forward map, so a W of this shape might start like this.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        (outputs, inputs) of the forward map.

    Returns
    -------
    array of `shape`, float64

    Examples
    --------
    >>> import numpy as np
    >>> bool(abs(gaussian(np.random.default_rng(0), (200, 100)).var() - 1 / 100) < 1e-3)
    True
    """
    scale = math.sqrt(fan_in(rng, shape))
    return rng.standard_normal(shape) / scale


def uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw uniformly around 0, with the variance 1 / fan-in.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        (outputs, inputs) of the forward map.

    Returns
    -------
    array of `shape`, float64

    Examples
    --------
    >>> import numpy as np
    >>> bool(abs(uniform(np.random.default_rng(0), (50, 3))).max() <= 1)
    True
    """
    bound = math.sqrt(3 / fan_in(rng, shape))
    return rng.uniform(-bound, bound, shape)


def binary(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw signs, all of the magnitude 1 / sqrt(fan-in): one bit for each synapse.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        (outputs, inputs) of the forward map.

    Returns
    -------
    array of `shape`, float64

    Notes
    -----
    Binary direct feedback alignment (BDFA), Han and Yoo 2019.

    Examples
    --------
    >>> import numpy as np
    >>> np.unique(binary(np.random.default_rng(0), (20, 4))).tolist()
    [-0.5, 0.5]
    """
    scale = math.sqrt(fan_in(rng, shape))
    return rng.choice((-1.0, 1.0), shape) / scale


def sparse(rng: np.random.Generator, shape: tuple[int, ...], fan_out: int = 1) -> Array:
    """Draw weights by which each unit hears only some of the outputs, chosen at random.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        (C outputs, inputs) of the forward map.
    fan_out : int
        The number of outputs that each unit hears, at least 1; all of them if it is more than there are.

    Returns
    -------
    array of `shape`, float64
        N(0, C / (fan_out fan-in)) where a unit hears an output, and 0 elsewhere.

    Notes
    -----
    Sparse direct feedback alignment (SDFA), Crafton et al. 2019.

    Examples
    --------
    >>> import numpy as np
    >>> np.unique((sparse(np.random.default_rng(0), (10, 4)) != 0).sum(0)).tolist()
    [1]
    """
    fan_in(rng, shape)
    fan_out = integer("fan_out", fan_out, 1)
    heard = np.argsort(rng.random(shape), axis=0) < fan_out
    return gaussian(rng, shape) * heard * math.sqrt(shape[0] / fan_out)


def low_rank(rng: np.random.Generator, shape: tuple[int, ...], rank: int = 2) -> Array:
    """Draw a matrix of low rank: a product of two gaussian factors, with the variance 1 / fan-in.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        (outputs, inputs) of the forward map.
    rank : int
        The rank of the product, at least 1; the smaller side of `shape` if that is less.

    Returns
    -------
    array of `shape`, float64

    Examples
    --------
    >>> import numpy as np
    >>> int(np.linalg.matrix_rank(low_rank(np.random.default_rng(0), (10, 8))))
    2
    """
    inputs, rank = fan_in(rng, shape), min(integer("rank", rank, 1), *shape)
    left, right = rng.standard_normal((shape[0], rank)), rng.standard_normal((rank, inputs))
    return (left @ right).reshape(shape) / math.sqrt(rank * inputs)


def products(params: Tree) -> list[Array]:
    """Return W_L ... W_{i+1} for every hidden block i: the direct paths of a linear network.

    Parameters
    ----------
    params : list
        The parameters of a chain of dense layers.

    Returns
    -------
    list of array (C, F)
        One product for each hidden block.

    Raises
    ------
    InputError
        If a block is anything but one dense layer.

    Notes
    -----
    Yang, Lee, Park 2024, section III-D.  With B at this start value, the feedback is that of backpropagation in a
    linear network.

    Examples
    --------
    >>> import numpy as np
    >>> products([{"W": np.ones((4, 5))}, {"W": 2 * np.ones((3, 4))}, {"W": np.ones((2, 3))}])[0].tolist()
    [[6.0, 6.0, 6.0, 6.0], [6.0, 6.0, 6.0, 6.0]]
    """
    W = [[w for _, w in leaves(block)] for block in weights(params) or ()]
    if not W or any(len(w) != 1 for w in W) or any(low[0].shape[0] != up[0].shape[1] for low, up in zip(W, W[1:])):
        raise InputError("the product of the weights above needs one dense layer a block, got weights of shapes "
                         f"{[[w.shape for w in block] for block in W]}")
    P = [W[-1][0]]
    for w, in reversed(W[1:-1]):
        P.insert(0, P[0] @ w)                                                      # LAS (28)-(29)
    return P[:len(W) - 1]
