"""Files of what was learnt: a run that goes on from one is the run that was never interrupted, bit for bit."""
from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nobackprop as nb
from nobackprop import blueprint, learn, rules, saving, workers
from nobackprop.errors import InputError
from nobackprop.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    LayerNorm,
    MaxPool,
    Residual,
    Sequential,
    UnitLength,
)
from nobackprop.learn import Run
from nobackprop.network import Network
from nobackprop.optim import OPTIMIZERS, SCHEDULES
from nobackprop.rules import RULES
from nobackprop.tree import leaves

DRAW = np.random.default_rng(0)


def test_a_run_goes_on_with_names(tmp_path):
    data = nb.data.load("xor")
    run = nb.fit(nb.models.build("mlp:4", data.shape, 4), "las", data, nb.Settings(epochs=1, batch_size=500))
    run.save(tmp_path / "a")
    again = Run.load(tmp_path / "a", data="xor", rule="las")
    assert again.history == run.history and again.rule == run.rule
    for wrong, words in (({"net": "mlp:4"}, "net is 'mlp:4', expected a Network"), ({"net": 3}, "net is 3, expected"),
                         ({"rule": 3}, "rule is 3, expected a Rule"), ({"rule": "lass"}, "unknown rule 'lass'"),
                         ({"data": "xxor"}, "unknown data set 'xxor'"), ({"data": 3}, "data is 3, expected a Dataset"),
                         ({"data": "digits"}, "it is of another data set than the one given"),
                         ({"rule": "bp"}, "it is of another rule than the one given")):
        with pytest.raises(InputError, match=f"^cannot go on from .*: {words}"):
            Run.load(tmp_path / "a", **wrong)


def test_a_data_set_of_ones_own_may_have_a_name_of_the_librarys(tmp_path):
    data = nb.data.load("xor")
    own = replace(data, x_train=2 * data.x_train)
    Run(nb.models.build("mlp:4", data.shape, 4), "bp", own).save(tmp_path / "a")
    with pytest.raises(InputError, match="it is of another data set than the library's own 'xor': pass it as data="):
        Run.load(tmp_path / "a")
    assert Run.load(tmp_path / "a", own).data is own


@pytest.mark.parametrize("path", [3, 0, True, None, "", b"a", ["a"]], ids=repr)
def test_what_is_no_path_is_one_sentence(path):
    """A number would be read as an open file of the process, and closed."""
    for load in (nb.load, Run.load):
        with pytest.raises(InputError, match="^got .*, expected the name of a file or a folder$"):
            load(path)


@pytest.mark.parametrize("content", ["", "hello", "hello\n" * 1000, "{}", "12345678{"])
def test_a_text_file_is_no_model(tmp_path, content):
    (tmp_path / "a").write_text(content)
    for load, kind in ((nb.load, "model"), (Run.load, "checkpoint")):
        with pytest.raises(InputError, match=f"^cannot read .*a: expected a {kind}, got: ") as told:
            load(tmp_path / "a")
        assert "\n" not in str(told.value)


def images(name: str = "images") -> nb.data.Dataset:
    rng = np.random.default_rng(3)
    x, y = 50 + 9 * rng.normal(size=(49, 6, 6, 2)).astype("float32"), np.arange(49) % 3
    return nb.data.from_arrays(name, x, y, x[:9], y[:9], validation=9)


def vectors() -> nb.data.Dataset:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(40, 5)), np.arange(40) % 3
    return nb.data.from_arrays("vectors", x, y, x[:9], y[:9], validation=9)


IMAGES, VECTORS = images(), vectors()
# four hidden blocks of equal width: every rule can be tried with them, and every one of its parts is there
DENSE = nb.models.build("mlp:6,6,6,6", VECTORS.shape, 3, "tanh")
CONV = Network((Sequential((Conv(3, 3, pad=1, bias=False), BatchNorm(), Activation("relu"), MaxPool(2))),
                Residual(Sequential((Conv(3, 3, pad=1), Activation("silu")))),
                Sequential((Flatten(), Dense(8), LayerNorm(), Activation("gelu"), UnitLength(), Dropout(0.3))),
                Dense(3)))


