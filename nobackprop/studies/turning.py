"""How weights and feedback weights turn towards each other: the pairs of a rule's state and the weights they stand for.

A feedback matrix B stands for the weights W of its own layer, or, if it brings the error directly from the output, for
the product of all weights above its block.  Lillicrap et al. 2016 saw first that the two come to point the same way.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..backend import to_numpy
from ..errors import InputError
from ..feedback import products
from ..leaf_names import TRANSPORTED, leaf_name
from ..rules import FrSF, Rule
from ..tree import Tree, leaves


class Pair(NamedTuple):
    """A feedback matrix and the matrix that it stands for.

    Parameters
    ----------
    block : int
        The block, counted from 1.
    direct : bool
        Whether B comes from the output, and stands for a product of weights.
    W, B : array, of one shape
        The weights or their product, and the feedback weights.

    Examples
    --------
    >>> Pair(1, False, np.eye(2), np.eye(2)).direct
    False
    """

    block: int
    direct: bool
    W: np.ndarray
    B: np.ndarray


def pairs(rule: Rule, params: Tree, state: Tree) -> list[Pair]:
    """Return the feedback matrices of a rule's state, each with the matrix that it stands for.

    Parameters
    ----------
    rule : Rule
        The rule.
    params : list
        The parameters of each block.
    state : tree
        The state of the rule.

    Returns
    -------
    list of Pair
        From the input up.  Empty if the rule has no such matrices, as backpropagation, or keeps more than weights, as a
        rule that learns a copy of the network.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("circles")
    >>> for rule in ("fa", "dfa", "bp"):
    ...     run = nb.Run(nb.models.build("mlp:4,5", data.shape, data.classes), rule, data)
    ...     [(pair.block, pair.direct, pair.B.shape) for pair in pairs(run.rule, run.params, run.state)]
    [(1, False, (4, 2)), (2, False, (5, 4)), (3, False, (2, 5))]
    [(1, True, (2, 4)), (2, True, (2, 5))]
    []
    """
    if isinstance(rule, FrSF):  # its state is the magnitudes of its feedback weights
        state = rule.signed(params, state)
    params, state = to_numpy(params), to_numpy(state)
    forward, found = dict(leaves(params)), list(leaves(state))
    if any(path in forward and leaf_name(path) not in TRANSPORTED for path, _ in found):
        return []
    try:
        direct = dict(enumerate(products(params)))
    except InputError:  # a network that is no chain of dense layers
        direct = {}
    made = []
    for path, B in found:
        block, *rest = path.split("/")
        if not block.isdigit():
            continue
        same = forward.get("/".join([block, *(part for part in rest if part != "B")]))
        W = same if rest else direct.get(int(block))
        if W is not None and W.shape == B.shape:
            made.append(Pair(int(block) + 1, not rest, W, B))
    return made


def angle(W: np.ndarray, B: np.ndarray) -> float:
    """Return the angle between two matrices of one shape, in degrees.

    Examples
    --------
    >>> round(angle(np.eye(2), -np.eye(2)))
    180
    """
    return float(np.degrees(np.arccos(np.clip((W * B).sum() / np.sqrt((W * W).sum() * (B * B).sum()), -1, 1))))
