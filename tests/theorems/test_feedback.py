"""No rule may depend on the order in which hidden units are numbered."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Case
from tolerance import SLACK, assert_close

from nobackprop.feedback import weights
from nobackprop.rules import RULES
from nobackprop.tree import leaves, tree_map

seeds = st.integers(0, 2**32 - 1)
SIZES, INPUTS = (6, 5, 4), 7        # all widths differ: so a width names its block
# one matrix, or one activity, serves several blocks by position, so no numbering of one block's units suits them all
BY_POSITION = ["dfa-shared", "as", "asap", "asfp", "asfp-lc"]
# next to W these have weights of other shapes that stand between two blocks; renumbered_state does not know them
BETWEEN_BLOCKS = ["al", "dtp"]


class Renumbered(np.random.Generator):
    """The draws for the units of the block of that width come in another order."""

    def __init__(self, seed: int, width: int, order):
        super().__init__(np.random.PCG64(seed))
        self.width, self.order = width, order

    def standard_normal(self, shape):
        noise = super().standard_normal(shape)
        return noise[:, self.order] if shape[1] == self.width else noise

    def integers(self, *which, size=None):
        drawn = super().integers(*which, size=size)
        return drawn[:, self.order] if size and size[1] == self.width else drawn


def like_params(tree, block: int, order):
    """A tree in the shape of the parameters, or of their W leaves, with the units of the block in that order."""
    if tree is None:
        return None

    def renumber(path: str, w):
        i, leaf = int(path.partition("/")[0]), path.rpartition("/")[2]
        return w[order] if i == block else w[:, order] if i == block + 1 and leaf == "W" else w

    flat = iter([renumber(path, w) for path, w in leaves(tree)])
    return tree_map(lambda w: next(flat).copy(), tree)


def renumbered_state(case: Case, state, block: int, order):
    """The state with the units of the block in that order: like W, like all parameters, or heads (C, F) by block."""
    if state is None:
        return None
    if all(b.ndim == 2 and b.shape[1] == INPUTS for _, b in leaves(state)):   # it stands at the input
        return state
    if [path for path, _ in leaves(state)] in [[path for path, _ in leaves(tree)]
                                               for tree in (weights(case.params), case.params)]:
        return like_params(state, block, order)
    assert isinstance(state, list) and all(b.ndim == 2 and b.shape[1] == SIZES[int(path.partition("/")[0])]
                                           for path, b in leaves(state)), \
        f"how do units stand in the state of {case.rule}?"
    return [tree_map(lambda b: b[:, order].copy(), b) if i == block else b for i, b in enumerate(state)]


def learnt(case: Case, rng: np.random.Generator):
    """(the gradients of the parameters, those of the state without the error, those of the state with the error)."""
    tape = case.tape()
    align = case.rule.align(case.net, case.params, case.state, tape, case.y, rng)
    credit = case.rule.credit(case.net, case.params, case.state, tape, case.y, rng)
    return credit.grads, align, credit.state


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RULES if name not in BY_POSITION + BETWEEN_BLOCKS])
@settings(max_examples=min(50, settings().max_examples))  # for each rule
@given(seed=seeds, block=st.integers(0, 2))
def test_renumbering_hidden_units_renumbers_their_gradients_and_no_others(name, seed, block):
    case = Case(RULES[name], seed, sizes=SIZES, inputs=INPUTS)
    order = case.rng.permutation(SIZES[block])
    grads, align, state = learnt(case, np.random.default_rng(seed))
    expected = [like_params(grads, block, order),
                *(renumbered_state(case, tree, block, order) for tree in (align, state))]
    case.state = renumbered_state(case, case.state, block, order)
    case.params = like_params(case.params, block, order)
    found = learnt(case, Renumbered(seed, SIZES[block], order))
    for ours, theirs in zip(found, expected, strict=True):
        for (path, u), (_, v) in zip(leaves(ours), leaves(theirs), strict=True):
            # a difference that is divided by a small step loses digits
            slack = 2.0**19 if name in ("fdfa", "spsa", "activity") else SLACK
            assert_close(u, v, of=1, slack=slack, message=path)


@given(seed=seeds)
def test_one_matrix_for_all_blocks_knows_units_by_their_position(seed):
    """Its columns follow the units of the first block, or stay for the other blocks: it cannot do both."""
    case = Case(RULES["dfa-shared"], seed, sizes=(5, 5), inputs=INPUTS)
    order = np.roll(np.arange(5), 1)
    before = case.grads()
    case.params = like_params(case.params, 0, order)
    expected = like_params(before, 0, order)
    for B, right, wrong in ((case.state, 1, 0), (case.state[:, order], 0, 1)):
        case.state = B
        found = case.grads()
        assert_close(found[right][0]["b"], expected[right][0]["b"], of=1)
        assert np.abs(found[wrong][0]["b"] - expected[wrong][0]["b"]).max() > 1e-6