def numbers(run: Run) -> dict[str, Any]:
    """All that a run has come to, as bytes: what must be equal to the last bit."""
    kept = run._learnt(lambda array: array)
    return {"history": json.dumps(run.history),
            "generators": [rng.bit_generator.state for rng in (run.rng, run.draw_augment)],
            "steps": [opt.steps for opt in run.optimizers],
            **{path: (array.dtype.name, array.shape, array.tobytes()) for path, array in leaves(kept)}}


def check_goes_on(run: Run, path: Path, data: nb.data.Dataset, rule: nb.rules.Rule | None = None) -> None:
    """After an epoch the run is saved; the run that is loaded and the run itself then come to the same."""
    run.epoch()
    run.save(path)
    again = Run.load(path, data, rule=rule)
    assert numbers(again) == numbers(run)
    assert (again.name, again.seed, again.settings, again.net) == (run.name, run.seed, run.settings, run.net)
    for _ in range(2):
        run.epoch()
        again.epoch()
    assert numbers(again) == numbers(run) and len(again.history) == 3
    assert again.test_accuracy() == run.test_accuracy()


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_every_rule_goes_on_as_if_never_interrupted(name, tmp_path):
    settings = nb.Settings(epochs=3, batch_size=8, lr=1e-3)
    check_goes_on(Run(DENSE, name, VECTORS, settings, seed=5), tmp_path / "run.safetensors", VECTORS)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_optimiser_and_schedule_goes_on(optimizer, schedule, tmp_path):
    settings = nb.Settings(epochs=3, batch_size=8, optimizer=optimizer, schedule=schedule, weight_decay=0.1,
                           dtype="float64")
    check_goes_on(Run(DENSE, "las", VECTORS, settings, seed=5), tmp_path / "run.safetensors", VECTORS)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rule", ["bp", "las", "asap", "spsa"])
def test_images_with_augmentation_go_on_on_any_number_of_threads(rule, threads, tmp_path):
    settings = nb.Settings(epochs=3, batch_size=8, augment="flip,crop:1", schedule="cosine")
    with workers.limit(threads):
        check_goes_on(Run(CONV, rule, IMAGES, settings, seed=5), tmp_path / "run.safetensors", IMAGES)


def test_a_checkpoint_may_come_before_the_first_epoch(tmp_path):
    run = Run(DENSE, "las", VECTORS, nb.Settings(epochs=2))
    run.save(tmp_path / "run.safetensors")
    again = Run.load(tmp_path / "run.safetensors", VECTORS)
    run.epoch()
    again.epoch()
    assert numbers(again) == numbers(run)


def test_a_data_set_of_the_library_is_found_by_its_name(tmp_path):
    data = nb.data.load("xor")
    run = nb.fit(nb.models.build("mlp:4", data.shape, data.classes), "bp", data, nb.Settings(epochs=1, batch_size=500))
    run.save(tmp_path / "run.safetensors")
    assert numbers(Run.load(tmp_path / "run.safetensors")) == numbers(run)


def test_a_rule_of_your_own_is_given_again(tmp_path):
    @dataclass(frozen=True)
    class Mine(rules.DFA):
        """DFA by another name."""

    run = Run(DENSE, Mine(), VECTORS, nb.Settings(epochs=3, batch_size=8))
    with pytest.raises(InputError, match="cannot go on from .*unknown rule"):
        run.save(tmp_path / "a.safetensors")
        Run.load(tmp_path / "a.safetensors", VECTORS)
    check_goes_on(run, tmp_path / "run.safetensors", VECTORS, Mine())


@dataclass(frozen=True)
class Contrary(rules.BP):
    """Backpropagation whose answer is the least likely class."""

    def predict(self, net, params, x):
        return -super().predict(net, params, x)


