"""`nobackprop memory`: what a step stores."""
from __future__ import annotations

import argparse
import json

from .options import Parser, count
from .output import say, tell

SUMMARY = "count and measure what a step stores under backpropagation and under sharing"


def add_options(parser: Parser) -> None:
    """Give the command its options."""
    parser.add_argument("--model", default="resnet18", help="default: %(default)s")
    parser.add_argument("--data", default="cifar-10", metavar="NAME", help="whose shape; default: %(default)s")
    parser.add_argument("--rule", default="asap", help="as or asap; default: %(default)s")
    parser.add_argument("--k", type=count, metavar="N", help="layers that share, beside 2 and 4")
    parser.add_argument("--batch-size", type=count, default=128, metavar="N", help="default: %(default)s")
    parser.add_argument("--figure", metavar="FILE", help="draw it to a .png, .svg or .pdf")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code."""
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
