"""Errors of a 3D face: distances of vertices, in millimetres, as they are and after a similarity."""

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.geometry import fit_similarity

Vertices = Float[np.ndarray, "faces vertices 3"]


def vertex_errors_mm(predicted: Vertices, truth: Vertices, *, aligned: bool) -> Float[np.ndarray, " faces"]:
    """Mean distance of the vertices of each face; vertices in metres.

    aligned: after the similarity (scale, turn, shift) that fits the prediction best to the truth, since neither size
    nor place of a head can be seen in one photo. Raises MienError without faces and for unequal arrays.
    """
    if predicted.shape != truth.shape or not len(truth):
        raise MienError(f"Vertices of at least one face, as many of each; got {predicted.shape} and {truth.shape}.")
    moved = [_fitted(one, other) if aligned else one for one, other in zip(predicted, truth, strict=True)]
    return 1000 * np.linalg.norm(np.stack(moved) - truth, axis=-1).mean(-1)


def _fitted(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    scale, turn, shift = fit_similarity(source.astype(float), target.astype(float))
    return scale * source @ turn.T + shift
