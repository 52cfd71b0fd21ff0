"""From the movements of a voice to sound: a glottal source, noise, and a tract of moving resonances. numpy only.

The source is the KLGLOTT88 pulse (Klatt & Klatt 1990, J. Acoust. Soc. Am. 87, 820-857), one cycle at a time with jitter
and shimmer, made at several times the rate against aliasing. The tract is their cascade of digital resonators with a
nasal pole and zero; friction has a resonance of its own, beside it. Unusual: filters run on overlapping frames in the
frequency domain, where a cascade's response is one over the transform of its polynomial. Where formants stand still
this is the recursive filter (its tail cut at 70 dB down); where they move, neighbouring filters are cross-faded, so
there are no clicks and no loop over samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

FRAME_S = 0.005
_SOURCE_RATE_HZ = 64_000  # at least; a pulse ends abruptly
_TAIL_S = 0.045  # of a resonance, until it is 70 dB down


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Parameters of a voice every `hop` samples. Amplitudes: 1 is a stressed vowel's voice."""

    f0_hz: Float[np.ndarray, "frames"]
    """Pitch, also where voiceless."""
    voice: Float[np.ndarray, "frames"]
    """Amplitude of the glottal source."""
    breath: Float[np.ndarray, "frames"]
    """Amplitude of aspiration."""
    noise: Float[np.ndarray, "frames"]
    """Amplitude of friction."""
    formants_hz: Float[np.ndarray, "frames n"]
    """Centre frequencies."""
    bandwidths_hz: Float[np.ndarray, "frames n"]
    """Of the formants."""
    nasal: Float[np.ndarray, "frames"]
    """0..1."""
    nasal_zero_hz: Float[np.ndarray, "frames"]
    """Frequency of the nasal zero."""
    tilt_db: Float[np.ndarray, "frames"]
    """Fall of the source per octave above 600 Hz."""
    open_quotient: Float[np.ndarray, "frames"]
    """Open part of the glottal cycle."""
    noise_hz: Float[np.ndarray, "frames 2"]
    """Peak and bandwidth of friction."""
    jitter: float
    """Relative, from cycle to cycle."""
    shimmer: float
    """Relative, from cycle to cycle."""


def frame_hop(sample_rate_hz: int) -> int:
    """Samples between two frames."""
    return round(FRAME_S * sample_rate_hz)


def voiced_sound(tracks: Tracks, rng: np.random.Generator, *, sample_rate_hz: int) -> Float[np.ndarray, "samples"]:
    """Voice and aspiration through the tract, float64; (frames - 1) * hop samples."""
    hop = frame_hop(sample_rate_hz)
    count = (len(tracks.f0_hz) - 1) * hop
    pulses, opened = _pulses(tracks, rng, count=count, sample_rate_hz=sample_rate_hz)
    air = _soft_noise(rng, count, sample_rate_hz) * (0.35 + 0.65 * opened)
    source = pulses * _at_samples(tracks.voice, hop) + air * _at_samples(tracks.breath, hop)
    return _filtered(source, hop, lambda frames: _tract_response(tracks, frames, sample_rate_hz))


def friction_sound(tracks: Tracks, rng: np.random.Generator, *, sample_rate_hz: int) -> Float[np.ndarray, "samples"]:
    """Noise of fricatives and bursts, with unit power where `noise` is 1."""
    hop = frame_hop(sample_rate_hz)
    source = rng.standard_normal((len(tracks.noise) - 1) * hop) * _at_samples(tracks.noise, hop)
    return _filtered(source, hop, lambda frames: _friction_response(tracks.noise_hz[frames], sample_rate_hz))


def _soft_noise(rng: np.random.Generator, count: int, sample_rate_hz: int) -> np.ndarray:
    """Unit noise up to about 5 kHz: turbulence at the glottis has little above."""
    lag = max(1, round(sample_rate_hz / 16_000))
    white = rng.standard_normal(count + lag)
    return (white[lag:] + white[:-lag]) / np.sqrt(2.0)


def _at_samples(track: np.ndarray, hop: int, *, times: int = 1) -> np.ndarray:
    """Straight lines between frames, [(frames - 1) * hop * times]."""
    share = np.arange(hop * times) / (hop * times)
    return (track[:-1, None] * (1 - share) + track[1:, None] * share).reshape(-1)


