"""Other points and a depth for drawn faces, made of their 68: for replicas, which need something in every place."""

import numpy as np
from jaxtyping import Float

from mien.core.landmarks import WFLW_TO_68

# AFLW's 21: brows by their ends and middles, eyes by corners and centre, ears, nose, mouth, chin. A pair is a middle.
_AFLW_21: tuple[tuple[int, ...], ...] = (
    (17,), (19,), (21,), (22,), (24,), (26,), (36,), tuple(range(36, 42)), (39,), (42,), tuple(range(42, 48)), (45,),
    (0,), (31,), (30,), (35,), (16,), (48,), (62, 66), (54,), (8,),
)  # fmt: skip
_EARS = (12, 16)


def as_98(points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "98 2"]:
    """WFLW's points: the 68 in their places, the others between their neighbours."""
    found = np.full((98, 2), np.nan, np.float32)
    found[list(WFLW_TO_68)] = points
    found[1:33:2] = (found[0:32:2] + found[2:33:2]) / 2
    lower = np.array([0, 0.04 * np.ptp(points[:, 1])], np.float32)  # the lower edge of the brows
    found[38:42], found[47:51] = found[[37, 36, 35, 34]] + lower, found[[46, 45, 44, 43]] + lower
    for gap, ends in {62: (61, 63), 66: (65, 67), 70: (69, 71), 74: (73, 75)}.items():
        found[gap] = found[list(ends)].mean(0)
    found[96], found[97] = points[36:42].mean(0), points[42:48].mean(0)
    return found


def as_21(points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "21 2"]:
    """AFLW's points."""
    return np.stack([points[list(of)].mean(0) for of in _AFLW_21]).astype(np.float32)


def as_19(points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "19 2"]:
    """AFLW's points without the ears."""
    return np.delete(as_21(points), _EARS, axis=0)


def bowl(points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, " 68"]:
    """A depth for points that have none: that of a bowl with a nose, larger nearer. Of the drawing it says nothing."""
    width = np.ptp(points[:, 0])
    away = ((points - points[33]) ** 2).sum(1) / width
    nose = np.zeros(68)
    nose[27:36] = width * np.array([0.05, 0.08, 0.11, 0.15, 0.06, 0.08, 0.1, 0.08, 0.06])
    return np.round(nose - 0.6 * away, 3).astype(np.float32)
