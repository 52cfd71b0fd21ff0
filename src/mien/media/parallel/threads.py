"""Threads that end well: with the program, and in a process that is copied from this one (fork)."""

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import wraps
from threading import Condition
from typing import Any, ParamSpec, Protocol, TypeVar, runtime_checkable
from weakref import WeakSet

from mien.core.errors import MienError

Result = TypeVar("Result")
Given = ParamSpec("Given")
NOT_COPIED = "A stream that is being read does not go on in a copied process (fork); begin it there."
_LONGEST_END_S = 10.0  # that the end of a program waits for a call in a daemon thread


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
                    future.set_exception(MienError(NOT_COPIED))


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
