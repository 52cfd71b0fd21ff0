"""Log-mel pictures: by hand, by symmetry, and as the published front end computes them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.spec import SoundInput
from mien.media.audio import Sound
from mien.media.mel import filter_bank, hann, log_mel, mel_power, window

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


@pytest.mark.shared
def test_it_is_the_published_front_end(shared: Path) -> None:
    folder = shared.parent / "parity" / "can" / "mel"
    if not folder.is_dir():
        pytest.skip("needs ../shared/parity")
    want, meta = np.load(folder / "case.npz"), json.loads((folder / "meta.json").read_text())
    stride = meta["outputs"]["chirp_power"]["stride"]
    time = np.arange(83500) / 22050
    chirp = (0.4 * np.sin(2 * np.pi * (200 + 900.0 * time) * time)).astype(np.float32)
    np.testing.assert_allclose(filter_bank(GIVEN).ravel()[::23], want["filter_bank"], atol=meta["tolerance"])
    np.testing.assert_allclose(hann(1310), want["window"], atol=1e-6)
    power = mel_power(chirp, GIVEN).ravel()[::stride]
    np.testing.assert_allclose(power, want["chirp_power"], atol=meta["tolerance"] * want["chirp_power"].max())
    picture = log_mel(Sound(chirp, 22050), replace(GIVEN, samples=83500)).ravel()[::stride]
    np.testing.assert_allclose(picture, want["chirp_spectrogram"], atol=meta["tolerance"])
