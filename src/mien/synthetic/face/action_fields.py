"""What each action unit does to the face: displacements at weight 1, inter-ocular units.

A unit is a sum of pushes: a place, how far it reaches, and where it goes. Distances were set beside how far the blend
shapes of scanned people move the same landmarks (brow up 0.06-0.09, lids 0.04, lip corner in a smile 0.08 out, 0.12 up
and 0.10 back, upper lip up 0.09, corner down 0.05, funnelled lips 0.08 forward), enlarged by a third to three quarters
where strong expressions in photographs go further than a scan's single shape.
"""

import numpy as np

from mien.synthetic.face import template as plan
from mien.synthetic.face.action_units import ACTION_UNITS, MODES
from mien.synthetic.face.mesh import column
from mien.synthetic.face.places import Places, bell
from mien.synthetic.face.template import EYE_FIRST, EYE_LAST, EYE_ROW, MOUTH_HALF, step

# mask, centre x, y, reach across, above, below, displacement x, y, z. The left side's; the right's are mirrored.
_Push = tuple[str, float, float, float, float, float, float, float, float]
PUSHES: dict[str, tuple[_Push, ...]] = {
    "AU1": (
        ("brow", 0.12, 0.235, 0.16, 0.30, 0.11, 0.0, 0.115, -0.005),
        ("upper_lid", 0.27, 0.05, 0.07, 0.1, 0.1, 0.0, 0.011, 0.0),
    ),
    "AU2": (
        ("brow", 0.50, 0.23, 0.17, 0.30, 0.12, 0.015, 0.100, -0.030),
        ("upper_lid", 0.42, 0.05, 0.07, 0.1, 0.1, 0.0, 0.012, 0.0),
    ),
    "AU4": (
        ("brow", 0.12, 0.235, 0.25, 0.17, 0.14, -0.055, -0.112, 0.022),
        ("brow", 0.47, 0.25, 0.17, 0.16, 0.13, -0.030, -0.052, 0.022),
        ("brow", 0.09, 0.15, 0.07, 0.14, 0.08, -0.012, -0.012, 0.020),
        ("upper_lid", 0.28, 0.05, 0.09, 0.1, 0.1, 0.0, -0.012, 0.0),
    ),
    "AU5": (("upper_lid", 0.353, 0.06, 0.3, 0.3, 0.3, 0.0, 0.058, -0.012),),
    "AU6": (
        ("face", 0.47, -0.30, 0.23, 0.16, 0.18, -0.008, 0.075, 0.034),
        ("lower_lid", 0.37, -0.04, 0.3, 0.3, 0.3, 0.0, 0.024, 0.004),
        ("face", 0.62, 0.03, 0.13, 0.12, 0.12, -0.030, -0.008, 0.012),
        ("brow", 0.58, 0.18, 0.13, 0.1, 0.1, -0.008, -0.020, 0.006),
        ("upper_lid", 0.45, 0.05, 0.09, 0.1, 0.1, 0.0, -0.012, 0.0),
    ),
    "AU7": (
        ("lower_lid", 0.353, -0.04, 0.3, 0.3, 0.3, -0.006, 0.030, 0.004),
        ("upper_lid", 0.353, 0.06, 0.3, 0.3, 0.3, 0.0, -0.016, 0.002),
    ),
    "AU9": (
        ("face", 0.15, -0.43, 0.11, 0.22, 0.12, 0.013, 0.091, 0.018),
        ("face", 0.26, -0.52, 0.11, 0.18, 0.13, -0.008, 0.111, 0.018),
        ("upper", 0.04, -0.70, 0.24, 0.14, 0.2, 0.005, 0.058, 0.0),
        ("brow", 0.06, 0.20, 0.20, 0.16, 0.16, -0.031, -0.062, 0.016),
        ("face", 0.06, -0.02, 0.08, 0.14, 0.14, 0.0, 0.0, 0.021),
        ("lower_lid", 0.30, -0.04, 0.15, 0.3, 0.3, 0.0, 0.021, 0.005),
        ("face", 0.25, -0.17, 0.12, 0.10, 0.14, -0.016, 0.044, 0.026),
    ),
    "AU10": (
        ("upper", 0.06, -0.70, 0.21, 0.15, 0.2, 0.013, 0.104, 0.005),
        ("face", 0.25, -0.55, 0.11, 0.16, 0.11, 0.021, 0.098, 0.021),
        ("face", 0.16, -0.45, 0.09, 0.14, 0.10, 0.016, 0.047, 0.005),
        ("face", 0.34, -0.30, 0.15, 0.14, 0.16, 0.0, 0.039, 0.023),
        ("face", 0.29, -0.74, 0.09, 0.1, 0.1, 0.0, 0.026, -0.005),
    ),
    "AU11": (
        ("face", 0.21, -0.53, 0.09, 0.12, 0.10, 0.014, 0.036, -0.014),
        ("face", 0.33, -0.44, 0.12, 0.12, 0.14, 0.0, 0.026, 0.026),
    ),
    "AU12": (
        ("face", 0.30, -0.745, 0.20, 0.15, 0.14, 0.105, 0.108, -0.068),
        ("face", 0.06, -0.77, 0.17, 0.12, 0.14, 0.020, 0.004, -0.030),
        ("face", 0.43, -0.40, 0.19, 0.15, 0.14, 0.010, 0.055, 0.052),
        ("face", 0.27, -0.58, 0.06, 0.12, 0.12, 0.010, 0.020, -0.012),
        ("lower_lid", 0.37, -0.04, 0.3, 0.3, 0.3, 0.0, 0.008, 0.002),
    ),
    "AU14": (
        ("face", 0.30, -0.745, 0.085, 0.10, 0.10, 0.040, 0.024, -0.062),
        ("face", 0.40, -0.72, 0.08, 0.12, 0.12, -0.012, 0.0, 0.024),
        ("face", 0.15, -0.76, 0.10, 0.08, 0.08, 0.016, 0.004, -0.012),
    ),
    "AU15": (
        ("face", 0.28, -0.765, 0.115, 0.11, 0.14, 0.028, -0.133, -0.020),
        ("face", 0.31, -0.90, 0.09, 0.10, 0.12, 0.008, -0.028, 0.034),
        ("lower", 0.10, -0.80, 0.12, 0.2, 0.12, 0.0, 0.008, 0.008),
    ),
    "AU16": (
        ("lower", 0.05, -0.80, 0.23, 0.3, 0.16, 0.010, -0.100, -0.005),
        ("face", 0.20, -0.98, 0.13, 0.10, 0.14, 0.018, -0.033, 0.015),
    ),
    "AU17": (
        ("face", 0.0, -1.04, 0.20, 0.16, 0.16, 0.0, 0.100, 0.037),
        ("face", 0.0, -0.78, 0.19, 0.14, 0.14, 0.0, 0.056, 0.022),
        ("lower", 0.0, -0.82, 0.17, 0.05, 0.08, 0.0, 0.015, 0.050),
        ("face", 0.28, -0.79, 0.10, 0.10, 0.12, 0.0, -0.033, 0.0),
    ),
    "AU20": (
        ("face", 0.29, -0.765, 0.18, 0.13, 0.15, 0.138, -0.036, -0.084),
        ("face", 0.10, -0.77, 0.14, 0.13, 0.14, 0.031, -0.007, -0.031),
        ("face", 0.34, -0.98, 0.18, 0.14, 0.16, 0.043, -0.029, -0.019),
    ),
    "AU24": (
        ("upper", 0.0, -0.65, 0.2, 0.07, 0.06, 0.0, 0.0, 0.010),
        ("lower", 0.0, -0.89, 0.2, 0.06, 0.07, 0.0, 0.0, 0.014),
        ("face", 0.28, -0.75, 0.09, 0.09, 0.09, -0.012, 0.004, -0.024),
        ("face", 0.0, -1.02, 0.16, 0.14, 0.14, 0.0, 0.024, 0.010),
    ),
    "AU25": (
        ("upper", 0.0, -0.72, 0.24, 0.12, 0.2, 0.0, 0.022, 0.004),
        ("lower", 0.0, -0.78, 0.24, 0.2, 0.16, 0.0, -0.052, -0.004),
    ),
    "AU26": (("face", 0.29, -0.75, 0.14, 0.14, 0.14, -0.014, 0.0, 0.0),),
    "AU27": (
        ("face", 0.29, -0.75, 0.14, 0.14, 0.16, -0.036, 0.0, 0.0),
        ("face", 0.44, -0.62, 0.13, 0.16, 0.16, -0.012, 0.0, -0.030),
    ),
    "AU34": (("face", 0.40, -0.72, 0.20, 0.18, 0.18, 0.070, 0.0, 0.085),),
    "AU43": (("upper_lid", 0.353, 0.06, 0.3, 0.3, 0.3, 0.0, -0.098, 0.010),),
    "AU45": (("upper_lid", 0.353, 0.06, 0.3, 0.3, 0.3, 0.0, -0.098, 0.010),),
    "sag_brow": (
        ("brow", 0.36, 0.23, 0.30, 0.30, 0.12, 0.0, -0.060, 0.006),
        ("upper_lid", 0.42, 0.07, 0.12, 0.1, 0.1, 0.0, -0.010, 0.0),
    ),
    "sag_eye": (
        ("lower_lid", 0.36, -0.04, 0.3, 0.3, 0.3, 0.004, -0.034, 0.002),
        ("upper_lid", 0.36, 0.06, 0.3, 0.3, 0.3, 0.0, 0.012, 0.0),
        ("face", 0.42, -0.24, 0.2, 0.14, 0.16, 0.0, -0.024, -0.008),
    ),
    "sag_fold": (
        ("face", 0.25, -0.58, 0.055, 0.12, 0.12, 0.0, -0.004, 0.012),
        ("face", 0.38, -0.42, 0.17, 0.15, 0.16, 0.004, -0.040, -0.022),
    ),
    "sag_mouth": (
        ("face", 0.29, -0.76, 0.17, 0.15, 0.17, -0.030, -0.070, 0.004),
        ("face", 0.06, -0.77, 0.14, 0.14, 0.14, -0.034, -0.010, 0.0),
        ("face", 0.40, -0.93, 0.16, 0.14, 0.16, 0.0, -0.024, 0.016),
    ),
}


