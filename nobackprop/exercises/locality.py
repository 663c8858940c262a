"""The exercises of the notebook on what rules read."""
from __future__ import annotations

from functools import cache

import numpy as np

from .. import models, network
from ..backend import Array
from ..feedback import products, weights, with_feedback
from ..rules import RULES
from ..studies.locality import Locality, nan, table
from ..tree import leaves
from .base import Exercise, Given, Mistake


def _layers(seed: int) -> Given:
    return {"hidden": 3 + seed}


def _spoilt(name: str, hidden: int) -> Array:
    """Whether NaN in W_j (columns) reaches the gradient of W_i (rows): measured."""
    net, rule = models.mlp((5,), 3, (4,) * hidden, "tanh"), RULES[name]
    rng = np.random.default_rng(0)
    params, shapes = network.init(net, rng, (5,), "float64")
    state = rule.init(rng, net, params, shapes)
    tape, y = network.forward(net, params, rng.standard_normal((4, 5))), np.eye(3)[[0, 1, 2, 1]]
    found = np.zeros((hidden, hidden + 1))
    for j in range(hidden + 1):
        ill = [with_feedback(p, nan(weights(p))) if k == j else p for k, p in enumerate(params)]
        grads = rule.credit(net, ill, state, tape, y).grads
        found[:, j] = [any(np.isnan(g).any() for _, g in leaves(grads[i])) for i in range(hidden)]
    return found


def _by_bp(hidden: int) -> Array:
    return _spoilt("bp", hidden)


def _by_las(hidden: int) -> Array:
    return _spoilt("las", hidden)


def _chain(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"W": [rng.standard_normal((4, 4)) for _ in range(4)]}


def _above(W: list[Array]) -> list[Array]:
    return products([{"W": w, "b": np.zeros(4)} for w in W])


SOME = ("bp", "dfa", "drtp", "las", "pred", "ff", "asfp-lc", "softhebb", "activity", "spsa")


@cache
def _measured() -> dict[str, Locality]:
    return table({name: RULES[name] for name in SOME})


def _rows(seed: int) -> Given:
    return {"rows": dict(list(_measured().items())[seed:])}


def _early(rows: dict[str, Locality]) -> int:
    return sum(not (reads.transport or reads.output or reads.above or reads.passes)
               for reads in (row.hidden for row in rows.values()))


