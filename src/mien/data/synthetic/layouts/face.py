"""The faces that a replica is written of: who, in which part, what expression, in one shot or a short recording.

A style draws them. `STYLES` is the one place where a style is known: a function like `drawn.drawn_recording`.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import NamedTuple, Protocol

import numpy as np

from mien.core.errors import MienError, nearest
from mien.core.records import Box
from mien.data.synthetic.drawn_shape import EXPRESSIONS

STYLES: dict[str, str] = {"drawn": "mien.data.synthetic.drawn:drawn_recording"}
SAME: Mapping[str, str] = {name: name for name in EXPRESSIONS}


class Shot(NamedTuple):
    """One picture: RGB uint8 [size, size, 3], its 68 points in pixels, affect in -1..1 where the style knows it."""

    pixels: np.ndarray
    landmarks_px: np.ndarray
    valence: float | None = None
    arousal: float | None = None


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
    module, function = STYLES[name].split(":")
    found: Style = getattr(import_module(module), function)
    return found


def faces_of(
    style: str, *, faces: int, seed: int, size: int, pictures: int = 1, test_share: float = 0.2,
    classes: Mapping[str, str] = SAME, frames: int = 1,
) -> Iterator[Face]:  # fmt: skip
    """Yields `faces` faces, as many of each class, the last persons as test; no person is on both sides.

    pictures: of each person. classes: in the layout's words, each with the expression that is drawn for it.
    Raises MienError when they are too few for every class to stand in both parts.
    """
    draw, words = style_named(style), list(classes)
    test = max(len(words), round(faces * test_share))
    first_test = (faces - test) // pictures * pictures
    if first_test < len(words):
        raise MienError(
            f"{len(words)} classes in two parts, {pictures} pictures of a person, need more faces; got faces = {faces}."
        )
    for i in range(faces):
        word, person = words[i % len(words)], i // pictures
        shots = draw(
            classes[word], seed=seed, number=i, person=None if pictures == 1 else person, size=size, frames=frames
        )
        last = shots[-1]
        yield Face(
            i + 1, "train" if i < first_test else "test", word, last.pixels, last.landmarks_px, f"person{person + 1}",
            last.valence, last.arousal, person, tuple(shots[:-1]),
        )  # fmt: skip


Writer = Callable[..., list[Written]]  # (folder, faces) -> what was written
