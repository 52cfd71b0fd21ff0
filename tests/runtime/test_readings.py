"""What the Analyzer takes, and what a person does with its readings: print, show, draw, write, make a table of them."""

import io
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from mien import Analyzer
from mien.core.errors import MienError
from mien.media.bundles import bundle_folder
from mien.media.files import read_info
from mien.runtime.readings import Readings
from shape_checks import unchecked


@pytest.fixture(scope="module")
def whole() -> Analyzer:
    """Nothing is named: what `mien analyze` reads with."""
    return Analyzer(backend="onnxruntime", threads=1)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("photo") / "<i>photo.png"
    Image.fromarray(astronaut).save(path)
    return path


@pytest.fixture(scope="module")
def readings(whole: Analyzer, photo: Path) -> Readings:
    return whole.read(photo)


def test_points_and_pose_are_read_unless_they_are_refused(readings: Readings, analyzer: Analyzer) -> None:
    (face,) = readings
    assert face.points is not None and face.points.landmarks_px.shape == (68, 2) and face.points.pose_rad is not None
    assert analyzer.landmarks is None  # Analyzer(bundle, landmarks=False)


def test_whatever_holds_a_picture_reads_the_same(whole: Analyzer, readings: Readings, photo: Path) -> None:
    pixels = np.asarray(Image.open(photo))
    content = photo.read_bytes()
    ways = [str(photo), photo, content, bytearray(content), Image.open(photo), Image.open(io.BytesIO(content)), pixels]
    together = whole.read(ways)
    assert [len(each) for each in together] == [1] * len(ways)
    for (face,) in together:
        assert face.box == readings[0].box and face.probabilities == readings[0].probabilities
        np.testing.assert_array_equal(face.points.landmarks_px, readings[0].points.landmarks_px)
    assert [each[0].source for each in together] == [
        str(photo), str(photo), "picture 2", "picture 3", str(photo), "picture 5", "picture 6",
    ]  # fmt: skip
    assert whole.read(pixels)[0].source == "" and whole.read([]) == []


def test_pillow_images_are_upright_and_of_any_mode(whole: Analyzer, readings: Readings, photo: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = io.BytesIO()
    Image.open(photo).transpose(Image.Transpose.ROTATE_90).save(stored, "PNG", exif=exif)
    turned, clear, grey = whole.read(
        [Image.open(stored), Image.open(photo).convert("RGBA"), Image.open(photo).convert("L")]
    )
    assert turned[0].box == clear[0].box == readings[0].box and grey[0].success


def test_in_a_list_a_broken_file_is_a_reading_that_says_why(whole: Analyzer, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    good, broken, cut = whole.read([photo, tmp_path / "empty.jpg", b"\xff\xd8\xff\xe0 cut"])
    assert good[0].success and not broken[0].success and "empty" in broken[0].note and not cut[0].success
    with pytest.raises(MienError, match="the bytes"):
        whole.read(b"\xff\xd8\xff\xe0 cut")


@unchecked()
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (3, "A picture is a path, bytes, a Pillow image, an array .* or a list of them; got int"),
        (None, "got NoneType"),
        ([["a.jpg"]], "got list"),
        ({"a.jpg"}, "got set"),
        (".", "a folder, not a picture. Analyzer.read_many reads folders"),
        ("video.MP4", "a video, not a picture. Analyzer.read_video reads videos"),
        (np.zeros((2, 9, 9, 3), np.uint8), "Pass several pictures as a list"),
        (np.zeros((9, 9, 3), np.float32), r"RGB; got float32 \[9, 9, 3\]. Convert it: \(255 \* pixels\)"),
        (np.zeros((9, 9, 4), np.uint8), r"Leave out the fourth channel"),
        (np.zeros((3, 9, 9), np.uint8), r"transpose\(1, 2, 0\)"),
    ],
)
def test_the_rest_is_refused_in_one_line(whole: Analyzer, wrong: object, message: str) -> None:
    with pytest.raises(MienError, match=message) as raised:
        whole.read(wrong)
    assert "\n" not in str(raised.value)


def test_readings_print_in_one_line(whole: Analyzer, readings: Readings, photo: Path) -> None:
    (face,) = readings
    assert "\n" not in repr(readings) and len(repr(readings)) < 250
    pitch, yaw, roll = (round(float(np.degrees(angle))) for angle in face.points.pose_rad)
    for part in (
        face.label,
        f"({', '.join(f'{e:.0f}' for e in face.box)})",
        f"pitch {pitch}°, yaw {yaw}°, roll {roll}°",
    ):
        assert part in repr(face)
    assert repr(face.points).startswith("FacePoints(68 points, mean confidence ")
    read = next(iter(whole.read_many([photo])))
    assert "\n" not in repr(read) and face.label in repr(read)
    (nobody,) = whole.read(np.full((80, 80, 3), 127, np.uint8))
    assert repr(nobody) == "Reading(no face found)"


