"""Tiny ImageNet from its folder of JPEG files, at 64 x 64 pixels or averaged down to 32 x 32."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dataset import Dataset, from_arrays
from .origin import Origin, find

CLASSES = 200  # as published; wnids.txt says how many there are in a folder
SIDE = 64
VALIDATION = 0.1  # of the training images: those published for validation are the test set
ORIGIN = Origin(
    "tiny-imagenet",
    ("wnids.txt", "val/val_annotations.txt"),
    ("tiny-imagenet-200",),
    "http://cs231n.stanford.edu/",
    {"tiny-imagenet-200.zip": "md5:90528d7ca1a48142e341f4ef8d21d0de"},
)


def tiny_imagenet(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """Images `(N, 64, 64, 3)` of the classes in wnids.txt, named "Tiny ImageNet-" and their number.

    The published test images have no labels: the published validation images are the test part, and a
    tenth of the training images is the validation part.  Raises InputError where files are missing or wrong.
    """
    return _dataset(1, data_dir, download)


def tiny_imagenet_32(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """The same as images `(N, 32, 32, 3)`, each pixel the mean of four."""
    return _dataset(2, data_dir, download)


def _dataset(shrink: int, data_dir: str | os.PathLike[str] | None, download: bool) -> Dataset:
    wnids_file, annotations = find(ORIGIN, data_dir, download)
    wnids = _wnids(wnids_file)
    parts = []
    for part in (_train(wnids_file.parent, wnids), _official_validation(annotations, wnids)):
        paths, labels = zip(*part)
        parts += [_images(paths, shrink), np.array(labels)]
    name = f"Tiny ImageNet-{len(wnids)}" + (f" at {SIDE // shrink} x {SIDE // shrink}" if shrink > 1 else "")
    return from_arrays(name, *parts, classes=len(wnids), validation=VALIDATION)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text, expected one class or image a line") from error


def _wnids(path: Path) -> list[str]:
    """The names of the classes: a class's label is its line."""
    wnids = _lines(path)
    for wnid in wnids:
        # a name becomes a folder's: it must not lead elsewhere
        if not (wnid[:1] == "n" and wnid[1:].isdecimal()):
            raise InputError(f"{path} holds the line '{wnid}', expected names of classes such as n01443537")
    if len(wnids) < 2 or len(set(wnids)) < len(wnids):
        raise InputError(f"{path} holds {len(wnids)} names of {len(set(wnids))} classes, expected 2 or more, each once")
    return wnids


def _train(root: Path, wnids: Sequence[str]) -> list[tuple[Path, int]]:
    """Paths and labels of the training images."""
    found = []
    for label, wnid in enumerate(wnids):
        folder = root / "train" / wnid / "images"
        # sorted, as the order in a folder differs between machines
        paths = sorted(folder.glob("*.JPEG"))
        if not paths:
            raise InputError(f"{folder} holds no .JPEG file, expected the training images of class {wnid}")
        found += [(path, label) for path in paths]
    return found


def _official_validation(path: Path, wnids: Sequence[str]) -> list[tuple[Path, int]]:
    """Paths and labels of the images that are published for validation."""
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    found = []
    for line in _lines(path):
        file, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if wnid not in labels:
            raise InputError(f"{path} says that '{file}' is of class '{wnid}', expected one of those in wnids.txt")
        found.append((path.with_name("images") / Path(file).name, labels[wnid]))
    if not found:
        raise InputError(f"{path} is empty, expected one image a line")
    return found


def _images(paths: Sequence[Path], shrink: int) -> np.ndarray:
    """Images `(N, SIDE / shrink, SIDE / shrink, 3)` in uint8, grey ones with three equal channels."""
    from PIL import Image  # slow to import, and needed here only

    side = SIDE // shrink
    out = np.empty((len(paths), side, side, 3), np.uint8)
    for place, path in zip(out, paths):
        try:
            with Image.open(path, formats=["JPEG"]) as image:
                size = image.size
                if size == (SIDE, SIDE):
                    place[:] = np.asarray(image.convert("RGB").reduce(shrink))
        # the decoder of a damaged file may stumble over anything
        except Exception as error:
            reason = getattr(error, "strerror", None) or "damaged or no JPEG file"
            raise InputError(f"cannot read {path}: {reason}, expected an image") from error
        if size != (SIDE, SIDE):
            raise InputError(f"{path} has {size[0]} x {size[1]} pixels, expected {SIDE} x {SIDE}")
    return out
