"""Every figure that is reported is computed again here, by hand, from named arrays and by plain NumPy.

Nothing but the data set, and the network's shape, is shared with the code under test.  The labels are written into the
pixels, with lies in known places, so that what a network that reads them reaches is known without computing anything.
"""
from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop import learn, models
from nobackprop.data import DATASETS, Dataset
from nobackprop.data.augment import flip
from nobackprop.data.sources import Source
from nobackprop.experiments.compare import Comparison, resolve
from nobackprop.learn import Run, Settings

CLASSES, PIXELS, HIDDEN = 3, 7, (5, 4)
TRAIN, VALIDATION, TEST = 65, 300, 40  # in batches of 64 one sample is left over; the probe are 256 of the 300
LIES = {"train": 5, "validation": 60, "test": 10}


def part(rng: np.random.Generator, samples: int, lies: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples whose first pixels say what their label is, but for the first `lies` of them, and noise next to it."""
    labels = rng.integers(CLASSES, size=samples)
    written = np.where(np.arange(samples) < lies, (labels + 1) % CLASSES, labels)
    x = np.hstack([2 * np.eye(CLASSES)[written], 0.5 * rng.standard_normal((samples, PIXELS - CLASSES))])
    return x.astype("float32"), labels


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    train, validation, test = (part(rng, n, LIES[name]) for name, n in
                               (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)))
    return Dataset("tiny", CLASSES, *train, *validation, *test)


# ---------------------------------------------------------------- what the pixels say


def test_accuracies_of_a_network_that_reads_what_is_written(data):
    """Right but for the lies, of each part its own share; the rate is too small to move a weight."""
    run = Run(models.mlp((PIXELS,), CLASSES, (CLASSES,), "tanh"), "bp", data,
              Settings(lr=1e-300, optimizer="sgd", dtype="float64"))
    read = [[{"W": np.eye(CLASSES, PIXELS), "b": np.zeros(CLASSES)}, None],
            {"W": np.eye(CLASSES), "b": np.zeros(CLASSES)}]
    run.params = read
    assert run.epoch()["validation_accuracy"] == 240 / 300
    assert run.test_accuracy() == 30 / 40
    assert learn.evaluate(run.net, run.params, run.x, run.y)["accuracy"] == 60 / 65


# ---------------------------------------------------------------- the same by hand


def cross_entropy(a, labels):
    """Of each sample."""
    return np.log(np.exp(a).sum(1)) - a[np.arange(len(a)), labels]


class ByHand:
    """The network 7-5-4-3 with tanh and softmax under plain descent, in float64: LAS (1)-(9), and (15)-(18) for dfa."""

    def __init__(self, rule: str, seed: int, lr: float):
        of_params, of_state, of_order, _ = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4))
        sizes = (PIXELS, *HIDDEN, CLASSES)
        self.rule, self.lr, self.order = rule, lr, of_order
        self.W = [of_params.standard_normal((o, i)) / math.sqrt(i) for i, o in zip(sizes, sizes[1:])]
        self.b = [np.zeros(o) for o in sizes[1:]]
        self.B = [of_state.standard_normal((CLASSES, n)) / math.sqrt(n) for n in HIDDEN]

    def forward(self, x):
        h1 = np.tanh(x @ self.W[0].T + self.b[0])
        h2 = np.tanh(h1 @ self.W[1].T + self.b[1])
        return h1, h2, h2 @ self.W[2].T + self.b[2]

    def signals(self, rule, h2, e):
        """dL/dh_1 and dL/dh_2."""
        if rule == "dfa":
            return e @ self.B[0], e @ self.B[1]
        d2 = e @ self.W[2]
        return (d2 * (1 - h2**2)) @ self.W[1], d2

    def step(self, x, labels):
        h1, h2, a = self.forward(x)
        e = (np.exp(a) / np.exp(a).sum(1, keepdims=True) - np.eye(CLASSES)[labels]) / len(x)
        d1, d2 = self.signals(self.rule, h2, e)
        deltas = d1 * (1 - h1**2), d2 * (1 - h2**2), e
        for i, (delta, h) in enumerate(zip(deltas, (x, h1, h2), strict=True)):
            self.W[i] = self.W[i] - self.lr * delta.T @ h
            self.b[i] = self.b[i] - self.lr * delta.sum(0)
        return cross_entropy(a, labels)

    def epoch(self, data, batch):
        rows, losses = self.order.permutation(TRAIN), []
        for i in range(0, TRAIN, batch):
            these = rows[i:i + batch]
            losses.extend(self.step(data.x_train[these].astype("float64"), data.y_train[these]))
        return sum(losses) / TRAIN

    def accuracy(self, x, labels):
        return sum(self.forward(x.astype("float64"))[2].argmax(1) == labels) / len(labels)

    def alignments(self, x, labels):
        """Per hidden block, between its signal and that of bp, before and after the derivative."""
        h1, h2, a = self.forward(x.astype("float64"))
        e = np.exp(a) / np.exp(a).sum(1, keepdims=True) - np.eye(CLASSES)[labels]
        ours, true = self.signals(self.rule, h2, e), self.signals("bp", h2, e)
        pairs = list(zip(ours, true, (h1, h2), strict=True))
        return ([mean_cosine(u, v) for u, v, _ in pairs],
                [mean_cosine(u * (1 - h**2), v * (1 - h**2)) for u, v, h in pairs])


def mean_cosine(u, v):
    return sum(float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)) for a, b in zip(u, v, strict=True)) / len(u)


TESTS = Path(__file__).parent
SECONDS = {"step": 1.0, "evaluate": 100.0}


@pytest.fixture(scope="module")
def reported(data):
    """The runs of a comparison, by rule and seed, with a clock that counts steps as seconds and evaluations as 100."""
    now, patch = [0.0], pytest.MonkeyPatch()
    patch.setitem(DATASETS, "tiny", Source(lambda data_dir, download: data, "", {
        "model": "mlp:5,4", "activation": "tanh", "threads": 1}, (PIXELS,), CLASSES))
    patch.setattr(learn, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    def timed(work, takes):
        def wrapped(*args, **options):
            now[0] += takes
            return work(*args, **options)
        return wrapped

    for name, takes in SECONDS.items():
        patch.setattr(learn, name, timed(getattr(learn, name), takes))
    with patch.context():
        config = resolve("tiny", ["dfa", "bp"], (3, 4), {"epochs": 2, "batch_size": 64, "optimizer": "sgd", "lr": 0.5})
        comparison = Comparison(config | {"dtype": "float64"})
        comparison.run()
    patch.undo()
    return {(run["rule"], run["seed"]): run for run in comparison.results["runs"]}


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("rule", ["dfa", "bp"])
def test_every_figure_of_a_comparison_is_what_it_is_called(data, reported, rule, seed):
    hand, history = ByHand(rule, seed, lr=0.5), []
    for epoch in (1, 2):
        loss = hand.epoch(data, 64)
        at_h, at_a = hand.alignments(data.x_validation[:256], data.y_validation[:256])
        history.append({"epoch": epoch, "train_loss": loss,
                        "validation_accuracy": hand.accuracy(data.x_validation, data.y_validation),
                        "alignment": at_h, "alignment_at_a": at_a})
    expected = {"rule": rule, "seed": seed,
                "parameters": 7 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3,
                "seconds": 2 * 2 * SECONDS["step"],
                "test_accuracy": hand.accuracy(data.x_test, data.y_test), "history": history}
    came = reported[rule, seed]
    assert list(came) == list(expected)
    for record in came["history"]:
        assert list(record)[:len(history[0])] == list(history[0])
        # a figure that nobody has computed again may not be reported: each further one has a test of its own
        for key in record.keys() - history[0].keys():
            assert any(f'"{key}"' in path.read_text(encoding="utf-8") for path in TESTS.glob("test_*.py")), key
    for key in ("rule", "seed", "parameters", "seconds", "test_accuracy"):
        assert came[key] == expected[key], key
    for record, by_hand in zip(came["history"], history, strict=True):
        assert record["epoch"] == by_hand["epoch"]
        assert record["validation_accuracy"] == by_hand["validation_accuracy"]
        assert_close(record["train_loss"], by_hand["train_loss"])
        for key in ("alignment", "alignment_at_a"):
            assert_close(record[key], by_hand[key], of=1.0)


def test_the_figures_by_hand_tell_the_parts_from_each_other(data):
    """Or one could be reported in the place of another."""
    hand = ByHand("dfa", 3, lr=0.5)
    loss, again = hand.epoch(data, 64), hand.epoch(data, 64)
    accuracies = [hand.accuracy(x, y) for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test),
                                                   (data.x_validation, data.y_validation))]
    assert len(set(accuracies)) == 3 and abs(loss - again) > 0.01
    alignments = [hand.alignments(x, y)[0][0] for x, y in (
        (data.x_train, data.y_train), (data.x_validation[:256], data.y_validation[:256]),
        (data.x_validation, data.y_validation))]
    assert min(abs(a - b) for i, a in enumerate(alignments) for b in alignments[:i]) > 1e-4


# ---------------------------------------------------------------- the four streams of a seed


@pytest.fixture(scope="module")
def images() -> Dataset:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((60, 2, 3, 1)).astype("float32")
    labels = np.arange(60) % CLASSES
    return Dataset("images", CLASSES, x[:40], labels[:40], x[40:50], labels[40:50], x[50:], labels[50:])


def drawn(images, seed, monkeypatch, augment):
    """The first weights of the network and of the rule, and the batches of two epochs, as a Run has them."""
    batches = []
    run = Run(models.build("mlp:4", images.shape, CLASSES, "tanh"), "dfa", images,
              Settings(batch_size=40, dtype="float64", augment=augment), seed)
    W, B = run.params[0][1]["W"].copy(), run.state[0].copy()
    with monkeypatch.context() as patch:
        patch.setattr(learn, "step", lambda *args, step=learn.step: batches.append(args[6]) or step(*args))
        run.epoch(), run.epoch()
    return W, B, batches


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_a_seed_spawns_four_streams_for_parameters_rule_order_and_augmentation(images, monkeypatch, seed):
    of_params, of_state, of_order, of_images = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(4))
    W, B, batches = drawn(images, seed, monkeypatch, "flip")
    np.testing.assert_array_equal(W, of_params.standard_normal((4, 6)) * math.sqrt(1 / 6))
    np.testing.assert_array_equal(B, of_state.standard_normal((CLASSES, 4)) / math.sqrt(4))
    for x in batches:
        np.testing.assert_array_equal(x, flip(of_images, images.x_train[of_order.permutation(40)]))


def test_two_seeds_differ_in_each_stream(images, monkeypatch):
    (W, B, plain), (V, A, other) = (drawn(images, seed, monkeypatch, "") for seed in (0, 1))
    assert (W != V).all() and (B != A).all() and not np.array_equal(plain, other)
    flips = [[(a != b).any((1, 2, 3)) for a, b in zip(plain, drawn(images, seed, monkeypatch, "flip")[2])]
             for seed, plain in ((0, plain), (1, other))]
    assert not np.array_equal(*flips)


def test_rules_of_one_seed_share_all_streams_but_their_own(images):
    runs = {rule: Run(models.build("mlp:4", images.shape, CLASSES), rule, images, seed=5) for rule in ("bp", "dfa")}
    np.testing.assert_array_equal(*(run.params[0][1]["W"] for run in runs.values()))
    np.testing.assert_array_equal(*(run.rng.permutation(40) for run in runs.values()))
