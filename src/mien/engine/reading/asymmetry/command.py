"""`mien asymmetry`: left against right in photos and videos of a face, as a table and as a page to print."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mien.core.errors import MienError, printable
from mien.core.geometry import intersection_over_union
from mien.core.records import Box, FacePoints
from mien.media.detect import Detector, available_detector, create_detector
from mien.media.files import writable_folder

if TYPE_CHECKING:
    from mien.runtime.asymmetry.examination import Reader
    from mien.runtime.asymmetry.frame import Scale


def asymmetry(
    inputs: list[str],
    *,
    output: str,
    task: str | None = None,
    affected: Literal["auto", "right", "left"] = "auto",
    face: int | None = None,
    pupil_distance_mm: float | None = None,
    iris_px: float | None = None,
    mm_per_px: float | None = None,
    distance_m: float | None = None,
    bundle: str | None = None,
    detector: Literal["dlib", "yunet", "auto"] = "dlib",
    detector_weights: str | None = None,
    mirror: bool = True,
    frontal: bool = True,
    line: Literal["canthi", "pupils"] = "canthi",
    every: int = 1,
    overwrite: bool = False,
    compare: bool | None = None,
    threads: int | None = None,
) -> str:
    """Measure left-right asymmetry in photos and videos of one face: estimates with uncertainty, no diagnosis.

    Args:
        inputs: photos and videos, as FILE or TASK=FILE; a name such as anna_smile.jpg states its task too. Tasks: rest,
            brow_raise, eyes_closed_gently, eyes_closed_tightly, smile, snarl, pucker, lower_teeth.
        output: folder for report.html, measures.csv, measures.json, pictures and curves.
        task: task that every input shows, where the file names do not state it.
        affected: affected side, as the person's own right or left; auto is the side that moves less.
        face: which face to measure where a picture shows several: its number as in mien analyze, 0 is the largest. By
            default the largest that the detector is sure of; which one it was is printed and in measures.json.
        pupil_distance_mm: the person's pupil distance, which sets the scale in millimetres; 63 mm is assumed otherwise.
        iris_px: diameter of the iris in the picture, assumed to be 11.77 mm; sets the scale instead of the pupil
            distance.
        mm_per_px: millimetres per pixel, for instance from a ruler in the picture; sets the scale instead.
        distance_m: distance of camera and face in metres; with depth, perspective is corrected too.
        bundle: folder of a bundle that gives landmarks; by default the one that ships with mien.
        detector: face detector; dlib needs no file; yunet also finds turned, small and dark faces, faster, and its
            file is fetched once (mien weights fetch yunet); auto is yunet where it was fetched.
        detector_weights: weight file of yunet, instead of the fetched one.
        mirror: read each picture and its mirror image, measure their mean and report their difference; --no-mirror
            halves the time.
        frontal: rotate the points to a frontal view, where the bundle gives depth.
        line: reference line through both eyes: canthi takes the middle of the corners of each eye, pupils that of the
            lid points.
        every: of a video, read every N-th frame.
        overwrite: replace the report, tables and curves of an earlier run in the same folder.
        compare: treat the two inputs as two visits of one person, the earlier one first, and report the change of each
            measure against the change that errors make. By default two folders are compared and files are not.
        threads: CPU threads; by default one for each core.
    """
    from mien.engine.reading.asymmetry.run import examined, rated, written
    from mien.engine.reading.inputs import bundle_of, positive
    from mien.engine.reading.output_folder import ASYMMETRY_FILES, earlier_results, one_run
    from mien.runtime.asymmetry.examination import FaceReader
    from mien.runtime.asymmetry.frame import Method
    from mien.runtime.asymmetry.visits import compared

    method = Method(_scale(pupil_distance_mm, iris_px, mm_per_px), line=line, frontal=frontal, distance_m=distance_m)
    visits = two_visits(inputs, compare)
    named = [named_inputs(group, task) for group in (visits or [inputs])]
    folder, step = writable_folder(output), positive(every, "every") or 1
    earlier = earlier_results(folder, ASYMMETRY_FILES, overwrite=overwrite)
    finder = available_detector(detector, detector_weights)
    reader = FaceReader(bundle_of(bundle), detector=finder, weights=detector_weights, threads=threads)
    errors = reader.errors(mirrored=mirror, method=method)
    choice = FaceChoice(reader, create_detector(finder, weights=detector_weights), face)
    items, unread = examined(named, choice, method, mirror=mirror, affected=affected, every=step, errors=errors)
    change = compared(items) if visits else None
    scales = rated(items[0], affected) if change is None else []
    details = {
        "affected": affected, "sigma": reader.sigma_source, "detector": finder, "faces": choice.faces,
        "unread": unread,
    }  # fmt: skip
    with one_run(folder):
        for path in earlier:
            path.unlink(missing_ok=True)
        every_item = [item for visit in items for item in visit]
        which = choice.lines()
        page = written(every_item, scales, folder, reader, details, which=which, change=change, errors=errors)
        return "\n".join([*map(printable, which), page])


class FaceChoice:
    """Reads one face of each picture or video and records which of how many it is.

    find: finds all faces of a picture, to number them. face: the number to read, 0 is the largest; None is the one
    that `read` takes by itself.
    """

    def __init__(self, read: "Reader", find: Detector, face: int | None = None) -> None:
        if face is not None and face < 0:
            raise MienError(f"--face must be 0 (the largest) or more; got {face}.")
        self._read, self._find, self._face = read, find, face
        self.faces: list[dict[str, Any]] = []
        """For each file: source, the number of faces found, the number of the measured one, its box_px."""
        self._source = ""
        self._box: Box | None = None

    def begin(self, source: str) -> None:
        """The next pictures are of this file."""
        self._source, self._box = source, None

    def __call__(self, pixels: np.ndarray, *, near: Box | None = None) -> FacePoints | None:
        """The points of the chosen face; near: of the face that overlaps this box.

        Of a video the first frame decides which face that is. Raises MienError where there are fewer faces.
        """
        if near is not None:
            return self._read(pixels, near=near)
        if self._box is not None and (again := self._read(pixels, near=self._box)) is not None:
            return again
        boxes = [found.box for found in sorted(self._find(pixels), key=lambda found: -found.side)]
        if self._face is not None and boxes and self._face >= len(boxes):
            raise MienError(
                f"{self._source}: no face {self._face}; the detector finds {len(boxes)} (0 is the largest). "
                "Choose with --face."
            )
        points = self._read(pixels, near=boxes[self._face]) if self._face is not None and boxes else self._read(pixels)
        if points is not None and points.box is not None and self._box is None:
            self._box = points.box
            self._record(points.box, boxes)
        return points

    def lines(self) -> list[str]:
        """Of each file with several faces, which one was measured."""
        return [
            f"{one['source']}: {one['found']} faces; measured is face {one['measured']}"
            f"{' (the largest)' if one['measured'] == 0 else ''}, at {_place(one['box_px'])}. "
            "--face N measures another one; 0 is the largest."
            for one in self.faces
            if one["found"] > 1
        ]

    def _record(self, box: Box, boxes: list[Box]) -> None:
        shared = [intersection_over_union(box, other) for other in boxes]
        number = int(np.argmax(shared)) if shared else 0
        self.faces.append(
            {"source": self._source, "found": max(len(boxes), 1), "measured": number, "box_px": [*map(float, box)]}
        )


def _place(box: Sequence[float]) -> str:
    x0, y0, x1, y1 = box
    return f"x {x0:.0f} to {x1:.0f}, y {y0:.0f} to {y1:.0f} pixels"


def named_inputs(inputs: Sequence[str], task: str | None) -> list[tuple[str, Path]]:
    """(task, file) of each input: stated before `=`, else by `task`, else by the end of its name, else ""."""
    from mien.media.listing import picture_files
    from mien.runtime.asymmetry.tasks import TASKS, task_of

    if task is not None:
        task_of(task)
    named: list[tuple[str, Path]] = []
    for item in inputs:
        stated, equals, rest = item.partition("=")
        if equals and not Path(item).exists():
            named += [(task_of(stated).name, path) for path in picture_files([rest], videos=True)]
            continue
        for path in picture_files([item], videos=True):
            stem = re.sub(r"[^a-z]+", "_", path.stem.lower()).strip("_")
            own = next((name for name in TASKS if stem == name or stem.endswith(f"_{name}")), "")
            named.append((task or own, path))
    return named


def two_visits(inputs: Sequence[str], compare: bool | None) -> list[list[str]] | None:
    """The inputs of each visit; None where they are one. Raises MienError for a comparison of other than two inputs."""
    if compare is None:
        compare = len(inputs) == 2 and all(Path(item).is_dir() for item in inputs)
    if not compare:
        return None
    if len(inputs) != 2:
        raise MienError(
            f"--compare needs two inputs, the earlier visit first: two folders, pictures or videos; got {len(inputs)}."
        )
    return [[item] for item in inputs]


def _scale(pupil_distance_mm: float | None, iris_px: float | None, mm_per_px: float | None) -> "Scale":
    from mien.runtime.asymmetry.frame import Scale

    given = [value for value in (pupil_distance_mm, iris_px, mm_per_px) if value is not None]
    if len(given) > 1:
        raise MienError("One scale only: --pupil-distance-mm, --iris-px or --mm-per-px.")
    if pupil_distance_mm is not None:
        return Scale.of_pupils(pupil_distance_mm)
    if iris_px is not None:
        return Scale.of_iris(iris_px)
    return Scale() if mm_per_px is None else Scale.of_pixels(mm_per_px)