EXERCISES = (
    Exercise(
        "locality:7",
        "Under backpropagation (7), NaN is put into W_j. Write the matrix that has 1 where the gradient of the hidden"
        " layer's W_i becomes NaN, and 0 elsewhere: a row for each of the hidden layers i, a column for each of the "
        "hidden + 1 weights j.",
        """
        def answer(hidden):
            return np.triu(np.ones((hidden, hidden + 1)), 1)
        """,
        _layers, _by_bp,
        wrong=(
            Mistake("own weights", "def answer(hidden): return np.triu(np.ones((hidden, hidden + 1)))",
                    "You have marked W_i itself. Its gradient needs the error from above and the input, not W_i."),
            Mistake("below", "def answer(hidden): return np.tril(np.ones((hidden, hidden + 1)))",
                    "You have marked the weights below. The forward pass was recorded before the poison came."),
            Mistake("next weights alone",
                    "def answer(hidden): return np.eye(hidden, hidden + 1, 1)",
                    "You have marked W_{i+1} alone. But delta_{i+1} has itself come through all weights above."),
        ),
        hints=("Which weights stand on the right of (7) if delta_{i+1} is written out, too?",
               "np.triu(..., 1) keeps what lies above the diagonal."),
        what="matrix",
    ),
    Exercise(
        "locality:23",
        "The same for LAS, (23)-(24): which gradients of hidden layers does NaN in W_j reach?",
        """
        def answer(hidden):
            reached = np.zeros((hidden, hidden + 1))
            reached[-1, -1] = 1
            return reached
        """,
        _layers, _by_las,
        wrong=(
            Mistake("nothing", "def answer(hidden): return np.zeros((hidden, hidden + 1))",
                    "One hidden layer has no module of its own: see (23)."),
            Mistake("every layer",
                    "def answer(hidden):\n"
                    "    reached = np.zeros((hidden, hidden + 1))\n"
                    "    reached[:, -1] = 1\n"
                    "    return reached",
                    "You have every layer hear W_L. By (24) all but the last hear e through their own module."),
            Mistake("as bp", "def answer(hidden): return np.triu(np.ones((hidden, hidden + 1)), 1)",
                    "This is backpropagation. Under LAS a layer hears e directly, through its module."),
        ),
        hints=("(24) has no W in it. Which layer does (23) speak of, and which W stands there?",),
        what="matrix",
    ),
    Exercise(
        "locality:29",
        "Write the matrices B of direct feedback that read most: by (29), for each hidden layer i, the product of all"
        " the weights above it. W is the list of W_1, ..., W_L; B_i has the shape of the forward map from h_i to a_L.",
        """
        def answer(W):
            found = []
            for i in range(1, len(W)):
                product = W[i]
                for above in W[i + 1:]:
                    product = above @ product
                found.append(product)
            return found
        """,
        _chain, _above,
        wrong=(
            Mistake("one index too low",
                    "def answer(W):\n"
                    "    found = []\n"
                    "    for i in range(1, len(W)):\n"
                    "        product = W[i - 1]\n"
                    "        for above in W[i:]:\n"
                    "            product = above @ product\n"
                    "        found.append(product)\n"
                    "    return found",
                    "Your product starts one index too low, as in the text around (28): W_i lies below h_i."),
            Mistake("other order",
                    "def answer(W):\n"
                    "    found = []\n"
                    "    for i in range(1, len(W)):\n"
                    "        product = W[i]\n"
                    "        for above in W[i + 1:]:\n"
                    "            product = product @ above\n"
                    "        found.append(product)\n"
                    "    return found",
                    "The order is reversed: h_i goes through W_{i+1} first, so this one stands on the right."),
            Mistake("transposed",
                    "def answer(W):\n"
                    "    found = []\n"
                    "    for i in range(1, len(W)):\n"
                    "        product = W[i]\n"
                    "        for above in W[i + 1:]:\n"
                    "            product = above @ product\n"
                    "        found.append(product.T)\n"
                    "    return found",
                    "This is the transpose, as (29) has it for columns. B has the shape of the forward map."),
        ),
        hints=("Above h_i lie W_{i+1}, ..., W_L, which are W[i], W[i + 1], ... of the list.",
               "The matrix of two maps in a row is the product with the later map on the left."),
        what="product", part="layer",
    ),
    Exercise(
        "locality:early",
        "Count the rules under which every hidden layer could learn during the forward pass: no hidden layer reads "
        "a_L, nor what layers above have recorded, nor the W of another layer, neither by transport nor by a further "
        "pass.",
        """
        def answer(rows):
            return sum(not (row.hidden.output or row.hidden.above or row.hidden.transport or row.hidden.passes)
                       for row in rows.values())
        """,
        _rows, _early,
        wrong=(
            Mistake("transport alone",
                    "def answer(rows): return sum(not row.hidden.transport for row in rows.values())",
                    "You have asked for weight transport alone. Most of these rules still wait for the error."),
            Mistake("error alone", "def answer(rows): return sum(not row.hidden.output for row in rows.values())",
                    "A rule that does not read a_L can still wait for layers above it."),
            Mistake("the others",
                    "def answer(rows): return sum(bool(row.hidden.output or row.hidden.above or row.hidden.transport\n"
                    "                                 or row.hidden.passes) for row in rows.values())",
                    "You have counted the others: those that do read one of these."),
        ),
        hints=("rows[name].hidden has the sets output, above, transport and passes. An empty set is false.",
               "sum(...) counts what is True."),
        what="count",
    ),
)
