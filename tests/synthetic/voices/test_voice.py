"""The synthesiser against what is known of sound: a recursive filter, formants, harmonics, pitch."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mien.synthetic.voices import voice
from mien.synthetic.voices.voice import Tracks, friction_sound, voiced_sound

RATE, HOP = 16_000, 80


def steady(
    frames: int = 121,
    *,
    f0_hz: float = 120.0,
    formants_hz: Sequence[float] = (700, 1200, 2500, 3500, 4500),
    **changes: object,
) -> Tracks:
    """A vowel that does not move, without breath, jitter or shimmer."""
    flat = np.ones(frames)
    values = {
        "f0_hz": f0_hz * flat,
        "voice": flat,
        "breath": 0 * flat,
        "noise": 0 * flat,
        "formants_hz": flat[:, None] * np.array(formants_hz, float),
        "bandwidths_hz": flat[:, None] * np.full(len(formants_hz), 80.0),
        "nasal": 0 * flat,
        "nasal_zero_hz": 1000 * flat,
        "tilt_db": 0 * flat,
        "open_quotient": 0.6 * flat,
        "noise_hz": flat[:, None] * np.array([5000.0, 1500.0]),
        "jitter": 0.0,
        "shimmer": 0.0,
    }
    return Tracks(**(values | changes))  # type: ignore[arg-type]


def spectrum(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and levels in dB below the highest."""
    power = np.abs(np.fft.rfft(sound * np.blackman(len(sound)))) ** 2
    return np.fft.rfftfreq(len(sound), 1 / RATE), 10 * np.log10(power / power.max() + 1e-15)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_frames_that_stand_still_are_the_recursive_filter():
    """Klatt's resonators as difference equations, sample by sample, against the response on frames."""
    tracks = steady(31)
    source = rng().standard_normal(30 * HOP)
    expected = source.copy()
    for centre, width in zip(tracks.formants_hz[0], tracks.bandwidths_hz[0], strict=True):
        radius = np.exp(-np.pi * width / RATE)
        b, c = 2 * radius * np.cos(2 * np.pi * centre / RATE), -(radius**2)
        out = np.zeros(len(expected) + 2)
        for n, value in enumerate(expected):
            out[n + 2] = (1 - b - c) * value + b * out[n + 1] + c * out[n]
        expected = out[2:]
    got = voice._filtered(source, HOP, lambda frames: voice._tract_response(tracks, frames, RATE))
    assert np.abs(got - expected).max() < 1e-3 * np.abs(expected).max()


def test_harmonics_stand_at_multiples_of_the_pitch_and_nothing_between():
    frequency, level = spectrum(voiced_sound(steady(401, f0_hz=400.0), rng(), sample_rate_hz=RATE))
    near = np.abs(frequency / 400 - np.round(frequency / 400)) * 400 < 12
    assert level[near & (frequency > 300)].max() > -1e-9
    assert level[~near & (frequency < 7000)].max() < -55  # aliased pulses would stand here


def test_formants_are_where_they_were_put():
    tracks = steady(401, f0_hz=60.0, formants_hz=(600, 1400, 2600, 3500, 4500))
    frequency, level = spectrum(voiced_sound(tracks, rng(), sample_rate_hz=RATE))
    envelope = np.array([level[np.abs(frequency - f) < 35].max() for f in range(200, 3000, 10)])
    peaks = 200 + 10 * (1 + np.flatnonzero((envelope[1:-1] > envelope[:-2]) & (envelope[1:-1] >= envelope[2:])))
    for formant in (600, 1400, 2600):
        assert np.abs(peaks - formant).min() <= 60


def test_tilt_is_in_decibels_per_octave():
    response = {
        tilt: voice._tract_response(steady(3, tilt_db=np.full(3, tilt)), np.arange(3), RATE)[0] for tilt in (0.0, 6.0)
    }
    bins = len(response[0.0]) - 1
    loss = -20 * np.log10(np.abs(response[6.0] / response[0.0]))
    at = [round(f / (RATE / 2) * bins) for f in (3000, 6000)]
    assert loss[0] == pytest.approx(0, abs=1e-9)
    assert loss[at[1]] - loss[at[0]] == pytest.approx(6.0, abs=0.3)


def test_no_click_where_formants_jump():
    """The loudest difference between two samples stays the pulses' own."""
    still = steady(201)
    formants = still.formants_hz.copy()
    formants[100:] *= 1.3
    moved = voiced_sound(replace(still, formants_hz=formants), rng(), sample_rate_hz=RATE)
    steps = np.abs(np.diff(moved))
    assert steps[99 * HOP : 102 * HOP].max() < 1.3 * max(steps[: 98 * HOP].max(), steps[103 * HOP :].max())


def test_friction_has_unit_power_around_its_peak_and_silence_is_silent():
    tracks = steady(401, noise=np.ones(401))
    sound = friction_sound(tracks, rng(), sample_rate_hz=RATE)
    assert np.mean(sound**2) == pytest.approx(1.0, rel=0.15)
    power = np.abs(np.fft.rfft(sound)) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    assert np.average(frequency, weights=power) == pytest.approx(5000, abs=600)
    assert not friction_sound(steady(), rng(), sample_rate_hz=RATE).any()
    assert not voiced_sound(steady(voice=np.zeros(121)), rng(), sample_rate_hz=RATE).any()


def test_jitter_and_shimmer_shake_cycles_and_keep_the_mean_pitch():
    plain = voice._pulses(steady(401, f0_hz=100.0), rng(), count=400 * HOP, sample_rate_hz=RATE)[1]
    shaken = voice._pulses(steady(401, f0_hz=100.0, jitter=0.02), rng(), count=400 * HOP, sample_rate_hz=RATE)[1]
    starts = [np.flatnonzero(np.diff(track) > 0) for track in (plain, shaken)]
    assert abs(len(starts[0]) - len(starts[1])) <= 1
    assert np.diff(starts[0]).std() < 1
    assert 1.5 < np.diff(starts[1]).std() < 8  # samples; a period has 160
