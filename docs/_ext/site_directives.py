"""What the site adds to Sphinx: docstrings are made reStructuredText in the few points in which they are not."""
from __future__ import annotations

import re


def setup(app):
    """Tell Sphinx what is here."""
    app.connect("autodoc-process-docstring", mended, priority=400)   # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mended(app, what, name, obj, options, lines):
    """Mend the lines of a docstring in place: a * or | in prose is a sign, and no markup."""
    lines[:] = [line if line.lstrip().startswith((">>>", "...")) else escaped(line) for line in lines]


def escaped(line: str) -> str:
    """Return a line of prose with * and | escaped outside of code and of **strong** words."""
    parts = re.split(r"(``.*?``|`[^`]*`|(?<![*\w])\*\*?\w[^*]*\w\*\*?(?![*\w]))", line)
    # FILE: and a word after it would become a link
    parts[::2] = [re.sub(r"([*|]|(?<=\w)_(?=\W|$)|(?<=\bFILE):)", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)
