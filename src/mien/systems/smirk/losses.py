"""What stage 1 minimises, term by term; the parameters of a face stand in a row: shape, expression, jaw, lids."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mien.core.face3d import Face3D
from mien.nn.face3d.smirk import FaceParameters

Row = Float[Tensor, "batch parameters"]
JAW_AND_LIDS = 5
_STEP = 0.1  # radians of the jaw and shares of the lids, over which their effect is taken as linear


def row_of(found: FaceParameters) -> Row:
    """As `Batch.face3d` holds them."""
    return torch.cat([found.shape, found.expression, found.jaw, found.lids], dim=1)


def vertex_metric(
    face: Face3D, *, shapes: int, expressions: int, similarity: float = 1.0
) -> Float[np.ndarray, "parameters parameters"]:
    """G, so that d' G d is the mean squared distance in mm of the shown vertices of two faces whose rows differ by d:
    exact for shape and expression, linear about the mean face for jaw and lids. float32.

    similarity: share that counts of what moving, turning and scaling the mean face would take away.
    """
    seen = np.unique(face.render_triangles)
    count = shapes + expressions + JAW_AND_LIDS
    steps = _STEP * np.eye(count, dtype=np.float32)
    rows = face.vertices(
        steps[:, :shapes], steps[:, shapes : shapes + expressions], jaw=steps[:, -5:-2], lids=steps[:, -2:]
    )[:, seen]
    mean = face.vertices(np.zeros((1, 0), np.float32), np.zeros((1, 0), np.float32))[:, seen]
    moved = 1000 * ((rows - mean) / _STEP).reshape(count, -1).astype(np.float64)
    alike = moved @ _similarities(mean[0].astype(np.float64)).T
    metric: np.ndarray = (moved @ moved.T - (1 - similarity) * alike @ alike.T) / len(seen)
    return metric.astype(np.float32)


def _similarities(vertices: Float[np.ndarray, "vertices 3"]) -> Float[np.ndarray, "7 coordinates"]:
    """Orthonormal displacements that move, turn or scale these vertices."""
    centred, axes = vertices - vertices.mean(0), np.eye(3)
    fields = [np.broadcast_to(axis, centred.shape) for axis in axes]
    fields += [np.cross(axis, centred) for axis in axes] + [centred]
    return np.linalg.qr(np.stack([field.ravel() for field in fields], 1))[0].T


def vertex_distance(predicted: Row, truth: Row, metric: Float[Tensor, "parameters parameters"]) -> Float[Tensor, ""]:
    """Mean over the faces with a known truth of the squared distance of a vertex, mm^2; 0 without such faces."""
    known, apart = _known(predicted, truth)
    return ((apart @ metric) * apart).sum() / known.sum().clamp(min=1)


def expression_distance(predicted: Row, truth: Row, *, shapes: int) -> Float[Tensor, ""]:
    """Mean squared error of expression, jaw and lids over the faces with a known truth."""
    known, apart = _known(predicted, truth)
    return apart[:, shapes:].square().mean(1).sum() / known.sum().clamp(min=1)


def prior(found: FaceParameters, truth: Row | None, *, bounded: bool) -> Float[Tensor, ""]:
    """How far shapes lie from the mean, and expressions from 0 (bounded: from 0..1), over the faces without a truth."""
    expression = found.expression
    if bounded:
        expression = expression - expression.detach().clamp(0, 1)
    energy = found.shape.square().mean(1) + expression.square().mean(1)
    if truth is None:
        return energy.mean()
    unknown = truth.isnan().any(1).to(energy.dtype)
    return (energy * unknown).sum() / unknown.sum().clamp(min=1)


def _known(predicted: Row, truth: Row) -> tuple[Tensor, Row]:
    """Which faces have a truth, and the differences, 0 for the others."""
    known = ~truth.isnan().any(1)
    return known, torch.where(known[:, None], predicted - truth.nan_to_num(), torch.zeros_like(predicted))
