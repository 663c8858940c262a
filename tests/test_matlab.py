"""The reader of MATLAB files of version 5, against SciPy's where that can read them, and alone where it crashes."""
from __future__ import annotations

import itertools
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.io import loadmat, savemat
from test_data import memory_below, sentence, sparse

from nobackprop.data import matlab
from nobackprop.errors import InputError

TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
HELD = st.dictionaries(
    st.sampled_from(["X", "y", "Z_9", "a_name_longer_than_most", "q" * 31]),
    st.sampled_from(TYPES).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=2, max_dims=5, min_side=0, max_side=4))),
    min_size=1)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("matlab") / "a.mat"


@pytest.mark.parametrize("packed", [False, True])
@given(held=HELD)
def test_numbers_are_those_that_scipy_wrote_and_reads(path, packed, held):
    savemat(path, held, do_compression=packed)
    found = matlab.arrays(path)
    assert list(found) == list(held)
    for name, array in held.items():
        came = found[name].read()
        assert found[name].dtype == came.dtype == array.dtype and came.dtype.isnative
        assert found[name].shape == came.shape == array.shape
        assert came.tobytes() == array.tobytes() == loadmat(path)[name].tobytes()


def part(kind, data, order="<"):
    """A part as MATLAB writes it: short data inside the tag."""
    if 0 < len(data) <= 4:
        return struct.pack(f"{order}I", len(data) << 16 | kind) + data.ljust(4, b"\0")
    return struct.pack(f"{order}2I", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(name, number_class, shape, parts, order="<", flags=0):
    inside = (part(6, struct.pack(f"{order}2I", number_class | flags, 0), order)
              + part(5, struct.pack(f"{order}{len(shape)}i", *shape), order) + part(1, name, order) + parts)
    return struct.pack(f"{order}2I", 14, len(inside)) + inside


def file(*elements, order="<"):
    version = struct.pack(f"{order}H", 0x0100) + {"<": b"IM", ">": b"MI"}[order]
    return b"MATLAB 5.0 MAT-file".ljust(124) + version + b"".join(elements)


def packed(element, order="<"):
    raw = zlib.compress(element)
    return struct.pack(f"{order}2I", 15, len(raw)) + raw


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("pack", [lambda element, order: element, packed])
@pytest.mark.parametrize("stored", ["u1", "i2", "f8"])
def test_either_order_of_bytes_and_numbers_stored_in_narrower_types(path, order, pack, stored):
    code = {kind: code for code, kind in matlab.STORED.items()}[stored]
    numbers = np.arange(1, 7, dtype=stored).astype(np.dtype(stored).newbyteorder(order))
    few = part(code, numbers[:1].tobytes(), order)  # inside its tag, but for f8
    elements = [matrix(b"X", 6, (2, 3), part(code, numbers.tobytes(), order), order),
                matrix(b"y", 6, (1, 1), few, order)]
    path.write_bytes(file(*(pack(element, order) for element in elements), order=order))
    found = matlab.arrays(path)
    for name, array in (("X", [[1, 3, 5], [2, 4, 6]]), ("y", [[1]])):
        came = found[name].read()
        assert came.dtype == "float64" and came.dtype.isnative and came.tolist() == array
        assert came.tolist() == loadmat(path)[name].tolist()


def test_nothing_but_numbers_is_entered(path):
    held = {"cell": np.array([1, "a"], dtype=object), "struct": {"X": [1]}, "text": "abc", "X": np.eye(2)}
    savemat(path, held)
    found = matlab.arrays(path)
    assert {name: array.dtype for name, array in found.items()} == {
        "cell": None, "struct": None, "text": None, "X": np.dtype("f8")}
    assert found["X"].read().tolist() == [[1, 0], [0, 1]]
    assert "numbers of type" in sentence(found["text"].read)
    savemat(path, {"X": np.array([[1 + 2j]])})
    assert matlab.arrays(path)["X"].dtype is None  # else its imaginary part would be lost


@pytest.mark.slow
def test_a_cell_of_cells_20000_deep_is_passed_by(path):
    """SciPy's reader recurses into it until the process crashes."""
    depth, number = 20_000, matrix(b"", 9, (1, 1), part(2, b"\7"))
    head = len(matrix(b"", 1, (1, 1), b""))
    sizes = [head * i + len(number) for i in range(depth)]
    heads = [matrix(b"", 1, (1, 1), b"")[:4] + struct.pack("<I", head - 8 + size) + matrix(b"", 1, (1, 1), b"")[8:]
             for size in reversed(sizes)]
    nested = b"".join([*heads, number])
    for wrapped in (lambda element: element, packed):
        path.write_bytes(file(wrapped(nested), wrapped(matrix(b"y", 9, (1, 1), part(2, b"\5")))))
        found = matlab.arrays(path)
        assert found[""].dtype is None and found["y"].read().tolist() == [[5]]


@pytest.mark.slow
@pytest.mark.parametrize("wrapped", [False, True])
def test_any_changed_byte_is_told_or_harmless(path, wrapped):
    savemat(path, {"y": np.arange(3, dtype=np.uint8), "X": np.arange(40, dtype=np.uint8).reshape(2, 5, 4)},
            do_compression=wrapped)
    whole = path.read_bytes()
    told = 0
    for place, byte in itertools.product(range(124, min(len(whole), 300)), (0, 0x7F, 0xFF)):
        path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1:])
        try:
            for array in matlab.arrays(path).values():
                if array.dtype is not None:
                    assert array.read().shape == array.shape
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            told += 1
    assert told > 100


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_cut_short_anywhere_is_one_sentence(path, wrapped):
    savemat(path, {"y": np.arange(9)}, do_compression=wrapped)
    whole = path.read_bytes()
    for size in range(129, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert str(path) in sentence(matlab.arrays, path)


Y = part(2, b"\1\2\3\4\5\6\7\10")
# so long that its checksum is not read together with its header
LONG = packed(matrix(b"y", 9, (2**17, 1), part(2, np.random.default_rng(0).bytes(2**17))))


@pytest.mark.parametrize("element, words", [
    (matrix(b"y", 9, (9, 1), Y), "8 bytes in an element of 56 for uint8 of shape (9, 1)"),
    (matrix(b"y", 9, (2**30, 2**30), part(2, bytes(9))), "9 bytes in an element"),
    (matrix(b"y", 9, (-1, 8), Y), "an array of shape (-1, 8)"),
    (matrix(b"y", 9, (8,), Y), "an array of shape (8,)"),
    (matrix(b"y", 9, (1,) * 33, Y), "an array of shape"),
    (matrix(b"y", 9, (8, 1), part(3, bytes(16))), "numbers of type 3"),  # int16 cannot be uint8
    (matrix(b"y", 9, (8, 1), part(99, bytes(8))), "numbers of type 99"),
    (matrix(b"y" * 2000, 9, (8, 1), Y), "2000 bytes for the header of an array"),
    (matrix(b"y", 9, (0, 2**31 - 1, 2**31 - 1, 2**31 - 1), b"\2" + bytes(7)), "damaged or no MATLAB file"),
    (struct.pack("<2I", 14, 2**31) + bytes(100), "an element of type 14 and 2147483648 bytes at byte 128"),
    (struct.pack("<2I", 99, 0), "an element of type 99"),
    (struct.pack("<2I", 14, 0), "it ends too early"),
    (struct.pack("<2I", 15, 8) + b"notzlib!", "Error -3"),
    (packed(struct.pack("<2I", 15, 8) + bytes(8)), "a packed element of type 15"),
    (packed(matrix(b"y", 9, (8, 1), Y)[:-4]), "cut short"),
    (packed(matrix(b"y", 9, (8, 1), Y))[:-1] + b"x", "incorrect data check"),
    (LONG[:-1] + bytes([LONG[-1] ^ 1]), "incorrect data check"),
    (packed(struct.pack("<2I", 14, 4) + matrix(b"y", 9, (8, 1), Y)[8:]), "8 bytes in an element of 4"),
    (matrix(b"", 9, (8, 1), Y).replace(part(1, b""), struct.pack("<I", 9 << 16 | 1) + b"yyyy"), "9 bytes inside a tag"),
], ids=range(19))
def test_what_does_not_fit_is_one_sentence(path, element, words):
    path.write_bytes(file(element))

    def read():
        for array in matlab.arrays(path).values():
            array.read()

    said = sentence(read)
    assert words in said and str(path) in said and "expected a whole MATLAB file of version 5" in said


def test_a_small_file_that_claims_much_takes_no_memory(path):
    claims = matrix(b"y", 9, (2**28, 1), struct.pack("<2I", 2, 2**28))
    long = struct.pack("<2I", 14, 2**28 + 56) + claims[8:]
    for element in (packed(long + bytes(2**10)), packed(long + bytes(2**20))):
        path.write_bytes(file(element))
        with memory_below(2**20):
            assert "damaged" in sentence(lambda: [array.read() for array in matlab.arrays(path).values()])


def test_memory_that_is_not_there_is_one_sentence(path, monkeypatch):
    savemat(path, {"y": np.arange(300)})

    def full(stream, size):
        raise MemoryError

    monkeypatch.setattr(matlab, "numbers", full)
    assert "too large for the memory" in sentence(matlab.arrays(path)["y"].read)


def test_a_sparse_file_of_64_gib_is_one_sentence(path):
    path.write_bytes(file())
    sparse(path)
    with memory_below(2**20):
        assert "an element of type 0 and 0 bytes at byte 128" in sentence(matlab.arrays, path)


def test_missing_files_and_others(path, tmp_path):
    assert "No such file or directory" in sentence(matlab.arrays, tmp_path / "none")
    assert "cannot read" in sentence(matlab.arrays, tmp_path)
    savemat(path, {"y": np.arange(3)}, format="4")
    assert "another header" in sentence(matlab.arrays, path)
