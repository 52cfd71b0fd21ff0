"""How much a reconstructed picture differs from its original: pictures in 0..1, one value a picture.

A set's value is the mean over its pictures: of PSNR the mean of decibels, not decibels of the mean error.
"""

import cv2
import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError

Pictures = Float[np.ndarray, "pictures channels height width"]
PerPicture = Float[np.ndarray, " pictures"]
SSIM_WINDOW = 7  # pixels; stands in the metric's name, `ssim@7`
_LEAST_SQUARE = 1e-10  # of a mean squared error: equal pictures have 100 dB, not infinitely many


def abs_error(predicted: Pictures, truth: Pictures) -> PerPicture:
    """Mean absolute difference in grey levels, 0..255."""
    predicted, truth = checked_pictures(predicted, truth)
    return 255 * np.abs(predicted - truth).mean((1, 2, 3))


def psnr(predicted: Pictures, truth: Pictures) -> PerPicture:
    """Peak signal-to-noise ratio in dB, at most 100."""
    predicted, truth = checked_pictures(predicted, truth)
    return -10 * np.log10(np.maximum(((predicted - truth) ** 2).mean((1, 2, 3)), _LEAST_SQUARE))


def ssim(predicted: Pictures, truth: Pictures) -> PerPicture:
    """Structural similarity, at most 1, with a uniform window of 7 x 7 pixels, mean over the channels.

    Wang et al., IEEE Trans. Image Processing 13(4), 2004; window, unbiased variances and constants (0.01, 0.03) as
    scikit-image has them by default. Raises MienError for pictures smaller than the window.
    """
    predicted, truth = checked_pictures(predicted, truth)
    if min(predicted.shape[2:]) < SSIM_WINDOW:
        raise MienError(f"SSIM needs pictures of at least {SSIM_WINDOW} pixels a side; got {predicted.shape[2:]}.")
    return np.array([np.mean([_ssim_of_planes(*planes) for planes in zip(*pair, strict=True)])
                     for pair in zip(predicted, truth, strict=True)])  # fmt: skip


def _ssim_of_planes(a: Float[np.ndarray, "height width"], b: Float[np.ndarray, "height width"]) -> float:
    mean_a, mean_b = _smoothed(a), _smoothed(b)
    unbiased = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    variances = unbiased * (_smoothed(a * a) - mean_a**2 + _smoothed(b * b) - mean_b**2)
    covariance = unbiased * (_smoothed(a * b) - mean_a * mean_b)
    low, high = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + low) / (mean_a**2 + mean_b**2 + low)
    return float((luminance * (2 * covariance + high) / (variances + high)).mean())


def _smoothed(plane: Float[np.ndarray, "height width"]) -> np.ndarray:
    """The windowed mean at every place where the window fits."""
    margin = SSIM_WINDOW // 2
    return cv2.blur(plane, (SSIM_WINDOW, SSIM_WINDOW))[margin:-margin, margin:-margin]


def checked_pictures(predicted: Pictures, truth: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """Both in float64. Raises MienError for batches that are not equal in shape."""
    if predicted.shape != truth.shape or predicted.ndim != 4:
        raise MienError(f"Pictures compare in two equal batches; got {predicted.shape} and {truth.shape}.")
    return np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
