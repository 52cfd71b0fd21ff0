"""How far off a point is to be expected, from the width of its heat map: fitted on validation faces. NumPy."""

import numpy as np
from jaxtyping import Float

TRIM = 0.02  # share of the largest errors that is left out: gross failures say nothing of the usual width
PRIOR = 20  # faces' worth of the common level that each point's own is drawn to
SLOPES = np.arange(0, 3.01, 0.05)


def fit_calibration(
    spread: Float[np.ndarray, "faces points"], error: Float[np.ndarray, "faces points"]
) -> Float[np.ndarray, "points 2"]:
    """(a, b) of each point, so that exp(a * log(spread) + b) is the mean error of faces with such a spread.

    a is the same for all points, 0..3, and b the point's own, drawn to the common one where there are few faces. Of all
    a it is the one under which the errors are likeliest, if those in x and y are alike and normal (Rayleigh's
    distribution of distances). That compares faces at each point: a slope through all points together would follow
    how points differ, which b says already. NaN marks points not to count.
    """
    counted = np.isfinite(spread) & np.isfinite(error) & (spread > 0)
    counted &= error <= np.quantile(error[counted], 1 - TRIM) if counted.any() else counted
    points = spread.shape[1]
    if not counted.any():
        return np.tile([1.0, 0.0], (points, 1)).astype(np.float32)
    width, known = np.log(np.where(counted, spread, 1.0)), np.where(counted, error, 0.0)
    fits = [_levels(slope, width, known, counted) for slope in SLOPES]
    best = min(range(len(SLOPES)), key=lambda k: _surprise(float(SLOPES[k]), fits[k], width, known, counted))
    return np.stack((np.full(points, SLOPES[best]), np.log(fits[best])), -1).astype(np.float32)


def _levels(slope: float, width: np.ndarray, error: np.ndarray, counted: np.ndarray) -> Float[np.ndarray, " points"]:
    """exp(b) of each point: its mean error over that of its spreads to the power of the slope."""
    base = np.where(counted, np.exp(slope * width), 0.0)
    prior = PRIOR * base.sum() / counted.sum()
    return np.maximum((error.sum(0) + prior * error.sum() / base.sum()) / (base.sum(0) + prior), 1e-6)


def _surprise(slope: float, levels: np.ndarray, width: np.ndarray, error: np.ndarray, counted: np.ndarray) -> float:
    """Mean negative log likelihood of the errors, but for what the slope does not change."""
    expected = levels * np.exp(slope * width)
    ratio = error / expected  # Rayleigh's distribution of mean m has the exponent pi / 4 (e / m)^2
    return float((2 * np.log(expected) + np.pi / 4 * ratio**2)[counted].mean())
