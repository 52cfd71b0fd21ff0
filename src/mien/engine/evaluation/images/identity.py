"""Faces of picture pairs as a face recogniser takes them: 112 pixels, aligned by five points."""

from collections.abc import Callable

import numpy as np

from mien.core.framing import template_crop
from mien.core.geometry import Crop
from mien.core.spec import PictureInput
from mien.media.crop import prepare
from mien.media.detect import create_detector
from mien.runtime.landmarks import Landmarker

SIDE = 112
Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]


class AlignedFaces:
    """Cuts the largest face out of each picture by mien's own points.

    Where the rebuilt picture shows no face, it is cut out as the true one, since a failure must not raise a mean; where
    the true one shows none, the pair has no value. without, as_truth: how many such pairs there were.
    """

    def __init__(self) -> None:
        self.without = self.as_truth = 0
        self._find, self._landmarker, self._spec = create_detector("dlib"), Landmarker(), PictureInput(size=SIDE)
        self._last: tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None] | None = None

    def restart(self) -> None:
        """Counts from 0 again, for another folder of pictures."""
        self.without = self.as_truth = 0

    def metric(self, of_faces: Metric) -> Metric:
        """The metric of pictures in 0..1 that `of_faces` gives of their faces; NaN where there is none."""

        def metric(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
            faces = self._faces(predicted, truth)
            return np.array([np.nan]) if faces is None else of_faces(*faces)

        return metric

    def _faces(self, predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """[1, 3, 112, 112] in 0..1 each; found once for several recognisers."""
        if self._last is None or self._last[0] is not predicted:
            self._last = predicted, self._cut(predicted, truth)
        return self._last[1]

    def _cut(self, predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        rebuilt_px, truth_px = (_pixels(picture) for picture in (predicted, truth))
        crop = self._crop(truth_px)
        if crop is None:
            self.without += 1
            return None
        own = self._crop(rebuilt_px)
        self.as_truth += own is None
        faces = prepare(rebuilt_px, own or crop, self._spec), prepare(truth_px, crop, self._spec)
        first, second = (face.transpose(2, 0, 1)[None].astype(np.float64) / 255 for face in faces)
        return first, second

    def _crop(self, pixels: np.ndarray) -> Crop | None:
        faces = self._find(pixels)
        if not faces:
            return None
        largest = max(faces, key=lambda face: face.side)
        return template_crop(self._landmarker.read(pixels, largest).landmarks_px, size=SIDE)


def _pixels(picture: np.ndarray) -> np.ndarray:
    """uint8 [height, width, 3]"""
    return np.ascontiguousarray(np.round(255 * picture[0]).astype(np.uint8).transpose(1, 2, 0))
