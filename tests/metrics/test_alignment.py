"""Landmark errors: hand-worked, invariant to scale, and each normaliser is what its name says."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.metrics import alignment
from shape_checks import unchecked


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
    per_point = alignment.errors(predicted, truth, normaliser="bbox").mean(0)
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
    with pytest.raises(MienError, match="Did you mean 'interocular'"), unchecked():
        alignment.nme(predicted, truth, normaliser="interoccular")  # type: ignore[arg-type]
    with pytest.raises(MienError, match="face 1 has bbox size 0"):
        alignment.nme(predicted, truth * np.array([1, 0, 1])[:, None, None], normaliser="bbox")
    with pytest.raises(MienError, match="two equal lists"), unchecked():
        alignment.nme(predicted[:, :5], truth, normaliser="none")
    with pytest.raises(MienError, match="two equal lists"):
        alignment.nme(predicted[:0], truth[:0], normaliser="none")


def test_corners_are_the_mean_of_inner_and_outer() -> None:
    truth = np.random.default_rng(0).uniform(0, 100, (2, 68, 2))
    truth[:, [36, 45, 39, 42]] = [(0, 0), (60, 0), (20, 0), (40, 0)]
    np.testing.assert_allclose(alignment.face_sizes(truth, normaliser="corners"), [40, 40])
    with pytest.raises(MienError, match="The 5 scheme has no outer eye corners"):
        alignment.face_sizes(truth[:, :5], normaliser="corners")


def test_in_3d_only_depth_within_the_face_counts() -> None:
    truth = np.random.default_rng(0).uniform(0, 100, (2, 68, 3))
    predicted = truth + [0, 0, 17]
    assert alignment.nme_3d(predicted, truth) == pytest.approx(0)
    predicted[0, 30, 2] += 68  # one point nearer by 68: itself 67 off, the 67 others 1, after the shift
    assert alignment.nme_3d(predicted, truth, normaliser="none") == pytest.approx((67 + 67 * 1) / 68 / 2)
    with pytest.raises(MienError, match="x, y and z"):
        alignment.nme_3d(predicted[..., :2], truth[..., :2])


def test_the_box_of_points_in_3d_is_that_in_2d() -> None:
    truth = np.random.default_rng(0).uniform(0, 100, (2, 68, 3))
    flat, deep = (alignment.face_sizes(points, normaliser="bbox") for points in (truth[..., :2], truth))
    np.testing.assert_array_equal(flat, deep)


def test_yaw_ranges_hold_both_turns_and_every_face() -> None:
    yaw = np.deg2rad([0, -10, 30, 31, -60, 75, -99.0])
    ranges = {name: places.tolist() for name, places in alignment.yaw_ranges(yaw).items()}
    assert ranges == {"0-30": [0, 1, 2], "30-60": [3, 4], "60-90": [5, 6]}
    assert list(alignment.yaw_ranges(yaw[:2])) == ["0-30"]


@pytest.mark.parametrize("points", [5, 68, 98])
def test_sides_are_mirror_images(points: int) -> None:
    from mien.core.landmarks import scheme_of

    found = alignment.sides(points)
    assert scheme_of(points).mirror[list(found["right"])].tolist() == list(found["left"])
    assert not set(found["right"]) & set(found["left"])


def test_a_point_that_is_no_number_is_no_success() -> None:
    with pytest.raises(MienError, match="NaN"):
        alignment.failure_rate(np.array([np.nan, 0.01]), threshold=0.1)
    with pytest.raises(MienError, match="NaN"):
        alignment.nme(
            np.full((1, 68, 2), np.nan), np.random.default_rng(0).random((1, 68, 2)), normaliser="interocular"
        )
