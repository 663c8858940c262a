"""What each rule reads, found by poison: replace by NaN what a rule should not need, and see which gradients stay.

Poisons are pure functions from what a rule is given to a copy of it; they count blocks from 0, as networks do.
What is found, and shown, counts them from 1, as the papers' h_1, h_2, ... do: hidden block i has the weights W_i.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ... import network
from ...errors import InputError
from ...feedback import weights, with_feedback
from ...models import mlp
from ...network import Network, Tape
from ...rules import RULES, Rule
from ...tape import Keep, materialise
from ...tree import Tree, leaves, tree_map

# of different widths, so that nothing fits where it does not belong; tanh, as f' of relu would swallow a NaN
HIDDEN, INPUTS, CLASSES, SAMPLES, SEEDS = (6, 5, 7, 4), 5, 3, 4, (0, 1, 2)
EVERY = frozenset(range(1, len(HIDDEN) + 1))


# ---------------------------------------------------------------- poisons


@dataclass(frozen=True)
class Given:
    """All that `credit` and `align` are handed, but for the network and the generator."""

    params: Tree
    state: Tree
    tape: Tape
    y: Any


def nan(tree: Tree) -> Tree:
    """The tree with every array of floats replaced by one of NaN; what else stands in it, as shapes do, stays."""
    return tree_map(lambda leaf: np.full_like(leaf, np.nan) if getattr(leaf, "dtype", None) in (np.float32, np.float64)
                    else leaf, tree)


def poison_weights(given: Given, j: int) -> Given:
    """NaN for every W of block j, and for what the state shares with it."""
    return _with_weights(given, j, nan(weights(given.params[j])))


def rescale_weights(given: Given, j: int, rng: np.random.Generator) -> Given:
    """Other magnitudes for every W of block j, the signs being kept; what the state shares with it becomes NaN."""
    return _with_weights(given, j, tree_map(lambda W: W * rng.uniform(0.5, 2, W.shape), weights(given.params[j])))


def _with_weights(given: Given, j: int, new: Tree) -> Given:
    old = [W for _, W in leaves(weights(given.params[j]))]
    params = [with_feedback(p, new) if i == j else p for i, p in enumerate(given.params)]
    # a rule that keeps a view of W in its state reads W all the same
    state = tree_map(lambda s: nan(s) if any(np.shares_memory(s, W) for W in old) else s, given.state)
    return replace(given, params=params, state=state)


def poison_output(given: Given) -> Given:
    """NaN for a_L."""
    return _with_tape(given, [*given.tape.h[:-1], nan(given.tape.h[-1])], given.tape.caches)


def poison_target(given: Given) -> Given:
    """NaN for y*."""
    return replace(given, y=nan(given.y))


def poison_above(given: Given, i: int) -> Given:
    """NaN for all that hidden blocks above block i left on the tape; a_L and block i's own output stay.

    What the output block recorded is the output of the last hidden block, and goes with it.
    """
    h, caches = given.tape.h, given.tape.caches
    above = len(caches) - 1 > i + 1
    return _with_tape(given, [nan(a) if i + 1 < k < len(h) - 1 else a for k, a in enumerate(h)],
                      [nan(cache) if above and k > i else cache for k, cache in enumerate(caches)])


def poison_presynaptic(net: Network, given: Given, i: int) -> Given:
    """NaN for the input activity of block i's layers with weights; its output, of which f' is taken, stays.

    What the tape holds in its place, as a shared activity, stays too.
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
    """The input of block i, whether the tape keeps it or not."""
    return network.forward(net[:i], given.params[:i], given.tape.h[0]).output


def _with_tape(given: Given, h: list[Any], caches: list[Any]) -> Given:
    return replace(given, tape=replace(given.tape, h=h, caches=caches))


# ---------------------------------------------------------------- measurements


