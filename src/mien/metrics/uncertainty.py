"""Does a point's stated error come true? sigma is the mean distance to expect; the errors are taken as Rayleigh.

A point that is off by independent normal errors of deviation s in x and in y is off by s * sqrt(pi / 2) on average.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mien.core.errors import MienError

LEVELS = (0.5, 0.8, 0.9, 0.95)
BINS = 10
Values = Float[np.ndarray, "*points"]


@dataclass(frozen=True, eq=False)
class SigmaBins:
    """Points in bins of equal count by predicted sigma."""

    count: Int[np.ndarray, " bins"]
    """Points."""
    stated: Float[np.ndarray, " bins"]
    """Mean sigma."""
    found: Float[np.ndarray, " bins"]
    """Mean error."""


def sigma_bins(sigma: Values, error: Values, *, bins: int = BINS) -> SigmaBins:
    """Raises MienError where there are fewer points than bins."""
    sigma, error = _checked(sigma, error)
    if len(sigma) < bins:
        raise MienError(f"{bins} bins need at least as many points; got {len(sigma)}.")
    parts = np.array_split(np.argsort(sigma, kind="stable"), bins)
    return SigmaBins(
        np.array([len(part) for part in parts]),
        np.array([sigma[part].mean() for part in parts]),
        np.array([error[part].mean() for part in parts]),
    )


def error_ratio(sigma: Values, error: Values) -> float:
    """Mean error over mean sigma: above 1 the model is too sure of itself."""
    sigma, error = _checked(sigma, error)
    return float(error.mean() / sigma.mean())


def correlation(sigma: Values, error: Values) -> float:
    """Pearson's, over all points. Raises MienError where sigma or error is the same everywhere."""
    sigma, error = _checked(sigma, error)
    if len(sigma) < 2 or np.ptp(sigma) == 0 or np.ptp(error) == 0:
        raise MienError("The correlation is undefined: sigma or error is the same for all points.")
    return float(np.corrcoef(sigma, error)[0, 1])


def coverage(sigma: Values, error: Values, *, level: float) -> float:
    """Share of the points within the radius that holds `level` of a Rayleigh distribution of mean sigma."""
    sigma, error = _checked(sigma, error)
    if not 0 < level < 1:
        raise MienError(f"A coverage's level lies between 0 and 1; got {level}.")
    return float((error <= sigma * np.sqrt(-4 / np.pi * np.log(1 - level))).mean())


def _checked(sigma: Values, error: Values) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    sigma, error = np.asarray(sigma, float).ravel(), np.asarray(error, float).ravel()
    if len(sigma) != len(error) or len(sigma) == 0:
        raise MienError(f"Stated and found errors must be as many, not none; got {len(sigma)} and {len(error)}.")
    if not np.all(sigma > 0):
        raise MienError("A stated error (sigma) must be above 0 for every point.")
    return sigma, error
