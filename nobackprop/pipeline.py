"""The pipeline: component i learns from one mini-batch while component i + 1 learns from the one before.

    line = assemble(net, rule, params, state, lambda tree: bind("adam", tree, 1e-3))
    run(line, batches, workers=2)

A station is all that one component does with one mini-batch; it reads and writes its own parameters and nothing else,
so every schedule in which each mini-batch visits the stations in turn, and each station the mini-batches in turn,
leaves the same bits.  Kao and Chen 2020, section 3 and Table 1.  docs/pipeline.md says which rules can be run so.
"""
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from . import learn, locality, metrics, network
from .backend import Array, array_module, synchronize
from .errors import InputError
from .layers import Layer, Shape
from .network import Network
from .optim import Optimizer
from .rules import AssociatedLearning, Rule
from .tree import Tree, leaves
from .workers import limit

Batch = tuple[Array, Array]  # s (N, ...) and t (N, F): at first x and y*
Bind = Callable[[Tree], Optimizer]
DEPTH = 2  # mini-batches that may wait between two workers


# ---------------------------------------------------------------- stations


class Station:
    """One component: step(s, t) learns from a mini-batch and returns what the next one gets, and its losses.

    weight: how many numbers it learns, by which work is shared out.
    """

    weight: int

    def step(self, s: Array, t: Array) -> tuple[Batch, tuple[Array, ...]]:
        raise NotImplementedError


class Component(Station):
    """Component i, from 1, of associated learning."""

    def __init__(self, net: Network, rule: AssociatedLearning, params: Tree, state: Tree, bind: Bind, i: int):
        self.net, self.rule, self.params, self.state, self.i = net, rule, params, state, i
        self.own = {block: params[block] for block in rule.blocks(net, i)}
        self.optimizers = [bind(tree) for tree in (self.own, state[i - 1])]
        self.weight = metrics.size(self.own) + metrics.size(state[i - 1])

    def step(self, s: Array, t: Array) -> tuple[Batch, tuple[Array, ...]]:
        learnt = self.rule.component(self.net, self.params, self.state, self.i, s, t)
        for opt, grads in zip(self.optimizers, (learnt.grads, learnt.state), strict=True):
            opt(grads)
        part = self.rule.effective(self.net, self.i)
        network.remember(self.net[part], self.params[part], learnt.tape)
        return (learnt.tape.h[1], learnt.t), learnt.losses


@dataclass(frozen=True)
class Nobody(Layer):
    """An output block in the place of all above: it says nothing, (N, ...) -> (N, classes), and learns nothing."""

    classes: int

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        return (self.classes,)

    def forward(self, params: Tree, h: Array, train: bool = True) -> tuple[Array, Any]:
        return array_module(h).zeros((len(h), self.classes), h.dtype), None

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        return None, None


class Block(Station):
    """Block i, from 0, under a rule by which no block waits for those above: to it they might as well not be there."""

    def __init__(self, net: Network, rule: Rule, params: Tree, state: Tree, bind: Bind, i: int, classes: int):
        last = i == len(net) - 1
        self.net = net[i:] if last else Network((net[i], Nobody(classes)), net.loss)
        self.rule, self.params = rule, params[i:] if last else [params[i], None]
        self.state = state if state is None else [] if last else state[i:i + 1]
        self.optimizers = bind(self.params), bind(self.state)
        self.rng = np.random.default_rng(i)
        self.weight = metrics.size(self.params) + metrics.size(self.state)

    def step(self, s: Array, t: Array) -> tuple[Batch, tuple[Array, ...]]:
        tape = learn.step(self.net, self.rule, self.params, self.state, *self.optimizers, s, t, self.rng)
        return (tape.h[1], t), ()


