"""Names from data never reach a report as markup, whatever is in them: a test for each kind of report."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mien.core.bundle import BundleInfo
from mien.core.labels import LabelSet
from mien.core.spec import Output, PictureInput
from mien.report import parts
from mien.report.contact_sheet import contact_sheet
from mien.report.page import Section, page
from mien.report.svg import Scene, Text
from mien.report.training import training_report

INPUT = {"image": PictureInput(size=32)}
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)></title></style></svg>&amp;{{ 7 * 7 }}{% raw %}"
HOSTILE = f"{MARKUP}\x00\x07\u202e\udcff"
FILE_NAME = "<script>alert(1)<b onload=x>\"' &amp;{{ 7 * 7 }}\x07"  # what a file can be called
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")
TAGS = set(
    re.findall(
        r"\w+",
        "html head meta title style body header main section footer h1 h2 p b i strong small span div br a pre code "
        "details summary table caption thead tbody tr th td figure figcaption img svg rect polyline circle text",
    )
)


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def check(text: str, *, also: frozenset[str] = frozenset(), shows: str = "&lt;script&gt;alert(1)") -> None:
    """Only our own tags and attributes; nothing unprintable; and the name is to be read."""
    for tag, attributes in Tags(text).found:
        assert tag in TAGS | also, tag
        assert not any(name.startswith("on") for name in attributes), attributes
        assert str(attributes.get("src", "data:")).startswith("data:")
    assert not UNPRINTABLE.search(text)
    assert shows in text
    assert "49{%" not in text  # no template was made of a name
    assert "{{ 7 * 7 }}" in text


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mien.synthetic.people import unframed_portrait

    path = tmp_path_factory.mktemp("portraits") / f"{FILE_NAME}.png"
    encoded = cv2.imencode(".png", unframed_portrait(0, 3, expression="happiness", size=480)[..., ::-1])[1]
    path.write_bytes(bytes(encoded))
    return path


def test_parts_and_page() -> None:
    scene = Scene(9, 9, HOSTILE)
    scene.add(Text(1, 1, HOSTILE))
    body = [
        parts.facts({HOSTILE: HOSTILE}), parts.table([HOSTILE], [[HOSTILE], [parts.code(HOSTILE)]], caption=HOSTILE),
        parts.bar(0.5, HOSTILE), parts.small(HOSTILE), parts.cards({HOSTILE: HOSTILE}), parts.warning(HOSTILE),
        parts.figure(scene, caption=HOSTILE), parts.picture(b"x", alt=HOSTILE), parts.marked(HOSTILE, "why"), HOSTILE,
    ]  # fmt: skip
    text = page(HOSTILE, [Section(HOSTILE, html) for html in body], subtitle=HOSTILE)
    check(text)
    assert text.count("&lt;script&gt;") > 30
    assert r"\x00\x07\u202e\udcff" in text
    text.encode("utf-8")


def test_figures_draw_what_cannot_be_printed(tmp_path: Path) -> None:
    scene = Scene(400, 20, HOSTILE)
    scene.add(Text(1, 9, f"a\nb{HOSTILE}"))
    scene.png(tmp_path / "figure.png")
    sheet = contact_sheet([(HOSTILE, None), (f"a\nb{HOSTILE}", np.zeros((50, 100, 3), np.uint8))], side=100)
    assert sheet.shape[2] == 3


def test_training_report(tmp_path: Path) -> None:
    lines = [{"metric": f"val/{MARKUP.replace('/', '')}", "value": 0.5, "epoch": 1}, {"metric": HOSTILE, "value": 1}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "config.yaml").write_text(f"name: {MARKUP}\n")
    (tmp_path / "bundle").mkdir()
    labels = LabelSet("own", (MARKUP, "b"))
    info = BundleInfo(
        MARKUP,
        {},
        {"image": PictureInput(size=32)},
        {"expression": Output.classes(labels)},
        provenance={MARKUP: {MARKUP: [MARKUP]}},
    )
    (tmp_path / "bundle" / "system.json").write_text(info.to_json())
    check(training_report(tmp_path).read_text(encoding="utf-8"))


def test_report_of_classes(tmp_path: Path) -> None:
    from mien.engine.evaluation.classes.predictions import ClassEvaluation, ClassPredictions
    from mien.engine.evaluation.classes.scores import score_classes
    from mien.engine.evaluation.classes.task import ClassTask
    from mien.engine.evaluation.data import Target
    from mien.engine.evaluation.options import Bootstrap

    labels = LabelSet("own", ("neutral", f"{MARKUP}\x07"))
    truth = np.arange(20) % 2
    keys = tuple(f"{i}{HOSTILE}" for i in range(20))
    predictions = ClassPredictions(labels, keys, truth, np.eye(2)[np.arange(20) // 10])
    info = BundleInfo(
        HOSTILE,
        {},
        {"image": PictureInput(size=32)},
        {"expression": Output.classes(labels)},
        files={"model.onnx": "ab" * 32},
    )
    target = Target(HOSTILE, HOSTILE, HOSTILE, [], dropped={HOSTILE: 1}, split_file=HOSTILE)
    result = ClassEvaluation(
        bundle=HOSTILE, info=info, output="expression", engine=HOSTILE, target=target, predictions=predictions,
        failures=[(HOSTILE, HOSTILE)], scores=score_classes(predictions, Bootstrap(50)), contamination=[HOSTILE],
        notes=[HOSTILE],
    )  # fmt: skip
    ClassTask().write_report(tmp_path / "report.html", result)
    check((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_report_of_points(tmp_path: Path) -> None:
    from mien.data.options import DataOptions
    from mien.data.replicas import write_drawn
    from mien.engine.evaluation.evaluate import evaluate
    from mien.engine.evaluation.points.predictions import PointEvaluation
    from mien.engine.evaluation.points.task import PointTask

    folder = write_drawn(tmp_path / "w300", faces=21, layout="w300", size=64, test_share=0.5)
    data = DataOptions(name="w300", root=str(folder), leaks="ignore")
    shipped = "poster_v2_landmarks_small_300w"
    found = evaluate(shipped, data=data, split="test", output=str(tmp_path / "out"), bootstrap=20)["landmarks"]
    assert isinstance(found, PointEvaluation)
    predictions = {
        crop: replace(one, keys=tuple(f"{HOSTILE}{key}" for key in one.keys)) for crop, one in found.predictions.items()
    }
    target = replace(found.target, data=HOSTILE, split=HOSTILE, dropped={HOSTILE: 1})
    result = replace(
        found, bundle=HOSTILE, target=target, contamination=[HOSTILE], engine=HOSTILE, predictions=predictions
    )
    PointTask().write_report(tmp_path / "report.html", result)
    check((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_report_of_asymmetry(tmp_path: Path, portrait: Path) -> None:
    from mien.engine.reading.asymmetry.command import asymmetry

    broken = portrait.with_name(f"broken {FILE_NAME}.png")
    broken.write_bytes(b"no picture")
    asymmetry([str(portrait), str(broken)], output=str(tmp_path))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    check(text)
    assert "broken &lt;script&gt;" in text


def test_page_of_a_face_in_3d(tmp_path: Path, portrait: Path) -> None:
    from mien.engine.reading.landmarks import landmarks

    landmarks([str(portrait)], output=str(tmp_path))
    text = next(tmp_path.glob("*.html")).read_text(encoding="utf-8")
    assert text.count("<script") == 1
    check(text, also=frozenset({"script", "canvas", "button"}))


def test_contact_sheet_of_readings(tmp_path: Path, portrait: Path) -> None:
    from mien.engine.reading.analyze import analyze

    second = tmp_path / f"second {FILE_NAME}.png"
    second.write_bytes(portrait.read_bytes())
    analyze([str(portrait), str(second)], output=str(tmp_path / "out"))
    assert (tmp_path / "out" / "contact_sheet.jpg").is_file()


def test_page_of_leaks(tmp_path: Path) -> None:
    from mien.engine.datasets.leaks import leaks

    rng = np.random.default_rng(0)
    pixels = cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
    for split in ("train", "test"):
        folder = tmp_path / "set" / split / FILE_NAME
        folder.mkdir(parents=True)
        Image.fromarray(pixels).save(folder / f"{split}{FILE_NAME}.png")
    leaks("image_folder", root=str(tmp_path / "set"), output=str(tmp_path / "out"))
    check((tmp_path / "out" / "leaks.html").read_text(encoding="utf-8"))


def test_report_of_the_tour(tmp_path: Path) -> None:
    from mien.engine.demo.report import sections
    from mien.engine.demo.tour import Tour
    from mien.runtime.readings import FaceReading, Readings

    picture = np.zeros((60, 60, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    (tmp_path / f"asymmetry_{MARKUP[:9]}").mkdir(parents=True)
    row = f'"{MARKUP.replace(chr(34), chr(34) * 2)}",1,2,3,{HOSTILE[-4:-3]},1\n'
    measures = tmp_path / f"asymmetry_{MARKUP[:9]}" / "measures.csv"
    measures.write_text("measure,right,left,difference,unit,clear\n" + row, encoding="utf-8", errors="replace")
    face = FaceReading(
        HOSTILE, True, box=(1.0, 2.0, 50.0, 50.0), expression=MARKUP, probabilities={MARKUP: 0.5}, origin=picture
    )
    nobody = FaceReading(FILE_NAME, False, note=HOSTILE, origin=picture)
    tour = Tour(
        tmp_path, Console(), 0, photographs=[(HOSTILE, Readings([face, nobody]))], skipped=[HOSTILE],
        seconds={"all": 1.0}, asymmetry=[(MARKUP[:9], tmp_path / "a.png", HOSTILE)],
    )  # fmt: skip
    check(page("tour", sections(tour)))
