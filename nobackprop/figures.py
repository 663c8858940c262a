"""What all figures share: colours, frames, files that are written whole or not at all, and texts that stay inside.

A rule has the same colour in every figure.  There are more rules than colours that readers can tell apart, so rules of
one family share a colour, see FAMILIES; in one panel they have different lines.  The line belongs to the variant of a
rule: `asap, decay 0` and `bp, decay 0` have two colours and one line.  The ceiling `bp` and the floor `shallow` are
dashed, so that a curve under theirs is seen.  Readers who do not see red or green can tell all these colours apart, but
for the grey of the floor.  Figures have a white ground of their own, and so can be read on a dark page, too.
"""
from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from .errors import InputError
from .files import named, writing

Line = str | tuple[int, tuple[int, ...]]  # of a curve, as matplotlib names it
ENDINGS = (".png", ".svg", ".pdf")
INSIDE = 0.96  # of the width: other renderers' letters are a little wider, and there is a margin
LINE_IN_LEGEND = 0.05  # of the width
TWO_ROWS = 0.5  # inches of a legend that the height of a figure allows for
NEXT = 0.165  # inches from a name at the end of a line to the next one
TITLES = 0.9  # inches of a panel's height that title and axis take
LONGEST = 1000  # letters of a text that are looked at
# The first seven are of Okabe and Ito.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PINK = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
INDIGO, WINE, BROWN, VIOLET, GREY = "#2B0F8C", "#8A1F5C", "#5C3D00", "#7D5FF5", "#808080"
GRID = "#E6E6E6"
# A colour, and the rules that have it.
FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (BLACK, ("bp",)),
    (GREY, ("shallow",)),
    (ORANGE, ("fa",)),
    (PINK, ("usf", "frsf", "brsf")),
    (BLUE, ("wm", "kp")),
    (SKY, ("dfa", "sdfa", "bdfa")),  # fixed weights from the output
    (BLUE, ("dfa-lowrank", "dfa-shared")),  # the same, of a certain form
    (BROWN, ("drtp",)),
    (INDIGO, ("adaptive-dfa", "dkp", "fdfa")),  # weights from the output that learn
    (VERMILION, ("las",)),
    (GREEN, ("ltas",)),
    (WINE, ("foa", "as", "asap", "asfp", "asfp-lc")),  # updates use another activity
    (BROWN, ("mostafa", "pred", "sim", "predsim", "phsic", "al")),  # each part has a loss of its own
    (VIOLET, ("dtp", "zil", "pc", "pc-fixed", "pc-centred")),  # targets and predictions
    (GREEN, ("dp", "ep")),  # two states of the same network
    (ORANGE, ("spsa", "activity", "pepita")),  # the network is shaken, or its input
    (PINK, ("ff", "softhebb")),  # no error at all
)
COLOURS = {rule: colour for colour, family in FAMILIES for rule in family}
LINES: tuple[Line, ...] = ("-", "--", ":", "-.", (0, (9, 3)), (0, (1, 3)), (0, (7, 2, 1, 2, 1, 2)), (0, (3, 4)))
ROLES = {"bp": "bp (ceiling)", "shallow": "shallow (floor)"}


def check_ending(path: str | os.PathLike[str]) -> None:
    """Raise InputError if a figure cannot be written under that name, as its ending is none of ENDINGS.

    Examples
    --------
    >>> check_ending("figure.png")
    >>> check_ending("figure.jpg")
    Traceback (most recent call last):
    nobackprop.errors.InputError: cannot draw to 'figure.jpg': expected a name that ends in .png, .svg, .pdf
    """
    if named(path).suffix.lower() not in ENDINGS:
        raise InputError(f"cannot draw to '{path}': expected a name that ends in {', '.join(ENDINGS)}")


