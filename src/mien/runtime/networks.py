"""FaceNetwork: one bundle as the Analyzer runs it, by what it declares; and the names of all outputs side by side.

The name of a label set plays no role: classes become probabilities, values keep their names, vectors and pictures
stay arrays, points are the Landmarker's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.decode import probabilities
from mien.core.errors import MienError
from mien.core.spec import Output, PictureInput, SoundInput
from mien.media.crop import normalise
from mien.runtime.runner import Runner, read_info


@dataclass(frozen=True)
class FaceOutput:
    """One output of one of the models that read faces together."""

    name: str
    """Its own name, with a number after it where an earlier model has one of the same name."""
    output: Output
    """What it means, as its bundle declares it."""
    info: BundleInfo
    """Of its bundle."""


class FaceNetwork:
    """A bundle that takes the picture of a face.

    bundle: its folder. backend, precision, threads: as for Runner; a network with points is never computed in bfloat16,
    which would move them. arrays: it gives vectors and pictures too. Raises MienError for a bundle that cannot be used,
    and one that takes more than a picture.
    """

    def __init__(
        self, bundle: str | Path, *, backend: str, precision: str, threads: int | None, arrays: bool = False
    ) -> None:
        folder = Path(bundle)
        info = read_info(folder)
        require_picture_only(info, folder)
        if info.outputs_of("points") and precision == "bf16":
            precision = "auto"
        self.runner = Runner(folder, threads=threads, backend=backend, precision=precision)
        self.info = self.runner.info
        self.spec: PictureInput = self.info.picture
        self.outputs = self.info.outputs_of("classes", "values", *(("vector", "picture") if arrays else ()))
        """What `read` gives of each face."""

    @property
    def gives_points(self) -> bool:
        return bool(self.info.outputs_of("points"))

    def read(self, crops: Sequence[np.ndarray]) -> list[dict[str, Any]]:
        """Of each crop (uint8 [size, size, 3], as `spec` says) its outputs by name.

        Classes and values: {name: number}; vectors and pictures: the array.
        """
        if not crops:
            return []
        found = self.runner.outputs(normalise(np.stack(crops), self.spec))
        decoded = {name: self._decoded(name, output, found[name]) for name, output in self.outputs.items()}
        return [{name: values[number] for name, values in decoded.items()} for number in range(len(crops))]

    def _decoded(self, name: str, output: Output, values: np.ndarray) -> Any:
        """One for each face: {name: number} of classes and values, an array of the rest."""
        if output.kind == "classes":
            values = probabilities(values, temperature=self.info.temperature(name))
        elif output.kind != "values":
            return values
        return [dict(zip(output.names, row.tolist(), strict=True)) for row in values]


def require_picture_only(info: BundleInfo, folder: Path) -> None:
    """Raises MienError for a bundle that takes a voice, or more pictures than the photograph has."""
    sounds = [name for name, given in info.inputs.items() if isinstance(given, SoundInput)]
    if sounds:
        raise MienError(
            f"{folder} takes {' and '.join(info.inputs)}; reading takes pictures only, so a bundle with a voice cannot "
            "be used here. Measure it with: mien evaluate."
        )
    if len(info.inputs) != 1:
        raise MienError(f"{folder} takes {' and '.join(info.inputs)}; a photograph gives one picture. Name another.")


def named_outputs(networks: Iterable[FaceNetwork]) -> list[list[FaceOutput]]:
    """The outputs of each network, in order, with names that are unique among all of them."""
    used: set[str] = set()
    named = []
    for network in networks:
        own = []
        for name, output in network.outputs.items():
            numbers = (f"{name}_{number}" for number in range(2, len(used) + 3))
            free = name if name not in used else next(each for each in numbers if each not in used)
            used.add(free)
            own.append(FaceOutput(free, output, network.info))
        named.append(own)
    return named
