"""One face: every measure of both sides, with what chance in the points makes of it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mien.core.records import FacePoints
from mien.metrics.asymmetry import asymmetry_index, region_asymmetry
from mien.runtime.asymmetry.frame import METHOD, Frame, Line, Method, Scale, axes_of, eyes, in_axes, prepared
from mien.runtime.asymmetry.measures import DEFINITIONS, Definition, Estimate, Measure, both_sides, mirrored

SEED = 68
_NEAR_ZERO = {"mm": 1.0, "mm2": 4.0, "deg": 1.0}  # a mean of both sides below this has no index
Columns = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Region:
    """Procrustes asymmetry of a region."""

    name: str
    """Of the region."""
    asymmetry: Estimate
    """Mean distance of points from their mirrored counterparts over that of the outer eye corners, percent."""
    floor: float | None = None
    """Limit of a face that is not unusual, percent: with fitted errors what 95 % of healthy people stay below, else the
    97.5th percentile of a symmetric face read with this sigma; None without either."""
    healthy: bool = False
    """Whether `floor` is that of healthy people."""

    @property
    def clear(self) -> bool | None:
        return None if self.floor is None else self.asymmetry.value > self.floor


@dataclass(frozen=True, eq=False)
class FaceMeasures:
    """All measures of one face."""

    face: FacePoints
    """Points."""
    frame: Frame
    """Coordinate system."""
    points_mm: Float[np.ndarray, "68 dims"]
    """In the frame."""
    measures: tuple[Measure, ...]
    """Of left against right."""
    regions: tuple[Region, ...]
    """The whole face first."""

    def __getitem__(self, name: str) -> Measure:
        return next(measure for measure in self.measures if measure.name == name)


def analyse(face: FacePoints, *, method: Method = METHOD) -> FaceMeasures:
    """Measures a face. The jittered copies are always the same; each point's errors are taken as round, independent and
    with mean distance sigma_px, in depth too. Raises MienError for other than 68 points.
    """
    points = prepared(face, method)
    pitch = face.pose_rad[0] if face.pose_rad is not None and points.shape[1] == 3 else 0.0
    placed = _Placed(method.scale, method.line, pitch, method.distance_m)
    own, frame = placed.one(points)
    copies = _copies(points, face.sigma_px, method.draws)
    jittered = None if copies is None else placed.many(copies)
    measures = tuple(_measure(definition, own, jittered) for definition in DEFINITIONS)
    return FaceMeasures(face, frame, own, measures, _regions(points, own / frame.mm_per_px, face.sigma_px, copies))


@dataclass(frozen=True)
class _Placed:
    """How points come into the frame."""

    scale: Scale
    line: Line
    pitch_rad: float
    distance_m: float | None

    def one(self, points: np.ndarray) -> tuple[np.ndarray, Frame]:
        axes = axes_of(points, line=self.line, pitch_rad=self.pitch_rad)
        placed, ratio = in_axes(points, axes, self.scale, line=self.line)
        right, left = eyes(points, self.line)
        turn = None
        if points.shape[1] == 3:
            across = axes[0]
            yaw = float(-np.degrees(np.arctan2(across[2], np.hypot(across[0], across[1]))))
            turn = (yaw, float(np.degrees(self.pitch_rad)))
        return placed, Frame(self.line, self.scale, (right + left) / 2, axes, float(ratio), turn, self.distance_m)

    def many(self, points: np.ndarray) -> np.ndarray:
        axes = axes_of(points, line=self.line, pitch_rad=self.pitch_rad)
        return in_axes(points, axes, self.scale, line=self.line)[0]


def _copies(points: np.ndarray, sigma_px: np.ndarray | None, draws: int) -> np.ndarray | None:
    """[draws, 68, dims]; None without sigma. A mean distance of sigma is sigma sqrt(2 / pi) along x and along y."""
    if sigma_px is None or draws < 2:
        return None
    noise = np.random.Generator(np.random.PCG64(SEED)).normal(size=(draws, *points.shape))
    return points + noise * (np.asarray(sigma_px, float) * np.sqrt(2 / np.pi))[:, None]


def _measure(definition: Definition, own: np.ndarray, jittered: np.ndarray | None) -> Measure:
    columns = _columns(definition, own[None, :, :2])
    spread = None if jittered is None else _columns(definition, jittered[..., :2])

    def estimate(name: str) -> Estimate | None:
        value = float(columns[name][0])
        if not np.isfinite(value):
            return None
        return Estimate(value, None if spread is None else _spread(spread[name]))

    if not definition.paired:
        return Measure(definition, estimate("difference") or Estimate(float("nan")))
    ratio = float(columns["ratio"][0])
    return Measure(
        definition, estimate("difference") or Estimate(float("nan")), estimate("right"), estimate("left"),
        estimate("index"), ratio if np.isfinite(ratio) else None,
    )  # fmt: skip


def _spread(values: np.ndarray) -> float:
    """Half the width of the middle 68 %: the standard deviation where errors are small, and no wild value where lids'
    points change places."""
    known = values[np.isfinite(values)]
    return float(np.diff(np.percentile(known, (15.87, 84.13)))[0] / 2) if len(known) > 1 else float("nan")


def _columns(definition: Definition, points: np.ndarray) -> Columns:
    """right, left, difference, index, ratio, each [n]; NaN where undefined."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if not definition.paired:
            return {"difference": definition.formula(points)}
        right, left = both_sides(definition, points)
        low, high = np.minimum(right, left), np.maximum(right, left)
        defined = (low >= 0) & (low + high > 2 * _NEAR_ZERO[definition.unit])
        index = np.where(defined, 200 * (high - low) / (low + high), np.nan)
        ratio = np.where(defined, low / high, np.nan)
    return {"right": right, "left": left, "difference": right - left, "index": index, "ratio": ratio}


def _regions(
    points: np.ndarray, own: np.ndarray, sigma_px: np.ndarray | None, copies: np.ndarray | None
) -> tuple[Region, ...]:
    """own: in the frame, pixels."""
    found = _asymmetries(points)
    if copies is None:
        return tuple(Region(name, Estimate(float(value))) for name, value in found.items())
    symmetric = (own + mirrored(own)) / 2
    floors = _copies(symmetric, sigma_px, len(copies))
    assert floors is not None
    chance, by_chance = _asymmetries(copies), _asymmetries(floors)
    return tuple(
        Region(name, Estimate(float(value), float(chance[name].std())), float(np.percentile(by_chance[name], 97.5)))
        for name, value in found.items()
    )


def _asymmetries(points: np.ndarray) -> Columns:
    """Percent, the whole face first."""
    parts = {"whole face": asymmetry_index(points), **region_asymmetry(points)}
    return {name: np.asarray(100 * value) for name, value in parts.items()}
