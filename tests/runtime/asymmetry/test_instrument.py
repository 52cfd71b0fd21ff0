"""The mirror test and the gate before measuring."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from synthetic_truth import FAR, both, face, severe

from mien.core.records import FacePoints
from mien.runtime.asymmetry import analyse, check_quality, mirror_test, mirrored_points
from mien.runtime.asymmetry.quality import failed, sharpness
from mien.synthetic.people import PeopleOptions, person_of, photograph, scene_of
from mien.synthetic.picture.camera import Camera

BLANK = np.zeros((512, 512, 3), np.uint8)
SMILE = both({"AU12": 0.8, "AU25": 0.5})


def marked() -> np.ndarray:
    """A picture that differs from its mirror image."""
    pixels = BLANK.copy()
    pixels[:, :200] = 255
    return pixels


def reader(shown: FacePoints, bias: np.ndarray):
    """Knows the truth of `marked` and of its mirror image; adds an error that does not turn with the picture."""

    def read(pixels: np.ndarray) -> FacePoints:
        truth = shown if pixels[0, 0, 0] else mirrored_points(shown, width=512)
        return replace(truth, landmarks_px=truth.landmarks_px + bias)

    return read


def test_mirrored_twice_is_the_face_itself() -> None:
    shown = replace(
        face(SMILE, palsy=severe("L", 0.6), camera=replace(FAR, yaw_rad=0.3)), visible=np.arange(68) / 67,
        confidence=np.arange(68) / 68, sigma_px=np.arange(68.0), box=(10.0, 20.0, 200.0, 220.0),
    )  # fmt: skip
    once = mirrored_points(shown, width=512)
    twice = mirrored_points(once, width=512)
    assert once.landmarks_px[54, 0] == pytest.approx(511 - shown.landmarks_px[48, 0])
    assert once.depth_px[48] == shown.depth_px[54] and once.box == (312.0, 20.0, 502.0, 220.0)
    for name in ("landmarks_px", "depth_px", "visible", "confidence", "sigma_px", "pose_rad", "box"):
        assert getattr(twice, name) == pytest.approx(getattr(shown, name)), name


def test_a_reader_that_turns_with_the_picture_agrees_with_itself() -> None:
    found = mirror_test(marked(), reader(face(SMILE, palsy=severe("L", 0.6)), np.zeros((68, 2))))
    assert found is not None and found.percent < 1e-9
    assert max(max(values) for values in found.measures.values()) < 1e-9


def test_a_reader_that_prefers_a_side_is_found_out_and_evened() -> None:
    """It puts the corner of the mouth at the left of any picture 4 pixels too high."""
    bias = np.zeros((68, 2))
    bias[48] = (0, -4)
    shown = face({}, depth=False)
    read = reader(shown, bias)
    found = mirror_test(marked(), read)
    assert found is not None
    assert found.points_px[[48, 54]] == pytest.approx([4, 4]) and found.points_px[[0, 30, 45]] == pytest.approx(0)
    alone = analyse(read(marked()))
    assert alone["commissure_depth"].difference.value < -1
    assert abs(analyse(found.averaged)["commissure_depth"].difference.value) < 1e-2
    assert found.measures["commissure_depth"][2] == pytest.approx(
        2 * -alone["commissure_depth"].difference.value, rel=0.01
    )


def test_no_face_in_the_mirror_is_no_test() -> None:
    shown = face()
    assert mirror_test(marked(), lambda pixels: shown if pixels[0, 0, 0] else None) is None


# --- the gate


@pytest.fixture(scope="module")
def photo() -> tuple[np.ndarray, FacePoints]:
    options = PeopleOptions(size=256, occluders=False, degradations=False)
    who = person_of(5, 3, options=options)
    scene = replace(scene_of(np.random.default_rng(0), who, options=options), camera=Camera(256, 190, 2.0))
    pixels, truth = photograph(who, {}, scene, options=options)
    points = FacePoints(truth["landmarks_px"].astype(float), confidence=np.full(68, 0.95), visible=np.ones(68))
    return pixels, replace(points, pose_rad=(0.0, 0.0, 0.0))


def named(face_: FacePoints, pixels: np.ndarray | None = None) -> dict[str, bool | None]:
    return {check.name: check.passed for check in check_quality(face_, pixels)}


def test_a_good_photo_passes(photo: tuple[np.ndarray, FacePoints]) -> None:
    pixels, shown = photo
    shown = replace(shown, landmarks_px=shown.landmarks_px)
    checks = check_quality(shown, pixels)
    assert [check.name for check in checks if check.passed is not True] in ([], ["size"])
    assert set(failed(checks)) <= {"The face is too small: come closer, or use the camera's full resolution."}


def test_each_fault_is_named_alone(photo: tuple[np.ndarray, FacePoints]) -> None:
    pixels, shown = photo
    good = named(shown, pixels)
    size = float(np.linalg.norm(shown.landmarks_px[36] - shown.landmarks_px[45]))
    blurred = cv2.GaussianBlur(pixels, (0, 0), 0.06 * size)
    hidden = np.ones(68)
    hidden[48:68] = 0.1
    unsure = np.full(68, 0.95)
    unsure[36:42] = 0.2
    small = replace(shown, landmarks_px=shown.landmarks_px * 0.3)
    faults = {
        "yaw": named(replace(shown, pose_rad=(0, 0.2, 0)), pixels),
        "pitch": named(replace(shown, pose_rad=(0.4, 0, 0)), pixels),
        "roll": named(replace(shown, pose_rad=(0, 0, -0.5)), pixels),
        "sharpness": named(shown, blurred),
        "hidden points": named(replace(shown, visible=hidden), pixels),
        "confidence": named(replace(shown, confidence=unsure), pixels),
    }
    for name, found in faults.items():
        assert found == good | {name: False}, name
    assert named(small)["size"] is False
    sentence = next(c.sentence for c in check_quality(replace(shown, confidence=unsure)) if c.name == "confidence")
    assert "right eye" in sentence


def test_what_cannot_be_checked_is_not_passed() -> None:
    bare = FacePoints(face().landmarks_px)
    found = named(bare)
    assert {name for name, passed in found.items() if passed is None} == {
        "yaw", "pitch", "sharpness", "confidence", "hidden points",
    }  # fmt: skip


def test_yaw_comes_from_depth_where_there_is_some() -> None:
    turned = replace(face(camera=replace(FAR, yaw_rad=np.radians(25))), pose_rad=None)
    check = check_quality(turned)[0]
    assert check.value == pytest.approx(25, abs=1.5) and check.passed is False


def test_sharpness_does_not_depend_on_size_or_light(photo: tuple[np.ndarray, FacePoints]) -> None:
    pixels, shown = photo
    dark = (pixels * 0.5).astype(np.uint8)
    assert sharpness(dark, shown) == pytest.approx(sharpness(pixels, shown), rel=0.1)
    values = [sharpness(cv2.GaussianBlur(pixels, (0, 0), s), shown) for s in (0.5, 1, 2, 4)]
    assert np.all(np.diff(values) < 0)
