"""Landmark errors: hand-worked, invariant to scale, and each normaliser is what its name says."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.metrics import alignment


def faces(n: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, (n, 68, 2))
    return truth + rng.normal(size=truth.shape), truth


def test_worked_by_hand() -> None:
    truth = np.zeros((1, 68, 2))
    truth[0, 36], truth[0, 45], truth[0, 8] = (10, 20), (60, 20), (30, 140)  # outer eye corners 50 px apart
    predicted = truth + np.array([3.0, 4.0])  # every point 5 px off
    assert alignment.nme(predicted, truth, normaliser="interocular") == pytest.approx(5 / 50)
    assert alignment.nme(predicted, truth, normaliser="bbox") == pytest.approx(5 / np.sqrt(60 * 140))
    assert alignment.nme(predicted, truth, normaliser="none") == pytest.approx(5)


@pytest.mark.parametrize("normaliser", ["interocular", "interpupil", "bbox"])
def test_scale_and_shift_change_nothing(normaliser: alignment.Normaliser) -> None:
    predicted, truth = faces()
    value = alignment.nme(predicted, truth, normaliser=normaliser)
    assert alignment.nme(7 * predicted + 11, 7 * truth + 11, normaliser=normaliser) == pytest.approx(value)
    assert alignment.nme(truth, truth, normaliser=normaliser) == 0


def test_pupils_are_the_means_of_the_eyes() -> None:
    _, truth = faces()
    right, left = truth[:, 36:42].mean(1), truth[:, 42:48].mean(1)
    np.testing.assert_allclose(
        alignment.face_sizes(truth, normaliser="interpupil"), np.hypot(*(right - left).T), rtol=1e-12
    )


def test_mirroring_both_changes_nothing() -> None:
    predicted, truth = faces()
    flipped = [SCHEME_68.mirrored(points, width=99) for points in (predicted, truth)]
    assert alignment.nme(*flipped, normaliser="interocular") == pytest.approx(
        alignment.nme(predicted, truth, normaliser="interocular")
    )


def test_per_point_and_per_face_average_to_the_same() -> None:
    predicted, truth = faces()
    per_point = alignment.nme_per_point(predicted, truth, normaliser="bbox")
    assert per_point.shape == (68,)
    assert per_point.mean() == pytest.approx(alignment.nme(predicted, truth, normaliser="bbox"))


def test_auc_and_failure_rate() -> None:
    errors = np.array([0.0, 0.05, 0.2])
    assert alignment.failure_rate(errors, threshold=0.1) == pytest.approx(1 / 3)
    assert alignment.auc(errors, threshold=0.1) == pytest.approx((1 + 0.5 + 0) / 3)
    grid = np.linspace(0, 0.1, 200_001)
    curve = (errors[:, None] <= grid).mean(0)
    assert alignment.auc(errors, threshold=0.1) == pytest.approx(np.trapezoid(curve, grid) / 0.1, abs=1e-5)


def test_refusals() -> None:
    predicted, truth = faces()
    with pytest.raises(MienError, match="Did you mean 'interocular'"):
        alignment.nme(predicted, truth, normaliser="interoccular")  # type: ignore[arg-type]
    with pytest.raises(MienError, match="face 1 has bbox size 0"):
        alignment.nme(predicted, truth * np.array([1, 0, 1])[:, None, None], normaliser="bbox")
    with pytest.raises(MienError, match="two equal lists"):
        alignment.nme(predicted[:, :5], truth, normaliser="none")
    with pytest.raises(MienError, match="two equal lists"):
        alignment.nme(predicted[:0], truth[:0], normaliser="none")
