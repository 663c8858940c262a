"""The pipeline: component i learns from one mini-batch while component i + 1 learns from the one before.

    line = assemble(net, rule, params, state, lambda tree: bind("adam", tree, 1e-3))
    run(line, batches, workers=2)

A station is all that one component does with one mini-batch.  It reads and writes its own parameters and nothing else.
A schedule says which station works when.  In every schedule that is allowed, each mini-batch visits the stations in
turn, and each station takes the mini-batches in turn; so all of these schedules leave the same bits.  A belt carries
mini-batches from one worker, which is a thread, to the next.

The source is Kao and Chen 2020, section 3 and Table 1.  docs/pipeline.md says which rules can be run in this way.
"""
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import learn, metrics, network
from ..backend import Array, array_module, synchronize
from ..errors import InputError, integer
from ..layers import Layer, Shape
from ..network import Network
from ..optim import Optimizer
from ..rules import AssociatedLearning, Rule
from ..tree import Tree, leaves
from ..workers import limit, threads_start
from . import locality

Batch = tuple[Array, Array]  # s (N, ...) and t (N, F): at first x and y*
Bind = Callable[[Tree], Optimizer]
DEPTH = 2  # mini-batches that may wait between two workers


# ---------------------------------------------------------------- stations


class Station:
    """One component that learns: the base class of `Component` and `Block`.

    Attributes
    ----------
    weight : int
        How many numbers it learns; work is split among workers by this.

    Examples
    --------
    >>> class Double(Station):
    ...     weight = 1
    ...     def step(self, s, t):
    ...         return (2 * s, t), (s + t,)
    >>> one_by_one([Double(), Double()], [(1, 0), (5, 0)])
    [[(1,), (5,)], [(2,), (10,)]]
    """

    weight: int

    def step(self, s: Array, t: Array) -> tuple[Batch, tuple[Array, ...]]:
        """Learn from one mini-batch.

        Parameters
        ----------
        s : Array, shape (N, ...)
            The activity that comes from the station below; the input x at the first station.
        t : Array, shape (N, F)
            The target that comes with it; y* at the first station.

        Returns
        -------
        tuple of (Array, Array) and tuple of Array
            The pair (s, t) for the next station, and the losses of this one.
        """
        raise NotImplementedError


class Component(Station):
    """Component i of associated learning, as a station.

    Parameters
    ----------
    net : Network
        The network.
    rule : AssociatedLearning
        The rule.
    params, state : Tree
        The parameters and the state, which the station writes into.
    bind : callable
        A function that makes the optimiser of a tree, as `optim.bind` does.
    i : int
        The component, counted from 1.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.optim import bind
    >>> from nobackprop.rules import get
    >>> net, rule, rng = models.build("mlp:4,4", (3,), 2), get("al"), np.random.default_rng(0)
    >>> params, shapes = network.init(net, rng, (3,))
    >>> state = rule.init(rng, net, params, shapes)
    >>> line = assemble(net, rule, params, state, lambda tree: bind("sgd", tree, 0.1))
    >>> line[0].i, sorted(line[0].own)  # the blocks, from 0, whose parameters component 1 writes into
    (1, [0, 1, 2])
    """

    def __init__(self, net: Network, rule: AssociatedLearning, params: Tree, state: Tree, bind: Bind, i: int):
        self.net, self.rule, self.params, self.state, self.i = net, rule, params, state, i
        self.own = {block: params[block] for block in rule.blocks(net, i)}
        self.optimizers = [bind(tree) for tree in (self.own, state[i - 1])]
        self.weight = metrics.size(self.own) + metrics.size(state[i - 1])

    def step(self, s: Array, t: Array) -> tuple[Batch, tuple[Array, ...]]:
        """Learn from one mini-batch, see `Station.step`; the losses are those of `code_quality.associated_losses`."""
        learnt = self.rule.component(self.net, self.params, self.state, self.i, s, t)
        for opt, grads in zip(self.optimizers, (learnt.grads, learnt.state), strict=True):
            opt(grads)
        part = self.rule.effective(self.net, self.i)
        network.remember(self.net[part], self.params[part], learnt.tape)
        return (learnt.tape.h[1], learnt.t), learnt.losses


