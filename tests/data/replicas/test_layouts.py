"""The faces that replicas are written of, and the few things that all writers share."""

from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data.replicas import LAYOUTS, STYLES, Face, faces_of
from mien.data.replicas.picture import in_scene, middle, write_picture
from mien.media.image import load_image


def drawn(**options: object) -> list[Face]:
    return list(faces_of("drawn", **({"faces": 28, "seed": 0, "size": 32, "pictures": 7} | options)))  # type: ignore[arg-type]


def test_persons_stand_on_one_side_and_classes_on_both() -> None:
    faces = drawn()
    sides = {split: [face for face in faces if face.split == split] for split in ("train", "test")}
    assert [len(side) for side in sides.values()] == [21, 7]
    assert not {face.subject for face in sides["train"]} & {face.subject for face in sides["test"]}
    assert all(len({face.expression for face in side}) == 7 for side in sides.values())
    assert [face.number for face in faces] == list(range(1, 29))


def test_a_persons_pictures_show_one_person() -> None:
    """Face width over the distance of the eyes' outer corners varies more between persons than within one."""
    faces = drawn(faces=56)
    ratio = np.array([np.ptp(f.landmarks_px[:17, 0]) / np.ptp(f.landmarks_px[36:48, 0]) for f in faces]).reshape(8, 7)
    assert ratio.std(1).mean() < ratio.mean(1).std()


def test_a_recording_begins_neutral_and_grows() -> None:
    faces = drawn(frames=4, faces=14)
    for face in faces:
        assert len(face.earlier) == 3 and face.earlier[0].arousal == 0
        moved = [np.abs(shot.landmarks_px - face.earlier[0].landmarks_px).max() for shot in face.earlier[1:]]
        assert face.expression == "neutral" or 0 < moved[0] < moved[1]


def test_affect_is_in_range_and_in_the_right_quadrant() -> None:
    affect = {face.expression: (face.valence or 0.0, face.arousal or 0.0) for face in drawn()}
    assert affect["happiness"][0] > 0 > affect["sadness"][0] and affect["fear"][1] > 0 > affect["sadness"][1]
    assert all(-1 <= value <= 1 for pair in affect.values() for value in pair)


def test_a_new_style_needs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STYLES, "other", "mien.synthetic.drawn:drawn_recording")
    ours, theirs = drawn(), list(faces_of("other", faces=28, seed=0, size=32, pictures=7))
    assert all((a.pixels == b.pixels).all() for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"faces": 10}, "need about 14 faces; got 10"),
        ({"size": 5}, "faces of 5 pixels"),
        ({"pictures": 0}, "0 of each"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(MienError, match=message):
        drawn(**options)


def test_the_least_number_of_faces_that_is_named_is_enough() -> None:
    for layout in LAYOUTS.values():
        for pictures in (1, 3, 7, 10):
            with pytest.raises(MienError, match="need about") as caught:
                next(faces_of("drawn", faces=2, seed=0, size=32, pictures=pictures, classes=layout.classes))
            least = int(str(caught.value).split("about ")[1].split()[0])
            next(faces_of("drawn", faces=least, seed=0, size=32, pictures=pictures, classes=layout.classes))


def test_a_scene_holds_the_picture_where_it_says() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    x, y = middle(pixels, (60, 90))
    scene = in_scene(pixels, (60, 90))
    assert (x, y) == (25, 10) and scene.shape == (60, 90, 3)
    np.testing.assert_array_equal(scene[y + 8 : y + 40, x + 8 : x + 32], pixels[8:40, 8:32])
    assert np.ptp(scene[:, :20].astype(int)) < np.ptp(pixels.astype(int))  # plain beside it


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.tiff", "é 사진.png"])
def test_pictures_are_written_under_any_name(tmp_path: Path, name: str) -> None:
    pixels = np.full((8, 6, 3), (200, 100, 50), np.uint8)
    write_picture(tmp_path / "new" / name, pixels)
    np.testing.assert_allclose(load_image(tmp_path / "new" / name).pixels, pixels, atol=6)
