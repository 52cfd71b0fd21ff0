"""The steps of the tour: draws faces, trains a tiny POSTER V2 on them, measures it, reads pictures."""

import csv
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console

from mien.core.extras import install_hint
from mien.data.options import DataOptions
from mien.data.replicas import write_drawn
from mien.engine.bundles.export import export
from mien.engine.evaluation.classes.predictions import ClassEvaluation
from mien.engine.evaluation.evaluate import evaluate
from mien.engine.reading.analyze import analyze
from mien.engine.training.fit import fit
from mien.media.bundles import shipped_bundles
from mien.synthetic.drawn import EXPRESSIONS
from mien.synthetic.people import unframed_portrait

FACE, PORTRAIT = 64, 448  # sides in pixels: of a face to train on, and of a portrait to read
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
    reader: str = ""
    """What reads the pictures."""
    readings: list[Any] = field(default_factory=list)
    """Rows of the table."""
    skipped: list[str] = field(default_factory=list)
    """Parts left out, with the reason."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Duration: `training`, `all`."""

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
        "data.seed": tour.seed, "trainer.device": "cpu",
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


def read(tour: Tour) -> None:
    """Portraits that nobody framed: the detector has to find the faces first."""
    tour.step("4  Reading pictures")
    _paint_pictures(tour)
    bundle = _reading_bundle(tour)
    if bundle is None:
        tour.skip("Reading is left out: no model ships with this version, and none could be trained here.")
        return
    output = tour.folder / "readings"
    summary = analyze([str(tour.folder / "pictures")], output=str(output), bundle=[bundle])
    tour.log(summary)
    tour.readings = _rows(output / "readings.csv")


def _paint_pictures(tour: Tour) -> None:
    """One synthetic person for each expression, in front of a camera that does not frame the face."""
    folder = tour.folder / "pictures"
    folder.mkdir()
    for i, expression in enumerate(EXPRESSIONS):
        pixels = unframed_portrait(tour.seed, i, expression=expression, size=PORTRAIT)
        cv2.imwrite(str(folder / f"person_{i + 1}_{expression}.png"), pixels[..., ::-1])
    if find_spec("skimage") is not None:
        from skimage.data import astronaut

        cv2.imwrite(str(folder / "astronaut.png"), astronaut()[..., ::-1])
    else:
        tour.skip(f"The astronaut's portrait is left out: it comes with scikit-image ({install_hint('train')}).")


def _reading_bundle(tour: Tour) -> str | None:
    """The model that ships, else the one just trained, exported; None where there is neither."""
    for folder, info in shipped_bundles():
        if "model.onnx" not in info.files or not info.outputs_of("classes"):
            continue
        tour.reader = f"the model that ships with mien, {info.model_id}"
        return str(folder)
    if tour.evaluation is None:
        return None
    tour.reader = "the tiny model that was just trained on drawings, since no model ships with this version"
    tour.log(f"Reading with {tour.reader}.")
    tour.log(export(str(tour.folder / "expression")))
    return str(tour.folder / "expression" / "bundle")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
