"""Woo 2023: forward alignment on MNIST, activation sharing on CIFAR-10, and what it stores."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from ... import figures, network
from ...backend import to_numpy
from ...feedback import weights
from ...learn import Run
from ...rules import ActivationSharing, FoA
from ...studies import memory
from ...studies.turning import angle
from ...tape import Keep
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

READING = """\
The thesis trains networks of full width for 200 epochs, with momentum and a learning rate of its own for each rule
(Table 5.1).  At the smaller scales the networks have an eighth of the width, squares of pixels are averaged if the line
of the scale says so, and all rules have the same budget and the same optimiser (Adam with decoupled weight decay, so
that W - B shrinks by exactly 1 - lr lam a step).  bp, kp, fa, dfa and asap each have the learning rate that was best
for it on validation data of CIFAR-10; local learning and asfp have that of bp and asap, and no other was tried for
them.  The first block is untrained under activation sharing, as in the thesis.  Direct feedback alignment is block-wise
here: the gradient inside a residual block is exact, which the thesis's is not."""
CIFAR_READING = "The images went through JPEG once.\n" + READING

ADAMW = {"optimizer": "adamw", "batch_size": 64, "schedule": "cosine"}
THESIS = {"optimizer": "momentum", "batch_size": 128, "schedule": "cosine", "epochs": 200, "weight_decay": 5e-4,
          "augment": "crop:4,flip"}
CIFAR_SCALES = {
    "smoke": Scale(256, 0.125, ADAMW | {"epochs": 1, "lr": 1e-2, "weight_decay": 0.3}, (0,), 200, reduce=2),
    "small": Scale(20_000, 0.125, ADAMW | {"epochs": 4, "lr": 1e-2, "weight_decay": 0.3}, (0, 1, 2), 1000, reduce=2),
    "full": Scale(None, 1, THESIS, (0, 1, 2)),
}

RULES = ("bp", "kp", "fa", "dfa", "asap")
# of the scale "small", on validation data
SMALL_RATES = {"bp": 1e-2, "kp": 1e-2, "fa": 3e-3, "dfa": 3e-3, "asap": 1e-2}
# Table 5.1: of bp and kp it is 3e-2 everywhere, of fa and dfa by the network, of asap by the data set as well
FEEDBACK_RATES = {"alexnet": 1e-4, "resnet18": 3e-3, "resnet18-noshortcut": 3e-3, "resnet34": 3e-3}
# Table 5.2 in per cent, in the order of RULES; the last number is the rate of asap in Table 5.1
TABLE_5_2: Mapping[str, Mapping[str, tuple[tuple[float, ...], float]]] = {
    "mnist": {"alexnet": ((99.59, 99.55, 99.14, 99.28, 99.32), 1e-4)},
    "svhn": {"alexnet": ((94.64, 93.3, 82.21, 87.42, 88.04), 1e-4),
             "resnet18-noshortcut": ((96.14, 95.84, 84.91, 85.64, 93.17), 3e-3),
             "resnet18": ((96.29, 96.13, 85.08, 85.56, 94.86), 3e-3)},
    "cifar-10": {"alexnet": ((90.58, 79.23, 67.92, 73.85, 78.25), 1e-4),
                 "resnet18-noshortcut": ((94.70, 94.65, 71.38, 75.46, 83.44), 3e-3),
                 "resnet18": ((94.93, 94.76, 72.47, 76.0, 92.19), 3e-2),
                 "resnet34": ((95.18, 94.54, 66.99, 73.02, 93.97), 3e-2)},
    "cifar-100": {"alexnet": ((63.61, 47.43, 33.32, 35.38, 46.99), 1e-4),
                  "resnet18-noshortcut": ((77.34, 74.98, 37.11, 37.48, 51.72), 3e-3),
                  "resnet18": ((77.74, 74.51, 38.15, 38.51, 68.86), 3e-2),
                  "resnet34": ((78.41, 75.0, 33.01, 35.6, 72.81), 3e-2)},
    "tiny-imagenet": {"resnet18": ((60.13, 58.14, 20.54, 24.07, 48.46), 3e-2),
                      "resnet34": ((62.63, 59.45, 16.86, 21.1, 52.25), 3e-2)},
}
NETWORKS = {"alexnet": "alexnet-small"}  # the others have their own names
SUFFIX = {"resnet18": "", "resnet18-noshortcut": ", no shortcut"}


