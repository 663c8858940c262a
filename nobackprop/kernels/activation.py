"""Activations f(a), and their derivatives as functions of the output h = f(a), so that a tape keeps h alone."""
from __future__ import annotations

import math

from ..backend import Array, array_module, floats


def identity(a: Array) -> Array:
    """a itself."""
    return a


def d_identity(h: Array) -> Array:
    """1."""
    return array_module(h).ones_like(floats(h))


def relu(a: Array) -> Array:
    """max(a, 0)."""
    return array_module(a).maximum(floats(a), 0)


def d_relu(h: Array) -> Array:
    """1 where the unit is on, else 0, also at 0 exactly; as a mask, a byte for each unit."""
    return h > 0


def pack(h: Array) -> Array:
    """Where h (...) is above 0, a bit each, eight in a byte: (ceil(h.size / 8),)."""
    return array_module(h).packbits(d_relu(h).reshape(-1))


def unpack(bits: Array, shape: tuple[int, ...]) -> Array:
    """The mask of `shape` that was packed."""
    return array_module(bits).unpackbits(bits)[:math.prod(shape)].view("bool").reshape(shape)


def tanh(a: Array) -> Array:
    """tanh(a)."""
    return array_module(a).tanh(floats(a))


def d_tanh(h: Array) -> Array:
    """1 - h^2."""
    h = floats(h)
    return 1 - h * h


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(-a)), by tanh, which cannot overflow."""
    return (array_module(a).tanh(floats(a) / 2) + 1) / 2


def d_sigmoid(h: Array) -> Array:
    """h (1 - h)."""
    h = floats(h)
    return h * (1 - h)


def elu(a: Array) -> Array:
    """a where it is positive, else exp(a) - 1."""
    xp, a = array_module(a), floats(a)
    return xp.where(a > 0, a, xp.expm1(xp.minimum(a, 0)))


def d_elu(h: Array) -> Array:
    """1 where h is positive, else h + 1."""
    return array_module(h).minimum(floats(h), 0) + 1


def softmax(a: Array) -> Array:
    """exp(a) / sum exp(a) over the last axis, (..., F) -> (..., F)."""
    a = floats(a)
    p = array_module(a).exp(a - a.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return p


ACTIVATIONS = {
    "identity": (identity, d_identity),
    "relu": (relu, d_relu),
    "tanh": (tanh, d_tanh),
    "sigmoid": (sigmoid, d_sigmoid),
    "elu": (elu, d_elu),
}
