"""What commands measure on a machine: rows in a JSON file, gathered cell by cell, and the place of a page for them.

A *cell* says what is measured: a dict.  What came of it are its *rows*: dicts that hold the cell and the numbers.  Rows
are written before the next cell begins.  A run that was interrupted goes on where it stopped; it refuses a file of
another machine.
"""
from __future__ import annotations

import importlib
import json
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, brief
from ..files import atomic
from ..workers import cores
from .text import write_page

Row = dict[str, Any]


@dataclass(frozen=True)
class Store:
    """The file of a make target that measures, and the page that shows it.

    Parameters
    ----------
    target : str
        The name of the make target.
    path : path
        The file, as JSON: "format", "machine" (a dict) and "rows" (a list).
    form : str
        What the file says under "format".

    Examples
    --------
    >>> Store("it", Path("it.json"), "rows of it").read()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nobackprop.errors.InputError: it.json: expected what make it writes, got ...
    """

    target: str
    path: Path
    form: str

    @property
    def nothing(self) -> str:
        """The sentence that the page has as long as nothing is stored."""
        return f"Not measured yet: `make {self.target}` writes this place.\n"

    def read(self) -> dict[str, Any]:
        """Return what is stored; raise InputError if the file is missing, or if it is no such file."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if (found["format"] != self.form or not isinstance(found["rows"], list)
                    or not isinstance(found["machine"], dict)):
                raise ValueError("a file of another kind")
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise InputError(f"{self.path}: expected what make {self.target} writes, got {brief(str(error))}") from None
        return dict(found)

    def fill(self, here: dict[str, str], cells: Sequence[Row], measured: Callable[[Row], list[Row]]) -> dict[str, Any]:
        """Measure every cell that is not in the file yet, and write its rows before the next one begins.

        Parameters
        ----------
        here : dict
            What `machine` returns.
        cells : sequence of dict
        measured : callable
            It takes a cell and returns its rows, which need not hold the cell.

        Returns
        -------
        dict
            What is in the file then.

        Raises
        ------
        InputError
            If the file holds the numbers of another machine.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store("it", Path(folder) / "it.json", "rows of it")
        ...     store.fill({"cores": "2"}, [{"rule": "bp"}, {"rule": "las"}], lambda cell: [{"ms": 3}])["rows"]
        [{'rule': 'bp', 'ms': 3}, {'rule': 'las', 'ms': 3}]
        """
        found: dict[str, Any] = self.read() if self.path.exists() else {
            "format": self.form, "machine": here, "rows": []}
        if found["machine"] != here:
            raise InputError(f"{self.path} holds numbers of another machine, {found['machine']}, and this is {here}: "
                             "remove it to measure all again")
        for cell in cells:
            if not any(cell.items() <= row.items() for row in found["rows"]):
                found["rows"] += [cell | row for row in measured(cell)]
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with atomic(self.path) as partial:
                    partial.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return found

    def put(self, page: str, inside: str) -> str:
        r"""Return a page with a text in the place that is marked as written by this make target.

        Parameters
        ----------
        page : str
            A comment begins the place, and another one ends it.
        inside : str
            What stands between the two comments then; it ends with a new line.

        Returns
        -------
        str

        Raises
        ------
        InputError
            If the page has no such place.

        Examples
        --------
        >>> page = "a\n<!-- begin: written by make it -->\nold\n<!-- end -->\nb"
        >>> Store("it", Path("it.json"), "rows of it").put(page, "new\n").splitlines()
        ['a', '<!-- begin: written by make it -->', 'new', '<!-- end -->', 'b']
        """
        begin, end = f"<!-- begin: written by make {self.target} -->\n", "<!-- end -->"
        before, _, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not closed:
            raise InputError(f"the page has no place for what make {self.target} writes, marked by {begin.strip()} "
                             f"and {end}")
        return f"{before}{begin}{inside}{end}{after}"

    def command(self, argv: Sequence[str], module: str, measure: Callable[[], object], page: Path,
                text: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
        """Do what a command line asks for: measure what is missing, unless it is "--page", and write the page.

        Parameters
        ----------
        argv : sequence of str
            Nothing, or "--page".
        module : str
            The module whose command it is.
        measure : callable
            measure() fills the file.
        page : path
            The page, which has a place for this make target.
        text : callable
            text(stored) gives what stands in that place.

        Returns
        -------
        dict
            What is stored then.

        Raises
        ------
        SystemExit
            After other arguments, or if something cannot be measured or written; it holds one sentence.

        Examples
        --------
        >>> Store("it", Path("it.json"), "rows of it").command(["--help"], "it", dict, Path("it.md"), str)
        Traceback (most recent call last):
        SystemExit: usage: python -m it [--page]
        """
        if list(argv) not in ([], ["--page"]):
            sys.exit(f"usage: python -m {module} [--page]")
        try:
            if not argv:
                measure()
            stored = self.read()
            write_page([str(page)], module, lambda: self.put(page.read_text(encoding="utf-8"), text(stored)))
        except (InputError, OSError) as error:
            sys.exit(f"{module}: {error}")
        return stored


def machine(*modules: str) -> dict[str, str]:
    """Return what measured numbers depend on: the processor, and the versions of Python and of some modules.

    Parameters
    ----------
    *modules : str
        Names of modules that are installed.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If one is not installed.

    Examples
    --------
    >>> sorted(machine("numpy"))
    ['cores', 'numpy', 'processor', 'python']
    """
    about = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in about.read_text(encoding="utf-8").splitlines()
             if line.startswith("model name")] if about.exists() else []
    try:
        versions = {name: str(importlib.import_module(name).__version__) for name in modules}
    except ImportError as error:
        raise InputError(f"a measurement needs {error.name}, which is not installed") from None
    return {"processor": names[0] if names else platform.processor() or platform.machine(), "cores": str(cores()),
            "python": platform.python_version(), **versions}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown.

    Examples
    --------
    >>> print(table(["rule", "ms"], [["bp", "3"]]))
    | rule | ms |
    |---|---|
    | bp | 3 |
    """
    lines = [head, *rows]
    first, *others = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([first, "|---" * len(head) + "|", *others])


def said(here: dict[str, str]) -> str:
    """Return the sentence that names a machine.

    Examples
    --------
    >>> said({"cores": "2", "numpy": "2.0"})
    'Machine: cores 2, numpy 2.0.'
    """
    return "Machine: " + ", ".join(f"{name} {value}" for name, value in here.items()) + "."
