"""How fast LAS may learn in a linear network, so that its modules keep up with the weights.

docs/theory/las.md, Theorem S7, has the statement and the proof, in the same symbols.  A network is given by its weights
W_1, ..., W_L from the input up, without biases.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..errors import InputError


@dataclass(frozen=True)
class TwoRates:
    """The constants of Theorem S7: a list of L begins with W_1, a list of L - 2 with the module on h_1.

    Attributes
    ----------
    lo, hi : list of float, L entries
        Least and largest singular value that W_l can have in the ball |W_l - W_l(0)| <= lo_l; lo_l is also its radius.
    p : list of float, L - 2 entries
        The least singular value that the product W_L ... W_{i+1} can have there.  A module may miss it by half of that.
    m : list of float, L - 2 entries
        The least eigenvalue that E[h_i h_i^T] can have there.
    c : list of float, L - 2 entries
        In a step of size eta at a loss f, the product W_L ... W_{i+1} moves by at most eta c_i sqrt(f).
    g : list of float, L entries
        In a step of size eta at a loss f, W_l moves by at most eta g_l sqrt(f).
    mu : float
        At a loss f the slope of the loss along the rule's step is at least mu f.
    kappa : float
        In a step of size eta at a loss of at most f, the second derivative of the loss is at most eta^2 kappa f.
    loss : float
        The largest loss to start from.
    eta : float
        The largest learning rate of the weights; nan if the network starts from a larger loss than `loss`.
    eta_modules : float
        The largest learning rate of the modules.
    ratio : float
        The least ratio of the modules' learning rate to that of the weights.

    Examples
    --------
    >>> TwoRates([1.0], [3.0], [], [], [], [1.0], 1.0, 2.0, 0.5, 0.1, 0.2, 1.0).mu
    1.0
    """

    lo: list[float]
    hi: list[float]
    p: list[float]
    m: list[float]
    c: list[float]
    g: list[float]
    mu: float
    kappa: float
    loss: float
    eta: float
    eta_modules: float
    ratio: float


def two_rates(W: Sequence[np.ndarray], Sigma: np.ndarray, f: float) -> TwoRates:
    """Return learning rates with which LAS brings the loss of a linear network to 0 and its modules to the products.

    Parameters
    ----------
    W : sequence of numpy.ndarray, shapes (n_l, n_{l-1})
        The weights at the start: at least three matrices, of full row rank.
    Sigma : numpy.ndarray, shape (n_0, n_0)
        The second moment E[x x^T] of the inputs, positive definite.
    f : float
        The loss at the start, half of the mean of |y - y*|^2.

    Returns
    -------
    TwoRates
        The constants of the theorem.

    Raises
    ------
    InputError
        If there are fewer than three layers, if a matrix has no full row rank, or if Sigma is not positive definite.

    Notes
    -----
    docs/theory/las.md, Theorem S7.  The theorem starts from f <= loss and |B_i - W_L ... W_{i+1}|_2 <= p_i / 2.

    Examples
    --------
    >>> import numpy as np
    >>> found = two_rates([np.array([[2.0]])] * 3, np.eye(1), 1e-5)
    >>> found.lo, found.hi, found.p, found.m, found.mu
    ([1.0, 1.0, 1.0], [3.0, 3.0, 3.0], [1.0], [1.0], 1.0)
    >>> 0 < found.eta * found.ratio < found.eta_modules
    True
    """
    L, spectra = len(W), [np.linalg.svd(w, compute_uv=False) for w in W]
    if L < 3:
        raise InputError(f"LAS has modules in networks of at least three layers, got {L}")
    for number, (w, values) in enumerate(zip(W, spectra, strict=True), 1):
        if len(w) > w.shape[1] or values[-1] <= 1e-12 * values[0]:
            raise InputError(f"W_{number} must have full row rank, got shape {w.shape} with singular values {values}")
    least, largest = (float(value) for value in np.linalg.eigvalsh(Sigma)[[0, -1]])
    if least <= 1e-12 * largest:
        raise InputError(f"Sigma must be positive definite, got a least eigenvalue of {least:.3g}")
    lo = [float(values[-1]) / 2 for values in spectra]
    hi = [float(values[0]) + low for values, low in zip(spectra, lo, strict=True)]

    def others(*left_out: int, start: int = 0) -> float:
        return math.prod(hi[j] for j in range(start, L) if j not in left_out)

    p = [math.prod(lo[i + 1:]) for i in range(L)]
    m = [least * math.prod(lo[:i + 1])**2 for i in range(L - 2)]
    mu = p[0]**2 * least
    r = [1 + p[i] / (2 * others(start=i + 1)) for i in range(L - 2)] + [1.0, 1.0]
    g = [r[i] * math.sqrt(2 * largest) * others(i) for i in range(L)]
    c = [sum(g[k] * others(k, start=i + 1) for k in range(i + 1, L)) for i in range(L - 2)]
    kappa = (sum(x * x / y for x, y in zip(g, r, strict=True))**2 / 2
             + 3 * math.sqrt(2 * largest * f) * sum(others(j, k) * g[j] * g[k] for j, k in combinations(range(L), 2)))
    start = min((mu * low / (4 * x))**2 for low, x in zip(lo, g, strict=True))
    ratio = max(2 * c[i] * math.sqrt(f) / (m[i] * p[i]) for i in range(L - 2))
    eta_modules = 1 / (largest * max(math.prod(hi[:i + 1])**2 for i in range(L - 2)))
    eta = min(mu / kappa, eta_modules / ratio if ratio else math.inf)
    return TwoRates(lo, hi, p[:L - 2], m, c, g, mu, kappa, start, eta if f <= start else math.nan, eta_modules, ratio)
