"""`nobackprop memory` counts and measures what a training step stores."""
from __future__ import annotations

import argparse
import json

from .options import Parser, count, data, rule
from .output import say, tell

SUMMARY = "count and measure what a step stores under backpropagation and under sharing"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["--k", "3"]).k
    3
    """
    parser.add_argument("--model", default="resnet18", help="the network; default: %(default)s")
    parser.add_argument("--data", type=data, default="cifar-10", metavar="NAME",
                        help="the data set, or the file of your own, whose shape the inputs have; default: %(default)s")
    parser.add_argument("--rule", type=rule, default="asap",
                        help="the rule that shares, as or asap; default: %(default)s")
    parser.add_argument("--k", type=count, metavar="N", help="the number of layers that share, in addition to 2 and 4")
    parser.add_argument("--batch-size", type=count, default=128, metavar="N",
                        help="samples in a step; default: %(default)s")
    parser.add_argument("--figure", metavar="FILE", help="draw the result to a .png, .svg or .pdf file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["memory", "--figure", "figure.jpg"])
    2
    """
    from .. import figures
    from ..experiments.results import strict
    from ..studies import memory

    if args.figure is not None:
        figures.check_ending(args.figure)
    result = memory.measure(args.model, args.data, args.rule, args.k, args.batch_size)
    say(json.dumps(strict(result), indent=1, allow_nan=False) if args.json else memory.describe(result))
    if args.figure is not None:
        figures.write(memory.draw(result), args.figure)
        tell(f"wrote {args.figure}")
    return 0
