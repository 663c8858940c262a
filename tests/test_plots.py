"""The figure, judged by the data in it: lines and bands are what results.json says."""
from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tolerance import assert_close

from nobackprop import plots
from nobackprop.errors import InputError
from nobackprop.plots import STYLES, draw, looks


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


MANY = [*STYLES, *(f"a long name {i}" for i in "abcdef")]


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


def test_one_epoch_of_one_seed_is_seen():
    left, right = draw(some_results(a_run("las", 0, [0.5], [0.3]))).axes
    for axes in (left, right):
        line, = axes.lines
        assert line.get_marker() == "o" and not axes.collections
        assert axes.get_xlim() == (0.5, 1.5)
        assert [tick for tick in axes.get_xticks() if 0.5 <= tick <= 1.5] == [1]


def test_an_interrupted_run_counts_as_far_as_it_came():
    runs = a_run("las", 0, [0.2, 0.4, 0.6], [0, 0, 0]), a_run("las", 1, [0.4], [0])
    left, _ = draw(some_results(*runs)).axes
    same(lines(left), {"las": ([1, 2, 3], [0.3, 0.4, 0.6])})


def test_no_alignment_at_all_is_said():
    _, right = draw(some_results(a_run("shallow", 0, [0.2, 0.3], [None, None]))).axes
    assert not right.lines and "no rule here" in right.texts[0].get_text()


def test_where_a_block_ends_in_no_activation_its_output_counts():
    run = a_run("las", 0, [0.2, 0.3], [0.1, 0.2])
    for record in run["history"]:
        record["alignment_at_a"] = [None, 0.9]
    same(lines(draw(some_results(run)).axes[1]), {"las": ([1, 2], [0.3, 0.3])})


def test_a_network_without_hidden_blocks_draws():
    run = a_run("bp", 0, [0.2], [0.1])
    run["history"][0]["alignment_at_a"] = run["history"][0]["alignment"] = []
    assert not draw(some_results(run)).axes[1].lines


def test_every_rule_has_its_own_look_and_always_the_same_colour():
    names = [*STYLES, *(f"rule {i}" for i in range(12))]
    pairs = [(look["color"], look["linestyle"]) for look in looks(names)]
    assert len(set(pairs)) == len(names)
    assert [look["color"] for look in looks(["las", "bp"])] == [STYLES["las"][0], STYLES["bp"][0]]
    assert len(looks([f"rule {i}" for i in range(100)])) == 100


@pytest.mark.parametrize("results", [
    FULL,
    some_results(a_run("las", 0, [0.5], [0.3])),
    some_results(*(a_run(rule, 0, [0.1, 0.2], [0.1, 0.2]) for rule in MANY)),
    some_results(a_run("shallow", 0, [0.2], [None])),
])
def test_no_text_covers_another(results):
    figure = draw(results)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [*figure.texts, *figure.legends[0].get_texts()]
    assert texts[0].get_text() == figure.get_suptitle()
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_text()]
    for i, (name, box) in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, name
        for other, another in boxes[:i]:
            assert not box.overlaps(another), (name, other)


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


def test_a_figure_reaches_to_the_end_of_its_longest_run():
    runs = a_run("las", 0, [0.2], [0]), a_run("las", 1, [0.4, 0.5, 0.6], [0, 0, 0]), a_run("bp", 0, [0.4, 0.5], [1, 1])
    assert [axes.get_xlim() for axes in draw(some_results(*runs)).axes] == [(1, 3)] * 2


@pytest.mark.parametrize("most, rules, what", [(3, 3, "mean and range"), (3, 4, "mean"), (2, 1, "mean and range")])
def test_the_title_promises_ranges_if_there_are_bands(monkeypatch, most, rules, what):
    monkeypatch.setattr(plots, "MOST_BANDS", most)
    runs = [a_run(f"rule {i}", seed, [0.1 * seed, 0.5], [0.1 * seed, 0.5]) for i in range(rules) for seed in (0, 1)]
    figure = draw(some_results(*runs))
    assert figure.get_suptitle() == f"digits, mlp:8,8, {what} of 2 seeds"
    assert [len(axes.collections) for axes in figure.axes] == [rules if "range" in what else 0] * 2


def test_as_many_rules_as_there_may_be_are_drawn_and_one_more_is_refused(monkeypatch):
    monkeypatch.setattr(plots, "MOST_RULES", 3)
    runs = [a_run(f"rule {i}", 0, [0.1, 0.5], [0.1, 0.5]) for i in range(4)]
    assert len(draw(some_results(*runs[:3])).axes[0].lines) == 3
    with pytest.raises(InputError, match="got results of 4 rules, expected at most 3 in a figure"):
        draw(some_results(*runs))
