"""The tasks of a data set: what its targets are, with which losses it is learnt, and what is measured of it.

Three tasks are known.  *classes*: each sample has one label.  *numbers*: each sample has k real numbers, as in a
regression.  *labels*: each sample has k answers of yes or no.  All that depends on the task is an entry of TASKS, and
whatever trains, shows or predicts asks there.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..errors import InputError, brief, check_name
from ..kernels.activation import sigmoid, softmax
from ..kernels.loss import LOSSES

Name = str | bool | int | float  # of a class, a number or a label
ENTROPIES = ("cross_entropy", "binary_cross_entropy")
MOST_CLASSES = 20  # of targets that are whole numbers: more different ones are surely no classes


@dataclass(frozen=True)
class Measure:
    """A number that says how good the answers for some samples are.

    Parameters
    ----------
    name : str
        Records of an epoch have it as validation_NAME, records of a run as test_NAME.
    words : str
        What tables and figures call it.
    low, high : float or None
        The smallest and the largest value that it can have; None if there is no such value.
    floor : float
        What a run that diverged counts as, and any that is worse.  It is used if the larger value is the better one.

    Examples
    --------
    >>> TASKS["classes"].measures[0].words
    'accuracy'
    """

    name: str
    words: str
    low: float | None = 0.0
    high: float | None = 1.0
    floor: float = 0.0


@dataclass(frozen=True)
class Task:
    """What is to be learnt from a data set.

    Parameters
    ----------
    name : str
        "classes", "numbers" or "labels": also the word for what the outputs of a network stand for.
    loss : str
        The loss that suits it.
    fits : callable
        fits(loss) says whether the task can be learnt with the loss of that name.
    measures : tuple of Measure
        What is measured.  Of the first one a larger value is a better one: by it a sweep chooses.
    check : callable
        check(name, y, outputs) returns the targets y as a Dataset keeps them, or raises InputError.
    rows : callable
        rows(y, outputs, dtype) returns what the loss compares outputs with, (N, C).
    measure : callable
        measure(a, y) returns the value of every measure, of the outputs and the rows (N, C).
    answer : callable
        answer(a, names, mean, scale) returns what outputs (N, C) mean to the user: names of classes (N,); numbers in
        the user's units, (N, k) or (N,) if k is 1; or 0 and 1 (N, k).
    truth : callable
        truth(y, names, mean, scale) returns the rows (N, C) of what the user knows to be right: of what `answer` gives.

    Examples
    --------
    >>> TASKS["numbers"].loss, TASKS["numbers"].fits("cross_entropy")
    ('squared', False)
    """

    name: str
    loss: str
    fits: Callable[[str], bool]
    measures: tuple[Measure, ...]
    check: Callable[[str, ArrayLike, int | None], np.ndarray]
    rows: Callable[[np.ndarray, int, DTypeLike], np.ndarray]
    measure: Callable[[np.ndarray, np.ndarray], tuple[float, ...]]
    answer: Callable[[np.ndarray, Sequence[Name], np.ndarray | None, np.ndarray | None], np.ndarray]
    truth: Callable[[np.ndarray, Sequence[Name], np.ndarray | None, np.ndarray | None], np.ndarray]

    def measured(self, a: np.ndarray, y: np.ndarray) -> dict[str, float]:
        """Return all measures by name, of outputs and targets (N, C).

        Examples
        --------
        >>> TASKS["numbers"].measured(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]))
        {'r2': -1.0, 'mean_error': 0.5}
        """
        return dict(zip((one.name for one in self.measures), self.measure(a, y), strict=True))


def as_array(name: str, values: ArrayLike) -> np.ndarray:
    """Return values as an array; raise InputError if they are masked, or rows of different shapes.

    Examples
    --------
    >>> from nobackprop.data.tasks import as_array
    >>> as_array("x", [[1, 2], [3]])
    Traceback (most recent call last):
    nobackprop.errors.InputError: x has rows of different shapes, expected an array
    """
    # NumPy would drop the mask, and the network would be trained on the masked numbers
    if any(isinstance(a, np.ma.MaskedArray) for a in (values, *(values if isinstance(values, list | tuple) else ()))):
        raise InputError(f"{name} is a masked array, expected one without a mask")
    if hasattr(values, "columns"):
        return frame(name, values)
    if _of_pandas(kind := getattr(values, "dtype", None)):
        return _plain_type(name, values, str(getattr(kind, "kind", "")))
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name} has rows of different shapes, expected an array") from error
    except (TypeError, RuntimeError) as error:  # an array on another device, or one with gradients
        raise InputError(f"{name} is of type {type(values).__name__}, expected an array of NumPy's") from error


def frame(name: str, values: Any) -> np.ndarray:
    """Return a frame, such as one of pandas, as an array; raise InputError if a column does not hold numbers.

    Parameters
    ----------
    name : str
        What the message calls the frame.
    values : frame
        It has `columns`, `dtypes` in their order, and `to_numpy`.

    Returns
    -------
    array (N, F)
    """
    if len(values.columns) == 1 and hasattr(values, "iloc"):
        return as_array(name, values.iloc[:, 0])[:, None]  # a column alone may hold texts
    kinds = [getattr(kind, "kind", "O") for kind in values.dtypes]
    for column, kind, dtype in zip(values.columns, kinds, values.dtypes, strict=True):
        if kind not in "biuf":
            raise InputError(f"{name} has the column {brief(column)} of type {dtype}, expected numbers in every column")
    # columns of different types, or of pandas' own types, would become Python objects
    if len(set(kinds)) == 1 and not any(map(_of_pandas, values.dtypes)):
        return np.asarray(values.to_numpy())
    return _plain_type(name, values, "f")


def _of_pandas(dtype: Any) -> bool:
    """Say whether a dtype is one of pandas' own numbers or booleans, which know missing values, such as Float64."""
    return hasattr(dtype, "na_value") and getattr(dtype, "kind", "O") in ("b", "i", "u", "f")


