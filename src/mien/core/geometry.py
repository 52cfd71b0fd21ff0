"""Frames: where a crop lies in its picture, and the way back.

Pixel convention: the centre of the upper left pixel is (0, 0), so a picture of width w spans -0.5 .. w - 0.5. Boxes are
edges (x0, y0, x1, y1) in the same coordinates shifted by half a pixel: (0, 0, w, h) is the whole picture. A `Crop` maps
between the two kinds exactly; resizing a picture with it agrees with Pillow's and OpenCV's conventions.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.limits import SIDE
from mien.core.spec import PictureInput
from mien.core.typed import shown

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the picture; x to the right, y down

# How a face in 3D is drawn grey (SMIRK): directions from the skin to the lights, x to the viewer's right, y up, z to
# the viewer; what each adds; the share of it that the skin sends back.
LIGHTS = ((-1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (-1.0, -1.0, 1.0), (1.0, -1.0, 1.0), (0.0, 0.0, 1.0))
LIGHT_INTENSITY, ALBEDO = 1.7, 180 / 255


@dataclass(frozen=True)
class Crop:
    """A (possibly rotated) rectangle of a picture, resampled to a square of `size` pixels."""

    centre: tuple[float, float]
    """x, y in edge coordinates."""
    sides: tuple[float, float]
    """Width, height in picture pixels."""
    size: int
    """Side of the result in pixels."""
    roll_rad: float = 0.0
    """Clockwise turn of the rectangle in the picture (x right, y down)."""

    @property
    def matrix(self) -> Float[np.ndarray, "2 3"]:
        """Affine map from crop pixels to picture pixels (both with pixel centres at whole numbers), float64."""
        cos, sin = np.cos(self.roll_rad), np.sin(self.roll_rad)
        scale = np.array(self.sides, float) / self.size
        linear = np.array([[cos, -sin], [sin, cos]]) * scale
        centre_px = (self.size - 1) / 2
        offset = np.array(self.centre, float) - 0.5 - linear @ np.array([centre_px, centre_px])
        return np.concatenate([linear, offset[:, None]], axis=1)

    def to_picture(self, points: Float[np.ndarray, "*batch 2"]) -> np.ndarray:
        """Crop pixels to picture pixels."""
        m = self.matrix
        return points @ m[:, :2].T + m[:, 2]

    def to_crop(self, points: Float[np.ndarray, "*batch 2"]) -> np.ndarray:
        """Picture pixels to crop pixels: the exact inverse of `to_picture`."""
        m = self.matrix
        return (points - m[:, 2]) @ np.linalg.inv(m[:, :2]).T

    @property
    def box(self) -> Box:
        """The upright rectangle (x0, y0, x1, y1) before any roll, in edge coordinates."""
        (x, y), (w, h) = self.centre, self.sides
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def crop_of_picture(width: int, height: int, spec: PictureInput) -> Crop:
    """The crop of a picture that is itself the face: squashed to a square, or padded to one."""
    side = max(width, height)
    sides = (width, height) if spec.fit == "squash" else (side, side)
    return Crop((width / 2, height / 2), (float(sides[0]), float(sides[1])), spec.size)


def crop_of_box(box: Box, spec: PictureInput, *, roll_rad: float = 0.0) -> Crop:
    """The crop that frames a detector's box as the data set's pictures are framed (box_scale, box_shift)."""
    try:
        x0, y0, x1, y1 = (float(edge) for edge in box)
    except (TypeError, ValueError):
        raise MienError(f"A face box is four numbers, x0, y0, x1, y1; got {shown(box)}.") from None
    if not (x1 > x0 and y1 > y0):
        raise MienError(f"A face box needs x1 > x0 and y1 > y0; got {box}.")
    if max(x1, y1, -x0, -y0) > SIDE:
        raise MienError(f"The edges of a face box lie within {SIDE:,} pixels; got {box}.")
    mean_side = (x1 - x0 + y1 - y0) / 2
    dx, dy = spec.box_shift
    cos, sin = np.cos(roll_rad), np.sin(roll_rad)
    centre = (
        (x0 + x1) / 2 + mean_side * float(cos * dx - sin * dy),
        (y0 + y1) / 2 + mean_side * float(sin * dx + cos * dy),
    )
    side = mean_side * spec.box_scale
    return Crop(centre, (side, side), spec.size, roll_rad)


def fit_similarity(
    source: Float[np.ndarray, "points dims"], target: Float[np.ndarray, "points dims"]
) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation [dims, dims] and translation [dims] with the least squared error of s R x + t against target.

    Umeyama, IEEE TPAMI 13(4), 1991, equations 40-42: a proper rotation (determinant +1) also for mirrored points.
    Raises MienError when the points do not span the space.
    """
    if source.shape != target.shape or source.shape[0] < source.shape[1]:
        raise MienError(
            f"A similarity needs two equal lists of at least {source.shape[1]} points; "
            f"got {source.shape} and {target.shape}."
        )
    source_mean, target_mean = source.mean(0), target.mean(0)
    source_0, target_0 = source - source_mean, target - target_mean
    covariance = target_0.T @ source_0 / len(source)
    variance = (source_0**2).sum() / len(source)
    u, singular, vt = np.linalg.svd(covariance)
    if variance == 0 or (singular > 1e-12 * max(singular[0], 1e-300)).sum() < source.shape[1] - 1:
        raise MienError("A similarity needs points that do not all coincide or lie on one line.")
    sign = np.ones(source.shape[1])
    sign[-1] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = u @ np.diag(sign) @ vt
    scale = float((singular * sign).sum() / variance)
    return scale, rotation, target_mean - scale * rotation @ source_mean


# Boxes: edges x0, y0, x1, y1 in any unit


def area(box: Box) -> float:
    """Width times height; 0 for a box without either."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def intersection(a: Box, b: Box) -> float:
    """Area in common."""
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def intersection_over_union(a: Box, b: Box) -> float:
    """0..1; 0 for two boxes without area."""
    common = intersection(a, b)
    union = area(a) + area(b) - common
    return common / union if union > 0 else 0.0


def non_maximum_suppression(
    boxes: Float[np.ndarray, "boxes 4"], scores: Float[np.ndarray, " boxes"], *, most: float,
    over: Literal["union", "smaller"] = "union",
) -> list[int]:  # fmt: skip
    """Places of the boxes that share no more than `most` with a better one that is kept; the best score first.

    over: what an area in common is divided by. Of equal scores the first is the better one.
    """
    boxes = np.asarray(boxes, float)
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1)
    left, kept = np.argsort(-np.asarray(scores), kind="stable"), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        low, high = np.maximum(boxes[best, :2], boxes[left, :2]), np.minimum(boxes[best, 2:], boxes[left, 2:])
        common = np.maximum(high - low, 0).prod(1)
        whole = areas[best] + areas[left] - common if over == "union" else np.minimum(areas[best], areas[left])
        left = left[common <= most * whole]
    return kept
