"""Yang, Lee, Park 2024: the alignment of LAS on MNIST, and its accuracy on dense and convolutional networks."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ... import figures
from ...backend import Array
from ...feedback import products
from ...layers import Conv
from ...network import Network, Tape
from ...rules import DFA, LAS, LTAS, Credit
from ...tree import Tree
from .. import plots
from ..results import by_rule, column, cosine, seeds
from ..sweep import choice, show
from .exhibit import Arm, Exhibit, Scale

# ---------------------------------------------------------------- rules that only this paper's experiments need


@dataclass(frozen=True)
class FromProducts(DFA):
    """DFA whose B starts, and stays, at the product of the first weights above (Yang, Lee, Park 2024).

    Parameters
    ----------
    draw, kernel
        As in `DFA`, of which only the shapes are used here.

    Notes
    -----
    Section III-D: "we set the feedback weight as B_i = W_L ... W_i using the initial values of the forward weights".
    This is one weight transport, before the first step.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> B = FromProducts().init(rng, net, params, shapes)
    >>> np.array_equal(B[1], params[2]["W"])
    True
    """

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Return the products of the first weights; see `Rule.init`."""
        return _first_products(params)


@dataclass(frozen=True)
class LASFromProducts(LAS):
    """LAS whose modules start at the product of the first weights above (Yang, Lee, Park 2024).

    Parameters
    ----------
    draw, beside, shortcuts
        As in `LAS`; nothing is drawn.

    Notes
    -----
    As `FromProducts`.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,), "float64")
    >>> B, = LASFromProducts().init(rng, net, params, shapes)
    >>> np.allclose(B, params[2]["W"] @ params[1][0]["W"])
    True
    """

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Return the products of the first weights; see `Rule.init`."""
        return _first_products(params)[:-1]


@dataclass(frozen=True)
class LTASFromProducts(LASFromProducts, LTAS):
    """LTAS whose modules start at the product of the first weights above (Yang, Lee, Park 2024).

    Parameters
    ----------
    draw, beside, shortcuts
        As in `LAS`; nothing is drawn.

    Notes
    -----
    As `FromProducts`.

    Examples
    --------
    >>> LTASFromProducts().local_error.__func__ is LTAS.local_error
    True
    """


def _first_products(params: Tree) -> list[Array]:
    """The products of the weights above each hidden block, as arrays of their own."""
    return [np.array(P, "float64") for P in products(params)]


@dataclass(frozen=True)
class DenseBlocksDFA(DFA):
    """DFA under which convolutional blocks keep their first weights: what its signals to the dense blocks alone bring.

    Parameters
    ----------
    draw, kernel
        As in `DFA`.

    Notes
    -----
    A control of `las:order`, which stands in no paper.  Everything but the convolutional blocks learns as under `DFA`.

    Examples
    --------
    >>> from nobackprop import models
    >>> sorted(DenseBlocksDFA().untrained(models.build("conv-small", (8, 8, 1), 10)))
    [0, 1]
    """

    def untrained(self, net: Network) -> Mapping[int, str]:
        """Return the convolutional blocks; see `Rule.untrained`."""
        return {i: "only dense blocks learn" for i, block in enumerate(net)
                if any(isinstance(leaf, Conv) for leaf in block.weighted())}

    def credit(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Compute the gradients of DFA, and leave out those of convolutional blocks; see `Rule.credit`."""
        still = self.untrained(net)
        return Credit([None if i in still else grads
                       for i, grads in enumerate(super().credit(net, params, B, tape, y, rng).grads)])


HERE = "nobackprop.experiments.papers.las"

# ---------------------------------------------------------------- Fig. 4