def _plain_type(name: str, values: Any, kind: str) -> np.ndarray:
    """The numbers of a frame or series in one of NumPy's own types; InputError if a value is missing."""
    try:
        return np.asarray(values.to_numpy(dtype={"f": "float64", "b": "bool"}.get(kind, f"{'u' * (kind == 'u')}int64")))
    except (TypeError, ValueError):
        raise InputError(f"{name} has missing values, expected a number everywhere") from None


def column_names(values: object) -> tuple[str, ...] | None:
    """Return the names of a frame's columns as texts, or None if it is no frame.

    Examples
    --------
    >>> column_names(np.ones((2, 3))) is None
    True
    """
    found = getattr(values, "columns", None)
    return None if found is None else tuple(str(one) if str(one).isprintable() else repr(str(one)) for one in found)


def matched(name: str, values: ArrayLike, wanted: Sequence[str] | None) -> np.ndarray:
    """Return a frame as an array whose columns have the order of those names; anything else as `as_array` does.

    Parameters
    ----------
    name : str
        What the message calls the frame.
    values : array-like or frame
    wanted : sequence of str or None
        The names of the columns; None if they are not known, and then the order stays as it is.

    Returns
    -------
    array

    Raises
    ------
    InputError
        If the frame has other columns, or one of them twice.
    """
    array, came = as_array(name, values), column_names(values)
    if came is None or wanted is None or came == (wanted := tuple(wanted)):
        return array
    for there, other, what in ((came, wanted, "which those learnt from lack"), (wanted, came, "")):
        for one in there:
            if one not in other:
                raise InputError(f"{name} {'has' if what else 'lacks'} the column {brief(one)}"
                                 f"{what and f', {what}'}: expected the columns {brief(list(wanted))}, in any order")
    if len(came) != len(wanted) or len(set(came)) < len(came):
        raise InputError(f"{name} has a column twice, expected each once, or the order {brief(list(wanted))}")
    return array[:, [came.index(one) for one in wanted]]


