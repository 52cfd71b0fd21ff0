"""`mien summarize`: numbers worked by hand, intervals over sources, time bins, and its mistakes."""

import json
from pathlib import Path

import numpy as np
import pytest

from mien.__main__ import main
from mien.core.errors import MienError
from mien.engine.reading.tables.groups import read_groups
from mien.engine.reading.tables.summarize import seconds_of, summarize
from mien.engine.reading.tables.summary import GroupTotals, Part
from mien.media.tables import read_rows
from mien.metrics.moments import Moments
from stored_run import CLASSES, face, layout, missing, write_run


def shares(happiness: float) -> list[float]:
    return [1 - happiness, happiness, *[0.0] * 6]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of four frames (the second's third without a face) and two photos."""
    videos = [
        face(name, i, time=i / 2, shares=shares(p), points=False, affect=False)
        for name, values in (("x/one.mp4", (0.1, 0.2, 0.7, 0.8)), ("x/two.mp4", (0.9, 0.9, None, 0.6)))
        for i, p in enumerate(values)
        if p is not None
    ]
    videos.insert(6, missing("x/two.mp4", 2, time=1.0))
    photos = [face(name, time=None, shares=shares(p), points=False, affect=False) for name, p in
              (("p/a.jpg", 0.0), ("p/b.jpg", 0.5))]  # fmt: skip
    return write_run(tmp_path_factory.mktemp("run"), [*videos, *photos], layout(points=False, affect=False))


def groups_csv(folder: Path) -> Path:
    path = folder / "people.csv"
    path.write_text("source,person,condition\none.mp4,Ann,sad\ntwo,Bob,glad\np/b.jpg,Ann,glad\n", encoding="utf-8")
    return path


def rows_of(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["group"], row["measure"]): row for row in read_rows(path)}


def test_sources_have_their_counts_means_and_sd(run: Path, tmp_path: Path) -> None:
    summarize(str(run), output=str(tmp_path), plots=False)
    one, two, a, _ = read_rows(tmp_path / "sources.csv")
    assert (one["source"], one["faces"], one["without_face"], one["last_s"]) == ("x/one.mp4", "4", "0", "1.5")
    assert (two["faces"], two["without_face"], two["group"]) == ("3", "1", "all")
    assert float(one["prob_happiness_mean"]) == pytest.approx(0.45)
    assert float(one["prob_happiness_sd"]) == pytest.approx(np.std([0.1, 0.2, 0.7, 0.8], ddof=1), rel=1e-5)
    assert (one["share_happiness"], one["share_neutral"], two["share_happiness"]) == ("0.5", "0.5", "1")
    assert (a["first_s"], a["prob_happiness_mean"], a["prob_happiness_sd"]) == ("", "0", "")


def test_every_source_counts_once_whatever_its_length(run: Path, tmp_path: Path) -> None:
    summarize(str(run), output=str(tmp_path), plots=False)
    found = rows_of(tmp_path / "groups.csv")["all", "prob_happiness"]
    means = [0.45, 0.8, 0.0, 0.5]
    assert (found["units"], float(found["mean"])) == ("4", pytest.approx(np.mean(means)))
    assert float(found["sd_between_units"]) == pytest.approx(np.std(means, ddof=1), rel=1e-5)
    assert 0 <= float(found["low_95"]) < float(found["mean"]) < float(found["high_95"]) <= 0.8
    assert "whole sources" in json.loads((tmp_path / "summary.json").read_text())["intervals"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"source,c\nw\xfctend.jpg,x\n", "not UTF-8"),
        (b"source,c,c\na,x,y\n", "'c' twice"),
        (b"source,c\na\n", "row 2: 1 fields where the header has 2"),
    ],
)
def test_a_damaged_table_of_groups_is_one_line(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "groups.csv").write_bytes(text)
    with pytest.raises(MienError, match=message):
        read_groups(str(tmp_path / "groups.csv"), "c", "")


