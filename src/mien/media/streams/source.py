"""Sources of frames that are no file: a camera, frames through a pipe, arrays of a program. They are read once.

mien analyze 0                                                  the first camera
ffmpeg -i A -f yuv4mpegpipe -pix_fmt yuv420p - | mien analyze -     a video, known by its first bytes
program | mien analyze - --stdin-frames 640x360@25              raw RGB, which does not say what it is
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import cv2
import numpy as np

from mien.core.errors import MienError
from mien.core.limits import FRAME_PIXELS
from mien.core.typed import checked, named
from mien.media.image import picture_of_array
from mien.media.video import Frame, FrameSelection, Place, frames, piped_frames, video_info

RATE_HZ = 25.0  # of arrays without times
CAMERAS = 1000
# First bytes of what FFmpeg reads without going back: JPEGs in a row, YUV4MPEG2, Matroska, MPEG-TS, Ogg, FLV, AVI, NUT.
_VIDEOS = (b"\xff\xd8\xff", b"YUV4MPEG2", b"\x1aE\xdf\xa3", b"G@", b"OggS", b"FLV", b"RIFF", b"nut/")


class FrameSource(ABC):
    """Frames, one after the other."""

    live: ClassVar[bool] = False
    """Whether frames that come while others are read are lost, rather than wait."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the table calls it."""

    @abstractmethod
    def frames(self, selection: FrameSelection, first: int = 0, near: Place | None = None) -> Iterator[Frame]:
        """Those that are chosen, from index `first` on. near: of media.video.frames. Raises MienError if it fails."""

    def count(self, selection: FrameSelection) -> int | None:
        """About how many there are; None where that is unknown."""
        return None


@dataclass(frozen=True)
class VideoFile(FrameSource):
    """A video file."""

    path: Path
    """Of it."""

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    def frames(self, selection: FrameSelection, first: int = 0, near: Place | None = None) -> Iterator[Frame]:
        """As media.video.frames."""
        return frames(self.path, first=first, selection=selection, near=near)

    def count(self, selection: FrameSelection) -> int | None:
        """From its header; None for one that cannot be read."""
        try:
            info = video_info(self.path)
        except MienError:  # reading it gives the reason
            return None
        return selection.count(info.frames, info.duration_s)


@dataclass(frozen=True)
class Camera(FrameSource):
    """A camera by its number, through OpenCV; times count from its first frame."""

    number: int
    """From 0."""
    live: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """`camera_0`."""
        return f"camera_{self.number}"

    def frames(self, selection: FrameSelection, first: int = 0, near: Place | None = None) -> Iterator[Frame]:
        """Until the camera gives no more. Raises MienError for one that cannot be opened, and one that is unplugged."""
        device = _opened_camera(self.number)
        try:
            yield from _chosen(self._pictures(device), selection, first)
        finally:
            device.release()

    def _pictures(self, device: Any) -> Iterator[tuple[np.ndarray, float]]:
        start, count = None, 0
        while True:
            there, pixels = device.read()
            now = time.monotonic()
            if not there or pixels is None:
                ran = "" if start is None else f" after {now - start:.1f} s and {count} frames"
                raise MienError(f"{self.name}: gives no more frames{ran}: unplugged, or another program has it.")
            start = now if start is None else start
            count += 1
            yield cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), now - start


@dataclass(frozen=True)
class PipedVideo(FrameSource):
    """An encoded video through a pipe, of a kind that is read without going back."""

    stream: BinaryIO
    """The pipe."""
    name: str = "stdin"
    """What the table calls it."""

    def frames(self, selection: FrameSelection, first: int = 0, near: Place | None = None) -> Iterator[Frame]:
        """Until the pipe ends. Raises MienError for what is no video."""
        return piped_frames(self.stream, self.name, selection, first)


