"""One face, cut out once and for all: where its crop lies, what moves with it, and why it cannot be had.

The crop and its resampling are those of training and reading (`media.crop.prepare`), so a prepared picture of the
network's own size is what the direct path would have given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError, nearest
from mien.core.framing import ffhq_crop, template_crop
from mien.core.geometry import Crop, crop_of_box, crop_of_picture, intersection_over_union
from mien.core.records import Box, Sample
from mien.core.spec import PictureInput
from mien.data.recent import recent_picture
from mien.media.crop import crop_pixels
from mien.media.detect import Detection, Detector, create_detector
from mien.media.image import Picture

DETECTORS, ALIGNMENTS, ENCODINGS = ("dlib", "yunet", "none"), ("box", "five_points", "ffhq"), ("jpeg", "png")
# Of two faces the larger counts, unless the smaller has at least this share of its side and is nearer to the centre.
RIVAL = 0.8
BOX_SCALE, BOX_SHIFT_Y = 1.18, -0.075  # turn dlib's box into FER2013's framing
BROKEN, NO_FACE, TOO_SMALL, NO_LANDMARKS = "broken picture", "no face", "too small", "no landmarks"


@dataclass(frozen=True)
class Preparation:
    """How faces are found and cut."""

    size: int = 224
    """Side of the prepared picture, pixels."""
    detector: str = "dlib"
    """dlib, yunet (with its weights) or none."""
    weights: str | None = None
    """File of yunet."""
    align: str = "box"
    """box, five_points (ArcFace's template) or ffhq (the frame of FFHQ's pictures, as `mien invert` cuts it out)."""
    own_boxes: bool = True
    """Whether the data set's box (or landmarks, to align by points) goes before the detector."""
    box_scale: float = BOX_SCALE
    """As of PictureInput; with box_shift_y, the defaults turn dlib's box into FER2013's framing."""
    box_shift_y: float = BOX_SHIFT_Y
    """As of PictureInput."""
    fit: str = "squash"
    """As of PictureInput."""
    min_face: float = 24.0
    """Side in pixels; smaller faces are failures."""
    encoding: str = "jpeg"
    """jpeg or png."""
    quality: int = 95
    """Of JPEG, without colour subsampling."""

    def __post_init__(self) -> None:
        for name, known in (("detector", DETECTORS), ("align", ALIGNMENTS), ("encoding", ENCODINGS)):
            if getattr(self, name) not in known:
                raise MienError(f"No {name} {getattr(self, name)!r}.{nearest(str(getattr(self, name)), known)}")
        if not 50 <= self.quality <= 100:
            raise MienError(f"A JPEG's quality lies in 50..100 here; got {self.quality}.")
        if self.min_face < 0:
            raise MienError(f"min_face is a side in pixels, at least 0; got {self.min_face:g}.")
        if self.align == "ffhq" and (self.box_scale, self.box_shift_y) != (BOX_SCALE, BOX_SHIFT_Y):
            raise MienError("--align ffhq has a frame of its own: leave --box-scale and --box-shift-y out.")
        _ = self.spec

    @property
    def spec(self) -> PictureInput:
        fit: Any = self.fit
        if self.align == "ffhq":
            return PictureInput(size=self.size, fit=fit)
        return PictureInput(size=self.size, fit=fit, box_scale=self.box_scale, box_shift=(0.0, self.box_shift_y))


@dataclass(frozen=True, eq=False)
class Face:
    """A prepared face."""

    pixels: UInt8[np.ndarray, "size size 3"]
    """RGB."""
    crop: Crop
    """Where it lies in its picture."""
    landmarks_px: Float[np.ndarray, "points 2"] | None
    """In crop pixels."""
    score: float | None
    """The detector's, None where none was used."""


