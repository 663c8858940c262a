"""What Woo 2023 claims of forward alignment, activation sharing, ASAP and ASFP."""
from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

import numpy as np

from ... import models, network
from ...feedback import weights
from ...sharing import plan
from ...studies.depth import GROUPS, RESNETS, nearness
from ...studies.field import cost
from ...studies.memory import accesses, stored
from ...tape import Keep
from ...tree import leaves
from ..papers.asap import BLOCK_OF_4, DECAYS, TABLE_5_2
from ..shelf import Shelf
from . import Claim, Counted, Reads, Runs, Table, Theorem

PAPER = "ASAP: Woo 2023"
RULES = ("bp", "kp", "fa", "dfa", "asap")
DECAYED = [dict(zip(("bp", "asap"), numbers, strict=True)) for numbers in DECAYS.values()]
ROWS = [dict(zip(RULES, numbers, strict=True)) for rows in TABLE_5_2.values() for numbers, _ in rows.values()]


def _row(data: str, model: str) -> dict[str, float]:
    """A row of Table 5.2."""
    return dict(zip(RULES, TABLE_5_2[data][model][0], strict=True))


def _gap(data: str, model: str) -> float:
    """By how many points ASAP is printed below BP."""
    return _row(data, model)["bp"] - _row(data, model)["asap"]


def _printed(shelf: Shelf, name: str) -> float:
    """A printed number, or a difference of two, in per cent."""
    return float(shelf["printed"][name])


def _ahead(shelf: Shelf, label: str, others: tuple[str, ...]) -> bool:
    """Whether an arm of the stored Fig. 5.1 is above others with every seed."""
    arms = shelf["asap_figure_5_1"]
    return all(mine > other for name in others for mine, other in zip(arms[label].each, arms[name].each, strict=True))


def _range(numbers: Iterable[float]) -> float:
    """The largest minus the smallest."""
    found = sorted(numbers)
    return found[-1] - found[0]


def _decayed(shelf: Shelf, rule: str) -> float:
    """How far apart the accuracies of a rule lie in the stored Table 5.4."""
    return _range(shelf["asap_table_5_4"][f"{rule}, decay {decay}"].test for decay in ("0", "0.3", "3"))


@cache
def _counts(model: str, batch: int = 128) -> dict[str, float]:
    """The accesses of a step by (6.1)-(6.2), of ASAP with k = 2 and 4 as shares of those of BP."""
    net, rng = models.build(model, (32, 32, 3), 10), np.random.default_rng(0)
    params, _ = network.init(net, rng, (32, 32, 3))
    inputs: dict[int, int] = {}
    recorder = Keep(before=lambda index, h: inputs.setdefault(index, h[0].size))
    network.forward(net, params, np.zeros((1, 32, 32, 3), "float32"), False, lambda i: recorder)
    numbers = sum(W.size for _, W in leaves(weights(params)))

    def step(the_plan: tuple[int, ...], sets: int) -> int:
        found = accesses(numbers, batch * sum(inputs[j] for j in stored(the_plan)), sets)
        return found.read + found.written

    def held(the_plan: tuple[int, ...], sets: int) -> int:
        return batch * sum(inputs[j] for j in stored(the_plan)) + int(2 * sets * numbers)  # momentum is as large as W

    base, usual = step(tuple(inputs), 1), tuple(inputs)
    return {"held": held(plan(net, 2), 2) / held(usual, 1), "kept": held(plan(net, 2), 0) / held(usual, 0),
            **{f"{name}{k}": step(plan(net, k), sets) / base for k in (2, 4) for name, sets in (("k", 1), ("both", 2))}}


@cache
def _left() -> dict[str, float]:
    """What the thesis's training leaves of W - B at three rates of Table 5.1, by heavy ball with coupled decay."""
    return {name: _left_after(200 * 391, rate) for name, rate in (("high", 3e-2), ("middle", 3e-3), ("low", 1e-4))}


def _left_after(steps: int, rate: float) -> float:
    """The same after some steps, at a rate that falls along a cosine."""
    momentum, decay, difference, velocity = 0.9, 5e-4, 1.0, 0.0
    for t in range(steps):
        velocity = momentum * velocity + decay * difference
        difference -= rate * (1 + math.cos(math.pi * t / steps)) / 2 * velocity
    return abs(difference)


def _resnets() -> dict[str, float]:
    """The counts of ResNet-18 for two sizes of a batch."""
    small = {f"small_{key}": value for key, value in _counts("resnet18", 8).items()}
    return {**_counts("resnet18"), **small}


def _depths() -> dict[str, float]:
    """The share of BP's accesses that ASAP with k = 2 needs, by network."""
    return {name: _counts(model)["k2"] for name, model in
            (("alexnet", "alexnet-small"), ("resnet18", "resnet18"), ("resnet34", "resnet34"))}


