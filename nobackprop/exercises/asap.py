"""The exercises of the notebook on the thesis on ASAP."""
from __future__ import annotations

import numpy as np

from .. import models, network, rules
from ..backend import Array
from ..kernels import linear
from ..network import Network
from ..optim import bind
from ..studies import forward_alignment_flow as flow
from ..studies import memory
from ..tree import Tree, leaves
from .base import Exercise, Given, Mistake

N, F = 6, 4  # square weights: whatever is transposed or exchanged still has the shape that is expected


def _through(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"W": [rng.standard_normal((F, F)) for _ in range(3)], "C": [rng.standard_normal((F, F)) for _ in range(3)],
            "x": rng.standard_normal((N, F)), "e": rng.standard_normal((N, F)) / N}


def _chain(W: list[Array]) -> tuple[Network, Tree]:
    """A linear network with these weights."""
    net = models.mlp((F,), F, (F,) * (len(W) - 1), "identity", "squared")
    params, _ = network.init(net, np.random.default_rng(0), (F,), "float64")
    for new, (_, old) in zip(W, (leaf for leaf in leaves(params) if leaf[0].endswith("W")), strict=True):
        old[...] = new
    return net, params


def _forward_alignment(W: list[Array], C: list[Array], x: Array, e: Array) -> list[Array]:
    net, params = _chain(W)
    rule, tape = rules.FoA(), network.forward(net, params, x)
    state = rule.init(np.random.default_rng(1), net, params, [h.shape[1:] for h in tape.h])
    for new, (_, old) in zip(C, leaves(state), strict=True):
        old[...] = new
    grads = rule.credit(net, params, state, tape, tape.output - N * e).grads
    return [g for path, g in leaves(grads) if path.endswith("W")]


def _two(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"W_1": rng.standard_normal((5, 3)), "W_2": rng.standard_normal((2, 5)), "C": rng.standard_normal((5, 3))}


def _conserved(W_1: Array, W_2: Array, C: Array) -> Array:
    return flow.K(flow.Task(np.zeros((2, 3)), C), W_1, W_2)


def _shared(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"plan": (0, 1, 1, 1, 3, 3), "h": [rng.standard_normal((N, F)) for _ in range(6)],
            "delta": [rng.standard_normal((N, F)) / N for _ in range(7)]}


def _updates(plan: tuple[int, ...], h: list[Array], delta: list[Array]) -> list[Array]:
    return [linear.outer(delta[j + 1], h[plan[j]]) for j in range(1, len(plan))]


def _steps(seed: int) -> Given:
    return {"D": 2.0 + seed, "lr": 0.05, "decay": 1.5, "t": 10 + 5 * seed}


def _after(D: float, lr: float, decay: float, t: int) -> float:
    W, B = [np.array([D])], [np.zeros(1)]  # both get the same updates, and each forgets by itself
    both = [bind("adamw", tree, lr, decay) for tree in (W, B)]
    for step in range(t):
        for opt in both:
            opt([np.array([np.sin(step)])])
    return float((W[0] - B[0])[0])


def _counts(seed: int) -> Given:
    return {"P": 10 + seed, "A": 24, "k": 4}


