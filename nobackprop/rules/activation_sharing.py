"""Forward alignment and activation sharing: another activity in front of the synapse.

Woo 2023.  Where feedback alignment puts other weights into the feedback path, these rules put another activity into
the weight update: what they substitute is the tape, not the tree.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import network
from ..backend import Array, array_module
from ..feedback import Draw, draw_like, gaussian, weights, with_feedback
from ..heads import PoolHead
from ..network import Network, Tape, backward, with_presynaptic
from ..options import one_of
from ..sharing import MATCHES, PLANS, Sharing, plan
from ..tape import NOTHING, Keep, derivative
from ..tree import Tree, leaves
from .base import Credit, Rule
from .kolen_pollack import KolenPollack


@dataclass(frozen=True)
class FoA(Rule):
    """Forward alignment: updates use the activity that fixed random forward weights would make.  Woo 2023, chapter 3.

    State: C, one array of W's shape for every W.  Errors come down through W itself; the first layer's input is x
    either way.  Deviation from print: (3.8) is linear; the path through C here has the network's own activations,
    biases and batch-norm gains.
    """

    draw: Draw = gaussian

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        return draw_like(rng, params, self.draw)

    def credit(self, net: Network, params: Tree, C: Tree, tape: Tape, y: Array) -> Credit:
        tilde: list[Array] = []
        in_turn, recorder = iter(tilde), Keep(before=lambda index, h: tilde.append(h))
        network.forward(net, with_feedback(params, C), tape.h[0], keep=lambda i: recorder,
                        seeds=tape.seeds)                                                        # ASAP (3.8)
        e, tape = net.error(tape.output, y), with_presynaptic(net, tape, lambda index, h: next(in_turn))
        return Credit(backward(net, params, tape, {len(net) - 1: e}))                            # ASAP (3.9)-(3.10)


@dataclass(frozen=True)
class ActivationSharing(Rule):
    """Activation sharing: a block of k layers learns from one activity, which stood below them.  Woo 2023, section 4.1.

    Errors come down through W itself.  The tape keeps the shared activities, and of the others a bit a unit where
    relu's derivative asks for it, and what batch-norm's adjoint needs.
    plan: "algorithm" (Algorithm 1), "text" or "published", see sharing.PLANS; match: how an activity is made to fit,
    "max", "avg" or "random", methods 1 to 3 of section 5.1.1.  train_first: whether the first block, whose own input
    is x, learns, and then exactly; in the thesis it does not.
    State: a list over blocks of what carries errors down (here nothing); behind it, for "random", the matrices.
    Deviations from print: Algorithm 1 lines 25-26 lack -eta; its output layer has an activation, here it is linear;
    line 17 lacks phi' of the layer's own a.
    """

    k: int = 2
    plan: str = one_of(PLANS, "algorithm", "sharing plan")
    match: str = one_of(MATCHES, "max", "way to match dimensions")
    train_first: bool = False

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        return [*self.carriers(rng, params), *self.matrices(rng, net, params, shapes[0])]

    def carriers(self, rng: np.random.Generator, params: Tree) -> list[Tree]:
        """What carries errors down through each block, None where W does."""
        return [None] * len(params)

    def matrices(self, rng: np.random.Generator, net: Network, params: Tree, shape: tuple[int, ...]) -> list[Tree]:
        """For "random" a list of one list, over layers with weights: C (F', F), None where the shapes are equal."""
        if self.match != "random":
            return []
        inputs: dict[int, Array] = {}
        recorder = Keep(before=lambda index, h: inputs.setdefault(index, h))
        like = next(array for _, array in leaves(params))
        sample = array_module(like).zeros((1, *shape), like.dtype)
        network.forward(net, params, sample, False, lambda i: recorder)
        return [[None if inputs[j].shape == inputs[source].shape
                 else gaussian(rng, (inputs[j].shape[-1], inputs[source].shape[-1]))
                 for j, source in enumerate(plan(net, self.k, self.plan))]]

    def sharing(self, net: Network, state: Tree) -> Sharing:
        """What stands before each layer with weights, in one forward pass."""
        return Sharing(plan(net, self.k, self.plan), self.match, *state[len(net):])

    def forward(self, net: Network, params: Tree, state: Tree, x: Array,
                rng: np.random.Generator | None = None) -> Tape:
        """The one forward pass, of which only what the updates need is kept; of an untrained first block nothing."""
        keep = Keep(self.sharing(net, state), derivative, between=lambda h: None)
        return network.forward(net, params, x, keep=lambda i: NOTHING if i < self.first else keep, rng=rng)

    @property
    def first(self) -> int:
        """The lowest block that learns."""
        return 0 if self.train_first else 1

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array) -> Credit:
        i, feedback = self.first, with_feedback(params, self.feedback(net, state))
        signals = {block - i: signal for block, signal in self.signals(net, state, tape, y).items()}
        return Credit([*[None] * i, *backward(net[i:], feedback[i:], tape.above(i), signals)])   # ASAP (4.3)-(4.4)

    def feedback(self, net: Network, state: Tree) -> list[Tree]:
        """What carries errors down through each block."""
        return state[:len(net)]

    def signals(self, net: Network, state: Tree, tape: Tape, y: Array) -> dict[int, Array]:
        """Where errors enter the network."""
        return {len(net) - 1: net.error(tape.output, y)}


