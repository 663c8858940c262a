"""MNIST and Fashion-MNIST: two data sets, each in four IDX files.

The four files have the same names in both data sets.
"""
from __future__ import annotations

import os

from ..errors import InputError
from .dataset import Dataset, from_arrays
from .idx import read_idx
from .origin import LARGEST, Origin, find

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
VALIDATION = 1 / 12  # 5,000 of the 60,000 training images


def _spellings(file: str) -> tuple[str, ...]:
    """The names a file may have: with or without .gz, and with a dot as in train-images.idx3-ubyte."""
    dotted = file.replace("-idx", ".idx")
    return f"{file}.gz", file, f"{dotted}.gz", dotted


def _origin(name: str, folders: tuple[str, ...], url: str, checksums: tuple[str, ...]) -> Origin:
    """The Origin of one of the two data sets; the checksums are those of the four packed files."""
    downloads = {f"{file}.gz": checksum for file, checksum in zip(FILES, checksums, strict=True)}
    return Origin(name, FILES, folders, url, downloads, _spellings)


ORIGINS = {
    "mnist": _origin(
        "mnist",
        ("mnist", "MNIST/raw"),
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion-mnist": _origin(
        "fashion-mnist",
        ("fashion-mnist", "FashionMNIST/raw"),
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "md5:25c81989df183df01b3e8a0aad5dffbe",
            "md5:bef4ecab320f06d8554ea6380940ec79",
            "md5:bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
}
# the files of both have the same names, so that only their contents tell a mistaken folder
FIRST_LABELS = {"mnist": (5, 0, 4, 1, 9, 2, 1, 3, 1, 4), "fashion-mnist": (9, 0, 0, 3, 0, 2, 7, 2, 5, 5)}


def mnist(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """Load MNIST: handwritten digits of 10 classes, images (N, 28, 28, 1).

    Parameters
    ----------
    data_dir : path, optional
        The folder with the files.  If it is left out, NOBACKPROP_DATA and the cache are searched.
    download : bool, optional
        Whether missing files may be fetched from their publisher into the cache.

    Returns
    -------
    Dataset
        55,000 training, 5,000 validation and 10,000 test images, if the files are the published ones.

    Raises
    ------
    InputError
        If files are missing or damaged, do not fit each other, or are those of Fashion-MNIST.

    Examples
    --------
    Four files of 24 small black images, with only two of the ten digits:

    >>> import tempfile
    >>> import numpy as np
    >>> from nobackprop.data import write_idx
    >>> from nobackprop.data.mnist import FILES, mnist
    >>> images, labels = np.zeros((24, 28, 28), np.uint8), np.arange(24, dtype=np.uint8) % 2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for file, array in zip(FILES, (images, labels, images, labels)):
    ...         write_idx(f"{folder}/{file}", array)
    ...     mnist(folder)
    Dataset('mnist', 22 + 2 + 24 inputs of shape (28, 28, 1), 10 classes)
    """
    return _dataset("mnist", data_dir, download)


def fashion_mnist(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """Load Fashion-MNIST: pieces of clothing of 10 classes, images (N, 28, 28, 1).

    Parameters
    ----------
    data_dir : path, optional
        The folder with the files.  If it is left out, NOBACKPROP_DATA and the cache are searched.
    download : bool, optional
        Whether missing files may be fetched from their publisher into the cache.

    Returns
    -------
    Dataset
        55,000 training, 5,000 validation and 10,000 test images, if the files are the published ones.

    Raises
    ------
    InputError
        If files are missing or damaged, do not fit each other, or are those of MNIST.

    Examples
    --------
    >>> from nobackprop.data.mnist import fashion_mnist
    >>> from nobackprop.errors import InputError
    >>> try:
    ...     fashion_mnist("no-such-folder")
    ... except InputError as error:
    ...     print(str(error).partition(" in ")[0])
    no fashion-mnist
    """
    return _dataset("fashion-mnist", data_dir, download)


def _dataset(name: str, data_dir: str | os.PathLike[str] | None, download: bool) -> Dataset:
    """The Dataset of one of the names in ORIGINS."""
    files = find(ORIGINS[name], data_dir, download)
    images, labels, test_images, test_labels = (read_idx(path, LARGEST) for path in files)
    for x, y, at in ((images, labels, files[0]), (test_images, test_labels, files[2])):
        if x.dtype != "uint8" or x.shape[1:] != (28, 28):
            raise InputError(f"{at} holds {x.dtype} of shape {x.shape}, expected uint8 of shape (N, 28, 28)")
        if y.shape != x.shape[:1]:
            raise InputError(f"{at} holds {len(x)} images, but the labels next to it have shape {y.shape}")
    for other, first in FIRST_LABELS.items():
        if other != name and tuple(labels[:10]) == first:
            raise InputError(f"the files in {files[0].parent} are {other}, expected {name}")
    x, x_test = images[..., None], test_images[..., None]
    return from_arrays(name, x, labels, x_test, test_labels, classes=10, validation=VALIDATION)
