"""The figure of a comparison, drawn from the contents of its results.json alone."""
from __future__ import annotations

import math
import os
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, product
from operator import itemgetter
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from .errors import InputError
from .results import by_rule, column, cosine, mean, seeds, writing

ENDINGS = (".png", ".svg", ".pdf")
# colours of Okabe and Ito, which colour-blind readers tell apart: one for a family of rules, a line for each of it
STYLES = {
    "bp": ("#000000", "--"),
    "shallow": ("#808080", "--"),
    "fa": ("#E69F00", "-"),
    "usf": ("#CC79A7", "-"), "frsf": ("#CC79A7", "--"), "brsf": ("#CC79A7", ":"),
    "wm": ("#0072B2", "-"), "kp": ("#0072B2", "--"),
    "dfa": ("#56B4E9", "-"), "sdfa": ("#56B4E9", "--"), "bdfa": ("#56B4E9", "-."), "dfa-lowrank": ("#56B4E9", ":"),
    "dfa-shared": ("#56B4E9", (0, (1, 3))),
    "drtp": ("#8C6D1F", "-"),
    "adaptive-dfa": ("#5B3A8E", "-"), "dkp": ("#5B3A8E", "--"), "fdfa": ("#5B3A8E", ":"),
    "las": ("#D55E00", "-"),
    "ltas": ("#009E73", "-"),
    "foa": ("#7A9E3B", "-"), "as": ("#7A9E3B", "--"),
    "mostafa": ("#4A6FA5", "-"), "pred": ("#4A6FA5", "--"), "sim": ("#4A6FA5", "-."), "predsim": ("#4A6FA5", ":"),
    "phsic": ("#C0794A", "-"), "spsa": ("#B0A020", "-"),
    "al": ("#2E8B8B", "-"), "dtp": ("#2E8B8B", "--"),
    "asap": ("#A8327E", "-"), "asfp": ("#A8327E", "--"), "asfp-lc": ("#A8327E", ":"),
}
FURTHER = list(product(("#B22222", "#556B2F", "#4682B4", "#8B4513"), ("-", "--", "-.", ":")))
MOST_RULES = 200
INSIDE = 0.96  # of the width: other renderers' letters are a little wider, and there is a margin
LINE_IN_LEGEND = 0.05  # of the width
TWO_ROWS = 0.5  # inches of a legend that the height of a figure allows for
LONGEST = 1000  # letters of a text that are looked at
MOST_BANDS = 8  # of more than these nothing would be seen
ROLES = {"bp": "bp (ceiling)", "shallow": "shallow (floor)"}


def check_ending(path: str | os.PathLike[str]) -> None:
    """Raises InputError where a figure cannot be written under that name."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise InputError(f"cannot draw to '{path}': expected a name that ends in {', '.join(ENDINGS)}")


def save(results: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw to a .png, .svg or .pdf file, all of it or nothing; what stood there is replaced.

    Raises InputError for another ending and where the file cannot be written.
    """
    write(draw(results), path)


