"""docs/results.md: made of a template and the stored results, and nothing measured is typed in it."""
from __future__ import annotations

import json
import re

import pytest

from nobackprop.errors import InputError
from nobackprop.experiments import report
from nobackprop.experiments.papers import EXHIBITS
from nobackprop.experiments.shelf import STORED, Shelf


def test_the_page_is_what_the_results_say():
    page = (STORED.parent / "results.md").read_text(encoding="utf-8")
    assert page == report.markdown(), "docs/results.md is stale: say make claims"


def test_nothing_that_was_measured_is_typed():
    """Numbers of settings have few decimals; accuracies, losses and cosines have three or more, or a spread."""
    words = re.sub(r"```.*?```", "", report.TEMPLATE.read_text(encoding="utf-8"), flags=re.DOTALL)
    typed = re.findall(r"\d+\.\d{3,}", re.sub(r"\{[^}]*\}", "", words))
    assert set(typed) <= {"0.001", "0.003", "0.005", "0.0001", "0.0003", "0.125"}  # rates, and a width
    assert "±" not in re.sub(r"\{[^}]*\}", "", words)


@pytest.mark.parametrize("template, sentence", [
    ("{nothing[bp].test}", "unknown stored result 'nothing'"), ("{xor[nothing].test}", "unknown arm of xor 'nothing'")])
def test_a_field_that_is_not_there_is_one_sentence(template, sentence):
    with pytest.raises(InputError, match=sentence):
        report.markdown(template=template)


def test_every_exhibit_has_a_line():
    lines = report.Papers(Shelf()).table.splitlines()[2:]
    assert [re.findall("`(.*?)`", line)[0] for line in lines] == list(EXHIBITS)


def test_the_order_of_arms_by_hand(tmp_path):
    """Printed 94.93 > 92.19 > 88.46 > 61.45; found in the means bp > asfp > asap > asfp-lc, asfp with a wide spread."""
    accuracies = {"bp": (0.9, 0.9), "asap": (0.5, 0.52), "asfp": (0.4, 0.7), "asfp-lc": (0.3, 0.31)}
    runs = [{"rule": rule, "seed": seed, "seconds": 1.0, "test_accuracy": value, "history": [
        {"epoch": 1, "train_loss": 1.0, "validation_accuracy": 0.5, "alignment": [], "alignment_at_a": []}]}
        for rule, both in accuracies.items() for seed, value in enumerate(both)]
    printed = {arm.label: arm.printed for arm in EXHIBITS["asap:table-5.5"].arms}
    config = {"data": "cifar-10", "model": "m", "exhibit": "asap:table-5.5", "scale": "small", "printed": printed,
              "training_samples": 1234, "rules": list(printed)}
    (tmp_path / "a.json").write_text(json.dumps({"config": config, "runs": runs}))
    shelf = Shelf(tmp_path)
    assert printed == {"bp": 94.93, "asap": 92.19, "asfp": 61.45, "asfp-lc": 88.46}
    # asap < asfp by less than the spread of asfp: not contrary; asfp-lc < asfp by more
    assert report.order(shelf["a"]) == (4, 1, 6)
    line, = (line for line in report.Papers(shelf).table.splitlines() if "`asap:table-5.5`" in line)
    assert line.endswith("| [4 of 4 arms](results/a.json) | small | 1,234 | 1 | 2 | 4 of 6, 1 contrary |")
    del runs[2:]
    (tmp_path / "a.json").write_text(json.dumps({"config": config, "runs": runs}))
    assert report.order(Shelf(tmp_path)["a"]) == (0, 0, 0)


