"""What a run of `mien perceive` reads with, and the windows of its voice."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mien.core.errors import MienError
from mien.media.bundles import bundle_folder, shipped_with
from mien.media.sound.audio import Sound, resample
from mien.media.sound.mel import window as padded
from mien.media.video.soundtrack import opened_recording
from mien.runtime.voice.network import VoiceAnalyzer
from mien.runtime.voice.perceiver import PERCEIVED, PLAIN, WAYS, Perceived, Perceiver
from mien.runtime.voice.windows import VoiceWindow, voice_windows

ORDER = ("face", "voice", "both")


@dataclass(frozen=True)
class PerceiveOptions:
    """Of one run."""

    face: Path
    """Picture or video."""
    voice: Path
    """Sound or video."""
    hop_s: float | None
    """Seconds between two windows of the voice; None is a quarter of a window."""
    strength: float
    """Of the shift."""
    samples: int
    """Draws from the codes; 0 for none."""
    every: int
    """Of a video, every so many frames."""


class Networks(NamedTuple):
    """What reads."""

    perceiver: Perceiver
    """Face with voice."""
    voice: VoiceAnalyzer | None
    """The voice alone; None where the perceiver's own output is taken."""

    @property
    def model_id(self) -> str:
        infos = [self.perceiver.info, *([self.voice.info] if self.voice else [])]
        return ", ".join(info.model_id for info in infos)

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """face, voice, both, where they are read -> the classes."""
        outputs = self.perceiver.info.outputs
        found = {way: outputs[name].names for way, name in WAYS.items() if name in outputs}
        if self.voice is not None:
            found["voice"] = self.voice.classes
        return {way: found[way] for way in ORDER if way in found}


class Heard(NamedTuple):
    """A window of the voice, ready for the networks."""

    window: VoiceWindow
    """Where it lies, and its sound."""
    mel: np.ndarray | None
    """As the perceiver takes it; None of a silent window."""
    alone: dict[str, float]
    """Expression of the voice by the network for it alone; empty without one."""


def opened_networks(bundle: str | None, voice_bundle: str | None, *, threads: int | None) -> Networks:
    """bundle: None for the one that ships. Raises MienError for a bundle that cannot be used."""
    voice = None if voice_bundle is None else VoiceAnalyzer(voice_bundle, threads=threads)
    folder = shipped_with(WAYS["both"], PERCEIVED, PLAIN) if bundle is None else bundle_folder(bundle)
    if folder is None:
        raise MienError("No context network ships with this mien: --bundle BUNDLE.")
    return Networks(Perceiver(folder, threads=threads), voice)


def heard_windows(options: PerceiveOptions, networks: Networks) -> Iterator[Heard]:
    """The windows of the voice in order. Raises MienError for a file without sound, and what cannot be read."""
    given, path = networks.perceiver.voice, options.voice
    seconds = given.samples / given.rate_hz
    with opened_recording(path, rate_hz=given.rate_hz) as recording:
        if recording is None:
            raise MienError(f"{path}: a video without sound. Name the voice: --voice SOUND.")
        windows = voice_windows(
            recording.blocks, rate_hz=given.rate_hz, samples=given.samples, hop_s=options.hop_s or seconds / 4,
            name=str(path), shortfall=recording.shortfall,
        )  # fmt: skip
        for window in windows:
            yield _heard(window, networks)


def _heard(window: VoiceWindow, networks: Networks) -> Heard:
    if window.silent:
        return Heard(window, None, {})
    given, alone = networks.perceiver.voice, {}
    if networks.voice is not None:
        found = networks.voice.read_window(resample(window.sound, networks.voice.given.rate_hz))
        alone = next(iter(found.values()))
    mel = networks.perceiver.heard(Sound(padded(window.sound, given), given.rate_hz))
    return Heard(window, mel, alone)


def expressions(perceived: Perceived, heard: Heard) -> dict[str, dict[str, float]]:
    """face, voice, both -> class to probability; the voice by the network for it alone where there is one."""
    found = perceived.expressions | ({"voice": heard.alone} if heard.alone else {})
    return {way: found[way] for way in ORDER if way in found}


def thinned(heard: Iterable[Heard], most: int) -> list[Heard]:
    """At most so many of the windows, evenly; each stands for the time up to halfway to its neighbours."""
    kept, step = [], 1
    for number, each in enumerate(heard):
        if number % step == 0:
            kept.append(each)
        if len(kept) > most:
            kept, step = kept[::2], 2 * step
    if step > 1:
        centres = [(each.window.start_s + each.window.end_s) / 2 for each in kept]
        edges = [kept[0].window.from_s, *((a + b) / 2 for a, b in pairwise(centres)), kept[-1].window.to_s]
        kept = [
            each._replace(window=replace(each.window, from_s=start, to_s=end))
            for each, (start, end) in zip(kept, pairwise(edges), strict=True)
        ]
    return kept


def recorded_rate_hz(path: Path) -> int:
    """Sampling rate of the file's sound. Raises MienError as `heard_windows`."""
    with opened_recording(path, rate_hz=16_000) as recording:
        if recording is None:
            raise MienError(f"{path}: a video without sound. Name the voice: --voice SOUND.")
        return recording.rate_hz
