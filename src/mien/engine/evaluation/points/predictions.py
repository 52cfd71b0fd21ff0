"""Predicted and labelled points of faces, and the evaluation made of them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from mien.core.errors import MienError
from mien.core.geometry import Crop
from mien.engine.evaluation.options import PointOptions
from mien.engine.evaluation.points.crops import CropName
from mien.engine.evaluation.result import Evaluation
from mien.metrics.alignment import Normaliser, nme_per_face


def no_depth(lacking: str) -> MienError:
    """lacking: "data have" or "bundle gives"."""
    return MienError(f"Errors in 3D need depth; the {lacking} none. Leave out --eval-3d.")


@dataclass(frozen=True, eq=False)
class PointPredictions:
    """Points of faces that were cut out in one way, in pixels of their pictures; all lists are in one order."""

    crop: CropName
    """How the faces were cut out."""
    keys: tuple[str, ...]
    """Of the samples."""
    crops: tuple[Crop, ...]
    """Where the faces were cut out."""
    truth_px: Float[np.ndarray, "faces points 2"]
    """As labelled."""
    predicted_px: Float[np.ndarray, "faces points 2"]
    """As the network gives them."""
    yaw_rad: Float[np.ndarray, " faces"]
    """Turn of the head; NaN where it is unknown."""
    affected: tuple[str, ...]
    """"R", "L" (the person's own) or "" of each face: the side that a palsy weakens."""
    depth_px: Float[np.ndarray, "faces points"] | None = None
    """Mean 0 over a face; None where the network gives none."""
    true_depth_px: Float[np.ndarray, "faces points"] | None = None
    """Mean 0 over a face; None where the data have none."""
    yaw_estimated: bool = False
    """Whether `yaw_rad` is estimated from the true points, as the data do not state it."""
    sigma_px: Float[np.ndarray, "faces points"] | None = None
    """The error that the network states."""
    visible: Bool[np.ndarray, "faces points"] | None = None
    """As labelled."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def has_depth(self) -> bool:
        return self.depth_px is not None and self.true_depth_px is not None

    def in_3d(self) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true points [faces, points, 3]. Raises MienError where either lacks depth."""
        if self.depth_px is None or self.true_depth_px is None:
            raise no_depth("data have" if self.true_depth_px is None else "bundle gives")
        pairs = (self.predicted_px, self.depth_px), (self.truth_px, self.true_depth_px)
        predicted, truth = (np.concatenate([flat, z[..., None]], axis=-1) for flat, z in pairs)
        return predicted, truth

    def in_crops(self) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true points in pixels of the crops, with depth where both have it."""
        flat = [
            np.stack([c.to_crop(p) for c, p in zip(self.crops, points, strict=True)])
            for points in (self.predicted_px, self.truth_px)
        ]
        if self.depth_px is None or self.true_depth_px is None:
            return flat[0], flat[1]
        scale = np.array([2 * c.size / sum(c.sides) for c in self.crops])[:, None]
        depths = (self.depth_px * scale, self.true_depth_px * scale)
        predicted, truth = (np.concatenate([p, z[..., None]], axis=-1) for p, z in zip(flat, depths, strict=True))
        return predicted, truth


@dataclass(frozen=True, eq=False, kw_only=True)
class PointEvaluation(Evaluation):
    """Of an output of points."""

    options: PointOptions
    """How the points were measured."""
    normaliser: Normaliser
    """What the headline's errors are divided by."""
    predictions: dict[CropName, PointPredictions]
    """By kind of crop."""
    missed: list[str]
    """Keys of faces that the detector did not find."""
    oracle: bool = False
    """Whether the data's boxes are the rectangles around the true points."""
    against: "PointEvaluation | None" = None
    """Of the second model, where two are compared."""

    @property
    def main(self) -> PointPredictions:
        """The predictions that the headline is about: on the first kind of crop."""
        return next(iter(self.predictions.values()))

    @property
    def faces(self) -> int:
        """Of the headline."""
        return len(self.main)

    def facts(self) -> dict[str, object]:
        """With the number of faces that the detector did not find."""
        return super().facts() | {"missed": len(self.missed)}


def face_errors(predictions: PointPredictions, normaliser: Normaliser) -> dict[str, np.float64]:
    """key -> NME of the face."""
    errors = nme_per_face(predictions.predicted_px, predictions.truth_px, normaliser=normaliser)
    return dict(zip(predictions.keys, errors, strict=True))
