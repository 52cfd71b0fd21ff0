"""Analyzer: pictures and videos in, readings out. Decoding and detection in threads, the network in batches.

Nothing here needs torch. Boxes are in pixels of the upright picture as the file holds it, at whatever scale it was
read.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from threading import local
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from mien.core.decode import probabilities
from mien.core.errors import MienError
from mien.core.geometry import crop_of_box
from mien.core.records import Box, FacePoints, Reading
from mien.media.crop import normalise, prepare
from mien.media.detect import Detector, create_detector
from mien.media.image import Picture, load_image, picture_files
from mien.media.video import frames
from mien.runtime.landmarks import Landmarker, scaled_points
from mien.runtime.runner import Runner
from mien.runtime.smoothing import PointSmoother
from mien.runtime.tables import PointColumns

SHIPPED = "poster_v2_small_ferplus"
# A JPEG is decoded no smaller than this shorter side: the detector searches at most 1.2 megapixels by itself.
SEARCH_SIDE = 720
_DETECTED_SIDE = 72  # dlib's smallest face in the picture it searches
NO_FACE = "no face found"


class PictureReadings(NamedTuple):
    """One picture or video frame: its name, its pixels (None where they could not be read), its faces."""

    source: str
    picture: Picture | None
    readings: list[Reading]


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """A picture still to be read. `load` may raise MienError."""

    source: str
    load: "Callable[[], Picture]"
    path: Path | None = None
    frame: int = 0
    timestamp_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Faces:
    """Faces found in one picture, largest first: boxes in pixels of the original, crops uint8 [n, size, size, 3]."""

    picture: Picture | None
    boxes: list[Box] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    crops: list[np.ndarray] = field(default_factory=list)
    note: str = ""


class Analyzer:
    """Reads the faces of pictures with a bundle.

    bundle: its folder; None is the model that ships with mien. detector: "dlib" or "yunet" (`weights`: its file).
    min_face: side in pixels of the original picture of the smallest face to look for. threads: for the network, and for
    decoding and detection beside it; None is every core. backend, precision: as for Runner. landmarks: reads the points
    of each face too. smooth: of a video, with less trembling (see smoothing.py). One object may be used from many
    threads; a face has the same numbers alone and among others. Raises MienError for a bundle or a detector that cannot
    be used, and for a bundle that does not read expressions.
    """

    def __init__(
        self,
        bundle: str | Path | None = None,
        *,
        detector: str = "dlib",
        weights: str | Path | None = None,
        min_face: float | None = None,
        backend: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        landmarks: Landmarker | None = None,
        smooth: bool = False,
    ) -> None:
        folder = shipped_bundle() if bundle is None else Path(bundle)
        self._runner = Runner(folder, threads=threads, backend=backend, precision=precision)
        if not self._runner.info.outputs_of("classes"):
            way_out = " Give it as --landmark-bundle." if self._runner.info.outputs_of("points") else ""
            raise MienError(f"{folder} gives {self._runner.info.gives}, no classes of expression.{way_out}")
        self.landmarks, self.smooth = landmarks, smooth
        self.info, self.threads = self._runner.info, self._runner.threads
        self._detector_options = {"name": detector, "weights": weights}
        self.min_face = min_face
        self._detectors = local()
        self._detector(1.0)  # a mistake in its options is told now

    def __repr__(self) -> str:
        runner = self._runner
        return f"Analyzer({self.info.model_id}, {runner.backend} {runner.precision}, {runner.threads} threads)"

    @property
    def engine(self) -> str:
        """What computes: `onnxruntime fp32`, `openvino bf16`, ..."""
        return f"{self._runner.backend} {self._runner.precision}"

    @property
    def point_columns(self) -> PointColumns | None:
        """The columns of the points in a table; None where no landmark model reads along."""
        if self.landmarks is None:
            return None
        smoothing = PointSmoother.settings if self.smooth else None
        return PointColumns(self.landmarks.info, self.landmarks.outputs, smoothing)

    def read(self, picture: str | Path | UInt8[np.ndarray, "height width 3"]) -> list[Reading]:
        """Every face, largest first; one Reading with success False where there is none.

        Raises MienError for a file that cannot be read and for an array that is not uint8 RGB.
        """
        if isinstance(picture, np.ndarray):
            loaded = _picture_of(picture)
            task = _Task("", lambda: loaded)
        else:
            task = self._file_task(Path(picture))
        return self._readings([(task, self._find(task))])[0].readings

    def read_many(
        self, inputs: Sequence[str | Path], *, batch_size: int = 16, workers: int | None = None
    ) -> Iterator[PictureReadings]:
        """The pictures of files, folders and patterns, in the order of their names, as they are ready.

        A file that cannot be read becomes a Reading with success False and the reason as its note. Raises MienError
        for an input that names no picture at all.
        """
        return self.read_files(picture_files(inputs), batch_size=batch_size, workers=workers)

    def read_files(
        self, paths: Iterable[Path], *, batch_size: int = 16, workers: int | None = None
    ) -> Iterator[PictureReadings]:
        """Just these files, in their order; otherwise as `read_many`."""
        return self._stream((self._file_task(path) for path in paths), batch_size, workers)

    def read_video(
        self, path: str | Path, *, every: int = 1, batch_size: int = 16, workers: int | None = None
    ) -> Iterator[PictureReadings]:
        """Every `every`-th frame. Raises MienError for what is no video; frames before a damaged place come first."""

        def tasks() -> Iterator[_Task]:
            for frame in frames(path, every=every):
                loaded = _picture_of(frame.pixels)
                yield _Task(str(path), lambda p=loaded: p, None, frame.index, frame.timestamp_s)  # type: ignore[misc]

        stream = self._stream(tasks(), batch_size, workers)
        if not (self.smooth and self.landmarks):
            return stream
        smoother = PointSmoother()
        return (read._replace(readings=smoother(read.readings)) for read in stream)

    def _file_task(self, path: Path) -> _Task:
        return _Task(str(path), lambda: self._load(path), path)

    def _load(self, path: Path) -> Picture:
        """The picture at the smallest scale that the detector needs."""
        picture = load_image(path, min_side=SEARCH_SIDE)
        if self.min_face and picture.scale < min(1.0, _DETECTED_SIDE / self.min_face):
            picture = load_image(path)
        return picture

    def _detector(self, scale: float) -> Detector:
        """This thread's detector for pictures read at that scale: neither is safe to share."""
        known: dict[Any, Detector] = self._detectors.__dict__
        if scale not in known:
            smallest = self.min_face * scale if self.min_face is not None else None
            known[scale] = create_detector(**self._detector_options, min_face=smallest)  # type: ignore[arg-type]
        return known[scale]

    def _find(self, task: _Task) -> _Faces:
        """Decodes, detects and crops. Raises MienError for a file that cannot be read."""
        picture, spec = task.load(), self.info.picture
        found = sorted(self._detector(picture.scale)(picture.pixels), key=lambda face: -face.side)
        boxes = [_scaled(face.box, 1 / picture.scale) for face in found]
        picture = self._finer(task, picture, boxes)
        scaled = [_scaled(box, picture.scale) for box in boxes]
        crops = [prepare(picture.pixels, crop_of_box(box, spec), spec) for box in scaled]
        return _Faces(picture, boxes, [face.score for face in found], crops, picture.note)

    def _finer(self, task: _Task, picture: Picture, boxes: list[Box]) -> Picture:
        """The picture decoded again at a larger scale where its smallest face would have to be enlarged otherwise."""
        if picture.scale == 1 or task.path is None or not boxes:
            return picture
        smallest = min((x1 - x0 + y1 - y0) / 2 for x0, y0, x1, y1 in boxes) * picture.scale
        specs = [self.info.picture] + ([self.landmarks.info.picture] if self.landmarks else [])
        enlarged = max(spec.size / (smallest * spec.box_scale) for spec in specs)
        if enlarged <= 1:
            return picture
        wanted = int(min(picture.pixels.shape[:2]) * enlarged)
        return load_image(task.path, min_side=min(wanted, *picture.size))

    def _attempt(self, task: _Task) -> _Faces:
        try:
            return self._find(task)
        except MienError as error:
            return _Faces(None, note=str(error))

    def _stream(self, tasks: Iterable[_Task], batch_size: int, workers: int | None) -> Iterator[PictureReadings]:
        """In the order of the tasks; at most `batch_size` pictures are held at a time, besides those being read."""
        workers = workers or self.threads
        pool = ThreadPoolExecutor(workers, thread_name_prefix="mien-read")
        ahead: deque[tuple[_Task, Future[_Faces]]] = deque()
        ready: list[tuple[_Task, _Faces]] = []
        try:
            for task in tasks:
                ahead.append((task, pool.submit(self._attempt, task)))
                if len(ahead) > workers + 1:
                    ready.append(_finished(*ahead.popleft()))
                if _enough(ready, batch_size):
                    yield from self._readings(ready)
                    ready = []
            while ahead:
                ready.append(_finished(*ahead.popleft()))
                if _enough(ready, batch_size) or not ahead:
                    yield from self._readings(ready)
                    ready = []
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _readings(self, ready: "list[tuple[_Task, _Faces]]") -> list[PictureReadings]:
        """All their faces through the network."""
        crops = [crop for _, faces in ready for crop in faces.crops]
        spec, rows = self.info.picture, iter(())
        if crops:
            logits = self._runner(normalise(np.stack(crops), spec))
            rows = iter(probabilities(logits, temperature=self.info.temperature(self._runner.main)))
        points = iter(self._points([faces for _, faces in ready]))
        return [self._told(task, faces, rows, points) for task, faces in ready]

    def _points(self, found: "Sequence[_Faces]") -> list[FacePoints | None]:
        """The points of all faces, in pixels of the originals; None for each without a landmark model."""
        if self.landmarks is None:
            return [None] * sum(len(faces.boxes) for faces in found)
        pictures = [(f.picture, box) for f in found if f.picture is not None for box in f.boxes]
        scaled = [(picture.pixels, _scaled(box, picture.scale)) for picture, box in pictures]
        read = self.landmarks.read_many(scaled)
        return [scaled_points(face, 1 / picture.scale) for face, (picture, _) in zip(read, pictures, strict=True)]

    def _told(
        self, task: _Task, faces: _Faces, rows: Iterator[np.ndarray], points: "Iterator[FacePoints | None]"
    ) -> PictureReadings:
        why = faces.note if faces.picture is None else "; ".join(filter(None, [NO_FACE, faces.note]))
        none = Reading(
            task.source, False, frame=task.frame, timestamp_s=task.timestamp_s, model=self.info.model_id, note=why
        )
        readings = []
        for number, (box, score) in enumerate(zip(faces.boxes, faces.scores, strict=True)):
            face = replace(none, success=True, face_id=number, box=box, score=score, note=faces.note)
            readings.append(replace(self._with_expression(face, next(rows)), points=next(points)))
        return PictureReadings(task.source, faces.picture, readings or [none])

    def _with_expression(self, face: Reading, shares: np.ndarray) -> Reading:
        names = self.info.labels.classes
        named = dict(zip(names, shares.tolist(), strict=True))
        return replace(face, expression=names[int(shares.argmax())], probabilities=named)


def shipped_bundle() -> Path:
    """The folder of the model that comes with mien. Raises MienError where this copy has none."""
    folder = Path(str(resources.files("mien.runtime"))) / "bundles" / SHIPPED
    if not (folder / "system.json").is_file():
        raise MienError(f"This copy of mien has no {SHIPPED}. Name a bundle: --bundle FOLDER.")
    return folder


def _finished(task: _Task, future: "Future[_Faces]") -> tuple[_Task, _Faces]:
    return task, future.result()


def _enough(ready: "list[tuple[_Task, _Faces]]", batch_size: int) -> bool:
    return len(ready) >= batch_size or sum(len(faces.crops) for _, faces in ready) >= batch_size


def _picture_of(pixels: np.ndarray) -> Picture:
    """A Picture of an array. Raises MienError unless it is uint8 [height, width, 3], or [height, width] for grey."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise MienError(f"A picture is uint8 [height, width, 3], RGB; got {pixels.dtype} {list(pixels.shape)}.")
    return Picture(np.ascontiguousarray(pixels), 1.0, (pixels.shape[1], pixels.shape[0]))


def _scaled(box: Box, factor: float) -> Box:
    x0, y0, x1, y1 = (float(edge) * factor for edge in box)
    return x0, y0, x1, y1
