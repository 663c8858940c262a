"""Pictures of what rules read: diagrams side by side, poisoned gradients, and the table of all rules."""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.patches import Rectangle

from ..rules import get
from ..studies.diagram import svg
from ..studies.locality import Locality, measured
from ..studies.locality.pages import COLUMNS, entries
from .frame import Picture, titled

READ, CLEAN = "#D55E00", "#E8EEF2"
SIZE = re.compile(r'width="(\d+)" height="(\d+)"')


@dataclass(frozen=True)
class Drawing:
    """A picture in SVG, which a notebook shows.

    Parameters
    ----------
    text : str
        The picture.

    Examples
    --------
    >>> Drawing("<svg></svg>")._repr_svg_()
    '<svg></svg>'
    """

    text: str

    def _repr_svg_(self) -> str:
        return self.text


def diagrams(*names: str, columns: int = 3) -> Drawing:
    """Draw how some rules learn, next to each other: what `nobackprop draw` draws of each.

    Parameters
    ----------
    *names : str
        The rules, as `rules.get` takes them.
    columns : int
        How many diagrams stand in a row at most.

    Returns
    -------
    Drawing

    Raises
    ------
    InputError
        If there is no such rule.

    Examples
    --------
    >>> diagrams("bp", "dfa").text.count("<title")
    2
    """
    parts, y, tall, wide = [], 0, 0, 0
    for i, name in enumerate(names):
        rule = get(name)
        text = svg(rule, row=measured(rule))
        found = SIZE.search(text)
        assert found is not None
        width, height = map(int, found.groups())
        if i % columns == 0:
            y, tall = y + tall, 0
        x = i % columns * width
        parts.append(text.replace("<svg ", f'<svg x="{x}" y="{y}" ', 1))
        tall, wide = max(tall, height), max(wide, x + width)
    whole = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {y + tall}" width="{0.7 * wide:g}" '
             f'height="{0.7 * (y + tall):g}">')
    return Drawing("\n".join([whole, *parts, "</svg>\n"]))


def spoilt(found: Mapping[str, np.ndarray]) -> Picture:
    """Draw which hidden layers' gradients are NaN if NaN is put into each of the weights.

    Parameters
    ----------
    found : mapping of str to numpy.ndarray of bool, shape (hidden layers, weights)
        For each rule whether NaN in W_j (columns) reaches the gradient of W_i (rows).

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(spoilt({"fa": np.zeros((4, 5), bool)}).axes)
    1
    """
    figure, axes = titled(*found, width=2.7, height=2.9)
    for panel, cells in zip(axes, found.values(), strict=True):
        panel.pcolormesh(cells, cmap=matplotlib.colors.ListedColormap([CLEAN, READ]), vmin=0, vmax=1,
                         edgecolors="white", linewidth=2)
        panel.set(xlabel="NaN put into", aspect="equal")
        panel.set_xticks(np.arange(cells.shape[1]) + 0.5, [f"$W_{j + 1}$" for j in range(cells.shape[1])])
        panel.set_yticks(np.arange(len(cells)) + 0.5, [rf"$\Delta W_{i + 1}$" for i in range(len(cells))])
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
        panel.grid(False)
    axes[0].set_ylabel("whose gradient")
    figure.legend(handles=[Rectangle((0, 0), 1, 1, color=colour) for colour in (READ, CLEAN)],
                  labels=["NaN", "untouched"], loc="outside lower center", ncols=2, frameon=False)
    return figure


def groups(rows: Mapping[str, Locality]) -> dict[tuple[str, ...], list[str]]:
    """Return the rules by their entries in the table, those that ask most of a synapse first.

    Parameters
    ----------
    rows : mapping of str to Locality
        What each rule reads, as `locality.table` gives it.

    Returns
    -------
    dict
        For each row of the table the rules that have just this row.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> from nobackprop.studies.locality import table
    >>> groups(table({name: get(name) for name in ("dfa", "bp", "sdfa")}))[("-", "all", "-", "all", "-")]
    ['dfa', 'sdfa']
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for name in sorted(rows, key=lambda name: -sum(_counts(rows[name]))):
        found.setdefault(entries(rows[name]), []).append(name)
    return found


def _counts(row: Locality) -> list[int]:
    """How many hidden layers read what each column says."""
    reads = row.hidden
    return [len(blocks) for blocks in (reads.transport, reads.output, reads.above, reads.presynaptic, reads.passes)]


def table(rows: Mapping[str, Locality]) -> Picture:
    """Draw what all rules read: rules that read the same share a row, and the rows that read most come first.

    Parameters
    ----------
    rows : mapping of str to Locality
        What each rule reads, as `locality.table` gives it.

    Returns
    -------
    Picture
        A cell names the hidden layers that read it, counted from 1; it is the darker the more they are.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> from nobackprop.studies.locality import table as measured
    >>> figure = table(measured({"dfa": get("dfa"), "sdfa": get("sdfa")}))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['dfa, sdfa']
    """
    found = groups(rows)
    labels = [_folded(names) for names in found.values()]
    tall = [max(1, label.count("\n") + 1) for label in labels]
    figure = Picture(figsize=(11, 0.28 * sum(tall) + 1.0), layout="constrained")
    axes = figure.subplots()
    shades, top, middles = matplotlib.colormaps["Oranges"], 0, []
    for (texts, names), height in zip(found.items(), tall, strict=True):
        for x, (count, text) in enumerate(zip(_counts(rows[names[0]]), texts, strict=True)):
            axes.add_patch(Rectangle((x, top), 1, height, edgecolor="white", linewidth=2,
                                     facecolor=shades(0.12 + 0.11 * count) if count else CLEAN))
            axes.text(x + 0.5, top + height / 2, text, ha="center", va="center", fontsize=9)
        middles.append(top + height / 2)
        top += height
    axes.set(xlim=(0, len(COLUMNS)), ylim=(top, 0))
    axes.set_xticks(np.arange(len(COLUMNS)) + 0.5, COLUMNS)
    axes.set_yticks(middles, labels, family="monospace", fontsize=9)
    axes.xaxis.tick_top()
    axes.set_title("what rules read: those that ask most of a synapse stand at the top", fontsize=11, pad=12)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _folded(names: list[str], width: int = 44) -> str:
    """Names in lines of a width."""
    lines = [""]
    for name in names:
        joined = f"{lines[-1]}, {name}" if lines[-1] else name
        if len(joined) > width:
            lines[-1] += ","
            lines.append(name)
        else:
            lines[-1] = joined
    return "\n".join(lines)
