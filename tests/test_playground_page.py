"""What the playground's Python does, without a browser: every view, and the lines that reproduce a run."""
import contextlib
import io
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest

import nobackprop as nb
from nobackprop.studies.turning import Pair
from nobackprop.tree import leaves

PAGE = Path(__file__).parent.parent / "docs" / "playground" / "page.py"
POINTS = "".join(f"{label}{x:02d}{y:02d}" for label, x0, y0 in ((0, 10, 20), (3, 70, 60)) for x, y in (
    (x0, y0), (x0 + 5, y0), (x0, y0 + 5), (x0 + 9, y0 + 9), (x0 + 3, y0 + 7), (x0 + 8, y0 + 1)))
USUAL = {"rule": "las", "task": "spirals", "model": "mlp:6,6", "activation": "", "lr": "", "seed": "0", "points": ""}


@pytest.fixture
def page():
    """The functions that the worker calls."""
    found = {}
    exec(compile(PAGE.read_text(encoding="utf-8"), str(PAGE), "exec"), found)
    return found


def reproduced(text):
    """The run that the copied lines make."""
    found = {}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(text, found)
    assert said.getvalue() == f"{found['run'].history[-1]}\n"
    return found["run"]


@pytest.mark.slow
@pytest.mark.parametrize("changed", [
    {"task": "spirals"}, {"task": "circles", "rule": "kp", "seed": "7"},
    {"task": "quadrants", "lr": "0.02", "rule": "ff"},
    {"task": "digits", "rule": "dfa", "activation": "sigmoid"}, {"task": "points", "points": POINTS, "rule": "bp"},
    {"rule": "al", "model": "mlp:6,5,6"}, {"rule": "usf", "activation": "elu"}], ids=str)
def test_the_copied_lines_reproduce_a_run_to_the_bit(page, changed):
    page["start"]("a", json.dumps(USUAL | changed))
    for _ in range(3):
        page["epoch"]("a")
    again = reproduced(page["python"]("a"))
    assert json.loads(page["history"]("a")) == json.loads(json.dumps(again.history))
    assert json.loads(page["finish"]("a")) == again.test_accuracy()


@pytest.mark.slow
@pytest.mark.parametrize("rule", nb.rules.RULES)
def test_every_rule_can_be_looked_at(page, rule):
    start = json.loads(page["start"]("a", json.dumps(USUAL | {"rule": rule, "model": "mlp:6,5,6"})))
    page["epoch"]("a")
    view = json.loads(page["view"]("a"))
    assert len(view["answers"]) == len(view["sure"]) == view["grid"] ** 2
    assert set(view["answers"]) <= {0, 1, 2} and set(view["sure"]) <= set(range(256))
    assert len(start["points"]) == len(start["labels"]) and [p["block"] for p in start["view"]["pairs"]] == [
        p["block"] for p in view["pairs"]]
    for pair in view["pairs"]:
        for matrix in (pair["W"], pair["B"]):
            assert len(matrix["values"]) == matrix["rows"] * matrix["columns"]
            assert max(map(abs, matrix["values"])) <= 100


@pytest.mark.slow
def test_the_map_shows_what_the_network_answers(page):
    start = json.loads(page["start"]("a", json.dumps(USUAL | {"rule": "bp", "task": "circles", "lr": "0.03"})))
    for _ in range(12):
        page["epoch"]("a")
    view = json.loads(page["view"]("a"))
    answers = np.array(view["answers"]).reshape(view["grid"], view["grid"])
    hit = []
    for (x, y), label in zip(start["points"], start["labels"], strict=True):
        column, row = ((value / start["range"] + 1) / 2 * (view["grid"] - 1) for value in (x, -y))
        hit.append(answers[round(row), round(column)] == label)
    assert np.mean(hit) > 0.9  # the accuracy is about 1; a map that is turned or mirrored is still right for circles
    spirals = json.loads(page["start"]("b", json.dumps(USUAL | {"rule": "bp", "model": "mlp:32,32", "lr": "0.02"})))
    for _ in range(15):
        page["epoch"]("b")
    answers = np.array(json.loads(page["view"]("b"))["answers"]).reshape(view["grid"], view["grid"])
    hit = [answers[round((1 - y / spirals["range"]) / 2 * 55), round((1 + x / spirals["range"]) / 2 * 55)] == label
           for (x, y), label in zip(spirals["points"], spirals["labels"], strict=True)]
    assert np.mean(hit) > 0.9


def test_two_sides_do_not_touch_each_other(page):
    page["start"]("a", json.dumps(USUAL))
    page["start"]("b", json.dumps(USUAL | {"rule": "fa"}))
    for _ in range(2):
        page["epoch"]("a"), page["epoch"]("b")
    for side in "ab":
        assert json.loads(page["history"](side)) == json.loads(json.dumps(reproduced(page["python"](side)).history))


