"""Two models on the same faces: paired differences with intervals, for every kind of output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mien.core.errors import MienError
from mien.engine.evaluation.options import Bootstrap
from mien.metrics.significance import Interval, bootstrap_means, percentiles


@dataclass(frozen=True)
class Difference:
    """A metric of the second model minus that of the first."""

    name: str
    """Of the metric, or of the kind of crop that it was computed on."""
    first: float
    """Of the first model."""
    second: float
    """Of the second model."""
    interval: Interval | None
    """Of the difference, by a paired bootstrap; None of one face."""
    n: int
    """Faces."""

    @property
    def value(self) -> float:
        """Second minus first."""
        return self.second - self.first


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The differences between two models on the faces that both predicted."""

    first: str
    """Name of the first model."""
    second: str
    """Name of the second model."""
    n: int
    """Faces."""
    differences: tuple[Difference, ...]
    """The main metric first."""
    metric: str = ""
    """Name of the main metric, where its difference is named otherwise."""
    larger_is_better: bool = True
    """Of the main metric."""
    in_percent: bool = False
    """Whether the metrics are shares, written in percent."""
    decimals: int = 3
    """Written of a metric."""

    @property
    def lines(self) -> list[str]:
        """What a person should read below the table of differences."""
        return [self.verdict]

    @property
    def verdict(self) -> str:
        """One sentence: which model is better by the main metric, if that is beyond chance."""
        main = self.differences[0]
        metric = f"{self.metric}, {main.name}" if self.metric else main.name
        if main.interval is None or main.interval.low <= 0 <= main.interval.high:
            return f"The two cannot be told apart on these {self.n:,} faces ({metric})."
        better = self.second if (main.value > 0) == self.larger_is_better else self.first
        return f"{better} is better: {metric} differs by {self.written(abs(main.value))}."

    def written(self, value: float) -> str:
        """`34.7%` or `0.347`."""
        return f"{value:.{self.decimals}%}" if self.in_percent else f"{value:.{self.decimals}f}"

    def written_difference(self, value: float) -> str:
        """`+1.2`, in points where the metric is a share, or `+0.012`."""
        return f"{100 * value if self.in_percent else value:+.{self.decimals}f}"


def mean_differences(
    first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray], bootstrap: Bootstrap
) -> tuple[Difference, ...]:
    """Of the mean of each column [faces], the same faces in both; the same faces are drawn for every column."""
    return tuple(_mean_difference(name, values, second[name], bootstrap) for name, values in first.items())


def _mean_difference(name: str, first: np.ndarray, second: np.ndarray, bootstrap: Bootstrap) -> Difference:
    plain = Difference(name, float(first.mean()), float(second.mean()), None, len(first))
    if plain.n < 2:
        return plain
    drawn = bootstrap_means((second - first)[:, None], resamples=bootstrap.resamples, seed=bootstrap.seed)[:, 0]
    return replace(plain, interval=percentiles(drawn))


def places_in_second(first: Sequence[str], second: Sequence[str], names: tuple[str, str]) -> list[int]:
    """For each key of the first its place in the second. Raises MienError where the two have different faces."""
    places = {key: i for i, key in enumerate(second)}
    only_first, only_second = set(first) - places.keys(), places.keys() - set(first)
    if only_first or only_second:
        example = sorted(only_first or only_second)[0]
        raise MienError(
            f"Two models compare only on the same samples: {len(only_first)} are only in {names[0]}, "
            f"{len(only_second)} only in {names[1]} ({example}, ...). Evaluate both on one data set and split."
        )
    return [places[key] for key in first]