def action_unit_modes(places: Places) -> tuple[tuple[str, ...], np.ndarray]:
    """Names [E] and displacements [E, vertices, 3]; every _R is the mirror image of its _L."""
    masks = _masks(places)
    whole = {unit.code for unit in ACTION_UNITS if not unit.sided}
    modes: list[np.ndarray] = []
    for name in MODES:
        stem, _, side = name.partition("_") if not name.startswith("sag") else name.rpartition("_")
        if side == "R":
            modes.append(modes[-1][places.mesh.mirror] * (-1, 1, 1))
            continue
        drags = stem == "sag_mouth"  # the healthy side draws the midline over
        moved = _pushed(places, masks, PUSHES.get(stem, ()), drags=drags) + _LIPS.get(stem, _nothing)(places)
        moved *= (step(-0.35, 0.10, places.x) if drags else places.left)[:, None]
        modes.append(moved + moved[places.mesh.mirror] * (-1, 1, 1) if stem in whole else moved)
    return MODES, np.stack(modes)


def _pushed(
    places: Places, masks: dict[str, np.ndarray], pushes: tuple[_Push, ...], *, drags: bool = False
) -> np.ndarray:
    total = np.zeros_like(places.points)
    for mask, x, y, across, above, below, *push in pushes:
        reach = np.where(places.y > y, above, below)
        share = masks[mask] * bell(places.x, x, across) * np.exp(-(((places.y - y) / reach) ** 2))
        moved = share[:, None] * push
        if push[0] < 0 and not drags:  # skin drawn to the midline stops before it
            moved[:, 0] *= step(0, 0.24, places.x)
        total += moved
    return total


