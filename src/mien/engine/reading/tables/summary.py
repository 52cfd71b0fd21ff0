"""What a table says of each source (and track), gathered in one pass; and of groups of sources, with intervals.

Frames of one video are near-copies of one another: an interval over frames would shrink with the frame rate. So each
source counts once, by its mean, and intervals draw whole sources (or whole people, --unit) with replacement.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.engine.reading.tables.groups import Groups
from mien.engine.reading.tables.measures import Measures, stretches
from mien.media.tables.stored import StoredTable
from mien.metrics.moments import Moments
from mien.metrics.significance import bootstrap_means, percentiles
from mien.runtime.formats.source import TRACK, tracked

LEVEL = 0.95


@dataclass(eq=False)
class Part:
    """One source, or one track of it."""

    source: str
    """The file."""
    track: int | None
    """None where faces were not followed."""
    moments: Moments
    """Over its faces, one bin."""
    classes: Counter[str] = field(default_factory=Counter)
    """Faces by expression."""
    faces: int = 0
    """Rows with a face."""
    missing: int = 0
    """Rows without one; of a source with tracks, of the first part alone."""
    first_s: float = np.inf
    """Time of its first face."""
    last_s: float = -np.inf
    """Time of its last face."""
    courses: dict[int, Moments] = field(default_factory=dict)
    """By number of the time bin."""

    def values(self, classes: Sequence[str]) -> list[float]:
        """Share of the faces of each class."""
        return [self.classes[name] / self.faces if self.faces else np.nan for name in classes]


def parts_of(table: StoredTable, measures: Measures, *, bin_s: float = 0.0) -> Iterator[Part]:
    """Each source, or track, once all its rows have passed, in the table's order. bin_s: of time courses, 0 for none.

    Raises MienError where a source's rows do not stand together.
    """
    table.require("source", "success", "frame")
    open_: dict[int | None, Part] = {}
    source, closed = None, set[str]()
    for rows in table.batches():
        values, success = measures.of(rows), rows.numbers("success") > 0
        times = rows.numbers("timestamp") if "timestamp" in table.names else np.full(rows.count, np.nan)
        tracks = rows.numbers(TRACK) if tracked(table) else None
        names = rows.texts("expression") if measures.classes else [None] * rows.count
        sources = rows.texts("source")
        for start, end in stretches(sources):
            if sources[start] != source:
                yield from _sorted(open_)
                source, open_ = sources[start], {}
                if source in closed:
                    raise MienError(f"{table.path}: the rows of {source} do not stand together. Sort them by source.")
                closed.add(source or "")
            chosen = slice(start, end)
            block = _Block(values[chosen], success[chosen], times[chosen], names[chosen], bin_s)
            block.add_to(open_, source or "", None if tracks is None else tracks[chosen])
    yield from _sorted(open_)


def _sorted(found: Mapping[int | None, Part]) -> list[Part]:
    return [found[key] for key in sorted(found, key=lambda track: -1 if track is None else track)]


@dataclass(frozen=True, eq=False)
class _Block:
    """Rows of one source."""

    values: Float[np.ndarray, "rows measures"]
    success: np.ndarray
    times: Float[np.ndarray, " rows"]
    names: Sequence[str | None]
    bin_s: float

    def add_to(self, parts: dict[int | None, Part], source: str, tracks: np.ndarray | None) -> None:
        keys: list[int | None] = [None]
        if tracks is not None:
            keys = [*(int(track) for track in np.unique(tracks[self.success & np.isfinite(tracks)])), None]
            keys = keys[: len(keys) - (len(keys) > 1 and not (self.success & np.isnan(tracks)).any())]
        for key in keys:
            chosen = self.success & (True if tracks is None else np.isnan(tracks) if key is None else tracks == key)
            if key not in parts:
                parts[key] = Part(source, key, Moments(1, self.values.shape[1]))
            self._add(parts[key], np.flatnonzero(chosen))
        next(iter(parts.values())).missing += int((~self.success).sum())

    def _add(self, part: Part, faces: np.ndarray) -> None:
        if not len(faces):
            return
        part.faces += len(faces)
        part.moments.add(np.zeros(len(faces), np.int64), self.values[faces])
        part.classes.update(name for i in faces.tolist() if (name := self.names[i]) is not None)
        times = self.times[faces]
        if np.isfinite(times).any():
            part.first_s, part.last_s = min(part.first_s, np.nanmin(times)), max(part.last_s, np.nanmax(times))
            if self.bin_s:
                self._add_bins(part, faces[np.isfinite(times)])

    def _add_bins(self, part: Part, faces: np.ndarray) -> None:
        bins = np.floor(self.times[faces] / self.bin_s).astype(np.int64)
        for number in np.unique(bins).tolist():
            if number not in part.courses:
                part.courses[number] = Moments(1, self.values.shape[1])
            chosen = faces[bins == number]
            part.courses[number].add(np.zeros(len(chosen), np.int64), self.values[chosen])


@dataclass(frozen=True, eq=False)
class GroupMeasure:
    """One measure of one group."""

    group: str
    """Its name."""
    name: str
    """Of the measure: a column, or share_CLASS."""
    units: int
    """Sources, or people, with this measure."""
    mean: float
    """Over the units, each counted once."""
    sd: float
    """Between the units; NaN of one alone."""
    low: float
    """Lower end of the interval; NaN of fewer than two units."""
    high: float
    """Upper end."""


class GroupTotals:
    """Collects what each unit of each group says: its mean over its parts, each part counted once."""

    def __init__(self, groups: Groups, names: Sequence[str]) -> None:
        self.groups, self.names = groups, tuple(names)
        self.unknown: list[str] = []
        """Sources that --groups does not name."""
        self.faces: Counter[str] = Counter()
        """By group."""
        self._sums: dict[str, dict[str, np.ndarray]] = defaultdict(dict)

    def add(self, part: Part, values: Float[np.ndarray, " measures"]) -> str | None:
        """The part's group; None where the CSV does not name it."""
        row = self.groups.find(part.source, "" if part.track is None else str(part.track))
        group = self.groups.group(row)
        if group is None:
            self.unknown.append(part.source)
            return None
        self.faces[group] += part.faces
        unit = self._sums[group].setdefault(
            self.groups.unit_of(row, part.source), np.zeros((2, len(values)), np.float64)
        )
        known = np.isfinite(values)
        unit[0] += np.where(known, values, 0.0)
        unit[1] += known
        return group

    def measures(self) -> Iterator[GroupMeasure]:
        """Of each group, in the order in which they came. Raises MienError where no source is in a group."""
        if not self._sums and not self.unknown:
            raise MienError("The table has no rows, so there is nothing to summarize.")
        if not self._sums:
            raise MienError(
                f"--groups names none of the table's sources, such as {self.unknown[0]!r}. Its column source holds "
                "file names."
            )
        for group, units in self._sums.items():
            sums = np.stack(list(units.values()))
            means = np.divide(sums[:, 0], sums[:, 1], out=np.full_like(sums[:, 0], np.nan), where=sums[:, 1] > 0)
            yield from _measures(group, self.names, means)


def _measures(group: str, names: Sequence[str], means: Float[np.ndarray, "units measures"]) -> list[GroupMeasure]:
    """Measures that the same units have are drawn together."""
    known = np.isfinite(means)
    alike: dict[bytes, list[int]] = defaultdict(list)
    for i in range(len(names)):
        alike[known[:, i].tobytes()].append(i)
    found = {}
    for places in alike.values():
        values = means[known[:, places[0]]][:, places]
        count, nothing = len(values), np.full(len(places), np.nan)
        drawn = bootstrap_means(values, resamples=_resamples(count)) if count > 1 else None
        spread = values.std(axis=0, ddof=1) if count > 1 else nothing
        for k, i in enumerate(places):
            mean = float(values[:, k].mean()) if count else np.nan
            interval = percentiles(drawn[:, k], LEVEL) if drawn is not None else None
            low, high = (interval.low, interval.high) if interval else (np.nan, np.nan)
            found[i] = GroupMeasure(group, names[i], count, mean, float(spread[k]), low, high)
    return [found[i] for i in range(len(names))]


def _resamples(units: int) -> int:
    """Fewer of very many units, whose interval hardly varies from draw to draw: 2,000 up to 5,000 units."""
    return int(np.clip(10_000_000 // units, 200, 2000))
