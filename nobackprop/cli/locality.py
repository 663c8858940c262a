"""`nobackprop locality` shows what each rule reads of other layers."""
from __future__ import annotations

import argparse

from .options import Parser, rule
from .output import say, width

SUMMARY = "show what each rule reads: weight transport, locking, pairing"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["las", "./sign_dfa.py:SignDFA"]).rules
    ['las', './sign_dfa.py:SignDFA']
    """
    parser.add_argument("rules", nargs="*", type=rule, metavar="RULE", help="default: every rule of this package")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["locality", "bp2"])
    2
    """
    from ..rules import RULES, get
    from ..studies.locality.pages import show

    say(show({name: get(name) for name in args.rules} or RULES, width()))
    return 0
