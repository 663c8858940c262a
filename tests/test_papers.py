"""The papers' tables as data: they name rules and models that are there, and they run."""
from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from records import exhibit_results
from tolerance import assert_close, assert_zero

from nobackprop import cli, metrics, models, network, rules
from nobackprop.data import Dataset, from_arrays
from nobackprop.errors import InputError
from nobackprop.experiments import loop, papers, results
from nobackprop.experiments.papers import EXHIBITS, al, asap, exhibit, las
from nobackprop.experiments.shelf import Shelf
from nobackprop.learn import Diverged, Run, Settings
from nobackprop.studies import memory
from nobackprop.studies.text import fit
from nobackprop.tree import leaves, tree_map

every = pytest.mark.parametrize("name", EXHIBITS)
SHAPES = {"mnist": (28, 28, 1), "cifar-10": (32, 32, 3), "cifar-100": (32, 32, 3), "svhn": (32, 32, 3),
          "tiny-imagenet": (64, 64, 3), "tiny-imagenet-32": (32, 32, 3)}


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
        assert len(scale.seeds) == (1 if scale_name == "smoke" or name.endswith("-rates") else 3)


@every
def test_printed_numbers_are_per_cents(name):
    assert all(arm.printed is None or 10 <= arm.printed <= 100 for arm in EXHIBITS[name].arms)


@pytest.mark.parametrize("name, label, printed", [
    ("las:table-1-cifar-10", "ltas, conv3, flip", 81.91), ("las:table-1-cifar-100", "las, resnet18, strong", 60.38),
    ("las:table-1-tiny-imagenet", "dfa, resnet18, strong", 38.84), ("las:table-2-cifar-100", "las", 32.53),
    ("asap:table-5.2-svhn", "asap, alexnet", 88.04), ("asap:table-5.2-tiny-imagenet", "kp, resnet34", 59.45),
    ("asap:table-5.2-cifar-100", "dfa, no shortcut", 37.48), ("asap:table-5.3", "phsic, resnet34", 77.2),
    ("asap:table-5.5-resnet34", "asfp", 31.7), ("asap:figure-5.4-cifar-100", "asap, k = 4", 71.93),
    ("al:table-4", "al, resnet32", 59.0), ("al:table-3", "dtp, mlp", 58.2)])
def test_a_printed_number_stands_at_its_arm(name, label, printed):
    found, = (arm for arm in EXHIBITS[name].arms if arm.label == label)
    assert found.printed == printed


def test_each_rule_of_las_order_has_the_rate_that_was_best_on_validation_images():
    stored = Shelf()["las_order_rates"]
    for arm in EXHIBITS["las:order"].arms:
        if arm.label == "dfa, lower rate":
            continue
        found = {own["lr"]: stored[label].validation(-1) for label, own in stored.config["rule_settings"].items()
                 if label.rpartition(", ")[0] == arm.label}
        assert len(found) == 4 and arm.at["small"]["lr"] == max(found, key=found.__getitem__)


def test_every_table_and_figure_of_the_three_papers_has_a_line():
    """The tables and figures with numbers that depend on a run or on a count; the others are diagrams."""
    wanted = {"las": ["figure-4", "table-1", "table-2"],
              "asap": ["table-3.1", "table-5.2", "table-5.3", "table-5.4", "table-5.5", "figure-5.1", "figure-5.4",
                       "figure-6.1"],
              "al": ["table-2", "table-3", "table-4", "table-5", "table-6", "table-7", "figure-5", "figure-6"]}
    for paper, names in wanted.items():
        for one in names:
            assert any(name.startswith(f"{paper}:{one}") for name in EXHIBITS), one
    for columns in (("mnist", "cifar-10", "cifar-100"),):
        assert all(f"las:table-2-{data}" in EXHIBITS for data in columns)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXHIBITS if name not in ("asap:table-3.1", "al:table-2")])
def test_every_exhibit_runs_at_smoke_scale_and_is_drawn(name, tiny, monkeypatch):
    """An arm for each rule, of a few images and still narrower: all that a run and its figure need is there."""
    found, kinds = EXHIBITS[name], {}
    for arm in found.arms:
        kinds.setdefault(arm.rule, arm.label)
    monkeypatch.setitem(found.scales, "smoke", dataclasses.replace(found.scales["smoke"], factor=0.04))
    done = found.check("smoke", only=list(kinds.values())).run()
    assert [run["rule"] for run in done["runs"]] == [arm.label for arm in found.arms if arm.label in kinds.values()]
    assert all(run["test_accuracy"] is not None for run in done["runs"])
    found.accept(done)
    figure = papers.draw(done)
    if found.draw:  # a drawing of its own; the other ones are those of a comparison, which tests/test_plots.py renders
        figure.savefig(io.BytesIO(), dpi=20)
    assert papers.compare(done)


