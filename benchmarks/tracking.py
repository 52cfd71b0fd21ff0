"""Quality of reading videos with the detector on every frame and with followed faces: trembling, errors, lost frames.

    python benchmarks/tracking.py --shared ../shared [--clips 6] [--photos 12] [--detect-every 1 10] [--detectors yunet]

Every film is 960 x 540 at 25 frames a second, and of all but the demo videos the truth is known:

- clips: synthetic people with head motion, blinks and an expression that comes and goes (mien data synth clips);
- pans: photographs of 300-W that move, turn and grow smoothly, with new noise in each frame: nothing else changes;
- turns: synthetic people who turn to a profile (75 degrees) and back;
- bars: a pan whose face a bar hides for a fifth of a second;
- crossings: two photographs cross, one in front of the other.

Trembling is the standard deviation of a point about the mean of the frames before and after (times the root of 2/3:
white noise has its own), of the error where there is a truth, in % of the largest distance of the outer eye corners.
Lost frames are those in which nothing stands at a face that is not hidden.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

YUNET = "weights/yunet/face_detection_yunet_2023mar.onnx"
VIDEOS = ("WolfgangLanger_Pexels.mp4", "single_face.mp4")
WIDTH, HEIGHT, RATE_HZ, SIDE = 960, 540, 25.0, 160  # pixels; of a person's picture
HALF = 110  # of a photograph's side, whose face is 120 pixels large
Points = np.ndarray


@dataclass
class Film:
    """Frames, and of each the true points by person; None where that face is hidden."""

    frames: Callable[[], Iterator[np.ndarray]]
    truth: list[dict[int, Points | None]]
    still: bool = False
    """Whether the expression is the same in all frames."""


@dataclass
class Found:
    """Of one kind of film."""

    errors: list[float] = field(default_factory=list)
    trembling: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    switches: int = 0
    lost: int = 0
    faces: int = 0
    extra: int = 0
    tracks: int = 0
    people: int = 0
    wrong_numbers: int = 0
    frames: int = 0
    processor_s: float = 0.0

    def row(self) -> str:
        rms = float(np.sqrt(np.mean(np.square(self.trembling)))) if self.trembling else float("nan")
        flicker = self.switches / max(self.faces, 1) * RATE_HZ
        error, change = (np.mean(each) if each else float("nan") for each in (self.errors, self.changes))
        return (
            f"{error:.2f} | {rms:.3f} | {flicker:.2f} | {change:.4f} | {self.lost}/{self.faces} | {self.extra} | "
            f"{self.tracks}/{self.people} | {self.wrong_numbers} | {1e3 * self.processor_s / max(self.frames, 1):.1f}"
        )


def canvas(seed: int) -> np.ndarray:
    """A smooth coloured background."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(40, 200, (5, 9, 3)).astype(np.float32)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


@cache
def noise() -> np.ndarray:
    """Of a sensor, standard deviation 3."""
    return np.random.default_rng(0).normal(0, 3, (HEIGHT, WIDTH, 3)).round().astype(np.int16)


def noisy(pixels: np.ndarray, number: int) -> np.ndarray:
    """Other noise for each number."""
    shift = int(np.random.default_rng(number).integers(WIDTH * HEIGHT))
    own = np.roll(noise().reshape(-1, 3), shift, axis=0).reshape(noise().shape)
    return (pixels + own).clip(0, 255).astype(np.uint8)


def clip_film(number: int, seconds: float) -> Film:
    from mien.synthetic.clips import ClipOptions, video
    from mien.synthetic.people import PeopleOptions

    people = PeopleOptions(size=SIDE, yaw_max_deg=25, occluders=False)
    clip = video(11, number, options=ClipOptions(seconds=seconds, voice=False, people=people))
    place = np.array([300 + 30 * (number % 5), 180])
    return pasted(clip.frames, clip.landmarks_px, place, number)


