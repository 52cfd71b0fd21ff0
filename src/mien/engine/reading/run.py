"""One run of `mien analyze`: reads files with an Analyzer into a growing table, draws them, counts them, goes on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.cli.progress import ProgressBars, progress_bars
from mien.cli.signals import Interruption
from mien.core.errors import MienError, one_line
from mien.core.records import Reading
from mien.engine.reading.counts import Counts, Stored, expressions_line, stored
from mien.engine.reading.drawings import Drawings
from mien.engine.reading.output_folder import OutputFolder
from mien.engine.reading.output_names import OutputNames
from mien.media.files import printable
from mien.media.image import is_video
from mien.media.tables import TableWriter
from mien.media.video import video_info
from mien.runtime.analyzer import NO_FACE, NO_VOICE, Analyzer, PictureReadings

SETTINGS = ("detector", "min_face", "every")  # what a resumed run must have in common with the first, by sidecar key


class AnalyzeRun:
    """Reads `files` into the table of `output`; memory does not grow with their number.

    A picture is drawn before its rows are written, and its rows are written together, so that after a kill a resumed
    run goes on with the first picture that the table lacks. details goes into the sidecar.
    """

    def __init__(
        self, analyzer: Analyzer, output: OutputFolder, files: list[Path], details: dict[str, Any], *,
        overlay: bool = True, points: bool = False,
    ) -> None:  # fmt: skip
        self.analyzer, self.output, self.files, self.details = analyzer, output, files, details
        self.columns = analyzer.columns
        self.names = OutputNames(files)
        self.drawings = Drawings(output, self.names, overlay=overlay, points=points)
        self.counts, self.earlier = Counts(), 0
        """earlier: pictures and frames that a resumed run found in the table."""

    def read(self) -> None:
        """Reads everything; what was read is in the tables also when this is interrupted.

        Raises MienError where nothing could be read, and for a table that cannot be resumed with these options.
        """
        self._check_settings()
        self.output.begin()
        with Interruption() as self._signals, self._table() as self.table:
            skipped = self._resumed() if self.output.resume else Stored()
            with progress_bars() as bars:
                self._read_all(bars, skipped)
            self.drawings.end()
        if self.counts.unreadable and self.counts.unreadable == len(self.files):
            others = f" (and {len(self.files) - 1} others)" if len(self.files) > 1 else ""
            raise MienError(f"Nothing could be read: {self.counts.reasons[0]}{others}")

    def describe(self, state: str) -> dict[str, Any]:
        """The sidecar as it is now."""
        counts = self.counts
        damaged = {"damaged_places": counts.damaged, "damaged": counts.damages} if counts.damaged else {}
        return self.columns.described(
            rows=counts.rows, pictures=counts.pictures, faces=counts.faces, unreadable=counts.unreadable, **damaged,
            engine=self.analyzer.engine, state=state, **self.details,
        )  # fmt: skip

    def summary(self, seconds: float) -> str:
        """A few lines for the terminal."""
        counts, read = self.counts, self.counts.pictures - self.earlier
        what = "pictures" if counts.pictures == len(self.files) else "pictures and frames"
        parts = [f"{read} {what} in {seconds:.1f} s ({read / max(seconds, 1e-9):.1f} a second)"]
        parts += [f"{self.earlier} read before"] if self.earlier else []
        parts += [f"{counts.faces} faces", f"{counts.empty} without a face" if counts.empty else ""]
        parts += [f"{counts.unreadable} files could not be read" if counts.unreadable else ""]
        lines = [", ".join(filter(None, parts)) + ".", *expressions_line(counts)]
        lines += [f"not read: {reason}" for reason in counts.reasons]
        kinds = [f"{number} {extension}" for extension, number in self.details.get("left_out", {}).items()]
        lines += [f"left out, since their kind is not read here: {', '.join(kinds)}"] if kinds else []
        lines += [f"damaged: {each['source']}, frame {each['frame']}: {each['note']}" for each in counts.damages[:5]]
        lines += self.drawings.failed[:5]
        landmarks = self.analyzer.landmarks
        also = f", points by {landmarks.info.model_id}" if landmarks else ""
        lines.append(f"model {self.analyzer.model_id} on {self.analyzer.engine}{also}")
        return "\n".join([*lines, f"{self.output.table}.csv (.parquet; columns in .json)"])

    def _table(self) -> TableWriter:
        return TableWriter(self.output.table, self.columns.columns, describe=self.describe, resume=self.output.resume)

    def _read_all(self, bars: ProgressBars, skipped: Stored) -> None:
        """A half-read film first, so that only the last file of the table can ever be half read."""
        rest = [path for path in self.files if printable(str(path)) not in skipped.sources]
        half = [path for path in self.files if skipped.last_frame is not None and printable(str(path)) == skipped.last]
        for path in half:
            self._read_film(bars, path, first=(skipped.last_frame or 0) + 1)
        self._read_pictures(bars, [path for path in rest if not is_video(path)])
        for path in rest:
            if is_video(path):
                self._read_film(bars, path)

    def _read_pictures(self, bars: ProgressBars, pictures: list[Path]) -> None:
        advance = bars.add("pictures", len(pictures))
        names = iter(pictures)
        for read in self.analyzer.read_files(pictures):
            self.drawings.picture(next(names), read)
            self._append(read.readings, readable=read.picture is not None)
            advance(1)
            del read  # it would hold a picture while the next one is decoded

    def _read_film(self, bars: ProgressBars, path: Path, *, first: int = 0) -> None:
        every = self.details["every"]
        advance = bars.add(printable(path.name), _frame_count(path, every))
        for read in self._film_readings(path, every, first):
            if read.picture is not None:
                self.drawings.frame(path, read)
            note = read.picture.note if read.picture else ""
            self._append(read.readings, readable=read.picture is not None, note=note)
            advance(1)
        self.drawings.end_film(path)

    def _film_readings(self, path: Path, every: int, first: int) -> Iterator[PictureReadings]:
        """Its frames; where the film itself fails, the reason comes last."""
        try:
            yield from self.analyzer.read_video(path, every=every, first=first)
        except (MienError, OSError, MemoryError) as error:
            failure = Reading(str(path), False, model=self.analyzer.model_id, note=one_line(error))
            yield PictureReadings(str(path), None, [failure])

    def _append(self, readings: list[Reading], *, readable: bool = True, note: str = "") -> None:
        """The rows of one picture or frame: all of them or none, whatever signal comes."""
        with self._signals.held():
            self.counts.add(readings, readable=readable, note=note)
            self.table.append([self.columns.row(reading) for reading in readings])

    def _resumed(self) -> Stored:
        """What an earlier start has read; with a filter over the frames, a half-read film is read anew."""
        found = stored(self.table.csv, NO_FACE, NO_VOICE)
        if self.analyzer.smooth and found.last_frame is not None:
            self.table.truncate(found.rows_before_last)
            found = stored(self.table.csv, NO_FACE, NO_VOICE)
            found.last_frame = None
        self.counts, self.earlier = found.counts, found.counts.pictures
        if found.sources and not any(printable(str(path)) in found.sources for path in self.files):
            raise MienError(
                f"{self.table.csv} holds none of these files ({found.last}, ...). Name the same inputs, from the same "
                "folder, or another --output."
            )
        return found

    def _check_settings(self) -> None:
        """Raises MienError where a resumed table was read in another way."""
        path = self.output.table.with_suffix(".json")
        if not (self.output.resume and path.is_file()):
            return
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise MienError(f"{path} is damaged ({error}). Name another --output.") from error
        for name, old, new in zip(
            ("model", "points", *SETTINGS), _settings(before), _settings(self.describe("")), strict=True
        ):
            if old != new:
                raise MienError(
                    f"{path} was read with {name} {old}, this run has {new}. Give the same options or another --output."
                )


def _settings(described: dict[str, Any]) -> list[Any]:
    """What two starts of one run must have in common, of their sidecars."""
    models = described.get("models") or [described.get("model", {})]
    points = described.get("points", {})
    return [
        [model.get("id") for model in models],
        [points.get("model", {}).get("id"), points.get("smoothing")],
        *(described.get(name) for name in SETTINGS),
    ]


def _frame_count(path: Path, every: int) -> int | None:
    try:
        count = video_info(path).frames
    except MienError:  # reading it gives the reason
        return None
    return -(-count // every) if count else None
