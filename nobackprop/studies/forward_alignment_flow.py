"""Forward Alignment of two linear layers as a continuous flow, and what is known of it.

    W_2' = E Sigma C^T,   W_1' = W_2^T E Sigma,   E = T - W_2 W_1,   Sigma = E[x x^T]

The source is Woo 2023, section 3.2, and the signs are those of the thesis: here E is target minus output, and both
layers move along it.  The page
docs/theory/forward-alignment.md has the theorems, in the same symbols.  Every function takes the task and a
point (W1, W2), and none writes into its arguments.
"""
# K, H, M, T, W1 and their like are the symbols of the thesis and of docs/theory/forward-alignment.md
# ruff: noqa: N802
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, brief, number, unknown

# through which W_2 the first layer hears the error: the old one, the mean of both, the new one
ORDERS = {"simultaneous": 0.0, "midpoint": 0.5, "sequential": 1.0}


@dataclass(frozen=True)
class Task:
    """What two linear layers are to learn: the map T, with C as their forward path for learning.

    Attributes
    ----------
    T : numpy.ndarray, shape (n_o, n_x)
        The map from inputs to targets.
    C : numpy.ndarray, shape (n_h, n_x)
        The fixed weights of the second forward path.
    Sigma : numpy.ndarray, shape (n_x, n_x), optional
        The second moment of the inputs, E[x x^T].  None stands for the identity: white inputs, as in the thesis.

    Raises
    ------
    InputError
        If the shapes do not fit, if an entry is not finite, or if Sigma is no second moment: if it is not symmetric, or
        has a negative eigenvalue.

    Examples
    --------
    >>> import numpy as np
    >>> Task(T=np.eye(2), C=np.ones((3, 2))).Sigma is None
    True
    """

    T: np.ndarray
    C: np.ndarray
    Sigma: np.ndarray | None = None

    def __post_init__(self) -> None:
        n_x = self.C.shape[-1] if self.C.ndim else 0
        if self.T.ndim != 2 or self.C.ndim != 2 or self.T.shape[1] != n_x or not n_x:
            raise InputError(f"T {self.T.shape} and C {self.C.shape} must be matrices with one column per input")
        if self.Sigma is not None and self.Sigma.shape != (n_x, n_x):
            raise InputError(f"Sigma must be of shape {(n_x, n_x)} for {n_x} inputs, got {self.Sigma.shape}")
        for name, matrix in (("T", self.T), ("C", self.C), ("Sigma", self.Sigma)):
            if matrix is not None and not np.isfinite(matrix).all():
                raise InputError(f"{name} must be finite")
        if self.Sigma is not None:
            # what rounding may leave of a product such as x.T @ x
            slack = 2**12 * float(np.finfo(np.result_type(self.Sigma, np.float16)).eps * np.abs(self.Sigma).max())
            if np.abs(self.Sigma - self.Sigma.T).max() > slack:
                raise InputError("Sigma must be symmetric: it is a second moment, E[x x^T]")
            if (least := float(np.linalg.eigvalsh(self.Sigma)[0])) < -slack:
                raise InputError(f"Sigma must have no negative eigenvalue: it is a second moment, got {least:g}")

    def moved(self, E: np.ndarray) -> np.ndarray:
        """Return E Sigma, shape (n_o, n_x), for an error E of that shape; E itself if the inputs are white."""
        return E if self.Sigma is None else E @ self.Sigma


# Motion

