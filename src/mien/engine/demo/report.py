"""The report of the tour: what was drawn, how training went, what was measured, what was read."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mien.report import page as report
from mien.report.page import Section

if TYPE_CHECKING:
    from mien.engine.demo.tour import Tour

SHOWN, TILE = 4, 96  # drawn faces of each expression on the sheet; their side in pixels
NEXT = """mien analyze photos/ --output out                      # faces of photos, folders and videos
mien data check image_folder --root my_faces           # one folder a class: is it whole?
mien fit poster_v2/own_folder --data.root my_faces --output runs/mine
mien evaluate runs/mine --data.name image_folder --data.root my_faces --split test --output out"""


def sections(tour: "Tour") -> list[Section]:
    """All sections, those of steps that were left out excepted."""
    found = [Section("", _summary(tour)), Section("1  Faces that nobody has", _drawn(tour))]
    if tour.evaluation is not None:
        found.append(Section("2  Training", _training(tour)))
        found.append(Section("3  Measured on drawings it has not seen", _measured(tour)))
    if tour.readings:
        found.append(Section("4  Reading pictures", _read(tour)))
    found.append(Section("Your own faces", f"<pre>{escape(NEXT)}</pre>"))
    return [*found, report.caveats()]


def _summary(tour: "Tour") -> str:
    from mien.engine.evaluation.scores import value_of

    numbers = {"drawn faces": f"{sum(1 for _ in (tour.folder / 'faces').rglob('*.png')):,}"}
    if tour.evaluation is not None:
        accuracy = value_of(tour.evaluation.scores, "accuracy")
        assert accuracy.value is not None and accuracy.low is not None and accuracy.high is not None
        numbers[f"accuracy; 95 % interval {accuracy.low:.0%} to {accuracy.high:.0%}"] = f"{accuracy.value:.0%}"
        numbers["by always giving one answer"] = f"{1 / len(tour.evaluation.answers.labels):.0%}"
    numbers["faces read in pictures"] = str(sum(row["success"] == "1" for row in tour.readings))
    numbers["seconds, all in all"] = f"{tour.seconds['all']:.0f}"
    intro = (
        "A small system went the whole way on this machine: faces were drawn, a tiny POSTER V2 was trained on them, "
        "measured, and pictures were read. Nothing was downloaded. Real work goes the same way with other pictures."
    )
    return f"<p>{escape(intro)}</p>{report.cards(numbers)}{report.warning(*tour.skipped)}"


def _drawn(tour: "Tour") -> str:
    text = (
        f"{SHOWN} of each expression. They are drawn, so their labels and their 68 points are exact; they are far "
        "simpler than people, and a score on them says that the machinery works, nothing about real faces."
    )
    sheet = report.picture(_sheet(tour.folder / "faces" / "train"), alt="drawn faces, a row for each expression")
    return f"<p>{escape(text)}</p><figure>{sheet}</figure>"


def _sheet(folder: Path) -> bytes:
    """A PNG: a column of names, and beside each name its first drawn faces, two expressions a row."""
    from io import BytesIO

    from PIL import Image, ImageDraw, ImageFont

    kinds = sorted(path for path in folder.iterdir() if path.is_dir())
    wide, high = SHOWN * TILE + 12, TILE + 28
    canvas = Image.new("RGB", (2 * wide - 12, -(-len(kinds) // 2) * high), "white")
    font = ImageFont.load_default(15)
    for i, kind in enumerate(kinds):
        x, y = (i % 2) * wide, (i // 2) * high
        ImageDraw.Draw(canvas).text((x + 2, y + 4), kind.name, fill="#1b1f24", font=font)
        for k, path in enumerate(sorted(kind.glob("*.png"))[:SHOWN]):
            face = Image.open(path).resize((TILE - 4, TILE - 4), Image.Resampling.BICUBIC)
            canvas.paste(face, (x + k * TILE, y + 25))
    content = BytesIO()
    canvas.save(content, "PNG")
    return content.getvalue()


def _training(tour: "Tour") -> str:
    from mien.report.plots import curves_figure

    stages = (
        ("landmarks", "nme_interocular", "Stage 0: landmark error (eye distances)", False),
        ("expression", "accuracy", "Stage 1: accuracy on validation", True),
    )
    figures = (
        report.figure(curves_figure({metric: _curve(tour.folder / stage, metric)}, title=title, percent=percent))
        for stage, metric, title, percent in stages
    )
    links = '<a href="landmarks/report.html">landmarks</a> and <a href="expression/report.html">expression</a>'
    said = f"<p>{tour.seconds['training']:.0f} s on the CPU. The full reports of both runs: {links}.</p>"
    return f'{said}<div class="figures">{"".join(figures)}</div>'


def _curve(run: Path, metric: str) -> list[tuple[float, float]]:
    """(epoch, value) on the validation faces."""
    lines = report.read_lines(run / "metrics.jsonl")
    wanted = (line for line in lines if line.get("metric") == f"val/{metric}" and line.get("epoch") is not None)
    return [(float(line["epoch"]), float(line["value"])) for line in wanted]


def _measured(tour: "Tour") -> str:
    from mien.engine.evaluation.classes.report import classes_table, confusion_table, headline

    assert tour.evaluation is not None
    link = '<p>All of it: <a href="evaluation/report.html">evaluation/report.html</a>.</p>'
    return headline(tour.evaluation) + classes_table(tour.evaluation) + confusion_table(tour.evaluation) + link


def _read(tour: "Tour") -> str:
    text = (
        f"Read with {tour.reader}. A detector finds each face; the network answers with calibrated probabilities. What "
        "learned from photographs finds synthetic people strange: calibration does not reach that far."
    )
    astronaut = tour.folder / "readings" / "overlays" / "astronaut.jpg"
    portrait = _jpeg(astronaut, "an astronaut's portrait, its face framed and labelled") if astronaut.is_file() else ""
    sheet = _jpeg(tour.folder / "readings" / "contact_sheet.jpg", "all pictures, their faces framed and labelled")
    table = report.table(
        ("picture", "reading", "probability", "face, from left and top, in pixels"),
        _reading_rows(tour),
        caption="From readings/readings.csv; readings.json says what each column means.",
        left=(0, 1),
    )
    return f"<p>{escape(text)}</p>{portrait}{table}{sheet}"


def _jpeg(path: Path, alt: str) -> str:
    return f"<figure>{report.picture(path.read_bytes(), alt=alt, kind='jpeg')}</figure>"


def _reading_rows(tour: "Tour") -> Iterator[tuple[str, str, str, str]]:
    for row in tour.readings:
        name = escape(Path(row["source"]).name)
        if row["success"] != "1":
            yield name, escape(row["note"]), "", ""
            continue
        share = float(row[f"prob_{row['expression']}"])
        corner = f"{float(row['box_x0']):.0f}, {float(row['box_y0']):.0f}"
        yield name, escape(row["expression"]), report.bar(share, f"{share:.0%}" if share < 0.995 else ">99%"), corner
