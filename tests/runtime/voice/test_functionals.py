"""Functionals of tones and noises whose pitch, formants and rhythm are known."""

import numpy as np
import pytest

from mien.core.spec import FUNCTIONALS
from mien.runtime.voice import functionals as module
from mien.runtime.voice.functionals import functionals

RATE = module.RATE_HZ
MEAN_TONE, SPREAD, LENGTH_S = 0, 1, -11  # places: mean and deviation of the pitch in semitones, the length in seconds


def voiced(hz, seconds=1.0, *, formants=(500.0, 1500.0, 2500.0), vibrato=0.0):
    """Pulses at that pitch through resonances."""
    count = round(seconds * RATE)
    times = np.arange(count) / RATE
    phase = np.cumsum(hz * 2 ** (vibrato * np.sin(2 * np.pi * 5 * times) / 12)) / RATE
    sound = np.cos(2 * np.pi * phase[:, None] * np.arange(1, int(7500 / hz))).sum(1)
    for centre in formants:
        pole = np.exp(-np.pi * 80 / RATE)
        b1, b2 = 2 * pole * np.cos(2 * np.pi * centre / RATE), -(pole**2)
        filtered = np.zeros(count + 2)
        for i in range(count):
            filtered[i + 2] = sound[i] + b1 * filtered[i + 1] + b2 * filtered[i]
        sound = filtered[2:]
    return 0.3 * sound / np.abs(sound).max() + np.random.default_rng(0).normal(0, 1e-4, count)


@pytest.mark.parametrize("hz", [90.0, 180.0, 350.0])
def test_the_pitch_of_a_voice_is_found(hz):
    found = functionals(voiced(hz))
    assert found[MEAN_TONE] == pytest.approx(12 * np.log2(hz / 27.5), abs=0.15)
    assert found[SPREAD] < 0.2 < functionals(voiced(hz, vibrato=2.0))[SPREAD]
    assert found[LENGTH_S] == pytest.approx(1.0, abs=0.06)


def test_formants_are_found_by_linear_prediction():
    sound = voiced(110.0, formants=(700.0, 1200.0, 2600.0))
    hz, width = module._formants(sound, len(sound) // 160, np.ones(len(sound) // 160, bool))
    np.testing.assert_allclose(np.median(hz, axis=0), (700, 1200, 2600), rtol=0.06)
    assert np.all(np.median(width, axis=0) < 250)


def test_the_level_of_the_recording_does_not_matter():
    sound = voiced(140.0, seconds=0.6)
    np.testing.assert_allclose(functionals(0.01 * sound), functionals(sound), rtol=1e-3, atol=1e-3)
    padded = np.r_[np.zeros(4000), sound, np.zeros(8000)]
    assert functionals(padded)[LENGTH_S] == pytest.approx(functionals(sound)[LENGTH_S], abs=0.06)


@pytest.mark.parametrize("length", [0, 1, 800, 30_000])
def test_any_sound_has_finite_functionals(length):
    noise = np.random.default_rng(1).normal(0, 0.1, length)
    for sound in (np.zeros(length), noise, np.ones(length), np.sign(noise)):
        found = functionals(sound)
        assert found.shape == (FUNCTIONALS,) and np.isfinite(found).all()


def test_voiced_stretches_are_counted():
    gap = np.random.default_rng(2).normal(0, 1e-3, RATE // 5)
    sound = np.concatenate([part for _ in range(3) for part in (voiced(150.0, seconds=0.3), gap)])
    rhythm = functionals(sound)[-11:]
    length_s, per_second, mean_s, gap_s = rhythm[0], rhythm[4], rhythm[5], rhythm[8]
    assert (
        round(per_second * length_s) == 3
        and mean_s == pytest.approx(0.3, abs=0.06)
        and gap_s == pytest.approx(0.2, abs=0.06)
    )
