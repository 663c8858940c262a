"""What holds of every learning rule, whatever its paper says, as checks that any rule can be held to.

A check is a function of a rule that returns what is wrong in one sentence, or nothing.  `nobackprop check-rule` makes
all of them of a rule of your own; the tests make them of every rule of this package.  After a mistake was found, checks
that would only find its consequences are left out, see `NEEDS`.
"""
from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .. import network
from ..backend import Array
from ..errors import InputError
from ..learn import step
from ..metrics import Listener
from ..models import mlp
from ..network import Network, Tape
from ..optim import SGD
from ..rules import BP, Rule
from ..tree import Tree, leaves, tree_map
from .text import fold

# all lengths differ, so that the axes of an array say what they count; tanh, which no unit falls silent under
HIDDEN, INPUTS, CLASSES, SAMPLES = (6, 7, 8, 9), 5, 3, 64
STEPS, ROUNDING = 3, 1e-9


class Case:
    """A fully connected network, its parameters, a rule's state and one batch, all drawn from one seed, in float64.

    Parameters
    ----------
    rule : Rule
        The rule.
    seed : int
        The seed.
    sizes : tuple of int
        The hidden sizes; the rule's `trial_sizes` may change them.
    inputs, classes, samples : int
        The numbers of features, of outputs, and of samples in the batch.
    activation, loss : str
        As `models.mlp` takes them.
    biases : bool
        Whether biases are away from 0, or else a wrong bias would not show.

    Attributes
    ----------
    net, params, shapes, state
        As `network.init` and `Rule.init` make them.
    x, y : array
        The batch.
    rng : numpy.random.Generator
        The generator of the steps.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> case = Case(get("dfa"), 0)
    >>> case.tape().output.shape, len(case.grads())
    ((7, 3), 4)
    """

    def __init__(self, rule: Rule, seed: int, sizes: tuple[int, ...] = (6, 5, 4), inputs: int = 5, classes: int = 3,
                 samples: int = 7, activation: str = "tanh", loss: str = "cross_entropy", biases: bool = True):
        self.rng = np.random.default_rng(seed)
        self.rule, self.seed = rule, seed
        sizes = rule.trial_sizes(sizes)
        self.net: Network = mlp((inputs,), classes, sizes, activation, loss)
        params, self.shapes = network.init(self.net, self.rng, (inputs,), "float64")
        self.params: Tree = [self._with_biases(p) for p in params] if biases else params
        self.state: Tree = rule.init(np.random.default_rng([seed, 1]), self.net, self.params, self.shapes)
        self.x: Array = self.rng.standard_normal((samples, inputs))
        self.y: Array = (np.eye(classes)[self.rng.integers(classes, size=samples)] if loss == "cross_entropy"
                         else self.rng.standard_normal((samples, classes)))

    def _with_biases(self, p: Tree) -> Tree:
        """Biases away from 0."""
        return tree_map(lambda w: w if w.ndim > 1 else self.rng.standard_normal(w.shape), p)

    def tape(self) -> Tape:
        """Return what the rule's forward pass leaves."""
        return self.rule.forward(self.net, self.params, self.state, self.x)

    def align(self) -> Tree:
        """Return the gradients of the state that need no error."""
        return self.rule.align(self.net, self.params, self.state, self.tape(), self.y, self.rng)

    def grads(self) -> Tree:
        """Return the gradients of the parameters."""
        return self.rule.credit(self.net, self.params, self.state, self.tape(), self.y, self.draws()).grads

    def draws(self) -> np.random.Generator:
        """Return a generator for `credit`, the same each time: two calls differ in nothing that was drawn."""
        return np.random.default_rng([self.seed, 2])

    def learn(self, steps: int = STEPS, rng: np.random.Generator | None = None) -> None:
        """Take training steps by plain descent, on the one batch."""
        opts = SGD(self.params, lr=0.1), SGD(self.state, lr=0.1)
        for _ in range(steps):
            step(self.net, self.rule, self.params, self.state, *opts, self.x, self.y, rng or self.rng)


def _case(rule: Rule, seed: int = 1) -> Case:
    """The case of the checks."""
    return Case(rule, seed, HIDDEN, INPUTS, CLASSES, SAMPLES)


