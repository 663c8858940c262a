"""A reader for MATLAB files of version 5: it lists the arrays in a file, and reads the numbers of one of them.

SciPy has such a reader, but it builds everything that a file describes, and a damaged file can end its process.  The
reader here reads arrays of real numbers only, and never more of one than its header says.
"""
from __future__ import annotations

import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from ..errors import InputError
from ..files import DEFLATE, Inflated, Stream, named, numbers

HEADER = 128  # bytes: a text, a version and the order of bytes
ORDERS: dict[bytes, Literal["<", ">"]] = {b"\0\1IM": "<", b"\1\0MI": ">"}
MATRIX, COMPRESSED = 14, 15  # the types of the elements of a file
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
OPAQUE = 17  # a class of MATLAB whose parts have another layout than those of the others
COMPLEX = 0x0800  # a flag in the same number as the class
SMALL = 2**10  # bytes that a part other than the numbers may have: flags, a shape or a name


class Damaged(Exception):
    """Tells what is wrong in a file; `arrays` and `Array.read` turn it into an InputError.

    Examples
    --------
    >>> from nobackprop.data.matlab import Damaged
    >>> str(Damaged("another header"))
    'another header'
    """


@dataclass(frozen=True)
class Array:
    """An array in a file, whose numbers are not read yet.

    Parameters
    ----------
    path : path
        The file.
    start : int
        The byte at which the element of the array starts.
    order : {"<", ">"}
        The byte order of the file, in the notation of `struct`.
    dtype : numpy.dtype or None
        The type of its numbers.  None if it does not hold real numbers.
    shape : tuple of int
        Its shape.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from scipy.io import savemat
    >>> from nobackprop.data.matlab import arrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     savemat(f"{folder}/mine.mat", {"X": np.array([[1.0, 2.0]]), "text": "abc"})
    ...     held = arrays(f"{folder}/mine.mat")
    ...     held["X"].read().tolist(), held["text"].dtype
    ([[1.0, 2.0]], None)
    """

    path: Path
    start: int
    order: Literal["<", ">"]
    dtype: np.dtype | None
    shape: tuple[int, ...]

    def read(self) -> np.ndarray:
        """Read the numbers of the array.

        Returns
        -------
        array
            The array, with the dtype and shape that its header gives.

        Raises
        ------
        InputError
            If the file is damaged, or if the array does not hold real numbers or does not fit in memory.
        """
        with _told(self.path), self.path.open("rb") as file:
            stream, size, _ = _element(file, self.start, self.order)
            _head(stream, self.order)
            kind, count, data = _tag(stream, self.order)
            stored = np.dtype(STORED.get(kind, "V")).newbyteorder(self.order)
            expected = math.prod(self.shape) * stored.itemsize
            # MATLAB stores numbers in a narrower type if they fit
            if self.dtype is None or kind not in STORED or not np.can_cast(stored, self.dtype, "safe"):
                raise Damaged(f"numbers of type {kind}")
            if count != expected or expected > size:
                raise Damaged(f"{count} bytes in an element of {size} for {stored} of shape {self.shape}")
            raw = numbers(io.BytesIO(data) if data else stream, expected)
            stream.read(SMALL)  # reads to the end of the element: a packed one is checked against its checksum there
            if len(raw) < expected:
                raise Damaged("an array that is cut short")
            return raw.view(stored).astype(self.dtype, copy=False).reshape(self.shape, order="F")


def arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """List the arrays in a MATLAB file, without reading their numbers.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of str to Array
        The arrays by their names.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another format.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from scipy.io import savemat
    >>> from nobackprop.data.matlab import arrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     savemat(f"{folder}/mine.mat", {"X": np.zeros((4, 5), np.uint8)})
    ...     [(name, str(array.dtype), array.shape) for name, array in arrays(f"{folder}/mine.mat").items()]
    [('X', 'uint8', (4, 5))]
    """
    path, held = named(path), {}
    with _told(path), path.open("rb") as file:
        header, end = file.read(HEADER), os.fstat(file.fileno()).st_size
        if header[124:] not in ORDERS:
            raise Damaged("another header")
        order = ORDERS[header[124:]]
        start = HEADER
        while start < end:
            stream, _, after = _element(file, start, order)
            name, dtype, shape = _head(stream, order)
            held[name] = Array(path, start, order, dtype, shape)
            start = after
    return held


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn every exception that a damaged file may cause into an InputError."""
    try:
        yield
    # NumPy raises ValueError for a shape that it cannot hold
    except (OSError, Damaged, EOFError, zlib.error, MemoryError, ValueError) as error:
        reason = getattr(error, "strerror", None) or (
            f"damaged or no MATLAB file ({str(error) or 'too large for the memory'})")
        raise InputError(f"cannot read {path}: {reason}, expected a whole MATLAB file of version 5") from error


def _element(file: BinaryIO, start: int, order: str) -> tuple[Stream, int, int]:
    """The contents of the element at byte `start`, their size, and the byte at which the next element starts."""
    file.seek(start)
    kind, size = struct.unpack(f"{order}2I", _exactly(file, 8))
    after = start + 8 + size
    if kind not in (MATRIX, COMPRESSED) or after > os.fstat(file.fileno()).st_size:
        raise Damaged(f"an element of type {kind} and {size} bytes at byte {start}")
    if kind == MATRIX:
        return file, size, after
    stream = io.BufferedReader(Inflated(file, size))
    inside, unpacked = struct.unpack(f"{order}2I", _exactly(stream, 8))
    if inside != MATRIX or unpacked > DEFLATE * size:
        raise Damaged(f"a packed element of type {inside} and {unpacked} bytes at byte {start}")
    return stream, unpacked, after


def _head(stream: Stream, order: str) -> tuple[str, np.dtype | None, tuple[int, ...]]:
    """The name, type and shape of an array; the type is None if it does not hold real numbers."""
    flags = struct.unpack(f"{order}I", _part(stream, order)[:4].ljust(4, b"\0"))[0]
    if flags & 0xFF == OPAQUE:
        return "", None, ()
    sides = _part(stream, order)
    shape = struct.unpack(f"{order}{len(sides) // 4}i", sides[:len(sides) // 4 * 4])
    if len(shape) < 2 or min(shape) < 0 or len(shape) > 32:
        raise Damaged(f"an array of shape {shape}")
    name = _part(stream, order).decode("latin-1")
    real = flags & 0xFF in CLASSES and not flags & COMPLEX
    return name, np.dtype(CLASSES[flags & 0xFF]) if real else None, shape


def _part(stream: Stream, order: str) -> bytes:
    """The data of a part that is always small, without the bytes that fill it up to a multiple of 8."""
    _, count, data = _tag(stream, order)
    if count > SMALL:
        raise Damaged(f"{count} bytes for the header of an array")
    return data or _exactly(stream, count + -count % 8)[:count]


def _tag(stream: Stream, order: str) -> tuple[int, int, bytes]:
    """The type and size of a part, and its data if these stand inside the tag, as up to 4 bytes do."""
    tag = _exactly(stream, 8)
    kind, count = struct.unpack(f"{order}2I", tag)
    if not kind >> 16:
        return kind, count, b""
    kind, count = kind & 0xFFFF, kind >> 16
    if count > 4:
        raise Damaged(f"{count} bytes inside a tag")
    return kind, count, tag[4:4 + count]


def _exactly(stream: Stream, size: int) -> bytes:
    """The next `size` bytes; EOFError if there are fewer."""
    raw = stream.read(size)
    if len(raw) < size:
        raise EOFError("it ends too early")
    return raw
