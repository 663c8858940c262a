"""What each rule reads, found by poison: NaN takes the place of one thing, and the gradients show who has read it.

A gradient that stays the same, bit for bit, has not read that thing.

Poisons are pure functions: they make a copy of what a rule is given, with NaN in one place.  They count blocks from 0,
as networks do.  What is found and shown counts blocks from 1, as the papers count h_1, h_2, ...: hidden block i has the
weights W_i.  a_L is the output of the network, y* the target, and f' the derivative of the activation function.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from ... import network
from ...errors import InputError
from ...feedback import weights, with_feedback
from ...metrics import Listener
from ...models import mlp
from ...network import Network, Tape
from ...rules import RULES, Rule
from ...tape import Keep, materialise
from ...tree import Tree, leaves, tree_map

# the widths differ, so that nothing fits in a wrong place; tanh, because f' of relu would swallow a NaN
HIDDEN, INPUTS, CLASSES, SAMPLES, SEEDS = (6, 5, 7, 4), 5, 3, 4, (0, 1, 2)
EVERY = frozenset(range(1, len(HIDDEN) + 1))


# ---------------------------------------------------------------- poisons


@dataclass(frozen=True)
class Given:
    """All that the methods `credit` and `align` of a rule are given, except the network and the generator.

    Attributes
    ----------
    params, state : Tree
        The parameters of the network, and the state of the rule.
    tape : Tape
        What the forward pass has recorded.
    y : Array, shape (N, C)
        The targets, one-hot.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> len(given.tape.h), given.y.shape
    (6, (4, 3))
    """

    params: Tree
    state: Tree
    tape: Tape
    y: Any


def nan(tree: Tree) -> Tree:
    """Return a tree in which every array of floats is replaced by one of NaN.

    Parameters
    ----------
    tree : Tree
        The tree; whatever else stands in it, such as shapes, stays.

    Returns
    -------
    Tree
        The new tree.

    Examples
    --------
    >>> import numpy as np
    >>> nan([np.zeros(2), np.arange(2)])
    [array([nan, nan]), array([0, 1])]
    """
    return tree_map(lambda leaf: np.full_like(leaf, np.nan) if getattr(leaf, "dtype", None) in (np.float32, np.float64)
                    else leaf, tree)


def poison_weights(given: Given, j: int) -> Given:
    """Put NaN in the place of every W of block j, and of what the state shares with it.

    Parameters
    ----------
    given : Given
        What a rule is given.
    j : int
        The block, counted from 0.

    Returns
    -------
    Given
        A copy with the poison in it; `given` stays as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> from nobackprop.tree import leaves
    >>> [(path, bool(np.isnan(array).all())) for path, array in leaves(poison_weights(given, 2).params[2])]
    [('0/W', True), ('0/b', False)]
    """
    return _with_weights(given, j, nan(weights(given.params[j])))


def rescale_weights(given: Given, j: int, rng: np.random.Generator) -> Given:
    """Give every W of block j other magnitudes and the same signs.

    Parameters
    ----------
    given : Given
        What a rule is given.
    j : int
        The block, counted from 0.
    rng : numpy.random.Generator
        The generator that draws one factor from 0.5 to 2 for each weight.

    Returns
    -------
    Given
        A copy with the poison in it; `given` stays as it is.

    Notes
    -----
    What the state shares with W becomes NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> from nobackprop.tree import leaves
    >>> (_, old), _ = leaves(given.params[2])
    >>> (_, new), _ = leaves(rescale_weights(given, 2, np.random.default_rng(0)).params[2])
    >>> bool((new == old).any()), bool((np.sign(new) == np.sign(old)).all())
    (False, True)
    """
    return _with_weights(given, j, tree_map(lambda W: W * rng.uniform(0.5, 2, W.shape), weights(given.params[j])))


def _with_weights(given: Given, j: int, new: Tree) -> Given:
    """Return a copy of `given` with other weights in block j."""
    old = [W for _, W in leaves(weights(given.params[j]))]
    params = [with_feedback(p, new) if i == j else p for i, p in enumerate(given.params)]
    # a rule that keeps a view of W in its state reads W all the same
    state = tree_map(lambda s: nan(s) if any(np.shares_memory(s, W) for W in old) else s, given.state)
    return replace(given, params=params, state=state)


def poison_output(given: Given) -> Given:
    """Put NaN in the place of a_L, the output of the network.

    Parameters
    ----------
    given : Given
        What a rule is given.

    Returns
    -------
    Given
        A copy with the poison in it; `given` stays as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> bool(np.isnan(poison_output(given).tape.output).all()), bool(np.isnan(given.tape.output).any())
    (True, False)
    """
    return _with_tape(given, [*given.tape.h[:-1], nan(given.tape.h[-1])], given.tape.caches)


def poison_target(given: Given) -> Given:
    """Put NaN in the place of y*, the target.

    Parameters
    ----------
    given : Given
        What a rule is given.

    Returns
    -------
    Given
        A copy with the poison in it; `given` stays as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> bool(np.isnan(poison_target(given).y).all())
    True
    """
    return replace(given, y=nan(given.y))


def poison_above(given: Given, i: int) -> Given:
    """Put NaN in the place of all that the hidden blocks above block i recorded on the tape.

    Parameters
    ----------
    given : Given
        What a rule is given.
    i : int
        The block, counted from 0.

    Returns
    -------
    Given
        A copy with the poison in it; `given` stays as it is.

    Notes
    -----
    a_L and the output of block i itself stay.  What the output block recorded is the output of the last hidden block,
    so it is poisoned together with that.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> [bool(np.isnan(h).any()) for h in poison_above(given, 1).tape.h]
    [False, False, False, True, True, False]
    """
    h, caches = given.tape.h, given.tape.caches
    above = len(caches) - 1 > i + 1
    return _with_tape(given, [nan(a) if i + 1 < k < len(h) - 1 else a for k, a in enumerate(h)],
                      [nan(cache) if above and k > i else cache for k, cache in enumerate(caches)])


def poison_presynaptic(net: Network, given: Given, i: int) -> Given:
    """Put NaN in the place of the input activity of the layers with weights in block i.

    Parameters
    ----------
    net : Network
        The network.
    given : Given
        What a rule is given.
    i : int
        The block, counted from 0.

    Returns
    -------
    Given
        A copy with the poison in it; `given` stays as it is.

    Notes
    -----
    The output of the block, at which f' is taken, stays.  What the tape holds instead of the input activity, such as a
    shared activity, stays too.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> [bool(np.isnan(h).any()) for h in poison_presynaptic(net, given, 1).tape.h]
    [False, True, False, False, False, False]
    """
    own: list[Any] = []
    network.forward(net[i:i + 1], given.params[i:i + 1], _input(net, given, i), keep=lambda i: Keep(
        before=lambda index, h: own.append(h)))
    in_turn = iter(own)
    h, caches = list(given.tape.h), list(given.tape.caches)
    h[i] = nan(h[i])
    caches[i], _ = net[i].keep(caches[i], Keep(before=lambda index, kept: nan(kept) if np.array_equal(
        materialise(kept), next(in_turn)) else kept))
    return _with_tape(given, h, caches)


def _input(net: Network, given: Given, i: int) -> Any:
    """Return the input of block i, whether the tape keeps it or not."""
    return network.forward(net[:i], given.params[:i], given.tape.h[0]).output


def _with_tape(given: Given, h: list[Any], caches: list[Any]) -> Given:
    """Return a copy of `given` with other arrays and caches on the tape."""
    return replace(given, tape=replace(given.tape, h=h, caches=caches))


# ---------------------------------------------------------------- blocks that answer one question


@dataclass(frozen=True)
class Upward(Listener):
    """A block that is healthy upwards: in the place of weights that are NaN it works with its own.

    A rule that runs such a block forwards once more does not meet the poison in its weights.  So whatever NaN still
    reaches has read the weights in another way: it was sent down through them, or it read them themselves.

    Parameters
    ----------
    clean : Tree
        The block's own parameters.

    Notes
    -----
    Nothing goes down where the error is 0: a weight that is multiplied with 0 is not read, although NaN times 0 is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.layers import Dense
    >>> clean, ill = ({"W": np.full((1, 1), w), "b": np.zeros(1)} for w in (2.0, np.nan))
    >>> block = Upward(Dense(1), clean=clean)
    >>> h, cache = block.forward(ill, np.ones((2, 1)))
    >>> h.ravel().tolist(), block.backward(ill, cache, np.array([[0.0], [1.0]]))[0].ravel().tolist()
    ([2.0, 2.0], [0.0, nan])
    """

    clean: Tree = None

    def forward(self, params: Tree, h: Any, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Any, Any]:
        """Do what the block does with healthy weights."""
        healed = tree_map(lambda own, came: np.where(np.isnan(came), own, came), self.clean, params)
        return self.block.forward(healed, h, train, rng)

    def backward(self, feedback: Tree, cache: Any, delta: Any, want_down: bool = True) -> tuple[Any, Tree]:
        """Do what the block does with the given weights, but send 0 where nothing is to be sent."""
        down, grads = self.block.backward(feedback, cache, delta, want_down)
        true = self.block.backward(self.clean, cache, delta, want_down)[0]
        return None if down is None else np.where(np.isnan(down) & (true == 0), 0, down), grads


@dataclass(frozen=True)
class Unanswered(Listener):
    """An output block that says NaN to the input that it had in the forward pass.

    A rule that computes a_L again from the tape meets the poison here.

    Parameters
    ----------
    asked : Array
        That input, (N, ...).

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.layers import Activation
    >>> block = Unanswered(Activation("relu"), asked=np.ones((1, 1)))
    >>> [block.forward(None, h)[0].tolist() for h in (np.ones((1, 1)), np.full((1, 1), 2.0))]
    [[[nan]], [[2.0]]]
    """

    asked: Any = None

    def forward(self, params: Tree, h: Any, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Any, Any]:
        """Do what the block does, but return NaN if the input is that of the forward pass."""
        out, cache = self.block.forward(params, h, train, rng)
        return nan(out) if np.array_equal(h, self.asked) else out, cache


def upward(net: Network, given: Given, j: int) -> Network:
    """Return the network with a block that is healthy upwards, see `Upward`.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> upward(net, given, 2)[2].block == net[2]
    True
    """
    return replace(net, blocks=(*net[:j], Upward(net[j], clean=given.params[j]), *net[j + 1:]))


def unanswered(net: Network, given: Given) -> Network:
    """Return the network whose output block does not give the same answer a second time, see `Unanswered`.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> unanswered(net, given)[-1].asked is given.tape.h[-2]
    True
    """
    asked = given.tape.h[-2]
    return replace(net, blocks=(*net[:-1], Unanswered(net[-1], asked=None if asked is None else materialise(asked))))


# ---------------------------------------------------------------- measurements


@dataclass(frozen=True)
class Reads:
    """What the gradients of each block read; blocks are counted from 1, and the last one is the output block.

    Attributes
    ----------
    learns : frozenset of int
        The blocks that have gradients.
    weights : frozenset of (int, int)
        Pairs of a block and a block whose W it reads.
    carried : frozenset of (int, int)
        Those pairs in which W is not only read by running its block forwards once more: an error is carried down
        through it, or it is read itself.
    magnitudes : frozenset of (int, int)
        Those pairs in which the block reads more than the signs of W.
    output, target, above, presynaptic : frozenset of int
        The blocks that read a_L, y*, what hidden blocks above recorded, and their own input activity.

    Examples
    --------
    >>> reads = Reads(frozenset({1, 2}), weights=frozenset({(1, 1), (1, 2), (2, 1)}), carried=frozenset({(1, 2)}))
    >>> sorted(reads.of(1)), sorted(reads.transport), sorted(reads.passes), reads.signs_alone
    ([1, 2], [1], [2], True)
    """

    learns: frozenset[int] = frozenset()
    weights: frozenset[tuple[int, int]] = frozenset()
    carried: frozenset[tuple[int, int]] = frozenset()
    magnitudes: frozenset[tuple[int, int]] = frozenset()
    output: frozenset[int] = frozenset()
    target: frozenset[int] = frozenset()
    above: frozenset[int] = frozenset()
    presynaptic: frozenset[int] = frozenset()

    def __or__(self, other: Reads) -> Reads:
        """Return what is read in at least one of two measurements."""
        return Reads(*(a | b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def of(self, block: int) -> frozenset[int]:
        """Return the blocks whose W this block reads; its own W counts as well."""
        return frozenset(j for i, j in self.weights if i == block)

    @property
    def transport(self) -> frozenset[int]:
        """The blocks to which the W of another block is transported."""
        return frozenset(i for i, j in self.carried if i != j)

    @property
    def passes(self) -> frozenset[int]:
        """The blocks that read the W of another block by a further forward pass alone."""
        return frozenset(i for i, j in self.weights - self.carried if i != j)

    @property
    def signs_alone(self) -> bool:
        """Whether blocks read the W of other blocks, and only the signs of each."""
        return bool(self.transport) and all(i == j for i, j in self.magnitudes)


@dataclass(frozen=True)
class Locality:
    """What one rule reads.

    Attributes
    ----------
    hidden : Reads
        What the hidden blocks read in order to learn.
    feedback : Reads
        What the state of the rule, such as feedback weights, reads in order to learn.
    error_driven : bool
        Whether the state learns in `credit`, with the output error, and not only in `align`.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> found = locality(get("las"))
    >>> sorted(found.hidden.transport), sorted(found.feedback.learns), found.error_driven
    ([4], [1, 2, 3], False)
    """

    hidden: Reads
    feedback: Reads
    error_driven: bool = False


def trial(rule: Rule, seed: int) -> tuple[Network, Given]:
    """Return a small network, and what a rule is given after one forward pass, without any poison.

    Parameters
    ----------
    rule : Rule
        The rule.
    seed : int
        The seed of the parameters, the state and the batch.

    Returns
    -------
    tuple of Network and Given
        The network, with tanh, and what the rule is given.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> [h.shape[1] for h in given.tape.h]
    [5, 6, 5, 7, 4, 3]
    """
    rng = np.random.default_rng(seed)
    net = mlp((INPUTS,), CLASSES, rule.trial_sizes(HIDDEN), "tanh")
    params, shapes = network.init(net, rng, (INPUTS,), "float64")
    state = rule.refresh(rng, rule.init(np.random.default_rng([seed, 1]), net, params, shapes))
    x, y = rng.standard_normal((SAMPLES, INPUTS)), np.eye(CLASSES)[rng.integers(CLASSES, size=SAMPLES)]
    return net, Given(params, state, rule.forward(net, params, state, x), y)


def gradients(net: Network, rule: Rule, given: Given, seed: int = 0) -> tuple[list[Tree], list[Tree]]:
    """Return all that a rule learns from in one step: gradients of the weights, and of the rule's own state.

    Parameters
    ----------
    net : Network
        The network.
    rule : Rule
        The rule.
    given : Given
        What a rule is given.
    seed : int
        The seed of what the rule draws.

    Returns
    -------
    tuple of two lists of Tree
        For each block the gradients of its W, as `credit` computes them; None for the output block, which the table
        leaves out.  And for each block a list of two trees, the gradients of the state that belongs to it: that of
        `align` and that of `credit`.

    Raises
    ------
    InputError
        If the gradients of the state are not a list over blocks.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("las"), seed=0)
    >>> hidden, feedback = gradients(net, get("las"), given)
    >>> [grads is None for grads in hidden], [align is not None for align, credit in feedback]
    ([False, False, False, False, True], [True, True, True, False, False])
    """
    align = rule.align(net, given.params, given.state, given.tape, given.y, _draws(seed))
    credit = rule.credit(net, given.params, given.state, given.tape, given.y, _draws(seed))
    for tree in (align, credit.state):
        if not isinstance(tree, list | None):
            raise InputError(f"the gradients of the state of rule {type(rule).__name__} are a {type(tree).__name__}, "
                             "expected a list with an entry for each block, or None")
    return [*credit.grads[:-1], None], [[tree[i] if tree and i < len(tree) else None for tree in (align, credit.state)]
                                        for i in range(len(net))]


def _draws(seed: int) -> np.random.Generator:
    """Return the generator of a step, the same under every poison."""
    return np.random.default_rng([seed, 2])


def same_bits(u: Tree, v: Tree) -> bool:
    """Say whether two trees hold the same arrays, bit for bit; NaN is equal to itself.

    Parameters
    ----------
    u, v : Tree
        The trees.

    Returns
    -------
    bool
        Whether paths, shapes and bits are equal.

    Examples
    --------
    >>> import numpy as np
    >>> same_bits([np.array([np.nan])], [np.array([np.nan])]), same_bits([np.zeros(1)], [-np.zeros(1)])
    (True, False)
    """
    a, b = ([(path, array.shape, array.tobytes()) for path, array in leaves(tree)] for tree in (u, v))
    return a == b


def measure(net: Network, rule: Rule, given: Given, seed: int) -> list[Reads]:
    """Measure what the gradients of a rule read, by one poison after another.

    Parameters
    ----------
    net : Network
        The network.
    rule : Rule
        The rule.
    given : Given
        What a rule is given.
    seed : int
        The seed of what the rule draws, and of the factors of `rescale_weights`.

    Returns
    -------
    list of Reads
        What the gradients of the weights read, and what those of the rule's own state read.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import get
    >>> net, given = trial(get("bp"), seed=0)
    >>> with np.errstate(invalid="ignore"):
    ...     hidden, feedback = measure(net, get("bp"), given, seed=0)
    >>> sorted(hidden.above), sorted(feedback.learns)
    ([1, 2, 3], [])
    """
    before, rng = gradients(net, rule, given, seed), np.random.default_rng([seed, 3])

    def changed(poisoned: Given, within: Network = net) -> list[set[int]]:
        return [{i for i, (u, v) in enumerate(zip(old, new, strict=True)) if not same_bits(u, v)}
                for old, new in zip(before, gradients(within, rule, poisoned, seed), strict=True)]

    def reached(poisoned: Given, within: Network) -> list[set[int]]:
        return [{i for i, tree in enumerate(trees) if any(np.isnan(g).any() for _, g in leaves(tree))}
                for trees in gradients(within, rule, poisoned, seed)]

    def blocks(found: Iterable[int]) -> frozenset[int]:
        return frozenset(i + 1 for i in found)

    def pairs(found: list[list[set[int]]], kind: int) -> frozenset[tuple[int, int]]:
        return frozenset((i + 1, j + 1) for j in every for i in found[j][kind])

    every = range(len(net))
    weights = [changed(poison_weights(given, j)) for j in every]
    carried = [reached(poison_weights(given, j), upward(net, given, j)) for j in every]
    magnitudes = [changed(rescale_weights(given, j, rng)) for j in every]
    output, target = changed(poison_output(given)), changed(poison_target(given))
    answer = changed(given, unanswered(net, given))
    above = [changed(poison_above(given, i)) for i in every]
    presynaptic = [changed(poison_presynaptic(net, given, i)) for i in every]
    return [Reads(
        learns=blocks(i for i in every if any(True for _ in leaves(trees[i]))),
        weights=pairs(weights, kind), carried=pairs(carried, kind), magnitudes=pairs(magnitudes, kind),
        output=blocks(output[kind] | answer[kind]), target=blocks(target[kind]),
        above=blocks(i for i in every if i in above[i][kind]),
        presynaptic=blocks(i for i in every if i in presynaptic[i][kind])) for kind, trees in enumerate(before)]


def locality(rule: Rule) -> Locality:
    """Measure what one rule reads, over all SEEDS.

    Parameters
    ----------
    rule : Rule
        The rule.

    Returns
    -------
    Locality
        What is read under at least one of the seeds.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> sorted(locality(get("fa")).hidden.transport), sorted(locality(get("bp")).hidden.transport)
    ([], [1, 2, 3, 4])
    """
    result = Locality(Reads(), Reads())
    for seed in SEEDS:
        net, given = trial(rule, seed)
        # these runs compare with NaN on purpose
        with np.errstate(invalid="ignore"):
            hidden, feedback = measure(net, rule, given, seed)
        driven = rule.credit(net, given.params, given.state, given.tape, given.y, _draws(seed)).state is not None
        result = Locality(result.hidden | hidden, result.feedback | feedback, driven)
    return result


@cache
def measured(rule: Rule) -> Locality:
    """Return what `locality` measures of a rule, measured once in a process: equal rules read the same.

    Parameters
    ----------
    rule : Rule
        The rule, whose options can be hashed.

    Returns
    -------
    Locality
        What is read under at least one of the seeds.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> measured(get("fa")) is measured(get("fa"))
    True
    """
    return locality(rule)


def table(rules: Mapping[str, Rule] = RULES) -> dict[str, Locality]:
    """Measure what every rule reads.

    Parameters
    ----------
    rules : mapping of str to Rule
        The rules, by the names that a user types.

    Returns
    -------
    dict of str to Locality
        What each of them reads.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> {name: sorted(row.hidden.output) for name, row in table({"dfa": get("dfa"), "pred": get("pred")}).items()}
    {'dfa': [1, 2, 3, 4], 'pred': []}
    """
    return {name: locality(rule) for name, rule in rules.items()}
