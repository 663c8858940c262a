"""IDX, the file format of MNIST: a type code, a shape and the numbers, all big-endian."""
from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import DEFLATE, Stream, atomic, numbers

GZIP = b"\x1f\x8b"
FRAME = 2**16  # bytes that a packed file has besides its data: a name, a comment, checksums
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
CODES = {kind: code for code, kind in TYPES.items()}


def read_idx(path: str | os.PathLike[str], largest: float = math.inf) -> np.ndarray:
    """The array in an IDX file, plain or gzipped, in native byte order and of the shape its header gives.

    Raises InputError where there is no such file, or it is damaged, cut short, too long or not IDX, and for an
    array of more than `largest` bytes, before it is read.
    """
    try:
        with open(path, "rb") as file:
            # by content, as browsers and torchvision unpack files or keep the name as they please
            packed = file.read(2) == GZIP
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            return _array(path, gzip.GzipFile(fileobj=file) if packed else file, size, packed, largest)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is damaged: expected a whole gzip file, got one of {size} bytes "
                         "that does not unpack") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}, expected an IDX file") from error


def _array(path: str | os.PathLike[str], stream: Stream, size: int, packed: bool,
           largest: float) -> np.ndarray:
    """The array in the stream of a file of that size: no more than one byte beyond the array is read."""
    start = stream.read(4)
    rank = start[3] if len(start) == 4 else 0
    if start[:2] != b"\0\0" or rank == 0 or start[2] not in TYPES:
        raise InputError(
            f"{path} is not an IDX file: it starts with '{start.hex(' ')}', expected '00 00', a type "
            f"code from {min(TYPES):02x} to {max(TYPES):02x} and the number of dimensions"
        )
    header = stream.read(4 * rank)
    if len(header) < 4 * rank:
        raise InputError(f"{path} is cut short: {4 + len(header)} bytes, expected a header of {4 + 4 * rank}")
    shape = struct.unpack(f">{rank}I", header)
    dtype = np.dtype(TYPES[start[2]])
    # Python's integers, as a forged shape would overflow NumPy's
    expected = math.prod(shape) * dtype.itemsize
    wanted = f"expected {expected} for {dtype} of shape {shape}"
    if expected > largest:
        raise InputError(f"{path} holds {dtype} of shape {shape}, expected at most {largest} bytes")
    # what a packed file of this size cannot hold, or need not be so large for, is told before it is unpacked
    came, low, high = size - 4 - 4 * rank, expected, expected
    if packed:
        came, low, high = size, expected // DEFLATE, 2 * expected + FRAME
    if not low <= came <= high:
        raise InputError(f"{path} is {'cut short' if came < low else 'too long'}: {came} bytes of "
                         f"{'packed ' * packed}data, {wanted}")
    try:
        raw = numbers(stream, expected)
        over = stream.read(1)
        if over or len(raw) < expected:
            wrong = f"too long: more than {expected}" if over else f"cut short: {len(raw)}"
            raise InputError(f"{path} is {wrong} bytes of data, {wanted}")
        return raw.view(dtype.newbyteorder(">")).reshape(shape).astype(dtype, copy=False)
    except MemoryError as error:
        raise InputError(f"{path} holds {dtype} of shape {shape}, expected what fits in memory") from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} has shape {shape}, expected one that NumPy can hold") from error


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write an array of any shape as an IDX file, gzipped where the name ends in .gz, whole or not at all.

    Raises InputError for a type or shape that IDX cannot hold and where the file cannot be written.
    """
    path, array = Path(path), np.asarray(array)
    code = CODES.get(f"{array.dtype.kind}{array.dtype.itemsize}")
    if code is None:
        names = ", ".join(str(np.dtype(kind)) for kind in CODES)
        raise InputError(f"IDX cannot hold an array of {array.dtype}: expected one of {names}")
    if array.ndim == 0 or max(array.shape) >= 2**32:
        raise InputError(
            f"IDX cannot hold an array of shape {array.shape}: expected one or more dimensions below 2**32"
        )
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    raw = header + array.astype(array.dtype.newbyteorder(">")).tobytes()
    if path.suffix == ".gz":
        raw = gzip.compress(raw, mtime=0)  # no date, so that equal arrays give equal files
    try:
        with atomic(path) as partial:
            partial.write_bytes(raw)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
