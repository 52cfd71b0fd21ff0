"""A video that is written in closed segments, each a file of its own, so that it can go on after a kill.

A segment begins with a key frame and refers to nothing outside of it; its encoder starts anew. The joined video has the
packets of all segments as they are: where segments end at the same pictures it is the same, however often its writing
was interrupted. Needs PyAV: the extra `video`.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from mien.core.errors import MienError
from mien.media.files import sweep
from mien.media.streams.writer import TICKS, VideoWriter, video_like, video_writer
from mien.media.video.container import import_av, opened_video

SUFFIX = ".nut"
# Without macroblock trees, of which the same pictures give other bits now and then; for that the files are a
# tenth larger.
_X264 = {"crf": "24", "preset": "veryfast", "x264-params": "mbtree=0"}
_REORDERED = 2  # pictures that are decoded before one that is shown before them: x264's B-frames refer to B-frames


@dataclass(frozen=True)
class Segment:
    """One closed file."""

    first: int
    """Time of its first picture, in ticks from the video's."""
    bytes: int
    """Of the file."""


class SegmentedVideo:
    """Pictures on their way into segments in a folder of their own, which `join` makes one video of.

    size: (width, height), even. rate_hz: of pictures, on average.
    """

    def __init__(
        self, folder: Path, *, size: tuple[int, int], rate_hz: float, segments: Sequence[Segment] = (), last: int = -1
    ) -> None:
        """segments, last: the closed ones that are gone on from, and the time of their last picture, in ticks."""
        remove_segments(folder, behind=len(segments))
        self.folder, self.size, self.rate_hz = folder, size, rate_hz
        self.segments = list(segments)
        """The closed ones."""
        self._open, self._first, self._last = ExitStack(), 0, last
        self._writer: VideoWriter | None = None

    def picture(self, pixels: UInt8[np.ndarray, "height width 3"], time_s: float) -> None:
        """Into the open segment, or a new one. A time that is not after the one before is moved behind it."""
        if begins := self._writer is None:
            options: dict[str, Any] = {"size": self.size, "rate_hz": self.rate_hz, "x264": _X264, "after": self._last}
            self._writer = self._open.enter_context(video_writer(self._path(len(self.segments)), **options))
        self._last = self._writer.picture(pixels, time_s)
        self._first = self._last if begins else self._first

    def close_segment(self) -> None:
        """Whole on the disk; without one that is open it does nothing."""
        if self._writer is None:
            return
        self._writer = None
        self._open.close()
        size = self._path(len(self.segments)).stat().st_size
        self.segments.append(Segment(self._first, size))

    def abandon(self, error: BaseException) -> None:
        """Leaves the closed segments, and nothing of an open one."""
        self._writer = None
        with suppress(type(error)):
            self._open.__exit__(type(error), error, error.__traceback__)

    def state(self) -> dict[str, Any]:
        """What `restored` goes on from, as JSON takes it; it closes the open segment."""
        self.close_segment()
        segments = [[each.first, each.bytes] for each in self.segments]
        return {
            "size": list(self.size), "rate_hz": self.rate_hz, "segments": segments, "last": self._last,
            "encoder": _encoder(),
        }  # fmt: skip

    @staticmethod
    def restored(folder: Path, state: dict[str, Any]) -> "SegmentedVideo":
        """Raises MienError, the reason, where its segments are not there as they were."""
        try:
            size, rate_hz = (int(state["size"][0]), int(state["size"][1])), float(state["rate_hz"])
            segments = [Segment(int(first), int(length)) for first, length in state["segments"]]
            last, encoder = int(state["last"]), str(state["encoder"])
        except (LookupError, TypeError, ValueError) as error:
            raise MienError("its saved state has a damaged drawn video") from error
        if encoder != _encoder():
            raise MienError(f"its drawn video was encoded by {encoder}, this is {_encoder()}")
        for number, segment in enumerate(segments):
            with suppress(OSError):
                if _path(folder, number).stat().st_size == segment.bytes:
                    continue
            raise MienError(f"{folder.name}/{_path(folder, number).name} of its drawn video is missing or damaged")
        return SegmentedVideo(folder, size=size, rate_hz=rate_hz, segments=segments, last=last)

    def join(self, path: Path, source: Path | None, *, start_s: float = 0.0) -> None:
        """The whole video, with the sound of `source` from `start_s` on, as video_like. The segments stay."""
        self.close_segment()
        end_s = self._last / TICKS + 1 / self.rate_hz
        with ExitStack() as stack:
            first = stack.enter_context(opened_video(self._path(0)))
            like = first.streams.video[0]
            video, sound = stack.enter_context(video_like(path, source, start_s=start_s, pictures_like=like))
            for packet in self._packets():
                if sound is not None:
                    sound.until(packet.pts / TICKS)
                video.picture_packet(packet)
            if sound is not None:
                sound.until(end_s, last=True)

    def _packets(self) -> Iterator[Any]:
        """Of all segments, with times of decoding that rise over their ends."""
        step = max(1, round(TICKS / self.rate_hz))
        before = [self.segments[0].first - ahead * step for ahead in range(_REORDERED, 0, -1)]
        for number, segment in enumerate(self.segments):
            with opened_video(self._path(number)) as container:
                packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
            stored = [packet.pts or 0 for packet in packets]
            shift = segment.first - min(stored)
            times = [*before, *sorted(time + shift for time in stored)]
            for packet, shown, decoded in zip(packets, stored, times, strict=False):
                packet.pts, packet.dts = shown + shift, decoded
                yield packet
            before = times[-_REORDERED:]

    def _path(self, number: int) -> Path:
        return _path(self.folder, number)


def remove_segments(folder: Path, *, behind: int = 0) -> None:
    """Those from that number on; where none is left the folder too. Other files in it stay."""
    sweep(folder)
    for path in folder.glob(f"*{SUFFIX}") if folder.is_dir() else ():
        if path.stem.isdigit() and int(path.stem) >= behind:
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}{SUFFIX}"


def _encoder() -> str:
    """Segments of two versions may not fit behind each other."""
    return f"PyAV {import_av().__version__}"