def _pulses(
    tracks: Tracks, rng: np.random.Generator, *, count: int, sample_rate_hz: int
) -> tuple[np.ndarray, np.ndarray]:
    """The derivative of glottal flow with unit power, and 1 where the glottis is open."""
    times = max(2, round(_SOURCE_RATE_HZ / sample_rate_hz))
    fine = times * sample_rate_hz
    hop = frame_hop(sample_rate_hz)
    phase = np.cumsum(_at_samples(tracks.f0_hz, hop, times=times)) / fine
    cycles = int(phase[-1]) + 3
    late = np.clip(rng.normal(0, tracks.jitter, cycles), -0.2, 0.2)
    phase = phase + np.interp(phase, np.arange(cycles), late) + 0.5
    cycle = np.clip(phase.astype(np.int64), 0, cycles - 1)
    begins = np.minimum(np.searchsorted(phase, np.arange(cycles)), len(phase) - 1)
    opens = tracks.open_quotient[np.minimum(begins // (hop * times), len(tracks.f0_hz) - 1)]
    loud = np.clip(1 + rng.normal(0, tracks.shimmer, cycles), 0.3, 1.7) / np.sqrt(opens * 2 / 15)
    share = (phase - cycle) / opens[cycle]
    opened = share < 1
    flow = np.where(opened, (2 * share - 3 * share * share), 0.0) * loud[cycle]
    return _decimated(flow, count), opened[::times].astype(np.float64)


def _decimated(fine: np.ndarray, count: int) -> np.ndarray:
    """`count` samples of what lies below half the new rate."""
    times = len(fine) // count
    size = _smooth_size(count)
    spectrum = np.fft.rfft(fine, size * times)[: size // 2 + 1]
    edge = max(1, len(spectrum) // 50)
    spectrum[-edge:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, edge + 1) / edge)
    return np.fft.irfft(spectrum, size)[:count] / times


def _smooth_size(count: int) -> int:
    """The next even number with small prime factors, for a fast transform."""
    step = 1 << max(1, count.bit_length() - 4)
    return -(-count // step) * step


def _transform_size(sample_rate_hz: int) -> int:
    return 1 << (2 * frame_hop(sample_rate_hz) + round(_TAIL_S * sample_rate_hz)).bit_length()


def _resonator(centre_hz: np.ndarray, bandwidth_hz: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Klatt's (1980) two-pole polynomial [frames, 3], first coefficient 1."""
    radius = np.exp(-np.pi * bandwidth_hz / sample_rate_hz)
    middle = -2 * radius * np.cos(2 * np.pi * centre_hz / sample_rate_hz)
    return np.stack([np.ones_like(radius), middle, radius * radius], axis=1)


def _times(polynomial: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """The product of polynomials, frame by frame: [frames, n] x [frames, 3] -> [frames, n + 2]."""
    product = np.zeros((len(polynomial), polynomial.shape[1] + 2))
    for power in range(3):
        product[:, power : power + polynomial.shape[1]] += polynomial * factor[:, power : power + 1]
    return product


def _friction_response(noise_hz: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """One resonance with a zero at 0 Hz, of unit power: complex [frames, bins]."""
    size = _transform_size(sample_rate_hz)
    poles = _resonator(np.clip(noise_hz[:, 0], 200, 0.46 * sample_rate_hz), noise_hz[:, 1], sample_rate_hz)
    zero = 1 - np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = zero / np.fft.rfft(poles, size)
    return response / np.sqrt(np.mean(np.abs(response) ** 2, axis=1, keepdims=True))


def _tract_response(tracks: Tracks, frames: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Formants in cascade, nasal pole and zero, and the slope of the source: complex [frames, bins], 1 at 0 Hz."""
    size = _transform_size(sample_rate_hz)
    nasal, zero_hz = tracks.nasal[frames], tracks.nasal_zero_hz[frames]
    poles = _resonator(np.full(len(frames), 270.0), np.full(len(frames), 100.0), sample_rate_hz)
    zeros = _resonator(270 + nasal * (zero_hz - 270), 100 + 100 * nasal, sample_rate_hz)
    for centre, width in zip(tracks.formants_hz[frames].T, tracks.bandwidths_hz[frames].T, strict=True):
        poles = _times(poles, _resonator(centre, width, sample_rate_hz))
    gain = poles.sum(1, keepdims=True) / zeros.sum(1, keepdims=True)
    # A fractional power of a first-order low-pass: any slope, and nothing before time 0.
    octaves = np.log(1 + 1j * np.arange(size // 2 + 1) * (sample_rate_hz / size / 600.0))
    slope = np.exp(-tracks.tilt_db[frames, None] / 6.02 * octaves)
    return gain * np.fft.rfft(zeros, size) / np.fft.rfft(poles, size) * slope


def _filtered(source: np.ndarray, hop: int, respond: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Frame i, a raised cosine of two hops around sample i * hop, through `respond`'s response to i; all added up.

    Frames of silence are left out.
    """
    padded = np.concatenate([np.zeros(hop), source, np.zeros(hop)])
    window = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)
    frames = sliding_window_view(padded, 2 * hop)[::hop]
    sounding = np.flatnonzero(frames.any(axis=1))
    if not len(sounding):
        return np.zeros_like(source)
    response = respond(sounding)
    size = 2 * (response.shape[1] - 1)
    heard = np.fft.irfft(np.fft.rfft(frames[sounding] * window, size) * response, size)
    total = np.zeros((len(frames) + -(-size // hop), hop))
    for block, start in enumerate(range(0, size, hop)):
        part = heard[:, start : start + hop]
        total[sounding + block, : part.shape[1]] += part
    return total.reshape(-1)[hop : hop + len(source)]
