"""Files that are written wholly or not at all, and read no further than they are expected to go."""
from __future__ import annotations

import io
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from .errors import InputError

CHUNK = 2**16  # bytes
DEFLATE = 1032  # a byte of zlib's or gzip's unpacks to so many at most


class Stream(Protocol):
    """What bytes are read from: fewer than asked for at its end alone."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""


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


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A name to write to, whose file takes the place of `path` at the end: all of it or nothing.

    Raises InputError if the file cannot be written.
    """
    try:
        with atomic(path) as partial:
            yield partial
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}): "
                         "expected a name in a folder that can be written to") from None


def contents(path: str | os.PathLike[str], largest: int, what: str) -> bytes:
    """The bytes of a file of at most so many.

    Raises InputError if it cannot be read or is larger; `what` says what was expected.
    """
    raw = bytearray()
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            # piece by piece, as a pipe has no size
            while size <= largest and len(raw) <= largest and (piece := file.read(CHUNK)):
                raw += piece
    except (OSError, ValueError) as error:  # ValueError for a name with a null byte
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}, expected {what}") from error
    if max(size, len(raw)) > largest:
        raise InputError(f"{path} has {max(size, len(raw))} bytes, expected {what} of at most {largest}")
    return bytes(raw)


def numbers(stream: Stream, size: int) -> np.ndarray:
    """The next `size` bytes of a stream, fewer at its end, as an array of uint8.

    Memory is asked for first and filled piece by piece: a size that no memory holds is a MemoryError at once.
    """
    out, came = np.empty(size, np.uint8), 0
    while came < size and (piece := stream.read(min(CHUNK, size - came))):
        out[came:came + len(piece)] = np.frombuffer(piece, np.uint8)
        came += len(piece)
    return out[:came]


class Inflated(io.RawIOBase):
    """What the next `size` bytes of a file hold that zlib has packed, unpacked no further than it is read."""

    def __init__(self, file: Stream, size: int) -> None:
        self.file, self.left, self.zlib = file, size, zlib.decompressobj()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, out: memoryview) -> int:  # type: ignore[override]
        """Fill `out`, or a part of it; 0 at the end.  Raises zlib.error or EOFError for what is damaged."""
        while not self.zlib.eof:
            packed = self.zlib.unconsumed_tail
            if not packed:
                packed = self.file.read(min(CHUNK, self.left))
                self.left -= len(packed)
            piece = self.zlib.decompress(packed, len(out))
            if piece:
                out[:len(piece)] = piece
                return len(piece)
            if not packed:
                raise EOFError("packed data is cut short")
        return 0


def npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an .npz file as np.savez writes it: not packed, so that no array is larger than the file.

    What the file says of its sizes is checked before an array is read.  Raises ValueError, OSError or one of
    zipfile's errors for other files.
    """
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("packed arrays")
        if sum(member.file_size for member in members) > os.fstat(file.fileno()).st_size:
            raise ValueError("arrays that are larger than the file")
        return {member.filename.removesuffix(".npy"): _npy(archive, member) for member in members}


def _npy(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read is None:
            raise ValueError(f"an array of format {version}")
        shape, _, dtype = read(stream)
        if math.prod(shape) * dtype.itemsize != member.file_size - stream.tell():
            raise ValueError(f"{member.file_size - stream.tell()} bytes for {dtype} of shape {shape}")
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
