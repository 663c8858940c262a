"""CIFAR-10 and CIFAR-100 from the files of their binary version.

Such a file is a sequence of records.  A record holds one label (CIFAR-10) or two labels (CIFAR-100), and then 3,072
numbers: an image of 32 x 32 pixels, all red values first, then all green ones, then all blue ones.
"""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dataset import Dataset, from_arrays
from .origin import Origin, find

SHAPE = (3, 32, 32)  # of an image as it is stored: channels first
PIXELS = 3 * 32 * 32
VALIDATION = 0.1  # 5,000 of the 50,000 training images
URL = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class Format:
    """What the files of one of the two data sets hold.

    Parameters
    ----------
    origin : Origin
        The names of the files, and who publishes them.  The last file holds the test images.
    labels : tuple of int
        The number of classes of each label in a record.  The last label is used.
    records : tuple of int
        The number of records in each file.

    Examples
    --------
    >>> from nobackprop.data.cifar import FORMATS
    >>> FORMATS["cifar-100"].labels, sum(FORMATS["cifar-100"].records)
    ((20, 100), 60000)
    """

    origin: Origin
    labels: tuple[int, ...]
    records: tuple[int, ...]


FORMATS = {
    "cifar-10": Format(
        Origin(
            "cifar-10",
            (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"),
            ("cifar-10-batches-bin", "cifar-10/cifar-10-batches-bin"),
            URL,
            {"cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530"},
        ),
        labels=(10,),
        records=(10_000,) * 6,
    ),
    "cifar-100": Format(
        Origin(
            "cifar-100",
            ("train.bin", "test.bin"),
            ("cifar-100-binary", "cifar-100/cifar-100-binary"),
            URL,
            {"cifar-100-binary.tar.gz": "md5:03b5dce01913d631647c71ecec9e9cb8"},
        ),
        labels=(20, 100),  # coarse, fine
        records=(50_000, 10_000),
    ),
}


def cifar10(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """Load CIFAR-10: small photographs of 10 classes, images (N, 32, 32, 3).

    Parameters
    ----------
    data_dir : path, optional
        The folder with the files.  If it is left out, NOBACKPROP_DATA and the cache are searched.
    download : bool, optional
        Whether missing files may be fetched from their publisher into the cache.

    Returns
    -------
    Dataset
        45,000 training, 5,000 validation and 10,000 test images.

    Raises
    ------
    InputError
        If files are missing, cut short, too long or damaged.

    Examples
    --------
    >>> from nobackprop.data.cifar import cifar10
    >>> from nobackprop.errors import InputError
    >>> try:
    ...     cifar10("no-such-folder")
    ... except InputError as error:
    ...     print(str(error).partition(" in ")[0])
    no cifar-10
    """
    return _dataset("cifar-10", data_dir, download)


def cifar100(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """Load CIFAR-100: small photographs of 100 classes, images (N, 32, 32, 3).

    Every image has a coarse label (20 classes) and a fine label (100 classes).  The fine label is used.

    Parameters
    ----------
    data_dir : path, optional
        The folder with the files.  If it is left out, NOBACKPROP_DATA and the cache are searched.
    download : bool, optional
        Whether missing files may be fetched from their publisher into the cache.

    Returns
    -------
    Dataset
        45,000 training, 5,000 validation and 10,000 test images.

    Raises
    ------
    InputError
        If files are missing, cut short, too long or damaged.

    Examples
    --------
    >>> from nobackprop.data.cifar import cifar100
    >>> from nobackprop.errors import InputError
    >>> try:
    ...     cifar100("no-such-folder")
    ... except InputError as error:
    ...     print(str(error).partition(" in ")[0])
    no cifar-100
    """
    return _dataset("cifar-100", data_dir, download)


def _dataset(name: str, data_dir: str | os.PathLike[str] | None, download: bool) -> Dataset:
    """The Dataset of one of the names in FORMATS."""
    form = FORMATS[name]
    paths = find(form.origin, data_dir, download)
    parts = [_read(path, form.labels, records) for path, records in zip(paths, form.records, strict=True)]
    x, y = (np.concatenate(arrays) for arrays in zip(*parts[:-1]))
    x_test, y_test = parts.pop()
    parts.clear()  # frees the memory of the files' images, which x holds a second time
    return from_arrays(name, x, y, x_test, y_test, classes=form.labels[-1], validation=VALIDATION)


def _read(path: Path, classes: Sequence[int], records: int) -> tuple[np.ndarray, np.ndarray]:
    """The images (N, 32, 32, 3) and labels (N,) of one file, both in uint8."""
    width = len(classes) + PIXELS
    expected = records * width
    try:
        size = path.stat().st_size
        # a file of another size is not read at all, because it may be larger than the memory
        raw = np.fromfile(path, np.uint8, expected) if size == expected else np.empty(0, np.uint8)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if raw.size != expected:
        wrong = "cut short" if size <= expected else "too long"
        raise InputError(f"{path} is {wrong}: {size} bytes, expected {expected}, {records} records of {width}")
    rows = raw.reshape(records, width)
    for i, count in enumerate(classes):
        high = int(rows[:, i].max())
        if high >= count:
            raise InputError(f"{path} holds the label {high}, expected labels from 0 to {count - 1}")
    images = rows[:, len(classes):].reshape(records, *SHAPE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, len(classes) - 1].copy()
