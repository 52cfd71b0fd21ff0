"""Curves through the points of lids and brows."""

import numpy as np
import pytest

from mien.runtime.asymmetry.curves import chord, cubic, parabola


def test_a_cubic_goes_through_its_points_and_is_exact_for_a_cubic() -> None:
    x = np.array([0.0, 1.0, 2.5, 4.0])
    curve = np.stack([x, x**3 - 2 * x], -1)
    assert cubic(curve, np.array(1.7)) == pytest.approx(1.7**3 - 3.4)
    assert [float(cubic(curve, np.array(v))) for v in x] == pytest.approx(curve[:, 1].tolist())


def test_where_two_points_stand_one_above_the_other_it_is_the_polyline() -> None:
    curve = np.array([[0.0, 0.0], [1.0, 2.0], [1.0, 3.0], [2.0, 4.0]])
    with np.errstate(all="raise"):
        both = cubic(np.stack([curve, curve + (0, 10)]), np.array([0.5, 1.5]))
    assert both == pytest.approx([1.0, 13.5])
    assert both == pytest.approx(chord(np.stack([curve, curve + (0, 10)]), np.array([0.5, 1.5])))


def test_a_parabola_is_found_again() -> None:
    x = np.linspace(-1, 1, 5)
    assert parabola(np.stack([x, 2 * x**2 - x + 1], -1), np.array(0.3)) == pytest.approx(0.88)
