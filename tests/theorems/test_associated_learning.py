"""The theorems on Kao and Chen 2020; the paper has none.  They say what components are, and what follows from it.

sg stands for a stop-gradient: what is in it counts as a constant.  Components are counted from 1, as in the paper.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from networks import Case, inner, like, slope, terms
from tolerance import assert_close

from nobackprop import learn, metrics, models, network
from nobackprop.errors import InputError
from nobackprop.network import Network, backward, forward
from nobackprop.optim import SGD, Adam
from nobackprop.rules import AssociatedLearning, get
from nobackprop.rules.associated_learning import ComponentStep, dense
from nobackprop.studies.locality import nan, same_bits
from nobackprop.tree import leaves, tree_map

AL = AssociatedLearning()
PAPER = "mlp:1024,1024,5120,1024,1024"
seeds = st.integers(0, 2**32 - 1)
errors = st.sampled_from(["mean", "sum"])
# odd and even depths; only the sizes of the lower half are free
folds = st.sampled_from([(4, 4), (4, 6, 4), (4, 3, 3, 4), (4, 3, 6, 3, 4), (5, 4, 3, 3, 4, 5), (5, 4, 3, 6, 3, 4, 5)])


def folded(seed: int, sizes=(4, 3, 6, 3, 4), activation="elu,sigmoid", **options) -> Case:
    return Case(AssociatedLearning(**options), seed, sizes=sizes, activation=activation)


def sigmoid(a):
    return (np.tanh(a / 2) + 1) / 2


def elu(a):
    return np.where(a.real > 0, a, np.expm1(a))


def plain(p):
    """The one {"W", "b"} of a block."""
    return p if isinstance(p, dict) else next(layer for layer in p if layer is not None)


def affine(p, h):
    return h @ plain(p)["W"].T + plain(p)["b"]


class Folded:
    """The functions of the paper, written out, from both trees; indices count from 1."""

    def __init__(self, both):
        self.params, self.state = both
        self.L, self.c = len(self.params), (len(self.params) - 1) // 2

    def f(self, i, s):
        return elu(affine(self.params[i - 1], s))

    def b(self, i, s):
        for p in self.params[self.c:self.L - self.c] if i == self.c else self.state[i - 1]["b"]:
            s = sigmoid(affine(p, s))
        return s

    def g(self, i, t):
        return sigmoid(affine(self.state[i - 1]["g"], t))

    def h(self, i, t):
        return sigmoid(affine(self.params[self.L - i], t))

    def ladder(self, x, y):
        """s_0, ..., s_c and t_0, ..., t_c."""
        s, t = [x], [y]
        for i in range(1, self.c + 1):
            s.append(self.f(i, s[-1]))                                             # AL (4.1)
            t.append(self.g(i, t[-1]))                                             # AL (4.4)
        return s, t

    def decode(self, t):
        """h_1 o ... o h_c."""
        for i in range(self.c, 0, -1):
            t = self.h(i, t)                                                       # AL (4.5)
        return t


def distance(a, t, error):
    return ((a - t)**2).sum() / len(t) / (t.shape[1] if error == "mean" else 1)


def local(here: Folded, i, s, t, error="mean"):
    """The two losses of component i, from s_{i-1} and t_{i-1}; t_i is given if a stop-gradient holds it constant."""
    return (distance(here.b(i, here.f(i, s[i - 1])), t[i], error),                 # AL (4.3)
            distance(here.h(i, here.g(i, t[i - 1])), t[i - 1], error))             # AL (4.6)


def both(case):
    return [case.params, case.state]


def gradients(case):
    credit = case.rule.credit(case.net, case.params, case.state, case.tape(), case.y)
    return [credit.grads, credit.state]


# The gradients

@given(seed=seeds, sizes=folds, error=errors)
def test_what_is_descended_is_4_7_with_stop_gradients(seed, sizes, error):
    case = folded(seed, sizes, error=error)
    s, t = Folded(both(case)).ladder(case.x, case.y)

    def value(trees):
        here = Folded(trees)
        return sum(sum(local(here, i, s, t, error)) for i in range(1, here.c + 1))  # AL (4.7)

    direction = like(both(case), case.rng)
    expected = slope(value, both(case), direction)
    assert_close(inner(gradients(case), direction), expected, of=terms(gradients(case), direction))


@given(seed=seeds, sizes=folds)
def test_the_printed_4_7_gives_the_encoders_another_gradient_and_them_alone(seed, sizes):
    """t_i = g_i(t_{i-1}), so without a stop-gradient g_i would move towards the bridge."""
    case = folded(seed, sizes)
    s, t = Folded(both(case)).ladder(case.x, case.y)

    def value(trees):
        here = Folded(trees)
        return sum(sum(local(here, i, s, [*t[:i], here.g(i, t[i - 1])])) for i in range(1, here.c + 1))  # AL (4.7)

    def apart(moves):
        """How far the two derivatives are from each other, in a direction in which only some leaves move."""
        direction = tree_map(np.zeros_like, both(case))
        for path, v in leaves(direction):
            if moves(path):
                v[...] = case.rng.standard_normal(v.shape)
        return abs(slope(value, both(case), direction) - inner(gradients(case), direction))

    assert apart(lambda path: "/g/" not in path) < 1e-12
    assert apart(lambda path: "/g/" in path) > 1e-7


@given(seed=seeds, sizes=folds, i=st.integers(1, 3))
def test_a_component_reads_its_own_parameters_alone(seed, sizes, i):
    """NaN in all other parameters changes no bit: the loss of one component has no gradient for another one."""
    case = folded(seed, sizes)
    i = min(i, AL.components(case.net))
    s, t = Folded(both(case)).ladder(case.x, case.y)
    own = AL.blocks(case.net, i)
    params = [p if k in own else nan(p) for k, p in enumerate(case.params)]
    state = [p if k == i - 1 else nan(p) for k, p in enumerate(case.state)]
    clean, poisoned = (AL.component(case.net, p, b, i, s[i - 1], t[i - 1])
                       for p, b in ((case.params, case.state), (params, state)))
    assert sorted(clean.grads) == own
    for name in ("grads", "state", "t", "losses"):
        assert same_bits([getattr(clean, name)], [getattr(poisoned, name)]), name
    assert_close(clean.tape.h[1], s[i])
    assert_close(clean.t, t[i])


@given(seed=seeds, sizes=folds)
def test_all_components_together_are_the_step(seed, sizes):
    case = folded(seed, sizes)
    s, t, grads, state = case.x, case.y, {}, []
    for i in range(1, AL.components(case.net) + 1):
        learnt = AL.component(case.net, case.params, case.state, i, s, t)
        s, t, grads = learnt.tape.h[1], learnt.t, grads | learnt.grads
        state.append(learnt.state)
    assert sorted(grads) == list(range(len(case.net)))
    assert same_bits(gradients(case), [[grads[k] for k in range(len(case.net))], state])


@given(seed=seeds)
def test_objectives_are_independent_in_one_direction_only(seed):
    """If component 1 moves, the loss of component 2 changes through s_1 and t_1; the reverse does not happen."""
    case = folded(seed)

    def losses(moved):
        trees = [tree_map(np.copy, tree) for tree in both(case)]
        for tree in ([trees[0][k] for k in AL.blocks(case.net, moved)], trees[1][moved - 1]) if moved else ():
            for _, array in leaves(tree):
                array += 0.5
        here = Folded(trees)
        s, t = here.ladder(case.x, case.y)
        return [local(here, i, s, t) for i in (1, 2)]

    still, first, second = losses(0), losses(1), losses(2)
    assert first[1] != still[1] and first[0] != still[0]
    assert second[0] == still[0] and second[1] != still[1]


# The error

@given(seed=seeds, sizes=folds)
@example(seed=818, sizes=(4, 6, 4))  # an entry of 4e-6 next to one of 5e-2
def test_the_mean_over_units_weighs_both_losses_by_the_units_that_they_compare(seed, sizes):
    """The sizes of t_i and t_{i-1}: the two losses of a component change their weights relative to each other."""
    case = folded(seed, sizes)
    s, t = Folded(both(case)).ladder(case.x, case.y)
    for i in range(1, AL.components(case.net) + 1):
        given_i = case.net, case.params, case.state, i, s[i - 1], t[i - 1]
        mean, total = (AssociatedLearning(error=error).component(*given_i) for error in ("mean", "sum"))
        here, below = t[i].shape[1], t[i - 1].shape[1]
        decoder = len(case.net) - i
        for u, v, units in ((mean.grads[i - 1], total.grads[i - 1], here), (mean.losses[0], total.losses[0], here),
                            (mean.grads[decoder], total.grads[decoder], below),
                            (mean.state["g"], total.state["g"], below), (mean.losses[1], total.losses[1], below)):
            assert_close(tree_map(lambda a, units=units: units * a, u), v)


def test_under_adam_that_makes_no_difference_and_under_descent_it_does():
    """Every weight hears only one of the two losses, and Adam does not see a factor."""
    def trained(error, optimizer):
        case = folded(0, error=error)
        opts = [optimizer(tree) for tree in both(case)]
        for _ in range(20):
            learn.step(case.net, case.rule, case.params, case.state, *opts, case.x, case.y, case.rng)
        return np.concatenate([w.ravel() for _, w in leaves(both(case))])

    by_adam = [trained(error, lambda tree: Adam(tree, 1e-2, eps=1e-30)) for error in ("mean", "sum")]
    by_sgd = [trained(error, lambda tree: SGD(tree, 1e-2)) for error in ("mean", "sum")]
    np.testing.assert_allclose(*by_adam, atol=1e-9)
    assert np.abs(by_sgd[0] - by_sgd[1]).max() > 1e-3


def test_an_error_of_no_known_name():
    assert get("al:error=sum") == AssociatedLearning(error="sum")
    with pytest.raises(InputError, match="unknown error 'man': did you mean 'mean'"):
        AssociatedLearning(error="man")


# Codes that become the same

@dataclass(frozen=True)
class Printed(AssociatedLearning):
    """(4.7) in the printed form: g_i descends the associated loss, too."""

    def learn(self, net, params, state, i, tape, t, seed=None) -> ComponentStep:
        learnt = super().learn(net, params, state, i, tape, t, seed)
        encoder = Network((dense(learnt.t.shape[1]),))
        passed = forward(encoder, [state[i - 1]["g"]], t)
        out = Folded([params, state]).b(i, learnt.tape.h[1])
        missing, = backward(encoder, [state[i - 1]["g"]], passed, {0: self.d_distance(learnt.t, out)})  # AL (4.7)
        g = tree_map(np.add, learnt.state["g"], missing)
        return ComponentStep(learnt.tape, learnt.t, learnt.grads, {**learnt.state, "g": g}, learnt.losses)


@given(seed=seeds)
def test_that_is_the_derivative_of_the_printed_4_7(seed):
    case = folded(seed)
    case.rule = Printed()
    s, t = Folded(both(case)).ladder(case.x, case.y)

    def value(trees):
        here = Folded(trees)
        return sum(sum(local(here, i, s, [*t[:i], here.g(i, t[i - 1])])) for i in (1, 2))  # AL (4.7)

    direction = like(both(case), case.rng)
    expected = slope(value, both(case), direction)
    assert_close(inner(gradients(case), direction), expected, of=terms(gradients(case), direction))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_without_the_stop_the_codes_fall_together(seed):
    """On random labels the bridge predicts only the mean code, and the encoders move towards it."""
    def spread(rule):
        case = Case(rule, seed, sizes=(24, 24, 24, 24), samples=64, activation="elu,sigmoid")
        opts = [Adam(tree, 3e-3) for tree in both(case)]
        rng = np.random.default_rng(seed)
        for _ in range(300):
            x = rng.standard_normal(case.x.shape)
            learn.step(case.net, rule, case.params, case.state, *opts, x, case.y, rng)
        _, t = Folded(both(case)).ladder(case.x, case.y)
        return t[2].var(0).sum()

    with_stop, without = spread(AL), spread(Printed())
    assert without < 0.3 * with_stop, (with_stop, without)


# Inference

@given(seed=seeds, sizes=folds)
def test_inference_is_the_folded_networks_forward_pass(seed, sizes):
    case = folded(seed, sizes)
    here = Folded(both(case))
    s, _ = here.ladder(case.x, case.y)
    yhat = here.decode(here.b(here.c, s[-1]))                                      # AL (4.8)
    assert_close(sigmoid(network.predict(case.net, case.params, case.x)), yhat)
    np.testing.assert_array_equal(case.tape().output, network.predict(case.net, case.params, case.x))


@given(seed=seeds, sizes=folds, scale=st.floats(0.1, 4))
def test_the_prediction_is_bounded_by_the_top_associated_loss_and_the_autoencoders(seed, sizes, scale):
    """|y^ - y| <= prod Lip(h_j) |b_c(s_c) - t_c| + sum_i prod_{j<i} Lip(h_j) |h_i(g_i(t_{i-1})) - t_{i-1}|."""
    case = folded(seed, sizes)
    here = Folded([tree_map(lambda w: scale * w, tree) for tree in both(case)])
    s, t = here.ladder(case.x, case.y)
    lip = [np.linalg.norm(plain(here.params[here.L - i])["W"], 2) / 4 for i in range(1, here.c + 1)]
    top = here.b(here.c, s[-1])
    bound = np.prod(lip) * np.linalg.norm(top - t[-1], axis=1)                     # AL (4.3)
    for i in range(1, here.c + 1):
        bound += np.prod(lip[:i - 1]) * np.linalg.norm(here.h(i, here.g(i, t[i - 1])) - t[i - 1], axis=1)  # AL (4.6)
    assert (np.linalg.norm(here.decode(top) - case.y, axis=1) <= bound * (1 + 1e-12)).all()  # AL (4.8)


@pytest.mark.parametrize("square", [False, True])
def test_that_bound_is_one_of_distances_and_none_of_the_losses(square):
    """With squared distances in the place of distances, as in the losses, the bound does not hold."""
    worst = 0.0
    for seed in range(40):
        case = folded(seed, (4, 4))
        here = Folded([tree_map(lambda w: 2 * w, tree) for tree in both(case)])
        s, t = here.ladder(case.x, case.y)
        lip, top = np.linalg.norm(plain(here.params[here.L - 1])["W"], 2) / 4, here.b(1, s[-1])
        found, above, below = (np.linalg.norm(gap, axis=1)**(1 + square) for gap in (
            here.decode(top) - case.y, top - t[-1], here.h(1, here.g(1, t[0])) - t[0]))
        worst = max(worst, float((found / (lip**(1 + square) * above + below)).max()))
    assert worst == pytest.approx(1.2996 if square else 0.9122, abs=1e-3)


# Theorems AL1 and AL2: how far a prediction may be from its target

def gaps(here: Folded, x, y, lip):
    """|y^ - y| of every sample, and the c + 1 terms of its bound: of the top bridge, then of autoencoders 1 to c."""
    s, t = here.ladder(x, y)
    top = here.b(here.c, s[-1])
    terms = [np.prod(lip) * np.linalg.norm(top - t[-1], axis=1)]                   # AL (4.3)
    terms += [np.prod(lip[:i - 1]) * np.linalg.norm(here.h(i, here.g(i, t[i - 1])) - t[i - 1], axis=1)
              for i in range(1, here.c + 1)]                                       # AL (4.6)
    return np.linalg.norm(here.decode(top) - y, axis=1), np.array(terms)           # AL (4.8)


def constants(here: Folded) -> list[float]:
    """A Lipschitz constant of every decoder with sigmoid, from 1 up: a quarter of the norm of its weights."""
    return [float(np.linalg.norm(plain(here.params[here.L - i])["W"], 2)) / 4 for i in range(1, here.c + 1)]


class Affine(Folded):
    """Decoders that are affine, so that everything can be computed by hand; b_c and g_i give what they are told."""

    def __init__(self, decoders, t, top):
        self.decoders, self.t, self.top, self.c = decoders, t, top, len(decoders)

    def ladder(self, x, y):
        return [x] * (self.c + 1), self.t

    def b(self, i, s):
        return self.top

    def g(self, i, t):
        return self.t[i]

    def h(self, i, t):
        slope, offset = self.decoders[i - 1]
        return slope * t + offset


def test_the_bound_is_reached_by_affine_decoders():
    """h_1 = t/2 + 0.1, h_2 = 2 t + 0.2, t = (0, 0.2, 0.3), b_2 = 0.4: 0.6 = 0.1 + 0.2 + 0.3."""
    one = np.ones((1, 1))
    here = Affine([(0.5, 0.1), (2.0, 0.2)], [0 * one, 0.2 * one, 0.3 * one], 0.4 * one)
    found, terms = gaps(here, one, 0 * one, [0.5, 2.0])
    assert_close(found, np.array([0.6]))
    assert_close(terms, np.array([[0.1], [0.2], [0.3]]))
    assert_close(found, terms.sum(0))


@given(seed=seeds, sizes=folds, error=errors, scale=st.floats(0.1, 4))
def test_the_losses_that_the_rule_reports_bound_the_mean_distances(seed, sizes, error, scale):
    """Root-mean-squares, by Minkowski; and squares, times c + 1: both from the numbers of `component` alone."""
    case = folded(seed, sizes, error=error)
    case.params, case.state = (tree_map(lambda w: scale * w, tree) for tree in both(case))
    here = Folded(both(case))
    lip, s, t = constants(here), case.x, case.y
    terms = []
    for i in range(1, here.c + 1):
        step = case.rule.component(case.net, case.params, case.state, i, s, t)
        # "mean" divides by the number of units that are compared
        units = (step.t.shape[1], t.shape[1]) if error == "mean" else (1, 1)
        top, inner_loss = (float(loss) * count for loss, count in zip(step.losses, units, strict=True))
        terms.append(np.prod(lip[:i - 1])**2 * inner_loss)
        s, t = step.tape.h[1], step.t
    terms.append(np.prod(lip)**2 * top)
    yhat = sigmoid(network.predict(case.net, case.params, case.x))
    found = ((yhat - case.y)**2).sum(1).mean()
    assert np.sqrt(found) <= sum(map(np.sqrt, terms)) * (1 + 1e-9)
    assert found <= (here.c + 1) * sum(terms) * (1 + 1e-9)


def test_the_factor_for_squares_is_the_least_one():
    """All c + 1 terms are equal and of one sign: the square is c + 1 times their sum of squares."""
    for c in (1, 2, 3, 4):
        one = np.ones((1, 1))
        # t_i = 0 for all i, h_i(t) = t + 1, b_c = 1: each level adds 1
        here = Affine([(1.0, 1.0)] * c, [0 * one] * (c + 1), one)
        found, terms = gaps(here, one, 0 * one, [1.0] * c)
        assert_close(found, np.array([c + 1.0]))
        assert_close(found**2, (c + 1) * (terms**2).sum(0))


def test_how_tight_the_bound_is_and_how_wrong_it_is_for_squares():
    """Measured in 200 folded networks: the tightest root-mean-square bound, 0.941, and plain squares at worst, 1.17."""
    tightest = worst = 0.0
    for seed in range(200):
        case = folded(seed // 2, [(4, 4), (4, 3, 3, 4)][seed % 2])
        here = Folded(both(case))
        found, terms = gaps(here, case.x, case.y, constants(here))
        rms, parts = np.sqrt((found**2).mean()), np.sqrt((terms**2).mean(1))
        tightest, worst = max(tightest, rms / parts.sum()), max(worst, rms**2 / (parts**2).sum())
    assert 0.93 < tightest <= 1 < 1.1 < worst <= 3, (tightest, worst)


@given(seed=seeds, classes=st.integers(2, 6), samples=st.integers(1, 8), size=st.floats(0, 2), near=st.booleans())
def test_a_prediction_within_half_the_square_of_its_target_has_the_right_class(seed, classes, samples, size, near):
    """So the error rate is at most twice the mean squared distance; `near`: most are only just wrong."""
    rng = np.random.default_rng(seed)
    right = rng.integers(classes, size=samples)
    y = np.eye(classes)[right]
    yhat = y + size * (0.01 if near else 1) * rng.standard_normal(y.shape)
    if near:
        yhat += 0.51 * (np.roll(y, 1, axis=1) - y)
    far = ((yhat - y)**2).sum(1)
    wrong = yhat.argmax(1) != right
    assert (far[wrong] >= 0.5).all()
    assert wrong.mean() <= 2 * far.mean()


@pytest.mark.parametrize("excess, right", [(-1e-9, True), (1e-9, False)])
def test_that_distance_and_that_factor_are_the_largest(excess, right):
    """(1/2, 1/2): at any more than the distance 1/sqrt(2) a wrong class is possible, and the factor 2 is reached."""
    yhat, y = np.array([[0.5 - excess, 0.5 + excess]]), np.array([[1.0, 0]])
    assert (yhat.argmax(1) == 0).all() == right
    assert ((yhat - y)**2).sum() == pytest.approx(0.5)


@given(seed=seeds, sizes=st.sampled_from([(4, 3, 3, 4), (4, 3, 6, 3, 4), (5, 4, 3, 3, 4, 5)]))
def test_the_associated_losses_of_lower_components_say_nothing_of_the_prediction(seed, sizes):
    """The lower bridges may be anything: their losses change, and no bit of the prediction and of the bound does."""
    case = folded(seed, sizes)
    before = Folded(both(case))
    kept = gaps(before, case.x, case.y, constants(before)), network.predict(case.net, case.params, case.x)
    s, t = before.ladder(case.x, case.y)
    loss = local(before, 1, s, t)[0]
    for own in case.state[:-1]:
        for _, array in leaves(own["b"]):
            array += case.rng.standard_normal(array.shape)
    after = Folded(both(case))
    assert local(after, 1, s, t)[0] != loss
    assert same_bits([kept[0], kept[1]], [gaps(after, case.x, case.y, constants(after)),
                                          network.predict(case.net, case.params, case.x)])


# Shapes and counts

def count(spec, shape=(784,), classes=10, sizes=metrics.size):
    class Blank(np.random.Generator):
        def standard_normal(self, shape):
            return np.broadcast_to(0.0, shape)

    net = models.build(spec, shape, classes, "elu,sigmoid")
    params, shapes = network.init(net, Blank(np.random.PCG64(0)), shape, "float16")
    return sizes(params), sizes(AL.init(Blank(np.random.PCG64(0)), net, params, shapes))


@pytest.mark.slow
def test_the_papers_network_has_these_effective_and_affiliated_parameters():
    effective, affiliated = count(PAPER)
    layers = [(784, 1024), (1024, 1024), (1024, 5120), (5120, 1024), (1024, 1024), (1024, 10)]
    assert effective == 13_405_194 == sum(n * m + m for n, m in layers)
    assert effective + affiliated == 24_957_962


def test_5120_is_inside_the_bridge_and_not_its_output():
    """If they were the output of b_2, they could not be compared with t_2."""
    net = models.build(PAPER, (784,), 10, "elu,sigmoid")
    shapes = [(784,), *((block.layers[0].units,) for block in net.blocks[:-1]), (10,)]
    bridge = AL.effective(net, 2)
    assert shapes[bridge.start + 1:bridge.stop + 1] == [(1024,), (5120,), (1024,)]
    assert shapes[bridge.stop] == shapes[len(net) - 2]                             # AL (4.3)


@given(seed=seeds, sizes=folds)
def test_s_and_t_of_a_component_are_alike_in_shape(seed, sizes):
    """Without a bridge only vectors of one size can be compared; t_0 is the one-hot y, and s_0 is x."""
    case = folded(seed, sizes)
    s, t = Folded(both(case)).ladder(case.x, case.y)
    assert s[0] is case.x and t[0] is case.y
    for a, b in zip(s[1:], t[1:], strict=True):
        assert a.shape == b.shape and np.isfinite(distance(a, b, "mean"))          # AL (4.2)


@pytest.mark.parametrize("hidden, components, bridge", [(2, 1, 1), (3, 1, 2), (4, 2, 1), (5, 2, 2), (13, 6, 2)])
def test_the_middle_layer_of_an_odd_network_is_the_bridges(hidden, components, bridge):
    net = models.mlp((5,), 3, (4,) * hidden)
    assert AL.components(net) == components
    parts = [AL.effective(net, i) for i in range(1, components + 1)]
    assert [part.stop - part.start for part in parts] == [1] * (components - 1) + [1 + bridge]
    together = [block for i in range(1, components + 1) for block in AL.blocks(net, i)]
    assert sorted(together) == list(range(hidden + 1))


@pytest.mark.parametrize("sizes, sentence", [
    ((4,), "at least two hidden blocks, got 1"),
    ((), "at least two hidden blocks, got 0"),
    ((4, 5), "read the same backwards, such as mlp:20,10,20, got 4 in block 1 and 5 in block 2"),
    ((6, 4, 5, 3, 6), "got 4 in block 2 and 3 in block 4"),
])
def test_a_network_that_does_not_fold_is_refused_with_the_reason(sizes, sentence):
    net = models.mlp((5,), 3, sizes)
    params, shapes = network.init(net, np.random.default_rng(0), (5,))
    with pytest.raises(InputError, match=sentence):
        AL.init(np.random.default_rng(0), net, params, shapes)


@given(seed=seeds)
def test_untrained_encoders_shrink_the_spread_of_the_codes_from_one_to_the_next(seed):
    """So a smaller associated loss at a higher component says little: the codes there differ less."""
    case = Case(AL, seed, sizes=(40,) * 6, classes=10, samples=60)
    _, t = Folded(both(case)).ladder(case.x, case.y)
    spread = [code.var(0).mean() for code in t]
    assert spread[1] > 3 * spread[2] > 9 * spread[3]
