"""report.html: self-contained, accessible, says what metrics.jsonl says; figures; the report of a training run."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.spec import Output, PictureInput
from mien.engine.evaluation.classes.predictions import ClassEvaluation, ClassPredictions
from mien.engine.evaluation.classes.scores import score_classes
from mien.engine.evaluation.classes.tables import write_tables
from mien.engine.evaluation.classes.task import ClassTask
from mien.engine.evaluation.classes.text import MEANING, format_interval, format_value
from mien.engine.evaluation.data import Target
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.scores import Score
from mien.engine.evaluation.tables import write_metrics
from mien.report import parts, plots
from mien.report.page import Section, write_page
from mien.report.svg import Text
from mien.report.training import training_report

LABELS = LabelSet("own", ("neutral", "happiness", "<b>odd & named</b>"))
INPUTS, OUTPUTS = {"image": PictureInput(size=32)}, {"expression": Output.classes(LABELS)}


def evaluation(n: int = 300) -> ClassEvaluation:
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=n)
    logits = rng.normal(size=(n, 3)) + 2 * np.eye(3)[truth]
    predictions = ClassPredictions(LABELS, tuple(f"a <&> b/{i}.png" for i in range(n)), truth, logits)
    info = BundleInfo(
        "stand_in",
        {},
        INPUTS,
        OUTPUTS,
        files={"model.onnx": "ab" * 32},
    )
    target = Target("a_set", "test", "0123456789ab", [])
    scores = score_classes(predictions, Bootstrap(200))
    return ClassEvaluation(
        bundle="runs/x/bundle", info=info, output="expression", engine="a test", target=target, scores=scores,
        predictions=predictions, seconds=1.0,
    )  # fmt: skip


class Reader(HTMLParser):
    """Checks that every tag is closed, and collects the cells of tables and what is needed by those who do not see."""

    VOID = ("meta", "img", "rect", "polyline", "circle", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.rows and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    result = evaluation()
    write_tables(folder, result)
    write_metrics(folder / "metrics.jsonl", {"expression": result})
    ClassTask().write_report(folder / "report.html", result)
    return folder


def test_nothing_is_loaded_from_elsewhere(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    assert not re.search(r"https?:|//\w|@import|<script|<link|<iframe|url\(", text)
    assert "default-src 'none'" in text
    for _, attributes in Reader(text).tags:
        assert str(attributes.get("src", "data:")).startswith("data:")
        assert "href" not in attributes


def test_it_is_accessible(folder: Path) -> None:
    reader = Reader((folder / "report.html").read_text())
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("h1") == 1
    assert dict(reader.tags)["html"] == {"lang": "en"}
    for tag, attributes in reader.tags:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert len(str(attributes["aria-label"])) > 30
        if tag == "img":
            assert attributes["alt"]
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
    text = (folder / "report.html").read_text()
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_names_from_data_are_escaped(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    assert "<b>odd" not in text
    assert "&lt;b&gt;odd &amp; named&lt;/b&gt;" in text
    assert "a <&> b" not in text


def test_the_report_says_what_metrics_jsonl_says(folder: Path) -> None:
    rows = {row[0]: row for row in Reader((folder / "report.html").read_text()).rows}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    scores = {line["metric"]: Score(line["metric"], line["value"], line["low"], line["high"]) for line in lines}
    measured = [name for name in MEANING if name in scores]  # these predictions have no subjects, clips and voices
    assert {"accuracy", "balanced_accuracy", "ece@15"} <= set(measured)
    for name in measured:
        assert rows[name][1:3] == [format_value(scores[name]), format_interval(scores[name])]
    for name in LABELS.classes:
        cells = next(r for r in Reader((folder / "report.html").read_text()).rows if r[0] == name and len(r) == 7)
        wanted = [format_value(scores[f"{metric}/{name}"]) for metric in ("recall", "precision", "f1")]
        assert [cells[3], cells[5], cells[6]] == wanted
        assert cells[4] == format_interval(scores[f"recall/{name}"])


def test_the_number_stands_beside_the_majority_class_and_the_caveats(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    accuracy = json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])
    assert f"<strong>{accuracy['value']:.1%}</strong>" in text
    assert f"95 % interval {accuracy['low']:.1%} to {accuracy['high']:.1%}" in text
    assert "majority class" in text
    assert "ab" * 6 in text  # weights
    assert "0123456789ab" in text  # split
    for phrase in ("not what a person feels", "contested", "Not for decisions about people", "2024/1689"):
        assert phrase in text


def test_sections_compose(tmp_path: Path) -> None:
    table = parts.table(["a", "b"], [["1", "2"]], caption="what <it> is")
    write_page(tmp_path / "p.html", "A & B", [Section("One", table), Section("", parts.cards({"x": "1"}))])
    reader = Reader((tmp_path / "p.html").read_text())
    assert ["1", "2"] in reader.rows
    assert "<title>A &amp; B</title>" in (tmp_path / "p.html").read_text()
    assert parts.warning() == ""


def write_run(folder: Path) -> None:
    lines = [
        {"metric": f"{stage}/{name}", "value": value + epoch * step, "epoch": epoch}
        for epoch in range(4)
        for stage in ("train", "val")
        for name, value, step in (("loss", 2.0, -0.3), ("accuracy", 0.3, 0.1))
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"metric": "train/lo'  # killed in mid-line
    (folder / "metrics.jsonl").write_text(text)


def test_training_report_of_a_run_folder(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "config.yaml").write_text("data:\n  root: <here>\n")
    (tmp_path / "bundle").mkdir()
    info = BundleInfo(
        "stand_in",
        {},
        INPUTS,
        OUTPUTS,
        provenance={"epoch": 3, "train": {"faces": 7}},
    )
    (tmp_path / "bundle/system.json").write_text(info.to_json())
    path = training_report(tmp_path)
    text = path.read_text()
    assert path == tmp_path / "report.html"
    figures = [str(a["aria-label"]) for tag, a in Reader(text).tags if tag == "svg"]
    assert figures == [
        "loss by epoch; last: train 1.1, val 1.1.",
        "accuracy by epoch; last: train 0.6, val 0.6.",
    ]
    assert "root: &lt;here&gt;" in text
    assert ["epoch", "3"] in Reader(text).rows
    assert ["train", "faces 7"] in Reader(text).rows
    assert "val/accuracy, last epoch" in text
    assert not re.search(r"https?:|<script", text)


def test_training_report_in_mid_run_and_without_metrics(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"No metrics\.jsonl in"):
        training_report(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("")
    assert "No epoch has ended yet." in training_report(tmp_path).read_text()


def test_ticks_tell_their_neighbours_apart() -> None:
    for values in ((1.9485, 1.9506), (0.1, 3.0), (0.0, 1200.0), (3.3e-5, 3.5e-5), (-0.02, 0.01)):
        for percent in (False, True):
            curve = [(1.0, values[0]), (2.0, values[1])]
            shapes = plots.curves_figure({"a": curve}, title="t", percent=percent).shapes
            ticks = [s.text for s in shapes if isinstance(s, Text) and s.anchor == "end"]
            assert len(ticks) >= 3
            assert len(set(ticks)) == len(ticks), ticks


def test_figures_stay_inside_their_frame(tmp_path: Path) -> None:
    """Nothing is drawn at the border of the PNG: no word is cut off."""
    many = tuple(f"expression number {i}" for i in range(11))
    matrix = np.random.default_rng(0).integers(0, 20_000, (11, 11))
    matrix[3] = 0
    figures = {
        "confusion": plots.confusion_figure(matrix, many, title="A long title of a model on a set"),
        "single": plots.curves_figure({"train": [(0, 0.5)]}, title="one epoch"),
        "curves": plots.curves_figure(
            {"a": [(0, 0.1), (9, 0.9)], "b": [(0, 0.9), (9, 0.2)]}, title="two", percent=True
        ),
        "low": plots.interval_figure(0.0, 0.0, 0.01, 0.02),
        "high": plots.interval_figure(1.0, 0.99, 1.0, 0.98),
    }
    for name, scene in figures.items():
        scene.png(tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            pixels = np.asarray(image)
        frame = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (frame == 255).all(), name
        assert (pixels < 128).any(), name
