"""Faces are found at every size within a bounded search, and boxes come back in the picture's own pixels."""

import cv2
import numpy as np
import pytest

from mien.core.errors import MienError
from mien.media import detect as detect_module
from mien.media.detect import (
    Detection,
    DlibDetector,
    YuNetDetector,
    _reduced,
    available_detector,
    create_detector,
    in_dlibs_framing,
    without_doubles,
)
from mien.media.image import load_image
from mien.media.listing import picture_files
from mien.media.yunet import YuNet, fetched_file

ASTRONAUT = (179, 83, 267, 171)  # dlib's own box at the picture's own size


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return pytest.importorskip("skimage.data").astronaut()


@pytest.fixture(scope="module")
def dlib() -> DlibDetector:
    return DlibDetector()


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@pytest.mark.parametrize("scale", [0.3, 0.5, 1.0, 1.7, 3.0])
def test_one_face_at_every_scale_in_the_pictures_own_pixels(dlib, portrait, scale):
    pixels = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    faces = dlib(pixels)
    assert len(faces) == 1
    assert overlap(faces[0].box, tuple(scale * v for v in ASTRONAUT)) > 0.6
    assert faces[0].score > 0.3
    assert faces[0].landmarks_px is None


def test_a_wide_picture_keeps_its_proportions(dlib, portrait):
    wide = np.full((300, 1500, 3), 90, np.uint8)
    wide[20:270, 1100:1350] = portrait[20:270, 100:350]
    (face,) = dlib(wide)
    assert overlap(face.box, (1179, 83, 1267, 171)) > 0.6


def test_several_faces_large_and_small(dlib, portrait):
    pixels = np.full((600, 1000, 3), 90, np.uint8)
    head = portrait[:280]  # without the badge on her suit, which dlib takes for a face now and then
    pixels[:280, :512] = head
    small = cv2.resize(head, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    pixels[100 : 100 + small.shape[0], 600 : 600 + small.shape[1]] = small
    faces = dlib(pixels)
    assert len(faces) == 2
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)


def test_min_face_bounds_what_is_found(portrait):
    small = cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)  # a face of about 44 pixels
    assert len(DlibDetector(min_face=30)(small)) == 1
    assert DlibDetector(min_face=60)(small) == []


def test_no_face(dlib):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    assert dlib(np.zeros((200, 300, 3), np.uint8)) == []
    assert dlib(noise) == []
    assert dlib(np.zeros((1, 1, 3), np.uint8)) == []
    assert dlib(np.zeros((1, 900, 3), np.uint8)) == []


def test_doubles_are_dropped_by_score_and_by_containment():
    best, same, inside, apart = (
        Detection((0, 0, 100, 100), 2.0), Detection((5, 5, 105, 105), 1.0), Detection((30, 30, 50, 50), 0.5),
        Detection((90, 90, 190, 190), 0.1),
    )  # fmt: skip
    assert without_doubles([inside, same, apart, best]) == [best, apart]
    assert without_doubles([]) == []
    assert best.side == 100


def test_refusals(tmp_path, monkeypatch):
    with pytest.raises(MienError, match="Did you mean 'dlib'"):
        create_detector("dlip")
    with pytest.raises(MienError, match="above 0; got -3"):
        create_detector(min_face=-3)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    with pytest.raises(MienError, match="mien weights fetch yunet"):
        create_detector("yunet")
    with pytest.raises(MienError, match=r"none\.onnx: no such file"):
        YuNetDetector(tmp_path / "none.onnx")


def test_a_file_that_is_not_yunet(tmp_path, capfd):
    text = tmp_path / "text.onnx"
    text.write_text("not a network")
    with pytest.raises(MienError, match=r"text\.onnx: not OpenCV's YuNet"):
        YuNetDetector(text)
    assert capfd.readouterr().err == ""


def test_auto_takes_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    assert available_detector("auto") == "dlib" and create_detector("auto").name == "dlib"
    assert available_detector("auto", "y.onnx") == "yunet"
    fetched_file().parent.mkdir()
    fetched_file().touch()
    assert available_detector("auto") == "yunet" and available_detector("dlib") == "dlib"


