"""From a picture to readings: the same face reads the same in every format, and one broken file stops nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_bundle import write_tiny_bundle

from mien import Analyzer
from mien.core.decode import probabilities
from mien.core.errors import MienError
from mien.core.geometry import crop_of_box
from mien.media.crop import normalise, prepare
from mien.runtime.analyzer import models
from mien.runtime.runner import Runner
from shape_checks import unchecked

FACE = (179, 83, 267, 171)  # the astronaut's, as dlib frames it


def shares(reading) -> np.ndarray:
    return np.array(list(reading.probabilities.values()))


def overlap(a, b) -> float:
    """Intersection over union."""
    width, height = (max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]), 0) for i in (0, 1))
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (a, b)]
    return width * height / (sum(areas) - width * height)


def test_the_astronaut_is_one_face_with_probabilities(analyzer: Analyzer, astronaut: np.ndarray) -> None:
    (reading,) = analyzer.read(astronaut)
    assert reading.success and reading.face_id == 0 and overlap(reading.box, FACE) > 0.9
    assert list(reading.probabilities) == list(analyzer.info.labels.classes)
    assert shares(reading).sum() == pytest.approx(1)
    assert reading.expression == max(reading.probabilities, key=reading.probabilities.get)
    assert reading.model == analyzer.info.model_id and len(analyzer.info.weight_hash) == 12


def test_a_reading_is_crop_network_temperature_in_that_order(tmp_path: Path, astronaut: np.ndarray) -> None:
    bundle = write_tiny_bundle(tmp_path / "b", temperature=2.5)
    reading = Analyzer(bundle, backend="onnxruntime").read(astronaut)[0]
    run = Runner(bundle, backend="onnxruntime")
    crop = prepare(astronaut, crop_of_box(reading.box, run.info.picture), run.info.picture)
    logits = run(normalise(crop[None], run.info.picture))[0].astype(float) / 2.5
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(shares(reading), expected, atol=1e-6)


def orient(image: Image.Image, path: Path) -> None:
    """Stored lying on its side, with the EXIF tag that brings it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, quality=95, exif=exif)


