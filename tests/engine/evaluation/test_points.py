"""`mien evaluate` on bundles that read landmarks: right for planted answers, mirror-true, clear in its refusals."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.framing import box_of
from mien.core.geometry import Crop, crop_of_box
from mien.core.labels import LabelSet
from mien.core.landmarks import SCHEME_68
from mien.core.spec import Output, PictureInput
from mien.data.options import DataOptions
from mien.data.readers.w300 import W300
from mien.engine.bundles.predictor import Predictor
from mien.engine.evaluation import run as engine
from mien.engine.evaluation.compare import compare
from mien.engine.evaluation.evaluate import evaluate
from mien.engine.evaluation.points import crops as landmark_crops
from mien.engine.evaluation.points.predictions import PointEvaluation
from mien.media.points import write_pts
from mien.metrics.asymmetry import mirror_of
from mien.runtime.pose import neutral_face
from shape_checks import unchecked

SPEC = PictureInput(size=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), box_scale=1.5)
FILES = ("points.csv", "points.parquet", "failures.csv", "ced.png", "metrics.jsonl", "report.html")
OUTPUTS = {"landmarks": Output.points(68)}
SIGMA = OUTPUTS | {"sigma": Output.per_point("landmarks", 68, unit="crop sides")}
DEPTH = OUTPUTS | {"depth": Output.per_point("landmarks", 68, unit="crop sides")}
WIDTH, COUNT = 320, 10
OUTER = 100.0  # pixels between the outer eye corners
Change = Callable[[np.ndarray], np.ndarray]  # true points [68, 2] -> answered ones


def true_points(number: int) -> np.ndarray:
    """Frontal faces, each a little other and unequal than the last, with outer eye corners 100 pixels apart."""
    face = neutral_face()[:, :2] * [1, -1]
    face = face / np.linalg.norm(face[45] - face[36]) * OUTER
    noise = np.random.default_rng(number).normal(size=(68, 2)) * number * 0.4
    noise[[36, 45]] = 0
    return (face - face.mean(0) + noise + [160, 150 + number]).astype(np.float32)


def folder_of_points(root: Path, *, mirrored: bool = False) -> Path:
    """300-W's challenging faces: flat pictures; the brightness says which one it is."""
    (root / "ibug").mkdir(parents=True)
    for number in range(COUNT):
        points = true_points(number)
        points = SCHEME_68.mirrored(points, width=WIDTH - 1) if mirrored else points
        Image.new("RGB", (WIDTH, WIDTH), (20 * (number + 1),) * 3).save(root / f"ibug/face_{number}.png")
        write_pts(root / f"ibug/face_{number}.pts", points)
    return root


def answering(change: Change, *, mirrored: bool = False, sigma: float | None = None) -> Callable:
    """A network that sees by the brightness which face it is, and answers with its changed true points."""

    def outputs(images: np.ndarray) -> dict[str, np.ndarray]:
        numbers = np.round(images.mean((1, 2, 3)) * 255 / 20).astype(int).clip(1) - 1
        found = []
        for number in numbers:
            truth = true_points(number)
            points = change(truth.astype(float))
            if mirrored:
                truth, points = (SCHEME_68.mirrored(p, width=WIDTH - 1) for p in (truth, points))
            crop = crop_of_box(box_of(truth), SPEC)
            found.append((crop.to_crop(points) + 0.5) / SPEC.size)
        named = {"landmarks": np.stack(found)}
        if sigma is not None:
            side = np.array([crop_of_box(box_of(true_points(n)), SPEC).sides[0] for n in numbers])
            named["sigma"] = np.repeat(sigma / side[:, None], 68, axis=1)
        return named

    return outputs


def install(
    monkeypatch: pytest.MonkeyPatch, functions: dict[str, Callable], *, outputs: dict[str, Output] = OUTPUTS
) -> None:
    """Lets plain functions of the pictures predict for the bundles of these names."""

    def open_predictor(bundle: str, **_: object) -> Predictor:
        files = {"model.safetensors": f"{bundle:0<64}"}
        about = BundleInfo("stand_in", {}, {"image": SPEC}, outputs, files=files)
        return Predictor(about, "a test", lambda inputs: functions[bundle](inputs["image"]))

    monkeypatch.setattr(engine, "open_predictor", open_predictor)


def options(root: Path, **more: object) -> DataOptions:
    return DataOptions(name="w300", root=str(root), leaks="ignore", **more)  # type: ignore[arg-type]


