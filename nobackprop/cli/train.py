"""`nobackprop train` trains a network under one rule."""
from __future__ import annotations

import argparse

from .compare import compare, training_options
from .options import Parser, rule

SUMMARY = "train a network under one rule"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["--rule", "fa"]).rules
    ['fa']
    """
    parser.add_argument("--rule", dest="rules", type=lambda text: [rule(text)], default=["las"], metavar="RULE",
                        help="see nobackprop rules; default: las")
    training_options(parser)
    parser.elsewhere["--rules"] = "this trains under one rule, --rule; under several: nobackprop compare --rules {}"


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["train", "--rule", "lass"])
    2
    """
    return compare(args, "train")
