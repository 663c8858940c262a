"""What depth does to an update at the start of a training: how far sharing turns it, and how small it becomes.

Two papers give reasons for their rules that a gradient at the first step can show.  Woo 2023, section 4.1: activation
sharing in small groups of layers comes nearer to backpropagation.  Kao and Chen 2020, section 4.4: in associated
learning gradients travel only within a component, so that they do not vanish.  The command
`python -m nobackprop.studies.depth [FILE]` prints both tables, or writes them to FILE, in less than a minute.
"""
from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from .. import models, network
from ..data import load, one_hot
from ..feedback import weights
from ..network import Network
from ..rules import get
from ..tree import Tree, leaves
from .text import aligned, write_page

SEEDS, SAMPLES, WIDTH = (0, 1, 2), 32, 64
GROUPS, DEPTHS = (2, 4), (2, 4, 8, 16)
UNITS = (("bp", "sigmoid"), ("al", "sigmoid"), ("bp", "relu"), ("al", "elu,sigmoid"))
RESNETS = {"with shortcuts": "resnet18:0.125", "without shortcuts": "resnet18-noshortcut:0.125"}


def first_gradients(net: Network, rule: str, x: np.ndarray, y: np.ndarray, seed: int) -> list[Tree]:
    """Return what a rule teaches a network at its start.

    Parameters
    ----------
    net : Network
        The network.
    rule : str
        The rule.
    x, y : array (N, ...), array (N, C)
        Samples, and their classes as one-hot targets.
    seed : int
        What the weights are drawn from, which are the same under every rule, and the rule's state.

    Returns
    -------
    list of Tree
        The gradients of each block.

    Examples
    --------
    >>> net = models.build("mlp:4,5", (3,), 2)
    >>> ours, true = (first_gradients(net, rule, np.ones((2, 3)), np.eye(2), 0) for rule in ("shallow", "bp"))
    >>> [g is None for g in ours], bool((ours[2]["W"] == true[2]["W"]).all())
    ([True, False, False], True)
    """
    rng, learns = np.random.default_rng(seed), get(rule)
    params, shapes = network.init(net, rng, x.shape[1:], "float64")
    state = learns.init(rng, net, params, shapes)
    tape = learns.forward(net, params, state, x, rng)
    grads: list[Tree] = learns.credit(net, params, state, tape, y, rng).grads
    return grads


def nearness(model: str, k: int, seeds: Sequence[int] = SEEDS, samples: int = SAMPLES) -> float:
    """Return how near the updates of activation sharing in groups of k layers are to those of backpropagation.

    Parameters
    ----------
    model : str
        A network.  Its input are digits of which every pixel is drawn as a square of 2 x 2, so (16, 16, 1).
    k : int
        How many layers learn from one shared activity.
    seeds : sequence of int
        One network is drawn for each.
    samples : int
        How many digits are in the batch.

    Returns
    -------
    float
        The cosine of the two gradients of W, as a mean over the seeds and over all W whose shared activity is not their
        own input.

    Examples
    --------
    >>> round(nearness("mlp:8,8", 2, seeds=[0], samples=8), 2)
    0.8
    """
    data = load("digits")
    x = data.x_train[:samples].astype("float64").repeat(2, 1).repeat(2, 2)
    y = one_hot(data.y_train[:samples], data.classes).astype("float64")
    net = models.build(model, x.shape[1:], data.classes)
    cosines = []
    for seed in seeds:
        # the first layer above the first block shares its own input, and so has the exact gradient
        ours, true = ([W for _, W in leaves(weights(first_gradients(net, rule, x, y, seed)[1:]))][1:]
                      for rule in (f"as:k={k}", "bp"))
        cosines += [(g * t).sum() / np.sqrt((g * g).sum() * (t * t).sum()) for g, t in zip(ours, true, strict=True)]
    return float(np.mean(cosines))


def shrinkage(rule: str, blocks: int, activation: str = "sigmoid", seeds: Sequence[int] = SEEDS,
              samples: int = SAMPLES) -> float:
    """Return how much smaller the gradient of the first block is than that of the last one, at the start.

    Parameters
    ----------
    rule : str
        The rule.
    blocks : int
        The number of hidden blocks, dense layers of `WIDTH` units.
    activation : str
        Their activation.
    seeds, samples
        As in `nearness`; the inputs are the digits.

    Returns
    -------
    float
        The root mean square of the gradient of the first W over that of the last W; the geometric mean over the seeds.

    Examples
    --------
    >>> shrinkage("bp", 6, seeds=[0], samples=8) < shrinkage("bp", 2, seeds=[0], samples=8) < 1
    True
    """
    data = load("digits")
    x = data.x_train[:samples].astype("float64")
    y = one_hot(data.y_train[:samples], data.classes).astype("float64")
    net = models.build("mlp:" + ",".join([str(WIDTH)] * blocks), data.shape, data.classes, activation)
    logs = []
    for seed in seeds:
        found = [W for _, W in leaves(weights(first_gradients(net, rule, x, y, seed)))]
        logs.append(np.log(np.mean(found[0] ** 2) / np.mean(found[-1] ** 2)) / 2)
    return float(np.exp(np.mean(logs)))


def tables() -> str:
    """Return both tables as text.

    Examples
    --------
    >>> from unittest import mock
    >>> from nobackprop.studies import depth
    >>> with mock.patch.object(depth, "nearness", return_value=0.5), mock.patch.object(depth, "shrinkage",
    ...                                                                               return_value=1e-3):
    ...     print(depth.tables().splitlines()[-1])
    16         1.0e-03      1.0e-03   1.0e-03          1.0e-03
    """
    near = [("ResNet-18, an eighth of the widths", *(f"groups of {k}" for k in GROUPS)),
            *((name, *(f"{nearness(model, k):.2f}" for k in GROUPS)) for name, model in RESNETS.items())]
    small = [("depth", *(f"{rule}, {activation}" for rule, activation in UNITS)),
             *((str(blocks), *(f"{shrinkage(rule, blocks, activation):.1e}" for rule, activation in UNITS))
               for blocks in DEPTHS)]
    return f"""\
Both tables are of networks that have not learned yet, for a batch of {SAMPLES} digits; means over {len(SEEDS)} seeds.

Activation sharing: the cosine of its update of a W with that of backpropagation, as a mean over the layers

{aligned(near, left=1)}

How much smaller the gradient of the first W is than that of the last: the ratio of their root mean squares, in dense
networks with `depth` hidden layers of {WIDTH} units.  "elu,sigmoid", which associated learning (al) has if no other
activation is asked for, is ELU in the lower half and sigmoid above.

{aligned(small, left=1)}
"""


if __name__ == "__main__":
    write_page(sys.argv[1:], "nobackprop.studies.depth", tables)
