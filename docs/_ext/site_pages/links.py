"""Where the files of the repository stand on the site, and links that lead there from every page.

A page of Markdown and a notebook are pages of the site at the same place: docs/errata.md is docs/errata.html.  The
README is the first page, index.html.  Of a file of Python there is source/PATH.html, with an anchor for each line (L12)
and for each function and class (its name).  Any other file is copied to files/PATH.
"""
from __future__ import annotations

import os
import posixpath
import re
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")
CODE_FOLDERS = ("nobackprop", "tests")
PAGE_ENDINGS = (".md", ".ipynb")


def page_of(path: str) -> str:
    """Return the page of the site, without its ending, that a page of the repository becomes.

    Parameters
    ----------
    path : str
        The path of a .md or .ipynb file in the repository, with slashes.

    Returns
    -------
    str
    """
    return "index" if path == "README.md" else posixpath.splitext(path)[0]


def address(path: str, anchor: str = "") -> str:
    """Return where a file or a folder of the repository is on the site, from the top of the site.

    Parameters
    ----------
    path : str
        The path of the file in the repository, with slashes.
    anchor : str
        A place in it: a heading, L and a line, or the name of a function.

    Returns
    -------
    str
    """
    if path.endswith(PAGE_ENDINGS):
        where = f"{page_of(path)}.html"
    elif is_code(path):
        where = f"source/{path}.html"
    elif (ROOT / path).is_dir():
        where, anchor = "source/index.html", folder_anchor(path)
    else:
        where, anchor = f"files/{path}", ""
    return f"{where}#{anchor}" if anchor else where


def is_code(path: str) -> bool:
    """Say whether a file of the repository has a page that shows it line by line."""
    return path.endswith(".py") and path.split("/")[0] in CODE_FOLDERS


def folder_anchor(path: str) -> str:
    """Return the anchor of a folder in the list of all files of code."""
    return "folder-" + path.strip("/").replace("/", "-")


def relative(target: str, page: str) -> str:
    """Return the way from a page of the site to an address; both count from the top of the site."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def link(text: str, path: str, page: str, anchor: str = "") -> str:
    """Return a link, as HTML in Markdown, from a page of the site to a file of the repository.

    Parameters
    ----------
    text : str
        What the link says, in Markdown.
    path : str
        The path of the file in the repository.
    page : str
        The page of the site on which the link stands.
    anchor : str
        A place in the file.

    Returns
    -------
    str
    """
    return f'<a href="{escape(relative(address(path, anchor), page))}">{text}</a>'


def rewritten(text: str, path: str, used: set[str]) -> str:
    """Return a page of Markdown with links that lead to the places of files on the site.

    Parameters
    ----------
    text : str
        The page.
    path : str
        Its path in the repository.
    used : set of str
        The paths of linked files that are no page and no code; this function adds to it.

    Returns
    -------
    str
        The page.  Pages and pictures are linked as Markdown, so that Sphinx checks the links; files of code are linked
        as HTML, because Sphinx does not know their places.
    """
    page, here = page_of(path), posixpath.dirname(path)

    def moved(found: re.Match[str]) -> str:
        picture, label, target = found.groups()
        where, _, anchor = target.partition("#")
        if "://" in target or not where:
            return found[0]
        there = posixpath.normpath(posixpath.join(here, where))
        if not (ROOT / there).exists():
            return found[0]
        if picture:
            return f"![{label}]({relative(there, page)})"
        if there.endswith(PAGE_ENDINGS):
            if label.endswith(".md") and there.endswith(label):
                label = posixpath.splitext(posixpath.basename(label))[0]  # a page of the site is no file to its reader
            ending = ".md" if there == "README.md" else posixpath.splitext(there)[1]
            goal = relative(page_of(there) + ending, page)
            return f"[{label}]({goal}{'#' + anchor if anchor else ''})"
        if (ROOT / there).is_dir() and there.split("/")[0] not in CODE_FOLDERS:
            return label  # the site has no page of a folder of data
        if not is_code(there) and (ROOT / there).is_file():
            used.add(there)
        return link(label, there, page, anchor)

    parts = FENCE.split(text)
    parts[::2] = [LINK.sub(moved, part) for part in parts[::2]]
    return "".join(parts)


def code(path: str, line: int, page: str, name: str = "") -> str:
    """Return a link to a line of a file of code, with the file, the line and the function around it as its text."""
    shown = f"`{path}:{line}`" + (f" in `{name}`" if name else "")
    return link(shown, path, page, f"L{line}")


def tracked() -> list[str]:
    """Return the paths of all files of Python in the package and its tests."""
    return sorted(path.relative_to(ROOT).as_posix() for folder in CODE_FOLDERS
                  for path in (ROOT / folder).rglob("*.py") if os.sep + "." not in str(path.relative_to(ROOT)))
