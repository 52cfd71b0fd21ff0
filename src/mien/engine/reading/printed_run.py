"""A run of `mien analyze` without an output folder: reads files with an Analyzer, prints and counts their faces."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.cli.progress import ProgressBars, progress_bars
from mien.cli.text import plain_console
from mien.core.errors import MienError
from mien.core.errors import printable as escaped
from mien.core.records import Reading
from mien.engine.reading.counts import Counts, Stored, expressions_line
from mien.engine.reading.videos import Videos
from mien.media.files import printable
from mien.runtime.readings import PictureReadings
from mien.runtime.tracking.checkpoints import Checkpoints, Parts


class PrintedRun:
    """Reads `files` and prints a line for each face as it is found; nothing is written, memory does not grow.

    details: `left_out`, kinds of files that are not read.
    """

    def __init__(self, videos: Videos, files: list[Path], details: dict[str, Any]) -> None:
        self.videos, self.analyzer, self.files, self.details = videos, videos.analyzer, files, details
        self.counts, self.earlier = Counts(), 0
        """earlier: pictures and frames that a resumed run found in the table."""
        self.console = plain_console(soft_wrap=True, highlight=False, markup=False)

    def read(self) -> None:
        """Reads everything. Raises MienError where nothing could be read."""
        try:
            with progress_bars(shown=not self.console.is_terminal) as bars:
                self._read_all(bars, Stored())
        except KeyboardInterrupt as error:
            error.add_note(f"{self.counts.pictures} of {len(self.files)} were read; nothing is saved without --output.")
            raise
        self._check_readable()

    def summary(self, seconds: float) -> str:
        """A few lines for the terminal."""
        counts, read = self.counts, self.counts.pictures - self.earlier
        what = "picture" if counts.pictures == len(self.files) else "pictures and frames"
        pace = f" ({read / max(seconds, 1e-9):.1f} a second)" if read > 1 else ""
        parts = [f"{_counted(read, what)} in {seconds:.1f} s{pace}"]
        parts += [f"{self.earlier} read before"] if self.earlier else []
        parts += [_counted(counts.faces, "face"), f"{counts.empty} without a face" if counts.empty else ""]
        parts += [f"{_counted(counts.unreadable, 'file')} could not be read" if counts.unreadable else ""]
        lines = [", ".join(filter(None, parts)) + "."]
        lines += expressions_line(counts) if counts.faces > 1 else []
        lines += [f"not read: {reason}" for reason in counts.reasons]
        kinds = [f"{number} {extension}" for extension, number in self.details.get("left_out", {}).items()]
        lines += [f"left out, since their kind is not read here: {', '.join(kinds)}"] if kinds else []
        lines += [f"damaged: {each['source']}, frame {each['frame']}: {each['note']}" for each in counts.damages[:5]]
        landmarks, face3d = self.analyzer.landmarks, self.analyzer.face3d
        also = f", points by {landmarks.info.model_id}" if landmarks else ""
        also += f", 3D faces by {face3d.model_id}" if face3d else ""
        lines += [f"model {self.analyzer.model_id} on {self.analyzer.engine}{also}"]
        outputs = [each.output for each in self.analyzer.outputs]
        return "\n".join(
            [*lines, *(f"{' and '.join(o.names)}: a proxy, learned from {o.proxy}" for o in outputs if o.proxy)]
        )

    def _check_readable(self) -> None:
        if self.counts.unreadable and self.counts.unreadable == self.counts.pictures:
            others = f" (and {self.counts.unreadable - 1} others)" if self.counts.unreadable > 1 else ""
            raise MienError(f"Nothing could be read: {self.counts.reasons[0]}{others}")

    def _print(self, readings: Sequence[Reading]) -> None:
        for reading in readings:
            self.console.print(face_line(reading))

    def _read_all(self, bars: ProgressBars, skipped: Stored) -> None:
        """A half-read video first, so that only the last file of the table can ever be half read."""
        rest = [path for path in self.files if printable(str(path)) not in skipped.sources]
        half = [path for path in rest if skipped.resumed is not None and printable(str(path)) == skipped.resumed.source]
        self.videos.begin([path for path in rest if path not in half])
        for path in half:
            self._read_video(bars, path, skipped)
        self._read_pictures(bars, [path for path in rest if not self.videos.is_video(path)])
        for path in rest:
            if self.videos.is_video(path) and path not in half:
                self._read_video(bars, path)

    def _read_pictures(self, bars: ProgressBars, pictures: list[Path]) -> None:
        advance = bars.add("pictures", len(pictures))
        names = iter(pictures)
        for read in self.videos.pictures(pictures):
            self._draw(next(names), read)
            self._append(read.readings, readable=read.picture is not None)
            advance(1)
            del read  # it would hold a picture while the next one is decoded

    def _read_video(self, bars: ProgressBars, path: Path, skipped: Stored | None = None) -> None:
        """skipped: with the state that it is gone on from."""
        advance = bars.add(printable(path.name), self.videos.source(path).count(self.videos.selection))
        advance(skipped.counts.pictures - skipped.pictures_before_last if skipped else 0)
        start = skipped.resumed.parts if skipped and skipped.resumed else None
        checkpoints = self._checkpoints(start)
        for read in self.videos.readings(path, checkpoints):
            self._draw_frame(path, read)
            note = read.picture.note if read.picture else ""
            self._append(read.readings, readable=read.picture is not None, note=note)
            if checkpoints.parts is not None and read.picture is not None:  # else the video itself failed
                self._save_state(path, checkpoints.parts)
            advance(1)
        self._end_video(path)

    def _append(self, readings: Sequence[Reading], *, readable: bool = True, note: str = "") -> None:
        """The faces of one picture or frame."""
        self.counts.add(readings, readable=readable, note=note)
        self._print(readings)

    def _checkpoints(self, start: Parts | None) -> Checkpoints:
        """Where a video is gone on from, and when its states are saved."""
        return Checkpoints(start=start)

    def _save_state(self, path: Path, parts: Parts) -> None:
        """Of a video after a frame whose rows are in the table."""

    def _draw(self, path: Path, read: PictureReadings) -> None:
        """Of a picture."""

    def _draw_frame(self, path: Path, read: PictureReadings) -> None:
        """Of a video."""

    def _end_video(self, path: Path) -> None:
        """After its last frame."""


def face_line(reading: Reading) -> str:
    """`photo.jpg  face 0: happiness 93 %, ...`; a reason that names the file stands alone."""
    if reading.summary.startswith(reading.source):
        return escaped(reading.summary)
    time = "" if reading.timestamp_s is None else f" at {reading.timestamp_s:.2f} s"
    return escaped(f"{reading.source}{time}  {reading.summary}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 or noun.endswith("s") else f"{number} {noun}s"
