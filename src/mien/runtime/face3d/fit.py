"""A 3D face fitted to the 68 landmarks of a photo and their depths: the most probable one.

The landmarks are taken as those of the 3D face with Gaussian errors, and its parameters as those of the synthetic
people (mean and covariance of their shapes and action units). Given the head's pose the answer is a linear system;
pose and parameters are solved for by turns. Bounds (action units, lids and jaw at least 0) by leaving out what violates
them.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.face3d import Face3D, FaceInCrop, axis_angle_of
from mien.core.geometry import fit_similarity
from mien.core.records import FacePoints
from mien.runtime.face3d.parameters import placed
from mien.synthetic.face import open_face
from mien.synthetic.face.expressions import EXPRESSIONS, sample_action_units

ROUNDS, BOUND_ROUNDS = 6, 5
MOST_SHAPES, MOST_EXPRESSIONS = 100, 60
_ERROR_M, _DEPTH_ERROR_M = 0.002, 0.008  # of a landmark of the face across, and of its depth
_CONTOUR_ERROR_M = 0.005  # of the jaw's outline, which slides on a turned face
_STEP = 0.1
_SAMPLES = 1200
# Added to the deviations of synthetic people: sides of a face may differ by more than theirs, and an eye may wink.
_LOOSER = {"expression": 0.05, "jaw": 0.03, "lids": 0.3}
JAW_AND_LIDS = 5


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known of a face before its photo: rows of shape, expression, jaw, lids."""

    mean: Float[np.ndarray, " parameters"]
    """Of the rows."""
    precision: Float[np.ndarray, "parameters parameters"]
    """Inverse covariance."""
    least: Float[np.ndarray, " parameters"]
    """Lower bounds; -inf for none."""
    most: Float[np.ndarray, " parameters"]
    """Upper bounds."""


class LandmarkFit:
    """Fits one 3D face model. One object may be used from many threads."""

    def __init__(self, face: Face3D) -> None:
        self.face = face
        self.shapes, self.expressions = min(face.shape_count, MOST_SHAPES), min(face.expression_count, MOST_EXPRESSIONS)
        self.small = face.landmarks_only()
        self.mean_points = self._points(np.zeros(self._count))
        self.basis = self._linear_basis()
        self.prior = prior_of(face, shapes=self.shapes, expressions=self.expressions)

    @property
    def _count(self) -> int:
        return self.shapes + self.expressions + JAW_AND_LIDS

    def __call__(self, points: FacePoints, *, size: int) -> FaceInCrop:
        """The face in a crop of that side. Raises MienError for points that are not 68, without depth or extent."""
        observed = self.checked(points)
        row = self.prior.mean.copy()
        for _ in range(ROUNDS):
            scale, turn, shift = fit_similarity(self._points(row), observed)
            row = self._solved((observed - shift) @ turn / scale, turn)
        return self.in_crop(row, points, size=size)

    def checked(self, points: FacePoints) -> Float[np.ndarray, "68 3"]:
        """Landmarks with y up and z to the viewer, pixels. Raises MienError for others than 68 with their depths."""
        if len(points.landmarks_px) != len(self.mean_points) or points.depth_px is None:
            depth = "no depths" if points.depth_px is None else "depths"
            raise MienError(
                f"A 3D face is fitted to 68 landmarks and their depths; got {len(points.landmarks_px)}, {depth}."
            )
        return _observed(points)

    def in_crop(self, row: Float[np.ndarray, " parameters"], points: FacePoints, *, size: int) -> FaceInCrop:
        """The face of that row, turned and placed as its landmarks lie in the photo."""
        _, turn, _ = fit_similarity(self._points(row), _observed(points))
        first, second, values = self.shapes, self.shapes + self.expressions, row.astype(np.float32)
        return placed(
            self.small, points.landmarks_px, size=size, pose=axis_angle_of(turn).astype(np.float32),
            shape=values[:first], expression=values[first:second], jaw=values[-5:-2], lids=values[-2:],
        )  # fmt: skip

    def _points(self, row: np.ndarray) -> Float[np.ndarray, "68 3"]:
        return self.small.landmarks(_vertices(self.small, row[None], self.shapes))[0].astype(float)

    def _solved(self, wanted: np.ndarray, turn: np.ndarray) -> Float[np.ndarray, " parameters"]:
        """The most probable row for landmarks in the head's frame."""
        prior = self.prior
        weights = _weights(turn)
        weighted = np.einsum("lij,ljp->lip", weights, self.basis)
        normal = np.einsum("lip,liq->pq", self.basis, weighted) + prior.precision
        right = np.einsum("lip,li->p", weighted, wanted - self.mean_points) + prior.precision @ prior.mean
        row, fixed = np.zeros(len(right)), np.zeros(len(right), bool)
        for _ in range(BOUND_ROUNDS):
            free = ~fixed
            row[free] = np.linalg.solve(
                normal[np.ix_(free, free)], right[free] - normal[np.ix_(free, fixed)] @ row[fixed]
            )
            beyond = free & ((row < prior.least) | (row > prior.most))
            row = np.clip(row, prior.least, prior.most)
            if not beyond.any():
                break
            fixed |= beyond
        return row

    def _linear_basis(self) -> Float[np.ndarray, "68 3 parameters"]:
        """What each parameter does to the landmarks, about the mean face."""
        steps = _STEP * np.eye(self._count)
        moved = self.small.landmarks(_vertices(self.small, steps, self.shapes)).astype(float) - self.mean_points
        return np.ascontiguousarray(moved.transpose(1, 2, 0)) / _STEP


