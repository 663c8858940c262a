"""SVHN, the house numbers of Google Street View, from its two MATLAB files of single digits."""
from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dataset import Dataset, from_arrays
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
    """The house numbers' digits, images `(N, 32, 32, 3)`; InputError where the files are missing or wrong."""
    (x, y), (x_test, y_test) = (_read(path) for path in find(ORIGIN, data_dir, download))
    return from_arrays("svhn", x, y, x_test, y_test, classes=10, validation=VALIDATION)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images `(N, 32, 32, 3)` in uint8 and labels `(N,)` of one file, in which 10 stands for the digit 0."""
    from scipy.io import loadmat  # slow to import, and needed here only

    try:
        held = loadmat(path, variable_names=["X", "y"])
    # the reader of a damaged file may stumble over anything
    except Exception as error:
        reason = getattr(error, "strerror", None) or "damaged or no MATLAB file"
        raise InputError(f"cannot read {path}: {reason}, expected a whole MATLAB file of version 5") from error
    for name in ("X", "y"):
        if name not in held:
            raise InputError(f"{path} holds no {name}, expected the images X and the labels y")
    x, y = np.asarray(held["X"]), np.asarray(held["y"])
    if x.dtype != "uint8" or x.shape[:-1] != (32, 32, 3):
        raise InputError(f"{path} holds X of type {x.dtype} and shape {x.shape}, expected uint8 (32, 32, 3, N)")
    if y.size != x.shape[-1] or y.dtype.kind not in "iuf":
        raise InputError(f"{path} holds y of type {y.dtype} and shape {y.shape}, expected {x.shape[-1]} numbers")
    wrong = y[~np.isin(y, range(1, 11))]
    if wrong.size:
        raise InputError(f"{path} holds the label {wrong[0]}, expected labels from 1 to 10")
    return np.ascontiguousarray(x.transpose(3, 0, 1, 2)), y.ravel().astype(np.int64) % 10
