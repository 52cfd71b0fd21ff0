"""Agreement: what several models that know the same classes say of one face, as a second opinion."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mien.core.errors import MienError


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of the models that read one face."""

    share: float
    """Of the other models, those whose most probable class is the first one's, 0..1."""
    probabilities: dict[str, float]
    """Mean of the models' calibrated probabilities, by class of the first one."""
    divergence: float
    """Jensen-Shannon divergence of the models' probabilities in bits, 0 (equal) to the logarithm of their number."""

    @classmethod
    def of(cls, models: Sequence[Mapping[str, float]]) -> "Agreement":
        """models: probabilities by class name, of at least two, over the same classes in any order.

        Divergence: Lin, IEEE Trans. Inf. Theory 37(1), 1991, equation 5.1, with equal weights. Raises MienError for one
        model, and for other classes.
        """
        if len(models) < 2 or any(model.keys() != models[0].keys() for model in models):
            raise MienError("Agreement needs two models or more with the same classes.")
        names = list(models[0])
        shares = np.array([[model[name] for name in names] for model in models])
        best, mean = shares.argmax(-1), shares.mean(0)
        divergence = float(_entropy(mean) - _entropy(shares).mean())
        return cls(
            float((best[1:] == best[0]).mean()), dict(zip(names, mean.tolist(), strict=True)), max(divergence, 0.0)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Bits."""
    positive = np.where(shares > 0, shares, 1.0)
    return np.asarray(-(shares * np.log2(positive)).sum(-1))
