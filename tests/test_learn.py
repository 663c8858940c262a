"""The run over epochs: what it repeats, what it measures, and how it stops."""
from __future__ import annotations

import copy
import json
import pickle
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from networks import Case
from tolerance import assert_close

from nobackprop import learn, metrics, models, network, rules, tree
from nobackprop.data import from_arrays, one_hot
from nobackprop.errors import InputError
from nobackprop.layers import Activation, Dense, Sequential
from nobackprop.metrics import alignment, cosine, signals
from nobackprop.network import Network
from nobackprop.rules import BP, RULES, Credit, Rule
from nobackprop.tree import leaves, tree_map


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 6))
    labels = (x[:, 0] * x[:, 1] > 0).astype(int) + 2 * (x[:, 2] > 0)
    return from_arrays("small", x[:300], labels[:300], x[300:], labels[300:], classes=4)


def build(data, sizes="8,8"):
    return models.build(f"mlp:{sizes}", data.shape, data.classes, "tanh")


@pytest.mark.slow
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
    assert rates == [[rate * 0.1] * 2 for rate in (1, 1, 1 / 4, 1 / 16)]


def test_the_test_set_is_read_by_nothing_but_test_accuracy(small):
    poisoned = learn.Run(build(small), rules.get("las"), _with_test(small, np.nan), learn.Settings(epochs=1))
    clean = learn.Run(build(small), rules.get("las"), small, learn.Settings(epochs=1))
    assert poisoned.epoch() == clean.epoch()


def _with_test(data, value):
    return replace(data, x_test=np.full_like(data.x_test, value))


# What broke


def test_a_loss_that_is_no_number_stops_with_rule_epoch_and_step(small):
    run = learn.Run(models.build("mlp:8,8", (6,), 4), "dfa", small, learn.Settings(optimizer="sgd", lr=1e30))
    with pytest.raises(learn.Diverged, match=r"rule dfa, seed 0: .* epoch 1, step \d+; try .* below 1e\+30"):
        run.epoch()
    assert run.history == []


@pytest.mark.parametrize("rule", [rules.get("sdfa"), "sdfa"])
def test_an_epoch_whose_last_update_broke_the_outputs_stops(small, rule):
    """All weights are finite, and what they make of the validation set is not."""
    run = learn.Run(models.build("mlp:8,8", (6,), 4), rule, small,
                    learn.Settings(optimizer="sgd", lr=1e25, batch_size=len(small.y_train)), seed=7)
    with pytest.raises(learn.Diverged, match=r"rule sdfa, seed 7: the loss for the validation set became (nan|inf) at "
                                             r"epoch 1's end; try a learning rate below 1e\+25"):
        run.epoch()
    assert run.history == [] and all(np.isfinite(w).all() for _, w in leaves(run.params))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["params/0/1/var", "params/0/1/mean", "params/0/0/W", "params/1/b", "state/0"])
def test_an_epoch_whose_last_update_broke_anything_learnt_stops(small, monkeypatch, where, value):
    """Weights, running statistics and the rule's own, whatever the outputs are."""
    run = learn.Run(models.build("mlp-bn:4", small.shape, 4, "relu"), "dfa", small, learn.Settings(batch_size=100))
    steps = []

    def breaks(*args, step=learn.step):
        tape = step(*args)
        steps.append(tape)
        if len(steps) == 2 * 3:
            dict(leaves({"params": run.params, "state": run.state}))[where].reshape(-1)[-1] = value
        return tape

    monkeypatch.setattr(learn, "step", breaks)
    run.epoch()
    with pytest.raises(learn.Diverged, match=f"rule dfa, seed 0: {where} is no longer finite at epoch 2's end; try"):
        run.epoch()
    assert len(run.history) == 1


