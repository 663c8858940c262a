"""Whether what was asked for fits into memory: told in one sentence before anything is allocated."""
from __future__ import annotations

import os

from .errors import InputError

UNKNOWN = 2**33  # bytes, if the system does not say


def memory() -> int:
    """Bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN


def check_room(asked: str, what: str, numbers: int, each: int) -> None:
    """Raises InputError if so many numbers, with so many bytes each, are more than this machine has memory."""
    most = memory() // each
    if numbers > most:
        raise InputError(f"{asked} has {numbers:,} {what} or more, expected at most {most:,}, as many as fit into "
                         "memory")