@dataclass(frozen=True)
class SilentTop(Layer):
    """An output block that stands for all blocks above: it maps (N, ...) to zeros (N, classes), and it learns nothing.

    Attributes
    ----------
    classes : int
        The number of classes.

    Examples
    --------
    >>> import numpy as np
    >>> SilentTop(3).forward(None, np.ones((1, 4)))[0].tolist()
    [[0.0, 0.0, 0.0]]
    """

    classes: int

    def out_shape(self, shape: Shape, params: Tree = None) -> Shape:
        """Return the shape of one sample at the output, (classes,); see `Layer.out_shape`."""
        return (self.classes,)

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        """Return zeros, shape (N, classes), and no cache; see `Layer.forward`."""
        return array_module(h).zeros((len(h), self.classes), h.dtype), None

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        """Return neither an error nor gradients; see `Layer.backward`."""
        return None, None


class Block(Station):
    """Block i as a station, under a rule by which no block waits for the blocks above.

    To such a block the blocks above might as well not be there, so `SilentTop` takes their place.

    Parameters
    ----------
    net : Network
        The network.
    rule : Rule
        The rule.
    params, state : Tree
        The parameters and the state, which the station writes into.
    bind : callable
        A function that makes the optimiser of a tree, as `optim.bind` does.
    i : int
        The block, counted from 0.
    classes : int
        The number of classes.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.optim import bind
    >>> from nobackprop.rules import get
    >>> net, rng = models.build("mlp:4,4", (3,), 2), np.random.default_rng(0)
    >>> params, shapes = network.init(net, rng, (3,))
    >>> state = get("pred").init(rng, net, params, shapes)
    >>> Block(net, get("pred"), params, state, lambda tree: bind("sgd", tree, 0.1), 0, classes=2).net.blocks[1]
    SilentTop(classes=2)
    """

    def __init__(self, net: Network, rule: Rule, params: Tree, state: Tree, bind: Bind, i: int, classes: int):
        last = i == len(net) - 1
        self.net = net[i:] if last else Network((net[i], SilentTop(classes)), net.loss)
        self.rule, self.params = rule, params[i:] if last else [params[i], None]
        self.state = state if state is None else [] if last else state[i:i + 1]
        self.optimizers = bind(self.params), bind(self.state)
        self.rng = np.random.default_rng(i)
        self.weight = metrics.size(self.params) + metrics.size(self.state)

    def step(self, s: Array, t: Array) -> tuple[Batch, tuple[Array, ...]]:
        """Learn from one mini-batch, see `Station.step`; there are no losses."""
        tape = learn.step(self.net, self.rule, self.params, self.state, *self.optimizers, s, t, self.rng)
        return (tape.h[1], t), ()


def assemble(net: Network, rule: Rule, params: Tree, state: Tree, bind: Bind) -> list[Station]:
    """Return the stations of a network, in the order in which a mini-batch visits them.

    Parameters
    ----------
    net : Network
        The network.
    rule : Rule
        The rule.
    params, state : Tree
        The parameters and the state, which the stations write into.
    bind : callable
        A function that makes the optimiser of a tree, as `optim.bind` does.

    Returns
    -------
    list of Station
        One station for each component of associated learning, or for each block under other rules.

    Raises
    ------
    InputError
        If blocks of the rule wait for others, so that no pipeline is possible.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.optim import bind
    >>> from nobackprop.rules import get
    >>> net, rule, rng = models.build("mlp:4,4", (3,), 2), get("al"), np.random.default_rng(0)
    >>> params, shapes = network.init(net, rng, (3,))
    >>> state = rule.init(rng, net, params, shapes)
    >>> line = assemble(net, rule, params, state, lambda tree: bind("sgd", tree, 0.1))
    >>> len(line) == rule.components(net)
    True
    """
    if isinstance(rule, AssociatedLearning):
        return [Component(net, rule, params, state, bind, i) for i in range(1, rule.components(net) + 1)]
    reason = waits(rule)
    if reason:
        raise InputError(f"rule {type(rule).__name__} cannot be pipelined: {reason}; see nobackprop locality")
    classes = [array for _, array in leaves(params[-1])][-1].shape[0]
    return [Block(net, rule, params, state, bind, i, classes) for i in range(len(net))]


def waits(rule: Rule) -> str:
    """Say what keeps the blocks of a rule from learning as soon as the block below has learnt.

    Parameters
    ----------
    rule : Rule
        The rule.

    Returns
    -------
    str
        The first reason that the measurement of `locality` finds; empty if there is none.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> waits(get("dfa"))
    'hidden blocks read the output a_L, and so wait for the error'
    """
    row = locality.measured(rule)
    reasons = [("hidden blocks read the output a_L, and so wait for the error", row.hidden.output),
               ("hidden blocks read what blocks above them recorded", row.hidden.above),
               ("hidden blocks read the weights of other blocks, which move meanwhile",
                row.hidden.transport | row.hidden.passes),
               ("its feedback weights read the output a_L", row.feedback.output),
               ("its feedback weights read what blocks above recorded", row.feedback.above),
               ("its feedback weights read the weights of other blocks",
                row.feedback.transport | row.feedback.passes),
               ("some hidden blocks do not learn", locality.EVERY - row.hidden.learns)]
    return next((said for said, found in reasons if found), "")


