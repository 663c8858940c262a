"""The data sets: IDX files, splits and statistics, the built-in tasks, and the search for the files of MNIST."""
from __future__ import annotations

import functools
import gzip
import http.server
import io
import math
import os
import socket
import subprocess
import sys
import threading
import tracemalloc
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nobackprop.data import (
    DATASETS,
    Dataset,
    from_arrays,
    idx,
    load,
    matlab,
    one_hot,
    origin,
    read_idx,
    sources,
    write_idx,
)
from nobackprop.data import mnist as module
from nobackprop.data.sources import XOR_NOISE, digits, xor
from nobackprop.errors import InputError
from nobackprop.settings import NAMES

PARTS = ("train", "validation", "test")


def sentence(call, *args, **kwargs):
    """The message of the InputError that a wrong call raises; it must be a single line."""
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- IDX

IDX_TYPES = st.sampled_from(["u1", "i1", "<i2", ">i2", "<i4", ">i4", "<f4", ">f4", "<f8", ">f8"])
IDX_ARRAYS = IDX_TYPES.flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@given(array=IDX_ARRAYS, suffix=st.sampled_from(["", ".gz", ".idx"]))
@settings(deadline=None, database=None)
def test_idx_round_trip(folder, array, suffix):
    path = folder / f"array{suffix}"
    write_idx(path, array)
    back = read_idx(path)
    native = array.astype(array.dtype.newbyteorder("="))
    assert back.dtype == native.dtype and back.dtype.isnative and back.shape == array.shape
    assert back.tobytes() == native.tobytes()  # compared as bytes, so that NaN is equal to NaN
    assert back.flags.writeable
    assert path.read_bytes().startswith(b"\x1f\x8b") == (suffix == ".gz")


def test_idx_bytes_are_those_of_the_format(tmp_path):
    path = tmp_path / "a"
    write_idx(path, np.array([[1, -2, 3]], np.int16))
    assert path.read_bytes() == bytes.fromhex("00000b02 00000001 00000003 0001 fffe 0003")
    path.write_bytes(bytes.fromhex("00000d01 00000002 3f800000 c0000000"))
    assert read_idx(path).tolist() == [1.0, -2.0]


def test_gzip_is_told_by_content_not_by_name(tmp_path):
    write_idx(tmp_path / "a.gz", np.arange(5, dtype=np.uint8))
    (tmp_path / "a.gz").replace(tmp_path / "a")
    write_idx(tmp_path / "b", np.arange(5, dtype=np.uint8))
    (tmp_path / "b").replace(tmp_path / "b.gz")
    assert read_idx(tmp_path / "a").tolist() == read_idx(str(tmp_path / "b.gz")).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_idx_cut_short_anywhere_or_too_long_is_one_sentence(tmp_path, name):
    path = tmp_path / name
    write_idx(path, np.arange(12, dtype=np.int32).reshape(2, 3, 2))
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert str(path) in sentence(read_idx, path)
    path.write_bytes(whole + b"x")
    assert str(path) in sentence(read_idx, path)


@pytest.mark.slow
def test_gzip_with_a_changed_byte_is_told_or_harmless(tmp_path):
    path, array = tmp_path / "a.gz", np.arange(60, dtype=np.uint8).reshape(3, 20)
    write_idx(path, array)
    whole, told = path.read_bytes(), 0
    for place in range(2, len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            try:
                back = read_idx(path)
            except InputError as error:
                told += "damaged" in str(error)
            else:  # a date or the name of an operating system
                assert np.array_equal(back, array)
    assert told > 8 * 60


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "not an IDX file: it starts with ''"),
        (b"\x89PNG\r\n", "not an IDX file: it starts with '89 50 4e 47'"),
        (b"\0\0\x0a\1\0\0\0\0", "expected '00 00', a type code from 08 to 0e"),
        (b"\0\0\x08\0\1", "the number of dimensions"),
        (b"\0\0\x08\2\0\0\0\1", "cut short: 8 bytes, expected a header of 12"),
        (b"\0\0\x0d\1\0\0\0\2abcdefg", "cut short: 7 bytes of data, expected 8 for float32 of shape (2,)"),
        (b"\0\0\x08\1\0\0\0\2abc", "too long: 3 bytes of data, expected 2 for uint8 of shape (2,)"),
        (b"\0\0\x08\4" + 16 * b"\xff", "cut short"),
        (b"\0\0\x08\5\0\0\0\0" + 16 * b"\xff", "expected one that NumPy can hold"),
        (b"\0\0\x08\xff" + 255 * b"\0\0\0\1" + b"x", "expected one that NumPy can hold"),
        (b"\x1f\x8b", "damaged: expected a whole gzip file, got one of 2 bytes"),
        (gzip.compress(b"PNG"), "not an IDX file: it starts with '50 4e 47'"),
        (gzip.compress(b"\0\0\x08\1\0\0\0\2abc", mtime=0), "too long: more than 2 bytes of data, expected 2"),
    ],
    ids=lambda value: "file" if isinstance(value, bytes) else None,
)
def test_idx_sentences(tmp_path, content, words):
    path = tmp_path / "file"
    path.write_bytes(content)
    said = sentence(read_idx, path)
    assert words in said and str(path) in said


def test_idx_missing_file_and_folder(tmp_path):
    assert "No such file or directory, expected an IDX file" in sentence(read_idx, tmp_path / "none")
    assert f"cannot read {tmp_path}" in sentence(read_idx, tmp_path)


def test_idx_that_cannot_be_written(tmp_path):
    path = tmp_path / "a"
    assert "array of int64: expected one of uint8, int8, int16" in sentence(write_idx, path, np.arange(3))
    assert "shape ()" in sentence(write_idx, path, np.float32(1))
    assert "rows of different shapes" in sentence(write_idx, path, [[1], [1, 2]])
    assert "masked" in sentence(write_idx, path, np.ma.zeros(3))
    assert "below 2**32" in sentence(write_idx, path, np.empty((0, 2**32), np.uint8))
    assert list(tmp_path.iterdir()) == []
    small = np.zeros(2, np.uint8)
    assert "cannot write" in sentence(write_idx, tmp_path / "none" / "a", small)
    path.write_bytes(b"")
    assert "cannot write" in sentence(write_idx, path / "a", small)


def test_idx_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_idx(path, np.zeros(2, np.uint8))
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert "No space left on device" in sentence(write_idx, path, np.ones(9, np.uint8))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_equal_arrays_make_equal_gzip_files(tmp_path):
    for name in ("a.gz", "b.gz"):
        write_idx(tmp_path / name, np.arange(9, dtype=np.uint8))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert (tmp_path / "a.gz").read_bytes()[4:8] == bytes(4)  # the date


