"""The pipeline: every schedule leaves the bits of the sequential run; errors in a worker; which rules it refuses."""
from __future__ import annotations

import threading
import traceback
from contextlib import nullcontext

import fakecupy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nobackprop import learn, models, network, rules, workers
from nobackprop.backend import to_module, to_numpy
from nobackprop.errors import InputError
from nobackprop.optim import OPTIMIZERS, bind
from nobackprop.studies import pipeline
from nobackprop.studies.locality import EVERY, Locality, Reads, same_bits
from nobackprop.studies.pipeline import Belt, BeltClosed, Station, makespan, one_by_one, play, shares
from nobackprop.tree import leaves, tree_map

SIX = "mlp:8,7,6,6,7,8"  # three components
EARLY = ["al", "drtp", "pred", "sim", "predsim"]


class Training:
    """A network, the state of a rule and mini-batches, all drawn from one seed."""

    def __init__(self, rule="al", model=SIX, batches=5, shape=(5,), seed=0, dtype="float64", xp=np):
        rng = np.random.default_rng(seed)
        self.rule, self.net = rules.get(rule), models.build(model, shape, 4, "elu,sigmoid")
        params, shapes = network.init(self.net, rng, shape, dtype)
        state = tree_map(lambda a: a.astype(dtype), self.rule.init(rng, self.net, params, shapes))
        self.params, self.state = to_module(params, xp), to_module(state, xp)
        self.batches = [(xp.asarray(rng.standard_normal((6, *shape)).astype(dtype)),
                         xp.asarray(np.eye(4, dtype=dtype)[rng.integers(4, size=6)])) for _ in range(batches)]

    def line(self, optimizer="adam", weight_decay=0.1):
        return pipeline.assemble(self.net, self.rule, self.params, self.state,
                                 lambda tree: bind(optimizer, tree, 0.01, weight_decay))

    def learnt(self):
        return to_numpy([self.params, self.state])

    def by_steps(self, optimizer="adam", weight_decay=0.1):
        """The training step that serves every rule."""
        opts = [bind(optimizer, tree, 0.01, weight_decay) for tree in (self.params, self.state)]
        for x, y in self.batches:
            learn.step(self.net, self.rule, self.params, self.state, *opts, x, y, np.random.default_rng(0))
        return self.learnt()


# The same bits

@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rule", EARLY)
def test_the_pipeline_is_the_sequential_run_bit_for_bit(rule, optimizer):
    expected = Training(rule).by_steps(optimizer)
    for many in (1, 2, 3):
        training = Training(rule)
        pipeline.run(training.line(optimizer), training.batches, workers=many, depth=many)
        assert same_bits(training.learnt(), expected), many


@pytest.mark.slow
@pytest.mark.parametrize("model, shape", [
    ("mlp:4,4", (5,)), ("mlp:4,6,4", (3, 3, 2)), ("folded-cnn:0.05", (8, 8, 1)), ("folded-resnet20:0.25", (8, 8, 1))])
def test_running_statistics_and_images_come_out_alike_too(model, shape):
    expected = Training(model=model, shape=shape).by_steps()
    training = Training(model=model, shape=shape)
    pipeline.run(training.line(), training.batches, workers=2)
    assert same_bits(training.learnt(), expected)


SEQUENTIAL = {rule: Training(rule).by_steps() for rule in ("al", "drtp")}
LOSSES = one_by_one(Training().line(), Training().batches)


@pytest.mark.slow
@pytest.mark.parametrize("rule", SEQUENTIAL)
@given(data=st.data())
def test_every_schedule_leaves_the_same_bits(rule, data):
    """Any order in which mini-batches visit the stations in turn, and stations take the mini-batches in turn."""
    training = Training(rule)
    line, n = training.line(), len(training.batches)
    done, order = [0] * len(line), []
    while len(order) < n * len(line):
        ready = [k for k in range(len(line)) if done[k] < (n if k == 0 else done[k - 1])]
        order.append(data.draw(st.sampled_from(ready)))
        done[order[-1]] += 1
    losses = play(line, training.batches, order)
    assert same_bits(training.learnt(), SEQUENTIAL[rule])
    if rule == "al":
        assert losses == LOSSES


def test_a_schedule_out_of_turn_is_refused():
    training = Training()
    with pytest.raises(ValueError, match="station 1 has no mini-batch to work on after 1"):
        play(training.line(), training.batches, [0, 1, 1])


def test_mini_batches_in_another_order_would_leave_other_bits():
    """A component that learns from the mini-batches in another order ends elsewhere."""
    training = Training()
    one_by_one(training.line(), training.batches[::-1])
    assert not same_bits(training.learnt(), SEQUENTIAL["al"])


