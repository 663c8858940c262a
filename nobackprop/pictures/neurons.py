"""Networks of two or three neurons, and how their weights turn towards the feedback weights."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch

from .. import figures
from ..errors import InputError, integer
from ..figures import looks
from ..studies.turning import angle
from .film import Film
from .frame import FEEDBACK, FORWARD, Picture, bare, heading, panels

RADIUS = 0.32
RULES = ("bp", "fa", "shallow")  # in whose colours backpropagation, feedback alignment and no feedback are drawn


def network(hidden: int = 1, feedback: bool = False) -> Picture:
    """Draw a network of one input, one or two hidden neurons, and one output.

    Parameters
    ----------
    hidden : int
        The number of hidden neurons, 1 or 2.
    feedback : bool
        Whether the error comes back to the hidden neurons through feedback weights b; if not, no way back is drawn.

    Returns
    -------
    Picture

    Raises
    ------
    InputError
        If the number is neither 1 nor 2.

    Examples
    --------
    >>> drawing = network(2, feedback=True)
    >>> sorted({text.get_text() for text in drawing.axes[0].texts})[1:4]
    ['$b_1$', '$b_2$', '$e$']
    """
    hidden = integer("hidden", hidden, 1, 2)
    picture, axes = panels(width=6.4, height=1.9 if hidden == 1 else 2.6)
    bare(axes)
    x, y = _neuron(axes, (0, 0), "$x$"), _neuron(axes, (4.8, 0), "$y$")
    e = _neuron(axes, (6.3, 0), "$e$", figures.GREY) if feedback else None
    for i, height in [("", 0.0)] if hidden == 1 else [("_1", 0.9), ("_2", -0.9)]:
        h = _neuron(axes, (2.4, height), f"$h{i}$")
        _arrow(axes, x, h, f"$w{i}$", FORWARD)
        _arrow(axes, h, y, f"$v{i}$", FORWARD)
        if e is not None:
            _arrow(axes, e, h, f"$b{i}$", FEEDBACK, bend=0.42 if height >= 0 else -0.42)
    if e is not None:
        _arrow(axes, y, e, "", figures.GREY)
    top = (1.55 if hidden == 1 else 2.1) if feedback else (0.6 if hidden == 1 else 1.4)
    axes.set(xlim=(-0.5, 6.8 if feedback else 5.3), ylim=(-0.5 if hidden == 1 else -top, top), aspect="equal")
    return picture


def _neuron(axes: Axes, at: tuple[float, float], text: str, colour: str = figures.BLACK) -> Circle:
    axes.text(*at, text, ha="center", va="center", fontsize=13, zorder=4)
    circle = Circle(at, RADIUS, facecolor="white", edgecolor=colour, linewidth=1.4, zorder=3)
    axes.add_patch(circle)
    return circle


def _arrow(axes: Axes, start: Circle, end: Circle, text: str, colour: str, bend: float = 0.0) -> None:
    """An arrow between two neurons, with a text beside its middle."""
    axes.add_patch(FancyArrowPatch(start.center, end.center, arrowstyle="-|>", mutation_scale=14, color=colour,
                                   linewidth=1.6, patchA=start, patchB=end, shrinkA=0, shrinkB=1,
                                   connectionstyle=f"arc3,rad={bend}"))
    (x0, y0), (x1, y1) = start.center, end.center
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + bend / 2 * np.array([y1 - y0, x0 - x1])
    off = 0.24 if not bend else 0.22 * np.sign(bend)
    axes.text(middle[0], middle[1] + off, text, color=colour, ha="center", va="center", fontsize=12)


def courses(runs: Mapping[str, np.ndarray]) -> Picture:
    """Draw the loss and the output weight v of two neurons in a row, against steps.

    Parameters
    ----------
    runs : mapping of str to array (3, steps)
        For each run, by the name that stands next to its line: the loss, w and v after each step.

    Returns
    -------
    Picture

    Examples
    --------
    >>> drawing = courses({"b = 1": np.array([[1.0, 0.5], [0.0, 0.1], [0.5, 0.6]])})
    >>> [axes.get_ylabel() for axes in drawing.axes]
    ['loss', 'output weight v']
    """
    picture, (left, right) = panels(2, width=9.0)
    for (name, run), look in zip(runs.items(), _colours(len(runs))):
        left.plot(run[0], label=name, **look)
        right.plot(run[2], label=name, **look)
    right.axhline(0, color=figures.GREY, linewidth=0.8, label="_zero")
    left.set(xlabel="step", ylabel="loss")
    right.set(xlabel="step", ylabel="output weight v")
    heading(left, "The loss falls, even with the wrong sign,")
    heading(right, "because v changes its sign")
    for axes in (left, right):
        figures.ends(axes)
    return picture


def _colours(number: int) -> list[dict[str, Any]]:
    """Colour and line of so many runs: backpropagation, feedback alignment, and others of the latter."""
    first, second = ({key: look[key] for key in ("color", "linestyle")} for look in looks(["bp", "fa"]))
    return [first, second, {**second, "color": FEEDBACK}, {**second, "color": FORWARD}][:number]


def fits(x: np.ndarray, target: np.ndarray, runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Picture:
    """Draw what networks answer after training, and how their loss fell.

    Parameters
    ----------
    x, target : array (N,)
        Inputs, and what the network should answer.
    runs : mapping of str to sequence of dict
        For each of up to three runs a dict for each step, with the loss and the answers y (N,).

    Returns
    -------
    Picture

    Examples
    --------
    >>> x = np.arange(3.0)
    >>> drawing = fits(x, x, {"backpropagation": [{"loss": 1.0, "y": 0 * x}, {"loss": 0.1, "y": 0.9 * x}]})
    >>> len(drawing.axes)
    2
    """
    picture, (left, right) = panels(2, width=9.0)
    left.plot(x, target, "o", color=figures.GREY, markersize=4, label="_target")
    for (name, run), look in zip(runs.items(), looks(list(RULES))):
        style = {"color": look["color"], "linestyle": look["linestyle"], "label": name}
        left.plot(x, run[-1]["y"], **style)
        right.plot([record["loss"] for record in run], **style)
    left.set(xlabel="input x", ylabel="answer y")
    right.set(xlabel="step", ylabel="loss", yscale="log")
    heading(left, "Answers after training (dots: the targets)")
    heading(right, "The loss, on a logarithmic scale")
    figures.ends(right)
    return picture


def turning(x: np.ndarray, target: np.ndarray, course: Sequence[Mapping[str, Any]], frames: int = 24) -> Film:
    """Show how the arrow of output weights turns towards that of feedback weights, and what the network answers.

    Parameters
    ----------
    x, target : array (N,)
        Inputs, and what the network should answer.
    course : sequence of dict
        For each step a dict with v (2,), b (2,), and the answers y (N,).
    frames : int
        How many of the steps are shown; they lie close together at first, when most happens.

    Returns
    -------
    Film

    Raises
    ------
    InputError
        If the weights are no arrows in a plane.

    Examples
    --------
    >>> x, b = np.arange(3.0), np.array([1.0, 1.0])
    >>> course = [{"v": np.array([k, 1.0]), "b": b, "y": k * x} for k in (-1.0, 0.0, 1.0)]
    >>> turning(x, x, course, frames=2)
    Film of 2 frames: the arrow v turns from 90 to 0 degrees away from b
    """
    if any(np.shape(course[0][name]) != (2,) for name in "vb"):
        raise InputError("the weights must be two numbers each, to be arrows in a plane, got v of shape "
                         f"{np.shape(course[0]['v'])} and b of shape {np.shape(course[0]['b'])}")
    frames = integer("frames", frames, 2)
    steps = np.unique(np.round(np.geomspace(1, len(course), frames)).astype(int)) - 1
    reach = 1.15 * max(float(np.abs(record[name]).max()) for record in course for name in "vb")
    low, high = (f([record["y"] for record in course] + [target]) for f in (np.min, np.max))
    shown = [_frame(x, target, course[:step + 1], reach, (float(low) - 0.1, float(high) + 0.1)) for step in steps]
    angles = [angle(course[step]["v"], course[step]["b"]) for step in (0, -1)]
    return Film(shown, f"the arrow v turns from {angles[0]:.0f} to {angles[1]:.0f} degrees away from b")


def _frame(x: np.ndarray, target: np.ndarray, course: Sequence[Mapping[str, Any]], reach: float,
           limits: tuple[float, float]) -> Picture:
    now = course[-1]
    picture, (left, right) = panels(2, width=7.2, height=3.3)
    trace = np.array([record["v"] for record in course])
    left.plot(*trace.T, color=FORWARD, linewidth=1, alpha=0.5)
    for name, colour in (("b", FEEDBACK), ("v", FORWARD)):
        arrow = now[name]
        left.annotate("", arrow, (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2,
                                                     "shrinkA": 0, "shrinkB": 0})
        beside = arrow / np.hypot(*arrow) * 0.13 * reach
        turned = np.array([-beside[1], beside[0]]) * (1 if name == "b" else -1)  # on either side of the two arrows
        left.text(*(arrow - beside + turned), name, color=colour, fontsize=13, ha="center", va="center")
    left.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="first hidden neuron",
             ylabel="second hidden neuron")
    heading(left, f"Step {len(course) - 1}: v is {angle(now['v'], now['b']):.0f}° away from b")
    right.plot(x, target, "o", color=figures.GREY, markersize=3)
    right.plot(x, now["y"], color=FORWARD)
    right.set(ylim=limits, xlabel="input x", ylabel="answer y")
    heading(right, "What the network answers")
    return picture
