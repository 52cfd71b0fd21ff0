"""Landmark errors. The normaliser is part of the metric's name: `nme_interocular` and `nme_bbox` do not compare.

Values are fractions: 0.04 is what papers print as 4 %. published_alignment.py has the published evaluator's own lines.
"""

from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError, nearest
from mien.core.landmarks import scheme_of

Points = Float[np.ndarray, "faces points dims"]
Normaliser = Literal["interocular", "interpupil", "corners", "bbox", "none"]
NORMALISERS: tuple[Normaliser, ...] = ("interocular", "interpupil", "corners", "bbox", "none")
# AFLW2000-3D's protocol: as many faces of each range make the mean of the three an honest one. Zhu et al., CVPR 2016.
YAW_EDGES_DEG = (0.0, 30.0, 60.0, 90.0)
_INNER_CORNERS = {68: (39, 42), 84: (55, 58), 98: (64, 68)}


def face_sizes(truth: Points, *, normaliser: Normaliser) -> Float[np.ndarray, " faces"]:
    """What a face's errors are divided by, from its true points.

    interocular: distance of the outer eye corners (300-W's protocol). interpupil: of the pupils. corners: mean of the
    distances of the outer and of the inner eye corners, which the published evaluator calls "pupil". bbox: sqrt(w * h)
    of the tight box around all points in x and y (AFLW2000-3D's). none: 1, errors stay in pixels. Of points in 3D the
    distances are in 3D too. Raises MienError for a face of size 0.
    """
    if normaliser not in NORMALISERS:
        raise MienError(f"No normaliser {normaliser!r}.{nearest(normaliser, NORMALISERS)}")
    if normaliser == "none":
        return np.ones(len(truth))
    if normaliser == "bbox":
        sizes = np.sqrt(np.ptp(truth[..., :2], axis=-2).prod(-1))
    elif normaliser == "corners":
        sizes = (scheme_of(truth.shape[-2]).interocular(truth) + _inner(truth)) / 2
    else:
        sizes = getattr(scheme_of(truth.shape[-2]), normaliser)(truth)
    if not np.all(sizes > 0):
        raise MienError(f"The NME is undefined: face {int(np.argmin(sizes > 0))} has {normaliser} size 0 or NaN.")
    return sizes


def errors(predicted: Points, truth: Points, *, normaliser: Normaliser) -> Float[np.ndarray, "faces points"]:
    """Distance of each point from its true place, over the face's size. Raises MienError without faces."""
    predicted, truth = np.asarray(predicted, float), np.asarray(truth, float)
    _check_points(predicted, truth)
    return np.linalg.norm(predicted - truth, axis=-1) / face_sizes(truth, normaliser=normaliser)[:, None]


def nme(predicted: Points, truth: Points, *, normaliser: Normaliser) -> float:
    """Normalised mean error: the mean over points, then over faces."""
    return float(nme_per_face(predicted, truth, normaliser=normaliser).mean())


def nme_per_face(predicted: Points, truth: Points, *, normaliser: Normaliser) -> Float[np.ndarray, " faces"]:
    """Mean error of each face."""
    return errors(predicted, truth, normaliser=normaliser).mean(-1)


def depth_aligned(predicted: Points, truth: Points) -> Points:
    """The predicted points [faces, points, 3] moved in z, so that their mean z is the truth's; not turned or scaled."""
    _check_points(predicted, truth)
    if truth.shape[-1] != 3:
        raise MienError(f"An error in 3D needs x, y and z of each point; got {truth.shape[-1]} numbers.")
    moved = np.array(predicted, float)
    moved[..., 2] += (truth[..., 2].mean(-1) - moved[..., 2].mean(-1))[..., None]
    return moved


def nme_3d(predicted: Points, truth: Points, *, normaliser: Normaliser = "interocular") -> float:
    """Mean distance in 3D after `depth_aligned`, over the face's size in 3D. Only depth within the face counts."""
    return nme(depth_aligned(predicted, truth), truth, normaliser=normaliser)


def sides(points: int) -> dict[str, tuple[int, ...]]:
    """The points of the person's right and left half, without those on the midline."""
    pairs = scheme_of(points).mirror_pairs
    return {"right": tuple(a for a, _ in pairs), "left": tuple(b for _, b in pairs)}


def yaw_ranges(
    yaw_rad: Float[np.ndarray, " faces"], *, edges_deg: tuple[float, ...] = YAW_EDGES_DEG
) -> dict[str, np.ndarray]:
    """Places of the faces by how far the head is turned either way: `0-30` holds 0 <= |yaw| <= 30 degrees.

    An edge belongs to the lower range, what is beyond the last edge to the last; ranges without faces are left out.
    """
    turned = np.abs(np.rad2deg(np.asarray(yaw_rad, float)))
    number = np.clip(np.searchsorted(edges_deg, turned, side="left") - 1, 0, len(edges_deg) - 2)
    names = [f"{low:g}-{high:g}" for low, high in pairwise(edges_deg)]
    return {name: np.flatnonzero(number == k) for k, name in enumerate(names) if np.any(number == k)}


def failure_rate(face_errors: Float[np.ndarray, " faces"], *, threshold: float) -> float:
    """Share of faces whose error is above the threshold: `fr@10` is threshold 0.10."""
    _check(face_errors, threshold)
    return float((np.asarray(face_errors) > threshold).mean())


def auc(face_errors: Float[np.ndarray, " faces"], *, threshold: float) -> float:
    """Area under the cumulative error distribution up to the threshold, over the threshold: `auc@10` is 0.10.

    Exact, without a grid: a face with error e <= threshold adds 1 - e / threshold.
    """
    _check(face_errors, threshold)
    return float(np.maximum(1 - np.asarray(face_errors, float) / threshold, 0).mean())


def _inner(truth: Points) -> Float[np.ndarray, " faces"]:
    """Distance of the inner eye corners."""
    if truth.shape[-2] not in _INNER_CORNERS:
        raise MienError(f"The {scheme_of(truth.shape[-2]).name} scheme has no inner eye corners.")
    right, left = _INNER_CORNERS[truth.shape[-2]]
    return np.linalg.norm(truth[..., right, :] - truth[..., left, :], axis=-1)


def _check_points(predicted: Points, truth: Points) -> None:
    if np.shape(predicted) != np.shape(truth) or np.ndim(truth) != 3 or len(truth) == 0:
        raise MienError(
            f"The NME needs two equal lists [faces, points, 2], not empty; "
            f"got {np.shape(predicted)} and {np.shape(truth)}."
        )
    if not np.isfinite(predicted).all():
        raise MienError("The NME is undefined: a predicted point is NaN or infinite.")


def _check(face_errors: np.ndarray, threshold: float) -> None:
    if len(face_errors) == 0 or not threshold > 0:
        raise MienError(f"Needs at least one face and a threshold above 0; got {len(face_errors)} and {threshold}.")
    if np.isnan(face_errors).any():  # is not above a threshold, and would count as a success
        raise MienError("Errors of faces compare with a threshold where they are numbers; one is NaN.")
