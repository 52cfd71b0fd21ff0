"""Threads that work ahead: for decoding and reading files, which leave Python's lock while they wait and compute."""

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import wraps
from itertools import islice
from threading import Condition, Thread
from typing import Any, ParamSpec, Protocol, TypeVar, cast, runtime_checkable
from weakref import WeakSet

from mien.core.errors import MienError
from mien.core.limits import COUNT
from mien.core.typed import checked

Item = TypeVar("Item")
Result = TypeVar("Result")
Given = ParamSpec("Given")
_MOST_THREADS = 8  # more do not decode faster
_LONGEST_END_S = 10.0  # that the end of a program waits for a call in a daemon thread
_NOT_COPIED = "A stream that is being read does not go on in a copied process (fork); begin it there."


@runtime_checkable
class WithThreads(Protocol):
    """What holds threads, or a lock that one of them may hold."""

    def forked(self) -> None:
        """In a copied process, which has none of the threads: begins anew."""


_WITH_THREADS: WeakSet[WithThreads] = WeakSet()


def begins_anew_in_copies(each: WithThreads) -> None:
    """Calls its `forked` in every process that is copied from this one (fork), as long as it lives."""
    _WITH_THREADS.add(each)


def _forked() -> None:
    for each in list(_WITH_THREADS):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Pool(ThreadPoolExecutor):
    """Threads that take work as long as the process lives.

    Once the main thread has ended, where Python's own pool refuses it, the caller does the work itself. In a copied
    process the threads are started anew, and what had been waiting raises MienError.
    """

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self._made, self._closed = (threads, name), False
        self._given: WeakSet[Future[Any]] = WeakSet()
        begins_anew_in_copies(self)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As ThreadPoolExecutor."""
        try:
            future = super().submit(fn, *args, **kwargs)
            self._given.add(future)
        except RuntimeError:
            if self._closed:
                raise
            future = Future()
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As ThreadPoolExecutor."""
        self._closed = True
        super().shutdown(wait, cancel_futures=cancel_futures)

    def forked(self) -> None:
        """In a copied process: threads anew."""
        waiting, closed = list(self._given), self._closed
        super().__init__(self._made[0], thread_name_prefix=self._made[1])
        if closed:
            self.shutdown()
        for future in waiting:
            if not future.done():
                future._condition = Condition()  # a thread that is not here may hold the other
                with suppress(InvalidStateError):
                    future.set_exception(MienError(_NOT_COPIED))


class _Calls:
    """Those that the end of the program waits for."""

    def __init__(self) -> None:
        self._depth = threading.local()
        self.forked()
        begins_anew_in_copies(self)

    def forked(self) -> None:
        """In a copied process: none of the other threads' calls."""
        self._running, self._ending, self._changed = set[int](), False, Condition()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A call; within another of the same thread it adds nothing."""
        depth = getattr(self._depth, "value", 0)
        me = threading.get_ident()
        if not depth:
            with self._changed:
                if self._ending and threading.current_thread() is not threading.main_thread():
                    self._changed.wait()  # for ever: the process ends
                self._running.add(me)
        self._depth.value = depth + 1
        try:
            yield
        finally:
            self._depth.value = depth
            if not depth:
                with self._changed:
                    self._running.discard(me)
                    self._changed.notify_all()

    def end(self) -> None:
        """Waits for those that run; later ones do not begin."""
        with self._changed:
            self._ending = True
            self._changed.wait_for(lambda: not self._running - {threading.get_ident()}, _LONGEST_END_S)


_CALLS = _Calls()
atexit.register(_CALLS.end)


def finished_at_exit(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function that the end of the program waits for, where a daemon thread is in it, and does not begin after.

    A thread that computes outside of Python when the interpreter ends aborts the process.
    """

    @wraps(function)
    def called(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        with _CALLS.one():
            return function(*args, **kwargs)

    return called


class Budget:
    """What threads may take together, such as memory: who wants more than is left waits.

    One that wants more than there is at all gets it when nobody else holds any. `shared` divides it among processes.
    """

    def __init__(self, most: int) -> None:
        self._most, self._alone = most, cast("AbstractContextManager[Any]", nullcontext())
        self.forked()
        begins_anew_in_copies(self)

    def forked(self) -> None:
        """In a copied process: it has none of the threads that took something."""
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


def checked_count(count: int, option: str) -> int:
    """A number of threads or processes. Raises MienError, with the option, for one that is not within 1..COUNT."""
    count = checked(count, int, key=option)
    if not 1 <= count <= COUNT:
        raise MienError(f"{option} must be at {'least 1' if count < 1 else f'most {COUNT:,}'}; got {count}.")
    return count


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
        self._error = None if self._ended or self._stopped else MienError(_NOT_COPIED)
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
