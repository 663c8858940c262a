"""Files that hold what was learnt: trees of arrays, and a header of JSON that says what they are.

A file is of the format *safetensors*, which other libraries read, too: arrays by name, and texts about them.  Here the
name of an array is its tree's name and its path, such as "params/0/1/W".  The texts are the header, and a checksum of
the header and of all arrays.  So a damaged or edited file is noticed before anything of it is used.  No pickle is
involved: reading a file runs no code of the file's.
"""
from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import InputError, brief
from .files import named, writing
from .tree import Tree, fill, leaves, outline

FORMAT = 1
DTYPES = ("float32", "float64")  # of the arrays; safetensors knows others too, but nothing here trains in them
LARGEST = 2**24  # letters of a header


def write(path: str | os.PathLike[str], kind: str, header: Mapping[str, Any], trees: Mapping[str, Tree]) -> None:
    """Write trees of arrays and a header to one file, all of it or nothing.

    Parameters
    ----------
    path : path
        The file; what was there is replaced.
    kind : str
        What the file is, such as "checkpoint"; `read` asks for it.
    header : mapping
        What else is to be kept: dicts with texts as keys, lists, texts, finite numbers, True, False and None.
    trees : mapping of str to tree
        The trees by name; their leaves are NumPy arrays of float32 or float64.

    Raises
    ------
    InputError
        If the file cannot be written, or if a tree or the header would be read back as another one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.safetensors", "example", {"epoch": 3}, {"params": [{"W": np.ones(2)}, None]})
    ...     read(f"{folder}/a.safetensors", "example")
    ({'epoch': 3}, {'params': [{'W': array([1., 1.])}, None]})
    """
    from safetensors.numpy import save  # imported here, as prediction and training do not need it

    arrays: dict[str, np.ndarray] = {}
    for name, tree in trees.items():
        for place, leaf in leaves(tree):
            at = f"{name}/{place}" if place else name
            if type(leaf) is not np.ndarray or leaf.dtype.name not in DTYPES:
                raise InputError(f"a saved tree holds NumPy arrays of {' or '.join(DTYPES)}, got {brief(leaf)} at {at}")
            if at in arrays:
                raise InputError(f"two arrays of a saved tree have the name {at}")
            arrays[at] = np.asarray(leaf, order="C")
    form = {name: outline(tree) for name, tree in trees.items()}
    try:
        text = json.dumps({"format": FORMAT, "kind": kind, "trees": form, "header": header}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the header of this {kind} cannot be written: {error}") from None
    with writing(path) as partial:
        partial.write_bytes(save(arrays, {"nobackprop": text, "sha256": _checksum(text, arrays)}))


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Tree]]:
    """Read what `write` wrote.

    Parameters
    ----------
    path : path
        The file.
    kind : str
        What it must be.

    Returns
    -------
    header : dict
    trees : dict of str to tree
        New arrays, which can be written to.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, is no file of this library, or is of another kind or a newer format.

    Examples
    --------
    >>> read("no-such-file", "checkpoint")
    Traceback (most recent call last):
    nobackprop.errors.InputError: cannot read no-such-file (No such file or directory): expected a checkpoint
    """
    from safetensors import SafetensorError, safe_open

    path = named(path)
    try:
        with open(path, "rb"):  # noqa: PTH123  so that the sentence is the system's own; of a folder, too
            pass
        # what arrays and header claim is compared with the file's size by safetensors, before anything is allocated
        with safe_open(path, framework="np") as file:
            texts = file.metadata() or {}
            text, checksum = texts.get("nobackprop"), texts.get("sha256")
            if text is None or checksum is None or len(text) > LARGEST:
                raise InputError(f"{path} was not written by nobackprop, expected a {kind}")
            about = json.loads(text)
            if about["format"] != FORMAT:
                raise InputError(f"{path} is of format {about['format']}, expected {FORMAT}: "
                                 "another version of nobackprop wrote it")
            if about["kind"] != kind:
                raise InputError(f"{path} is a {about['kind']}, expected a {kind}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dict
        if checksum != _checksum(text, arrays):
            raise InputError(f"{path} is damaged or was edited: its checksum is another one")
        trees, used = {}, 0
        for name, form in about["trees"].items():
            paths = [place for place, _ in leaves(fill(form, iter(lambda: 0, 1)))]
            trees[name] = fill(form, (arrays[f"{name}/{place}" if place else name] for place in paths))
            used += len(paths)
        if used != len(arrays):
            raise InputError(f"{path} holds {len(arrays)} arrays, expected the {used} that its header names")
        return about["header"], trees
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror or error}): expected a {kind}") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        came = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"cannot read {path}: expected a {kind}, got: {came}") from None


def _checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of a header and of all arrays, with their names, types and shapes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.reshape(math.prod(array.shape)).data)
    return digest.hexdigest()
