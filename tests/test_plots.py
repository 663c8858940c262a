"""The figure, judged by the data in it: lines and bands are what results.json says."""
from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from records import exhibit_results
from tolerance import assert_close

from nobackprop.errors import InputError
from nobackprop.experiments import papers, plots
from nobackprop.experiments.papers import EXHIBITS
from nobackprop.experiments.plots import STYLES, draw, looks
from nobackprop.studies import memory
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
    *(of_length(length, count) for length in (30, 60) for count in (1, 2, 6, 7)), of_length(45, 5), of_length(45, 13),
    of_length(60, 40),
    of_length(60, 6, "W"), of_length(60, 6, "i"), of_length(400, 3, "W"), ["bp", *of_length(60, 1)],
    MANY, ["bp"], list(STYLES)])
def test_a_legend_of_long_names_is_inside_the_figure_and_below_the_panels(rules):
    figure = draw(some_results(*(a_run(rule, seed, [0.1, 0.2], [0.1, 0.2]) for rule in rules for seed in (0, 1)),
                               model="mlp:1024,1024,5120,1024,1024"))
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
def test_a_legend_has_as_many_columns_as_fit():
    def columns(rules):
        legend, = draw(some_results(*(a_run(rule, 0, [0.1], [0.1]) for rule in rules))).legends
        return legend._ncols

    assert [columns(of_length(5, count)) for count in (1, 3, 6, 7, 12, 13)] == [1, 3, 6, 4, 6, 5]
    assert 1 < columns(of_length(30, 6)) < 6 and columns(of_length(90, 6, "W")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp:" + ",".join(["1024"] * count) for count in (1, 20, 40, 100, 1000)] + [
    "W" * 30, "W" * 500, "two words " * 20, "x" * 10**6])
def test_a_title_is_inside_the_figure_whatever_the_model_is_called(model):
    figure = draw(some_results(a_run("bp", 0, [0.1, 0.2], [0.1, 0.2]), model=model))
    check_texts(figure)
    lines = figure.get_suptitle().splitlines()
    assert len(lines) <= 3 and lines[0].startswith("digits,")
    whole = f"digits, {model}, 1 seed"
    if "…" not in lines[-1]:
        assert "".join(figure.get_suptitle().split()) == "".join(whole.split())
    assert ("…" in lines[-1]) == (len(whole) > 300)


def test_what_is_too_long_keeps_its_start_and_its_end():
    legend, = draw(some_results(a_run(f"start{'W' * 500}end", 0, [0.1], [0.1]))).legends
    text, = legend.get_texts()
    first, last = text.get_text().split("…")
    assert first.startswith("startW") and last.endswith("Wend") and len(first) > len(last) > 10


@pytest.mark.slow
@pytest.mark.parametrize("rules", [["$"], ["$a$", "$b$"], [r"\$x$", "$\\frac{$"], ["_hidden", "__"], ["a b", " "],
                                   [f"${i}$ {'x' * 50}" for i in range(7)]])
def test_names_are_shown_as_they_stand(rules):
    figure = draw(some_results(*(a_run(rule, 0, [0.1], [0.1]) for rule in rules), data="d$x$", model="$y_1$"))
    figure.savefig(io.BytesIO(), dpi=20)
    shown = [*figure.legends[0].get_texts(), figure._suptitle]
    assert [text.get_text() for text in shown] == [*rules, "d$x$, $y_1$, 1 seed"]
    assert not any(text.get_parse_math() for text in shown)


@pytest.mark.slow
def test_a_sign_that_the_font_lacks_is_shown_by_its_number():
    rules = ["\u65e5\u672c", "\u00e9\u03b4", "a\nb\0\ud800"]
    figure = draw(some_results(*(a_run(rule, 0, [0.1], [0.1]) for rule in rules)))
    figure.savefig(io.BytesIO(), dpi=20)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        r"\u65e5\u672c", "\u00e9\u03b4", r"a\nb\x00\ud800"]


@pytest.mark.slow
def test_more_rules_than_a_legend_can_show_are_refused():
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