@dataclass(frozen=True)
class RawFrames(FrameSource):
    """Raw RGB frames, 8 bits a channel, row by row, through a pipe."""

    stream: BinaryIO
    """The pipe."""
    size: tuple[int, int]
    """Width, height."""
    rate_hz: float
    """Frames a second."""
    name: str = "stdin"
    """What the table calls it."""

    def frames(self, selection: FrameSelection, first: int = 0, near: Place | None = None) -> Iterator[Frame]:
        """Until the pipe ends. Raises MienError for a last frame that is not whole, behind those before it."""
        return _chosen(self._pictures(), selection, first)

    def _pictures(self) -> Iterator[tuple[np.ndarray, float]]:
        width, height = self.size
        index = 0
        while content := _read_whole(self.stream, 3 * width * height):
            if len(content) < 3 * width * height:
                raise MienError(
                    f"{self.name}: frame {index} has {len(content):,} of {3 * width * height:,} bytes. Raw frames are "
                    f"RGB, {width} x {height}, 8 bits a channel."
                )
            yield np.frombuffer(content, np.uint8).reshape(height, width, 3), index / self.rate_hz
            index += 1
        if index == 0:
            raise MienError(f"{self.name}: no frames came.")


@dataclass(frozen=True)
class ArrayFrames(FrameSource):
    """Arrays of a program."""

    arrays: Iterable[Any]
    """uint8 [height, width, 3] in RGB or [height, width], or pairs of such an array and its time in seconds."""
    rate_hz: float = RATE_HZ
    """Of arrays without times."""
    name: str = ""
    """What the table calls it."""

    def frames(self, selection: FrameSelection, first: int = 0, near: Place | None = None) -> Iterator[Frame]:
        """Until they end. Raises MienError for what is no frame."""
        return _chosen(self._pictures(), selection, first)

    def _pictures(self) -> Iterator[tuple[np.ndarray, float]]:
        latest_s = 0.0
        for index, item in enumerate(self.arrays):
            pixels, time_s = item if isinstance(item, tuple) and len(item) == 2 else (item, index / self.rate_hz)
            time_s = checked(time_s, float, key=f"The time of frame {index}, in seconds,")
            if time_s < latest_s:
                raise MienError(
                    f"Frame {index}: times begin at 0 and do not fall; got {time_s:g}, {latest_s:g} before."
                )
            latest_s = time_s
            with named(f"Frame {index}"):
                picture = picture_of_array(pixels)
            yield picture.pixels, time_s


def raw_frames(spelling: str, stream: BinaryIO) -> RawFrames:
    """Of `640x360@25`: width, height, frames a second. Raises MienError for another spelling."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})@(\d+(?:\.\d+)?)", spelling)
    width, height, rate = (float(part) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    if not rate or not 0 < width * height <= FRAME_PIXELS:
        raise MienError(f"--stdin-frames is WIDTHxHEIGHT@RATE, such as 640x360@25; got {spelling!r}.")
    return RawFrames(stream, (int(width), int(height)), rate)


def video_in_pipe(stream: Any) -> bool:
    """Whether the next bytes of a buffered pipe are those of a video, rather than of text; none of them is lost."""
    peek = getattr(stream, "peek", None)
    start = b"" if peek is None else peek(16)
    return (
        start.startswith(_VIDEOS) or start[4:8] == b"ftyp"
    )  # of an MP4, which can be read so if its index comes first


def _chosen(
    pictures: Iterator[tuple[np.ndarray, float]], selection: FrameSelection, first: int
) -> Iterator[Frame]:  # fmt: skip
    before_s: float | None = None
    for index, (pixels, time_s) in enumerate(pictures):
        if selection.is_past(time_s):
            return
        if selection.picks(index, time_s, before_s) and index >= first:
            yield Frame(index, time_s, pixels)
        before_s = time_s


def _read_whole(stream: BinaryIO, size: int) -> bytes:
    """So many bytes, fewer only at the end: a pipe gives them piece by piece."""
    parts, missing = [], size
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _opened_camera(number: int) -> Any:
    """Raises MienError where there is none of that number."""
    if not 0 <= number < CAMERAS:  # OpenCV dies of a negative number
        raise MienError(f"A camera's number lies within 0..{CAMERAS - 1}; got {number}.")
    logging = getattr(getattr(cv2, "utils", None), "logging", None)
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT) if logging else None  # its warnings are no use to anybody
    try:
        device = cv2.VideoCapture(number)
    finally:
        if logging:
            logging.setLogLevel(before)
    if not device.isOpened():
        there = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
        known = f"Cameras here: {', '.join(there)}." if there else "No camera is connected to this machine."
        raise MienError(f"camera_{number}: cannot be opened. {known}")
    return device
