"""Files are written wholly or not at all, and read no further than they are expected to go."""
from __future__ import annotations

import io
import os
import socket
import stat
import struct
import threading
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_data import memory_below, sentence, sparse

from nobackprop import figures, files, saving, tree
from nobackprop.data import idx
from nobackprop.errors import InputError
from nobackprop.experiments import results
from nobackprop.files import atomic


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("before", [{}, {"a.txt": "old"}])
def test_a_file_appears_at_the_end(tmp_path, before):
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    with atomic(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        assert partial.parent == tmp_path and partial.suffix == ".txt"
        assert {name: text for name, text in contents(tmp_path).items() if name != partial.name} == before
    assert contents(tmp_path) == {"a.txt": "new"}


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_midway_leaves_what_was_there(tmp_path, stop):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(stop), atomic(path) as partial:
        partial.write_text("ne")
        raise stop
    assert contents(tmp_path) == {"a.txt": "old"}


def test_an_exception_midway_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(RuntimeError), atomic(str(tmp_path / "a")) as partial:
        partial.unlink()
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_take_its_name_is_removed(tmp_path):
    (tmp_path / "a" / "full").mkdir(parents=True)
    with pytest.raises(InputError, match="there is a folder of that name"), atomic(tmp_path / "a") as partial:
        partial.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="pipes, sockets and permissions of POSIX")
class TestWhatIsThere:
    """Everything that writes goes through `atomic`; what it does to links, pipes and read-only files is shown here."""

    WRITERS = {
        "atomic": lambda path: TestWhatIsThere.plain(path),
        "tree": lambda path: tree.save(path, [np.ones(3)]),
        "file": lambda path: saving.write(path, "model", {}, {"a": np.ones(3)}),
        "results": lambda path: results.write(path, {}),
        "idx": lambda path: idx.write_idx(path, np.zeros(3, np.uint8)),
        "figure": lambda path: figures.write(figures.Figure(), path),
    }

    @staticmethod
    def plain(path):
        with atomic(path) as partial:
            partial.write_text("new")

    @pytest.mark.parametrize("writer", WRITERS)
    def test_a_pipe_stays_one(self, tmp_path, writer):
        path = tmp_path / "a.png"
        os.mkfifo(path)
        said = sentence(self.WRITERS[writer], path)
        assert said == f"cannot write {path}: there is a pipe of that name, expected a regular file or a new name"
        assert stat.S_ISFIFO(path.stat().st_mode) and len(list(tmp_path.iterdir())) == 1

    def test_a_socket_stays_one(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("a")
            assert "there is a socket of that name" in sentence(self.plain, "a")
        assert stat.S_ISSOCK(Path("a").stat().st_mode)

    @pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK])
    def test_a_device_is_refused(self, tmp_path, monkeypatch, kind):
        """Not a device of the machine's: the file only says that it is one."""
        path, true = tmp_path / "a", Path.stat
        path.write_text("old")

        def said(self, **options):
            found = list(true(self, **options))
            found[0] = kind | 0o666
            return os.stat_result(found)
        monkeypatch.setattr(Path, "stat", said)
        assert "there is a device of that name" in sentence(self.plain, path)
        assert path.read_text() == "old"

    def test_what_came_during_the_block_is_not_replaced(self, tmp_path):
        path = tmp_path / "a"
        with pytest.raises(InputError, match="there is a pipe"), atomic(path):
            os.mkfifo(path)
        assert stat.S_ISFIFO(path.stat().st_mode) and len(list(tmp_path.iterdir())) == 1

    @pytest.mark.parametrize("writer", WRITERS)
    @pytest.mark.parametrize("there", [True, False])
    @pytest.mark.parametrize("links", [1, 2])
    def test_a_link_is_followed(self, tmp_path, writer, there, links):
        """The new file is next to the target all the time, as a rename needs it to be on the same disk."""
        (tmp_path / "away").mkdir()
        target = tmp_path / "away" / "target.png"
        if there:
            target.write_text("old")
        names = [tmp_path / f"{i}.png" for i in range(links)]
        for name, to in zip(names, [*names[1:], Path("away") / "target.png"], strict=True):
            name.symlink_to(to)
        self.WRITERS[writer](names[0])
        assert all(name.is_symlink() for name in names) and not target.is_symlink()
        assert target.stat().st_size > 0 and target.read_bytes() != b"old"
        assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
            ["away", "target.png", *(name.name for name in names)])

    def test_a_link_to_itself_is_one_sentence(self, tmp_path):
        (tmp_path / "a").symlink_to("a")
        with pytest.raises(InputError, match="cannot write .*symbolic links"), files.writing(tmp_path / "a"):
            pass
        assert (tmp_path / "a").is_symlink()

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
    def test_a_file_keeps_its_permissions(self, tmp_path, mode):
        path = tmp_path / "a"
        path.write_text("old")
        path.chmod(mode)
        self.plain(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_text() == "new"

    def test_a_read_only_file_is_written_by_root_alone(self, tmp_path):
        path = tmp_path / "a"
        path.write_text("old")
        path.chmod(0o400)
        if os.access(path, os.W_OK):  # of root
            self.plain(path)
            assert path.read_text() == "new"
        else:
            assert "the file is read-only" in sentence(self.plain, path)
            assert path.read_text() == "old"
        assert stat.S_IMODE(path.stat().st_mode) == 0o400

    def test_a_file_that_may_not_be_written_is_refused(self, tmp_path, monkeypatch):
        """As a user who is not root sees it."""
        path = tmp_path / "a"
        path.write_text("old")
        monkeypatch.setattr(os, "access", lambda *args, **options: False)
        assert sentence(self.plain, path) == (f"cannot write {path}: the file is read-only, expected one that can be "
                                              "written to")
        assert contents(tmp_path) == {"a": "old"}


def test_two_writers_at_once_do_not_mix(tmp_path):
    with atomic(tmp_path / "a") as first, atomic(tmp_path / "a") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert contents(tmp_path) == {"a": "first"}


@pytest.mark.skipif(os.name != "posix", reason="the permissions of POSIX")
def test_a_file_can_be_read_by_others(tmp_path):
    with atomic(tmp_path / "a"):
        pass
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_a_tree_that_cannot_be_saved_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "tree.npz"
    tree.save(path, [np.ones(3)])

    def fail(file, **arrays):
        file.write(b"PK")
        raise OSError("the disk is full")
    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="the disk is full"):
        tree.save(path, [np.zeros(3)])
    assert [file.name for file in tmp_path.iterdir()] == ["tree.npz"]
    np.testing.assert_array_equal(tree.load(path)[0], np.ones(3))


