"""How well valence and arousal are predicted: two lists of values of faces, in one order.

Every metric is over all faces of the set at once, not a mean over clips or people. One that is undefined, as a
correlation with a constant is, raises MienError.
"""

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError

Values = Float[np.ndarray, " faces"]


def ccc(predicted: Values, truth: Values) -> float:
    """Concordance correlation coefficient, 2 cov / (var + var + (mean - mean)^2), in -1..1; moments over n, not n - 1.

    Lin, Biometrics 45(1), 1989. Undefined where all values of both lists are one and the same.
    """
    predicted, truth = _checked(predicted, truth)
    if np.ptp(np.concatenate([predicted, truth])) == 0:  # a mean may be rounded, so that a variance is not 0
        raise MienError("The CCC is undefined: all values are the same.")
    covariance = ((predicted - predicted.mean()) * (truth - truth.mean())).mean()
    apart = predicted.var() + truth.var() + (predicted.mean() - truth.mean()) ** 2
    return _ratio(2 * covariance, apart, "CCC", "all values are the same")


def pearson(predicted: Values, truth: Values) -> float:
    """Pearson's correlation, in -1..1. Undefined where either list is constant."""
    predicted, truth = _checked(predicted, truth)
    for name, values in (("predicted", predicted), ("true", truth)):
        if np.ptp(values) == 0:
            raise MienError(f"The correlation is undefined: the {name} values are all the same.")
    covariance = ((predicted - predicted.mean()) * (truth - truth.mean())).mean()
    return _ratio(covariance, predicted.std() * truth.std(), "correlation", "one of the lists is constant")


def rmse(predicted: Values, truth: Values) -> float:
    """Root of the mean squared error, in the unit of the values."""
    predicted, truth = _checked(predicted, truth)
    return float(np.sqrt(((predicted - truth) ** 2).mean()))


def mae(predicted: Values, truth: Values) -> float:
    """Mean absolute error, in the unit of the values."""
    predicted, truth = _checked(predicted, truth)
    return float(np.abs(predicted - truth).mean())


def sign_agreement(predicted: Values, truth: Values) -> float:
    """Share of the faces whose predicted value has the sign of the true one (SAGR); 0 agrees with 0 only.

    Nicolaou, Gunes and Pantic, IEEE Trans. Affective Computing 2(2), 2011.
    """
    predicted, truth = _checked(predicted, truth)
    return float((np.sign(predicted) == np.sign(truth)).mean())


def _checked(predicted: Values, truth: Values) -> tuple[np.ndarray, np.ndarray]:
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or predicted.ndim != 1 or len(truth) == 0:
        raise MienError(
            f"Values compare in two equal lists with at least one face; got {predicted.shape} and {truth.shape}."
        )
    if not (np.isfinite(predicted).all() and np.isfinite(truth).all()):
        raise MienError("Values compare where they are numbers; one is NaN or infinite.")
    return predicted, truth


def _ratio(above: float, below: float, metric: str, why: str) -> float:
    if below == 0:
        raise MienError(f"The {metric} is undefined: {why}.")
    return float(above / below)
