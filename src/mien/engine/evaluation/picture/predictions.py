"""How far reconstructed pictures are from their originals, picture by picture; as pictures.csv and .parquet too."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.core.errors import MienError
from mien.engine.evaluation.tables import evaluated_rows, number_of, write_columns
from mien.metrics import reconstruction

PICTURES = "pictures"
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


def write_pictures(folder: Path, errors: PictureErrors) -> None:
    """key, then a column for each metric."""
    write_columns(folder, PICTURES, {"key": errors.keys} | {n: values.tolist() for n, values in errors.metrics.items()})


def read_pictures(path: Path) -> PictureErrors:
    """Of a pictures.csv. Raises MienError for another table."""
    rows = evaluated_rows(path, ("key", *METRICS))
    try:
        metrics = {name: np.array([number_of(row[name]) for row in rows]) for name in METRICS}
    except (TypeError, ValueError) as error:
        raise MienError(f"{path}: a value is not a number ({error}).") from error
    return PictureErrors(tuple(row["key"] for row in rows), metrics)
