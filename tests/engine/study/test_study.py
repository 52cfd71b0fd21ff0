"""A study of faces with voices: its plan is balanced, and its scores are those worked by hand."""

import csv
import json
from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.__main__ import main
from mien.core.errors import MienError
from mien.engine.study.design import plan, williams_square
from mien.engine.study.score import Rating, agreements, score, voice_shifts

VOICES = {name: [Path(f"{name}_{i}.wav") for i in range(2)] for name in ("anger", "calm", "joy")}


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 9])
def test_each_condition_follows_each_other_one_equally_often(count):
    rows = williams_square(count)
    assert all(sorted(row) == list(range(count)) for row in rows)
    places = Counter((place, each) for row in rows for place, each in enumerate(row))
    follows = Counter(pair for row in rows for pair in pairwise(row))
    times = len(rows) // count
    assert set(places.values()) == {times} and len(follows) == count * (count - 1)
    assert set(follows.values()) == {times}


def test_a_plan_is_balanced():
    faces = [Path(f"{i}.png") for i in range(6)]
    trials = plan(faces, VOICES, raters=36)
    for rater in range(1, 37):
        own = [trial for trial in trials if trial.rater == rater]
        assert {trial.face for trial in own} == set(faces) and [t.number for t in own] == list(range(1, 7))
        assert set(Counter(trial.expression for trial in own).values()) == {2}
    pairs = Counter((trial.face, trial.expression) for trial in trials)
    assert len(pairs) == 18 and set(pairs.values()) == {12}
    assert len(Counter((trial.number, trial.face) for trial in trials)) == 36
    assert set(Counter(trial.voice for trial in trials).values()) == {36}
    assert plan(faces, VOICES, raters=36) == trials != plan(faces, VOICES, raters=36, seed=1)
    with pytest.raises(MienError, match="needs two faces"):
        plan(faces[:1], VOICES, raters=3)


def rating(rater, face, voice, expression="", **values):
    return Rating(str(rater), (face, voice), voice, expression, values)


def test_the_pull_and_the_shift_of_a_voice_by_hand():
    """Both raters see anger with the angry voice on one of two faces, and once among four other trials."""
    seen = {("a", "anger"): "anger", ("b", "anger"): "calm", ("a", "calm"): "calm", ("b", "calm"): "anger"}
    ratings = [
        rating(rater, face, voice, seen[face, voice], valence=offset + (2.0 if voice == "calm" else 0.0))
        for rater, offset in ((1, 0.0), (2, 5.0))
        for face, voice in seen
    ]
    found = voice_shifts(ratings)
    assert found["anger"]["pull"] == pytest.approx((0.0, 0.0, 0.0))
    assert found["anger"]["valence"] == pytest.approx((-1, -1, -1)) and found["calm"]["valence"][0] == pytest.approx(1)
    assert "arousal" not in found["anger"]
    ratings[2] = rating(1, "a", "calm", "anger", valence=2.0)
    assert voice_shifts(ratings)["anger"]["pull"][0] == pytest.approx(2 / 4 - 3 / 4)
    assert agreements(ratings)["expression"][0][0] == pytest.approx(1 - (2 / 8) / (2 * 5 * 3 / 56))
    with pytest.raises(MienError, match="need two of them"):
        voice_shifts(ratings[:4])


def test_an_interval_grows_with_what_raters_differ_in():
    random = np.random.default_rng(0)
    trials = list(product(range(20), ("a", "b", "c"), ("anger", "calm")))
    widths = []
    for spread in (0.1, 1.0):
        own = random.normal(1, spread, 20)
        ratings = [rating(r, f, v, valence=own[r] * (v == "calm") + random.normal(0, 0.05)) for r, f, v in trials]
        value, low, high = voice_shifts(ratings)["calm"]["valence"]
        assert low < value < high
        widths.append(high - low)
    assert widths[1] > 3 * widths[0]


def test_from_the_plan_to_the_scores(tmp_path, capsys):
    for i in range(4):
        (tmp_path / "faces").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (40 * i, 0, 0)).save(tmp_path / f"faces/{i}.png")
    for name in ("joy/a.wav", "anger/b.wav", "03-01-08-01-01-01-02.wav"):
        (tmp_path / "voices" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "voices" / name).write_bytes(b"")
    make = [
        "study",
        "make",
        "--faces",
        tmp_path / "faces",
        "--voices",
        tmp_path / "voices",
        "--output",
        tmp_path / "study",
    ]
    assert main([*map(str, make), "--raters", "6"]) == 0
    assert "24 trials: 6 raters, 4 faces each, voices of 3 expressions" in capsys.readouterr().out
    path = tmp_path / "study/ratings.csv"
    assert main(["study", "score", str(path)]) == 2 and "no trial is rated" in capsys.readouterr().err
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert {row["voice_expression"] for row in rows} == {"joy", "anger", "surprise"}
    for row in rows:
        row |= {"expression": row["voice_expression"], "valence": str(len(row["voice_expression"]))}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert main(["study", "score", str(path), "--output", str(tmp_path / "scores")]) == 0
    printed = capsys.readouterr().out
    assert "agreement on expression: 1.00 (1.00 to 1.00)" in printed and "surprise: pull 1.00" in printed
    stated = json.loads((tmp_path / "scores/scores.json").read_text(encoding="utf-8"))
    assert stated["shift"]["joy"]["valence"][0] < 0 < stated["shift"]["surprise"]["valence"][0]
    sessions = sorted((tmp_path / "study/sessions").iterdir())
    assert len(sessions) == 6 and main([*map(str, make)]) == 2 and "is not empty" in capsys.readouterr().err
    path.write_text(path.read_text(encoding="utf-8").replace(",3,", ",three,"), encoding="utf-8")
    assert (
        main(["study", "score", str(path)]) == 2 and "valence: must be a number; got 'three'" in capsys.readouterr().err
    )
    (tmp_path / "voices/loose.wav").write_bytes(b"")
    assert main([*map(str, make[:-1]), str(tmp_path / "other")]) == 2
    assert "its expression is not known" in capsys.readouterr().err


def test_a_trial_that_comes_twice_is_refused(tmp_path):
    table = tmp_path / "ratings.csv"
    names = ("rater", "trial", "face", "voice", "voice_expression", "expression", "valence", "arousal")
    rows = [f"{rater},1,f.png,v.wav,joy,joy,," for rater in "ab"]
    table.write_text("\n".join([",".join(names), *rows]) + "\n")
    with pytest.raises(MienError, match=r"2 trials are rated twice \(a: f\.png with v\.wav"):
        score([str(table), str(table)])
