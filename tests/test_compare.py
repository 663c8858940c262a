"""Comparisons: how settings are resolved, what is measured, what results.json holds and a reader refuses."""
from __future__ import annotations

import copy
import itertools
import json
import os
import re
import statistics
from dataclasses import fields
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop import figures, workers
from nobackprop.cli.options import READERS
from nobackprop.data import DATASETS, from_arrays, load
from nobackprop.data.sources import Source
from nobackprop.errors import InputError
from nobackprop.experiments import compare, loop, results
from nobackprop.experiments.compare import RULES, TRAINING, Comparison, resolve
from nobackprop.experiments.folder import claim
from nobackprop.kernels.loss import LOSSES
from nobackprop.learn import Run, fit
from nobackprop.metrics import size
from nobackprop.models import MODELS, build
from nobackprop.rules import FA
from nobackprop.rules import RULES as ALL_RULES
from nobackprop.settings import NetworkSettings, Settings

TINY = {"model": "mlp:8,8", "epochs": 2, "batch_size": 200}


def run(names=("bp", "shallow", "las"), seeds=(0, 1), **typed):
    comparison = Comparison(resolve("digits", names, seeds, TINY | typed))
    comparison.run()
    return comparison.results


@pytest.fixture(scope="module")
def done():
    return run()


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("data", DATASETS)
def test_defaults_are_those_of_the_data_set(data):
    config = resolve(data)
    for key, value in (vars(Settings()) | dict(DATASETS[data].defaults)).items():
        assert config[key] == (workers.cores() if value is None else value)
    assert config["rules"] == ["bp", "shallow", "fa", "dfa", "las", "ltas"] and config["seeds"] == [0, 1, 2]
    assert config["device"] == "cpu"


class Own(FA):
    """A rule with defaults of its own, one of which is that of digits."""

    defaults = {"lr": 0.5, "optimizer": "sgd", "epochs": 30}


@pytest.fixture
def own(monkeypatch):
    monkeypatch.setitem(ALL_RULES, "own", Own())


def test_typed_before_rule_before_data_set(own):
    config = resolve("digits", ["bp", "own"], overrides={"lr": 0.1})
    assert config["lr"] == 0.1 and config["optimizer"] == "adam"
    assert config["rule_settings"] == {"own": {"optimizer": "sgd"}}
    config = resolve("digits", ["bp", "own"])
    assert config["lr"] == 1e-3 and config["rule_settings"] == {"own": {"lr": 0.5, "optimizer": "sgd"}}
    settings = {trial.name: trial.settings for trial in Comparison(config).trials}
    assert (settings["bp"].lr, settings["bp"].optimizer) == (1e-3, "adam")
    assert (settings["own"].lr, settings["own"].optimizer) == (0.5, "sgd")


def test_a_rules_own_model_and_epochs_are_used(monkeypatch, own):
    monkeypatch.setattr(Own, "defaults", {"model": "mlp:4", "epochs": 1})
    comparison = Comparison(resolve("digits", ["bp", "own"], [0], {"batch_size": 500}) | {
        "epochs": 2, "model": "mlp:8,8"})
    comparison.run()
    bp, ours = comparison.results["runs"]
    assert [len(bp["history"]), len(ours["history"])] == [2, 1]
    assert [len(run["history"][0]["alignment"]) for run in (bp, ours)] == [2, 1]
    # a rule with fewer blocks has no number for the others
    row = next(line for line in results.table(comparison.results).splitlines() if line.startswith("own "))
    assert row.split()[-2] == "-"


def test_numbers_of_numpys_are_those_that_results_can_hold():
    typed = {"epochs": np.int64(2), "batch_size": np.int32(200), "lr": np.float32(0.5), "weight_decay": np.float64(0)}
    config = resolve("digits", ["bp"], [np.int64(1), np.uint8(2)], typed, threads=np.int64(1))
    assert json.loads(json.dumps(config)) == config
    assert (config["epochs"], config["batch_size"], config["lr"], config["seeds"]) == (2, 200, 0.5, [1, 2])


