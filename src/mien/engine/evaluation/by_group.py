"""`mien evaluate --by COLUMN`: metrics of each group of faces with intervals, and the largest difference of two groups.

Groups come from the data set (subject, clip, affected, voice_expression) or from a table that names faces by path. A
numeric column of many values is divided at its quartiles.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mien.core.errors import MienError, nearest
from mien.core.records import Sample
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.scores import Score
from mien.media.csv_text import MISSING, given_rows
from mien.media.files import home_expanded, write_csv
from mien.metrics.significance import percentiles

COLUMNS = ("subject", "clip", "affected", "voice_expression")
"""Fields of Sample that make groups."""
PATHS = ("key", "path", "file", "image", "filename")
"""Names of the column of a table that says which face a row is of."""
UNKNOWN = "unknown"
MOST_GROUPS = 40
LEAST_FACES = 10  # of a group that counts for the largest difference
_MANY_NUMBERS = 12  # different values, above which a numeric column is divided
_METHOD = "bootstrap over the faces of the group, percentile"


@dataclass(frozen=True)
class Statistic:
    """A metric of any subset of the measured faces."""

    keys: tuple[str, ...]
    """Of the faces, in the order that `value` counts them."""
    value: Callable[[np.ndarray], float]
    """Of face indices, int [n]; may raise MienError where it is undefined."""
    strata: np.ndarray | None = None
    """A number for each face: resamples keep the size of each, as averages over classes need it; None draws freely."""


@dataclass(frozen=True)
class GroupTable:
    """Metrics by group."""

    column: str
    """What divides the faces."""
    metrics: tuple[str, ...]
    """In order."""
    rows: dict[str, list[Score]]
    """Group to its scores, one a metric."""
    largest: list[Score] = field(default_factory=list)
    """For each metric the largest difference between two groups; none with fewer than two groups of LEAST_FACES."""

    @property
    def scores(self) -> list[Score]:
        """`METRIC/COLUMN/GROUP`, then `METRIC/COLUMN/largest_difference`."""
        named = [
            replace(score, metric=f"{score.metric}/{self.column}/{group}")
            for group, scores in self.rows.items() for score in scores
        ]  # fmt: skip
        return named + [replace(s, metric=f"{s.metric}/{self.column}/largest_difference") for s in self.largest]


def groups_of(samples: Sequence[Sample], column: str, table: str = "") -> dict[str, str]:
    """Key of each face to its group; faces without a value are `unknown`.

    table: CSV with a column that names the faces; empty takes the fields of the samples. Raises MienError for a column
    that is not there, for a table that names none of the faces, and for more than MOST_GROUPS groups.
    """
    values = _of_table(samples, column, table) if table else _of_samples(samples, column)
    found = _divided(values) if _is_numeric(values) else {key: value or UNKNOWN for key, value in values.items()}
    if len(count := Counter(found.values())) > MOST_GROUPS:
        raise MienError(f"--by {column} makes {len(count)} groups; at most {MOST_GROUPS} are compared.")
    return found


def group_table(
    column: str, groups: Mapping[str, str], statistics: Mapping[str, Statistic], bootstrap: Bootstrap
) -> GroupTable:
    """Every statistic of every group, in the order of the groups' names; the unknown last."""
    names = sorted(set(groups.values()), key=lambda name: (name == UNKNOWN, name))
    rows: dict[str, list[Score]] = {name: [] for name in names}
    largest = []
    for metric, statistic in statistics.items():
        places = {
            name: np.array([i for i, key in enumerate(statistic.keys) if groups.get(key, UNKNOWN) == name], int)
            for name in names
        }
        drawn = {name: _drawn(statistic, indices, bootstrap) for name, indices in places.items()}
        for name, indices in places.items():
            rows[name].append(_score(metric, statistic, indices, drawn[name]))
        known = {name: rows[name][-1] for name, indices in places.items() if len(indices) >= LEAST_FACES}
        largest += _largest(metric, known, drawn)
    kept = {name: scores for name, scores in rows.items() if any(score.n for score in scores)}
    return GroupTable(column, tuple(statistics), kept, largest)


def write_groups(folder: Path, table: GroupTable) -> None:
    """groups.csv: a row for each group and metric, and the largest differences."""
    header = ["column", "group", "metric", "value", "low", "high", "n", "note"]
    named = [(group, score) for group, scores in table.rows.items() for score in scores]
    named += [("largest_difference", score) for score in table.largest]
    cells = [(table.column, group, s.metric, s.value, s.low, s.high, s.n, s.note) for group, s in named]
    write_csv(folder / "groups.csv", header, (["" if cell is None else cell for cell in row] for row in cells))


