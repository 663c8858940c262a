"""Callbacks: what they see, what they record, how they stop and save, and that nothing they do moves a number."""
from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import logging
from pathlib import Path
from typing import Any

import fakecupy
import numpy as np
import pytest
from records import without_seconds

import nobackprop as nb
from nobackprop import learn
from nobackprop.backend import to_numpy
from nobackprop.callbacks import OWN, Moment, read_only, recordable
from nobackprop.data import from_arrays
from nobackprop.data.dataset import Dataset
from nobackprop.errors import InputError
from nobackprop.experiments import plots, results
from nobackprop.experiments.compare import Comparison, resolve
from nobackprop.experiments.folder import Folder
from nobackprop.experiments.loop import Every
from nobackprop.learn import Run
from nobackprop.tree import leaves, tree_map

NET = nb.models.build("mlp:6,6", (5,), 3)
HOW = nb.Settings(epochs=3, batch_size=10)


def tiny(samples: int = 60) -> Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(samples, 5)).astype("float32"), np.arange(samples) % 3
    return from_arrays("tiny", x, y, x[:9], y[:9], validation=12)


def bits(run: Run) -> list[bytes]:
    return [to_numpy(array).tobytes() for _, array in leaves([run.params, run.state])]


class Everything:
    """Reads, draws, measures and tries to be in the way at every moment."""

    def __init__(self) -> None:
        self.draws: list[float] = []

    def __call__(self, now: Moment) -> dict[str, Any]:
        self.draws.append(now.rng.normal())
        np.random.default_rng(3).normal()
        found = nb.signals(now)
        x, y = now.validation
        nb.evaluate(now.net, now.params, x, y, rule=now.rule)
        now.predictor().params[0][0]["W"][...] = 9  # a copy
        now.data, now.settings, now.x, now.y, now.history, now.name  # noqa: B018  all that can be read
        return {f"cosine{'' if now.batch is None else '_batch'}": [one.cosine for one in found]}

    on_batch = on_epoch = __call__


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bp", "dfa", "las", "kp", "wm", "ff", "pc", "adaptive-dfa", "predsim"])
def test_training_is_the_same_to_the_last_bit_with_callbacks_and_without(name):
    rule = nb.rules.get(name)
    plain = nb.fit(NET, rule, tiny(), HOW, seed=3)
    watched = nb.fit(NET, rule, tiny(), HOW, seed=3, callbacks=[Everything(), Everything()][:1])
    assert bits(plain) == bits(watched)
    assert [{k: v for k, v in record.items() if not k.startswith("cosine")} for record in watched.history] == [
        *plain.history]
    assert plain.rng.bit_generator.state == watched.rng.bit_generator.state
    assert len(watched.history[0]["cosine_batch"]) == 5 and len(watched.history[0]["cosine"]) == 3


@pytest.mark.parametrize("name", ["bp", "las"])
def test_on_another_device_callbacks_get_copies(name, monkeypatch):
    monkeypatch.setattr(learn, "open_device", lambda device: fakecupy)
    run = Run(NET, name, tiny(), HOW)

    def spoil(now: Moment) -> None:
        now.params[0][0]["W"][...] = 0
        now.x[...] = 0
        if now.batch is not None:
            now.batch.output[...] = 0

    class Both:
        on_batch = on_epoch = staticmethod(spoil)

    watched = Run(NET, name, tiny(), HOW, callbacks=[Both()])
    run.train()
    watched.train()
    assert bits(run) == bits(watched)


def replace_leaf(now: Moment) -> None:
    now.params[0][0]["W"] = np.zeros(3)


def add_to(now: Moment) -> None:
    W = now.params[0][0]["W"]
    W += 1


def to_end(now: Moment) -> None:
    now.state.append(3)


