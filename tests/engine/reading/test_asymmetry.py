"""`mien asymmetry`: from files to a table and a page. The points are the truth of the pictures."""

import csv
import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.__main__ import main
from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.records import Box, FacePoints
from mien.core.spec import Output, PictureInput
from mien.engine.reading.asymmetry.command import FaceChoice, asymmetry, named_inputs
from mien.media.detect import Detection
from mien.media.files import read_info
from mien.media.video import Frame as VideoFrame
from mien.runtime.asymmetry import mirrored_points
from mien.runtime.asymmetry.examination import FaceReader, examine_video
from mien.runtime.asymmetry.frame import METHOD, Method
from mien.runtime.asymmetry.significance.errors import ERRORS_FILE, ErrorModel, load_errors
from mien.runtime.landmarks import shipped_landmarks
from mien.synthetic.face.palsy import Palsy
from mien.synthetic.people import PeopleOptions, person_of, photograph, scene_of
from mien.synthetic.picture.camera import Camera

SIZE = 240
SMILE = {f"{unit}_{side}": 0.8 for unit in ("AU12", "AU25") for side in "LR"}


def shot(units: dict[str, float]) -> tuple[np.ndarray, FacePoints]:
    options = PeopleOptions(size=SIZE, occluders=False, degradations=False)
    who = replace(person_of(5, 3, options=options), palsy=Palsy("L", 0.8, 0.8, 0.8, 0.8))
    scene = replace(scene_of(np.random.default_rng(0), who, options=options), camera=Camera(SIZE, 190, 3.0))
    pixels, truth = photograph(who, units, scene, options=options)
    return pixels, FacePoints(truth["landmarks_px"].astype(float), sigma_px=np.full(68, 0.4), pose_rad=(0.0, 0.0, 0.0))


class Oracle(FaceReader):
    """In place of FaceReader: it knows these pictures; a video's frames it knows by their light."""

    known: list[tuple[np.ndarray, FacePoints]] = []  # noqa: RUF012
    sigma_source = "given"

    def __init__(self, *_: object, **__: object) -> None:
        provenance = {"scores": {"val/nme_interocular": 0.0}, "measures_found": {"palpebral_fissure": 0.64}}
        outputs = {"landmarks": Output.points(68)}
        self.info = BundleInfo("oracle", {}, {"image": PictureInput(64)}, outputs, provenance=provenance)

    def __call__(self, pixels: np.ndarray, *, near: Box | None = None) -> FacePoints | None:
        if pixels.shape != (SIZE, SIZE, 3):
            return None
        found = []
        for picture, face in self.known:
            for image, points in ((picture, face), (picture[:, ::-1], mirrored_points(face, width=SIZE))):
                found.append((float(np.abs(image.astype(int) - pixels).mean()), points))
        return replace(min(found, key=lambda pair: pair[0])[1], box=near)


class Fitted(Oracle):
    """With the errors that were fitted for the shipped model."""

    def errors(self, *, mirrored: bool, method: Method = METHOD) -> ErrorModel | None:
        folder = shipped_landmarks()
        if folder is None:
            pytest.skip("no landmark model ships with this copy")
        return load_errors(folder / ERRORS_FILE, mirrored=mirrored, files=read_info(folder).files)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    Oracle.known = [shot({}), shot(SMILE)]
    for name, (pixels, _) in zip(("rest", "anna_smile"), Oracle.known, strict=True):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("mien.engine.reading.asymmetry.run")
    monkeypatch.setattr("mien.runtime.asymmetry.examination.FaceReader", Fitted)


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("mien.engine.reading.asymmetry.run")  # its annotations name the class that is replaced next
    monkeypatch.setattr("mien.runtime.asymmetry.examination.FaceReader", Oracle)


def rows(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (folder / "measures.csv").open(encoding="utf-8", newline="") as file:
        return {(row["task"], row["measure"]): row for row in csv.DictReader(file)}


@pytest.mark.usefixtures("oracle")
def test_photos_become_a_table_and_a_page(photos: Path, tmp_path: Path) -> None:
    summary = asymmetry([str(photos)], output=str(tmp_path), affected="left")
    assert "Estimates, no diagnosis" in summary and "anna_smile.png (smile)" in summary
    found = rows(tmp_path)
    drop = found["smile", "commissure_depth"]
    assert float(drop["left"]) > float(drop["right"]) + 5 and drop["clear"] == "1" and drop["unit"] == "mm"
    assert float(drop["difference"]) == pytest.approx(float(drop["right"]) - float(drop["left"]), abs=1e-3)
    assert float(drop["mirror_difference"]) == pytest.approx(0, abs=1e-6)
    assert found["rest", "asymmetry_whole_face"]["unit"] == "%"
    report = json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))
    assert "no diagnosis" in report["note"] and set(report["columns"]) == set(drop)
    assert {row["measure"] for row in report["measures"]} <= set(report["definitions"]) | {
        name for _, name in found if name.startswith("asymmetry_")
    }
    assert [scale["name"] for scale in report["scales"]] == ["eFACE", "Sunnybrook", "House-Brackmann"]
    assert report["scales"][2]["missing"] == ["brow_raise"]


