"""Augmented voices: each option does what its name says, from a random stream of its own."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.core.spec import SoundInput
from mien.data.faces import FaceSet
from mien.data.sounds import SoundAugmentation, sound_augmentation
from mien.data.transforms import generator
from mien.media.sound.audio import Sound, write_sound
from mien.media.sound.mel import band_centres_hz, decibels, log_mel, mel_power

GIVEN = SoundInput(rate_hz=16000, samples=16000, fft=512, hop=256, mels=32, high_hz=8000.0)
TIME = np.arange(12000) / 16000


def tone(hz, count=12000):
    return Sound((0.3 * np.sin(2 * np.pi * hz * np.arange(count) / 16000)).astype(np.float32), 16000)


def augmented(sound, *, seed=0, **options):
    return SoundAugmentation(**options)(sound, GIVEN, generator(seed, 0, 0))


def loudest(picture):
    """The band, over the frames with sound."""
    return int(picture[0, :, 5:35].mean(1).argmax())


def test_without_options_a_voice_stays_as_it_is():
    assert not SoundAugmentation().active
    np.testing.assert_array_equal(augmented(tone(900)), log_mel(tone(900), GIVEN))


def test_speed_moves_the_pitch_and_changes_the_length():
    centres = band_centres_hz(GIVEN)
    assert abs(centres[loudest(log_mel(tone(1000), GIVEN))] - 1000) < 100
    found = [augmented(tone(1000), seed=seed, speed=0.5) for seed in range(12)]
    pitches = centres[[loudest(each) for each in found]]
    assert 650 < min(pitches) < 850
    assert 1150 < max(pitches) < 1550
    lengths = np.array([int((each[0].max(0) > 0.5).sum()) for each in found])
    assert np.corrcoef(pitches, lengths)[0, 1] < -0.9  # faster and higher is shorter


def test_a_shift_keeps_a_short_sound_whole_and_stays_in_a_long_one():
    short = [augmented(tone(900), seed=seed, shift_s=2.0) for seed in range(8)]
    starts = [int((each[0].max(0) > 0.5).argmax()) for each in short]
    assert len(set(starts)) > 3 and max(starts) <= (16000 - 12000) // 256 + 1
    assert len({int((each[0].max(0) > 0.5).sum()) for each in short}) <= 3
    rising = Sound(np.sin(np.cumsum(np.linspace(0.1, 2.5, 64000))).astype(np.float32), 16000)
    pitches = [loudest(augmented(rising, seed=seed, shift_s=9.0)) for seed in range(8)]
    assert max(pitches) - min(pitches) >= 8
    assert all(augmented(rising, seed=1, shift_s=9.0)[0].max(0) > 0.5)


def test_noise_fills_the_pauses_and_a_room_the_time_after():
    burst = Sound(np.where(TIME < 0.25, tone(900).samples, 0).astype(np.float32), 16000)
    quiet = log_mel(burst, GIVEN)[0, :, 25:40].mean()
    assert augmented(burst, noise=0.3, seed=3)[0, :, 25:40].mean() > quiet + 0.2
    after = [augmented(burst, room_s=1.0, seed=seed)[0, :, 18:22].mean() for seed in range(4)]
    assert np.mean(after) > log_mel(burst, GIVEN)[0, :, 18:22].mean() + 0.1


def test_a_tilt_turns_the_spectrum_about_1_khz():
    sound = Sound(np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32), 16000)
    plain, slopes = decibels(mel_power(sound.samples, GIVEN)).mean(1), []
    for seed in range(6):
        picture = augmented(sound, seed=seed, tilt_db=6.0)[0].mean(1)
        slopes.append(np.polyfit(np.log2(band_centres_hz(GIVEN)), picture, 1)[0])
    assert np.ptp(slopes) > 0.02 and np.isfinite(plain).all()


def test_masks_are_bars_of_the_mean():
    picture = augmented(tone(900, 16000), masks=1, mask_share=0.5, seed=5)
    plain = log_mel(tone(900, 16000), GIVEN)
    changed = picture[0] != plain[0]
    rows, columns = changed.all(1), changed.all(0)
    assert rows.any() or columns.any()
    outside = np.ix_(~rows, ~columns)
    np.testing.assert_array_equal(picture[0][outside], plain[0][outside])


def test_options_are_checked():
    with pytest.raises(MienError, match=r"data\.sound\.speed.*in 0\.\.1"):
        sound_augmentation(speed=3)
    with pytest.raises(MienError, match="maskz"):
        sound_augmentation(maskz=1)


def test_batches_follow_from_seed_epoch_and_place(tmp_path):
    write_sound(tmp_path / "a.wav", tone(500))
    samples = [Sample(str(i), tmp_path / "a.wav", voice=tmp_path / "a.wav") for i in range(2)]
    change = SoundAugmentation(speed=0.2, noise=0.1, masks=2)
    faces = FaceSet(samples, {"voice": GIVEN}, sound_augmentation=change)
    first, again = (faces.batch([(0, 0), (0, 1)]).voice for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32 and not np.array_equal(first[0], first[1])  # the same sound
    assert not np.array_equal(first[0], faces.batch([(1, 0)]).voice[0])
    plain = FaceSet(samples, {"voice": GIVEN}, sound_augmentation=SoundAugmentation())
    np.testing.assert_array_equal(plain.batch([(0, 0)]).voice[0], log_mel(tone_read(tmp_path), GIVEN))


def tone_read(folder):
    from mien.media.sound.audio import read_sound

    return read_sound(folder / "a.wav")