@pytest.mark.parametrize("part", ["x_train", "x_validation"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_are_not_finite_are_named(small, part, value):
    """No learning rate would help."""
    x = getattr(small, part).copy()
    data = replace(small, **{part: x})
    x[5, 2] = value  # after all that a data set checks
    with np.errstate(invalid="ignore"), pytest.raises(learn.Diverged) as caught:
        learn.fit(models.build("mlp:8,8", small.shape, 4, "relu"), "las", data, learn.Settings(epochs=1))
    sentence = str(caught.value)
    assert sentence.startswith("rule las, seed 0: ")
    assert sentence.endswith(f"; {part} of small holds numbers that are not finite")


# Settings


@pytest.mark.parametrize("wrong, sentence", [
    ({"epochs": 0}, "^epochs must be at least 1, got 0$"),
    ({"epochs": "3"}, "^epochs must be an integer, got '3'$"),
    ({"epochs": 2.5}, "^epochs must be an integer, got 2.5$"),
    ({"epochs": 3.0}, "^epochs must be an integer, got 3.0$"),
    ({"epochs": True}, "^epochs must be an integer, got True$"),
    ({"epochs": np.bool_(True)}, "^epochs must be an integer, got "),
    ({"epochs": np.float32(3)}, "^epochs must be an integer, got "),
    ({"epochs": None}, "^epochs must be an integer, got None$"),
    ({"epochs": [3]}, r"^epochs must be an integer, got \[3\]$"),
    ({"batch_size": -3}, "^batch_size must be at least 1, got -3$"),
    ({"batch_size": "64"}, "^batch_size must be an integer, got '64'$"),
    ({"batch_size": np.ones(100_000, int)}, "^batch_size must be an integer, got array"),
    ({"lr": 0.0}, "^lr must be a positive number, got 0.0$"),
    ({"lr": float("nan")}, "^lr must be a positive number, got nan$"),
    ({"lr": float("inf")}, "^lr must be a positive number, got inf$"),
    ({"lr": np.float32("nan")}, "^lr must be a positive number, got nan$"),
    ({"lr": 10**400}, "^lr must be a positive number, got an integer of 1329 bits$"),
    ({"lr": Fraction(10**5000)}, "^lr must be a positive number, got a Fraction$"),
    ({"epochs": 10**30}, f"^epochs must be at most {2**63 - 1}, got {10**30}$"),
    ({"epochs": 10**400}, f"^epochs must be at most {2**63 - 1}, got an integer of 1329 bits$"),
    ({"batch_size": 2**63}, f"^batch_size must be at most {2**63 - 1}, got {2**63}$"),
    ({"weight_decay": -10**400}, "^weight_decay must be a non-negative number, got an integer of 1329 bits$"),
    ({"lr": "1e-3"}, "^lr must be a positive number, got '1e-3'$"),
    ({"lr": True}, "^lr must be a positive number, got True$"),
    ({"lr": 1e-3j}, "^lr must be a positive number, got 0.001j$"),
    ({"lr": np.array(1e-3)}, "^lr must be a positive number, got array"),
    ({"lr": None}, "^lr must be a positive number, got None$"),
    ({"weight_decay": -1.0}, "^weight_decay must be a non-negative number, got -1.0$"),
    ({"weight_decay": "0"}, "^weight_decay must be a non-negative number, got '0'$"),
    ({"schedule": "cosin"}, "did you mean 'cosine'"),
    ({"schedule": 3}, "^unknown schedule 3, which is no name .known: "),
    ({"schedule": ["cosine"]}, r"^unknown schedule \['cosine'\], which is no name .known: "),
    ({"optimizer": "adm"}, "^unknown optimizer 'adm': did you mean 'adam'"),
    ({"optimizer": None}, "^unknown optimizer None, which is no name .known: "),
    ({"augment": None}, "^augment is None, expected a text"),
    ({"augment": ["flip"]}, r"^augment is \['flip'\], expected a text"),
    *(({"dtype": dtype}, f"^dtype is {shown}.*, expected float32 or float64$") for dtype, shown in (
        ("float16", "'float16'"), ("int32", "'int32'"), ("complex64", "'complex64'"), ("floaty", "'floaty'"),
        (np.float16, "<class 'numpy.float16'>"), (np.dtype("int8"), r"dtype\('int8'\)"), (None, "None"), (3, "3"),
        ("", "''"), ("f4,f8", "'f4,f8'"), ([], r"\[\]"), ("longdouble", "'longdouble'"), (int, "<class 'int'>"))),
])
def test_settings_that_cannot_be(wrong, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        learn.Settings(**wrong)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize("given, expected", [
    ({"epochs": np.int64(3), "batch_size": np.uint8(7)}, {"epochs": 3, "batch_size": 7}),
    ({"lr": np.float64(1e-3), "weight_decay": np.float32(0.5)}, {"lr": 1e-3, "weight_decay": 0.5}),
    ({"lr": 1, "weight_decay": np.int8(2)}, {"lr": 1.0, "weight_decay": 2.0}),
    *(({"dtype": dtype}, {"dtype": "float64"}) for dtype in (
        "float64", np.float64, np.dtype("float64"), "f8", "double", float, np.dtype(">f8"))),
    *(({"dtype": dtype}, {"dtype": "float32"}) for dtype in ("float32", np.float32, np.dtype("float32"), "<f4")),
])
def test_settings_are_pythons_own(given, expected):
    settings = vars(learn.Settings(**given))
    for name, value in expected.items():
        assert settings[name] == value and type(settings[name]) is type(value)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw"])
def test_numbers_of_numpys_make_the_same_bits(small, optimizer):
    runs = [learn.fit(build(small), "las", small, learn.Settings(
        epochs=2, optimizer=optimizer, lr=kind(0.01), weight_decay=kind(0.1), schedule="cosine"))
        for kind in (float, np.float64)]
    assert runs[0].history == runs[1].history
    for (_, u), (_, v) in zip(*(leaves([run.params, run.state]) for run in runs), strict=True):
        assert u.dtype == v.dtype == "float32" and u.tobytes() == v.tobytes()


# Batches


def test_the_training_loss_is_the_mean_over_samples(small):
    """65 samples in batches of 64: the last one counts as one, not as half of them."""
    data = replace(small, x_train=small.x_train[:65], y_train=small.y_train[:65])
    run = learn.Run(build(data), "bp", data, learn.Settings(lr=1e-300, optimizer="sgd", dtype="float64"))
    assert_close(run.epoch()["train_loss"], learn.evaluate(run.net, run.params, run.x, run.y)["loss"])


@pytest.mark.parametrize("samples, batch, sizes", [
    (65, 32, [32, 33]), (66, 32, [32, 32, 2]), (64, 32, [32, 32]), (31, 30, [31]), (3, 2, [3]), (2, 2, [2]),
    (5, 7, [5])])
def test_a_rest_too_small_to_learn_from_joins_the_last_batch(small, monkeypatch, samples, batch, sizes):
    data = replace(small, x_train=small.x_train[:samples], y_train=small.y_train[:samples])
    seen, step = [], learn.step
    monkeypatch.setattr(learn, "step", lambda *a: seen.append(a[6]) or step(*a))
    learn.Run(models.build("mlp-bn:4", data.shape, 4), "bp", data, learn.Settings(batch_size=batch)).epoch()
    assert [len(x) for x in seen] == sizes
    rows = np.concatenate(seen)
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], data.x_train[np.lexsort(data.x_train.T)])


def test_batches_too_small_to_learn_from_are_refused(small):
    bn = models.build("mlp-bn:4", small.shape, 4)
    with pytest.raises(InputError, match="^batch_size must be at least 2, got 1: a batch-norm needs two values"):
        learn.Run(bn, "bp", small, learn.Settings(batch_size=1))
    one = replace(small, x_train=small.x_train[:1], y_train=small.y_train[:1])
    with pytest.raises(InputError, match="^the number of training samples must be at least 2, got 1"):
        learn.Run(bn, "bp", one, learn.Settings())
    learn.Run(build(small), "bp", small, learn.Settings(batch_size=1))


def test_images_are_batches_by_themselves(pictures):
    """A channel of theirs has many values."""
    run = learn.Run(models.build("conv-small:0.1", pictures.shape, 3), "bp", pictures, learn.Settings(batch_size=1))
    assert run.cuts == list(range(len(pictures.y_train) + 1))


def test_a_network_of_another_size_is_refused(small):
    with pytest.raises(InputError, match=r"output has shape \(3,\), expected \(4,\)"):
        learn.Run(models.build("mlp:8", (6,), 3), rules.get("bp"), small, learn.Settings())


def test_evaluate_counts_and_averages_over_uneven_batches():
    case = Case(rules.get("bp"), 0, samples=23)
    a = case.tape().output
    result = learn.evaluate(case.net, case.params, case.x, case.y, batch_size=10)
    assert result["accuracy"] == (a.argmax(1) == case.y.argmax(1)).mean()
    assert_close(result["loss"], case.net.value(a, case.y))
    with pytest.raises(InputError, match="x has 23 samples and y has 22 targets"):
        learn.evaluate(case.net, case.params, case.x, case.y[1:])
    with pytest.raises(InputError, match="^x has 0 samples and y has 0 targets, expected a target for each"):
        learn.evaluate(case.net, case.params, case.x[:0], case.y[:0])


@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308, -1e308])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
def test_outputs_that_are_not_finite_are_wrong_answers(value, batch_size, loss):
    """Each by itself: the other samples' answers stand."""
    net = Network((Dense(3),), loss)
    params = [{"W": 10 * np.eye(3), "b": np.zeros(3)}]
    x = y = np.eye(3)[[0, 1, 2, 0, 1, 0, 0, 0]]
    spoilt = x.copy()
    for row, column in ((0, 0), (3, 1), (5, 2)):
        spoilt[row, column] = value
    assert learn.evaluate(net, params, x, y)["accuracy"] == 1
    found = learn.evaluate(net, params, spoilt, y, batch_size)
    assert found["accuracy"] == 5 / 8 and np.isnan(found["loss"])


