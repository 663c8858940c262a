"""Activation functions f(a), their derivatives, and the list of them: `ACTIVATIONS`.

A derivative is a function of what the tape keeps for it.  `ActivationFunction.takes` says what that is:

- "output": h = f(a).  The tape has h anyway, because the next layer reads it.
- "sign": only whether h is above 0, which is one bit for each unit.
- "input": a itself, if f'(a) cannot be had from h, because f takes one value in two places (gelu, silu).

To add an activation, write f and f' here and add an entry to `ACTIVATIONS`: docs/extending.md shows all of it.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..backend import Array, array_module, floats

SLOPE = 0.01  # of leaky relu below 0
CUBIC = 0.044715  # of gelu, in its form by tanh

Takes = Literal["input", "output", "sign"]


@dataclass(frozen=True)
class ActivationFunction:
    """An entry of `ACTIVATIONS`: all that the library knows of one activation function.

    Parameters
    ----------
    function : callable
        f: an array a of any shape -> f(a) of the same shape, element by element.
    derivative : callable
        f' as a function of what `takes` says; it returns f'(a) of the same shape.
    takes : {"output", "sign", "input"}
        What `derivative` is called with: f(a), an array of f(a)'s type that is above 0 in the same places, or a.
    gain : float
        The variance of the initial weights below this activation, times their fan-in.
    monotone : bool
        Whether f never falls.  If so, max-pooling before f equals max-pooling after f.
    torch : str or None
        The name of the same function in torch.nn.functional; None if PyTorch needs no function for it.
    torch_options : mapping
        Keyword arguments for PyTorch's function.

    Examples
    --------
    >>> ACTIVATIONS["relu"].takes, ACTIVATIONS["gelu"].takes, ACTIVATIONS["gelu"].monotone
    ('sign', 'input', False)
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    takes: Takes = "output"
    gain: float = 1.0
    monotone: bool = True
    torch: str | None = None
    torch_options: Mapping[str, Any] = field(default_factory=dict)

    def kept(self, a: Array, h: Array) -> Array:
        """Return the one of the input a and the output h = f(a) that the derivative needs."""
        return a if self.takes == "input" else h


def identity(a: Array) -> Array:
    """Return a itself.

    Examples
    --------
    >>> import numpy as np
    >>> identity(np.array([-1.0, 2.0])).tolist()
    [-1.0, 2.0]
    """
    return a


def d_identity(h: Array) -> Array:
    """Return 1 for every element of h.

    Examples
    --------
    >>> import numpy as np
    >>> d_identity(np.array([-1.0, 2.0])).tolist()
    [1.0, 1.0]
    """
    return array_module(h).ones_like(floats(h))


def relu(a: Array) -> Array:
    """Return max(a, 0), element by element.

    Examples
    --------
    >>> import numpy as np
    >>> relu(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    xp, a = array_module(a), floats(a)
    return xp.maximum(a, xp.zeros(a.shape[1:], a.dtype))  # against a number, NumPy takes up to twice as long


def d_relu(h: Array) -> Array:
    """Return the derivative of relu as a mask of bools: True where h is above 0, False elsewhere, also at 0.

    Examples
    --------
    >>> import numpy as np
    >>> d_relu(np.array([0.0, 2.0])).tolist()
    [False, True]
    """
    return h > 0


def pack(h: Array) -> Array:
    """Return, as single bits, where h is above 0: eight units in each byte.

    Parameters
    ----------
    h : array (...)
        Numbers or bools.

    Returns
    -------
    array (ceil(h.size / 8),), uint8
        The bits, the first unit in the highest bit.

    Examples
    --------
    >>> import numpy as np
    >>> pack(np.array([1.0, 0.0, -1.0, 3.0])).tolist()
    [144]
    """
    return array_module(h).packbits(d_relu(h).reshape(-1))


def unpack(bits: Array, shape: tuple[int, ...]) -> Array:
    """Return the mask of `shape`, an array of bools, that `pack` turned into `bits`.

    Parameters
    ----------
    bits : array (ceil(n / 8),), uint8
        What `pack` made of an array of n units.
    shape : tuple of int
        The shape of that array.

    Returns
    -------
    array of `shape`, bool

    Examples
    --------
    >>> import numpy as np
    >>> unpack(pack(np.array([1.0, 0.0, -1.0, 3.0])), (2, 2)).tolist()
    [[True, False], [False, True]]
    """
    return array_module(bits).unpackbits(bits)[:math.prod(shape)].view("bool").reshape(shape)


def tanh(a: Array) -> Array:
    """Return the hyperbolic tangent of a, element by element.

    Examples
    --------
    >>> import numpy as np
    >>> tanh(np.array([0.0, 1.0])).round(3).tolist()
    [0.0, 0.762]
    """
    return array_module(a).tanh(floats(a))


def d_tanh(h: Array) -> Array:
    """Return the derivative of tanh at h = tanh(a): 1 - h^2.

    Examples
    --------
    >>> import numpy as np
    >>> d_tanh(np.array([0.0, 0.5])).tolist()
    [1.0, 0.75]
    """
    h = floats(h)
    return 1 - h * h


def sigmoid(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)), element by element; computed by tanh, which cannot overflow.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid(np.array([-1e4, 0.0, 1e4])).tolist()
    [0.0, 0.5, 1.0]
    """
    return (array_module(a).tanh(floats(a) / 2) + 1) / 2


def d_sigmoid(h: Array) -> Array:
    """Return the derivative of the sigmoid at h = sigmoid(a): h (1 - h).

    Examples
    --------
    >>> import numpy as np
    >>> d_sigmoid(np.array([0.5, 1.0])).tolist()
    [0.25, 0.0]
    """
    h = floats(h)
    return h * (1 - h)


