"""Functionals of a voice: what pitch, loudness, spectrum and rhythm of an utterance amount to, in NumPy.

The families of descriptors are those of eGeMAPS (Eyben et al., IEEE Transactions on Affective Computing 2016) and of
ComParE: pitch, jitter, shimmer, harmonics-to-noise ratio, formants by linear prediction, spectral slopes, alpha
ratio, Hammarberg index, flux, cepstra with their changes, modulation of bands, and the lengths of voiced stretches. The
pitch is that of Boersma (1993): peaks of the normalised autocorrelation, chosen along the cheapest path. Nothing here
is equal to openSMILE's numbers.

Frames are 25 ms long and 10 ms apart; those of the pitch are 60 ms. The level of the recording is taken out first: the
same voice nearer to the microphone has the same functionals. A speaker is not normalised.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from mien.core.spec import FUNCTIONALS

RATE_HZ = 16_000
_HOP, _SHORT, _LONG = 160, 400, 960  # samples
_FFT, _LONG_FFT = 512, 2048
_BANDS, _CEPSTRA, _FORMANTS, _ORDER = 40, 16, 3, 18
_LOWEST_HZ, _HIGHEST_HZ, _CANDIDATES = 60, 600, 6
_LOUD_DB, _ACTIVE_DB = 40.0, 30.0  # below the loudest frame: what is kept at the ends, and what counts as speech
_RMS = 0.05  # of the recording once its level is taken out
_FEWEST = 6  # frames that stand for the voice where none is voiced
_RATE_PER_S = RATE_HZ // _HOP
Values = Float[np.ndarray, " _"]
Frames = Float[np.ndarray, "frames _"]
Place = Bool[np.ndarray, " frames"]
_Voiced = Float[np.ndarray, "voiced _"]


class _Pitch(NamedTuple):
    """Of each frame."""

    hz: Values
    voiced: Place
    strength: Values
    """Normalised autocorrelation at the period, 0..1."""
    power: Frames
    """Spectrum of the long frames."""
    energy: Values


def functionals(samples: Float[np.ndarray, " _"]) -> Float[np.ndarray, " functionals"]:
    """float64 [547] of an utterance at 16 kHz, always finite; silence gives what noise far below it would."""
    found = np.concatenate([np.atleast_1d(part) for part in _parts(np.asarray(samples, np.float64))])
    assert found.shape == (FUNCTIONALS,)
    return np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)


def _parts(samples: Values) -> Iterator[np.ndarray]:
    samples = _levelled(_without_ends(samples))
    count = len(samples) // _HOP
    pitch = _pitch(samples, count)
    frames = _framed(samples, _SHORT, count) * np.hamming(_SHORT)
    power = np.abs(np.fft.rfft(frames, _FFT)) ** 2 + 1e-9
    level = 10 * np.log10(np.square(frames).mean(1) + 1e-9)
    active = level > level.max() - _ACTIVE_DB
    voiced = pitch.voiced & active
    if voiced.sum() < _FEWEST:
        voiced = np.zeros(count, bool)
        voiced[np.argsort(-level)[:_FEWEST]] = True
    bands = power @ _bank().T
    cepstra = np.log(bands + 1e-8) @ _cosines(_BANDS, _CEPSTRA).T
    yield from _of_pitch(pitch, voiced, level)
    yield from _of_loudness(bands, level, active, voiced)
    yield from _of_spectrum(power, bands, pitch, active, voiced)
    yield from _of_harmonics(samples, pitch, voiced)
    yield from _of_cepstra(cepstra, active, voiced)
    yield _modulation(np.log(bands + 1e-8))
    yield from _of_rhythm(pitch, active, voiced)


def _of_pitch(pitch: _Pitch, voiced: Place, level: Values) -> Iterator[np.ndarray]:
    """In semitones above 27.5 Hz."""
    tones = 12 * np.log2(pitch.hz / 27.5)
    own, count = tones[voiced], len(voiced)
    place = np.flatnonzero(voiced) / count
    middle = np.median(own)
    yield _statistics(own)
    yield _slopes(own)
    yield _by_part(own, place, 5) - middle
    yield np.percentile(own - middle, [5, 95])
    yield np.polyfit(place, own, 2)
    spread = own.std() > 0 and level[voiced].std() > 0
    yield np.array([
        place[level[voiced].argmax()], place[own.argmax()], place[own.argmin()],
        np.corrcoef(own, level[voiced])[0, 1] if spread else 0.0,
        own[-15:].mean() - middle, own[:15].mean() - middle,
        np.polyfit(np.arange(20), own[-20:], 1)[0] if len(own) > 20 else 0.0,
    ])  # fmt: skip
    rises = [
        np.polyfit(np.arange(end - start) / _RATE_PER_S, tones[start:end], 1)[0]
        for start, end in zip(*_runs(voiced), strict=True)
        if end - start >= 6
    ] or [0.0]
    yield np.array([np.mean(rises), np.std(rises), np.max(rises), np.min(rises)])


def _of_loudness(bands: Frames, level: Values, active: Place, voiced: Place) -> Iterator[np.ndarray]:
    """Loudness as the sum of the bands' powers to 0.3 (Zwicker), and the level."""
    loudness = (bands**0.3).sum(1)[active]
    yield _statistics(loudness)
    yield _statistics(loudness / loudness.mean())[1:]
    yield _slopes(np.log(loudness + 1e-3))
    yield _statistics(level[active])
    yield _by_part(level[active], np.flatnonzero(active) / len(active), 5)
    yield np.array([level[voiced].mean(), level[voiced].std(), level.max()])


