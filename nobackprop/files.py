"""Reading and writing of files: they are written wholly or not at all, and read no further than expected."""
from __future__ import annotations

import io
import math
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from .errors import InputError, brief

CHUNK = 2**16  # bytes
DEFLATE = 1032  # the most bytes that one byte of zlib's or gzip's unpacks to


class Stream(Protocol):
    """Something that bytes are read from, such as an open file.

    Examples
    --------
    >>> import io
    >>> stream: Stream = io.BytesIO(b"abc")
    >>> stream.read(2), stream.read(2)
    (b'ab', b'c')
    """

    def read(self, size: int, /) -> bytes:
        """Return the next `size` bytes; fewer only at the end."""


def named(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file or a folder; raise InputError if the operating system knows no such names.

    Parameters
    ----------
    path : path
        What the user gave.  An empty text is no path: pathlib would take it for the folder at hand.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If it is neither a text nor a path, if it is empty, or if a sign in it can be in no name.

    Examples
    --------
    >>> named("a.txt").suffix
    '.txt'
    >>> named(3)
    Traceback (most recent call last):
    nobackprop.errors.InputError: got 3, expected the name of a file or a folder
    """
    came = brief(path)
    try:
        text = os.fspath(path)
        came = repr(text)
        if isinstance(text, str) and text and b"\0" not in os.fsencode(text):
            return Path(text)
    except (TypeError, UnicodeEncodeError):  # no path; half a sign of two parts
        pass
    raise InputError(f"got {came}, expected the name of a file or a folder")


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a new file to write to, which takes the place of `path` at the end of the `with` block.

    Parameters
    ----------
    path : path
        The file that is to be written.  If it is a symbolic link, the file that the link leads to is written.

    Yields
    ------
    pathlib.Path
        A file next to it, with the same ending.  If the block fails, this file is removed, and `path` stays as it was.

    Raises
    ------
    InputError
        If `path` is there and is no regular file, such as a folder, a device or a pipe, or if this user may not write
        to it.
    OSError
        If the file cannot be written.

    Notes
    -----
    A file that was there keeps its permissions.  Root may write to every file, and so replaces read-only ones.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic(f"{folder}/a.txt") as partial:
    ...         _ = partial.write_text("all of it")
    ...     Path(folder, "a.txt").read_text()
    'all of it'
    """
    place = Path(os.path.realpath(named(path)))  # so that a link stays one
    there = _replaceable(path, place)
    handle, name = tempfile.mkstemp(dir=place.parent, suffix=place.suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        if there is None:
            partial.chmod(0o644)  # mkstemp makes files that nobody else can read
        else:
            if os.name == "posix" and (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                with suppress(OSError):  # only root may give a file away
                    os.chown(partial, there.st_uid, there.st_gid)
            partial.chmod(stat.S_IMODE(there.st_mode))
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # or a crash of the machine could leave the new name with nothing behind it
        _replaceable(path, place)  # a run may take days, and something else may have come there
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def _replaceable(path: str | os.PathLike[str], place: Path) -> os.stat_result | None:
    """What is at a place, None if nothing is; InputError unless it is a regular file that this user may write to."""
    try:
        there = place.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(there.st_mode):
        raise InputError(f"cannot write {path}: there is {_kind(there.st_mode)} of that name, expected a regular file "
                         "or a new name")
    if not os.access(place, os.W_OK):
        raise InputError(f"cannot write {path}: the file is read-only, expected one that can be written to")
    return there


def _kind(mode: int) -> str:
    """What there is at a path that is no regular file, in words."""
    return next((words for kind, words in (
        (stat.S_IFDIR, "a folder"), (stat.S_IFIFO, "a pipe"), (stat.S_IFSOCK, "a socket"), (stat.S_IFCHR, "a device"),
        (stat.S_IFBLK, "a device")) if stat.S_IFMT(mode) == kind), "something else")


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Do what `atomic` does, and tell the user in one sentence if the file cannot be written.

    Parameters
    ----------
    path : path
        The file that is to be written.

    Yields
    ------
    pathlib.Path
        As of `atomic`.

    Raises
    ------
    InputError
        If the file cannot be written.

    Examples
    --------
    >>> with writing("no-such-folder/a.txt") as partial:
    ...     _ = partial.write_text("all of it")
    Traceback (most recent call last):
    nobackprop.errors.InputError: cannot write no-such-folder/a.txt (No such file or directory): expected a name in a \
folder that can be written to
    """
    try:
        with atomic(path) as partial:
            yield partial
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}): "
                         "expected a name in a folder that can be written to") from None


def contents(path: str | os.PathLike[str], largest: int, what: str) -> bytes:
    """Return the bytes of a file that may not be larger than a limit.

    Parameters
    ----------
    path : path
        The file, or a pipe.
    largest : int
        The most bytes that it may have.
    what : str
        What the message says was expected.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        If the file cannot be read, or if it is larger.

    Examples
    --------
    >>> contents("no-such-file", 10, "a text")
    Traceback (most recent call last):
    nobackprop.errors.InputError: cannot read no-such-file: No such file or directory, expected a text
    """
    raw = bytearray()
    try:
        with named(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # piece by piece, as a pipe has no size
            while size <= largest and len(raw) <= largest and (piece := file.read(CHUNK)):
                raw += piece
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}, expected {what}") from error
    if max(size, len(raw)) > largest:
        raise InputError(f"{path} has {max(size, len(raw))} bytes, expected {what} of at most {largest}")
    return bytes(raw)


def numbers(stream: Stream, size: int) -> np.ndarray:
    """Return the next bytes of a stream as an array.

    Memory for all of them is asked for first, and then filled piece by piece: if no memory holds that number of bytes,
    that is said before anything is read.

    Parameters
    ----------
    stream : Stream
        What is read.
    size : int
        How many bytes to read.

    Returns
    -------
    array (size,), uint8
        Shorter if the stream ends before.

    Raises
    ------
    MemoryError
        If the memory does not hold them.

    Examples
    --------
    >>> import io
    >>> numbers(io.BytesIO(bytes([1, 2, 3])), 2).tolist()
    [1, 2]
    """
    out, came = np.empty(size, np.uint8), 0
    while came < size and (piece := stream.read(min(CHUNK, size - came))):
        out[came:came + len(piece)] = np.frombuffer(piece, np.uint8)
        came += len(piece)
    return out[:came]


class Inflated(io.RawIOBase):
    """A stream of what zlib has packed into a part of a file, which unpacks no further than it is read.

    Parameters
    ----------
    file : Stream
        The file, at the place where the packed bytes begin.
    size : int
        How many packed bytes there are.

    Examples
    --------
    >>> import io, zlib
    >>> packed = zlib.compress(b"abc" * 1000)
    >>> Inflated(io.BytesIO(packed), len(packed)).read(6)
    b'abcabc'
    """

    def __init__(self, file: Stream, size: int) -> None:
        self.file, self.left, self.zlib = file, size, zlib.decompressobj()

    def readable(self) -> bool:
        """Return True: the stream can be read."""
        return True

    def readinto(self, out: memoryview) -> int:  # type: ignore[override]  # io calls it with a memoryview
        """Fill `out`, or the beginning of it, with what comes next.

        Parameters
        ----------
        out : memoryview
            What is written into.

        Returns
        -------
        int
            How many bytes were written; 0 at the end.

        Raises
        ------
        zlib.error
            If the packed bytes are damaged.
        EOFError
            If the packed bytes end too early.
        """
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


def npz(path: str | os.PathLike[str], packed: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file as np.savez writes it: not packed, so that no array is larger than the file.

    All sizes that the file states are checked before an array is read.

    Parameters
    ----------
    path : path
        The file.
    packed : int
        The number of bytes that packed arrays, as np.savez_compressed writes them, may have together.  They are
        refused if it is 0.

    Returns
    -------
    dict of numpy.ndarray
        The arrays by their names.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If its arrays are packed without permission, are larger than the file says, or are Python objects.
    zipfile.BadZipFile
        If it is no archive; other files may raise other errors of zipfile's.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/a.npz", W=np.ones(2))
    ...     npz(f"{folder}/a.npz")
    {'W': array([1., 1.])}
    """
    with named(path).open("rb") as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if not packed and any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("packed arrays")
        if sum(member.file_size for member in members) > max(packed, os.fstat(file.fileno()).st_size):
            raise ValueError("arrays that are larger than the file")
        return {member.filename.removesuffix(".npy"): _npy(archive, member) for member in members}


def _npy(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return one array of an .npz file, after its header has been compared with the size that the archive states."""
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