def write(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a .png, .svg or .pdf file, all of it or nothing.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : path
        The file; what was there is replaced.

    Raises
    ------
    InputError
        If the name has another ending, or if the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     write(Figure(), f"{place}/figure.svg")
    ...     Path(place, "figure.svg").is_file()
    True
    """
    check_ending(path)
    with writing(path) as partial:
        figure.savefig(partial, format=Path(path).suffix[1:].lower(), dpi=150)


def looks(labels: Sequence[str], rules: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the colour, the line and the text of every arm of a panel, for matplotlib.

    Parameters
    ----------
    labels : sequence of str
        What results call the arms: a rule, a rule with options such as "asap:k=4", or "asap, decay 0".
    rules : mapping, optional
        The rule of a label, if the label does not begin with it.

    Returns
    -------
    list of dict
        "color", that of the rule; "linestyle", that of the variant, which is what the label says besides the rule; and
        "label".  Up to eight arms all look different.

    Notes
    -----
    A rule that FAMILIES does not name has the colour of one of the families, always the same.

    Examples
    --------
    >>> looks(["bp", "las"])[0]
    {'color': '#000000', 'linestyle': '--', 'label': 'bp (ceiling)'}
    >>> [(look["color"], look["linestyle"]) for look in looks(["bp, decay 0", "bp, decay 3", "fa, decay 3"])]
    [('#000000', '-'), ('#000000', '--'), ('#E69F00', '--')]
    """
    parts = [split(label, (rules or {}).get(label)) for label in labels]
    variants = list(dict.fromkeys(variant for _, variant in parts))
    arms = Counter(rule for rule, _ in parts)
    taken: set[tuple[str, Line]] = set()
    found = []
    for label, (rule, variant) in zip(labels, parts, strict=True):
        colour = colour_of(rule)
        first = 1 if rule in ROLES and arms[rule] == 1 else variants.index(variant)
        lines = [LINES[(first + i) % len(LINES)] for i in range(len(LINES))]
        line = next((line for line in lines if (colour, line) not in taken), lines[0])
        taken.add((colour, line))
        found.append({"color": colour, "linestyle": line, "label": ROLES.get(label, label)})
    return found


def colour_of(rule: str) -> str:
    """Return the colour of a rule, the same in every figure.

    Examples
    --------
    >>> colour_of("las"), colour_of("a rule of mine") == colour_of("a rule of mine")
    ('#D55E00', True)
    """
    palette = [ORANGE, SKY, GREEN, BLUE, VERMILION, PINK, INDIGO, WINE, BROWN, VIOLET]
    return COLOURS.get(rule) or palette[crc32(rule.encode("utf-8", "replace")) % len(palette)]


def split(label: str, rule: str | None = None) -> tuple[str, str]:
    """Return the rule of a label, and what the label says besides.

    Parameters
    ----------
    label : str
        What results call an arm.
    rule : str, optional
        Its rule, if that is known; it counts if the label does not begin with a rule.

    Examples
    --------
    >>> split("bp, no shortcut"), split("asap:k=4"), split("mine.py:Rule"), split("2 components", "al")
    (('bp', 'no shortcut'), ('asap', 'k=4'), ('mine.py:Rule', ''), ('al', '2 components'))
    """
    head = min((label.partition(sign)[0] for sign in ",:"), key=len)
    rule = head if head in COLOURS else label if rule is None else split(rule)[0]
    return rule, "" if rule == label else label[len(head):].lstrip(",: ") if head == rule else label


def open_frame(*panels: Axes) -> None:
    """Draw no frame at the top and on the right of these panels.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> open_frame(axes)
    >>> axes.spines["top"].get_visible(), axes.spines["left"].get_visible()
    (False, True)
    """
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)


def grid(*panels: Axes) -> None:
    """Draw a pale grid behind what these panels show, and no frame at the top and on the right.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> grid(axes)
    >>> axes.get_axisbelow(), axes.spines["top"].get_visible()
    (True, False)
    """
    for axes in panels:
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
    open_frame(*panels)


