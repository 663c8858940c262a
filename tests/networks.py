"""Small networks for tests, in float64, and the derivative by complex step that they are held against."""
from __future__ import annotations

import numpy as np

from nobackprop.feedback import weights
from nobackprop.optim import SGD
from nobackprop.rules import Rule
from nobackprop.studies.check_rule import Case
from nobackprop.tree import Tree, leaves, tree_map


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
