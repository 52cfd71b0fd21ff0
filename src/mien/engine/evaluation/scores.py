"""Scores: a metric's value with its interval, as reports show it and metrics.jsonl keeps it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError
from mien.engine.evaluation.options import Bootstrap
from mien.media.files import write_text
from mien.metrics.significance import bootstrap_means, bootstrap_samples, percentiles, wilson_interval

NO_INTERVAL = "no interval: one sample"


@dataclass(frozen=True)
class Score:
    """One metric, with its interval where one was asked for."""

    metric: str
    """Name, which carries the protocol."""
    value: float | None
    """None where the metric is undefined; `note` says why."""
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end of the interval."""
    level: float = 0.95
    """Probability with which the interval covers the true value."""
    method: str = ""
    """How the interval was computed; shares of few samples have Wilson's, everything else a bootstrap over faces."""
    n: int = 0
    """Samples that the value was computed from."""
    note: str = ""
    """Why the metric is undefined, or what was left out."""


def value_of(scores: Sequence[Score], metric: str) -> Score:
    """The score of that name."""
    return next(s for s in scores if s.metric == metric)


def mean_scores(columns: Mapping[str, np.ndarray], bootstrap: Bootstrap) -> list[Score]:
    """The mean of each column [faces], by name; intervals from the same resampled faces."""
    if not columns:
        return []
    values = np.stack(list(columns.values()), axis=-1)
    scores = [Score(name, float(v), n=len(values)) for name, v in zip(columns, values.mean(0), strict=True)]
    if not bootstrap.resamples:
        return scores
    if len(values) < 2:
        return [replace(score, note=NO_INTERVAL) for score in scores]
    drawn = bootstrap_means(values, resamples=bootstrap.resamples, seed=bootstrap.seed)
    return [replace(s, **asdict(percentiles(column))) for s, column in zip(scores, drawn.T, strict=True)]


def statistic_score(metric: str, statistic: Callable[[np.ndarray], float], *, n: int, bootstrap: Bootstrap) -> Score:
    """A statistic of face indices (int [n]); value None where it raises MienError.

    Without an interval, and with a note, where the statistic is undefined in a resample.
    """
    try:
        plain = Score(metric, statistic(np.arange(n)), n=n)
    except MienError as error:
        return Score(metric, None, n=n, note=str(error))
    if not bootstrap.resamples:
        return plain
    try:
        interval = bootstrap_samples(statistic, n, resamples=bootstrap.resamples, seed=bootstrap.seed)
    except MienError as error:
        return replace(plain, note=f"no interval: {error}")
    return replace(plain, **asdict(interval))


def share_score(metric: str, count: int, n: int, *, intervals: bool = True, note: str = "") -> Score:
    """A share of n faces, with Wilson's interval."""
    plain = Score(metric, count / n, n=n, note=note)
    return replace(plain, **asdict(wilson_interval(count, n))) if intervals else plain


def write_scores(path: Path, lines: Sequence[tuple[Score, Mapping[str, Any]]]) -> None:
    """metrics.jsonl: one line a metric, each with all that says what was measured."""
    text = (json.dumps(asdict(score) | dict(common), ensure_ascii=False) + "\n" for score, common in lines)
    write_text(path, "".join(text))
