"""A folder of synthetic people: pictures, `people.csv` with what one number can say, `truth.npz` with the rest.

`pictures/000001.png`, and `renders/000001.png` where renders are asked for; people.csv has a row a picture in the order
of truth.npz's arrays; people.json says what made it.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien import __version__
from mien.core.errors import MienError
from mien.data.parallel import parallel_map
from mien.synthetic.face.palsy import REGIONS
from mien.synthetic.people import CLASSES, PeopleOptions, Truth, portrait, units_of_model

TABLE, ARRAYS, ABOUT, PICTURES, RENDERS = "people.csv", "truth.npz", "people.json", "pictures", "renders"
ARRAY_NAMES = ("mixture", "identity", "action_units", "landmarks_px", "landmarks_3d", "visible")
NUMBERS = ("intensity", "valence", "arousal", "yaw_deg", "pitch_deg", "roll_deg", "focal_px", "distance_m")
BOX = ("x0", "y0", "x1", "y1")
SEVERITIES = (*REGIONS, "flaccid", "oral_ocular", "ocular_oral")
PALSY = ("palsy_side", *(f"palsy_{name}" for name in SEVERITIES))
COLUMNS = ("path", "split", "person", "expression", *NUMBERS, *BOX, *PALSY)
_AT_A_TIME = 16


@dataclass(frozen=True)
class Plan:
    """What a set of synthetic people contains."""

    faces: int = 2000
    """Pictures, every expression equally often."""
    pictures: int = 4
    """Of each person."""
    seed: int = 0
    """Of the generator."""
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Of persons for train, valid, test."""

    def __post_init__(self) -> None:
        if self.faces < 1 or self.pictures < 1 or self.seed < 0:
            raise MienError(
                f"People need faces and pictures of at least 1 and a seed of at least 0; got faces = {self.faces}, "
                f"pictures = {self.pictures}, seed = {self.seed}."
            )

    def person(self, number: int) -> int:
        return number // self.pictures

    def split(self, number: int) -> str:
        """Of picture `number`, from 0: the first persons train, the last are the test."""
        persons = -(-self.faces // self.pictures)
        place = (self.person(number) + 0.5) / persons
        return "train" if place < self.shares[0] else "valid" if place < sum(self.shares[:2]) else "test"

    def expression(self, number: int) -> str:
        """A person's pictures take turns from a start of their own, so that every person shows different ones."""
        return CLASSES[(number + self.person(number) * (self.pictures % len(CLASSES) == 0)) % len(CLASSES)]


def write_people(
    folder: Path, plan: Plan, *, options: PeopleOptions = PeopleOptions(), workers: int = 1,  # noqa: B008 - frozen
    shown: Callable[[Iterator[Any]], Iterator[Any]] = iter,
) -> list[Truth]:  # fmt: skip
    """Writes the whole folder; what is in it depends on plan and options only, not on `workers`. Returns the truth.

    shown: wraps the iterator of finished pictures, for a progress bar.
    """
    for name in (PICTURES, RENDERS) if options.renders else (PICTURES,):
        (folder / name).mkdir(parents=True, exist_ok=True)
    parts = [range(i, min(i + _AT_A_TIME, plan.faces)) for i in range(0, plan.faces, _AT_A_TIME)]
    paint = partial(_paint, folder=folder, plan=plan, options=options)
    found: dict[int, Truth] = {}

    def done() -> Iterator[tuple[int, Truth]]:
        for place, truths in parallel_map(paint, parts, workers=workers):
            yield from zip(parts[place], truths, strict=True)

    for number, truth in shown(done()):
        found[number] = truth
    ordered = [found[number] for number in range(plan.faces)]
    _write_truth(folder, plan, options, ordered)
    return ordered


def _paint(numbers: Sequence[int], *, folder: Path, plan: Plan, options: PeopleOptions) -> list[Truth]:
    truths = []
    for number in numbers:
        pixels, truth = portrait(
            plan.seed, number, person=plan.person(number), expression=plan.expression(number), options=options
        )
        path = folder / picture_name(number)
        _write_picture(path, np.ascontiguousarray(pixels[..., ::-1]))
        if truth.render is not None:
            _write_picture(folder / RENDERS / path.name, truth.render)
            truth = replace(truth, render=None)  # all truths are kept until the tables are written
        truths.append(truth)
    return truths


def _write_picture(path: Path, pixels: np.ndarray) -> None:
    if not cv2.imwrite(str(path), pixels):
        raise MienError(f"Cannot write {path}. Is the disk full, or the folder read-only?")


def picture_name(number: int) -> str:
    return f"{PICTURES}/{number + 1:06d}.png"


def _write_truth(folder: Path, plan: Plan, options: PeopleOptions, truths: Sequence[Truth]) -> None:
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_row(plan, number, truth) for number, truth in enumerate(truths))
    arrays = {name: np.stack([getattr(truth, name) for truth in truths]) for name in ARRAY_NAMES}
    content = io.BytesIO()
    names = {"action_unit_names": np.array(units_of_model()), "classes": np.array(CLASSES)}
    np.savez_compressed(content, **arrays, **names)  # type: ignore[arg-type]
    (folder / ARRAYS).write_bytes(content.getvalue())
    about = {
        "mien": __version__,
        "plan": asdict(plan),
        "options": asdict(options),
        "licence": "no person is in them",
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _row(plan: Plan, number: int, truth: Truth) -> list[object]:
    palsy = truth.palsy
    return [
        picture_name(number), plan.split(number), f"person{truth.person + 1:05d}", truth.expression,
        *(f"{getattr(truth, name):.5g}" for name in NUMBERS), *(f"{value:.2f}" for value in truth.box),
        *([""] + ["0"] * len(SEVERITIES) if palsy is None else
          [palsy.side, *(f"{getattr(palsy, name):.3g}" for name in SEVERITIES)]),
    ]  # fmt: skip
