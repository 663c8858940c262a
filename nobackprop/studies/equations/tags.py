"""Tags: comments at line ends that say which equation a line computes, collected by reading files.

A tag is a paper's key and one or more of its numbers: `(24)`, a range `(7)-(9)`, a list `(21), (27)`.
"""
from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError

ROOT = Path(__file__).resolve().parents[3]
NUMBER = r"\(((?:[A-Z]\.)?\d+(?:\.\d+)*[a-z]?)\)"
SPAN = rf"{NUMBER}(?:-{NUMBER})?"
TAG = re.compile(rf"#\s*([A-Z]{{2,}}) ({SPAN}(?:, {SPAN})*)\s*$")
ALMOST = re.compile(r"#\s*([A-Z]{2,}) ?\((\d.*)$")
MENTION = re.compile(r"#\s*[A-Z]{2,} ?\(")
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """A line that carries a tag: once for each number in it.

    path: relative to the repository, with slashes.  line: from 1, in the file or in the cell.
    cell: which of a notebook's code cells, from 1; None in a Python file.
    name: the function around it, `Class.method`; empty outside of any, and in notebooks.
    source: the line without its tag.  executable: it is code in a function's body, or in a notebook's cell.
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
        """code, test, or cell."""
        return "cell" if self.cell else "test" if self.path.startswith("tests/") else "code"

    @property
    def test(self) -> str:
        """The test's name; empty in a function that is none."""
        parts = self.name.split(".")
        names = [i for i, part in enumerate(parts) if part.startswith("test_")]
        return ".".join(parts[:names[0] + 1]) if self.kind == "test" and names else ""


def span(first: str, last: str) -> list[str]:
    """The numbers from first to last, the part behind the last dot counting.

    Empty where they do not lead from one to the other.

    >>> span("7", "9"), span("4.9", "4.11"), span("4.2", "5.3"), span("9", "7")
    (['7', '8', '9'], ['4.9', '4.10', '4.11'], [], [])
    """
    (chapter, dot, a), (other, _, b) = first.rpartition("."), last.rpartition(".")
    if chapter != other or not (a.isdecimal() and b.isdecimal()):
        return []
    return [f"{chapter}{dot}{n}" for n in range(int(a), int(b) + 1)]


def parse(comment: str) -> list[tuple[str, str]]:
    """The (paper, number) pairs that a comment names; none where it is not a tag.

    What is almost a tag, and a range that leads nowhere, comes back as a number that is on no list.

    >>> parse("# LAS (21), (27)"), parse("# LAS (7)-(9)"), parse("# as in LAS (24)")
    ([('LAS', '21'), ('LAS', '27')], [('LAS', '7'), ('LAS', '8'), ('LAS', '9')], [])
    >>> parse("# LAS (9)-(7)"), parse("# LAS (24) and (25)")
    ([('LAS', '9)-(7')], [('LAS', '24) and (25)')])
    """
    tag = TAG.search(comment)
    if not tag:
        return [(almost[1], almost[2]) for almost in ALMOST.finditer(comment)]
    numbers: list[str] = []
    for first, last in re.findall(SPAN, tag[2]):
        numbers += (span(first, last) or [f"{first})-({last}"]) if last else [first]
    return [(tag[1], number) for number in dict.fromkeys(numbers)]


def collect(root: Path = ROOT) -> list[Place]:
    """Every tag in the package, its tests and its notebooks, in the order of paths and lines.

    Raises InputError where a file that mentions an equation is not Python, or one is not a notebook.
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
    """Whether the repository stands around the package, with tests and notebooks."""
    return (root / "pyproject.toml").is_file() and (root / "tests").is_dir()


def python_places(path: Path, shown: str) -> Iterator[Place]:
    """The tags of a Python file, `shown` being its path in the places."""
    try:
        with tokenize.open(path) as file:
            text = file.read()
        if not MENTION.search(text):
            return
        functions = list(_functions(ast.parse(text)))
        tags = list(_tags(text))
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the tags of {shown}: it is not Python ({error})") from None
    for paper, number, line, source in tags:
        around = max((f for f in functions if line in f[0]), key=lambda f: f[0].start, default=None)
        yield Place(paper, number, shown, line, None, around[1] if around else "", source,
                    bool(source) and around is not None)


def notebook_places(path: Path, shown: str) -> Iterator[Place]:
    """The tags in the code cells of a notebook, `shown` being its path in the places."""
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


def _tags(text: str) -> Iterator[tuple[str, str, int, str]]:
    """(paper, number, line, source): the source is empty where the comment stands alone."""
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, column = token.start
        source = lines[line - 1][:column].strip()
        # prose on a line of its own may well begin with an equation's number
        if source or TAG.search(token.string):
            for paper, number in parse(token.string):
                yield paper, number, line, source


def _functions(tree: ast.AST, outer: str = "") -> Iterator[tuple[range, str]]:
    """The lines of every function's body, its docstring left out, with the function's qualified name."""
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
