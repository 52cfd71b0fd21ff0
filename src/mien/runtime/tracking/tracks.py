"""Tracks: which face of a frame is which face of the frames before, by where it should be and by how it looks.

A face that keeps its place is matched by its box alone. After a gap, in a crowd or behind an occlusion, the cost of a
pair is the distance of appearances plus the distance from where a constant velocity would bring the face; after a cut
the appearance alone counts. Pairs of least total cost are chosen (assignment.py). Numbers are never used again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mien.core.geometry import intersection_over_union
from mien.core.records import Box, FacePoints
from mien.runtime.tracking.appearance import FEATURES, Look, distance
from mien.runtime.tracking.assignment import assigned
from mien.runtime.tracking.state import State

CLEAR_OVERLAP, CLEAR_GAP_S = 0.3, 0.25  # intersection over union, and time, within which a box alone is enough
ENTANGLED = 0.2  # of the union of two boxes: which is which needs a second look
SAME_LOOK = 0.12  # distance of appearances that one person hardly exceeds within a recording
OTHER_LOOK, GAP_LOOK = 0.2, 0.16  # so different may it look at its expected place (a hand, a turn); after a gap
HIDDEN_LOOK = 0.6  # the same where another face is so near that the look is partly of that
REACH, REACH_PER_S, REACH_S = 0.6, 2.0, 2.0  # sides that a face may be off its expected place; for how long
GROWTH = 1.6  # by which it may be larger or smaller there
FORGOTTEN_S = 1.0  # no velocity is believed for longer
KEPT_LOOKS, NEW_LOOK = 8, 0.05  # of one track; distance from which a look is worth keeping
KEPT_TRACKS = 256  # lost ones that may come back
_STEADINESS = 0.6  # share of the velocity before


@dataclass(eq=False)
class Track:
    """One face of a video, at its last frame."""

    number: int
    """`track_id`: from 0, in the order of appearance."""
    box: Box
    """Where it was last."""
    time_s: float
    """When."""
    score: float = 0.0
    """The detector's, when it last found the face."""
    confirmed_s: float = 0.0
    """When that was."""
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """Of the box's centre, pixels a second."""
    looks: list[Look] = field(default_factory=list)
    """How it looked, the latest last."""
    points: FacePoints | None = None
    """Its points at that frame, where they are followed."""
    since_cut: bool = True
    """False where the video has been cut since, so that its place means nothing."""

    def shift(self, time_s: float) -> np.ndarray:
        """How far the velocity brings it by that time, pixels (x, y)."""
        return self.velocity * min(max(time_s - self.time_s, 0.0), FORGOTTEN_S)

    def expected(self, time_s: float) -> Box:
        """Its box at that time, by its velocity."""
        x, y = self.shift(time_s).tolist()
        x0, y0, x1, y1 = self.box
        return x0 + x, y0 + y, x1 + x, y1 + y

    def move(self, box: Box, time_s: float) -> None:
        """It is there now."""
        passed = time_s - self.time_s
        if passed > 0:
            speed = (centre(box) - centre(self.box)) / passed
            near = self.since_cut and passed <= FORGOTTEN_S
            self.velocity = _STEADINESS * self.velocity + (1 - _STEADINESS) * speed if near else np.zeros(2)
        self.box, self.time_s, self.since_cut = box, time_s, True

    def look_distance(self, look: Look) -> float:
        """From the most similar of its looks."""
        return min((distance(look, own) for own in self.looks), default=0.0)

    def remember(self, look: Look) -> None:
        """Where it is unlike those that are kept; the oldest but the first one goes."""
        if not self.looks or self.look_distance(look) > NEW_LOOK:
            self.looks.append(look)
            del self.looks[1 : len(self.looks) - KEPT_LOOKS + 1]


