"""A scanned face without eyeballs and mouth gets ours, fitted to its openings, and people are made with it."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data.replicas.people import Plan, write_people
from mien.engine.datasets.synth import synth
from mien.synthetic.face.model import FaceModel, face_model, load_face_model
from mien.synthetic.people import PeopleOptions, person_of, portrait, units_of_model
from mien.synthetic.picture.camera import Camera
from mien.synthetic.picture.scene import LABELS, render
from shape_checks import unchecked

SHAPES = {"mouthSmile": "AU12", "mouthUpperUp": "AU10", "mouthLowerDown": "AU16", "eyeWide": "AU5", "eyeBlink": "AU43"}


def jaw_open(own: FaceModel) -> np.ndarray:
    return (own.vertices(action_units=own.weights({"AU27": 1.0})) - own.template)[0]


@pytest.fixture(scope="module")
def stripped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own face as a scan: skin alone, with holes for eyes and mouth, in centimetres."""
    own, path = face_model(), tmp_path_factory.mktemp("scan") / "scan.npz"
    kept = np.unique(np.concatenate([own.regions["skin"], own.regions["ears"]]))
    triangles = own.triangles[np.isin(own.triangles, kept).all(1)]
    marks = np.take_along_axis(own.triangles[own.landmark_triangles], own.landmark_weights.argmax(1)[:, None], 1)[:, 0]
    shapes = {
        f"{name}_{side}": own.expression[own.expression_names.index(f"{unit}_{side}")]
        for name, unit in SHAPES.items()
        for side in "LR"
    } | {"jawOpen": jaw_open(own)}
    np.savez(
        path, neutral=100 * own.template[kept], identity=100 * own.identity[:8, kept],
        expression=100 * np.stack(list(shapes.values()))[:, kept], expression_names=np.array(list(shapes)),
        triangles=np.searchsorted(kept, triangles), landmarks68=np.searchsorted(kept, marks),
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def scan(stripped: Path) -> FaceModel:
    return load_face_model(stripped)


def shares(model: FaceModel, units: dict[str, float], identity: np.ndarray | None = None) -> dict[str, float]:
    """Share of the face's picture by what is seen there, and of holes within the face."""
    vertices = model.vertices(identity, model.weights(units))
    seen = render(model, vertices[0], camera=Camera(size=128, face_side=110))
    hull = cv2.convexHull(np.round(seen.landmarks_px[17:]).astype(np.int32))
    face = seen.labels[cv2.fillConvexPoly(np.zeros((128, 128), np.uint8), hull, 1) > 0]
    return {name: float((face == code).mean()) for code, name in enumerate(LABELS)}


def check_completed(model: FaceModel) -> None:
    neutral, open_ = shares(model, {}), shares(model, {"AU27": 1.0, "AU5": 1.0})
    assert neutral["background"] == open_["background"] == 0, "no hole shows what is behind"
    assert neutral["eye"] > 0.01 and neutral["mouth"] < 0.003
    assert open_["eye"] > neutral["eye"] and open_["mouth"] > 0.02
    assert shares(model, {"AU43": 1.0})["eye"] < 0.25 * neutral["eye"]
    draw = np.random.default_rng(0)
    for _ in range(2):
        person = draw.normal(size=(1, len(model.identity_names))).astype(np.float32)
        found = shares(model, {"AU12": 1.0, "AU10": 0.5}, person)
        assert found["background"] == 0 and found["eye"] > 0.002
    vertices = model.vertices()[0]
    for side, eye in model.eyes.items():
        away = np.linalg.norm(vertices[eye.skin] - eye.centre, axis=1)
        front = np.linalg.norm((vertices[eye.skin] - eye.centre)[:, :2], axis=1) < 0.8 * eye.radius
        assert away[front].min() > eye.radius, f"no lid inside the {side} ball"
        gap = np.linalg.norm(vertices[eye.rim] - eye.centre, axis=1) - eye.radius
        assert np.median(gap) < 0.0015, "and the lids touch it"


def test_a_scan_without_eyes_and_mouth_gets_ours(scan: FaceModel) -> None:
    check_completed(scan)
    for name in ("eyeball_L", "eyeball_R", "teeth_upper", "teeth_lower", "mouth_inside", "scalp", "ears"):
        assert len(scan.regions[name]), name
    np.testing.assert_allclose(scan.template[scan.mirror] * (-1, 1, 1), scan.template, atol=3e-4)
    assert (scan.mirror[scan.mirror] == np.arange(len(scan.mirror))).mean() > 0.99, "but where lips touch"
    assert scan.uv.min() >= 0 and scan.uv.max() <= 1


def test_eyes_look_and_the_lower_teeth_hang_on_the_jaw(scan: FaceModel) -> None:
    gaze = np.tile(np.float32([0.3, 0.1]), (1, 2, 1))
    for side in "LR":
        ball = scan.regions[f"eyeball_{side}"]
        pupil = (scan.vertices(gaze_rad=gaze) - scan.vertices())[0, ball[0]]
        assert pupil[0] > 0.003 and pupil[1] > 0.001
    dropped = (scan.vertices(action_units=scan.weights({"AU27": 1.0})) - scan.vertices())[0]
    assert np.abs(dropped[scan.regions["teeth_upper"]]).max() < 1e-6
    assert dropped[scan.regions["teeth_lower"], 1].max() < -0.01
    moved = (scan.vertices(np.eye(8, dtype=np.float32)) - scan.vertices())[:, scan.regions["eyeball_L"]]
    rim = scan.identity[:, scan.regions["lid_rim_L"]].mean(1)
    np.testing.assert_allclose(moved.mean(1), rim, atol=1e-5)


def test_lids_close_once_and_palsies_droop(scan: FaceModel) -> None:
    once, twice = (scan.vertices(action_units=scan.weights(u)) for u in ({"AU43": 1.0}, {"AU43": 1.0, "AU45": 1.0}))
    np.testing.assert_array_equal(once, twice)
    rest = scan.landmarks(scan.vertices())[0]
    droop = scan.landmarks(scan.vertices(action_units=scan.weights({"sag_mouth_L": 1.0, "sag_brow_L": 1.0})))[0]
    assert droop[54, 1] < rest[54, 1] - 0.003 and droop[24, 1] < rest[24, 1] - 0.003
    assert abs(droop[19, 1] - rest[19, 1]) < 0.001, "the other brow stays"


def test_landmarks_stay_where_the_file_has_them(scan: FaceModel) -> None:
    own = face_model()
    marks = np.take_along_axis(own.triangles[own.landmark_triangles], own.landmark_weights.argmax(1)[:, None], 1)[:, 0]
    wanted = own.template[marks] - own.template[marks[[36, 45]]].mean(0)
    np.testing.assert_allclose(scan.landmarks(scan.template[None])[0], wanted, atol=1e-3)


def test_people_are_made_with_the_scan(tmp_path: Path, stripped: Path) -> None:
    options = PeopleOptions(size=48, palsy=0.5, face_model=str(stripped))
    truths = write_people(tmp_path / "people", Plan(faces=4, pictures=2), options=options)
    assert len(person_of(0, 0, options=options).identity) == 8
    assert truths[0].action_units.shape == (len(units_of_model(options)),)
    with np.load(tmp_path / "people" / "truth.npz") as arrays:
        assert tuple(arrays["action_unit_names"]) == units_of_model(options) != units_of_model()
    told = json.loads((tmp_path / "people" / "people.json").read_text())["options"]["face_model"]
    assert told["name"] == "scan.npz" and len(told["sha256"]) == 64
    assert str(stripped.parent) not in json.dumps(told)
    assert not np.array_equal(
        portrait(0, 0, options=options)[0], portrait(0, 0, options=replace(options, face_model=""))[0]
    )


@pytest.mark.parametrize(
    ("file", "says"),
    [("none.npz", "No face model at"), ("text.npz", "not an npz of plain arrays"), (7, "path of an npz")],
)
@unchecked()
def test_a_wrong_model_is_refused_before_any_work(tmp_path: Path, file: str | int, says: str) -> None:
    (tmp_path / "text.npz").write_text("nothing")
    given = str(tmp_path / file) if isinstance(file, str) else file
    with pytest.raises(MienError, match=says) as error:
        synth("people", output=str(tmp_path / "people"), faces=2, options={"face_model": given})
    assert "\n" not in str(error.value) and not (tmp_path / "people").exists()


@pytest.mark.shared
def test_a_scanned_model_is_completed(shared: Path) -> None:
    model = load_face_model(shared / "model3d" / "ict_facekit_light.npz")
    check_completed(model)
    assert model.template[:, 1].min() > -0.19, "the bust is cut to head and neck"
    np.testing.assert_allclose(model.template[model.mirror] * (-1, 1, 1), model.template, atol=2e-4)
    assert portrait(1, 3, options=PeopleOptions(size=64, face_model=str(shared / "model3d" / "ict_facekit_light.npz")))
