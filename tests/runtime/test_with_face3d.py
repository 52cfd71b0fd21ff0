"""Further readings of a face: 3D beside the landmarks, valence and arousal beside the expression."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_many_bundles import write_many

from mien import Analyzer
from mien.core.errors import MienError
from mien.core.records import Reading
from mien.core.spec import Output
from mien.runtime.overlay import draw, plate_text
from mien.runtime.readings import FaceReading
from mien.runtime.smoothing import FaceSmoother
from mien.synthetic.faces3d import face_named

PROXY = "made-up ratings"


@pytest.fixture(scope="module")
def affect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = {"affect": Output("values", ("valence", "arousal"), range=(-1, 1), proxy=PROXY), "code": Output("vector")}
    return write_many(tmp_path_factory.mktemp("affect"), outputs, {"affect": 2, "code": 3})


@pytest.fixture(scope="module")
def analyzer(affect: Path) -> Analyzer:
    return Analyzer(face3d="fit", affect=affect, threads=1, backend="onnxruntime")


@pytest.fixture(scope="module")
def reading(analyzer: Analyzer) -> FaceReading:
    from skimage.data import astronaut

    (found,) = analyzer.read(astronaut())
    return found


def test_the_3d_face_stands_where_the_landmarks_are_and_smiles(reading: FaceReading) -> None:
    assert reading.face3d is not None and reading.points is not None and reading.box is not None
    given = reading.face3d.parameters
    points = given.crop.to_picture(given.landmarks(face_named("open")))
    apart = np.linalg.norm(points - reading.points.landmarks_px, axis=1).mean() / (reading.box[2] - reading.box[0])
    assert apart < 0.04
    units = reading.face3d.action_units
    assert min(units["AU12_right"], units["AU12_left"]) > 0.3 > units["AU15_left"]
    assert np.abs(np.subtract(reading.face3d.pose_rad, reading.points.pose_rad)).max() < np.radians(8)
    assert "AU12" in reading.summary


def test_the_table_and_its_description_have_both(analyzer: Analyzer, reading: FaceReading) -> None:
    row, described = analyzer.columns.row(reading), analyzer.columns.described()
    assert set(row) == set(described["columns"])
    assert row["AU12_right"] == pytest.approx(reading.face3d.action_units["AU12_right"])  # type: ignore[union-attr]
    assert reading.affect is not None and row["valence"] == reading.affect.valence
    assert PROXY in described["columns"]["valence"]["meaning"] and reading.affect.proxy == PROXY
    how = described["face3d"]
    assert how["model"].startswith("regression on parface") and how["smoothing"] == "none"
    plain = json.loads(json.dumps(reading.to_dict()))
    assert plain["face3d"]["action_units"]["AU12_left"] > 0.3 and plain["affect"]["proxy"] == PROXY


def test_the_overlay_shows_the_render_beside_the_photo_and_the_proxy(
    reading: FaceReading, astronaut: np.ndarray
) -> None:
    drawn = draw(astronaut, [reading])
    height, width = astronaut.shape[:2]
    assert drawn.shape == (height, 2 * width, 3)
    right = drawn[:, width:].astype(int)
    inside = np.ptp(right, axis=2)[115:140, 205:245]  # on the cheeks and the nose: grey
    assert np.median(inside) <= 2 and np.median(right[115:140, 205:245]) > 100
    np.testing.assert_array_equal(right[400:], (astronaut[400:] * np.float32(0.35)).astype(np.uint8))
    assert plate_text(reading).splitlines()[1].endswith("(proxy)")
    assert draw(astronaut, [replace(reading, face3d=None)]).shape == astronaut.shape


def test_only_what_was_asked_is_read_and_a_bundle_that_gives_it_is_enough(affect: Path, tmp_path: Path) -> None:
    options = {"threads": 1, "backend": "onnxruntime", "landmarks": False}
    assert Analyzer(affect=False, **options).face3d is None
    own = Analyzer(affect, affect=True, **options)
    assert len(own.networks) == 1 and [each.name for each in own.outputs] == ["affect"]
    both = Analyzer(affect=affect, **options)
    assert [each.name for each in both.outputs] == ["expression", "affect"]
    plain = write_many(tmp_path / "plain", {"mood": Output("values", ("good",))}, {"mood": 1})
    with pytest.raises(MienError, match="not valence and arousal"):
        Analyzer(affect=plain, **options)
    with pytest.raises(MienError, match="no model of a 3D face"):
        Analyzer(face3d=affect, **options)


def test_a_trembling_3d_face_is_smoothed_and_a_still_one_stays(reading: FaceReading) -> None:
    assert reading.face3d is not None
    rng, raw, smooth = np.random.default_rng(0), [], []
    smoother, still = FaceSmoother(), FaceSmoother()
    given = reading.face3d.parameters
    for frame in range(30):
        noisy = given.expression + rng.normal(0, 0.05, given.expression.shape).astype(np.float32)
        moved = replace(reading.face3d, parameters=replace(given, expression=noisy))
        (found,) = smoother([replace(reading, face3d=moved, timestamp_s=frame / 25)])
        raw.append(noisy)
        smooth.append(found.face3d.parameters.expression)  # type: ignore[union-attr]
        (same,) = still([replace(reading, timestamp_s=frame / 25)])
    assert np.diff(smooth[5:], axis=0).std() < 0.5 * np.diff(raw[5:], axis=0).std()
    np.testing.assert_allclose(same.face3d.parameters.camera, reading.face3d.parameters.camera, rtol=1e-4)  # type: ignore[union-attr]
    assert same.face3d.action_units == pytest.approx(reading.face3d.action_units, abs=1e-5)  # type: ignore[union-attr]


def test_meshes_need_a_3d_face(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"has no 3D face. Read it with Analyzer\(face3d=True\)"):
        FaceReading("a.png", True).save_mesh(tmp_path / "a.obj")
    assert Reading("a.png", True).face3d is None
