"""How far two sets of feature vectors are apart: the Fréchet distance of Gaussians with their means and covariances.

Heusel et al., GANs Trained by a Two Time-Scale Update Rule, NeurIPS 2017: of Inception's features it is the FID.
"""

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError

Features = Float[np.ndarray, "n width"]


class Moments:
    """Mean and covariance of vectors that come in batches; memory does not grow with their number."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean = np.zeros(width)
        self._scatter = np.zeros((width, width))

    def add(self, features: Features) -> None:
        """Chan, Golub and LeVeque, 1979: what both parts have about their own means, and the step between these."""
        features = np.asarray(features, np.float64)
        if not len(features):
            return
        centred = features - (mean := features.mean(0))
        step, count = mean - self.mean, self.count + len(features)
        self._scatter += centred.T @ centred + np.outer(step, step) * (self.count * len(features) / count)
        self.mean = self.mean + step * len(features) / count
        self.count = count

    @property
    def covariance(self) -> Float[np.ndarray, "width width"]:
        """Unbiased. Raises MienError for fewer than 2 vectors."""
        if self.count < 2:
            raise MienError(f"A covariance needs at least 2 pictures; got {self.count}.")
        return self._scatter / (self.count - 1)


def frechet_distance(ours: Moments, theirs: Moments) -> float:
    """|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½); 0 for equal moments.

    The trace of the root is the sum of the singular values of F1' F2 with C = F F', which also holds for covariances
    of fewer vectors than dimensions.
    """
    first, second = ours.covariance, theirs.covariance
    product = _factor(first).T @ _factor(second)
    root = float(np.linalg.svd(product, compute_uv=False).sum()) if product.size else 0.0
    apart = float(((ours.mean - theirs.mean) ** 2).sum())
    return max(apart + float(np.trace(first) + np.trace(second)) - 2 * root, 0.0)


def _factor(covariance: np.ndarray) -> Float[np.ndarray, "width rank"]:
    """F with F F' = the covariance, a column for each direction in which it varies."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-12 * max(float(values[-1]), 1e-300)
    return vectors[:, kept] * np.sqrt(values[kept])