def test_a_network_of_nan_answers_nothing():
    """argmax of NaN is class 0, which is right for a third of these."""
    net, y = Network((Dense(3),)), np.eye(3)[[0, 1, 2]]
    found = learn.evaluate(net, [{"W": np.full((3, 2), np.nan), "b": np.zeros(3)}], np.ones((3, 2)), y)
    assert found["accuracy"] == 0 and np.isnan(found["loss"])


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


@dataclass(frozen=True)
class Softplus(Activation):
    """f(a) = log(1 + e^a), whose derivative is written by its input: the cache is a, not f(a)."""

    name: str = "softplus"

    def __post_init__(self):
        """Its name is on no list."""

    def forward(self, params, h, train=True, rng=None):
        return np.logaddexp(0, h), h

    def backward(self, feedback, cache, delta, want_down=True):
        return delta / (1 + np.exp(-cache)), None

    def keep(self, cache, what, index=0):
        return what.after("input", cache), index


@pytest.mark.parametrize("wrap", [lambda *layers: Sequential(layers),
                                  lambda first, last: Sequential((first, Sequential((last,)))),
                                  lambda *layers: Sequential((Sequential(layers),))])
def test_alignment_at_a_asks_the_activation_for_its_own_derivative(wrap):
    rng = np.random.default_rng(0)
    net = Network((wrap(Dense(6), Softplus()), wrap(Dense(5), Softplus()), Dense(3)))
    params, shapes = network.init(net, rng, (4,), "float64")
    rule, x, y = rules.get("dfa"), rng.standard_normal((9, 4)), np.eye(3)[rng.integers(3, size=9)]
    B = rule.init(rng, net, params, shapes)
    (_, W1), (_, b1), (_, W2), (_, b2), (_, W3), (_, b3) = leaves(params)
    a1 = x @ W1.T + b1
    a2 = np.log1p(np.exp(a1)) @ W2.T + b2
    a = np.log1p(np.exp(a2)) @ W3.T + b3
    e = np.exp(a) / np.exp(a).sum(1, keepdims=True) - y
    f1, f2 = 1 / (1 + np.exp(-a1)), 1 / (1 + np.exp(-a2))
    true = ((e @ W3) * f2) @ W2, e @ W3

    def mean_cosine(u, v):
        return ((u * v).sum(1) / np.sqrt((u * u).sum(1) * (v * v).sum(1))).mean()
    found = alignment(net, rule, params, B, x, y)
    assert_close(found, {
        "alignment": [mean_cosine(e @ B[i], true[i]) for i in (0, 1)],
        "alignment_at_a": [mean_cosine(e @ B[i] * f, true[i] * f) for i, f in ((0, f1), (1, f2))]}, of=1.0)


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


