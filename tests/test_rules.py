"""What holds of every rule on the list, whatever its paper says."""
from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass, fields, replace

import networks
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import assert_close, bound

from nobackprop import learn, models, network, rules
from nobackprop.data import load
from nobackprop.errors import InputError, brief
from nobackprop.feedback import binary, weights
from nobackprop.kernels import linear
from nobackprop.layers import Activation, Conv, Dense, GlobalPool, MaxPool, Sequential
from nobackprop.network import Network
from nobackprop.optim import SGD, bind
from nobackprop.rules import BP, FA, LAS, LTAS, RULES, ActivationSharing, Rule
from nobackprop.rules.local_loss import Classified, LocalLoss
from nobackprop.studies import check_rule
from nobackprop.tree import leaves, tree_map

seeds = st.integers(0, 2**32 - 1)
every_rule = pytest.mark.parametrize("name", RULES)
# with three hidden blocks asfp-lc has no classifier yet, and equals asfp
SIZES = (6, 5, 5, 4)
HIDDEN = len(SIZES)


class Case(networks.Case):
    """A case with four hidden blocks."""

    def __init__(self, rule, seed, **options):
        super().__init__(rule, seed, **{"sizes": SIZES} | options)


def arrays(tree):
    return [array for _, array in leaves(tree)]


@given(seed=seeds, activation=st.sampled_from(["relu", "tanh"]))
def test_fa_with_its_own_weights_for_B_is_bp_bit_for_bit(seed, activation):
    case = Case(FA(), seed, activation=activation)
    case.state = weights(case.params)
    for u, v in zip(arrays(case.grads()), arrays(Case(RULES["bp"], seed, activation=activation).grads()),
                    strict=True):
        np.testing.assert_array_equal(u, v)


# hidden blocks, counted from 0, that hear and see what they would under backpropagation, and should
AS_UNDER_BP = {
    "bp": {0, 1, 2, 3},
    "zil": {0, 1, 2, 3},   # Theorem PC1
    "shallow": {3},        # by its definition
    "las": {3},            # W_L itself carries e to the last hidden block
    "ltas": {3},
    "dtp": {3},            # its target is a step of length 1 against dL/dh
    "foa": {0},            # errors come down through W, and the first block's input is x
    "as": {1},             # the same, and the first block that learns has its own input
}


NEAR_BP = ("dp",)  # the chord of tanh is nearly its tangent


@every_rule
def test_no_rule_is_bp_in_disguise(name):
    rule = RULES[name]
    ours, true = (Case(r, 0, sizes=rule.trial_sizes(SIZES)).grads() for r in (rule, RULES["bp"]))
    same = {i for i in range(HIDDEN) if ours[i] is not None
            and np.abs(ours[i][0]["W"] - true[i][0]["W"]).max() <= bound(ours[i][0]["W"], true[i][0]["W"])}
    off = [np.abs(ours[i][0]["W"] - true[i][0]["W"]).max() / np.abs(true[i][0]["W"]).max()
           for i in set(range(HIDDEN)) - same if ours[i] is not None]
    assert same == AS_UNDER_BP.get(name, set()) and min(off, default=1) > (1e-3 if name in NEAR_BP else 0.1)


def test_no_rule_is_another_in_disguise():
    """After three steps from one start no two rules have the same weights, but bp and zil (Theorem PC1)."""
    after = {}
    for name, rule in RULES.items():
        case = Case(rule, 0, sizes=(5, 5, 5, 5))
        opts = SGD(case.params, lr=0.1), SGD(case.state, lr=0.1)
        for _ in range(3):
            learn.step(case.net, rule, case.params, case.state, *opts, case.x, case.y, case.rng)
        after[name] = np.concatenate([array.ravel() for array in arrays(case.params)])
    alike = [(a, b) for a, b in itertools.combinations(after, 2)
             if np.abs(after[a] - after[b]).max() <= 1e-6 * np.abs(after[a]).max()]
    assert alike == [("bp", "zil")]


