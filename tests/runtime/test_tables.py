"""Tables: what goes in comes out of CSV and Parquet alike, and the sidecar explains every column."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien import __version__
from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.labels import LabelSet, label_set
from mien.core.records import FacePoints, Reading
from mien.core.spec import PictureInput
from mien.runtime.tables import PointColumns, schema, write_tables

INFO = BundleInfo("tiny", {}, PictureInput(), label_set("fer2013"), files={"model.onnx": "ab" * 32}, temperature=1.5)
SHARES = dict(zip(INFO.labels.classes, (0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.015625), strict=True))
FACE = Reading(
    "photos/müller, \"a\".jpg", True, face_id=1, box=(1.25, -2.0, 30.5, 40.0), score=0.75, expression="anger",
    probabilities=SHARES, model=INFO.model_id,
)  # fmt: skip
FRAME = Reading(
    "film.mp4", True, frame=30, timestamp_s=1.001, box=(0, 0, 9, 9), expression="anger", probabilities=SHARES
)
NOBODY = Reading("없음.jpg", False, model=INFO.model_id, note="no face found")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_tables([FACE, FRAME, NOBODY], tmp_path / "out" / "readings", info=INFO, detector="dlib")
    return tmp_path / "out" / "readings"


def test_csv_has_a_row_for_each_reading(table: Path) -> None:
    with table.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        face, frame, nobody = list(csv.DictReader(file))
    assert list(face) == list(schema(INFO.labels.classes))
    assert face["source"] == FACE.source and face["face_id"] == "1" and face["success"] == "1"
    assert [float(face[f"box_{edge}"]) for edge in ("x0", "y0", "x1", "y1")] == [1.25, -2.0, 30.5, 40.0]
    assert float(face["prob_anger"]) == 0.5 and face["expression"] == "anger" and face["timestamp"] == ""
    assert (frame["frame"], float(frame["timestamp"])) == ("30", 1.001)
    assert nobody["success"] == "0" and nobody["source"] == "없음.jpg" and nobody["note"] == "no face found"
    assert all(nobody[c] == "" for c in nobody if c.startswith(("box", "prob", "score", "expression", "face_id")))


def test_parquet_says_the_same_with_types(table: Path) -> None:
    from arro3.io import read_parquet

    read = read_parquet(str(table.with_suffix(".parquet"))).read_all()
    columns = {name: read.column(name).to_pylist() for name in read.column_names}
    assert list(columns) == list(schema(INFO.labels.classes))
    assert columns["source"] == [FACE.source, FRAME.source, NOBODY.source]
    assert columns["success"] == [1, 1, 0] and columns["face_id"] == [1, 0, None]
    assert columns["box_y0"] == [-2.0, 0.0, None] and columns["prob_disgust"] == [0.25, 0.25, None]
    assert columns["timestamp"] == [None, 1.001, None]


def test_the_sidecar_explains_every_column(table: Path) -> None:
    said = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
    assert list(said["columns"]) == list(schema(INFO.labels.classes))
    assert all(described["meaning"] for described in said["columns"].values())
    assert said["columns"]["box_x0"]["unit"] == "pixels" and said["columns"]["prob_fear"]["range"] == "0..1"
    assert said["rows"] == 3 and said["faces"] == 2 and said["mien"] == __version__ and said["detector"] == "dlib"
    assert said["model"]["id"] == "tiny@abababababab" and said["model"]["temperature"] == 1.5
    assert said["model"]["labels"] == INFO.labels.to_dict() and "upper left pixel" in said["frame_of_reference"]


def test_no_rows_still_make_a_table(tmp_path: Path) -> None:
    paths = write_tables([], tmp_path / "none.csv", info=INFO)
    assert [path.name for path in paths] == ["none.csv", "none.parquet", "none.json"]
    assert paths[0].read_text().count("\n") == 1


def test_an_unwritable_folder_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MienError, match=r"Cannot write .*readings\.csv"):
        write_tables([FACE], tmp_path / "file" / "readings", info=INFO)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_names_that_are_no_text_do_not_stop_a_table(tmp_path: Path) -> None:
    odd = Reading("bad\udce9name.jpg", False, note="x")
    paths = write_tables([odd], tmp_path / "t", info=INFO)
    assert "bad?name.jpg" in paths[0].read_text(encoding="utf-8")


def point_columns(*outputs: str) -> PointColumns:
    labels = LabelSet("landmarks_68", tuple(f"point_{i}" for i in range(68)))
    info = BundleInfo("dots", {}, PictureInput(), labels, files={"model.onnx": "cd" * 32})
    return PointColumns(info, ("landmarks", *outputs))


def test_points_have_columns_with_unit_and_meaning(tmp_path: Path) -> None:
    points = np.arange(136, dtype=float).reshape(68, 2)
    solid = FacePoints(points, np.ones(68), np.ones(68), np.full(68, 0.5), np.full(68, 0.25), (0.0, np.pi / 2, -0.1))
    columns = point_columns("depth", "sigma", "visible")
    write_tables([replace(FACE, points=solid), NOBODY], tmp_path / "t", info=INFO, points=columns)
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        face, nobody = list(csv.DictReader(file))
    assert (face["x_0"], face["y_0"], face["x_67"]) == ("0.000", "1.000", "134.000")
    assert (face["z_3"], face["confidence_3"], face["visible_3"]) == ("1.000", "0.500", "0.250")
    assert (face["pose_pitch"], face["pose_yaw"]) == ("0.000", "90.000") and float(face["pose_roll"]) < 0
    assert nobody["x_0"] == "" and nobody["pose_yaw"] == "" and list(face)[-2:] == ["model", "note"]
    said = json.loads((tmp_path / "t.json").read_text())
    assert list(said["columns"]) == list(face)
    assert said["columns"]["x_36"] == {"type": "float64", "unit": "pixels", "meaning": "x of the point: 36, right eye"}
    assert said["columns"]["pose_yaw"]["unit"] == "degrees" and said["columns"]["confidence_0"]["range"] == "0..1"
    assert said["points"]["smoothing"] == "none" and said["points"]["model"]["id"] == "dots@cdcdcdcdcdcd"
    assert "pixel centres at whole numbers" in said["points"]["frame_of_reference"]


def test_a_model_that_tells_less_has_fewer_columns() -> None:
    names = set(schema((), point_columns()))
    assert {"x_0", "y_67", "pose_roll"} <= names and not {"z_0", "confidence_0", "visible_0"} & names
    assert "confidence_0" in schema((), point_columns("sigma")) and "z_0" in schema((), point_columns("depth"))
