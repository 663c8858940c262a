"""`nobackprop equations` says where the papers' equations are in the code."""
from __future__ import annotations

import argparse

from .options import Parser
from .output import show as show_text

SUMMARY = "say where the papers' equations are in the code"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["LAS", "24"]).number
    '24'
    """
    parser.add_argument("paper", nargs="?", metavar="PAPER", help="such as LAS; default: all papers")
    parser.add_argument("number", nargs="?", metavar="NUMBER", help="of one equation; default: all of the paper")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["equations", "LAS", "24"])  # doctest: +ELLIPSIS
    LAS (24), ...
    0
    """
    from ..studies.equations import show

    show_text(show(args.paper, args.number))
    return 0
