"""The figure, judged by the data in it: lines and bands are what results.json says."""
from __future__ import annotations

import io
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection as FillBetween
from matplotlib.colors import to_hex, to_rgb
from records import exhibit_results
from tolerance import assert_close

from nobackprop import figures
from nobackprop.errors import InputError
from nobackprop.experiments import papers, plots, results
from nobackprop.experiments.papers import EXHIBITS
from nobackprop.experiments.plots import draw
from nobackprop.experiments.sweep import show
from nobackprop.figures import COLOURS, colour_of, looks, split
from nobackprop.rules import RULES
from nobackprop.studies import gradient_free, memory
from nobackprop.studies.speed import throughput


def a_run(rule, seed, accuracies, cosines):
    history = [
        {"epoch": i, "train_loss": 1.0, "validation_accuracy": accuracy, "alignment": [cosine and 0.3, 0.3],
         "alignment_at_a": [cosine, 0.9]}
        for i, (accuracy, cosine) in enumerate(zip(accuracies, cosines, strict=True), 1)]
    return {"rule": rule, "seed": seed, "seconds": 1.0, "test_accuracy": None, "history": history}


def some_results(*runs, **config):
    return {"config": {"data": "digits", "model": "mlp:8,8"} | config, "runs": list(runs)}


FULL = some_results(
    a_run("bp", 0, [0.5, 0.8, 0.9], [1.0, 1.0, 1.0]),
    a_run("bp", 1, [0.7, 0.9, 0.9], [1.0, 1.0, 1.0]),
    a_run("shallow", 0, [0.1, 0.2, 0.3], [None] * 3),
    a_run("shallow", 1, [0.2, 0.2, 0.2], [None] * 3),
    a_run("las", 0, [0.4, 0.6, 0.8], [-0.2, 0.4, 0.6]),
    a_run("las", 1, [0.4, 0.7, 0.8], [0.0, None, 0.8]),
)


MANY = [*COLOURS, *(f"a long name {i}" for i in "abcdef")]


def lines(axes):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}


def same(ours, expected):
    assert list(ours) == list(expected)
    for label, (x, y) in expected.items():
        assert ours[label][0] == x
        assert_close(np.array(ours[label][1]), np.array(y))


def test_lines_are_the_means_over_seeds():
    left, right = draw(FULL).axes
    epochs = [1, 2, 3]
    same(lines(left), {"bp (ceiling)": (epochs, [0.6, 0.85, 0.9]),
                       "shallow (floor)": (epochs, [0.15, 0.2, 0.25]),
                       "las": (epochs, [0.4, 0.65, 0.8])})
    # where a rule sends nothing there is no line, where one seed has no number the other is shown
    same(lines(right), {"bp (ceiling)": (epochs, [1.0, 1.0, 1.0]), "las": (epochs, [-0.1, 0.4, 0.7])})


def band(collection):
    """{epoch: (lowest, highest)} of a shaded area."""
    x, y = collection.get_paths()[0].vertices.T
    return {epoch: (y[x == epoch].min(), y[x == epoch].max()) for epoch in (1, 2, 3)}


def test_bands_reach_from_the_lowest_to_the_highest_seed():
    left, right = draw(FULL).axes
    assert band(left.collections[0]) == {1: (0.5, 0.7), 2: (0.8, 0.9), 3: (0.9, 0.9)}
    assert len(left.collections) == 3 and len(right.collections) == 2
    assert band(right.collections[1]) == {1: (-0.2, 0.0), 2: (0.4, 0.4), 3: (0.6, 0.8)}


def test_everything_drawn_is_inside_the_axes():
    for axes in draw(FULL).axes:
        low, high = axes.get_ylim()
        assert low < axes.dataLim.y0 and axes.dataLim.y1 < high
        assert axes.get_xlim() == (1, 3)


def test_titles_labels_and_legend():
    figure = draw(FULL)
    left, right = figure.axes
    assert figure.get_suptitle() == "digits, mlp:8,8, mean and range of 2 seeds"
    assert left.get_xlabel() == right.get_xlabel() == "epoch"
    assert left.get_ylabel() == "validation accuracy" and "cosine" in right.get_ylabel()
    legend, = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["bp (ceiling)", "shallow (floor)", "las"]


@pytest.mark.parametrize("config, end", [({"interrupted": True}, "1 seed (interrupted)"),
                                         ({"diverged": "a sentence"}, "1 seed (diverged)"),
                                         ({"interrupted": False}, "1 seed")])
