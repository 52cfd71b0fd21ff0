"""Predicted and labelled values of faces, such as valence and arousal, and the evaluation made of them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from mien.engine.evaluation.comparison import Comparison
from mien.engine.evaluation.result import Evaluation


@dataclass(frozen=True, eq=False)
class ValuePredictions:
    """All lists are in one order."""

    names: tuple[str, ...]
    """Of the values."""
    keys: tuple[str, ...]
    """Of the samples."""
    truth: Float[np.ndarray, "faces values"]
    """As labelled; NaN where a face has no such label."""
    predicted: Float[np.ndarray, "faces values"]
    """As the network gives them."""

    def __len__(self) -> int:
        return len(self.keys)

    def known(self, name: str) -> Bool[np.ndarray, " faces"]:
        """Whether a face has this label."""
        return np.isfinite(self.truth[:, self.names.index(name)])

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true values of the faces that have the label."""
        place, known = self.names.index(name), self.known(name)
        return self.predicted[known, place], self.truth[known, place]


@dataclass(frozen=True, eq=False, kw_only=True)
class ValueEvaluation(Evaluation):
    """Of an output of values."""

    predictions: ValuePredictions
    """Of every face that could be read."""
    comparison: Comparison | None = None
    """With the second model, where there is one."""
