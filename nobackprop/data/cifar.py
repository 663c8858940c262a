"""CIFAR-10 and CIFAR-100 from their binary version: records of one or two labels and 3,072 pixels."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dataset import Dataset, from_arrays
from .origin import Origin, find

SHAPE = (3, 32, 32)  # channel by channel
PIXELS = 3 * 32 * 32
VALIDATION = 0.1  # 5,000 of the 50,000 training images
URL = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class Format:
    """What one of the two has in its files, the last of which holds the test images."""

    origin: Origin
    labels: tuple[int, ...]  # how many classes each of a record's labels tells apart; the last one is used
    records: tuple[int, ...]  # in each file


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
    """Small photographs of 10 classes, images `(N, 32, 32, 3)`; InputError where files are missing or wrong."""
    return _dataset("cifar-10", data_dir, download)


def cifar100(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """Those of 100 classes, the fine labels, images `(N, 32, 32, 3)`; InputError as for cifar10."""
    return _dataset("cifar-100", data_dir, download)


def _dataset(name: str, data_dir: str | os.PathLike[str] | None, download: bool) -> Dataset:
    form = FORMATS[name]
    paths = find(form.origin, data_dir, download)
    parts = [_read(path, form.labels, records) for path, records in zip(paths, form.records, strict=True)]
    x, y = (np.concatenate(arrays) for arrays in zip(*parts[:-1]))
    x_test, y_test = parts.pop()
    parts.clear()  # the training images a second time, from here on
    return from_arrays(name, x, y, x_test, y_test, classes=form.labels[-1], validation=VALIDATION)


def _read(path: Path, classes: Sequence[int], records: int) -> tuple[np.ndarray, np.ndarray]:
    """Images `(N, 32, 32, 3)` and labels `(N,)`, both uint8, of one file."""
    width = len(classes) + PIXELS
    expected = records * width
    try:
        size = os.path.getsize(path)
        # a file of another size is not read at all: it may be larger than the memory
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
