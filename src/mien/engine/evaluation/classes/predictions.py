"""What a classifier predicted on a labelled set, and the evaluation made of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from mien.core.decode import probabilities
from mien.core.labels import LabelSet
from mien.core.trust.calibration import Calibration
from mien.engine.evaluation.classes.comparison import ClassComparison
from mien.engine.evaluation.result import Evaluation
from mien.metrics.calibration import ReliabilityBins, reliability_bins
from mien.metrics.expression import confusion_matrix


@dataclass(frozen=True, eq=False)
class ClassPredictions:
    """Logits and labels of faces, in one order."""

    labels: LabelSet
    """The model's own class order."""
    keys: tuple[str, ...]
    """Of the samples, unique."""
    truth: Int[np.ndarray, " samples"]
    """Indices into `labels`."""
    logits: Float[np.ndarray, "samples classes"]
    """As the network gives them, or adjusted."""
    temperature: float = 1.0
    """Divides the logits."""
    calibration: Calibration | None = None
    """Of the bundle, where it holds thresholds of prediction sets and the logits are as the network gave them."""
    logit_adjust: float = 0.0
    """Strength with which the logits were adjusted; 0 for as the network gave them."""

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def probabilities(self) -> Float[np.ndarray, "samples classes"]:
        """Calibrated by the temperature."""
        return probabilities(self.logits, temperature=self.temperature)

    @cached_property
    def predicted(self) -> Int[np.ndarray, " samples"]:
        """The most probable class."""
        return self.probabilities.argmax(-1)

    @cached_property
    def right(self) -> Bool[np.ndarray, " samples"]:
        """Whether the prediction is the label."""
        return np.asarray(self.predicted == self.truth)

    @cached_property
    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """Counts; rows the label, columns the prediction."""
        return confusion_matrix(self.truth, self.predicted, classes=len(self.labels))

    @cached_property
    def reliability(self) -> ReliabilityBins:
        """Confidence against accuracy."""
        return reliability_bins(self.probabilities, self.truth)

    def mistakes(self, most: int) -> list[int]:
        """Indices of the wrong predictions, the most confident first."""
        confidence = self.probabilities.max(-1)
        return sorted((int(i) for i in (~self.right).nonzero()[0]), key=lambda i: -confidence[i])[:most]


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassEvaluation(Evaluation):
    """Of an output of classes."""

    predictions: ClassPredictions
    """Of every face that could be read."""
    comparison: ClassComparison | None = None
    """With the second model, where there is one."""

    def facts(self) -> dict[str, Any]:
        adjusted = self.predictions.logit_adjust
        return super().facts() | ({"logit_adjust": adjusted} if adjusted else {})
