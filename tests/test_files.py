"""Files are written wholly or not at all."""
from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from nobackprop import tree
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
    with pytest.raises(OSError), atomic(tmp_path / "a") as partial:
        partial.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


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
