"""What the commands share that train: the options of the run loop, and what is written and said at the end."""
from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError
from .ends import exit_code
from .options import Parser, count, positive
from .output import one_line, say, show, tell, width

if TYPE_CHECKING:
    from ..experiments.folder import Folder
    from ..experiments.loop import Every, Job

WITH_RESUME = ("--resume", "--data-dir", "--download", "--checkpoint-every", "--log-every", "--order")


class Work(Protocol):
    """What is run: a `Comparison`, or the `Plan` of a table or figure.

    Examples
    --------
    >>> from nobackprop.experiments.compare import Comparison, resolve
    >>> work: Work = Comparison(resolve("xor", ["bp"]))
    """

    @property
    def results(self) -> dict[str, Any]:
        """Of the form in results.py."""

    @property
    def jobs(self) -> Sequence[Job]:
        """All that is to be trained."""

    def run(self, folder: Folder | None, order: str, checkpoint: Every, log_every: int | None) -> Any:
        """Train all that has not ended yet."""


def running_options(parser: Parser, out: str) -> None:
    """Give a command the options of the run loop; `out` says what the default of --out is.

    Examples
    --------
    >>> parser = Parser()
    >>> running_options(parser, "the first free one of runs/DATA-001, ...")
    >>> parser.parse(["--checkpoint-every", "5"]).checkpoint_every
    Every(epochs=5, seconds=None)
    """
    parser.add_argument("--out", metavar="DIR", help=f"a new or empty folder; default: {out}")
    parser.add_argument("--resume", metavar="DIR",
                        help="go on with what was interrupted in this folder, with the settings in its results.json")
    parser.add_argument("--checkpoint-every", type=every, metavar="N|Ns",
                        help="how often the state of the running run is saved, from which --resume goes on: after N "
                             "epochs, after N seconds, or never; default: 60s")
    parser.add_argument("--log-every", type=count, metavar="N", help="print a line after every N epochs of a run")
    parser.add_argument("--order", choices=("seeds", "rules"), default="seeds",
                        help="seeds: first everything with the first seed, then with the next one; rules: first all "
                             "seeds of the first rule; default: %(default)s")


def every(text: str) -> Every:
    """Read how often a checkpoint is written.

    Raises argparse.ArgumentTypeError, whose sentence the parser prints, if it is nothing of that kind.

    Examples
    --------
    >>> every("5"), every("0.5s"), every("never")
    (Every(epochs=5, seconds=None), Every(epochs=None, seconds=0.5), Every(epochs=None, seconds=None))
    """
    from ..experiments.loop import Every

    if text == "never":
        return Every()
    try:
        return Every(seconds=positive(text[:-1])) if text.endswith("s") else Every(epochs=count(text))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"got '{text}', expected a number of epochs such as 5, of seconds such as "
                                         "60s, or never") from None


def check_typed(args: argparse.Namespace, also: tuple[str, ...] = ()) -> None:
    """Raise InputError if an option was typed next to --resume that the stored settings hold; `also` may be given, too.

    Examples
    --------
    >>> check_typed(argparse.Namespace(resume="runs/digits-001", typed=["--resume", "--lr"]))
    Traceback (most recent call last):
    nobackprop.errors.InputError: --lr cannot be given together with --resume: the settings are those in runs/digits-001
    """
    for option in args.typed:
        if option not in (*WITH_RESUME, *also):
            raise InputError(f"{option} cannot be given together with --resume: the settings are those in "
                             f"{args.resume}")


def carry_out(work: Work, folder: Folder, args: argparse.Namespace, command: str,
              heading: Callable[[dict[str, Any]], str] = lambda results: "") -> int:
    """Train, write and show what was measured, whatever ends the training, and return the exit code.

    Parameters
    ----------
    work : Work
        What is run.
    folder : Folder
        The folder that was claimed for it.
    args : argparse.Namespace
        The options of `running_options`.
    command : str
        What goes on with it: `nobackprop COMMAND --resume DIR`.
    heading : callable
        What stands above the table, as a function of the results.

    Returns
    -------
    int
        0 if every run has reached its end; 2 if one has diverged; 1 if stdout's or stderr's reader went away, or if
        nothing could be written; 128 and the number of the signal if one has ended the training.

    Raises
    ------
    InputError
        If stdout takes nothing, or if the results cannot be drawn; what was measured is written before.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["train", "--resume", "nowhere"])
    2
    """
    from ..experiments import papers, results
    from ..experiments.folder import FIGURE, RESULTS
    from ..experiments.loop import MINUTE

    stop: KeyboardInterrupt | BrokenPipeError | None = None
    try:
        work.run(folder, args.order, args.checkpoint_every or MINUTE, args.log_every)
    # if the reader of stdout or stderr went away, what was measured is written, too
    except (KeyboardInterrupt, BrokenPipeError) as error:
        stop = error
        folder.write(work.results)  # once more, as the signal may have come while it was written
    found, runs, undrawn = work.results, work.results["runs"], None
    if runs:
        # written before it is shown: showing may fail, with a pipe that is closed
        try:
            folder.draw(papers.draw(found))
        except InputError as error:
            undrawn = error
    where = "wrote nothing"
    if runs and folder.path is not None:
        where = f"wrote {folder.path / RESULTS}" + ("" if undrawn else f" and {folder.path / FIGURE}")
    try:
        if runs:
            show(f"\n{heading(found)}{results.table(found, width())}\n")
            say(where)
        if stop is not None:
            say(_interrupted(work, folder, command))
    except (InputError, BrokenPipeError):
        if stop is None:
            raise
    if (code := ended_early(stop, folder)) is not None:
        return code
    if gone := [run["diverged"] for run in runs if "diverged" in run]:
        more = f" (and {len(gone) - 1} more of the runs diverged)" if len(gone) > 1 else ""
        raise InputError(f"{gone[0]}{more}")
    if undrawn is not None:
        raise undrawn
    return 0


def ended_early(stop: KeyboardInterrupt | BrokenPipeError | None, folder: Folder) -> int | None:
    """Return the exit code of a command that was stopped, or whose results could not be stored; None of any other.

    Examples
    --------
    >>> from pathlib import Path
    >>> from nobackprop.experiments.folder import Folder
    >>> ended_early(BrokenPipeError(), Folder(Path("runs"))), ended_early(None, Folder(Path("runs")))
    (1, None)
    """
    if isinstance(stop, KeyboardInterrupt):
        return exit_code(stop)
    if stop is not None:
        return 1
    if folder.path is None:
        tell(f"nobackprop: the results are shown and not stored: {one_line(folder.why)}")
        return 1
    return None


def _interrupted(work: Work, folder: Folder, command: str) -> str:
    """What the last line says of results that are not whole: how far they are, and how to go on."""
    from ..experiments.loop import has_ended

    runs = work.results["runs"]
    if not runs:
        return "\ninterrupted after less than one epoch; wrote nothing"
    begun = [f", {run['rule']} seed {run['seed']} at epoch {len(run['history'])}" for run in runs if not has_ended(run)]
    how = "" if folder.path is None else f"; go on with: nobackprop {command} --resume {shlex.quote(str(folder.path))}"
    return f"interrupted: {len(runs) - len(begun)} of {len(work.jobs)} runs ended{''.join(begun)}{how}"
