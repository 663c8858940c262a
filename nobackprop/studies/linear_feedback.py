"""Linear networks of any depth whose errors come down through fixed weights, as a flow and in steps.

    W_l' = D_l^T E Sigma Q_{l-1}^T,   E = T - W_L ... W_1,   Q_l = W_l ... W_1,   Sigma = E[x x^T]

D_l is the fixed path from the output to layer l, and D_L = I: under direct feedback alignment it is B_l, and under
feedback alignment the product B_L ... B_{l+1}.  E is target minus output.  The page docs/theory/linear-feedback.md has
the theorems, in the same symbols.  Weights are a sequence W = [W_1, ..., W_L] of at least two matrices, and no function
writes into its arguments.
"""
# K and H are the symbols of docs/theory/linear-feedback.md
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.integrate import solve_ivp

from ..errors import InputError, number

Weights = Sequence[np.ndarray]


@dataclass(frozen=True)
class Task:
    """What a linear network is to learn, and through which fixed weights; made by `dfa` or `fa`.

    Attributes
    ----------
    T : numpy.ndarray, shape (n_L, n_0)
        The map from inputs to targets.
    D : tuple of numpy.ndarray, shapes (n_L, n_l)
        D_1, ..., D_{L-1}: the path of the error to each hidden layer.
    N : tuple of numpy.ndarray, shapes (n_l, n_{l+1})
        N_1, ..., N_{L-1}: matrices for which N_l D_{l+1}^T = D_l^T.
    Sigma : numpy.ndarray, shape (n_0, n_0)
        The second moment of the inputs, E[x x^T].

    Examples
    --------
    >>> import numpy as np
    >>> task = dfa(np.eye(2), [np.ones((2, 3)), np.ones((2, 4))])
    >>> [N.shape for N in task.N]
    [(3, 4), (4, 2)]
    """

    T: np.ndarray
    D: tuple[np.ndarray, ...]
    N: tuple[np.ndarray, ...]
    Sigma: np.ndarray

    @property
    def white(self) -> bool:
        """Whether the inputs are white, which means that Sigma is the identity."""
        return np.array_equal(self.Sigma, np.eye(len(self.Sigma)))


def dfa(T: np.ndarray, B: Weights, Sigma: np.ndarray | None = None) -> Task:
    """Return the task under direct feedback alignment.

    Parameters
    ----------
    T : numpy.ndarray, shape (n_L, n_0)
        The map from inputs to targets.
    B : sequence of numpy.ndarray, shapes (n_L, n_l)
        The feedback matrix of each hidden layer, from the first to the last; the state of the rule `DFA`.
    Sigma : numpy.ndarray, shape (n_0, n_0), optional
        The second moment of the inputs; the identity if it is left out.

    Returns
    -------
    Task
        The task with D_l = B_l and N_l = D_l^T (D_{l+1}^T)^+.

    Raises
    ------
    InputError
        If the shapes do not fit, if an entry is not finite, or if Sigma is not symmetric or has a negative eigenvalue.

    Examples
    --------
    >>> import numpy as np
    >>> dfa(np.eye(2), [np.ones((2, 3))]).D[0].shape
    (2, 3)
    """
    T, Sigma = _checked(T, B, Sigma)
    for b in B:
        if b.ndim != 2 or len(b) != len(T):
            raise InputError(f"each B must be a matrix of {len(T)} rows, one for each output; got shape {b.shape}")
    above = [*B[1:], np.eye(len(T))]
    return Task(T, tuple(B), tuple(b.T @ np.linalg.pinv(up.T) for b, up in zip(B, above, strict=True)), Sigma)


