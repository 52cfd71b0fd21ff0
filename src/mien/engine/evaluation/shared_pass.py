"""One pass of a network over faces for all outputs that are measured on its prepared inputs."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.engine.bundles.inputs import prefetch, prepare_inputs
from mien.engine.bundles.predictor import Predictor

Arrays = dict[str, np.ndarray]
Collect = Callable[[Arrays, Arrays], Arrays]
"""(inputs, outputs) of some faces, by name, [faces, ...], to what is kept of them, [faces, ...]."""


@dataclass
class Collected:
    """What one output kept of its faces."""

    keys: list[str] = field(default_factory=list)
    """Of the faces that could be read, in the order of the samples."""
    parts: list[Arrays] = field(default_factory=list)
    """What was kept, batch by batch."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """(key, reason) of faces that could not be read."""

    def array(self, name: str) -> np.ndarray:
        """[faces, ...]"""
        return np.concatenate([part[name] for part in self.parts])


class SharedPass:
    """Runs at the first `collected`, so that a task with a pass of its own costs nothing here."""

    def __init__(
        self, predictor: Predictor, requests: Mapping[str, tuple[Sequence[Sample], Collect]], *, batch_size: int
    ) -> None:
        """requests: output → its faces and what is kept of them."""
        self.predictor, self.requests, self.batch_size = predictor, dict(requests), batch_size
        self.seconds = 0.0
        self._collected: dict[str, Collected] = {}

    def collected(self, output: str) -> Collected:
        """Raises MienError when not one of the output's pictures can be read."""
        if not self._collected:
            start = time.perf_counter()
            self._run()
            self.seconds = time.perf_counter() - start
        found = self._collected[output]
        if not found.keys:
            count, reason = len(found.failures), found.failures[0][1]
            raise MienError(f"None of the {count} pictures could be read; the first: {reason}")
        return found

    def _run(self) -> None:
        self._collected = {output: Collected() for output in self.requests}
        wanted = {output: {s.key for s in samples} for output, (samples, _) in self.requests.items()}
        inputs = self.predictor.info.inputs
        union = list({s.key: s for samples, _ in self.requests.values() for s in samples}.values())
        for batch in prefetch(union, lambda sample: prepare_inputs([sample], inputs), batch_size=self.batch_size):
            read = [(sample.key, prepared) for sample, prepared in batch if not isinstance(prepared, str)]
            broken = [(sample.key, reason) for sample, reason in batch if isinstance(reason, str)]
            for output, found in self._collected.items():
                found.failures += [each for each in broken if each[0] in wanted[output]]
            if read:
                keys = [key for key, _ in read]
                self._keep(keys, _stacked([prepared for _, prepared in read]), wanted)

    def _keep(self, keys: list[str], inputs: Arrays, wanted: Mapping[str, set[str]]) -> None:
        outputs = self.predictor.outputs(inputs)
        for name, values in outputs.items():
            finite = np.isfinite(values).reshape(len(keys), -1).all(1)
            if not finite.all():
                raise MienError(
                    f"{name} of {keys[int(finite.argmin())]} is not finite (NaN or infinite), so nothing can be "
                    "measured: the network diverged in training, or its weights are damaged."
                )
        for output, found in self._collected.items():
            places = [i for i, key in enumerate(keys) if key in wanted[output]]
            if places:
                own = (_selected(arrays, places) for arrays in (inputs, outputs))
                found.parts.append(self.requests[output][1](*own))
                found.keys += [keys[i] for i in places]


def _stacked(parts: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _selected(arrays: Arrays, places: list[int]) -> Arrays:
    return {name: values[places] for name, values in arrays.items()}
