"""Data of your own, from a file: a table (.csv), arrays (.npz), or a folder with a folder of images for each class.

A text says which file, and how it is read: FILE:OPTION=VALUE:..., such as wine.csv:target=kind:task=classes.
"""
from __future__ import annotations

import csv
import io
import os
import re
import warnings
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, brief, check_name
from ..files import contents, named, npz
from ..room import check_room
from .dataset import Dataset, from_arrays
from .split import split_rows
from .tasks import TASKS, Name, guess, indexed, plain

OPTIONS = ("target", "task", "size", "channels")
KINDS = (".csv", ".npz")
BYTES = 2**28  # of a file with a table
LARGEST_IMAGE = 2**25  # bytes of a file with an image
MOST_PIXELS = 2**24  # of an image
MOST_SIDE = 2**10  # pixels of a side to which images are brought
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm")
FORMATS = ("PNG", "JPEG", "BMP", "PPM")
TEST = 0.2  # of all samples, if a file does not say which ones the test part has
VALIDATION = 0.1  # of the others


def split(text: str) -> tuple[str, dict[str, str]]:
    """Return the name of the file and the options in a text such as wine.csv:target=kind.

    Raises
    ------
    InputError
        If an option is there twice.

    Examples
    --------
    >>> split("wine.csv:target=kind:task=classes")
    ('wine.csv', {'target': 'kind', 'task': 'classes'})
    """
    start = re.search(rf":(?:{'|'.join(OPTIONS)})=", text)
    if start is None:
        # an option that was mistyped is one, too: `read` says which there are
        other = re.match(r"(.+?):(\w+)=(.*)", text, re.DOTALL)
        if other and (other[1].lower().endswith(KINDS) or Path(other[1]).is_dir()):
            return other[1], {other[2]: other[3]}
        return text, {}
    found: dict[str, str] = {}
    for part in re.split(rf":(?=(?:{'|'.join(OPTIONS)})=)", text[start.start() + 1:]):
        key, _, value = part.partition("=")
        if key in found:
            raise InputError(f"'{text}': expected the option {key} once, got it twice")
        found[key] = value
    return text[:start.start()], found


def is_own(text: object) -> bool:
    """Say whether a text is the name of a file or folder, and not that of a data set.

    Examples
    --------
    >>> is_own("wine.csv"), is_own("./photos"), is_own("digits")
    (True, True, False)
    """
    if not isinstance(text, str):
        return False
    path = split(text)[0]
    return path.lower().endswith(KINDS) or any(sign in path for sign in {"/", os.sep}) or Path(path).is_dir()


def called(text: str) -> str:
    """Return a short name for what a text names: that of the file, without its ending and without odd signs.

    Examples
    --------
    >>> called("data/my wine.csv:target=kind"), called("digits")
    ('my-wine', 'digits')
    """
    name = Path(split(text)[0]).name
    stem = name[:-4] if name.lower().endswith(KINDS) else name
    return re.sub(r"[^\w.-]+", "-", stem).strip(".-")[:60] or "data"


def read(text: str) -> Dataset:
    """Read a data set of your own.

    Parameters
    ----------
    text : str
        FILE.csv, FILE.npz or FOLDER, with options: "target" names the column or columns (with commas between) that are
        to be learnt, by default the last one; "task" is "classes", "numbers" or "labels"; "size" is the side of images
        in pixels, and "channels" is 1 or 3.

    Returns
    -------
    Dataset
        A file that holds no test part gives a fifth of its samples to it, chosen at random, and a tenth of the others
        to the validation part.

    Raises
    ------
    InputError
        If the file cannot be read, or holds what cannot be learnt.

    Notes
    -----
    A CSV file may have a header; a comma, a semicolon or a tab stands between its cells.  An NPZ file holds x and y, or
    x_train, y_train, x_test and y_test, and perhaps names.  A folder holds a folder of images for each class, or two
    such folders, named train and test.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/mine.npz", x=np.arange(40.0).reshape(20, 2), y=np.repeat(["no", "yes"], 10))
    ...     read(f"{folder}/mine.npz")
    Dataset('mine', 14 + 2 + 4 inputs of shape (2,), 2 classes)
    """
    path, options = split(text)
    place = named(path)
    reader: Callable[..., Dataset]
    reader, takes = ((_csv, ("target", "task")) if path.lower().endswith(".csv") else
                     (_npz, ("task",)) if path.lower().endswith(".npz") else (_images, ("size", "channels")))
    for key in options:
        check_name("option", key, OPTIONS)
        if key not in takes:
            raise InputError(f"{path} is read with the options {' and '.join(takes)}, got {key}")
    if "task" in options:
        check_name("task", options["task"], TASKS)
    try:
        there = [place, *sorted(place.rglob("*"))] if place.is_dir() else [place]
        seen = tuple((str(one), (state := one.stat()).st_mtime_ns, state.st_size) for one in there)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}, expected a .csv or .npz file, or a folder with a "
                         "folder of images for each class") from None
    return _kept(reader, place, called(text), tuple(options.items()), seen)


