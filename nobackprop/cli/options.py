"""The parser of a command, the kinds of values that options take, and the options that several commands share."""
from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import unknown
from .output import one_line, say, tell


class Parser(argparse.ArgumentParser):
    """A parser that tells a mistake in one line, without a page of usage, and accepts no abbreviations.

    Parameters
    ----------
    **kwargs
        As argparse.ArgumentParser takes them.

    Examples
    --------
    >>> parser = Parser(prog="mine")
    >>> _ = parser.add_argument("--epochs", type=count)
    >>> parser.parse(["--epochs", "3"]).epochs
    3
    """

    def __init__(self, **kwargs: Any):
        self.options: list[str] = []
        self.lists: dict[str, str] = {}  # what stands between the values of an option that takes several
        self.elsewhere: dict[str, str] = {}  # options of other commands, and the command that a user of them means
        super().__init__(allow_abbrev=False, **kwargs)

    def add_argument(self, *names: str, **kwargs: Any) -> Any:
        """Add an option, as argparse does, and keep its name for the sentence about unknown options."""
        self.options += [name for name in names if name.startswith("--")]
        if str(kwargs.get("metavar")).endswith("..."):
            self.lists[names[0]] = {",": "commas", ";": "semicolons"}[kwargs["metavar"][-4]]
        return super().add_argument(*names, **kwargs)

    def error(self, message: str) -> Any:
        """Tell a mistake in one line on stderr, and exit with 2."""
        tell(f"{self.prog}: error: {one_line(message)}")
        self.exit(2)

    def _print_message(self, message: str, file: Any = None) -> None:
        """What argparse prints by itself: its help and the version."""
        say(message, end="")

    def _joined(self, argv: list[str]) -> list[str]:
        """Join an option and a value that begins with a minus, which argparse would take for another option."""
        taking = {name for action in self._actions if action.nargs is None for name in action.option_strings}
        joined: list[str] = []
        for word in argv:
            if (joined and joined[-1] in taking and re.match(r"-[^-]", word)
                    and word not in self._option_string_actions):
                joined[-1] = f"{joined[-1]}={word}"
            else:
                joined.append(word)
        return joined

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """Return the arguments; exit with 2 if one of them is not known, or if a list is given in two parts.

        Of any other option that is there twice the last value holds, as scripts rely on it.
        """
        for word, value in zip(argv, [*argv[1:], ""]):
            name, _, joined = word.partition("=")
            if name in self.elsewhere:
                self.error(self.elsewhere[name].format(joined or value))
        args, rest = self.parse_known_args(self._joined(argv))
        typed = [word.partition("=")[0] for word in argv]
        if rest and rest[0].startswith("--") and rest[0] != "--":
            name = rest[0].partition("=")[0]
            # --help, which every command has, would be the nearest of a list of one
            self.error(str(unknown("option", name, self.options)) if len(self.options) > 1
                       else f"unknown option '{name}': this command has no options")
        if rest:
            hints = [f": the values of {option} are one word, with {self.lists[option]} between them"
                     for option, word in zip(argv, argv[2:]) if option in self.lists and word == rest[0]]
            self.error(f"unexpected argument '{rest[0]}'{''.join(hints[:1])}")
        for name in self.lists:
            if typed.count(name) > 1:
                self.error(f"the option {name} is there {typed.count(name)} times, expected it once, with "
                           "all its values")
        return args


# ---------------------------------------------------------------- kinds of value


def integer(text: str, low: int, high: int, wanted: str) -> int:
    """Read an integer from `low` to `high`; `wanted` says in words what was expected.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is none.

    Examples
    --------
    >>> integer("7", 1, 9, "a digit")
    7
    """
    try:
        value = int(text)
    except ValueError:
        # Python converts no more than 4300 digits
        value = high + 1 if text.isdecimal() else low - 1
    if low <= value <= high:
        return value
    raise argparse.ArgumentTypeError(f"got '{text}', expected {wanted if value < low else f'at most {high}'}")


def count(text: str) -> int:
    """Read an integer from 1 on.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is none.

    Examples
    --------
    >>> count("64")
    64
    """
    return integer(text, 1, sys.maxsize, "an integer from 1 on")


def worker_count(text: str) -> int:
    """Read a number of workers; "all" means one for each core.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is none.

    Examples
    --------
    >>> worker_count("2"), worker_count("all") >= 1
    (2, True)
    """
    if text == "all":
        from ..workers import cores

        return cores()
    return integer(text, 1, 1024, "an integer from 1 to 1024, or all")


