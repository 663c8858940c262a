"""Activation sharing: plans, how an activity is made to fit, and a tape that really forgets the rest."""
from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import slope, terms
from strategies import seeds
from tolerance import assert_close

from nobackprop import learn, models, network, rules, sharing
from nobackprop.errors import InputError
from nobackprop.feedback import weights, with_feedback
from nobackprop.heads import PoolHead
from nobackprop.kernels import linear
from nobackprop.layers import Activation, Conv, Dense, GlobalPool, Residual, Sequential
from nobackprop.network import Network, backward, with_presynaptic
from nobackprop.optim import SGD
from nobackprop.rules import ASAP, ASFP, ASFPLC, ActivationSharing, FoA, KolenPollack
from nobackprop.sharing import Sharing, match, plan
from nobackprop.tape import Keep, Mask, materialise
from nobackprop.tree import leaves, tree_map

NETS = {"mlp": ("mlp:6,6,6,6", (5,)), "deep": ("mlp:6,6,6,6,6,6", (5,)), "widths": ("mlp:4,8,6,3", (5,)),
        "conv": ("conv-small:0.25", (8, 8, 1)),
        "resnet": ("resnet18:0.04", (8, 8, 3)), "bare resnet": ("resnet18-noshortcut:0.04", (8, 8, 3)),
        "alexnet": ("alexnet-small:0.04", (8, 8, 3))}


class Case:
    """A network, its parameters and a batch, in float64."""

    def __init__(self, name: str = "mlp", rule=None, seed: int = 0, samples: int = 4, activation: str = "relu"):
        spec, shape = NETS[name]
        rng = np.random.default_rng(seed)
        self.net = models.build(spec, shape, 3, activation)
        self.params, shapes = network.init(self.net, rng, shape, "float64")
        self.x, self.y = rng.standard_normal((samples, *shape)), np.eye(3)[rng.integers(3, size=samples)]
        self.rule = rule or ActivationSharing()
        self.state = self.rule.init(np.random.default_rng([seed, 1]), self.net, self.params, shapes)

    def credit(self):
        tape = self.rule.forward(self.net, self.params, self.state, self.x)
        return self.rule.credit(self.net, self.params, self.state, tape, self.y)

    def inputs(self):
        """The input of every layer with weights on the main path, and all of them in the order of the pass."""
        main: dict[int, np.ndarray] = {}
        every = []
        recorder = Keep(before=lambda index, h: (main.setdefault(index, h), every.append(h)))
        network.forward(self.net, self.params, self.x, keep=lambda i: recorder)
        return main, every


def equal(u, v):
    a, b = list(leaves(u)), list(leaves(v))
    assert [path for path, _ in a] == [path for path, _ in b]
    for (path, x), (_, y) in zip(a, b):
        np.testing.assert_array_equal(x, y, err_msg=path)


# ---------------------------------------------------------------- plans

def test_algorithm_1_shares_what_the_thesis_draws():
    """Fig. 5.3: h_1, h_3, h_5, h_7 for k = 2, and h_1, h_5 for k = 4; on ResNet-18 its blocks come out even."""
    net = models.build("resnet18:0.04", (8, 8, 3), 10)
    two, four = plan(net, 2), plan(net, 4)
    assert two == (0, 1, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15)
    assert four == (0, 1, *[1] * 4, *[5] * 4, *[9] * 4, *[13] * 4)


def test_no_layer_from_the_third_on_learns_from_its_own_input_under_algorithm_1():
    net = models.build("mlp:2,2,2,2,2,2,2", (3,), 2)
    for k in range(1, 9):
        assert all(source < j for j, source in enumerate(plan(net, k)) if j > 1)
    assert plan(net, 1) == (0, 1, 1, 2, 3, 4, 5, 6)


def test_the_text_gives_the_first_layer_of_each_block_its_own_input():
    """What ERRATA of 4.1 comes to: not what (4.3)-(4.4) say."""
    net = models.build("mlp:2,2,2,2,2,2,2", (3,), 2)
    assert plan(net, 2, "text") == (0, 1, 1, 3, 3, 5, 5, 7)
    assert plan(net, 1, "text") == tuple(range(8))