def _at(rule: str, full: float) -> dict[str, dict[str, float]]:
    """The learning rate of a rule at the scales "small" and "full"."""
    return {"small": {"lr": SMALL_RATES[rule]}, "full": {"lr": full}}


def _table_5_2(data: str, *models: str) -> tuple[Arm, ...]:
    """The arms of some rows of Table 5.2, one for each rule; of all rows of the data set if no model is named."""
    found: list[Arm] = []
    for model in models or TABLE_5_2[data]:
        numbers, asap = TABLE_5_2[data][model]
        full = dict(zip(RULES, (3e-2, 3e-2, FEEDBACK_RATES[model], FEEDBACK_RATES[model], asap), strict=True))
        found += [Arm(f"{rule}{SUFFIX.get(model, f', {model}')}", rule, NETWORKS.get(model, model), number,
                      at=_at(rule, full[rule])) for rule, number in zip(RULES, numbers, strict=True)]
    return tuple(found)


# the first row for three times as many epochs, and DFA with and without an exact gradient inside its blocks
NO_SHORTCUT = {arm.rule: arm for arm in _table_5_2("cifar-10", "resnet18-noshortcut")}
LONGER = (*_table_5_2("cifar-10", "resnet18"), NO_SHORTCUT["dfa"], NO_SHORTCUT["asap"],
          replace(NO_SHORTCUT["dfa"], label="dfa, every layer", model="resnet18-layers"))
LONGER_SCALES = CIFAR_SCALES | {"small": replace(CIFAR_SCALES["small"],
                                                 settings={**CIFAR_SCALES["small"].settings, "epochs": 12})}
LONGER_READING = CIFAR_READING + """
After four epochs asap still climbs; here "small" has twelve.  "dfa, every layer" is the network of "dfa, no shortcut",
but each convolution gets a signal of its own, as in the thesis, and no gradient inside of a block is exact.  The thesis
has one number for this network, which stands beside both."""
# Table 5.3 in per cent
LOCAL: Mapping[str, Mapping[str, float]] = {
    "resnet18": {"bp": 94.93, "mostafa": 71.41, "predsim": 88.12, "phsic": 80.76, "asap": 92.19},
    "resnet34": {"bp": 95.18, "mostafa": 69.8, "predsim": 87.57, "phsic": 77.2, "asap": 93.97}}
TABLE_5_3 = tuple(Arm(f"{rule}{SUFFIX.get(model, f', {model}')}", rule, model, number)
                  for model, numbers in LOCAL.items() for rule, number in numbers.items())
# printed are 0, 5e-6, 5e-5, 5e-4, 5e-3 of ResNet-34 with coupled decay; here 0 and three a decade apart
DECAYS = {0.0: (93.56, 89.77), 0.03: (93.82, 91.63), 0.3: (95.18, 93.97), 3.0: (95.12, 91.54)}
TABLE_5_4 = tuple(Arm(f"{rule}, decay {decay:g}", rule, "resnet18", printed[i], {"weight_decay": decay})
                  for i, rule in enumerate(("bp", "asap")) for decay, printed in DECAYS.items())
# Table 5.5 in per cent
ASFP: Mapping[str, Mapping[str, float]] = {
    "resnet18": {"bp": 94.93, "asap": 92.19, "asfp": 61.45, "asfp-lc": 88.46},
    "resnet34": {"bp": 95.18, "asap": 93.97, "asfp": 31.7, "asfp-lc": 89.28}}


def _table_5_5(model: str) -> tuple[Arm, ...]:
    """The arms of one row of Table 5.5."""
    return tuple(Arm(rule, rule, model, number) for rule, number in ASFP[model].items())


DECAY_READING = CIFAR_READING + """
The thesis's table is of ResNet-34, with coupled decays of 0, 5e-6, 5e-5, 5e-4 and 5e-3.  Here ResNet-18 stands for it,
as a step of it takes half of the time: compare differences, not accuracies.  Decays of 0, 5e-5, 5e-4 and 5e-3 stand
beside 0, 0.03, 0.3 and 3, which are decoupled; 5e-6 is left out."""
FIGURE_5_1 = tuple(Arm(f"asap, {how}", f"asap:match={how}", "alexnet-small") for how in ("max", "avg", "random"))

# the text of section 5.2.2 gives the numbers of k = 4
BLOCK_OF_4 = {"cifar-10": 93.9, "cifar-100": 71.93}


