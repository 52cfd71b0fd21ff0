"""Which faces each detector finds, and how long it takes.

    python benchmarks/detectors.py --shared ../shared [--weights face_detection_yunet_2023mar.onnx] [--first-search]

Recall: annotated faces whose box (of 68 points, as a detector would frame them, or as annotated) a detection overlaps
by more than 0.3 of their union. False alarms count on group photos whose faces are all annotated; elsewhere other faces
may be in the picture. Synthetic people are turned by up to 90 degrees, blurred or dark. Processor time of one thread.

--first-search: instead, what YuNet's first search at 320 pixels changes against the one at 640 alone: every 7th face of
300-W enlarged to a longer side of 1280, with the error of the shipped landmark model from either (by the distance of
the outer eye corners), and small faces of London's set beside a large one.
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
from mien.media.detect import Detection, Detector, YuNetDetector, create_detector
from mien.media.image import load_image
from mien.media.yunet import weight_file
from mien.runtime.landmarks import Landmarker
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


def first_search(data: Path, weights: Path | None) -> None:
    detector = YuNetDetector(weight_file(weights), threads=1)
    ways = {"at 640": lambda p: detector._search(p, 640 / max(p.shape)), "at 320 first": detector}
    landmarker = Landmarker(threads=1)
    reader = open_reader("w300", data / "landmarks" / "300w")
    samples = [sample for split in reader.splits for sample in reader.samples(split)][::7]
    print("| 300-W, enlarged | found | error | above 10 % | ms |\n| --- | --- | --- | --- | --- |")
    for name, detect in ways.items():
        errors, seconds = [], 0.0
        for sample in samples:
            pixels, points = load_image(sample.path).pixels, np.asarray(sample.landmarks_px)
            factor = 1280 / max(pixels.shape)
            pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            points = (points + 0.5) * factor - 0.5
            start = time.process_time()
            found = detect(pixels)
            seconds += time.process_time() - start
            true = detector_box(points)
            if (face := max(found, key=lambda f: intersection_over_union(f.box, true), default=None)) is not None:
                read = landmarker.read(pixels, face).landmarks_px
                errors.append(np.linalg.norm(read - points, axis=1).mean() / np.linalg.norm(points[36] - points[45]))
        above = f"{np.mean(np.array(errors) > 0.1):.1%}"
        each = f"{1e3 * seconds / len(samples):.1f}"
        print(f"| {name} | {len(errors)} of {len(samples)} | {np.mean(errors):.2%} | {above} | {each} |", flush=True)
    print("\n| side of the small face, of the longer side | at 640 | at 320 first |\n| --- | --- | --- |")
    for part in (32, 24, 20, 16, 12):
        pictures = list(beside_a_large_one(data / "faces_hq" / "london512", part))
        hits = [sum(_is_in(place, detect(pixels)) for pixels, place in pictures) for detect in ways.values()]
        print(f"| 1/{part} | {hits[0]} of {len(pictures)} | {hits[1]} of {len(pictures)} |", flush=True)


def beside_a_large_one(folder: Path, part: int) -> Iterator[tuple[np.ndarray, Box]]:
    """A portrait that fills most of 1280 x 720, and a face of 1280 / part pixels beside it, with where that lies."""
    rng = np.random.default_rng(part)
    large, small = (sorted((folder / name).glob("*.jpg"))[:24] for name in ("neutral", "happiness"))
    for one, other in zip(large, small, strict=False):
        canvas = np.full((720, 1280, 3), 110, np.uint8)
        canvas[100:660, 40:600] = cv2.resize(load_image(one).pixels, (560, 560), interpolation=cv2.INTER_AREA)
        side = round(1280 / part * 512 / 230)  # faces have about 230 of the 512 pixels
        x, y = int(rng.integers(620, 1280 - side)), int(rng.integers(0, 720 - side))
        canvas[y : y + side, x : x + side] = cv2.resize(
            load_image(other).pixels, (side, side), interpolation=cv2.INTER_AREA
        )
        yield cv2.GaussianBlur(canvas, (0, 0), 0.7), (x, y, x + side, y + side)


def _is_in(place: Box, found: list[Detection]) -> bool:
    return any(
        place[0] < (f.box[0] + f.box[2]) / 2 < place[2] and place[1] < (f.box[1] + f.box[3]) / 2 < place[3]
        for f in found
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="of yunet; by default the fetched file")
    parser.add_argument("--first-search", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    data = options.shared / "data"
    if options.first_search:
        first_search(data, options.weights)
        return
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
                rows.append(measured(YuNetDetector(weight_file(options.weights), threads=1), faces()))
            else:
                rows.append(measured(create_detector(kind), faces()))
        (total, a, wrong_a, seconds_a, n), (_, b, wrong_b, seconds_b, _) = rows
        times = f"{1000 * seconds_a / n:.1f} | {1000 * seconds_b / n:.1f}"
        print(f"| {name}, {total} | {a} | {b} | {wrong_a} | {wrong_b} | {times} |", flush=True)


if __name__ == "__main__":
    main()
