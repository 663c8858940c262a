"""The figure of a comparison, drawn from the contents of its results.json alone."""
from __future__ import annotations

import math
import os
from functools import partial
from itertools import cycle, product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import figures
from ..data.tasks import score, task_of
from ..errors import InputError
from .results import by_rule, column, cosine, drawable, mean, recorded, seeds, sound

Line = str | tuple[int, tuple[int, ...]]  # of a curve, as matplotlib names it
# One colour for a family of rules (most are those of Okabe and Ito, which colour-blind readers tell apart), and a line
# for each rule of it.  A rule that no family names gets one of FURTHER.
FAMILIES: tuple[tuple[str, dict[str, Line]], ...] = (
    (figures.BLACK, {"bp": "--"}),
    (figures.GREY, {"shallow": "--"}),
    ("#E69F00", {"fa": "-"}),
    ("#CC79A7", {"usf": "-", "frsf": "--", "brsf": ":"}),
    (figures.BLUE, {"wm": "-", "kp": "--"}),
    ("#56B4E9", {"dfa": "-", "sdfa": "--", "bdfa": "-.", "dfa-lowrank": ":", "dfa-shared": (0, (1, 3))}),
    ("#8C6D1F", {"drtp": "-"}),
    ("#5B3A8E", {"adaptive-dfa": "-", "dkp": "--", "fdfa": ":"}),
    (figures.VERMILION, {"las": "-"}),
    ("#009E73", {"ltas": "-"}),
    ("#7A9E3B", {"foa": "-", "as": "--"}),
    ("#4A6FA5", {"mostafa": "-", "pred": "--", "sim": "-.", "predsim": ":"}),
    ("#C0794A", {"phsic": "-"}),
    ("#B0A020", {"spsa": "-", "activity": "--"}),
    ("#2E8B8B", {"al": "-", "dtp": "--"}),
    ("#1F5F8B", {"zil": ":", "pc": "-", "pc-fixed": "--", "pc-centred": "-."}),
    ("#6B8E23", {"dp": "-", "ep": "--"}),
    ("#A8327E", {"asap": "-", "asfp": "--", "asfp-lc": ":"}),
    ("#8A2BE2", {"ff": "-"}),
    ("#D2691E", {"pepita": "-"}),
    ("#708090", {"softhebb": "-"}),
)
STYLES = {rule: (colour, line) for colour, family in FAMILIES for rule, line in family.items()}
FURTHER = list(product(("#B22222", "#556B2F", "#4682B4", "#8B4513"), ("-", "--", "-.", ":")))
MOST_RULES = 200
MOST_RECORDED = 6  # panels of what callbacks recorded; the table has all
MOST_BANDS = 8  # of more than these nothing would be seen
ROLES = {"bp": "bp (ceiling)", "shallow": "shallow (floor)"}


