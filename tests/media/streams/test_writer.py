"""Videos written as they come: another video's sound is copied, or encoded anew where an .mp4 does not hold it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.media.streams.writer import video_like
from mien.media.video import frames

av = pytest.importorskip("av")
RATE = 16_000


def write_source(path: Path, codec: str) -> None:
    """Two seconds: pictures from 0 s on, a tone in the second half."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        voice = container.add_stream(codec, rate=RATE)
        samples = np.sin(np.arange(2 * RATE) / RATE * 2 * np.pi * 440) * (np.arange(2 * RATE) >= RATE)
        sound = av.AudioFrame.from_ndarray((samples[None] * 20_000).astype(np.int16), format="s16", layout="mono")
        sound.sample_rate, sound.pts = RATE, 0
        for index in range(20):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 10 * index, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        container.mux(voice.encode(sound))
        container.mux(voice.encode())


def loud_from(path: Path) -> float:
    """When the tone begins, seconds."""
    with av.open(str(path)) as container:
        rate, channels = container.streams.audio[0].rate, container.streams.audio[0].channels
        heard = [(frame.time, frame.to_ndarray(), frame.format.is_planar) for frame in container.decode(audio=0)]
    blocks = [values[0] if planar else values[0, ::channels] for _, values, planar in heard]
    samples = np.concatenate(blocks).astype(float)
    return heard[0][0] + float(np.argmax(np.abs(samples) > 0.3 * np.abs(samples).max())) / rate


@pytest.mark.parametrize(("codec", "suffix", "kept"), [("aac", ".mp4", "aac"), ("pcm_s16le", ".mkv", "aac")])
@pytest.mark.parametrize("start_s", [0.0, 0.5])
def test_the_sound_stays_with_its_pictures(tmp_path: Path, codec: str, suffix: str, kept: str, start_s: float) -> None:
    if codec != "aac":
        pytest.importorskip("soxr")
    source = tmp_path / f"source{suffix}"
    write_source(source, codec)
    times = [0.0, 0.1, 0.35, 0.9, 1.4]
    with video_like(tmp_path / "new.mp4", source, size=(32, 32), rate_hz=10.0, start_s=start_s) as (video, sound):
        assert sound is not None
        for time_s in times:
            sound.until(time_s)
            video.picture(np.zeros((32, 32, 3), np.uint8), time_s)
        sound.until(1.5, last=True)
    assert [frame.timestamp_s for frame in frames(tmp_path / "new.mp4")] == pytest.approx(times, abs=2e-3)
    assert loud_from(tmp_path / "new.mp4") == pytest.approx(1 - start_s, abs=0.08)
    with av.open(str(tmp_path / "new.mp4")) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == kept
        assert float(stream.duration * stream.time_base) == pytest.approx(min(1.5, 2 - start_s), abs=0.2)  # it leads


def test_a_video_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        video_like(tmp_path / "a.mp4", None, size=(32, 32), rate_hz=9.0) as (video, _),
    ):
        video.picture(np.zeros((32, 32, 3), np.uint8), 0.0)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
