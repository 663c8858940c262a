"""What a paper and its numbered equations are made of; the list of each paper is a file of its own in this folder."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KINDS = {
    "code": "",
    "definition": "It is a definition or a special case: no line of code is for it alone, and tests check it.",
    "property": "It is a property of what other equations compute: no line of code computes it, and tests check it.",
}


@dataclass(frozen=True)
class Equation:
    """One numbered equation: as printed, what it says, and what is computed if the printed form is wrong.

    Attributes
    ----------
    number : str
        The number in the paper, without brackets.
    section : str
        The section of the paper.
    text, tex : str
        The equation as printed: for terminals in ASCII, and for pages in TeX.
    meaning : str
        What the equation says, in one sentence.
    kind : str
        'code' if lines of code compute it; otherwise 'definition' if it only names a quantity, or is a special case of
        another equation, and 'property' if it says what is true of other equations.  Tests check both.
    corrected, corrected_tex, reason : str
        If the printed form is wrong: the form that is computed, and why.
    note : str
        A condition that the equation needs, or how it has to be read.
    later : str
        Why the library does not have it yet.

    Examples
    --------
    >>> from nobackprop.studies.equations import PAPERS
    >>> equation = PAPERS[0].equations[23]
    >>> equation.number, equation.text
    ('24', "delta_i^LAS = (B_{i+1} e) .* f_i'(a_i)")
    """

    number: str
    section: str
    text: str
    tex: str
    meaning: str
    kind: Literal["code", "definition", "property"] = "code"
    corrected: str = ""
    corrected_tex: str = ""
    reason: str = ""
    note: str = ""
    later: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper and its equations.

    Attributes
    ----------
    key : str
        The name that its tags carry, in capitals.
    title : str
        The authors, the year and the title.
    reading : str
        How to read its equations in this library.
    equations : tuple of Equation
        The equations, in the order of the paper.

    Examples
    --------
    >>> from nobackprop.studies.equations import PAPERS
    >>> [(paper.key, len(paper.equations)) for paper in PAPERS][0]
    ('LAS', 30)
    """

    key: str
    title: str
    reading: str
    equations: tuple[Equation, ...]
