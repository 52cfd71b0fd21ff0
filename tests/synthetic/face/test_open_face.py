"""The open 3D face: the synthetic people in FLAME's arrangement, exact in shape, and the same with torch."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.face3d import axis_angle_of, project, rotation_matrices
from mien.synthetic.face.build import face_model
from mien.synthetic.face.expressions import sample_action_units
from mien.synthetic.face.open_face import mirror, open_face, parameter_row, parameters_of
from mien.synthetic.people import person_of

FACE, MODEL = open_face(), face_model()
SHOWN = np.unique(FACE.render_triangles)
NONE = np.zeros((1, 0), np.float32)


def test_expressions_are_action_units_left_and_right_apart_and_lids_are_their_own():
    assert {"AU12_L", "AU12_R", "AU6_L", "AU26"} <= set(FACE.expression_names)
    assert not {"AU43_L", "AU45_R"} & set(FACE.expression_names)
    assert FACE.shape_names == MODEL.identity_names and len(FACE.render_triangles) > 3400
    left = FACE.expressions[..., FACE.expression_names.index("AU12_L")]
    moved = np.linalg.norm(left, axis=1)
    corner = {point: _landmark(moved, point) for point in (54, 48)}  # the person's left and right corner of the mouth
    assert corner[54] > 0.008 and corner[48] < 0.001


def _landmark(values, point):
    corners = FACE.triangles[FACE.landmark_triangles[point]]
    return float((values[corners] * FACE.landmark_weights[point]).sum())


def test_shapes_are_the_synthetic_peoples_to_the_last_digit():
    identity = person_of(3, 5).identity[None]
    assert np.abs(FACE.vertices(identity, NONE) - MODEL.vertices(identity))[:, SHOWN].max() < 4e-3  # lids slide
    slid = [getattr(MODEL.eyes[side], part).ravel() for side in "LR" for part in ("skin", "upper", "inside", "rim")]
    away = np.setdiff1d(SHOWN, np.concatenate(slid))
    assert np.abs(FACE.vertices(identity, NONE) - MODEL.vertices(identity))[:, away].max() < 1e-6


@pytest.mark.parametrize("expression", ["happiness", "surprise", "fear"])
def test_an_expression_differs_from_the_peoples_own_by_a_tenth_of_a_millimetre(expression):
    units = MODEL.weights(sample_action_units(expression, 1.0, rng=np.random.default_rng(1)))
    expression_row, jaw, lids = parameters_of(units)
    identity = person_of(3, 6).identity[None]
    found, truth = FACE.vertices(identity, expression_row, jaw=jaw, lids=lids), MODEL.vertices(identity, units)
    away = np.linalg.norm(found - truth, axis=-1)[0]
    moved = np.linalg.norm(truth - MODEL.vertices(identity), axis=-1)[0]
    assert away[SHOWN].mean() < 1.5e-4 and moved[SHOWN].mean() > 10 * away[SHOWN].mean()


def test_the_jaw_opens_as_the_peoples_does_where_skin_follows_it_in_part():
    units = MODEL.weights({"AU27": 1.0})
    expression, jaw, lids = parameters_of(units)
    away = np.linalg.norm(FACE.vertices(NONE, expression, jaw=jaw, lids=lids) - MODEL.vertices(None, units), axis=-1)
    half = (MODEL.jaw_weights > 0.3) & (MODEL.jaw_weights < 0.7)
    assert jaw[0, 0] == pytest.approx(0.5) and away[0, half].max() < 4e-4  # without the correction 2.5 mm


def test_closed_lids_leave_no_opening_and_one_eye_leaves_the_other():
    open_eyes = FACE.vertices(NONE, NONE)
    shut = FACE.vertices(NONE, NONE, lids=np.array([[1.0, 0.0]], np.float32))
    left, right = MODEL.eyes["L"], MODEL.eyes["R"]
    assert left.openings(shut).max() < 2e-4 and left.openings(open_eyes).max() > 5e-3
    assert np.array_equal(right.openings(shut), right.openings(open_eyes))


def test_a_turned_head_keeps_its_shape_and_lids_turn_along():
    pose = np.array([[0.2, -0.5, 0.1]], np.float32)
    lids = np.array([[1.0, 1.0]], np.float32)
    still, turned = FACE.vertices(NONE, NONE, lids=lids), FACE.vertices(NONE, NONE, lids=lids, pose=pose)
    rotation = rotation_matrices(pose)[0]
    assert np.allclose(axis_angle_of(rotation), pose[0])
    centre = turned.mean(1) - still.mean(1) @ rotation.T
    assert np.allclose(turned, still @ rotation.T + centre, atol=1e-5)


def test_the_mirrored_parameters_are_those_of_the_mirrored_face():
    rng = np.random.default_rng(0)
    row = parameter_row(person_of(1, 2).identity, (0.6 * rng.random(len(MODEL.expression_names))).astype(np.float32))
    row[-5:-2] = 0.2, 0.05, -0.04
    places, signs = mirror()
    first = FACE.shape_count

    def vertices(values):
        parts = values[None, :first], values[None, first:-5]
        return FACE.vertices(*parts, jaw=values[None, -5:-2], lids=values[None, -2:])[0]

    flipped = vertices(row)[MODEL.mirror] * (-1, 1, 1)
    assert np.abs(vertices(row[places] * signs) - flipped)[SHOWN].max() < 2e-5
    assert np.array_equal((row[places] * signs)[places] * signs, row)


def test_torch_gives_the_same_vertices_and_the_small_model_the_same_landmarks():
    torch = pytest.importorskip("torch")
    from mien.nn.face3d.flame import Flame, flame_model, landmark_model, on_triangles

    draw = torch.Generator().manual_seed(0)
    shape, expression = torch.randn(2, 54, generator=draw), 0.5 * torch.rand(2, 54, generator=draw)
    pose, jaw = 0.3 * torch.randn(2, 3, generator=draw), torch.tensor([[0.3, 0.02, 0.01]]).repeat(2, 1)
    lids = torch.rand(2, 2, generator=draw)
    arrays = FACE.vertices(shape.numpy(), expression.numpy(), pose=pose.numpy(), jaw=jaw.numpy(), lids=lids.numpy())
    assert np.abs(Flame(flame_model(FACE))(shape, expression, pose, jaw, lids).numpy() - arrays).max() < 1e-6
    small, embedding = landmark_model(FACE)
    points = on_triangles(Flame(small)(shape, expression, pose, jaw, lids), small.triangles, embedding)
    assert len(small.template) < 250
    assert np.abs(points.numpy() - FACE.landmarks(arrays)).max() < 1e-6


def test_a_point_nearer_to_the_viewer_has_less_depth_and_up_is_up():
    points = np.array([[[0.0, 0.05, 0.1], [0.0, 0.0, 0.0]]], np.float32)
    placed = project(points, np.array([[8.0, 0.01, 0.0]], np.float32))[0]
    assert placed[0, 2] < placed[1, 2] and placed[0, 1] < placed[1, 1]
    assert placed[1] == pytest.approx([0.08, 0, 0], abs=1e-6)


def test_more_parameters_than_the_face_has_are_refused():
    with pytest.raises(MienError, match="This 3D face has 54 shape parameters; got 55"):
        FACE.vertices(np.zeros((1, 55), np.float32), NONE)
