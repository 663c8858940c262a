"""The data sets by name, each with the training settings that suit it.

A new data set is a function and one line in DATASETS: see docs/extending.md.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np

from ..errors import InputError, check_name, integer
from ..files import named
from . import own, stored
from .cifar import cifar10, cifar100
from .dataset import SEEDS, Dataset, flag, from_arrays
from .mnist import fashion_mnist, mnist
from .plane import circles, quadrants, spirals
from .split import split_rows
from .svhn import svhn
from .tiny_imagenet import CLASSES, tiny_imagenet, tiny_imagenet_32

XOR_NOISE = 0.4  # of each hidden sign, as a standard deviation
XOR_FEATURES = 30
XOR_REPEATS = 375  # of the 16 sign patterns: 6,000 inputs


@dataclass(frozen=True)
class Source:
    """A data set that can be loaded by its name.

    Parameters
    ----------
    load : callable
        `load(data_dir=None, download=False)` gives the Dataset.
    summary : str
        One line for `nobackprop datasets`.
    defaults : mapping
        Settings that suit the data set, by name; "threads" is one, and None there means all cores.
    shape : tuple of int, optional
        The shape of one sample, (H, W, C) or (F,).  None if it is known only after loading.
    classes : int, optional
        The number of classes of the published data set: files may hold fewer, and the Dataset then has fewer.  None if
        it is known only after loading.
    task : str
        What is to be learnt, see `Dataset`.  If it is not "classes", `classes` is the number of outputs.

    Examples
    --------
    >>> DATASETS["digits"].sizes()
    ((8, 8, 1), 10)
    """

    load: Callable[..., Dataset]
    summary: str
    defaults: Mapping[str, object] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    classes: int | None = None
    task: str = "classes"

    def sizes(self) -> tuple[tuple[int, ...], int]:
        """Return the shape of one sample and the number of classes, without loading the data set.

        Raises
        ------
        InputError
            If they are known only after loading.
        """
        if self.shape is None or self.classes is None:
            raise InputError(f"the data set '{self.summary}' has a shape only after it is loaded, expected one whose "
                             "shape is known, such as mnist")
        return self.shape, self.classes


def digits() -> Dataset:
    """Load the 1,797 small handwritten digits of scikit-learn, images (N, 8, 8, 1).

    Training, validation and test part are 70, 10 and 20 percent of them.

    Examples
    --------
    >>> digits()
    Dataset('digits', 1257 + 180 + 360 inputs of shape (8, 8, 1), 10 classes)
    """
    x, y = _digits()
    train, test = split_rows(len(y), 360, 0, y)
    return from_arrays("digits", x[train], y[train], x[test], y[test], classes=10, validation=180)


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Read images (N, 8, 8, 1) and labels, once in a process, which nobody may change.

    They stand in scikit-learn's own file; an import of scikit-learn takes a second.
    """
    package = find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        if (file := Path(folder, "datasets", "data", "digits.csv.gz")).is_file():
            table = np.loadtxt(file, delimiter=",")
            return _kept(table[:, :-1].reshape(-1, 8, 8, 1)), _kept(table[:, -1].astype(int))
    from sklearn.datasets import load_digits  # a version that has its file elsewhere

    bunch = load_digits()
    return _kept(bunch.images[..., None]), _kept(bunch.target)