@pytest.fixture
def tiny(monkeypatch):
    """Data sets of a handful of random images, and one epoch; t-SNE is left out."""
    def load(name, data_dir=None, download=False):
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((60, *SHAPES[name])).astype("float32"), np.arange(60) % 10
        return from_arrays(name, x[:40], y[:40], x[40:], y[40:], classes=10, validation=20)

    def settings(**values):
        return Settings(**values | {"epochs": 1})

    monkeypatch.setattr(exhibit, "load", load)
    monkeypatch.setattr(exhibit, "Settings", settings)
    monkeypatch.setattr(al, "embed", lambda h: h[:, :2])


@pytest.fixture
def few(monkeypatch):
    """Data sets of a few random images in the place of the real ones."""
    def load(name, data_dir=None, download=False):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((300, *SHAPES[name])).astype("float32")
        y = rng.integers(10, size=300)
        return from_arrays(name, x[:200], y[:200], x[200:], y[200:], classes=10)

    monkeypatch.setattr(exhibit, "load", load)


@pytest.mark.slow
def test_a_run_trains_every_arm_and_writes_what_the_plots_read(few, tmp_path, capsys):
    assert cli.main(["papers", "run", "asap:table-3.1", "--out", str(tmp_path / "out"), "--seeds", "3,1"]) == 0
    out = capsys.readouterr().out
    found = results.read(tmp_path / "out" / "results.json")
    assert (tmp_path / "out" / "figure.png").stat().st_size > 1000
    labels = [arm.label for arm in EXHIBITS["asap:table-3.1"].arms]
    assert [(run["rule"], run["seed"]) for run in found["runs"]] == [(label, s) for label in labels for s in (3, 1)]
    assert found["config"]["exhibit"] == "asap:table-3.1" and found["config"]["printed"]["bp, linear"] == 92.39
    assert "92.39" in out and fit(results.table(found), 80) in out
    first, last = (found["runs"][i]["history"][-1] for i in (0, 2))
    assert len(first["angles"]) == 3 and "angles" not in last


def models_of(plan):
    """The models of a plan's trials, in order."""
    return [plan.config["rule_settings"][trial.name]["model"] for trial in plan.trials]


def test_some_arms_only(few):
    plan = EXHIBITS["asap:table-5.2"].check(only=["fa", "asap, no shortcut"])
    assert [trial.name for trial in plan.trials] == ["fa", "asap, no shortcut"]
    assert models_of(plan) == ["resnet18:0.125", "resnet18-noshortcut:0.125"]
    with pytest.raises(InputError, match="unknown arm 'faa': did you mean 'fa'"):
        EXHIBITS["asap:table-5.2"].check(only=["faa"])


@pytest.mark.slow
def test_smoke_touches_few_test_images_and_small_all(few):
    smoke, small = (EXHIBITS["asap:table-5.2"].check(scale) for scale in ("smoke", "small"))
    assert len(smoke.data.y_test) <= 200 and len(small.data.y_test) == 100
    assert len(small.data.y_train) <= 10_000


def test_angles():
    W = np.array([[1.0, 0], [0, 0]])
    assert asap.angle(W, 3 * W) == pytest.approx(0) and asap.angle(W, -W) == pytest.approx(180)
    assert asap.angle(W, np.array([[1.0, 1], [0, 0]])) == pytest.approx(45)


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


# The LAS paper


@pytest.mark.parametrize("label, modules", [("dfa, from the product", 3), ("las, from the product", 2),
                                            ("ltas, from the product", 2)])
def test_the_feedback_of_figure_4_starts_at_the_products_of_the_first_weights(label, modules):
    """Section III-D; that of DFA stays there, a module learns."""
    arm, = (arm for arm in EXHIBITS["las:figure-4"].arms if arm.label == label)
    rule, rng = rules.get(arm.rule), np.random.default_rng(0)
    net = models.build("mlp:7,6,5", (4,), 3)
    params, shapes = network.init(net, rng, (4,), "float64")
    B = rule.init(rng, net, params, shapes)
    W = [params[i][0]["W"] for i in range(3)] + [params[3]["W"]]
    expected = [W[3] @ W[2] @ W[1], W[3] @ W[2], W[3]][:modules]
    assert len(B) == modules
    for found, product in zip(B, expected, strict=True):
        assert_close(found, product)
    if modules == 3:
        B[2][:] = 0
        assert np.abs(params[3]["W"]).max() > 0            # an array of its own
    x, y = rng.standard_normal((8, 4)), np.eye(3)[rng.integers(3, size=8)]
    tape = network.forward(net, params, x)
    moves, other = rule.align(net, params, B, tape, y, rng), rules.get(label.partition(",")[0])
    assert (moves is None) == (modules == 3)
    for (_, u), (_, v) in zip(leaves([moves, rule.credit(net, params, B, tape, y).grads]),
                              leaves([other.align(net, params, B, tape, y, rng),
                                      other.credit(net, params, B, tape, y).grads]), strict=True):
        np.testing.assert_array_equal(u, v)


