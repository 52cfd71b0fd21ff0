"""The open 3D face of the shipped landmark model's points: a linear regression that knows how these points err.

Points and depths, brought to the mean face by a similarity, give shape, action units, jaw and lids at once (ridge
regression on synthetic people; `benchmarks/face3d.py train` made the weights). The fit of fit.py assumes independent
errors of points; here it is measured which of their differences say something about a face.
"""

from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mien.core.face3d import Face3D, FaceInCrop
from mien.core.geometry import fit_similarity
from mien.core.records import FacePoints
from mien.runtime.face3d.fit import LandmarkFit
from mien.synthetic.face import open_face

FILE = Path(__file__).with_name("open_face_of_points.npz")
RIDGE = 0.03  # of the mean square of a feature
UPPER_LIP, LOWER_LIP = [61, 62, 63], [67, 66, 65]  # landmarks inside the lips, one above the other
GAP_ERROR_M, GAP_ROUNDS = 0.0007, 3
LIDS = 2


class PointRegression(LandmarkFit):
    """As LandmarkFit, for the points of one landmark model and the open face."""

    def __init__(self, face: Face3D) -> None:
        super().__init__(face)
        moving = slice(self.shapes, self._count - LIDS)
        covariance = np.zeros_like(self.prior.precision)
        covariance[moving, moving] = np.linalg.inv(self.prior.precision)[moving, moving]
        gaps = self.basis[UPPER_LIP, 1] - self.basis[LOWER_LIP, 1]  # [3, parameters]
        self._of_gaps = covariance @ gaps.T @ np.linalg.inv(gaps @ covariance @ gaps.T + GAP_ERROR_M**2 * np.eye(3))

    def __call__(self, points: FacePoints, *, size: int) -> FaceInCrop:
        observed = self.checked(points)
        arrays = _weights()
        row = self._bounded(arrays["intercept"] + features(self.mean_points, observed) @ arrays["weights"])
        for _ in range(GAP_ROUNDS):
            row = self._bounded(row + self._of_gaps @ self._gaps_missing(row, observed))
        return self.in_crop(row, points, size=size)

    def _bounded(self, row: Float[np.ndarray, " parameters"]) -> Float[np.ndarray, " parameters"]:
        return np.clip(row, self.prior.least, self.prior.most)

    def _gaps_missing(self, row: np.ndarray, observed: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "3"]:
        """How much farther apart the lips are in the picture than in the face of that row, metres.

        A regression gives every face some of the average's open mouth; closed lips must be closed.
        """
        own = self._points(row)
        scale, turn, shift = fit_similarity(own, observed)
        there = (observed - shift) @ turn / scale
        return (there[UPPER_LIP, 1] - there[LOWER_LIP, 1]) - (own[UPPER_LIP, 1] - own[LOWER_LIP, 1])


def features(mean_points: Float[np.ndarray, "68 3"], observed: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "204"]:
    """How the points differ from the mean face's after the similarity that fits them to it best, in mm."""
    scale, turn, shift = fit_similarity(mean_points, observed)
    return (1000 * ((observed - shift) @ turn / scale - mean_points)).ravel()


def fit_of(face: Face3D, landmark_model: str) -> LandmarkFit:
    """The regression where it is of that face and of that landmark model (its id), else the fit."""
    known = face.name == open_face.NAME and str(_weights()["landmark_model"]) == landmark_model
    return PointRegression(face) if known else LandmarkFit(face)


@cache
def _weights() -> dict[str, np.ndarray]:
    with np.load(FILE, allow_pickle=False) as file:
        return {name: file[name].astype(float) if file[name].dtype.kind == "f" else file[name] for name in file.files}


def trained(
    features: Float[np.ndarray, "faces 204"], rows: Float[np.ndarray, "faces parameters"], *, landmark_model: str
) -> dict[str, np.ndarray]:
    """What FILE holds, of faces whose parameters are known."""
    mean, rows_mean = features.mean(0), rows.mean(0)
    centred = features - mean
    cost = RIDGE * len(features) * (centred**2).mean() * np.eye(centred.shape[1])
    weights = np.linalg.solve(centred.T @ centred + cost, centred.T @ (rows - rows_mean)).astype(np.float16)
    return {
        "landmark_model": np.array(landmark_model), "weights": weights,
        "intercept": (rows_mean - mean @ weights.astype(float)).astype(np.float32),
    }  # fmt: skip
