"""Pictures of associated learning: the folded network, codes, the pipeline, and what hidden layers have learnt."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from .. import figures
from ..figures import colour_of, looks
from ..studies.pipeline import makespan, shares
from .frame import GOLD, Numbers, Picture, beneath, epochs, titled, tones

GREY = "#707A84"


def fold(units: Sequence[int], components: int) -> Picture:
    """Draw a folded network: x and y at the bottom, a component on each floor.

    Parameters
    ----------
    units : sequence of int
        The units of x, of every hidden layer, and of the output.
    components : int
        How many components the network has.

    Returns
    -------
    Picture
        Dashed is what prediction does without; numbers in grey are units.

    Examples
    --------
    >>> figure = fold((64, 32, 16, 32, 10), 1)
    >>> [text.get_text() for text in figure.axes[0].texts][:2]
    ['$s_0$$=x$', '64']
    """
    figure, (axes,) = titled("Each component is one floor of the folded network", width=8.5,
                             height=1.2 + 1.1 * components)
    blue = colour_of("al")

    def arrow(start: tuple[float, float], end: tuple[float, float], text: str, needed: bool,
              at: tuple[float, float]) -> None:
        colour = blue if needed else GOLD
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.9, "shrinkA": 14,
                                                  "shrinkB": 14, "linestyle": "-" if needed else "--"})
        axes.text((start[0] + end[0]) / 2 + at[0], (start[1] + end[1]) / 2 + at[1], text, color=colour, ha="center",
                  va="center", fontsize=11)

    inside = " · ".join(map(str, units[components + 1:-1 - components]))
    for i in range(components + 1):
        for place, name, size in ((0, "s", units[i]), (4, "t", units[-1 - i])):
            axes.text(place, i, f"${name}_{i}$" + ("" if i else {"s": "$=x$", "t": "$=y$"}[name]), ha="center",
                      va="center", fontsize=13)
            axes.text(place + (-0.6 if place == 0 else 0.8), i, f"{size}", ha="center", va="center", color=GREY)
        if i:
            axes.add_patch(FancyBboxPatch((-0.9, i - 0.62), 6.1, 0.89, boxstyle="round,pad=0.04", facecolor="#F4F6F8",
                                          edgecolor="#C9D1D8", zorder=0))
            axes.text(5.45, i - 0.25, f"component {i}", va="center", color=GREY)
            arrow((0, i - 1), (0, i), f"$f_{i}$", True, (-0.28, 0))
            arrow((4.13, i - 1), (4.13, i), f"$g_{i}$", False, (0.28, 0))
            arrow((3.87, i), (3.87, i - 1), f"$h_{i}$", True, (-0.28, 0))
            arrow((0, i), (4, i), f"$b_{i}$  ({inside}{' · ' if inside else ''}{units[-1 - i]})", i == components,
                  (0, 0.13))
    axes.set(xlim=(-1.1, 6.9), ylim=(-0.25, components + 0.4), xticks=[], yticks=[])
    axes.axis("off")
    axes.plot([], [], color=blue, label="effective: prediction goes this way")
    axes.plot([], [], "--", color=GOLD, label="affiliated: for learning alone")
    beneath(figure)
    return figure


def codes(distances: Mapping[str, Mapping[str, np.ndarray]], accuracy: Mapping[str, Numbers]) -> Picture:
    """Draw how far the codes of the ten labels are from each other, with and without the stop-gradient on t_i.

    Parameters
    ----------
    distances : mapping of str to mapping of str to numpy.ndarray, shape (epochs, components)
        For each kind of labels, with and without the stop: the distances.
    accuracy : mapping of str to sequence of float
        The validation accuracy after every epoch, with and without the stop.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> two = {"with the stop": np.ones((3, 2)), "without": np.zeros((3, 2))}
    >>> len(codes({"true labels": two}, {"with the stop": [0.1, 0.5, 0.9], "without": [0.1, 0.2, 0.9]}).axes)
    2
    """
    figure, axes = titled(*(f"distance of codes, {kind}" for kind in distances), "validation accuracy, true labels",
                          width=4.0, height=3.2)
    most = max(course.max() for both in distances.values() for course in both.values())
    for panel, both in zip(axes, distances.values()):
        for (name, course), style in zip(both.items(), ("-", "--"), strict=True):
            for i, tone in enumerate(tones(colour_of("al"), course.shape[1])):
                panel.plot(range(1, len(course) + 1), course[:, i], style, color=tone, linewidth=1.9,
                           label=f"$t_{i + 1}$, {name}")
        panel.set_ylim(0, 1.05 * most)
        epochs(panel, len(course))
        figures.ends(panel)
    for (name, curve), style in zip(accuracy.items(), ("-", "--"), strict=True):
        axes[-1].plot(range(1, len(curve) + 1), curve, style, color=colour_of("al"), linewidth=1.9, label=name)
    axes[-1].set_ylim(0, 1.02)
    epochs(axes[-1], len(curve))
    figures.ends(axes[-1])
    return figure


def independence(changes: Mapping[str, np.ndarray]) -> Picture:
    """Draw which component's parameters change which component's objective.

    Parameters
    ----------
    changes : mapping of str to numpy.ndarray, shape (components, components)
        For the title of each panel: by how much L_i + L'_i (rows) changes with the parameters of j (columns).

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(independence({"(4.7)": np.eye(3)}).axes)
    1
    """
    figure, axes = titled(*changes, width=3.5, height=3.1)
    for panel, change in zip(axes, changes.values(), strict=True):
        each = range(1, len(change) + 1)
        panel.imshow(change > 0, cmap=matplotlib.colors.ListedColormap(["#EEF2F5", colour_of("al")]), vmin=0, vmax=1)
        for i, j in np.ndindex(change.shape):
            panel.text(j, i, "0" if change[i, j] == 0 else f"{change[i, j]:.1g}", ha="center", va="center",
                       color="white" if change[i, j] else GREY)
        panel.set(xlabel="parameters of component")
        panel.set_xticks(range(len(change)), list(map(str, each)))
        panel.set_yticks(range(len(change)), [f"$L_{i}+L'_{i}$" for i in each])
        panel.grid(False)
        panel.spines[:].set_visible(False)
        panel.tick_params(length=0)
    return figure


def learning(losses: Mapping[str, Numbers], gaps: Mapping[str, Numbers],
             accuracy: Mapping[str, Numbers]) -> Picture:
    """Draw the losses of the components, the gap of codes and decoded codes, and the accuracy, against epochs.

    Parameters
    ----------
    losses : mapping of str to sequence of float
        By their labels, before each epoch.
    gaps : mapping of str to sequence of float
        The mean squares of what is decoded minus the code, by their labels, before each epoch.
    accuracy : mapping of str to sequence of float
        The validation accuracy of each rule after each epoch.

    Returns
    -------
    Picture

    Examples
    --------
    >>> len(learning({"L_1": [1.0, 0.5]}, {"t'_1": [1.0, 0.9]}, {"al": [0.1, 0.9], "bp": [0.5, 0.9]}).axes)
    3
    """
    figure, axes = titled("losses of both components", "decoded minus coded, validation", "validation accuracy",
                          width=4.0, height=3.2)
    for panel, curves in zip(axes, (losses, gaps)):
        for i, (label, curve) in enumerate(curves.items()):
            tone = tones(colour_of("al"), (len(curves) + 1) // 2)[i // 2]
            panel.semilogy(curve, "--" if i % 2 else "-", color=tone, linewidth=1.8, label=label)
        epochs(panel, len(curve) - 1, start=0)
        figures.ends(panel)
    for look, curve in zip(looks(list(accuracy)), accuracy.values(), strict=True):
        axes[2].plot(range(1, len(curve) + 1), curve, linewidth=1.9, **look)
    axes[2].set_ylim(0, 1.02)
    epochs(axes[2], len(curve))
    figures.ends(axes[2])
    axes[1].set_ylabel("mean square")
    return figure


def components(losses: Mapping[int, np.ndarray]) -> Picture:
    """Draw the associated loss of each component, for networks of one, two and three of them.

    Parameters
    ----------
    losses : mapping of int to numpy.ndarray, shape (seeds, components)
        By the number of components.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(components({1: np.ones((3, 1)), 2: np.ones((3, 2))}).axes)
    1
    """
    figure, (axes,) = titled("associated loss after training: mean and range of the seeds", width=7.0, height=3.3)
    for n, (number, found) in enumerate(losses.items()):
        places, tone = np.arange(1, number + 1) + 0.07 * (n - 1), tones(colour_of("al"), len(losses))[n]
        axes.semilogy(places, found.mean(0), "os^"[n] + "-", color=tone,
                      label=f"{number} component{'s' * (number > 1)}")
        axes.vlines(places, found.min(0), found.max(0), color=tone, alpha=0.4, linewidth=3)
    axes.set(xlabel="component i", ylabel=r"$|b_i(s_i)-t_i|^2$", xticks=range(1, max(losses) + 1),
             xlim=(0.8, max(losses) + 0.2))
    axes.minorticks_off()
    beneath(figure)
    return figure


def chart(times: Sequence[Sequence[tuple[float, float]]], weights: Sequence[int], workers: int,
          units: int = 5) -> Picture:
    """Draw Table 1 as a chart, and a run that was measured: a bar is one component learning from one mini-batch.

    Parameters
    ----------
    times : sequence of sequences of (float, float)
        For each component the start and end of each of its steps, in seconds.
    weights : sequence of int
        How much work each component has, by which they are shared among workers.
    workers : int
        How many workers the run had.
    units : int
        How many mini-batches the chart of Table 1 has.

    Returns
    -------
    Picture

    Examples
    --------
    >>> len(chart([[(0.0, 1.0), (1.0, 2.0)], [(1.0, 2.0), (2.0, 3.0)]], [1, 1], workers=2).axes)
    2
    """
    c, n = len(times), len(times[0])
    figure, (left, right) = titled(f"Table 1: {c} components, {units} mini-batches take {units + c - 1} units",
                                   f"measured: {workers} workers, {n} mini-batches", width=5.7, height=2.9)
    zero = min(start for station in times for start, _ in station)
    for component in range(c):
        for batch in range(units):
            _bar(left, component, component + batch, component + batch + 0.94, batch, max(n, units))
        for batch, (start, end) in enumerate(times[component]):
            _bar(right, component, 1e3 * (start - zero), 1e3 * (end - zero), batch, max(n, units))
    parts = shares(weights, workers)
    worker = [next(w for w, part in enumerate(parts, 1) if k < part.stop) for k in range(c)]
    left.set(xlabel="time unit", xticks=range(units + c))
    right.set(xlabel="ms")
    for panel, names in ((left, [f"component {k + 1}" for k in range(c)]),
                         (right, [f"component {k + 1}\nworker {worker[k]}" for k in range(c)])):
        panel.set_yticks(range(c), names)
        panel.invert_yaxis()
        panel.grid(axis="y", visible=False)
        panel.tick_params(axis="y", length=0)
    return figure


def _bar(panel: Axes, row: int, start: float, end: float, number: int, of: int) -> None:
    """One step of a pipeline: a bar with the number of its mini-batch."""
    tone = tones(colour_of("al"), of)[number]
    panel.barh(row, end - start, left=start, color=tone, height=0.75)
    panel.text((start + end) / 2, row, str(number + 1), ha="center", va="center", fontsize=8,
               color="white" if number > of / 3 else "black")


def speed(mini_batches: int = 1000, most: int = 64, workers: Sequence[int] = (2, 8)) -> Picture:
    """Draw how long the pipeline takes for networks of more and more layers, and what is gained.

    Parameters
    ----------
    mini_batches : int
        The number n of mini-batches.
    most : int
        The largest number of hidden layers.
    workers : sequence of int
        Numbers of workers that are drawn besides one for each component.

    Returns
    -------
    Picture

    Examples
    --------
    >>> len(speed(100, 8).axes)
    2
    """
    n, layers = mini_batches, 2 * np.arange(1, most // 2 + 1)
    figure, axes = titled(f"{n} mini-batches, equal components", "what is gained with $c$ workers", width=4.6,
                          height=3.2)
    blue = colour_of("al")
    axes[0].loglog(layers, n * layers / 2, "--", color=blue, label="in turn: $n\\,c$")
    for p, style in zip(workers, (":", "-."), strict=False):
        axes[0].loglog(layers, [makespan(n, [part.stop - part.start for part in shares([1] * (of // 2), p)])
                                for of in layers], linestyle=style, color=blue, label=f"{p} workers")
    axes[0].loglog(layers, n + layers / 2 - 1, color=blue, label="$c$ workers: $n+c-1$")
    axes[0].set(ylabel="time, in components", xlim=(2, most))
    marks = [2**k for k in range(1, 7) if 2**k <= most]
    axes[0].set_xticks(marks, list(map(str, marks)))
    axes[0].minorticks_off()
    axes[1].plot(layers, n * layers / 2 / (n + layers / 2 - 1), "--", color=blue, label="against itself in turn")
    axes[1].plot(layers, (layers + 1) * n / (4 * (n + layers / 2 - 1)), color="black", label="against bp, about")
    axes[1].set(ylabel="speed-up", xlim=(2, most))
    for panel in axes:
        panel.set_xlabel(r"hidden layers $\ell=2c$")
        figures.ends(panel)
    return figure


def layers(points: Mapping[str, Mapping[str, np.ndarray]], labels: np.ndarray) -> Picture:
    """Draw hidden layers in the plane, as Figs. 5 and 6 do: a row for each rule, a dot for each sample.

    Parameters
    ----------
    points : mapping of str to mapping of str to numpy.ndarray, shape (samples, 2)
        For each rule and each layer the places of the samples.
    labels : numpy.ndarray, shape (samples,)
        The classes, which are the colours.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(layers({"bp": {"x": np.zeros((3, 2)), "s_1": np.ones((3, 2))}}, np.arange(3)).axes)
    2
    """
    titles = [f"{rule}: {layer}" for rule, row in points.items() for layer in row]
    figure, axes = titled(*titles, width=2.75, height=2.6, rows=len(points))
    for panel, found in zip(axes, (places for row in points.values() for places in row.values()), strict=True):
        dots = panel.scatter(found[:, 0], found[:, 1], c=labels, cmap="tab10", s=9, linewidth=0)
        panel.set(xticks=[], yticks=[])
        panel.grid(False)
        panel.spines[:].set(visible=True, color="#CCCCCC")
    figure.legend(*dots.legend_elements(), loc="outside lower center", ncols=10, frameon=False, handletextpad=0)
    return figure


def distances(names: Sequence[str], ratios: Mapping[str, np.ndarray],
              means: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Picture:
    """Draw Table 7: how far classes are apart in each layer, over how far samples of one class are.

    Parameters
    ----------
    names : sequence of str
        The layers.
    ratios : mapping of str to numpy.ndarray, shape (seeds, layers)
        For each network the ratios.
    means : mapping of str to tuple of two numpy.ndarray, shape (layers,)
        For each network the mean distances between classes and within one.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(distances(["x", "s_1"], {"bp": np.ones((3, 2))}, {"bp": (np.ones(2), np.ones(2))}).axes)
    2
    """
    figure, axes = titled("distance between / within classes", "both mean distances", width=4.6, height=3.3)
    colours = {name: {"al": colour_of("al"), "bp": "black"}.get(name, GOLD) for name in ratios}
    for name, found in ratios.items():
        along = range(len(names))
        axes[0].plot(along, found.mean(0), "o-", markersize=4, color=colours[name], label=name)
        axes[0].fill_between(along, found.min(0), found.max(0), color=colours[name], alpha=0.15, linewidth=0)
        for values, style, what in zip(means[name], ("-", ":"), ("between", "within"), strict=True):
            axes[1].semilogy(along, values, style, color=colours[name], label=f"{name}, {what}")
    axes[0].set_ylim(0, None)
    for panel in axes:
        panel.set_xticks(range(len(names)), list(names))
        panel.set_xlim(0, len(names) - 1)
        figures.ends(panel)
    return figure


