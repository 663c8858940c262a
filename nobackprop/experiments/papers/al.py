"""Kao and Chen 2020: associated learning against backpropagation, and what its hidden layers have learnt."""
from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ... import figures
from ...errors import InputError
from ...figures import GREY
from ...learn import Run, evaluate
from ...rules import AssociatedLearning
from ...studies.code_quality import activities, associated_losses, distances, embed
from ..results import NUMBER, SHARE, Number, by_place, by_rule, seeds
from .exhibit import Arm, Exhibit, Scale

SAMPLES = 1000  # that losses and distances are measured on
POINTS = 300  # of a picture
CHUNK = 100  # images that go through a network at once: of each convolution all patches are kept

# ---------------------------------------------------------------- what is measured


def losses(run: Run) -> dict[str, Any]:
    """Measure the two losses of every component on the first 1000 training samples.

    Returns
    -------
    dict
        "associated" and "autoencoder", each a list from the first component on.  Empty for another rule than AL.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.Run(nb.models.build("mlp:4,4,4", data.shape, data.classes), "al", data)
    >>> {name: len(values) for name, values in losses(run).items()}
    {'associated': 1, 'autoencoder': 1}
    """
    if not isinstance(run.rule, AssociatedLearning):
        return {}
    found = associated_losses(run.net, run.rule, run.params, run.state, run.x[:SAMPLES], run.y[:SAMPLES])
    associated, autoencoder = zip(*found)
    return {"associated": list(associated), "autoencoder": list(autoencoder)}


def training_accuracy(run: Run) -> dict[str, Any]:
    """Measure the accuracy on all training samples.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.Run(nb.models.build("mlp:4", data.shape, data.classes), "bp", data)
    >>> 0 <= training_accuracy(run)["training_accuracy"] <= 1
    True
    """
    return {"training_accuracy": evaluate(run.net, run.params, run.x, run.y, rule=run.rule)["accuracy"]}


def layers(run: Run, blocks: Sequence[int], samples: int) -> list[np.ndarray]:
    """Return what some blocks make of the first validation samples.

    Parameters
    ----------
    run : Run
        The run.
    blocks : sequence of int
        The blocks, counted from 1; 0 stands for the samples themselves.
    samples : int
        The number N of samples.

    Returns
    -------
    list of numpy.ndarray
        For each block (N, F).

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.Run(nb.models.build("mlp:4", data.shape, data.classes), "bp", data)
    >>> [h.shape for h in layers(run, [0, 1], 10)]
    [(10, 30), (10, 4)]
    """
    x = run.validation[0][:samples]
    parts = [activities(run.net, run.params, x[i:i + CHUNK], blocks) for i in range(0, len(x), CHUNK)]
    return [np.concatenate(block) for block in zip(*parts)]


def last_hidden(run: Run) -> dict[str, Any]:
    """Measure distances between and within classes in the last hidden layer, of up to 1000 validation samples.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.Run(nb.models.build("mlp:4", data.shape, data.classes), "bp", data)
    >>> sorted(last_hidden(run))
    ['inter', 'intra']
    """
    h, = layers(run, [len(run.net) - 1], SAMPLES)
    found = distances(h, run.data.y_validation[:SAMPLES])
    return {"inter": found.inter, "intra": found.intra}


def pictures(run: Run, blocks: Sequence[int | None] = (0, 2, 4, None)) -> dict[str, Any]:
    """Make pictures by t-SNE after the last epoch, of up to 300 validation samples.

    Parameters
    ----------
    run : Run
        The run.
    blocks : sequence of int or None
        Of which layers: 0 stands for the raw samples, and None for a_L.

    Returns
    -------
    dict
        "labels", N integers, and "points", for each picture N pairs [x, y].  Empty before the last epoch.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.Run(nb.models.build("mlp:4,4,4,4", data.shape, data.classes), "bp", data)
    >>> pictures(run)
    {}
    """
    if len(run.history) < run.settings.epochs:
        return {}
    seen = layers(run, [len(run.net) if block is None else block for block in blocks], POINTS)
    return {"labels": run.data.y_validation[:POINTS].tolist(),
            "points": [np.round(embed(h), 2).tolist() for h in seen]}


