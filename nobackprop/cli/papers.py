"""`nobackprop papers` lists, shows and runs the papers' tables and figures."""
from __future__ import annotations

import argparse
from typing import Any

from ..errors import InputError
from .ends import listening
from .options import Parser, data_options, machine_options, names, once, seeds
from .output import show, show_list
from .running import carry_out, check_typed, running_options

SUMMARY = "list the papers' tables and figures, or run one again"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["run", "al:table-2", "--scale", "small"]).scale
    'small'
    """
    parser.add_argument("action", nargs="?", choices=("list", "show", "run"), default="list",
                        help="list them all; show what one prints and how it is read; run it; default: list")
    parser.add_argument("name", nargs="?", metavar="NAME", help="a table or figure, such as asap:table-3.1")
    parser.add_argument("--scale", metavar="SCALE",
                        help="how much is run: smoke (seconds to minutes; the numbers mean nothing), small (what "
                             "docs/results.md shows) or full (as in the paper); default: smoke")
    parser.add_argument("--only", type=lambda text: once(names(text, "labels of arms with semicolons between", ";"),
                                                         text, "arm"),
                        metavar="ARM;...", help="only these of its arms; default: all")
    parser.add_argument("--seeds", type=seeds, metavar="N,...",
                        help="one run of every arm with each; default: those of the scale")
    machine_options(parser, "1")
    parser.set_defaults(threads=1)
    for option, what in (("--data", "data set"), ("--model", "network"), ("--rule", "rules"), ("--rules", "rules")):
        parser.elsewhere[option] = (f"a table or figure of a paper has its own {what}; for others: nobackprop compare "
                                    f"--{'rules' if what == 'rules' else option[2:]} {{}}")
    data_options(parser)
    running_options(parser, "the first free one of runs/NAME-001, ...")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["papers", "show", "al:table-2"])  # doctest: +ELLIPSIS
    al:table-2: AL against BP and DTP on MNIST (mnist)
    ...
    0
    """
    from ..experiments import papers
    from ..experiments.folder import claim, reopen

    if args.action != "run":
        ignored = [key for key in ("only", "seeds", "data_dir", "out") if getattr(args, key) is not None]
        ignored += ["download"] * args.download + ["scale"] * (args.scale is not None)
        if ignored:
            raise InputError(f"papers {args.action} runs nothing: expected no --{ignored[0].replace('_', '-')}")
    if args.action == "list":
        if args.name is not None:
            raise InputError(f"papers list shows all of them: expected no name, or papers show {args.name}")
        return show_list({name: exhibit.title for name, exhibit in papers.EXHIBITS.items()})
    if args.action == "run" and args.resume is not None:
        check_typed(args)
        with listening(), reopen(args.resume, "papers") as folder:
            plan = papers.resumed(folder.stored, args.data_dir, args.download)
            if args.name not in (None, plan.config["exhibit"]):
                raise InputError(f"{args.resume} holds results of {plan.config['exhibit']}, expected those of "
                                 f"{args.name}")
            return carry_out(plan, folder, args, "papers run", _heading)
    if args.name is None:
        raise InputError(f"papers {args.action}: expected the name of a table or figure, see nobackprop papers")
    exhibit = papers.get(args.name)
    if args.action == "show":
        show(exhibit.describe())
        return 0
    with listening():
        plan = exhibit.check(args.scale or "smoke", args.seeds, args.data_dir, args.download, args.threads, args.device,
                             args.only)
        with claim(args.out, args.name.replace(":", "-")) as folder:
            return carry_out(plan, folder, args, "papers run", _heading)


def _heading(found: dict[str, Any]) -> str:
    """What was run, and what was found next to what was printed."""
    from ..experiments import papers

    exhibit = papers.get(found["config"]["exhibit"])
    return f"{exhibit.title} ({exhibit.name}, scale {found['config']['scale']})\n\n{papers.compare(found)}\n\n"