def test_the_control_teaches_dense_blocks_as_dfa_does_and_leaves_convolutions():
    net, rng = models.build("conv-small", (8, 8, 1), 10), np.random.default_rng(0)
    params, shapes = network.init(net, rng, (8, 8, 1), "float64")
    rule, dfa = rules.get(las.ORDER["dfa, dense blocks alone"][0]), rules.get("dfa")
    B = rule.init(np.random.default_rng(1), net, params, shapes)
    x, y = rng.standard_normal((4, 8, 8, 1)), np.eye(10)[:4]
    tape = network.forward(net, params, x)
    found, expected = (one.credit(net, params, B, tape, y).grads for one in (rule, dfa))
    assert found[:2] == [None, None] and list(rule.untrained(net)) == [0, 1] and expected[0] is not None
    for (_, u), (_, v) in zip(leaves(found[2:]), leaves(expected[2:]), strict=True):
        np.testing.assert_array_equal(u, v)


def test_alignment_is_drawn_start_by_start():
    figure, arms = drawn("las:figure-4", seeds=(0, 1), epochs=3)
    assert [axes.get_title() for axes in figure.axes] == list(las.STARTS)
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == ["dfa", "las", "ltas"]
        for line in axes.lines:
            histories = arms[f"{line.get_label()}, {axes.get_title()}"]
            expected = [[record["alignment"][0] for record in history] for history in histories]
            assert_close(np.array(line.get_ydata()), np.mean(expected, 0))


@pytest.mark.parametrize("label, column", [("bp, alexnet", "bp"), ("asap, k = 2, alexnet", "asap:k=2"),
                                           ("asap, k = 4, alexnet", "asap:k=4")])
def test_accesses_are_those_of_the_study_of_memory(label, column, tiny):
    arm, = (arm for arm in EXHIBITS["asap:figure-6.1"].arms if arm.label == label)
    plan = EXHIBITS["asap:figure-6.1"].check("smoke", only=[label])
    model = plan.config["rule_settings"][label]["model"]
    found = asap.counted(Run(models.build(model, (32, 32, 3), 10), rules.get(arm.rule), exhibit.load("cifar-10"),
                             Settings(epochs=1)))
    expected = memory.measure(model, "cifar-10", "asap", batch_size=128)["columns"][column]
    assert found == {key: sum(expected[key].values()) for key in ("accesses", "accesses_both_sets")}


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
    assert models_of(plan) == ["mlp:128,128,640,128,128", "folded-cnn:0.125"]
    assert [trial.settings.lr for trial in plan.trials] == [1e-3, 3e-3]
    plan = EXHIBITS["al:table-2"].check("full", only=["bp, mlp"])
    assert models_of(plan) == ["mlp:1024,1024,5120,1024,1024"] and plan.config["scale"] == "full"
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


# by hand, from the arrays of a run alone: mlp:8,6,12,6,8 has elu in its first two blocks, then sigmoid


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def elu(a):
    return np.where(a > 0, a, np.exp(np.minimum(a, 0)) - 1)


def affine(params, h):
    """W h + b of a block or of an affiliated layer."""
    (_, W), (_, b) = sorted(leaves(params), key=lambda leaf: leaf[1].ndim, reverse=True)
    return h @ W.T + b


def by_hand(run, x):
    """x and what each block makes of it."""
    h = [x.reshape(len(x), -1)]
    for f, params in zip((elu, elu, sigmoid, sigmoid, sigmoid, lambda a: a), run.params, strict=True):
        h.append(f(affine(params, h[-1])))
    return h


def test_losses_are_of_the_first_training_samples_by_hand(trained, monkeypatch):
    monkeypatch.setattr(al, "SAMPLES", 7)
    x, y, (first, second) = trained.x[:7], trained.y[:7], trained.state
    h = by_hand(trained, x)
    bridge = sigmoid(affine(first["b"][1], sigmoid(affine(first["b"][0], h[1]))))
    t_1 = sigmoid(affine(first["g"], y))
    t_2 = sigmoid(affine(second["g"], t_1))
    found = al.losses(trained)
    assert_close(found["associated"], [((bridge - t_1)**2).mean(), ((h[4] - t_2)**2).mean()], of=1.0)
    assert_close(found["autoencoder"], [((sigmoid(affine(trained.params[5], t_1)) - y)**2).mean(),
                                        ((sigmoid(affine(trained.params[4], t_2)) - t_1)**2).mean()], of=1.0)


