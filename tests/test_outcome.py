"""Settings that are left out, and `nb.compare`: Python gives what the command line gives."""
from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from types import ModuleType

import numpy as np
import pytest

import nobackprop as nb
from nobackprop import cli
from nobackprop.data import DATASETS, from_arrays
from nobackprop.errors import InputError
from nobackprop.experiments import results
from nobackprop.experiments.compare import resolve, trial
from nobackprop.experiments.outcome import Outcome
from nobackprop.layers import Activation, Dense
from nobackprop.learn import Run
from nobackprop.network import sequential
from nobackprop.rules import RULES
from nobackprop.settings import NAMES, suited

SMALL = {"model": "mlp:8,8", "epochs": 2}


def own(name: str = "mine"):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), np.arange(60) % 3
    return from_arrays(name, x, y, x[:9], y[:9], validation=9)


def quietly(*args, **kwargs) -> Outcome:
    with contextlib.redirect_stderr(io.StringIO()):
        return nb.compare(*args, **kwargs)


# ---------------------------------------------------------------- settings


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "xor"])
def test_a_run_without_settings_has_those_of_the_command_line(data):
    config, loaded = resolve(data, list(RULES)), nb.data.load(data)
    net = nb.models.build("mlp:6,6,6,6,6", loaded.shape, loaded.classes)
    for name in RULES:
        wanted = trial(config, name, loaded.shape, loaded.classes).settings if name != "al" else trial(
            config | {"model": "mlp:6,6"}, name, loaded.shape, loaded.classes).settings
        assert Run(net, name, loaded).settings == wanted, name
        assert Run(net, RULES[name], loaded, nb.Settings()).settings == nb.Settings()


@pytest.mark.parametrize("data, name", list(product(DATASETS, ("bp", "kp", "drtp"))))
def test_what_wins(data, name):
    rule, usual = RULES[name], {key: value for key, value in DATASETS[data].defaults.items() if key in NAMES}
    found = suited(data, rule)
    assert found == vars(nb.settings.NetworkSettings()) | vars(nb.Settings()) | usual | dict(rule.defaults)
    assert suited(data, rule, {"lr": 7, "weight_decay": 0.5}) == found | {"lr": 7.0, "weight_decay": 0.5}
    assert suited("of nobody", None) == vars(nb.settings.NetworkSettings()) | vars(nb.Settings())


def test_a_setting_that_a_rule_asks_for_and_nobody_knows_is_told():
    class Wrong(nb.rules.DFA):
        defaults = {"learning_rate": 0.1}
    data = own()
    with pytest.raises(InputError, match="^unknown setting 'learning_rate'"):
        Run(nb.models.build("mlp:4", data.shape, 3), Wrong(), data)


def test_kolen_pollack_decays_in_python_too():
    data = nb.data.load("xor")
    run = Run(nb.models.build("mlp:4", data.shape, data.classes), nb.rules.get("kp"), data)
    assert (run.settings.optimizer, run.settings.weight_decay) == ("adamw", 0.3)


# ---------------------------------------------------------------- nb.compare


def without_time(found):
    return [{key: value for key, value in run.items() if key != "seconds"} for run in found["runs"]]


