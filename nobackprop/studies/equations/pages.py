"""Equations and their places: as text for a terminal, and as a page of Markdown."""
from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...errors import unknown
from .paper import KINDS, Equation, Paper
from .papers import PAPERS
from .tags import Place, collect, in_checkout

SIGNS = "Symbols are those of the paper; .* is the product element by element."
ELSEWHERE = "Tests and notebooks carry tags too: they are in the repository."


def places_of(paper: Paper, equation: Equation, places: Iterable[Place]) -> dict[str, list[Place]]:
    """Return the places of one equation by kind.

    Parameters
    ----------
    paper : Paper
        The paper.
    equation : Equation
        The equation.
    places : iterable of Place
        Places of any equations.

    Returns
    -------
    dict of str to list of Place
        The places under 'code', 'test' and 'cell'.

    Examples
    --------
    >>> from nobackprop.studies.equations import PAPERS
    >>> las = PAPERS[0]
    >>> place = Place("LAS", "24", "nobackprop/a.py", 5, None, "LAS.credit", "return B @ e", True)
    >>> {kind: len(found) for kind, found in places_of(las, las.equations[23], [place]).items()}
    {'code': 1, 'test': 0, 'cell': 0}
    """
    found: dict[str, list[Place]] = {"code": [], "test": [], "cell": []}
    for place in places:
        if (place.paper, place.number) == (paper.key, equation.number):
            found[place.kind].append(place)
    return found


def describe(place: Place) -> str:
    """Return one place in one line.

    Parameters
    ----------
    place : Place
        The place.

    Returns
    -------
    str
        The path, the line and the function, or the notebook and its cell.

    Examples
    --------
    >>> from nobackprop.studies.equations import PAPERS
    >>> las = PAPERS[0]
    >>> place = Place("LAS", "24", "nobackprop/a.py", 5, None, "LAS.credit", "return B @ e", True)
    >>> describe(place)
    'nobackprop/a.py:5 LAS.credit'
    """
    if place.cell:
        return f"{place.path}, code cell {place.cell}"
    return f"{place.path}:{place.line} {place.test or place.name}".rstrip()


def address(paper: Paper, equation: Equation) -> str:
    """Return where the page of an equation is on the site.

    Parameters
    ----------
    paper : Paper
        The paper.
    equation : Equation
        The equation.

    Returns
    -------
    str
        The address, from the top of the site.

    Examples
    --------
    >>> from nobackprop.studies.equations import PAPERS
    >>> address(PAPERS[0], PAPERS[0].equations[23])
    'equations/las-24.html'
    """
    return f"equations/{f'{paper.key}-{equation.number}'.lower().replace('.', '-')}.html"


# ---------------------------------------------------------------- for a terminal


def show(paper: str | None = None, number: str | None = None) -> str:
    """Return equations and their places as text for a terminal.

    Parameters
    ----------
    paper : str, optional
        The key of a paper, in capital or small letters; None stands for all papers.
    number : str, optional
        The number of one equation, "24" or "(24)", which is then shown in full; None stands for all equations.

    Returns
    -------
    str
        The text; each paragraph is a line.

    Raises
    ------
    InputError
        If there is no such paper, or no such equation.

    Examples
    --------
    >>> print(show("las", "24").splitlines()[2].strip())
    delta_i^LAS = (B_{i+1} e) .* f_i'(a_i)
    """
    chosen = [_paper(paper)] if paper is not None else PAPERS
    places = collect()
    if number is None:
        texts = [_list(one, places) for one in chosen]
    else:
        texts = [_full(one, equation, places) for one, equation in _numbered(chosen, number)]
    return "\n\n".join(texts if in_checkout() else [*texts, ELSEWHERE])


def _paper(name: str) -> Paper:
    """Return the paper of a key; raises InputError if there is none."""
    papers = {paper.key.lower(): paper for paper in PAPERS}
    if name.lower() not in papers:
        raise unknown("paper", name, papers)
    return papers[name.lower()]


def _numbered(papers: Sequence[Paper], number: str) -> list[tuple[Paper, Equation]]:
    """Return the equations that have a number; raises InputError if there is none."""
    bare = number.strip().removeprefix("(").removesuffix(")")
    found = [(paper, equation) for paper in papers for equation in paper.equations if equation.number == bare]
    if not found:
        keys = ", ".join(paper.key for paper in papers)
        raise unknown(f"equation of {keys}", bare, [e.number for paper in papers for e in paper.equations])
    return found


def _list(paper: Paper, places: list[Place]) -> str:
    """Return all equations of a paper."""
    return "\n\n".join([f"{paper.key}: {paper.title}\n{_indented(f'{SIGNS} {paper.reading}', '')}",
                        *(_block(paper, equation, places) for equation in paper.equations)])


def _block(paper: Paper, equation: Equation, places: list[Place]) -> str:
    """Return one equation of a list in a few lines."""
    found = places_of(paper, equation, places)
    lines = [f"({equation.number}) ".ljust(6) + (equation.corrected or equation.text)]
    lines += [f"      printed wrongly: {equation.text}"] if equation.corrected else []
    lines.append(_indented(equation.meaning))
    lines += [] if found["code"] or not KINDS[equation.kind] else [_indented(KINDS[equation.kind])]
    lines += [_indented(f"not in scope: {equation.later}")] if equation.later else []
    lines += [f"      {describe(place)}" for place in found["code"]]
    counts = [f"{len(names)} {what}{'s' * (len(names) > 1)}" for what, names in
              (("test", {p.test for p in found["test"] if p.test}),
               ("notebook cell", {(p.path, p.cell) for p in found["cell"]})) if names]
    return "\n".join([*lines, f"      {', '.join(counts)}"] if counts else lines)


