"""Checks of what a user hands in: whether networks, rules, data sets, trees, samples and targets fit each other.

They are made once, before anything is computed, so that a mistake is told in one sentence.
"""
from __future__ import annotations

from dataclasses import dataclass
from inspect import signature

import numpy as np

from . import network
from .backend import Array, a_generator, array_module, to_numpy
from .data import Dataset
from .data.augment import check_size
from .data.tasks import TASKS, losses
from .errors import InputError, brief, integer
from .layers import Shape
from .network import Network, a_network
from .optim import Optimizer
from .rules import RULES, Credit, Rule
from .tree import Tree, leaves, same_shapes

PROBABLE = "cross_entropy"  # the loss whose targets are probabilities
# by loss: what its targets are; of any other loss they are finite numbers
VALUES = {PROBABLE: "probabilities: numbers from 0 on that sum to 1", "binary_cross_entropy": "numbers from 0 to 1"}
FLOAT32 = float(np.finfo(np.float32).eps)  # targets may have been computed in float32


@dataclass(frozen=True)
class Fits:
    """What was found out in the first training step, so that later steps need not look again.

    Parameters
    ----------
    net : Network
        The network that the optimiser's tree fits.
    rule : Rule
        The rule that the tree fits.
    samples : tuple of int
        The shape of one sample of x.
    output : tuple of int
        The shape of one sample of the network's output a_L.
    least : int
        The smallest number of samples in a batch.
    one_hot : bool
        Whether it is known that all targets are one-hot rows, as those of a `learn.Run` are.

    Examples
    --------
    >>> from nobackprop import models, rules
    >>> Fits(models.build("mlp:4", (3,), 2), rules.get("bp"), (3,), (2,), 1).output
    (2,)
    """

    net: Network
    rule: Rule
    samples: Shape
    output: Shape
    least: int
    one_hot: bool = False


def step(net: Network, rule: Rule, params: Tree, state: Tree, opt: Optimizer, opt_state: Optimizer, x: Array,
         y: Array, rng: np.random.Generator) -> None:
    """Check all that `learn.step` is given; what is the same from step to step is checked in the first step alone.

    Parameters
    ----------
    net, rule, params, state, opt, opt_state, x, y, rng
        As in `learn.step`.

    Raises
    ------
    InputError
        If these do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, rules
    >>> net, rng = models.build("mlp:4", (3,), 2), np.random.default_rng(0)
    >>> step(net, rules.get("bp"), [], None, None, None, np.ones((2, 3)), np.eye(2), rng)
    Traceback (most recent call last):
    nobackprop.errors.InputError: the optimiser of params is None, expected one as optim.bind makes them
    """
    arrays(x, y)
    a_generator(rng)
    for name, its_tree, its in (("params", params, opt), ("state", state, opt_state)):
        if not isinstance(its, Optimizer):
            raise InputError(f"the optimiser of {name} is {brief(its)}, expected one as optim.bind makes them")
        if its_tree is None and not its.holds(None):
            raise InputError(f"{name} is None, expected the tree that its optimiser was bound to")
        if not its.holds(its_tree):
            raise InputError(f"the optimiser of {name} writes into other arrays than those of the {name} that came: "
                             "bind a new one")
    samples, fits = x.shape[1:], opt.fits
    first = fits is None or (net, rule, samples) != (fits.net, fits.rule, fits.samples)
    if fits is None or first:
        network_and_rule(net, rule)
        draw = np.random.default_rng(0)
        fresh, shapes = init(net, draw, samples)
        tree("params", params, fresh, f"this network with samples of shape {samples}")
        owned = state_of(rule, rule.init(draw, net, fresh, shapes))
        tree("state", state, owned, f"rule {name_of(rule)} with this network")
        opt.fits = fits = Fits(net, rule, samples, shapes[-1], network.least_batch(net, samples))
    enough("the number of samples in x", len(x), fits.least)
    targets(y, (len(x), *fits.output))
    # a run has made its targets itself; to read those of every step from a device would make both wait
    if first or not fits.one_hot and isinstance(y, np.ndarray):
        values(net, rule, y)


