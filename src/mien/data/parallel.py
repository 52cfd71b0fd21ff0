"""Processes that share a list of independent tasks: each single-threaded, none outliving its parent.

Threads would do for decoding, but not for what holds Python's lock: dlib's detector and short pictures. A library's own
threads would fight over cores that the processes already fill, so each process is held to one.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Any, Protocol, TypeVar, runtime_checkable

import cv2

from mien.core.errors import MienError
from mien.media.image import DECODING
from mien.media.parallel.limits import cores

__all__ = ["Executor", "cores", "parallel_map", "shared_out", "stopped"]

Task = TypeVar("Task")
Result = TypeVar("Result")
_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
_AHEAD = 4  # tasks a process that are handed out before their turn
_stop: list[Any] = []  # in a worker: the event that the parent sets when nobody waits for results any more


@runtime_checkable
class Executor(Protocol):
    """What runs tasks elsewhere: processes of this machine, or of a cluster (data.cluster)."""

    width: int
    """Tasks at a time."""

    def submit(self, function: Callable[[Any], Any], task: Any) -> Any:
        """A handle of the task; `function` is a module's own."""
        ...

    def done(self, handles: Sequence[Any]) -> Sequence[Any]:
        """Waits until one of them is done, and returns those that are."""
        ...

    def result(self, handle: Any) -> Any:
        """Of a handle that is done. Raises what the task raised, and MienError when its process was killed."""
        ...


def shared_out(
    function: Callable[[Task], Result], tasks: Iterable[Task], executor: Executor, *, ordered: bool = False
) -> Iterator[tuple[int, Result]]:
    """Yields (position of the task, its result) as they are done; ordered: in the order of the tasks.

    At most four tasks for each of the executor's at a time are handed out, or done and not yet yielded, so that memory
    does not grow with their number. Raises what a task raised.
    """
    handed: dict[Any, int] = {}
    ready: dict[int, Result] = {}
    rest, turn, most = enumerate(tasks), 0, _AHEAD * executor.width
    while True:
        for position, task in islice(rest, most - len(handed) - len(ready)):
            handed[executor.submit(function, task)] = position
        if not handed:
            return
        for handle in executor.done(list(handed)):
            ready[handed.pop(handle)] = executor.result(handle)
        while (turn in ready) if ordered else ready:
            position = turn if ordered else next(iter(ready))
            turn += 1
            yield position, ready.pop(position)


def parallel_map(
    function: Callable[[Task], Result], tasks: Sequence[Task], *, workers: int
) -> Iterator[tuple[int, Result]]:
    """Yields (position of the task, its result) as they are done; with one worker or task in this process, in order.

    `function` must be a module's own, and give up where `stopped()` says so. Raises what a task raised, and MienError
    when a process was killed.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from ((position, function(task)) for position, task in enumerate(tasks))
        return
    with _pool(workers) as pool:
        yield from shared_out(function, tasks, _Processes(pool, workers))


class _Processes:
    """Of this machine."""

    def __init__(self, pool: ProcessPoolExecutor, width: int) -> None:
        self._pool, self.width = pool, width

    def submit(self, function: Callable[[Any], Any], task: Any) -> Any:
        with _script_left_alone(), self._named():
            return self._pool.submit(function, task)

    def done(self, handles: Sequence[Any]) -> Sequence[Any]:
        return list(wait(handles, return_when=FIRST_COMPLETED).done)

    def result(self, handle: Any) -> Any:
        with self._named():
            return handle.result()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BrokenProcessPool as error:
            raise MienError(
                f"A worker process was killed, as a machine without free memory does. Fewer of them ({self.width} "
                "now): --workers N."
            ) from error


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    context = get_context("spawn")  # a fork would copy locks that threads of the parent hold
    stop = context.Event()
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    begin = (stop, workers, context.Lock())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=begin)
    try:
        yield pool
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _script_left_alone() -> Iterator[None]:
    """Processes that start meanwhile do not run the user's script again, as a script without
    `if __name__ == "__main__"` would have to forbid: tasks are functions of modules, so it is not needed.
    """
    main = sys.modules["__main__"]
    path = main.__dict__.pop("__file__", None)
    try:
        yield
    finally:
        if path is not None:
            main.__file__ = path


def stopped() -> bool:
    """In a worker: whether its parent has given up."""
    return any(event.is_set() for event in _stop)


def _begin(stop: Any, workers: int, alone: Any) -> None:
    _stop.append(stop)
    DECODING.shared(workers, alone)
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which then says stop
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _silence_stderr()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _silence_stderr() -> None:
    """From now on what C libraries print (libtiff, libpng on damaged files) goes nowhere."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    os.close(silent)