def _full(paper: Paper, equation: Equation, places: list[Place]) -> str:
    """Return one equation in full."""
    lines = [f"{paper.key} ({equation.number}), section {equation.section} of {paper.title}", "",
             f"  {'printed' if equation.corrected else ''}".ljust(12) + equation.text]
    if equation.corrected:
        lines += ["  computed".ljust(12) + equation.corrected, _indented(equation.reason, " " * 12)]
    lines += ["", _indented(equation.meaning, "  ")]
    if KINDS[equation.kind] and not places_of(paper, equation, places)["code"]:
        lines += ["", _indented(KINDS[equation.kind], "  ")]
    lines += ["", _indented(equation.note, "  ")] if equation.note else []
    lines += ["", f"  Not in scope: {equation.later}."] if equation.later else []
    for kind, title in (("code", "code"), ("test", "tests"), ("cell", "notebooks")):
        found = places_of(paper, equation, places)[kind]
        if found:
            lines += ["", title]
        for place in found:
            lines += [f"  {describe(place)}", f"      {place.source}"]
    lines += ["", f"page  {address(paper, equation)} of the site, which `make site` builds"] if in_checkout() else []
    return "\n".join(lines)


def _indented(text: str, indent: str = " " * 6) -> str:
    """Return a paragraph, which is a line, behind an indent."""
    return f"{indent}{text}"


# ---------------------------------------------------------------- for a code host


INTRODUCTION = """\
# Where the equations are

A line that computes a numbered equation of a paper ends in a tag, which is a comment such as `# LAS (24)`. A line of
a test that checks the equation carries the same tag, and so does a line of a notebook that uses it. `make equations`
makes this page from those tags; in a terminal, `nobackprop equations LAS 24` says the same about one equation.
Equations stand as printed. If the printed form is wrong, the reason and the form that is computed follow. The code
cells of a notebook are counted from 1, like the numbers that Jupyter writes next to them in a run from top to bottom.
"""


def markdown() -> str:
    """Return the page docs/equations.md as a whole.

    Returns
    -------
    str
        The page, in Markdown; its links lead from docs/ into the repository.

    Examples
    --------
    >>> print(markdown().splitlines()[0])
    # Where the equations are
    """
    places = collect()
    parts = [INTRODUCTION, *([] if in_checkout() else [f"{ELSEWHERE}\n"])]
    for paper in PAPERS:
        links = " ".join(f"[({e.number})](#{_anchor(paper, e)})" for e in paper.equations)
        parts.append(f"## {paper.title}\n\n{_prose(paper.reading)}\n\n{links}\n")
        parts += [_section(paper, equation, places) for equation in paper.equations]
    return "\n".join(parts)


def _anchor(paper: Paper, equation: Equation) -> str:
    """Return what code hosts make of the heading `LAS (24)`."""
    return f"{paper.key}-{equation.number}".lower().replace(".", "")


def _section(paper: Paper, equation: Equation, places: list[Place]) -> str:
    """Return the section of the page about one equation."""
    parts = [f"### {paper.key} ({equation.number})\n",
             f"Section {equation.section}. {_prose(equation.meaning)}\n", _math(equation.tex)]
    if equation.corrected_tex:
        parts += [f"**Printed wrongly.** {_prose(equation.reason)} The form that is computed is\n",
                  _math(equation.corrected_tex)]
    if equation.note:
        parts.append(f"**Note.** {_prose(equation.note)}\n")
    if equation.later:
        parts.append(f"*Not in scope: {equation.later}.*\n")
    found = places_of(paper, equation, places)
    if KINDS[equation.kind] and not found["code"]:
        parts.append(f"*{KINDS[equation.kind]}*\n")
    items = [f"- {_link(place, f'{place.path}:{place.line}')} in `{place.name}`: `{place.source}`"
             for place in found["code"]]
    for kind, title in (("test", "Tests"), ("cell", "Notebooks")):
        names = {_name(place): place for place in reversed(found[kind])}
        if names:
            items.append(f"- {title}: " + ", ".join(_link(names[name], name) for name in reversed(names)))
    return "\n".join([*parts, "\n".join(items) + "\n"] if items else parts)


def _name(place: Place) -> str:
    """Return what a link to a test or to a cell says."""
    if place.cell:
        return f"{place.path.rpartition('/')[2].removesuffix('.ipynb')}, code cell {place.cell}"
    return place.test or place.name


def _link(place: Place, text: str) -> str:
    """Return a link to a place."""
    line = "" if place.cell else f"#L{place.line}"
    return f"[{text if place.cell else f'`{text}`'}](../{place.path}{line})"


def _prose(text: str) -> str:
    """Return a text in which an asterisk, as in y*, does not mean emphasis to Markdown."""
    return text.replace("*", r"\*")


def _math(tex: str) -> str:
    """Return TeX as a block that Markdown shows as a formula."""
    return f"```math\n{tex}\n```\n"
