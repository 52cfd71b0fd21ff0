"""Tables of readings: columns come from what the models declare, and the sidecar explains each of them."""

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
from mien.core.spec import Output, PictureInput
from mien.media.tables.columns import Column
from mien.runtime.networks import FaceOutput
from mien.runtime.tables import PointColumns, ReadingColumns, write_tables

LABELS = label_set("fer2013")


def info_of(outputs: dict[str, Output], system: str = "tiny", **fields) -> BundleInfo:
    return BundleInfo(system, {}, {"image": PictureInput()}, outputs, files={"model.onnx": "ab" * 32}, **fields)


INFO = info_of({"expression": Output.classes(LABELS)}, temperatures={"expression": 1.5})
SHARES = dict(zip(LABELS.classes, (0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.015625), strict=True))
FACE = Reading(
    "photos/müller, \"a\".jpg", True, face_id=1, box=(1.25, -2.0, 30.5, 40.0), score=0.75, expression="anger",
    probabilities=SHARES, model=INFO.model_id,
)  # fmt: skip
FRAME = Reading(
    "video.mp4",
    True,
    frame=30,
    timestamp_s=1.001,
    track_id=4,
    box=(0.0, 0.0, 9.0, 9.0),
    expression="anger",
    probabilities=SHARES,
)
NOBODY = Reading("없음.jpg", False, model=INFO.model_id, note="no face found")


def names(columns: tuple[Column, ...]) -> list[str]:
    return [column.name for column in columns]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_tables([FACE, FRAME, NOBODY], tmp_path / "out" / "readings", info=INFO, detector="dlib")
    return tmp_path / "out" / "readings"


def test_csv_has_a_row_for_each_reading(table: Path) -> None:
    with table.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        face, frame, nobody = list(csv.DictReader(file))
    assert list(face) == names(ReadingColumns.of(INFO).columns)
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
    assert list(columns) == names(ReadingColumns.of(INFO).columns)
    assert columns["source"] == [FACE.source, FRAME.source, NOBODY.source]
    assert columns["success"] == [1, 1, 0] and columns["face_id"] == [1, 0, None]
    assert columns["box_y0"] == [-2.0, 0.0, None] and columns["prob_disgust"] == [0.25, 0.25, None]
    assert columns["timestamp"] == [None, 1.001, None]


def test_the_sidecar_explains_every_column(table: Path) -> None:
    sidecar = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
    assert list(sidecar["columns"]) == names(ReadingColumns.of(INFO).columns)
    assert all(described["meaning"] for described in sidecar["columns"].values())
    assert sidecar["columns"]["box_x0"]["unit"] == "pixels" and sidecar["columns"]["prob_fear"]["range"] == "0..1"
    assert sidecar["rows"] == 3 and sidecar["faces"] == 2 and sidecar["mien"] == __version__
    assert sidecar["detector"] == "dlib" and sidecar["state"] == "complete"
    assert sidecar["model"]["id"] == "tiny@abababababab" and sidecar["model"]["temperature"] == 1.5
    assert sidecar["model"]["labels"] == LABELS.to_dict() and "upper left pixel" in sidecar["frame_of_reference"]


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
    """Two such names stay two: the byte is written as %E9, no longer as a question mark."""
    odd = Reading("bad\udce9name.jpg", False, note="x")
    paths = write_tables([odd], tmp_path / "t", info=INFO, inputs=[odd.source])
    assert "bad%E9name.jpg" in paths[0].read_text(encoding="utf-8")
    assert json.loads(paths[2].read_text(encoding="utf-8"))["inputs"] == ["bad%E9name.jpg"]


# As `mien analyze` wrote them for the shipped models before columns were declared, so that scripts go on working; since
# then `track_id` has come, by intention.
GOLDEN_FIRST = [
    "source", "frame", "timestamp", "face_id", "track_id", "box_x0", "box_y0", "box_x1", "box_y1", "score", "success",
    "expression",
    "prob_neutral", "prob_happiness", "prob_surprise", "prob_sadness", "prob_anger", "prob_disgust", "prob_fear",
    "prob_contempt",
]  # fmt: skip
GOLDEN_QUALITY = [f"quality_{name}" for name in (
    "sharpness", "brightness", "contrast", "size", "cut", "turn", "hidden", "confidence", "plausibility", "energy",
    "flags",
)]  # fmt: skip
"""Since 2026-11-28 before `model`, so that every column of before keeps its name; `plausibility` by intention."""
GOLDEN_LAST = ["pose_pitch", "pose_yaw", "pose_roll", *GOLDEN_QUALITY, "model", "note"]


