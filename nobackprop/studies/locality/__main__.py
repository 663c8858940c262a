"""`python -m nobackprop.studies.locality [FILE]` prints the page docs/locality.md, or writes it to FILE."""
from __future__ import annotations

import sys

from ..text import write_page
from .pages import markdown


def main(argv: list[str]) -> None:
    """Print the page, or write it to the one file that is named.

    Parameters
    ----------
    argv : list of str
        The arguments of the command: nothing, or the name of a file.

    Raises
    ------
    SystemExit
        If there are other arguments, or if the page cannot be made or written.

    Examples
    --------
    >>> main(["--help"])
    Traceback (most recent call last):
    SystemExit: usage: python -m nobackprop.studies.locality [FILE]
    """
    write_page(argv, "nobackprop.studies.locality", markdown)


if __name__ == "__main__":
    main(sys.argv[1:])
