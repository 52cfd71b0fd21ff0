"""What stands out from the plan of the head: nose, lips, lids, philtrum, neck; and with them the neutral skin.

Figures as face/template.py says: measured depths, rounded.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from mien.synthetic.face.template import (
    AXIS_Z,
    AZIMUTHS,
    COLUMNS,
    CROWN_FROM,
    CROWN_TOP,
    EYE_CENTRE,
    EYE_CORNERS,
    EYE_FIRST,
    EYE_LAST,
    EYE_ROW,
    JAW_EDGE,
    LID_RADIUS,
    MOUTH_HALF,
    MOUTH_ROW,
    ROWS,
    fade,
    head_radius,
    plan,
    step,
    warp_eye,
    warp_mouth,
)

# Rings of the neck: height in front and at the back, z of the centre, half width, half depth.
NECK = (
    (-1.37, -0.95, -0.95, 0.60, 0.58),
    (-1.62, -1.25, -0.98, 0.60, 0.56),
    (-1.85, -1.62, -1.03, 0.60, 0.55),
    (-2.1, -1.95, -1.07, 0.62, 0.55),
)
# The nose over the face: height of the ridge and half width at half height, by y.
NOSE_Y = np.array([-0.540, -0.520, -0.504, -0.480, -0.44, -0.36, -0.29, -0.2, -0.09, 0.02, 0.09, 0.16])
NOSE_RIDGE = np.array([0.0, 0.025, 0.130, 0.172, 0.198, 0.222, 0.222, 0.184, 0.120, 0.048, 0.016, 0.0])
NOSE_WIDTH = np.array([0.075, 0.082, 0.090, 0.096, 0.100, 0.102, 0.098, 0.088, 0.074, 0.062, 0.07, 0.08])


@dataclass(frozen=True)
class Half:
    """The left half of the head's skin."""

    points: np.ndarray
    """[rows, columns, 3], inter-ocular units."""
    azimuth: np.ndarray
    """[rows, columns], radians."""
    height: np.ndarray
    """[rows, columns], inter-ocular units."""