def _masks(places: Places) -> dict[str, np.ndarray]:
    upper_lid, lower_lid = _lids(places)
    lids = np.maximum(upper_lid, lower_lid)
    edge = 0.065 - 0.185 * step(0.22, 0.08, np.abs(places.x))  # between the eyes the root of the nose goes along
    brow = step(edge, edge + 0.085 + 0.1 * step(0.22, 0.08, np.abs(places.x)), places.y)
    face = np.maximum(places.front, places.mouth) * (1 - lids)
    return {
        "face": face,
        "brow": places.front * brow * (1 - lids),
        "upper": places.upper,
        "lower": places.lower,
        "upper_lid": upper_lid,
        "lower_lid": lower_lid,
    }


def _lids(places: Places) -> tuple[np.ndarray, np.ndarray]:
    """Share of the upper and the lower lid's movement by row from the rim and column between the corners."""
    t = np.arange(1, EYE_LAST - EYE_FIRST) / (EYE_LAST - EYE_FIRST)
    along = (4 * t * (1 - t)) ** 0.6
    upper, lower = np.zeros(len(places.x)), np.zeros(len(places.x))
    for sign in (1, -1):
        columns = [column(sign * c) for c in range(EYE_FIRST + 1, EYE_LAST)]
        for k, w in enumerate((1, 0.85, 0.55, 0.28, 0.1)):
            upper[places.mesh.grid[EYE_ROW - k, columns]] = w * along
        for k, w in enumerate((1, 0.85, 0.6, 0.3, 0.1)):
            lower[places.mesh.grid[EYE_ROW + 1 + k, columns]] = w * along
    return upper, lower


