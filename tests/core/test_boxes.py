"""Overlap of boxes, worked by hand."""

import pytest

from mien.core.geometry import area, intersection_over_smaller, intersection_over_union

LARGE, INNER, BESIDE = (0.0, 0.0, 4.0, 4.0), (1.0, 1.0, 3.0, 3.0), (3.0, 0.0, 7.0, 4.0)


@pytest.mark.parametrize(
    ("a", "b", "union", "smaller"),
    [
        (LARGE, LARGE, 1.0, 1.0),
        (LARGE, INNER, 4 / 16, 1.0),
        (LARGE, BESIDE, 4 / 28, 4 / 16),
        (LARGE, (4.0, 0.0, 8.0, 4.0), 0.0, 0.0),
        (LARGE, (1.0, 1.0, 1.0, 3.0), 0.0, 0.0),
        ((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0), 0.0, 0.0),
    ],
)
def test_overlap(a: tuple, b: tuple, union: float, smaller: float) -> None:
    for one, other in ((a, b), (b, a)):
        assert intersection_over_union(one, other) == pytest.approx(union)
        assert intersection_over_smaller(one, other) == pytest.approx(smaller)


def test_a_box_turned_inside_out_has_no_area() -> None:
    assert area((3.0, 0.0, 1.0, 2.0)) == 0
