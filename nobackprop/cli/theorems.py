"""`nobackprop theorems` says what is proved of the rules."""
from __future__ import annotations

import argparse

from .options import Parser
from .output import show as show_text

SUMMARY = "say what is proved of the rules, under which conditions, and which tests hold it"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["kolen-pollack", "Theorem", "5"]).name
    ['Theorem', '5']
    """
    parser.add_argument("page", nargs="?", metavar="PAGE", help="such as kolen-pollack; default: all pages of theory")
    parser.add_argument("name", nargs="*", metavar="NAME", help="of one statement, such as Theorem 5; default: all")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["theorems", "forward-alignment", "Lemma", "1"])  # doctest: +ELLIPSIS
    docs/theory/forward-alignment.md
    <BLANKLINE>
    Lemma 1 (what is conserved)
    ...
    0
    """
    from ..studies.theorems import show

    show_text(show(args.page, " ".join(args.name) or None))
    return 0
