"""A user's own 3D face model from an npz."""

from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.synthetic.face.build import face_model
from mien.synthetic.face.files import load_face_model


def arrays() -> dict[str, np.ndarray]:
    """Our own face in the file's layout, in other units and elsewhere."""
    model = face_model()
    corners = model.triangles[model.landmark_triangles]
    smile = [model.expression[model.expression_names.index(f"AU12_{side}")] for side in "LR"]
    return {
        "neutral": model.template * 100 + 5,
        "identity": model.identity[:3] * 100,
        "expression": np.stack(smile) * 100,
        "expression_names": np.array(["mouthSmile_L", "mouthSmile_R"]),
        "triangles": model.triangles,
        "landmarks68": np.take_along_axis(corners, model.landmark_weights.argmax(1)[:, None], 1)[:, 0],
    }


def saved(path: Path, **changes: np.ndarray | None) -> Path:
    np.savez(path, **{k: v for k, v in {**arrays(), **changes}.items() if v is not None})
    return path


def test_our_own_face_comes_back_in_metres(tmp_path: Path) -> None:
    model, own = load_face_model(saved(tmp_path / "face.npz")), face_model()
    assert model.expression_names == ("AU12_L", "AU12_R")
    np.testing.assert_allclose(np.ptp(model.template, axis=0), np.ptp(own.template, axis=0), rtol=0.01)
    np.testing.assert_allclose(model.template[model.mirror] * (-1, 1, 1), model.template, atol=2e-4)
    points = model.landmarks(model.vertices(action_units=model.weights({"AU12_L": 1.0})))[0]
    assert points[54, 1] > points[48, 1] + 0.006
    assert (model.weights({"AU4_L": 1.0}) == 0).all(), "a unit of ours that the file lacks moves nothing"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"identity": None}, "no array 'identity'"),
        ({"landmarks68": np.zeros(5, int)}, "landmarks68 has 5 entries"),
        ({"triangles": np.array([[0, 1, 99999]])}, "triangles points outside"),
        ({"expression_names": np.array(["smile", "frown"])}, "no expression has an ARKit name .*; the first is smile"),
        ({"neutral": np.zeros((7, 3))}, r"identity is \[3, 4\d+, 3\]; expected \[modes, 7, 3\]"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, changes: dict[str, np.ndarray], says: str) -> None:
    with pytest.raises(MienError, match=says) as error:
        load_face_model(saved(tmp_path / "face.npz", **changes))
    assert "\n" not in str(error.value)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="No face model at"):
        load_face_model(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(MienError, match=r"not a \.npz of plain arrays"):
        load_face_model(tmp_path / "text.npz")
    np.savez(tmp_path / "objects.npz", neutral=np.array([{}], dtype=object))
    with pytest.raises(MienError, match=r"not a \.npz of plain arrays"):
        load_face_model(tmp_path / "objects.npz")


@pytest.mark.shared
def test_a_scanned_model_loads(shared: Path) -> None:
    model = load_face_model(shared / "model3d" / "ict_facekit_light.npz")
    assert len(model.template) > 10_000 and len(model.identity) == 100
    points = model.landmarks(model.vertices(action_units=model.weights({"AU12": 1.0, "AU27": 1.0})))[0]
    rest = model.landmarks(model.template[None])[0]
    np.testing.assert_allclose(rest[SCHEME_68.mirror] * (-1, 1, 1), rest, atol=1e-4)
    assert np.linalg.norm(rest[45] - rest[36]) == pytest.approx(0.089, abs=1e-4)
    assert points[66, 1] < points[62, 1] - 0.02 and points[54, 0] > rest[54, 0]
    assert model.uv.min() >= 0 and model.uv.max() <= 1
