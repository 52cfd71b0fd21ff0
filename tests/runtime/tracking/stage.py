"""A stage: synthetic people cross, hide and come back; a detector and a landmarker that know what is in view."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mien.core.framing import detector_box
from mien.core.records import Box, FacePoints
from mien.media.detect import Detection
from mien.runtime.landmarks import Landmarker
from mien.synthetic.face.expressions import sample_action_units
from mien.synthetic.people import PeopleOptions, person_of, photograph, scene_of

RATE_HZ, SIDE = 25.0, 72
WIDTH, HEIGHT = 400, 200
OPTIONS = PeopleOptions(size=SIDE, yaw_max_deg=10, occluders=False, degradations=False)


@dataclass
class Actor:
    """A person: its pictures (another expression in each) and the points in them."""

    person: int
    pictures: list[tuple[np.ndarray, np.ndarray]]


def actors(seed: int, count: int = 3) -> list[Actor]:
    """Each with two expressions and turns of the head, in one light."""
    found = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        person = person_of(seed, number, options=OPTIONS)
        scene = scene_of(rng, person, options=OPTIONS)
        shots = []
        for expression, turn in (("neutral", 0.0), ("happiness", 0.15)):
            camera = replace(scene.camera, yaw_rad=scene.camera.yaw_rad + turn)
            units = sample_action_units(expression, 0.7, rng=rng)
            pixels, truth = photograph(person, units, replace(scene, camera=camera), options=OPTIONS)
            shots.append((pixels, truth["landmarks_px"]))
        found.append(Actor(number, shots))
    return found


class Stage:
    """One frame: who stands where, the last in front; `visible` are those whose face is mostly in view."""

    def __init__(
        self, places: list[tuple[Actor, tuple[float, float]]], *, shade: int, number: int, shot: int = 0
    ) -> None:
        rng = np.random.default_rng(shade)
        self.pixels = np.full((HEIGHT, WIDTH, 3), shade, np.uint8)
        self.pixels[::8, :, :] = rng.integers(0, 255, 3)
        owner = np.full((HEIGHT, WIDTH), -1)
        self.points: dict[int, np.ndarray] = {}
        for actor, (x, y) in places:
            picture, points = actor.pictures[shot]
            left, top = round(x - SIDE / 2), round(y - SIDE / 2)
            x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + SIDE, WIDTH), min(top + SIDE, HEIGHT)
            if x1 <= x0 or y1 <= y0:
                continue
            self.pixels[y0:y1, x0:x1] = picture[y0 - top : y1 - top, x0 - left : x1 - left]
            owner[y0:y1, x0:x1] = actor.person
            self.points[actor.person] = points + [left, top]
        self.visible = {person for person, points in self.points.items() if _share(owner, person, points) > 0.6}
        self.rng = np.random.default_rng(number)

    def boxes(self) -> dict[int, Box]:
        """Of the faces in view."""
        return {person: detector_box(self.points[person]) for person in sorted(self.visible)}


def _share(owner: np.ndarray, person: int, points: np.ndarray) -> float:
    x, y = np.round(points).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < WIDTH) & (y < HEIGHT)
    return float((owner[y[inside], x[inside]] == person).sum() / len(points))


class StagedDetector:
    """Finds the faces in view, a little beside their place."""

    def __init__(self) -> None:
        self.stage: Stage | None = None
        self.calls = 0

    def __call__(self, pixels: np.ndarray) -> list[Detection]:
        assert self.stage is not None
        self.calls += 1
        found = []
        for box in self.stage.boxes().values():
            side = box[2] - box[0]
            x, y = self.stage.rng.normal(0, 0.03 * side, 2)
            found.append(Detection((box[0] + x, box[1] + y, box[2] + x, box[3] + y), 1.0))
        return found


class StagedLandmarker(Landmarker):
    """Reads the face in view that is nearest to where it looks, whoever it is; without one it is not sure."""

    def __init__(self, detector: StagedDetector) -> None:
        self.detector = detector

    def follow(self, pixels, known):
        return [self._nearest(points.landmarks_px + shift) for points, shift in known]

    def read_many(self, faces):
        return [self._nearest(np.array(face.box).reshape(2, 2)) for _, face in faces]

    def _nearest(self, around: np.ndarray) -> FacePoints:
        stage = self.detector.stage
        assert stage is not None
        middle = (around.min(0) + around.max(0)) / 2
        away = {
            person: float(np.linalg.norm((points.min(0) + points.max(0)) / 2 - middle))
            for person, points in stage.points.items()
            if person in stage.visible
        }
        person = min(away, key=away.__getitem__, default=-1)
        if person < 0 or away[person] > 0.5 * SIDE:
            side = around.max(0) - around.min(0)
            return FacePoints(middle + stage.rng.uniform(-0.5, 0.5, (68, 2)) * side, confidence=np.full(68, 0.3))
        points = stage.points[person] + stage.rng.normal(0, 0.5, (68, 2))
        return FacePoints(points, confidence=np.full(68, 0.8))


def play(cast: list[Actor]) -> Iterator[Stage]:
    """Six seconds: two cross, one behind the other; the third is hidden for a second; a cut."""
    first, second, third = cast
    for number in range(150):
        if number < 60:
            places = [(third, (200, 60)), (second, (350 - 5 * number, 150)), (first, (50 + 5 * number, 145))]
        elif number < 100:
            places = [(second, (50, 150)), (first, (350, 145))]
            if not 62 <= number < 87:
                places.insert(0, (third, (200 + 0.8 * (number - 60), 60)))
        else:
            places = [(first, (80, 70)), (second, (200, 120)), (third, (330, 100))]
        shot = number // 11 % 2 if number < 100 else 1
        yield Stage(places, shade=90 if number < 100 else 180, number=number, shot=shot)
