"""Quality of a face's picture in numbers: light, sharpness, size, turn, what hides it, and unlikeness to the training.

Each costs little: light and sharpness are measured on one small grey picture of the face. Limits and flags are those of
core.trust.quality.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import UInt8

from mien.core.geometry import area, intersection
from mien.core.landmarks import SCHEME_68
from mien.core.records import Box, FacePoints
from mien.core.trust.quality import ENERGY, SIDE, FaceQuality

Grey = UInt8[np.ndarray, "side side"]
Pixels = UInt8[np.ndarray, "height width 3"]
_FIRST_INNER = 17  # points of the jaw come first
_LEAST_PX = 2


def quality_of(
    pixels: Pixels, box: Box, *, scale: float = 1.0, points: FacePoints | None = None, energy: float | None = None,
    energy_limit: float | None = None,
) -> FaceQuality:  # fmt: skip
    """Of the face in that box.

    pixels: of the picture, decoded at `scale`; box and points are in pixels of the picture itself. energy: of the first
    output of classes, and the limit that its bundle states.
    """
    values = _of_box(box, (pixels.shape[1] / scale, pixels.shape[0] / scale))
    scaled = (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
    grey = grey_face(pixels, scaled, side=SIDE)
    if grey is not None:
        values = _of_light(grey) | values
    values |= _of_points(points) if points is not None else {}
    values |= {ENERGY: energy} if energy is not None else {}
    return FaceQuality.of(values, energy_limit=energy_limit)


def grey_face(pixels: Pixels, box: Box, *, side: int, least: int = _LEAST_PX) -> Grey | None:
    """What the box holds of the picture, brought to a grey square; None where that is less than `least` pixels wide."""
    x0, y0 = (max(int(np.floor(edge)), 0) for edge in box[:2])
    x1, y1 = (min(int(np.ceil(edge)), limit) for edge, limit in zip(box[2:], pixels.shape[1::-1], strict=True))
    if x1 - x0 < least or y1 - y0 < least:
        return None
    grey = cv2.cvtColor(np.ascontiguousarray(pixels[y0:y1, x0:x1]), cv2.COLOR_RGB2GRAY)
    shrink = min(x1 - x0, y1 - y0) >= side
    return np.asarray(
        cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR), np.uint8
    )


def sharpness(grey: Grey) -> float:
    """Variance of the Laplacian over the variance of the light.

    Pech-Pacheco et al., ICPR 2000, for the Laplacian; a picture of fixed size makes faces of different distance
    comparable, and the division faces of different light.
    """
    values = grey.astype(np.float32)
    laplacian = cv2.meanStdDev(cv2.Laplacian(values, cv2.CV_32F))[1].item() ** 2
    return float(laplacian / max(cv2.meanStdDev(values)[1].item() ** 2, 1.0))


def hidden_points(points: FacePoints) -> np.ndarray | None:
    """Numbers of the points inside the face (68: all but the jaw) that are more likely hidden than not; None where the
    model does not say."""
    if points.visible is None:
        return None
    return np.flatnonzero(np.asarray(points.visible)[_FIRST_INNER:] < 0.5) + _FIRST_INNER


def region_confidence(points: FacePoints) -> Mapping[str, float]:
    """Mean confidence of each region but the jaw, whose points people place too differently; {} without confidence."""
    if points.confidence is None or len(points.confidence) != SCHEME_68.points:
        return {}
    inner = {name: list(places) for name, places in SCHEME_68.regions.items() if name != "jaw"}
    return {name: float(np.mean(points.confidence[places])) for name, places in inner.items()}


def _of_box(box: Box, size: tuple[float, float]) -> dict[str, float]:
    inside = intersection(box, (0.0, 0.0, *size))
    return {"size": (box[2] - box[0] + box[3] - box[1]) / 2, "cut": 1 - inside / max(area(box), 1e-9)}


def _of_light(grey: Grey) -> dict[str, float]:
    mean, deviation = (part.item() / 255 for part in cv2.meanStdDev(grey))
    return {"sharpness": sharpness(grey), "brightness": mean, "contrast": deviation}


def _of_points(points: FacePoints) -> dict[str, float]:
    """Turn, hidden points, confidence: of 68 points, as far as the model gives them."""
    values: dict[str, float] = {}
    if points.pose_rad is not None:
        pitch, yaw, _ = points.pose_rad
        values["turn"] = float(np.degrees(np.arccos(np.clip(np.cos(yaw) * np.cos(pitch), -1, 1))))
    if len(points.landmarks_px) != SCHEME_68.points:
        return values
    hidden = hidden_points(points)
    if hidden is not None:
        values["hidden"] = len(hidden) / (SCHEME_68.points - _FIRST_INNER)
    if regions := region_confidence(points):
        values["confidence"] = min(regions.values())
        values["plausibility"] = float(np.mean(np.asarray(points.confidence)))
    return values
