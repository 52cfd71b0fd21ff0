"""What a person reads of a 3D face: units by side, the head's turn, columns, files, and its place in the photo."""

from dataclasses import replace

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.face3d import FaceInCrop, axis_angle_of
from mien.core.geometry import Crop
from mien.runtime.face3d import reading
from mien.runtime.face3d.parameters import camera_in, origin_in_photo
from mien.runtime.face3d.reading import Face3DColumns, action_units, reading_of, save_mesh
from mien.runtime.pose import rotation_of
from mien.synthetic.face.open_face import open_face, parameters_of

FACE = open_face()


def seen(units: dict[str, float] | None = None, *, angles: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> FaceInCrop:
    expression, jaw, lids = parameters_of(units or {})
    pose = axis_angle_of(rotation_of(*angles)).astype(np.float32)
    shape = np.linspace(-1, 1, FACE.shape_count, dtype=np.float32)
    crop = Crop((200.0, 150.0), (180.0, 180.0), 224)
    return FaceInCrop(crop, np.array([7.0, 0.01, 0.02], np.float32), pose, shape, expression[0], jaw[0], lids[0])


def test_units_have_the_persons_own_sides():
    found = action_units(seen({"AU12_L": 0.8, "AU12_R": 0.2, "AU43_L": 1.0, "AU26": 0.5}), FACE)
    assert (found["AU12_left"], found["AU12_right"]) == pytest.approx((0.8, 0.2))
    assert (found["AU43_left"], found["AU43_right"]) == pytest.approx((1, 0)) and found["AU26"] == pytest.approx(0.5)
    names = list(found)
    assert names.index("AU12_right") + 1 == names.index("AU12_left")


def test_the_head_turns_by_the_angles_of_the_landmark_models_pose():
    angles = (0.2, -0.4, 0.1)
    assert reading_of(seen(angles=angles), FACE, model="m").pose_rad == pytest.approx(angles, abs=1e-5)


def test_the_face_keeps_its_place_when_the_photo_is_resized_or_its_camera_is_taken_apart():
    found = reading_of(seen(), FACE, model="m")
    at = found.parameters.crop.to_picture(found.parameters.landmarks(FACE))
    half = found.scaled(0.5).parameters
    np.testing.assert_allclose(half.crop.to_picture(half.landmarks(FACE)) + 0.5, (at + 0.5) / 2, atol=1e-4)
    scale, shift = origin_in_photo(found.parameters)
    camera = camera_in(found.parameters.crop, scale_px=scale, shift_px=shift)
    np.testing.assert_allclose(camera, found.parameters.camera, rtol=1e-5)


@pytest.mark.parametrize("name", ["open", "another"])
def test_every_column_has_its_value(name, monkeypatch):
    """A face without action units has its expression and its lids as parameters instead."""
    face = FACE if name == "open" else replace(FACE, name=name, expression_names=(), shape_names=())
    monkeypatch.setattr(reading, "face_named", lambda _: face)
    columns = Face3DColumns(name, "network@0123")
    given = seen({"AU12_L": 0.8}, angles=(0.0, 0.3, 0.0))
    cells = columns.cells(reading_of(given, face, model="m"))
    assert list(cells) == [column.name for column in columns.columns] and columns.cells(None) == {}
    assert cells["face3d_yaw"] == pytest.approx(np.degrees(0.3), abs=1e-3)
    assert cells["face3d_crop_side"] == 180 and cells["face3d_shape_0"] == -1
    place = FACE.expression_names.index("AU12_L")
    assert cells["AU12_left" if name == "open" else f"face3d_expression_{place}"] == pytest.approx(0.8)
    assert columns.described()["smoothing"] == "none" and columns.described()["model"] == "network@0123"


def test_a_mesh_is_obj_or_glb(tmp_path):
    found = reading_of(seen(angles=(0.0, 0.5, 0.0)), FACE, model="m")
    save_mesh(found, tmp_path / "face.obj")
    lines = (tmp_path / "face.obj").read_text().splitlines()
    ahead = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    np.testing.assert_allclose(ahead, found.parameters.vertices(FACE, posed=False), atol=1e-5)
    save_mesh(found, tmp_path / "face.glb", posed=True)
    assert (tmp_path / "face.glb").read_bytes()[:4] == b"glTF"
    with pytest.raises(MienError, match=r"a mesh is written as .obj or .glb"):
        save_mesh(found, tmp_path / "face.stl")


def test_the_strongest_units_are_named_right_before_left():
    found = reading_of(seen({"AU12_L": 0.8, "AU12_R": 0.2, "AU26": 0.5}), FACE, model="m")
    assert found.summary == "AU12 0.20|0.80, AU26 0.50"
