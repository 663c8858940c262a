"""Pictures of the field around: energies and how they are descended, settling, chords, goodness, competition."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .. import figures
from ..figures import colour_of
from .frame import GOLD, INK, STYLES, Numbers, Picture, beneath, titled, tones

Curve = tuple[np.ndarray, np.ndarray]  # places on the x axis, and values


def landscape(grid: tuple[np.ndarray, np.ndarray], energies: Mapping[str, np.ndarray],
              paths: Mapping[str, Mapping[str, np.ndarray]], names: tuple[str, str]) -> Picture:
    """Draw the energy of two units as a map, and the way of their states down to its lowest place.

    Parameters
    ----------
    grid : tuple of two numpy.ndarray, shapes (n,) and (m,)
        The states of both units.
    energies : mapping of str to numpy.ndarray, shape (m, n)
        For the title of each panel the energy.
    paths : mapping of str to mapping of str to numpy.ndarray, shape (steps, 2)
        For each panel the ways, by their labels.
    names : tuple of two str
        The names of both axes.

    Returns
    -------
    Picture
        A cross is where a way starts, a dot where it ends.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 20)
    >>> way = np.array([[0.9, 0.9], [0.0, 0.0]])
    >>> len(landscape((x, x), {"a bowl": x**2 + x[:, None]**2}, {"a bowl": {"down": way}}, ("s_1", "s_2")).axes)
    1
    """
    figure, axes = titled(*energies, width=4.0, height=3.6)
    for panel, (title, energy) in zip(axes, energies.items(), strict=True):
        levels = energy.min() + (np.percentile(energy, 90) - energy.min()) * np.linspace(0, 1, 15) ** 2
        panel.contourf(*grid, energy, levels=levels, cmap="Greys", alpha=0.5, extend="max")
        for (label, way), colour, style in zip(paths[title].items(), (INK, "#B03A00", GOLD), STYLES):
            panel.plot(*way.T, linestyle=style, color=colour, linewidth=1.8, label=label)
            panel.plot(*way[0], "x", color=colour, markersize=8)
            panel.plot(*way[-1], "o", color=colour, markersize=6)
        panel.set(xlabel=f"${names[0]}$", ylabel=f"${names[1]}$", xlim=(grid[0][0], grid[0][-1]),
                  ylim=(grid[1][0], grid[1][-1]))
        panel.grid(False)
    beneath(figure)
    return figure


def inference(energies: Mapping[str, Numbers], errors: np.ndarray) -> Picture:
    """Draw how predictive coding settles: the energy, and the errors that climb down block by block.

    Parameters
    ----------
    energies : mapping of str to sequence of float
        For the label of each step size the energy, before the first step and after each.
    errors : numpy.ndarray, shape (steps + 1, blocks)
        The size of the error of each hidden block, before the first step and after each.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(inference({"0.1": [2.0, 1.0]}, np.array([[0.0, 0.0], [0.0, 1.0], [0.5, 1.0]])).axes)
    2
    """
    figure, axes = titled("a step that is too long lets the energy rise", "the error climbs down, a block a step",
                          width=4.6, height=3.2)
    for tone, style, (label, course) in zip(tones(colour_of("pc"), len(energies)), STYLES, energies.items()):
        axes[0].plot(course, linestyle=style, color=tone, linewidth=1.8, label=label)
    axes[0].set(ylabel="energy $F$", xlim=(0, len(course) - 1))
    steps, blocks = errors.shape
    for i, tone in enumerate(tones(colour_of("pc"), blocks)):
        axes[1].semilogy(range(steps), np.where(errors[:, i] > 0, errors[:, i], np.nan), "o-", color=tone,
                         markersize=3, label=rf"$|\varepsilon_{i + 1}|$")
    axes[1].set_xlim(0, steps - 1)
    for panel in axes:
        panel.set_xlabel("step of the activities")
        figures.ends(panel)
    return figure


def coins(steps: Sequence[int], found: Mapping[str, Numbers], law: Mapping[str, Numbers],
          nudges: Numbers, off: Mapping[str, Numbers]) -> Picture:
    """Draw the laws of predictive coding: shares of the gradient after T steps, and its error at small nudges.

    Parameters
    ----------
    steps : sequence of int
        The numbers T of steps.
    found, law : mapping of str to sequence of float
        For the label of each block the share of its gradient, measured and by Theorem PC2.
    nudges : sequence of float
        The nudges, from the largest to the smallest.
    off : mapping of str to sequence of float
        For "pc" and "pc-centred" the relative error of the settled gradient.

    Returns
    -------
    Picture

    Examples
    --------
    >>> share = {"k = 0": [0.3, 0.5]}
    >>> len(coins([1, 2], share, share, [0.2, 0.1], {"pc": [0.2, 0.1]}).axes)
    2
    """
    figure, axes = titled("fixed prediction obeys the law of coins", "settled: error of the gradient",
                          width=4.8, height=3.2)
    for tone, label in zip(tones(colour_of("pc-fixed"), len(law)), law, strict=True):
        axes[0].plot(steps, law[label], color=tone, linewidth=1.6, label=label)
        axes[0].plot(steps, found[label], "o", color=tone, markersize=3)
    axes[0].set(xlabel="steps $T$", ylabel="share of the gradient", xlim=(steps[0], steps[-1]), ylim=(-0.03, 1.05))
    x = np.array(nudges, float)
    for power, (name, values) in enumerate(off.items(), 1):
        axes[1].loglog(x, values, "o-", color=colour_of(name), markersize=4, label=name)
        axes[1].loglog(x, values[-1] * (x / x[-1]) ** power, ":", color=colour_of(name),
                       label=rf"$\beta^{power}$" if power > 1 else r"$\beta$")
    axes[1].set(xlabel=r"nudge $\beta$", xlim=(x.min(), x.max()))
    axes[1].minorticks_off()
    axes[1].set_xticks(x, [f"{value:g}" for value in x])
    for panel in axes:
        figures.ends(panel)
    return figure


def settling(states: Mapping[str, np.ndarray], nudges: Numbers, off: Numbers) -> Picture:
    """Draw how equilibrium propagation settles, sweep by sweep, and how exact its estimate is.

    Parameters
    ----------
    states : mapping of str to numpy.ndarray, shape (sweeps + 1, units)
        For the title of each panel the states of some units.
    nudges : sequence of float
        The nudges, from the largest to the smallest.
    off : sequence of float
        The relative error of the estimate with each nudge.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(settling({"weak weights": np.zeros((5, 3))}, [0.2, 0.1], [0.04, 0.01]).axes)
    2
    """
    figure, axes = titled(*states, r"error of the gradient: as $\beta^2$", width=3.8, height=3.2)
    for panel, course in zip(axes, states.values()):
        for state, tone in zip(course.T, tones(colour_of("ep"), course.shape[1]), strict=True):
            panel.plot(state, color=tone, linewidth=1.3)
        panel.set(xlabel="sweep", ylabel="states of some units", xlim=(0, len(course) - 1), ylim=(-1.1, 1.1))
    x = np.array(nudges, float)
    axes[-1].loglog(x, off, "o-", color=colour_of("ep"), label="ep")
    axes[-1].loglog(x, off[0] * (x / x[0]) ** 2, ":", color=INK, label=r"$\beta^2$")
    axes[-1].set(xlabel=r"nudge $\beta$", xlim=(x.min(), x.max()))
    axes[-1].minorticks_off()
    axes[-1].set_xticks(x, [f"{value:g}" for value in x])
    figures.ends(axes[-1])
    return figure


def chords(pairs: Mapping[str, Sequence[tuple[float, float]]], functions: Mapping[str, Curve],
           nudges: Numbers, off: Mapping[str, Numbers]) -> Picture:
    """Draw the chords of dual propagation beside the function, and the error that they make.

    Parameters
    ----------
    pairs : mapping of str to sequence of (float, float)
        For each activation the middles and the lengths d of chords.
    functions : mapping of str to tuple of two numpy.ndarray, shape (n,)
        For each activation its places and values.
    nudges : sequence of float
        The nudges.
    off : mapping of str to sequence of float
        For each activation the relative error of the gradient with each nudge.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> a = np.linspace(-2, 2, 9)
    >>> len(chords({"relu": [(1.0, 0.5)]}, {"relu": (a, np.maximum(a, 0))}, [1.0, 0.1], {"relu": [0.1, 0.0]}).axes)
    2
    """
    titles = {"relu": "relu: the short chord is the tangent", "tanh": "tanh: no chord is the tangent"}
    figure, axes = titled(*(titles.get(name, name) for name in functions), "error of the gradient", width=3.8,
                          height=3.2)
    for panel, (name, (a, values)) in zip(axes, functions.items()):
        panel.plot(a, values, color="#9AA5B1", linewidth=1.6)
        for (at, d), colour in zip(pairs[name], (INK, GOLD)):
            ends = np.array([at - d / 2, at + d / 2])
            heights = np.interp(ends, a, values)
            panel.plot(ends, heights, "o-", color=colour, markersize=4, label=f"chord of length {d:g}")
            panel.plot(at, np.interp(at, a, values), "x", color=colour)
        panel.set(xlabel="$a$", ylabel="$f(a)$")
        panel.legend(frameon=False, loc="upper left", fontsize=9)
        panel.set_ylim(None, panel.get_ylim()[1] + 0.25 * np.ptp(values))
    for (name, errors), style in zip(off.items(), STYLES):
        axes[-1].loglog(nudges, errors, marker="o", markersize=3, linestyle=style, color=colour_of("dp"), label=name)
    axes[-1].set(xlabel=r"nudge $\beta$", xlim=(min(nudges), max(nudges)))
    figures.ends(axes[-1])
    return figure


def goodness(found: Mapping[str, tuple[np.ndarray, np.ndarray]], threshold: float) -> Picture:
    """Draw the goodness of blocks under Forward-Forward, for samples with their true and with a wrong label.

    Parameters
    ----------
    found : mapping of str to tuple of two numpy.ndarray, shape (samples,)
        For the title of each panel the goodness with true and with wrong labels.
    threshold : float
        The threshold theta.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(goodness({"block 1": (np.arange(9.0), np.arange(9.0) / 2)}, 4.0).axes)
    1
    """
    figure, axes = titled(*found, width=2.9, height=2.8)
    for panel, (right, wrong) in zip(axes, found.values(), strict=True):
        edges = np.linspace(0, 1.05 * np.percentile(np.r_[right, wrong], 99), 30).tolist()
        panel.hist(right, edges, color=colour_of("ff"), alpha=0.75, label="true label")
        panel.hist(wrong, edges, color=GOLD, alpha=0.75, label="wrong label")
        if threshold < edges[-1]:
            panel.axvline(threshold, color="black", linestyle=":", linewidth=1.2, label=r"threshold $\theta$")
        panel.set(xlabel="goodness", yticks=[])
    beneath(figure)
    return figure


def variance(directions: Sequence[int], off: Numbers) -> Picture:
    """Draw the squared error of activity perturbation against the number of directions in a step.

    Parameters
    ----------
    directions : sequence of int
        The numbers of directions.
    off : sequence of float
        The squared error, relative to the square of the gradient.

    Returns
    -------
    Picture

    Examples
    --------
    >>> len(variance([1, 4], [40.0, 10.0]).axes)
    1
    """
    figure, (axes,) = titled("twice the directions, half the squared error", width=5.6, height=3.1)
    axes.loglog(directions, off, "o-", color=colour_of("activity"), label="measured")
    axes.loglog(directions, off[0] * directions[0] / np.array(directions, float), ":", color=INK,
                label="1 / directions")
    axes.set(xlabel="directions in a step", ylabel="squared error, relative", xlim=(directions[0], directions[-1]))
    axes.minorticks_off()
    axes.set_xticks(directions, list(map(str, directions)))
    figures.ends(axes)
    return figure


def winners(weights: np.ndarray, lengths: np.ndarray) -> Picture:
    """Draw the weights of units that compete, as images, and how their lengths go to 1.

    Parameters
    ----------
    weights : numpy.ndarray, shape (units, side, side)
        The weights of an even number of units.
    lengths : numpy.ndarray, shape (epochs, units)
        Their lengths before each epoch.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(winners(np.zeros((4, 8, 8)), np.ones((3, 4))).axes)
    5
    """
    figure = Picture(figsize=(10.5, 2.5), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(2, 1))[0]
    limit = float(np.abs(weights).max()) or 1.0
    for axes, image in zip(left.subplots(2, len(weights) // 2).ravel(), weights, strict=True):
        axes.imshow(image, cmap="PuOr_r", vmin=-limit, vmax=limit)
        axes.axis("off")
    left.suptitle("what each unit wants to see", fontsize=11)
    axes = right.subplots()
    axes.plot(lengths, color=colour_of("softhebb"), linewidth=0.9)
    axes.axhline(1, color="black", linestyle=":")
    axes.set(xlabel="epoch", ylabel=r"$|\mathbf{w}_k|$", xlim=(0, len(lengths) - 1))
    axes.set_title("each length goes to 1", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
