"""Predictive coding: activities settle between what comes from below and what is wanted above, and then weights learn.

Every hidden block i has an activity x_i and a prediction of it, mu_i = block_i(x_{i-1}), with x_0 = x.  All rules of
this file descend one energy,

    F = 1/2 sum over hidden blocks |x_i - mu_i|^2 + beta N loss(mu_L),

first in the activities, which start at the forward pass, and then in the weights.  The error of block i is mu_i - x_i.
No block reads anything but the activities and errors of its neighbours, and its own W and that of the block above.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..backend import Array
from ..network import Network, Tape, apart, local
from ..tree import Tree, tree_map
from .base import Credit, OutputLearns, Rule

Signals = dict[int, Array]


def errors(net: Network, own: Tape, x: list[Array], y: Array, beta: float) -> Signals:
    """Return dF/dmu_i / N of every block: the errors of the hidden blocks, and beta times the output error.

    Parameters
    ----------
    net : Network
    own : Tape
        Every block on its own input, see `network.apart`.
    x : list of array (N, ...)
        x[0] is the input, x[i] the activity of block i - 1.
    y : array (N, C)
        The targets.
    beta : float
        The weight of the loss.

    Returns
    -------
    dict of int to array
        What `network.local` takes as signals.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import network
    >>> from nobackprop.layers import Activation
    >>> net = Network((Activation("relu"), Activation("relu")), "squared")
    >>> x = [np.array([[1.0], [4.0]]), np.array([[3.0], [4.0]])]
    >>> {i: s.tolist() for i, s in errors(net, network.apart(net, [None, None], x), x, np.zeros((2, 1)), 1.0).items()}
    {0: [[-1.0], [0.0]], 1: [[1.5], [2.0]]}
    """
    hidden = {i: (mu - h) / len(y) for i, (mu, h) in enumerate(zip(own.h[1:-1], x[1:], strict=True))}
    return hidden | {len(net) - 1: beta * net.error(own.output, y)}


@dataclass(frozen=True)
class PredictiveCoding(Rule):
    """Predictive coding lets activities settle for some steps, and then moves weights (Whittington and Bogacz 2017).

    Parameters
    ----------
    steps : int
        The number of steps in which the activities descend F.
    gamma : float
        The length of each of these steps.
    beta : float
        The weight of the loss in F.

    Notes
    -----
    What is substituted: the activity in the weight update and the signals.  Both come from activities that have
    settled; the signal of a hidden block is its own error.

    State: none.

    Source: Whittington and Bogacz 2017, in the form of an energy of the whole network.

    Deviations from print: the loss has the weight beta = 0.1, where the paper has 1, because networks then learn what
    those of backpropagation do; gradients are divided by beta; all variances are 1; all activities move at once.  Of
    batch-norm and Dropout, the statistics are those of the present activities and the silent units those of the forward
    pass.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,), "float64")
    >>> x, y = rng.standard_normal((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    >>> tape, rule = network.forward(net, params, x), rules.PredictiveCoding()
    >>> before, after = tape.h[:-1], rule.settle(net, params, tape, y, rule.beta)
    >>> [bool(np.array_equal(u, v)) for u, v in zip(before, after)]               # the input stays
    [True, False, False]
    """

    steps: int = 20
    gamma: float = 0.1
    beta: float = 0.1
    output_learns: ClassVar[OutputLearns] = "otherwise"

    def passes(self, net: Network) -> int:
        """Count the forward pass, one pass of blocks apart for every step, and one for the gradients."""
        return 2 + self.steps

    def settle(self, net: Network, params: Tree, tape: Tape, y: Array, beta: float) -> list[Array]:
        """Descend F in the activities, from the forward pass on.

        Parameters
        ----------
        net, params, tape, y
            As in `Rule.credit`.
        beta : float
            The weight of the loss; below 0 the activities move away from the targets.

        Returns
        -------
        list of array (N, ...)
            The input, and the activity of every hidden block.
        """
        x = list(tape.h[:-1])
        for _ in range(self.steps):
            own = apart(net, params, x, tape.seeds)
            s = errors(net, own, x, y, beta)
            down, _ = local(net, params, own, s)
            # N times a signal is a derivative of F: signals carry the mean over the batch
            x[1:] = [h - self.gamma * len(y) * (sent - s[i]) for i, (h, sent) in enumerate(zip(x[1:], down[1:]))]
        return x

    def gradients(self, net: Network, params: Tree, tape: Tape, y: Array, beta: float) -> list[Tree]:
        """Return the derivatives of F / N with respect to the parameters, where the activities have settled.

        Parameters
        ----------
        net, params, tape, y, beta
            As in `settle`.

        Returns
        -------
        list of tree
        """
        x = self.settle(net, params, tape, y, beta)
        own = apart(net, params, x, tape.seeds)
        return local(net, params, own, errors(net, own, x, y, beta))[1]

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Let the activities settle, and take the gradients of F there; see `Rule.credit`."""
        return Credit(tree_map(lambda g: g / self.beta, self.gradients(net, params, tape, y, self.beta)))


@dataclass(frozen=True)
class CentredPredictiveCoding(PredictiveCoding):
    """Centred predictive coding compares a nudge towards the target with one away from it (Pinchetti et al. 2025).

    Parameters
    ----------
    steps, gamma
        As in `PredictiveCoding`.
    beta : float
        The weight of the loss in F, once with either sign.

    Notes
    -----
    What is substituted: as in `PredictiveCoding`.  The activities settle twice, with beta and with -beta.  The error of
    the gradient is of the order beta squared; with one nudge it is of the order beta.

    State: none.

    Source: Pinchetti et al. 2025, "centred nudging".

    Deviations from print: as those of `PredictiveCoding`.

    Examples
    --------
    >>> from nobackprop import rules
    >>> rules.get("pc-centred:beta=0.05").beta
    0.05
    """

    def passes(self, net: Network) -> int:
        """Count the forward pass, and those of two descents."""
        return 1 + 2 * (1 + self.steps)

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Let the activities settle on both sides, and take the slope between them; see `Rule.credit`."""
        away, towards = (self.gradients(net, params, tape, y, beta) for beta in (-self.beta, self.beta))
        return Credit(tree_map(lambda u, v: (v - u) / (2 * self.beta), away, towards))


@dataclass(frozen=True)
class FixedPrediction(Rule):
    """Fixed prediction is predictive coding in which no prediction follows the activities (Millidge et al. 2022).

    Parameters
    ----------
    steps : int
        The number of steps in which the errors settle.
    gamma : float
        The length of each of these steps; above 1 the errors may grow.

    Notes
    -----
    What is substituted: the signals.  Predictions and derivatives stay those of the forward pass, so every activity
    update is linear in the errors.  After T steps the signal of a block with k blocks above it is that of
    backpropagation times the probability that T throws of a coin, which falls on heads with the probability gamma, give
    at least k heads.

    State: none.

    Source: Millidge, Tschantz, Buckley 2022.

    Deviations from print: none but the batch mean in the signals.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,), "float64")
    >>> x, y = rng.standard_normal((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    >>> tape = network.forward(net, params, x)
    >>> ours, true = (rule.credit(net, params, None, tape, y).grads for rule in (
    ...     rules.FixedPrediction(steps=3, gamma=0.5), rules.BP()))
    >>> [round(float(u["W"].sum() / v["W"].sum()), 3) for u, v in ((ours[0][0], true[0][0]), (ours[1][0], true[1][0]))]
    [0.5, 0.875]
    """

    steps: int = 20
    gamma: float = 0.1

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Let the errors settle on the tape of the forward pass, and take the gradients there; see `Rule.credit`."""
        s = {i: 0 * h for i, h in enumerate(tape.h[1:-1])} | {len(net) - 1: net.error(tape.output, y)}
        for _ in range(self.steps):
            down, _ = local(net, params, tape, s)
            s |= {i: s[i] + self.gamma * (sent - s[i]) for i, sent in enumerate(down[1:])}
        return Credit(local(net, params, tape, s)[1])


@dataclass(frozen=True)
class ZIL(Rule):
    """Z-IL is predictive coding in which each block learns when the error first reaches it (Song et al. 2020).

    Parameters
    ----------
    gamma : float
        The length of a step of the activities.

    Notes
    -----
    What is substituted: the signals.  The activities start at the forward pass, and all of them move at once.  So the
    error climbs down by one block in every step, and block i learns at the step in which it arrives.  With gamma = 1
    the gradients are those of backpropagation; in general those of a block with k blocks above it are gamma^k times
    them.

    State: none.

    Source: Song, Lukasiewicz, Xu, Bogacz 2020.

    Deviations from print: none but the batch mean in the signals.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,), "float64")
    >>> x, y = rng.standard_normal((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    >>> tape = network.forward(net, params, x)
    >>> ours, true = (rule.credit(net, params, None, tape, y).grads for rule in (rules.ZIL(), rules.BP()))
    >>> np.allclose(ours[0][0]["W"], true[0][0]["W"])
    True
    """

    gamma: float = 1.0

    def passes(self, net: Network) -> int:
        """Count the forward pass, and one pass of blocks apart for every block."""
        return 1 + len(net)

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Let the activities move, and take each block's gradients when its error is there; see `Rule.credit`."""
        x, grads = list(tape.h[:-1]), [None] * len(net)
        for i in reversed(range(len(net))):
            own = apart(net, params, x, tape.seeds)
            s = errors(net, own, x, y, 1.0)
            down, found = local(net, params, own, s)
            grads[i] = found[i]
            x[1:] = [h - self.gamma * len(y) * (sent - s[j]) for j, (h, sent) in enumerate(zip(x[1:], down[1:]))]
        return Credit(grads)