def test_readings_become_plain_values_that_json_takes(readings: Readings) -> None:
    (plain,) = json.loads(json.dumps(readings.to_dict(), allow_nan=False))
    assert plain == readings[0].to_dict() and plain["expression"] == readings[0].expression
    assert len(plain["points"]["landmarks_px"]) == 68 and len(plain["box"]) == 4 and "origin" not in plain
    assert pickle.loads(pickle.dumps(readings)).to_dict() == readings.to_dict()


def test_a_notebook_shows_the_picture_and_a_table(whole: Analyzer, readings: Readings, astronaut: np.ndarray) -> None:
    for shown in (readings._repr_html_(), readings[0]._repr_html_()):
        assert shown.count('<img alt="the picture with its faces drawn" src="data:image/jpeg;base64,') == 1
        assert f"<td>{readings[0].expression}" in shown and "<i>" not in shown
    both = whole.read([astronaut, np.full((80, 80, 3), 127, np.uint8)])
    assert both._repr_html_().count("<img") == 2 and "no face found" in both._repr_html_()


def test_a_drawing_is_a_pillow_image_or_a_file(
    whole: Analyzer, readings: Readings, photo: Path, tmp_path: Path, astronaut: np.ndarray
) -> None:
    drawn = readings.plot(tmp_path / "drawn.png")
    assert drawn.size == Image.open(photo).size
    x0, y0, x1, y1 = (round(edge) for edge in readings[0].box)
    changed = (np.asarray(drawn) != astronaut).any(2)
    assert changed[y0:y1, x0:x1].any() and not changed[y1 + 60 :].any()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "drawn.png")), np.asarray(drawn))
    np.testing.assert_array_equal(np.asarray(whole.read(astronaut).plot()), np.asarray(drawn))
    np.testing.assert_array_equal(np.asarray(whole.read(photo.read_bytes())[0].plot()), np.asarray(drawn))
    with pytest.raises(MienError, match="names no kind of picture"):
        readings.plot(tmp_path / "drawn.txt")
    Image.open(photo).save(tmp_path / "gone.png")
    gone = whole.read(tmp_path / "gone.png")
    (tmp_path / "gone.png").unlink()
    with pytest.raises(MienError, match=r"gone.png: no such file"):
        gone.plot()
    assert "no such file" in gone._repr_html_() and f"<td>{gone[0].expression}" in gone._repr_html_()


def test_tables_are_those_of_the_command(
    whole: Analyzer, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.media.tables import TableWriter

    some = [*whole.read_many([photo]), whole.read(np.full((80, 80, 3), 127, np.uint8))]
    arrow = mien.to_table(some, "arrow")
    with TableWriter(tmp_path / "command", whole.columns.columns) as table:
        table.append(whole.columns.row(face) for face in [*some[0].readings, *some[1]])
    header = (tmp_path / "command.csv").read_text(encoding="utf-8").partition("\n")[0].split(",")
    assert arrow.schema.names == header and arrow.column("success").to_pylist() == [1, 0]
    assert arrow.column("x_30").to_pylist()[0] == some[0].readings[0].points.landmarks_px[30, 0]

    class Pandas:
        def DataFrame(self, values: dict) -> dict:
            return values

    monkeypatch.setattr("mien.media.tables.frames.find_spec", lambda name: None)
    assert type(mien.to_table(some)) is type(arrow)
    with pytest.raises(MienError, match="pandas is not installed: pip install pandas, or take kind='arrow'"):
        mien.to_table(some, "pandas")
    monkeypatch.setattr("mien.media.tables.frames.find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "pandas", Pandas())
    assert list(mien.to_table(some)) == header and mien.to_table(some, "pandas")["face_id"] == [0, None]


@unchecked()
def test_tables_of_something_else_are_refused() -> None:
    with pytest.raises(MienError, match="to_table takes readings of an Analyzer, in lists of any depth; got str"):
        mien.to_table(["photo.jpg"])
    with pytest.raises(MienError, match="Kinds of tables"):
        mien.to_table([], "excel")


def test_bundles_that_ship_are_known_by_name_everywhere() -> None:
    names = mien.list_models("bundles")
    assert {"poster_v2_small_ferplus", "parface_small_300w"} <= set(names)
    assert mien.list_models() == [*mien.list_models("systems"), *names] and "poster_v2" in mien.list_models("systems")
    small = "poster_v2_landmarks_small_300w"
    read = Analyzer(small, backend="onnxruntime", threads=1).landmarks
    assert read.info.model_id == read_info(bundle_folder(small)).model_id
    with pytest.raises(MienError, match="Did you mean 'poster_v2_small_ferplus'"):
        Analyzer("poster_v2_small_ferpluss")
    with pytest.raises(MienError, match=r"a trained bundle, not a system: mien.load\('parface_small_300w'\)"):
        mien.create_model("parface_small_300w")
