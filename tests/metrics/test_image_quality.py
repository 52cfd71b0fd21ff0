"""Image metrics: values worked by hand, agreement with another implementation, and the release's fault shown."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.metrics.image_quality import (
    MS_WEIGHTS,
    gaussian_ssim,
    l2,
    ms_ssim,
    published_psnr,
    published_ssim,
    scales_that_fit,
)
from mien.metrics.reconstruction import psnr


def pictures(count: int = 2, side: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 3, side, side))


def test_l2_is_of_pictures_in_minus_one_to_one() -> None:
    truth = np.full((2, 3, 4, 4), 0.5)
    predicted = truth.copy()
    predicted[1] += 0.1  # 0.2 in -1..1
    assert l2(predicted, truth) == pytest.approx([0, 0.04])
    assert l2(np.ones((1, 3, 2, 2)), np.zeros((1, 3, 2, 2))) == pytest.approx([4])


def test_ssim_of_flat_pictures_is_the_luminance_term_alone() -> None:
    a, b = np.full((1, 3, 16, 16), 0.2), np.full((1, 3, 16, 16), 0.6)
    wanted = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert gaussian_ssim(a, b) == pytest.approx([wanted])
    assert gaussian_ssim(a, a) == pytest.approx([1])
    with pytest.raises(MienError, match="at least 11 pixels"):
        gaussian_ssim(a[..., :8], b[..., :8])


def test_ssim_is_scikit_images_with_a_gaussian_window() -> None:
    skimage = pytest.importorskip("skimage.metrics")
    a, b = pictures(1, 40)[0], pictures(1, 40, seed=1)[0]
    b = 0.7 * a + 0.3 * b
    _, whole = skimage.structural_similarity(
        a, b, channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert gaussian_ssim(a[None], b[None])[0] == pytest.approx(whole[:, 5:-5, 5:-5].mean(), abs=1e-6)


def test_ms_ssim_of_flat_pictures_counts_luminance_once() -> None:
    a, b = np.full((1, 3, 176, 176), 0.2), np.full((1, 3, 176, 176), 0.6)
    luminance = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ms_ssim(a, b) == pytest.approx([luminance ** MS_WEIGHTS[4]])
    small_a, small_b = a[..., :22, :22], b[..., :22, :22]
    share = MS_WEIGHTS[1] / (MS_WEIGHTS[0] + MS_WEIGHTS[1])
    assert ms_ssim(small_a, small_b, scales=2) == pytest.approx([luminance**share])
    assert [scales_that_fit(side) for side in (10, 11, 22, 64, 175, 176, 512)] == [0, 1, 2, 3, 4, 5, 5]
    with pytest.raises(MienError, match="of 5 scales needs pictures of 176 pixels; 64 pixels are enough for 3"):
        ms_ssim(pictures(1, 64), pictures(1, 64))


def test_the_published_psnr_is_right_for_a_constant_error_and_too_good_for_noise() -> None:
    truth = np.full((1, 3, 150, 150), 0.5)
    assert published_psnr(truth + 0.1, truth)[0] == pytest.approx(20)
    assert psnr(truth + 0.1, truth)[0] == pytest.approx(20)
    grey = 0.1 * np.random.default_rng(0).normal(size=(1, 1, 150, 150)) * np.ones((1, 3, 1, 1))
    lifted = published_psnr(truth + grey, truth)[0] - psnr(truth + grey, truth)[0]
    assert lifted == pytest.approx(-10 * np.log10(0.114**2 + 0.587**2 + 0.299**2), abs=0.2)  # 3.5 dB


def test_the_published_ssim_is_too_good() -> None:
    a = 0.5 + 0.05 * pictures(1, 32)  # of low contrast, where the constants count
    b = 0.5 + 0.05 * pictures(1, 32, seed=3)
    assert published_ssim(a, a) == pytest.approx([1])
    assert published_ssim(b, a)[0] > gaussian_ssim(b, a)[0]
    flat, other = np.full((1, 3, 9, 9), 0.2), np.full((1, 3, 9, 9), 0.6)
    assert published_ssim(flat, other) == pytest.approx([(0.24 + 4e-4) / (0.4 + 4e-4)])  # constants for a range of 2
