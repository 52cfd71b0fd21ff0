"""The tables of readings: one row for each face of each picture or frame, as CSV and Parquet, with a JSON sidecar.

The sidecar says of each column what it is, its unit and its range; of the whole: the frame of reference, the model and
its weights' hash, the order of the classes. A picture without a face is a row with `success` 0, never a missing row.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.landmarks import scheme_of
from mien.core.records import FacePoints, Reading
from mien.media.files import atomic_path, write_text

FRAME_OF_REFERENCE = (
    "Pixels of the upright picture (after EXIF rotation), at the size that the file holds. Origin: outer corner of the "
    "upper left pixel; x to the right, y down. Boxes are edges, so (0, 0, width, height) is the whole picture."
)
# name: (type, unit, range, meaning)
_FIXED: dict[str, tuple[str, str, str, str]] = {
    "source": ("string", "", "", "the file, as it was named"),
    "frame": ("int64", "frames", "0..", "index of the video frame, counted from 0; 0 for a picture"),
    "timestamp": ("float64", "seconds", "0..", "time of the frame from the start of its video; empty for a picture"),
    "face_id": ("int64", "", "0..", "number of the face within its picture or frame, the largest first; no identity"),
    "box_x0": ("float64", "pixels", "", "left edge of the detector's box"),
    "box_y0": ("float64", "pixels", "", "upper edge"),
    "box_x1": ("float64", "pixels", "", "right edge"),
    "box_y1": ("float64", "pixels", "", "lower edge"),
    "score": ("float64", "", "", "the detector's own score; compares only within one detector"),
    "success": ("int64", "", "0 or 1", "1: this row is a face; 0: none was found, or the file could not be read"),
    "expression": ("string", "", "", "the class with the highest probability"),
}
_LAST: dict[str, tuple[str, str, str, str]] = {
    "model": ("string", "", "", "system@first digits of the SHA-256 of its weights"),
    "note": ("string", "", "", "why nothing was read, or what was done to the picture"),
}
_PROBABILITY = ("float64", "probability", "0..1", "calibrated probability of the class; a row's sum to 1")
POINT_FRAME = (
    "x_i, y_i: pixels as the boxes', but with pixel centres at whole numbers: half a pixel less than edges. "
    "z_i: the same pixels, larger is nearer to the viewer, mean 0 over a face's points. "
    "The order of the points and what is left and right (the person's own) are the scheme's. "
    "pose: a head turns by yaw first, then pitch, then roll."
)
_OF_A_POINT: dict[str, tuple[str, str, str, str]] = {
    "x": ("float64", "pixels", "", "x of the point"),
    "y": ("float64", "pixels", "", "y of the point"),
    "z": ("float64", "pixels", "", "depth of the point, larger is nearer"),
    "confidence": (
        "float64", "probability", "0..1", "that the point is off by less than 5 % of the outer eye corners' distance",
    ),
    "visible": ("float64", "probability", "0..1", "that nothing hides the point"),
}  # fmt: skip
_POSE: dict[str, tuple[str, str, str, str]] = {
    "pose_pitch": ("float64", "degrees", "-90..90", "of the head; above 0 it looks up"),
    "pose_yaw": ("float64", "degrees", "-180..180", "above 0 the face is turned to the viewer's right"),
    "pose_roll": ("float64", "degrees", "-180..180", "above 0 it is tilted clockwise as seen"),
}


@dataclass(frozen=True)
class PointColumns:
    """The columns of a landmark model. info: its bundle's. outputs: what it gives, as `Landmarker.outputs`.

    smoothing: the filter over the frames of a video, as the sidecar tells it; None is no filter.
    """

    info: BundleInfo
    outputs: tuple[str, ...]
    smoothing: dict[str, Any] | None = None

    @cached_property
    def schema(self) -> dict[str, tuple[str, str, str, str]]:
        has = {"x": True, "y": True, "z": "depth" in self.outputs, "confidence": "sigma" in self.outputs}
        has["visible"] = "visible" in self.outputs
        scheme = scheme_of(len(next(iter(self.info.outputs_of("points").values())).names))
        region = {i: name.replace("_", " ") for name, indices in scheme.regions.items() for i in indices}
        columns = {}
        for name in (name for name, there in has.items() if there):
            kind, unit, span, meaning = _OF_A_POINT[name]
            for i in range(scheme.points):
                columns[f"{name}_{i}"] = (kind, unit, span, f"{meaning}: {i}, {region.get(i, 'face')}")
        return columns | (_POSE if scheme.points == 68 else {})

    def cells(self, face: FacePoints | None) -> dict[str, float | None]:
        """Values by column name; all None without a face."""
        columns = self.schema
        if face is None:
            return dict.fromkeys(columns)
        x, y = face.landmarks_px.T
        values = {"x": x, "y": y, "z": face.depth_px, "confidence": face.confidence, "visible": face.visible}
        cells: dict[str, float | None] = {
            f"{name}_{i}": float(value)
            for name, row in values.items()
            if row is not None
            for i, value in enumerate(row)
        }
        cells |= dict(zip(_POSE, np.degrees(face.pose_rad).tolist() if face.pose_rad else [None] * 3, strict=True))
        return {column: cells.get(column) for column in columns}

    def told(self) -> dict[str, Any]:
        """For the sidecar."""
        info, points = self.info, next(iter(self.info.outputs_of("points").values()))
        model = {"id": info.model_id, "system": info.system, "sha256": info.files, "provenance": info.provenance}
        return {
            "scheme": f"landmarks_{points.scheme}",
            "frame_of_reference": POINT_FRAME,
            "smoothing": self.smoothing or "none",
            "model": model,
        }


def schema(classes: Sequence[str], points: PointColumns | None = None) -> dict[str, tuple[str, str, str, str]]:
    """Column -> (type, unit, range, meaning), in order, for a model with these classes and one of points."""
    return _FIXED | {f"prob_{name}": _PROBABILITY for name in classes} | (points.schema if points else {}) | _LAST


def row_of(reading: Reading, classes: Sequence[str], points: PointColumns | None = None) -> dict[str, Any]:
    """One row by column name; None is an empty cell."""
    box = reading.box or (None,) * 4
    edges = zip(("box_x0", "box_y0", "box_x1", "box_y1"), box, strict=True)
    shares = {f"prob_{name}": reading.probabilities.get(name) for name in classes}
    return {
        "source": reading.source,
        "frame": reading.frame,
        "timestamp": reading.timestamp_s,
        "face_id": reading.face_id if reading.success else None,
        **dict(edges),
        "score": reading.score,
        "success": int(reading.success),
        "expression": reading.expression,
        **shares,
        **(points.cells(reading.points) if points else {}),
        "model": reading.model,
        "note": reading.note or None,
    }


def write_tables(
    readings: Sequence[Reading], path: str | Path, *, info: BundleInfo, points: PointColumns | None = None,
    **made_with: Any,
) -> list[Path]:  # fmt: skip
    """Writes PATH.csv, PATH.parquet and PATH.json, each whole or not at all; returns their paths.

    points: the landmark model's columns, where it read the faces too. `made_with` goes into the sidecar: detector,
    command, state. Raises MienError where they cannot be written.
    """
    path = Path(path)
    if path.suffix in (".csv", ".parquet", ".json"):
        path = path.with_suffix("")
    columns = schema(info.labels.classes, points)
    rows = [row_of(reading, info.labels.classes, points) for reading in readings]
    written = [path.with_name(path.name + suffix) for suffix in (".csv", ".parquet", ".json")]
    _write_csv(rows, columns, written[0])
    _write_parquet(rows, columns, written[1])
    text = json.dumps(sidecar(info, rows, points=points, **made_with), indent=2, ensure_ascii=False)
    write_text(written[2], text + "\n")
    return written


def sidecar(
    info: BundleInfo, rows: Sequence[dict[str, Any]], *, points: PointColumns | None = None, **made_with: Any
) -> dict[str, Any]:
    """What the numbers of a table mean, as plain values."""
    names = ("type", "unit", "range", "meaning")
    columns = {
        column: {name: value for name, value in zip(names, described, strict=True) if value}
        for column, described in schema(info.labels.classes, points).items()
    }
    return {
        "table": "one row for each face; a picture or frame without one is a row with success 0",
        "rows": len(rows),
        "faces": sum(row["success"] for row in rows),
        "columns": columns,
        "frame_of_reference": FRAME_OF_REFERENCE,
        "missing": "an empty cell (CSV), null (Parquet)",
        "model": {
            "id": info.model_id,
            "system": info.system,
            "sha256": info.files,
            "temperature": next(iter(info.temperatures.values()), 1.0),
            "labels": info.labels.to_dict(),
            "provenance": info.provenance,
        },
        **({"points": points.told()} if points else {}),
        "mien": __version__,
        **made_with,
    }


def _write_csv(rows: Sequence[dict[str, Any]], columns: Mapping[str, tuple[str, ...]], path: Path) -> None:
    """UTF-8, comma, one header line; numbers with as many digits as are certain."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({column: _cell(column, value) for column, value in row.items()})


def _cell(column: str, value: Any) -> Any:
    if isinstance(value, float):
        digits = 6 if column.startswith(("prob_", "timestamp")) else 3
        return f"{value:.{digits}f}"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # file names may hold bytes that are no text
    return value


def _write_parquet(rows: Sequence[dict[str, Any]], described: Mapping[str, tuple[str, ...]], path: Path) -> None:
    from arro3.core import Array, DataType, Field, Schema, Table
    from arro3.io import write_parquet

    types = {"string": DataType.utf8(), "int64": DataType.int64(), "float64": DataType.float64()}
    columns = {column: types[said[0]] for column, said in described.items()}
    arrays = [Array([_plain(row[column]) for row in rows], type=kind) for column, kind in columns.items()]
    fields = [Field(column, kind, nullable=True) for column, kind in columns.items()]
    table = Table.from_arrays(arrays, schema=Schema(fields))
    with atomic_path(path) as temporary:
        try:
            write_parquet(table, str(temporary))
        except Exception as error:  # arro3 has its own, none public
            raise MienError(f"Cannot write {path}: {' '.join(str(error).split())}.") from error


def _plain(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
