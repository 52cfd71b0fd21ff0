"""Sounds as log-mel pictures: the sound front end of the context-attention network (CAN), in NumPy.

Short-time Fourier transform with a periodic Hann window, centred, reflected at both ends; power; triangular bands on
the HTK mel scale (2595 log10(1 + f / 700)) without area normalisation; decibels with a range of 100; 0..1 within the
window. A silent window is 0 throughout (the published code divides by 0).
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.spec import SoundInput
from mien.media.sound.audio import Sound
from mien.media.sound.prime_transform import transform_of

_FLOOR, _RANGE_DB = 1e-10, 100.0
_BANDS_AT_ONCE = 16


def log_mel(sound: Sound, given: SoundInput) -> Float[np.ndarray, "1 mels frames"]:
    """float32 in 0..1, low bands first, of the window that the input asks for. Raises MienError for another rate."""
    return scaled(decibels(mel_power(window(sound, given), given)))


def decibels(power: Float[np.ndarray, "mels frames"]) -> Float[np.ndarray, "mels frames"]:
    """10 log10 of each power, at most 100 below the loudest of them."""
    level = 10 * np.log10(np.maximum(power, _FLOOR))
    return np.maximum(level, level.max() - _RANGE_DB)


def scaled(level: Float[np.ndarray, "mels frames"]) -> Float[np.ndarray, "1 mels frames"]:
    """float32: 0 for the lowest level and 1 for the highest; 0 throughout where all are the same."""
    low, high = level.min(), level.max()
    return ((level - low) / (high - low) if high > low else np.zeros_like(level))[None].astype(np.float32)


def window(sound: Sound, given: SoundInput) -> Float[np.ndarray, " samples"]:
    """`given.samples` samples: the middle of a longer recording; a shorter one is followed by its padding."""
    if sound.sample_rate_hz != given.rate_hz:
        raise MienError(f"The network takes sound at {given.rate_hz} Hz; got {sound.sample_rate_hz} Hz.")
    samples, wanted = sound.samples, given.samples
    if len(samples) >= wanted:
        first = (len(samples) - wanted) // 2
        return samples[first : first + wanted]
    if given.padding == "repeat":
        return np.resize(samples, wanted)
    return np.concatenate([samples, np.zeros(wanted - len(samples), samples.dtype)])


def mel_power(samples: Float[np.ndarray, " samples"], given: SoundInput) -> Float[np.ndarray, "mels frames"]:
    """Power in each band, float32. Raises MienError for a window shorter than half a transform."""
    half, sound = given.fft // 2, samples.astype(np.float32)
    if len(sound) <= half:
        raise _too_short(len(sound), given)
    around = np.concatenate([sound[half:0:-1], sound, sound[-2 : -2 - half : -1]])
    return _in_bands(_power(around, fft=given.fft, hop=given.hop), given)


def _too_short(samples: int, given: SoundInput) -> MienError:
    return MienError(f"A window of {samples} samples is too short for transforms of {given.fft}.")


class MelStream:
    """`mel_power` of sound that comes in blocks of any length: each frame once, as soon as its samples are there.

    A frame needs `given.fft // 2` samples after its centre, which is how far the frames are behind the sound.
    """

    def __init__(self, given: SoundInput) -> None:
        self.given = given
        self._kept: Float[np.ndarray, " _"] = np.zeros(0, np.float32)
        self._started = False  # whether what lies before the first sample is in `_kept`
        self._next = 0  # where the next frame begins in `_kept`

    def push(self, samples: Float[np.ndarray, " _"]) -> Float[np.ndarray, "mels frames"]:
        """The frames that these samples complete, none or more."""
        self._kept = np.concatenate([self._kept, samples.astype(np.float32)])
        half = self.given.fft // 2
        if not self._started:
            if len(self._kept) <= half:
                return np.zeros((self.given.mels, 0), np.float32)
            self._kept = np.concatenate([self._kept[half:0:-1], self._kept])
            self._started = True
        return self._frames()

    def finish(self) -> Float[np.ndarray, "mels frames"]:
        """The last frames, behind which the sound is reflected; nothing may follow. Raises MienError where all the
        sound was shorter than half a transform."""
        half = self.given.fft // 2
        if not self._started:
            raise _too_short(len(self._kept), self.given)
        self._kept = np.concatenate([self._kept, self._kept[-2 : -2 - half : -1]])
        return self._frames()

    def _frames(self) -> Float[np.ndarray, "mels frames"]:
        """Of all whole transforms in `_kept`, which keeps what later frames and the reflection of the end need."""
        fft, hop = self.given.fft, self.given.hop
        if len(self._kept) - self._next < fft:
            return np.zeros((self.given.mels, 0), np.float32)
        power = _power(self._kept[self._next :], fft=fft, hop=hop)
        self._next += power.shape[1] * hop
        first = min(self._next, len(self._kept) - fft // 2 - 1)
        self._kept, self._next = self._kept[first:].copy(), self._next - first
        return _in_bands(power, self.given)


def _power(kept: Float[np.ndarray, " samples"], *, fft: int, hop: int) -> Float[np.ndarray, "frequencies frames"]:
    """float32: squared magnitudes of the Fourier transforms of all whole frames behind the window."""
    transform = transform_of(fft)
    if transform is not None:
        return transform.power(kept, hop=hop)
    frames = np.lib.stride_tricks.sliding_window_view(kept, fft)[::hop]
    spectrum = np.fft.rfft(frames * hann(fft), axis=1)
    return (np.square(spectrum.real) + np.square(spectrum.imag)).astype(np.float32).T


def _in_bands(power: Float[np.ndarray, "frequencies frames"], given: SoundInput) -> Float[np.ndarray, "mels frames"]:
    """filter_bank(given).T @ power, whose entries are nearly all 0."""
    found = np.empty((given.mels, power.shape[1]), np.float32)
    for frequencies, bands, weights in _bank_parts(given):
        np.matmul(weights, power[frequencies], out=found[bands])
    return found


@lru_cache(maxsize=8)
def _bank_parts(given: SoundInput) -> list[tuple[slice, slice, np.ndarray]]:
    """Neighbouring bands of the filter bank with the frequencies that they reach: (frequencies, bands, weights)."""
    bank, parts = filter_bank(given), []
    for first in range(0, given.mels, _BANDS_AT_ONCE):
        bands = slice(first, min(first + _BANDS_AT_ONCE, given.mels))
        reached = np.flatnonzero(bank[:, bands].any(axis=1))
        low, high = (int(reached[0]), int(reached[-1]) + 1) if len(reached) else (0, 1)
        parts.append((slice(low, high), bands, np.ascontiguousarray(bank[low:high, bands].T, np.float32)))
    return parts


@lru_cache(maxsize=8)
def hann(length: int) -> Float[np.ndarray, " length"]:
    """The periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def band_centres_hz(given: SoundInput) -> Float[np.ndarray, " mels"]:
    """The peak of each triangle."""
    return _to_hz(np.linspace(_to_mel(given.low_hz), _to_mel(given.high_hz), given.mels + 2))[1:-1]


@lru_cache(maxsize=8)
def filter_bank(given: SoundInput) -> Float[np.ndarray, "frequencies mels"]:
    """Triangles that reach from one band's centre to the next one's, equally far apart in mel; 0 above the limit."""
    frequencies = np.linspace(0, given.rate_hz // 2, given.fft // 2 + 1)
    edges = _to_hz(np.linspace(_to_mel(given.low_hz), _to_mel(given.high_hz), given.mels + 2))
    rising = (frequencies[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1]
    falling = (edges[None, 2:] - frequencies[:, None]) / np.diff(edges)[None, 1:]
    return np.maximum(np.minimum(rising, falling), 0) * (frequencies <= given.heard_hz)[:, None]


def _to_mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _to_hz(mel: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return 700 * (10 ** (mel / 2595) - 1)