def test_groups_may_be_separated_by_semicolons(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("\ufeffsource;c\na.jpg;x, y\n", encoding="utf-8")
    assert read_groups(str(tmp_path / "groups.csv"), "c", "").rows["a.jpg", ""]["c"] == "x, y"


def test_groups_come_from_a_csv_of_names(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = ["--groups", str(groups_csv(tmp_path)), "--by", "condition", "--output", str(out)]
    code = main(["summarize", str(run), *options])
    assert code == 0 and "1 sources are not in --groups and left out, such as p/a.jpg" in capsys.readouterr().out
    found = rows_of(out / "groups.csv")
    assert float(found["glad", "prob_happiness"]["mean"]) == pytest.approx((0.8 + 0.5) / 2)
    assert (found["sad", "prob_happiness"]["units"], found["sad", "prob_happiness"]["low_95"]) == ("1", "")
    assert {"expressions.svg", "expressions.png"} <= {path.name for path in out.iterdir()}


def test_a_person_counts_once(run: Path, tmp_path: Path) -> None:
    path = groups_csv(tmp_path)
    path.write_text(path.read_text().replace("glad\np/b", "glad\np/a.jpg,Bob,glad\np/b"))
    summarize(str(run), output=str(tmp_path / "o"), groups=str(path), by="condition", unit="person", plots=False)
    found = rows_of(tmp_path / "o" / "groups.csv")["glad", "prob_happiness"]
    assert (found["units"], float(found["mean"])) == ("2", pytest.approx(((0.8 + 0.0) / 2 + 0.5) / 2))


def test_time_courses_are_binned(run: Path, tmp_path: Path) -> None:
    summarize(str(run), output=str(tmp_path), bin_="1s")
    rows = [row for row in read_rows(tmp_path / "timecourse.csv") if row["source"] == "x/two.mp4"]
    assert [(row["start_s"], row["faces"]) for row in rows] == [("0", "2"), ("1", "1")]
    assert [float(row["prob_happiness"]) for row in rows] == pytest.approx([0.9, 0.6])
    svg = (tmp_path / "timecourse_1.svg").read_text(encoding="utf-8")
    assert svg.startswith("<svg xmlns=") and "polygon" in svg and "one.mp4" in svg and "<script" not in svg


def test_tracks_are_summarized_apart(tmp_path: Path) -> None:
    text = "source,frame,timestamp,face_id,success,track_id,expression,prob_happiness\n"
    text += "".join(f"a.mp4,{i},{i},{t},1,{t},happiness,{0.2 if t else 0.9}\n" for i in range(3) for t in (0, 1))
    (tmp_path / "readings.csv").write_text(text + "a.mp4,3,3,,0,,,\n")
    summarize(str(tmp_path), output=str(tmp_path / "o"), plots=False)
    rows = [tuple(row[n] for n in ("track_id", "faces", "without_face", "prob_happiness_mean")) for row in
            read_rows(tmp_path / "o" / "sources.csv")]  # fmt: skip
    assert rows == [("0", "3", "1", "0.9"), ("1", "3", "0", "0.2")]


def test_intervals_cover_the_true_mean() -> None:
    """Of 100 samples of 20 sources each, about 95 intervals hold the mean: the draws are over sources."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(100):
        totals = GroupTotals(read_groups(None, "", ""), ["m"])
        for i in range(20):
            totals.add(Part(str(i), None, Moments(1, 1), faces=1), rng.normal(0.3, 0.1, 1))
        (found,) = totals.measures()
        hits += found.low <= 0.3 <= found.high
    assert 86 <= hits <= 99


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("500ms", 0.5), ("2min", 120), ("1.5", 1.5), ("1h", 3600)])
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


def test_mistakes_are_named(run: Path, tmp_path: Path) -> None:
    path = groups_csv(tmp_path)
    for options, text in (
        ({"bin_": "0s"}, "duration above 0"), ({"bin_": "1s"}, "--bin needs --output"),
        ({"by": "condition"}, "name the file too"), ({"groups": str(path)}, "--groups needs --by"),
        ({"groups": "no.csv", "by": "x"}, "no such file"),
        ({"groups": str(path), "by": "conditon"}, "Did you mean 'condition'"),
    ):  # fmt: skip
        with pytest.raises(MienError, match=text):
            summarize(str(run), **options)
    path.write_text("source,condition\nother.mp4,x\n")
    with pytest.raises(MienError, match=r"--groups names none of the table's sources, such as 'x/one.mp4'"):
        summarize(str(run), groups=str(path), by="condition")
    path.write_text("source,condition\na,x\na,y\n")
    with pytest.raises(MienError, match="row 3 names 'a' again"):
        summarize(str(run), groups=str(path), by="condition")
    summarize(str(run), output=str(tmp_path / "o"), plots=False)
    with pytest.raises(MienError, match="Add --overwrite"):
        summarize(str(run), output=str(tmp_path / "o"), plots=False)
    (tmp_path / "readings.csv").write_text("source,frame,success\na,0,1\nb,0,1\na,1,1\n")
    with pytest.raises(MienError, match="the rows of a do not stand together"):
        summarize(str(tmp_path / "readings.csv"))
    assert len(CLASSES) == 8


def test_what_is_given_is_never_replaced(run: Path, tmp_path: Path) -> None:
    people = groups_csv(tmp_path).rename(tmp_path / "groups.csv")
    table = tmp_path / "sources.csv"
    table.write_bytes((run / "readings.csv").read_bytes())
    table.with_suffix(".json").write_bytes((run / "readings.json").read_bytes())
    held = people.read_bytes(), table.read_bytes()
    with pytest.raises(MienError, match="would replace --groups"):
        summarize(str(run), output=str(tmp_path), groups=str(people), by="condition", overwrite=True)
    with pytest.raises(MienError, match="would replace the table"):
        summarize(str(table), output=str(tmp_path), overwrite=True)
    assert (people.read_bytes(), table.read_bytes()) == held


def test_a_table_without_rows_says_so(tmp_path: Path) -> None:
    write_run(tmp_path, [], layout())
    with pytest.raises(MienError, match="has no rows, so there is nothing to summarize"):
        summarize(str(tmp_path))
