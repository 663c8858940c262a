"""The optimisers against the textbook, and what they leave alone; the schedules at their marks."""
from __future__ import annotations

import copy
import pickle
import tracemalloc
from collections.abc import Callable
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import assert_close

from nobackprop import optim, workers
from nobackprop.backend import to_module, to_numpy
from nobackprop.errors import InputError
from nobackprop.optim import OPTIMIZERS, SCHEDULES, SGD, Adam, Momentum, bind, constant, cosine, plain_adam, step
from nobackprop.tree import leaves, tree_map

LR, DECAY, STEPS = 0.05, 0.1, 5


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(optim, "HOST_BLOCK", 8)
    monkeypatch.setattr(optim, "DEVICE_BLOCK", 8)


def drawn(seed: int) -> dict:
    """A tree with leaves of less than a block, of one, and of several and a part."""
    rng = np.random.default_rng(seed)
    return {"below": [{"W": rng.standard_normal((5, 7)), "b": rng.standard_normal(5)}, None],
            "gamma": rng.standard_normal(19), "beta": rng.standard_normal(8),
            "W": rng.standard_normal((2, 2, 2, 2))}


def in_float32(seed: int) -> dict:
    return tree_map(lambda w: w.astype("float32"), drawn(seed))


# The textbook: one array, one step at a time, as printed


def sgd(w, gradients):
    for g in gradients:
        w = w - LR * g(w)
    return w


def momentum(w, gradients):
    v = np.zeros_like(w)
    for g in gradients:
        v = 0.9 * v + g(w)
        w = w - LR * v
    return w


def nesterov(w, gradients):
    v = np.zeros_like(w)
    for g in gradients:
        now = g(w)
        v = 0.9 * v + now
        w = w - LR * (now + 0.9 * v)
    return w


def adam(w, gradients, shrink=1.0):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        w, m, v = plain_adam(shrink * w, g(w), m, v, t, LR)
    return w


TEXTBOOK: dict[str, Callable[..., np.ndarray]] = {
    "sgd": sgd, "momentum": momentum, "nesterov": nesterov, "adam": adam, "adamw": adam}


def by_the_book(name: str, w: np.ndarray, gradients: list[np.ndarray], decay: float) -> np.ndarray:
    if name == "adamw":
        return adam(w, [lambda w, g=g: g for g in gradients], shrink=1 - LR * decay)
    return TEXTBOOK[name](w, [lambda w, g=g: g + decay * w for g in gradients])


def test_plain_adam_moves_by_its_rate_first_and_always_if_the_gradient_stays(xp):
    """Bias correction then makes both means the gradient's own; without it the first step is 3 times too long."""
    g = xp.asarray(np.array([3.0, -0.5, 1e-4]))
    w = m = v = xp.asarray(np.zeros(3))
    for t in (1, 2, 3):
        w, m, v = plain_adam(w, g, m, v, t, LR)
        assert_close(to_numpy(w), -LR * t * to_numpy(g / (abs(g) + 1e-8)))
    assert_close(to_numpy(m), (1 - 0.9**3) * to_numpy(g))
    assert_close(to_numpy(v), (1 - 0.999**3) * to_numpy(g)**2)


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_does_what_the_textbook_says(small_blocks, xp, name, decay):
    start, gradients = drawn(0), [drawn(seed) for seed in range(1, STEPS + 1)]
    params = to_module(tree_map(np.copy, start), xp)
    opt = bind(name, params, LR, decay)
    for g in gradients:
        opt(to_module(g, xp))
    series = [dict(leaves(g)) for g in gradients]
    for (path, w), (_, came) in zip(leaves(start), leaves(to_numpy(params)), strict=True):
        decays = path.rpartition("/")[2] == "W"
        expected = by_the_book(name, w, [g[path] for g in series], decay if decays else 0.0)
        assert_close(came, expected, of=w)


