"""What a user did wrong, said in one sentence."""
from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real


class InputError(ValueError):
    """A mistake in what was asked for; the command line prints its sentence and exits with 2."""


def unknown(what: str, came: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not on a list, with the nearest name that is.

    >>> print(unknown("rule", "lass", ["bp", "las"]))
    unknown rule 'lass': did you mean 'las'? (known: bp, las)
    """
    known = list(known)
    near = get_close_matches(came.lower(), known, n=1, cutoff=0.5) if isinstance(came, str) else []
    hint = f"did you mean '{near[0]}'? " if near else ""
    shown = f"{brief(came)}, which is no name"
    if isinstance(came, str):
        shown = f"'{came}'" if len(came) <= 60 else brief(came)
    return InputError(f"unknown {what} {shown}: {hint}(known: {', '.join(known)})")


def check_name(what: str, name: object, known: Iterable[str]) -> None:
    """Raises InputError if `name` is not on a list of names."""
    if not isinstance(name, str) or name not in known:
        raise unknown(what, name, known)


def brief(value: object) -> str:
    """A value in one line, as short as a message needs it.

    >>> brief([1, "a"]), brief(10**5000), brief("x" * 100)
    ("[1, 'a']", 'an integer of 16610 bits', "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...")
    """
    if isinstance(value, int) and value.bit_length() > 100:  # Python does not write out very large ones
        return f"an integer of {value.bit_length()} bits"
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def integer(name: str, value: object, low: int, high: float = math.inf) -> int:
    """`value` as one of Python's own integers.

    Raises InputError if it is none, or if it is not from low to high.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InputError(f"{name} must be an integer, got {brief(value)}")
    found = int(value)
    if not low <= found <= high:
        limit = f"at least {low}" if found < low else f"at most {high}"
        raise InputError(f"{name} must be {limit}, got {brief(found)}")
    return found


def number(name: str, value: object, kind: str = "positive", below: float = math.inf) -> float:
    """`value` as one of Python's own floats: NumPy's would change the type of the arrays that they multiply.

    kind: "positive", "non-negative" or "finite".  Raises InputError if it is no such number below `below`.
    """
    came = brief(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if {"positive": found > 0, "non-negative": found >= 0, "finite": found > -math.inf}[kind] and found < below:
            return found
        came = f"{found}"
    limit = f" below {below:g}" if below < math.inf else ""
    raise InputError(f"{name} must be a {kind} number{limit}, got {came}")