@pytest.mark.parametrize("rule", [LAS(), LTAS(), LAS(draw=binary)])
def test_a_module_is_shaped_like_the_layer_that_it_stands_beside(rule):
    """This is the layer above its block: here each time a convolution of another size, and then a dense layer."""
    def conv(planes, *how):
        return Sequential((Conv(planes, *how), Activation("tanh")))

    net = Network((conv(2, 5, 1, 2), conv(3, 3, 1, 1), Sequential((MaxPool(2), *conv(4, 2).layers)),
                   Sequential((GlobalPool(), Dense(5), Activation("tanh"))), Dense(3)))
    rng = np.random.default_rng(0)
    params, shapes = network.init(net, rng, (8, 8, 1), "float64")
    state = rule.init(rng, net, params, shapes)
    # 3x3 on 2 planes, 2x2 on 3, and all 3 x 3 x 4 numbers under the dense layer; none on the last hidden block
    assert [B.shape for B in state] == [(3, 9 * 2), (3, 4 * 3), (3, 3 * 3 * 4)]
    assert [head.init(rng, shape, 3, rule.draw).shape for head, shape in zip(rule.heads(net), shapes[1:-2], strict=True)
            ] == [B.shape for B in state]


@every_rule
@pytest.mark.parametrize("check", check_rule.CHECKS)
def test_what_check_rule_asks_of_a_rule(name, check):
    """Shapes, dtypes, purity, memory, what moves, what the output block hears, places of units, seeds."""
    assert check_rule.CHECKS[check](RULES[name]) == ""


@every_rule
@given(seed=seeds)
def test_the_output_layer_learns_as_the_rule_says(name, seed):
    rule = RULES[name]
    ours, true = (Case(r, seed, sizes=rule.trial_sizes(SIZES)).grads()[-1] for r in (rule, RULES["bp"]))
    alike = {leaf: np.array_equal(ours[leaf], true[leaf]) for leaf in ("W", "b")}
    assert alike == {"from the error": {"W": True, "b": True}, "from another activity": {"W": False, "b": True},
                     "otherwise": {"W": False, "b": False}}[rule.output_learns]


UNBOUNDED = ("ep",)  # if f has no bound, the states of this rule grow without end


@every_rule
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])  # check_rule asks it of tanh
def test_every_weight_that_should_learn_moves(name, activation):
    if name in UNBOUNDED and activation == "relu":
        case = Case(replace(RULES[name], free=3000), 1, activation="relu")
        with pytest.warns(RuntimeWarning, match="overflow"):
            case.tape()
        return
    case = Case(RULES[name], 1, samples=64, activation=activation)
    before = tree_map(np.copy, case.params)
    opts = SGD(case.params, lr=0.1), SGD(case.state, lr=0.1)
    for _ in range(3):
        learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    stays = [path for (path, w), (_, old) in zip(leaves(case.params), leaves(before), strict=True)
             if (w == old).all()]
    assert stays == [f"{i}/0/{leaf}" for i in case.rule.untrained(case.net) for leaf in ("W", "b")]


@every_rule
@pytest.mark.parametrize("sizes", [(), (4,)])
def test_a_network_of_one_or_two_blocks_learns_or_is_refused_in_one_sentence(name, sizes):
    first = name in ("as", "asap", "asfp", "asfp-lc")  # these leave the first block as it is
    if name == "al" or first and not sizes:
        with pytest.raises(InputError, match="at least two hidden blocks, got|expected a hidden block, or train_first"):
            Case(RULES[name], 0, sizes=sizes)
        return
    case = Case(RULES[name], 0, sizes=sizes)
    opts = SGD(case.params, lr=0.1), SGD(case.state, lr=0.1)
    before = tree_map(np.copy, case.params)
    learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    stays = [path for (path, w), (_, old) in zip(leaves(case.params), leaves(before), strict=True) if (w == old).all()]
    assert stays == [path for path in dict(leaves(before)) if first and path.startswith("0")]


@every_rule
def test_a_step_has_as_many_forward_passes_as_the_rule_says(name, monkeypatch):
    case = Case(RULES[name], 0, inputs=11)
    opts = bind("adam", case.params, 1e-3), bind("adam", case.state, 1e-3)
    products = []
    matmul = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b: products.append((a.shape, b.shape)) or matmul(a, b))
    learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    through_first_layer = ((len(case.x), 11), (11, case.params[0][0]["W"].shape[0]))
    assert products.count(through_first_layer) == case.rule.passes(case.net)


@pytest.mark.parametrize("name, transported", [
    ("bp", [1, 2, 3, 4]), ("shallow", [4]), ("fa", []), ("dfa", []), ("las", [4]), ("ltas", [4])])