def cnn_pictures(run: Run) -> dict[str, Any]:
    """Make pictures as `pictures` does, of the fourth, the eighth and the twelfth layer of `folded-cnn`.

    Each of its first four blocks holds two of the layers that the paper counts.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> cnn_pictures(nb.Run(nb.models.build("mlp:4", data.shape, data.classes), "bp", data))
    {}
    """
    return pictures(run, (0, 2, 4, 8))


# ---------------------------------------------------------------- how it is drawn


POSITIVE = Number(0, null=True)  # null in a network that broke down
LAYERS = ("raw data", "second layer", "fourth layer", "output")
CNN_LAYERS = ("raw data", "fourth layer", "eighth layer", "twelfth layer")
LOSSES = {"associated": [POSITIVE], "autoencoder": [POSITIVE]}
ACCURACY = {"training_accuracy": SHARE}
DISTANCES = {"inter": POSITIVE, "intra": POSITIVE}
PICTURES = {"labels": [Number(0, 9999, whole=True)], "points": ([(NUMBER, NUMBER)],) * len(LAYERS)}


def draw_losses(results: dict[str, Any]) -> Figure:
    """Draw Table 5: the associated loss of every component after the last epoch, a panel for each network.

    Examples
    --------
    >>> record = {"associated": [1e-3]}
    >>> runs = [{"rule": "1 component", "seed": 0, "history": [record]}]
    >>> len(draw_losses({"config": {"data": "mnist", "scale": "smoke"}, "runs": runs}).axes)
    1
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    arms, colour = by_rule(results), figures.colour_of("al")
    panels = figure.subplots(1, len(arms), sharey=True, squeeze=False)[0]
    for axes, (label, runs) in zip(panels, arms.items()):
        found = by_place([run["history"][-1]["associated"] for run in runs])
        low, middle, high = zip(*map(_range, found), strict=True) if found else ((), (), ())
        component = np.arange(1, len(found) + 1)
        printed = PRINTED_LOSSES[label]
        axes.semilogy(component, middle, "o-", color=colour, label="here: mean and range")
        axes.vlines(component, low, high, color=colour, linewidth=4, alpha=0.3)
        axes.semilogy(np.arange(1, len(printed) + 1), printed, "s--", color=GREY, label="printed, after 200 epochs")
        last = max(len(found), len(printed))
        axes.set(xlabel="component i", xticks=range(1, last + 1), xlim=(0.6, max(last, 3) + 0.4))
        figures.title(axes, label)
        figures.open_frame(axes)
    panels[0].set_ylabel(r"$|b_i(s_i) - t_i|^2$, mean over units")
    figures.legend(figure, *panels[0].get_legend_handles_labels())
    figures.title(figure, _title(results, "How small the associated loss of each component becomes"))
    return figure


def draw_distances(results: dict[str, Any], printed: Mapping[str, tuple[float, float]] | None = None) -> Figure:
    """Draw Table 7: distances between and within classes of every arm, and their ratio next to the printed one.

    Parameters
    ----------
    results : dict
        Of the form in nobackprop/experiments/results.py.
    printed : mapping, optional
        The two printed distances of every arm; those on CIFAR-10 if they are left out.

    Examples
    --------
    >>> runs = [{"rule": "bp, mlp", "seed": 0, "history": [{"inter": 2.0, "intra": 1.0}]}]
    >>> len(draw_distances({"config": {"data": "cifar-10", "scale": "smoke"}, "runs": runs}).axes)
    2
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    arms = by_rule(results)
    colours = [figures.colour_of(figures.split(label)[0]) for label in arms]
    last = {label: [run["history"][-1] for run in runs] for label, runs in arms.items()}
    places = np.arange(len(arms))
    lengths, ratios = figure.subplots(1, 2)
    lengths.set_yscale("log")
    for key, mark in (("inter", "o"), ("intra", "s")):
        means = [_range([record[key] for record in records])[1] for records in last.values()]
        lengths.scatter(places, means, color=colours, marker=mark)
    low, middle, high = zip(*(_range(list(map(_ratio, records))) for records in last.values()), strict=True)
    there = [inter / intra for inter, intra in ((printed or PRINTED_DISTANCES)[label] for label in arms)]
    ratios.bar(places - 0.2, middle, 0.4, color=colours)
    ratios.vlines(places - 0.2, low, high, color=GREY)
    ratios.bar(places + 0.2, there, 0.4, color="white", edgecolor=colours, hatch="//")
    lengths.set_ylabel("mean distance")
    ratios.set_ylabel("between / within")
    figures.title(lengths, "Distances in the last hidden layer")
    figures.title(ratios, "How far apart the classes are")
    for axes in (lengths, ratios):
        axes.set_xticks(places, arms)
        axes.set_xlim(-0.6, len(arms) - 0.4)
        figures.open_frame(axes)
    figures.legend(figure, [Line2D([], [], color=GREY, marker="o", linestyle=""),
                            Line2D([], [], color=GREY, marker="s", linestyle=""),
                            Patch(color=GREY), Patch(facecolor="white", edgecolor=GREY, hatch="//")],
                   ["between classes", "within a class", "here: mean and range", "printed"])
    figures.title(figure, _title(results, "What the last hidden layer makes of the classes"))
    return figure


