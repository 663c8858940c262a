"""What Kao and Chen 2020 claim of associated learning."""
from __future__ import annotations

from functools import cache

import numpy as np

from ... import metrics, models, network, rules
from ...studies.depth import DEPTHS, shrinkage
from ..papers.al import PRINTED_DISTANCES, PRINTED_DISTANCES_100, PRINTED_LOSSES
from ..shelf import Shelf
from . import Claim, Counted, Reads, Runs, Table, Theorem

PAPER = "AL: Kao and Chen 2020"
MLP = "mlp:1024,1024,5120,1024,1024"
T2, T3, T4, T6 = "al:table-2", "al:table-3", "al:table-4", "al:table-6"
PLAIN = ("mlp", "cnn", "vgg")


def _lead(shelf: Shelf, exhibit: str, model: str) -> float:
    """By how many points AL is printed above BP."""
    return float(shelf["printed"][f"{exhibit} | al, {model} - bp, {model}"])


@cache
def _sizes() -> dict[str, float]:
    """The parameters of the MLP on MNIST, and those that AL has in addition."""
    net = models.build(MLP, (28, 28, 1), 10, "elu,sigmoid")
    params, shapes = network.init(net, np.random.default_rng(0), (28, 28, 1))
    state = rules.get("al").init(np.random.default_rng(0), net, params, shapes)
    effective, affiliated = metrics.size(params), metrics.size(state)
    x, other = np.ones((2, 28, 28, 1), "float32"), rules.get("al").init(np.random.default_rng(1), net, params, shapes)
    first, again = (rules.get("al").forward(net, params, one, x).output for one in (state, other))
    return {"effective": effective, "all": effective + affiliated, "ratio": (effective + affiliated) / effective,
            "same": float((first == again).all())}


