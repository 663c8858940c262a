"""`nobackprop draw` draws how a rule learns: the forward path, the feedback path and the signals."""
from __future__ import annotations

import argparse

from .options import Parser, rule
from .output import say

SUMMARY = "draw how a rule learns: forward path, feedback path, signals"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["las", "--out", "las.svg"]).out
    'las.svg'
    """
    parser.add_argument("rule", type=rule, metavar="RULE", help="with or without options, or a class of your own")
    parser.add_argument("--out", metavar="FILE", help="a .svg file; default: print the picture")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["draw", "las", "--out", "las.png"])
    2
    """
    from ..errors import InputError
    from ..files import named, writing
    from ..rules import get
    from ..studies.diagram import svg

    if args.out is not None and named(args.out).suffix.lower() != ".svg":
        raise InputError(f"cannot draw to '{args.out}': expected a name that ends in .svg")
    picture = svg(get(args.rule), args.rule)
    if args.out is None:
        say(picture, end="")
        return 0
    with writing(args.out) as partial:
        partial.write_text(picture, encoding="utf-8")
    say(f"wrote {args.out}")
    return 0