FORMS = {
    "jpeg.jpg": lambda image, path: image.save(path, quality=95),
    "turned.jpg": orient,
    "cmyk.jpg": lambda image, path: image.convert("CMYK").save(path, quality=95),
    "rgba.png": lambda image, path: image.convert("RGBA").save(path),
    "palette.png": lambda image, path: image.quantize(256).save(path),
    "lossless.webp": lambda image, path: image.save(path, lossless=True),
    "plain.bmp": lambda image, path: image.save(path),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_picture_reads_like_its_pixels(
    analyzer: Analyzer, astronaut: np.ndarray, tmp_path: Path, form: str
) -> None:
    FORMS[form](Image.fromarray(astronaut), tmp_path / form)
    plain, read = analyzer.read(astronaut), analyzer.read(tmp_path / form)
    assert len(read) == 1 and overlap(plain[0].box, read[0].box) > 0.85
    assert np.abs(shares(plain[0]) - shares(read[0])).max() < 0.06


@pytest.mark.parametrize("form", ["grey.png", "sixteen.png", "grey.jpg"])
def test_grey_pictures_read_like_grey_pixels(
    analyzer: Analyzer, astronaut: np.ndarray, tmp_path: Path, form: str
) -> None:
    grey = np.asarray(Image.fromarray(astronaut).convert("L"))
    stored = Image.fromarray(grey.astype(np.uint16) * 257) if form == "sixteen.png" else Image.fromarray(grey)
    stored.save(tmp_path / form)
    plain, read = analyzer.read(grey), analyzer.read(tmp_path / form)
    assert len(read) == len(plain) and np.abs(shares(plain[0]) - shares(read[0])).max() < 0.03


def test_boxes_are_in_pixels_of_the_original_whatever_scale_it_was_read_at(
    analyzer: Analyzer, astronaut: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(astronaut).resize((3072, 3072), Image.Resampling.BICUBIC).save(tmp_path / "big.jpg", quality=90)
    result = next(analyzer.read_many([tmp_path / "big.jpg"]))
    reduced = analyzer.read(result.picture.pixels)[0]
    assert result.picture.scale in (1 / 2, 1 / 4)
    expected = [edge / result.picture.scale for edge in reduced.box]
    np.testing.assert_allclose(result.readings[0].box, expected, atol=1e-6)
    assert overlap([6 * edge for edge in FACE], result.readings[0].box) > 0.75  # dlib's boxes step with its pyramid
    assert shares(result.readings[0]) == pytest.approx(shares(reduced))


@pytest.mark.parametrize("case", [(1, 96, 80, 1), (6, 224, None, 1 / 2)])
def test_faces_are_not_enlarged_from_a_reduced_decoding(tmp_path: Path, astronaut: np.ndarray, case: tuple) -> None:
    """In 12 megapixels: a face of 88 pixels that is asked for; one of 528 for a network that reads 224."""
    enlarged, size, min_face, scale = case
    side = 512 * enlarged
    canvas = np.full((3100, 4000, 3), 90, np.uint8)
    canvas[:side, 500 : 500 + side] = np.asarray(Image.fromarray(astronaut).resize((side, side)))[:3100]
    Image.fromarray(canvas).save(tmp_path / "far.jpg", quality=95)
    analyzer = Analyzer(write_tiny_bundle(tmp_path / "b", size=size), backend="onnxruntime", min_face=min_face)
    result = next(analyzer.read_many([tmp_path / "far.jpg"]))
    face = max(result.readings, key=lambda reading: reading.score or 0)
    where = np.array(FACE) * enlarged + [500, 0, 500, 0]
    assert overlap(face.box, where) > 0.7 and result.picture.scale == scale
    spec = analyzer.info.picture
    crop = prepare(canvas, crop_of_box(face.box, spec), spec)
    logits = Runner(tmp_path / "b", backend="onnxruntime")(normalise(crop[None], spec))
    np.testing.assert_allclose(shares(face), probabilities(logits)[0], atol=0.03)


def test_no_face_is_a_reading_that_says_so(analyzer: Analyzer) -> None:
    (reading,) = analyzer.read(np.full((200, 300, 3), 127, np.uint8))
    assert not reading.success and reading.note == "no face found"
    assert reading.box is None and reading.expression is None and reading.probabilities == {}


def test_tiny_pictures_do_not_hurt(analyzer: Analyzer) -> None:
    for shape in ((1, 1, 3), (3, 200, 3), (16, 16, 3)):
        assert not analyzer.read(np.zeros(shape, np.uint8))[0].success


def test_the_largest_face_comes_first(analyzer: Analyzer, astronaut: np.ndarray) -> None:
    double = np.asarray(Image.fromarray(astronaut).resize((1024, 1024)))
    wide = np.concatenate([np.pad(astronaut, ((0, 512), (0, 0), (0, 0))), double], axis=1)
    readings = analyzer.read(wide)
    sides = [reading.box[2] - reading.box[0] for reading in readings]
    assert [reading.face_id for reading in readings] == list(range(len(readings))) and len(readings) >= 2
    assert sides == sorted(sides, reverse=True) and readings[0].box[0] > 512


@pytest.fixture
def mixed(tmp_path: Path, astronaut: np.ndarray) -> Path:
    """Good pictures among all kinds of broken files."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("a.jpg", "e.png", "z.jpg"):
        Image.fromarray(astronaut).save(folder / name)
    (folder / "b_empty.jpg").touch()
    (folder / "c_text.jpg").write_text("no picture")
    whole = (folder / "a.jpg").read_bytes()
    (folder / "d_cut.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (300, 200), "grey").save(folder / "f_nobody.png")
    return folder


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_broken_files_become_rows_among_the_others(analyzer: Analyzer, mixed: Path, batch_size: int) -> None:
    results = list(analyzer.read_many([mixed], batch_size=batch_size))
    names = [Path(result.source).name for result in results]
    assert names == ["a.jpg", "b_empty.jpg", "c_text.jpg", "d_cut.jpg", "e.png", "f_nobody.png", "z.jpg"]
    assert [result.readings[0].success for result in results] == [True, False, False, False, True, False, True]
    notes = {Path(r.source).name: r.readings[0].note for r in results}
    assert "empty" in notes["b_empty.jpg"] and "not a picture" in notes["c_text.jpg"]
    assert "cut short" in notes["d_cut.jpg"] and notes["f_nobody.png"] == "no face found"
    assert [result.picture is None for result in results] == [False, True, True, True, False, False, False]
    single = analyzer.read(mixed / "e.png")[0]
    np.testing.assert_allclose(shares(results[4].readings[0]), shares(single), atol=1e-6)


def test_one_broken_file_alone_is_an_error(analyzer: Analyzer, mixed: Path) -> None:
    with pytest.raises(MienError, match="empty"):
        analyzer.read(mixed / "b_empty.jpg")
    with pytest.raises(MienError, match="no such file"):
        analyzer.read(mixed / "absent.jpg")


@unchecked()
@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (np.zeros((4, 4, 3)), "255 \\* pixels"),
        (np.zeros((4, 4, 3), np.uint16), "pixels / 257"),
        (np.zeros((4, 4, 4), np.uint8), "fourth channel"),
        (np.zeros((4, 4, 1), np.uint8), "pixels\\[..., 0\\]"),
        (np.zeros((0, 4, 3), np.uint8), ""),
    ],
)
def test_arrays_that_are_no_rgb_picture_are_refused(analyzer: Analyzer, wrong: np.ndarray, hint: str) -> None:
    with pytest.raises(MienError, match=rf"A picture is uint8 \[height, width, 3\], RGB; got.*{hint}"):
        analyzer.read(wrong)


def test_what_ended_in_a_crash_or_a_traceback_is_one_line(analyzer: Analyzer, astronaut: np.ndarray) -> None:
    with pytest.raises(MienError, match="limit is 100 million"):
        analyzer.read(np.broadcast_to(np.uint8(3), (20_000, 20_000, 3)))  # no memory of its own
    with pytest.raises(MienError, match="name too long"):
        analyzer.read("x" * 300)
    with pytest.raises(MienError, match="Nothing is downloaded"):
        analyzer.read("https://example.org/a.jpg")
    matrix = np.asmatrix(astronaut[..., 0])
    assert analyzer.read(matrix)[0].box == analyzer.read(np.asarray(matrix))[0].box


@unchecked()
@pytest.mark.parametrize("source", [None, 1.5, b"video.mp4", np.zeros((4, 4, 3), np.uint8)])
def test_what_is_no_stream_is_refused(analyzer: Analyzer, source: Any) -> None:
    with pytest.raises(MienError, match="A stream is the path of a video"):
        next(analyzer.stream(source))


@unchecked()
@pytest.mark.parametrize(
    "options",
    [
        {"bundle": 3}, {"detector": None}, {"min_face": "a"}, {"threads": 1.5}, {"threads": 10**9}, {"landmarks": 3},
        {"affect": 3}, {"face3d": 3}, {"detect_every": 1.5}, {"max_faces": 1.5}, {"coverage": "a"},
        {"logit_adjust": "a"}, {"weights": "absent.onnx"},
    ],
)  # fmt: skip
def test_options_of_another_type_are_one_line(tiny_bundle: Path, options: dict[str, Any]) -> None:
    with pytest.raises(MienError):
        Analyzer(**{"bundle": tiny_bundle, **options})


def test_leaving_early_ends_the_threads(analyzer: Analyzer, mixed: Path) -> None:
    import threading

    stream = analyzer.read_many([mixed], workers=2)
    next(stream)
    stream.close()
    for thread in threading.enumerate():
        if thread.name.startswith("mien-ahead"):
            thread.join(10)
            assert not thread.is_alive()


def test_mistakes_in_the_options_are_reported_at_once(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MienError, match="Did you mean 'dlib'"):
        Analyzer(tiny_bundle, detector="dlip")
    monkeypatch.setenv("MIEN_CACHE", str(tiny_bundle / "none"))
    with pytest.raises(MienError, match="mien weights fetch yunet"):
        Analyzer(tiny_bundle, detector="yunet")
    with pytest.raises(MienError, match="above 0"):
        Analyzer(tiny_bundle, min_face=-3)
    monkeypatch.setattr(models, "SHIPPED", "absent")
    with pytest.raises(MienError, match=r"has no absent\. Name a bundle"):
        Analyzer()


@pytest.mark.parametrize("seed", range(4))
def test_a_small_move_of_the_box_changes_little(tiny_bundle: Path, astronaut: np.ndarray, seed: int) -> None:
    """2 % of the side moves logits far less than another face does; and more movement, more change on average."""
    run = Runner(tiny_bundle, backend="onnxruntime", threads=1)
    spec, box, rng = run.info.picture, np.array(FACE, float), np.random.default_rng(seed)
    side = box[2] - box[0]

    def logits(boxes: np.ndarray) -> np.ndarray:
        crops = [prepare(astronaut, crop_of_box(tuple(b), spec), spec) for b in boxes]
        return run(normalise(np.stack(crops), spec))

    still = logits(box[None])[0]
    jitters = [side * share * rng.normal(0, 1, (12, 4)) for share in (0.005, 0.02, 0.1)]
    moved = [np.abs(logits(box + jitter) - still).mean() for jitter in jitters]
    elsewhere = np.abs(logits(box[None] + 200.0)[0] - still).mean()
    assert moved[0] < moved[1] < moved[2]
    assert moved[1] < 0.5 * elsewhere


def test_video_frames_carry_their_own_times(analyzer: Analyzer, astronaut: np.ndarray, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 512, 512, "yuv420p", 8_000_000
        for number in range(7):
            pixels = astronaut if number != 4 else np.full_like(astronaut, 127)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    results = list(analyzer.read_video(tmp_path / "v.mp4", every=2, batch_size=3))
    first = [result.readings[0] for result in results]
    assert [reading.frame for reading in first] == [0, 2, 4, 6]
    assert [reading.timestamp_s for reading in first] == pytest.approx([0, 0.2, 0.4, 0.6], abs=1e-3)
    assert [reading.success for reading in first] == [True, True, False, True]
    assert all(reading.source.endswith("v.mp4") for reading in first)


def test_a_network_that_gives_nan_gives_no_expression(
    tiny_bundle: Path, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Runner.outputs
    monkeypatch.setattr(
        Runner, "outputs", lambda self, *given: {n: np.full_like(v, np.nan) for n, v in read(self, *given).items()}
    )
    (reading,) = Analyzer(tiny_bundle, landmarks=False).read(astronaut)
    assert reading.success and reading.expression is None and not reading.probabilities
    assert reading.note == "expression: the model gives no finite numbers"
    assert "nan" not in str(reading.to_dict()).lower()


def test_a_copy_of_an_analyzer_reads_the_same(analyzer: Analyzer, astronaut: np.ndarray) -> None:
    import pickle

    copied = pickle.loads(pickle.dumps(analyzer))
    assert copied.read(astronaut)[0].to_dict() == analyzer.read(astronaut)[0].to_dict()
