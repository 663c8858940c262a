"""SVHN: digits of house numbers from Google Street View, from two MATLAB files."""
from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dataset import Dataset, from_arrays
from .matlab import Array, arrays
from .origin import Origin, find

VALIDATION = 0.1  # 7,326 of the 73,257 training images
ORIGIN = Origin(
    "svhn",
    ("train_32x32.mat", "test_32x32.mat"),
    ("svhn", "SVHN"),
    "http://ufldl.stanford.edu/housenumbers/",
    {
        "train_32x32.mat": "md5:e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "md5:eb5a983be6a315427106f1b164d9cef3",
    },
)


def svhn(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """Load SVHN: photographs of single digits of house numbers, images (N, 32, 32, 3).

    Parameters
    ----------
    data_dir : path, optional
        The folder with the files.  If it is left out, NOBACKPROP_DATA and the cache are searched.
    download : bool, optional
        Whether missing files may be fetched from their publisher into the cache.

    Returns
    -------
    Dataset
        65,931 training, 7,326 validation and 26,032 test images of 10 classes.

    Raises
    ------
    InputError
        If files are missing or damaged, or if they hold other arrays than images X and labels y.

    Examples
    --------
    >>> from nobackprop.data.svhn import svhn
    >>> from nobackprop.errors import InputError
    >>> try:
    ...     svhn("no-such-folder")
    ... except InputError as error:
    ...     print(str(error).partition(" in ")[0])
    no svhn
    """
    (x, y), (x_test, y_test) = (_read(path) for path in find(ORIGIN, data_dir, download))
    return from_arrays("svhn", x, y, x_test, y_test, classes=10, validation=VALIDATION)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images (N, 32, 32, 3) in uint8 and labels (N,) of one file; the label 10 in the file means the digit 0."""
    held = arrays(path)
    for name in ("X", "y"):
        if name not in held:
            raise InputError(f"{path} holds no {name}, expected the images X and the labels y")
    x, y = held["X"], held["y"]
    # checked before the numbers are read, because they may need more memory than there is
    if x.dtype != "uint8" or x.shape[:-1] != (32, 32, 3):
        raise InputError(f"{path} holds X of {_kind(x)}, expected uint8 (32, 32, 3, N)")
    if y.dtype is None or math.prod(y.shape) != x.shape[-1]:
        raise InputError(f"{path} holds y of {_kind(y)}, expected {x.shape[-1]} numbers")
    labels, images = y.read().ravel(), x.read()
    wrong = labels[~np.isin(labels, range(1, 11))]
    if wrong.size:
        raise InputError(f"{path} holds the label {wrong[0]}, expected labels from 1 to 10")
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), labels.astype(np.int64) % 10


def _kind(array: Array) -> str:
    """The type and shape of an array, for an error message."""
    return f"type {array.dtype or 'other than real numbers'} and shape {array.shape}"
