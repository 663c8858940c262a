"""What the command line prints: what was asked for goes to stdout, what went wrong goes to stderr."""
from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from contextlib import suppress

from ..errors import InputError


def say(text: str, end: str = "\n") -> None:
    """Print a text to stdout.

    Raises
    ------
    InputError
        If stdout is closed or full.
    BrokenPipeError
        If the reader of stdout went away.

    Examples
    --------
    >>> say("done")
    done
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
    """Print a text to stderr; nothing happens if it is closed or full, as the exit code says enough.

    Examples
    --------
    >>> import contextlib, io
    >>> with contextlib.redirect_stderr(io.StringIO()) as told:
    ...     tell("a sentence")
    >>> told.getvalue()
    'a sentence\\n'
    """
    with suppress(OSError):
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)


def one_line(text: str) -> str:
    """Return a text as one line that a terminal can show; words of 120 letters or more are shortened.

    Examples
    --------
    >>> one_line("two\\nlines")
    'two\\\\nlines'
    """
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return re.sub(r"\S{120,}", lambda word: f"{word[0][:60]}...{word[0][-20:]}", text)


def open_descriptors() -> None:
    """Open descriptors 0 to 2, those of stdin, stdout and stderr, if they are closed.

    If they stayed closed, the next file would get their number, and with it all that is printed.

    Examples
    --------
    >>> open_descriptors()
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def drop_what_is_buffered() -> None:
    """Drop what stdout and stderr cannot take; Python would try again to write it at its end, and exit with 120.

    Examples
    --------
    >>> drop_what_is_buffered()
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def width() -> int:
    """Return how many letters a line has: 80, or more if stdout is a terminal that is wider.

    What goes to a pipe or a file has lines of 80 letters on every machine.

    Examples
    --------
    >>> width() >= 80
    True
    """
    if sys.stdout is None or not sys.stdout.isatty():
        return 80
    return max(80, shutil.get_terminal_size().columns)


def show(text: str) -> None:
    """Print a text to stdout whose long lines are folded to `width`.

    Examples
    --------
    >>> show("word " * 20)
    word word word word word word word word word word word word word word word word
    word word word word
    """
    from ..studies.text import fit

    say(fit(text, width()))


def show_list(summaries: dict[str, str]) -> int:
    """Print for each name what it is, in lines of `width` letters or fewer, and return the exit code 0.

    Examples
    --------
    >>> show_list({"bp": "backpropagation", "las": "alignment support"})
    bp   backpropagation
    las  alignment support
    0
    """
    from ..studies.text import fold

    names = max(map(len, summaries))
    for name, summary in summaries.items():
        first, *more = fold(summary, max(width() - names - 2, 20))
        say("\n".join([f"{name:{names}}  {first}", *(" " * (names + 2) + line for line in more)]))
    return 0
