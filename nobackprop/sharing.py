"""Activation sharing: which layer learns from whose input, as data, and how an activity is made to fit there.

Woo 2023, chapter 4.  A *plan* has an entry for every layer with weights, counted along the main path from 0: the layer
whose input it learns from, which may be the layer itself.  The papers' h_l, the output of layer l counted from 1, is
the input of the layer that is counted l here.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .backend import Array, array_module
from .errors import InputError, unknown
from .kernels import linear
from .layers import Dense, Layer
from .network import Network
from .tape import Kept

Plan = tuple[int, ...]


# ---------------------------------------------------------------- who borrows from whom


def algorithm(layers: Sequence[Layer], k: int) -> Plan:
    """Return the plan of Algorithm 1 and (4.3)-(4.4): from the third layer on, k layers share one input.

    Parameters
    ----------
    layers : sequence of Layer
        The layers with weights along the main path.
    k : int
        The number of layers in a sharing block.

    Returns
    -------
    tuple of int
        For each layer, the one whose input it learns from.  The k layers of a block share the input of the layer below
        them.

    Examples
    --------
    >>> algorithm([Dense(2)] * 6, 2)
    (0, 1, 1, 1, 3, 3)
    """
    return tuple(j if j < 2 else 1 + (j - 2) // k * k for j in range(len(layers)))      # ASAP (4.1)-(4.2)


def text(layers: Sequence[Layer], k: int) -> Plan:
    """Return the plan of the text of section 4.1: from the second layer on, k layers share one input.

    Parameters
    ----------
    layers : sequence of Layer
        The layers with weights along the main path.
    k : int
        The number of layers in a sharing block.

    Returns
    -------
    tuple of int
        For each layer, the one whose input it learns from: the output of the block below.  The first layer of every
        block learns from its own input; with k = 1 all layers do.

    Examples
    --------
    >>> text([Dense(2)] * 6, 2)
    (0, 1, 1, 3, 3, 5)
    """
    return tuple(j if j < 1 else 1 + (j - 1) // k * k for j in range(len(layers)))


def published(layers: Sequence[Layer], k: int) -> Plan:
    """Return the plan of the thesis's published code: as `algorithm`, but dense layers keep their own input.

    Parameters
    ----------
    layers : sequence of Layer
        The layers with weights along the main path.
    k : int
        The number of layers in a sharing block.

    Returns
    -------
    tuple of int
        For each layer, the one whose input it learns from.

    Examples
    --------
    >>> from nobackprop.layers import Conv
    >>> published([Conv(2, 3)] * 4 + [Dense(2)] * 2, 2)
    (0, 1, 1, 1, 4, 5)
    """
    return tuple(j if isinstance(layer, Dense) else source
                 for j, (layer, source) in enumerate(zip(layers, algorithm(layers, k), strict=True)))


PLANS: dict[str, Callable[[Sequence[Layer], int], Plan]] = {
    "algorithm": algorithm, "text": text, "published": published}


def plan(net: Network, k: int = 2, name: str = "algorithm") -> Plan:
    """Return the plan of a name for a network, in blocks of k layers.

    Parameters
    ----------
    net : Network
    k : int
        The number of layers in a sharing block, at least 1.
    name : {"algorithm", "text", "published"}
        Which reading of the thesis.

    Returns
    -------
    tuple of int
        For each layer with weights, the one whose input it learns from.

    Raises
    ------
    InputError
        If there is no plan of that name, or if k is below 1.

    Examples
    --------
    >>> from nobackprop.models import mlp
    >>> plan(mlp((4,), 3, (8, 8, 8, 8)), k=2)
    (0, 1, 1, 1, 3)
    """
    if name not in PLANS:
        raise unknown("sharing plan", name, PLANS)
    if k < 1:
        raise InputError(f"a block of activation sharing has at least 1 layer, got k = {k}")
    return PLANS[name]([leaf for block in net for leaf in block.weighted()], k)


def show(plan: Plan) -> str:
    """Return a plan in words.

    Parameters
    ----------
    plan : tuple of int

    Returns
    -------
    str
        A line for each layer, counted from 1.

    Examples
    --------
    >>> print(show((0, 1, 1, 1, 3)))
    W_1 learns from h_0, its own input
    W_2 learns from h_1, its own input
    W_3 learns from h_1 in the place of h_2
    W_4 learns from h_1 in the place of h_3
    W_5 learns from h_3 in the place of h_4
    """
    return "\n".join(f"W_{j + 1} learns from h_{source}" + (", its own input" if source == j
                                                          else f" in the place of h_{j}")
                     for j, source in enumerate(plan))


# ---------------------------------------------------------------- how it is made to fit

MATCHES = {"max": "copies side by side, the maximum over positions: method 1 of section 5.1.1",
           "avg": "copies side by side, the average over positions: method 2",
           "random": "fixed random weights at every position: method 3"}


def match(h: Array, shape: tuple[int, ...], how: str = "max", C: Array | None = None) -> Array:
    """Return an activity as one of another shape, so that it can stand in front of another layer's weights.

    Parameters
    ----------
    h : array (N, ...)
        The activity.  A vector (N, F) counts as an image of one position.
    shape : tuple of int
        The shape that is wanted, with the batch axis.
    how : {"max", "avg", "random"}
        Methods 1, 2 and 3 of section 5.1.1, see `MATCHES`.
    C : array (F', F), optional
        For "random", the fixed matrix.

    Returns
    -------
    array of `shape`
        h itself if it has that shape already.

    Raises
    ------
    InputError
        If an image would have to grow.

    Notes
    -----
    The thesis leaves some things open.  Chosen: if the features are no whole number of copies, the last copy is cut
    off.  Windows are as large as they must be to cover the image, and begin as far apart as its side is divided.
    "random" takes the first pixel of each such position, or the mean of a map for a vector, and multiplies it by C.

    Examples
    --------
    >>> import numpy as np
    >>> match(np.array([[1.0, 2.0]]), (1, 5)).tolist()
    [[1.0, 2.0, 1.0, 2.0, 1.0]]
    """
    if h.shape == shape:
        return h
    if h.ndim < len(shape) or any(a < b for a, b in zip(h.shape[1:-1], shape[1:-1])):
        raise InputError(f"an activity of shape {h.shape[1:]} cannot stand for one of {shape[1:]}, which "
                         "has more positions: expected one that is at least as high and as wide")
    if h.ndim > len(shape):
        h = h.mean((1, 2)) if how == "random" else _windows(h, (1, 1), how)[:, 0, 0]
    elif h.shape[1:-1] != shape[1:-1]:
        rows, columns = shape[1:3]
        h = (h[:, ::h.shape[1] // rows, ::h.shape[2] // columns][:, :rows, :columns] if how == "random"
             else _windows(h, (rows, columns), how))
    if C is not None:
        return linear.forward(C, h)
    copies = -(-shape[-1] // h.shape[-1])
    return array_module(h).concatenate([h] * copies, -1)[..., :shape[-1]]


def _windows(h: Array, to: tuple[int, int], how: str) -> Array:
    """Return the maximum or average over windows that divide h (N, H, W, C) into that number of rows and columns."""
    xp = array_module(h)
    for axis, count in ((1, to[0]), (2, to[1])):
        stride = h.shape[axis] // count
        size = h.shape[axis] - (count - 1) * stride
        parts = [h[(slice(None),) * axis + (slice(i, i + (count - 1) * stride + 1, stride),)] for i in range(size)]
        total = parts[0].copy()
        for part in parts[1:]:
            if how == "max":
                xp.maximum(total, part, out=total)
            else:
                total += part
        h = total if how == "max" else total / size
    return h


@dataclass(frozen=True)
class Borrowed:
    """An activity in the place of another one of a given shape; it is made to fit each time it is called.

    Parameters
    ----------
    h : array (N, ...)
        The shared activity, of which the tape holds nothing but a reference.
    shape : tuple of int
        The shape that is wanted.
    how : {"max", "avg", "random"}
    C : array, optional
        See `match`, which does the work.

    Examples
    --------
    >>> import numpy as np
    >>> Borrowed(np.array([[1.0, 2.0]]), (1, 3), "max")().tolist()
    [[1.0, 2.0, 1.0]]
    """

    h: Array
    shape: tuple[int, ...]
    how: str
    C: Array | None = None

    def __call__(self) -> Array:
        return match(self.h, self.shape, self.how, self.C)


@dataclass
class Sharing:
    """What is kept in front of each layer with weights, in one forward pass under a plan.

    Parameters
    ----------
    plan : tuple of int
        For each layer with weights, the one whose input it learns from.
    how : {"max", "avg", "random"}
        How an activity is made to fit, see `match`.
    matrices : sequence of array or None, optional
        For "random", the matrix C of each layer; None for a layer that needs none.
    shared : dict
        The shared activities that the pass has met; empty at the start.

    Notes
    -----
    It is called with the input of every layer in the order of the pass: a function for `Keep.before` and
    `network.with_presynaptic`.

    Examples
    --------
    >>> import numpy as np
    >>> share = Sharing((0, 1, 1))
    >>> inputs = [np.full((1, 2), float(i)) for i in range(3)]
    >>> [kept() if callable(kept) else kept for kept in map(share, range(3), inputs)][2].tolist()
    [[1.0, 1.0]]
    """

    plan: Plan
    how: str = "max"
    matrices: Sequence[Array | None] | None = None
    shared: dict[int, Array] = field(default_factory=dict)

    def __call__(self, index: int, h: Array) -> Kept:
        if index in self.plan:
            self.shared[index] = h
        source = self.plan[index]
        if source == index:
            return h
        return Borrowed(self.shared[source], h.shape, self.how, self.matrices[index] if self.matrices else None)