@contextmanager
def memory_below(limit):
    """Fail if the code inside needs more than `limit` bytes of Python's and NumPy's memory at one time."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit


def sparse(path, size=2**36):
    """Make a file of `size` bytes that takes no space on the disk; skip the test if the file system cannot."""
    try:
        os.truncate(path, size)
    except OSError as error:
        pytest.skip(f"no sparse files here: {error}")
    if getattr(Path(path).stat(), "st_blocks", size) > 2**12:
        pytest.skip("no sparse files here")


def packed_zeros(header, count):
    """A gzip file of a header and `count` zeros, made without all of them in memory."""
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
        file.write(header)
        for _ in range(count >> 20):
            file.write(bytes(2**20))
    return raw.getvalue()


@pytest.mark.slow
def test_a_gzip_bomb_is_read_one_byte_further_than_its_header_says(tmp_path):
    path = tmp_path / "bomb"
    # a small one, which only its data reveal, and a large one, which its size reveals
    for count, words in ((2**25, "more than 1 bytes of data"), (2**27, "bytes of packed data")):
        path.write_bytes(packed_zeros(b"\0\0\x08\1\0\0\0\1", count))
        with memory_below(2**20):
            said = sentence(read_idx, path)
        assert "too long: " in said and f"{words}, expected 1 for uint8 of shape (1,)" in said


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_header_that_claims_more_than_there_is_takes_no_memory(tmp_path, pack):
    path = tmp_path / "a"
    for shape in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff" * 4):
        path.write_bytes(pack(b"\0\0\x0e" + bytes([len(shape) // 4]) + shape + bytes(1000)))
        with memory_below(2**20):
            assert "cut short" in sentence(read_idx, path)


def test_files_of_64_gib_are_told_by_their_size(tmp_path):
    path = tmp_path / "a"
    for content in (b"", b"\0\0\x08\1\0\0\0\1", gzip.compress(b"\0\0\x08\1\0\0\0\1x")):
        path.write_bytes(content)
        sparse(path)
        with memory_below(2**20):
            assert "too long" in sentence(read_idx, path) or not content


def test_what_fits_no_memory_is_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_idx(path, np.arange(6, dtype=np.int16))

    def full(stream, size):
        raise MemoryError

    monkeypatch.setattr(idx, "numbers", full)
    assert "holds int16 of shape (6,), expected what fits in memory" in sentence(read_idx, path)


def test_an_array_may_be_limited(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_idx(path, np.arange(6, dtype=np.int16))
    assert read_idx(path, largest=12).tolist() == list(range(6))
    monkeypatch.setattr(idx, "numbers", lambda stream, size: pytest.fail("read"))
    assert "holds int16 of shape (6,), expected at most 11 bytes" in sentence(read_idx, path, largest=11)


# ---------------------------------------------------------------- data sets from arrays


def task(n=60, shape=(3,), classes=3, seed=0, **kwargs):
    """Correct arguments of from_arrays, replaced by the arguments given here."""
    generator = np.random.default_rng(seed)
    good = {
        "name": "task",
        "x_train": generator.normal(5, 3, (n, *shape)),
        "y_train": np.arange(n) % classes,
        "x_test": generator.normal(5, 3, (n // 2, *shape)),
        "y_test": np.arange(n // 2) % classes,
    }
    return good | kwargs


def arrays_of(data):
    return {f"{kind}_{part}": getattr(data, f"{kind}_{part}") for kind in "xy" for part in PARTS}


def same(a, b):
    return a.dtype == b.dtype and np.array_equal(a, b)


def test_from_arrays_sizes_types_and_repr():
    data = from_arrays(**task(n=60, shape=(4, 5, 2)))
    assert (len(data.x_train), len(data.x_validation), len(data.x_test)) == (54, 6, 30)
    assert all(x.dtype == ("float32" if name[0] == "x" else "int64") for name, x in arrays_of(data).items())
    assert all(len(getattr(data, f"x_{part}")) == len(getattr(data, f"y_{part}")) for part in PARTS)
    assert data.shape == (4, 5, 2) and data.classes == 3 and type(data.classes) is int
    assert repr(data) == "Dataset('task', 54 + 6 + 30 inputs of shape (4, 5, 2), 3 classes)"
    with pytest.raises(AttributeError):
        data.name = "other"


@pytest.mark.parametrize("shape", [(3,), (4, 5, 2)])
def test_training_part_has_mean_0_and_deviation_1_per_feature_or_channel(shape):
    scales = np.arange(1, shape[-1] + 1) ** 3
    arguments = task(n=200, shape=shape)
    arguments["x_train"] = arguments["x_train"] * scales
    x = from_arrays(**arguments).x_train.astype(np.float64)
    axes = tuple(range(x.ndim - 1))
    assert x.mean(axes) == pytest.approx(0, abs=1e-6) and x.std(axes) == pytest.approx(1, abs=1e-6)
    if len(shape) == 3:  # there is one mean and deviation per channel: the differences between pixels must stay
        assert np.ptp(x.mean(0)) > 0.05


@pytest.mark.parametrize("shape", [(3,), (4, 5, 2)])
def test_statistics_come_from_the_training_rows_alone(shape):
    arguments = task(shape=shape, seed=1)
    tags = np.arange(60.0).reshape(60, 1)
    tagged = from_arrays(**arguments | {"x_train": tags, "x_test": tags[:30]}, standardise=False)
    train = tagged.x_train[:, 0].astype(int)
    held_out = tagged.x_validation[:, 0].astype(int)
    assert sorted([*train, *held_out]) == list(range(60))
    before = from_arrays(**arguments)
    x, x_test = arguments["x_train"], arguments["x_test"]
    axes = tuple(range(x.ndim - 1))
    mean, deviation = x[train].mean(axes), x[train].std(axes)
    for part, raw in (("train", x[train]), ("validation", x[held_out]), ("test", x_test)):
        assert np.allclose(getattr(before, f"x_{part}"), (raw - mean) / deviation, atol=1e-6)
    changed = x.copy()
    changed[held_out] = 1000 - 3 * changed[held_out]
    for other in ({"x_train": changed}, {"x_test": -100 * x_test}, {"y_test": arguments["y_test"][::-1]}):
        after = from_arrays(**arguments | other)
        assert same(after.x_train, before.x_train) and same(after.y_train, before.y_train)
        untouched = "validation" if "x_test" in other else "test"
        if "y_test" not in other:
            assert same(getattr(after, f"x_{untouched}"), getattr(before, f"x_{untouched}"))
            moved = "test" if "x_test" in other else "validation"
            assert not same(getattr(after, f"x_{moved}"), getattr(before, f"x_{moved}"))


def test_constant_features_are_only_centred():
    x = np.random.default_rng(0).normal(size=(90, 3))
    x[:, 1] = 0.1  # not a binary fraction: its mean and deviation have rounding errors
    x[:, 2] = 7
    x_test = np.tile([0.0, 0.6, 9.0], (3, 1))
    data = from_arrays(**task(n=90, x_train=x, x_test=x_test, y_test=[0, 1, 2]))
    assert np.abs(data.x_train[:, 1:]).max() < 1e-12 and np.abs(data.x_validation[:, 1:]).max() < 1e-12
    assert data.x_test[:, 1:] == pytest.approx(np.tile([0.5, 2.0], (3, 1)))


@pytest.mark.parametrize("values, mean", [
    ([0.1 + 0.2, 0.3], 0.3),
    ([-0.1 - 0.2, -0.3], -0.3),
    ([1e9 * (0.1 + 0.2), 1e9 * 0.3], 3e8),
    ([1e-30 * (0.1 + 0.2), 1e-30 * 0.3], 3e-31),
    ([0.0, 0.0], 0.0),
    (np.array([0.1, 0.1], "float32") + np.array([0.2, 0.2], "float32") - np.array([0, 2e-8], "float32"), 0.3),
    (np.nextafter(*np.array([[7, 7], [8, 7]], "float32")), 7.0),
    (np.nextafter(*np.array([[7, 7], [8, 7]], "float16")), 7.0),
])
@pytest.mark.parametrize("shape", [(3,), (2, 5, 3)])
def test_features_that_differ_by_rounding_alone_are_only_centred(values, mean, shape):
    values = np.asarray(values)
    x = np.random.default_rng(0).normal(0, abs(mean) + 1, (60, *shape)).astype(values.dtype)
    other = x[..., [0, 2]].copy()
    x[..., 1] = values[np.arange(60) % 2].reshape(60, *[1] * (len(shape) - 1))
    x_test = np.full((3, *shape), mean + 1)
    data = from_arrays(**task(x_train=x, x_test=x_test, y_test=[0, 1, 2]))
    assert np.abs(data.x_train[..., 1]).max() <= x[..., 1].size * np.finfo(values.dtype).eps * abs(mean) + 1e-44
    assert data.x_test[..., 1] == pytest.approx(1, abs=1e-2 if values.dtype == "float16" else 1e-6)
    # and the features next to it are scaled as always
    kept = from_arrays(**task(x_train=other, x_test=x_test[..., :2], y_test=[0, 1, 2])).x_train
    assert same(data.x_train[..., [0, 2]], kept)


@pytest.mark.parametrize("x", [
    np.array([100.0, 100.5], "float16"),
    np.array([1e6, 1e6 + 1], "float32"),
    np.array([2**30, 2**30 + 1]),
    np.array([1e9, 1e9 + 1e-4]),
    np.array([-1e-200, 1e-17]),
])
def test_small_differences_that_are_not_rounding_are_scaled_up(x):
    x = x[np.arange(60) % 2, None]
    assert from_arrays(**task(x_train=x, x_test=x[:30])).x_train.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("rows, middle, reach, kind", [
    (200_000, 1.7e15, 1e3, "float64"),
    (20_000, 1.7e18, 1e7, "float64"),
    (20_000, -1.7e18, 1e7, "int64"),
    (400, 1.7e9, 400, "float32"),
    (40, 1e14, 1, "float64"),
    (400, -3.0, 1e-14, "float64"),
    (400, 1e-30, 1e-44, "float64"),
    (400, 2.0**40, 3, "int64"),
    (400, 2.0**63, 1e6, "uint64"),
    (400, 60.0, 0.1, "float16"),
])
@pytest.mark.parametrize("shape", [(2,), (2, 1, 2)])
def test_what_varies_is_scaled_however_far_from_0_it_is(rows, middle, reach, kind, shape):
    """The reference is made of Python's own integers and fractions."""
    rng = np.random.default_rng(0)
    rows //= shape[0] if len(shape) == 3 else 1
    x = rng.normal(size=(rows, *shape))
    x[..., 1] = middle + reach * rng.uniform(-1, 1, (rows, *shape[:-1]))
    if kind != "float64":
        x[..., 0] = np.rint(9 + 2 * x[..., 0])
        x = x.astype(kind)
    y = np.arange(rows) % 2
    data = from_arrays("far", x, y, x, y, validation=rows // 10)
    exact = [v.as_integer_ratio() for v in from_arrays_rows(x, y, rows // 10)[..., 1].ravel().tolist()]
    bottom, count = max(below for _, below in exact), len(exact)  # the numbers below are powers of two
    whole = [above * (bottom // below) for above, below in exact]
    total = sum(whole)
    deviation = math.sqrt(Fraction(sum((count * v - total)**2 for v in whole), count**3 * bottom**2))
    found = data.x_train[..., 1].astype("float64").ravel()
    assert data.scale[1] == pytest.approx(deviation, rel=1e-9, abs=0)
    # float64 holds the mean up to half a unit of its last digit, and so does what is subtracted from
    assert abs(found.mean()) <= 1e-6 + 2 * np.spacing(abs(middle)) / deviation
    assert found.std() == pytest.approx(1, abs=1e-5 + np.spacing(abs(middle)) / deviation)


def from_arrays_rows(x, y, validation):
    """The rows of x that `from_arrays` makes the training part: it chooses them by the labels alone."""
    rows = np.arange(len(y), dtype="float32").reshape(-1, 1)
    return x[from_arrays("rows", rows, y, rows, y, validation=validation, standardise=False).x_train[:, 0].astype(int)]


@pytest.mark.parametrize("rows", [60, 60_000])
@pytest.mark.parametrize("kind, scaled", [("float16", 3), ("float32", 3), ("float64", 3)])
def test_rounding_is_a_matter_of_values_and_not_of_their_number(rows, kind, scaled):
    """One unit of the last digit is rounding, however many values there are; some units are not."""
    one = np.array([1.0], kind)
    near, far = one + np.finfo(kind).eps, one + scaled * np.finfo(kind).eps
    for other, varies in ((near, False), (far, True)):
        x = np.where(np.arange(rows)[:, None] // 2 % 2, other, one)
        assert x.dtype == kind
        y = np.arange(rows) % 2
        assert (from_arrays("near", x, y, x, y, validation=4).scale[0] != 1) == varies


@pytest.mark.parametrize("middle, reach", [(2**60, 200), (2**60, 20), (2**60, 1), (-2**62, 1000)])
def test_integers_that_float64_does_not_tell_apart_are_refused(middle, reach):
    x = np.array([[middle - reach, 1], [middle + reach, 2]])[np.arange(60) % 2]
    said = sentence(from_arrays, **task(x_train=x, x_test=x[:30]))
    assert f"x_train holds integers from {middle - reach} to {middle + reach} in channel or feature 0" in said
    x = x - [middle, 0]
    assert from_arrays(**task(x_train=x, x_test=x[:30])).x_train.std(0) == pytest.approx(1, abs=1e-5)
    x = np.full((60, 1), middle)  # a constant
    assert same(from_arrays(**task(x_train=x, x_test=x[:30])).x_train, np.zeros((54, 1), "float32"))


def test_ordinary_features_keep_the_bits_of_the_plain_formulas():
    """Stored results and checkpoints were made with these."""
    x = np.random.default_rng(0).normal(1000, 1, (60, 3))
    y = np.arange(60) % 2
    data, x = from_arrays("mine", x, y, x, y, validation=10), from_arrays_rows(x, y, 10)
    mean = x.mean(0, dtype="float64")
    assert same(data.mean, mean) and same(data.scale, np.sqrt(np.square((x - mean) / 1024).sum(0) / 50) * 1024)


def test_means_far_above_deviations_keep_their_digits():
    x = 1e9 + np.arange(60.0).reshape(60, 1) % 7
    x_train = from_arrays(**task(x_train=x, x_test=x[:30])).x_train
    assert len(np.unique(x_train)) == 7 and x_train.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("power", [-1000, -600, -500, -100, 60])
def test_deviations_whose_squares_no_number_holds_are_scaled_like_others(power):
    """A power of two rounds nothing, so that every bit is as without it."""
    x = task()["x_train"] * [1.0, 1e-3, 1e-5]
    small = np.ldexp(x, power)
    ours = from_arrays(**task(x_train=small, x_test=small[:30]))
    others = from_arrays(**task(x_train=x, x_test=x[:30]))
    assert all(same(a, b) for a, b in zip(arrays_of(ours).values(), arrays_of(others).values(), strict=True))


def test_the_smallest_numbers_that_there_are_can_be_standardised():
    """Of these no larger power of two is a number, and they have few digits."""
    x = np.ldexp(task()["x_train"], -1045)
    assert 0 < np.abs(x).max() < np.finfo(float).tiny / 2**16
    x_train = from_arrays(**task(x_train=x, x_test=x[:30])).x_train
    assert np.abs(x_train.mean(0)).max() < 1e-4 and np.abs(x_train.std(0) - 1).max() < 1e-4


@pytest.mark.parametrize("part", ["x_train", "x_test"])
@pytest.mark.parametrize("factor", [1e-300, 1e-44])
def test_numbers_that_float32_loses_are_refused_unless_they_are_scaled(part, factor):
    arguments = task()
    arguments[part] = arguments[part] * [1, factor, 1]
    assert f"{part} holds numbers up to " in sentence(from_arrays, **arguments, standardise=False)
    arguments[part][:, 1] = 0  # zeros themselves are not lost
    assert from_arrays(**arguments, standardise=False).shape == (3,)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32"])
def test_inputs_of_any_real_type(dtype):
    x = (np.arange(120).reshape(60, 2) % 5 > 1).astype(dtype)
    data = from_arrays(**task(x_train=x, x_test=x[:30]))
    wide = from_arrays(**task(x_train=x.astype(float), x_test=x[:30].astype(float)))
    assert all(same(a, b) for a, b in zip(arrays_of(data).values(), arrays_of(wide).values(), strict=True))


def test_callers_arrays_stay_as_they_are():
    arguments = task()
    before = {name: np.copy(value) for name, value in arguments.items()}
    data = from_arrays(**arguments, standardise=False)
    data.x_train[:], data.x_test[:], data.y_train[:], data.y_test[:] = 0, 0, 0, 0
    assert all(np.array_equal(arguments[name], before[name]) for name in arguments)


@given(
    counts=st.lists(st.integers(20, 60), min_size=2, max_size=5),
    share=st.floats(0.1, 0.5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, database=None, max_examples=30)
def test_split_is_stratified_disjoint_complete_and_fixed(counts, share, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    x = np.arange(len(y)).reshape(-1, 1)
    make = functools.partial(
        from_arrays, "t", x, y, x, y, validation=share, seed=seed, standardise=False
    )
    data = make()
    assert sorted([*data.x_train[:, 0], *data.x_validation[:, 0]]) == list(range(len(y)))
    assert len(data.y_validation) == round(share * len(y))
    for part in ("train", "validation"):
        rows = getattr(data, f"x_{part}")[:, 0].astype(int)
        assert np.array_equal(y[rows], getattr(data, f"y_{part}"))
    got = np.bincount(data.y_validation, minlength=len(counts))
    assert np.abs(got - len(data.y_validation) * np.array(counts) / len(y)).max() <= 1
    assert all(same(a, b) for a, b in zip(arrays_of(data).values(), arrays_of(make()).values(), strict=True))


@given(
    counts=st.lists(st.one_of(st.integers(2, 4), st.integers(2, 400)), min_size=2, max_size=12),
    share=st.floats(0, 1),
    count=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(database=None)
def test_every_class_is_in_both_parts_however_rare_it_is(counts, share, count, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    rows = round(len(counts) + share * (len(y) - 2 * len(counts)))  # from one of each class to all but one
    validation = rows if count else rows / len(y)
    x = np.arange(len(y)).reshape(-1, 1)
    data = from_arrays("t", x, y, x, y, validation=validation, seed=seed, standardise=False)
    assert len(data.y_validation) == rows
    assert sorted([*data.x_train[:, 0], *data.x_validation[:, 0]]) == list(range(len(y)))
    for part in ("train", "validation"):
        labels = getattr(data, f"y_{part}")
        assert np.array_equal(y[getattr(data, f"x_{part}")[:, 0].astype(int)], labels)
        assert set(labels) == set(range(len(counts)))
        # apart from that, the classes are as frequent as in all rows
        asked = np.maximum(1, len(labels) * np.array(counts) / len(y))
        got = np.bincount(labels, minlength=len(counts))
        assert np.abs(got - asked).max() <= len(counts)


@pytest.mark.parametrize("validation", [0.1, 0.9, 100, 2, 998])
def test_two_rows_in_a_thousand_go_one_into_each_part(validation):
    y = np.array([0] * 998 + [1] * 2)
    x = np.arange(1000.0)[:, None]
    data = from_arrays("t", x, y, x, y, validation=validation)
    assert np.count_nonzero(data.y_train) == np.count_nonzero(data.y_validation) == 1


def test_classes_far_apart_are_split_too():
    y = np.array([5] * 98 + [2**60] * 2)
    x = np.arange(100.0)[:, None]
    data = from_arrays("t", x, y, x, y, classes=2**61)
    assert set(data.y_train) == set(data.y_validation) == {5, 2**60}


@pytest.mark.parametrize("samples, classes, validation, digest", [
    (1617, 10, 180, "982a3e06fe81b24e"), (60000, 10, 1 / 12, "8450bf56e943d3a7"), (5000, 200, 0.1, "e3233e9aaa222c18"),
])
def test_a_split_stays_as_it_is_where_no_class_is_rare(samples, classes, validation, digest):
    """The stored results depend on this split."""
    y = np.random.default_rng(samples).integers(0, classes, samples)
    x = np.arange(samples)[:, None]
    data = from_arrays("t", x, y, x, y, validation=validation, standardise=False)
    assert sha256(data.x_train.astype("<i8").tobytes()).hexdigest()[:16] == digest


@pytest.mark.parametrize("name, digest", [("digits", "e020b624b28be719"), ("xor", "e7b4e4a10887b3a2")])
def test_the_rows_of_the_built_in_sets_stay_in_their_order(name, digest):
    data = load(name)
    labels = np.concatenate([getattr(data, f"y_{part}") for part in PARTS]).astype("<i8")
    assert sha256(labels.tobytes()).hexdigest()[:16] == digest


def test_another_seed_is_another_split():
    a, b = (from_arrays(**task(), seed=seed, standardise=False) for seed in (0, 1))
    assert not same(a.x_validation, b.x_validation)


def test_validation_as_a_number_of_rows():
    assert len(from_arrays(**task(), validation=7).y_validation) == 7
    assert len(from_arrays(**task(), validation=0.25).y_validation) == 15


def test_global_random_state_is_left_alone():
    before = np.random.get_state()
    from_arrays(**task())
    xor()
    digits()
    after = np.random.get_state()
    assert np.array_equal(before[1], after[1]) and before[2:] == after[2:]


@pytest.mark.parametrize("hide", [[], [17]])
@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test"])
@pytest.mark.parametrize("listed", [False, True])
def test_masked_arrays_are_refused_whatever_they_hide(name, hide, listed):
    masked = np.ma.array(task()[name])
    masked[hide] = np.ma.masked
    masked = list(np.ma.array([masked])[0:1]) * 2 if listed else masked
    assert f"{name} is a masked array, expected one without a mask" in sentence(
        from_arrays, **task() | {name: masked})


def test_one_hot_refuses_masked_labels():
    assert "labels is a masked array" in sentence(one_hot, np.ma.array([0, 1], mask=[False, True]), 2)


def good():
    return from_arrays(**task())


@pytest.mark.parametrize("wrong, words", [
    ({"y_train": np.zeros(50, int)}, "y_train holds 50 labels, expected 54, as many as inputs in x_train"),
    ({"x_test": np.zeros((29, 3), "float32")}, "y_test holds 30 labels, expected 29, as many as inputs in x_test"),
    ({"y_validation": np.array([0, 1, 2, 3, 0, 1])}, "y_validation holds the label 3, expected labels from 0 to 2"),
    ({"y_test": np.full(30, -1)}, "y_test holds the label -1, expected labels from 0 to 2"),
    ({"y_train": np.zeros(54)}, "y_train has type float64, expected integer labels"),
    ({"y_train": np.zeros((54, 1), int)}, "y_train has shape (54, 1), expected (N,)"),
    ({"x_validation": np.zeros((6, 4), "float32")}, "x_validation holds inputs of shape (4,), expected (3,)"),
    ({"x_validation": np.zeros((6, 3, 1), "float32")}, "x_validation has shape (6, 3, 1), expected vectors (N, F)"),
    ({"x_validation": np.zeros((0, 3), "float32"), "y_validation": np.zeros(0, int)}, "x_validation has shape (0, 3)"),
    ({"x_train": np.zeros((54, 3), int)}, "x_train has type int64, expected floating-point numbers"),
    ({"x_train": np.zeros((54, 3), complex)}, "x_train has type complex128, expected floating-point numbers"),
    ({"x_train": np.zeros((54, 3)).tolist()}, "x_train is of type list, expected a NumPy array"),
    ({"y_test": None}, "y_test is of type NoneType, expected a NumPy array"),
    ({"x_train": np.ma.zeros((54, 3))}, "x_train is a masked array"),
    ({"y_train": np.ma.zeros(54, int)}, "y_train is a masked array"),
    ({"classes": 2}, "holds the label 2, expected labels from 0 to 1"),
    ({"classes": "3"}, "classes is '3', expected an integer from 2 on"),
])
def test_a_dataset_checks_its_parts(wrong, words):
    assert words in sentence(replace, good(), **wrong)
    fields = {name: getattr(good(), name) for name in ("name", "classes", *arrays_of(good()))}
    assert words in sentence(Dataset, **fields | wrong)


def test_a_dataset_of_other_floats_or_without_numbers_is_as_good():
    """Inputs of a Dataset may be NaN: it does not check the numbers."""
    data = replace(good(), x_test=np.full((30, 3), np.nan), x_train=good().x_train.astype("float64"))
    assert np.isnan(data.x_test).all() and data.shape == (3,)


class Elsewhere:
    """An array on another device, which NumPy may not copy."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("implicit conversion is not allowed")


def poisoned(value):
    x = task()["x_train"]
    x[17, 1] = value
    return x


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"x_train": poisoned(np.nan)}, "x_train holds NaN or numbers beyond float32 (first in row 17)"),
        ({"x_train": poisoned(-np.inf)}, "x_train holds NaN or numbers beyond float32 (first in row 17)"),
        ({"x_train": poisoned(1e39)}, "x_train holds NaN or numbers beyond float32 (first in row 17)"),
        ({"x_test": np.full((30, 3), np.inf)}, "x_test holds NaN or numbers beyond float32 (first in row 0)"),
        ({"x_test": np.full((30, 3), 1e30), "x_train": 1e-20 * task()["x_train"]},
         "x_test, standardised, holds NaN or numbers beyond float32 (first in row 0)"),
        ({"x_train": np.zeros((60, 3), complex)}, "x_train has type complex128, expected real numbers"),
        ({"x_train": [["a", "b", "c"]] * 60}, "x_train has type <U1, expected real numbers"),
        ({"x_train": [[1, 2, 3], [1]]}, "x_train has rows of different shapes, expected an array"),
        ({"x_train": np.zeros(60)}, "x_train has shape (60,), expected vectors (N, F) or images (N, H, W"),
        ({"x_train": np.zeros((60, 3, 1, 1, 1))}, "x_train has shape (60, 3, 1, 1, 1), expected vectors"),
        ({"x_train": np.zeros((60, 3, 1))}, "x_test holds inputs of shape (3,), expected (3, 1, 1) as in x_train"),
        ({"x_test": np.zeros((0, 3))}, "x_test has shape (0, 3), expected at least one number"),
        ({"x_train": np.zeros((60, 0))}, "x_train has shape (60, 0), expected at least one number"),
        ({"x_test": np.zeros((30, 4))}, "x_test holds inputs of shape (4,), expected (3,) as in x_train"),
        ({"y_train": np.arange(59) % 3}, "y_train holds 59 labels, expected 60, as many as inputs in x_tr"),
        ({"y_test": np.arange(31) % 3}, "y_test holds 31 labels, expected 30, as many as inputs in x_test"),
        ({"y_train": np.arange(60) % 3 / 2, "task": "classes"}, "y_test holds the label 2, expected one of [0.0"),
        ({"y_test": np.ones(30, bool)}, "y_test has type bool, expected integer labels"),
        ({"y_train": np.eye(3, dtype=int)[np.arange(60) % 3], "task": "classes"},
         "y_train has shape (60, 3), expected (N,)"),
        ({"y_test": []}, "y_test has shape (0,), expected (N,) with at least one label"),
        ({"y_train": np.arange(60) % 3 - 1}, "y_train holds the label -1, expected labels from 0 on"),
        ({"y_train": np.full(60, 2**63, np.uint64)}, f"y_train holds the label {2**63}, expected labels"),
        ({"y_train": np.arange(60) % 3 + 1}, "y_train holds labels up to 3 but no 0, expected every label"),
        ({"y_train": np.arange(60) % 3 * 2}, "y_train holds labels up to 4 but no 1, expected every label"),
        ({"y_train": np.zeros(60, int)}, "y_train holds the label 0 only, expected at least 2 classes"),
        ({"y_test": np.full(30, 3)}, "y_test holds the label 3, expected labels from 0 to 2"),
        ({"classes": 2}, "y_train holds the label 2, expected labels from 0 to 1"),
        ({"classes": 1}, "classes is 1, expected an integer from 2 on"),
        ({"classes": 3.0}, "classes is 3.0, expected an integer from 2 on"),
        ({"validation": 0}, "validation is 0, expected a share between 0 and 1 or a number of rows below 60"),
        ({"validation": 60}, "validation is 60, expected"),
        ({"validation": -0.1}, "validation is -0.1, expected"),
        ({"validation": 1.5}, "validation is 1.5, expected"),
        ({"validation": float("nan")}, "validation is nan, expected"),
        ({"validation": "0.1"}, "validation is '0.1', expected"),
        ({"validation": 2}, "validation=2 makes 2 of 60 rows the validation part, expected from 3 to 57"),
        ({"validation": 0.99}, "validation=0.99 makes 59 of 60 rows the validation part, expected from 3 to"),
        ({"y_train": np.r_[np.arange(59) % 2, 2]}, "y_train holds the label 2 once, expected every label"),
        ({"seed": -1}, "seed is -1, expected an integer from 0 to 2**32 - 1"),
        ({"seed": 0.5}, "seed is 0.5, expected an integer"),
        ({"seed": True}, "seed is True, expected an integer"),
        ({"classes": 10**30}, "classes is 1000000000000000000000000000000, expected fewer than 2**63"),
        ({"classes": 10**400}, "classes is an integer of 1329 bits, expected fewer than 2**63"),
        ({"classes": True}, "classes is True, expected an integer from 2 on"),
        ({"validation": True}, "validation is True, expected a share between 0 and 1 or a number of rows"),
        ({"standardise": "no"}, "standardise must be True or False, got 'no'"),
        ({"standardise": 0}, "standardise must be True or False, got 0"),
        ({"standardise": None}, "standardise must be True or False, got None"),
        ({"name": 3}, "name is 3, expected a printable text"),
        ({"name": "a\nb"}, "name is 'a\\nb', expected a printable text"),
        ({"name": "\ud800"}, "name is '\\ud800', expected a printable text"),
        ({"validation": "x" * 999}, "validation is 'xxx"),
        ({"x_train": Elsewhere()}, "x_train is of type Elsewhere, expected an array of NumPy's"),
        ({"y_test": Elsewhere()}, "y_test is of type Elsewhere, expected an array of NumPy's"),
    ],
)
def test_from_arrays_sentences(wrong, words):
    assert words in sentence(from_arrays, **(task() | wrong))


def test_classes_that_no_row_belongs_to_need_to_be_asked_for():
    assert from_arrays(**task(), classes=5).classes == 5


def test_one_hot():
    rows = one_hot(np.array([2, 0, 2], np.uint8), 4)
    assert rows.dtype == "float32" and rows.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]]
    assert one_hot([0], 2, "float64").dtype == "float64"
    assert "labels holds the label 2, expected labels from 0 to 1" in sentence(one_hot, [0, 2], 2)
    assert "labels holds the label -1" in sentence(one_hot, [-1], 2)
    assert "labels has type float64" in sentence(one_hot, [1.0], 2)
    assert "labels has shape (1, 2)" in sentence(one_hot, [[0, 1]], 2)


@pytest.mark.parametrize("dtype", ["floaty", "f4,f4", "U3", object, bool, 7, [("a", int)]], ids=repr)
def test_one_hot_rows_are_of_numbers(dtype):
    assert "dtype is " in sentence(one_hot, [0, 1], 2, dtype)


@pytest.mark.parametrize("classes", [10**15, 2**62])
def test_one_hot_rows_fit_in_memory(classes):
    assert "expected rows that fit in memory" in sentence(one_hot, [0, 1], classes)


# ---------------------------------------------------------------- what is no path, no yes or no, no number


NO_PATHS = [3, True, b"mnist", "", "a\0b", "\ud800", ["mnist"]]


MADE = ("digits", "diabetes", "xor", "circles", "spirals", "quadrants")  # by a function that reads no file


@pytest.mark.parametrize("path", NO_PATHS, ids=repr)
@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_is_no_path_is_one_sentence(name, path):
    assert "expected the name of a file or a folder" in sentence(load, name, data_dir=path)
    if name not in MADE:
        assert "expected the name of a file or a folder" in sentence(DATASETS[name].load, path)


@pytest.mark.parametrize("path", NO_PATHS, ids=repr)
def test_a_file_that_is_no_path_is_one_sentence(path):
    for call in (read_idx, lambda path: write_idx(path, np.zeros(3)), lambda path: matlab.arrays(path)):
        assert "expected the name of a file or a folder" in sentence(call, path)


@pytest.mark.parametrize("download", ["no", 0, 1, None])
@pytest.mark.parametrize("name", DATASETS)
def test_a_download_is_asked_for_by_true_alone(nowhere, name, download):
    assert "download must be True or False" in sentence(load, name, download=download)
    if name not in MADE:
        assert "download must be True or False" in sentence(DATASETS[name].load, None, download)


@pytest.mark.parametrize("name", [None, 3, ["mnist"], b"mnist", {}], ids=repr)
def test_a_data_set_has_a_name(name):
    assert "which is no name" in sentence(load, name)


@pytest.mark.parametrize("seed", [True, -1, 2**32, 0.5, "0", None], ids=repr)
def test_the_seed_of_xor_is_an_integer(seed):
    assert "seed must be" in sentence(xor, seed)


@pytest.mark.parametrize("largest", [True, "9", None], ids=repr)
def test_a_limit_is_a_number(tmp_path, largest):
    assert "expected a number of bytes" in sentence(read_idx, tmp_path / "a", largest)


# ---------------------------------------------------------------- built in


def rows_of(data):
    return [{row.tobytes() for row in getattr(data, f"x_{part}")} for part in PARTS]


@pytest.mark.parametrize(
    "name, sizes", [("digits", (1257, 180, 360)), ("xor", (4500, 500, 1000)),
                    *((name, (800, 200, 200)) for name in ("circles", "spirals", "quadrants"))]
)
def test_built_in_sets_are_split_once_and_for_all(name, sizes):
    data = load(name)
    assert tuple(len(getattr(data, f"y_{part}")) for part in PARTS) == sizes
    train, validation, test = rows_of(data)
    assert len(train | validation | test) == sum(sizes)  # no row occurs twice, within a part or in two parts
    whole = np.concatenate([getattr(data, f"y_{part}") for part in PARTS])
    for part, size in zip(PARTS, sizes, strict=True):
        counts = np.bincount(getattr(data, f"y_{part}"), minlength=data.classes)
        expected = np.bincount(whole) * size / sum(sizes)
        assert np.abs(counts - expected).max() <= 1.5
    again = load(name)
    assert all(same(a, b) for a, b in zip(arrays_of(data).values(), arrays_of(again).values(), strict=True))
    source = DATASETS[name]
    assert (data.name, data.shape, data.classes) == (name, source.shape, source.classes)


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    data, bunch = digits(), load_digits()
    x = np.concatenate([getattr(data, f"x_{part}") for part in PARTS])[..., 0]
    y = np.concatenate([getattr(data, f"y_{part}") for part in PARTS])
    assert np.array_equal(np.bincount(y), np.bincount(bunch.target))
    step = np.diff(np.unique(x)).mean()  # pixels are integers from 0 to 16
    raw = np.rint((x - x.min()) / step)
    pairs = {(image.tobytes(), label) for image, label in zip(bunch.images, bunch.target, strict=True)}
    assert {(image.tobytes(), label) for image, label in zip(raw.astype(float), y, strict=True)} == pairs


@pytest.mark.parametrize("found", [True, False])
def test_digits_are_read_with_and_without_an_import_of_scikit_learn(monkeypatch, found):
    from sklearn.datasets import load_digits

    if not found:
        monkeypatch.setattr(sources, "find_spec", lambda name: None)
    x, y = sources._digits.__wrapped__()
    assert not x.flags.writeable and not y.flags.writeable
    bunch = load_digits()
    assert np.array_equal(x, bunch.images[..., None]) and np.array_equal(y, bunch.target)
    assert (x.dtype, y.dtype) == (bunch.images.dtype, bunch.target.dtype)


def test_digits_are_read_once_and_each_data_set_of_them_is_its_own():
    assert sources._digits() is sources._digits()
    first, second = digits(), digits()
    before = second.x_train.copy()
    for part in PARTS:
        for name in "xy":
            array = getattr(first, f"{name}_{part}")
            assert array.flags.writeable
            array[...] = 0
    assert np.array_equal(second.x_train, before) and np.array_equal(digits().x_train, before)


@pytest.mark.slow
def test_digits_wait_for_no_import_of_scikit_learn():
    code = "import sys, nobackprop; nobackprop.data.load('digits'); print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


def test_xor_is_beyond_linear_rules_but_not_beyond_one_that_knows_the_signs(monkeypatch):
    from sklearn.linear_model import LogisticRegression

    data = xor()
    assert np.bincount(np.concatenate([data.y_train, data.y_validation, data.y_test])).tolist() == [1500] * 4
    linear = LogisticRegression().fit(data.x_train, data.y_train)
    assert linear.score(data.x_test, data.y_test) < 0.35
    # no coordinate is special: all have similar distributions, and none has two peaks
    assert np.abs(np.corrcoef(data.x_train.T) - np.eye(30)).max() < 0.2
    assert (data.x_train**4).mean(0).min() > 2.5  # 3 for a normal distribution, 1.5 for a sign with this noise
    # without the rotation the first four features are the signs
    monkeypatch.setattr(np.linalg, "qr", lambda a: (np.eye(len(a)), np.eye(len(a))))
    plain = xor()
    positive = plain.x_test > 0
    told = 2 * (positive[:, 0] != positive[:, 1]) + (positive[:, 2] != positive[:, 3])
    assert (told == plain.y_test).mean() > 0.95
    assert XOR_NOISE < 1


def test_xor_seed_is_all_that_it_depends_on():
    a, b = xor(seed=1), xor(seed=1)
    assert all(same(x, y) for x, y in zip(arrays_of(a).values(), arrays_of(b).values(), strict=True))
    assert not same(a.x_train, xor(seed=2).x_train)


def test_xor_is_only_rotated(monkeypatch):
    monkeypatch.setattr(sources, "from_arrays", lambda name, x, *rest, **kwargs: x)  # before standardising
    rotated = xor()[:300]
    monkeypatch.setattr(np.linalg, "qr", lambda a: (np.eye(len(a)), np.eye(len(a))))
    plain = xor()[:300]
    assert not np.allclose(rotated, plain)
    assert np.allclose(rotated @ rotated.T, plain @ plain.T)  # all lengths and angles


def test_registry():
    photos = ["cifar-10", "cifar-100", "svhn", "tiny-imagenet", "tiny-imagenet-32"]
    assert {"digits", "xor", "mnist", "fashion-mnist", *photos} <= set(DATASETS)
    for source in DATASETS.values():
        assert set(source.defaults) <= {*NAMES, "threads"}
        assert source.summary and "\n" not in source.summary
    assert DATASETS["xor"].defaults["activation"] == "tanh" and DATASETS["mnist"].defaults["threads"] is None
    assert "unknown data set 'minst': did you mean 'mnist'?" in sentence(load, "minst")


# ---------------------------------------------------------------- MNIST and Fashion-MNIST


def forged(n=48, seed=0):
    """Arrays as in the four files, but with far fewer images."""
    generator = np.random.default_rng(seed)
    held = []
    for size in (n, n // 2):
        held.append(generator.integers(0, 256, (size, 28, 28), np.uint8))
        held.append((np.arange(size) % 4).astype(np.uint8))
    return held


def lay_out(folder, contents=None, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for file, array in zip(module.FILES, contents or forged(), strict=True):
        write_idx(folder / f"{file}{suffix}", array)
    return folder


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """The folder of an empty cache; the environment variable is not set, and the network cannot be reached."""
    cache = tmp_path / "cache" / "nobackprop"
    monkeypatch.delenv("NOBACKPROP_DATA", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda project: cache.with_name(project))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with socket.socket() as deaf:  # this socket holds a port, but does not listen on it
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        unreachable = {name: replace(origin, url=url) for name, origin in module.ORIGINS.items()}
        monkeypatch.setattr(module, "ORIGINS", unreachable)
        yield cache


PLACES = [
    (name, folder, suffix)
    for name, own in (("mnist", "MNIST/raw"), ("fashion-mnist", "FashionMNIST/raw"))
    for folder in (".", name, own)
    for suffix in ("", ".gz")
]


@pytest.mark.parametrize("name, folder, suffix", PLACES)
def test_files_are_found_in_a_data_folder(nowhere, tmp_path, monkeypatch, name, folder, suffix):
    lay_out(tmp_path / "d" / folder, suffix=suffix)
    data = load(name, data_dir=str(tmp_path / "d"))
    assert isinstance(data, Dataset) and data.name == name and data.classes == 10
    assert data.x_train.shape == (44, 28, 28, 1) and data.x_train.dtype == "float32"
    assert len(data.y_validation) == 4 and data.x_test.shape == (24, 28, 28, 1)
    monkeypatch.setenv("NOBACKPROP_DATA", str(tmp_path / "d"))
    assert same(load(name).x_train, data.x_train)


def test_one_mean_and_deviation_for_all_pixels(nowhere, tmp_path):
    contents = forged()
    data = load("mnist", data_dir=lay_out(tmp_path / "d", contents))
    assert data.x_train.mean(dtype=float) == pytest.approx(0, abs=1e-6)
    assert data.x_train.std(dtype=float) == pytest.approx(1, abs=1e-6)
    # the test part is the official one, in its order, and is shifted and scaled in the same way
    raw = contents[2][..., None].astype(float)
    slope, height = np.polyfit(raw.ravel(), data.x_test.ravel(), 1)
    assert data.x_test == pytest.approx(slope * raw + height, abs=1e-5)
    assert data.y_test.tolist() == contents[3].tolist()


@pytest.mark.parametrize("suffix", ["", ".gz", ".GZ"])
@pytest.mark.parametrize("spell", [
    lambda file: file.replace("-idx", ".idx"), str.upper, lambda file: file.replace("-idx", ".idx").title()])
def test_files_are_found_under_the_names_that_copies_have(nowhere, tmp_path, spell, suffix):
    expected = load("mnist", data_dir=lay_out(tmp_path / "usual"))
    folder = lay_out(tmp_path / "d", suffix=suffix.lower())
    for file in module.FILES:
        (folder / f"{file}{suffix.lower()}").replace(folder / f"{spell(file)}{suffix}")
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / f"._{module.FILES[0]}").write_bytes(b"x")
    assert same(load("mnist", data_dir=folder).x_train, expected.x_train)


def test_the_published_name_comes_before_another_spelling(nowhere, tmp_path):
    folder = lay_out(tmp_path / "d", suffix="")
    (folder / module.FILES[0].replace("-idx", ".idx")).write_bytes(b"wrong")
    if not (folder / module.FILES[0].upper()).exists():  # otherwise it is the same file
        (folder / module.FILES[0].upper()).write_bytes(b"wrong")
    assert load("mnist", data_dir=folder).shape == (28, 28, 1)


def test_a_folder_that_cannot_be_listed_has_no_other_spellings(nowhere, tmp_path, monkeypatch):
    def refused(self):
        raise PermissionError(13, "Permission denied")

    folder = lay_out(tmp_path / "d")
    monkeypatch.setattr(Path, "iterdir", refused)
    assert "no mnist in" in sentence(load, "mnist", data_dir=tmp_path)
    assert load("mnist", data_dir=folder).name == "mnist"  # files whose names are known can still be read


def test_mnist_of_a_forged_size_is_not_read(nowhere, tmp_path, monkeypatch):
    folder = lay_out(tmp_path / "d")
    (folder / f"{module.FILES[0]}.gz").write_bytes(gzip.compress(b"\0\0\x08\1\x40\0\0\0") + bytes(2**21))
    with memory_below(2**22):
        assert "holds uint8 of shape (1073741824,), expected at most" in sentence(load, "mnist", data_dir=folder)


def test_files_may_be_packed_or_not_one_by_one(nowhere, tmp_path):
    folder = lay_out(tmp_path / "d")
    (folder / f"{module.FILES[0]}.gz").unlink()
    write_idx(folder / module.FILES[0], forged()[0])
    assert load("mnist", data_dir=folder).shape == (28, 28, 1)


def test_order_of_places(nowhere, tmp_path, monkeypatch):
    places = [tmp_path / "named", tmp_path / "variable", nowhere / "mnist"]
    for seed, place in enumerate(places):
        lay_out(place, forged(seed=seed))
    expected = [load("mnist", data_dir=place).x_train for place in places]
    monkeypatch.setenv("NOBACKPROP_DATA", str(tmp_path / "variable"))
    assert same(load("mnist", data_dir=tmp_path / "named").x_train, expected[0])
    assert same(load("mnist").x_train, expected[1])
    for variable in (str(tmp_path), ""):  # nothing is in it, so the cache is searched next
        monkeypatch.setenv("NOBACKPROP_DATA", variable)
        assert same(load("mnist").x_train, expected[2])
    assert not any(same(expected[i], expected[j]) for i, j in ((0, 1), (1, 2), (0, 2)))
    # the folder of a data set is searched before files that may belong to the other data set
    lay_out(tmp_path / "named" / "fashion-mnist", forged(seed=9))
    assert not same(load("fashion-mnist", data_dir=tmp_path / "named").x_train, expected[0])
    assert same(load("mnist", data_dir=tmp_path / "named").x_train, expected[0])


def test_home_is_understood(nowhere, tmp_path, monkeypatch):
    lay_out(tmp_path / "d")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load("mnist", data_dir="~/d").name == "mnist"


def test_missing_files_name_the_folders_and_the_ways_out(nowhere, tmp_path, monkeypatch):
    said = sentence(load, "mnist")
    assert str(nowhere / "mnist") in said
    assert all(way in said for way in ("--data-dir DIR", "NOBACKPROP_DATA", "--download"))
    monkeypatch.setenv("NOBACKPROP_DATA", str(tmp_path / "none"))
    assert str(tmp_path / "none") in sentence(load, "mnist")
    assert not nowhere.exists()  # a search creates no folder


def test_a_named_folder_is_never_passed_over(nowhere, tmp_path, monkeypatch):
    lay_out(nowhere / "mnist")
    monkeypatch.setenv("NOBACKPROP_DATA", str(lay_out(tmp_path / "variable")))
    folder = lay_out(tmp_path / "named")
    (folder / f"{module.FILES[3]}.gz").unlink()  # three of four are not enough
    for download in (False, True):
        said = sentence(load, "mnist", data_dir=folder, download=download)
        assert str(folder) in said and str(folder / "MNIST/raw") in said and module.FILES[3] in said


@pytest.mark.slow
def test_contents_are_checked_against_each_other(nowhere, tmp_path):
    images, labels, test_images, test_labels = forged()
    cases = [
        ([images, labels[:-1], test_images, test_labels], "holds 48 images, but the labels next to it"),
        ([images, labels, test_images, labels], "holds 24 images, but the labels next to it have shape (48,)"),
        ([images[:, :27], labels, test_images, test_labels], "expected uint8 of shape (N, 28, 28)"),
        ([labels, labels, test_images, test_labels], "expected uint8 of shape (N, 28, 28)"),
        ([images.astype(np.float32), labels, test_images, test_labels], "holds float32 of shape"),
        ([images, labels + 7, test_images, test_labels], "y_train holds the label 10, expected labels"),
    ]
    for contents, words in cases:
        assert words in sentence(load, "mnist", data_dir=lay_out(tmp_path / "d", contents))
    (tmp_path / "d" / f"{module.FILES[0]}.gz").write_bytes(b"<html>")
    assert "not an IDX file" in sentence(load, "mnist", data_dir=tmp_path / "d")


def test_the_two_are_not_taken_for_each_other(nowhere, tmp_path):
    images, labels, *test = forged()
    for name, other in (("mnist", "fashion-mnist"), ("fashion-mnist", "mnist")):
        labels[:10] = module.FIRST_LABELS[name]
        labels[10:] = np.arange(38) % 10
        folder = lay_out(tmp_path / name, [images, labels, *test])
        assert f"are {name}, expected {other}" in sentence(load, other, data_dir=folder)
        with pytest.raises(InputError, match="one row per class"):  # the labels pass: too few rows
            load(name, data_dir=folder)


# ---------------------------------------------------------------- downloads


@contextmanager
def served(folder, cut=None):
    """A server of the files in a folder, whole or cut short: its address, and the requests it received."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, form, *args):
            asked.append(self.path)

        def copyfile(self, source, outputfile):
            outputfile.write(source.read()[:cut])

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def published(nowhere, tmp_path, monkeypatch):
    """Forged files on a server in the place of the publisher's: their folder, and the requests it received."""
    folder = lay_out(tmp_path / "published")
    packed = [(folder / f"{file}.gz").read_bytes() for file in module.FILES]
    sums = tuple(f"sha256:{sha256(content).hexdigest()}" for content in packed)
    with served(folder) as (url, asked):
        downloads = dict(zip(module.ORIGINS["mnist"].downloads, sums, strict=True))
        origin = replace(module.ORIGINS["mnist"], url=url, downloads=downloads)
        monkeypatch.setattr(module, "ORIGINS", module.ORIGINS | {"mnist": origin})
        yield folder, asked


def left_in(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_download_fills_the_cache_once(nowhere, published, tmp_path):
    folder, asked = published
    data = load("mnist", download=True)
    assert same(data.x_train, load("mnist", data_dir=folder).x_train)
    assert left_in(nowhere) == sorted(f"{file}.gz" for file in module.FILES)
    assert asked == [f"/{file}.gz" for file in module.FILES]
    for download in (False, True):
        assert same(load("mnist", download=download).x_train, data.x_train)
    assert len(asked) == 4


def test_download_is_not_needed_where_the_files_are(nowhere, published, monkeypatch):
    folder, asked = published
    monkeypatch.setenv("NOBACKPROP_DATA", str(folder))
    load("mnist", download=True)
    load("mnist", data_dir=folder, download=True)
    assert asked == []


def test_no_download_unless_asked_for(nowhere, published):
    assert "--download" in sentence(load, "mnist")
    assert published[1] == []


def test_download_mends_a_damaged_cache(nowhere, published):
    load("mnist", download=True)
    path = nowhere / "mnist" / f"{module.FILES[0]}.gz"
    path.write_bytes(path.read_bytes()[:50])
    assert "damaged" in sentence(load, "mnist")
    load("mnist", download=True)
    assert len(published[1]) == 5 and load("mnist").name == "mnist"


@pytest.mark.parametrize("place", [0, 3])
def test_wrong_checksum_is_one_sentence_and_leaves_no_file(nowhere, published, place):
    file = f"{module.FILES[place]}.gz"
    path = published[0] / file
    path.write_bytes(path.read_bytes() + b"\0")  # gzip accepts such a file
    said = sentence(load, "mnist", download=True)
    assert f"{file} is not the file it should be: expected the checksum sha256:" in said
    assert left_in(nowhere) == sorted(f"{name}.gz" for name in module.FILES[:place])


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "403 Forbidden"])
def test_a_refused_download_says_the_code(nowhere, monkeypatch, status):
    def refuse(connection, stop):
        connection.recv(2**12)
        connection.sendall(f"HTTP/1.0 {status}\r\n\r\n".encode())

    with answering(refuse) as url:
        moved(monkeypatch, url)
        assert f"cannot download {url}{module.FILES[0]}.gz to {nowhere / 'mnist'} ({status}): try again" in sentence(
            load, "mnist", download=True)
    assert left_in(nowhere) == []


def test_failed_download_is_one_sentence_and_leaves_no_file(nowhere, published):
    (published[0] / f"{module.FILES[0]}.gz").unlink()
    said = sentence(load, "mnist", download=True)
    assert f"cannot download {module.ORIGINS['mnist'].url}{module.FILES[0]}.gz" in said
    assert "(404 File not found)" in said
    assert left_in(nowhere) == []


def test_broken_connection_is_one_sentence_and_leaves_no_file(nowhere, published, monkeypatch):
    with served(published[0], cut=100) as (url, _):
        broken = replace(module.ORIGINS["mnist"], url=url)
        monkeypatch.setattr(module, "ORIGINS", {"mnist": broken})
        assert f"cannot download {url}{module.FILES[0]}.gz" in sentence(load, "mnist", download=True)
    assert left_in(nowhere) == []


def test_no_network_is_one_sentence(nowhere):
    said = sentence(load, "fashion-mnist", download=True)
    assert "ConnectionError" in said and "--data-dir DIR" in said
    assert left_in(nowhere) == []


@contextmanager
def answering(answer):
    """The address of a server that calls `answer(connection, stop)` on every connection; stop is an Event."""
    stop = threading.Event()

    def serve():
        while not stop.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                with suppress(OSError):  # the client has closed the connection
                    answer(connection, stop)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            stop.set()
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join()


def endless(connection, stop):
    connection.recv(2**12)
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    while not stop.is_set():
        connection.sendall(bytes(2**14))


def dripping_body(connection, stop):
    connection.recv(2**12)
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not stop.wait(0.01):
        connection.sendall(b"x")


def dripping_header(connection, stop):
    connection.recv(2**12)
    connection.sendall(b"HTTP/1.0 200 OK\r\nX: ")
    while not stop.wait(0.01):
        connection.sendall(b"x")


def silent(connection, stop):
    stop.wait(30)


def moved(monkeypatch, url):
    monkeypatch.setattr(module, "ORIGINS", {"mnist": replace(module.ORIGINS["mnist"], url=url)})


def test_an_endless_download_is_ended(nowhere, monkeypatch):
    monkeypatch.setattr(origin, "LARGEST", 2**20)
    with answering(endless) as url:
        moved(monkeypatch, url)
        said = sentence(load, "mnist", download=True)
        assert said == f"{url}{module.FILES[0]}.gz does not end, expected at most {2**20} bytes"
    assert left_in(nowhere) == []


@pytest.mark.parametrize("answer", [dripping_body, dripping_header, silent])
def test_a_download_that_drips_or_stalls_is_ended(nowhere, monkeypatch, answer):
    monkeypatch.setattr(origin, "PATIENCE", 0.2)
    with answering(answer) as url:
        moved(monkeypatch, url)
        said = sentence(load, "mnist", download=True)
        assert f"{url}{module.FILES[0]}.gz comes too slowly" in said or "(ConnectTimeout)" in said or (
            "(ReadTimeout)" in said)
    assert left_in(nowhere) == []


@pytest.mark.parametrize("came, waited, slow", [
    (0, 59, False), (0, 61, True), (2**15 * 61 - 1, 61, True), (2**15 * 61, 61, False), (2**27, 600, False),
    (2**27, 2**13, True), (2**29, 2**14, False)])
def test_a_download_that_is_fast_enough_may_take_its_time(came, waited, slow):
    """After a minute, at least 32 KiB a second on average are expected."""
    assert origin._slow(came, waited) == slow


def test_a_cached_file_beyond_all_measure_is_fetched_again_unread(nowhere, published, monkeypatch):
    load("mnist", download=True)
    path = nowhere / "mnist" / f"{module.FILES[0]}.gz"
    sparse(path)
    load("mnist", download=True)
    assert path.stat().st_size == (published[0] / path.name).stat().st_size


def test_cache_that_cannot_be_written_is_one_sentence(nowhere, published):
    nowhere.parent.mkdir(parents=True)
    nowhere.write_text("a file where the folder should be")
    assert "cannot download" in sentence(load, "mnist", download=True)


def test_publishers_are_whole():
    for where in module.ORIGINS.values():
        assert where.url.startswith("http") and where.url.endswith("/")
        for checksum in where.downloads.values():
            kind, digits = checksum.split(":")
            assert len(bytes.fromhex(digits)) == {"sha256": 32, "md5": 16}[kind]


# ---------------------------------------------------------------- the real one


def complete(name, root):
    return module.ORIGINS[name].complete(module.ORIGINS[name].folders_in(root))


@pytest.fixture(scope="module")
def real():
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("NOBACKPROP_DATA") or shared)
    if complete("mnist", root) is None:
        pytest.skip(f"no MNIST in {root}: set NOBACKPROP_DATA to a folder that has it")
    return root


@pytest.mark.slow
@pytest.mark.data
def test_mnist_itself(real):
    data = load("mnist", data_dir=real)
    assert repr(data) == "Dataset('mnist', 55000 + 5000 + 10000 inputs of shape (28, 28, 1), 10 classes)"
    assert data.shape == DATASETS["mnist"].shape
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    official = np.array([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    held_out = np.bincount(data.y_validation)
    assert np.array_equal(np.bincount(data.y_train) + held_out, official)
    assert np.abs(held_out - official / 12).max() < 1
    assert data.x_train.mean(dtype=float) == pytest.approx(0, abs=1e-5)
    assert data.x_train.std(dtype=float) == pytest.approx(1, abs=1e-5)
    assert -0.43 < data.x_train.min() < -0.42 and 2.81 < data.x_train.max() < 2.83  # (0 - 33.3) / 78.6
    assert not {row.tobytes() for row in data.x_train} & {row.tobytes() for row in data.x_validation}


@pytest.mark.slow
@pytest.mark.data
def test_mnist_is_not_fashion(real):
    found = complete("mnist", real)
    assert "are mnist, expected fashion-mnist" in sentence(load, "fashion-mnist", data_dir=found[0].parent)


@pytest.mark.data
def test_mnist_packed_and_unpacked_are_the_same(real, tmp_path):
    path = complete("mnist", real)[2]
    images = read_idx(path)
    assert images.shape == (10000, 28, 28)
    # of the unpacked file, as published
    write_idx(tmp_path / "plain", images)
    digest = sha256((tmp_path / "plain").read_bytes()).hexdigest()
    assert digest == "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
