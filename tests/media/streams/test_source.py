"""Frames that are no file: a camera, pipes, arrays."""

import io
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.media.streams import source as module
from mien.media.streams.source import ArrayFrames, Camera, PipedVideo, raw_frames, video_in_pipe
from mien.media.video import ALL_FRAMES, FrameSelection


class Device:
    """A camera that is unplugged after some frames."""

    def __init__(self, frames: int) -> None:
        self.left, self.released = frames, False

    def isOpened(self) -> bool:
        return True

    def read(self):
        self.left -= 1
        return (self.left >= 0, np.full((4, 6, 3), [255, 0, 0], np.uint8) if self.left >= 0 else None)

    def release(self) -> None:
        self.released = True


def test_a_camera_gives_rgb_until_it_is_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(3)
    monkeypatch.setattr(module.cv2, "VideoCapture", lambda number: device)
    found = []
    with pytest.raises(MienError, match=r"camera_0: gives no more frames after [\d.]+ s and 3 frames: unplugged"):
        for frame in Camera(0).frames(ALL_FRAMES):
            found.append(frame)
    assert [frame.index for frame in found] == [0, 1, 2] and device.released
    assert found[0].timestamp_s == 0 and found[0].pixels[0, 0].tolist() == [0, 0, 255]  # OpenCV's blue first


def test_a_camera_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(0)
    monkeypatch.setattr(device, "isOpened", lambda: False)
    monkeypatch.setattr(module.cv2, "VideoCapture", lambda number: device)
    with pytest.raises(MienError, match="camera_7: cannot be opened"):
        next(Camera(7).frames(ALL_FRAMES))


class Trickle(io.BytesIO):
    """Gives at most so many bytes at a time, as a pipe does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(7, size or 7))


def test_raw_frames_come_through_a_pipe_in_pieces() -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (5, 4, 6, 3)).astype(np.uint8)
    read = list(raw_frames("6x4@10", Trickle(pictures.tobytes())).frames(ALL_FRAMES))
    assert np.array_equal([frame.pixels for frame in read], pictures)
    assert [frame.timestamp_s for frame in read] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    with pytest.raises(MienError, match=r"stdin: frame 1 has 50 of 72 bytes. Raw frames are RGB, 6 x 4"):
        list(raw_frames("6x4@10", io.BytesIO(bytes(122))).frames(ALL_FRAMES))
    with pytest.raises(MienError, match="stdin: no frames came"):
        list(raw_frames("6x4@10", io.BytesIO()).frames(ALL_FRAMES))


@pytest.mark.parametrize("spelling", ["640", "640x360", "0x4@25", "6x4@0", "90000x90000@1", "axb@c"])
def test_wrong_spellings_of_raw_frames(spelling: str) -> None:
    with pytest.raises(MienError, match="--stdin-frames is WIDTHxHEIGHT@RATE"):
        raw_frames(spelling, io.BytesIO())


def test_a_video_in_a_pipe_is_known_by_its_first_bytes_and_read(tmp_path: Path) -> None:
    pytest.importorskip("av")
    head = b"YUV4MPEG2 W64 H48 F10:1 Ip A1:1 C420jpeg\n"
    content = head + b"".join(
        b"FRAME\n" + bytes([level]) * (64 * 48) + b"\x80" * (64 * 48 // 2) for level in (20, 120, 220)
    )
    pipe = io.BufferedReader(io.BytesIO(content))
    assert video_in_pipe(pipe)
    read = list(PipedVideo(pipe).frames(ALL_FRAMES))
    assert [round(frame.timestamp_s, 3) for frame in read] == [0, 0.1, 0.2]
    assert [int(frame.pixels.mean()) // 60 for frame in read] == [0, 2, 3]
    assert not video_in_pipe(io.BufferedReader(io.BytesIO(b"photos/one.jpg\n")))
    assert not video_in_pipe(io.StringIO("photos/one.jpg")) and not video_in_pipe(None)
    with pytest.raises(MienError, match="stdin: not a video that can be read through a pipe"):
        list(PipedVideo(io.BytesIO(b"OggS" + bytes(100))).frames(ALL_FRAMES))


def test_arrays_have_their_own_times_or_25_a_second() -> None:
    grey = np.zeros((4, 6), np.uint8)
    assert [frame.timestamp_s for frame in ArrayFrames([grey] * 3).frames(ALL_FRAMES)] == [0, 0.04, 0.08]
    timed = ArrayFrames([(grey, 0.0), (grey, 0.5), (grey, 0.9), (grey, 2.0)])
    chosen = FrameSelection(rate_hz=1.0)
    assert [frame.timestamp_s for frame in timed.frames(chosen)] == [0.0, 2.0]
    with pytest.raises(MienError, match="Frame 0: A picture is an array uint8"):
        list(ArrayFrames(["a.jpg"]).frames(ALL_FRAMES))


@pytest.mark.parametrize("times", [[-1.0], [float("nan")], [1.0, 0.5], [None]])
def test_times_that_no_video_has_are_refused(times: list) -> None:
    frames = [(np.zeros((2, 2, 3), np.uint8), time_s) for time_s in times]
    with pytest.raises(MienError, match="time"):
        list(ArrayFrames(frames).frames(ALL_FRAMES))


def test_a_camera_has_a_number() -> None:
    with pytest.raises(MienError, match=r"within 0\.\.999; got -1"):
        next(Camera(-1).frames(ALL_FRAMES))
