"""Tags: comments at the ends of lines that say which equation a line computes, collected by reading files.

A tag is the key of a paper and one or more of its numbers: `(24)`, a range `(7)-(9)`, or a list `(21), (27)`.  If a
line computes equations of several papers, their tags follow each other: `# LAS (8), ASAP (2.3)`.
"""
from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...errors import InputError

ROOT = Path(__file__).resolve().parents[3]
NUMBER = r"\(((?:[A-Z]\.)?\d+(?:\.\d+)*[a-z]?)\)"
SPAN = rf"{NUMBER}(?:-{NUMBER})?"
OF_PAPER = rf"([A-Z]{{2,}}) ({SPAN}(?:, {SPAN})*)"
TAG = re.compile(rf"#\s*({OF_PAPER}(?:, {OF_PAPER})*)\s*$")
ALMOST = re.compile(r"#\s*([A-Z]{2,}) ?\((\d.*)$")
MENTION = re.compile(r"#\s*[A-Z]{2,} ?\(")
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """A line that carries a tag; a tag with several numbers gives one place for each of them.

    Attributes
    ----------
    paper, number : str
        The key of the paper, and the number of the equation.
    path : str
        The file, relative to the repository, with slashes.
    line : int
        The line, counted from 1 in the file or in the cell.
    cell : int or None
        Which of the code cells of a notebook, counted from 1; None in a Python file.
    name : str
        The function around the line, such as `Class.method`; empty outside of functions, and in notebooks.
    source : str
        The line without its tag.
    executable : bool
        Whether the line is code in the body of a function, or in a cell of a notebook.

    Examples
    --------
    >>> place = Place("LAS", "24", "tests/test_las.py", 7, None, "test_e.inner", "e = y - target", True)
    >>> place.kind, place.test
    ('test', 'test_e')
    """

    paper: str
    number: str
    path: str
    line: int
    cell: int | None
    name: str
    source: str
    executable: bool

    @property
    def kind(self) -> str:
        """What the line belongs to: 'code', 'test' or 'cell'."""
        return "cell" if self.cell else "test" if self.path.startswith("tests/") else "code"

    @property
    def test(self) -> str:
        """The name of the test around the line; empty if there is none."""
        parts = self.name.split(".")
        names = [i for i, part in enumerate(parts) if part.startswith("test_")]
        return ".".join(parts[:names[0] + 1]) if self.kind == "test" and names else ""


def span(first: str, last: str) -> list[str]:
    """Return the numbers from the first to the last, counted by the part after the last dot.

    Parameters
    ----------
    first, last : str
        Two numbers of equations.

    Returns
    -------
    list of str
        The numbers; none if no counting leads from one to the other.

    Examples
    --------
    >>> span("7", "9"), span("4.9", "4.11"), span("4.2", "5.3"), span("9", "7")
    (['7', '8', '9'], ['4.9', '4.10', '4.11'], [], [])
    """
    (chapter, dot, a), (other, _, b) = first.rpartition("."), last.rpartition(".")
    if chapter != other or not (a.isdecimal() and b.isdecimal()):
        return []
    return [f"{chapter}{dot}{n}" for n in range(int(a), int(b) + 1)]


def parse(comment: str) -> list[tuple[str, str]]:
    """Return the papers and numbers that a comment names.

    Parameters
    ----------
    comment : str
        The comment.

    Returns
    -------
    list of (str, str)
        Pairs of a paper and a number; none if the comment is not a tag.  A comment that is almost a tag, and a range
        that leads nowhere, give a number that is on no list, so that the mistake is found.

    Examples
    --------
    >>> parse("# LAS (21), (27)"), parse("# LAS (7)-(9)"), parse("# as in LAS (24)")
    ([('LAS', '21'), ('LAS', '27')], [('LAS', '7'), ('LAS', '8'), ('LAS', '9')], [])
    >>> parse("# LAS (8), ASAP (2.3)")
    [('LAS', '8'), ('ASAP', '2.3')]
    >>> parse("# LAS (9)-(7)"), parse("# LAS (24) and (25)")
    ([('LAS', '9)-(7')], [('LAS', '24) and (25)')])
    """
    tag = TAG.search(comment)
    if not tag:
        return [(almost[1], almost[2]) for almost in ALMOST.finditer(comment)]
    pairs: list[tuple[str, str]] = []
    for one in re.finditer(OF_PAPER, tag[1]):
        for first, last in re.findall(SPAN, one[2]):
            numbers = (span(first, last) or [f"{first})-({last}"]) if last else [first]
            pairs += [(one[1], number) for number in numbers]
    return list(dict.fromkeys(pairs))