@pytest.mark.parametrize("wrong, sentence", [
    ({"data": "digit"}, "unknown data set 'digit': did you mean 'digits'"),
    ({"data": None}, "unknown data set None, which is no name"),
    ({"names": ["bp", "lass"]}, "unknown rule 'lass'"),
    ({"overrides": {"batchsize": 3}}, "unknown setting 'batchsize': did you mean 'batch_size'"),
    ({"overrides": {"epochs": "3"}}, "epochs must be an integer, got '3'"),
    ({"overrides": {"lr": float("nan")}}, "lr must be a positive number, got nan"),
    ({"overrides": {"optimizer": "adm"}}, "unknown optimizer 'adm'"),
    ({"seeds": [0, -1]}, "seed must be at least 0, got -1"),
    ({"seeds": "01"}, "seeds is '01', expected a list of integers from 0 on, such as"),
    ({"seeds": 0}, "seeds is 0, expected a list of integers"), ({"seeds": None}, "seeds is None, expected a list"),
    ({"seeds": []}, "seeds is .., expected at least one integer"), ({"seeds": [1, 1]}, "seeds is .1, 1., expected at"),
    ({"seeds": [[0]]}, "seed must be an integer, got"), ({"seeds": {0: 1}}, "seeds is {0: 1}, expected a list"),
    ({"seeds": [1.0]}, "seed must be an integer, got 1.0"),
    ({"threads": 0}, "threads must be at least 1, got 0"),
    ({"threads": 1.5}, "threads must be an integer, got 1.5"),
])
def test_what_cannot_be_is_told_before_anything_is_read(wrong, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        resolve(**({"data": "digits"} | wrong))


@pytest.mark.slow
def test_a_config_from_before_a_setting_still_runs(done):
    """It then has the setting's default."""
    config = {key: value for key, value in done["config"].items() if key not in ("loss", "augment", "dtype")}
    again = Comparison(config)
    again.run()
    assert without_seconds(again.results["runs"]) == without_seconds(done["runs"])


@pytest.fixture
def unknown_shape(monkeypatch):
    """A data set of which nothing is known before it is loaded; says whether it was."""
    loaded = []

    def load_it(data_dir=None, download=False):
        loaded.append(data_dir)
        return load("digits")

    monkeypatch.setitem(DATASETS, "unknown", Source(load_it, "of a shape that is not known"))
    return loaded


def test_a_data_set_may_say_nothing_of_itself(unknown_shape):
    config = resolve("unknown", ["bp"], [0])
    assert config["threads"] == 1 and all(config[key] == value for key, value in (
        vars(NetworkSettings()) | vars(Settings())).items())
    comparison = Comparison(config | TINY)
    comparison.run()
    assert len(unknown_shape) == len(comparison.finished()) == 1
    with pytest.raises(InputError, match="^the data set 'of a shape that is not known' has a shape only after"):
        DATASETS["unknown"].sizes()


@pytest.mark.parametrize("wrong, sentence", [
    ({"model": "mpl:8"}, "unknown model 'mpl'"), ({"model": "mlp:8,x"}, "model 'mlp:8,x': expected hidden layer sizes"),
    ({"model": "conv3:99"}, "model 'conv3:99': expected a width factor"),
    ({"model": "mlp:999999999999"}, "model 'mlp:999999999999' has"),
    ({"activation": "rely"}, "unknown activation 'rely'"), ({"loss": "sqared"}, "unknown loss 'sqared'"),
    ({"augment": "flop"}, "unknown augmentation 'flop'"),
])
def test_mistakes_that_need_no_data_are_told_before_such_a_data_set_is_read(unknown_shape, wrong, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        Comparison(resolve("unknown", ["bp"], [0], wrong))
    assert not unknown_shape


@pytest.mark.parametrize("model", [spec for spec in MODELS if spec not in ("mlp", "mlp-bn")])
def test_every_model_of_images_may_be_asked_for_before_a_shape_is_known(unknown_shape, monkeypatch, model):
    monkeypatch.setattr(compare, "load", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Comparison(resolve("unknown", ["bp"], [0], {"model": model}))


def test_a_third_loss_is_known_everywhere(monkeypatch):
    monkeypatch.setitem(LOSSES, "half", tuple(lambda a, y, f=f: f(a, y) / 2 for f in LOSSES["squared"]))
    asked = {"lr": 0.1, "optimizer": "sgd", "epochs": 1}
    half, whole = (run(["bp"], [0], **asked, loss=loss)["runs"][0]["history"][0] for loss in ("half", "squared"))
    assert half["train_loss"] != whole["train_loss"]
    again = run(["bp"], [0], **asked | {"lr": 0.2}, loss="half")["runs"][0]["history"][0]
    assert again["validation_accuracy"] == whole["validation_accuracy"]
    assert_close(np.float32(2 * again["train_loss"]), np.float32(whole["train_loss"]))


def test_every_setting_says_what_it_is_for():
    for group in (NetworkSettings, Settings):
        for option in fields(group):
            assert set(option.metadata) == {"help", "kind", "check", "known"} and option.metadata["kind"] in READERS
            assert option.metadata["help"] and "\n" not in option.metadata["help"]
            assert option.metadata["check"](option.name, option.default) == option.default
    assert set(DATASETS["digits"].defaults) <= {*TRAINING, "threads"}


@pytest.mark.parametrize("rule", ALL_RULES)
def test_rules_ask_only_for_settings_that_there_are(rule):
    assert set(ALL_RULES[rule].defaults) <= set(TRAINING)


def test_the_default_rules_exist():
    assert set(RULES) <= set(ALL_RULES)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_limited_and_recorded(monkeypatch, threads):
    counts = []

    class Counted(compare.Run):
        def epoch(self):
            counts.append(workers.count(self.x))
            return super().epoch()

    monkeypatch.setattr(loop, "Run", Counted)
    comparison = Comparison(resolve("digits", ["bp"], [0], TINY, threads=threads))
    comparison.run()
    assert set(counts) == {threads} and comparison.results["environment"]["threads"] == threads


def test_all_cores_are_those_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5}, raising=False)
    assert resolve("mnist")["threads"] == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert resolve("mnist")["threads"] == 1


def test_a_device_is_recorded_by_its_name():
    cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceProperties=lambda i: {"name": b"GPU %d" % i}),
                           Device=lambda: SimpleNamespace(id=1))
    cupy = ModuleType("cupy")
    vars(cupy)["cuda"] = cuda
    assert compare.environment(cupy, 1, load("xor"))["device"] == "GPU 1"
    assert compare.environment(np, 1, load("xor"))["device"] == "cpu"


