"""Where the faces of a picture are. Boxes are in edge coordinates of the given pixels (see core.geometry).

`dlib` needs no weight file: its frontal detector (HOG and a linear classifier; Dalal and Triggs, CVPR 2005; King, 2015)
is compiled into the package. It finds upright faces of 80 pixels and more. The picture is therefore brought to a
working size first, which bounds the time, and searched again enlarged where that finds nothing or only small faces.
`yunet` (media.yunet) also finds turned, dark and small faces, with five points; its file is fetched once.

A network is shown faces as its crop was calibrated, on dlib's boxes; YuNet's are brought to that framing.
"""

import copy
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError, nearest
from mien.core.geometry import non_maximum_suppression
from mien.core.records import Box
from mien.core.typed import checked
from mien.media.files import cache_folder, sha256_of
from mien.media.yunet import SHA256, YuNet, fetched_file, weight_file

DETECTORS = ("dlib", "yunet", "auto")
_DLIB_MINIMUM = 80  # side in pixels of the smallest face its classifier fits
# Time goes with the pixels searched: 10 to 20 ms for 640 x 480, 40 to 70 ms for 1280 x 960.
_FIRST_PASS = 640 * 480
_BESIDE_ONE_FACE = 2 * _FIRST_PASS
_LAST_PASS = 4 * _FIRST_PASS
_AT_MOST = 12_000_000  # where a smallest face is asked for
# Between dlib's own threshold of 0 and this, buttons and badges are about as many as faces.
_DLIB_SCORE = 0.1
_YUNET_SIDE = 640
_YUNET_FIRST_SIDE = 320  # searched first: a quarter of the pixels, enough for a picture whose faces are all large
_YUNET_MINIMUM = 16  # side of a face, in pixels, that it finds for certain
_YUNET_CLEAR = 40  # side of a face that it frames as well as a larger one
_YUNET_SCORE = 0.7
Pixels = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A detected face."""

    box: Box
    """x0, y0, x1, y1 in picture pixels."""
    score: float
    """Comparable within one detector only."""
    landmarks_px: Float[np.ndarray, "5 2"] | None = None
    """Eyes, nose, mouth corners, the person's right first; None where the detector has none."""

    @property
    def side(self) -> float:
        """Mean of width and height, pixels."""
        return (self.box[2] - self.box[0] + self.box[3] - self.box[1]) / 2

    def scaled(self, x: float, y: float) -> "Detection":
        """The same face in a picture that is so many times as wide and high."""
        if (x, y) == (1, 1):
            return self
        x0, y0, x1, y1 = self.box
        points = self.landmarks_px
        if points is not None:
            points = ((points + 0.5) * (x, y) - 0.5).astype(np.float32)
        return replace(self, box=(x0 * x, y0 * y, x1 * x, y1 * y), landmarks_px=points)


@runtime_checkable
class Detector(Protocol):
    """Faces of RGB pixels, the best score first."""

    def __call__(self, pixels: UInt8[np.ndarray, "height width 3"]) -> list[Detection]: ...


def create_detector(
    name: str = "dlib",
    *,
    min_face: float | None = None,
    min_score: float | None = None,
    weights: Path | str | None = None,
) -> Detector:
    """A detector by name; auto is `available_detector`. min_face: side in pixels of the smallest face to report.

    weights: YuNet's file, by default the one that `mien weights fetch yunet` got.
    """
    name = available_detector(checked(name, str, key="detector"), weights)
    if name == "dlib":
        if weights is not None:
            raise MienError(f"dlib's detector takes no weights; got {weights}. They are those of --detector yunet.")
        return DlibDetector(min_face=min_face, min_score=_DLIB_SCORE if min_score is None else min_score)
    if name == "yunet":
        score = _YUNET_SCORE if min_score is None else min_score
        return YuNetDetector(weight_file(weights), min_face=min_face, min_score=score)
    raise MienError(f"No detector {name!r}.{nearest(name, DETECTORS)}")


def available_detector(name: str, weights: Path | str | None = None) -> str:
    """For auto yunet where its file is given or was fetched, else dlib; other names as they are."""
    if name != "auto":
        return name
    fetched = fetched_file()
    return "yunet" if weights is not None or (fetched is not None and fetched.is_file()) else "dlib"


