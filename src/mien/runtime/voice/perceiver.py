"""Perceiver: a face as it is perceived with a voice, by an exported context network (CAN). No torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from mien.core.bundle import BundleInfo
from mien.core.decode import probabilities
from mien.core.errors import MienError
from mien.core.spec import PictureInput, SoundInput
from mien.media.crop import normalise
from mien.media.files import read_info
from mien.media.sound.audio import Sound
from mien.media.sound.mel import log_mel
from mien.runtime.networks import VOICE, has_picture_and_voice
from mien.runtime.runner import Runner

PERCEIVED, PLAIN, SHIFT = "picture", "reconstruction", "shift"
WAYS = {"both": "expression", "face": "expression_face", "voice": "expression_voice"}
"""What is heard and seen to the output that classifies it."""
STRENGTH, NOISE = "strength", "noise"
Crop = UInt8[np.ndarray, "side side 3"]
Mel = Float[np.ndarray, "1 mels frames"]


@dataclass(frozen=True, eq=False)
class Perceived:
    """A face with a voice."""

    expressions: dict[str, dict[str, float]]
    """both, face, voice -> class to probability; only those that the network gives."""
    perceived: Crop
    """The face as it is perceived with the voice."""
    plain: Crop
    """Its reconstruction without the voice."""
    shift: float
    """Root mean square of what the voice added to the face's code; 0 where the network does not give it."""

    @property
    def change(self) -> Float[np.ndarray, "side side"]:
        """What the voice changed: mean absolute difference over the channels, of 1."""
        return np.abs(self.perceived.astype(float) - self.plain).mean(2) / 255


def can_perceive(info: BundleInfo) -> bool:
    """Whether the bundle takes a face and a voice, and draws the face with the voice and without it."""
    drawn = {name for name, output in info.outputs.items() if output.kind == "picture"}
    return has_picture_and_voice(info.inputs) and {PERCEIVED, PLAIN} <= drawn and WAYS["both"] in info.outputs


class Perceiver:
    """A bundle of a context network.

    bundle: its folder. Raises MienError for a bundle that cannot be used or does not draw the perceived face.
    """

    def __init__(self, bundle: str | Path, *, threads: int | None = None) -> None:
        folder = Path(bundle)
        info = read_info(folder)
        if not can_perceive(info):
            raise MienError(
                f"{folder} is a {info.system}, which takes {' and '.join(info.inputs)} and gives "
                f"{', '.join(info.outputs)}; to perceive, name a context network (can) that gives "
                f"{PERCEIVED} and {PLAIN}."
            )
        self.runner = Runner(folder, threads=threads)
        self.info: BundleInfo = self.runner.info
        self.picture: PictureInput = info.picture
        voice = info.inputs[VOICE]
        assert isinstance(voice, SoundInput)
        self.voice: SoundInput = voice
        self.classes = self.info.outputs[WAYS["both"]].names

    @property
    def has_strength(self) -> bool:
        """Whether the strength of the shift can be set."""
        return STRENGTH in self.info.controls

    @property
    def has_noise(self) -> bool:
        """Whether it can draw from the codes in place of their means."""
        return NOISE in self.info.controls

    def heard(self, sound: Sound) -> Mel:
        """A window at the network's rate as the network takes it."""
        return log_mel(sound, self.voice)

    def perceive(self, face: Crop, voice: Mel, *, strength: float | None = None, seed: int | None = None) -> Perceived:
        """The face with the voice; the same input has the same output.

        face: cut out as `picture` says. voice: of `heard`. strength: of the shift; 0 is none, 1 as trained.
        seed: of a draw from the codes; None takes their means. Raises MienError for a control that the network lacks.
        """
        inputs = {self._picture_name: normalise(face[None], self.picture), VOICE: voice[None]}
        for name, wanted in ((STRENGTH, strength), (NOISE, seed)):
            if wanted is not None and name not in self.info.controls:
                raise MienError(
                    f"{self.info.model_id} has no control {name!r}: it was exported by an older mien, or has no "
                    "attention. Export it again: mien export BUNDLE."
                )
        if strength is not None:
            inputs[STRENGTH] = np.full((1, 1), strength, np.float32)
        if seed is not None:
            length = self.info.controls[NOISE].length
            inputs[NOISE] = np.random.default_rng(seed).standard_normal((1, length)).astype(np.float32)
        found = self.runner.outputs(inputs)
        return Perceived(
            {way: self._classes(name, found[name]) for way, name in WAYS.items() if name in self.info.outputs},
            self._pixels(found[PERCEIVED][0]), self._pixels(found[PLAIN][0]),
            float(np.sqrt(np.square(found[SHIFT]).mean())) if SHIFT in found else 0.0,
        )  # fmt: skip

    @property
    def _picture_name(self) -> str:
        return next(name for name, given in self.info.inputs.items() if isinstance(given, PictureInput))

    def _classes(self, name: str, logits: np.ndarray) -> dict[str, float]:
        values = probabilities(logits, temperature=self.info.temperature(name))
        return dict(zip(self.info.outputs[name].names, values[0].tolist(), strict=True))

    def _pixels(self, picture: Float[np.ndarray, "3 side side"]) -> Crop:
        shares = picture.transpose(1, 2, 0) * np.array(self.picture.std) + np.array(self.picture.mean)
        return np.round(255 * shares.clip(0, 1)).astype(np.uint8)