def understood(y_train: ArrayLike, y_test: ArrayLike, task: str | None, names: Sequence[Name] | None) -> tuple[
        str, np.ndarray, np.ndarray, tuple[Name, ...] | None]:
    """Find out what targets are, and turn classes that are no integers into indices of their names.

    Parameters
    ----------
    y_train, y_test : array-like
        The targets as they came.
    task : str or None
        A name in TASKS; None if the targets decide.
    names : sequence or None
        The names of the outputs; None if the targets have them.

    Returns
    -------
    tuple
        The task, both targets as arrays, and the names or None.

    Raises
    ------
    InputError
        If there is no such task, or if a label is in y_test alone.

    Examples
    --------
    >>> understood(["b", "a"], ["b"], None, None)
    ('classes', array([1, 0]), array([1]), ('a', 'b'))
    """
    own = column_names(y_train)
    y, y_test = as_array("y_train", y_train), matched("y_test", y_test, own)
    if own is not None and len(own) == 1:
        y, y_test = y[:, 0], y_test[:, 0] if y_test.shape[1:] == (1,) else y_test
    if task is None:
        task = guess(y)
    check_name("task", task, TASKS)
    if task != "classes":
        return task, y, y_test, own if names is None else _several(names)
    if y.ndim != 1 or not len(y) or y.dtype.kind in "iu":
        return task, y, y_test, None if names is None else _several(names)
    y = plain("y_train", y)
    known = np.unique(y).tolist() if names is None else list(_several(names))
    return task, indexed("y_train", y, known), indexed("y_test", plain("y_test", y_test), known), tuple(known)


def guess(y: np.ndarray) -> str:
    """Return the task that targets most likely are of, see `from_arrays`.

    Examples
    --------
    >>> guess(np.array([0.5, 1.5])), guess(np.array([[0.0, 1.0], [1.0, 1.0]])), guess(np.array(["a", "b"]))
    ('numbers', 'labels', 'classes')
    """
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf":
        return "labels" if y.size and ((y == 0) | (y == 1)).all() else "numbers"
    return "numbers" if y.dtype.kind == "f" else "classes"


def doubt(task: str, y: np.ndarray) -> str:
    """Return what speaks against the task that was guessed for raw targets, in words; empty if nothing does.

    Examples
    --------
    >>> doubt("labels", np.eye(3)), doubt("labels", np.array([[1, 1], [0, 1]]))
    ('each row has exactly one 1, as if it stood for a class', '')
    """
    if task == "labels" and (y.sum(1) == 1).all():
        return "each row has exactly one 1, as if it stood for a class"
    if task == "numbers" and y.ndim == 1:
        seen, counts = np.unique(y, return_counts=True)
        if 2 <= len(seen) <= MOST_CLASSES and (seen == np.arange(len(seen))).all() and counts.min() > 1:
            return f"all are whole numbers from 0 to {len(seen) - 1}, as if they stood for classes"
    return ""


def _several(names: object) -> tuple[Name, ...]:
    """Names of outputs as a tuple; InputError if they are one text, or nothing that has members."""
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise InputError(f"names is {brief(names)}, expected a list of names, one for each output")
    return tuple(names)


def plain(name: str, y: np.ndarray) -> np.ndarray:
    """Return labels (N,) as an array of one type; raise InputError if they are of several, or are missing.

    Examples
    --------
    >>> plain("y", np.array(["a", "b"], object)).dtype.kind
    'U'
    >>> plain("y", np.array(["a", None], object))
    Traceback (most recent call last):
    nobackprop.errors.InputError: y holds 'a' and None, expected labels of one type: texts, booleans or numbers
    """
    values = y.tolist() if y.dtype.kind == "O" else []
    kinds: dict[type, Any] = {}
    for value in values:
        kinds.setdefault(type(value), value)
    if len(kinds) > 1:
        first, second = list(kinds.values())[:2]
        raise InputError(f"{name} holds {brief(first)} and {brief(second)}, expected labels of one type: texts, "
                         "booleans or numbers")
    y = np.array(values) if values else y
    if y.ndim != 1 or y.dtype.kind not in "Ubiuf" or y.dtype.kind == "f" and not np.isfinite(y).all():
        missing = "NaN or infinity" if y.dtype.kind == "f" else f"values of type {y.dtype}"
        raise InputError(f"{name} holds {missing}, expected one label for each sample: a text, a boolean or a number")
    return y