@pytest.mark.usefixtures("oracle")
def test_the_page_stands_alone_and_says_what_it_is_not(photos: Path, tmp_path: Path) -> None:
    asymmetry([str(photos / "rest.png")], output=str(tmp_path), pupil_distance_mm=61)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "no diagnosis" in page and "pupil distance 61 mm, as given" in page and "@page" in page
    assert "<script" not in page and not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("data:image/jpeg") == 1 and "cannot be estimated" in page and "Mirror test" in page
    assert page.count("64 %") == 1 and "Found in tests" in page


@pytest.mark.usefixtures("oracle")
def test_a_video_becomes_curves(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from mien.media.video import write_video

    (rest, _), (smile, _) = Oracle.known  # the codec changes them a little: the oracle takes the nearest
    video = tmp_path / "smile.mp4"
    write_video(video, np.stack([rest] * 8 + [smile] * 8 + [rest] * 8), rate_hz=20)
    summary = asymmetry([str(video)], output=str(tmp_path / "out"))
    assert "left side moves less" in summary
    found = rows(tmp_path / "out")
    ratio = float(found["smile", "excursion_ratio"]["value"])
    assert 0 < ratio < 0.6
    with (tmp_path / "out" / "curves_1.csv").open(encoding="utf-8") as file:
        curves = list(csv.DictReader(file))
    assert len(curves) == 24 and {"time_s", "displacement_right", "palpebral_fissure_left"} <= set(curves[0])
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").count("<svg") == 4


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("given", ["left", "right"])
def test_the_side_that_moves_less_is_measured_and_not_the_one_that_was_given(
    photos: Path, tmp_path: Path, given: str
) -> None:
    pytest.importorskip("av")
    from mien.media.video import write_video

    (rest, _), (smile, _) = Oracle.known  # the left side is weak
    write_video(tmp_path / "smile.mp4", np.stack([rest] * 8 + [smile] * 8 + [rest] * 8), rate_hz=20)
    write_video(tmp_path / "still.mp4", np.stack([rest] * 12), rate_hz=20)
    moving = asymmetry([str(tmp_path / "smile.mp4")], output=str(tmp_path / "out"), affected=given)
    assert "left side moves less" in moving and "right side moves less" not in moving
    assert f"given as affected: the person's {given} side" in moving
    still = asymmetry([f"smile={tmp_path / 'still.mp4'}"], output=str(tmp_path / "still"), affected=given)
    assert "side moves less\n" not in still and "no side moves less beyond error" in still
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "left side moves less" in page and ("Given as affected is the right side" in page) is (given == "right")


def test_the_frame_shown_is_the_frame_named(photos: Path) -> None:
    (rest, _), (smile, _) = Oracle.known
    marked = []
    for k in range(24):
        frame = (smile if 8 <= k < 16 else rest).copy()
        frame[:4, :4] = 10 * k  # its number
        marked.append(VideoFrame(k, k / 20, frame))
    video = examine_video(lambda: iter(marked), Oracle(), source="video.mp4", task="smile")
    for photo, name in ((video.at_rest, "rest"), (video.at_peak, "smile")):
        number = int(photo.pixels[0, 0, 0]) // 10
        assert photo.source == f"video.mp4, {number / 20:.2f} s" and photo.task == name
    assert 8 <= int(video.at_peak.pixels[0, 0, 0]) // 10 < 16


@pytest.mark.usefixtures("fitted")
def test_with_fitted_errors_the_headline_names_region_value_range_and_side(photos: Path, tmp_path: Path) -> None:
    with_depth = [(pixels, replace(points, depth_px=np.zeros(68))) for pixels, points in Oracle.known]
    before, Oracle.known = Oracle.known, with_depth
    try:
        summary = asymmetry([str(photos)], output=str(tmp_path), affected="right")
    finally:
        Oracle.known = before
    line = next(line for line in summary.splitlines() if line.startswith("anna_smile.png"))
    assert "mouth: the corner of the mouth" in line and "90 % range" in line and "left side moves less" in line
    assert "right side moves less" not in summary and "given as affected: the person's right side" in summary
    drop = rows(tmp_path)["smile", "commissure_depth"]
    assert float(drop["true_low"]) < float(drop["true_difference"]) < float(drop["true_high"]) < 0
    assert drop["clear"] == "1" and abs(float(drop["true_difference"])) > float(drop["healthy_limit"]) > 0
    assert 0 < float(drop["detectable_90"]) < float(drop["detectable"])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "true difference (90 % range)" in page and "Given as affected: the person's right side" in page
    assert "Mouth: the corner of the mouth" in page and "errors of single points" not in page


@pytest.mark.usefixtures("fitted")
def test_two_folders_are_two_visits(photos: Path, tmp_path: Path) -> None:
    for visit, names in {"before": ("rest", "anna_smile"), "after": ("rest",)}.items():
        (tmp_path / visit).mkdir()
        for name in names:
            (tmp_path / visit / f"{name}.png").write_bytes((photos / f"{name}.png").read_bytes())
    visits = [str(tmp_path / "before"), str(tmp_path / "after")]
    summary = asymmetry(visits, output=str(tmp_path / "out"))
    assert summary.startswith("no change of a region is certain") and "0 of 21 measures changed" in summary
    with (tmp_path / "out" / "changes.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert {row["task"] for row in found} == {"rest"} and {row["verdict"] for row in found} == {"within error"}
    assert all(0 < float(row["detectable_90"]) < float(row["detectable_95"]) for row in found)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert (
        "Change between the visits" in page and "before/rest.png" in page and "Shown by one visit only: smile" in page
    )
    assert "Clinical scales" not in page  # of which visit?

    changed = [str(photos / "rest.png"), str(photos / "anna_smile.png")]
    summary = asymmetry(["rest=" + changed[0], "rest=" + changed[1]], output=str(tmp_path / "two"), compare=True)
    assert summary.startswith("largest change: mouth") and "less equal" in summary
    assert not (tmp_path / "one" / "changes.csv").exists()


@pytest.mark.usefixtures("oracle")
def test_visits_that_cannot_be_compared_are_one_line(photos: Path, tmp_path: Path) -> None:
    rest, smile = str(photos / "rest.png"), str(photos / "anna_smile.png")
    with pytest.raises(MienError, match="two inputs"):
        asymmetry([rest], output=str(tmp_path / "a"), compare=True)
    with pytest.raises(MienError, match="no task is in both: rest; smile"):
        asymmetry([rest, smile], output=str(tmp_path / "b"), compare=True)
    twice = tmp_path / "twice"
    twice.mkdir()
    for name in ("one_rest.png", "two_rest.png"):
        (twice / name).write_bytes((photos / "rest.png").read_bytes())
    with pytest.raises(MienError, match="one picture for each task"):
        asymmetry([str(twice), str(photos)], output=str(tmp_path / "c"))
    unfitted = asymmetry([rest, rest], output=str(tmp_path / "d"), compare=True)
    assert "no errors were fitted" in unfitted


@pytest.mark.usefixtures("oracle")
def test_a_photo_without_a_face_is_reported_and_the_others_measured(photos: Path, tmp_path: Path) -> None:
    empty = tmp_path / "wall.png"
    Image.new("RGB", (300, 300), "white").save(empty)
    summary = asymmetry([str(photos / "rest.png"), str(empty)], output=str(tmp_path / "out"))
    assert "not measured: wall.png: no face found" in summary
    assert "wall.png: no face found" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    with pytest.raises(MienError, match="Nothing could be measured"):
        asymmetry([str(empty)], output=str(tmp_path / "none"))


@pytest.mark.usefixtures("oracle")
def test_two_photos_of_one_task_make_no_scale(photos: Path, tmp_path: Path) -> None:
    twice = [f"rest={photos / 'rest.png'}", f"rest={photos / 'anna_smile.png'}"]
    asymmetry(twice, output=str(tmp_path))
    assert json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))["scales"] == []


