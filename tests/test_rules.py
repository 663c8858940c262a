"""What must hold of every rule on the list, whatever its paper says."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case, untrained
from tolerance import assert_close

from nobackprop import learn, network
from nobackprop.feedback import weights
from nobackprop.kernels import linear
from nobackprop.optim import SGD, bind
from nobackprop.rules import FA, RULES
from nobackprop.tree import leaves, same_structure, tree_map

seeds = st.integers(0, 2**32 - 1)
every_rule = pytest.mark.parametrize("name", RULES)


def arrays(tree):
    return [array for _, array in leaves(tree)]


@given(seed=seeds, activation=st.sampled_from(["relu", "tanh"]))
def test_fa_with_its_own_weights_for_B_is_bp_bit_for_bit(seed, activation):
    case = Case(FA(), seed, activation=activation)
    case.state = weights(case.params)
    for u, v in zip(arrays(case.grads()), arrays(Case(RULES["bp"], seed, activation=activation).grads()),
                    strict=True):
        np.testing.assert_array_equal(u, v)


@pytest.mark.parametrize("name", ["fa", "dfa", "las", "ltas"])
def test_no_rule_is_bp_in_disguise(name):
    """The first hidden layer must learn something else than under BP."""
    ours, true = Case(RULES[name], 0).grads()[0][0]["W"], Case(RULES["bp"], 0).grads()[0][0]["W"]
    assert np.abs(ours - true).max() > 1e-3


@every_rule
def test_state_shares_no_memory_with_the_parameters(name):
    case = Case(RULES[name], 0)
    assert not any(np.shares_memory(b, w) for b in arrays(case.state) for w in arrays(case.params))


# these put another activity before the synapses of the output layer, too
SUBSTITUTES_THE_ACTIVITY = ("foa", "as", "asap")
# to the output layer of one no error goes at all, that of the other has a loss of its own
OWN_OUTPUT = ("spsa", "al")


@pytest.mark.parametrize("name", [name for name in RULES if name not in OWN_OUTPUT])
@given(seed=seeds)
def test_the_output_layer_learns_alike_under_every_rule(name, seed):
    ours, true = Case(RULES[name], seed).grads()[-1], Case(RULES["bp"], seed).grads()[-1]
    np.testing.assert_array_equal(ours["b"], true["b"])
    assert np.array_equal(ours["W"], true["W"]) == (name not in SUBSTITUTES_THE_ACTIVITY)


@every_rule
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_every_weight_that_should_learn_moves(name, activation):
    case = Case(RULES[name], 1, samples=64, activation=activation)
    before = tree_map(np.copy, case.params)
    opts = SGD(case.params, lr=0.1), SGD(case.state, lr=0.1)
    for _ in range(3):
        learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    stays = [path for (path, w), (_, old) in zip(leaves(case.params), leaves(before), strict=True)
             if (w == old).all()]
    assert stays == [f"{i}/0/{leaf}" for i in untrained(name, 3) for leaf in ("W", "b")]


@every_rule
def test_gradients_have_the_structure_of_what_they_move(name):
    case = Case(RULES[name], 0)
    for tree, grads in ((case.params, case.grads()), (case.state, case.align())):
        known = dict(leaves(tree))
        for path, g in leaves(grads):
            assert known[path].shape == g.shape, path
    if not untrained(name, 3):
        same_structure(case.params, case.grads())


@every_rule
def test_credit_and_align_touch_nothing(name):
    case = Case(RULES[name], 0)
    for tree in (case.params, case.state, case.x, case.y):
        for array in arrays(tree):
            array.flags.writeable = False
    assert np.isfinite(case.grads()[-1]["W"]).all()
    case.align()


@every_rule
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_stays(name, dtype):
    case = Case(RULES[name], 0)
    case.params, case.state, case.x, case.y = (
        tree_map(lambda a: a.astype(dtype), tree) for tree in (case.params, case.state, case.x, case.y))
    found = {array.dtype for tree in (case.grads(), case.align(), case.tape().h) for array in arrays(tree)}
    assert found == {np.dtype(dtype)}


@every_rule
def test_one_forward_pass_a_step(name, monkeypatch):
    case, passes = Case(RULES[name], 0, inputs=11), []
    once = network.forward
    monkeypatch.setattr(network, "forward", lambda *a, **k: passes.append(1) or once(*a, **k))
    opts = bind("adam", case.params, 1e-3), bind("adam", case.state, 1e-3)
    products = []
    matmul = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b: products.append((a.shape, b.shape)) or matmul(a, b))
    learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    # forward alignment's second one goes through C, that of spsa through the weights below theta
    assert len(passes) == (2 if name in ("foa", "spsa") else 1)
    through_first_layer = ((len(case.x), 11), (11, 6))
    assert products.count(through_first_layer) == len(passes)


@pytest.mark.parametrize("name, transported", [
    ("bp", [1, 2, 3]), ("shallow", [3]), ("fa", []), ("dfa", []), ("las", [3]), ("ltas", [3])])
def test_which_forward_weights_carry_errors_down(name, transported, monkeypatch):
    """Where a signal is injected, or nobody listens below, the product with W is not even computed."""
    case, used = Case(RULES[name], 0), []
    W = [block[0]["W"] for block in case.params[:-1]] + [case.params[-1]["W"]]
    product = linear.feedback

    def feedback(B, delta):
        used.extend(i for i, w in enumerate(W) if w is B)
        return product(B, delta)

    monkeypatch.setattr(linear, "feedback", feedback)
    case.grads()
    assert sorted(used) == transported


@every_rule
def test_the_state_learns_where_the_rule_says_so(name):
    case = Case(RULES[name], 0)
    before = [np.copy(array) for array in arrays(case.state)]
    opts = SGD(case.params, lr=0.1), SGD(case.state, lr=0.1)
    learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    moved = [not np.array_equal(u, v) for u, v in zip(before, arrays(case.state), strict=True)]
    credit = case.rule.credit(case.net, case.params, case.state, case.tape(), case.y)
    learns = case.align() is not None or credit.state is not None
    assert moved == [learns] * len(moved)


def test_b_moves_before_it_carries_the_error():
    """Algorithm 1, line 13 before line 14."""
    case = Case(RULES["las"], 0)
    after = [b - 0.1 * g for b, g in zip(case.state, case.align(), strict=True)]
    expected = case.rule.credit(case.net, case.params, after, case.tape(), case.y).grads[0][0]["W"]
    W = case.params[0][0]["W"].copy()
    opts = SGD(case.params, lr=1.0), SGD(case.state, lr=0.1)
    learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    assert_close(W - case.params[0][0]["W"], expected, of=W)