def fa(T: np.ndarray, B: Weights, Sigma: np.ndarray | None = None) -> Task:
    """Return the task under feedback alignment.

    Parameters
    ----------
    T : numpy.ndarray, shape (n_L, n_0)
        The map from inputs to targets.
    B : sequence of numpy.ndarray, shapes (n_l, n_{l-1})
        B_2, ..., B_L, of the shapes of W_2, ..., W_L; the state of the rule `FA` without its first array.
    Sigma : numpy.ndarray, shape (n_0, n_0), optional
        The second moment of the inputs; the identity if it is left out.

    Returns
    -------
    Task
        The task with D_l = B_L ... B_{l+1} and N_l = B_{l+1}^T.

    Raises
    ------
    InputError
        If the shapes do not fit, if an entry is not finite, or if Sigma is not symmetric or has a negative eigenvalue.

    Examples
    --------
    >>> import numpy as np
    >>> task = fa(np.eye(2), [np.ones((4, 3)), np.ones((2, 4))])
    >>> task.D[0].tolist()
    [[4.0, 4.0, 4.0], [4.0, 4.0, 4.0]]
    """
    T, Sigma = _checked(T, B, Sigma)
    D = [np.eye(len(T))]
    for b in reversed(B):
        if b.ndim != 2 or D[0].shape[1] != len(b):
            raise InputError(f"B must be matrices that can be multiplied, the last of {len(T)} rows; got shapes "
                             f"{[b.shape for b in B]}")
        D.insert(0, D[0] @ b)
    return Task(T, tuple(D[:-1]), tuple(b.T for b in B), Sigma)


