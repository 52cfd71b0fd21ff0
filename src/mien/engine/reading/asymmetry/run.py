"""Photos and videos of one face: examined, rated by clinical scales, and written."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mien.core.errors import MienError
from mien.core.errors import printable as escaped
from mien.engine.reading.asymmetry.report import write_report
from mien.media.files import printable
from mien.media.image import load_image
from mien.media.listing import is_video
from mien.media.video import frames
from mien.runtime.asymmetry.examination import (
    Examination,
    FaceReader,
    Reader,
    VideoExamination,
    examine_picture,
    examine_video,
)
from mien.runtime.asymmetry.frame import Method
from mien.runtime.asymmetry.quality import failed
from mien.runtime.asymmetry.scales import ScaleEstimate, estimate_scales
from mien.runtime.asymmetry.significance.errors import ErrorModel
from mien.runtime.asymmetry.tables import write_changes, write_curves, write_measures
from mien.runtime.asymmetry.tasks import TASKS
from mien.runtime.asymmetry.visits import Comparison, rest_of

PAGE = "report.html"


@runtime_checkable
class StartingReader(Reader, Protocol):
    """A Reader that is informed of each new file."""

    def begin(self, source: str) -> None: ...


def examined(
    visits: Sequence[Sequence[tuple[str, Path]]], reader: StartingReader, method: Method, *, mirror: bool,
    affected: str, every: int, errors: ErrorModel | None,
) -> tuple[list[list[Examination | VideoExamination]], list[str]]:  # fmt: skip
    """What could be examined of each visit, and why the rest could not. Raises MienError where nothing could."""
    items: list[list[Examination | VideoExamination]] = [[] for _ in visits]
    unread: list[str] = []
    for visit, task, path in [(visit, *pair) for visit, pairs in enumerate(visits) for pair in pairs]:
        name = path.name if len(visits) == 1 else f"{path.parent.name}/{path.name}"
        common: dict[str, Any] = {
            "source": printable(name), "mirror": mirror, "method": method, "errors": errors
        }  # fmt: skip
        reader.begin(common["source"])
        try:
            if is_video(path):
                play = partial(frames, path, every=every)
                side = "" if affected == "auto" else affected
                items[visit].append(examine_video(play, reader, task=task, affected=side, **common))
            else:
                items[visit].append(examine_picture(load_image(path).pixels, reader, task=task, **common))
        except MienError as error:
            unread.append(printable(str(error) if path.name in str(error) else f"{path.name}: {error}"))
    if not any(items):
        others = f" (and {len(unread) - 1} others)" if len(unread) > 1 else ""
        raise MienError(f"Nothing could be measured: {unread[0]}{others}")
    return items, unread


def rated(items: Sequence[Examination | VideoExamination], affected: Any) -> list[ScaleEstimate]:
    """From the photos with a task and the videos' frames of rest and height, where no task is shown by two photos."""
    photos = [item for item in items if isinstance(item, Examination) and item.task]
    if len({photo.task for photo in photos}) < len(photos):
        return []  # several persons, or several days: whose scale would it be?
    videos = [photo for item in items if not isinstance(item, Examination) for photo in (item.at_rest, item.at_peak)]
    faces = {photo.task: photo.measured for photo in reversed([*photos, *videos]) if photo.task in TASKS}
    return estimate_scales(faces, affected=affected) if faces else []


def written(
    items: list[Examination | VideoExamination], scales: list[ScaleEstimate], folder: Path, reader: FaceReader,
    details: dict[str, Any], *, which: Sequence[str] = (), change: Comparison | None = None,
    errors: ErrorModel | None = None,
) -> str:  # fmt: skip
    """Writes tables, curves and the page; returns the findings as lines. which: the face measured, where a file shows
    several."""
    write_measures(items, folder, info=reader.info, scales=scales, **details)
    if change is not None:
        write_changes(change.changes, folder)
    for number, video in enumerate(item for item in items if isinstance(item, VideoExamination)):
        write_curves(video, folder / f"curves_{number + 1}.csv")
    unread = list(details["unread"])
    affected = "" if details["affected"] == "auto" else str(details["affected"])
    write_report(
        folder / PAGE, items, scales, info=reader.info, sigma=str(details["sigma"]), affected=affected, unread=unread,
        which=which, change=change, errors=errors,
    )  # fmt: skip
    lines = [] if change is None else change.lines
    lines += [line for item in items for line in _lines(item, rest_of(items, item))]
    lines += [f"not measured: {why}" for why in unread]
    if affected:
        lines.append(f"given as affected: the person's {affected} side")
    tables = "measures.csv, measures.json" if change is None else "changes.csv, measures.csv, measures.json"
    lines.append(f"{folder / PAGE} ({tables}). Estimates, no diagnosis.")
    return "\n".join(map(escaped, lines))


def _lines(item: Examination | VideoExamination, rest: Examination | None) -> list[str]:
    if isinstance(item, Examination):
        return [f"{item.source}{f' ({item.task})' if item.task else ''}: {item.finding(rest)}",
                *(f"  {sentence}" for sentence in failed(item.checks))]  # fmt: skip
    moved = item.movement
    right, left = moved["excursion"].right, moved["excursion"].left
    assert right is not None and left is not None
    which = f"{moved.weaker} side moves less" if moved.weaker else "no side moves less beyond error"
    return [
        f"{item.source}: {moved.target} moves {right.value:.1f} mm right, {left.value:.1f} mm left; {which}",
        *(f"  {sentence}" for sentence in failed(item.at_rest.checks)),
    ]
