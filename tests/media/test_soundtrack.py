"""Windows of a video's sound end at the frame's time, whatever the video's rate, and hold memory of one window."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.spec import SoundInput
from mien.media.sound.audio import Sound, resample, resample_blocks
from mien.media.sound.mel import log_mel
from mien.media.video import frames, write_video
from mien.media.video.soundtrack import Soundtrack, _without_gaps, load_sound, opened_soundtrack

RATE = 1000
GIVEN = SoundInput(rate_hz=RATE, samples=100, fft=16, hop=16, mels=2, high_hz=500.0)


def ramp(samples: int = 300) -> np.ndarray:
    """Sample i is i + 1, so that 0 is silence."""
    return np.arange(1, samples + 1, dtype=np.float32)


def track_of(sound: np.ndarray, *, block: int = 37, **changes: object) -> Soundtrack:
    blocks = (sound[start : start + block] for start in range(0, len(sound), block))
    return Soundtrack(blocks, SoundInput(**{**GIVEN.to_dict(), **changes}))


def test_a_window_ends_at_its_time():
    track = track_of(ramp())
    for time_s in (0.1, 0.15, 0.15, 0.237, 0.3):
        end = round(time_s * RATE)
        np.testing.assert_array_equal(track.until(time_s).samples, np.arange(end - 99, end + 1))
        assert len(track._kept) <= GIVEN.samples + 37


def test_silence_stands_before_the_beginning_and_after_the_end():
    track = track_of(ramp())
    np.testing.assert_array_equal(track.until(0.0).samples, np.zeros(100))
    np.testing.assert_array_equal(track.until(0.03).samples, [*[0] * 70, *range(1, 31)])
    np.testing.assert_array_equal(track.until(0.35).samples, [*range(251, 301), *[0] * 50])
    np.testing.assert_array_equal(track.until(9.0).samples, np.zeros(100))


def test_repeated_sound_ends_at_the_time_too():
    track = track_of(ramp(), padding="repeat")
    np.testing.assert_array_equal(track.until(0.0).samples, np.zeros(100))
    np.testing.assert_array_equal(track.until(0.03).samples, [*range(21, 31), *list(range(1, 31)) * 3])


def test_blocks_stand_at_their_times():
    def placed(*timed: tuple[float | None, np.ndarray]) -> list[float]:
        return np.concatenate([np.zeros(0), *_without_gaps(iter(timed), RATE)]).tolist()

    one = ramp(10)
    assert placed((0.005, one)) == [0] * 5 + one.tolist()
    assert placed((-0.004, one), (0.006, one)) == [*one[4:].tolist(), *one.tolist()]
    assert placed((-0.024, one), (-0.014, one), (-0.004, one)) == one[4:].tolist()
    assert placed((0.0, one), (0.013, one), (None, one)) == one.tolist() * 3  # times rounded by the container
    assert placed((0.0, one), (0.25, one)) == [*one.tolist(), *[0] * 240, *one.tolist()]
    long = _without_gaps(iter([(0.0, one), (3000.0, one)]), RATE)
    assert [len(block) for block in itertools.islice(long, 3)] == [10, RATE, RATE]
    assert placed((0.0, one), (1e9, one), (-1e9, one)) == one.tolist() * 3  # wrong times, not years of silence


def test_resampled_blocks_are_the_resampled_sound():
    pytest.importorskip("soxr")
    sound = np.sin(np.arange(48000) / 30).astype(np.float32)
    blocks = np.concatenate(list(resample_blocks(np.split(sound, 60), 48000, 22050)))
    np.testing.assert_allclose(blocks, resample(Sound(sound, 48000), 22050).samples, atol=1e-6)
    assert [len(block) for block in resample_blocks(np.split(sound, 60), 8000, 8000)] == [800] * 60


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Three seconds at 10 frames a second; from 1.5 s on a tone of 440 Hz."""
    pytest.importorskip("av")
    times = np.arange(3 * 44100) / 44100
    tone = np.where(times < 1.5, 0, 0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    write_video(tmp_path / "a.mp4", np.zeros((30, 32, 32, 3), np.uint8), rate_hz=10.0, sound=Sound(tone, 44100))
    return tmp_path / "a.mp4"


def test_the_sound_of_a_video_stands_where_its_frames_do(video):
    pytest.importorskip("soxr")
    given = SoundInput(rate_hz=8000, samples=4000, fft=256, hop=128, mels=16, high_hz=4000.0)
    with opened_soundtrack(video, given) as track:
        assert track is not None
        windows = {round(frame.timestamp_s, 1): track.until(frame.timestamp_s) for frame in frames(video, every=5)}
    assert all(len(window.samples) == 4000 for window in windows.values())
    assert np.abs(windows[1.5].samples[:-100]).max() < 0.02
    begins = np.flatnonzero(np.abs(windows[2.0].samples) > 0.2)[0]
    assert begins < 80  # within 10 ms of the window's beginning, at 1.5 s
    spectrum = np.abs(np.fft.rfft(windows[2.5].samples))
    assert spectrum.argmax() * 8000 / 4000 == 440
    assert log_mel(windows[2.5], given).shape == given.shape


def test_a_video_without_sound_has_none(tmp_path):
    pytest.importorskip("av")
    write_video(tmp_path / "a.mp4", np.zeros((5, 32, 32, 3), np.uint8), rate_hz=10.0)
    with opened_soundtrack(tmp_path / "a.mp4", GIVEN) as track:
        assert track is None
    (tmp_path / "b.mp4").write_text("no video")
    with pytest.raises(MienError, match="not a video"), opened_soundtrack(tmp_path / "b.mp4", GIVEN):
        pass


def test_a_video_cut_short_keeps_the_sound_that_is_there(video, tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(video)) as source, av.open(str(tmp_path / "a.mkv"), "w") as copy:
        streams = {stream: copy.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                copy.mux(packet)
    whole = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "short.mkv").write_bytes(whole[: len(whole) * 3 // 4])
    given = SoundInput(rate_hz=44100, samples=4410, fft=256, hop=128, mels=16)
    with opened_soundtrack(tmp_path / "short.mkv", given) as track:
        assert track is not None
        assert np.abs(track.until(1.7).samples).max() > 0.2
        assert not track.until(60.0).samples.any()


def test_the_whole_sound_of_a_video_and_of_a_container_of_sound_alone(tmp_path):
    """A tone of 440 Hz at 48 kHz in two channels, of which one is silent."""
    av = pytest.importorskip("av")
    tone = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000).astype(np.float32)
    path = tmp_path / "voice.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.stack([0.5 * tone, 0 * tone]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    sound = load_sound(path, sample_rate_hz=16_000)
    assert sound.sample_rate_hz == 16_000 and sound.duration_s == pytest.approx(1, abs=0.05)
    assert np.abs(sound.samples[2000:14_000]).max() == pytest.approx(0.25, abs=0.03)
    spectrum = np.abs(np.fft.rfft(sound.samples[:16_000]))
    assert np.argmax(spectrum) * 16_000 / 16_000 == pytest.approx(440, abs=2)
    (tmp_path / "no.m4a").write_bytes(b"no sound")
    with pytest.raises(MienError, match=r"no\.m4a: not a video or sound that can be read"):
        load_sound(tmp_path / "no.m4a", sample_rate_hz=16_000)


def test_numbers_that_are_none_in_a_videos_sound_stay_out_of_its_windows(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    pytest.importorskip("soxr")
    samples = np.sin(np.arange(8000) / 9).astype(np.float32)
    samples[100:108] = [np.inf, -np.inf, np.nan, 3e38, -3e38, 1e30, -1e30, np.inf]
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_f32le", rate=8000, layout="mono")
        for _ in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode())
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    given = SoundInput(rate_hz=16_000, samples=16_000, fft=256, hop=128, mels=8, high_hz=8000.0)
    with opened_soundtrack(tmp_path / "a.mkv", given) as track:
        assert track is not None
        window = track.until(1.0).samples
    assert np.isfinite(window).all() and np.abs(window).max() > 1000
    assert np.isfinite(load_sound(tmp_path / "a.mkv", sample_rate_hz=16_000).samples).all()
