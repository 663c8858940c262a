"""Hypothesis strategies named by the index letters of what they draw, valid by construction.

N batch, L any leading axes, F features out, K features in, C classes.  Integers in floats: sums and products
of small integers are exact in every precision, so that identities hold with == and need no tolerance.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

Draw = Callable[[st.SearchStrategy[Any]], Any]

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 6)
precisions = st.sampled_from(["float32", "float64"])
# a side of 0 and no leading axis at all are shapes, too
L = st.lists(st.integers(0, 3), max_size=3).map(tuple)


def integers(shape: tuple[int, ...], dtype: str = "float64") -> st.SearchStrategy[np.ndarray]:
    """Integers from -4 to 4 in floats of any such shape."""
    return arrays(dtype, shape, elements=st.integers(-4, 4))


@st.composite
def FK_LK_LF(draw: Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W (F, K), u (..., K) and delta (..., F), integers in one precision."""
    F, K, lead, dtype = draw(sides), draw(sides), draw(L), draw(precisions)
    return draw(st.tuples(integers((F, K), dtype), integers((*lead, K), dtype), integers((*lead, F), dtype)))


@st.composite
def NF(draw: Draw, low: float = -5, high: float = 5) -> np.ndarray:
    """Reals of which none is 0, where relu has a kink."""
    # multiples of a power of two, so that no example is lost in rounding
    steps = st.integers(round(low * 64), round(high * 64)).filter(bool)
    return draw(arrays("float64", (draw(sides), draw(sides)), elements=steps)) / 64


@st.composite
def NC_NC(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Activations a of the last layer, and targets y* whose rows are probabilities, zeros included."""
    a = draw(NF())
    counts = draw(arrays("int64", a.shape, elements=st.integers(0, 3)))
    counts[np.arange(len(a)), draw(arrays("int64", len(a), elements=st.integers(0, a.shape[1] - 1)))] += 1
    return a, counts / counts.sum(1, keepdims=True)


leaves = st.one_of(
    arrays(st.sampled_from(["float32", "float64", "complex128", "int64", "bool", "U3"]),
           array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    st.none(),
)
names = st.text("Wbagmt_0", min_size=1, max_size=5)
trees = st.recursive(leaves, lambda below: st.lists(below, max_size=3)
                     | st.lists(below, max_size=3).map(tuple)
                     | st.dictionaries(names, below, max_size=3), max_leaves=8)
