"""How networks learn: curves over epochs, accuracies side by side, and answers beside targets."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import figures
from ..data.tasks import task_of
from ..errors import InputError
from ..experiments.plots import named
from ..experiments.results import shown
from ..figures import looks
from .frame import FORWARD, Picture, bare, heading, panels

if TYPE_CHECKING:
    from ..experiments.outcome import Outcome
    from ..learn import Run


def images(x: np.ndarray, labels: Sequence[Any]) -> Picture:
    """Draw grey images in a row, each below its label.

    Parameters
    ----------
    x : array (N, H, W) or (N, H, W, 1)
        A few images.
    labels : sequence
        What stands above each.

    Returns
    -------
    Picture

    Examples
    --------
    >>> drawing = images(np.zeros((3, 8, 8, 1)), [7, 1, 4])
    >>> [axes.get_title() for axes in drawing.axes]
    ['7', '1', '4']
    """
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    if x.ndim != 3 or not len(x) or len(x) != len(labels):
        raise InputError(f"expected grey images (N, H, W) and a label for each, got {x.shape} and {len(labels)} labels")
    picture, axes = panels(len(x), width=0.8 * len(x), height=1.1, squeeze=False)
    for one, image, label in zip(axes[0], x, labels):
        bare(one)
        one.imshow(image, cmap="gray_r")
        heading(one, str(label))
    return picture


def courses(runs: Mapping[str, Run]) -> Picture:
    """Draw what runs have learnt over the epochs, and how their errors point to those of backpropagation.

    Parameters
    ----------
    runs : mapping of str to Run
        The runs, by the names of their rules, in whose colours they are drawn.

    Returns
    -------
    Picture
        On the left the measure of the validation samples; on the right the cosine, at the first hidden block, between
        delta under the rule and under backpropagation, for those rules that send an error there.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("digits")
    >>> net = nb.models.build("mlp:8,8", data.shape, data.classes)
    >>> drawing = courses({"fa": nb.fit(net, "fa", data, nb.Settings(epochs=2), seed=0)})
    >>> [axes.get_ylabel() for axes in drawing.axes]
    ['validation accuracy', 'cosine of delta_1 with that of bp']
    """
    picture, (left, right) = panels(2, width=9.5, height=3.6)
    for (name, run), look in zip(runs.items(), looks(list(runs))):
        measure = task_of(run.history[0], "validation").measures[0]
        epochs = run.history.column("epoch")
        left.plot(epochs, run.history.column(f"validation_{measure.name}"), **{**look, "label": name})
        left.set_ylabel(f"validation {measure.words}")
        first = [cosines[0] for cosines in run.history.column("alignment_at_a")]
        if first[0] is not None:
            right.plot(epochs, first, **{**look, "label": name})
    right.set_ylabel("cosine of delta_1 with that of bp")
    heading(left, "What they have learnt")
    heading(right, "Do errors point where those of bp do?")
    for axes in (left, right):
        figures.epochs(axes)
        figures.ends(axes)
    return picture


def accuracies(found: Outcome, words: str = "") -> Picture:
    """Draw the test accuracy of each rule of a comparison: a dot for each seed, and a line at their mean.

    Parameters
    ----------
    found : Outcome
        What `nb.compare` returns, of classes.
    words : str
        What is to be seen, for the title.

    Returns
    -------
    Picture
        A row for each rule, the best one on top.

    Examples
    --------
    >>> import nobackprop as nb
    >>> found = nb.compare("xor", ["bp", "shallow"], seeds=[0], progress=False, epochs=1, model="mlp:8,8")
    >>> sorted(label.get_text() for label in accuracies(found).axes[0].get_yticklabels())
    ['bp (ceiling)', 'shallow (floor)']
    """
    of: dict[str, list[float]] = {}
    for run in found.results["runs"]:
        of.setdefault(run["rule"], []).append(run["test_accuracy"])
    styles = dict(zip(of, named(list(of), shown(of))))
    order = sorted(of, key=lambda rule: float(np.mean(of[rule])))
    picture, axes = panels(width=7.5, height=0.5 * len(order) + 1.1)
    for row, rule in enumerate(order):
        axes.plot(of[rule], [row] * len(of[rule]), "o", color=styles[rule]["color"], alpha=0.6, markersize=7)
        axes.plot([np.mean(of[rule])] * 2, [row - 0.3, row + 0.3], color=styles[rule]["color"], linewidth=2)
    low, high = (f([value for values in of.values() for value in values]) for f in (min, max))
    room = 0.06 * max(high - low, 0.1)
    axes.set(xlabel="test accuracy (a dot for each seed, a line at the mean)", ylim=(-0.6, len(order) - 0.4),
             xlim=(low - room, min(high + room, 1 + room / 4)))
    figures.names(axes, [styles[rule]["label"] for rule in order])
    heading(axes, words)
    return picture


def answers(y: np.ndarray, found: np.ndarray, words: str = "") -> Picture:
    """Draw the answers of a regression against the targets; a right answer lies on the diagonal.

    Parameters
    ----------
    y, found : array (N,)
        Targets and answers.
    words : str
        What the number is, for the axes.

    Returns
    -------
    Picture

    Examples
    --------
    >>> drawing = answers(np.arange(3.0), np.arange(3.0), "metres")
    >>> drawing.axes[0].get_xlabel()
    'target, metres'
    """
    y, found = np.ravel(y), np.ravel(found)
    if y.shape != found.shape or not y.size:
        raise InputError(f"expected an answer for each target, got {found.size} answers and {y.size} targets")
    picture, axes = panels(width=4.2, height=4.0)
    ends = [float(min(y.min(), found.min())), float(max(y.max(), found.max()))]
    axes.plot(ends, ends, color=figures.GREY, linewidth=1)
    axes.plot(y, found, "o", color=FORWARD, alpha=0.6, markersize=4)
    unit = f", {words}" if words else ""
    axes.set(xlabel=f"target{unit}", ylabel=f"answer{unit}", aspect="equal")
    heading(axes, "A right answer lies on the line")
    return picture