# ---------------------------------------------------------------- what is measured


def without_seconds(runs):
    return [{key: value for key, value in run.items() if key != "seconds"} for run in runs]


def test_results_have_the_agreed_keys(done):
    assert list(done) == ["format", "command", "config", "environment", "runs"]
    assert (done["format"], done["command"]) == (2, "compare")
    assert list(done["environment"]) == ["nobackprop", "numpy", "python", "platform", "device", "threads", "dataset",
                                         "fingerprint", "settings"]
    assert [(run["rule"], run["seed"]) for run in done["runs"]] == [
        (rule, seed) for rule in ("bp", "shallow", "las") for seed in (0, 1)]
    for one in done["runs"]:
        assert list(one) == ["rule", "seed", "parameters", "seconds", "test_accuracy", "history"]
        assert one["parameters"] == 64 * 8 + 8 + 8 * 8 + 8 + 8 * 10 + 10 and one["seconds"] > 0
        assert [record["epoch"] for record in one["history"]] == [1, 2]
        for record in one["history"]:
            assert list(record)[:5] == ["epoch", "train_loss", "validation_accuracy", "alignment", "alignment_at_a"]
            assert len(record["alignment"]) == len(record["alignment_at_a"]) == 2


def test_a_comparison_is_what_fit_gives(done):
    data = load("digits")
    net = build("mlp:8,8", data.shape, data.classes)
    alone = fit(net, ALL_RULES["las"], data, Settings(epochs=2, batch_size=200), seed=1)
    ours, = (one for one in done["runs"] if (one["rule"], one["seed"]) == ("las", 1))
    assert ours["history"] == alone.history and ours["test_accuracy"] == alone.test_accuracy()
    assert ours["parameters"] == size(alone.params)