def detector_version(name: str) -> str:
    """What detects, for whoever must find the same boxes again: the library's version, or the file's SHA-256."""
    if name == "yunet":
        return f"YuNet, SHA-256 {SHA256}"
    import dlib

    return f"dlib {dlib.__version__}, built-in frontal face detector"


class DlibDetector:
    """dlib's frontal detector at one to three scales. One object per thread.

    min_face: side of the smallest face to look for and to report, in pixels of the given picture; by default what a
    last pass of 1.2 megapixels gives, which in a picture of 4:3 is a sixteenth of its longer side. min_score: a lower
    one gives more faces and more mistakes.
    """

    name = "dlib"

    def __init__(self, *, min_face: float | None = None, min_score: float = _DLIB_SCORE) -> None:
        _check_min_face(min_face)
        self.min_face, self.min_score = min_face, min_score
        self._detector = copy.deepcopy(_frontal_detector())

    def __call__(self, pixels: UInt8[np.ndarray, "height width 3"]) -> list[Detection]:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        scale = self._scale(grey.size, _FIRST_PASS, enlarge=False)
        faces = self._search(grey, scale)
        while _only_small([face.side * scale for face in faces]):
            finer = self._scale(grey.size, _BESIDE_ONE_FACE if len(faces) == 1 else _LAST_PASS)
            if finer <= scale:
                break
            scale, faces = finer, without_doubles(faces + self._search(grey, finer))
        return [face for face in faces if face.side >= (self.min_face or 0)]

    def _scale(self, picture: int, searched: int, *, enlarge: bool = True) -> float:
        """For pictures of so many pixels to search so many of them, or what the smallest face asked for needs."""
        scale = (searched / picture) ** 0.5
        if self.min_face is not None:
            # 0.9: the classifier also fits faces that are a little smaller than its window.
            needed = min(_DLIB_MINIMUM / (0.9 * self.min_face), (_AT_MOST / picture) ** 0.5)
            scale = needed if enlarge else min(scale, needed)
        return scale if enlarge else min(scale, 1.0)

    def _search(self, grey: np.ndarray, scale: float) -> list[Detection]:
        height, width = grey.shape
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if size != (width, height):
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        back_x, back_y = width / size[0], height / size[1]
        boxes, scores, _ = self._detector.run(grey, 0, self.min_score)
        return [
            Detection(
                (box.left() * back_x, box.top() * back_y, (box.right() + 1) * back_x, (box.bottom() + 1) * back_y),
                float(score),
            )
            for box, score in zip(boxes, scores, strict=True)
        ]


@cache
def _frontal_detector() -> Any:
    """To be copied, which takes 1 ms; dlib takes 600 ms to unpack it. It keeps state while it searches."""
    import dlib

    # Analysis writes nothing below the home folder: unpacked it is kept only where the user names a folder.
    folder = cache_folder() if os.environ.get("MIEN_CACHE") else None
    if folder is None:
        return dlib.get_frontal_face_detector()
    start = f"dlib-{dlib.__version__}-frontal-"
    for path in folder.glob(f"{start}*.svm"):
        if sha256_of(path).startswith(path.stem.removeprefix(start)):
            return dlib.fhog_object_detector(str(path))
    detector = dlib.get_frontal_face_detector()
    with suppress(OSError, RuntimeError):  # where it cannot be written, the next process takes its time again
        _keep(detector, folder, start)
    return detector