# ---------------------------------------------------------------- reading


def test_contents_are_limited(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert files.contents(path, 5, "a text") == b"12345"
    assert sentence(files.contents, path, 4, "a text") == f"{path} has 5 bytes, expected a text of at most 4"
    assert f"cannot read {tmp_path / 'none'}: No such file or directory, expected a text" in sentence(
        files.contents, tmp_path / "none", 4, "a text")
    assert "cannot read" in sentence(files.contents, tmp_path, 4, "a text")


@pytest.mark.parametrize("path", [3, None, True, b"a", "", "a\0b", "\ud800", ["a"]], ids=repr)
def test_what_is_no_path_is_one_sentence(path):
    with pytest.raises(InputError) as told, files.writing(path):
        pass
    for call in (files.named, lambda path: files.contents(path, 4, "a text"), files.npz):
        assert sentence(call, path) == str(told.value) == f"got {path!r}, expected the name of a file or a folder"


def test_every_name_that_the_system_knows_is_a_path(tmp_path):
    for name in ("a b", "\udcff", "\u65e5\u672c", "~", "-", "\n", "."):
        assert files.named(tmp_path / name) == tmp_path / name == files.named(str(tmp_path / name))


def test_a_sparse_file_is_refused_unread(tmp_path):
    path = tmp_path / "a"
    sparse(path)
    with memory_below(2**20):
        assert f"has {2**36} bytes" in sentence(files.contents, path, 2**30, "a text")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
@pytest.mark.parametrize("size, limit", [(3 * 2**16, 3 * 2**16), (2**24, 2**17)])
def test_a_pipe_is_limited_too(tmp_path, size, limit):
    """It says that it has no bytes."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    refused = []

    def write():
        try:
            path.write_bytes(bytes(size))
        except BrokenPipeError:  # nobody reads any more
            refused.append(size)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        if size <= limit:
            assert files.contents(path, limit, "a text") == bytes(size)
        else:
            assert "expected a text of at most" in sentence(files.contents, path, limit, "a text")
    finally:
        thread.join()
    assert bool(refused) == (size > limit)


class Slow:
    """A stream that gives a few bytes at a time and counts them."""

    def __init__(self, content):
        self.stream, self.given = io.BytesIO(content), 0

    def read(self, size):
        piece = self.stream.read(min(size, 7))
        self.given += len(piece)
        return piece


@given(content=st.binary(max_size=100), size=st.integers(0, 120))
def test_numbers_are_the_next_bytes_and_no_more(content, size):
    stream = Slow(content)
    assert files.numbers(stream, size).tobytes() == content[:size]
    assert stream.given == min(size, len(content))


@given(content=st.binary(max_size=5000).flatmap(lambda raw: st.sampled_from([raw, raw * 50, raw + bytes(10**5)])),
       pieces=st.lists(st.integers(1, 10**5), min_size=1))
def test_what_zlib_has_packed_is_unpacked_piece_by_piece(content, pieces):
    packed = zlib.compress(content)
    file = io.BytesIO(packed + b"what comes next")
    stream = io.BufferedReader(files.Inflated(file, len(packed)))
    came = b"".join(stream.read(size) for size in pieces)
    assert came == content[:sum(pieces)]
    assert came + stream.read() == content and stream.read() == b""
    assert file.tell() <= len(packed)


def test_what_is_cut_short_or_damaged_is_told():
    packed = zlib.compress(bytes(1000))
    for size in range(len(packed)):
        with pytest.raises(EOFError):
            io.BufferedReader(files.Inflated(io.BytesIO(packed[:size]), len(packed))).read()
        with pytest.raises(EOFError):
            io.BufferedReader(files.Inflated(io.BytesIO(packed), size)).read()
    with pytest.raises(zlib.error):
        io.BufferedReader(files.Inflated(io.BytesIO(packed[:-1] + b"x"), len(packed))).read()


@pytest.mark.slow
def test_a_bomb_is_unpacked_as_far_as_it_is_read():
    packed = zlib.compress(bytes(2**26))
    with memory_below(2**20):
        assert io.BufferedReader(files.Inflated(io.BytesIO(packed), len(packed))).read(2**17) == bytes(2**17)


# ---------------------------------------------------------------- trees


def npy(shape, data=b"", kind="<f8"):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


def zipped(packing=zipfile.ZIP_STORED, **members):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return raw.getvalue()


LIST = npy("()", '{"list": [true]}'.encode("utf-32-le"), "<U16")


@pytest.mark.slow
@pytest.mark.parametrize("content, words", [
    (zipped(outline=LIST, **{"0": npy("(10,)", bytes(80))}), None),
    (zipped(zipfile.ZIP_DEFLATED, outline=LIST, **{"0": npy("(10,)", bytes(80))}), "packed arrays"),
    (zipped(outline=LIST, **{"0": npy("(10000000000,)", bytes(80))}), "80 bytes for float64 of shape (10000000000,)"),
    (zipped(outline=LIST, **{"0": npy("(2, 4)", bytes(80))}), "80 bytes for float64 of shape (2, 4)"),
    (zipped(outline=LIST, **{"0": npy("(-1, -10)", bytes(80))}), ""),
    (zipped(outline=LIST, **{"0": npy("(" * 5000 + ")" * 5000, bytes(80))}), ""),
    (zipped(outline=LIST, **{"0": npy("(" * 3000 + ")" * 3000, bytes(80))}), ""),
    (zipped(outline=LIST, **{"0": npy("(" + "1, " * 2000 + "10)", bytes(80))}), ""),
    (zipped(outline=LIST, **{"0": npy("()", bytes(80), "|O")}), ""),
    (zipped(outline=npy("()", ("[" * 9000).encode("utf-32-le"), "<U9000"), **{"0": npy("(10,)", bytes(80))}), ""),
    (zipped(outline=LIST, **{"0": b"\x93NUMPY\3\0" + npy("(10,)", bytes(80))[8:]}), "format (3, 0)"),
    (npy("(10000000000,)", bytes(80)), ""),
], ids=range(12))
def test_a_tree_that_claims_much_takes_no_memory(tmp_path, content, words):
    path = tmp_path / "tree.npz"
    path.write_bytes(content)
    if words is None:
        assert tree.load(path)[0].tolist() == [0.0] * 10
    else:
        with memory_below(2**22):
            said = sentence(tree.load, path)
        assert f"{path}: expected a tree saved by nobackprop, got: " in said and words in said


def test_a_tree_of_arrays_on_top_of_each_other_is_refused(tmp_path):
    """Many names for one array: the file is small, the tree would not be."""
    names = 50
    outline = ('{"list": [' + ", ".join(["true"] * names) + "]}")
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("outline.npy", npy("()", outline.encode("utf-32-le"), f"<U{len(outline)}"))
        archive.writestr("0.npy", npy("(1000,)", bytes(8000)))
        first = archive.getinfo("0.npy")
        for i in range(1, names):
            info = zipfile.ZipInfo(f"{i}.npy")
            info.header_offset, info.CRC = first.header_offset, first.CRC
            info.file_size = info.compress_size = first.file_size
            archive.filelist.append(info)
        archive._didModify = True
    (tmp_path / "a").write_bytes(raw.getvalue())
    assert "arrays that are larger than the file" in sentence(tree.load, tmp_path / "a")


def test_a_sparse_tree_of_64_gib_is_one_sentence(tmp_path):
    path = tmp_path / "tree.npz"
    tree.save(path, [np.ones(3)])
    sparse(path)
    with memory_below(2**20), pytest.raises(InputError):
        tree.load(path)