def test_one_seed_gives_the_same_bits_again(done):
    again = run()
    assert without_seconds(again["runs"]) == without_seconds(done["runs"])
    assert again["config"] == done["config"]


@pytest.mark.parametrize("rule", ["bp", "sdfa", "las"])
def test_a_run_that_its_last_update_broke_does_not_count(rule):
    """Two steps of an absurd size: both losses are numbers, and then there are none."""
    comparison = Comparison(resolve("digits", [rule], [0], {
        "lr": 1e8, "optimizer": "sgd", "epochs": 1, "batch_size": 800}))
    comparison.run()
    one, = comparison.results["runs"]
    assert re.match(rf"rule {rule}, seed 0: .* at epoch 1's end; try a learning rate below 1e\+08", one["diverged"])
    assert one["history"] == comparison.finished() == [] and one["test_accuracy"] is None


def test_files_may_hold_fewer_classes_than_the_publishers(monkeypatch):
    rng = np.random.default_rng(0)
    data = from_arrays("few", rng.standard_normal((40, 5)), np.arange(40) % 3, rng.standard_normal((9, 5)),
                       np.arange(9) % 3)
    monkeypatch.setitem(DATASETS, "few", Source(lambda data_dir, download: data, "", {
        "model": "mlp:4", "activation": "tanh", "threads": 1}, (5,), 10))
    found = Comparison(resolve("few", ("bp",), (0,), {"epochs": 1}))
    found.run()
    assert found.results["runs"][0]["parameters"] == 4 * 5 + 4 + 3 * 4 + 3


def test_finished_are_the_runs_that_reached_their_end(monkeypatch):
    """The third one stops after its first epoch: it is that of bp with the second seed."""
    comparison = Comparison(resolve("digits", ("bp", "shallow"), (0, 1), TINY))
    epoch, count = Run.epoch, itertools.count(1)

    def stops(self):
        if next(count) == 6:
            raise KeyboardInterrupt
        return epoch(self)

    monkeypatch.setattr(Run, "epoch", stops)
    with pytest.raises(KeyboardInterrupt):
        comparison.run()
    runs = comparison.results["runs"]
    assert [(run["rule"], run["seed"], len(run["history"])) for run in runs] == [
        ("bp", 0, 2), ("bp", 1, 1), ("shallow", 0, 2)]
    assert comparison.finished() == [runs[0], runs[2]] and runs[1]["test_accuracy"] is None
    assert comparison.results["config"]["interrupted"] is True


def test_seeds_differ(done):
    first, second = done["runs"][:2]
    assert first["history"] != second["history"]


def test_config_holds_no_paths_and_is_enough_to_run_again(done):
    assert set(done["config"]) == {"data", "rules", "seeds", *TRAINING, "device", "threads",
                                   "rule_settings"}
    again = Comparison(json.loads(json.dumps(done["config"])))
    again.run()
    assert without_seconds(again.results["runs"]) == without_seconds(done["runs"])


# ---------------------------------------------------------------- the folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_free_folder(place):
    for expected in ("digits-001", "digits-002"):
        with claim(None, "digits") as folder:
            assert folder.path == Path("runs", expected) and folder.path.is_dir()
            (folder.path / "kept").touch()
    Path("runs", "digits-003").touch()
    with claim(None, "digits") as folder:
        assert folder.path == Path("runs", "digits-004")
    with claim(None, "xor") as folder:
        assert folder.path == Path("runs", "xor-001")


