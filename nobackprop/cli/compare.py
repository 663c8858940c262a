"""`nobackprop compare` trains the same networks under several rules and compares them."""
from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import DATASETS
from ..data.own import KINDS, OPTIONS, called, is_own, split
from ..data.tasks import TASKS, doubt
from ..errors import InputError
from ..experiments import RULES, SEEDS
from ..settings import NAMES, NetworkSettings, Settings
from .ends import listening
from .options import READERS, Parser, count, data, data_options, machine_options, one_value, rules, seeds
from .output import say, tell
from .running import carry_out, check_typed, running_options

if TYPE_CHECKING:
    from ..data import Dataset
    from ..experiments.compare import Comparison
    from ..experiments.folder import Folder

SUMMARY = "train the same networks under several rules and compare them"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["--rules", "bp,las", "--lr", "0.1"]).rules
    ['bp', 'las']
    """
    parser.add_argument("--rules", type=rules, metavar="RULE,...",
                        help=f"names with commas between, see nobackprop rules; default: {','.join(RULES)}")
    training_options(parser)


def training_options(parser: Parser) -> None:
    """Give a command the options of a training run: one for every field of the settings, and those of the machine.

    Examples
    --------
    >>> parser = Parser()
    >>> training_options(parser)
    >>> parser.parse(["--batch-size", "32"]).batch_size
    32
    """
    parser.add_argument("--data", type=data, default="digits", metavar="NAME",
                        help="see nobackprop datasets; or your own FILE.csv, FILE.npz, or FOLDER with a folder of "
                             "images for each class; default: %(default)s")
    parser.add_argument("--target", metavar="COLUMN",
                        help="what is to be learnt from FILE.csv; default: the last column")
    parser.add_argument("--task", choices=tuple(TASKS),
                        help="what the target of your own file is: default: whatever it looks like")
    parser.add_argument("--size", type=count, metavar="N", help="the side of the images of FOLDER, in pixels")
    parser.add_argument("--channels", type=count, metavar="N", help="1 for grey images of FOLDER, 3 for coloured ones")
    for option in (*fields(NetworkSettings), *fields(Settings)):
        read, metavar = READERS[option.metadata["kind"]]
        if option.metadata["known"]:
            read = one_value(read, option.metadata["known"])
        parser.add_argument(f"--{option.name.replace('_', '-')}", type=read, metavar=metavar,
                            help=option.metadata["help"].replace("%", "%%"))
    parser.epilog = (f"An option from --{NAMES[0]} to --{NAMES[-1]} that is not given has the value that suits the "
                     "rule or the data set.")
    parser.add_argument("--seeds", type=seeds, default=list(SEEDS), metavar="N,...",
                        help=f"one run of every rule with each; default: {','.join(map(str, SEEDS))}")
    machine_options(parser, "what suits the data set")
    data_options(parser)
    running_options(parser, "the first free one of runs/DATA-001, ...")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["compare", "--data", "digit"])
    2
    """
    return compare(args, "compare")


def compare(args: argparse.Namespace, command: str) -> int:
    """Run a comparison for a command of that name, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["train", "--data", "digit"])
    2
    """
    from ..experiments.compare import Comparison, resolve
    from ..experiments.folder import claim, reopen

    with listening():
        if args.resume is not None:
            check_typed(args)
            with reopen(args.resume, command) as folder:
                return _show(Comparison.resumed(folder.stored, args.data_dir, args.download), folder, args, command)
        overrides = {key: getattr(args, key) for key in NAMES if getattr(args, key) is not None}
        given = {key: getattr(args, key) for key in OPTIONS if getattr(args, key) is not None}
        if given and not is_own(args.data):
            raise InputError(f"--{next(iter(given))} is for data of your own, expected --data FILE.csv, FILE.npz or "
                             f"FOLDER with it, got '{args.data}'")
        which = args.data + "".join(f":{key}={value}" for key, value in given.items())
        config = resolve(which, args.rules or RULES, args.seeds, overrides, args.device, args.threads)
        comparison = Comparison(config, args.data_dir, args.download, command)
        with claim(args.out, called(args.data)) as folder:
            if not args.rules:
                tell(f"no --rules: these {len(RULES)} are compared; for others: --rules bp,dfa (see nobackprop rules)")
            return _show(comparison, folder, args, command)


def _show(comparison: Comparison, folder: Folder, args: argparse.Namespace, command: str) -> int:
    """Print the settings of a comparison and carry it out."""
    task = guessed_in_words(comparison.config["data"], comparison.data)
    say(settings_in_words(comparison.config | task, folder.path))
    return carry_out(comparison, folder, args, command)


def guessed_in_words(name: str, data: Dataset) -> dict[str, str]:
    """Return the task of data of your own if it was guessed, and what speaks against the guess, as a line of settings.

    Examples
    --------
    >>> guessed_in_words("digits", None)
    {}
    """
    if not is_own(name) or name in DATASETS or not split(name)[0].lower().endswith(KINDS) or "task" in split(name)[1]:
        return {}
    # raw targets are rounded as float32 is
    why = doubt(data.task, np.round(data.raw("train")[1], 4)) if data.task != "classes" else ""
    return {"task": f"{data.task}, which is a guess{why and f' ({why})'}: --task says otherwise"}


def settings_in_words(config: dict[str, Any], folder: Path | None) -> str:
    """Return the settings as text, a line for each; what holds for one rule only comes after the rule's name.

    Examples
    --------
    >>> print(settings_in_words({"lr": 0.1, "rule_settings": {"kp": {"lr": 0.2}}}, Path("out")))
    lr            0.1
    of kp         lr 0.2
    out           out
    """
    lines = [(key, ", ".join(map(str, value)) if isinstance(value, list) else "the model's own" if value is None
              else str(value)) for key, value in config.items() if key != "rule_settings"]
    lines += [(f"of {rule}", ", ".join(f"{key} {value}" for key, value in settings.items()))
              for rule, settings in config["rule_settings"].items()]
    return "\n".join(f"{key.replace('_', ' '):14}{value}" for key, value in [*lines, ("out", str(folder))])
