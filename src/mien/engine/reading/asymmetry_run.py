"""Photos and films of one face: examined, rated by clinical scales, and written."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mien.core.errors import MienError
from mien.engine.reading.asymmetry_report import write_report
from mien.media.files import printable
from mien.media.image import is_video, load_image
from mien.media.video import frames
from mien.runtime.asymmetry.examination import (
    Examination,
    FaceReader,
    FilmExamination,
    Reader,
    examine_film,
    examine_picture,
)
from mien.runtime.asymmetry.frame import Method
from mien.runtime.asymmetry.quality import failed
from mien.runtime.asymmetry.scales import ScaleEstimate, estimate_scales
from mien.runtime.asymmetry.tables import write_curves, write_measures
from mien.runtime.asymmetry.tasks import TASKS

PAGE = "report.html"


@runtime_checkable
class StartingReader(Reader, Protocol):
    """A Reader that is informed of each new file."""

    def begin(self, source: str) -> None: ...


def examined(
    named: list[tuple[str, Path]], reader: StartingReader, method: Method, *, mirror: bool, affected: str, every: int
) -> tuple[list[Examination | FilmExamination], list[str]]:
    """What could be examined, and why the rest could not. Raises MienError where nothing could."""
    items: list[Examination | FilmExamination] = []
    unread: list[str] = []
    for task, path in named:
        common: dict[str, Any] = {"source": printable(path.name), "mirror": mirror, "method": method}
        reader.begin(common["source"])
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


def rated(items: Sequence[Examination | FilmExamination], affected: Any) -> list[ScaleEstimate]:
    """From the photos with a task and the films' frames of rest and height, where no task is shown by two photos."""
    photos = [item for item in items if isinstance(item, Examination) and item.task]
    if len({photo.task for photo in photos}) < len(photos):
        return []  # several persons, or several days: whose scale would it be?
    films = [photo for item in items if not isinstance(item, Examination) for photo in (item.at_rest, item.at_peak)]
    faces = {photo.task: photo.measured for photo in reversed([*photos, *films]) if photo.task in TASKS}
    return estimate_scales(faces, affected=affected) if faces else []


def written(
    items: list[Examination | FilmExamination], scales: list[ScaleEstimate], folder: Path, reader: FaceReader,
    details: dict[str, Any],
) -> str:  # fmt: skip
    write_measures(items, folder, info=reader.info, scales=scales, **details)
    for number, film in enumerate(item for item in items if isinstance(item, FilmExamination)):
        write_curves(film, folder / f"curves_{number + 1}.csv")
    unread = list(details["unread"])
    write_report(folder / PAGE, items, scales, info=reader.info, sigma=str(details["sigma"]), unread=unread)
    lines = [line for item in items for line in _lines(item)] + [f"not measured: {why}" for why in unread]
    return "\n".join([*lines, f"{folder / PAGE} (measures.csv, measures.json). Estimates, no diagnosis."])


def _lines(item: Examination | FilmExamination) -> list[str]:
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