def test_the_rule_says_what_the_network_answers(tmp_path, monkeypatch):
    """In the records of a run, in the test accuracy, and in a file."""
    settings = nb.Settings(epochs=2, batch_size=8)
    run, plain = (nb.fit(DENSE, rule, VECTORS, settings) for rule in (Contrary(), rules.BP()))
    (_, u), *_ = leaves(run.params)
    (_, v), *_ = leaves(plain.params)
    np.testing.assert_array_equal(u, v)
    answers = -nb.network.predict(run.net, run.params, run.validation[0])
    assert run.history[-1]["validation_accuracy"] == (answers.argmax(1) == run.validation[1].argmax(1)).mean()
    test = (-nb.network.predict(run.net, run.params, VECTORS.x_test.astype("float32"))).argmax(1) == VECTORS.y_test
    assert run.test_accuracy() == test.mean()
    x = np.random.default_rng(0).normal(size=(9, 5))
    np.testing.assert_array_equal(run.predictor().output(x), -plain.predictor().output(x))
    run.save_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(nb.load(tmp_path / "model.safetensors").output(x), run.predictor().output(x))
    with monkeypatch.context() as patch:  # as of a class that no other process could find
        patch.setattr(Contrary, "__module__", "__main__")
        (tmp_path / "model.safetensors").unlink()
        with pytest.raises(InputError, match=r"^rule .*Contrary\(\) predicts in a way of its own"):
            run.save_model(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(RULES, "contrary", Contrary())
    run.save_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(nb.load(tmp_path / "model.safetensors").output(x), run.predictor().output(x))


def test_a_description_tells_rules_apart():
    assert [rules.describe(rule) for rule in RULES.values()] == list(RULES)
    for text in ("asap:k=4:match=avg", "spsa:c=0.1", "ltas"):
        assert rules.get(rules.describe(rules.get(text))) == rules.get(text)

    def mine(rng, shape):
        return rng.normal(size=shape)
    assert "mine" in rules.describe(rules.DFA(draw=mine)) and "0x" not in rules.describe(rules.DFA(draw=mine))


# what is not the file of this run


def saved(folder: Path, **changes: Any) -> Path:
    """The checkpoint of a small run whose header has these changes."""
    path = folder / "run.safetensors"
    Run(DENSE, "dfa", VECTORS, nb.Settings(epochs=2, batch_size=8)).save(path)
    header, trees = saving.read(path, learn.CHECKPOINT)
    saving.write(path, learn.CHECKPOINT, header | changes, trees)
    return path


@pytest.mark.parametrize("given_, message", [
    ({"data": IMAGES}, "another data set"), ({"data": VECTORS, "rule": rules.get("fa")}, "another rule"),
    ({"data": VECTORS, "net": CONV}, "another network"), ({}, "pass it as data")])
def test_what_belongs_to_another_run_is_refused(given_, message, tmp_path):
    with pytest.raises(InputError, match=f"cannot go on from .*{message}"):
        Run.load(saved(tmp_path), **given_)


@pytest.mark.parametrize("changes, message", [
    ({"nobackprop": "0.1.0"}, "nobackprop 0.1.0 wrote it"), ({"settings": {"epoch": 3}}, "epoch"),
    ({"steps": [{}, {}]}, "cannot go on"),
    ({"steps": []}, "cannot go on"), ({"generators": [{}, {}]}, "cannot go on"), ({"seed": -1}, "seed"),
    ({"network": {"loss": "squared", "blocks": [{"layer": "Bomb"}]}}, "unknown layer 'Bomb'"),
    ({"network": {"loss": "squared", "blocks": [{"layer": "Dense"}]}}, "Dense cannot be made"),
    ({"network": 3}, "a network is 3"), ({"rule": "nothing"}, "unknown rule")])
def test_a_header_that_says_other_things_is_refused(changes, message, tmp_path):
    path = saved(tmp_path, **changes)
    with pytest.raises(InputError, match=message):
        Run.load(path, VECTORS)


def test_parameters_of_another_shape_are_refused(tmp_path):
    path = saved(tmp_path)
    header, trees = saving.read(path, learn.CHECKPOINT)
    trees["memories"][0]["0/0/W"] = [np.zeros(3, "float32")]
    saving.write(path, learn.CHECKPOINT, header, trees)
    with pytest.raises(InputError, match=r"cannot go on from .*memories"):
        Run.load(path, VECTORS)


@given(st.data())
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path_factory, draw):
    """Cut short, or with any of its bytes changed: by the length, the header's form or the checksum."""
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "a.safetensors"
    saving.write(path, "example", {"epoch": 3}, {"params": [{"W": np.arange(6.0).reshape(2, 3)}, None]})
    whole = bytearray(path.read_bytes())
    if draw.draw(st.booleans()):
        del whole[draw.draw(st.integers(0, len(whole) - 1)):]
    else:
        at = draw.draw(st.integers(0, len(whole) - 1))
        whole[at] ^= draw.draw(st.integers(1, 255))
    path.write_bytes(whole)
    try:
        found = saving.read(path, "example")
    except InputError as error:
        assert len(str(error)) < 500 and "\n" not in str(error)
    else:  # a byte of padding or of the spelling of the same header
        assert repr(found) == repr(({"epoch": 3}, {"params": [{"W": np.arange(6.0).reshape(2, 3)}, None]}))


