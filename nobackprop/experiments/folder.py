"""The folder of a run: it is claimed by one process at a time, and what is written goes elsewhere if it is lost.

    DIR/results.json                 the results as far as they are measured, see results.py
    DIR/figure.png                   their figure, drawn at the end
    DIR/checkpoints/RULE-SEED-...    from which a run goes on that was interrupted; removed when the run has ended
    DIR/.lock                        the claim, which ends with the process, however that ends
"""
from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..errors import InputError, brief
from ..files import named
from ..learn import Run
from . import results as files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG = logging.getLogger(__name__)
LOCK = ".lock"
RESULTS, FIGURE, CHECKPOINTS = "results.json", "figure.png", "checkpoints"
PAUSE = 2.0  # seconds between two writings of the results


def _tell(text: str) -> None:
    """Print a sentence to stderr; nothing happens if stderr is closed or full."""
    with suppress(OSError):
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)


class Folder:
    """Where a run is written down, as `claim` and `reopen` give it.

    If the folder vanishes or its disk is full, this is said once, and from then on everything goes to a new folder in
    the temporary folder.  If that fails as well, nothing more is written.  No method raises an error for that.

    Parameters
    ----------
    path : pathlib.Path
        The folder.
    stored : dict, optional
        The results that are already in it.
    fallback : bool
        Whether another folder takes its place if it is lost; if not, nothing more is written, and nothing is said.

    Attributes
    ----------
    path : pathlib.Path or None
        Where the results are now; None if they cannot be written anywhere.
    stored : dict
        The results that were in it at the start; empty in a new folder.
    tell : callable
        What prints a sentence for the user; stderr's print until a loop puts its own here.
    why : str
        Why the folder was left, or an empty text.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = Folder(Path(place))
    ...     folder.write({"config": {}, "runs": []})
    ...     (folder.path / "results.json").exists()
    True
    """

    def __init__(self, path: Path, stored: dict[str, Any] | None = None, fallback: bool = True):
        self.path: Path | None = path
        self.stored = stored or {}
        self.tell: Callable[[str], None] = _tell
        self.why = ""
        self.results: dict[str, Any] | None = None  # what was written last
        self._last = -PAUSE
        self._temporary = not fallback
        self._refused: set[tuple[str, int]] = set()  # those whose run no file can hold, which is said once

    def write(self, results: dict[str, Any], soon: bool = False) -> None:
        """Write results.json, all of it or nothing.

        Parameters
        ----------
        results : dict
            Of the form in results.py.
        soon : bool
            Whether it may be left out, as the next writing will come: nothing is written within two seconds of the last
            time.
        """
        if soon and time.monotonic() - self._last < PAUSE:
            return
        self.results = results
        self._keep(lambda path: files.write(path / RESULTS, results))
        self._last = time.monotonic()

    def write_below(self, name: str, results: dict[str, Any]) -> None:
        """Write a results.json into a folder below this one, which is made if it is not there."""
        def save(path: Path) -> None:
            (path / name).mkdir(parents=True, exist_ok=True)
            files.write(path / name / RESULTS, results)
        self._keep(save)

    def draw(self, figure: Figure) -> None:
        """Write the figure to figure.png."""
        from .. import figures  # matplotlib takes longer to come than most commands to run

        self._keep(lambda path: figures.write(figure, path / FIGURE))

    def checkpoint(self, key: tuple[str, int], run: Run) -> None:
        """Write the checkpoint of the run with that name and seed, in the place of an older one.

        Parameters
        ----------
        key : tuple of str and int
            The name and the seed.
        run : Run
            The run, between two epochs.
        """
        def save(path: Path) -> None:
            (path / CHECKPOINTS).mkdir(exist_ok=True)
            run.save(path / CHECKPOINTS / _name(key))

        try:
            self._keep(save)
        except InputError as error:
            if key not in self._refused:
                self.tell(f"no checkpoint of {key[0]} seed {key[1]} is written: {error}")
            self._refused.add(key)

    def checkpoint_of(self, key: tuple[str, int]) -> Path | None:
        """Return where the checkpoint of the run with that name and seed is if there is one."""
        return None if self.path is None else self.path / CHECKPOINTS / _name(key)

    def drop_checkpoint(self, key: tuple[str, int]) -> None:
        """Remove the checkpoint of the run with that name and seed, and the folder of checkpoints if it is empty."""
        path = self.checkpoint_of(key)
        if path is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)
                path.parent.rmdir()

    def _keep(self, save: Callable[[Path], None]) -> None:
        """Write with a function of the folder, and leave the folder if it cannot be written to.

        An InputError that has nothing to do with the disk is passed on.
        """
        while self.path is not None:
            try:
                save(self.path)
                return
            except (OSError, InputError) as error:
                if not isinstance(error, OSError) and not isinstance(error.__context__, OSError):
                    raise
                self._leave(str(error))

    def _leave(self, why: str) -> None:
        """Go to a new folder in the temporary folder, and take the results along."""
        left, self.path = self.path, None
        if not self._temporary:
            with suppress(OSError):
                self.path = Path(tempfile.mkdtemp(prefix=f"nobackprop-{left.resolve().name if left else ''}-"))
        silent = self._temporary and not self.why and self.path is None
        self._temporary, self.why = True, why
        what = f"{why}; " + ("nothing more is written" if self.path is None else
                             f"from now on all is written to {self.path}")
        LOG.warning("%s", what)
        if not silent:
            self.tell(what)
        if self.results is not None:
            everything = self.results
            self._keep(lambda path: files.write(path / RESULTS, everything))


