"""Every metric of predicted values, with its interval; and the paired differences between two models.

`METRIC/VALUE`, such as `ccc/valence`, over all faces of the set that have the label; `METRIC/mean` over the values.
"""

from collections.abc import Callable

import numpy as np

from mien.core.errors import MienError
from mien.engine.evaluation.comparison import Comparison, Difference, places_in_second
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.scores import Score, statistic_score
from mien.engine.evaluation.values.predictions import ValuePredictions
from mien.metrics import affect
from mien.metrics.significance import bootstrap_samples

Metric = Callable[[np.ndarray, np.ndarray], float]
METRICS: dict[str, Metric] = {
    "ccc": affect.ccc,
    "pearson": affect.pearson,
    "rmse": affect.rmse,
    "mae": affect.mae,
    "sagr": affect.sign_agreement,
}


def score_values(predictions: ValuePredictions, bootstrap: Bootstrap) -> list[Score]:
    """Every metric of every value, then its mean over the values where there are several."""
    names = [*predictions.names, *(["mean"] if len(predictions.names) > 1 else [])]
    return [_score(predictions, metric, name, bootstrap) for name in names for metric in METRICS]


def _score(predictions: ValuePredictions, metric: str, name: str, bootstrap: Bootstrap) -> Score:
    statistic, n = _statistic(predictions, metric, name)
    if not n:
        return Score(f"{metric}/{name}", None, note=f"no face has a label of {name}.")
    return statistic_score(f"{metric}/{name}", statistic, n=n, bootstrap=bootstrap)


def _statistic(predictions: ValuePredictions, metric: str, name: str) -> tuple[Callable[[np.ndarray], float], int]:
    """The metric of places of faces, and how many faces there are; of "mean" those that have every label."""
    function = METRICS[metric]
    if name != "mean":
        predicted, truth = predictions.pair(name)
        return lambda drawn: function(predicted[drawn], truth[drawn]), len(truth)
    whole = np.isfinite(predictions.truth).all(1)
    pairs = list(zip(predictions.predicted[whole].T, predictions.truth[whole].T, strict=True))
    return lambda drawn: float(np.mean([function(p[drawn], t[drawn]) for p, t in pairs])), int(whole.sum())


def compare_values(
    first: ValuePredictions, second: ValuePredictions, *, names: tuple[str, str], bootstrap: Bootstrap
) -> Comparison:
    """CCC, then RMSE, of each value that both predict. Raises MienError for other faces, truths or values."""
    order = places_in_second(first.keys, second.keys, names)
    values = [name for name in first.names if name in second.names]
    if not values:
        raise MienError(f"{names[0]} predicts {', '.join(first.names)}, {names[1]} {', '.join(second.names)}.")
    for name in values:
        truths = first.truth[:, first.names.index(name)], second.truth[order, second.names.index(name)]
        if not np.allclose(*truths, atol=1e-5, equal_nan=True):
            raise MienError(f"Two models compare only against the same truth; {names[0]} and {names[1]} differ in it.")
    values = [name for name in values if first.known(name).sum() > 1]
    if not values:
        raise MienError("Two models compare on two labelled faces or more; these have fewer.")
    differences = [
        _difference(f"{metric}/{name}", *_pairs(first, second, order, name), bootstrap)
        for metric in ("ccc", "rmse")
        for name in values
    ]
    return Comparison(first=names[0], second=names[1], n=len(first), differences=tuple(differences))


def _pairs(
    first: ValuePredictions, second: ValuePredictions, order: list[int], name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted by the first, predicted by the second, true: of faces with the label."""
    known = first.known(name)
    one, two = first.names.index(name), second.names.index(name)
    return first.predicted[known, one], second.predicted[order][known, two], first.truth[known, one]


def _difference(
    metric: str, first: np.ndarray, second: np.ndarray, truth: np.ndarray, bootstrap: Bootstrap
) -> Difference:
    """Paired: both models on the same resampled faces."""
    function = METRICS[metric.partition("/")[0]]
    interval = bootstrap_samples(
        lambda drawn: function(second[drawn], truth[drawn]) - function(first[drawn], truth[drawn]), len(truth),
        resamples=bootstrap.resamples, seed=bootstrap.seed,
    )  # fmt: skip
    return Difference(metric, function(first, truth), function(second, truth), interval, len(truth))
