"""Faces cut out for a landmark network: by the data's box, the true points' or a face detector's."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from mien.core.errors import MienError

if TYPE_CHECKING:
    import numpy as np

    from mien.core.geometry import Crop
    from mien.core.records import Box, Sample
    from mien.core.spec import PictureInput
    from mien.media.detect import Detector
    from mien.media.image import Picture

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


Views = dict[str, "tuple[np.ndarray, Crop] | None"]


def cut_batches(
    samples: "Sequence[Sample]", spec: "PictureInput", crops: "Sequence[CropName]", batch_size: int
) -> "Iterator[list[tuple[Sample, Views | str]]]":
    """Batches in order, the next one decoded meanwhile: each face's views by kind of crop, or why it has none."""
    import os
    from concurrent.futures import ThreadPoolExecutor

    from mien.engine.bundles.predictor import progress_bar

    detectors = threading.local()

    def cut(sample: "Sample") -> "Views | str":
        try:
            return _views(sample, spec, crops, lambda: _detector(detectors))
        except MienError as error:
            return str(error)

    batches = [samples[i : i + batch_size] for i in range(0, len(samples), batch_size)]
    with progress_bar() as progress, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        task = progress.add_task("reading faces", total=len(samples))
        ahead = [pool.submit(cut, sample) for sample in batches[0]]
        for number, batch in enumerate(batches):
            following = batches[number + 1] if number + 1 < len(batches) else ()
            current, ahead = ahead, [pool.submit(cut, sample) for sample in following]
            yield [(sample, future.result()) for sample, future in zip(batch, current, strict=True)]
            progress.advance(task, len(batch))


def _views(
    sample: "Sample", spec: "PictureInput", crops: "Sequence[CropName]", detector: "Callable[[], Detector]"
) -> Views:
    from mien.core.framing import POINT_BOXES, box_of
    from mien.core.geometry import crop_of_box, crop_of_picture
    from mien.media.image import load_image

    whole = sample.box is None and tuple(crops) == ("data",)
    picture = load_image(sample.path, span=sample.span, min_side=spec.size if whole else None)
    assert sample.landmarks_px is not None
    around = box_of(sample.landmarks_px)
    boxes: dict[str, Box | None] = {"data": sample.box, "landmarks": POINT_BOXES[spec.point_box](sample.landmarks_px)}
    found: Views = {}
    for name in crops:
        if name in DETECTED and "found" not in boxes:
            boxes["found"] = _detected(picture, around, detector())
        box = boxes["found" if name in DETECTED else name]
        if box is None and name in DETECTED:
            found[name] = None
            continue
        crop = crop_of_picture(*picture.size, spec) if box is None else crop_of_box(box, spec)
        found[name] = (pixels_of(picture, crop, spec), crop)
    return found


def pixels_of(picture: "Picture", crop: "Crop", spec: "PictureInput") -> "np.ndarray":
    """The crop, uint8, of a picture that may have been decoded at a reduced size; `crop` is in pixels of the file."""
    from mien.media.crop import crop_pixels

    return crop_pixels(picture, crop, spec)


def _detected(picture: "Picture", around: "Box", detector: "Detector") -> "Box | None":
    """The detected box that shares most with that of the true points; None where none is this face."""
    rows, columns = picture.pixels.shape[:2]
    x, y = picture.size[0] / columns, picture.size[1] / rows
    boxes = [(b[0] * x, b[1] * y, b[2] * x, b[3] * y) for b in (face.box for face in detector(picture.pixels))]
    best = max(boxes, key=lambda box: overlap(box, around), default=None)
    return best if best is not None and overlap(best, around) >= SAME_FACE else None


def overlap(a: "Box", b: "Box") -> float:
    """Intersection over union of two boxes."""
    width, height = (max(min(a[k + 2], b[k + 2]) - max(a[k], b[k]), 0.0) for k in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union > 0 else 0.0


def _detector(store: threading.local) -> "Detector":
    """One for each thread: it keeps state while it searches."""
    from mien.media.detect import create_detector

    if not hasattr(store, "detector"):
        store.detector = create_detector("dlib")
    return store.detector
