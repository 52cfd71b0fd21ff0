"""Grouping: several samples through a network in one run, where that gives the bits that each gives by itself.

One run of four samples takes 12 to 35 % less processor time than four runs. A library picks its kernels by shapes, not
by values, so whether the bits are the same is found out once for each number of samples, on samples that are read
anyway; where they are not, each sample goes on being computed by itself.
"""

import time
from collections import Counter
from collections.abc import Callable
from threading import Lock

import numpy as np

Arrays = dict[str, np.ndarray]
Forward = Callable[[Arrays], Arrays]
LARGEST = 4  # samples in one run; more gain little and take memory
TRIED_AFTER = 8  # groups of one size
_TIMED = 5  # runs, of which the fastest counts
_TRYING = Lock()  # one at a time: compiling takes memory


class Grouped:
    """Called with up to LARGEST samples: their outputs, bit for bit those of each by itself. For several threads.

    one: the outputs of one sample. load: what gives those of a group of that many, or None; called once a size. after:
    so many groups of a size are not run together; more where loading takes long, which has to pay. worth: share of the
    time that running together must save, where what is loaded takes memory of its own.
    """

    def __init__(
        self, one: Forward, load: Callable[[int], Forward | None], *, after: int = TRIED_AFTER, worth: float = 0.0
    ) -> None:
        self._one, self._load, self._after, self._worth = one, load, after, worth
        self._known: dict[int, Forward | None] = {}
        self._asked: Counter[int] = Counter()

    def __call__(self, arrays: Arrays) -> Arrays:
        count = len(next(iter(arrays.values())))
        if count == 1:
            return self._one(arrays)
        if (together := self._known.get(count)) is not None:
            return together(arrays)
        alone = self._apart(arrays)
        if count not in self._known:
            self._try(count, arrays, alone)
        return alone

    @property
    def sizes(self) -> list[int]:
        """Numbers of samples that run together."""
        return sorted(size for size, together in self._known.items() if together is not None)

    def _try(self, count: int, arrays: Arrays, alone: Arrays) -> None:
        """The size is known from then on, once it was asked for often enough."""
        if not _TRYING.acquire(blocking=False):  # another thread is finding out, of this network or of another
            return
        try:
            self._asked[count] += 1
            if count in self._known or self._asked[count] < self._after:
                return
            together = self._load(count)
            same = together is not None and _equal(together(arrays), alone)
            self._known[count] = together if together is not None and same and self._saves(together, arrays) else None
        except Exception:  # of either library: a graph may be made for one sample
            self._known[count] = None
        finally:
            _TRYING.release()

    def _apart(self, arrays: Arrays) -> Arrays:
        """Each sample by itself."""
        count = len(next(iter(arrays.values())))
        parts = [self._one({name: values[i : i + 1] for name, values in arrays.items()}) for i in range(count)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _saves(self, together: Forward, arrays: Arrays) -> bool:
        """Whether it takes enough less time, by the fastest runs of each."""
        return not self._worth or _fastest(together, arrays) <= (1 - self._worth) * _fastest(self._apart, arrays)


def _fastest(run: Forward, arrays: Arrays) -> float:
    """Seconds."""
    times = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        run(arrays)
        times.append(time.perf_counter() - start)
    return min(times)


def _equal(some: Arrays, others: Arrays) -> bool:
    """Bit for bit, by name."""
    return some.keys() == others.keys() and all(some[n].tobytes() == others[n].tobytes() for n in others)
