"""Data of one's own: what targets are, regression and multi-label from end to end, and the files that are read."""
from __future__ import annotations

import doctest
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, xlog1py, xlogy
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score
from tolerance import assert_close

import nobackprop as nb
from nobackprop.cli import main
from nobackprop.data import Dataset, from_arrays, own
from nobackprop.data.tasks import TASKS, accuracy, matches, measures_of, r2_and_error, task_of
from nobackprop.errors import InputError
from nobackprop.experiments import plots, results
from nobackprop.experiments.sweep import choice, show
from nobackprop.kernels.loss import binary_cross_entropy, d_binary_cross_entropy

pytestmark = pytest.mark.usefixtures("unrendered")
PAGE = Path(__file__).parents[1] / "docs" / "how-do-i-data.md"
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
KIND = np.arange(60) % 3
MAP = np.array([[1.0, 0.5], [-2.0, 0.0], [0.5, 3.0]])
Y = X @ MAP * [100.0, 0.01] + [1000.0, -5.0]  # two numbers in very different units
YES = (X @ MAP > 0).astype(int)


def sentence(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    text = str(caught.value)
    assert text and "\n" not in text
    return text


def made(y=KIND, **more):
    return from_arrays("mine", X[:40], y[:40], X[40:], y[40:], **more)


def trained(data: Dataset, rule: str = "bp", epochs: int = 60) -> nb.Run:
    net = nb.models.build("mlp:16", data.shape, data.classes, "tanh", data.loss)
    return nb.fit(net, rule, data, nb.Settings(epochs=epochs, batch_size=10, lr=0.01))


# ---------------------------------------------------------------- what targets are


@pytest.mark.parametrize("y, task, outputs", [
    (KIND, "classes", 3), (np.array(["c", "a", "b"])[KIND], "classes", 3), (KIND > 0, "classes", 2),
    (Y[:, 0], "numbers", 1), (Y, "numbers", 2), (YES, "labels", 2), (YES > 0, "labels", 2),
    (KIND[:, None] + [0, 1], "numbers", 2),
    (np.array(["c", "a", "b"], object)[KIND], "classes", 3)], ids=str)
def test_the_targets_say_what_is_learnt(y, task, outputs):
    data = made(y)
    assert (data.task, data.classes, data.loss) == (task, outputs, TASKS[task].loss)
    assert data.y_train.ndim == (1 if task == "classes" else 2)


@pytest.mark.parametrize("labels", [["c", "a", "b"], [2.5, -1.0, 0.5], [True, False, True]], ids=str)
def test_labels_keep_their_names(labels):
    labels = np.array(labels)
    data = made(labels[KIND], task="classes")
    assert data.names == tuple(np.unique(labels).tolist())
    assert (np.array(data.names)[data.y_test] == labels[KIND][40:]).all()
    answer = trained(data, epochs=1).predictor().predict(X[:4])
    assert answer.dtype == labels.dtype and set(answer.tolist()) <= set(labels.tolist())


def test_names_of_integer_labels_reach_the_predictor_and_its_file(tmp_path):
    run = trained(made(names=("c", "a", "b")), epochs=1)
    run.save_model(tmp_path / "a.safetensors")
    model = nb.load(tmp_path / "a.safetensors")
    assert model.classes == ("c", "a", "b")
    right = np.array(["c", "a", "b"])[KIND[40:]]
    assert model.score(X[40:], right) == accuracy_score(right, model.predict(X[40:])) == run.test_accuracy()


def test_a_label_that_the_training_part_lacks_is_named():
    y = np.array(["a", "b"])[np.arange(60) % 2].astype(object)
    y[50] = "z"
    assert sentence(made, y) == "y_test holds the label 'z', expected one of ['a', 'b']"


@pytest.mark.parametrize("wrong, words", [
    ({"y": np.array(["a", 1, None], object)[KIND]}, "y_train holds 'a' and 1, expected labels of one type"),
    ({"y": np.array([1.0, np.nan, 2.0])[KIND]}, "y_train holds NaN or infinity (first in row 1), expected finite"),
    ({"y": np.array([1.0, np.nan, 2.0])[KIND], "task": "classes"}, "y_train holds NaN or infinity, expected one label"),
    ({"y": KIND[:, None] + [0, 1], "task": "labels"}, "y_train holds 2 in row 1, expected 0 and 1 for each label"),
    ({"task": "number"}, "unknown task 'number': did you mean 'numbers'?"),
    ({"names": ("a", "b")}, "y_train holds the label 2, expected labels from 0 to 1"),
    ({"names": ("a", "b", "a")}, "names holds 2 different names, expected 3, one for each of the classes"),
    ({"names": ("a", "b", "a\n")}, "names holds 'a\\n', expected printable texts"),
    ({"y": np.array(["a"])[KIND * 0], "task": "numbers"}, "y_train has type <U1, expected real numbers"),
    ({"y": np.zeros((60, 2, 2))}, "y_train has shape (40, 2, 2), expected (N,) or (N, k)"),
])
def test_wrong_targets_are_one_sentence(wrong, words):
    assert words in sentence(made, **wrong)


def test_images_without_channels_get_one():
    x = RNG.integers(0, 255, (60, 4, 5))
    data = from_arrays("mine", x[:40], KIND[:40], x[40:], KIND[40:])
    assert data.shape == (4, 5, 1)
    np.testing.assert_array_equal(data.prepare(x[40:]), data.x_test)


class Frame:
    """What `from_arrays` needs of a frame of pandas, which need not be installed."""

    def __init__(self, **columns):
        self.columns, self.arrays = list(columns), list(map(np.asarray, columns.values()))
        self.dtypes = [array.dtype for array in self.arrays]

    def to_numpy(self, dtype=object):
        return np.column_stack([array.astype(dtype) for array in self.arrays])

    def __len__(self):
        return len(self.arrays[0])


def test_frames_are_read_by_their_columns():
    frame = Frame(age=X[:, 0], smokes=X[:, 1] > 0, number=KIND)
    numbers = Frame(first=Y[:, 0], second=np.arange(60))
    data = from_arrays("mine", frame, numbers, frame, numbers)
    assert data.shape == (3,) and data.names == ("first", "second") and data.task == "numbers"
    assert "x_train has the column 'name' of type <U1" in sentence(
        from_arrays, "mine", Frame(age=X[:, 0], name=np.array(["a"] * 60)), KIND, frame, KIND)


def test_frames_of_pandas_are_read():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": X[:, 0], "smokes": X[:, 1] > 0, "number": KIND})
    series = pandas.Series(np.array(["c", "a", "b"])[KIND])
    data = from_arrays("mine", frame, series, frame, series)
    assert data.shape == (3,) and data.names == ("a", "b", "c")


def test_the_fingerprint_is_that_of_the_numbers_and_of_the_task():
    data = made()
    assert data.fingerprint == replace(data, names=("a", "b", "c")).fingerprint
    labels = made(YES)
    assert labels.fingerprint != replace(labels, task="numbers").fingerprint
    stored = made(Y)
    assert stored.fingerprint != replace(stored, y_scale=stored.y_scale * 2).fingerprint


# ---------------------------------------------------------------- what is measured


@pytest.mark.parametrize("seed", range(5))
def test_r2_and_the_mean_error_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    y, a = rng.standard_normal((2, 20, 3)) * [1, 100, 0.01] + [0, 5, -7]
    y[:, seed % 3] = 4.0 if seed > 2 else y[:, seed % 3]  # a number that is always the same
    assert_close(np.array(r2_and_error(a, y)), np.array([r2_score(y, a), mean_absolute_error(y, a)]), of=1e3)
    assert r2_and_error(y, y) == (1.0, 0.0)


def test_labels_are_measured_as_scikit_learn_does():
    a = RNG.standard_normal((50, 4))
    y = (RNG.random((50, 4)) > 0.4).astype(int)
    found = (a > 0).astype(int)
    assert matches(a, y) == (accuracy_score(y, found), (found == y).mean())
    assert matches(np.full((2, 1), np.nan), np.zeros((2, 1))) == (0.0, 0.0)


def test_one_output_has_no_accuracy():
    net = nb.models.build("mlp:4", (3,), 1, loss="squared")
    params, _ = nb.network.init(net, np.random.default_rng(0), (3,))
    assert "y has one class only" in sentence(nb.evaluate, net, params, X, Y[:, :1])
    found = nb.evaluate(net, params, X, Y[:, :1], task="numbers", scale=2.0)
    a = nb.network.predict(net, params, X)
    assert_close(found["r2"], r2_score(Y[:, :1], a), of=1e6)
    assert_close(found["mean_error"], 2 * mean_absolute_error(Y[:, :1], a), of=1e6)


def test_binary_cross_entropy_is_that_of_each_label():
    a, y = 3 * RNG.standard_normal((7, 3)), RNG.random((7, 3))
    p = expit(a)
    assert_close(binary_cross_entropy(a, y), -(xlogy(y, p) + xlog1py(1 - y, -p)).sum() / 7, of=10)
    assert_close(d_binary_cross_entropy(a, y), (p - y) / 7, of=1 / 7)
    far = np.array([[-800.0, 800.0]])
    assert binary_cross_entropy(far, np.array([[0.0, 1.0]])) == 0 and binary_cross_entropy(far, 1 - (far > 0)) == 1600


def test_binary_cross_entropy_takes_targets_from_0_to_1():
    net = nb.models.build("mlp:4", (3,), 2, loss="binary_cross_entropy")
    params, _ = nb.network.init(net, np.random.default_rng(0), (3,))
    assert "row 1 of y is [0.0, 2.0], expected numbers from 0 to 1" in sentence(
        nb.evaluate, net, params, X[:2], np.array([[0.0, 1.0], [0.0, 2.0]]), task="labels")


# ---------------------------------------------------------------- from end to end


@pytest.mark.slow
@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["two numbers", "one number"])
def test_a_regression_is_learnt_and_predicts_in_the_users_units(tmp_path, y):
    data = made(y)
    rows = y.reshape(60, -1)
    assert_close(data.y_train.mean(0), np.zeros(rows.shape[1]), of=1)
    assert_close(data.y_test * data.y_scale + data.y_mean, rows[40:].astype("float32"))
    run = trained(data)
    model = run.predictor()
    answer = model.predict(X[40:])
    assert answer.shape == y[40:].shape and r2_score(y[40:], answer) > 0.9
    found = run.test()
    assert_close(found["r2"], r2_score(y[40:], answer), of=1, slack=2**40)  # float32 and float64
    assert abs(found["mean_error"] / mean_absolute_error(y[40:], answer) - 1) < 1e-3
    assert abs(model.score(X[40:], y[40:]) - found["r2"]) < 1e-4
    assert {"validation_r2", "validation_mean_error"} <= set(run.history[-1])
    assert "validation_accuracy" not in run.history[-1]
    model.save(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(nb.load(tmp_path / "a.safetensors").predict(X[40:]), answer)
    assert "have no accuracy" in sentence(run.test_accuracy)
    assert "expected cross_entropy or binary_cross_entropy" in sentence(model.predict_proba, X)


def test_labels_are_learnt_with_sigmoid_outputs(tmp_path):
    run = trained(made(YES, names=("first", "second")))
    model = run.predictor()
    proba, answer = model.predict_proba(X[40:]), model.predict(X[40:])
    assert proba.shape == answer.shape == (20, 2) and set(answer.ravel().tolist()) <= {0, 1}
    assert ((proba > 0.5) == answer).all() and (proba.sum(1) > 1.01).any()
    assert run.test()["exact_match"] == accuracy_score(YES[40:], answer) == model.score(X[40:], YES[40:]) > 0.7
    model.save(tmp_path / "a.safetensors")
    assert nb.load(tmp_path / "a.safetensors").classes == ("first", "second")


@pytest.mark.parametrize("rule", ["bp", "fa", "dfa", "las", "ltas", "kp", "wm", "phsic", "pred", "drtp", "dtp", "pc",
                                  "pepita", "softhebb", "asap", "spsa"])
@pytest.mark.parametrize("y", [Y[:, 0], YES], ids=["numbers", "labels"])
def test_rules_learn_numbers_and_labels_or_say_why_not(rule, y):
    history = trained(made(y), rule, epochs=2).history
    assert len(history) == 2 and all(np.isfinite(record["train_loss"]) for record in history)


@pytest.mark.parametrize("rule, y, words", [
    ("ff", Y, "rule ff can learn classes only, mine has numbers"),
    ("ff", YES, "rule ff can learn classes only, mine has labels"),
    ("al", Y, "rule al can learn classes and labels only, mine has numbers"),
    ("sim", Y[:, 0], "expected at least 2 outputs, got 1"), ("predsim", Y[:, 0], "expected at least 2 outputs, got 1")])
def test_what_a_rule_cannot_learn_is_one_sentence(rule, y, words):
    assert words in sentence(trained, made(y), rule, 1)


@pytest.mark.parametrize("y, loss, words", [
    (Y, "cross_entropy", "the network's loss is cross_entropy, expected squared: mine has numbers"),
    (Y, "binary_cross_entropy", "expected squared"),
    (YES, "squared", "expected binary_cross_entropy: mine has labels")])
def test_a_loss_that_does_not_fit_is_one_sentence(y, loss, words):
    data = made(y)
    net = nb.models.build("mlp:4", data.shape, data.classes, loss=loss)
    assert words in sentence(nb.Run, net, "bp", data)


def test_a_run_of_numbers_goes_on_from_its_checkpoint(tmp_path):
    data = made(Y)
    whole, half = (nb.Run(nb.models.build("mlp:4", (3,), 2, loss="squared"), "dfa", data, nb.Settings(epochs=2))
                   for _ in range(2))
    half.epoch()
    half.save(tmp_path / "a.safetensors")
    again = nb.Run.load(tmp_path / "a.safetensors", data)
    again.epoch()
    whole.epoch(), whole.epoch()
    assert again.history == whole.history and again.test() == whole.test()


# ---------------------------------------------------------------- shown


def record(rule, seed, r2, error):
    history = [{"epoch": 1, "train_loss": 0.5, "validation_r2": r2, "validation_mean_error": error, "alignment": [1.0],
                "alignment_at_a": [1.0]}]
    return {"rule": rule, "seed": seed, "seconds": 1.0, "test_r2": r2, "test_mean_error": error, "history": history}


def test_table_and_figure_say_what_was_measured(tmp_path):
    found = {"config": {"data": "mine", "model": "mlp:4"},
             "runs": [record("bp", 0, 0.5, 40.0), record("bp", 1, 0.7, 60.0), record("fa", 0, -3.0, 80.0)]}
    table = results.table(found).splitlines()
    assert table[0] == "test R2, test mean error: mean ± sample standard deviation over 2 seeds"
    assert table[4].split()[:7] == ["bp", "0.6000", "±", "0.1414", "50.0000", "±", "14.1421"]
    axes = plots.draw(found).axes[0]
    assert axes.get_xlabel() == "validation R2 after epoch 1" and axes.get_xlim()[0] == -1
    path = tmp_path / "results.json"
    results.write(path, found)
    assert results.read(path) == found
    del found["runs"][2]["history"][0]["validation_mean_error"]
    results.write(path, found)
    assert "the key 'runs[2].history[0].validation_mean_error' is missing" in sentence(results.read, path)
    found["runs"][0]["test_r2"] = 1.5
    results.write(path, found)
    assert "'runs[0].test_r2' is 1.5, expected a number or null from" in sentence(results.read, path)


def test_a_sweep_chooses_by_r2_and_a_lost_run_counts_as_minus_1():
    better, lost = (choice.found({"runs": [run]}) for run in (record("bp", 0, 0.5, 4), record("bp", 0, -1e9, 4)))
    assert better["validation_r2"] == 0.5 and lost["validation_r2"] == -1.0
    gone = choice.found({"runs": [record("bp", 0, 0.9, 4) | {"diverged": "the loss became inf"}]})
    assert gone["validation_r2"] == -1.0 and choice.score([better, gone]) == -0.25
    search = [{"label": "bp", "settings": {"lr": lr}, "runs": [run]} for lr, run in ((0.1, better), (0.2, lost))]
    shown = {"config": {"data": "mine", "model": "mlp:4"}, "search": search, "runs": []}
    assert "validation R2 of the best setting" in show.table(shown) and "lr 0.1" in show.table(shown)
    assert show.draw(shown).axes[0].get_ylabel() == "validation R2"


def test_results_of_classes_are_as_they_were():
    assert [one.name for one in measures_of([{"test_accuracy": 0.5}])] == ["accuracy"]
    assert task_of({"rule": "bp"}, "test").name == "classes" and accuracy(np.eye(2), np.eye(2)) == (1.0,)


@pytest.mark.slow
@pytest.mark.parametrize("argv, key", [(["--data", "diabetes"], "test_r2"),
                                       (["--data", "{}/yes.npz"], "test_exact_match"),
                                       (["--data", "{}/mine.csv", "--target", "kind"], "test_accuracy"),
                                       (["--data", "{}/plain.csv", "--target", "b"], "test_r2")], ids=str)
def test_the_command_line_trains_on_it_and_goes_on(tmp_path, capsys, argv, key):
    np.savez(tmp_path / "yes.npz", x=X, y=YES)
    table(tmp_path / "mine.csv")
    (tmp_path / "plain.csv").write_text("a,b\n" + "".join(f"{i},{i / 2 + 0.25}\n" for i in range(60)))
    out = tmp_path / "out"
    argv = [word.format(tmp_path) for word in argv]
    assert main(["compare", *argv, "--rules", "bp,dfa", "--seeds", "0", "--epochs", "2", "--model", "mlp:4",
                 "--out", str(out)]) == 0
    stored = json.loads((out / "results.json").read_text())
    assert [type(run[key]) for run in stored["runs"]] == [float, float] and (out / "figure.png").exists()
    del stored["runs"][1]
    stored["config"]["interrupted"] = True
    (out / "results.json").write_text(json.dumps(stored))
    assert main(["compare", "--resume", str(out)]) == 0
    assert len(json.loads((out / "results.json").read_text())["runs"]) == 2


# ---------------------------------------------------------------- files


def table(path, header="a,b,kind", between=",", rows=60):
    lines = [header] * bool(header) + [f"{i}{between}{i / 2 + 0.25}{between}{'xyz'[i % 3]}" for i in range(rows)]
    path.write_text("\n".join(lines).replace(",", between) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("header, between", [("a,b,kind", ","), ("", ","), ("a,b,kind", ";"), ("", "\t"),
                                             ("\ufeffa,b,kind", ",")])
def test_a_table_is_read_with_and_without_a_header(tmp_path, header, between):
    data = nb.data.load(table(tmp_path / "my table.csv", header, between))
    assert (data.name, data.shape, data.names) == ("my-table", (2,), ("x", "y", "z"))
    raw = np.concatenate([data.x_train, data.x_validation, data.x_test]) * data.scale + data.mean
    y = np.concatenate([data.y_train, data.y_validation, data.y_test])
    first = np.round(raw[:, 0]).astype(int)
    assert sorted(first) == list(range(60)) and (first % 3 == y).all()  # every row once, with its own label
    assert np.abs(raw[:, 1] - first / 2 - 0.25).max() < 1e-4


def test_wine_and_diabetes_are_read_as_scikit_learn_has_them(tmp_path):
    wine, sick = load_wine(), load_diabetes(scaled=False)
    for name, bunch in (("wine", wine), ("sick", sick)):
        np.savetxt(tmp_path / f"{name}.csv", np.column_stack([bunch.data, bunch.target]), delimiter=",", fmt="%.17g")
    read = nb.data.load(f"{tmp_path}/wine.csv")
    assert read.names == (0, 1, 2) and len(read.y_train) + len(read.y_validation) + len(read.y_test) == 178
    numbers = nb.data.load(f"{tmp_path}/sick.csv:task=numbers")
    assert numbers.task == "numbers" and numbers.shape == (10,)
    assert "task=numbers" in sentence(nb.data.load, f"{tmp_path}/sick.csv")


def test_columns_are_chosen_by_their_names(tmp_path):
    path = table(tmp_path / "a.csv", "a,b,kind")
    assert nb.data.load(f"{path}:target=kind").shape == (2,)
    (tmp_path / "n.csv").write_text("a,b,c\n" + "".join(f"{i},{i / 4},{-i / 3:.6f}\n" for i in range(30)))
    data = nb.data.load(f"{tmp_path}/n.csv:target=c,a")
    assert (data.names, data.shape, data.task) == (("c", "a"), (1,), "numbers")


@pytest.mark.parametrize("text, words", [
    ("", "is empty, expected a row for each sample"), ("a\n1\n", "has one column only"),
    ("a,b\n", "holds a header only"), ("1,2,x\n1,oops,y\n", "line 2, column 2: 'oops', expected a finite number"),
    ("a,b,c\n1,,x\n", "line 2, column 2 ('b'): '', expected a finite number"),
    ("1,2,x\n1,2\n", "line 2: 2 cells, expected 3"),
    ("1,nan,x\n", "expected a finite number"), ("1,1_0,x\n", "'1_0', expected a finite number"),
    ("1,2,x\n1,2,\n", "line 2: the target is empty"),
    ("1,2,x\n1,2,7\n", "the target holds '7' and 'x', expected numbers"),
    ('1,2,"x\n', "expected a CSV file"), (b"\xff\xfe1,2", "byte 0 is not UTF-8"),
    ("1,2,x\n" * 9, "holds one class only"), ("1,2,x\n1,2,y\n" * 2, "expected every class three times"),
    ("1,2,0.5\n" * 2, "holds 2 samples, expected 3 or more")])
def test_a_wrong_table_is_one_sentence(tmp_path, text, words):
    path = tmp_path / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in sentence(nb.data.load, str(path))
    assert main(["train", "--data", str(path)]) == 2


@pytest.mark.parametrize("options, words", [
    (":target=zz", "has no column 'zz', expected one of ['a', 'b', 'kind']"), (":task=clases", "unknown task 'clases'"),
    (":size=3", "is read with the options target and task, got size"),
    (":target=a:target=b", "expected the option target once"),
    (":target=a,b,kind", "has no column beside the targets"),
    (":task=numbers", "the target holds 'x', expected numbers"),
    (":target=a,a", "the column 'a' is there twice")])
def test_wrong_options_are_one_sentence(tmp_path, options, words):
    assert words in sentence(nb.data.load, table(tmp_path / "a.csv") + options)


def test_arrays_are_read_with_their_own_test_part(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X[:40], y_train=KIND[:40], x_test=X[40:], y_test=KIND[40:],
             names=["c", "a", "b"])
    data, expected = nb.data.load(f"{tmp_path}/a.npz"), made()
    assert data.names == ("c", "a", "b")
    np.testing.assert_array_equal(data.x_test, expected.x_test)
    assert data.fingerprint == expected.fingerprint


def test_wrong_arrays_are_one_sentence(tmp_path):
    path = tmp_path / "a.npz"
    for arrays, save, words in (({"x": X}, np.savez, "holds x, expected x and y, or x_train"),
                                ({"x": X, "y": KIND}, np.savez_compressed, "which is not packed"),
                                ({"x": X, "y": KIND[:3]}, np.savez, "holds 60 samples and 3 targets")):
        save(path, **arrays)
        assert words in sentence(nb.data.load, str(path))
    path.write_bytes(b"PK nothing")
    assert "expected an .npz file as numpy.savez writes it" in sentence(nb.data.load, str(path))
    assert "cannot read" in sentence(nb.data.load, f"{tmp_path}/nowhere.npz")


def test_a_file_that_changes_is_read_again(tmp_path):
    path = table(tmp_path / "a.csv")
    first = nb.data.load(path)
    assert nb.data.load(path) is first
    table(tmp_path / "a.csv", rows=90)
    assert len(nb.data.load(path).y_train) > len(first.y_train)


def images(root, count=6, side=(5, 4), mode="RGB", classes=("cat", "dog")):
    from PIL import Image

    for k, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(count):
            value = 40 * k + i
            Image.new(mode, side, value if mode == "L" else (value, 0, 0)).save(root / name / f"{i}.png")
    return str(root)


def test_folders_of_images_are_classes(tmp_path):
    data = nb.data.load(images(tmp_path / "pets", 10))
    assert (data.name, data.shape, data.names) == ("pets", (4, 5, 3), ("cat", "dog"))
    red = data.x_test[:, 0, 0, 0] * data.scale[0] + data.mean[0]
    assert ((red > 30) == data.y_test).all()
    grey = nb.data.load(f"{images(tmp_path / 'grey', 10, mode='L')}:size=3")
    assert grey.shape == (3, 3, 1) and nb.data.load(f"{tmp_path}/grey:channels=3").shape == (4, 5, 3)


def test_folders_of_images_may_have_a_test_part(tmp_path):
    images(tmp_path / "pets" / "train", 8)
    images(tmp_path / "pets" / "test", 3)
    data = nb.data.load(f"{tmp_path}/pets")
    assert len(data.y_test) == 6 and len(data.y_train) + len(data.y_validation) == 16 and data.names == ("cat", "dog")


def test_wrong_folders_are_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no folders, expected a folder of images for each class" in sentence(nb.data.load, f"{tmp_path}/empty")
    (tmp_path / "empty" / "cat").mkdir()
    assert "holds no image, expected files that end in .png" in sentence(nb.data.load, f"{tmp_path}/empty")
    images(tmp_path / "pets")
    images(tmp_path / "pets" / "more", side=(9, 9), classes=("x",))
    assert "more holds no image" in sentence(nb.data.load, f"{tmp_path}/pets")
    images(tmp_path / "sizes", classes=("a",))
    images(tmp_path / "sizes2", side=(9, 9), classes=("b",))
    (tmp_path / "sizes2" / "b").rename(tmp_path / "sizes" / "b")
    assert "has 9 x 9 pixels, expected 5 x 4 as the first image" in sentence(nb.data.load, f"{tmp_path}/sizes")
    (tmp_path / "sizes" / "b" / "0.png").write_bytes(b"no image")
    assert "damaged or no image" in sentence(nb.data.load, f"{tmp_path}/sizes:size=4")
    for option, words in (("size=0", "size is '0', expected 1 to 1024"), ("channels=2", "expected 1 or 3")):
        assert words in sentence(nb.data.load, f"{tmp_path}/sizes:{option}")


def test_an_image_with_very_many_pixels_is_not_unpacked(tmp_path, monkeypatch):
    path = images(tmp_path / "pets")
    monkeypatch.setattr(own, "MOST_PIXELS", 19)
    assert "has 5 x 4 pixels, expected 19 at most" in sentence(nb.data.load, path)


def test_a_folder_does_not_hide_the_data_set_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images(tmp_path / "xor")
    assert nb.data.load("xor").shape == (30,) and nb.data.load("./xor").shape == (4, 5, 3)


def test_options_belong_to_data_of_ones_own(capsys):
    assert main(["train", "--data", "digits", "--target", "x"]) == 2
    assert "--target is for data of your own" in capsys.readouterr().err
    assert main(["train", "--data", "nowhere.csv"]) == 2
    assert "cannot read nowhere.csv" in capsys.readouterr().err


@pytest.mark.parametrize("y, names", [(KIND, None), (np.array(["c", "a", "b"])[KIND], None), (Y, None),
                                      (Y[:, 0], ["n"]), (YES, None)],
                         ids=["integers", "texts", "numbers", "one", "labels"])
@pytest.mark.parametrize("standardise", [True, False])
def test_raw_samples_and_targets_come_back(y, names, standardise):
    data = made(y, names=names, standardise=standardise)
    x, truth = data.raw()
    assert_close(x.astype("float32"), X[40:].astype("float32"), of=X)
    if y.dtype.kind == "f":
        assert_close(truth.astype("float32"), y[40:].astype("float32"), of=y)
    else:
        assert truth.tolist() == y[40:].tolist()
    assert len(data.raw("train")[0]) == len(data.y_train) and len(data.raw("validation")[1]) == len(data.y_validation)
    assert "unknown part 'tset': did you mean 'test'" in sentence(data.raw, "tset")
    run = trained(data, epochs=5)
    found, first = run.predictor().score(*data.raw("test")), TASKS[data.task].measures[0].name
    assert found == pytest.approx(run.test()[first], abs=1e-5)


class Ordered(Frame):
    """A frame whose columns come in another order."""

    def __init__(self, values, columns):
        super().__init__(**{name: values[:, "abcd".index(name)] for name in columns})

    def to_numpy(self, dtype=float):
        return super().to_numpy(dtype)


def test_columns_are_matched_by_their_names(tmp_path):
    frame = Ordered(X, "abc")
    two = Ordered(Y, "ab")
    plain = from_arrays("mine", X[:40], Y[:40], X[40:], Y[40:])
    data = from_arrays("mine", Ordered(X[:40], "abc"), Ordered(Y[:40], "ab"), Ordered(X[40:], "cab"),
                       Ordered(Y[40:], "ba"))
    assert data.fingerprint == plain.fingerprint and data.columns == ("a", "b", "c") and data.names == ("a", "b")
    assert (data.prepare(Ordered(X[40:], "bca")) == data.x_test).all() and (data.prepare(X[40:]) == data.x_test).all()
    model = trained(data, epochs=3).predictor()
    model.save(tmp_path / "m.safetensors")
    for one in (model, nb.load(tmp_path / "m.safetensors")):
        right = one.predict(X)
        assert (one.predict(frame) == right).all() and (one.predict(Ordered(X, "cba")) == right).all()
        assert one.score(Ordered(X, "bac"), Ordered(Y, "ba")) == one.score(X, Y) == one.score(frame, two)
    wide = np.column_stack([X, X[:, 0]])
    for call, columns, words in (
            (model.predict, "abd", "x has the column 'd', which those learnt from lack: expected the columns ['a'"),
            (model.predict, "abcd", "x has the column 'd'"), (model.predict, "ab", "x lacks the column 'c'"),
            (data.prepare, "ab", "x lacks the column 'c'"),
            (lambda x: from_arrays("mine", frame, KIND, x, KIND), "abd", "x_test has the column 'd'")):
        assert words in sentence(call, Ordered(wide, columns))
    twice = Ordered(wide, "abcd")
    twice.columns = ["a", "b", "c", "a"]
    assert "x has a column twice" in sentence(model.predict, twice)
    assert "columns is ['a'], expected a text for each feature" in sentence(replace, data, columns=["a"])


def test_a_table_is_matched_by_its_header(tmp_path):
    lines = ["a,b,c,y"] + [",".join([*map(str, row), str(kind)]) for row, kind in zip(X.tolist(), KIND, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    data = nb.data.load(tmp_path / "t.csv")
    assert data.columns == ("a", "b", "c") and data.task == "classes"
    assert (data.prepare(Ordered(X, "cba")) == data.prepare(X)).all()


def test_pandas_own_types_and_frames_of_one_column_are_read():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abc"))
    text = pandas.DataFrame({"kind": np.array(["c", "a", "b"])[KIND]})
    own_types = frame.convert_dtypes().astype("Float64")
    for x, y in ((frame, text), (own_types, text["kind"]), (own_types, pandas.Series(KIND, dtype="Int64")),
                 (frame, pandas.DataFrame({"kind": KIND})), (frame, pandas.Series(YES[:, 0] > 0, dtype="boolean"))):
        data = from_arrays("mine", x[:40], y[:40], x[["c", "a", "b"]][40:], y[40:])
        plain = from_arrays("mine", X[:40], y[:40], X[40:], y[40:])
        assert data.task == "classes" and (data.x_test == plain.x_test).all()
        assert data.raw("test")[1].tolist() == np.asarray(y)[40:].ravel().tolist()
    missing = own_types.copy()
    missing.iloc[3, 1] = pandas.NA
    assert "x_train h" in sentence(from_arrays, "mine", missing, KIND, frame, KIND)


def test_a_guess_that_may_be_wrong_is_said():
    for y, task, words in ((np.eye(3)[KIND], "labels", "exactly one 1"),
                           (np.eye(3, dtype=int)[KIND], "labels", "argmax"),
                           ((KIND > 0) * 1.0, "numbers", "whole numbers from 0 to 1"),
                           (KIND * 1.0, "numbers", "from 0 to 2, as if they stood for classes: say task='numbers'")):
        with pytest.warns(UserWarning, match=words):
            assert made(y).task == task
        assert made(y, task=task).task == task  # and no warning
    assert made(YES * 1.0).task == "labels" and made(Y[:, 0]).task == "numbers" and made(Y[:, :1]).task == "numbers"


@pytest.mark.slow
@pytest.mark.parametrize("target, task, words", [
    ((KIND > 0) * 1.0, "numbers", "(all are whole numbers from 0 to 1, as if they stood for classes)"),
    (KIND, "classes", "classes, which is a guess: --task says otherwise"), (Y[:, 0], "numbers", "which is a guess:")],
    ids=["0.0 and 1.0", "integers", "numbers"])
def test_the_command_says_how_the_task_was_guessed(tmp_path, monkeypatch, capsys, target, task, words):
    monkeypatch.chdir(tmp_path)
    np.savez("n.npz", x=X, y=target)
    rows = zip(X.tolist(), target.tolist(), strict=True)
    Path("n.csv").write_text("\n".join(",".join(map(str, [*row, y])) for row, y in rows))
    for name in ("n.npz", "n.csv"):
        argv = ["train", "--rule", "bp", "--model", "mlp:2", "--data", name, "--epochs", "1", "--seeds", "0"]
        assert main(argv) == 0
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("task "))
        assert line.split()[1].rstrip(",") == task and words in line
        assert main([*argv, "--task", task]) == 0
        assert "guess" not in capsys.readouterr().out


def test_names_are_a_list_and_as_many_as_there_are_classes():
    assert "names is 'abc', expected a list of names" in sentence(made, names="abc")
    assert "names is 'pq', expected a list of names" in sentence(made, YES, names="pq")
    assert "names is 3, expected a list" in sentence(made, names=3)
    assert "names holds 1 different names, expected 2 or more" in sentence(made, KIND * 0, names=("p",))


@pytest.mark.parametrize("arrays, words", [
    ({"x": X, "y": np.array(3)}, "holds y of shape ()"), ({"x": X, "y": np.array(3.5)}, "holds y of shape ()"),
    ({"x": np.array(3.0), "y": KIND}, "holds x of shape ()"), ({"x": X, "y": np.array("a")}, "holds y of shape ()"),
    ({"x_train": X, "y_train": np.array(3), "x_test": X, "y_test": KIND}, "y_train has shape ()"),
    ({"x_train": X, "y_train": np.array("a"), "x_test": X, "y_test": KIND}, "y_train has shape ()"),
    ({"x_train": X, "y_train": KIND, "x_test": X, "y_test": np.array(3)}, "y_test has shape ()"),
    ({"x_train": X, "y_train": KIND.astype(str), "x_test": X, "y_test": np.array("1")}, "y_test"),
    ({"x": X, "y": KIND, "names": np.array("abc")}, "names is 'abc', expected a list of names")], ids=str)
def test_a_single_value_is_no_array_of_samples(tmp_path, capsys, arrays, words):
    np.savez(tmp_path / "one.npz", **arrays)
    assert words in sentence(nb.data.load, f"{tmp_path}/one.npz")
    assert main(["train", "--data", f"{tmp_path}/one.npz"]) == 2
    assert words in capsys.readouterr().err


def test_the_hint_at_numbers_is_there_only_if_it_helps(tmp_path):
    images(tmp_path / "pets", 1)
    rare = "\n".join([f"{i},{i % 7},{'abc'[i % 3] if i else 'rare'}" for i in range(30)])
    (tmp_path / "rare.csv").write_text(rare)
    (tmp_path / "reg.csv").write_text("\n".join(f"{i},{i % 7},{i}" for i in range(30)))
    for name, helps in (("pets", False), ("rare.csv", False), ("reg.csv", True), ("reg.csv:task=classes", False)):
        text = sentence(nb.data.load, f"{tmp_path}/{name}")
        assert "fewer than three times" in text and ("task=numbers" in text) == helps
    assert nb.data.load(f"{tmp_path}/reg.csv:task=numbers").task == "numbers"


def test_an_option_that_is_mistyped_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ok.csv").write_text("\n".join(["a,b,y", *(f"{i},{i % 7},{i % 3}" for i in range(30))]))
    images(tmp_path / "pets")
    for name, words in (("ok.csv:targt=y", "unknown option 'targt': did you mean 'target'?"),
                        ("ok.csv:target=y:tsk=classes", "unknown option 'tsk': did you mean 'task'?"),
                        ("pets:sze=8", "unknown option 'sze': did you mean 'size'?"),
                        ("ok.csv:size=8", "ok.csv is read with the options target and task, got size")):
        assert words in sentence(nb.data.load, name)


@pytest.mark.parametrize("there, missing", [("train", "test"), ("test", "train")])
def test_half_of_a_split_folder_is_noticed(tmp_path, there, missing):
    images(tmp_path / "pets" / there, 8)
    assert f"holds the folder {there}, but no folder {missing}" in sentence(nb.data.load, f"{tmp_path}/pets")


def test_a_path_names_a_file(tmp_path):
    np.savez(tmp_path / "np1.npz", x=X, y=KIND)
    data = nb.data.load(tmp_path / "np1.npz")
    assert data.fingerprint == nb.data.load(f"{tmp_path}/np1.npz").fingerprint
    found = nb.compare(tmp_path / "np1.npz", ["bp"], seeds=[0], model="mlp:2", epochs=1, progress=False)
    assert found.results["config"]["data"] == f"{tmp_path}/np1.npz"


@pytest.mark.slow
def test_the_page_says_what_happens(tmp_path, monkeypatch, capsys):
    """Every snippet, in order, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for language, text in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        if language == "python":
            test = doctest.DocTestParser().get_doctest(text, space, PAGE.name, None, 0)
            assert doctest.DocTestRunner().run(test, clear_globs=False).failed == 0, capsys.readouterr().out
            space.update(test.globs)
        else:
            for line in text.splitlines():
                assert main(shlex.split(line)[1:]) == 0
