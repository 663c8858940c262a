"""A results.json that is damaged in some places is drawn, or refused in one sentence; nothing else may come out."""
from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import exhibit_results

from nobackprop.errors import InputError
from nobackprop.experiments import papers, results
from nobackprop.experiments.papers import EXHIBITS

STORED = sorted((Path(__file__).resolve().parent.parent / "docs" / "results").glob("*.json"))


def shortened(found: dict[str, Any]) -> dict[str, Any]:
    """Two seeds of the first rules, two epochs of each."""
    rules = list(results.by_rule(found))[:3]
    runs = [run | {"history": run["history"][:2]} for run in found["runs"] if run["rule"] in rules and run["seed"] < 2]
    return found | {"runs": runs}


BASES = [shortened(json.loads(path.read_text(encoding="utf-8"))) for path in STORED] + list(map(exhibit_results, EXHIBITS))
TREE = [[[[[[[[]]]]]]]]
NASTY = [
    None, True, False, 0, 1, -1, 3, 0.5, -0.0, 2**70, -2**70, 10**400, 1e-320, 1e300, -1e300, 1e308, -1e308, float("nan"),
    float("inf"), float("-inf"), "", "x", "1", "_x", "$", "$$", "$x_$", r"\$", "\\", "{", "%", "\ud800", "\n", "\0", "\x1b[2J",
    "\u202e", "\u65e5\u672c", "\U0001f600", "e\u0301", "W" * 300, "a " * 200, " ", "bp", "asap:table-3.1", "al:table-5",
    "al:table-7", "al:figure-5", "1 component", [], [[]], [None], ["x"], [0, 1], [1e300, -1e300, 0], [0.5] * 50,
    [[0, 1]] * 4, TREE, {}, {"a": 1}, {"": {}},
]


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a tree of JSON, the whole left out."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, child in children for place in [(*at, key), *places(child, (*at, key))]]


def change(tree: Any, place: tuple[Any, ...], how: str, value: Any, key: str) -> None:
    """Replace, delete, repeat, exchange or add to what stands at a place, as far as it still is there."""
    *parents, last = place
    for step in parents:
        if isinstance(tree, dict) and step in tree or isinstance(tree, list) and isinstance(step, int) and step < len(tree):
            tree = tree[step]
        else:
            return
    if isinstance(tree, list) and (not isinstance(last, int) or last >= len(tree)):
        return
    if not isinstance(tree, dict | list) or isinstance(tree, dict) and last not in tree:
        return
    if how == "delete":
        del tree[last]
    elif how == "repeat" and isinstance(tree, list):
        tree.insert(last, copy.deepcopy(tree[last]))
    elif how == "empty" and isinstance(tree[last], dict | list):
        tree[last].clear()
    elif how == "add" and isinstance(tree[last], dict):
        tree[last][key] = value
    else:
        tree[last] = value


@st.composite
def damaged(draw: Any) -> dict[str, Any]:
    tree = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        shallow = [place for place in places(tree) if len(place) <= draw(st.sampled_from([2, 4, 9]))]
        change(tree, draw(st.sampled_from(shallow or places(tree) or [("config",)])),
               draw(st.sampled_from(["replace", "replace", "delete", "repeat", "empty", "add"])),
               draw(st.sampled_from(NASTY)), draw(st.sampled_from(["exhibit", "environment", "printed", "angles", "points"])))
    return tree


def shown_or_refused(tree: Any, path: Path, render: bool) -> bool:
    """Whether a results.json with this in it is drawn; refused is what raises InputError, in one line."""
    path.write_text(json.dumps(tree), encoding="utf-8")
    try:
        found = results.read(path)
        assert results.table(found)
        if "printed" in found["config"]:
            assert papers.compare(found)
        figure = papers.draw(found)
    except InputError as error:
        assert str(error) and "\n" not in str(error) and len(str(error)) < 1000
        return False
    if render:
        figure.savefig(io.BytesIO(), dpi=20)
    return True


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "results.json"


@given(tree=damaged(), render=st.sampled_from([False, False, False, True]))
def test_damaged_results_are_drawn_or_refused(path, tree, render):
    shown_or_refused(tree, path, render)
