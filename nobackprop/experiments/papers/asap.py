"""Woo 2023: forward alignment on MNIST, activation sharing on CIFAR-10, and what it stores."""
from __future__ import annotations

from functools import partial
from typing import Any

from matplotlib.figure import Figure

from ... import figures
from ...backend import to_numpy
from ...feedback import weights
from ...learn import Run
from ...rules import FoA
from ...studies.turning import angle
from ...tree import leaves
from .. import plots
from ..results import Maybe, Number, by_rule, column, seeds
from .exhibit import Arm, Exhibit, Scale

# ---------------------------------------------------------------- chapter 3


def angles(run: Run) -> dict[str, Any]:
    """Measure the angle, in degrees, between W and the fixed C of every layer, from the input up.

    Returns
    -------
    dict
        "angles", a list.  Empty for another rule than forward alignment.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.Run(nb.models.build("mlp:4", data.shape, data.classes), "foa", data)
    >>> len(angles(run)["angles"])
    2
    """
    if type(run.rule) is not FoA:
        return {}
    pairs = zip(leaves(weights(to_numpy(run.params))), leaves(to_numpy(run.state)), strict=True)
    return {"angles": [angle(W, C) for (_, W), (_, C) in pairs]}


LAYERS = ("784 x 10, below them", "layer 1", "layer 2")
ANGLES = {"angles": Maybe((Number(0, 180, null=True),) * len(LAYERS))}


def draw_angles(results: dict[str, Any]) -> Figure:
    """Draw Fig. 3.2: the angle between W and C of every layer against epochs, mean and range over the seeds.

    If only arms of backpropagation were run, their comparison is drawn.

    Examples
    --------
    >>> runs = [{"rule": "foa, linear", "seed": 0, "history": [{"angles": [90.0, 80.0, 70.0]}]}]
    >>> len(draw_angles({"config": {"data": "mnist"}, "runs": runs}).axes)
    1
    """
    arms = {label: runs for label, runs in by_rule(results).items() if "angles" in runs[0]["history"][0]}
    if not arms:
        return plots.draw(results)  # of backpropagation alone
    looks = figures.looks(LAYERS, dict.fromkeys(LAYERS, "foa"))
    panels = [plots.Panel(label, "angle between W and C (degrees)",
                          [(look, column(runs, partial(_angle_of, layer=layer))) for layer, look in enumerate(looks)],
                          levels=(90,)) for label, runs in arms.items()]
    number, data = seeds(results), results["config"]["data"]
    return plots.over_epochs(panels, f"How W turns towards C under forward alignment: {data}, "
                                     + ("1 seed" if number == 1 else f"mean and range of {number} seeds"))


def _angle_of(record: dict[str, Any], layer: int) -> float | None:
    """The angle of one layer at one epoch, or None if it was not measured."""
    return record["angles"][layer] if "angles" in record else None


FORWARD_ALIGNMENT = (
    Arm("foa, linear", "foa", "mlp:10,10", 90.93, activation="identity"),
    Arm("bp, linear", "bp", "mlp:10,10", 92.39, activation="identity"),
    Arm("foa, nonlinear", "foa", "mlp-bn:10,10", 93.03),
    Arm("bp, nonlinear", "bp", "mlp-bn:10,10", 95.01),
)

MNIST_READING = """\
"Two target networks with a structure of 10-10-10" do not say how 784 inputs enter.  Here they enter through a first
layer 784 -> 10 of the network's own, so that the two 10 x 10 layers, the thesis's layer 1 and layer 2, stand above
it: a linear network with 92.39 % must see all 784 inputs.  All three layers learn; the lowest one's input is x
under both rules. The theorem asks for n_h >= n_x and for white inputs; neither holds here.  The optimiser is not
named: momentum 0.9, as everywhere else in the thesis.  "full" is the thesis's learning rate and length; "small"
keeps the product of learning rate and epochs, with a tenth of the epochs."""

MOMENTUM = {"optimizer": "momentum", "batch_size": 50}
MNIST_SCALES = {
    "smoke": Scale(2000, 1, MOMENTUM | {"epochs": 2, "lr": 1e-2}, (0,), 500),
    "small": Scale(None, 1, MOMENTUM | {"epochs": 20, "lr": 1e-3}, (0, 1, 2)),
    "full": Scale(None, 1, MOMENTUM | {"epochs": 200, "lr": 1e-4}, (0, 1, 2)),
}

# ---------------------------------------------------------------- chapter 5

