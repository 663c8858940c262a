"""What several studies share: tables of text, and the command that prints a generated page or writes it to a file."""
from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Sequence

from ..errors import InputError
from ..files import atomic

# what `fit` takes for the name at the beginning of a line: one or two words; or more, but no sentence; or nothing
NAMES = (r" *\S+(?: \S+)?  +", r" *(?:\S+ ){2,5}\S*[^\s.]  +", r" *")


def aligned(rows: Sequence[Sequence[str]], left: int | None = None, width: int | None = None) -> str:
    """Return a table whose columns are as wide as their longest cell.

    Parameters
    ----------
    rows : sequence of sequences of str
        The cells, row by row; the head is one of the rows.  All rows have the same length.
    left : int, optional
        The number of columns, from the first, whose cells stand at the left; those of the other columns stand at the
        right.  None, the default, puts all cells at the left.
    width : int, optional
        How long lines may be.  The first cell of a row that would make the table wider gets a line of its own.

    Returns
    -------
    str
        One line for each row, without spaces at its end.

    Examples
    --------
    >>> print(aligned([("rule", "loss"), ("bp", "0.5"), ("dfa", "12.5")], left=1))
    rule  loss
    bp     0.5
    dfa   12.5
    >>> print(aligned([("rule", "loss"), ("./mine.py:Mine", "0.5")], width=12))
    rule  loss
    ./mine.py:Mine
          0.5
    """
    if width is not None:
        room = width - sum(max(map(len, column)) + 2 for column in list(zip(*rows, strict=True))[1:])
        first = max((len(row[0]) for row in rows if len(row[0]) <= room), default=0)
        lines = aligned([(row[0] if len(row[0]) <= room else " " * first, *row[1:]) for row in rows], left).split("\n")
        return "\n".join(line for row, below in zip(rows, lines, strict=True)
                         for line in ([row[0]] if len(row[0]) > room else []) + [below])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) if left is None or i < left else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
                     for row in rows)


def fold(text: str, width: int) -> list[str]:
    """Return a text as lines of at most `width` letters; words longer than that are broken.

    Examples
    --------
    >>> fold("one two three", 8)
    ['one two', 'three']
    """
    return textwrap.wrap(text, width, break_on_hyphens=False)


def fit(text: str, width: int) -> str:
    """Return a text whose long lines are folded; what follows stands below the beginning of the line's words.

    If a line begins with a few words and two spaces, such as the number of an equation or the name of an arm, it goes
    on below what follows these.  A sentence, which ends in a period, is no such name.
    A word that is longer than a line, such as the name of a test, stays whole, so that it can be copied.

    Parameters
    ----------
    text : str
        A paragraph, or a row of a table, is a line.
    width : int
        The number of letters in a line.

    Examples
    --------
    >>> print(fit("(24)  one two three", 12))
    (24)  one
          two
          three
    >>> print(fit("las, lower rate  rule las, lr 0.0003", 34))
    las, lower rate  rule las, lr
                     0.0003
    """
    lines = []
    for line in text.split("\n"):
        starts = [found.end() for form in NAMES if (found := re.match(form, line))]
        indent = " " * next((start for start in starts if start <= width // 2), 0)
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False,
                               break_on_hyphens=False) if len(line) > width and len(line.split()) > 1 else [line]
    return "\n".join(lines)


def write_page(argv: Sequence[str], module: str, markdown: Callable[[], str]) -> None:
    """Print a generated page, or write it to the one file that is named.

    Parameters
    ----------
    argv : sequence of str
        The arguments of the command: nothing, or the name of a file.  The file is written whole or not at all.
    module : str
        The module that the command runs, for its error messages.
    markdown : callable
        A function without arguments that returns the page.

    Raises
    ------
    SystemExit
        If there are other arguments, or if the page cannot be made or written.  It holds one sentence.

    Examples
    --------
    >>> write_page([], "nobackprop.studies.locality", lambda: "# A page")
    # A page
    >>> write_page(["--help"], "nobackprop.studies.locality", lambda: "# A page")
    Traceback (most recent call last):
    SystemExit: usage: python -m nobackprop.studies.locality [FILE]
    """
    if len(argv) > 1 or any(argument.startswith("-") for argument in argv):
        sys.exit(f"usage: python -m {module} [FILE]")
    try:
        if argv:
            with atomic(argv[0]) as partial:
                partial.write_text(markdown(), encoding="utf-8")
        else:
            sys.stdout.write(markdown())
    except (InputError, OSError) as error:
        sys.exit(f"{module}: {error}")
