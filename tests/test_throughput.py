"""What `bench --pipeline` reports, and how it is drawn."""
from __future__ import annotations

import json

import pytest

from nobackprop import cli, figures
from nobackprop.errors import InputError
from nobackprop.studies.pipeline import makespan
from nobackprop.studies.speed import throughput

SMALL = {"model": "mlp:9,8,9,8,9", "data": "digits", "batch_size": 8, "threads": 1, "steps": 6, "rounds": 2}
MODES = {"pipeline", "sequential", "sequential_blas", "sequential_threads", "bp"}


@pytest.fixture(scope="module")
def result():
    return throughput.measure(**SMALL)


@pytest.mark.slow
def test_the_report(result):
    assert {key: result[key] for key in SMALL} == SMALL and (result["rule"], result["workers"]) == ("al", 2)
    assert set(result["steps_per_second"]) == MODES and min(result["steps_per_second"].values()) > 0
    gain = result["speedup"]
    assert 0 < gain["low"] <= gain["median"] <= gain["high"]
    assert result["parameters"] == {"effective": 64 * 9 + 9 + 2 * (9 * 8 + 8) + 2 * (8 * 9 + 9) + 9 * 10 + 10,
                                    "affiliated": (10 * 9 + 9) + (9 * 8 + 8) + (9 * 9 + 9) + (9 * 9 + 9)}
    assert [station["worker"] for station in result["stations"]] == [0, 1]
    assert result["points"]["mini_batches"] == [1, 2, 4, 6]
    assert all(len(result["points"][name]) == 4 for name in ("pipeline", "sequential"))
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_the_model_is_the_makespan_of_the_measured_stations(result):
    costs = [station["ms"] for station in result["stations"]]
    assert result["model_speedup"]["here"] == pytest.approx(6 * sum(costs) / makespan(6, costs))
    assert result["model_speedup"]["limit"] == pytest.approx(sum(costs) / max(costs))
    for row in result["extrapolation"]:
        c = row["components"]
        assert row["speedup"] == pytest.approx(1000 * c / (1000 + c - 1))


def test_the_description_says_the_numbers():
    text = throughput.describe({
        "rule": "al", "model": "mlp:3,3", "data": "mnist", "optimizer": "sgd", "batch_size": 17, "device": "cpu",
        "parameters": {"effective": 13405194, "affiliated": 11552768}, "workers": 2, "threads": 4,
        "steps": 12, "rounds": 5,
        "steps_per_second": {"pipeline": 7.5, "sequential": 5.0, "sequential_blas": 6.25, "sequential_threads": 6.5,
                             "bp": 9.5},
        "speedup": {"median": 1.5, "low": 1.4, "high": 1.625},
        "stations": [{"ms": 81.0, "worker": 0}, {"ms": 119.0, "worker": 1}],
        "model_speedup": {"here": 1.625, "limit": 1.75}, "points": {},
        "extrapolation": [{"components": 2, "speedup": 1.998}]})
    for part in ("13,405,194 effective parameters, 11,552,768 affiliated",
                 "rule al, mlp:3,3", "mnist", "batch size 17, sgd", "81 ms (worker 1), 119 ms (worker 2)",
                 "7.5 steps/s with 2 workers", "5 steps/s by", "1.50 times as fast (quartiles 1.40 and 1.62)",
                 "6.25 steps/s with 4 BLAS", "6.5 with 4 threads", "9.5 steps/s of back",
                 "1.62 for 12", "1.75 for many", "2 for c = 2"):
        assert part in text


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_it_is_drawn(result, ending, tmp_path):
    file = tmp_path / f"figure.{ending}"
    figures.write(throughput.draw(result), file)
    assert file.stat().st_size > 1000
    measured, more = throughput.draw(result).axes
    for name in ("pipeline", "sequential"):
        points = next(line for line in measured.lines if line.get_label() == f"{name}, measured")
        assert list(points.get_ydata()) == result["points"][name]
    model = {line.get_label(): list(line.get_ydata()) for line in more.lines}
    assert model["O(n l)"][-1] > 50 * model["O(n + l), a worker each"][-1]


def test_rules_by_blocks_can_be_measured_too():
    assert len(throughput.measure(**SMALL | {"rule": "drtp", "rounds": 1})["stations"]) == 6


@pytest.mark.parametrize("how, sentence", [
    ({"rule": "bp"}, "cannot be pipelined: hidden blocks read the output a_L"),
    ({"workers": 0}, "workers must be at least 1, got 0"), ({"rounds": 0}, "rounds must be at least 1"),
    ({"model": "mlp:9,8"}, "read the same backwards"), ({"data": "mnst"}, "unknown data set"),
])
def test_what_cannot_be_measured(how, sentence):
    with pytest.raises(InputError, match=sentence):
        throughput.measure(**SMALL | how)


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    line = ["bench", "--rule", "al", "--pipeline", "2", "--model", "mlp:5,5", "--data", "digits", "--batch-size", "4",
            "--steps", "2", "--threads", "1"]
    assert cli.main([*line, "--json", "--figure", str(tmp_path / "a.svg")]) == 0
    assert json.loads(capsys.readouterr().out)["workers"] == 1 and (tmp_path / "a.svg").is_file()
    assert cli.main(line) == 0
    assert capsys.readouterr().out.startswith("step      rule al, mlp:5,5")


@pytest.mark.parametrize("options, sentence", [
    (["--pipeline", "2", "--rule", "las"], "rule LAS cannot be pipelined: "),
    (["--pipeline", "0"], "got '0', expected an integer from 1 on"),
    (["--pipeline", "2", "--against", "torch"], "--against and --pipeline measure different things"),
    (["--figure", "a.png"], "--figure draws what --pipeline measures"),
    (["--pipeline", "2", "--rule", "al", "--figure", "a.gif"], "cannot draw to 'a.gif'"),
])
def test_wrong_use_of_the_command(options, sentence, capsys):
    assert cli.main(["bench", "--model", "mlp:5,5", "--data", "digits", *options]) == 2
    error, = capsys.readouterr().err.splitlines()
    assert sentence in error
