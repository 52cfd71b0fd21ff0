"""Every metric of a classifier's predictions, with its interval."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

import numpy as np
from jaxtyping import Int

from mien.core.errors import MienError
from mien.engine.evaluation.classes.predictions import ClassPredictions
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.scores import Score
from mien.metrics import calibration, expression
from mien.metrics.significance import bootstrap_interval, bootstrap_samples, wilson_interval

OVER_SET = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "kappa")
OVER_CLASSES = ("balanced_accuracy", "f1_macro")  # averages that leave out classes without samples
Metric = Callable[[np.ndarray], np.ndarray]


def score_classes(predictions: ClassPredictions, bootstrap: Bootstrap) -> list[Score]:
    """Every metric of the set, then of each class. Raises MienError without faces."""
    if len(predictions) == 0:
        raise MienError("Nothing to score: no sample has both a readable picture and a label that the model knows.")
    found = [*_over_set(predictions, bootstrap), *_calibration(predictions, bootstrap)]
    return found + [s for k in range(len(predictions.labels)) for s in _of_class(predictions, k, bootstrap)]


def _over_set(predictions: ClassPredictions, bootstrap: Bootstrap) -> list[Score]:
    classes = predictions.labels.classes
    absent = expression.absent_classes(predictions.confusion, classes)
    note = f"classes without samples left out: {', '.join(absent)}" if absent else ""
    scores = [_scored(predictions, name, getattr(expression, name), bootstrap) for name in OVER_SET]
    scores = [replace(s, note=s.note or note) if s.metric in OVER_CLASSES else s for s in scores]
    usual = classes[int(predictions.confusion.sum(1).argmax())]
    baseline = float(expression.majority_accuracy(predictions.confusion))
    return [*scores, Score("majority_accuracy", baseline, n=len(predictions), note=f"always answering {usual}")]


def _of_class(predictions: ClassPredictions, index: int, bootstrap: Bootstrap) -> list[Score]:
    name, confusion = predictions.labels.classes[index], predictions.confusion
    precision, recall, f1 = (
        partial(metric, index=index, name=name) for metric in (expression.precision, expression.recall, expression.f1)
    )
    predicted, support = int(confusion[:, index].sum()), int(confusion[index].sum())
    scores = [
        _share(f"precision/{name}", precision, confusion, predicted),
        _share(f"recall/{name}", recall, confusion, support),
        replace(_scored(predictions, f"f1/{name}", f1, bootstrap), n=support),
    ]
    return scores if bootstrap.resamples else [replace(s, low=None, high=None, method="") for s in scores]


def _share(name: str, metric: Metric, confusion: Int[np.ndarray, "classes classes"], n: int) -> Score:
    """A share of n samples, with Wilson's interval."""
    try:
        value = float(metric(confusion))
    except MienError as error:
        return Score(name, None, note=str(error))
    return replace(Score(name, value, n=n), **asdict(wilson_interval(round(value * n), n)))


def _scored(predictions: ClassPredictions, name: str, metric: Metric, bootstrap: Bootstrap) -> Score:
    try:
        plain = Score(name, float(metric(predictions.confusion)), n=len(predictions))
    except MienError as error:
        return Score(name, None, n=len(predictions), note=str(error))
    if not bootstrap.resamples:
        return plain
    try:
        interval = bootstrap_interval(
            predictions.confusion, metric, resamples=bootstrap.resamples, seed=bootstrap.seed,
            stratified=name in OVER_CLASSES,
        )  # fmt: skip
    except MienError as error:
        return replace(plain, note=str(error))
    return replace(plain, **asdict(interval))


def _calibration(predictions: ClassPredictions, bootstrap: Bootstrap) -> list[Score]:
    """ECE, NLL and Brier; the ECE's interval leans upwards, as every resample of an ECE does."""
    bins, logits, truth = calibration.BINS, predictions.logits, predictions.truth
    chances = predictions.probabilities
    index = np.clip(np.ceil(chances.max(-1) * bins).astype(int) - 1, 0, bins - 1)
    gap = predictions.right - chances.max(-1)
    losses = calibration.nll_of_samples(logits, truth, temperature=predictions.temperature)
    squares = calibration.brier_of_samples(chances, truth)

    def ece(drawn: np.ndarray) -> float:
        return float(np.abs(np.bincount(index[drawn], gap[drawn])).sum() / len(drawn))

    statistics: dict[str, tuple[float, Callable[[np.ndarray], float]]] = {
        f"ece@{bins}": (predictions.reliability.ece, ece),
        "nll": (float(losses.mean()), lambda drawn: float(losses[drawn].mean())),
        "brier": (float(squares.mean()), lambda drawn: float(squares[drawn].mean())),
    }
    return [_with_interval(name, *found, len(predictions), bootstrap) for name, found in statistics.items()]


def _with_interval(
    name: str, value: float, statistic: Callable[[np.ndarray], float], n: int, bootstrap: Bootstrap
) -> Score:
    plain = Score(name, value, n=n)
    if not bootstrap.resamples:
        return plain
    return replace(plain, **asdict(bootstrap_samples(statistic, n, resamples=bootstrap.resamples, seed=bootstrap.seed)))
