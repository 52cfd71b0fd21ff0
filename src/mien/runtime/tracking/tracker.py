"""FaceTracker: the faces of a video frame by frame, with numbers that stay with them.

The detector looks now and then; in between the landmark network follows each face: its crop is cut about the points of
the frame before, which costs one pass instead of a detection and two passes. The detector looks at once where there
is no face yet, where the video is cut, where two faces overlap, and where the points are no longer sure of themselves.
A track that the detector does not find then has ended: it does not drift on over the background.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from mien.core.errors import MienError
from mien.core.framing import detector_box
from mien.core.geometry import intersection_over_union
from mien.core.records import Box, FacePoints
from mien.media.detect import Detection
from mien.media.parallel.threads import Pool
from mien.runtime.landmarks import Landmarker
from mien.runtime.tracking.appearance import Look, look_of
from mien.runtime.tracking.state import State
from mien.runtime.tracking.tracks import CLEAR_GAP_S, CLEAR_OVERLAP, Track, Tracks, entangled, side

DETECT_EVERY = {
    "dlib": 10,
    "yunet": 1,
}  # frames, by detector: YuNet costs less than following, which waits for each frame
FOLLOWED_POINTS = 68  # of a landmark scheme that covers the face, as its box needs
FOLLOW_GAP_S = 0.15  # frames further apart are searched by the detector, each of them
SURE = 0.65  # mean confidence of the points below which the detector looks: faces 0.72 and more, background up to 0.62
UNCONFIRMED_S = 2.0  # a face whose points are sure is followed so long though the detector does not find it
LOOK_S = 0.3  # between two looks of a face that the detector finds in every frame
JUMP = 0.5  # of the union, from the expected box: less is a jump
_GRID = (18, 32)  # samples of a frame, rows and columns
_CUT, _CUT_RATIO = 12.0, 4.0  # mean difference of their brightness, 0..255, and how many times its usual value
Pixels = UInt8[np.ndarray, "height width 3"]


class TrackedFace(NamedTuple):
    """A face of a frame."""

    track_id: int
    """The same as long as it is the same face, from 0."""
    box: Box
    """The detector's, or in its framing about the points that were followed."""
    score: float
    """The detector's, when it last found this face."""
    points: FacePoints | None
    """Where a landmark network follows."""


class CutDetector:
    """Called with one frame after another: whether the video is cut before it."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self._before_s, self._usual = 0.0, 3.0

    def __call__(self, pixels: Pixels, time_s: float) -> bool:
        """From a sparse grid of samples; a flash counts as a cut, slow changes do not.

        False where so much time has passed that a change says nothing.
        """
        height, width = pixels.shape[:2]
        rows = (np.arange(_GRID[0]) + 0.5) * height / _GRID[0]
        columns = (np.arange(_GRID[1]) + 0.5) * width / _GRID[1]
        samples = pixels[np.ix_(rows.astype(int), columns.astype(int))].astype(np.float32).mean(-1)
        before, self._before = self._before, samples
        passed, self._before_s = time_s - self._before_s, time_s
        if before is None or passed > CLEAR_GAP_S or before.shape != samples.shape:
            return False
        change = float(np.abs(samples - before).mean())
        cut = change > max(_CUT, _CUT_RATIO * self._usual)
        if not cut:
            self._usual += 0.1 * (change - self._usual)
        return cut

    def state(self) -> State:
        """After the last frame."""
        values = {"before_s": self._before_s, "usual": self._usual}
        return State(values, {} if self._before is None else {"before": self._before})

    def restore(self, state: State) -> None:
        """As `state` gave it."""
        self._before = state.arrays.get("before")
        self._before_s, self._usual = float(state.values["before_s"]), float(state.values["usual"])


@dataclass(frozen=True)
class TrackOptions:
    """How a video's faces are tracked."""

    detect_every: int = 10
    """The detector looks at every N-th frame at least; with 1 at all, and nothing is followed by points."""
    max_faces: int | None = None
    """At most so many faces in a frame: those that are tracked, then the largest."""

    def __post_init__(self) -> None:
        if self.detect_every < 1:
            raise MienError(f"detect_every must be 1 (all frames) or more; got {self.detect_every}.")