@pytest.mark.parametrize("name, make", [("sgd", SGD), ("momentum", Momentum)])
def test_decoupled_decay_shrinks_the_weights_alone(small_blocks, name, make):
    """As one textbook step from weights that were shrunk before."""
    params, g = drawn(0), drawn(1)
    shrunk = params["W"] * (1 - LR * DECAY)
    free = params["gamma"].copy()
    make(params, LR, DECAY, decoupled=True)(g)
    for path, start in (("W", shrunk), ("gamma", free)):
        assert_close(params[path], by_the_book(name, start, [g[path]], 0.0), of=(start, g[path]))


@given(seed=st.integers(0, 1000), split=st.integers(1, 40))
def test_the_size_of_the_blocks_changes_no_bit(seed, split):
    results = []
    for block in (split, 1 << 15):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(optim, "HOST_BLOCK", block)
            params = drawn(seed)
            opt = Adam(params, LR, DECAY)
        opt(drawn(seed + 1))
        opt(drawn(seed + 2))
        results.append(params)
    tree_map(np.testing.assert_array_equal, *results)


# Small leaves move together


def moved(name: str, decay: float, series: list, small: int, xp, after: Callable = lambda opt: opt) -> tuple:
    """All that an optimiser has changed after some steps, if leaves of so many numbers are small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optim, "SMALL", small)
        opt = bind(name, to_module(in_float32(0), xp), LR, decay)
        for g in series:
            opt(to_module(g, xp))
            opt = after(opt)
        return [(path, to_numpy(w).tobytes(), [to_numpy(m).tobytes() for m in memories], opt.steps[path])
                for path, (w, memories) in opt.slots.items()], opt


def without(tree: dict, *names: str) -> dict:
    return {name: None if name in names else below for name, below in tree.items()}


SERIES = {
    "all leaves": [in_float32(seed) for seed in range(1, 4)],
    "no gradient for a small leaf, now and then": [in_float32(1), without(in_float32(2), "beta"), in_float32(3),
                                                   without(in_float32(4), "gamma"), in_float32(5)],
    "no gradient for any small leaf": [in_float32(1), without(in_float32(2), "below", "beta", "W"), in_float32(3)],
    "gradients of other types": [drawn(1), in_float32(2) | {"beta": np.arange(8)}, drawn(3)],
}


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)
def test_that_small_leaves_move_together_changes_no_bit(xp, name, decay, series):
    together, opt = moved(name, decay, series, 16, xp)
    alone, other = moved(name, decay, series, 0, xp)
    assert [list(some.leaves) for some in opt.together] == [["below/0/b", "beta", "W"]] and not other.together
    assert together == alone


@pytest.mark.parametrize("again", [copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_small_leaves_of_a_copy_move_together_as_well(name, again):
    series = SERIES["all leaves"]
    copied, opt = moved(name, DECAY, series, 16, np, again)
    assert copied == moved(name, DECAY, series, 16, np)[0]
    assert len(opt.together) == 1 and opt.holds(opt.tree)
    assert not opt.__getstate__()["together"]  # or a file would hold every memory twice
    for path, (_, memories) in opt.slots.items():
        for memory, joint in zip(memories, opt.together[0].memories, strict=True):
            assert np.shares_memory(memory, joint) == (path in opt.together[0].leaves)


def test_one_call_moves_all_small_leaves():
    calls = []

    class Counted(SGD):
        def block_update(self, step):
            calls.append([])
            update = super().block_update(step)
            return lambda w, *others: (calls[-1].append(w.size), update(w, *others))
    opt = Counted({f"b{i}": np.ones(i) for i in range(1, 5)} | {"W": np.ones(optim.SMALL + 1)}, LR)
    opt(tree_map(np.copy, opt.tree))
    opt(without(opt.tree, "b2"))
    assert calls[0] == [10, optim.SMALL + 1] and sorted(calls[1]) == [1, 3, 4, optim.SMALL + 1]


def test_small_leaves_that_fill_more_than_a_block_make_several_groups(monkeypatch):
    monkeypatch.setattr(optim, "HOST_BLOCK", 8)
    opt = SGD([np.ones(n) for n in (5, 3, 1, 9, 7, 2)] + [np.ones(2, "float32"), np.ones(1, "float32")], LR)
    assert [list(some.leaves) for some in opt.together] == [["0", "1"], ["2", "4"], ["6", "7"]]


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_number_of_workers_changes_no_bit(small_blocks, monkeypatch, name, decay):
    monkeypatch.setattr(optim, "ALONE", 2)
    results = []
    for threads in (1, 2, 5):
        params = drawn(0)
        opt = bind(name, params, LR, decay)
        with workers.limit(threads):
            for seed in range(1, STEPS + 1):
                opt(drawn(seed))
        results.append(params)
    for other in results[1:]:
        tree_map(np.testing.assert_array_equal, results[0], other)


def test_workers_have_scratch_arrays_of_their_own(small_blocks, monkeypatch):
    monkeypatch.setattr(optim, "ALONE", 2)
    meet = Barrier(2, timeout=60)

    class Watched(SGD):
        def block_update(self, step):
            def update(w, g, s):
                s[:] = w[0]
                meet.wait()
                assert (s == w[0]).all()
                meet.wait()
            return update

    with workers.limit(2):  # the barrier breaks if `update` is not called twice at the same time
        Watched({"W": np.arange(48.0)}, LR)({"W": np.ones(48)})


def test_small_leaves_are_left_to_the_caller(small_blocks, monkeypatch):
    lengths = []
    monkeypatch.setattr(optim, "split_among_workers", lambda work, length, *arrays: lengths.append(length))
    params = {"W": np.ones(8 * optim.ALONE), "V": np.ones(8 * optim.ALONE - 8)}
    with workers.limit(2):
        SGD(params, lr=1.0)(tree_map(np.copy, params))
    assert lengths == [optim.ALONE] and not params["V"].any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_rate_may_change_between_steps(name):
    params = {"W": np.ones(3)}
    opt = bind(name, params, LR)
    opt.lr = 0.0
    opt({"W": np.ones(3)})
    np.testing.assert_array_equal(params["W"], 1)


NUMBERS = {"lr": 0.01, "weight_decay": 0.1, "mu": 0.7, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3}
OPTIONS = {SGD: ("lr", "weight_decay"), Momentum: ("lr", "weight_decay", "mu"),
           Adam: ("lr", "weight_decay", "beta1", "beta2", "eps")}
EACH = [(make, name) for make, names in OPTIONS.items() for name in names]


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("make, name", EACH)
def test_numbers_of_numpys_make_the_bits_that_pythons_make(make, name, kind, decoupled):
    """Given at first, and set later on, as schedules do."""
    given = kind(NUMBERS[name])
    results = []
    for first, later in ((given, None), (given.item(), None), (NUMBERS[name], given), (NUMBERS[name], given.item())):
        params = in_float32(0)
        opt = make(params, **({"lr": 0.01, "weight_decay": 0.1, "decoupled": decoupled} | {name: first}))
        if later is not None:
            setattr(opt, name, later)
        assert type(getattr(opt, name)) in (float, int)
        for seed in (1, 2, 3):
            opt(in_float32(seed))
        results.append([w.tobytes() for _, w in leaves(params)])
        assert {w.dtype.name for _, w in leaves(params)} == {"float32"}
    assert results[0] == results[1] and results[2] == results[3]


@pytest.mark.parametrize("make, name", EACH)
def test_numbers_that_cannot_be(make, name):
    kind = "finite" if name in ("lr", "weight_decay") else "non-negative"  # with a negative rate it climbs
    for wrong in (float("nan"), float("inf"), float("-inf"), "0.1", None, 1j, True, np.ones(1), [0.1]) + (
            (-1e-9,) * (kind != "finite")):
        with pytest.raises(InputError, match=f"^{name} must be a {kind} number"):
            make(drawn(0), **({"lr": 0.01} | {name: wrong}))
    make(drawn(0), **({"lr": 0.01} | {name: 0}))
    if name.startswith("beta"):
        with pytest.raises(InputError, match=f"^{name} must be a non-negative number below 1, got 1.0$"):
            make(drawn(0), 0.01, **{name: 1})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_negative_rate_climbs(name):
    """Step by step the mirror image of descent: what one adds, the other subtracts, to the last bit."""
    up, down = (in_float32(0) for _ in range(2))
    for params, lr in ((up, -0.25), (down, 0.25)):
        tree_map(lambda w: w.fill(0), params)
        opt = bind(name, params, lr)
        for seed in (1, 2, 3):
            opt(in_float32(seed))
    for (_, u), (_, v) in zip(leaves(up), leaves(down), strict=True):
        assert v.any()
        np.testing.assert_array_equal(u, -v)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("wrong", [None, "0.1", float("nan"), float("inf"), 10**400, True, np.ones(2)], ids=repr)
def test_a_rate_that_cannot_be_is_refused_whenever_it_comes(name, wrong):
    opt = bind(name, drawn(0), LR)
    for act in (lambda: bind(name, drawn(0), wrong), lambda: setattr(opt, "lr", wrong)):
        with pytest.raises(InputError, match="^lr must be a finite number, got"):
            act()
    for act in (lambda: bind(name, drawn(0), LR, wrong), lambda: setattr(opt, "weight_decay", wrong)):
        with pytest.raises(InputError, match="^weight_decay must be a finite number, got"):
            act()
    assert opt.lr == LR and opt.weight_decay == 0


@pytest.mark.parametrize("make, sentence", [
    (lambda: SGD(drawn(0), LR, decoupled=1),  # type: ignore[arg-type]
     "^decoupled must be True or False, got 1$"),
    (lambda: Momentum(drawn(0), LR, nesterov="no"),  # type: ignore[arg-type]
     "^nesterov must be True or False, got 'no'$"),
    (lambda: bind("sgd", [1.0], LR), "^the leaf 0 is 1.0, expected an array of floats$"),
    (lambda: bind("sgd", "params", LR), "^the leaf of the tree is 'params', expected an array of floats$"),
    (lambda: bind("sgd", {"W": np.ones(3, int)}, LR), r"^the leaf W is array.*, expected an array of floats$"),
    (lambda: bind("sgd", {"W": np.ones(3, complex)}, LR), "expected an array of floats$"),
    (lambda: bind("sgd", {"W": np.ma.masked_array(np.ones(3))}, LR), "expected an array of floats$"),
    (lambda: bind("sgd", {"W": np.broadcast_to(1.0, 3)}, LR), "^the leaf W is "),
    (lambda: bind("sgd", {"W": np.frombuffer(bytes(24))}, LR), "^the leaf W is read-only, expected an array that can"),
    (lambda: bind("sgd", {"W": np.ones((3, 4)).T}, LR), "^the leaf W is not contiguous"),
])
def test_what_an_optimiser_cannot_be_bound_to(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


@pytest.mark.parametrize("grads", [
    {"gamma": 1.0}, {"gamma": [1.0]}, {"gamma": "x"}, 3.0, "x", [1.0], [1, 2, 3], object(), {"gamma": [None, "x"]},
    {"gamma": np.ones(19) * 1j}, {"gamma": np.array(["x"] * 19)}, {"gamma": np.array([1.0] * 19, object)},
    {"gamma": np.ma.masked_array(np.ones(19))}, {"gamma": np.zeros(19, "datetime64[s]")}])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_that_is_no_array_of_numbers_moves_nothing(grads, name):
    params = drawn(0)
    if isinstance(grads, dict):
        grads = {"below": [{"W": np.ones((5, 7))}]} | grads  # it comes first
    opt = bind(name, params, LR)
    with pytest.raises(InputError, match="^the gradient(s are .* tree has them: .*| of gamma is .* as the leaf)$"):
        opt(grads)
    assert set(opt.steps.values()) == {0}
    for (_, u), (_, v) in zip(leaves(params), leaves(drawn(0)), strict=True):
        np.testing.assert_array_equal(u, v)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_memory_that_would_move_twice_is_refused(xp, name):
    w = xp.asarray(np.ones((4, 3)))
    for twice in ({"a": w, "b": w}, [w, w[1:]], [w[:3], w[2:]], [[w.reshape(-1)], {"c": w[1]}]):
        with pytest.raises(InputError, match="^the leaves .* and .* share memory: an optimiser would move it twice$"):
            bind(name, twice, LR)
    bind(name, [w[:2], w[2:], w[:0], w[:0]], LR)


def test_an_optimiser_says_what_it_is():
    assert repr(bind("adam", {"W": np.ones(2), "b": np.ones(1)}, 0.01)) == "Adam(2 arrays, lr=0.01, weight_decay=0)"


# Which tree


def test_an_optimiser_knows_its_tree_and_whether_all_of_it_is_still_there():
    params = drawn(0)
    opt = SGD(params, LR)
    assert opt.holds(params) and not opt.holds(drawn(0)) and not opt.holds(dict(params))
    opt(drawn(1))
    assert opt.holds(params)
    for node, key in ((params, "gamma"), (params["below"][0], "W"), (params["below"], 0), (params, "below")):
        kept = node[key]
        node[key] = type(kept)(kept) if isinstance(kept, dict | list) else kept.copy()
        assert not opt.holds(params)
        node[key] = kept
        assert opt.holds(params)
    params["below"][1] = np.ones(3)  # nothing was there
    assert not opt.holds(params)


def test_leaves_with_one_path_are_refused():
    """Or one of them would stand still."""
    for tree in ({"a/b": np.ones(1), "a": {"b": np.ones(1)}}, {1: np.ones(1), "1": np.ones(1)}):
        with pytest.raises(ValueError, match="two leaves of the tree have the path"):
            SGD(tree, LR)


# What is left alone


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_are_not_written_to(small_blocks, name):
    g = drawn(1)
    kept = tree_map(np.ndarray.tobytes, g)
    for _, array in leaves(g):
        array.setflags(write=False)
    opt = bind(name, drawn(0), LR, DECAY)
    opt(g)
    opt(g)
    assert tree_map(np.ndarray.tobytes, g) == kept


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_where_there_is_no_gradient_nothing_moves(small_blocks, name):
    params = drawn(0)
    opt = bind(name, params, LR, DECAY)
    opt(drawn(1))

    def all_of_it() -> dict:
        return {path: (w.tobytes(), [m.tobytes() for m in memories], opt.steps[path])
                for path, (w, memories) in opt.slots.items()}
    before = all_of_it()
    opt(None)
    opt({"below": None})
    assert all_of_it() == before
    partly = drawn(2)
    partly["below"][0]["W"] = None
    partly["gamma"] = None
    opt(partly)
    still = {path for path, value in all_of_it().items() if value == before[path]}
    assert still == {"below/0/W", "gamma"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_leaf_counts_its_own_steps(name):
    """One that was left out at first then moves as if training began there."""
    params = {"W": np.ones(5), "V": np.ones(5)}
    opt, g = bind(name, params, LR), np.arange(5.0)
    opt({"V": g, "W": None})
    first = params["V"].copy()
    opt({"W": g, "V": None})
    np.testing.assert_array_equal(params["W"], first)


def test_a_tree_of_nothing_is_served():
    opt = bind("adam", None, LR)
    opt(None)
    assert not opt.slots


@pytest.mark.parametrize("grads, sentence", [
    ({"below": [{"W": np.ones((7, 5))}, None]}, r"^the gradient of below/0/W is .* \(7, 5\) .* \(5, 7\)"),
    ({"below": [None, np.ones(3)]}, r"^the gradients are .* at below/1, expected arrays only where "),
    ({"other": np.ones(3)}, r"float64 at other, expected arrays only where .* has them: .*gamma"),
    ({"gamma": np.ones(18)}, r"the gradient of gamma is an array of shape \(18,\) and type float64, .* \(19,\)"),
    (np.ones(3), r"^the gradients are an array of shape \(3,\) and type float64, expected arrays only where "),
    (3, "^the gradients are 3, expected arrays only where "),
    ([1, 2, 3], "^the gradients are 1 at 0, expected arrays only where "),
])
def test_a_gradient_that_fits_nowhere_is_refused_with_its_path(grads, sentence):
    with pytest.raises(ValueError, match=sentence):
        SGD(drawn(0), LR)(grads)


def test_a_leaf_that_cannot_be_written_into_is_refused_with_its_path(xp):
    with pytest.raises(ValueError, match="the leaf 0/W is not contiguous"):
        SGD([{"W": xp.asarray(np.ones((3, 4))).T}], LR)
    with pytest.raises(ValueError, match="the leaf b is not contiguous"):
        Adam({"b": xp.asarray(np.ones(6))[::2]}, LR)


def test_a_gradient_need_not_be_contiguous(xp):
    params, host = {"W": xp.asarray(np.zeros((3, 4)))}, np.arange(12.0).reshape(4, 3)
    SGD(params, lr=1.0)({"W": xp.asarray(host).T})
    np.testing.assert_array_equal(to_numpy(params["W"]), -host.T)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_dtype_of_a_leaf_is_that_of_its_memories(xp, name, dtype):
    params = {"W": xp.asarray(np.ones(20, dtype))}
    opt = bind(name, params, LR, DECAY)
    opt({"W": xp.asarray(np.ones(20, dtype))})
    w, memories = opt.slots["W"]
    assert w is params["W"] and {array.dtype for array in (w, *memories)} == {np.dtype(dtype)}


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_temporary_is_as_large_as_the_weights(name, decay):
    params, g = {"W": np.ones(2_000_000)}, {"W": np.ones(2_000_000)}
    opt = bind(name, params, LR, decay)
    tracemalloc.start()
    try:
        opt(g)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * optim.HOST_BLOCK * g["W"].itemsize


# Names and schedules


def test_every_optimiser_has_a_page_in_the_textbook():
    assert set(TEXTBOOK) == set(OPTIMIZERS)


def test_an_optimiser_of_no_known_name():
    with pytest.raises(InputError, match="unknown optimizer 'adm': did you mean 'adam'"):
        bind("adm", {}, LR)


@pytest.mark.parametrize("percent, value", [
    (0, 1), (49.9, 1), (50, 0.25), (74.9, 0.25), (75, 0.25**2), (88.9, 0.25**2), (89, 0.25**3),
    (93.9, 0.25**3), (94, 0.25**4), (100, 0.25**4),
])
def test_the_steps_come_at_their_marks(percent, value):
    assert step(percent / 100) == value


def test_over_100_epochs_the_steps_come_at_their_marks():
    values = [step(epoch / 100) for epoch in range(100)]
    assert [epoch for epoch in range(1, 100) if values[epoch] < values[epoch - 1]] == [50, 75, 89, 94]


def test_the_cosine_runs_from_1_to_0():
    assert cosine(0.0) == 1 and cosine(1.0) == 0
    assert_close(cosine(0.5), 0.5)
    assert_close(cosine(1 / 3), 0.75)


def test_constant_is_constant():
    assert {constant(progress / 10) for progress in range(11)} == {1.0}


@given(st.sampled_from(sorted(SCHEDULES)), st.floats(0, 1), st.floats(0, 1))
def test_no_schedule_goes_up_or_leaves_0_to_1(name, a, b):
    early, late = sorted((a, b))
    assert 0 <= SCHEDULES[name](late) <= SCHEDULES[name](early) <= 1 == SCHEDULES[name](0.0)