WRITES = {
    "entry": lambda now: now.params[0][0]["W"].__setitem__(0, 1.0), "in place": add_to, "leaf": replace_leaf,
    "state": to_end, "x": lambda now: now.x.fill(0), "y": lambda now: now.probe[1].sort(),
    "validation": lambda now: np.add(now.validation[0], 1, out=now.validation[0]),
    "data": lambda now: now.data.x_train.__setitem__(0, 0), "record": lambda now: now.record.update(train_loss=0.0),
    "list in the record": lambda now: now.record["alignment"].append(1.0),
    "history": lambda now: now.history.clear(), "in history": lambda now: now.history[0].pop("epoch"),
    "attribute": lambda now: setattr(now, "params", None), "epoch": lambda now: setattr(now, "epoch", 9),
    "shuffled": lambda now: now.rng.shuffle(now.params[0][0]["W"])}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_writes_into_what_it_was_given_is_told_in_a_sentence(write):
    run = Run(NET, "dfa", tiny(), HOW, callbacks=[write])
    twin = nb.fit(NET, "dfa", tiny(), nb.Settings(epochs=1, batch_size=10))
    with pytest.raises(InputError, match="^the callback .* wrote into what it was given, which is for reading: "
                                         "expected it to change a copy, such as") as caught:
        run.epoch()
    assert "\n" not in str(caught.value)
    assert list(run.history) == list(twin.history) and bits(run) == bits(twin)


def test_other_errors_of_a_callback_pass_through_and_what_was_measured_stays():
    def broken(now: Moment) -> None:
        if now.epoch == 2:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="^mine$") as caught:
        nb.fit(NET, "dfa", tiny(), HOW, callbacks=[lambda now: {"a": now.epoch}, broken])
    run = caught.value.run
    assert [record["a"] for record in run.history] == [1, 2]
    run.callbacks = ()
    run.train()  # it goes on where it was
    assert bits(run) == bits(nb.fit(NET, "dfa", tiny(), HOW))


# ---------------------------------------------------------------- what is seen


def test_the_batch_is_the_one_of_the_step():
    seen: list[Any] = []

    class Watch:
        def on_batch(self, now: Any) -> dict[str, Any]:
            batch = now.batch
            seen.append((now.epoch, batch.number, batch.x.copy(), batch.y.copy(), batch.output.copy(), batch.loss,
                         to_numpy(now.params[0][0]["W"]).copy()))
            return {"loss": batch.loss}

    run = nb.fit(NET, "bp", tiny(), HOW, callbacks=[Watch()])
    assert [(epoch, number) for epoch, number, *_ in seen] == [(e, b) for e in (1, 2, 3) for b in (1, 2, 3, 4, 5)]
    start = Run(NET, "bp", tiny(), HOW)
    order = start.rng.permutation(len(start.y))
    np.testing.assert_array_equal(seen[0][2], start.x[order[:10]])
    np.testing.assert_array_equal(seen[1][3], start.y[order[10:20]])
    np.testing.assert_array_equal(seen[-1][6], run.params[0][0]["W"])  # after the step
    for epoch in (1, 2, 3):
        losses, sizes = zip(*[(s[5], len(s[2])) for s in seen if s[0] == epoch])
        assert run.history[epoch - 1]["loss"] == list(losses)
        assert run.history[epoch - 1]["train_loss"] == float(np.average(losses, weights=sizes))
    assert sizes[-1] == 8


@pytest.mark.slow
def test_random_numbers_are_the_callbacks_own_and_come_again():
    first, second, other = Everything(), Everything(), Everything()
    nb.fit(NET, "dfa", tiny(), HOW, callbacks=[first])
    nb.fit(NET, "dfa", tiny(), HOW, callbacks=[lambda now: None, other])
    nb.fit(NET, "las", tiny(), HOW, callbacks=[second])
    assert first.draws == second.draws and len(set(first.draws + other.draws)) == 36
    assert not set(first.draws) & set(np.random.default_rng(0).normal(size=50))


def test_an_epochs_record_is_refused_in_a_batch_and_so_is_a_checkpoint(tmp_path):
    class Early:
        def __init__(self, do: Any):
            self.on_batch = do

    for do, sentence in ((lambda now: now.record, "an epoch has a record at its end"),
                         (lambda now: now.save(tmp_path / "a"), "a checkpoint belongs between epochs")):
        with pytest.raises(InputError, match=sentence):
            nb.fit(NET, "dfa", tiny(), HOW, callbacks=[Early(do)])
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- what is recorded


@pytest.mark.parametrize("value, kept", [
    (1, 1), (np.float32(0.5), 0.5), (np.nan, None), (float("inf"), None), (None, None), (True, True), ("text", "text"),
    (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]), ((1, np.array([2.0, np.nan])), [1, [2.0, None]]),
    ({"a": np.bool_(True)}, {"a": True}), (np.array(2.0), 2.0), (np.int64(7), 7)], ids=str)
