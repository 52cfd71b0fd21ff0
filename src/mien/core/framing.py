"""Which box a face's points stand for: the rectangle around them, ParFace's square, or about a detector's box; and the
turned squares of FFHQ and of face recognisers.

A network must be shown faces cut out as it learned them; PictureInput.point_box names which of these it was.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.geometry import Crop, crop_of_box, fit_similarity
from mien.core.landmarks import to_5, to_68
from mien.core.records import Box
from mien.core.spec import PictureInput

_ABOVE, _BELOW = 0.25, 0.15  # of the points' height
_TOWARDS_CHIN = 0.25
# Of the rectangle around 68 points, in the root mean squared distance of five points from their mean.
_AGAINST_NOSE, _HALF_WIDTH, _TOP, _BOTTOM = -1.62, 1.82, 1.46, 2.04
# Published: the square, enlarged by the root of 2, becomes 363 pixels, of which the middle 256 are seen.
_MIDDLE = 256 * np.sqrt(2) / 363

# Eyes, nose tip and mouth corners in shares of the side: the 112-pixel template that ArcFace (Deng et al., CVPR 2019)
# and its successors align to.
_ARCFACE_PX = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
FIVE_POINTS = (np.array(_ARCFACE_PX) + 0.5) / 112


def box_of(landmarks_px: Float[np.ndarray, "points 2"]) -> Box:
    """The upright rectangle around the points' centres, in edge coordinates."""
    (x0, y0), (x1, y1) = landmarks_px.min(0) + 0.5, landmarks_px.max(0) + 0.5
    return float(x0), float(y0), float(x1), float(y1)


def landmark_box(landmarks_px: Float[np.ndarray, "points 2"]) -> Box:
    """The square that ParFace's landmark crop shows, in edge coordinates; 68, 84 or 98 points.

    h is the height of the points; the square has 1.4 h as its side (0.25 h above them, 0.15 h below), times 0.9973. Its
    middle lies on a quarter of the way from the eyes (the mean of their corners) to the chin, across. The published
    code rounds the edges down to whole pixels; here they are exact. Points with x <= 0 do not count for h: lists pad
    with zeros. Raises MienError for other points, and for points without height.
    """
    points = to_68(np.asarray(landmarks_px, float))
    eyes, chin = points[[36, 39, 42, 45]].mean(0), points[8]
    across = (eyes + _TOWARDS_CHIN * (chin - eyes))[0]
    counted = points[points[:, 0] > 0] if (points[:, 0] > 0).any() else points
    top, bottom = counted[:, 1].min(), counted[:, 1].max()
    height = bottom - top
    if not height > 0:
        raise MienError("A face's points that all lie on one line across have no landmark crop.")
    middle = (top - _ABOVE * height + bottom + _BELOW * height) / 2
    half = (1 + _ABOVE + _BELOW) * height * _MIDDLE / 2
    x, y = float(across) + 0.5, float(middle) + 0.5
    return x - float(half), y - float(half), x + float(half), y + float(half)


def detector_box(landmarks_px: Float[np.ndarray, "points 2"]) -> Box:
    """About the box that dlib's detector gives a face with these points, in edge coordinates.

    A square with the longer side of the points' rectangle; its middle lies 0.11 heights above the rectangle's.
    Measured on 244 faces of 300-W; dlib's own spread about it by 8 % of a side across and in size, 5 % up and down.
    """
    low, high = np.asarray(landmarks_px, float).min(0), np.asarray(landmarks_px, float).max(0)
    width, height = (float(value) for value in high - low)
    half = max(width, height) / 2
    x, y = float(low[0]) + width / 2 + 0.5, float(low[1]) + (0.5 - 0.11) * height + 0.5
    return x - half, y - half, x + half, y + half