def draw_alignment(results: dict[str, Any]) -> Figure:
    """Draw Fig. 4: the cosine of delta_1 with that of BP against epochs, mean and range over the seeds.

    Examples
    --------
    >>> record = {"alignment": [0.5, 1.0], "alignment_at_a": [0.5, 1.0]}
    >>> runs = [{"rule": "las, from the product", "seed": 0, "history": [record]}]
    >>> len(draw_alignment({"config": {"data": "mnist", "scale": "smoke"}, "runs": runs}).axes)
    2
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    panels, looks = figure.subplots(1, 2, sharey=True), {look["label"]: look for look in figures.looks(RULES_4)}
    for axes, start in zip(panels, STARTS):
        for label, runs in by_rule(results).items():
            rule, _, own = label.partition(", ")
            if own == start:
                plots.curve(axes, column(runs, partial(cosine, block=0)), looks[rule], band=True)
        figures.title(axes, start)
        figures.epochs(axes)
        figures.open_frame(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    panels[0].set_ylabel("cosine of delta_1 with BP's")
    config, number = results["config"], seeds(results)
    figures.title(figure, f"Alignment on {config['data']}, scale {config['scale']}, "
                          + ("1 seed" if number == 1 else f"mean and range of {number} seeds"))
    return figure


RULES_4 = ("dfa", "las", "ltas")
STARTS: Mapping[str, Mapping[str, str]] = {
    "from the product": {"dfa": f"{HERE}:FromProducts", "las": f"{HERE}:LASFromProducts",
                         "ltas": f"{HERE}:LTASFromProducts"},
    "from random": {"dfa": "dfa", "las": "las", "ltas": "ltas"},
}
FIGURE_4 = tuple(Arm(f"{name}, {start}", rule, "mlp:1024,1024")
                 for start, rules in STARTS.items() for name, rule in rules.items())
FIGURE_4_READING = """\
The paper draws curves and prints no numbers.  "From the product" is its start: every B is the product of the first
weights above, which for DFA it stays.  "From random" is the start that needs no weight transport.  The cosine is that
of a whole batch, at the end of every epoch, on the trajectory of the rule itself; the paper does not say which it
means.
"full" is SGD with the rate 1e-4, 100 epochs and batches of 64, as printed.  With e the mean over the batch, as here,
this rate hardly moves the weights; "small" therefore has the same network with a tenth of the images, 20 epochs and the
rate 1e-2."""

SGD = {"optimizer": "sgd", "batch_size": 64}
FIGURE_4_SCALES = {
    "smoke": Scale(1000, 0.0625, SGD | {"epochs": 2, "lr": 1e-2}, (0,), 300),
    "small": Scale(6000, 0.25, SGD | {"epochs": 20, "lr": 1e-2}, (0, 1, 2), 1000),
    "full": Scale(None, 1, SGD | {"epochs": 100, "lr": 1e-4}, (0, 1, 2)),
}

# ---------------------------------------------------------------- Table 1

ADAM = {"optimizer": "adam", "batch_size": 64, "lr": 1e-3}
CONV_SCALES = {
    "smoke": Scale(256, 0.0625, ADAM | {"epochs": 1}, (0,), 200, reduce=2),
    "small": Scale(5000, 0.125, ADAM | {"epochs": 30, "schedule": "cosine"}, (0, 1, 2), 1000, reduce=2),
    "full": Scale(None, 1, ADAM | {"epochs": 300}, (0, 1, 2)),
}
PUBLISHED = {"dfa": "dfa:kernel=yes", "las": "las:beside=published", "ltas": "ltas:beside=published"}
# of the code that printed the numbers: four modules, the exact path through shortcuts, a 7x7 stem
RESNET = {name: f"{rule}:shortcuts=yes" if name != "dfa" else rule for name, rule in PUBLISHED.items()}
MODELS = {"conv3": "conv3", "conv3-bn": "conv3-bn", "resnet18": "resnet18-published"}
AUGMENT = {"flip": "flip", "strong": "flip,cutout:8,randaugment:2:9"}
METHODS = ("bp", "shallow", "dfa", "las", "ltas")
# Table 1 in per cent, by data set, augmentation and model, in the order of METHODS
TABLE_1: Mapping[str, Mapping[str, Mapping[str, tuple[float | None, ...]]]] = {
    "cifar-10": {
        "flip": {"conv3": (84.51, 66.68, 78.31, 79.60, 81.91), "conv3-bn": (84.76, None, 78.38, 81.89, 81.67),
                 "resnet18": (82.62, None, 76.97, 77.65, 77.72)},
        "strong": {"conv3": (91.00, None, 79.25, 84.99, 86.82), "conv3-bn": (91.47, None, 84.67, 85.78, 85.75),
                   "resnet18": (93.39, None, 87.90, 86.85, 87.26)},
    },
    "cifar-100": {
        "flip": {"conv3": (54.07, 38.86, 46.28, 54.00, 55.81), "conv3-bn": (64.25, None, 50.42, 57.97, 58.16),
                 "resnet18": (53.25, None, 45.38, 50.26, 48.82)},
        "strong": {"conv3": (64.33, None, 39.79, 61.39, 56.31), "conv3-bn": (71.43, None, 56.16, 63.67, 64.07),
                   "resnet18": (69.60, None, 54.27, 60.38, 60.30)},
    },
    "tiny-imagenet": {"strong": {"resnet18": (59.97, None, 38.84, 46.78, 45.66)}},
}
CONV_READING = """\
Rules and networks are those of the paper's published code, with which the numbers were probably printed: modules with
the maximum over positions, one kernel-shaped B of DFA for all positions, and a ResNet18 with four modules, the exact
error through shortcuts and a 7x7 stem.  Shallow is printed for Conv3 with flips only.  "Strong" augmentation is
RandAugment, cutout and flips; its numbers are not printed, here they are randaugment:2:9 and cutout:8.  The paper
searched rates and weight decay on a grid and names neither: here the rate is 1e-3 without decay, and 300 epochs at the
scale "full" (the paper: 300 for CIFAR-10, 500 for CIFAR-100)."""


def _table_1(data: str) -> tuple[Arm, ...]:
    """The arms of a data set in Table 1: every method that is printed, for every network and augmentation."""
    return tuple(Arm(f"{method}, {model}, {augment}",
                     (RESNET if model == "resnet18" else PUBLISHED).get(method, method), MODELS[model], number,
                     {"augment": AUGMENT[augment]})
                 for augment, models in TABLE_1[data].items() for model, numbers in models.items()
                 for method, number in zip(METHODS, numbers, strict=True) if number is not None)


# ---------------------------------------------------------------- the order of Table 1, and why DFA lies where it lies

# in the order in which they are trained: those that answer the question first
ORDER = {"shallow": ("shallow", 66.68), "dfa": ("dfa", None), "dfa, lower rate": ("dfa", None),
         "dfa, dense blocks alone": (f"{HERE}:DenseBlocksDFA", None), "dfa, kernel": ("dfa:kernel=yes", 78.31),
         "las": ("las", None), "las, published": ("las:beside=published", 79.60), "bp": ("bp", 84.51)}
TRIED = (1e-4, 3e-4, 1e-3, 3e-3)
FLIP = {"augment": "flip"}
# of the scale "small": the best of TRIED for each on validation images, by las:order-rates; and a lower one of dfa
BEST = {"shallow": 3e-3, "dfa": 3e-4, "dfa, lower rate": 1e-4, "dfa, dense blocks alone": 3e-3, "dfa, kernel": 1e-4,
        "las": 3e-4, "las, published": 3e-4, "bp": 1e-3}
TABLE_1_ORDER = tuple(Arm(label, rule, "conv3", printed, FLIP, at={"small": {"lr": BEST[label]}})
                      for label, (rule, printed) in ORDER.items())
ORDER_SCALES = CONV_SCALES | {"small": replace(CONV_SCALES["small"], train=20_000, factor=0.25, held_back=2000)}
ORDER_READING = """\
Conv3 on CIFAR-10 with flips.  The printed numbers stand next to the rules of the paper's published code; "las" and
"dfa" are as in the text: modules with the average over positions, and a B with a column for every unit.  "dfa, dense
blocks alone" is a control: its convolutions keep their first weights, as those of "shallow" do.
The images went through JPEG once.  At the scale "small" squares of four pixels are averaged, and the network has a
quarter of the width, and each rule has the best of four rates on validation images, which las:order-rates found.  That
search is short, and two rates of dfa were less than a point apart in it: "dfa, lower rate" has the other one."""


def draw_rates(results: dict[str, Any]) -> Figure:
    """Draw the last validation accuracy of las:order-rates against the learning rate, as the figure of a sweep.

    Examples
    --------
    >>> runs = [{"rule": f"las, {lr:g}", "seed": 0, "seconds": 1.0, "history": [{"validation_accuracy": 0.5}]}
    ...         for lr in TRIED]
    >>> draw_rates({"config": {"data": "cifar-10", "model": "conv3"}, "runs": runs}).axes[0].get_xlabel()
    'learning rate'
    """
    parts = {label: label.rpartition(", ") for label in by_rule(results)}
    return show.draw({"config": results["config"], "search": [
        {"label": parts[label][0], "settings": {"lr": float(parts[label][2])},
         "runs": [choice.found({**results, "runs": [run]}) for run in runs]}
        for label, runs in by_rule(results).items()]})


def _rates(of: Exhibit, epochs: int) -> Exhibit:
    """The search for the learning rates of an exhibit: its rules with each rate of TRIED, a few epochs, one seed."""
    firsts = {arm.rule: arm for arm in reversed(of.arms)}
    arms = tuple(replace(arm, label=f"{arm.label}, {rate:g}", printed=None, at={},
                         settings={**arm.settings, "lr": rate})
                 for arm in of.arms if arm is firsts[arm.rule] for rate in TRIED)
    scales = {name: replace(scale, seeds=(0,),
                            settings={**scale.settings, "epochs": min(scale.settings["epochs"], epochs)})
              for name, scale in of.scales.items()}
    return Exhibit(f"{of.name}-rates", f"The learning rates of {of.name}, four for each rule", of.data, arms, scales,
                   f"The arms of {of.name} with four rates, for {epochs} epochs and with one seed: which rate is best "
                   "for which rule, on\nvalidation images.", draw=draw_rates)


# what a hundred classes do; the rates as in BEST, by las:many-classes-rates, in which dfa had two that are equally good
MANY_BEST = {"bp": 1e-3, "shallow": 1e-3, "dfa": 1e-4, "las": 1e-3, "las, lower rate": 3e-4, "ltas": 1e-4,
             "ltas, higher rate": 3e-4}
MANY = tuple(Arm(label, label.partition(",")[0], "conv3", None, FLIP, at={"small": {"lr": rate}})
             for label, rate in MANY_BEST.items())
MANY_SCALES = {"smoke": CONV_SCALES["smoke"],
               "small": replace(CONV_SCALES["small"], train=None, reduce=1,
                                settings={**CONV_SCALES["small"].settings, "epochs": 15}),
               "full": CONV_SCALES["full"]}
MANY_READING = """\
The claim is that of CIFAR-100 in Tables 1 and 2: with many classes DFA falls to the level of shallow, and LAS and LTAS
stay near BP.  Here it is asked of the classes of Tiny ImageNet, averaged to 32 x 32 pixels, and Conv3 with flips.  At
the scale "small" the network has an eighth of the width, and each rule has the best of four rates on validation images,
which las:many-classes-rates found.  That search is short: with the rate that won it, las breaks down after epoch three.
"las, lower rate" and "ltas, higher rate" have the next best one."""

# the same network, with the modules of the text and with those of the published code
VARIANTS = (
    Arm("bp, one block each", "bp", "resnet18", None, FLIP),
    Arm("las, one module each", "las", "resnet18", None, FLIP),
    Arm("bp, four blocks", "bp", "resnet18-published", 82.62, FLIP),
    Arm("las, four modules", "las:beside=published", "resnet18-published", None, FLIP),
    Arm("las, four modules, shortcuts", "las:beside=published:shortcuts=yes", "resnet18-published", 77.65, FLIP),
)
VARIANTS_READING = """\
ResNet18 on CIFAR-10 with flips, built by the paper's text (a module for every residual block, no other error from
above) and by its published code (four modules, 7x7 stem, and the exact error through shortcuts as well)."""

# ---------------------------------------------------------------- Table 2

# in per cent, in the order of METHODS
TABLE_2: Mapping[str, tuple[float, ...]] = {"mnist": (98.62, 98.62, 98.50, 98.71, 98.64),
                                            "cifar-10": (61.44, 58.31, 60.08, 60.57, 60.54),
                                            "cifar-100": (33.76, 29.65, 29.97, 32.53, 32.03)}
TABLE_2_MODELS = {"mnist": "mlp:1024,1024", "cifar-10": "mlp:4096,4096,4096", "cifar-100": "mlp:4096,4096,4096"}
DENSE_READING = """\
The caption calls this Table 2; the paper's text calls it Table 1.  The rates were searched on a grid and are not
printed: here they are 1e-3 on MNIST, and 1e-4 on CIFAR at the scale "full"."""


def _dense_scales(epochs: int, reduce: int, full: dict[str, Any]) -> dict[str, Scale]:
    """The three scales of a column of Table 2."""
    return {"smoke": Scale(1000, 0.0625, ADAM | {"epochs": 2}, (0,), 300, reduce=reduce),
            "small": Scale(10_000, 0.125, ADAM | {"epochs": 15, "schedule": "cosine"}, (0, 1, 2), 1000, reduce=reduce),
            "full": Scale(None, 1, ADAM | {"epochs": epochs} | full, (0, 1, 2))}


def _table_2(data: str) -> tuple[Arm, ...]:
    """The arms of a column of Table 2."""
    return tuple(Arm(method, method, TABLE_2_MODELS[data], number)
                 for method, number in zip(METHODS, TABLE_2[data], strict=True))


PHOTOS: dict[str, Any] = {"lr": 1e-4, "augment": "flip"}
DENSE_SCALES = {"mnist": _dense_scales(100, 1, {}), "cifar-10": _dense_scales(300, 2, PHOTOS),
                "cifar-100": _dense_scales(500, 2, PHOTOS)}
NAMES = {"mnist": "MNIST", "cifar-10": "CIFAR-10", "cifar-100": "CIFAR-100", "tiny-imagenet": "Tiny ImageNet"}
EXHIBITS: dict[str, Exhibit] = {exhibit.name: exhibit for exhibit in (
    Exhibit("las:figure-4", "Alignment of delta_1 with that of BP: LAS, LTAS and DFA on MNIST", "mnist", FIGURE_4,
            FIGURE_4_SCALES, FIGURE_4_READING, draw=draw_alignment),
    *(Exhibit(f"las:table-1-{data}", f"LAS and LTAS on convolutional networks, {NAMES[data]}", data, _table_1(data),
              CONV_SCALES, CONV_READING) for data in TABLE_1),
    *(Exhibit(f"las:table-2-{data}", f"LAS and LTAS on fully connected networks, {NAMES[data]}", data, _table_2(data),
              scales, DENSE_READING) for data, scales in DENSE_SCALES.items()),
    *(exhibit for main, epochs in (
        (Exhibit("las:order", "The order of Table 1 with Conv3, and why DFA lies where it lies", "cifar-10",
                 TABLE_1_ORDER, ORDER_SCALES, ORDER_READING), 4),
        (Exhibit("las:many-classes", "A hundred classes of Tiny ImageNet, LAS beside BP", "tiny-imagenet-32", MANY,
                 MANY_SCALES, MANY_READING), 2)) for exhibit in (main, _rates(main, epochs))),
    Exhibit("las:variants", "ResNet18 by the paper's text and by its published code", "cifar-10", VARIANTS, CONV_SCALES,
            VARIANTS_READING),
)}
