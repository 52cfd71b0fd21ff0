"""Transforms of lengths with a large prime factor: NumPy's, of every kind of other factor, hop and number of frames."""

from threading import Thread

import numpy as np
import pytest

from mien.media.sound.prime_transform import transform_of


def wanted(samples: np.ndarray, length: int, hop: int) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(float), length)[::hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return (np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2).T


@pytest.mark.parametrize("length", [37, 131, 262, 393, 4 * 41, 15 * 37, 1310, 32 * 43, 397])
def test_it_is_numpys_power(length: int) -> None:
    transform = transform_of(length)
    assert transform is not None
    random = np.random.default_rng(length)
    for hop, samples in ((length, length), (max(1, length // 2), 9 * length + 1), (7, 2 * length)):
        sound = random.uniform(-1, 1, samples).astype(np.float32)
        truth = wanted(sound, length, hop)
        found = transform.power(sound, hop=hop)
        assert found.dtype == np.float32 and found.shape == truth.shape
        np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-6 * truth.max())


def test_a_tone_leaves_the_other_frequencies_100_decibels_below() -> None:
    transform, length = transform_of(1310), 1310
    assert transform is not None
    tone = np.sin(2 * np.pi * 100 * np.arange(4 * length) / length).astype(np.float32)
    power = transform.power(tone, hop=655)
    assert (power.argmax(0) == 100).all() and power[110:].max() < 1e-10 * power.max()


@pytest.mark.parametrize("length", [1024, 1300, 2 * 401, 64 * 37, 37 * 37])
def test_lengths_that_an_ordinary_transform_suits_are_left_to_it(length: int) -> None:
    assert transform_of(length) is None


def test_threads_do_not_disturb_each_other() -> None:
    transform, random = transform_of(1310), np.random.default_rng(0)
    assert transform is not None
    sounds = [random.normal(0, 0.1, 60000 + 700 * i).astype(np.float32) for i in range(4)]
    alone, together = [transform.power(sound, hop=655) for sound in sounds], {}

    def read(number: int) -> None:
        together[number] = [transform.power(sounds[number], hop=655) for _ in range(20)]

    threads = [Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found, alone[number]) for number, every in together.items() for found in every)
