"""`nobackprop sweep` tries many settings, chooses the best one of each rule, and runs it again on fresh seeds."""
from __future__ import annotations

import argparse
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .ends import listening
from .options import Parser, count, data_options
from .output import say, tell
from .running import check_typed, ended_early, every

if TYPE_CHECKING:
    from ..experiments.folder import Folder
    from ..experiments.sweep.spec import Sweep

SUMMARY = "try many settings, choose the best of each rule by validation accuracy, and run it on fresh seeds"


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["sweep.toml", "--processes", "2"]).processes
    2
    """
    parser.add_argument("file", nargs="?", metavar="FILE.toml", help="what is tried; docs/runs.md shows one")
    parser.add_argument("--status", metavar="DIR", help="say where the sweep in this folder stands, and no more")
    parser.add_argument("--resume", metavar="DIR", help="go on with the sweep in this folder; no run is done twice")
    parser.add_argument("--processes", type=count, metavar="N",
                        help="the number of runs at the same time; default: as many as the cores have room for")
    parser.add_argument("--scheduler", metavar="ADDRESS",
                        help="run on the Dask cluster with this scheduler, such as tcp://10.0.0.1:8786, and not here")
    parser.add_argument("--checkpoint-every", type=every, metavar="N|Ns",
                        help="how often the state of a running run is saved: after N epochs, after N seconds, or "
                             "never; default: 60s")
    data_options(parser)
    parser.add_argument("--out", metavar="DIR",
                        help="a new or empty folder; default: the first free one of runs/sweep-001, ...")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["sweep", "nowhere.toml"])
    2
    """
    given = [what for what in (args.file, args.status, args.resume) if what is not None]
    if len(given) != 1:
        came = f"{len(given)} of these" if given else "none of these"
        raise InputError(f"sweep: expected FILE.toml, --resume DIR or --status DIR, got {came}")
    from ..experiments.folder import claim, reopen
    from ..experiments.loop import take_over
    from ..experiments.sweep import run as running
    from ..experiments.sweep import spec

    if args.status is not None:
        say(running.status(args.status))
        return 0
    with listening():
        if args.resume is not None:
            check_typed(args, ("--processes", "--scheduler"))
            with reopen(args.resume, "sweep") as folder:
                sweep = running.asked(folder.stored)
                results = running.begin(sweep, args.data_dir, args.download)
                take_over(results, folder.stored)
                return _carry_out(sweep, results, folder, args)
        sweep = spec.read(args.file)
        results = running.begin(sweep, args.data_dir, args.download)
        with claim(args.out, "sweep") as folder:
            return _carry_out(sweep, results, folder, args)


class Shown:
    """How far a sweep is, on stderr: one line at a terminal, which is overwritten, or else a line for each run.

    Examples
    --------
    >>> import contextlib, io
    >>> with contextlib.redirect_stderr(io.StringIO()) as told:
    ...     Shown()("las, xor, seed 0: 0.9000", 1, 1)
    >>> told.getvalue()
    '1 of 1: las, xor, seed 0: 0.9000\\n'
    """

    def __init__(self) -> None:
        self.start, self.first = 0.0, 0

    def __call__(self, text: str, ended: int, of: int) -> None:
        """Say what a run has come to."""
        from ..experiments.progress import clock

        if not self.first:  # the time until now was that of the start of all processes
            self.first, self.start = ended, time.monotonic()
        left = ""
        if self.first < ended < of:
            seconds = (time.monotonic() - self.start) / (ended - self.first) * (of - ended)
            left = f", {clock(seconds)} left"
        line = f"{ended} of {of}: {text}{left}"
        if sys.stderr is not None and sys.stderr.isatty():
            print(f"\r\033[K{line}", end="" if ended < of else "\n", file=sys.stderr, flush=True)
        else:
            tell(line)


def _carry_out(sweep: Sweep, results: dict[str, Any], folder: Folder, args: argparse.Namespace) -> int:
    """Run a sweep, write and show what was found, whatever ends it, and return the exit code."""
    from ..experiments.folder import FIGURE, RESULTS
    from ..experiments.loop import MINUTE
    from ..experiments.sweep import run as running
    from ..experiments.sweep import show

    points = sweep.points
    settings, seeds, fresh = (f"{len(values)} {name}{'s' * (len(values) != 1)}" for values, name in (
        (points, "setting"), (sweep.seeds, "seed"), (sweep.fresh_seeds, "fresh seed")))
    say(f"{settings} x {seeds}, then the best of each rule with {fresh}\nout           {folder.path}")
    stop: KeyboardInterrupt | BrokenPipeError | InputError | None = None
    try:
        running.run(sweep, results, folder, args.processes, args.scheduler, args.data_dir, args.download,
                    args.checkpoint_every or MINUTE, Shown())
    # if the reader of stdout or stderr went away, what was measured is written, too
    except (KeyboardInterrupt, BrokenPipeError, InputError) as error:
        stop = error
        folder.write(results)  # once more, as the signal may have come while it was written
    if results["search"]:
        folder.draw(show.draw(results))
    try:
        if results["search"]:
            say(f"\n{show.table(results)}\n")
            if folder.path is not None:
                say(f"wrote {folder.path / RESULTS} and {folder.path / FIGURE}")
        if stop is not None:
            begun = folder.path is not None and (results["search"] or (folder.path / running.RUNS).exists())
            say("interrupted" + (f"; go on with: nobackprop sweep --resume {shlex.quote(str(folder.path))}" if begun
                                 else "; wrote nothing"))
    except (InputError, BrokenPipeError):
        if stop is None:
            raise
    if isinstance(stop, InputError):
        raise stop
    if (code := ended_early(stop, folder)) is not None:
        return code
    gone = [run["diverged"] for run in results["runs"] if "diverged" in run]
    lost = set(results["config"]["rules"]) - {entry["label"] for entry in results["best"]}
    if lost:
        raise InputError(f"every run of {sorted(lost)[0]} diverged, so it has no best setting: try smaller learning "
                         "rates")
    if gone:
        raise InputError(f"with fresh seeds, {gone[0]}")
    return 0