def _arrays(tree: Tree) -> list[Array]:
    return [array for _, array in leaves(tree)]


def _gradients(case: Case, look: Callable[[Tape], None] = lambda tape: None) -> Iterator[tuple[str, Tree, Tree]]:
    """What a rule gives for a case: (what it moves, the tree that it moves, its gradients); `look` sees the tape."""
    rng, state = case.draws(), case.state
    tape = case.rule.forward(case.net, case.params, case.rule.refresh(rng, state), case.x, rng)
    look(tape)
    yield "the state", state, case.rule.align(case.net, case.params, state, tape, case.y, rng)
    credit = case.rule.credit(case.net, case.params, case.rule.refresh(rng, state), tape, case.y, rng)
    yield "the parameters", case.params, credit.grads
    yield "the state", state, credit.state


# ---------------------------------------------------------------- the checks


def signals(rule: Rule) -> str:
    """Say which block is sent a signal of another shape than the block's output.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> signals(get("dfa"))
    ''
    """
    case = _case(rule)
    outputs = network.forward(case.net, case.params, case.x).h[1:]
    listeners = tuple(map(Listener, case.net))
    case.net = replace(case.net, blocks=listeners)
    for _ in _gradients(case):
        pass
    for i, (listener, output) in enumerate(zip(listeners, outputs, strict=True)):
        for signal in listener.heard:  # a rule may ask blocks by itself, without the walk that compares
            network.check_signal(i, signal.delta, output)
    return ""


def shapes(rule: Rule) -> str:
    """Say which gradient has another place or another shape than what it moves.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> shapes(get("dfa"))
    ''
    """
    case = _case(rule)
    for what, tree, grads in _gradients(case):
        known, given = dict(leaves(tree)), dict(leaves(grads))
        for path, g in given.items():
            if path not in known:
                return f"there is a gradient at {path} of {what}, where nothing is"
            if g.shape != known[path].shape:
                return f"the gradient at {path} of {what} has shape {g.shape}, expected {known[path].shape}"
        if what == "the parameters" and (lost := [path for path in known if path not in given
                                                  and int(path.split("/")[0]) not in rule.untrained(case.net)]):
            return f"there is no gradient at {lost[0]} of the parameters, and `untrained` gives no reason"
    return ""


def dtypes(rule: Rule) -> str:
    """Say which gradient is of another type of numbers than the parameters and the samples.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> dtypes(get("dfa"))
    ''
    """
    for dtype in ("float32", "float64"):
        case = _case(rule)
        case.params, case.state, case.x, case.y = (
            tree_map(lambda a, dtype=dtype: a.astype(dtype), tree)
            for tree in (case.params, case.state, case.x, case.y))
        for what, grads in (("the state", case.align()), ("the parameters", case.grads()), ("h", case.tape().h)):
            for path, array in leaves(grads):
                if array.dtype != dtype:
                    return f"of {dtype} it makes {array.dtype}, at {path} of {what}"
    return ""


def inputs(rule: Rule) -> str:
    """Say whether the rule writes into what it is given.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> inputs(get("dfa"))
    ''
    """
    case = _case(rule)

    def keep(tree: Tree) -> None:
        for array in _arrays(tree):
            if isinstance(array, np.ndarray):  # a tape may have objects that make an array when it is needed
                array.flags.writeable = False
    keep([case.params, case.state, case.x, case.y])
    try:
        for _ in _gradients(case, lambda tape: keep([tape.h, tape.caches])):
            pass
        rule.init(np.random.default_rng(0), case.net, case.params, case.shapes)
    except ValueError as error:
        if "read-only" in str(error):
            return "it writes into an array that it is given, expected new arrays"
        raise
    return ""


def memory(rule: Rule) -> str:
    """Say whether state, gradients and parameters share memory, so that a step would change two of them at once.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> memory(get("dfa"))
    ''
    """
    case = _case(rule)
    trees = {"the parameters": case.params, "the state": case.state}
    if clash := _shared(trees["the state"], trees["the parameters"]):
        return f"{clash[0]} of the state and {clash[1]} of the parameters are in the same memory, expected a copy"
    for what, _, grads in _gradients(case):
        for name, tree in trees.items():
            if clash := _shared(grads, tree):
                return f"the gradient at {clash[0]} of {what} is in the memory of {clash[1]} of {name}"
    return ""


