"""What an exercise is: a question, the stored solution, the likely mistakes, and hints."""
from __future__ import annotations

import importlib
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Given = dict[str, Any]  # the prepared inputs, by their names


@dataclass(frozen=True)
class Mistake:
    """A likely wrong answer to an exercise.

    Parameters
    ----------
    name : str
        What the mistake is, in a few words, such as "printed sign".
    source : str
        Python source that makes the mistake; it defines `answer`, as the stored solution of the exercise does.
    says : str
        A sentence for the reader who made it, such as "Is the sign that of (21) as printed?"

    Examples
    --------
    >>> Mistake("sign", "answer = -1", "Is the sign right?").name
    'sign'
    """

    name: str
    source: str
    says: str


@dataclass(frozen=True)
class Exercise:
    """An exercise of a notebook.

    Parameters
    ----------
    name : str
        The name by which a notebook asks for it, such as "las:21".
    ask : str
        What is to be written, in one sentence that cites the equation if there is one.
    source : str
        The stored solution: Python source that defines `answer`, either as a function or as a value.  It may use the
        names in `given`, and `np` and `nb`.
    given : callable
        given(seed) makes the prepared inputs: a dict of names and values.  A function gets those that its arguments
        name in the stored solution, in that order.
    right : callable
        The right value, computed by the library and not by the stored solution.  It gets those of the prepared inputs
        that its arguments name.  A value is a number, an array, or a list or dict of these.
    wrong : tuple of Mistake
        The likely wrong answers.
    hints : tuple of str
        Sentences, from the first push to nearly the solution.
    what : str
        What a sentence calls the answer, such as "gradient".
    part : str
        What a sentence calls a part of an answer that is a list, such as "module".

    Examples
    --------
    >>> double = Exercise("double", "Write 2 x.", "def answer(x): return 2 * x", lambda seed: {"x": 1.0 + seed},
    ...                   right=lambda x: x + x)
    >>> double.is_function, double.arguments, double.value(double.source, 3), double.right_value(3)
    (True, ['x'], 8.0, 8.0)
    """

    name: str
    ask: str
    source: str
    given: Callable[[int], Given]
    right: Callable[..., Any]
    wrong: tuple[Mistake, ...] = ()
    hints: tuple[str, ...] = ()
    what: str = "answer"
    part: str = "part"

    @property
    def text(self) -> str:
        """The stored solution as it is shown: without the indentation that it has in its file."""
        return _plain(self.source)

    @property
    def is_function(self) -> bool:
        """Whether the answer is a function, and not a value."""
        return callable(self.run(self.source, self.given(0)))

    @property
    def arguments(self) -> list[str]:
        """The names of the arguments of the answer; none if it is a value."""
        solution = self.run(self.source, self.given(0))
        return list(inspect.signature(solution).parameters) if callable(solution) else []

    @staticmethod
    def run(source: str, given: Given) -> Any:
        """Run Python source, and return the `answer` that it defines."""
        names = {"np": np, "nb": importlib.import_module("nobackprop"), **given}
        exec(compile(_plain(source), "<exercise>", "exec"), names)
        return names["answer"]

    def value(self, source: str, seed: int) -> Any:
        """Return the value of the answer that a source defines, on the inputs of a seed."""
        given = self.given(seed)
        found = self.run(source, given)
        return found(*(given[name] for name in self.arguments)) if callable(found) else found

    def right_value(self, seed: int) -> Any:
        """Return the right value on the inputs of a seed."""
        given = self.given(seed)
        return self.right(**{name: given[name] for name in inspect.signature(self.right).parameters if name in given})


def _plain(source: str) -> str:
    return textwrap.dedent(source).strip()
