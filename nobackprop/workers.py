"""Worker threads, which share the samples of a kernel, the rows of a product or the blocks of an optimiser.

    with workers.limit(2):
        learn.step(...)

Without `limit` there is one worker, the caller, and no thread is made.  Who does what depends on the number of
workers and on shapes alone, and sums are added up in the workers' order: the same bits come out every time.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits

from .backend import Array, array_module
from .errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Others:
    """How to hand work to each of the other workers, and the libraries that multiply with threads of their own."""

    submit: tuple[Callable[..., Future[Any]], ...] = ()
    blas: tuple[Any, ...] = ()

    def set(self, threads: int) -> None:
        """So many threads for a product of matrices."""
        for library in self.blas:
            library.set_num_threads(threads)


NOBODY = Others()
# of a context, so that neither a worker nor a thread of a user's has any
_others: ContextVar[Others] = ContextVar("others", default=NOBODY)


@contextmanager
def limit(threads: int, products: bool = True) -> Iterator[None]:
    """So many workers inside the block, the caller being one.

    products: whether they share the products of matrices, too, each on one BLAS thread, which suits networks with
    convolutions; else products outside of their work have so many BLAS threads, which suits dense ones.  Threads of
    BLAS that have nothing to do wait on the workers' cores, so a network should not have both.

    Raises InputError where there would be none.
    """
    if threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    with (threadpool_limits(1 if products else threads, user_api="blas"),
          ThreadPoolExecutor(max(1, threads - 1)) as pool):
        blas = tuple(library for library in ThreadpoolController().lib_controllers if library.user_api == "blas")
        outside = _others.set(Others((pool.submit,) * (threads - 1), () if products else blas))
        try:
            yield
        finally:
            _others.reset(outside)


def count(*arrays: Array) -> int:
    """How many workers share the work on these arrays: one on a device, and where a worker shares its own share."""
    return 1 + len(_others.get().submit) if array_module(*arrays) is np else 1


def multiply(*arrays: Array) -> bool:
    """Whether the workers share a product of these arrays."""
    return count(*arrays) > 1 and not _others.get().blas


def share(work: Callable[[slice], T], length: int, *arrays: Array) -> list[T]:
    """work(part) by every worker for its part of 0..length, at the same time; what they return, in order.

    There are `count(*arrays)` parts, or `length` if that is less, and at least one.  Where workers fail, the first
    one's exception is raised when all have ended.
    """
    workers = max(1, min(count(*arrays), length))
    mine, *theirs = (slice(i * length // workers, (i + 1) * length // workers) for i in range(workers))
    if not theirs:
        return [work(mine)]
    # in copies of this context np.errstate goes along
    others = _others.get()
    # every worker multiplies on its own thread; threads of BLAS beside the workers would wait for each other
    others.set(1)
    futures = [submit(copy_context().run, _alone, work, part) for submit, part in zip(others.submit, theirs)]
    try:
        first = copy_context().run(_alone, work, mine)
    finally:
        wait(futures)
        others.set(1 + len(others.submit))
    return [first, *(future.result() for future in futures)]


def _alone(work: Callable[[slice], T], part: slice) -> T:
    _others.set(NOBODY)
    return work(part)
