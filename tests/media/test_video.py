"""Frames keep their own times and stand upright; what is no video is refused in one line."""

import builtins
import itertools
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.media.video import FrameSelection, Place, frame_of, frames, video_info
from mien.media.video.decoder import Decoder

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


def write_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Writes (a, b, c, d) into the display matrix of an MP4's track header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = b"".join((v & 0xFFFFFFFF).to_bytes(4, "big") for v in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    path.write_bytes(data)


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0), (0, 1, -1, 0)])
def test_a_mirroring_display_matrix_is_followed(tmp_path, matrix):
    """Front cameras store such videos. Each source pixel (x, y), from the middle, is shown at (ax + cy, bx + dy)."""
    write_video(tmp_path / "a.mp4", times=[0, 100])
    plain = next(frames(tmp_path / "a.mp4")).pixels
    write_matrix(tmp_path / "a.mp4", matrix)
    shown = next(frames(tmp_path / "a.mp4")).pixels
    a, b, c, d = matrix
    height, width = plain.shape[:2]
    assert shown.shape[:2] == ((width, height) if a == 0 else (height, width))
    assert video_info(tmp_path / "a.mp4").size == shown.shape[1::-1]
    for x, y in ((3, 5), (60, 40), (10, 44)):
        u, v = 2 * x + 1 - width, 2 * y + 1 - height
        to_x, to_y = (a * u + c * v + shown.shape[1] - 1) // 2, (b * u + d * v + shown.shape[0] - 1) // 2
        assert (shown[to_y, to_x] == plain[y, x]).all()


