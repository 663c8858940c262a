"""What a long run says on stderr while it goes on: a bar of epochs, or a line for each run."""
from __future__ import annotations

import sys

from tqdm import tqdm


def bar(epochs: int) -> tqdm:
    """Make a bar of that number of epochs; nothing is shown if stderr is no terminal, or is closed.

    Examples
    --------
    >>> with bar(3) as shown:
    ...     shown.total
    3
    """
    return tqdm(total=epochs, unit="epoch", disable=None if sys.stderr else True, dynamic_ncols=True)


def line(shown: tqdm, text: str) -> None:
    """Print a line of text to stderr if no bar is shown; what a closed or full stderr cannot take is lost.

    Raises
    ------
    BrokenPipeError
        If the reader of stderr went away: whoever runs this decides what that means.

    Examples
    --------
    >>> import contextlib, io, sys
    >>> with contextlib.redirect_stderr(io.StringIO()) as told, bar(3) as shown:
    ...     line(shown, "bp seed 0: 0.9")
    >>> told.getvalue()
    'bp seed 0: 0.9\\n'
    """
    if not shown.disable or sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        pass
