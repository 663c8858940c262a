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
from ..files import atomic

GZIP = b"\x1f\x8b"
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
CODES = {kind: code for code, kind in TYPES.items()}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file, plain or gzipped, in native byte order and of the shape its header gives.

    Raises InputError where there is no such file, or it is damaged, cut short, too long or not IDX.
    """
    path = Path(path)
    raw = _contents(path)
    rank = raw[3] if len(raw) >= 4 else 0
    if raw[:2] != b"\0\0" or rank == 0 or raw[2] not in TYPES:
        raise InputError(
            f"{path} is not an IDX file: it starts with '{raw[:4].hex(' ')}', expected '00 00', a type "
            f"code from {min(TYPES):02x} to {max(TYPES):02x} and the number of dimensions"
        )
    start = 4 + 4 * rank
    if len(raw) < start:
        raise InputError(f"{path} is cut short: {len(raw)} bytes, expected a header of {start}")
    shape = struct.unpack_from(f">{rank}I", raw, 4)
    dtype = np.dtype(TYPES[raw[2]])
    # Python's integers, as a forged shape would overflow NumPy's
    came, expected = len(raw) - start, math.prod(shape) * dtype.itemsize
    if came != expected:
        wrong = "cut short" if came < expected else "too long"
        raise InputError(
            f"{path} is {wrong}: {came} bytes of data, expected {expected} for {dtype} of shape {shape}"
        )
    try:
        return np.frombuffer(raw, dtype.newbyteorder(">"), offset=start).reshape(shape).astype(dtype)
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


def _contents(path: Path) -> bytes:
    """The bytes of a file, unpacked where they are gzipped."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}, expected an IDX file") from error
    # by content, as browsers and torchvision unpack files or keep the name as they please
    if not raw.startswith(GZIP):
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} is damaged: expected a whole gzip file, got one of {len(raw)} bytes "
                         "that does not unpack") from error
