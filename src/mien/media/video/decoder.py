"""The frames of a container's video stream, past damaged packets. Needs PyAV: the extra `video`."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.media.video.container import import_av, stated_duration_s
from mien.media.video.display import Matrix, display_matrix, square, upright
from mien.media.video.selection import MOMENT_S, Place

if TYPE_CHECKING:
    from av.container import InputContainer


class Decoder:
    """The frames of a container's first video stream, past damaged packets, which it counts."""

    def __init__(self, container: "InputContainer") -> None:
        self.container, self.stream = container, container.streams.video[0]
        self.stream.thread_type = "AUTO"
        self._av = import_av()  # kept: a generator that nobody ended is closed when Python no longer imports
        self.decoded = 0
        """Frames so far."""
        self.reason = ""
        """The decoder's message about the last damaged packet, in brackets."""
        self._start: float | None = None
        self._turn = 0
        self._matrix: Matrix | None = None
        self._last = 0.0
        self._damaged = 0
        self._corrupt = 0
        self._incomplete: list[int] = []  # times of packets that the container knows to lack parts
        self._trimmed = False
        aspect = self.stream.sample_aspect_ratio
        self._aspect = float(aspect) if aspect else 1.0

    def __iter__(self) -> Iterator[Any]:
        for packet in self._packets():
            for frame in self._decode(packet):
                self.decoded += 1
                self._corrupt += bool(frame.is_corrupt)
                self._count_incomplete(frame.pts)
                yield frame
        self._count_incomplete(None)

    def sought(self, place: Place) -> Iterator[Any] | None:
        """The frames from that one on, by a search for the keyframe before it; None where it is not found so."""
        first = next(iter(self), None)
        if first is None or first.time is None:
            return None
        self.time_of(0, first)
        unit = self.stream.time_base
        if unit is None:
            return None
        try:
            self.container.seek(round((float(first.time) + place.time_s) / float(unit)), stream=self.stream)
        except self._av.FFmpegError:
            return None
        following = iter(self)
        for frame in following:
            if frame.time is None or self.time_of(place.index, frame) > place.time_s + MOMENT_S:
                return None
            if self._last >= place.time_s - MOMENT_S:
                self.note()  # what was damaged before it
                self.decoded = place.index + 1
                return chain([frame], following)
        return None

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self.container.demux(self.stream)
        except self._av.FFmpegError as error:
            if not self.decoded:
                raise
            self._damage(error)
            yield None  # the frames that the decoder still holds

    def _decode(self, packet: Any) -> list[Any]:
        if packet is not None:
            self._incomplete += [packet.pts or 0] if packet.is_corrupt else []
            self._trimmed |= packet.is_discard  # an edit list: decoded, and not shown
        try:
            return list(self.stream.decode(packet))
        except self._av.EOFError:
            return []
        except self._av.FFmpegError as error:
            self._damage(error)
            return []

    def _count_incomplete(self, time: int | None) -> None:
        """Those up to that time, in units of the stream; None for all: the decoder gives frames later than packets."""
        before = len(self._incomplete)
        self._incomplete = [] if time is None else [each for each in self._incomplete if each > time]
        self._damaged += before - len(self._incomplete)

    def _damage(self, error: Exception) -> None:
        self._damaged += 1
        self.reason = f" ({getattr(error, 'strerror', None) or error})"

    def note(self) -> str:
        """What was damaged since the last note."""
        parts = [f"{self._damaged} damaged packet{'s' if self._damaged > 1 else ''} before it"] if self._damaged else []
        parts += ["decoded with errors"] if self._corrupt else []
        self._damaged = self._corrupt = 0
        return ", ".join(parts)

    def shortfall(self) -> str:
        """How much of what its header states is missing at the end; empty where nothing is."""
        stated = stated_duration_s(self.stream, self.container)
        rate = float(self.stream.average_rate or 25)
        end = self._last + 1 / rate
        missing = self.stream.frames - self.decoded if self.stream.frames and not self._trimmed else 0
        # A container's length is that of its longest stream, which may be the sound.
        alone = self.stream.duration is not None or len(self.container.streams) == 1
        if stated and stated - end > max(1.0 if alone else 2.0, 2 / rate, 0.0 if alone else 0.05 * stated):
            return f"the video is cut short: {end:.2f} s of the {stated:.2f} s that its header states"
        if missing > max(2, 0.01 * self.stream.frames):
            return f"the video is cut short or damaged: {self.decoded} of {self.stream.frames} frames decode"
        return ""

    def time_of(self, index: int, frame: Any) -> float:
        """Seconds from the first frame's time."""
        time = float(frame.time) if frame.time is not None else None
        self._start = time if self._start is None else self._start
        self._last = index / float(self.stream.average_rate or 25) if time is None else time - (self._start or 0.0)
        return self._last

    def pixels_of(self, frame: Any) -> np.ndarray:
        """RGB, as players show it."""
        return upright(square(frame.to_ndarray(format="rgb24"), self._aspect), self._matrix_of(frame))

    def _matrix_of(self, frame: Any) -> Matrix:
        """Asked of a frame only where its turn is another than that of the frame before.

        PyAV's side data and their frame hold each other: every frame asked would stay in memory until the next
        collection of cycles, hundreds of megabytes later.
        """
        turn = frame.rotation
        if self._matrix is None or turn != self._turn:
            self._turn, self._matrix = turn, display_matrix(frame)
        return self._matrix