@pytest.mark.parametrize("text, fits", [("crop:4", True), ("flip, crop:8", False), ("crop:100", False),
                                        ("jitter:7", True), ("jitter:8", False), ("cutout:15", True),
                                        ("flip,cutout:16", False)])
def test_augmentation_that_may_leave_nothing_of_an_image_is_refused(text, fits):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 8, 8, 1)), np.arange(30) % 3
    data = from_arrays("images", x, y, x, y, validation=6)
    net, settings = models.build("mlp:4", data.shape, 3), learn.Settings(augment=text)
    if fits:
        learn.Run(net, "bp", data, settings).epoch()
    else:
        with pytest.raises(InputError, match=r"expected a number below (8|16) for images of shape \(8, 8, 1\)$"):
            learn.Run(net, "bp", data, settings)


def test_advice_is_given_only_if_it_may_help(small):
    """A weight decay that is too strong is no matter of the learning rate, and before the first step nothing is."""
    for settings, words in (({"lr": 1e38}, r"try a learning rate below 1e\+38$"),
                            ({"weight_decay": 1e308}, r"lr times weight_decay is 1e\+305, try less than 1$")):
        with pytest.raises(learn.Diverged, match=words):
            learn.fit(build(small), "bp", small, learn.Settings(epochs=9, optimizer="sgd", **settings))
    run = learn.Run(build(small), "bp", small)
    run.params = tree_map(lambda w: w * np.float32(np.inf), tree_map(np.ones_like, run.params))
    with pytest.raises(learn.Diverged, match="step 1; the network's first outputs are too large already$"):
        run.epoch()