@pytest.mark.parametrize("changed, said", [
    ({"task": "points", "points": ""}, "at least 4 points of each of two classes"),
    ({"task": "points", "points": POINTS[:35]}, "at least 4 points of each of two classes"),
    ({"model": "mlp:0"}, "mlp:0"), ({"activation": "nothing"}, "unknown activation"),
    *(({"lr": text}, f"lr must be a positive number, got {text}") for text in ("-1.0", "0.0", "nan", "inf")),
    *(({"lr": text}, f"lr must be a positive number, got '{text}'") for text in ("0,1", "abc", "1_0", "0x10")),
    ({"lr": "1e400"}, "lr must be a positive number, got inf"),
    *(({"seed": text}, f"seed must be an integer, got '{text}'") for text in ("one", "1.5", "1_0", "")),
    ({"seed": "-1"}, "seed must be at least 0, got -1"), ({"task": "nothing"}, "unknown task 'nothing'"),
    ({"model": "mlp:1000000"}, "at most 12 hidden layers of at most 512 units, such as mlp:512"),
    ({"model": "mlp:" + ",".join(["8"] * 13)}, "at most 12 hidden layers"),
    ({"model": "mlp-bn:8,513"}, "such as mlp-bn:512"),
    ({"model": "conv3"}, r"unknown network 'conv3' \(known: mlp, mlp-bn\)"),
    ({"model": "vgg8b"}, r"\(known: mlp, mlp-bn\)"), ({"model": "nets.py:wide"}, r"\(known: mlp, mlp-bn\)")], ids=str)
def test_a_mistake_is_one_sentence(page, changed, said):
    with pytest.raises(nb.InputError, match=said):
        page["start"]("a", json.dumps(USUAL | changed))


# ---------------------------------------------------------------- what a link says


def understood(page, fragment):
    """What the page makes of a link, as `URLSearchParams` takes it apart."""
    found = json.loads(page["understood"](json.dumps(parse_qsl(fragment, keep_blank_values=True))))
    return found["state"], found["faults"]


def test_a_link_that_is_right_is_taken_as_it_is(page):
    text = f"rule=ep&rule2=bp&task=points&model=mlp:6&activation=tanh&lr=0.1&seed=12&epochs=7&points={POINTS}"
    state, faults = understood(page, text)
    assert (faults, state) == ([], dict(parse_qsl(text)))
    assert understood(page, "") == (page["USUAL"], [])
    assert understood(page, "rule2=&activation=&points=&lr=") == (page["USUAL"], [])


@pytest.mark.parametrize("fragment, key, said", [
    ("rule=nonsense", "rule", "unknown rule 'nonsense'"), ("rule2=Bp", "rule2", "did you mean 'bp'"),
    ("task=nonsense", "task", "unknown task"), ("activation=zzz", "activation", "unknown activation"),
    ("rule=", "rule", "''"),
    *((f"epochs={text}", "epochs", "epochs must be")
      for text in ("1e9", "2.5", "100000000", "-1", "abc", "9" * 5000)),
    *((f"points={text}", "points", "five figures each")
      for text in ("01684x1783019", "9168491783", "abc", "0168", "٠١٦٨٤"))],
    ids=lambda value: value[:30])
def test_what_a_link_says_wrongly_is_told_and_the_usual_value_stands(page, fragment, key, said):
    state, faults = understood(page, f"seed=3&{fragment}")
    assert state == page["USUAL"] | {"seed": "3"}
    assert len(faults) == 1 and faults[0].startswith(f"{key}=") and said in faults[0] and len(faults[0]) < 1500


def test_a_part_of_a_link_that_there_is_not_and_one_that_stands_twice_are_told(page):
    state, faults = understood(page, "rule=bp&learningrate=3&rule=fa")
    assert state == page["USUAL"] | {"rule": "fa"} and len(faults) == 2
    assert "unknown part of a link 'learningrate'" in faults[0] and "rule stands twice" in faults[1]


@pytest.mark.parametrize("key", ["model", "lr", "seed"])
def test_what_a_field_of_text_can_show_is_kept_for_the_check_of_the_run(page, key):
    state, faults = understood(page, f"{key}=0,1")
    assert state[key] == "0,1" and faults == []
    with pytest.raises(nb.InputError, match="0,1"):
        page["start"]("a", json.dumps(USUAL | {key: state[key]}))


# ---------------------------------------------------------------- what JSON does not have


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numbers grow beyond what there is
@pytest.mark.parametrize("rule, lr", [("las", "1e30"), ("las", "1e19"), ("fa", "1e30"), ("kp", "1e6"),
                                      ("bp", "1e20"), ("dfa", "1e19")])
