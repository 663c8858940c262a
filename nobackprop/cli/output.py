"""What the command line prints: to stdout what was asked for, to stderr what went wrong."""
from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import suppress

from ..errors import InputError


def say(text: str, end: str = "\n") -> None:
    """Print to stdout.

    Raises InputError if it is closed or full, and BrokenPipeError if its reader went away.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"cannot write to standard output ({error.strerror}): expected a terminal, a pipe or a file "
                         "with room") from None


def tell(text: str) -> None:
    """Print to stderr; nothing happens if it is closed or full, as the exit code says enough."""
    with suppress(OSError):
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)


def one_line(text: str) -> str:
    """A text as one line that a terminal can show, words of more than 120 letters shortened."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return re.sub(r"\S{120,}", lambda word: f"{word[0][:60]}...{word[0][-20:]}", text)


def open_descriptors() -> None:
    """Open descriptors 0 to 2 if they are closed: the next file would get their number, and then what is for them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def drop_what_is_buffered() -> None:
    """Drop what stdout and stderr cannot take: Python would try it again at exit, and exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def show_list(summaries: dict[str, str]) -> int:
    width = max(map(len, summaries))
    for name, summary in summaries.items():
        say(f"{name:{width}}  {summary}")
    return 0