def _kept(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def diabetes() -> Dataset:
    """Load how far the diabetes of 442 patients went within a year, from scikit-learn: a regression on 10 measurements.

    Training, validation and test part are 70, 10 and 20 percent of them.

    Examples
    --------
    >>> diabetes()
    Dataset('diabetes', 309 + 44 + 89 inputs of shape (10,), 1 number)
    """
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    x, y = bunch.data, bunch.target
    train, test = split_rows(len(y), 89, 0)
    return from_arrays("diabetes", x[train], y[train], x[test], y[test], validation=44, names=("progression",))


def xor(seed: int = 0) -> Dataset:
    """Make a data set of two noisy XORs that are hidden in vectors (N, 30): no linear rule beats chance at it.

    The class is 2 [s1 != s2] + [s3 != s4], for four signs s1 to s4.  The input is these signs with noise, and 26
    features that are only noise, and all of it is rotated, so that no coordinate is special.

    Parameters
    ----------
    seed : int
        All that is drawn at random comes from it, from 0 to 2**32 - 1.

    Returns
    -------
    Dataset
        6,000 vectors of 30 features with four classes.

    Raises
    ------
    InputError
        If the seed is no such integer.

    Examples
    --------
    >>> xor()
    Dataset('xor', 4500 + 500 + 1000 inputs of shape (30,), 4 classes)
    """
    seed = integer("seed", seed, 0, SEEDS - 1)
    generator = np.random.default_rng(seed)
    signs = np.repeat(list(product((-1.0, 1.0), repeat=4)), XOR_REPEATS, axis=0)
    labels = 2 * (signs[:, 0] != signs[:, 1]) + (signs[:, 2] != signs[:, 3])
    noisy = signs + XOR_NOISE * generator.standard_normal(signs.shape)
    noise = generator.standard_normal((len(signs), XOR_FEATURES - 4))
    rotation, triangle = np.linalg.qr(generator.standard_normal((XOR_FEATURES, XOR_FEATURES)))
    # a QR decomposition is unique up to signs, which differ between builds of LAPACK
    inputs = np.hstack([noisy, noise]) @ (rotation * np.sign(np.diag(triangle)))
    train, test = split_rows(len(labels), 1000, seed, labels)
    return from_arrays("xor", inputs[train], labels[train], inputs[test], labels[test], classes=4, validation=500,
                       seed=seed)


def _made(make: Callable[[], Dataset]) -> Callable[..., Dataset]:
    """A loader that is called like those that read files, for a data set that needs no files.

    If a folder has the data set as `stored.write` writes it, under the function's name, it is read: that needs no
    scikit-learn.
    """

    def load(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
        found = stored.beside(make.__name__, data_dir)
        return make() if found is None else stored.read(found)

    return load


COMMON = {
    "epochs": 30, "batch_size": 64, "optimizer": "adam", "lr": 1e-3, "schedule": "constant", "threads": 1
}
# threads None: all cores, which only networks of this width make use of
WIDE = {
    **COMMON, "model": "mlp:1024,1024", "activation": "relu", "epochs": 5, "schedule": "step", "threads": None
}
PHOTOS = {**WIDE, "model": "conv3:0.25"}

# 15 small steps an epoch: a map of the plane that is redrawn after each epoch changes smoothly
PLANE = {**COMMON, "model": "mlp:32,32,32", "activation": "tanh", "lr": 5e-3}

OWN = {**COMMON, "model": "mlp:128,128", "activation": "relu"}

DATASETS: dict[str, Source] = {
    "digits": Source(_made(digits), "1,797 handwritten digits of 8 x 8 pixels, from scikit-learn",
                     {**COMMON, "model": "mlp:128,128", "activation": "relu"}, (8, 8, 1), 10),
    "diabetes": Source(_made(diabetes), "442 patients with 10 measurements and a number to predict, from scikit-learn",
                       {**COMMON, "model": "mlp:32,32", "activation": "tanh", "loss": "squared"}, (10,), 1, "numbers"),
    "xor": Source(_made(xor), "6,000 vectors of 30 features in which two noisy XORs are hidden, computed and not read",
                  {**COMMON, "model": "mlp:64,64,64", "activation": "tanh"}, (XOR_FEATURES,), 4),
    "circles": Source(_made(circles), "1,200 points of the plane on two circles, one inside the other, computed", PLANE,
                      (2,), 2),
    "spirals": Source(_made(spirals), "1,200 points of the plane on three arms of a spiral, computed", PLANE, (2,), 3),
    "quadrants": Source(_made(quadrants), "1,200 points of the plane, by the XOR of their signs, computed", PLANE,
                        (2,), 2),
    "mnist": Source(mnist, "70,000 handwritten digits of 28 x 28 pixels, from IDX files", WIDE, (28, 28, 1), 10),
    "fashion-mnist": Source(fashion_mnist, "70,000 pieces of clothing of 28 x 28 pixels, from IDX files", WIDE,
                            (28, 28, 1), 10),
    "cifar-10": Source(cifar10, "60,000 photographs of 32 x 32 pixels, from the binary version", PHOTOS,
                       (32, 32, 3), 10),
    "cifar-100": Source(cifar100, "60,000 photographs of 32 x 32 pixels, from the binary version", PHOTOS,
                        (32, 32, 3), 100),
    "svhn": Source(svhn, "99,289 digits of house numbers of 32 x 32 pixels, from MATLAB files", PHOTOS,
                   (32, 32, 3), 10),
    "tiny-imagenet": Source(tiny_imagenet, "110,000 photographs of 64 x 64 pixels, from JPEG files", PHOTOS,
                            (64, 64, 3), CLASSES),
    "tiny-imagenet-32": Source(tiny_imagenet_32, "tiny-imagenet averaged down to 32 x 32 pixels", PHOTOS,
                               (32, 32, 3), CLASSES),
}


def source(name: str) -> Source:
    """Return the data set of a name, or of a file of your own, which is read for this.

    Parameters
    ----------
    name : str
        A name in DATASETS, or the name of a file or folder, with options, see `own.read`.

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If there is no such data set, or if the file cannot be read.

    Examples
    --------
    >>> source("digits").classes
    10
    """
    if not own.is_own(name) or name in DATASETS:  # a folder called digits does not hide the data set
        check_name("data set", name, DATASETS)
        return DATASETS[name]
    data = own.read(name)
    return Source(_made(lambda: data), own.called(name), {**OWN, "loss": data.loss}, data.shape, data.classes,
                  data.task)


def load(name: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None = None,
         download: bool = False) -> Dataset:
    """Load the data set of that name.

    Parameters
    ----------
    name : str or path
        A name in DATASETS, which `nobackprop datasets` lists; or the name of a .csv or .npz file or of a folder of
        images of your own, with options such as "wine.csv:target=kind", see `data.own.read`.
    data_dir : path, optional
        The folder with the data set's files, if it needs any; the usual places are searched if it is left out.
    download : bool
        Whether files that are missing may be fetched from their publisher.

    Returns
    -------
    Dataset
        The training, validation and test part.

    Raises
    ------
    InputError
        If there is no data set of that name, if its files are missing or wrong, or if data_dir is no path.

    Examples
    --------
    >>> load("xor").classes
    4
    """
    found = source(os.fspath(name) if isinstance(name, os.PathLike) else name)
    if data_dir is not None:
        named(data_dir)
    flag("download", download)
    return found.load(data_dir=data_dir, download=download)
