"""Our own 3D face: symmetry, proportions, lids, jaw, gaze, a sound mesh."""

import time

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.synthetic.face.build import face_model
from mien.synthetic.face.model import FaceModel

FLIP = np.array([-1, 1, 1], np.float32)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return face_model()


def landmarks(model: FaceModel, units: dict[str, float] | None = None) -> np.ndarray:
    """The template's landmarks with those units, over the distance of the outer eye corners."""
    points = model.landmarks(model.vertices(action_units=model.weights(units or {})))[0]
    rest = model.landmarks(model.template[None])[0]
    return points / np.linalg.norm(rest[45] - rest[36])


def test_it_is_dense_enough_and_small_enough_to_draw(model: FaceModel) -> None:
    assert 2500 <= len(model.template) <= 5000
    assert model.template.dtype == np.float32 and model.triangles.dtype == np.int32
    assert len(model.identity) >= 30 and len(model.identity_names) == len(model.identity)
    assert model.uv.min() >= 0 and model.uv.max() <= 1
    around = [int(np.isin(model.triangles, model.regions[f"lid_rim_{side}"]).sum()) for side in "LR"]
    assert len(model.regions["lid_rim_L"]) >= 20 and around[0] == around[1]


def test_the_template_and_every_mode_are_exactly_symmetric(model: FaceModel) -> None:
    mirror = model.mirror
    assert (mirror[mirror] == np.arange(len(mirror))).all()
    assert (model.template[mirror] * FLIP == model.template).all()
    for name, mode in zip(model.identity_names, model.identity, strict=True):
        other = mode[mirror] * FLIP
        odd = name.startswith(("asymmetric", "bent"))
        np.testing.assert_allclose(other, -mode if odd else mode, atol=1e-9, err_msg=name)
    for left, name in enumerate(model.expression_names):
        if name.endswith("_L"):
            right = model.expression_names.index(name[:-1] + "R")
            assert (model.expression[left][mirror] * FLIP == model.expression[right]).all(), name


def test_the_skin_is_one_sheet_with_its_faces_outwards(model: FaceModel) -> None:
    edges = np.concatenate([model.triangles[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))]).astype(np.int64)
    keys = edges[:, 0] * len(model.template) + edges[:, 1]
    assert len(np.unique(keys)) == len(keys), "an edge is run through twice in one direction: not a manifold"
    skin = np.zeros(len(model.template), bool)
    skin[model.regions["skin"]] = True
    corners = model.template[model.triangles[skin[model.triangles].all(1)]]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    middle = corners.mean(1)
    face = (middle[:, 2] > -0.01) & (np.abs(middle[:, 0]) < 0.05) & (middle[:, 1] > -0.1)
    # Only under the brow, the nose and the lower lip may skin look away from the viewer.
    assert (normal[face, 2] < 0).mean() < 0.02
    outside = middle - np.array([0, middle[:, 1].mean(), -0.05])
    assert ((normal * outside).sum(1) < 0).mean() < 0.03


def test_landmarks_stand_in_order_on_the_right_side(model: FaceModel) -> None:
    points = landmarks(model)
    np.testing.assert_allclose(points[SCHEME_68.mirror] * FLIP, points, atol=1e-5)
    assert points[36, 0] < 0 < points[45, 0], "36 is the subject's right eye, at the viewer's left"
    assert (np.diff(points[:17, 0]) > -0.02).all() and points[8, 1] == points[:, 1].min()
    assert (np.diff(points[27:31, 1]) < 0).all() and points[30, 2] == points[:, 2].max()
    assert (points[17:27, 1] > points[36:48, 1].max()).all()
    assert points[37, 1] > points[41, 1] and points[51, 1] > points[62, 1] > points[57, 1]


def test_proportions_are_those_of_people(model: FaceModel) -> None:
    """Means and standard deviations of frontal, closed-mouthed faces with human landmarks (300-W, 99 faces)."""
    points = landmarks(model)[:, :2]
    middle = (points[36] + points[45]) / 2
    width = {"inner": (39, 42), "eye": (42, 45), "jaw": (4, 12), "chin": (6, 10), "nose": (31, 35), "mouth": (48, 54)}
    people = {"inner": (0.416, 0.028), "eye": (0.294, 0.017), "jaw": (1.235, 0.129), "chin": (0.696, 0.113)}
    people |= {"nose": (0.323, 0.047), "mouth": (0.581, 0.076)}
    for name, (a, b) in width.items():
        mean, deviation = people[name]
        assert np.linalg.norm(points[a] - points[b]) == pytest.approx(mean, abs=1.2 * deviation), name
    assert np.linalg.norm(points[8] - middle) == pytest.approx(1.196, abs=0.154)
    assert np.linalg.norm(points[27] - points[33]) == pytest.approx(0.554, abs=0.071)


