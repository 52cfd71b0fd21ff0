"""Several models over several seeds: trained by one command, compared on the same faces."""

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.data.replicas import write_drawn
from mien.engine.evaluation.classes.predictions import ClassPredictions
from mien.engine.evaluation.values.predictions import ValuePredictions
from mien.engine.training import run as training
from mien.engine.training.chain import comparison
from mien.engine.training.chain.command import chain
from mien.engine.training.chain.comparison import Resamples, Statistic
from mien.engine.training.chain.file import read_chain
from mien.engine.training.chain.table import markdown
from mien.media.files import read_info
from mien.metrics import affect, expression
from small_systems import IF3D

LABELS = LabelSet("three", ("a", "b", "c"))


def classes(rng: np.random.Generator, *, right: float, faces: int = 60) -> ClassPredictions:
    truth = rng.integers(3, size=faces)
    logits = np.eye(3)[np.where(rng.random(faces) < right, truth, rng.integers(3, size=faces))] * 4
    return ClassPredictions(LABELS, tuple(f"face{i:02d}" for i in range(faces)), truth, logits)


def resamples(statistic: Statistic, people: int) -> Resamples:
    from mien.metrics.significance import cluster_weights

    group = np.arange(len(statistic.keys)) % people
    drawn = cluster_weights(people, resamples=400)[:, group].astype(float)
    return Resamples({key: i for i, key in enumerate(statistic.keys)}, drawn, people)


def test_sums_over_faces_give_the_metrics():
    rng = np.random.default_rng(0)
    found = classes(rng, right=0.6)
    given = comparison._statistics({"expression": found})
    assert given["accuracy"].plain == pytest.approx(found.right.mean())
    assert given["f1_macro"].plain == pytest.approx(float(expression.f1_macro(found.confusion)))
    truth, predicted = rng.uniform(-1, 1, (2, 60, 2))
    truth[::3, 0] = np.nan
    values = ValuePredictions(("valence", "arousal"), found.keys, truth, predicted)
    given = comparison._statistics({"affect": values})
    known = ~np.isnan(truth[:, 0])
    assert given["ccc/valence"].plain == pytest.approx(affect.ccc(predicted[known, 0], truth[known, 0]))
    assert given["rmse/arousal"].plain == pytest.approx(affect.rmse(predicted[:, 1], truth[:, 1]))


def test_a_difference_is_the_mean_over_the_seeds_and_its_interval_draws_people():
    rng = np.random.default_rng(1)
    mine, theirs = [], []
    for _ in range(3):
        good, poor = classes(rng, right=0.9), rng.normal(size=(60, 3))
        mine.append(comparison._statistics({"expression": good}))
        poor = ClassPredictions(LABELS, good.keys, good.truth, poor)
        theirs.append(comparison._statistics({"expression": poor}))
    faces = resamples(mine[0]["accuracy"], 60)
    (row, *_) = comparison._compared("m", mine, theirs, faces)
    apart = [m["accuracy"].plain - t["accuracy"].plain for m, t in zip(mine, theirs, strict=True)]
    assert row.metric == "accuracy" and row.difference == pytest.approx(np.mean(apart)) and row.apart
    assert row.sd == pytest.approx(np.std(row.values, ddof=1)) and max(row.mcnemar_p) < 0.05
    (same, *_) = comparison._compared("m", mine, mine, faces)
    assert (same.difference, same.low, same.high, same.apart) == (0, 0, 0, False) and same.mcnemar_p == (1, 1, 1)
    few = comparison._compared("m", mine, theirs, resamples(mine[0]["accuracy"], 4))[0]
    assert few.low is not None and few.high is not None and few.low <= row.difference <= few.high


def test_models_compare_on_the_faces_that_all_read():
    rng = np.random.default_rng(2)
    found = classes(rng, right=0.5)
    few = ClassPredictions(LABELS, found.keys[:9:-1], found.truth[:9:-1], found.logits[:9:-1])  # 50, in another order
    other = ClassPredictions(LABELS, tuple(f"x{key}" for key in found.keys), found.truth, found.logits)
    one, two, three = ([comparison._statistics({"expression": each})] for each in (found, few, other))
    same, left_out = comparison._on_same_faces({"photo": one, "linear": two})
    assert left_out == 10 and same["photo"][0]["accuracy"].keys == same["linear"][0]["accuracy"].keys
    assert same["photo"][0]["accuracy"].plain == same["linear"][0]["accuracy"].plain == few.right.mean()
    with pytest.raises(MienError, match="were tested on different faces"):
        comparison._on_same_faces({"photo": one, "linear": three})
    values = ValuePredictions(("valence",), found.keys, np.zeros((60, 1)), np.zeros((60, 1)))
    with pytest.raises(MienError, match="no output of classes or values in common"):
        comparison._on_same_faces({"photo": one, "b": [comparison._statistics({"v": values})]})


