"""Sweeps that run: in real processes, killed on the way, on a real Dask cluster; nothing is lost or done twice."""
from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import re
import select
import signal
import statistics
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from records import without_seconds

from nobackprop.cli import main
from nobackprop.errors import InputError
from nobackprop.experiments import papers
from nobackprop.experiments.folder import Folder
from nobackprop.experiments.sweep import choice, run, show
from nobackprop.experiments.sweep.spec import parse

ASKED = {"data": "xor", "rules": ["bp", "shallow"], "model": "mlp:6,6", "batch_size": 500, "epochs": 2,
         "lr": [1e-4, 1e-2], "seeds": [0, 1], "fresh_seeds": [7]}
TOML = """
data = "xor"
rules = ["bp", "shallow"]
model = "mlp:6,6"
batch_size = 500
epochs = 2
lr = [1e-4, 1e-2]
seeds = [0, 1]
fresh_seeds = [7]
"""


def done(folder: Path, **changes: Any) -> dict[str, Any]:
    """A sweep's results after all of it was run into that folder."""
    sweep = parse(ASKED)
    results = run.begin(sweep)
    folder.mkdir(exist_ok=True)
    run.run(sweep, results, Folder(folder), **{"processes": 2, **changes})
    return results


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """A sweep that nobody interrupted: its folder and its results."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, done(folder)


@pytest.mark.slow
def test_the_best_settings_are_run_on_fresh_seeds(whole):
    folder, results = whole
    stored = json.loads((folder / "results.json").read_text())
    assert without_seconds(stored) == without_seconds(results) and "interrupted" not in results["config"]
    assert [(entry["label"], entry["settings"]["lr"], len(entry["runs"])) for entry in results["search"]] == [
        ("bp", 1e-4, 2), ("bp", 1e-2, 2), ("shallow", 1e-4, 2), ("shallow", 1e-2, 2)]
    means = [sum(one["validation_accuracy"] for one in entry["runs"]) / 2 for entry in results["search"]]
    best = [(1e-4, 1e-2)[means[i] < means[i + 1]] for i in (0, 2)]
    assert [entry["settings"]["lr"] for entry in results["best"]] == best
    assert [(one["rule"], one["seed"], one["settings"]["lr"]) for one in results["runs"]] == [
        ("bp", 7, best[0]), ("shallow", 7, best[1])]


@pytest.mark.slow
def test_a_run_of_a_sweep_is_the_run_that_compare_would_do(whole):
    from nobackprop.experiments.compare import Comparison, resolve
    config = resolve("xor", ["bp"], [7], dict(whole[1]["best"][0]["settings"]), threads=1)
    comparison = Comparison(config)
    comparison.run()
    one, = comparison.results["runs"]
    ours = whole[1]["runs"][0]
    assert without_seconds({key: ours[key] for key in one}) == without_seconds(one)


def test_the_search_never_reads_the_test_set(whole):
    """Its runs measure the validation samples in the place of the test samples."""
    folder, _ = whole
    point, = {one for one in parse(ASKED).points if one.rule == "bp"
              and one.settings["lr"] == whole[1]["best"][0]["settings"]["lr"]}
    searched, = json.loads((folder / "runs" / point.key(0) / "results.json").read_text())["runs"]
    assert searched["test_accuracy"] == searched["history"][-1]["validation_accuracy"]
    last, = json.loads((folder / "runs" / point.key(7) / "results.json").read_text())["runs"]
    assert last["test_accuracy"] != last["history"][-1]["validation_accuracy"]


def test_a_run_of_a_sweep_tells_nothing_itself(capfd):
    """Its process may have other threads, which need stderr: it is left as it is."""
    before = sys.stderr
    run.work(run.tasks(parse(ASKED).points[:1], [0], 1, True)[0], None)
    assert capfd.readouterr() == ("", "") and sys.stderr is before


def test_nothing_is_run_twice(whole, monkeypatch):
    folder, results = whole

    def never(*_: object) -> None:
        raise AssertionError("a run was done again")
    monkeypatch.setattr(run.Processes, "run", never)
    again = run.begin(parse(ASKED))
    run.run(parse(ASKED), again, Folder(folder))
    assert without_seconds(again) == without_seconds(results)


@pytest.mark.slow
def test_a_process_that_dies_is_replaced(tmp_path, whole):
    killed = []

    def kill(text: str, ended: int, of: int) -> None:
        if ended == 2:
            child = multiprocessing.active_children()[0]
            os.kill(child.pid or 0, signal.SIGKILL)
            killed.append(child.pid)
    assert without_seconds(done(tmp_path, tell=kill)) == without_seconds(whole[1]) and killed


@pytest.mark.slow
def test_processes_that_always_die_end_the_sweep_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_begin", os.abort)
    with pytest.raises(InputError, match="died 3 times"):
        done(tmp_path)


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_its_processes_end_with_it(tmp_path, whole, capsys):
    (tmp_path / "a.toml").write_text(TOML)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "nobackprop", "sweep", str(tmp_path / "a.toml"), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("3 of 10"):
                break
        children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        handles = [os.pidfd_open(pid) for pid in children]
        process.kill()
    for handle in handles:  # of a process that has ended it can be read
        assert select.select([handle], [], [], 60)[0]
        os.close(handle)
    assert main(["sweep", "--status", str(out)]) == 0
    assert "of 8 runs have ended" in capsys.readouterr().out
    assert main(["sweep", "--resume", str(out)]) == 0
    assert without_seconds(json.loads((out / "results.json").read_text())) == without_seconds(whole[1])
    assert (out / "figure.png").stat().st_size > 10_000


@pytest.fixture
def distributed() -> Any:
    """Dask, which draws from Python's global generator; afterwards it stands where it stood."""
    found, state = pytest.importorskip("distributed"), random.getstate()
    yield found
    random.setstate(state)


