"""What a paper's numbered equations are made of; each paper's list is a file of its own beside this one."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Equation:
    """One numbered equation: as printed, what it says, and where the printed form cannot be computed so.

    `text` is for terminals and `tex` for pages, both as printed.  `kind` is "code" where lines compute it and
    "property" where only tests can hold it.  `corrected` and `reason` stand where the printed form is wrong,
    `note` where it needs a condition or a reading.  `later` says why the library does not have it yet.
    """

    number: str
    section: str
    text: str
    tex: str
    meaning: str
    kind: Literal["code", "property"] = "code"
    corrected: str = ""
    corrected_tex: str = ""
    reason: str = ""
    note: str = ""
    later: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper by the name that its tags carry, capitals only; `reading` is how to read its equations here."""

    key: str
    title: str
    reading: str
    equations: tuple[Equation, ...]
