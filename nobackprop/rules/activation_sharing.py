"""Forward alignment and activation sharing: the weight update uses another activity than the layer's own input.

The source of all rules in this file is Woo 2023, the thesis on ASAP.  Feedback alignment puts other weights into the
feedback path.  These rules put another activity into the weight update: they substitute the tape (what the forward pass
left), and not the tree of weights that carries errors down.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from .. import network
from ..backend import Array, array_module
from ..errors import InputError
from ..feedback import Draw, draw_like, gaussian, weights, with_feedback
from ..heads import PoolHead
from ..network import Network, Tape, backward, with_presynaptic
from ..options import one_of
from ..sharing import MATCHES, PLANS, Sharing, plan
from ..tape import NOTHING, Keep, derivative
from ..tree import Tree, leaves
from .base import Credit, OutputLearns, Rule
from .kolen_pollack import KolenPollack


@dataclass(frozen=True)
class FoA(Rule):
    """Forward alignment updates weights with the activity that fixed random forward weights produce (Woo 2023).

    Parameters
    ----------
    draw : callable
        Draws one array of random forward weights: ``draw(rng, shape)``, see `nobackprop.feedback`.

    Notes
    -----
    What is substituted: the tape.  In the update of W, the input of the layer is replaced by what this input would be
    if all layers below had C in the place of W.  The first layer's input is x in both cases.  Errors come down through
    W itself.

    State: C, one array of the shape of W for every W.  It never learns.

    Source: Woo 2023, chapter 3, equations (3.8)-(3.10).

    Deviations from print: (3.8) is linear.  Here the path through C has the network's own activations, biases and
    batch-norm gains.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> C = rules.FoA().init(rng, net, params, shapes)
    >>> [C[0][0]["W"].shape, C[1][0]["W"].shape, C[2]["W"].shape]
    [(5, 6), (4, 5), (3, 4)]
    """

    draw: Draw = gaussian
    output_learns = "from another activity"

    def passes(self, net: Network) -> int:
        """Count the pass through W and the one through C; see `Rule.passes`."""
        return 2

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw C; see `Rule.init`."""
        return draw_like(rng, params, self.draw)

    def credit(self, net: Network, params: Tree, C: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Run a second forward pass through C, and put its activities into the updates; see `Rule.credit`."""
        tilde: list[Array] = []
        in_turn, recorder = iter(tilde), Keep(before=lambda index, h: tilde.append(h))
        network.forward(net, with_feedback(params, C), tape.h[0], keep=lambda i: recorder,
                        seeds=tape.seeds)                                                        # ASAP (3.8)
        e, tape = net.error(tape.output, y), with_presynaptic(net, tape, lambda index, h: next(in_turn))
        return Credit(backward(net, params, tape, {len(net) - 1: e}))                            # ASAP (3.9)-(3.10)


@dataclass(frozen=True)
class ActivationSharing(Rule):
    """Activation sharing lets a group of k layers learn from one activity that comes from below it (Woo 2023).

    Parameters
    ----------
    k : int
        The number of layers in one group; the thesis calls the group a block.
    plan : {"algorithm", "text", "published"}
        Which layer learns from which activity: as in Algorithm 1, as in the text, or as in the published code; see
        ``sharing.PLANS``.
    match : {"max", "avg", "random"}
        How an activity of another shape is made to fit: methods 1 to 3 of section 5.1.1; see ``sharing.MATCHES``.
    train_first : bool
        Whether the first block of the network learns.  Its own input is x, so it learns with its exact gradient then.
        In the thesis it does not learn.
    train_norm : bool
        Whether gamma and beta of the first block's batch-norm learn while its weights do not, as in the thesis's
        published code.

    Notes
    -----
    What is substituted: the tape.  In the update of W, the input of the layer is replaced by the activity that its
    group shares.  Errors come down through W itself.  The tape keeps the shared activities.  Of the other activities
    it keeps one bit for each unit if the derivative of relu needs it, and what the adjoint of batch-norm needs.

    State: a list with one entry for each block of the network: what carries errors down, here None.  If `match` is
    "random", one more entry follows: the list of the fixed matrices C, one place for each layer with weights.

    Source: Woo 2023, section 4.1, equations (4.1)-(4.4), Algorithm 1; section 5.1.1.

    Deviations from print: lines 25 and 26 of Algorithm 1 lack the factor -eta.  Its output layer has an activation;
    here it is linear.  Its line 17 lacks phi', the derivative of the activation at the layer's own a.

    Examples
    --------
    >>> from nobackprop import models, rules
    >>> net = models.build("mlp:5,5,5,5", (6,), 3)
    >>> rules.ActivationSharing(k=2).sharing(net, [None] * 5).plan   # layers 2 and 3 learn from the input of layer 1
    (0, 1, 1, 1, 3)
    """

    k: int = 2
    plan: str = one_of(PLANS, "algorithm", "sharing plan")
    match: str = one_of(MATCHES, "max", "way to match dimensions")
    train_first: bool = False
    train_norm: bool = False
    output_learns: ClassVar[OutputLearns] = "from another activity"
    by_place: ClassVar[bool] = True

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the feedback weights and the matrices that make activities fit; see `Rule.init`."""
        if self.first >= len(net):
            raise InputError("activation sharing does not train the first block, and the network has no other: "
                             "expected a hidden block, or train_first=True")
        return [*self.carriers(rng, params), *self.matrices(rng, net, params, shapes[0])]

    def carriers(self, rng: np.random.Generator, params: Tree) -> list[Tree]:
        """Draw what carries errors down through each block; None if W does."""
        return [None] * len(params)

    def matrices(self, rng: np.random.Generator, net: Network, params: Tree, shape: tuple[int, ...]) -> list[Tree]:
        """Draw the fixed matrices with which activities are made to fit, if `match` is "random".

        Parameters
        ----------
        rng : numpy.random.Generator
            The generator from which they are drawn.
        net, params
            The network and its parameters.
        shape : tuple of int
            The shape of one input sample.

        Returns
        -------
        list of list
            One list with a matrix C (F', F) for each layer with weights, or None if the two shapes are equal.  An empty
            list if `match` is not "random".
        """
        if self.match != "random":
            return []
        inputs: dict[int, Array] = {}
        recorder = Keep(before=lambda index, h: inputs.setdefault(index, h))
        like = next((array for _, array in leaves(params)), None)
        if like is None:  # no weights learn, and nothing need fit
            return [[]]
        sample = array_module(like).zeros((1, *shape), like.dtype)
        network.forward(net, params, sample, False, lambda i: recorder)
        return [[None if inputs[j].shape == inputs[source].shape
                 else gaussian(rng, (inputs[j].shape[-1], inputs[source].shape[-1]))
                 for j, source in enumerate(plan(net, self.k, self.plan))]]

    def sharing(self, net: Network, state: Tree) -> Sharing:
        """Return a new record of which activity each layer with weights learns from, for one forward pass."""
        return Sharing(plan(net, self.k, self.plan), self.match, *state[len(net):])

    def forward(self, net: Network, params: Tree, state: Tree, x: Array,
                rng: np.random.Generator | None = None) -> Tape:
        """Run the one forward pass, and keep only what the updates need; see `Rule.forward`.

        Of a first block that does not learn nothing is kept, but for an activity in it that others learn from.
        """
        sharing = self.sharing(net, state)

        def only_share(index: int, h: Array) -> None:
            sharing(index, h)
        keep = Keep(sharing, derivative, between=lambda h: None)
        skip = replace(NOTHING, before=only_share)
        return network.forward(net, params, x, keep=lambda i: skip if i < self.lowest else keep, rng=rng)

    def untrained(self, net: Network) -> Mapping[int, str]:
        """Return the first block unless `train_first`; with `train_norm`, all of it but its batch-norm stays."""
        return dict.fromkeys(range(self.first), "in the thesis the first block does not learn; train_first changes it")

    @property
    def first(self) -> int:
        """The number of the lowest block whose weights learn, from 0."""
        return 0 if self.train_first else 1

    @property
    def lowest(self) -> int:
        """The number of the lowest block of which anything learns, from 0."""
        return 0 if self.train_norm else self.first

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Walk down the blocks that learn, on the tape with the shared activities; see `Rule.credit`."""
        i, feedback = self.lowest, with_feedback(params, self.feedback(net, state))
        signals = {block - i: signal for block, signal in self.signals(net, state, tape, y).items()}
        grads = [*[None] * i, *backward(net[i:], feedback[i:], tape.above(i), signals)]          # ASAP (4.3)-(4.4)
        return Credit([*map(norms, grads[:self.first]), *grads[self.first:]])

    def feedback(self, net: Network, state: Tree) -> list[Tree]:
        """Return what carries errors down through each block, from the state; None if W does."""
        return list(state[:len(net)])

    def signals(self, net: Network, state: Tree, tape: Tape, y: Array) -> dict[int, Array]:
        """Return the errors that enter the network: {number of the block: dL/dh at its output}."""
        return {len(net) - 1: net.error(tape.output, y)}


@dataclass(frozen=True)
class ASAP(ActivationSharing):
    """ASAP is activation sharing with feedback weights B that learn like W, from the shared activity (Woo 2023).

    Parameters
    ----------
    k, plan, match, train_first, train_norm
        As in `ActivationSharing`.
    draw : callable
        Draws the first B: ``draw(rng, shape)``.

    Notes
    -----
    ASAP stands for activation sharing with asymmetric paths.

    What is substituted: the tape, as in `ActivationSharing`, and the feedback weights, by B in the place of W.

    State: as in `ActivationSharing`, but the entry of block i is B[i], one array of the shape of W for every W of the
    block.  B learns as under Kolen-Pollack: W - B shrinks by the optimiser's weight decay and by nothing else,
    whatever is shared.

    Source: Woo 2023, section 4.2, equations (4.5)-(4.6).

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,5,5", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> B = rules.ASAP(k=2).init(rng, net, params, shapes)
    >>> B[0] is None, B[1][0]["W"].shape                             # the first block does not learn
    (True, (5, 5))
    """

    draw: Draw = gaussian
    defaults: ClassVar[Mapping[str, object]] = KolenPollack.defaults

    def carriers(self, rng: np.random.Generator, params: Tree) -> list[Tree]:
        """Draw B for each block that learns; see `ActivationSharing.carriers`."""
        return [*[None] * self.first, *draw_like(rng, params[self.first:], self.draw)]

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Compute the gradients of activation sharing, and give those of W to B as well; see `Rule.credit`."""
        grads = super().credit(net, params, state, tape, y, rng).grads
        return Credit(grads, weights(grads))                                                     # ASAP (4.5)-(4.6)


@dataclass(frozen=True)
class ASFP(ASAP):
    """ASFP shares activities in the feedback path only: B learns from them, W from its own input (Woo 2023).

    Parameters
    ----------
    k, plan, match, train_first, train_norm, draw
        As in `ASAP`.

    Notes
    -----
    ASFP stands for activation sharing in the feedback path.

    What is substituted: the feedback weights, by B in the place of W.  The tape is substituted only for the updates of
    B.  A step has two backward walks, because W and B take two products of one error.

    State: as `ASAP`.

    Source: Woo 2023, section 4.3, equations (4.7)-(4.10).

    Deviations from print: the text below (4.10) exchanges the two paths; the code does what the equations say.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,5,5", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> x, y = rng.standard_normal((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    >>> B = rules.ASFP().init(rng, net, params, shapes)
    >>> credit = rules.ASFP().credit(net, params, B, network.forward(net, params, x), y)
    >>> [np.array_equal(credit.grads[i][0]["W"], credit.state[i][0]["W"]) for i in (1, 2)]
    [True, False]
    """

    output_learns = "from the error"

    def forward(self, net: Network, params: Tree, state: Tree, x: Array,
                rng: np.random.Generator | None = None) -> Tape:
        """Run the one forward pass, and keep all of it, because W learns from it; see `Rule.forward`."""
        return network.forward(net, params, x, rng=rng)

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Compute W's gradients from the tape itself, and B's from the shared activities; see `Rule.credit`."""
        shared = with_presynaptic(net, tape, self.sharing(net, state))
        return Credit(super().credit(net, params, state, tape, y, rng).grads,                    # ASAP (4.7)-(4.8)
                      super().credit(net, params, state, shared, y, rng).state)                  # ASAP (4.9)-(4.10)


@dataclass(frozen=True)
class ASFPLC(ASFP):
    """ASFPLC is ASFP with a local classifier at the end of each group of layers that share (Woo 2023).

    Parameters
    ----------
    k, plan, match, train_first, train_norm, draw
        As in `ASAP`; `draw` also draws V and R.

    Notes
    -----
    What is substituted: as `ASFP`, and the signals.  A block with a classifier hears the error of this classifier in
    the place of what the block above would send down.

    A classifier stands on the block of the network in which a group of layers ends.  If the group ends inside a
    residual block, the classifier stands on the output of this residual block.  No classifier stands on the output
    block.

    State: a list with {"B", "V", "R"} for every block.  B is that of `ASFP`.  V (C, F') is the classifier, which
    learns; on images F' counts what 2x2 average pooling leaves.  The fixed R (C, F') carries the classifier's error
    into the block, as in feedback alignment.  V and R are None if the block has no classifier.  If `match` is
    "random", one more entry follows, as in `ActivationSharing`.

    Source: Woo 2023, section 5.2.4.

    Examples
    --------
    >>> from nobackprop import models, rules
    >>> sorted(rules.ASFPLC(k=2).ends(models.build("mlp:5,5,5,5,5,5", (6,), 3)))
    [3, 5]
    """

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw B, and V and R for each classifier; see `Rule.init`."""
        B, classes, ends = super().init(rng, net, params, shapes), shapes[-1][0], self.ends(net)
        V, R = ([PoolHead().init(rng, shape, classes, self.draw) if i in ends else None
                 for i, shape in enumerate(shapes[1:])] for _ in range(2))
        return [*({"B": b, "V": v, "R": r} for b, v, r in zip(B[:len(net)], V, R, strict=True)),
                *B[len(net):]]

    def ends(self, net: Network) -> set[int]:
        """Return the numbers, from 0, of the hidden blocks on which classifiers stand."""
        sources, blocks = plan(net, self.k, self.plan), [i for i, block in enumerate(net) for _ in block.weighted()]
        last = [j for j, source in enumerate(sources[:-1]) if sources[j + 1] != source]
        return {blocks[j] for j in last} & set(range(self.first, len(net) - 1))

    def feedback(self, net: Network, state: Tree) -> list[Tree]:
        """Return B of each block; see `ActivationSharing.feedback`."""
        return [own["B"] for own in state[:len(net)]]

    def align(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Compute the classifiers' own gradients, which do not need a_L; see `Rule.align`."""
        return [None if own["V"] is None else
                {"V": PoolHead().grad(own["V"], h, net.error(PoolHead().forward(own["V"], h), y))}
                for own, h in zip(state[:len(net)], tape.h[1:], strict=True)]

    def signals(self, net: Network, state: Tree, tape: Tape, y: Array) -> dict[int, Array]:
        """Return the errors of the classifiers, sent back through R, and the output error."""
        local = {i: PoolHead().send(own["R"], net.error(PoolHead().forward(own["V"], h), y), h.shape)
                 for i, (own, h) in enumerate(zip(state[:len(net)], tape.h[1:], strict=True))
                 if own["V"] is not None}
        return super().signals(net, state, tape, y) | local

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Compute the gradients of ASFP with the classifiers' errors; see `Rule.credit`."""
        credit = super().credit(net, params, state, tape, y, rng)
        return Credit(credit.grads, [{"B": B} for B in credit.state])


def norms(grads: Tree) -> Tree:
    """Return the gradients of a block's normalisations alone, with None in all other places.

    Parameters
    ----------
    grads : tree
        The gradients of a block, or None.

    Returns
    -------
    tree

    Examples
    --------
    >>> norms([{"W": 1, "b": 2}, {"gamma": 3, "beta": 4}, None])
    [{'W': None, 'b': None}, {'gamma': 3, 'beta': 4}, None]
    """
    match grads:
        case dict():
            return {key: child if key in ("gamma", "beta") else norms(child) for key, child in grads.items()}
        case list() | tuple():
            return type(grads)(map(norms, grads))
    return None
