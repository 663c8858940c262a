"""What all figures share: files that are written whole or not at all, and texts that stay inside."""
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
from .files import writing

ENDINGS = (".png", ".svg", ".pdf")
INSIDE = 0.96  # of the width: other renderers' letters are a little wider, and there is a margin
LINE_IN_LEGEND = 0.05  # of the width
TWO_ROWS = 0.5  # inches of a legend that the height of a figure allows for
LONGEST = 1000  # letters of a text that are looked at
# of the colours of Okabe and Ito, which colour-blind readers tell apart
BLACK, BLUE, VERMILION, GREY = "#000000", "#0072B2", "#D55E00", "#808080"


def check_ending(path: str | os.PathLike[str]) -> None:
    """Raises InputError where a figure cannot be written under that name."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise InputError(f"cannot draw to '{path}': expected a name that ends in {', '.join(ENDINGS)}")


def write(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a .png, .svg or .pdf file, all of it or nothing; what stood there is replaced.

    Raises InputError for another ending and where the file cannot be written.
    """
    check_ending(path)
    with writing(path) as partial:
        figure.savefig(partial, format=Path(path).suffix[1:].lower(), dpi=150)


def open_frame(*panels: Axes) -> None:
    """Draw no frame at the top and on the right of these panels."""
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)


def epochs(axes: Axes) -> None:
    """Mark whole numbers alone on the x axis, and name it "epoch"."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


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
        # named after they were put there: of a name that starts with _ a legend shows nothing
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
    renderer: RendererAgg = canvas.get_renderer()  # type: ignore[no-untyped-call, unused-ignore]  # matplotlib gives it no type
    return renderer


def _start(text: str, n: int) -> str:
    return text[:n]


def _ends(text: str, n: int) -> str:
    """Its first and last letters, n in all."""
    return f"{text[:n - n // 3]}…{text[len(text) - n // 3:]}"


def _signs(text: Text) -> str:
    font = get_font(findfont(text.get_fontproperties()))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else c.encode("unicode_escape").decode()
                   for c in text.get_text())