class CutError(Exception):
    """Why a face could not be had: one of the reasons above, and the particulars."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def cut(sample: Sample, how: Preparation) -> Face:
    """The face of a sample. Raises CutError."""
    whole = how.align == "box" and how.detector == "none" and (sample.box is None or not how.own_boxes)
    try:
        picture = recent_picture(sample, min_side=how.size if whole else None)
    except MienError as error:
        raise CutError(BROKEN, str(error)) from error
    crop, side, score = _crop(sample, picture, how)
    if side < how.min_face:
        raise CutError(TOO_SMALL, f"{side:.0f} pixels where {how.min_face:g} are the least (--min-face)")
    landmarks = (
        None if sample.landmarks_px is None else crop.to_crop(np.asarray(sample.landmarks_px)).astype(np.float32)
    )
    return Face(crop_pixels(picture, crop, how.spec), crop, landmarks, score)


def _crop(sample: Sample, picture: Picture, how: Preparation) -> tuple[Crop, float, float | None]:
    """The crop, the side in pixels of the face that it frames, and the detector's score."""
    points, box = (sample.landmarks_px, sample.box) if how.own_boxes else (None, None)
    if how.align != "box":
        if points is not None:
            return *_aligned(np.asarray(points), how), None
        found = _found(sample, picture, how)
        if found.landmarks_px is None:
            raise CutError(NO_LANDMARKS, f"neither data set nor {how.detector} gives points to align by; yunet does")
        return *_aligned(found.landmarks_px, how), found.score
    if box is not None:
        return crop_of_box(box, how.spec), _side(box), None
    if how.detector == "none":
        width, height = picture.size
        return crop_of_picture(width, height, how.spec), float(min(width, height)), None
    found = _found(sample, picture, how)
    return crop_of_box(found.box, how.spec), found.side, found.score


def _aligned(landmarks_px: np.ndarray, how: Preparation) -> tuple[Crop, float]:
    """The crop by a face's points, and the side in pixels of the picture that the face's template has there.

    five_points: box_scale widens it about its centre, as it does a box; box_shift_y has no part in it.
    """
    try:
        template = template_crop(landmarks_px, size=how.size)
        side = template.sides[0]
        if how.align == "ffhq":
            return ffhq_crop(landmarks_px, size=how.size), side
    except MienError as error:
        raise CutError(NO_LANDMARKS, str(error)) from error
    return replace(template, sides=(side * how.box_scale, side * how.box_scale)), side


def _found(sample: Sample, picture: Picture, how: Preparation) -> Detection:
    if how.detector == "none":
        raise CutError(NO_LANDMARKS, "the data set gives no points to align by, and no detector was asked for")
    x, y = picture.decoded_scale
    faces = [face.scaled(1 / x, 1 / y) for face in _detector(how.detector, how.weights)(picture.pixels)]
    if not faces:
        raise CutError(NO_FACE, f"{how.detector} finds none in {picture.size[0]} x {picture.size[1]} pixels")
    return chosen(faces, picture.size, near=sample.box)


def chosen(faces: Sequence[Detection], size: tuple[int, int], *, near: Box | None = None) -> Detection:
    """The one face that a sample is about.

    near: the data set's own box; then the face that shares most with it, and CutError when none does. Else the largest;
    of those with at least RIVAL of its side, the one whose centre is nearest to the picture's.
    """
    if near is not None:
        best = max(faces, key=lambda face: intersection_over_union(face.box, near))
        if intersection_over_union(best.box, near) < 0.1:
            raise CutError(NO_FACE, f"none of {len(faces)} faces lies where the data set's box says")
        return best
    largest = max(face.side for face in faces)
    middle = np.array(size) / 2

    def distance(face: Detection) -> float:
        x0, y0, x1, y1 = face.box
        return float(np.hypot(*(np.array([(x0 + x1) / 2, (y0 + y1) / 2]) - middle)))

    return min((face for face in faces if face.side >= RIVAL * largest), key=distance)


def _side(box: Box) -> float:
    return (box[2] - box[0] + box[3] - box[1]) / 2


@cache
def _detector(name: str, weights: str | None) -> Detector:
    """One for the process: a detector must not be shared among threads."""
    return create_detector(name, weights=weights)


def encoded(pixels: UInt8[np.ndarray, "size size 3"], how: Preparation) -> bytes:
    """JPEG without colour subsampling, or PNG; one channel where all three are equal."""
    grey = bool((pixels == pixels[..., :1]).all())
    image = pixels[..., 0] if grey else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if how.encoding == "png":
        return bytes(cv2.imencode(".png", image)[1])
    options = [cv2.IMWRITE_JPEG_QUALITY, how.quality]
    options += [] if grey else [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return bytes(cv2.imencode(".jpg", image, options)[1])