def number(text: str, wanted: str, fits: Callable[[float], bool]) -> float:
    """Read a finite number for which `fits` holds; `wanted` says in words what was expected.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is none.

    Examples
    --------
    >>> number("0.5", "a share", lambda value: 0 <= value <= 1)
    0.5
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not fits(value):
        large = " of at most 1.8e308" if math.isinf(value) and any(sign.isdigit() for sign in text) else ""
        raise argparse.ArgumentTypeError(f"got '{text}', expected {wanted}{large}")
    return value


def positive(text: str) -> float:
    """Read a number above 0.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is none.

    Examples
    --------
    >>> positive("1e-3")
    0.001
    """
    return number(text, "a number above 0", lambda value: value > 0)


def not_negative(text: str) -> float:
    """Read a number from 0 on.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is none.

    Examples
    --------
    >>> not_negative("0")
    0.0
    """
    return number(text, "a number from 0 on", lambda value: value >= 0)


def names(text: str, wanted: str, between: str = ",") -> list[str]:
    """Read names with a sign between them; `wanted` says in words what was expected.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is none.

    Examples
    --------
    >>> names("bp, las", "names")
    ['bp', 'las']
    """
    parts = [part.strip() for part in text.split(between)]
    if not all(parts):
        raise argparse.ArgumentTypeError(f"got '{text}', expected {wanted}")
    return parts


def once(values: list[Any], text: str, what: str) -> list[Any]:
    """Return the values that a text was read as, each of which may be there only once.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is none.

    Examples
    --------
    >>> once([0, 1], "0,1", "seed")
    [0, 1]
    """
    for i, value in enumerate(values):
        if value in values[:i]:
            raise argparse.ArgumentTypeError(f"got '{text}', expected every {what} once, not {value} again")
    return values


def rule(text: str) -> str:
    """Read the name of one rule.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if there are several.

    Examples
    --------
    >>> rule("asap:k=3")
    'asap:k=3'
    """
    if "," in text:
        several = ",".join(part.strip() for part in text.split(",") if part.strip())
        raise argparse.ArgumentTypeError(f"got '{text}', expected one rule; this trains under several: "
                                         f"nobackprop compare --rules {several}")
    return text


def data(text: str) -> str:
    """Read the name of one data set.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if there are several.

    Examples
    --------
    >>> data("digits")
    'digits'
    >>> data("digits,xor")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: got 'digits,xor', expected one data set; run the command once for each: --data digits, \
then --data xor
    """
    from ..data import DATASETS
    from ..data.own import is_own

    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and not Path(text).exists() and all(part in DATASETS or is_own(part) for part in parts):
        raise argparse.ArgumentTypeError(f"got '{text}', expected one data set; run the command once for each: "
                                         f"{', then '.join(f'--data {part}' for part in parts)}")
    return text


def rules(text: str) -> list[str]:
    """Read names of rules with commas between.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is none.

    Examples
    --------
    >>> rules("bp,las")
    ['bp', 'las']
    """
    return once(names(text, "names of rules with commas between, such as bp,las"), text, "rule")


def seeds(text: str) -> list[int]:
    """Read seeds with commas between.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is none.

    Examples
    --------
    >>> seeds("0,1,2")
    [0, 1, 2]
    """
    wanted = "integers from 0 on with commas between, such as 0,1,2"
    try:
        values = [int(part) for part in names(text, wanted)]
    except ValueError:
        values = [-1]
    if min(values) < 0:
        raise argparse.ArgumentTypeError(f"got '{text}', expected {wanted}")
    return once(values, text, "seed")


def one_value(read: Callable[[str], Any], known: Iterable[str] = ()) -> Callable[[str], Any]:
    """Return a reader of one value that says which command tries several.

    Parameters
    ----------
    read : callable
        The reader of one value.
    known : iterable of str
        The values that there are, if they are names.

    Examples
    --------
    >>> one_value(positive)("1e-3")
    0.001
    >>> one_value(positive)("1e-3,1e-2")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: got '1e-3,1e-2', expected one value; this tries several: nobackprop sweep FILE.toml ...
    """
    known = set(known)

    def good(part: str) -> bool:
        try:
            return read(part) is not None and (not known or part in known)
        except argparse.ArgumentTypeError:
            return False

    def one(text: str) -> Any:
        parts = text.split(",")
        if len(parts) > 1 and all(good(part.strip()) for part in parts):
            raise argparse.ArgumentTypeError(f"got '{text}', expected one value; this tries several: nobackprop sweep "
                                             "FILE.toml (see docs/runs.md)")
        return read(text)
    return one


# how the command line reads a setting of each kind, and what its help calls the value
READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "count": (one_value(count), "N"), "positive": (one_value(positive), "X"),
    "non-negative": (one_value(not_negative), "X"), "name": (str, "NAME")}


# ---------------------------------------------------------------- options of several commands


def machine_options(parser: Parser, threads: str) -> None:
    """Give a command the options that say on which machine it runs; `threads` says what the default is.

    Examples
    --------
    >>> parser = Parser()
    >>> machine_options(parser, "1")
    >>> parser.parse(["--threads", "2"])
    Namespace(threads=2, device='cpu')
    """
    parser.add_argument("--threads", type=worker_count, metavar="N",
                        help=f"the number of workers that share a step, or all; default: {threads}")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N; default: %(default)s")


def data_options(parser: Parser) -> None:
    """Give a command the options that say where a data set's files are.

    Examples
    --------
    >>> parser = Parser()
    >>> data_options(parser)
    >>> parser.parse(["--data-dir", "files"])
    Namespace(data_dir='files', download=False)
    """
    parser.add_argument("--data-dir", metavar="DIR", help="the folder with the data set's files")
    parser.add_argument("--download", action="store_true", help="fetch those files if they are missing")
