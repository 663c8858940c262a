"""Forward-Forward: each hidden block tells inputs with their true label from others, by its activity."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from .. import network
from ..backend import Array, a_generator, array_module
from ..errors import InputError
from ..feedback import Draw, gaussian
from ..heads import DenseHead
from ..kernels.activation import sigmoid
from ..layers import Activation
from ..network import Network, Tape, backward, local
from ..tree import Tree, tree_map
from .base import Credit, Rule


@dataclass(frozen=True)
class ForwardForward(Rule):
    """Forward-Forward makes each hidden block active for true labels and quiet for wrong ones (Hinton 2022).

    Parameters
    ----------
    theta : float
        The threshold of the goodness, which is the mean square of a block's activity.
    draw : callable
        Draws the first patterns of the labels: ``draw(rng, (C, F))``, see `nobackprop.feedback`.
    scale : float
        What the first patterns are multiplied by.

    Raises
    ------
    InputError
        If the network has a single output, so that no label is wrong.  `init` raises it.

    Notes
    -----
    What is substituted: the tape and the signals.  Two more forward passes see the input with a label: x + V^T y*, and
    x + V^T y', where y' is a wrong label.  With the goodness g_i = mean h_i^2 of a sample, hidden block i descends
    log(1 + exp(-s (g_i - theta))), where s = +1 for the true label and s = -1 for the wrong one.  Nothing comes down
    from the block above.  The output block learns in the pass without a label, from e, and predicts in that pass.

    The wrong label is drawn by the probabilities that the network gives to the labels in its pass without a label.

    State: [V], which belongs to the first block.  V (C, n_0) has one pattern of the shape of the input for each label,
    and learns by the first block's loss.

    Source: Hinton 2022.

    Deviations from print: a pattern that learns is added to the whole input, where the paper overwrites some pixels by
    the label; so inputs without such pixels have a place for it.  The pass for prediction has no label, where the paper
    gives it a neutral one, and the output block reads the last hidden block alone.  The paper scales each activity to
    unit length before the next layer sees it.  Here the network decides: it does so if it has the layer `UnitLength` in
    that place, and the models of this library have none.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import ForwardForward
    >>> h = np.array([[2.0, 0.0]])                                  # its goodness is 2
    >>> rule = ForwardForward(theta=2.0)
    >>> rule.sent(h, 1).tolist(), rule.sent(h, -1).tolist()         # the true label asks for more, a wrong one for less
    ([[-1.0, -0.0]], [[1.0, 0.0]])
    """

    theta: float = 4.0
    draw: Draw = gaussian
    scale: float = 6.0
    defaults: ClassVar[Mapping[str, object]] = {"activation": "relu", "lr": 3e-3}
    learns: ClassVar[tuple[str, ...]] = ("classes",)  # a wrong label is another class

    def passes(self, net: Network) -> int:
        """Count the passes without a label, with the true one and with a wrong one; see `Rule.passes`."""
        return 3 if len(net) > 1 else 1

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the first patterns of the labels; see `Rule.init`."""
        classes = shapes[-1][0]
        if classes < 2:
            raise InputError(f"ff needs a wrong label for each sample, expected at least 2 outputs, got {classes}")
        return [self.scale * DenseHead().init(rng, shapes[0], classes, self.draw)] if len(net) > 1 else None

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Run the hidden blocks with both labels, and let each block compare its two goodnesses; see `Rule.credit`."""
        last, e = len(net) - 1, net.error(tape.output, y)
        output = backward(net[last:], params[last:], tape.above(last), {0: e})
        if not last:
            return Credit(output)
        (hidden, patterns), wrong = (self.labelled(net[:last], params[:last], state[0], tape, label, s)
                                     for label, s in ((y, 1), (wrong_labels(tape.output, y, rng), -1)))
        grads, d_V = tree_map(lambda u, v: u + v, [hidden, patterns], list(wrong))
        return Credit([*grads, *output], [d_V])

    def labelled(self, net: Network, params: Tree, V: Array, tape: Tape, label: Array, s: int) -> tuple[Tree, Tree]:
        """Return the gradients of the blocks and of V in a pass with a label (N, C), which is true if s = 1."""
        head, x = DenseHead(), tape.h[0]
        # a block that does nothing stands below the others, so that the first of them sends a signal down to the input
        below = replace(net, blocks=(Activation("identity"), *net))
        seen = network.forward(below, [None, *params], x + head.send(V, label, x.shape),
                               seeds=[None, *tape.seeds[:len(net)]])
        signals = {i: self.sent(h, s) for i, h in enumerate(seen.h[1:]) if i}
        down, grads = local(below, [None, *params], seen, signals)
        return grads[1:], head.grad(V, cast("Array", down[1]), label)

    def sent(self, h: Array, s: int) -> Array:
        """Return the derivative with respect to h (N, ...) of the mean of log(1 + exp(-s (g - theta)))."""
        axes = tuple(range(1, h.ndim))
        g = (h * h).mean(axes, keepdims=True)
        slope: Array = sigmoid(-s * (g - self.theta)) * (-2 * s / h.size)
        return slope * h


def wrong_labels(a: Array, y: Array, rng: np.random.Generator | None) -> Array:
    """Draw a wrong label for each sample, by the probabilities that the network gives to the labels.

    Parameters
    ----------
    a, y : array (N, C)
        The outputs of the network, and the targets.  The largest entry of a target is its true label.
    rng : numpy.random.Generator or None
        The generator that is drawn from.

    Returns
    -------
    array (N, C)
        One-hot rows.

    Raises
    ------
    InputError
        If `rng` is no generator.

    Notes
    -----
    The largest of a_k - log(-log U_k), with independent U_k from 0 to 1, is k with the probability softmax(a)_k.

    Examples
    --------
    >>> import numpy as np
    >>> a, y = np.array([[0.0, 9.0, 0.0], [0.0, 99.0, 0.0]]), np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    >>> wrong = wrong_labels(a, y, np.random.default_rng(0))
    >>> wrong.sum(1).tolist(), wrong[0, 1] > 0, wrong[1].tolist()
    ([1.0, 1.0], np.False_, [0.0, 1.0, 0.0])
    """
    rng = a_generator(rng)
    xp = array_module(a, y)
    labels = xp.arange(a.shape[1])
    noise = xp.asarray(rng.gumbel(size=a.shape).astype(a.dtype))
    wrong = labels != y.argmax(1)[:, None]
    drawn = xp.where(wrong, a + noise, -xp.inf).argmax(1)
    found: Array = (labels == drawn[:, None]).astype(a.dtype)
    return found
