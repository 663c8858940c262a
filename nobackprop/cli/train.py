"""`nobackprop train` trains a network under one rule."""
from __future__ import annotations

from .compare import run, training_options
from .options import Parser, rule

__all__ = ["SUMMARY", "add_options", "run"]


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


