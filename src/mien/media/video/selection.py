"""Which frames of a video are read."""

from dataclasses import dataclass

import numpy as np

from mien.core.errors import MienError
from mien.core.typed import checked

MOMENT_S = 1e-4  # times are rounded by containers: the frame at 1.9999997 s is that of 2 s


@dataclass(frozen=True, slots=True)
class FrameSelection:
    """Which frames of a video are read. Raises MienError for what contradicts itself."""

    every: int = 1
    """Every N-th frame, by its index."""
    rate_hz: float | None = None
    """At most so many frames a second, by their times: the first one of each period from time 0 on."""
    start_s: float = 0.0
    """From the first frame at or after this time on."""
    end_s: float | None = None
    """Up to this time, the frame at it left out."""

    def __post_init__(self) -> None:
        checked(self.every, int, key="every")
        if self.every < 1:
            raise MienError(f"every must be 1 (all frames) or more; got {self.every}.")
        if self.rate_hz is not None and not 0 < self.rate_hz < np.inf:
            raise MienError(f"fps must be a number of frames a second above 0; got {self.rate_hz:g}.")
        if self.rate_hz is not None and self.every > 1:
            raise MienError(
                f"fps and every both choose frames: name one of them; got {self.rate_hz:g} and {self.every}."
            )
        if not 0 <= self.start_s < np.inf:
            raise MienError(f"start must be a time of 0 s or later; got {self.start_s:g}.")
        if self.end_s is not None and not self.end_s > self.start_s:
            raise MienError(f"end must lie after start; got {self.end_s:g} s and {self.start_s:g} s.")

    def picks(self, index: int, time_s: float, before_s: float | None) -> bool:
        """Whether the frame of that index and time is read. before_s: time of the frame before it."""
        if index % self.every or time_s < self.start_s - MOMENT_S or self.is_past(time_s):
            return False
        if self.rate_hz is None or before_s is None or before_s < self.start_s - MOMENT_S:
            return True
        return self._period(time_s) > self._period(before_s)

    def is_past(self, time_s: float) -> bool:
        """Whether the frame of that time and all that follow are not read."""
        return self.end_s is not None and time_s >= self.end_s - MOMENT_S

    def count(self, frames: int, duration_s: float | None) -> int | None:
        """About how many of a video's frames are read; None where that is unknown."""
        if duration_s is None:
            plain = self == FrameSelection(self.every)
            return -(-frames // self.every) if frames and plain else None
        end = duration_s if self.end_s is None else min(self.end_s, duration_s)
        share = max(0.0, end - self.start_s) / duration_s if duration_s > 0 else 0.0
        number = int(np.ceil(frames * share / self.every))
        return (
            number if self.rate_hz is None else min(number, int(np.ceil(self.rate_hz * max(0.0, end - self.start_s))))
        )

    def _period(self, time_s: float) -> int:
        return int(np.floor((time_s + MOMENT_S) * (self.rate_hz or 0.0)))


ALL_FRAMES = FrameSelection()


@dataclass(frozen=True, slots=True)
class Place:
    """A frame of a video that was read before, by which decoding can begin near it."""

    index: int
    """As `Frame.index`."""
    time_s: float
    """As `Frame.timestamp_s`."""
