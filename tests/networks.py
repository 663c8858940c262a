"""Small networks for tests, in float64, and the derivative by complex step that they are held against."""
from __future__ import annotations

import numpy as np

from nobackprop import network
from nobackprop.backend import Array
from nobackprop.feedback import weights
from nobackprop.models import mlp
from nobackprop.network import Network, Tape
from nobackprop.optim import SGD
from nobackprop.rules import Rule
from nobackprop.tree import Tree, leaves, tree_map


def untrained(name: str, hidden: int) -> list[int]:
    """The hidden blocks, counted from 0, that a rule by its nature leaves as they are."""
    if name == "shallow":
        return list(range(hidden - 1))
    return [0] if name in ("as", "asap", "asfp", "asfp-lc") else []


class Case:
    """A network, its parameters, a rule's state and one batch, all drawn from one seed."""

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
        """Biases away from 0, or a wrong bias would not show."""
        return tree_map(lambda w: w if w.ndim > 1 else self.rng.standard_normal(w.shape), p)

    def tape(self) -> Tape:
        return self.rule.forward(self.net, self.params, self.state, self.x)

    def align(self) -> Tree:
        return self.rule.align(self.net, self.params, self.state, self.tape(), self.y, self.rng)

    def grads(self) -> Tree:
        return self.rule.credit(self.net, self.params, self.state, self.tape(), self.y, self.draws()).grads

    def draws(self) -> np.random.Generator:
        """A generator for `credit`, the same each time: two calls differ in nothing that was drawn."""
        return np.random.default_rng([self.seed, 2])


def chain(rule: Rule, W: list, B: list, x, y, loss: str = "squared") -> Case:
    """A linear network without biases that has the weights W, a rule in the state B, and the batch (x, y)."""
    W, B = ([np.array(w, float, ndmin=2) for w in ws] for ws in (W, B))
    case = Case(rule, 0, tuple(len(w) for w in W[:-1]), W[0].shape[1], len(W[-1]), 1, "identity", loss, biases=False)
    for p, w in zip([*(block[0] for block in case.params[:-1]), case.params[-1]], W, strict=True):
        p["W"] = w
    case.state, case.x, case.y = B, np.array(x, float, ndmin=2), np.array(y, float, ndmin=2)
    return case


def move(case: Case, eta: float, eta_B: float) -> tuple[float, float]:
    """A step as `learn.step` makes it, by plain descent, in which biases stay 0: the losses before and after it."""
    before = case.net.value(case.tape().output, case.y)
    SGD(case.state, lr=eta_B)(case.align())
    SGD(case.params, lr=eta)(weights(case.grads()))
    return float(before), float(case.net.value(case.tape().output, case.y))


def slope(f, tree: Tree, direction: Tree) -> float:
    """df(tree + t direction)/dt at 0, by complex step: no cancellation, so good to the last digits."""
    return f(tree_map(lambda w, v: w + 1e-20j * v, tree, direction)).imag / 1e-20


def inner(a: Tree, b: Tree) -> float:
    """<a, b> over all leaves."""
    return sum(float((u * v).sum()) for (_, u), (_, v) in zip(leaves(a), leaves(b), strict=True))


def terms(a: Tree, b: Tree) -> float:
    """What <a, b> adds up, without signs: the scale on which it is rounded, however much of it cancels."""
    return inner(tree_map(np.abs, a), tree_map(np.abs, b))


def like(tree: Tree, rng: np.random.Generator) -> Tree:
    """A random direction in the space of a tree."""
    return tree_map(lambda w: rng.standard_normal(w.shape), tree)