def _figure_5_4(data: str) -> tuple[Arm, ...]:
    """The arms of one half of Fig. 5.4: ResNet-34 under all rules, and with blocks of four layers."""
    return (*(replace(arm, label=arm.rule) for arm in _table_5_2(data, "resnet34")),
            Arm("asap, k = 4", "asap:k=4", "resnet34", BLOCK_OF_4[data], at=_at("asap", 3e-2)))


VARIANTS = (
    Arm("bp", "bp", "resnet18", 94.93, at=_at("bp", 3e-2)),
    Arm("asap", "asap", "resnet18", None, at=_at("asap", 3e-2)),
    Arm("asap, plan of the text", "asap:plan=text", "resnet18", None, at=_at("asap", 3e-2)),
    Arm("asap, published", "asap:plan=published:train_norm=yes", "resnet18", 92.19, at=_at("asap", 3e-2)),
    Arm("dfa", "dfa", "resnet18", None, at=_at("dfa", 3e-3)),
    Arm("dfa, kernel", "dfa:kernel=yes", "resnet18", None, at=_at("dfa", 3e-3)),
)
VARIANTS_READING = CIFAR_READING + """
"asap, published" is what the thesis's published code does: Algorithm 1's plan between convolutions, and gamma and beta
of the first batch-norm learn while the first convolution stands still."""

# ---------------------------------------------------------------- chapter 6


def counted(run: Run) -> dict[str, Any]:
    """Count the accesses of one step to external memory, by (6.1) and (6.2), for a batch of 128.

    Returns
    -------
    dict
        "accesses", the numbers read and written, and "accesses_both_sets", with B as well as W.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.Run(nb.models.build("mlp:4,4,4", data.shape, data.classes), "bp", data)
    >>> sorted(counted(run))
    ['accesses', 'accesses_both_sets']
    """
    inputs: dict[int, int] = {}
    recorder = Keep(before=lambda index, h: inputs.setdefault(index, h[0].size))
    network.forward(run.net, run.params, run.x[:1], False, lambda i: recorder)
    the_plan = (run.rule.sharing(run.net, run.state).plan if isinstance(run.rule, ActivationSharing)
                else tuple(inputs))
    numbers = 128 * sum(inputs[j] for j in memory.stored(the_plan))
    parameters = sum(W.size for _, W in leaves(weights(run.params)))
    return {name: sum(vars(memory.accesses(parameters, numbers, sets)).values())
            for name, sets in (("accesses", 1), ("accesses_both_sets", 1 + isinstance(run.rule, ActivationSharing)))}