def _name(key: tuple[str, int]) -> str:
    """The name of a checkpoint: readable, short enough for every disk, and another one for every key."""
    readable = re.sub(r"[^A-Za-z0-9_.=-]+", "-", key[0])[:60]
    return f"{readable}-{key[1]}-{hashlib.sha256(repr(key).encode()).hexdigest()[:8]}.safetensors"


@contextmanager
def claim(out: str | None, name: str) -> Iterator[Folder]:
    """Make a folder to write to and claim it, for the length of a `with` block.

    If the results that were written to it hold no run at the end, they are removed.  If the folder then is empty, it is
    removed, together with the parents that were made for it.

    Parameters
    ----------
    out : str or None
        The folder, new or empty; if None, the first free one of runs/NAME-001, runs/NAME-002, ...
    name : str
        NAME in these.

    Yields
    ------
    Folder
        The folder.

    Raises
    ------
    InputError
        If `out` is in use, or if the folder cannot be made or written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with claim(f"{place}/new", "digits") as made:
    ...         there = made.path.is_dir()
    ...     there, Path(place, "new").exists()
    (True, False)
    """
    paths = [named(out)] if out is not None else (Path("runs", f"{name}-{n:03}") for n in count(1))
    with ExitStack() as stack:
        for path in paths:
            made = [place for place in (path, *path.parents) if not os.path.lexists(place)]
            if out is None and path not in made:
                continue
            try:
                if path not in made:
                    _check_unused(path)
                path.mkdir(parents=True, exist_ok=out is not None)
                stack.callback(_remove, made)
                tempfile.TemporaryFile(dir=path).close()
                _lock(path, stack)
                _check_unused(path)  # by one that had ended before the lock was ours
                break
            except OSError as error:
                if out is None and isinstance(error, FileExistsError):
                    continue  # another process was faster
                _remove(made)
                raise InputError(f"cannot write to the folder {path} ({error.strerror}): "
                                 "name another one with --out DIR") from None
        folder = Folder(path)
        try:
            yield folder
        finally:
            if folder.results is not None and not folder.results["runs"] and _is_alone(path):
                with suppress(OSError):
                    (path / RESULTS).unlink()