def rectangle_of_five(five_px: Float[np.ndarray, "5 2"]) -> tuple[Float[np.ndarray, "2 2"], float]:
    """Opposite corners of about the rectangle around a face's 68 points, upright as its eyes, and its roll, radians.

    five_px: eyes, nose, corners of the mouth, as YuNet gives them. The corners are in the frame turned by the roll. The
    nose stands out of a turned head, so the rectangle's middle lies on its other side. Measured on 293 faces of 300-W:
    mean errors of 2 to 4 % of the rectangle's height. Raises MienError for points in one place.
    """
    right, left = np.asarray(five_px, float)[:2]
    roll = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
    upright = np.asarray(five_px, float) @ rotation(roll)
    middle = upright.mean(0)
    radius = float(np.sqrt(((upright - middle) ** 2).sum(1).mean()))
    if not radius > 0:
        raise MienError("Five points of a face that all lie in one place frame no face.")
    across = _AGAINST_NOSE * (upright[2, 0] - upright[[0, 1, 3, 4], 0].mean())
    half, above, below = _HALF_WIDTH * radius, _TOP * radius, _BOTTOM * radius
    return middle + np.array([[across - half, -above], [across + half, below]]), roll


def crop_of_upright(upright_px: Float[np.ndarray, "points 2"], spec: PictureInput, *, roll_rad: float) -> Crop:
    """The crop that training makes of a face with these points, turned by the roll.

    upright_px: in the frame turned by the roll, `points @ rotation(roll_rad)`. Raises MienError for points that all lie
    in one place.
    """
    x0, y0, x1, y1 = POINT_BOXES[spec.point_box](upright_px)
    if not (x1 - x0 > 1e-3 and y1 - y0 > 1e-3):
        raise MienError("Points of a face that all lie in one place frame no face.")
    middle = rotation(roll_rad) @ np.array([(x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5]) + 0.5
    half = np.array([(x1 - x0) / 2, (y1 - y0) / 2])
    return crop_of_box((*(middle - half).tolist(), *(middle + half).tolist()), spec, roll_rad=roll_rad)


def rotation(roll_rad: float) -> Float[np.ndarray, "2 2"]:
    """Turns columns clockwise as seen (y down), and rows counter-clockwise."""
    cosine, sine = np.cos(roll_rad), np.sin(roll_rad)
    return np.array([[cosine, -sine], [sine, cosine]])


def ffhq_crop(landmarks_px: Float[np.ndarray, "points 2"], *, size: int) -> Crop:
    """The turned square that FFHQ's pictures show of a face, as a crop of `size` pixels; 5, 68, 84 or 98 points.

    Karras et al., CVPR 2019, appendix A. Its upper side is parallel to the mean of the line between the eyes and the
    perpendicular of the line from the eyes to the mouth; its half side is the larger of 2 eye distances and 1.8
    distances from the eyes to the mouth; its centre lies a tenth of that distance below the eyes. The release blurs
    what lies outside of the picture; here the border continues, as in every crop. Raises MienError for other points,
    and where eyes and mouth fall together.
    """
    right, left, _, *mouth = _five(landmarks_px)
    eyes, mouth_middle = (right + left) / 2, (mouth[0] + mouth[1]) / 2
    across, down = left - right, mouth_middle - eyes
    direction = across + np.array([down[1], -down[0]])  # `down` turned by a quarter is parallel to `across`
    length = float(np.hypot(*direction))
    half = max(2.0 * float(np.hypot(*across)), 1.8 * float(np.hypot(*down)))
    if not (length > 0 and half > 0):
        raise MienError("A face whose eyes and mouth fall together cannot be aligned.")
    x, y = (float(value) for value in eyes + 0.1 * down + 0.5)
    roll_rad = float(np.arctan2(direction[1], direction[0]))
    return Crop((x, y), (2 * half, 2 * half), size, roll_rad)


def template_crop(landmarks_px: Float[np.ndarray, "points 2"], *, size: int) -> Crop:
    """The turned square that brings five points nearest to ArcFace's template; 5, 68, 84 or 98 points.

    Raises MienError for other points, and for points that frame no face.
    """
    scale, turn, shift = fit_similarity(FIVE_POINTS, _five(landmarks_px) + 0.5)
    x, y = (scale * turn @ np.array([0.5, 0.5]) + shift).tolist()
    return Crop((x, y), (scale, scale), size, float(np.arctan2(turn[1, 0], turn[0, 0])))


def _five(landmarks_px: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "5 2"]:
    points = np.asarray(landmarks_px, float)
    return points if len(points) == 5 else to_5(points)


POINT_BOXES: dict[str, Callable[[Float[np.ndarray, "points 2"]], Box]] = {
    "rectangle": box_of,
    "landmarks": landmark_box,
    "detector": detector_box,
}
