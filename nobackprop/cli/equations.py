"""`nobackprop equations`: where the papers' equations are in the code."""
from __future__ import annotations

import argparse

from .options import Parser
from .output import say

SUMMARY = "say where the papers' equations are in the code"


def add_options(parser: Parser) -> None:
    """Give the command its options."""
    parser.add_argument("paper", nargs="?", metavar="PAPER")
    parser.add_argument("number", nargs="?", metavar="NUMBER")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code."""
    from ..studies.equations import show

    say(show(args.paper, args.number))
    return 0
