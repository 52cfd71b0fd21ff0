"""The report of the tour: the drawn faces, training, evaluation, and the pictures that were read."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from PIL import Image

from mien.engine.evaluation.classes.report import headline
from mien.engine.evaluation.classes.sections import classes_table, confusion_table
from mien.engine.evaluation.scores import value_of
from mien.report import parts
from mien.report.contact_sheet import Row, Tile, row_sheet
from mien.report.page import Section, caveats, macro
from mien.report.plots import curves_figure
from mien.report.training import read_lines

if TYPE_CHECKING:
    from mien.engine.demo.tour import Tour

TEMPLATE = "demo.html"
SHOWN, TILE = 8, 96  # drawn faces of each expression on the sheet; their side in pixels
CURVES = (  # stage, metric, title, whether it is written in percent
    ("landmarks", "nme_interocular", "Stage 0: landmark error (eye distances)", False),
    ("expression", "accuracy", "Stage 1: accuracy on validation", True),
)


def sections(tour: "Tour") -> list[Section]:
    """All sections, those of steps that were left out excepted."""
    found = [Section("", _summary(tour)), Section("1  Faces that nobody has", _drawn(tour))]
    if tour.evaluation is not None:
        found.append(Section("2  Training", _training(tour)))
        found.append(Section("3  Measured on drawings of the test split", _measured(tour)))
    if tour.readings:
        found.append(Section("4  Reading pictures", _read(tour)))
    return [*found, Section("Your own faces", macro(TEMPLATE, "next_steps")), caveats()]


def _summary(tour: "Tour") -> Markup:
    cards = {"drawn faces": f"{sum(1 for _ in (tour.folder / 'faces').rglob('*.png')):,}"}
    if tour.evaluation is not None:
        accuracy = value_of(tour.evaluation.scores, "accuracy")
        assert accuracy.value is not None and accuracy.low is not None and accuracy.high is not None
        cards[f"accuracy; 95 % interval {accuracy.low:.0%} to {accuracy.high:.0%}"] = f"{accuracy.value:.0%}"
        cards["accuracy by chance"] = f"{1 / len(tour.evaluation.predictions.labels):.0%}"
    cards["faces read in pictures"] = str(sum(row["success"] == "1" for row in tour.readings))
    cards["seconds in total"] = f"{tour.seconds['all']:.0f}"
    return macro(TEMPLATE, "summary", cards, tour.skipped)


def _drawn(tour: "Tour") -> Markup:
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


def _training(tour: "Tour") -> Markup:
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


def _measured(tour: "Tour") -> Markup:
    result = tour.evaluation
    assert result is not None
    return macro(TEMPLATE, "evaluation", headline(result), classes_table(result), confusion_table(result))


def _read(tour: "Tour") -> Markup:
    astronaut = tour.folder / "readings" / "overlays" / "astronaut.jpg"
    portrait = _jpeg(astronaut, "an astronaut's portrait, its face framed and labelled") if astronaut.is_file() else ""
    sheet = _jpeg(tour.folder / "readings" / "contact_sheet.jpg", "all pictures, their faces framed and labelled")
    return macro(TEMPLATE, "readings", tour.reader, portrait, list(_reading_rows(tour)), sheet)


def _jpeg(path: Path, alt: str) -> Markup:
    return parts.picture(path.read_bytes(), alt=alt, kind="jpeg")


def _reading_rows(tour: "Tour") -> Iterator[list[parts.Cell]]:
    for row in tour.readings:
        name = Path(row["source"]).name
        if row["success"] != "1":
            yield [name, row["note"], "", ""]
            continue
        share = float(row[f"prob_{row['expression']}"])
        corner = f"{float(row['box_x0']):.0f}, {float(row['box_y0']):.0f}"
        yield [name, row["expression"], parts.bar(share, f"{share:.0%}" if share < 0.995 else ">99%"), corner]
