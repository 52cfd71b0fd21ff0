"""Samples as a network takes them, prepared in threads while the network computes the batch before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from mien.cli.progress import progress_bar
from mien.core.errors import MienError
from mien.core.records import Sample
from mien.core.spec import Input
from mien.data.faces import FaceSet
from mien.media.parallel.ahead import in_batches, map_ahead

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")


def prepare_inputs(samples: Sequence[Sample], inputs: Mapping[str, Input]) -> dict[str, np.ndarray]:
    """The samples by input name: float32 [samples, ...], normalised as each input describes.

    Raises MienError for a file that cannot be read and for a sample that lacks what an input asks for.
    """
    batch = FaceSet(samples, inputs).batch([(0, i) for i in range(len(samples))])
    return dict(zip(inputs, batch.take(inputs), strict=True))


def prefetch(
    samples: Sequence[Item], prepare: Callable[[Item], Prepared], *, batch_size: int
) -> Iterator[list[tuple[Item, Prepared | str]]]:
    """Batches in order, the next one prepared meanwhile: each sample with what `prepare` returns.

    A sample for which `prepare` raises MienError comes with the message instead.
    """

    def attempt(sample: Item) -> tuple[Item, Prepared | str]:
        try:
            return sample, prepare(sample)
        except MienError as error:
            return sample, str(error)

    with progress_bar("reading faces", len(samples)) as advance:
        for batch in in_batches(map_ahead(attempt, samples, ahead=batch_size), batch_size):
            yield batch
            advance(len(batch))
