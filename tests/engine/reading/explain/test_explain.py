"""`mien explain`: a picture and a row for each face, from an exported network alone; its mistakes in one line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.__main__ import main
from mien.core.errors import MienError
from mien.engine.reading.explain.looking import looking
from mien.media.tables import read_rows
from mien.runtime.analyzer import shipped_bundle
from mien.runtime.networks import FaceNetwork

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


@pytest.mark.parametrize("method", ["gradcam", "attention"])
def test_what_the_network_looked_at(
    method: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    out = tmp_path / "out"
    command = ["explain", str(photos / "a.png"), "--output", str(out), "--threads", "1", "--method", method]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "with the map's brightest fifth hidden" in printed and "density: " in printed
    (face,) = read_rows(out / "explanations.csv")
    assert 0 <= float(face["probability_hidden"]) <= 1 and 0 <= float(face["probability_rest"]) <= 1
    assert 150 < float(face["x"]) < 300 and 40 < float(face["y"]) < 250 and float(face["density_mouth"]) >= 0
    described = json.loads((out / "explanations.json").read_text())
    assert described["layer"] == {"gradcam": "trunk.stages.2", "attention": "transformer"}[method]
    assert {"gradcam": "Selvaraju", "attention": "whatever the class"}[method] in described["method"]
    assert set(described["columns"]) == set(face) and ("maps" in described) == (method == "attention")
    pixels = np.asarray(Image.open(out / "a_explained.png"))
    assert pixels.shape[1] > {"gradcam": 3, "attention": 5}[method] * 224 and pixels.std() > 20


def test_mistakes_of_methods_are_named(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, tiny = str(photos / "a.png"), str(write_tiny_bundle(tmp_path / "bundle"))
    for options, text in (
        (["--method", "gradcam", "--bundle", tiny], "has no model.safetensors, only an exported network"),
        (["--method", "gradcam", "--part", "0.3"], "--part is for --method occlusion"),
        (["--layer", "vit"], "--layer is for --method gradcam and attention"),
        (["--method", "gradcm"], "gradcam"),
    ):
        assert main(["explain", photo, "--output", str(tmp_path / "o"), *options]) == 2
        error = capsys.readouterr().err
        assert text in error and error.count("\n") == 1


def test_a_layer_that_is_none_is_named() -> None:
    pytest.importorskip("torch")
    shipped = FaceNetwork(shipped_bundle(), backend="onnxruntime", precision="auto", threads=1)
    for method, layer in (("gradcam", "trunk.stages.2"), ("attention", "transformer")):
        with pytest.raises(MienError, match=f"Did you mean '{layer}'"):
            looking(method, shipped, layer=layer[:-2] + layer[-1], fill="blur")
