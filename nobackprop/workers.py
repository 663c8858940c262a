"""Worker threads, which share the samples of a kernel, the rows of a matrix product or the blocks of an optimiser.

    with workers.limit(2):
        learn.step(...)

Without `limit` there is one worker, the thread that calls, and no other thread is made.  Which worker does what depends
only on the number of workers and on shapes, and sums are added up in the workers' order.  So the same bits come out
every time.

BLAS is the library that multiplies matrices for NumPy, and it has threads of its own.  A process has only one number of
BLAS threads, and the bits of a product may depend on it.  So all `with` blocks that are open at the same time, in
whatever threads, have the same number, and each of them computes what it computes alone: `limit` refuses another number
while a block is open in another thread.  When all blocks are closed, BLAS has the number that it had before.  A thread
outside of all blocks multiplies with the number of the blocks that are open at that moment.

A child process that os.fork makes inside a block has one worker, as threads do not survive a fork.  Where no thread can
start, as in a web page, there is one worker, whatever `limit` says.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import cache, lru_cache
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

import numpy as np

from .backend import Array, array_module
from .errors import InputError, integer

T = TypeVar("T")


class Task:
    """A call that a worker makes, and what came of it.

    Parameters
    ----------
    call : callable
    *arguments

    Examples
    --------
    >>> task = Task(max, 2, 3)
    >>> task.run()
    >>> task.wait()
    >>> task.result()
    3
    """

    def __init__(self, call: Callable[..., Any], *arguments: Any):
        self.call, self.arguments, self.ended, self.process = call, arguments, Lock(), _process
        self.value: Any = None
        self.error: BaseException | None = None
        self.ended.acquire()

    def run(self) -> None:
        """Make the call."""
        try:
            self.value = self.call(*self.arguments)
        except BaseException as error:
            self.error = error
        finally:
            self.ended.release()

    def wait(self) -> None:
        """Wait until the call has ended; a child of the process that handed it over makes it itself."""
        if self.process != _process and self.ended.locked():
            self.run()
        with self.ended:
            pass

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        error, self.error = self.error, None
        if error is None:
            return self.value
        try:
            raise error
        finally:
            del error  # it holds this frame: together they would keep all arrays until Python looks for circles


class Worker:
    """A thread that makes the calls that it is handed, one after the other; `with` ends it.

    A pool of concurrent.futures does the same, and takes four times as long to hand over a call: 20 microseconds, some
    hundred times in a step of a deep network.

    Examples
    --------
    >>> with Worker() as worker:
    ...     task = worker.submit(max, 2, 3)
    ...     task.wait()
    >>> task.result()
    3
    """

    def __init__(self) -> None:
        self.tasks: SimpleQueue[Task | None] = SimpleQueue()
        self.thread: Thread | None = None

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Task:
        """Hand over a call; the first one starts the thread."""
        if self.thread is None:
            self.thread = Thread(target=self._work, daemon=True)
            self.thread.start()
        task = Task(call, *arguments)
        self.tasks.put(task)
        return task

    def _work(self) -> None:
        while (task := self.tasks.get()) is not None:
            task.run()
            del task  # and with it the arrays, while the thread waits for the next one

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        if self.thread is not None:
            self.tasks.put(None)
            self.thread.join()


@dataclass(frozen=True)
class WorkerPool:
    """The workers other than the thread that calls; the core sees a pool only inside of a `limit` block.

    Parameters
    ----------
    submit : tuple of callable
        For each of the other workers, the function that hands work to it.
    process : int
        The process that the threads belong to.

    Examples
    --------
    >>> len(NO_POOL.submit)
    0
    """

    submit: tuple[Callable[..., Task], ...] = ()
    process: int = 0


NO_POOL = WorkerPool()
# a variable of the context, so that neither a worker nor another thread of the user's has a pool
_pool: ContextVar[WorkerPool] = ContextVar("pool", default=NO_POOL)


@contextmanager
def limit(threads: int, blas: int = 1) -> Iterator[None]:
    """Set the number of workers inside of a `with` block.

    Parameters
    ----------
    threads : int
        The number of workers, 1 or more; the thread that calls is one of them.  Where threads cannot start it is 1.
    blas : int
        The number of BLAS threads.  The workers share large matrix products, so one is best: a thread of BLAS that has
        nothing to do goes on asking for work for some 30 milliseconds, on the core of another worker.

    Raises
    ------
    InputError
        If a number is below 1, or if a block that is open in another thread has another number of BLAS threads.

    Examples
    --------
    >>> import numpy as np
    >>> with limit(2):
    ...     count(np.ones(3))
    2
    >>> count(np.ones(3))
    1
    """
    threads = integer("threads", threads, 1)
    blas = integer("blas", blas, 1)
    if not threads_start():
        yield
        return
    with _blas(blas), ExitStack() as ends:
        others = [ends.enter_context(Worker()) for _ in range(threads - 1)]
        outside = _pool.set(WorkerPool(tuple(worker.submit for worker in others), _process))
        try:
            yield
        finally:
            _pool.reset(outside)


@cache
def threads_start() -> bool:
    """Return whether a thread can start: in Python inside a web page it cannot.

    Examples
    --------
    >>> threads_start()
    True
    """
    try:
        thread = Thread(target=int)
        thread.start()
    except RuntimeError:
        return False
    thread.join()
    return True


@dataclass(eq=False)
class Block:
    """What `limit` remembers of an open `with` block.

    Parameters
    ----------
    threads : int
        The number of BLAS threads inside of the block.
    before : list of tuple
        For each BLAS library that is loaded: its handle, and the number of threads that it had before the block.

    Examples
    --------
    >>> Block(2, []).threads
    2
    """

    threads: int
    before: list[tuple[Any, int]]


_lock, _process = Lock(), os.getpid()
_open: list[Block] = []  # of all threads, in the order in which they were opened
_around: ContextVar[tuple[Block, ...]] = ContextVar("around", default=())


@lru_cache(maxsize=1)
def _libraries(modules: int) -> list[Any]:
    """The BLAS libraries that are loaded.  To find them takes milliseconds, and each comes with some module."""
    from threadpoolctl import ThreadpoolController  # imported here, as a web page has no BLAS and does without it

    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]


@contextmanager
def _blas(threads: int) -> Iterator[None]:
    """Set the number of BLAS threads inside of a `with` block; `limit` says when it is refused."""
    with _lock:
        if any(block not in _around.get() for block in _open) and any(block.threads != threads for block in _open):
            raise InputError(f"expected {_open[-1].threads} BLAS thread(s) as in another thread's workers.limit, got "
                             f"{threads}: a process has one number of them at a time")
        mine = Block(threads, [(library, library.num_threads) for library in _libraries(len(sys.modules))])
        _open.append(mine)
        _set((library, threads) for library, _ in mine.before)
    outside = _around.set((*_around.get(), mine))
    try:
        yield
    finally:
        _around.reset(outside)
        with _lock:
            if _close(mine):
                _set(mine.before)


def _close(mine: Block) -> bool:
    """Take a block off the list of open ones, and return whether BLAS must now get back what it had before the block.

    If a block that was opened later is still open, that block takes over what BLAS had before, and will give it back.
    """
    if mine not in _open:
        return False
    i = _open.index(mine)
    del _open[i]
    if i < len(_open):
        _open[i].before = mine.before
    return i == len(_open)


def _set(numbers: Iterable[tuple[Any, int]]) -> None:
    """Give each of these BLAS libraries its number of threads."""
    for library, number in numbers:
        # newer threadpoolctl lets one thread of a process set the number, and silently does nothing for other threads
        free = getattr(library, "clear_controlling_thread", lambda force: None)
        free(force=True)
        library.set_num_threads(number)
        free(force=True)


def _in_child() -> None:
    """Forget, in a child process, the blocks of other threads and the lock: the threads that hold them do not exist."""
    global _lock, _process
    _lock, _process = Lock(), os.getpid()
    for block in [block for block in _open if block not in _around.get()]:
        _close(block)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def _here() -> WorkerPool:
    """Return the pool of this context; NO_POOL in a child of the process that its threads belong to."""
    pool = _pool.get()
    return pool if pool.process == _process else NO_POOL


def count(*arrays: Array) -> int:
    """Return how many workers share the work on some arrays.

    Parameters
    ----------
    *arrays : array
        One array or more, of one module.

    Returns
    -------
    int
        The number that `limit` was given.  It is 1 outside of `limit`, for arrays on a device, and inside of work that
        is already one worker's part.

    Examples
    --------
    >>> import numpy as np
    >>> count(np.ones(3))
    1
    """
    return 1 + len(_here().submit) if array_module(*arrays) is np else 1


def split_among_workers(work: Callable[[slice], T], length: int, *arrays: Array) -> list[T]:
    """Divide a range into one part for each worker, and let all of them work at the same time.

    Parameters
    ----------
    work : callable
        It takes a slice of the range, and is called once by each worker.
    length : int
        The range is 0 to length - 1.
    *arrays : array
        The arrays that the work is on: `count` tells the number of workers by them.

    Returns
    -------
    list
        What `work` returned, in the order of the parts.  There are `count(*arrays)` parts, or `length` parts if that is
        less, and at least one.

    Raises
    ------
    Exception
        If workers fail, the exception of the first of them, after all have ended.

    Examples
    --------
    >>> import numpy as np
    >>> with limit(2):
    ...     split_among_workers(lambda part: (part.start, part.stop), 5, np.ones(3))
    [(0, 2), (2, 5)]
    """
    workers = max(1, min(count(*arrays), length))
    mine, *theirs = (slice(i * length // workers, (i + 1) * length // workers) for i in range(workers))
    if not theirs:
        return [work(mine)]
    # in copies of this context, as the settings of np.errstate belong to a context
    tasks = [submit(copy_context().run, _alone, work, part) for submit, part in zip(_here().submit, theirs)]
    try:
        first = copy_context().run(_alone, work, mine)
    finally:
        for task in tasks:
            task.wait()
    return [first, *(task.result() for task in tasks)]


def _alone(work: Callable[[slice], T], part: slice) -> T:
    """Do a worker's part in a context without a pool, so that nothing in it is divided again."""
    _pool.set(NO_POOL)
    return work(part)


def cores() -> int:
    """Return how many processor cores this process may use.

    Returns
    -------
    int

    Examples
    --------
    >>> cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
