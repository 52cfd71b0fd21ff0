"""The frame that a face is measured in: pupil line, midline, scale, and a turned head brought to the front.

In the frame: millimetres, origin midway between the pupils, x along the pupil line to the person's left, y up, z to
the viewer. Every function takes points with any leading axes, so that a thousand jittered copies of a face are measured
as one.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.records import FacePoints
from mien.metrics.asymmetry import mirror_of

PUPIL_DISTANCE_MM, PUPIL_DISTANCE_SD_MM = 63.0, 3.8  # adults; Dodgson, Proc. SPIE 5291, 2004: 63.36 mm, SD 3.83
IRIS_MM, IRIS_SD_MM = 11.77, 0.42  # as Emotrics takes it (Guarin 2018); spread: Rufer et al., Cornea 24(3), 2005
_LIDS = ((37, 38, 40, 41), (43, 44, 46, 47))
_CANTHI = ((36, 39), (42, 45))
# The means of the eyes' corners stay where they are when a lid sags or closes; the means of the lids' points do not.
Line = Literal["canthi", "pupils"]
Points = Float[np.ndarray, "*batch 68 dims"]


@dataclass(frozen=True)
class Scale:
    """How pixels become millimetres."""

    mm: float = PUPIL_DISTANCE_MM
    """Assumed length."""
    length_px: float | None = None
    """The same length in the picture; None takes the distance of the pupils in each picture."""
    relative_sd: float = PUPIL_DISTANCE_SD_MM / PUPIL_DISTANCE_MM
    """Standard deviation of the length between people, as a share; it scales millimetres, and no index."""
    name: str = "pupil distance taken as 63 mm, the mean of adults"
    """For reports."""

    def __post_init__(self) -> None:
        if not self.mm > 0 or (self.length_px is not None and not self.length_px > 0):
            raise MienError(f"A scale is a length above 0 in mm and pixels; got {self.mm} mm, {self.length_px} px.")

    @classmethod
    def of_pupils(cls, mm: float) -> "Scale":
        """The person's own pupil distance, measured (glasses prescriptions state it)."""
        return cls(mm, None, 0.0, f"pupil distance {mm:g} mm, as given")

    @classmethod
    def of_iris(cls, diameter_px: float) -> "Scale":
        """The iris, measured in the picture."""
        return cls(IRIS_MM, diameter_px, IRIS_SD_MM / IRIS_MM, f"iris of {diameter_px:g} px taken as {IRIS_MM} mm")

    @classmethod
    def of_pixels(cls, mm_per_px: float) -> "Scale":
        """Known from a ruler in the picture or the camera."""
        return cls(mm_per_px, 1.0, 0.0, f"{mm_per_px:g} mm a pixel, as given")


@dataclass(frozen=True)
class Method:
    """How a face is measured. Raises MienError for a distance below 0.1 m."""

    scale: Scale = Scale()
    """Of pixels to millimetres."""
    line: Line = "canthi"
    """What the pupil line goes through."""
    frontal: bool = True
    """Remove yaw (from depth) and pitch (from pose_rad) where depth is there."""
    draws: int = 400
    """Jittered copies for the uncertainties; 0 for none."""
    distance_m: float | None = None
    """From the camera to the face, where it is known; with depth, perspective is removed too."""

    def __post_init__(self) -> None:
        if self.distance_m is not None and not self.distance_m >= 0.1:
            raise MienError(f"The camera's distance is in metres, 0.1 or more; got {self.distance_m:g}.")


METHOD = Method()


@dataclass(frozen=True, eq=False)
class Frame:
    """Coordinate system of a measured face."""

    line: Line
    """What the pupil line goes through."""
    scale: Scale
    """Of pixels to millimetres."""
    origin: Float[np.ndarray, " dims"]
    """Midway between the eyes, upright pixels."""
    axes: Float[np.ndarray, "dims dims"]
    """Rows are the frame's x, y (and z) in upright pixels."""
    mm_per_px: float
    """Of this face."""
    turn_deg: tuple[float, float] | None = None
    """Yaw and pitch that were removed before measuring; None where none were."""
    distance_m: float | None = None
    """From the camera to the face, where it was known."""

    @property
    def roll_deg(self) -> float:
        return float(-np.degrees(np.arctan2(self.axes[0, 1], self.axes[0, 0])))

    def to_picture(self, points_mm: Float[np.ndarray, "*batch dims"]) -> np.ndarray:
        """Millimetres of the frame to pixels of the picture, [*batch, 2]; perspective is not put back."""
        upright_px = self.origin + np.asarray(points_mm, float) @ self.axes / self.mm_per_px
        return upright_px[..., :2] * (1, -1)

    @property
    def note(self) -> str:
        """In words: scale, line, turn."""
        through = "midpoints of the eyes' corners" if self.line == "canthi" else "means of the lids' points"
        turned = (
            "head turn not taken out (no depth): a turned head looks unequal"
            if self.turn_deg is None
            else f"head turn taken out by depth: yaw {self.turn_deg[0]:+.1f}, pitch {self.turn_deg[1]:+.1f} degrees"
        )
        if self.turn_deg is not None:
            far = f"taken out for {self.distance_m:g} m" if self.distance_m else "not taken out (distance not given)"
            turned += f"; perspective {far}"
        return f"scale: {self.scale.name}; pupil line through the {through}; {turned}"