def test_layers_are_the_activities_by_hand(trained):
    h = by_hand(trained, trained.validation[0])
    for found, expected in zip(al.layers(trained, [0, 1, 2, 3, 4, 5, 6], 1000), h, strict=True):
        assert_close(found, expected)


def test_distances_are_those_of_the_first_validation_samples_by_hand(trained, monkeypatch):
    monkeypatch.setattr(al, "SAMPLES", 33)
    h, labels = by_hand(trained, trained.validation[0])[5][:33], trained.data.y_validation[:33]
    centres = [h[labels == k].mean(0) for k in range(10)]
    apart = [np.sqrt(((u - v)**2).sum()) for i, u in enumerate(centres) for v in centres[:i]]
    within = [np.mean([np.sqrt(((u - v)**2).sum()) for i, u in enumerate(one) for v in one[:i]])
              for one in (h[labels == k] for k in range(10))]
    found = al.last_hidden(trained)
    assert_close([found["inter"], found["intra"]], [np.mean(apart), np.mean(within)])
    assert len(apart) == 45 and abs(found["inter"] / found["intra"] - 1) > 0.01


def test_pictures_are_of_the_first_validation_samples_and_of_the_layers_by_hand(trained, monkeypatch):
    monkeypatch.setattr(al, "embed", lambda h: h[:, :2])
    monkeypatch.setattr(al, "POINTS", 13)
    trained.epoch()
    found, h = al.pictures(trained), by_hand(trained, trained.validation[0])
    assert found["labels"] == trained.data.y_validation[:13].tolist()
    np.testing.assert_allclose(found["points"], [h[i][:13, :2] for i in (0, 2, 4, 6)], rtol=0, atol=0.005001)


def test_training_accuracy_is_of_all_training_samples_by_hand(trained):
    right = by_hand(trained, trained.x)[6].argmax(1) == trained.y.argmax(1)
    assert al.training_accuracy(trained) == {"training_accuracy": right.sum() / 270}


