"""The overlay video: the frames of a video with their faces labelled, at their own times, with its own sound."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mien.core.errors import MienError
from mien.media.streams.segments import SegmentedVideo
from mien.media.streams.source import FrameSource, VideoFile
from mien.media.video import FrameSelection, video_info
from mien.runtime.overlay import draw, scaled
from mien.runtime.readings import PictureReadings
from mien.runtime.tracking.state import State

DRAWN_SIDE = 1920  # pixels of the longer side; larger frames are reduced
RATE_HZ = 25.0  # on average, where the source does not say


class DrawnVideo:
    """Draws one frame after another into a video, in segments until `end`, so that it can go on after a kill.

    video: its segments. start_s: the time of its first frame, which becomes 0. Others as for drawn_video.
    """

    def __init__(self, video: SegmentedVideo, path: Path, source: FrameSource, *, start_s: float) -> None:
        self._video, self._path, self._start_s = video, path, start_s
        self._sound_of = source.path if isinstance(source, VideoFile) else None

    def frame(self, read: PictureReadings) -> None:
        """Draws it; other sizes than the first one's are brought to that."""
        assert read.picture is not None
        width, height = self._video.size
        pixels = read.picture.pixels
        factor = min(width / pixels.shape[1], height / pixels.shape[0])
        if factor != 1:
            small = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
            pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        flat = [replace(reading, face3d=None) for reading in read.readings]  # their renders are in the sheet of frames
        shown = draw(pixels, [scaled(reading, factor) for reading in flat])
        time_s = (read.readings[0].timestamp_s or 0.0) - self._start_s
        self._video.picture(_on_canvas(shown, self._video.size), time_s)

    def state(self) -> State:
        """Of the frames so far, which are then on the disk; the next one begins a segment."""
        return State({"start_s": self._start_s, "video": self._video.state()})

    def end(self) -> None:
        """Joins the segments, with the sound up to the end of the last frame. They stay until the state goes."""
        self._video.join(self._path, self._sound_of, start_s=self._start_s)

    def abandon(self, error: BaseException) -> None:
        """The run ends before its video does: what `state` has given stays, nothing else."""
        self._video.abandon(error)


def drawn_video(
    path: Path, folder: Path, source: FrameSource, selection: FrameSelection, first: PictureReadings
) -> DrawnVideo:  # fmt: skip
    """The video at that path, whole in the end or not there. folder: of its segments. first: its first frame."""
    assert first.picture is not None
    height, width = first.picture.pixels.shape[:2]
    factor = min(1.0, DRAWN_SIDE / max(height, width))
    size = (max(2, round(width * factor) // 2 * 2), max(2, round(height * factor) // 2 * 2))
    video = SegmentedVideo(folder, size=size, rate_hz=_rate(source, selection))
    return DrawnVideo(video, path, source, start_s=first.readings[0].timestamp_s or 0.0)


def restored_video(path: Path, folder: Path, source: FrameSource, state: State) -> DrawnVideo:
    """As it gave its state. Raises MienError, the reason, where it cannot go on from there."""
    try:
        start_s, video = float(state.values["start_s"]), dict(state.values["video"])
    except (LookupError, TypeError, ValueError) as error:
        raise MienError("its saved state has a damaged drawn video") from error
    return DrawnVideo(SegmentedVideo.restored(folder, video), path, source, start_s=start_s)


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
