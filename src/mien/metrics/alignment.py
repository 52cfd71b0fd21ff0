"""Landmark errors. The normaliser is part of the metric's name: `nme_interocular` and `nme_bbox` do not compare."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError, nearest
from mien.core.landmarks import scheme_of

Points = Float[np.ndarray, "faces points 2"]
Normaliser = Literal["interocular", "interpupil", "bbox", "none"]
NORMALISERS = ("interocular", "interpupil", "bbox", "none")


def face_sizes(truth: Points, *, normaliser: Normaliser) -> Float[np.ndarray, " faces"]:
    """What a face's errors are divided by, from its true points.

    interocular: distance of the outer eye corners (300-W's protocol). interpupil: of the pupils. bbox: sqrt(w * h) of
    the tight box around all points (AFLW2000-3D's). none: 1, errors stay in pixels. Raises MienError for a face of
    size 0.
    """
    if normaliser not in NORMALISERS:
        raise MienError(f"No normaliser {normaliser!r}.{nearest(normaliser, NORMALISERS)}")
    if normaliser == "none":
        return np.ones(len(truth))
    if normaliser == "bbox":
        sizes = np.sqrt(np.ptp(truth, axis=-2).prod(-1))
    else:
        sizes = getattr(scheme_of(truth.shape[-2]), normaliser)(truth)
    if not np.all(sizes > 0):
        raise MienError(f"The NME is undefined: face {int(np.argmin(sizes > 0))} has {normaliser} size 0 or NaN.")
    return sizes


def errors(predicted: Points, truth: Points, *, normaliser: Normaliser) -> Float[np.ndarray, "faces points"]:
    """Distance of each point from its true place, over the face's size. Raises MienError without faces."""
    predicted, truth = np.asarray(predicted, float), np.asarray(truth, float)
    if predicted.shape != truth.shape or truth.ndim != 3 or len(truth) == 0:
        raise MienError(
            f"The NME needs two equal lists [faces, points, 2], not empty; got {predicted.shape} and {truth.shape}."
        )
    return np.linalg.norm(predicted - truth, axis=-1) / face_sizes(truth, normaliser=normaliser)[:, None]


def nme(predicted: Points, truth: Points, *, normaliser: Normaliser) -> float:
    """Normalised mean error: the mean over points, then over faces. A fraction: 0.04 is what papers print as 4 %."""
    return float(nme_per_face(predicted, truth, normaliser=normaliser).mean())


def nme_per_face(predicted: Points, truth: Points, *, normaliser: Normaliser) -> Float[np.ndarray, " faces"]:
    """Mean error of each face."""
    return errors(predicted, truth, normaliser=normaliser).mean(-1)


def nme_per_point(predicted: Points, truth: Points, *, normaliser: Normaliser) -> Float[np.ndarray, " points"]:
    """Mean error of each point over the faces."""
    return errors(predicted, truth, normaliser=normaliser).mean(0)


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


def _check(face_errors: np.ndarray, threshold: float) -> None:
    if len(face_errors) == 0 or not threshold > 0:
        raise MienError(f"Needs at least one face and a threshold above 0; got {len(face_errors)} and {threshold}.")