def test_a_figure_of_a_part_says_so(config, end):
    results = some_results(a_run("bp", 0, [0.5], [1.0]), **config)
    assert draw(results).get_suptitle() == f"digits, mlp:8,8, {end}"


def dots(axes):
    """{name: (lowest, highest, where the ring is, where the dot is)} of a panel of rows, None for what is not there."""
    found = {}
    for line in axes.lines:
        (*x,), (row, *_) = line.get_xdata(), line.get_ydata()
        one = found.setdefault(round(row), {})
        kind = "range" if len(x) == 2 else "ring" if line.get_markerfacecolor() == "white" else "dot"
        one[kind] = tuple(x) if kind == "range" else x[0]
    return {row: (one.get("range"), one.get("ring"), one.get("dot")) for row, one in found.items()}


def test_one_or_two_epochs_are_rows_of_dots_and_no_curves():
    one = draw(some_results(a_run("las", 0, [0.5], [0.3]), a_run("las", 1, [0.75], [0.3]), a_run("bp", 0, [0.25], [1])))
    left, right = one.axes
    assert dots(left) == {0: ((0.5, 0.75), None, 0.625), 1: ((0.25, 0.25), None, 0.25)}
    assert [label.get_text() for label in left.get_yticklabels()] == ["las", "bp (ceiling)"]
    assert left.get_xlabel() == "validation accuracy after epoch 1" and not one.legends
    assert dots(right) == {0: ((0.3, 0.3), None, 0.3), 1: ((1, 1), None, 1)}
    two = draw(some_results(a_run("las", 0, [0.5, 0.75], [0.25, None]), a_run("fa", 0, [0.5], [0.5])))
    left, right = two.axes
    assert left.get_xlabel() == "validation accuracy after epoch 2"
    assert two.get_suptitle() == "digits, mlp:8,8, 1 seed (ring: after epoch 1)"
    assert dots(left) == {0: ((0.75, 0.75), 0.5, 0.75), 1: (None, 0.5, None)}
    assert dots(right) == {0: (None, 0.25, None), 1: (None, 0.5, None)}


@pytest.mark.parametrize("epochs", [3, 4, 5, 11, 30])
def test_the_axis_of_epochs_has_whole_numbers_alone(epochs):
    for axes in draw(some_results(a_run("las", 0, [0.5] * epochs, [0.5] * epochs))).axes:
        ticks = [tick for tick in axes.get_xticks() if 1 <= tick <= epochs]
        assert len(ticks) >= 3 and all(tick == round(tick) for tick in ticks)


def test_an_interrupted_run_counts_as_far_as_it_came():
    runs = a_run("las", 0, [0.2, 0.4, 0.6], [0, 0, 0]), a_run("las", 1, [0.4], [0])
    left, _ = draw(some_results(*runs)).axes
    same(lines(left), {"las": ([1, 2, 3], [0.3, 0.4, 0.6])})


@pytest.mark.parametrize("runs", [
    [a_run("shallow", 0, [0.2, 0.3, 0.4], [None] * 3)], [a_run("bp", 0, [0.2, 0.3, 0.4], [1.0] * 3)],
    [a_run("bp, decay 0", 0, [0.2], [1.0]), a_run("asap, decay 3", 0, [0.2], [None])]])
def test_without_an_alignment_besides_that_of_bp_there_is_no_panel_of_it(runs):
    only, = draw(some_results(*runs)).axes
    assert "learn" in only.get_title() and only.lines


def test_where_a_block_ends_in_no_activation_its_output_counts():
    run = a_run("las", 0, [0.2, 0.3, 0.4], [0.1, 0.2, 0.3])
    for record in run["history"]:
        record["alignment_at_a"] = [None, 0.9]
    same(lines(draw(some_results(run)).axes[1]), {"las": ([1, 2, 3], [0.3, 0.3, 0.3])})


def test_a_network_without_hidden_blocks_draws():
    run = a_run("las", 0, [0.2], [0.1])
    run["history"][0]["alignment_at_a"] = run["history"][0]["alignment"] = []
    assert len(draw(some_results(run)).axes) == 1


# ---------------------------------------------------------------- colours and lines


def test_a_rule_is_in_one_family_and_a_family_has_rules():
    assert set(COLOURS) <= set(RULES) and all(family for _, family in figures.FAMILIES)
    assert len(COLOURS) == sum(len(family) for _, family in figures.FAMILIES)


