"""`nobackprop models` lists the networks."""
from __future__ import annotations

import argparse

from .options import Parser
from .output import show_list

SUMMARY = "list the networks"


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
    >>> main(["models"])  # doctest: +ELLIPSIS
    mlp ...
    ...
    0
    """
    from ..models import MODELS

    return show_list({name: model.summary for name, model in MODELS.items()})
