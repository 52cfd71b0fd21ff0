"""Points: from a network's answer back to the picture, exactly; what is sure of them; where the head is turned."""

from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import write_tiny_bundle
from tiny_points import frontal_face, write_point_bundle

from mien.core.errors import MienError
from mien.core.geometry import Crop, crop_of_box
from mien.core.landmarks import SCHEME_68, to_5
from mien.core.records import FacePoints
from mien.core.spec import PictureInput
from mien.media.detect import Detection
from mien.media.points import read_pts, write_pts
from mien.runtime.landmarks import Landmarker, confidence_of, decode, five_crop, near, next_crop, scaled_points
from shape_checks import unchecked

PICTURE = np.full((200, 300, 3), 90, np.uint8)
BOX = (100.0, 40.0, 180.0, 130.0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    face = frontal_face()
    outputs = {
        "landmarks": face[:, :2], "depth": face[:, 2], "sigma": np.full(68, 0.02), "visible": np.full(68, 0.75),
    }  # fmt: skip
    return write_point_bundle(tmp_path_factory.mktemp("points"), outputs, box_scale=1.2, box_shift=(0.0, -0.1))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_points_lie_where_training_would_have_put_them(bundle: Path, backend: str) -> None:
    pytest.importorskip(backend)
    landmarker = Landmarker(bundle, backend=backend, threads=1, passes=1)
    face = landmarker.read(PICTURE, BOX)
    crop = crop_of_box(BOX, landmarker.info.picture)
    # The inverse of data.faces: landmarks / size after half a pixel
    back = (crop.to_crop(face.landmarks_px) + 0.5) / crop.size
    np.testing.assert_allclose(back, frontal_face()[:, :2], atol=1e-6)
    side = 85 * 1.2
    np.testing.assert_allclose(face.depth_px, frontal_face()[:, 2] * side, atol=1e-4)
    np.testing.assert_allclose(face.sigma_px, 0.02 * side, rtol=1e-5)
    np.testing.assert_allclose(face.visible, 0.75, rtol=1e-5)
    assert face.box == BOX and landmarker.engine == f"{backend} fp32"
    assert face.pose_rad == pytest.approx((0, 0, 0), abs=1e-3)
    assert set(landmarker.outputs) == {"landmarks", "depth", "sigma", "visible"}


def test_many_are_read_as_one_is(bundle: Path) -> None:
    landmarker = Landmarker(bundle, backend="onnxruntime", threads=1)
    boxes = [(10.0 + i, 20.0, 90.0 + i, 110.0) for i in range(19)]
    together = landmarker.read_many([(PICTURE, box) for box in boxes])
    for box, face in zip(boxes, together, strict=True):
        np.testing.assert_allclose(face.landmarks_px, landmarker.read(PICTURE, box).landmarks_px, atol=1e-4)
    assert landmarker.read_many([]) == []
    assert landmarker.read(PICTURE).landmarks_px.shape == (68, 2)  # the picture is the face


def test_the_second_crop_comes_from_the_first_points(bundle: Path) -> None:
    once = Landmarker(bundle, backend="onnxruntime", threads=1, passes=1)
    twice = Landmarker(bundle, backend="onnxruntime", threads=1, passes=2)
    first = once.read(PICTURE, BOX).landmarks_px
    spec = twice.info.picture
    x0, y0, x1, y1 = *first.min(0) + 0.5, *first.max(0) + 0.5
    again = crop_of_box((x0, y0, x1, y1), spec)
    wanted = again.to_picture(frontal_face()[:, :2] * spec.size - 0.5)
    np.testing.assert_allclose(twice.read(PICTURE, BOX).landmarks_px, wanted, atol=1e-3)


def test_five_points_frame_a_face_that_is_then_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = PictureInput(size=64, box_scale=1.2, box_shift=(0.0, 0.1))
    face = 200 * frontal_face()[:, :2] + [30, 10]
    framed = next_crop(Crop((0.5, 0.5), (1.0, 1.0), 1), face + 0.5, spec=spec)  # points of a picture of one pixel
    answer = (framed.to_crop(face) + 0.5) / framed.size  # which the network gives for every crop
    landmarker = Landmarker(
        write_point_bundle(tmp_path / "b", {"landmarks": answer}, box_scale=1.2, box_shift=(0, 0.1))
    )
    read, plain = [], landmarker._outputs
    monkeypatch.setattr(landmarker, "_outputs", lambda *a: read.append(len(a[0])) or plain(*a))
    five = Detection(BOX, 1.0, to_5(face).astype(np.float32))
    found = landmarker.read_many([(PICTURE, five), (PICTURE, BOX)])
    assert read == [2, 1]  # the box again, by its points
    assert np.linalg.norm(found[0].landmarks_px - face, axis=1).max() < 8 and found[0].box == BOX
    read.clear()
    np.testing.assert_array_equal(found[1].landmarks_px, landmarker.read(PICTURE, Detection(BOX, 1.0)).landmarks_px)
    assert read == [1, 1]


def test_a_face_that_five_points_frame_badly_is_read_again(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    landmarker = Landmarker(bundle, backend="onnxruntime", threads=1)
    read, plain = [], landmarker._outputs
    monkeypatch.setattr(landmarker, "_outputs", lambda *a: read.append(len(a[0])) or plain(*a))
    face = 60 * frontal_face()[:, :2] + [100, 60]
    found = landmarker.read(PICTURE, Detection(BOX, 1.0, to_5(face).astype(np.float32)))  # answers too small a face
    assert read == [1, 1] and np.isfinite(found.landmarks_px).all()


@pytest.mark.parametrize("roll", [0.0, 0.6, -2.0])
def test_five_points_frame_about_what_68_do(roll: float) -> None:
    spec = PictureInput(size=64, box_scale=1.2, box_shift=(0.0, 0.1))
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    face = 200 * (frontal_face()[:, :2] - 0.5) @ turn + [300, 250]
    by_five = five_crop(Detection(BOX, 1.0, to_5(face).astype(np.float32)), spec)
    by_all = next_crop(Crop((0.0, 0.0), (1.0, 1.0), 1), face + 0.5, spec=spec)
    assert by_five is not None and near(by_five, by_all)
    assert by_five.roll_rad == pytest.approx(roll, abs=0.05)


def test_points_that_frame_nothing_leave_the_box() -> None:
    spec, together = PictureInput(size=64), np.ones((5, 2), np.float32)
    assert five_crop(Detection(BOX, 1.0, together), spec) is None
    assert five_crop(Detection(BOX, 1.0), spec) is None
    chin = PictureInput(size=64, point_box="landmarks")
    assert five_crop(Detection(BOX, 1.0, together * np.arange(5, dtype=np.float32)[:, None]), chin) is None


def test_confidence_is_rayleighs_with_the_stated_mean() -> None:
    points = np.zeros((68, 2))
    points[45, 0] = 100.0
    face = FacePoints(points, sigma_px=np.full(68, 2.0))
    confidence = confidence_of(face, SCHEME_68)
    rng = np.random.default_rng(0)
    scale = 2.0 * np.sqrt(2 / np.pi)
    errors = np.linalg.norm(rng.normal(0, scale, (200_000, 2)), axis=1)
    assert errors.mean() == pytest.approx(2.0, rel=0.01)
    assert confidence is not None and confidence[0] == pytest.approx((errors < 5).mean(), abs=0.005)
    # In profile the corners meet in the picture, not in space.
    turned = FacePoints(np.zeros((68, 2)), depth_px=100.0 * (np.arange(68) == 45), sigma_px=np.full(68, 2.0))
    assert confidence_of(turned, SCHEME_68)[0] == pytest.approx(confidence[0])  # type: ignore[index]
    assert confidence_of(FacePoints(points), SCHEME_68) is None


def test_points_follow_their_picture_when_it_is_resized() -> None:
    face = FacePoints(np.array([[0.0, 0.0], [9.5, 4.5]]), sigma_px=np.ones(2), box=(0, 0, 10, 10))
    twice = scaled_points(face, 2.0)
    np.testing.assert_allclose(twice.landmarks_px, [[0.5, 0.5], [19.5, 9.5]])
    assert twice.box == (0, 0, 20, 20) and twice.sigma_px is not None and twice.sigma_px[0] == 2


def test_a_turned_crop_is_undone() -> None:
    crop = crop_of_box(BOX, PictureInput(size=64), roll_rad=0.5)
    face = decode(crop, {"landmarks": frontal_face()[:, :2].astype(np.float32)}, SCHEME_68)
    assert face.pose_rad is not None and face.pose_rad[2] == pytest.approx(0.5, abs=0.01)
    assert face.depth_px is None and face.confidence is None


def test_what_reads_no_landmarks_is_refused(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(MienError, match="gives expression: 8 classes, no landmarks"):
        Landmarker(write_tiny_bundle(tmp_path / "tiny"), backend="onnxruntime")
    with pytest.raises(MienError, match="passes must be 1 or more; got 0"):
        Landmarker(bundle, passes=0)
    with pytest.raises(MienError, match="x1 > x0"):
        Landmarker(bundle, backend="onnxruntime").read(PICTURE, (10, 10, 10, 20))


def test_all_points_in_one_place_are_no_reason_to_stop(tmp_path: Path) -> None:
    folder = write_point_bundle(tmp_path / "b", {"landmarks": np.full((68, 2), 0.5)})
    face = Landmarker(folder, backend="onnxruntime").read(PICTURE, BOX)
    assert face.pose_rad is None and np.isfinite(face.landmarks_px).all()


def test_pts_files_come_back(tmp_path: Path) -> None:
    points = frontal_face()[:, :2] * 100
    write_pts(tmp_path / "deep" / "a.pts", points)
    np.testing.assert_allclose(read_pts(tmp_path / "deep" / "a.pts"), points, atol=1e-4)
    assert (tmp_path / "deep" / "a.pts").read_text().startswith("version: 1\nn_points:  68\n{\n")


def test_the_model_that_ships_finds_the_astronaut(astronaut) -> None:
    """By our own eyes: the eyes, the nose tip, the mouth's corners, within 4 pixels of a face of 88."""
    from mien.runtime.landmarks import shipped_landmarks

    if shipped_landmarks() is None:
        pytest.skip("no landmark model ships as ONNX")
    landmarker = Landmarker(backend="onnxruntime", threads=1)
    face = landmarker.read(astronaut, (181.0, 84.0, 269.0, 172.0))
    # outer eye corners, nose tip, mouth corners
    places = {36: (194, 102), 45: (255, 104), 30: (225, 126), 48: (203, 143), 54: (243, 144)}
    for index, place in places.items():
        assert np.linalg.norm(face.landmarks_px[index] - place) < 5, index
    pitch, yaw, roll = np.degrees(face.pose_rad)
    assert abs(yaw) < 10 and abs(pitch) < 15 and abs(roll) < 8


@unchecked()
@pytest.mark.parametrize("pixels", [np.zeros((8, 8, 3)), np.zeros((8, 8, 4), np.uint8), "a.jpg", None])
def test_pixels_of_another_kind_are_refused(bundle: Path, pixels) -> None:
    with pytest.raises(MienError, match="A picture is"):
        Landmarker(bundle).read(pixels)


@unchecked()
@pytest.mark.parametrize("box", [(0, 0, np.inf, 5), (-1e9, -1e9, 1e9, 1e9), (1, 2, 3), "abcd"])
def test_boxes_that_bound_nothing_are_refused(bundle: Path, box) -> None:
    with pytest.raises(MienError, match="face box"):
        Landmarker(bundle).read(np.zeros((8, 8, 3), np.uint8), box)
