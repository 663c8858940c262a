"""The run over epochs: what it repeats, what it measures, and how it stops."""
from __future__ import annotations

import numpy as np
import pytest
from networks import Case
from tolerance import assert_close

from nobackprop import learn, models, rules
from nobackprop.data import from_arrays, one_hot
from nobackprop.errors import InputError
from nobackprop.metrics import alignment, cosine, signals
from nobackprop.tree import leaves, tree_map


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 6))
    labels = (x[:, 0] * x[:, 1] > 0).astype(int) + 2 * (x[:, 2] > 0)
    return from_arrays("small", x[:300], labels[:300], x[300:], labels[300:], classes=4)


def build(data, sizes="8,8"):
    return models.build(f"mlp:{sizes}", data.shape, data.classes, "tanh")


@pytest.mark.parametrize("name", rules.RULES)
def test_the_same_seed_gives_the_same_bits(small, name):
    runs = [learn.fit(build(small), rules.get(name), small, learn.Settings(epochs=2), seed=3) for _ in range(2)]
    assert runs[0].history == runs[1].history
    for (_, u), (_, v) in zip(leaves(runs[0].params), leaves(runs[1].params), strict=True):
        np.testing.assert_array_equal(u, v)


def test_rules_with_one_seed_start_from_one_network_and_see_one_order(small):
    a, b = (learn.Run(build(small), rules.get(name), small, learn.Settings(), seed=5) for name in ("bp", "las"))
    for (_, u), (_, v) in zip(leaves(a.params), leaves(b.params), strict=True):
        np.testing.assert_array_equal(u, v)
    a.epoch(), b.epoch()
    assert a.rng.bit_generator.state == b.rng.bit_generator.state


def test_seeds_differ_and_no_global_state_is_read(small):
    results = []
    for seed in (0, 1):
        run = learn.Run(build(small), rules.get("fa"), small, learn.Settings(), seed)
        results.append((run.params[0][0]["W"], run.state[1][0]["W"]))
    assert not np.array_equal(results[0][0], results[1][0])
    assert not np.array_equal(results[0][1], results[1][1])


def test_every_sample_is_seen_once_an_epoch_the_short_last_batch_included(small, monkeypatch):
    seen = []
    step = learn.step
    monkeypatch.setattr(learn, "step", lambda *a: seen.append(a[6]) or step(*a))
    learn.Run(build(small), rules.get("bp"), small, learn.Settings(batch_size=64)).epoch()
    assert [len(x) for x in seen] == [64] * 4 + [14]
    rows = np.concatenate(seen)
    assert not np.array_equal(rows, small.x_train)
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], small.x_train[np.lexsort(small.x_train.T)])


def test_the_schedule_scales_the_rate_of_both_optimisers(small):
    run = learn.Run(build(small), rules.get("las"), small, learn.Settings(epochs=4, lr=0.1, schedule="step"))
    rates = []
    for _ in range(4):
        run.epoch()
        rates.append([opt.lr for opt in run.optimizers])
    assert_close(np.array(rates), np.array([[1, 1], [1, 1], [.25, .25], [.0625, .0625]]) * 0.1)


def test_the_test_set_is_read_by_nothing_but_test_accuracy(small):
    poisoned = learn.Run(build(small), rules.get("las"), _with_test(small, np.nan), learn.Settings(epochs=1))
    clean = learn.Run(build(small), rules.get("las"), small, learn.Settings(epochs=1))
    assert poisoned.epoch() == clean.epoch()


def _with_test(data, value):
    from dataclasses import replace
    return replace(data, x_test=np.full_like(data.x_test, value))


def test_a_loss_that_is_no_number_stops_with_rule_epoch_and_step(small):
    run = learn.Run(models.build("mlp:8,8", (6,), 4), rules.get("dfa"), small,
                    learn.Settings(optimizer="sgd", lr=1e30), name="dfa")
    with pytest.raises(learn.Diverged, match=r"rule dfa, seed 0: .* epoch 1, step \d+; try .* below 1e\+30"):
        run.epoch()
    assert run.history == []