@pytest.mark.slow
def test_it_measures_what_the_command_writes(tmp_path, capsys):
    assert cli.main(["compare", "--data", "digits", "--rules", "bp,kp,las", "--seeds", "0,1", "--model", "mlp:8,8",
                     "--epochs", "2", "--out", str(tmp_path / "typed")]) == 0
    typed = results.read(tmp_path / "typed" / "results.json")
    found = quietly("digits", ["bp", nb.rules.get("kp"), "las"], [0, 1], **SMALL)
    assert found.results["config"] == typed["config"]
    assert without_time(json.loads(json.dumps(results.strict(found.results)))) == without_time(typed)
    found.save(tmp_path / "saved.json")
    assert results.read(tmp_path / "saved.json")["runs"] and found.table() == repr(found) == results.table(
        found.results)
    figure = found.plot(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").is_file() and len(figure.axes) >= 2
    with pytest.raises(InputError, match=r"expected a name that ends in \.png"):
        found.plot(tmp_path / "figure.doc")


@pytest.mark.slow
def test_data_and_a_network_of_your_own_are_compared(tmp_path):
    net = sequential([Dense(6), Activation("tanh"), Dense(3)], "squared")
    found = quietly(own(), ["bp", "dfa"], [0], net=net, epochs=1, out=str(tmp_path / "out"))
    assert (found.results["config"]["data"], found.results["config"]["loss"]) == ("mine", "squared")
    assert results.read(tmp_path / "out" / "results.json")["runs"] == json.loads(json.dumps(found.results["runs"]))
    assert (tmp_path / "out" / "figure.png").is_file()
    alone = nb.fit(net, "dfa", own(), nb.Settings(epochs=1))
    assert found.results["runs"][1]["history"] == alone.history


def test_a_rule_that_no_text_gives_is_called_by_its_class(monkeypatch):
    @dataclass(frozen=True)
    class Mine(nb.rules.DFA):
        """Direct feedback alignment by another name."""
    found = quietly(own(), [Mine(), "dfa", nb.rules.ASAP(k=7)], [0], model="mlp:4,4,4", epochs=1)
    runs = found.results["runs"]
    assert [run["rule"] for run in runs] == ["Mine", "dfa", "asap:k=7"] and runs[0]["history"] == runs[1]["history"]


@pytest.mark.slow
def test_its_rows_are_flat():
    found = quietly("xor", ["bp", "dfa"], [0, 1], **SMALL)
    rows = found.rows()
    assert len(rows) == 2 * 2 * 2
    assert {"rule", "seed", "epoch", "train_loss", "validation_accuracy", "test_accuracy", "alignment_1",
            "alignment_2"} <= rows[0].keys()
    assert not any(isinstance(value, list | dict) for row in rows for value in row.values())
    assert rows[-1]["alignment_2"] == found.results["runs"][-1]["history"][-1]["alignment"][1]


def test_a_frame_is_made_of_the_rows(monkeypatch):
    made, found = [], quietly("xor", ["bp"], [0], model="mlp:4", epochs=1)
    pandas = ModuleType("pandas")
    pandas.DataFrame = lambda rows: made.append(rows) or "a frame"
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    assert found.to_pandas() == "a frame" and made == [found.rows()]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"^to_pandas needs pandas, which is not installed: "
                                         r"pip install 'nobackprop\[pandas\]'$"):
        found.to_pandas()


@pytest.mark.parametrize("wrong, sentence", [
    ({"data": "digit"}, "unknown data set 'digit': did you mean 'digits'"), ({"data": 3}, "data is 3, expected the na"),
    ({"rules": "bp"}, "rules is 'bp', expected a list of rules"), ({"rules": []}, r"rules is \[\], expected a list"),
    ({"rules": ["bp", nb.rules.BP()]}, "rules has bp twice, expected each once"), ({"rules": ["lass"]}, "unknown rule"),
    ({"rules": [3]}, "unknown rule 3, which is no name"),
    ({"rules": [nb.rules.BP]}, "unknown rule"), ({"seeds": [-1]}, "seed must be"),
    ({"epoch": 3}, "unknown setting 'epoch': did you mean 'epochs'"), ({"net": "mlp:8"}, "net is 'mlp:8'"),
    ({"net": sequential([Dense(10)]), "model": "mlp:8"}, "got model and net, expected one of the two"),
    ({"threads": 0}, "threads must be at least 1"), ({"device": "gpu"}, "unknown device 'gpu'"),
])
def test_what_cannot_be_compared_is_one_sentence(wrong, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        nb.compare(**wrong)


@pytest.mark.slow
def test_the_package_waits_for_no_figure():
    script = ("import sys, nobackprop as nb; print('matplotlib' in sys.modules, 'compare' in nb.__all__); "
              "print(nb.compare.__name__); nb.nothing")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "False True\ncompare\n"
    assert done.stderr.strip().endswith("AttributeError: module 'nobackprop' has no attribute 'nothing'")
