"""Frames of a video whose faces the detector finds each: their points first, then the crops of the other networks.

A detector's box trembles from frame to frame, and what a network gives trembles with it. The box about the face's
points is steadier: probabilities of a face that only moves change by less than half as much.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from mien.core.framing import detector_box
from mien.core.geometry import intersection_over_union
from mien.core.records import Box, FacePoints
from mien.media.detect import Detection
from mien.runtime.analyzer.batches import Ready
from mien.runtime.faces import FaceFinder, Faces, PictureTask
from mien.runtime.tracking.tracks import side

SAME_FACE = 0.4  # of the union of the boxes; of turned faces the two have less in common than of frontal ones
Points = list[FacePoints | None]


def framed(finder: FaceFinder, points_of: Callable[[Sequence[Faces]], Points], ready: Sequence[Ready]) -> list[Ready]:
    """Located faces with their points, and cut out about them. points_of: of all faces of several pictures."""
    points = iter(points_of([faces for _, faces in ready]))
    return [(task, _about_points(finder, task, faces, points)) for task, faces in ready]


def _about_points(finder: FaceFinder, task: PictureTask, faces: Faces, points: Iterator[FacePoints | None]) -> Faces:
    """points: of these faces, and of those of the frames that follow. The largest first again."""
    each = [(next(points), found) for found in faces.detections]
    if faces.picture is None or not each:
        return replace(faces, points=[])
    placed = [(_box_about(own, found), own, found.score) for own, found in each]
    placed.sort(key=lambda face: -side(face[0]))
    cut = finder.cut(task, faces.picture, [box for box, _, _ in placed], [score for _, _, score in placed])
    return replace(cut, points=[own for _, own, _ in placed])


def _box_about(points: FacePoints | None, found: Detection) -> Box:
    """In the detector's framing about the points; the detector's where they are not of its face."""
    box = found.box if points is None else detector_box(points.landmarks_px)
    return box if intersection_over_union(box, found.box) >= SAME_FACE else found.box
