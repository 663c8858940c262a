"""The index of all theorems: what the pages of theory state, under which condition, and which tests hold it.

The pages themselves are the source, so that nothing is said twice: docs/theory/README.md has the form of a statement.
In the repository they are read from docs/theory; an installed package carries copies of them, which setup.py makes.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, unknown
from .equations.tags import ROOT, in_checkout

INSTALLED = Path(__file__).parent / "theory"
HEAD = re.compile(r"\*\*((?:Theorem|Lemma|Proposition|Corollary|Open)\b[^*.]*)\.?\*\*(?: \(([^()]*)\))?")
LINK = re.compile(r"\[`(\w+)`\]\((?:\.\./)*(tests/[^)#]+)#\w+\)")


@dataclass(frozen=True)
class Statement:
    """A statement of a page of theory.

    Attributes
    ----------
    page : str
        The name of the page, without .md.
    name : str
        What the page calls it, such as 'Theorem 2'.
    title : str
        What it is about, in a few words.
    condition : str
        Under which condition it holds.
    tests : tuple of str
        The tests that hold it, such as 'tests/theorems/test_las.py::test_a'.

    Examples
    --------
    >>> Statement("las", "Theorem 1", "descent", "L >= 3", ()).name
    'Theorem 1'
    """

    page: str
    name: str
    title: str
    condition: str
    tests: tuple[str, ...]


def parse(page: str, text: str) -> list[Statement]:
    r"""Return the statements of a page.

    Parameters
    ----------
    page : str
        The name of the page.
    text : str
        The page, in Markdown.

    Returns
    -------
    list of Statement
        The statements in their order.  A title or a condition that the page lacks is empty.

    Examples
    --------
    >>> text = "**Lemma 1** (sum). a = b.\n\n*Condition:* none\n\n*Tests:* [`test_a`](../tests/test_b.py#test_a)"
    >>> parse("las", text)
    [Statement(page='las', name='Lemma 1', title='sum', condition='none', tests=('tests/test_b.py::test_a',))]
    """
    found = []
    for section in re.split(r"^## ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE):
        paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", section)]
        starts = [number for number, part in enumerate(paragraphs) if HEAD.match(part)]
        for start, end in zip(starts, [*starts[1:], None]):
            head = HEAD.match(paragraphs[start])
            assert head is not None
            conditions = (part for part in paragraphs[start:end] if part.startswith("*Condition:* "))
            lists = (part for part in paragraphs[start:] if part.startswith("*Tests:* "))
            tests = dict.fromkeys(f"{path}::{test}" for test, path in LINK.findall(next(lists, "")))
            found.append(Statement(page, head[1].strip(), head[2] or "", next(conditions, "").partition(" ")[2],
                                   tuple(tests)))
    return found


def statements(folder: Path | None = None) -> list[Statement]:
    """Return the statements of all pages of theory.

    Parameters
    ----------
    folder : Path, optional
        The folder of the pages.  None stands for docs/theory of the repository, or the copy in an installed package.

    Returns
    -------
    list of Statement
        The statements, page by page in the order of their names.

    Raises
    ------
    InputError
        If there are no pages.

    Examples
    --------
    >>> sorted({one.page for one in statements()})[0]
    'activation-sharing'
    """
    folder = folder or (ROOT / "docs" / "theory" if in_checkout() else INSTALLED)
    pages = [page for page in sorted(folder.glob("*.md")) if page.name != "README.md"]
    if not pages:
        raise InputError(f"there are no pages of theory in {folder}")
    return [one for page in pages for one in parse(page.stem, page.read_text(encoding="utf-8"))]


def show(page: str | None = None, name: str | None = None) -> str:
    """Return statements, their conditions and their tests as text for a terminal.

    Parameters
    ----------
    page : str, optional
        The name of a page; None stands for all pages.
    name : str, optional
        The name of one statement, such as 'Theorem 2', in capital or small letters; None stands for all statements.

    Returns
    -------
    str
        The text; each paragraph is a line.

    Raises
    ------
    InputError
        If there is no such page, or no such statement.

    Examples
    --------
    >>> print(show("forward-alignment", "Theorem 4").splitlines()[2])
    Theorem 4 (duality)
    """
    found = statements()
    for what, named, came in (("page of theory", "page", page), ("statement", "name", name)):
        if came is not None:
            known = dict.fromkeys(getattr(one, named) for one in found)
            found = [one for one in found if getattr(one, named).lower() == came.strip().lower()]
            if not found:
                raise unknown(what, came, known)
    return "\n\n".join("\n\n".join([f"docs/theory/{page}.md", *(_block(one) for one in found if one.page == page)])
                       for page in dict.fromkeys(one.page for one in found))


def _block(one: Statement) -> str:
    """Return one statement in a few lines."""
    lines = [f"{one.name} ({one.title})" if one.title else one.name,
             f"      if: {one.condition}",
             *(f"      {test}" for test in one.tests)]
    return "\n".join(lines if one.condition else [lines[0], *lines[2:]])
