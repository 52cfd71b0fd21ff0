"""Overlays: plates inside the picture at any size, apart from each other, with letters that can be read."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from mien.core.records import FacePoints, Reading
from mien.runtime.overlay import COLOURS, draw, letter_height, place, plate_size, thumbnail
from mien.runtime.pose import neutral_face

NAMES = ("neutral", "happiness", "contempt")


def face(box, expression="happiness", share=0.934) -> Reading:
    shares = dict.fromkeys(NAMES, (1 - share) / 2) | {expression: share}
    return Reading("", True, box=box, expression=expression, probabilities=shares)


def plates(faces, size):
    letters = letter_height(size, [f.box[2] - f.box[0] for f in faces])
    out = []
    for (x, y), text, font in place(faces, size, letters):
        width, height = plate_size(text, font)
        out.append((x, y, x + width, y + height))
    return out


def shared(a, b) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)


@pytest.mark.parametrize("size", [(400, 300), (4000, 3000), (300, 4000), (64, 64)])
@pytest.mark.parametrize("where", ["middle", "corner", "beyond", "all"])
def test_plates_stay_inside_the_picture(size, where: str) -> None:
    w, h = size
    box = {
        "middle": (w * 0.4, h * 0.4, w * 0.6, h * 0.6),
        "corner": (w * 0.9, 0, w, h * 0.1),
        "beyond": (-w * 0.1, -h * 0.1, w * 0.3, h * 0.3),
        "all": (0, 0, w, h),
    }[where]
    ((x0, y0, x1, y1),) = plates([face(box)], size)
    assert x0 >= 0 and y0 >= 0 and x1 <= w + 1 and y1 <= h + 1
    assert draw(np.zeros((h, w, 3), np.uint8), [face(box)]).shape == (h, w, 3)


def test_letters_grow_with_the_picture() -> None:
    assert 11 <= letter_height((400, 400), [90]) <= 20
    assert 90 <= letter_height((4000, 4000), [900]) <= 180
    assert letter_height((4000, 3000), [100] * 40) < letter_height((4000, 3000), [900])


@pytest.mark.parametrize("seed", range(5))
def test_plates_of_a_row_of_faces_do_not_hide_each_other_or_faces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lefts = np.arange(6) * 150 + 40 + rng.integers(-20, 20, 6)
    tops = 200 + rng.integers(-60, 60, 6)
    faces = [face((x, y, x + 90, y + 90)) for x, y in zip(lefts.tolist(), tops.tolist(), strict=True)]
    spots = plates(faces, (1000, 600))
    assert all(shared(a, b) == 0 for a, b in combinations(spots, 2))
    hidden = [shared(spot, f.box) for spot, f in ((s, f) for s in spots for f in faces)]
    assert max(hidden) == 0


def test_plates_of_a_dense_crowd_do_not_hide_each_other() -> None:
    faces = [face((x, y, x + 60, y + 60)) for x in range(20, 620, 100) for y in range(20, 420, 110)]
    spots = plates(faces, (640, 480))
    assert sum(shared(a, b) > 1 for a, b in combinations(spots, 2)) == 0


def test_white_letters_stand_out_on_every_colour() -> None:
    """Contrast of WCAG 2: (1.05) / (relative luminance + 0.05), at least 4.5."""
    for colour in COLOURS:
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5, colour


@pytest.mark.parametrize("side", [400, 4000])
def test_a_label_is_drawn_with_solid_ground_and_white_letters(side: int) -> None:
    box = tuple(side * share for share in (0.35, 0.35, 0.6, 0.6))
    pixels = draw(np.full((side, side, 3), 128, np.uint8), [face(box, "neutral")])
    ((x0, y0, x1, y1),) = plates([face(box, "neutral")], (side, side))
    plate = pixels[round(y0) : round(y1), round(x0) : round(x1)].reshape(-1, 3)
    ground = np.array([int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)])
    white, coloured = (plate > 200).all(1).mean(), (np.abs(plate.astype(int) - ground) < 8).all(1).mean()
    assert 0.04 < white < 0.4 and coloured > 0.5
    assert (pixels[round(side * 0.8) :] == 128).all()


def test_what_the_label_says() -> None:
    assert face((0, 0, 9, 9)).label == "happiness 93 %"
    assert face((0, 0, 9, 9), share=0.9951).label == "happiness >99 %"


def test_the_given_picture_is_left_alone_and_no_face_is_stated(astronaut: np.ndarray) -> None:
    before = astronaut.copy()
    drawn = draw(astronaut, [Reading("", False, note="no face found")])
    np.testing.assert_array_equal(astronaut, before)
    assert (drawn != astronaut).any(axis=2)[:60].any() and (drawn[60:] == astronaut[60:]).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 900, 3), (900, 2, 3)])
def test_slivers_are_drawn_without_complaint(shape) -> None:
    assert draw(np.zeros(shape, np.uint8), []).shape == shape
    small = thumbnail(np.zeros(shape, np.uint8), [face((0, 0, 1, 1))], side=320)
    assert max(small.shape[:2]) <= 320


@pytest.mark.parametrize("side", [20, 28, 40, 60, 100, 300])
def test_a_face_stays_visible_under_its_drawing(side: int) -> None:
    """Of what is within the box, at most a fifth changes by more than a faint veil, however small the face is."""
    template = neutral_face()[:, :2] * [1, -1]
    box = (300.0, 300.0, 300.0 + side, 300.0 + side)
    low, high = template.min(0), template.max(0)
    points = FacePoints((template - low) / (high - low).max() * side + 300)
    reading = replace(face(box), points=points)
    pixels = np.full((700, 700, 3), (150, 120, 100), np.uint8)
    changed = np.abs(draw(pixels, [reading]).astype(int) - pixels).max(2)[300 : 300 + side, 300 : 300 + side]
    assert (changed > 60).mean() < 0.2 and changed.max() > 40
