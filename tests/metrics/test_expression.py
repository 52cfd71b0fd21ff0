"""Expression metrics: values worked by hand, two independent implementations, symmetries, published matrices."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from mien.core.errors import MienError
from mien.metrics import expression
from shape_checks import unchecked

# POSTER++ on RAF-DB test, as printed in the authors' repository (models/matrix.py), rows the truth: surprise, fear,
# disgust, happiness, sadness, anger, neutral (the authors' own list swaps disgust and anger; the class counts tell).
PUBLISHED = np.array(
    [
        [299, 6, 5, 3, 1, 4, 11],
        [9, 51, 0, 2, 8, 2, 2],
        [2, 1, 120, 6, 13, 9, 9],
        [5, 1, 7, 1148, 2, 4, 18],
        [0, 0, 9, 4, 442, 1, 22],
        [2, 0, 7, 3, 0, 145, 5],
        [10, 0, 6, 11, 29, 0, 624],
    ]
)
HAND = np.array([[3, 1], [2, 4]])  # 10 samples, 7 right


def random_labels(n: int = 400, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    return truth, np.where(rng.random(n) < 0.6, truth, rng.integers(classes, size=n))


def test_values_worked_by_hand() -> None:
    assert expression.accuracy(HAND) == pytest.approx(7 / 10)
    assert expression.majority_accuracy(HAND) == pytest.approx(6 / 10)
    assert expression.recall(HAND, index=0) == pytest.approx(3 / 4)
    assert expression.precision(HAND, index=0) == pytest.approx(3 / 5)
    assert expression.f1(HAND, index=0) == pytest.approx(6 / 9)
    assert expression.f1(HAND, index=1) == pytest.approx(8 / 11)
    assert expression.balanced_accuracy(HAND) == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert expression.f1_macro(HAND) == pytest.approx((6 / 9 + 8 / 11) / 2)
    assert expression.f1_weighted(HAND) == pytest.approx((4 * 6 / 9 + 6 * 8 / 11) / 10)
    assert expression.kappa(HAND) == pytest.approx((0.7 - 0.5) / (1 - 0.5))  # chance: 0.4 * 0.5 + 0.6 * 0.5


def test_confusion_matrix_has_the_truth_in_rows() -> None:
    matrix = expression.confusion_matrix(np.array([0, 0, 1]), np.array([1, 0, 1]), classes=3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_agrees_with_scikit_learn() -> None:
    truth, predicted = random_labels()
    matrix = expression.confusion_matrix(truth, predicted, classes=5)
    np.testing.assert_array_equal(matrix, sklearn.confusion_matrix(truth, predicted))
    precisions, recalls, f1s, _ = sklearn.precision_recall_fscore_support(truth, predicted)
    for k in range(5):
        assert expression.precision(matrix, index=k) == pytest.approx(precisions[k])
        assert expression.recall(matrix, index=k) == pytest.approx(recalls[k])
        assert expression.f1(matrix, index=k) == pytest.approx(f1s[k])
    assert expression.balanced_accuracy(matrix) == pytest.approx(sklearn.balanced_accuracy_score(truth, predicted))
    assert expression.f1_macro(matrix) == pytest.approx(sklearn.f1_score(truth, predicted, average="macro"))
    assert expression.f1_weighted(matrix) == pytest.approx(sklearn.f1_score(truth, predicted, average="weighted"))
    assert expression.kappa(matrix) == pytest.approx(sklearn.cohen_kappa_score(truth, predicted))


def test_agrees_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    truth, predicted = random_labels(seed=1)
    matrix = expression.confusion_matrix(truth, predicted, classes=5)
    both = (torch.from_numpy(predicted), torch.from_numpy(truth))
    theirs = functional.multiclass_f1_score(*both, num_classes=5, average="macro")
    assert expression.f1_macro(matrix) == pytest.approx(float(theirs), abs=1e-6)
    theirs = functional.multiclass_cohen_kappa(*both, num_classes=5)
    assert expression.kappa(matrix) == pytest.approx(float(theirs), abs=1e-6)


def test_absent_class_is_left_out_and_named_never_zero() -> None:
    """Class c occurs nowhere but is predicted twice: it hurts the others and is itself not averaged."""
    matrix = np.array([[4, 0, 1], [1, 3, 1], [0, 0, 0]])
    truth, predicted = np.repeat([0, 0, 1, 1, 1], [4, 1, 1, 3, 1]), np.repeat([0, 2, 0, 1, 2], [4, 1, 1, 3, 1])
    assert expression.absent_classes(matrix, ("a", "b", "c")) == ("c",)
    assert expression.balanced_accuracy(matrix) == pytest.approx((4 / 5 + 3 / 5) / 2)
    theirs = sklearn.f1_score(truth, predicted, labels=[0, 1], average="macro")
    assert expression.f1_macro(matrix) == pytest.approx(theirs)
    with pytest.raises(MienError, match="recall is undefined: no sample is of class c"):
        expression.recall(matrix, index=2, name="c")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: expression.accuracy(np.zeros((2, 2), int)), "accuracy is undefined: there are no samples"),
        (lambda: expression.balanced_accuracy(np.zeros((2, 2), int)), "balanced accuracy is undefined"),
        (lambda: expression.precision(np.array([[2, 0], [1, 0]]), index=1, name="fear"), "fear was never predicted"),
        (
            lambda: expression.f1(np.array([[2, 0], [0, 0]]), index=1, name="fear"),
            "fear neither occurs nor is predicted",
        ),
        (
            lambda: expression.kappa(np.array([[5, 0], [0, 0]])),
            "kappa is undefined: truth and prediction are all of one",
        ),
        (lambda: expression.confusion_matrix(np.array([0, 7]), np.array([0, 1]), classes=7), r"must be in 0\.\.6"),
        (
            unchecked()(lambda: expression.confusion_matrix(np.array([0]), np.array([0, 1]), classes=7)),
            "two equal lists",
        ),
    ],
)
def test_undefined_metrics_are_refused_by_message(call: object, message: str) -> None:
    with pytest.raises(MienError, match=message):
        call()  # type: ignore[operator]


def test_renaming_classes_changes_nothing() -> None:
    order = np.random.default_rng(2).permutation(7)
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "kappa"):
        metric = getattr(expression, name)
        assert metric(PUBLISHED[np.ix_(order, order)]) == pytest.approx(float(metric(PUBLISHED)))


def test_kappa_is_zero_for_chance_and_for_a_constant() -> None:
    assert expression.kappa(np.outer([10, 30, 60], [2, 3, 5])) == pytest.approx(0)  # independent by construction
    assert expression.kappa(np.array([[0, 9, 0], [0, 4, 0], [0, 2, 0]])) == pytest.approx(0)


def test_a_stack_of_matrices_gives_a_list_of_values() -> None:
    stack = np.stack([PUBLISHED, PUBLISHED.T])
    np.testing.assert_allclose(expression.kappa(stack), [expression.kappa(PUBLISHED)] * 2)  # kappa is symmetric
    assert expression.f1_macro(stack).shape == (2,)


def test_published_matrix_of_poster_on_rafdb() -> None:
    assert PUBLISHED.sum() == 3068
    assert np.trace(PUBLISHED) == 2829
    assert float(expression.accuracy(PUBLISHED)) == pytest.approx(0.9221, abs=5e-5)  # the paper's number
    assert float(expression.balanced_accuracy(PUBLISHED)) == pytest.approx(0.8649, abs=5e-5)
    assert float(expression.f1_macro(PUBLISHED)) == pytest.approx(0.8744, abs=5e-5)
    assert float(expression.kappa(PUBLISHED)) == pytest.approx(0.897, abs=5e-4)
    recalls = [round(100 * float(expression.recall(PUBLISHED, index=k)), 1) for k in range(7)]
    assert recalls == [90.9, 68.9, 75.0, 96.9, 92.5, 89.5, 91.8]


def test_matrix_of_the_three_class_reproduction() -> None:
    """Its saved 3 x 3 plot: one class is never predicted, so its precision is undefined and its F1 is a true 0."""
    matrix = np.array([[0, 3, 1577], [0, 413, 1111], [0, 71, 1211]])
    assert matrix.sum() == 4386
    assert float(expression.accuracy(matrix)) == pytest.approx(0.370, abs=5e-4)
    assert float(expression.balanced_accuracy(matrix)) == pytest.approx(0.405, abs=5e-4)
    assert float(expression.f1(matrix, index=0)) == 0
