"""Synthetic videos: an expression comes, stays and goes; eyes blink; the mouth moves with the voice; seeds decide."""

from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data.readers import open_reader
from mien.data.replicas.clips import write_clips
from mien.data.replicas.people import Plan
from mien.media.sound.audio import read_sound
from mien.synthetic.clips import ClipOptions, blinks, onset_apex_offset, video, wander
from mien.synthetic.people import PeopleOptions, units_of_model

TINY = PeopleOptions(size=48, yaw_max_deg=10, occluders=False, degradations=False)
OPTIONS = ClipOptions(frames_per_s=8, seconds=2, syllables=4, people=TINY)


def test_an_expression_comes_stays_and_goes() -> None:
    times = np.arange(75) / 25
    envelope, phase = onset_apex_offset(times, np.random.default_rng(0))
    assert envelope[0] < 0.05 and envelope[-1] < 0.05 and envelope.max() == pytest.approx(1, abs=1e-3)
    assert (np.diff(phase.astype(int)) >= 0).all() and set(phase.tolist()) == {0, 1, 2, 3, 4}
    assert (envelope[phase == 2] > 0.99).all()


def test_blinks_come_as_often_as_asked() -> None:
    times = np.arange(25 * 600) / 25
    closed = blinks(times, np.random.default_rng(1), per_minute=17)
    assert closed.min() >= 0 and closed.max() <= 1
    count = int(((closed[1:] > 0.5) & (closed[:-1] <= 0.5)).sum())
    assert 120 < count < 220  # 170 in ten minutes, four deviations of a Poisson count


def test_chance_motion_is_smooth_and_as_large_as_asked() -> None:
    times = np.arange(25 * 60) / 25
    tracks = np.stack([wander(times, np.random.default_rng(seed), size=0.05) for seed in range(20)])
    assert tracks.std() == pytest.approx(0.05, rel=0.1)
    assert np.abs(np.diff(tracks, axis=1)).max() < 0.03


def test_a_video_is_the_same_again_and_its_mouth_follows_the_voice() -> None:
    first, second = (video(1, 2, face="neutral", voice="neutral", options=OPTIONS) for _ in range(2))
    assert np.array_equal(first.frames, second.frames)
    assert first.speech is not None and second.speech is not None
    assert np.array_equal(first.speech.samples, second.speech.samples)
    assert len(first.frames) == len(first.phase) == len(first.landmarks_px)
    jaw = first.action_units[:, units_of_model().index("AU26")]
    level = np.interp(
        np.arange(len(jaw)) / 8, np.arange(len(first.speech.level_db)) / first.speech.frame_rate_hz,
        first.speech.level_db,
    )  # fmt: skip
    assert jaw[level > level.max() - 10].mean() > jaw[level < level.max() - 30].mean() + 0.05


def test_face_and_voice_agree_or_not_as_asked() -> None:
    def voices(disagree: float) -> list[bool]:
        options = ClipOptions(frames_per_s=2, seconds=1, syllables=2, disagree=disagree, people=TINY)
        clips = [video(0, number, options=options) for number in range(4)]
        return [clip.face == clip.voice for clip in clips]

    assert voices(0.0) == [True] * 4
    assert voices(1.0) == [False] * 4


def test_a_folder_of_clips_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = write_clips(tmp_path, Plan(faces=10, pictures=1, seed=2), options=OPTIONS)
    reader = open_reader("clips", tmp_path)
    assert reader.splits == ("train", "valid", "test")
    every = [s for split in reader.splits for s in open_reader("clips", tmp_path, phases="all").samples(split)]
    assert len(every) == sum(row.frames for row in rows)
    apex = [sample for split in reader.splits for sample in reader.samples(split)]
    assert 0 < len(apex) < len(every)
    assert {sample.clip for sample in apex} == {row.clip for row in rows}
    assert all(sample.path.is_file() for sample in every)
    assert all(sample.frame is not None and sample.path.stem == f"{sample.frame + 1:04d}" for sample in every)
    assert all(sample.voice == tmp_path / str(sample.clip) / "voice.wav" for sample in every)
    sound = read_sound(tmp_path / rows[0].clip / "voice.wav")
    assert sound.duration_s == pytest.approx(rows[0].frames / 8, abs=0.13)


def test_a_half_copied_clip_is_counted(tmp_path: Path) -> None:
    options = ClipOptions(frames_per_s=5, seconds=1.2, voice=False, people=TINY)
    write_clips(tmp_path, Plan(faces=1, pictures=1), options=options)
    (tmp_path / "clips" / "0001" / "frames" / "0003.jpg").unlink()
    (split,) = open_reader("clips", tmp_path).splits
    with pytest.raises(MienError, match=r"1 of 6 pictures .* are missing, first .*0003\.jpg"):
        open_reader("clips", tmp_path, phases="all").samples(split)
    left = open_reader("clips", tmp_path, phases="all", missing="skip").samples(split)
    assert [sample.path.name for sample in left] == [f"{i:04d}.jpg" for i in (1, 2, 4, 5, 6)]


def test_a_silent_clip_lasts_as_long_as_asked() -> None:
    clip = video(0, 1, options=ClipOptions(frames_per_s=5, seconds=1.2, voice=False, people=TINY))
    assert len(clip.frames) == 6 and clip.speech is None and clip.voice == ""


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(MienError, match="1 to 120 frames_per_s"):
        ClipOptions(frames_per_s=0)
    with pytest.raises(MienError, match="disagree is a share"):
        ClipOptions(disagree=1.5)
