"""What all figures share: colours, frames, files that are written whole or not at all, and texts that stay inside."""
from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from .errors import InputError
from .files import named, writing

ENDINGS = (".png", ".svg", ".pdf")
INSIDE = 0.96  # of the width: other renderers' letters are a little wider, and there is a margin
LINE_IN_LEGEND = 0.05  # of the width
TWO_ROWS = 0.5  # inches of a legend that the height of a figure allows for
LONGEST = 1000  # letters of a text that are looked at
# of the colours of Okabe and Ito, which colour-blind readers tell apart
BLACK, BLUE, VERMILION, GREY = "#000000", "#0072B2", "#D55E00", "#808080"


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
        fit(of.set_title(text), 1 / (place.get_gridspec().ncols if place else 1))


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
        # between words, if one ends in the second half
        end = max(line.rfind(sign, len(line) // 2) for sign in " ,:") + 1 or max(len(line), 1)
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