def _nothing(places: Places) -> np.ndarray:
    return np.zeros_like(places.points)


def _lip_band(places: Places, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Height over the mouth's line, and a mask of the lips that reaches as far above and below."""
    over = places.y - plan.mouth_line(np.minimum(np.abs(places.x), MOUTH_HALF))
    across = 1 - step(MOUTH_HALF, MOUTH_HALF + 0.16, np.abs(places.x))
    return over, places.mouth * across * bell(over, 0, reach)


def _rounded(places: Places, *, narrow: float, forward: float, open_up: float, open_down: float) -> np.ndarray:
    """Lips drawn together and forward; the openings part them."""
    over, band = _lip_band(places, 0.20)
    x, y, z = -narrow * places.x * band, 0.10 * narrow * over * band, forward * band
    lips = bell(over, 0, 0.16)
    y = y + (open_up * places.upper - open_down * places.lower) * lips
    return np.stack([x, y, z], -1)


def _thinned(places: Places, share: float, back: float) -> np.ndarray:
    """The red of both lips drawn towards the line and back."""
    over, band = _lip_band(places, 0.11)
    return np.stack([-0.06 * places.x * band, -share * over * band, -back * bell(over, 0, 0.1) * band], -1)


def _sucked(places: Places) -> np.ndarray:
    """Lips rolled over the teeth: the red goes in, the skin over it follows."""
    over, band = _lip_band(places, 0.13)
    rolled = bell(over, 0, 0.075, 3) * band
    return np.stack([-0.04 * places.x * band, -0.66 * over * band, -0.05 * rolled], -1)


_LIPS = {
    "AU18": lambda p: _rounded(p, narrow=0.44, forward=0.085, open_up=0.0, open_down=0.0),
    "AU22": lambda p: _rounded(p, narrow=0.24, forward=0.075, open_up=0.055, open_down=0.085),
    "AU23": lambda p: _thinned(p, 0.38, 0.012),
    "AU24": lambda p: _thinned(p, 0.52, 0.010),
    "AU28": _sucked,
}