@pytest.mark.slow
def test_a_dask_cluster_does_the_same_though_a_worker_of_it_is_killed(tmp_path, whole, distributed):
    killed = []
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
                                  silence_logs=50) as cluster:
        def kill(text: str, ended: int, of: int) -> None:
            if ended == 2:
                killed.append(next(iter(cluster.workers.values())).pid)
                os.kill(killed[0], signal.SIGKILL)
        found = done(tmp_path, scheduler=cluster.scheduler_address, tell=kill)
    assert without_seconds(found) == without_seconds(whole[1]) and killed
    assert without_seconds(json.loads((tmp_path / "results.json").read_text())) == without_seconds(found)


@pytest.mark.parametrize("arguments, sentence", [
    ([], "expected FILE.toml, .* got none of these"),
    (["a.toml", "--status", "b"], "got 2 of these"), (["nowhere.toml"], "cannot read"),
    (["--status", "nowhere"], "cannot read"), (["--resume", "nowhere"], "cannot go on"),
    (["--resume", "nowhere", "--out", "b"], "--out cannot be given"), (["x", "--processes", "0"], "from 1 on")])
def test_wrong_use_is_said_in_one_sentence(arguments, sentence, capsys):
    assert main(["sweep", *arguments]) == 2
    told = capsys.readouterr().err
    assert re.search(sentence, told) and told.count("\n") == 1


@pytest.mark.slow
def test_an_unreachable_scheduler_is_said_in_one_sentence(monkeypatch, distributed):
    monkeypatch.setattr(run, "CONNECT", 0.2)
    for address in ("tcp://127.0.0.1:1", "nonsense://a", ""):
        with pytest.raises(InputError, match="cannot reach the Dask scheduler"):
            run.on_cluster([], lambda task, results: None, address)


