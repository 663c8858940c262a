"""`nobackprop rules`: a list."""
from __future__ import annotations

import argparse

from .options import Parser
from .output import show_list

SUMMARY = "list the learning rules"


def add_options(parser: Parser) -> None:
    """Give the command its options."""


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code."""
    from ..rules import RULES, summary

    return show_list({name: summary(name) for name in RULES})