def test_a_folder_taken_in_the_same_moment_is_passed_over(place, monkeypatch):
    mkdir, rivals = Path.mkdir, [Path("runs/digits-001")]

    def late(path, *args, **kwargs):
        if path in rivals:
            rivals.remove(path)
            mkdir(path, parents=True)
        return mkdir(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", late)
    with claim(None, "digits") as folder:
        assert folder.path == Path("runs/digits-002") and folder.path.is_dir()


def test_folders_that_stay_empty_go_again_with_the_parents_made_for_them(place):
    (place / "there").mkdir()
    with pytest.raises(ZeroDivisionError), claim("there/a/b", "digits") as folder:
        assert folder.path.is_dir()
        _ = 1 / 0
    assert [str(path) for path in place.rglob("*")] == [str(place / "there")]
    with claim("there", "digits"):
        pass
    assert (place / "there").is_dir()


def test_an_empty_folder_may_be_used_and_a_full_one_not(place):
    (place / "out").mkdir()
    with claim("out", "digits") as folder:
        (folder.path / "results.json").touch()
    assert (place / "out" / "results.json").exists()
    with pytest.raises(InputError, match="already used"), claim("out", "digits"):
        pass


def test_a_folder_that_cannot_be_written_to(place, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with (pytest.raises(InputError, match=r"^cannot write to the folder a/b \(Permission denied\)"),
          claim("a/b", "digits")):
        pass
    assert list(place.iterdir()) == []


def test_the_runs_folder_may_be_a_file(place):
    Path("runs").touch()
    with (pytest.raises(InputError, match=r"^cannot write to the folder runs/digits-001"),
          claim(None, "digits")):
        pass


def test_an_error_inside_is_not_taken_for_one_of_the_folder(place):
    with pytest.raises(BrokenPipeError), claim("out", "digits"):
        raise BrokenPipeError


# ---------------------------------------------------------------- the file


def test_what_is_written_is_strict_and_reads_back(done, tmp_path):
    path = tmp_path / "results.json"
    results.write(path, done)
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == done == results.read(path)


def test_numbers_that_are_none_are_written_as_null(tmp_path):
    path = tmp_path / "results.json"
    results.write(path, {"a": [float("nan"), (1.5, float("-inf"))], "b": {"c": float("inf")}})
    assert json.loads(path.read_text()) == {"a": [None, [1.5, None]], "b": {"c": None}}


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    path.write_text("old")

    def half(path, text, encoding):
        path.write_bytes(text.encode()[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(InputError, match="No space left"):
        results.write(path, {"a": "b" * 100})
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


GONE = object()
WRONG: dict[tuple[str | int, ...], list[tuple[Any, str]]] = {
    ("config",): [(GONE, "the key 'config' is missing"), ([], "'config' is [], expected an object")],
    ("config", "data"): [(GONE, "the key 'config.data' is missing"),
                         (3, "'config.data' is 3, expected a text")],
    ("config", "model"): [(GONE, "the key 'config.model' is missing")],
    ("runs",): [(GONE, "the key 'runs' is missing"), ({}, "'runs' is {}, expected a list"),
                ([], "'runs' is empty, expected at least one run"),
                (["x" * 50], f"'runs[0]' is \"{'x' * 39}..., expected an object")],
    ("runs", 0, "rule"): [(GONE, "the key 'runs[0].rule' is missing")],
    ("runs", 1, "seed"): [(GONE, "the key 'runs[1].seed' is missing"),
                          (0.5, "'runs[1].seed' is 0.5, expected an integer"),
                          (True, "'runs[1].seed' is true, expected an integer"),
                          (-1, "'runs[1].seed' is -1, expected an integer from 0 on"),
                          (0, "'runs[1]' has the rule and the seed of 'runs[0]', expected each pair once")],
    ("runs", 0, "seconds"): [(-1, "'runs[0].seconds' is -1, expected a number from 0 to 1e+300"),
                             (None, "'runs[0].seconds' is null, expected a number"),
                             (10**400, f"'runs[0].seconds' is 1{'0' * 39}..., expected a number")],
    ("runs", 0, "test_accuracy"): [("1", "'runs[0].test_accuracy' is \"1\", expected a number or null")],
    ("runs", 0, "history"): [(GONE, "the key 'runs[0].history' is missing"),
                             ([], "'runs[0].history' is empty, expected at least one epoch")],
    ("runs", 0, "history", 1, "epoch"): [
        (GONE, "the key 'runs[0].history[1].epoch' is missing"),
        (1, "'runs[0].history[1].epoch' is 1, expected 2"),
        (3, "'runs[0].history[1].epoch' is 3, expected 2"),
        (10**400, "'runs[0].history[1].epoch' is an integer of 1329 bits, expected 2")],
    ("config", "interrupted"): [("no", "'config.interrupted' is \"no\", expected true or false")],
    ("config", "diverged"): [(1, "'config.diverged' is 1, expected a text")],
    ("config", "scale"): [(1, "'config.scale' is 1, expected a text")],
    ("config", "printed"): [([], "'config.printed' is [], expected an object")],
    ("runs", 0, "history", 1, "train_loss"): [
        (GONE, "the key 'runs[0].history[1].train_loss' is missing")],
    ("runs", 0, "history", 1, "validation_accuracy"): [
        (GONE, "the key 'runs[0].history[1].validation_accuracy' is missing"),
        (None, "'runs[0].history[1].validation_accuracy' is null, expected a number")],
    ("runs", 0, "history", 0, "alignment_at_a"): [
        (GONE, "the key 'runs[0].history[0].alignment_at_a' is missing"),
        ([1, "a"], "'runs[0].history[0].alignment_at_a[1]' is \"a\", expected a number or null")],
}


@pytest.mark.parametrize("at, value, sentence",
                         [(at, *case) for at, cases in WRONG.items() for case in cases])
def test_a_malformed_file_is_told_by_its_key(done, tmp_path, at, value, sentence):
    wrong = copy.deepcopy(done)
    *parents, last = at
    node = wrong
    for key in parents:
        node = node[key]
    if value is GONE:
        del node[last]
    else:
        node[last] = value
    path = tmp_path / "results.json"
    path.write_text(json.dumps(wrong))
    with pytest.raises(InputError) as caught:
        results.read(path)
    assert str(caught.value) == f"{path}: {sentence}"


@pytest.mark.parametrize("form, sentence", [
    (3, "{} has format 3, expected 2 at most: a newer nobackprop wrote it"),
    (10**40, "{} has format an integer of 133 bits, expected 2 at most: a newer nobackprop wrote it"),
    ("2", "{}: 'format' is \"2\", expected an integer"), (0, "{}: 'format' is 0, expected an integer from 1 to 2"),
    (None, "{}: 'format' is null, expected an integer"), (1, None), (2, None)])
def test_a_file_of_a_newer_format_is_not_misread(done, tmp_path, form, sentence):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(done | {"format": form}))
    if sentence is None:
        assert results.read(path)["runs"] == done["runs"]
    else:
        with pytest.raises(InputError) as told:
            results.read(path)
        assert str(told.value).startswith(sentence.format(path).partition(", expected an integer")[0])


def test_a_file_may_begin_without_runs_and_a_diverged_run_without_epochs(done, tmp_path):
    path = tmp_path / "results.json"
    gone = done["runs"][0] | {"history": [], "test_accuracy": None, "diverged": "the loss left"}
    results.write(path, done | {"runs": []})
    assert results.read(path, begun=True)["runs"] == []
    results.write(path, done | {"runs": [gone]})
    assert results.read(path)["runs"] == [gone]


@pytest.mark.parametrize("content, why", [
    (b"", "it goes wrong at line 1, column 1"),
    (b'{"a":\n 1,', "it goes wrong at line 2, column 4"),
    (b"\xff", "byte 0 is not UTF-8"),
    (b'{"a": NaN}', "strict JSON has no NaN"),
    (b'{"a": -Infinity}', "strict JSON has no -Infinity"),
    (b"[" * 100_000, "its lists or objects are nested too deeply"),
    (b'{"a":' * 100_000, "its lists or objects are nested too deeply"),
    (b'{"a": ' + b"9" * 5000 + b"}", "it holds an integer of 5000 digits"),
    (b'{"runs": [], "runs": []}', "an object has one of its keys twice"),
])
def test_a_file_that_is_not_json(tmp_path, content, why):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as told:
        results.read(path)
    assert str(told.value) == f"{path} is not JSON, expected a results.json: {why}"


def test_a_mark_that_editors_put_at_the_beginning_is_no_mistake(done, tmp_path):
    path = tmp_path / "results.json"
    results.write(path, done)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert results.read(path)["runs"] == done["runs"]


@pytest.mark.parametrize("path", [3, None, b"results.json", "", "a\0b", "\ud800"], ids=repr)
def test_what_is_no_name_of_a_file_or_folder_is_one_sentence(path):
    for use in (results.read, lambda path: results.write(path, {}), figures.check_ending):
        with pytest.raises(InputError, match="expected the name of a file or a folder"):
            use(path)
    if path is not None:
        with pytest.raises(InputError, match="expected the name of a file or a folder"), claim(path, "x"):
            pass


def test_a_number_that_json_cannot_hold_is_told(done, tmp_path):
    path = tmp_path / "results.json"
    wrong = copy.deepcopy(done)
    wrong["runs"][0]["seconds"] = "HERE"
    path.write_text(json.dumps(wrong).replace('"HERE"', "1e999"))
    with pytest.raises(InputError, match=r"'runs\[0\].seconds' is Infinity, expected a number"):
        results.read(path)


# ---------------------------------------------------------------- the table


def a_run(rule, seed, accuracy, loss, cosines, seconds=1.0):
    record = {"epoch": 1, "train_loss": loss, "validation_accuracy": 0.5, "alignment": cosines,
              "alignment_at_a": cosines}
    return {"rule": rule, "seed": seed, "seconds": seconds, "test_accuracy": accuracy,
            "history": [record | {"train_loss": 99.0, "alignment": [0.0] * len(cosines),
                                  "alignment_at_a": [0.0] * len(cosines)}, record]}


def test_the_table_holds_means_and_the_sample_deviation():
    accuracies = [0.9, 0.95, 0.97]
    runs = [a_run("las", seed, accuracy, accuracy / 10, [accuracy / 2, None if seed else 0.25], accuracy)
            for seed, accuracy in enumerate(accuracies)]
    text = results.table({"config": {}, "runs": [*runs, a_run("shallow", 0, None, 1.0, [None, 1.0])]})
    title, _, _, head, las, shallow = text.splitlines()
    assert title == "test accuracy: mean ± sample standard deviation over 3 seeds"
    spread = statistics.stdev(accuracies)
    assert las.split() == ["las", "0.9400", "±", f"{spread:.4f}", "0.0940", "0.470", "0.250", "0.9"]
    assert shallow.split() == ["shallow", "-", "1.0000", "-", "1.000", "1.0"]
    assert head.split()[-3:] == ["delta_1", "delta_2", "s/run"]
    assert len({len(line) for line in (head, las, shallow)}) == 1


@pytest.mark.parametrize("arms, names", [
    (["las", "./mine.py:Sign", "my.rules:Other:k=2"], ["las", "Sign", "Other:k=2"]),
    (["./a.py:Sign", "./b.py:Sign", "./b.py:Sign:k=2"], ["./a.py:Sign", "./b.py:Sign", "Sign:k=2"]),
    (["./a.py:Sign", "Sign"], ["./a.py:Sign", "Sign"]),
    (["./a.py:las", "./a.py:dfa:k=2"], ["./a.py:las", "./a.py:dfa:k=2"]),  # as of the library: it would be mistaken
    (["asap:k=4", "bp, no shortcut"], ["asap:k=4", "bp, no shortcut"])], ids=str)
def test_a_table_names_a_rule_of_ones_own_by_its_class_if_no_other_is_called_the_same(arms, names):
    assert results.shown(arms) == dict(zip(arms, names, strict=True))
    runs = [a_run(arm, 0, 0.5, 1.0, [0.25]) for arm in arms]
    for run in runs:
        run["history"][-1]["length"] = 2.5
    lines = results.table({"runs": runs}).splitlines()
    assert [line[:line.index("  ")] for line in lines[4:4 + len(arms)]] == names
    assert [line[:line.index("  ")] for line in lines[-len(arms):]] == names


def test_a_diverged_run_is_in_no_mean_and_is_said_below():
    gone = a_run("las", 1, None, 77.0, [0.9]) | {"diverged": "rule las, seed 1: the loss became inf at epoch 3"}
    never = {"rule": "fa", "seed": 0, "seconds": 0.0, "test_accuracy": None, "history": [], "diverged": "rule fa, ..."}
    text = results.table({"runs": [a_run("las", 0, 0.5, 1.0, [0.25]), gone, never]}).splitlines()
    assert [line.split() for line in text[4:6]] == [["las", "0.5000", "±", "-", "1.0000", "0.250", "1.0"],
                                                    ["fa", "diverged", "-", "-", "-"]]
    assert text[6:] == ["", f"diverged, and in no mean: {gone['diverged']}", "diverged, and in no mean: rule fa, ..."]
    alone = results.table({"runs": [never]}).splitlines()
    assert alone[3].split()[-2:] == ["loss", "s/run"] and alone[4].split() == ["fa", "diverged", "-", "-"]


def test_one_seed_has_no_spread_and_columns_stay_in_line():
    runs = [a_run("bp", 0, 0.5, 1.0, [1.0] * 3), a_run("las", 0, 0.25, 1.0, [0.5] * 3)]
    text = results.table({"runs": runs})
    assert "over 1 seed\n" in text
    head, *rows = text.splitlines()[3:]
    assert rows[0].split()[1:4] == ["0.5000", "±", "-"]
    assert {len(line) for line in rows} == {len(head)} and max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("blocks, shown", [(5, [1, 2, 3, 4, 5]), (6, [1, 2, 3, 5, 6]), (9, [1, 3, 5, 7, 9]),
                                           (17, [1, 5, 9, 13, 17])])
def test_of_a_deep_network_the_table_has_five_blocks_the_first_and_the_last_among_them(blocks, shown):
    text = results.table({"runs": [a_run("las", 0, 0.5, 1.0, [i / 100 for i in range(1, blocks + 1)])]})
    head, row = (line.split() for line in text.splitlines()[3:])
    assert head[-6:] == [*(f"delta_{i}" for i in shown), "s/run"]
    assert row[-6:-1] == [f"{i / 100:.3f}" for i in shown]


@pytest.mark.parametrize("cosine, fits", [(-1, True), (-0.25, True), (1, True), (-1.01, False), (1.01, False)])
def test_a_cosine_lies_between_minus_1_and_1(done, tmp_path, cosine, fits):
    path, changed = tmp_path / "results.json", copy.deepcopy(done)
    changed["runs"][0]["history"][1]["alignment"][0] = cosine
    results.write(path, changed)
    if fits:
        assert results.read(path) == changed
    else:
        with pytest.raises(InputError, match=f"alignment.0.' is {cosine}, expected a number or null from -1 to 1"):
            results.read(path)


@pytest.mark.parametrize("width, blocks", [(109, [1, 3, 5, 8, 10]), (108, [1, 4, 7, 10]), (99, [1, 5, 10]),
                                           (82, [1, 10]), (72, [1]), (63, []), (9, [])])
def test_a_table_has_as_many_cosines_as_its_line_has_room_for(width, blocks):
    record = {"train_loss": 0.5, "validation_accuracy": 1.0, "alignment": [0.5] * 10, "alignment_at_a": [0.5] * 10}
    run = {"rule": "a rule with a long label", "seed": 0, "seconds": 2.0, "test_accuracy": 0.9, "history": [record]}
    head, row = results.table({"runs": [run]}, width).splitlines()[3:5]
    assert [word for word in head.split() if word.startswith("delta")] == [f"delta_{i}" for i in blocks]
    assert len(row) == len(head) and (len(head) <= width or not blocks)
