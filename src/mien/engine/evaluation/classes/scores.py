"""Every metric of a classifier's predictions, with its interval."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

import numpy as np
from jaxtyping import Int

from mien.core.errors import MienError
from mien.core.trust.calibration import USUAL
from mien.core.trust.prediction_sets import in_sets
from mien.engine.evaluation.by_group import Statistic
from mien.engine.evaluation.classes.predictions import ClassPredictions
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.scores import NO_INTERVAL, Score, mean_scores, share_score
from mien.metrics import calibration, expression
from mien.metrics.significance import bootstrap_interval, bootstrap_samples, wilson_interval

OVER_SET = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "kappa")
OVER_CLASSES = ("balanced_accuracy", "f1_macro")  # averages that leave out classes without samples
Metric = Callable[[np.ndarray], np.ndarray]


def score_classes(predictions: ClassPredictions, bootstrap: Bootstrap) -> list[Score]:
    """Every metric of the set, then of each class. Raises MienError without faces."""
    if len(predictions) == 0:
        raise MienError("Nothing to score: no sample has both a readable picture and a label that the model knows.")
    found = [*_over_set(predictions, bootstrap), *_calibration(predictions, bootstrap), *_sets(predictions, bootstrap)]
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


def statistics_of(predictions: ClassPredictions) -> dict[str, Statistic]:
    """Accuracy, balanced accuracy (over the classes that occur) and ECE of any of the faces."""
    truth, right, classes = predictions.truth, predictions.right, len(predictions.labels)

    def balanced(drawn: np.ndarray) -> float:
        counts = np.bincount(truth[drawn], minlength=classes)
        found = np.bincount(truth[drawn], right[drawn], minlength=classes)
        return float((found[counts > 0] / counts[counts > 0]).mean())

    statistics: dict[str, Callable[[np.ndarray], float]] = {
        "accuracy": lambda drawn: float(right[drawn].mean()),
        "balanced_accuracy": balanced,
        f"ece@{calibration.BINS}": _ece_of(predictions),
    }
    return {
        name: Statistic(predictions.keys, statistic, truth if name in OVER_CLASSES else None)
        for name, statistic in statistics.items()
    }


def _ece_of(predictions: ClassPredictions) -> Callable[[np.ndarray], float]:
    """A function of face indices."""
    bins, confidence = calibration.BINS, predictions.probabilities.max(-1)
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = predictions.right - confidence

    def ece(drawn: np.ndarray) -> float:
        return float(np.abs(np.bincount(index[drawn], gap[drawn])).sum() / len(drawn))

    return ece


def _calibration(predictions: ClassPredictions, bootstrap: Bootstrap) -> list[Score]:
    """ECE, NLL and Brier; the ECE's interval leans upwards, as every resample of an ECE does."""
    bins, logits, truth = calibration.BINS, predictions.logits, predictions.truth
    chances, ece = predictions.probabilities, _ece_of(predictions)
    losses = calibration.nll_of_samples(logits, truth, temperature=predictions.temperature)
    squares = calibration.brier_of_samples(chances, truth)
    statistics: dict[str, tuple[float, Callable[[np.ndarray], float]]] = {
        f"ece@{bins}": (predictions.reliability.ece, ece),
        "nll": (float(losses.mean()), lambda drawn: float(losses[drawn].mean())),
        "brier": (float(squares.mean()), lambda drawn: float(squares[drawn].mean())),
    }
    return [_with_interval(name, *found, len(predictions), bootstrap) for name, found in statistics.items()]


def _sets(predictions: ClassPredictions, bootstrap: Bootstrap) -> list[Score]:
    """Coverage and size of the usual prediction sets, then the coverage of each class; none without thresholds."""
    if predictions.calibration is None or not predictions.calibration.thresholds:
        return []
    inside = in_sets(predictions.probabilities, predictions.calibration.threshold(USUAL))
    right, sizes, at = inside[np.arange(len(predictions)), predictions.truth], inside.sum(-1), f"@{100 * USUAL:g}"
    shares = {f"coverage{at}": right} | {
        f"coverage{at}/{name}": right[predictions.truth == k] for k, name in enumerate(predictions.labels.classes)
    }
    intervals = bootstrap.resamples > 0
    size = mean_scores({f"set_size{at}": sizes.astype(float)}, bootstrap)
    found = [
        share_score(name, int(part.sum()), len(part), intervals=intervals) for name, part in shares.items() if len(part)
    ]
    return [found[0], *size, *found[1:]]


def _with_interval(
    name: str, value: float, statistic: Callable[[np.ndarray], float], n: int, bootstrap: Bootstrap
) -> Score:
    plain = Score(name, value, n=n)
    if not bootstrap.resamples:
        return plain
    if n < 2:
        return replace(plain, note=NO_INTERVAL)
    return replace(plain, **asdict(bootstrap_samples(statistic, n, resamples=bootstrap.resamples, seed=bootstrap.seed)))