# ---------------------------------------------------------------- schedules


def shares(weights: Sequence[int], workers: int) -> list[slice]:
    """Split the stations among workers, so that the largest share is as small as possible.

    Parameters
    ----------
    weights : sequence of int
        The weight of each station.
    workers : int
        The number of workers.

    Returns
    -------
    list of slice
        The stations of each worker, which are neighbours.  There are no more workers than stations, and every worker
        has at least one.

    Examples
    --------
    >>> shares([5, 1, 1, 4], workers=2)
    [slice(0, 1, None), slice(1, 4, None)]
    """
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
    """Return how long n mini-batches take if they visit workers one after another.

    Parameters
    ----------
    n : int
        The number of mini-batches.
    costs : sequence of float
        How long one mini-batch is with each worker.

    Returns
    -------
    float
        The time, in the unit of `costs`: sum(costs) + (n - 1) max(costs).

    Notes
    -----
    For c workers of unit cost this is n + c - 1; for one worker that has all c components it is n c.  Communication is
    taken to cost nothing.

    Examples
    --------
    >>> makespan(10, [1, 1, 1]), makespan(10, [3])
    (12, 30)
    """
    return sum(costs) + (n - 1) * max(costs)


def play(stations: Sequence[Station], batches: Iterable[Batch], order: Iterable[int]) -> list[list[tuple[Any, ...]]]:
    """Run all stations on one worker, in an order that is given.

    Parameters
    ----------
    stations : sequence of Station
        The stations, in the order in which a mini-batch visits them.
    batches : iterable of (Array, Array)
        The mini-batches: inputs x (N, ...) and one-hot targets (N, C).
    order : iterable of int
        Which station works next, each time on the mini-batch that is next for it.

    Returns
    -------
    list of list of tuple
        The losses, [station][mini-batch].

    Raises
    ------
    InputError
        If that mini-batch has not reached the station yet.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.optim import bind
    >>> from nobackprop.rules import get
    >>> net, rule, rng = models.build("mlp:4,4", (3,), 2), get("al"), np.random.default_rng(0)
    >>> params, shapes = network.init(net, rng, (3,))
    >>> state = rule.init(rng, net, params, shapes)
    >>> line = assemble(net, rule, params, state, lambda tree: bind("sgd", tree, 0.1))
    >>> batches = [(np.ones((5, 3), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1, 0]])] * 3
    >>> [len(losses) for losses in play(line, batches, order=[0, 0])]
    [2]
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
    """Run every mini-batch through all stations before the next one: the sequential run.

    Parameters
    ----------
    stations : sequence of Station
        The stations, in the order in which a mini-batch visits them.
    batches : iterable of (Array, Array)
        The mini-batches: inputs x (N, ...) and one-hot targets (N, C).

    Returns
    -------
    list of list of tuple
        The losses, [station][mini-batch].

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.optim import bind
    >>> from nobackprop.rules import get
    >>> net, rule, rng = models.build("mlp:4,4", (3,), 2), get("al"), np.random.default_rng(0)
    >>> params, shapes = network.init(net, rng, (3,))
    >>> state = rule.init(rng, net, params, shapes)
    >>> line = assemble(net, rule, params, state, lambda tree: bind("sgd", tree, 0.1))
    >>> batches = [(np.ones((5, 3), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1, 0]])] * 3
    >>> [len(losses) for losses in one_by_one(line, batches)]
    [3]
    """
    losses: list[list[tuple[Any, ...]]] = [[] for _ in stations]
    for s, t in batches:
        for k, station in enumerate(stations):
            (s, t), found = station.step(s, t)
            losses[k].append(found)
    return losses


# ---------------------------------------------------------------- workers


class BeltClosed(Exception):  # noqa: N818, as it is a signal and not an error
    """The signal that the worker at the other end of a belt takes no more mini-batches.

    Examples
    --------
    >>> belt = Belt(depth=1)
    >>> belt.leave()
    >>> try:
    ...     belt.put((None, None))
    ... except BeltClosed:
    ...     print("nobody takes any more")
    nobody takes any more
    """


class Belt:
    """What carries mini-batches from one worker to the next; each of the two may stop using it.

    Parameters
    ----------
    depth : int
        The largest number of mini-batches that may lie on the belt.

    Examples
    --------
    >>> belt = Belt(depth=2)
    >>> belt.put(("s", "t"))
    >>> belt.end()
    >>> list(belt)
    [('s', 't')]
    """

    def __init__(self, depth: int):
        self.items: deque[Batch] = deque()
        self.depth, self.changed = depth, threading.Condition()
        self.ended = self.left = False

    def put(self, item: Batch) -> None:
        """Put a mini-batch on the belt, as soon as there is room.

        Parameters
        ----------
        item : (Array, Array)
            The mini-batch (s, t).

        Raises
        ------
        BeltClosed
            If nobody takes from the belt any more.
        """
        with self.changed:
            self.changed.wait_for(lambda: self.left or len(self.items) < self.depth)
            if self.left:
                raise BeltClosed
            self.items.append(item)
            self.changed.notify_all()

    def __iter__(self) -> Iterator[Batch]:
        """Yield the mini-batches, waiting for each; end if all are taken and no more will be put there."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.items or self.ended or self.left)
                if self.left or not self.items:
                    return
                item = self.items.popleft()
                self.changed.notify_all()
            yield item

    def end(self) -> None:
        """Say that no more mini-batches will be put there; those that lie there can still be taken."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def leave(self) -> None:
        """Say that no more mini-batches will be taken; those that lie there are lost."""
        with self.changed:
            self.left = True
            self.changed.notify_all()


def run(stations: Sequence[Station], batches: Iterable[Batch], workers: int = 2, depth: int = DEPTH,
        blas: int = 1) -> list[list[tuple[Any, ...]]]:
    """Run every mini-batch through all stations, with neighbouring stations split among worker threads.

    Parameters
    ----------
    stations : sequence of Station
        The stations, in the order in which a mini-batch visits them.
    batches : iterable of (Array, Array)
        The mini-batches: inputs x (N, ...) and one-hot targets (N, C).
    workers : int
        The number of threads; there is at most one for each station.
    depth : int
        How many mini-batches may wait in front of a worker, so that none gets far ahead of the next.
    blas : int
        The number of BLAS threads of each worker.

    Returns
    -------
    list of list of tuple
        The losses, [station][mini-batch].

    Raises
    ------
    InputError
        If a number is below 1, or if no thread can start, as in a web page.

    Notes
    -----
    On a device every station has a stream of its own.

    If a station or `batches` raises an exception, the stations above finish what has passed that station, and those
    below stop.  Then this function raises the same exception, with its traceback and with a note that says how far each
    station came.  After that, and after KeyboardInterrupt, params and state hold everything that was learnt.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> from nobackprop.optim import bind
    >>> from nobackprop.rules import get
    >>> net, rule, rng = models.build("mlp:4,4", (3,), 2), get("al"), np.random.default_rng(0)
    >>> params, shapes = network.init(net, rng, (3,))
    >>> state = rule.init(rng, net, params, shapes)
    >>> line = assemble(net, rule, params, state, lambda tree: bind("sgd", tree, 0.1))
    >>> batches = [(np.ones((5, 3), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1, 0]])] * 3
    >>> [len(losses) for losses in run(line, batches, workers=2)]
    [3]
    """
    for name, value in (("workers", workers), ("depth", depth), ("blas", blas)):
        integer(name, value, 1)
    if not threads_start():
        raise InputError(f"the pipeline needs {workers} thread(s), and no thread can start here: expected a Python "
                         "with threads, or one_by_one, which leaves the same bits")
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
        except BeltClosed:
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
    """Run code in which no kernel splits its work among threads, as one worker of the pipeline does.

    Parameters
    ----------
    blas : int
        The number of BLAS threads that each product of matrices has inside this context.

    Examples
    --------
    >>> import numpy as np
    >>> with one_worker():
    ...     int((np.ones((2, 2)) @ np.ones((2, 2))).sum())
    8
    """
    with limit(1, blas=blas):
        yield


def _join(threads: list[threading.Thread], belts: list[Belt], failures: list[BaseException]) -> None:
    """Wait for all threads; an interrupt makes each of them end after the step that it is at."""
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
    """Do the work of one thread: its stations on every mini-batch that comes."""
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
    except BeltClosed:
        pass
    except BaseException as error:
        failures.append(error)
    finally:
        before.leave()
        if after is not None:
            after.end()


def _stream(xp: Any, s: Any, k: int, streams: dict[int, Any]) -> Any:
    """Return the stream of station k on the device of s, which is made current; a null context on the host."""
    if xp is np:
        return nullcontext()
    s.device.use()
    if k not in streams:
        streams[k] = xp.cuda.Stream(non_blocking=True)
    return streams[k]
