"""From a picture or a video to an examination: points of the largest face, read twice (also mirrored), measured."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from mien.core.errors import MienError
from mien.core.geometry import intersection_over_union
from mien.core.landmarks import SCHEME_68, to_68
from mien.core.records import Box, FacePoints
from mien.media.detect import Detection, Detector, create_detector
from mien.media.video import Frame as VideoFrame
from mien.runtime.asymmetry.dynamic import Movement, analyse_track
from mien.runtime.asymmetry.frame import METHOD, Method
from mien.runtime.asymmetry.mirror import MirrorTest, Read, mean_of, mirror_test, read_mirrored
from mien.runtime.asymmetry.quality import Check, check_quality
from mien.runtime.asymmetry.significance.errors import ERRORS_FILE, Conditions, ErrorModel, load_errors
from mien.runtime.asymmetry.significance.headline import Headline, headline
from mien.runtime.asymmetry.static import FaceMeasures, analyse
from mien.runtime.landmarks import Landmarker, shipped_landmarks

PARTED_MM = 1.0  # gap of the lips above which an unnamed picture is not one of rest
Pixels = UInt8[np.ndarray, "height width 3"]


@runtime_checkable
class Reader(Protocol):
    """Points of one face; None where there is none. near: a box that the face must overlap."""

    def __call__(self, pixels: Pixels, *, near: Box | None = None) -> FacePoints | None: ...


@dataclass(frozen=True, eq=False)
class Examination:
    """A measured photo."""

    source: str
    """File."""
    task: str
    """What it shows."""
    pixels: Pixels
    """RGB."""
    measured: FaceMeasures
    """The mean of both readings where the mirror test was made."""
    checks: tuple[Check, ...]
    """Of the picture's quality."""
    mirror: MirrorTest | None = None
    """None where the test was not made."""
    face_limit: float | None = None
    """As ErrorModel.face_limit; None where no errors were fitted."""
    outside: tuple[str, ...] = ()
    """Conditions in which the picture is worse than all in the fit of the errors."""

    def headline(self, rest: "Examination | None" = None) -> Headline | None:
        """rest: the same person at rest. None where no errors were fitted."""
        if self.face_limit is None:
            return None
        base = None if rest is None or rest is self else rest.measured
        return headline(self.measured, face_limit=self.face_limit, task=self.task, rest=base)

    def finding(self, rest: "Examination | None" = None) -> str:
        """The picture in one sentence: the region that differs most."""
        stated = self.headline(rest)
        if stated is not None:
            return (
                f"{stated.sentence}; {stated.clear_measures} of {stated.measures} measures beyond their healthy limit"
            )
        parts = self.measured.regions[1:]
        if any(region.floor is None for region in parts):
            worst = max(parts, key=lambda region: region.asymmetry.value)
            return f"most unequal: {worst.name}, {worst.asymmetry.value:.1f} % (errors unknown)"
        worst = max(parts, key=lambda region: region.asymmetry.value / max(region.floor or 0, 1e-9))
        floor = f"a symmetric face stays below {worst.floor:.1f} %"
        return f"most unequal: {worst.name}, {worst.asymmetry.value:.1f} % ({floor})"


@dataclass(frozen=True, eq=False)
class VideoExamination:
    """A measured video."""

    source: str
    """File."""
    movement: Movement
    """Over all frames."""
    at_rest: Examination
    """A frame of rest."""
    at_peak: Examination
    """A frame of the sustained movement."""


class FaceReader:
    """The largest face that the detector is sure of, and its 68 points by a landmark bundle (the shipped one by
    default).

    Where the bundle states no error of its own for each point, all points get its mean error on validation faces; where
    it has none on record, sigma_px stays None. `sigma_source` says which. Raises MienError for a bundle or a detector
    that cannot be used.
    """

    def __init__(
        self, bundle: str | Path | None = None, *, detector: str = "dlib", weights: str | Path | None = None,
        min_face: float | None = None, threads: int | None = None,
    ) -> None:  # fmt: skip
        self.landmarker = Landmarker(bundle, threads=threads)
        self._folder = shipped_landmarks() if bundle is None else Path(bundle)
        self.info = self.landmarker.info
        self._detector: Detector = create_detector(detector, weights=weights, min_face=min_face)
        scores = self.info.provenance.get("scores", {})
        error = scores.get("val/nme_interocular") if isinstance(scores, dict) else None
        self._mean_error = float(error) if isinstance(error, int | float) else None

    @property
    def sigma_source(self) -> str:
        if "sigma" in self.landmarker.outputs:
            return "the model's own for each point"
        if self._mean_error is None:
            return "unknown: the model states no errors"
        share = f"{100 * self._mean_error:.1f} %"
        return f"the model's mean error on validation faces for all points alike ({share} of the outer eye distance)"

    def errors(self, *, mirrored: bool, method: Method = METHOD) -> ErrorModel | None:
        """The errors fitted for this bundle; None where there are none, and where the method is not the one of the fit:
        eye line through the corners of the eyes, turned to the front by depth."""
        usual = method.line == "canthi" and method.frontal and "depth" in self.info.outputs
        if not usual or self._folder is None:
            return None
        return load_errors(self._folder / ERRORS_FILE, mirrored=mirrored, files=self.info.files)

    def __call__(self, pixels: Pixels, *, near: Box | None = None) -> FacePoints | None:
        chosen = _chosen(self._detector(pixels), near)
        if chosen is None:
            return None
        face = self.landmarker.read(pixels, chosen.box)
        if len(face.landmarks_px) == 98:
            face = FacePoints(to_68(face.landmarks_px), pose_rad=face.pose_rad, box=face.box)
        if face.sigma_px is None and self._mean_error is not None:
            size = float(SCHEME_68.interocular(face.landmarks_px))
            face = replace(face, sigma_px=np.full(len(face.landmarks_px), self._mean_error * size))
        return face


