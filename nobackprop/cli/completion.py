"""What a shell offers to complete: commands, options, and the names that stand behind them.

argcomplete asks the command itself, so that it knows the rules of installed packages, and the parts of a list with
commas, which a script that was written once could not.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .options import Parser

# by the name of an option or of an argument: what can stand there, as a function without arguments
NAMES: dict[str, Callable[[], Iterable[str]]] = {
    **dict.fromkeys(("rule", "rules", "--rule", "--rules"), lambda: _rules()),
    "--data": lambda: _of("data", "DATASETS"), "--model": lambda: _of("models", "MODELS"),
    "--show": lambda: _of("models", "MODELS"), "--activation": lambda: _of("kernels.activation", "ACTIVATIONS"),
    "--loss": lambda: _of("kernels.loss", "LOSSES"), "--optimizer": lambda: _of("optim", "OPTIMIZERS"),
    "--schedule": lambda: _of("optim", "SCHEDULES"), "--augment": lambda: _of("data.augment", "AUGMENTATIONS"),
    "--dtype": lambda: _of("settings", "DTYPES"), "--device": lambda: ("cpu", "cuda"),
    "--against": lambda: ("torch",),
    "paper": lambda: [paper.key for paper in _of("studies.equations.papers", "PAPERS")],
    "page": lambda: {one.page for one in _module("studies.theorems").statements()},
    "name": lambda: _of("experiments.papers", "EXHIBITS")}
FILES = ("--data", "--rule", "--rules", "--model", "--show")  # for which a file of one's own may stand, too


def _module(name: str) -> Any:
    """A module of this package, which is imported when it is asked for."""
    from importlib import import_module

    return import_module(f"nobackprop.{name}")


def _of(module: str, name: str) -> Any:
    """What stands in a module under a name."""
    return getattr(_module(module), name)


def _rules() -> list[str]:
    """The rules of this package and of those that are installed next to it."""
    from ..rules import RULES, offered

    return list(dict.fromkeys([*RULES, *offered()]))


def offers(known: Iterable[str], prefix: str, several: bool = False) -> list[str]:
    """Return what a word that was begun can become.

    Parameters
    ----------
    known : iterable of str
        The names that can stand there.
    prefix : str
        What is typed already.
    several : bool
        Whether it is a list with commas, of which the last name is completed.

    Examples
    --------
    >>> offers(["dfa", "dtp", "las"], "d"), offers(["dfa", "las"], "dfa,", several=True)
    (['dfa', 'dtp'], ['dfa,las'])
    """
    before, comma, begun = prefix.rpartition(",") if several else ("", "", prefix)
    there = before.split(",")
    return [f"{before}{comma}{name}" for name in known if name.startswith(begun) and name not in there]


def attach(commands: Mapping[str, Parser]) -> None:
    """Tell argcomplete what can stand behind the options of all commands.

    Examples
    --------
    >>> parser = Parser()
    >>> action = parser.add_argument("--rules", metavar="RULE,...")
    >>> attach({"mine": parser})
    >>> action.completer("bp,wm")
    ['bp,wm']
    """
    for parser in commands.values():
        for action in parser._actions:
            if action.dest == "number" and not action.option_strings:
                action.completer = _numbers  # type: ignore[attr-defined]
                continue
            names = next((NAMES[key] for key in (*action.option_strings, action.dest) if key in NAMES), None)
            if names is not None and action.choices is None:
                action.completer = _completer(  # type: ignore[attr-defined]
                    names, str(action.metavar).endswith(",..."), bool({*action.option_strings} & {*FILES}))


def _numbers(prefix: str, parsed_args: Any = None, **_: Any) -> list[str]:
    """The numbers of the equations of the paper that is typed already."""
    paper = str(getattr(parsed_args, "paper", None) or "").lower()
    return offers([equation.number for one in _of("studies.equations.papers", "PAPERS") if one.key.lower() == paper
                   for equation in one.equations], prefix)


def _options(prefix: str, several: bool) -> list[str]:
    """The options of the rule whose name and colon are typed already, such as asap:k=."""
    from dataclasses import fields

    from ..errors import InputError
    from ..rules import recall

    before, comma, begun = prefix.rpartition(",") if several else ("", "", prefix)
    rule, _, _ = begun.rpartition(":")
    try:
        found = fields(recall(rule)) if rule else ()
    except InputError:
        return []
    return offers([f"{before}{comma}{rule}:{option.name}=" for option in found if option.init], prefix)


def _completer(names: Callable[[], Iterable[str]], several: bool, files: bool) -> Callable[..., list[str]]:
    """The function that argcomplete calls for one option."""
    def completer(prefix: str, **_: Any) -> list[str]:
        found = offers(names(), prefix, several) or (_options(prefix, several) if names is NAMES["rule"] else [])
        if files and not found:
            from argcomplete.completers import FilesCompleter

            return list(FilesCompleter()(prefix))
        return found
    return completer


def complete(parser: Parser, commands: Mapping[str, Parser]) -> None:
    """Answer the shell and end the process, if argcomplete is installed.

    Examples
    --------
    >>> complete(Parser(), {})  # no shell asks
    """
    try:
        import argcomplete
    except ImportError:
        return
    attach(commands)
    argcomplete.autocomplete(parser)
