"""Worker threads, which share the samples of a kernel, the rows of a product or the blocks of an optimiser.

    with workers.limit(2):
        learn.step(...)

Without `limit` there is one worker, the caller, and no thread is made.  Who does what depends on the number of
workers and on shapes alone, and sums are added up in the workers' order: the same bits come out every time.

A process has one number of BLAS threads, on which the bits of a product may depend.  So blocks of several threads that
are open at the same time all have the same number, and each computes what it computes alone: `limit` refuses another
number while a block is open elsewhere.  When all are closed, BLAS has what it had before.  A thread outside of any
block multiplies with the number of the blocks that are open at that moment.

A child that os.fork makes inside a block has one worker, as threads do not survive a fork.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from .backend import Array, array_module
from .errors import InputError, integer

T = TypeVar("T")


@dataclass(frozen=True)
class WorkerPool:
    """How to hand work to each of the other workers, whether products are shared, and whose threads they are."""

    submit: tuple[Callable[..., Future[Any]], ...] = ()
    products: bool = False
    process: int = 0


NO_POOL = WorkerPool()
# of a context, so that neither a worker nor a thread of a user's has any
_pool: ContextVar[WorkerPool] = ContextVar("pool", default=NO_POOL)


@contextmanager
def limit(threads: int, products: bool = True, blas: int | None = None) -> Iterator[None]:
    """So many workers inside the block, the caller being one.

    products: whether they share the products of matrices, too, each on one BLAS thread, which suits networks with
    convolutions; else a product has so many BLAS threads, and what they share should hold none, which suits dense
    networks.  Threads of BLAS that have nothing to do wait on the workers' cores, so a network should not have both.
    blas: how many threads BLAS has, if another number.

    Raises InputError if there would be no worker, and for another number of BLAS threads than a block has that is open
    in another thread.
    """
    threads = integer("threads", threads, 1)
    usual = 1 if products else threads
    with (_blas(usual if blas is None else integer("blas", blas, 1)),
          ThreadPoolExecutor(max(1, threads - 1)) as pool):
        outside = _pool.set(WorkerPool((pool.submit,) * (threads - 1), products, _process))
        try:
            yield
        finally:
            _pool.reset(outside)


@dataclass(eq=False)
class Block:
    """BLAS has so many `threads`; `before`: what each of its libraries had when the block was opened."""

    threads: int
    before: list[tuple[Any, int]]


_lock, _process = Lock(), os.getpid()
_open: list[Block] = []  # of all threads, in the order in which they were opened
_around: ContextVar[tuple[Block, ...]] = ContextVar("around", default=())


@contextmanager
def _blas(threads: int) -> Iterator[None]:
    with _lock:
        if any(block not in _around.get() for block in _open) and any(block.threads != threads for block in _open):
            raise InputError(f"expected {_open[-1].threads} BLAS thread(s) as in another thread's workers.limit, got "
                             f"{threads}: a process has one number of them at a time")
        libraries = [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
        mine = Block(threads, [(library, library.num_threads) for library in libraries])
        _open.append(mine)
        _set((library, threads) for library in libraries)
    outside = _around.set((*_around.get(), mine))
    try:
        yield
    finally:
        _around.reset(outside)
        with _lock:
            if _close(mine):
                _set(mine.before)


def _close(mine: Block) -> bool:
    """Whether BLAS is to have again what it had before the block: else the next block, which is open, sees to it."""
    if mine not in _open:
        return False
    i = _open.index(mine)
    del _open[i]
    if i < len(_open):
        _open[i].before = mine.before
    return i == len(_open)


def _set(numbers: Iterable[tuple[Any, int]]) -> None:
    """So many threads for each of these libraries."""
    for library, number in numbers:
        # newer threadpoolctl lets one thread of a process set the number, and does nothing for others, without a word
        free = getattr(library, "clear_controlling_thread", lambda force: None)
        free(force=True)
        library.set_num_threads(number)
        free(force=True)


def _in_child() -> None:
    """The blocks of other threads will never be closed here; and what other threads had locked stays so."""
    global _lock, _process
    _lock, _process = Lock(), os.getpid()
    for block in [block for block in _open if block not in _around.get()]:
        _close(block)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def _here() -> WorkerPool:
    """The other workers; nobody in a child of the process that has them."""
    pool = _pool.get()
    return pool if pool.process == _process else NO_POOL


def count(*arrays: Array) -> int:
    """How many workers share the work on these arrays: one on a device, and where a worker shares its own share."""
    return 1 + len(_here().submit) if array_module(*arrays) is np else 1


def multiply(*arrays: Array) -> bool:
    """Whether the workers share a product of these arrays."""
    return count(*arrays) > 1 and _here().products


def split_among_workers(work: Callable[[slice], T], length: int, *arrays: Array) -> list[T]:
    """work(part) by every worker for its part of 0..length, at the same time; what they return, in order.

    There are `count(*arrays)` parts, or `length` if that is less, and at least one.  Where workers fail, the first
    one's exception is raised when all have ended.
    """
    workers = max(1, min(count(*arrays), length))
    mine, *theirs = (slice(i * length // workers, (i + 1) * length // workers) for i in range(workers))
    if not theirs:
        return [work(mine)]
    # in copies of this context np.errstate goes along
    futures = [submit(copy_context().run, _alone, work, part) for submit, part in zip(_here().submit, theirs)]
    try:
        first = copy_context().run(_alone, work, mine)
    finally:
        wait(futures)
    return [first, *(future.result() for future in futures)]


def _alone(work: Callable[[slice], T], part: slice) -> T:
    _pool.set(NO_POOL)
    return work(part)


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
