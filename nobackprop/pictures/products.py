"""Products of tables of numbers, and a convolution as a dense layer on patches, drawn with their numbers."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from .. import figures
from ..errors import InputError, integer
from ..kernels.unfold import fold, out_size, unfold
from .frame import FEEDBACK, FORWARD, Picture, bare, heading, panels

MARK = "#CFE3F2"  # behind the numbers that are meant
LARGEST = 12      # rows and columns of a table whose numbers can be read


def product(A: np.ndarray, B: np.ndarray, names: Sequence[str] = ("A", "B", "A B"), at: tuple[int, int] = (0, 0)
            ) -> Picture:
    """Draw the product of two tables with its numbers, and mark the row and the column that make one of them.

    Parameters
    ----------
    A : array (N, K)
    B : array (K, F)
    names : sequence of str
        What stands above A, B, and their product.
    at : tuple of int
        The row and the column of the number that is marked in the product.

    Returns
    -------
    Picture

    Raises
    ------
    InputError
        If the tables cannot be multiplied, or are too large for their numbers to be read.

    Examples
    --------
    >>> drawing = product(np.eye(2), np.ones((2, 3)))
    >>> [axes.get_title() for axes in drawing.axes]
    ['A', 'B', 'A B']
    """
    A, B = np.asarray(A), np.asarray(B)
    if A.ndim != 2 or B.ndim != 2 or A.shape[1] != len(B):
        raise InputError(f"these tables have no product: their shapes are {A.shape} and {B.shape}, expected (N, K) and "
                         "(K, F)")
    row, column = (integer(f"the {name} at which to mark", value, 0, size - 1) for name, value, size in
                   zip(("row", "column"), at, (len(A), B.shape[1])))
    tables, marks = (A, B, A @ B), ((row, None), (None, column), (row, column))
    widths = [table.shape[1] for table in tables]
    height = max(map(len, tables))
    picture, axes = panels(3, width=0.62 * (sum(widths) + 3), height=0.36 * height + 0.7,
                           gridspec_kw={"width_ratios": widths})
    for one, table, name, mark, sign in zip(axes, tables, names, marks, ("·", "=", "")):
        numbers(one, table, name, mark, height)
        one.text(1.02, 0.5, sign, transform=one.transAxes, fontsize=14, va="center", ha="left")
    return picture


def numbers(axes: Axes, table: np.ndarray, name: str = "", mark: tuple[int | None, int | None] = (None, None),
            rows: int | None = None, frame: Sequence[tuple[int, int, int, int]] = ()) -> None:
    """Write the numbers of a table into a panel.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel.
    table : array (N, K)
        The numbers, up to 12 rows and columns.
    name : str
        What stands above.
    mark : tuple of int or None
        The row and the column behind which a colour lies; with one None the whole row or column, with two nothing.
    rows : int, optional
        For how many rows the panel has room; those of the table if it is left out.
    frame : sequence of tuple
        Frames around some of the numbers: first row, first column, rows, columns.

    Raises
    ------
    InputError
        If the table is too large.

    Examples
    --------
    >>> _, axes = panels()
    >>> numbers(axes, np.array([[1.0, 2.5]]))
    >>> [text.get_text() for text in axes.texts]
    ['1', '2.5']
    """
    n, k = table.shape
    if max(n, k) > LARGEST:
        raise InputError(f"a table of shape {table.shape} is too large to be read, expected up to {LARGEST} rows and "
                         "columns")
    bare(axes)
    row, column = mark
    for i in range(n):
        for j in range(k):
            meant = mark != (None, None) and row in (None, i) and column in (None, j)
            axes.add_patch(Rectangle((j, i), 1, 1, facecolor=MARK if meant else "none", edgecolor=figures.GREY,
                                     linewidth=0.5))
            axes.text(j + 0.5, i + 0.5, f"{table[i, j]:.3g}", ha="center", va="center", fontsize=9)
    for colour, (top, left, tall, wide) in zip((FEEDBACK, FORWARD), frame):
        axes.add_patch(Rectangle((left, top), wide, tall, facecolor="none", edgecolor=colour, linewidth=2.2))
    axes.set(xlim=(-0.05, k + 0.05), ylim=((n if rows is None else rows) + 0.05, -0.05))
    heading(axes, name)


def patches(image: np.ndarray, kernel: int, at: tuple[int, int] = (0, 0)) -> Picture:
    """Draw an image, one of its patches, and the table that has a row for each patch.

    Parameters
    ----------
    image : array (H, W)
        The numbers of the image.
    kernel : int
        The side of a patch, in pixels.
    at : tuple of int
        The place of the patch that is marked, as row and column of its upper left pixel.

    Returns
    -------
    Picture

    Raises
    ------
    InputError
        If there is no such patch.

    Examples
    --------
    >>> drawing = patches(np.arange(16.0).reshape(4, 4), 2, at=(1, 2))
    >>> [axes.get_title() for axes in drawing.axes]
    ['the image', 'its patches, one in each row']
    """
    rows, columns = (out_size(size, kernel, 1, 0) for size in image.shape)
    y, x = (integer(f"the {name} of the patch", value, 0, size - 1) for name, value, size in
            zip(("row", "column"), at, (rows, columns)))
    table = unfold(image[None, :, :, None], kernel, 1, 0).reshape(rows * columns, -1)
    picture, (left, right) = panels(2, width=0.62 * (image.shape[1] + table.shape[1] + 3),
                                    height=0.36 * len(table) + 0.8,
                                    gridspec_kw={"width_ratios": [image.shape[1], table.shape[1]]})
    numbers(left, image, "the image", rows=len(table), frame=[(y, x, kernel, kernel)])
    place = y * columns + x
    numbers(right, table, "its patches, one in each row", (place, None), frame=[(place, 0, 1, table.shape[1])])
    return picture


def coverage(shape: tuple[int, int], kernel: int) -> Picture:
    """Draw in how many patches each pixel lies: from so many places an error comes back to it.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image, in pixels.
    kernel : int
        The side of a patch, in pixels.

    Returns
    -------
    Picture

    Examples
    --------
    >>> drawing = coverage((4, 4), 2)
    >>> [text.get_text() for text in drawing.axes[0].texts][:4]
    ['1', '2', '2', '1']
    """
    rows, columns = (out_size(size, kernel, 1, 0) for size in shape)
    counts = fold(np.ones((1, rows, columns, kernel * kernel)), (1, *shape, 1), kernel, 1, 0)[0, :, :, 0]
    picture, axes = panels(width=0.62 * shape[1] + 0.8, height=0.36 * shape[0] + 0.7)
    numbers(axes, counts, "patches per pixel")
    return picture