@pytest.mark.parametrize("at", range(1, 49))
def test_an_edited_array_is_refused(at, tmp_path):
    """The arrays are the last 48 bytes, and only the checksum can tell."""
    path = tmp_path / "a.safetensors"
    saving.write(path, "example", {"epoch": 3}, {"params": [{"W": np.arange(6.0).reshape(2, 3)}, None]})
    whole = bytearray(path.read_bytes())
    whole[-at] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match="is damaged or was edited"):
        saving.read(path, "example")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04.", b"\xff" * 100, b"{}", bytes(8)])
def test_a_foreign_file_is_refused(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    for read in (lambda path: Run.load(path, VECTORS), nb.load):
        with pytest.raises(InputError, match="expected a (checkpoint|model)"):
            read(tmp_path / "a")
        with pytest.raises(InputError, match="expected a (checkpoint|model)"):
            read(tmp_path / "absent")
        with pytest.raises(InputError, match="expected a (checkpoint|model)"):
            read(tmp_path)


def test_files_of_another_kind_library_or_format_are_refused(tmp_path, monkeypatch):
    from safetensors.numpy import save_file
    save_file({"W": np.ones(3)}, tmp_path / "foreign")
    with pytest.raises(InputError, match="not written by nobackprop"):
        nb.load(tmp_path / "foreign")
    path = saved(tmp_path)
    with pytest.raises(InputError, match="is a checkpoint, expected a model"):
        nb.load(path)
    monkeypatch.setattr(saving, "FORMAT", 2)
    with pytest.raises(InputError, match="is of format 1, expected 2"):
        nb.load(path)


def test_other_readers_of_safetensors_find_the_arrays_by_name(tmp_path):
    from safetensors.numpy import load_file
    run = Run(DENSE, "bp", VECTORS)
    run.save_model(tmp_path / "model.safetensors")
    assert (load_file(tmp_path / "model.safetensors")["params/0/0/W"] == run.params[0][0]["W"]).all()


@pytest.mark.parametrize("tree", [[np.ones(2, "int64")], [np.array("a")], [1.0], [np.ma.masked_array([1.0], [True])],
                                  {1: np.ones(2)}, {"a": {"b": np.ones(1)}, "a/b": np.ones(1)}])
def test_what_would_be_read_back_as_something_else_is_not_written(tree, tmp_path):
    with pytest.raises(InputError):
        saving.write(tmp_path / "a", "example", {}, {"params": tree})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), np.float32(1), {1, 2}])
