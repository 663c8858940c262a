"""Trees: nested lists, tuples and dicts of arrays, owned by whoever made them.

None stands for a subtree without arrays: a layer without parameters, a gradient that a rule does not give.
"""
from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .errors import InputError, brief
from .files import atomic, npz

Tree = Any  # list, tuple or dict of Tree; an array; or None


def _children(tree: Tree) -> list[tuple[Any, Tree]] | None:
    """(key, child) pairs of a node, None of a leaf."""
    if isinstance(tree, dict):
        return list(tree.items())
    if isinstance(tree, list | tuple):
        return list(enumerate(tree))
    return None


def tree_map(f: Callable[..., Any], tree: Tree, *trees: Tree) -> Tree:
    """The tree of f(leaf, *leaves at the same place).

    Raises ValueError, naming the path, where the trees differ in structure.
    """
    for other in trees:
        same_structure(tree, other)
    return _map(f, tree, *trees)


def _map(f: Callable[..., Any], tree: Tree, *trees: Tree) -> Tree:
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {key: _map(f, child, *(t[key] for t in trees)) for key, child in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_map(f, *children) for children in zip(tree, *trees, strict=True))
    return f(tree, *trees)


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, array) of every leaf, in order; the path joins keys and indices by '/'."""
    children = _children(tree)
    if children is not None:
        for key, child in children:
            yield from leaves(child, f"{path}/{key}" if path else str(key))
    elif tree is not None:
        yield path, tree


def nodes(tree: Tree) -> Iterator[tuple[Tree, Any, Tree]]:
    """(parent, key, child) of everything in a tree but itself."""
    for key, child in _children(tree) or ():
        yield tree, key, child
        yield from nodes(child)


def same_structure(a: Tree, b: Tree, path: str = "") -> None:
    """Raises ValueError, naming the path, where two trees differ in anything but their arrays."""
    here = path or "the root"
    below_a, below_b = _children(a), _children(b)
    nodes = below_a is not None or below_b is not None
    if (nodes and type(a) is not type(b)) or (a is None) != (b is None):
        raise ValueError(f"trees differ at {here}: {_kind(a)} against {_kind(b)}")
    if below_a is None or below_b is None:
        return
    keys_a, keys_b = [key for key, _ in below_a], [key for key, _ in below_b]
    if keys_a != keys_b:
        raise ValueError(f"trees differ at {here}: keys {keys_a} against {keys_b}")
    for (key, child_a), (_, child_b) in zip(below_a, below_b, strict=True):
        same_structure(child_a, child_b, f"{path}/{key}" if path else str(key))


def same_shapes(a: Tree, b: Tree) -> None:
    """Raises ValueError, naming the path, if two trees differ in structure, or their arrays in shape."""
    same_structure(a, b)
    for (path, u), (_, v) in zip(leaves(a), leaves(b), strict=True):
        if np.shape(u) != np.shape(v):
            raise ValueError(f"trees differ at {path or 'the root'}: shape {np.shape(u)} against {np.shape(v)}")


def _kind(tree: Tree) -> str:
    return "nothing" if tree is None else type(tree).__name__


def _outline(tree: Tree) -> Any:
    """The tree as JSON can hold it: each node tagged with its kind, each leaf with True.

    Raises InputError for what would be read back as something else.
    """
    if isinstance(tree, dict | list | tuple) and type(tree) not in (dict, list, tuple):
        raise InputError(f"a saved tree is made of dicts, lists and tuples, got {type(tree).__name__}")
    if isinstance(tree, dict):
        wrong = [key for key in tree if not isinstance(key, str)]
        if wrong:
            raise InputError(f"the keys of a saved tree are texts, got {brief(wrong[0])}")
        return {"dict": {key: _outline(child) for key, child in tree.items()}}
    if isinstance(tree, list | tuple):
        return {type(tree).__name__: [_outline(child) for child in tree]}
    return tree is not None


def _fill(outline: Any, arrays: Iterator[Any]) -> Tree:
    if isinstance(outline, bool):
        return next(arrays) if outline else None
    (kind, below), = outline.items()
    if kind == "dict":
        return {key: _fill(child, arrays) for key, child in below.items()}
    return {"list": list, "tuple": tuple}[kind](_fill(child, arrays) for child in below)


def save(path: str | os.PathLike[str], tree: Tree) -> None:
    """Write a tree of NumPy arrays to an .npz file, all of it or nothing.

    Raises InputError for a tree that would be read back as another one: with keys that are no texts, with kinds of
    node other than dict, list and tuple, with masked arrays, and with Python objects, which only pickle could write.
    """
    outline, arrays = json.dumps(_outline(tree)), []
    for place, leaf in leaves(tree):
        if not isinstance(leaf, np.ndarray | np.generic | bool | int | float | complex) or np.ma.isMaskedArray(leaf) \
                or np.asarray(leaf).dtype.hasobject:
            raise InputError(f"a saved tree holds NumPy arrays of numbers, got {brief(leaf)} at {place or 'the root'}")
        arrays.append(np.asarray(leaf))
    with atomic(path) as partial, open(partial, "wb") as file:
        np.savez(file, outline=np.array(outline),
                 **{f"{i}": array for i, array in enumerate(arrays)})  # type: ignore[arg-type]


def load(path: str | os.PathLike[str]) -> Tree:
    """Read what `save` wrote.

    Raises InputError where the file is missing or is no such file.
    """
    try:
        file = npz(path)
        arrays = iter([file[f"{i}"] for i in range(len(file) - 1)])
        tree = _fill(json.loads(str(file["outline"])), arrays)
        if next(arrays, None) is not None:
            raise ValueError("more arrays than its outline has places for")
        return tree
    except Exception as error:  # files of other kinds fail in as many ways as there are kinds
        came = " ".join(str(error).split())[:200] or type(error).__name__  # NumPy says some things in five lines
        raise InputError(f"{path}: expected a tree saved by nobackprop, got: {came}") from None
