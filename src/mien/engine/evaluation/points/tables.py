"""points.csv and points.parquet: truth and prediction of each face, one row a face and kind of crop."""

from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError
from mien.engine.evaluation.points.plots import ced_figure
from mien.engine.evaluation.points.predictions import PointEvaluation, PointPredictions
from mien.engine.evaluation.tables import evaluated_rows, number_of, write_columns, write_failures
from mien.metrics.alignment import Normaliser, nme_per_face

POINTS = "points"


def write_tables(folder: Path, result: PointEvaluation) -> None:
    """points.csv and .parquet, failures.csv, ced.png."""
    write_points(folder, result)
    missed = [(key, "the detector does not find this face") for key in result.missed]
    write_failures(folder, [*result.failures, *missed])
    ced_figure(result, title=f"{result.model} on {result.target.data} {result.target.split}").png(folder / "ced.png")


def write_points(folder: Path, result: PointEvaluation) -> None:
    """key, crop, affected, yaw_deg, nme_NORMALISER; then x_0, y_0, true_x_0, true_y_0, ... in pixels of the picture.

    With depth also z_0, true_z_0, with stated errors sigma_0, ... An empty cell is unknown.
    """
    parts = [_columns(predictions, result.normaliser) for predictions in result.predictions.values()]
    names = list(dict.fromkeys(name for part in parts for name in part))
    write_columns(folder, POINTS, {name: [value for part in parts for value in part[name]] for name in names})


def read_face_errors(path: Path) -> tuple[str, dict[str, dict[str, float]]]:
    """Of a points.csv: the normaliser, and crop -> key -> NME. Raises MienError for another table."""
    rows = evaluated_rows(path, ("key", "crop"))
    column = next((name for name in rows[0] if name.startswith("nme_")), "")
    if not column:
        raise MienError(f"{path}: not a table of `mien evaluate`; it needs a column nme_NORMALISER.")
    found: dict[str, dict[str, float]] = {}
    try:
        for row in rows:
            found.setdefault(row["crop"], {})[row["key"]] = number_of(row[column])
    except (TypeError, ValueError) as error:
        raise MienError(f"{path}: an error is not a number ({error}).") from error
    return column.removeprefix("nme_"), found


def _columns(predictions: PointPredictions, normaliser: Normaliser) -> dict[str, list[Any]]:
    faces = nme_per_face(predictions.predicted_px, predictions.truth_px, normaliser=normaliser)
    yaw = [None if np.isnan(y) else y for y in np.rad2deg(predictions.yaw_rad).tolist()]
    found: dict[str, list[Any]] = {
        "key": list(predictions.keys), "crop": [predictions.crop] * len(predictions),
        "affected": list(predictions.affected), "yaw_deg": yaw, f"nme_{normaliser}": faces.tolist(),
    }  # fmt: skip
    for point in range(predictions.truth_px.shape[1]):
        for prefix, values in (("", predictions.predicted_px), ("true_", predictions.truth_px)):
            for axis, name in enumerate("xy"):
                found[f"{prefix}{name}_{point}"] = values[:, point, axis].tolist()
        found |= {
            f"{name}_{point}": values[:, point].tolist() for name, values in _depth_and_sigma(predictions).items()
        }
    return found


def _depth_and_sigma(predictions: PointPredictions) -> dict[str, np.ndarray]:
    known = {"z": predictions.depth_px, "true_z": predictions.true_depth_px, "sigma": predictions.sigma_px}
    return {name: values for name, values in known.items() if values is not None}
