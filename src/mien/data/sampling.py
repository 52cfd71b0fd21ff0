"""EpochSampler: in which order an epoch visits the faces. It depends on seed and epoch only, and can begin anywhere."""

from collections.abc import Iterator, Sequence

import numpy as np

from mien.core.errors import MienError


class EpochSampler:
    """Yields (epoch, index) of one epoch; `set_epoch` chooses which (Lightning calls it at the start of each).

    classes: with them the sampler is imbalanced: weights 1 / class count, with replacement, an epoch as long as the
    data set. rank, world: this process gets every world-th of one common order; what does not divide is left out of
    that epoch, so that all shards are equally long and disjoint.
    start: faces of this process to leave out at the beginning of epoch `epoch` only: the place to resume at.
    """

    def __init__(
        self, count: int, *, seed: int, classes: Sequence[int] | None = None, rank: int = 0, world: int = 1,
        epoch: int = 0, start: int = 0,
    ) -> None:  # fmt: skip
        if not 0 <= rank < world:
            raise MienError(f"A rank lies in 0..{world - 1}; got {rank}.")
        if count < world:
            raise MienError(f"{count} faces cannot be shared among {world} processes.")
        self.count, self.seed, self.rank, self.world = count, seed, rank, world
        self.epoch, self._start = epoch, (epoch, start)
        self._cumulative = None if classes is None else _cumulative_weights(np.asarray(classes), count)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        """Faces of a whole epoch for this process, also when this one begins in its midst."""
        return self.count // self.world

    def order(self) -> np.ndarray:
        """int64: the indices of this epoch for this process, whole."""
        rng = np.random.Generator(np.random.PCG64([self.seed, self.epoch]))
        if self._cumulative is None:
            common = rng.permutation(self.count)
        else:
            common = np.searchsorted(self._cumulative, rng.random(self.count), side="right")
        return common[self.rank :: self.world][: len(self)]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch, start = self._start
        skip = start if epoch == self.epoch else 0
        for index in self.order()[skip:].tolist():
            yield self.epoch, index


class ShardSampler:
    """Yields (0, index) in order: evaluation. Each process gets every world-th face, none twice."""

    def __init__(self, count: int, *, rank: int = 0, world: int = 1) -> None:
        self.indices = range(rank, count, world)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((0, index) for index in self.indices)


def _cumulative_weights(classes: np.ndarray, count: int) -> np.ndarray:
    """Cumulative probabilities [count] that give every class the same sum; the last is exactly 1."""
    if classes.shape != (count,):
        raise MienError(f"The imbalanced sampler needs one class a face; got {classes.shape} for {count} faces.")
    _, inverse, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    cumulative = np.cumsum(1.0 / sizes[inverse])
    return cumulative / cumulative[-1]
