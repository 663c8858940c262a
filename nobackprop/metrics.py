"""What is measured of a network while it learns: above all how a rule's error signals align with those of BP.

BP is backpropagation.  An error signal is the derivative of the loss that a rule sends to a block of the network, or
what the rule sends in place of it.  At the end of the file stands the list of what is recorded after every epoch.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from .backend import Array, array_module
from .layers import Activation, Layer, Sequential, Shape
from .leaf_names import RUNNING, leaf_name
from .network import Network
from .rules import BP, Rule
from .tape import Keep
from .tree import Tree, leaves


def cosine(u: Array, v: Array) -> Array:
    """Return the cosine between two signals, sample by sample, averaged over the samples.

    Parameters
    ----------
    u, v : Array
        Two signals (N, ...) of the same N samples.

    Returns
    -------
    Array
        A scalar from -1 to 1, in float64.  Samples of which u or v is 0 do not count; if no other sample is left, it is
        not a number.

    Examples
    --------
    >>> import numpy as np
    >>> float(cosine(np.array([[1.0, 0], [3, 4], [0, 0]]), np.array([[2.0, 0], [4, -3], [1, 1]])))
    0.5
    """
    xp = array_module(u, v)
    # in float64: the signals of a trained network are so small that their squares leave float32
    u, v = (array.reshape(len(array), -1).astype("float64") for array in (u, v))
    length = xp.sqrt((u * u).sum(-1) * (v * v).sum(-1))
    there = length > 0
    if not there.any():
        return xp.asarray(xp.nan)
    return ((u * v).sum(-1)[there] / length[there]).mean()


class Heard(NamedTuple):
    """A signal that arrived at a block.

    Parameters
    ----------
    delta : Array
        The signal, (N, ...).
    grads : Tree
        The gradients that the block computed of it.
    at_a : bool
        Whether it is a derivative at the input of the block's activation, and not at the block's output.

    Examples
    --------
    >>> Heard(np.zeros((2, 3)), None, False).delta.shape
    (2, 3)
    """

    delta: Array
    grads: Tree
    at_a: bool


@dataclass(frozen=True)
class Listener(Layer):
    """A layer that stands for a block of a network and notes the error signals that arrive at the block's output.

    Otherwise it does what the block does.

    Parameters
    ----------
    block : Layer
        The block that it stands for.
    heard : list of Heard
        What arrived so far.
    straight : bool
        Whether the block has lost its activations, so that signals arrive at their input, see `network.straight`.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.layers import Activation
    >>> listener = Listener(Activation("identity"))
    >>> _, cache = listener.forward(None, np.zeros((2, 3)))
    >>> _ = listener.backward(None, cache, np.ones((2, 3)))
    >>> [signal.delta.shape for signal in listener.heard]
    [(2, 3)]
    """

    block: Layer
    heard: list[Heard] = field(default_factory=list)
    straight: bool = False

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        """Do what the block does."""
        return self.block.init(rng, shape)

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        """Do what the block does."""
        return self.block.forward(params, h, train, rng)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        """Do what the block does, and note the signal."""
        down, grads = self.block.backward(feedback, cache, delta, want_down)
        self.heard.append(Heard(delta, grads, self.straight))
        return down, grads

    def draws(self) -> bool:
        """Do what the block does."""
        return self.block.draws()

    def head(self) -> Any:
        """Do what the block does."""
        return self.block.head()

    def weighted(self) -> tuple[Layer, ...]:
        """Do what the block does."""
        return self.block.weighted()

    def with_activations(self, other: Callable[[Activation], Layer]) -> Layer:
        """Do what the block does; what stands for the new block notes into the same list."""
        block, bare = (self.block.with_activations(f) for f in (other, lambda f: Activation("identity")))
        return replace(self, block=block, straight=block == bare != self.block)

    def with_first(self, other: Callable[[Layer], Layer]) -> Layer:
        """Do what the block does; what stands for the new block notes into the same list."""
        return replace(self, block=self.block.with_first(other))

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        """Do what the block does."""
        return self.block.keep(cache, what, index)


def heard(net: Network, rule: Rule, params: Tree, state: Tree, x: Array, y: Array) -> list[Heard | None]:
    """Return the error signal from which every block learns under a rule, for one batch.

    Parameters
    ----------
    net : Network
        The network.
    rule : Rule
        The learning rule; its `credit` is run once and nothing moves.
    params, state : Tree
        What prediction needs, and what only learning needs.
    x, y : Array
        Samples (N, ...) and targets (N, C).

    Returns
    -------
    list
        For each block its signal, or None if the rule sends it no error signal.  If a block is asked several times, as
        under predictive coding, it is the signal that gave its gradients; if these are put together of several, it is
        the last one.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.rules import get
    >>> net = models.build("mlp:4,5", (3,), 2)
    >>> params, _ = network.init(net, np.random.default_rng(0), (3,))
    >>> found = heard(net, get("shallow"), params, None, np.ones((7, 3)), np.eye(2)[[0] * 7])
    >>> [None if signal is None else signal.delta.shape for signal in found]
    [None, (7, 5), (7, 2)]
    """
    listeners = tuple(Listener(block) for block in net)
    listening = Network(listeners, net.loss)
    tape = rule.forward(listening, params, state, x, np.random.default_rng(0))
    grads = rule.credit(listening, params, state, tape, y, np.random.default_rng(0)).grads
    return [next((one for one in listener.heard if one.grads is g), [None, *listener.heard][-1])
            if rule.sends_errors else None for listener, g in zip(listeners, grads, strict=True)]


def signals(net: Network, rule: Rule, params: Tree, state: Tree, x: Array, y: Array) -> list[Array | None]:
    """Return the error signal that a rule sends to the output of every block, for one batch.

    Parameters
    ----------
    net, rule, params, state, x, y
        As in `heard`.

    Returns
    -------
    list
        For each block dL/dh at its output, (N, ...), or None if the rule sends nothing there.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.rules import get
    >>> net = models.build("mlp:4,5", (3,), 2)
    >>> params, _ = network.init(net, np.random.default_rng(0), (3,))
    >>> found = signals(net, get("shallow"), params, None, np.ones((7, 3)), np.eye(2)[[0] * 7])
    >>> [None if signal is None else signal.shape for signal in found]
    [None, (7, 5), (7, 2)]
    """
    return [None if one is None or one.at_a else one.delta for one in heard(net, rule, params, state, x, y)]


class Received(NamedTuple):
    """What a block receives under a rule, beside what backpropagation would send to the same place.

    Parameters
    ----------
    sent : Array or None
        The rule's error signal, (N, ...); None if the rule sends the block none.
    backprop : Array
        That of backpropagation, with the same weights and the same samples; None if the block has no activation to
        which it could be sent.
    at_a : bool
        Whether both are derivatives at the input a of the block's activation, as under rules that leave out f' on the
        way; if not, they are derivatives at the block's output h.

    Examples
    --------
    >>> one = Received(np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]]), False)
    >>> one.cosine, one.ratio
    (0.8, 2.5)
    """

    sent: Array | None
    backprop: Array | None
    at_a: bool

    @property
    def cosine(self) -> float | None:
        """The cosine of the two, as a mean over the samples, see `cosine`; None if there is none."""
        return _known_cosine(self.sent, self.backprop)

    @property
    def ratio(self) -> float | None:
        """The length of what is sent over that of backpropagation, of all samples together; None if there is none."""
        if self.sent is None or self.backprop is None:
            return None
        ours, true = (float((array.astype("float64")**2).sum())**0.5 for array in (self.sent, self.backprop))
        return ours / true if true > 0 else None


def received(net: Network, rule: Rule, params: Tree, state: Tree, x: Array, y: Array) -> list[Received]:
    """Return what every block receives under a rule, beside what backpropagation would send it, for one batch.

    Parameters
    ----------
    net, rule, params, state, x, y
        As in `heard`.

    Returns
    -------
    list of Received
        One for each block, from the input up.  The pass is that of `alignment`.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.rules import get
    >>> net = models.build("mlp:4", (3,), 2)
    >>> params, _ = network.init(net, np.random.default_rng(0), (3,))
    >>> [one.cosine is not None for one in received(net, get("bp"), params, None, np.ones((7, 3)), np.eye(2)[[0] * 7])]
    [True, True]
    """
    found = []
    for block, cache, u, v in _beside(net, rule, params, state, x, y):
        at_a = u is not None and u.at_a
        found.append(Received(None if u is None else u.delta, at_activation(block, cache, v) if at_a else v, at_a))
    return found


def _beside(net: Network, rule: Rule, params: Tree, state: Tree, x: Array,
            y: Array) -> list[tuple[Layer, Any, Heard | None, Array | None]]:
    """Each block with its cache, the rule's signal, and that of BP at the block's output."""
    tape = BP().forward(net, params, None, x, np.random.default_rng(0))
    ours, true = heard(net, rule, params, state, x, y), signals(net, BP(), params, None, x, y)
    return list(zip(net, tape.caches, ours, true, strict=True))


def at_activation(block: Layer, cache: Any, delta: Array | None) -> Array | None:
    """Return a signal at the input of the activation in which a block ends; None if one of the two is missing.

    Examples
    --------
    >>> import numpy as np
    >>> block = Activation("tanh")
    >>> h, cache = block.forward(None, np.array([[0.5]]))
    >>> at_activation(block, cache, np.array([[2.0]])).tolist() == (2 * (1 - h**2)).tolist()
    True
    """
    while isinstance(block, Sequential) and block.layers:
        block, cache = block.layers[-1], cache[-1]
    return block.backward(None, cache, delta)[0] if isinstance(block, Activation) and delta is not None else None


def alignment(net: Network, rule: Rule, params: Tree, state: Tree, x: Array,
              y: Array) -> dict[str, list[float | None]]:
    """Measure how a rule's error signals align with those of BP on one batch, for each hidden block.

    Parameters
    ----------
    net : Network
        The network.
    rule : Rule
        The learning rule.
    params, state : Tree
        What prediction needs, and what only learning needs.
    x, y : Array
        Samples (N, ...) and targets (N, C).

    Returns
    -------
    dict
        Two lists with one cosine for each hidden block, from the input up: see `cosine`.  "alignment" compares dL/dh at
        the block's output.  "alignment_at_a" compares the papers' delta_i = dL/da_i, after the multiplication by f'
        (LAS, Fig. 4), and has None for a block that does not end in an activation.  Both have None if the rule sends
        the block no signal.

    Notes
    -----
    The pass is one of training, as batch-norm's statistics are those of the batch.  Layers that draw, as Dropout does,
    draw from a generator of seed 0 each time: the rule and BP are compared with the same silent units, and no generator
    of the run moves.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.rules import get
    >>> net = models.build("mlp:4", (3,), 2, "tanh")
    >>> params, _ = network.init(net, np.random.default_rng(0), (3,))
    >>> found = alignment(net, get("bp"), params, None, np.ones((7, 3)), np.eye(2)[[0] * 7])
    >>> {name: [round(value, 6) for value in values] for name, values in found.items()}
    {'alignment': [1.0], 'alignment_at_a': [1.0]}
    """
    result: dict[str, list[float | None]] = {"alignment": [], "alignment_at_a": []}
    for block, cache, u, v in _beside(net, rule, params, state, x, y)[:-1]:
        at_h = None if u is None or u.at_a else u.delta
        at_a = u.delta if u is not None and u.at_a else at_activation(block, cache, at_h)
        result["alignment"].append(_known_cosine(at_h, v))
        result["alignment_at_a"].append(_known_cosine(at_a, at_activation(block, cache, v)))
    return result


def _known_cosine(u: Array | None, v: Array | None) -> float | None:
    """The cosine of two signals, or None if one is missing or is 0 for every sample."""
    value = None if u is None or v is None else float(cosine(u, v))
    return None if value is None or np.isnan(value) else value


def size(params: Tree) -> int:
    """Count the numbers in a tree of parameters; running statistics do not count.

    Examples
    --------
    >>> import numpy as np
    >>> size([{"W": np.zeros((2, 3)), "b": np.zeros(2)}, {"mean": np.zeros(9)}])
    8
    """
    return sum(array.size for path, array in leaves(params) if leaf_name(path) not in RUNNING)


# ---------------------------------------------------------------- what is recorded after every epoch


class Measurable(Protocol):
    """What a metric may read of a run; `learn.Run` has all of it.

    Examples
    --------
    >>> def blocks(run: Measurable) -> dict[str, int]:
    ...     return {"blocks": len(run.net)}
    """

    @property
    def net(self) -> Network:
        """The network."""

    @property
    def rule(self) -> Rule:
        """The learning rule."""

    @property
    def params(self) -> Tree:
        """The parameters, which prediction needs."""

    @property
    def state(self) -> Tree:
        """The state, which only learning needs."""

    @property
    def validation(self) -> tuple[Array, Array]:
        """Samples (N, ...) and one-hot targets (N, C) of the validation set."""

    @property
    def probe(self) -> tuple[Array, Array]:
        """The first samples and targets of the validation set, for what costs more than a prediction."""


def alignments(run: Measurable) -> dict[str, Any]:
    """Measure the alignment with BP on the run's probe, see `alignment`.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.Run(nb.models.build("mlp:4", data.shape, data.classes), "bp", data)
    >>> [round(value, 6) for value in alignments(run)["alignment"]]
    [1.0]
    """
    return {**alignment(run.net, run.rule, run.params, run.state, *run.probe)}


# each function gives what it adds to an epoch's record: {key: value}, a value being a number, None, or a list of these
METRICS: list[Callable[[Measurable], dict[str, Any]]] = [
    alignments,
]


def measure(run: Measurable) -> dict[str, Any]:
    """Measure all that METRICS lists, as numbers and lists of Python's own, which a results.json can hold.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.Run(nb.models.build("mlp:4", data.shape, data.classes), "shallow", data)
    >>> {"alignment", "alignment_at_a"} <= set(measure(run))
    True
    """
    found: dict[str, Any] = {}
    for metric in METRICS:
        found |= metric(run)
    return {key: value.tolist() if hasattr(value, "tolist") else value for key, value in found.items()}
