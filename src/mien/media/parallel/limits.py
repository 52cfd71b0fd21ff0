"""How much threads and processes may take: memory, cores, their number."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Condition
from typing import Any, cast

from mien.core.errors import MienError
from mien.core.limits import COUNT
from mien.core.typed import checked
from mien.media.parallel.threads import begins_anew_in_copies


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
