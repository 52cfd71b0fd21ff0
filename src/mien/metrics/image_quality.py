"""How good rebuilt pictures are, by the definitions that papers on inversion state; one value a picture.

Pictures are RGB in 0..1, [pictures, channels, height, width]. PSNR and SSIM with a uniform window: reconstruction.py.
"""

import cv2
import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.metrics.reconstruction import PerPicture, Pictures, checked_pictures, psnr

GAUSSIAN_SIDE, GAUSSIAN_SIGMA = 11, 1.5
LUMINANCE, CONTRAST = 0.01, 0.03  # K1 and K2 of SSIM
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik, Asilomar 2003
PUBLISHED_LUMA = (0.114, 0.587, 0.299)  # of what the release takes for blue, green and red
PUBLISHED_WINDOW, PUBLISHED_RANGE = 7, 2.0


def l2(predicted: Pictures, truth: Pictures) -> PerPicture:
    """Mean squared difference of pictures in -1..1, in 0..4, as papers on inversion state it: 4 times that in 0..1."""
    predicted, truth = checked_pictures(predicted, truth)
    return 4 * ((predicted - truth) ** 2).mean((1, 2, 3))


def gaussian_ssim(predicted: Pictures, truth: Pictures) -> PerPicture:
    """Structural similarity with a Gaussian window of 11 pixels and deviation 1.5, mean over channels; at most 1.

    Wang et al., IEEE TIP 13(4), 2004, where the window fits whole. Raises MienError for smaller pictures.
    """
    predicted, truth = checked_pictures(predicted, truth)
    if min(predicted.shape[2:]) < GAUSSIAN_SIDE:
        raise MienError(f"SSIM needs pictures of at least {GAUSSIAN_SIDE} pixels a side; got {predicted.shape[2:]}.")
    return np.array([_mean_over_planes(*pair)[0] for pair in zip(predicted, truth, strict=True)])


def scales_that_fit(side: int) -> int:
    """Of MS-SSIM for a picture of that shorter side: 5 from 176 pixels on."""
    return next((count for count in range(5, 0, -1) if side >> (count - 1) >= GAUSSIAN_SIDE), 0)


def ms_ssim(predicted: Pictures, truth: Pictures, *, scales: int = 5) -> PerPicture:
    """Multi-scale structural similarity: contrast and structure at every scale, luminance at the coarsest.

    scales below 5: the first ones, their weights scaled to sum 1; the metric's name then says so. Negative factors
    count as 0. Raises MienError for pictures in which the window does not fit at the coarsest scale.
    """
    predicted, truth = checked_pictures(predicted, truth)
    fit = scales_that_fit(min(predicted.shape[2:]))
    if not 1 <= scales <= fit:
        raise MienError(
            f"MS-SSIM of {scales} scales needs pictures of {GAUSSIAN_SIDE << (scales - 1)} pixels; "
            f"{min(predicted.shape[2:])} pixels are enough for {fit}."
        )
    weights = np.array(MS_WEIGHTS[:scales]) / (1.0 if scales == len(MS_WEIGHTS) else sum(MS_WEIGHTS[:scales]))
    return np.array([_multi_scale(*pair, weights) for pair in zip(predicted, truth, strict=True)])


def _multi_scale(predicted: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    value = 1.0
    for number, weight in enumerate(weights):
        whole, structure = _mean_over_planes(predicted, truth)
        value *= max(whole if number == len(weights) - 1 else structure, 0.0) ** float(weight)
        predicted, truth = _halved(predicted), _halved(truth)
    return value


def _halved(picture: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in picture.shape[1:])
    cut = picture[:, :height, :width]
    return (cut[:, ::2, ::2] + cut[:, 1::2, ::2] + cut[:, ::2, 1::2] + cut[:, 1::2, 1::2]) / 4


def _mean_over_planes(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(SSIM, its contrast-structure part) of one picture [channels, height, width]."""
    found = np.array([_parts(a, b) for a, b in zip(predicted, truth, strict=True)])
    return float(found[:, 0].mean()), float(found[:, 1].mean())


def _parts(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    mean_a, mean_b = _weighted(a), _weighted(b)
    variances = _weighted(a * a) - mean_a**2 + _weighted(b * b) - mean_b**2
    covariance = _weighted(a * b) - mean_a * mean_b
    structure = (2 * covariance + CONTRAST**2) / (variances + CONTRAST**2)
    luminance = (2 * mean_a * mean_b + LUMINANCE**2) / (mean_a**2 + mean_b**2 + LUMINANCE**2)
    return float((luminance * structure).mean()), float(structure.mean())


def _weighted(plane: Float[np.ndarray, "height width"]) -> np.ndarray:
    """The Gaussian mean at every place where the window fits."""
    margin = GAUSSIAN_SIDE // 2
    blurred = cv2.GaussianBlur(plane, (GAUSSIAN_SIDE, GAUSSIAN_SIDE), GAUSSIAN_SIGMA)
    return blurred[margin:-margin, margin:-margin]


# The release's faulty measures, to explain numbers that were published with them


def published_psnr(predicted: Pictures, truth: Pictures) -> PerPicture:
    """PSNR as ASIT's release computes it, in dB: of a "luma" that blends three neighbours of one channel.

    The release reinterprets [3, height, width] as [height, width, 3] instead of moving axes, so errors that differ from
    pixel to pixel are averaged away: white noise reads 3.5 dB too good. It also scores one picture of each 70, which is
    not repeated here.
    """
    predicted, truth = checked_pictures(predicted, truth)
    return psnr(_published_luma(predicted), _published_luma(truth))


def published_ssim(predicted: Pictures, truth: Pictures) -> PerPicture:
    """SSIM as ASIT's release computes it: of the same planes, for a range of 2 where the pictures have 1."""
    predicted, truth = checked_pictures(predicted, truth)
    planes = zip(_published_luma(predicted)[:, 0], _published_luma(truth)[:, 0], strict=True)
    return np.array([_published_parts(*pair) for pair in planes])


def _published_luma(pictures: np.ndarray) -> np.ndarray:
    """[pictures, 1, height, width]"""
    count, _, height, width = pictures.shape
    mistaken = pictures.reshape(count, height, width, 3)
    return (mistaken @ np.array(PUBLISHED_LUMA))[:, None]


def _published_parts(a: np.ndarray, b: np.ndarray) -> float:
    """scikit-image's default: a uniform window of 7 pixels, unbiased variances."""
    side, margin = PUBLISHED_WINDOW, PUBLISHED_WINDOW // 2

    def smooth(plane: np.ndarray) -> np.ndarray:
        return cv2.blur(plane, (side, side))[margin:-margin, margin:-margin]

    mean_a, mean_b, unbiased = smooth(a), smooth(b), side**2 / (side**2 - 1)
    variances = unbiased * (smooth(a * a) - mean_a**2 + smooth(b * b) - mean_b**2)
    covariance = unbiased * (smooth(a * b) - mean_a * mean_b)
    low, high = (LUMINANCE * PUBLISHED_RANGE) ** 2, (CONTRAST * PUBLISHED_RANGE) ** 2
    luminance = (2 * mean_a * mean_b + low) / (mean_a**2 + mean_b**2 + low)
    return float((luminance * (2 * covariance + high) / (variances + high)).mean())