def _shared(a: Tree, b: Tree) -> tuple[str, str] | None:
    """The paths of two arrays that share memory."""
    return next(((path, other) for path, u in leaves(a) for other, v in leaves(b) if np.shares_memory(u, v)), None)


def moves(rule: Rule) -> str:
    """Say which weights stay as they are, although the rule gives no reason, or move although it gives one.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> moves(get("dfa")), moves(get("shallow"))
    ('', '')
    """
    case = _case(rule)
    reasons, before = case.rule.untrained(case.net), tree_map(np.copy, case.params)
    case.learn()
    for (path, w), (_, old) in zip(leaves(case.params), leaves(before), strict=True):
        still, named = bool((w == old).all()), int(path.split("/")[0]) in reasons
        if still and not named:
            return f"{path} of the parameters does not move, and `untrained` gives no reason"
        if named and not still:
            return f"{path} of the parameters moves, and `untrained` says that it does not"
        if not np.isfinite(w).all():
            return f"{path} of the parameters is not finite after {STEPS} steps"
    return ""


def output(rule: Rule) -> str:
    """Say whether the output block learns otherwise than `output_learns` says.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> output(get("dfa"))
    ''
    """
    ours, true = (Case(one, 1, rule.trial_sizes(HIDDEN), INPUTS, CLASSES, SAMPLES).grads()[-1] for one in (rule, BP()))
    W, b = (ours is not None and np.array_equal(ours[leaf], true[leaf]) for leaf in ("W", "b"))
    says = ("from the error" if W else "from another activity") if b else "otherwise"
    return "" if says == rule.output_learns else (
        f"the output block learns {says}, and output_learns is '{rule.output_learns}'")


def seeds(rule: Rule) -> str:
    """Say whether two runs from one seed end with other bits, as if something besides the generator were drawn from.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> seeds(get("spsa"))
    ''
    """
    found = []
    for _ in range(2):
        case = _case(replace(rule))
        case.learn()
        found.append([array.tobytes() for array in _arrays([case.params, case.state])])
    return "" if found[0] == found[1] else "two runs from the same seed differ: draw from `rng`, and keep no memory"


def units(rule: Rule) -> str:
    """Say whether the places of the hidden units matter, although `by_place` says that they do not, or the other way.

    Every block's hidden units change their places, in the parameters, the state and all that is drawn.  After the same
    steps every number must be the one that it was, in its new place, up to rounding.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> units(get("dfa")), units(get("asap"))
    ('', '')
    """
    case, other, rng = _case(rule), _case(rule), np.random.default_rng(5)
    orders = {size: rng.permutation(size) for size in rule.trial_sizes(HIDDEN)}
    other.params, other.state = (tree_map(lambda a: swap(a, orders).copy(), tree)
                                 for tree in (other.params, other.state))
    case.learn(rng=Swapped({}))
    other.learn(rng=Swapped(orders))
    for (path, a), (_, b) in zip(leaves([case.params, case.state]), leaves([other.params, other.state]), strict=True):
        if np.abs(swap(a, orders) - b).max(initial=0) > ROUNDING * np.abs(a).max(initial=0):
            where = f"{path.partition('/')[2]} of {('the parameters', 'the state')[path[0] == '1']}"
            return "" if rule.by_place else (f"{where} depends on the places of the hidden units, and `by_place` is "
                                             "False")
    return "the places of the hidden units do not matter, and `by_place` is True" if rule.by_place else ""


class Swapped(np.random.Generator):
    """A generator whose draws have the hidden units in other places.

    Parameters
    ----------
    orders : dict
        For the width of each hidden block, the places from which its units come.

    Examples
    --------
    >>> plain, swapped = Swapped({}).random(2), Swapped({2: np.array([1, 0])}).random(2)
    >>> bool((plain == swapped[::-1]).all())
    True
    """

    def __init__(self, orders: dict[int, np.ndarray]):
        super().__init__(np.random.PCG64(7))
        self.orders = orders


