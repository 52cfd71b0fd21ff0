"""`mien asymmetry`: left against right in photos and films of a face, as a table and as a page to print."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.core.errors import MienError
from mien.media.files import writable_folder

if TYPE_CHECKING:
    from mien.runtime.asymmetry.examination import Examination, FaceReader, FilmExamination
    from mien.runtime.asymmetry.frame import Method, Scale
    from mien.runtime.asymmetry.scales import ScaleEstimate

PAGE = "report.html"


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
        threads: CPU threads; by default one for each core.
    """
    from mien.engine.reading.inputs import bundle_of, positive
    from mien.runtime.asymmetry.examination import FaceReader
    from mien.runtime.asymmetry.frame import Method

    method = Method(_scale(pupil_distance_mm, iris_px, mm_per_px), line=line, frontal=frontal, distance_m=distance_m)
    named = named_inputs(inputs, task)
    folder, step = writable_folder(output), positive(every, "every") or 1
    reader = FaceReader(bundle_of(bundle), detector=detector, weights=detector_weights, threads=threads)
    items, unread = _examined(named, reader, method, mirror=mirror, affected=affected, every=step)
    scales = _scales(items, affected)
    details = {"affected": affected, "sigma": reader.sigma_source, "detector": detector, "unread": unread}
    return _written(items, scales, folder, reader, details)


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


def _examined(
    named: list[tuple[str, Path]], reader: "FaceReader", method: "Method", *, mirror: bool, affected: str, every: int
) -> "tuple[list[Examination | FilmExamination], list[str]]":
    """What could be examined, and why the rest could not. Raises MienError where nothing could."""
    from mien.media.files import printable
    from mien.media.image import is_video, load_image
    from mien.media.video import frames
    from mien.runtime.asymmetry.examination import examine_film, examine_picture

    items: list[Examination | FilmExamination] = []
    unread: list[str] = []
    for task, path in named:
        common: dict[str, Any] = {"source": printable(path.name), "mirror": mirror, "method": method}
        try:
            if is_video(path):
                play = partial(frames, path, every=every)
                side = "" if affected == "auto" else affected
                items.append(examine_film(play, reader, task=task, affected=side, **common))
            else:
                items.append(examine_picture(load_image(path).pixels, reader, task=task, **common))
        except MienError as error:
            unread.append(printable(str(error) if path.name in str(error) else f"{path.name}: {error}"))
    if not items:
        others = f" (and {len(unread) - 1} others)" if len(unread) > 1 else ""
        raise MienError(f"Nothing could be measured: {unread[0]}{others}")
    return items, unread


def _scales(items: "Sequence[Examination | FilmExamination]", affected: Any) -> "list[ScaleEstimate]":
    """From the photos with a task and the films' frames of rest and height, where no task is shown by two photos."""
    from mien.runtime.asymmetry.examination import Examination
    from mien.runtime.asymmetry.scales import estimate_scales
    from mien.runtime.asymmetry.tasks import TASKS

    photos = [item for item in items if isinstance(item, Examination) and item.task]
    if len({photo.task for photo in photos}) < len(photos):
        return []  # several persons, or several days: whose scale would it be?
    films = [photo for item in items if not isinstance(item, Examination) for photo in (item.at_rest, item.at_peak)]
    faces = {photo.task: photo.measured for photo in reversed([*photos, *films]) if photo.task in TASKS}
    return estimate_scales(faces, affected=affected) if faces else []


def _written(
    items: "list[Examination | FilmExamination]", scales: "list[ScaleEstimate]", folder: Path, reader: "FaceReader",
    details: dict[str, Any],
) -> str:  # fmt: skip
    from mien.engine.reading.asymmetry_report import write_report
    from mien.runtime.asymmetry.examination import FilmExamination
    from mien.runtime.asymmetry.tables import write_curves, write_measures

    write_measures(items, folder, info=reader.info, scales=scales, **details)
    for number, film in enumerate(item for item in items if isinstance(item, FilmExamination)):
        write_curves(film, folder / f"curves_{number + 1}.csv")
    unread = list(details["unread"])
    write_report(folder / PAGE, items, scales, info=reader.info, sigma=str(details["sigma"]), unread=unread)
    lines = [line for item in items for line in _lines(item)] + [f"not measured: {why}" for why in unread]
    return "\n".join([*lines, f"{folder / PAGE} (measures.csv, measures.json). Estimates, no diagnosis."])


def _lines(item: "Examination | FilmExamination") -> list[str]:
    from mien.runtime.asymmetry.examination import Examination
    from mien.runtime.asymmetry.quality import failed

    if isinstance(item, Examination):
        whole = item.measured.regions[0]
        floor = "" if whole.floor is None else f" (a symmetric face stays below {whole.floor:.1f} %)"
        first = f"{item.source}{f' ({item.task})' if item.task else ''}: asymmetry {whole.asymmetry.value:.1f} %{floor}"
        return [first, *(f"  {sentence}" for sentence in failed(item.checks))]
    moved = item.movement
    right, left = moved["excursion"].right, moved["excursion"].left
    assert right is not None and left is not None
    which = f"{moved.affected} side moves less" if moved.affected else "no side moves less beyond chance"
    return [
        f"{item.source}: {moved.target} moves {right.value:.1f} mm right, {left.value:.1f} mm left; {which}",
        *(f"  {sentence}" for sentence in failed(item.at_rest.checks)),
    ]
