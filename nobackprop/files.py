"""Files that are written wholly or not at all."""
from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A name to write to, of the same ending as `path`; at the end that file takes the place of `path`.

    Where anything fails, `path` stays as it was and the other file goes.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)  # mkstemp makes files that nobody else can read
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
