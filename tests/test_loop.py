"""The run loop: what an interruption leaves, how a run goes on, who may write to a folder, and what is said."""
from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import without_seconds

import nobackprop
from nobackprop import cli
from nobackprop.callbacks import Moment
from nobackprop.cli.ends import Ended, listening
from nobackprop.data import load
from nobackprop.errors import InputError
from nobackprop.experiments import compare, results
from nobackprop.experiments import folder as folders
from nobackprop.experiments.compare import Comparison, resolve, trial
from nobackprop.experiments.folder import claim, reopen
from nobackprop.experiments.loop import Every, Job, train
from nobackprop.experiments.progress import Progress
from nobackprop.learn import Diverged, Run

pytestmark = pytest.mark.usefixtures("unrendered")
ROOT = str(Path(nobackprop.__file__).parents[1])
SHORT = ["compare", "--rules", "bp,las", "--model", "mlp:8", "--epochs", "3", "--batch-size", "400", "--seeds", "0,1"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, next to a folder for temporary files."""
    (tmp_path / "here").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "here"


def stored(path: str | Path = "o") -> dict[str, Any]:
    return json.loads((Path(path) / "results.json").read_text())


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command line here; gives exit code, stdout and stderr."""
    def run(*argv: str) -> tuple[int, str, str]:
        code = cli.main(list(argv))
        return code, *capsys.readouterr()
    return run


@pytest.fixture(scope="module")
def whole() -> str:
    """What SHORT gives if nothing interrupts it."""
    typed = {"model": "mlp:8", "epochs": 3, "batch_size": 400}
    comparison = Comparison(resolve("digits", ["bp", "las"], [0, 1], typed))
    comparison.run()
    return without_seconds(comparison.results)


def stopping(monkeypatch: pytest.MonkeyPatch, after: int, how: Any) -> list[tuple[str, int, int]]:
    """Call `how` in place of the epoch after so many; gives a list of all that were trained."""
    epoch = Run.epoch
    trained: list[tuple[str, int, int]] = []

    def stop(run: Run) -> dict[str, Any]:
        if len(trained) == after:
            how()
        trained.append((run.name, run.seed, len(run.history) + 1))
        return epoch(run)

    monkeypatch.setattr(Run, "epoch", stop)
    return trained


def interrupt() -> None:
    raise KeyboardInterrupt


# ---------------------------------------------------------------- going on


@pytest.mark.slow
@pytest.mark.parametrize("every, order", [("1", "seeds"), ("2", "rules"), ("0.0001s", "rules"), ("never", "seeds")])
@pytest.mark.parametrize("after", range(12))
def test_what_was_interrupted_goes_on_bit_for_bit(command, monkeypatch, whole, after, every, order):
    how = ["--checkpoint-every", every, "--order", order]
    with monkeypatch.context() as patch:
        trained = stopping(patch, after, interrupt)
        assert command(*SHORT, *how, "--out", "o")[0] == 130
    if after == 0:
        assert not Path("o").exists()
        return
    assert stored()["config"]["interrupted"] is True
    assert sum(len(run["history"]) for run in stored()["runs"]) == after
    kept = {"1": after % 3, "2": after % 3 // 2 * 2, "0.0001s": after % 3, "never": 0}[every]
    assert len(list(Path("o").glob("checkpoints/*"))) == (kept > 0)
    again = stopping(monkeypatch, 100, interrupt)
    code, out, _ = command("compare", "--resume", "o", *how)
    assert code == 0 and "interrupted" not in out
    # nothing is trained twice but what came after the checkpoint
    assert len(again) == 12 - after + after % 3 - kept and len(set(trained) & set(again)) == after % 3 - kept
    assert without_seconds(stored()) == whole
    assert everything(Path("o")) == ["figure.png", "results.json"]


@pytest.mark.slow
def test_interrupted_again_and_again(command, monkeypatch, whole):
    """Every process trains two epochs, and the order changes each time."""
    first, lives = [*SHORT, "--out", "o"], 0
    code = 130
    while code == 130:
        with monkeypatch.context() as patch:
            stopping(patch, 2, interrupt)
            code, _, err = command(*(["compare", "--resume", "o"] if lives else first), "--checkpoint-every", "1",
                                   "--order", ("seeds", "rules")[lives % 2])
        assert "begins again" not in err
        lives += 1
    assert (code, lives) == (0, 6) and without_seconds(stored()) == whole


@pytest.mark.slow
def test_an_epoch_that_was_measured_in_part_is_not_recorded(monkeypatch):
    data, config = load("xor"), resolve("xor", ["bp"], overrides={"epochs": 3})
    calls = []

    def measure(now: Moment) -> dict[str, Any]:
        calls.append(now)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {"also": [np.nan, 1.0], "number": len(now.history)}

    jobs = [Job(trial(config, "bp", data.shape, data.classes), data, 0, callbacks=[measure], extra={"lr": 3})]
    found = {"config": config, "environment": {}, "runs": []}
    with pytest.raises(KeyboardInterrupt), claim("o", "xor") as folder:
        train(jobs, found, folder, checkpoint=Every(epochs=1))
    run, = stored()["runs"]
    assert [record["also"] for record in run["history"]] == [[None, 1.0]] and run["lr"] == 3
    train(jobs, found, folders.Folder(Path("o")), checkpoint=Every(epochs=1))
    run, = stored()["runs"]
    assert [record["number"] for record in run["history"]] == [1, 2, 3] and len(calls) == 4


@pytest.mark.slow
def test_a_finished_folder_is_shown_again(command, monkeypatch):
    _, first, _ = command(*SHORT, "--out", "o")
    before = Path("o/results.json").read_bytes()
    trained = stopping(monkeypatch, 100, interrupt)
    code, out, err = command("compare", "--resume", "o")
    assert (code, out, err, trained) == (0, first, "", []) and Path("o/results.json").read_bytes() == before


@pytest.mark.slow
def test_what_a_killed_process_had_half_written_goes_and_nothing_else(command, monkeypatch):
    with monkeypatch.context() as patch:
        stopping(patch, 5, interrupt)
        command(*SHORT, "--checkpoint-every", "1", "--out", "o")
    for name in ("tmpabcd1234.json", "tmpabcd1234.png", "checkpoints/tmpabcd1234.safetensors", "mine.json", "tmp.txt",
                 "tmpabcd1234.txt"):
        Path("o", name).touch()
    assert command("compare", "--resume", "o")[0] == 0
    assert everything(Path("o")) == ["figure.png", "mine.json", "results.json", "tmp.txt", "tmpabcd1234.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [
    lambda path: path.write_bytes(b"damaged"), lambda path: path.write_bytes(b""),
    lambda path: os.truncate(path, path.stat().st_size // 2)])
def test_a_checkpoint_that_cannot_be_read_costs_its_run_alone(command, monkeypatch, whole, damage):
    with monkeypatch.context() as patch:
        stopping(patch, 5, interrupt)
        command(*SHORT, "--checkpoint-every", "1", "--out", "o")
    checkpoint, = Path("o/checkpoints").iterdir()
    damage(checkpoint)
    trained = stopping(monkeypatch, 100, interrupt)
    code, _, err = command("compare", "--resume", "o")
    assert code == 0 and len(trained) == 12 - 3 and without_seconds(stored()) == whole
    assert "las seed 0 begins again: " in err and str(checkpoint) in err
    assert not checkpoint.exists()


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_not_taken(command, monkeypatch, whole):
    with monkeypatch.context() as patch:
        stopping(patch, 2, interrupt)
        command(*SHORT, "--checkpoint-every", "1", "--out", "o", "--lr", "0.5")
    with monkeypatch.context() as patch:
        stopping(patch, 2, interrupt)
        command(*SHORT, "--checkpoint-every", "1", "--out", "p")
    theirs, ours = (next(Path(name, "checkpoints").iterdir()) for name in "op")
    assert theirs.name == ours.name
    shutil.copy(theirs, ours)
    code, _, err = command("compare", "--resume", "p")
    assert code == 0 and f"bp seed 0 begins again: {ours} is a checkpoint of another run" in err
    assert without_seconds(stored("p")) == whole


@pytest.mark.slow
def test_a_run_that_no_file_can_hold_is_trained_all_the_same(command, monkeypatch, whole):
    def refuse(run: Run, path: Path) -> None:
        raise InputError("no file can hold this network")

    monkeypatch.setattr(Run, "save", refuse)
    code, _, err = command(*SHORT, "--checkpoint-every", "1", "--out", "o")
    assert code == 0 and without_seconds(stored()) == whole and "temporary" not in err
    assert err.count("no checkpoint of bp seed 0 is written: no file can hold this network") == 1


def test_names_of_checkpoints_are_short_and_differ():
    keys = [("bp", 0), ("bp", 1), ("bp, linear", 0), ("bp--linear", 0), ("bp/linear", 0), ("x" * 300, 0),
            ("x" * 301, 0), ("../..", 2**63), ("\u4e2d", 1), ("\u65e5", 1)]
    names = [folders._name(key) for key in keys]
    assert len(set(names)) == len(keys)
    assert all(re.fullmatch(r"[A-Za-z0-9_.=-]{5,120}", name) and not name.startswith("/") for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("order, expected", [
    ("seeds", [("bp", 5), ("las", 5), ("bp", 1), ("las", 1)]),
    ("rules", [("bp", 5), ("bp", 1), ("las", 5), ("las", 1)])])
def test_the_order_of_training_is_not_that_of_the_results(monkeypatch, order, expected):
    comparison = Comparison(resolve("xor", ["bp", "las"], [5, 1], {"epochs": 1}))
    trained = stopping(monkeypatch, 100, interrupt)
    comparison.run(order=order)
    assert [key for *key, _ in trained] == list(map(list, expected))
    assert [(run["rule"], run["seed"]) for run in comparison.results["runs"]] == [
        ("bp", 5), ("bp", 1), ("las", 5), ("las", 1)]
    with pytest.raises(InputError, match="unknown order 'seed': did you mean 'seeds'"):
        comparison.run(order="seed")


def test_without_a_folder_nothing_is_written(place):
    Comparison(resolve("xor", ["bp"], [0], {"epochs": 1})).run()
    assert everything(place.parent) == ["here", "temporary"]


@pytest.mark.slow
def test_a_diverged_run_keeps_what_came_before(monkeypatch):
    epoch = Run.epoch

    def leave(run: Run) -> dict[str, Any]:
        if run.name == "bp" and len(run.history) == run.seed:
            raise Diverged("the loss left")
        return epoch(run)

    monkeypatch.setattr(Run, "epoch", leave)
    comparison = Comparison(resolve("xor", ["bp", "las"], [0, 1], {"epochs": 2}))
    comparison.run()
    assert [(len(run["history"]), run.get("diverged")) for run in comparison.results["runs"]] == [
        (0, "the loss left"), (1, "the loss left"), (2, None), (2, None)]
    assert "interrupted" not in comparison.results["config"]


# ---------------------------------------------------------------- what is refused


def refused(change: Any) -> None:
    """Change what is stored in the folder o."""
    found = stored()
    change(found)
    Path("o/results.json").write_text(json.dumps(found))


REFUSED: dict[str, tuple[Any, str]] = {
    "another command": (lambda found: found.update(command="train"),
                        "o holds results of nobackprop train, expected those of nobackprop compare"),
    "an older format": (lambda found: [found.pop("command"), found.pop("format")],
                        "o holds results that do not name their command, expected those of nobackprop compare"),
    "a newer format": (lambda found: found.update(format=3), "o/results.json has format 3, expected 2 at most"),
    "another version": (lambda found: found["environment"].update(nobackprop="9.9"),
                        "o holds results of nobackprop '9.9', expected those of "),
    "no version": (lambda found: found["environment"].pop("nobackprop"),
                   "o holds results that do not name their version"),
    "other data": (lambda found: found["environment"].update(fingerprint="0"),
                   "the results were made on other data: the fingerprint of digits was '0' and is "),
    "no environment": (lambda found: found.pop("environment"), "o holds results that do not name their version"),
    "a damaged setting": (lambda found: found["config"].update(lr=-1), "lr must be a positive number, got -1"),
    "seeds that are none": (lambda found: found["config"].update(seeds=["a"]), "results.json: 'config.seeds[0]' is"),
    "rules that are none": (lambda found: found["config"].pop("rules"),
                            "results.json: the key 'config.rules' is missing"),
    "an unknown rule": (lambda found: found["config"]["rules"].append("lass"), "unknown rule 'lass'"),
    "a run that nobody asked for": (lambda found: found["config"]["seeds"].pop(),
                                    "the settings in results.json were edited: "),
    "a run that is too long": (lambda found: found["config"].update(epochs=2),
                               "the settings in results.json were edited: "),
    "a run that is too short": (lambda found: found["runs"][0]["history"].pop(),
                                "the results hold a run of bp, seed 0, with 2 epochs, expected 3"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finished") / "o"
    assert cli.main([*SHORT, "--out", str(path)]) == 0
    return path


@pytest.mark.slow
@pytest.mark.parametrize("change, sentence", REFUSED.values(), ids=REFUSED)
def test_what_cannot_go_on_is_one_sentence(command, finished, change, sentence):
    shutil.copytree(finished, "o")
    refused(change)
    before = Path("o/results.json").read_bytes()
    code, out, err = command("compare", "--resume", "o")
    assert code == 2 and err.startswith(f"nobackprop: {sentence}") and err.count("\n") == 1
    assert Path("o/results.json").read_bytes() == before and everything(Path("o")) == ["figure.png", "results.json"]


@pytest.mark.slow
@pytest.mark.parametrize("argv, sentence", [
    *((["compare", "--resume", name], f"cannot go on in {name}: expected a folder with a results.json of nobackprop ")
      for name in ("nowhere", "empty", "file")),
    (["compare", "--resume", "broken"], "broken/results.json is not JSON, expected a results.json"),
    (["train", "--resume", "o"], "o holds results of nobackprop compare, expected those of nobackprop train"),
    (["papers", "run", "--resume", "o"], "o holds results of nobackprop compare, expected those of nobackprop papers"),
    *((["compare", "--resume", "o", *typed], f"{typed[0]} cannot be given together with --resume: the settings are ")
      for typed in (["--lr", "0.1"], ["--data", "digits"], ["--out", "p"], ["--seeds", "0,1"], ["--threads", "1"],
                    ["--rules", "bp,las"], ["--device", "cpu"])),
    (["compare", "--resume", "o", "--lr=0.1"], "--lr cannot be given together with --resume"),
    (["papers", "run", "--resume", "o", "--scale", "smoke"], "--scale cannot be given together with --resume"),
    (["train", "--resume", "o", "--rule", "las"], "--rule cannot be given together with --resume"),
    (["compare", "--checkpoint-every", "0"], "argument --checkpoint-every: got '0', expected a number of epochs "),
    (["compare", "--checkpoint-every", "-1s"], "error: argument --checkpoint-every: "),
    (["compare", "--checkpoint-every", "60m"], "error: argument --checkpoint-every: got '60m', expected a number of "),
    (["compare", "--log-every", "0"], "error: argument --log-every: got '0', expected an integer from 1 on"),
    (["compare", "--order", "seed"], "error: argument --order: invalid choice: 'seed'"),
])
def test_wrong_use_is_one_sentence(command, place, finished, argv, sentence):
    shutil.copytree(finished, "o")
    Path("empty").mkdir()
    Path("file").touch()
    Path("broken").mkdir()
    Path("broken/results.json").write_text('{"config": ')
    before = everything(place)
    code, out, err = command(*argv)
    assert code == 2 and sentence in err and err.count("\n") == 1 and out == ""
    assert everything(place) == before


@pytest.mark.slow
def test_other_data_of_the_same_name_are_refused(command, monkeypatch):
    stopped = stopping
    with monkeypatch.context() as patch:
        stopped(patch, 4, interrupt)
        command(*SHORT, "--out", "o")

    def other(name: str, data_dir: Any = None, download: bool = False) -> Any:
        data = load(name)
        x = data.x_test.copy()
        x[-1, -1] += 1e-3
        return replace(data, x_test=x)

    monkeypatch.setattr(compare, "load", other)
    code, _, err = command("compare", "--resume", "o")
    assert code == 2 and err.startswith("nobackprop: the results were made on other data: ") and err.count("\n") == 1


# ---------------------------------------------------------------- a folder that is lost


@pytest.mark.slow
def test_a_folder_that_vanishes_is_said_once_and_costs_nothing(command, monkeypatch, place, whole):
    stopping(monkeypatch, 4, lambda: shutil.rmtree("o"))
    code, out, err = command(*SHORT, "--out", "o")
    there, = (place.parent / "temporary").iterdir()
    assert code == 0 and there.name.startswith("nobackprop-o-") and not Path("o").exists()
    assert f"\nwrote {there}/results.json and {there}/figure.png\n" in out
    assert err.count("from now on all is written to") == 1 and err.count(str(there)) == 1
    assert without_seconds(stored(there)) == whole and everything(there) == ["figure.png", "results.json"]


class Disk:
    """A disk that is full from a certain write on; `everywhere` or only below the folder o."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int, everywhere: bool):
        self.writes, self.last, self.everywhere, self.make = 0, last, everywhere, tempfile.mkstemp
        make_folder = tempfile.mkdtemp
        monkeypatch.setattr(tempfile, "mkstemp", lambda **how: self.make(**self.checked(how["dir"], how)))
        monkeypatch.setattr(tempfile, "mkdtemp", lambda **how: make_folder(**self.checked("", how)))

    def checked(self, where: Any, how: dict[str, Any]) -> dict[str, Any]:
        below = bool(where) and Path(os.path.realpath(where)).is_relative_to(os.path.realpath("o"))
        self.writes += below
        if self.writes > self.last and (self.everywhere or below):
            raise OSError(errno.ENOSPC, "No space left on device")
        return how


@pytest.mark.slow
@pytest.mark.parametrize("last", range(17))
def test_a_disk_that_fills_up_at_any_write_costs_nothing(command, monkeypatch, place, whole, last):
    """A comparison writes results at the start, after 4 runs and at the end, two checkpoints a run, and a figure."""
    monkeypatch.setattr(folders, "PAUSE", 1e9)
    disk = Disk(monkeypatch, last, everywhere=False)
    code, out, err = command(*SHORT, "--checkpoint-every", "1", "--out", "o")
    assert code == 0 and "test accuracy" in out
    lost = list((place.parent / "temporary").iterdir())
    assert len(lost) == err.count("No space left on device") == (last < 15)
    where = lost[0] if lost else Path("o")
    assert without_seconds(stored(where)) == whole and f"wrote {where}/results.json and {where}/figure.png\n" in out
    assert everything(where) == ["figure.png", "results.json"] and disk.writes == min(last + 1, 15)
    # what is left in the full folder can be read, or is nothing at all
    if Path("o/results.json").exists():
        assert results.read("o/results.json", begun=True)


@pytest.mark.slow
@pytest.mark.parametrize("last", [0, 1, 5, 14])
def test_if_nothing_can_be_written_anywhere_the_table_is_still_shown(command, monkeypatch, place, last):
    Disk(monkeypatch, last, everywhere=True)
    code, out, err = command(*SHORT, "--checkpoint-every", "1", "--out", "o")
    assert code == 1 and "test accuracy" in out and out.endswith("\nwrote nothing\n")
    assert err.splitlines()[-1].startswith("nobackprop: the results are shown and not stored: cannot write o/")
    assert err.count("nothing more is written") == 1 and not list((place.parent / "temporary").iterdir())


# ---------------------------------------------------------------- ends


def process(*argv: str, ignored: tuple[signal.Signals, ...] = ()) -> subprocess.Popen[str]:
    """A command line as a process of its own, which ignores these signals and no other."""
    before = {number: signal.signal(number, signal.SIG_IGN if number in ignored else handler)
              for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL),
                                      (signal.SIGHUP, signal.SIG_DFL))}
    try:
        return subprocess.Popen([sys.executable, "-W", "error", "-m", "nobackprop", *argv], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=os.environ | {"PYTHONPATH": ROOT, "OPENBLAS_NUM_THREADS": "1"})
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def running(*argv: str, until: str, ignored: tuple[signal.Signals, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """Such a process, after it has printed a line with this text to stderr; it is killed at the end of the block."""
    child = process(*argv, ignored=ignored)
    try:
        assert child.stderr is not None
        wait_for(child, until)
        yield child
    finally:
        child.kill()
        child.communicate()


def wait_for(child: subprocess.Popen[str], text: str) -> None:
    assert child.stderr is not None
    came: list[str] = []
    while not came or text not in came[-1]:
        came.append(child.stderr.readline())
        assert came[-1], came


posix = pytest.mark.skipif(os.name != "posix", reason="these signals are POSIX's")
LONG = ["compare", "--rules", "bp,las", "--model", "mlp:8", "--epochs", "100000", "--seeds", "0", "--log-every", "1",
        "--checkpoint-every", "never", "--out", "o"]


@posix
@pytest.mark.slow
@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_keeps_what_was_measured_and_says_how_to_go_on(name, code):
    with running(*LONG, until="epoch 3 of 100000") as child:
        child.send_signal(getattr(signal, name))
        out, err = child.communicate()
        assert child.returncode == code and "Traceback" not in err
    run, = stored()["runs"]
    assert len(run["history"]) >= 3 and stored()["config"]["interrupted"] is True
    assert re.search(r"\nbp +- +\d+\.\d{4} ", out)
    assert out.endswith(f"\nwrote o/results.json and o/figure.png\ninterrupted: 0 of 2 runs ended, bp seed 0 at epoch "
                        f"{len(run['history'])}; go on with: nobackprop compare --resume o\n")
    assert everything(Path("o")) == ["figure.png", "results.json"]


@posix
@pytest.mark.slow
def test_a_signal_that_was_ignored_at_the_start_stays_ignored():
    """As SIGHUP under nohup."""
    with running(*LONG, until="epoch 1 of", ignored=(signal.SIGHUP,)) as child:
        child.send_signal(signal.SIGHUP)
        wait_for(child, "epoch")
        wait_for(child, "epoch")
        child.send_signal(signal.SIGTERM)
        child.communicate()
        assert child.returncode == 143


@posix
@pytest.mark.slow
def test_a_killed_process_leaves_results_that_go_on(whole):
    """SIGKILL in the middle: what is on disk is whole, the lock is free, and the rest gives the same bits."""
    argv = [*SHORT, "--log-every", "1", "--checkpoint-every", "1", "--out", "o"]
    with running(*argv, until="las seed 1: epoch 1 of 3") as child:
        child.kill()
        child.wait()
    assert stored()["config"].get("interrupted") is True and len(stored()["runs"]) >= 3
    assert cli.main(["compare", "--resume", "o"]) == 0
    assert without_seconds(stored()) == whole and everything(Path("o")) == ["figure.png", "results.json"]


@posix
@pytest.mark.slow
def test_two_processes_never_write_to_one_folder(command, place):
    with running(*LONG, until="epoch 1 of") as child:
        while not Path("o/results.json").exists():
            wait_for(child, "epoch")
        for argv in (["compare", "--resume", "o"], ["train", "--resume", "o"]):
            code, out, err = command(*argv)
            assert (code, out) == (2, "") and err.count("\n") == 1
            assert err.startswith("nobackprop: the folder o is in use by another process that writes to it")
        code, out, err = command(*LONG)
        assert (code, out) == (2, "") and err == (
            "nobackprop: the folder o is already used, expected a new or an empty one\n")
        assert ".lock" in everything(Path("o"))
    with reopen("o", "compare") as folder:  # its death has freed the folder
        assert folder.stored["config"]["rules"] == ["bp", "las"]
    assert everything(Path("o")) == ["results.json"]


def test_a_lock_does_not_count_as_use_and_a_folder_is_claimed_before_it_is_used():
    Path("o").mkdir()
    Path("o/.lock").touch()  # of a process that was killed
    with claim("o", "digits") as folder:
        assert folder.path == Path("o")
        with (pytest.raises(InputError, match="^the folder o is in use by another process that writes to it"),
              claim("o", "digits")):
            pass
        assert Path("o/.lock").exists()
    assert everything(Path("o")) == []


@pytest.mark.slow
@posix
def test_a_second_signal_breaks_nothing(command, monkeypatch, whole):
    """The first one comes in the fifth epoch, a further one whenever the results are written after that."""
    write, ended = results.write, []

    def signalled() -> None:
        ended.append(True)
        signal.raise_signal(signal.SIGTERM)

    def again(path: Path, found: dict[str, Any]) -> None:
        if ended:
            signal.raise_signal(signal.SIGINT)
        write(path, found)
        if ended:
            signal.raise_signal(signal.SIGTERM)

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with monkeypatch.context() as patch:
        stopping(patch, 4, signalled)
        patch.setattr(results, "write", again)
        code, out, err = command(*SHORT, "--out", "o")
    assert code == 143 and "go on with: nobackprop compare --resume o\n" in out and "Traceback" not in err
    assert [len(run["history"]) for run in stored()["runs"]] == [3, 1]
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert command("compare", "--resume", "o")[0] == 0 and without_seconds(stored()) == whole


@pytest.mark.slow
@posix
@pytest.mark.parametrize("writing", range(7))
def test_a_signal_while_results_are_written_loses_nothing(command, monkeypatch, whole, writing):
    """It comes before the file is in its place; a comparison writes at the start, after 4 runs, and at the end."""
    writes, write_text = [], Path.write_text
    monkeypatch.setattr(folders, "PAUSE", 1e9)

    def signalled(path: Path, *args: Any, **kwargs: Any) -> int:
        writes.append(path)
        count = write_text(path, *args, **kwargs)
        if len(writes) == writing + 1:
            signal.raise_signal(signal.SIGTERM)
        return count

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", signalled)
        code, out, _ = command(*SHORT, "--out", "o")
    assert code == (143 if writing < 6 else 0)
    if writing == 0:
        assert not Path("o").exists() and out.endswith("\ninterrupted after less than one epoch; wrote nothing\n")
        return
    assert len(stored()["runs"]) == min(writing, 4) and everything(Path("o")) == ["figure.png", "results.json"]
    assert command("compare", "--resume", "o")[0] == 0 and without_seconds(stored()) == whole


@pytest.mark.slow
def test_outside_of_the_main_thread_no_signal_is_touched(whole):
    codes: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: codes.append(cli.main([*SHORT, "--out", "o"])))
    thread.start()
    thread.join()
    assert codes == [0] and signal.getsignal(signal.SIGINT) is before and without_seconds(stored()) == whole


@posix
def test_the_library_installs_no_handler(monkeypatch):
    seen: list[Any] = []
    stopping(monkeypatch, 1, lambda: seen.append(signal.getsignal(signal.SIGTERM)))
    before = signal.getsignal(signal.SIGTERM)
    Comparison(resolve("xor", ["bp"], [0], {"epochs": 2})).run()
    assert seen == [before]


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_an_exception_once(name):
    number = getattr(signal, name)
    before = signal.signal(number, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    try:
        with listening():
            with pytest.raises(Ended, match=f"^ended by {name}$"):
                signal.raise_signal(number)
            signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        signal.signal(number, signal.SIG_IGN)
        with listening():
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)


def test_the_signals_name_is_said_before_the_run(command, monkeypatch):
    def stop(*args: Any, **kwargs: Any) -> None:
        raise Ended(signal.SIGTERM)

    monkeypatch.setattr(compare, "load", stop)
    assert command(*SHORT) == (143, "", "nobackprop: ended by SIGTERM\n")


# ---------------------------------------------------------------- progress


class Terminal(io.StringIO):
    """Stderr at a terminal."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stderr: Any, log_every: int | None = None, **typed: Any) -> str:
    monkeypatch.setattr(sys, "stderr", stderr)
    comparison = Comparison(resolve("xor", ["bp", "las"], [0], {"epochs": 4, **typed}))
    comparison.run(log_every=log_every)
    return str(stderr.getvalue())


@pytest.mark.slow
def test_a_line_of_a_run_begins_with_the_run(monkeypatch):
    seen: list[str] = []
    stderr = io.StringIO()
    stopping(monkeypatch, 4, lambda: seen.append(stderr.getvalue()))
    text = shown(monkeypatch, stderr)
    assert seen[0].endswith("\nlas seed 0 (2 of 2) ... ")
    first, second = text.splitlines()
    assert re.fullmatch(r"bp seed 0 \(1 of 2\) \.\.\. [01]\.\d{4}, loss \S+ in \d+\.\d s, \d\d:\d\d left", first)
    assert re.fullmatch(r"las seed 0 \(2 of 2\) \.\.\. [01]\.\d{4}, loss \S+ in \d+\.\d s", second)


@pytest.mark.slow
def test_a_log_has_a_line_every_so_many_epochs(monkeypatch):
    lines = shown(monkeypatch, io.StringIO(), log_every=2).splitlines()
    assert [line[:28] for line in lines if "epoch" in line] == [
        f"{rule} seed 0: epoch {epoch} of 4, loss "[:28] for rule in ("bp", "las") for epoch in (2, 4)]
    assert lines[0] == "bp seed 0 (1 of 2) ... " and lines[3].startswith("bp seed 0 (1 of 2): ")
    assert re.search(r"loss \S+, validation accuracy [01]\.\d{4}, \d\d:\d\d left$", lines[1])
    assert not lines[-2].endswith(" left") and not lines[-1].endswith(" left") and len(lines) == 8


@pytest.mark.slow
def test_a_terminal_has_a_bar_with_loss_and_time_left(monkeypatch):
    text = shown(monkeypatch, Terminal(), log_every=2)
    assert "las seed 0: 100%" in text and re.search(r"8/8 \[\d\d:\d\d<00:00, .*loss \d", text)
    assert "\rbp seed 0: epoch 2 of 4, loss " in text and "(1 of 2)" not in text


def test_the_bar_counts_what_is_left(monkeypatch):
    """Of three runs of 10 epochs one has ended, one has 4 epochs in its checkpoint, and one diverges in its third."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    record = {"train_loss": 1.0, "validation_accuracy": 0.5}
    with Progress(3, 2, 20) as bar:
        bar.begin("bp seed 0", 10)
        bar.skip(4)
        for _ in range(6):
            bar.epoch(record)
        bar.end("0.5", 1.0)
        assert (bar.bar.n, bar.bar.total) == (6, 16)
        bar.begin("bp seed 1", 10)
        bar.epoch(record)
        bar.epoch(record)
        bar.end("diverged", 1.0)
        assert (bar.bar.n, bar.bar.total, bar.number, bar.left()) == (8, 8, 3, "")


@pytest.mark.parametrize("stderr", [None, "full", "gone"])
def test_a_stderr_that_takes_nothing_is_harmless(monkeypatch, stderr):
    class Full(Terminal if stderr == "gone" else io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO if stderr == "gone" else errno.ENOSPC, "nothing")

    monkeypatch.setattr(sys, "stderr", Full() if stderr else None)
    comparison = Comparison(resolve("xor", ["bp"], [0], {"epochs": 2}))
    with claim("o", "xor") as folder:
        comparison.run(folder, log_every=1)
    assert len(stored()["runs"]) == 1


def test_time_left_is_that_of_the_epochs_that_are_left(monkeypatch):
    now = iter([0.0, 30.0, 60.0])
    monkeypatch.setattr("nobackprop.experiments.progress.time.monotonic", lambda: next(now))
    monkeypatch.setattr(sys, "stderr", None)
    with Progress(2, 2, 8) as progress:
        progress.begin("bp seed 0", 4)
        progress.epoch({"train_loss": 1.0})
        assert progress.left() == ", 03:30 left"
        progress.epoch({"train_loss": 1.0})
        progress.skip(2)
        assert progress.left() == ", 02:00 left"


@pytest.mark.slow
def test_results_are_written_at_most_every_two_seconds_but_after_every_run(monkeypatch):
    now, writes, write = [0.0], [], results.write
    epoch = Run.epoch

    def slow(run: Run) -> dict[str, Any]:
        now[0] += 0.75
        return epoch(run)

    monkeypatch.setattr(Run, "epoch", slow)
    monkeypatch.setattr(folders, "time", type("Clock", (), {"monotonic": staticmethod(lambda: now[0])}))
    monkeypatch.setattr(results, "write", lambda path, found: writes.append(
        (now[0], sum(len(run["history"]) for run in found["runs"]))) or write(path, found))
    with claim("o", "xor") as folder:
        Comparison(resolve("xor", ["bp"], [0, 1], {"epochs": 4})).run(folder)
    assert writes == [(0, 0), (2.25, 3), (3, 4), (5.25, 7), (6, 8), (6, 8)]
