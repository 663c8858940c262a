"""Associated learning: the network is folded into components, and each component learns without the others.

Imagine the chain of blocks folded in the middle, so that the last hidden block lies on the first one, and so on.  The
two blocks that lie on one another make a component.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import network
from ..backend import Array
from ..errors import InputError
from ..kernels.loss import d_squared, squared
from ..layers import Activation, Dense, Flatten, GlobalPool, Layer, Sequential
from ..leaf_names import leaf_name
from ..network import Network, Tape, backward, forward
from ..options import one_of
from ..tree import Tree, leaves
from .base import Credit, Rule

SIGMOID = Activation("sigmoid")
ERRORS = ("mean", "sum")
NEED = "associated learning needs a network that folds"


@dataclass(frozen=True)
class ComponentStep:
    """ComponentStep holds what one component computes in one step: what it hands on, its gradients, its losses.

    Parameters
    ----------
    tape : Tape
        The forward pass of the component's part of the network; ``tape.h[1]`` is s_i (N, ...), which goes to the next
        component.
    t : array (N, T_i)
        The code t_i, which goes to the next component.
    grads : dict of int to tree
        The gradients of the parameters of each block of the component, by the number of the block.
    state : tree
        The gradients of the component's affiliated parameters, which serve learning only.
    losses : tuple of two scalars
        The associated loss and the autoencoder loss.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,5", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> rule, x, y = rules.AssociatedLearning(), rng.standard_normal((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    >>> step = rule.component(net, params, rule.init(rng, net, params, shapes), 1, x, y)
    >>> step.t.shape, sorted(step.grads)
    ((8, 5), [0, 1, 2])
    """

    tape: Tape
    t: Array
    grads: dict[int, Tree]
    state: Tree
    losses: tuple[Array, Array]


@dataclass(frozen=True)
class AssociatedLearning(Rule):
    """Associated learning trains the components of a folded network alone, each by two losses (Kao and Chen 2020).

    Parameters
    ----------
    error : {"mean", "sum"}
        How both losses add up the squares: "mean" takes the mean over units and batch; "sum" takes the sum over units
        and the mean over the batch.

    Raises
    ------
    InputError
        If the network cannot be folded.  `init` raises it.

    Notes
    -----
    A network with l hidden blocks has c = l // 2 components.  In component i, counted from 1:

    - f_i is block i on the way up, and s_i = f_i(s_{i-1}) is its output, with s_0 = x;
    - h_i, the decoder, is block l + 2 - i on the way down (blocks counted from 1);
    - g_i, the encoder, makes the code t_i = g_i(t_{i-1}), with t_0 = y* (one-hot); T_i is the number of units of t_i;
    - b_i, the bridge, leads from s_i to t_i.  The last bridge b_c is what lies between f_c and h_c in the network:
      one block, or two if l is odd.

    The component descends the associated loss, the distance between b_i(s_i) and t_i, and the autoencoder loss, the
    distance between h_i(g_i(t_{i-1})) and t_{i-1}.  A prediction is the network's own forward pass.  The sigmoid of
    h_1 is part of its loss, as softmax is part of the cross-entropy of other rules.

    What is substituted: the signals.  The blocks of a component hear its two losses only, and no error leaves it.

    State: a list with the affiliated parameters of component i at the place of f_i: "g", those of g_i, with W
    (T_i, T_{i-1}); and "b", those of b_i, or None in the last component.  All are dense layers with sigmoid.  b_i has
    one layer for each block of b_c, with the same number of units, or planes.

    Source: Kao and Chen 2020, equations (4.1)-(4.8).

    Deviations from print: (4.7) has four stop-gradients here.  Without them g_i would also descend the associated
    loss, and not only the loss that Fig. 4 gives to it.  The code t_i takes the learning signals; the decoded t'_i
    serves prediction only.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4,5", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> state = rules.AssociatedLearning().init(rng, net, params, shapes)
    >>> len(state), state[0]["g"][0]["W"].shape, state[0]["b"]       # one component, t_1 has 5 units, from 3 classes
    (1, (5, 3), None)
    """

    error: str = one_of(ERRORS, "mean", "error")
    defaults: ClassVar[Mapping[str, object]] = {"activation": "elu,sigmoid", "lr": 2e-3}
    output_learns = "otherwise"
    learns: ClassVar[tuple[str, ...]] = ("classes", "labels")  # the last decoder ends in a sigmoid, from 0 to 1

    def trial_sizes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return sizes that read the same backwards, with the lower half of `sizes`; see `Rule.trial_sizes`."""
        half = sizes[:(len(sizes) + 1) // 2]
        return half + sizes[:len(sizes) // 2][::-1]

    def components(self, net: Network) -> int:
        """Return the number of components of a folded network: half of its hidden blocks, without a middle one."""
        return (len(net) - 1) // 2

    def effective(self, net: Network, i: int) -> slice:
        """Return the blocks that carry s_{i-1} up in component i, counted from 1: f_i; in the last one also b_c."""
        c = self.components(net)
        return slice(i - 1, i) if i < c else slice(c - 1, len(net) - c)

    def blocks(self, net: Network, i: int) -> list[int]:
        """Return the numbers, from 0, of all blocks of component i: those of `effective`, and h_i."""
        return [*range(len(net))[self.effective(net, i)], len(net) - i]

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the affiliated parameters; raise InputError if the network cannot be folded."""
        check(shapes)
        c, last = self.components(net), len(net)
        bridge = [shape[-1] for shape in shapes[c + 1:last - c]]
        pooled = first_weights(params[c]).shape[1] == shapes[c][-1] != math.prod(shapes[c])
        state = []
        for i in range(1, c + 1):
            (t_below,), (t,) = shapes[last - i + 1], shapes[last - i]
            own = {"g": dense(t).init(rng, (t_below,))[0], "b": None}
            if i < c:
                s = shapes[i][-1:] if pooled else (math.prod(shapes[i]),)
                own["b"] = network.init(Network(tuple(map(dense, (*bridge, t)))), rng, s, "float64")[0]
            state.append(own)
        return state

    def forward(self, net: Network, params: Tree, state: Tree, x: Array,
                rng: np.random.Generator | None = None) -> Tape:
        """Run the forward pass of the whole network; see `Rule.forward`.

        Learning does not need the decoders' part of it, c products that serve a_L only.
        """
        return network.forward(net, params, x, rng=rng)                            # AL (4.1), (4.8)

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Compute the gradients of all components, from s and t before any component moves; see `Rule.credit`."""
        grads: list[Tree] = [None] * len(net)
        t, learns = y, []
        for i in range(1, self.components(net) + 1):
            blocks = self.effective(net, i)
            own = Tape(tape.h[blocks.start:blocks.stop + 1], tape.caches[blocks])
            learnt = self.learn(net, params, state, i, own, t, tape.seeds[len(net) - i])  # AL (4.7)
            t = learnt.t
            learns.append(learnt.state)
            for block, g in learnt.grads.items():
                grads[block] = g
        return Credit(grads, learns)

    def component(self, net: Network, params: Tree, state: Tree, i: int, s: Array, t: Array,
                  rng: np.random.Generator | None = None) -> ComponentStep:
        """Do everything that component i does in one step, and nothing else.

        Parameters
        ----------
        net, params, state
            The network, its parameters and the rule's state.  Only the entries of component i are read.
        i : int
            The number of the component, from 1.
        s : array (N, ...)
            s_{i-1}, from the component before; x for the first one.
        t : array (N, T_{i-1})
            t_{i-1}, from the component before; the one-hot targets y* for the first one.
        rng : numpy.random.Generator, optional
            The step's generator, for layers that draw.

        Returns
        -------
        ComponentStep
            What the component hands on, its gradients and its losses.
        """
        blocks, decoder = self.effective(net, i), len(net) - i
        seed = int(rng.integers(2**63)) if rng is not None and net.draws[decoder] else None
        return self.learn(net, params, state, i, forward(net[blocks], params[blocks], s, rng=rng), t, seed)

    def learn(self, net: Network, params: Tree, state: Tree, i: int, tape: Tape, t: Array,
              seed: int | None = None) -> ComponentStep:
        """Compute the two gradient flows of component i from the tape of its part of the network.

        Parameters
        ----------
        net, params, state, i, t
            As in `component`.
        tape : Tape
            The forward pass of the blocks of ``effective(net, i)``.
        seed : int, optional
            What h_i draws from, if it draws.

        Returns
        -------
        ComponentStep
            What the component hands on, its gradients and its losses.
        """
        blocks, decoder, own = self.effective(net, i), len(net) - i, state[i - 1]
        beside, b = lower_bridge(own["b"], tape.output)
        above = forward(beside, b, tape.output)
        autoencoder = Network((dense(len(own["g"][0]["b"])), net[decoder], *[SIGMOID] * (i == 1)))
        through = [own["g"], params[decoder], *[None] * (i == 1)]
        inner = forward(autoencoder, through, t, seeds=[None, seed, *[None] * (i == 1)])  # AL (4.4), (4.5)
        code = inner.h[1]
        flow = backward(Network(net.blocks[blocks] + beside.blocks), [*params[blocks], *b],
                        Tape(tape.h + above.h[1:], tape.caches + above.caches),
                        {blocks.stop - blocks.start + len(b) - 1: self.d_distance(above.output, code)})
        back = backward(autoencoder, through, inner,
                        {len(through) - 1: self.d_distance(inner.output, t)})
        grads = dict(zip(range(blocks.start, blocks.stop), flow)) | {decoder: back[1]}
        state_grads = {"g": back[0], "b": own["b"] and flow[-len(own["b"]):]}
        return ComponentStep(tape, code, grads, state_grads,
                      (self.distance(above.output, code), self.distance(inner.output, t)))

    def distance(self, a: Array, t: Array) -> Array:
        """Return the distance |a - t|^2 of a and t (N, F), a scalar, added up as `error` says."""
        return squared(a, t) * self.scale(t)                                       # AL (4.3), (4.6)

    def d_distance(self, a: Array, t: Array) -> Array:
        """Return the derivative (N, F) of `distance` with respect to a (N, F); t counts as a constant."""
        return d_squared(a, t) * self.scale(t)                                     # AL (4.3), (4.6)

    def scale(self, t: Array) -> float:
        """Return the factor that turns the library's squared loss into `distance`."""
        return 2 / t.shape[-1] if self.error == "mean" else 2.0


def check(shapes: list[tuple[int, ...]]) -> None:
    """Check that a network can be folded.

    Parameters
    ----------
    shapes : list of tuple of int
        The shapes of one sample of x, h_1, ..., a_L, as `network.init` returns them.

    Raises
    ------
    InputError
        If the network cannot be folded.

    Examples
    --------
    >>> from nobackprop.rules.associated_learning import check
    >>> check([(6,), (5,), (4,), (5,), (3,)])
    >>> check([(6,), (5,), (3,)])
    Traceback (most recent call last):
    nobackprop.errors.InputError: associated learning needs a network that folds: at least two hidden blocks, got 1
    """
    hidden = shapes[1:-1]
    if len(hidden) < 2:
        raise InputError(f"{NEED}: at least two hidden blocks, got {len(hidden)}")
    for i in range(len(hidden) // 2):
        s, t = hidden[i], hidden[-1 - i]
        if len(t) != 1:
            raise InputError(f"{NEED}: hidden block {len(hidden) - i} must make vectors, as t_{i + 1}, got {t}; "
                             "of image models those named folded-... do")
        if len(s) == 1 and s != t:
            raise InputError(f"{NEED}: hidden sizes that read the same backwards, such as mlp:20,10,20, got "
                             f"{s[0]} in block {i + 1} and {t[0]} in block {len(hidden) - i}")


def dense(units: int) -> Layer:
    """Return a dense layer with sigmoid: an encoder, or one layer of a lower bridge.

    Its first weights are those of He et al., as in section 5.1 of the paper.

    Examples
    --------
    >>> from nobackprop.rules.associated_learning import dense
    >>> dense(5).out_shape((4,))
    (5,)
    """
    return Sequential((Dense(units), SIGMOID))


def lower_bridge(b: Tree, s: Array) -> tuple[Network, list[Tree]]:
    """Return the bridge that leads up from s, as a network and its parameters.

    Parameters
    ----------
    b : list of tree or None
        The parameters of the bridge's dense layers, from the state; None if the component has no bridge of its own.
    s : array (N, ...)
        The output s_i of the component's block f_i.

    Returns
    -------
    Network
        The bridge; it has no blocks if b is None.  If s is an image, its first block averages s over the positions or
        flattens it: whatever fits the number of inputs of the first dense layer.
    list of tree
        The parameters of all its blocks.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules.associated_learning import lower_bridge
    >>> b = [[{"W": np.zeros((5, 16)), "b": np.zeros(5)}, None]]
    >>> [len(lower_bridge(b, s)[0]) for s in (np.zeros((2, 16)), np.zeros((2, 8, 8, 16)))]
    [1, 2]
    """
    if b is None:
        return Network(()), []
    blocks: list[Layer] = [dense(len(p[0]["b"])) for p in b]
    if s.ndim > 2:
        fits = GlobalPool() if b[0][0]["W"].shape[1] == s.shape[-1] else Flatten()
        return Network((fits, *blocks)), [None, *b]
    return Network(tuple(blocks)), b


def first_weights(params: Tree) -> Array:
    """Return the first W, counted from below, of the parameters of a block; raise InputError if it has none.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.rules.associated_learning import first_weights
    >>> net = models.build("mlp:5,4", (6,), 3)
    >>> params, _ = network.init(net, np.random.default_rng(0), (6,))
    >>> first_weights(params[1]).shape
    (4, 5)
    """
    found: Array | None = next((array for path, array in leaves(params) if leaf_name(path) == "W"), None)
    if found is None:
        raise InputError(f"{NEED}: the block above the lower half must have weights, got one without any")
    return found
