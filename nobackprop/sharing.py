"""Activation sharing: which layer learns from whose input, as data, and how an activity is made to fit there.

A plan has an entry for every layer with weights, counted along the main path from 0: the layer whose input it
learns from, itself where that is its own.  Woo 2023, chapter 4; h_l, the papers' output of layer l (from 1), is the
input of the layer counted l here.
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
    """Algorithm 1 and (4.3)-(4.4): blocks of k layers from the third on share what stood one layer below each."""
    return tuple(j if j < 2 else 1 + (j - 2) // k * k for j in range(len(layers)))      # ASAP (4.1)-(4.2)


def text(layers: Sequence[Layer], k: int) -> Plan:
    """The text of section 4.1: blocks of k layers from the second on share the output of the block below.

    The first layer of every block thus learns from its own input; with k = 1 all do.
    """
    return tuple(j if j < 1 else 1 + (j - 1) // k * k for j in range(len(layers)))


def published(layers: Sequence[Layer], k: int) -> Plan:
    """What the thesis's published code shares: as `algorithm`, convolutions only; dense layers keep their own input."""
    return tuple(j if isinstance(layer, Dense) else source
                 for j, (layer, source) in enumerate(zip(layers, algorithm(layers, k), strict=True)))


PLANS: dict[str, Callable[[Sequence[Layer], int], Plan]] = {
    "algorithm": algorithm, "text": text, "published": published}


def plan(net: Network, k: int = 2, name: str = "algorithm") -> Plan:
    """The plan of that name for a network, in blocks of k layers.

    Raises InputError where there is none of that name, or where k is below 1.
    """
    if name not in PLANS:
        raise unknown("sharing plan", name, PLANS)
    if k < 1:
        raise InputError(f"a block of activation sharing has at least 1 layer, got k = {k}")
    return PLANS[name]([leaf for block in net for leaf in block.weighted()], k)


def show(plan: Plan) -> str:
    """A plan in words.

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
    """h (N, ...) as an activity of `shape`; h itself where that is its shape already.

    A vector (N, F) counts as an image of one position.  The thesis leaves open: where the features are no whole number
    of copies, the last copy is cut off; windows are as large as they must be to cover the image and begin as far apart
    as its side is divided.  `random` takes every such position's first pixel and C (F', F) of it, a map's mean for
    a vector.
    Raises InputError where an image would have to grow.
    """
    if h.shape == shape:
        return h
    if h.ndim < len(shape) or any(a < b for a, b in zip(h.shape[1:-1], shape[1:-1])):
        raise InputError(f"an activity of shape {h.shape[1:]} cannot stand for one of {shape[1:]}: "
                         "nothing says what its further positions are")
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
    """The maximum or average over windows that divide h (N, H, W, C) into so many rows and columns."""
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
    """An activity that stands in the place of another of this shape: it is made to fit each time it is asked for."""

    h: Array
    shape: tuple[int, ...]
    how: str
    C: Array | None = None

    def __call__(self) -> Array:
        return match(self.h, self.shape, self.how, self.C)


@dataclass
class Sharing:
    """What stands before each layer with weights, for one forward pass under a plan; `matrices` serve `random`.

    Call it with every layer's input in the order of the pass, as `Keep.before` and `with_presynaptic` do.
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