def examine_picture(
    pixels: Pixels, read: Reader, *, source: str = "", task: str = "", mirror: bool = True, method: Method = METHOD,
    errors: ErrorModel | None = None, near: Box | None = None,
) -> Examination:  # fmt: skip
    """errors: those fitted for the reader and `mirror`. near: a box that the face must overlap. Raises MienError where
    no face is found."""
    face = read(pixels, near=near)
    if face is None:
        raise MienError(
            f"{source or 'the picture'}: no face found. The face should fill a third of the picture's height."
        )
    tested = mirror_test(pixels, _near_mirrored(pixels, face, read), face=face, method=method) if mirror else None
    best = tested.averaged if tested else face
    checks = tuple(check_quality(best, pixels))
    measured = analyse(best, method=method)
    if errors is None:
        return Examination(source, task, pixels, measured, checks, tested)
    sharp = next(check.value for check in checks if check.name == "sharpness")
    conditions = Conditions.of(measured, sharpness=sharp, mirror_percent=tested.percent if tested else None)
    measured = errors.applied(measured, conditions, moved=shows_movement(measured, task))
    outside = tuple(errors.outside(conditions))
    return Examination(source, task, pixels, measured, checks, tested, errors.face_limit, outside)


def shows_movement(measured: FaceMeasures, task: str) -> bool:
    """Whether healthy limits are those of moving faces: by the task; where none is named, by lips that part."""
    lips = measured["dental_show"]
    gap = [side.value for side in (lips.right, lips.left) if side is not None]
    return task != "rest" if task else sum(gap) / 2 > PARTED_MM


def examine_video(
    play: Callable[[], Iterable[VideoFrame]], read: Reader, *, source: str = "", task: str = "", affected: str = "",
    mirror: bool = True, method: Method = METHOD, errors: ErrorModel | None = None,
) -> VideoExamination:  # fmt: skip
    """One movement of one face. play: the frames from the start; called twice, so that no video is held in memory.

    mirror: every frame is read twice, which takes twice the time. Raises MienError for too few frames with a face.
    """
    times: list[float] = []
    faces = list(_faces(play(), read, times, mirror))
    movement = analyse_track(faces, times, task=task, affected=affected, method=method, errors=errors)
    wanted = {float(movement.times_s[k]) for k in (movement.rest, movement.typical)}
    kept = {frame.timestamp_s: frame.pixels for frame in play() if frame.timestamp_s in wanted}
    boxes = {time: box_around(face) for time, face in zip(times, faces, strict=True) if face is not None}
    shown = []
    for k, name in ((movement.rest, "rest"), (movement.typical, task or "height of the movement")):
        time = float(movement.times_s[k])
        place = f"{source}, {time:.2f} s"
        shown.append(
            examine_picture(
                kept[time], read, source=place, task=name, mirror=mirror, method=method, errors=errors, near=boxes[time]
            )
        )
    return VideoExamination(source, movement, shown[0], shown[1])


def _faces(frames: Iterable[VideoFrame], read: Reader, times: list[float], mirror: bool) -> Iterator[FacePoints | None]:
    """Of each frame; its time goes into `times`."""
    near: Box | None = None
    for frame in frames:
        times.append(frame.timestamp_s)
        face = read(frame.pixels, near=near)
        if face is not None:
            near = box_around(face)
            other = read_mirrored(frame.pixels, _near_mirrored(frame.pixels, face, read)) if mirror else None
            face = mean_of(face, other) if other else face
        yield face


def box_around(face: FacePoints) -> Box:
    """The upright rectangle of the points."""
    (x0, y0), (x1, y1) = face.landmarks_px.min(0).tolist(), face.landmarks_px.max(0).tolist()
    return x0, y0, x1, y1


def _near_mirrored(pixels: Pixels, face: FacePoints, read: Reader) -> Read:
    """Reads mirrored pictures where that face is then: the other reading must be of the same face."""
    x0, y0, x1, y1 = box_around(face)
    width = pixels.shape[1]
    near = (width - 1 - x1, y0, width - 1 - x0, y1)
    return lambda flipped: read(flipped, near=near)


def _chosen(found: list[Detection], near: Box | None) -> Detection | None:
    """The largest of those with at least half of the best score: buttons and badges get less."""
    if near is not None:
        found = [face for face in found if intersection_over_union(face.box, near) > 0.2]
    if not found:
        return None
    sure = max(face.score for face in found) / 2
    return max((face for face in found if face.score >= sure), key=lambda face: face.side)
