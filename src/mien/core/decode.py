"""What a network's arrays mean: logits to calibrated probabilities. Used by training, evaluation and reading alike."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError


def probabilities(logits: Float[np.ndarray, "*batch classes"], *, temperature: float = 1.0) -> np.ndarray:
    """softmax(logits / temperature) in float64. Temperature scaling: Guo et al., ICML 2017, equation 9."""
    if not temperature > 0:
        raise MienError(f"The temperature must be above 0; got {temperature}.")
    scaled = np.asarray(logits, np.float64) / temperature
    scaled -= scaled.max(-1, keepdims=True)
    weights = np.exp(scaled)
    return weights / weights.sum(-1, keepdims=True)


def adjusted_logits(
    logits: Float[np.ndarray, "*batch classes"], prior: Sequence[float], *, strength: float, temperature: float = 1.0
) -> Float[np.ndarray, "*batch classes"]:
    """float64: logits whose calibrated probabilities are those of the given ones divided by prior ** strength.

    Post-hoc logit adjustment: Menon et al., ICLR 2021, equation 8. prior: share of each class in training. strength 1
    is Bayes' rule for faces among which all classes are equally frequent, 0 changes nothing.
    """
    return np.asarray(logits, np.float64) - strength * temperature * np.log(np.asarray(prior))


def adjusted_by(
    info: BundleInfo, output: str, logits: Float[np.ndarray, "*batch classes"], strength: float
) -> np.ndarray:
    """Logits of an output of classes, adjusted by the bundle's own prior and temperature; at strength 0 as they are."""
    if not strength:
        return logits
    return adjusted_logits(logits, info.prior(output), strength=strength, temperature=info.temperature(output))


def energies(logits: Float[np.ndarray, "*batch classes"]) -> Float[np.ndarray, "*batch"]:
    """-log(sum(exp(logits))) of each sample: high where no class is likely. Liu et al., NeurIPS 2020, equation 4, T 1.

    It measures unlikeness to the training data from logits alone, which every exported graph gives.
    """
    values = np.asarray(logits, np.float64)
    largest = values.max(-1)
    return -(largest + np.log(np.exp(values - largest[..., None]).sum(-1)))
