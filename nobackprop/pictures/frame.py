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
    picture = Picture(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.08))
    axes = picture.subplots(rows, columns, **more)
    figures.grid(*picture.axes)
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