def epochs(axes: Axes) -> None:
    """Name the x axis "epoch", and mark only whole numbers on it.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> epochs(axes)
    >>> axes.get_xlabel()
    'epoch'
    """
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


# ---------------------------------------------------------------- texts, which users choose


def title(of: Figure | Axes, text: str) -> None:
    """Put a title above a figure, or above one of its panels; it is made no wider than that.

    Parameters
    ----------
    of : matplotlib.figure.Figure or matplotlib.axes.Axes
        The figure or the panel.
    text : str
        The title, shown as it is: its signs mean nothing to matplotlib.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> title(axes, "$x")
    >>> axes.get_title()
    '$x'
    """
    if isinstance(of, Figure):
        fit(of.suptitle(text))
    else:
        place = of.get_subplotspec()
        columns = place.get_gridspec().ncols if place else 1
        # a panel's middle is not that of its part of the figure: names at its axis take room on one side
        fit(of.set_title(text), 1 if columns == 1 else 0.84 / columns)


def legend(figure: Figure, lines: Sequence[Artist], labels: Sequence[str]) -> None:
    """Put a legend below the panels, in as many columns as there is room for, and make the figure taller by it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    lines : sequence of Artist
        What the legend explains.
    labels : sequence of str
        A text for each.

    Examples
    --------
    >>> figure = Figure(layout="constrained")
    >>> legend(figure, figure.subplots().plot([0, 1]), ["a line"])
    >>> len(figure.legends)
    1
    """
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