def _ratio(record: dict[str, Any]) -> float | None:
    """The ratio of the distances between and within classes; None if all samples of each class are one point."""
    return record["inter"] / record["intra"] if record["inter"] is not None and record["intra"] else None


def _range(values: Sequence[float | None]) -> tuple[float, float, float]:
    """The lowest, the mean and the highest of the values that are not None; not a number if all are None."""
    there = [value for value in values if value is not None] or [math.nan]
    return min(there), statistics.fmean(there), max(there)


def draw_pictures(results: dict[str, Any], names: Sequence[str] = LAYERS) -> Figure:
    """Draw Fig. 5 or 6: raw data and three layers in two dimensions, a row for each arm, of the first seed.

    Parameters
    ----------
    results : dict
        Of the form in nobackprop/experiments/results.py.
    names : sequence of str
        What the pictures are of.

    Raises
    ------
    InputError
        If there are not as many points as labels, or if there are none.

    Examples
    --------
    >>> record = {"labels": [0, 1], "points": [[[0.0, 1.0], [2.0, 3.0]]] * 4}
    >>> runs = [{"rule": "bp, mlp", "seed": 0, "history": [record]}]
    >>> len(draw_pictures({"config": {"data": "mnist", "scale": "smoke"}, "runs": runs}).axes)
    4
    """
    arms = {label: runs[0]["history"][-1] for label, runs in by_rule(results).items()}
    figure = Figure(figsize=(11, 2.7 * len(arms) + 0.4), layout="constrained")
    for row, (label, record) in zip(figure.subplots(len(arms), len(names), squeeze=False), arms.items()):
        for axes, name, points in zip(row, names, record["points"]):
            labels = record["labels"]
            if len(points) != len(labels) or not points:
                raise InputError(f"the picture of {label}, {name}, has {len(points)} points and {len(labels)} labels, "
                                 "expected as many, and at least one")
            scatter(axes, np.array(points), np.array(labels))
            figures.title(axes, f"{label}: {name}")
    figures.title(figure, _title(results, "What layers make of images, by t-SNE", 1))
    return figure


