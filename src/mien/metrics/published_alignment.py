"""The lines that the published evaluator of 3FabRec and ParFace-Net prints, to the digit, beside our exact ones.

Browatzki and Wallraven, 3FabRec, CVPR 2020, and the code released with ParFace-Net. All values are percent of a face's
size. What differs from alignment.py: "pupil" is the mean of the inner and outer eye corners' distances; STD is the
spread of the points within a face, not of the faces; the AUC is a sum over 50 thresholds; true points left of or above
the crop are moved to its edge; points in 3D are compared after a shift in z.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError, nearest
from mien.metrics import alignment

Points = Float[np.ndarray, "faces points dims"]
OCULAR_NORMS: dict[str, alignment.Normaliser] = {
    "outer": "interocular",
    "pupil": "corners",
    "bb": "bbox",
    "none": "none",
}
FAILED_ABOVE = 10.0  # percent
_STEPS = 50


@dataclass(frozen=True)
class Summary:
    """Numbers of the published evaluator."""

    nme: float
    """Percent."""
    std_nme: float
    """Percent."""
    failure_rate: float
    """Percent."""
    failures: int
    """Faces."""
    auc: float
    """0..1."""
    gte: float | None = None
    """Ground-truth error in 3D, percent; None without depth."""
    std_gte: float | None = None
    """Percent; None without depth."""

    @property
    def lines(self) -> list[str]:
        """As the published evaluator prints them, in its order."""
        found = [
            f"NME: {self.nme:8.3f}",
            f"STD_NME: {self.std_nme:8.3f}",
            f"FR@10: {self.failure_rate:6.3f} ({self.failures})",
            f"AUC: {self.auc:8.4f}",
        ]
        if self.gte is not None and self.std_gte is not None:
            found += [f"GTE: {self.gte:8.3f}", f"STD_GTE: {self.std_gte:8.3f}"]
        return found


def normaliser_of(ocular_norm: str) -> alignment.Normaliser:
    """Our name of a published normaliser. Raises MienError for an unknown one."""
    if ocular_norm not in OCULAR_NORMS:
        raise MienError(f"No ocular norm {ocular_norm!r}.{nearest(ocular_norm, OCULAR_NORMS)}")
    return OCULAR_NORMS[ocular_norm]


def errors_percent(predicted: Points, truth: Points, *, ocular_norm: str) -> Float[np.ndarray, "faces points"]:
    """100 times the distance over the face's size; with the norm "none" the distance itself, in crop pixels."""
    scale = 1 if ocular_norm == "none" else 100
    return scale * alignment.errors(predicted, truth, normaliser=normaliser_of(ocular_norm))


def std_within(errors: Float[np.ndarray, "faces points"]) -> float:
    """Root of the mean variance of the errors inside the faces: the published STD_NME. Population variance."""
    return float(np.sqrt(errors.var(axis=1).mean()))


def auc_50(face_errors: Float[np.ndarray, " faces"]) -> float:
    """Mean share of faces below 50 thresholds from 0 to 10 percent, both ends counted. Within 0.02 of ours."""
    thresholds = np.linspace(0, FAILED_ABOVE, _STEPS)
    return float((np.asarray(face_errors)[:, None] <= thresholds).mean())


def clamped(truth: Points) -> Points:
    """True points in crop pixels with negative x and y moved to 0, as the published loader does; z stays."""
    kept = np.array(truth, float)
    kept[..., :2] = kept[..., :2].clip(min=0)
    return kept


def summary(predicted: Points, truth: Points, *, ocular_norm: str = "outer") -> Summary:
    """The summary of faces in 2D, or in 3D with the ground-truth error; points in pixels of the crop.

    NME, STD, FR and AUC are of x and y also in 3D; the ground-truth error is over the outer corners' distance in 3D.
    """
    flat = errors_percent(predicted[..., :2], truth[..., :2], ocular_norm=ocular_norm)
    face_errors = flat.mean(1)
    failures = int((face_errors > FAILED_ABOVE).sum())
    share = 100 * failures / len(face_errors)
    found = float(flat.mean()), std_within(flat), share, failures, auc_50(face_errors)
    if truth.shape[-1] == 2:
        return Summary(*found)
    deep = errors_percent(alignment.depth_aligned(predicted, truth), truth, ocular_norm="outer")
    return Summary(*found, gte=float(deep.mean()), std_gte=std_within(deep))
