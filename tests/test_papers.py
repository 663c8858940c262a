"""The papers' tables as data: they name rules and models that are there, and they run."""
from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_zero

from nobackprop import cli, metrics, models, network, papers, results, rules
from nobackprop.data import from_arrays
from nobackprop.errors import InputError
from nobackprop.learn import Run, Settings
from nobackprop.papers import EXHIBITS, al, exhibit
from nobackprop.papers.asap import angle

every = pytest.mark.parametrize("name", EXHIBITS)
SHAPES = {"mnist": (28, 28, 1), "cifar-10": (32, 32, 3)}


@every
def test_every_arm_can_be_built_at_every_scale(name):
    found = EXHIBITS[name]
    assert set(found.scales) == {"smoke", "small", "full"}
    labels = [arm.label for arm in found.arms]
    assert len(set(labels)) == len(labels)
    for scale_name, scale in found.scales.items():
        for arm in found.arms:
            rules.get(arm.rule)
            models.build(exhibit._model(arm, scale), SHAPES[found.data], 10, arm.activation)
            Settings(**{**scale.settings, **arm.settings, **arm.at.get(scale_name, {})})
            assert not set(arm.at) - set(found.scales)
        assert len(scale.seeds) == (1 if scale_name == "smoke" else 3)


@every
def test_printed_numbers_are_per_cents(name):
    assert all(arm.printed is None or 10 <= arm.printed <= 100 for arm in EXHIBITS[name].arms)


@pytest.fixture
def few(monkeypatch):
    """Data sets of a few random images in the place of the real ones."""
    def load(name, data_dir=None, download=False):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((300, *SHAPES[name])).astype("float32")
        y = rng.integers(10, size=300)
        return from_arrays(name, x[:200], y[:200], x[200:], y[200:], classes=10)

    monkeypatch.setattr(exhibit, "load", load)


def test_a_run_trains_every_arm_and_writes_what_the_plots_read(few, tmp_path, capsys):
    assert cli.main(["papers", "run", "asap:table-3.1", "--out", str(tmp_path / "out"), "--seeds", "3,1"]) == 0
    out = capsys.readouterr().out
    found = results.read(tmp_path / "out" / "results.json")
    assert (tmp_path / "out" / "figure.png").stat().st_size > 1000
    labels = [arm.label for arm in EXHIBITS["asap:table-3.1"].arms]
    assert [(run["rule"], run["seed"]) for run in found["runs"]] == [(label, s) for label in labels for s in (3, 1)]
    assert found["config"]["exhibit"] == "asap:table-3.1" and found["config"]["printed"]["bp, linear"] == 92.39
    assert "92.39" in out and results.table(found) in out
    first, last = (found["runs"][i]["history"][-1] for i in (0, 2))
    assert len(first["angles"]) == 3 and "angles" not in last


def test_some_arms_only(few):
    plan = EXHIBITS["asap:table-5.2"].check(only=["fa", "asap, no shortcut"])
    assert [(arm.label, model) for arm, model, _ in plan.trials] == [
        ("fa", "resnet18:0.125"), ("asap, no shortcut", "resnet18-noshortcut:0.125")]
    with pytest.raises(InputError, match="unknown arm 'faa': did you mean 'fa'"):
        EXHIBITS["asap:table-5.2"].check(only=["faa"])


def test_smoke_touches_few_test_images_and_small_all(few):
    smoke, small = (EXHIBITS["asap:table-5.2"].check(scale) for scale in ("smoke", "small"))
    assert len(smoke.data.y_test) <= 200 and len(small.data.y_test) == 100
    assert len(small.data.y_train) <= 10_000


def test_angles():
    W = np.array([[1.0, 0], [0, 0]])
    assert angle(W, 3 * W) == pytest.approx(0) and angle(W, -W) == pytest.approx(180)
    assert angle(W, np.array([[1.0, 1], [0, 0]])) == pytest.approx(45)


def test_what_was_printed_stands_beside_what_was_found():
    found = {"config": {"printed": {"bp": 94.93, "asap": None}},
             "runs": [{"rule": rule, "test_accuracy": a} for rule, a in
                      (("bp", 0.5), ("bp", 0.6), ("asap", 0.25))]}
    assert papers.compare(found).splitlines()[1:] == ["bp      94.93  55.00 ± 7.07", "asap        -  25.00"]