@pytest.mark.parametrize("wrong", [None, 3, "x", {}, [1], [None], ({"epoch": 1},)], ids=repr)
def test_a_history_is_a_list_of_records(small, wrong):
    run = learn.Run(build(small), "bp", small)
    with pytest.raises(InputError, match="^history is .*, expected a list with a dict for each epoch$"):
        run.history = wrong
    assert run.history == []
    run.history = [{"epoch": 1}]
    assert run.history.column("epoch") == [1] and copy.deepcopy(run).history == [{"epoch": 1}]
    assert repr(run) == f"Run(bp, {small!r}, seed 0, 1 of 30 epochs)"


def test_parameters_that_are_none_are_told(small):
    for call in (network.forward, network.predict):
        with pytest.raises(InputError, match="^params is None, expected a list with the parameters of "):
            call(build(small), None, small.x_train)
    with pytest.raises(InputError, match="^params is None, expected a list with the parameters of "):
        learn.evaluate(build(small), None, small.x_train, one_hot(small.y_train, small.classes))


# A run's trees, and copies of it


def bits(run):
    return [w.tobytes() for _, w in leaves([run.params, run.state])]


def test_parameters_that_were_loaded_learn_on(small, tmp_path):
    """As if they had been there from the beginning, and the tree that was assigned stays as it is."""
    settings = learn.Settings(epochs=2, dtype="float64")
    before = learn.fit(build(small), "las", small, settings, seed=3)
    tree.save(tmp_path / "params", before.params)
    tree.save(tmp_path / "state", before.state)
    one, other = (learn.Run(build(small), "las", small, settings, seed=4) for _ in range(2))
    loaded = tree.load(tmp_path / "params"), tree.load(tmp_path / "state")
    one.params, one.state = loaded
    for ours, theirs in ((other.params, before.params), (other.state, before.state)):
        tree_map(np.copyto, ours, theirs)
    assert bits(one) == bits(before)
    one.epoch(), other.epoch()
    assert one.history == other.history and bits(one) == bits(other) != bits(before)
    assert [w.tobytes() for _, w in leaves([*loaded])] == bits(before)