def test_the_published_code_leaves_dense_layers_alone():
    """AlexNet's three convolutions cannot tell Algorithm 1's plan from the text's."""
    net = models.build("alexnet-small:0.04", (8, 8, 3), 10)
    assert plan(net, 2, "text") == (0, 1, 1, 3, 3, 5)
    assert plan(net, 2, "published") == (0, 1, 1, 3, 4, 5)


@pytest.mark.parametrize("k, recorded", [
    (1, (0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)),
    (2, (0, 1, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15)),
    (4, (0, 1, 1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13)),
])
def test_the_published_code_shares_as_algorithm_1_between_convolutions(k, recorded):
    """Inputs recorded of the thesis's own ResNet for k = 2 and 4; its dense output layer has its own input."""
    net = models.build("resnet18:0.04", (8, 8, 3), 10)
    assert plan(net, k, "published") == (*recorded, 17)


def test_dense_layers_between_count_in_the_published_plan():
    """A dense layer keeps its own input wherever it stands, and those above count on as if it shared."""
    layers = [Conv(2, 3, pad=1), Conv(2, 3, pad=1), Dense(2), Dense(2), Dense(2)]
    assert sharing.PLANS["published"](layers, 2) == (0, 1, 2, 3, 4)
    assert sharing.PLANS["published"]([*layers[:2], layers[0], layers[0], *layers[2:]], 2) == (0, 1, 1, 1, 4, 5, 6)
    assert sharing.PLANS["published"](layers[2:], 1) == (0, 1, 2)


@given(st.integers(1, 9), st.sampled_from(sorted(sharing.PLANS)), st.integers(0, 9))
def test_every_plan_borrows_from_below_and_from_a_layer_that_is_there(k, name, depth):
    net = models.build("mlp:" + ",".join("2" * (depth + 1)), (3,), 2)
    found = plan(net, k, name)
    assert len(found) == depth + 2 and all(0 <= source <= j for j, source in enumerate(found))
    assert found[0] == 0 and all(source for source in found[1:])