def test_a_header_that_json_cannot_hold_is_not_written(value, tmp_path):
    with pytest.raises(InputError, match="the header of this example cannot be written"):
        saving.write(tmp_path / "a", "example", {"history": value}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_scalar_and_an_empty_array_keep_their_shapes(tmp_path):
    tree = [np.array(2.5), np.zeros((0, 3), "float32")]
    saving.write(tmp_path / "a", "example", {}, {"params": tree})
    _, trees = saving.read(tmp_path / "a", "example")
    assert [(array.shape, array.dtype) for array in trees["params"]] == [((), "float64"), ((0, 3), "float32")]


def test_the_last_good_file_stays_if_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    run, path = Run(DENSE, "dfa", VECTORS, nb.Settings(epochs=2)), tmp_path / "run.safetensors"
    run.save(path)
    before = path.read_bytes()
    run.epoch()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="No space left on device"):
            run.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


# networks as plain values


@pytest.mark.parametrize("net", [DENSE, CONV, Network((AvgPool(2), GlobalPool(), Dense(3)), "squared"), *(
    nb.models.build(name, (32, 32, 3), 10) for name in ("resnet18:0.125", "vgg:0.125", "conv3:0.125"))])
def test_a_network_comes_back_from_json(net):
    assert blueprint.build(json.loads(json.dumps(blueprint.draw(net)))) == net


def test_every_layer_there_is_comes_back():
    """A field of a new layer that JSON cannot hold is noticed here."""
    kinds = [kind for kind in blueprint._kinds(Layer) if kind.__module__ == Layer.__module__]
    needed = {"units": 3, "planes": 3, "kernel": 1, "size": 2, "name": "relu", "layers": (Dense(2),), "body": Dense(2)}
    assert len(kinds) > 10
    for kind in kinds:
        takes = getattr(kind, "__dataclass_fields__", {})
        layer = kind(**{name: value for name, value in needed.items() if name in takes})
        assert blueprint.build(json.loads(json.dumps(blueprint.draw(Network((layer,))))))[0] == layer


@dataclass(frozen=True)
class Halve(Layer):
    """A layer of another module."""

    def forward(self, params, h, train, rng=None):
        return h / 2, None

    def out_shape(self, shape, params=None):
        return shape

    def init(self, rng, shape):
        return None, shape


def test_a_layer_of_your_own_is_known_by_its_module():
    plan = blueprint.draw(Network((Halve(),)))
    assert plan["blocks"] == [{"layer": f"{__name__}:Halve"}]
    assert blueprint.build(plan)[0] == Halve()


def test_a_layer_that_is_no_dataclass_or_holds_an_array_is_refused():
    class Plain(Layer):
        """No dataclass."""

    @dataclass(frozen=True)
    class Holds(Layer):
        """With an array."""

        what: Any

    for layer in (Plain(), Holds(np.ones(2))):
        with pytest.raises(InputError, match="cannot be written to a file"):
            blueprint.draw(Network((layer,)))


# trained networks


@pytest.fixture(scope="module")
def wine() -> tuple[Run, np.ndarray, np.ndarray]:
    """A run on Wine, whose features differ in scale by a factor of a thousand, with its raw test samples."""
    from sklearn.datasets import load_wine
    x, y = load_wine(return_X_y=True)
    test = np.arange(len(x)) % 4 == 0
    data = nb.data.from_arrays("wine", x[~test], y[~test], x[test], y[test], validation=20)
    net = nb.models.build("mlp:16", data.shape, data.classes)
    return nb.fit(net, "las", data, nb.Settings(epochs=40, batch_size=16, lr=1e-2)), x[test], y[test]


@pytest.mark.slow
def test_a_model_takes_raw_samples(wine, tmp_path):
    run, x, y = wine
    run.save_model(tmp_path / "wine.safetensors")
    model = nb.load(tmp_path / "wine.safetensors")
    assert model.score(x, y) == run.test_accuracy() > 0.85
    # the network itself takes prepared samples, and knows nothing of raw ones
    raw = nb.network.predict(run.net, run.params, x.astype("float32")).argmax(1)
    assert (raw == y).mean() < 0.7
    assert (model.output(x) == nb.network.predict(run.net, run.params, run.data.x_test)).all()


