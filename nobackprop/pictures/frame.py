"""What the figures of the notebooks share: a figure that a notebook shows by itself, panels in one style, colours."""
from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from .. import figures

Numbers = Sequence[float] | np.ndarray
FORWARD, FEEDBACK = figures.BLUE, figures.VERMILION  # the colours of W and of B, everywhere
INK, GOLD, PALE = "#22313F", "#C9A227", "#8FB8DE"  # colours of things that are no rules; they differ in lightness
STYLES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
DPI = 100


class Picture(Figure):
    """A figure of matplotlib that a notebook shows as the value of a cell, without pyplot.

    Examples
    --------
    >>> Picture(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        return png(self)


def png(figure: Figure, dpi: int = DPI) -> bytes:
    """Return a figure as the bytes of a PNG file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    dpi : int
        How many pixels an inch has.

    Returns
    -------
    bytes

    Examples
    --------
    >>> len(png(Picture(figsize=(1, 1)), dpi=10)) < 1000
    True
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return stream.getvalue()


def panels(columns: int = 1, rows: int = 1, width: float = 8.0, height: float = 3.0,
           **more: Any) -> tuple[Picture, Any]:
    """Return a new picture with panels that have a grid behind what is drawn, and an open frame.

    Parameters
    ----------
    columns, rows : int
        How many panels stand next to each other, and on top of each other.
    width, height : float
        The size of the whole picture, in inches.
    **more
        What `Figure.subplots` takes further, such as sharey=True.

    Returns
    -------
    Picture
    Axes, or array of Axes
        One panel, or all of them.

    Examples
    --------
    >>> picture, axes = panels(2)
    >>> len(picture.axes), len(axes)
    (2, 2)
    """
    picture = Picture(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.08))
    axes = picture.subplots(rows, columns, **more)
    figures.grid(*picture.axes)
    return picture, axes


def titled(*titles: str, width: float = 3.5, height: float = 3.0, rows: int = 1,
           share: bool = False) -> tuple[Picture, list[Axes]]:
    """Return a picture with a panel for each title.

    Parameters
    ----------
    *titles : str
        The titles, in the order of reading; signs of matplotlib's formulas are drawn as formulas.
    width, height : float
        The size of a panel, in inches.
    rows : int
        The number of rows.
    share : bool
        Whether all panels have the same y axis.

    Returns
    -------
    Picture
    list of matplotlib.axes.Axes

    Examples
    --------
    >>> picture, (left, right) = titled("before", "after")
    >>> right.get_title()
    'after'
    """
    columns = math.ceil(len(titles) / rows)
    picture, axes = panels(columns, rows, width * columns, height * rows, squeeze=False, sharey=share)
    for one, title in zip(axes.ravel(), titles, strict=True):
        one.set_title(title, fontsize=11)
    return picture, list(axes.ravel())


def heading(axes: Axes, text: str) -> None:
    """Put a title above a panel, in letters a little smaller than matplotlib's, and made to fit.

    Examples
    --------
    >>> _, axes = panels()
    >>> heading(axes, "What is to be seen")
    >>> axes.get_title()
    'What is to be seen'
    """
    figures.title(axes, text)
    axes.title.set_fontsize(11)


def bare(axes: Axes) -> None:
    """Take frame, grid and ticks from a panel that shows a drawing and no measured numbers.

    Examples
    --------
    >>> _, axes = panels()
    >>> bare(axes)
    >>> axes.axison
    False
    """
    axes.set_axis_off()


def tones(colour: str, number: int) -> list[str]:
    """Return tones of one colour, from a light one to itself, for the values of an option of one rule.

    Parameters
    ----------
    colour : str
        The colour.
    number : int
        How many tones.

    Returns
    -------
    list of str

    Examples
    --------
    >>> tones("#000000", 3)
    ['#808080', '#404040', '#000000']
    """
    weights = np.linspace(0.5, 1, number) if number > 1 else np.ones(1)
    return [to_hex(weight * np.array(to_rgb(colour)) + 1 - weight) for weight in weights]


def beneath(figure: Figure, columns: int = 4) -> None:
    """Put one legend beneath all panels, with each label once.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    columns : int
        How many labels stand in a row at most.

    Examples
    --------
    >>> figure, (axes,) = titled("one line")
    >>> line = axes.plot([1, 2], label="a line")
    >>> beneath(figure)
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['a line']
    """
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=min(len(found), columns),
                  frameon=False)
    figure.set_figheight(figure.get_figheight() + 0.25 * math.ceil(len(found) / columns))


def epochs(axes: Axes, number: int, start: int = 1) -> None:
    """Mark whole epochs on the x axis, which ends with the last one.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel.
    number : int
        The last epoch.
    start : int
        The first epoch; 0 is before any training.

    Examples
    --------
    >>> figure, (axes,) = titled("epochs")
    >>> epochs(axes, 10)
    >>> [float(end) for end in axes.get_xlim()]
    [1.0, 10.0]
    """
    figures.epochs(axes)
    axes.set_xlim(start, max(number, start + 1))
