"""FaceFinder: from a file or pixels to the crops of its faces, as each network wants them. Made for many threads.

Boxes are in pixels of the upright picture as the file holds it, at whatever scale it was read.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
from PIL import Image

from mien.core.errors import MienError, one_line
from mien.core.geometry import crop_of_box
from mien.core.limits import FINER_PIXELS
from mien.core.records import Box, FacePoints
from mien.core.spec import PictureInput, SoundInput
from mien.media.crop import prepare
from mien.media.detect import Detection, Detector, create_detector
from mien.media.files import home_expanded
from mien.media.image import Picture, decoding_bytes, load_image, picture_of_array, picture_of_pillow
from mien.media.listing import is_video
from mien.media.parallel.threads import finished_at_exit
from mien.media.sound.audio import Sound
from mien.media.sound.mel import log_mel

# A JPEG is decoded no smaller than this shorter side: the detector searches at most 1.2 megapixels by itself.
SEARCH_SIDE = 720
_DETECTED_SIDE = 72  # dlib's smallest face in the picture it searches


@dataclass(frozen=True, slots=True, eq=False)
class PictureTask:
    """A picture still to be read."""

    source: str
    """The file, as it was named."""
    load: Callable[[], Picture]
    """Decodes it; may raise MienError."""
    path: Path | bytes | None = None
    """Its file, or that file's bytes, where it can be decoded again at a larger scale."""
    frame: int = 0
    """Index of the video frame, from 0."""
    timestamp_s: float | None = None
    """Of the video frame."""
    sounds: Mapping[SoundInput, Sound] = field(default_factory=dict)
    """For each voice that a network takes: the video's sound up to the frame, as long as the network's window."""
    memory: int = 0
    """Bytes that decoding it takes at most; 0 where it cannot be decoded, or is read alone."""
    origin: Any = None
    """What was given, where it is no file: bytes, an array or a Pillow image."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Faces found in one picture, largest first."""

    picture: Picture | None
    """None where it could not be read."""
    boxes: list[Box] = field(default_factory=list)
    """In pixels of the original."""
    scores: list[float] = field(default_factory=list)
    """The detector's own."""
    crops: dict[PictureInput, list[np.ndarray]] = field(default_factory=dict)
    """For each input of a network: uint8 [size, size, 3] of each face."""
    note: str = ""
    """Why it could not be read, or what was done to the picture."""
    voices: dict[SoundInput, np.ndarray] = field(default_factory=dict)
    """For each sound of the task: its log-mel picture, where there are faces."""
    detections: list[Detection] = field(default_factory=list)
    """In pixels of the original, with the detector's points where it gives some; empty where `points` are read."""
    points: list[FacePoints | None] | None = None
    """Of a video whose faces are followed: their points, read already."""
    track_ids: list[int] | None = None
    """Of a video whose faces are followed."""