@pytest.mark.slow
@given(workers=st.integers(1, 5), depth=st.integers(1, 3))
def test_threads_leave_the_same_bits_and_the_same_losses(workers, depth):
    training = Training()
    losses = pipeline.run(training.line(), training.batches, workers, depth)
    assert same_bits(training.learnt(), SEQUENTIAL["al"])
    assert losses == LOSSES and [len(found) for found in losses] == [5, 5, 5]


def test_it_runs_on_a_device_with_a_stream_for_each_station(monkeypatch):
    class Stream:
        made, inside = 0, threading.local()

        def __init__(self, non_blocking):
            assert non_blocking
            Stream.made += 1

        def __enter__(self):
            Stream.inside.here = True

        def __exit__(self, *error):
            Stream.inside.here = False

    used = []
    monkeypatch.setattr(fakecupy.cuda, "Stream", Stream, raising=False)
    monkeypatch.setattr(fakecupy.ndarray, "device", fakecupy.Device(), raising=False)
    monkeypatch.setattr(fakecupy.Device, "use", lambda self: used.append(threading.current_thread().name))
    synchronize, waited = pipeline.synchronize, []
    monkeypatch.setattr(pipeline, "synchronize", lambda xp: [waited.append(threading.current_thread().name),
                                                             synchronize(xp)][1])
    training = Training(xp=fakecupy)
    line = training.line()
    for station in line:
        step = station.step
        station.step = lambda s, t, step=step: Stream.inside.here and step(s, t)
    pipeline.run(line, training.batches, workers=2)
    assert same_bits(training.learnt(), SEQUENTIAL["al"])
    assert Stream.made == 3 and len(set(used)) == 2 and threading.current_thread().name not in used
    # a step is done before another stream sees what it made, and so is what made the batch
    assert waited.count(threading.current_thread().name) == 5 and len(waited) == 5 + 3 * 5


@pytest.mark.gpu
def test_it_runs_on_a_gpu_as_one_by_one_there(cupy):
    expected, training = Training(xp=cupy), Training(xp=cupy)
    one_by_one(expected.line(), expected.batches)
    pipeline.run(training.line(), training.batches, workers=3)
    assert same_bits(training.learnt(), expected.learnt())


def test_what_each_worker_writes_into_is_its_own():
    training = Training()
    seen = [{path: id(w) for opt in station.optimizers for path, (w, _) in opt.slots.items()}
            for station in training.line()]
    ids = [i for slots in seen for i in slots.values()]
    assert len(ids) == len(set(ids)) == sum(1 for _ in leaves([training.params, training.state]))


# Time

@given(n=st.integers(1, 60), c=st.integers(1, 20))
def test_the_makespan_of_unit_tasks_is_n_plus_c_minus_1_and_nc_with_one_worker(n, c):
    assert makespan(n, [1] * c) == n + c - 1 and makespan(n, [c]) == n * c
    clock = [[0] * (c + 1) for _ in range(n + 1)]
    for j in range(1, n + 1):
        for i in range(1, c + 1):
            clock[j][i] = 1 + max(clock[j - 1][i], clock[j][i - 1])
    assert clock[n][c] == n + c - 1