def test_people_differ_about_as_much_as_people_do(model: FaceModel) -> None:
    """Standard deviations over the inter-ocular distance, in an identity model of scans."""
    rng = np.random.default_rng(0)
    points = model.landmarks(model.vertices(rng.normal(size=(200, len(model.identity))).astype(np.float32)))
    between = np.linalg.norm(points[:, 45] - points[:, 36], axis=-1)
    for (a, b), deviation in {
        (31, 35): 0.027,
        (48, 54): 0.041,
        (8, 57): 0.036,
        (39, 42): 0.028,
        (0, 16): 0.084,
    }.items():
        spread = (np.linalg.norm(points[:, a] - points[:, b], axis=-1) / between).std()
        assert deviation / 2 < spread < deviation * 2, (a, b, spread)
    asides = points - points[:, SCHEME_68.mirror] * FLIP
    assert 0.0002 < np.abs(asides[:, 48, 1]).mean() < 0.004, "real faces are a little asymmetric"


def test_closed_lids_meet_and_the_eyeball_never_comes_through(model: FaceModel) -> None:
    rng = np.random.default_rng(1)
    people = rng.normal(size=(40, len(model.identity))).astype(np.float32)
    for units in (
        {"AU43": 1.0},
        {"AU45": 1.0, "AU6": 1.0, "AU12": 1.0},
        {"AU43": 0.5},
        {"AU5": 1.0},
        {"AU7": 1, "AU6": 1},
    ):
        vertices = model.vertices(people, np.repeat(model.weights(units), len(people), 0))
        points = model.landmarks(vertices)
        opening = np.abs(points[:, [43, 44], 1] - points[:, [47, 46], 1])
        if 1.0 in (units.get("AU43"), units.get("AU45")):
            assert opening.max() < 1e-5
        for eye in model.eyes.values():
            centre = vertices[:, eye.ball].mean(1, keepdims=True) - eye.shape.mean(0)
            lids = np.unique(np.concatenate([eye.upper.ravel(), eye.lower.ravel()]))
            assert np.linalg.norm(vertices[:, lids] - centre, axis=-1).min() > eye.radius
            radius = np.linalg.norm(vertices[:, eye.ball] - centre, axis=-1)
            np.testing.assert_allclose(radius, eye.radius, rtol=1e-3)


def test_half_closed_is_half_open(model: FaceModel) -> None:
    opened, half = (landmarks(model, {"AU43": w}) for w in (0.0, 0.5))
    assert half[43, 1] - half[47, 1] == pytest.approx(0.5 * (opened[43, 1] - opened[47, 1]), rel=1e-3)


def test_the_jaw_turns_about_its_joint(model: FaceModel) -> None:
    rest, dropped, wide = landmarks(model), landmarks(model, {"AU26": 1}), landmarks(model, {"AU27": 1})
    assert 0.1 < dropped[62, 1] - dropped[66, 1] < wide[62, 1] - wide[66, 1] < 0.6
    assert wide[8, 1] < rest[8, 1] - 0.2 and wide[8, 2] < rest[8, 2] - 0.1
    np.testing.assert_allclose(wide[27:48], rest[27:48], atol=0.01)
    turned = model.vertices(jaw_rad=np.array([[0.1, 0.1]], np.float32))
    assert model.landmarks(turned)[0, 8, 0] > 0.004, "aside is to the person's left"
    lower = model.regions["teeth_lower"]
    lengths = [np.linalg.norm(np.diff(v[lower], axis=0), axis=-1) for v in (model.template, turned[0])]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=1e-6)


def test_eyes_look_in_the_given_direction(model: FaceModel) -> None:
    gaze = np.array([[[0.3, 0.2], [0.3, 0.2]]], np.float32)
    moved = model.vertices(gaze_rad=gaze)[0] - model.template
    for side in "LR":
        pupil = model.regions[f"eyeball_{side}"][0]
        assert moved[pupil, 0] > 0.002 and moved[pupil, 1] > 0.001
    down = model.landmarks(model.vertices(gaze_rad=-gaze))[0]
    assert down[43, 1] - down[47, 1] < 0.95 * (landmarks(model)[43, 1] - landmarks(model)[47, 1]) * 0.089


def test_a_batch_is_what_single_faces_are_and_takes_milliseconds(model: FaceModel) -> None:
    rng = np.random.default_rng(2)
    identity = rng.normal(size=(64, len(model.identity))).astype(np.float32)
    units = rng.uniform(size=(64, len(model.expression_names))).astype(np.float32)
    start = time.perf_counter()
    together = model.vertices(identity, units)
    assert time.perf_counter() - start < 2
    np.testing.assert_allclose(together[3], model.vertices(identity[3:4], units[3:4])[0], atol=1e-6)
    assert (together == model.vertices(identity, units)).all()


def test_it_is_built_the_same_every_time(model: FaceModel) -> None:
    from mien.synthetic.face.build import build_face_model

    again = build_face_model()
    for name in ("template", "identity", "expression", "uv", "landmark_weights"):
        assert (getattr(again, name) == getattr(model, name)).all(), name


def test_wrong_weights_are_refused_in_one_line(model: FaceModel) -> None:
    with pytest.raises(MienError, match=r"action units \[1, \d+\]; got \[1, 3\]"):
        model.vertices(action_units=np.zeros((1, 3), np.float32))
    with pytest.raises(MienError, match=r"No action unit is called 'AU12_X'\. Did you mean"):
        model.weights({"AU12_X": 1.0})