class FaceTracker:
    """Called with one frame after another of one video; see the module's text.

    detect: finds the faces of a frame. landmarker: follows them. beside: the detector looks while they are followed, in
    a thread of its own, where it is known before that it must.
    """

    def __init__(
        self,
        detect: Callable[[Pixels], list[Detection]],
        landmarker: Landmarker,
        options: TrackOptions = TrackOptions(),
        *,
        beside: bool = False,
    ) -> None:
        self.detect, self.landmarker, self.options = detect, landmarker, options
        self._pool = Pool(1, "mien-detector") if beside else None
        self.tracks = Tracks()
        self._is_cut = CutDetector()
        self._since_detection, self._before_s = 0, 0.0

    def __call__(self, pixels: Pixels, time_s: float) -> list[TrackedFace]:
        """The faces of the frame, the largest first."""
        cut = self._is_cut(pixels, time_s)
        near = not cut and time_s - self._before_s <= FOLLOW_GAP_S
        self._before_s = time_s
        if cut:
            self.tracks.cut()
        self._since_detection += 1
        due = self._since_detection >= self.options.detect_every or not self.tracks.active or not near
        detecting = self._pool.submit(self.detect, pixels) if due and self._pool is not None else None
        followed = self._followed(pixels, time_s) if near else {}
        doubtful = [track for track in self.tracks.active if track.number not in followed]
        for track in self.tracks.active:
            if track.number in followed:
                self._place(track, followed[track.number], time_s)
        if due or doubtful:
            self._since_detection = 0
            detected = self.detect(pixels) if detecting is None else detecting.result()
            self._look_anew(pixels, detected, time_s, doubtful)
        faces = [TrackedFace(t.number, t.box, t.score, t.points) for t in self.tracks.active]
        return sorted(faces, key=lambda face: (-side(face.box), face.track_id))

    def close(self) -> None:
        """Ends the detector's thread."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def state(self) -> State:
        """After the last frame: with it another tracker goes on as this one would."""
        own = State({"since_detection": self._since_detection, "before_s": self._before_s})
        return State.joined({"own": own, "cut": self._is_cut.state(), "tracks": self.tracks.state()})

    def restore(self, state: State) -> None:
        """As `state` gave it. Raises LookupError, TypeError or ValueError for what is none."""
        own = state.part("own").values
        self._since_detection, self._before_s = int(own["since_detection"]), float(own["before_s"])
        self._is_cut.restore(state.part("cut"))
        self.tracks.restore(state.part("tracks"))

    def _followed(self, pixels: Pixels, time_s: float) -> dict[int, FacePoints]:
        """By number the points of each active track that is beyond doubt in this frame."""
        active = [track for track in self.tracks.active if track.points is not None]
        known = [(track.points, track.shift(time_s)) for track in active if track.points is not None]
        found = self.landmarker.follow(pixels, known)
        boxes = [detector_box(points.landmarks_px) for points in found]
        crowded = entangled(boxes)
        return {
            track.number: points
            for track, points, box, close in zip(active, found, boxes, crowded, strict=True)
            if not close and _is_sure(points) and intersection_over_union(box, track.expected(time_s)) >= JUMP
        }

    def _place(self, track: Track, points: FacePoints, time_s: float) -> None:
        track.move(detector_box(points.landmarks_px), time_s)
        track.points = points

    def _look_anew(
        self, pixels: Pixels, detected: Sequence[Detection], time_s: float, doubtful: Sequence[Track]
    ) -> None:
        """With what the detector found: confirms tracks, ends those that are not in it, begins new ones."""
        found = sorted(detected, key=lambda face: -face.side)
        looks = cache(lambda place: look_of(pixels, found[place].box))
        matched = self.tracks.match([face.box for face in found], looks, time_s, doubtful=doubtful)
        sure = [t for t in self.tracks.active if not any(t is each for each in doubtful)]
        kept = [t for t in sure if any(t is each for each in matched) or time_s - t.confirmed_s <= UNCONFIRMED_S]
        places = [
            place for place, track in enumerate(matched)
            if not any(track is each for each in sure) and not _is_double(found[place].box, kept)
        ]  # fmt: skip
        places = places[: max(0, self.options.max_faces - len(kept))] if self.options.max_faces else places
        read = self.landmarker.read_many([(pixels, found[place]) for place in places])
        begun = [
            self._begun(matched[place], found[place], points, time_s)
            for place, points in zip(places, read, strict=True)
        ]
        self.tracks.keep([*kept, *begun])
        matched = [*matched]
        for place, track in zip(places, begun, strict=True):
            matched[place] = track
        self._confirm(found, matched, looks, time_s)

    def _begun(self, track: Track | None, face: Detection, points: FacePoints, time_s: float) -> Track:
        """A new track, or one that is found again."""
        track = track or self.tracks.begin(face.box, time_s)
        self._place(track, points, time_s)
        return track

    def _confirm(
        self, found: Sequence[Detection], matched: Sequence[Track | None], looks: Callable[[int], Look], time_s: float
    ) -> None:
        crowded = entangled([face.box for face in found])
        for place, (face, track) in enumerate(zip(found, matched, strict=True)):
            if track is None or not any(track is each for each in self.tracks.active):
                continue
            track.score, track.confirmed_s = face.score, time_s
            if not crowded[place]:
                track.remember(looks(place))


def _is_sure(points: FacePoints) -> bool:
    """Whether the points look like a face's: by their stated confidence, where the network states any."""
    return points.confidence is None or float(points.confidence.mean()) >= SURE


def _is_double(box: Box, tracks: Sequence[Track]) -> bool:
    """Whether it is a track's face, found beside its place."""
    return any(intersection_over_union(box, track.box) >= CLEAR_OVERLAP for track in tracks)


class BoxTracker:
    """Called with the boxes of one frame after another, which the detector found: their numbers."""

    def __init__(self) -> None:
        self.tracks = Tracks()
        self._is_cut = CutDetector()

    def __call__(self, pixels: Pixels, boxes: Sequence[Box], time_s: float) -> list[int]:
        """In the order of the boxes."""
        if self._is_cut(pixels, time_s):
            self.tracks.cut()
        looks = cache(lambda place: look_of(pixels, boxes[place]))
        matched = self.tracks.match(boxes, looks, time_s)
        found = [track or self.tracks.begin(box, time_s) for track, box in zip(matched, boxes, strict=True)]
        for place, (track, box, close) in enumerate(zip(found, boxes, entangled(boxes), strict=True)):
            track.move(box, time_s)
            if not close and (not track.looks or time_s - track.confirmed_s >= LOOK_S):
                track.remember(looks(place))
                track.confirmed_s = time_s
        self.tracks.keep(found)
        return [track.number for track in found]

    def state(self) -> State:
        """After the last frame."""
        return State.joined({"cut": self._is_cut.state(), "tracks": self.tracks.state()})

    def restore(self, state: State) -> None:
        """As `state` gave it."""
        self._is_cut.restore(state.part("cut"))
        self.tracks.restore(state.part("tracks"))
