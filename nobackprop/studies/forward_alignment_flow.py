"""Forward Alignment of two linear layers as a continuous flow, and what is known of it.  Woo 2023, section 3.2.

    W_2' = E Sigma C^T,   W_1' = W_2^T E Sigma,   E = T - W_2 W_1,   Sigma = E[x x^T]

The signs are the thesis's: here E is target minus output, and both layers move along it.  docs/theory.md has the
theorems; every function takes the task and a point (W1, W2), and none writes into its arguments.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from ..errors import InputError, unknown

# which W_2 the first layer hears through: the old one, the mean of both, the new one
ORDERS = {"simultaneous": 0.0, "midpoint": 0.5, "sequential": 1.0}


@dataclass(frozen=True)
class Task:
    """What two linear layers shall learn: T (n_o, n_x), with C (n_h, n_x) as their forward path for learning.

    Sigma (n_x, n_x) is the inputs' second moment; without one they are white, as the thesis has them.
    Raises InputError where the shapes do not fit.
    """

    T: np.ndarray
    C: np.ndarray
    Sigma: np.ndarray | None = None

    def __post_init__(self) -> None:
        n_x = self.C.shape[-1]
        if self.T.ndim != 2 or self.C.ndim != 2 or self.T.shape[1] != n_x:
            raise InputError(f"T {self.T.shape} and C {self.C.shape} must be matrices with one column per input")
        if self.Sigma is not None and self.Sigma.shape != (n_x, n_x):
            raise InputError(f"Sigma must be of shape {(n_x, n_x)} for {n_x} inputs, got {self.Sigma.shape}")

    def moved(self, E: np.ndarray) -> np.ndarray:
        """E Sigma."""
        return E if self.Sigma is None else E @ self.Sigma


# Motion

def error(task: Task, W1: np.ndarray, W2: np.ndarray) -> np.ndarray:
    """E (n_o, n_x); delta = E x.  Equation (3.11)."""
    return task.T - W2 @ W1                                                        # ASAP (3.11)


def velocity(task: Task, W1: np.ndarray, W2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(W_1', W_2').  Equations (3.16)-(3.17), with Sigma where it is not I."""
    E = task.moved(error(task, W1, W2))
    return W2.T @ E, E @ task.C.T                                                  # ASAP (3.16)-(3.17)


def step(task: Task, W1: np.ndarray, W2: np.ndarray, eta: float,
         order: str = "simultaneous") -> tuple[np.ndarray, np.ndarray]:
    """(dW_1, dW_2) of one full-batch step.  Equations (3.14)-(3.15).

    In every order both layers hear one E.  Raises InputError for an order that is not in ORDERS.
    """
    if order not in ORDERS:
        raise unknown("order", order, ORDERS)
    E = task.moved(error(task, W1, W2))
    dW2 = eta * E @ task.C.T                                                       # ASAP (3.14)
    return eta * (W2 + ORDERS[order] * dW2).T @ E, dW2                             # ASAP (3.15)


@dataclass(frozen=True)
class Path:
    """Points of a flow: t (S,), W1 (S, n_h, n_x), W2 (S, n_o, n_h)."""

    t: np.ndarray
    W1: np.ndarray
    W2: np.ndarray


