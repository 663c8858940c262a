"""The `nobackprop` command: one file for each of its commands, options.py and output.py for what they share.

The exit code is 0 if all is done, 2 after wrong use, which is told in one sentence, or if a run has diverged, 128 and
the number of the signal if one has ended the command (130 after Ctrl-C), and 1 after anything else.  What a command
needs is imported when it runs, so that `nobackprop rules` does not wait for matplotlib.
"""
from __future__ import annotations

import argparse
import os
import sys

from .. import __version__
from ..errors import InputError, unknown
from . import (
    bench,
    check_rule,
    compare,
    datasets,
    draw,
    equations,
    locality,
    memory,
    models,
    papers,
    plot,
    rules,
    sweep,
    theorems,
    train,
)
from .completion import complete
from .ends import exit_code
from .options import Parser
from .output import drop_what_is_buffered, one_line, open_descriptors, say, tell

COMMANDS = {"compare": compare, "train": train, "sweep": sweep, "plot": plot, "rules": rules, "check-rule": check_rule,
            "models": models, "datasets": datasets, "equations": equations, "theorems": theorems, "locality": locality,
            "draw": draw, "papers": papers, "memory": memory, "bench": bench}

EXAMPLES = """\
examples:
  nobackprop compare                                   six rules on the digits
  nobackprop train --rule dfa --data xor               one rule
  nobackprop compare --rules las,./mine.py:MyRule      a rule of your own
  nobackprop check-rule ./mine.py:MyRule               is it a sound one?
  nobackprop models --show conv3                       a network, block by block
  nobackprop plot runs/digits-001/results.json         the figure again
  nobackprop bench --rule las                          how long a step takes
`nobackprop COMMAND --help` lists the options of a command.
Completion in a shell: pip install 'nobackprop[completion]', and once in each
shell: eval "$(register-python-argcomplete nobackprop)"
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command line, and return its exit code.

    Parameters
    ----------
    argv : list of str, optional
        The words after `nobackprop`; those of the process if it is left out.

    Returns
    -------
    int
        0 if all is done, 2 after wrong use, 128 and the number of a signal that ended it, 1 after anything else.

    Examples
    --------
    >>> main(["--version"])  # doctest: +ELLIPSIS
    nobackprop ...
    0
    """
    open_descriptors()
    if hasattr(sys.stdout, "reconfigure"):
        # a terminal that cannot show a sign must not end a run
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        say("", end="")  # told at once if stdout is closed, and not after hours of training
        return _run(sys.argv[1:] if argv is None else argv)
    except InputError as error:
        tell(f"nobackprop: {one_line(str(error))}")
        return 2
    except KeyboardInterrupt as stop:
        tell(f"nobackprop: {str(stop) or 'interrupted'}")
        return exit_code(stop)
    except MemoryError as error:
        tell(f"nobackprop: out of memory: {one_line(str(error) or 'no more is to be had')}")
        return 1
    except BrokenPipeError:
        return 1
    finally:
        drop_what_is_buffered()


def _run(argv: list[str]) -> int:
    """Run the command that the first word names."""
    parser, commands = parsers()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could be typed next
        complete(parser, commands)
    try:
        if argv and argv[0] in commands:
            args = commands[argv[0]].parse(argv[1:])
            args.typed = [word.partition("=")[0] for word in argv[1:] if word.startswith("--")]
            return int(args.handler(args))
        if argv and not argv[0].startswith("-"):
            raise unknown("command", argv[0], commands)
        parser.parse(argv)
        parser.print_help()
        return 0
    except SystemExit as stop:
        return int(stop.code or 0)


def parsers() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser of the whole command line, and those of all commands by name.

    Examples
    --------
    >>> whole, commands = parsers()
    >>> commands["train"].prog
    'nobackprop train'
    """
    parser = Parser(prog="nobackprop", description="How networks learn without backpropagation.", epilog=EXAMPLES,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"nobackprop {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, command in COMMANDS.items():
        summary = command.SUMMARY
        own = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        own.set_defaults(handler=command.run)
        command.add_options(own)
    return parser, commands.choices
