"""Samples as a network takes them, prepared in threads while the network computes the batch before."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from mien.cli.progress import progress_bar
from mien.core.errors import MienError
from mien.core.records import Sample
from mien.core.spec import Input, PictureInput
from mien.data.faces import prepare_face
from mien.media.crop import normalise

Prepared = TypeVar("Prepared")
THREADS = 8


def prepare_inputs(samples: Sequence[Sample], inputs: Mapping[str, Input]) -> dict[str, np.ndarray]:
    """The samples by input name: float32 [samples, ...], normalised as each input describes.

    Raises MienError for a file that cannot be read, and as `check_inputs` does.
    """
    return {name: _pictures(samples, given) for name, given in check_inputs(inputs).items()}


def check_inputs(inputs: Mapping[str, Input]) -> dict[str, PictureInput]:
    """The inputs themselves. Raises MienError for one that samples cannot be prepared for."""
    known = {name: given for name, given in inputs.items() if name == "image" and isinstance(given, PictureInput)}
    if others := [name for name in inputs if name not in known]:
        raise MienError(f"Samples cannot be prepared for a network's input {others[0]!r} yet, only for 'image'.")
    return known


def _pictures(samples: Sequence[Sample], given: PictureInput) -> Float32[np.ndarray, "samples 3 size size"]:
    return normalise(np.stack([prepare_face(sample, given)[0] for sample in samples]), given)


def prefetch(
    samples: Sequence[Sample], prepare: Callable[[Sample], Prepared], *, batch_size: int
) -> Iterator[list[tuple[Sample, Prepared | str]]]:
    """Batches in order, the next one prepared meanwhile: each sample with what `prepare` returns.

    A sample for which `prepare` raises MienError comes with the message instead.
    """

    def attempt(sample: Sample) -> Prepared | str:
        try:
            return prepare(sample)
        except MienError as error:
            return str(error)

    batches = [samples[i : i + batch_size] for i in range(0, len(samples), batch_size)]
    threads = min(THREADS, os.cpu_count() or 1)
    with progress_bar("reading faces", len(samples)) as advance, ThreadPoolExecutor(threads) as pool:
        following = [pool.submit(attempt, sample) for sample in batches[0]] if batches else []
        for number, batch in enumerate(batches):
            current = following
            following = [pool.submit(attempt, sample) for sample in (batches[number + 1 : number + 2] or [[]])[0]]
            yield [(sample, future.result()) for sample, future in zip(batch, current, strict=True)]
            advance(len(batch))