@contextmanager
def reopen(path: str | os.PathLike[str], command: str) -> Iterator[Folder]:
    """Claim a folder that an earlier process has written to, for the length of a `with` block.

    Parameters
    ----------
    path : path
        The folder, with a results.json.
    command : str
        The command of nobackprop that must have written it.

    Yields
    ------
    Folder
        The folder; its `stored` holds the results.

    Raises
    ------
    InputError
        If the folder cannot be read or written to, if another process has claimed it, or if its results are damaged, of
        another command, or of another version of nobackprop.

    Examples
    --------
    >>> with reopen("nowhere", "compare"):
    ...     pass
    Traceback (most recent call last):
    nobackprop.errors.InputError: cannot go on in nowhere: expected a folder with a results.json of nobackprop \
compare; if one has only just begun, wait for it
    """
    path = named(path)
    if not os.path.lexists(path / RESULTS):
        raise InputError(f"cannot go on in {path}: expected a folder with a {RESULTS} of nobackprop {command}; if one "
                         "has only just begun, wait for it")
    with ExitStack() as stack:
        try:
            _lock(path, stack)
        except OSError as error:
            raise InputError(f"cannot write to the folder {path} ({error.strerror}): expected one in which nobackprop "
                             "can go on") from None
        stored = files.read(path / RESULTS, begun=True)
        if (found := stored.get("command")) != command:
            by = "that do not name their command" if found is None else f"of nobackprop {found}"
            raise InputError(f"{path} holds results {by}, expected those of nobackprop {command}")
        if (version := stored.get("environment", {}).get("nobackprop")) != __version__:
            by = "that do not name their version" if version is None else f"of nobackprop {brief(version)}"
            raise InputError(f"{path} holds results {by}, expected those of {__version__}: another version may compute "
                             "other numbers")
        remove_strays(path)
        _compare_machines(stored.get("environment", {}))
        folder = Folder(path, stored)
        yield folder
        if folder.path == path and folder.results is not None and not folder.results["config"].get("interrupted"):
            shutil.rmtree(path / CHECKPOINTS, ignore_errors=True)


def remove_strays(path: Path) -> None:
    """Remove from a folder, and from its checkpoints, what a process had half written that was killed.

    Examples
    --------
    >>> remove_strays(Path("nowhere"))
    """
    for stray in (*path.glob("tmp????????.*"), *path.glob(f"{CHECKPOINTS}/tmp????????.*")):
        if stray.suffix in (".json", ".png", ".safetensors"):
            with suppress(OSError):
                stray.unlink(missing_ok=True)


def _compare_machines(environment: dict[str, Any]) -> None:
    """Say if a run goes on with another NumPy or on another machine: then its last bits may be others."""
    for what, here in (("numpy", np.__version__), ("platform", platform.platform())):
        if (there := environment.get(what)) != here:
            _tell(f"these results were begun with {what} {brief(there)}, and go on with {here}: the last bits of "
                  "numbers may differ from those of a run in one place")


def _is_alone(path: Path) -> bool:
    """Whether there is nothing but results and a lock in a folder; that of a sweep has folders of runs, too."""
    try:
        return all(entry.name in (LOCK, RESULTS) for entry in path.iterdir())
    except OSError:
        return False


def _check_unused(path: Path) -> None:
    """Raise InputError if a folder holds anything but a lock."""
    if any(entry.name != LOCK for entry in path.iterdir()):
        raise InputError(f"the folder {path} is already used, expected a new or an empty one")


def _lock(path: Path, stack: ExitStack) -> None:
    """Claim a folder until the stack is closed or the process ends; InputError if another one has it."""
    from filelock import FileLock, Timeout  # a command that trains nothing does not wait for it

    lock = FileLock(path / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(f"the folder {path} is in use by another process that writes to it: wait for its end, or name "
                         "another folder") from None

    @stack.callback
    def release() -> None:
        with suppress(OSError):
            (path / LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            lock.release()


def _remove(folders: list[Path]) -> None:
    """Remove those folders that are empty, from the innermost out."""
    for place in folders:
        with suppress(OSError):
            place.rmdir()
