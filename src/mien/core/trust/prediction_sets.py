"""Thresholds of prediction sets from held-out faces, and the sets (see calibration.py for the method)."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from mien.core.errors import MienError
from mien.core.trust.calibration import COVERAGES, NO_LIMIT, Calibration

_TYPICAL = 0.99  # of the held-out faces, whose energy is below the limit


def calibrated(
    probabilities: Float[np.ndarray, "faces classes"], truth: Int[np.ndarray, " faces"],
    energies: Float[np.ndarray, " faces"] | None = None,
) -> Calibration:  # fmt: skip
    """Of held-out faces that the network was not trained on. Raises MienError without faces.

    The threshold of coverage c is the floor((n + 1) (1 - c))-th smallest probability of a label, 0 with too few faces.
    """
    n = len(truth)
    if n < 1 or len(probabilities) != n:
        raise MienError(f"A calibration needs faces, each with a label; got {len(probabilities)} and {n}.")
    if not np.isfinite(probabilities).all():
        raise MienError("A calibration needs probabilities that are numbers; one is NaN or infinite.")
    of_truth = np.sort(probabilities[np.arange(n), truth])
    thresholds = {}
    for coverage in COVERAGES:
        rank = int(np.floor((n + 1) * (1 - coverage) + 1e-9))
        thresholds[f"{coverage:g}"] = float(of_truth[rank - 1]) if rank else 0.0
    limit = NO_LIMIT if energies is None else float(np.quantile(energies, _TYPICAL))
    counts = np.bincount(truth, minlength=probabilities.shape[1]) + 1
    return Calibration(n, thresholds, limit, tuple((counts / counts.sum()).tolist()))


def in_sets(probabilities: Float[np.ndarray, "*faces classes"], threshold: float) -> Bool[np.ndarray, "*faces classes"]:
    """Which classes are in each face's set: those that reach the threshold, and the most probable one in any case."""
    return np.asarray(probabilities >= min(threshold, 1.0)) | (
        np.arange(probabilities.shape[-1]) == probabilities.argmax(-1)[..., None]
    )


def prediction_set(probabilities: Mapping[str, float], threshold: float) -> tuple[str, ...]:
    """The names of the classes in one face's set, the most probable first; none without classes."""
    if not probabilities:
        return ()
    names, values = list(probabilities), np.array(list(probabilities.values()))
    inside = in_sets(values, threshold)
    return tuple(names[i] for i in np.argsort(-values, kind="stable") if inside[i])
