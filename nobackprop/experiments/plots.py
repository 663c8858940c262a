"""The figure of a comparison, drawn from the contents of its results.json alone.

Curves over epochs tell how learning went.  Up to eight share a panel; of more there are several panels, and `bp` and
`shallow` are in each.  After one or two epochs there is no course to see: then each arm has a row, with a dot.
"""
from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import figures
from ..data.tasks import score, task_of
from ..errors import InputError
from ..figures import ROLES, looks
from .results import by_rule, column, cosine, drawable, mean, recorded, seeds, shown, sound

MOST_RULES = 200
MOST_RECORDED = 6  # panels of what callbacks recorded; the table has all
MOST_CURVES = 8  # of a panel
FEW = 2  # epochs that are no course
COLUMNS = 2
WIDTH, LEVEL = 1.7, "#BBBBBB"
Look = dict[str, Any]
Curve = tuple[Look, list[list[float | None]]]  # its look; for each epoch the values of all runs


@dataclass(frozen=True)
class Panel:
    """A quantity of several arms.

    Parameters
    ----------
    title : str
        What is to be seen.
    label : str
        What the quantity is called at its axis.  Panels with the same label have the same limits.
    curves : sequence
        For each arm its look, as `looks` gives it, and for each epoch the values of its runs, None for those without.
    limits : callable
        limits(least) gives the limits of the axis, each a number or None, from the least value of all such panels.
    levels : sequence of float
        Values that a thin line marks.

    Examples
    --------
    >>> Panel("How well the rules learn", "accuracy", [(looks(["bp"])[0], [[0.5], [0.75]])]).levels
    ()
    """

    title: str
    label: str
    curves: Sequence[Curve]
    limits: Callable[[float], tuple[float | None, float | None]] = lambda least: (None, None)
    levels: Sequence[float] = ()

    @property
    def quantity(self) -> str:
        """What panels with the same axis have in common."""
        return self.label or self.title

    @property
    def empty(self) -> bool:
        """Whether no run has a value of it."""
        return not any(value is not None for _, epochs in self.curves for values in epochs for value in values)


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


def draw(results: dict[str, Any], rules: Mapping[str, str] | None = None, heading: str = "") -> Figure:
    """Draw validation accuracy, or R2, and alignment with BP at the first hidden block.

    A line is the mean over the seeds that reached an epoch and gave a value there; its band is their range.  In small
    panels, which a figure of many rules has, no bands are drawn.  If no rule besides bp sends an error to the
    first hidden block, there is no panel of it.  Numbers that callbacks recorded have a panel each, below.

    Parameters
    ----------
    results : dict
        Of the form in results.py.
    rules : mapping, optional
        The rule of what the results call a rule, if that is a label that does not begin with the rule's name.
    heading : str
        The beginning of the title.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there are more rules than a figure can show, or if every run diverged.

    Examples
    --------
    >>> history = [{"epoch": epoch, "train_loss": 0.5, "validation_accuracy": 1.0,
    ...             "alignment": [0.5], "alignment_at_a": [0.5]} for epoch in (1, 2, 3)]
    >>> run = {"rule": "fa", "seed": 0, "seconds": 2.0, "test_accuracy": 0.9, "history": history}
    >>> len(draw({"config": {"data": "xor", "model": "mlp:8"}, "runs": [run]}).axes)
    2
    """
    results = sound(results)
    if not results["runs"]:
        raise InputError("there is no run to draw: expected one at least that did not diverge")
    arms = by_rule(results)
    if len(arms) > MOST_RULES:
        raise InputError(f"got results of {len(arms)} rules, expected at most {MOST_RULES} in a figure")
    tasks = {task.name: task for task in (task_of(run, "test") for run in results["runs"])}.values()
    floor = min(task.measures[0].floor for task in tasks)  # far below it lies what has hardly begun to learn
    label = "validation " + " or ".join(task.measures[0].words for task in tasks)
    kinds = [(Panel("How well the rules learn", label, (), lambda least: (floor if least < floor else None, None)),
              partial(score, part="validation"))]
    first = partial(cosine, block=0)
    of_others = [run for name, runs in arms.items() if figures.split(name, (rules or {}).get(name))[0] != "bp"
                 for run in runs]
    if any(first(record) is not None for run in of_others for record in run["history"]):
        kinds.append((Panel("How far error signals agree with those of bp", r"cosine of $\delta_1$ with that of bp", (),
                            lambda least: (min(least, 0) - 0.04, 1.04)), first))
    kinds += [(Panel(name, "", ()), partial(_number, name=name))
              for name in recorded(results["runs"])[:MOST_RECORDED]]
    few = max(len(run["history"]) for run in results["runs"]) <= FEW
    parts = [list(arms)] if few else groups(list(arms), rules)
    names = shown(arms)
    panels = [Panel(panel.title, panel.label, [(look, column(arms[name], of)) for name, look in
                                               zip(part, named(part, names, rules), strict=True)], panel.limits)
              for i in range(0, len(kinds), 2) for part in parts for panel, of in kinds[i:i + 2]]
    return over_epochs(panels, f"{heading}{': ' * bool(heading)}{_title(results, len(parts) == 1)}")