def collect(root: Path = ROOT) -> list[Place]:
    r"""Collect every tag in the package, its tests and its notebooks.

    Parameters
    ----------
    root : Path
        The folder in which the package lies.

    Returns
    -------
    list of Place
        The places, in the order of paths and lines.  Tests and notebooks are there only in a checkout, see
        `in_checkout`.

    Raises
    ------
    InputError
        If a file that mentions an equation is not Python, or if one is not a notebook.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     root = Path(folder)
    ...     (root / "nobackprop").mkdir()
    ...     written = (root / "nobackprop" / "a.py").write_text("def f(e):\n    return -e  # LAS (24)\n")
    ...     [(place.number, place.line, place.source) for place in collect(root)]
    [('24', 2, 'return -e')]
    """
    places: list[Place] = []
    for folder in ("nobackprop", "tests") if in_checkout(root) else ("nobackprop",):
        for path in sorted((root / folder).rglob("*.py")):
            places += python_places(path, path.relative_to(root).as_posix())
    if in_checkout(root):
        for path in sorted((root / "notebooks").glob("[!.]*.ipynb")):
            places += notebook_places(path, path.relative_to(root).as_posix())
    return places


def in_checkout(root: Path = ROOT) -> bool:
    """Say whether the package lies in its repository, with tests and notebooks around it.

    Parameters
    ----------
    root : Path
        The folder in which the package lies.

    Returns
    -------
    bool
        Whether there is a pyproject.toml and a folder of tests.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     in_checkout(Path(folder))
    False
    """
    return (root / "pyproject.toml").is_file() and (root / "tests").is_dir()


def python_places(path: Path, shown: str) -> Iterator[Place]:
    """Yield the tags of a Python file.

    Parameters
    ----------
    path : Path
        The file.
    shown : str
        The path that is written into the places and into error messages.

    Yields
    ------
    Place
        The places, in the order of lines.

    Raises
    ------
    InputError
        If the file mentions an equation but is not Python.

    Examples
    --------
    >>> [place.name for place in python_places(Path(__file__).with_name("paper.py"), "paper.py")]
    []
    """
    try:
        with tokenize.open(path) as file:
            text = file.read()
        if not MENTION.search(text):
            return
        functions, tags = _parsed(text)
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the tags of {shown}: it is not Python ({error})") from None
    for paper, number, line, source in tags:
        around = max((f for f in functions if line in f[0]), key=lambda f: f[0].start, default=None)
        yield Place(paper, number, shown, line, None, around[1] if around else "", source,
                    bool(source) and around is not None)


def notebook_places(path: Path, shown: str) -> Iterator[Place]:
    """Yield the tags in the code cells of a notebook.

    Parameters
    ----------
    path : Path
        The notebook.
    shown : str
        The path that is written into the places and into error messages.

    Yields
    ------
    Place
        The places, in the order of cells and lines.

    Raises
    ------
    InputError
        If the file is not a notebook, or if a cell that mentions an equation is not Python.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.ipynb")
    ...     written = path.write_text('{"cells": [{"cell_type": "code", "source": ["e = y - target  # LAS (5)"]}]}')
    ...     [(place.cell, place.source) for place in notebook_places(path, "a.ipynb")]
    [(1, 'e = y - target')]
    """
    try:
        cells = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
                 if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read the tags of {shown}: it is not a notebook ({error!r})") from None
    for i, cell in enumerate(cells, 1):
        if cell.startswith("%%") or not MENTION.search(cell):
            continue
        try:
            tags = list(_tags(MAGIC.sub("", cell)))
        except (SyntaxError, tokenize.TokenError) as error:
            raise InputError(f"cannot read the tags of {shown}: "
                             f"code cell {i} is not Python ({error})") from None
        for paper, number, line, source in tags:
            yield Place(paper, number, shown, line, i, "", source, bool(source))


@cache
def _parsed(text: str) -> tuple[list[tuple[range, str]], list[tuple[str, str, int, str]]]:
    """The functions and the tags of a Python file; a file whose text has not changed is parsed once."""
    return list(_functions(ast.parse(text))), list(_tags(text))


def _tags(text: str) -> Iterator[tuple[str, str, int, str]]:
    """Yield (paper, number, line, source) for each tag; the source is empty if the comment stands alone."""
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, column = token.start
        source = lines[line - 1][:column].strip()
        # prose on a line of its own may begin with the number of an equation
        if source or TAG.search(token.string):
            for paper, number in parse(token.string):
                yield paper, number, line, source


def _functions(tree: ast.AST, outer: str = "") -> Iterator[tuple[range, str]]:
    """Yield the lines of the body of every function, without its docstring, and the qualified name of the function."""
    for node in ast.iter_child_nodes(tree):
        name = outer
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{outer}.{node.name}".lstrip(".")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = node.body[0].lineno
            if ast.get_docstring(node, clean=False) is not None:
                start = (node.body[0].end_lineno or start) + 1
            yield range(start, (node.end_lineno or start) + 1), name
        yield from _functions(node, name)
