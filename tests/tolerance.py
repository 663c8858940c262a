"""The one tolerance of the numeric tests: relative to what could have been rounded, never to an entry that may cancel.

A sum of numbers of size s is rounded by about eps * s, however small the sum itself comes out.  So an array is compared
on the scale of the largest number that was added up on the way to it, and not entry by entry: 4e-6 that stands beside
5e-2 in one product of matrices may be off by as much as 5e-2 may.  Other processors, other BLAS libraries and other
numbers of threads add up in other orders; all of them stay within this bound.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from nobackprop.backend import to_numpy
from nobackprop.tree import Tree, leaves, same_structure, tree_map

SLACK = 2.0**12  # roundings: 9.1e-13 of the scale in float64, 4.9e-4 in float32


def size(*trees: Tree) -> float:
    """The largest absolute value in these numbers, arrays or trees of arrays; 0 where there is none."""
    return max((float(np.abs(array).max()) for tree in trees for array in map(_array, _all(tree)) if array.size),
               default=0.0)


def bound(found: Tree, expected: Tree, of: Any = (), slack: float = SLACK) -> float:
    """The largest difference that rounding explains: slack * eps * scale.

    eps is that of the coarsest floating type among the two.  The scale is the largest absolute value in `expected` and
    in `of`, which holds whatever was added up on the way where the result may cancel: a number, an array, a tree.
    """
    kinds = [array.dtype for tree in (found, expected) for array in map(_array, _all(tree))]
    floats = [kind for kind in kinds if kind.kind in "fc"] or [np.dtype("float64")]
    return slack * max(float(np.finfo(kind).eps) for kind in floats) * size(expected, of)


def assert_close(found: Tree, expected: Tree, of: Any = (), slack: float = SLACK, message: str = "") -> None:
    """Fails where two numbers, arrays or trees differ by more than rounding explains, or in shape or structure.

    Trees are compared leaf by leaf, each leaf on its own scale; see `bound` for `of` and `slack`.  A NaN equals
    nothing, and an infinity equals itself alone.
    """
    same_structure(expected, found)
    for (path, u), (_, v) in zip(leaves(found), leaves(expected), strict=True):
        u, v = _array(u), _array(v)
        where = f"{message} {path}".strip()
        assert u.shape == v.shape, f"{where}: shape {u.shape}, expected {v.shape}"
        limit = bound(u, v[np.isfinite(v)], of, slack)
        with np.errstate(invalid="ignore"):
            off = np.where(u == v, 0.0, np.abs(u - v))
        if not (off <= limit).all():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape)
            raise AssertionError(f"{where}: {u[worst]!r} at {tuple(map(int, worst))}, expected {v[worst]!r}: off by "
                                 f"{off[worst]:.3g}, rounding explains {limit:.3g}")


def assert_zero(found: Tree, of: Any, slack: float = SLACK, message: str = "") -> None:
    """Fails where an array or a tree holds more than what rounding leaves of `of`, which cancelled."""
    assert_close(found, tree_map(lambda array: np.zeros_like(_array(array)), found), of, slack, message)


def _all(tree: Tree) -> list[Any]:
    return [array for _, array in leaves(tree)]


def _array(array: Any) -> np.ndarray:
    return np.asarray(array if np.isscalar(array) else to_numpy(array))
