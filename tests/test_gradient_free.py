"""Learning without gradients: what the estimate of spsa is worth, and the two limits, size and slow convergence."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Case, inner
from tolerance import assert_close, assert_zero

from nobackprop import learn, models, network
from nobackprop.errors import InputError
from nobackprop.layers import Dense
from nobackprop.network import Network
from nobackprop.optim import SGD
from nobackprop.rules import BP, RULES, SPSA
from nobackprop.rules.spsa import learning, shifted
from nobackprop.studies import gradient_free as free
from nobackprop.tree import leaves, same_structure, tree_map

seeds = st.integers(0, 2**32 - 1)


def estimate(case: Case):
    return case.rule.credit(case.net, case.params, case.state, case.tape(), case.y).grads


def gradient(case: Case):
    return BP().credit(case.net, case.params, None, BP().forward(case.net, case.params, None, case.x), case.y).grads


def quadratic(seed: int, c: float = 0.5) -> Case:
    """One linear layer and the squared loss: the loss is a quadratic function of the n = 6 parameters."""
    case = Case(SPSA(c), seed, sizes=(), inputs=2, classes=2, loss="squared")
    assert free.flat(case.params).size == 6
    return case


def every_delta(case: Case):
    """All 2^n signs, as states."""
    for signs in itertools.product((-1.0, 1.0), repeat=free.flat(case.params).size):
        case.state = free.unflat(case.params, np.array(signs))
        yield case.state


# SPSA

@given(seed=seeds, c=st.floats(1e-2, 2))
def test_on_a_quadratic_the_estimate_is_the_slope_along_delta_times_delta(seed, c):
    """This holds for any length c, because all terms that are even in c cancel."""
    case = quadratic(seed, c)
    true = inner(gradient(case), case.state)
    for (_, g), (_, d) in zip(leaves(estimate(case)), leaves(case.state), strict=True):
        assert_close(g, true * d, of=1 / c)


@settings(max_examples=10)
@given(seed=seeds)
def test_the_mean_estimate_is_the_gradient_and_its_variance_is_n_minus_1_times_its_square(seed):
    """The mean is over all signs, so both are exact. They show why the estimate is right and why it is slow."""
    case = quadratic(seed)
    true = free.flat(gradient(case))
    found = np.array([free.flat(estimate(case)) for _ in every_delta(case)])
    assert_close(found.mean(0), true, of=found)
    assert_close(((found - true)**2).sum(1).mean(), (len(true) - 1) * true @ true)


@given(seed=seeds)
def test_on_other_losses_the_error_falls_as_the_square_of_c(seed):
    errors = []
    for c in (0.002, 0.001):
        case = Case(SPSA(c), seed)
        slope = estimate(case)[-1]["b"][0] * case.state[-1]["b"][0]
        errors.append(slope - inner(gradient(case), case.state))
    assert abs(errors[1] - errors[0] / 4) < 1e-7


@given(seed=seeds)
def test_every_draw_is_new_and_made_of_signs(seed):
    case = Case(SPSA(), seed)
    rng = np.random.default_rng(seed)
    drawn = [case.rule.refresh(rng, case.state) for _ in range(2)]
    for tree in (case.state, *drawn):
        same_structure(tree, case.params)
        assert all((abs(d) == 1).all() for _, d in leaves(tree))
    assert not np.array_equal(free.flat(drawn[0]), free.flat(drawn[1]))


@pytest.mark.slow
def test_the_signs_are_independent_and_fair():
    """E[delta delta^T] = I: over the entries of a row, rows, arrays, and from one step to the next.

    The mean of this number of independent signs is beyond `most` with a chance of 2 exp(-draws most^2 / 2): below
    1e-12 for all means together.
    """
    params = [{"W": np.zeros((3, 2)), "b": np.zeros(3)}, {"W": np.zeros((2, 3)), "b": np.zeros(2)}]
    rng, draws, drawn = np.random.default_rng(0), 4000, []
    state = SPSA().init(rng, Network(()), params, [])
    for _ in range(draws):
        state = SPSA().refresh(rng, state)
        drawn.append(free.flat(state))
    D = np.array(drawn)
    assert D.shape == (draws, 17) and (np.abs(D) == 1).all()
    within, between = D.T @ D / draws - np.eye(17), D[1:].T @ D[:-1] / (draws - 1)
    means = np.concatenate([D.mean(0), within.ravel(), between.ravel()])
    most = np.sqrt(2 * np.log(2 * means.size / 1e-12) / (draws - 1))
    assert np.abs(means).max() < most < 0.14


@pytest.mark.parametrize("c", [0.0, -1.0, float("nan")])
def test_a_step_of_no_length_is_refused(c):
    with pytest.raises(InputError, match="c must be a positive number"):
        SPSA(c)


def test_running_statistics_are_not_perturbed_but_followed():
    net, rng = models.build("resnet20:0.25", (8, 8, 2), 3), np.random.default_rng(0)
    params, shapes = network.init(net, rng, (8, 8, 2), "float64")
    delta = RULES["spsa"].init(rng, net, params, shapes)
    names = {path.rpartition("/")[2] for path, _ in leaves(delta)}
    assert names == {"W", "b", "gamma", "beta"}
    moved = dict(leaves(shifted(params, delta, 0.5)))
    assert all((array == moved[path]).all() == (path.rpartition("/")[2] in ("mean", "var"))
               for path, array in leaves(params))
    before = tree_map(np.copy, params)
    x, y = rng.standard_normal((6, 8, 8, 2)), np.eye(3)[[0, 1, 2] * 2]
    learn.step(net, RULES["spsa"], params, delta, SGD(params, 1e-3), SGD(delta, 1e-3), x, y, rng)
    assert all((u != v).any() for (_, u), (_, v) in zip(leaves(params), leaves(before), strict=True))


@settings(max_examples=10)
@given(seed=seeds, lr=st.floats(0.01, 1))
def test_the_trace_of_the_curvature_limits_its_steps(seed, lr):
    """Mean loss after a step: L - lr |g|^2 + lr^2 / 2 (|g|^2 tr H + 2 g H g - 2 sum H_ii g_i^2).

    Where backpropagation has g H g, so that its lr may be 2 / the largest curvature: here it is the sum of all n.
    """
    case = quadratic(seed)
    start = free.flat(case.params)

    def loss(row):
        return case.net.value(network.predict(case.net, free.unflat(case.params, row), case.x), case.y)

    def slope(row):
        params = free.unflat(case.params, row)
        return free.flat(BP().credit(case.net, params, None, network.forward(case.net, params, case.x), case.y).grads)

    g = slope(start)
    H = np.array([slope(start + row) - g for row in np.eye(len(g))])
    expected = loss(start) - lr * g @ g + lr**2 / 2 * (g @ g * np.trace(H) + 2 * g @ H @ g - 2 * np.diag(H) @ g**2)
    found = np.mean([loss(start - lr * free.flat(estimate(case))) for _ in every_delta(case)])
    assert_close(found, expected, of=[loss(start), lr**2 * (g @ g) * np.trace(H)])


@pytest.mark.parametrize("seed", range(5))
def test_spsa_learns(seed):
    case = Case(RULES["spsa"], seed, sizes=(6,), samples=20)
    trace = free.descend(case.net, "spsa", case.params, case.x, case.y, 400, 0.05, seed)
    assert len(trace.losses) == 200 and trace.losses[-1] < 0.8 * trace.losses[0]


# COBYLA

def small(seed: int = 0) -> Case:
    return Case(BP(), seed, sizes=(3,), inputs=2, classes=2, samples=12)


@pytest.mark.slow
def test_cobyla_learns_from_losses_alone():
    case = small()
    before = case.net.value(network.predict(case.net, case.params, case.x), case.y)
    kept = tree_map(np.copy, case.params)
    trace = free.cobyla(case.net, case.params, case.x, case.y, evaluations=150)
    assert trace.passes == list(range(1, len(trace.passes) + 1)) and len(trace.passes) <= 150
    # SciPy 1.13's COBYLA comes to 0.89 of it, later ones to 0.40
    assert trace.losses[0] == pytest.approx(before) and trace.losses[-1] < 0.95 * before
    assert (np.diff(trace.losses) <= 0).all()
    after = case.net.value(network.predict(case.net, trace.params, case.x), case.y)
    assert_close(after, trace.losses[-1])
    assert all((u == v).all() for (_, u), (_, v) in zip(leaves(case.params), leaves(kept), strict=True))


def test_cobyla_tries_every_parameter_once_before_it_moves(monkeypatch):
    """The n + 1 points of its simplex come first: this is what the size of a network costs."""
    case, rows, once = small(), [], free.unflat
    monkeypatch.setattr(free, "unflat", lambda params, row: rows.append(row.copy()) or once(params, row))
    n = free.flat(case.params).size
    free.cobyla(case.net, case.params, case.x, case.y, n + 2, radius=0.25)
    assert len(rows) == n + 2
    np.testing.assert_array_equal(rows[0], free.flat(case.params))
    for k in range(1, n + 1):
        # one parameter is other than in a point before
        changed = [row for row in np.array(rows[k] - rows[:k]) if np.count_nonzero(np.abs(row) > 1e-12) == 1]
        assert changed and np.isclose(np.abs(changed).max(), 0.25)
        assert np.linalg.matrix_rank(rows[1:k + 1] - rows[0]) == k


@pytest.mark.slow
def test_cobyla_ends_at_its_target():
    case = small()
    full = free.cobyla(case.net, case.params, case.x, case.y, evaluations=100)
    target = full.losses[40]
    trace = free.cobyla(case.net, case.params, case.x, case.y, evaluations=100, target=target)
    assert trace.losses[-1] <= target and trace.losses == full.losses[:len(trace.losses)]
    assert trace.reached(target) == len(trace.losses) and trace.reached(-1.0) is None


def test_a_network_too_large_for_cobyla_is_refused_with_the_reason():
    net = models.build("mlp:128,128", (8, 8, 1), 10)
    params, _ = network.init(net, np.random.default_rng(0), (8, 8, 1))
    with pytest.raises(InputError, match=r"26,122 parameters, 300 is the most: .* n \+ 1 points .*, 5,206 MiB"):
        free.cobyla(net, params, np.zeros((1, 8, 8, 1), "float32"), np.eye(10)[:1])


def test_fewer_evaluations_than_a_simplex_are_refused():
    case = small()
    with pytest.raises(InputError, match="at least 19 evaluations for 17 parameters, got 18"):
        free.cobyla(case.net, case.params, case.x, case.y, 18)


def test_a_trace_keeps_the_least_loss_and_when_it_was_reached():
    trace = free.Trace()
    for passes, loss in ((1, 3.0), (3, 2.0), (5, 4.0), (7, 1.0)):
        trace.add(passes, loss)
    assert trace.losses == [3.0, 2.0, 2.0, 1.0] and trace.passes == [1, 3, 5, 7]
    assert [trace.reached(loss) for loss in (3.0, 2.5, 2.0, 1.5, 1.0, 0.5)] == [1, 3, 3, 7, 7, None]


def test_cobyla_keeps_the_best_point_and_not_the_last():
    """The run is cut off in the middle of its first simplex, in which some points are worse than the one before."""
    case = small()
    trace = free.cobyla(case.net, case.params, case.x, case.y, 19, radius=3.0)
    found = case.net.value(network.predict(case.net, trace.params, case.x), case.y)
    assert found == trace.losses[-1] == min(trace.losses)
    assert len(set(trace.losses)) < len(trace.losses)


@pytest.mark.parametrize("most, refused", [(16, True), (17, False)])
def test_the_largest_network_has_the_largest_number_of_parameters(most, refused, monkeypatch):
    monkeypatch.setattr(free, "MOST", most)
    case = small()
    if refused:
        with pytest.raises(InputError, match="17 parameters, 16 is the most"):
            free.cobyla(case.net, case.params, case.x, case.y, 20)
    else:
        assert len(free.cobyla(case.net, case.params, case.x, case.y, 20).losses) == 20


@pytest.mark.parametrize("name, cost", [("bp", 3), ("spsa", 2)])
def test_descent_takes_steps_of_gradient_descent_each_at_its_cost(name, cost):
    """The loss of a step is known after its first pass. The parameters that were passed in stay as they are."""
    case = Case(RULES[name], 3, sizes=(4,), samples=12)
    kept = tree_map(np.copy, case.params)
    trace = free.descend(case.net, name, case.params, case.x, case.y, 10 * cost, 0.3, seed=5)
    assert trace.passes == [1 + cost * k for k in range(10)]
    assert all((u == v).all() for (_, u), (_, v) in zip(leaves(case.params), leaves(kept), strict=True))
    params, rng, losses = tree_map(np.copy, kept), np.random.default_rng(5), []
    state = RULES[name].init(rng, case.net, params, case.shapes)
    for _ in range(10):
        tape = learn.step(case.net, RULES[name], params, state, SGD(params, 0.3), SGD(state, 0.3), case.x, case.y, rng)
        losses.append(float(case.net.value(tape.output, case.y)))
    np.testing.assert_array_equal(trace.losses, np.minimum.accumulate(losses))


def test_descent_ends_at_its_target_and_when_it_leaves_all_bounds():
    case = Case(RULES["bp"], 0, sizes=(4,), samples=12, loss="squared", activation="identity")
    full = free.descend(case.net, "bp", case.params, case.x, case.y, 300, 0.01)
    ended = free.descend(case.net, "bp", case.params, case.x, case.y, 300, 0.01, target=full.losses[20])
    assert ended.losses == full.losses[:21]
    wild = free.descend(case.net, "bp", case.params, case.x, case.y, 30000, 100.0)
    assert 2 < len(wild.losses) < 1000 and np.isfinite(wild.losses).all()
    nothing = free.descend(case.net, "bp", case.params, np.full_like(case.x, np.nan), case.y, 300, 0.01)
    assert nothing.losses == [np.inf] and nothing.reached(1e300) is None


# Trees as rows

def test_rows_and_trees_are_one_to_one():
    net = models.build("resnet20:0.25", (8, 8, 2), 3)
    params, _ = network.init(net, np.random.default_rng(0), (8, 8, 2), "float32")
    row = free.flat(params)
    assert row.size == sum(array.size for _, array in leaves(learning(params)))
    back = free.unflat(params, row.astype("float64") + 1)
    for (path, u), (_, v) in zip(leaves(params), leaves(back), strict=True):
        assert u.dtype == v.dtype and u.shape == v.shape
        statistic = path.rpartition("/")[2] in ("mean", "var")
        np.testing.assert_array_equal(v, u if statistic else u + np.float32(1))


# The comparison

def test_the_task_is_white_and_has_all_classes():
    x, y = free.task()
    assert x.shape == (free.SAMPLES, free.FEATURES) and y.shape == (free.SAMPLES, free.CLASSES)
    assert_close(x.T @ x / len(x), np.eye(free.FEATURES), slack=2.0**16)
    assert (y.sum(0) > 30).all()
    assert_zero(x.mean(0), of=x)


@pytest.fixture(scope="module")
def records():
    return free.compare(widths=(3,), seeds=(0,), passes=60, target=0.5)


@pytest.mark.slow
def test_the_comparison_has_a_row_for_every_method(records):
    assert [record["method"] for record in records] == ["bp", "spsa", "cobyla"]
    assert {record["parameters"] for record in records} == {31}
    bp = records[0]
    assert bp["lr"] in free.RATES["bp"] and bp["reached"][0] < 60
    assert free.line(bp, 60).startswith(f"| 31 | bp | {bp['lr']:g} | {bp['reached'][0]} | 1 of 1 |")
    for record in records:
        assert free.line(record, 60).count("|") == free.HEAD.splitlines()[0].count("|")


def test_the_comparison_takes_the_rate_that_most_seeds_reach_the_target_with_and_then_first(monkeypatch):
    """Each run begins at the start of its own seed, and uses the draws of its own seed."""
    def trace(passes, seconds=1.0):
        found = free.Trace(list(range(1, 31)), [1.0] * 30, seconds)
        if passes:
            found.losses[passes - 1:] = [0.1] * (31 - passes)
        return found

    after = {("bp", 10.0): (4, None), ("bp", 3.0): (20, 25), ("bp", 1.0): (22, 26),
             ("spsa", 1.0): (None, None), ("spsa", 0.3): (None, None), ("spsa", 0.1): (None, 29)}
    starts = []

    def descend(net, name, params, x, y, passes, lr, seed, target):
        starts.append((name, lr, seed, float(free.flat(params)[0])))
        return trace(after[name, lr][seed])

    monkeypatch.setattr(free, "descend", descend)
    monkeypatch.setattr(free, "cobyla", lambda net, params, x, y, passes, target: trace(9, 0.5))
    bp, spsa, cobyla = free.compare(widths=(3,), seeds=(0, 1), passes=30, target=0.5)
    assert (bp["lr"], bp["reached"]) == (3.0, [20, 25]) and (spsa["lr"], spsa["reached"]) == (0.1, [None, 29])
    assert cobyla["reached"] == [9, 9] and cobyla["lr"] is None
    assert bp["ms"] == pytest.approx(1000 * 2 / 60) and cobyla["ms"] == pytest.approx(1000 * 1 / 60)
    first = {seed: {at for _, _, s, at in starts if s == seed} for seed in (0, 1)}
    assert len(first[0]) == len(first[1]) == 1 and first[0] != first[1]
    assert [(name, lr, seed) for name, lr, seed, _ in starts] == [
        (name, lr, seed) for name, rates in free.RATES.items() for lr in rates for seed in (0, 1)]


def test_what_is_never_reached_is_said():
    record = {"parameters": 31, "method": "spsa", "lr": 0.1, "ms": 0.1}
    record |= {"reached": [None, 3, None], "loss": [0.5, 0.2, 0.6]}
    assert free.line(record, 60) == "| 31 | spsa | 0.1 | more than 60 | 1 of 3 | 0.500 | 0.10 |"


@pytest.mark.slow
def test_the_figure_is_drawn(records, tmp_path):
    free.draw(records, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_the_command(records, tmp_path, monkeypatch, capsys):
    def compare(note):
        note("| row |")
        return records
    monkeypatch.setattr(free, "compare", compare)
    free.main([str(tmp_path / "figure.svg")])
    assert capsys.readouterr().out == free.HEAD + "\n| row |\n" and (tmp_path / "figure.svg").is_file()
    for argv, sentence in ((["a", "b"], "usage"), (["--help"], "usage"), (["x.txt"], "expected a name that ends in")):
        with pytest.raises(SystemExit, match=sentence):
            free.main(argv)


def test_a_step_costs_spsa_two_passes_and_backpropagation_three(monkeypatch):
    case, passes = Case(RULES["spsa"], 0), []
    once = network.forward
    monkeypatch.setattr(network, "forward", lambda *a, **k: passes.append(1) or once(*a, **k))
    estimate(case)
    assert len(passes) == free.COSTS["spsa"] == free.COSTS["bp"] - 1


def test_cobyla_trains_one_linear_layer_too():
    net = Network((Dense(2),))
    params, _ = network.init(net, np.random.default_rng(0), (2,), "float64")
    x, y = np.eye(2), np.eye(2)
    assert free.cobyla(net, params, x, y, 60).losses[-1] < 0.3