def assemble(net: Network, rule: Rule, params: Tree, state: Tree, bind: Bind) -> list[Station]:
    """The stations in the order in which a mini-batch visits them; they write into params and state.

    bind: makes the optimiser of a tree, as optim.bind does.  Raises InputError for a rule whose blocks wait.
    """
    if isinstance(rule, AssociatedLearning):
        return [Component(net, rule, params, state, bind, i) for i in range(1, rule.components(net) + 1)]
    reason = waits(rule)
    if reason:
        raise InputError(f"rule {type(rule).__name__} cannot be pipelined: {reason}; see nobackprop locality")
    classes = [array for _, array in leaves(params[-1])][-1].shape[0]
    return [Block(net, rule, params, state, bind, i, classes) for i in range(len(net))]


@cache
def waits(rule: Rule) -> str:
    """What keeps a rule's blocks from learning as soon as the block below has, as measured; empty for nothing."""
    row = locality.locality(rule)
    reasons = [("hidden blocks read the output a_L, and so wait for the error", row.hidden.output),
               ("hidden blocks read what blocks above them recorded", row.hidden.above),
               ("hidden blocks read the weights of other blocks, which move meanwhile", row.hidden.transport),
               ("its feedback weights read the output a_L", row.feedback.output),
               ("its feedback weights read what blocks above recorded", row.feedback.above),
               ("its feedback weights read the weights of other blocks", row.feedback.transport),
               ("some hidden blocks do not learn", locality.EVERY - row.hidden.learns)]
    return next((said for said, found in reasons if found), "")


# ---------------------------------------------------------------- schedules


def shares(weights: Sequence[int], workers: int) -> list[slice]:
    """The stations of each worker, neighbours all: the split whose heaviest share is least; no worker has none."""
    count = min(workers, len(weights))
    heaviest = {(0, 0): (0, [0])}
    for k in range(1, count + 1):
        for end in range(k, len(weights) + 1):
            heaviest[k, end] = min((max(heaviest[k - 1, start][0], sum(weights[start:end])),
                                    [*heaviest[k - 1, start][1], end])
                                   for start in range(k - 1, end) if (k - 1, start) in heaviest)
    cuts = heaviest[count, len(weights)][1]
    return [slice(start, end) for start, end in zip(cuts, cuts[1:])]


def makespan(n: int, costs: Sequence[float]) -> float:
    """How long n mini-batches take that visit workers one after another, costs[w] each being with worker w.

    Of unit costs n + c - 1, and n c where one worker has all c components.  Communication is free.
    """
    return sum(costs) + (n - 1) * max(costs)


def play(stations: Sequence[Station], batches: Iterable[Batch], order: Iterable[int]) -> list[list[tuple[Any, ...]]]:
    """One worker alone: order says which station works next, each time on the mini-batch that is next for it.

    Returns the losses, [station][mini-batch].  Raises InputError where that mini-batch has not come so far.
    """
    waiting: list[deque[Batch]] = [deque(batches), *(deque() for _ in stations)]
    losses: list[list[tuple[Any, ...]]] = [[] for _ in stations]
    for k in order:
        if not waiting[k]:
            raise InputError(f"station {k} has no mini-batch to work on after {len(losses[k])}")
        after, found = stations[k].step(*waiting[k].popleft())
        losses[k].append(found)
        if k + 1 < len(stations):
            waiting[k + 1].append(after)
    return losses


def one_by_one(stations: Sequence[Station], batches: Iterable[Batch]) -> list[list[tuple[Any, ...]]]:
    """The sequential run: each mini-batch through all stations before the next one."""
    losses: list[list[tuple[Any, ...]]] = [[] for _ in stations]
    for s, t in batches:
        for k, station in enumerate(stations):
            (s, t), found = station.step(s, t)
            losses[k].append(found)
    return losses


# ---------------------------------------------------------------- workers


class Closed(Exception):
    """Nobody is at the other end of a belt any more."""