def test_a_task_is_given_or_read_off_the_name(photos: Path) -> None:
    smile, rest = str(photos / "anna_smile.png"), str(photos / "rest.png")
    assert [task for task, _ in named_inputs([smile, rest], None)] == ["smile", "rest"]
    assert [task for task, _ in named_inputs([smile, rest], "pucker")] == ["pucker", "pucker"]
    assert named_inputs([f"snarl={smile}"], None) == [("snarl", Path(smile))]
    with pytest.raises(MienError, match="smile"):
        named_inputs([f"smil={smile}"], None)


def test_mistakes_end_in_one_line(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["--iris-px", "20", "--mm-per-px", "0.3"]
    assert main(["asymmetry", str(photos), "--output", str(tmp_path / "o"), *wrong]) == 2
    assert "One scale only" in capsys.readouterr().err


def test_the_shipped_reader_reads_a_photo(tmp_path: Path) -> None:
    from mien.runtime.landmarks import shipped_landmarks

    if shipped_landmarks() is None:
        pytest.skip("no landmark model ships with this copy")
    picture = tmp_path / "rest.png"
    Image.fromarray(pytest.importorskip("skimage.data").astronaut()).save(picture)
    asymmetry([str(picture)], output=str(tmp_path / "out"), threads=1)
    found = rows(tmp_path / "out")
    assert 5 < float(found["rest", "palpebral_fissure"]["right"]) < 18
    assert float(found["rest", "commissure_depth"]["mirror_difference"]) < 8, "another face in the mirrored picture"


@pytest.mark.usefixtures("oracle")
def test_a_name_that_is_not_utf8_is_written_as_text(photos: Path, tmp_path: Path) -> None:
    import os

    odd = tmp_path / os.fsdecode(b"caf\xe9_smile.png")
    odd.write_bytes((photos / "anna_smile.png").read_bytes())
    asymmetry([str(odd)], output=str(tmp_path / "out"))
    assert "caf%E9_smile.png" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "caf%E9_smile.png" in (tmp_path / "out" / "measures.csv").read_text(encoding="utf-8")


WIDE = np.zeros((100, 300, 3), np.uint8)
BOXES = [(10.0, 10.0, 50.0, 50.0), (200.0, 5.0, 280.0, 85.0), (100.0, 20.0, 130.0, 50.0)]


def face_at(_: np.ndarray, *, near: tuple[float, ...] | None = None) -> FacePoints:
    """By itself the middle one, as one that a detector is surest of."""
    return FacePoints(np.zeros((68, 2)), box=near or BOXES[2])


def test_one_of_several_faces_is_chosen_by_number_and_named() -> None:
    def chosen(face: int | None) -> FaceChoice:
        choice = FaceChoice(face_at, lambda _: [Detection(box, 1.0) for box in BOXES], face)
        choice.begin("three.jpg")
        return choice

    for face, box in ((0, BOXES[1]), (1, BOXES[0]), (2, BOXES[2]), (None, BOXES[2])):
        choice = chosen(face)
        assert choice(WIDE).box == box
        assert choice(WIDE).box == box and len(choice.faces) == 1  # a later frame of the same video
        assert choice.faces[0]["found"] == 3 and choice.faces[0]["measured"] == (2 if face is None else face)
        (line,) = choice.lines()
        assert f"three.jpg: 3 faces; measured is face {2 if face is None else face}" in line
        assert f"x {box[0]:.0f} to {box[2]:.0f}" in line and "--face N" in line
    with pytest.raises(MienError, match=r"three.jpg: no face 3; the detector finds 3 \(0 is the largest\)"):
        chosen(3)(WIDE)
    with pytest.raises(MienError, match="--face must be 0"):
        chosen(-1)


@pytest.mark.usefixtures("oracle")
def test_the_page_names_the_face_that_was_chosen(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Detection(box, 1.0) for box in BOXES]
    monkeypatch.setattr("mien.engine.reading.asymmetry.command.create_detector", lambda *_, **__: lambda _: found)
    summary = asymmetry([str(photos / "rest.png")], output=str(tmp_path), face=1)
    assert "rest.png: 3 faces; measured is face 1, at x " in summary
    assert "rest.png: 3 faces; measured is face 1, at x " in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("oracle")
def test_an_earlier_report_is_replaced_on_request_only_and_as_a_whole(photos: Path, tmp_path: Path) -> None:
    for name in ("curves_1.csv", "measures.csv", "my_curves_1.csv"):
        (tmp_path / name).write_text("of another person")
    with pytest.raises(MienError, match=r"holds the results of an earlier run \(curves_1.csv\). Add --overwrite"):
        asymmetry([str(photos / "rest.png")], output=str(tmp_path))
    assert (tmp_path / "measures.csv").read_text() == "of another person"
    asymmetry([str(photos / "rest.png")], output=str(tmp_path), overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "measures.csv", "measures.json", "my_curves_1.csv", "report.html",
    ]  # fmt: skip
    assert "another person" not in (tmp_path / "measures.csv").read_text()
