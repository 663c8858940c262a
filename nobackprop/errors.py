"""Errors that say in one sentence what a user did wrong, and checks of single values that raise them."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from numbers import Integral, Real


class InputError(ValueError):
    """A mistake in what was asked for; the command line prints its sentence and exits with status 2.

    Examples
    --------
    >>> raise InputError("epochs must be at least 1, got 0")
    Traceback (most recent call last):
    nobackprop.errors.InputError: epochs must be at least 1, got 0
    """


def unknown(what: str, came: object, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not on a list; its sentence names the nearest one that is.

    Parameters
    ----------
    what : str
        What the name is a name of, such as "rule".
    came : object
        What the user gave, which need not be a text.
    known : iterable of str
        The names on the list.

    Returns
    -------
    InputError
        For the caller to raise.

    Examples
    --------
    >>> print(unknown("rule", "lass", ["bp", "las"]))
    unknown rule 'lass': did you mean 'las'? (known: bp, las)
    """
    known = list(known)
    small = {name.lower(): name for name in reversed(known)}  # names of classes have capitals
    # a number that is near in its digits is no nearer in what it means
    word = isinstance(came, str) and not came.strip("()").isdecimal()
    near = get_close_matches(str(came).lower(), small, n=1, cutoff=0.55) if word else []
    hint = f": did you mean '{small[near[0]]}'?" if near else ""
    shown = f"{brief(came)}, which is no name"
    if isinstance(came, str):
        shown = f"'{came}'" if len(came) <= 60 else brief(came)
    return InputError(f"unknown {what} {shown}{hint} (known: {', '.join(known)})")


def check_name(what: str, name: object, known: Iterable[str]) -> None:
    """Raise InputError if a name is not on a list of names.

    Parameters
    ----------
    what : str
        What the name is a name of, such as "rule".
    name : object
        What the user gave.
    known : iterable of str
        The names on the list.

    Raises
    ------
    InputError
        As `unknown` words it.

    Examples
    --------
    >>> check_name("rule", "bp", ["bp", "las"])
    >>> check_name("rule", "lass", ["bp", "las"])
    Traceback (most recent call last):
    nobackprop.errors.InputError: unknown rule 'lass': did you mean 'las'? (known: bp, las)
    """
    if not isinstance(name, str) or name not in known:
        raise unknown(what, name, known)


def brief(value: object) -> str:
    """Return a value as text for a message: one line of 40 characters or fewer.

    Parameters
    ----------
    value : object

    Returns
    -------
    str

    Examples
    --------
    >>> brief([1, "a"]), brief(10**5000), brief("x" * 100)
    ("[1, 'a']", 'an integer of 16610 bits', "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...")
    """
    if isinstance(value, int) and value.bit_length() > 100:  # Python does not write out very large ones
        return f"an integer of {value.bit_length()} bits"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of what a user made, or of a very large integer inside it
        return f"a {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:37]}..."


def integer(name: str, value: object, low: int, high: float = math.inf) -> int:
    """Return a value as one of Python's own integers.

    Parameters
    ----------
    name : str
        What the message calls the value.
    value : object
        What the user gave; an integer of NumPy's will do.
    low, high : int
        The smallest and the largest integer that may come.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If the value is no integer, or if it is not from low to high.  True and False are no integers here.

    Examples
    --------
    >>> integer("epochs", 3, 1)
    3
    >>> integer("epochs", 0, 1)
    Traceback (most recent call last):
    nobackprop.errors.InputError: epochs must be at least 1, got 0
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InputError(f"{name} must be an integer, got {brief(value)}")
    found = int(value)
    if not low <= found <= high:
        limit = f"at least {low}" if found < low else f"at most {high}"
        raise InputError(f"{name} must be {limit}, got {brief(found)}")
    return found


def yes_or_no(name: str, value: object) -> bool:
    """Return a value as a bool of Python's own; raise InputError if it is neither True nor False.

    Examples
    --------
    >>> yes_or_no("nesterov", 1)
    Traceback (most recent call last):
    nobackprop.errors.InputError: nesterov must be True or False, got 1
    """
    if isinstance(value, bool) or type(value).__name__ == "bool" and getattr(value, "shape", None) == ():
        return bool(value)
    raise InputError(f"{name} must be True or False, got {brief(value)}")


def number(name: str, value: object, kind: str = "positive", below: float = math.inf,
           most: float = math.inf) -> float:
    """Return a value as one of Python's own floats, as NumPy's would change the type of the arrays that they multiply.

    Parameters
    ----------
    name : str
        What the message calls the value.
    value : object
        What the user gave; a number of NumPy's will do.
    kind : {"positive", "non-negative", "finite"}
        Which numbers may come; infinity and NaN never may.
    below, most : float
        What the number must be less than, and what it may be at most.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the value is no such number.

    Examples
    --------
    >>> number("lr", 1)
    1.0
    >>> number("lr", -1.0)
    Traceback (most recent call last):
    nobackprop.errors.InputError: lr must be a positive number, got -1.0
    """
    came = brief(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:  # and the text says what came
            raise InputError(f"{name} must be a {kind} number, got {came}") from None
        if {"positive": found > 0, "non-negative": found >= 0, "finite": found > -math.inf}[kind] \
                and found < below and found <= most:
            return found
        came = f"{found}"
    limit = f" below {below:g}" if below < math.inf else f" up to {most:g}" if most < math.inf else ""
    raise InputError(f"{name} must be a {kind} number{limit}, got {came}")


@contextmanager
def carrying(name: str, measured: Callable[[], object]) -> Iterator[None]:
    """Give an error that comes out of a `with` block, Ctrl-C included, what was reached until then, as an attribute.

    Parameters
    ----------
    name : str
        The name of the attribute.
    measured : callable
        A function without arguments that gives its value.

    Examples
    --------
    >>> try:
    ...     with carrying("reached", lambda: 3):
    ...         raise RuntimeError("of a callback")
    ... except RuntimeError as error:
    ...     error.reached
    3
    """
    try:
        yield
    except BaseException as error:
        with suppress(AttributeError, TypeError):  # the few that take no attributes
            setattr(error, name, measured())
        raise
