"""`nobackprop locality`: what each rule reads."""
from __future__ import annotations

import argparse

from .options import Parser
from .output import say

SUMMARY = "show what each rule reads: weight transport, locking, pairing"


def add_options(parser: Parser) -> None:
    """Give the command its options."""


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code."""
    from ..studies.locality.pages import show

    say(show())
    return 0
