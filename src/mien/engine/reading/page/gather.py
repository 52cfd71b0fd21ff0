"""What the page of a run shows, gathered from its table in one pass; memory does not grow with the videos' length."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mien.core.records import Box
from mien.engine.reading.tables.groups import Groups
from mien.engine.reading.tables.measures import Measures, stretches
from mien.engine.reading.tables.summary import GroupMeasure, GroupTotals, Part
from mien.media.tables.stored import Rows, StoredTable
from mien.metrics.moments import Course, Moments
from mien.runtime.formats.source import tracked
from mien.runtime.tables import TRACK

MOST_VIDEOS = 8  # with time courses; further ones are in the list of sources
MOST_TRACKS = 4  # of a video, those with the most faces
OPEN_TRACKS = 16  # of a video whose courses are kept while it is read
MOST_SOURCES = 200  # in the list
BEST_PICTURES = 4  # of each expression, over all photos
_BOX = ("box_x0", "box_y0", "box_x1", "box_y1")


@dataclass(frozen=True)
class Best:
    """The face that shows an expression with the highest probability, in a video or among the photos."""

    source: str
    """The file."""
    frame: int
    """Of a video; 0 for a photo."""
    time_s: float | None
    """None for a photo."""
    expression: str
    """The most probable class."""
    share: float
    """Its probability."""
    box: Box | None
    """In pixels of the upright picture."""
    track: int | None
    """None where faces were not followed."""


@dataclass(eq=False)
class Track:
    """One face over a video, or all faces of a video in which none was followed."""

    number: int | None
    """None where faces were not followed."""
    course: Course
    """Of all measures."""
    faces: int = 0
    """Rows."""


@dataclass(eq=False)
class Source:
    """A video or a photo."""

    name: str
    """The file."""
    video: bool = False
    """Whether its rows have times."""
    frames: int = 0
    """Frames, or 1; a frame without a face is one too."""
    faces: int = 0
    """Rows with a face."""
    missing: int = 0
    """Frames without a face."""
    last_s: float = 0.0
    """Time of its last frame."""
    total: Moments | None = None
    """Over its faces, one bin."""
    classes: Counter[str] = field(default_factory=Counter)
    """Faces by expression."""
    tracks: dict[int | None, Track] = field(default_factory=dict)
    """By number; of videos only."""
    track_numbers: set[int] = field(default_factory=set)
    """Of all tracks, also those whose course was let go."""
    best: dict[str, Best] = field(default_factory=dict)
    """By expression."""


@dataclass(eq=False)
class RunFacts:
    """Of the whole run."""

    measures: Measures
    """The columns that can be averaged."""
    videos: list[Source] = field(default_factory=list)
    """The first MOST_VIDEOS."""
    sources: list[tuple[str, int, int, int, str]] = field(default_factory=list)
    """Of the first MOST_SOURCES: name, frames, faces, without a face, expressions."""
    best: dict[str, list[Best]] = field(default_factory=dict)
    """Of photos, by expression, the most probable first."""
    classes: Counter[str] = field(default_factory=Counter)
    """Faces by expression."""
    notes: Counter[str] = field(default_factory=Counter)
    """Why rows have no face, and remarks; of the first hundred different ones."""
    means: list[GroupMeasure] = field(default_factory=list)
    """Over sources."""
    overall: Moments | None = None
    """Over all faces, one bin."""
    rows: int = 0
    """Of the table."""
    faces: int = 0
    """Rows with a face."""
    frames: int = 0
    """Photos and frames."""
    missing: int = 0
    """Photos and frames without a face."""
    video_count: int = 0
    """Videos."""
    photo_count: int = 0
    """Photos."""
    seconds: float = 0.0
    """Of all videos."""


def gather(table: StoredTable) -> RunFacts:
    """Reads the table once. Raises MienError for a table that is not of faces."""
    table.require("source", "frame", "timestamp", "success", *_BOX)
    facts = RunFacts(Measures(table))
    facts.overall = Moments(1, len(facts.measures.names))
    totals = GroupTotals(Groups((), "", {}), _names(facts.measures))
    last: Source | None = None
    for rows in table.batches():
        block = _Block(table, facts.measures, rows)
        facts.rows += rows.count
        facts.notes.update(block.notes if len(facts.notes) < 100 else ())
        for start, end in stretches(block.sources):
            name = block.sources[start] or ""
            if last is None or last.name != name:
                _close(facts, totals, last)
                last = Source(name, total=Moments(1, len(facts.measures.names)))
            block.add(facts, last, np.arange(start, end))
    _close(facts, totals, last)
    facts.means = list(totals.measures()) if facts.rows else []
    return facts


def _names(measures: Measures) -> list[str]:
    return [*(f"share_{name}" for name in measures.classes), *measures.names]


def _close(facts: RunFacts, totals: GroupTotals, source: Source | None) -> None:
    """A source whose rows have all passed."""
    if source is None:
        return
    facts.faces, facts.frames = facts.faces + source.faces, facts.frames + source.frames
    facts.missing, facts.classes = facts.missing + source.missing, facts.classes + source.classes
    shares = [source.classes[n] / source.faces if source.faces else np.nan for n in facts.measures.classes]
    assert source.total is not None
    part = Part(source.name, None, source.total, faces=source.faces)
    totals.add(part, np.array([*shares, *source.total.mean[0].tolist()]))
    if len(facts.sources) < MOST_SOURCES:
        shown = ", ".join(f"{name} {count}" for name, count in source.classes.most_common(3))
        facts.sources.append((source.name, source.frames, source.faces, source.missing, shown))
    if source.video:
        facts.video_count, facts.seconds = facts.video_count + 1, facts.seconds + source.last_s
        if len(facts.videos) < MOST_VIDEOS:
            largest = sorted(source.tracks.values(), key=lambda track: -track.faces)[:MOST_TRACKS]
            source.tracks = {track.number: track for track in largest}
            facts.videos.append(source)
    else:
        facts.photo_count += 1
        for name, best in source.best.items():
            kept = sorted([*facts.best.get(name, []), best], key=lambda each: -each.share)
            facts.best[name] = kept[:BEST_PICTURES]


class _Block:
    """A batch of rows."""

    def __init__(self, table: StoredTable, measures: Measures, rows: Rows) -> None:
        self.sources = rows.texts("source")
        self.values, self.success = measures.of(rows), rows.numbers("success") > 0
        self.times, self.frames = rows.numbers("timestamp"), rows.numbers("frame")
        self.tracks = rows.numbers(TRACK) if tracked(table) else None
        self.boxes = np.stack([rows.numbers(edge) for edge in _BOX], axis=1)
        self.expressions = rows.texts("expression") if measures.classes else [None] * rows.count
        self.places = {name: i for i, name in enumerate(measures.names)}
        self.notes = [note for note in rows.texts("note") if note] if "note" in table.names else []

    def add(self, facts: RunFacts, source: Source, at: np.ndarray) -> None:
        """Rows of one source."""
        faces, times = at[self.success[at]], self.times[at]
        assert facts.overall is not None and source.total is not None
        source.video = source.video or bool(np.isfinite(times).any())
        source.frames += len(np.unique(self.frames[at]))  # a frame on both sides of a batch counts twice
        source.faces, source.missing = source.faces + len(faces), source.missing + len(at) - len(faces)
        if source.video:
            source.last_s = max(source.last_s, float(np.nanmax(times)))
        if not len(faces):
            return
        for moments in (facts.overall, source.total):
            moments.add(np.zeros(len(faces), np.int64), self.values[faces])
        source.classes.update(name for i in faces.tolist() if (name := self.expressions[i]) is not None)
        for number, chosen in self._by_track(faces) if source.video else ():
            self._add_track(facts, source, number, chosen)
        self._add_best(source, faces)

    def _by_track(self, faces: np.ndarray) -> Iterator[tuple[int | None, np.ndarray]]:
        if self.tracks is None:
            yield None, faces
            return
        tracks = self.tracks[faces]
        for number in np.unique(tracks[np.isfinite(tracks)]).tolist():
            yield int(number), faces[tracks == number]
        if np.isnan(tracks).any():
            yield None, faces[np.isnan(tracks)]

    def _add_track(self, facts: RunFacts, source: Source, number: int | None, chosen: np.ndarray) -> None:
        if number is not None:
            source.track_numbers.add(number)
        if number not in source.tracks:
            if len(source.tracks) == OPEN_TRACKS:
                del source.tracks[min(source.tracks.values(), key=lambda track: track.faces).number]
            source.tracks[number] = Track(number, Course(self.values.shape[1]))
        track = source.tracks[number]
        track.faces += len(chosen)
        track.course.add(np.nan_to_num(self.times[chosen]), self.values[chosen])

    def _add_best(self, source: Source, faces: np.ndarray) -> None:
        names: Sequence[str | None] = [self.expressions[i] for i in faces.tolist()]
        for name in {name for name in names if name is not None}:
            if (place := self.places.get(f"prob_{name}")) is None:
                continue
            own = faces[[each == name for each in names]]
            i = int(own[np.argmax(self.values[own, place])])
            share = float(self.values[i, place])
            if name not in source.best or share > source.best[name].share:
                source.best[name] = self._best(source, i, name, share)

    def _best(self, source: Source, i: int, name: str, share: float) -> Best:
        time = None if np.isnan(self.times[i]) else float(self.times[i])
        track = None if self.tracks is None or np.isnan(self.tracks[i]) else int(self.tracks[i])
        box: Any = tuple(self.boxes[i].tolist()) if np.isfinite(self.boxes[i]).all() else None
        return Best(source.name, int(self.frames[i]), time, name, share, box, track)
