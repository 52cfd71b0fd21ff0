"""`mien evaluate --by`: metrics of groups worked by hand, joined tables, largest differences, refusals; sets."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.core.trust.calibration import Calibration
from mien.engine.evaluation.by_group import Statistic, group_table, groups_of
from mien.engine.evaluation.evaluate import evaluate
from mien.engine.evaluation.options import Bootstrap

sys.path.insert(0, str(Path(__file__).parent))
from test_evaluate import folder_of_faces, install, lines_of, options, perfect


def faces(**columns: list) -> list[Sample]:
    count = len(next(iter(columns.values())))
    return [
        Sample(f"test/{i}.png", Path(f"/set/test/{i}.png"), **{name: v[i] for name, v in columns.items()})
        for i in range(count)
    ]


def mean_of(values: np.ndarray) -> Statistic:
    keys = tuple(f"test/{i}.png" for i in range(len(values)))
    return Statistic(keys, lambda drawn: float(values[drawn].mean()))


def test_groups_of_the_samples_and_of_tables(tmp_path):
    samples = faces(subject=["a", "b", None, "a"])
    assert list(groups_of(samples, "subject").values()) == ["a", "b", "unknown", "a"]
    for name, place in (("key", "test/{}.png"), ("path", "/set/test/{}.png"), ("file", "{}.png")):
        table = tmp_path / f"{name}.csv"
        table.write_text(f"{name},gender\n" + "".join(f"{place.format(i)},{'fm'[i % 2]}\n" for i in (0, 1, 3)))
        assert list(groups_of(samples, "gender", str(table)).values()) == ["f", "m", "unknown", "m"]


def test_ages_are_divided_at_their_quartiles(tmp_path):
    samples = faces(subject=["x"] * 40)
    table = tmp_path / "ages.csv"
    table.write_text("key,age\n" + "".join(f"test/{i}.png,{20 + i}\n" for i in range(40)))
    found = groups_of(samples, "age", str(table))
    assert sorted(set(found.values())) == ["20 to 29", "30 to 39", "40 to 49", "50 to 59"]
    assert found["test/0.png"] == "20 to 29" and [*found.values()].count("40 to 49") == 10
    few = groups_of(faces(subject=["1", "2", "1"]), "subject")
    assert set(few.values()) == {"1", "2"}


def test_scores_and_the_largest_difference_by_hand():
    """Groups of 20: means 1, 0.5 and, with too few faces for a difference, 0."""
    values = np.r_[np.ones(20), np.tile([0.0, 1.0], 10), np.zeros(5)]
    groups = {f"test/{i}.png": "abc"[min(i // 20, 2)] for i in range(45)}
    found = group_table("group", groups, {"accuracy": mean_of(values)}, Bootstrap(200))
    by_name = {score.metric: score for score in found.scores}
    assert [by_name[f"accuracy/group/{name}"].value for name in "abc"] == [1.0, 0.5, 0.0]
    assert [by_name[f"accuracy/group/{name}"].n for name in "abc"] == [20, 20, 5]
    assert (by_name["accuracy/group/a"].low, by_name["accuracy/group/a"].high) == (1.0, 1.0)
    largest = by_name["accuracy/group/largest_difference"]
    assert largest.value == 0.5 and largest.note == "a minus b" and 0.2 < largest.low < 0.5 < largest.high < 0.8
    plain = group_table("group", groups, {"accuracy": mean_of(values)}, Bootstrap(0))
    assert plain.rows["a"][0].low is None and plain.largest[0].low is None
    one = group_table("group", dict.fromkeys(groups, "a"), {"accuracy": mean_of(values)}, Bootstrap(50))
    assert not one.largest


def test_unknown_columns_and_tables_are_one_line(tmp_path):
    samples = faces(subject=["a", "b"], affected=["R", None])
    with pytest.raises(MienError, match=r"--by subjet: these data have: subject, affected\. Did you mean"):
        groups_of(samples, "subjet")
    with pytest.raises(MienError, match=r"no column of groups. Name a table with it: --groups FILE.csv"):
        groups_of(faces(split=["test"]), "age")
    table = tmp_path / "t.csv"
    table.write_text("name,age\n0.png,3\n")
    with pytest.raises(MienError, match=r"needs a column key, path, file, image or filename"):
        groups_of(samples, "age", str(table))
    table.write_text("path,age\nelsewhere.png,3\n")
    with pytest.raises(MienError, match=r"has the columns age"):
        groups_of(samples, "gender", str(table))
    with pytest.raises(MienError, match=r"names none of these 2 faces, such as 'test/0.png'"):
        groups_of(samples, "age", str(table))
    with pytest.raises(MienError, match="there is no file"):
        groups_of(samples, "age", str(tmp_path / "none.csv"))
    with pytest.raises(MienError, match="makes 50 groups; at most 40"):
        groups_of(faces(subject=[f"p{i}" for i in range(50)]), "subject")


def test_the_command_writes_groups_into_table_metrics_and_report(tmp_path, monkeypatch, capsys):
    """A model that is right on the even faces alone; groups are the even and the odd ones."""

    def half(images: np.ndarray) -> np.ndarray:
        found = perfect(images)
        return np.where(np.arange(len(images))[:, None] % 2, np.roll(found, 1, axis=1), found)

    install(monkeypatch, {"cafe": half})
    root = folder_of_faces(tmp_path / "set")
    keys = [s.key for s in options(root).open(evaluation=True).samples("test")]
    table = tmp_path / "groups.csv"
    table.write_text("key,side\n" + "".join(f"{key},{('even', 'odd')[i % 2]}\n" for i, key in enumerate(keys)))
    given = {"data": options(root), "bootstrap": 50, "batch_size": 40}
    evaluate("cafe", output=str(tmp_path / "out"), by="side", groups=str(table), **given)
    lines = lines_of(tmp_path / "out")
    assert (lines["accuracy/side/even"]["value"], lines["accuracy/side/odd"]["value"]) == (1.0, 0.0)
    assert lines["accuracy/side/largest_difference"]["value"] == 1.0 and lines["accuracy/side/odd"]["n"] == 20
    assert lines["accuracy"]["value"] == 0.5 and "ece@15/side/even" in lines
    with (tmp_path / "out/groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["group"] for row in rows} == {"even", "odd", "largest_difference"}
    assert "By side" in (tmp_path / "out/report.html").read_text() and "largest" in capsys.readouterr().out
    with pytest.raises(MienError, match="name its column too: --by COLUMN"):
        evaluate("cafe", output=str(tmp_path / "other"), groups=str(table), **given)


def test_a_bundle_with_thresholds_states_what_its_sets_cover(tmp_path, monkeypatch):
    """The perfect model's sets hold the right class alone; with a threshold of 0 every class."""
    root = folder_of_faces(tmp_path / "set")
    for threshold, size in ((0.5, 1.0), (0.0, 4.0)):
        held = {"expression": Calibration(10, {"0.9": threshold})}
        install(monkeypatch, {"cafe": perfect}, calibration=held)
        evaluate("cafe", data=options(root), output=str(tmp_path / "out"), bootstrap=20)
        lines = lines_of(tmp_path / "out")
        assert lines["coverage@90"]["value"] == 1.0 and lines["set_size@90"]["value"] == size
        assert lines["coverage@90/anger"]["n"] == 4
    assert "coverage@90" in (tmp_path / "out/report.html").read_text()