def test_the_columns_of_the_shipped_models_never_change() -> None:
    from mien import Analyzer
    from mien.runtime.landmarks import Landmarker

    landmarks = Landmarker(backend="onnxruntime", threads=1)
    found = names(Analyzer(backend="onnxruntime", threads=1, landmarks=landmarks).columns.columns)
    points = [f"{name}_{i}" for name in ("x", "y", "z", "confidence", "visible") for i in range(68)]
    assert found == [*GOLDEN_FIRST, *points, *GOLDEN_LAST]
    alone = names(Analyzer(backend="onnxruntime", threads=1, landmarks=False).columns.columns)
    assert alone == [*GOLDEN_FIRST, *GOLDEN_QUALITY, "model", "note"]


def test_the_cells_of_a_row_never_change(tmp_path: Path) -> None:
    """The text of CSV, worked by hand: pixels with three digits, probabilities and times with six."""
    write_tables([FACE, FRAME], tmp_path / "t", info=INFO)
    face, frame = (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert face == (
        '"photos/müller, ""a"".jpg",0,,1,,1.250,-2.000,30.500,40.000,0.750,1,anger,0.500000,0.250000,0.125000,0.062500,'
        "0.031250,0.015625,0.015625," + 11 * "," + "tiny@abababababab,"
    )
    assert frame.startswith("video.mp4,30,1.001000,0,4,0.000,0.000,9.000,9.000,,1,anger,0.5")


COLOURS = LabelSet("colours", ("red", "blue"))


def test_further_outputs_have_columns_under_their_names() -> None:
    outputs = {
        "face": Output.classes(LABELS), "voice": Output.classes(COLOURS),
        "affect": Output("values", ("valence", "arousal"), unit="AffectNet's", range=(-1, 1)),
        "latent": Output("vector"),
    }  # fmt: skip
    first, second = info_of(outputs, "can"), info_of({"affect_2": outputs["affect"]}, "if3d")
    named = [FaceOutput(name, output, first) for name, output in outputs.items()]
    layout = ReadingColumns((first, second), (*named, FaceOutput("affect_2", outputs["affect"], second)))
    given = [name for name in names(layout.columns)[11:-2] if not name.startswith("quality_")]
    assert given == [
        "expression", *(f"prob_{name}" for name in LABELS.classes), "voice", "prob_voice_red", "prob_voice_blue",
        "valence", "arousal", "affect_2_valence", "affect_2_arousal",
    ]  # fmt: skip
    reading = replace(FACE, outputs={
        "face": SHARES, "voice": {"red": 0.25, "blue": 0.75}, "affect": {"valence": 0.5, "arousal": -0.5},
        "affect_2": {"valence": 0.1, "arousal": 0.2},
    })  # fmt: skip
    row = layout.row(reading)
    assert (row["expression"], row["voice"], row["prob_voice_blue"]) == ("anger", "blue", 0.75)
    assert (row["valence"], row["affect_2_arousal"]) == (0.5, 0.2)
    assert set(layout.row(NOBODY)) <= set(names(layout.columns)) and layout.row(NOBODY)["voice"] is None
    described = layout.described()
    assert described["columns"]["valence"]["range"] == "-1..1" and described["columns"]["valence"]["unit"]
    assert [model["id"] for model in described["models"]] == ["can@abababababab", "if3d@abababababab"]


def test_no_output_uses_the_name_of_another_column() -> None:
    outputs = {"model": Output.classes(COLOURS), "score": Output("values", ("note", "x_0", "prob_red"))}
    info = info_of(outputs | {"source": Output.classes(COLOURS)})
    found = names(ReadingColumns.of(info, point_columns()).columns)
    assert len(set(found)) == len(found) and {"score_note", "score_x_0", "score_prob_red", "source_source"} <= set(
        found
    )


def point_columns(*described: str) -> PointColumns:
    outputs = {"landmarks": Output.points(68)} | {
        name: Output.per_point("landmarks", 68, unit="crop sides") for name in described
    }
    return PointColumns(BundleInfo("dots", {}, {"image": PictureInput()}, outputs, files={"model.onnx": "cd" * 32}))


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
    sidecar = json.loads((tmp_path / "t.json").read_text())
    assert list(sidecar["columns"]) == list(face)
    described = sidecar["columns"]["x_36"]
    assert described == {"type": "float64", "unit": "pixels", "meaning": "x of the point: 36, right eye"}
    assert sidecar["columns"]["pose_yaw"]["unit"] == "degrees"
    assert sidecar["columns"]["confidence_0"]["range"] == "0..1"
    assert sidecar["points"]["smoothing"] == "none" and sidecar["points"]["model"]["id"] == "dots@cdcdcdcdcdcd"
    assert "pixel centres at whole numbers" in sidecar["points"]["frame_of_reference"]


def test_a_model_that_gives_less_has_fewer_columns() -> None:
    found = set(names(point_columns().columns))
    assert {"x_0", "y_67", "pose_roll"} <= found and not {"z_0", "confidence_0", "visible_0"} & found
    assert "confidence_0" in names(point_columns("sigma").columns) and "z_0" in names(point_columns("depth").columns)