@given(n=st.integers(1, 12), costs=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_the_makespan_of_unequal_tasks(n, costs):
    free, done = [0] * len(costs), 0
    for _ in range(n):
        done = 0
        for w, cost in enumerate(costs):
            done = free[w] = max(free[w], done) + cost
    assert makespan(n, costs) == done


@given(weights=st.lists(st.integers(0, 9), min_size=1, max_size=8), workers=st.integers(1, 10))
def test_work_is_split_among_neighbours_as_evenly_as_possible(weights, workers):
    parts = shares(weights, workers)
    count = min(workers, len(weights))
    assert len(parts) == count and all(part.stop > part.start for part in parts)
    assert [k for part in parts for k in range(part.start, part.stop)] == list(range(len(weights)))

    def least(end, count):
        if count == 1:
            return sum(weights[:end])
        return min(max(least(cut, count - 1), sum(weights[cut:end])) for cut in range(count - 1, end))
    assert max(sum(weights[part]) for part in parts) == least(len(weights), count)


def test_a_station_weighs_the_numbers_that_it_learns():
    """W and b of a layer from m to n units are n (m + 1).  Of al f_i, h_i, g_i and b_i, in the last one the bridge."""
    def layers(*units):
        return sum(n * (m + 1) for m, n in zip(units, units[1:]))

    al, drtp = ([station.weight for station in Training(rule).line()] for rule in ("al", "drtp"))
    assert al == [layers(5, 8) + layers(8, 4) + layers(4, 8) + layers(8, 8),
                  layers(8, 7) + layers(7, 8) + layers(8, 7) + layers(7, 7),
                  layers(7, 6, 6) + layers(6, 7) + layers(7, 6)]
    sizes = (5, 8, 7, 6, 6, 7, 8)
    assert drtp == [*(layers(m, n) + 4 * n for m, n in zip(sizes, sizes[1:])), layers(8, 4)]


def test_each_station_has_one_worker_and_the_number_of_blas_threads_asked_for(monkeypatch):
    array, asked = np.ones(3), []
    with workers.limit(2):
        assert workers.count(array) == 2
        with pipeline.one_worker():
            assert workers.count(array) == 1
    monkeypatch.setattr(pipeline, "limit", lambda *how, **more: [asked.append((how, more)), nullcontext()][1])
    training = Training(batches=1)
    for how in ({}, {"blas": 3}):
        pipeline.run(training.line(), training.batches, **how)
    assert asked == [((1,), {"blas": 1}), ((1,), {"blas": 3})]


def test_stations_work_at_the_same_time():
    """Each station waits in its step until the other one is in a step: in turn, they would wait for ever."""
    meet = threading.Barrier(2, timeout=20)

    class Meeting(Station):
        weight = 1

        def __init__(self, name):
            self.name, self.seen = name, 0

        def step(self, s, t):
            self.seen += 1
            # station 0 is one mini-batch ahead: it is alone on its first one, and station 1 is alone on its last one
            if not (self.name == 0 and self.seen == 1) and not (self.name == 1 and self.seen == 4):
                meet.wait()
            return (s, t), ()

    line = [Meeting(0), Meeting(1)]
    pipeline.run(line, [(np.zeros(1), np.zeros(1))] * 4, workers=2)
    assert [station.seen for station in line] == [4, 4]


class WouldWaitError(Exception):
    """Raised by a belt that would have to wait."""


@pytest.fixture
def impatient(monkeypatch):
    """Belts that raise WouldWaitError instead of waiting."""
    class Impatient(threading.Condition):
        def wait_for(self, predicate, timeout=None):
            if not predicate():
                raise WouldWaitError
            return True

    monkeypatch.setattr(pipeline.threading, "Condition", Impatient)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_belt_holds_as_many_as_its_depth_and_gives_them_in_their_order(impatient, depth):
    belt = Belt(depth)
    for k in range(depth):
        belt.put((k, k))
    with pytest.raises(WouldWaitError):
        belt.put((depth, depth))
    taken = iter(belt)
    assert next(taken) == (0, 0)
    belt.put((depth, depth))
    with pytest.raises(WouldWaitError):
        belt.put((depth + 1, depth + 1))
    belt.end()
    assert list(taken) == [(k, k) for k in range(1, depth + 1)]


def test_an_empty_belt_makes_its_taker_wait(impatient):
    with pytest.raises(WouldWaitError):
        next(iter(Belt(1)))


@pytest.mark.parametrize("how, depth", [({}, 2), ({"depth": 1}, 1), ({"depth": 4}, 4)])
def test_the_belts_of_a_run_have_the_depth_that_was_asked_for(how, depth, monkeypatch):
    made = []
    monkeypatch.setattr(pipeline, "Belt", lambda depth: [made.append(depth), Belt(depth)][1])
    training = Training()
    pipeline.run(training.line(), training.batches, workers=3, **how)
    assert made == [depth] * 3


def test_no_station_gets_far_ahead():
    ahead = []

    class Counting(Station):
        weight, seen = 1, 0

        def step(self, s, t):
            self.seen += 1
            ahead.append(line[0].seen - line[1].seen)
            return (s, t), ()

    line = [Counting(), Counting()]
    pipeline.run(line, [(np.zeros(1), np.zeros(1))] * 50, workers=2, depth=3)
    # what waits, what is in hand at one end, and what is just taken at the other
    assert max(ahead) <= 3 + 2


# What goes wrong

class BoomError(Exception):
    pass


def breaking(station, at):
    """A station that raises an exception at its step number `at`, counted from 0."""
    step, count = station.step, [0]

    def broken(s, t):
        if count[0] == at:
            raise BoomError("no more")
        count[0] += 1
        return step(s, t)

    station.step = broken
    return station


@pytest.mark.slow
@given(which=st.integers(0, 2), at=st.integers(0, 5), workers=st.integers(1, 3))
def test_an_exception_stops_all_and_loses_nothing_but_the_current_step(which, at, workers):
    training = Training(batches=6)
    line = training.line()
    breaking(line[which], at)
    before = threading.active_count()
    with pytest.raises(BoomError, match="no more") as told:
        pipeline.run(line, training.batches, workers, depth=1)
    assert threading.active_count() == before
    frames = [frame.name for frame in traceback.extract_tb(told.value.__traceback__)]
    assert frames[-1] == "broken" and "run" in frames
    note, = told.value.__notes__
    came = [int(word) for word in note.removeprefix("the stations have learnt from ").split(" mini")[0].split(", ")]
    # those above have learnt all that passed, those below are not far ahead
    assert came[which:] == [at] * (3 - which)
    assert all(at <= count <= at + 2 + 2 * which for count in came[:which])
    reached = Training(batches=6)
    again = reached.line()
    waiting = reached.batches
    for station, count in zip(again, came, strict=True):
        waiting = [station.step(*pair)[0] for pair in waiting[:count]]
    assert same_bits(training.learnt(), reached.learnt())


def test_an_exception_of_the_batches_is_raised_too():
    def batches():
        yield from training.batches[:2]
        raise BoomError("empty")

    training = Training()
    with pytest.raises(BoomError, match="empty") as told:
        pipeline.run(training.line(), batches(), workers=2)
    assert told.value.__notes__ == ["the stations have learnt from 2, 2, 2 mini-batches"]


def test_an_interrupt_ends_the_workers_too():
    def batches():
        yield from training.batches[:3]
        raise KeyboardInterrupt

    training, before = Training(), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(training.line(), batches(), workers=3)
    assert threading.active_count() == before
    other = Training()
    one_by_one(other.line(), other.batches[:3])
    assert same_bits(training.learnt(), other.learnt())


def test_a_belt_that_is_left_takes_nothing_and_gives_nothing():
    belt = Belt(1)
    belt.put((1, 1))
    belt.leave()
    assert list(belt) == []
    with pytest.raises(BeltClosed):
        belt.put((2, 2))
    ended = Belt(2)
    ended.put((3, 3))
    ended.end()
    assert list(ended) == [(3, 3)]


@pytest.mark.parametrize("how, sentence", [
    ({"workers": 0}, "workers must be at least 1, got 0"), ({"depth": 0}, "depth must be at least 1"),
    ({"blas": -1}, "blas must be at least 1, got -1")])
def test_numbers_that_cannot_be(how, sentence):
    with pytest.raises(InputError, match=sentence):
        pipeline.run([], [], **how)


# Whom it serves

@pytest.mark.slow
@pytest.mark.parametrize("rule, reason", [
    ("bp", "hidden blocks read the output a_L, and so wait for the error"),
    ("las", "wait for the error"), ("ltas", "wait for the error"), ("dfa", "wait for the error"),
    ("dtp", "wait for the error"), ("shallow", "wait for the error"), ("asap", "wait for the error")])
def test_a_rule_whose_blocks_wait_is_refused_with_what_locality_measured(rule, reason):
    with pytest.raises(InputError, match=f"cannot be pipelined: .*{reason}; see nobackprop locality"):
        Training(rule).line()


FULL, ONE, OTHER = Reads(EVERY), frozenset({1}), frozenset({(1, 2)})


@pytest.mark.parametrize("hidden, feedback, reason", [
    (FULL, Reads(), ""),
    (Reads(EVERY, weights=frozenset({(1, 1)}), target=EVERY, presynaptic=EVERY), Reads(EVERY, target=EVERY), ""),
    (Reads(EVERY, output=ONE), Reads(), "hidden blocks read the output"),
    (Reads(EVERY, above=ONE), Reads(), "hidden blocks read what blocks above them recorded"),
    (Reads(EVERY, weights=OTHER), Reads(), "hidden blocks read the weights of other blocks"),
    (FULL, Reads(EVERY, output=ONE), "its feedback weights read the output"),
    (FULL, Reads(EVERY, above=ONE), "its feedback weights read what blocks above recorded"),
    (FULL, Reads(EVERY, weights=OTHER), "its feedback weights read the weights of other blocks"),
    (Reads(EVERY - ONE), Reads(), "some hidden blocks do not learn")])
def test_each_thing_that_keeps_a_block_waiting_is_a_reason_by_itself(hidden, feedback, reason, monkeypatch):
    monkeypatch.setattr(pipeline.locality, "measured", lambda rule: Locality(hidden, feedback))
    said = pipeline.waits(rules.BP())
    assert said.startswith(reason) and bool(said) == bool(reason)


@pytest.mark.slow
def test_no_rule_is_served_that_reads_more_than_its_own_block():
    served = [name for name, rule in rules.RULES.items() if name != "al" and not pipeline.waits(rule)]
    assert set(EARLY) - {"al"} <= set(served)
    for name in served:
        expected, training = Training(name, "mlp:6,6").by_steps(), Training(name, "mlp:6,6")
        pipeline.run(training.line(), training.batches, workers=2)
        assert same_bits(training.learnt(), expected), name
