"""Optimisers: bound to a tree, they write into it, in place, and into nothing else.

    opt = Adam(params, lr=1e-3)
    opt(grads)

`grads` has the tree's structure; where it has None, nothing moves.  Every optimiser works through a leaf in
blocks that stay in the processor's cache, with one scratch array of a block's size: a temporary as large as
the weights costs more in page faults than the arithmetic does.  Workers, where there are several, share the blocks
of a large leaf, each with a scratch array of its own.

Weight decay is `coupled` (lam w is added to the gradient, and then scaled as the gradient is: L2) or
`decoupled` (w shrinks by the factor 1 - lr lam).  The leaves b, gamma and beta, local to a neuron, never decay.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .backend import Array, array_module
from .errors import check_name, number
from .leaf_names import LOCAL, leaf_name
from .tree import Tree, leaves, nodes
from .workers import split_among_workers

HOST_BLOCK, DEVICE_BLOCK = 1 << 16, 1 << 22
ALONE = 8  # a leaf of fewer blocks is not worth sharing


class Optimizer:
    """Descent on the leaves of a tree; subclasses say how one block of one leaf moves.

    fits: what `learn.step` has found out about the tree, checks.Fits, so that it asks but once.
    Raises ValueError if a leaf is not contiguous, if two leaves have one path, or if gradients do not fit the tree.
    """

    memories = 0

    def __init__(self, tree: Tree, lr: float, weight_decay: float = 0.0, decoupled: bool = False):
        self.lr, self.weight_decay = number("lr", lr, "finite"), number("weight_decay", weight_decay, "finite")
        self.decoupled = decoupled
        self.tree, self.nodes = tree, list(nodes(tree))
        self.fits: Any = None
        self.slots: dict[str, tuple[Array, list[Array]]] = {}
        self.steps: dict[str, int] = {}
        self.scratch: dict[Any, Array] = {}
        for path, w in leaves(tree):
            xp = array_module(w)
            if not w.flags.c_contiguous:
                raise ValueError(f"the leaf {path} is not contiguous: an optimiser cannot write into it")
            if path in self.slots:
                raise ValueError(f"two leaves of the tree have the path {path}")
            self.slots[path] = (w, [xp.zeros(w.size, w.dtype) for _ in range(self.memories)])
            self.steps[path] = 0
            if w.dtype not in self.scratch:
                self.scratch[w.dtype] = xp.empty(HOST_BLOCK if xp is np else DEVICE_BLOCK, w.dtype)

    def __setattr__(self, name: str, value: Any) -> None:
        # numbers of NumPy's would change the type of the arrays that they multiply
        super().__setattr__(name, value.item() if isinstance(value, np.generic) else value)

    def holds(self, tree: Tree) -> bool:
        """Whether this is the very tree that the optimiser writes into, all its arrays still being in their places."""
        return tree is self.tree and all(node[key] is child for node, key, child in self.nodes)

    def __call__(self, grads: Tree) -> None:
        given = list(leaves(grads))
        for path, g in given:
            if path not in self.slots or self.slots[path][0].shape != g.shape:
                raise ValueError(f"a gradient {g.shape} came for {path}, expected "
                                 f"{self.slots[path][0].shape if path in self.slots else 'none there'}")
        for path, g in given:
            w, memories = self.slots[path]
            self.steps[path] += 1
            decay = 0.0 if leaf_name(path) in LOCAL else self.weight_decay
            self.update_leaf(path, decay, w.reshape(-1), g.reshape(-1), memories)

    def update_leaf(self, path: str, decay: float, w: Array, g: Array, memories: list[Array]) -> None:
        update, common = self.block_update(self.steps[path]), self.scratch[w.dtype]

        def update_blocks(blocks: slice) -> None:
            scratch = common if blocks.start == 0 else array_module(w).empty_like(common)
            for block in range(blocks.start, blocks.stop):
                part = slice(block * scratch.size, (block + 1) * scratch.size)
                w_part, g_part = w[part], g[part]
                s = scratch[:w_part.size]
                if decay and self.decoupled:
                    w_part *= 1 - self.lr * decay
                elif decay:
                    g_part = g_part + decay * w_part
                update(w_part, g_part, s, *(m[part] for m in memories))
        blocks = math.ceil(w.size / common.size)
        if blocks < ALONE:
            update_blocks(slice(0, blocks))
        else:
            split_among_workers(update_blocks, blocks, w)

    def block_update(self, step: int) -> Callable[..., None]:
        """The update of one block, f(w, g, scratch, *memories), at that step, counted from 1."""
        raise NotImplementedError


class SGD(Optimizer):
    """w -= lr g."""

    def block_update(self, step: int) -> Callable[..., None]:
        lr = self.lr

        def update(w: Array, g: Array, s: Array) -> None:
            array_module(w).multiply(g, lr, out=s)
            w -= s                                                                 # LAS (3)-(4)
        return update


class Momentum(Optimizer):
    """Heavy ball: v = mu v + g; w -= lr v.  With `nesterov`, w -= lr (g + mu v)."""

    memories = 1

    def __init__(self, tree: Tree, lr: float, weight_decay: float = 0.0, decoupled: bool = False,
                 mu: float = 0.9, nesterov: bool = False):
        super().__init__(tree, lr, weight_decay, decoupled)
        self.mu, self.nesterov = number("mu", mu, "non-negative"), nesterov

    def block_update(self, step: int) -> Callable[..., None]:
        lr, mu, nesterov = self.lr, self.mu, self.nesterov

        def update(w: Array, g: Array, s: Array, v: Array) -> None:
            xp = array_module(w)
            v *= mu
            v += g
            if nesterov:
                xp.multiply(v, mu, out=s)
                s += g
                s *= lr
            else:
                xp.multiply(v, lr, out=s)
            w -= s
        return update


class Adam(Optimizer):
    """Adam, Kingma and Ba 2015.

    Kept are m / (1 - beta1) and v / (1 - beta2), which spares a product in each average: with
    m = (1 - beta1) M and v = (1 - beta2) V, and c1, c2 the bias corrections 1 - beta^t,

        (m / c1) / (sqrt(v / c2) + eps)  =  k M / (sqrt(V) + eps sqrt(c2 / (1 - beta2))),
        k = (1 - beta1) / c1 sqrt(c2 / (1 - beta2)).
    """

    memories = 2

    def __init__(self, tree: Tree, lr: float, weight_decay: float = 0.0, decoupled: bool = False,
                 beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8):
        super().__init__(tree, lr, weight_decay, decoupled)
        self.beta1 = number("beta1", beta1, "non-negative", below=1)
        self.beta2 = number("beta2", beta2, "non-negative", below=1)
        self.eps = number("eps", eps, "non-negative")

    def block_update(self, step: int) -> Callable[..., None]:
        beta1, beta2 = self.beta1, self.beta2
        root = math.sqrt((1 - beta2**step) / (1 - beta2))
        eps, k = self.eps * root, self.lr * (1 - beta1) / (1 - beta1**step) * root

        def update(w: Array, g: Array, s: Array, M: Array, V: Array) -> None:
            xp = array_module(w)
            M *= beta1
            M += g
            V *= beta2
            xp.multiply(g, g, out=s)
            V += s
            xp.sqrt(V, out=s)
            s += eps
            xp.divide(M, s, out=s)
            s *= k
            w -= s
        return update


OPTIMIZERS: dict[str, tuple[str, Callable[..., Optimizer]]] = {
    "sgd": ("gradient descent", SGD),
    "momentum": ("heavy ball, 0.9", Momentum),
    "nesterov": ("Nesterov momentum, 0.9", partial(Momentum, nesterov=True)),
    "adam": ("Adam; weight decay coupled", Adam),
    "adamw": ("Adam; weight decay decoupled", partial(Adam, decoupled=True)),
}


def constant(progress: float) -> float:
    """1 throughout."""
    return 1.0


def step(progress: float) -> float:
    """A quarter of what it was from 50, 75, 89 and 94 % of the epochs on."""
    return math.prod(0.25 for mark in (0.50, 0.75, 0.89, 0.94) if progress >= mark)


def cosine(progress: float) -> float:
    """From 1 down to 0 along half a cosine."""
    return (1 + math.cos(math.pi * progress)) / 2


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "step": step, "cosine": cosine}


def bind(name: str, tree: Tree, lr: float, weight_decay: float = 0.0) -> Optimizer:
    """The optimiser of that name on a tree.

    Raises InputError where there is none of that name.
    """
    check_name("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name][1](tree, lr=lr, weight_decay=weight_decay)
