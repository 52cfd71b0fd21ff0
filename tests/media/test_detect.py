"""Faces are found at every size within a bounded search, and boxes come back in the picture's own pixels."""

import cv2
import numpy as np
import pytest

from mien.core.errors import MienError
from mien.media.detect import Detection, DlibDetector, YuNetDetector, create_detector, without_doubles
from mien.media.image import load_image, picture_files

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


def test_refusals(tmp_path):
    with pytest.raises(MienError, match="Did you mean 'dlib'"):
        create_detector("dlip")
    with pytest.raises(MienError, match="above 0; got -3"):
        create_detector(min_face=-3)
    with pytest.raises(MienError, match="needs its file"):
        create_detector("yunet")
    with pytest.raises(MienError, match=r"none\.onnx: no such file"):
        YuNetDetector(tmp_path / "none.onnx")


def test_a_file_that_is_not_yunet(tmp_path, capfd):
    text = tmp_path / "text.onnx"
    text.write_text("not a network")
    with pytest.raises(MienError, match=r"text\.onnx: not OpenCV's YuNet"):
        YuNetDetector(text)
    assert capfd.readouterr().err == ""


def yunet_like(path, *, face: tuple[int, int]) -> None:
    """A network with YuNet's outputs for 64 x 64 pixels whose every input shows one face in a cell of stride 32."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes, outputs = [], []
    for stride in (8, 16, 32):
        cells = (64 // stride) ** 2
        for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            values = np.zeros((1, cells, width), np.float32)
            if stride == 32 and kind in ("cls", "obj"):
                values[0, face[1] * 2 + face[0]] = 1
            if kind == "kps":
                values[..., :] = np.arange(10) / 10
            name = f"{kind}_{stride}"
            nodes.append(helper.make_node("Add", [f"zero_{name}", f"value_{name}"], [name]))
            nodes.insert(0, helper.make_node("Constant", [], [f"value_{name}"], value=numpy_helper.from_array(values)))
            nodes.insert(0, helper.make_node("Mul", ["sum", "nil"], [f"zero_{name}"]))
            outputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, values.shape))
    nodes.insert(0, helper.make_node("ReduceMean", ["input"], ["sum"], keepdims=1))
    nodes.insert(0, helper.make_node("Constant", [], ["nil"], value=numpy_helper.from_array(np.zeros(1, np.float32))))
    image = helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, 64, 64])
    graph = helper.make_graph(nodes, "yunet_like", [image], outputs)
    # ReduceMean's axes and keepdims as of opset 11, which OpenCV reads
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), path)


def test_yunet_boxes_and_points_come_back_in_picture_pixels(tmp_path):
    yunet_like(tmp_path / "y.onnx", face=(1, 0))
    detector = create_detector("yunet", weights=tmp_path / "y.onnx")
    (face,) = detector(np.zeros((64, 64, 3), np.uint8))
    # a cell's anchor is its upper left corner, widths are exp(0) strides
    assert face.box == (16.0, -16.0, 48.0, 16.0)
    assert face.score == 1.0
    assert np.allclose(face.landmarks_px[0], [32.0, 3.2], atol=1e-4)
    assert face.landmarks_px.shape == (5, 2)


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