def run(root: Path, output: Path, bundle: str = "cafe", **more: object) -> PointEvaluation:
    found = evaluate(
        bundle, data=options(root), split="challenging", output=str(output), **({"bootstrap": 60} | more)  # type: ignore[arg-type]
    )["landmarks"]  # fmt: skip
    assert isinstance(found, PointEvaluation)
    return found


def lines_of(folder: Path) -> dict[str, dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["metric"]: line for line in lines}


def same(points: np.ndarray) -> np.ndarray:
    return points


def moved(by: tuple[float, float], of: tuple[int, ...] = tuple(range(68))) -> Change:
    def change(points: np.ndarray) -> np.ndarray:
        points = points.copy()
        points[list(of)] += by
        return points

    return change


def test_a_perfect_prediction_has_no_error_and_every_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, {"cafe": answering(same)})
    run(folder_of_points(tmp_path / "set"), tmp_path / "out", batch_size=3)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    lines = lines_of(tmp_path / "out")
    for name in ("interocular", "interpupil", "corners", "bbox", "px"):
        assert lines[f"data_crop/nme_{name}"]["value"] == pytest.approx(0, abs=1e-6)
    assert lines["data_crop/auc@10_interocular"]["value"] == pytest.approx(1)
    assert lines["data_crop/asymmetry/slope"]["value"] == pytest.approx(1, abs=1e-4)
    rows = list(csv.DictReader((tmp_path / "out/points.csv").open()))
    assert len(rows) == COUNT
    assert float(rows[3]["x_30"]) == pytest.approx(float(rows[3]["true_x_30"]), abs=1e-3)
    parquet = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "out/points.parquet")
    assert parquet.column_names == list(rows[0])


