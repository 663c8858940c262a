"""What a long run says on stderr while it goes on: a bar of epochs, or a line per run."""
from __future__ import annotations

import sys

from tqdm import tqdm


def bar(epochs: int) -> tqdm:
    """A bar of so many epochs; nothing is shown if stderr is no terminal, or is closed."""
    return tqdm(total=epochs, unit="epoch", disable=None if sys.stderr else True, dynamic_ncols=True)


def line(shown: tqdm, text: str) -> None:
    """A line of text if there is no bar; what a closed or full stderr cannot take is lost."""
    if not shown.disable or sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:  # the reader went away: whoever runs this decides what that means
        raise
    except OSError:
        pass