def _keep(detector: Any, folder: Path, start: str) -> None:
    """Unpacked, its hash in its name, so that a damaged file is not read."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        new = Path(temporary) / "detector.svm"
        detector.save(str(new))
        new.replace(folder / f"{start}{sha256_of(new)[:16]}.svm")


class YuNetDetector:
    """YuNet at a scale chosen from the smallest face. One object serves several threads.

    min_face: as for dlib, and a larger one is faster; by default pictures are searched at a longer side of 320 pixels,
    and again at 640, faces of about 10 and more, where that finds nothing or a face below an eighth of the longer side.
    Raises MienError when the file is missing or is not that network.
    """

    name = "yunet"

    def __init__(
        self, weights: Path | str, *, min_face: float | None = None, min_score: float = _YUNET_SCORE,
        threads: int | None = None,
    ) -> None:  # fmt: skip
        _check_min_face(min_face)
        self.min_face, self.min_score = min_face, min_score
        self._network = YuNet(Path(weights), threads=threads)

    def __call__(self, pixels: Pixels) -> list[Detection]:
        height, width = pixels.shape[:2]
        scale, first = self._scale(height, width), _YUNET_FIRST_SIDE / max(height, width)
        if self.min_face is None and 2 * first**2 <= scale**2:  # else it would cost more than half of the other search
            faces = self._search(pixels, first)
            if faces and min(face.side for face in faces) * first >= _YUNET_CLEAR:
                return faces
        return [face for face in self._search(pixels, scale) if face.side >= (self.min_face or 0)]

    def _search(self, pixels: Pixels, scale: float) -> list[Detection]:
        height, width = pixels.shape[:2]
        small, back = _reduced(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))
        boxes, points, scores = self._network(small, min_score=self.min_score)
        return [
            Detection(in_dlibs_framing(box), float(score), ((five + 0.5) * back - 0.5).astype(np.float32))
            for box, five, score in zip(boxes * np.tile(back, 2), points, scores, strict=True)
        ]

    def _scale(self, height: int, width: int) -> float:
        """No larger than the picture and the smallest face asked for need."""
        usual = _YUNET_SIDE / max(height, width)
        if self.min_face is None:
            return min(1.0, usual)
        finest = (_AT_MOST / (height * width)) ** 0.5
        return min(1.0, max(min(_YUNET_MINIMUM / self.min_face, finest), min(usual, _YUNET_CLEAR / self.min_face)))


def _reduced(pixels: Pixels, size: tuple[int, int]) -> tuple[Pixels, Float[np.ndarray, "2"]]:
    """The picture at that size, (width, height), and how many of its pixels one is wide and high.

    Halved as often as it can be, then bilinear for the rest: a mean over areas of other sizes costs up to ten times as
    much and finds the same faces.
    """
    factor = 1
    while pixels.shape[1] // 2 >= size[0] and pixels.shape[0] // 2 >= size[1]:
        half, factor = (pixels.shape[1] // 2, pixels.shape[0] // 2), 2 * factor
        whole = pixels[: 2 * half[1], : 2 * half[0]]
        pixels = np.asarray(cv2.resize(whole, half, interpolation=cv2.INTER_AREA), np.uint8)
    each = factor * np.array(pixels.shape[1::-1]) / size
    if pixels.shape[1::-1] != size:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return pixels, each


def in_dlibs_framing(box: Float[np.ndarray, "4"]) -> Box:
    """About the box that dlib's detector gives the face of this box of YuNet's: a square, a little lower.

    Measured where both find a face (221 faces: side 0.93 of the mean of YuNet's width and height, spread 0.08, mostly
    dlib's steps; 0.06 lower, 0.05) and against the rectangle of 68 annotated points as dlib would frame it (373 faces
    of 300-W and AFLW2000, turned ones too: 0.90, 0.05; 0.04 lower, 0.03; 0.02 across); between the two.
    """
    x0, y0, x1, y1 = box.tolist()
    half = 0.915 * (x1 - x0 + y1 - y0) / 4
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 + 0.05 * (y1 - y0)
    return x - half, y - half, x + half, y + half


def without_doubles(faces: list[Detection]) -> list[Detection]:
    """The best score first, without those that share more than half of the smaller area with a better one."""
    boxes = np.array([face.box for face in faces], float).reshape(-1, 4)
    scores = np.array([face.score for face in faces], float)
    return [faces[place] for place in non_maximum_suppression(boxes, scores, most=0.5, over="smaller")]


def _only_small(sides: list[float]) -> bool:
    """Nothing, one face near the smallest that can be found, or several of which one is: there may be more."""
    return not sides or min(sides) < (1.25 if len(sides) == 1 else 2) * _DLIB_MINIMUM


def _check_min_face(min_face: float | None) -> None:
    min_face = checked(min_face, float | None, key="min_face")
    if min_face is not None and not min_face > 0:
        raise MienError(f"min_face is a side in pixels, above 0; got {min_face}.")