def test_worked_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every point 5 pixels off, the mouth 15, where the eye corners are 100 apart."""
    mouth = SCHEME_68.regions["mouth"]
    install(monkeypatch, {"cafe": answering(lambda p: moved((0, 12), mouth)(moved((4, 3))(p)))})
    run(folder_of_points(tmp_path / "set"), tmp_path / "out")
    lines, far = lines_of(tmp_path / "out"), np.hypot(4, 15)
    name = "data_crop/nme_interocular"
    assert lines[name]["value"] == pytest.approx((48 * 5 + 20 * far) / 68 / OUTER, abs=1e-4)
    assert lines[f"{name}/region/nose"]["value"] == pytest.approx(0.05, abs=1e-4)
    assert lines[f"{name}/region/mouth"]["value"] == pytest.approx(far / OUTER, abs=1e-4)
    assert lines[f"{name}/point/48"]["value"] == pytest.approx(far / OUTER, abs=1e-4)
    assert lines["data_crop/nme_px"]["value"] == pytest.approx((48 * 5 + 20 * far) / 68, abs=0.01)
    assert lines["data_crop/std_of_faces_interocular"]["value"] == pytest.approx(0, abs=1e-5)
    within = np.sqrt(np.var([0.05] * 48 + [far / OUTER] * 20))
    assert lines["data_crop/std_within_faces_interocular"]["value"] == pytest.approx(within, abs=1e-4)
    assert (lines["data_crop/fr@8_interocular"]["value"], lines["data_crop/fr@10_interocular"]["value"]) == (1, 0)
    line = lines[name]
    assert (line["data"], line["split"], line["n"], line["weights"]) == ("w300", "challenging", COUNT, "cafe00000000")


def test_everything_mirrored_swaps_the_halves_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change = moved((6, 0), SCHEME_68.regions["right_eye"])
    found = []
    for name, mirrored in (("plain", False), ("flipped", True)):
        install(monkeypatch, {"cafe": answering(change, mirrored=mirrored)})
        run(folder_of_points(tmp_path / name, mirrored=mirrored), tmp_path / f"{name}_out", bootstrap=0)
        found.append(lines_of(tmp_path / f"{name}_out"))
    plain, flipped = found
    name = "data_crop/nme_interocular"
    for metric in (name, f"{name}/region/mouth", "data_crop/fr@8_interocular", "data_crop/asymmetry/slope"):
        assert flipped[metric]["value"] == pytest.approx(plain[metric]["value"], abs=1e-5)
    for one, other in (("half/right", "half/left"), ("region/right_eye", "region/left_eye"), ("point/36", "point/45")):
        assert flipped[f"{name}/{one}"]["value"] == pytest.approx(plain[f"{name}/{other}"]["value"], abs=1e-5)
        assert flipped[f"{name}/{other}"]["value"] == pytest.approx(plain[f"{name}/{one}"]["value"], abs=1e-5)
    assert plain[f"{name}/half/right"]["value"] > plain[f"{name}/half/left"]["value"] + 0.001


def with_palsy(monkeypatch: pytest.MonkeyPatch, sides: dict[str, str]) -> None:
    """300-W says of these faces that a side is affected."""
    read = W300._read
    monkeypatch.setattr(
        W300, "_read", lambda self, split: [replace(s, affected=sides.get(s.key)) for s in read(self, split)]
    )


def test_a_model_that_flattens_faces_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def halved(points: np.ndarray) -> np.ndarray:
        return (3 * points + mirror_of(points)(points)[SCHEME_68.mirror]) / 4

    install(monkeypatch, {"cafe": answering(halved)})
    with_palsy(monkeypatch, {f"ibug/face_{i}.png": "RL"[i % 2] for i in range(6)})
    run(folder_of_points(tmp_path / "set"), tmp_path / "out")
    lines = lines_of(tmp_path / "out")
    for name in ("asymmetry", "asymmetry_of_palsy"):
        assert lines[f"data_crop/{name}/slope"]["value"] == pytest.approx(0.5, abs=0.02)
        assert lines[f"data_crop/{name}/gain"]["value"] == pytest.approx(0.5, abs=0.01)
    assert lines["data_crop/asymmetry/gain_at_equal_turn"]["value"] == pytest.approx(0.5, abs=0.01)
    text = (tmp_path / "out/report.html").read_text()
    assert "more symmetric than they are (gain at equal turn 0.50" in text


def test_the_half_with_the_palsy_is_distinguished_from_the_healthy_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person's right eye is 10 off; six faces have a palsy there, two on the left."""
    with_palsy(monkeypatch, {f"ibug/face_{i}.png": "R" if i < 6 else "L" for i in range(8)})
    install(monkeypatch, {"cafe": answering(moved((10, 0), SCHEME_68.regions["right_eye"]))})
    run(folder_of_points(tmp_path / "set"), tmp_path / "out")
    lines, eye = lines_of(tmp_path / "out"), 6 / 29 * 0.1
    name = "data_crop/nme_interocular/half"
    assert lines[f"{name}/affected"]["value"] == pytest.approx(eye * 6 / 8, abs=1e-4)
    assert lines[f"{name}/healthy"]["value"] == pytest.approx(eye * 2 / 8, abs=1e-4)
    assert lines[f"{name}/affected_minus_healthy"]["n"] == 8
    assert lines["data_crop/nme_interocular/no_palsy"]["n"] == 2


def test_a_planted_failure_is_counted_and_is_the_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(points: np.ndarray) -> np.ndarray:
        return points + (30 if abs(points[:, 1].mean() - true_points(7)[:, 1].mean()) < 1e-3 else 1)

    install(monkeypatch, {"cafe": answering(change)})
    root = folder_of_points(tmp_path / "set")
    (root / "ibug/face_2.png").write_bytes(b"")
    result = run(root, tmp_path / "out")
    lines = lines_of(tmp_path / "out")
    assert lines["data_crop/fr@10_interocular"]["value"] == pytest.approx(1 / 9)
    assert lines["data_crop/nme_interocular"]["failures"] == 1
    assert result.failures[0][0] == "ibug/face_2.png"
    assert "ibug/face_2.png" in (tmp_path / "out/failures.csv").read_text()
    text = (tmp_path / "out/report.html").read_text()
    worst = text[text.index("The largest errors") :]
    assert worst.index("face_7.png") < min(worst.index(f"face_{i}.png") for i in (0, 1, 3, 4))
    assert "1 picture could not be read" in text
    assert "<img" not in text
    run(root, tmp_path / "shown", show_faces=True, bootstrap=0)
    assert (tmp_path / "shown/report.html").read_text().count('<img class="face large"') == 9