def test_which_forward_weights_carry_errors_down(name, transported, monkeypatch):
    """If a signal enters at a block, or if nobody listens below, the product with W is not even computed."""
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
    credit = case.rule.credit(case.net, case.params, case.state, case.tape(), case.y, case.draws())
    learns = case.align() is not None or credit.state is not None
    fixed = name == "asfp-lc"  # the R of its classifier, which carries the error of V into the block
    assert sum(moved) == (len(moved) - fixed if learns else 0)


def test_b_moves_before_it_carries_the_error():
    """Algorithm 1, line 13 before line 14."""
    case = Case(RULES["las"], 0)
    after = [b - 0.1 * g for b, g in zip(case.state, case.align(), strict=True)]
    expected = case.rule.credit(case.net, case.params, after, case.tape(), case.y).grads[0][0]["W"]
    W = case.params[0][0]["W"].copy()
    opts = SGD(case.params, lr=1.0), SGD(case.state, lr=0.1)
    learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
    assert_close(W - case.params[0][0]["W"], expected, of=W)


# Options

def options(kind):
    """(name of the rule, option, its value) of all options of a kind."""
    return [(name, field.name, getattr(rule, field.name)) for name, rule in RULES.items() for field in fields(rule)
            if type(getattr(rule, field.name)) is kind]


def test_there_are_options_of_every_kind():
    """Or the tests below would look at nothing."""
    assert all(options(kind) for kind in (int, float, bool, str))


@pytest.mark.slow
@pytest.mark.parametrize("name, option, value, scalar", [
    *((*row, scalar) for row in options(float) for scalar in (np.float64, np.longdouble, np.array)),
    *((*row, scalar) for row in options(int) for scalar in (np.int64, np.uint16, np.array)),
    *((*row, np.bool_) for row in options(bool)),
    *((*row, np.str_) for row in options(str)),
])
def test_a_scalar_of_numpy_is_the_same_option(name, option, value, scalar):
    """From float32 it makes float32, and the same bits."""
    found = []
    for typed in (value, scalar(value)):
        rule = replace(RULES[name], **{option: typed})
        assert type(getattr(rule, option)) is type(value) and rule == RULES[name]
        case = Case(rule, 0)
        case.params, case.state, case.x, case.y = (
            tree_map(lambda a: a.astype("float32"), tree) for tree in (case.params, case.state, case.x, case.y))
        opts = SGD(case.params, lr=0.1), SGD(case.state, lr=0.1)
        learn.step(case.net, rule, case.params, case.state, *opts, case.x, case.y, case.rng)
        grads = [case.align(), case.grads()]
        assert {array.dtype for array in arrays(grads)} == {np.dtype("float32")}
        found.append([array.tobytes() for array in arrays([case.params, case.state, grads])])
    assert found[0] == found[1]


def test_an_integer_is_a_number():
    assert type(rules.SPSA(1).c) is float and rules.SPSA(1) == rules.SPSA(1.0)


