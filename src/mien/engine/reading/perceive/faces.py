"""The face that is perceived: the largest one of a picture, followed through a video."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mien.core.geometry import crop_of_box, crop_of_picture
from mien.core.records import Box
from mien.core.spec import PictureInput
from mien.media.crop import prepare
from mien.media.detect import create_detector

STEADINESS = 0.7  # share of the box before, from frame to frame; a box that jumps starts anew
JUMP = 0.35  # of a side
PHOTO = 224  # pixels: a panel of the sheet, so that five have readable captions


class FoundFace(NamedTuple):
    """A face in a picture."""

    crop: np.ndarray
    """uint8 [size, size, 3], as the network takes it."""
    photo: np.ndarray
    """The same crop of at least PHOTO pixels, to be looked at."""
    box: Box | None
    """In pixels of the picture; None where it is the whole picture."""
    others: int
    """Smaller faces beside it."""


class LargestFace:
    """Finds the largest face and cuts it out.

    spec: how. detector: dlib, yunet, or none for pictures that are the face. Raises MienError for a detector that
    cannot be used.
    """

    def __init__(
        self, spec: PictureInput, detector: str, *, weights: str | None = None, min_face: float | None = None
    ) -> None:
        self._both = spec, replace(spec, size=max(PHOTO, spec.size))
        self._find = None if detector == "none" else create_detector(detector, weights=weights, min_face=min_face)
        self._before: Box | None = None

    def __call__(self, pixels: np.ndarray) -> FoundFace | None:
        """None where there is no face."""
        if self._find is None:
            height, width = pixels.shape[:2]
            crop, photo = (prepare(pixels, crop_of_picture(width, height, spec), spec) for spec in self._both)
            return FoundFace(crop, photo, None, 0)
        faces = sorted(self._find(pixels), key=lambda face: -face.side)
        if not faces:
            return None
        return self._cut(pixels, faces[0].box, len(faces) - 1)

    def follow(self, pixels: np.ndarray) -> FoundFace | None:
        """As a call, in a video: the box moves steadily, so that crops of following frames do not tremble."""
        found = self(pixels)
        if found is None or found.box is None:
            return found
        box, before = found.box, self._before
        if before is not None and _distance(before, box) < JUMP:
            x0, y0, x1, y1 = (STEADINESS * a + (1 - STEADINESS) * b for a, b in zip(before, box, strict=True))
            box = (x0, y0, x1, y1)
        self._before = box
        return self._cut(pixels, box, found.others)

    def _cut(self, pixels: np.ndarray, box: Box, others: int) -> FoundFace:
        crop, photo = (prepare(pixels, crop_of_box(box, spec), spec) for spec in self._both)
        return FoundFace(crop, photo, box, others)


def _distance(one: Box, other: Box) -> float:
    """The largest of any edge, in sides of the first."""
    side = max(one[2] - one[0], one[3] - one[1], 1.0)
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) / side
