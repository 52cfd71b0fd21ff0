"""The steps of the tour that train: draws faces, trains a tiny POSTER V2 on them, measures it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from mien.data.options import DataOptions
from mien.data.replicas import write_drawn
from mien.engine.evaluation.classes.predictions import ClassEvaluation
from mien.engine.evaluation.evaluate import evaluate
from mien.engine.training.fit import fit
from mien.runtime.readings import Readings
from mien.synthetic.drawn import EXPRESSIONS

FACE = 64  # side in pixels of a face to train on
# A drawing's whole picture beside the box that dlib finds in it: the median of 68 drawings. It is not used in training,
# where the whole picture is the face.
FRAME = {"box_scale": 1.49, "box_shift": [0.0, -0.073]}
# The small variant made smaller still: 0.6 M weights, 2 s an epoch on one core, every part of the paper present.
NETWORK = {
    "stem": 16, "widths": [16, 32, 64], "depths": [1, 1, 2], "landmark_widths": [16, 32, 48], "landmark_features": 64,
    "landmark_depths": [1, 2, 1], "head_dim": 16, "token_width": 96, "vit_heads": 4, "drop_path": 0.0,
}  # fmt: skip


@dataclass(eq=False)
class Tour:
    """State of the tour."""

    folder: Path
    """For all results."""
    console: Console
    """For progress."""
    seed: int
    """Of drawings and training."""
    evaluation: ClassEvaluation | None = None
    """Of the trained network."""
    drawings: list[tuple[str, Readings]] = field(default_factory=list)
    """New drawings that the trained network has read: the expression that was drawn, and the readings."""
    photographs: list[tuple[str, Readings]] = field(default_factory=list)
    """What the models that ship have read: the picture's name, and the readings."""
    asymmetry: list[tuple[str, Path, str]] = field(default_factory=list)
    """Of each synthetic face: what it is, its report, the lines of the command."""
    skipped: list[str] = field(default_factory=list)
    """Parts left out, with the reason."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Duration: `training`, `all`."""

    @property
    def right(self) -> int:
        """How many new drawings the trained network has read as they were drawn."""
        return sum(readings[0].expression == name for name, readings in self.drawings)

    def step(self, title: str) -> None:
        self.console.print(f"\n{title}", style="bold")

    def log(self, text: str) -> None:
        self.console.print(text, markup=False)

    def skip(self, text: str) -> None:
        self.skipped.append(text)
        self.log(text)


@contextmanager
def one_thread() -> Iterator[None]:
    """A network this small gains little from a second core, and loses all where another program wants it too."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def draw(tour: Tour, faces: int) -> None:
    tour.step(f"1  Drawing {faces} faces, {len(EXPRESSIONS)} expressions")
    write_drawn(tour.folder / "faces", faces=faces, seed=tour.seed, layout="drawn", size=FACE)
    tour.log(f"nobody's faces, but labelled exactly: {tour.folder / 'faces'}")


def train(tour: Tour, epochs: int) -> None:
    """Stage 0 on the drawings' own points, then the classifier on top of it, as on real data."""
    tour.step("2  Training a tiny POSTER V2, first its landmark stream, then the classifier")
    start = time.perf_counter()
    common: dict[str, Any] = {
        "system.name": "poster_v2_small", "system.options": NETWORK, "data.name": "drawn",
        "data.root": str(tour.folder / "faces"), "data.cache": "memory", "data.batch_size": 32,
        "data.augment": {"erase_probability": 0.0}, "optim.name": "adamw", "optim.schedule": "cosine",
        "optim.sam_rho": 0.0, "optim.warmup_epochs": 2, "optim.clip": 1.0, "trainer.seed": tour.seed,
        "data.seed": tour.seed, "data.leaks": "drop", "trainer.device": "cpu", "input": FRAME,
    }  # fmt: skip
    landmarks: dict[str, Any] = {"stage.name": "landmarks", "optim.lr": 4e-3, "trainer.epochs": max(1, epochs // 2)}
    found = fit(output=str(tour.folder / "landmarks"), **common, **landmarks)
    bundle = str(found[0].bundle)
    expression: dict[str, Any] = {
        "stage.name": "expression",
        "optim.lr": 1e-3,
        "trainer.epochs": epochs,
        "init": bundle,
    }
    fit(output=str(tour.folder / "expression"), **common, **expression)
    tour.seconds["training"] = time.perf_counter() - start


def measure(tour: Tour) -> None:
    tour.step("3  Measuring it on drawings that it has not seen")
    data = DataOptions(name="drawn", root=str(tour.folder / "faces"))
    output = str(tour.folder / "evaluation")
    result = evaluate(str(tour.folder / "expression"), data=data, split="test", output=output)["expression"]
    assert isinstance(result, ClassEvaluation)
    tour.evaluation = result
