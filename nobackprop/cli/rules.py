"""`nobackprop rules` lists the learning rules."""
from __future__ import annotations

import argparse

from .options import Parser
from .output import show_list

SUMMARY = "list the learning rules"


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
    >>> main(["rules"])  # doctest: +ELLIPSIS
    bp ...
    ...
    0
    """
    from ..rules import RULES, offered, summary

    return show_list({name: summary(name) for name in (*RULES, *(name for name in offered() if name not in RULES))})
