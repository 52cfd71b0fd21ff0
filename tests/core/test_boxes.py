"""Overlap of boxes, worked by hand."""

import numpy as np
import pytest

from mien.core.geometry import area, intersection_over_union, non_maximum_suppression

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
        for over, share in (("union", union), ("smaller", smaller)):
            for most, both in ((share + 1e-6, True), (share - 1e-6, share == 0)):
                boxes, scores = np.array([one, other]), np.array([2.0, 1.0])
                found = non_maximum_suppression(boxes, scores, most=max(most, 0), over=over)
                assert found == ([0, 1] if both else [0]), (over, most)


def test_a_box_turned_inside_out_has_no_area() -> None:
    assert area((3.0, 0.0, 1.0, 2.0)) == 0


def test_a_box_that_was_suppressed_suppresses_none() -> None:
    """A chain: each shares a third (of the union) with the next, the first and the third nothing."""
    chain = np.array([(0.0, 0.0, 2.0, 1.0), (1.0, 0.0, 3.0, 1.0), (2.0, 0.0, 4.0, 1.0)])
    assert non_maximum_suppression(chain, np.array([0.7, 0.9, 0.8]), most=0.3) == [1]
    assert non_maximum_suppression(chain, np.array([0.9, 0.8, 0.7]), most=0.3) == [0, 2]
    assert non_maximum_suppression(chain, np.array([0.7, 0.9, 0.8]), most=0.34) == [1, 2, 0]
    assert non_maximum_suppression(chain[:2], np.array([0.5, 0.5]), most=0.3) == [0]  # equal scores: the first
    assert non_maximum_suppression(np.empty((0, 4)), np.empty(0), most=0.3) == []
