"""FaceNetwork: one bundle as the Analyzer runs it, by what it declares; and the names of all outputs side by side.

The name of a label set plays no role: classes become probabilities, values keep their names, vectors and pictures
stay arrays, points are the Landmarker's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.decode import adjusted_by, energies, probabilities
from mien.core.errors import MienError
from mien.core.labels import AFFECT
from mien.core.spec import Input, Output, OutputKind, PictureInput, SoundInput
from mien.media.crop import normalise
from mien.media.files import read_info
from mien.runtime.runner import Runner


@dataclass(frozen=True)
class FaceOutput:
    """One output of one of the models that read faces together."""

    name: str
    """Its own name, with a number after it where an earlier model has one of the same name."""
    output: Output
    """What it means, as its bundle declares it."""
    info: BundleInfo
    """Of its bundle."""


class ClassShares(dict[str, float]):
    """Probabilities by class name, with the energy of the logits that they are of."""

    energy: float = float("nan")
    """core.decode.energies."""


VOICE = "voice"  # the input that gets the sound of the video


class FaceNetwork:
    """A bundle that takes the picture of a face, alone or with the voice that is heard meanwhile.

    bundle: its folder. backend, precision, threads: as for Runner; a network with points is never computed in bfloat16,
    which would move them. arrays: it gives vectors and pictures too. kinds: of the other outputs that are
    read. logit_adjust: strength with which probabilities are freed of the classes' shares in training. Raises MienError
    for a bundle that cannot be used, and one that takes other inputs.
    """

    def __init__(
        self, bundle: str | Path, *, backend: str, precision: str, threads: int | None, arrays: bool = False,
        kinds: tuple[OutputKind, ...] = ("classes", "values"), logit_adjust: float = 0.0,
    ) -> None:  # fmt: skip
        folder = Path(bundle)
        info = read_info(folder)
        require_readable(info, folder)
        if info.outputs_of("points") and precision == "bf16":
            precision = "auto"
        self.runner = Runner(folder, threads=threads, backend=backend, precision=precision)
        self.info = self.runner.info
        self.spec: PictureInput = self.info.picture
        voice = self.info.inputs.get(VOICE)
        self.voice = voice if isinstance(voice, SoundInput) else None
        """How the voice is prepared; None where it takes none."""
        self.outputs = self.info.outputs_of(*kinds, *(("vector", "picture") if arrays else ()))
        """What `read` gives of each face."""
        self.logit_adjust = logit_adjust
        for name, output in self.outputs.items() if logit_adjust else ():
            if output.kind == "classes":
                self.info.prior(name)

    @property
    def gives_points(self) -> bool:
        """Whether it can be the Landmarker's network, which has no voice."""
        return self.voice is None and bool(self.info.outputs_of("points"))

    def read(
        self, crops: Sequence[np.ndarray], voices: Sequence[np.ndarray | None] | None = None
    ) -> list[dict[str, Any]]:
        """Of each crop (uint8 [size, size, 3], as `spec` says) its outputs by name.

        Classes and values: {name: number}; vectors and pictures: the array. voices: the log-mel picture of each face,
        as `voice` says; a network with a voice gives nothing of a face without one.
        """
        heard = [None] * len(crops) if voices is None else list(voices)
        places = [i for i in range(len(crops)) if self.voice is None or heard[i] is not None]
        if not places:
            return [{} for _ in crops]
        inputs = {self._picture_name: normalise(np.stack([crops[i] for i in places]), self.spec)}
        if self.voice is not None:
            inputs[VOICE] = np.stack([np.asarray(heard[i]) for i in places])
        found = self.runner.outputs(inputs)
        decoded = {name: self._decoded(name, output, found[name]) for name, output in self.outputs.items()}
        read: list[dict[str, Any]] = [{} for _ in crops]
        for number, i in enumerate(places):
            read[i] = {name: values[number] for name, values in decoded.items()}
        return read

    @property
    def _picture_name(self) -> str:
        return next(name for name, given in self.info.inputs.items() if isinstance(given, PictureInput))

    def _decoded(self, name: str, output: Output, values: np.ndarray) -> Any:
        """One for each face: {name: number} of classes and values, an array of the rest."""
        if output.kind == "classes":
            adjusted = adjusted_by(self.info, name, values, self.logit_adjust)
            shares = probabilities(adjusted, temperature=self.info.temperature(name))
            found = [ClassShares(zip(output.names, row.tolist(), strict=True)) for row in shares]
            for each, energy in zip(found, energies(values).tolist(), strict=True):
                each.energy = energy
            return found
        if output.kind != "values":
            return values
        return [dict(zip(output.names, row.tolist(), strict=True)) for row in values]


def require_readable(info: BundleInfo, folder: Path) -> None:
    """Raises MienError for a bundle whose inputs a photograph, or a video with its sound, does not give."""
    if not (has_picture_only(info.inputs) or has_picture_and_voice(info.inputs)):
        raise MienError(
            f"{folder} takes {' and '.join(info.inputs)}; a photograph gives one picture, and a video its sound as "
            f"{VOICE!r} beside it. Name another, or measure it with: mien evaluate."
        )


def require_picture_only(info: BundleInfo, folder: Path) -> None:
    """Raises MienError for a bundle that takes more than one picture, or a voice."""
    require_readable(info, folder)
    if not has_picture_only(info.inputs):
        raise MienError(f"{folder} takes {' and '.join(info.inputs)}; points are read from the picture alone.")


def has_picture_only(inputs: Mapping[str, Input]) -> bool:
    """Whether a photograph gives what the network takes."""
    return [type(given) for given in inputs.values()] == [PictureInput]


def has_picture_and_voice(inputs: Mapping[str, Input]) -> bool:
    """Whether a video with sound gives it: one picture, and a sound by the name VOICE."""
    rest = {name: given for name, given in inputs.items() if name != VOICE}
    return isinstance(inputs.get(VOICE), SoundInput) and has_picture_only(rest)


def gives_affect(outputs: Iterable[Output]) -> bool:
    """Whether one of them holds valence and arousal."""
    return any(output.kind == "values" and set(AFFECT) <= set(output.names) for output in outputs)


@runtime_checkable
class GivesOutputs(Protocol):
    """What has outputs to be named: a network, or what a sidecar says of one."""

    info: BundleInfo
    """Of its bundle."""
    outputs: dict[str, Output]
    """By name, in order."""


def named_outputs(networks: Iterable[GivesOutputs]) -> list[list[FaceOutput]]:
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
