"""The interface of a learning rule: five pure functions, of which most rules write two, `init` and `credit`."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from .. import network
from ..backend import Array
from ..errors import InputError
from ..network import Network, Tape
from ..options import checked
from ..tree import Tree


@dataclass(frozen=True)
class Credit:
    """A credit holds the gradients that a rule computes from the output error.

    Parameters
    ----------
    grads : tree
        The gradients of the network's parameters: one entry for each block, None for a block that does not learn.
    state : tree, optional
        The gradients of the rule's state.  None if the state does not learn, or if it learns in `Rule.align`.

    Examples
    --------
    >>> from nobackprop.rules import Credit
    >>> Credit([None, {"W": 0.5}]).state is None
    True
    """

    grads: Tree
    state: Tree = None


class Rule:
    """A rule says how a network learns: it turns one batch into gradients.

    Every rule is a frozen dataclass that is derived from this class.  Its fields are its options.  A rule holds no
    arrays.  It returns gradients and never sees a learning rate.

    Attributes
    ----------
    defaults : mapping of str to object
        Training settings that the rule needs if they differ from the settings of the data set.

    Raises
    ------
    InputError
        If an option has a value that it cannot have, or if a rule lacks a method without which it cannot learn.

    Notes
    -----
    All methods take some of these arguments:

    - `net`: the network, a sequence of blocks; `params`: its parameters, everything that prediction needs;
    - `state`: everything that only learning needs, such as feedback weights and local modules, or None;
    - `tape`: what the forward pass left, with ``tape.h[0]`` = x, ``tape.h[i]`` = h_i and ``tape.output`` = a_L;
    - `y`: the targets y* of the batch, an array (N, C); one-hot rows if they are classes;
    - `rng`: the generator from which a rule draws.

    The output error is e = dL/da_L, which ``net.error`` computes.  For a batch of N samples it is the prediction minus
    y*, divided by N.  So the mean over the batch is taken there, once, and all products below are plain sums.

    One training step calls `refresh`, `forward`, `align` and `credit` in this order.  The gradients of `align` are
    applied to the state before `credit` sees it.

    Examples
    --------
    >>> from nobackprop.rules import RULES, Rule
    >>> all(isinstance(rule, Rule) for rule in RULES.values())
    True
    >>> dict(RULES["kp"].defaults)
    {'optimizer': 'adamw', 'weight_decay': 0.3}
    """

    defaults: ClassVar[Mapping[str, object]] = {}

    def __post_init__(self) -> None:
        """Check the options and turn NumPy scalars into Python numbers; options.py says what each may be."""
        # the type checker cannot know that every rule is a dataclass
        for option in fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, option.name, checked(option, getattr(self, option.name)))

    def trial_sizes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return hidden sizes near `sizes` with which the rule can be tried on a fully connected network.

        Parameters
        ----------
        sizes : tuple of int
            The units of each hidden layer, from the input up.

        Returns
        -------
        tuple of int
            The same number of sizes; `sizes` itself unless the rule needs a network of a certain form.
        """
        return sizes

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the rule's state.

        Parameters
        ----------
        rng : numpy.random.Generator
            The generator from which the state is drawn.
        net, params
            The network and its parameters.
        shapes : list of tuple of int
            ``shapes[i]`` is the shape of one sample of h[i], so ``shapes[0]`` is the input's and ``shapes[-1]`` is
            ``(C,)``.

        Returns
        -------
        tree
            The state in host memory, usually float64; None if the rule has no state.
        """
        return None

    def refresh(self, rng: np.random.Generator, state: Tree) -> Tree:
        """Return the state as the current step uses it.

        A rule overrides this method if part of its state is drawn anew at every step.  The result serves this step
        only: the next step starts from `state` again.
        """
        return state

    def forward(self, net: Network, params: Tree, state: Tree, x: Array) -> Tape:
        """Run the one forward pass of a step on the samples x (N, ...), and return its tape."""
        return network.forward(net, params, x)

    def align(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Compute the gradients of the state that need no output error.

        Returns
        -------
        tree
            Gradients in the structure of the state, with None for what does not learn; None if nothing learns here.
        """
        return None

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array) -> Credit:
        """Compute the gradients that depend on the output error; the gradients of `align` are already applied.

        Returns
        -------
        Credit
            The gradients of the parameters, and of the state if the output error drives its learning.

        Raises
        ------
        InputError
            If the rule does not have this method of its own.
        """
        raise missing(self, "credit")


def missing(rule: Rule, method: str) -> InputError:
    """Make the error for a rule that lacks a method which every rule of its kind must have.

    Parameters
    ----------
    rule : Rule
        The rule that lacks the method.
    method : str
        The name of the method.

    Returns
    -------
    InputError
        The error, for the caller to raise.

    Examples
    --------
    >>> from nobackprop.rules import BP
    >>> from nobackprop.rules.base import missing
    >>> print(missing(BP(), "module"))
    rule BP has no method 'module', without which it cannot learn
    """
    return InputError(f"rule {type(rule).__name__} has no method '{method}', without which it cannot learn")