def ends(axes: Axes, looks: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write the label of each line at its right end, next to the panel and in the line's colour.

    Names that would cover each other are moved apart.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel, with its lines in it and its limits set.
    looks : sequence of mapping, optional
        The looks of the lines that get a name, as `looks` gives them.  Then a piece of the line stands before its name,
        as lines of the same colour differ by their dashes alone, and the name, which a user may have chosen, is made to
        fit.  If it is left out, all lines get a name but those whose labels begin with "_", as matplotlib has it.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> lines = axes.plot([1, 2], [3, 3], label="one") + axes.plot([1, 2], [3, 3], label="other")
    >>> ends(axes)
    >>> [text.get_text() for text in axes.texts]
    ['one', 'other']
    """
    figure, spec = axes.get_figure(), axes.get_subplotspec()
    assert isinstance(figure, Figure)
    dashes = {look["label"]: look["linestyle"] for look in looks}
    wanted = [line for line in axes.lines if (line.get_label() in dashes if dashes
                                              else not str(line.get_label()).startswith("_"))]
    found = [(line, height) for line in wanted if (height := _height_of_end(axes, line)) is not None]
    tall = figure.get_figheight() / (spec.get_gridspec().nrows if spec else 1) - TITLES
    for (line, _), place in zip(found, apart([height for _, height in found], NEXT / tall), strict=True):
        text = axes.annotate(str(line.get_label()), (1.12 if dashes else 1, place), xycoords="axes fraction",
                             xytext=(4, 0), textcoords="offset points", va="center", fontsize=9,
                             color=line.get_color(), annotation_clip=False)
        if dashes:
            axes.add_collection(LineCollection([[(1.035, place), (1.115, place)]], colors=line.get_color(),
                                               linestyles=[dashes[line.get_label()]], linewidths=1.7, clip_on=False,
                                               transform=axes.transAxes), autolim=False)
            fit(text, 0.13, most=1)


def _height_of_end(axes: Axes, line: Line2D) -> float | None:
    """The height, from 0 to 1 in its panel, at which the visible part of a line ends; None if nothing is visible."""
    high, _ = axes.get_xlim()[1], axes.get_ylim()
    x, y = (np.asarray(values, float) for values in line.get_data())
    there = np.isfinite(y) & (x <= high + 1e-9 * abs(high))
    if not there.any():
        return None
    last = np.argmax(x[there])
    place = (axes.transScale + axes.transLimits).transform((x[there][last], y[there][last]))
    return float(np.clip(place[1], 0, 1))


def apart(places: Sequence[float], least: float, low: float = 0.02, high: float = 0.98) -> list[float]:
    """Return places that keep their order and are moved until neighbours have a distance of at least `least`.

    Parameters
    ----------
    places : sequence of float
    least : float
        The distance.
    low, high : float
        No place is moved below or above these, as long as there is room between them.

    Returns
    -------
    list of float

    Examples
    --------
    >>> [round(place, 2) for place in apart([0.5, 0.5, 0.1], 0.1)]
    [0.45, 0.55, 0.1]
    >>> [round(place, 2) for place in apart([0.0, 0.0, 1.0], 0.1, 0, 1)]
    [0.0, 0.1, 1.0]
    """
    rows: list[tuple[list[int], float]] = []  # labels that touch each other, and their middle
    for i in sorted(range(len(places)), key=lambda i: places[i]):
        members, middle = [i], min(max(places[i], low), high)
        while rows and middle - rows[-1][1] < least * (len(members) + len(rows[-1][0])) / 2 - 1e-12:
            lower, below = rows.pop()
            middle = (len(lower) * below + len(members) * middle) / (len(lower) + len(members))
            members = lower + members
            half = least * (len(members) - 1) / 2
            middle = max(min(middle, high - half), low + half)
        rows.append((members, middle))
    return [middle + (members.index(i) - (len(members) - 1) / 2) * least
            for i in range(len(places)) for members, middle in rows if i in members]


def names(axes: Axes, texts: Sequence[str]) -> None:
    """Write texts at the places 0, 1, 2, ... of the y axis.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> names(axes, ["first", "second"])
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['first', 'second']
    """
    axes.set_yticks(range(len(texts)))
    for tick, text in zip(axes.yaxis.get_major_ticks(), texts, strict=True):
        tick.label1.set_text(text)
        fit(tick.label1, 0.2)
    axes.set_yticklabels([tick.label1.get_text() for tick in axes.yaxis.get_major_ticks()])


def fit(text: Text, share: float = 1.0, most: int = 3) -> None:
    """Make a text of a figure fit: on several lines if it is too wide for one, and shortened if that is not enough.

    A sign that the font lacks is shown by its number.

    Parameters
    ----------
    text : matplotlib.text.Text
        The text, which is changed.
    share : float
        The share of the figure's width that a line may have, from 0 to 1.
    most : int
        The largest number of lines.

    Examples
    --------
    >>> text = Figure().suptitle("a word " * 30)
    >>> fit(text)
    >>> len(text.get_text().splitlines()) > 1
    True
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
        # between words, if one ends in the second half; if not, within a name such as mlp:1024,1024
        half = len(line) // 2
        end = line.rfind(" ", half) + 1 or max(line.rfind(sign, half) for sign in ",:") + 1 or max(len(line), 1)
        lines.append(rest[:end].rstrip())
        rest = rest[end:]
    lines.append(longest(rest, _ends) if wide(rest) else rest)
    text.set_text("\n".join(lines))


def _renderer(figure: Figure) -> RendererAgg:
    """The renderer that measures texts; the figure's own would draw a whole picture first."""
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    renderer: RendererAgg = canvas.get_renderer()  # type: ignore[no-untyped-call, unused-ignore]  # matplotlib gives it no type
    return renderer


def _start(text: str, n: int) -> str:
    """The first n letters of a text."""
    return text[:n]


def _ends(text: str, n: int) -> str:
    """The first and last letters of a text, n in all."""
    return f"{text[:n - n // 3]}…{text[len(text) - n // 3:]}"


def _signs(text: Text) -> str:
    """What a text says, with the number of each sign that the font lacks in the sign's place."""
    font = get_font(findfont(text.get_fontproperties()))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else c.encode("unicode_escape").decode()
                   for c in text.get_text())
