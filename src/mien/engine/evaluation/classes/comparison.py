"""Two classifiers on the same faces: McNemar's test, and paired differences of accuracy and of every class's recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int

from mien.core.errors import MienError
from mien.engine.evaluation.comparison import Comparison, Difference, places_in_second
from mien.engine.evaluation.options import Bootstrap
from mien.metrics.significance import Interval, McNemar, mcnemar, resampled

if TYPE_CHECKING:
    from mien.engine.evaluation.classes.predictions import ClassPredictions


@dataclass(frozen=True, kw_only=True)
class ClassComparison(Comparison):
    """differences: accuracy, balanced accuracy, then the recall of each class that occurs (`recall/CLASS`)."""

    mcnemar: McNemar
    """Of right and wrong predictions."""
    agreement: float
    """Share of the faces for which both predict the same class, right or wrong."""

    @property
    def lines(self) -> list[str]:
        """McNemar's test and the verdict."""
        test = self.mcnemar
        pairs = f"right only in the first: {test.only_first:,}, only in the second: {test.only_second:,}"
        return [f"McNemar ({test.method}): {pairs}, p = {test.p_value:.3g}", self.verdict]

    @property
    def verdict(self) -> str:
        """One sentence, by McNemar's test."""
        gap, p = self.differences[0], self.mcnemar.p_value
        if p >= 0.05:
            return f"The two cannot be told apart on these {self.n:,} samples (p = {p:.2g})."
        better = self.second if gap.value > 0 else self.first
        return f"{better} is better by {abs(gap.value):.1%} of the samples (p = {p:.2g})."


def compare_predictions(
    first: ClassPredictions, second: ClassPredictions, *, names: tuple[str, str], bootstrap: Bootstrap
) -> ClassComparison:
    """Raises MienError where the two have other samples or other labels."""
    order = places_in_second(first.keys, second.keys, names)
    _check_labels(first, second, order, names)
    right = first.right, second.right[order]
    classes = [np.array(each.labels.classes)[each.predicted] for each in (first, second)]
    return ClassComparison(
        first=names[0],
        second=names[1],
        n=len(first),
        differences=_differences(first, *right, bootstrap=bootstrap),
        in_percent=True,
        decimals=1,
        mcnemar=mcnemar(*right),
        agreement=float((classes[0] == classes[1][order]).mean()),
    )


def _check_labels(first: ClassPredictions, second: ClassPredictions, order: list[int], names: tuple[str, str]) -> None:
    for i, j in enumerate(order):
        truths = first.labels.classes[first.truth[i]], second.labels.classes[second.truth[j]]
        if truths[0] != truths[1]:
            raise MienError(
                f"Two models compare only against the same truth: {first.keys[i]} is {truths[0]} in {names[0]} "
                f"and {truths[1]} in {names[1]}."
            )


def _differences(
    predictions: ClassPredictions,
    first: Bool[np.ndarray, " samples"],
    second: Bool[np.ndarray, " samples"],
    *,
    bootstrap: Bootstrap,
) -> tuple[Difference, ...]:
    """Samples fall into cells (true class, first right, second right); resampling their counts is paired."""
    classes, resamples, seed = len(predictions.labels), bootstrap.resamples, bootstrap.seed
    cells = np.bincount(predictions.truth * 4 + first * 2 + second, minlength=classes * 4).reshape(classes, 4)
    whole = cells.sum(0, keepdims=True)
    within = resampled(cells, resamples=resamples, seed=seed, stratified=True)
    return (
        _difference("accuracy", whole, resampled(whole, resamples=resamples, seed=seed)),
        _difference("balanced_accuracy", cells, within),
        *(
            _difference(f"recall/{name}", cells[k : k + 1], within[:, k : k + 1])
            for k, name in enumerate(predictions.labels.classes)
            if cells[k].sum()
        ),
    )


def _difference(
    name: str, cells: Int[np.ndarray, "classes 4"], drawn: Int[np.ndarray, "resamples classes 4"]
) -> Difference:
    first, second = _recalls(cells)
    low, high = np.quantile(np.subtract(*_recalls(drawn)[::-1]), [0.025, 0.975])
    interval = Interval(float(low), float(high), 0.95, "paired bootstrap percentile")
    n = int(cells.sum())
    return Difference(name, float(first), float(second), interval if n > 1 else None, n)


def _recalls(cells: Int[np.ndarray, "*resamples classes 4"]) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the classes that occur of the share right, for both models."""
    support = cells.sum(-1)
    occurs = (support > 0).sum(-1)
    first, second = cells[..., 2] + cells[..., 3], cells[..., 1] + cells[..., 3]
    recalls = [np.asarray((right / support.clip(min=1)).sum(-1) / occurs) for right in (first, second)]
    return recalls[0], recalls[1]
