"""How a command ends that is told to end: by Ctrl-C, by SIGTERM, or by SIGHUP, which a closed terminal sends."""
from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Ended(KeyboardInterrupt):
    """What such a signal raises in the main thread.

    Parameters
    ----------
    number : int
        The number of the signal.

    Examples
    --------
    >>> exit_code(Ended(signal.SIGTERM))
    143
    """

    def __init__(self, number: int):
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def exit_code(stop: KeyboardInterrupt) -> int:
    """Return the exit code of a command that was told to end: 128 and the number of the signal, as shells count.

    Examples
    --------
    >>> exit_code(KeyboardInterrupt())
    130
    """
    return 128 + getattr(stop, "number", int(signal.SIGINT))


@contextmanager
def listening() -> Iterator[None]:
    """Raise Ended at the first signal that tells this process to end, for the length of a `with` block.

    Further ones are ignored, so that nothing breaks what is written at the end.  A signal that was ignored before stays
    ignored, as SIGHUP under nohup.  Outside of the main thread nothing is changed.

    Examples
    --------
    >>> before = signal.getsignal(signal.SIGTERM)
    >>> with listening():
    ...     signal.getsignal(signal.SIGTERM) is before
    False
    >>> signal.getsignal(signal.SIGTERM) is before
    True
    """
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise Ended(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
