"""`nobackprop locality` shows what each rule reads of other layers."""
from __future__ import annotations

import argparse

from .options import Parser
from .output import say

SUMMARY = "show what each rule reads: weight transport, locking, pairing"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse([])
    Namespace()
    """


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["locality", "bp"])
    2
    """
    from ..studies.locality.pages import show

    say(show())
    return 0
