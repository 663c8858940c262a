"""The map of the field is what the code says: every arrow has its test and its statement, and costs are counted."""
from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nobackprop import network
from nobackprop.experiments import papers, results
from nobackprop.models import mlp
from nobackprop.rules import RULES
from nobackprop.studies import field
from nobackprop.studies.field import Edge

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "field.md"


def without_times(page: str) -> str:
    """The page with two empty last columns in the table of costs."""
    return re.sub(r"^(\| `[^`]+` \| [\d.]+ \| [\d.]+ \| [\d.]+ \|) [\d.]+ \| [\d.]+ \|$", r"\1  |  |", page,
                  flags=re.MULTILINE)


@pytest.mark.slow
def test_the_page_is_what_the_code_says():
    assert without_times(PAGE.read_text(encoding="utf-8")) == field.markdown({}), "run make field"


def test_the_page_has_a_time_for_every_rule_and_1_for_backpropagation():
    found = {rule: (float(ms), float(ratio)) for rule, ms, ratio in re.findall(
        r"^\| `([^`]+)` \|.*\| (\d+\.\d\d) \| ([\d.]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    assert set(found) == set(RULES) and found["bp"][1] == 1.0
    # two medians over the same turns, which need not be equal
    assert all(ms > 0 and 0.3 < ratio * found["bp"][0] / ms < 3 for ms, ratio in found.values())


def test_the_times_are_medians_of_the_turns(monkeypatch):
    """Milliseconds, and ratios turn by turn: a turn in which all is slow changes the first alone."""
    seconds = np.ones((len(RULES), 3)) * [1e-3, 2e-3, 9e-3]
    seconds[list(RULES).index("ep")] *= [3, 7, 5]
    monkeypatch.setattr(field, "time_in_turns", lambda steps, rounds: seconds)
    monkeypatch.setattr(field, "stepper", lambda run: None)
    monkeypatch.setattr(field, "random_run", lambda *of: None)
    found = field.times()
    expected = dict.fromkeys(RULES, (2.0, 1.0)) | {"ep": (14.0, 5.0)}
    assert {rule: (round(ms, 9), round(ratio, 9)) for rule, (ms, ratio) in found.items()} == expected


@pytest.mark.parametrize("edge", field.edges(), ids=lambda edge: f"{edge.rule} is {edge.becomes}")
def test_every_arrow_has_a_test_and_a_statement(edge):
    file, _, name = edge.test.partition("::")
    assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
    if edge.theory:
        page, _, statement = edge.theory.partition(" ")
        text = (ROOT / "docs" / "theory" / f"{page}.md").read_text(encoding="utf-8")
        assert re.search(rf"\*\*{statement}\b", text), edge


def test_every_rule_without_a_backward_walk_is_in_the_table_of_substitutions():
    named = {name for _, names in field.SUBSTITUTIONS for name in names.split()}
    variants = {"asfp-lc", "bp", "shallow"}
    assert set(RULES) - variants <= named


def test_no_arrow_is_there_twice_and_rules_that_are_missing_have_none(monkeypatch):
    arrows = [(edge.rule, edge.becomes, edge.condition) for edge in field.edges()]
    assert len(arrows) == len(set(arrows))
    monkeypatch.setattr(field, "EDGES", (Edge("fa", "bp", "B = W", "x::y"), Edge("nobody", "bp", "never", "x::y")))
    assert [edge.rule for edge in field.edges()] == ["fa"] and "nobody" not in field.mermaid() + field.links()


@pytest.mark.parametrize("rule, forward, backward", [
    ("bp", 5, 5), ("shallow", 5, 2), ("spsa", 10, 0), ("foa", 10, 5),
    ("ff", 5 + 4 + 4, 4 + 4 + 1), ("pepita", 10, 5), ("activity", 5 + 16 * 4, 5), ("softhebb", 5 + 4, 5)])
def test_the_passes_of_a_step(rule, forward, backward):
    found = field.cost(rule)
    assert (found["forward"], found["backward"]) == (forward / 5, backward / 5)


def test_the_products_of_backpropagation():
    """One product on the way up and two on the way down, of which the first block's down is not asked for."""
    w = [64 * 128, 128 * 128, 128 * 128, 128 * 128, 128 * 10]
    assert field.cost("bp")["products"] == (3 * sum(w) - w[0]) / sum(w)
    # the random paths to the four hidden blocks, but no products down
    assert field.cost("dfa")["products"] == (2 * sum(w) + 4 * 1280) / sum(w)


def test_what_is_reached_is_the_mean_of_the_stored_runs():
    """The table of the page against those of the results page, which are made by another function."""
    shown = re.findall(r"^\| `([^`]+)` \| (0\.\d{3}) \| (0\.\d{3}) \| (0\.\d{3}) \|", PAGE.read_text(encoding="utf-8"),
                       re.MULTILINE)
    stored = [results.read(ROOT / "docs" / "results" / f"{name}.json") for name in field.STORED]
    tables = [dict(re.findall(r"^(\S+) +(\d\.\d{4}) \u00b1", results.table(one), re.MULTILINE)) for one in stored]
    assert all([rule for rule, *_ in shown] == one["config"]["rules"] for one in stored)
    for rule, *accuracies in shown:
        assert all(abs(float(found) - float(table[rule])) < 6e-4
                   for found, table in zip(accuracies, tables, strict=True))
    assert set(field.LACKS) <= set(tables[0])


def test_what_is_beside_print_is_what_the_command_says():
    """The table of MNIST against the text of `nobackprop papers`, and the rates against those of the exhibit."""
    page, stored = PAGE.read_text(encoding="utf-8"), results.read(ROOT / "docs" / "results" / "field-mnist.json")
    shown = re.findall(r"^\| `([^`]+)` \| (\S+) \| (\S+ \u00b1 \S+) \| (\S+) \|$", page, re.MULTILINE)
    told = [line.split(maxsplit=2) for line in papers.compare(stored).splitlines()[1:]]
    assert [list(row) for *row, _ in shown] == told
    assert {rule: float(lr) for rule, *_, lr in shown} == papers.field.RATES


def test_every_rule_is_above_093_on_digits_but_those_that_the_page_explains():
    digits = field.accuracies(results.read(ROOT / "docs" / "results" / "the-field.json")["runs"])
    below = [rule for rule, accuracy in digits.items() if accuracy <= 0.93]
    assert below == ["softhebb"] and "above 0.93 but `softhebb`: " in PAGE.read_text(encoding="utf-8")
    assert {"bp", "shallow", "dfa", "zil", "dp", "pc", "ff", "pepita", "activity", "ep"} <= set(digits)


def test_counting_changes_nothing():
    net, calls, rng = mlp((4,), 3, (5, 5)), Counter(), np.random.default_rng(0)
    seen = network.Network(tuple(field.counted(block, calls) for block in net))
    params, _ = network.init(net, rng, (4,), "float64")
    x = rng.standard_normal((6, 4))
    np.testing.assert_array_equal(network.predict(seen, params, x), network.predict(net, params, x))
    assert calls == {"forward": 3} and all(isinstance(a, type(b)) for a, b in zip(seen, net, strict=True))