def _of_samples(samples: Sequence[Sample], column: str) -> dict[str, str | None]:
    present = [name for name in COLUMNS if any(getattr(sample, name) is not None for sample in samples)]
    if column not in present:
        known = f"these data have: {', '.join(present)}" if present else "these data have no column of groups"
        close = nearest(column, present) if present else ""
        raise MienError(
            f"--by {column}: {known}.{close if 'Did you mean' in close else ''} Name a table with it: --groups "
            "FILE.csv."
        )
    values = {sample.key: getattr(sample, column) for sample in samples}
    return {key: None if value is None else str(value) for key, value in values.items()}


def _named(cell: str) -> str:
    return "" if cell.strip() in MISSING else cell.strip()


def _of_table(samples: Sequence[Sample], column: str, table: str) -> dict[str, str | None]:
    path = home_expanded(table)
    if not path.is_file():
        raise MienError(f"--groups: there is no file {path}.")
    rows = list(given_rows(path, "--groups"))
    present = [name for name in (rows[0] if rows else {}) if name]
    place = next((name for name in PATHS if name in present), None)
    if place is None:
        raise MienError(f"--groups: {path} needs a column {', '.join(PATHS[:-1])} or {PATHS[-1]} that names the faces.")
    others = [name for name in present if name != place]
    if column not in others:
        raise MienError(f"--by {column}: {path} has the columns {', '.join(others) or 'of paths alone'}.")
    named = {str(row[place]).replace("\\", "/"): _named(row[column]) for row in rows}
    found = {sample.key: _cell(named, sample) for sample in samples}
    if not any(value is not None for value in found.values()):
        raise MienError(f"--groups: {path} names none of these {len(samples):,} faces, such as {samples[0].key!r}.")
    return found


def _cell(named: Mapping[str, str], sample: Sample) -> str | None:
    """By key, whole path, or file name, in this order."""
    return next((named[n] for n in (sample.key, sample.path.as_posix(), sample.path.name) if n in named), None)


def _is_numeric(values: Mapping[str, str | None]) -> bool:
    known = {value for value in values.values() if value}
    try:
        numbers = {float(value) for value in known}
    except ValueError:
        return False
    return len(numbers) > _MANY_NUMBERS


def _divided(values: Mapping[str, str | None]) -> dict[str, str]:
    """In quarters, named by their least and largest value."""
    numbers = {key: float(value) for key, value in values.items() if value}
    edges = np.unique(np.quantile(list(numbers.values()), [0.25, 0.5, 0.75]))
    quarter = {key: int(np.searchsorted(edges, number, side="left")) for key, number in numbers.items()}
    ranges = {q: [n for key, n in numbers.items() if quarter[key] == q] for q in set(quarter.values())}
    names = {q: f"{min(inside):g} to {max(inside):g}" for q, inside in ranges.items()}
    return {key: names[quarter[key]] if key in quarter else UNKNOWN for key in values}


def _drawn(statistic: Statistic, indices: np.ndarray, bootstrap: Bootstrap) -> np.ndarray:
    """The statistic in each resample of the group, NaN where it is undefined; empty without resamples."""
    if not bootstrap.resamples or len(indices) < 2:
        return np.zeros(0)
    rng = np.random.default_rng(bootstrap.seed)
    strata = np.zeros(len(indices), int) if statistic.strata is None else statistic.strata[indices]
    parts = [indices[strata == each] for each in np.unique(strata)]
    return np.array([
        _value(statistic, np.concatenate([rng.choice(part, len(part)) for part in parts]), float("nan"))
        for _ in range(bootstrap.resamples)
    ])  # fmt: skip


def _value(statistic: Statistic, indices: np.ndarray, undefined: float) -> float:
    try:
        return statistic.value(indices)
    except MienError:
        return undefined


def _score(metric: str, statistic: Statistic, indices: np.ndarray, drawn: np.ndarray) -> Score:
    if not len(indices):
        return Score(metric, None, note="no face")
    try:
        plain = Score(metric, statistic.value(indices), n=len(indices))
    except MienError as error:
        return Score(metric, None, n=len(indices), note=str(error))
    return _with_interval(plain, drawn)


def _with_interval(plain: Score, drawn: np.ndarray) -> Score:
    known = drawn[~np.isnan(drawn)]
    if len(known) < 0.95 * len(drawn) or not len(known):
        return plain
    interval = percentiles(known)
    return replace(plain, low=interval.low, high=interval.high, method=_METHOD)


def _largest(metric: str, scores: Mapping[str, Score], drawn: Mapping[str, np.ndarray]) -> list[Score]:
    values = {name: score.value for name, score in scores.items() if score.value is not None}
    if len(values) < 2:
        return []
    high, low = (choose(values, key=lambda name: values[name]) for choose in (max, min))
    n = min(scores[high].n, scores[low].n)
    plain = Score(metric, values[high] - values[low], n=n, note=f"{high} minus {low}")
    both = len(drawn[high]) == len(drawn[low])
    return [_with_interval(plain, drawn[high] - drawn[low] if both else np.zeros(0))]