def test_dlibs_detector_is_unpacked_once_where_a_cache_is_named(tmp_path, monkeypatch, dlib, portrait):
    library, wanted = pytest.importorskip("dlib"), [(face.box, face.score) for face in dlib(portrait)]
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    unpack, calls = library.get_frontal_face_detector, []
    monkeypatch.setattr(library, "get_frontal_face_detector", lambda: calls.append(1) or unpack())

    def detect():
        detect_module._frontal_detector.cache_clear()
        return [(face.box, face.score) for face in DlibDetector()(portrait)]

    assert detect() == detect() == wanted and len(calls) == 1
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")  # damaged: not read, written again
    assert detect() == wanted and len(calls) == 2
    assert detect() == wanted and len(calls) == 2
    monkeypatch.setenv("MIEN_CACHE", str(kept))  # a file is no folder: it works all the same
    assert detect() == wanted and len(calls) == 3
    monkeypatch.delenv("MIEN_CACHE")
    assert detect() == wanted and len(calls) == 4
    detect_module._frontal_detector.cache_clear()


class OneFace:
    """YuNet's outputs where cells of stride 32 show a face each, given by their places; the rest is empty."""

    def __init__(self, *cells: tuple[int, float]) -> None:
        self.cells, self.given = cells, []

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        height, width = inputs["input"].shape[2:]
        self.given.append(inputs["input"])
        found = []
        for name in names:
            kind, stride = name.split("_")
            channels = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}[kind]
            values = np.zeros((1, height * width // int(stride) ** 2, channels), np.float32)
            if kind == "kps":
                values[...] = np.arange(10) / 10
            if stride == "32" and kind in ("cls", "obj"):
                for cell, score in self.cells:
                    values[0, cell] = score
            found.append(values)
        return found


def yunet_of(session, **options) -> YuNetDetector:
    detector = YuNetDetector.__new__(YuNetDetector)
    detector.min_face, detector.min_score = options.get("min_face"), 0.7
    detector._network = YuNet.__new__(YuNet)
    detector._network._session = session
    return detector


def test_yunet_boxes_and_points_come_back_in_picture_pixels():
    """A cell's anchor is its upper left corner, widths are exp(0) strides; sides are filled up to multiples of 32."""
    session = OneFace((1, 1.0))
    detector = yunet_of(session)
    pixels = np.zeros((50, 64, 3), np.uint8)
    pixels[..., 0] = 200
    (face,) = detector(pixels)
    assert face.score == 1.0 and session.given[0].shape == (1, 3, 64, 64)
    assert (session.given[0][0, :, 0, 0] == (0, 0, 200)).all() and not session.given[0][0, :, 50:].any()  # blue first
    assert face.box == in_dlibs_framing(np.array([16.0, -16.0, 48.0, 16.0]))
    assert np.allclose(face.landmarks_px[0], [32.0, 3.2], atol=1e-4) and face.landmarks_px.shape == (5, 2)
    assert detector(np.zeros((100, 1280, 3), np.uint8))[0].side == pytest.approx(2 * face.side)  # searched at 640
    assert yunet_of(session, min_face=60)(pixels) == []


def test_a_larger_smallest_face_is_searched_for_in_a_smaller_picture():
    sides = {}
    for min_face in (None, 400, 80, 20, 8):
        session = OneFace()
        assert yunet_of(session, min_face=min_face)(np.zeros((800, 1600, 3), np.uint8)) == []
        sides[min_face] = session.given[-1].shape[3]
        assert len(session.given) == (2 if min_face is None else 1)
    assert sides == {None: 640, 400: 160, 80: 640, 20: 1280, 8: 1600}


@pytest.mark.parametrize(("side", "searched"), [(60.0, [320]), (40.0, [320, 640])])
def test_pictures_of_large_faces_alone_are_searched_in_a_quarter_of_the_pixels(side, searched):
    session = OneFace((1, 1.0))
    original = session.run

    def sized(names, inputs):
        found = dict(zip(names, original(names, inputs), strict=True))
        found["bbox_32"][..., 2:] = np.log(side / 32)
        return [found[name] for name in names]

    session.run = sized
    faces = yunet_of(session)(np.zeros((720, 1280, 3), np.uint8))
    assert [given.shape[3] for given in session.given] == searched
    assert faces[0].side == pytest.approx(0.915 * side * 1280 / searched[-1], rel=1e-6)


def test_a_reduced_picture_knows_its_scale():
    pixels = np.zeros((301, 1001, 3), np.uint8)
    pixels[:, 600:608] = 255
    small, each = _reduced(pixels, (320, 96))
    assert small.shape == (96, 320, 3) and each == pytest.approx([1000 / 320, 300 / 96])
    bright = small[..., 0].mean(0)
    centre = (np.arange(320) + 0.5) @ bright / bright.sum()
    assert centre * each[0] == pytest.approx(604, abs=0.5)


def test_yunet_gives_a_face_once():
    faces = yunet_of(OneFace((0, 0.8), (1, 0.9), (3, 0.6)))(np.zeros((64, 64, 3), np.uint8))
    assert [face.score for face in faces] == pytest.approx([0.9, 0.8])  # cells apart; 0.6 is too little
    same = OneFace((0, 0.8), (1, 0.9))
    original = same.run

    def moved(names, inputs):  # the second face is said to lie where the first one does
        found = dict(zip(names, original(names, inputs), strict=True))
        found["bbox_32"][0, 1, 0] = -0.9
        return [found[name] for name in names]

    same.run = moved
    assert [face.score for face in yunet_of(same)(np.zeros((64, 64, 3), np.uint8))] == pytest.approx([0.9])


@pytest.mark.shared
def test_yunet_is_decoded_as_opencv_does(shared):
    file = shared.parent / "weights" / "yunet" / "face_detection_yunet_2023mar.onnx"
    if not file.is_file():
        pytest.skip("needs shared/weights/yunet")
    network = YuNet(file)
    opencv = cv2.FaceDetectorYN.create(str(file), "", (64, 64), score_threshold=0.7, nms_threshold=0.3)
    faces = 0
    for path in sorted((shared / "landmarks" / "dlib_faces").glob("*.jpg"))[:4]:
        pixels = load_image(path).pixels[:601, :801]
        opencv.setInputSize(pixels.shape[1::-1])
        _, rows = opencv.detect(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        boxes, points, scores = network(pixels, min_score=0.7)
        assert len(rows) == len(boxes)
        np.testing.assert_allclose(rows[:, :2], boxes[:, :2], atol=0.01)
        np.testing.assert_allclose(rows[:, 4:14].reshape(-1, 5, 2), points, atol=0.01)
        np.testing.assert_allclose(rows[:, 14], scores, atol=1e-4)
        faces += len(rows)
    assert faces > 10


def dlib_truth(shared) -> dict[str, list[tuple[float, ...]]]:
    from xml.etree import ElementTree

    truth = {}
    for file in sorted((shared / "landmarks" / "dlib_faces").glob("*.xml")):
        for image in ElementTree.parse(file).getroot().iter("image"):
            boxes = [tuple(float(b.get(k)) for k in ("left", "top", "width", "height")) for b in image.iter("box")]
            truth[image.get("file")] = [(x, y, x + w, y + h) for x, y, w, h in boxes]
    return truth


@pytest.mark.shared
def test_groups_of_small_faces(shared, dlib):
    """dlib's nine group photos, faces of 37 to 109 pixels: nearly all of 43 are found, hardly anything else."""
    found = wrong = present = 0
    for name, boxes in dlib_truth(shared).items():
        faces = dlib(load_image(shared / "landmarks" / "dlib_faces" / name).pixels)
        hits = [any(overlap(face.box, box) > 0.3 for face in faces) for box in boxes]
        present, found, wrong = present + len(boxes), found + sum(hits), wrong + max(len(faces) - sum(hits), 0)
    assert found >= 0.93 * present
    assert wrong <= 2


@pytest.mark.shared
def test_portraits(shared, dlib):
    """Of 20 of the London set's aligned portraits every face, once, with the nose within the middle of the box."""
    import csv

    folder = shared / "faces_hq" / "london512"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))[::7]
    for row in rows:
        (face,) = dlib(load_image(folder / row["path"]).pixels)
        x0, y0, x1, y1 = face.box
        assert abs((float(row["nose_x"]) - x0) / (x1 - x0) - 0.5) < 0.15
        assert 0.4 < (float(row["nose_y"]) - y0) / (y1 - y0) < 0.8


@pytest.mark.shared
def test_demo_photos(shared, dlib):
    for path in picture_files([shared / "demo" / "photos" / "cc0_*.jpg"]):
        assert len(dlib(load_image(path).pixels)) == 1, path.name