@pytest.mark.parametrize("call, sentence", [
    (lambda: ActivationSharing(k=0), "k must be an integer, at least 1, got 0"),
    (lambda: plan(models.build("mlp:2,2", (3,), 2), 0), "at least 1 layer, got k = 0"),
    (lambda: ASAP(plan="algoritm"), "unknown sharing plan 'algoritm': did you mean 'algorithm'"),
    (lambda: ASFP(match="mean"), "unknown way to match dimensions 'mean'"),
    (lambda: rules.get("asap:k=two"), "expected an integer for k, got 'two'"),
    (lambda: rules.get("asap:kk=2"), "unknown option of rule asap 'kk': did you mean 'k'"),
    (lambda: rules.get("asap:train_first=maybe"), "expected yes or no"),
    (lambda: rules.get("asap:k=0"), "rule 'asap:k=0': k must be an integer, at least 1, got 0"),
    (lambda: rules.get("bp:k=2"), "rule bp has no options, got 'k=2'"),
])
def test_mistakes_are_said(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


def test_options_behind_a_rules_name():
    assert rules.get("asap:k=4:plan=text:match=avg:train_first=yes") == ASAP(4, "text", "avg", True)
    assert rules.get("asap") is not None and rules.get("asap") == ASAP()


# ---------------------------------------------------------------- how it fits

def test_copies_and_windows_by_hand():
    h = np.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(match(h, (1, 2, 2, 2))[0, :, :, 0], [[5, 7], [13, 15]])
    np.testing.assert_array_equal(match(h, (1, 2, 2, 2), "avg")[0, :, :, 1], [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(match(h, (1, 2)), [[15, 15]])
    np.testing.assert_array_equal(match(h, (1, 3), "avg"), [[7.5] * 3])
    v = np.arange(3.0)[None]
    np.testing.assert_array_equal(match(v, (1, 7)), [[0, 1, 2, 0, 1, 2, 0]])
    np.testing.assert_array_equal(match(v, (1, 2)), [[0, 1]])
    assert match(h, h.shape, "random") is h
    np.testing.assert_array_equal(match(h, (1, 2, 2, 2), "random", np.array([[1.0], [2.0]]))[0, :, :, 1],
                                  [[0, 4], [16, 20]])
    np.testing.assert_array_equal(match(h, (1, 2), "random", np.array([[1.0], [2.0]])), [[7.5, 15]])


@given(seeds, st.integers(1, 9), st.integers(1, 9), st.data())
def test_windows_cover_the_image(seed, height, width, data):
    """Nothing of an image is left out: the maximum stays, and a constant image stays constant."""
    rows, columns = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    h = np.random.default_rng(seed).standard_normal((2, height, width, 3))
    out = match(h, (2, rows, columns, 3))
    assert out.shape == (2, rows, columns, 3)
    np.testing.assert_array_equal(out.max((1, 2)), h.max((1, 2)))
    np.testing.assert_array_equal(match(np.ones_like(h), out.shape, "avg"), np.ones(out.shape))


@pytest.mark.parametrize("shape", [(1, 5, 4, 1), (1, 2, 2, 1)])
def test_an_image_does_not_grow(shape):
    h = np.zeros((1, 4, 4, 1)) if shape[1] == 5 else np.zeros((1, 8))
    with pytest.raises(ValueError, match="cannot stand for one of"):
        match(h, shape)


@given(seeds, st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple))
def test_a_mask_keeps_a_bit_a_unit_and_gives_every_one_back(seed, shape):
    h = np.random.default_rng(seed).integers(-1, 2, shape).astype("float32")
    mask = Mask.of(h)
    assert mask.bits.nbytes == -(-h.size // 8)
    np.testing.assert_array_equal(materialise(mask), h > 0)
    assert materialise(mask).dtype == h.dtype and materialise(h) is h


# ---------------------------------------------------------------- what an update reads

@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("how", sharing.MATCHES)
@pytest.mark.parametrize("the_plan", sharing.PLANS)
def test_forgetting_changes_no_bit(name, how, the_plan):
    """The slim tape's gradients are those of a full tape with the shared activities put in."""
    case = Case(name, ASAP(2, the_plan, how, train_first=True))
    full = network.forward(case.net, case.params, case.x)
    shared = with_presynaptic(case.net, full, Sharing(plan(case.net, 2, the_plan), how, *case.state[len(case.net):]))
    B = case.state[:len(case.net)]
    expected = backward(case.net, with_feedback(case.params, B), shared,
                        {len(case.net) - 1: case.net.error(full.output, case.y)})
    equal(case.credit().grads, expected)
    case.rule = ASAP(2, the_plan, how)
    equal(case.credit().grads[1:], expected[1:])
    assert case.credit().grads[0] is None


@pytest.mark.parametrize("name", ["mlp", "resnet", "bare resnet", "alexnet"])
@pytest.mark.parametrize("k", [2, 4])
def test_the_tape_holds_the_shared_activities_and_no_others(name, k, monkeypatch):
    """Outputs of activations die with the pass, but for those that stand on the plan."""
    made, forward = [], Activation.forward

    def noted(self, params, h, train=True, rng=None):
        out, cache = forward(self, params, h, train, rng)
        made.append(weakref.ref(out))
        return out, cache

    monkeypatch.setattr(Activation, "forward", noted)
    case = Case(name, ASAP(k))
    tape = case.rule.forward(case.net, case.params, case.state, case.x)
    gc.collect()
    alive = [ref() for ref in made if ref() is not None]
    case_inputs, _ = case.inputs()
    wanted = sorted(set(plan(case.net, k)) - {0})
    assert len(alive) == len(wanted)
    for h, j in zip(alive, wanted):
        np.testing.assert_array_equal(h.reshape(case_inputs[j].shape), case_inputs[j])
    made.clear()
    full = network.forward(case.net, case.params, case.x)
    assert all(ref() is not None for ref in made) and full is not tape


def test_an_untrained_first_block_leaves_nothing_but_its_statistics():
    case = Case("resnet", ASAP())
    tape = case.rule.forward(case.net, case.params, case.state, case.x)
    conv, (h, mean, var, count), relu = tape.caches[0]
    assert conv is None and h is None and relu is None and count == case.x.size // 3
    before = tree_map(np.copy, case.params)
    network.remember(case.net, case.params, tape)
    full = network.forward(case.net, before, case.x)
    network.remember(case.net, before, full)
    equal(case.params, before)


def test_updates_are_products_of_the_error_and_the_shared_activity():
    case = Case("mlp", ASAP(2, train_first=True))
    inputs, _ = case.inputs()
    grads, a = case.credit().grads, case.net.error(network.predict(case.net, case.params, case.x), case.y)
    B = weights(case.state)
    delta = a
    for j in reversed(range(5)):
        source = plan(case.net, 2)[j]
        own = grads[j] if j == 4 else grads[j][0]
        assert_close(own["W"][:, :inputs[source].shape[1]], linear.outer(delta, inputs[source])[:, :inputs[j].shape[1]])
        b = B[j]["W"] if j == 4 else B[j][0]["W"]
        delta = (delta @ b) * (inputs[j] > 0)


def test_a_shortcuts_convolution_borrows_what_the_bodys_first_one_does():
    case = Case("resnet", ActivationSharing(2))
    tape = network.forward(case.net, case.params, case.x)
    tape = with_presynaptic(case.net, tape, Sharing(plan(case.net, 2)))
    block = next(i for i, b in enumerate(case.net) if isinstance(b.layers[0], Residual) and b.layers[0].shortcut)
    (body, short), _ = tape.caches[block]
    assert body[0].h is short[0].h and body[0].shape == short[0].shape
    np.testing.assert_array_equal(materialise(body[0]), materialise(short[0]))


@pytest.mark.parametrize("name", NETS)
def test_blocks_of_one_layer_under_the_text_are_kolen_pollack(name):
    """With shortcuts, through residual blocks, everywhere: nothing is shared, so nothing is new."""
    case = Case(name, ASAP(1, "text", train_first=True))
    known = KolenPollack().credit(case.net, case.params, case.state, network.forward(case.net, case.params, case.x),
                                  case.y)
    for rule in (case.rule, ASFP(1, "text", train_first=True)):
        case.rule = rule
        equal(case.credit().grads, known.grads)
        equal(case.credit().state, known.state)


def test_blocks_of_one_layer_under_algorithm_1_are_not():
    case = Case("mlp", ASAP(1, train_first=True))
    known = KolenPollack().credit(case.net, case.params, case.state, network.forward(case.net, case.params, case.x),
                                  case.y).grads
    assert not np.allclose(case.credit().grads[2][0]["W"], known[2][0]["W"])


@pytest.mark.parametrize("name", NETS)
def test_asfp_shares_in_the_feedback_path_alone(name):
    case = Case(name, ASFP(2))
    own, shared = case.credit(), Case(name, ASAP(2)).credit()
    exact = KolenPollack().credit(case.net, case.params, [weights(case.params[:1])[0], *case.state[1:]],
                                  network.forward(case.net, case.params, case.x), case.y)
    equal(own.grads[1:], exact.grads[1:])
    equal(own.state, shared.state)


@pytest.mark.parametrize("name", NETS)
def test_forward_alignment_is_backpropagation_where_c_is_w(name):
    case = Case(name, FoA())
    full = network.forward(case.net, case.params, case.x)
    exact = backward(case.net, case.params, full, {len(case.net) - 1: case.net.error(full.output, case.y)})
    ours = case.credit().grads
    (_, W), (_, exact_W) = (next(leaves(weights(grads[-1]))) for grads in (ours, exact))
    assert not np.allclose(W, exact_W)
    case.state = weights(case.params)
    equal(case.credit().grads, exact)


@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_forward_alignment_reads_the_activity_that_c_makes(name):
    """Its weight gradients are those of a tape whose inputs come from the pass through C, in order."""
    case = Case(name, FoA())
    other = Case(name, FoA())
    other.params = with_feedback(case.params, case.state)
    made = iter(other.inputs()[1])
    full = network.forward(case.net, case.params, case.x)
    tape = with_presynaptic(case.net, full, lambda index, h: next(made))
    equal(case.credit().grads, backward(case.net, case.params, tape,
                                        {len(case.net) - 1: case.net.error(full.output, case.y)}))


# ---------------------------------------------------------------- local classifiers

def test_where_local_classifiers_stand():
    def ends(spec, shape, k):
        return sorted(ASFPLC(k).ends(models.build(spec, shape, 3)))

    assert ends("mlp:2,2,2,2,2,2", (3,), 2) == [3, 5]
    assert ends("resnet18:0.04", (8, 8, 3), 2) == [2, 3, 4, 5, 6, 7, 8]
    assert ends("resnet18:0.04", (8, 8, 3), 4) == [3, 5, 7]
    assert ends("mlp:2,2", (3,), 2) == []


@pytest.mark.parametrize("k, spec, expected", [
    (2, "mlp:2,2,2,2", {3: (3, 2)}), (1, "mlp:4,5,6,7", {2: (3, 6), 3: (3, 7)}),
    (2, "mlp:4,5,6,7,8,9", {3: (3, 7), 5: (3, 9)}), (3, "mlp:4,5,6,7,8,9", {4: (3, 8)}), (2, "mlp:2,2,2", {})])
def test_the_classifiers_of_a_network(k, spec, expected):
    """Where each sharing block ends, from the second on: with three hidden blocks and k = 2 there is none."""
    net = models.build(spec, (3,), 3)
    params, shapes = network.init(net, np.random.default_rng(0), (3,), "float64")
    state = ASFPLC(k).init(np.random.default_rng(1), net, params, shapes)
    assert {i: own["V"].shape for i, own in enumerate(state) if own["V"] is not None} == expected
    for own in state:
        assert (own["V"] is None) == (own["R"] is None)
        assert own["V"] is None or (own["R"].shape == own["V"].shape and not np.allclose(own["V"], own["R"]))


def test_no_classifier_stands_on_the_output():
    """Though a sharing block ends inside of the output block."""
    hidden = Sequential((Dense(4), Activation("relu")))
    net = Network((hidden, hidden, hidden, Sequential((Dense(4), Activation("relu"), Dense(3)))))
    assert plan(net, 2) == (0, 1, 1, 1, 3) and ASFPLC(2).ends(net) == set()


@pytest.mark.parametrize("shape, features", [((8, 8, 1), 4 * 4), ((9, 7, 2), 4 * 3), ((5, 5, 1), 2 * 2)])
def test_a_classifier_reads_averages_of_2_by_2(shape, features):
    net = Network((*[Sequential((Conv(3, 3, 1, 1), Activation("relu")))] * 4, Sequential((GlobalPool(), Dense(5)))))
    params, shapes = network.init(net, np.random.default_rng(0), shape, "float64")
    state = ASFPLC(2).init(np.random.default_rng(1), net, params, shapes)
    assert [own["V"] is not None for own in state] == [False, False, False, True, False]
    assert state[3]["V"].shape == state[3]["R"].shape == (5, 3 * features)


def test_learning_with_classifiers_is_none_of_the_rules_beside_it():
    """What blocks at and below a classifier hear comes from it; those above hear what they do under asfp."""
    lc, plain = Case("deep", ASFPLC(2)), Case("deep", ASFP(2))
    assert [i for i, own in enumerate(lc.state) if own["V"] is not None] == [3, 5]
    for own, B in zip(lc.state, plain.state, strict=True):
        equal(own["B"], B)
    ours, theirs = lc.credit(), plain.credit()
    equal(ours.grads[6:], theirs.grads[6:])
    for i in range(1, 6):
        assert not np.allclose(ours.grads[i][0]["W"], theirs.grads[i][0]["W"])
        assert not np.allclose(ours.state[i]["B"][0]["W"], theirs.state[i][0]["W"])


@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_no_error_passes_a_local_classifier(name):
    """NaN above the highest classifier spoils nothing below it."""
    case = Case(name, ASFPLC(2))
    top = max(case.rule.ends(case.net))
    tape = case.rule.forward(case.net, case.params, case.state, case.x)
    clean = case.rule.credit(case.net, case.params, case.state, tape, case.y)
    tape.h[-1] = np.full_like(tape.h[-1], np.nan)
    spoilt = case.rule.credit(case.net, case.params, case.state, tape, case.y)
    equal(spoilt.grads[:top + 1], clean.grads[:top + 1])
    assert np.isnan([array.sum() for _, array in leaves(spoilt.grads[-1])]).all()


def test_a_local_classifier_learns_by_its_own_loss():
    case = Case("resnet", ASFPLC(2))
    tape = case.rule.forward(case.net, case.params, case.state, case.x)
    grads = case.rule.align(case.net, case.params, case.state, tape, case.y, np.random.default_rng(0))
    for i in case.rule.ends(case.net):
        V, rng = case.state[i]["V"], np.random.default_rng(i)
        d = rng.standard_normal(V.shape)

        def loss(V, h=tape.h[i + 1]):
            return case.net.value(PoolHead().forward(V, h), case.y)

        assert_close(slope(loss, V, d), (grads[i]["V"] * d).sum(), of=terms(grads[i]["V"], d))
    assert sum(g is not None for g in grads) == len(case.rule.ends(case.net))


def test_the_local_error_comes_in_through_the_fixed_weights():
    case = Case("mlp", ASFPLC(2))
    (end,) = case.rule.ends(case.net)
    tape = case.rule.forward(case.net, case.params, case.state, case.x)
    sent = case.rule.signals(case.net, case.state, tape, case.y)
    own = case.state[end]
    expected = case.net.error(tape.h[end + 1] @ own["V"].T, case.y) @ own["R"]
    assert_close(sent[end], expected)
    assert set(sent) == {end, len(case.net) - 1}


@pytest.mark.parametrize("rule", [ASAP(2), ASAP(2, match="random"), ASFP(2), ASFPLC(2), FoA(), ASAP(4, "text", "avg")])
@pytest.mark.parametrize("name", ["resnet", "widths", "alexnet"])
def test_a_step_of_training_moves_what_should_learn(rule, name):
    case = Case(name, rule, samples=8)
    before = tree_map(np.copy, case.params)
    opts = SGD(case.params, lr=0.1), SGD(case.state, lr=0.1)
    for _ in range(3):
        learn.step(case.net, rule, case.params, case.state, *opts, case.x, case.y, np.random.default_rng(0))
    stays = {path for (path, w), (_, old) in zip(leaves(weights(case.params)), leaves(weights(before)), strict=True)
             if (w == old).all()}
    first = {path for path, _ in leaves(weights(case.params)) if path.startswith("0")}
    assert stays == (set() if isinstance(rule, FoA) else first)
    assert all(np.isfinite(w).all() for _, w in leaves(case.params))


def test_layers_with_weights_are_counted_along_the_main_path():
    net = models.build("resnet18:0.04", (8, 8, 3), 10)
    assert [len(block.weighted()) for block in net] == [1, *[2] * 8, 1]
    assert isinstance(net[-1].weighted()[0], Dense)


@pytest.mark.parametrize("name", ["as", "asap:k=3", "asap:plan=published"])
def test_layers_of_a_first_block_that_does_not_learn_are_sources_all_the_same(name):
    """The second layer's input stands in the first block: the tape of all of it shows what the updates should be."""
    rng = np.random.default_rng(0)
    relu = Activation("relu")
    net = Network((Sequential((Dense(6), relu, Dense(6), relu)), Sequential((Dense(6), relu)), Dense(6), Dense(3)))
    params, shapes = network.init(net, rng, (5,), "float64")
    x, y, rule = rng.standard_normal((7, 5)), np.eye(3)[rng.integers(3, size=7)], rules.get(name)
    state = rule.init(rng, net, params, shapes)
    whole = with_presynaptic(net, network.forward(net, params, x), rule.sharing(net, state))
    found, expected = (rule.credit(net, params, state, tape, y).grads
                       for tape in (rule.forward(net, params, state, x), whole))
    assert found[0] is None
    assert_close(found, expected)
