"""Single frames of videos as pictures, beside pictures themselves. Videos need PyAV: the extra `video`."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from mien.core.errors import MienError
from mien.media.image import Picture, load_image
from mien.media.listing import is_video
from mien.media.parts import Span
from mien.media.video import Frame, frames
from mien.media.video.container import opened_video, stated_duration_s


def load_still(
    path: Path, *, frame: int | None = None, span: Span | None = None, min_side: int | None = None
) -> Picture:
    """Frame `frame` (from 0) of a video; of any other file what `load_image` gives, whatever `frame` says.

    Frames that are asked for in order are decoded once. Raises MienError for a frame beyond the video's last one.
    """
    if frame is None or not is_video(path):
        return load_image(path, span=span, min_side=min_side)
    pixels = _opened(path).at(frame).pixels
    return Picture(pixels, 1.0, (pixels.shape[1], pixels.shape[0]))


def frame_count(path: Path) -> int:
    """How many frames the header states, or its length and rate; may be a few off. Decodes nothing.

    Raises MienError for what is no video, and where neither is stated.
    """
    with opened_video(path) as container:
        stream = container.streams.video[0]
        length, rate = stated_duration_s(stream, container), stream.average_rate
        count = stream.frames or (round(length * float(rate)) if length and rate else 0)
    if count < 1:
        raise MienError(
            f"{path}: its header states neither its frames nor its length. Write it anew: ffmpeg -i A B.mp4."
        )
    return count


class _Video:
    """A video that is read forwards, and from its start again for an earlier frame."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._frames: Iterator[Frame] = iter(())
        self._last: Frame | None = None

    def at(self, index: int) -> Frame:
        if self._last is None or index < self._last.index:
            self._frames, self._last = frames(self.path, first=index), None
        while self._last is None or self._last.index < index:
            following = next(self._frames, None)
            if following is None:
                found = 0 if self._last is None else self._last.index + 1
                self._last = None
                raise MienError(f"{self.path}: no frame {index}; {found or 'fewer'} frames decode.")
            self._last = following
        return self._last


_local = threading.local()  # a decoder must not be shared among threads


def _opened(path: Path) -> _Video:
    """The video that this thread asked for last, where it is the same file unchanged."""
    status = path.stat() if path.is_file() else None
    key = (os.getpid(), path, status and (status.st_size, status.st_mtime_ns))  # a fork would share the file's position
    if getattr(_local, "key", None) != key:
        _local.key, _local.video = key, _Video(path)
    video: _Video = _local.video
    return video
