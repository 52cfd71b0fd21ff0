"""The faces that a replica is written of: who, in which part, what expression, in one shot or a short recording.

A style draws them. `STYLES` is the one place where a style is known: a function like `drawn.drawn_recording`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from mien.core.errors import MienError, nearest
from mien.core.extras import imported
from mien.core.records import Box
from mien.data.parallel import parallel_map
from mien.synthetic.drawn_shape import EXPRESSIONS
from mien.synthetic.shot import Shot

STYLES: dict[str, str] = {
    "drawn": "mien.synthetic.drawn:drawn_recording",
    "people": "mien.synthetic.people:people_recording",
}
_AT_A_TIME = 8  # faces that a worker draws before it hands them over
SAME: Mapping[str, str] = {name: name for name in EXPRESSIONS}


class Face(NamedTuple):
    """number: from 1. person: from 0. earlier: the shots of the same recording before this one, a neutral one first."""

    number: int
    split: str
    expression: str
    pixels: np.ndarray
    landmarks_px: np.ndarray
    subject: str = ""
    valence: float | None = None
    arousal: float | None = None
    person: int = 0
    earlier: tuple[Shot, ...] = ()


class Written(NamedTuple):
    """What was written of a face, as the reader of the layout must find it: the truth that tests compare with."""

    key: str
    split: str
    expression: str | None
    subject: str | None = None
    clip: str | None = None
    box: Box | None = None
    landmarks_px: np.ndarray | None = None
    valence: float | None = None
    arousal: float | None = None
    depth_px: np.ndarray | None = None
    visible: np.ndarray | None = None
    pose_rad: tuple[float, float, float] | None = None


@runtime_checkable
class Style(Protocol):
    """Draws a recording of `frames` shots, from neutral to the expression; one shot is the expression alone.

    What is drawn depends on the arguments only. person: whose face it is; None: whoever `number` makes it.
    """

    def __call__(
        self, expression: str, *, seed: int, number: int, person: int | None, size: int, frames: int
    ) -> list[Shot]: ...


def style_named(name: str) -> Style:
    """The function behind a style. Raises MienError for an unknown one."""
    if name not in STYLES:
        raise MienError(f"No style {name!r}.{nearest(name, STYLES)}")
    found: Style = imported(STYLES[name])
    return found


def faces_of(
    style: str, *, faces: int, seed: int, size: int, pictures: int = 1, test_share: float = 0.2,
    classes: Mapping[str, str] = SAME, frames: int = 1, workers: int = 1,
) -> Iterator[Face]:  # fmt: skip
    """Yields `faces` faces, as many of each class, the last persons as test; no person is on both sides.

    pictures: of each person. classes: in the layout's words, each with the expression that is drawn for it. workers:
    processes that draw; what is drawn does not depend on them. Raises MienError when the faces are too few for every
    class to stand in both parts, and for what cannot be drawn.
    """
    if faces < 1 or pictures < 1 or not 16 <= size <= 4096 or not 0 <= test_share < 1:
        raise MienError(f"Cannot draw {faces} faces of {size} pixels, {pictures} of each person (size: 16..4096).")
    names = list(classes)
    test = max(len(names), round(faces * test_share))
    first_test = (faces - test) // pictures * pictures
    if first_test < len(names):
        least = -(-len(names) // pictures) * pictures + max(len(names), pictures)
        raise MienError(
            f"{len(names)} classes in two parts with {pictures} pictures of each person need about {least} faces; "
            f"got {faces}."
        )
    persons = [None if pictures == 1 else i // pictures for i in range(faces)]
    jobs = [(classes[names[i % len(names)]], i, persons[i]) for i in range(faces)]
    for i, shots in enumerate(_drawn(style, jobs, seed=seed, size=size, frames=frames, workers=workers)):
        last, split = shots[-1], "train" if i < first_test else "test"
        yield Face(
            i + 1, split, names[i % len(names)], last.pixels, last.landmarks_px, f"person{i // pictures + 1}",
            last.valence, last.arousal, i // pictures, tuple(shots[:-1]),
        )  # fmt: skip


_Job = tuple[str, int, int | None]  # expression, number, person


def _drawn(
    style: str, jobs: Sequence[_Job], *, seed: int, size: int, frames: int, workers: int
) -> Iterator[list[Shot]]:
    """Recordings in the order of the jobs, whoever of the workers is done first."""
    style_named(style)
    parts = [jobs[i : i + _AT_A_TIME] for i in range(0, len(jobs), _AT_A_TIME)]
    draw = partial(_draw, style=style, seed=seed, size=size, frames=frames)
    if workers <= 1:
        yield from (recording for job in jobs for recording in draw([job]))
        return
    waiting: dict[int, list[list[Shot]]] = {}
    following = 0
    for place, recordings in parallel_map(draw, parts, workers=workers):
        waiting[place] = recordings
        while following in waiting:
            yield from waiting.pop(following)
            following += 1


def _draw(jobs: Sequence[_Job], *, style: str, seed: int, size: int, frames: int) -> list[list[Shot]]:
    draw = style_named(style)
    return [draw(name, seed=seed, number=i, person=person, size=size, frames=frames) for name, i, person in jobs]


Writer = Callable[[Path, Iterable[Face]], Iterable[Written]]  # gives what was written of each face
