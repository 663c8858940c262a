"""Optimisers, which move the arrays of a tree along gradients, and the schedules of their learning rate.

    opt = Adam(params, lr=1e-3)
    opt(grads)

An optimiser is bound to one tree.  It writes into the arrays of that tree, in place, and into nothing else.  `grads`
has the tree's structure; if it has None somewhere, nothing moves there.

How to read this file: `plain_adam` is Adam as the paper prints it, and the oracle of the tests; `Adam` computes the
same fast.  Every optimiser works through a leaf in blocks that stay in the processor's cache, with one scratch array of
a block's size: a temporary array as large as the weights costs more in page faults than the arithmetic does.  If there
are several workers (workers.py), they share the blocks of a large leaf, and each has a scratch array of its own.  Small
leaves, such as biases, are copied into one block and moved together: ten calls of NumPy for each of them would take
longer than the arithmetic does.

Weight decay lam is either *coupled* or *decoupled*.  If it is coupled (L2), lam w is added to the gradient, and then
scaled as the gradient is.  If it is decoupled, w shrinks by the factor 1 - lr lam.  The leaves b, gamma and beta, which
are local to a neuron (leaf_names.py), never decay.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from .backend import Array, array_module
from .errors import InputError, brief, check_name, number, yes_or_no
from .leaf_names import LOCAL, leaf_name
from .tree import Tree, leaves, nodes
from .workers import split_among_workers

HOST_BLOCK, DEVICE_BLOCK = 1 << 16, 1 << 22
ALONE = 4  # a leaf of fewer blocks is not worth sharing
SMALL = 1 << 13  # to copy a leaf of more numbers takes longer than the calls that are spared


def plain_adam(w: Array, g: Array, m: Array, v: Array, t: int, lr: float, beta1: float = 0.9, beta2: float = 0.999,
               eps: float = 1e-8) -> tuple[Array, Array, Array]:
    """Return weights and moments after one step of Adam, in the plain lines of the paper's algorithm 1.

    Parameters
    ----------
    w, g : array (...)
        The weights, and their gradient.
    m, v : array (...)
        The running means of the gradient and of its square, both 0 before the first step.
    t : int
        The number of the step, counted from 1.
    lr, beta1, beta2, eps : float
        The learning rate, how much of each running mean stays, and a small number that keeps the divisor from 0.

    Returns
    -------
    tuple of array
        The new w, m and v.  `Adam` computes the same w.

    Notes
    -----
    Kingma and Ba 2015.

    Examples
    --------
    The first step is as long as the learning rate, however long the gradient is:

    >>> import numpy as np
    >>> zero = np.zeros(2)
    >>> w, m, v = plain_adam(np.array([1.0, 1.0]), np.array([3.0, -0.01]), zero, zero, 1, lr=0.1)
    >>> w.round(3).tolist()
    [0.9, 1.1]
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


@dataclass(eq=False)
class Together:
    """Small leaves of one type, which an optimiser moves as one block.

    Parameters
    ----------
    leaves : dict
        By the path of a leaf: the leaf, flat.
    w, g, scratch : array (n,)
        Work space: for all leaves, for all gradients, and for numbers in between.
    memories : list of array (n,)
        The running arrays of all leaves; the memories of a leaf in `Optimizer.slots` are views of them.

    Examples
    --------
    >>> import numpy as np
    >>> opt = Momentum([{"W": np.ones((2, 2)), "b": np.ones(3)}], lr=0.5)
    >>> [(list(some.leaves), some.memories[0].size) for some in opt.together]
    [(['0/W', '0/b'], 7)]
    """

    leaves: dict[str, Array]
    w: Array
    g: Array
    scratch: Array
    memories: list[Array]


