"""The code itself as pages: every line has an anchor (L12), and so has every function and class (its name)."""
from __future__ import annotations

import ast
from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from .links import ROOT, folder_anchor, relative, tracked


def pages() -> dict[str, str]:
    """Return the pages of all files of code, and the list of them, by their paths on the site."""
    paths = tracked()
    return {"source/index.md": index(paths)} | {
        f"source/{path}.md": page(path, (ROOT / path).read_text(encoding="utf-8")) for path in paths}


def page(path: str, text: str) -> str:
    """Return the page of one file of code.

    Parameters
    ----------
    path : str
        The path of the file in the repository.
    text : str
        Its text.

    Returns
    -------
    str
        Markdown that holds the highlighted code as HTML.
    """
    colored = highlight(text, PythonLexer(stripnl=False, ensurenl=True), HtmlFormatter(nowrap=True)).rstrip("\n")
    names = anchors(text)
    lines = []
    for number, line in enumerate(colored.split("\n"), 1):
        marks = "".join(f'<span id="{escape(name)}"></span>' for name in names.get(number, ()))
        lines.append(f'{marks}<span id="L{number}" class="line" data-line="{number}">{line or " "}</span>')
    body = "\n".join(lines)
    return (f"---\norphan: true\nhtml_theme.sidebar_secondary.remove: true\n---\n\n# {path}\n\n```{{raw}} html\n"
            f'<div class="highlight nobackprop-source"><pre>{body}</pre></div>\n```\n')


def anchors(text: str) -> dict[int, list[str]]:
    """Return the names of functions and classes by the line at which they begin; the first of two equal names counts.

    Parameters
    ----------
    text : str
        A file of Python.

    Returns
    -------
    dict of int to list of str
    """
    found: dict[int, list[str]] = {}
    seen: set[str] = set()

    def walk(node: ast.AST, outer: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = outer
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{outer}.{child.name}".lstrip(".")
                if name not in seen:
                    seen.add(name)
                    found.setdefault(child.lineno, []).append(name)
            walk(child, name)

    walk(ast.parse(text), "")
    return found


def index(paths: list[str]) -> str:
    """Return the list of all files of code, folder by folder."""
    parts = ["---\norphan: true\n---\n\n# Source code\n"]
    folder = None
    for path in sorted(paths, key=lambda path: (path.rpartition("/")[0], path)):
        if path.rpartition("/")[0] != folder:
            folder = path.rpartition("/")[0]
            parts.append(f'\n<a id="{folder_anchor(folder)}"></a>\n\n## {folder}\n')
        parts.append(f'- <a href="{relative(f"source/{path}.html", "source/index")}"><code>{path}</code></a>')
    return "\n".join(parts) + "\n"
