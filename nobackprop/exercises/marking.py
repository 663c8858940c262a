"""How an answer is marked: right, a mistake that is known, or what differs and where."""
from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import brief
from ..tree import leaves
from .base import Exercise, Given

SAME = 1e-4  # of the largest number: what float32 and another order of sums may differ by
SEEDS = (0, 1, 2)  # of the inputs on which a function must be right
TINY = 1e-6  # numbers below this one are as good as 0

Parts = dict[str, np.ndarray]  # the arrays of an answer by their paths; one array has the path ""


@dataclass(frozen=True)
class Verdict:
    """What `check` says of an answer.

    Parameters
    ----------
    right : bool
        Whether the answer is right.
    says : str
        One or two sentences for the reader.
    mistake : str
        The name of the mistake that was recognised, or "".

    Examples
    --------
    >>> Verdict(True, "Right.")
    Right.
    """

    right: bool
    says: str
    mistake: str = ""

    def __repr__(self) -> str:
        return self.says

    def _repr_markdown_(self) -> str:
        return f"**{'✓' if self.right else '✎'}** {self.says}"


class _Unfit(Exception):
    """An answer of which no number can be compared; its text is a sentence about it."""


def mark(exercise: Exercise, answer: Any) -> Verdict:
    """Compare an answer with the right one, and with what the likely mistakes give.

    Parameters
    ----------
    exercise : Exercise
    answer : object
        What came: a value, or a function, as the exercise asks.

    Returns
    -------
    Verdict
        Nothing that came raises an error here: a notebook runs on.

    Examples
    --------
    >>> double = Exercise("double", "Write 2 x.", "def answer(x): return 2 * x", lambda seed: {"x": 1.0 + seed},
    ...                   right=lambda x: x + x)
    >>> mark(double, lambda x: 2 * x), mark(double, lambda x: None)
    (Right: the library computes the same., Not written yet. Write 2 x.)
    >>> mark(double, lambda x: 3 * x)
    Not yet: your answer is off by 1 (it came as 1.5 times the right one).
    """
    seeds = SEEDS if exercise.is_function else SEEDS[:1]
    try:
        found = [_value(exercise, answer, exercise.given(seed)) for seed in seeds]
        if any(one is None or one is ... for one in found):
            return Verdict(False, f"Not written yet. {exercise.ask}")
        right = [parts(exercise.right_value(seed)) for seed in seeds]
        came = [_read(exercise, one, model) for one, model in zip(found, right)]
    except _Unfit as error:
        return Verdict(False, str(error))
    if all(map(same, came, right)):
        return Verdict(True, "Right: the library computes the same.")
    for mistake in exercise.wrong:
        wrong = [parts(exercise.value(mistake.source, seed)) for seed in seeds]
        if all(map(same, came, wrong)):
            return Verdict(False, f"Not yet: your {exercise.what} {_off(exercise, came, right)}. {mistake.says}",
                           mistake.name)
    factor = _factor(came, right)
    times = f" (it came as {factor:.3g} times the right one)" if factor is not None else ""
    return Verdict(False, f"Not yet: your {exercise.what} {_off(exercise, came, right)}{times}.")


def parts(value: Any) -> Parts:
    """Return the arrays of a number, an array, or a list or dict of arrays, by their paths.

    Raises TypeError if anything in it is no number.

    Examples
    --------
    >>> sorted(parts([1.0, {"W": [[2.0]]}])), parts(3).keys()
    (['0', '1/W/0/0'], dict_keys(['']))
    """
    found = {}
    for path, leaf in leaves(value):
        array = np.asarray(leaf)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"no number: {brief(leaf)}")
        found[path] = array
    return found


def same(a: Parts, b: Parts, limit: float = SAME) -> bool:
    """Say whether two answers have the same parts, and the same numbers up to a share of the largest.

    Examples
    --------
    >>> same(parts([1.0, 2.0]), parts([1.0, 2.00001])), same(parts([1.0, 2.0]), parts([1.0]))
    (True, False)
    """
    if a.keys() != b.keys() or any(a[path].shape != b[path].shape for path in a):
        return False
    return all(_size(_real(a[path]) - _real(b[path])) <= limit * max(_size(a[path]), _size(b[path]), TINY)
               for path in a)


def _value(exercise: Exercise, answer: Any, given: Given) -> Any:
    """What came, as a value: a function is called on the prepared inputs."""
    if answer is None or answer is ...:
        return answer
    if not exercise.is_function:
        if callable(answer):
            raise _Unfit(f"Your answer is a function, expected {_kind(exercise.right_value(0))}.")
        return answer
    names = exercise.arguments
    wanted = f"a function of ({', '.join(names)})"
    if not callable(answer):
        raise _Unfit(f"Your answer is {_kind(answer)}, expected {wanted}.")
    inputs = [given[name] for name in names]
    try:
        inspect.signature(answer).bind(*inputs)
    except TypeError:
        raise _Unfit(f"Your answer is a function of {inspect.signature(answer)}, expected {wanted}.") from None
    except ValueError:  # a function of C, which does not say what it takes
        pass
    try:
        with np.errstate(all="ignore"):
            return answer(*inputs)
    except Exception as error:
        shapes = ", ".join(f"{name} is {_kind(one)}" for name, one in zip(names, inputs))
        raise _Unfit(f"Your function stops with {type(error).__name__}: {error}. Of its arguments, {shapes}.") from None