class Optimizer:
    """The base class of all optimisers; a subclass says how a block of numbers moves.

    Parameters
    ----------
    tree : tree of array
        What the optimiser writes into.
    lr : float
        The learning rate, any finite number; below 0 the optimiser climbs.  It may be set anew between steps, as
        schedules do.
    weight_decay : float
        How strongly weights are pulled towards 0: lam at the top of this file.  Any finite number; below 0 they grow.
    decoupled : bool
        Whether weight decay is decoupled from the gradient.

    Attributes
    ----------
    memories : int
        How many running arrays an optimiser keeps for each leaf, each as large as the leaf; of the class.
    slots : dict
        By the path of a leaf: its array and its memories.
    steps : dict
        By the path of a leaf: how many steps it has made.  A leaf that got no gradient does not count the step.
    together : list of Together
        The small leaves, which move together in a step in which all of them have a gradient.
    fits : object
        What `learn.step` has found out about the tree (checks.Fits), so that it checks the tree only once.

    Raises
    ------
    InputError
        If a number is not finite, if an option is out of its range, or if the tree holds what an optimiser cannot
        write into: anything but contiguous arrays of floats, each with a path and with memory of its own.

    Examples
    --------
    An optimiser of one's own, which moves by the sign of the gradient:

    >>> import numpy as np
    >>> class Sign(Optimizer):
    ...     def block_update(self, step):
    ...         def update(w, g, scratch):
    ...             w -= self.lr * np.sign(g)
    ...         return update
    >>> params = {"W": np.ones(3)}
    >>> Sign(params, lr=0.5)({"W": np.array([7.0, 0.0, -7.0])})
    >>> params["W"].tolist()
    [0.5, 1.0, 1.5]
    """

    memories = 0

    def __init__(self, tree: Tree, lr: float, weight_decay: float = 0.0, decoupled: bool = False):
        self.lr, self.weight_decay = lr, weight_decay
        self.decoupled = yes_or_no("decoupled", decoupled)
        self.tree, self.nodes = tree, list(nodes(tree))
        self.fits: Any = None
        self.slots: dict[str, tuple[Array, list[Array]]] = {}
        self.steps: dict[str, int] = {}
        for path, w in leaves(tree):
            try:
                xp = array_module(w)
            except TypeError:
                xp = None
            if xp is None or w.dtype.kind != "f":
                raise InputError(f"the leaf {path or 'of the tree'} is {brief(w)}, expected an array of floats")
            if not w.flags.c_contiguous:
                raise InputError(f"the leaf {path} is not contiguous, expected an array as numpy.ascontiguousarray "
                                 "makes it")
            if xp is np and not w.flags.writeable:
                raise InputError(f"the leaf {path} is read-only, expected an array that can be written to: a copy can")
            if path in self.slots:
                raise InputError(f"two leaves of the tree have the path {path}")
            self.slots[path] = (w, [xp.zeros(w.size, w.dtype) for _ in range(self.memories)])
            self.steps[path] = 0
        for (path, (w, _)), (other, (v, _)) in combinations(self.slots.items(), 2):
            if (xp := array_module(w)) is array_module(v) and xp.may_share_memory(w, v):
                raise InputError(f"the leaves {path} and {other} share memory: an optimiser would move it twice")
        self.prepare()

    def prepare(self) -> None:
        """Make the work space, and put the memories of small leaves side by side; again if the slots were replaced."""
        self.scratch: dict[Any, Array] = {}  # as large as a block, or as the largest leaf if it is smaller
        self.together: list[Together] = []
        groups: list[dict[str, Array]] = []
        last: dict[tuple[Any, Any], dict[str, Array]] = {}  # by the types of array and of number: the group to fill
        for path, (w, _) in self.slots.items():
            xp, kind = array_module(w), (type(w), w.dtype)
            block = HOST_BLOCK if xp.__name__ == "numpy" else DEVICE_BLOCK
            size = max(1, min(w.size, block))
            if w.dtype not in self.scratch or self.scratch[w.dtype].size < size:
                self.scratch[w.dtype] = xp.empty(size, w.dtype)
            if w.size <= min(SMALL, block):
                if kind not in last or sum(v.size for v in last[kind].values()) + w.size > block:
                    last[kind] = {}
                    groups.append(last[kind])
                last[kind][path] = w.reshape(-1)
        self.together = [self._joined(group) for group in groups if len(group) > 1]

    def _joined(self, small: dict[str, Array]) -> Together:
        """Return what moves small leaves together; the memories of each become views."""
        xp, arrays = array_module(*small.values()), list(small.values())
        memories = [xp.concatenate([self.slots[path][1][k] for path in small]) for k in range(self.memories)]
        start = 0
        for path, w in small.items():
            self.slots[path] = self.slots[path][0], [m[start:start + w.size] for m in memories]
            start += w.size
        w, g, scratch = (xp.empty(start, arrays[0].dtype) for _ in range(3))
        return Together(small, w, g, scratch, memories)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle holds: every array once, as joblib does not see that an array is there twice."""
        return {**vars(self), "nodes": None, "scratch": {}, "together": [],
                "slots": {path: memories for path, (_, memories) in self.slots.items()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.nodes = list(nodes(self.tree))
        self.slots = {path: (w, state["slots"][path]) for path, w in leaves(self.tree)}
        self.prepare()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("lr", "weight_decay"):
            value = number(name, value, "finite")
        # numbers of NumPy's would change the type of the arrays that they multiply
        super().__setattr__(name, value.item() if isinstance(value, np.generic) else value)

    def holds(self, tree: Tree) -> bool:
        """Return whether `tree` is the very object that the optimiser writes into, with all its arrays in their places.

        Parameters
        ----------
        tree : tree of array

        Returns
        -------
        bool
            False for an equal copy, and also if an array of the tree has been taken out or replaced by another one.
        """
        try:
            for node, key, child in self.nodes:
                if node[key] is not child:
                    return False
        except LookupError:
            return False
        return tree is self.tree

    def __call__(self, grads: Tree) -> None:
        """Make one step along the gradients.

        Parameters
        ----------
        grads : tree of array
            Of the structure of the optimiser's tree; None, here or in the place of any subtree, moves nothing there.

        Raises
        ------
        InputError
            If a gradient does not fit the tree.  Nothing has moved then.
        """
        given = dict(leaves(grads))
        if not given:
            return
        for path, g in given.items():
            self._check(path, g)
        updates: dict[int, Callable[..., None]] = {}  # by the number of the step, which is mostly the same for all
        waiting: dict[str, Callable[..., None]] = {}
        for path in given:
            self.steps[path] = step = self.steps[path] + 1
            if step not in updates:
                updates[step] = self.block_update(step)
            waiting[path] = updates[step]
        for some in self.together:
            self._update_together(some, given, waiting)
        for path, update in waiting.items():
            w, memories = self.slots[path]
            self.update_leaf(update, self._decay(path), w.reshape(-1), given[path].reshape(-1), memories)

    def _decay(self, path: str) -> float:
        """Return the weight decay of a leaf: 0 if it is local to a neuron."""
        return self.weight_decay and (0.0 if leaf_name(path) in LOCAL else self.weight_decay)

    def _update_together(self, some: Together, given: dict[str, Array],
                         waiting: dict[str, Callable[..., None]]) -> None:
        """Make the step of small leaves, if all of them wait for the same one, and take them off the waiting ones."""
        update, *others = {waiting.get(path) for path in some.leaves}
        if update is None or others or any(given[path].dtype != some.w.dtype for path in some.leaves):
            return
        xp, gradients = array_module(some.w), []
        for path, w in some.leaves.items():
            del waiting[path]
            gradients.append(self._decayed(self._decay(path), w, given[path].reshape(-1)))
        xp.concatenate(list(some.leaves.values()), out=some.w)
        xp.concatenate(gradients, out=some.g)
        update(some.w, some.g, some.scratch, *some.memories)
        start = 0
        for w in some.leaves.values():
            w[...] = some.w[start:start + w.size]
            start += w.size

    def _check(self, path: str, g: Array) -> None:
        """Raise InputError unless g can be the gradient of the leaf at that path."""
        w = self.slots[path][0] if path in self.slots else None
        if w is not None and type(g) is type(w) and g.shape == w.shape and g.dtype == w.dtype:
            return
        if w is None:
            there = [*self.slots][:4] + ["..."] * (len(self.slots) > 4)
            raise InputError(f"the gradients are {_shown(g)}{f' at {path}' * bool(path)}, expected arrays only where "
                             f"the optimiser's tree has them: {', '.join(there) or 'nowhere'}")
        try:
            xp = array_module(w, g)
        except TypeError:
            xp = None
        if xp is None or g.shape != w.shape or g.dtype.kind not in "biuf":
            raise InputError(f"the gradient {f'of {path} ' * bool(path)}is {_shown(g)}, expected real numbers of shape "
                             f"{w.shape}, in an array of the same module as the leaf")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.slots)} arrays, lr={self.lr:g}, weight_decay={self.weight_decay:g})"

    def update_leaf(self, update: Callable[..., None], decay: float, w: Array, g: Array,
                    memories: list[Array]) -> None:
        """Make the step of one leaf, block by block.

        Parameters
        ----------
        update : callable
            What `block_update` returned for this step.
        decay : float
            The leaf's weight decay; 0 if the leaf is local to a neuron.
        w, g : array (n,)
            The leaf, which is written into, and its gradient; both flat.
        memories : list of array (n,)
            The running arrays of the leaf, which are written into.
        """
        common, size = self.scratch[w.dtype], w.size
        if size <= common.size:
            self._update_block(update, decay, w, g, common, memories)
            return

        def update_blocks(blocks: slice) -> None:
            scratch = common if blocks.start == 0 else array_module(w).empty_like(common)
            for block in range(blocks.start, blocks.stop):
                part = slice(block * scratch.size, (block + 1) * scratch.size)
                self._update_block(update, decay, w[part], g[part], scratch, [m[part] for m in memories])
        blocks = math.ceil(size / common.size)
        if blocks < ALONE:
            update_blocks(slice(0, blocks))
        else:
            split_among_workers(update_blocks, blocks, w)

    def _update_block(self, update: Callable[..., None], decay: float, w: Array, g: Array, scratch: Array,
                      memories: list[Array]) -> None:
        """Make the step of one block of a leaf, weight decay and all."""
        update(w, self._decayed(decay, w, g), scratch[:w.size], *memories)

    def _decayed(self, decay: float, w: Array, g: Array) -> Array:
        """Return the gradient with coupled weight decay; decoupled, shrink the weights."""
        if decay and self.decoupled:
            w *= 1 - self.lr * decay
        elif decay:
            g = g + decay * w
        return g

    def block_update(self, step: int) -> Callable[..., None]:
        """Return the function that updates one block of numbers: a part of a leaf, or several small leaves.

        Parameters
        ----------
        step : int
            The number of the leaf's step, counted from 1.

        Returns
        -------
        callable
            f(w, g, scratch, *memories), all of them one-dimensional arrays of a block's size.  It writes into w and
            into the memories, never into g; `scratch` is for numbers in between.  It computes element by element, as
            where a block begins and ends has no meaning.
        """
        raise NotImplementedError


def _shown(g: object) -> str:
    """What came as a gradient, in a few words."""
    shape, kind = getattr(g, "shape", None), getattr(g, "dtype", None)
    return brief(g) if shape is None or kind is None else f"an array of shape {shape} and type {kind}"


class SGD(Optimizer):
    """Gradient descent: w -= lr g.

    The parameters are those of `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W": np.array([1.0, 2.0])}
    >>> SGD(params, lr=0.5)({"W": np.array([1.0, 1.0])})
    >>> params["W"].tolist()
    [0.5, 1.5]
    """

    def block_update(self, step: int) -> Callable[..., None]:
        """Return the update of a block, as `Optimizer.block_update` says."""
        lr = self.lr

        def update(w: Array, g: Array, s: Array) -> None:
            array_module(w).multiply(g, lr, out=s)
            w -= s                                                                 # LAS (3)-(4)
        return update


class Momentum(Optimizer):
    """Gradient descent with momentum (heavy ball): v = mu v + g; w -= lr v.

    Parameters
    ----------
    tree, lr, weight_decay, decoupled
        As of `Optimizer`.
    mu : float
        How much of the velocity v stays from step to step, at least 0.
    nesterov : bool
        Whether to take Nesterov's form: w -= lr (g + mu v).

    Examples
    --------
    >>> import numpy as np
    >>> params, g = {"W": np.array([1.0])}, {"W": np.array([1.0])}
    >>> opt = Momentum(params, lr=0.5, mu=0.5)
    >>> opt(g); opt(g)  # by 0.5, then by 0.75
    >>> params["W"].tolist()
    [-0.25]
    """

    memories = 1

    def __init__(self, tree: Tree, lr: float, weight_decay: float = 0.0, decoupled: bool = False,
                 mu: float = 0.9, nesterov: bool = False):
        super().__init__(tree, lr, weight_decay, decoupled)
        self.mu, self.nesterov = number("mu", mu, "non-negative"), yes_or_no("nesterov", nesterov)

    def block_update(self, step: int) -> Callable[..., None]:
        """Return the update of a block, as `Optimizer.block_update` says."""
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
    """Adam: `plain_adam`, fast.

    Parameters
    ----------
    tree, lr, weight_decay, decoupled
        As of `Optimizer`; Adam with decoupled weight decay is called AdamW.
    beta1, beta2 : float
        How much of the running means of the gradient and of its square stays, at least 0 and below 1.
    eps : float
        A small number that keeps the divisor from 0, at least 0.

    Notes
    -----
    Kingma and Ba 2015; Loshchilov and Hutter 2019 for decoupled weight decay.

    The memories are M = m / (1 - beta1) and V = v / (1 - beta2) in place of the paper's m and v.  This spares a product
    in each of the two means: M = beta1 M + g, and V = beta2 V + g^2.  With c1 = 1 - beta1^t and c2 = 1 - beta2^t, which
    are the paper's bias corrections, the step is the same:

        (m / c1) / (sqrt(v / c2) + eps)  =  k M / (sqrt(V) + eps sqrt(c2 / (1 - beta2))),
        k = (1 - beta1) / c1 sqrt(c2 / (1 - beta2)).

    Examples
    --------
    >>> import numpy as np
    >>> params, g, zero = {"W": np.array([1.0, 1.0])}, np.array([3.0, -0.01]), np.zeros(2)
    >>> expected, m, v = plain_adam(params["W"], g, zero, zero, 1, lr=0.1)
    >>> Adam(params, lr=0.1)({"W": g})
    >>> np.allclose(params["W"], expected)
    True
    """

    memories = 2

    def __init__(self, tree: Tree, lr: float, weight_decay: float = 0.0, decoupled: bool = False,
                 beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8):
        super().__init__(tree, lr, weight_decay, decoupled)
        self.beta1 = number("beta1", beta1, "non-negative", below=1)
        self.beta2 = number("beta2", beta2, "non-negative", below=1)
        self.eps = number("eps", eps, "non-negative")

    def block_update(self, step: int) -> Callable[..., None]:
        """Return the update of a block, as `Optimizer.block_update` says."""
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


# by name: what a help text says of the optimiser, and what makes it
OPTIMIZERS: dict[str, tuple[str, Callable[..., Optimizer]]] = {
    "sgd": ("gradient descent", SGD),
    "momentum": ("momentum (heavy ball), 0.9", Momentum),
    "nesterov": ("Nesterov momentum, 0.9", partial(Momentum, nesterov=True)),
    "adam": ("Adam; weight decay coupled", Adam),
    "adamw": ("Adam; weight decay decoupled", partial(Adam, decoupled=True)),
}


def constant(progress: float) -> float:
    """Return 1, whatever the progress is.

    Parameters
    ----------
    progress : float
        How much of the training is done, from 0 to 1.

    Returns
    -------
    float
        What the learning rate is multiplied by.

    Examples
    --------
    >>> constant(0.5)
    1.0
    """
    return 1.0


def step(progress: float) -> float:
    """Return a factor that falls to a quarter at 50, 75, 89 and 94 % of the training.

    Parameters
    ----------
    progress : float
        How much of the training is done, from 0 to 1.

    Returns
    -------
    float
        What the learning rate is multiplied by.

    Examples
    --------
    >>> step(0.49) == 1, step(0.5), step(0.75)
    (True, 0.25, 0.0625)
    """
    return math.prod(0.25 for mark in (0.50, 0.75, 0.89, 0.94) if progress >= mark)


def cosine(progress: float) -> float:
    """Return a factor that falls from 1 to 0 along half a period of a cosine.

    Parameters
    ----------
    progress : float
        How much of the training is done, from 0 to 1.

    Returns
    -------
    float
        What the learning rate is multiplied by.

    Examples
    --------
    >>> cosine(0.0), round(cosine(0.5), 9), cosine(1.0)
    (1.0, 0.5, 0.0)
    """
    return (1 + math.cos(math.pi * progress)) / 2


# by name: the factor of the learning rate as a function of the progress, from 0 to 1
SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "step": step, "cosine": cosine}


def bind(name: str, tree: Tree, lr: float, weight_decay: float = 0.0) -> Optimizer:
    """Return a new optimiser, bound to a tree.

    Parameters
    ----------
    name : str
        A key of `OPTIMIZERS`.
    tree : tree of array
        What the optimiser will write into.
    lr : float
        The learning rate; a negative one climbs, as of `Optimizer`.
    weight_decay : float
        As of `Optimizer`; `OPTIMIZERS` says whether it is decoupled.

    Returns
    -------
    Optimizer

    Raises
    ------
    InputError
        If no optimiser has that name, or as of `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W": np.array([1.0, 2.0])}
    >>> bind("sgd", params, lr=0.5)({"W": np.array([1.0, 1.0])})
    >>> params["W"].tolist()
    [0.5, 1.5]
    """
    check_name("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name][1](tree, lr=lr, weight_decay=weight_decay)
