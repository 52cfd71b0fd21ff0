"""A run of `mien analyze` into a folder: a table that grows, drawings, and a saved state to go on from."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mien.cli.progress import progress_bars
from mien.cli.signals import Interruption
from mien.core.errors import MienError
from mien.core.records import Reading
from mien.engine.reading.counts import Stored, stored
from mien.engine.reading.drawings import Drawings
from mien.engine.reading.output_folder import STATE, OutputFolder
from mien.engine.reading.output_names import OutputNames
from mien.engine.reading.printed_run import PrintedRun, face_line
from mien.engine.reading.video_state import VideoState, VideoStateFile
from mien.engine.reading.videos import Videos
from mien.media.files import printable
from mien.media.streams.segments import remove_segments
from mien.media.tables import SAVE_EVERY_S, TableWriter, read_rows
from mien.runtime.analyzer import NO_FACE, NO_VOICE
from mien.runtime.readings import PictureReadings
from mien.runtime.tracking.checkpoints import Checkpoints, Parts

SEGMENT_FRAMES = 250  # of a video that is drawn whole, between two states: x264's own distance of key frames
LINES = 20  # faces that are printed where there is a table of all
# What a resumed run must have in common with the first, by sidecar key; rows of two versions are not mixed.
SETTINGS = (
    "detector", "detector_version", "min_face", "every", "fps", "start_s", "end_s", "detect_every", "max_faces",
    "coverage", "abstain", "logit_adjust", "mien",
)  # fmt: skip


class AnalyzeRun(PrintedRun):
    """Reads `files` into the table of `output`; the summary names the first faces. Memory does not grow with them.

    A picture is drawn before its rows are written, and its rows are written together, so that after a kill a resumed
    run goes on with the first picture that the table lacks. details goes into the sidecar.
    """

    def __init__(
        self, videos: Videos, output: OutputFolder, files: list[Path], details: dict[str, Any], *,
        overlay: bool = True, overlay_video: bool = False, points: bool = False, meshes: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(videos, files, details)
        self.output, self.columns = output, videos.analyzer.columns
        self.again = ""
        """The video that an earlier start had half read."""
        self.lines: list[str] = []
        """Of the first faces."""
        self.state = VideoStateFile(output.folder / STATE, [*_settings(self.describe("")), self.analyzer.engine])
        self._in_segments = overlay_video
        self._half: tuple[Path, int | None] | None = None
        """The video under way, and the frame of its last saved state."""
        self._complete = False
        """Whether an earlier start had ended by itself, so that its last video is whole."""
        self.names = OutputNames(files)
        self.drawings = Drawings(
            output, self.names, overlay=overlay, videos=videos if overlay_video else None, points=points, meshes=meshes
        )

    def read(self) -> None:
        """Reads everything; what was read is in the tables also when this is interrupted.

        Raises MienError where nothing could be read, and for a table that cannot be resumed with these options.
        """
        self._check_settings()
        self.output.begin()
        try:
            with Interruption() as self._signals, self._table() as self.table:
                skipped = self._resumed() if self.output.resume else Stored()
                with progress_bars() as bars:
                    self._read_all(bars, skipped)
                self.drawings.end()
            self.state.remove()
            remove_segments(self.output.segments)
        except BaseException as error:
            live = bool(self.videos.live)
            self.drawings.give_up(error, keep=live and isinstance(error, KeyboardInterrupt))
            if isinstance(error, KeyboardInterrupt):
                rest = "" if live else f" The same command with --resume {self._rest()}."
                error.add_note(
                    f"{self.counts.pictures} pictures and frames, {self.counts.faces} faces are saved in "
                    f"{self.output.table}.csv.{rest}"
                )
            raise
        self._check_readable()

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
        more = [f"... and {self.counts.rows - LINES} rows more in the table"] if self.counts.rows > LINES else []
        again = [self.again] if self.again else []
        lines = [*self.lines, *more, *again, super().summary(seconds), *self.drawings.failed[:5]]
        return "\n".join([*lines, f"{self.output.table}.csv (.parquet; columns in .json)"])

    def _rest(self) -> str:
        """What a resumed run does."""
        if self._half is None:
            return "goes on from there"
        path, frame = self._half
        if frame is None:
            return f"reads {path} again from its start, since no state of it was saved yet"
        return f"goes on from frame {frame + 1} of {path}, behind its last saved state"

    def _table(self) -> TableWriter:
        return TableWriter(self.output.table, self.columns.columns, describe=self.describe, resume=self.output.resume)

    def _print(self, readings: Sequence[Reading]) -> None:
        """In the summary: lines between progress bars would break them."""
        self.lines += [face_line(reading) for reading in readings[: LINES - len(self.lines)]]

    def _draw(self, path: Path, read: PictureReadings) -> None:
        self.drawings.picture(path, read)

    def _draw_frame(self, path: Path, read: PictureReadings) -> None:
        if read.picture is not None:
            self._half = (path, None) if self._half is None else self._half
            self.drawings.frame(path, read)

    def _end_video(self, path: Path) -> None:
        self.drawings.end_video(path)
        self._half = None

    def _append(self, readings: Sequence[Reading], *, readable: bool = True, note: str = "") -> None:
        """The rows of one picture or frame: all of them or none, whatever signal comes."""
        with self._signals.held():
            self.counts.add(readings, readable=readable, note=note)
            self.table.append([self.columns.row(reading) for reading in readings])
            self._print(readings)

    def _checkpoints(self, start: Parts | None) -> Checkpoints:
        if self.videos.live:
            return Checkpoints()
        if self._in_segments:
            return Checkpoints(start=start, every_frames=SEGMENT_FRAMES)
        return Checkpoints(SAVE_EVERY_S, start)

    def _save_state(self, path: Path, parts: Parts) -> None:
        self.table.save()
        self.state.save(path, self.table.rows, {**parts, **self.drawings.state()})
        self._half = path, Checkpoints(start=parts).first - 1

    def _resumed(self) -> Stored:
        """What an earlier start has read; a half-read video goes on behind its saved state, or is read anew."""
        found = stored(self.table.csv, NO_FACE, NO_VOICE)
        if found.last_frame is not None and not self._complete:
            found = self._half_read(found)
        self.counts, self.earlier = found.counts, found.counts.pictures
        if found.last and not any(printable(str(path)) in {*found.sources, found.last} for path in self.files):
            raise MienError(
                f"{self.table.csv} holds none of these files ({found.last}, ...). Name the same inputs, from the same "
                "folder, or another --output."
            )
        pictures = {printable(str(path)): path for path in self.files if not self.videos.is_video(path)}
        self.drawings.resume([pictures[source] for source in found.sources if source in pictures])
        return found

    def _half_read(self, found: Stored) -> Stored:
        """The table brought to where its last video goes on."""
        before = f"an earlier run had ended at frame {found.last_frame}"
        try:
            half = self._state_of(found)
        except MienError as error:
            self.again = f"{found.last}: read again from its start, since {error}; {before}"
            self.table.truncate(found.rows_before_last)
            return stored(self.table.csv, NO_FACE, NO_VOICE)
        self.again = f"{found.last}: read on from frame {half.frame + 1}, behind the last saved state; {before}"
        self.table.truncate(half.rows)
        kept = stored(self.table.csv, NO_FACE, NO_VOICE)
        kept.sources.pop(half.source, None)
        kept.resumed = half
        return kept

    def _state_of(self, found: Stored) -> VideoState:
        """Of the table's last video. Raises MienError, the reason, where it cannot be gone on from."""
        path = next((path for path in self.files if printable(str(path)) == found.last), None)
        if path is None:
            raise MienError("it is not among the inputs")
        half = self.state.load(path)
        row = next(islice(read_rows(self.table.csv), half.rows - 1, None), {}) if half.rows > 0 else {}
        if not found.rows_before_last < half.rows or (row.get("source"), row.get("frame")) != (
            half.source,
            str(half.frame),
        ):
            raise MienError("the table lacks the rows up to its saved state")
        self.videos.check(path, half.parts)
        self.drawings.restore(path, half.parts)
        self._half = path, half.frame
        return half

    def _check_settings(self) -> None:
        """Raises MienError where a resumed table was read in another way."""
        path = self.output.table.with_suffix(".json")
        if not (self.output.resume and path.is_file()):
            return
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise MienError(f"{path} is damaged ({error}). Name another --output.") from error
        self._complete = before.get("state") == "complete"
        for name, old, new in zip(
            ("model", "points", "3D face", *SETTINGS), _settings(before), _settings(self.describe("")), strict=True
        ):
            if old != new:
                raise MienError(
                    f"{path} was read with {name} {old}, this run has {new}. Give the same options or another --output."
                )


def _settings(described: dict[str, Any]) -> list[Any]:
    """What two starts of one run must have in common, of their sidecars."""
    models = described.get("models") or [described.get("model", {})]
    points, face3d = described.get("points", {}), described.get("face3d", {})
    return [
        [model.get("id") for model in models],
        [points.get("model", {}).get("id"), points.get("smoothing")],
        [face3d.get("model"), face3d.get("smoothing")],
        *(described.get(name) for name in SETTINGS),
    ]
