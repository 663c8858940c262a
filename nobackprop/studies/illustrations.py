"""Small experiments, one for each of four claims of the pages of theory, fast enough to follow a slider.

Each runs the library's own rules, optimisers and studies, and returns next to what it measured what the theorem says.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import network, optim
from ..errors import integer, number
from ..feedback import products
from ..layers import Dense
from ..network import Network
from ..rules import LAS
from ..tree import tree_map
from . import forward_alignment_flow as flow
from .pipeline import makespan

STEPS = 40
LARGEST = 1e12  # where a curve that grows without end is cut
MOMENTUM = 0.9  # that of `optim.bind`


def module_sign(rate: float, seed: int = 0) -> dict[str, Any]:
    """Follow a LAS module with the sign of a descent, and with the sign that equation (21) is printed with.

    Parameters
    ----------
    rate : float
        The rate eta of the module, as a share of the bound 2 / lambda_max(S).
    seed : int
        The seed of network and inputs.

    Returns
    -------
    dict
        "descends" and "printed": the norm of D_k = B - P, as a share of its start, for each step k, as measured on the
        rule; "said_descends" and "said_printed": that of D_0 (I - eta S)^k and of D_0 (I + eta S)^k; "eta" and "bound".

    Notes
    -----
    docs/theory/las.md, Theorem S1.  The weights stand still, as in the theorem.

    Examples
    --------
    >>> found = module_sign(0.5)
    >>> found["descends"][-1] < 1 < found["printed"][-1]
    True
    """
    rate = number("rate", rate)
    rng = np.random.default_rng(seed)
    net, rule = Network((Dense(4), Dense(4), Dense(3)), "squared"), LAS()  # the biases are 0 at the start, and stay
    x = rng.standard_normal((64, 4)) * [1.6, 1.0, 0.7, 0.5]
    params, shapes = network.init(net, rng, (4,))
    params = tree_map(lambda array: array.astype("float64"), params)
    P, state, y = products(params)[0], rule.init(rng, net, params, shapes), np.zeros((len(x), 3))
    tape = rule.forward(net, params, state, x)
    S = tape.h[1].T @ tape.h[1] / len(x)
    bound = 2 / float(np.linalg.eigvalsh(S)[-1])
    eta, found = rate * bound, {}
    start = float(np.linalg.norm(state[0] - P))
    for name, lr in (("descends", eta), ("printed", -eta)):
        B = [state[0].copy()]
        step, course = optim.bind("sgd", B, lr), [1.0]
        for _ in range(STEPS):
            step(rule.align(net, params, B, tape, y, rng))
            course.append(float(np.linalg.norm(B[0] - P)) / start)
        powers = [np.linalg.matrix_power(np.eye(4) - lr * S, k) for k in range(STEPS + 1)]
        found[name] = _cut(course)
        found[f"said_{name}"] = _cut([float(np.linalg.norm((state[0] - P) @ power)) / start for power in powers])
    return {**found, "eta": eta, "bound": bound}


def conserved(eta: float, seed: int = 0) -> dict[str, Any]:
    """Follow two linear layers under forward alignment, and what its flow conserves.

    Parameters
    ----------
    eta : float
        The size of a step: the flow is what remains if it goes to 0.
    seed : int
        The seed of the task and of the first weights.

    Returns
    -------
    dict
        For each of the times "t", which end at 3: "loss", as a share of its start; "K", the distance of K from its
        start as a share of the start's norm, and "weights", that of both layers.  And "safe", the rate up to which
        Theorem 2 promises descent.

    Notes
    -----
    docs/theory/forward-alignment.md, Lemma 1 and Theorem 2.

    Examples
    --------
    >>> found = conserved(0.001)
    >>> found["loss"][-1] < 0.1, found["K"][-1] < 0.01 < 0.5 < found["weights"][-1]
    (True, True)
    """
    eta = number("eta", eta)
    rng = np.random.default_rng(seed)
    task = flow.Task(rng.standard_normal((3, 3)), rng.standard_normal((5, 3)))
    W1, W2 = 0.4 * rng.standard_normal((5, 3)), 0.4 * rng.standard_normal((3, 5))
    first = flow.K(task, W1, W2), flow.loss(task, W1, W2), (W1.copy(), W2.copy())
    safe, steps = flow.safe_rate(task, W1, W2), max(1, round(3 / eta))
    course: dict[str, list[float]] = {"t": [], "loss": [], "K": [], "weights": []}
    for k in range(steps + 1):
        if k % max(1, steps // 60) == 0:
            moved = sum(float(((w - v) ** 2).sum()) for w, v in zip((W1, W2), first[2]))
            values = {"t": k * eta, "loss": flow.loss(task, W1, W2) / first[1],
                      "K": float(np.linalg.norm(flow.K(task, W1, W2) - first[0]) / np.linalg.norm(first[0])),
                      "weights": (moved / sum(float((v * v).sum()) for v in first[2])) ** 0.5}
            for name, value in values.items():
                course[name].append(value)
        with np.errstate(over="ignore", invalid="ignore"):
            dW1, dW2 = flow.step(task, W1, W2, eta)
            W1, W2 = W1 + dW1, W2 + dW2
        if not np.abs(W1).max() < 1e6:
            break
    return {**{name: _cut(values) for name, values in course.items()}, "safe": float(safe)}


def forgetting(a: float, seed: int = 0) -> dict[str, Any]:
    """Follow the difference of W and B under the same gradients and coupled weight decay, for three optimisers.

    Parameters
    ----------
    a : float
        The learning rate times the weight decay.
    seed : int
        The seed of both starts and of the gradients, which are random.

    Returns
    -------
    dict
        "sgd", "momentum" and "nesterov": the norm of D = W - B, as a share of its start, after each step; "said", what
        Theorem 5 and Theorem K2 say of the three; and "bounds", below which it goes to 0.

    Notes
    -----
    docs/theory/kolen-pollack.md.  The momentum is 0.9, that of `optim.bind`.

    Examples
    --------
    >>> found = forgetting(2.5)
    >>> [found[name][-1] < 1 for name in ("sgd", "momentum", "nesterov")]
    [False, True, False]
    >>> {name: round(bound, 3) for name, bound in found["bounds"].items()}
    {'sgd': 2.0, 'momentum': 3.8, 'nesterov': 1.357}
    """
    a, mu = number("a", a), MOMENTUM
    lr = 0.1
    bounds = {"sgd": 2.0, "momentum": 2 * (1 + mu), "nesterov": 2 * (1 + mu) / (1 + 2 * mu)}
    recurrences = {"sgd": (1 - a, 0.0, 1 - a), "momentum": (1 + mu - a, mu, 1 - a),
                   "nesterov": ((1 + mu) * (1 - a), mu * (1 - a), 1 - a - mu * a)}
    found: dict[str, Any] = {"said": {}, "bounds": bounds}
    for name, (tau, delta, once) in recurrences.items():
        rng = np.random.default_rng(seed)
        W, B = rng.standard_normal((2, 4, 5))
        both = [optim.bind(name, {"W": array}, lr, a / lr) for array in (W, B)]
        start, course, said = float(np.linalg.norm(W - B)), [1.0], [1.0, once]
        for _ in range(STEPS):
            gradient = {"W": rng.standard_normal(W.shape)}
            for opt in both:
                opt(gradient)
            course.append(float(np.linalg.norm(W - B)) / start)
            said.append(tau * said[-1] - delta * said[-2])
        found[name], found["said"][name] = _cut(course), _cut([abs(value) for value in said[:STEPS + 1]])
    return found


def conveyor(batches: int, costs: Sequence[float]) -> dict[str, Any]:
    """Say when each worker of a pipeline begins and ends each mini-batch, and how long all of it takes.

    Parameters
    ----------
    batches : int
        The number of mini-batches.
    costs : sequence of float
        How long one mini-batch is with each worker.

    Returns
    -------
    dict
        "spans": for each worker a list of [begin, end], one for each mini-batch; "makespan", what
        `pipeline.makespan` says; "alone", the time of one worker that does all of it.

    Notes
    -----
    docs/theory/associated-learning.md and docs/pipeline.md.  A worker begins a mini-batch when the worker before has
    ended it and the worker itself has ended the mini-batch before.

    Examples
    --------
    >>> conveyor(2, [1, 2])
    {'spans': [[[0.0, 1.0], [1.0, 2.0]], [[1.0, 3.0], [3.0, 5.0]]], 'makespan': 5.0, 'alone': 6.0}
    """
    batches = integer("batches", batches, 1)
    costs = [number("cost", cost) for cost in costs]
    spans: list[list[list[float]]] = []
    before = [0.0] * batches  # when each mini-batch comes
    for cost in costs:
        free, mine = 0.0, []
        for ready in before:
            begin = max(ready, free)
            free = begin + cost
            mine.append([begin, free])
        spans.append(mine)
        before = [end for _, end in mine]
    return {"spans": spans, "makespan": float(makespan(batches, costs)),
            "alone": float(makespan(batches, [sum(costs)]))}


def _cut(values: Sequence[float]) -> list[float]:
    """The values up to the first that is too large to be drawn."""
    end = next((i for i, value in enumerate(values) if not value < LARGEST), len(values))
    return [float(value) for value in values[:end]]
