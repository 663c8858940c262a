"""Associated learning: the network is folded, and what lies one upon the other learns without the rest."""
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
from ..network import Network, Tape, backward, forward
from ..options import one_of
from ..tree import Tree, leaves
from .base import Credit, Rule

SIGMOID = Activation("sigmoid")
ERRORS = ("mean", "sum")


@dataclass(frozen=True)
class ComponentStep:
    """What one component hands on, t_i (N, T_i) and s_i = tape.h[1] (N, ...), and what it learns by.

    grads: {block: of its parameters}; state: of the component's own affiliated parameters.
    losses: the associated loss and the autoencoder loss, scalars.
    """

    tape: Tape
    t: Array
    grads: dict[int, Tree]
    state: Tree
    losses: tuple[Array, Array]


@dataclass(frozen=True)
class AssociatedLearning(Rule):
    """Associated learning: components of a folded network learn alone, each by two losses.  Kao and Chen 2020.

    Of a network with l hidden blocks, c = l // 2 components: f_i is block i, h_i is block l + 2 - i, both from 1, and
    what lies between f_c and h_c is the last bridge b_c: one block, or two where l is odd.  What is predicted is the
    network's own forward pass.  t_0 = y, one-hot; h_1's sigmoid stands in its loss, as softmax does elsewhere.
    State: for component i, at the place of f_i, the affiliated parameters: "g", of g_i (T_i, T_{i-1}), and "b",
    those of b_i, for all but c; T_i being the units of t_i.  All are dense with sigmoid, a layer of b_i for each block
    of b_c, with as many units, or planes.
    error: of both losses, "mean" over units and batch, or "sum" over units and mean over the batch.
    Deviations from print: (4.7) with four stop-gradients, without which g_i would also descend the associated
    loss, and not only the loss that Fig. 4 gives it; t_i takes the learning signals, t'_i is for predicting alone.
    """

    error: str = one_of(ERRORS, "mean", "error")
    defaults: ClassVar[Mapping[str, object]] = {"activation": "elu,sigmoid", "lr": 2e-3}

    def trial_sizes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        half = sizes[:(len(sizes) + 1) // 2]
        return half + sizes[:len(sizes) // 2][::-1]

    def components(self, net: Network) -> int:
        """How many components a network folds into: half of its hidden blocks, the middle one not counted."""
        return (len(net) - 1) // 2

    def effective(self, net: Network, i: int) -> slice:
        """The blocks that carry s_{i-1} up in component i, from 1: f_i, and in the last one its bridge."""
        c = self.components(net)
        return slice(i - 1, i) if i < c else slice(c - 1, len(net) - c)

    def blocks(self, net: Network, i: int) -> list[int]:
        """All blocks of component i: those, and h_i."""
        return [*range(len(net))[self.effective(net, i)], len(net) - i]

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Raises InputError where the network cannot be read as a folded one."""
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
        """The whole network's; learning needs all of it but the decoders on t'_i, c products that a_L alone takes."""
        return network.forward(net, params, x, rng=rng)                            # AL (4.1), (4.8)

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array) -> Credit:
        """All components, each from s and t as they were before any of them moved."""
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
        """All that component i, from 1, does in a step with s_{i-1} (N, ...) and t_{i-1} (N, F), and nothing else."""
        blocks, decoder = self.effective(net, i), len(net) - i
        seed = int(rng.integers(2**63)) if rng is not None and net.draws[decoder] else None
        return self.learn(net, params, state, i, forward(net[blocks], params[blocks], s, rng=rng), t, seed)

    def learn(self, net: Network, params: Tree, state: Tree, i: int, tape: Tape, t: Array,
              seed: int | None = None) -> ComponentStep:
        """The two gradient flows of component i, whose part of the network has left `tape`; h_i draws from `seed`."""
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
        """|a - t|^2 of a and t (N, F), a scalar: over the units as `error` says, and the mean over the batch."""
        return squared(a, t) * self.scale(t)                                       # AL (4.3), (4.6)

    def d_distance(self, a: Array, t: Array) -> Array:
        """Its derivative with respect to a (N, F), t standing still."""
        return d_squared(a, t) * self.scale(t)                                     # AL (4.3), (4.6)

    def scale(self, t: Array) -> float:
        """What the library's squared error is to be multiplied by."""
        return 2 / t.shape[-1] if self.error == "mean" else 2.0


def check(shapes: list[tuple[int, ...]]) -> None:
    """Raises InputError where a network with these shapes of one sample of x, h_1, ..., a_L cannot be folded."""
    hidden, need = shapes[1:-1], "associated learning needs a network that folds"
    if len(hidden) < 2:
        raise InputError(f"{need}: at least two hidden blocks, got {len(hidden)}")
    for i in range(len(hidden) // 2):
        s, t = hidden[i], hidden[-1 - i]
        if len(t) != 1:
            raise InputError(f"{need}: hidden block {len(hidden) - i} must make vectors, as t_{i + 1}, got {t}; "
                             "of image models those named folded-... do")
        if len(s) == 1 and s != t:
            raise InputError(f"{need}: hidden sizes that read the same backwards, such as mlp:20,10,20, got "
                             f"{s[0]} in block {i + 1} and {t[0]} in block {len(hidden) - i}")


def dense(units: int) -> Layer:
    """An encoder, or a layer of a lower bridge, with He et al.'s initial weights, as in section 5.1."""
    return Sequential((Dense(units), SIGMOID))


def lower_bridge(b: Tree, s: Array) -> tuple[Network, list[Tree]]:
    """The bridge with parameters b beside s (N, ...), and all its parameters; no blocks where there is none.

    An image is averaged over its positions or flattened, whichever b's first layer has the inputs for.
    """
    if b is None:
        return Network(()), []
    blocks: list[Layer] = [dense(len(p[0]["b"])) for p in b]
    if s.ndim > 2:
        fits = GlobalPool() if b[0][0]["W"].shape[1] == s.shape[-1] else Flatten()
        return Network((fits, *blocks)), [None, *b]
    return Network(tuple(blocks)), b


def first_weights(params: Tree) -> Array:
    """The lowest W of a block."""
    return next(array for path, array in leaves(params) if path.rpartition("/")[2] == "W")
