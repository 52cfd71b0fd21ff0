"""One movement: how far each side goes, how fast, in which direction, and what moves that should not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.core.records import FacePoints
from mien.runtime.asymmetry.frame import METHOD, Method, axes_of, in_axes, prepared
from mien.runtime.asymmetry.measures import BY_NAME, Estimate, both_sides, mirrored
from mien.runtime.asymmetry.motion import Phases, crossing, phases_of, principal, smoothed, steadied
from mien.runtime.asymmetry.significance.errors import ErrorModel
from mien.runtime.asymmetry.static import analyse
from mien.runtime.asymmetry.tasks import Target, task_of

Sides = Float[np.ndarray, "frames 2"]  # the person's right, left
# Points of the right side that a task should move; the left ones are their mirror.
_MOVED: dict[str, list[int]] = {
    "brow": [17, 18, 19, 20, 21], "eye": [37, 38], "mouth": [48], "snarl": [49, 50], "lower_teeth": [58, 59],
}  # fmt: skip
_CURVES = ("brow_height", "palpebral_fissure", "commissure_excursion", "commissure_depth")
# Measures whose change is the excursion of the target, along and across.
_SHOWN_BY: dict[Target, tuple[str, ...]] = {
    "brow": ("brow_height",), "eye": ("palpebral_fissure",), "mouth": ("commissure_excursion", "commissure_depth"),
}  # fmt: skip
_LEAST_FRAMES = 10
_CLOSED_MM = 1.0  # a fissure below this counts as closed
_STILL_MM = 1.0  # a side that moves less has no times and no direction


@dataclass(frozen=True)
class Quantity:
    """A quantity of a movement: right and left, or one value for both."""

    name: str
    """As in tables."""
    title: str
    """For people."""
    unit: str
    """Of the values."""
    text: str
    """Definition in one line."""
    right: Estimate | None = None
    """The person's right side."""
    left: Estimate | None = None
    """The person's left side."""
    value: Estimate | None = None
    """Of the whole face."""


@dataclass(frozen=True, eq=False)
class Movement:
    """A measured recording."""

    task: str
    """What was asked for."""
    target: Target
    """What should move."""
    times_s: Float[np.ndarray, " frames"]
    """Of the frames with a face."""
    curves: dict[str, Sides]
    """Name → [frames, 2], right and left, mm."""
    phases: Phases
    """Frames of rest and of the sustained movement."""
    rest: int
    """Index of the frame nearest to the resting face."""
    peak: int
    """Index of the frame of the largest movement."""
    affected: str
    """Side that is compared with the other one: as given, else the side that moves less; "" where neither is known."""
    weaker: str
    """Side that was measured to move less; "" where the difference is within error. Not always the affected one."""
    quantities: tuple[Quantity, ...]
    """Measured."""
    typical: int
    """Index of the frame nearest to the mean face of the sustained movement, so that no blink is shown."""
    missing: int = 0
    """Frames without a face."""

    def __getitem__(self, name: str) -> Quantity:
        return next(quantity for quantity in self.quantities if quantity.name == name)


def analyse_track(
    faces: Sequence[FacePoints | None], times_s: Sequence[float], *, task: str = "", affected: str = "",
    method: Method = METHOD, errors: ErrorModel | None = None,
) -> Movement:  # fmt: skip
    """Measures a recording of one movement from rest and, best, back to rest. None: a frame without a face.

    task: one of TASKS; "" finds what moves. affected: "right" or "left" where it is known. Depth is used where all
    frames have it. errors: those fitted for the reader. Raises MienError for fewer than 10 frames with a face and for
    task "rest".
    """
    if len(faces) != len(times_s):
        raise MienError(f"A track needs a time for each frame; got {len(faces)} faces and {len(times_s)} times.")
    kept = [(face, float(time)) for face, time in zip(faces, times_s, strict=True) if face is not None]
    if len(kept) < _LEAST_FRAMES:
        raise MienError(f"A movement needs {_LEAST_FRAMES} frames with a face; got {len(kept)} of {len(faces)}.")
    if task and task_of(task).target is None:
        raise MienError(f"The task {task!r} is no movement. Name what the recording shows, or nothing.")
    found, times = [face for face, _ in kept], np.array([time for _, time in kept])
    if np.any(np.diff(times) <= 0):
        raise MienError("The times of a track must rise from frame to frame.")
    track = _Track.of(found, times, method, errors)
    target = task_of(task).target if task else track.liveliest()
    assert target is not None
    return track.movement(task, target, affected, len(faces) - len(found))


