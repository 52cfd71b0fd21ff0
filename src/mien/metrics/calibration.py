"""Does a probability of 0.8 come true eight times in ten? Calibration, and the temperature that mends it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mien.core.errors import MienError

BINS = 15  # the number of the literature; it stands in the metric's name, `ece@15`

Probabilities = Float[np.ndarray, "samples classes"]
Labels = Int[np.ndarray, " samples"]


@dataclass(frozen=True)
class ReliabilityBins:
    """Samples by confidence (the highest probability), in equal-width bins open at the left edge."""

    edges: Float[np.ndarray, " edges"]
    """bins + 1 of them."""
    count: Int[np.ndarray, " bins"]
    """Samples."""
    confidence: Float[np.ndarray, " bins"]
    """Mean; NaN in a bin without samples."""
    accuracy: Float[np.ndarray, " bins"]
    """Mean; NaN in a bin without samples."""

    @property
    def ece(self) -> float:
        """Mean |accuracy - confidence| over samples. Guo et al., ICML 2017, equation 3."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float((gaps * self.count[filled]).sum() / self.count.sum())


def reliability_bins(probabilities: Probabilities, truth: Labels, *, bins: int = BINS) -> ReliabilityBins:
    """Raises MienError without samples, or where the lists differ in length."""
    _check(probabilities, truth)
    confidence = probabilities.max(-1)
    right = probabilities.argmax(-1) == truth
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    divisor = np.where(count > 0, count, np.nan)
    mean_confidence = np.bincount(index, confidence, minlength=bins) / divisor
    return ReliabilityBins(
        np.linspace(0, 1, bins + 1), count, mean_confidence, np.bincount(index, right, minlength=bins) / divisor
    )


def ece(probabilities: Probabilities, truth: Labels, *, bins: int = BINS) -> float:
    """Expected calibration error of the answered class, in 0..1, over equal-width bins: `ece@15` by default."""
    return reliability_bins(probabilities, truth, bins=bins).ece


def nll(logits: Probabilities, truth: Labels, *, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood in nats, from logits so that no probability is rounded to 0."""
    return float(nll_of_samples(logits, truth, temperature=temperature).mean())


def nll_of_samples(logits: Probabilities, truth: Labels, *, temperature: float = 1.0) -> Float[np.ndarray, " samples"]:
    """-log p of the truth, sample by sample."""
    _check(logits, truth)
    scaled = np.asarray(logits, np.float64) / temperature
    scaled = scaled - scaled.max(-1, keepdims=True)
    return np.log(np.exp(scaled).sum(-1)) - scaled[np.arange(len(truth)), truth]


def brier(probabilities: Probabilities, truth: Labels) -> float:
    """Mean squared distance to the one-hot truth, summed over classes: 0 to 2. Brier, Mon. Weather Rev. 78(1), 1950."""
    return float(brier_of_samples(probabilities, truth).mean())


def brier_of_samples(probabilities: Probabilities, truth: Labels) -> Float[np.ndarray, " samples"]:
    """Squared distance to the one-hot truth, sample by sample."""
    _check(probabilities, truth)
    return ((probabilities - np.eye(probabilities.shape[1])[truth]) ** 2).sum(-1)


def fit_temperature(logits: Probabilities, truth: Labels) -> float:
    """The temperature with the least NLL. Temperature scaling: Guo et al., ICML 2017, section 4.2.

    The NLL is convex in 1/T, so its slope is bisected, on a log scale over the temperatures that a bundle may state,
    0.001..1000. Raises MienError where none of them is best: every answer right (T -> 0), or logits no better than
    chance (T -> infinity).
    """
    _check(logits, truth)
    z = np.asarray(logits, np.float64)
    z = z - z.max(-1, keepdims=True)
    of_truth = z[np.arange(len(truth)), truth]

    def slope(inverse: float) -> float:
        weights = np.exp(z * inverse)
        return float(((weights * z).sum(-1) / weights.sum(-1) - of_truth).mean())

    if slope(1e-3) >= 0:
        raise MienError(
            "No temperature fits: the logits are no better than chance here. Train longer, or check the labels."
        )
    if slope(1e3) <= 0:
        raise MienError("No temperature fits: every answer is right. Use more, or harder, held-out samples.")
    low, high = np.log(1e-3), np.log(1e3)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(np.exp(middle)) < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


def _check(values: Probabilities, truth: Labels) -> None:
    if values.ndim != 2 or len(values) != len(truth) or len(truth) == 0:
        raise MienError(
            f"Calibration needs [samples, classes] and as many labels; got {values.shape} and {len(truth)}."
        )
    if not np.isfinite(values).all():
        raise MienError("Calibration needs numbers; one is NaN or infinite. Did the training diverge?")
    if min(truth) < 0 or max(truth) >= values.shape[1]:
        raise MienError(f"Labels lie in 0..{values.shape[1] - 1}; one is {min(truth)} or {max(truth)}.")
