"""Points and 3D faces of a video with less trembling: the one-euro filter, for each face by itself.

Casiez, Roussel and Vogel, CHI 2012: a low-pass filter whose cut-off rises with speed, so that still points do not
tremble and fast ones hardly lag. Speeds are in face widths (of the detector's box) a second, so that near and far
faces are treated alike; those of a 3D face's parameters are in units of PARAMETER_UNIT. It looks back only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Float

from mien.core.face3d import Face3DReading
from mien.core.geometry import intersection_over_union
from mien.core.records import Box, FacePoints, Reading
from mien.runtime.face3d.parameters import camera_in, origin_in_photo
from mien.runtime.face3d.reading import reading_of
from mien.runtime.pose import head_pose
from mien.runtime.tracking.state import State
from mien.synthetic.faces3d import face_named

CUTOFF_HZ = 2.0  # of a still point
SPEED_GAIN = 10.0  # Hz of cut-off for each face width a second
SPEED_CUTOFF_HZ = 2.0
PARAMETER_UNIT = 4.0  # what counts as a face width of a 3D face's parameters: an action unit is up in a quarter second
LOST_AFTER_S = 0.5  # a face that was not found for so long starts anew
_SAME_FACE = 0.3  # least share of two boxes' union that they have in common
AnyReading = TypeVar("AnyReading", bound=Reading)


Values = Float[np.ndarray, "values axes"]


@dataclass(eq=False)
class OneEuro:
    """The filter of one set of values, as they were last filtered."""

    values: Values
    """In any unit; the speed of a row is the length of its vector."""
    speed: Values
    """A second."""

    def step(self, values: Values, seconds: float, *, unit: float) -> Values:
        """The filtered values, so many seconds after the last. unit: of the values, in which speeds are measured."""
        self.speed = self.speed + _share(seconds, SPEED_CUTOFF_HZ) * ((values - self.values) / seconds - self.speed)
        rate = np.linalg.norm(self.speed, axis=1, keepdims=True) / unit
        self.values = self.values + _share(seconds, CUTOFF_HZ + SPEED_GAIN * rate) * (values - self.values)
        return self.values


@dataclass(eq=False)
class _Track:
    """One face, as it was last filtered."""

    filters: dict[str, OneEuro]
    """Of its points and of its 3D face, by name."""
    time_s: float
    """Of the frame."""
    box: Box
    """The detector's."""
    number: int | None = None
    """The reading's `track_id`."""

    def filtered(self, name: str, values: Values, seconds: float, *, unit: float) -> Values:
        """The values themselves where the track has none of that name and shape, or no time has passed."""
        known = self.filters.get(name)
        if known is None or known.values.shape != values.shape or seconds <= 0:
            self.filters[name] = OneEuro(values, np.zeros_like(values))
            return values
        return known.step(values, seconds, unit=unit)


