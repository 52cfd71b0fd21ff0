"""The files of `mien summarize`: rows are written as their source ends, so memory holds one source and the groups."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mien.engine.reading.tables.measures import ASYMMETRY, Measures, shown
from mien.engine.reading.tables.summary import GroupMeasure, GroupTotals, Part
from mien.media.files import atomic_path, csv_writer, printable, write_text
from mien.metrics.moments import Moments
from mien.report.courses import Lane, course_figure, shares_figure
from mien.report.svg import Scene

SOURCES, GROUPS, COURSE, DESCRIPTION = "sources.csv", "groups.csv", "timecourse.csv", "summary.json"
SHARES_PLOT, VALUES_PLOT = "expressions", "values"
MOST_COURSES = 12  # videos whose time course is drawn
NOTE = "line: mean of each time bin; band: one standard deviation of single frames to both sides"
SUFFIXES = (".svg", ".png")
COURSE_PLOTS = tuple(f"timecourse_{number}" for number in range(1, MOST_COURSES + 1))
NAMES = (
    SOURCES, GROUPS, COURSE, DESCRIPTION,
    *(f"{name}{suffix}" for name in (SHARES_PLOT, VALUES_PLOT, *COURSE_PLOTS) for suffix in SUFFIXES),
)  # fmt: skip


class SummaryFiles:
    """As a context manager: each CSV appears whole when it ends without an error. bin_s: of the courses, 0 for none."""

    def __init__(
        self, folder: Path, measures: Measures, totals: GroupTotals, *, bin_s: float = 0.0, plots: bool = True
    ) -> None:
        self.folder, self.measures, self.totals = folder, measures, totals
        self.bin_s, self.plots = bin_s, plots
        self.written: list[str] = []
        """Names of the files."""
        self._stack = ExitStack()
        self._drawn = 0

    def __enter__(self) -> "SummaryFiles":
        self._sources = self._csv(SOURCES, self._source_header())
        self._bins = self._csv(COURSE, self._bin_header()) if self.bin_s else None
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    @staticmethod
    def values(part: Part, measures: Measures) -> Float[np.ndarray, " measures"]:
        """What a part says for its group: shares of its expressions, then its means."""
        return np.array([*part.values(measures.classes), *part.moments.mean[0].tolist()])

    def add(self, part: Part) -> None:
        """A source (or track): its rows, its group, its plot."""
        group = self.totals.add(part, self.values(part, self.measures)) or ""
        means, sds = part.moments.mean[0].tolist(), part.moments.sd[0].tolist()
        spread = [_cell(value) for pair in zip(means, sds, strict=True) for value in pair]
        shares = [_cell(value) for value in part.values(self.measures.classes)]
        times = [_cell(part.first_s), _cell(part.last_s)]
        track = "" if part.track is None else part.track
        name = printable(part.source)
        self._sources.writerow([name, track, group, part.faces, part.missing, *times, *shares, *spread])
        if self._bins is not None:
            for number in sorted(part.courses):
                moments = part.courses[number]
                count = int(moments.count.max(initial=0))
                cells = [name, track, group, f"{number * self.bin_s:.6g}", count]
                self._bins.writerow([*cells, *map(_cell, moments.mean[0].tolist())])
        if self.plots and len(part.courses) > 1 and self._drawn < MOST_COURSES:
            self._drawn += 1
            self._save(self._course(part), f"timecourse_{self._drawn}")

    def end(self, found: Sequence[GroupMeasure]) -> None:
        """The groups, and their plots."""
        header = ["group", "measure", "units", "mean", "sd_between_units", "low_95", "high_95"]
        groups = self._csv(GROUPS, header)
        for each in found:
            cells = map(_cell, (each.mean, each.sd, each.low, each.high))
            groups.writerow([each.group, each.name, each.units, *cells])
        if not self.plots:
            return
        shares = [each for each in found if each.name.startswith("share_")]
        values = [each for each in found if each.name in ("valence", "arousal", ASYMMETRY)]
        if shares:
            self._save(_bars(shares, "Share of expressions", percent=True), SHARES_PLOT)
        if values:
            self._save(_bars(values, "Means", percent=False), VALUES_PLOT)

    def write_description(self, described: dict[str, Any]) -> None:
        """summary.json."""
        write_text(self.folder / DESCRIPTION, json.dumps(described, indent=2, ensure_ascii=False) + "\n")
        self.written.append(DESCRIPTION)

    def _csv(self, name: str, header: Iterable[str]) -> Any:
        path = self._stack.enter_context(atomic_path(self.folder / name))
        file = self._stack.enter_context(path.open("w", encoding="utf-8", newline=""))
        assert isinstance(file, TextIOWrapper)
        self.written.append(name)
        writer = csv_writer(file)
        writer.writerow(header)
        return writer

    def _source_header(self) -> Iterator[str]:
        yield from ("source", "track_id", "group", "faces", "without_face", "first_s", "last_s")
        yield from (f"share_{name}" for name in self.measures.classes)
        for name in self.measures.names:
            yield from (f"{name}_mean", f"{name}_sd")

    def _bin_header(self) -> Iterator[str]:
        yield from ("source", "track_id", "group", "start_s", "faces", *self.measures.names)

    def _course(self, part: Part) -> Scene:
        """Of the expressions, and valence and arousal."""
        numbers = sorted(part.courses)
        times = (np.array(numbers) + 0.5) * self.bin_s
        joined = _joined([part.courses[number] for number in numbers])
        places = {name: i for i, name in enumerate(self.measures.names)}
        lanes = [
            Lane(shown(name), times, joined.mean[:, places[name]], joined.sd[:, places[name]], span)
            for names, span in (
                ([f"prob_{c}" for c in self.measures.classes], (0.0, 1.0)), (["valence", "arousal"], (-1.0, 1.0)),
            )
            for name in names
            if name in places
        ]  # fmt: skip
        track = "" if part.track is None else f", track {part.track}"
        return course_figure(lanes, title=f"{Path(part.source).name}{track}", gap_s=1.5 * self.bin_s, note=NOTE)

    def _save(self, scene: Scene, name: str) -> None:
        scene.png(self.folder / f"{name}.png")
        scene.save_svg(self.folder / f"{name}.svg")
        self.written += [f"{name}.svg", f"{name}.png"]


def _joined(parts: Sequence[Moments]) -> Moments:
    """Bins after one another."""
    whole = Moments(len(parts), parts[0].count.shape[1])
    for name in ("count", "sum", "squares", "least", "largest"):
        setattr(whole, name, np.concatenate([getattr(part, name) for part in parts]))
    return whole


def _bars(found: Sequence[GroupMeasure], title: str, *, percent: bool) -> Scene:
    bars: dict[str, list[tuple[str, float, float, float]]] = {}
    for each in found:
        name = shown(each.name.removeprefix("share_"))
        bars.setdefault(name, []).append((each.group, each.mean, each.low, each.high))
    return shares_figure(bars, title=title, percent=percent)


def _cell(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""