def indexed(name: str, y: np.ndarray, known: Sequence[Name]) -> np.ndarray:
    """Return for each label (N,) its place among the known ones; raise InputError if it is none of them.

    Examples
    --------
    >>> indexed("y", np.array([True, False]), [False, True])
    array([1, 0])
    """
    place = {value: i for i, value in enumerate(known)}
    seen, back = np.unique(y, return_inverse=True)
    strange = [value for value in seen.tolist() if value not in place]
    if strange:
        raise InputError(f"{name} holds the label {brief(strange[0])}, expected one of {brief(list(known))}")
    return np.array([place[value] for value in seen.tolist()], np.int64)[back]


def checked_names(names: Sequence[Name], outputs: int, task: str) -> tuple[Name, ...]:
    """Return names of outputs in types of Python's own; raise InputError if they are not that many different ones.

    Examples
    --------
    >>> checked_names(["a", "b"], 2, "classes")
    ('a', 'b')
    """
    found = tuple(name.item() if isinstance(name, np.generic) else name for name in _several(names))
    for name in found:
        if not isinstance(name, str | bool | int | float) or isinstance(name, str) and not name.isprintable():
            raise InputError(f"names holds {brief(name)}, expected printable texts, booleans or numbers")
    if len(found) != outputs or len(set(found)) < len(found):
        raise InputError(f"names holds {len(set(found))} different names, expected {outputs}, one for each of the "
                         f"{task}")
    return found


def whole(value: object) -> bool:
    """Say whether a value is an integer; True and False are none here.

    Examples
    --------
    >>> whole(3), whole(True)
    (True, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def class_labels(name: str, y: ArrayLike, classes: int | None) -> np.ndarray:
    """Return y in int64; raise InputError unless it is (N,) with integers from 0 to classes - 1.

    Examples
    --------
    >>> class_labels("y", [0, 2], None).dtype
    dtype('int64')
    """
    if classes is not None and (not whole(classes) or not 2 <= classes < 2**63):
        wanted = "an integer from 2 on" if not whole(classes) or classes < 2 else "fewer than 2**63"
        raise InputError(f"classes is {brief(classes)}, expected {wanted}")
    y = as_array(name, y)
    if y.ndim != 1 or len(y) == 0:
        raise InputError(f"{name} has shape {y.shape}, expected (N,) with at least one label")
    if y.dtype.kind not in "iu":
        raise InputError(f"{name} has type {y.dtype}, expected integer labels")
    low, high = int(y.min()), int(y.max())
    last = 2**63 - 1 if classes is None else classes - 1
    if low < 0 or high > last:
        wanted = "0 on" if classes is None else f"0 to {last}"
        raise InputError(f"{name} holds the label {low if low < 0 else high}, expected labels from {wanted}")
    return y.astype(np.int64)


def one_hot(labels: ArrayLike, classes: int, dtype: DTypeLike = "float32") -> np.ndarray:
    """Turn labels into one-hot rows: a 1 at the index of the label, and 0 elsewhere.

    Parameters
    ----------
    labels : array-like (N,), integer
        The labels, from 0 to classes - 1.
    classes : int
        The number of classes, 2 or more.
    dtype : dtype, optional
        The dtype of the rows.

    Returns
    -------
    array (N, classes)
        One row for each label.

    Raises
    ------
    InputError
        If the labels are not integers from 0 to classes - 1, or if the dtype is none of numbers.

    Examples
    --------
    >>> from nobackprop.data import one_hot
    >>> one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    y = class_labels("labels", labels, classes)
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as error:  # a text with commas is read as a tuple
        raise InputError(f"dtype is {brief(dtype)}, expected one of numbers, such as float32") from error
    if kind.kind not in "iufc":
        raise InputError(f"dtype is {brief(dtype)}, expected one of numbers, such as float32")
    try:
        rows = np.zeros((len(y), classes), kind)
    except (MemoryError, ValueError) as error:
        raise InputError(f"classes is {brief(classes)}, expected rows that fit in memory") from error
    rows[np.arange(len(y)), y] = 1
    return rows


