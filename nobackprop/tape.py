"""What a tape keeps of a forward pass: arrays, or small objects that make an array again when they are called.

A tape (`network.Tape`) is the record of one forward pass.  The backward pass reads it.  This module has the rules by
which a tape keeps less than everything: `Keep`.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .backend import Array
from .kernels.activation import Takes, pack, unpack

Kept = Any  # an array; or a function of no arguments that makes one; or None


def materialise(kept: Kept) -> Array:
    """Return the array that is kept, or make the array that the kept object stands for.

    Parameters
    ----------
    kept : array or callable
        An entry of a tape.

    Returns
    -------
    array
        The entry itself if it is an array, else what it returns when it is called.

    Examples
    --------
    >>> import numpy as np
    >>> h = np.array([0.0, 2.0])
    >>> materialise(h) is h, materialise(Mask.of(h)).tolist()
    (True, [0.0, 1.0])
    """
    return kept() if callable(kept) else kept


@dataclass(frozen=True)
class Mask:
    """One bit for each unit of an array: whether the unit was above 0.

    The derivative of relu and the backward pass of Dropout need no more.  Called, a mask makes an array that is 1 in
    those places and 0 elsewhere.

    Parameters
    ----------
    bits : array (ceil(n / 8),), uint8
        The bits, as `kernels.activation.pack` makes them.
    shape : tuple of int
        The shape of the array, of n units.
    as_dtype : dtype
        The type of the array.

    Examples
    --------
    >>> import numpy as np
    >>> mask = Mask.of(np.array([[0.5, -0.5, 2.0]], "float32"))
    >>> mask.bits.nbytes, mask().tolist()
    (1, [[1.0, 0.0, 1.0]])
    """

    bits: Array
    shape: tuple[int, ...]
    as_dtype: Any

    @classmethod
    def of(cls, h: Array) -> Mask:
        """Return the mask of an array h of any shape, numbers or bools."""
        return cls(pack(h), h.shape, h.dtype)

    def __call__(self) -> Array:
        return unpack(self.bits, self.shape).astype(self.as_dtype, copy=False)


@dataclass(frozen=True)
class Keep:
    """What a tape keeps of the four kinds of array that a forward pass leaves; by default all of each.

    Each field is a function: it gets an array and returns what the tape keeps in its place.

    Parameters
    ----------
    before : callable
        before(index, h) is asked about the input h of a layer with weights.  `index` counts these layers along the main
        path of the network, from 0.  The layers of a shortcut have the indices of the body next to it.
    after : callable
        after(takes, kept) is asked about what the derivative of an activation needs.  `takes` says what that is:
        "output", "sign" or "input", see kernels/activation.py.
    within : callable
        within(kept) is asked about what else an adjoint needs, such as the input of batch-norm.
    between : callable
        between(h) is asked about the output of a block.

    Examples
    --------
    >>> import numpy as np
    >>> only_signs = Keep(after=derivative)
    >>> only_signs.after("sign", np.ones((2, 8))).bits.nbytes
    2
    >>> NOTHING.within(np.ones(3)) is None
    True
    """

    before: Callable[[int, Array], Kept] = lambda index, h: h
    after: Callable[[Takes, Array], Kept] = lambda takes, h: h
    within: Callable[[Kept], Kept] = lambda h: h
    between: Callable[[Array], Kept] = lambda h: h


NOTHING = Keep(lambda index, h: None, lambda takes, h: None, lambda h: None, lambda h: None)


def derivative(takes: Takes, h: Array) -> Kept:
    """Return as little of an array as the derivative of an activation needs: a function for `Keep.after`.

    Parameters
    ----------
    takes : {"output", "sign", "input"}
        What the derivative is a function of.
    h : array (...)
        The output or the input of the activation.

    Returns
    -------
    Mask or array
        One bit for each unit if the sign is enough, else h itself.

    Examples
    --------
    >>> import numpy as np
    >>> h = np.ones((4, 8), "float32")
    >>> h.nbytes, derivative("sign", h).bits.nbytes, derivative("output", h) is h
    (128, 4, True)
    """
    return Mask.of(h) if takes == "sign" else h


def generator(seed: int | None) -> np.random.Generator | None:
    """Return the generator that a block draws from in a pass, out of one of the seeds of a tape.

    Parameters
    ----------
    seed : int or None
        An entry of `network.Tape.seeds`.

    Returns
    -------
    numpy.random.Generator or None
        None for None.

    Examples
    --------
    >>> generator(None) is None, bool(generator(7).integers(100) == generator(7).integers(100))
    (True, True)
    """
    return None if seed is None else np.random.default_rng(seed)
