"""Equations and their places as text for a terminal, and as a page of Markdown."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill

from ...errors import unknown
from .paper import Equation, Paper
from .papers import PAPERS
from .tags import Place, collect, in_checkout

SIGNS = "Symbols are the paper's; .* is the product element by element."
ELSEWHERE = "Tests and notebooks carry tags too: they are in the repository."


def places_of(paper: Paper, equation: Equation, places: Iterable[Place]) -> dict[str, list[Place]]:
    """The places of one equation by kind: code, test, cell."""
    found: dict[str, list[Place]] = {"code": [], "test": [], "cell": []}
    for place in places:
        if (place.paper, place.number) == (paper.key, equation.number):
            found[place.kind].append(place)
    return found


def describe(place: Place) -> str:
    """One place in one line: path:line and the function, or the notebook and its cell."""
    if place.cell:
        return f"{place.path}, code cell {place.cell}"
    return f"{place.path}:{place.line} {place.test or place.name}".rstrip()


# ---------------------------------------------------------------- for a terminal


def show(paper: str | None = None, number: str | None = None) -> str:
    """All equations; those of one paper, in any case of letters; or one of them, "24" or "(24)", in full.

    Raises InputError where there is no such paper, or no such equation.
    """
    chosen = [_paper(paper)] if paper is not None else PAPERS
    places = collect()
    if number is None:
        texts = [_list(each, places) for each in chosen]
    else:
        texts = [_full(each, equation, places) for each, equation in _numbered(chosen, number)]
    return "\n\n".join(texts if in_checkout() else [*texts, ELSEWHERE])


def _paper(name: str) -> Paper:
    papers = {paper.key.lower(): paper for paper in PAPERS}
    if name.lower() not in papers:
        raise unknown("paper", name, papers)
    return papers[name.lower()]


def _numbered(papers: Sequence[Paper], number: str) -> list[tuple[Paper, Equation]]:
    bare = number.strip().removeprefix("(").removesuffix(")")
    found = [(paper, equation) for paper in papers for equation in paper.equations if equation.number == bare]
    if not found:
        keys = ", ".join(paper.key for paper in papers)
        raise unknown(f"equation of {keys}", bare, [e.number for paper in papers for e in paper.equations])
    return found


def _list(paper: Paper, places: list[Place]) -> str:
    return "\n\n".join([f"{paper.key}: {paper.title}\n{_wrap(f'{SIGNS} {paper.reading}', '')}",
                        *(_block(paper, equation, places) for equation in paper.equations)])


def _block(paper: Paper, equation: Equation, places: list[Place]) -> str:
    found = places_of(paper, equation, places)
    lines = [f"({equation.number}) ".ljust(6) + (equation.corrected or equation.text)]
    lines += [f"      printed wrongly: {equation.text}"] if equation.corrected else []
    lines.append(_wrap(equation.meaning))
    lines += [_wrap(f"not in scope: {equation.later}")] if equation.later else []
    lines += [f"      {describe(place)}" for place in found["code"]]
    counts = [f"{len(names)} {what}{'s' * (len(names) > 1)}" for what, names in
              (("test", {p.test for p in found["test"] if p.test}),
               ("notebook cell", {(p.path, p.cell) for p in found["cell"]})) if names]
    return "\n".join([*lines, f"      {', '.join(counts)}"] if counts else lines)


def _full(paper: Paper, equation: Equation, places: list[Place]) -> str:
    lines = [f"{paper.key} ({equation.number}), section {equation.section} of {paper.title}", "",
             f"  {'printed' if equation.corrected else ''}".ljust(12) + equation.text]
    if equation.corrected:
        lines += ["  computed".ljust(12) + equation.corrected, _wrap(equation.reason, " " * 12)]
    lines += ["", _wrap(equation.meaning, "  ")]
    lines += ["", _wrap(equation.note, "  ")] if equation.note else []
    lines += ["", f"  Not in scope: {equation.later}."] if equation.later else []
    for kind, title in (("code", "code"), ("test", "tests"), ("cell", "notebooks")):
        found = places_of(paper, equation, places)[kind]
        if found:
            lines += ["", title]
        for place in found:
            lines += [f"  {describe(place)}", f"      {place.source}"]
    return "\n".join(lines)


def _wrap(text: str, indent: str = " " * 6) -> str:
    return fill(text, 100, initial_indent=indent, subsequent_indent=indent)


# ---------------------------------------------------------------- for a code host


INTRODUCTION = """\
# Where the equations are

A line that computes a numbered equation of a paper ends in a tag, a comment such as `# LAS (24)`; so does a
line of a test that holds it, and a line of a notebook. This page is made from those tags by `make equations`;
in a terminal, `nobackprop equations LAS 24` says the same of one equation. Equations stand as printed; where
the printed form is wrong, the reason and the form that is computed follow. A notebook's code cells are
counted from 1, like the numbers that Jupyter puts beside them in a run from top to bottom.
"""


def markdown() -> str:
    """The page docs/equations.md, whole; its links lead from docs/ into the repository."""
    places = collect()
    parts = [INTRODUCTION, *([] if in_checkout() else [f"{ELSEWHERE}\n"])]
    for paper in PAPERS:
        links = " ".join(f"[({e.number})](#{_anchor(paper, e)})" for e in paper.equations)
        parts.append(f"## {paper.title}\n\n{_prose(paper.reading)}\n\n{links}\n")
        parts += [_section(paper, equation, places) for equation in paper.equations]
    return "\n".join(parts)


def _anchor(paper: Paper, equation: Equation) -> str:
    """What code hosts make of the heading `LAS (24)`."""
    return f"{paper.key}-{equation.number}".lower().replace(".", "")


def _section(paper: Paper, equation: Equation, places: list[Place]) -> str:
    parts = [f"### {paper.key} ({equation.number})\n",
             f"Section {equation.section}. {_prose(equation.meaning)}\n", _math(equation.tex)]
    if equation.corrected_tex:
        parts += [f"**Printed wrongly.** {_prose(equation.reason)} Computed is\n",
                  _math(equation.corrected_tex)]
    if equation.note:
        parts.append(f"**Note.** {_prose(equation.note)}\n")
    if equation.later:
        parts.append(f"*Not in scope: {equation.later}.*\n")
    found = places_of(paper, equation, places)
    items = [f"- {_link(place, f'{place.path}:{place.line}')} in `{place.name}`: `{place.source}`"
             for place in found["code"]]
    for kind, title in (("test", "Tests"), ("cell", "Notebooks")):
        names = {_name(place): place for place in reversed(found[kind])}
        if names:
            items.append(f"- {title}: " + ", ".join(_link(names[name], name) for name in reversed(names)))
    return "\n".join([*parts, "\n".join(items) + "\n"] if items else parts)


def _name(place: Place) -> str:
    """What a link to a test or to a cell says."""
    if place.cell:
        return f"{place.path.rpartition('/')[2].removesuffix('.ipynb')}, code cell {place.cell}"
    return place.test or place.name


def _link(place: Place, text: str) -> str:
    line = "" if place.cell else f"#L{place.line}"
    return f"[{text if place.cell else f'`{text}`'}](../{place.path}{line})"


def _prose(text: str) -> str:
    """The text with what Markdown would take for emphasis, as in y*, made plain."""
    return text.replace("*", r"\*")


def _math(tex: str) -> str:
    return f"```math\n{tex}\n```\n"
