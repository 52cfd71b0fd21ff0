"""Directions of expressions from labelled codes: one linear model a class, fitted in closed form.

After Shen et al., InterFaceGAN, CVPR 2020: the normal of the plane that separates a class from the rest. Here the plane
is a ridge regression's, with the largest penalty that predicts left-out faces as well as any other; with few faces it
tends to the difference of the classes' mean codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError

LEAST_FACES = 5  # of a class, and of all others together
PENALTIES = np.logspace(-3, 3, 13)  # in mean squared lengths of a code


@dataclass(frozen=True, eq=False)
class LabelDirection:
    """Towards one class."""

    name: str
    """The class."""
    vector: np.ndarray
    """Of a code's size; a step of 1 is one standard deviation of the given codes along it."""
    faces: int
    """Of the class."""
    auc: float
    """How well the direction tells faces apart that it was not fitted on: 0.5 is chance, 1 perfect."""


def label_directions(
    codes: Float[np.ndarray, "faces numbers"], labels: Sequence[str]
) -> tuple[list[LabelDirection], list[str]]:
    """A direction for each class, sorted by name, and the classes left out because they have too few faces.

    Raises MienError where no class is left.
    """
    names, counts = np.unique(np.asarray(labels), return_counts=True)
    few = [str(n) for n, c in zip(names, counts, strict=True) if min(c, len(labels) - c) < LEAST_FACES]
    kept = [str(name) for name in names if str(name) not in few]
    if not kept:
        raise MienError(
            f"A direction needs {LEAST_FACES} faces of its class and {LEAST_FACES} others; got "
            f"{', '.join(f'{c} {n}' for n, c in zip(names, counts, strict=True))}."
        )
    centred = np.asarray(codes, np.float64) - np.mean(codes, 0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    values = values.clip(0)
    return [_direction(name, centred, np.asarray(labels) == name, values, vectors) for name in kept], few


def _direction(
    name: str, centred: np.ndarray, inside: np.ndarray, values: np.ndarray, vectors: np.ndarray
) -> LabelDirection:
    """values, vectors: of the faces' Gram matrix."""
    wanted = np.where(inside, 1 / inside.sum(), -1 / (~inside).sum()) * len(inside) / 2
    rotated = vectors.T @ wanted
    fits = []
    for penalty in PENALTIES * max(float(values.mean()), 1e-12):
        shrunk = values / (values + penalty)
        predicted, leverage = vectors @ (shrunk * rotated), (vectors**2) @ shrunk + 1 / len(inside)
        left_out = wanted - (wanted - predicted) / np.maximum(1 - leverage, 1e-6)
        scores = left_out + wanted / (len(inside) - 1)  # without the mean of the others, which tells the left-out label
        fits.append((_scaled_errors(scores, wanted), float(penalty), scores))
    penalty, scores = _simplest(fits)
    normal = centred.T @ (vectors @ (rotated / (values + penalty)))
    unit = normal / max(float(np.linalg.norm(normal)), 1e-12)
    deviation = float((centred @ unit).std()) or 1.0
    return LabelDirection(name, (deviation * unit).astype(np.float32), int(inside.sum()), _auc(scores, inside))


def _scaled_errors(scores: np.ndarray, wanted: np.ndarray) -> Float[np.ndarray, " faces"]:
    """Squared errors of the scores at their best length: a direction's length says nothing of it."""
    length = max(float(scores @ wanted), 0.0) / max(float(scores @ scores), 1e-12)
    return (wanted - length * scores) ** 2


def _simplest(fits: Sequence[tuple[np.ndarray, float, np.ndarray]]) -> tuple[float, np.ndarray]:
    """(penalty, scores of faces left out) of the largest penalty within a standard error of the least squared error.

    The rule of Breiman et al., 1984: of fits that cannot be distinguished the smoothest, here the nearest to the
    difference of the means.
    """
    errors = min((errors for errors, _, _ in fits), key=lambda errors: float(errors.mean()))
    most = float(errors.mean()) + float(errors.std(ddof=1)) / len(errors) ** 0.5
    _, penalty, scores = next(fit for fit in reversed(fits) if float(fit[0].mean()) <= most)
    return penalty, scores


def _auc(scores: np.ndarray, inside: np.ndarray) -> float:
    """Share of pairs in which the face of the class has the higher score; ties count half."""
    apart = scores[inside][:, None] - scores[~inside][None]
    return float((apart > 0).mean() + (apart == 0).mean() / 2)
