"""`mien explain`: a picture and a row for each face, from an exported network alone; its mistakes in one line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.__main__ import main
from mien.media.tables import read_rows

sys.path.insert(0, str(Path(__file__).parents[3] / "runtime"))
from tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(pytest.importorskip("skimage.data").astronaut()).save(folder / "a.png")
    Image.new("RGB", (320, 240), "grey").save(folder / "nobody.png")
    (folder / "broken.jpg").write_text("x")
    return folder


def test_each_face_has_a_picture_and_a_row(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, out = write_tiny_bundle(tmp_path / "bundle"), tmp_path / "out"
    command = ["explain", str(photos), "--bundle", str(bundle), "--output", str(out), "--threads", "1"]
    assert main([*command, "--backend", "onnxruntime", "--part", "0.3"]) == 0
    said = capsys.readouterr().out
    assert "face 0: " in said and "not read: " in said and "no face" in said and "drop with a region hidden" in said
    assert {path.name for path in out.iterdir()} == {"a_explained.png", "explanations.csv", "explanations.json"}
    rows = {Path(row["source"]).name: row for row in read_rows(out / "explanations.csv")}
    face = rows["a.png"]
    assert 0 < float(face["probability_least"]) <= float(face["probability"]) <= 1
    assert 150 < float(face["x"]) < 300 and 40 < float(face["y"]) < 250  # on the face, in the picture's pixels
    assert -1 <= float(face["drop_mouth"]) <= 1 and rows["nobody.png"]["note"] and rows["broken.jpg"]["note"]
    assert "Zeiler and Fergus" in json.loads((out / "explanations.json").read_text())["method"]
    pixels = np.asarray(Image.open(out / "a_explained.png"))
    assert pixels.shape[1] > 3 * 224 and pixels.std() > 20
    assert main([*command, "--backend", "onnxruntime"]) == 2 and "Add --overwrite" in capsys.readouterr().err


def test_mistakes_are_named(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = str(photos / "a.png")
    for options, text in (
        (["--expression", "hapiness"], "Did you mean 'happiness'"), (["--part", "2"], "--part is 0.02 to 0.9"),
        (["--bundle", "parface_small_300w"], "reads no classes of a picture alone"),
    ):  # fmt: skip
        assert main(["explain", photo, "--output", str(tmp_path / "o"), *options]) == 2
        error = capsys.readouterr().err
        assert text in error and error.count("\n") == 1
