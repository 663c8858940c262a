"""A data set in memory: a training, a validation and a test part.

The parts are checked.  `from_arrays` splits off the validation part, and standardises all parts by the mean and the
standard deviation of the training part.
"""
from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError, brief, check_name
from .split import split_rows
from .tasks import TASKS, Name, as_array, checked_names, column_names, doubt, matched, understood, whole

CHUNK = 2**22  # numbers that are copied to float64 at a time
SEEDS = 2**32  # the number of seeds that NumPy's old generator knows


@dataclass(frozen=True, eq=False)
class Dataset:
    """The inputs and targets of the three parts of a data set.

    `from_arrays` makes one from your own arrays, and `load` gives one by its name.

    Parameters
    ----------
    name : str
        A name for tables and figures.
    classes : int
        The number of classes, 2 or more.  If the task is "numbers" or "labels", it is k, the number of them that each
        sample has, 1 or more.  A network has as many outputs.
    x_train, x_validation, x_test : array (N, F) or (N, H, W, C), floating-point
        The inputs of each part; float32 if `from_arrays` or `load` made them.
    y_train, y_validation, y_test : array
        The targets of each part.  Of classes (N,) integers from 0 to classes - 1, int64 if `from_arrays` or `load` made
        them.  Of numbers (N, k) real numbers, shifted by `y_mean` and divided by `y_scale`.  Of labels (N, k) with 0
        and 1.
    mean, scale : array (F,) or (C,), optional
        What was subtracted from every feature or channel of the raw inputs, and what they were then divided by.  None
        if the inputs are raw.  A trained network needs both for raw inputs, see `Run.save_model`.
    y_mean, y_scale : array (k,), optional
        Of numbers: what was subtracted from the raw targets, and what they were then divided by.  None if the targets
        are raw.
    task : {"classes", "numbers", "labels"}
        What is to be learnt: one class for each sample, real numbers (a regression), or yes and no for each label.
    names : sequence of text, bool or number, optional
        What the classes, numbers or labels are called, in the order of the network's outputs.
    columns : sequence of str, optional
        What the features are called, in their order.  Frames are matched with them by the names of their columns.

    Raises
    ------
    InputError
        If the parts do not fit each other.  `dataclasses.replace` checks the same.

    Notes
    -----
    What `from_arrays` and `load` make is standardised: `x_test` is not in the units of the file or the arrays that it
    came from.  A trained network in use, `Run.predictor`, takes raw samples.  `raw` gives them back.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from nobackprop.data import load
    >>> digits = load("digits")
    >>> replace(digits, name="fewer", x_train=digits.x_train[:100], y_train=digits.y_train[:100])
    Dataset('fewer', 100 + 180 + 360 inputs of shape (8, 8, 1), 10 classes)
    """

    name: str
    classes: int
    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    y_mean: np.ndarray | None = None
    y_scale: np.ndarray | None = None
    task: str = "classes"
    names: tuple[Name, ...] | None = None
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        # it is the title of figures, and stands in a results.json
        if not isinstance(self.name, str) or not self.name.isprintable():
            raise InputError(f"name is {brief(self.name)}, expected a printable text")
        check_name("task", self.task, TASKS)
        for part in ("train", "validation", "test"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            for array, at in ((x, f"x_{part}"), (y, f"y_{part}")):
                if not isinstance(array, np.ndarray):
                    raise InputError(f"{at} is of type {type(array).__name__}, expected a NumPy array")
            if _shaped(f"x_{part}", x).dtype.kind != "f":
                raise InputError(f"x_{part} has type {x.dtype}, expected floating-point numbers such as float32")
            if x.shape[1:] != self.shape:
                raise InputError(f"x_{part} holds inputs of shape {x.shape[1:]}, expected {self.shape} as in x_train")
            if TASKS[self.task].check(f"y_{part}", y, self.classes).ndim != y.ndim:
                raise InputError(f"y_{part} has shape {y.shape}, expected (N, k): {self.task} in rows")
            _as_many(part, x, y)
        for at, values in (("mean", self.mean), ("scale", self.scale)):
            shape = getattr(values, "shape", type(values).__name__)
            if values is not None and shape != self.shape[-1:]:
                raise InputError(f"{at} has shape {shape}, expected {self.shape[-1:]}: a number for each feature or "
                                 "channel")
        for at, values in (("y_mean", self.y_mean), ("y_scale", self.y_scale)):
            shape = getattr(values, "shape", type(values).__name__)
            if values is not None and (shape != (self.classes,) or self.task != "numbers"):
                raise InputError(f"{at} has shape {shape}, expected ({self.classes},), and targets that are numbers")
        if self.names is not None:
            object.__setattr__(self, "names", checked_names(self.names, self.classes, self.task))
        if self.columns is not None:
            object.__setattr__(self, "columns", checked_columns(self.columns, self.shape))

    @property
    def loss(self) -> str:
        """The loss that suits the task, which `models.build` takes.

        Examples
        --------
        >>> from nobackprop.data import load
        >>> load("digits").loss, load("diabetes").loss
        ('cross_entropy', 'squared')
        """
        return TASKS[self.task].loss

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input: (H, W, C) or (F,).

        Examples
        --------
        >>> from nobackprop.data import load
        >>> load("digits").shape
        (8, 8, 1)
        """
        return self.x_train.shape[1:]

    def prepare(self, x: ArrayLike) -> np.ndarray:
        """Return raw inputs as the data set's own inputs are: shifted by `mean`, and divided by `scale`, in float32.

        Parameters
        ----------
        x : array-like (N, F) or (N, H, W, C), or frame
            Raw inputs, of the shape of the data set's.  A frame is matched by the names of its columns, if the data set
            was made of frames.

        Returns
        -------
        array of the same shape, float32

        Raises
        ------
        InputError
            If the inputs have another shape, or are not finite real numbers.

        Examples
        --------
        >>> import numpy as np
        >>> from nobackprop.data import from_arrays
        >>> x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
        >>> data = from_arrays("mine", x, y, x, y, validation=4)
        >>> bool((data.prepare(x) == data.x_test).all())
        True
        """
        return prepared(x, self.shape, self.mean, self.scale, self.columns)

    def raw(self, part: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs and targets of a part as they were before they were standardised.

        A trained network in use, `Run.predictor`, takes these.

        Parameters
        ----------
        part : {"train", "validation", "test"}
            Which part.

        Returns
        -------
        x : array (N, F) or (N, H, W, C), float64
            Raw inputs, up to the rounding of float32.
        y : array (N,) or (N, k)
            Raw targets: the names of the classes, numbers in their own units, or 0 and 1.

        Raises
        ------
        InputError
            If there is no such part.

        Examples
        --------
        >>> import nobackprop as nb
        >>> data = nb.data.load("digits")
        >>> run = nb.fit(nb.models.build("mlp:32", data.shape, data.classes), "bp", data, nb.Settings(epochs=3))
        >>> x, y = data.raw("test")
        >>> float(x.min().round(3)), float(x.max().round(3)), run.predictor().score(x, y) == run.test_accuracy()
        (0.0, 16.0, True)
        """
        check_name("part", part, ("train", "validation", "test"))
        x, y, task = getattr(self, f"x_{part}").astype(np.float64), getattr(self, f"y_{part}"), TASKS[self.task]
        if self.scale is not None:
            x *= self.scale
        if self.mean is not None:
            x += self.mean
        names = self.names if self.names is not None else tuple(range(self.classes))
        return x, task.answer(task.rows(y, self.classes, np.float64), names, self.y_mean, self.y_scale)

    @cached_property
    def fingerprint(self) -> str:
        """A text that is the same for two data sets only if all their numbers are: a SHA-256 of all parts.

        Examples
        --------
        >>> from nobackprop.data import load
        >>> load("digits").fingerprint == load("digits").fingerprint
        True
        """
        digest = hashlib.sha256(f"{self.classes}{'' if self.task == 'classes' else self.task}".encode())
        for part in fields(self)[2:]:
            array = getattr(self, part.name)
            if isinstance(array, np.ndarray):
                digest.update(f"\n{part.name} {array.dtype} {array.shape}\n".encode())
                digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        sizes = f"{len(self.y_train)} + {len(self.y_validation)} + {len(self.y_test)}"
        return f"Dataset({self.name!r}, {sizes} inputs of shape {self.shape}, {self.outputs_in_words})"

    @property
    def outputs_in_words(self) -> str:
        """What the outputs of a network stand for, with their number.

        Examples
        --------
        >>> from nobackprop.data import load
        >>> load("digits").outputs_in_words, load("diabetes").outputs_in_words
        ('10 classes', '1 number')
        """
        return f"{self.classes} {self.task if self.classes > 1 else self.task[:-1]}"


def prepared(x: ArrayLike, shape: tuple[int, ...], mean: np.ndarray | None, scale: np.ndarray | None,
             columns: Sequence[str] | None = None) -> np.ndarray:
    """Do what `Dataset.prepare` does, for the shape of one input, a mean, a scale and the names of columns.

    Examples
    --------
    >>> prepared([[3.0, 5.0]], (2,), np.array([1.0, 1.0]), np.array([2.0, 4.0]))
    array([[1., 1.]], dtype=float32)
    """
    values = _inputs("x", matched("x", x, columns), least=0)
    if values.shape[1:] != shape:
        raise InputError(f"x holds inputs of shape {values.shape[1:]}, expected {shape}")
    return _standardised("x", values, 0.0 if mean is None else mean, 1.0 if scale is None else scale)


def checked_columns(columns: object, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of features as a tuple; raise InputError unless they are texts, one for each feature.

    Examples
    --------
    >>> checked_columns(["a", "b"], (2,))
    ('a', 'b')
    """
    if not isinstance(columns, list | tuple) or not all(isinstance(one, str) for one in columns) \
            or len(shape) != 1 or len(columns) != shape[0]:
        raise InputError(f"columns is {brief(columns)}, expected a text for each feature of samples of shape {shape}")
    return tuple(columns)


def flag(name: str, value: object) -> bool:
    """Return a value that is True or False; raise InputError if it is another one, such as the text "no".

    Parameters
    ----------
    name : str
        What the message calls the value.
    value : object
        What the user gave; a bool of NumPy's will do.

    Returns
    -------
    bool

    Raises
    ------
    InputError
        If it is neither True nor False.

    Examples
    --------
    >>> from nobackprop.data.dataset import flag
    >>> flag("download", True)
    True
    >>> flag("download", "no")
    Traceback (most recent call last):
    nobackprop.errors.InputError: download must be True or False, got 'no'
    """
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} must be True or False, got {brief(value)}")
    return bool(value)


def from_arrays(
    name: str,
    x_train: ArrayLike,
    y_train: ArrayLike,
    x_test: ArrayLike,
    y_test: ArrayLike,
    *,
    classes: int | None = None,
    validation: float = 0.1,
    seed: int = 0,
    standardise: bool = True,
    task: str | None = None,
    names: Sequence[Name] | None = None,
) -> Dataset:
    """Make a Dataset from your own arrays or pandas frames of images or vectors.

    Some training rows become the validation part.  They are chosen at random.  Classes are stratified: every class is
    in both parts, with about the same frequency.

    Parameters
    ----------
    name : str
        A name for tables and figures.
    x_train, x_test : array-like (N, H, W, C), (N, H, W) or (N, F)
        Images or vectors of finite real numbers, at least one.  Images (N, H, W) get one channel.  Two frames are
        matched by the names of their columns, and those of x_train say the order.
    y_train, y_test : array-like (N,) or (N, k)
        Their targets.  Of classes: integers from 0 to classes - 1, or texts, booleans or, if `task` says so, other
        numbers, which are the names of the classes.  Of numbers: finite real numbers.  Of labels: 0 and 1.
    classes : int, optional
        The number of classes.  If it is left out, every label from 0 to the largest one must occur in y_train.
    validation : float or int, optional
        The size of the validation part: a share of the training rows if it is below 1, otherwise a number of rows.
    seed : int, optional
        The seed of the random choice, from 0 to 2**32 - 1.
    standardise : bool, optional
        Whether all parts are shifted and scaled so that every channel of the images, or every feature of the vectors,
        has mean 0 and standard deviation 1 over the training part.  A channel or feature that is constant, up to
        rounding, is only shifted.
        Targets that are numbers are shifted and scaled, too.
    task : {"classes", "numbers", "labels"}, optional
        What is to be learnt.  If it is left out, it is "classes" if `classes` is given, and else y_train decides:
        several 0 and 1 for each sample, or False and True, are "labels", whether integers or not; other rows of numbers
        and floating-point numbers are "numbers", and all else is "classes".  If the targets look like classes
        nevertheless, as one-hot rows and a column of 0.0 and 1.0 do, a warning says so; to name the task ends it.
    names : sequence of text, bool or number, optional
        What the outputs are called.  If it is left out, classes that are not integers are called by themselves, in
        sorted order, and numbers and labels by the columns of a frame.

    Returns
    -------
    Dataset
        The three parts, with inputs in float32, classes in int64, numbers in float32 and labels in uint8.

    Raises
    ------
    InputError
        If an argument is not as described here, if the arrays do not fit each other, if a class has fewer than two
        training rows, if float64 does not tell the integers of a channel or feature apart, or if float32 would round
        all numbers of a channel or feature to 0.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.data import from_arrays
    >>> x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    >>> from_arrays("mine", x, y, x, y, validation=4)
    Dataset('mine', 16 + 4 + 20 inputs of shape (2,), 2 classes)
    >>> from_arrays("mine", x, np.array(["no", "yes"])[y], x, np.array(["no", "yes"])[y], validation=4).names
    ('no', 'yes')
    >>> from_arrays("mine", x, x.sum(1), x, x.sum(1), validation=4)
    Dataset('mine', 16 + 4 + 20 inputs of shape (2,), 1 number)
    """
    columns = column_names(x_train)
    x, x_test = _inputs("x_train", x_train), _inputs("x_test", matched("x_test", x_test, columns))
    if x.shape[1:] != x_test.shape[1:]:
        raise InputError(
            f"x_test holds inputs of shape {x_test.shape[1:]}, expected {x.shape[1:]} as in x_train"
        )
    if task is None and classes is not None:
        task = "classes"
    guessed = task is None
    task, y, y_test, names = understood(y_train, y_test, task, names)
    check, standardise = TASKS[task].check, flag("standardise", standardise)
    if names is not None and classes is None:
        classes = len(names)
        if task == "classes" and classes < 2:
            raise InputError(f"names holds {classes} different names, expected 2 or more, one for each of the classes")
    y = check("y_train", y, classes)
    classes = int(classes) if classes is not None else _count(y) if task == "classes" else y.shape[1]
    y_test = check("y_test", y_test, classes)
    _as_many("train", x, y)
    _as_many("test", x_test, y_test)
    if guessed and (why := doubt(task, y[:, 0] if y.shape[1:] == (1,) else y)):
        warnings.warn(f"y_train is taken as {task}, and {why}: say task='{task}' if it is meant, or task='classes' "
                      f"with {'y.argmax(1)' if task == 'labels' else 'y.astype(int)'}", stacklevel=2)
    if len(y) < 2:
        raise InputError("x_train holds 1 row, expected 2 or more, to train on and to validate on")
    # of classes, every one must be in both parts
    train, held_out = _split(y if y.ndim == 1 else np.zeros(len(y), np.int64), validation, seed)
    targets = {"y_train": y[train], "y_validation": y[held_out], "y_test": y_test}
    shift: dict[str, np.ndarray] = {}
    if task == "numbers":
        if standardise:
            shift = dict(zip(("y_mean", "y_scale"), _statistics(targets["y_train"]), strict=True))
        targets = {part: _standardised(part, values, shift.get("y_mean", 0.0), shift.get("y_scale", 1.0))
                   for part, values in targets.items()}
    parts = {"x_train": x[train], "x_validation": x[held_out], "x_test": x_test}
    if not standardise:
        _not_too_small("x_train", x)
        _not_too_small("x_test", x_test)
    mean, scale = _statistics(parts["x_train"]) if standardise else (None, None)
    ready = {part: _standardised(part, inputs, 0.0 if mean is None else mean, 1.0 if scale is None else scale)
             for part, inputs in parts.items()}
    return Dataset(name, classes, mean=mean, scale=scale, task=task, names=names,
                   columns=columns if x.ndim == 2 else None, **ready, **targets, **shift)


def _inputs(name: str, x: ArrayLike, least: int = 1) -> np.ndarray:
    """x as an array (N, F) or (N, H, W, C) of the same dtype; InputError unless it holds finite real numbers."""
    x = as_array(name, x)
    if x.ndim == 3:
        x = x[..., None]
    if x.dtype.kind not in "biuf":
        raise InputError(f"{name} has type {x.dtype}, expected real numbers")
    if least or len(x):
        _finite(name, _shaped(name, x))
    return x


def _shaped(name: str, x: np.ndarray) -> np.ndarray:
    """x as an array; InputError unless it is (N, F) or (N, H, W, C) with at least one number."""
    x = as_array(name, x)
    if x.ndim not in (2, 4):
        raise InputError(f"{name} has shape {x.shape}, expected vectors (N, F) or images (N, H, W, C)")
    if x.size == 0:
        raise InputError(f"{name} has shape {x.shape}, expected at least one number")
    return x


def _as_many(part: str, x: np.ndarray, y: np.ndarray) -> None:
    """Raise InputError unless there is one label for each input."""
    if len(x) != len(y):
        raise InputError(f"y_{part} holds {len(y)} labels, expected {len(x)}, as many as inputs in x_{part}")


def _count(y: np.ndarray) -> int:
    """The number of classes in the labels (N,); InputError unless every label from 0 to the largest occurs."""
    seen = np.unique(y)
    # without this check, labels that start at 1 would be accepted, with a class 0 that no row belongs to
    if len(seen) != seen[-1] + 1:
        gap = next(i for i, label in enumerate(seen) if i != label)
        raise InputError(
            f"y_train holds labels up to {seen[-1]} but no {gap}, expected every label from 0 on, "
            "or the number of classes as an argument"
        )
    if len(seen) < 2:
        raise InputError("y_train holds the label 0 only, expected at least 2 classes")
    return len(seen)


def _finite(name: str, x: np.ndarray, first: int = 0) -> None:
    """Raise InputError if float32 cannot hold a number of x, which starts at row `first` of a larger array."""
    with np.errstate(over="ignore", invalid="ignore"):
        # the two extremes suffice; isfinite(x) would need an array of the size of x
        if np.isfinite(np.array([x.min(), x.max()]).astype(np.float32)).all():
            return
        good = np.isfinite(x.astype(np.float32)).reshape(len(x), -1).all(axis=1)
    raise InputError(
        f"{name} holds NaN or numbers beyond float32 (first in row {first + good.argmin()}), expected finite numbers"
    )


def _split(y: np.ndarray, validation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the training and of the validation rows; classes are equally frequent in both."""
    share = isinstance(validation, Real) and 0 < validation < 1
    if not share and not (whole(validation) and 0 < validation < len(y)):
        raise InputError(
            f"validation is {brief(validation)}, expected a share between 0 and 1 "
            f"or a number of rows below {len(y)}"
        )
    if not whole(seed) or not 0 <= seed < SEEDS:
        raise InputError(f"seed is {brief(seed)}, expected an integer from 0 to 2**32 - 1")
    rows = round(len(y) * validation) if share else int(validation)
    seen, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise InputError(
            f"y_train holds the label {seen[counts.argmin()]} once, expected every label twice, "
            "to train on and to validate on"
        )
    if not len(seen) <= rows <= len(y) - len(seen):
        raise InputError(
            f"validation={validation!r} makes {rows} of {len(y)} rows the validation part, "
            f"expected from {len(seen)} to {len(y) - len(seen)}, one row per class or more in both parts"
        )
    train, held_out = split_rows(len(y), rows, seed, y)
    # the shares are rounded, so that a rare class may be in only one part
    _give_each_class_a_row(np.searchsorted(seen, y), held_out, train)
    _give_each_class_a_row(np.searchsorted(seen, y), train, held_out)
    return train, held_out


def _give_each_class_a_row(y: np.ndarray, part: np.ndarray, other: np.ndarray) -> None:
    """Exchange rows of the two parts until `part` has a row of every class; y holds the classes of all rows."""
    for label in np.setdiff1d(y, y[part]):
        # a row of the largest class is given away: others of it remain, because there are more rows than classes
        given = np.flatnonzero(y[part] == np.bincount(y[part]).argmax())[0]
        taken = np.flatnonzero(y[other] == label)[0]
        part[given], other[taken] = other[taken], part[given]


def _chunks(x: np.ndarray) -> list[slice]:
    """Slices of the rows of x, each small enough for a copy in float64."""
    rows = max(1, CHUNK // math.prod(x.shape[1:]))
    return [slice(i, i + rows) for i in range(0, len(x), rows)]


def _statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and scale of each channel or feature; the scale is 1 if its values differ by rounding alone."""
    axes = tuple(range(x.ndim - 1))
    count, chunks = x.size // x.shape[-1], _chunks(x)
    top, bottom, largest = x.max(axes), x.min(axes), _largest(x)
    spread = top.astype(np.float64) - bottom
    # small deviations are enlarged by a power of two, which rounds nothing: the squares of 1e-200 would all be 0
    unit = np.ldexp(1.0, np.minimum(-np.frexp(largest)[1], 1000))
    mean = x.mean(axes, dtype=np.float64)
    squares = sum(np.square(np.subtract(x[rows], mean, dtype=np.float64) * unit).sum(axes) for rows in chunks)
    deviation = np.sqrt(squares / count) / unit
    # the mean is rounded up to `count` times; if that is not far below the deviation, the sums are taken once more, of
    # the differences from the first value: they are exact, or small, and so their mean is as exact as they are
    near = deviation <= 2**10 * count * np.finfo(np.float64).eps * np.abs(mean)
    if near.any():
        first = x[(0,) * len(axes)][near].astype(np.float64)
        unit = np.ldexp(1.0, np.minimum(-np.frexp(spread[near])[1], 1000))

        def differences(rows: slice) -> np.ndarray:
            apart: np.ndarray = np.subtract(x[rows][..., near], first, dtype=np.float64)
            return apart
        rest = sum(differences(rows).sum(axes) for rows in chunks) / count
        squares = sum(np.square((differences(rows) - rest) * unit).sum(axes) for rows in chunks)
        mean[near], deviation[near] = first + rest, np.sqrt(squares / count) / unit
    if x.dtype.kind in "iu" and (lost := (top != bottom) & (spread < 2**8 * np.finfo(np.float64).eps * largest)).any():
        at = np.flatnonzero(lost)[0]
        raise InputError(f"x_train holds integers from {bottom[at]} to {top[at]} in channel or feature {at}, expected "
                         "smaller ones: float64 does not tell them apart; subtract a whole number from them")
    rounding = 2 * np.finfo(x.dtype).eps if x.dtype.kind == "f" else 0.0
    return mean, np.where(spread > rounding * largest, deviation, 1.0)


def _largest(x: np.ndarray) -> np.ndarray:
    """The largest size of a number in each channel or feature, in float64."""
    axes = tuple(range(x.ndim - 1))
    largest: np.ndarray = np.maximum(np.abs(x.max(axes).astype(np.float64)), np.abs(x.min(axes).astype(np.float64)))
    return largest


def _not_too_small(name: str, x: np.ndarray) -> None:
    """Raise InputError if a channel or feature has numbers other than 0, but none that float32 holds in full."""
    largest = _largest(x)
    small = np.flatnonzero((largest > 0) & (largest < np.finfo(np.float32).tiny))
    if len(small):
        raise InputError(f"{name} holds numbers up to {largest[small[0]]:.2g} in channel or feature {small[0]}, which "
                         "are too small for float32: expected larger ones, or standardise=True")


def _standardised(name: str, x: np.ndarray, mean: ArrayLike, scale: ArrayLike) -> np.ndarray:
    """(x - mean) / scale in float32, computed in float64 because a mean may be far larger than a deviation."""
    out = np.empty(x.shape, np.float32)
    for rows in _chunks(x):
        part = np.subtract(x[rows], mean, dtype=np.float64)
        part /= scale
        _finite(f"{name}, standardised,", part, rows.start)
        out[rows] = part
    return out
