"""Tiny ImageNet from its folder of JPEG files, at 64 x 64 pixels or averaged down to 32 x 32.

The file wnids.txt lists the names of the classes.  The training images of a class lie in train/NAME/images.  The
images published for validation lie in val/images, and val/val_annotations.txt says which class each has.
"""
from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import contents
from .dataset import Dataset, from_arrays
from .origin import Origin, find

CLASSES = 200  # of the published data set; wnids.txt lists the classes that a folder really has
SIDE = 64
LARGEST_IMAGE = 2**20  # bytes: far more than a JPEG file of 64 x 64 pixels needs
LARGEST_TEXT = 2**24  # bytes
VALIDATION = 0.1  # of the training images: those published for validation are the test set
ORIGIN = Origin(
    "tiny-imagenet",
    ("wnids.txt", "val/val_annotations.txt"),
    ("tiny-imagenet-200",),
    "http://cs231n.stanford.edu/",
    {"tiny-imagenet-200.zip": "md5:90528d7ca1a48142e341f4ef8d21d0de"},
)


def tiny_imagenet(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """Load Tiny ImageNet: photographs of up to 200 classes, images (N, 64, 64, 3).

    The published test images have no labels.  Therefore the published validation images are the test part, and a tenth
    of the training images is the validation part.

    Parameters
    ----------
    data_dir : path, optional
        The folder with the files.  If it is left out, NOBACKPROP_DATA and the cache are searched.
    download : bool, optional
        Whether missing files may be fetched from their publisher into the cache.

    Returns
    -------
    Dataset
        The images of the classes in wnids.txt.  Its name is "Tiny ImageNet-" and the number of these classes.

    Raises
    ------
    InputError
        If files are missing or damaged, or if an image does not have 64 x 64 pixels.

    Examples
    --------
    >>> from nobackprop.data.tiny_imagenet import tiny_imagenet
    >>> from nobackprop.errors import InputError
    >>> try:
    ...     tiny_imagenet("no-such-folder")
    ... except InputError as error:
    ...     print(str(error).partition(" in ")[0])
    no tiny-imagenet
    """
    return _dataset(1, data_dir, download)


def tiny_imagenet_32(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """Load Tiny ImageNet as images (N, 32, 32, 3): each pixel is the mean of four pixels.

    Parameters
    ----------
    data_dir : path, optional
        The folder with the files.  If it is left out, NOBACKPROP_DATA and the cache are searched.
    download : bool, optional
        Whether missing files may be fetched from their publisher into the cache.

    Returns
    -------
    Dataset
        As `tiny_imagenet` gives it, with smaller images; its name ends in "at 32 x 32".

    Raises
    ------
    InputError
        As `tiny_imagenet` does.

    Examples
    --------
    >>> from nobackprop.data.tiny_imagenet import tiny_imagenet_32
    >>> from nobackprop.errors import InputError
    >>> try:
    ...     tiny_imagenet_32("no-such-folder")
    ... except InputError as error:
    ...     print(str(error).partition(" in ")[0])
    no tiny-imagenet
    """
    return _dataset(2, data_dir, download)


def _dataset(shrink: int, data_dir: str | os.PathLike[str] | None, download: bool) -> Dataset:
    """The Dataset whose images have 1 / shrink of the published width and height."""
    wnids_file, annotations = find(ORIGIN, data_dir, download)
    wnids = _wnids(wnids_file)
    parts = []
    for part in (_train(wnids_file.parent, wnids), _official_validation(annotations, wnids)):
        paths, labels = zip(*part)
        parts += [_images(paths, shrink), np.array(labels)]
    name = f"Tiny ImageNet-{len(wnids)}" + (f" at {SIDE // shrink} x {SIDE // shrink}" if shrink > 1 else "")
    return from_arrays(name, *parts, classes=len(wnids), validation=VALIDATION)


def _lines(path: Path) -> list[str]:
    """The lines of a text file; blank lines are left out, because some editors add them at the end."""
    try:
        text = contents(path, LARGEST_TEXT, "a text").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text, expected one class or image a line") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _wnids(path: Path) -> list[str]:
    """The names of the classes, in the order of their labels: the first line has label 0."""
    wnids = _lines(path)
    for wnid in wnids:
        # the name becomes part of a path, and must not lead to another folder
        if not re.fullmatch("n[0-9]{1,20}", wnid):
            raise InputError(f"{path} holds the line {wnid[:40]!r}, expected names of classes such as n01443537")
    if len(wnids) < 2 or len(set(wnids)) < len(wnids):
        raise InputError(f"{path} holds {len(wnids)} names of {len(set(wnids))} classes, expected 2 or more, each once")
    return wnids


def _train(root: Path, wnids: Sequence[str]) -> list[tuple[Path, int]]:
    """The paths and labels of the training images."""
    found = []
    for label, wnid in enumerate(wnids):
        folder = root / "train" / wnid / "images"
        paths = _jpegs(folder)
        if not paths:
            raise InputError(f"{folder} holds no .JPEG file, expected the training images of class {wnid}")
        found += [(path, label) for path in paths]
    return found


def _jpegs(folder: Path) -> list[Path]:
    """The JPEG files in a folder, sorted by name, because the order in a folder differs between machines.

    Their names may end in .JPEG or .jpg, in capitals or not.  All other files are left out, such as Thumbs.db, and
    the files that macOS makes: ._x.JPEG, .DS_Store.
    """
    try:
        return sorted(path for path in folder.iterdir()
                      if path.suffix.lower() in (".jpeg", ".jpg") and not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror}, expected a folder of images") from error


def _official_validation(path: Path, wnids: Sequence[str]) -> list[tuple[Path, int]]:
    """The paths and labels of the images that are published for validation."""
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    folder = path.with_name("images")
    there = {place.stem.lower(): place for place in _jpegs(folder)}
    found = []
    for line in _lines(path):
        file, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if wnid not in labels:
            raise InputError(f"{path} says that {file[:40]!r} is of class {wnid[:40]!r}, expected one of those in "
                             "wnids.txt")
        found.append((there.get(Path(file).stem.lower(), folder / Path(file).name), labels[wnid]))
    if not found:
        raise InputError(f"{path} is empty, expected one image a line")
    return found


def _images(paths: Sequence[Path], shrink: int) -> np.ndarray:
    """The images (N, SIDE / shrink, SIDE / shrink, 3) in uint8; a grey image gets three equal channels."""
    from PIL import Image  # imported here, because the import is slow and only this function needs it

    side = SIDE // shrink
    out = np.empty((len(paths), side, side, 3), np.uint8)
    for place, path in zip(out, paths):
        try:
            raw = contents(path, LARGEST_IMAGE, "an image")
            with Image.open(io.BytesIO(raw), formats=["JPEG"]) as image:
                size = image.size
                if size == (SIDE, SIDE):
                    place[:] = np.asarray(image.convert("RGB").reduce(shrink))
        except InputError:
            raise
        # on a damaged file the decoder may raise an exception of any kind
        except Exception as error:
            raise InputError(f"cannot read {path}: damaged or no JPEG file, expected an image") from error
        if size != (SIDE, SIDE):
            raise InputError(f"{path} has {size[0]} x {size[1]} pixels, expected {SIDE} x {SIDE}")
    return out
