"""What `mien analyze` has read so far: numbers for its summary and its sidecar, and what a resumed run skips."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from mien.core.records import Reading
from mien.engine.reading.video_state import VideoState
from mien.media.tables import read_rows

NAMED = 5  # reasons that the summary names
DAMAGES_LISTED = 100  # in the sidecar


@dataclass(eq=False)
class Counts:
    """Numbers only, however many pictures are read."""

    rows: int = 0
    """Of the table."""
    pictures: int = 0
    """Pictures and frames with at least one row; files that could not be read among them."""
    faces: int = 0
    """Rows with a face."""
    empty: int = 0
    """Pictures and frames without a face."""
    unreadable: int = 0
    """Files that could not be read."""
    reasons: list[str] = field(default_factory=list)
    """Why not, of the first few."""
    expressions: Counter[str] = field(default_factory=Counter)
    """Faces by expression."""
    damages: list[dict[str, Any]] = field(default_factory=list)
    """Damaged places of videos: source, frame, note; the first hundred."""
    damaged: int = 0
    """How many there are."""

    def add(self, readings: Iterable[Reading], *, readable: bool = True, note: str = "") -> None:
        """The rows of one picture or frame. note: of a damaged place of a video."""
        rows = list(readings)
        faces = [row for row in rows if row.success]
        self.rows += len(rows)
        self.pictures += 1
        self.faces += len(faces)
        self.empty += readable and not faces
        self.expressions.update(row.expression for row in faces if row.expression is not None)
        if not readable:
            self.add_unreadable(rows[0].note)
        if note:
            self.add_damage(rows[0].source, rows[0].frame, note)

    def add_unreadable(self, reason: str) -> None:
        """A file."""
        self.unreadable += 1
        self.reasons += [reason] if len(self.reasons) < NAMED else []

    def add_damage(self, source: str, frame: int, note: str) -> None:
        """A place of a video."""
        self.damaged += 1
        if len(self.damages) < DAMAGES_LISTED:
            self.damages.append({"source": source, "frame": frame, "note": note})


@dataclass(eq=False)
class Stored:
    """What the rows of an earlier start of the same run hold."""

    counts: Counts = field(default_factory=Counts)
    """Of all its rows."""
    sources: dict[str, None] = field(default_factory=dict)
    """Files that need no second reading, as the table names them and in its order; the last one may be half read."""
    last: str = ""
    """The file of the last row."""
    last_frame: int | None = None
    """The last frame of a video that may be half read; None where the last row is of a picture, or of a video's end."""
    rows_before_last: int = 0
    """Before the first row of the last file."""
    pictures_before_last: int = 0
    """The same in pictures and frames."""
    resumed: VideoState | None = None
    """Where the last file, a half-read video, goes on; None where it does not."""


def stored(path: Path, no_face: str, no_voice: str) -> Stored:
    """Of a table of readings, row by row.

    no_face, no_voice: how the notes begin of a picture without a face, and of a face that a network lacked a voice for.
    """
    found = Stored()
    for (source, frame), group in groupby(read_rows(path), key=lambda row: (row["source"], row["frame"])):
        rows = list(group)
        if source != found.last:
            found.rows_before_last, found.last = found.counts.rows, source
            found.pictures_before_last = found.counts.pictures
        found.sources[source] = None
        found.last_frame = int(frame) if rows[0]["timestamp"] else None
        _add(found.counts, rows, no_face, no_voice)
    return found


def _add(counts: Counts, rows: list[dict[str, str]], no_face: str, no_voice: str) -> None:
    first = rows[0]
    faces = [row for row in rows if row["success"] == "1"]
    readable = bool(faces) or first["note"].startswith(no_face)
    counts.rows += len(rows)
    counts.pictures += 1
    counts.faces += len(faces)
    counts.empty += readable and not faces
    counts.expressions.update(row["expression"] for row in faces if row.get("expression"))
    if not readable:
        counts.add_unreadable(first["note"])
    elif first["timestamp"] and (note := _of_damage(first["note"], no_face, no_voice)):
        counts.add_damage(first["source"], int(first["frame"]), note)


def _of_damage(note: str, no_face: str, no_voice: str) -> str:
    """What remains of a frame's note without the parts that say what was not found."""
    return "; ".join(part for part in note.split("; ") if part and not part.startswith((no_face, no_voice)))


def expressions_line(counts: Counts) -> Iterator[str]:
    """`happiness 12  neutral 3`, the most frequent first; nothing where no faces have an expression."""
    if counts.expressions:
        yield "  ".join(f"{name} {count}" for name, count in counts.expressions.most_common())