def error(task: Task, W1: np.ndarray, W2: np.ndarray) -> np.ndarray:
    """Return what the two layers still lack of the map.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.

    Returns
    -------
    numpy.ndarray, shape (n_o, n_x)
        E = T - W_2 W_1; for one input x, delta = E x.

    Notes
    -----
    Woo 2023, (3.11).

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> error(task, W1, W2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    E: np.ndarray = task.T - W2 @ W1                                               # ASAP (3.11)
    return E


def velocity(task: Task, W1: np.ndarray, W2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the time derivatives of both layers under the flow.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.

    Returns
    -------
    tuple of numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        (W_1', W_2').

    Notes
    -----
    Woo 2023, (3.16)-(3.17), with a factor Sigma if the inputs are not white.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> velocity(task, W1, W2)[1].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    E = task.moved(error(task, W1, W2))
    return W2.T @ E, E @ task.C.T                                                  # ASAP (3.16)-(3.17)


def step(task: Task, W1: np.ndarray, W2: np.ndarray, eta: float,
         order: str = "simultaneous") -> tuple[np.ndarray, np.ndarray]:
    """Return the changes of both layers in one full-batch step.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.
    eta : float
        The learning rate.
    order : str
        Through which W_2 the first layer hears the error: 'simultaneous' (the old one), 'sequential' (the new one) or
        'midpoint' (the mean of both).

    Returns
    -------
    tuple of numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        (dW_1, dW_2).

    Raises
    ------
    InputError
        If the order is not one of ORDERS.

    Notes
    -----
    Woo 2023, (3.14)-(3.15), with a factor Sigma if the inputs are not white.  In every order both layers hear the same
    E.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> [float(change.sum()) for change in step(task, W1, W2, eta=0.5, order="sequential")]
    [0.5, 1.0]
    """
    if order not in ORDERS:
        raise unknown("order", order, ORDERS)
    E = task.moved(error(task, W1, W2))
    dW2 = eta * E @ task.C.T                                                       # ASAP (3.14)
    return eta * (W2 + ORDERS[order] * dW2).T @ E, dW2                             # ASAP (3.15)


@dataclass(frozen=True)
class Path:
    """Points of a flow, one for each time.

    Attributes
    ----------
    t : numpy.ndarray, shape (S,)
        The times.
    W1 : numpy.ndarray, shape (S, n_h, n_x)
        The first layer at these times.
    W2 : numpy.ndarray, shape (S, n_o, n_h)
        The second layer at these times.

    Examples
    --------
    >>> import numpy as np
    >>> Path(np.zeros(5), np.zeros((5, 3, 2)), np.zeros((5, 4, 3))).W1[-1].shape
    (3, 2)
    """

    t: np.ndarray
    W1: np.ndarray
    W2: np.ndarray


def integrate(task: Task, W1: np.ndarray, W2: np.ndarray, times: np.ndarray, rtol: float = 1e-9) -> Path:
    """Follow the flow from a point, and return where it is at each of the times.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.
    times : numpy.ndarray, shape (S,)
        At least two times that begin at 0 and rise; (W1, W2) is the point at time 0.
    rtol : float
        The relative error of one step of the solver, about.

    Returns
    -------
    Path
        The points at `times`.

    Raises
    ------
    InputError
        If the times do not begin at 0 and rise, or if the solver gives up.

    Notes
    -----
    The solver is the Runge-Kutta method of order 8 of SciPy, DOP853.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> path = integrate(task, W1, W2, np.array([0.0, 1.0, 20.0]))
    >>> path.W2.shape, bool(loss(task, path.W1[-1], path.W2[-1]) < 1e-9)
    ((3, 2, 2), True)
    """
    from scipy.integrate import solve_ivp  # imported here, as steps need no SciPy

    times = np.asarray(times, float)
    if times.ndim != 1 or len(times) < 2 or times[0] != 0 or not np.all(np.diff(times) > 0) or times[-1] == math.inf:
        raise InputError("times must begin at 0, rise, be finite, and be at least two")
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
    """Return K = W_1 C^T + C W_1^T - W_2^T W_2, which the flow conserves for every Sigma and C.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.

    Returns
    -------
    numpy.ndarray, shape (n_h, n_h)
        K, a symmetric matrix.

    Notes
    -----
    This is what (3.19) of Woo 2023 should say; docs/theory/forward-alignment.md, Lemma 1.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> path = integrate(task, np.eye(2), W2, np.array([0.0, 3.0]))
    >>> np.allclose(K(task, path.W1[-1], path.W2[-1]), K(task, np.eye(2), W2), atol=1e-6)
    True
    """
    S = W1 @ task.C.T
    conserved: np.ndarray = S + S.T - W2.T @ W2                                    # ASAP (3.19)
    return conserved


def r(task: Task, W1: np.ndarray, W2: np.ndarray) -> np.ndarray:
    """Return r = W_1 C^T - W_2^T W_2 / 2, which the printed (3.19) takes for a constant.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.

    Returns
    -------
    numpy.ndarray, shape (n_h, n_h)
        r.

    Notes
    -----
    Woo 2023, (3.19).  r is constant only in special cases, such as zero weights at the start and white inputs; `K` is
    always.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> r(task, W1, W2).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    printed: np.ndarray = W1 @ task.C.T - 0.5 * W2.T @ W2
    return printed