@pytest.mark.parametrize("argv, sentence", [
    (["papers", "run"], "expected the name of a table or figure"),
    (["papers", "run", "asap:table-5.22"], "did you mean 'asap:table-5.2'"),
    (["papers", "run", "asap:table-5.2", "--scale", "tiny"], "unknown scale 'tiny'"),
    (["papers", "walk"], "invalid choice: 'walk'"),
])
def test_mistakes_are_said_in_one_line(argv, sentence, few, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(argv) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_list_and_show(capsys):
    assert cli.main(["papers"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in EXHIBITS)
    assert cli.main(["papers", "show", "asap:table-3.1"]) == 0
    shown = capsys.readouterr().out
    assert "90.93 %" in shown and "784" in shown


# Associated learning


def test_printed_numbers_of_associated_learning_stand_beside_their_arms():
    assert {arm.label: arm.printed for arm in EXHIBITS["al:table-2"].arms} == {
        "bp, mlp": 98.5, "al, mlp": 98.6, "dtp, mlp": 96.43, "bp, cnn": 99.4, "al, cnn": 99.5}
    for name, printed in (("al:table-5", al.PRINTED_LOSSES), ("al:table-7", al.PRINTED_DISTANCES)):
        assert list(printed) == [arm.label for arm in EXHIBITS[name].arms]
    assert [len(losses) for losses in al.PRINTED_LOSSES.values()] == [1, 2, 3]


@pytest.mark.parametrize("name", al.EXHIBITS)
def test_rules_that_are_compared_have_the_same_effective_parameters(name):
    """Section 5.1: "identical parameters", which holds of those that prediction needs."""
    found = EXHIBITS[name]
    by_model: dict[str, set[int]] = {}
    for arm in found.arms:
        net = models.build(exhibit._model(arm, exhibit.Scale(None, 0.125, {})),
                           SHAPES[found.data], 10, arm.activation)
        params, _ = network.init(net, np.random.default_rng(0), SHAPES[found.data], "float32")
        by_model.setdefault(arm.label.rpartition(", ")[2], set()).add(metrics.size(params))
    assert all(len(sizes) == 1 for sizes in by_model.values())


@pytest.mark.parametrize("components", [1, 2, 3])
def test_a_network_of_table_5_folds_into_as_many_components(components):
    arm = EXHIBITS["al:table-5"].arms[components - 1]
    net = models.build(arm.model, SHAPES["mnist"], 10, arm.activation)
    assert rules.get(arm.rule).components(net) == components


def test_a_dense_network_becomes_narrow():
    def at(model: str, factor: float) -> str:
        return exhibit._model(exhibit.Arm("", "bp", model), exhibit.Scale(None, factor, {}))

    assert at("mlp:1024,5120,10", 0.125) == "mlp:128,640,1" and at("mlp:10,10", 1) == "mlp:10,10"
    assert at("cnn", 0.125) == "cnn:0.125" and at("cnn", 1) == "cnn"


def test_a_scale_narrows_dense_and_convolutional_networks_alike(few):
    plan = EXHIBITS["al:table-2"].check("smoke", only=["bp, mlp", "al, cnn"])
    assert [model for _, model, _ in plan.trials] == ["mlp:128,128,640,128,128", "folded-cnn:0.125"]
    assert [settings.lr for _, _, settings in plan.trials] == [1e-3, 3e-3]
    plan = EXHIBITS["al:table-2"].check("full", only=["bp, mlp"])
    assert plan.trials[0][1] == "mlp:1024,1024,5120,1024,1024" and plan.config["scale"] == "full"
    with pytest.raises(InputError, match="unknown scale 'ful': did you mean 'full'"):
        EXHIBITS["al:table-2"].check("ful")


@pytest.fixture
def trained():
    """One epoch of associated learning on random images; labels 0 to 9 in turn."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((400, 3, 3, 1)).astype("float32"), np.arange(400) % 10
    data = from_arrays("random", x[:300], y[:300], x[300:], y[300:], classes=10)
    net = models.build("mlp:8,6,12,6,8", data.shape, 10, "elu,sigmoid")
    run = Run(net, rules.get("al"), data, Settings(epochs=2, dtype="float64"))
    run.epoch()
    return run


def test_layers_are_those_of_prediction_whole_and_in_order(trained, monkeypatch):
    monkeypatch.setattr(al, "CHUNK", 7)
    x, second, output = al.layers(trained, [0, 2, 6], 20)
    np.testing.assert_array_equal(x, trained.validation[0][:20].reshape(20, 9))
    h = network.forward(trained.net, trained.params, trained.validation[0], train=False).h
    assert_close(second, h[2][:20])
    assert_close(output, h[6][:20])


def test_distances_of_the_last_hidden_layer_are_those_of_its_points(trained):
    """All samples are alike but those of one class: of 45 pairs of classes 9 are apart, and no two of one class."""
    labels = trained.data.y_validation
    x = np.zeros_like(trained.validation[0])
    x[:, 0, 0, 0] = np.where(labels == 3, 5, 0)
    trained.validation = x, trained.validation[1]
    found = al.last_hidden(trained)
    h = network.forward(trained.net, trained.params, x, train=False).h[5]
    apart = np.linalg.norm(h[labels == 3][0] - h[labels != 3][0])
    assert_zero(found["intra"], of=h)
    assert found["inter"] == pytest.approx(apart * 9 / 45) and apart > 1e-6


def test_losses_are_of_the_rule_that_has_components(trained):
    found = al.losses(trained)
    assert [len(found[name]) for name in ("associated", "autoencoder")] == [2, 2]
    code = trained.rule.component(trained.net, trained.params, trained.state, 1, trained.x, trained.y)
    assert [found["associated"][0], found["autoencoder"][0]] == list(map(float, code.losses))
    bp = Run(models.build("mlp:3", trained.data.shape, 10), rules.get("bp"), trained.data, Settings(epochs=1))
    assert al.losses(bp) == {}


def test_training_accuracy_counts_training_samples(trained):
    said = network.predict(trained.net, trained.params, trained.x).argmax(1)
    right = np.arange(len(said)) % 4 > 0
    trained.y = np.eye(10)[np.where(right, said, (said + 1) % 10)]
    assert al.training_accuracy(trained)["training_accuracy"] == pytest.approx(right.mean())


def test_pictures_come_with_the_last_epoch_alone(trained, monkeypatch):
    monkeypatch.setattr(al, "embed", lambda h: h[:, :2])
    assert al.pictures(trained) == {}
    trained.epoch()
    found = al.pictures(trained)
    assert found["labels"] == trained.data.y_validation.tolist()
    h = network.forward(trained.net, trained.params, trained.validation[0], train=False).h
    expected = [h[0].reshape(len(h[0]), -1), h[2], h[4], h[6]]
    np.testing.assert_allclose(found["points"], [layer[:, :2] for layer in expected], atol=0.006)


@pytest.mark.parametrize("name", ["al:table-5", "al:table-6", "al:table-7", "al:figure-5"])
def test_what_was_measured_is_drawn_from_the_file_alone(name, few, tmp_path):
    assert cli.main(["papers", "run", name, "--out", str(tmp_path / "out")]) == 0
    found = results.read(tmp_path / "out" / "results.json")
    last = found["runs"][0]["history"][-1]
    assert set(last) & {"associated", "training_accuracy", "inter", "points"}
    figure = papers.draw(found)
    titles = [axes.get_title() for axes in figure.axes]
    if name == "al:table-5":
        drawn = [axes.lines[0].get_ydata() for axes in figure.axes]
        for line, run in zip(drawn, found["runs"], strict=True):
            assert list(line) == run["history"][-1]["associated"]
        assert [list(axes.lines[1].get_ydata()) for axes in figure.axes] == list(map(list, al.PRINTED_LOSSES.values()))
    if name == "al:table-7":
        heights = [bar.get_height() for bar in figure.axes[1].patches]
        ratios = [run["history"][-1]["inter"] / run["history"][-1]["intra"] for run in found["runs"]]
        assert_close(np.array(heights), np.array([*ratios, 39.36 / 67.97, 0.73 / 0.66, 41.82 / 26.87, 1.17 / 0.36]))
    if name == "al:figure-5":
        assert titles == [f"{rule}, mlp: {layer}" for rule in ("bp", "al") for layer in al.LAYERS]
        np.testing.assert_array_equal(figure.axes[1].collections[0].get_offsets(), last["points"][1])
