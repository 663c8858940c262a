"""What these pictures share: panels, tones of a colour, and a legend that lies over nothing."""
from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from .. import figures
from . import frame
from .frame import Picture

INK, GOLD, PALE = "#22313F", "#C9A227", "#8FB8DE"  # of what is no rule: they differ in lightness
STYLES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))


def panels(*titles: str, width: float = 3.5, height: float = 3.0, rows: int = 1,
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
    >>> picture, (left, right) = panels("before", "after")
    >>> right.get_title()
    'after'
    """
    columns = math.ceil(len(titles) / rows)
    picture, axes = frame.panels(columns, rows, width * columns, height * rows, squeeze=False, sharey=share)
    for one, title in zip(axes.ravel(), titles, strict=True):
        one.set_title(title, fontsize=11)
    return picture, list(axes.ravel())


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
    >>> figure, (axes,) = panels("one line")
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
    >>> figure, (axes,) = panels("epochs")
    >>> epochs(axes, 10)
    >>> [float(end) for end in axes.get_xlim()]
    [1.0, 10.0]
    """
    figures.epochs(axes)
    axes.set_xlim(start, max(number, start + 1))