def arrays(x: Array, y: Array) -> None:
    """Raise InputError unless x and y are arrays of real numbers, both of NumPy or both of CuPy, with samples in rows.

    Examples
    --------
    >>> import numpy as np
    >>> arrays(np.ones((2, 3)), [1, 0])
    Traceback (most recent call last):
    nobackprop.errors.InputError: x is a numpy.ndarray and y is a list, expected two arrays of NumPy, or of CuPy
    """
    try:
        array_module(x, y)
    except TypeError:
        raise InputError(f"x is {_what(x)} and y is {_what(y)}, expected two arrays of NumPy, or of CuPy") from None
    for name, array in (("x", x), ("y", y)):
        if array.ndim < (2 if name == "x" else 1) or array.dtype.kind not in "biuf":
            raise InputError(f"{name} has shape {array.shape} and type {array.dtype}, expected real numbers, with a "
                             "row for each sample")


def _what(array: object) -> str:
    """The type of a value, in words."""
    kind = type(array)
    return f"a {kind.__module__}.{kind.__name__}".replace("builtins.", "")


def targets(y: Array, expected: Shape) -> None:
    """Raise InputError unless the targets have the expected shape, that of the output a_L.

    Labels of shape (N,) or (N, 1) would otherwise be spread over all classes without a word.

    Examples
    --------
    >>> import numpy as np
    >>> targets(np.eye(3), (3, 3))
    >>> targets(np.arange(3), (3, 3))
    Traceback (most recent call last):
    nobackprop.errors.InputError: y has shape (3,), expected (3, 3): a row for each sample, one-hot for a label
    """
    if y.shape != expected:
        raise InputError(f"y has shape {y.shape}, expected {expected}: a row for each sample, one-hot for a label")


def values(net: Network, rule: Rule, y: Array) -> None:
    """Raise InputError unless loss and rule can learn the numbers in the targets (N, C).

    Cross-entropy is defined for probabilities: of other targets it is some number, and training goes somewhere.  So it
    is if a rule that learns classes gets numbers.

    Parameters
    ----------
    net : Network
    rule : Rule
        A rule that cannot learn every task asks for targets of those that it learns: of classes probabilities, of
        labels numbers from 0 to 1.
    y : array (N, C)
        The targets: under cross-entropy probabilities, in every row at least 0 and of the sum 1 up to rounding; under
        binary cross-entropy numbers from 0 to 1; under any other loss finite numbers.

    Raises
    ------
    InputError
        If they are not.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, rules
    >>> net, rule = models.build("mlp:4", (3,), 2), rules.BP()
    >>> values(net, rule, np.array([[1, 0], [0.5, 0.5]]))
    >>> values(net, rule, np.array([[1, 0], [0, 5]]))
    Traceback (most recent call last):
    nobackprop.errors.InputError: row 1 of y is [0, 5], expected probabilities: numbers from 0 on that sum to 1
    """
    kind, why = net.loss, ""
    asked = PROBABLE if "labels" not in rule.learns else "binary_cross_entropy"
    # what is asked of probabilities holds more than what is asked of labels, and this more than that they are finite
    if any(task not in rule.learns for task in TASKS) and kind not in (PROBABLE, asked):
        kind, why = asked, f", as rule {name_of(rule)} can learn {' and '.join(rule.learns)} only"
    with np.errstate(over="ignore", invalid="ignore"):
        if _right(kind, y):
            return
        row = next(row for row in range(len(y)) if not _right(kind, y[row:row + 1]))
    raise InputError(f"row {row} of y is {brief(to_numpy(y[row]).tolist())}, expected "
                     f"{VALUES.get(kind, 'finite numbers')}{why}")