def _checked(T: np.ndarray, B: Weights, Sigma: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if T.ndim != 2 or not len(B):
        raise InputError(f"expected a matrix T and at least one matrix of feedback, got T {T.shape} and {len(B)}")
    n = T.shape[1]
    S = np.eye(n) if Sigma is None else Sigma
    if S.shape != (n, n):
        raise InputError(f"Sigma must be of shape {(n, n)} for {n} inputs, got {S.shape}")
    for name, arrays in (("T", [T]), ("B", B), ("Sigma", [S])):
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError(f"{name} must be finite")
    if np.abs(S - S.T).max() > 1e-9 * np.abs(S).max() or np.linalg.eigvalsh(S)[0] < -1e-9 * np.abs(S).max():
        raise InputError("Sigma must be symmetric without negative eigenvalues, as every second moment is")
    return T, S


# Motion

def passed(W: Weights) -> list[np.ndarray]:
    """Return Q_0, ..., Q_L: what the first layers compute together.

    Parameters
    ----------
    W : sequence of numpy.ndarray
        The weights.

    Returns
    -------
    list of numpy.ndarray, shapes (n_l, n_0)
        Q_l = W_l ... W_1; Q_0 is the identity.

    Examples
    --------
    >>> import numpy as np
    >>> [Q.item() for Q in passed([np.array([[2.0]]), np.array([[3.0]])])]
    [1.0, 2.0, 6.0]
    """
    Q = [np.eye(W[0].shape[1])]
    for w in W:
        Q.append(w @ Q[-1])
    return Q


def carried(W: Weights) -> list[np.ndarray]:
    """Return P_1, ..., P_L: through which backpropagation would send the error down.

    Parameters
    ----------
    W : sequence of numpy.ndarray
        The weights.

    Returns
    -------
    list of numpy.ndarray, shapes (n_L, n_l)
        P_l = W_L ... W_{l+1}; P_L is the identity.

    Examples
    --------
    >>> import numpy as np
    >>> [P.item() for P in carried([np.array([[2.0]]), np.array([[3.0]])])]
    [3.0, 1.0]
    """
    P = [np.eye(len(W[-1]))]
    for w in reversed(W[1:]):
        P.insert(0, P[0] @ w)
    return P


def error(task: Task, W: Weights) -> np.ndarray:
    """Return what the network still lacks of the map.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W : sequence of numpy.ndarray
        The weights.

    Returns
    -------
    numpy.ndarray, shape (n_L, n_0)
        E = T - W_L ... W_1.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> error(dfa(one, [one, one]), [one / 2, -one, one]).tolist()
    [[1.5]]
    """
    E: np.ndarray = task.T - passed(W)[-1]
    return E


def loss(task: Task, W: Weights) -> float:
    """Return F, twice the loss of the network.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W : sequence of numpy.ndarray
        The weights.

    Returns
    -------
    float
        F = tr(E Sigma E^T), the mean of |y* - y|^2.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> loss(dfa(one, [one, one]), [one / 2, -one, one])
    2.25
    """
    E = error(task, W)
    return float((E @ task.Sigma * E).sum())


def velocity(task: Task, W: Weights) -> list[np.ndarray]:
    """Return the time derivatives of all layers under the flow; times eta, they are the changes of one full-batch step.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W : sequence of numpy.ndarray
        The weights.

    Returns
    -------
    list of numpy.ndarray
        W_l' = D_l^T E Sigma Q_{l-1}^T, in the shapes of W.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> [v.item() for v in velocity(dfa(one, [one, one]), [one / 2, -one, one])]
    [1.5, 0.75, -0.75]
    """
    Q = passed(W)
    G = (task.T - Q[-1]) @ task.Sigma
    return [d.T @ G @ q.T for d, q in zip([*task.D, np.eye(len(G))], Q, strict=False)]


def integrate(task: Task, W: Weights, times: np.ndarray, rtol: float = 1e-9) -> list[list[np.ndarray]]:
    """Follow the flow from a point, and return the weights at each of the times.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W : sequence of numpy.ndarray
        The weights at time 0.
    times : numpy.ndarray, shape (S,)
        At least two finite times that begin at 0 and rise.
    rtol : float
        The relative error of one step of the solver, about.

    Returns
    -------
    list of list of numpy.ndarray
        The weights at `times`.

    Raises
    ------
    InputError
        If the times do not begin at 0 and rise, if one is infinite, or if the solver gives up.

    Notes
    -----
    The solver is SciPy's LSODA, which changes its method if the flow becomes stiff.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> task = dfa(one, [one, one])
    >>> _, last = integrate(task, [one / 2, -one, one], np.array([0.0, 20.0]))
    >>> loss(task, last) < 1e-12
    True
    """
    times = np.asarray(times, float)
    if times.ndim != 1 or len(times) < 2 or times[0] != 0 or not np.all(np.diff(times) > 0) or times[-1] == math.inf:
        raise InputError("times must begin at 0, rise, be finite, and be at least two")
    cuts = np.cumsum([w.size for w in W])[:-1]

    def layers(z: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(w.shape) for part, w in zip(np.split(z, cuts), W, strict=True)]

    def slope(t: float, z: np.ndarray) -> np.ndarray:
        return np.concatenate([v.ravel() for v in velocity(task, layers(z))])

    start = np.concatenate([w.ravel() for w in W])
    found = solve_ivp(slope, (0.0, times[-1]), start, "LSODA", times, rtol=rtol, atol=1e-3 * rtol)
    if not found.success:
        raise InputError(f"the flow could not be followed to t = {times[-1]:g}: {found.message}")
    return [layers(z) for z in found.y.T]


# Quantities

def K(task: Task, W: Weights) -> list[np.ndarray]:
    """Return K_1, ..., K_{L-1}, which the flow conserves.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W : sequence of numpy.ndarray
        The weights.

    Returns
    -------
    list of numpy.ndarray, shapes (n_l, n_l)
        K_l = N_l W_{l+1} + (N_l W_{l+1})^T - W_l W_l^T.

    Notes
    -----
    docs/theory/linear-feedback.md, Lemma L1.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> [k.item() for k in K(dfa(one, [one, one]), [one / 2, -one, one])]
    [-2.25, 1.0]
    """
    S = [n @ w for n, w in zip(task.N, W[1:], strict=True)]
    return [s + s.T - w @ w.T for s, w in zip(S, W, strict=False)]


def H(task: Task, W: Weights) -> float:
    """Return H, which falls at the rate F if D_1 has full row rank.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W : sequence of numpy.ndarray
        The weights.

    Returns
    -------
    float
        H = |W_L|^2 / 2 - <T, (D_1^T)^+ W_1>.

    Notes
    -----
    docs/theory/linear-feedback.md, Lemma L2.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> H(dfa(one, [one, one]), [one / 2, -one, one])
    0.0
    """
    return float(0.5 * (W[-1]**2).sum() - (task.T * (np.linalg.pinv(task.D[0].T) @ W[0])).sum())


# Bounds that need no flow

def bound(task: Task, W: Weights) -> list[float]:
    """Return w_1, ..., w_L: no layer's norm ever exceeds its w, under the flow and under steps of `safe_rate`.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W : sequence of numpy.ndarray
        The weights at the start.

    Returns
    -------
    list of float
        The bounds.

    Raises
    ------
    InputError
        If some D_l has no full row rank; without it no such bound is known.  If a weight is not finite, or if the bound
        is larger than every number.

    Notes
    -----
    docs/theory/linear-feedback.md, Theorems L1 and L2.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> [round(w, 2) for w in bound(dfa(one, [one, one]), [2 * one, 2 * one, 2 * one])]
    [2.37, 2.31, 2.18]
    """
    outputs = len(task.T)
    for i, d in enumerate(task.D, 1):
        if np.linalg.matrix_rank(d) < outputs:
            raise InputError(f"D_{i} {d.shape} has rank {np.linalg.matrix_rank(d)}, expected {outputs}: "
                             "one for each output")
    if not all(np.isfinite(w).all() for w in W):
        raise InputError("the weights must be finite")
    with np.errstate(over="ignore", invalid="ignore"):
        start, tau, traces = H(task, W), _reach(task), [float(np.trace(k)) for k in K(task, W)]
    room = max(0.0, start)

    def chain(v: float) -> list[float]:
        w = [math.sqrt(2 * (room + tau * v))]
        for n, trace in zip(reversed(task.N), reversed(traces), strict=True):
            w.insert(0, math.sqrt(2 * float(np.linalg.norm(n)) * w[0] + max(0.0, -trace) + 1))
        return w

    # the first entry of chain(v) is concave in v, and |W_1| = v does not exceed it: above the one v with
    # v = chain(v)[0] the iteration falls to that v, and every point on the way is a bound
    v = 1.0
    while chain(v)[0] > v:
        v *= 2
    if not math.isfinite(start + sum(traces) + v):
        raise InputError("the weights are too large: the bound is larger than every number")
    for _ in range(60):
        v = chain(v)[0]
    return chain(v)


def safe_rate(task: Task, W: Weights) -> float:
    """Return a learning rate under which full-batch steps from this point are proven to bring E to 0.

    Parameters
    ----------
    task : Task
        What is to be learnt.
    W : sequence of numpy.ndarray
        The weights at the start.

    Returns
    -------
    float
        The learning rate; 1 if Sigma is 0, because nothing moves then.

    Raises
    ------
    InputError
        As `bound`.

    Notes
    -----
    docs/theory/linear-feedback.md, Theorem L2.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> round(safe_rate(dfa(one, [one, one]), [2 * one, 2 * one, 2 * one]), 3)
    0.033
    """
    w, room = bound(task, W), max(0.0, H(task, W))
    below = np.cumprod([1.0, *(v**2 for v in w[:-1])])       # below[l - 1] bounds |Q_{l-1}|^2
    need = [below[-1], *(2 * (room + _reach(task) * w[0]) * np.linalg.norm(d, 2)**2 * q
                         for d, q in zip(task.D, below, strict=False))]
    largest = float(np.linalg.eigvalsh(task.Sigma)[-1]) * float(max(need))
    return 1 / largest if largest > 0 else 1.0


def _reach(task: Task) -> float:
    """Return tau = |D_1^+ T|."""
    return float(np.linalg.norm(np.linalg.pinv(task.D[0]) @ task.T))


# From zero weights

def from_zero(task: Task, t: float) -> list[np.ndarray]:
    """Return the weights at time t if all were 0 at time 0, in closed form.

    Parameters
    ----------
    task : Task
        What is to be learnt, from white inputs, with D_l D_l^T = c_l I for every hidden layer.
    t : float
        The time, at least 0 and finite.

    Returns
    -------
    list of numpy.ndarray
        The weights.

    Raises
    ------
    InputError
        If the inputs are not white, if some D_l D_l^T is no positive multiple of the identity, or if t is no finite
        number of at least 0.

    Notes
    -----
    docs/theory/linear-feedback.md, Theorem L6.  One number for each singular value s of T is integrated, tau' = s - k
    tau^(2^L - 1), and everything else is made of its powers.

    Examples
    --------
    >>> import numpy as np
    >>> W = from_zero(dfa(np.diag([1.0, 2.0]), [np.eye(2), np.eye(2)]), t=50.0)
    >>> (W[2] @ W[1] @ W[0]).round(6).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    if not task.white:
        raise InputError("the closed form is for white inputs: give no Sigma")
    t = number("t", t, "non-negative")
    c = [float(np.trace(d @ d.T)) / len(d) for d in task.D]
    if any(v <= 0 or np.abs(d @ d.T - v * np.eye(len(d))).max() > 1e-9 * v for v, d in zip(c, task.D, strict=True)):
        raise InputError("the closed form needs rows of D_l that are orthogonal and of one norm, in every hidden layer")
    k = [1.0]                                              # R_l = U (k_l tau^(2^l - 1)) V^T
    for i, v in enumerate(c, 1):
        k.append(v * k[-1]**2 / 2**i)
    U, s, Vt = np.linalg.svd(task.T, full_matrices=False)
    power, span = 2**len(k) - 1, (0.0, t)
    tau = solve_ivp(lambda _, tau: s - k[-1] * tau**power, span, 0 * s, "LSODA", rtol=1e-12, atol=1e-14).y[:, -1]
    A = [U * tau @ Vt, *(U * (v * tau**2**i / 2**i) @ U.T for i, v in enumerate(k[:-1], 1))]
    above = [*task.D, np.eye(len(task.T))]
    return [above[0].T @ A[0]] + [d.T @ a @ b for d, a, b in zip(above[1:], A[1:], task.D, strict=True)]


# Near a point without loss

def rates(D: Weights, W: Weights, Sigma: np.ndarray | None = None, Q: Weights | None = None) -> np.ndarray:
    """Return the matrix of R, the linear map by which E moves: E' = -R(E).

    Parameters
    ----------
    D : sequence of numpy.ndarray, shapes (n_L, n_l)
        The path of the error to each layer, the last one included: that of a task and the identity, or `carried(W)`
        for backpropagation.
    W : sequence of numpy.ndarray
        The weights.
    Sigma : numpy.ndarray, shape (n_0, n_0), optional
        The second moment of the inputs; the identity if it is left out.
    Q : sequence of numpy.ndarray, shapes (n_l, n_0), optional
        What each layer learns from, as a map of x, beginning with Q_0; `passed(W)` if it is left out.  Forward
        Alignment has C in the place of Q_1.

    Returns
    -------
    numpy.ndarray, shape (n_L n_0, n_L n_0)
        The matrix of R(X) = sum over l of P_l D_l^T X Sigma Q_{l-1}^T W_{l-1} ... W_1, for X read row by row.

    Notes
    -----
    docs/theory/linear-feedback.md, Theorem L9.  At a point with E = 0 the eigenvalues of the linearised flow are minus
    those of this matrix, and zeros.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> rates([one, one], [-one / 2, -2 * one]).item()
    -1.75
    """
    P, own = carried(W), passed(W)
    S = np.eye(W[0].shape[1]) if Sigma is None else Sigma
    terms = [np.kron(p @ d.T, (S @ q.T @ o).T) for p, d, q, o in zip(P, D, Q or own, own, strict=False)]
    return reduce(np.add, terms)