def test_the_colour_is_the_rules_and_the_line_the_variants():
    labels = [f"{rule}, decay {decay}" for rule in ("bp", "asap") for decay in (0, 0.3, 3)]
    found = [(look["color"], look["linestyle"]) for look in looks(labels)]
    assert found == [*product([COLOURS["bp"]], ["-", "--", ":"]), *product([COLOURS["asap"]], ["-", "--", ":"])]
    found = looks(["bp, mlp", "al, mlp", "dtp, mlp"])
    assert [look["color"] for look in found] == [COLOURS["bp"], COLOURS["al"], COLOURS["dtp"]]
    assert [look["linestyle"] for look in found] == ["--", "-", "-"]  # the ceiling is dashed
    found = looks(["1 component", "2 components"], {"1 component": "al", "2 components": "al"})
    assert [(look["color"], look["linestyle"]) for look in found] == [(COLOURS["al"], "-"), (COLOURS["al"], "--")]


@pytest.mark.parametrize("name", EXHIBITS)
def test_an_arm_of_a_paper_has_the_colour_of_its_rule_whatever_options_it_has(name):
    arms = EXHIBITS[name].arms
    found = looks([arm.label for arm in arms], {arm.label: arm.rule for arm in arms})
    # a class of the exhibit's own is a variant of the rule with which the label begins
    rules = [(arm.label.partition(",") if "." in arm.rule else arm.rule.partition(":"))[0] for arm in arms]
    assert [look["color"] for look in found] == [*map(colour_of, rules)]
    assert len({(look["color"], look["linestyle"]) for look in found[:8]}) == len(found[:8])


# a step of linear red, green and blue to what is seen without the cones for red or green: Machado and others (2009)
SEEN = [np.eye(3),
        np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
        np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])]
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375],
                [0.2126729, 0.7151522, 0.0721750],
                [0.0193339, 0.1191920, 0.9503041]])


def lab(colour, seen):
    """A colour in CIELAB, as it is seen."""
    c = np.array(to_rgb(colour))
    linear = np.clip(seen @ np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055)**2.4), 0, 1)
    xyz = XYZ @ linear / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("seen", SEEN, ids=["all cones", "no red", "no green"])
def test_the_colours_are_told_apart_by_readers_who_do_not_see_red_or_green(seen):
    palette = set(COLOURS.values()) - {figures.GREY}  # the floor alone is grey, and dashed
    for one, other in combinations(sorted(palette), 2):
        assert np.linalg.norm(lab(one, seen) - lab(other, seen)) > 16, (one, other)
    for colour in palette:
        assert lab(colour, seen)[0] < 75, colour  # of white paper it is 100


names = st.one_of(st.sampled_from(sorted(RULES)), st.sampled_from(sorted(RULES)),
                  st.builds("{}:k={}".format, st.sampled_from(["asap", "as"]), st.integers(1, 9)),
                  st.builds("{}, {}".format, st.sampled_from(["bp", "asap", "fa"]), st.sampled_from(["mlp", "cnn"])),
                  st.text("abWi.:, $_\\é", min_size=1, max_size=60))


@given(st.lists(names, min_size=1, max_size=8, unique=True))
def test_up_to_eight_arms_all_look_different_and_a_rule_has_its_colour(labels):
    found = looks(labels)
    assert len({(look["color"], str(look["linestyle"])) for look in found}) == len(labels)
    assert [look["color"] for look in found] == [colour_of(split(label)[0]) for label in labels]
    assert [look["label"] for look in found] == [figures.ROLES.get(label, label) for label in labels]


def test_many_rules_still_have_a_look():
    assert len(looks([f"rule {i}" for i in range(100)])) == 100
    assert len({colour_of(f"rule {i}") for i in range(100)}) == 10


# ---------------------------------------------------------------- what every figure keeps to