def _nose(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far the nose stands out: ridge, wings, nostrils, columella."""
    rim = y - np.minimum(7 * x**2, 0.04) * step(-0.30, -0.40, y)  # the nostrils' rims are higher than the columella
    ridge, width = np.interp(rim, NOSE_Y, NOSE_RIDGE), np.interp(y, NOSE_Y, NOSE_WIDTH)
    nose = ridge * np.exp(-np.log(2) * (np.abs(x) / width) ** (2.6 - 0.4 * step(-0.2, -0.34, y)))
    tip = 0.048 * np.exp(-((x / 0.085) ** 2) - ((y + 0.410) / 0.070) ** 2)
    wing = 0.130 * np.exp(-((np.abs((x - 0.135) / 0.068)) ** 2.8) - np.abs((y + 0.448) / 0.068) ** 2.8)
    groove = 0.010 * np.exp(-(((x - 0.090) / 0.024) ** 2) - ((y + 0.400) / 0.05) ** 2)
    nostril = 0.12 * np.exp(-(((x - 0.068) / 0.034) ** 2) - ((y + 0.500) / 0.020) ** 2)
    return np.maximum(nose, wing) + 0.25 * np.minimum(nose, wing) + tip - groove - nostril


def _details(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Philtrum and its ridges, and the faint folds from the nose to the mouth's corners that a young face has."""
    span = np.exp(-(np.abs((y + 0.605) / 0.055) ** 4))
    philtrum = span * (0.008 * np.exp(-(((x - 0.042) / 0.02) ** 2)) - 0.012 * np.exp(-((x / 0.022) ** 2)))
    fold_x = 0.205 + 0.42 * np.clip(-0.47 - y, 0, 1)
    fold = np.exp(-(((x - fold_x) / 0.03) ** 2)) * np.exp(-(np.abs((y + 0.58) / 0.1) ** 4))
    return philtrum - 0.008 * fold


def _lip_bulge(x: np.ndarray) -> np.ndarray:
    """[rows, columns] forward displacement of the lip rows, for the x of the rim."""
    bulge = np.zeros((len(ROWS), COLUMNS))
    across = np.clip(1 - (x / (MOUTH_HALF + 0.05)) ** 2, 0, 1) ** 0.6
    dip = 0.010 * np.clip(1 - (x / (MOUTH_HALF + 0.03)) ** 4, 0, 1)
    for k, (up, down) in enumerate(zip((0, 0.030, 0.044, 0.036, 0.014), (0, 0.028, 0.044, 0.038, 0.010), strict=True)):
        bulge[MOUTH_ROW - k] = up * across
        bulge[MOUTH_ROW + 1 + k] = down * across
    bulge[MOUTH_ROW] += dip
    bulge[MOUTH_ROW + 1] += dip
    return bulge


def _lid_depth(points: np.ndarray) -> None:
    """Lays the rows round the eye on the eyeball's sphere, the corners where corners are."""
    x, y = points[..., 0], points[..., 1]
    across = (x - EYE_CENTRE[0]) ** 2 + (y - EYE_CENTRE[1]) ** 2
    ball = EYE_CENTRE[2] + np.sqrt(np.maximum(LID_RADIUS**2 - across, 0))
    t = np.clip((x - EYE_CORNERS[0, 0]) / (EYE_CORNERS[1, 0] - EYE_CORNERS[0, 0]), 0, 1)
    corner = EYE_CORNERS[0, 2] + (EYE_CORNERS[1, 2] - EYE_CORNERS[0, 2]) * t
    lid = np.log(np.exp(90 * ball) + np.exp(90 * corner)) / 90
    inside = fade(np.ones(EYE_LAST - EYE_FIRST + 1), EYE_FIRST, EYE_LAST, 3)
    upper, lower = (1, 0.97, 0.75, 0.4, 0.12), (1, 0.85, 0.45, 0.15)
    for rim, weights, way in ((EYE_ROW, upper, -1), (EYE_ROW + 1, lower, 1)):
        for k, w in enumerate(weights):
            row = rim + way * k
            points[row, :, 2] += (lid[row] - points[row, :, 2]) * (w * inside)
    around = slice(EYE_ROW - 4, EYE_ROW + 6)
    inside_head = (x[around] < 0.6) & (across[around] < (0.93 * LID_RADIUS) ** 2)
    points[around, :, 2] = np.where(inside_head, np.maximum(points[around, :, 2], ball[around]), points[around, :, 2])
    t = (np.arange(COLUMNS) - EYE_FIRST) / (EYE_LAST - EYE_FIRST)
    crease = np.where((t > 0) & (t < 1), np.clip(4 * t * (1 - t), 0, 1) ** 0.5, 0)
    points[EYE_ROW - 2, :, 2] -= 0.006 * crease
    points[EYE_ROW - 3, :, 2] += 0.006 * crease


def _neck(edge: np.ndarray) -> np.ndarray:
    """[rows, columns, 3] from under the jaw's edge [columns, 3] down the neck; rings tilt, lower in front."""
    tilt = 0.5 + 0.5 * np.cos(AZIMUTHS)
    rings = []
    for front, back, centre, width, depth in NECK:
        x, z = width * np.sin(AZIMUTHS), centre + depth * np.cos(AZIMUTHS)
        rings.append(np.stack([x, back + (front - back) * tilt, z], -1))
    # Under the chin the skin turns back at once, under the jaw's sides more roundly.
    chin = step(1.1, 0.35, AZIMUTHS)[:, None]
    keep = chin * (0.62, 0.70, 0.62) + (1 - chin) * (0.74, 0.60, 0.74)
    turn = edge * keep + rings[0] * (1 - keep)
    under = [(1 - t) ** 2 * edge + 2 * t * (1 - t) * turn + t * t * rings[0] for t in (0.22, 0.48, 0.75)]
    return np.stack([*under, *rings])


@cache
def left_half() -> Half:
    """The left half of the head's skin, midline and back included: rows down to the jaw's edge, then the neck's."""
    a, y = plan()
    warp_eye(a, y)
    warp_mouth(a, y)
    s = np.clip((y - CROWN_FROM) / (CROWN_TOP - CROWN_FROM), 0, 1)
    r = head_radius(a, np.minimum(y, CROWN_FROM)) * (1 - s**1.8) ** (1 / 1.8)
    r = r * (1 - 0.035 * step(-0.35, -0.9, y))  # jaws of photographs are narrower than those of the scans
    points = np.stack([r * np.sin(a), y, AXIS_Z - 0.28 * s**2 + r * np.cos(a)], -1)
    x = points[..., 0].copy()
    front = points[..., 2] > AXIS_Z
    points[..., 2] += np.where(front, _nose(x, y) + _details(x, y) + _lip_bulge(x[MOUTH_ROW]), 0)
    _lid_depth(points)
    neck = _neck(points[-1])
    below = JAW_EDGE[0] - 0.32 * np.arange(1, len(neck) + 1)[:, None] / len(neck)
    points = np.concatenate([points, neck])
    points[:, [0, -1], 0] = 0
    a = np.concatenate([a, np.broadcast_to(AZIMUTHS, neck.shape[:2])])
    return Half(points, a, np.concatenate([y, y[-1] - JAW_EDGE[0] + below + 0 * AZIMUTHS]))