def columns(name: str, y: ArrayLike, outputs: int | None, wanted: str) -> np.ndarray:
    """Return y as an array (N, k); raise InputError if it has another shape, or another k than `outputs`.

    Examples
    --------
    >>> columns("y", [1.0, 2.0], None, "numbers").shape
    (2, 1)
    """
    y = as_array(name, y)
    if y.ndim == 1:
        y = y[:, None]
    if y.ndim != 2 or y.size == 0:
        raise InputError(f"{name} has shape {y.shape}, expected (N,) or (N, k) with at least one of {wanted}")
    if outputs is not None and y.shape[1] != outputs:
        raise InputError(f"{name} has {y.shape[1]} {wanted} for each sample, expected {outputs}")
    return y


def real_numbers(name: str, y: ArrayLike, outputs: int | None) -> np.ndarray:
    """Return y (N, k) as it is; raise InputError unless it is made of finite real numbers.

    Examples
    --------
    >>> real_numbers("y", [1.5, 2.5], 1).tolist()
    [[1.5], [2.5]]
    """
    y = columns(name, y, outputs, "numbers")
    if y.dtype.kind not in "biuf":
        raise InputError(f"{name} has type {y.dtype}, expected real numbers")
    good = np.isfinite(y).all(1)
    if not good.all():
        raise InputError(f"{name} holds NaN or infinity (first in row {good.argmin()}), expected finite numbers")
    return y


