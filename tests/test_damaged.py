"""A results.json that is damaged in some places is drawn, or refused in one sentence; nothing else may come out."""
from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
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


BASES = [*(shortened(json.loads(path.read_text(encoding="utf-8"))) for path in STORED),
         *map(exhibit_results, EXHIBITS)]
TREE: list[Any] = [[[[[[[[]]]]]]]]
NASTY: list[Any] = [
    None, True, False, 0, 1, -1, 3, 0.5, -0.0, 2**70, -2**70, 10**400, 1e-320, 1e300, -1e300, 1e308, -1e308,
    float("nan"), float("inf"), float("-inf"), "", "x", "1", "_x", "$", "$$", "$x_$", r"\$", "\\", "{", "%", "\ud800",
    "\n", "\0", "\x1b[2J", "\u202e", "\u65e5\u672c", "\U0001f600", "e\u0301", "W" * 300, "a " * 200, " ", "bp",
    "asap:table-3.1", "al:table-5", "al:table-7", "al:figure-5", "1 component", [], [[]], [None], ["x"], [0, 1],
    [1e300, -1e300, 0], [0.5] * 50, [[0, 1]] * 4, TREE, {}, {"a": 1}, {"": {}},
]


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a tree of JSON, the whole left out."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, child in children for place in [(*at, key), *places(child, (*at, key))]]


def change(tree: Any, place: tuple[Any, ...], how: str, value: Any, key: str) -> None:
    """Replace, delete, repeat or empty what stands at a place, or put something new into it."""
    *parents, last = place
    for step in parents:
        tree = tree[step]
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
    """Stored results or made-up ones with one to three changes, as often near the root as deep down."""
    tree = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        deep = draw(st.sampled_from([2, 4, 9]))
        if near := [place for place in places(tree) if len(place) <= deep]:
            change(tree, draw(st.sampled_from(near)),
                   draw(st.sampled_from(["replace", "replace", "delete", "repeat", "empty", "add"])),
                   copy.deepcopy(draw(st.sampled_from(NASTY))),
                   draw(st.sampled_from(["exhibit", "environment", "printed", "angles", "points"])))
    return tree


def shown_or_refused(tree: Any, path: Path, render: bool) -> bool:
    """Whether a results.json that holds this is drawn; if not, it was refused by an InputError of one line."""
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
        figure.set_dpi(20)
        FigureCanvasAgg(figure).draw()
    return True


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "results.json"


@pytest.mark.slow
@given(tree=damaged(), render=st.sampled_from([False, False, False, True]))
def test_damaged_results_are_drawn_or_refused(path, tree, render):
    shown_or_refused(tree, path, render)


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES, ids=[*(file.stem for file in STORED), *EXHIBITS])
def test_undamaged_results_are_drawn(path, base):
    assert shown_or_refused(base, path, render=False)  # tests/test_plots.py renders these


class Watched(dict[str, Any]):
    """An object of a results.json that notes which of its keys are asked for, by their places."""

    def __init__(self, of: dict[str, Any], at: str, read: set[str]):
        super().__init__({key: watched(child, f"{at}.{key}", read) for key, child in of.items()})
        self.at, self.noted = at, read

    def __getitem__(self, key: str) -> Any:
        self.noted.add(f"{self.at}.{key}")
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.noted.add(f"{self.at}.{key}")
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.noted.add(f"{self.at}.{key}")
        return super().__contains__(key)


def watched(node: Any, at: str, read: set[str]) -> Any:
    if isinstance(node, list):
        return [watched(child, f"{at}[]", read) for child in node]
    return Watched(node, at, read) if isinstance(node, dict) else node


def keys(form: Any, at: str = "") -> set[str]:
    """The places of all keys that a form names."""
    if isinstance(form, results.Maybe):
        return keys(form.form, at)
    if isinstance(form, list):
        return keys(form[0], f"{at}[]")
    if isinstance(form, dict):
        return {f"{at}.{key}" for key in form}.union(*(keys(child, f"{at}.{key}") for key, child in form.items()))
    return set()


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES, ids=[*(file.stem for file in STORED), *EXHIBITS])
def test_all_that_a_figure_or_a_table_reads_is_checked(base):
    read: set[str] = set()
    tree = watched(copy.deepcopy(base), "", read)
    papers.draw(tree)
    results.table(tree)
    exhibit = EXHIBITS.get(base["config"].get("exhibit", ""))
    known = keys(results.FORM)
    if exhibit is not None:
        papers.compare(tree)
        known |= keys(exhibit.form, ".runs[].history[]")
        known |= {f".config.printed.{arm.label}" for arm in exhibit.arms}  # `compare` checks these
    assert {".config.model", ".runs[].seed", ".runs[].history[].train_loss"} <= read | {".config.model"}
    assert read <= known, read - known


