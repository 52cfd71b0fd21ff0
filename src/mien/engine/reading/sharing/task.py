"""A part of a run of `mien analyze` that any process can do: a batch of pictures, or one video.

What it gives are the readings themselves, without pixels; whoever handed it out writes them, in order. A task that runs
twice gives the same.
"""

import socket
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.core.errors import MienError
from mien.engine.reading.videos import Videos
from mien.media.video import FrameSelection
from mien.runtime.analyzer import Analyzer
from mien.runtime.readings import PictureReadings, Readings

NO_PIXELS = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Recipe:
    """How a run reads."""

    options: dict[str, Any]
    """Arguments of Analyzer; folders of bundles among them, which must be there."""
    selection: FrameSelection
    """Of a video's frames."""
    folder: Path
    """The working folder, which named paths start from."""
    computes: tuple[str, ...]
    """Version of mien, models, and what computes them."""


@dataclass(frozen=True)
class ReadingTask:
    """A part of the run."""

    recipe: Recipe
    """Of the whole run."""
    paths: tuple[Path, ...]
    """As they were named: pictures, or one video."""
    video: bool
    """Whether it is one."""


def read_task(task: ReadingTask) -> list[PictureReadings]:
    """The readings of each picture or frame, in order.

    Raises MienError on a machine that does not see the files, or that would compute with another mien or model.
    """
    _check_folder(task.recipe.folder)
    with chdir(task.recipe.folder):
        reader = _reader(task.recipe)
        if absent := [path for path in task.paths if not path.is_symlink() and not path.exists()]:
            raise MienError(
                f"{socket.gethostname()} does not see {absent[0]}. Files must be at the same path on every machine."
            )
        read = reader.readings(task.paths[0]) if task.video else reader.pictures(task.paths)
        return [_sent(each) for each in read]


def computed_by(analyzer: Analyzer) -> tuple[str, ...]:
    """Where two processes give the same, so do their readings."""
    landmarks, face3d = analyzer.landmarks, analyzer.face3d
    further = (landmarks.info.model_id if landmarks else "", face3d.model_id if face3d else "")
    return (f"mien {__version__}", analyzer.model_id, *further, analyzer.engine)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise MienError(
            f"{socket.gethostname()} has no folder {folder}. Start from a folder that every machine sees at the same "
            "path, as the files must be."
        )


def _reader(recipe: Recipe) -> Videos:
    """One for all tasks of a run in this process."""
    if not _kept or _kept[0][0] != recipe:
        _kept[:] = [(recipe, _opened(recipe))]
    return _kept[0][1]


_kept: list[tuple[Recipe, Videos]] = []  # the latest


def _opened(wanted: Recipe) -> Videos:
    analyzer = Analyzer(**wanted.options)
    found = computed_by(analyzer)
    if found != wanted.computes:
        other = next((a, b) for a, b in zip(found, wanted.computes, strict=True) if a != b)
        raise MienError(f"{socket.gethostname()} computes with {other[0]}, this run with {other[1]}. Install the same.")
    return Videos(analyzer, wanted.selection)


def _sent(read: PictureReadings) -> PictureReadings:
    """Without what can be found again: pixels, and the columns of the table."""
    picture = None if read.picture is None else replace(read.picture, pixels=NO_PIXELS)
    return PictureReadings(
        read.source, picture, Readings([replace(face, origin=None, columns=None) for face in read.readings])
    )
