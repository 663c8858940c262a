"""The exercises of the notebooks: they check an answer, name a likely mistake, give hints, and show a solution.

Each file of this folder holds the exercises of one notebook, in a tuple `EXERCISES`; `base` says what an exercise is.

Examples
--------
>>> from nobackprop import exercises
>>> exercises.check("kernels:outer", lambda delta, u: delta.T @ u)
Right: the library computes the same.
>>> exercises.check("kernels:outer", ...)  # doctest: +ELLIPSIS
Not written yet. Write the product "outer": from delta (N, F) and u (N, K) the matrix (F, K) of the sums over the ...
"""
from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

from ..errors import check_name, integer
from .base import Exercise, Given, Mistake
from .marking import Verdict, mark

__all__ = ["Exercise", "Folded", "Mistake", "Verdict", "check", "given", "hint", "names", "solution"]


@dataclass(frozen=True)
class Folded:
    """A text that a notebook shows folded: one click opens it.

    Parameters
    ----------
    title : str
        What can be seen before it is opened.
    text : str
        The text.
    code : bool
        Whether the text is code.

    Examples
    --------
    >>> Folded("Hint 1 of 1", "Count the samples.")
    Hint 1 of 1: Count the samples.
    """

    title: str
    text: str
    code: bool = False

    def __repr__(self) -> str:
        return f"{self.title}:\n{self.text}" if self.code else f"{self.title}: {self.text}"

    def _repr_html_(self) -> str:
        kind = "pre" if self.code else "p"
        return f"<details><summary>{escape(self.title)}</summary><{kind}>{escape(self.text)}</{kind}></details>"


def check(name: str, answer: Any, *more: Any) -> Verdict:
    """Check an answer to an exercise.

    Parameters
    ----------
    name : str
        The name of the exercise, see `names`.
    answer : object
        The answer: a number, an array, a list of arrays, or a function, as the exercise asks.  A function is called on
        prepared inputs.  None or ... is an answer that is not written yet, also if a function returns it.
    *more : object
        Further parts of an answer that has several: ``check(name, dW, db)`` is ``check(name, [dW, db])``.

    Returns
    -------
    Verdict
        It is shown as one or two sentences: the answer is right, or what differs, where, and which likely mistake gives
        just this.  Its `right` says the first of these as a bool.

    Raises
    ------
    InputError
        If there is no exercise of that name.  An answer never raises an error, so a notebook runs on.

    Examples
    --------
    >>> check("kernels:outer", lambda delta, u: u.T @ delta)  # doctest: +ELLIPSIS
    Not yet: your matrix has the shape (5, 3), expected (3, 5). You have its transpose: ...
    >>> check("kernels:outer", lambda delta, u: delta * u)  # doctest: +ELLIPSIS
    Your function stops with ValueError: operands could not be broadcast together ... Of its arguments, delta is an ...
    """
    return mark(_find(name), [answer, *more] if more else answer)


def given(name: str) -> Given:
    """Return the prepared inputs of an exercise, by their names.

    A function is called on these, and on others of the same kind.

    Parameters
    ----------
    name : str
        The name of the exercise.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If there is no exercise of that name.

    Examples
    --------
    >>> {key: value.shape for key, value in given("kernels:patch").items()}
    {'image': (4, 4), 'K': (2, 2)}
    """
    return _find(name).given(0)


def hint(name: str, n: int = 1) -> Folded:
    """Return the n-th hint to an exercise; a notebook shows it folded.

    Parameters
    ----------
    name : str
        The name of the exercise.
    n : int
        Which hint, counted from 1; later ones tell more.

    Returns
    -------
    Folded

    Raises
    ------
    InputError
        If there is no exercise of that name, or no such hint.

    Examples
    --------
    >>> hint("kernels:outer")
    Hint 1 of 2: Which axis of delta and u counts the samples? That axis must disappear.
    """
    hints = _find(name).hints
    n = integer(f"n, which counts the hints to {name},", n, 1, len(hints))
    return Folded(f"Hint {n} of {len(hints)}", hints[n - 1])


def solution(name: str) -> Folded:
    """Return the stored solution of an exercise; a notebook shows it folded.

    Parameters
    ----------
    name : str
        The name of the exercise.

    Returns
    -------
    Folded

    Raises
    ------
    InputError
        If there is no exercise of that name.

    Examples
    --------
    >>> solution("kernels:outer")
    Solution:
    def answer(delta, u):
        return delta.T @ u
    """
    return Folded("Solution", _find(name).text, code=True)


def names() -> list[str]:
    """Return the names of all exercises, notebook by notebook.

    Returns
    -------
    list of str

    Examples
    --------
    >>> "kernels:outer" in names()
    True
    """
    return list(_all())


@cache
def _all() -> dict[str, Exercise]:
    """All exercises of the files in this folder, by their names."""
    found: dict[str, Exercise] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda one: one.name):
        for exercise in getattr(importlib.import_module(f"{__name__}.{module.name}"), "EXERCISES", ()):
            if exercise.name in found:
                raise ValueError(f"two exercises have the name {exercise.name}")
            found[exercise.name] = exercise
    return found


def _find(name: str) -> Exercise:
    check_name("exercise", name, _all())
    return _all()[name]