def save(results: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw results to a .png, .svg or .pdf file, all of it or nothing.

    Parameters
    ----------
    results : dict
        Of the form in results.py.
    path : path
        The file; what was there is replaced.

    Raises
    ------
    InputError
        If the name has another ending, or if the file cannot be written.

    Examples
    --------
    >>> save({"config": {}, "runs": []}, "figure.jpg")
    Traceback (most recent call last):
    nobackprop.errors.InputError: cannot draw to 'figure.jpg': expected a name that ends in .png, .svg, .pdf
    """
    figures.check_ending(path)
    figures.write(draw(results), path)


def draw(results: dict[str, Any]) -> Figure:
    """Draw validation accuracy, or R2, and alignment with BP at the first hidden block, against epochs.

    A line is the mean over the seeds that reached an epoch and gave a value there; its band is their range.  If there
    are many rules, no bands are drawn.  Numbers that callbacks recorded have a panel each, below.

    Parameters
    ----------
    results : dict
        Of the form in results.py.

    Returns
    -------
    matplotlib.figure.Figure
        With two panels, and as many more as callbacks recorded numbers, up to 6.

    Raises
    ------
    InputError
        If there are more rules than a legend can show, or if every run diverged.

    Examples
    --------
    >>> record = {"epoch": 1, "train_loss": 0.5, "validation_accuracy": 1.0,
    ...           "alignment": [1.0], "alignment_at_a": [1.0]}
    >>> run = {"rule": "bp", "seed": 0, "seconds": 2.0, "test_accuracy": 0.9, "history": [record]}
    >>> len(draw({"config": {"data": "xor", "model": "mlp:8"}, "runs": [run]}).axes)
    2
    """
    results = sound(results)
    if not results["runs"]:
        raise InputError("there is no run to draw: expected one at least that did not diverge")
    rules = by_rule(results)
    if len(rules) > MOST_RULES:
        raise InputError(f"got results of {len(rules)} rules, expected at most {MOST_RULES} in a figure")
    further = recorded(results["runs"])[:MOST_RECORDED]
    lines = 1 + math.ceil(len(further) / 2)
    figure = Figure(figsize=(10, 4.8 * lines), layout="constrained")
    left, right = (figure.add_subplot(lines, 2, place) for place in (1, 2))
    below = {name: figure.add_subplot(lines, 2, place) for place, name in enumerate(further, start=3)}
    styles = looks(list(rules))
    for runs, look in zip(rules.values(), styles, strict=True):
        curve(left, column(runs, partial(score, part="validation")), look, len(rules) <= MOST_BANDS)
        curve(right, column(runs, partial(cosine, block=0)), look, len(rules) <= MOST_BANDS)
        for name, axes in below.items():
            curve(axes, column(runs, partial(_number, name=name)), look, len(rules) <= MOST_BANDS)
    left.set_title("Learning")
    tasks = {task.name: task for task in (task_of(run, "test") for run in results["runs"])}.values()
    left.set_ylabel("validation " + " or ".join(task.measures[0].words for task in tasks))
    if left.lines and left.dataLim.y0 < (floor := min(task.measures[0].floor for task in tasks)):
        left.set_ylim(bottom=floor)  # far below it lies what has hardly begun to learn
    _finish_alignment(right)
    last = max(len(run["history"]) for run in results["runs"])
    for name, axes in below.items():
        figures.title(axes, name)
    for axes in (left, right, *below.values()):
        figures.epochs(axes)
        axes.set_xlim(*((1, last) if last > 1 else (0.5, 1.5)))
        axes.grid(color="#E6E6E6", linewidth=0.6)
        axes.set_axisbelow(True)
        figures.open_frame(axes)
    figures.title(figure, _title(results))
    figures.legend(figure, left.lines, [look["label"] for look in styles])
    return figure


# ---------------------------------------------------------------- lines


def looks(rules: list[str]) -> list[dict[str, Any]]:
    """Return the colour, the line and the label of every rule, for matplotlib.

    Rules that FAMILIES does not name get those of FURTHER, in order.

    Examples
    --------
    >>> looks(["bp", "mine"])[0]
    {'color': '#000000', 'linestyle': '--', 'label': 'bp (ceiling)'}
    """
    further = cycle(FURTHER)
    pairs = [STYLES[rule] if rule in STYLES else next(further) for rule in rules]
    return [{"color": colour, "linestyle": line, "label": ROLES.get(rule, rule)}
            for rule, (colour, line) in zip(rules, pairs, strict=True)]


def _number(record: dict[str, Any], name: str) -> float | None:
    """What a callback recorded under a name, if it is a number."""
    return drawable(record.get(name))


def curve(axes: Axes, epochs: list[list[float | None]], look: dict[str, Any], band: bool) -> None:
    """Draw a line of means over epochs, and their range as a band; draw nothing if there is no value.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel.
    epochs : list of list
        For each epoch the values of all runs, None for those without a value.
    look : dict
        Colour, line and label, as `looks` gives them.
    band : bool
        Whether the range is drawn.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> curve(axes, [[1.0, 3.0], [2.0]], looks(["bp"])[0], band=True)
    >>> len(axes.lines), list(axes.lines[0].get_ydata()) == [2, 2]
    (1, True)
    """
    means = [mean(values) for values in epochs]
    if not any(value is not None for value in means):
        return
    x, y = range(1, len(epochs) + 1), [math.nan if value is None else value for value in means]
    there = [[value for value in values if value is not None] or [math.nan] for values in epochs]
    if band and any(len(values) > 1 for values in there):
        axes.fill_between(x, [min(values) for values in there], [max(values) for values in there],
                          color=look["color"], alpha=0.15, linewidth=0)
    # a line of one point would not be seen
    axes.plot(x, y, linewidth=1.7, marker="o" if len(epochs) == 1 else "", **look)


def _finish_alignment(axes: Axes) -> None:
    """Give the panel of alignments its names and limits, or say that there is nothing to draw."""
    axes.set_title("Alignment at the first hidden block")
    axes.set_ylabel(r"cosine of $\delta_1$ with that of bp")
    if not axes.lines:
        axes.set_ylim(0, 1)
        axes.text(0.5, 0.5, "no rule here sends an error\nto the first hidden block", color="#606060",
                  ha="center", va="center", transform=axes.transAxes)
        return
    axes.set_ylim(min(axes.dataLim.y0, 0) - 0.04, 1.04)


def _title(results: dict[str, Any]) -> str:
    """The title of the figure: data set, model, seeds, and how the runs ended if they ended early."""
    config, number = results["config"], seeds(results)
    title = f"{results.get('environment', {}).get('dataset', config['data'])}, {config['model']}, "
    what = "mean and range" if len(by_rule(results)) <= MOST_BANDS else "mean"
    title += "1 seed" if number == 1 else f"{what} of {number} seeds"
    return title + next((f" ({end})" for end in ("interrupted", "diverged") if config.get(end)), "")