def test_stated_errors_that_come_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    spread = 4 / np.sqrt(np.pi / 2)  # mean distance 4

    def change(points: np.ndarray) -> np.ndarray:
        return points + rng.normal(size=points.shape) * spread

    install(monkeypatch, {"cafe": answering(change, sigma=4.0)}, outputs=SIGMA)
    run(folder_of_points(tmp_path / "set"), tmp_path / "out")
    lines = lines_of(tmp_path / "out")
    assert lines["data_crop/sigma/error_over_sigma"]["value"] == pytest.approx(1, abs=0.08)
    for level in (50, 80, 90, 95):
        assert lines[f"data_crop/sigma/coverage@{level}"]["value"] == pytest.approx(level / 100, abs=0.05)
    assert "Predicted errors (sigma)" in (tmp_path / "out/report.html").read_text()


def find_some(pixels: np.ndarray) -> list:
    """A detector that misses the darkest face and puts a wrong box beside the right ones."""
    from mien.media.detect import Detection

    number = round(float(pixels.mean()) / 20) - 1
    if number == 0:
        return []
    return [Detection((0, 0, 30, 30), 2.0), Detection(box_of(true_points(number)), 1.0)]


def test_missed_faces_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"cafe": answering(moved((3, 4)))})
    monkeypatch.setattr(landmark_crops, "_detector", lambda store: find_some)
    result = run(folder_of_points(tmp_path / "set"), tmp_path / "out", crop="both")
    lines = lines_of(tmp_path / "out")
    assert result.missed == ["ibug/face_0.png"]
    assert list(result.predictions) == ["landmarks", "detector"]
    assert lines["landmarks_crop/nme_interocular"]["value"] == pytest.approx(0.05, abs=1e-4)
    assert lines["detector_crop/nme_interocular"]["value"] == pytest.approx(0.05, abs=1e-4)
    assert (lines["detector_crop/nme_interocular"]["n"], lines["landmarks_crop/nme_interocular/found"]["n"]) == (9, 9)
    assert lines["detector_crop/missed"]["value"] == pytest.approx(0.1)
    assert lines["detector_crop/fr@10_interocular_or_missed"]["value"] == pytest.approx(0.1)
    assert "did not find 1 of the faces" in (tmp_path / "out/report.html").read_text()
    monkeypatch.setattr(landmark_crops, "_detector", lambda store: lambda pixels: [])
    with pytest.raises(MienError, match=r"finds none of the 10 faces\. Take --crop data"):
        run(tmp_path / "set", tmp_path / "none", crop="detector")


