"""IDX, the file format of MNIST: a type code, a shape and the numbers, all in big-endian byte order."""
from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from numbers import Real

import numpy as np

from ..errors import InputError, brief
from ..files import DEFLATE, Stream, named, numbers, writing
from .tasks import as_array

GZIP = b"\x1f\x8b"
FRAME = 2**16  # bytes that a gzip file may have in addition to its data: a name, a comment, checksums
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
CODES = {kind: code for code, kind in TYPES.items()}


def read_idx(path: str | os.PathLike[str], largest: float = math.inf) -> np.ndarray:
    """Read the array in an IDX file, plain or packed with gzip.

    Parameters
    ----------
    path : path
        The file.  Its contents, not its name, tell whether it is packed.
    largest : float, optional
        The largest size of the array in bytes that is accepted.  The size is checked before the array is read.

    Returns
    -------
    array
        The array, with the shape that the header of the file gives, in the byte order of this machine.

    Raises
    ------
    InputError
        If `largest` is no number, if there is no such file, if it is damaged, cut short, too long or not IDX, or if the
        array is too large.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from nobackprop.data import read_idx, write_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(f"{folder}/mine.gz", np.arange(6, dtype=np.int16).reshape(2, 3))
    ...     read_idx(f"{folder}/mine.gz").tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    if not isinstance(largest, Real) or isinstance(largest, bool):
        raise InputError(f"largest is {brief(largest)}, expected a number of bytes")
    try:
        with named(path).open("rb") as file:
            # the name does not tell: browsers and torchvision unpack some files and keep the name, or change it
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
    """The array in the stream of a file of `size` bytes; at most one byte after the array is read."""
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
    # integers of Python, because a forged shape would overflow those of NumPy
    expected = math.prod(shape) * dtype.itemsize
    wanted = f"expected {expected} for {dtype} of shape {shape}"
    if expected > largest:
        raise InputError(f"{path} holds {dtype} of shape {shape}, expected at most {largest} bytes")
    # before unpacking: a packed file cannot hold more than DEFLATE times its size, nor be much larger than its data
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
    """Write an array as an IDX file, and pack it with gzip if the name ends in .gz.

    The file appears only after all of it is written.  Equal arrays give equal files.

    Parameters
    ----------
    path : path
        The file to write.
    array : array
        Numbers in uint8, int8, int16, int32, float32 or float64, with one axis or more.

    Raises
    ------
    InputError
        If IDX cannot hold the dtype or the shape of the array, or if the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from nobackprop.data import write_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(f"{folder}/mine", np.array([7, 8], np.uint8))
    ...     Path(f"{folder}/mine").read_bytes().hex(" ")
    '00 00 08 01 00 00 00 02 07 08'
    """
    path, array = named(path), as_array("the array", array)
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
        raw = gzip.compress(raw, mtime=0)  # without the date, so that equal arrays give equal files
    with writing(path) as partial:
        partial.write_bytes(raw)
