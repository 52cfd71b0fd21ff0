"""Threads that work ahead: for decoding and reading files, which leave Python's lock while they wait and compute."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from threading import Condition
from typing import Any, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")
_MOST_THREADS = 8  # more do not decode faster


class Budget:
    """What threads may take together, such as memory: who wants more than is left waits.

    One that wants more than there is at all gets it when nobody else holds any. `shared` divides it among processes.
    """

    def __init__(self, most: int) -> None:
        self._most, self._alone = most, cast("AbstractContextManager[Any]", nullcontext())
        self._begin()
        if hasattr(os, "register_at_fork"):  # a copied process has none of the threads that took something
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._taken, self._changed = 0, Condition()

    def shared(self, processes: int, alone: AbstractContextManager[Any]) -> None:
        """From now on this process has its share; what exceeds that is taken under a lock of all processes."""
        self._most, self._alone = self._most // processes, alone

    @contextmanager
    def held(self, amount: int) -> Iterator[None]:
        with self._alone if amount > self._most else nullcontext():
            with self._changed:
                self._changed.wait_for(lambda: not self._taken or self._taken + amount <= self._most)
                self._taken += amount
            try:
                yield
            finally:
                with self._changed:
                    self._taken -= amount
                    self._changed.notify_all()


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None, ahead: int | None = None
) -> Iterator[Result]:
    """Yields function(item) in the order of the items, computed by threads meanwhile.

    threads: by default one a core, at most 8. ahead: results that may wait to be taken, by default two a thread; items
    are not asked for earlier. Raises what the function raised, in its place; work that has not begun is then given up,
    as it is when the caller stops.
    """
    threads = threads or min(_MOST_THREADS, cores())
    ahead = 2 * threads if ahead is None else ahead
    pool = ThreadPoolExecutor(threads, thread_name_prefix="mien-ahead")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    found = iter(items)
    while batch := list(islice(found, size)):
        yield batch
