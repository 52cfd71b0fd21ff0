"""The registry of 3D faces: by path, with SHA-256 and licence; one name replaces another."""

import json
from pathlib import Path

import numpy as np
import pytest

from mien.__main__ import main
from mien.core.errors import MienError
from mien.synthetic import faces3d

ICT = Path(__file__).parents[3] / "shared" / "data" / "model3d" / "ict_facekit_light.npz"


@pytest.fixture
def registry(tmp_path, monkeypatch):
    path = tmp_path / "assets.json"
    monkeypatch.setenv("MIEN_ASSETS", str(path))
    return path


@pytest.fixture
def flame(tmp_path):
    rng, count = np.random.default_rng(0), 30
    path = tmp_path / "flame.npz"
    np.savez(
        path, f=rng.integers(count, size=(20, 3)), v_template=rng.normal(size=(count, 3)),
        shapedirs=rng.normal(size=(count, 3, 400)), posedirs=np.zeros((count, 3, 36)),
        J_regressor=np.full((5, count), 1 / count), weights=np.eye(5)[rng.integers(5, size=count)],
        kintree_table=np.array([[-1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
    )  # fmt: skip
    return path


def test_a_registered_face_is_listed_with_its_licence_and_read_by_name(registry, flame, capsys):
    assert main(["assets", "list"]) == 0 and "no licensed model" in capsys.readouterr().out
    assert main(["assets", "add", "mine", "--model", str(flame), "--licence", "CC BY 4.0"]) == 0
    said = capsys.readouterr().out
    assert "30 vertices, 300 shape and 100 expression parameters" in said and "CC BY 4.0" in said and "SHA-256" in said
    assert main(["assets", "list"]) == 0
    assert "mine" in (listed := capsys.readouterr().out) and str(flame) in listed and "CC BY 4.0" in listed
    assert faces3d.face_named("mine").shape_count == 300
    stored = json.loads(registry.read_text())["mine"]
    assert stored["files"] == {"model": str(flame)} and len(stored["sha256"]["model"]) == 64


def test_a_changed_or_missing_file_is_refused_and_listed(registry, flame, capsys):
    faces3d.register("mine", {"model": flame})
    flame.write_bytes(flame.read_bytes() + b" ")
    with pytest.raises(MienError, match="The 3D face mine: model has changed"):
        faces3d.face_named("mine")
    flame.unlink()
    with pytest.raises(MienError, match="model is not there"):
        faces3d.face_named("mine")
    assert main(["assets", "list"]) == 0 and "model is not there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["open", "--model", "{flame}"], "is named with letters, digits and _"),
        (["mine", "--model", "nowhere.pkl"], "No file at"),
        (["mine", "--model", "{flame}", "--left-lid", "l.npy"], "Eyelids come in pairs"),
        (["mine", "--model", "{flame}", "--landmarks", "{flame}"], "no 'dynamic_lmk_faces_idx'"),
    ],
)
def test_mistakes_are_one_line_and_register_nothing(registry, flame, capsys, arguments, message):
    assert main(["assets", "add", *(word.format(flame=flame) for word in arguments)]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and not registry.exists()


def test_a_name_is_not_taken_twice_unless_asked(registry, flame):
    faces3d.register("mine", {"model": flame})
    with pytest.raises(MienError, match="mine is registered already"):
        faces3d.register("mine", {"model": flame})
    faces3d.register("mine", {"model": flame}, replaced=True)
    with pytest.raises(MienError, match=r"No 3D face 'mime'\. Did you mean 'mine'"):
        faces3d.face_named("mime")


@pytest.mark.skipif(not ICT.is_file(), reason="needs shared/data/model3d/ict_facekit_light.npz")
def test_ict_facekit_becomes_a_face_with_action_units_and_lids(registry):
    asset, face = faces3d.register("ict", {"model": ICT})
    assert asset.licence.startswith("MIT") and face.shape_count == 100 and "AU12_L" in face.expression_names
    none = np.zeros((1, 0), np.float32)
    mean = face.vertices(none, none)
    shut = face.vertices(none, none, lids=np.array([[1.0, 0.0]], np.float32))
    points, moved = face.landmarks(mean)[0], np.linalg.norm(face.landmarks(shut) - face.landmarks(mean), axis=-1)[0]
    assert np.linalg.norm(points[45] - points[36]) == pytest.approx(0.089, abs=1e-4)
    assert moved[42:48].max() > 4e-3 and moved[36:42].max() < 1e-3
    assert 0 < len(face.render_triangles) < len(face.triangles)
