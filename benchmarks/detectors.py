"""Which faces each detector finds, which it invents, and how long it takes.

    python benchmarks/detectors.py --shared ../shared [--weights face_detection_yunet_2023mar.onnx] [--faces 200]
        [--first-search]

Recall: annotated faces whose box (of 68 points as a detector would frame them, or as annotated) a detection overlaps by
more than 0.3 of their union; 95 % Wilson intervals. Others are detections that overlap no annotated face: false alarms
on synthetic people, studio portraits and the group photos, whose faces are all annotated; in the other sets bystanders
may be in the picture. Processor time of one thread.

A synthetic person stands before a background of 320 pixels, a head (0.22 m) takes 35 to 70 % of it, and the yaw is
drawn evenly from the range that is asked for, to either side. Blur, darkness and things before the face come one at a
time on faces turned by up to 30 degrees.

--first-search: instead, what YuNet's first search at 320 pixels changes against the one at 640 alone: every 7th face of
300-W enlarged to a longer side of 1280, with the error of the shipped landmark model from either (by the distance of
the outer eye corners), and small faces of London's set beside a large one.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from mien.core.framing import detector_box, rectangle_of_five
from mien.core.geometry import intersection_over_union
from mien.core.records import Box
from mien.data.readers import open_reader
from mien.media.detect import Detection, Detector, YuNetDetector, create_detector
from mien.media.image import load_image
from mien.media.yunet import weight_file
from mien.metrics.significance import wilson_interval
from mien.runtime.landmarks import Landmarker
from mien.synthetic.face.expressions import sample_action_units
from mien.synthetic.people import CLASSES, PeopleOptions, person_of, photograph, scene_of
from mien.synthetic.picture.background import Background
from mien.synthetic.picture.degradation import Degradation
from mien.synthetic.picture.person.occluders import Occluder

OVERLAP, SIDE, SEED = 0.3, 320, 77
THINGS = ("mask", "hand", "microphone", "telephone", "sunglasses")
Faces = tuple[np.ndarray, list[Box]]  # a picture and what is annotated in it
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Condition:
    """How synthetic people are shown."""

    yaw_deg: tuple[float, float] = (0.0, 30.0)
    """To either side."""
    head: tuple[float, float] = (0.35, 0.7)
    """Share of the picture's side that 0.22 m take."""
    things: bool = False
    """One of THINGS before or on each face, in turn."""
    change: Change = lambda pixels: pixels
    """Of the finished picture."""


def blurred(sigma: float) -> Change:
    """Gaussian, pixels."""
    return lambda pixels: cv2.GaussianBlur(pixels, (0, 0), sigma)