def test_what_can_be_recorded(value, kept):
    run = nb.fit(NET, "dfa", tiny(), nb.Settings(epochs=1), callbacks=[lambda now: {"mine": value}])
    found = run.history[0]["mine"]
    assert found == kept and type(found) is type(kept)
    assert json.loads(json.dumps(run.history, allow_nan=False)) == run.history


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize("value", [{1}, object(), 1j, np.array([1j]), b"a", "two\nlines", {1: 2}, 2**65, LOOP,
                                   np.array([object()]), "\ud800"], ids=lambda value: type(value).__name__)
def test_what_no_file_can_hold_is_refused(value):
    with pytest.raises(InputError, match="^a callback recorded .* as 'mine', expected numbers"):
        recordable("mine", value)


@pytest.mark.parametrize("name", [*sorted(OWN), "taken", 3, "", "two\nlines", "x" * 61, None], ids=repr)
def test_names_that_are_taken_or_none_are_refused(name):
    run = Run(NET, "dfa", tiny(), HOW, callbacks=[lambda now: {"taken": 1}, lambda now: {name: 1}])
    with pytest.raises(InputError, match="^the callback .* recorded something as "):
        run.epoch()
    assert run.history[0]["taken"] == 1 and run.history[0]["epoch"] == 1


@pytest.mark.parametrize("given", [3, [1], "text", True], ids=repr)
def test_what_is_returned_is_a_dict(given):
    with pytest.raises(InputError, match="^the callback .* returned .*, expected a dict"):
        nb.fit(NET, "dfa", tiny(), HOW, callbacks=[lambda now: given])


def test_batches_without_a_value_have_none():
    class Odd:
        def on_batch(self, now: Any) -> dict[str, Any] | None:
            return {"odd": now.batch.number} if now.batch.number % 2 else None

        def on_epoch(self, now: Moment) -> dict[str, Any]:
            return {"sum": sum(filter(None, now.record["odd"]))}

    run = nb.fit(NET, "dfa", tiny(), nb.Settings(epochs=1, batch_size=10), callbacks=[Odd()])
    assert run.history[0]["odd"] == [1, None, 3, None, 5] and run.history[0]["sum"] == 9


def lengths(now: Moment) -> dict[str, Any]:
    return {"length": float(np.sqrt(sum((W**2).sum() for _, W in leaves(now.params)))), "series": [1.0, 2.0],
            "draw": now.rng.normal()}


def quietly(*args: Any, **kwargs: Any) -> Any:
    with contextlib.redirect_stderr(io.StringIO()):
        return nb.compare(*args, **kwargs)


@pytest.mark.slow
def test_numbers_are_in_the_table_the_figure_the_file_and_the_rows(tmp_path):
    found = quietly(tiny(), ["bp", "dfa"], [0, 1], epochs=3, model="mlp:4", out=str(tmp_path / "o"),
                    callbacks=[lengths])
    means = {rule: np.mean([run["history"][-1]["length"] for run in runs])
             for rule, runs in results.by_rule(found.results).items()}
    lines = found.table().splitlines()
    start = lines.index("also recorded: mean at the last epoch")
    assert lines[start + 2].split() == ["rule", "length", "series", "draw"]
    assert lines[start + 3].split()[2:4] == ["1,", "2"]
    assert [line.split()[:2] for line in lines[start + 3:start + 5]] == [[rule, f"{mean:.4g}"]
                                                                        for rule, mean in means.items()]
    assert [axes.get_title() for axes in found.plot().axes] == [
        "How well the rules learn", "How far error signals agree with those of bp", "length", "draw"]
    drawn = found.plot().axes[2].lines[1].get_ydata()[-1]
    assert drawn == means["dfa"]
    assert results.read(tmp_path / "o" / "results.json")["runs"] == found.results["runs"]
    assert found.rows()[0]["series_2"] == 2.0 and "length" in found.rows()[0]


@pytest.mark.parametrize("value", [None, "text", 1e301, True, [], ["text"], [[1]], [1] * 6, {"a": 1}],
                         ids=repr)
def test_what_is_no_number_to_draw_is_in_no_table(value):
    record = {"epoch": 1, "train_loss": 0.5, "validation_accuracy": 1.0, "alignment": [1.0], "alignment_at_a": [1.0]}
    run = {"rule": "bp", "seed": 0, "seconds": 2.0, "test_accuracy": 0.9, "history": [record]}
    other = run | {"history": [record | {"mine": value}]}
    assert results.table({"runs": [other]}) == results.table({"runs": [run]})
    assert len(plots.draw({"config": {"data": "a", "model": "b"}, "runs": [other]}).axes) == 1