@dataclass(frozen=True)
class Reads:
    """What the gradients of each block read.  Blocks are counted from 1; the last one is the output block.

    learns: blocks that have gradients.  weights: pairs (block, the block whose W it reads); magnitudes: those pairs
    where more than the signs of W is read.  output, target, above, presynaptic: blocks that read a_L, y*, what
    hidden blocks above recorded, their own input.
    """

    learns: frozenset[int] = frozenset()
    weights: frozenset[tuple[int, int]] = frozenset()
    magnitudes: frozenset[tuple[int, int]] = frozenset()
    output: frozenset[int] = frozenset()
    target: frozenset[int] = frozenset()
    above: frozenset[int] = frozenset()
    presynaptic: frozenset[int] = frozenset()

    def __or__(self, other: Reads) -> Reads:
        """What is read in one of two measurements."""
        return Reads(*(a | b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def of(self, block: int) -> frozenset[int]:
        """The blocks whose W this block reads, its own one included."""
        return frozenset(j for i, j in self.weights if i == block)

    @property
    def transport(self) -> frozenset[int]:
        """Blocks that read another block's W."""
        return frozenset(i for i, j in self.weights if i != j)

    @property
    def signs_alone(self) -> bool:
        """Whether other blocks' weights are read, and of none more than the signs."""
        return bool(self.transport) and all(i == j for i, j in self.magnitudes)


@dataclass(frozen=True)
class Locality:
    """What a rule's hidden blocks read to learn, and what its state reads; `error_driven`: it learns in `credit`."""

    hidden: Reads
    feedback: Reads
    error_driven: bool = False


def trial(rule: Rule, seed: int) -> tuple[Network, Given]:
    """A small network and what the rule is given after one forward pass, nothing being poisoned."""
    rng = np.random.default_rng(seed)
    net = mlp((INPUTS,), CLASSES, rule.trial_sizes(HIDDEN), "tanh")
    params, shapes = network.init(net, rng, (INPUTS,), "float64")
    state = rule.refresh(rng, rule.init(np.random.default_rng([seed, 1]), net, params, shapes))
    x, y = rng.standard_normal((SAMPLES, INPUTS)), np.eye(CLASSES)[rng.integers(CLASSES, size=SAMPLES)]
    return net, Given(params, state, rule.forward(net, params, state, x), y)


def gradients(net: Network, rule: Rule, given: Given) -> list[Tree]:
    """Of every hidden block, out of `credit`, and None for the output block, which the table leaves out."""
    return [*rule.credit(net, given.params, given.state, given.tape, given.y).grads[:-1], None]


def feedback_gradients(net: Network, rule: Rule, given: Given, seed: int = 0) -> list[Tree]:
    """Of the state that belongs to every block: those of `align`, and those of `credit`.

    Raises InputError where the state that learns is no list over blocks.
    """
    align = rule.align(net, given.params, given.state, given.tape, given.y, np.random.default_rng([seed, 2]))
    credit = rule.credit(net, given.params, given.state, given.tape, given.y).state
    for tree in (align, credit):
        if not isinstance(tree, list | None):
            raise InputError(f"what {type(rule).__name__} learns beside W is no list over blocks, but a "
                             f"{type(tree).__name__}: nobody can say which block it belongs to")
    return [[tree[i] if tree and i < len(tree) else None for tree in (align, credit)] for i in range(len(net))]


def same_bits(u: Tree, v: Tree) -> bool:
    """Whether two trees hold the same arrays, bit for bit, NaN being equal to itself."""
    a, b = ([(path, array.shape, array.tobytes()) for path, array in leaves(tree)] for tree in (u, v))
    return a == b


def measure(net: Network, given: Given, learn: Callable[[Given], list[Tree]], rng: np.random.Generator) -> Reads:
    """What the gradients that `learn` returns, a tree for each block, read of what it is given."""
    before = learn(given)

    def changed(poisoned: Given) -> set[int]:
        return {i for i, (u, v) in enumerate(zip(before, learn(poisoned), strict=True)) if not same_bits(u, v)}

    def blocks(found: Iterable[int]) -> frozenset[int]:
        return frozenset(i + 1 for i in found)

    def pairs(poison: Callable[[int], Given]) -> frozenset[tuple[int, int]]:
        return frozenset((i + 1, j + 1) for j in every for i in changed(poison(j)))

    every = range(len(net))
    return Reads(
        learns=blocks(i for i in every if any(True for _ in leaves(before[i]))),
        weights=pairs(lambda j: poison_weights(given, j)),
        magnitudes=pairs(lambda j: rescale_weights(given, j, rng)),
        output=blocks(changed(poison_output(given))),
        target=blocks(changed(poison_target(given))),
        above=blocks(i for i in every if i in changed(poison_above(given, i))),
        presynaptic=blocks(i for i in every if i in changed(poison_presynaptic(net, given, i))))


def locality(rule: Rule) -> Locality:
    """What one rule reads, over all seeds."""
    result = Locality(Reads(), Reads())
    for seed in SEEDS:
        net, given = trial(rule, seed)
        # NaN in a comparison is what these runs are for
        with np.errstate(invalid="ignore"):
            hidden, feedback = (measure(net, given, learn, np.random.default_rng([seed, 3])) for learn in (
                partial(gradients, net, rule), partial(feedback_gradients, net, rule, seed=seed)))
        driven = rule.credit(net, given.params, given.state, given.tape, given.y).state is not None
        result = Locality(result.hidden | hidden, result.feedback | feedback, driven)
    return result


def table(rules: Mapping[str, Rule] = RULES) -> dict[str, Locality]:
    """What every rule reads, by the names that a user types."""
    return {name: locality(rule) for name, rule in rules.items()}