def test_two_runs_do_not_learn_into_one_another(small):
    one, other = (learn.Run(build(small), "las", small, seed=seed) for seed in (1, 2))
    other.params = one.params
    kept = bits(one)
    other.epoch()
    assert bits(one) == kept


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_assigned_numbers_take_the_type_of_the_run(small, kind):
    run = learn.Run(build(small), "las", small, learn.Settings(dtype=kind))
    run.params = tree_map(lambda w: np.full(w.shape, 2), run.params)
    run.state = tree_map(lambda w: np.full(w.shape, 0.5, "float64"), run.state)
    assert {w.dtype.name for _, w in leaves([run.params, run.state])} == {kind}
    assert {float(w.min()) for _, w in leaves(run.params)} == {2.0}


@pytest.mark.parametrize("wrong", [
    lambda tree: None, lambda tree: tree[:-1], lambda tree: tree_map(lambda w: w[:1], tree),
    lambda tree: tree_map(lambda w: w + 1j, tree), lambda tree: tree_map(lambda w: w.astype("U9"), tree),
    lambda tree: tree_map(lambda w: np.ma.masked_array(w), tree), lambda tree: tree_map(lambda w: 3.0, tree),
    lambda tree: tuple(tree)])
def test_trees_that_do_not_fit_a_run_are_refused(small, wrong):
    run = learn.Run(build(small), "las", small)
    before = bits(run)
    with pytest.raises(InputError, match="^the params that came cannot belong to this run: "):
        run.params = wrong(run.params)
    with pytest.raises(InputError, match="^the state that came cannot belong to this run: "):
        run.state = wrong(run.state)
    assert bits(run) == before


def test_a_run_without_state_may_be_told_so(small):
    run = learn.Run(build(small), "bp", small)
    run.state = None
    with pytest.raises(InputError, match="the state that came"):
        run.state = [np.ones(3)]
    run.epoch()


def test_an_array_put_in_the_place_of_another_is_noticed(small):
    run = learn.Run(build(small), "bp", small)
    run.params[0][0]["W"] = run.params[0][0]["W"].copy()
    with pytest.raises(InputError, match="the optimiser of params writes into other arrays"):
        run.epoch()


@pytest.mark.slow
@pytest.mark.parametrize("again", [copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))])
@pytest.mark.parametrize("name", rules.RULES)
def test_a_copy_goes_on_as_the_run_would_have_and_moves_nothing_of_it(pictures, name, again):
    run = learn.Run(models.build("mlp:5,4,5", pictures.shape, 3, "tanh"), name, pictures,
                    learn.Settings(batch_size=20, augment="flip", schedule="cosine", epochs=3))
    run.epoch()
    before, history = bits(run), copy.deepcopy(run.history)
    other = again(run)
    other.epoch()
    assert bits(run) == before and run.history == history and bits(other) != before
    run.epoch()
    assert bits(run) == bits(other) and run.history == other.history
    assert run.test_accuracy() == other.test_accuracy()


# What an epoch hands on, and what it tells


def test_weight_decay_reaches_both_optimisers(small):
    """Under Kolen-Pollack W - B shrinks by 1 - lr lam a step, and that only if W and B decay alike."""
    run = learn.Run(build(small), "kp", small, learn.Settings(
        batch_size=100, optimizer="adamw", lr=0.1, weight_decay=0.5, dtype="float64"))
    W, B = run.params[1][0]["W"], run.state[1][0]["W"]
    before, weights = W - B, W.copy()
    run.epoch()
    assert_close(W - B, 0.95**3 * before, of=[W, B])
    assert np.abs(W - weights).max() > 0.01


def test_the_step_that_diverged_is_counted_from_1(small):
    """One sample is not finite: the step is that of its batch."""
    x = small.x_train.copy()
    x[7] = np.nan
    place = list(np.random.default_rng(np.random.SeedSequence(3).spawn(4)[2]).permutation(len(x))).index(7)
    run = learn.Run(build(small), "bp", replace(small, x_train=x), learn.Settings(batch_size=10), seed=3)
    with pytest.raises(learn.Diverged, match=f"the training loss became nan at epoch 1, step {place // 10 + 1};"):
        run.epoch()