def test_angles_are_between_each_w_and_its_own_c(marked):
    data = marked("mnist")
    run = Run(models.build("mlp:10,10", data.shape, 10, "identity"), rules.get("foa"), data, Settings(epochs=1))
    found = asap.angles(run)["angles"]
    Ws = [W.astype("float64") for _, W in leaves(run.params) if W.ndim == 2]
    Cs = [C.astype("float64") for _, C in leaves(run.state)]
    assert [W.shape for W in Ws] == [C.shape for C in Cs] == [(10, 784), (10, 10), (10, 10)]
    expected = [np.degrees(np.arccos((W * C).sum() / np.linalg.norm(W) / np.linalg.norm(C))) for W, C in zip(Ws, Cs)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert len({round(value, 1) for value in found}) == 3
    bp = Run(models.build("mlp:10,10", data.shape, 10), rules.get("bp"), data, Settings(epochs=1))
    assert asap.angles(bp) == {}


def test_an_angle_is_none_where_there_is_no_direction():
    with np.errstate(invalid="ignore"):
        assert np.isnan(asap.angle(np.zeros((2, 2)), np.ones((2, 2))))


# ---------------------------------------------------------------- every number of a run, by labels that stand in pixels

SIZES = {"train": 211, "validation": 37, "test": 53}  # primes: of which part an accuracy is, its fraction says


@pytest.fixture
def marked(monkeypatch):
    """Data sets in the place of the real ones, whose pixels say the part, the row and the label of each image.

    Of an image the upper left square of 4 x 4 is its label, the upper right one its part, and the lower left one its
    row.  All three are divided by 256: large inputs would let training diverge.
    """
    def load(name, data_dir=None, download=False):
        parts, rng = {}, np.random.default_rng(1)
        for number, (part, size) in enumerate(SIZES.items()):
            y = rng.integers(10, size=size)
            x = rng.normal(0, 0.1, (size, *SHAPES[name])).astype("float32")
            x[:, :4, :4], x[:, :4, -4:], x[:, -4:, :4] = (
                values.reshape(-1, 1, 1, 1) / 256 for values in (y, np.full(size, number), np.arange(size)))
            x[np.arange(size), 10 + y] += 2
            parts |= {f"x_{part}": x, f"y_{part}": y}
        return Dataset(name, 10, **parts)

    monkeypatch.setattr(exhibit, "load", load)
    return load


@pytest.mark.slow
@pytest.mark.parametrize("name", ["asap:table-3.1", "al:table-2", "asap:table-5.2", "al:table-3"])
@pytest.mark.parametrize("scale", ["smoke", "small", "full"])
@pytest.mark.parametrize("train, held, reduce", [(100, 30, 1), (None, None, 1), (100, 30, 2), (None, None, 2),
                                                 (7, None, 4)])
def test_a_scale_takes_the_first_images_with_their_labels(marked, monkeypatch, name, scale, train, held, reduce):
    found = EXHIBITS[name]
    changed = dataclasses.replace(found.scales[scale], train=train, held_back=held, reduce=reduce)
    monkeypatch.setitem(found.scales, scale, changed)
    data, whole = found.check(scale, only=[found.arms[0].label]).data, marked(found.data)
    expected = {"train": train or 211, "validation": held or 37, "test": held or 53 if scale == "smoke" else 53}
    side, channels = SHAPES[found.data][0] // reduce, SHAPES[found.data][2]
    for number, (part, size) in enumerate(expected.items()):
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        assert x.shape == (size, side, side, channels) and x.dtype == np.float32
        np.testing.assert_array_equal(256 * x[:, 0, 0, 0], y)
        np.testing.assert_array_equal(256 * x[:, 0, -1, 0], np.full(size, number))
        np.testing.assert_array_equal(256 * x[:, -1, 0, 0], np.arange(size))
        np.testing.assert_array_equal(y, getattr(whole, f"y_{part}")[:size])
        mean = getattr(whole, f"x_{part}")[:size].reshape(size, side, reduce, side, reduce, channels).mean((2, 4))
        assert_close(x, mean)
    assert data.name == (f"{found.data}, {reduce} x {reduce} pixels averaged" if reduce > 1 else found.data)


@pytest.fixture
def watched(monkeypatch):
    """The runs that an exhibit makes, each with a copy of the parameters that it started with."""
    made = []

    class Watched(Run):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.start = tree_map(np.copy, self.params)
            made.append(self)

    monkeypatch.setattr(loop, "Run", Watched)
    return made


@pytest.mark.slow
def test_every_number_of_a_run_is_that_of_its_seed_and_its_part(marked, watched):
    found = EXHIBITS["asap:table-3.1"].check(seeds=[3, 1])
    done, data = found.run(), found.data
    runs = {(run["rule"], run["seed"]): run for run in done["runs"]}
    labels = ["foa, linear", "bp, linear", "foa, nonlinear", "bp, nonlinear"]
    assert list(runs) == [(label, seed) for label in labels for seed in (3, 1)]
    assert [(run.name, run.seed) for run in watched] == [(label, seed) for seed in (3, 1) for label in labels]
    for run in watched:
        one = runs[run.name, run.seed]
        own = np.random.default_rng(np.random.SeedSequence(run.seed).spawn(4)[0])
        expected, _ = network.init(run.net, own, data.shape, "float32")
        for (_, ours), (_, theirs) in zip(leaves(run.start), leaves(expected), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert one["history"] == run.history and [record["epoch"] for record in one["history"]] == [1, 2]
        right = {part: (network.predict(run.net, run.params, getattr(data, f"x_{part}")).argmax(1)
                        == 256 * getattr(data, f"x_{part}")[:, 0, 0, 0]).sum() for part in SIZES}
        assert one["test_accuracy"] == right["test"] / 53
        assert one["history"][-1]["validation_accuracy"] == right["validation"] / 37
        assert one["parameters"] == 784 * 10 + 10 + 2 * 110 + ("nonlinear" in run.name) * 2 * 2 * 10
        assert one["seconds"] == run.seconds > 0
        last = one["history"][-1].get("angles")
        if run.name.startswith("foa"):
            Ws, Cs = ([np.ravel(array).astype("float64") for _, array in leaves(tree) if array.ndim == 2]
                      for tree in (run.params, run.state))
            cosines = [W @ C / np.linalg.norm(W) / np.linalg.norm(C) for W, C in zip(Ws, Cs, strict=True)]
            np.testing.assert_allclose(last, np.degrees(np.arccos(cosines)), rtol=0, atol=1e-3)
        else:
            assert last is None
    accuracies = [one["test_accuracy"] for one in runs.values()]
    assert max(accuracies) > 0.2 and len(set(accuracies)) > 2
    assert done["config"]["seeds"] == [3, 1] and done["environment"]["dataset"] == "mnist"


def test_a_run_without_stderr_is_quiet(marked, monkeypatch, capsys):
    plan = EXHIBITS["asap:table-3.1"].check(only=["bp, linear"])
    monkeypatch.setattr("sys.stderr", None)
    assert len(plan.run()["runs"]) == 1
    assert capsys.readouterr() == ("", "")


# ---------------------------------------------------------------- what is drawn, read back


def drawn(name, **how):
    found = exhibit_results(name, **how)
    arms = {arm.label: [run["history"] for run in found["runs"] if run["rule"] == arm.label]
            for arm in EXHIBITS[name].arms}
    return papers.draw(found), arms


def test_angles_are_drawn_layer_by_layer():
    figure, arms = drawn("asap:table-3.1", seeds=(0, 1, 2), epochs=4)
    assert figure.get_suptitle() == "How W turns towards C under forward alignment: mnist, mean and range of 3 seeds"
    assert [axes.get_title() for axes in figure.axes] == ["foa, linear", "foa, nonlinear"]
    for axes in figure.axes:
        angles = np.array([[record["angles"] for record in history] for history in arms[axes.get_title()]])
        *lines, right_angle = axes.lines
        for layer, (line, band) in enumerate(zip(lines, axes.collections, strict=True)):
            assert line.get_label() == ["784 x 10, below them", "layer 1", "layer 2"][layer]
            assert list(line.get_xdata()) == [1, 2, 3, 4]
            assert_close(np.array(line.get_ydata()), angles[:, :, layer].mean(0))
            x, y = band.get_paths()[0].vertices.T
            for epoch in range(4):
                assert {y[x == epoch + 1].min(), y[x == epoch + 1].max()} == {
                    angles[:, epoch, layer].min(), angles[:, epoch, layer].max()}
        assert list(right_angle.get_ydata()) == [90, 90]


def test_angles_of_runs_of_unequal_length_are_drawn_as_far_as_they_go():
    found = exhibit_results("asap:table-3.1", seeds=(0, 1), epochs=3)
    first, second = (run["history"] for run in found["runs"][:2])
    del second[2], second[0]["angles"]
    lines = papers.draw(found).axes[0].lines
    for layer in range(3):
        expected = [first[0]["angles"][layer], (first[1]["angles"][layer] + second[1]["angles"][layer]) / 2,
                    first[2]["angles"][layer]]
        assert_close(np.array(lines[layer].get_ydata()), np.array(expected))


@pytest.mark.slow
def test_losses_are_drawn_next_to_what_is_printed():
    figure, arms = drawn("al:table-5", seeds=(0, 1, 2))
    for (label, histories), axes in zip(arms.items(), figure.axes, strict=True):
        found = np.array([history[-1]["associated"] for history in histories])
        here, printed = axes.lines
        assert axes.get_title() == label and list(here.get_xdata()) == list(range(1, found.shape[1] + 1))
        assert_close(np.array(here.get_ydata()), found.mean(0))
        assert tuple(printed.get_ydata()) == al.PRINTED_LOSSES[label]
        ranges = [segment[:, 1].tolist() for segment in axes.collections[0].get_segments()]
        assert ranges == np.stack([found.min(0), found.max(0)], 1).tolist()


def test_distances_and_their_ratio_are_drawn():
    figure, arms = drawn("al:table-7", seeds=(0, 1, 2))
    lengths, ratios = figure.axes
    inter, intra = (np.array([[history[-1][key] for history in histories] for histories in arms.values()])
                    for key in ("inter", "intra"))
    legend, = figure.legends
    assert [text.get_text() for text in legend.get_texts()][:2] == ["between classes", "within a class"]
    assert_close(np.array(lengths.collections[0].get_offsets()[:, 1]), inter.mean(1))
    assert_close(np.array(lengths.collections[1].get_offsets()[:, 1]), intra.mean(1))
    heights = np.array([bar.get_height() for bar in ratios.patches])
    assert_close(heights[:4], (inter / intra).mean(1))
    assert heights[4:].tolist() == [between / within for between, within in
                                    ((39.36, 67.97), (0.73, 0.66), (41.82, 26.87), (1.17, 0.36))]
    ranges = np.array([segment[:, 1] for segment in ratios.collections[0].get_segments()])
    assert_close(ranges, np.stack([(inter / intra).min(1), (inter / intra).max(1)], 1))
    for axes in figure.axes:
        assert [label.get_text() for label in axes.get_xticklabels()] == list(arms)


@pytest.mark.slow
def test_a_network_that_broke_down_is_drawn_without_its_ratio():
    found = exhibit_results("al:table-7", seeds=(0, 1))
    for run in found["runs"][:2]:
        run["history"][-1] |= {"inter": 0.0, "intra": 0.0}
    found["runs"][2]["history"][-1] |= {"inter": None, "intra": None}
    record = found["runs"][3]["history"][-1]
    figure = papers.draw(found)
    figure.savefig(io.BytesIO(), dpi=20)
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    assert np.isnan(heights[0]) and heights[1] == record["inter"] / record["intra"]


def test_pictures_are_drawn_with_a_colour_for_each_class():
    figure, arms = drawn("al:figure-5", seeds=(0, 1))
    panels = iter(figure.axes)
    for label, (first, _) in arms.items():
        for layer, points in zip(al.LAYERS, first[-1]["points"], strict=True):
            axes = next(panels)
            dots, = axes.collections
            assert axes.get_title() == f"{label}: {layer}"
            np.testing.assert_array_equal(dots.get_offsets(), points)
            np.testing.assert_array_equal(dots.get_array(), first[-1]["labels"])
    assert next(panels, None) is None


@pytest.mark.parametrize("change, sentence", [
    (lambda run: run.update(rule="bp, mlpp"), "unknown arm of al:figure-5 'bp, mlpp': did you mean 'bp, mlp'?"),
    (lambda run: run["history"][-1].pop("points"),
     "results of al:figure-5: the key 'runs[1].history[1].points' is missing"),
    (lambda run: run["history"][-1]["points"].pop(),
     "'runs[1].history[1].points' is a list of 3, expected a list of 4"),
    (lambda run: run["history"][-1]["points"][2].__setitem__(3, [1, 2, 3]),
     "'runs[1].history[1].points[2][3]' is a list of 3, expected a list of 2"),
    (lambda run: run["history"][-1]["labels"].__setitem__(0, -1),
     "'runs[1].history[1].labels[0]' is -1, expected an integer from 0 to 9999"),
    (lambda run: run["history"][-1]["labels"].pop(), "the picture of al, mlp, raw data, has 30 points and 29 labels"),
    (lambda run: run["history"][0].update(points=3), "'runs[1].history[0].points' is 3, expected a list of 4"),
])
def test_what_an_exhibit_draws_is_checked_by_its_own_form(change, sentence):
    found = exhibit_results("al:figure-5", seeds=(0,))
    change(found["runs"][1])
    with pytest.raises(InputError) as told:
        papers.draw(found)
    assert sentence in str(told.value)


@every
def test_made_up_results_have_the_keys_of_real_ones(name):
    """So that what is drawn from them says something of a run's own results, which are drawn further down."""
    found = exhibit_results(name)
    EXHIBITS[name].accept(found)
    assert set(EXHIBITS[name].form) <= set().union(*(run["history"][-1] for run in found["runs"]))
    assert papers.compare(found) and results.table(found)


@pytest.mark.parametrize("printed, sentence", [
    (None, "'config.printed' is null, expected an object"),
    ({"bp": 1.0}, "the key 'config.printed.asap' is missing"),
    ({"bp": 1.0, "asap": "2"}, "'config.printed.asap' is \"2\", expected a number or null"),
])
def test_nothing_is_compared_without_printed_numbers(printed, sentence):
    runs = [{"rule": rule, "test_accuracy": 0.5} for rule in ("bp", "asap")]
    with pytest.raises(InputError) as told:
        papers.compare({"config": {"printed": printed}, "runs": runs})
    assert str(told.value) == f"results of a paper: {sentence}"


def test_an_arm_without_test_accuracy_is_compared_by_a_dash():
    found = {"config": {"printed": {"a": 1, "b": None}},
             "runs": [{"rule": "a", "test_accuracy": None}, {"rule": "b", "test_accuracy": 1}]}
    assert papers.compare(found).splitlines()[1:] == ["a     1.00  -", "b        -  100.00"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["al:table-5", "al:table-6", "al:table-7", "al:figure-5"])
def test_what_was_measured_is_drawn_from_the_file_alone(name, few, unrendered, tmp_path):
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


@pytest.mark.parametrize("name, scale, key, expected", [
    ("asap:table-5.4", "small", "weight_decay", [0.0, 0.03, 0.3, 3.0] * 2),  # an arm's own before the scale's 0.3
    ("asap:table-5.2", "small", "lr", [1e-2, 1e-2, 3e-3, 3e-3, 1e-2] * 2),  # an arm's own of one scale
    ("asap:table-5.2", "full", "lr", [3e-2, 3e-2, 3e-3, 3e-3, 3e-2, 3e-2, 3e-2, 3e-3, 3e-3, 3e-3]),
    ("asap:table-5.2-cifar-100", "full", "lr", [3e-2, 3e-2, 1e-4, 1e-4, 1e-4, 3e-2, 3e-2, 3e-3, 3e-3, 3e-3,
                                                *[3e-2, 3e-2, 3e-3, 3e-3, 3e-2] * 2]),
    ("las:table-1-tiny-imagenet", "small", "augment", ["flip,cutout:8,randaugment:2:9"] * 4),
    ("al:table-2", "smoke", "lr", [1e-3, 3e-3, 1e-3, 1e-3, 3e-3]),  # for al another one than the scale's
    ("al:table-2", "full", "lr", [1e-4] * 5),
])
def test_an_arms_own_settings_come_before_the_scales(marked, name, scale, key, expected):
    plan = EXHIBITS[name].check(scale)
    assert [getattr(trial.settings, key) for trial in plan.trials] == expected
    assert [told[key] for told in plan.config["rule_settings"].values()] == expected


# ---------------------------------------------------------------- runs that are interrupted


def stopped(monkeypatch, label: str, seed: int, epochs: int, error: BaseException):
    """Make a run raise in place of its next epoch after so many."""
    epoch = Run.epoch

    def stop(run):
        if (run.name, run.seed, len(run.history)) == (label, seed, epochs):
            raise error
        return epoch(run)

    monkeypatch.setattr(Run, "epoch", stop)


def timeless(path):
    found = results.read(path / "results.json")
    return found | {"runs": [run | {"seconds": 0} for run in found["runs"]]}


@pytest.mark.slow
@pytest.mark.parametrize("name, label, epochs", [("asap:table-3.1", "foa, nonlinear", 1), ("al:figure-5", "al, mlp", 0),
                                                 ("al:table-7", "al, mlp", 1)])
def test_what_was_interrupted_is_kept_and_goes_on(few, unrendered, tmp_path, capsys, monkeypatch, name, label, epochs):
    monkeypatch.setattr(al, "embed", lambda h: h[:, :2])  # tests/test_code_quality.py: it is the same every time
    whole, part = tmp_path / "whole", tmp_path / "part"
    assert cli.main(["papers", "run", name, "--seeds", "0,1", "--out", str(whole)]) == 0
    with monkeypatch.context() as patch:
        stopped(patch, label, 1, epochs, KeyboardInterrupt())
        argv = ["papers", "run", name, "--seeds", "0,1", "--checkpoint-every", "never", "--out", str(part)]
        assert cli.main(argv) == 130
    out = capsys.readouterr().out
    assert f"\nwrote {part}/results.json and {part}/figure.png\n" in out
    assert out.endswith(f"; go on with: nobackprop papers run --resume {part}\n") and " runs ended" in out
    left = timeless(part)
    assert left["config"].pop("interrupted") is True
    assert all(run in timeless(whole)["runs"] for run in left["runs"] if run["test_accuracy"] is not None)
    assert cli.main(["plot", str(part / "results.json")]) == 0
    assert cli.main(["papers", "run", "--resume", str(part)]) == 0
    assert timeless(part) == timeless(whole)
    assert cli.main(["papers", "run", name, "--resume", str(part)]) == 0 and timeless(part) == timeless(whole)
    capsys.readouterr()
    assert cli.main(["papers", "run", "al:table-2", "--resume", str(part)]) == 2
    assert capsys.readouterr().err == f"nobackprop: {part} holds results of {name}, expected those of al:table-2\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["asap:table-3.1", "al:table-5", "al:table-7", "al:figure-5"])
def test_an_arm_that_diverges_does_not_end_the_others(name, few, unrendered, tmp_path, capsys, monkeypatch):
    label = EXHIBITS[name].arms[0].label
    stopped(monkeypatch, label, 0, 0, Diverged(f"rule {label}, seed 0: the loss left"))
    code = cli.main(["papers", "run", name, "--out", str(tmp_path / "o")])
    out, err = capsys.readouterr()
    found = results.read(tmp_path / "o" / "results.json")
    assert code == 2 and err.splitlines()[-1] == f"nobackprop: rule {label}, seed 0: the loss left"
    first, *others = found["runs"]
    assert first["history"] == [] and first["diverged"] and all(run["test_accuracy"] is not None for run in others)
    assert f"\ndiverged, and in no mean: rule {label}, seed 0: the loss left\n" in out
    assert (tmp_path / "o" / "figure.png").exists() == bool(others)


@pytest.mark.slow
def test_settings_of_an_exhibit_that_are_edited_are_refused(few, unrendered, tmp_path, capsys):
    place = tmp_path / "o"
    assert cli.main(["papers", "run", "asap:table-3.1", "--out", str(place)]) == 0
    found = results.read(place / "results.json")
    found["config"]["rule_settings"]["bp, linear"]["lr"] = 3.0
    results.write(place / "results.json", found)
    capsys.readouterr()
    assert cli.main(["papers", "run", "--resume", str(place)]) == 2
    assert capsys.readouterr().err == ("nobackprop: the settings in results.json were edited: the runs that are there "
                                       "were made with others\n")
    del found["config"]["scale"]
    results.write(place / "results.json", found)
    assert cli.main(["papers", "run", "--resume", str(place)]) == 2
    assert capsys.readouterr().err == "nobackprop: results.json: the key 'config.scale' is missing\n"