def _of_spectrum(power: Frames, bands: Frames, pitch: _Pitch, active: Place, voiced: Place) -> Iterator[np.ndarray]:
    hz = np.arange(_FFT // 2 + 1) * RATE_HZ / _FFT
    decibels, place = 10 * np.log10(power), np.flatnonzero(voiced) / len(voiced)

    def between(low: float, high: float) -> Values:
        return 10 * np.log10(power[:, (hz >= low) & (hz < high)].sum(1))

    def slope(low: float, high: float) -> Values:
        """Decibels per kHz."""
        chosen = (hz >= low) & (hz < high)
        apart = hz[chosen] - hz[chosen].mean()
        found: Values = 1000 * (decibels[:, chosen] * apart).sum(1) / np.square(apart).sum()
        return found

    harmonic = 10 * np.log10(pitch.strength / (1 - pitch.strength))
    alpha = between(1000, 5000) - between(50, 1000)
    hammarberg = decibels[:, hz < 2000].max(1) - decibels[:, (hz >= 2000) & (hz < 5000)].max(1)
    summed, share = np.cumsum(power, 1), power / power.sum(1, keepdims=True)
    centroid = (share * hz).sum(1) / 1000
    steep = slope(1500, 5000)
    unit = np.sqrt(bands) / np.linalg.norm(np.sqrt(bands), axis=1, keepdims=True)
    flux = np.r_[0, np.sqrt(np.square(np.diff(unit, axis=0)).sum(1))]
    for values in (harmonic, alpha, hammarberg, slope(0, 500), slope(500, 1500), steep, centroid):
        yield _statistics(values[voiced])
    for part in (0.85, 0.25):
        yield _statistics(hz[(summed > part * summed[:, -1:]).argmax(1)][voiced] / 1000)
    yield _statistics(-(share * np.log(share)).sum(1)[voiced])
    yield _statistics(flux[active])
    for values in (alpha, harmonic, centroid):
        yield _by_part(values[voiced], place, 4)
    hissing = active & ~pitch.voiced
    for values in (alpha, centroid, steep):
        few = hissing.sum() <= 2
        yield np.array([values.mean(), 0.0] if few else [values[hissing].mean(), values[hissing].std()])


def _of_harmonics(samples: Values, pitch: _Pitch, voiced: Place) -> Iterator[np.ndarray]:
    """Levels of harmonics against one another and against the formants; formants; jitter and shimmer."""
    hz, decibels = pitch.hz[voiced], 10 * np.log10(pitch.power[voiced] + 1e-9)

    def level_at(wanted_hz: Values) -> Values:
        places = np.clip(np.round(wanted_hz * _LONG_FFT / RATE_HZ).astype(int), 2, _LONG_FFT // 2 - 3)
        rows = np.arange(len(places))
        found: Values = np.max([decibels[rows, places + near] for near in range(-2, 3)], axis=0)
        return found

    first = level_at(hz)
    for times in (2, 3):
        yield _statistics(first - level_at(times * hz))
    formants, widths = _formants(samples, len(voiced), voiced)
    for own in formants.T:
        yield _statistics(first - level_at(np.round(own / hz).clip(1) * hz))
    for own in formants.T / 1000:
        yield _statistics(own)
    for own in widths.T[:2] / 100:
        yield _statistics(own)
    both = voiced[1:] & voiced[:-1]
    jitter = np.abs(np.diff(1 / pitch.hz)) * pitch.hz[1:]
    shimmer = np.abs(np.diff(10 * np.log10(pitch.energy + 1e-18)))
    for values in (jitter[both & (jitter < 0.1)], shimmer[both]):
        yield _statistics(values)[[0, 1, 4, 6]]


def _of_cepstra(cepstra: Frames, active: Place, voiced: Place) -> Iterator[np.ndarray]:
    own, changes = cepstra[voiced][:, 1:], np.gradient(cepstra, axis=0)[active]
    yield np.concatenate([own.mean(0), own.std(0), np.percentile(own, [10, 90], axis=0).ravel()])
    yield np.concatenate([cepstra[active].mean(0), cepstra[active].std(0)])
    yield np.concatenate([np.abs(changes).mean(0), changes.std(0)])
    count = len(cepstra)
    times = np.linspace(0, count - 1, 48)
    course = np.array([np.interp(times, np.arange(count), row) for row in cepstra[:, :8].T])
    yield (course @ _cosines(48, 8)[1:].T).ravel()
    for quarter in range(4):
        start = count * quarter // 4
        yield cepstra[start : max(count * (quarter + 1) // 4, start + 2), :13].mean(0)


def _modulation(levels: Frames) -> Values:
    """Power of the changes of eight bands, at 1 to 2, 2 to 4, ... 16 to 32 Hz; its logarithm."""
    count = len(levels)
    broad = levels.reshape(count, 8, _BANDS // 8).mean(2)
    changes = (broad - broad.mean(0)) * np.hanning(count)[:, None]
    power = np.abs(np.fft.rfft(changes, 512, axis=0)) ** 2 / count
    hz = np.arange(257) * _RATE_PER_S / 512
    edges = ((1, 2), (2, 4), (4, 8), (8, 16), (16, 32))
    found = [[power[(hz >= low) & (hz < high), band].mean() for low, high in edges] for band in range(8)]
    return np.log(np.array(found) + 1e-6).ravel()


def _of_rhythm(pitch: _Pitch, active: Place, voiced: Place) -> Iterator[np.ndarray]:
    """Length, share of voice and of speech, and the lengths of voiced stretches and of what lies between, seconds."""
    length_s = len(voiced) / _RATE_PER_S
    starts, ends = _runs(voiced)
    lengths, gaps = (ends - starts) / _RATE_PER_S, (starts[1:] - ends[:-1]) / _RATE_PER_S
    gaps = gaps if len(gaps) else np.zeros(1)
    yield np.array([
        length_s, np.log(length_s), voiced.mean(), active.mean(), len(lengths) / length_s, lengths.mean(),
        lengths.std(), lengths.max(), gaps.mean(), gaps.max(), gaps.std(),
    ])  # fmt: skip


def _without_ends(samples: Values) -> Values:
    """Without what is quieter than the loudest frame by more than _LOUD_DB at both ends; at least eight frames."""
    missing = 8 * _HOP + _SHORT - len(samples)
    samples = np.pad(samples, (0, max(0, missing)))
    count = len(samples) // _HOP
    level = 10 * np.log10(np.square(samples[: count * _HOP].reshape(count, _HOP)).mean(1) + 1e-10)
    loud = np.flatnonzero(level > max(level.max() - _LOUD_DB, -85.0))
    if not len(loud):
        return samples
    kept = samples[max(0, loud[0] - 2) * _HOP : (loud[-1] + 3) * _HOP]
    return np.pad(kept, (0, max(0, 8 * _HOP - len(kept))))


def _levelled(samples: Values) -> Values:
    """With the same root mean square in its loud frames, whatever the recording's."""
    count = len(samples) // _HOP
    power = np.square(samples[: count * _HOP].reshape(count, _HOP)).mean(1)
    loud = power[power > power.max() * 1e-3]
    mean = float(loud.mean()) if len(loud) else 0.0
    return samples * (_RMS / np.sqrt(mean)) if mean > 1e-14 else samples


def _framed(samples: Values, length: int, count: int) -> Frames:
    padded = np.pad(samples, (length // 2, length // 2 + _HOP))
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::_HOP][:count]


def _pitch(samples: Values, count: int) -> _Pitch:
    """Peaks of the normalised autocorrelation (Boersma 1993), joined by the cheapest path through all frames."""
    taper = np.hanning(_LONG + 2)[1:-1]
    frames = _framed(samples, _LONG, count)
    frames = (frames - frames.mean(1, keepdims=True)) * taper
    power = np.abs(np.fft.rfft(frames, _LONG_FFT)) ** 2
    likeness, own = np.fft.irfft(power)[:, :_LONG], np.fft.irfft(np.abs(np.fft.rfft(taper, _LONG_FFT)) ** 2)[:_LONG]
    energy = likeness[:, 0].copy()
    likeness = np.minimum(likeness / (energy[:, None] + 1e-12) / (own / own[0]), 1)
    lags = np.arange(RATE_HZ // _HIGHEST_HZ, RATE_HZ // _LOWEST_HZ + 1)
    around = likeness[:, lags[0] - 1 : lags[-1] + 2]
    left, middle, right = around[:, :-2], around[:, 1:-1], around[:, 2:]
    strength = np.where((middle > left) & (middle >= right), middle - 0.01 * np.log2(lags / lags[0]), -1)
    best = np.argsort(-strength, axis=1)[:, :_CANDIDATES]
    strength, left, middle, right = (np.take_along_axis(each, best, 1) for each in (strength, left, middle, right))
    bend = left - 2 * middle + right
    offset = np.clip(0.5 * (left - right) / np.where(np.abs(bend) < 1e-9, 1, bend), -0.5, 0.5)
    hz = RATE_HZ / (lags[0] + best + offset)
    loud = np.sqrt(energy / (energy.max() + 1e-30))
    unvoiced = 0.45 + 0.2 * np.maximum(0, 2 - loud / 0.03)
    chosen = _cheapest_path(np.where(strength < 0, -1e3, strength), unvoiced, np.log2(hz))
    rows, column = np.arange(count), np.minimum(chosen, _CANDIDATES - 1)
    found = np.clip(middle[rows, column], 1e-3, 1 - 1e-4)
    return _Pitch(hz[rows, column], chosen < _CANDIDATES, found, power, energy)


def _cheapest_path(strength: Frames, unvoiced: Values, octaves: Frames) -> np.ndarray:
    """Index of each frame's candidate, the last one being unvoiced (Viterbi)."""
    count, last = strength.shape[0], strength.shape[1]
    local = np.concatenate([strength, unvoiced[:, None]], axis=1)
    total, back = local.copy(), np.zeros(local.shape, int)
    cost = np.zeros((last + 1, last + 1))
    cost[last, :last] = cost[:last, last] = 0.14
    for frame in range(1, count):
        cost[:last, :last] = 0.35 * np.abs(octaves[frame - 1][:, None] - octaves[frame])
        value = total[frame - 1][:, None] - cost
        back[frame] = value.argmax(0)
        total[frame] += value.max(0)
    path = np.zeros(count, int)
    path[-1] = total[-1].argmax()
    for frame in range(count - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return path


def _formants(samples: Values, count: int, voiced: Place) -> tuple[_Voiced, _Voiced]:
    """Frequencies and bandwidths of the lowest three, Hz, of voiced frames: roots of the linear predictor."""
    emphasised = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    frames = _framed(emphasised, _SHORT, count)[voiced] * np.hanning(_SHORT)
    companion = np.zeros((len(frames), _ORDER, _ORDER))
    companion[:, 0] = -_predictor(frames)[:, 1:]
    companion[:, np.arange(1, _ORDER), np.arange(_ORDER - 1)] = 1
    roots = np.linalg.eigvals(companion)
    hz = np.angle(roots) * RATE_HZ / (2 * np.pi)
    width = -np.log(np.maximum(np.abs(roots), 1e-6)) * RATE_HZ / np.pi
    hz = np.where((roots.imag > 1e-4) & (hz > 180) & (hz < 5500) & (width < 700), hz, np.inf)
    lowest = np.argsort(hz, axis=1)[:, :_FORMANTS]
    hz, width = np.take_along_axis(hz, lowest, 1), np.take_along_axis(width, lowest, 1)
    none = np.isinf(hz)
    return np.where(none, [500.0, 1500.0, 2500.0], hz), np.where(none, 300.0, width)


def _predictor(frames: _Voiced) -> _Voiced:
    """Coefficients of linear prediction, the first one 1 (Levinson and Durbin)."""
    likeness = np.fft.irfft(np.abs(np.fft.rfft(frames, 1024)) ** 2)[:, : _ORDER + 1]
    likeness[:, 0] = likeness[:, 0] * (1 + 1e-6) + 1e-12
    found = np.zeros((len(frames), _ORDER + 1))
    found[:, 0], error = 1, likeness[:, 0].copy()
    for order in range(1, _ORDER + 1):
        reflection = -(found[:, :order] * likeness[:, order:0:-1]).sum(1) / error
        found[:, 1 : order + 1] += reflection[:, None] * found[:, order - 1 :: -1][:, :order].copy()
        error *= 1 - np.square(reflection)
    return found


def _statistics(values: Values) -> Values:
    """Mean, deviation, percentiles 5, 20, 50, 80 and 95, and the range between the second and the fourth; 0 of none."""
    if len(values) < 3:
        return np.zeros(8)
    found = np.percentile(values, [5, 20, 50, 80, 95])
    return np.r_[values.mean(), values.std(), found, found[3] - found[1]]


def _slopes(values: Values) -> Values:
    """Mean and deviation of rises, then of falls, per second, and summits per second, of the smoothed course."""
    if len(values) < 8:
        return np.zeros(5)
    smooth = np.convolve(np.pad(values, 2, "edge"), np.ones(5) / 5, "valid")
    steps = np.diff(smooth) * _RATE_PER_S
    summits = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:])
    ways = steps[steps > 0], -steps[steps < 0]
    parts = [[each.mean(), each.std()] if len(each) > 1 else [0.0, 0.0] for each in ways]
    return np.array([*parts[0], *parts[1], summits.sum() / (len(values) / _RATE_PER_S)])


def _by_part(values: Values, place: Values, parts: int) -> Values:
    """Means over equal parts of the time; place: of each value, 0..1. A part without a value has the mean of all."""
    inside = [values[(place >= i / parts) & (place < (i + 1) / parts)] for i in range(parts)]
    return np.array([part.mean() if len(part) else values.mean() for part in inside])


def _runs(chosen: Place) -> tuple[np.ndarray, np.ndarray]:
    """Where stretches begin, and where they have ended."""
    edges = np.diff(np.r_[0, chosen.astype(int), 0])
    return np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)


@lru_cache(maxsize=1)
def _bank() -> Float[np.ndarray, "bands frequencies"]:
    """Triangles on the mel scale from 50 Hz to 8 kHz."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (50, 8000))
    mel = np.linspace(low, high, _BANDS + 2)
    edges, hz = 700 * (10 ** (mel / 2595) - 1), np.arange(_FFT // 2 + 1) * RATE_HZ / _FFT
    rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


@lru_cache(maxsize=2)
def _cosines(length: int, count: int) -> Float[np.ndarray, "count length"]:
    """The first rows of the orthonormal cosine transform (DCT-II)."""
    rows = np.arange(count)[:, None]
    found = np.cos(np.pi * rows * (2 * np.arange(length) + 1) / (2 * length)) * np.sqrt(2 / length)
    found[0] /= np.sqrt(2)
    return found
