"""The published protocol, worked by hand; tests/parity compares it with the published code's own numbers."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.metrics import published_alignment as published


def faces() -> tuple[np.ndarray, np.ndarray]:
    """Two faces, outer corners 100 apart, inner 40; the first is 2 off everywhere, the second 30."""
    truth = np.random.default_rng(0).uniform(0, 100, (2, 68, 2))
    truth[:, [36, 45, 39, 42]] = [(0, 0), (100, 0), (30, 0), (70, 0)]
    return truth + np.array([2.0, 30.0])[:, None, None] * [1, 0], truth


def test_worked_by_hand() -> None:
    found = published.summary(*faces(), ocular_norm="outer")
    assert found.lines == ["NME:   16.000", "STD_NME:    0.000", "FR@10: 50.000 (1)", "AUC:   0.4000"]
    assert published.summary(*faces(), ocular_norm="pupil").nme == pytest.approx(16 * 100 / 70)
    assert published.summary(*faces(), ocular_norm="none").nme == pytest.approx(16)


def test_a_face_at_the_limit_has_not_failed() -> None:
    _, truth = faces()
    assert published.summary(truth + [10.0, 0], truth, ocular_norm="none").failures == 0
    assert published.summary(truth + [10.001, 0], truth, ocular_norm="none").failures == 2


def test_the_spread_is_that_of_the_points_within_a_face() -> None:
    """Half the points of each face 1 off, half 3: spread 1 within, none across."""
    _, truth = faces()
    off = np.where(np.arange(68) < 34, 1.0, 3.0)
    predicted = truth + off[:, None] * [1, 0]
    assert published.summary(predicted, truth, ocular_norm="none").std_nme == pytest.approx(1)


def test_true_points_outside_are_moved_to_the_edge() -> None:
    points = np.array([[[-3.0, 5, -7], [9, -2, 4]]])
    np.testing.assert_array_equal(published.clamped(points), [[[0, 5, -7], [9, 0, 4]]])


def test_an_unknown_norm_is_refused() -> None:
    with pytest.raises(MienError, match="Did you mean 'outer'"):
        published.summary(*faces(), ocular_norm="outter")