def _pipeline() -> dict[str, float]:
    """Units of time for 20 mini-batches and 10 components, by the number of workers: equal tasks, no communication."""
    batches, components = 20, 10

    def units(workers: int, components: int = components) -> float:
        busiest = -(-components // workers)
        return components + (batches - 1) * busiest

    return {"batches": batches, "components": components, "one": batches * components,
            "all": units(components), "two": units(2), "twice": units(2 * components, 2 * components)}


def _losses() -> dict[str, float]:
    """Table 5: what one more component changes in the losses below it, in per cent."""
    one, two, three = PRINTED_LOSSES.values()
    return {"first": 100 * (two[0] / one[0] - 1), "third": 100 * (1 - three[0] / one[0]),
            "second": 100 * (three[1] / two[1] - 1),
            "falls": float(all(upper < lower for losses in (two, three) for lower, upper in zip(losses, losses[1:])))}


def _ratios() -> dict[str, float]:
    """Table 7: the ratio of distances between and within classes."""
    return {f"{label.replace(', ', '_')}{more}": inter / intra
            for more, printed in (("", PRINTED_DISTANCES), ("_100", PRINTED_DISTANCES_100))
            for label, (inter, intra) in printed.items()}


@cache
def _shrinkage() -> dict[str, float]:
    """How much smaller the first gradient of a deep network is than the last one: sigmoid units, and the usual ones."""
    depth = DEPTHS[-1]
    return {"depth": depth, "few": shrinkage("al", DEPTHS[0]), "relu": shrinkage("bp", depth, "relu"),
            "usual": shrinkage("al", depth, "elu,sigmoid"),
            **{rule: shrinkage(rule, depth) for rule in ("bp", "al")}}


CLAIMS = (
    Claim("the objectives of the components are independent of each other", "sections 3 and 4.4",
          "holds under a condition", (
              Reads("al", "hidden blocks that wait for the output: {output}; to which W of another block is carried: "
                          "{transport}", lambda found: not found.hidden.output,
                    lambda found: bool(found.hidden.transport)),
              Theorem("associated-learning", "Theorem AL3")),
          "Of their gradients, and only with stops between components: the loss of a component still changes with the "
          "parameters below it. The one block that reads another one's weights lies in the same component."),
    Claim("gradients travel only within a component, so they vanish less than those of BP", "section 4.4",
          "holds under a condition", (
              Counted("python -m nobackprop.studies.depth", "{depth} hidden layers at their start: with sigmoid units "
                      "the gradient of the first W is {bp:.1e} of that of the last under BP, and {al:.2f} under AL; "
                      "with ReLU under BP it is {relu:.2f}, and with ELU and sigmoid, which AL has here, {usual:.2f}",
                      lambda found: found["bp"] < 1e-6 and found["al"] > found["few"] / 3,
                      lambda found: found["relu"] > found["usual"], count=_shrinkage),),
          "With units that make gradients smaller, such as sigmoid. With ReLU those of BP do not vanish, either."),
    Claim("with pipelining a step takes a constant time, however many layers there are", "section 3", "does not hold", (
        Counted("nobackprop bench --rule al --pipeline 2 --model " + MLP, "{batches} mini-batches take {all} units of "
                "time with {components} components, and {twice} with twice as many, if each has a worker",
                lambda found: found["twice"] == found["all"], count=_pipeline),),
          "It is constant for each further mini-batch. The first one passes through all components."),
    Claim("pipelined training takes a time of O(n + l) and not of O(n l)", "sections 1 and 3, Table 1",
          "holds under a condition", (
              Counted("nobackprop bench --rule al --pipeline 2 --model " + MLP, "{batches} mini-batches and "
                                                                                "{components} "
                      "components: {one} units of time with one worker, {two} with two, {all} with {components}",
                      lambda found: found["all"] == found["batches"] + found["components"] - 1,
                      lambda found: found["two"] > found["batches"] + found["components"], count=_pipeline),),
          "If there are as many workers as components, all tasks take the same time, and communication takes none. n "
          "is "
          "the number of mini-batches."),
    Claim("a pipelined implementation should be possible", "section 6", "holds", (
        Reads("al", "hidden blocks that wait for the output: {output}", lambda found: not found.hidden.output),),
          "It runs here, and ends with the same bits as a sequential run: [pipeline](pipeline.md)."),
    Claim("most layers do not interact with the target", "section 6", "holds under a condition", (
        Reads("al", "hidden blocks that wait for the output: {output}; hidden blocks whose update changes with the "
                    "target: "
                    "{target}", lambda found: not found.hidden.output,
              lambda found: found.hidden.target == found.hidden.learns),),
          "Not directly: only the first component reads the target itself. But codes of it reach every component, "
          "so all of them need a labelled sample."),
    Claim("gradients do not come from the output layer", "section 6", "holds", (
        Reads("al", "hidden blocks that wait for the output: {output}", lambda found: not found.hidden.output),)),
    Claim("AL and BP are compared with identical numbers of parameters", "section 5.1", "holds under a condition", (
        Counted("nobackprop models --show " + MLP, "{effective:,} parameters that prediction uses; AL trains {all:,}, "
                                                   "which "
                "is {ratio:.2f} times as many", lambda found: found["effective"] > 0,
                lambda found: found["ratio"] > 1.5, count=_sizes),),
          "Of those that prediction uses."),
    Claim("affiliated parameters, which training alone uses, add no functions that prediction can compute",
          "section 4.5", "holds", (
              Counted("nobackprop models --show " + MLP, "prediction uses {effective:,} of {all:,} parameters",
                      lambda found: found["same"] == 1, count=_sizes),),
          "A prediction stays the same, bit for bit, if all affiliated parameters are drawn anew."),
    Claim("AL is slightly above BP on MNIST", "section 5.2, Table 2", "holds under a condition", (
        Table(T2, "by {printed[al:table-2 | al, mlp - bp, mlp]:.1f} points (MLP) and "
                  "{printed[al:table-2 | al, cnn - bp, cnn]:.1f} (CNN)",
              lambda shelf: min(_lead(shelf, T2, model) for model in ("mlp", "cnn")) > 0),
        Runs("al-table-2", "an eighth of the width, 5 epochs: AL {al_table_2[al, mlp].both}, BP {al_table_2[bp, "
                           "mlp].both}",
             lambda shelf: not shelf["al_table_2"]["bp, mlp"].above(shelf["al_table_2"]["al, mlp"])),
        Runs("mnist-al", "full width, 2 epochs: AL {mnist_al[al].both}, BP {mnist_al[bp].both}", lambda shelf: True,
             lambda shelf: shelf["mnist_al"]["bp"].above(shelf["mnist_al"]["al"]))),
          "After long training in the paper; in a short one of the small network the two are alike, and in a very "
          "short "
          "one of the large network BP is above."),
    Claim("BP is above difference target propagation on MNIST", "section 5.2, Table 2", "holds", (
        Table(T2, "by {printed[al:table-2 | bp, mlp - dtp, mlp]:.2f} points",
              lambda shelf: shelf["printed"]["al:table-2 | bp, mlp - dtp, mlp"] > 0),
        Runs("al-table-2", "BP {al_table_2[bp, mlp].both}, DTP {al_table_2[dtp, mlp].both}",
             lambda shelf: shelf["al_table_2"]["bp, mlp"].above(shelf["al_table_2"]["dtp, mlp"])),
        Runs("mnist-al", "BP {mnist_al[bp].both}, DTP {mnist_al[dtp].both}",
             lambda shelf: shelf["mnist_al"]["bp"].above(shelf["mnist_al"]["dtp"])))),
    Claim("AL is above difference target propagation", "section 5.2, Tables 2 and 3", "holds under a condition", (
        Table(T2, "by {printed[al:table-2 | al, mlp - dtp, mlp]:.2f} points",
              lambda shelf: shelf["printed"]["al:table-2 | al, mlp - dtp, mlp"] > 0),
        Runs("al-table-2", "AL {al_table_2[al, mlp].both}, DTP {al_table_2[dtp, mlp].both}",
             lambda shelf: shelf["al_table_2"]["al, mlp"].above(shelf["al_table_2"]["dtp, mlp"])),
        Runs("al-table-3", "CIFAR-10, after {al_table_3.epochs} epochs on 5,000 small images: AL "
                           "{al_table_3[al, mlp].both}, DTP {al_table_3[dtp, mlp].both}", lambda shelf: True,
             lambda shelf: not shelf["al_table_3"]["al, mlp"].above(shelf["al_table_3"]["dtp, mlp"]))),
          "On MNIST, and on CIFAR-10 in the paper. In a short training on CIFAR-10 it is not."),
    Claim("on CIFAR-10 AL is slightly above BP with MLP, CNN and VGG",
          "section 5.2, Table 3", "holds under a condition", (
              Table(T3, "MLP {printed[al:table-3 | al, mlp - bp, mlp]:+.1f} points, CNN "
                        "{printed[al:table-3 | al, cnn - bp, cnn]:+.1f}, VGG {printed[al:table-3 | al, vgg - bp, "
                        "vgg]:+.1f}",
                    lambda shelf: all(_lead(shelf, T3, model) > 0 for model in PLAIN)),
              Runs("al-table-7", "after {al_table_7.epochs} epochs on 5,000 small images, MLP: AL "
                                 "{al_table_7[al, mlp].both}, BP {al_table_7[bp, mlp].both}", lambda shelf: True,
                   lambda shelf: shelf["al_table_7"]["bp, mlp"].above(shelf["al_table_7"]["al, mlp"])),
              Runs("al-table-3", "CNN: AL {al_table_3[al, cnn].both}, BP {al_table_3[bp, cnn].both}; VGG: AL "
                                 "{al_table_3[al, vgg].both}, BP {al_table_3[bp, vgg].both}",
                   lambda shelf: shelf["al_table_3"]["al, cnn"].above(shelf["al_table_3"]["bp, cnn"]),
                   lambda shelf: shelf["al_table_3"]["bp, vgg"].above(shelf["al_table_3"]["al, vgg"]))),
          "After a long training, with all images. In a short one with few images BP is above with the MLP and VGG."),
    Claim("on CIFAR-100 AL is slightly above BP with MLP, CNN and VGG", "section 5.2, Table 4", "holds", (
        Table(T4, "MLP {printed[al:table-4 | al, mlp - bp, mlp]:+.1f} points, CNN "
                  "{printed[al:table-4 | al, cnn - bp, cnn]:+.1f}, VGG {printed[al:table-4 | al, vgg - bp, vgg]:+.1f}",
              lambda shelf: all(_lead(shelf, T4, model) > 0 for model in PLAIN)),)),
    Claim("with ResNets AL is only slightly below BP", "section 5.2, Tables 3 and 4", "holds under a condition", (
        Table(T4, "ResNet-20: {printed[al:table-3 | bp, resnet20 - al, resnet20]:.1f} points on CIFAR-10; ResNet-32: "
                  "{printed[al:table-4 | bp, resnet32 - al, resnet32]:.1f} on CIFAR-100",
              lambda shelf: _lead(shelf, T3, "resnet20") > -2.5, lambda shelf: _lead(shelf, T4, "resnet32") < -4),
        Runs("al-table-3", "CIFAR-10, after {al_table_3.epochs} epochs on 5,000 small images: ResNet-20 AL "
                           "{al_table_3[al, resnet20].both}, BP {al_table_3[bp, resnet20].both}; ResNet-32 "
                           "{al_table_3[al, resnet32].both} and {al_table_3[bp, resnet32].both}",
             lambda shelf: all(not shelf["al_table_3"][f"bp, {net}"].above(shelf["al_table_3"][f"al, {net}"])
                               for net in ("resnet20", "resnet32")))),
          "With ResNet-20 on CIFAR-10. With a deeper network and more classes the gap is larger. After a very short "
          "training AL is ahead, as BP has hardly begun."),
    Claim("AL is comparable to BP, though its signals are others", "sections 1 and 5.2", "holds under a condition", (
        Runs("al-table-2", "cosine of its signal with BP's in the first block: "
                           "{al_table_2[al, mlp].cosine[0]:.2f}; accuracy {al_table_2[al, mlp].both} against "
                           "{al_table_2[bp, mlp].both}",
             lambda shelf: (shelf["al_table_2"]["al, mlp"].cosine[0] or 0) < 0.4
             and not shelf["al_table_2"]["bp, mlp"].above(shelf["al_table_2"]["al, mlp"])),
        Runs("mnist-al", "with the full widths, after {mnist_al.epochs} epochs, AL {mnist_al[al].both} and BP "
                         "{mnist_al[bp].both}", lambda shelf: True,
             lambda shelf: shelf["mnist_al"]["bp"].above(shelf["mnist_al"]["al"]))),
          "After enough training: five epochs of the small network are enough, two of the large one are not."),
    Claim("more components reduce the associated loss", "section 5.3, Table 5", "does not hold", (
        Counted("nobackprop papers show al:table-5", "the loss of component 1 rises by {first:.1f} % with a second "
                "component, and is {third:.1f} % lower with three than with one; that of component 2 rises by "
                "{second:.1f} % with a third",
                lambda found: found["first"] < 0 and found["second"] < 0, count=_losses),),
          "A second component raises the loss of the first one, and a third one that of the second. The loss at the "
          "top falls. The numbers are the paper's."),
    Claim("the associated loss is smaller in an upper component than in a lower one", "section 5.3, Table 5",
          "holds under a condition", (
              Counted("nobackprop papers show al:table-5", "in all printed networks", lambda found: found["falls"] == 1,
                      count=_losses),
              Runs("al-table-5", "after {al_table_5.epochs} epochs the losses of three components are "
                                 "{al_table_5[3 components].associated[0]:.2e}, "
                                 "{al_table_5[3 components].associated[1]:.2e} and "
                                 "{al_table_5[3 components].associated[2]:.2e}", lambda shelf: True,
                   lambda shelf: shelf["al_table_5"]["3 components"].associated
                   == sorted(shelf["al_table_5"]["3 components"].associated))),
          "After a long training. After a short one the three losses are nearly alike. In part it is a matter of "
          "scale: sigmoid encoders shrink the variance of their codes."),
    Claim("each component refines the one below, so that x approaches y", "sections 4.4 and 5.3", "does not hold", (
        Theorem("associated-learning", "Theorem AL1"), Theorem("associated-learning", "Theorem AL3")),
          "Not for this reason: the error of the prediction is bounded by the top associated loss and the losses of "
          "the autoencoders. The lower associated losses are in no such bound."),
    Claim("more components raise the test accuracy", "section 5.3, Table 6", "holds under a condition", (
        Table(T6, "by {printed[al:table-6 | 2 components - 1 component]:.2f} and "
                  "{printed[al:table-6 | 3 components - 2 components]:.2f} points",
              lambda shelf: shelf["printed"]["al:table-6 | 2 components - 1 component"] > 0
              and shelf["printed"]["al:table-6 | 3 components - 2 components"] > 0),
        Runs("al-table-6", "after {al_table_6.epochs} epochs {al_table_6[1 component].both} with one component, "
                           "{al_table_6[2 components].both} with two and {al_table_6[3 components].both} with three",
             lambda shelf: True,
             lambda shelf: not shelf["al_table_6"]["3 components"].above(shelf["al_table_6"]["1 component"]))),
          "In the paper's table, after a training to 100 % on the training set. After a short one, with an eighth of "
          "the widths, a deeper network is not better."),
    Claim("hidden features under AL have a larger ratio of distances between and within classes than under BP",
          "section 5.4, Table 7", "holds", (
              Counted("nobackprop papers show al:table-7", "MLP on CIFAR-10: {al_mlp:.2f} against {bp_mlp:.2f}; CNN "
                      "{al_cnn:.2f} against {bp_cnn:.2f}",
                      lambda found: all(found[f"al_{end}"] > found[f"bp_{end}"]
                                        for end in ("mlp", "cnn", "mlp_100", "cnn_100")), count=_ratios),
              Runs("al-table-7", "after {al_table_7.epochs} epochs MLP "
                                 "{al_table_7[al, mlp].ratio:.2f} against {al_table_7[bp, mlp].ratio:.2f}, CNN "
                                 "{al_table_7[al, cnn].ratio:.2f} against {al_table_7[bp, cnn].ratio:.2f}",
                   lambda shelf: all(shelf["al_table_7"][f"al, {end}"].ratio > shelf["al_table_7"][f"bp, {end}"].ratio
                                     for end in ("mlp", "cnn")))),
          "The paper does not say of which layer its numbers are."),
    Claim("AL learns better features than BP, as the larger ratio suggests", "section 5.4, Table 7", "does not hold", (
        Runs("al-table-7", "MLP: AL has the ratio {al_table_7[al, mlp].ratio:.2f} and the accuracy "
                           "{al_table_7[al, mlp].both}, BP {al_table_7[bp, mlp].ratio:.2f} and "
                           "{al_table_7[bp, mlp].both}",
             lambda shelf: not (shelf["al_table_7"]["al, mlp"].ratio > shelf["al_table_7"]["bp, mlp"].ratio
                                and shelf["al_table_7"]["bp, mlp"].above(shelf["al_table_7"]["al, mlp"]))),),
          "A larger ratio does not say that the features serve better: in this short run of the MLP they serve worse. "
          "With the CNN ratio and accuracy are both higher."),
    Claim("later layers of AL group the classes better than those of BP, to the eye", "section 5.4, Figs. 5 and 6",
          "not tested at this scale", exhibit="al:figure-5",
          note="A picture; Table 7 is the number that goes with it."),
)
