"""`nobackprop plot` draws the figure of a results.json again."""
from __future__ import annotations

import argparse
from pathlib import Path

from .options import Parser
from .output import say

SUMMARY = "draw the figure of a results.json again"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["a.json", "--out", "a.png"]).out
    'a.png'
    """
    parser.add_argument("results", metavar="results.json", help="what a comparison has written")
    parser.add_argument("--out", metavar="FILE",
                        help="a .png, .svg or .pdf file; default: figure.png in the folder of results.json")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["plot", "nowhere.json"])
    2
    """
    from .. import figures
    from ..experiments import papers, results

    out = Path(args.results).parent / "figure.png" if args.out is None else args.out
    figures.check_ending(out)
    found = results.read(args.results)
    figures.write(papers.draw(found), out)
    say(f"wrote {out}")
    return 0
