"""MTCNN's boxes, worked by hand."""

import numpy as np
import pytest

from mien.nn.mtcnn.boxes import cut_out, kept, regressed, scaled, squares, visible, within


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, float)


def test_offsets_are_shares_of_the_width_and_of_the_height() -> None:
    found = regressed(boxes((10, 20, 30, 60)), boxes((0.1, 0.1, -0.2, 0.5)))
    assert found.tolist() == [[12, 24, 26, 80]]


def test_a_square_keeps_the_middle_and_has_the_longer_side() -> None:
    found = squares(boxes((10, 20, 30, 60), (0, 0, 8, 2), (0.2, 0.3, 4.2, 4.3)))
    assert found.tolist() == [[0, 20, 40, 60], [0, -3, 8, 5], [0, 0, 4, 4]]


def test_of_equal_scores_the_last_is_kept() -> None:
    both = boxes((0, 0, 4, 4), (0, 0, 4, 4), (9, 9, 10, 10))
    assert kept(both, np.array([1.0, 1.0, 0.5]), most=0.5).tolist() == [1, 2]
    inside = boxes((0, 0, 4, 4), (1, 1, 3, 3))
    assert kept(inside, np.array([1.0, 0.5]), most=0.5).tolist() == [0, 1]  # a quarter of the union
    assert kept(inside, np.array([1.0, 0.5]), most=0.5, over="smaller").tolist() == [0]  # all of the smaller one
    assert len(kept(np.empty((0, 4)), np.empty(0), most=0.5)) == 0


def test_what_lies_beyond_the_picture_is_black_and_the_box_stays_as_it_is() -> None:
    pixels = np.full((4, 6, 3), 255, np.uint8)
    pixels[0, 0] = 100
    (found,) = cut_out(pixels, boxes((-1, -1, 3, 3)), 4)
    grey = np.full((4, 4), 255.0)
    grey[0] = grey[:, 0] = 0
    grey[1, 1] = 100
    assert found.shape == (3, 4, 4) and found[1] == pytest.approx((grey - 127.5) / 128)
    (low,) = cut_out(pixels, boxes((4, 2, 8, 6)), 4)
    assert (low[0] > 0).tolist() == [[True, True, False, False]] * 2 + [[False] * 4] * 2
    assert cut_out(pixels, np.empty((0, 4)), 24).shape == (0, 3, 24, 24)


def test_only_squares_that_show_a_pixel_go_on() -> None:
    given = boxes((-3, 0, 1, 4), (-4, 0, 0, 4), (5, 3, 9, 7), (6, 0, 10, 4), (-10, -10, 15, 15), (np.nan,) * 4)
    assert visible(given, 4, 6).tolist() == [True, False, True, False, False, False]
    assert within(given[:1], 4, 6).tolist() == [[0, 0, 1, 4]]


def test_a_reduced_picture_holds_means() -> None:
    """By two: the triangle over four pixels has the weights 1, 3, 3, 1 (of 8), less at the edges."""
    row = np.array([0, 0, 0, 80, 80, 80, 80, 80], np.uint8)
    found = scaled(np.repeat(np.tile(row, (8, 1))[..., None], 3, 2), (4, 4))
    assert (found[0, 0] * 128 + 127.5).tolist() == [0, 40, 80, 80]
