"""`mien report`: self-contained, well formed, adapts to the table's columns, small for long videos."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.__main__ import main
from mien.core.errors import MienError
from mien.engine.reading.page.figures import BINS, Windowed, strongest_units
from mien.engine.reading.page.gather import OPEN_TRACKS, gather
from mien.engine.reading.page.report import report
from mien.engine.reading.page.thumbnails import SIDE, cut_out
from mien.engine.reading.tables.measures import Measures
from mien.media.image import Picture
from mien.media.tables.stored import open_table
from mien.metrics.moments import Course
from stored_run import face, layout, missing, write_run

HOSTILE = "<script>alert(1)</script>.mp4"


class Reader(HTMLParser):
    """Every tag is closed; collects attributes and text."""

    VOID = ("meta", "img", "rect", "polyline", "polygon", "circle", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_self_contained(page: Path) -> Reader:
    """Nothing outside the page is named: no address, no script, no file; the policy forbids all but inline styles."""
    text = page.read_text(encoding="utf-8")
    found = Reader(text)
    for tag, attributes in found.tags:
        assert tag not in ("script", "link", "iframe", "object", "base", "form")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "data", "xlink:href", "action"):
            assert str(attributes.get(name, "data:")).startswith("data:"), (tag, attributes)
    assert not re.search(r"url\(|@import|https?://", text)
    assert "default-src 'none'" in text
    return found


@pytest.fixture(scope="module")
def video_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 200 frames with everything but 3D, a frame without a face, and a photo that is there."""
    folder = tmp_path_factory.mktemp("video")
    photo = folder / "photo.png"
    Image.effect_noise((200, 180), 60).convert("RGB").save(photo)
    faces = [face(HOSTILE, i, time=i / 25, seed=i, pose=(0.0, i / 500, 0.0)) for i in range(200)]
    run = write_run(folder / "run", [*faces, missing(HOSTILE, 200, time=8.0), face(str(photo), time=None, seed=3)])
    report(str(run))
    return run


def test_the_page_loads_nothing_and_is_well_formed(video_run: Path) -> None:
    page = check_self_contained(video_run / "report.html")
    headings = ["Expressions", HOSTILE, "Photos: the most probable faces", "Sources", "What the numbers cannot say"]
    assert all(heading in page.text for heading in headings)
    words = "contested", "Regulation (EU) 2024/1689", "research only", "Models", "Head pose", "Asymmetry"
    for each in (*words, "it does not show how likely they are", "Path of valence", "a proxy, learned from"):
        assert each in page.text, each
    assert "Quality" not in page.text and "action units" not in page.text
    assert sum(tag == "img" for tag, _ in page.tags) == 1  # the photo; the video cannot be read, which the page says
    assert "cannot be read from here" in page.text


def test_the_model_and_its_whole_hash_are_named(video_run: Path) -> None:
    from stored_run import layout as columns

    text = (video_run / "report.html").read_text(encoding="utf-8")
    for info in columns().infos:
        assert info.model_id in text and next(iter(info.files.values())) in text


def test_a_page_is_replaced_only_on_request(video_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(video_run)]) == 2 and "Add --overwrite" in capsys.readouterr().err
    assert main(["report", str(video_run), "--overwrite", "--no-pictures"]) == 0
    page = check_self_contained(video_run / "report.html")
    assert sum(tag == "img" for tag, _ in page.tags) == 0
    assert main(["report", str(video_run), "--output", str(video_run / "page.pdf")]) == 2
    assert "HTML" in capsys.readouterr().err


def test_a_table_with_expressions_alone_and_with_quality_columns(tmp_path: Path) -> None:
    bare = write_run(tmp_path / "bare", [face("a.jpg", time=None, points=False, affect=False)],
                     layout(points=False, affect=False))  # fmt: skip
    report(str(bare))
    page = check_self_contained(bare / "report.html")
    assert "with one source there is no interval" in page.text and "Head pose" not in page.text
    (tmp_path / "readings.csv").write_text(
        "source,frame,timestamp,success,box_x0,box_y0,box_x1,box_y1,expression,prob_happiness,quality_blur,track_id\n"
        + "".join(f"a.mp4,{i},{i / 5},1,0,0,9,9,happiness,0.9,0.{i},{i % 2}\n" for i in range(10))
    )
    report(str(tmp_path))
    page = check_self_contained(tmp_path / "report.html")
    assert "Quality of the pictures" in page.text and "blur" in page.text
    assert "Expressions, track 0" in page.text and "Expressions, track 1" in page.text


