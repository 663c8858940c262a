"""Trees: walks, errors that name the path, and the file that holds one."""
from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict, namedtuple
from pathlib import Path

import fakecupy
import numpy as np
import pytest
from hypothesis import given
from strategies import trees

from nobackprop.errors import InputError
from nobackprop.tree import leaves, load, nodes, same_shapes, same_structure, save, tree_map

SMALL = {"W": np.ones(2), "below": [(np.zeros(3), None), {"b": np.ones(1)}, [], None]}


def same(a, b) -> bool:
    """Equal in structure, kinds of node, dtypes, shapes and bytes."""
    if isinstance(a, np.ndarray):
        return (isinstance(b, np.ndarray) and (a.dtype, a.shape) == (b.dtype, b.shape)
                and a.tobytes() == b.tobytes())
    if type(a) is not type(b) or a is None:
        return type(a) is type(b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return len(a) == len(b) and all(map(same, a, b))


# Walks


@given(trees)
def test_a_map_keeps_the_structure_and_visits_each_leaf_once(tree):
    seen = []

    def visit(array):
        seen.append(id(array))
        return array
    assert same(tree_map(visit, tree), tree)
    assert seen == [id(array) for _, array in leaves(tree)]


@given(trees)
def test_paths_lead_to_their_leaves(tree):
    for path, array in leaves(tree):
        at = tree
        for key in path.split("/") if path else []:
            at = at[key] if isinstance(at, dict) else at[int(key)]
        assert at is array


@given(trees)
def test_the_nodes_are_all_that_stands_in_a_tree(tree):
    found = list(nodes(tree))
    assert all(parent[key] is child for parent, key, child in found)
    assert [id(child) for _, _, child in found if isinstance(child, np.ndarray)] == [
        id(array) for path, array in leaves(tree) if path]
    parents = {id(parent) for parent, _, _ in found}
    assert parents <= {id(tree), *(id(child) for _, _, child in found)}


def test_paths_are_those_that_a_reader_would_write():
    assert [path for path, _ in leaves(SMALL)] == ["W", "below/0/0", "below/1/b"]
    assert [path for path, _ in leaves(np.ones(1))] == [""]
    assert list(leaves(None)) == []


def test_a_map_takes_the_leaves_at_one_place_together():
    came = tree_map(lambda a, b, c: a + b * c, SMALL, SMALL, tree_map(lambda a: 10 * a + 1, SMALL))
    np.testing.assert_array_equal(came["W"], [12, 12])
    assert came["below"][0][1] is None and came["below"][2:] == [[], None]


@given(trees)
def test_a_tree_has_its_own_structure(tree):
    same_structure(tree, tree_map(np.copy, tree))


@pytest.mark.parametrize("a, b, sentence", [
    ([np.ones(1)], [None], "trees differ at 0: ndarray against nothing"),
    ([None], [np.ones(1)], "trees differ at 0: nothing against ndarray"),
    ([np.ones(1)], [[np.ones(1)]], "trees differ at 0: ndarray against list"),
    ([[]], [None], "trees differ at 0: list against nothing"),
    ({"a": [np.ones(1)]}, {"a": [np.ones(1)] * 2}, r"trees differ at a: keys \[0\] against \[0, 1\]"),
    ([0, {"W": 1, "b": 2}], [0, {"W": 1}], r"trees differ at 1: keys \['W', 'b'\] against \['W'\]"),
    ({"a": {"b": [1, (2, 3)]}}, {"a": {"b": [1, (2, None)]}}, "trees differ at a/b/1/1: int against nothing"),
    (np.ones(1), None, "trees differ at the root: ndarray against nothing"),
    ([1, (2,)], [1, [2]], "trees differ at 1: tuple against list"),
    ({0: 1}, [1], "trees differ at the root: dict against list"),
])
def test_where_trees_differ_is_said(a, b, sentence):
    with pytest.raises(ValueError, match=sentence):
        same_structure(a, b)
    with pytest.raises(ValueError, match=sentence):
        tree_map(lambda u, v: u, a, b)


@given(trees)
def test_a_tree_has_its_own_shapes(tree):
    same_shapes(tree, tree_map(np.copy, tree))


@pytest.mark.parametrize("a, b, sentence", [
    ([{"W": np.ones((2, 3))}], [{"W": np.ones((3, 2))}], r"trees differ at 0/W: shape \(2, 3\) against \(3, 2\)"),
    ([np.ones(2), np.ones(1)], [np.ones(2), np.ones(())], r"trees differ at 1: shape \(1,\) against \(\)"),
    (np.ones(1), np.ones(2), r"trees differ at the root: shape \(1,\) against \(2,\)"),
    ([3.0], [np.ones(2)], r"trees differ at 0: shape \(\) against \(2,\)"),
    ([None], [np.ones(2)], "trees differ at 0: nothing against ndarray"),
])
def test_where_shapes_differ_is_said(a, b, sentence):
    with pytest.raises(ValueError, match=sentence):
        same_shapes(a, b)


# The file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trees")


@given(tree=trees)
def test_what_was_saved_is_loaded(folder, tree):
    path = folder / "tree.npz"
    save(path, tree)
    assert same(load(path), tree)
    assert [file.name for file in folder.iterdir()] == ["tree.npz"]


@pytest.mark.parametrize("name", ["tree", "tree.npz", "tree.bin"])
def test_the_file_has_the_name_that_was_given(tmp_path, name):
    save(str(tmp_path / name), SMALL)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert same(load(str(tmp_path / name)), SMALL)


def test_a_tree_of_views_is_saved_as_the_arrays_they_show(tmp_path):
    base = np.arange(12.0).reshape(3, 4)
    save(tmp_path / "t", [base.T, base[:, ::2], base[::-1]])
    for came, view in zip(load(tmp_path / "t"), [base.T, base[:, ::2], base[::-1]], strict=True):
        np.testing.assert_array_equal(came, view)


@pytest.mark.parametrize("leaf", [3, -0.5, True, 1j, np.float32(0.1), np.arange(3)[1:2], np.arange(3, dtype=">i2")])
def test_numbers_are_saved_as_the_arrays_that_they_are(tmp_path, leaf):
    save(tmp_path / "t", {"leaf": leaf})
    came = load(tmp_path / "t")["leaf"]
    assert came.dtype == np.asarray(leaf).dtype and came.shape == np.shape(leaf) and (came == leaf).all()


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize("tree, sentence", [
    ({1: np.ones(1)}, "the keys of a saved tree are texts, got 1"),
    ({"1": np.ones(1), 1: np.ones(1)}, "the keys of a saved tree are texts, got 1"),
    ([{"a": {None: np.ones(1)}}], "the keys of a saved tree are texts, got None"),
    ({True: 1}, "the keys of a saved tree are texts, got True"),
    ({(1, 2): 1}, r"the keys of a saved tree are texts, got \(1, 2\)"),
    ({b"W": 1}, "the keys of a saved tree are texts, got b'W'"),
    (Point(np.ones(1), np.ones(1)), "made of dicts, lists and tuples, got Point"),
    ([OrderedDict(a=1)], "made of dicts, lists and tuples, got OrderedDict"),
    # which only pickle could write, and nothing could read again
    ([np.array([{}], dtype=object)], "NumPy arrays of numbers, got array.* at 0"),
    ([{"W": object()}], "NumPy arrays of numbers, got <object object.* at 0/W"),
    ([{1, 2}], "NumPy arrays of numbers, got {1, 2} at 0"),
    ("W", "NumPy arrays of numbers, got 'W' at the root"),
    ([10**50], "NumPy arrays of numbers, got an integer of 167 bits at 0"),
    ([np.ma.masked_array([1.0, 2.0], [False, True])], "NumPy arrays of numbers, got masked_array.* at 0"),
    ([fakecupy.ones(2)], "NumPy arrays of numbers, got .* at 0"),
])
def test_what_would_come_back_as_something_else_is_not_saved(tmp_path, tree, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        save(tmp_path / "t", tree)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_keys_whose_paths_collide_come_back_apart(tmp_path):
    tree = {"a/b": np.zeros(1), "a": {"b": np.ones(1)}, "": np.full(1, 2.0), "0": [np.full(1, 3.0)], "\ud800": None}
    save(tmp_path / "t", tree)
    assert same(load(tmp_path / "t"), tree)


def npz(**arrays):
    def write(path):
        with Path(path).open("wb") as file:
            np.savez(file, **arrays)
    return write


def cut(path):
    save(path, SMALL)
    path.write_bytes(path.read_bytes()[:-30])


def flipped(path):
    """One bit of an array's contents."""
    save(path, [np.zeros(1000)])
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(bytes(contents))


def npy(path):
    with Path(path).open("wb") as file:
        np.save(file, np.ones(3))


def foreign_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("hello.txt", "hello")


NOT_TREES = {
    "nothing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("W: 1, 2, 3"),
    "a pickle": lambda path: path.write_bytes(pickle.dumps([1, 2])),
    "an array": npy,
    "a foreign zip": foreign_zip,
    "the start of a zip": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)),
    "cut short": cut,
    "damaged": flipped,
    "another npz": npz(W=np.ones(3)),
    "another npz with a number for a name": npz(**{"0": np.ones(3), "1": np.ones(3)}),
    "a pickled npz": npz(outline=np.array([{}], dtype=object), **{"0": np.ones(1)}),
    "an outline that is no JSON": npz(outline=np.array("{"), **{"0": np.ones(1)}),
    "an outline of a number": npz(outline=np.array("5"), **{"0": np.ones(1)}),
    "an outline of an unknown kind": npz(outline=np.array('{"set": [true]}'), **{"0": np.ones(1)}),
    "an outline of two kinds": npz(outline=np.array('{"list": [], "tuple": []}')),
    "an outline with children of no kind": npz(outline=np.array('{"list": 5}')),
    "fewer arrays than the outline": npz(outline=np.array('{"list": [true, true]}'), **{"0": np.ones(1)}),
    "fewer arrays than a dict": npz(outline=np.array('{"dict": {"W": true}}')),
    "more arrays than the outline": npz(outline=np.array('{"list": []}'), **{"0": np.ones(1)}),
}


@pytest.mark.parametrize("what", NOT_TREES)
def test_what_is_no_tree_is_refused_in_a_sentence(tmp_path, what):
    path = tmp_path / "tree.npz"
    NOT_TREES[what](path)
    with pytest.raises(InputError) as caught:
        load(path)
    expected, _, came = str(caught.value).partition(", got: ")
    assert expected == f"{path}: expected a tree saved by nobackprop" and came and "\n" not in came