def _read(exercise: Exercise, came: Any, right: Parts) -> Parts:
    """The parts of what came; raises _Unfit if they cannot be compared with those of the right value."""
    wanted = _kind(exercise.right_value(0))
    if "" in right and isinstance(came, list | tuple):  # an array that was typed as a list of its rows
        try:
            came = np.asarray(came)
        except ValueError:
            raise _Unfit(f"Your {exercise.what} is {_kind(came)}, expected {wanted}.") from None
    elif "" not in right and isinstance(came, np.ndarray) and came.ndim:
        came = list(came)
    try:
        found = parts(came)
    except TypeError:
        raise _Unfit(f"Your {exercise.what} is {_kind(came)}, expected {wanted}.") from None
    shapes = {path: array.shape for path, array in found.items()}
    known = [{path: array.shape for path, array in right.items()}]
    known += [{path: array.shape for path, array in parts(exercise.value(mistake.source, 0)).items()}
              for mistake in exercise.wrong]
    if shapes.keys() != known[0].keys():
        raise _Unfit(f"Your {exercise.what} is {_kind(came)}, expected {wanted}.")
    if shapes not in known:
        path = next(path for path, shape in shapes.items() if shape != known[0][path])
        of = _named(exercise, path, len(right))
        raise _Unfit(f"Your {exercise.what}{of} has the shape {shapes[path]}, expected {known[0][path]}.")
    for path, array in found.items():
        if not np.isfinite(_real(array)).all():
            kind = "NaN" if np.isnan(_real(array)).any() else "infinity"
            raise _Unfit(f"Your {exercise.what}{_named(exercise, path, len(right))} has {kind} in it"
                         f"{_at(~np.isfinite(_real(array)))}.")
    return found


def _off(exercise: Exercise, came: list[Parts], right: list[Parts]) -> str:
    """By how much an answer is off, and where: on the first inputs on which it is."""
    here, there = next((a, b) for a, b in zip(came, right) if not same(a, b))
    path = next(path for path in there if not same({"": here[path]}, {"": there[path]})
                ) if here.keys() == there.keys() else ""
    a, b, of = here[path], there[path], _named(exercise, path, len(there))
    if a.shape != b.shape:
        return f"has the shape {a.shape}{of}, expected {b.shape}"
    off = np.abs(_real(a) - _real(b))
    return f"is off by {'up to ' * (off.size > 1)}{float(off.max()):.2g}{of}{_at(off)}"


def _at(off: np.ndarray) -> str:
    """Where an array is largest, in words; counted from 0, as NumPy does."""
    at = [int(i) for i in np.unravel_index(int(np.argmax(off)), off.shape)]
    if not at:
        return ""
    return ", at " + (f"entry {at[0]}" if len(at) == 1 else f"row {at[0]}, column {at[1]}" if len(at) == 2 else f"{at}")


def _named(exercise: Exercise, path: str, number: int) -> str:
    """A part of an answer, in words; parts of a list are counted from 1, as the papers do."""
    if not path:
        return ""
    first, _, rest = path.partition("/")
    words = f" in {exercise.part} {int(first) + 1}" if first.isdigit() else f" in {first}"
    return words + (f" ({rest})" if rest else "")


def _kind(value: Any) -> str:
    """What a value is, in words."""
    if callable(value):
        return "a function"
    if isinstance(value, dict):
        return f"a dict with the keys {', '.join(map(str, value))}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if hasattr(value, "shape") and value.shape:
        return f"an array of shape {tuple(value.shape)}"
    if isinstance(value, bool | int | float) or hasattr(value, "shape"):
        return "a number"
    return brief(value)


def _factor(came: list[Parts], right: list[Parts]) -> float | None:
    """The one number by which all that came is a multiple of what is right, if there is one and it is not 0."""
    a, b = (np.concatenate([_real(one[path]).ravel() for one in each for path in right[0]])
            for each in (came, right))
    if a.shape != b.shape or not (b @ b):
        return None
    factor = float(a @ b / (b @ b))
    return factor if factor and same({"": a}, {"": factor * b}) else None


def _real(array: np.ndarray) -> np.ndarray:
    return array.astype("float64")


def _size(array: np.ndarray) -> float:
    return float(np.abs(_real(array)).max(initial=0))