def test_a_logit_adjustment_is_stated_and_leaves_the_sets_out(tmp_path, monkeypatch):
    """With a prior of almost 1 of one class and a strength of 2 the perfect model misses that class."""
    root = folder_of_faces(tmp_path / "set")
    given = {"data": options(root), "output": str(tmp_path / "out"), "bootstrap": 0}
    prior = (1e-9, 1e-9, 1e-9, 1 - 3e-9)  # anger is the last of MODEL
    install(monkeypatch, {"cafe": perfect}, calibration={"expression": Calibration(10, {"0.9": 0.5}, prior=prior)})
    evaluate("cafe", logit_adjust=2.0, **given)
    lines = lines_of(tmp_path / "out")
    assert lines["recall/anger"]["value"] == 0.0 and lines["recall/anger"]["logit_adjust"] == 2.0
    assert "coverage@90" not in lines and "Logit adjustment 2" in (tmp_path / "out/report.html").read_text()
    with pytest.raises(MienError, match=r"--logit-adjust is a strength in 0\.\.2, such as 0\.5; got 3"):
        evaluate("cafe", logit_adjust=3.0, **given)
    install(monkeypatch, {"cafe": perfect})
    with pytest.raises(MienError, match="does not state how frequent its classes were in training"):
        evaluate("cafe", logit_adjust=0.5, **given)
