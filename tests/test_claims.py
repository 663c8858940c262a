"""The papers' claims: every verdict is what the stored numbers, theorems, measurements and printed tables say."""
from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop import cli
from nobackprop.errors import InputError
from nobackprop.experiments import claims
from nobackprop.experiments.claims import VERDICTS, Claim, Counted, Runs, Shown, Table, Theorem, al, asap, las
from nobackprop.experiments.papers import EXHIBITS
from nobackprop.experiments.shelf import STORED, Shelf
from nobackprop.optim import Momentum

PAPERS = {paper.PAPER: paper.CLAIMS for paper in (las, asap, al)}
ALL = [claim for found in PAPERS.values() for claim in found]
SHELF = Shelf()
every = pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.words[:60])


@every
def test_a_verdict_is_what_decides_it(claim):
    claim.check(SHELF)


@every
def test_no_other_verdict_would_be(claim):
    """But for what theorems decide: whether the condition of a theorem is one of the claim, a person must say."""
    if not any(isinstance(one, Shown) for one in claim.by):
        return
    proved = any(isinstance(one, Theorem) for one in claim.by)
    for verdict in VERDICTS:
        if verdict != claim.verdict and not (proved and "holds" in (claim.verdict, verdict)
                                             and "holds under a condition" in (claim.verdict, verdict)):
            with pytest.raises(InputError, match="has the verdict"):
                replace(claim, verdict=verdict, note="a note", exhibit=claim.exhibit or "las:table-1-cifar-10"
                        if verdict != "not tested at this scale" else "").check(SHELF)


def test_there_are_enough_of_every_kind():
    assert len(ALL) >= 60 and min(map(len, PAPERS.values())) >= 15
    assert {claim.verdict for claim in ALL} == set(VERDICTS)
    assert len({(claim.words, claim.place) for claim in ALL}) == len(ALL)
    assert {type(one).__name__ for claim in ALL for one in claim.by} == {"Theorem", "Runs", "Table", "Reads", "Counted"}


@every
def test_every_number_is_read(claim):
    """A decimal number stands in braces, or in the words of the paper."""
    for one in claim.by:
        if isinstance(one, Runs | Counted):
            typed = re.findall(r"\d*\.\d+", re.sub(r"\{[^}]*\}", "", one.says).replace("(6.1)", ""))
            assert not typed, one.says
        if not isinstance(one, Theorem):
            text = one.text(SHELF)
            assert "{" not in text and "nan" not in text