class Tracks:
    """The faces of a video so far: `active` in the last frame, `lost` before."""

    def __init__(self) -> None:
        self.active: list[Track] = []
        self.lost: list[Track] = []
        self._next = 0

    def cut(self) -> None:
        """The video goes on elsewhere."""
        for track in [*self.active, *self.lost]:
            track.since_cut = False

    def match(
        self, boxes: Sequence[Box], look: Callable[[int], Look], time_s: float, *, doubtful: Sequence[Track] = ()
    ) -> list[Track | None]:
        """The track of each detected box; None for a face that is new.

        look: of the box of that place. doubtful: active tracks whose box may be another face's; they are expected
        where their velocity before brings them. Changes no track.
        """
        found: list[Track | None] = [None] * len(boxes)
        for place, track in self._clear(boxes, time_s, doubtful):
            found[place] = track
        free = [place for place, track in enumerate(found) if track is None]
        known = [track for track in [*self.active, *self.lost] if not any(track is other for other in found)]
        if not free or not known:
            return found
        crowded = entangled([larger(box) for box in boxes], 0.0)
        cost = np.array([[_cost(t, boxes[i], look(i), time_s, hidden=crowded[i]) for t in known] for i in free])
        for row, column in assigned(cost, most=1.0):
            found[free[row]] = known[column]
        return found

    def begin(self, box: Box, time_s: float) -> Track:
        """A new track, active."""
        track = Track(self._next, box, time_s)
        self._next += 1
        self.active.append(track)
        return track

    def keep(self, active: Sequence[Track]) -> None:
        """Those are in the frame; the others are lost."""
        here = {track.number for track in active}
        everyone = sorted([*self.active, *self.lost, *active], key=lambda track: track.number)
        unique = {track.number: track for track in everyone}
        lost = [track for track in unique.values() if track.number not in here]
        self.lost = sorted(lost, key=lambda track: (track.time_s, track.number))[-KEPT_TRACKS:]
        self.active = [unique[number] for number in sorted(here)]

    def state(self) -> State:
        """After the last frame."""
        each = [_track_state(track) for track in (*self.active, *self.lost)]
        looks = [look for track in (*self.active, *self.lost) for look in track.looks]
        points = {f"points_{t.number}": t.points.landmarks_px for t in self.active if t.points is not None}
        values = {"tracks": each, "active": len(self.active), "next": self._next}
        return State(values, {"looks": np.stack(looks), **points} if looks else dict(points))

    def restore(self, state: State) -> None:
        """As `state` gave it. Raises LookupError, TypeError or ValueError for what is none."""
        given, looks = state.values, iter(state.arrays.get("looks", np.zeros((0, FEATURES), np.float32)))
        tracks = [_stored_track(values, looks, state.arrays) for values in given["tracks"]]
        self.active, self.lost, self._next = tracks[: given["active"]], tracks[given["active"] :], int(given["next"])

    def _clear(
        self, boxes: Sequence[Box], time_s: float, doubtful: Sequence[Track]
    ) -> list[tuple[int, Track]]:  # fmt: skip
        """Pairs that nothing else comes near: one box at one track's place."""
        sure = [
            track for track in self.active
            if track.since_cut and time_s - track.time_s <= CLEAR_GAP_S and not any(track is each for each in doubtful)
        ]  # fmt: skip
        near = np.array(
            [[intersection_over_union(track.expected(time_s), box) for box in boxes] for track in sure]
        ).reshape(len(sure), len(boxes))
        crowded = entangled([track.expected(time_s) for track in self.active])
        apart = {track.number for track, close in zip(self.active, crowded, strict=True) if not close}
        pairs = []
        for row, track in enumerate(sure):
            places = np.flatnonzero(near[row] >= ENTANGLED)
            alone = len(places) == 1 and (near[:, places[0]] >= ENTANGLED).sum() == 1
            if alone and track.number in apart and near[row, places[0]] >= CLEAR_OVERLAP:
                pairs.append((int(places[0]), track))
        return pairs


def _track_state(track: Track) -> dict[str, Any]:
    return {
        "number": track.number, "box": list(track.box), "time_s": track.time_s, "score": track.score,
        "confirmed_s": track.confirmed_s, "velocity": track.velocity.tolist(), "looks": len(track.looks),
        "since_cut": track.since_cut,
    }  # fmt: skip


def _stored_track(values: Mapping[str, Any], looks: Iterator[Look], arrays: Mapping[str, np.ndarray]) -> Track:
    """looks: of all tracks, of which it takes its own."""
    x0, y0, x1, y1 = (float(edge) for edge in values["box"])
    points = arrays.get(f"points_{values['number']}")
    if points is not None and points.shape[1:] != (2,):
        raise ValueError(f"points of shape {list(points.shape)}")
    return Track(
        int(values["number"]), (x0, y0, x1, y1), float(values["time_s"]), float(values["score"]),
        float(values["confirmed_s"]), np.array(values["velocity"], float).reshape(2),
        [_own(next(looks)) for _ in range(values["looks"])], None if points is None else FacePoints(points),
        bool(values["since_cut"]),
    )  # fmt: skip


def _own(look: Look) -> Look:
    """Raises ValueError for what is none."""
    if look.shape != (FEATURES,):
        raise ValueError(f"an appearance of shape {list(look.shape)}")
    return look


def entangled(boxes: Sequence[Box], most: float = ENTANGLED) -> list[bool]:
    """Of each box whether it has more than that of its union with another one in common."""
    return [any(other is not box and intersection_over_union(box, other) > most for other in boxes) for box in boxes]


def larger(box: Box) -> Box:
    """What a look is of: the face with hair and neck."""
    (x, y), half = centre(box).tolist(), 0.75 * side(box)
    return x - half, y - half, x + half, y + half


def centre(box: Box) -> np.ndarray:
    """x, y of its middle."""
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def side(box: Box) -> float:
    """Mean of width and height."""
    return (box[2] - box[0] + box[3] - box[1]) / 2


def _cost(track: Track, box: Box, look: Look, time_s: float, *, hidden: bool) -> float:
    """0 for the same face in its expected place, up to 1 for what may still be it, infinite for what is not.

    hidden: another face is so near that this one's look is partly the other's.
    """
    unlike = track.look_distance(look)
    passed = time_s - track.time_s
    if track.since_cut and passed <= REACH_S:
        large = max(side(box), side(track.box))
        away = float(np.linalg.norm(centre(box) - centre(track.expected(time_s)))) / large
        growth = large / max(min(side(box), side(track.box)), 1e-6)
        share = away / (REACH + REACH_PER_S * passed)
        most = HIDDEN_LOOK if hidden else OTHER_LOOK if passed <= CLEAR_GAP_S else GAP_LOOK
        if share <= 1 and growth <= GROWTH and unlike <= most:
            return 0.5 * unlike / most + 0.5 * share
    return 0.5 + 0.5 * unlike / SAME_LOOK if unlike <= SAME_LOOK else np.inf
