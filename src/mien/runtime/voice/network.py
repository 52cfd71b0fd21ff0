"""VoiceAnalyzer: what a voice expresses, window by window."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.decode import probabilities
from mien.core.errors import MienError
from mien.core.spec import FunctionalsInput, Input, SoundInput
from mien.core.typed import SameNumbers, checked
from mien.media.bundles import bundle_folder
from mien.media.files import read_info
from mien.media.sound.audio import Sound, check_sound, resample_blocks
from mien.media.sound.mel import log_mel
from mien.media.video.soundtrack import Recording, opened_recording
from mien.runtime.runner import Runner
from mien.runtime.voice.functionals import functionals
from mien.runtime.voice.windows import VoiceWindow, voice_windows

SHIPPED = "voice_expression_ravdess"
LEAST_HOP_S, LONGEST_HOP_S = 0.01, 3600.0
Heard = dict[str, dict[str, float]]


@dataclass(frozen=True, eq=False)
class VoiceReading(SameNumbers):
    """What a network reads in one window of a recording."""

    window: VoiceWindow
    """Where it lies, and of `VoiceAnalyzer.stream` its sound."""
    outputs: Heard
    """Classes (as probabilities) and values by the network's output; empty of a silent window."""

    def __repr__(self) -> str:
        return f"VoiceReading({self.window.from_s:.2f} to {self.window.to_s:.2f} s: {self.label})"

    @property
    def probabilities(self) -> dict[str, float]:
        """Of the first output, by class name; empty of a silent window."""
        return next(iter(self.outputs.values()), {})

    @property
    def expression(self) -> str | None:
        """The most probable class of the first output; None of a silent window."""
        found = self.probabilities
        return max(found, key=lambda name: found[name]) if found else None

    @property
    def label(self) -> str:
        """`anger 52 %`, or why nothing was read."""
        name = self.expression
        return self.window.note if name is None else f"{name} {100 * self.probabilities[name]:.0f} %"


class VoiceAnalyzer:
    """Reads voices with a bundle whose only input is a sound.

    bundle: its folder, or the name of one that ships; None is the voice model that ships with mien, which is not for
    commercial use. hop_s: seconds between two windows; half a window by default. Raises MienError for a bundle that
    cannot be used, that takes something else, and that gives no classes.
    """

    def __init__(
        self, bundle: str | Path | None = None, *, threads: int | None = None, hop_s: float | None = None
    ) -> None:
        folder = bundle_folder(SHIPPED if bundle is None else bundle)
        info = read_info(folder)
        given = voice_input(info.inputs)
        if given is None or not info.outputs_of("classes"):
            raise MienError(
                f"{folder} takes {' and '.join(info.inputs)} and gives {info.gives}; to read a voice, name a bundle "
                "that takes a voice alone and gives classes."
            )
        hop_s = checked(hop_s, float | None, key="hop_s")
        if hop_s is not None and not LEAST_HOP_S <= hop_s <= LONGEST_HOP_S:
            raise MienError(f"hop_s is {LEAST_HOP_S:g} to {LONGEST_HOP_S:,g} seconds; got {hop_s:g}.")
        self.given: SoundInput | FunctionalsInput = given
        self.runner = Runner(folder, threads=threads)
        self.info: BundleInfo = self.runner.info
        self.outputs = self.info.outputs_of("classes", "values")
        """What a reading holds, by name."""
        self.hop_s = given.samples / given.rate_hz / 2 if hop_s is None else hop_s

    def __repr__(self) -> str:
        window_s = self.given.samples / self.given.rate_hz
        return f"VoiceAnalyzer({self.info.model_id}, windows of {window_s:.2f} s every {self.hop_s:.2f} s)"

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the first output."""
        return next(output.names for output in self.info.outputs_of("classes").values())

    def read(self, source: Path | str | Sound) -> list[VoiceReading]:
        """All windows of a sound or of a video's sound in order, without their samples; none of a video without sound.

        Raises MienError for what cannot be read.
        """
        return [replace(each, window=replace(each.window, kept=None)) for each in self.stream(source)]

    def stream(self, source: Path | str | Sound) -> Iterator[VoiceReading]:
        """As `read`, one after the other, each with its samples: memory holds one window."""
        if isinstance(source, Sound):
            check_sound(source)
        elif not isinstance(source, str | Path):
            raise MienError(f"A voice is read from a path or a Sound; got {type(source).__name__}.")
        rate = self.given.rate_hz
        with (
            nullcontext(_recording(source, rate))
            if isinstance(source, Sound)
            else opened_recording(source, rate_hz=rate) as recording
        ):
            if recording is None:
                return
            name = "the sound" if isinstance(source, Sound) else str(source)
            windows = voice_windows(
                recording.blocks,
                rate_hz=rate,
                samples=self.given.samples,
                hop_s=self.hop_s,
                name=name,
                shortfall=recording.shortfall,
            )
            for window in windows:
                yield VoiceReading(window, {} if window.silent else self.read_window(window.sound))

    def read_window(self, sound: Sound) -> Heard:
        """Of one window at the network's rate. Raises MienError for another rate."""
        prepared = prepare_voice(sound, self.given)
        found = self.runner.outputs(prepared[None])
        decoded: Heard = {}
        for name, output in self.outputs.items():
            values = found[name]
            if output.kind == "classes":
                values = probabilities(values, temperature=self.info.temperature(name))
            decoded[name] = dict(zip(output.names, values[0].tolist(), strict=True))
        return decoded


def _recording(sound: Sound, rate_hz: int) -> Recording:
    return Recording(sound.sample_rate_hz, resample_blocks(iter([sound.samples]), sound.sample_rate_hz, rate_hz))


def voice_input(inputs: Mapping[str, Input]) -> SoundInput | FunctionalsInput | None:
    """The only input, where it is a sound."""
    given = list(inputs.values())
    return given[0] if len(given) == 1 and isinstance(given[0], SoundInput | FunctionalsInput) else None


def prepare_voice(sound: Sound, given: SoundInput | FunctionalsInput) -> np.ndarray:
    """float32, of the shape that the input declares. Raises MienError for a sound at another rate."""
    if isinstance(given, SoundInput):
        return log_mel(sound, given)
    if sound.sample_rate_hz != given.rate_hz:
        raise MienError(f"The network takes sound at {given.rate_hz} Hz; got {sound.sample_rate_hz} Hz.")
    return functionals(sound.samples).astype(np.float32)


def mean_of(readings: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each class's probability over windows; empty of none."""
    if not readings:
        return {}
    return {name: float(np.mean([reading[name] for reading in readings])) for name in readings[0]}
