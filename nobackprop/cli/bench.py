"""`nobackprop bench` measures how long a training step takes."""
from __future__ import annotations

import argparse
import json

from ..errors import InputError
from ..optim import OPTIMIZERS
from .options import Parser, count, data, machine_options, rule
from .output import say, show, tell

SUMMARY = "measure how long a training step takes"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["--steps", "5"]).steps
    5
    """
    parser.add_argument("--model", default="mlp:1024,1024", help="the network; default: %(default)s")
    parser.add_argument("--data", type=data, default="mnist", metavar="NAME",
                        help="the data set, or the file of your own, whose shape the inputs have; default: %(default)s")
    parser.add_argument("--rule", type=rule, default="bp", help="the learning rule; default: %(default)s")
    parser.add_argument("--batch-size", type=count, default=64, metavar="N",
                        help="samples in a step; default: %(default)s")
    parser.add_argument("--optimizer", default="adam", metavar="NAME",
                        help=f"{', '.join(OPTIMIZERS)}; default: %(default)s")
    parser.add_argument("--convolution", default="fast", metavar="NAME",
                        help="fast, or patches: how float32 is convolved; default: %(default)s")
    parser.add_argument("--steps", type=count, metavar="N",
                        help="the number of steps that are timed; default: as many as the clock needs")
    parser.add_argument("--pipeline", type=count, metavar="WORKERS",
                        help="measure components that learn at the same time, under a rule such as al that allows it")
    parser.add_argument("--figure", metavar="FILE", help="draw what --pipeline measures to a .png, .svg or .pdf file")
    parser.add_argument("--against", metavar="torch", help="measure PyTorch's backpropagation as well, by turns")
    machine_options(parser, "all")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["bench", "--figure", "figure.png"])
    2
    """
    if args.pipeline is not None:
        return pipeline(args)
    if args.figure is not None:
        raise InputError("--figure draws what --pipeline measures: expected both or none")
    from ..experiments.results import strict
    from ..studies.speed.bench import describe, measure

    result = measure(model=args.model, data=args.data, rule=args.rule, batch_size=args.batch_size,
                     optimizer=args.optimizer, device=args.device, threads=args.threads, steps=args.steps,
                     against=args.against, convolution=args.convolution)
    if args.json:
        say(json.dumps(strict(result), indent=1, allow_nan=False))
    else:
        show(describe(result))
    return 0


def pipeline(args: argparse.Namespace) -> int:
    """Measure components that learn at the same time, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["bench", "--pipeline", "2", "--against", "torch"])
    2
    """
    from .. import figures
    from ..experiments.results import strict
    from ..studies.speed import throughput

    if args.against is not None:
        raise InputError("--against and --pipeline measure different things: expected one of them")
    if args.figure is not None:
        figures.check_ending(args.figure)
    result = throughput.measure(args.model, args.data, args.rule, args.batch_size, args.optimizer, args.device,
                                args.pipeline, args.threads, args.steps)
    if args.json:
        say(json.dumps(strict(result), indent=1, allow_nan=False))
    else:
        show(throughput.describe(result))
    if args.figure is not None:
        figures.write(throughput.draw(result), args.figure)
        tell(f"wrote {args.figure}")
    return 0