@lru_cache(maxsize=2)
def _kept(reader: Callable[..., Dataset], path: Path, name: str, options: tuple[tuple[str, str], ...],
          seen: object) -> Dataset:
    """The Dataset of a file; it is read once for its settings and for its samples, as long as it does not change."""
    return reader(path, name, **dict(options))


def _made(name: str, x: np.ndarray, y: np.ndarray, task: str, names: Sequence[Name] | None,
          guessed: bool = False) -> Dataset:
    """The Dataset of samples of which none is named a test sample; `guessed` says that the targets gave the task."""
    for at, values in (("x", x), ("y", y)):
        if not values.ndim:
            raise InputError(f"{name} holds {at} of shape (), expected one for each sample")
    if len(x) != len(y):
        raise InputError(f"{name} holds {len(x)} samples and {len(y)} targets, expected as many of both")
    if task == "classes":
        y, names = _numbered(name, y, names, guessed)
    least = len(names or "") if task == "classes" else 1  # of small data sets, one row for each class in every part
    rows = max(round(TEST * len(y)), least)
    if rows > len(y) - 2 * least:
        raise InputError(f"{name} holds {len(y)} samples, expected {3 * least} or more, for a training, a validation "
                         "and a test part")
    train, test = split_rows(len(y), rows, 0, y if task == "classes" else None)
    return from_arrays(name, x[train], y[train], x[test], y[test], task=task, names=names,
                       classes=len(names) if task == "classes" and names else None,
                       validation=max(round(VALIDATION * len(train)), least))


def _numbered(name: str, y: np.ndarray, names: Sequence[Name] | None,
              guessed: bool) -> tuple[np.ndarray, Sequence[Name]]:
    """Labels as indices of their names, and the names; a class needs a sample in each of three parts."""
    if y.ndim != 1:
        raise InputError(f"{name} holds targets of shape {y.shape}, expected (N,): a class for each sample")
    y = plain(f"the target of {name}", y)
    numbers = guessed and names is None and y.dtype.kind in "iuf"
    if names is None:
        names = np.unique(y).tolist()
        y = indexed("the target", y, names)
    seen, counts = np.unique(y, return_counts=True)
    if len(seen) < 2:
        raise InputError(f"{name} holds one class only, expected 2 or more")
    if counts.min() < 3:
        rare = names[int(seen[counts.argmin()])]
        raise InputError(f"{name} holds {len(seen)} classes and {brief(rare)} fewer than three times, expected every "
                         "class three times or more, for a training, a validation and a test part"
                         + "; if the target is a number to be predicted, say so by the option task=numbers" * numbers)
    return y, names


# ---------------------------------------------------------------- .npz


def _npz(path: Path, name: str, task: str | None = None) -> Dataset:
    """A Dataset from the arrays of an .npz file."""
    try:
        found = npz(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}, expected an .npz file") from None
    except Exception as error:  # zipfile and NumPy raise many kinds of them for a damaged file
        raise InputError(f"cannot read {path}: {brief(str(error))}, expected an .npz file as numpy.savez writes it, "
                         "which is not packed and holds no Python objects") from None
    names = found.pop("names", None)
    listed = None if names is None else names.tolist()
    if set(found) == {"x", "y"}:
        y = found["y"]
        return _made(name, found["x"], y, task or guess(y), listed, task is None)
    parts = ("x_train", "y_train", "x_test", "y_test")
    if set(found) != set(parts):
        raise InputError(f"{path} holds {', '.join(sorted(found)) or 'nothing'}, expected x and y, or "
                         f"{', '.join(parts)}")
    return from_arrays(name, *(found[part] for part in parts), task=task, names=listed)


# ---------------------------------------------------------------- .csv


