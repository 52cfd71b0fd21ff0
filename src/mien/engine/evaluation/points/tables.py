"""points.csv and points.parquet: truth and prediction of each face, one row a face and kind of crop."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from mien.engine.evaluation.points.predictions import PointAnswers
    from mien.engine.evaluation.result import LandmarkEvaluation


def write_points(folder: Path, result: "LandmarkEvaluation") -> None:
    """key, crop, affected, yaw_deg, nme_NORMALISER; then x_0, y_0, true_x_0, true_y_0, ... in pixels of the picture.

    With depth also z_0, true_z_0, with stated errors sigma_0, ... An empty cell is unknown.
    """
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    from mien.media.files import atomic_path

    parts = [_columns(answers, result.normaliser) for answers in result.answers.values()]
    names = list(dict.fromkeys(name for part in parts for name in part))
    table = {name: [value for part in parts for value in part[name]] for name in names}
    with atomic_path(folder / "points.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([_cell(value) for value in row] for row in zip(*table.values(), strict=True))
    text = {name for name in names if isinstance(table[name][0], str)}
    kinds = {name: DataType.utf8() if name in text else DataType.float64() for name in names}
    columns: dict[str, Any] = {name: Array(values, type=kinds[name]) for name, values in table.items()}
    with atomic_path(folder / "points.parquet") as path:
        write_parquet(Table.from_pydict(columns), path)


def _columns(answers: "PointAnswers", normaliser: Any) -> dict[str, list[Any]]:
    import numpy as np

    from mien.metrics.alignment import nme_per_face

    faces = nme_per_face(answers.predicted_px, answers.truth_px, normaliser=normaliser)
    yaw = [None if np.isnan(y) else y for y in np.rad2deg(answers.yaw_rad).tolist()]
    found: dict[str, list[Any]] = {
        "key": list(answers.keys), "crop": [answers.crop] * len(answers), "affected": list(answers.affected),
        "yaw_deg": yaw, f"nme_{normaliser}": faces.tolist(),
    }  # fmt: skip
    for point in range(answers.truth_px.shape[1]):
        for prefix, values in (("", answers.predicted_px), ("true_", answers.truth_px)):
            for axis, name in enumerate("xy"):
                found[f"{prefix}{name}_{point}"] = values[:, point, axis].tolist()
        found |= {f"{name}_{point}": values[:, point].tolist() for name, values in _beside(answers).items()}
    return found


def _beside(answers: "PointAnswers") -> "dict[str, np.ndarray]":
    known = {"z": answers.depth_px, "true_z": answers.true_depth_px, "sigma": answers.sigma_px}
    return {name: values for name, values in known.items() if values is not None}


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value
