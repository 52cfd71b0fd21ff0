"""What a network's arrays mean: logits to calibrated probabilities. Used by training, evaluation and reading alike."""

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError


def probabilities(logits: Float[np.ndarray, "*batch classes"], *, temperature: float = 1.0) -> np.ndarray:
    """softmax(logits / temperature) in float64. Temperature scaling: Guo et al., ICML 2017, equation 9."""
    if not temperature > 0:
        raise MienError(f"The temperature must be above 0; got {temperature}.")
    scaled = np.asarray(logits, np.float64) / temperature
    scaled -= scaled.max(-1, keepdims=True)
    weights = np.exp(scaled)
    return weights / weights.sum(-1, keepdims=True)
