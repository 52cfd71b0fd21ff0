"""Other tools' tables: their names, order, units and signs, and nothing in them that mien did not read."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import mien
from mien.core.errors import MienError
from mien.media.tables import read_rows
from mien.media.tables.stored import open_table
from mien.runtime.formats import FORMATS, coco, fex, formats_of, openface
from mien.runtime.pose import neutral_face, rotation_of
from mien.runtime.stored_readings import StoredReadings
from stored_run import CLASSES, face, head_points, layout, missing, write_run

POSES = [(0.0, 0.0, 0.0), (0.3, 0.0, 0.0), (0.0, 0.4, 0.0), (0.0, 0.0, -0.5), (-0.35, 0.6, 0.2)]


def converted(name: str, folder: Path) -> Path:
    return FORMATS[name].write(open_table(folder), folder / FORMATS[name].file)[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    readings = [face(frame=i, time=i / 25, seed=i, pose=pose) for i, pose in enumerate(POSES)]
    more = [missing(frame=5, time=0.2), face("photo, b.jpg", time=None, seed=9), face("c.jpg", time=None, face_id=1)]
    return write_run(tmp_path_factory.mktemp("run"), [*readings, *more])


# --- OpenFace


def test_openface_has_its_columns_in_its_order_and_names_what_is_absent(run: Path) -> None:
    path = converted("openface", run)
    header = list(next(iter(read_rows(path))))
    assert header == [n for n in openface.COLUMNS if n in set(header)] + ["source"]
    assert header[:6] == ["frame", "face_id", "timestamp", "confidence", "success", "pose_Rx"] and "y_67" in header
    absent = {n: each["why"] for each in json.loads(path.with_suffix(".json").read_text())["left_out"]
              for n in each["columns"]}  # fmt: skip
    assert set(absent) | set(header) == {*openface.COLUMNS, "source"} and not set(absent) & set(header)
    assert "gaze" in absent["gaze_0_x"] and "--with face3d" in absent["AU12_r"] and "intensities" in absent["AU28_c"]
    assert len(openface.COLUMNS) == 5 + 8 + 5 * 56 + 6 + 136 + 204 + 40 + 17 + 18  # the 714 columns of its output page


def test_openface_counts_frames_from_1_and_keeps_missing_faces(run: Path) -> None:
    rows = list(read_rows(converted("openface", run)))
    assert [row["frame"] for row in rows] == ["1", "2", "3", "4", "5", "6", "1", "1"]
    assert [row["success"] for row in rows] == ["1"] * 5 + ["0", "1", "1"]
    assert rows[5] == {**dict.fromkeys(rows[5], ""), "frame": "6", "face_id": "0", "timestamp": "0.200", "success": "0",
                       "confidence": "0.000", "source": "video.mp4"}  # fmt: skip
    assert (rows[6]["source"], rows[6]["timestamp"], rows[7]["face_id"]) == ("photo, b.jpg", "0.000", "1")
    sure = head_points((0, 0, 0), np.random.default_rng(0)).confidence
    assert float(rows[0]["x_30"]) == pytest.approx(neutral_face()[30, 0] * 1000 + 60, abs=1e-3) and sure is not None


@pytest.mark.parametrize("number", range(len(POSES)))
def test_openface_angles_turn_its_model_onto_the_points(run: Path, number: int) -> None:
    """A head of known pose, its points projected; OpenFace's own formula (R = Rx Ry Rz, y down) must give them."""
    row = list(read_rows(converted("openface", run)))[number]
    rx, ry, rz = (float(row[f"pose_R{axis}"]) for axis in "xyz")
    about = [cv2.Rodrigues(np.array(axis) * angle)[0] for axis, angle in
             (((1.0, 0, 0), rx), ((0, 1.0, 0), ry), ((0, 0, 1.0), rz))]  # fmt: skip
    head = neutral_face() * (1, -1, -1) * 1000
    turned = head @ (about[0] @ about[1] @ about[2]).T
    x, y = (np.array([float(row[f"{axis}_{i}"]) for i in range(68)]) for axis in "xy")
    assert np.allclose(turned[:, 0] + 60, x, atol=0.01) and np.allclose(turned[:, 1] + 80, y, atol=0.01)


def test_openface_signs_are_those_of_its_users(run: Path) -> None:
    """Head up: pose_Rx below 0. Turned to their right, the viewer's left: pose_Ry above 0."""
    rows = list(read_rows(converted("openface", run)))
    assert float(rows[1]["pose_Rx"]) == pytest.approx(-0.3) and float(rows[2]["pose_Ry"]) == pytest.approx(-0.4)
    assert float(rows[3]["pose_Rz"]) == pytest.approx(-0.5)


