"""`nobackprop compare`: the same networks under several rules."""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..kernels.activation import ACTIVATIONS
from .options import Parser, count, machine_options, not_negative, positive, rules, seeds
from .output import say

SUMMARY = "train the same networks under several rules and compare them"


def add_options(parser: Parser) -> None:
    """Give the command its options."""
    parser.add_argument("--rules", type=rules, metavar="RULE,...",
                        help="see nobackprop rules; default: bp,shallow,fa,dfa,las,ltas")
    training_options(parser)


def training_options(parser: Parser) -> None:
    """What stands in no option is the data set's default, or the rule's where it has one."""
    parser.add_argument("--data", default="digits", metavar="NAME",
                        help="see nobackprop datasets; default: digits")
    parser.add_argument("--model", help="see nobackprop models, such as mlp:128,128; default, as for all to "
                                        "--weight-decay: what suits the data set and the rule")
    parser.add_argument("--activation", metavar="NAME", help=", ".join(ACTIVATIONS))
    parser.add_argument("--epochs", type=count, metavar="N")
    parser.add_argument("--batch-size", type=count, metavar="N")
    parser.add_argument("--optimizer", metavar="NAME", help="sgd, momentum, nesterov, adam or adamw")
    parser.add_argument("--lr", type=positive, metavar="X", help="the learning rate")
    parser.add_argument("--schedule", metavar="NAME", help="of the learning rate: constant, step or cosine")
    parser.add_argument("--weight-decay", type=not_negative, metavar="X")
    parser.add_argument("--augment", metavar="NAME,...",
                        help="of training images: flip, crop:4, jitter:2, cutout:8, randaugment:2:9; default: none")
    parser.add_argument("--seeds", type=seeds, default=[0, 1, 2], metavar="N,...", help="default: 0,1,2")
    machine_options(parser, "what suits the data set")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data set's files are")
    parser.add_argument("--download", action="store_true", help="fetch those files where they are missing")
    parser.add_argument("--out", metavar="DIR",
                        help="a new or empty folder; default: the first free one of runs/DATA-001, ...")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code."""
    from ..experiments import plots, results
    from ..experiments.compare import RULES, TRAINING, Comparison, resolve
    from ..learn import Diverged

    overrides = {key: getattr(args, key) for key in TRAINING if getattr(args, key) is not None}
    config = resolve(args.data, args.rules or RULES, args.seeds, overrides, args.device, args.threads)
    comparison = Comparison(config, args.data_dir, args.download)
    with results.folder(args.out, args.data) as folder:
        say(settings_in_words(config, folder))
        diverged, broken = None, None
        try:
            comparison.run()
        # a reader who went away must not cost what was measured either
        except (KeyboardInterrupt, BrokenPipeError) as error:
            config["interrupted"], broken = True, error
        except Diverged as error:
            config["diverged"], diverged = str(error), error
            comparison.results["runs"] = comparison.finished()
        runs = comparison.results["runs"]
        where = f"wrote {folder / 'results.json'} and {folder / 'figure.png'}" if runs else "wrote nothing"
        if runs:
            # written before it is shown: showing may fail, with a pipe that is closed
            results.write(folder / "results.json", comparison.results)
            plots.save(comparison.results, folder / "figure.png")
            say(f"\n{results.table(comparison.results)}\n")
        if broken:
            say(f"interrupted after {reached(runs)}; {where}")
            return 1
        if runs:
            say(where)
        if diverged:
            raise diverged
        return 0


def settings_in_words(config: dict[str, Any], folder: Path) -> str:
    """One line each; what holds for one rule only, behind its name."""
    lines = [(key, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
             for key, value in config.items() if key != "rule_settings"]
    lines += [(f"of {rule}", ", ".join(f"{key} {value}" for key, value in settings.items()))
              for rule, settings in config["rule_settings"].items()]
    return "\n".join(f"{key.replace('_', ' '):14}{value}" for key, value in [*lines, ("out", str(folder))])


def reached(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return "less than one epoch"
    run = runs[-1]
    return f"epoch {len(run['history'])} of {run['rule']}, seed {run['seed']}"
