"""Points of a video with less trembling: the one-euro filter, for each face by itself.

Casiez, Roussel and Vogel, CHI 2012: a low-pass filter whose cut-off rises with speed, so that still points do not
tremble and fast ones hardly lag. Speeds are in face widths (of the detector's box) a second, so that near and far
faces are treated alike. It looks back only, never ahead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from mien.core.geometry import intersection_over_union
from mien.core.records import Box, FacePoints, Reading
from mien.runtime.pose import head_pose

CUTOFF_HZ = 2.0  # of a still point
SPEED_GAIN = 10.0  # Hz of cut-off for each face width a second
SPEED_CUTOFF_HZ = 2.0
LOST_AFTER_S = 0.5  # a face that was not found for so long starts anew
_SAME_FACE = 0.3  # least share of two boxes' union that they have in common
AnyReading = TypeVar("AnyReading", bound=Reading)


@dataclass(eq=False)
class _Track:
    """One face, as it was last filtered."""

    values: np.ndarray
    """[points, 2 or 3], pixels."""
    speed: np.ndarray
    """Of the same shape, pixels a second."""
    time_s: float
    """Of the frame."""
    box: Box
    """The detector's."""


class PointSmoother:
    """Call it with the readings of one frame after another; frames without times count as 1/25 s apart."""

    settings: ClassVar[Mapping[str, Any]] = {"filter": "one euro", "cutoff_hz": CUTOFF_HZ, "speed_gain": SPEED_GAIN}
    """For the sidecar of a table."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._now = -0.04

    def __call__(self, readings: Sequence[AnyReading]) -> list[AnyReading]:
        """The readings with their points filtered; those without points as they are."""
        times = [r.timestamp_s for r in readings if r.timestamp_s is not None]
        self._now = times[0] if times else self._now + 0.04
        free = [track for track in self._tracks if self._now - track.time_s <= LOST_AFTER_S]
        self._tracks = free.copy()
        smoothed = []
        for reading in readings:
            if reading.points is None or reading.box is None:
                smoothed.append(reading)
                continue
            track = _nearest(reading.box, free)
            if track is not None:
                free = [other for other in free if other is not track]
            smoothed.append(replace(reading, points=self._filtered(reading.points, reading.box, track)))
        return smoothed

    def _filtered(self, face: FacePoints, box: Box, track: _Track | None) -> FacePoints:
        depth = face.depth_px
        values = face.landmarks_px if depth is None else np.column_stack([face.landmarks_px, depth])
        if track is None or track.values.shape != values.shape or self._now <= track.time_s:
            self._tracks = [other for other in self._tracks if other is not track]
            self._tracks.append(_Track(values, np.zeros_like(values), self._now, box))
            return face
        step, width = self._now - track.time_s, max(box[2] - box[0], 1e-6)
        speed = (values - track.values) / step
        track.speed += _share(step, SPEED_CUTOFF_HZ) * (speed - track.speed)
        rate = np.linalg.norm(track.speed, axis=1, keepdims=True) / width
        track.values = track.values + _share(step, CUTOFF_HZ + SPEED_GAIN * rate) * (values - track.values)
        track.time_s, track.box = self._now, box
        points, depth = track.values[:, :2], None if depth is None else track.values[:, 2]
        pose = head_pose(points, depth) if face.pose_rad is not None else None
        return replace(face, landmarks_px=points, depth_px=depth, pose_rad=pose)


def _share(step_s: float, cutoff_hz: "float | np.ndarray") -> "np.ndarray":
    """How much of a new value a low-pass filter of the first order takes over."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s)))


def _nearest(box: Box, tracks: Sequence[_Track]) -> _Track | None:
    shares = [intersection_over_union(box, track.box) for track in tracks]
    best = int(np.argmax(shares)) if shares else -1
    return tracks[best] if best >= 0 and shares[best] >= _SAME_FACE else None