def _csv(path: Path, name: str, target: str | None = None, task: str | None = None) -> Dataset:
    """A Dataset from a table."""
    raw = contents(path, BYTES, "a CSV file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text: byte {error.start} is not UTF-8, expected a CSV file") from None
    line = text.lstrip().partition("\n")[0]
    between = max(",;\t", key=line.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True)
    try:
        first = next((row for row in rows if row), None)
        if first is None:
            raise InputError(f"{path} is empty, expected a row for each sample")
        if len(first) < 2:
            raise InputError(f"{path} has one column only, expected features and a target, with commas between")
        header, learnt = _header(path, first, target)
        width, features = len(first), [i for i in range(len(first)) if i not in learnt]
        numbers, count = array("d"), 0
        cells: list[str] = []
        known: dict[str, str] = {}
        for row in [first] if header is None else []:
            count += _row(path, rows.line_num, row, width, features, learnt, header, numbers, cells, known)
        for row in rows:
            if row:
                count += _row(path, rows.line_num, row, width, features, learnt, header, numbers, cells, known)
    except csv.Error as error:
        raise InputError(f"cannot read {path}: {error} in line {rows.line_num}, expected a CSV file") from None
    if not count:
        raise InputError(f"{path} holds a header only, expected a row for each sample")
    x = np.frombuffer(numbers, np.float64).reshape(count, len(features))
    y = _targets(path, np.array(cells).reshape(count, len(learnt)), task)
    found = guess(y) if task is None else task
    names = [header[i] for i in learnt] if header is not None and found != "classes" else None
    made = _made(name, x, y, found, names, task is None)
    return made if header is None else replace(made, columns=tuple(header[i] for i in features))


def _header(path: Path, first: list[str], target: str | None) -> tuple[list[str] | None, list[int]]:
    """The names of the columns, or None if the first row holds a sample; and the columns that are to be learnt."""
    cells = [cell.strip() for cell in first]
    if target is None:
        # the last column may hold texts in every row
        return (cells if all(_number(cell) is None for cell in cells[:-1]) else None), [len(first) - 1]
    wanted = [target] if target in cells else [part.strip() for part in target.split(",")]
    for one in wanted:
        if one not in cells and (other := re.search(r":(\w+)=", one)):
            check_name("option", other[1], ("target", "task"))
        if one not in cells:
            raise InputError(f"{path} has no column '{one}', expected one of {brief(cells)}")
        if cells.count(one) > 1 or wanted.count(one) > 1:
            raise InputError(f"{path}: the column '{one}' is there twice, expected it once")
    if len(wanted) == len(cells):
        raise InputError(f"{path} has no column beside the targets, expected features")
    return cells, [cells.index(one) for one in wanted]


def _number(cell: str) -> float | None:
    """A cell as a number, or None if it is none."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _row(path: Path, line: int, row: list[str], width: int, features: list[int], learnt: list[int],
         header: list[str] | None, numbers: array[float], cells: list[str], known: dict[str, str]) -> int:
    """Put the features of a row into `numbers` and its targets into `cells`; return the number of rows, 1."""
    if len(row) != width:
        raise InputError(f"{path}, line {line}: {len(row)} cells, expected {width} as in the first row")
    for i in features:
        value = _number(row[i])
        if value is None or value != value or value in (float("inf"), float("-inf")):
            column = f"column {i + 1}" + (f" ('{header[i][:40]}')" if header else "")
            raise InputError(f"{path}, line {line}, {column}: {brief(row[i])}, expected a finite number")
        numbers.append(value)
    for i in learnt:
        cell = row[i].strip()
        if not cell:
            raise InputError(f"{path}, line {line}: the target is empty, expected a value")
        cells.append(known.setdefault(cell, cell))  # of many equal texts one is kept
    return 1


def _targets(path: Path, cells: np.ndarray, task: str | None) -> np.ndarray:
    """Targets (N,) or (N, k) as integers, numbers or texts, whichever all cells are."""
    seen = np.unique(cells).tolist()
    numbers = {cell: value for cell in seen if (value := _number(cell)) is not None}
    y = cells[:, 0] if cells.shape[1] == 1 else cells
    if len(numbers) < len(seen):
        if task == "classes" or not numbers and y.ndim == 1 and task is None:
            return y
        other = next(cell for cell in seen if cell not in numbers)
        came = f"{brief(next(iter(numbers)))} and {brief(other)}" if numbers else brief(other)
        raise InputError(f"{path}: the target holds {came}, expected numbers in all rows"
                         + ("" if y.ndim > 1 or task else ", or texts in all rows; the option task=classes takes both"))
    if all(re.fullmatch(r"[+-]?\d{1,18}", cell) for cell in seen):
        return y.astype(np.int64)
    return y.astype(np.float64)


# ---------------------------------------------------------------- folders of images


def _images(path: Path, name: str, size: str | None = None, channels: str | None = None) -> Dataset:
    """A Dataset from a folder of images for each class."""
    sides = {"size": size, "channels": channels}
    for key, low, high in (("size", 1, MOST_SIDE), ("channels", 1, 3)):
        given = sides[key]
        if given is not None and not (given.isdecimal() and len(given) < 6 and low <= int(given) <= high) \
                or key == "channels" and given == "2":
            raise InputError(f"{key} is {brief(given)}, expected {'1 or 3' if key == 'channels' else f'1 to {high}'}")
    side, planes = (None if value is None else int(value) for value in sides.values())
    classes = _folders(path)
    if not classes:
        raise InputError(f"{path} holds no folders, expected a folder of images for each class")
    for there, missing in (("train", "test"), ("test", "train")):
        if there in classes and missing not in classes and _folders(path / there):
            raise InputError(f"{path} holds the folder {there}, but no folder {missing}, expected both")
    if {"train", "test"} <= set(classes):
        names = _folders(path / "train")
        if names != _folders(path / "test"):
            raise InputError(f"{path / 'test'} holds the classes {brief(_folders(path / 'test'))}, expected "
                             f"{brief(names)} as in train")
        parts = [_listed(path / part, names) for part in ("train", "test")]
        shape = _shape(parts[0][0][0], side, planes)
        x_train, x_test = (_loaded([file for file, _ in part], shape, side is not None) for part in parts)
        y_train, y_test = (np.array([label for _, label in part]) for part in parts)
        return from_arrays(name, x_train, y_train, x_test, y_test, classes=len(names), names=names)
    files = _listed(path, classes)
    shape = _shape(files[0][0], side, planes)
    x = _loaded([file for file, _ in files], shape, side is not None)
    return _made(name, x, np.array([label for _, label in files]), "classes", classes)


def _folders(path: Path) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones."""
    try:
        return sorted(one.name for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}, expected a folder") from None