def darker(share: float) -> Change:
    """That share of the grey values, rounded as a camera's 8 bits are, with noise of 2 levels."""

    def change(pixels: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(int(pixels.sum())).normal(0, 2, pixels.shape)
        return (pixels * share + noise).round().clip(0, 255).astype(np.uint8)

    return change


CONDITIONS = {
    "turned by 0 to 30°": Condition(),
    "turned by 30 to 60°": Condition((30, 60)),
    "turned by 60 to 90°": Condition((60, 90)),
    "blurred, SD 4 pixels": Condition(change=blurred(4)),
    "blurred, SD 8 pixels": Condition(change=blurred(8)),
    "a fifth of the light": Condition(change=darker(0.2)),
    "a twentieth of the light": Condition(change=darker(0.05)),
    "mask, hand, microphone, telephone or sunglasses": Condition(things=True),
    "heads of 40 to 64 pixels": Condition(head=(0.125, 0.2)),
    "heads of 20 to 40 pixels": Condition(head=(0.0625, 0.125)),
}


def synthetic(count: int, condition: Condition) -> Iterator[Faces]:
    """So many people, each once."""
    for number in range(count):
        yield person(number, condition)


def person(number: int, condition: Condition) -> Faces:
    """Somebody with the yaw, the size and the things that the condition asks for; the same arguments, the same one."""
    rng = np.random.Generator(np.random.PCG64([SEED, number]))
    options = PeopleOptions(size=SIDE, occluders=False, degradations=False)
    who = person_of(SEED, number, options=options)
    scene = scene_of(rng, who, options=options)
    yaw = np.radians(rng.uniform(*condition.yaw_deg)) * (1 if number % 2 else -1)
    place = (float(rng.uniform(-0.12, 0.12)), float(rng.uniform(-0.08, 0.08)))
    camera = replace(scene.camera, yaw_rad=float(yaw), face_side=SIDE * float(rng.uniform(*condition.head)))
    occluder = thing(rng, THINGS[number % len(THINGS)]) if condition.things else Occluder()
    scene = replace(scene, camera=replace(camera, centre=place), occluder=occluder)
    units = sample_action_units(CLASSES[number % len(CLASSES)], float(rng.uniform(0.45, 1)), rng=rng)
    pixels, truth = photograph(who, units, scene, options=options)
    return condition.change(pixels), [detector_box(truth["landmarks_px"])]


def thing(rng: np.random.Generator, kind: str) -> Occluder:
    drawn = replace(Occluder.sample(rng), kind=kind, glasses=False)
    return replace(drawn, kind="none", glasses=True, tint=0.9) if kind == "sunglasses" else drawn


def nobody(count: int) -> Iterator[Faces]:
    """Painted backgrounds alone: every detection is false."""
    for number in range(count):
        light = Background.sample(np.random.default_rng([SEED, number])).paint(SIDE)
        yield Degradation().apply(light), []


def annotated(name: str, root: Path, *, part: str = "") -> Iterator[Faces]:
    """Each picture once. part: what the path must hold."""
    reader = open_reader(name, root)
    samples = {sample.path: sample for split in reader.splits for sample in reader.samples(split)}
    for path, sample in samples.items():
        if part in path.parts or not part:
            assert sample.landmarks_px is not None
            yield load_image(path).pixels, [detector_box(np.asarray(sample.landmarks_px))]


def london(folder: Path) -> Iterator[Faces]:
    """Studio portraits; their five points stand for the rectangle of 68."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            five = np.array([float(value) for value in list(row.values())[3:]]).reshape(5, 2)
            corners, _ = rectangle_of_five(five)
            yield load_image(folder / row["path"]).pixels, [detector_box(corners)]


def group_photos(folder: Path) -> Iterator[Faces]:
    for file in sorted(folder.glob("*.xml")):
        for image in ElementTree.parse(file).getroot().iter("image"):
            boxes = [
                [float(box.get(key, 0)) for key in ("left", "top", "width", "height")] for box in image.iter("box")
            ]
            yield load_image(folder / str(image.get("file"))).pixels, [(x, y, x + w, y + h) for x, y, w, h in boxes]


@dataclass
class Found:
    """Of one detector on one set."""

    faces: int = 0
    """Annotated."""
    hits: int = 0
    """Of them found."""
    others: int = 0
    """Detections that are none of them."""
    pictures: int = 0
    seconds: float = 0.0

    def add(self, detector: Detector, pixels: np.ndarray, boxes: list[Box]) -> None:
        start = time.process_time()
        found = detector(pixels)
        self.seconds += time.process_time() - start
        pairs = [[intersection_over_union(box, face.box) > OVERLAP for face in found] for box in boxes]
        self.faces, self.pictures = self.faces + len(boxes), self.pictures + 1
        self.hits += sum(map(any, pairs))
        self.others += sum(not any(row[i] for row in pairs) for i in range(len(found)))

    def recall(self) -> str:
        """`196, 93.8 % (89.7 to 96.3)`."""
        if not self.faces:
            return ""
        interval = wilson_interval(self.hits, self.faces)
        share = 100 * self.hits / self.faces
        return f"{share:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def measured(detectors: list[Detector], faces: Iterator[Faces]) -> list[Found]:
    """Each detector on the same pictures, which are made once."""
    found = [Found() for _ in detectors]
    for pixels, boxes in faces:
        for detector, one in zip(detectors, found, strict=True):
            one.add(detector, pixels, boxes)
    return found


def sets(data: Path, count: int) -> Iterator[tuple[str, Iterator[Faces]]]:
    points = data / "landmarks"
    yield "dlib's group photos", group_photos(points / "dlib_faces")
    for part in ("afw", "helen", "lfpw"):
        yield f"300-W, {part.upper()}", annotated("w300", points / "300w", part=part)
    yield "AFLW2000-3D", annotated("aflw2000", points / "AFLW2000")
    yield "London Set", london(data / "faces_hq" / "london512")
    for name, condition in CONDITIONS.items():
        yield f"synthetic, {name}", synthetic(count, condition)
    yield "synthetic backgrounds", nobody(count)


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
    parser.add_argument("--faces", type=int, default=200, help="of each synthetic condition")
    parser.add_argument("--first-search", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.first_search:
        first_search(options.shared / "data", options.weights)
        return
    detectors = [create_detector("dlib"), YuNetDetector(weight_file(options.weights), threads=1)]
    print("| faces | dlib found | YuNet found | dlib, others | YuNet, others | dlib ms | YuNet ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, faces in sets(options.shared / "data", options.faces):
        found = measured(detectors, faces)
        times = (f"{1000 * each.seconds / max(1, each.pictures):.1f}" for each in found)
        cells = [*(each.recall() for each in found), *(str(each.others) for each in found), *times]
        print(f"| {name}, {found[0].faces or found[0].pictures} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
