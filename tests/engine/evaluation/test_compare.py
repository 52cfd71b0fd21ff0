"""Two models on the same faces: the test, the differences with their intervals, and what does not compare."""

from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.engine.evaluation.classes.comparison import ClassComparison
from mien.engine.evaluation.classes.comparison import compare_predictions as compare_classes
from mien.engine.evaluation.classes.predictions import ClassPredictions
from mien.engine.evaluation.classes.tables import read_predictions, write_predictions
from mien.engine.evaluation.compare import compare
from mien.engine.evaluation.comparison import Comparison, mean_differences
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.page import difference_rows
from mien.engine.evaluation.scores import mean_scores
from mien.engine.evaluation.values.predictions import ValuePredictions
from mien.engine.evaluation.values.scores import compare_values

LABELS = LabelSet("own", ("neutral", "happiness", "anger"))


def predictions(right: float, *, n: int = 600, seed: int = 0, labels: LabelSet = LABELS) -> ClassPredictions:
    """The same truth for every seed; `right` of the predictions are."""
    truth = np.random.default_rng(99).integers(3, size=n)
    rng = np.random.default_rng(seed)
    predicted = np.where(rng.random(n) < right, truth, (truth + 1) % 3)
    order = [labels.index(name) for name in LABELS.classes]
    logits = np.zeros((n, 3))
    logits[np.arange(n), np.take(order, predicted)] = 2.0
    return ClassPredictions(labels, tuple(f"face_{i:03d}.png" for i in range(n)), np.take(order, truth), logits)


def compare_predictions(
    first: ClassPredictions, second: ClassPredictions, *, names: tuple[str, str], resamples: int = 2000
) -> ClassComparison:
    return compare_classes(first, second, names=names, bootstrap=Bootstrap(resamples))


def test_a_better_model_is_found_better() -> None:
    first, second = predictions(0.7, seed=1), predictions(0.9, seed=2)
    result = compare_predictions(first, second, names=("old", "new"), resamples=1000)
    accuracy, balanced = result.differences[:2]
    assert accuracy.value == pytest.approx(second.right.mean() - first.right.mean())
    assert accuracy.interval.low > 0
    assert balanced.name == "balanced_accuracy"
    assert [d.name for d in result.differences[2:]] == [f"recall/{name}" for name in LABELS.classes]
    assert result.mcnemar.p_value < 1e-6
    assert result.verdict.startswith("new is better by ")


def test_equal_models_do_not_differ() -> None:
    same = compare_predictions(predictions(0.8), predictions(0.8), names=("a", "b"), resamples=100)
    assert (same.agreement, same.mcnemar.p_value, same.differences[0].value) == (1, 1, 0)
    result = compare_predictions(predictions(0.8, seed=1), predictions(0.8, seed=2), names=("a", "b"), resamples=1000)
    assert "cannot be told apart" in result.verdict
    assert result.differences[0].interval.low < 0 < result.differences[0].interval.high


def test_the_paired_interval_is_that_of_resampled_images() -> None:
    first, second = predictions(0.7, seed=1), predictions(0.8, seed=2)
    rng, gaps = np.random.default_rng(0), second.right.astype(float) - first.right
    drawn = [gaps[rng.integers(len(gaps), size=len(gaps))].mean() for _ in range(2000)]
    interval = compare_predictions(first, second, names=("a", "b"), resamples=2000).differences[0].interval
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.006)


def test_swapping_the_models_turns_the_signs() -> None:
    first, second = predictions(0.7, seed=1), predictions(0.8, seed=2)
    there = compare_predictions(first, second, names=("a", "b"), resamples=100)
    back = compare_predictions(second, first, names=("b", "a"), resamples=100)
    for one, other in zip(there.differences, back.differences, strict=True):
        assert one.value == pytest.approx(-other.value)
    assert there.mcnemar.p_value == back.mcnemar.p_value


def test_order_of_samples_and_of_classes_does_not_matter() -> None:
    first, second = (
        predictions(0.7, seed=1),
        predictions(0.8, seed=2, labels=LabelSet("other", ("anger", "neutral", "happiness"))),
    )
    shuffled = np.random.default_rng(3).permutation(len(second))
    moved = ClassPredictions(
        second.labels, tuple(second.keys[i] for i in shuffled), second.truth[shuffled], second.logits[shuffled]
    )
    plain = compare_predictions(first, predictions(0.8, seed=2), names=("a", "b"), resamples=100)
    assert compare_predictions(first, moved, names=("a", "b"), resamples=100) == plain