def _listed(path: Path, classes: list[str]) -> list[tuple[Path, int]]:
    """The files of all images with their labels."""
    found = []
    for label, one in enumerate(classes):
        try:
            files = sorted(file for file in (path / one).iterdir()
                           if file.suffix.lower() in ENDINGS and not file.name.startswith("."))
        except OSError as error:
            raise InputError(f"cannot read {path / one}: {error.strerror}, expected a folder of images") from None
        if not files:
            raise InputError(f"{path / one} holds no image, expected files that end in {', '.join(ENDINGS)}")
        found += [(file, label) for file in files]
    return found


def _opened(path: Path, use: Callable[[Any], Any]) -> Any:
    """What a function makes of an image that is open, of at most MOST_PIXELS pixels."""
    from PIL import Image  # imported here, because the import is slow and only this function needs it

    raw = contents(path, LARGEST_IMAGE, "an image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's about many pixels, which are refused here
            with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
                if image.width * image.height <= MOST_PIXELS:
                    return use(image)
                size = image.size
    # on a damaged file the decoder may raise an exception of any kind
    except Exception as error:
        raise InputError(f"cannot read {path}: damaged or no image, expected {', '.join(FORMATS)}") from error
    raise InputError(f"{path} has {size[0]} x {size[1]} pixels, expected {MOST_PIXELS} at most")


def _shape(path: Path, side: int | None, channels: int | None) -> tuple[int, int, int]:
    """Height, width and channels of all images: as the options say, or those of the first one."""
    width, height, mode = _opened(path, lambda image: (*image.size, image.mode))
    planes = channels or (1 if mode in ("1", "L", "I", "I;16", "F") else 3)
    return (height, width, planes) if side is None else (side, side, planes)


def _loaded(files: list[Path], shape: tuple[int, int, int], resize: bool) -> np.ndarray:
    """The images (N, H, W, C) in uint8."""
    check_room(f"{files[0].parent.parent}", "numbers", len(files) * int(np.prod(shape)), 6)
    out = np.empty((len(files), *shape), np.uint8)
    height, width, planes = shape

    def pixels(image: Any) -> tuple[tuple[int, int], np.ndarray | None]:
        if not resize and image.size != (width, height):
            return image.size, None
        plain = image.convert("L" if planes == 1 else "RGB")
        return image.size, np.asarray(plain.resize((width, height)) if resize else plain).reshape(shape)

    for place, path in zip(out, files):
        size, found = _opened(path, pixels)
        if found is None:
            raise InputError(f"{path} has {size[0]} x {size[1]} pixels, expected {width} x {height} as the first "
                             "image; the option size brings all to one size")
        place[:] = found
    return out