class FaceFinder:
    """Decodes, detects and cuts out.

    specs: the inputs to cut faces out for. finer_for: further inputs that ask for a fine enough decoding, though their
    crops are cut elsewhere. detector, weights, min_face: as for the Analyzer. max_faces: of one picture, the largest.
    Raises MienError for a detector that cannot be used.
    """

    def __init__(
        self, specs: Sequence[PictureInput], *, finer_for: Sequence[PictureInput] = (), detector: str = "dlib",
        weights: str | Path | None = None, min_face: float | None = None, max_faces: int | None = None,
    ) -> None:  # fmt: skip
        if max_faces is not None and max_faces < 1:
            raise MienError(f"max_faces must be 1 or more; got {max_faces}.")
        self.specs = list(dict.fromkeys(specs))
        self._finer_for = [*self.specs, *finer_for]
        self._detector_options = {"name": detector, "weights": weights}
        self.min_face, self.max_faces = min_face, max_faces
        self._detectors = local()
        self._detector(1.0)  # a mistake in its options is an error now

    @finished_at_exit
    def find(self, task: PictureTask) -> Faces:
        """Raises MienError for a file that cannot be read."""
        located = self.locate(task)
        assert located.picture is not None
        picture = self._finer(task, located.picture, located.boxes)
        return replace(self.cut(task, picture, located.boxes, located.scores), detections=located.detections)

    def locate(self, task: PictureTask) -> Faces:
        """Where they are, nothing is cut out. Raises MienError for a file that cannot be read."""
        picture = task.load()
        found = sorted(self._detector(picture.scale)(picture.pixels), key=lambda face: -face.side)[: self.max_faces]
        found = [face.scaled(1 / picture.scale, 1 / picture.scale) for face in found]
        boxes, scores = [face.box for face in found], [face.score for face in found]
        return Faces(picture, boxes, scores, note=picture.note, detections=found)

    def cut(self, task: PictureTask, picture: Picture, boxes: list[Box], scores: list[float]) -> Faces:
        """The faces in these boxes, in pixels of the original."""
        scaled = [scaled_box(box, picture.scale) for box in boxes]
        crops = {spec: [prepare(picture.pixels, crop_of_box(box, spec), spec) for box in scaled] for spec in self.specs}
        voices = {given: log_mel(sound, given) for given, sound in task.sounds.items()} if boxes else {}
        return Faces(picture, boxes, scores, crops, picture.note, voices)

    @finished_at_exit
    def detect(self, pixels: np.ndarray) -> list[Detection]:
        """What this thread's detector finds in a frame of a video."""
        return self._detector(1.0)(pixels)

    def attempt(self, task: PictureTask, *, cut: bool = True) -> Faces:
        """As `find`, or `locate`; what cannot be read is a note, so that no file stops the others."""
        try:
            return self.find(task) if cut else self.locate(task)
        except MienError as error:
            return Faces(None, note=str(error))
        except Exception as error:  # an unforeseen one, of a decoder or the detector
            if os.environ.get("MIEN_DEBUG"):
                raise
            return Faces(None, note=f"{task.source}: could not be read ({one_line(error)[:200]}).")

    def task(self, picture: Any, name: str, *, alone: bool = False) -> PictureTask:
        """Of anything that is a picture (`Analyzer.read`). name: of what has none of its own. alone: nothing else is
        read meanwhile, so that its memory need not be known before.

        Raises MienError for what is no picture.
        """
        if isinstance(picture, str | os.PathLike):
            path = home_expanded(picture)
            if "://" in str(picture):
                raise MienError(f"{picture}: an address. Nothing is downloaded: save the picture, and name its file.")
            if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises for names that are too long)
                raise MienError(f"{path}: a folder, not a picture. Analyzer.read_many reads folders.")
            if is_video(path):
                raise MienError(f"{path}: a video, not a picture. Analyzer.read_video reads videos.")
            return self.file_task(path, str(picture), alone=alone)
        if isinstance(picture, bytes | bytearray | memoryview):
            data = bytes(picture)
            return replace(self.file_task(data, name, alone=alone), origin=data)
        if isinstance(picture, np.ndarray):
            loaded = picture_of_array(picture)
            return PictureTask(name, lambda: loaded, memory=loaded.pixels.size, origin=picture)
        if isinstance(picture, Image.Image):
            source = str(getattr(picture, "filename", "") or name)
            return PictureTask(
                source, lambda: picture_of_pillow(picture), memory=3 * picture.width * picture.height, origin=picture
            )
        raise MienError(
            "A picture is a path, bytes, a Pillow image, an array uint8 [height, width, 3] in RGB, or a list of them; "
            f"got {type(picture).__name__}."
        )

    def file_task(self, path: Path | bytes, source: str | None = None, *, alone: bool = False) -> PictureTask:
        """A file, or the bytes of one. source: what it is called, where that is not its path. alone: as for `task`."""
        memory = 0 if alone else decoding_bytes(path, min_side=None if self.min_face else SEARCH_SIDE)
        named = source if source is not None or isinstance(path, bytes) else str(path)
        return PictureTask(named or "", lambda: self._load(path), path, memory=memory)

    def _load(self, path: Path | bytes) -> Picture:
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

    def _finer(self, task: PictureTask, picture: Picture, boxes: list[Box]) -> Picture:
        """The picture decoded again at a larger scale where its smallest face would have to be enlarged otherwise."""
        if picture.scale == 1 or task.path is None or not boxes or not self._finer_for:
            return picture
        smallest = min((x1 - x0 + y1 - y0) / 2 for x0, y0, x1, y1 in boxes) * picture.scale
        enlarged = max(spec.size / (smallest * spec.box_scale) for spec in self._finer_for)
        if enlarged <= 1:
            return picture
        wanted = int(min(picture.pixels.shape[:2]) * enlarged)
        most = max(FINER_PIXELS, picture.pixels.size // 3)
        finer = load_image(task.path, min_side=min(wanted, *picture.size), max_pixels=most)
        return replace(finer, note=picture.note)


def scaled_box(box: Box, factor: float) -> Box:
    x0, y0, x1, y1 = (float(edge) * factor for edge in box)
    return x0, y0, x1, y1
