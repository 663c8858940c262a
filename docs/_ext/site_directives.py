"""What the site adds to Sphinx: docstrings are made reStructuredText in the few points in which they are not."""
from __future__ import annotations

import posixpath
import re


def setup(app):
    """Tell Sphinx what is here."""
    app.connect("autodoc-process-docstring", mended, priority=400)   # before napoleon
    app.connect("html-page-context", within)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def within(app, page, template, context, doctree):
    """Keep the ways to the next page and to the one before within a part of the site, such as the equations."""
    here = posixpath.dirname(page)
    for way in ("next", "prev"):
        there = (context.get(way) or {}).get("link", "")
        if posixpath.dirname(posixpath.normpath(posixpath.join(here, there))) != here:
            context[way] = None


def mended(app, what, name, obj, options, lines):
    """Mend the lines of a docstring in place: an indented example is code, a * or | in prose no markup."""
    found, indented = [], examples(lines)
    for i, line in enumerate(lines):
        if i in indented and i - 1 not in indented:
            found += ["::", ""]
        found.append(line if i in indented or line.lstrip().startswith((">>>", "...")) else escaped(line))
    lines[:] = found


def examples(lines: list[str]) -> set[int]:
    """Return the numbers of the lines that are indented examples.

    They stand after an empty line, in the text before the first section such as Parameters, and in no list.
    """
    sections = next((i - 1 for i, line in enumerate(lines) if line and not line.strip("-")), len(lines))
    found: set[int] = set()
    above = ""
    for i, line in enumerate(lines[:sections]):
        if line.startswith("    "):
            if i - 1 in found or i and not lines[i - 1].strip() and not above.startswith("- "):
                found.add(i)
        elif line.strip():
            above = line
        elif i - 1 in found and next((one for one in lines[i:] if one.strip()), "").startswith("    "):
            found.add(i)  # an empty line within an example
    return found


def escaped(line: str) -> str:
    """Return a line of prose with * and | escaped outside of code and of **strong** words."""
    parts = re.split(r"(``.*?``|`[^`]*`|(?<![*\w])\*\*?\w[^*]*\w\*\*?(?![*\w]))", line)
    # FILE: and a word after it would become a link
    parts[::2] = [re.sub(r"([*|]|(?<=\w)_(?=\W|$)|(?<=\bFILE):)", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)