def yes_and_no(name: str, y: ArrayLike, outputs: int | None) -> np.ndarray:
    """Return y (N, k) in uint8; raise InputError unless it is made of 0 and 1, or of False and True.

    Examples
    --------
    >>> yes_and_no("y", [[True, False]], 2).tolist()
    [[1, 0]]
    """
    y = columns(name, y, outputs, "labels")
    if y.dtype.kind not in "biuf":
        raise InputError(f"{name} has type {y.dtype}, expected 0 and 1 for each label")
    wrong = (y != 0) & (y != 1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        raise InputError(f"{name} holds {y[row, column].item()} in row {row}, expected 0 and 1 for each label")
    return y.astype(np.uint8)


def accuracy(a: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Return the share of the samples whose largest output is that of their class; outputs must be finite to count.

    Examples
    --------
    >>> accuracy(np.array([[1.0, 0.0], [np.inf, 0.0]]), np.eye(2)[[0, 0]])
    (0.5,)
    """
    return (float(((a.argmax(-1) == y.argmax(-1)) & np.isfinite(a).all(-1)).mean()),)


def r2_and_error(a: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Return R^2 and the mean error |a - y|, both as means over the k numbers.

    R^2 is 1 less the sum of squared errors over the sum of squared distances from the mean.  If a number is the same
    for all samples, R^2 is 1 if the network says it exactly, and otherwise 0.

    Examples
    --------
    >>> r2_and_error(np.array([[2.0], [2.0]]), np.array([[1.0], [3.0]]))
    (0.0, 1.0)
    """
    a, y = a.astype("float64"), y.astype("float64")
    wrong, spread = ((d * d).sum(0) for d in (a - y, y - y.mean(0)))
    there = spread > 0
    r2 = np.where(there, 1 - wrong / np.where(there, spread, 1), np.where(wrong == 0, 1.0, 0 * wrong))
    return float(r2.mean()), float(abs(a - y).mean())


def matches(a: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Return the share of the samples of which all labels are right, and the share of all labels that are right.

    Examples
    --------
    >>> matches(np.array([[1.0, -1.0], [2.0, 3.0]]), np.array([[1, 0], [0, 1]]))
    (0.5, 0.75)
    """
    right = ((a > 0) == (y > 0.5)) & np.isfinite(a)
    return float(right.all(-1).mean()), float(right.mean())


def class_rows(y: np.ndarray, names: Sequence[Name], mean: np.ndarray | None = None,
               scale: np.ndarray | None = None) -> np.ndarray:
    """Return the one-hot rows of labels (N,) that are among the names; raise InputError if one is not.

    Examples
    --------
    >>> class_rows(np.array(["b"]), ("a", "b")).tolist()
    [[0.0, 1.0]]
    """
    if y.ndim != 1:
        raise InputError(f"y has shape {y.shape}, expected ({len(y)},): a class for each sample")
    strange = [value for value in np.unique(y).tolist() if value not in names]
    if strange:
        raise InputError(f"y holds {strange[0]!r}, expected classes: {', '.join(map(str, names))}")
    return one_hot(indexed("y", y, names), len(names))


def raw_numbers(a: np.ndarray, names: Sequence[Name], mean: np.ndarray | None,
                scale: np.ndarray | None) -> np.ndarray:
    """Return outputs (N, k) in the units of the raw targets; (N,) if k is 1.

    Examples
    --------
    >>> raw_numbers(np.array([[1.0], [2.0]]), ("y",), np.array([100.0]), np.array([10.0])).tolist()
    [110.0, 120.0]
    """
    raw = (a if scale is None else a * scale) + (0 if mean is None else mean)
    return raw[:, 0] if raw.shape[1] == 1 else raw


def number_rows(y: np.ndarray, names: Sequence[Name], mean: np.ndarray | None,
                scale: np.ndarray | None) -> np.ndarray:
    """Return raw targets (N, k) or (N,) in the units of the outputs, (N, k); see `raw_numbers`.

    Examples
    --------
    >>> number_rows(np.array([110.0, 120.0]), ("y",), np.array([100.0]), np.array([10.0])).tolist()
    [[1.0], [2.0]]
    """
    rows = real_numbers("y", y, len(names)) - (0 if mean is None else mean)
    return rows if scale is None else rows / scale


ACCURACY = Measure("accuracy", "accuracy")
TASKS: dict[str, Task] = {
    "classes": Task("classes", "cross_entropy", lambda loss: True, (ACCURACY,), class_labels, one_hot, accuracy,
                    lambda a, names, mean, scale: np.asarray(names)[a.argmax(1)], class_rows),
    "numbers": Task("numbers", "squared", lambda loss: loss not in ENTROPIES,
                    (Measure("r2", "R2", None, 1.0, -1.0), Measure("mean_error", "mean error", 0.0, None)),
                    real_numbers, lambda y, outputs, dtype: y.astype(dtype), r2_and_error, raw_numbers, number_rows),
    "labels": Task("labels", "binary_cross_entropy", lambda loss: loss == "binary_cross_entropy",
                   (Measure("exact_match", "exact match"), Measure("label_accuracy", "label accuracy")), yes_and_no,
                   lambda y, outputs, dtype: y.astype(dtype), matches,
                   lambda a, names, mean, scale: (a > 0).astype(np.int64),
                   lambda y, names, mean, scale: yes_and_no("y", y, len(names))),
}
# by loss: the probabilities that outputs stand for
PROBABILITIES: dict[str, Callable[[Any], Any]] = {"cross_entropy": softmax, "binary_cross_entropy": sigmoid}


def losses(task: str) -> list[str]:
    """Return the names of the losses with which a task can be learnt.

    Examples
    --------
    >>> losses("labels")
    ['binary_cross_entropy']
    """
    return [loss for loss in LOSSES if TASKS[task].fits(loss)]


# ---------------------------------------------------------------- what stands in records


def task_of(record: Mapping[str, Any], part: str) -> Task:
    """Return the task of a record of a run, part "test", or an epoch, part "validation".

    It is the one of which the record has the first measure; if there is none, it is that of classes.

    Examples
    --------
    >>> task_of({"test_r2": None}, "test").name, task_of({"validation_accuracy": 0.5}, "validation").name
    ('numbers', 'classes')
    """
    return next((task for task in TASKS.values() if f"{part}_{task.measures[0].name}" in record), TASKS["classes"])


def score(record: Mapping[str, Any], part: str) -> Any:
    """Return the first measure of a record, of the part "test" or "validation": the larger, the better.

    Examples
    --------
    >>> score({"test_exact_match": 0.25}, "test")
    0.25
    """
    return record[f"{part}_{task_of(record, part).measures[0].name}"]


def measures_of(runs: Sequence[Mapping[str, Any]]) -> list[Measure]:
    """Return what was measured in the records of some runs, each once, in the order of TASKS.

    Examples
    --------
    >>> [one.name for one in measures_of([{"test_r2": 0.5}, {"test_r2": 0.75}])]
    ['r2', 'mean_error']
    """
    names = {task_of(run, "test").name for run in runs} or {"classes"}
    return [one for task in TASKS.values() if task.name in names for one in task.measures]
