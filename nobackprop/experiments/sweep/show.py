"""What a sweep has found, as a table and as a figure: validation accuracy, or R2, against the learning rate."""
from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ... import figures
from ...data.tasks import TASKS, score
from ...errors import InputError
from ...studies.text import aligned
from .. import plots
from .. import results as files
from . import choice
from .choice import in_words, measure, varied

Results = Mapping[str, Any]
# what a figure relies on, as results.FORM says it
FOUND = {f"validation_{task.measures[0].name}": files.Maybe(files.Number(task.measures[0].floor, 1))
         for task in TASKS.values()}
MARKS = "osD^v<>P"
FORM: Any = {
    "config": {"data": str, "model": str},
    "search": [{"label": str, "settings": {}, "runs": [FOUND]}],
}


def table(results: Results) -> str:
    """Return what a sweep has found as text: the best setting of each rule, and its test accuracy on fresh seeds.

    Parameters
    ----------
    results : mapping
        The contents of a sweep's results.json.

    Returns
    -------
    str
        A line for each rule, and after the last run the table of `results.table`.

    Examples
    --------
    >>> run = {"seed": 0, "validation_accuracy": 0.5}
    >>> print(table({"search": [{"label": "bp", "settings": {"lr": 0.1}, "runs": [run]}], "runs": []}))
    validation accuracy of the best setting: mean ± sample standard deviation over the seeds of the search
    <BLANKLINE>
    rule  setting  validation accuracy  tried
    bp    lr 0.1       0.5000 ± -           1
    """
    names = varied([entry["settings"] for entry in results["search"]]) or list(results["search"][0]["settings"])
    what = f"validation {in_place_of_accuracy(results)}"
    rows = [["rule", "setting", what, "tried"]]
    by_label = _by_label(results)
    shown = files.shown(by_label)
    for label, tried in by_label.items():
        sound = [entry for entry in tried if not all("diverged" in run for run in entry["runs"])]
        if not sound:
            rows.append([shown[label], "-", "diverged", str(len(tried))])
            continue
        top = max(sound, key=lambda entry: choice.score(entry["runs"]))
        values = [score(run, "validation") for run in top["runs"]]
        spread = f"{statistics.stdev(values):.4f}" if len(values) > 1 else "-     "
        rows.append([shown[label], in_words(top["settings"], names), f"{statistics.fmean(values):.4f} ± {spread}",
                     str(len(tried))])
    text = (f"{what} of the best setting: mean ± sample standard deviation over the seeds of the search\n\n"
            f"{aligned(rows, left=2)}")
    return f"{text}\n\nthe best settings on fresh seeds\n{files.table(dict(results))}" if results["runs"] else text