@dataclass(frozen=True, eq=False)
class _Track:
    """mm: [frames, 68, dims], head still, in the frame of the resting face, smoothed."""

    faces: list[FacePoints]
    times: np.ndarray
    mm: np.ndarray
    method: Method
    errors: ErrorModel | None

    @classmethod
    def of(cls, faces: list[FacePoints], times: np.ndarray, method: Method, errors: ErrorModel | None) -> "_Track":
        depth = method.frontal and all(face.depth_px is not None for face in faces)
        points = np.stack([prepared(face, replace(method, frontal=depth)) for face in faces])
        middle = points[len(points) // 2]
        still = steadied(points, middle)
        reference = np.median(still, axis=0)
        pose = [face.pose_rad[0] for face in faces if face.pose_rad is not None]
        pitch = float(pose[len(points) // 2]) if depth and len(pose) == len(faces) else 0.0
        axes = axes_of(reference, line=method.line, pitch_rad=pitch)
        placed = in_axes(reference, axes, method.scale, line=method.line)[1]
        steady = steadied(points, reference)
        mm = (steady - reference[[36, 39, 42, 45]].mean(0)) @ axes.T * placed
        values = smoothed(mm.reshape(len(mm), -1), times)[0]
        return cls(faces, times, values.reshape(mm.shape), replace(method, frontal=depth), errors)

    def curve(self, name: str) -> Sides:
        """A measure over time, mm."""
        return np.stack(both_sides(BY_NAME[name], self.mm[..., :2]), axis=1)

    def liveliest(self) -> Target:
        """What moves most and longest: the spread of the middle three fifths of the frames, so that a blink does not
        count."""
        spread: dict[Target, float] = {}
        for target in ("brow", "mouth"):
            signal = principal(self.moved(target).reshape(len(self.mm), -1))
            spread[target] = float(np.ptp(np.percentile(signal, (20, 80)))) / (2 * len(_MOVED[target])) ** 0.5
        spread["eye"] = float(np.ptp(np.percentile(self.curve("palpebral_fissure").mean(1), (20, 80))))
        return max(spread, key=spread.__getitem__)

    def moved(self, what: str) -> np.ndarray:
        """[frames, 2, points, dims]: the points that should move, the left ones mirrored onto the right side."""
        return np.stack([self.mm[:, _MOVED[what]], mirrored(self.mm)[:, _MOVED[what]]], axis=1)

    def movement(self, task: str, target: Target, affected: str, missing: int) -> Movement:
        what = task if task in _MOVED else target
        fissure = self.curve("palpebral_fissure")
        wide = fissure.min(1) >= 0.7 * np.median(fissure.min(1))
        signal = fissure.mean(1) if target == "eye" else principal(self.moved(what).reshape(len(self.mm), -1))
        phases = phases_of(signal, wide)
        rest = self.nearest(phases.rest)
        path, speed = self._paths(what, phases)
        curves = {"displacement": path, **{name: self.curve(name) for name in _CURVES}}
        sides = _Sides(self, what, target, phases, rest, path, speed)
        weaker = sides.weaker()
        compared = affected or weaker
        return Movement(
            task, target, self.times, curves, phases, rest, phases.peak, compared, weaker, sides.quantities(compared),
            self.nearest(phases.height), missing,
        )  # fmt: skip

    def nearest(self, chosen: np.ndarray) -> int:
        """Of the chosen frames [frames] the one nearest to their median face."""
        middle = np.median(self.mm[chosen], axis=0)
        return int(np.argmin(np.where(chosen, ((self.mm - middle) ** 2).sum((1, 2)), np.inf)))

    def _paths(self, what: str, phases: Phases) -> tuple[Sides, Sides]:
        """How far from rest each side is, mean over its points, mm; and how fast that grows, mm a second."""
        moved = self.moved(what)
        path = np.linalg.norm(moved - np.median(moved[phases.rest], axis=0), axis=-1).mean(-1)
        return path, smoothed(path, self.times)[1]


@dataclass(frozen=True, eq=False)
class _Sides:
    """The numbers of a movement."""

    track: _Track
    what: str
    target: Target
    phases: Phases
    rest: int
    path: Sides
    speed: Sides

    def excursions(self) -> tuple[Estimate, Estimate]:
        right, left = np.median(self.path[self.phases.height], axis=0)
        sds = self._chance()
        return Estimate(float(right), sds[0]), Estimate(float(left), sds[1])

    def _chance(self) -> tuple[float | None, float | None]:
        """sd of a side's excursion, mm, as if of one frame at rest and one at the peak; errors of neighbouring frames
        are alike, so that more frames do not help. From the fitted errors of differences where there are some, shared
        between the sides; else from the points' sigma."""
        faces, peak = self.track.faces, self.phases.peak
        if self.track.errors is not None:
            sd = self._fitted_sd(self.track.errors, faces[self.rest], faces[peak])
            return sd / 2**0.5, sd / 2**0.5
        first, last = faces[self.rest].sigma_px, faces[peak].sigma_px
        if first is None or last is None:
            return None, None
        ratio = analyse(faces[peak], method=replace(self.track.method, draws=0)).frame.mm_per_px
        both = np.asarray(first, float) ** 2 + np.asarray(last, float) ** 2
        right = _MOVED[self.what]
        left = SCHEME_68.mirror[right].tolist()
        return tuple(float(np.sqrt(both[p].sum() * 2 / np.pi)) / len(p) * ratio for p in (right, left))  # type: ignore[return-value]

    def _fitted_sd(self, errors: ErrorModel, first: FacePoints, last: FacePoints) -> float:
        """sd of the difference between the sides' excursions, where both move alike."""
        measured = [analyse(face, method=replace(self.track.method, draws=0)) for face in (first, last)]
        return float(np.linalg.norm([errors.equal_sd(m, name) for m in measured for name in _SHOWN_BY[self.target]]))

    def weaker(self) -> str:
        right, left = self.excursions()
        chance = 0.0 if right.sd is None or left.sd is None else 1.96 * float(np.hypot(right.sd, left.sd))
        if abs(right.value - left.value) <= chance:
            return ""
        return "right" if right.value < left.value else "left"

    def quantities(self, weaker: str) -> tuple[Quantity, ...]:
        right, left = self.excursions()
        found = [
            Quantity("excursion", "excursion", "mm", "distance from rest at the height of the movement", right, left)
        ]
        found.append(self._ratio(right, left, weaker))
        found += self._direction(right, left, weaker) + self._times(right, left)
        return tuple(found + self._eyes() + self._mouth())

    def _ratio(self, right: Estimate, left: Estimate, weaker: str) -> Quantity:
        sick, sound = (right, left) if _right_first(right, left, weaker) else (left, right)
        ratio, sd = sick.value / max(sound.value, 1e-9), None
        if sick.sd is not None and sound.sd is not None:
            sd = float(np.hypot(sick.sd, ratio * sound.sd)) / max(sound.value, 1e-9)
        text = "excursion of the affected side over the other's; without an affected side the smaller over the larger"
        return Quantity("excursion_ratio", "excursion ratio", "", text, value=Estimate(ratio, sd))

    def _direction(self, right: Estimate, left: Estimate, weaker: str) -> list[Quantity]:
        """A paralysed corner of the mouth is dragged by the other one: far, but the wrong way."""
        if min(right.value, left.value) < _STILL_MM:
            return []
        moved = self.track.moved(self.what)
        ways = np.median(moved[self.phases.height], axis=0) - np.median(moved[self.phases.rest], axis=0)
        sick, sound = ways.mean(1) if _right_first(right, left, weaker) else ways.mean(1)[::-1]
        along = float(sick @ sound / np.linalg.norm(sound))
        text = "cosine between the ways of both sides, one mirrored; 1 is the same direction"
        directed = "the affected side's way along the other's direction, over the other's; negative is the wrong way"
        return [
            Quantity("direction_cosine", "direction cosine", "", text,
                     value=Estimate(along / float(np.linalg.norm(sick)))),
            Quantity("directed_ratio", "excursion ratio, directed", "", directed,
                     value=Estimate(along / float(np.linalg.norm(sound)))),
        ]  # fmt: skip

    def _times(self, right: Estimate, left: Estimate) -> list[Quantity]:
        """Peak velocity, time from onset to height, delay of the right onset against the left."""
        times, onset, rise = self.track.times, [], []
        for k, side in enumerate((right, left)):
            path = self.path[:, k]
            start = crossing(path, times, 0.1 * side.value, self.phases.peak)
            top = crossing(path, times, 0.95 * side.value, int(np.argmax(path)))
            moves = side.value >= _STILL_MM
            onset.append(start if moves else None)
            rise.append(Estimate(max(top - start, 0.0)) if moves else None)
        upto = slice(0, self.phases.peak + 1)
        velocity = [Estimate(float(v)) for v in np.maximum(self.speed[upto].max(0), 0)]
        found = [
            Quantity("peak_velocity", "peak velocity", "mm/s", "fastest growth of the excursion", *velocity),
            Quantity("time_to_peak", "time to height", "s", "from 10 to 95 percent of the side's own excursion", *rise),
        ]
        if onset[0] is not None and onset[1] is not None:
            text = "onset (10 percent of its excursion) of the right side minus that of the left"
            found.append(Quantity("onset_delay", "onset delay", "s", text, value=Estimate(onset[0] - onset[1])))
        return found

    def _eyes(self) -> list[Quantity]:
        fissure = self.track.curve("palpebral_fissure")
        open_mm = np.median(fissure[self.phases.rest], axis=0)
        if self.target == "eye":
            least = fissure[self.phases.height].min(0)
            closed = np.where(least < _CLOSED_MM, 0, least)
            share = [Estimate(float(v)) for v in 100 * (open_mm - closed) / open_mm]
            left_open = [Estimate(float(v)) for v in closed]
            text = "100 (rest - closed) / rest of the palpebral fissure; below 1 mm counts as closed"
            return [
                Quantity("closure", "eye closure", "%", text, *share),
                Quantity("lagophthalmos", "fissure left open", "mm", "smallest palpebral fissure", *left_open),
            ]
        narrower = 100 * (1 - np.median(fissure[self.phases.height], axis=0) / open_mm)
        text = "narrowing of the fissure while the target moves; healthy eyes narrow too, in a smile by 22 % (SD 13)"
        values = [Estimate(float(v)) for v in narrower]
        return [Quantity("eye_narrowing", "eye narrowing (synkinesis)", "%", text, *values)]

    def _mouth(self) -> list[Quantity]:
        if self.target == "mouth":
            return []
        corner = self.track.moved("mouth")[:, :, 0]
        away = np.median(corner[self.phases.height], axis=0) - np.median(corner[self.phases.rest], axis=0)
        values = [Estimate(float(v)) for v in np.linalg.norm(away, axis=-1)]
        text = "motion of the corner of the mouth while another part should move"
        return [Quantity("mouth_motion", "mouth motion (synkinesis)", "mm", text, *values)]


def _right_first(right: Estimate, left: Estimate, weaker: str) -> bool:
    """Whether the right side is the affected one, or the one that moves less where none is."""
    return weaker == "right" or (not weaker and right.value < left.value)
