"""Faces cut out for a landmark network: by the data's box, the true points' or a face detector's."""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np

from mien.core.framing import POINT_BOXES, box_of
from mien.core.geometry import Crop, crop_of_box, crop_of_picture, intersection_over_union
from mien.core.records import Box, Sample
from mien.core.spec import PictureInput
from mien.engine.bundles.inputs import prefetch
from mien.media.crop import crop_pixels
from mien.media.detect import Detector, create_detector
from mien.media.image import Picture, load_image

CropName = Literal["data", "landmarks", "detector", "reading"]
CROPS: dict[str, tuple[CropName, ...]] = {
    "data": ("data",),
    "landmarks": ("landmarks",),
    "detector": ("detector",),
    "reading": ("reading",),
    "both": ("landmarks", "detector"),
    "all": ("landmarks", "detector", "reading"),
}
DETECTED = ("detector", "reading")  # reading: the detector's box, then that of the points found, as Landmarker reads
SAME_FACE = 0.3  # least overlap (intersection over union) of a detected box with that of the true points

Views = dict[str, tuple[np.ndarray, Crop] | None]
"""Kind of crop → pixels and where they are from; None where the detector does not find the face."""


def view_batches(
    samples: Sequence[Sample], spec: PictureInput, crops: Sequence[CropName], *, batch_size: int
) -> Iterator[list[tuple[Sample, Views | str]]]:
    """Batches in order: each face's views by kind of crop, or why it has none."""
    detectors = threading.local()
    return prefetch(
        samples, lambda sample: _views(sample, spec, crops, partial(_detector, detectors)), batch_size=batch_size
    )


def _views(sample: Sample, spec: PictureInput, crops: Sequence[CropName], detector: Callable[[], Detector]) -> Views:
    whole = sample.box is None and tuple(crops) == ("data",)
    picture = load_image(sample.path, span=sample.span, min_side=spec.size if whole else None)
    assert sample.landmarks_px is not None
    points = np.asarray(sample.landmarks_px)
    around = box_of(points)
    boxes: dict[str, Box | None] = {"data": sample.box, "landmarks": POINT_BOXES[spec.point_box](points)}
    found: Views = {}
    for name in crops:
        if name in DETECTED and "found" not in boxes:
            boxes["found"] = _detected(picture, around, detector())
        box = boxes["found" if name in DETECTED else name]
        if box is None and name in DETECTED:
            found[name] = None
            continue
        crop = crop_of_picture(*picture.size, spec) if box is None else crop_of_box(box, spec)
        found[name] = (crop_pixels(picture, crop, spec), crop)
    return found


def _detected(picture: Picture, around: Box, detector: Detector) -> Box | None:
    """The detected box that shares most with that of the true points; None where none is this face."""
    rows, columns = picture.pixels.shape[:2]
    x, y = picture.size[0] / columns, picture.size[1] / rows
    boxes = [(b[0] * x, b[1] * y, b[2] * x, b[3] * y) for b in (face.box for face in detector(picture.pixels))]
    best = max(boxes, key=lambda box: intersection_over_union(box, around), default=None)
    return best if best is not None and intersection_over_union(best, around) >= SAME_FACE else None


def _detector(store: threading.local) -> Detector:
    """One for each thread: it keeps state while it searches."""
    if not hasattr(store, "detector"):
        store.detector = create_detector("dlib")
    return store.detector