@pytest.mark.slow
@pytest.mark.parametrize("key, value", [("lr", -1), ("rules", -1), ("seeds", "x"), ("epochs", None), ("threads", [])])
def test_what_nobody_reads_may_be_anything(path, key, value):
    """Settings of another version among them: files of it stay readable."""
    tree = base("al:table-2")
    tree["config"][key] = value
    assert shown_or_refused(tree, path, render=False)


def base(name: str = "al:table-5") -> Any:
    return copy.deepcopy(exhibit_results(name))


HISTORY = ("runs", 0, "history", 1)
# where a traceback came from, or a wrong figure
REFUSED = {
    "an exhibit that is a list": ("al:table-5", ("config", "exhibit"), [],
                                  "'config.exhibit' is [], expected a text"),
    "an environment that is no object": ("al:table-2", ("environment",), [1, 2],
                                         "'environment' is a list of 2, expected an object"),
    "a data set that is no text": ("al:table-2", ("environment", "dataset"), 3,
                                   "'environment.dataset' is 3, expected a text"),
    "a lone surrogate": ("al:table-2", ("config", "model"), "\ud800",
                         "'config.model' is \"\\ud800\", expected a printable text"),
    "a line feed": ("asap:table-5.5", ("runs", 0, "rule"), "a\nb",
                    "'runs[0].rule' is \"a\\nb\", expected a printable text"),
    "a huge number": ("al:table-5", (*HISTORY, "associated", 0), 1e308,
                      "'runs[0].history[1].associated[0]' is 1e+308, expected a number or null from 0 to 1e+300"),
    "a huge loss": ("al:table-2", (*HISTORY, "train_loss"), -1e308,
                    "'runs[0].history[1].train_loss' is -1e+308, expected a number from -1e+300 to 1e+300"),
    "an accuracy above 1": ("al:table-2", (*HISTORY, "validation_accuracy"), 1.5,
                            "'runs[0].history[1].validation_accuracy' is 1.5, expected a number from 0 to 1"),
    "a cosine below -1": ("al:table-2", (*HISTORY, "alignment_at_a", 1), -2,
                          "'runs[0].history[1].alignment_at_a[1]' is -2, expected a number or null from -1 to 1"),
    "a scale that is a number": ("al:table-7", ("config", "scale"), 1, "'config.scale' is 1, expected a text"),
    "a text for a distance": ("al:table-7", (*HISTORY, "intra"), "1",
                              "'runs[0].history[1].intra' is \"1\", expected a number or null"),
    "two angles": ("asap:table-3.1", (*HISTORY, "angles"), [1, 2],
                   "'runs[0].history[1].angles' is a list of 2, expected a list of 3"),
    "an angle of 200 degrees": ("asap:table-3.1", (*HISTORY, "angles", 2), 200,
                                "'runs[0].history[1].angles[2]' is 200, expected a number or null from 0 to 180"),
}


@pytest.mark.parametrize("name, place, value, sentence", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(path, name, place, value, sentence):
    tree = base(name)
    change(tree, place, "replace", value, "")
    path.write_text(json.dumps(tree))
    with pytest.raises(InputError) as told:
        papers.draw(results.read(path))
    assert str(told.value).endswith(sentence)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["$", "$$", "a$b$c", r"\$\frac{$", "_x", "\u65e5\u672c", "\U0001f600", "W" * 2000, ""])
def test_every_printable_text_is_drawn(path, text):
    digits, = (file for file in STORED if file.stem == "digits")
    tree = shortened(json.loads(digits.read_text(encoding="utf-8")))
    tree["environment"]["dataset"] = "digits"
    for place in (("config", "data"), ("config", "model"), ("runs", 0, "rule"), ("environment", "dataset")):
        change(tree, place, "replace", text, "")
    assert shown_or_refused(tree, path, render=True)


def test_a_file_of_any_size_is_refused_before_it_fills_memory(path, monkeypatch):
    monkeypatch.setattr(results, "BYTES", 1000)
    path.write_bytes(b" " * 999 + b"1")
    with pytest.raises(InputError, match="what it holds is 1, expected an object"):
        results.read(path)
    path.write_bytes(b" " * 1000 + b"1")
    with pytest.raises(InputError, match="has 1001 bytes, expected a results.json of at most 1000"):
        results.read(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
def test_a_file_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(results, "BYTES", 10**6)
    with pytest.raises(InputError, match="^/dev/zero has 10.* bytes, expected a results.json of at most 1000000"):
        results.read("/dev/zero")


def test_what_was_written_can_be_read_however_large_its_numbers(path):
    tree = base("al:table-2")
    for run in tree["runs"]:
        run["history"][-1]["train_loss"] = 3.4e38
    results.write(path, tree)
    table = results.table(results.read(path))
    assert "3.400e+38" in table and max(map(len, table.splitlines())) < 120


def test_a_value_of_any_depth_is_told_in_few_words(path):
    deep = "[" * 900 + "]" * 900
    path.write_text(f'{{"config": {deep}, "runs": []}}')
    with pytest.raises(InputError) as told:
        results.read(path)
    assert str(told.value) == f"{path}: 'config' is a list of 1, expected an object"
