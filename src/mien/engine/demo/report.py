"""The report of the tour: the drawn faces, training, evaluation, and the pictures that were read."""

import csv
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from mien.engine.demo.tour import Tour
from mien.engine.evaluation.classes.sections import classes_table, confusion_table, headline
from mien.engine.evaluation.scores import value_of
from mien.report import parts
from mien.report.contact_sheet import Row, Tile, row_sheet
from mien.report.page import Section, caveats, macro
from mien.report.plots import curves_figure
from mien.report.training import read_lines
from mien.runtime.readings import FaceReading, Readings

TEMPLATE = "demo.html"
SIDES = "right", "left", "difference"  # columns of measures.csv
SIDE = 240  # pixels, of a drawing that was read
SHOWN, TILE = 8, 96  # drawn faces of each expression on the sheet; their side in pixels
CURVES = (  # stage, metric, title, whether it is written in percent
    ("landmarks", "nme_interocular", "Stage 0: landmark error (eye distances)", False),
    ("expression", "accuracy", "Stage 1: accuracy on validation", True),
)


def sections(tour: Tour) -> list[Section]:
    """All sections, those of steps that were left out excepted."""
    found = [Section("", _summary(tour))]
    if tour.evaluation is not None:
        found.append(Section("1  Faces that nobody has", _drawn(tour)))
        found.append(Section("2  Training", _training(tour)))
        found.append(Section("3  Measured on drawings of the test split", _measured(tour)))
        found.append(Section("4  New drawings, read with the network just trained", _read_drawings(tour)))
    first = len(found)
    found.append(Section(f"{first}  Photographs, read with the models that ship", _read_photographs(tour)))
    found.append(Section(f"{first + 1}  Asymmetry of a smile, healthy and with a palsy", _asymmetry(tour)))
    return [*found, Section("Your own faces", macro(TEMPLATE, "next_steps")), caveats()]


def _summary(tour: Tour) -> Markup:
    cards: dict[str, str] = {}
    if tour.evaluation is not None:
        cards["drawn faces"] = f"{sum(1 for _ in (tour.folder / 'faces').rglob('*.png')):,}"
        accuracy = value_of(tour.evaluation.scores, "accuracy")
        assert accuracy.value is not None and accuracy.low is not None and accuracy.high is not None
        cards[f"accuracy; 95 % interval {accuracy.low:.0%} to {accuracy.high:.0%}"] = f"{accuracy.value:.0%}"
        cards["accuracy by chance"] = f"{1 / len(tour.evaluation.predictions.labels):.0%}"
        cards["new drawings read as they were drawn"] = f"{tour.right} of {len(tour.drawings)}"
    cards["seconds in total"] = f"{tour.seconds['all']:.0f}"
    return macro(TEMPLATE, "summary", cards, tour.skipped)


def _drawn(tour: Tour) -> Markup:
    sheet = parts.picture(_sheet(tour.folder / "faces" / "train"), alt="drawn faces, a row for each expression")
    return macro(TEMPLATE, "drawn", SHOWN, sheet)


def _sheet(folder: Path) -> bytes:
    """A PNG with a row for each expression: its name and its first drawn faces."""

    def tile(path: Path) -> Tile:
        with Image.open(path) as face:
            return Tile("", np.asarray(face.convert("RGB").resize((TILE, TILE), Image.Resampling.BICUBIC)))

    kinds = sorted(path for path in folder.iterdir() if path.is_dir())
    rows = [Row(kind.name, [tile(path) for path in sorted(kind.glob("*.png"))[:SHOWN]]) for kind in kinds]
    content = BytesIO()
    Image.fromarray(row_sheet(rows, columns=SHOWN, side=TILE)).save(content, "PNG")
    return content.getvalue()


def _training(tour: Tour) -> Markup:
    figures = [
        curves_figure({metric: _curve(tour.folder / stage, metric)}, title=title, percent=percent)
        for stage, metric, title, percent in CURVES
    ]
    return macro(TEMPLATE, "training", tour.seconds["training"], figures)


def _curve(run: Path, metric: str) -> list[tuple[float, float]]:
    """(epoch, value) on the validation faces."""
    lines = read_lines(run / "metrics.jsonl")
    wanted = (line for line in lines if line.get("metric") == f"val/{metric}" and line.get("epoch") is not None)
    return [(float(line["epoch"]), float(line["value"])) for line in wanted]


def _measured(tour: Tour) -> Markup:
    result = tour.evaluation
    assert result is not None
    return macro(TEMPLATE, "evaluation", headline(result), classes_table(result), confusion_table(result))


def _read_drawings(tour: Tour) -> Markup:
    tiles = [
        Tile(f"{name}: {readings[0].label or readings[0].note}", _plotted(readings)) for name, readings in tour.drawings
    ]
    content = BytesIO()
    Image.fromarray(row_sheet([Row("", tiles)], columns=4, side=SIDE)).save(content, "JPEG", quality=90)
    sheet = parts.picture(content.getvalue(), alt="new drawings, their faces framed and labelled", kind="jpeg")
    return macro(TEMPLATE, "drawings", tour.right, len(tour.drawings), sheet)


def _plotted(readings: Readings) -> np.ndarray:
    shown = readings.plot()
    shown.thumbnail((SIDE, SIDE))
    return np.asarray(shown)


def _read_photographs(tour: Tour) -> Markup:
    pictures = [
        (_jpeg(readings.plot(), f"{name}, the face framed, its points drawn"), name)
        for name, readings in tour.photographs
    ]
    rows = [list(_row(name, reading)) for name, readings in tour.photographs for reading in readings]
    return macro(TEMPLATE, "photographs", pictures, rows)


def _row(name: str, reading: FaceReading) -> Iterator[parts.Cell]:
    share = reading.probabilities.get(reading.expression or "")
    pose = reading.points.pose_rad if reading.points else None
    yield name
    yield reading.expression or reading.note
    yield "" if share is None else parts.bar(share, f"{share:.0%}" if share < 0.995 else ">99%")
    yield "" if pose is None else ", ".join(f"{round(float(np.degrees(angle)))}°" for angle in pose)


def _asymmetry(tour: Tour) -> Markup:
    faces = []
    for name, path, text in tour.asymmetry:
        with Image.open(path) as picture:
            shown = _jpeg(picture.convert("RGB"), f"a synthetic smile, {name}")
        folder = tour.folder / f"asymmetry_{name}"
        faces.append((shown, name, text, f"{folder.name}/report.html", _clear_measures(folder / "measures.csv")))
    return macro(TEMPLATE, "asymmetry", faces)


def _clear_measures(path: Path) -> list[list[parts.Cell]]:
    """Measures whose sides differ by more than their errors: name, right, left, difference in their unit."""
    with path.open(encoding="utf-8", newline="") as file:
        clear = [row for row in csv.DictReader(file) if row["clear"] == "1" and row["difference"]]
    return [
        [row["measure"].replace("_", " "), *(f"{float(row[side]):.1f} {row['unit']}" for side in SIDES)]
        for row in clear
    ]


def _jpeg(image: Image.Image, alt: str) -> Markup:
    content = BytesIO()
    image.save(content, "JPEG", quality=90)
    return parts.picture(content.getvalue(), alt=alt, kind="jpeg")
