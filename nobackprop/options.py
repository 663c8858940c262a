"""The options of a rule: the fields of a dataclass, each of the kind that its default is of.

A number is finite and above 0 and an integer at least 1, if the field does not say otherwise by `number` or `one_of`.
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import Field, field
from numbers import Integral, Real
from typing import Any

from .errors import InputError, unknown


def number(default: float, wanted: str, fits: Callable[[float], bool]) -> Any:
    """A field that holds a number, of another range than above 0."""
    return field(default=default, metadata={"wanted": wanted, "fits": fits})


def one_of(known: Collection[str], default: str, what: str) -> Any:
    """A field that holds one of these names."""
    return field(default=default, metadata={"known": known, "what": what})


def checked(option: Field[Any], came: Any) -> Any:
    """The value of a rule's option, as a number of Python's where it is a number.

    A scalar of NumPy has a dtype of its own, and would turn gradients of float32 into float64.
    Raises InputError for a value that the option cannot have.
    """
    said, value = option.metadata, came.item() if getattr(came, "shape", None) == () else came
    real = isinstance(value, Real) and not isinstance(value, bool)
    kind: Callable[[Any], Any]
    match option.default:
        case bool():
            kind, wanted, fits = bool, "True or False", isinstance(value, bool)
        case int():
            kind, wanted, fits = int, "an integer, at least 1", real and isinstance(value, Integral) and int(value) >= 1
        case float():
            kind, wanted, above = float, said.get("wanted", "a positive number"), said.get("fits", lambda x: x > 0)
            fits = real and abs(value) <= sys.float_info.max and above(value)
        case str():
            kind, wanted, fits = str, "a name", isinstance(value, str)
        case default:
            kind, wanted, fits = lambda value: value, "a function", callable(value) or not callable(default)
    if not fits:
        raise InputError(f"{option.name} must be {wanted}, got {came!r}")
    if "known" in said and value not in said["known"]:
        raise unknown(said["what"], value, said["known"])
    return kind(value)
