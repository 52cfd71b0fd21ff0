"""Log-mel pictures: by hand, by symmetry, and as the published front end computes them."""

from dataclasses import replace

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.spec import SoundInput
from mien.media.sound.audio import Sound
from mien.media.sound.mel import MelStream, band_centres_hz, filter_bank, hann, log_mel, mel_power, window

GIVEN = SoundInput()


def tone(hz: float, count: int = GIVEN.samples) -> Sound:
    return Sound(np.sin(2 * np.pi * hz * np.arange(count) / GIVEN.rate_hz).astype(np.float32) / 2, GIVEN.rate_hz)


def test_a_tone_lies_in_the_band_about_its_frequency() -> None:
    centres = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 11025 / 700), 130)[1:-1] / 2595) - 1)
    for hz in (300.0, 1000.0, 4000.0):
        picture = log_mel(tone(hz), GIVEN)
        assert picture.shape == GIVEN.shape and picture.dtype == np.float32
        assert (picture.min(), picture.max()) == (0, 1)
        band = picture[0, :, 64].argmax()
        assert abs(centres[band] - hz) <= np.diff(centres)[max(band - 1, 0) : band + 1].max()


def test_louder_is_the_same_picture_and_silence_is_black() -> None:
    quiet = tone(700)
    np.testing.assert_allclose(log_mel(quiet, GIVEN), log_mel(replace_samples(quiet, 2), GIVEN), atol=1e-6)
    assert not log_mel(replace_samples(quiet, 0), GIVEN).any()


def replace_samples(sound: Sound, factor: float) -> Sound:
    return Sound(sound.samples * np.float32(factor), sound.sample_rate_hz)


def test_windows_are_the_middle_or_padded() -> None:
    small = replace(GIVEN, samples=6, fft=16, hop=1)
    assert window(Sound(np.arange(10.0, dtype=np.float32), GIVEN.rate_hz), small).tolist() == [2, 3, 4, 5, 6, 7]
    short = Sound(np.arange(1.0, 5.0, dtype=np.float32), GIVEN.rate_hz)
    assert window(short, small).tolist() == [1, 2, 3, 4, 0, 0]
    assert window(short, replace(small, padding="repeat")).tolist() == [1, 2, 3, 4, 1, 2]


def test_bands_cover_every_frequency_between_them_once() -> None:
    bank = filter_bank(GIVEN)
    inner = bank[10:600].sum(1)  # from the first band's centre to the last one's, triangles add up to 1
    np.testing.assert_allclose(inner, 1, atol=1e-9)
    np.testing.assert_allclose(hann(4), [0, 0.5, 1, 0.5], atol=1e-12)


def test_another_rate_and_too_short_a_window_are_refused() -> None:
    with pytest.raises(MienError, match="takes sound at 22050 Hz; got 16000"):
        log_mel(Sound(np.ones(10, np.float32), 16000), GIVEN)
    with pytest.raises(MienError, match="too short for transforms of 1310"):
        mel_power(np.ones(100), GIVEN)


@pytest.mark.parametrize(
    "given", [GIVEN, replace(GIVEN, fft=64, hop=64, mels=6), replace(GIVEN, fft=63, hop=10, mels=6)]
)
def test_blocks_of_any_length_give_the_frames_of_the_whole(given: SoundInput) -> None:
    random = np.random.default_rng(0)
    samples = random.uniform(-0.3, 0.3, 9105).astype(np.float32)
    whole = mel_power(samples, given)
    assert whole.shape == (given.mels, 1 + len(samples) // given.hop)
    for longest in (1, 700, 5000):
        stream, parts, done = MelStream(given), [], 0
        while done < len(samples):
            block = samples[done : done + int(random.integers(1, longest + 1))]
            parts.append(stream.push(block))
            done += len(block)
            assert len(stream._kept) <= 2 * given.fft + longest  # memory does not grow with the sound
        behind = whole.shape[1] - sum(part.shape[1] for part in parts)
        assert behind <= 1 + given.fft // (2 * given.hop)
        found = np.concatenate([*parts, stream.finish()], axis=1)
        np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6 * whole.max())


def test_the_transform_is_numpys() -> None:
    samples = np.random.default_rng(1).uniform(-0.3, 0.3, 5000)
    for fft in (1310, 33):
        given = replace(GIVEN, fft=fft, hop=20, mels=6)
        padded = np.pad(samples, fft // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, fft)[::20]
        power = np.abs(np.fft.rfft(frames * hann(fft), axis=1)) ** 2 @ filter_bank(given)
        np.testing.assert_allclose(mel_power(samples.astype(np.float32), given), power.T, rtol=1e-4)


def test_above_a_limit_nothing_is_heard() -> None:
    """As in a recording at twice the limit, whatever lies above; below it nothing changes."""
    limited = replace(GIVEN, limit_hz=4000.0)
    noise = np.random.default_rng(0).normal(0, 0.1, GIVEN.samples).astype(np.float32)
    whole, cut = mel_power(noise, GIVEN), mel_power(noise, limited)
    centres = band_centres_hz(GIVEN)
    assert not cut[centres > 4300].any() and whole[centres > 4300].all()
    np.testing.assert_array_equal(cut[centres < 3700], whole[centres < 3700])
    assert (limited.heard_hz, GIVEN.heard_hz) == (4000.0, GIVEN.high_hz)