@pytest.mark.parametrize("accuracies, sentences", [
    ({}, ["DFA lies below the floor", "because what it teaches the convolutions is worse than nothing",
          "which is level with the floor", "are 0.010, 0.020, 0.030; those of LAS are 0.500, 0.500, 0.500",
          "Longer training may change this", "changes by -20.0 points",
          "which is above the dense B and below the floor"]),
    ({"dfa": 0.6}, ["DFA lies above the floor", "because it teaches the convolutions something", "only 0.4000",
                    "which is below the dense B and below the floor"]),
    ({"dfa": 0.4, "shallow": 0.4}, ["DFA lies level with the floor", "reaches 0.4000 ± 0.0000",
                                    "and what it teaches the convolutions matters little"]),
])
def test_the_sentence_on_dfa_follows_from_the_runs(accuracies, sentences, tmp_path):
    found = {"bp": 0.7, "shallow": 0.4, "las": 0.5, "dfa": 0.2, "dfa, kernel": 0.3, "dfa, dense blocks alone": 0.4}
    cosines = {"dfa": [0.01, 0.02, 0.03, 0.9, 1.0]}
    runs = [{"rule": rule, "seed": 0, "seconds": 1.0, "test_accuracy": value, "history": [
        {"epoch": epoch, "train_loss": 1.0, "validation_accuracy": 1 - epoch / 10,
         "alignment": cosines.get(rule, [0.5] * 5), "alignment_at_a": [None] * 5} for epoch in range(1, 7)]}
        for rule, value in (found | accuracies).items()]
    (tmp_path / "las-order.json").write_text(json.dumps({"config": {
        "data": "c", "model": "m", "exhibit": "las:order",
        "rule_settings": {"dfa": {"lr": 1e-3}, "las": {"lr": 1e-3}}}, "runs": runs}))
    text = report.markdown(Shelf(tmp_path), "{papers.why}").replace("\n", " ")
    assert "after 6 epochs" in text and "All rules have the rate 0.001, which was not searched." in text
    for sentence in sentences:
        assert sentence in text


def test_a_reason_that_depends_on_the_seed_is_said(tmp_path):
    """DFA is above its control with the first seed and below with the second, and the means differ less than those."""
    accuracies = {"shallow": (0.5, 0.5), "dfa": (0.4, 0.5), "dfa, kernel": (0.5, 0.5),
                  "dfa, dense blocks alone": (0.45, 0.45), "las": (0.6, 0.6)}
    runs = [{"rule": rule, "seed": seed, "seconds": 1.0, "test_accuracy": value, "history": [
        {"epoch": epoch, "train_loss": 1.0, "validation_accuracy": 0.5, "alignment": [0.5] * 5,
         "alignment_at_a": [None] * 5} for epoch in range(1, 4)]}
        for rule, both in accuracies.items() for seed, value in enumerate(both)]
    (tmp_path / "las-order.json").write_text(json.dumps({"config": {
        "data": "c", "model": "m", "exhibit": "las:order", "lr": 1e-3, "rule_settings": {}}, "runs": runs}))
    text = report.markdown(Shelf(tmp_path), "{papers.why}").replace("\n", " ")
    assert "what it teaches the convolutions helps with 1 of 2 seeds and harms with the others" in text
    assert "At the end it hardly changes any more" in text and "changes by +0.0 points" in text


def test_without_the_runs_the_page_says_how_to_make_them(tmp_path):
    assert "make papers-runs" in report.markdown(Shelf(tmp_path), "{papers.why}")


def test_two_files_of_one_exhibit_are_one_too_many(tmp_path):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes((STORED / "asap-table-5.5.json").read_bytes())
    with pytest.raises(InputError, match="asap:table-5.5 has 2 files of results, expected one"):
        report.markdown(Shelf(tmp_path), "{papers.table}")


@pytest.mark.parametrize("text, expected", [
    ("a " * 70, ("a " * 62).strip() + "\n" + ("a " * 8).strip()),
    ("- b\n  c\n- d", "- b c\n- d"),
    ("```\nx\n\ny  z\n```", "```\nx\n\ny  z\n```"),
    ("# h\n\np\nq", "# h\n\np q"),
    ("| t |\n| u |", "| t |\n| u |"),
])
def test_paragraphs_are_filled_and_nothing_else(text, expected):
    assert report.filled(text) == expected