@pytest.mark.parametrize("wrong, sentence", [
    ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ({"batch_size": -3}, "batch_size must be at least 1, got -3"),
    ({"lr": 0.0}, "lr must be a positive number, got 0.0"),
    ({"lr": float("nan")}, "lr must be a positive number, got nan"),
    ({"weight_decay": -1.0}, "weight_decay must be a non-negative number, got -1.0"),
    ({"schedule": "cosin"}, "did you mean 'cosine'"),
])
def test_settings_that_cannot_be(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        learn.Settings(**wrong)


def test_a_network_of_another_size_is_refused(small):
    with pytest.raises(InputError, match=r"output has shape \(3,\), expected \(4,\)"):
        learn.Run(models.build("mlp:8", (6,), 3), rules.get("bp"), small, learn.Settings())


def test_evaluate_counts_and_averages_over_uneven_batches():
    case = Case(rules.get("bp"), 0, samples=23)
    a = case.tape().output
    result = learn.evaluate(case.net, case.params, case.x, case.y, batch_size=10)
    assert result["accuracy"] == (a.argmax(1) == case.y.argmax(1)).mean()
    assert_close(result["loss"], case.net.value(a, case.y))
    with pytest.raises(InputError, match="got 22 for 23"):
        learn.evaluate(case.net, case.params, case.x, case.y[1:])
    with pytest.raises(InputError, match="at least one, got 0 for 0"):
        learn.evaluate(case.net, case.params, case.x[:0], case.y[:0])


# What is measured

def test_cosine_is_per_sample_and_skips_samples_without_a_signal():
    u = np.array([[1.0, 0], [3, 4], [0, 0], [1, 1]])
    v = np.array([[2.0, 0], [4, -3], [1, 1], [0, 0]])
    assert cosine(u, v) == 0.5
    assert np.isnan(cosine(u[2:], v[2:]))


def test_cosine_of_tiny_signals_does_not_underflow():
    u = np.full((3, 4), 1e-30, "float32")
    assert_close(float(cosine(u, u)), 1)


def test_bp_aligns_with_itself_and_shallow_is_silent_below():
    for name, expected in (("bp", [1, 1, 1]), ("shallow", [None, None, 1])):
        case = Case(rules.get(name), 0)
        found = alignment(case.net, case.rule, case.params, case.state, case.x, case.y)
        for key in ("alignment", "alignment_at_a"):
            assert_close(found[key], expected)


def test_alignment_at_a_is_behind_the_derivative():
    case = Case(rules.get("dfa"), 0, activation="relu")
    h = case.tape().h
    ours, true = (signals(case.net, rule, case.params, state, case.x, case.y)
                  for rule, state in ((case.rule, case.state), (rules.get("bp"), None)))
    found = alignment(case.net, case.rule, case.params, case.state, case.x, case.y)
    for i in range(3):
        mask = h[i + 1] > 0
        assert_close(found["alignment"][i], float(cosine(ours[i], true[i])), of=1)
        assert_close(found["alignment_at_a"][i], float(cosine(ours[i] * mask, true[i] * mask)), of=1)


def test_listening_changes_nothing():
    case = Case(rules.get("las"), 0)
    before = tree_map(np.copy, case.grads())
    signals(case.net, case.rule, case.params, case.state, case.x, case.y)
    for (_, u), (_, v) in zip(leaves(before), leaves(case.grads()), strict=True):
        np.testing.assert_array_equal(u, v)


def test_history_gives_columns(small):
    run = learn.fit(build(small), rules.get("bp"), small, learn.Settings(epochs=3))
    assert run.history.column("epoch") == [1, 2, 3]
    assert run.history.column("train_loss")[0] > run.history.column("train_loss")[-1]


def test_one_hot_feeds_the_loss_that_is_recorded(small):
    """The first batch's loss is that of the untouched network."""
    settings = learn.Settings(epochs=1, batch_size=len(small.x_train), dtype="float64")
    run = learn.Run(build(small), rules.get("bp"), small, settings)
    x, y = small.x_train.astype("float64"), one_hot(small.y_train, 4, "float64")
    expected = learn.evaluate(run.net, run.params, x, y)["loss"]
    assert_close(run.epoch()["train_loss"], expected)


# Augmentation


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return from_arrays("pictures", rng.standard_normal((60, 6, 6, 1)), np.arange(60) % 3,
                       rng.standard_normal((20, 6, 6, 1)), np.arange(20) % 3)


def test_augmentation_changes_training_batches_alone_and_from_its_own_stream(pictures, monkeypatch):
    seen, net = [], models.build("mlp:8", pictures.shape, 3)
    step = learn.step
    monkeypatch.setattr(learn, "step", lambda *a: seen.append(a[6]) or step(*a))
    runs = [learn.Run(net, rules.get("bp"), pictures, learn.Settings(batch_size=54, augment=augment))
            for augment in ("", "flip", "flip")]
    for run in runs:
        run.epoch()
    plain, flipped, again = seen
    np.testing.assert_array_equal(flipped, again)
    turned = (flipped != plain).any((1, 2, 3))
    assert 0 < turned.sum() < len(plain)
    np.testing.assert_array_equal(flipped[turned], plain[turned][:, :, ::-1])
    assert runs[0].rng.bit_generator.state == runs[1].rng.bit_generator.state
    np.testing.assert_array_equal(runs[0].validation[0], runs[1].validation[0])


def test_augmentation_that_cannot_be_is_said(small):
    with pytest.raises(InputError, match="flip"):
        learn.Settings(augment="flop")
    with pytest.raises(InputError, match=r"needs images \(N, H, W, C\), small has samples of shape \(6,\)"):
        learn.Run(build(small), rules.get("bp"), small, learn.Settings(augment="flip"))
