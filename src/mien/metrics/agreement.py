"""How far raters agree: Krippendorff's alpha, for ratings that need not be complete.

Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011. 1 is perfect agreement, 0 what chance gives.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.metrics.significance import Interval, cluster_weights, percentiles

Level = Literal["nominal", "interval"]


def krippendorff_alpha(ratings: Float[np.ndarray, "raters units"], *, level: Level) -> float:
    """Alpha of ratings, NaN where a rater did not rate a unit. level: nominal for classes, by any numbers, or interval.

    Raises MienError where no unit has two ratings, and where all ratings are the same: agreement is undefined then.
    """
    (value,) = _alphas(ratings, np.ones((1, ratings.shape[1])), level)
    if not np.isfinite(value):
        raise MienError(
            "Agreement is undefined: it needs units with two ratings or more, and ratings that are not all the same."
        )
    return float(value)


def alpha_interval(
    ratings: Float[np.ndarray, "raters units"], *, level: Level, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile interval of alpha over resampled units, 95 %. Raises MienError as `krippendorff_alpha`."""
    krippendorff_alpha(ratings, level=level)
    values = _alphas(ratings, cluster_weights(ratings.shape[1], resamples=resamples, seed=seed).astype(float), level)
    return percentiles(values[np.isfinite(values)])


def _alphas(
    ratings: Float[np.ndarray, "raters units"], weights: Float[np.ndarray, "draws units"], level: Level
) -> Float[np.ndarray, " draws"]:
    """Of the units, each taken so many times; NaN where undefined."""
    known = np.isfinite(ratings)
    paired = known.sum(0) >= 2
    known, ratings, weights = known[:, paired], ratings[:, paired], weights[:, paired]
    counts = known.sum(0)
    if level == "nominal":
        classes = np.unique(ratings[known])
        held = (ratings[:, :, None] == classes).sum(0).astype(float)  # [units, classes]
        differing = counts**2 - np.square(held).sum(1)  # ordered pairs of a unit
        total = weights @ counts
        expected = total**2 - np.square(weights @ held).sum(1)
    else:
        values = np.where(known, ratings, 0.0)
        values = values - values.sum() / max(1, counts.sum()) * known  # about 0, for precision
        sums, squares = values.sum(0), np.square(values).sum(0)
        differing = 2 * (counts * squares - sums**2)
        total = weights @ counts
        expected = 2 * (total * (weights @ squares) - np.square(weights @ sums))
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = (weights @ (differing / np.maximum(counts - 1, 1))) / total
        by_chance = expected / (total * (total - 1))
        return np.where(by_chance > 1e-12, 1 - observed / by_chance, np.nan)
