"""Frames keep their own times and stand upright; what is no video is refused in one line."""

import builtins
import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.media.video import frames, video_info

av = pytest.importorskip("av")


def shade(index: int) -> np.ndarray:
    """Brightness tells the index, a bright left third tells the way up."""
    pixels = np.full((48, 64, 3), 20 + 15 * (index % 14), np.uint8)
    pixels[:, :20] = 250
    return pixels


def write_video(path: Path, *, times: list[int], rotation_deg: int = 0) -> None:
    """Frames at `times` milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.bit_rate = 4_000_000
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(shade(index), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if rotation_deg:
        turn_header(path, rotation_deg)


def turn_header(path: Path, rotation_deg: int) -> None:
    """Writes a quarter turn into the display matrix of an MP4's track header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix begins 40 bytes into the box's content
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotation_deg]
    matrix = [cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30]
    data[at : at + 36] = b"".join((value & 0xFFFFFFFF).to_bytes(4, "big") for value in matrix)
    path.write_bytes(data)


def test_uneven_times_come_from_the_frames(tmp_path):
    times = [0, 40, 80, 300, 340, 900]
    write_video(tmp_path / "a.mkv", times=times)
    read = list(frames(tmp_path / "a.mkv"))
    assert [frame.index for frame in read] == list(range(6))
    assert np.allclose([frame.timestamp_s for frame in read], np.array(times) / 1000, atol=2e-3)
    for frame in read:
        assert frame.pixels.shape == (48, 64, 3)
        assert abs(int(frame.pixels[24, 50].mean()) - int(shade(frame.index)[24, 50].mean())) < 8


def test_times_count_from_the_first_frame(tmp_path):
    write_video(tmp_path / "a.mkv", times=[500, 600, 700])
    assert [round(frame.timestamp_s, 2) for frame in frames(tmp_path / "a.mkv")] == [0.0, 0.1, 0.2]


def test_every_nth_frame_keeps_index_and_time(tmp_path):
    write_video(tmp_path / "a.mp4", times=list(range(0, 1000, 100)))
    read = list(frames(tmp_path / "a.mp4", every=4))
    assert [(frame.index, round(frame.timestamp_s, 2)) for frame in read] == [(0, 0.0), (4, 0.4), (8, 0.8)]
    with pytest.raises(MienError, match="every must be 1"):
        next(frames(tmp_path / "a.mp4", every=0))


@pytest.mark.parametrize(("rotation", "bright"), [(90, np.s_[:16]), (180, np.s_[:, -16:]), (270, np.s_[-16:])])
def test_the_display_matrix_is_followed(tmp_path, rotation, bright):
    """A track turned clockwise by 90 degrees shows its left third at the top."""
    write_video(tmp_path / "a.mp4", times=[0, 100], rotation_deg=rotation)
    pixels = next(frames(tmp_path / "a.mp4")).pixels
    assert pixels.flags.c_contiguous
    assert pixels[bright].mean() > 200
    info = video_info(tmp_path / "a.mp4")
    assert info.size == pixels.shape[1::-1]
    assert info.rotation_deg in (rotation, 360 - rotation)


def test_info(tmp_path):
    write_video(tmp_path / "a.mp4", times=list(range(0, 1000, 100)))
    info = video_info(tmp_path / "a.mp4")
    assert (info.size, info.frames, info.rotation_deg) == ((64, 48), 10, 0)
    assert info.duration_s == pytest.approx(1.0, abs=0.11)
    assert info.rate_hz == pytest.approx(10, rel=0.2)


def write_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_refusals(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    write_sound(tmp_path / "sound.wav")
    for name, message in {
        "text.mp4": "not a video that can be read",
        "empty.mp4": "the file is empty",
        "none.mp4": "no such file",
        "sound.wav": "no video stream in it, only audio",
    }.items():
        for read in (video_info, lambda path: list(frames(path))):
            with pytest.raises(MienError, match=message) as caught:
                read(tmp_path / name)
            assert name in str(caught.value)
            assert "\n" not in str(caught.value)


def test_a_video_cut_short_gives_its_frames_or_a_line(tmp_path):
    write_video(tmp_path / "a.mkv", times=list(range(0, 3000, 100)))
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    count = 0
    try:
        for _ in frames(tmp_path / "cut.mkv"):
            count += 1
    except MienError:
        pass
    assert 0 < count < 30


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "av":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MienError, match=r"pip install 'mien\[video\]'"):
        video_info(tmp_path / "a.mp4")


@pytest.mark.shared
def test_a_real_video(shared):
    path = shared / "demo" / "video" / "single_face.mp4"
    info = video_info(path)
    read = list(frames(path, every=24))
    assert read[0].pixels.shape[1::-1] == info.size
    assert all(b.timestamp_s > a.timestamp_s for a, b in itertools.pairwise(read))
