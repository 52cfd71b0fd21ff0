"""Faces of picture pairs as a face recogniser takes them: 112 pixels, aligned by five points."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError
from mien.core.framing import template_crop
from mien.core.geometry import Crop
from mien.core.spec import PictureInput
from mien.engine.evaluation.images.pairs import some_names
from mien.media.crop import prepare
from mien.media.detect import create_detector
from mien.runtime.landmarks import Landmarker

SIDE = 112
Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]
Pixels = UInt8[np.ndarray, "height width 3"]


@runtime_checkable
class Aligner(Protocol):
    """Finds a picture's face and cuts it out."""

    name: str
    """Of what finds faces, in notes."""

    def crop(self, pixels: Pixels) -> Crop | None:
        """None where there is no face."""

    def cut(self, pixels: Pixels, crop: Crop) -> UInt8[np.ndarray, "112 112 3"]: ...


class OwnPoints:
    """The largest face that dlib finds, by mien's own points."""

    name = ""

    def __init__(self) -> None:
        self._find, self._landmarker, self._spec = create_detector("dlib"), Landmarker(), PictureInput(size=SIDE)

    def crop(self, pixels: Pixels) -> Crop | None:
        faces = self._find(pixels)
        if not faces:
            return None
        largest = max(faces, key=lambda face: face.side)
        return template_crop(self._landmarker.read(pixels, largest).landmarks_px, size=SIDE)

    def cut(self, pixels: Pixels, crop: Crop) -> UInt8[np.ndarray, "112 112 3"]:
        return prepare(pixels, crop, self._spec)


class MtcnnPoints:
    """MTCNN's face of the best score by MTCNN's points, as pSp aligns it: bilinear samples, black outside."""

    def __init__(self, find: Callable[[Pixels], Float[np.ndarray, "faces 5 2"]], name: str = "MTCNN") -> None:
        self._find, self.name = find, name

    def crop(self, pixels: Pixels) -> Crop | None:
        faces = self._find(pixels)
        try:
            return template_crop(faces[0], size=SIDE) if len(faces) and np.isfinite(faces[0]).all() else None
        except MienError:  # five points in one place
            return None

    def cut(self, pixels: Pixels, crop: Crop) -> UInt8[np.ndarray, "112 112 3"]:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(pixels, crop.matrix, (SIDE, SIDE), flags=flags), np.uint8)


class AlignedFaces:
    """Cuts a face out of each picture of a pair.

    Where the true picture shows none, the pair has no value. Where the rebuilt one shows none, it is cut out as the
    true one, since a failure must not raise a mean; with skip the pair has no value, as published with MTCNN.
    """

    def __init__(self, aligner: Aligner, *, skip: bool = False) -> None:
        self.aligner, self.skip = aligner, skip
        self.restart()

    def restart(self) -> None:
        """Begins another folder of pictures."""
        self._last: tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None] | None = None
        self.pairs, self.without_truth, self.without_rebuilt = 0, list[int](), list[int]()

    def metric(self, of_faces: Metric) -> Metric:
        """The metric of pictures in 0..1 that `of_faces` gives of their faces; NaN where there is none."""

        def metric(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
            faces = self._faces(predicted, truth)
            return np.array([np.nan]) if faces is None else of_faces(*faces)

        return metric

    def notes(self, stems: list[str]) -> list[str]:
        """Which pictures showed no face. stems: of the pairs, in their order."""
        found = []
        label = "id" + (f" ({self.aligner.name})" if self.aligner.name else "")
        for kind, places in (("true", self.without_truth), ("rebuilt", self.without_rebuilt)):
            if not places:
                continue
            borrowed = kind == "rebuilt" and not self.skip
            what = "cut out as their true ones" if borrowed else "left out; --id-crop ffhq needs no face"
            named = some_names([stems[place] for place in places])
            found.append(
                f"{label}: no face was found in {len(places)} of {len(stems)} {kind} pictures ({named}): {what}"
            )
        return found

    def _faces(self, predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """[1, 3, 112, 112] in 0..1 each; found once for several recognisers."""
        if self._last is None or self._last[0] is not predicted:
            self._last = predicted, self._cut(predicted, truth)
            self.pairs += 1
        return self._last[1]

    def _cut(self, predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        rebuilt_px, truth_px = (_pixels(picture) for picture in (predicted, truth))
        crop = self.aligner.crop(truth_px)
        if crop is None:
            self.without_truth.append(self.pairs)
            return None
        own = self.aligner.crop(rebuilt_px)
        if own is None:
            self.without_rebuilt.append(self.pairs)
            if self.skip:
                return None
        faces = self.aligner.cut(rebuilt_px, own or crop), self.aligner.cut(truth_px, crop)
        first, second = (face.transpose(2, 0, 1)[None].astype(np.float64) / 255 for face in faces)
        return first, second


def _pixels(picture: np.ndarray) -> np.ndarray:
    """uint8 [height, width, 3]"""
    return np.ascontiguousarray(np.round(255 * picture[0]).astype(np.uint8).transpose(1, 2, 0))
