"""What a learning rule is: six pure functions, of which most rules need two.

A training step (`learn.step`) calls four of them in this order: refresh, forward, align, credit.  `init` is called
once, before training, and `predict` when the network is used.  docs/adding-a-rule.md shows a rule in full.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import numpy as np

from .. import network
from ..backend import Array
from ..data.tasks import TASKS
from ..errors import InputError
from ..network import Network, Tape
from ..options import checked
from ..tree import Tree

OutputLearns = Literal["from the error", "from another activity", "otherwise"]


@dataclass(frozen=True)
class Credit:
    """What the output error drives: gradients of the parameters, and of the state if the error drives that too.

    Parameters
    ----------
    grads : tree
        Gradients of the parameters; None in it stands for what does not move.
    state : tree
        Gradients of the state, or None.

    Examples
    --------
    >>> Credit([None]).state is None
    True
    """

    grads: Tree
    state: Tree = None


@dataclass(frozen=True)
class Rule:
    """The base class of all learning rules, which return gradients for an optimiser to descend.

    Attributes
    ----------
    defaults : mapping
        Training settings that the rule needs and that differ from those of the data set.
    output_learns : {"from the error", "from another activity", "otherwise"}
        How the output block learns.  *From the error*: its gradients are those of backpropagation, bit for bit.  *From
        another activity*: those of its biases are, and its weights are updated with another activity than their input.
        Tests hold every rule to what it says here.
    by_place : bool
        Whether the rule tells the hidden units of a block by their places, as one does that lays the units of two
        blocks on each other.  If not, nothing changes but places if they change places.
    learns : tuple of str
        Which of the tasks "classes", "numbers" and "labels" the rule can learn, see `data.Dataset`.
    sends_errors : bool
        Whether what blocks are sent are error signals, which can be compared with those of backpropagation; False for
        a rule that compares states.

    Raises
    ------
    InputError
        If an option, which is a field of the dataclass, has a value that it cannot have.

    Notes
    -----
    The sign is that of e = y - y*.  A rule never sees a learning rate.  `params` is what prediction needs; `state` is
    what only learning needs, such as feedback weights and local modules.  A rule of one's own needs `credit`, and
    `init` if it has a state.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.models import mlp
    >>> from nobackprop.rules import DFA
    >>> net, rng = mlp((4,), 3, (8,)), np.random.default_rng(0)
    >>> params, shapes = network.init(net, rng, (4,))
    >>> [B.shape for B in DFA().init(rng, net, params, shapes)]
    [(3, 8)]
    """

    defaults: ClassVar[Mapping[str, object]] = {}
    output_learns: ClassVar[OutputLearns] = "from the error"
    by_place: ClassVar[bool] = False
    learns: ClassVar[tuple[str, ...]] = tuple(TASKS)
    sends_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the options, and turn NumPy's scalars into Python's; see options.py."""
        for option in fields(self):
            object.__setattr__(self, option.name, checked(option, getattr(self, option.name)))

    def trial_sizes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return hidden sizes near `sizes`, and the same number of them, that the rule can be tried with.

        Parameters
        ----------
        sizes : tuple of int
            The hidden sizes of a fully connected network.

        Returns
        -------
        tuple of int
            `sizes` themselves, unless the rule takes only some networks.
        """
        return sizes

    def untrained(self, net: Network) -> Mapping[int, str]:
        """Return the blocks that the rule leaves as they are, and why, which tests hold the rule to.

        Parameters
        ----------
        net : Network

        Returns
        -------
        mapping
            From blocks, counted from 0, to a reason in a few words; empty if every weight learns.
        """
        return {}

    def passes(self, net: Network) -> int:
        """Return how often one step runs the first block of a network forwards, which tests hold the rule to.

        Parameters
        ----------
        net : Network

        Returns
        -------
        int
            1 for a rule that learns from the one forward pass.
        """
        return 1

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the state that training starts from.

        Parameters
        ----------
        rng : numpy.random.Generator
            The generator of the state.
        net : Network
        params : list
            The initial parameters.
        shapes : list of tuple of int
            shapes[i] is the shape of one sample of h[i]: of the input for i = 0, of a_L at the end.

        Returns
        -------
        tree
            The state, on the host, in float64; None if the rule has none.

        Raises
        ------
        InputError
            If the rule cannot learn with this network.
        """
        return None

    def refresh(self, rng: np.random.Generator, state: Tree) -> Tree:
        """Return the state as this step uses it: for rules that draw part of it anew at every step.

        Parameters
        ----------
        rng : numpy.random.Generator
            The generator of the step.
        state : tree
            The state, which stays as it is.

        Returns
        -------
        tree
            The state of this step alone; the next step begins from `state` again.
        """
        return state

    def forward(self, net: Network, params: Tree, state: Tree, x: Array,
                rng: np.random.Generator | None = None) -> Tape:
        """Run the forward pass of a step.

        Parameters
        ----------
        net : Network
        params : list
            The parameters of each block.
        state : tree
            The state, refreshed.
        x : array (N, ...)
            The batch.
        rng : numpy.random.Generator or None
            The generator of the step, for layers that draw, such as Dropout.  A rule that runs the network once more in
            the same step hands `seeds=tape.seeds` to `network.forward`, so that the layers draw the same again.

        Returns
        -------
        Tape
        """
        return network.forward(net, params, x, rng=rng)

    def predict(self, net: Network, params: Tree, x: Array) -> Array:
        """Return the output of the network for a batch, in prediction.

        Parameters
        ----------
        net : Network
        params : list
            The parameters of each block.
        x : array (N, ...)
            The batch.

        Returns
        -------
        array (N, C)
            a_L.  For most rules it is what `network.predict` computes; a rule whose network settles on its answer has
            a method of its own.
        """
        return network.predict(net, params, x)

    def align(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Return the gradients of the state that need no output error.

        Parameters
        ----------
        net, params, state, tape
            As they are at this step.
        y : array (N, C)
            The targets.
        rng : numpy.random.Generator
            The generator of the step.

        Returns
        -------
        tree
            Gradients of the state, which moves before `credit` is called; None if nothing moves here.
        """
        return None

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Return the gradients that the output error drives.

        Parameters
        ----------
        net, params, state, tape
            As they are at this step; the state has already moved by what `align` returned.
        y : array (N, C)
            The targets.
        rng : numpy.random.Generator or None
            The generator of the step, for a rule that draws here.  Such a rule demands one by `backend.a_generator`;
            all others leave it alone.

        Returns
        -------
        Credit

        Raises
        ------
        InputError
            If the rule has no such method of its own, without which it cannot learn.
        """
        raise missing(self, "credit")


def missing(rule: Rule, method: str) -> InputError:
    """Return the error for a rule that lacks a method which every rule of its kind needs.

    Parameters
    ----------
    rule : Rule
    method : str
        The name of the method.

    Returns
    -------
    InputError

    Examples
    --------
    >>> print(missing(Rule(), "credit"))
    rule Rule has no method 'credit', without which it cannot learn
    """
    return InputError(f"rule {type(rule).__name__} has no method '{method}', without which it cannot learn")