def integrate(task: Task, W1: np.ndarray, W2: np.ndarray, times: np.ndarray, rtol: float = 1e-9) -> Path:
    """The flow from (W1, W2) at times[0] = 0, at all `times`, to a relative error of about rtol a step.

    Raises InputError where the times do not begin at 0 and rise, or where the solver gives up.
    """
    times = np.asarray(times, float)
    if times.ndim != 1 or len(times) < 2 or times[0] != 0 or np.any(np.diff(times) <= 0):
        raise InputError("times must begin at 0, rise, and be at least two")
    cut = W1.size

    def points(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return z[..., :cut].reshape(*z.shape[:-1], *W1.shape), z[..., cut:].reshape(*z.shape[:-1], *W2.shape)

    def slope(t: float, z: np.ndarray) -> np.ndarray:
        return np.concatenate([v.ravel() for v in velocity(task, *points(z))])

    start = np.concatenate([W1.ravel(), W2.ravel()])
    found = solve_ivp(slope, (0.0, times[-1]), start, "DOP853", times, rtol=rtol, atol=1e-3 * rtol)
    if not found.success:
        raise InputError(f"the flow could not be followed to t = {times[-1]:g}: {found.message}")
    return Path(times, *points(found.y.T))


# Quantities

def K(task: Task, W1: np.ndarray, W2: np.ndarray) -> np.ndarray:
    """(n_h, n_h): the flow conserves it, whatever Sigma and C are.  What equation (3.19) should say."""
    S = W1 @ task.C.T
    return S + S.T - W2.T @ W2                                                     # ASAP (3.19)


def r(task: Task, W1: np.ndarray, W2: np.ndarray) -> np.ndarray:
    """(n_h, n_h): what the printed (3.19) takes for a constant; it is one in special cases alone."""
    return W1 @ task.C.T - 0.5 * W2.T @ W2


def H(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """Falls by tr(E Sigma E^T) as time goes by, if C has full column rank; the theorem rests on it."""
    return float(0.5 * (W1**2).sum() - (task.T @ np.linalg.pinv(task.C) * W2).sum())


def M(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """|E C^T|^2, the thesis's function.  Equation (3.20); printed without the second transpose."""
    return float(((error(task, W1, W2) @ task.C.T)**2).sum())                      # ASAP (3.20)


def dM(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """M' on white inputs.  Equation (3.21), whose printed form lacks the term with K."""
    Z = error(task, W1, W2) @ task.C.T
    twisted = float((Z @ K(task, W1, W2) * Z).sum())
    return float(-((Z @ W2.T)**2).sum() - 2 * ((W2.T @ Z)**2).sum()) - twisted     # ASAP (3.21)


def u(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """|W_2|^2."""
    return float((W2**2).sum())


def loss(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """tr(E Sigma E^T), the mean of |y* - y|^2."""
    E = error(task, W1, W2)
    return float((task.moved(E) * E).sum())


# From zero weights, on white inputs

def mode(mu: np.ndarray, t: float) -> np.ndarray:
    """p(t) of p' = 1 - mu p^3 / 2, p(0) = 0, for every mu >= 0.

    With q = p (mu/2)^(1/3) and s = t (mu/2)^(1/3) it is q' = 1 - q^3, of which s is known as a function of q; Newton's
    method inverts that in w = -log(1 - q), where it is concave, so that it comes from below and never overshoots.
    """
    rate = np.cbrt(np.asarray(mu, float) / 2)
    s = rate * t
    w, q = s, -np.expm1(-s)
    for _ in range(40):
        q = -np.expm1(-w)
        turned = (np.arctan((2 * q + 1) / math.sqrt(3)) - math.pi / 6) / math.sqrt(3)
        w = w + (s - (w / 3 + np.log1p(q + q * q) / 6 + turned)) * (1 + q + q * q)
    # that difference of angles loses its digits where s is small
    q = np.where(s < 1e-3, s - s**4 / 4, q)
    return np.where(rate > 0, q / np.where(rate > 0, rate, 1), t)


def from_zero(task: Task, t: float) -> tuple[np.ndarray, np.ndarray]:
    """(W_1, W_2) at time t where both were 0 at time 0: in closed form, for any C.

    With T C^T = U diag(s) V^T it is W_2 = U diag(s p) V^T and W_1 = V diag(s p^2 / 2) U^T T, p being mode(s^2, t).
    Raises InputError where the inputs are not white.
    """
    if task.Sigma is not None:
        raise InputError("the closed form is for white inputs: give no Sigma")
    U, s, Vt = np.linalg.svd(task.T @ task.C.T, full_matrices=False)
    p = mode(s**2, t)
    return Vt.T * (s * p**2 / 2) @ U.T @ task.T, U * (s * p) @ Vt


# Bounds that need no flow

def bound(task: Task, W1: np.ndarray, W2: np.ndarray, eta: float = 0.0) -> float:
    """What u never exceeds from this point on: under the flow, or under full-batch steps of size eta.

    The steps must also satisfy eta lambda_max(Sigma) bound <= 1, as those of safe_rate do.
    Raises InputError where C has no full column rank, without which no such bound is known.
    """
    if np.linalg.matrix_rank(task.C) < task.C.shape[1]:
        raise InputError(f"C {task.C.shape} has rank {np.linalg.matrix_rank(task.C)}, expected {task.C.shape[1]}: "
                         "one for every input")
    C, tau = float(np.linalg.norm(task.C)), float(np.linalg.norm(task.T @ np.linalg.pinv(task.C)))
    start, trace = H(task, W1, W2), float(np.trace(K(task, W1, W2)))
    pace = 2 * eta * largest(task) * float(np.linalg.norm(task.C, 2))**2

    def above(v: float) -> float:
        room = max(0.0, start + tau * math.sqrt(v))
        return 2 * C * math.sqrt(2 * room) - trace + pace * room

    # above is concave and u <= above(u), so a larger v with above(v) < v is beyond the last v with v <= above(v);
    # from there this falls to that one, and every point on the way is a bound
    v = 2 * max(1.0, u(task, W1, W2))
    while above(v) >= v:
        v *= 2
    for _ in range(200):
        v = max(above(v), 0.0)
    return v


def safe_rate(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """A step size under which full-batch steps from this point are proven to bring E to 0.

    Raises InputError where C has no full column rank.
    """
    eta = 1 / (largest(task) * max(bound(task, W1, W2), 1e-12))
    while eta * largest(task) * bound(task, W1, W2, eta) > 1:
        eta /= 2
    return eta


def largest(task: Task) -> float:
    """The largest eigenvalue of Sigma."""
    return 1.0 if task.Sigma is None else float(np.linalg.eigvalsh(task.Sigma)[-1])