class FaceSmoother:
    """Call it with the readings of one frame after another; frames without times count as 1/25 s apart."""

    settings: ClassVar[Mapping[str, Any]] = {
        "filter": "one euro", "cutoff_hz": CUTOFF_HZ, "speed_gain": SPEED_GAIN, "parameter_unit": PARAMETER_UNIT,
    }  # fmt: skip
    """For the sidecar of a table."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._now = -0.04

    def __call__(self, readings: Sequence[AnyReading]) -> list[AnyReading]:
        """The readings with points and 3D faces filtered; those without either as they are."""
        times = [r.timestamp_s for r in readings if r.timestamp_s is not None]
        self._now = times[0] if times else self._now + 0.04
        free = [track for track in self._tracks if self._now - track.time_s <= LOST_AFTER_S]
        self._tracks = free.copy()
        smoothed = []
        for reading in readings:
            if reading.box is None or (reading.points is None and reading.face3d is None):
                smoothed.append(reading)
                continue
            track = _same(reading, reading.box, free)
            if track is None:
                track = _Track({}, self._now, reading.box, reading.track_id)
                self._tracks.append(track)
            else:
                free = [other for other in free if other is not track]
            smoothed.append(self._filtered(reading, reading.box, track))
        return smoothed

    def state(self) -> State:
        """After the last frame: with it another smoother goes on as this one would."""
        tracks = [
            {"time_s": t.time_s, "box": list(t.box), "number": t.number, "filters": list(t.filters)}
            for t in self._tracks
        ]  # fmt: skip
        arrays = {
            f"{place} {name} {what}": getattr(known, what)
            for place, track in enumerate(self._tracks)
            for name, known in track.filters.items()
            for what in ("values", "speed")
        }
        return State({"now": self._now, "tracks": tracks}, arrays)

    def restore(self, state: State) -> None:
        """As `state` gave it. Raises LookupError, TypeError or ValueError for what is none."""
        self._now, self._tracks = float(state.values["now"]), []
        for place, values in enumerate(state.values["tracks"]):
            filters = {
                str(name): OneEuro(state.arrays[f"{place} {name} values"], state.arrays[f"{place} {name} speed"])
                for name in values["filters"]
            }
            x0, y0, x1, y1 = (float(edge) for edge in values["box"])
            self._tracks.append(_Track(filters, float(values["time_s"]), (x0, y0, x1, y1), values["number"]))

    def _filtered(self, reading: AnyReading, box: Box, track: _Track) -> AnyReading:
        step, width = self._now - track.time_s, max(box[2] - box[0], 1e-6)
        points = None if reading.points is None else _points(reading.points, track, step, width)
        face3d = None if reading.face3d is None else _face3d(reading.face3d, track, step, width)
        track.time_s, track.box = self._now, box
        return replace(reading, points=points, face3d=face3d)


def _points(face: FacePoints, track: _Track, step: float, width: float) -> FacePoints:
    depth = face.depth_px
    values = face.landmarks_px if depth is None else np.column_stack([face.landmarks_px, depth])
    filtered = track.filtered("points", values, step, unit=width)
    if filtered is values:
        return face
    points, depth = filtered[:, :2], None if depth is None else filtered[:, 2]
    pose = head_pose(points, depth) if face.pose_rad is not None else None
    return replace(face, landmarks_px=points, depth_px=depth, pose_rad=pose)


def _face3d(found: Face3DReading, track: _Track, step: float, width: float) -> Face3DReading:
    """Its place in the photo in face widths, its parameters in their own units."""
    given, face = found.parameters, face_named(found.face)
    scale, shift = origin_in_photo(given)
    place = track.filtered("place", np.array([[scale / 10, *shift]]), step, unit=width)[0]
    lengths = [len(given.pose), len(given.jaw), len(given.lids), len(given.expression)]
    row = np.concatenate([given.pose, given.jaw, given.lids, given.expression, given.shape]).astype(float)
    values = track.filtered("parameters", row[:, None], step, unit=PARAMETER_UNIT)[:, 0].astype(np.float32)
    pose, jaw, lids, expression, shape = np.split(values, np.cumsum(lengths))
    camera = camera_in(given.crop, scale_px=float(10 * place[0]), shift_px=place[1:])
    parameters = replace(
        given, camera=camera, pose=pose, jaw=jaw, lids=lids, expression=expression, shape=shape
    )  # fmt: skip
    return reading_of(parameters, face, model=found.model)


def _share(step_s: float, cutoff_hz: "float | np.ndarray") -> "np.ndarray":
    """How much of a new value a low-pass filter of the first order takes over."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s)))


def _same(reading: Reading, box: Box, tracks: Sequence[_Track]) -> _Track | None:
    """By the number of its track; of readings without one the nearest."""
    if reading.track_id is not None:
        return next((track for track in tracks if track.number == reading.track_id), None)
    shares = [intersection_over_union(box, track.box) for track in tracks]
    best = int(np.argmax(shares)) if shares else -1
    return tracks[best] if best >= 0 and shares[best] >= _SAME_FACE else None