@st.composite
def made_up(draw):
    """Results of any arms, epochs and seeds, some without cosines, some with numbers of callbacks."""
    labels = draw(st.lists(names, min_size=1, max_size=20, unique=True))
    epochs, seeds = draw(st.integers(1, 40)), draw(st.integers(1, 3))
    extra = draw(st.lists(st.sampled_from(["length", "a long name " * 6, "$x$"]), max_size=3, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    level = draw(st.sampled_from([1e-3, 0.5, 1.0]))  # curves may end at one place
    runs = []
    for label in labels:
        silent, length = draw(st.booleans()), draw(st.integers(1, epochs))
        for seed in range(seeds):
            runs.append(a_run(label, seed, (1 - level * rng.random(length)).tolist(),
                              [None if silent else float(2 * rng.random() - 1) for _ in range(length)]))
            for record in runs[-1]["history"]:
                record.update({name: float(rng.normal()) for name in extra})
    return some_results(*runs, model=draw(st.sampled_from(["mlp:8,8", "mlp:" + ",".join(["1024"] * 40)])))


def check_figure(figure):
    """What every figure over epochs keeps to; returns its curves by panel."""
    check_texts(figure)
    found = []
    for axes in figure.axes:
        assert axes.has_data(), axes.get_title()
        curves = [line for line in axes.lines if line.get_label()[0] != "_"]
        assert len(curves) <= plots.MOST_CURVES
        seen = {(line.get_color(), str(line._unscaled_dash_pattern), line.get_linestyle()) for line in curves}
        assert len(seen) == len(curves), axes.get_title()
        if curves:
            low, high = axes.get_xlim()
            assert all(tick == round(tick) for tick in axes.get_xticks() if low <= tick <= high)
            assert axes.get_legend() is None
        for box in figure.legends:
            assert not box.get_window_extent().overlaps(axes.bbox)
        found.append(curves)
    return found


WIDE = [a_run("activity", seed, [accuracy], [0.9]) for seed, accuracy in enumerate([0.99948818, 0.99985584])]
LONG = a_run("adaptive-dfa", 0, [0.99936304], [-0.46])
LONG["history"][0].update({"length": 0.64, "a long name " * 6: 0.1})


@pytest.mark.slow
@settings(max_examples=6)
@given(made_up())
@example(some_results(*WIDE))  # numbers at an axis that differ in the fifth digit
@example(some_results(LONG))
@example(some_results(*(a_run(f"rule {i}", 0, [0.5, 0.6, 0.7], [None if i else 0.5] * 3) for i in range(11))))
def test_every_figure_of_a_comparison_can_be_read(found):
    figure = draw(found)
    panels = check_figure(figure)
    labels = list(results.by_rule(found))
    epochs = max(len(run["history"]) for run in found["runs"])
    aligned = any(run["history"][i]["alignment_at_a"][0] is not None for run in found["runs"]
                  if split(run["rule"])[0] != "bp" for i in range(len(run["history"])))
    extra = len(results.recorded(found["runs"]))
    parts = 1 if epochs <= 2 else len(plots.groups(labels))
    groups = [labels] if parts == 1 else plots.groups(labels)
    silent = sum(all(record["alignment_at_a"][0] is None for run in found["runs"] if run["rule"] in group
                     for record in run["history"]) for group in groups)  # no panel that would be empty
    assert len(figure.axes) == parts * (1 + aligned + extra) - aligned * silent
    shown = {}
    for curves in panels:
        for line in curves:
            shown.setdefault(line.get_label(), set()).add(to_hex(line.get_color()).upper())
    assert shown == ({} if epochs <= 2 else {figures.ROLES.get(label, label): {colour_of(split(label)[0])}
                                             for label in labels if label[0] != "_"})
    number = len({run["seed"] for run in found["runs"]})
    title = " ".join(figure.get_suptitle().split()).removesuffix(" (ring: after epoch 1)")
    assert title.endswith(", 1 seed" if number == 1 else f" of {number} seeds")


@pytest.mark.slow
@settings(max_examples=5)
@given(st.lists(names.filter(lambda name: name[0] != "_"), min_size=1, max_size=20, unique=True), st.integers(1, 4))
def test_a_sweep_has_the_same_colours_and_as_many_curves_a_panel(labels, rates):
    search = [{"label": label, "settings": {"lr": 0.1**i}, "runs": [{"seed": 0, "validation_accuracy": 1 / (i + j)}]}
              for j, label in enumerate(labels) for i in range(1, rates + 1)]
    figure = show.draw({"config": {"data": "digits", "model": "mlp:8"}, "search": search})
    assert len(figure.axes) == len(plots.groups(labels))
    check_texts(figure)
    for axes in figure.axes:
        curves = [line for line in axes.lines if line.get_label()[0] != "_"]
        assert 1 <= len(curves) <= plots.MOST_CURVES
        by_label = {figures.ROLES.get(label, label): label for label in labels}
        for line in curves:
            assert line.get_color() == colour_of(split(by_label[line.get_label()])[0])


def test_settings_without_an_order_have_marks_instead_of_lines():
    labels = ["bp", "fa", "spsa", "pepita"]  # three of one colour
    search = [{"label": label, "settings": {"optimizer": name}, "runs": [{"seed": 0, "validation_accuracy": 0.5}]}
              for label in labels for name in ("adam", "sgd")]
    axes, = show.draw({"config": {"data": "digits", "model": "mlp:8"}, "search": search}).axes
    curves = [line for line in axes.lines if line.get_label()[0] != "_"]
    assert {line.get_linestyle() for line in curves} == {"None"}
    assert len({(line.get_color(), line.get_marker()) for line in curves}) == len(labels)


STORED = sorted(path for path in Path(__file__).parents[1].glob("docs/results/**/*.json")
                if path.with_suffix(".png").exists())


@pytest.mark.slow
@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_every_stored_result_has_a_figure_that_can_be_read(path):
    figure = papers.draw(results.read(path))
    check_texts(figure)
    for axes in figure.axes:
        assert axes.has_data()
        assert len([line for line in axes.lines if line.get_label()[0] != "_"]) <= plots.MOST_CURVES
    pixels = figure.get_size_inches() * 150
    assert np.all(np.abs(pixels - png_size(path.with_suffix(".png"))) < 15), "draw it again: nobackprop plot"


def png_size(path):
    """Width and height of a PNG, which stand in its header."""
    return np.frombuffer(path.read_bytes()[16:24], ">u4").astype(float)


def test_the_names_at_the_ends_keep_their_order_and_stay_in_the_panel():
    axes = plots.Figure(layout="constrained").subplots()
    arms = looks(["r0", "r1", "r2", "r3", "_r4", "r5"])
    for height, look in zip([0.99, 0.98, 0.97, 0.5, 0.0, 0.01], arms, strict=True):
        axes.plot([1, 2], [0.3, height], **look)
    axes.set(xlim=(1, 2), ylim=(0, 1))
    figures.ends(axes, arms)
    height = {text.get_text(): text.xy[1] for text in axes.texts}
    assert sorted(height, key=height.get) == ["_r4", "r5", "r3", "r2", "r1", "r0"]
    assert min(height.values()) >= 0 and max(height.values()) <= 1
    assert_close(np.array(height["r3"]), np.array(0.5))
    check_texts(axes.figure)
    # before each name a piece of its own curve, with the colour and the dashes
    samples = {float(one.get_segments()[0][0][1]): one for one in axes.collections}
    assert sorted(samples) == sorted(height.values())
    for look in arms:
        sample = samples[height[look["label"]]]
        assert to_hex(sample.get_colors()[0]).upper() == look["color"]
        assert (sample.get_linestyles()[0][1] is None) == (look["linestyle"] == "-")


def test_a_rule_of_ones_own_has_its_short_name_and_the_colour_of_its_long_one():
    long = "nobackprop.experiments.papers.las:DenseBlocksDFA"
    figure = draw(some_results(*(a_run(rule, 0, [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]) for rule in ("bp", long))))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["bp (ceiling)", "DenseBlocksDFA"]
    assert figure.axes[0].lines[1].get_color() == colour_of(long)


@pytest.mark.slow
def test_losses_over_passes_have_their_rules_colours_and_a_legend_below(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(figures, "write", lambda figure, path: kept.append(figure))
    trace = gradient_free.Trace([1, 10, 100], [2.0, 1.0, 0.2], 1.0)
    gradient_free.draw([{"parameters": size, "method": method, "traces": [trace, trace]}
                        for size in (40, 76) for method in ("bp", "spsa", "cobyla")], tmp_path / "a.png")
    figure, = kept
    check_texts(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["bp (ceiling)", "spsa", "cobyla"]
    for axes in figure.axes:
        assert [line.get_color() for line in axes.lines[:4:2]] == [COLOURS["bp"], COLOURS["spsa"]]


# ---------------------------------------------------------------- texts stay inside, and apart


def texts(figure):
    """Every text of a figure that is seen, with its box."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    seen = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        seen += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        seen += axes.get_legend().get_texts() if axes.get_legend() else []
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            seen += [tick.label1 for tick in axis.get_major_ticks()
                     if low <= tick.get_loc() <= high and tick.label1.get_visible()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in seen if text.get_text()]


def check_texts(figure):
    """All texts are inside the figure, and none covers another."""
    boxes = texts(figure)
    for i, (name, box) in enumerate(boxes):
        assert 0 <= box.x0 and box.x1 <= figure.bbox.width and 0 <= box.y0 and box.y1 <= figure.bbox.height, name
        for other, another in boxes[:i]:
            assert not box.overlaps(another), (name, other)
    return [name for name, _ in boxes]


def of_length(length, count, letters="asap:k=4:plan=published:match=random"):
    """So many different names of that many letters."""
    return [f"{i}:{letters * length}"[:length] for i in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("rules", [
    *(of_length(length, count) for length in (30, 60) for count in (1, 2, 6, 7, 8)), of_length(45, 5),
    of_length(60, 6, "W"), of_length(60, 6, "i"), of_length(400, 3, "W"), ["bp", *of_length(60, 1)],
    MANY[:8], ["bp"]])
def test_a_legend_of_long_names_is_inside_the_figure_and_below_the_panels(rules):
    figure = draw(some_results(*(a_run(rule, seed, [0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
                                 for rule in rules for seed in (0, 1)), model="mlp:1024,1024,5120,1024,1024"))
    check_texts(figure)
    legend, = figure.legends
    box = legend.get_window_extent()
    assert 0 <= box.x0 and box.x1 <= figure.bbox.width and 0 <= box.y0
    assert len(legend.get_texts()) == len(rules)
    for axes in figure.axes:
        assert axes.bbox.height > 0.5 * figure.bbox.height or axes.bbox.height >= 280
        assert axes.get_tightbbox().y0 >= box.y1
    # read by columns, each name stands next to its own line
    for look, line, text in zip(looks(rules), legend.get_lines(), legend.get_texts(), strict=True):
        assert line.get_color() == look["color"]
        if len(look["label"]) <= 60:
            assert text.get_text() == look["label"]


@pytest.mark.slow
@pytest.mark.parametrize("rules", [of_length(60, 40), of_length(400, 12, "W"), MANY, of_length(30, 9)])
@pytest.mark.parametrize("epochs", [1, 3])
def test_names_next_to_the_curves_or_the_rows_are_inside(rules, epochs):
    runs = [a_run(rule, 0, [0.5] * epochs, [0.1] * epochs) for rule in rules]
    check_texts(draw(some_results(*runs, model="mlp:1024,1024,5120,1024,1024")))


@pytest.mark.slow
def test_a_legend_has_as_many_columns_as_fit():
    def columns(rules):
        legend, = draw(some_results(*(a_run(rule, 0, [0.1] * 3, [0.1] * 3) for rule in rules))).legends
        return legend._ncols

    assert [columns(of_length(5, count)) for count in (1, 3, 6, 7)] == [1, 3, 6, 4]
    assert 1 < columns(of_length(30, 6)) < 6 and columns(of_length(90, 6, "W")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp:" + ",".join(["1024"] * count) for count in (1, 20, 40, 100, 1000)] + [
    "W" * 30, "W" * 500, "two words " * 20, "x" * 10**6])
def test_a_title_is_inside_the_figure_whatever_the_model_is_called(model):
    figure = draw(some_results(a_run("las", 0, [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]), model=model))
    check_texts(figure)
    lines = figure.get_suptitle().splitlines()
    assert len(lines) <= 3 and lines[0].startswith("digits,")
    whole = f"digits, {model}, 1 seed"
    if "…" not in lines[-1]:
        assert "".join(figure.get_suptitle().split()) == "".join(whole.split())
    assert ("…" in lines[-1]) == (len(whole) > 300)


@pytest.mark.parametrize("rules", [("bp", "al"), ("bp", "al", "dtp"), ("bp", "mostafa", "predsim", "phsic", "asap")])
@pytest.mark.parametrize("networks", [2, 3, 5, 7])
def test_the_arms_of_a_network_share_a_panel_with_their_own_ceiling(rules, networks):
    labels = [f"{rule}, net{i}" for i in range(networks) for rule in rules]
    found = plots.groups(labels)
    assert sum(found, []) == labels and all(len(group) <= 8 for group in found)
    assert all(f"bp, {label.partition(', ')[2]}" in group for group in found for label in group)


def test_no_panel_has_more_than_eight_curves():
    rules = ("bp", "fa", "kp", "las", "ltas", "dfa", "al", "dtp", "ff")
    labels = [f"{rule}, net{i}" for i in range(2) for rule in rules]
    found = plots.groups(labels)
    assert sum(found, []) == labels and all(len(group) <= 8 for group in found)


def test_a_ceiling_that_all_share_is_in_every_panel():
    found = plots.groups(["bp", *(f"las, {i}" for i in range(12))])
    assert len(found) == 2 and all(group[0] == "bp" for group in found)


@pytest.mark.parametrize("before", range(40, 120, 4))
def test_a_title_is_broken_between_words_if_there_are_some(before):
    run = a_run("las", 0, [0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    figure = draw(some_results(run, model=f"{'x' * before}, resnet18:0.125"))
    assert any("resnet18:0.125" in line for line in figure.get_suptitle().splitlines())


def test_what_is_too_long_keeps_its_start_and_its_end():
    legend, = draw(some_results(a_run(f"start{'W' * 500}end", 0, [0.1] * 3, [0.1] * 3))).legends
    text, = legend.get_texts()
    first, last = text.get_text().split("…")
    assert first.startswith("startW") and last.endswith("Wend") and len(first) > len(last) > 10


NAMES = [["$"], ["$a$", "$b$"], [r"\$x$", "$\\frac{$"], ["_hidden", "__"], ["a b", " "]]


@pytest.mark.slow
@pytest.mark.parametrize("rules", [*NAMES, [f"${i}$ {'x' * 50}" for i in range(7)]])
def test_names_are_shown_as_they_stand(rules):
    figure = draw(some_results(*(a_run(rule, 0, [0.1] * 3, [0.1] * 3) for rule in rules), data="d$x$", model="$y_1$"))
    figure.savefig(io.BytesIO(), dpi=20)
    shown = [*figure.legends[0].get_texts(), figure._suptitle]
    assert [text.get_text() for text in shown] == [*rules, "d$x$, $y_1$, 1 seed"]
    assert not any(text.get_parse_math() for text in shown)


@pytest.mark.slow
@pytest.mark.parametrize("rules", NAMES)
@pytest.mark.parametrize("epochs", [1, 3])
def test_names_next_to_rows_and_curves_are_shown_as_they_stand(rules, epochs):
    others = [f"{i}$" for i in range(9)]
    figure = draw(some_results(*(a_run(rule, 0, [0.1] * epochs, [0.1] * epochs) for rule in rules + others)))
    figure.savefig(io.BytesIO(), dpi=20)
    shown = ([label.get_text() for label in figure.axes[0].get_yticklabels()] if epochs == 1 else
             [text.get_text() for axes in figure.axes[::2] for text in axes.texts])
    assert sorted(shown) == sorted(rules + others)


@pytest.mark.slow
def test_a_sign_that_the_font_lacks_is_shown_by_its_number():
    rules = ["\u65e5\u672c", "\u00e9\u03b4", "a\nb\0\ud800"]
    figure = draw(some_results(*(a_run(rule, 0, [0.1] * 3, [0.1] * 3) for rule in rules)))
    figure.savefig(io.BytesIO(), dpi=20)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        r"\u65e5\u672c", "\u00e9\u03b4", r"a\nb\x00\ud800"]


@pytest.mark.slow
def test_more_rules_than_a_figure_can_show_are_refused():
    runs = [a_run(f"rule {i}", 0, [0.1], [0.1]) for i in range(plots.MOST_RULES + 1)]
    with pytest.raises(InputError, match="^got results of 201 rules, expected at most 200 in a figure$"):
        draw(some_results(*runs))
    check_texts(draw(some_results(*runs[1:])))


@pytest.mark.slow
@pytest.mark.parametrize("name", EXHIBITS)
def test_no_text_of_an_exhibit_leaves_its_figure(name):
    found = exhibit_results(name, seeds=(0, 1))
    found["config"] |= {"data": "a long name of a data set " * 10, "model": "mlp:1024," * 40}
    found["environment"] = {}
    check_texts(papers.draw(found))


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["asap", "asap:plan=published:match=random", "as"])
@pytest.mark.parametrize("model", ["mlp:8,8", "mlp:" + ",".join(["8"] * 60)])
def test_no_text_of_the_memory_leaves_its_figure(rule, model):
    result = memory.measure(model, "digits", rule, k=3, batch_size=2)
    figure = memory.draw(result)
    shown = check_texts(figure)
    columns = result["columns"]
    assert [name for name in ("bp", "asap:k=2", "as:k=2") if name in shown] == [
        "bp", *([f"{rule}:k=2"] if rule in ("asap", "as") else [])]
    assert figure.axes[0].yaxis_inverted()
    counted, both, held = figure.axes
    for axes, key in ((counted, "accesses"), (both, "accesses_both_sets")):
        widths = [bar.get_width() * 1e6 for bar in axes.patches]
        assert_close(np.array(widths), np.array([column[key][kind] for kind in ("read", "written")
                                                 for column in columns.values()], float))
        starts = [bar.get_x() * 1e6 for bar in axes.patches]
        assert_close(np.array(starts), np.array([0] * len(columns) + widths[:len(columns)], float), of=max(widths))
    assert_close(np.array([bar.get_width() * 1e6 for bar in held.patches]),
                 np.array([column["total_bytes"] for column in columns.values()], float))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["read", "written"]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp:8,8", "mlp:" + ",".join(["1024"] * 60)])
def test_no_text_of_the_pipeline_leaves_its_figure(model):
    stations = [{"ms": 1.0, "worker": 0}, {"ms": 2.0, "worker": 1}]
    rates = dict.fromkeys(("pipeline", "sequential"), 3.0)
    figure = throughput.draw({"rule": "al:error=sum", "model": model, "workers": 2, "stations": stations,
                              "steps_per_second": rates, "points": {"mini_batches": [1, 2], "pipeline": [1e-3, 2e-3],
                                                                    "sequential": [2e-3, 4e-3]}})
    assert [name for name in check_texts(figure) if name.startswith("al:")][0].startswith("al:error=sum, mlp:")


# ---------------------------------------------------------------- files


def test_a_figure_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_text("old")

    def fail(figure, partial, **kwargs):
        partial.write_text("half")
        raise ZeroDivisionError

    monkeypatch.setattr(plots.Figure, "savefig", fail)
    with pytest.raises(ZeroDivisionError):
        plots.save(FULL, path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["figure", "figure.jpg", "figure.png.txt", ".png"])
def test_other_endings_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="expected a name that ends in .png, .svg, .pdf"):
        plots.save(FULL, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_figure_reaches_to_the_end_of_its_longest_run():
    runs = a_run("las", 0, [0.2], [0]), a_run("las", 1, [0.4, 0.5, 0.6], [0, 0, 0]), a_run("bp", 0, [0.4, 0.5], [1, 1])
    assert [axes.get_xlim() for axes in draw(some_results(*runs)).axes] == [(1, 3)] * 2


@pytest.mark.parametrize("most, rules, what", [(3, 3, "mean and range"), (3, 4, "mean"), (2, 1, "mean and range")])
def test_the_title_promises_ranges_if_there_are_bands(monkeypatch, most, rules, what):
    monkeypatch.setattr(plots, "MOST_CURVES", most)
    runs = [a_run(f"rule {i}", seed, [0.1 * seed, 0.5, 0.5], [0.1 * seed, 0.5, 0.5]) for i in range(rules)
            for seed in (0, 1)]
    figure = draw(some_results(*runs))
    assert figure.get_suptitle() == f"digits, mlp:8,8, {what} of 2 seeds"
    bands = [sum(isinstance(one, FillBetween) for one in axes.collections) for axes in figure.axes]
    assert bands == ([rules] * 2 if "range" in what else [0] * 4)


def test_of_many_rules_the_ceiling_and_the_floor_are_in_every_panel():
    labels = ["bp", *(f"rule {i}" for i in range(13)), "shallow"]
    panels = draw(some_results(*(a_run(label, 0, [0.1] * 3, [0.1] * 3) for label in labels))).axes
    assert [[line.get_label() for line in axes.lines] for axes in panels[::2]] == [
        ["bp (ceiling)", "shallow (floor)", *(f"rule {i}" for i in part)]
        for part in (range(5), range(5, 10), range(10, 13))]
    assert len({axes.get_ylim() for axes in panels[::2]}) == 1  # the same scale everywhere


def test_as_many_rules_as_there_may_be_are_drawn_and_one_more_is_refused(monkeypatch):
    monkeypatch.setattr(plots, "MOST_RULES", 3)
    runs = [a_run(f"rule {i}", 0, [0.1, 0.5, 0.5], [0.1, 0.5, 0.5]) for i in range(4)]
    assert len(draw(some_results(*runs[:3])).axes[0].lines) == 3
    with pytest.raises(InputError, match="got results of 4 rules, expected at most 3 in a figure"):
        draw(some_results(*runs))
