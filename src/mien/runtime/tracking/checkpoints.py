"""Checkpoints: what reading a video gives along the way, so that another run can go on behind a frame."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from mien.core.errors import MienError, one_line
from mien.media.video import Place
from mien.runtime.tracking.state import State

Parts = Mapping[str, State]
FRAME, FACES, SMOOTHER = "frame", "faces", "smoother"


@runtime_checkable
class Stateful(Protocol):
    """What a frame leaves something in for those after it."""

    def state(self) -> State: ...

    def restore(self, state: State) -> None: ...


@dataclass(eq=False)
class Checkpoints:
    """When a video's reading gives its state, and where it begins."""

    every_s: float | None = None
    """Seconds of the clock between two; None for none at all."""
    start: Parts | None = None
    """To go on from; None is the video's start."""
    every_frames: int | None = None
    """Frames between two, instead of seconds: then they come at the same frames in every run."""
    parts: Parts | None = field(default=None, init=False)
    """The state after the frame that was given last; None where it is not time for one."""
    _last: float = field(default_factory=time.monotonic, init=False)
    """When the latest state was given, by the monotonic clock."""
    _frames: int = field(default=0, init=False)
    """Since the latest state."""

    @property
    def first(self) -> int:
        """The index of the first frame that is read. Raises MienError for a damaged start."""
        return 0 if self.start is None else int(self._frame("frame")) + 1

    @property
    def near(self) -> Place | None:
        """The frame before it, where its time is known. Raises MienError for a damaged start."""
        time_s = None if self.start is None else self._frame("time_s")
        return None if time_s is None else Place(self.first - 1, float(time_s))

    def _frame(self, name: str) -> Any:
        try:
            value = (self.start or {})[FRAME].values[name]
        except (LookupError, TypeError) as error:
            raise MienError("it states no frame") from error
        if not isinstance(value, int | float | None):
            raise MienError(f"its frame has a {name} that is no number")
        return value

    def due(self) -> bool:
        """Whether it is time for one after one more frame; then the next is due so much later."""
        if self.every_frames is not None:
            self._frames = (self._frames + 1) % self.every_frames
            return self._frames == 0
        now = time.monotonic()
        if self.every_s is None or now - self._last < self.every_s:
            return False
        self._last = now
        return True

    def restore(self, name: str, target: Stateful) -> None:
        """Brings it to the start. Raises MienError where that does not hold its state."""
        if self.start is None:
            return
        try:
            target.restore(self.start[name])
        except (LookupError, TypeError, ValueError, StopIteration, AttributeError) as error:
            raise MienError(f"no state of {name} in it ({one_line(error)})") from error


def frame_state(frame: int, time_s: float | None) -> State:
    """Of the last frame."""
    return State({"frame": frame, "time_s": time_s})
