"""Power spectra of many frames whose length has a large prime factor, such as 1,310 = 10 x 131, by matrix products.

An ordinary fast transform is slow there. After Good (1958) and Thomas (1963) a transform of P Q points, P and Q without
a common factor, is one of P by Q points in two dimensions without factors in between, once samples and frequencies are
renumbered. Of real samples both steps are real products: cosines of the sums and sines of the differences of the
samples b and -b. The window, the sums and the step of P points are one small matrix for each b; the step of Q points is
two products for all frames.
"""

import math
import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

_PRIMES, _MOST_OTHER = range(37, 400), 32  # for which this is faster than an ordinary transform
_AT_ONCE = 128  # frames, for the processor's cache


class Room(threading.local):
    """float32 arrays that a thread uses again: fetching new memory takes as long as the transform."""

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray] = {}

    def array(self, name: str, *shape: int) -> np.ndarray:
        """Of that shape, with any content; the last one of that name is overwritten."""
        size, held = math.prod(shape), self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.empty(size, np.float32)
        return held[:size].reshape(shape)


_ROOM = Room()


@dataclass(frozen=True, eq=False)
class Transform:
    """Of frames of one length behind the Hann window."""

    samples: Int[np.ndarray, "half both"]
    """Which samples of a frame belong to b = 0 .. Q/2: P of b, then P of -b."""
    first: Float[np.ndarray, "half both both"]
    """For each b: P cosines and sines of the sums, then of the differences."""
    cosines: Float[np.ndarray, "half half"]
    """Of the second step, for the sums."""
    sines: Float[np.ndarray, "half half"]
    """For the differences."""
    order: Int[np.ndarray, " frequencies"]
    """Which row of what comes out belongs to each frequency."""

    def power(self, kept: Float[np.ndarray, " samples"], *, hop: int) -> Float[np.ndarray, "frequencies frames"]:
        """float32: squared magnitudes of all whole frames that begin at each `hop`-th sample."""
        length = int(self.samples.max()) + 1
        count = (len(kept) - length) // hop + 1
        starts = range(0, count, _AT_ONCE)
        parts = [self._power(kept[hop * i : hop * (min(i + _AT_ONCE, count) - 1) + length], hop=hop) for i in starts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _power(self, kept: Float[np.ndarray, " samples"], *, hop: int) -> Float[np.ndarray, "frequencies frames"]:
        half, both = self.samples.shape
        length, other = int(self.samples.max()) + 1, both // 2
        frames, array = (len(kept) - length) // hop + 1, _ROOM.array
        given = array("given", half, both, frames)
        np.take(_by_sample(kept, length=length, hop=hop, frames=frames), self.samples, axis=0, out=given, mode="clip")
        middle = np.matmul(self.first, given, out=array("middle", half, both, frames)).reshape(half, both * frames)
        sums, differences = middle[:, : other * frames], middle[:, other * frames :]
        even = np.matmul(self.cosines, sums, out=array("even", half, other * frames)).reshape(half, other, frames)
        odd = np.matmul(self.sines, differences, out=array("odd", half, other * frames)).reshape(half, other, frames)
        return _squared(even, odd).reshape(-1, frames)[self.order]


def _by_sample(
    kept: Float[np.ndarray, " samples"], *, length: int, hop: int, frames: int
) -> Float[np.ndarray, "length frames"]:
    """The frames, float32, each sample's values side by side: what follows reads them in rows."""
    columns = _ROOM.array("columns", -(-len(kept) // hop), hop)
    columns.ravel()[: len(kept)] = kept
    found = _ROOM.array("by_sample", length, frames)
    for column, first in enumerate(range(0, length, hop)):
        part = found[first : first + hop]
        part[:] = columns.T[: len(part), column : column + frames]
    return found


def _squared(
    even: Float[np.ndarray, "half other frames"], odd: Float[np.ndarray, "half other frames"]
) -> Float[np.ndarray, "half other frames"]:
    """Squared magnitudes, of the frequencies (k, l), of (k, -l), and of those whose k is its own mirror image."""
    other = even.shape[1]
    pairs = (other - 1) // 2
    alone = [0, other // 2][: 2 - other % 2]
    coscos, sincos = even[:, 1 : pairs + 1], even[:, other - pairs :]
    cossin, sinsin = odd[:, 1 : pairs + 1], odd[:, other - pairs :]
    found, rest = _ROOM.array("squared", *even.shape), _ROOM.array("rest", *sinsin.shape)
    plus, minus = found[:, :pairs], found[:, pairs : 2 * pairs]
    np.subtract(coscos, sinsin, out=plus)
    np.add(coscos, sinsin, out=minus)
    np.square(found[:, : 2 * pairs], out=found[:, : 2 * pairs])
    np.add(sincos, cossin, out=rest)
    plus += np.square(rest, out=rest)
    np.subtract(sincos, cossin, out=rest)
    minus += np.square(rest, out=rest)
    for place, k in enumerate(alone, 2 * pairs):
        found[:, place] = np.square(even[:, k]) + np.square(odd[:, k])
    return found


@lru_cache(maxsize=8)
def transform_of(length: int) -> Transform | None:
    """None for a length that an ordinary transform suits."""
    prime = _largest_prime(length)
    other = length // prime
    if prime not in _PRIMES or other > _MOST_OTHER or other % prime == 0:
        return None
    half = (prime + 1) // 2
    a, b = np.arange(other), np.arange(half)[:, None]
    samples = np.concatenate([(prime * a + other * b) % length, (prime * a - other * b) % length], axis=1)
    second = 2 * np.pi * np.outer(b, b) / prime
    return Transform(
        samples, _first_step(samples, length), np.cos(second).astype(np.float32), np.sin(second).astype(np.float32),
        _order(other, prime),
    )  # fmt: skip


def _first_step(samples: Int[np.ndarray, "half both"], length: int) -> Float[np.ndarray, "half both both"]:
    other = samples.shape[1] // 2
    angle = 2 * np.pi * np.outer(np.arange(other // 2 + 1), np.arange(other)) / other
    waves = np.concatenate([np.cos(angle), np.sin(angle[1 : (other + 1) // 2])])
    seen = waves * (0.5 - 0.5 * np.cos(2 * np.pi * samples / length)).reshape(len(samples), 2, 1, other)
    seen[0, 1] = 0  # b = 0 is its own mirror image
    first = np.concatenate([
        np.concatenate([seen[:, 0], seen[:, 1]], axis=2), np.concatenate([seen[:, 0], -seen[:, 1]], axis=2)
    ], axis=1)  # fmt: skip
    first[0, other:] = 0
    return first.astype(np.float32)


def _order(other: int, prime: int) -> Int[np.ndarray, " frequencies"]:
    """Of the rows of `_squared`, one for each frequency from 0 to half."""
    length, half, pairs = other * prime, (prime + 1) // 2, (other - 1) // 2
    number = np.empty((other, prime), int)
    every = np.arange(length)
    number[every % other, every % prime] = every
    k, m = np.arange(1, pairs + 1), np.arange(half)[:, None]
    alone = np.array([0, other // 2][: 2 - other % 2])
    rows = np.concatenate([number[k, m], number[k, -m % prime], number[alone, m]], axis=1).ravel()
    return np.unique(np.minimum(rows, length - rows), return_index=True)[1]


def _largest_prime(number: int) -> int:
    found, factor = 1, 2
    while factor * factor <= number:
        if number % factor:
            factor += 1
        else:
            found, number = factor, number // factor
    return max(found, number)