def draw_accesses(results: dict[str, Any]) -> Figure:
    """Draw Fig. 6.1: the accesses of every arm, as the thesis counts them, and with B as well as W.

    Examples
    --------
    >>> runs = [{"rule": "bp, resnet18", "seed": 0, "history": [{"accesses": 8e6, "accesses_both_sets": 8e6}]}]
    >>> len(draw_accesses({"config": {"data": "cifar-10", "scale": "smoke"}, "runs": runs}).axes)
    1
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots()
    arms = {label: runs[0]["history"][-1] for label, runs in by_rule(results).items()}
    for move, (key, name, colour) in enumerate((("accesses", "as (6.1)-(6.2) count", figures.BLUE),
                                                ("accesses_both_sets", "with both W and B", figures.VERMILION))):
        axes.barh([place + 0.4 * move for place in range(len(arms))], [record[key] / 1e6 for record in arms.values()],
                  0.4, color=colour, label=name)
    figures.names(axes, list(arms))
    axes.invert_yaxis()
    axes.set_xlabel("accesses a step (millions)")
    axes.legend(frameon=False)
    figures.open_frame(axes)
    figures.title(figure, f"Accesses to external memory, batches of 128: {results['config']['data']}, scale "
                          f"{results['config']['scale']}")
    return figure


COUNT = Number(0)
ACCESSES = {"accesses": COUNT, "accesses_both_sets": COUNT}
FIGURE_6_1 = tuple(Arm(f"{label}, {model}", rule, NETWORKS.get(model, model), at=_at(rule.partition(":")[0], 3e-2))
                   for model in ("alexnet", "resnet18", "resnet34")
                   for label, rule in (("bp", "bp"), ("asap, k = 2", "asap"), ("asap, k = 4", "asap:k=4")))
ACCESSES_READING = """\
The figure counts, it trains nothing: reads and writes of one step are 3 P + 2 A, where P is the number of weights and A
that of the activations which are stored for the update.  Here the same count is made of the network as it is at each
scale, for batches of 128, after one epoch on few images."""
ACCESSES_SCALES = {"smoke": replace(CIFAR_SCALES["smoke"], train=128),
                   "small": Scale(128, 1, ADAMW | {"epochs": 1, "lr": 1e-2}, (0, 1, 2), 100),
                   "full": Scale(128, 1, THESIS | {"epochs": 1}, (0, 1, 2), 100)}

# without flips, which change digits
DIGIT_SCALES = CIFAR_SCALES | {"full": Scale(None, 1, {**THESIS, "augment": ""}, (0, 1, 2))}
# 64 x 64 pixels, of which 4 x 4 are averaged
TINY_SCALES = CIFAR_SCALES | {name: replace(CIFAR_SCALES[name], reduce=4) for name in ("smoke", "small")}
OTHER_DATA = (("mnist", "MNIST", {**DIGIT_SCALES, **{name: replace(DIGIT_SCALES[name], reduce=1)
                                                     for name in ("smoke", "small")}}),
              ("svhn", "SVHN", DIGIT_SCALES), ("cifar-100", "CIFAR-100", CIFAR_SCALES),
              ("tiny-imagenet", "Tiny ImageNet", TINY_SCALES))

EXHIBITS = {exhibit.name: exhibit for exhibit in (
    Exhibit("asap:table-3.1", "Forward alignment against backpropagation; Fig. 3.2, its angles", "mnist",
            FORWARD_ALIGNMENT, MNIST_SCALES, MNIST_READING, angles, ANGLES, draw_angles),
    Exhibit("asap:table-5.2", "ASAP against KP, FA and DFA, with and without shortcuts", "cifar-10",
            _table_5_2("cifar-10", "resnet18", "resnet18-noshortcut"), CIFAR_SCALES, CIFAR_READING),
    Exhibit("asap:table-5.2-longer", "ResNet-18 for longer, and DFA to every layer", "cifar-10", LONGER, LONGER_SCALES,
            LONGER_READING),
    Exhibit("asap:table-5.2-cifar-10", "The other two networks of Table 5.2 on CIFAR-10", "cifar-10",
            _table_5_2("cifar-10", "alexnet", "resnet34"), CIFAR_SCALES, CIFAR_READING),
    *(Exhibit(f"asap:table-5.2-{data}", f"ASAP against KP, FA and DFA on {title}", data, _table_5_2(data), scales,
              READING) for data, title, scales in OTHER_DATA),
    Exhibit("asap:table-5.3", "ASAP against local learning", "cifar-10", TABLE_5_3, CIFAR_SCALES, CIFAR_READING),
    Exhibit("asap:table-5.4", "The effect of weight decay", "cifar-10", TABLE_5_4, CIFAR_SCALES, DECAY_READING),
    Exhibit("asap:table-5.5", "ASFP without and with local classifiers", "cifar-10", _table_5_5("resnet18"),
            CIFAR_SCALES, CIFAR_READING),
    Exhibit("asap:table-5.5-resnet34", "ASFP without and with local classifiers, ResNet-34", "cifar-10",
            _table_5_5("resnet34"), CIFAR_SCALES, CIFAR_READING),
    Exhibit("asap:figure-5.1", "Three ways to match dimensions", "cifar-10", FIGURE_5_1, CIFAR_SCALES, CIFAR_READING),
    Exhibit("asap:figure-5.4", "ResNet-34 with blocks of two and of four layers", "cifar-10", _figure_5_4("cifar-10"),
            CIFAR_SCALES, CIFAR_READING),
    Exhibit("asap:figure-5.4-cifar-100", "ResNet-34 with blocks of two and of four layers, CIFAR-100", "cifar-100",
            _figure_5_4("cifar-100"), CIFAR_SCALES, READING),
    Exhibit("asap:figure-6.1", "Accesses to external memory", "cifar-10", FIGURE_6_1, ACCESSES_SCALES, ACCESSES_READING,
            counted, ACCESSES, draw_accesses),
    Exhibit("asap:variants", "ASAP by the thesis's text, by its algorithm and by its published code", "cifar-10",
            VARIANTS, CIFAR_SCALES, VARIANTS_READING),
)}