def write(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a .png, .svg or .pdf file, all of it or nothing; what stood there is replaced.

    Raises InputError for another ending and where the file cannot be written.
    """
    check_ending(path)
    with writing(path) as partial:
        figure.savefig(partial, format=Path(path).suffix[1:].lower(), dpi=150)


def draw(results: dict[str, Any]) -> Figure:
    """Validation accuracy, and alignment with BP at the first hidden block, against epochs.

    A line is the mean over the seeds that reached an epoch and gave a value there, its band their range; where
    there are many rules, no bands.  Raises InputError for more rules than a legend can show.
    """
    rules = by_rule(results)
    if len(rules) > MOST_RULES:
        raise InputError(f"got results of {len(rules)} rules, expected at most {MOST_RULES} in a figure")
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = looks(list(rules))
    for runs, look in zip(rules.values(), styles, strict=True):
        curve(left, column(runs, itemgetter("validation_accuracy")), look, len(rules) <= MOST_BANDS)
        curve(right, column(runs, partial(cosine, block=0)), look, len(rules) <= MOST_BANDS)
    left.set_title("Learning")
    left.set_ylabel("validation accuracy")
    _finish_alignment(right)
    last = max(len(run["history"]) for run in results["runs"])
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_xlim(*((1, last) if last > 1 else (0.5, 1.5)))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(color="#E6E6E6", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    title(figure, _title(results))
    legend(figure, left.lines, [look["label"] for look in styles])
    return figure


# ---------------------------------------------------------------- texts, which users choose


def title(of: Figure | Axes, text: str) -> None:
    """Put a title above a figure, or above one of its panels, that is no wider than this."""
    if isinstance(of, Figure):
        fit(of.suptitle(text))
    else:
        place = of.get_subplotspec()
        fit(of.set_title(text), 1 / (place.get_gridspec().ncols if place else 1))


def legend(figure: Figure, lines: Sequence[Artist], labels: Sequence[str]) -> None:
    """Put a legend below the panels, in as many columns as there is room for; the figure becomes as much taller."""
    shown: list[str] = []
    for most in range(min(len(labels), 6), 0, -1):
        columns = -(-len(labels) // -(-len(labels) // most))  # no more than fill the rows alike
        # named after they were put there: of a name that starts with _ matplotlib before 3.10 shows nothing
        box = figure.legend(lines, list(map(str, range(len(lines)))), loc="outside lower center", ncols=columns,
                            frameon=False)
        for text, label in zip(box.get_texts(), shown or labels, strict=True):
            text.set_text(label)
            text.set_parse_math(False)
            if not shown:
                fit(text, 1 - LINE_IN_LEGEND, most=1)
        shown = [text.get_text() for text in box.get_texts()]
        extent = box.get_window_extent(_renderer(figure))
        if columns == 1 or extent.width <= INSIDE * figure.bbox.width:
            break
        box.remove()
    figure.set_figheight(figure.get_figheight() + max(0, extent.height / figure.dpi - TWO_ROWS))


def names(axes: Axes, texts: Sequence[str]) -> None:
    """Write these at the places 0, 1, 2, ... of the y axis."""
    axes.set_yticks(range(len(texts)))
    for tick, text in zip(axes.yaxis.get_major_ticks(), texts, strict=True):
        tick.label1.set_text(text)
        fit(tick.label1, 0.2)
    axes.set_yticklabels([tick.label1.get_text() for tick in axes.yaxis.get_major_ticks()])


def fit(text: Text, share: float = 1.0, most: int = 3) -> None:
    """Show a text as it stands, on up to `most` lines that are no wider than this share of the figure, else shortened.

    A sign that the font lacks is shown by its number.
    """
    figure = text.get_figure()
    assert isinstance(figure, Figure)
    width, renderer = INSIDE * share * figure.bbox.width, _renderer(figure)
    text.set_parse_math(False)

    def wide(part: str) -> bool:
        text.set_text(part)
        return text.get_window_extent(renderer).width > width

    def longest(part: str, of: Callable[[str, int], str]) -> str:
        return of(part, bisect_left(range(1, len(part) + 1), True, key=lambda n: wide(of(part, n))))

    rest, lines = _signs(text), list[str]()
    rest = rest if len(rest) <= LONGEST else _ends(rest, LONGEST)
    while wide(rest) and len(lines) < most - 1:
        line = longest(rest, _start)
        # between words, if one ends in the second half
        end = max(line.rfind(sign, len(line) // 2) for sign in " ,:") + 1 or max(len(line), 1)
        lines.append(rest[:end].rstrip())
        rest = rest[end:]
    lines.append(longest(rest, _ends) if wide(rest) else rest)
    text.set_text("\n".join(lines))


def _renderer(figure: Figure) -> RendererAgg:
    """What measures texts; the figure's own would draw a whole picture first."""
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    return canvas.get_renderer()


def _start(text: str, n: int) -> str:
    return text[:n]


def _ends(text: str, n: int) -> str:
    """Its first and last letters, n in all."""
    return f"{text[:n - n // 3]}…{text[len(text) - n // 3:]}"


def _signs(text: Text) -> str:
    font = get_font(findfont(text.get_fontproperties()))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else c.encode("unicode_escape").decode()
                   for c in text.get_text())


# ---------------------------------------------------------------- lines


def looks(rules: list[str]) -> list[dict[str, Any]]:
    """Colour, line and label of every rule; those that STYLES does not name get further ones, in order."""
    further = cycle(FURTHER)
    pairs = [STYLES[rule] if rule in STYLES else next(further) for rule in rules]
    return [{"color": colour, "linestyle": line, "label": ROLES.get(rule, rule)}
            for rule, (colour, line) in zip(rules, pairs, strict=True)]


def curve(axes: Axes, epochs: list[list[float | None]], look: dict[str, Any], band: bool) -> None:
    """A line of means over epochs, and the range as a band; nothing if there is no value."""
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
    axes.set_title("Alignment at the first hidden block")
    axes.set_ylabel(r"cosine of $\delta_1$ with that of bp")
    if not axes.lines:
        axes.set_ylim(0, 1)
        axes.text(0.5, 0.5, "no rule here sends an error\nto the first hidden block", color="#606060",
                  ha="center", va="center", transform=axes.transAxes)
        return
    axes.set_ylim(min(axes.dataLim.y0, 0) - 0.04, 1.04)


def _title(results: dict[str, Any]) -> str:
    config, number = results["config"], seeds(results)
    title = f"{results.get('environment', {}).get('dataset', config['data'])}, {config['model']}, "
    what = "mean and range" if len(by_rule(results)) <= MOST_BANDS else "mean"
    title += "1 seed" if number == 1 else f"{what} of {number} seeds"
    return title + next((f" ({end})" for end in ("interrupted", "diverged") if config.get(end)), "")
