"""What the figures of the notebooks share: a figure that a notebook shows by itself, and panels in one style."""
from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import figures

GRID = "#E6E6E6"
FORWARD, FEEDBACK = figures.BLUE, figures.VERMILION  # the colours of W and of B, everywhere
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
    picture = Picture(figsize=(width, height), layout="constrained")
    axes = picture.subplots(rows, columns, **more)
    for one in picture.axes:
        one.grid(color=GRID, linewidth=0.6)
        one.set_axisbelow(True)
        figures.open_frame(one)
    return picture, axes


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
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    left, right = axes.get_xlim()
    least = 0.085 * 3.0 / axes.get_figure().get_figheight() * axes.get_subplotspec().get_gridspec().nrows
    ends = [axes.transAxes.inverted().transform(axes.transData.transform(line.get_xydata()[-1])) for line in lines]
    places = apart([float(end[1]) for end in ends], least)
    for line, end, y in zip(lines, ends, places):
        axes.annotate(str(line.get_label()), (float(end[0]), float(end[1])), (float(end[0]) + 0.02, y),
                      xycoords="axes fraction", textcoords="axes fraction", color=line.get_color(), va="center",
                      annotation_clip=False, fontsize=9)
    axes.set_xlim(left, right)


def apart(places: list[float], least: float) -> list[float]:
    """Return places that keep their order and are moved until neighbours have a distance of at least `least`.

    Examples
    --------
    >>> [round(place, 2) for place in apart([0.5, 0.5, 0.0], 0.1)]
    [0.45, 0.55, 0.0]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups = [[[i], places[i]] for i in order]  # each a row of labels around a centre
    merged: list[list[Any]] = []
    for members, centre in groups:
        merged.append([members, centre])
        while len(merged) > 1 and (merged[-1][1] - merged[-2][1]
                                   < least * (len(merged[-1][0]) + len(merged[-2][0])) / 2 - 1e-12):
            upper, lower = merged.pop(), merged.pop()
            n, m = len(lower[0]), len(upper[0])
            merged.append([lower[0] + upper[0], (n * lower[1] + m * upper[1]) / (n + m)])
    found = list(places)
    for members, centre in merged:
        for k, i in enumerate(members):
            found[i] = centre + (k - (len(members) - 1) / 2) * least
    return found
