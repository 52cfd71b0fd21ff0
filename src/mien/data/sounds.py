"""Augmentation of voices: speed, place in the window, room, noise and tilt of the sound, masks in its log-mel picture.

What a voice gets depends on (seed, epoch, index) only, as for faces; frames of one clip get different ones.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from mien.core.options import check_rules, from_plain
from mien.core.spec import SoundInput
from mien.media.sound.audio import Sound, resample
from mien.media.sound.mel import band_centres_hz, decibels, mel_power, scaled, window

TILT_FROM_HZ = 1000.0  # whose level a tilt leaves alone
LEAST_NOISE = 0.01  # of the largest


@dataclass(frozen=True)
class SoundAugmentation:
    """An augmentation recipe of voices; by default they stay as they are."""

    speed: float = 0.0
    """Largest change of speed, and of pitch with it, to either side, in octaves, 0..1."""
    shift_s: float = 0.0
    """Largest shift of the window to either side, in seconds; it never leaves a recording that is longer, and a shorter
    one stays in it whole."""
    room_s: float = 0.0
    """Longest reverberation time (to -60 dB) of a room of random echoes, in seconds, 0..5."""
    noise: float = 0.0
    """Largest standard deviation of white noise, as a share of the sound's, 0..10; drawn log-uniformly from a hundredth
    of it."""
    tilt_db: float = 0.0
    """Largest tilt of the spectrum about 1 kHz to either side, in decibels per octave, 0..12."""
    masks: int = 0
    """Number of bars of bands, and of bars of frames, that are set to the mean (SpecAugment; Park et al., Interspeech
    2019)."""
    mask_share: float = 0.1
    """Largest width of a bar as a share of the picture, 0..1."""

    def __post_init__(self) -> None:
        most = {"speed": 1, "shift_s": 60, "room_s": 5, "noise": 10, "tilt_db": 12, "masks": 100, "mask_share": 1}
        rules = {name: (0 <= getattr(self, name) <= highest, f"in 0..{highest}") for name, highest in most.items()}
        check_rules(self, "data.sound.", rules)

    @property
    def active(self) -> bool:
        """Whether it changes anything."""
        return any((self.speed, self.shift_s, self.room_s, self.noise, self.tilt_db, self.masks))

    def __call__(self, sound: Sound, given: SoundInput, rng: np.random.Generator) -> Float[np.ndarray, "1 mels frames"]:
        """float32 in 0..1: as `log_mel` of the changed sound.

        Every option has its own place in the random stream: changing one leaves the others.
        """
        u = rng.random(5)
        around = 2 * u - 1
        if self.speed:
            rate = max(1, round(sound.sample_rate_hz * 2 ** (around[0] * self.speed)))
            sound = Sound(resample(Sound(sound.samples, rate), sound.sample_rate_hz).samples, sound.sample_rate_hz)
        samples = self._shifted(sound, given, around[1])
        if self.room_s:
            samples = _echoed(samples, u[2] * self.room_s * given.rate_hz, rng)
        if self.noise:
            share = self.noise * LEAST_NOISE ** u[3]
            samples = samples + rng.standard_normal(len(samples), np.float32) * (share * float(samples.std()))
        power = mel_power(samples.astype(np.float32), given)
        if self.tilt_db:
            octaves = np.log2(np.maximum(band_centres_hz(given), 1.0) / TILT_FROM_HZ)
            power = power * 10 ** (around[4] * self.tilt_db * octaves / 10)[:, None]
        picture = scaled(decibels(power))
        self._mask(picture, rng)
        return picture

    def _shifted(self, sound: Sound, given: SoundInput, around: float) -> Float[np.ndarray, " samples"]:
        """The window, moved by this share of the largest shift; of a shorter sound that many samples later."""
        most, spare = self.shift_s * given.rate_hz, len(sound.samples) - given.samples
        if spare < 0:
            room = most if given.padding == "repeat" else min(most, -spare)
            return np.roll(window(sound, given), round(abs(around) * room))
        first = round(spare / 2 + around * min(most, spare / 2))
        return window(Sound(sound.samples[first : first + given.samples], sound.sample_rate_hz), given)

    def _mask(self, picture: Float[np.ndarray, "1 mels frames"], rng: np.random.Generator) -> None:
        """In place."""
        mean = picture.mean()
        for _ in range(self.masks):
            for axis in (1, 2):
                length = picture.shape[axis]
                width = round(rng.random() * self.mask_share * length)
                first = int(rng.integers(0, length - width + 1))
                bar = [slice(None)] * 3
                bar[axis] = slice(first, first + width)
                picture[tuple(bar)] = mean


def sound_augmentation(**changes: Any) -> SoundAugmentation:
    """Raises MienError for an unknown option."""
    return from_plain(SoundAugmentation, changes, where="data.sound")


def _echoed(
    samples: Float[np.ndarray, " samples"], decay: float, rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """The sound with noise-like echoes that fall by 60 dB within `decay` samples and hold a tenth of its energy at
    most."""
    length = min(max(2, round(decay)), len(samples))
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / max(decay, 1.0))
    tail[0] = 0.0
    response = tail * np.sqrt(0.1 / max(float(np.square(tail).sum()), 1e-12))
    response[0] = 1.0
    size = 1 << (len(samples) + length - 2).bit_length()
    whole = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    return whole[: len(samples)].astype(np.float32)
