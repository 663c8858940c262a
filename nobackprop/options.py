"""The options of a rule: the fields of a dataclass, each of the kind that its default is of.

A number is above 0 and an integer at least 1, if the field does not say otherwise by `number` or `one_of`.  A number
that is not 0 is of a size from 1e-8 to 1e8, so that float32 holds its square and what it is multiplied by.
"""
from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import Field, field
from numbers import Integral, Real
from typing import Any

from .errors import InputError, brief, unknown

SMALLEST, LARGEST = 1e-8, 1e8  # sizes of an option that is a number


def number(default: float, wanted: str, fits: Callable[[float], bool]) -> Any:
    """Return a dataclass field for an option that is a number, of another range than above 0.

    Parameters
    ----------
    default : float
        The default of the option.
    wanted : str
        What the message says of the numbers that may come.
    fits : callable
        Whether a number may come.

    Returns
    -------
    dataclasses.Field

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Noise:
    ...     scale: float = number(0.0, "0 or more", lambda x: x >= 0)
    >>> Noise().scale
    0.0
    """
    return field(default=default, metadata={"wanted": wanted, "fits": fits})


def one_of(known: Collection[str], default: str, what: str) -> Any:
    """Return a dataclass field for an option that is a name on a list.

    Parameters
    ----------
    known : collection of str
        The list.
    default : str
        The default of the option.
    what : str
        What the names are names of, as the message says it.

    Returns
    -------
    dataclasses.Field

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Weights:
    ...     drawn: str = one_of(("gaussian", "uniform"), "gaussian", "distribution")
    >>> Weights().drawn
    'gaussian'
    """
    return field(default=default, metadata={"known": known, "what": what})


def checked(option: Field[Any], came: Any) -> Any:
    """Return the value of a rule's option; a number becomes one of Python's own.

    A scalar of NumPy has a dtype of its own, and would turn gradients of float32 into float64.

    Parameters
    ----------
    option : dataclasses.Field
        The option.
    came : object
        What the user gave.

    Returns
    -------
    object
        A bool, an int, a float, a str or a function, as the option's default is.

    Raises
    ------
    InputError
        If the option cannot have that value.

    Examples
    --------
    >>> from dataclasses import dataclass, fields
    >>> import numpy as np
    >>> @dataclass
    ... class Noise:
    ...     scale: float = 1.0
    >>> checked(fields(Noise)[0], np.float64(2.0))
    2.0
    >>> checked(fields(Noise)[0], -2.0)
    Traceback (most recent call last):
    nobackprop.errors.InputError: scale must be a positive number, got -2.0
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
            fits = real and value == value and above(value)  # NaN is not equal to itself
            if fits and value and not SMALLEST <= abs(value) <= LARGEST:
                raise InputError(f"{option.name} must be {wanted} of a size from 1e-8 to 1e8, got {brief(came)}")
        case str():
            kind, wanted, fits = str, "a name", isinstance(value, str)
        case default:
            kind, wanted, fits = lambda value: value, "a function", callable(value) or not callable(default)
    if not fits:
        raise InputError(f"{option.name} must be {wanted}, got {brief(came)}")
    if "known" in said and value not in said["known"]:
        raise unknown(said["what"], value, said["known"])
    return kind(value)
