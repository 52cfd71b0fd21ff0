"""Which faces each detector finds, and how long it takes.

    python benchmarks/detectors.py --shared ../shared [--weights face_detection_yunet_2023mar.onnx]

Recall: annotated faces whose box (of 68 points, as a detector would frame them, or as annotated) a detection overlaps
by more than 0.3 of their union. False alarms count on group photos whose faces are all annotated; elsewhere other faces
may be in the picture. Synthetic people are turned by up to 90 degrees, blurred or dark. Processor time of one thread.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from mien.core.framing import detector_box
from mien.core.geometry import intersection_over_union
from mien.core.records import Box
from mien.data.readers import open_reader
from mien.media.detect import Detector, create_detector
from mien.media.image import load_image
from mien.synthetic.people import PeopleOptions, portrait

OVERLAP = 0.3
Faces = tuple[np.ndarray, list[Box]]  # a picture and what is annotated in it


def annotated(name: str, root: Path, *, every: int = 1) -> Iterator[Faces]:
    reader = open_reader(name, root)
    samples = [sample for split in reader.splits for sample in reader.samples(split)]
    for sample in samples[::every]:
        assert sample.landmarks_px is not None
        yield load_image(sample.path).pixels, [detector_box(np.asarray(sample.landmarks_px))]


def group_photos(folder: Path) -> Iterator[Faces]:
    for file in sorted(folder.glob("*.xml")):
        for image in ElementTree.parse(file).getroot().iter("image"):
            boxes = [
                [float(box.get(key, 0)) for key in ("left", "top", "width", "height")] for box in image.iter("box")
            ]
            yield load_image(folder / str(image.get("file"))).pixels, [(x, y, x + w, y + h) for x, y, w, h in boxes]


def synthetic(count: int, yaw: tuple[float, float], change: str = "") -> Iterator[Faces]:
    """People whose heads are turned by so many degrees to either side."""
    found = number = 0
    options = PeopleOptions(size=160, yaw_max_deg=yaw[1])
    while found < count:
        pixels, truth = portrait(77, number, options=options)
        number += 1
        if yaw[0] <= abs(truth.yaw_deg) <= yaw[1]:
            found += 1
            pixels = {"blurred": lambda p: cv2.GaussianBlur(p, (0, 0), 5), "dark": lambda p: p // 5}.get(
                change, lambda p: p
            )(pixels)
            yield pixels, [detector_box(truth.landmarks_px)]


def measured(detector: Detector, faces: Iterator[Faces]) -> tuple[int, int, int, float, int]:
    """Faces, found, detections that are none of them, seconds, pictures."""
    total = hits = wrong = pictures = 0
    seconds = 0.0
    for pixels, boxes in faces:
        start = time.process_time()
        found = detector(pixels)
        seconds += time.process_time() - start
        good = [any(intersection_over_union(box, face.box) > OVERLAP for face in found) for box in boxes]
        matched = sum(any(intersection_over_union(box, face.box) > OVERLAP for box in boxes) for face in found)
        total, hits, wrong, pictures = total + len(boxes), hits + sum(good), wrong + len(found) - matched, pictures + 1
    return total, hits, wrong, seconds, pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="of yunet; by default the fetched file")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    data = options.shared / "data"
    sets = {
        "group photos (dlib's)": lambda: group_photos(data / "landmarks" / "dlib_faces"),
        "300-W, every 5th": lambda: annotated("w300", data / "landmarks" / "300w", every=5),
        "AFLW2000-3D": lambda: annotated("aflw2000", data / "landmarks" / "AFLW2000"),
        "synthetic, 0 to 30 degrees": lambda: synthetic(40, (0, 30)),
        "synthetic, 30 to 60 degrees": lambda: synthetic(40, (30, 60)),
        "synthetic, 60 to 90 degrees": lambda: synthetic(40, (60, 90)),
        "synthetic, blurred": lambda: synthetic(40, (0, 30), "blurred"),
        "synthetic, dark": lambda: synthetic(40, (0, 30), "dark"),
    }
    print("| faces | dlib found | yunet found | dlib, others | yunet, others | dlib ms | yunet ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, faces in sets.items():
        rows = []
        for kind in ("dlib", "yunet"):
            if kind == "yunet":
                from mien.media.detect import YuNetDetector
                from mien.media.yunet import weight_file

                rows.append(measured(YuNetDetector(weight_file(options.weights), threads=1), faces()))
            else:
                rows.append(measured(create_detector(kind), faces()))
        (total, a, wrong_a, seconds_a, n), (_, b, wrong_b, seconds_b, _) = rows
        times = f"{1000 * seconds_a / n:.1f} | {1000 * seconds_b / n:.1f}"
        print(f"| {name}, {total} | {a} | {b} | {wrong_a} | {wrong_b} | {times} |", flush=True)


if __name__ == "__main__":
    main()
