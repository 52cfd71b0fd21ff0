"""How far reconstructed pictures are from their originals, picture by picture, and the evaluation made of it."""

from dataclasses import dataclass

import numpy as np

from mien.engine.evaluation.comparison import Comparison
from mien.engine.evaluation.result import Evaluation
from mien.metrics import reconstruction

METRICS = {
    "abs_error": reconstruction.abs_error,
    "psnr": reconstruction.psnr,
    f"ssim@{reconstruction.SSIM_WINDOW}": reconstruction.ssim,
}
"""Name → metric of pictures in 0..1, one value a picture."""


@dataclass(frozen=True, eq=False)
class PictureErrors:
    """The pictures themselves are not kept."""

    keys: tuple[str, ...]
    """Of the samples."""
    metrics: dict[str, np.ndarray]
    """By the names of METRICS, [pictures]."""

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, eq=False, kw_only=True)
class PictureEvaluation(Evaluation):
    """Of an output that reconstructs the input picture."""

    predictions: PictureErrors
    """Of every face that could be read."""
    comparison: Comparison | None = None
    """With the second model, where there is one."""