WRONG = {
    float: [float("nan"), float("inf"), -float("inf"), -1e-3, 10**400, "0.1", None, True, 0.5j, np.ones(1), [1.0],
            np.float64("nan"), np.bool_(True), np.array(-1.0)],
    int: [0, -1, 1.0, np.float64(2), "2", None, True, float("nan"), [2], np.int64(0)],
    bool: [0, 1, "yes", None, np.ones(1, bool)],
    str: [None, 0, "", "nonsense", b"max", ["max"]],
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_value_that_an_option_cannot_have_is_one_sentence(kind):
    for name, option, _ in options(kind):
        for value in WRONG[kind]:
            with pytest.raises(InputError) as told:
                replace(RULES[name], **{option: value})
            sentence = str(told.value)
            assert brief(value) in sentence or "(known: " in sentence, (name, option, value)
            assert "\n" not in sentence and (sentence.startswith(f"{option} must be ") or kind is str)


# the options for which 0 makes sense: no weight of the target, no noise, only one of the two losses
NOUGHT = {("phsic", "gamma"), ("dtp", "sigma"), ("predsim", "beta")}


@pytest.mark.parametrize("name, option", [row[:2] for row in options(float)])
def test_0_is_a_number_for_some_options_and_nothing_for_others(name, option):
    if (name, option) in NOUGHT:
        assert getattr(replace(RULES[name], **{option: 0}), option) == 0.0
    else:
        with pytest.raises(InputError, match=f"^{option} must be a positive number, got 0$"):
            replace(RULES[name], **{option: 0})


@pytest.mark.parametrize("name, option", [row[:2] for row in options(float)])
def test_numbers_whose_squares_no_float_holds_are_refused_and_others_learn_or_say_why_not(name, option):
    for value in (5e-324, 1e-300, 1e-9, 1.1e8, 1e300):
        with pytest.raises(InputError, match=f"^{option} must be a .*"):
            replace(RULES[name], **{option: value})
    data = load("xor")
    for value in (1e-8, 1e8):
        with suppress(InputError):  # a share of 1e8, or a run that diverges
            rule = replace(RULES[name], **{option: value})
            net = models.build("mlp:4,4", data.shape, 2, rule.defaults.get("activation", "relu"))
            learn.Run(net, rule, data, learn.Settings(batch_size=400)).epoch()


@pytest.mark.parametrize("spec, sentence", [
    ("phsic:sigma=1e-300", "rule 'phsic:sigma=1e-300': sigma must be a positive number of a size from 1e-8 to 1e8, "
                           "got 1e-300"),
    ("asap:k=\u0663", "rule 'asap:k=\u0663': expected an integer for k, got '\u0663'"),
    ("asap:k=1_0", "rule 'asap:k=1_0': expected an integer for k, got '1_0'"),
    ("spsa:c=\u0661.5", "rule 'spsa:c=\u0661.5': expected a number for c, got '\u0661.5'"),
    ("spsa:c=nan", "rule 'spsa:c=nan': c must be a positive number, got nan"),
    ("wm:samples=0", "rule 'wm:samples=0': samples must be an integer, at least 1, got 0"),
    ("predsim:beta=1.5", "rule 'predsim:beta=1.5': beta must be a number from 0 to 1, got 1.5"),
    ("phsic:kernel=cosin", "rule 'phsic:kernel=cosin': unknown kernel 'cosin': did you mean 'cosine'? (known: cosine, "
                           "gaussian)"),
])
def test_a_wrong_value_behind_a_rules_name_names_both(spec, sentence):
    with pytest.raises(InputError) as told:
        rules.get(spec)
    assert str(told.value) == sentence


def test_a_way_to_draw_must_be_a_function():
    assert FA(draw=binary).draw is binary
    with pytest.raises(InputError, match="^draw must be a function, got 'binary'$"):
        FA(draw="binary")


# Rules that lack a method

@pytest.mark.parametrize("lacking, method, call", [
    (Rule, "credit", lambda rule, case: rule.credit(case.net, case.params, None, case.tape(), case.y)),
    (LocalLoss, "module", lambda rule, case: rule.init(case.rng, case.net, case.params, case.shapes)),
    (LocalLoss, "value", lambda rule, case: rule.value(case.net, None, case.x, case.y)),
    (LocalLoss, "sent", lambda rule, case: rule.sent(case.net, None, case.x, case.y)),
    (LocalLoss, "learnt", lambda rule, case: rule.learnt(case.net, None, case.x, case.y)),
    (Classified, "head", lambda rule, case: rule.init(case.rng, case.net, case.params, case.shapes)),
])
def test_a_rule_that_lacks_a_method_says_which(lacking, method, call):
    @dataclass(frozen=True)
    class Mine(lacking):
        pass

    with pytest.raises(InputError, match=f"^rule Mine has no method '{method}', without which it cannot learn$"):
        call(Mine(), Case(BP(), 0))


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if isinstance(rule, ActivationSharing)])
def test_activation_sharing_needs_a_block_that_learns(name):
    """In a network of one block nothing would ever move."""
    net = Network((Dense(4),))
    params, shapes = network.init(net, np.random.default_rng(0), (3,))
    with pytest.raises(InputError, match="^activation sharing does not train the first block, and the network has no "):
        RULES[name].init(np.random.default_rng(0), net, params, shapes)
    replace(RULES[name], train_first=True).init(np.random.default_rng(0), net, params, shapes)


@pytest.mark.parametrize("spec, near", [("nope", None), ("lass", "las"), ("predsm", "predsim")])
def test_a_name_is_suggested_only_if_it_is_near(spec, near):
    with pytest.raises(InputError, match="^unknown rule ") as told:
        rules.get(spec)
    assert ("did you mean" in str(told.value)) == (near is not None) and (near or "") in str(told.value)