@pytest.mark.slow
def test_a_rule_that_always_diverges_is_told(tmp_path, capsys):
    (tmp_path / "a.toml").write_text(
        'data = "xor"\nrules = ["bp", "shallow"]\nmodel = "mlp:6"\noptimizer = "sgd"\nepochs = 1\nseeds = [0]\n'
        'fresh_seeds = [1]\n[of.bp]\nlr = 1e38\n')
    assert main(["sweep", str(tmp_path / "a.toml"), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert re.search(r"^bp +- +diverged +1$", out, re.M)
    assert "every run of bp diverged, so it has no best setting" in err
    stored = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [entry["label"] for entry in stored["best"]] == ["shallow"] and "interrupted" not in stored["config"]


@pytest.mark.slow
def test_a_folder_that_is_lost_is_told_once_and_all_goes_elsewhere(tmp_path, whole, monkeypatch, capfd):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "t").mkdir()
    lost, names = tmp_path / "lost", itertools.count()

    def lose(text: str, ended: int, of: int) -> None:
        while ended == 3 and not lost.is_file():
            # two processes write into it meanwhile: it is moved at one stroke, and taken away again if one made it anew
            with suppress(OSError):
                lost.rename(tmp_path / f"away-{next(names)}")
                lost.write_text("a file in the place of the folder")
    sweep = parse(ASKED)
    results = run.begin(sweep)
    lost.mkdir()
    folder = Folder(lost)
    run.run(sweep, results, folder, processes=2, tell=lose)
    places = list((tmp_path / "t").glob("nobackprop-*"))
    assert places == [folder.path] and capfd.readouterr().err.count("from now on all is written to") == 1
    assert without_seconds(json.loads((places[0] / "results.json").read_text())) == without_seconds(whole[1])
    assert len(list((places[0] / "runs").iterdir())) == 10


def test_the_folder_of_something_else_is_no_sweep(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"config": {"data": "xor", "model": "mlp:4"}, "runs": []}))
    with pytest.raises(InputError, match="holds no sweep"):
        run.status(tmp_path)


# what is shown


def test_the_page_shows_what_was_found():
    """The table of docs/runs.md, computed again from the stored results."""
    docs = Path(__file__).parent.parent / "docs"
    stored = json.loads((docs / "results" / "sweeps" / "digits.json").read_text())
    shown = {label: cells for label, *cells in (
        [cell.strip() for cell in line.strip("|").split("|")] for line in (docs / "runs.md").read_text().splitlines()
        if line.startswith("|") and "±" in line)}

    def spread(values: list[float]) -> str:
        return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"
    assert list(shown) == [entry["label"] for entry in stored["best"]] and len(stored["runs"]) == 18
    for entry in stored["best"]:
        searched, = (one["runs"] for one in stored["search"]
                     if (one["label"], one["settings"]) == (entry["label"], entry["settings"]))
        fresh = [one["test_accuracy"] for one in stored["runs"] if one["rule"] == entry["label"]]
        assert shown[entry["label"]] == [f"{entry['settings']['lr']:g}", spread(
            [one["validation_accuracy"] for one in searched]), spread(fresh)]


def test_the_table_names_what_was_varied(whole):
    text = show.table(whole[1])
    assert "bp       lr 0.0" in text and "batch size" not in text and "the best settings on fresh seeds" in text


@pytest.mark.slow
def test_the_figure_shows_a_curve_and_a_ring_for_each_rule(whole, tmp_path):
    figure = papers.draw(whole[1])
    axes, = figure.axes
    assert axes.get_xscale() == "log" and axes.get_xlabel() == "learning rate" and len(axes.lines) == 4
    curve, ring = axes.lines[:2]
    means = [choice.score(entry["runs"]) for entry in whole[1]["search"][:2]]
    assert list(curve.get_ydata()) == means and list(ring.get_ydata()) == [max(means)]
    assert list(ring.get_xdata()) == [whole[1]["best"][0]["settings"]["lr"]]
    (tmp_path / "a.json").write_text(json.dumps(whole[1]))
    assert main(["plot", str(tmp_path / "a.json"), "--out", str(tmp_path / "a.png")]) == 0


def test_without_several_learning_rates_another_setting_or_the_names_take_their_place(whole):
    def axis(settings: list[dict[str, Any]]) -> str:
        runs = [{"validation_accuracy": 0.5}]
        search = [{"label": "bp", "settings": one, "runs": runs} for one in settings]
        return show.draw({"config": {"data": "xor", "model": "mlp:4"}, "search": search}).axes[0].get_xlabel()
    assert axis([{"lr": 0.1, "batch_size": 1}, {"lr": 0.1, "batch_size": 2}]) == "batch size"
    assert axis([{"optimizer": "sgd"}, {"optimizer": "adam"}]) == ""
    assert axis([{}]) == ""
    with pytest.raises(InputError, match="has found nothing yet"):
        axis([])
