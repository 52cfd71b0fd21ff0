"""Frames of a video whose faces the detector finds each: the networks' crops are cut about the points."""

from pathlib import Path

import numpy as np
import pytest

from mien.core.framing import detector_box
from mien.core.records import FacePoints
from mien.core.spec import PictureInput
from mien.media.detect import DETECTORS, Detection
from mien.media.image import picture_of_array
from mien.runtime.analyzer import Analyzer
from mien.runtime.analyzer.framing import framed
from mien.runtime.faces import FaceFinder, Faces, PictureTask
from mien.runtime.tracking.tracker import DETECT_EVERY

SPEC = PictureInput(size=32)


def face_at(x: float, y: float, *, side: float) -> FacePoints:
    grid = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 17), np.linspace(-0.5, 0.5, 4)), -1).reshape(68, 2)
    return FacePoints(grid * side + (x, y))


def located(pixels: np.ndarray, boxes: list[tuple[float, float, float, float]]) -> Faces:
    found = [Detection(box, 1.0 - 0.1 * number) for number, box in enumerate(boxes)]
    return Faces(picture_of_array(pixels), boxes, [face.score for face in found], detections=found)


def read_so(ready: list[Faces], points: list[FacePoints | None]) -> list[Faces]:
    """With points that a network gave."""
    task = PictureTask("v.mp4", lambda: picture_of(np.zeros((1, 1, 3), np.uint8)))
    return [faces for _, faces in framed(FaceFinder([SPEC]), lambda _: points, [(task, each) for each in ready])]


def test_a_detector_that_trembles_does_not_move_the_crop() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    point = face_at(150, 100, side=60)
    boxes = [(118.0, 70.0, 180.0, 130.0), (121.0, 64.0, 190.0, 133.0)]
    one, other = read_so([located(pixels, [box]) for box in boxes], [point, point])
    assert one.boxes == other.boxes == [detector_box(point.landmarks_px)] and one.points == [point]
    np.testing.assert_array_equal(one.crops[SPEC], other.crops[SPEC])


def test_points_elsewhere_leave_the_detectors_box_and_the_largest_face_comes_first() -> None:
    pixels = np.zeros((300, 600, 3), np.uint8)
    boxes = [(100.0, 100.0, 180.0, 180.0), (300.0, 100.0, 370.0, 170.0), (400.0, 100.0, 460.0, 160.0)]
    astray, small, large = face_at(140, 140, side=300), face_at(335, 135, side=60), face_at(430, 130, side=90)
    (faces,) = read_so([located(pixels, boxes)], [astray, small, large])
    assert faces.points == [large, astray, small] and faces.boxes[1] == boxes[0]
    assert faces.scores == pytest.approx([0.8, 1.0, 0.9])


def test_frames_without_faces_go_through() -> None:
    nobody, damaged = located(np.zeros((20, 20, 3), np.uint8), []), Faces(None, note="damaged")
    read = read_so([nobody, damaged], [])
    assert [(faces.points, faces.note) for faces in read] == [([], ""), ([], "damaged")]


def test_every_detector_has_its_default() -> None:
    assert set(DETECT_EVERY) == {*DETECTORS} - {"auto"}


@pytest.mark.shared
def test_yunet_looks_at_every_frame_and_dlib_now_and_then(tiny_bundle: Path, shared: Path) -> None:
    weights = shared.parent / "weights" / "yunet" / "face_detection_yunet_2023mar.onnx"
    options = {"backend": "onnxruntime", "threads": 1}
    every = {
        name: Analyzer(tiny_bundle, detector=name, weights=file, **options)
        for name, file in (("dlib", None), ("yunet", weights), ("auto", weights))
    }
    assert {name: each.tracking.detect_every for name, each in every.items()} == {"dlib": 10, "yunet": 1, "auto": 1}
    assert every["dlib"].follows and not every["yunet"].follows
    assert Analyzer(tiny_bundle, detector="yunet", weights=weights, detect_every=5, **options).follows
