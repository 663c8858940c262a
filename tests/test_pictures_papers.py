"""The pictures of the papers' notebooks: nothing is cut, no text lies on another, no legend on a line."""
import json
import re
from pathlib import Path

import numpy as np
import pytest
from test_plots import check_texts
from tolerance import assert_close

import nobackprop as nb
from nobackprop import figures
from nobackprop.errors import InputError
from nobackprop.figures import COLOURS, looks
from nobackprop.heads import ConvHead
from nobackprop.pictures import associated_learning, field, frame, las, locality, sharing
from nobackprop.rules import RULES
from nobackprop.studies.locality import measured
from nobackprop.studies.locality.pages import COLUMNS, entries
from nobackprop.studies.memory import measure

TIMES = np.linspace(0, 12, 601)
FALL = np.exp(-TIMES)


def values(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


@pytest.fixture(scope="module")
def runs():
    """Two short runs of each of six rules."""
    data = nb.data.load("xor")
    net = nb.models.build("mlp:8,8,8", data.shape, data.classes, "tanh")
    return {name: [nb.fit(net, name, data, nb.Settings(epochs=2), seed) for seed in range(2)]
            for name in ("bp", "shallow", "fa", "dfa", "las", "ltas")}


@pytest.fixture(scope="module")
def rows():
    """What all rules read."""
    return {name: measured(rule) for name, rule in RULES.items()}


SIX = ("bp", "shallow", "fa", "dfa", "las", "ltas")
PICTURES = {
    "las.errors": lambda: las.errors(values(20, 10), np.eye(10)[[3] * 20], values(20, 10) - 0.5),
    "las.flow": lambda: las.flow(TIMES, (1.5 * FALL, FALL - 1), [(FALL, FALL)] * 8),
    "las.module": lambda: las.module(50 / np.arange(1, 500), 0.05, values(9, 10), values(9, 10), values(9, 10)),
    "las.signs": lambda: las.signs(2.0 ** np.arange(60), 0.9 ** np.arange(60), [2.0 ** np.arange(60)]),
    "las.classifiers": lambda: las.classifiers({"las": values(15), "ltas": values(15)},
                                               {"las": values(15), "ltas": values(15)}),
    "las.convolution": lambda: las.convolution(values(10, 9), [ConvHead(3, 1, 1), ConvHead(3, 2, 1)], 8),
    "las.conditions": lambda: las.conditions({name: (FALL, FALL, rest) for name, rest in (
        ("full rank, 0.9 of the bound", None), ("1.02 of the bound", None), ("S of rank 3 in 6 dimensions", 0.5))}),
    "las.figure_4": lambda: las.figure_4({title: {name: values(3, 40, seed=i) for i, name in enumerate(SIX[3:])}
                                          for title in ("B starts at the product of the weights (paper)", "other")}),
    "sharing.updates": lambda: sharing.updates({name: (values(4, 5), values(4, 5)) for name in ("fa", "foa")}),
    "sharing.proof": lambda: sharing.proof(TIMES, [FALL] * 8, FALL**0.5, {"r": 1 - FALL, "K": 0 * FALL}, FALL, FALL,
                                           (TIMES / 3, 9 * FALL, 5.0, 0.0)),
    "sharing.from_zero": lambda: sharing.from_zero(
        {f"$s$ = {s}": ((TIMES, 1 - FALL), (TIMES[::20], 1 - FALL[::20])) for s in (5.2, 5.1)},
        dict.fromkeys(("C of rank 3", "C blind to T"), ((TIMES, FALL), (TIMES[::20], FALL[::20]), 0.0))),
    "sharing.angles": lambda: sharing.angles({name: 60 + 30 * values(3, 21, 3) for name in ("linear", "batch-norm")}),
    "sharing.plans": lambda: sharing.plans({f"{name}, k = 2": (0, 1, 1, 1, 3, 3, 5, 5, 7, 7)
                                            for name in ("algorithm", "published")}, [False] * 8 + [True] * 2),
    "sharing.matched": lambda: sharing.matched({"the activity,\n8 x 8 x 4": values(8, 8, 4),
                                                "max: method 1,\n4 x 4 x 8": values(4, 4, 8)}),
    "sharing.meeting": lambda: sharing.meeting({rf"$\lambda$ = {k}": (FALL**k, FALL**k, 1 - FALL) for k in range(4)},
                                               dict.fromkeys(("sgd, lr 0.05", "adam, lr 0.003"), (FALL, FALL))),
    "sharing.driven": lambda: sharing.driven({"asap": FALL, "asfp": FALL**0.5}, FALL**0.1),
    "sharing.shortcuts": lambda: sharing.shortcuts(values(60, 2), 2 * values(200, 2) - 1,
                                                   {name: (values(15), values(15)) for name in ("above", "within")}),
    "sharing.worth": lambda: sharing.worth({name: values(2, 3) for name in ("bp", "shallow", "kp", "asap")},
                                           (0, 0.3, 1, 3), {"bp": values(4, 3), "asap:train_first=yes": values(4, 3)}),
    "sharing.accesses": lambda: sharing.accesses(measure("mlp:8,8,8,8", "digits", "asap", batch_size=2)),
    "al.fold": lambda: associated_learning.fold((64, 64, 32, 128, 32, 64, 10), 2),
    "al.fold, one": lambda: associated_learning.fold((784, 1024, 512, 1024, 10), 1),
    "al.codes": lambda: associated_learning.codes(
        {kind: {name: values(30, 2) for name in ("stopped", "without")} for kind in ("true labels", "shuffled labels")},
        {name: values(30) for name in ("stopped", "without")}),
    "al.independence": lambda: associated_learning.independence({"the losses as functions": np.tril(values(3, 3)),
                                                                 "what is descended (4.7)": np.eye(3)}),
    "al.learning": lambda: associated_learning.learning(
        {f"$|b_{i}(s_{i})-t_{i}|^2$": values(30) for i in range(4)}, {f"$t'_{i}-t_{i}$": values(30) for i in range(3)},
        {"al": values(30), "bp": values(30)}),
    "al.components": lambda: associated_learning.components({n: values(3, n) for n in (1, 2, 3)}),
    "al.chart": lambda: associated_learning.chart([[(k + i, k + i + 1) for i in range(9)] for k in range(3)],
                                                  [1, 1, 2], 2),
    "al.speed": associated_learning.speed,
    "al.layers": lambda: associated_learning.layers({name: {f"$s_{i}$": values(50, 2) for i in range(4)}
                                                     for name in ("bp", "al")}, np.arange(50) % 10),
    "al.distances": lambda: associated_learning.distances(
        ["$x$", "$s_1$", "$s_2$", "bridge", "$t'_2$", "$t'_1$", "output"],
        {name: values(3, 7) for name in ("bp", "al", "bp, sigmoid")},
        {name: (values(7), values(7)) for name in ("bp", "al", "bp, sigmoid")}),
    "field.landscape": lambda: field.landscape(
        (np.linspace(-1, 1, 30),) * 2, {name: values(30, 30) for name in ("weak weight", "strong weight")},
        {name: {way: values(9, 2) for way in ("free", "pushed up", "pushed hard")}
         for name in ("weak weight", "strong weight")}, ("s_1", "s_2")),
    "field.inference": lambda: field.inference({rf"$\gamma={g}$": 500 * values(40, seed=i)
                                                for i, g in enumerate((0.02, 0.1, 0.5))}, values(13, 3)),
    "field.coins": lambda: field.coins(range(1, 25), {f"k = {k} above": np.ones(24) for k in range(4)},
                                       {f"k = {k} above": np.ones(24) for k in range(4)}, [0.4, 0.2, 0.1, 0.05],
                                       {"pc": np.array([8.0, 4, 2, 1]), "pc-centred": np.array([64.0, 16, 4, 1])}),
    "field.settling": lambda: field.settling({"states, norm 0.8": values(31, 8), "states, norm 2.4": values(31, 8)},
                                             [0.4, 0.2, 0.1, 0.05], [0.16, 0.04, 0.01, 0.0025]),
    "field.chords": lambda: field.chords(dict.fromkeys(("relu", "tanh"), ((1.2, 1.6), (0.6, 2.8))),
                                         {"relu": (TIMES - 3, np.maximum(TIMES - 3, 0)),
                                          "tanh": (TIMES - 3, np.tanh(TIMES - 3))}, np.geomspace(1e-6, 100, 17),
                                         {"relu": np.geomspace(1e-9, 1, 17), "tanh": np.geomspace(1e-9, 1, 17)}),
    "field.goodness": lambda: field.goodness({f"block {i}, after 15 epochs": (4 + values(180), 3 + values(180))
                                              for i in (1, 2, 3, 4)}, 4.0),
    "field.variance": lambda: field.variance([1, 4, 16, 64, 256], [40.0, 10, 2.5, 0.6, 0.15]),
    "field.winners": lambda: field.winners(values(16, 8, 8), 1 + values(30, 16)),
}


def legends_lie_on_nothing(figure):
    """In a figure that has been laid out, no legend covers a point of a line or leaves its panel on a side."""
    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is None:
            continue
        box = legend.get_window_extent()
        assert axes.bbox.containsx(box.x0) and axes.bbox.containsx(box.x1)
        for line in axes.lines:
            points = axes.transData.transform(np.array(line.get_xydata(), float))
            ends = np.linspace(0, 1, 20)[:, None, None]
            between = (points[:-1] * (1 - ends) + points[1:] * ends).reshape(-1, 2)
            seen = between[np.isfinite(between).all(1)]
            assert not box.count_contains(seen), (axes.get_title(), line.get_label())


def check(figure):
    told = check_texts(figure)
    figure.set_layout_engine("none")  # its panels have their places
    assert figure._repr_png_().startswith(b"\x89PNG")
    legends_lie_on_nothing(figure)
    for axes in figure.axes:
        drawn = axes.lines or axes.collections or axes.images or axes.patches or axes.texts
        # a picture in a grid may have fewer planes than there are columns
        assert drawn or not axes.axison or axes.get_xticks().size == 0, "an empty panel"
        assert len([line for line in axes.lines if not str(line.get_label()).startswith("_")]) <= 8
    return told


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_nothing_of_a_picture_is_cut_or_covered(name):
    check(PICTURES[name]())


@pytest.mark.slow
def test_pictures_of_runs_draw_each_rule_in_its_colour(runs):
    figure = las.alignment({name: both[0] for name, both in runs.items() if name != "shallow"})
    check(figure)
    for axes, name in zip(figure.axes, [name for name in SIX if name != "shallow"]):
        assert {line.get_color() for line in axes.lines} == {COLOURS[name]} and name in axes.get_title()
        assert [text.get_text() for text in axes.texts] == [rf"$\delta_{i}$" for i in (1, 2, 3)]
    figure = las.comparison(runs)
    told = check(figure)
    left, right = figure.axes
    assert [line.get_color() for line in left.lines] == [look["color"] for look in looks(list(SIX))]
    assert len(right.lines) == 5 and told.count("shallow (floor)") == 1
    first = [[record["validation_accuracy"] for record in run.history] for run in runs["las"]]
    assert_close(np.asarray(left.lines[4].get_ydata(), float), np.mean(first, 0))


# ---------------------------------------------------------------- what rules read


@pytest.mark.slow
def test_the_table_has_every_rule_once_in_the_row_of_its_entries(rows):
    figure = locality.table(rows)
    check(figure)
    axes, = figure.axes
    shown = [text.get_text() for text in axes.texts]
    labels = [re.split(r",\s*", label.get_text()) for label in axes.get_yticklabels()]
    assert sorted(name for names in labels for name in names) == sorted(RULES)
    for number, names in enumerate(labels):
        for name in names:
            assert tuple(shown[5 * number:5 * number + 5]) == entries(rows[name]), name
    assert [label.get_text() for label in axes.get_xticklabels()] == list(COLUMNS)
    counts = [sum(locality._counts(rows[names[0]])) for names in labels]
    assert counts == sorted(counts, reverse=True)


def test_spoilt_gradients_are_a_panel_for_each_rule():
    figure = locality.spoilt({"bp": np.triu(np.ones((4, 5)), 1) > 0, "fa": np.zeros((4, 5), bool)})
    check(figure)
    assert [int(axes.collections[0].get_array().sum()) for axes in figure.axes] == [10, 0]


def test_diagrams_stand_side_by_side_and_in_rows():
    drawing = locality.diagrams("bp", "fa", "dfa", "las", columns=2)
    places = re.findall(r'<svg x="(\d+)" y="(\d+)"', drawing._repr_svg_())
    assert [tuple(map(int, place)) for place in places][:2] == [(0, 0), (456, 0)]
    assert places[2][0] == places[0][0] and int(places[2][1]) == int(places[3][1]) > 300
    assert drawing.text.count("<svg") == drawing.text.count("</svg>") == 5
    with pytest.raises(InputError, match="unknown rule 'bq'"):
        locality.diagrams("bq")


# ---------------------------------------------------------------- names at the ends of lines


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("ends", [[0.5], [1.0] * 8, [0.0] * 8, [0.5] * 8, [0.99, 0.01, 0.5, 0.98], [0.9, 0.91, 0.89]])
def test_names_at_the_ends_are_apart_inside_the_panel_and_in_the_order_of_the_lines(ends, scale):
    figure, (axes,) = frame.titled("lines")
    for i, end in enumerate(ends):
        axes.plot([2, 1], [10**end, 1], label=f"line {i}")     # drawn from the right to the left
    axes.set(xlim=(0.9, 2), ylim=(1, 10), yscale=scale)
    figures.ends(axes)
    told = check_texts(figure)
    assert all(f"line {i}" in told for i in range(len(ends)))
    places = {text.get_text(): text.xy[1] for text in axes.texts}
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places.values())
    for i, a in enumerate(ends):
        for j, b in enumerate(ends):
            assert a <= b or places[f"line {i}"] > places[f"line {j}"]