def draw(results: Results) -> Figure:
    """Draw validation accuracy against the learning rate, a curve for each rule.

    A point is the mean over the seeds of the best setting with that learning rate, the band is the range of the seeds,
    and a ring is the best setting of the rule.  If the learning rate has one value only, the first other setting with
    several numbers takes its place; if there is none, the settings stand side by side.

    Parameters
    ----------
    results : mapping
        The contents of a sweep's results.json.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If nothing was found yet.

    Examples
    --------
    >>> runs = [{"seed": 0, "validation_accuracy": 0.5}]
    >>> search = [{"label": "bp", "settings": {"lr": lr}, "runs": runs} for lr in (0.1, 0.2)]
    >>> draw({"config": {"data": "xor", "model": "mlp:4"}, "search": search}).axes[0].get_xlabel()
    'learning rate'
    """
    files.check("results of a sweep", results, FORM)
    by_label = _by_label(results)
    if not by_label:
        raise InputError("the sweep has found nothing yet, expected one run at least that has ended")
    name = _axis(results)
    parts = plots.groups(list(by_label))
    columns = min(len(parts), plots.COLUMNS)
    lines = -(-len(parts) // columns)
    figure = Figure(figsize=(5 * columns if columns > 1 else 7, 4.8 * lines), layout="constrained")
    for place, part in enumerate(parts, start=1):
        first = {"sharex": figure.axes[0], "sharey": figure.axes[0]} if figure.axes else {}
        axes = figure.add_subplot(lines, columns, place, **first)
        _panel(axes, results, part, name, len(parts) == 1)
    if len(parts) == 1:
        curves = figure.axes[0].lines[::2]  # the others are rings
        figures.legend(figure, curves, [str(line.get_label()) for line in curves])
    else:
        for part, axes in zip(parts, figure.axes, strict=True):  # once all curves are there, which set the limits
            figures.ends(axes, plots.named(part, files.shown(by_label)))
    what = "setting" if name is None else _words(name)
    figures.title(figure, f"Which {what} suits which rule: {results['config']['data']}, {results['config']['model']} "
                          "(ring: the best)")
    return figure


def _panel(axes: Axes, results: Results, labels: list[str], name: str | None, bands: bool) -> None:
    """Draw the curves of some rules, each with a ring."""
    names = varied([entry["settings"] for entry in results["search"]])
    ticks = list(dict.fromkeys(in_words(entry["settings"], names) for entry in results["search"]))
    shown = files.shown(_by_label(results))
    for label, look in zip(labels, plots.named(labels, shown), strict=True):
        at = {}
        # of several at one place the best stays
        for entry in sorted(_by_label(results)[label], key=lambda entry: choice.score(entry["runs"])):
            at[entry["settings"][name] if name else ticks.index(in_words(entry["settings"], names))] = entry["runs"]
        places = sorted(at)
        values = [[score(run, "validation") for run in at[place]] for place in places]
        means = [statistics.fmean(of) for of in values]
        # between settings without an order there is no line, and each line's mark takes its place
        line = {"marker": "o"} | look if name else look | {
            "linestyle": "", "marker": MARKS[figures.LINES.index(look["linestyle"])]}
        axes.plot(places, means, markersize=4, **line)
        if bands and name:
            axes.fill_between(places, list(map(min, values)), list(map(max, values)), alpha=0.15, linewidth=0,
                              color=look["color"])
        top = max(range(len(places)), key=means.__getitem__)
        axes.plot(places[top], means[top], "o", markersize=11, markerfacecolor="none", color=look["color"])
    axes.set_ylabel(f"validation {in_place_of_accuracy(results)}")
    if name:
        axes.set_xscale("log")
        axes.set_xlabel(_words(name))
    else:
        axes.set_xticks(range(len(ticks)), ticks, rotation=20, ha="right")
    figures.grid(axes)


def _words(name: str) -> str:
    """What a setting is called at an axis."""
    return "learning rate" if name == "lr" else name.replace("_", " ")


def _by_label(results: Results) -> dict[str, list[Any]]:
    """The points of the search by the label of their group."""
    found: dict[str, list[Any]] = {}
    for entry in results["search"]:
        found.setdefault(entry["label"], []).append(entry)
    return found


def _axis(results: Results) -> str | None:
    """The setting that the x axis shows."""
    values: dict[str, set[Any]] = {"lr": set()}
    for entry in results["search"]:
        for key, value in entry["settings"].items():
            values.setdefault(key, set()).add(value)
    for key, found in values.items():
        everywhere = all(key in entry["settings"] for entry in results["search"])
        if everywhere and len(found) > 1 and all(isinstance(value, int | float) and value > 0 for value in found):
            return key
    return None


def in_place_of_accuracy(results: Results) -> str:
    """Return the measure that decided, in words, for every data set of a sweep.

    Examples
    --------
    >>> in_place_of_accuracy({"search": [{"runs": [{"validation_r2": 0.5}]}, {"runs": [{"validation_accuracy": 1.0}]}]})
    'R2 or accuracy'
    """
    return " or ".join(dict.fromkeys(measure(entry["runs"]).words for entry in results["search"] if entry["runs"]))
