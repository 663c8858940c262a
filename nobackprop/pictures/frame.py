"""What the figures of the notebooks share: a figure that a notebook shows by itself, and panels in one style."""
from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from .. import figures

Numbers = Sequence[float] | np.ndarray
GRID = "#E6E6E6"
FORWARD, FEEDBACK = figures.BLUE, figures.VERMILION  # the colours of W and of B, everywhere
DPI = 100
HIGH = 0.26  # inches from a label of a line to the next


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
    for one in picture.axes:
        one.grid(color=GRID, linewidth=0.6)
        one.set_axisbelow(True)
        figures.open_frame(one)
    return picture, axes


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


def name_lines(axes: Axes) -> None:
    """Write the label of each line next to its right end, in its colour, so that no legend is needed.

    Labels that would lie on each other are moved apart.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel, with its lines in it and its limits set; lines whose labels begin with "_" get none.

    Examples
    --------
    >>> _, axes = panels()
    >>> _ = axes.plot([0, 1], [0, 1], label="a"), axes.plot([0, 1], [0, 1.001], label="b")
    >>> name_lines(axes)
    >>> [text.get_text() for text in axes.texts]
    ['a', 'b']
    """
    lines = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    axes.set_ylim(axes.get_ylim())
    left, right = axes.get_xlim()
    figure, place = axes.get_figure(), axes.get_subplotspec()
    assert isinstance(figure, Figure)
    rows = place.get_gridspec().nrows if place else 1
    least = HIGH * rows / figure.get_figheight()
    ends = [axes.transAxes.inverted().transform(axes.transData.transform(np.asarray(line.get_xydata())[-1]))
            for line in lines]
    places = apart([float(end[1]) for end in ends], least)
    for line, end, y in zip(lines, ends, places):
        axes.annotate(str(line.get_label()), (float(end[0]), float(end[1])), (float(end[0]) + 0.02, y),
                      xycoords="axes fraction", textcoords="axes fraction", color=line.get_color(), va="center",
                      annotation_clip=False, fontsize=9)
    axes.set_xlim(left, right)


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