@pytest.mark.slow
def test_a_name_that_means_something_to_matplotlib_is_drawn_as_it_is(tmp_path):
    found = quietly(tiny(), ["bp"], [0], epochs=1, model="mlp:4", callbacks=[lambda now: {"$\\frac{": 1.0, "_b": 2}])
    found.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


# ---------------------------------------------------------------- stopping


def after(epoch: int, why: str = "enough") -> Any:
    def stop(now: Moment) -> None:
        if now.epoch == epoch:
            raise nb.Stop(why)
    return stop


def test_a_run_ends_after_the_epoch_in_which_it_is_stopped():
    run = nb.fit(NET, "dfa", tiny(), HOW, callbacks=[after(2), lambda now: {"later": 1}])
    assert [record["later"] for record in run.history] == [1, 1] and run.stopped == "enough" and run.ended
    run.train()  # it has ended
    assert len(run.history) == 2
    run.callbacks = ()
    run.epoch()  # unless it is told to go on
    assert run.stopped == "" and bits(run) == bits(nb.fit(NET, "dfa", tiny(), HOW))
    assert "stopped it" in nb.fit(NET, "dfa", tiny(), HOW, callbacks=[after(1, "")]).stopped


def test_stopped_in_a_batch_an_epoch_ends_there_and_is_measured():
    class AtTwo:
        losses: list[float] = []

        def on_batch(self, now: Any) -> None:
            self.losses.append(now.batch.loss)
            if now.batch.number == 2:
                raise nb.Stop("two steps")

    run = nb.fit(NET, "dfa", tiny(), HOW, callbacks=[AtTwo()])
    assert len(run.history) == 1 and run.history[0]["train_loss"] == float(np.mean(AtTwo.losses))
    assert len(AtTwo.losses) == 2 and run.history[0]["validation_accuracy"] >= 0


@pytest.mark.slow
def test_a_stopped_run_of_a_comparison_is_whole(tmp_path):
    def only_dfa(now: Moment) -> None:
        if now.name == "dfa":
            after(1)(now)

    found = quietly(tiny(), ["bp", "dfa"], [0], epochs=3, model="mlp:4", callbacks=[only_dfa], out=str(tmp_path / "o"))
    bp, dfa = found.results["runs"]
    assert (len(bp["history"]), len(dfa["history"]), dfa["stopped"]) == (3, 1, "enough") and "stopped" not in bp
    assert dfa["test_accuracy"] is not None and "interrupted" not in found.results["config"]
    assert "stopped after 1 epoch: dfa, seed 0: enough" in found.table()
    stored = results.read(tmp_path / "o" / "results.json")
    again = Comparison(resolve(tiny(), ["bp", "dfa"], [0], {"epochs": 3, "model": "mlp:4"}), data=tiny())
    again.results["runs"] = stored["runs"]
    with contextlib.redirect_stderr(io.StringIO()):
        again.run()  # nothing is left to be done
    assert again.results["runs"] == found.results["runs"]


def test_an_error_of_a_callback_costs_a_comparison_nothing_that_was_measured(tmp_path):
    def broken(now: Moment) -> None:
        if (now.name, now.epoch) == ("dfa", 2):
            raise RuntimeError("mine")

    how = {"epochs": 3, "model": "mlp:4"}
    with pytest.raises(RuntimeError, match="^mine$") as caught:
        quietly(tiny(), ["bp", "dfa"], [0], out=str(tmp_path / "o"), callbacks=[broken], **how)
    whole = quietly(tiny(), ["bp", "dfa"], [0], **how).results["runs"]
    for runs in (results.read(tmp_path / "o" / "results.json")["runs"], caught.value.outcome.results["runs"]):
        assert [run["history"] for run in runs] == [whole[0]["history"], whole[1]["history"][:2]]


# ---------------------------------------------------------------- saving, and going on


