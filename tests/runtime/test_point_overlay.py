"""Points drawn: within the face, finer than a pixel, none outside of the picture."""

import numpy as np
from tiny_points import frontal_face

from mien.core.records import FacePoints
from mien.runtime.point_overlay import DOT, draw_points

FACE = frontal_face()[:, :2]


def drawn(points: np.ndarray, *, visible: np.ndarray | None = None, side: int = 300) -> np.ndarray:
    pixels = np.full((side, side, 3), 100, np.uint8)
    draw_points(pixels, FacePoints(points, visible=visible))
    return pixels


def test_every_point_has_its_dot_and_lines_lead_there() -> None:
    points = np.round(FACE * 300)
    pixels = drawn(points)
    for x, y in points.astype(int):
        np.testing.assert_allclose(pixels[y, x], DOT, atol=2)
    middle = ((points[17] + points[18]) / 2).round().astype(int)
    assert pixels[middle[1], middle[0]].min() > 150
    assert (pixels[:20] == 100).all()  # nothing far from the face


def test_a_hidden_point_is_a_ring() -> None:
    points = np.round(FACE * 1200)
    pixels = drawn(points, visible=(np.arange(68) != 8).astype(float), side=1200)
    x, y = points[8].astype(int)
    assert np.abs(pixels[y, x].astype(int) - DOT).max() > 60
    assert np.abs(pixels[y - 3 : y + 4, x - 6 : x + 7].astype(int) - DOT).max(-1).min() < 40


def test_small_faces_have_lines_alone_and_faces_outside_nothing() -> None:
    small = drawn(FACE * 60, side=60)
    assert small.std() > 5 and (np.abs(small.astype(int) - DOT).max(-1) > 40).all()
    assert (drawn(FACE * 300 + 5000) == 100).all()
    assert (drawn(np.full((68, 2), np.nan)) == 100).all()
    half = drawn(FACE * 300 - [150, 0])
    assert half.std() > 3
