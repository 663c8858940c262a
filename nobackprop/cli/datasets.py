"""`nobackprop datasets` lists the data sets."""
from __future__ import annotations

import argparse

from .options import Parser
from .output import show_list

SUMMARY = "list the data sets"


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
    >>> main(["datasets"])  # doctest: +ELLIPSIS
    digits            1,797 handwritten digits of 8 x 8 pixels, from scikit-learn
    ...
    0
    """
    from ..data import DATASETS

    return show_list({name: source.summary for name, source in DATASETS.items()})