def _swapping(name: str) -> Callable[..., Any]:
    """A method of a generator whose draws change places."""
    def draw(self: Swapped, *args: Any, **kwargs: Any) -> Any:
        return swap(getattr(np.random.Generator, name)(self, *args, **kwargs), self.orders)
    return draw


for _name in ("standard_normal", "normal", "uniform", "random", "integers", "choice", "binomial"):
    setattr(Swapped, _name, _swapping(_name))


def swap(array: Any, orders: dict[int, np.ndarray]) -> Any:
    """Return an array with the hidden units in other places, along every axis that is as long as a block is wide.

    Examples
    --------
    >>> swap(np.array([1, 2]), {2: np.array([1, 0])}).tolist()
    [2, 1]
    """
    for axis, length in enumerate(np.shape(array)):
        if length in orders:
            array = np.take(array, orders[length], axis)
    return array


Check = Callable[[Rule], str]

CHECKS: dict[str, Check] = {
    "signals have the shapes of the outputs that they are for": signals,
    "gradients have the shapes of what they move": shapes,
    "float32 stays float32, and float64 stays": dtypes,
    "what it is given stays as it is": inputs,
    "no two arrays share memory": memory,
    "every weight moves, or `untrained` says why not": moves,
    "the same seed gives the same bits": seeds,
    "the output block learns as `output_learns` says": output,
    "hidden units may change places, or `by_place` is True": units,
}
# what a check finds says nothing if one of those that it needs has found something, or could not be made
NEEDS: dict[Check, tuple[Check, ...]] = {
    shapes: (signals,), dtypes: (signals,), inputs: (signals,), memory: (signals,), moves: (shapes, inputs),
    seeds: (shapes, inputs), output: (seeds,), units: (memory, seeds)}


def check(rule: Rule) -> dict[str, str]:
    """Make all checks of a rule that can be made.

    Parameters
    ----------
    rule : Rule

    Returns
    -------
    dict
        For each of `CHECKS` what is wrong, in one sentence, or an empty text.  A check is left out if it could find
        nothing but consequences of what an earlier one has found.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> set(check(get("las")).values())
    {''}
    """
    found: dict[str, str] = {}
    for what, one in CHECKS.items():
        if _cause(one, found) is None:
            found[what] = _told(one, rule)
    return found


def _cause(one: Check, found: dict[str, str]) -> str | None:
    """The first check with a finding because of which a check cannot be made, or None if it can."""
    for what, earlier in CHECKS.items():
        if earlier in NEEDS.get(one, ()):
            cause = what if found.get(what) else _cause(earlier, found)
            if cause is not None:
                return cause
    return None


def _told(one: Check, rule: Rule) -> str:
    """What a check says; what the rule itself raises is a finding, too."""
    try:
        with np.errstate(all="ignore"):
            return one(rule)
    except InputError as error:
        return str(error)
    except Exception as error:
        return f"it raises {type(error).__name__}: {error}"


def describe(name: str, rule: Rule, found: dict[str, str]) -> str:
    """Return what the checks have found as text, and why blocks do not learn.

    Parameters
    ----------
    name : str
        What the user typed for the rule.
    rule : Rule
    found : dict
        What `check` gives.

    Returns
    -------
    str
        Checks that were left out stand below the first finding because of which they were.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> text = describe("dfa", get("dfa"), check(get("dfa")))
    >>> print(text.splitlines()[2])
    ok    signals have the shapes of the outputs that they are for
    """
    lines = [f"{name}: {(inspect.getdoc(rule) or 'its class has no docstring').partition(chr(10))[0]}", ""]
    for what, wrong in found.items():
        lines += [f"ok    {what}"] if not wrong else [f"NO    {what}:", *(f"      {line}" for line in fold(wrong, 74))]
        left = [later for later, one in CHECKS.items() if wrong and later not in found and _cause(one, found) == what]
        lines += ["      Because of this, the following could not be checked:"] * bool(left)
        lines += [f"      - {later}" for later in left]
    lines += [f"      block {i} does not learn: {reason}"
              for i, reason in rule.untrained(mlp((INPUTS,), CLASSES, rule.trial_sizes(HIDDEN))).items()]
    return "\n".join(lines)
