"""Where a head is turned, from its 68 points.

Signs: pitch > 0 looks up, yaw > 0 turns the face to the viewer's right, roll > 0 tilts it clockwise as seen. A head
turns by yaw first, then pitch, then roll (intrinsic angles of 300-W-LP's kind, with its yaw's sign turned round).
The angles are against the line from the camera to the face, for 2D points under the assumption that the camera is a
metre away. The neutral face is that of our own synthetic people (core/neutral_face.json).
"""

import json
from functools import cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from mien.core.geometry import fit_similarity

# What neither speech nor lids move: brows, nose, eye corners.
RIGID = (*range(17, 36), 36, 39, 42, 45)
# Beside the ears and free of the jaw's opening; on the side that is turned away they are hidden, and annotators of 2D
# points put them on the silhouette: then they are left out.
RIGHT_JAW, LEFT_JAW = tuple(range(6)), tuple(range(16, 10, -1))
_TURNED_AWAY_RAD = np.radians(20)
_DISTANCE_M = 1.0
_TO_VIEWER = np.diag([1.0, -1.0, -1.0])  # OpenCV's camera looks along +z with y down

Angles = tuple[float, float, float]


@cache
def neutral_face() -> Float[np.ndarray, "68 3"]:
    """Metres: x to the viewer's right, y up, z towards the viewer."""
    text = resources.files("mien.core").joinpath("neutral_face.json").read_text(encoding="utf-8")
    return np.array(json.loads(text)["points"]) / 1000


def head_pose(
    landmarks_px: Float[np.ndarray, "68 2"], depth_px: Float[np.ndarray, "68"] | None = None
) -> Angles | None:
    """Pitch, yaw, roll in radians; None for points that do not make a face (all in one place, or on a line)."""
    points = np.asarray(landmarks_px, float)
    spread = points - points.mean(0)
    if not np.isfinite(points).all() or np.linalg.svd(spread, compute_uv=False)[-1] < 1e-6 * max(np.ptp(points), 1e-9):
        return None
    if depth_px is not None:
        solid = np.column_stack([points[:, 0], -points[:, 1], np.asarray(depth_px, float)])
        return angles_of(fit_similarity(neutral_face()[list(RIGID)], solid[list(RIGID)])[1])
    rotation = _solved(points, RIGID)
    if rotation is None:
        return None
    yaw = angles_of(rotation)[1]
    visible = RIGID + (RIGHT_JAW if yaw > -_TURNED_AWAY_RAD else ()) + (LEFT_JAW if yaw < _TURNED_AWAY_RAD else ())
    better = _solved(points, visible)
    return angles_of(rotation if better is None else better)


def angles_of(rotation: Float[np.ndarray, "3 3"]) -> Angles:
    """Pitch, yaw, roll of a rotation of columns (x to the viewer's right, y up, z towards the viewer)."""
    pitch = np.arcsin(np.clip(-rotation[2, 1], -1, 1))
    yaw = np.arctan2(-rotation[2, 0], rotation[2, 2])
    return float(pitch), float(yaw), float(np.arctan2(rotation[0, 1], rotation[1, 1]))


def rotation_of(
    pitch: float | Float[np.ndarray, "*n"], yaw: float | Float[np.ndarray, "*n"], roll: float | Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n 3 3"]:
    """The rotation with these angles (radians), or one for each; the way back from `angles_of`."""
    (cp, sp), (cy, sy), (cr, sr) = ((np.cos(angle), np.sin(angle)) for angle in map(np.asarray, (pitch, yaw, roll)))
    zero, one = np.zeros_like(cp), np.ones_like(cp)

    def matrix(*rows: tuple[Any, ...]) -> np.ndarray:
        return np.stack([np.stack(row, -1) for row in rows], -2)

    about_y = matrix((cy, zero, sy), (zero, one, zero), (-sy, zero, cy))
    about_x = matrix((one, zero, zero), (zero, cp, sp), (zero, -sp, cp))
    about_z = matrix((cr, sr, zero), (-sr, cr, zero), (zero, zero, one))
    return np.asarray(about_z @ about_x @ about_y)


def _solved(points: Float[np.ndarray, "68 2"], among: tuple[int, ...]) -> Float[np.ndarray, "3 3"] | None:
    """The turn of the neutral face whose picture, by a camera aimed at these points, is nearest to them.

    SQPnP (Terzakis and Lourakis, ECCV 2020), then Levenberg and Marquardt's refinement; None where it finds none.
    """
    chosen = list(among)
    solid, flat = neutral_face()[chosen], points[chosen] - points[chosen].mean(0)
    metres_high = np.ptp(solid[:, 1])
    focal = _DISTANCE_M * max(np.ptp(flat[:, 0]), np.ptp(flat[:, 1])) / max(metres_high, np.ptp(solid[:, 0]))
    camera = np.array([[focal, 0, 0], [0, focal, 0], [0, 0, 1]])
    try:
        found, turn, shift = cv2.solvePnP(solid, flat, camera, None, flags=cv2.SOLVEPNP_SQPNP)
        if not found:
            return None
        turn, _ = cv2.solvePnPRefineLM(solid, flat, camera, None, turn, shift)
    except cv2.error:
        return None
    return _TO_VIEWER @ cv2.Rodrigues(turn)[0]
