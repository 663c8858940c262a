"""The pairs of feedback weights and weights, and how they turn towards each other while rules learn."""
import numpy as np
import pytest
from tolerance import assert_close

import nobackprop as nb
from nobackprop.studies.turning import angle, pairs


def run(rule, model="mlp:6,6", epochs=0, **settings):
    data = nb.data.load("circles")
    made = nb.Run(nb.models.build(model, data.shape, data.classes, "tanh"), rule, data,
                  nb.Settings(epochs=max(epochs, 1), **settings))
    for _ in range(epochs):
        made.epoch()
    return made


@pytest.mark.parametrize("rule", [name for name in nb.rules.RULES if name not in ("al", "zil", "dtp")])
def test_every_pair_is_of_a_rules_own_matrices(rule):
    at = run(rule)
    state = [id(leaf) for _, leaf in nb.tree.leaves(at.state)]
    weights = [leaf for path, leaf in nb.tree.leaves(at.params) if path.endswith("W")]
    product = [weights[2] @ weights[1], weights[2]]
    for pair in pairs(at.rule, at.params, at.state):
        assert id(pair.B) in state or rule in ("usf", "frsf", "brsf")
        wanted = product if pair.direct else weights
        assert_close(pair.W, wanted[pair.block - 1], slack=64)


@pytest.mark.parametrize("rule, blocks", [
    ("bp", []), ("spsa", []), ("fa", [1, 2, 3]), ("kp", [1, 2, 3]), ("dfa", [1, 2]), ("las", [1]), ("asap", [2, 3]),
    ("asfp-lc", [2, 3]), ("pred", [1, 2]), ("pepita", []), ("dfa-shared", [])])
def test_rules_have_the_pairs_that_their_papers_say(rule, blocks):
    at = run(rule)
    assert [pair.block for pair in pairs(at.rule, at.params, at.state)] == blocks


@pytest.mark.slow
def test_signs_are_half_a_right_angle_away_and_weights_turn():
    at = run("usf")
    for pair in pairs(at.rule, at.params, at.state):  # the mean of this cosine for normal W is sqrt(2 / pi)
        cosine = abs(pair.W).mean() / np.sqrt((pair.W ** 2).mean())
        assert_close(np.float32(np.cos(np.radians(angle(pair.W, pair.B)))), np.float32(cosine), slack=64)
    fa = run("fa", "mlp:20,20", epochs=20, lr=0.01)
    start = run("fa", "mlp:20,20")
    before, after = ([angle(pair.W, pair.B) for pair in pairs(one.rule, one.params, one.state)][1:]
                     for one in (start, fa))
    assert all(a < b for a, b in zip(after, before, strict=True)) and min(after) < 80


@pytest.mark.slow
def test_kolen_pollack_brings_them_together():
    at = run("kp", epochs=30, optimizer="adamw", weight_decay=3.0, lr=0.01)
    assert max(angle(pair.W, pair.B) for pair in pairs(at.rule, at.params, at.state)) < 20


def test_the_angle_is_the_papers():
    W = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert angle(W, np.array([[1.0, 1.0], [0.0, 0.0]])) == pytest.approx(45, abs=1e-9)
    assert angle(W, W * 4) == 0