CIFAR_READING = """\
The images went through JPEG once.  The thesis trains ResNet-18 at full width for 200 epochs with momentum and its
own learning rate for each rule (Table 5.1).  At the smaller scales the network has an eighth of the width, and 2 x 2
pixels are averaged, so that images of 16 x 16 can be seen often enough.  There all rules have the same budget and the
same optimiser (Adam with decoupled weight decay, so that W - B shrinks by exactly 1 - lr lam a step), and each has the
learning rate that was best for it on validation data.  The first block is untrained under activation sharing, as in
the thesis.  Direct feedback alignment is block-wise here: the gradient inside a residual block is exact, which the
thesis's is not."""

ADAMW = {"optimizer": "adamw", "batch_size": 64, "schedule": "cosine"}
THESIS = {"optimizer": "momentum", "batch_size": 128, "schedule": "cosine", "epochs": 200, "weight_decay": 5e-4,
          "augment": "crop:4,flip"}
CIFAR_SCALES = {
    "smoke": Scale(256, 0.125, ADAMW | {"epochs": 1, "lr": 1e-2, "weight_decay": 0.3}, (0,), 200, reduce=2),
    "small": Scale(20_000, 0.125, ADAMW | {"epochs": 4, "lr": 1e-2, "weight_decay": 0.3}, (0, 1, 2), 1000, reduce=2),
    "full": Scale(None, 1, THESIS, (0, 1, 2)),
}

# of small on validation data, of full from Table 5.1
RATES = {rule: {"small": {"lr": small}, "full": {"lr": full}}
         for rule, small, full in (("bp", 1e-2, 3e-2), ("kp", 1e-2, 3e-2), ("fa", 3e-3, 3e-3), ("dfa", 3e-3, 3e-3),
                                   ("asap", 1e-2, 3e-2))}


def _arms(model: str, suffix: str, printed: dict[str, float]) -> tuple[Arm, ...]:
    """One arm for each rule, with the number that is printed for it."""
    return tuple(Arm(f"{rule}{suffix}", rule, model, number, at=RATES.get(rule, {}))
                 for rule, number in printed.items())


TABLE_5_2 = (
    *_arms("resnet18", "", {"bp": 94.93, "kp": 94.76, "fa": 72.47, "dfa": 76.0, "asap": 92.19}),
    *_arms("resnet18-noshortcut", ", no shortcut", {"bp": 94.70, "kp": 94.65, "fa": 71.38, "dfa": 75.46,
                                                    "asap": 83.44}),
)
TABLE_5_3 = (
    Arm("bp", "bp", "resnet18", 94.93),
    Arm("mostafa", "mostafa", "resnet18", 71.41),
    Arm("predsim", "predsim", "resnet18", 88.12),
    Arm("phsic", "phsic", "resnet18", 80.76),
    Arm("asap", "asap", "resnet18", 92.19),
)
# printed are 0, 5e-6, 5e-5, 5e-4, 5e-3 of ResNet-34 with coupled decay; here 0 and three a decade apart
DECAYS = {0.0: (93.56, 89.77), 0.03: (93.82, 91.63), 0.3: (95.18, 93.97), 3.0: (95.12, 91.54)}
TABLE_5_4 = tuple(Arm(f"{rule}, decay {decay:g}", rule, "resnet18", printed[i], {"weight_decay": decay})
                  for i, rule in enumerate(("bp", "asap")) for decay, printed in DECAYS.items())
TABLE_5_5 = (
    Arm("bp", "bp", "resnet18", 94.93),
    Arm("asap", "asap", "resnet18", 92.19),
    Arm("asfp", "asfp", "resnet18", 61.45),
    Arm("asfp-lc", "asfp-lc", "resnet18", 88.46),
)
FIGURE_5_1 = tuple(Arm(f"asap, {how}", f"asap:match={how}", "alexnet-small") for how in ("max", "avg", "random"))

EXHIBITS = {exhibit.name: exhibit for exhibit in (
    Exhibit("asap:table-3.1", "Forward alignment against backpropagation; Fig. 3.2, its angles", "mnist",
            FORWARD_ALIGNMENT, MNIST_SCALES, MNIST_READING, angles, ANGLES, draw_angles),
    Exhibit("asap:table-5.2", "ASAP against KP, FA and DFA, with and without shortcuts", "cifar-10", TABLE_5_2,
            CIFAR_SCALES, CIFAR_READING),
    Exhibit("asap:table-5.3", "ASAP against local learning", "cifar-10", TABLE_5_3, CIFAR_SCALES, CIFAR_READING),
    Exhibit("asap:table-5.4", "The effect of weight decay", "cifar-10", TABLE_5_4, CIFAR_SCALES, CIFAR_READING),
    Exhibit("asap:table-5.5", "ASFP without and with local classifiers", "cifar-10", TABLE_5_5, CIFAR_SCALES,
            CIFAR_READING),
    Exhibit("asap:figure-5.1", "Three ways to match dimensions", "cifar-10", FIGURE_5_1, CIFAR_SCALES, CIFAR_READING),
)}