def test_an_infinite_loss_of_finite_outputs_stops(small):
    """Of the squares of 1e30 float32 knows nothing more."""
    net = replace(models.build("mlp:8,8", (6,), 4, "identity"), loss="squared")
    data = replace(small, x_validation=small.x_validation * np.float32(1e30))
    with pytest.raises(learn.Diverged, match="the loss for the validation set became inf at epoch 1's end"):
        learn.Run(net, "bp", data, learn.Settings(epochs=1)).epoch()


def test_where_no_sample_has_a_signal_there_is_no_alignment():
    """Not NaN, which a results.json cannot hold."""
    case = Case(rules.get("dfa"), 0)
    silent = tree_map(np.zeros_like, case.state)
    found = alignment(case.net, case.rule, case.params, silent, case.x, case.y)
    assert found == {"alignment": [None] * 3, "alignment_at_a": [None] * 3}


@pytest.mark.parametrize("value, recorded", [
    (1.5, 1.5), (None, None), (np.float32(0.5), 0.5), (np.arange(3), [0, 1, 2]), ([1, None], [1, None]),
    (np.array(2.0), 2.0)])
def test_a_further_metric_is_recorded_as_numbers_of_pythons_own(small, monkeypatch, value, recorded):
    asked = []

    def further(run):
        asked.append(run)
        return {"further": value}

    monkeypatch.setattr(metrics, "METRICS", [*metrics.METRICS, further])
    run = learn.fit(build(small), "fa", small, learn.Settings(epochs=2))
    assert asked == [run, run]
    assert [record["further"] for record in run.history] == [recorded] * 2
    assert json.loads(json.dumps(run.history)) == run.history


# Rules that ask a block several times in a step

def aligned(rule, activation="tanh"):
    """The alignment of a rule on a small network of three hidden blocks."""
    case = Case(rule, 0, sizes=(6, 5, 4), activation=activation)
    return metrics.alignment(case.net, rule, case.params, case.state, case.x, case.y)


def test_the_signal_of_a_block_is_the_one_from_which_it_learnt():
    """Under zil the errors move on after a block has learnt; under pc the first error is 0."""
    found = aligned(RULES["zil"])
    assert_close(np.array([found["alignment"], found["alignment_at_a"]]), np.ones((2, 3)))
    case, settling = Case(RULES["pc"], 0, sizes=(6, 5, 4)), RULES["pc"]
    x = settling.settle(case.net, case.params, case.tape(), case.y, settling.beta)
    own = network.apart(case.net, case.params, x)
    true = metrics.signals(case.net, BP(), case.params, None, case.x, case.y)
    expected = [float(metrics.cosine(mu - h, d)) for mu, h, d in zip(own.h[1:], x[1:], true, strict=False)]
    assert_close(np.array(aligned(settling)["alignment"]), np.array(expected))
    assert all(0.3 < cosine < 1 for cosine in aligned(RULES["pc-centred"])["alignment"])


def test_a_rule_that_compares_states_has_no_alignment():
    assert aligned(RULES["ep"]) == {"alignment": [None] * 3, "alignment_at_a": [None] * 3}


def test_the_signals_of_a_straight_walk_are_compared_at_a():
    @dataclass(frozen=True)
    class AtA(Rule):
        """Backpropagation, with f' in the signals and none in the walk."""

        def credit(self, net, params, state, tape, y, rng=None):
            signals, delta = {len(net) - 1: net.error(tape.output, y)}, net.error(tape.output, y)
            for i in reversed(range(len(net) - 1)):
                W = params[i + 1][0]["W"] if i + 2 < len(net) else params[i + 1]["W"]
                delta = delta @ W * (1 - tape.h[i + 1]**2)
                signals[i] = delta
            return Credit(network.backward(network.straight(net), params, tape, signals))

    found = aligned(AtA())
    assert found["alignment"] == [None] * 3
    assert_close(np.array(found["alignment_at_a"]), np.ones(3))