def test_predictions_are_classes_and_probabilities(wine):
    run, x, y = wine
    model = run.predictor()
    probabilities = model.predict_proba(x)
    assert np.abs(probabilities.sum(1) - 1).max() < 1e-6 and (probabilities.argmax(1) == model.predict(x)).all()
    named = replace(model, classes=("barolo", "grignolino", "barbera"))
    assert named.predict(x).tolist() == [("barolo", "grignolino", "barbera")[i] for i in model.predict(x)]
    assert named.score(x, named.predict(x)) == 1.0
    assert model.predict(x[:0]).shape == (0,) and model.predict_proba(x[:0]).shape == (0, 3)


def test_a_model_is_a_copy(wine):
    run, x, _ = wine
    model = run.predictor()
    before = model.output(x)
    kept = [array.copy() for _, array in leaves(run.params)]
    for _, array in leaves(run.params):
        array[...] = 0
    assert (model.output(x) == before).all()
    for (_, array), was in zip(leaves(run.params), kept, strict=True):
        array[...] = was


def test_a_model_with_running_statistics_and_images_predicts_as_the_run_does(tmp_path):
    run = nb.fit(CONV, "bp", IMAGES, nb.Settings(epochs=2, batch_size=8))
    run.save_model(tmp_path / "a.safetensors")
    model = nb.load(tmp_path / "a.safetensors")
    raw = IMAGES.x_test.astype("float64") * IMAGES.scale + IMAGES.mean
    assert (model.predict(raw) == nb.network.predict(CONV, run.params, IMAGES.x_test).argmax(1)).all()
    assert model.shape == (6, 6, 2) and model.net == CONV


@pytest.mark.parametrize("x, message", [
    (np.zeros((2, 4)), "expected \\(13,\\)"), (np.zeros(13), "expected"), (np.full((2, 13), np.nan), "finite"),
    ([["a"] * 13], "real numbers"), (np.zeros((2, 13), complex), "real numbers"), (None, "expected")])
def test_samples_that_do_not_fit_are_refused(wine, x, message):
    for use in (wine[0].predictor().predict, wine[0].predictor().predict_proba):
        with pytest.raises(InputError, match=message):
            use(x)


@pytest.mark.parametrize("y, message", [([0], "shape"), ([9] * 45, "holds 9"), (["a"] * 45, "holds 'a'")])
def test_classes_that_do_not_fit_are_refused(wine, y, message):
    with pytest.raises(InputError, match=message):
        wine[0].predictor().score(wine[1], y)


def test_a_loss_without_probabilities_says_so():
    net = nb.models.build("mlp:4", VECTORS.shape, 3, loss="squared")
    model = nb.fit(net, "bp", VECTORS, nb.Settings(epochs=1)).predictor()
    with pytest.raises(InputError, match="no probabilities"):
        model.predict_proba(np.zeros((1, 5)))


def test_raw_data_sets_have_no_mean(tmp_path):
    x, y = DRAW.normal(size=(20, 2)), np.arange(20) % 2
    data = nb.data.from_arrays("raw", x, y, x, y, validation=4, standardise=False)
    assert data.mean is None and data.scale is None
    assert (data.prepare(x) == data.x_test).all()
    with pytest.raises(InputError, match="mean has shape"):
        replace(data, mean=np.zeros(3))


def test_a_fingerprint_changes_with_every_number():
    prints = {VECTORS.fingerprint, images().fingerprint}
    for part in ("x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test", "mean", "scale"):
        array = getattr(VECTORS, part).copy()
        array[(-1,) * array.ndim] = (array[-1] + 1) % 3 if array.dtype.kind == "i" else 7
        prints.add(replace(VECTORS, **{part: array}).fingerprint)
    assert len(prints) == 10 and images("other").fingerprint == IMAGES.fingerprint
