"""mien render: photo crop and render in one frame, every photo accounted for, resumable, read as a data set."""

import csv
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.__main__ import main
from mien.data.parallel import cores
from mien.data.readers import open_reader
from mien.engine.reading.render import run
from mien.synthetic.face.open_face import open_face
from mien.synthetic.people import unframed_portrait


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """train/happiness, train/neutral and valid/neutral with a face each, and what gives no face."""
    folder = tmp_path_factory.mktemp("photos")
    for number, (split, expression) in enumerate((("train", "happiness"), ("train", "neutral"), ("val", "neutral"))):
        (folder / split / expression).mkdir(parents=True, exist_ok=True)
        pixels = unframed_portrait(7, 23 + number, expression=expression, size=240)
        cv2.imwrite(str(folder / split / expression / f"{split}_{number}.png"), pixels[..., ::-1])
    last, kept = folder / split / expression / f"{split}_{number}.png", tmp_path_factory.mktemp("kept") / "9.png"
    last.replace(kept)
    last.symlink_to(kept)  # whose class is that of the link
    cv2.imwrite(str(folder / "train" / "neutral" / "grey.png"), np.full((200, 200, 3), 128, np.uint8))
    (folder / "train" / "neutral" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    return folder


@pytest.fixture(scope="module")
def rendered(photos, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "faces"
    options = ["--size", "96", "--labels", "folders", "--mesh", "both", "--workers", "1"]
    assert main(["render", str(photos), "--output", str(out), *options]) == 0
    return out


def rows_of(path):
    return list(csv.DictReader(path.open(encoding="utf-8")))


def test_every_photo_is_a_row_or_a_failure_with_its_reason(rendered):
    rows, failures = rows_of(rendered / "manifest.csv"), rows_of(rendered / "failures.csv")
    assert [row["key"] for row in rows] == ["train_0", "train_1", "val_2"]
    reasons = {Path(row["photo"]).name: row["reason"] for row in failures}
    assert reasons["grey.png"] == "no face found" and "broken.jpg" in reasons and len(reasons) == 2


def test_photo_and_render_are_lossless_pictures_of_one_size_in_one_frame(rendered):
    for row in rows_of(rendered / "manifest.csv"):
        photo = cv2.imread(str(rendered / row["path"]))
        render = cv2.imread(str(rendered / row["render"]), cv2.IMREAD_GRAYSCALE)
        assert photo.shape == (96, 96, 3) and render.shape == (96, 96)
        points = np.array(row["landmarks"].split(), float).reshape(68, 2)
        nose = np.round(points[27:31]).astype(int)
        assert (render[nose[:, 1], nose[:, 0]] > 60).all() and 0.2 < (render > 0).mean() < 0.8
        left, right = (render[48:, :48] > 0).sum(), (render[48:, 48:] > 0).sum()
        assert 0.5 < left / right < 2


def test_the_output_is_a_data_set_of_photos_with_renders(rendered):
    reader = open_reader("manifest", rendered)
    assert reader.splits == ("train", "valid") and reader.labels.classes == ("happiness", "neutral")
    samples = reader.samples("train")
    assert len(samples) == 2 and all(s.render is not None and s.render.is_file() for s in samples)
    assert samples[0].landmarks_px.shape == (68, 2)


def test_parameters_stand_in_json_and_npz_and_meshes_look_ahead(rendered):
    face, rows = open_face(), rows_of(rendered / "manifest.csv")
    with np.load(rendered / "parameters.npz") as arrays:
        assert arrays["key"].tolist() == [row["key"] for row in rows]
        assert arrays["shape"].shape == (3, face.shape_count) and arrays["pose"].shape == (3, 3)
        smile = arrays["expression"][:, arrays["expression_names"].tolist().index("AU12_L")]
    values = json.loads((rendered / "parameters" / "train_0.json").read_text())
    assert values["face"] == "open" and values["licence"] == face.licence and values["box"] is not None
    assert smile[0] > smile[1:].max() + 0.05
    lines = (rendered / "meshes" / "train_0.obj").read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines) == len(face.template)
    assert (rendered / "meshes" / "train_0.glb").read_bytes().startswith(b"glTF")


def test_going_on_renders_what_is_missing_and_nothing_else(photos, rendered, capsys):
    kept, gone = rendered / "parameters" / "train_0.json", rendered / "parameters" / "val_2.json"
    before, content = kept.stat().st_mtime_ns, gone.read_bytes()
    gone.unlink()
    options = ["--size", "96", "--labels", "folders", "--mesh", "both", "--workers", "1"]
    assert main(["render", str(photos), "--output", str(rendered), *options]) == 0
    assert kept.stat().st_mtime_ns == before and gone.read_bytes() == content
    assert main(["render", str(photos), "--output", str(rendered), "--size", "64"]) == 2
    assert "was begun with other options" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "8"], "--size must be in 32..1024; got 8"),
        (["--face", "flame"], "No 3D face 'flame'"),
        (["--bundle", "poster_v2_small_ferplus"], "it is no model of a 3D face"),
        (["--workers", "0"], "--workers must be at least 1"),
    ],
)
def test_mistakes_are_one_line(photos, tmp_path, capsys, options, message):
    assert main(["render", str(photos), "--output", str(tmp_path / "out"), "--workers", "1", *options]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_folder_without_faces_says_where_the_reasons_stand(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((120, 120, 3), 128, np.uint8))
    assert main(["render", str(tmp_path / "grey.png"), "--output", str(tmp_path / "out"), "--workers", "1"]) == 2
    assert "No face could be rendered" in capsys.readouterr().err
    assert rows_of(tmp_path / "out" / "failures.csv")[0]["reason"] == "no face found"


def test_a_folder_of_something_else_is_left_alone(photos, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["render", str(photos), "--output", str(tmp_path)]) == 2
    assert "is not empty, and no render.json" in capsys.readouterr().err


def test_few_photos_start_no_processes_and_many_are_handed_to_them(tmp_path, monkeypatch):
    found = []

    def map_of(function, tasks, *, workers):
        found.append((workers, pickle.loads(pickle.dumps((function, tasks))) == (function, tasks)))
        return enumerate(map(function, tasks))

    monkeypatch.setattr(run, "parallel_map", map_of)
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((200, 200, 3), 128, np.uint8))
    for number, more in enumerate(([], ["--workers", "3"], [])):
        assert (
            main(["render", str(tmp_path / "grey.png"), "--output", str(tmp_path / str(number)), *more]) == 2
        )  # no face
        monkeypatch.setattr(run, "MANY_PHOTOS", 1)
    assert found == [(1, True), (3, True), (cores(), True)]