def test_a_page_on_one_face_has_no_nan(tmp_path: Path) -> None:
    (tmp_path / "readings.csv").write_text(
        "source,frame,timestamp,success,box_x0,box_y0,box_x1,box_y1,expression,prob_happiness,quality_blur\n"
        "a.jpg,0,,1,0,0,9,9,happiness,0.9,0.5\n"
    )
    report(str(tmp_path))
    page = check_self_contained(tmp_path / "report.html")
    assert "0.5" in page.text and "nan" not in page.text and "1 source" in page.text and "1 sources" not in page.text


def test_long_videos_give_small_pages_and_flat_memory(tmp_path: Path) -> None:
    """Forty minutes at 25 frames a second, with the numbers where they belong."""
    course, rng = Course(2), np.random.default_rng(0)
    for start in range(0, 60_000, 5000):
        times = np.arange(start, start + 5000) / 25
        course.add(times, np.stack([times / 2400, rng.normal(size=5000)], axis=1))
    shown = Windowed(course)
    assert len(shown.values) <= BINS
    assert np.allclose(shown.values[:, 0], np.minimum(shown.times_s, 2400) / 2400, atol=0.01)
    assert np.allclose(shown.spread[:, 1], 1, atol=0.25)  # the spread of single frames, whatever the bin


def test_the_band_is_the_spread_in_a_window() -> None:
    course = Course(1)
    course.add(np.arange(100) / 25, np.tile([[0.0], [1.0]], (50, 1)))
    shown = Windowed(course)
    assert np.nanmedian(shown.spread[:, 0]) == pytest.approx(0.5, abs=0.02)


def test_many_tracks_keep_the_longest(tmp_path: Path) -> None:
    head = "source,frame,timestamp,success,box_x0,box_y0,box_x1,box_y1,expression,prob_happiness,track_id\n"
    rows = [f"a.mp4,{i},{i},1,0,0,9,9,happiness,0.9,{99 if i % 2 else i}\n" for i in range(60)]
    (tmp_path / "readings.csv").write_text(head + "".join(rows))
    facts = gather(open_table(tmp_path))
    (video,) = facts.videos
    assert len(video.track_numbers) == 31 > OPEN_TRACKS
    assert next(iter(video.tracks)) == 99 and video.tracks[99].faces == 30


def test_the_strongest_units_are_those_that_vary(tmp_path: Path) -> None:
    (tmp_path / "readings.csv").write_text("source,AU1_right,AU12_right,AU4_right\na,0.5,0.5,0.5\n")
    measures = Measures(open_table(tmp_path))
    course = Course(3)
    course.add(np.arange(50.0), np.stack([np.full(50, 0.9), np.tile([0.0, 1.0], 25), np.linspace(0, 0.1, 50)], axis=1))
    assert strongest_units(course, measures, most=1) == ["AU12_right"]
    assert strongest_units(course, measures, most=2) == ["AU12_right", "AU4_right"]


@pytest.mark.parametrize("box", [(10, 20, 60, 80), (-30, -30, 20, 20), (150, 90, 230, 170), None])
def test_cut_outs_stay_in_the_picture(box: tuple | None) -> None:
    pixels = np.full((150, 200, 3), 200, np.uint8)
    image = cut_out(Picture(pixels, 0.5, (400, 300)), box and tuple(float(2 * edge) for edge in box))
    assert image.width == SIDE and np.asarray(image).min() == 200


def test_an_empty_table_has_no_page(tmp_path: Path) -> None:
    (tmp_path / "readings.csv").write_text("source,frame,timestamp,success,box_x0,box_y0,box_x1,box_y1\n")
    with pytest.raises(MienError, match="has no rows"):
        report(str(tmp_path))


BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)


@pytest.mark.skipif(BROWSER is None, reason="needs a headless Chromium, which is not on this machine")
def test_a_browser_shows_the_page_without_a_request(video_run: Path) -> None:
    """Its log names whatever the page's policy blocks, and each resource that fails."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    found = subprocess.run(
        [str(BROWSER), *flags, (video_run / "report.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert found.stdout.count("<svg") >= 5 and "</html>" in found.stdout
    assert not re.search(r"CONSOLE|Refused to load|ERR_", found.stderr)
