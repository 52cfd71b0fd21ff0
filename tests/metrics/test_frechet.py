"""The Fréchet distance: values worked by hand, agreement with the matrix root, and batches of any size."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.metrics.frechet import Moments, frechet_distance


def moments(features: np.ndarray, batch: int = 7) -> Moments:
    found = Moments(features.shape[1])
    for start in range(0, len(features), batch):
        found.add(features[start : start + batch])
    return found


def test_two_gaussians_on_a_line_and_on_two_axes_by_hand() -> None:
    ours, theirs = np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])  # variances 2 and 8
    assert frechet_distance(moments(ours), moments(theirs)) == pytest.approx(3**2 + (8**0.5 - 2**0.5) ** 2)
    cross = np.array([[1.0, 0], [-1, 0], [0, 2], [0, -2]])  # variances 2/3 and 8/3; turned by a quarter
    wanted = 2 * ((8 / 3) ** 0.5 - (2 / 3) ** 0.5) ** 2
    assert frechet_distance(moments(cross), moments(cross[:, ::-1])) == pytest.approx(wanted)


def test_the_trace_is_that_of_the_matrix_root_also_of_singular_covariances() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    rng = np.random.default_rng(0)
    for count in (40, 4):  # 4 vectors of 6 dimensions have a covariance of rank 3
        ours, theirs = rng.normal(size=(count, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(count + 1, 6))
        first, second = np.cov(ours.T), np.cov(theirs.T)
        root = np.sqrt(np.maximum(linalg.eigvals(first @ second).real, 0)).sum()
        apart = ((ours.mean(0) - theirs.mean(0)) ** 2).sum()
        wanted = apart + np.trace(first) + np.trace(second) - 2 * root
        assert frechet_distance(moments(ours), moments(theirs)) == pytest.approx(wanted, rel=1e-6)


def test_batches_give_the_moments_of_the_whole_and_equal_sets_are_not_apart() -> None:
    features = np.random.default_rng(1).normal(size=(23, 5)) + 100
    found = moments(features, batch=4)
    np.testing.assert_allclose(found.mean, features.mean(0))
    np.testing.assert_allclose(found.covariance, np.cov(features.T), rtol=1e-9)
    assert frechet_distance(found, moments(features, batch=23)) == pytest.approx(0, abs=1e-9)
    with pytest.raises(MienError, match="at least 2 pictures; got 1"):
        frechet_distance(found, moments(features[:1]))