def _observed(points: FacePoints) -> Float[np.ndarray, "68 3"]:
    """Landmarks with y up and z to the viewer, pixels."""
    assert points.depth_px is not None
    return np.column_stack([points.landmarks_px * (1.0, -1.0), points.depth_px]).astype(float)


def _weights(turn: np.ndarray) -> Float[np.ndarray, "68 3 3"]:
    """Inverse covariance of each landmark in the head's frame, 1 / metre^2."""
    across = np.full(68, _ERROR_M)
    across[:17] = _CONTOUR_ERROR_M
    along = np.maximum(across, _DEPTH_ERROR_M)
    in_picture = np.stack([across, across, along], 1) ** -2
    return np.einsum("ia,li,ib->lab", turn, in_picture, turn)


def _vertices(face: Face3D, rows: np.ndarray, shapes: int) -> np.ndarray:
    return face.vertices(rows[:, :shapes], rows[:, shapes:-5], jaw=rows[:, -5:-2], lids=rows[:, -2:])


def prior_of(face: Face3D, *, shapes: int, expressions: int) -> Prior:
    """Of the open face, that of the synthetic people; of others, independent parameters of usual size."""
    count = shapes + expressions + JAW_AND_LIDS
    mean, covariance = np.zeros(count), np.eye(count)
    units = face.name == open_face.NAME
    own = slice(shapes, None)
    if units:
        mean[own], covariance[own, own] = _expression_statistics()
    else:
        covariance[-5:, -5:] = np.diag([0.2, 0.03, 0.03, 0.2, 0.2]) ** 2
    least, most = np.full(count, -4.0), np.full(count, 4.0)
    if units:
        least[own], most[own] = 0.0, 1.0
    least[-5:], most[-5:] = (0.0, -0.2, -0.2, 0.0, 0.0), (0.7, 0.2, 0.2, 1.0, 1.0)
    return Prior(mean, np.linalg.inv(covariance), least, most)


@cache
def _expression_statistics() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of expression, jaw and lids of synthetic people, from seed 0."""
    rng = np.random.Generator(np.random.PCG64(0))
    names = [EXPRESSIONS[i % len(EXPRESSIONS)] for i in range(_SAMPLES)]
    units = [sample_action_units(name, float(rng.random()), rng=rng) for name in names]
    expression, jaw, lids = open_face.parameters_of(units)
    rows = np.concatenate([expression, jaw, lids], axis=1).astype(float)
    looser = np.repeat(list(_LOOSER.values()), (expression.shape[1], 3, 2))
    return rows.mean(0), np.cov(rows.T) + np.diag(looser**2)
