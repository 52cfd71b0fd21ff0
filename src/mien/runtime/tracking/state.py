"""State: what goes from one frame of a video to the next, as plain values and arrays, into a file and back.

A tracker, a filter over time, and whatever else depends on earlier frames gives its `state()` and takes it back by
`restore`: what follows is then bit for bit the same as without a break. The file is one .npz without pickle, written
whole or not at all.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError, one_line
from mien.media.files import atomic_path

FORMAT = 1
_VALUES = "values"
_MOST_BYTES = 256_000_000  # of a file that is read
_KINDS = "fiub"  # of arrays: numbers


@dataclass(frozen=True, eq=False)
class State:
    """Of one thing; `joined` makes one of several."""

    values: dict[str, Any] = field(default_factory=dict)
    """What JSON takes. Floats come back with the same bits."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """Numbers."""

    @staticmethod
    def joined(parts: Mapping[str, "State"]) -> "State":
        """One state of several, by name, without a slash in it."""
        values = {name: part.values for name, part in parts.items()}
        arrays = {f"{name}/{key}": array for name, part in parts.items() for key, array in part.arrays.items()}
        return State(values, arrays)

    def part(self, name: str) -> "State":
        """One of those that were joined. Raises KeyError for one that was not."""
        start = f"{name}/"
        arrays = {key.removeprefix(start): array for key, array in self.arrays.items() if key.startswith(start)}
        return State(self.values[name], arrays)

    def write(self, path: Path) -> None:
        """Whole or not at all. Raises MienError where it cannot be written."""
        text = json.dumps({"format": FORMAT, "values": self.values}).encode()
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            arrays: dict[str, Any] = {_VALUES: np.frombuffer(text, np.uint8), **self.arrays}
            np.savez(file, **arrays)

    @staticmethod
    def read(path: Path) -> "State":
        """Raises MienError, one line, for a file that is missing, damaged, or of another format."""
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise MienError(f"larger than {_MOST_BYTES:,} bytes")
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            stored = json.loads(bytes(arrays.pop(_VALUES)))
            if stored["format"] != FORMAT:
                raise MienError(f"format {stored['format']}, this version has {FORMAT}")
            if other := [name for name, array in arrays.items() if array.dtype.kind not in _KINDS]:
                raise MienError(f"{other[0]} holds no numbers")
            return State(dict(stored["values"]), arrays)
        except Exception as error:  # whatever is damaged: zip, npy, JSON
            raise MienError(f"{path}: no state that can be gone on with ({one_line(error)}).") from error
