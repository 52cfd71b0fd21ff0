"""Is a picture fit to be measured? Each check: its value, its limit, and a sentence for the person with the camera."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from mien.core.landmarks import SCHEME_68
from mien.core.records import FacePoints
from mien.runtime.asymmetry.frame import upright, yaw_deg
from mien.runtime.trust import quality

# In 2D a turn of 5 degrees already differs left from right by some percent; with depth it can be taken out further.
YAW_LIMIT_DEG, YAW_LIMIT_DEPTH_DEG, PITCH_LIMIT_DEG, ROLL_LIMIT_DEG = 5.0, 20.0, 15.0, 20.0
SMALLEST_PX = 80.0  # distance of the outer eye corners; one pixel is then about 1 mm
SHARPNESS_LIMIT = 0.010
CONFIDENCE_LIMIT, HIDDEN_LIMIT = 0.6, 3
_SIDE = 200  # sharpness is measured on the face brought to this size


@dataclass(frozen=True)
class Check:
    """A check of the picture's quality."""

    name: str
    """Of the check."""
    value: float | None
    """In `unit`; None where it could not be measured."""
    limit: float
    """In `unit`."""
    unit: str
    """Of value and limit."""
    passed: bool | None
    """None where it could not be checked."""
    sentence: str
    """Finding and advice."""


def check_quality(face: FacePoints, pixels: UInt8[np.ndarray, "height width 3"] | None = None) -> list[Check]:
    """Pose, size, sharpness, confidence, things before the face. Without pixels the sharpness is left open."""
    return [*_pose(face), _size(face), _sharp(face, pixels), _confident(face), _hidden(face)]


def failed(checks: Sequence[Check]) -> list[str]:
    return [check.sentence for check in checks if check.passed is False]


def sharpness(pixels: UInt8[np.ndarray, "height width 3"], face: FacePoints) -> float:
    """Of the face (runtime.quality), as far as its points reach, brought to 200 x 200 pixels."""
    (x0, y0), (x1, y1) = face.landmarks_px.min(0).tolist(), face.landmarks_px.max(0).tolist()
    grey = quality.grey_face(pixels, (x0, y0, x1 + 1, y1 + 1), side=_SIDE, least=8)
    return 0.0 if grey is None else quality.sharpness(grey)


def _pose(face: FacePoints) -> list[Check]:
    pitch, yaw, roll = (None, None, None) if face.pose_rad is None else np.degrees(face.pose_rad).tolist()
    if face.depth_px is not None:
        yaw = yaw_deg(upright(face))
    right, left = (face.landmarks_px[list(group)].mean(0) for group in ((36, 39), (42, 45)))
    if roll is None:
        roll = float(np.degrees(np.arctan2(left[1] - right[1], left[0] - right[0])))
    yaw_limit = YAW_LIMIT_DEG if face.depth_px is None else YAW_LIMIT_DEPTH_DEG
    angles = {
        "yaw": (yaw, yaw_limit, "The head is turned to one side: the nose must point at the lens."),
        "pitch": (pitch, PITCH_LIMIT_DEG, "The head is raised or lowered: hold the lens at the height of the eyes."),
        "roll": (roll, ROLL_LIMIT_DEG, "The head is tilted: keep the eyes level."),
    }
    return [_within(name, value, limit, "deg", sentence) for name, (value, limit, sentence) in angles.items()]


def _within(name: str, value: float | None, limit: float, unit: str, sentence: str) -> Check:
    if value is None:
        return Check(name, None, limit, unit, None, f"The {name} of the head could not be measured.")
    passed = abs(value) <= limit
    return Check(name, float(value), limit, unit, passed, "" if passed else sentence)


def _size(face: FacePoints) -> Check:
    size = float(SCHEME_68.interocular(np.asarray(face.landmarks_px, float)))
    passed = size >= SMALLEST_PX
    sentence = "" if passed else "The face is too small: come closer, or use the camera's full resolution."
    return Check("size", size, SMALLEST_PX, "px", passed, sentence)


def _sharp(face: FacePoints, pixels: np.ndarray | None) -> Check:
    if pixels is None:
        return Check("sharpness", None, SHARPNESS_LIMIT, "", None, "The sharpness could not be measured.")
    value = sharpness(pixels, face)
    passed = value >= SHARPNESS_LIMIT
    sentence = "" if passed else "The picture is blurred: hold still, more light, focus on the eyes."
    return Check("sharpness", value, SHARPNESS_LIMIT, "", passed, sentence)


def _confident(face: FacePoints) -> Check:
    """The least of the regions' means: one bad region spoils the comparison. Not the jaw's, which nearly no measure
    needs: people who mark faces differ by so much there that it is never sure."""
    if face.confidence is None:
        return Check("confidence", None, CONFIDENCE_LIMIT, "", None, "The reader states no confidence.")
    means = quality.region_confidence(face)
    worst = min(means, key=lambda name: means[name])
    passed = means[worst] >= CONFIDENCE_LIMIT
    sentence = "" if passed else f"The points of the {worst.replace('_', ' ')} are uncertain: measures there are too."
    return Check("confidence", means[worst], CONFIDENCE_LIMIT, "", passed, sentence)


def _hidden(face: FacePoints) -> Check:
    """Points inside the face (all but the jaw) that are more likely hidden than not."""
    hidden = quality.hidden_points(face)
    if hidden is None:
        return Check("hidden points", None, HIDDEN_LIMIT, "points", None, "The reader does not say what is hidden.")
    passed = len(hidden) <= HIDDEN_LIMIT
    names = [name.replace("_", " ") for name, points in SCHEME_68.regions.items() if set(points) & set(hidden.tolist())]
    sentence = "" if passed else f"Something hides the {', '.join(names)}: hair, hand, glasses or mask away."
    return Check("hidden points", float(len(hidden)), HIDDEN_LIMIT, "points", passed, sentence)
