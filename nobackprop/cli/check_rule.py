"""`nobackprop check-rule` holds a rule to what holds of all rules, and shows its row of the locality table."""
from __future__ import annotations

import argparse

from .options import Parser, rule
from .output import say, width
from .output import show as show_text

SUMMARY = "hold a rule of your own to what holds of all rules, and show what it reads"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["./sign_dfa.py:SignDFA"]).rule
    './sign_dfa.py:SignDFA'
    """
    parser.add_argument("rule", type=rule, metavar="RULE", help="such as ./sign_dfa.py:SignDFA or my.module:SignDFA")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code: 1 if the rule does not keep to something.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["check-rule", "dfa"])  # doctest: +ELLIPSIS
    dfa: Direct feedback alignment carries the error directly from the output to
    each hidden block (Nokland 2016).
    <BLANKLINE>
    ok    signals have the shapes of the outputs that they are for
    ...
    0
    """
    from ..rules import get
    from ..studies.check_rule import check, describe
    from ..studies.locality.pages import show

    the_rule = get(args.rule)
    found = check(the_rule)
    show_text(describe(args.rule, the_rule, found))
    if not any(found.values()):  # what a rule reads is measured only of one that keeps to the form
        say(f"\n{show({args.rule: the_rule}, width())}")
    return int(any(found.values()))