def answers(y: Array, task: str) -> None:
    """Raise InputError if the accuracy of classes is asked for, and the targets (N, C) are of another task.

    Accuracy compares the largest entries of two rows, and would be some number for any rows.

    Examples
    --------
    >>> import numpy as np
    >>> answers(np.array([[1, 0], [1, 1]]), "classes")
    Traceback (most recent call last):
    nobackprop.errors.InputError: row 1 of y is [1, 1], which is no class: expected rows of probabilities, such as \
one-hot ones, or task='numbers' or task='labels'
    """
    if task == "classes" and not _right(PROBABLE, y):
        row = next(row for row in range(len(y)) if not _right(PROBABLE, y[row:row + 1]))
        raise InputError(f"row {row} of y is {brief(to_numpy(y[row]).tolist())}, which is no class: expected rows "
                         "of probabilities, such as one-hot ones, or task='numbers' or task='labels'")


def _right(kind: str, y: Array) -> bool:
    """Whether the loss of that name is defined for these targets; a device is read only once."""
    if kind not in VALUES:
        return bool(array_module(y).isfinite(y).all())
    if kind != PROBABLE:
        return bool((y.min() >= 0) & (y.max() <= 1))
    slack = max(y.shape[1], 8) * (max(FLOAT32, np.finfo(y.dtype).eps) if y.dtype.kind == "f" else 0)
    return bool((y.min() >= 0) & (abs(y.sum(-1) - 1).max() <= slack))


def data(came: Dataset, augment: str, net: Network, rule: Rule, name: str) -> None:
    """Raise InputError unless a network can learn what a data set is about, under a rule.

    Parameters
    ----------
    came : Dataset
        The data set.
    augment : str
        How its images are to be changed, see `data.augment`; empty for not at all.
    net : Network
    rule : Rule
    name : str
        What the message calls the rule.

    Raises
    ------
    InputError
        If the samples are no images, or images that are too small for that change; if the rule cannot learn the task;
        or if the network has the loss of another task.

    Examples
    --------
    >>> from nobackprop import models, rules
    >>> from nobackprop.data import load
    >>> data(load("xor"), "flip", models.build("mlp:4", (30,), 4), rules.BP(), "bp")
    Traceback (most recent call last):
    nobackprop.errors.InputError: augment 'flip' needs images (N, H, W, C), xor has samples of shape (30,)
    """
    if augment and len(came.shape) != 3:
        raise InputError(f"augment '{augment}' needs images (N, H, W, C), {came.name} has samples of shape "
                         f"{came.shape}")
    if came.task not in rule.learns:
        raise InputError(f"rule {name} can learn {' and '.join(rule.learns)} only, {came.name} has {came.task}")
    if not TASKS[came.task].fits(net.loss):
        raise InputError(f"the network's loss is {net.loss}, expected {' or '.join(losses(came.task))}: "
                         f"{came.name} has {came.task}")
    if augment:
        check_size(augment, came.shape)


def enough(what: str, came: int, least: int) -> None:
    """Raise InputError if there are fewer samples than a network can learn from.

    Examples
    --------
    >>> enough("batch_size", 0, 1)
    Traceback (most recent call last):
    nobackprop.errors.InputError: batch_size must be at least 1, got 0: without a sample there is nothing to learn
    """
    if came < least:
        why = ("a batch-norm needs two values a channel, to have a variance" if least > 1
               else "without a sample there is nothing to learn")
        raise InputError(f"{what} must be at least {least}, got {came}: {why}")


def network_and_rule(net: Network, rule: object) -> None:
    """Raise InputError unless these are a Network with blocks and a Rule that gives gradients.

    Examples
    --------
    >>> from nobackprop import models, rules
    >>> network_and_rule(models.build("mlp:4", (3,), 2), rules.BP)
    Traceback (most recent call last):
    nobackprop.errors.InputError: rule is the class BP, expected an instance: BP()
    """
    a_network(net)
    if not net:
        raise InputError("net has no blocks, expected at least one")
    if isinstance(rule, type):
        raise InputError(f"rule is the class {rule.__name__}, expected an instance: {rule.__name__}()")
    if not isinstance(rule, Rule):
        raise InputError(f"rule is {brief(rule)}, expected a Rule as rules.get makes them")
    if type(rule).credit is Rule.credit:
        raise InputError(f"rule {type(rule).__name__} gives no gradients: it has no method credit")
    try:
        signature(rule.credit).bind(*("net", "params", "state", "tape", "y", "rng"))
    except TypeError:
        raise InputError(f"the method credit of rule {type(rule).__name__} does not take what a step hands it, "
                         "expected credit(self, net, params, state, tape, y, rng=None)") from None


