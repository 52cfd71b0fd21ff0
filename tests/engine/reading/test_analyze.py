"""`mien analyze`: what lies in the output folder, whatever lies in the input."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from analyzed import rows, run
from PIL import Image

from mien.core.errors import MienError
from mien.core.trust.calibration import Calibration
from mien.engine.reading.drawings import SampledFrames
from shape_checks import unchecked

sys.path.insert(0, str(Path(__file__).parents[2] / "runtime"))
from tiny_bundle import write_tiny_bundle
from tiny_points import frontal_face, write_point_bundle


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Answers every face with the same frontal one, with depth."""
    face = frontal_face()
    outputs = {"landmarks": face[:, :2], "depth": face[:, 2], "sigma": np.full(68, 0.01)}
    return str(write_point_bundle(tmp_path_factory.mktemp("dots"), outputs))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two folders with a picture of the same name, a picture without a face, two broken files."""
    astronaut = pytest.importorskip("skimage.data").astronaut()
    for name in ("photos/a.jpg", "photos/more/a.jpg", "photos/more/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(astronaut).save(tmp_path / name)
    Image.new("RGB", (320, 240), "grey").save(tmp_path / "photos" / "nobody.png")
    (tmp_path / "photos" / "empty.jpg").touch()
    (tmp_path / "photos" / "text.jpg").write_text("hello")
    return tmp_path / "photos"


def test_a_folder_gives_tables_overlays_and_a_contact_sheet(photos: Path, tmp_path: Path, bundle: str) -> None:
    output = tmp_path / "out"
    summary = run(photos, output=output, bundle=bundle)
    assert {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()} == {
        "readings.csv", "readings.parquet", "readings.json", "contact_sheet.jpg", "overlays/photos__a.jpg",
        "overlays/more__a.jpg", "overlays/b.jpg", "overlays/nobody.jpg", "files.jsonl",
    }  # fmt: skip
    table = rows(output)
    assert [(Path(row["source"]).name, row["success"]) for row in table] == [
        ("a.jpg", "1"), ("empty.jpg", "0"), ("a.jpg", "1"), ("b.png", "1"), ("nobody.png", "0"), ("text.jpg", "0"),
    ]  # fmt: skip
    assert "6 pictures" in summary and "3 faces" in summary and "1 without a face" in summary
    assert "2 files could not be read" in summary and str(output / "readings.csv") in summary
    sidecar = json.loads((output / "readings.json").read_text())
    assert sidecar["state"] == "complete" and sidecar["engine"] == "onnxruntime fp32" and sidecar["faces"] == 3


def test_one_picture_needs_no_contact_sheet(photos: Path, tmp_path: Path, bundle: str) -> None:
    run(photos / "a.jpg", output=tmp_path / "out", bundle=bundle)
    assert not (tmp_path / "out" / "contact_sheet.jpg").exists()
    pixels = np.asarray(Image.open(tmp_path / "out" / "overlays" / "a.jpg"))
    assert pixels.shape == (512, 512, 3)


def test_the_table_alone(photos: Path, tmp_path: Path, bundle: str) -> None:
    run(photos, output=tmp_path / "out", bundle=bundle, overlay=False, limit=2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "readings.csv", "readings.json", "readings.parquet",
    ]  # fmt: skip
    assert len(rows(tmp_path / "out")) == 2


def test_a_second_time_does_not_read_its_own_overlays(photos: Path, bundle: str) -> None:
    for again in (False, True):
        run(photos, output=photos / "out", bundle=bundle, overwrite=again)
        assert len(rows(photos / "out")) == 6
    with pytest.raises(MienError, match="which is the output folder"):
        run(photos / "out" / "overlays", output=photos / "out", bundle=bundle, resume=True)


def test_names_from_standard_input(photos: Path, tmp_path: Path, bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{photos / 'a.jpg'}\n\n{photos / 'nobody.png'}\n"))
    run("-", output=tmp_path / "out", bundle=bundle)
    assert [Path(row["source"]).name for row in rows(tmp_path / "out")] == ["a.jpg", "nobody.png"]


def test_what_was_read_is_kept_when_it_is_interrupted(
    photos: Path, tmp_path: Path, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.engine.reading import drawings as module

    written = []

    def stop(pixels, path) -> None:
        written.append(path)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_jpeg", stop)
    with pytest.raises(KeyboardInterrupt):
        run(photos, output=tmp_path / "out", bundle=bundle)
    table = rows(tmp_path / "out")
    assert 2 <= len(table) < 6 and table[0]["success"] == "1"
    assert json.loads((tmp_path / "out" / "readings.json").read_text())["state"] == "interrupted"


def test_nothing_readable_is_a_mistake_with_its_reason_and_a_table(photos: Path, tmp_path: Path, bundle: str) -> None:
    with pytest.raises(MienError, match=r"Nothing could be read: .*empty\.jpg: the file is empty.*\(and 1 others\)"):
        run(photos / "empty.jpg", photos / "text.jpg", output=tmp_path / "out", bundle=bundle)
    assert [row["success"] for row in rows(tmp_path / "out")] == ["0", "0"]


def test_an_output_that_cannot_be_written_is_reported_before_the_work(
    photos: Path, tmp_path: Path, bundle: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MienError, match=r"Cannot write .*file"):
        run(photos, output=tmp_path / "file", bundle=bundle)
    with pytest.raises(MienError, match="no such file or folder"):
        run(tmp_path / "photoz", output=tmp_path / "out", bundle=bundle)
    with pytest.raises(MienError, match="--every must be 1 or more; got 0"):
        run(photos, output=tmp_path / "out", bundle=bundle, every=0)


def test_frames_of_a_long_video_are_shown_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.core.records import Reading
    from mien.media.image import Picture
    from mien.runtime.readings import PictureReadings

    shown, picture = SampledFrames(4), Picture(np.zeros((8, 8, 3), np.uint8), 1.0, (8, 8))
    for index in range(100):
        shown.offer(PictureReadings("v", picture, [Reading("v", False, frame=index, timestamp_s=float(index))]))
    times = [float(caption.split()[0]) for caption, _ in shown.kept]
    assert 2 <= len(times) <= 4 and times[0] == 0 and len(set(np.diff(times))) == 1


def test_a_video_gives_rows_with_times_and_a_sheet_of_frames(photos: Path, tmp_path: Path, bundle: str) -> None:
    av = pytest.importorskip("av")
    pixels = np.asarray(Image.open(photos / "more" / "b.png"))
    with av.open(str(tmp_path / "video.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p"
        for _ in range(4):
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    summary = run(tmp_path / "video.mp4", tmp_path / "broken.mp4", output=tmp_path / "out", bundle=bundle)
    table = rows(tmp_path / "out")
    assert [row["success"] for row in table] == ["0", "1", "1", "1", "1"]
    assert [float(row["timestamp"]) for row in table[1:]] == pytest.approx([0, 0.2, 0.4, 0.6])
    assert "broken.mp4" in table[0]["source"] and "1 file could not be read" in summary
    assert (tmp_path / "out" / "overlays" / "video.jpg").is_file()


def test_the_options_of_the_command(bundle: str, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture) -> None:
    from mien.__main__ import main

    arguments = ["analyze", str(photos / "a.jpg"), "--output", str(tmp_path / "o"), "--bundle", bundle, "--no-overlay"]
    assert main(arguments) == 0
    assert ", 1 face." in capsys.readouterr().out
    assert main([*arguments, "--detektor", "dlib"]) == 2
    assert "Did you mean '--detector'" in capsys.readouterr().err


def test_points_go_into_the_table_the_pts_files_and_the_pictures(
    photos: Path, tmp_path: Path, bundle: str, dots: str
) -> None:
    from mien.media.points import read_pts

    with_points, without = tmp_path / "with", tmp_path / "without"
    options = {"landmarks": "auto", "landmark_bundle": dots, "points": True}
    summary = run(photos / "a.jpg", photos / "nobody.png", output=with_points, bundle=bundle, **options)
    run(photos / "a.jpg", output=without, bundle=bundle)
    face, nobody = rows(with_points)
    assert "points by tiny_points@" in summary and nobody["x_0"] == "" and "x_0" not in rows(without)[0]
    points = read_pts(with_points / "points" / "a.pts")
    np.testing.assert_allclose(points[5], [float(face["x_5"]), float(face["y_5"])], atol=2e-3)
    assert [path.name for path in (with_points / "points").iterdir()] == ["a.pts"]
    assert abs(float(face["pose_yaw"])) < 1 and 0 < float(face["confidence_0"]) < 1 and float(face["z_30"]) > 0
    drawn, plain = (np.asarray(Image.open(folder / "overlays" / "a.jpg")) for folder in (with_points, without))
    assert (np.abs(drawn.astype(int) - plain).max(-1) > 12).sum() > 100


def test_mistakes_about_landmarks_are_one_line(photos: Path, tmp_path: Path, bundle: str, dots: str) -> None:
    output = tmp_path / "out"
    with pytest.raises(MienError, match=r"gives landmarks: 68 points: no classes, values or points"):
        run(photos / "a.jpg", output=output, bundle=dots)
    with pytest.raises(MienError, match=r"gives expression: 8 classes, no landmarks"):
        run(photos / "a.jpg", output=output, bundle=bundle, landmarks="yes", landmark_bundle=bundle)
    with pytest.raises(MienError, match="--points needs landmarks"):
        run(photos / "a.jpg", output=output, bundle=bundle, points=True)
    with pytest.raises(MienError, match="--landmarks is auto, yes or no; got 'maybe'"), unchecked():
        run(photos / "a.jpg", output=output, bundle=bundle, landmarks="maybe")


def test_without_an_output_the_faces_are_printed_and_nothing_is_written(
    bundle: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from mien.__main__ import main

    photo = str(next(photos.glob("a.jpg")))
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["analyze", photo, "--bundle", bundle, "--threads", "1"]) == 0
    first, count, *_ = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        rf"{re.escape(photo)}  face 0: \w+ \d+ %, box \(\d+, \d+, \d+, \d+\), pitch -?\d+°, yaw -?\d+°, roll -?\d+°",
        first,
    )
    assert count.startswith("1 picture in ") and count.endswith(", 1 face.")
    assert sorted(tmp_path.rglob("*")) == before
    for option in ("points", "resume", "overwrite"):
        assert main(["analyze", photo, f"--{option}"]) == 2
        assert f"--{option} needs --output FOLDER" in capsys.readouterr().err


def test_an_interrupted_run_says_what_is_saved_and_how_to_go_on(
    bundle: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from mien.__main__ import main
    from mien.engine.reading.printed_run import PrintedRun

    def stop(self: PrintedRun, *_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PrintedRun, "_read_pictures", stop)
    arguments = ["analyze", str(photos / "a.jpg"), "--bundle", bundle, "--landmarks", "no", "--threads", "1"]
    assert main(arguments) == 130
    assert "0 of 1 were read; nothing is saved without --output." in capsys.readouterr().err
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 130
    error = capsys.readouterr().err
    assert (
        "0 faces are saved in" in error and "The same command with --resume goes on" in error and error.count("\n") == 1
    )


def test_a_name_with_a_line_break_stays_on_its_line(photos: Path, tmp_path: Path, bundle: str) -> None:
    strange = (photos / "a.jpg").rename(photos / "x\n\x1b[2Jy.jpg")
    summary = run(strange, output=tmp_path / "out", bundle=bundle)
    (line,) = [line for line in summary.splitlines() if "face 0" in line]
    assert "photos/x\\x0a\\x1b[2Jy.jpg  face 0: " in line
    assert rows(tmp_path / "out")[0]["source"] == str(strange)


def test_3d_faces_have_columns_a_render_and_meshes(photos: Path, tmp_path: Path, bundle: str, dots: str) -> None:
    output = tmp_path / "out"
    common = {"bundle": bundle, "landmarks": "auto", "landmark_bundle": dots, "smooth": True}
    said = run(photos / "a.jpg", output=output, with_="face3d", face3d_bundle="fit", mesh="obj", **common)
    assert "3D faces by fit to" in said
    (row,) = rows(output)
    assert 0 <= float(row["AU12_right"]) <= 1 and row["face3d_yaw"] and row["face3d_shape_0"]
    assert Image.open(output / "overlays" / "a.jpg").width == 1024  # twice that of the photo
    assert (output / "meshes" / "a.obj").read_text().startswith("# 3D face open")
    described = json.loads((output / "readings.json").read_text())["face3d"]
    assert described["model"].startswith("fit to") and described["smoothing"]["filter"] == "one euro"
    with pytest.raises(MienError, match="was read with 3D face"):
        run(photos / "a.jpg", output=output, resume=True, **common)
    run(photos / "a.jpg", output=output, overwrite=True, **common)
    assert not (output / "meshes" / "a.obj").exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"with_": "afect"},
            r"--with takes affect, face3d and voice, separated by commas; got 'afect'\. Did you mean 'affect'",
        ),
        ({"mesh": "obj"}, "--mesh is for 3D faces: --with face3d"),
        ({"face3d_bundle": "fit"}, "--face3d-bundle is for 3D faces"),
    ],
)
def test_wrong_words_about_further_readings_are_one_line(
    photos: Path, tmp_path: Path, bundle: str, options: dict[str, str], error: str
) -> None:
    with pytest.raises(MienError, match=error):
        run(photos / "a.jpg", output=tmp_path / "out", bundle=bundle, **options)


def test_a_logit_adjustment_divides_the_probabilities_and_stands_in_the_sidecar(photos: Path, tmp_path: Path) -> None:
    prior = (0.5, 0.3, 0.1, 0.05, 0.02, 0.01, 0.01, 0.01)
    held = {"expression": Calibration(100, {"0.9": 0.0}, 1e6, prior)}
    bundle = str(write_tiny_bundle(tmp_path / "calibrated", calibration=held))
    found = []
    for name, strength in (("plain", 0.0), ("half", 0.5)):
        run(photos / "a.jpg", output=tmp_path / name, bundle=bundle, overlay=False, logit_adjust=strength)
        (row,) = rows(tmp_path / name)
        found.append([float(value) for column, value in row.items() if column.startswith("prob_")])
    by_hand = [share / weight**0.5 for share, weight in zip(found[0], prior, strict=True)]
    assert found[1] == pytest.approx([share / sum(by_hand) for share in by_hand], abs=1e-3)
    sidecars = [json.loads((tmp_path / name / "readings.json").read_text()) for name in ("plain", "half")]
    assert "logit_adjust" not in sidecars[0] and sidecars[1]["logit_adjust"] == 0.5
    with pytest.raises(MienError, match=r"was read with logit_adjust 0\.5, this run has None"):
        run(photos / "a.jpg", output=tmp_path / "half", bundle=bundle, resume=True)
    with pytest.raises(MienError, match="leave the coverage or the logit adjustment out"):
        run(photos / "a.jpg", output=tmp_path / "sets", bundle=bundle, logit_adjust=0.5, coverage=0.9)


def test_sets_and_abstentions_are_columns_and_a_resumed_run_keeps_them(photos: Path, tmp_path: Path) -> None:
    held = {"expression": Calibration(100, {"0.9": 0.0}, 1e6)}
    bundle = str(write_tiny_bundle(tmp_path / "calibrated", calibration=held))
    output = tmp_path / "out"
    text = run(photos / "a.jpg", output=output, bundle=bundle, coverage=0.9, abstain=2, overlay=False)
    assert "no expression (set of 8 classes)" in text
    (row,) = rows(output)
    assert row["expression"] == "" and row["abstained"] == "set of 8 classes" and row["quality_flags"] == ""
    assert len(row["expression_set"].split(";")) == 8 and float(row["quality_brightness"]) > 0.2
    sidecar = json.loads((output / "readings.json").read_text())
    assert sidecar["prediction_sets"]["coverage"] == 0.9 and sidecar["prediction_sets"]["held_out_faces"] == 100
    with pytest.raises(MienError, match=r"was read with coverage 0.9, this run has None"):
        run(photos / "a.jpg", output=output, bundle=bundle, resume=True)
    with pytest.raises(MienError, match="Abstention needs prediction sets"):
        run(photos / "a.jpg", output=tmp_path / "other", bundle=bundle, abstain=2)