def test_predictions_on_disk_compare_as_in_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = predictions(0.7, seed=1), predictions(0.8, seed=2)
    for name, given in zip(("a", "b"), both, strict=True):
        (tmp_path / name).mkdir()
        write_predictions(tmp_path / name, given)
        again = read_predictions(tmp_path / name)
        np.testing.assert_allclose(again.probabilities, given.probabilities, rtol=1e-6)
        np.testing.assert_array_equal(again.confusion, given.confusion)
    folders = str(tmp_path / "a"), str(tmp_path / "b" / "predictions.csv")
    assert compare(*folders)[""].differences == compare_predictions(*both, names=folders).differences
    printed = capsys.readouterr().out
    assert "recall/happiness" in printed
    assert "McNemar (chi-square" in printed


def test_refusals(tmp_path: Path) -> None:
    first, fewer = predictions(0.7), predictions(0.7, n=599)
    with pytest.raises(MienError, match=r"only on the same samples: 1 are only in a, 0 only in b \(face_599\.png"):
        compare_predictions(first, fewer, names=("a", "b"))
    other = ClassPredictions(first.labels, first.keys, (first.truth + 1) % 3, first.logits)
    with pytest.raises(MienError, match=r"only against the same truth: face_000\.png is \w+ in a and \w+ in b"):
        compare_predictions(first, other, names=("a", "b"))
    with pytest.raises(MienError, match=r"No predictions\.csv at"):
        compare(str(tmp_path), str(tmp_path))
    (tmp_path / "predictions.csv").write_text("key,truth\na,b\n")
    with pytest.raises(MienError, match="it needs rows with key, truth, predicted"):
        compare(str(tmp_path), str(tmp_path))
    (tmp_path / "predictions.csv").write_text("key,truth,predicted,p_b\na,b,b,high\n")
    with pytest.raises(MienError, match="a probability is not a number"):
        compare(str(tmp_path), str(tmp_path))


ROW = "a,happiness,happiness,0.2,0.8\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,happiness,happiness,nan,0.8\n", "a probability is not a number .*not finite"),
        ("a,happiness,happiness,0.2,inf\n", "a probability is not a number .*not finite"),
        ("a,happiness,happiness,-1,2\n", "the p_CLASS of a are no probabilities"),
        ("a,happiness,happiness,0,0\n", "the p_CLASS of a are no probabilities"),
        (ROW + ROW, "a has two rows or more"),
        ("\xe9,happiness,happiness,0.2,0.8\n", "is not UTF-8 text"),
    ],
)
def test_a_table_that_would_give_a_wrong_answer_is_refused(tmp_path: Path, rows: str, message: str) -> None:
    table = tmp_path / "predictions.csv"
    table.write_bytes(("key,truth,predicted,p_neutral,p_happiness\n" + rows).encode("latin-1"))
    with pytest.raises(MienError, match=message):
        read_predictions(table)


def test_one_face_has_no_interval_and_decides_nothing() -> None:
    first, second = ({"nme": np.array([value])} for value in (0.1, 0.2))
    (difference,) = mean_differences(first, second, Bootstrap(10))
    assert difference.interval is None
    result = Comparison(first="a", second="b", n=1, differences=(difference,), larger_is_better=False)
    assert "cannot be told apart" in result.verdict
    assert difference_rows(result)[1][0][4] == ""
    (score,) = mean_scores(first, Bootstrap(10))
    assert (score.value, score.low, score.note) == (0.1, None, "no interval: one sample")
    differing = predictions(1.0, n=1), predictions(0.0, n=1)
    assert {d.interval for d in compare_predictions(*differing, names=("a", "b"), resamples=10).differences} == {None}


def test_values_with_too_few_labels_are_left_out_of_a_comparison() -> None:
    truth = np.array([[0.1, np.nan], [0.5, np.nan], [-0.3, 0.2]])
    both = [ValuePredictions(("valence", "arousal"), ("a", "b", "c"), truth, np.eye(3)[:, :2] * k) for k in (1, 2)]
    found = compare_values(*both, names=("a", "b"), bootstrap=Bootstrap(5))
    assert [d.name for d in found.differences] == ["ccc/valence", "rmse/valence"]
    with pytest.raises(MienError, match="two labelled faces"):
        few = [ValuePredictions(p.names, p.keys, np.full((3, 2), np.nan), p.predicted) for p in both]
        compare_values(*few, names=("a", "b"), bootstrap=Bootstrap(5))
