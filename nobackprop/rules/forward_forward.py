"""Forward-Forward: each hidden block tells inputs with their true label from others, by its activity."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, ClassVar

import numpy as np

from .. import network
from ..backend import Array, a_generator, array_module
from ..errors import InputError
from ..feedback import Draw, gaussian
from ..heads import DenseHead
from ..kernels.activation import sigmoid
from ..layers import Activation, Layer
from ..network import Network, Tape, backward, local
from ..tape import Keep
from ..tree import Tree, tree_map
from .base import Credit, Rule


@dataclass(frozen=True)
class Labelled(Layer):
    """An activation whose units hear a label next to what comes from below: f(a + V^T y).

    Parameters
    ----------
    activation : Activation
        f.
    V : array (C, F)
        A pattern for each label, on the F inputs of the activation.
    label : array (N, C)
        y, one row for each sample.
    gradients : list of array
        The gradients of V so far, one for each backward pass.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Labelled(Activation("relu"), np.array([[1.0, -1.0], [0.0, 2.0]]), np.array([[0.0, 1.0]]))
    >>> h, cache = layer.forward(None, np.array([[3.0, -1.0]]))
    >>> down, _ = layer.backward(None, cache, np.array([[5.0, 7.0]]))
    >>> h.tolist(), down.tolist(), layer.gradients[0].tolist()
    ([[3.0, 1.0]], [[5.0, 7.0]], [[0.0, 0.0], [5.0, 7.0]])
    """

    activation: Activation
    V: Array
    label: Array
    gradients: list[Array] = field(default_factory=list)

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        """Do what the activation does to a + V^T y."""
        return self.activation.forward(params, h + DenseHead().send(self.V, self.label, h.shape), train, rng)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        """Do what the activation does, and note the gradient of V."""
        down, _ = self.activation.backward(feedback, cache, delta)
        assert down is not None
        self.gradients.append(DenseHead().grad(self.V, down, self.label))
        return down, None

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        """Keep what the activation keeps."""
        return self.activation.keep(cache, what, index)


@dataclass(frozen=True)
class ForwardForward(Rule):
    """Forward-Forward makes each hidden block active for true labels and quiet for wrong ones (Hinton 2022).

    Parameters
    ----------
    theta : float
        The threshold of the goodness, which is the mean square of a block's activity.
    draw : callable
        Draws the first V: ``draw(rng, (C, n_1))``, see `nobackprop.feedback`.
    scale : float
        What the first V is multiplied by.

    Raises
    ------
    InputError
        If the network has a single output, so that no label is wrong, or if the first hidden block has no activation.
        `init` raises it.

    Notes
    -----
    What is substituted: the tape and the signals.  Two more forward passes see the input with a label: the first
    activation has the input a_1 + V^T y* in the one, and a_1 + V^T y', with a wrong label y', in the other.  With the
    goodness g_i = mean h_i^2 of a sample, hidden block i descends log(1 + exp(-s (g_i - theta))), where s = +1 for the
    true label and s = -1 for the wrong one.  Nothing comes down from the block above.  The output block learns in the
    pass without a label, from e, and predicts in that pass.

    The wrong label is drawn by the probabilities that the network gives to the labels in its pass without a label.

    State: [V], which belongs to the first block.  V (C, n_1) are the weights from the label to the n_1 units of the
    first activation.  They learn by the first block's loss.

    Source: Hinton 2022.

    Deviations from print: the paper overwrites some pixels by the label.  Here the label is an input of its own, with
    the weights V, as those pixels have weights of their own; so inputs without such pixels have a place for it.  The
    pass for prediction has no label, where the paper gives it a neutral one, and the output block reads the last hidden
    block alone.  The paper scales each activity to unit length before the next layer sees it.  Here the network
    decides: it does so if it has the layer `UnitLength` in that place, and the models of this library have none.

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
    scale: float = 1.0
    defaults: ClassVar[Mapping[str, object]] = {"activation": "relu", "lr": 3e-3}
    learns: ClassVar[tuple[str, ...]] = ("classes",)  # a wrong label is another class

    def passes(self, net: Network) -> int:
        """Count the passes without a label, with the true one and with a wrong one; see `Rule.passes`."""
        return 3 if len(net) > 1 else 1

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the first V; see `Rule.init`."""
        classes = shapes[-1][0]
        if classes < 2:
            raise InputError(f"ff needs a wrong label for each sample, expected at least 2 outputs, got {classes}")
        if len(net) == 1:
            return None
        shape = first_activation(net[0], shapes[0])
        if shape is None:
            raise InputError(f"ff needs an activation in the first hidden block, at which the label is heard, "
                             f"got {net[0]}")
        return [self.scale * DenseHead().init(rng, shape, classes, self.draw)]

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
        gradients: list[Array] = []
        first = at_first(net[0], lambda f: Labelled(f, V, label, gradients))
        blocks = Network((first, *net[1:]), net.loss)
        seen = network.forward(blocks, params, tape.h[0], seeds=tape.seeds[:len(net)])
        _, grads = local(blocks, params, seen, {i: self.sent(h, s) for i, h in enumerate(seen.h[1:])})
        return grads, gradients[0]

    def sent(self, h: Array, s: int) -> Array:
        """Return the derivative with respect to h (N, ...) of the mean of log(1 + exp(-s (g - theta)))."""
        axes = tuple(range(1, h.ndim))
        g = (h * h).mean(axes, keepdims=True)
        sent: Array = sigmoid(-s * (g - self.theta)) * (-2 * s / h.size) * h
        return sent


@dataclass(frozen=True)
class Noted(Activation):
    """An activation that notes the shape of the samples that come to it.

    Parameters
    ----------
    shapes : list of tuple
        The shapes so far.

    Examples
    --------
    >>> layer = Noted("relu")
    >>> layer.out_shape((4, 4, 1)), layer.shapes
    ((4, 4, 1), [(4, 4, 1)])
    """

    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def out_shape(self, shape: tuple[int, ...], params: Tree = None) -> tuple[int, ...]:
        """Note the shape, which stays as it is."""
        self.shapes.append(shape)
        return shape


def at_first(block: Layer, other: Callable[[Activation], Layer]) -> Layer:
    """Return a block with other(f) in the place of its first activation f.

    Examples
    --------
    >>> from nobackprop.layers import Sequential
    >>> block = Sequential((Activation("relu"), Activation("tanh")))
    >>> at_first(block, lambda f: Activation("identity")).layers
    (Activation(name='identity'), Activation(name='tanh'))
    """
    others: Iterator[Callable[[Activation], Layer]] = chain([other], repeat(lambda f: f))
    return block.with_activations(lambda f: next(others)(f))


def first_activation(block: Layer, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of what one sample is at the first activation of a block, or None if the block has none.

    Parameters
    ----------
    block : Layer
    shape : tuple of int
        The shape of a sample at the block's input.

    Examples
    --------
    >>> from nobackprop.layers import Dense, Flatten, Sequential
    >>> first_activation(Sequential((Flatten(), Dense(5), Activation("relu"), Dense(7))), (4, 4, 1))
    (5,)
    """
    found: list[tuple[int, ...]] = []
    at_first(block, lambda f: Noted(f.name, found)).out_shape(shape)
    return found[0] if found else None


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