def elu(a: Array) -> Array:
    """Return a where it is above 0, and exp(a) - 1 elsewhere.

    Notes
    -----
    Clevert, Unterthiner, Hochreiter 2016, with alpha = 1.

    Examples
    --------
    >>> import numpy as np
    >>> elu(np.array([-1.0, 0.0, 2.0])).round(3).tolist()
    [-0.632, 0.0, 2.0]
    """
    xp, a = array_module(a), floats(a)
    return xp.where(a > 0, a, xp.expm1(xp.minimum(a, 0)))


def d_elu(h: Array) -> Array:
    """Return the derivative of elu at h = elu(a): 1 where h is above 0, and h + 1 elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> d_elu(np.array([-0.25, 2.0])).tolist()
    [0.75, 1.0]
    """
    return array_module(h).minimum(floats(h), 0) + 1


def leaky_relu(a: Array) -> Array:
    """Return a where it is above 0, and 0.01 a elsewhere.

    Notes
    -----
    Maas, Hannun, Ng 2013.

    Examples
    --------
    >>> import numpy as np
    >>> leaky_relu(np.array([-1.0, 2.0])).tolist()
    [-0.01, 2.0]
    """
    a = floats(a)
    return array_module(a).maximum(a, SLOPE * a)


def d_leaky_relu(h: Array) -> Array:
    """Return the derivative of leaky relu: 1 where h is above 0, and 0.01 elsewhere, also at 0.

    Examples
    --------
    >>> import numpy as np
    >>> d_leaky_relu(np.array([-0.01, 0.0, 2.0])).tolist()
    [0.01, 0.01, 1.0]
    """
    h = floats(h)
    return array_module(h).maximum((h > 0).astype(h.dtype), SLOPE)


def gelu(a: Array) -> Array:
    """Return a / 2 (1 + tanh(sqrt(2 / pi) (a + 0.044715 a^3))): the gelu in its form by tanh.

    Notes
    -----
    Hendrycks and Gimpel 2016.  The gelu itself is a Phi(a); Phi is the distribution function of the normal
    distribution, which is computed by erf.  NumPy has no erf, and SciPy's takes no arrays of CuPy's.  So this is the
    form by tanh that the paper gives.  The two differ by less than 0.0005.

    Examples
    --------
    >>> import numpy as np
    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(3).tolist()
    [-0.159, 0.0, 0.841]
    """
    a = floats(a)
    return a / 2 * (1 + _bend(a))


def d_gelu(a: Array) -> Array:
    """Return the derivative of gelu at its input a.

    Examples
    --------
    >>> import numpy as np
    >>> d_gelu(np.array([-100.0, 0.0, 100.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    a = floats(a)
    t = _bend(a)
    return (1 + t) / 2 + a / 2 * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * CUBIC * a * a)


def _bend(a: Array) -> Array:
    """Return the tanh in gelu."""
    return array_module(a).tanh(math.sqrt(2 / math.pi) * (a + CUBIC * a * a * a))


def silu(a: Array) -> Array:
    """Return a sigmoid(a), element by element; also called swish.

    Notes
    -----
    Elfwing, Uchibe, Doya 2018; Ramachandran, Zoph, Le 2017.

    Examples
    --------
    >>> import numpy as np
    >>> silu(np.array([-1.0, 0.0, 1.0])).round(3).tolist()
    [-0.269, 0.0, 0.731]
    """
    return floats(a) * sigmoid(a)


def d_silu(a: Array) -> Array:
    """Return the derivative of silu at its input a: s (1 + a (1 - s)) with s = sigmoid(a).

    Examples
    --------
    >>> import numpy as np
    >>> d_silu(np.array([-1.0, 0.0, 1e4])).round(3).tolist()
    [0.072, 0.5, 1.0]
    """
    s = sigmoid(a)
    return s * (1 + floats(a) * (1 - s))


def softmax(a: Array) -> Array:
    """Return exp(a) / sum exp(a), the sum being taken over the last axis.

    Parameters
    ----------
    a : array (..., F)

    Returns
    -------
    array (..., F)
        Probabilities: above 0, and 1 in sum over the last axis.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.log([[1.0, 3.0]])).round(6).tolist()
    [[0.25, 0.75]]
    """
    a = floats(a)
    p = array_module(a).exp(a - a.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return p


# He et al. 2015: under relu half of the variance is lost, so weights start with twice as much; with a slope s below 0,
# 2 / (1 + s^2).  The other functions that are near 0 on one side and near a on the other follow relu.
ACTIVATIONS: dict[str, ActivationFunction] = {
    "identity": ActivationFunction(identity, d_identity),
    "relu": ActivationFunction(relu, d_relu, "sign", gain=2.0, torch="relu"),
    "tanh": ActivationFunction(tanh, d_tanh, torch="tanh"),
    "sigmoid": ActivationFunction(sigmoid, d_sigmoid, torch="sigmoid"),
    "elu": ActivationFunction(elu, d_elu, gain=2.0, torch="elu"),
    "leaky_relu": ActivationFunction(leaky_relu, d_leaky_relu, "sign", gain=2 / (1 + SLOPE**2), torch="leaky_relu"),
    "gelu": ActivationFunction(gelu, d_gelu, "input", gain=2.0, monotone=False, torch="gelu",
                               torch_options={"approximate": "tanh"}),
    "silu": ActivationFunction(silu, d_silu, "input", gain=2.0, monotone=False, torch="silu"),
}