def _moved(P: int, A: int, k: int) -> int:
    step = memory.accesses(P, A // k, sets=2)
    return step.read + step.written


EXERCISES = (
    Exercise(
        "asap:3.10",
        "Write (3.8)-(3.10) for three linear layers: a list of the gradients of W_1, W_2 and W_3 under Forward "
        "Alignment, from lists of W and C, from the input x and the output error e.",
        """
        def answer(W, C, x, e):
            tilde, delta, grads = [x, x @ C[0].T, x @ C[0].T @ C[1].T], e, []
            for l in (2, 1, 0):
                grads.insert(0, delta.T @ tilde[l])
                delta = delta @ W[l]
            return grads
        """,
        _through, _forward_alignment,
        wrong=(
            Mistake("own activities",
                    "def answer(W, C, x, e):\n"
                    "    h, delta, grads = [x, x @ W[0].T, x @ W[0].T @ W[1].T], e, []\n"
                    "    for l in (2, 1, 0):\n"
                    "        grads.insert(0, delta.T @ h[l])\n"
                    "        delta = delta @ W[l]\n"
                    "    return grads",
                    "This is backpropagation: your updates read h. Those of (3.10) read what came through C."),
            Mistake("feedback alignment",
                    "def answer(W, C, x, e):\n"
                    "    h, delta, grads = [x, x @ W[0].T, x @ W[0].T @ W[1].T], e, []\n"
                    "    for l in (2, 1, 0):\n"
                    "        grads.insert(0, delta.T @ h[l])\n"
                    "        delta = delta @ C[l]\n"
                    "    return grads",
                    "This is feedback alignment: your C carries the error. In (3.8)-(3.10) it carries the activity."),
            Mistake("both paths",
                    "def answer(W, C, x, e):\n"
                    "    h, delta, grads = [x, x @ C[0].T, x @ C[0].T @ C[1].T], e, []\n"
                    "    for l in (2, 1, 0):\n"
                    "        grads.insert(0, delta.T @ h[l])\n"
                    "        delta = delta @ C[l]\n"
                    "    return grads",
                    "You have put C into both paths. By (3.9) the error comes down through W."),
        ),
        hints=("The second path has its own activities: x, x @ C[0].T, and so on.",
               "Each gradient is delta.T @ (the activity below it); then delta @ W goes one layer down."),
        what="gradient", part="layer",
    ),
    Exercise(
        "asap:K",
        "The flow (3.16)-(3.17) conserves a matrix K, which (3.19) as printed misses. Write it, from W_1 (n_h, n_x), "
        "W_2 (n_o, n_h) and C (n_h, n_x).",
        """
        def answer(W_1, W_2, C):
            return W_1 @ C.T + C @ W_1.T - W_2.T @ W_2
        """,
        _two, _conserved,
        wrong=(
            Mistake("r of (3.19)", "def answer(W_1, W_2, C): return W_1 @ C.T - W_2.T @ W_2 / 2",
                    "This is r of (3.19) as printed. It is constant only if W_1 C^T stays symmetric."),
            Mistake("half", "def answer(W_1, W_2, C): return W_1 @ C.T + C @ W_1.T - W_2.T @ W_2 / 2",
                    "The factor 1/2 is too much: the symmetric part W_1 C^T + C W_1^T is twice as large."),
            Mistake("sign", "def answer(W_1, W_2, C): return W_1 @ C.T + C @ W_1.T + W_2.T @ W_2",
                    "By (3.18) W_2^T W_2 grows as W_1 C^T + C W_1^T does, so that their difference is constant."),
        ),
        hints=("(3.18) says that d/dt W_1 C^T is W_2^T times d/dt W_2. Which product has the derivative "
               "W_2^T dW_2 + dW_2^T W_2?",
               "Add the transpose of (3.18) to (3.18): on the right stands the derivative of W_2^T W_2."),
        what="matrix",
    ),
    Exercise(
        "asap:4.4",
        "Write (4.3)-(4.4): a list of the gradients of W_2, ..., W_6 under activation sharing, from a plan (plan[j] "
        "is the number of the activity that W_{j+1} reads) and lists of h_0, h_1, ... and delta_0, delta_1, ....",
        """
        def answer(plan, h, delta):
            return [delta[j + 1].T @ h[plan[j]] for j in range(1, len(plan))]
        """,
        _shared, _updates,
        wrong=(
            Mistake("own input",
                    "def answer(plan, h, delta): return [delta[j + 1].T @ h[j] for j in range(1, len(plan))]",
                    "Your updates read each layer's own input, as backpropagation does. The plan says what is shared."),
            Mistake("delta below",
                    "def answer(plan, h, delta): return [delta[j].T @ h[plan[j]] for j in range(1, len(plan))]",
                    "W_{j+1} leads to layer j + 1, so its update has delta_{j+1}."),
            Mistake("text",
                    "def answer(plan, h, delta):\n"
                    "    return [delta[j + 1].T @ h[min(plan[j] + (plan[j] > 1), j)] for j in range(1, len(plan))]",
                    "You share the output of the block before, as the text under (4.4) says. The equations share what"
                    " stands one layer below."),
        ),
        hints=("An update has two parts: the signal at the layer's output, and an activity. Only the activity changes.",
               "The activity of W_{j+1} is h[plan[j]]."),
        what="gradient", part="place",
    ),
    Exercise(
        "asap:4.5",
        "W and B get the same updates (4.5)-(4.6), and each forgets by a decoupled decay. Write their difference "
        "after t steps, from its start D, the learning rate lr and the decay.",
        """
        def answer(D, lr, decay, t):
            return D * (1 - lr * decay)**t
        """,
        _steps, _after,
        wrong=(
            Mistake("decay alone", "def answer(D, lr, decay, t): return D * (1 - decay)**t",
                    "A step forgets lr times the decay, not the decay itself."),
            Mistake("one step", "def answer(D, lr, decay, t): return D * (1 - t * lr * decay)",
                    "Each step takes a share of what is left, so the factor is a power of t."),
            Mistake("as printed", "def answer(D, lr, decay, t): return D",
                    "This is (4.5) as printed, without decay: then W - B never changes."),
            Mistake("exponential", "def answer(D, lr, decay, t): return D * np.exp(-lr * decay * t)",
                    "The exponential is the limit of short steps. A step multiplies by 1 - lr decay, exactly."),
        ),
        hints=("In W - B the common update cancels, whatever it is.",
               "What is left is the decay: each step multiplies W - B by one and the same factor."),
        what="difference",
    ),
    Exercise(
        "asap:6.2",
        "Count by (6.1)-(6.2) all that a step of ASAP reads and writes: P parameters, A activities without sharing, "
        "one of k stored. Count the feedback weights B as well, which the thesis leaves out: as many as there are of "
        "W.",
        """
        def answer(P, A, k):
            return P + A / k + (P + A / k) + P + 2 * P
        """,
        _counts, _moved,
        wrong=(
            Mistake("B left out", "def answer(P, A, k): return P + A / k + (P + A / k) + P",
                    "This is the thesis's own count. B is read in the backward pass, and written at its end."),
            Mistake("nothing shared", "def answer(P, A, k): return P + A + (P + A) + P + 2 * P",
                    "Of A activities only one in k is stored."),
            Mistake("forward pass alone", "def answer(P, A, k): return P + A / k",
                    "This is the forward pass alone. The backward pass reads parameters and activities again, and "
                    "writes parameters."),
            Mistake("B in both passes", "def answer(P, A, k): return 2 * (P + A / k) + 2 * (P + A / k) + 2 * P",
                    "B is not read on the way up, and there is one set of activities."),
        ),
        hints=("The forward pass reads W and writes activities. What does the backward pass read, and write?",
               "Going down the error needs B, but the new W is computed from the old one: both are read, both are "
               "written."),
        what="count",
    ),
)