def test_a_run_that_leaves_all_bounds_is_told_in_json_or_in_one_sentence(page, rule, lr):
    def refuse(text):
        raise AssertionError(f"{text} is not JSON")

    page["start"]("a", json.dumps(USUAL | {"rule": rule, "lr": lr}))
    for _ in range(4):
        try:
            json.loads(page["epoch"]("a"), parse_constant=refuse)
        except nb.InputError as error:
            assert f"rule {rule}, seed 0" in str(error)
            break
    view = json.loads(page["view"]("a"), parse_constant=refuse)
    json.loads(page["history"]("a"), parse_constant=refuse)
    for pair in view["pairs"]:
        assert pair["angle"] is None or 0 <= pair["angle"] <= 180
        assert all(max(map(abs, matrix["values"])) <= 100 for matrix in (pair["W"], pair["B"]))


def test_matrices_with_numbers_that_are_not_finite_are_still_drawn(page):
    W = np.array([[np.nan, np.inf], [-np.inf, 3.0]], "float32")
    assert page["degrees"](Pair(1, False, W, np.eye(2))) is None
    assert page["shown"](W)["values"] == [0, 100, -100, 0]
    text = page["told"]({"a": [float("nan"), np.inf, {"b": -np.inf}], "c": 1.5})
    assert json.loads(text) == {"a": [None, None, {"b": None}], "c": 1.5}


def test_widgets_tell_numbers_that_json_does_not_have_as_null(monkeypatch):
    found = {}
    exec(compile((PAGE.parent / "widgets.py").read_text(encoding="utf-8"), "widgets.py", "exec"), found)
    monkeypatch.setattr(found["illustrations"], "conserved", lambda eta: {"loss": [1.0, float("nan")]})
    assert json.loads(found["illustrate"]("conserved", '{"eta": 1}'))["loss"] == [1.0, None]


# ---------------------------------------------------------------- own points


def test_points_that_are_held_back_are_those_of_the_validation_part(page):
    start = json.loads(page["start"]("a", json.dumps(USUAL | {"task": "points", "points": POINTS})))
    run, (x, y, drawn) = page["runs"]["a"][0], page["points_of"](POINTS)
    assert start["drawn"] == drawn == [0, 3] and len(start["held"]) == len(run.data.y_validation) == 3
    raw = run.data.x_validation * run.data.scale + run.data.mean
    held = sorted((*np.round(place, 2).tolist(), label)
                  for place, label in zip(raw, run.data.y_validation, strict=True))
    assert held == sorted((*x[i], y[i]) for i in start["held"])


def test_classes_that_are_counted_anew_are_told_in_the_copied_lines(page):
    page["start"]("a", json.dumps(USUAL | {"task": "points", "points": POINTS}))
    assert "# classes 1, 4 of the page: Python counts from 0" in page["python"]("a")
    page["start"]("a", json.dumps(USUAL | {"task": "points", "points": re.sub("3(?=....(?:.{5})*$)", "1", POINTS)}))
    page["start"]("b", json.dumps(USUAL))
    for side in "ab":
        assert "# classes" not in page["python"](side)


# ---------------------------------------------------------------- how near the copied lines come


def moved(page, rule, epochs=10):
    """How far the losses of spirals move, as a share, if rounding moves each weight before the first step."""
    losses = []
    for size in (0.0, 1.2e-7):
        page["start"]("a", json.dumps(USUAL | {"rule": rule, "model": "mlp:32,32,32", "seed": "2"}))
        run, rng = page["runs"]["a"][0], np.random.default_rng(5)
        for _, array in leaves(run.params):
            array *= (1 + size * rng.choice([-1.0, 1.0], array.shape)).astype(array.dtype)
        losses.append([run.epoch()["train_loss"] for _ in range(epochs)])
    one, other = np.array(losses)
    return np.abs(one / other - 1).max()


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["usf", "bdfa", "ep", "bp", "fa", "las"])
def test_the_rules_that_amplify_rounding_are_named(page, rule):
    assert (moved(page, rule) > 1e-4) == (rule in page["AMPLIFY"]), rule
    assert ("not the same numbers" in page["same"](rule)) == (rule in page["AMPLIFY"])


@pytest.mark.slow
def test_equilibrium_propagation_learns_spirals_through_the_network_that_suits_it(page):
    start = json.loads(page["start"]("a", json.dumps(USUAL | {"rule": "ep", "model": ""})))
    assert start["settings"]["model"] == "mlp:64"
    for _ in range(25):
        page["epoch"]("a")
    assert json.loads(page["history"]("a"))[-1]["validation_accuracy"] > 0.85
    chosen = json.loads(page["start"]("a", json.dumps(USUAL | {"rule": "ep", "model": "mlp:7"})))
    assert chosen["settings"]["model"] == "mlp:7"  # what is asked for wins
