"""Files that are written wholly or not at all."""
from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType


class atomic:
    """A context that gives a name to write to, and moves that file to `path` at the end, or removes it."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)

    def __enter__(self) -> Path:
        handle, name = tempfile.mkstemp(dir=self.path.parent, suffix=self.path.suffix)
        os.close(handle)
        os.chmod(name, 0o644)
        self.partial = Path(name)
        return self.partial

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is None:
            os.replace(self.partial, self.path)
        else:
            self.partial.unlink(missing_ok=True)
