"""How far a number can be trusted: bootstrap intervals, and the test between two models."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from mien.core.errors import MienError

RESAMPLES = 2000
EXACT_BELOW = 25  # discordant pairs; Fagerland, Lydersen, Laake, BMC Med. Res. Methodol. 13:91, 2013


@dataclass(frozen=True)
class Interval:
    """A confidence interval."""

    low: float
    """Lower end."""
    high: float
    """Upper end."""
    level: float
    """Coverage probability."""
    method: str
    """How it was computed."""


def bootstrap_interval(
    confusion: Int[np.ndarray, "classes classes"],
    metric: Callable[[np.ndarray], np.ndarray],
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
    stratified: bool = False,
) -> Interval:
    """Percentile interval of a metric of the confusion matrix, over resampled images.

    stratified: every true class keeps its size, as averages over classes need it (a rare class would drop out of some
    resamples, and the average then jump). A resample in which the metric is undefined is left out; where that is more
    than one in twenty the metric has no honest interval and MienError is raised, as for one image.
    """
    _refuse_one(int(np.sum(confusion)))
    drawn = resampled(np.asarray(confusion), resamples=resamples, seed=seed, stratified=stratified)
    values = _defined_values(drawn, metric)
    if len(values) < 0.95 * resamples:
        raise MienError(
            f"No bootstrap interval: the metric is undefined in {resamples - len(values)} of {resamples} resamples."
        )
    return percentiles(values, level)


def resampled(
    counts: Int[np.ndarray, "classes cells"], *, resamples: int, seed: int, stratified: bool = False
) -> Int[np.ndarray, "resamples classes cells"]:
    """Tables of as many images, drawn with replacement: from all, or within each row when `stratified`.

    Drawing images and counting them again is one multinomial draw over the cells, so all tables are made at once.
    """
    n, rng = int(counts.sum()), np.random.default_rng(seed)
    if n == 0:
        raise MienError("A bootstrap needs at least one sample; there are none.")
    if not stratified:
        return rng.multinomial(n, counts.ravel() / n, size=resamples).reshape(resamples, *counts.shape)
    rows = counts.sum(1)
    shares = np.where(rows[:, None] > 0, counts / np.maximum(rows, 1)[:, None], 1 / counts.shape[1])
    return rng.multinomial(rows, shares, size=(resamples, len(rows)))


def wilson_interval(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion, honest also for 0 or all of a few. Wilson, JASA 22(158), 1927."""
    if n < 1:
        raise MienError("A proportion needs at least one sample; there are none.")
    z2, share = NormalDist().inv_cdf((1 + level) / 2) ** 2, successes / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0), level, "wilson")


def bootstrap_samples(
    statistic: Callable[[np.ndarray], float], n: int, *, resamples: int = RESAMPLES, level: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile interval of a statistic of sample indices (int [n], drawn with replacement from 0..n-1).

    Raises MienError for fewer than two samples.
    """
    _refuse_one(n)
    rng = np.random.default_rng(seed)
    return percentiles(np.array([statistic(rng.integers(n, size=n)) for _ in range(resamples)]), level)


def bootstrap_means(
    values: Float[np.ndarray, "samples columns"], *, resamples: int = RESAMPLES, seed: int = 0
) -> Float[np.ndarray, "resamples columns"]:
    """Means of the columns over resampled rows: the same rows for every column, so that they can be set off.

    Raises MienError for fewer than two samples.
    """
    _refuse_one(len(values))
    rng, n = np.random.default_rng(seed), len(values)
    at_once = max(1, 4_000_000 // n)
    parts = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    return np.concatenate([rng.multinomial(n, np.full(n, 1 / n), size=part) @ values / n for part in parts])


def cluster_weights(clusters: int, *, resamples: int = RESAMPLES, seed: int = 0) -> Int[np.ndarray, "resamples _"]:
    """How often each of the clusters (people, recordings) is drawn in each resample of as many clusters.

    A statistic of sums over samples is computed from weighted sums over clusters. Raises MienError for fewer than two
    clusters and without resamples: there is no interval then.
    """
    if clusters < 2 or resamples < 1:
        raise MienError(f"A cluster bootstrap needs two clusters and a resample; got {clusters} and {resamples}.")
    return np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples)


def _refuse_one(samples: int) -> None:
    """Every resample of one sample is that sample: the interval would have no width."""
    if samples < 2:
        raise MienError(f"A bootstrap needs two samples or more; got {samples}.")


@dataclass(frozen=True)
class McNemar:
    """Result of McNemar's test."""

    only_first: int
    """Samples that the first model alone got right."""
    only_second: int
    """Samples that the second model alone got right."""
    p_value: float
    """Two-sided."""
    method: Literal["exact binomial", "chi-square with continuity correction"]
    """How it was computed."""


def mcnemar(first: Bool[np.ndarray, " samples"], second: Bool[np.ndarray, " samples"]) -> McNemar:
    """McNemar's test of two models on the same samples (True: right). McNemar, Psychometrika 12(2), 1947.

    Exact below 25 discordant pairs, else chi-square with Edwards' continuity correction. Without any discordant pair
    the models cannot be told apart and p is 1.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape:
        raise MienError(f"McNemar's test needs the same samples in both models; got {len(first)} and {len(second)}.")
    a, b = int((first & ~second).sum()), int((second & ~first).sum())
    if a + b < EXACT_BELOW:
        return McNemar(a, b, _binomial_two_sided(min(a, b), a + b), "exact binomial")
    statistic = max(abs(a - b) - 1, 0) ** 2 / (a + b)
    return McNemar(a, b, math.erfc(math.sqrt(statistic / 2)), "chi-square with continuity correction")


def _binomial_two_sided(least: int, n: int) -> float:
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(least + 1)) / 2**n)


def _defined_values(drawn: np.ndarray, metric: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    try:
        return np.asarray(metric(drawn))
    except MienError:  # somewhere undefined: find out where, one by one
        values = []
        for matrix in drawn:
            try:
                values.append(float(metric(matrix)))
            except MienError:
                continue
        return np.array(values)


def percentiles(values: Float[np.ndarray, " resamples"], level: float = 0.95) -> Interval:
    """The interval between the outer quantiles of bootstrapped values."""
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high), level, "bootstrap percentile")