@pytest.mark.parametrize(("aspect", "size"), [((2, 1), (128, 48)), ((1, 2), (64, 96)), ((1, 1), (64, 48))])
def test_pixels_become_square(tmp_path, aspect, size):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 48, "yuv420p", 4_000_000
        stream.codec_context.sample_aspect_ratio = Fraction(*aspect)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(shade(3), format="rgb24")))
        container.mux(stream.encode())
    pixels = next(frames(tmp_path / "a.mp4")).pixels
    assert pixels.shape[1::-1] == size == video_info(tmp_path / "a.mp4").size
    bright = (pixels[pixels.shape[0] // 2].mean(-1) > 170).mean()
    assert bright == pytest.approx(20 / 64, abs=0.03)  # the bright third is as wide as it was


def packets(path: Path) -> list[tuple[int, int]]:
    """Position and size of each packet in the file."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def write_intra(path: Path, count: int) -> None:
    """Each frame by itself (Motion JPEG), so that damage to one cannot reach another."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for index in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shade(index), format="rgb24")))
        container.mux(stream.encode())


def test_a_damaged_packet_loses_its_own_frame(tmp_path):
    write_intra(tmp_path / "a.mkv", 12)
    content = bytearray((tmp_path / "a.mkv").read_bytes())
    at, size = packets(tmp_path / "a.mkv")[5]
    at = content.index(b"\xff\xd8", at)
    content[at : at + size - 20] = bytes(size - 20)
    (tmp_path / "a.mkv").write_bytes(content)
    for every in (1, 2):
        read = list(frames(tmp_path / "a.mkv", every=every))
        times = [round(frame.timestamp_s, 1) for frame in read]
        assert times == [
            t for i, t in enumerate([0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1]) if i % every == 0
        ]
        noted = [(round(frame.timestamp_s, 1), frame.note) for frame in read if frame.note]
        assert noted == [(0.6 if every == 1 else 0.7, "1 damaged packet before it")]


def test_a_video_that_is_cut_short_says_so_in_its_last_frame(tmp_path):
    write_video(tmp_path / "a.mkv", times=list(range(0, 6000, 100)))
    assert not any(frame.note for frame in frames(tmp_path / "a.mkv"))
    assert not any(frame.note for frame in frames(tmp_path / "a.mkv", every=7))
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    *others, last = frames(tmp_path / "cut.mkv", every=3)
    assert len(others) > 3 and not any(frame.note for frame in others)
    assert re.search(r"the video is cut short: [\d.]+ s of the [\d.]+ s that its header states", last.note)


def test_frames_that_an_edit_list_hides_are_not_missing(tmp_path):
    write_video(tmp_path / "a.mp4", times=list(range(-500, 500, 100)))
    read = list(frames(tmp_path / "a.mp4"))
    assert [round(frame.timestamp_s, 2) for frame in read] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert video_info(tmp_path / "a.mp4").frames == 10 and not any(frame.note for frame in read)


def test_parts_that_a_transport_stream_lacks_are_noted(tmp_path):
    write_video(tmp_path / "a.ts", times=list(range(0, 1200, 100)))
    assert not any(frame.note for frame in frames(tmp_path / "a.ts"))
    content = (tmp_path / "a.ts").read_bytes()
    of_video = [at for at in range(0, len(content), 188) if content[at + 1 : at + 3] == b"\x41\x00"]
    (tmp_path / "b.ts").write_bytes(content[: of_video[9]] + content[of_video[9] + 188 :])
    read = list(frames(tmp_path / "b.ts"))
    assert len(read) < 12 and [frame.note for frame in read if frame.note] == ["1 damaged packet before it"]


def test_frames_are_chosen_by_their_times(tmp_path):
    """Of a variable rate: 10 a second, a gap, 25 a second."""
    times = [*range(0, 500, 100), *range(900, 1500, 40)]
    write_video(tmp_path / "a.mkv", times=times)

    def chosen(**options) -> list[float]:
        return [
            round(frame.timestamp_s, 2) for frame in frames(tmp_path / "a.mkv", selection=FrameSelection(**options))
        ]

    assert chosen(rate_hz=5.0) == [0, 0.2, 0.4, 0.9, 1.02, 1.22, 1.42]  # the first frame of each fifth of a second
    assert chosen(start_s=0.3, end_s=0.94) == [0.3, 0.4, 0.9]
    assert chosen(start_s=0.25, rate_hz=5.0, end_s=1.0) == [0.3, 0.4, 0.9]
    assert chosen(rate_hz=1000.0) == [time / 1000 for time in times]
    assert chosen(every=4, start_s=0.2) == [0.4, 1.02, 1.18, 1.34]
    with pytest.raises(MienError, match=r"the video ends at 1.46 s, before start \(2 s\)"):
        chosen(start_s=2.0)
    indices = [frame.index for frame in frames(tmp_path / "a.mkv", selection=FrameSelection(rate_hz=5.0), first=3)]
    assert indices == [4, 5, 8, 13, 18]


def test_a_damaged_time_does_not_end_the_reading(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mkv", times=list(range(0, 1200, 100)))
    time_of = Decoder.time_of
    monkeypatch.setattr(Decoder, "time_of", lambda self, i, frame: 30.0 if i == 3 else time_of(self, i, frame))
    read = list(frames(tmp_path / "a.mkv", selection=FrameSelection(end_s=0.8)))
    assert [frame.index for frame in read] == [0, 1, 2, 4, 5, 6, 7]
    assert [frame.index for frame in frames(tmp_path / "a.mkv")] == list(range(12))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be 1"),
        ({"rate_hz": 0.0}, "fps must be"),
        ({"rate_hz": 5.0, "every": 2}, "fps and every both choose frames"),
        ({"start_s": -1.0}, "start must be"),
        ({"start_s": 5.0, "end_s": 5.0}, "end must lie after start"),
    ],
)
def test_selections_that_contradict_themselves(options, message):
    with pytest.raises(MienError, match=message):
        FrameSelection(**options)


def test_the_number_of_chosen_frames_is_known_before():
    assert FrameSelection(3).count(10, None) == 4
    assert FrameSelection(rate_hz=5.0).count(10, None) is None
    assert FrameSelection(rate_hz=5.0, start_s=1.0, end_s=3.0).count(100, 4.0) == 10
    assert FrameSelection(start_s=1.0).count(100, 4.0) == 75


def test_a_video_goes_on_from_a_frame(tmp_path):
    write_video(tmp_path / "a.mp4", times=list(range(500, 1500, 100)))
    whole, rest = list(frames(tmp_path / "a.mp4", every=2)), list(frames(tmp_path / "a.mp4", every=2, first=5))
    assert [(f.index, f.timestamp_s) for f in rest] == [(f.index, f.timestamp_s) for f in whole if f.index >= 5]
    assert list(frames(tmp_path / "a.mp4", first=99)) == []


@pytest.mark.parametrize("found", [True, False])
def test_decoding_begins_near_a_known_frame(tmp_path, monkeypatch, found):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt, stream.options = 64, 48, "yuv420p", {"g": "10", "bf": "2"}
        for number in range(60):
            picture = np.full((48, 64, 3), 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    everything = list(frames(tmp_path / "a.mp4"))
    decoded, time_of = [], Decoder.time_of
    monkeypatch.setattr(Decoder, "time_of", lambda self, i, f: decoded.append(i) or time_of(self, i, f))
    near = Place(46, everything[46].timestamp_s + (0 if found else 0.01))
    rest = list(frames(tmp_path / "a.mp4", first=47, near=near))
    assert [(f.index, f.timestamp_s, f.note) for f in rest] == [(f.index, f.timestamp_s, "") for f in everything[47:]]
    assert all((a.pixels == b.pixels).all() for a, b in zip(rest, everything[47:], strict=True))
    assert (len(decoded) < 40) == found, "sought where that frame is there, else decoded from the start"


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
    with pytest.raises(MienError, match=r"pip install '\S*\[video\]'"):
        video_info(tmp_path / "a.mp4")


@pytest.mark.shared
def test_a_real_video(shared):
    path = shared / "demo" / "video" / "single_face.mp4"
    info = video_info(path)
    read = list(frames(path, every=24))
    assert read[0].pixels.shape[1::-1] == info.size
    assert all(b.timestamp_s > a.timestamp_s for a, b in itertools.pairwise(read))


def test_frames_are_converted_before_they_are_encoded():
    """The encoder would do it on several threads, which gives small frames other chroma now and then."""
    frame = frame_of(np.zeros((24, 26, 3), np.uint8))
    assert (frame.format.name, frame.width, frame.height) == ("yuv420p", 26, 24)