def H(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """Return H, which falls at the rate of the loss if C has full column rank.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.

    Returns
    -------
    float
        H = |W_1|^2 / 2 - <T, W_2 (C^+)^T>, whose time derivative is then -tr(E Sigma E^T).

    Notes
    -----
    docs/theory/forward-alignment.md, Lemma 2; the convergence theorem rests on it.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> H(task, 2 * np.eye(2), np.eye(2))
    2.0
    """
    return float(0.5 * (W1**2).sum() - (task.T @ np.linalg.pinv(task.C) * W2).sum())


def M(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """Return M = |E C^T|^2, the function that the proof of the thesis follows.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.

    Returns
    -------
    float
        M.

    Notes
    -----
    Woo 2023, (3.20), which is printed without the second transpose.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> M(task, W1, W2)
    2.0
    """
    return float(((error(task, W1, W2) @ task.C.T)**2).sum())                      # ASAP (3.20)


def dM(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """Return the time derivative of M under the flow, on white inputs.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.

    Returns
    -------
    float
        M'.

    Notes
    -----
    Woo 2023, (3.21), whose printed form lacks the term with K.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> dM(task, W1, np.eye(2))
    -4.0
    """
    Z = error(task, W1, W2) @ task.C.T
    twisted = float((Z @ K(task, W1, W2) * Z).sum())
    return float(-((Z @ W2.T)**2).sum() - 2 * ((W2.T @ Z)**2).sum()) - twisted     # ASAP (3.21)


def u(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """Return the squared norm of the second layer.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.

    Returns
    -------
    float
        u = |W_2|^2.

    Notes
    -----
    docs/theory/forward-alignment.md bounds it, see `bound`.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> u(task, W1, np.eye(2))
    2.0
    """
    return float((W2**2).sum())


def loss(task: Task, W1: np.ndarray, W2: np.ndarray) -> float:
    """Return the loss of the two layers.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.

    Returns
    -------
    float
        tr(E Sigma E^T), the mean of |y* - y|^2.

    Notes
    -----
    Called f in docs/theory/forward-alignment.md.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> loss(task, W1, W2)
    2.0
    """
    E = error(task, W1, W2)
    return float((task.moved(E) * E).sum())


# From zero weights, on white inputs

def mode(mu: np.ndarray | float, t: float) -> np.ndarray:
    """Return p(t), the solution of p' = 1 - mu p^3 / 2 with p(0) = 0.

    Parameters
    ----------
    mu : numpy.ndarray, shape (...), or float
        Numbers of at least 0.
    t : float
        The time, at least 0; it may be infinite, and then p is the limit, infinite for mu = 0.

    Returns
    -------
    numpy.ndarray, shape (...)
        p(t) for each mu.

    Raises
    ------
    InputError
        If t or a mu is negative or no number, or if a mu is infinite.

    Notes
    -----
    docs/theory/forward-alignment.md, Theorem 3.
    With q = p (mu/2)^(1/3) and s = t (mu/2)^(1/3) the equation is q' = 1 - q^3, and s is
    known as a function of q.  Newton's method inverts that function in the variable w = -log(1 - q).  There the
    function is concave, so the method comes from below and never overshoots.

    Examples
    --------
    >>> import numpy as np
    >>> mode(np.array([0.0, 2.0, 16.0]), t=50.0).round(6).tolist()
    [50.0, 1.0, 0.5]
    """
    mu = np.asarray(mu, float)
    if not t >= 0 or not (np.isfinite(mu) & (mu >= 0)).all():
        raise InputError(f"t and mu must be numbers of at least 0, and mu finite, got t = {brief(t)}, mu = {brief(mu)}")
    rate = np.cbrt(mu / 2)
    with np.errstate(over="ignore", invalid="ignore"):
        # from s = 20 on, 1 - q is less than the last digit
        s = np.where(rate > 0, np.minimum(rate * t, 20), 0)
    w, q = s, -np.expm1(-s)
    for _ in range(40):
        q = -np.expm1(-w)
        turned = (np.arctan((2 * q + 1) / math.sqrt(3)) - math.pi / 6) / math.sqrt(3)
        w = w + (s - (w / 3 + np.log1p(q + q * q) / 6 + turned)) * (1 + q + q * q)
    # the difference of angles loses its digits if s is small
    q = np.where(s < 1e-3, s - s**4 / 4, q)
    return np.where(rate > 0, q / np.where(rate > 0, rate, 1), t)


def from_zero(task: Task, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights at time t if both layers were 0 at time 0, in closed form.

    Parameters
    ----------
    task : Task
        What is to be learnt, from white inputs; C may be any matrix.
    t : float
        The time, at least 0 and finite: a mode that learns nothing grows with t for ever.

    Returns
    -------
    tuple of numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        (W_1, W_2).

    Raises
    ------
    InputError
        If the inputs are not white, or if t is no such number.

    Notes
    -----
    docs/theory/forward-alignment.md, Theorem 3.  With T C^T = U diag(s) V^T the weights are W_2 = U diag(s p) V^T and
    W_1 = V diag(s p^2 / 2) U^T T, where p is mode(s^2, t).

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = from_zero(task, t=50.0)
    >>> (W2 @ W1).round(6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if task.Sigma is not None:
        raise InputError("the closed form is for white inputs: give no Sigma")
    U, s, Vt = np.linalg.svd(task.T @ task.C.T, full_matrices=False)
    p = mode(s**2, number("t", t, "non-negative"))
    return Vt.T * (s * p**2 / 2) @ U.T @ task.T, U * (s * p) @ Vt


# Bounds that need no flow

def bound(task: Task, W1: np.ndarray, W2: np.ndarray, eta: float = 0.0, s: float | None = None) -> float:
    """Return a bound that u never exceeds from this point on, without following the flow.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.
    eta : float
        The learning rate of the steps; 0 stands for the flow.
    s : float, optional
        The largest eigenvalue of the second moment of any mini-batch.  None stands for that of Sigma: full batches.

    Returns
    -------
    float
        The bound: under the flow if `eta` is 0, else under steps of size eta.

    Raises
    ------
    InputError
        If C has no full column rank; without it no such bound is known.  If a weight is not finite, if eta or s is no
        number of at least 0, or if the bound is larger than every number.

    Notes
    -----
    docs/theory/forward-alignment.md, Theorems 1, 2 and 2b.  The steps must also satisfy eta s bound <= 1; those of
    `safe_rate` do.  Nothing but s has to be known of the batches, if the targets of all are T x.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> path = integrate(task, W1, W2, np.array([0.0, 1.0, 20.0]))
    >>> max(u(task, W1, W2) for W1, W2 in zip(path.W1, path.W2)) < bound(task, W1, W2)
    True
    """
    if np.linalg.matrix_rank(task.C) < task.C.shape[1]:
        raise InputError(f"C {task.C.shape} has rank {np.linalg.matrix_rank(task.C)}, expected {task.C.shape[1]}: "
                         "one for every input")
    if not all(np.isfinite(w).all() for w in (W1, W2)):
        raise InputError("the weights must be finite")
    C, tau = float(np.linalg.norm(task.C)), float(np.linalg.norm(task.T @ np.linalg.pinv(task.C)))
    with np.errstate(over="ignore", invalid="ignore"):
        start, trace, v = H(task, W1, W2), float(np.trace(K(task, W1, W2))), 2 * max(1.0, u(task, W1, W2))
    pace = 2 * number("eta", eta, "non-negative") * _fastest(task, s) * float(np.linalg.norm(task.C, 2))**2

    def above(v: float) -> float:
        room = max(0.0, start + tau * math.sqrt(v))
        return 2 * C * math.sqrt(2 * room) - trace + pace * room

    # above is concave and u <= above(u): a larger v with above(v) < v lies beyond the last v with v <= above(v);
    # from there the iteration falls to that last v, and every point on the way is a bound
    while above(v) >= v < math.inf:
        v *= 2
    if not math.isfinite(start + trace + v):
        raise InputError("the weights or eta are too large: the bound is larger than every number")
    for _ in range(200):
        v = max(above(v), 0.0)
    return v


def safe_rate(task: Task, W1: np.ndarray, W2: np.ndarray, s: float | None = None) -> float:
    """Return a learning rate under which steps from this point are proven to bring E to 0.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W1, W2 : numpy.ndarray, shapes (n_h, n_x) and (n_o, n_h)
        The weights.
    s : float, optional
        The largest eigenvalue of the second moment of any mini-batch.  None stands for that of Sigma: full batches.

    Returns
    -------
    float
        The learning rate.

    Raises
    ------
    InputError
        If C has no full column rank, or if s is no number of at least 0.

    Notes
    -----
    docs/theory/forward-alignment.md, Theorem 2, and Theorem 2b for mini-batches, which must together see all inputs
    again and again.  If Sigma is singular, the steps bring the loss to 0, and of E what the inputs see.  If it is 0,
    nothing moves and every rate is safe.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task(T=np.eye(2), C=np.eye(2))
    >>> W1, W2 = np.zeros((2, 2)), np.zeros((2, 2))
    >>> 0 < safe_rate(task, W1, W2, s=2.0) < safe_rate(task, W1, W2) < 1
    True
    """
    s = _fastest(task, s)
    eta = 1 / max(s * bound(task, W1, W2), 1e-12)
    while eta * s * bound(task, W1, W2, eta, s) > 1:
        eta /= 2
    return eta


def _fastest(task: Task, s: float | None) -> float:
    """Return s, or the largest eigenvalue of Sigma if it is None."""
    return largest(task) if s is None else number("s", s, "non-negative")


def largest(task: Task) -> float:
    """Return the largest eigenvalue of Sigma.

    Parameters
    ----------
    task : Task
        What is to be learnt.

    Returns
    -------
    float
        lambda_max(Sigma); 1 if the inputs are white.

    Examples
    --------
    >>> import numpy as np
    >>> largest(Task(np.eye(2), np.eye(2), Sigma=np.diag([3.0, 1.0])))
    3.0
    """
    return 1.0 if task.Sigma is None else max(0.0, float(np.linalg.eigvalsh(task.Sigma)[-1]))
