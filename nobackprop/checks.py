"""Whether what came from outside fits together: asked once, at the door, so that a mistake is told in one sentence."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import network
from .backend import Array, array_module
from .errors import InputError, brief, integer
from .layers import Shape
from .network import Network
from .optim import Optimizer
from .rules import RULES, Rule
from .tree import Tree, leaves, same_shapes


@dataclass(frozen=True)
class Fits:
    """A network, a rule and samples for which an optimiser's trees were found to be right, and what to expect then.

    output: the shape of one sample of a_L; least: of how many samples a batch is made at least.
    """

    net: Network
    rule: Rule
    samples: Shape
    output: Shape
    least: int


def step(net: Network, rule: Rule, params: Tree, state: Tree, opt: Optimizer, opt_state: Optimizer, x: Array,
         y: Array) -> None:
    """All that a training step asks for; what is the same from step to step is looked at in the first one."""
    arrays(x, y)
    for name, its_tree, its in (("params", params, opt), ("state", state, opt_state)):
        if not isinstance(its, Optimizer):
            raise InputError(f"the optimiser of {name} is {brief(its)}, expected one as optim.bind makes them")
        if not its.holds(its_tree):
            raise InputError(f"the optimiser of {name} writes into other arrays than those of the {name} that came: "
                             "bind a new one")
    samples, fits = x.shape[1:], opt.fits
    if fits is None or (net, rule, samples) != (fits.net, fits.rule, fits.samples):
        network_and_rule(net, rule)
        rng = np.random.default_rng(0)
        fresh, shapes = init(net, rng, samples)
        tree("params", params, fresh, f"this network with samples of shape {samples}")
        tree("state", state, rule.init(rng, net, fresh, shapes), f"rule {name_of(rule)} with this network")
        opt.fits = fits = Fits(net, rule, samples, shapes[-1], network.least_batch(net, samples))
    enough("the number of samples in x", len(x), fits.least)
    targets(y, (len(x), *fits.output))


def arrays(x: Array, y: Array) -> None:
    """Inputs and targets are arrays of numbers, of one module, with samples along their first axis."""
    try:
        array_module(x, y)
    except TypeError:
        raise InputError(f"x is {_what(x)} and y is {_what(y)}, expected arrays (N, ...) of one module") from None
    for name, array in (("x", x), ("y", y)):
        if not array.ndim or array.dtype.kind not in "biufc":
            raise InputError(f"{name} has shape {array.shape} and type {array.dtype}, expected numbers (N, ...)")


def _what(array: object) -> str:
    kind = type(array)
    return f"a {kind.__module__}.{kind.__name__}".replace("builtins.", "")


def targets(y: Array, expected: Shape) -> None:
    """y* has the shape of a_L: labels, (N,) or (N, 1), would be spread over all classes."""
    if y.shape != expected:
        raise InputError(f"y has shape {y.shape}, expected {expected}: a row for each sample, one-hot for a label")


def enough(what: str, came: int, least: int) -> None:
    """As many samples as a network can learn from."""
    if came < least:
        why = "a batch-norm with one value a channel has no variance" if least > 1 else "nothing is learnt from none"
        raise InputError(f"{what} must be at least {least}, got {came}: {why}")


def a_network(net: object) -> None:
    """It is one."""
    if not isinstance(net, Network):
        raise InputError(f"net is {brief(net)}, expected a Network as models.build makes them")


def network_and_rule(net: object, rule: object) -> None:
    """They are what they are called."""
    a_network(net)
    if isinstance(rule, type):
        raise InputError(f"rule is the class {rule.__name__}, expected an instance: {rule.__name__}()")
    if not isinstance(rule, Rule):
        raise InputError(f"rule is {brief(rule)}, expected a Rule as rules.get makes them")
    if type(rule).credit is Rule.credit:
        raise InputError(f"rule {type(rule).__name__} gives no gradients: it has no method credit")


def seed(value: object) -> int:
    """A seed of a run, as one of Python's own integers."""
    return integer("seed", value, 0, 2**64 - 1)


def tree(name: str, came: Tree, expected: Tree, whose: str) -> None:
    """A tree has the structure and the shapes of another one, and numbers that can stand in its place."""
    try:
        same_shapes(came, expected)
        for (path, array), (_, there) in zip(leaves(came), leaves(expected), strict=True):
            array_module(array)
            if not np.can_cast(array.dtype, there.dtype, "same_kind"):
                raise ValueError(f"{path} is of type {array.dtype}")
    except (TypeError, ValueError) as error:
        raise InputError(f"the {name} that came does not fit {whose}: {error}") from None


def init(net: Network, rng: np.random.Generator, samples: Shape,
         dtype: str = "float32") -> tuple[Tree, list[Shape]]:
    """As network.init: the network takes samples of that shape."""
    try:
        return network.init(net, rng, samples, dtype)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"the network does not take samples of shape {samples}: {error}") from error


def name_of(rule: Rule) -> str:
    """What a user types for the rule, or the name of its class if it is not on the list."""
    return next((name for name, known in RULES.items() if known == rule), type(rule).__name__)