@dataclass(frozen=True)
class ASAP(ActivationSharing):
    """Activation sharing with asymmetric paths: W and B learn alike, from one activity.  Woo 2023, section 4.2.

    State: B[i], one array of W's shape for every W of block i, learnt as under Kolen-Pollack: W - B shrinks by the
    optimiser's weight decay and by nothing else, whatever is shared.
    """

    draw: Draw = gaussian
    defaults: ClassVar[Mapping[str, object]] = KolenPollack.defaults

    def carriers(self, rng: np.random.Generator, params: Tree) -> list[Tree]:
        return [*[None] * self.first, *draw_like(rng, params[self.first:], self.draw)]

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array) -> Credit:
        grads = super().credit(net, params, state, tape, y).grads
        return Credit(grads, weights(grads))                                                     # ASAP (4.5)-(4.6)


@dataclass(frozen=True)
class ASFP(ASAP):
    """Activation sharing in the feedback path: B learns from the shared activity, W from its own.  Section 4.3.

    State: as ASAP.  The text below (4.10) exchanges the two paths; this is what the equations say.  Two walks a step,
    as W and B take two products of one error.
    """

    def forward(self, net: Network, params: Tree, state: Tree, x: Array,
                rng: np.random.Generator | None = None) -> Tape:
        return network.forward(net, params, x, rng=rng)

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array) -> Credit:
        shared = with_presynaptic(net, tape, self.sharing(net, state))
        return Credit(super().credit(net, params, state, tape, y).grads,                         # ASAP (4.7)-(4.8)
                      super().credit(net, params, state, shared, y).state)                       # ASAP (4.9)-(4.10)


@dataclass(frozen=True)
class ASFPLC(ASFP):
    """ASFP with local classifiers: one where each sharing block ends, and no error from above goes below it.

    Woo 2023, section 5.2.4.  State: {"B", "V", "R"} on every block; V (C, F') is the classifier behind 2x2 average
    pooling, and the fixed R (C, F') carries its error into the block (feedback alignment); both are None where no
    classifier stands.  A classifier stands on the first block of the network at or behind the end of a sharing block:
    where that lies inside a residual block, on that one's output.
    """

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        B, classes, ends = super().init(rng, net, params, shapes), shapes[-1][0], self.ends(net)
        V, R = ([PoolHead().init(rng, shape, classes, self.draw) if i in ends else None
                 for i, shape in enumerate(shapes[1:])] for _ in range(2))
        return [*({"B": b, "V": v, "R": r} for b, v, r in zip(B[:len(net)], V, R, strict=True)),
                *B[len(net):]]

    def ends(self, net: Network) -> set[int]:
        """The hidden blocks of the network on which classifiers stand."""
        sources, blocks = plan(net, self.k, self.plan), [i for i, block in enumerate(net) for _ in block.weighted()]
        last = [j for j, source in enumerate(sources[:-1]) if sources[j + 1] != source]
        return {blocks[j] for j in last} & set(range(self.first, len(net) - 1))

    def feedback(self, net: Network, state: Tree) -> list[Tree]:
        return [own["B"] for own in state[:len(net)]]

    def align(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """The classifiers' own gradients, which need no a_L."""
        return [None if own["V"] is None else
                {"V": PoolHead().grad(own["V"], h, net.error(PoolHead().forward(own["V"], h), y))}
                for own, h in zip(state[:len(net)], tape.h[1:], strict=True)]

    def signals(self, net: Network, state: Tree, tape: Tape, y: Array) -> dict[int, Array]:
        local = {i: PoolHead().send(own["R"], net.error(PoolHead().forward(own["V"], h), y), h.shape)
                 for i, (own, h) in enumerate(zip(state[:len(net)], tape.h[1:], strict=True))
                 if own["V"] is not None}
        return super().signals(net, state, tape, y) | local

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array) -> Credit:
        credit = super().credit(net, params, state, tape, y)
        return Credit(credit.grads, [{"B": B} for B in credit.state])
