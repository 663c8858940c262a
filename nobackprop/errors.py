"""What a user did wrong, said in one sentence."""
from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """A mistake in what was asked for; the command line prints its sentence and exits with 2."""


def unknown(what: str, came: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not on a list, with the nearest name that is.

    >>> print(unknown("rule", "lass", ["bp", "las"]))
    unknown rule 'lass': did you mean 'las'? (known: bp, las)
    """
    known = list(known)
    near = get_close_matches(came.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return InputError(f"unknown {what} '{came}': {hint}(known: {', '.join(known)})")
