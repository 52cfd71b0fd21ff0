"""Scores of clips and people by hand, intervals that draw whole people, and voices that pull the answer."""

import csv

import numpy as np
import pytest

import mien
from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.records import Sample
from mien.data.options import DataOptions
from mien.engine.evaluation.classes.groups import group_scores
from mien.engine.evaluation.classes.predictions import ClassPredictions
from mien.engine.evaluation.classes.scores import score_classes
from mien.engine.evaluation.evaluate import evaluate
from mien.engine.evaluation.options import Bootstrap
from mien.metrics.significance import cluster_weights

LABELS = LabelSet("three", ("anger", "happiness", "sadness"))


def predictions(truth: list[int], answers: list[list[float]]) -> ClassPredictions:
    keys = tuple(f"{i:04d}" for i in range(len(truth)))
    return ClassPredictions(LABELS, keys, np.array(truth), np.log(np.array(answers)))


def samples(tmp_path, **columns: list) -> list[Sample]:
    count = len(next(iter(columns.values())))
    rows = [{name: values[i] for name, values in columns.items()} for i in range(count)]
    return [Sample(f"{i:04d}", tmp_path / f"{i}.jpg", **row) for i, row in enumerate(rows)]


def by_name(scores):
    return {score.metric: score for score in scores}


def test_a_clip_is_the_mean_of_its_frames(tmp_path):
    """Frames: 2 of 5 right. Clips: a says anger (0.5 + 0.2 + 0.65 of 3), wrong in two frames, and b happiness."""
    answers = [[0.4, 0.5, 0.1], [0.42, 0.48, 0.1], [0.9, 0.05, 0.05], [0.3, 0.25, 0.45], [0.1, 0.8, 0.1]]
    found = by_name(group_scores(
        predictions([0, 0, 0, 1, 1], answers),
        samples(tmp_path, clip=["a", "a", "a", "b", "b"], subject=["p", "p", "p", "q", "q"]), Bootstrap(200),
    ))  # fmt: skip
    assert found["accuracy@subjects"].value == pytest.approx(2 / 5) and found["accuracy@subjects"].n == 5
    assert found["balanced_accuracy@subjects"].value == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert (found["clip_accuracy"].value, found["clip_accuracy"].n) == (1, 2)
    assert found["clip_balanced_accuracy"].value == 1
    assert found["clip_accuracy"].method == "cluster bootstrap over subjects, percentile"
    assert (found["accuracy@subjects"].low, found["accuracy@subjects"].high) == pytest.approx((1 / 3, 1 / 2))


def test_intervals_over_people_are_as_wide_as_people_differ(tmp_path):
    """Ten people of whom one half is always right and the other never: 200 faces are no more than ten."""
    truth, people = [0] * 200, [f"p{i // 20}" for i in range(200)]
    answers = [[0.8, 0.1, 0.1] if i // 20 < 5 else [0.1, 0.8, 0.1] for i in range(200)]
    given = predictions(truth, answers)
    over_people = by_name(group_scores(given, samples(tmp_path, subject=people), Bootstrap(2000)))["accuracy@subjects"]
    over_faces = by_name(score_classes(given, Bootstrap(2000)))["accuracy"]
    widths = [score.high - score.low for score in (over_people, over_faces)]
    assert over_people.value == over_faces.value == 0.5
    assert widths[0] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 10), rel=0.15)  # binomial of ten
    assert widths[1] < widths[0] / 3
    assert (cluster_weights(10, resamples=50, seed=1).sum(1) == 10).all()


def test_what_data_do_not_state_is_not_scored(tmp_path):
    given = predictions([0, 1], [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    assert group_scores(given, samples(tmp_path, subject=["p", None]), Bootstrap()) == []
    assert group_scores(given, samples(tmp_path, clip=["a", "b"]), Bootstrap()) == []  # single pictures
    assert group_scores(given, samples(tmp_path, clip=["a", "a"]), Bootstrap()) == []  # from one class to another
    alone = by_name(group_scores(given, samples(tmp_path, subject=["p", "p"]), Bootstrap()))
    assert alone["accuracy@subjects"].low is None and "one of subjects" in alone["accuracy@subjects"].note
    without = by_name(group_scores(given, samples(tmp_path, subject=["p", "q"]), Bootstrap(0)))
    assert without["accuracy@subjects"].low is None and without["accuracy@subjects"].note == ""


def test_a_voice_that_disagrees_pulls(tmp_path):
    answers = [[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]]
    voices = ["anger", "happiness", "sadness", "happy"]  # faces: anger, happiness, happiness, anger
    rows = samples(tmp_path, subject=["p", "q", "p", "q"], voice_expression=voices)
    found = by_name(group_scores(predictions([0, 1, 1, 0], answers), rows, Bootstrap(100)))
    assert found["congruent_accuracy"].value == 1 and found["congruent_accuracy"].n == 2
    assert found["incongruent_accuracy"].value == 0 and found["incongruent_accuracy"].n == 2
    assert found["incongruent_as_voice"].value == 1
    assert found["incongruent_voice_probability"].value == pytest.approx((0.6 + 0.5) / 2)
    agreeing = samples(tmp_path, voice_expression=["anger", "happiness", "happiness", "anger"])
    assert not any(
        "congruent" in s.metric for s in group_scores(predictions([0, 1, 1, 0], answers), agreeing, Bootstrap())
    )


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Untrained networks with attention and with the product of experts."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, options in (("can", {"picture": False}), ("can_product", {})):
        system = mien.create_model(name, size=32, width=0.125, latent=8, labels="rafdb", **options)
        system.save_pretrained(folder / name)
    return folder


def test_face_voice_and_both_stand_in_one_table_split_by_split(bundles, talking_faces, tmp_path, capsys):
    data = DataOptions(name="manifest", root=str(talking_faces / "manifest.csv"))
    results = evaluate(
        str(bundles / "can"), data=data, compare=str(bundles / "can_product"), split="train,test", bootstrap=20,
        output=str(tmp_path), device="cpu",
    )  # fmt: skip
    assert [name for name in results if name.endswith("/expression")] == ["train/expression", "test/expression"]
    with (tmp_path / "test" / "outputs.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "accuracy"]
    assert [(row["output"], row["model"].split("@")[0]) for row in rows] == [
        ("expression", "can"), ("expression_face", "can"), ("expression_voice", "can"), ("expression", "can"),
    ]  # fmt: skip
    assert len({row["model"] for row in rows}) == 2 and float(rows[0]["value"]) == next(
        score.value for score in results["test/expression"].scores if score.metric == "accuracy"
    )
    shown = capsys.readouterr().out
    assert shown.index("manifest train, expression") < shown.index("manifest test, expression")
    assert (tmp_path / "train" / "report.html").is_file() and (tmp_path / "test" / "report.html").is_file()
    with pytest.raises(MienError, match="no split 'valid'"):
        evaluate(str(bundles / "can"), data=data, split="valid,test", output=str(tmp_path / "b"))
    assert not (tmp_path / "b").exists()


def test_the_table_fits_a_terminal_of_80_columns(bundles, talking_faces, tmp_path, capsys):
    data = DataOptions(name="manifest", root=str(talking_faces / "manifest.csv"))
    evaluate(str(bundles / "can"), data=data, split="test", bootstrap=20, output=str(tmp_path), device="cpu")
    table = capsys.readouterr().out.rpartition("Report: ")[2]
    assert "expression_voice" in table and "…" not in table and table.count("can@") == 3
    assert max(map(len, table.splitlines()[1:])) <= 80  # after the report's path
