"""A bundle that gives the parameters of a 3D face: its face stands in the photo where the network saw it."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.face3d import FaceInCrop
from mien.core.geometry import crop_of_box
from mien.core.records import FacePoints
from mien.core.spec import Output, PictureInput
from mien.media.files import read_info
from mien.runtime.face3d.regressor import Regressor
from mien.runtime.landmarks import crop_of_points, next_crop
from mien.synthetic.face.open_face import open_face

pytest.importorskip("onnx")
sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_points import write_point_bundle

FACE, SIZE = open_face(), 64
XYZ = ("x", "y", "z")


def written(folder: Path, *, face: str | None = "open") -> tuple[Path, FaceInCrop]:
    """A bundle that answers every picture with the same face, turned and tilted."""
    rng = np.random.default_rng(0)
    values = {
        "camera": [7.5, 0.004, 0.03], "pose": [0.05, 0.3, -0.25], "shape": rng.normal(0, 0.5, FACE.shape_count),
        "expression": rng.random(FACE.expression_count) * 0.3 - 0.05, "jaw": [0.1, 0.0, 0.0], "lids": [0.2, 0.0],
    }  # fmt: skip
    arrays = {name: np.asarray(value, np.float32) for name, value in values.items()}
    clipped = arrays | {"expression": arrays["expression"].clip(0, 1)}
    seen = FaceInCrop(crop_of_box((0, 0, SIZE, SIZE), PictureInput(size=SIZE)), **clipped)
    points = (seen.landmarks(FACE) + 0.5) / SIZE
    write_point_bundle(folder, {"landmarks": points, **arrays}, size=SIZE)
    names = {"camera": ("scale", "x", "y"), "pose": XYZ, "jaw": XYZ, "lids": ("left", "right")}
    names |= {"shape": FACE.shape_names, "expression": FACE.expression_names}
    outputs = {"landmarks": Output.points(68)} | {name: Output("values", names[name]) for name in arrays}
    info = replace(read_info(folder), outputs=outputs, config={} if face is None else {"face": face})
    (folder / "system.json").write_text(info.to_json(), encoding="utf-8")
    return folder, seen


def test_points_that_are_known_frame_the_face_for_a_single_pass(tmp_path, monkeypatch):
    bundle, seen = written(tmp_path / "bundle")
    regressor, spec = Regressor(bundle, threads=1), read_info(bundle).picture
    read, calls = regressor._runner.outputs, []
    monkeypatch.setattr(regressor._runner, "outputs", lambda pictures: calls.append(len(pictures)) or read(pictures))
    known = FACE.landmarks(FACE.template[None])[0, :, :2] * (1000.0, -1000.0) + 120.0
    found = regressor.read(np.zeros((240, 260, 3), np.uint8), (0, 0, 9, 9), size=96, points=FacePoints(known))
    crop = crop_of_points(known, spec)
    wanted = crop.to_picture(seen.landmarks(FACE))
    apart = np.linalg.norm(wanted[45] - wanted[36])
    assert calls == [1]
    assert np.linalg.norm(found.crop.to_picture(found.landmarks(FACE)) - wanted, axis=1).max() < 0.01 * apart
    regressor.read(np.zeros((240, 260, 3), np.uint8), (40.0, 30.0, 200.0, 190.0), size=96)
    assert calls == [1, 1, 1]


def test_the_face_stands_where_the_network_saw_it_also_in_a_tilted_crop(tmp_path):
    bundle, seen = written(tmp_path / "bundle")
    regressor = Regressor(bundle, threads=1)
    spec, box = read_info(bundle).picture, (40.0, 30.0, 200.0, 190.0)
    pixels = np.zeros((240, 260, 3), np.uint8)
    found = regressor.read(pixels, box, size=96)
    points = (seen.landmarks(FACE) + 0.5) / SIZE
    second = next_crop(crop_of_box(box, spec), points, spec=spec)
    assert abs(second.roll_rad) > 0.1 and found.crop.roll_rad == 0
    wanted = second.to_picture(points * SIZE - 0.5)
    apart = np.linalg.norm(wanted[45] - wanted[36])
    assert np.linalg.norm(found.crop.to_picture(found.landmarks(FACE)) - wanted, axis=1).max() < 0.01 * apart
    assert (found.expression >= 0).all() and np.allclose(found.shape, seen.shape)


def test_a_bundle_that_does_not_say_its_face_needs_a_name_and_another_face_is_refused(tmp_path):
    silent = written(tmp_path / "silent", face=None)[0]
    with pytest.raises(MienError, match=r"does not say which 3D face its parameters are of\. Name it: --face"):
        Regressor(silent)
    assert Regressor(silent, face="open", threads=1).face is FACE
    with pytest.raises(MienError, match="of the 3D face open, not of flame"):
        Regressor(written(tmp_path / "named")[0], face="flame")
