"""Metrics of an expression classifier, all from one confusion matrix: counts, rows the truth, columns the prediction.

Every function takes [*batch, classes, classes], so that a bootstrap of a thousand matrices is one call, and returns
[*batch] in float64. A metric that is undefined (a class without samples, an empty set) raises MienError; none is ever 0
for want of data.

Averages over classes (balanced accuracy, macro F1) run over the classes that occur in the truth, as scikit-learn's
balanced accuracy does; `absent_classes` names the others, and a report must say them. A class that is predicted but
never occurs still counts against the classes it was predicted for.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from mien.core.errors import MienError

Confusion = Int[np.ndarray, "*batch classes classes"]
Value = Float[np.ndarray, "*batch"]


def confusion_matrix(
    truth: Int[np.ndarray, " samples"], predicted: Int[np.ndarray, " samples"], *, classes: int
) -> Int[np.ndarray, "classes classes"]:
    """Counts over the whole set. Raises MienError when the lists differ in length or an index is not a class."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise MienError(
            f"A confusion matrix needs two equal lists; got {truth.shape} truths, {predicted.shape} predictions."
        )
    for name, values in (("truth", truth), ("prediction", predicted)):
        if len(values) and (values.min() < 0 or values.max() >= classes):
            raise MienError(f"Class indices must be in 0..{classes - 1}; a {name} is {values.min()} or {values.max()}.")
    return np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes * classes).reshape(
        classes, classes
    )


def accuracy(confusion: Confusion) -> Value:
    """Share of the samples on the diagonal."""
    return _ratio(_correct(confusion).sum(-1), _total(confusion), "accuracy", "there are no samples")


def majority_accuracy(confusion: Confusion) -> Value:
    """Accuracy of always answering the most frequent true class: what a number must beat before it means anything."""
    return _ratio(_support(confusion).max(-1), _total(confusion), "majority-class accuracy", "there are no samples")


def recall(confusion: Confusion, *, index: int, name: str = "") -> Value:
    """Share of the class's samples that were found. Raises MienError when the class has no samples."""
    why = f"no sample is of class {name or index}"
    return _ratio(_correct(confusion)[..., index], _support(confusion)[..., index], "recall", why)


def precision(confusion: Confusion, *, index: int, name: str = "") -> Value:
    """Share of the predictions of the class that are right. Raises MienError when it was never predicted."""
    why = f"class {name or index} was never predicted"
    return _ratio(_correct(confusion)[..., index], np.asarray(confusion).sum(-2)[..., index], "precision", why)


def f1(confusion: Confusion, *, index: int, name: str = "") -> Value:
    """2 TP / (2 TP + FP + FN). Raises MienError for a class that neither occurs nor is predicted."""
    both = _support(confusion) + np.asarray(confusion).sum(-2)
    why = f"class {name or index} neither occurs nor is predicted"
    return _ratio(2 * _correct(confusion)[..., index], both[..., index], "F1", why)


def balanced_accuracy(confusion: Confusion) -> Value:
    """Mean recall over the classes that occur (also called unweighted average recall, mean class accuracy)."""
    support = _support(confusion)
    recalls = _correct(confusion) / np.maximum(support, 1)
    return _ratio(recalls.sum(-1), (support > 0).sum(-1), "balanced accuracy", "there are no samples")


def f1_macro(confusion: Confusion) -> Value:
    """Mean F1 over the classes that occur in the truth."""
    occurs = _support(confusion) > 0
    return _ratio((_f1_all(confusion) * occurs).sum(-1), occurs.sum(-1), "macro F1", "there are no samples")


def f1_weighted(confusion: Confusion) -> Value:
    """Mean F1 over the classes, weighted by how often each occurs in the truth."""
    support = _support(confusion)
    return _ratio((_f1_all(confusion) * support).sum(-1), support.sum(-1), "weighted F1", "there are no samples")


def kappa(confusion: Confusion) -> Value:
    """Cohen's kappa: agreement beyond chance, (p_o - p_e) / (1 - p_e). Cohen, Educ. Psychol. Meas. 20(1), 1960.

    Undefined, and raises MienError, when truth and prediction are all of one and the same class.
    """
    n = _total(confusion)
    observed = accuracy(confusion)
    expected = (_support(confusion) * np.asarray(confusion).sum(-2)).sum(-1) / np.asarray(n, float) ** 2
    return _ratio(observed - expected, 1 - expected, "kappa", "truth and prediction are all of one class")


def absent_classes(confusion: Int[np.ndarray, "classes classes"], names: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes without a sample: left out of balanced accuracy and macro F1."""
    return tuple(name for name, count in zip(names, _support(confusion), strict=True) if count == 0)


def _correct(confusion: Confusion) -> np.ndarray:
    return np.diagonal(np.asarray(confusion), axis1=-2, axis2=-1)


def _support(confusion: Confusion) -> np.ndarray:
    return np.asarray(confusion).sum(-1)


def _total(confusion: Confusion) -> Int[np.ndarray, "*batch"] | np.integer:
    return np.asarray(confusion).sum((-2, -1))


def _f1_all(confusion: Confusion) -> np.ndarray:
    both = _support(confusion) + np.asarray(confusion).sum(-2)
    return 2 * _correct(confusion) / np.maximum(both, 1)


def _ratio(above: np.ndarray | np.number, below: np.ndarray | np.number, metric: str, why: str) -> np.ndarray:
    above, below = np.asarray(above, float), np.asarray(below, float)
    if np.any(below == 0):
        raise MienError(f"The {metric} is undefined: {why}.")
    return np.asarray(above / below)
