"""The overlay video: the frames of a video with their faces labelled, at their own times, with its own sound."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mien.core.errors import MienError
from mien.media.streams.source import FrameSource, VideoFile
from mien.media.streams.writer import CopiedSound, SoundAhead, VideoWriter, video_like
from mien.media.video import FrameSelection, video_info
from mien.runtime.overlay import draw, scaled
from mien.runtime.readings import PictureReadings

DRAWN_SIDE = 1920  # pixels of the longer side; larger frames are reduced
RATE_HZ = 25.0  # on average, where the source does not say


class DrawnVideo:
    """Draws one frame after another into a video."""

    def __init__(
        self,
        video: VideoWriter,
        sound: SoundAhead | CopiedSound | None,
        size: tuple[int, int],
        start_s: float,
        rate_hz: float,
    ) -> None:
        self._video, self._sound, self._size = video, sound, size
        self._start_s, self._rate_hz, self._now_s = start_s, rate_hz, 0.0

    def frame(self, read: PictureReadings) -> None:
        """Draws it; other sizes than the first one's are brought to that."""
        assert read.picture is not None
        width, height = self._size
        pixels = read.picture.pixels
        factor = min(width / pixels.shape[1], height / pixels.shape[0])
        if factor != 1:
            small = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
            pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        flat = [replace(reading, face3d=None) for reading in read.readings]  # their renders are in the sheet of frames
        shown = draw(pixels, [scaled(reading, factor) for reading in flat])
        self._now_s = (read.readings[0].timestamp_s or 0.0) - self._start_s
        if self._sound is not None:
            self._sound.until(self._now_s)
        self._video.picture(_on_canvas(shown, self._size), self._now_s)

    def end(self) -> None:
        """The sound up to the end of the last frame."""
        if self._sound is not None:
            self._sound.until(self._now_s + 1 / self._rate_hz, last=True)


@contextmanager
def drawn_video(
    path: Path, source: FrameSource, selection: FrameSelection, first: PictureReadings
) -> Iterator[DrawnVideo]:  # fmt: skip
    """The video at that path, whole in the end or not there. first: its first frame, whose time becomes 0."""
    assert first.picture is not None
    height, width = first.picture.pixels.shape[:2]
    factor = min(1.0, DRAWN_SIDE / max(height, width))
    size = (max(2, round(width * factor) // 2 * 2), max(2, round(height * factor) // 2 * 2))
    rate_hz, start_s = _rate(source, selection), first.readings[0].timestamp_s or 0.0
    sound_of = source.path if isinstance(source, VideoFile) else None
    with video_like(path, sound_of, size=size, rate_hz=rate_hz, start_s=start_s) as (video, sound):
        drawn = DrawnVideo(video, sound, size, start_s, rate_hz)
        yield drawn
        drawn.end()


def _rate(source: FrameSource, selection: FrameSelection) -> float:
    """Of the frames that are read, on average."""
    found = None
    if isinstance(source, VideoFile):
        try:
            found = video_info(source.path).rate_hz
        except MienError:
            found = None
    rate = (found or RATE_HZ) / selection.every
    return rate if selection.rate_hz is None else min(rate, selection.rate_hz)


def _on_canvas(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut or filled up, right and below, to the video's size."""
    width, height = size
    pixels = pixels[:height, :width]
    below, right = height - pixels.shape[0], width - pixels.shape[1]
    return cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE) if below or right else pixels
