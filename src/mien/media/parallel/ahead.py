"""Threads that work ahead: for decoding and reading files, which leave Python's lock while they wait and compute."""

import atexit
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from threading import Condition, Thread
from typing import Any, TypeVar
from weakref import WeakSet

from mien.core.errors import MienError
from mien.media.parallel.limits import cores
from mien.media.parallel.threads import NOT_COPIED, Pool, begins_anew_in_copies

Item = TypeVar("Item")
Result = TypeVar("Result")
_MOST_THREADS = 8  # more do not decode faster


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
    pool = Pool(threads, "mien-ahead")
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


class Ahead(Iterator[Item]):
    """The same items, asked for by a thread of its own.

    count: items that may wait to be used. newest: where more come the oldest are dropped, and the thread does not wait.
    It raises what the items raised, in its place. As a context manager it ends the thread, and closes the items where
    they are a generator.
    """

    def __init__(self, items: Iterable[Item], count: int, *, newest: bool = False) -> None:
        self._items, self._count, self._newest = items, count, newest
        self._waiting: deque[Item] = deque()
        self._changed = Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, name="mien-ahead", daemon=True)
        self._thread.start()
        _AT_WORK.add(self)
        begins_anew_in_copies(self)

    def forked(self) -> None:
        """In a copied process: nothing comes any more."""
        self._changed, self._waiting = Condition(), deque()
        self._error = None if self._ended or self._stopped else MienError(NOT_COPIED)
        self._ended = self._stopped = True

    def __next__(self) -> Item:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if self._waiting:
                self._changed.notify_all()
                return self._waiting.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration

    def ready(self, most: int) -> list[Item]:
        """Up to so many items that wait already; perhaps none."""
        with self._changed:
            found = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._changed.notify_all()
        return found

    def several(self, most: int) -> list[Item]:
        """The next items, so many (at most as many as may wait) or the last ones; none after the end.

        Raises what the items raised, once those before it were given.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) >= min(most, self._count) or self._ended)
        found = self.ready(most)
        if not found:
            next(self, None)
        return found

    def __enter__(self) -> "Ahead[Item]":
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(timeout=1)  # it may wait for a pipe or a camera that gives nothing
        _AT_WORK.discard(self)

    def _work(self) -> None:
        error = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as raised:  # it is the user's of the items
            error = raised
        try:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
        finally:
            with self._changed:
                self._ended, self._error = True, error
                self._changed.notify_all()

    def _put(self, item: Item) -> bool:
        """Whether more is wanted."""
        with self._changed:
            if self._newest:
                while len(self._waiting) >= self._count:
                    self._waiting.popleft()
            self._changed.wait_for(lambda: self._stopped or len(self._waiting) < self._count)
            self._waiting.append(item)
            self._changed.notify_all()
            return not self._stopped


_AT_WORK: WeakSet[Ahead[Any]] = WeakSet()


@atexit.register
def _end_all() -> None:
    """A thread that computes outside of Python when the interpreter ends aborts the process (of a program that ends
    with a stream that it did not use up)."""
    for each in list(_AT_WORK):
        each.__exit__()


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    found = iter(items)
    while batch := list(islice(found, size)):
        yield batch
