"""Pictures of the thesis on ASAP: Forward Alignment, sharing plans, weights that meet, shortcuts."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from .. import figures
from ..figures import colour_of, looks
from .frame import GOLD, INK, PALE, STYLES, Picture, epochs, titled, tones

Course = tuple[np.ndarray, np.ndarray]  # places on the x axis, and values


def updates(cosines: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Picture:
    """Draw the cosine of each layer's update with the exact one, before and after learning.

    Parameters
    ----------
    cosines : mapping of str to tuple of two numpy.ndarray, shape (seeds, layers)
        For each rule the cosines before and after.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(updates({"fa": (np.array([[0.0, 1.0]]), np.array([[0.5, 1.0]]))}).axes)
    1
    """
    titles = {"fa": "fa: B on the way down", "foa": "foa: C on the way up"}
    figure, axes = titled(*(titles.get(name, name) for name in cosines), width=4.2, share=True)
    for panel, (name, both) in zip(axes, cosines.items(), strict=True):
        for values, style, label in zip(both, (":", "-"), ("before learning", "afterwards"), strict=True):
            layers = range(1, values.shape[1] + 1)
            panel.plot(layers, values.mean(0), style, color=colour_of(name), marker="o", label=label)
            panel.fill_between(layers, values.min(0), values.max(0), color=colour_of(name), alpha=0.12, linewidth=0)
        panel.set(xlabel="layer, from the input up", xticks=layers, ylim=(-0.4, 1.05))
    axes[0].set_ylabel("cosine with the exact update")
    for style, label in ((":", "before learning"), ("-", "after learning")):
        axes[0].plot([], [], style, color=INK, marker="o", label=label)
    handles = axes[0].get_lines()[-2:]
    figure.legend(handles, [str(line.get_label()) for line in handles], loc="outside lower center", ncols=2,
                  frameon=False)
    return figure


def proof(times: np.ndarray, errors: Sequence[np.ndarray], slow: np.ndarray, moved: Mapping[str, np.ndarray],
          H: np.ndarray, loss: np.ndarray, rising: tuple[np.ndarray, np.ndarray, float, float]) -> Picture:
    """Draw what the proof of Forward Alignment rests on, (3.19)-(3.21): K is conserved, H falls, M may rise.

    Parameters
    ----------
    times : numpy.ndarray, shape (n,)
        The times.
    errors : sequence of numpy.ndarray, shape (n,)
        The norm of E from starts that were drawn at random.
    slow : numpy.ndarray, shape (n,)
        The same from a start with a large antisymmetric part.
    moved : mapping of str to numpy.ndarray, shape (n,)
        By how much r and K have moved from where they started.
    H, loss : numpy.ndarray, shape (n,)
        The function that falls, and |E|^2.
    rising : tuple
        Times and M of a case in which M rises, and its slope at the start: corrected, and as printed.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> t = np.linspace(0, 12, 601)
    >>> len(proof(t, [np.exp(-t)], np.exp(-t), {"r": t, "K": 0 * t}, np.exp(-t), np.exp(-t), (t, t, 1.0, 0.0)).axes)
    4
    """
    figure, axes = titled("the error goes to 0 from any start", "K is conserved, r of (3.19) is not",
                          "H falls by the loss", "M may rise: one weight each, K < 0", width=4.6, rows=2)
    for i, course in enumerate(errors):
        axes[0].semilogy(times, course, color=PALE, linewidth=1.2, label="_" if i else "starts drawn at random")
    axes[0].semilogy(times, slow, color=INK, linewidth=1.6, label=r"large antisymmetric $\mathbf{W}_1\mathbf{C}^T$")
    axes[0].set(ylabel=r"$|\mathbf{E}|$", ylim=(1e-5, 100), xlim=(0, times[-1]))
    for (name, values), colour, style in zip(moved.items(), (GOLD, INK), ("-", "-"), strict=True):
        axes[1].plot(times, values, style, color=colour, linewidth=2,
                     label=rf"$|\mathbf{{{name}}}(t)-\mathbf{{{name}}}(0)|$")
    axes[1].set(xlim=(0, times[-1] / 2), ylim=(-0.05, None))
    figures.ends(axes[1])
    fallen = np.concatenate([[0], np.cumsum((loss[1:] + loss[:-1]) / 2 * np.diff(times))])
    some = slice(0, np.searchsorted(times, times[-1] / 3), 8)
    axes[2].plot(times, H, color=INK, linewidth=2, label="$H(t)$")
    axes[2].plot(times[some], (H[0] - fallen)[some], "o", color=INK, markerfacecolor="white", markersize=4,
                 label=r"$H(0)-\int_0^t|\mathbf{E}|^2$")
    axes[2].set(xlim=(0, times[-1] / 3))
    early, M, corrected, printed = rising
    near = early[:max(2, len(early) // 10)]
    axes[3].plot(early, M, color=INK, linewidth=2, label="$M(t)$")
    for slope, style, label in ((corrected, "--", "(3.21) with the term of K"), (printed, ":", "(3.21) as printed")):
        axes[3].plot(near, M[0] + slope * near, style, color=GOLD, linewidth=2, label=label)
    axes[3].set(ylim=(0, None), xlim=(0, early[-1]))
    for panel in axes:
        panel.set_xlabel("t")
    for panel in (axes[0], axes[2], axes[3]):
        panel.legend(frameon=False, loc="upper right", fontsize=9)
    return figure


def from_zero(modes: Mapping[str, tuple[Course, Course]],
              losses: Mapping[str, tuple[Course, Course, float]]) -> Picture:
    """Draw the flow from zero weights: the closed form as a line, the integrated flow as dots.

    Parameters
    ----------
    modes : mapping of str to tuple
        For each direction's label: times and p in closed form, and as integrated.
    losses : mapping of str to tuple
        For each path C's label: times and loss in closed form, as integrated, and the loss that is left at the end.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> course = np.arange(3.0), np.arange(3.0)
    >>> len(from_zero({"s = 1": (course, course)}, {"rank 1": (course, course, 2.0)}).axes)
    2
    """
    figure, axes = titled("each direction p(t) goes its own way", r"what the range of $\mathbf{TC}^T$ lacks is left",
                          width=4.2, height=3.1)
    for (name, (line, dots)), style in zip(modes.items(), STYLES):
        axes[0].plot(*line, linestyle=style, color=colour_of("foa"), linewidth=2, label=name)
        axes[0].plot(*dots, "o", color="black", markersize=3)
    for (name, (line, dots, rest)), style in zip(losses.items(), STYLES):
        axes[1].plot(*line, linestyle=style, color=colour_of("foa"), linewidth=2, label=name)
        axes[1].plot(*dots, "o", color="black", markersize=3)
        axes[1].axhline(rest, color="black", linestyle=":", linewidth=0.9)
    for panel, label in zip(axes, ("p", "loss"), strict=True):
        panel.set(xlabel="t", ylabel=label, xlim=(0, max(dots[0])))
        figures.ends(panel)
    return figure


def angles(courses: Mapping[str, np.ndarray]) -> Picture:
    """Draw Fig. 3.2: the angle between W and C of every layer against epochs, mean and range over seeds.

    Parameters
    ----------
    courses : mapping of str to numpy.ndarray, shape (seeds, epochs + 1, layers)
        For the title of each panel the angles, in degrees, from before the first epoch on.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(angles({"linear": np.full((2, 4, 3), 90.0)}).axes)
    1
    """
    figure, axes = titled(*(f"{title}: does W turn towards C?" for title in courses), width=4.3, height=3.2, share=True)
    for panel, found in zip(axes, courses.values(), strict=True):
        for i, (style, tone) in enumerate(zip(STYLES, tones(colour_of("foa"), found.shape[2]))):
            curves = found[:, :, i]
            panel.plot(curves.mean(0), color=tone, linestyle=style, linewidth=1.9,
                       label=rf"$\mathbf{{W}}_{i + 1}$, $\mathbf{{C}}_{i + 1}$")
            panel.fill_between(range(curves.shape[1]), curves.min(0), curves.max(0), color=tone, alpha=0.15,
                               linewidth=0)
        panel.axhline(90, color="black", linewidth=0.8, linestyle=":")
        epochs(panel, found.shape[1] - 1, start=0)
        figures.ends(panel)
    axes[0].set_ylabel("angle between W and C (degrees)")
    return figure


def plans(rows: Mapping[str, Sequence[int]], dense: Sequence[bool]) -> Picture:
    """Draw sharing plans: an arrow leads from an activity to the weights that learn from it.

    Parameters
    ----------
    rows : mapping of str to sequence of int
        For each plan's name: for every layer the number of the activity that its update reads.
    dense : sequence of bool
        For every layer whether it is dense; its box is tinted.

    Returns
    -------
    Picture
        Filled activities are stored; an arrow to a layer's own input is short and dark.

    Examples
    --------
    >>> len(plans({"text, k = 2": (0, 1, 1, 3)}, [False, False, False, True]).axes)
    1
    """
    figure, axes = titled(*[""] * len(rows), width=11, height=1.1, rows=len(rows))
    for panel, (name, plan) in zip(axes, rows.items(), strict=True):
        for j, source in enumerate(plan):
            _from(panel, j, source)
            panel.text(j + 0.5, 0, rf"$W_{{{j + 1}}}$", ha="center", va="center", fontsize=10,
                       bbox={"boxstyle": "square,pad=0.3", "edgecolor": "#808080",
                             "facecolor": "#FFE9C7" if dense[j] else "#F2F2F2"})
            stored = j in plan
            panel.add_patch(Circle((j, 0), 0.17, facecolor=INK if stored else "white", edgecolor=INK, zorder=3))
            panel.text(j, 0, f"$h_{j}$", ha="center", va="center", color="white" if stored else INK, fontsize=9,
                       zorder=4)
        panel.text(-0.4, 0.1, name, ha="right", va="center")
        panel.set(xlim=(-2.2, len(plan)), ylim=(-0.25, 0.72), aspect="equal")
        panel.axis("off")
    return figure


def _from(panel: Axes, j: int, source: int) -> None:
    """An arrow from an activity to the weights of layer j, counted from 0."""
    if source == j:
        ends, look = ((j + 0.5, 0.0), (j + 0.17, 0.0)), {"color": INK, "shrinkB": 10}
    else:
        bend = 2 * (0.2 + 0.1 * (j - source)) / (j + 0.5 - source)
        ends, look = ((j + 0.5, 0.17), (source, 0.17)), {"color": colour_of("asap"),
                                                         "connectionstyle": f"arc3,rad={-bend}"}
    panel.annotate("", *ends, arrowprops={"arrowstyle": "-|>", "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0} | look)


def matched(images: Mapping[str, np.ndarray]) -> Picture:
    """Draw the planes of activities, a row for each: what is shared, and what stands for a smaller one.

    Parameters
    ----------
    images : mapping of str to numpy.ndarray, shape (H, W, planes)
        The activities, by the names of their rows.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(matched({"before": np.ones((8, 8, 2)), "after": np.ones((4, 4, 4))}).axes)
    8
    """
    most = max(image.shape[-1] for image in images.values())
    figure = Picture(figsize=(8.5, 1.05 * len(images)), layout="constrained")
    axes = figure.subplots(len(images), most, squeeze=False)
    for row, (name, image) in zip(axes, images.items(), strict=True):
        limit = float(np.abs(image).max()) or 1.0
        for i, panel in enumerate(row):
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
            if i < image.shape[-1]:
                panel.imshow(image[:, :, i], cmap="PuOr_r", vmin=-limit, vmax=limit)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


def meeting(decoupled: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
            coupled: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Picture:
    """Draw how W and B meet while they forget: distance and angle, with decoupled and with coupled decay.

    Parameters
    ----------
    decoupled : mapping of str to tuple of three numpy.ndarray, shape (steps,)
        For each decay's label: |W - B| over its start, the same by the theorem, and the cosine of W and B.
    coupled : mapping of str to tuple of two numpy.ndarray, shape (steps,)
        For each optimiser's label: |W - B| over its start, and what the theorem says.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> course = np.exp(-np.arange(50) / 20)
    >>> len(meeting({"decay 1": (course, course, 1 - course)}, {"sgd": (course, course)}).axes)
    3
    """
    figure, axes = titled(r"decoupled decay: the distance is $(1-\mathrm{lr}\,\lambda)^t$",
                          "the angle closes without decay, too", "coupled decay: Adam leaves the law", width=4.0)
    for tone, (label, (apart, exact, cosines)) in zip(tones(colour_of("asap"), len(decoupled)), decoupled.items(),
                                                      strict=True):
        axes[0].semilogy(apart, color=tone, linewidth=2.2, label=label)
        axes[0].semilogy(range(0, len(exact), 50), exact[::50], "o", color="black", markersize=3)
        axes[1].plot(cosines, color=tone, linewidth=1.9, label=label)
    for style, (label, (apart, exact)) in zip(STYLES, coupled.items()):
        axes[2].semilogy(apart, color=colour_of("asap"), linestyle=style, linewidth=1.9, label=label)
        axes[2].semilogy(range(0, len(exact), 50), exact[::50], "o", color="black", markersize=3)
    axes[0].set_ylabel(r"$|\mathbf{W}-\mathbf{B}|$ over its start")
    axes[1].set(ylabel="cosine of W and B", ylim=(-0.05, 1.05))
    for panel in axes:
        panel.set(xlabel="step", xlim=(0, len(apart) - 1))
        figures.ends(panel)
    return figure


def driven(apart: Mapping[str, np.ndarray], bound: np.ndarray) -> Picture:
    """Draw |W - B| under ASAP and ASFP, and the bound on it under ASFP.

    Parameters
    ----------
    apart : mapping of str to numpy.ndarray, shape (steps,)
        The distance at every step, for each rule.
    bound : numpy.ndarray, shape (steps,)
        The bound under ASFP.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(driven({"asap": np.exp(-np.arange(9.0))}, np.ones(9)).axes)
    1
    """
    figure, (axes,) = titled("asap's distance goes to 0, asfp's to a level", width=6.5, height=3.3)
    for look, course in zip(looks(list(apart)), apart.values(), strict=True):
        axes.semilogy(course, linewidth=2, **look)
    axes.semilogy(bound, color="black", linestyle=":", label="bound of asfp")
    axes.set(xlabel="step", ylabel=r"$|\mathbf{W}-\mathbf{B}|$", xlim=(0, len(bound) - 1))
    figures.ends(axes)
    return figure


def shortcuts(networks: np.ndarray, vectors: np.ndarray,
              courses: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Picture:
    """Draw why shortcuts help: cosines with and without them, of updates, of vectors, and while a network learns.

    Parameters
    ----------
    networks : numpy.ndarray, shape (n, 2)
        For each network the cosine of the shared update with the exact one, without and with the shortcut.
    vectors : numpy.ndarray, shape (n, 2)
        The same of random vectors, relu behind the sum.
    courses : mapping of str to tuple of two numpy.ndarray, shape (epochs,)
        For layers above a block and within one: the cosines of updates after each epoch, with and without shortcuts.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> points = np.array([[0.1, 0.5], [0.2, 0.9]])
    >>> len(shortcuts(points, points, {"above a block": (np.ones(3), np.zeros(3))}).axes)
    3
    """
    figure, axes = titled("(5.1): updates of 60 networks", "relu behind the sum: random vectors",
                          "learning: cosine with the exact update", width=3.9, height=3.6)
    names = ((r"$\cos(g_1,\,g_2)$", r"$\cos(g_1+g_2,\,g_2)$"),
             (r"$\cos(\mathrm{relu}(a),\,h)$", r"$\cos(\mathrm{relu}(a+h),\,h)$"))
    for panel, points, (before, after) in zip(axes, (networks, vectors), names):
        low = points.min() - 0.05
        panel.plot((-1, 1), (-1, 1), color="black", linewidth=0.8)
        panel.scatter(points[:, 0], points[:, 1], s=9, color=colour_of("as"), alpha=0.6, linewidth=0)
        panel.set(xlabel=f"without shortcut: {before}", ylabel=f"with: {after}", xlim=(low, 1.03), ylim=(low, 1.03))
    for tone, (label, both) in zip((INK, GOLD), courses.items(), strict=False):
        for curve, style, what in zip(both, ("-", "--"), ("with", "without"), strict=True):
            axes[2].plot(curve, style, color=tone, linewidth=1.9, label=f"{label}, {what}")
    axes[2].set(ylim=(0, 1.03))
    epochs(axes[2], len(curve) - 1, start=0)
    figures.ends(axes[2])
    return figure


def worth(bare: Mapping[str, np.ndarray], decays: Sequence[float], decayed: Mapping[str, np.ndarray]) -> Picture:
    """Draw what shortcuts and weight decay are worth: test accuracies, means as lines, seeds as dots.

    Parameters
    ----------
    bare : mapping of str to numpy.ndarray, shape (2, seeds)
        For each rule the accuracies without and with shortcuts.
    decays : sequence of float
        The decays.
    decayed : mapping of str to numpy.ndarray, shape (decays, seeds)
        For each rule the accuracies with each decay.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(worth({"bp": np.full((2, 3), 0.9)}, (0, 1), {"bp": np.full((2, 3), 0.9)}).axes)
    2
    """
    figure, axes = titled(r"what shortcuts are worth ($\lambda=1$)", "what weight decay is worth (with shortcuts)",
                          width=4.8, height=3.5)
    for panel, rules in zip(axes, (bare, decayed), strict=True):
        for name, found in rules.items():
            look = _variant(name)
            panel.plot(range(len(found)), found.mean(1), linewidth=1.9, **look)
            panel.plot(range(len(found)), found, "o", markersize=3.5, alpha=0.45, color=look["color"])
        panel.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes[0].set(xticks=(0, 1), xticklabels=("without", "with"), xlim=(-0.15, 1.05), ylim=(0, 1.02),
                ylabel="test accuracy")
    low = min(found.min() for found in decayed.values())
    axes[1].set(xticks=range(len(decays)), xticklabels=[f"{decay:g}" for decay in decays], xlabel=r"$\lambda$",
                xlim=(-0.15, len(decays) - 0.9), ylim=(low - 0.01, 1.003))
    for panel in axes:
        figures.ends(panel)
    return figure


def _variant(name: str) -> dict[str, Any]:
    """The look of a rule with options: its colour, with another line and its own label."""
    rule, _, options = name.partition(":")
    look = looks([rule])[0]
    return look | ({"linestyle": "--", "label": name} if options else {})




def accesses(result: Mapping[str, Any]) -> Picture:
    """Draw what a step moves and holds: accesses as (6.1)-(6.2) count them, and the bytes of a real tape.

    Parameters
    ----------
    result : mapping
        What `studies.memory.measure` returned.

    Returns
    -------
    Picture
        Of each bar the dark part is read, the light one written.

    Examples
    --------
    >>> from nobackprop.studies.memory import measure
    >>> [axes.get_xlabel() for axes in accesses(measure("mlp:4,4,4", "digits", "asap", batch_size=2)).axes]
    ['accesses (millions)', 'accesses (millions)', 'MB']
    """
    figure, axes = titled("as (6.1)-(6.2) count", "with B as well as W", "held by the tape, measured", width=3.4,
                          height=2.6, share=True)
    columns = result["columns"]
    for place, (name, column) in enumerate(columns.items()):
        dark = colour_of(name.partition(":")[0])
        for panel, key in zip(axes, ("accesses", "accesses_both_sets")):
            read, written = (column[key][kind] / 1e6 for kind in ("read", "written"))
            panel.barh(place, read, color=dark)
            panel.barh(place, written, left=read, color=tones(dark, 2)[0])
        axes[2].barh(place, column["total_bytes"] / 1e6, color=dark)
    axes[0].set_yticks(range(len(columns)), list(columns))
    axes[0].invert_yaxis()
    for panel, label in zip(axes, ("accesses (millions)", "accesses (millions)", "MB"), strict=True):
        panel.set_xlabel(label)
        panel.grid(axis="y", visible=False)
        panel.xaxis.set_major_locator(MaxNLocator(4))
    return figure
