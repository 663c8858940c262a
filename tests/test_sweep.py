"""What a sweep tries, which setting it chooses, and that no run of it is lost or done twice."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nobackprop.errors import InputError
from nobackprop.experiments.sweep import choice, spec
from nobackprop.experiments.sweep.spec import Point, Range, parse

TOML = """
data = "xor"
rules = ["bp", "kp"]
model = "mlp:4"
lr = [0.1, 1e-2]
batch_size = [32, 64]
epochs = 2
seeds = [0, 1]
fresh_seeds = [5]

[of.kp]
lr = [0.5]
"""


def test_a_grid_tries_all_combinations(tmp_path):
    (tmp_path / "a.toml").write_text(TOML)
    points = spec.read(tmp_path / "a.toml").points
    assert [(point.rule, point.settings["lr"], point.settings["batch_size"]) for point in points] == [
        ("bp", 0.1, 32), ("bp", 0.01, 32), ("bp", 0.1, 64), ("bp", 0.01, 64), ("kp", 0.5, 32), ("kp", 0.5, 64)]
    assert all(point.settings["model"] == "mlp:4" and point.settings["epochs"] == 2 for point in points)
    assert len({point.key(seed) for point in points for seed in (0, 1)}) == 12


def test_a_random_search_draws_each_group_from_a_stream_of_its_own():
    asked = {"data": "xor", "rules": ["bp", "fa"], "search": "random", "trials": 30, "model": ["mlp:4", "mlp:8"],
             "lr": {"from": 1e-4, "to": 1e-1}, "batch_size": {"from": 1.5, "to": 4}, "optimizer": ["sgd", "adam"]}
    points = parse(asked).points
    for rule in ("bp", "fa"):
        for model in ("mlp:4", "mlp:8"):
            group = [point.settings for point in points if point.group == ("xor", model, rule)]
            assert 25 < len(group) <= 30 and {one["optimizer"] for one in group} == {"sgd", "adam"}
            assert {one["batch_size"] for one in group} == {2, 3, 4}
            rates = np.array([one["lr"] for one in group])
            assert (rates >= 1e-4).all() and (rates <= 1e-1).all()
            assert (rates < 10**-2.5).mean() == pytest.approx(0.5, abs=0.35)  # evenly over the factors
    alone = parse(asked | {"rules": ["fa"]}).points
    assert alone == [point for point in points if point.rule == "fa"]
    assert parse(asked | {"draw": 1}).points != points


@given(low=st.floats(1e-8, 1e3), factor=st.floats(1.001, 1e6), whole=st.booleans(), seed=st.integers(0, 99))
def test_a_range_is_never_left(low, factor, whole, seed):
    high = low * factor
    if whole and np.ceil(low) > np.floor(high):
        return
    value = Range(low, high, whole).draw(np.random.default_rng(seed))
    assert low <= value <= high and isinstance(value, int if whole else float)


def test_a_point_is_one_run_whatever_the_order_of_its_settings():
    assert Point("xor", "bp", {"lr": 0.1, "epochs": 2}).key(0) == Point("xor", "bp", {"epochs": 2, "lr": 0.1}).key(0)
    assert len({Point("xor", "bp", {"lr": 0.1}).key(0), Point("xor", "bp", {"lr": 0.1}).key(1),
                Point("xor", "fa", {"lr": 0.1}).key(0), Point("digits", "bp", {"lr": 0.1}).key(0),
                Point("xor", "bp", {"lr": 0.2}).key(0), Point("xor", "bp", {}).key(0)}) == 6


def test_one_value_has_one_key_however_it_is_spelt():
    spelt = [{"rules": "bp", "lr": 1, "dtype": "f4"}, {"rules": "bp", "lr": 1.0, "dtype": "float32"}]
    assert len({parse(asked).points[0].key(0) for asked in spelt}) == 1


@pytest.mark.parametrize("asked, message", [
    ({}, "'rules' is missing"), ({"rules": []}, "rules is an empty list"), ({"rules": ["bp", "bp"]}, "twice"),
    ({"rules": "bpp"}, "did you mean"), ({"rules": "bp", "data": "digit"}, "did you mean"),
    ({"rules": "bp", "learning_rate": 1}, "unknown key"), ({"rules": "bp", "lr": []}, "empty list"),
    ({"rules": "bp", "lr": [0.1, -1]}, "lr must be"), ({"rules": "bp", "epochs": 1.5}, "epochs must be an integer"),
    ({"rules": "bp", "search": "bayes"}, "unknown search"), ({"rules": "bp", "lr": {"from": 1, "to": 2}}, "is a range"),
    ({"rules": "bp", "search": "random", "lr": {"from": 2, "to": 1}}, "smaller number first"),
    ({"rules": "bp", "search": "random", "lr": {"low": 1}}, "expected a range such as"),
    ({"rules": "bp", "search": "random", "lr": {"from": 0, "to": 1}}, "from in lr must be"),
    ({"rules": "bp", "search": "random", "optimizer": {"from": 1, "to": 2}}, "list of names"),
    ({"rules": "bp", "search": "random", "epochs": {"from": 1.1, "to": 1.9}}, "an integer in it"),
    ({"rules": "bp", "seeds": [0, 1], "fresh_seeds": [1]}, "seed 1 is in seeds and in fresh_seeds"),
    ({"rules": "bp", "seeds": [-1]}, "seed must be"), ({"rules": "bp", "trials": 0}, "trials must be"),
    ({"rules": "bp", "trials": 5}, '^trials is 5, but a grid tries all combinations: expected search = "random"'),
    ({"rules": "bp", "search": "grid", "draw": 1}, "^draw is 1, but a grid tries all"),
    ({"rules": "bp", "of": 3}, "expected a table"), ({"rules": "bp", "of": {"fa": {"lr": 1}}}, "rule of this sweep"),
    ({"rules": "bp", "of": {"bp": {"rate": 1}}}, "unknown setting"), ({"rules": "bp", "threads": 0}, "threads must be"),
    ({"rules": "bp", "lr": [0.1 + i / 1000 for i in range(500)], "epochs": list(range(1, 300))}, "at most 100,000")])
def test_what_cannot_be_is_said_in_one_sentence(asked, message):
    with pytest.raises(InputError, match=message):
        parse(asked)


@pytest.mark.parametrize("text", [b"rules = ", b"\xff", b"a = 1\na = 2", b"[" * 5000])
def test_a_file_that_is_no_toml_is_said_to_be_none(text, tmp_path):
    (tmp_path / "a.toml").write_bytes(text)
    with pytest.raises(InputError, match=r"a\.toml is no TOML file"):
        spec.read(tmp_path / "a.toml")


# the choice


def runs(*accuracies: float) -> list[dict[str, float]]:
    return [{"validation_accuracy": accuracy} for accuracy in accuracies]


def test_the_best_setting_has_the_highest_mean_and_the_first_one_wins_a_tie():
    points = [Point("xor", "bp", {"lr": lr}) for lr in (1, 2, 3, 4)] + [Point("xor", "fa", {"lr": 1})]
    found = dict(zip(points, (runs(0.9, 0.1), runs(0.6, 0.6), runs(0.6, 0.6), runs(1.0, 0.0)), strict=False))
    found[points[4]] = runs(0.2, 0.2)
    assert choice.best(points, found) == [points[1], points[4]]


def test_nothing_of_the_test_set_is_kept_and_a_run_that_diverged_counts_as_nothing():
    history = [{"epoch": 1, "train_loss": 2.0, "validation_accuracy": 0.25},
               {"epoch": 2, "train_loss": 1.0, "validation_accuracy": 0.5}]
    run = {"seed": 3, "seconds": 1.0, "history": history, "test_accuracy": 0.99}
    assert choice.found({"runs": [run]}) == {"seed": 3, "epochs": 2, "seconds": 1.0, "validation_accuracy": 0.5,
                                             "train_loss": 1.0}
    lost = choice.found({"runs": [run | {"diverged": "the loss became inf"}]})
    assert lost["validation_accuracy"] == 0.0 and lost["diverged"] == "the loss became inf"
    assert choice.found({"runs": [run | {"history": [], "diverged": "at once"}]})["validation_accuracy"] == 0.0


def test_groups_are_named_by_what_tells_them_apart():
    points = [Point(data, rule, {"model": model}) for data in ("xor", "digits") for rule in ("bp", "fa")
              for model in ("mlp:4",)]
    assert list(choice.labels(points).values()) == ["bp, xor", "fa, xor", "bp, digits", "fa, digits"]
    assert list(choice.labels(points[:2]).values()) == ["bp", "fa"]


def test_a_rule_that_always_diverges_has_no_best_setting():
    points = [Point("xor", rule, {"lr": lr}) for rule in ("bp", "fa") for lr in (1, 2)]
    gone = [{"validation_accuracy": 0.0, "diverged": "the loss became inf"}]
    found = dict(zip(points, (gone, gone, gone, runs(0.0)), strict=True))
    assert choice.best(points, found) == [points[3]]