@pytest.fixture(scope="module")
def solid_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    units = {"AU12_right": 0.8, "AU12_left": 0.4, "AU26": 0.3, "AU43_right": 1.0, "AU43_left": 0.5, "AU24_left": 0.5}
    readings = [face(seed=1, units=units), missing(frame=1, time=0.04)]
    return write_run(tmp_path_factory.mktemp("solid"), readings, layout(face3d=True))


def test_action_units_are_the_mean_of_the_sides_in_the_units_of_each_format(solid_run: Path) -> None:
    row = next(iter(read_rows(converted("openface", solid_run))))
    assert [row[f"AU{n}_r"] for n in ("12", "26", "45", "01")] == ["3.000", "1.500", "3.750", "0.000"]
    assert not any(name.endswith("_c") for name in row)
    row = next(iter(read_rows(converted("fex", solid_run))))
    assert [row[f"AU{n}"] for n in ("12", "26", "43", "24")] == ["0.6000", "0.3000", "0.7500", "0.2500"]


def test_tracks_are_face_ids(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_text("source,frame,timestamp,face_id,success,track_id,box_x0,box_y0,box_x1,box_y1\n"
                    "a.mp4,0,0.0,0,1,7,1,2,3,5\na.mp4,1,0.04,,0,,,,,\nb.jpg,0,,1,1,,1,2,3,5\n")  # fmt: skip
    rows = list(read_rows(FORMATS["openface"].write(open_table(path), tmp_path / "o.csv")[0]))
    assert [row["face_id"] for row in rows] == ["7", "0", "1"] and "x_0" not in rows[0] and "confidence" not in rows[0]
    rows = list(read_rows(FORMATS["fex"].write(open_table(path), tmp_path / "f.csv")[0]))
    assert [row["Identity"] for row in rows] == ["Person_7", "", ""] and rows[0]["FaceRectHeight"] == "3.000"


# --- py-feat


def test_fex_has_its_columns_in_its_order(run: Path) -> None:
    path = converted("fex", run)
    rows = list(read_rows(path))
    assert list(rows[0]) == [n for n in fex.COLUMNS if n in rows[0]]
    assert {*fex.EXPRESSIONS, *fex.POSE, "FaceRectWidth", "input", "frame"} <= rows[0].keys()
    sidecar = json.loads(path.with_suffix(".json").read_text())
    absent = {n for each in sidecar["left_out"] for n in each["columns"]}
    assert absent | set(rows[0]) == set(fex.COLUMNS) and "FaceScore" in absent  # dlib's score is no probability
    assert any("contempt" in note for note in sidecar["notes"])
    assert (rows[0]["FaceRectX"], rows[0]["FaceRectWidth"]) == ("10.500", "100.000")
    assert rows[5]["input"] == "video.mp4" and rows[5]["anger"] == rows[5]["x_0"] == ""
    assert [row["frame"] for row in rows] == ["0", "1", "2", "3", "4", "5", "1", "2"]
    assert [row["approx_time"] for row in rows][-3:] == ["00:00", "", ""]


@pytest.mark.parametrize("angles", POSES)
def test_fex_angles_compose_to_the_rotation(angles: tuple[float, float, float]) -> None:
    to_camera = np.diag([1.0, -1.0, -1.0])
    rotation = to_camera @ rotation_of(*angles) @ to_camera
    found = fex.fex_angles(rotation[None])[0]
    about = [cv2.Rodrigues(np.eye(3)[i] * found[i])[0] for i in range(3)]
    assert np.allclose(about[2] @ about[1] @ about[0], rotation, atol=1e-12)


# --- JSON lines, COCO


def assert_alike(one: object, other: object, where: str = "") -> None:
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_alike(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list):
        assert len(one) == len(other), where
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_alike(a, b, f"{where}[{i}]")
    else:
        assert one == (pytest.approx(other, rel=1e-12, abs=1e-12) if isinstance(other, float) else other), where


@pytest.mark.parametrize("make", [
    lambda: face(seed=3, pose=(0.1, 0.2, 0.3), track=4), missing, lambda: face(points=False, affect=False),
    lambda: face("pi\u00f1ata\n.jpg", time=None, face_id=2, units={"AU12_right": 0.5, "AU43_left": 0.25}),
])  # fmt: skip
def test_a_reading_survives_the_table(tmp_path: Path, make: Callable) -> None:
    reading = make()
    columns = layout(face3d=reading.face3d is not None)
    write_run(tmp_path, [reading], columns)
    (line,) = converted("jsonl", tmp_path).read_text(encoding="utf-8").splitlines()
    assert_alike(json.loads(line), json.loads(json.dumps(reading.to_dict())))
    (again,) = StoredReadings(open_table(tmp_path))
    assert again.summary == reading.summary
    assert_alike(columns.row(again), columns.row(reading))


def test_a_csv_gives_the_same_readings_to_its_digits(run: Path) -> None:
    csv, parquet = (StoredReadings(open_table(run / f"readings.{suffix}")) for suffix in ("csv", "parquet"))
    for one, other in zip(csv, parquet, strict=True):
        for name in ("source", "frame", "note", "expression"):
            assert getattr(one, name) == getattr(other, name)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_coco_counts_images_and_faces(run: Path) -> None:
    found = json.loads(converted("coco", run).read_text(encoding="utf-8"))
    assert [image["file_name"] for image in found["images"]] == ["video.mp4"] * 6 + ["photo, b.jpg", "c.jpg"]
    assert found["images"][5] == {"id": 6, "file_name": "video.mp4", "frame": 5, "timestamp": 0.2}
    assert [face_["image_id"] for face_ in found["annotations"]] == [1, 2, 3, 4, 5, 7, 8]
    first, (category,) = found["annotations"][0], found["categories"]
    assert first["bbox"] == [10.5, 20.25, 100.0, 120.0] and first["area"] == 12000
    keypoints = np.reshape(first["keypoints"], (68, 3))
    points = head_points(POSES[0], np.random.default_rng(0))
    assert np.allclose(keypoints[:, :2], points.landmarks_px, atol=5e-4) and set(keypoints[:, 2]) == {1, 2}
    assert len(category["keypoints"]) == len(set(category["keypoints"])) == 68
    assert min(map(min, category["skeleton"])) == 1 and max(map(max, category["skeleton"])) == 68


def test_coco_of_a_table_without_points_has_boxes_alone(tmp_path: Path) -> None:
    write_run(tmp_path, [face(points=False)], layout(points=False))
    found = json.loads(converted("coco", tmp_path).read_text(encoding="utf-8"))
    assert "keypoints" not in found["annotations"][0] and "keypoints" not in found["categories"][0]
    coco_lists = {"images", "annotations", "categories", "info", "licenses"}
    assert found.keys() == coco_lists and coco.TITLE in FORMATS["coco"].title


# --- all


@pytest.mark.parametrize("name", ["openface", "fex"])
def test_what_is_written_is_read_back_equal(run: Path, name: str) -> None:
    path = converted(name, run)
    table = mien.read_table(path, "arrow")
    mine = mien.read_table(run, "arrow")
    assert table.column("x_30").to_pylist() == [None if v is None else pytest.approx(v, abs=5e-4)
                                                for v in mine.column("x_30").to_pylist()]  # fmt: skip
    kinds = {column.name: column.kind for column in open_table(path).columns}
    assert kinds["x_30"] == "number" and kinds["frame"] == "integer"
    assert kinds["source" if name == "openface" else "input"] == "text"


def test_formats_are_named_by_commas_or_again() -> None:
    assert formats_of(["openface,fex", "fex"]) == ["openface", "fex"] and len(CLASSES) == 8
    with pytest.raises(MienError, match=r"--format takes openface, fex, jsonl, coco; got 'opnface'\. Did you mean"):
        formats_of("opnface")


def test_a_table_of_voices_is_no_table_of_faces(tmp_path: Path) -> None:
    (tmp_path / "readings.csv").write_text("source,from_s\na,1\n")
    with pytest.raises(MienError, match="has no column"):
        converted("coco", tmp_path)
    with pytest.raises(MienError, match="has no column"):
        converted("openface", tmp_path)


def test_a_cell_that_is_no_number_is_named(tmp_path: Path) -> None:
    write_run(tmp_path, [face("a.jpg")], layout())
    (tmp_path / "readings.parquet").unlink()
    lines = [line.split(",") for line in (tmp_path / "readings.csv").read_text(encoding="utf-8").splitlines()]
    lines[1][lines[0].index("box_x1")] = "abc"
    (tmp_path / "readings.csv").write_text("\n".join(",".join(line) for line in lines), encoding="utf-8")
    for name in ("coco", "jsonl"):
        with pytest.raises(MienError, match="column box_x1 holds 'abc'"):
            converted(name, tmp_path)
