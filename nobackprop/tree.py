"""Trees: nested lists, tuples and dicts of arrays, such as the parameters of a network, and what is done with them.

An array in a tree is a *leaf*.  Its *path* joins the keys and indices that lead to it by '/': "0/W" is params[0]["W"].
None stands for a subtree without arrays: a layer without parameters, or a gradient that a rule does not give.
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
NODES = (dict, list, tuple)  # a tuple, as Python would make a union of types anew at every question


def _children(tree: Tree) -> list[tuple[Any, Tree]] | None:
    """Return the (key, child) pairs of a node, and None for a leaf."""
    if isinstance(tree, dict):
        return list(tree.items())
    if isinstance(tree, list | tuple):
        return list(enumerate(tree))
    return None


def tree_map(f: Callable[..., Any], tree: Tree, *trees: Tree) -> Tree:
    """Return the tree of what f makes of every leaf.

    Parameters
    ----------
    f : callable
        f(leaf, *others), with the leaves at the same place of the other trees.
    tree : tree
    *trees : tree
        Other trees, of the same structure.

    Returns
    -------
    tree
        Of the same structure.

    Raises
    ------
    ValueError
        If the trees differ in structure; the message names the path.

    Examples
    --------
    >>> tree_map(lambda u, v: u + v, [1, {"W": 2}, None], [10, {"W": 20}, None])
    [11, {'W': 22}, None]
    """
    for other in trees:
        same_structure(tree, other)
    return _map(f, tree, *trees)


def _map(f: Callable[..., Any], tree: Tree, *trees: Tree) -> Tree:
    """Do what `tree_map` does, with trees that are known to have one structure."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {key: _map(f, child, *(t[key] for t in trees)) for key, child in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_map(f, *children) for children in zip(tree, *trees, strict=True))
    return f(tree, *trees)


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a tree with its path, in order.

    Parameters
    ----------
    tree : tree
    path : str
        The path of the tree itself, if it is a part of a larger one.

    Yields
    ------
    path : str
        Keys and indices, joined by '/'.
    leaf : array

    Examples
    --------
    >>> list(leaves([{"W": 1, "b": 2}, None, (3,)]))
    [('0/W', 1), ('0/b', 2), ('2/0', 3)]
    """
    found: list[tuple[str, Any]] = []
    _gather(tree, path, found)
    return iter(found)


def _gather(tree: Tree, path: str, found: list[tuple[str, Any]]) -> None:
    """Append to a list what `leaves` yields: generators inside of generators cost small networks 5 % of a step.

    So do lists of children, as `_children` makes them, and a call for every leaf.
    """
    if not isinstance(tree, NODES):
        if tree is not None:
            found.append((path, tree))
        return
    for key, child in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if child is not None:
            below = f"{path}/{key}" if path else str(key)
            if isinstance(child, NODES):
                _gather(child, below, found)
            else:
                found.append((below, child))


def nodes(tree: Tree) -> Iterator[tuple[Tree, Any, Tree]]:
    """Yield everything in a tree but the tree itself, nodes and leaves.

    Parameters
    ----------
    tree : tree

    Yields
    ------
    parent : tree
        A node: a list, a tuple or a dict.
    key : int or str
        Where the child stands in it.
    child : tree
        parent[key].

    Examples
    --------
    >>> [(key, child) for parent, key, child in nodes([{"W": 1}, None])]
    [(0, {'W': 1}), ('W', 1), (1, None)]
    """
    for key, child in _children(tree) or ():
        yield tree, key, child
        yield from nodes(child)


def same_structure(a: Tree, b: Tree, path: str = "") -> None:
    """Raise ValueError if two trees differ in anything but their arrays.

    Parameters
    ----------
    a, b : tree
    path : str
        The path of the trees themselves, if they are parts of larger ones.

    Raises
    ------
    ValueError
        If they differ; the message names the path.

    Examples
    --------
    >>> same_structure([1, {"W": 2}], [3, {"W": 4}])
    >>> same_structure([1, {"W": 2}], [3, {"V": 4}])
    Traceback (most recent call last):
    ValueError: trees differ at 1: keys ['W'] against ['V']
    """
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
    """Raise ValueError if two trees differ in structure, or if their arrays differ in shape.

    Parameters
    ----------
    a, b : tree

    Raises
    ------
    ValueError
        If they differ; the message names the path.

    Examples
    --------
    >>> import numpy as np
    >>> same_shapes([np.ones(2)], [np.ones(3)])
    Traceback (most recent call last):
    ValueError: trees differ at 0: shape (2,) against (3,)
    """
    same_structure(a, b)
    for (path, u), (_, v) in zip(leaves(a), leaves(b), strict=True):
        if np.shape(u) != np.shape(v):
            raise ValueError(f"trees differ at {path or 'the root'}: shape {np.shape(u)} against {np.shape(v)}")


def _kind(tree: Tree) -> str:
    """Return what a message calls the type of a tree."""
    return "nothing" if tree is None else type(tree).__name__


def outline(tree: Tree) -> Any:
    """Return a tree's structure as JSON can hold it: each node with the name of its type, True for each leaf.

    Parameters
    ----------
    tree : tree

    Returns
    -------
    dict, bool
        `fill` makes a tree of it again.

    Raises
    ------
    InputError
        If the tree would be read back as another one.

    Examples
    --------
    >>> outline([{"W": 1.0}, None])
    {'list': [{'dict': {'W': True}}, False]}
    """
    if isinstance(tree, dict | list | tuple) and type(tree) not in (dict, list, tuple):
        raise InputError(f"a saved tree is made of dicts, lists and tuples, got {type(tree).__name__}")
    if isinstance(tree, dict):
        wrong = [key for key in tree if not isinstance(key, str)]
        if wrong:
            raise InputError(f"the keys of a saved tree are texts, got {brief(wrong[0])}")
        return {"dict": {key: outline(child) for key, child in tree.items()}}
    if isinstance(tree, list | tuple):
        return {type(tree).__name__: [outline(child) for child in tree]}
    return tree is not None


def fill(form: Any, arrays: Iterator[Any]) -> Tree:
    """Return the tree that an outline is one of, with these arrays as its leaves.

    Parameters
    ----------
    form : dict, bool
        What `outline` gave.
    arrays : iterator
        The leaves, in the order of `leaves`.

    Returns
    -------
    tree

    Examples
    --------
    >>> fill({"list": [{"dict": {"W": True}}, False]}, iter([1.0]))
    [{'W': 1.0}, None]
    """
    if isinstance(form, bool):
        return next(arrays) if form else None
    (kind, below), = form.items()
    if kind == "dict":
        return {key: fill(child, arrays) for key, child in below.items()}
    return {"list": list, "tuple": tuple}[kind](fill(child, arrays) for child in below)


def save(path: str | os.PathLike[str], tree: Tree) -> None:
    """Write a tree of NumPy arrays to an .npz file, all of it or nothing.

    Parameters
    ----------
    path : path
        The file.
    tree : tree of numpy.ndarray
        Its leaves may be numbers too.

    Raises
    ------
    InputError
        If the tree would be read back as another one: if a key is no text, if a node is neither a dict nor a list nor a
        tuple, if an array is masked, or if it holds Python objects, which only pickle could write.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/tree.npz", [{"W": np.ones(2)}, None])
    ...     load(f"{folder}/tree.npz")
    [{'W': array([1., 1.])}, None]
    """
    form, arrays = json.dumps(outline(tree)), []
    for place, leaf in leaves(tree):
        if not isinstance(leaf, np.ndarray | np.generic | bool | int | float | complex) or np.ma.isMaskedArray(leaf) \
                or np.asarray(leaf).dtype.hasobject:
            raise InputError(f"a saved tree holds NumPy arrays of numbers, got {brief(leaf)} at {place or 'the root'}")
        arrays.append(np.asarray(leaf))
    with atomic(path) as partial, partial.open("wb") as file:
        np.savez(file, outline=np.array(form),
                 **{f"{i}": array for i, array in enumerate(arrays)})  # type: ignore[arg-type]  # none is allow_pickle


def load(path: str | os.PathLike[str]) -> Tree:
    """Read a tree that `save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    tree of numpy.ndarray

    Raises
    ------
    InputError
        If the file is missing, or if it holds no tree that `save` wrote.

    Examples
    --------
    >>> load("no-such-file.npz")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nobackprop.errors.InputError: no-such-file.npz: expected a tree saved by nobackprop, got: ...
    """
    try:
        file = npz(path)
        arrays = iter([file[f"{i}"] for i in range(len(file) - 1)])
        tree = fill(json.loads(str(file["outline"])), arrays)
        if next(arrays, None) is not None:
            raise ValueError("more arrays than its outline has places for")
        return tree
    except Exception as error:  # files of other kinds fail in as many ways as there are kinds
        came = " ".join(str(error).split())[:200] or type(error).__name__  # NumPy says some things in five lines
        raise InputError(f"{path}: expected a tree saved by nobackprop, got: {came}") from None