def test_reading_crops_a_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second crop is the one that the Landmarker would take; here the answer does not depend on where it lies."""
    crops: list[Crop] = []

    def outputs(images: np.ndarray) -> dict[str, np.ndarray]:
        return {"landmarks": np.repeat(np.stack([(true_points(0) - 100) / 130]), len(images), axis=0)}

    install(monkeypatch, {"cafe": outputs})
    monkeypatch.setattr(landmark_crops, "_detector", lambda store: find_some)
    result = run(folder_of_points(tmp_path / "set"), tmp_path / "out", crop="all", bootstrap=0)
    once, twice = result.predictions["detector"], result.predictions["reading"]
    assert once.keys == twice.keys
    from mien.runtime.landmarks import next_crop

    for first, second in zip(once.crops, twice.crops, strict=True):
        crops.append(second)
        assert next_crop(first, (true_points(0) - 100) / 130, spec=SPEC) == second
    assert len(crops) == 9


def test_the_published_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    install(monkeypatch, {"cafe": answering(moved((3, 4)))})
    run(folder_of_points(tmp_path / "set"), tmp_path / "out", benchmark=True, bootstrap=0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "[data crop, outer, 10 faces]", "NME:    5.000", "STD_NME:    0.000", "FR@10:  0.000 (0)", "AUC:   0.5000",
    ]  # fmt: skip
    with pytest.raises(MienError, match="Errors in 3D need depth; the data have none"):
        run(tmp_path / "set", tmp_path / "deep", eval_3d=True)


def test_errors_in_3d(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """x and y are right; the depth of every point is twice the true one, at any offset."""
    depth = 1000 + neutral_face()[:, 2] / np.linalg.norm(neutral_face()[45] - neutral_face()[36]) * OUTER
    read = W300.samples
    monkeypatch.setattr(
        W300, "samples", lambda self, split: [replace(s, depth_px=depth, pose_rad=(0, 0, 0)) for s in read(self, split)]
    )
    flat = answering(same)

    def outputs(images: np.ndarray) -> dict[str, np.ndarray]:
        numbers = np.round(images.mean((1, 2, 3)) * 255 / 20).astype(int).clip(1) - 1
        side = np.array([crop_of_box(box_of(true_points(n)), SPEC).sides[0] for n in numbers])
        return flat(images) | {"depth": 2 * (depth - depth.mean()) / side[:, None]}

    install(monkeypatch, {"cafe": outputs}, outputs=DEPTH)
    run(folder_of_points(tmp_path / "set"), tmp_path / "out", benchmark=True, eval_3d=True, bootstrap=0)
    off, corners = np.abs(depth - depth.mean()), np.hypot(OUTER, depth[45] - depth[36])
    lines = lines_of(tmp_path / "out")
    assert lines["data_crop/depth_error_px"]["value"] == pytest.approx(off.mean(), abs=1e-3)
    name = "data_crop/nme_3d_interocular_mean_z_aligned"
    assert lines[name]["value"] == pytest.approx(off.mean() / corners, abs=1e-4)
    printed = capsys.readouterr().out.splitlines()
    assert printed[5] == f"GTE: {100 * off.mean() / corners:8.3f}"
    assert printed[6].startswith("STD_GTE: ")

    def never(*rest: object, **keywords: object) -> None:
        raise AssertionError("the faces were read first")

    install(monkeypatch, {"cafe": flat})
    monkeypatch.setattr("mien.engine.evaluation.points.task.predict_points", never)
    with pytest.raises(MienError, match="Errors in 3D need depth; the bundle gives none"):
        run(tmp_path / "set", tmp_path / "flat", eval_3d=True)


def test_the_crop_source_of_the_data_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.core.framing import landmark_box

    install(monkeypatch, {"cafe": answering(same)})
    data = options(folder_of_points(tmp_path / "set"), crop_source="landmarks")
    found = evaluate("cafe", data=data, split="challenging", output=str(tmp_path / "out"), bootstrap=0)["landmarks"]
    assert isinstance(found, PointEvaluation)
    np.testing.assert_allclose(found.main.crops[0].box, crop_of_box(landmark_box(true_points(0)), SPEC).box, rtol=1e-5)
    assert not found.oracle


def test_synthetic_people_with_a_palsy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted network that takes half of every asymmetry away; it is asked in the order of the faces."""
    from mien.data.readers import open_reader
    from mien.data.replicas.people import Plan, write_people
    from mien.synthetic.people import PeopleOptions

    how = PeopleOptions(size=48, palsy=0.6, yaw_max_deg=8, occluders=False, degradations=False)
    write_people(tmp_path / "people", Plan(faces=12, pictures=1, shares=(0, 0, 1)), options=how)
    samples = open_reader("people", str(tmp_path / "people")).samples("test")
    assert {s.affected for s in samples} == {"R", "L", None}
    asked = iter(samples)

    def outputs(images: np.ndarray) -> dict[str, np.ndarray]:
        found = []
        for _ in images:
            truth, box = (sample := next(asked)).landmarks_px, sample.box
            assert truth is not None and box is not None
            halved = (3 * truth + mirror_of(truth)(truth)[SCHEME_68.mirror]) / 4
            found.append((crop_of_box(box, SPEC).to_crop(halved) + 0.5) / SPEC.size)
        return {"landmarks": np.stack(found)}

    install(monkeypatch, {"cafe": outputs})
    data = DataOptions(name="people", root=str(tmp_path / "people"))
    evaluate("cafe", data=data, output=str(tmp_path / "out"), bootstrap=50)
    lines = lines_of(tmp_path / "out")
    assert 3 <= lines["data_crop/nme_interocular/half/affected"]["n"] < 12
    for metric in ("asymmetry/slope", "asymmetry/gain", "asymmetry_of_palsy/slope", "asymmetry/gain_at_equal_turn"):
        assert lines[f"data_crop/{metric}"]["value"] == pytest.approx(0.5, abs=0.03), metric


def test_two_models_are_compared_on_the_same_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"far": answering(moved((6, 8))), "near": answering(moved((3, 4)))})
    result = run(folder_of_points(tmp_path / "set"), tmp_path / "out", "far", compare="near")
    (difference,) = result.comparison.differences
    assert (difference.first, difference.second) == pytest.approx((0.10, 0.05), abs=1e-4)
    assert difference.interval.high < 0
    assert "near is better: nme_interocular, data differs by 5.00%" in (tmp_path / "out/report.html").read_text()
    again = run(tmp_path / "set", tmp_path / "again", "far", compare="far")
    assert again.comparison.differences[0].value == 0
    assert "cannot be told apart" in (tmp_path / "again/report.html").read_text()


