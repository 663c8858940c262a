"""What a long run says on stderr while it goes on: a bar of epochs at a terminal, or else a line for each run."""
from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from ..data.tasks import score, task_of


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours before them if there are any.

    Examples
    --------
    >>> clock(75), clock(3675.5)
    ('01:15', '1:01:15')
    """
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes:02d}:{seconds:02d}"


class Progress:
    """How far a list of runs is: a bar with loss and time left, or a line that begins and ends with its run.

    What a closed or full stderr cannot take is lost.

    Parameters
    ----------
    runs : int
        The number of all runs.
    waiting : int
        The number of those that are still to be trained.
    epochs : int
        The number of epochs of these.
    log_every : int, optional
        The number of epochs after which a line is printed.
    silent : bool
        Whether nothing is shown; so it is in any case if stderr is closed.

    Raises
    ------
    BrokenPipeError
        By its methods, if the reader of stderr went away: whoever runs this decides what that means.

    Examples
    --------
    >>> import contextlib, io
    >>> with contextlib.redirect_stderr(io.StringIO()) as told, Progress(9, 8, 80) as shown:
    ...     shown.begin("bp seed 0", 10)
    ...     shown.end("0.9000", 1.25)
    >>> told.getvalue()
    'bp seed 0 (2 of 9) ... 0.9000 in 1.2 s\\n'
    """

    def __init__(self, runs: int, waiting: int, epochs: int, log_every: int | None = None, silent: bool = False):
        self.runs, self.number, self.epochs, self.log_every = runs, runs - waiting, epochs, log_every
        self.done, self.start = 0, time.monotonic()  # epochs that were trained here, and when this began
        self.label, self.of, self.at, self.loss = "", 0, 0, ""
        self.silent = silent or sys.stderr is None
        self.open = False  # whether the line on stderr has no end yet
        self.bar: Any = None  # only at a terminal
        if not self.silent and sys.stderr.isatty():
            from tqdm import tqdm  # imported here, as who has no terminal needs no bar

            self.bar = tqdm(total=epochs, unit="epoch", dynamic_ncols=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        """End the line or the bar; an error of stderr must not hide the error that ends the block."""
        with suppress(OSError):
            if self.bar is not None:
                self.bar.close()
            if self.open:
                self._print("stopped")

    def begin(self, label: str, epochs: int) -> None:
        """Say that a run of so many epochs begins."""
        self.number += 1
        self.label, self.of, self.at, self.loss = label, epochs, 0, ""
        self._bar(lambda bar: bar.set_description(label))
        if self.bar is None:
            self._print(f"{label} ({self.number} of {self.runs}) ... ", end="")

    def skip(self, epochs: int) -> None:
        """Leave out epochs that were trained before, or that a diverged run has no more."""
        self.at += epochs
        self.epochs -= epochs
        if self.bar is not None:
            self.bar.total = self.epochs
        self._bar(lambda bar: bar.refresh())

    def epoch(self, record: dict[str, Any]) -> None:
        """Say what an epoch has brought."""
        self.done += 1
        self.at += 1
        self.loss = f"loss {record['train_loss']:.4g}"
        self._bar(lambda bar: bar.set_postfix_str(self.loss, refresh=False))
        self._bar(lambda bar: bar.update())
        if self.log_every and self.at % self.log_every == 0:
            what = task_of(record, "validation").measures[0].words
            self.note(f"{self.label}: epoch {self.at} of {self.of}, {self.loss}, validation {what} "
                      f"{score(record, 'validation'):.4f}{self.left()}")

    def end(self, what: str, seconds: float) -> None:
        """Say how a run has ended, after that many seconds of training."""
        self.skip(self.of - self.at)
        if self.bar is not None:
            return
        begun = "" if self.open else f"{self.label} ({self.number} of {self.runs}): "
        self._print(f"{begun}{what}{', ' * bool(self.loss)}{self.loss} in {seconds:.1f} s{self.left()}")

    def left(self) -> str:
        """Return the time left for all runs in words that end a line; an empty text if nothing is left or known."""
        if not self.done or self.done >= self.epochs:
            return ""
        seconds = (time.monotonic() - self.start) / self.done * (self.epochs - self.done)
        return f", {clock(seconds)} left"

    def note(self, text: str) -> None:
        """Print a line, above the bar or after the line that was begun."""
        if self.bar is not None:
            self._bar(lambda bar: bar.write(text, file=sys.stderr))
            return
        if self.open:
            self._print("")
        self._print(text)

    def _bar(self, change: Callable[[Any], object]) -> None:
        """Change the bar, if there is one; a terminal that has gone away takes nothing more."""
        with suppress(OSError):
            if self.bar is not None:
                change(self.bar)

    def _print(self, text: str, end: str = "\n") -> None:
        """Print to stderr; what a closed or full one cannot take is lost."""
        self.open = not end
        if self.silent:
            return
        try:
            print(text, end=end, file=sys.stderr, flush=True)
        except BrokenPipeError:
            raise
        except OSError:
            pass
