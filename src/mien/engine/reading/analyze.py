"""`mien analyze`: the faces of photos, folders and videos, as a table with a description and as labelled pictures."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.cli.progress import ProgressBars, progress_bars
from mien.core.errors import MienError
from mien.engine.reading.inputs import bundle_of, files_of, landmarker_of, overlay_names, positive
from mien.media.files import atomic_path, writable_folder

if TYPE_CHECKING:
    import numpy as np

    from mien.core.records import Reading
    from mien.runtime.analyzer import Analyzer, PictureReadings

TABLE, OVERLAYS, SHEET, POINTS = "readings", "overlays", "contact_sheet", "points"
PAGE, THUMBNAIL = 48, 320  # pictures on one contact sheet; their side in pixels
FRAMES_SHOWN = 24  # of a video
SAVE_EVERY_S = 60.0


def analyze(
    inputs: list[str],
    *,
    output: str,
    bundle: str | None = None,
    detector: Literal["dlib", "yunet"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
    every: int = 1,
    overlay: bool = True,
    landmarks: Literal["auto", "yes", "no"] = "auto",
    landmark_bundle: str | None = None,
    points: bool = False,
    smooth: bool = False,
    backend: Literal["auto", "onnxruntime", "openvino"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int | None = None,
    limit: int | None = None,
) -> str:
    """Read the faces in photos, folders and videos: a table, its description, and labelled pictures.

    Args:
        inputs: files, folders, patterns such as 'photos/*.jpg', videos; - takes names from standard input, one a line.
        output: folder for readings.csv, readings.parquet, readings.json, overlays/ and contact_sheet.jpg.
        bundle: folder of a bundle with model.onnx; by default the model that ships with mien.
        detector: dlib needs no file; yunet finds turned faces too, from OpenCV's weight file.
        detector_weights: YuNet's file.
        min_face: side in pixels of the smallest face to look for; smaller is slower.
        every: of a video, every N-th frame.
        overlay: draw labelled pictures; --no-overlay for the table alone.
        landmarks: also read the 68 points of each face and where the head is turned; auto is yes where a landmark model
            ships.
        landmark_bundle: folder of a bundle that reads landmarks; by default the one that ships with mien.
        points: also write each face's points as a .pts file, into points/.
        smooth: of a video, points that tremble less (one-euro filter).
        backend: what computes; openvino is taken by itself where it is installed.
        precision: bf16 is quicker for large networks, on CPUs that have it.
        threads: by default one for each core.
        limit: at most so many pictures and videos.
    """
    from mien.runtime.analyzer import Analyzer

    folder = writable_folder(output)
    files = files_of(inputs, folder)[: positive(limit, "limit")]
    landmarker = landmarker_of(landmarks, landmark_bundle, backend=backend, precision=precision, threads=threads)
    if points and landmarker is None:
        raise MienError("--points needs landmarks. Leave out --landmarks no, or name a --landmark-bundle.")
    analyzer = Analyzer(
        bundle_of(bundle), detector=detector, weights=detector_weights, min_face=min_face, backend=backend,
        precision=precision, threads=threads, landmarks=landmarker, smooth=smooth,
    )  # fmt: skip
    made_with = {"inputs": inputs, "detector": detector, "min_face": min_face, "every": every}
    run = _Run(analyzer, folder, files, made_with, overlay=overlay, points=points)
    return run.through(every=positive(every, "every") or 1)


@dataclass(eq=False)
class _Run:
    """What has been read so far, and where it goes."""

    analyzer: "Analyzer"
    folder: Path
    files: list[Path]
    made_with: dict[str, Any]
    overlay: bool = True
    points: bool = False
    readings: "list[Reading]" = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    pictures: int = 0
    _page: "list[tuple[str, np.ndarray | None]]" = field(default_factory=list)
    _pages: int = 0
    _saved: float = field(default_factory=time.monotonic)

    def through(self, *, every: int) -> str:
        """Reads everything; what was read is in the tables also when this is interrupted. Returns the summary."""
        start = time.perf_counter()
        try:
            with progress_bars() as bars:
                self._read(bars, every)
            self._write_page(last=True)
        except BaseException as error:
            kept = "interrupted" if isinstance(error, KeyboardInterrupt) else f"stopped: {error}"
            if self.readings:
                self.save(kept)
            raise
        self.save("complete")
        if self.unreadable and len(self.unreadable) == len(self.files):
            others = f" (and {len(self.files) - 1} others)" if len(self.files) > 1 else ""
            raise MienError(f"Nothing could be read: {self.unreadable[0]}{others}")
        return self.summary(time.perf_counter() - start)

    def save(self, state: str) -> None:
        """Writes the tables as they are now."""
        from mien.runtime.tables import write_tables

        details = {"engine": self.analyzer.engine, "state": state, **self.made_with}
        info, columns = self.analyzer.info, self.analyzer.point_columns
        write_tables(self.readings, self.folder / TABLE, info=info, points=columns, **details)
        self._saved = time.monotonic()

    def _read(self, bars: ProgressBars, every: int) -> None:
        from mien.media.image import is_video

        names = overlay_names(self.files)
        pictures = [path for path in self.files if not is_video(path)]
        advance = bars.add("pictures", len(pictures))
        for path, read in zip(pictures, self.analyzer.read_files(pictures), strict=True):
            self._take(read, names[path])
            if read.picture is None:
                self.unreadable.append(read.readings[0].note)
            if self.overlay:
                self._draw(path, read, names[path])
            advance(1)
        for path in self.files:
            if is_video(path):
                self._read_video(bars, path, every, names[path])

    def _take(self, read: "PictureReadings", name: str) -> None:
        self.readings += read.readings
        if self.points:
            self._write_points(read, Path(name).stem, video=read.readings[0].timestamp_s is not None)
        self.pictures += 1
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save("under way")

    def _write_points(self, read: "PictureReadings", name: str, *, video: bool) -> None:
        """NAME.pts, of further faces NAME_1.pts, ...; of a video NAME_FRAME.pts."""
        from mien.media.points import write_pts

        for face in read.readings:
            if face.points is not None:
                frame = f"_{face.frame:06d}" if video else ""
                number = f"_{face.face_id}" if face.face_id else ""
                write_pts(self.folder / POINTS / f"{name}{frame}{number}.pts", face.points.landmarks_px)

    def _draw(self, path: Path, read: "PictureReadings", name: str) -> None:
        from mien.runtime.overlay import draw, scaled, thumbnail

        if read.picture is None:
            self._page.append((path.name, None))
        else:
            pixels = read.picture.pixels
            readings = [scaled(reading, read.picture.scale) for reading in read.readings]
            small = thumbnail(pixels, readings, side=THUMBNAIL)
            tiny = max(pixels.shape[:2]) < THUMBNAIL  # no letters fit; it is drawn enlarged
            _write_jpeg(small if tiny else draw(pixels, readings), self.folder / OVERLAYS / name)
            self._page.append((path.name, small))
        if len(self._page) == PAGE:
            self._write_page(last=False)

    def _write_page(self, *, last: bool) -> None:
        """The contact sheet, numbered when there is more than one."""
        from mien.report.contact_sheet import contact_sheet

        if not self._page or (last and self._pages == 0 and len(self._page) == 1):
            return
        self._pages += 1
        alone = last and self._pages == 1
        name = f"{SHEET}.jpg" if alone else f"{SHEET}_{self._pages:03d}.jpg"
        _write_jpeg(contact_sheet(self._page), self.folder / name)
        self._page = []

    def _read_video(self, bars: ProgressBars, path: Path, every: int, name: str) -> None:
        from mien.core.records import Reading

        shown = _Sampled(FRAMES_SHOWN)
        try:
            advance = bars.add(path.name, _frame_count(path, every))
            for read in self.analyzer.read_video(path, every=every):
                self._take(read, name)
                if self.overlay:
                    shown.offer(read)
                advance(1)
        except MienError as error:
            self.unreadable.append(str(error))
            self.readings.append(Reading(str(path), False, model=self.analyzer.info.model_id, note=str(error)))
        if shown.kept:
            from mien.report.contact_sheet import contact_sheet

            _write_jpeg(contact_sheet(shown.kept), self.folder / OVERLAYS / name)

    def summary(self, seconds: float) -> str:
        """A few lines for the terminal."""
        faces = [reading for reading in self.readings if reading.success]
        empty = len({(r.source, r.frame) for r in self.readings if not r.success}) - len(self.unreadable)
        what = "pictures" if len(self.files) == self.pictures else "pictures and frames"
        said = [f"{self.pictures} {what} in {seconds:.1f} s ({self.pictures / max(seconds, 1e-9):.1f} a second)"]
        said += [f"{len(faces)} faces", f"{empty} without a face" if empty else ""]
        said += [f"{len(self.unreadable)} files could not be read" if self.unreadable else ""]
        lines = [", ".join(filter(None, said)) + "."]
        if faces:
            counts = Counter(str(face.expression) for face in faces).most_common()
            lines.append("  ".join(f"{name} {count}" for name, count in counts))
        lines += [f"not read: {note}" for note in self.unreadable[:5]]
        landmarks = self.analyzer.landmarks
        also = f", points by {landmarks.info.model_id}" if landmarks else ""
        lines.append(f"model {self.analyzer.info.model_id} on {self.analyzer.engine}{also}")
        return "\n".join([*lines, f"{self.folder / TABLE}.csv (.parquet; columns in .json)"])


class _Sampled:
    """Frames of a video of unknown length, evenly spaced, at most so many: when full every second one is dropped."""

    def __init__(self, most: int) -> None:
        self.most, self.step, self.seen = most, 1, 0
        self.kept: list[tuple[str, np.ndarray | None]] = []

    def offer(self, read: "PictureReadings") -> None:
        from mien.runtime.overlay import thumbnail

        if self.seen % self.step == 0 and read.picture is not None:
            if len(self.kept) == self.most:
                self.kept, self.step = self.kept[::2], 2 * self.step
            if self.seen % self.step == 0:
                caption = f"{read.readings[0].timestamp_s or 0:.2f} s"
                self.kept.append((caption, thumbnail(read.picture.pixels, read.readings, side=THUMBNAIL)))
        self.seen += 1


def _frame_count(path: Path, every: int) -> int | None:
    from mien.media.video import video_info

    count = video_info(path).frames
    return -(-count // every) if count else None


def _write_jpeg(pixels: "np.ndarray", path: Path) -> None:
    from PIL import Image

    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, quality=90, format="JPEG")
