"""A data set in one small file, from which it is loaded where there is no scikit-learn, as in a web page.

    stored.write(load("digits"), "folder/digits.nobackprop.npz")
    load("digits", data_dir="folder")

The file holds the arrays of all three parts as they are trained on, and a checksum of them.
"""
from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, brief
from ..files import npz, writing
from .dataset import Dataset

ENDING = ".nobackprop.npz"
ABOUT = "about"
LARGEST = 2**28  # bytes of the arrays of a file


def write(data: Dataset, path: str | os.PathLike[str]) -> None:
    """Write a data set to a file, all of it or nothing.

    Parameters
    ----------
    data : Dataset
        The data set; its names, if it has any, are texts, booleans or numbers.
    path : path
        The file; what was there is replaced.

    Raises
    ------
    InputError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from nobackprop.data import load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(load("circles"), f"{folder}/circles.nobackprop.npz")
    ...     read(f"{folder}/circles.nobackprop.npz")
    Dataset('circles', 800 + 200 + 200 inputs of shape (2,), 2 classes)
    """
    values = {field.name: getattr(data, field.name) for field in fields(data)}
    arrays: dict[str, Any] = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    about = {name: value for name, value in values.items() if value is not None and name not in arrays}
    arrays[ABOUT] = np.array(json.dumps(about | {"fingerprint": data.fingerprint}))
    with writing(path) as place, Path(place).open("wb") as file:
        np.savez_compressed(file, **arrays)


def read(path: str | os.PathLike[str]) -> Dataset:
    """Read a data set from a file that `write` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Dataset
        With the same numbers, and so the same fingerprint.

    Raises
    ------
    InputError
        If the file cannot be read, or is damaged.
    """
    try:
        arrays: dict[str, Any] = npz(path, packed=LARGEST)
        about = json.loads(arrays.pop(ABOUT).item())
        wanted = about.pop("fingerprint")
        data = Dataset(**arrays, **about)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}, expected a data set as nobackprop stores it") from None
    except Exception as error:  # damaged archives raise errors of many kinds
        raise InputError(f"cannot read {path}: {brief(str(error))}, expected a data set as nobackprop stores it"
                         ) from None
    if data.fingerprint != wanted:
        raise InputError(f"cannot read {path}: its numbers are not those that were stored, expected a whole file")
    return data


def beside(name: str, data_dir: str | os.PathLike[str] | None) -> Path | None:
    """Return the file of a stored data set in data_dir, or else in the folder NOBACKPROP_DATA; None if there is none.

    Examples
    --------
    >>> beside("digits", "nowhere") is None
    True
    """
    folder = os.environ.get("NOBACKPROP_DATA") if data_dir is None else data_dir
    path = Path(folder, name + ENDING) if folder else None
    return path if path is not None and path.is_file() else None