class Belt:
    """What one worker hands to the next: holds at most `depth` mini-batches, and can be left from either end."""

    def __init__(self, depth: int):
        self.items: deque[Batch] = deque()
        self.depth, self.changed = depth, threading.Condition()
        self.ended = self.left = False

    def put(self, item: Batch) -> None:
        """Waits for room.  Raises Closed where nobody takes any more."""
        with self.changed:
            self.changed.wait_for(lambda: self.left or len(self.items) < self.depth)
            if self.left:
                raise Closed
            self.items.append(item)
            self.changed.notify_all()

    def __iter__(self) -> Iterator[Batch]:
        """Waits for the next one; ends where all is taken and nobody puts any more."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.items or self.ended or self.left)
                if self.left or not self.items:
                    return
                item = self.items.popleft()
                self.changed.notify_all()
            yield item

    def end(self) -> None:
        """The one who puts goes; what lies there can still be taken."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def leave(self) -> None:
        """The one who takes goes; what lies there is lost."""
        with self.changed:
            self.left = True
            self.changed.notify_all()


def run(stations: Sequence[Station], batches: Iterable[Batch], workers: int = 2, depth: int = DEPTH,
        blas: int = 1) -> list[list[tuple[Any, ...]]]:
    """Every mini-batch through all stations, neighbouring stations being shared out to worker threads.

    workers: how many threads, at most one a station; blas: BLAS threads of each.  depth: how many mini-batches may
    wait in front of a worker, so that none runs away.  On a device every station has a stream of its own.
    Returns the losses, [station][mini-batch].

    Where a station or `batches` raises, the stations above finish what has passed it, those below stop, and the
    exception goes on from here with its traceback and a note of how far each station came.  Then, as after
    KeyboardInterrupt, params and state hold all that was learnt.  Raises InputError where a number is below 1.
    """
    for name, value in (("workers", workers), ("depth", depth), ("blas", blas)):
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    losses: list[list[tuple[Any, ...]]] = [[] for _ in stations]
    failures: list[BaseException] = []
    parts = shares([station.weight for station in stations], workers)
    belts = [Belt(depth) for _ in parts]
    with one_worker(blas):
        threads = [threading.Thread(target=copy_context().run, name=f"stations {part.start}-{part.stop - 1}", args=(
            _work, stations, part, belts[w], belts[w + 1] if w + 1 < len(parts) else None, losses, failures))
            for w, part in enumerate(parts)]
        for thread in threads:
            thread.start()
        try:
            for s, t in batches:
                synchronize(array_module(s))
                belts[0].put((s, t))
        except Closed:
            pass
        except BaseException as error:
            failures.append(error)
        belts[0].end()
        _join(threads, belts, failures)
    if failures:
        first = failures[0]
        first.add_note(f"the stations have learnt from {', '.join(str(len(found)) for found in losses)} mini-batches")
        raise first
    return losses


@contextmanager
def one_worker(blas: int = 1) -> Iterator[None]:
    """Inside, no kernel shares its work with other threads, and each product of matrices has so many BLAS threads."""
    with limit(1, blas=blas):
        yield


def _join(threads: list[threading.Thread], belts: list[Belt], failures: list[BaseException]) -> None:
    """Wait for all, also after an interrupt, which makes each end after the step it is at."""
    while any(thread.is_alive() for thread in threads):
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:
            failures.append(error)
            for belt in belts:
                belt.leave()


def _work(stations: Sequence[Station], part: slice, before: Belt, after: Belt | None,
          losses: list[list[tuple[Any, ...]]], failures: list[BaseException]) -> None:
    """A worker's life: its stations on every mini-batch that comes."""
    streams: dict[int, Any] = {}
    try:
        for s, t in before:
            xp = array_module(s)
            for k in range(part.start, part.stop):
                with _stream(xp, s, k, streams):
                    (s, t), found = stations[k].step(s, t)
                    synchronize(xp)
                losses[k].append(found)
            if after is not None:
                after.put((s, t))
    except Closed:
        pass
    except BaseException as error:
        failures.append(error)
    finally:
        before.leave()
        if after is not None:
            after.end()


def _stream(xp: Any, s: Array, k: int, streams: dict[int, Any]) -> Any:
    """The stream of station k on the device of s, made current; nothing on the host."""
    if xp is np:
        return nullcontext()
    s.device.use()
    if k not in streams:
        streams[k] = xp.cuda.Stream(non_blocking=True)
    return streams[k]
