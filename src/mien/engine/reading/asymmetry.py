"""`mien asymmetry`: left against right in photos and films of a face, as a table and as a page to print."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mien.core.errors import MienError
from mien.media.files import writable_folder

if TYPE_CHECKING:
    from mien.runtime.asymmetry.frame import Scale


def asymmetry(
    inputs: list[str],
    *,
    output: str,
    task: str | None = None,
    affected: Literal["auto", "right", "left"] = "auto",
    pupil_distance_mm: float | None = None,
    iris_px: float | None = None,
    mm_per_px: float | None = None,
    distance_m: float | None = None,
    bundle: str | None = None,
    detector: Literal["dlib", "yunet"] = "dlib",
    detector_weights: str | None = None,
    mirror: bool = True,
    frontal: bool = True,
    line: Literal["canthi", "pupils"] = "canthi",
    every: int = 1,
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
        pupil_distance_mm: the person's pupil distance, which sets the scale in millimetres; 63 mm is assumed otherwise.
        iris_px: diameter of the iris in the picture, assumed to be 11.77 mm; sets the scale instead of the pupil
            distance.
        mm_per_px: millimetres per pixel, for instance from a ruler in the picture; sets the scale instead.
        distance_m: distance of camera and face in metres; with depth, perspective is corrected too.
        bundle: folder of a bundle that gives landmarks; by default the one that ships with mien.
        detector: face detector; dlib needs no weight file, yunet also finds turned faces and needs OpenCV's.
        detector_weights: weight file of yunet.
        mirror: read each picture and its mirror image, measure their mean and report their difference; --no-mirror
            halves the time.
        frontal: rotate the points to a frontal view, where the bundle gives depth.
        line: reference line through both eyes: canthi takes the middle of the corners of each eye, pupils that of the
            lid points.
        every: of a video, read every N-th frame.
        compare: treat the two inputs as two visits of one person, the earlier one first, and report the change of each
            measure against the change that errors make. By default two folders are compared and files are not.
        threads: CPU threads; by default one for each core.
    """
    from mien.engine.reading.asymmetry_run import examined, rated, written
    from mien.engine.reading.asymmetry_visits import compared, two_visits
    from mien.engine.reading.inputs import bundle_of, positive
    from mien.runtime.asymmetry.examination import FaceReader
    from mien.runtime.asymmetry.frame import Method

    method = Method(_scale(pupil_distance_mm, iris_px, mm_per_px), line=line, frontal=frontal, distance_m=distance_m)
    visits = two_visits(inputs, compare)
    named = [named_inputs(group, task) for group in (visits or [inputs])]
    folder, step = writable_folder(output), positive(every, "every") or 1
    reader = FaceReader(bundle_of(bundle), detector=detector, weights=detector_weights, threads=threads)
    errors = reader.errors(mirrored=mirror, method=method)
    items, unread = examined(named, reader, method, mirror=mirror, affected=affected, every=step, errors=errors)
    change = compared(items) if visits else None
    scales = rated(items[0], affected) if change is None else []
    details = {"affected": affected, "sigma": reader.sigma_source, "detector": detector, "unread": unread}
    return written([item for visit in items for item in visit], scales, folder, reader, details, change, errors)


def named_inputs(inputs: Sequence[str], task: str | None) -> list[tuple[str, Path]]:
    """(task, file) of each input: stated before `=`, else by `task`, else by the end of its name, else ""."""
    from mien.media.image import picture_files
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
