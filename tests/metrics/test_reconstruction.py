"""Differences of pictures: hand-worked, as scikit-image computes them, and what does not compare."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.metrics import reconstruction
from shape_checks import unchecked


def pictures(n: int = 3, side: int = 24) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.random((n, 3, side, side))
    return np.clip(truth + rng.normal(scale=0.1, size=truth.shape), 0, 1), truth


def test_worked_by_hand() -> None:
    truth = np.full((2, 3, 8, 8), 0.5)
    predicted = truth + np.array([0.1, 0.01])[:, None, None, None]
    np.testing.assert_allclose(reconstruction.abs_error(predicted, truth), [25.5, 2.55])
    np.testing.assert_allclose(reconstruction.psnr(predicted, truth), [20, 40])
    luminance = (2 * 0.6 * 0.5 + 1e-4) / (0.6**2 + 0.5**2 + 1e-4)  # flat pictures differ in nothing else
    assert reconstruction.ssim(predicted, truth)[0] == pytest.approx(luminance)


def test_equal_pictures_are_equal() -> None:
    _, truth = pictures()
    np.testing.assert_array_equal(reconstruction.abs_error(truth, truth), 0)
    np.testing.assert_allclose(reconstruction.psnr(truth, truth), 100)
    np.testing.assert_allclose(reconstruction.ssim(truth, truth), 1)


def test_as_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    predicted, truth = pictures()
    for ours, peak, a, b in zip(
        reconstruction.ssim(predicted, truth), reconstruction.psnr(predicted, truth), predicted, truth, strict=True
    ):
        assert ours == pytest.approx(metrics.structural_similarity(a, b, channel_axis=0, data_range=1.0), abs=1e-9)
        assert peak == pytest.approx(metrics.peak_signal_noise_ratio(b, a, data_range=1.0))


def test_as_in_training() -> None:
    torch = pytest.importorskip("torch")
    from mien.nn.losses import reconstruction as losses

    predicted, truth = pictures()
    theirs = losses.ssim(torch.from_numpy(predicted), torch.from_numpy(truth)).numpy()
    np.testing.assert_allclose(reconstruction.ssim(predicted, truth), theirs, atol=1e-9)


@unchecked()
def test_what_does_not_compare_is_refused() -> None:
    predicted, truth = pictures()
    with pytest.raises(MienError, match="two equal batches"):
        reconstruction.psnr(predicted[:2], truth)
    with pytest.raises(MienError, match="at least 7 pixels a side"):
        reconstruction.ssim(predicted[..., :5], truth[..., :5])
