"""pictures.csv and pictures.parquet: the metrics of each picture."""

from pathlib import Path

import numpy as np

from mien.core.errors import MienError
from mien.engine.evaluation.picture.predictions import METRICS, PictureErrors, PictureEvaluation
from mien.engine.evaluation.tables import read_rows, write_columns, write_failures

PICTURES = "pictures"


def write_tables(folder: Path, result: PictureEvaluation) -> None:
    """pictures.csv and .parquet, failures.csv."""
    write_pictures(folder, result.predictions)
    write_failures(folder, result.failures)


def write_pictures(folder: Path, errors: PictureErrors) -> None:
    """key, then a column for each metric."""
    write_columns(folder, PICTURES, {"key": errors.keys} | {n: values.tolist() for n, values in errors.metrics.items()})


def read_pictures(path: Path) -> PictureErrors:
    """Of a pictures.csv. Raises MienError for another table."""
    rows = read_rows(path, ("key", *METRICS))
    try:
        metrics = {name: np.array([float(row[name]) for row in rows]) for name in METRICS}
    except (TypeError, ValueError) as error:
        raise MienError(f"{path}: a value is not a number ({error}).") from error
    return PictureErrors(tuple(row["key"] for row in rows), metrics)