def test_a_checkpoint_that_a_callback_saves_has_the_whole_epoch_and_goes_on_bit_for_bit(tmp_path):
    def save(now: Moment) -> None:
        if now.epoch == 2:
            now.save(tmp_path / "run")
            now.save_model(tmp_path / "model")

    callbacks = [save, lengths]  # what is recorded after the call to save is in the file
    whole = nb.fit(NET, "las", tiny(), HOW, callbacks=callbacks)
    again = Run.load(tmp_path / "run", tiny(), callbacks=callbacks)
    assert again.history == whole.history[:2] and "length" in again.history[-1]
    again.train()
    assert again.history == whole.history and bits(again) == bits(whole)
    assert nb.load(tmp_path / "model").predict(np.zeros((2, 5))).shape == (2,)


def test_a_stopped_run_stays_stopped_in_a_checkpoint(tmp_path):
    run = nb.fit(NET, "las", tiny(), HOW, callbacks=[after(1)])
    run.save(tmp_path / "run")
    again = Run.load(tmp_path / "run", tiny())
    assert again.stopped == "enough" and again.ended


def test_what_callbacks_record_survives_an_interruption_of_a_comparison(tmp_path):
    config = resolve(tiny(), ["bp", "las"], [0], {"epochs": 4, "model": "mlp:4"})

    def comparison(*more: Any) -> Comparison:
        return Comparison(config, data=tiny(), callbacks=[lengths, *more])

    def interrupt(now: Moment) -> None:
        if (now.name, now.epoch) == ("las", 3):
            raise KeyboardInterrupt

    def train(one: Comparison, folder: Folder | None = None) -> str:
        with contextlib.redirect_stderr(io.StringIO()):
            one.run(folder, checkpoint=Every(epochs=1))
        return without_seconds(one.results)

    first, folder = comparison(interrupt), Folder(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(first, folder)
    second = comparison()
    second.results["runs"] = results.read(tmp_path / "results.json")["runs"]
    assert len(second.results["runs"][1]["history"]) == 2
    assert train(second, folder) == train(comparison())


def test_a_run_is_copied_with_its_callbacks():
    run = Run(NET, "dfa", tiny(), HOW, callbacks=[lengths])
    run.epoch()
    twin = copy.deepcopy(run)
    run.train()
    twin.train()
    assert twin.history == run.history


# ---------------------------------------------------------------- signals


@pytest.mark.parametrize("name", ["bp", "dfa", "las", "shallow", "foa", "asap", "ep", "ff", "pepita"])
def test_signals_are_what_alignment_compares(name):
    run = nb.fit(NET, name, tiny(), HOW)
    found = nb.signals(run)
    at_h, at_a = run.history[-1]["alignment"], run.history[-1]["alignment_at_a"]
    assert [one.cosine for one in found[:-1]] == [a if one.at_a else h for one, h, a in zip(found, at_h, at_a)]
    assert all(one.backprop.shape == (12, *shape) for one, shape in zip(found, [(6,), (6,), (3,)], strict=True))
    assert [one.sent is None for one in found] == {
        "shallow": [True, False, False], "asap": [True, False, False], "ep": [True] * 3}.get(name, [False] * 3)
    if name == "bp":
        assert [one.ratio for one in found] == [1.0] * 3


def test_signals_are_those_of_the_batch_that_is_named():
    run = Run(NET, "dfa", tiny(), HOW)
    e = run.net.error(nb.network.predict(run.net, run.params, run.x[:7]), run.y[:7])
    found = nb.signals(run, run.x[:7].astype("float64"), run.y[:7])
    np.testing.assert_array_equal(found[-1].sent, e)
    np.testing.assert_array_equal(found[0].sent, e @ run.state[0])


@pytest.mark.parametrize("x, y, sentence", [
    (np.ones((2, 5)), None, "y is a NoneType"), (np.ones((2, 4)), np.eye(3)[:2], r"got samples of shape \(4,\)"),
    (np.ones((2, 5)), np.arange(2), "y has shape"), (np.ones((2, 5)), np.ones((2, 3)), "expected probabilities"),
    (np.ones((0, 5)), np.ones((0, 3)), "x holds no sample"), (np.full((3, 5), np.nan), np.eye(3), "x holds NaN or inf"),
    (np.full((3, 5), np.inf), np.eye(3), "x holds NaN or infinity, expected finite numbers")])
def test_signals_of_what_does_not_fit_are_refused(x, y, sentence):
    with pytest.raises(InputError, match=sentence):
        nb.signals(Run(NET, "dfa", tiny(), HOW), x, y)


@pytest.mark.parametrize("wrong", ["run", None, 3, NET], ids=str)
def test_signals_are_those_of_a_run(wrong):
    with pytest.raises(InputError, match="^run is .*, expected a Run or the moment that a callback gets"):
        nb.signals(wrong)


def test_a_number_that_is_not_finite_is_recorded_as_none():
    seen: list[Any] = []

    def odd(now: Moment) -> dict[str, Any]:
        seen.append([record["odd"] for record in now.history[:-1]])
        return {"odd": float("nan") if now.epoch < 3 else 1.0}

    run = nb.fit(NET, "bp", tiny(), HOW, callbacks=[odd])
    assert run.history.column("odd") == [None, None, 1.0] and seen[-1] == [None, None]


def test_the_remedy_for_a_callback_that_writes_works():
    """It is one for every network: the parameters of a block may be a list or a dict."""
    import copy

    def writes(now: Moment) -> None:
        now.params[0][0]["W"][:] = 0

    def remedy(now: Moment) -> None:
        eval("copy.deepcopy(now.params)", {"now": now, "copy": copy})[0][0]["W"][:] = 0

    net = nb.models.build("mlp:4", (5,), 3)
    with pytest.raises(InputError, match=r"such as copy\.deepcopy\(now\.params\)"):
        nb.fit(net, "bp", tiny(), HOW, callbacks=[writes])
    nb.fit(net, "bp", tiny(), HOW, callbacks=[remedy])


# ---------------------------------------------------------------- writers


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_a_table_has_a_row_for_each_epoch_as_soon_as_it_is_measured(tmp_path):
    path = tmp_path / "run.csv"
    lines: list[int] = []
    found = quietly(tiny(), ["bp", "dfa"], [0, 1], epochs=3, model="mlp:4", callbacks=[
        lengths, nb.writers.CSV(path), lambda now: lines.append(len(path.read_text().splitlines()))])
    assert lines == list(range(2, 14))
    rows = table(path)
    expected = sorted(found.rows(), key=lambda row: (row["seed"], row["rule"]))
    assert [row.pop("run") for row in rows] == list("111222333444")
    for row, wanted in zip(sorted(rows, key=lambda row: (row["seed"], row["rule"])), expected, strict=True):
        assert {key: row[key] for key in row} == {
            key: "" if wanted[key] is None else str(wanted[key]) for key in row} and row["series_2"] == "2.0"


def test_a_table_goes_on_where_a_killed_run_left_it(tmp_path):
    path, whole = tmp_path / "run.csv", tmp_path / "whole.csv"

    def save(now: Moment) -> None:
        if now.epoch == 1:
            now.save(tmp_path / "run")

    for name, to in (("dfa", path), ("bp", path), ("dfa", whole), ("bp", whole)):
        nb.fit(NET, name, tiny(), HOW, callbacks=[nb.writers.CSV(to), save] if name == "dfa" else [nb.writers.CSV(to)])
    path.write_text(path.read_text()[:-4])  # the last row of bp is cut off
    again = Run.load(tmp_path / "run", tiny(), callbacks=[nb.writers.CSV(path)])
    again.train()
    rows = table(whole)
    assert [(row["rule"], row["epoch"]) for row in rows] == [(name, e) for name in ("dfa", "bp") for e in "123"]
    assert table(path) == [rows[0], *rows[3:5], *rows[1:3]]


@pytest.mark.parametrize("one", [True, False], ids=["one writer", "a writer each"])
def test_rows_of_another_run_are_never_deleted(tmp_path, one):
    path, losses = tmp_path / "sweep.csv", []
    writer = nb.writers.CSV(path)
    for lr, epochs in ((0.1, 3), (0.01, 1), (0.01, 1)):
        how = nb.Settings(epochs=epochs, lr=lr)
        run = nb.fit(NET, "bp", tiny(), how, callbacks=[writer if one else nb.writers.CSV(path)])
        losses += run.history.column("train_loss")
    rows = table(path)
    assert [(row["run"], row["epoch"]) for row in rows] == [("1", "1"), ("1", "2"), ("1", "3"), ("2", "1"), ("3", "1")]
    assert [float(row["train_loss"]) for row in rows] == losses


def test_runs_that_take_turns_keep_their_rows(tmp_path):
    path = tmp_path / "turns.csv"
    runs = [Run(NET, "bp", tiny(), nb.Settings(epochs=3, lr=lr), callbacks=[nb.writers.CSV(path)])
            for lr in (0.1, 0.01)]
    for _ in range(3):
        for run in runs:
            run.epoch()
    rows = table(path)
    for number, run in zip("12", runs, strict=True):
        assert [float(row["train_loss"]) for row in rows if row["run"] == number] == run.history.column("train_loss")


def test_a_column_that_another_writer_adds_is_seen(tmp_path):
    path = tmp_path / "turns.csv"
    plain, more = (Run(NET, "bp", tiny(), nb.Settings(epochs=3, lr=lr), callbacks=[*extra, nb.writers.CSV(path)])
                   for lr, extra in ((0.1, []), (0.01, [lambda now: {"mine": now.epoch}])))
    plain.epoch()
    more.epoch()
    plain.epoch()
    path.write_text(path.read_text()[:-4])  # the last row is cut off
    more.epoch()
    rows = table(path)
    assert [(row["run"], row["epoch"], row["mine"]) for row in rows] == [
        ("1", "1", ""), ("2", "1", "1"), ("2", "2", "2")]
    path.unlink()
    plain.epoch()
    assert [(row["run"], row["epoch"]) for row in table(path)] == [("1", "3")]


def test_a_checkpoint_of_a_run_goes_on_in_its_own_rows(tmp_path):
    """Another run of the same rule and seed has been written since: its rows stay."""
    path = tmp_path / "a.csv"
    run = Run(NET, "bp", tiny(), HOW, callbacks=[nb.writers.CSV(path)])
    run.epoch()
    run.save(tmp_path / "run")
    run.epoch()
    other = nb.fit(NET, "bp", tiny(), nb.Settings(epochs=2, lr=0.01), callbacks=[nb.writers.CSV(path)])
    again = Run.load(tmp_path / "run", tiny(), callbacks=[nb.writers.CSV(path)])
    again.train()
    rows = table(path)
    for number, of in (("1", again), ("2", other)):
        assert [float(row["train_loss"]) for row in rows if row["run"] == number] == of.history.column("train_loss")
    unknown = Run.load(tmp_path / "run", tiny(), callbacks=[nb.writers.CSV(tmp_path / "b.csv")])
    unknown.train()
    assert [(row["run"], row["epoch"]) for row in table(tmp_path / "b.csv")] == [("1", "2"), ("1", "3")]


def test_a_column_that_comes_later_is_added(tmp_path):
    def late(now: Moment) -> dict[str, Any]:
        return {"late": now.epoch, "odd": {"a": [1]}} if now.epoch > 1 else {}

    nb.fit(NET, "bp", tiny(), HOW, callbacks=[late, nb.writers.CSV(tmp_path / "a.csv")])
    rows = table(tmp_path / "a.csv")
    assert [(row["epoch"], row["late"], row["odd"]) for row in rows] == [
        ("1", "", ""), ("2", "2", '{"a": [1]}'), ("3", "3", '{"a": [1]}')]


@pytest.mark.parametrize("content", [b"a,b,c\n1,2,3\n", b"\xff\xfe\n", b"run,rule,seed,epoch\n1,bp,0,one\n",
                                     b"run,rule,seed,epoch\none,bp,0,1\n"], ids=repr)
def test_another_table_is_not_written_to(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match="expected a new file, or one"):
        nb.writers.CSV(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == content


@pytest.mark.parametrize("path", ["nowhere/a.csv", "", 3])
def test_a_table_needs_a_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        nb.writers.CSV(path)


def tensorboard() -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed: pip install 'nobackprop[tensorboard]'")


@pytest.mark.parametrize("one", [True, False], ids=["one writer", "a writer each"])
def test_event_files_of_two_runs_are_in_two_folders(tmp_path, one):
    tensorboard()
    writer = nb.writers.TensorBoard(tmp_path)
    for lr, epochs in ((0.1, 3), (0.01, 1), (0.02, 2)):
        nb.fit(NET, "bp", tiny(), nb.Settings(epochs=epochs, lr=lr),
               callbacks=[writer if one else nb.writers.TensorBoard(tmp_path)])
    assert {folder.name: len(list(folder.iterdir())) for folder in tmp_path.iterdir()} == {
        "bp-0": 1, "bp-0-2": 1, "bp-0-3": 1}


def test_a_checkpoint_goes_on_in_its_own_folder_of_event_files(tmp_path):
    tensorboard()
    run = Run(NET, "bp", tiny(), HOW, callbacks=[nb.writers.TensorBoard(tmp_path / "events")])
    run.epoch()
    run.callbacks[0].close()
    run.save(tmp_path / "run")
    nb.fit(NET, "bp", tiny(), nb.Settings(epochs=2, lr=0.01), callbacks=[nb.writers.TensorBoard(tmp_path / "events")])
    Run.load(tmp_path / "run", tiny(), callbacks=[nb.writers.TensorBoard(tmp_path / "events")]).train()
    folders = {folder.name: len(list(folder.iterdir())) for folder in (tmp_path / "events").iterdir()}
    assert folders == {"bp-0": 2, "bp-0-2": 1}


def test_tensorboard_refuses_a_file_for_a_folder(tmp_path):
    tensorboard()
    (tmp_path / "ok.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="ok.csv is a file, expected a folder"):
        nb.writers.TensorBoard(tmp_path / "ok.csv")
    with pytest.raises(InputError, match="cannot write to"):
        nb.fit(NET, "bp", tiny(), HOW, callbacks=[nb.writers.TensorBoard(tmp_path / "ok.csv" / "below")])


def test_tensorboard_gets_every_number(tmp_path):
    tensorboard()
    from tensorboardX.proto.event_pb2 import Event
    writer, found = nb.writers.TensorBoard(tmp_path), {}
    run = nb.fit(NET, "dfa", tiny(), HOW, callbacks=[lengths, writer])
    writer.close()
    for file in Path(tmp_path, "dfa-0").iterdir():
        content = file.read_bytes()
        while content:  # the length, its checksum, the event, its checksum
            size = int.from_bytes(content[:8], "little")
            event, content = Event.FromString(content[12:12 + size]), content[16 + size:]
            found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
    expected = {(key, record["epoch"]): value for record in run.history
                for key, value in record.items() if isinstance(value, float)}
    expected |= {(f"{key}/{i}", record["epoch"]): value for record in run.history for key, values in record.items()
                 if isinstance(values, list) for i, value in enumerate(values, start=1)}
    assert found == {place: float(np.float32(value)) for place, value in expected.items()}


def test_without_tensorboardx_the_writer_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"^the writer for TensorBoard needs tensorboardX, which is not "
                                         r"installed: pip install 'nobackprop\[tensorboard\]'$"):
        nb.writers.TensorBoard(tmp_path)


# ---------------------------------------------------------------- logging


def test_what_is_logged(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="nobackprop"):
        nb.fit(NET, "dfa", tiny(), HOW, callbacks=[lambda now: now.save(tmp_path / "run") if now.epoch == 2 else None])
        nb.fit(NET, "dfa", tiny(), HOW, callbacks=[after(1)])
        with pytest.raises(learn.Diverged):
            nb.fit(NET, "bp", tiny(), nb.Settings(epochs=9, optimizer="sgd", lr=1e30))
        told = [record.getMessage() for record in caplog.records]
    assert [text.split(", ")[0].partition("(")[0] + text.rpartition(")")[2] for text in told[:2]] == [
        "Run begins", f"Run: wrote the checkpoint {tmp_path / 'run'}"]
    assert told[2].endswith("ended") and told[4].endswith("ended: enough") and "learning rate below" in told[-1]
    assert caplog.records[-1].levelname == "WARNING" and {one.name for one in caplog.records} == {"nobackprop.learn"}


def test_a_folder_that_is_left_is_logged(tmp_path, caplog):
    folder = Folder(tmp_path / "gone", fallback=False)
    folder.write({"config": {}, "runs": []})
    assert "nothing more is written" in caplog.records[-1].getMessage()


def test_nothing_is_printed_unless_asked_for(capsys):
    with pytest.raises(learn.Diverged):
        nb.fit(NET, "bp", tiny(), nb.Settings(epochs=9, optimizer="sgd", lr=1e30))
    assert capsys.readouterr() == ("", "")
    assert any(isinstance(one, logging.NullHandler) for one in logging.getLogger("nobackprop").handlers)


def test_a_read_only_tree_is_the_same_tree():
    tree = [{"W": np.ones(2)}, None, (np.zeros(3),)]
    shown = read_only(tree)
    assert tree_map(lambda a, b: np.shares_memory(a, b), tree, shown) == [{"W": True}, None, (True,)]
    assert not any(array.flags.writeable for _, array in leaves(shown))