def scatter(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    """Draw points (N, 2) with a colour for each class, and no axes, as those of t-SNE have no meaning.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> scatter(axes, np.zeros((3, 2)), np.array([0, 1, 2]))
    >>> len(axes.collections)
    1
    """
    axes.scatter(points[:, 0], points[:, 1], c=labels, cmap="tab10" if labels.max() < 10 else "turbo", s=7, linewidth=0)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color("#CCCCCC")


def _title(results: dict[str, Any], what: str, number: int | None = None) -> str:
    """The title of a figure: what it shows, data set, scale and the number of seeds."""
    config, number = results["config"], number or seeds(results)
    return f"{what}: {config['data']}, scale {config['scale']}, {number} seed{'s' * (number > 1)}"


# ---------------------------------------------------------------- what is run


MLP = "mlp:1024,1024,5120,1024,1024"
ACTIVATIONS = {"bp": "relu", "dtp": "tanh", "al": "elu,sigmoid"}
RATES: dict[str, dict[str, dict[str, float]]] = {
    "bp": {}, "dtp": {}, "al": {"smoke": {"lr": 3e-3}, "small": {"lr": 3e-3}}}


def _arm(name: str, rule: str, model: str, printed: float | None = None, **full: float) -> Arm:
    """The arm of a rule on a model; `full` holds settings of the scale "full" alone."""
    rates = RATES[rule] | ({"full": full} if full else {})
    return Arm(f"{rule}, {name}", rule, model, printed, activation=ACTIVATIONS[rule], at=rates)


READING = """\
All rules that are compared train the same network, and so have the same number of effective parameters; AL has
affiliated ones, too.  "b_2 contains 5120 neurons" is read as a bridge with a hidden layer of 5120 and an output of
1024, as in the note under Table 6.  The folded convolutional networks are those of the authors' published code if it
is clear, with the differences that nobackprop/models/folded.py names.  BP learns with ReLU and cross-entropy, DTP with
tanh, AL with ELU below the middle, with sigmoid from there on, and with its own squared errors.
"full" has Adam at 1e-4, 200 epochs and batches of 32.  The paper lowers the rate after 80, 120, 160 and 180 epochs, but
does not say how far; here the library's "step" does it.  The doubled rate for g and h of the authors' code is left out.
"smoke" and "small" have narrower networks, fewer images, few epochs and higher rates."""

CIFAR_READING = READING + """
The images went through JPEG once.  The paper gives no widths for its MLP on CIFAR-10: here they are those on MNIST.
Only "full" has a jitter of two pixels, and L2 weights of 5e-4 (VGG) and 1e-4 (ResNets).  At the other scales squares of
four pixels are averaged."""

ADAM = {"optimizer": "adam", "batch_size": 32, "lr": 1e-3, "schedule": "cosine"}
PAPER = {"optimizer": "adam", "batch_size": 32, "lr": 1e-4, "schedule": "step", "epochs": 200}
SEEDS = (0, 1, 2)
MNIST_SCALES = {
    "smoke": Scale(2000, 0.125, ADAM | {"epochs": 3}, (0,), 300),
    "small": Scale(20_000, 0.125, ADAM | {"epochs": 5}, SEEDS, 1000),
    "full": Scale(None, 1, PAPER, SEEDS),
}
CIFAR_SCALES = {
    "smoke": Scale(1000, 0.125, ADAM | {"epochs": 2}, (0,), 300, reduce=2),
    "small": Scale(5000, 0.25, ADAM | {"epochs": 4}, SEEDS, 1000, reduce=2),
    "full": Scale(None, 1, PAPER | {"augment": "jitter:2"}, SEEDS),
}

TABLE_2 = (
    _arm("mlp", "bp", MLP, 98.5),
    _arm("mlp", "al", MLP, 98.6),
    _arm("mlp", "dtp", MLP, 96.43),
    _arm("cnn", "bp", "folded-cnn", 99.4),
    _arm("cnn", "al", "folded-cnn", 99.5),
)
TABLE_3 = (
    _arm("mlp", "bp", MLP, 60.6),
    _arm("mlp", "al", MLP, 62.8),
    _arm("mlp", "dtp", MLP, 58.2),
    _arm("cnn", "bp", "folded-cnn", 85.2),
    _arm("cnn", "al", "folded-cnn", 85.8),
    _arm("resnet20", "bp", "folded-resnet20", 91.2, lr=1e-3, weight_decay=1e-4),
    _arm("resnet20", "al", "folded-resnet20", 89.1, lr=1e-3, weight_decay=1e-4),
    _arm("resnet32", "bp", "folded-resnet32", 92.0, lr=1e-3, weight_decay=1e-4),
    _arm("resnet32", "al", "folded-resnet32", 88.7, lr=1e-3, weight_decay=1e-4),
    _arm("vgg", "bp", "folded-vgg", 92.3, weight_decay=5e-4),
    _arm("vgg", "al", "folded-vgg", 92.6, weight_decay=5e-4),
)
# CIFAR-100, in per cent: BP, AL
TABLE_4_PRINTED = {"mlp": (26.5, 29.7), "cnn": (51.1, 52.2), "resnet20": (63.7, 61.0), "resnet32": (63.7, 59.0),
                   "vgg": (65.8, 67.1)}
# the same networks and settings as on CIFAR-10; the paper widens the bridge, and does not say how far
TABLE_4 = tuple(replace(arm, printed=TABLE_4_PRINTED[arm.label.partition(", ")[2]][arm.rule == "al"])
                for arm in TABLE_3 if arm.rule != "dtp")


def _components(*printed: float | None) -> tuple[Arm, ...]:
    """The network with one component, with two, and so on; 5120 units in the middle of each."""
    return tuple(Arm(f"{c} component{'s' * (c > 1)}", "al", f"mlp:{'1024,' * c}5120{',1024' * c}", number,
                     activation=ACTIVATIONS["al"], at=RATES["al"]) for c, number in enumerate(printed, start=1))


# |b_i(s_i) - t_i|^2 of Table 5
PRINTED_LOSSES = {"1 component": (1.2488e-5,), "2 components": (1.5469e-5, 3.5818e-7),
                  "3 components": (1.2219e-5, 3.8033e-7, 6.7192e-10)}
LOSSES_READING = READING + """
Table 5 prints losses, not accuracies:
{}.
The table's head says that they are squared norms.  Their size suggests means over units, and these are recorded here,
on the first 1000 training images.""".format(";\n".join(f"  {label}: {', '.join(f'{loss:.4e}' for loss in printed)}"
                                    for label, printed in PRINTED_LOSSES.items()))

TABLE_7 = tuple(_arm(name, rule, model) for name, model in (("mlp", MLP), ("cnn", "folded-cnn"))
                for rule in ("bp", "al"))
# inter- and intra-class distance of Table 7, on CIFAR-10
PRINTED_DISTANCES = {"bp, mlp": (39.36, 67.97), "al, mlp": (0.73, 0.66), "bp, cnn": (41.82, 26.87),
                     "al, cnn": (1.17, 0.36)}
PRINTED_DISTANCES_100 = {"bp, mlp": (114.42, 342.65), "al, mlp": (0.23, 0.28), "bp, cnn": (114.71, 163.43),
                         "al, cnn": (0.55, 0.51)}


def _distances_reading(printed: dict[str, tuple[float, float]]) -> str:
    """How Table 7 was read, with what it prints for a data set."""
    return CIFAR_READING + """
Table 7 prints distances, not accuracies, between and within classes:
{}.
It does not say of which layer and of which images they are, or how classes are averaged.  Here they are of the last
hidden layer and of up to 1000 validation images, and all classes count alike.""".format(";\n".join(
        f"  {label}: {inter} and {intra}" for label, (inter, intra) in printed.items()))



FIGURE_5 = (_arm("mlp", "bp", MLP), _arm("mlp", "al", MLP))
FIGURE_6 = (_arm("cnn", "bp", "folded-cnn"), _arm("cnn", "al", "folded-cnn"))
PICTURES_READING = CIFAR_READING + """
Up to 300 validation images; AL's picture of the output is of what its sigmoid takes."""

EXHIBITS: dict[str, Exhibit] = {exhibit.name: exhibit for exhibit in (
    Exhibit("al:table-2", "AL against BP and DTP on MNIST", "mnist", TABLE_2, MNIST_SCALES, READING),
    Exhibit("al:table-3", "AL against BP and DTP on CIFAR-10", "cifar-10", TABLE_3, CIFAR_SCALES, CIFAR_READING),
    Exhibit("al:table-4", "AL against BP on CIFAR-100", "cifar-100", TABLE_4, CIFAR_SCALES, CIFAR_READING),
    Exhibit("al:table-5", "Associated loss of each component, in networks of one to three", "mnist",
            _components(None, None, None), MNIST_SCALES, LOSSES_READING, losses, LOSSES, draw_losses),
    Exhibit("al:table-6", "Accuracy with one to three components", "mnist", _components(98.49, 98.60, 98.71),
            MNIST_SCALES, READING + "\nTraining accuracies are printed, too: 100 % in each.", training_accuracy,
            ACCURACY),
    Exhibit("al:table-7", "Distances between and within classes in the last hidden layer", "cifar-10", TABLE_7,
            CIFAR_SCALES, _distances_reading(PRINTED_DISTANCES), last_hidden, DISTANCES, draw_distances),
    Exhibit("al:table-7-cifar-100", "Distances between and within classes in the last hidden layer, CIFAR-100",
            "cifar-100", TABLE_7, CIFAR_SCALES, _distances_reading(PRINTED_DISTANCES_100), last_hidden, DISTANCES,
            partial(draw_distances, printed=PRINTED_DISTANCES_100)),
    Exhibit("al:figure-5", "t-SNE of hidden layers under BP and AL", "cifar-10", FIGURE_5, CIFAR_SCALES,
            PICTURES_READING, pictures, PICTURES, draw_pictures),
    Exhibit("al:figure-6", "t-SNE of the fourth, eighth and twelfth layer of the convolutional network", "cifar-10",
            FIGURE_6, CIFAR_SCALES, PICTURES_READING, cnn_pictures, PICTURES,
            partial(draw_pictures, names=CNN_LAYERS)),
)}
