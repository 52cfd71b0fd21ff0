"""How far off a point is to be expected, from the width of its heat map: fitted on validation faces. NumPy."""

import numpy as np
from jaxtyping import Float

BINS = 20  # of equal counts, over all points: the slope is fitted through their means
TRIM = 0.02  # share of the largest errors that is left out: gross failures say nothing of the usual width
PRIOR = 20  # faces' worth of the common level that each point's own is drawn to
STEEPEST = 3.0


def fit_calibration(
    spread: Float[np.ndarray, "faces points"], error: Float[np.ndarray, "faces points"]
) -> Float[np.ndarray, "points 2"]:
    """(a, b) of each point, so that exp(a * log(spread) + b) is the mean error of faces with such a spread.

    a is the same for all points, 0..3: the slope through the bins' trimmed means, or 0 where the spreads do not differ.
    b is the point's own, drawn to the common one where there are few faces. NaN marks points not to count.
    """
    counted = np.isfinite(spread) & np.isfinite(error) & (spread > 0)
    counted &= error <= np.quantile(error[counted], 1 - TRIM) if counted.any() else counted
    points = spread.shape[1]
    if not counted.any():
        return np.tile([1.0, 0.0], (points, 1)).astype(np.float32)
    width = np.log(np.where(counted, spread, 1.0))
    slope = _slope(width[counted], error[counted])
    base = np.where(counted, np.exp(slope * width), 0.0)
    common = error[counted].sum() / base.sum()
    prior = PRIOR * base.sum() / max(1, counted.sum())
    level = (np.where(counted, error, 0).sum(0) + prior * common) / (base.sum(0) + prior)
    return np.stack((np.full(points, slope), np.log(np.maximum(level, 1e-6))), -1).astype(np.float32)


def _slope(width: Float[np.ndarray, " n"], error: Float[np.ndarray, " n"]) -> float:
    """Of log mean error over log width: the median of the slopes between all pairs of bins (Theil and Sen)."""
    order = np.argsort(width, kind="stable")
    bins = [chosen for chosen in np.array_split(order, BINS) if len(chosen) >= 5]
    x = np.array([width[chosen].mean() for chosen in bins])
    y = np.log([max(error[chosen].mean(), 1e-6) for chosen in bins])
    i, j = np.triu_indices(len(x), 1)
    apart = x[j] - x[i] > 1e-3
    if not apart.any():
        return 0.0
    return float(np.clip(np.median((y[j] - y[i])[apart] / (x[j] - x[i])[apart]), 0, STEEPEST))