def upright(face: FacePoints, *, depth: bool = True) -> np.ndarray:
    """[68, 3], or [68, 2] without depth, in pixels with y up. Raises MienError for another number of points."""
    if np.shape(face.landmarks_px) != (68, 2):
        raise MienError(f"Asymmetry is measured on 68 points [68, 2]; got {list(np.shape(face.landmarks_px))}.")
    points = np.asarray(face.landmarks_px, float) * (1, -1)
    if face.depth_px is None or not depth:
        return points
    return np.concatenate([points, np.asarray(face.depth_px, float)[:, None]], axis=1)


def eyes(points: Points, line: Line) -> tuple[np.ndarray, np.ndarray]:
    """The right and the left end of the pupil line, [*batch, dims]."""
    groups = _LIDS if line == "pupils" else _CANTHI
    right, left = (points[..., list(group), :].mean(-2) for group in groups)
    return right, left


def prepared(face: FacePoints, method: Method) -> np.ndarray:
    """The face's upright points, with depth where there is some and the method uses it, without perspective where the
    distance is known. x and y about the face's middle shrink by 1 - z / distance: the optical axis is taken to meet it.
    """
    points = upright(face, depth=method.frontal)
    if method.distance_m is None or points.shape[1] == 2:
        return points
    right, left = eyes(points, method.line)
    length = method.scale.length_px or float(np.linalg.norm(left - right))
    distance_px = 1000 * method.distance_m * length / method.scale.mm
    middle = points.mean(0)
    away = points - middle
    return middle + away * np.stack([1 - away[:, 2] / distance_px] * 2 + [np.ones(len(points))], axis=1)


def axes_of(points: Points, *, line: Line = "canthi", pitch_rad: float = 0.0) -> np.ndarray:
    """Rows x, y (and z) of the frame, [*batch, dims, dims].

    In 2D x goes along the pupil line. In 3D the head is brought to the front first: its plane of symmetry to x = 0 with
    the least turn, then `pitch_rad` (up is positive) out; then x goes along the pupil line as it is seen from there.
    """
    if points.shape[-1] == 2:
        return _level(points, line)
    front = _frontal(points, pitch_rad)
    turned = points @ np.swapaxes(front, -1, -2)
    turn = np.broadcast_to(np.eye(3), front.shape).copy()
    turn[..., :2, :2] = _level(turned[..., :2], line)
    return turn @ front


def in_axes(points: Points, axes: np.ndarray, scale: Scale, *, line: Line = "canthi") -> tuple[np.ndarray, np.ndarray]:
    """Upright pixels in millimetres of the frame, [*batch, 68, dims], and millimetres a pixel, [*batch]."""
    right, left = eyes(points, line)
    turned = (points - ((right + left) / 2)[..., None, :]) @ np.swapaxes(axes, -1, -2)
    if scale.length_px is not None:
        ratio = np.full(points.shape[:-2], scale.mm / scale.length_px)
    else:
        ratio = np.asarray(scale.mm / np.linalg.norm(left - right, axis=-1))
    return turned * ratio[..., None, None], ratio


def yaw_deg(points: Float[np.ndarray, "68 3"]) -> float:
    """Turn of the head out of the picture's plane by its own symmetry, degrees, to the viewer's right positive."""
    n = mirror_of(points).normal
    return float(-np.degrees(np.arctan2(n[2], np.hypot(n[0], n[1]))))


def _level(points: Float[np.ndarray, "*batch 68 2"], line: Line) -> np.ndarray:
    right, left = eyes(points, line)
    x = (left - right) / np.linalg.norm(left - right, axis=-1, keepdims=True)
    return np.stack([x, np.stack([-x[..., 1], x[..., 0]], -1)], axis=-2)


def _frontal(points: Float[np.ndarray, "*batch 68 3"], pitch_rad: float) -> np.ndarray:
    """Rotation of columns, [*batch, 3, 3]."""
    normal = mirror_of(points).normal
    level = normal * (1, 1, 0)
    level = level / np.linalg.norm(level, axis=-1, keepdims=True)
    crossed = _cross(np.cross(normal, level))
    cosine = (normal * level).sum(-1)[..., None, None]
    yaw = np.eye(3) + crossed + crossed @ crossed / (1 + cosine)
    k = _cross(level)
    return (np.eye(3) + np.sin(pitch_rad) * k + (1 - np.cos(pitch_rad)) * (k @ k)) @ yaw


def _cross(v: Float[np.ndarray, "*batch 3"]) -> np.ndarray:
    """[*batch, 3, 3]: the matrix of v x ."""
    x, y, z = np.moveaxis(v, -1, 0)
    o = np.zeros_like(x)
    return np.stack([np.stack([o, -z, y], -1), np.stack([z, o, -x], -1), np.stack([-y, x, o], -1)], axis=-2)