def test_a_chain_names_what_it_compares_with(tmp_path: Path):
    file = tmp_path / "c.yaml"
    file.write_text("options: {trainer.epochs: 3}\nsteps:\n  a: {config: if3d/1_photo}\ncompare: b\n")
    with pytest.raises(MienError, match="compare names 'b', which is no step"):
        read_chain(str(file))
    file.write_text(file.read_text().replace("compare: b", "compare: a"))
    assert read_chain(str(file)).steps["a"].options == {"trainer.epochs": 3}


def test_one_person_gives_differences_without_an_interval():
    rng = np.random.default_rng(3)
    found = [comparison._statistics({"expression": classes(rng, right=share)}) for share in (0.9, 0.5)]
    keys = found[0]["accuracy"].keys
    faces = Resamples.of(keys, dict.fromkeys(keys, "one"))
    rows = comparison._compared("a", [found[0]], [found[1]], faces)
    assert rows[0].difference == pytest.approx(found[0]["accuracy"].plain - found[1]["accuracy"].plain)
    assert rows[0].low is None and not rows[0].apart
    about = {"reference": "b", "seeds": [0], "faces": 60, "left_out": 0, "people": 1, "split": "test", "data": "x"}
    assert "a cannot be told apart from b in accuracy: +" in (text := markdown(rows, ["a", "b"], about))
    assert "(no interval)" in text


def test_a_value_that_nobody_labelled_is_left_out():
    values = ValuePredictions(("valence",), ("a", "b"), np.full((2, 1), np.nan), np.zeros((2, 1)))
    given = [comparison._statistics({"affect": values})]
    assert comparison._compared("a", given, None, resamples(given[0]["ccc/valence"], 2)) == []


@pytest.mark.slow
def test_two_models_and_two_seeds_by_one_command_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root, output, begun = tmp_path / "faces", tmp_path / "six", []
    write_drawn(root, faces=32, size=40, layout="affectnet_folders", test_share=0.5)
    file = tmp_path / "two.yaml"
    file.write_text(
        "steps:\n  photo: {config: if3d/1_photo}\n  gate: {config: if3d/5_gate}\ncompare: photo\n", encoding="utf-8"
    )
    options = {
        "data.root": str(root), "data.leaks": "ignore", "data.workers": 0, "data.batch_size": 8,
        "data.val_fraction": 0.3, "trainer.epochs": 1, "trainer.device": "cpu", "trainer.progress": False,
        "trainer.seeds": [3, 5], "output": str(output),
        **{f"system.options.{name}": value for name, value in IF3D.items()},
    }  # fmt: skip
    fit = training.fit_config

    def interrupted(config):
        begun.append("/".join(Path(config.output).parts[-2:]))
        assert config.trainer.seed == config.data.seed == int(begun[-1][5])
        if len(begun) == 3:
            raise KeyboardInterrupt
        trained = Path(config.output.replace("seed_5", "seed_3"))
        if config.trainer.seed == 3:
            return fit(config)
        shutil.copytree(trained, config.output)  # trained once
        Path(config.output, "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
        return [SimpleNamespace(model_id=read_info(trained / "bundle").model_id)]

    monkeypatch.setattr(training, "fit_config", interrupted)
    with pytest.raises(KeyboardInterrupt):
        chain(str(file), **options)
    shown = chain(str(file), **options)
    assert begun == ["seed_3/photo", "seed_3/gate", "seed_5/photo", "seed_5/photo", "seed_5/gate"]
    assert "gate cannot be told apart from photo" in shown or "gate is " in shown
    found = json.loads((output / "comparison.json").read_text())
    assert found["about"]["seeds"] == [3, 5] and found["about"]["faces"] == 16
    rows = {(row["model"], row["metric"]): row for row in found["metrics"]}
    assert len(rows["gate", "accuracy"]["values"]) == len(rows["gate", "accuracy"]["mcnemar_p"]) == 2
    assert rows["photo", "accuracy"]["difference"] is None and ("gate", "ccc/valence") in rows
    with (output / "comparison.csv").open(newline="") as table:
        listed = list(csv.DictReader(table))
    assert {row["model"] for row in listed} == {"photo", "gate"} and "| gate |" in (
        output / "comparison.md"
    ).read_text()
    monkeypatch.setattr(comparison, "evaluate", lambda *_, **__: pytest.fail("evaluated once more"))
    assert chain(str(file), **options).splitlines()[2:] == shown.splitlines()[2:]