def test_two_tables_of_points_compare_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    functions = {"far": answering(moved((6, 8))), "near": answering(moved((3, 4)))}
    install(monkeypatch, functions)
    both = run(folder_of_points(tmp_path / "set"), tmp_path / "both", "far", compare="near")
    for name in functions:
        run(tmp_path / "set", tmp_path / name, name, bootstrap=0)
    (difference,) = compare(str(tmp_path / "far"), str(tmp_path / "near"), bootstrap=60)[""].differences
    assert (difference.name, difference.n) == ("data", COUNT)
    assert (difference.first, difference.second) == pytest.approx(
        (both.comparison.differences[0].first, both.comparison.differences[0].second), abs=1e-5
    )
    assert "near is better: nme_interocular, data differs by 5.00%" in capsys.readouterr().out
    run(tmp_path / "set", tmp_path / "pixels", "near", ocular_norm="none", bootstrap=0)
    with pytest.raises(MienError, match="compare only over the same size of the face"):
        compare(str(tmp_path / "far"), str(tmp_path / "pixels"))


def test_pixels_are_written_as_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"cafe": answering(moved((3, 4)))})
    run(folder_of_points(tmp_path / "set"), tmp_path / "out", ocular_norm="none")
    assert "5.00\N{NO-BREAK SPACE}px</strong>" in (tmp_path / "out/report.html").read_text()


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder_of_points(tmp_path / "set")
    install(monkeypatch, {"cafe": answering(same)}, outputs={"landmarks": Output.points(98)})
    with pytest.raises(MienError, match="has 68 points; the model answers with 98"):
        run(root, tmp_path / "out")
    install(monkeypatch, {"cafe": answering(same)})
    with pytest.raises(MienError, match="No ocular norm 'outter'"), unchecked():
        run(root, tmp_path / "out", ocular_norm="outter")
    (tmp_path / "pictures/test/calm").mkdir(parents=True)
    Image.new("RGB", (20, 20)).save(tmp_path / "pictures/test/calm/a.png")
    data = DataOptions(name="image_folder", root=str(tmp_path / "pictures"))
    with pytest.raises(MienError, match="has no points; the model answers with 68"):
        evaluate("cafe", data=data, output=str(tmp_path / "out"))
    install(monkeypatch, {"cafe": answering(same)}, outputs={"latent": Output("vector")})
    with pytest.raises(MienError, match="cafe gives latent: nothing that could be measured"):
        run(root, tmp_path / "out")
    moods = {"mood": Output.classes(LabelSet("moods", ("calm", "tense")))}
    install(monkeypatch, {"cafe": answering(same)}, outputs=moods)
    with pytest.raises(MienError, match="--benchmark is for bundles that give points; cafe gives mood: 2 classes"):
        run(root, tmp_path / "out", benchmark=True)


def test_an_onnx_bundle_is_measured_without_torch(tmp_path: Path) -> None:
    """The whole command, with nothing replaced, as on a light installation; the network always gives one face."""
    pytest.importorskip("onnx")
    sys.path.insert(0, str(Path(__file__).parents[2] / "runtime"))
    from tiny_points import write_point_bundle

    root, crop = (
        folder_of_points(tmp_path / "set"),
        crop_of_box(box_of(true_points(0)), PictureInput(size=64, box_scale=1.5)),
    )
    face = (crop.to_crop(true_points(0)) + 0.5) / 64
    bundle = write_point_bundle(tmp_path / "bundle", {"landmarks": face}, box_scale=1.5)
    heavy = "torch", "torchvision", "lightning", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({heavy})); from mien.__main__ import main; "
        f"sys.exit(main(['evaluate', {str(bundle)!r}, '--data.name', 'w300', '--data.root', {str(root)!r}, "
        f"'--split', 'challenging', '--output', {str(tmp_path / 'out')!r}, '--bootstrap', '20']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = lines_of(tmp_path / "out")
    assert 0 < lines["data_crop/nme_interocular"]["value"] < 0.1
    rows = {row["key"]: row for row in csv.DictReader((tmp_path / "out/points.csv").open())}
    assert float(rows["ibug/face_0.png"]["nme_interocular"]) == pytest.approx(0, abs=1e-4)