def state_of(rule: Rule, came: Tree) -> Tree:
    """Return what a rule's `init` has returned; raise InputError if it is no tree of floats.

    Examples
    --------
    >>> from nobackprop import rules
    >>> state_of(rules.BP(), "x")
    Traceback (most recent call last):
    nobackprop.errors.InputError: the method init of rule BP returned 'x', expected a tree of arrays of floats, or None
    """
    for path, leaf in leaves(came):
        try:
            array_module(leaf)
            fits = leaf.dtype.kind == "f"
        except TypeError:
            fits = False
        if not fits:
            raise InputError(f"the method init of rule {type(rule).__name__} returned {brief(leaf)}"
                             f"{f' at {path}' * bool(path)}, expected a tree of arrays of floats, or None")
    return came


def credit(net: Network, rule: Rule, came: object) -> None:
    """Raise InputError unless a rule's `credit` has returned a Credit with an entry for each block.

    Examples
    --------
    >>> from nobackprop import models, rules
    >>> credit(models.build("mlp:4", (3,), 2), rules.BP(), rules.Credit([]))
    Traceback (most recent call last):
    nobackprop.errors.InputError: the method credit of rule BP returned gradients for 0 blocks, expected a list of 2, \
with None for a block that does not move
    """
    said = f"the method credit of rule {type(rule).__name__} returned"
    if not isinstance(came, Credit):
        raise InputError(f"{said} {brief(came)}, expected a Credit")
    if not isinstance(came.grads, list | tuple) or len(came.grads) != len(net):
        what = f"for {len(came.grads)} blocks" if isinstance(came.grads, list | tuple) else brief(came.grads)
        raise InputError(f"{said} gradients {what}, expected a list of {len(net)}, with None for a block that does not "
                         "move")


def seed(value: object) -> int:
    """Return the seed of a run as an integer of Python's own; raise InputError if it is none from 0 to 2**64 - 1.

    Examples
    --------
    >>> import numpy as np
    >>> seed(np.int64(3))
    3
    """
    return integer("seed", value, 0, 2**64 - 1)


def tree(name: str, came: Tree, expected: Tree, whose: str) -> None:
    """Raise InputError unless a tree of arrays can take the place of another one.

    Parameters
    ----------
    name : str
        What the message calls the tree.
    came, expected : Tree
        The tree that came, and one with the structure, the shapes and the types that it must have.
    whose : str
        What the message calls the owner of the expected tree.

    Raises
    ------
    InputError
        If structures or shapes differ, or if numbers would lose more than digits, such as an imaginary part.

    Examples
    --------
    >>> import numpy as np
    >>> tree("params", [np.ones(2)], [np.ones(2)], "this run")
    """
    try:
        same_shapes(came, expected)
        for (path, array), (_, there) in zip(leaves(came), leaves(expected), strict=True):
            array_module(array)
            if not np.can_cast(array.dtype, there.dtype, "same_kind"):
                raise ValueError(f"{path} is of type {array.dtype}")
    except (TypeError, ValueError) as error:
        raise InputError(f"the {name} that came cannot belong to {whose}: {error}") from None


def init(net: Network, rng: np.random.Generator, samples: Shape,
         dtype: str = "float32") -> tuple[Tree, list[Shape]]:
    """Do what `network.init` does; raise InputError if the network does not take samples of that shape.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models
    >>> _, shapes = init(models.build("mlp:4", (3,), 2), np.random.default_rng(0), (3,))
    >>> shapes
    [(3,), (4,), (2,)]
    """
    try:
        return network.init(net, rng, samples, dtype)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"the network does not take samples of shape {samples}: {error}") from error


def name_of(rule: Rule) -> str:
    """Return what a user types for a rule, or the name of its class if the rule is not in `rules.RULES`.

    Examples
    --------
    >>> from nobackprop import rules
    >>> name_of(rules.LAS())
    'las'
    """
    return next((name for name, known in RULES.items() if known == rule), type(rule).__name__)
