"""`nobackprop datasets`: a list."""
from __future__ import annotations

import argparse

from .options import Parser
from .output import show_list

SUMMARY = "list the data sets"


def add_options(parser: Parser) -> None:
    """Give the command its options."""


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code."""
    from ..data import DATASETS

    return show_list({name: source.summary for name, source in DATASETS.items()})