def named(part: Sequence[str], names: Mapping[str, str], rules: Mapping[str, str] | None = None) -> list[Look]:
    """Return the looks of the arms of one panel, with the names that `results.shown` gives them.

    Examples
    --------
    >>> arms = ["bp", "./mine.py:Sign"]
    >>> [look["label"] for look in named(arms, shown(arms))]
    ['bp (ceiling)', 'Sign']
    """
    return [look if names[arm] == arm else look | {"label": names[arm]}
            for arm, look in zip(part, looks(part, rules), strict=True)]


def groups(labels: list[str], rules: Mapping[str, str] | None = None) -> list[list[str]]:
    """Divide arms into groups of at most eight, with the ceiling and the floor in each.

    If there are several networks, each with its own ceiling, the arms of a network stay together.

    Examples
    --------
    >>> groups(["bp", "fa", "las"])
    [['bp', 'fa', 'las']]
    >>> [len(group) for group in groups(["bp", *map(str, range(11))])]
    [7, 6]
    >>> groups([f"{rule}{network}" for network in ("", ", resnet34") for rule in ("bp", "fa", "kp", "las", "dfa")])[1]
    ['bp, resnet34', 'fa, resnet34', 'kp, resnet34', 'las, resnet34', 'dfa, resnet34']
    """
    if len(labels) <= MOST_CURVES:
        return [labels]
    variants: dict[str, list[str]] = {}
    ceilings = set()
    for label in labels:
        rule, variant = figures.split(label, (rules or {}).get(label))
        variants.setdefault(variant, []).append(label)
        if rule == "bp":
            ceilings.add(variant)
    if len(variants) > 1 and ceilings == set(variants) and max(map(len, variants.values())) <= MOST_CURVES:
        everywhere, units = list[str](), list(variants.values())
    else:
        everywhere = [label for label in labels if label in ROLES]
        units = [[label] for label in labels if label not in ROLES]
    several = sum(map(len, units))
    size = -(-several // -(-several // (MOST_CURVES - len(everywhere))))
    found: list[list[str]] = []
    for unit in units:
        if found and len(found[-1]) + len(unit) <= size:
            found[-1] += unit
        else:
            found.append(list(unit))
    return [everywhere + group for group in found]


# ---------------------------------------------------------------- panels


def over_epochs(panels: Sequence[Panel], title: str) -> Figure:
    """Draw panels, two in a row: curves over epochs, or rows of dots if there are one or two epochs only.

    Parameters
    ----------
    panels : sequence of Panel
        At least one.
    title : str
        The title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        A legend names the curves if all panels have the same arms; if not, each name stands at the end of its curve.

    Examples
    --------
    >>> panel = Panel("How well the rules learn", "accuracy", [(looks(["bp"])[0], [[0.5], [0.75], [1.0]])])
    >>> [axes.get_xlabel() for axes in over_epochs([panel], "two noisy XORs").axes]
    ['epoch']
    """
    last = max((len(epochs) for panel in panels for _, epochs in panel.curves), default=0)
    figure = (_courses if last > FEW else _rows)(panels, last)
    for panel, axes in zip(panels, figure.axes, strict=True):
        if panel.empty:  # its place stays free, so that the others stand under those of their own quantity
            axes.remove()
    figures.title(figure, title + " (ring: after epoch 1)" * (last == FEW))
    return figure


def _courses(panels: Sequence[Panel], last: int) -> Figure:
    """Draw each panel's curves over epochs."""
    arms = {look["label"]: look for panel in panels for look, _ in panel.curves}
    alike = all(len(panel.curves) == len(arms) for panel in panels)
    figure = _grid(panels, 4.8 if alike else 3.1, "sharey")
    for panel, axes in zip(panels, figure.axes, strict=True):
        for look, epochs in panel.curves:
            curve(axes, epochs, look, alike)
        axes.set_ylabel(panel.label)
        figures.epochs(axes)
        axes.set_xlim(1, last)
    for panel, axes, least in _least(panels, figure, "y0"):
        axes.set_ylim(*panel.limits(least))
        for level in panel.levels:
            axes.axhline(level, color=LEVEL, linewidth=0.8, linestyle=":")
        if not alike:
            figures.ends(axes, [look for look, _ in panel.curves])
    if alike:
        handles = [Line2D([], [], linewidth=WIDTH, color=look["color"], linestyle=look["linestyle"])
                   for look in arms.values()]
        figures.legend(figure, handles, list(arms))
    return figure


def _rows(panels: Sequence[Panel], last: int) -> Figure:
    """Draw a row for each arm: its mean as a dot, its range as a line, and a ring for the first epoch of two."""
    arms = list({look["label"]: None for panel in panels for look, _ in panel.curves})
    figure = _grid(panels, 1, "sharex")
    for place, (panel, axes) in enumerate(zip(panels, figure.axes, strict=True)):
        for look, epochs in panel.curves:
            row = arms.index(look["label"])
            for epoch, values in enumerate(epochs, start=1):
                there = [value for value in values if value is not None]
                if there and epoch == last:
                    axes.plot([min(there), max(there)], [row, row], color=look["color"], alpha=0.35, linewidth=5)
                if there:
                    axes.plot([fmean(there)], [row], "o", color=look["color"],
                              markerfacecolor=look["color"] if epoch == last else "white")
        axes.set_xlabel(f"{panel.label} after epoch {last}".lstrip())
        axes.locator_params(axis="x", nbins=3)  # numbers that differ in the fifth digit are wide
        axes.set_ylim(len(arms) - 0.5, -0.5)
        figures.names(axes, arms if place % COLUMNS == 0 else [""] * len(arms))
    for panel, axes, least in _least(panels, figure, "x0"):
        axes.set_xlim(*panel.limits(least))
        for level in panel.levels:
            axes.axvline(level, color=LEVEL, linewidth=0.8, linestyle=":")
    most = max(name.get_text().count("\n") + 1 for name in figure.axes[0].get_yticklabels())
    figure.set_figheight(-(-len(panels) // COLUMNS) * (1.2 + len(arms) * (0.14 + 0.19 * most)))
    return figure


def _grid(panels: Sequence[Panel], height: float, share: str) -> Figure:
    """Return a figure with empty panels; those of the same quantity share an axis, and the first has the title."""
    columns = min(COLUMNS, len(panels))
    figure = Figure(figsize=(5 * columns if columns > 1 else 7, height * -(-len(panels) // columns)),
                    layout="constrained")
    first: dict[str, Axes] = {}
    titles: set[str] = set()
    for place, panel in enumerate(panels, start=1):
        same = first.get(panel.quantity)
        axes = figure.add_subplot(-(-len(panels) // columns), columns, place, **({share: same} if same else {}))
        first.setdefault(panel.quantity, axes)
        if panel.title not in titles and not panel.empty:
            figures.title(axes, panel.title)
            # names at the axes take room at both sides and rise above the panel by half a line; it lies on none of them
            axes.set_title(axes.get_title(), x=0, ha="left", pad=10)
            titles.add(panel.title)
        figures.grid(axes)
    return figure


def _least(panels: Sequence[Panel], figure: Figure, side: str) -> list[tuple[Panel, Axes, float]]:
    """Each panel that has something to show, its axes, and the least value in all panels of its quantity."""
    found = list(zip(panels, figure.axes, strict=True))
    least: dict[str, float] = {}
    for panel, axes in found:
        least[panel.quantity] = min(least.get(panel.quantity, math.inf), getattr(axes.dataLim, side))
    return [(panel, axes, least[panel.quantity]) for panel, axes in found if math.isfinite(least[panel.quantity])]


def _number(record: dict[str, Any], name: str) -> float | None:
    """What a callback recorded under a name, if it is a number."""
    return drawable(record.get(name))


def curve(axes: Axes, epochs: list[list[float | None]], look: Look, band: bool) -> None:
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
    # a dashed line lies on the others, which are seen between its dashes
    axes.plot(x, y, linewidth=WIDTH, zorder=2 + (look["linestyle"] != "-"), **look)


def _title(results: dict[str, Any], ranges: bool) -> str:
    """The title of the figure: data set, model, seeds, and how the runs ended if they ended early."""
    config, number = results["config"], seeds(results)
    title = f"{results.get('environment', {}).get('dataset', config['data'])}, {config['model']}, "
    title += "1 seed" if number == 1 else f"{'mean and range' if ranges else 'mean'} of {number} seeds"
    return title + next((f" ({end})" for end in ("interrupted", "diverged") if config.get(end)), "")
