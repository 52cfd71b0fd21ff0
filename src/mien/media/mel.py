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
from mien.media.audio import Sound

_FLOOR, _RANGE_DB = 1e-10, 100.0


def log_mel(sound: Sound, given: SoundInput) -> Float[np.ndarray, "1 mels frames"]:
    """float32 in 0..1, low bands first, of the window that the input asks for. Raises MienError for another rate."""
    decibels = 10 * np.log10(np.maximum(mel_power(window(sound, given), given), _FLOOR))
    decibels = np.maximum(decibels, decibels.max() - _RANGE_DB)
    low, high = decibels.min(), decibels.max()
    scaled = (decibels - low) / (high - low) if high > low else np.zeros_like(decibels)
    return scaled[None].astype(np.float32)


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
    """Power in each band, float64. Raises MienError for a window shorter than half a transform."""
    half = given.fft // 2
    if len(samples) <= half:
        raise MienError(f"A window of {len(samples)} samples is too short for transforms of {given.fft}.")
    padded = np.pad(samples.astype(np.float64), half, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, given.fft)[:: given.hop]
    spectrum = np.fft.rfft(frames * hann(given.fft), axis=1)
    return (np.abs(spectrum) ** 2 @ filter_bank(given)).T


@lru_cache(maxsize=8)
def hann(length: int) -> Float[np.ndarray, " length"]:
    """The periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


@lru_cache(maxsize=8)
def filter_bank(given: SoundInput) -> Float[np.ndarray, "frequencies mels"]:
    """Triangles that reach from one band's centre to the next one's, equally far apart in mel."""
    frequencies = np.linspace(0, given.rate_hz // 2, given.fft // 2 + 1)
    edges = _to_hz(np.linspace(_to_mel(given.low_hz), _to_mel(given.high_hz), given.mels + 2))
    rising = (frequencies[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1]
    falling = (edges[None, 2:] - frequencies[:, None]) / np.diff(edges)[None, 1:]
    return np.maximum(np.minimum(rising, falling), 0)


def _to_mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _to_hz(mel: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return 700 * (10 ** (mel / 2595) - 1)