@every
def test_every_command_is_one(claim, capsys):
    assert claim.commands(SHELF)
    for command in claim.commands(SHELF):
        words = command.partition("#")[0].split()
        if words[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(words[2]) is not None and len(words) == 3
            continue
        assert words[0] == "nobackprop"
        if words[1] in ("theorems", "papers") and "run" not in words:
            name = re.search(r'"(.*)"', command)
            argv = words[1:3] + [name[1]] if name else words[1:]
            assert cli.main(argv) == 0, command
            capsys.readouterr()
        elif words[1] == "papers":
            assert words[3] in EXHIBITS


@pytest.mark.parametrize("rate", [3e-2, 1.0])
def test_what_is_left_of_w_minus_b_is_what_the_optimiser_leaves(rate):
    steps, tree, no_gradient = 300, {"W": np.array([1.0])}, {"W": np.zeros(1)}
    optimiser = Momentum(tree, rate, weight_decay=5e-4)
    for t in range(steps):
        optimiser.lr = rate * (1 + np.cos(np.pi * t / steps)) / 2
        optimiser(no_gradient)
    assert_close(asap._left_after(steps, rate), abs(float(tree["W"][0])), of=1.0)


UNDECIDED = [claim for claim in ALL if claim.verdict == "not tested at this scale" and claim.by]


@pytest.mark.parametrize("file", sorted({one.source for claim in ALL if claim not in UNDECIDED
                                         for one in claim.by if isinstance(one, Runs)}))
def test_a_stored_number_that_contradicts_a_verdict_is_a_failure(file, tmp_path):
    """With accuracies, cosines, losses and distances turned round, some verdict on the file no longer fits."""
    for path in STORED.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    found = json.loads((tmp_path / f"{file}.json").read_text())
    for run in found["runs"]:
        run["test_accuracy"] = 1 - run["test_accuracy"]
        for record in run["history"]:
            for key in ("alignment", "alignment_at_a"):
                record[key] = [None if value is None else -value for value in record[key]]
            if "associated" in record:
                record["associated"].reverse()
            if "inter" in record:
                record |= {"inter": record["intra"], "intra": record["inter"]}
    (tmp_path / f"{file}.json").write_text(json.dumps(found))
    other, failed = Shelf(tmp_path), 0
    for claim in ALL:
        if any(isinstance(one, Runs) and one.source == file for one in claim.by):
            try:
                claim.check(other)
            except InputError as error:
                assert "has the verdict" in str(error)
                failed += 1
    assert failed


@pytest.mark.parametrize("claim", UNDECIDED, ids=lambda claim: claim.words[:60])
def test_small_runs_that_decide_do_not_leave_a_claim_untested(claim, tmp_path):
    """If one arm were the best with every seed, whichever it is, the claim would have another verdict."""
    for path in STORED.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    one, = claim.by
    found = json.loads((STORED / f"{one.source}.json").read_text())
    for best in found["config"]["rules"]:
        for run in found["runs"]:
            run["test_accuracy"] = 0.9 if run["rule"] == best else 0.1 if run["seed"] else 0.2
        (tmp_path / f"{one.source}.json").write_text(json.dumps(found))
        with pytest.raises(InputError, match="has the verdict"):
            claim.check(Shelf(tmp_path))


def test_printed_numbers_that_contradict_a_verdict_are_a_failure(monkeypatch):
    exhibit = EXHIBITS["las:table-2-mnist"]
    arms = tuple(replace(arm, printed=90.0) if arm.label == "shallow" else arm for arm in exhibit.arms)
    monkeypatch.setitem(EXHIBITS, "las:table-2-mnist", replace(exhibit, arms=arms))
    claim, = (claim for claim in las.CLAIMS if claim.words == "on all tasks LAS and LTAS are far above shallow")
    with pytest.raises(InputError, match=r"'does not hold', and what decides it says \[True\]"):
        claim.check(SHELF)


def test_a_claim_is_no_longer_untested_if_its_exhibit_has_results(tmp_path):
    claim = next(claim for claim in ALL if claim.verdict == "not tested at this scale" and not claim.by)
    found = json.loads((STORED / "al-table-2.json").read_text())
    found["config"]["exhibit"] = claim.exhibit
    (tmp_path / "new.json").write_text(json.dumps(found))
    with pytest.raises(InputError, match=claim.exhibit):
        claim.check(Shelf(tmp_path))
    claim.check(Shelf(Path("nowhere")))


def test_the_page_is_what_the_claims_say():
    page = (STORED.parent / "claims.md").read_text(encoding="utf-8")
    assert page == claims.markdown(), "docs/claims.md is stale: say make claims"
    assert all(f"{claim.words[1:]}\n" in page and claim.place in page for claim in ALL)


# ---------------------------------------------------------------- the shelf


@pytest.mark.parametrize("text, sentence", [
    ("{xorr[bp].test}", "unknown stored result 'xorr': did you mean 'xor'"),
    ("{xor[bpp].test}", "unknown arm of xor 'bpp': did you mean 'bp'"),
    ("{printed[las:table-2-mnist | lass]}", "unknown printed number of las:table-2-mnist 'lass': did you mean 'las'"),
])
def test_what_is_not_there_is_one_sentence(text, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        text.format_map(SHELF)


def test_numbers_of_a_file_by_hand(tmp_path):
    def run(rule, seed, accuracy, *cosines):
        history = [{"epoch": epoch + 1, "train_loss": 2.0 - epoch, "validation_accuracy": 0.5,
                    "alignment": [cosine, None], "alignment_at_a": [None, cosine / 2]}
                   for epoch, cosine in enumerate(cosines)]
        return {"rule": rule, "seed": seed, "parameters": 7, "seconds": 1.0, "test_accuracy": accuracy,
                "history": history}

    runs = [run("a", 0, 0.5, 0.1, 0.2), run("a", 1, 0.7, 0.3, 0.4), run("b", 0, 0.6, 0, 0), run("b", 1, None, 0)]
    config = {"data": "xor", "model": "mlp:4,4", "rules": ["a", "b"], "epochs": 2, "seeds": [0, 1]}
    (tmp_path / "some-5.2.json").write_text(json.dumps({"config": config, "runs": runs}))
    shelf = Shelf(tmp_path)
    assert list(shelf) == ["some_5_2"]
    a, b = shelf["some_5_2"]["a"], shelf["some_5_2"]["b"]
    assert (a.test, a.seeds, a.epochs, a.loss, a.parameters) == (0.6, 2, 2, 1.0, 7) and b.each == [0.6]
    assert a.spread == pytest.approx(0.2 / 2**0.5) and b.spread == 0
    assert a.cosine == [pytest.approx(0.3), pytest.approx(0.15)] and a.first_cosine == [0.2, 0.1]
    assert not a.above(b) and a.near(b)
    text = "{some_5_2[a].points:.1f} {some_5_2[a].both} {some_5_2[a - b].points:.1f} {some_5_2[a].cosine[0]:.2f}"
    assert text.format_map(shelf) == "60.0 0.6000 ± 0.1414 0.0 0.30"
    assert shelf["some_5_2"].command == ("nobackprop compare --data xor --model mlp:4,4 --rules a,b --epochs 2 --seeds "
                                         "0,1")


@pytest.mark.parametrize(("config", "end"), [
    ({"lr": 0.5, "batch_size": 8}, " --lr 0.5 --batch-size 8"),
    ({"lr": 0.5, "rule_settings": {"b": {"lr": 1.0}}}, "  # rates differ by rule: see the file"),
    ({"lr": 0.5, "rule_settings": {"b": {"activation": "elu"}}}, " --lr 0.5"),
    ({"exhibit": "las:table-2-mnist", "scale": "full", "rules": ["bp", "las"], "seeds": [0]},
     'papers run las:table-2-mnist --scale full --only "bp;las" --seeds 0'),
    ({"exhibit": "las:table-2-mnist", "scale": "full", "rules": ["bp", "shallow", "dfa", "las", "ltas"],
      "seeds": [0, 1, 2]},
     "papers run las:table-2-mnist --scale full"),
])
def test_a_command_runs_a_file_again(config, end):
    file = SHELF["xor"].__class__("some", {"runs": [], "config": {
        "data": "xor", "model": "mlp:4", "rules": ["a", "b"], "epochs": 2, "seeds": [0, 1], **config}})
    assert file.command.endswith(end) and file.command.count("--seeds") == ("full" not in config.values() or "0" in end)


def test_above_is_by_more_than_the_larger_spread():
    def arm(*accuracies):
        return SHELF["xor"]["bp"].__class__(tuple({"test_accuracy": value} for value in accuracies))

    low, high = arm(0.5, 0.6), arm(0.61, 0.63)
    assert not high.above(low) and not low.above(high)     # 0.07 apart, and the spread of one is 0.0707
    assert arm(0.63, 0.63).above(low)


def test_a_table_names_an_exhibit():
    assert all(one.source in EXHIBITS for claim in ALL for one in claim.by if isinstance(one, Table))
    with pytest.raises(InputError, match="there are 0 statements"):
        Claim("a", "b", "holds", (Theorem("las", "Theorem S99"),)).by[0].text(SHELF)