def pasted(pictures: np.ndarray, points: np.ndarray, place: np.ndarray, seed: int) -> Film:
    background = canvas(seed)

    def frames() -> Iterator[np.ndarray]:
        for picture in pictures:
            frame = background.copy()
            frame[place[1] : place[1] + SIDE, place[0] : place[0] + SIDE] = picture
            yield frame

    return Film(frames, [{0: each + place} for each in points])


def turn_film(number: int, count: int = 30) -> Film:
    """To a profile and back."""
    from mien.synthetic.people import PeopleOptions, person_of, photograph, scene_of

    options = PeopleOptions(size=SIDE, yaw_max_deg=5, occluders=False, degradations=False)
    person = person_of(12, number, options=options)
    scene = scene_of(np.random.default_rng([12, number]), person, options=options)
    angle = np.radians(75) * np.sin(np.pi * np.arange(count) / (count - 1)) * (-1) ** number
    shots = [
        photograph(person, {}, replace(scene, camera=replace(scene.camera, yaw_rad=float(a))), options=options)
        for a in angle
    ]
    pictures = np.stack([pixels for pixels, _ in shots])
    return pasted(pictures, np.stack([truth["landmarks_px"] for _, truth in shots]), np.array([400, 190]), number)


def photos(shared: Path, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures about faces that are SIDE pixels large, and their points."""
    from mien.data.readers import open_reader
    from mien.media.image import load_image

    reader = open_reader("w300", shared / "data/landmarks/300w")
    samples = [sample for split in reader.splits for sample in reader.samples(split)]
    order = np.random.default_rng(3).permutation(len(samples))
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for place in order:
        sample = samples[int(place)]
        pixels, points = load_image(sample.path).pixels, np.asarray(sample.landmarks_px)
        side = float(np.ptp(points, 0).max())
        if side < 110:
            continue
        factor = 120 / side
        points = (points + 0.5) * factor - 0.5
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        pixels = cv2.copyMakeBorder(pixels, HALF, HALF, HALF, HALF, cv2.BORDER_REPLICATE)
        x0, y0 = np.round((points.min(0) + points.max(0)) / 2).astype(int)
        points = points + HALF
        found.append((np.ascontiguousarray(pixels[y0 : y0 + 2 * HALF, x0 : x0 + 2 * HALF]), points - (x0, y0)))
        if len(found) == count:
            break
    return found


def motion(number: int, time_s: float) -> np.ndarray:
    """A smooth similarity, 2 x 3, that puts the photo's middle near the film's."""
    rng = np.random.default_rng([5, number])
    phase, size = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.3, 1.0, 4)
    wave = size * np.sin(2 * np.pi * time_s / rng.uniform(1.5, 4, 4) + phase)
    angle, scale = 0.12 * wave[0], 1 + 0.06 * wave[1]
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([WIDTH / 2 + 60 * wave[2], HEIGHT / 2 + 30 * wave[3]])
    return np.hstack([matrix, (middle - matrix @ np.full(2, HALF))[:, None]])


def put(frame: np.ndarray, photo: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The photo into the frame, bicubic."""
    size = (WIDTH, HEIGHT)
    return cv2.warpAffine(photo, matrix, size, dst=frame, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_TRANSPARENT)


def pan_film(photo: tuple[np.ndarray, np.ndarray], number: int, count: int, *, bar: bool = False) -> Film:
    pixels, points = photo
    background = canvas(number)
    moves = [motion(number, i / RATE_HZ) for i in range(count)]
    truth: list[dict[int, Points | None]] = [{0: points @ m[:, :2].T + m[:, 2]} for m in moves]
    hidden = range(count // 2, count // 2 + 5) if bar else range(0)
    for i in hidden:
        truth[i] = {0: None}

    def frames() -> Iterator[np.ndarray]:
        for i, matrix in enumerate(moves):
            frame = put(background.copy(), pixels, matrix)
            if i in hidden:
                cv2.rectangle(frame, (WIDTH // 2 - 200, 0), (WIDTH // 2 + 200, HEIGHT), (90, 80, 70), -1)
            yield noisy(frame, 100 * number + i)

    return Film(frames, truth, still=True)


def crossing_film(pair: list[tuple[np.ndarray, np.ndarray]], number: int, count: int = 50) -> Film:
    background = canvas(number)
    moves, truth = [], list[dict[int, Points | None]]()
    for i in range(count):
        along = 200 + 560 * i / (count - 1)
        middles = [np.array([along, 280.0]), np.array([WIDTH - along, 260.0])]
        own = [np.hstack([np.eye(2), (m - HALF)[:, None]]) for m in middles]
        near = abs(middles[0][0] - middles[1][0]) < 2 * HALF
        points = [p @ m[:, :2].T + m[:, 2] for (_, p), m in zip(pair, own, strict=True)]
        truth.append({0: points[0], 1: None if near else points[1]})
        moves.append(own)

    def frames() -> Iterator[np.ndarray]:
        for i, own in enumerate(moves):
            frame = background.copy()
            for place in (1, 0):
                frame = put(frame, pair[place][0], own[place])
            yield noisy(frame, 100 * number + i)

    return Film(frames, truth, still=True)


def corners(points: Points) -> float:
    """Distance of the outer eye corners."""
    return float(np.linalg.norm(points[36] - points[45]))


def eye_distances(truth: list[dict[int, Points | None]]) -> dict[int, float]:
    """By person, where they are largest: a turned face is not smaller."""
    found: dict[int, float] = {}
    for each in truth:
        for person, points in each.items():
            found[person] = max(found.get(person, 0.0), corners(points) if points is not None else 0.0)
    return found


def measure(analyzer: object, film: Film, found: Found) -> None:
    from mien.media.streams.source import ArrayFrames

    courses: dict[int, list[tuple[int, np.ndarray, np.ndarray, int]]] = {}
    frames = list(film.frames())
    start = time.process_time()
    reads = list(analyzer.read_frames(ArrayFrames(frames, rate_hz=RATE_HZ)))  # type: ignore[attr-defined]
    found.processor_s += time.process_time() - start
    found.frames += len(frames)
    numbers: dict[int, set[int]] = {}
    units = eye_distances(film.truth)
    for i, (read, truth) in enumerate(zip(reads, film.truth, strict=True)):
        left = [r for r in read.readings if r.success and r.points is not None]
        hidden = any(points is None for points in truth.values())
        for person, points in truth.items():
            if points is None:
                continue
            found.faces += 1
            away = [float(np.linalg.norm(r.points.landmarks_px - points, axis=1).mean()) for r in left]
            away = [each / units[person] for each in away]
            if not away or min(away) > 0.5:
                found.lost += 1
                continue
            reading = left.pop(int(np.argmin(away)))
            numbers.setdefault(person, set()).add(reading.track_id)
            found.errors.append(100 * min(away))
            error = 100 * (reading.points.landmarks_px - points) / units[person]
            probabilities = np.array(list(reading.probabilities.values()))
            courses.setdefault(person, []).append((i, error, probabilities, reading.track_id))
        found.extra += 0 if hidden else len(left)
    found.tracks += len(set().union(*numbers.values())) if numbers else 0
    found.people += len(film.truth[0])
    shared = [number for person in numbers for number in numbers[person]]
    found.wrong_numbers += len(shared) - len(set(shared))
    for course in courses.values():
        tremble(course, found, expression=film.still)


def tremble(course: list[tuple[int, np.ndarray, np.ndarray, int]], found: Found, *, expression: bool) -> None:
    for before, now, after in zip(course, course[1:], course[2:], strict=False):
        if after[0] - before[0] == 2:
            rest = (now[1] - (before[1] + after[1]) / 2) * np.sqrt(2 / 3)
            found.trembling.append(float(np.sqrt((rest**2).mean())))
    for before, now in pairwise(course):
        if expression and now[0] - before[0] == 1:
            found.changes.append(float(np.abs(now[2] - before[2]).mean()))
            found.switches += int(now[2].argmax() != before[2].argmax())


def demo(analyzer: object, path: Path, found: Found) -> None:
    """No truth: trembling where the face hardly moves (below 0.7 % of the eyes' distance a frame)."""
    start = time.process_time()
    reads = list(analyzer.read_video(path))  # type: ignore[attr-defined]
    found.processor_s += time.process_time() - start
    found.frames += len(reads)
    course = []
    numbers: set[int] = set()
    for i, read in enumerate(reads):
        faces = [r for r in read.readings if r.success and r.points is not None]
        found.faces += 1
        found.lost += not faces
        found.extra += max(0, len(faces) - 1)
        if faces:
            numbers |= {r.track_id for r in faces}
            points = faces[0].points.landmarks_px
            course.append((i, 100 * points / corners(points), np.array(list(faces[0].probabilities.values())), 0))
    found.tracks, found.people = found.tracks + len(numbers), found.people + 1
    means = np.array([points.mean(0) for _, points, _, _ in course])
    smooth = np.stack([np.convolve(column, np.full(5, 0.2), "same") for column in means.T], -1)
    speed = np.r_[0, np.linalg.norm(np.diff(smooth, axis=0), axis=1)]
    still = Found()
    for k in range(3, len(course) - 3):
        if speed[k - 1 : k + 2].max() < 0.7:
            tremble(course[k - 1 : k + 2], still, expression=False)
    found.trembling += still.trembling
    tremble_all = Found()
    tremble(course, tremble_all, expression=True)
    found.changes += tremble_all.changes
    found.switches += tremble_all.switches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder with data/ and weights/")
    parser.add_argument("--clips", type=int, default=6, help="synthetic clips; turns are half as many")
    parser.add_argument("--seconds", type=float, default=1.6, help="of a clip")
    parser.add_argument("--photos", type=int, default=12, help="photographs that move, cross and are hidden")
    parser.add_argument("--detectors", nargs="+", default=["dlib", "yunet"])
    parser.add_argument("--detect-every", nargs="+", type=int, default=[1, 10])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    from mien import Analyzer

    pictures = photos(options.shared, options.photos)
    kinds: dict[str, list[Film]] = {
        "pans": [pan_film(photo, i, 20) for i, photo in enumerate(pictures)],
        "bars": [pan_film(photo, i, 26, bar=True) for i, photo in enumerate(pictures[:5])],
        "crossings": [crossing_film(pictures[2 * i : 2 * i + 2], i) for i in range(min(4, len(pictures) // 2))],
        "clips": [clip_film(i, options.seconds) for i in range(options.clips)],
        "turns": [turn_film(i) for i in range(options.clips // 2)],
    }
    print(f"load {os.getloadavg()[0]:.1f}, {options.threads} threads", flush=True)
    measures = "error % | trembling % | class changes a s | change of p | lost | extra | tracks | wrong numbers"
    print(f"| films | detector | every | {measures} | ms a frame |")
    print("| --- " * 12 + "|")
    for detector in options.detectors:
        for every in options.detect_every:
            weights = None if detector == "dlib" else options.shared / YUNET
            analyzer = Analyzer(
                detector=detector, weights=weights, detect_every=every, threads=options.threads, backend="onnxruntime"
            )
            for name, films in kinds.items():
                found = Found()
                for film in films:
                    measure(analyzer, film, found)
                print(f"| {name} | {detector} | {every} | {found.row()} |", flush=True)
            for name in VIDEOS:
                found = Found()
                demo(analyzer, options.shared / "data/demo/video" / name, found)
                print(f"| {name.split('_')[0]} | {detector} | {every} | {found.row()} |", flush=True)


if __name__ == "__main__":
    main()