@cache
def _products() -> dict[str, float]:
    """The multiplications of a step, over those of one forward pass."""
    return {name: cost(rule)["products"] for name, rule in (("bp", "bp"), ("foa", "foa"), ("sharing", "as"))}


@cache
def _near() -> dict[str, float]:
    """How near the shared updates of a ResNet-18 are to the exact ones, at the start."""
    return {f"{name.split()[0]}{k}": nearness(model, k) for name, model in RESNETS.items() for k in GROUPS}


FOA, LOCAL = "asap_table_3_1", "asap_table_5_3"
SMALL, LONGER = "asap_table_5_2", "asap_table_5_2_longer"
T52, T53 = "asap:table-5.2", "asap:table-5.3"

CLAIMS = (
    Claim("forward alignment drives the error of a linear network to zero", "section 3.2", "holds under a condition", (
        Theorem("forward-alignment", "Theorem 1"), Theorem("forward-alignment", "Theorem 2")),
          "The proof as printed has gaps, and the condition r = 0 is not needed: C of full column rank is enough, from "
          "any start."),
    Claim("forward alignment needs more hidden units than inputs (n_h > n_x)", "section 3.2", "does not hold", (
        Theorem("forward-alignment", "Theorem 1"),),
          "Full column rank of C is enough, and C can have it if n_h = n_x."),
    Claim("W_1 C^T stays half of W_2^T W_2, plus a constant", "(3.19)", "holds under a condition", (
        Theorem("forward-alignment", "Theorem 3"), Theorem("forward-alignment", "Lemma 1")),
          "From zero weights with white inputs. What is always conserved is W_1 C^T + C W_1^T - W_2^T W_2."),
    Claim("M, the size of E C^T, never rises", "section 3.2, Condition 2", "holds under a condition", (
        Theorem("forward-alignment", "Lemma 4"),), "If what Lemma 1 conserves has no negative eigenvalue."),
    Claim("W_2 stays bounded", "section 3.2, Condition 1", "holds", (Theorem("forward-alignment", "Lemma 5"),),
          "The printed bound of u, the square of its size, lacks a square and the value at the start."),
    Claim("forward alignment is close to backpropagation on MNIST", "section 3.3, Table 3.1", "holds", (
        Table("asap:table-3.1", "linear {printed[asap:table-3.1 | bp, linear - foa, linear]:.2f} points below, "
                                "nonlinear "
                                "{printed[asap:table-3.1 | bp, nonlinear - foa, nonlinear]:.2f}",
              lambda shelf: max(_printed(shelf, f"asap:table-3.1 | bp, {kind} - foa, {kind}")
                                for kind in ("linear", "nonlinear")) < 3),
        Runs("asap-table-3.1", "after {asap_table_3_1.epochs} epochs linear "
                               "{asap_table_3_1[bp, linear - foa, linear].points:.2f} points below, nonlinear "
                               "{asap_table_3_1[bp, nonlinear - foa, nonlinear].points:.2f}",
             lambda shelf: max(shelf[FOA][f"bp, {kind} - foa, "
                                          f"{kind}"].points for kind in ("linear", "nonlinear")) < 3))),
    Claim("with forward alignment the gap to BP is smaller in the linear network than in the nonlinear one",
          "section 3.3, Table 3.1", "holds", (
        Table("asap:table-3.1", "{printed[asap:table-3.1 | bp, linear - foa, linear]:.2f} and "
                                "{printed[asap:table-3.1 | bp, nonlinear - foa, nonlinear]:.2f} points",
              lambda shelf: _printed(shelf, "asap:table-3.1 | bp, linear - foa, linear")
              < _printed(shelf, "asap:table-3.1 | bp, nonlinear - foa, nonlinear")),
        Runs("asap-table-3.1", "{asap_table_3_1[bp, linear - foa, linear].points:.2f} and "
                               "{asap_table_3_1[bp, nonlinear - foa, nonlinear].points:.2f} points",
             lambda shelf: shelf[FOA]["bp, linear - foa, linear"].points
             < shelf[FOA]["bp, nonlinear - foa, nonlinear"].points))),
    Claim("W turns towards C, also in a nonlinear network", "section 3.3, Fig. 3.2", "holds under a condition", (
        Runs("asap-table-3.1", "angle of layer 1 at the end: {asap_table_3_1[foa, linear].angles[1]:.0f} degrees "
                               "(linear), {asap_table_3_1[foa, nonlinear].angles[1]:.0f} "
                               "(nonlinear); of layer 2: {asap_table_3_1[foa, linear].angles[2]:.0f} and "
                               "{asap_table_3_1[foa, nonlinear].angles[2]:.0f}",
             lambda shelf: all(shelf[FOA][f"foa, {kind}"].angles[1] < 87 for kind in ("linear", "nonlinear")),
             lambda shelf: all(shelf[FOA][f"foa, {kind}"].angles[2] > 87 for kind in ("linear", "nonlinear"))),),
          "Only in layer 1. Nothing reads the C of the topmost layer, so its angle stays where it began."),
    Claim("W and C are less aligned in the nonlinear network", "section 3.3, Fig. 3.2", "does not hold", (
        Runs("asap-table-3.1", "the angle of layer 1 is {asap_table_3_1[foa, nonlinear].angles[1]:.0f} degrees in the "
                               "nonlinear network and "
                               "{asap_table_3_1[foa, linear].angles[1]:.0f} in the linear one",
             lambda shelf: shelf[FOA]["foa, nonlinear"].angles[1] > shelf[FOA]["foa, linear"].angles[1]),),
          "With a tenth of the thesis's epochs at ten times its rate, and with 784 inputs that enter through a layer "
          "of their own."),
    Claim("the nearer W is to C, the more forward alignment learns like backpropagation", "section 3.3, Fig. 3.2",
          "does not hold", (
              Runs("asap-table-3.1", "the angle of layer 1 is {asap_table_3_1[foa, linear].angles[1]:.0f} degrees in "
                                     "the linear network, which is "
                                     "{asap_table_3_1[bp, linear - foa, linear].points:.2f} points below BP, and "
                                     "{asap_table_3_1[foa, nonlinear].angles[1]:.0f} in the nonlinear one, which is "
                                     "{asap_table_3_1[bp, nonlinear - foa, nonlinear].points:.2f} below",
                   lambda shelf: (shelf[FOA]["foa, linear"].angles[1] > shelf[FOA]["foa, nonlinear"].angles[1])
                   == (shelf[FOA]["bp, linear - foa, linear"].points
                       > shelf[FOA]["bp, nonlinear - foa, nonlinear"].points)),),
          "In these two networks, with a tenth of the thesis's epochs."),
    Claim("forward alignment computes more than backpropagation, and activation sharing does not", "section 4.1",
          "holds", (
              Counted("python -m nobackprop.studies.field", "the multiplications of a step are {foa:.2f} times those "
                      "of one forward pass with forward alignment, {bp:.2f} times with BP, and {sharing:.2f} times "
                      "with activation sharing, which does not train the first block",
                      lambda found: found["foa"] > found["bp"] >= found["sharing"], count=_products),)),
    Claim("smaller groups bring the update of activation sharing nearer to that of BP", "section 4.1",
          "holds under a condition", (
              Counted("python -m nobackprop.studies.depth", "ResNet-18 at its start: the mean cosine of the two is "
                      "{with2:.2f} with groups of two layers and {with4:.2f} with groups of four; without shortcuts "
                      "{without2:.2f} and {without4:.2f}",
                      lambda found: found["with2"] > found["with4"] + 0.05,
                      lambda found: found["without2"] < found["without4"] + 0.05, count=_near),),
          "If a shortcut carries the shared activity to the layer that learns. Without one, the random weights of a "
          "layer mix the activity, and the size of the group makes no difference."),
    Claim("the weight mirror brings B to W by the step of (2.6)", "section 2.3, (2.6)", "holds under a condition", (
        Theorem("weight-mirror", "Theorem WM1"),),
          "With a plus sign, decay and white noise. As printed, with a minus sign and without decay, B turns to the "
          "direction of -W and grows without end."),
    Claim("W and B come together if both get the same updates and decay (Kolen and Pollack)", "section 4.2.1",
          "holds under a condition", (Theorem("kolen-pollack", "Theorem 5"), Theorem("kolen-pollack", "Theorem K1"),
                                      Theorem("kolen-pollack", "Theorem K4")),
          "If the decay of a step is above 0 and below 2. (2.7) is printed without decay: then W - B never changes. "
          "Adam "
          "with L2 decay does not keep the theorem."),
    Claim("activation sharing alone transports weights", "section 4.1", "holds", (
        Reads("as", "W of another block is carried to the hidden blocks {transport}",
              lambda found: bool(found.hidden.transport)),)),
    Claim("under ASAP W and B come together", "section 4.2", "holds under a condition", (
        Theorem("kolen-pollack", "Corollary K1"),
        Runs("asap-table-5.2", "cosine of ASAP's signal with BP's in the third block: "
                               "{asap_table_5_2[asap].cosine[2]:.2f}",
             lambda shelf: (shelf[SMALL]["asap"].cosine[2] or 0) > 0.9),
        Runs("asap-table-5.4", "without decay {asap_table_5_4[asap, decay 0].cosine[2]:.2f}", lambda shelf: True,
             lambda shelf: (shelf["asap_table_5_4"]["asap, decay 0"].cosine[2] or 0) < 0.9)),
          "With weight decay, which (4.5) and (4.6) leave out."),
    Claim("W - B shrinks as (1 - lambda)^t, and so is gone at the end of a training", "sections 4.2.1 and 5.1.1",
          "holds under a condition", (
              Theorem("kolen-pollack", "Theorem K2"),
              Counted('nobackprop theorems kolen-pollack "Theorem K2"', "after 200 epochs of CIFAR-10 with the "
                      "thesis's momentum, decay and cosine schedule {high:.4f} of W - B are left with the rate of "
                      "ASAP in ResNets with shortcuts, {middle:.2f} with that without shortcuts, and "
                      "{low:.2f} with that in AlexNet", lambda found: found["high"] < 0.01,
                      lambda found: found["low"] > 0.9, count=_left)),
          "With the largest rate of Table 5.1. The factor of a step is 1 - eta lambda, and momentum raises it."),
    Claim("under ASFP W and B do not come together, as the two paths get different updates", "section 5.2.4", "holds", (
        Theorem("kolen-pollack", "Theorem 6"),
        Runs("asap-table-5.5", "cosine of its signal with BP's: {asap_table_5_5[asfp].cosine[2]:.2f}, of ASAP's "
                               "{asap_table_5_5[asap].cosine[2]:.2f}",
             lambda shelf: (shelf["asap_table_5_5"]["asfp"].cosine[2] or 0)
             < (shelf["asap_table_5_5"]["asap"].cosine[2] or 0)))),
    Claim("ASFP updates W from the layer's own input, and ASAP does not", "section 4.3", "holds", (
        Reads("asfp", "hidden blocks that learn: {learns}; from their own input: {presynaptic}",
              lambda found: found.hidden.presynaptic == found.hidden.learns),
        Reads("asap", "ASAP: {learns}; from their own input: {presynaptic}",
              lambda found: found.hidden.presynaptic < found.hidden.learns))),
    Claim("ASAP needs no bidirectional connections", "section 4.2.2", "holds under a condition", (
        Reads("asap", "with the plan of Algorithm 1 hidden blocks {presynaptic} learn from their own input",
              lambda found: len(found.hidden.presynaptic) == 1),
        Reads("asap:plan=text", "with the plan of the text blocks {presynaptic}", lambda found: True,
              lambda found: len(found.hidden.presynaptic) > 1)),
          "With Algorithm 1's plan, in all blocks but the first that learns. With the text's plan the first layer of "
          "every "
          "group keeps its own input."),
    Claim("ASAP transports no weights", "section 4.2", "holds", (
        Reads("asap", "blocks to which W of another block is carried: {transport}",
              lambda found: not found.hidden.transport),)),
    Claim("repeated channels and max-pooling are the best of three ways to match dimensions", "section 5.2.1, Fig. 5.1",
          "not tested at this scale", (
              Runs("asap-figure-5.1", "AlexNet with an eighth of the widths, after {asap_figure_5_1.epochs} epochs: "
                                      "max-pooling {asap_figure_5_1[asap, max].both}, average pooling "
                                      "{asap_figure_5_1[asap, avg].both}, random weights "
                                      "{asap_figure_5_1[asap, random].both}",
                   lambda shelf: _ahead(shelf, "asap, max", ("asap, avg", "asap, random")),
                   lambda shelf: any(_ahead(shelf, other, ("asap, max",))
                                     for other in ("asap, avg", "asap, random"))),),
          "A short training of a narrow network does not decide: max-pooling and random weights change their order "
          "from seed to seed. The thesis draws a figure and prints no numbers.", "asap:figure-5.1"),
    Claim("ASAP is above FA and DFA in all experiments", "section 5.2.2, Table 5.2", "holds under a condition", (
        Table(T52, f"in all {len(ROWS)} rows; the smallest lead over DFA is "
                   f"{min(row['asap'] - row['dfa'] for row in ROWS):.2f} points",
              lambda shelf: all(row["asap"] > max(row["fa"], row["dfa"]) for row in ROWS)),
        Runs("asap-table-5.2", "ResNet-18 after {asap_table_5_2.epochs} epochs: ASAP {asap_table_5_2[asap].both}, DFA "
                               "{asap_table_5_2[dfa].both}, FA {asap_table_5_2[fa].both}",
             lambda shelf: shelf[SMALL]["asap"].above(shelf[SMALL]["dfa"])
             and shelf[SMALL]["asap"].above(shelf[SMALL]["fa"])),
        Runs("asap-table-5.2-longer", "after {asap_table_5_2_longer.epochs} epochs ASAP "
                                      "{asap_table_5_2_longer[asap].both}, DFA {asap_table_5_2_longer[dfa].both}, FA "
                                      "{asap_table_5_2_longer[fa].both}; without shortcuts ASAP "
                                      "{asap_table_5_2_longer[asap, no shortcut].both}, DFA "
                                      "{asap_table_5_2_longer[dfa, no shortcut].both}, and DFA to every layer "
                                      "{asap_table_5_2_longer[dfa, every layer].both}",
             lambda shelf: all(shelf[LONGER]["asap"].above(shelf[LONGER][rule]) for rule in ("fa", "dfa")),
             lambda shelf: all(shelf[LONGER][rule].above(shelf[LONGER]["asap, no shortcut"])
                               for rule in ("dfa, no shortcut", "dfa, every layer")))),
          "With shortcuts. Without them ASAP is above DFA in the thesis, and below it in a short training at one rate. "
          "DFA to every layer has no exact gradient inside of a block, as in the thesis."),
    Claim("ASAP is below Kolen-Pollack", "section 5.2.2, Table 5.2", "holds", (
        Table(T52, f"in all {len(ROWS)} rows", lambda shelf: all(row["asap"] < row["kp"] for row in ROWS)),
        Runs("asap-table-5.2", "KP {asap_table_5_2[kp].both}, ASAP {asap_table_5_2[asap].both}",
             lambda shelf: shelf[SMALL]["kp"].above(shelf[SMALL]["asap"])),
        Runs("asap-table-5.2-longer", "after {asap_table_5_2_longer.epochs} epochs KP "
                                      "{asap_table_5_2_longer[kp].both}, ASAP {asap_table_5_2_longer[asap].both}",
             lambda shelf: shelf[LONGER]["kp"].above(shelf[LONGER]["asap"])))),
    Claim("ASAP is comparable to backpropagation in deep convolutional networks", "section 5.2.2, Table 5.2",
          "holds under a condition", (
              Table(T52, f"ResNet-34: {_gap('cifar-10', 'resnet34'):.2f} "
                         "points below BP on CIFAR-10, "
                         f"{_row('tiny-imagenet', 'resnet34')['bp'] - _row('tiny-imagenet', 'resnet34')['asap']:.2f} "
                         f"on "
                         "Tiny ImageNet",
                    lambda shelf: _gap("cifar-10", "resnet34") < 3,
                    lambda shelf: _gap("tiny-imagenet", "resnet34") > 5),
              Runs("asap-table-5.2", "ResNet-18 after {asap_table_5_2.epochs} epochs: "
                                     "{asap_table_5_2[bp - asap].points:.1f} points below BP",
                   lambda shelf: True, lambda shelf: shelf[SMALL]["bp"].above(shelf[SMALL]["asap"])),
              Runs("asap-table-5.2-longer", "after {asap_table_5_2_longer.epochs} epochs "
                                            "{asap_table_5_2_longer[bp - asap].points:.1f} points",
                   lambda shelf: True, lambda shelf: shelf[LONGER]["bp"].above(shelf[LONGER]["asap"]))),
          "On CIFAR-10 with shortcuts, after 200 epochs. On CIFAR-100 the printed gap is five to nine points; on Tiny "
          "ImageNet, and early in training, it is nine or more."),
    Claim("FA and DFA fail to train ResNet-34 on CIFAR-100 and Tiny ImageNet", "section 5.2.2", "holds", (
        Table("asap:table-5.2-cifar-100",
              f"FA has {_row('cifar-100', 'resnet34')['fa']:.2f} % and {_row('tiny-imagenet', 'resnet34')['fa']:.2f} "
              f"%, BP "
              f"{_row('cifar-100', 'resnet34')['bp']:.2f} % and {_row('tiny-imagenet', 'resnet34')['bp']:.2f} %",
              lambda shelf: all(max(_row(data, "resnet34")[rule] for rule in ("fa", "dfa"))
                                < _row(data, "resnet34")["bp"] / 2 for data in ("cifar-100", "tiny-imagenet"))),)),
    Claim("FA and DFA do not gain from depth, from AlexNet to ResNet-34", "section 5.2.2, Table 5.2", "does not hold", (
        Table("asap:table-5.2-cifar-100", f"DFA gains "
              f"{_row('cifar-100', 'resnet34')['dfa'] - _row('cifar-100', 'alexnet')['dfa']:.2f} points on CIFAR-100",
              lambda shelf: all(_row(data, "resnet34")[rule] <= _row(data, "alexnet")[rule]
                                for data in ("cifar-10", "cifar-100") for rule in ("fa", "dfa"))),),
          "It holds in the other three cases, and the gain is small."),
    Claim("ASAP gains from depth as BP does", "section 5.2.2, Table 5.2", "holds", (
        Table("asap:table-5.2-cifar-10", f"from AlexNet to ResNet-34 ASAP gains "
              f"{_row('cifar-10', 'resnet34')['asap'] - _row('cifar-10', 'alexnet')['asap']:.2f} points on CIFAR-10, "
              f"BP "
              f"{_row('cifar-10', 'resnet34')['bp'] - _row('cifar-10', 'alexnet')['bp']:.2f}",
              lambda shelf: all(_row(data, "resnet34")[rule] > _row(data, "alexnet")[rule]
                                for data in ("cifar-10", "cifar-100") for rule in ("bp", "asap"))),)),
    Claim("shortcuts bring BP 0.23 points on CIFAR-10 and 0.5 on CIFAR-100", "section 5.2.2", "does not hold", (
        Table("asap:table-5.2-cifar-100", "on CIFAR-100 the table says {printed[asap:table-5.2-cifar-100 | bp - bp, no "
                                          "shortcut]:.2f}",
              lambda shelf: round(_printed(shelf, "asap:table-5.2-cifar-100 | bp - bp, no shortcut"), 2) == 0.5),),
          "The number on CIFAR-10 is right."),
    Claim("shortcuts bring ASAP far more than BP", "section 5.2.2, Table 5.2", "holds under a condition", (
        Table(T52, "on CIFAR-10 {printed[asap:table-5.2 | asap - asap, no shortcut]:.2f} points, and BP "
                   "{printed[asap:table-5.2 | bp - bp, no shortcut]:.2f}",
              lambda shelf: _printed(shelf, "asap:table-5.2 | asap - asap, no shortcut")
              > 5 * _printed(shelf, "asap:table-5.2 | bp - bp, no shortcut")),
        Runs("asap-table-5.2", "after {asap_table_5_2.epochs} epochs {asap_table_5_2[asap - asap, no "
                               "shortcut].points:.1f} "
                               "points, and BP {asap_table_5_2[bp - bp, no shortcut].points:.1f}",
             lambda shelf: True, lambda shelf: shelf[SMALL]["asap - asap, no shortcut"].test
             < 2 * shelf[SMALL]["bp - bp, no shortcut"].test)),
          "After a long training. In a short one BP gains nearly as much."),
    Claim("a shortcut brings the shared update nearer to the exact one", "section 5.2.2, (5.1)-(5.6)",
          "holds under a condition", (
              Theorem("activation-sharing", "Lemma 4"), Theorem("activation-sharing", "Lemma 5"),
              Counted("python -m nobackprop.studies.depth", "ResNet-18 at its start, groups of two layers: the mean "
                      "cosine of the two is {with2:.2f} with shortcuts and {without2:.2f} without",
                      lambda found: found["with2"] > found["without2"] + 0.1, count=_near)),
          "The theorems are of one layer and the same error."),
    Claim("blocks of four layers are about as good as blocks of two", "section 5.2.2, Fig. 5.4", "holds", (
        Table("asap:figure-5.4-cifar-100", f"ResNet-34: "
                                           f"{_row('cifar-10', 'resnet34')['asap'] - BLOCK_OF_4['cifar-10']:.2f} "
              f"points less on CIFAR-10, {_row('cifar-100', 'resnet34')['asap'] - BLOCK_OF_4['cifar-100']:.2f} on "
              f"CIFAR-100",
              lambda shelf: all(_row(data, "resnet34")["asap"] - BLOCK_OF_4[data] < 1
                                for data in ("cifar-10", "cifar-100"))),
        Runs("asap-figure-5.4", "ResNet-34 after {asap_figure_5_4.epochs} epochs on CIFAR-10: four layers "
                                "{asap_figure_5_4[asap, k = 4].both}, two {asap_figure_5_4[asap].both}, and BP "
                                "{asap_figure_5_4[bp].both}",
             lambda shelf: shelf["asap_figure_5_4"]["asap"].near(shelf["asap_figure_5_4"]["asap, k = 4"])
             and shelf["asap_figure_5_4"]["bp"].above(shelf["asap_figure_5_4"]["asap, k = 4"])))),
    Claim("the overhead of memory falls by reducing the block size", "section 5.2.2", "does not hold", (
        Counted("nobackprop memory --model resnet18", "ASAP needs {k2:.2f} of BP's accesses with k = 2, and {k4:.2f} "
                "with k = 4", lambda found: found["k2"] < found["k4"], count=_resnets),),
          "It falls by *increasing* it, as the rest of the paragraph says."),
    Claim("ASAP reduces the accesses to external memory", "chapter 6, Fig. 6.1", "holds under a condition", (
        Counted("nobackprop memory --model resnet18", "{k2:.2f} of BP's for ResNet-18 and batches of 128; with B as "
                                                      "well as "
                "W {both2:.2f}, and with batches of 8 {small_both2:.2f}", lambda found: found["both2"] < 1,
                lambda found: found["small_both2"] > 1, count=_resnets),),
          "If activations dominate. The thesis does not count that ASAP reads B and writes two sets of weights."),
    Claim("sharing sharply reduces the memory of a training", "abstract; chapter 7", "holds under a condition", (
        Counted("nobackprop memory --model resnet18", "ResNet-18 with k = 2 keeps {kept:.2f} of the activations that "
                "BP keeps; together with weights, feedback weights and the momentum of both it holds {held:.2f} of "
                "BP's numbers with batches of 128, and {small_held:.2f} with batches of 8",
                lambda found: found["kept"] < 0.7, lambda found: found["held"] > 0.8 and found["small_held"] > 1,
                count=_resnets),),
          "The memory of activations alone. B and its momentum take as much as W and its own, so that the whole is "
          "little smaller if the batch is large, and larger if it is small."),
    Claim("ASAP saves a larger share of the accesses in deeper networks", "chapter 6, Fig. 6.1", "holds", (
        Counted("nobackprop memory --model resnet34", "ASAP with k = 2 needs {alexnet:.2f} of BP's accesses in "
                                                         "AlexNet, "
                "{resnet18:.2f} in ResNet-18 and {resnet34:.2f} in ResNet-34",
                lambda found: found["resnet34"] < found["alexnet"] and found["resnet18"] < found["alexnet"],
                count=_depths),)),
    Claim("ASAP is above local learning in ResNets", "section 5.2.2, Table 5.3", "holds", (
        Table(T53, "ResNet-18: {printed[asap:table-5.3 | asap - predsim]:.2f} points above the best of them",
              lambda shelf: all(_printed(shelf, f"{T53} | asap{more} - {rule}{more}") > 0 for more in ("", ", resnet34")
                                for rule in ("mostafa", "predsim", "phsic"))),
        Runs("asap-table-5.3", "after {asap_table_5_3.epochs} epochs ResNet-18: ASAP {asap_table_5_3[asap].both}, the "
                               "best of them {asap_table_5_3[predsim].both}; ResNet-34: "
                               "{asap_table_5_3[asap, resnet34].both} and {asap_table_5_3[phsic, resnet34].both}",
             lambda shelf: all(shelf[LOCAL][f"asap{more}"].above(shelf[LOCAL][f"{rule}{more}"])
                               for rule in ("mostafa", "predsim", "phsic") for more in ("", ", resnet34"))))),
    Claim("local learning degrades in ResNets, while ASAP is comparable to BP", "section 5.2.2, Table 5.3",
          "holds under a condition", (
        Table(T53, "the best local learning is {printed[asap:table-5.3 | bp - predsim]:.2f} points below BP in "
                   "ResNet-18 and {printed[asap:table-5.3 | bp, resnet34 - predsim, resnet34]:.2f} in ResNet-34, ASAP "
                   "{printed[asap:table-5.3 | bp - asap]:.2f} and "
                   "{printed[asap:table-5.3 | bp, resnet34 - asap, resnet34]:.2f}",
              lambda shelf: all(_printed(shelf, f"{T53} | bp{more} - {rule}{more}") > 5
                                for rule in ("mostafa", "predsim", "phsic") for more in ("", ", resnet34"))
              and all(_printed(shelf, f"{T53} | bp{more} - asap{more}") < 3 for more in ("", ", resnet34"))),
        Runs("asap-table-5.3", "after {asap_table_5_3.epochs} epochs local learning is at least "
                               "{asap_table_5_3[bp - predsim].points:.1f} and "
                               "{asap_table_5_3[bp, resnet34 - phsic, resnet34].points:.1f} points below BP, ASAP "
                               "{asap_table_5_3[bp - asap].points:.1f} and "
                               "{asap_table_5_3[bp, resnet34 - asap, resnet34].points:.1f}",
             lambda shelf: all(shelf[LOCAL][f"bp{more}"].above(shelf[LOCAL][f"{rule}{more}"])
                               for rule in ("mostafa", "predsim", "phsic") for more in ("", ", resnet34")),
             lambda shelf: all(shelf[LOCAL][f"bp{more} - asap{more}"].points > 5 for more in ("", ", resnet34")))),
          "After a long training. After a short one ASAP, too, is far below BP."),
    Claim("weight decay changes the accuracy of ASAP more than that of BP", "section 5.2.3, Table 5.4",
          "holds under a condition", (
              Table("asap:table-5.4", f"ResNet-34: the printed accuracies of ASAP lie "
                                      f"{_range(rule['asap'] for rule in DECAYED):.2f} points apart, those of BP "
                                      f"{_range(rule['bp'] for rule in DECAYED):.2f}",
                    lambda shelf: _range(rule["asap"] for rule in DECAYED) > _range(rule["bp"] for rule in DECAYED)),
              Runs("asap-table-5.4", "ResNet-18, after {asap_table_5_4.epochs} epochs: without decay, with the usual "
                                     "one and with ten times as much ASAP reaches {asap_table_5_4[asap, decay "
                                     "0].both}, {asap_table_5_4[asap, decay 0.3].both} and {asap_table_5_4[asap, decay "
                                     "3].both}, BP {asap_table_5_4[bp, decay 0].both}, {asap_table_5_4[bp, decay "
                                     "0.3].both} and {asap_table_5_4[bp, decay 3].both}",
                   lambda shelf: True, lambda shelf: _decayed(shelf, "asap") < _decayed(shelf, "bp"))),
          "After a long training. In a short one too large a decay costs BP as much."),
    Claim("more decay brings W and B together sooner, and too much of it harms", "section 5.2.3, Table 5.4", "holds", (
        Runs("asap-table-5.4", "cosine of ASAP's signal in a middle block: {asap_table_5_4[asap, decay "
                               "0].cosine[4]:.2f}, "
                               "{asap_table_5_4[asap, decay 0.3].cosine[4]:.2f} and "
                               "{asap_table_5_4[asap, decay 3].cosine[4]:.2f} without decay, with the usual one and "
                               "with ten times as much; accuracy with the last {asap_table_5_4[asap, decay 3].both}, "
                               "with "
                               "the usual one {asap_table_5_4[asap, decay 0.3].both}",
             lambda shelf: (shelf["asap_table_5_4"]["asap, decay 0"].cosine[4]
                            < shelf["asap_table_5_4"]["asap, decay 0.3"].cosine[4]
                            < shelf["asap_table_5_4"]["asap, decay 3"].cosine[4])
             and shelf["asap_table_5_4"]["asap, decay 0.3"].above(shelf["asap_table_5_4"]["asap, decay 3"])),)),
    Claim("ASFP loses 33.48 points in ResNet-18 and 64.48 in ResNet-34", "section 5.2.4, Table 5.5", "does not hold", (
        Table("asap:table-5.5-resnet34", "the table says {printed[asap:table-5.5-resnet34 | bp - asfp]:.2f} for "
                                         "ResNet-34",
              lambda shelf: round(_printed(shelf, "asap:table-5.5-resnet34 | bp - asfp"), 2) == 64.48),),
          "The first number is right."),
    Claim("ASFP is far below ASAP", "section 5.2.4, Table 5.5", "holds", (
        Table("asap:table-5.5", "{printed[asap:table-5.5 | asap - asfp]:.2f} points",
              lambda shelf: _printed(shelf, "asap:table-5.5 | asap - asfp") > 10),
        Runs("asap-table-5.5", "ASAP {asap_table_5_5[asap].both}, ASFP {asap_table_5_5[asfp].both}",
             lambda shelf: shelf["asap_table_5_5"]["asap"].above(shelf["asap_table_5_5"]["asfp"])),
        Runs("asap-table-5.5-resnet34", "ResNet-34: ASAP {asap_table_5_5_resnet34[asap].both}, ASFP "
                                        "{asap_table_5_5_resnet34[asfp].both}",
             lambda shelf: shelf["asap_table_5_5_resnet34"]["asap"].above(
                 shelf["asap_table_5_5_resnet34"]["asfp"])))),
    Claim("local classifiers bring ASFP back, above FA, DFA and local learning", "section 5.2.4, Table 5.5",
          "holds under a condition", (
              Table("asap:table-5.5", "they bring {printed[asap:table-5.5 | asfp-lc - asfp]:.2f} points; the best "
                                      "local "
                                      "learning has {printed[asap:table-5.3 | predsim]:.2f} %",
                    lambda shelf: _printed(shelf, "asap:table-5.5 | asfp-lc") > max(
                        _printed(shelf, f"{T53} | predsim"), _printed(shelf, f"{T52} | dfa"))),
              Runs("asap-table-5.5", "after {asap_table_5_5.epochs} epochs they bring "
                                     "{asap_table_5_5[asfp-lc - asfp].points:.1f} points, and DFA is at "
                                     "{asap_table_5_2[dfa].both}",
                   lambda shelf: shelf["asap_table_5_5"]["asfp-lc"].test > shelf["asap_table_5_5"]["asfp"].test,
                   lambda shelf: shelf["asap_table_5_5"]["asfp-lc"].test < shelf[SMALL]["dfa"].test),
              Runs("asap-table-5.5-resnet34", "with ResNet-34 ASFP has {asap_table_5_5_resnet34[asfp].both} without "
                                              "and {asap_table_5_5_resnet34[asfp-lc].both} with them",
                   lambda shelf: True, lambda shelf: not shelf["asap_table_5_5_resnet34"]["asfp-lc"].above(
                       shelf["asap_table_5_5_resnet34"]["asfp"]))),
          "After long training. After a short one they help by less than the spread or not at all, and block-wise DFA "
          "is above."),
    Claim("learning without gradients does not scale to large networks", "section 8.1", "holds under a condition", (
        Theorem("gradient-free", "Theorem G1"), Theorem("gradient-free", "Theorem G5")),
          "For methods that change all parameters at random at the same time: the variance grows with their number."),
    Claim("learning without gradients transports no weights", "section 8.1", "holds", (
        Reads("spsa", "blocks to which W of another block is carried: {transport}",
              lambda found: not found.hidden.transport),),
          "Simultaneous perturbation is the example here. Its losses depend on all weights."),
    Claim("learning without gradients needs more steps, as it has no exact derivatives", "section 8.1",
          "does not hold", (
              Theorem("gradient-free", "Theorem G5"), Theorem("gradient-free", "Corollary")),
          "It needs more steps, but for another reason: the bound grows with the number of parameters even if the "
          "slope along every direction is exact."),
)
