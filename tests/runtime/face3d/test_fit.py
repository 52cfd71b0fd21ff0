"""A 3D face fitted to landmarks: its shape and expression come out, sides stay apart, and the render is registered."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.face3d import FaceInCrop, pixels_of, rotation_matrices
from mien.core.records import FacePoints
from mien.metrics.face3d import vertex_errors_mm
from mien.runtime.face3d.drawing import draw, grey_levels
from mien.runtime.face3d.fit import LandmarkFit
from mien.runtime.face3d.parameters import camera_in, crop_around
from mien.synthetic.face.open_face import open_face, parameters_of
from mien.synthetic.people import person_of

FACE = open_face()
FIT = LandmarkFit(FACE)
SHOWN = np.unique(FACE.render_triangles)
NO_UNITS: dict[str, float] = {}


def photographed(units, *, person=4, pose=(0.0, 0.0, 0.0), scale_px=1500.0, shift_px=(300.0, 260.0)):
    """A face's landmarks in a photo with their depths, and its vertices without pose."""
    expression, jaw, lids = parameters_of(units)
    identity = person_of(9, person).identity[None]
    kept = {"jaw": jaw, "lids": lids}
    posed = FACE.landmarks(FACE.vertices(identity, expression, pose=np.array([pose], np.float32), **kept))[0]
    points = posed[:, :2].astype(float) * (scale_px, -scale_px) + shift_px
    depth = posed[:, 2].astype(float) * scale_px
    return FacePoints(points, depth_px=depth - depth.mean()), FACE.vertices(identity, expression, **kept)


@pytest.mark.parametrize("pose", [(0.0, 0.0, 0.0), (0.1, 0.5, -0.2)])
def test_the_fitted_face_is_much_nearer_than_the_mean_face_and_lies_on_the_landmarks(pose):
    points, truth = photographed({"AU12": 0.8, "AU6": 0.6, "AU25": 0.7, "AU26": 0.4}, pose=pose)
    found = FIT(points, size=128)
    ahead = found.vertices(FACE, posed=False)[None]
    error, mean = (
        vertex_errors_mm(v[:, SHOWN], truth[:, SHOWN], aligned=True)[0] for v in (ahead, FACE.template[None])
    )
    assert error < 0.5 * mean and mean > 2
    placed = found.crop.to_picture(found.landmarks(FACE))
    apart = np.linalg.norm(points.landmarks_px[45] - points.landmarks_px[36])
    assert np.linalg.norm(placed - points.landmarks_px, axis=1).mean() < 0.025 * apart
    turn = rotation_matrices(found.pose) @ rotation_matrices(np.array(pose)).T
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 4


def test_a_smile_on_one_side_and_a_closed_eye_are_that_sides():
    found = FIT(photographed({"AU12_L": 0.9, "AU45_R": 1.0})[0], size=64)
    at = {name: float(found.expression[i]) for i, name in enumerate(FACE.expression_names)}
    assert at["AU12_L"] > at["AU12_R"] + 0.3
    assert found.lids[1] > 0.6 > found.lids[0] + 0.3


def test_action_units_and_lids_stay_in_0_to_1_and_the_jaw_opens_only():
    for units in (NO_UNITS, {"AU27": 1.0, "AU25": 1.0}, {"AU4": 1.0, "AU24": 1.0}):
        found = FIT(photographed(units, person=11)[0], size=64)
        assert ((found.expression >= 0) & (found.expression <= 1)).all()
        assert ((found.lids >= 0) & (found.lids <= 1)).all() and found.jaw[0] >= 0
    assert FIT(photographed({"AU27": 1.0})[0], size=64).jaw[0] > FIT(photographed(NO_UNITS)[0], size=64).jaw[0] + 0.2


def test_points_without_depth_and_others_than_68_are_refused():
    points = photographed(NO_UNITS)[0]
    with pytest.raises(MienError, match="68 landmarks and their depths; got 68, no depths"):
        FIT(FacePoints(points.landmarks_px), size=64)
    with pytest.raises(MienError, match="68 landmarks and their depths; got 5"):
        FIT(FacePoints(points.landmarks_px[:5], depth_px=points.depth_px[:5]), size=64)


def test_the_camera_of_a_crop_places_points_where_the_photo_has_them():
    points, _ = photographed(NO_UNITS)
    crop = crop_around(points.landmarks_px, 96)
    camera = camera_in(crop, scale_px=1500.0, shift_px=np.array([300.0, 260.0]))
    some = np.array([[0.03, -0.02, 0.01], [-0.05, 0.04, 0.0]], np.float32)
    placed = crop.to_picture(pixels_of(some, camera, 96)[:, :2])
    assert np.allclose(placed, some[:, :2] * (1500, -1500) + (300, 260), atol=1e-2)


def test_the_render_is_where_the_face_is_and_the_same_as_with_torch():
    torch = pytest.importorskip("torch")
    from mien.nn.face3d.render import render_grey

    found: FaceInCrop = FIT(photographed({"AU12": 0.8}, pose=(0.0, 0.3, 0.1))[0], size=96)
    picture = draw(FACE, found)
    inside = np.round(found.landmarks(FACE)[27:48]).astype(int)  # nose and eyes
    assert (picture[inside[:4, 1], inside[:4, 0]] > 60).all() and picture[0, 0] == 0
    vertices = found.vertices(FACE)
    levels = grey_levels(FACE, vertices, found.camera, size=96)
    triangles = torch.from_numpy(FACE.render_triangles.astype(np.int64))
    other = render_grey(torch.from_numpy(vertices)[None], triangles, torch.from_numpy(found.camera)[None], size=96)[
        0, 0
    ]
    rim = (
        np.abs(levels - other.numpy()) > 0.02
    )  # normals at the edge of what is shown: of the whole mesh, or of it alone
    assert rim.mean() < 0.02 and np.abs((levels > 0) ^ (other.numpy() > 0)).mean() < 0.002
