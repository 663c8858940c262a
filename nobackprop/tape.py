"""What a tape keeps of a forward pass: arrays, or small things that make an array again when they are called."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .backend import Array
from .kernels.activation import pack, unpack

Kept = Any  # an array, or a function of no arguments that makes one


def materialise(kept: Kept) -> Array:
    """The array that is kept, or that what is kept stands for."""
    return kept() if callable(kept) else kept


@dataclass(frozen=True)
class Mask:
    """Where an array of this shape was above 0, a bit each: all that the derivative of relu asks for."""

    bits: Array
    shape: tuple[int, ...]

    @classmethod
    def of(cls, h: Array) -> Mask:
        """The mask of h (...)."""
        return cls(pack(h), h.shape)

    def __call__(self) -> Array:
        return unpack(self.bits, self.shape)


@dataclass(frozen=True)
class Keep:
    """What a tape is to keep, said of the four kinds of array that a forward pass leaves: all, where nothing is said.

    before(index, h): of the input h of a layer with weights, `index` counting those along the main path from 0;
    a shortcut's layers are counted beside the body's.  behind(name, h): of the output of the activation of that
    name.  within(h): of what else an adjoint asks for, as batch-norm's input.  between(h): of a block's output.
    """

    before: Callable[[int, Array], Kept] = lambda index, h: h
    behind: Callable[[str, Array], Kept] = lambda name, h: h
    within: Callable[[Array], Kept] = lambda h: h
    between: Callable[[Array], Kept] = lambda h: h


ALL = Keep()
NOTHING = Keep(lambda index, h: None, lambda name, h: None, lambda h: None, lambda h: None)


def derivative(name: str, h: Array) -> Kept:
    """Of an activation's output as little as its derivative needs: a bit a unit for relu, else h itself."""
    return Mask.of(h) if name == "relu" else h