def test_a_line_that_ends_in_nan_or_has_no_label_is_named_by_what_is_seen():
    figure, (axes,) = frame.titled("lines")
    axes.plot([1, 2, 3], [0.2, 0.4, np.nan], label="cut")
    axes.plot([1, 2, 3], [0.2, 0.4, 0.5])
    axes.plot([1, 2], [np.nan, np.nan], label="never there")
    axes.set(xlim=(1, 3), ylim=(0, 1))
    figures.ends(axes)
    assert [(text.get_text(), round(text.xy[1], 3)) for text in axes.texts] == [("cut", 0.4)]


# ---------------------------------------------------------------- the notebooks that show them

PAPERS = [path for path in sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
          if path.stem[:2] in ("03", "04", "05", "06", "09")]


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_a_notebook_says_first_what_it_is_for_and_last_what_it_ran_with(path):
    first, *rest = json.loads(path.read_text(encoding="utf-8"))["cells"]
    begin = "".join(first["source"])
    assert all(word in begin for word in ("**You will be able to**", "**Time**", "**You need**"))
    code = ["".join(cell["source"]) for cell in rest if cell["cell_type"] == "code"]
    assert "nb.__version__" in code[-1] and rest[-1]["metadata"]["tags"] == ["varies"]
    # what a cell computes is in the cell, how it is drawn is not
    assert not any(word in one for one in code for word in ("matplotlib", "plt.", ".plot(", "axes"))


def test_every_rule_that_a_notebook_trains_or_computes_by_hand_is_drawn_in_it():
    for path in PAPERS:
        code = "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
                         if cell["cell_type"] == "code")
        drawn = set(re.findall(r'"([\w-]+)"', " ".join(re.findall(r"diagrams\(([^)]*)\)", code))))
        used = {name for name in re.findall(r'(?:rules\.get\(|start\()"([\w-]+)["\:]', code) if name in RULES}
        assert used <= drawn, (path.stem, used - drawn)
