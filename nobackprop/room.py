"""A check that what was asked for fits into memory, which is made before anything is allocated."""
from __future__ import annotations

import os

from .errors import InputError

UNKNOWN = 2**33  # bytes, if the system does not say


def memory() -> int:
    """Return how many bytes of memory this machine has.

    Returns
    -------
    int
        2^33 if the system does not say.

    Examples
    --------
    >>> memory() > 2**20
    True
    """
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN


def check_room(asked: str, what: str, numbers: int, each: int) -> None:
    """Raise InputError if numbers take more memory than this machine has.

    Parameters
    ----------
    asked : str
        What the user asked for, as the message names it.
    what : str
        What the numbers are, such as "weights".
    numbers : int
        How many there are.
    each : int
        How many bytes each of them takes.

    Raises
    ------
    InputError
        If they do not fit.

    Examples
    --------
    >>> check_room("model mlp:300", "weights", 100_000, 4)
    """
    most = memory() // each
    if numbers > most:
        raise InputError(f"{asked} has {numbers:,} {what} or more, expected at most {most:,}, as many as fit into "
                         "memory")
